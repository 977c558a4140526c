"""Anytime-valid confidence sequences for bounded means over clusters that are sampled in random order.

A fixed-n interval errs with probability alpha at the one n it was made for; looked at after every round until it says
what is hoped for, it errs far more often. The ends here hold at every look at once: the chance that a lower end ever
lies over the truth is at most alpha, so sampling may stop as soon as a verdict is settled.

The construction is a bet (Waudby-Smith and Ramdas 2024, "Estimating means of bounded random variables by betting").
Against "the value is at most m" a gambler stakes the same fraction f of the largest possible stake on every cluster;
were the claim true, the wealth would be a non-negative supermartingale that begins at 1, and by Ville's inequality it
would ever reach 1 / alpha with probability alpha at most. The capital split over a fixed set of fractions (their
"diversified Kelly" bet) is such a wealth again and estimates nothing. The lower end is the largest m refuted; the upper
end is that of the mirrored values.

A cluster brings the sums of its units' numerators and weights, and what is bet on is numerator - m weight: at the true
ratio its expectation is 0. So the sequence holds for ratios of sums with bounded weights, hence for clusters of unequal
size, and for the estimand of the fixed-n intervals (new clusters of the same kind), not for a mean of cluster means.
The wealth does not depend on the order in which the clusters of a round come. A difference of two ratios whose weights
differ between base and variant is no bounded mean, and is refused.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from audit.errors import UsageError
from audit.metrics.harm import Harm
from audit.metrics.paired import Pair, pair_units
from audit.metrics.units import Array, Statistic, Units, cluster_sums
from audit.schema import Direction

FRACTIONS: Array = 2.0 ** (-np.arange(16) / 2.0)
"""Stakes as shares of the largest one: from everything down to 1/181, which suits harms far under their spread."""
SHARES: Array = (1.0 / np.arange(1, 17)) / (1.0 / np.arange(1, 17)).sum()
"""What each stake is given at the start. Small changes beside a margin want large stakes, and these settle first; with
equal shares the same verdicts took up to a third more clusters (in settings of benchmarks.sequential)."""
SIDE = 0.1
"""Share of a rule's error spent on the question on which side of a target the base lies."""
METHOD = "betting confidence sequence over clusters in random order"
_HALVINGS = 40


@dataclass(frozen=True, slots=True)
class Order:
    """The clusters of a suite in the order of sampling, as far as they were sampled."""

    place: Mapping[str, int]
    """Cluster of a unit (its template) -> number of what is drawn at once; clusters of one pair share a number."""
    looks: tuple[int, ...]
    """How many of those numbers had been drawn at the end of each round, rising."""
    largest: int
    """Most units that one number can hold in the whole suite, known before anything is sampled."""


def unfit(statistic: Statistic) -> str:
    """Why no sequence can bound a statistic; empty where one can.

    Args:
        statistic: of the metric.

    Returns:
        The reason in words, without a full stop.
    """
    if statistic.pseudo:
        return "its values are pseudo-values, which have no bound"
    if statistic.exp or statistic.range is None:
        return "its values have no bound on both sides"
    if statistic.kind == "ratio":
        return "its weights have no bound known beforehand"
    return ""


def unfit_units(base: Units | None, variant: Units) -> str:
    """Why no sequence can bound these units, which only the answers tell; empty where one can.

    Args:
        base: units of the base; None where the rule has none.
        variant: units of the variant.

    Returns:
        The reason in words, without a full stop.
    """
    if any((side.columns[side.valued, 1] > 1).any() for side in (base, variant) if side is not None):
        return "a unit weighs more than 1, so its weight has no bound known beforehand"
    if base is None:
        return ""
    pair = pair_units(base, variant)
    if not np.array_equal(pair.base.columns[:, 1], pair.tuned.columns[:, 1]):
        return "the weights of base and variant differ with their answers, so that the change is no bounded mean"
    return ""


