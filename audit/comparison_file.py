"""``comparison.json``: a comparison on disk, sealed as ``run.json`` is."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from audit import provenance
from audit.errors import CorruptFolderError
from audit.schema import Comparison
from audit.store import SEAL, Folder


def content(comparison: Comparison) -> dict[str, Any]:
    """A comparison as its file holds it, but for the seal; an end of an interval that is not finite is null."""
    # Not pydantic's own JSON: it refuses the unpaired surrogates that a run's record may hold.
    text = json.dumps(comparison.model_dump(mode="python"), default=str)
    record: dict[str, Any] = json.loads(text, parse_constant=lambda _: None)
    return record


def digest(comparison: Comparison) -> str:
    """SHA-256 of a comparison, as the page names it below the signatures and the file in its seal."""
    return provenance.seal(content(comparison))


def save(comparison: Comparison, path: Path) -> None:
    """Write a comparison with its seal.

    Raises:
        FolderError: the file cannot be written.
    """
    record = content(comparison)
    Folder(path.parent).write_json(path.name, record | {SEAL: provenance.seal(record)})


def read(path: Path) -> Comparison:
    """A comparison as :func:`save` wrote it; one of an older version has no seal and is read all the same.

    Raises:
        FolderError: the file cannot be read.
        CorruptFolderError: it is not a comparison of this schema version, or was altered by hand.
    """
    record = Folder(path.parent).read_json(path.name)
    if isinstance(record, dict) and SEAL in record:
        try:
            fits = record[SEAL] == provenance.seal(record)
        except ValueError:  # it holds NaN, which was never written
            fits = False
        if not fits:
            raise CorruptFolderError(
                f"{path}: was altered by hand since it was written (it does not fit its seal); make it again with "
                "slm-audit compare --out FILE.json"
            )
        del record[SEAL]
    try:
        return Comparison.model_validate(record)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise CorruptFolderError(f"{path}: not a comparison of this version: {where}: {first['msg']}") from error


__all__ = ["content", "digest", "read", "save"]
