"""What happens when a batch runs out of memory: its halves are worked on, one after the other."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from audit.models.batching import Entry
from audit.models.memory import out_of_memory

T = TypeVar("T")


def halves(batch: Sequence[Entry]) -> tuple[tuple[Entry, ...], ...]:
    """A batch in two parts of about equally many rows, in order; a batch of one row in one part."""
    total = sum(entry.count for entry in batch)
    if total < 2:
        return (tuple(batch),)
    first: list[Entry] = []
    second: list[Entry] = []
    left = total // 2
    for entry in batch:
        taken = min(entry.count, left)
        left -= taken
        if taken:
            first.append(Entry(entry.item, entry.first, taken))
        if taken < entry.count:
            second.append(Entry(entry.item, entry.first + taken, entry.count - taken))
    return tuple(first), tuple(second)


@dataclass(slots=True)
class Ceiling:
    """What batches took by prediction, in bytes, that ran out of memory in this process, and that did not."""

    failed: int = 0
    """The smallest of several rows that ran out; 0 where none did."""
    done: int = 0
    """The largest that did not."""

    @property
    def bytes(self) -> int:
        """From here on batches are taken to be too large; 0 where none failed.

        What was done once is not too large: a failure below it had another cause, such as another process.
        """
        return max(self.failed, self.done + 1) if self.failed else 0


@dataclass(frozen=True, slots=True)
class Halved:
    """A planned batch that memory made fall into parts."""

    rows: int
    parts: int
    ceiling: int
    """Bytes by prediction from which on batches were taken to be too large, once it was done."""


def in_parts(
    batch: Sequence[Entry],
    work: Callable[[Sequence[Entry]], list[T]],
    lost: Callable[[Entry, str], T],
    *,
    takes: Callable[[Sequence[Entry]], int],
    ceiling: Ceiling,
    failed: Callable[[Sequence[Entry], str], None],
    halved: Callable[[Halved], None] | None = None,
) -> list[T]:
    """Work on a batch, halving it as often as memory demands; nothing is lost and the order is kept.

    Args:
        batch: entries with their rows.
        work: gives one result a row, or runs out of memory.
        lost: gives the result of a row that does not fit memory alone, from its entry and the reason.
        takes: predicted bytes of a batch.
        ceiling: a part of several rows that takes as much as one that failed is halved without a trial; updated.
        failed: told of each part that ran out of memory, and why.
        halved: told of the batch once it is done, if it was done in parts.

    Returns:
        One result a row, in order.
    """
    done: list[int] = []
    found = _in_parts(batch, work, lost, done, takes=takes, ceiling=ceiling, failed=failed)
    if halved is not None and len(done) > 1:
        halved(Halved(sum(done), len(done), ceiling.bytes))
    return found


def _in_parts(
    batch: Sequence[Entry],
    work: Callable[[Sequence[Entry]], list[T]],
    lost: Callable[[Entry, str], T],
    done: list[int],
    *,
    takes: Callable[[Sequence[Entry]], int],
    ceiling: Ceiling,
    failed: Callable[[Sequence[Entry], str], None],
) -> list[T]:
    """A batch or a part of one; ``done`` gets the rows of each part that was not halved any more."""
    parts, size = halves(batch), takes(batch)
    if len(parts) == 1 or not ceiling.bytes or size < ceiling.bytes:
        found = _attempt(batch, work)
        if not isinstance(found, str):
            ceiling.done = max(ceiling.done, size)
            done.append(len(found))
            return found
        # Here and not in the handler: an error that is being handled keeps alive the tensors of the failed attempt.
        if len(parts) == 1:
            failed(batch, found)
            done.append(1)
            return [lost(batch[0], found)]
        ceiling.failed = min(ceiling.failed or size, size)
        failed(batch, found)
    options: dict[str, Any] = {"takes": takes, "ceiling": ceiling, "failed": failed}
    return [row for part in parts for row in _in_parts(part, work, lost, done, **options)]


def _attempt(batch: Sequence[Entry], work: Callable[[Sequence[Entry]], list[T]]) -> list[T] | str:
    """The results, or the first line of an error that says that memory ran out."""
    try:
        return work(batch)
    except (RuntimeError, MemoryError) as error:
        if not out_of_memory(error):
            raise
        return (str(error).strip().splitlines() or [type(error).__name__])[0][:200]