def log_wealth(numerator: Array, weight: Array, margin: float, *, limits: tuple[float, float], largest: float) -> Array:
    """Wealth of betting that a ratio of sums lies over a margin, after every cluster.

    Args:
        numerator: sum of numerators per cluster, in the order of sampling, shape (..., G).
        weight: sum of weights per cluster, same shape, each at most ``largest``.
        margin: the value bet against.
        limits: smallest and largest possible ratio.
        largest: greatest possible weight of a cluster, known beforehand.

    Returns:
        Natural logarithm of the wealth, shape (..., G); it begins at 0 before the first cluster. A value of
        -log(alpha) or more refutes "at most the margin" at one-sided level alpha, at whatever cluster it is reached.

    Raises:
        UsageError: the margin does not lie over the lower limit, or a cluster outweighs ``largest``.
    """
    if not margin > limits[0]:
        raise UsageError(f"nothing can be bet against a margin of {margin:g}: no value lies under {limits[0]:g}")
    if np.size(weight) and np.max(weight) > largest * (1 + 1e-9):
        raise UsageError(f"a cluster weighs {np.max(weight):g}, more than the {largest:g} that bound the stakes")
    gain = _gains(np.asarray(numerator - limits[0] * weight), np.asarray(weight), margin - limits[0], largest)
    wealth = np.full(gain.shape, -np.inf)
    for fraction, part in zip(FRACTIONS, SHARES, strict=True):
        np.logaddexp(wealth, np.log(part) + np.cumsum(_log1p(fraction * gain), axis=-1), out=wealth)
    return np.asarray(wealth)


def _gains(over: Array, weight: Array, span: float | Array, largest: float) -> Array:
    """What a stake of 1 gains on each cluster, at least -1; falls as the margin rises.

    Args:
        over: numerator less the lower limit times the weight, at least 0.
        weight: of each cluster.
        span: margin less the lower limit.
        largest: greatest weight.
    """
    return np.asarray((np.maximum(over, 0.0) / span - weight) / largest)


def _log1p(values: Array) -> Array:
    """log(1 + x) for x >= -1; a gambler who staked everything and lost has nothing left."""
    with np.errstate(divide="ignore"):
        return np.asarray(np.log1p(np.maximum(values, -1.0)))


def sequence(
    numerator: Array,
    weight: Array,
    looks: tuple[int, ...],
    *,
    limits: tuple[float, float],
    largest: float,
    alphas: tuple[float, float],
) -> tuple[Array, Array]:
    """Confidence sequence of a ratio of sums at the end of each round.

    Args:
        numerator: sum of numerators per cluster, in the order of sampling, shape (G,).
        weight: sum of weights per cluster, shape (G,).
        looks: clusters sampled at the end of each round, shape (R,).
        limits: smallest and largest possible ratio.
        largest: greatest possible weight of a cluster, known beforehand.
        alphas: one-sided error of the lower and of the upper end, each over all rounds together.

    Returns:
        Lower and upper ends, each (R,); an end never moves back, since the earlier one holds too.

    Raises:
        UsageError: a cluster outweighs ``largest``.
    """
    low, high = limits
    ends = [
        [_lower_end(part[:look], weight[:look], bound, largest, alpha) for look in looks]
        for part, bound, alpha in ((numerator, (low, high), alphas[0]), (-numerator, (-high, -low), alphas[1]))
    ]
    return np.maximum.accumulate(np.array(ends[0])), np.minimum.accumulate(-np.array(ends[1]))


def _lower_end(numerator: Array, weight: Array, limits: tuple[float, float], largest: float, alpha: float) -> float:
    """Largest value refuted at level alpha by all clusters together; the lower limit where none is.

    What a bet gains falls with the value bet against, and so does the wealth: halving finds the end.
    """
    rows, counts = np.unique(np.stack([numerator - limits[0] * weight, weight], axis=1), axis=0, return_counts=True)
    over, size = rows.T
    if size.size and size.max() > largest * (1 + 1e-9):
        raise UsageError(f"a cluster weighs {size.max():g}, more than the {largest:g} that bound the stakes")
    refuted, kept = 0.0, limits[1] - limits[0]
    for _ in range(_HALVINGS):
        middle = (refuted + kept) / 2.0
        if middle <= 0.0:
            break
        logs = _log1p(FRACTIONS[:, None] * _gains(over, size, middle, largest)) @ counts
        if np.logaddexp.reduce(logs + np.log(SHARES)) >= -np.log(alpha):
            refuted = middle
        else:
            kept = middle
    return limits[0] + refuted


