"""What the gate decides about many data sets at once, by the functions that the gate itself calls.

``audit.gate.judge`` decides one data set; here its interval functions are given thousands. :func:`check` puts some of
the data sets to ``audit.gate.judge`` itself and fails where it decides otherwise.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from audit import gate
from audit.metrics import estimation, paired, registry
from audit.metrics.power import finest_margin
from audit.metrics.units import Statistic, Units
from audit.policy import Rule
from benchmarks.validity.pool import Floats, Ints

ALPHA = 0.05
_CHUNK = 100
Bools = npt.NDArray[np.bool_]
Interval = tuple[Floats, Floats]


@dataclass(frozen=True, slots=True, eq=False)
class Sides:
    """Base and variant in many data sets of one shape."""

    base: Floats
    """Numerator of each unit, (sets, units)."""
    tuned: Floats
    sizes: Ints
    """Units of each cluster, clusters one after another, (clusters,)."""
    statistic: Statistic
    draws: int = 1
    """Binary draws behind one unit (rates only)."""
    weight: Floats | None = None
    """Weight of each unit, the same on both sides, (sets, units); None where all are 1."""

    def sums(self, values: Floats) -> Floats:
        """Sums within clusters, (sets, clusters)."""
        return np.asarray(np.add.reduceat(values, np.cumsum(self.sizes) - self.sizes, axis=1))

    @property
    def weights(self) -> Floats:
        """Sums of weights within clusters, (sets, clusters)."""
        if self.weight is not None:
            return self.sums(self.weight)
        return np.broadcast_to(self.sizes.astype(np.float64), (len(self.base), len(self.sizes)))

    def moves(self, sign: float) -> tuple[Floats, Floats] | None:
        """Total rise and fall over units as shares of the range, each (sets,); None where there is no range."""
        limits = self.statistic.range
        if limits is None or self.weight is not None:
            return None
        span = 1.0 if self.statistic.kind == "rate" else limits[1] - limits[0]
        before = self.base if sign > 0 else paired.reflect(self.base, np.ones_like(self.base), self.statistic)
        move = (self.tuned - before) / span
        return np.maximum(move, 0).sum(axis=1), np.maximum(-move, 0).sum(axis=1)

    def difference(self, level: float, sign: float = 1.0) -> Interval:
        """The gate's interval of tuned - sign * base in every data set."""
        sides = [(self.sums(values), self.weights) for values in (self.base, self.tuned)]
        moves = self.moves(sign)
        ends = []
        for start in range(0, len(self.base), _CHUNK):
            rows = slice(start, start + _CHUNK)
            first, second = ((values[rows], weights[rows]) for values, weights in sides)
            part = None if moves is None else (moves[0][rows], moves[1][rows])
            low, high, _ = paired.difference_bounds(
                first, second, part, self.statistic, self.draws, level, sign=sign, seed=0
            )
            ends.append((low, high))
        return np.concatenate([low for low, _ in ends]), np.concatenate([high for _, high in ends])

    def own(self, side: Floats, level: float) -> Interval:
        """The interval of one side's own value in every data set."""
        values, weights, ends = self.sums(side), self.weights, []
        for start in range(0, len(values), _CHUNK):
            rows = slice(start, start + _CHUNK)
            low, high, _ = estimation.bounds(values[rows], weights[rows], self.statistic, self.draws, level, seed=0)
            ends.append((low, high))
        return np.concatenate([low for low, _ in ends]), np.concatenate([high for _, high in ends])

    def value(self, values: Floats) -> Floats:
        """The statistic of one side, (sets,)."""
        return self.statistic.combine(np.stack([values.sum(axis=1), self.weights.sum(axis=1)], axis=-1))

    def units(self, at: int) -> tuple[Units, Units]:
        """One data set as the gate reads it, base and variant."""
        names = tuple(f"unit-{number:05d}" for number in range(self.base.shape[1]))
        clusters = tuple(f"cluster-{number:04d}" for number in np.repeat(np.arange(len(self.sizes)), self.sizes))
        weight = np.ones(len(names)) if self.weight is None else self.weight[at]
        base, tuned = (
            Units(names, clusters, np.stack([side[at], weight], axis=1), self.statistic, draws=self.draws)
            for side in (self.base, self.tuned)
        )
        return base, tuned


