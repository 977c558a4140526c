"""What a plan will take, told before it starts: items, tokens, memory, and about how long."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from audit.journal import JOURNAL, Batch, Mode
from probes.suite import Item, Suite

if TYPE_CHECKING:
    from audit.models import Model
    from audit.models.pace import Pace

_UNITS: dict[Mode, str] = {"generate": "answers", "loglikelihood": "likelihoods"}
# A part of fewer tokens than this is not tried itself but taken to go as fast as the largest part of its kind: the
# trial would take a good share of the time that it tells.
_WORTH_A_TRIAL = 10_000


@dataclass(frozen=True, slots=True)
class _Part:
    """What one suite asks of one kind of work."""

    suite: Suite
    mode: Mode
    batches: list[Batch]
    items: int
    rows: int
    read: int
    """Tokens to read: prompts once, or contexts once and every choice."""

    @property
    def new(self) -> int:
        """Most tokens drawn for an answer."""
        return self.suite.decoding.max_new_tokens if self.mode == "generate" else 0

    def __str__(self) -> str:
        drawn = f" and at most {self.rows * self.new:,} to draw" if self.new else ""
        return (
            f"{self.suite.name}: {self.items:,} items, {self.rows:,} {_UNITS[self.mode]}, about {self.read:,} tokens to"
            f" read{drawn}"
        )


def forecast(model: Model, suites: Sequence[Suite], batches: Sequence[Batch], items: Mapping[str, Item]) -> list[str]:
    """One sentence on each suite that is left to do, and one on all.

    Args:
        model: tried on a few of the batches.
        suites: of the plan.
        batches: those that are left.
        items: by id.
    """
    parts = [
        _part(model, suite, mode, mine, items)
        for suite in suites
        for mode in JOURNAL
        if (mine := [batch for batch in batches if batch.suite == suite.name and batch.mode == mode])
    ]
    if not parts:
        return []
    peak = max(_peak(model, part, items) for part in parts)
    seconds = sum(_seconds(model, [part for part in parts if part.mode == mode], items) for mode in JOURNAL)
    return [
        *map(str, parts),
        f"about {duration(seconds)} on this machine, by a short trial, and {size(peak)} of memory at the peak "
        "(scoring of answers not included)",
    ]


def _part(model: Model, suite: Suite, mode: Mode, batches: list[Batch], items: Mapping[str, Item]) -> _Part:
    asked = [items[name] for name in dict.fromkeys(entry.item for batch in batches for entry in batch.entries)]
    rows = sum(entry.count for batch in batches for entry in batch.entries)
    return _Part(suite, mode, batches, len(asked), rows, model.tokens_of(asked, begin=suite.begin))


def _peak(model: Model, part: _Part, items: Mapping[str, Item]) -> int:
    decoding = part.suite.decoding if part.mode == "generate" else None
    return model.predicted_peak(
        items, [batch.entries for batch in part.batches], decoding=decoding, begin=part.suite.begin
    )


def _seconds(model: Model, parts: Sequence[_Part], items: Mapping[str, Item]) -> float:
    """Time for parts of one kind."""
    pace: Pace | None = None
    total = 0.0
    for part in sorted(parts, key=lambda part: -part.read):
        if pace is None or part.read >= _WORTH_A_TRIAL:
            pace = _pace(model, part, items)
        total += pace.seconds(part.read, [batch.entries for batch in part.batches], part.new)
    return total


def _pace(model: Model, part: _Part, items: Mapping[str, Item]) -> Pace:
    from audit.models import pace

    batches = [batch.entries for batch in part.batches]
    if part.mode == "generate":
        return pace.of_generation(model, items, batches, part.suite.decoding, part.read)
    return pace.of_likelihoods(model, items, batches, part.suite.begin, part.read)


def duration(seconds: float) -> str:
    """A time span to two digits of the unit that fits: seconds, minutes or hours."""
    for unit, length in (("hours", 3600.0), ("minutes", 60.0)):
        if seconds >= 2 * length:
            return f"{float(f'{seconds / length:.2g}'):g} {unit}"
    return f"{max(round(seconds), 1)} seconds"


def size(count: float) -> str:
    """A number of bytes to two digits, in GB from one up, else in MB."""
    unit, length = ("GB", 1e9) if count >= 1e9 else ("MB", 1e6)
    return f"{float(f'{count / length:.2g}'):g} {unit}"
