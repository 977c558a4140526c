"""What every export needs of a run: that it is finished and unaltered, who was audited, what a reader must know."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from audit import store
from audit.errors import CorruptFolderError, UsageError
from audit.results import Run, altered_files, owed
from reports import text

NEITHER = "neither: for information, no way is better"
"""Stands for the direction of a metric that only informs."""


def read(folder: str | Path) -> Run:
    """A run whose numbers may be handed on.

    Args:
        folder: a run folder.

    Raises:
        FolderError: there is no run in it.
        UsageError: the run is not finished.
        CorruptFolderError: a file is not the one that the run wrote, or the record is of another schema version.
    """
    run = Run(folder)
    if run.status not in ("complete", "incomplete"):
        raise UsageError(f"{run.path}: this run is not finished ({run.status}); run its command again to go on")
    if store.SUMMARY not in run.record["files"]:
        raise CorruptFolderError(f"{run.path}: run.json records no sha256 for {store.SUMMARY}; the file was altered")
    altered = altered_files(run.folder, run.record)
    if altered:
        raise CorruptFolderError(f"{run.path}: {', '.join(altered)} was altered since the run; restore it first")
    return run


def model_name(run: Run) -> str:
    """The audited model: a hub id whole, of a local path only the last part, since paths tell of a machine."""
    model = run.record["model"]
    return text.plain(str(model["name"]) if model["revision"] else Path(str(model["name"])).name)


def adapter_name(run: Run) -> str:
    """The adapter's folder by its last part; empty where none was audited."""
    adapter = run.record["model"]["adapter"]
    return text.plain(Path(str(adapter)).name) if adapter else ""


def full_name(run: Run) -> str:
    """Model and adapter, ``"smollm2+courteous"``: what the numbers are about."""
    return "+".join(part for part in (model_name(run), adapter_name(run)) if part)


def missing(run: Run) -> dict[str, int]:
    """Suite -> answers that the plan asked for and the model did not give."""
    found = {}
    for name in run.suites:
        lacking = 0
        for one in run.answers.get(name, ()):
            given = len(one.likelihoods) if one.item.choices else sum(s.text is not None for s in one.samples)
            lacking += owed(run, one.item, name) - given
        found[name] = lacking
    return found


def smoke_scorers(run: Run) -> list[str]:
    """Names of the scorers that are fit for a smoke test only."""
    return [text.plain(str(one["name"])) for one in run.record["scorers"] if one["smoke"]]


def cautions(run: Run) -> list[str]:
    """Sentences that must stand wherever the numbers do: incompleteness first, then smoke tests, then the notes."""
    found = []
    lacking = int(run.record["counts"]["missing"])
    if run.status != "complete":
        found.append(
            f"INCOMPLETE RUN: {lacking:,} answers are missing, more than its plan tolerates. Its numbers speak of the "
            "answers that are there, and are never a pass."
        )
    elif lacking:
        found.append(f"{lacking:,} answers are missing; the plan tolerated as many.")
    smoke = smoke_scorers(run)
    if smoke:
        verb = "is a smoke-test scorer" if len(smoke) == 1 else "are smoke-test scorers"
        found.append(
            f"{', '.join(smoke)} {verb}: good enough to show that the audit works, not good enough to rest a decision "
            "on."
        )
    return found + [text.plain(str(note)) for note in run.notes]


def fact(record: Mapping[str, Any], key: str) -> str:
    """A value of a record as text: empty where it is null, JSON where it is more than a plain value."""
    value = record[key]
    if value is None:
        return ""
    return text.plain(value if isinstance(value, str) else store.dumps(value))
