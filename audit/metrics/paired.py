"""Variant minus base on identical units: which formula is used when.

* Rate, five effective discordant units or more: Tango's score interval at effective n; clustered draws no narrower than
  Hall's skewness-corrected t on clusters.
* Rate, fewer: exact discordant shares joined by square-and-add; clustered draws at the number of clusters.
* Mean or ratio: Student's t on clusters, no narrower than Hall's skewness-corrected t; from 30 clusters on no narrower
  than the studentised bootstrap of both sides over the same clusters either.
* Bounded, with fewer than five clusters that differ or fewer than three that carry a mean's difference: exact shares of
  the range at the number of clusters.
* Unbounded, fewer than five clusters that differ; one cluster; no unit: no interval.

McNemar and sign-flip tests stand beside them. They test zero, not a margin, and decide nothing.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from audit.errors import UsageError
from audit.metrics import intervals, resample
from audit.metrics.estimation import (
    BOOTSTRAP,
    FEW,
    NO_VARIATION,
    SMALL,
    SMALL_SAMPLE,
    TOO_FEW_VARY,
    Methods,
    bounds,
    check_level,
    finite_ends,
    without_interval,
)
from audit.metrics.units import Array, Statistic, Units, cluster_index, cluster_sums

POWER = 0.8
DIFFERING = 3.0
"""Effective clusters that differ, (sum |d|)^2 / sum d^2, under which a bounded mean's spread is not trusted."""
SCORE = "Tango's paired score at effective n"
SCORE_AND_SKEW = f"{SCORE}, at least Hall's corrected t"


@dataclass(frozen=True, slots=True)
class PairedDifference:
    """Variant minus base, with what a reader needs to judge it. Field names are those of the report's schema."""

    base: float | None
    """The base's value on the paired units."""
    tuned: float | None
    """The variant's value on the paired units."""
    difference: float | None
    """tuned - base, in the metric's own unit."""
    low: float | None
    high: float | None
    level: float
    method: str
    n: int
    """Units with a value on both sides."""
    clusters: int
    missing: int
    """Units without a value on one side or the other, or present on one side only."""
    correlation: float | None
    """Correlation of base and variant over clusters; None under 3 clusters or without spread."""
    mcnemar_p: float | None
    """Exact McNemar test; None unless units are single draws and their own clusters."""
    sign_flip_p: float | None
    """Sign-flip test over clusters; None under 2 clusters."""


@dataclass(frozen=True, slots=True)
class Contrast:
    """tuned - sign * base with an interval: the part of a paired difference that a gate needs."""

    value: float | None
    low: float | None
    high: float | None
    level: float
    method: str
    n: int
    clusters: int
    missing: int


@dataclass(frozen=True, slots=True, eq=False)
class Pair:
    """Two models' units, row by row the same, with their cluster sums."""

    base: Units
    tuned: Units
    missing: int
    sums: tuple[tuple[Array, Array], tuple[Array, Array]]
    """(numerators, weights) of base and of tuned, each (G,); clusters without weight on either side left out."""

    @property
    def usable(self) -> bool:
        """Whether both sides have a value."""
        return self.base.value() is not None and self.tuned.value() is not None


def pair_units(base: Units, tuned: Units) -> Pair:
    """Align two runs by unit id.

    Args:
        base: units of the base model.
        tuned: units of the variant, same statistic.

    Returns:
        Rows valued on both sides, sorted by id. Ids on one side only, and rows without a value on either side, are
        counted as missing.

    Raises:
        UsageError: the statistics differ, draws per unit differ, or one id has two clusters.
    """
    if base.statistic != tuned.statistic:
        raise UsageError(
            f"cannot pair {base.statistic.name!r} with {tuned.statistic.name!r}; compare the same metric and variant"
        )
    if base.draws != tuned.draws and base.ids and tuned.ids:
        raise UsageError(
            f"base has {base.draws} draws a unit and the variant {tuned.draws}; compare runs with equal --samples"
        )
    first, second = base.ordered(), tuned.ordered()
    here, there = ({name: i for i, name in enumerate(side.ids)} for side in (first, second))
    shared = [name for name in first.ids if name in there]
    left, right = first.take([here[name] for name in shared]), second.take([there[name] for name in shared])
    if left.clusters != right.clusters:
        name = next(i for i, a, b in zip(shared, left.clusters, right.clusters, strict=True) if a != b)
        raise UsageError(f"unit {name!r} belongs to another template in the variant's run; compare equal suites")
    index, count = cluster_index(left.clusters)
    a, b = cluster_sums(left.columns, index, count), cluster_sums(right.columns, index, count)
    kept = (a[:, 1] > 0) | (b[:, 1] > 0)
    sums = ((a[kept, 0], a[kept, 1]), (b[kept, 0], b[kept, 1]))
    return Pair(left, right, len(set(base.ids) | set(tuned.ids)) - len(shared), sums)


