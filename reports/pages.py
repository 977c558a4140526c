"""Pages of what lies in a folder: a run by itself, or a comparison kept as JSON."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from audit.comparison import compare
from audit.comparison_file import read
from audit.errors import UsageError
from audit.labels import attach as attach_labels
from audit.schema import Comparison
from audit.scorers.brief import attach
from reports import html

COMPARISON = "comparison.json"


def render_folder(
    folder: str | Path, out: str | Path | None = None, *, cards: Sequence[Path] = (), labels: Sequence[Path] = ()
) -> Path:
    """Write the page of a folder.

    Args:
        folder: holds ``comparison.json``, or is a run folder; or the path of a comparison's JSON file.
        out: where the page goes; default ``report.html`` beside what was read.
        cards: scorer cards whose figures are shown beside the scorers' rates.
        labels: files of labels by people, for the page of a run; a comparison's JSON holds its own.

    Returns:
        The path written.

    Raises:
        FolderError: there is neither in the folder, or the page cannot be written.
        CorruptFolderError: the comparison's JSON was altered by hand, or is of another version.
        DataError: a card cannot be read, or is not of a scorer of the run; labels do not belong to it.
        UsageError: labels were given for a comparison's JSON.
    """
    source = Path(folder)
    if labels and (source.is_file() or (source / COMPARISON).is_file()):
        raise UsageError(f"{source}: labels need run folders; use: slm-audit compare BASE VARIANT --labels")
    if source.is_file():
        return html.write(_with_cards(read(source), cards), out or source.with_suffix(".html"))
    if (source / COMPARISON).is_file():
        found = _with_cards(read(source / COMPARISON), cards)
        return html.write(found, out or source / "report.html")
    found = attach_labels(compare(source, [], cards=cards), [source], labels)
    return html.write(found, out or source / "report.html")


def _with_cards(comparison: Comparison, cards: Sequence[Path]) -> Comparison:
    return comparison.model_copy(update={"scorers": tuple(attach(comparison.scorers, cards))}) if cards else comparison
