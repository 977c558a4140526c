"""``export``: a run folder into one file of another format."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from audit import store
from audit.errors import CorruptFolderError, FolderError, UnknownNameError, UsageError
from reports.exports import every_eval_ever, gated, in_toto, model_card, source, tables
from reports.writing import replace_file

FORMATS: dict[str, tuple[str, Callable[..., bytes]]] = {
    "model-card": ("model-card.md", model_card.render),
    "every-eval-ever": ("every-eval-ever.json", every_eval_ever.render),
    "in-toto": ("in-toto.json", in_toto.render),
    "csv": ("summary.csv", tables.render_csv),
    "parquet": ("summary.parquet", tables.render_parquet),
}
"""Name -> file it goes to in the run folder, and what makes its content."""
JUDGED = ("model-card", "in-toto")
"""Formats that have a place for a gate's verdict."""
_OWN = (store.RUN, store.ITEMS, store.BATCHES, store.SAMPLES, store.LIKELIHOODS, store.SCORES, store.SUMMARY)


def export(folder: str | Path, to: str, out: str | Path | None = None, *, gate: str | Path | None = None) -> Path:
    """Write a run in another format. An incomplete run is written too, and says so wherever its numbers stand.

    Args:
        folder: a run folder.
        to: a name in :data:`FORMATS`.
        out: the file to write; default the format's own name in the run folder.
        gate: what ``slm-audit gate --json`` wrote on this run, for the formats in :data:`JUDGED`; None for no verdict.

    Returns:
        The file written; what was there is replaced whole, or not at all.

    Raises:
        UnknownNameError: no such format.
        UsageError: the run is not finished, ``out`` is one of its own files, the format has no place for it or for a
            verdict, or the verdict is not on this run.
        DataError: the verdict cannot be read, or was altered by hand.
        FolderError: there is no run in the folder, or the file cannot be written.
        CorruptFolderError: a file is not the one that the run wrote, or its record was altered.
    """
    if to not in FORMATS:
        raise UnknownNameError("format", to, FORMATS)
    name, render = FORMATS[to]
    if gate is not None and to not in JUDGED:
        raise UsageError(f"--gate {gate}: {to} has no place for a verdict; {' and '.join(JUDGED)} have one")
    run = source.read(folder)
    verdict = {} if gate is None else {"gate": gated.read(gate, run)}
    target = Path(out) if out is not None else run.folder.file(name)
    if target.resolve() in {run.folder.file(own).resolve() for own in _OWN}:
        raise UsageError(f"--out {target}: this is a file of the run itself; choose another")
    try:
        content = render(run, **verdict)
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        what = f"has no {error}" if isinstance(error, KeyError) else f"cannot be read: {error}"
        raise CorruptFolderError(f"{run.path}: the run's record {what}; run.json was altered") from error
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise FolderError(f"the export cannot be written to {target}: {error.strerror or error}") from error
    replace_file(target, content, "export")
    return target
