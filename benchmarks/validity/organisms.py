"""Organisms for the rules of the default policy: what an adapter really changed, moved so that its harm is known.

A variant's answer to an item is the adapter's, moved by a constant (log-ratios, bits) or turned at random with a known
chance (right answers, degenerate ones), so that its true harm over the population is exactly what is wanted. How far
the change differs from item to item, and how far base and adapter agree under common random numbers, stays as measured.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from audit.metrics.perplexity import BITS_PER_BYTE
from audit.metrics.units import MEAN, RATE
from benchmarks.validity.deciding import Sides
from benchmarks.validity.drawing import Items, dealt, new_wordings, reached
from benchmarks.validity.pool import MODELS, Floats, Ints, Pool

ROUNDING = 1e-4
"""Spread of the rounding of log-likelihoods between two runs of one model on other hardware, nats."""
SIZES = {
    "quick": {"pairs": 256, "ambiguous": 72, "clear": 72, "passages": 32, "answers": 130},
    "standard": {"pairs": 2048, "ambiguous": 184, "clear": 184, "passages": 63, "answers": 520},
}
"""Units of each rule by profile."""
DRAWS = 4


@dataclass(frozen=True, slots=True)
class Subject:
    """Which rule an organism is about."""

    name: str
    """``pairs``, ``ambiguous``, ``clear``, ``passages`` or ``answers``."""
    suite: str
    metric: str


SUBJECTS = (
    Subject("pairs", "occupations", "preference-log-ratio"),
    Subject("ambiguous", "domain-qa", "qa-bias-log-ratio"),
    Subject("clear", "domain-qa", "qa-accuracy-disambiguated"),
    Subject("passages", "plain-text", "bits-per-byte"),
    Subject("answers", "identity-prompts", "degeneration-rate"),
)
"""The rules of the default policy, in its order."""
SHIFTED = ("pairs", "ambiguous", "passages")
"""Subjects whose effect is a constant for every item; the others are shares."""


@dataclass(frozen=True, slots=True, eq=False)
class Population:
    """One subject in the pool: base and adapter on the same items."""

    items: Items
    base: Floats
    """(items,), or (items, draws) of answers."""
    tuned: Floats
    weight: Floats | None = None
    """Bytes of a passage; None where every item counts once."""

    def value(self, values: Floats) -> float:
        """The statistic over the population."""
        own = values if values.ndim == 1 else values.mean(axis=1)
        if self.weight is None:
            return self.items.mean(own)
        return self.items.mean(own) / self.items.mean(self.weight)

    @property
    def change(self) -> float:
        """The adapter's own true change."""
        return self.value(self.tuned) - self.value(self.base)


def population(pool: Pool, subject: str, model: str) -> Population:
    """The base and one of the pool's models, which may be the base again, on a subject's items."""
    at = MODELS.index(model)
    if subject == "answers":
        return Population(Items(pool.prompt_wordings), pool.degenerate[0], pool.degenerate[at])
    if subject == "passages":
        return Population(Items(np.arange(len(pool.bytes))), pool.bits[0], pool.bits[at], pool.bytes)
    wordings = {"pairs": pool.pair_wordings, "ambiguous": pool.ambiguous_wordings, "clear": pool.clear_wordings}
    values = {"pairs": pool.pairs, "ambiguous": pool.ambiguous, "clear": pool.clear}[subject]
    return Population(Items(wordings[subject]), values[0], values[at])


def wordings(rng: np.random.Generator, pool: Pool, profile: str, sets: int) -> dict[str, Ints]:
    """New wordings of every subject; both kinds of questions share theirs."""
    items = {subject.name: population(pool, subject.name, "base").items for subject in SUBJECTS}
    passages = SIZES[profile]["passages"]
    found = {
        name: new_wordings(rng, own, sets, passages if name == "passages" else None) for name, own in items.items()
    }
    return found | {"clear": found["ambiguous"]}


def shift(what: Population, harm: float, target: float | None, *, over: bool = False) -> float:
    """The constant that turns the centred adapter into a variant with this true harm.

    Args:
        what: base and adapter.
        harm: wanted.
        target: the neutral value; None where lower is better.
        over: whether the variant passes the target and does its harm on the other side.
    """
    if target is None:
        return harm
    side = 1.0 if what.value(what.base) > target else -1.0
    away = abs(what.value(what.base) - target)
    return -side * (2 * away + harm) if over else side * harm


