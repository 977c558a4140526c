"""What is done and what is left of a run: the batch plan against the journals on disk."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from audit import store
from audit.errors import CorruptFolderError
from audit.models.batching import Entry

Mode = Literal["generate", "loglikelihood"]
JOURNAL: dict[Mode, tuple[str, str]] = {
    "generate": (store.SAMPLES, "k"),
    "loglikelihood": (store.LIKELIHOODS, "choice"),
}


@dataclass(frozen=True, slots=True)
class Batch:
    """One line of ``batches.jsonl``."""

    suite: str
    mode: Mode
    entries: tuple[Entry, ...]

    @property
    def keys(self) -> list[tuple[str, int]]:
        """(item, sample or choice) of each row the batch gives, in order."""
        return [(entry.item, entry.first + offset) for entry in self.entries for offset in range(entry.count)]


def write_batches(folder: store.Folder, batches: Sequence[Batch]) -> None:
    """Write the batch plan; it is part of the journal, since rounding depends on it."""
    folder.write_lines(
        store.BATCHES,
        [
            {"suite": batch.suite, "mode": batch.mode, "entries": [[e.item, e.first, e.count] for e in batch.entries]}
            for batch in batches
        ],
    )


def read_batches(folder: store.Folder) -> list[Batch]:
    """The batch plan of a folder.

    Raises:
        CorruptFolderError: a line is malformed.
    """
    try:
        return [
            Batch(row["suite"], row["mode"], tuple(Entry(*entry) for entry in row["entries"]))
            for row in folder.read_lines(store.BATCHES)
        ]
    except (KeyError, TypeError) as error:
        raise CorruptFolderError(f"{folder.file(store.BATCHES)}: malformed batch plan ({error!r})") from error


def remaining(folder: store.Folder, batches: Sequence[Batch], say: Callable[[str], None]) -> list[Batch]:
    """Batches still to be done, after cutting unfinished ones off the journals.

    Args:
        folder: locked by this process.
        batches: the whole plan, in its order.
        say: told what was cut off.

    Raises:
        CorruptFolderError: a journal holds rows that the plan does not have at that place.
    """
    left: list[Batch] = []
    for mode, (name, number) in JOURNAL.items():
        planned = [batch for batch in batches if batch.mode == mode]
        finished = 0

        def whole(
            rows: list[dict[str, Any]], planned: list[Batch] = planned, name: str = name, number: str = number
        ) -> tuple[int, int]:
            nonlocal finished
            finished, kept = _finished(rows, planned, number, str(folder.file(name)))
            return kept, len(planned[finished].keys) if finished < len(planned) else 0

        _, cut = folder.recover(name, whole)
        if cut:
            say(cut)
        left += planned[finished:]
    # In the order of the plan, so that suites finish one after the other.
    place = {id(batch): at for at, batch in enumerate(batches)}
    return sorted(left, key=lambda batch: place[id(batch)])


def _finished(rows: list[dict[str, Any]], planned: list[Batch], number: str, path: str) -> tuple[int, int]:
    """How many batches the rows finish, and how many rows those hold."""
    start = 0
    for done, batch in enumerate(planned):
        keys = batch.keys
        found = [(row.get("item"), row.get(number)) for row in rows[start : start + len(keys)]]
        for offset, (have, want) in enumerate(zip(found, keys, strict=False)):
            if have != want:
                raise CorruptFolderError(
                    f"{path}, line {start + offset + 1}: holds {have}, the batch plan has {want} there; "
                    "the file was altered"
                )
        if len(found) < len(keys):
            return done, start
        start += len(keys)
    if len(rows) > start:
        raise CorruptFolderError(f"{path}, line {start + 1}: more rows than the batch plan has; the file was altered")
    return len(planned), start
