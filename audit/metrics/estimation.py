"""One model's value with its interval: which formula is used when.

* Rate, ten effective events or more: Wilson at effective n; clustered draws no narrower than Hall's skewness-corrected
  t.
* Rate, fewer: Clopper-Pearson at effective n; under five, where draws are clustered, at the number of clusters.
* Mean or ratio: Student's t over clusters, at each end no narrower than Hall's skewness-corrected t; from 30 clusters
  on no narrower than the studentised bootstrap either.
* Bounded mean near its bound: Clopper-Pearson on the range, at the number of clusters.
* Bounded mean without variation: exact bound on the share of clusters that might differ.
* Score around 0 with fewer than five clusters off 0: exact shares that rise and fall.
* One cluster or no unit: no interval.

The choices were made by simulation: see ``docs/statistics.md``.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from audit.errors import UsageError
from audit.metrics import intervals, resample
from audit.metrics.estimate import Estimate
from audit.metrics.units import Array, Statistic, Units, cluster_index, cluster_sums

FEW = 5.0
"""Effective events, n_eff p (1 - p), under which spread is not trusted: n falls back to the number of clusters."""
EXACT = 10.0
"""Effective events under which a rate's interval is Clopper-Pearson's: by enumeration Wilson's covers from there on."""
SMALL = 30
"""Clusters under which the bootstrap gives way to Student's t."""
NO_VARIATION = 1e-24
SCORE = "Wilson at effective n"
SCORE_AND_SKEW = f"{SCORE}, at least Hall's corrected t"
CONSTANT = "no variation between clusters: no interval"
TOO_FEW_VARY = "too few clusters differ from the rest: no interval"
SMALL_SAMPLE = f"Student's t, corrected for skewness (fewer than {SMALL} clusters)"
BOOTSTRAP = "studentised bootstrap over clusters, at least Student's t, corrected for skewness"

Methods = npt.NDArray[np.object_]


def check_level(level: float) -> None:
    """Refuse a level outside (0, 1), such as 95."""
    if not 0.0 < level < 1.0:
        raise UsageError(f"a level lies between 0 and 1, e.g. 0.95; got {level!r}")


def estimate(units: Units, level: float = 0.95, seed: int = 0) -> Estimate:
    """The value of a metric with its interval over clusters.

    Args:
        units: one row per unit; rows of NaN are counted as missing and left out.
        level: two-sided level.
        seed: of the bootstrap.

    Returns:
        The estimate. Without a unit it has no value, with one cluster no interval.

    Raises:
        UsageError: the level is not in (0, 1).
    """
    check_level(level)
    rows = units.ordered()
    value = rows.value()
    if value is None:
        return Estimate(None, None, None, level, 0, 0, units.missing, "no unit has a value")
    index, count = cluster_index(rows.clusters)
    sums = cluster_sums(rows.columns, index, count)
    sums = sums[sums[:, 1] > 0]
    n = int((rows.columns[:, 1] > 0).sum())
    if len(sums) < 2:
        return Estimate(value, None, None, level, n, len(sums), units.missing, "one cluster: no interval")
    low, high, method = bounds(sums[None, :, 0], sums[None, :, 1], rows.statistic, rows.draws, level, seed=seed)
    ends, name = finite_ends(float(low[0]), float(high[0]), str(method[0]))
    return Estimate(value, ends[0], ends[1], level, n, len(sums), units.missing, name)


def finite_ends(low: float, high: float, method: str) -> tuple[tuple[float, float] | tuple[None, None], str]:
    """Both ends, or None for both where one is not a finite number, and a method that then says so."""
    if np.isfinite(low) and np.isfinite(high):
        return (low, high), method
    return (None, None), method if "no interval" in method else f"{method}: too wide, no interval"


@dataclass(frozen=True, slots=True, eq=False)
class _Sets:
    """Cluster sums of S data sets, and what every formula needs of them."""

    numerator: Array
    """Shape (S, G)."""
    weight: Array
    total: Array
    """Sum of weights, shape (S,)."""
    ratio: Array
    influence: Array
    """Influence of each cluster on the ratio, shape (S, G)."""
    variance: Array
    clusters: Array
    """Kish's number of clusters."""

    @classmethod
    def of(cls, numerator: Array, weight: Array) -> _Sets:
        total = weight.sum(axis=1)
        ratio = numerator.sum(axis=1) / total
        influence = (numerator - ratio[:, None] * weight) / total[:, None]
        variance = intervals.linearised_variance(influence)
        return cls(numerator, weight, total, ratio, influence, variance, intervals.kish(weight))

    @property
    def constant(self) -> npt.NDArray[np.bool_]:
        """Where all clusters have the same ratio."""
        return np.asarray(self.variance <= NO_VARIATION * (1.0 + self.ratio**2))


