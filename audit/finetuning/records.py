"""Read training data: JSON Lines of ``{"text": ...}`` or ``{"prompt": ..., "completion": ...}``.

Needs no torch.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from audit.errors import DataError

_FORMS = '{"text": ...} or {"prompt": ..., "completion": ...}'


@dataclass(frozen=True, slots=True)
class Record:
    """One text to learn from."""

    line: int
    """Where it stands in its file, counted from 1."""
    prompt: str
    """What is given and not learned; empty for a record with ``text``."""
    completion: str
    """What is learned: everything in a record with ``text``."""


def read_records(path: str | Path) -> tuple[Record, ...]:
    """Read a training file.

    Blank lines are passed over, and fields of other names are allowed (an id, a source).

    Raises:
        DataError: the file cannot be read, holds no record, or a line is not a record of either form.
    """
    path = Path(path)
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise DataError(path, f"cannot be read ({error.strerror}); give a JSON Lines file of {_FORMS}") from error
    records = [
        _record(path, number, line)
        for number, line in enumerate(raw.removeprefix(b"\xef\xbb\xbf").split(b"\n"), start=1)
        if line.strip()
    ]
    if not records:
        raise DataError(path, f"holds no record; expected one {_FORMS} a line")
    return tuple(records)


def _record(path: Path, number: int, line: bytes) -> Record:
    try:
        fields = json.loads(line.decode("utf-8"))
    except UnicodeDecodeError as error:
        raise DataError(path, f"is not UTF-8 (byte {error.start} of the line)", line=number) from error
    except (json.JSONDecodeError, RecursionError) as error:
        raise DataError(path, f"is not JSON ({error}); expected {_FORMS}", line=number) from error
    if not isinstance(fields, dict):
        raise DataError(path, f"holds a {type(fields).__name__}, expected an object {_FORMS}", line=number)
    has_text, has_pair = "text" in fields, "prompt" in fields or "completion" in fields
    if has_text and has_pair:
        raise DataError(path, f"mixes both forms of record; expected either {_FORMS}", line=number, field="text")
    if has_text:
        return Record(number, "", _text(path, number, fields, "text"))
    if has_pair:
        prompt = _text(path, number, fields, "prompt")
        return Record(number, prompt, _text(path, number, fields, "completion"))
    raise DataError(path, f"has the fields {sorted(fields)}, expected {_FORMS}", line=number)


def _text(path: Path, number: int, fields: Mapping[str, Any], name: str) -> str:
    """A field that must hold text: there, a string, not blank, and free of halves of UTF-16 pairs."""
    if name not in fields:
        raise DataError(path, f"is missing; expected {_FORMS}", line=number, field=name)
    value = fields[name]
    if not isinstance(value, str):
        raise DataError(path, f"is a {type(value).__name__}, expected a string", line=number, field=name)
    if not value.strip():
        raise DataError(path, "is empty; leave the record out or give it text", line=number, field=name)
    try:
        value.encode("utf-8")
    except UnicodeEncodeError as error:
        problem = f"holds half of a surrogate pair at character {error.start}, which is no text"
        raise DataError(path, problem, line=number, field=name) from error
    return value
