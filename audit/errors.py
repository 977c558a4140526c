"""What can go wrong, and the exit code each fault has.

::

    AuditError                      2  what was asked for cannot be done as asked
    +-- UsageError                  2  a flag, a plan or a name is wrong
    |   +-- UnknownNameError        2  no such suite, scorer, profile, model ...; tells the nearest names
    |   +-- PlanMismatchError       2  the folder belongs to another plan; tells the differing fields
    +-- DataError                   2  a file of items, texts or training data is malformed; tells file, line, field
    +-- ModelError                  2  weights or tokenizer cannot be read or used
    |   +-- AdapterError            2  the adapter cannot be read, or was made for another base
    |   +-- NonFiniteError          2  NaN or infinity in weights or logits; tells where
    |   +-- ContextLengthError      2  an item does not fit the model's context; tells which
    +-- MissingResourceError        2  something is not on this machine and may not, or cannot, be fetched
    +-- FolderError                 2  the run folder cannot be read or written
    |   +-- FolderBusyError         2  another process writes to it
    |   +-- CorruptFolderError      2  its files contradict each other
    +-- IncompleteError             3  items have no answer

Exit codes: 0 pass, 1 crash (Python's own), 2 usage or configuration, 3 incomplete, 4 inconclusive, 5 gate failed.
Every message is one line that says what is wrong, what was got, and what to do.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable

EXIT_PASS = 0
EXIT_USAGE = 2
EXIT_INCOMPLETE = 3
EXIT_INCONCLUSIVE = 4
EXIT_FAILED = 5


class AuditError(Exception):
    """Base of every error that slm-audit raises on purpose; its text is one line for a person."""

    exit_code = EXIT_USAGE


class UsageError(AuditError):
    """A flag, a plan or a combination of them is wrong."""


class UnknownNameError(UsageError):
    """A name that nothing answers to.

    Args:
        kind: what was looked for, e.g. ``"suite"``.
        name: what was asked for.
        known: the names that exist.
    """

    def __init__(self, kind: str, name: str, known: Iterable[str]) -> None:
        names = sorted(set(known))
        near = difflib.get_close_matches(name, names, n=3, cutoff=0.55)
        if near:
            hint = f"did you mean {' or '.join(near)}?"
        elif names:
            hint = f"known: {', '.join(names)}"
        else:
            hint = "none is registered"
        super().__init__(f"no {kind} is called {name!r}; {hint}")
        self.kind = kind
        self.name = name
        self.near = near


class PlanMismatchError(UsageError):
    """A run folder was made by another plan than the one asked for."""


class DataError(AuditError):
    """A data file is malformed.

    Args:
        path: the file.
        problem: what is wrong, what was got, what is expected.
        line: the line's number, counted from 1, where one line is at fault.
        field: the field's name, where one field is at fault.
    """

    def __init__(self, path: object, problem: str, *, line: int | None = None, field: str | None = None) -> None:
        where = str(path)
        if line is not None:
            where += f", line {line}"
        if field is not None:
            where += f", field {field!r}"
        super().__init__(f"{where}: {problem}")
        self.path = path
        self.line = line
        self.field = field


class ModelError(AuditError):
    """Weights or tokenizer cannot be read or used."""


class AdapterError(ModelError):
    """An adapter cannot be read, or does not belong to the base model."""


class NonFiniteError(ModelError):
    """NaN or infinity where a number must stand."""


class ContextLengthError(ModelError):
    """An item is longer than the model's context; it is never cut silently."""


class MissingResourceError(AuditError):
    """Something is not on this machine and may not, or cannot, be fetched."""


class FolderError(AuditError):
    """A run folder cannot be read or written."""


class FolderBusyError(FolderError):
    """Another process writes to the run folder."""


class CorruptFolderError(FolderError):
    """The files of a run folder contradict each other."""


class IncompleteError(AuditError):
    """Items have no answer, more than the plan tolerates."""

    exit_code = EXIT_INCOMPLETE