def bounds(
    numerator: Array,
    weight: Array,
    statistic: Statistic,
    draws: int,
    level: float,
    *,
    seed: int = 0,
    replicates: int = resample.REPLICATES,
) -> tuple[Array, Array, Methods]:
    """Intervals of many data sets at once; the simulations call this, and ``estimate`` does with one set.

    Args:
        numerator: cluster sums, shape (S, G), G at least 2.
        weight: cluster sums of weights, shape (S, G), with a positive sum in every row.
        statistic: what is estimated.
        draws: binary draws per unit of weight (rates only).
        level: two-sided level.
        seed: of the bootstrap.
        replicates: bootstrap resamples.

    Returns:
        Lower ends, upper ends (NaN where no interval can be given) and the method's name, each (S,).
    """
    sets = _Sets.of(numerator, weight)
    if statistic.kind == "rate":
        low, high, method = _rate(sets, draws, level)
    else:
        low, high, method = _mean(sets, level, seed, replicates)
        if statistic.range is not None and not statistic.exp:
            _guard(sets, statistic.range, level, (low, high, method))
    low, high = statistic.value(low), statistic.value(high)
    low = low if statistic.lower is None else np.maximum(low, statistic.lower)
    return low, high if statistic.upper is None else np.minimum(high, statistic.upper), method


def _rate(sets: _Sets, draws: int, level: float) -> tuple[Array, Array, Methods]:
    """Wilson where there are events enough, in clusters at least Hall's t; else Clopper-Pearson."""
    share, clusters, total = sets.ratio, sets.clusters, sets.total * draws
    binary = share * (1.0 - share)
    repeated = total > clusters * (1 + 1e-9)
    df = np.where(repeated, intervals.variance_df(sets.influence, clusters), total - 1.0)
    n = intervals.effective_n(binary, sets.variance, total, df, level)
    few = n * binary < EXACT
    # With few events the design effect is a guess; the number of clusters is right even if draws agree entirely.
    clustered = (n * binary < FEW) & repeated
    n = np.where(clustered, np.minimum(n, clusters), n)
    exact, score = intervals.clopper_pearson(share, n, level), intervals.wilson(share, n, level)
    # Events that fall on some clusters far more than on others make a skewed sum, which the score knows nothing of.
    skewed = intervals.hall(share, sets.influence, df, level)
    low = np.where(repeated, np.maximum(np.minimum(score[0], skewed[0]), 0.0), score[0])
    high = np.where(repeated, np.minimum(np.maximum(score[1], skewed[1]), 1.0), score[1])
    method = np.where(
        few, "Clopper-Pearson at effective n (few events)", np.where(repeated, SCORE_AND_SKEW, SCORE)
    ).astype(object)
    method[clustered] = "Clopper-Pearson at the number of clusters (few events)"
    return np.where(few, exact[0], low), np.where(few, exact[1], high), method


def _mean(sets: _Sets, level: float, seed: int, replicates: int) -> tuple[Array, Array, Methods]:
    """Student's t, widened for skewness, and by the studentised bootstrap from 30 clusters on."""
    low, high = intervals.skewed_student(sets.ratio, sets.influence, sets.clusters - 1.0, level)
    if sets.numerator.shape[1] < SMALL:
        return without_interval(low, high, sets.constant, SMALL_SAMPLE)
    drawn = resample.studentised_ratio(sets.numerator, sets.weight, level, replicates=replicates, seed=seed)
    low, high = np.minimum(low, drawn[0]), np.maximum(high, drawn[1])
    return without_interval(low, high, sets.constant, BOOTSTRAP)


def without_interval(
    low: Array, high: Array, constant: npt.NDArray[np.bool_], name: str
) -> tuple[Array, Array, Methods]:
    """Ends and methods; NaN and a reason where nothing varies or resamples without spread reach infinity."""
    endless = ~constant & ~(np.isfinite(low) & np.isfinite(high))
    method = np.where(constant, CONSTANT, np.where(endless, TOO_FEW_VARY, name)).astype(object)
    none = constant | endless
    return np.where(none, np.nan, low), np.where(none, np.nan, high), method


def _guard(sets: _Sets, limits: tuple[float, float], level: float, ends: tuple[Array, Array, Methods]) -> None:
    """Replace, in place, the interval of a bounded mean where its spread cannot be trusted."""
    low, high, method = ends
    ratio, clusters, constant = sets.ratio, sets.clusters, sets.constant
    floor, span = limits[0], limits[1] - limits[0]
    unseen = intervals.unseen_share(clusters, level)
    low[constant] = (ratio - unseen * (ratio - floor))[constant]
    high[constant] = (ratio + unseen * (limits[1] - ratio))[constant]
    method[constant] = "no variation: exact bound on the share of clusters that might differ"
    # n_eff p (1 - p) on the range: the mean lies within a few standard errors of its bound.
    share = np.clip((ratio - floor) / span, 0.0, 1.0)
    near = ~constant & (((share * (1 - share)) ** 2 * span**2 < FEW * sets.variance) | np.isnan(low))
    exact = intervals.clopper_pearson(share, clusters, level)
    low[near], high[near] = (floor + span * exact[0])[near], (floor + span * exact[1])[near]
    method[near] = "Clopper-Pearson on the range, at the number of clusters (mean near its bound)"
    if floor >= 0.0:
        return
    # Scores on both sides of 0, "neither": where nearly all are 0, those that rise and those that fall are counted.
    few = ~constant & ((sets.numerator != 0).sum(axis=1) < FEW)
    ups, downs = (
        np.maximum(sign * sets.numerator, 0).sum(axis=1) / (sets.total * span / 2.0) * clusters for sign in (1.0, -1.0)
    )
    exact = intervals.discordant_exact(ups, downs, clusters, level)
    low[few], high[few] = span / 2.0 * exact[0][few], span / 2.0 * exact[1][few]
    method[few] = "exact shares of the range at the number of clusters (few differ from 0)"
