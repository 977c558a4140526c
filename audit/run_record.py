"""The shape of ``run.json``: what every reader takes for granted is checked once, when a folder is opened."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from audit.errors import CorruptFolderError

_COUNTS = ("items", "samples", "likelihoods", "missing")


class _Part(BaseModel):
    """A part of the record; further fields are for people and may hold anything."""

    model_config = ConfigDict(strict=True, extra="allow")


class _Plan(_Part):
    profile: str
    seed: int


class _Model(_Part):
    name: str
    revision: str | None
    adapter: str | None
    files: dict[str, str]
    adapter_files: dict[str, str]
    fingerprint: str
    tokenizer_sha256: str


class _Suite(_Part):
    name: str
    metrics: list[str]
    breakdown: list[str]
    groups: list[str]
    samples: int
    items: int
    digest: str


class _Scorer(_Part):
    name: str
    revision: str
    smoke: bool
    values: list[str]


class _Run(_Part):
    status: str
    tool_version: str
    started: str
    plan_digest: str
    run_digest: str
    plan: _Plan
    model: _Model
    suites: list[_Suite]
    scorers: list[_Scorer]
    counts: dict[str, int]
    files: dict[str, str]
    notes: list[str]


def check(record: Mapping[str, Any], folder: Path) -> None:
    """Refuse a record that no reader could use, which says nothing of whether it is true.

    Args:
        record: the content of ``run.json``.
        folder: the run folder, for the message.

    Raises:
        CorruptFolderError: a field is lacking or of another kind; names the first.
    """
    problem = ""
    try:
        found = _Run.model_validate(record)
        # A run that goes on has not been counted yet.
        if found.status in ("complete", "incomplete"):
            problem = next((f"counts.{name}: field required" for name in _COUNTS if name not in found.counts), "")
    except ValidationError as error:
        first = error.errors()[0]
        problem = f"{'.'.join(str(part) for part in first['loc'])}: {first['msg'].lower()}"
    if problem:
        raise CorruptFolderError(f"{folder}: run.json cannot be read ({problem}); the file was altered")


__all__ = ["check"]