# -- harm --


def paired_sequence(
    base: Units,
    variant: Units,
    order: Order,
    direction: Direction,
    target: float | None,
    *,
    alpha_pass: float,
    alpha_fail: float,
) -> tuple[Harm, Harm]:
    """Harm of a variant against its base after the rounds so far; see :func:`audit.metrics.harm.paired_harm`.

    Args:
        base: units of the base, of the same rounds.
        variant: units of the variant.
        order: of sampling.
        direction: of the metric.
        target: the neutral value where the direction is ``target``.
        alpha_pass: one-sided error of the test that lets a rule pass, over all rounds together.
        alpha_fail: one-sided error of the test that fails it, over all rounds together.

    Returns:
        Harm as the passing and as the failing test read it.

    Raises:
        UsageError: the direction is ``target`` and there is no target; or the units are unfit.
    """
    pair = pair_units(base, variant)
    _check(base, variant, direction, target)
    found = []
    for alpha, fails in ((alpha_pass, False), (alpha_fail, True)):
        if target is not None and direction == "target":
            found.append(_band(pair, order, target, alpha, fails))
        else:
            low, high = _contrast(pair, order, alpha, 1.0)
            ends = (-high, -low) if direction == "higher" else (low, high)
            found.append(_harm(pair, order, direction, target, ends, alpha))
    return found[0], found[1]


def absolute_sequence(
    units: Units,
    order: Order,
    direction: Direction,
    target: float | None,
    *,
    alpha_pass: float,
    alpha_fail: float,
) -> tuple[Harm, Harm]:
    """Harm of one model by itself after the rounds so far; see :func:`audit.metrics.harm.absolute_harm`.

    Args:
        units: of the model.
        order: of sampling.
        direction: of the metric.
        target: the neutral value, or the middle of a band, where the direction is ``target``.
        alpha_pass: one-sided error of the passing test, over all rounds together.
        alpha_fail: one-sided error of the failing test, over all rounds together.

    Returns:
        Harm as the passing and as the failing test read it.

    Raises:
        UsageError: the direction is ``target`` and there is no target; or the units are unfit.
    """
    _check(None, units, direction, target)
    found = []
    for alpha, fails in ((alpha_pass, False), (alpha_fail, True)):
        # Both sides of a target may fail the rule: half the error each.
        end = alpha / 2 if fails and direction == "target" else alpha
        low, high = _one(units.ordered(), order, (end, end))
        value = units.value()
        if direction == "higher":
            low, high, value = -high, -low, None if value is None else -value
        elif direction == "target":
            assert target is not None
            low, high = max(low - target, target - high), max(high - target, target - low)
            value = None if value is None else abs(value - target)
        n, clusters = len(units.ids) - units.missing, _clusters(units.ordered(), order)
        found.append(_told(value, low, high, alpha, order, n, clusters, units.missing))
    return found[0], found[1]


def _check(base: Units | None, variant: Units, direction: Direction, target: float | None) -> None:
    """Refuse units that no sequence can bound, and a target metric without its target."""
    problem = unfit(variant.statistic) or unfit_units(base, variant)
    if problem:
        raise UsageError(f"no confidence sequence for {variant.statistic.name!r}: {problem}")
    if direction == "target" and target is None:
        raise UsageError("a metric whose direction is 'target' needs a target")


def _values(units: Units) -> tuple[Array, tuple[float, float]]:
    """Numerators on the scale of the value, (n,), with the limits of the value."""
    statistic = units.statistic
    assert statistic.range is not None
    low, high = statistic.range
    numerator, weight = units.columns.T
    return (low * weight + (high - low) * numerator if statistic.kind == "rate" else numerator), (low, high)


