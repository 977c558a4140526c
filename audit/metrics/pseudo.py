"""Pseudo-values: statistics that are no ratio of sums, as units with one number each.

Unit i of n gets theta + n * influence_i, shifted so that the mean over units is exactly theta, the published statistic.
Their mean, cluster sums and paired differences then work as for any other mean: the standard error is that of the
jackknife (Tukey 1958; Efron and Stein 1981), for the area under the curve that of DeLong et al. (1988).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import numpy.typing as npt
from scipy.stats import rankdata

from audit.errors import UsageError
from audit.metrics.units import Array, Statistic, Units, cluster_index

Rows = npt.NDArray[np.intp]
ValueOf = Callable[[Rows], float]
"""The statistic over the rows of the given numbers; NaN where it has none."""


def statistic(name: str, lower: float | None = None, upper: float | None = None) -> Statistic:
    """A statistic whose units are pseudo-values; the bounds are those of the statistic itself."""
    return Statistic(name, "mean", lower, upper, pseudo=True)


def jackknife(
    clusters: Sequence[str],
    value_of: ValueOf,
    kind: Statistic,
    *,
    missing: Sequence[bool] | None = None,
    labels: Mapping[str, Sequence[str]] | None = None,
    counts: npt.NDArray[np.int64] | None = None,
) -> Units:
    """Units of a statistic by leaving out one cluster at a time.

    Args:
        clusters: cluster per row, shape (n,); every cluster becomes one unit, named by it.
        value_of: the statistic over some of the rows.
        kind: from :func:`statistic`.
        missing: rows without a value, shape (n,); each of them is a missing unit, whatever else its cluster holds.
        labels: facet -> label per row; a cluster carries all labels of its rows, joined by ``|``.
        counts: empty and unscored answers per row, shape (n, 2).

    Returns:
        One unit a cluster, in sorted order, then the missing rows of clusters that have a value. Where the statistic
        has no value over all rows every unit is missing; where leaving one cluster out leaves no value, that cluster's
        influence is taken as 0.
    """
    index, count = cluster_index(clusters) if len(clusters) else (np.zeros(0, dtype=np.intp), 0)
    names = sorted(set(map(str, clusters)))
    gone = np.zeros(len(index), dtype=bool) if missing is None else np.asarray(missing, dtype=bool)
    valued = np.flatnonzero(~gone)
    columns = np.full((count, 2), np.nan)
    theta = value_of(valued) if len(valued) else float("nan")
    present = np.unique(index[valued])
    if np.isfinite(theta):
        left = np.array([_without(value_of, valued, index, one) for one in present])
        change = np.where(np.isfinite(left), theta - left, 0.0)
        influence = (len(present) - 1) * (change - change.mean())
        columns[present] = np.stack([theta + influence, np.ones(len(present))], axis=1)
    lost = _uncounted(index, gone, count)
    return Units(
        ids=(*names, *(f"{names[index[row]]}, missing {place}" for row, place in lost)),
        clusters=(*names, *(names[index[row]] for row, _ in lost)),
        columns=np.vstack([columns, np.full((len(lost), 2), np.nan)]),
        statistic=kind,
        labels={
            key: (*_joined(values, index, count), *(values[row] for row, _ in lost))
            for key, values in (labels or {}).items()
        },
        counts=None
        if counts is None
        else np.vstack([_summed(counts, index, count), np.zeros((len(lost), 2), np.int64)]),
    )


def _uncounted(index: Rows, gone: npt.NDArray[np.bool_], count: int) -> list[tuple[int, int]]:
    """Missing rows that no missing cluster stands for, each with its number among all rows of its cluster.

    A cluster without any value is one missing unit already, and stands for its first row. Numbers count valued rows
    too: base and variant may lack different rows of a cluster, and those must not pass for one.
    """
    valued = np.bincount(index[~gone], minlength=count) > 0
    found, seen = [], np.zeros(count, dtype=np.intp)
    for row, cluster in enumerate(index):
        place = int(seen[cluster])
        seen[cluster] += 1
        if gone[row] and (valued[cluster] or place):
            found.append((row, place))
    return found


def _without(value_of: ValueOf, valued: Rows, index: Rows, one: int) -> float:
    """The statistic without one cluster."""
    kept = valued[index[valued] != one]
    return float(value_of(kept)) if len(kept) else float("nan")


def _joined(values: Sequence[str], index: Rows, count: int) -> tuple[str, ...]:
    """Every label that occurs in a cluster, joined."""
    found: list[set[str]] = [set() for _ in range(count)]
    for at, value in zip(index, values, strict=True):
        found[at] |= set(value.split("|")) - {""}
    return tuple("|".join(sorted(names)) for names in found)


def _summed(counts: npt.NDArray[np.int64], index: Rows, count: int) -> npt.NDArray[np.int64]:
    """Counts added up within clusters, (n, 2) -> (count, 2)."""
    total = np.zeros((count, 2), dtype=np.int64)
    np.add.at(total, index, counts)
    return total


def placements(values: Array, positive: npt.NDArray[np.bool_]) -> Array:
    """How each value lies among the values of the other class (DeLong et al. 1988).

    Args:
        values: shape (n,), no NaN; infinities are ranked.
        positive: which belong to the first class, shape (n,).

    Returns:
        Shape (n,): for a positive the share of negatives below it, for a negative the share of positives above it,
        ties half. Their mean over either class is the area under the curve, U / (n_positive n_negative).

    Raises:
        UsageError: a class is empty.
    """
    first, second = int(positive.sum()), int((~positive).sum())
    if first == 0 or second == 0:
        raise UsageError("an area under the curve needs both classes")
    ranks = rankdata(values)
    found = np.empty(len(values))
    # A value's rank among all minus its rank within its class counts the other class's values below it.
    found[positive] = (ranks[positive] - rankdata(values[positive])) / second
    found[~positive] = 1.0 - (ranks[~positive] - rankdata(values[~positive])) / first
    return found


def auc(values: Array, positive: npt.NDArray[np.bool_]) -> float:
    """P(positive > negative) + P(equal) / 2, in [0, 1]; NaN where a class is empty."""
    if positive.all() or not positive.any():
        return float("nan")
    return float(placements(values, positive)[positive].mean())


def auc_influence(values: Array, positive: npt.NDArray[np.bool_]) -> Array:
    """Influence of each row on :func:`auc`, shape (n,), summing to 0 within each class.

    Raises:
        UsageError: a class is empty.
    """
    found = placements(values, positive)
    sizes = np.where(positive, positive.sum(), (~positive).sum())
    return np.asarray((found - found[positive].mean()) / sizes)
