"""Other judges for kept answers: ``rescore`` of a run folder, and ``score`` of any file of texts."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from audit import provenance, scorers, store
from audit.errors import CorruptFolderError, DataError, UsageError
from audit.judging import score_rows
from audit.loop import finish
from audit.plan import make_plan
from audit.progress import Progress, Silent
from audit.results import Run, altered_files, sample_id
from audit.scorers.base import score_all


def rescore(path: str | Path, names: Sequence[str] = (), *, progress: Progress | None = None) -> Run:
    """Judge the kept answers of a finished run again, and compute its summary with this version's metrics.

    Args:
        path: the run folder; no model is needed.
        names: scorers to apply, new ones or newer revisions; none means those the run had. Scores of other scorers
        stay.
        progress: told how far the work is.

    Returns:
        The run with its new scores and summary.

    Raises:
        UnknownNameError: no such scorer.
        UsageError: the run is not finished.
        FolderError: there is no run in the folder.
        CorruptFolderError: items or answers are not those that the run wrote.
    """
    progress = progress or Silent()
    folder = store.Folder(path)
    judges = [scorers.get(name) for name in names]
    Run(folder.path)
    with folder.locked():
        run = Run(folder.path)
        if run.status not in ("complete", "incomplete"):
            raise UsageError(f"{folder.path}: this run is not finished ({run.status}); run its command again to go on")
        # Scores and summary are made anew; of what they are made from, nothing may have changed.
        altered = [name for name in altered_files(folder, run.record) if name not in (store.SCORES, store.SUMMARY)]
        if altered:
            raise CorruptFolderError(f"{folder.path}: {', '.join(altered)} was altered since the run; restore it first")
        had = [scorer["name"] for scorer in run.record["scorers"]]
        judges = judges or [scorers.get(name) for name in had]
        fresh = {judge.name for judge in judges}
        rows = [row for row in folder.read_lines(store.SCORES) if row["scorer"] not in fresh]
        texts = [(sample_id(row["item"], row["k"]), row["text"]) for row in folder.read_lines(store.SAMPLES)]
        given = [(name, text) for name, text in texts if text is not None]
        for judge in judges:
            progress.stage(f"scoring with {judge.name}", len(given), "answers")
            rows += score_rows(judge, given)
            progress.advance(len(given))
        record = run.record
        kept = [scorer for scorer in record["scorers"] if scorer["name"] not in fresh]
        record["scorers"] = kept + [scorers.describe(judge) for judge in judges]
        again = {"at": provenance.now(), "tool_version": provenance.tool_version(), "scorers": sorted(fresh)}
        record["rescored"] = [*record.get("rescored", []), again]
        folder.write_lines(store.SCORES, rows)
        folder.write_run(record)
        finish(folder, make_plan(record["plan"]))
    return Run(folder.path)


def score(source: str | Path, scorer: str, out: str | Path) -> tuple[int, int]:
    """Score a file of texts.

    Args:
        source: JSON Lines with ``id`` and ``text``; other keys are not read.
        scorer: name of a scorer.
        out: JSON Lines written, in the same order: ``id``, ``scorer``, ``revision``, ``values`` or null, ``reason``
        or null.

    Returns:
        How many texts were scored, and how many could not be.

    Raises:
        DataError: the file is malformed; names line and field.
        UnknownNameError: no such scorer.
        UsageError: ``out`` is ``source``.
        FolderError: ``out`` cannot be written.
    """
    judge = scorers.get(scorer)
    records = read_texts(Path(source))
    results = score_all(judge, [text for _, text in records])
    rows = [
        {
            "id": name, "scorer": judge.name, "revision": judge.revision,
            "values": dict(result.values) if result.values is not None else None, "reason": result.reason,
        }
        for (name, _), result in zip(records, results, strict=True)
    ]  # fmt: skip
    target = Path(out)
    if target.exists() and target.samefile(source):
        raise UsageError(f"--out {out} is the file to be scored; choose another")
    store.Folder(target.parent).write_lines(target.name, rows)
    return sum(result.values is not None for result in results), sum(result.values is None for result in results)


def read_texts(path: Path) -> list[tuple[Any, str]]:
    """(id, text) of each line.

    Raises:
        DataError: not readable, empty, not JSON Lines, or a record lacks ``id`` or ``text``.
    """
    try:
        lines = path.read_text(encoding="utf-8").split("\n")
    except FileNotFoundError:
        raise DataError(path, "no such file") from None
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(path, f"cannot be read as UTF-8 text: {error}") from error
    records: list[tuple[Any, str]] = []
    for number, line in enumerate(lines, 1):
        if line.strip():
            records.append(_text_record(path, number, line))
    if not records:
        raise DataError(path, "holds no record; expected JSON Lines with id and text")
    return records


def _text_record(path: Path, number: int, line: str) -> tuple[Any, str]:
    try:
        record = json.loads(line)
    except ValueError as error:
        raise DataError(path, f"not JSON: {error}", line=number) from None
    if not isinstance(record, dict):
        raise DataError(path, f"must be an object with id and text, got {type(record).__name__}", line=number)
    for key in ("id", "text"):
        if key not in record:
            raise DataError(path, f"is missing; has {', '.join(map(str, record)) or 'nothing'}", line=number, field=key)
    if not isinstance(record["text"], str):
        raise DataError(path, f"must be a string, got {type(record['text']).__name__}", line=number, field="text")
    return record["id"], record["text"]
