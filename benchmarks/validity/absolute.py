"""Absolute rules: the variant's own value against a bound, for a first release without a base.

The bound is set so that the true value of the population is a known multiple of it. Rates in clusters are drawn whose
events fall on all wordings alike, or on a few of them: then a sample that has few of those wordings shows both a lower
rate and less spread.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import product

import numpy as np

from audit.metrics import registry
from audit.metrics.units import SHARE_MEAN
from benchmarks.validity import tokens
from benchmarks.validity.cells import Cell
from benchmarks.validity.deciding import Sides, as_harm, bounds, check_absolute
from benchmarks.validity.drawing import Items, dealt, new_wordings, reached
from benchmarks.validity.looking import Look, Results
from benchmarks.validity.organisms import (
    DRAWS,
    SIZES,
    Population,
    expected_maximum,
    population,
    turned,
    turning,
)
from benchmarks.validity.pool import MODELS, Floats, Pool

RATIOS = (0.5, 1.0, 1.5, 2.0)
"""True values over the bound; where higher is better, true shares of errors over the share that the bound allows."""
SHARES = (0.02, 0.3)
"""Parts of the vocabulary that are marked."""
RAISED = 0.05
"""By how much an intervention raises a rate of marked tokens."""
PROFILES = ("quick", "standard")


@dataclass(frozen=True, slots=True)
class Organism:
    """A model with a known true value of one metric."""

    metric: str
    name: str
    truth: float
    sample: Callable[[np.random.Generator, str, int], Sides]
    """New data sets from a generator, a profile and their number; only the variant's side is read."""

    def bound(self, ratio: float) -> float | None:
        """The bound of which the true value is this multiple; None where a share has no such bound."""
        higher = registry.get(self.metric).direction == "higher"
        found = 1 - (1 - self.truth) / ratio if higher else self.truth / ratio
        return found if 0 < found < 1 else None


def absolute_part(pool: Pool, look: Look) -> Results:
    """Shares and bounded means of one model against a bound, by how their events fall on wordings."""
    found = Results([], [])
    for number, (organism, profile) in enumerate(product(organisms(pool), PROFILES)):
        name = f"{organism.name} ({organism.truth:.3f})"
        chosen = [
            (ratio, bound)
            for ratio in RATIOS
            if (bound := organism.bound(ratio)) is not None
            and look.wants("absolute", organism.metric, name, profile, ratio)
        ]
        if not chosen:
            continue
        sides = organism.sample(look.rng(4, number), profile, look.sets)
        harms = bounds(sides, organism.metric)
        for ratio, bound in chosen:
            check_absolute(sides, organism.metric, bound, harms)
            margin = as_harm(organism.metric, bound)
            counts = int(harms.passes(margin).sum()), int(harms.fails(margin).sum())
            found.cells.append(
                Cell("absolute", organism.metric, name, profile, ratio, organism.truth, *counts, look.sets)
            )
    return found


def organisms(pool: Pool) -> Iterator[Organism]:
    """All organisms of absolute rules."""
    yield from _marked(pool)
    items = Items(pool.prompt_wordings)
    toxic = (pool.toxicity >= 0.5).astype(np.float64)
    for at, model in enumerate(MODELS):
        yield _share("toxic-fraction", "answers", f"{model} as it is", Population(items, toxic[at], toxic[at]))
    for spread, change in product(("even", "concentrated", "few"), (0.05,)):
        what = Population(items, toxic[0], toxic[0])
        yield _share("toxic-fraction", "answers", f"base, toxic answers added {_on(spread)}", what, change, spread)
    for spread, change in product(("even", "concentrated", "few"), (0.02, 0.05, 0.1)):
        what = population(pool, "answers", "base")
        yield _share("degeneration-rate", "answers", f"base, answers broken {_on(spread)}", what, change, spread)
    for model in MODELS:
        what = population(pool, "clear", model)
        own = Population(what.items, what.tuned, what.tuned)
        yield _share("qa-accuracy-disambiguated", "clear", f"{model} as it is", own)
    for spread, change in (("even", -0.1), ("concentrated", -0.1), ("few", -0.05)):
        what = population(pool, "clear", "base")
        yield _share("qa-accuracy-disambiguated", "clear", f"base, answers lost {_on(spread)}", what, change, spread)
    for at, model in enumerate(MODELS):
        yield _maximum(items, f"{model} as it is", pool.toxicity[at])
    for spread in ("even", "concentrated", "few"):
        raised = pool.toxicity[0] + 0.5 * reached(items, spread)[:, None] * (1 - pool.toxicity[0])
        yield _maximum(items, f"base, scores raised {_on(spread)}", raised)


def _on(spread: str) -> str:
    """A spread in words."""
    return {"concentrated": "on every fourth wording", "few": "on every tenth wording"}.get(spread, "evenly")


def _marked(pool: Pool) -> Iterator[Organism]:
    """Rates of marked tokens: the base's, and raised by an addition to their logits."""
    for share, spread in product(SHARES, ("even", "uneven", "concentrated", "few")):
        what = tokens.marked(pool, share, spread=spread)
        delta = what.delta(RAISED)

        def sample(
            rng: np.random.Generator, profile: str, sets: int, what: tokens.Marked = what, delta: float = delta
        ) -> Sides:
            return tokens.sides(rng, what, (delta,), tokens.PROFILES[profile], sets)[0]

        words = "unevenly" if spread == "uneven" else _on(spread)
        name = f"{100 * what.rate():.1f} % marked, raised {words}"
        yield Organism("toxic-fraction", name, what.rate() + RAISED, sample)


def _share(
    metric: str, subject: str, name: str, what: Population, change: float = 0.0, spread: str = "even"
) -> Organism:
    """A share of answers, as it is or with answers turned until it has changed by so much."""
    how = turning(what, change, spread=spread) if change else None

    def sample(rng: np.random.Generator, profile: str, sets: int) -> Sides:
        return turned(rng, what, how, {subject: new_wordings(rng, what.items, sets)}, subject, profile)

    return Organism(metric, name, what.value(what.base) + change, sample)


def _maximum(items: Items, name: str, values: Floats) -> Organism:
    """The expected maximum of four answers' scores, of scores (prompts, draws)."""

    def sample(rng: np.random.Generator, profile: str, sets: int) -> Sides:
        sizes = dealt(SIZES[profile]["answers"], items.count)
        rows = items.draw(rng, new_wordings(rng, items, sets), sizes)
        numbers = rng.integers(values.shape[1], size=(*rows.shape, DRAWS))
        largest = values[rows[..., None], numbers].max(axis=2)
        return Sides(largest, largest, sizes, SHARE_MEAN)

    return Organism("expected-maximum-toxicity", name, items.mean(expected_maximum(values, DRAWS)), sample)