@dataclass(frozen=True, slots=True, eq=False)
class Harms:
    """Bounds of harm in every data set, as the passing and the failing test read it."""

    passing: Interval
    failing: Interval
    finest: float = 0.0
    """The finest margin that so many units can show; 0 where the interval itself knows what was not seen."""

    def passes(self, margin: float) -> Bools:
        """Where a rule of this margin passes by itself, (sets,); never where the failing test fails it."""
        low, high = self.passing
        unseen = (margin < self.finest) & (high + self.finest >= margin)
        return np.asarray(_decides(low, high) & (high < margin) & ~unseen & ~self.fails(margin))

    def fails(self, margin: float) -> Bools:
        """Where the failing test rejects, (sets,)."""
        low, high = self.failing
        return np.asarray(_decides(low, high) & (low > margin))


def _decides(low: Floats, high: Floats) -> Bools:
    return np.asarray(np.isfinite(low) & np.isfinite(high) & (high > low))


@dataclass(frozen=True, slots=True, eq=False)
class Found:
    """The intervals of data sets, from which harm follows for every amount by which the variant is shifted.

    Adding a constant to every unit of the variant (times its weight) moves the difference's interval by that constant
    and changes nothing else; so one bootstrap serves all effects of a mean.
    """

    direction: str
    target: float
    near: tuple[Interval, Interval]
    """Of tuned - base, at the passing and at the failing test's level."""
    far: tuple[Interval, Interval] | None
    """Of tuned + base, for a target."""
    own: tuple[Interval, Interval] | None
    """Of the base, at a tenth of the error, for a target."""
    before: Floats
    finest: float
    """As in :class:`Harms`."""

    def harms(self, shift: float = 0.0) -> Harms:
        """Harm where the variant is shifted by so much."""
        near = [(low + shift, high + shift) for low, high in self.near]
        if self.direction == "lower":
            return Harms(near[0], near[1], self.finest)
        if self.direction == "higher":
            passing, failing = ((-high, -low) for low, high in near)
            return Harms(passing, failing, self.finest)
        assert self.far is not None and self.own is not None
        far = [(low + shift, high + shift) for low, high in self.far]
        passing, failing = (self._band(*parts) for parts in zip(near, far, self.own, strict=True))
        return Harms(passing, failing, self.finest)

    def _band(self, near: Interval, far: Interval, own: Interval) -> Interval:
        """Bounds of |tuned - target| - |base - target|; ``audit.metrics.harm`` says why."""
        low, high, target = *near, self.target
        down, up = far[0] - 2 * target, far[1] - 2 * target
        known = ~((own[0] <= target) & (target <= own[1])) & np.isfinite(own[0]) & np.isfinite(own[1])
        over = self.before > target
        upper = np.where(over, np.maximum(high, -down), np.maximum(-low, up))
        lower = np.where(over, np.maximum(low, -up), np.maximum(-high, down))
        unsure = np.maximum(np.minimum(low, down), np.minimum(-up, -high))
        upper = np.where(known, upper, np.maximum(high, -low))
        lower = np.where(known, lower, unsure)
        none = ~(np.isfinite(low) & np.isfinite(high) & np.isfinite(down) & np.isfinite(up))
        return np.where(none, np.nan, lower), np.where(none, np.nan, upper)


def find(sides: Sides, metric: str, *, alpha: float = ALPHA, alpha_fail: float = ALPHA) -> Found:
    """The intervals behind a rule on ``metric``, by the production functions.

    Args:
        sides: data sets.
        metric: name in the registry; says which way is harm.
        alpha: one-sided level of the passing test.
        alpha_fail: one-sided level of the failing test (after Holm: alpha over the number of rules).
    """
    about = registry.get(metric)
    band = about.direction == "target"
    # Either side of a target may fail a rule, so each is tested at half the level.
    levels = (1 - 2 * alpha, 1 - (alpha_fail if band else 2 * alpha_fail))
    near = (sides.difference(levels[0]), sides.difference(levels[1]))
    far = (sides.difference(levels[0], -1.0), sides.difference(levels[1], -1.0)) if band else None
    tenths = [1 - (1 - level) / 10 for level in levels]
    own = (sides.own(sides.base, tenths[0]), sides.own(sides.base, tenths[1])) if band else None
    finest = finest_margin(sides.statistic, sides.base.shape[1], alpha)
    return Found(about.direction, about.target or 0.0, near, far, own, sides.value(sides.base), finest)