def moved(
    rng: np.random.Generator,
    what: Population,
    chosen: Mapping[str, Ints],
    subject: str,
    profile: str,
    by: float,
    *,
    spread: str = "even",
    units: int | None = None,
) -> Sides:
    """Data sets of a mean: the adapter centred to no change, plus a constant for every unit (times its weight).

    Args:
        rng: source of randomness.
        what: base and adapter.
        chosen: from :func:`wordings`.
        subject: one of :data:`SHIFTED`.
        profile: ``quick`` or ``standard``.
        by: the constant, on average over the population.
        spread: one of :data:`benchmarks.validity.drawing.STEPS`.
        units: of a data set, where it is not the whole subject.
    """
    sizes = dealt(units or SIZES[profile][subject], chosen[subject].shape[1])
    rows = what.items.draw(rng, chosen[subject], sizes)
    weight = np.ones(rows.shape) if what.weight is None else what.weight[rows]
    base = what.base[rows]
    reach = reached(what.items, spread)
    mass = reach if what.weight is None else reach * what.weight
    added = by * reach * (what.value(weight_of(what)) / what.value(mass)) - what.change
    tuned = what.tuned[rows] + added[rows] * weight + rng.normal(0, ROUNDING, rows.shape)
    statistic = MEAN if what.weight is None else BITS_PER_BYTE
    return Sides(base, tuned, sizes, statistic, weight=None if what.weight is None else weight)


def weight_of(what: Population) -> Floats:
    """Weight of each item, (items,)."""
    return np.ones(len(what.items.wordings)) if what.weight is None else what.weight


@dataclass(frozen=True, slots=True, eq=False)
class Turned:
    """How answers are turned so that a share's true change is the wanted one."""

    to: float
    """What they are turned to, 1 or 0."""
    chance: Floats
    """Chance that an answer that is not there yet is turned, by item, (items,)."""


def turning(what: Population, change: float, *, spread: str = "even") -> Turned:
    """Chances under which the adapter's share ends at the base's plus ``change``.

    Args:
        what: base and adapter.
        change: wanted true change of the share.
        spread: one of :data:`benchmarks.validity.drawing.STEPS`: of which wordings items are turned.

    Raises:
        ValueError: there are not enough answers to turn.
    """
    tuned = what.tuned if what.tuned.ndim == 1 else what.tuned.mean(axis=1)
    wanted = what.value(what.base) + change
    to = 1.0 if wanted > what.items.mean(tuned) else 0.0
    reach = reached(what.items, spread)
    room = what.items.mean(np.abs(to - tuned) * reach)
    missing = abs(wanted - what.items.mean(tuned))
    if missing > room:
        raise ValueError(f"a change of {change:g} needs {missing:.3f} of answers turned, {room:.3f} can be")
    return Turned(to, reach * (missing / room if missing else 0.0))


def turned(
    rng: np.random.Generator,
    what: Population,
    how: Turned | None,
    chosen: Mapping[str, Ints],
    subject: str,
    profile: str,
    *,
    common: bool = True,
    units: int | None = None,
) -> Sides:
    """Data sets of a share: the adapter's answers, some of them turned.

    Args:
        rng: source of randomness.
        what: base and adapter.
        how: from :func:`turning`; None leaves the adapter as it is.
        chosen: from :func:`wordings`.
        subject: ``clear`` or ``answers``.
        profile: ``quick`` or ``standard``.
        common: whether answers of base and adapter to one prompt share their random numbers.
        units: of a data set, where it is not the whole subject.
    """
    sizes = dealt(units or SIZES[profile][subject], chosen[subject].shape[1])
    rows = what.items.draw(rng, chosen[subject], sizes)
    base, tuned = sampled(rng, what, rows, common)
    if how is not None:
        flip = rng.random(tuned.shape) < how.chance[rows][..., None]
        tuned = np.where(flip, how.to, tuned)
    return Sides(base.mean(axis=2), tuned.mean(axis=2), sizes, RATE, draws=base.shape[2])


def sampled(rng: np.random.Generator, what: Population, rows: Ints, common: bool) -> tuple[Floats, Floats]:
    """Answers of base and adapter, (sets, units, draws): draws of the pool, the same numbers on both sides or not.

    Draws of one number share their random numbers; two numbers chosen apart are independent draws.
    """
    if what.base.ndim == 1:
        return what.base[rows][..., None], what.tuned[rows][..., None]
    numbers = rng.integers(what.base.shape[1], size=(*rows.shape, DRAWS))
    other = numbers if common else rng.integers(what.base.shape[1], size=numbers.shape)
    return what.base[rows[..., None], numbers], what.tuned[rows[..., None], other]


def expected_maximum(values: Floats, draws: int) -> Floats:
    """Mean of the largest of ``draws`` values drawn with replacement from each row, (rows,)."""
    size = values.shape[1]
    steps = (np.arange(size + 1) / size) ** draws
    return np.asarray(np.sort(values, axis=1) @ np.diff(steps))