def _sums(units: Units, values: Array, order: Order) -> tuple[Array, Array]:
    """Sums of values and weights of what was drawn at once, in the order of sampling, each (G,)."""
    index = np.array([order.place[name] for name in units.clusters], dtype=np.intp)
    count = order.looks[-1] if order.looks else 0
    sums = cluster_sums(np.stack([values, units.columns[:, 1]], axis=1), index, count)
    return sums[:, 0], sums[:, 1]


def _one(units: Units, order: Order, alphas: tuple[float, float]) -> tuple[float, float]:
    """The ends for the value of one model."""
    values, limits = _values(units)
    low, high = sequence(*_sums(units, values, order), order.looks, limits=limits, largest=order.largest, alphas=alphas)
    return (float(low[-1]), float(high[-1])) if low.size else limits


def _contrast(pair: Pair, order: Order, alpha: float, sign: float) -> tuple[float, float]:
    """The ends for tuned - sign * base, each at alpha; both have the same weights."""
    (before, (low, high)), (after, _) = _values(pair.base), _values(pair.tuned)
    limits = (low - high, high - low) if sign > 0 else (2 * low, 2 * high)
    sums = _sums(pair.tuned, after - sign * before, order)
    lower, upper = sequence(*sums, order.looks, limits=limits, largest=order.largest, alphas=(alpha, alpha))
    return (float(lower[-1]), float(upper[-1])) if lower.size else limits


def _band(pair: Pair, order: Order, target: float, alpha: float, fails: bool) -> Harm:
    """Harm towards a target: bounds of |tuned - t| - |base - t|, as :func:`audit.metrics.harm.paired_harm` has them.

    A tenth of the error goes to the base's side of the target. While that is not known, harm is bounded above by
    |tuned - base|.
    """
    own = _one(pair.base, order, (SIDE * alpha / 2, SIDE * alpha / 2))
    # Either side may fail a rule, so each is tested at half the level; to pass, both must hold.
    rest = (1 - SIDE) * alpha / (2 if fails else 1)
    near, far = _contrast(pair, order, rest, 1.0), _contrast(pair, order, rest, -1.0)
    unknown = own[0] <= target <= own[1]
    sides = (1.0, -1.0) if unknown else (1.0 if own[0] > target else -1.0,)
    total = (far[0] - 2 * target, far[1] - 2 * target)
    ends = {}
    for sigma in (1.0, -1.0):
        for side in sides:
            low, high = near if side == sigma else total
            ends[sigma, side] = (low, high) if sigma > 0 else (-high, -low)
    upper = max(near[1], -near[0]) if unknown else max(high for _, high in ends.values())
    lower = max(min(ends[sigma, side][0] for side in sides) for sigma in (1.0, -1.0))
    return _harm(pair, order, "target", target, (lower, upper), alpha)


def _harm(
    pair: Pair, order: Order, direction: Direction, target: float | None, ends: tuple[float, float], alpha: float
) -> Harm:
    """The record of a paired harm."""
    before, after = pair.base.value(), pair.tuned.value()
    value = None
    if before is not None and after is not None:
        value = after - before if direction == "lower" else before - after
        if direction == "target" and target is not None:
            value = abs(after - target) - abs(before - target)
    clusters = _clusters(pair.tuned, order)
    return _told(value, *ends, alpha, order, len(pair.tuned.ids), clusters, pair.missing)


def _told(
    value: float | None, low: float, high: float, alpha: float, order: Order, n: int, clusters: int, missing: int
) -> Harm:
    rounds = len(order.looks)
    method = f"{METHOD}, after {rounds} {'round' if rounds == 1 else 'rounds'}"
    if value is None:
        return Harm(None, None, None, 1 - 2 * alpha, method, n, clusters, missing)
    return Harm(value, low, high, 1 - 2 * alpha, method, n, clusters, missing)


def _clusters(units: Units, order: Order) -> int:
    """How many things that are drawn at once have weight here."""
    entering: npt.NDArray[np.bool_] = units.columns[:, 1] > 0
    return len({order.place[name] for name, counts in zip(units.clusters, entering, strict=True) if counts})