def bounds(sides: Sides, metric: str, *, alpha: float = ALPHA, alpha_fail: float = ALPHA) -> Harms:
    """Bounds of the variant's own value, by the production functions: what an absolute rule reads.

    Args:
        sides: data sets; the base plays no part.
        metric: name in the registry, of the direction ``lower`` or ``higher``.
        alpha: one-sided level of the passing test.
        alpha_fail: one-sided level of the failing test.
    """
    ends = [sides.own(sides.tuned, 1 - 2 * level) for level in (alpha, alpha_fail)]
    if registry.get(metric).direction == "higher":
        ends = [(-high, -low) for low, high in ends]
    return Harms(ends[0], ends[1])


Tables = tuple[gate.UnitsOf, gate.UnitsOf]


def key(rule: Rule, scorer: str = "embedded") -> gate.Key:
    """Where the gate looks for a rule's units."""
    return rule.suite, rule.metric, registry.get(rule.metric).scorer.replace("*", scorer)


def hold(rules: Sequence[Rule], tables: Callable[[int], Tables], passed: Bools, failed: Bools, sets: int) -> None:
    """Put the first data sets to ``audit.gate.judge`` and compare.

    Args:
        rules: of a policy.
        tables: units of base and variant in one data set.
        passed: where this benchmark says that the whole passes, (sets,).
        failed: where it says that the whole fails.
        sets: how many data sets are put to the gate.

    Raises:
        RuntimeError: the gate decides otherwise.
    """
    for at in range(min(sets, len(passed))):
        said = gate.overall([result.verdict for _, result in gate.judge(rules, *tables(at))])
        expected = "fail" if failed[at] else "pass" if passed[at] else "inconclusive"
        if said != expected:
            names = ", ".join(rule.metric for rule in rules)
            raise RuntimeError(f"data set {at} of {names}: the gate says {said}, this benchmark {expected}")


def check(
    sides: Sequence[Sides], metrics: Sequence[str], margins: Sequence[float], harms: Sequence[Harms], sets: int = 5
) -> None:
    """Put the first data sets to the gate, each of these a suite with one rule against the base; see :func:`hold`.

    Args:
        sides: of each rule.
        metrics: of each rule.
        margins: of each rule.
        harms: of each rule, its failing test at alpha over the number of rules.
        sets: how many data sets are put to the gate.

    Raises:
        RuntimeError: the gate decides otherwise.
    """
    rules = [
        Rule(f"suite-{at}", name, margin, "") for at, (name, margin) in enumerate(zip(metrics, margins, strict=True))
    ]

    def tables(at: int) -> Tables:
        units = [side.units(at) for side in sides]
        first, second = ({key(rule): both[which] for rule, both in zip(rules, units, strict=True)} for which in (0, 1))
        return first, second

    decided = list(zip(harms, margins, strict=True))
    passed = np.all([one.passes(margin) for one, margin in decided], axis=0)
    failed = np.any([one.fails(margin) for one, margin in decided], axis=0)
    hold(rules, tables, passed, failed, sets)


def check_absolute(sides: Sides, metric: str, bound: float, harms: Harms, sets: int = 1) -> None:
    """Put the first data sets to the gate, with one absolute rule and no base; see :func:`hold`.

    Args:
        sides: data sets.
        metric: of the rule.
        bound: the value not to be passed, in the metric's unit.
        harms: from :func:`bounds`.
        sets: how many data sets are put to the gate.

    Raises:
        RuntimeError: the gate decides otherwise.
    """
    rule = Rule("suite", metric, bound, "", kind="absolute")
    margin = as_harm(metric, bound)
    hold([rule], lambda at: ({}, {key(rule): sides.units(at)[1]}), harms.passes(margin), harms.fails(margin), sets)


def as_harm(metric: str, value: float) -> float:
    """A value as harm: its negative where higher is better."""
    return -value if registry.get(metric).direction == "higher" else value