def paired_difference(base: Units, tuned: Units, level: float = 0.95, seed: int = 0) -> PairedDifference:
    """Variant minus base on the units that both have, with interval and tests.

    Args:
        base: units of the base model.
        tuned: units of the variant.
        level: two-sided level.
        seed: of bootstrap and sign flips.

    Returns:
        The difference. None stands wherever something could not be computed.

    Raises:
        UsageError: the two sides are not the same metric, or the level is not in (0, 1).
    """
    pair = pair_units(base, tuned)
    found = contrast(pair, level=level, seed=seed)
    return PairedDifference(
        base=pair.base.value(),
        tuned=pair.tuned.value(),
        difference=found.value,
        low=found.low,
        high=found.high,
        level=level,
        method=found.method,
        n=found.n,
        clusters=found.clusters,
        missing=found.missing,
        correlation=_correlation(pair),
        mcnemar_p=_mcnemar(pair),
        sign_flip_p=(
            resample.sign_flip_p(*pair.sums, pair.base.statistic, seed=seed)
            if pair.usable and found.clusters >= 2
            else None
        ),
    )


def contrast(pair: Pair, *, level: float, seed: int = 0, sign: float = 1.0) -> Contrast:
    """The contrast tuned - sign * base with its interval.

    Args:
        pair: aligned units.
        level: two-sided level.
        seed: of the bootstrap.
        sign: 1 for the difference; -1 for the sum, which the far side of a target needs.

    Returns:
        The contrast; without a value where a side has none, without an interval where there is one cluster.
    """
    check_level(level)
    n, clusters = len(pair.base.ids), len(pair.sums[0][0])
    before, after = pair.base.value(), pair.tuned.value()
    if before is None or after is None:
        return Contrast(None, None, None, level, "no unit has a value on both sides", n, 0, pair.missing)
    value = after - sign * before
    if clusters < 2:
        return Contrast(value, None, None, level, "one cluster: no interval", n, clusters, pair.missing)
    statistic = pair.base.statistic
    low, high, method = difference_bounds(
        _batch(pair.sums[0]),
        _batch(pair.sums[1]),
        _moves(pair, sign),
        statistic,
        pair.base.draws,
        level,
        sign=sign,
        seed=seed,
    )
    ends, name = finite_ends(float(low[0]), float(high[0]), str(method[0]))
    return Contrast(value, ends[0], ends[1], level, name, n, clusters, pair.missing)


def _batch(side: tuple[Array, Array]) -> tuple[Array, Array]:
    """One data set as a batch of one."""
    return side[0][None, :], side[1][None, :]


def reflect(numerator: Array, weight: Array, statistic: Statistic) -> Array:
    """Numerators of the mirrored statistic: the sum of two bounded values is a difference to the mirrored one."""
    bounded = (0.0, 1.0) if statistic.kind == "rate" else statistic.range
    centre = sum(bounded) if bounded else 0.0
    return centre * weight - numerator


def _moves(pair: Pair, sign: float) -> tuple[Array, Array] | None:
    """Total rise and total fall over units, as shares of the range, each (1,); None where weights are not all 1."""
    first, second = pair.base.columns, pair.tuned.columns
    statistic = pair.base.statistic
    if statistic.range is None or statistic.exp or not ((first[:, 1] == 1).all() and (second[:, 1] == 1).all()):
        return None
    span = 1.0 if statistic.kind == "rate" else statistic.range[1] - statistic.range[0]
    before = first[:, 0] if sign > 0 else reflect(first[:, 0], first[:, 1], statistic)
    move = (second[:, 0] - before) / span
    return np.array([np.maximum(move, 0).sum()]), np.array([np.maximum(-move, 0).sum()])


