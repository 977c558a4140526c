"""Cells of what the adapters really changed, unmoved."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import product

import numpy as np

from audit.metrics import registry
from audit.metrics.units import RATE, SHARE_MEAN
from benchmarks.validity import tokens
from benchmarks.validity.cells import Cell
from benchmarks.validity.counting import RATIOS, decided, numbers, saving
from benchmarks.validity.deciding import Found, Sides, check, find
from benchmarks.validity.drawing import Items, dealt, new_wordings
from benchmarks.validity.looking import Look, Results
from benchmarks.validity.organisms import (
    SHIFTED,
    SIZES,
    SUBJECTS,
    Population,
    expected_maximum,
    moved,
    population,
    sampled,
    turned,
    wordings,
)
from benchmarks.validity.pool import MODELS, Pool

ANSWERS = ("degeneration-rate", "toxic-fraction", "expected-maximum-toxicity")


def adapter_part(pool: Pool, look: Look) -> Results:
    """What the adapters really changed, unmoved; margins are set so that their true harm is a known part of them.

    Where an adapter does good by a metric, the base is judged against the adapter.
    """
    found = Results([], [])
    for number, (model, metric) in enumerate(product(MODELS[1:], ANSWERS)):
        values = pool.degenerate if metric == "degeneration-rate" else pool.toxicity
        values = (values >= 0.5).astype(np.float64) if metric == "toxic-fraction" else values
        what = Population(Items(pool.prompt_wordings), values[0], values[MODELS.index(model)])
        what, judged, truth = _harmful(what, metric, model)
        kinds = {}
        for common in (True, False):
            name = f"{judged}, {numbers(common)}"
            if not (chosen := _wanted(look, metric, name, truth)) and look.wanted is not None:
                continue
            sides = _unmoved(look.rng(2, number, common), what, metric, look.sets, common)
            kinds[common] = sides, find(sides, metric)
            found.cells.extend(_cells(metric, name, truth, chosen, *kinds[common]))
        if look.wanted is None:
            found.savings.append(saving(judged, metric, "standard", truth, (kinds[True], kinds[False])))
    for number, (model, subject) in enumerate(product(MODELS[1:], SUBJECTS[:-1])):
        what, judged, truth = _harmful(population(pool, subject.name, model), subject.metric, model)
        if not (chosen := _wanted(look, subject.metric, judged, truth)):
            continue
        source = look.rng(3, number)
        new = wordings(source, pool, "standard", look.sets)
        if subject.name in SHIFTED:
            sides = moved(source, what, new, subject.name, "standard", what.change)
        else:
            sides = turned(source, what, None, new, subject.name, "standard")
        found.cells.extend(_cells(subject.metric, judged, truth, chosen, sides, find(sides, subject.metric)))
    return found


def _wanted(look: Look, metric: str, name: str, truth: float) -> list[float]:
    """True harms over the margin that are wanted; none where the adapter changed nothing that could be a margin."""
    ratios = RATIOS[1:] if truth > 1e-4 else ()
    return [ratio for ratio in ratios if look.wants("adapters", metric, name, "standard", ratio)]


def _harmful(what: Population, metric: str, model: str) -> tuple[Population, str, float]:
    """Base and adapter in the order in which there is harm, who is judged, and the true harm."""
    truth = _true_harm(what, metric)
    if truth >= 0:
        return what, model, truth
    return Population(what.items, what.tuned, what.base, what.weight), f"base against {model}", -truth


def _true_harm(what: Population, metric: str) -> float:
    """The population's true harm by a metric."""
    about = registry.get(metric)
    if about.direction == "target":
        assert about.target is not None
        return abs(what.value(what.tuned) - about.target) - abs(what.value(what.base) - about.target)
    return _true_change(what, metric) * (-1.0 if about.direction == "higher" else 1.0)


def _cells(metric: str, name: str, truth: float, ratios: Sequence[float], sides: Sides, ends: Found) -> Iterator[Cell]:
    """One cell for each margin."""
    for ratio in ratios:
        margin, harms = truth / ratio, ends.harms()
        check([sides], [metric], [margin], [harms], 1)
        yield decided("adapters", metric, name, "standard", ratio, margin, harms)


def _true_change(what: Population, metric: str) -> float:
    """The population's true change of a metric: of the pool's own draws, four a prompt where a maximum is meant."""
    if metric != "expected-maximum-toxicity":
        return what.change
    largest = [expected_maximum(values, tokens.DRAWS) for values in (what.base, what.tuned)]
    return what.items.mean(largest[1]) - what.items.mean(largest[0])


def _unmoved(source: np.random.Generator, what: Population, metric: str, sets: int, common: bool) -> Sides:
    """Data sets of the standard profile's shape."""
    sizes = dealt(SIZES["standard"]["answers"], what.items.count)
    rows = what.items.draw(source, new_wordings(source, what.items, sets), sizes)
    base, tuned = sampled(source, what, rows, common)
    if metric == "expected-maximum-toxicity":
        return Sides(base.max(axis=2), tuned.max(axis=2), sizes, SHARE_MEAN)
    return Sides(base.mean(axis=2), tuned.mean(axis=2), sizes, RATE, draws=tokens.DRAWS)
