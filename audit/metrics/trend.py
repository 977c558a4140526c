"""Dose and response: does a metric rise or fall along an ordered series of checkpoints?

The slope is that of the least-squares line through the checkpoints' values, computed within every cluster and joined
over clusters, so that all checkpoints are compared on identical items. Its interval speaks of new items put to *these*
checkpoints: how another training run would have gone it cannot know.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np

from audit.errors import UsageError
from audit.metrics import resample
from audit.metrics.estimate import Estimate
from audit.metrics.estimation import FEW, TOO_FEW_VARY, check_level, estimate
from audit.metrics.paired import pair_units
from audit.metrics.units import MEAN, Array, Statistic, Units, cluster_index, cluster_sums


@dataclass(frozen=True, slots=True)
class Trend:
    """A metric along a series."""

    doses: tuple[float, ...]
    values: tuple[Estimate, ...]
    """Each checkpoint by itself, on the units that all of them have."""
    slope: Estimate
    """Change of the metric, in its own unit, per unit of dose; n and missing count units of the whole series."""
    p: float | None
    """Two-sided sign-flip test of no slope over clusters; None under 2 clusters. It decides nothing."""
    monotone: bool
    """Whether the values themselves only rise or only fall (ties allowed)."""


def trend(series: Sequence[Units], doses: Sequence[float] | None = None, level: float = 0.95, seed: int = 0) -> Trend:
    """Slope of a metric along an ordered series of checkpoints, with interval and test.

    With doses d and c_j = (d_j - mean d) / sum (d - mean d)^2 the slope is the sum of c_j value_j. For one weight per
    unit it is the mean of the clusters' own slopes, the "L scores" of a linear contrast in a repeated-measures design
    (Rosenthal, Rosnow and Rubin 2000). Where a statistic is a ratio with weights of its own, each cluster's influence
    on the contrast stands for its slope.

    Args:
        series: units of one metric per checkpoint, in order; three or more.
        doses: rising numbers, one per checkpoint (steps, share of new data); None counts 0, 1, 2 ...
        level: two-sided level.
        seed: of the bootstrap and the sign flips.

    Returns:
        The trend. Units without a value at any checkpoint are left out and counted as missing.

    Raises:
        UsageError: fewer than three checkpoints, doses that do not rise, or units that cannot be paired.
    """
    check_level(level)
    steps = _checked(doses, len(series))
    aligned, missing = _align(series)
    values = tuple(replace(estimate(one, level, seed), missing=missing) for one in aligned)
    known = [one.value for one in values if one.value is not None]
    signs = {np.sign(b - a) for a, b in pairwise(known)} - {0.0}
    slopes, few = _slopes(aligned, steps)
    n = len(aligned[0].ids)
    if slopes is None or len(known) < len(series):
        nothing = Estimate(None, None, None, level, n, 0, missing, "no unit has a value at every checkpoint")
        return Trend(tuple(steps), values, nothing, None, False)
    found = replace(estimate(slopes, level, seed), n=n, missing=missing)
    if few:
        found = replace(found, low=None, high=None, method=TOO_FEW_VARY)
    p = None
    if found.clusters >= 2:
        numerator, weight = slopes.columns.T
        p = resample.sign_flip_p((np.zeros_like(numerator), weight), (numerator, weight), MEAN, seed=seed)
    return Trend(tuple(steps), values, found, p, len(signs) < 2)


def _checked(doses: Sequence[float] | None, count: int) -> Array:
    """Doses as an array."""
    if count < 3:
        raise UsageError(f"a trend needs three checkpoints or more, in order; got {count}")
    steps = np.arange(count, dtype=np.float64) if doses is None else np.asarray(doses, dtype=np.float64)
    if steps.shape != (count,) or not np.isfinite(steps).all() or not (np.diff(steps) > 0).all():
        raise UsageError(f"give one dose per checkpoint, each larger than the one before; got {list(steps)}")
    return steps


def _align(series: Sequence[Units]) -> tuple[list[Units], int]:
    """Every checkpoint's rows that have a value at all of them, sorted by id, and how many units are lost."""
    for other in series[1:]:
        pair_units(series[0], other)  # refuses other statistics, draws or clusters
    rows = [one.ordered() for one in series]
    shared = sorted(set.intersection(*(set(one.ids) for one in rows)))
    places = [{name: at for at, name in enumerate(one.ids)} for one in rows]
    every = set().union(*(one.ids for one in series))
    taken = [one.take([place[name] for name in shared]) for one, place in zip(rows, places, strict=True)]
    return taken, len(every) - len(shared)


def _slopes(series: Sequence[Units], doses: Array) -> tuple[Units | None, bool]:
    """One unit per cluster: its slope; and whether so few clusters change that no interval can be given.

    None where a checkpoint has no value.
    """
    contrast = (doses - doses.mean()) / ((doses - doses.mean()) ** 2).sum()
    index, count = cluster_index(series[0].clusters) if series[0].ids else (np.zeros(0, dtype=np.intp), 0)
    sums = np.stack([cluster_sums(one.columns, index, count) for one in series])
    if not count or (sums[..., 1].sum(axis=1) <= 0).any():
        return None, False
    statistic = series[0].statistic
    names = tuple(sorted(set(series[0].clusters)))
    weight = sums[0, :, 1]
    if not statistic.exp and (sums[..., 1] == weight).all():
        # The statistic is linear in the numerators: a cluster's slope is its own, and bounded where the values are.
        kept = weight > 0
        scale = float(statistic.slope(np.ones(1))[0])
        slope = scale * (contrast @ sums[..., 0])
        columns = np.stack([slope, weight], axis=1)[kept]
        # The largest slope: the upper bound wherever the contrast is positive, the lower one elsewhere.
        reach = None if statistic.range is None else (statistic.range[1] - statistic.range[0]) * contrast.clip(0).sum()
        kind = Statistic(f"slope of {statistic.name}", "mean", None if reach is None else -reach, reach)
        few = statistic.range is None and _few(columns[:, 0])
        names = tuple(name for name, keep in zip(names, kept, strict=True) if keep)
        return Units(names, names, columns, kind), few
    total = sums[..., 1].sum(axis=1, keepdims=True)
    ratio = sums[..., 0].sum(axis=1, keepdims=True) / total
    slope_of = statistic.slope(ratio)
    influence = contrast @ (slope_of * (sums[..., 0] - ratio * sums[..., 1]) / total)
    value = float(contrast @ statistic.value(ratio)[:, 0])
    columns = np.stack([value + count * influence, np.ones(count)], axis=1)
    return Units(names, names, columns, Statistic(f"slope of {statistic.name}", "mean", pseudo=True)), _few(influence)


def _few(change: Array) -> bool:
    """Whether fewer than five clusters change and others do not: their spread is then unknown."""
    differing = int((np.abs(change) > 1e-12 * (1e-12 + np.abs(change).max())).sum())
    return differing < min(FEW, len(change))