def difference_bounds(
    base: tuple[Array, Array],
    tuned: tuple[Array, Array],
    moves: tuple[Array, Array] | None,
    statistic: Statistic,
    draws: int,
    level: float,
    *,
    sign: float = 1.0,
    seed: int = 0,
    replicates: int = resample.REPLICATES,
) -> tuple[Array, Array, Methods]:
    """Intervals of tuned - sign * base for many data sets at once.

    Args:
        base: cluster sums of numerators and weights, each (S, G).
        tuned: the same for the other model.
        moves: total rise and total fall over units as shares of the range, each (S,); None where weights differ.
        statistic: what is compared.
        draws: binary draws per unit (rates only).
        level: two-sided level.
        sign: 1 for the difference, -1 for the sum.
        seed: of the bootstrap.
        replicates: bootstrap resamples.

    Returns:
        Lower ends, upper ends (NaN where none) and methods, each (S,).
    """
    value, influence = resample.difference_influence(base, tuned, statistic, sign)
    variance = intervals.linearised_variance(influence)
    clusters = intervals.kish((base[1] + tuned[1]) / 2.0)
    if statistic.kind == "rate" and moves is not None:
        low, high, method = _paired_rate(statistic, moves, influence, base[1].sum(axis=1), draws, clusters, level)
        offset = 0.0 if sign > 0 else _mirror_offset(statistic)
        return low + offset, high + offset, method
    low, high = intervals.skewed_student(value, influence, clusters - 1.0, level)
    name = f"paired {SMALL_SAMPLE}"
    if base[0].shape[1] >= SMALL:
        drawn = resample.studentised_difference(
            base, tuned, statistic, level, sign=sign, replicates=replicates, seed=seed
        )
        low, high = np.minimum(low, drawn[0]), np.maximum(high, drawn[1])
        name = f"paired {BOOTSTRAP}"
    constant = variance <= NO_VARIATION * (1.0 + value**2)
    low, high, method = without_interval(low, high, constant, name)
    few = _few_differ(base, tuned, statistic, sign) | np.isnan(low)
    if statistic.range is None or statistic.exp:
        unsure = few & ~constant
        low, high = np.where(unsure, np.nan, low), np.where(unsure, np.nan, high)
        method[unsure] = TOO_FEW_VARY
        if statistic.lower is None or statistic.upper is None:
            return low, high, method
        possible = _limits((statistic.lower, statistic.upper), sign)
        return np.clip(low, *possible), np.clip(high, *possible), method
    exact = (
        _exact_sides(base, tuned, statistic, draws, level, sign, value)
        if moves is None
        else _exact_moves(moves, base[1].sum(axis=1), statistic.range, level, sign, clusters)
    )
    low[few], high[few], method[few] = exact[0][few], exact[1][few], exact[2]
    limits = _limits(statistic.range, sign)
    return np.clip(low, *limits), np.clip(high, *limits), method


def _few_differ(
    base: tuple[Array, Array], tuned: tuple[Array, Array], statistic: Statistic, sign: float
) -> npt.NDArray[np.bool_]:
    """Where fewer than five clusters differ and others are the same, or one or two carry the whole difference, (S,)."""
    before = base[0] if sign > 0 else reflect(base[0], base[1], statistic)
    scale, move = 1e-12 * (1.0 + np.abs(before)), np.abs(tuned[0] - before)
    differing = ((move > scale) | (tuned[1] != base[1])).sum(axis=1)
    few = (differing < FEW) & (differing < base[0].shape[1])
    if statistic.kind != "mean" or statistic.range is None:
        return np.asarray(few)
    square = (move**2).sum(axis=1)
    return np.asarray(few | (move.sum(axis=1) ** 2 < DIFFERING * square))


def _limits(limits: tuple[float, float], sign: float) -> tuple[float, float]:
    """Smallest and largest possible difference (or sum, with sign -1)."""
    low, high = limits
    return (low - high, high - low) if sign > 0 else (2 * low, 2 * high)


