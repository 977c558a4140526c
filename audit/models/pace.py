"""How fast a model runs on this machine, by a short trial on batches of the plan: what a forecast of time rests on."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from audit.models.batching import Entry
from probes.suite import Begin, Decoding, Item

if TYPE_CHECKING:
    from audit.models.model import Model

# Tokens that a trial reads: enough to keep two cores or a GPU's start-up busy, a second's work of the embedded model.
_TOKENS = 512
_STEPS = 4
# Nor more than this share of all there is to read, each time: a short run is not to wait for its own forecast.
_SHARE = 1 / 8
# A step over few rows takes nearly as long as one over a quarter of a full batch: the weights are read all the same.
_LEAST = 0.25


@dataclass(frozen=True, slots=True)
class Pace:
    """Speed of one model on one machine, on one suite."""

    tokens: float
    """Tokens read a second: of choices, logits included, or of prompts up to their first new token."""
    step: float = 0.0
    """Seconds for one more token in each of ``rows`` rows; 0 where choices are scored."""
    rows: int = 1

    def seconds(self, read: int, batches: Sequence[Sequence[Entry]], new_tokens: int) -> float:
        """Time for reading so many tokens and drawing ``new_tokens`` a row in these batches.

        The first of the new tokens comes with reading. An upper guess, since answers may end early.
        """
        steps = sum(max(sum(entry.count for entry in batch) / self.rows, _LEAST) for batch in batches)
        return read / self.tokens + steps * max(new_tokens - 1, 0) * self.step


def of_generation(
    model: Model, items: Mapping[str, Item], batches: Sequence[Sequence[Entry]], decoding: Decoding, read: int
) -> Pace:
    """Time the first tokens of a part of a batch of the middle length, just as the run draws them.

    Args:
        model: to be timed.
        items: by id.
        batches: that are left; at least one.
        decoding: how tokens are drawn.
        read: tokens of all prompts in the batches.
    """
    batch = _part(batches[len(batches) // 2], lambda item: model.tokens_of([items[item]]), read)
    drawn: dict[int, int] = {}

    def draw(tokens: int) -> None:
        few = dataclasses.replace(decoding, max_new_tokens=min(tokens, decoding.max_new_tokens))
        (answers,) = model.generate(items, [batch], few, 0, say=_nothing)
        drawn[tokens] = max(answer.tokens for answer in answers)

    first, more = _timed(lambda: draw(1)), _timed(lambda: draw(1 + _STEPS))
    # Where every answer ended at once, or noise swallowed the steps, one token costs at most what the first one did.
    steps = max(drawn[1 + _STEPS] - drawn[1], 1)
    rows = sum(entry.count for entry in batch)
    tried = model.tokens_of([items[entry.item] for entry in batch])
    return Pace(max(tried, 1) / first, max(more - first, 0.0) / steps, rows)


def of_likelihoods(
    model: Model, items: Mapping[str, Item], batches: Sequence[Sequence[Entry]], begin: Begin, read: int
) -> Pace:
    """Time a part of a batch of the middle length, just as the run scores it; arguments as in :func:`of_generation`."""
    batch = _part(batches[len(batches) // 2], lambda item: model.tokens_of([items[item]], begin=begin), read)
    seconds = _timed(lambda: list(model.loglikelihood(items, [batch], begin=begin, say=_nothing)))
    tried = model.tokens_of([items[entry.item] for entry in batch], begin=begin)
    return Pace(max(tried, 1) / seconds)


def _part(batch: Sequence[Entry], tokens: Callable[[str], int], read: int) -> tuple[Entry, ...]:
    """Entries from the front of a batch, at least one, until they hold as many tokens as a trial should read."""
    enough = min(_TOKENS, int(_SHARE * read))
    kept: list[Entry] = []
    count = 0
    for entry in batch:
        count += tokens(entry.item)
        kept.append(entry)
        if count >= enough:
            break
    return tuple(kept)


def _timed(work: Callable[[], object]) -> float:
    """Seconds of the faster of two tries: the first one may still make buffers and record kernels."""
    took = []
    for _ in range(2):
        start = time.perf_counter()
        work()
        took.append(time.perf_counter() - start)
    return max(min(took), 1e-9)


def _nothing(message: str) -> None:
    """What memory has to say is said when the run itself comes to it."""