def _exact_moves(
    moves: tuple[Array, Array],
    weight: Array,
    limits: tuple[float, float],
    level: float,
    sign: float,
    clusters: Array,
) -> tuple[Array, Array, str]:
    """Exact shares of the range that rise and fall, at the number of clusters."""
    span, offset = limits[1] - limits[0], 0.0 if sign > 0 else sum(limits)
    more, less = (part / weight * clusters for part in moves)
    low, high = intervals.discordant_exact(more, less, clusters, level)
    name = "exact shares of the range at the number of clusters (few clusters differ)"
    return span * low + offset, span * high + offset, name


def _exact_sides(
    base: tuple[Array, Array],
    tuned: tuple[Array, Array],
    statistic: Statistic,
    draws: int,
    level: float,
    sign: float,
    value: Array,
) -> tuple[Array, Array, str]:
    """Both sides' own intervals joined as if independent: wide, and never of zero width."""
    parts = []
    for side in (tuned, base):
        low, high, _ = bounds(*side, statistic, draws, level)
        parts.append((statistic.combine(np.stack([v.sum(axis=1) for v in side], axis=-1)), low, high))
    after, before = parts
    if sign < 0:
        before = (-before[0], -before[2], -before[1])
    return *intervals.square_and_add(value, after, before), "square-and-add of both sides (few clusters differ)"


def _mirror_offset(statistic: Statistic) -> float:
    """What turns the difference to the mirrored base back into a sum."""
    assert statistic.range is not None
    return sum(statistic.range)


def _paired_rate(
    statistic: Statistic,
    moves: tuple[Array, Array],
    influence: Array,
    weight: Array,
    draws: int,
    clusters: Array,
    level: float,
) -> tuple[Array, Array, Methods]:
    """Tango at effective n, in clusters at least Hall's t; exact discordant shares where too few units differ."""
    assert statistic.range is not None
    span = statistic.range[1] - statistic.range[0]
    more, less = moves[0] / weight, moves[1] / weight
    total = weight * draws
    moved = more + less
    repeated = total > clusters * (1 + 1e-9)
    df = np.where(repeated, intervals.variance_df(influence, clusters), total - 1.0)
    variance = intervals.linearised_variance(influence) / span**2
    n = intervals.effective_n(moved - (more - less) ** 2, variance, total, df, level)
    few = n * moved < FEW
    clustered = few & repeated
    n = np.where(clustered, np.minimum(n, clusters), n)
    score = intervals.tango(more * n, less * n, n, level)
    # A change that falls on some clusters far more than on others makes a skewed sum, which the score knows nothing of.
    skewed = intervals.hall(more - less, influence / span, df, level)
    low = np.where(repeated, np.maximum(np.minimum(score[0], skewed[0]), -1.0), score[0])
    high = np.where(repeated, np.minimum(np.maximum(score[1], skewed[1]), 1.0), score[1])
    exact = intervals.discordant_exact(more * n, less * n, n, level)
    method = np.where(
        few, "exact discordant shares, square-and-add (few units differ)", np.where(repeated, SCORE_AND_SKEW, SCORE)
    ).astype(object)
    method[clustered] = "exact discordant shares at the number of clusters (few units differ)"
    return span * np.where(few, exact[0], low), span * np.where(few, exact[1], high), method


def _correlation(pair: Pair) -> float | None:
    """Correlation of cluster values of base and variant."""
    (a0, b0), (a1, b1) = pair.sums
    both = (b0 > 0) & (b1 > 0)
    if both.sum() < 3:
        return None
    first, second = a0[both] / b0[both], a1[both] / b1[both]
    first, second = first - first.mean(), second - second.mean()
    scale = np.sqrt((first**2).sum() * (second**2).sum())
    if scale <= 1e-15:
        return None
    return float(np.clip((first * second).sum() / scale, -1.0, 1.0))


def _mcnemar(pair: Pair) -> float | None:
    """McNemar's exact p where units are single binary draws, each its own cluster."""
    first, second = pair.base.columns, pair.tuned.columns
    if pair.base.statistic.kind != "rate" or pair.base.draws != 1 or len(set(pair.base.clusters)) != len(first):
        return None
    if not len(first) or not ((first[:, 1] == 1).all() and (second[:, 1] == 1).all()):
        return None
    move = second[:, 0] - first[:, 0]
    if not np.isin(np.concatenate([first[:, 0], second[:, 0]]), (0.0, 1.0)).all():
        return None
    return intervals.mcnemar_exact(int((move > 0).sum()), int((move < 0).sum()))
