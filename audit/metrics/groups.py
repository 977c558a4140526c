"""Groups against each other: each against the rest within matched templates, and the gap between extremes.

A template that exists for a group and for others compares like with like, so the difference is taken within templates
and averaged over them. Where no template is shared the difference is descriptive and has no interval. The largest
minus the smallest group value is above 0 even where groups do not differ; it comes with a permutation test.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from audit.metrics import tables
from audit.metrics.estimate import Estimate
from audit.metrics.estimation import check_level, estimate
from audit.metrics.units import Array, Statistic, Units, cluster_index

PERMUTATIONS = 10_000
UNMATCHED = "descriptive: groups share no template"


@dataclass(frozen=True, slots=True)
class Gap:
    """Largest minus smallest group value."""

    value: float | None
    """None where fewer than two groups have a value."""
    expected: float | None
    """Mean gap if groups did not differ: what noise alone would show."""
    p: float | None
    """Share of permutations within templates with a gap at least as large; None where no template is shared."""
    highest: str
    lowest: str
    groups: int
    n: int
    missing: int


def group_differences(units: Units, facet: str = "group", level: float = 0.95, seed: int = 0) -> dict[str, Estimate]:
    """Each group minus the rest, within matched templates.

    Args:
        units: one row per unit, labelled with ``facet``; clusters are the templates.
        facet: the label that tells groups apart.
        level: two-sided level.
        seed: of the bootstrap.

    Returns:
        Group -> difference in the metric's unit; empty where there are fewer than two groups. Where no template holds
        both the group and the rest, the pooled difference without an interval, whose method says so.

    Raises:
        UsageError: the level is not in (0, 1).
    """
    check_level(level)
    names = units.members(facet)
    if len(names) < 2:
        return {}
    return {name: _against_rest(units, facet, name, level, seed) for name in names}


def _against_rest(units: Units, facet: str, name: str, level: float, seed: int) -> Estimate:
    """One group minus the rest: a mean over templates of differences within them."""
    rows = units.ordered()
    inside = np.array([name in label.split("|") for label in rows.labels[facet]], dtype=bool)
    labelled = np.array([bool(label) for label in rows.labels[facet]], dtype=bool)
    first, rest = (_template_values(rows, chosen) for chosen in (inside, labelled & ~inside))
    shared = sorted(first.keys() & rest.keys())
    missing = sum(bool(label) for label in units.labels[facet]) - int(labelled.sum())
    n = int(labelled.sum())
    if not shared:
        one, two = rows.take(np.flatnonzero(inside).tolist()), rows.take(np.flatnonzero(labelled & ~inside).tolist())
        a, b = one.value(), two.value()
        value = a - b if a is not None and b is not None else None
        return Estimate(value, None, None, level, n, 0, missing, UNMATCHED)
    values = np.array([first[template] - rest[template] for template in shared])
    found = estimate(tables.array_units(values, shared, _difference(units.statistic)), level, seed)
    method = f"{found.method}; group minus rest within {len(shared)} templates"
    return Estimate(found.value, found.low, found.high, level, n, found.clusters, missing, method)


def _template_values(rows: Units, chosen: np.ndarray) -> dict[str, float]:
    """The statistic within each template over the chosen rows; templates without weight are left out."""
    index, _ = cluster_index(rows.clusters)
    found: dict[str, float] = {}
    for number in np.unique(index[chosen]):
        members = np.flatnonzero(chosen & (index == number))
        sums = rows.columns[members].sum(axis=0)
        if sums[1] > 0:
            found[rows.clusters[members[0]]] = float(rows.statistic.combine(sums))
    return found


def _difference(statistic: Statistic) -> Statistic:
    """The statistic of a mean of differences: its range is twice as wide."""
    if statistic.range is None:
        return Statistic(f"difference of {statistic.name}", "mean")
    span = statistic.range[1] - statistic.range[0]
    return Statistic(f"difference of {statistic.name}", "mean", -span, span)


def max_min_gap(units: Units, facet: str = "group", seed: int = 0) -> Gap:
    """Largest minus smallest group value, with a permutation test within templates.

    Args:
        units: one row per unit, labelled with ``facet``. A row with several labels counts for its first.
        facet: the label that tells groups apart.
        seed: of the permutations.

    Returns:
        The gap; it is biased upward, ``expected`` says by about how much.
    """
    rows = units.ordered()
    labels = [label.split("|")[0] for label in rows.labels.get(facet, ("",) * len(rows.ids))]
    kept = [i for i, label in enumerate(labels) if label]
    rows, labels = rows.take(kept), [labels[i] for i in kept]
    total = len(kept)
    index, count = cluster_index(labels) if labels else (np.zeros(0, dtype=np.intp), 0)
    names = sorted(set(labels))
    values = _group_values(rows.columns, index[None, :], count, rows.statistic)[0] if total else np.zeros(0)
    known = np.flatnonzero(~np.isnan(values))
    if len(known) < 2:
        return Gap(None, None, None, "", "", len(known), total, units.missing)
    highest, lowest = int(known[values[known].argmax()]), int(known[values[known].argmin()])
    gap = float(values[highest] - values[lowest])
    expected, p = _permuted(rows, index, count, gap, seed)
    return Gap(gap, expected, p, names[highest], names[lowest], len(known), total, units.missing)


def _group_values(columns: Array, index: np.ndarray, count: int, statistic: Statistic) -> Array:
    """Statistic per group for many labellings: columns (n, 2), index (R, n) -> (R, count)."""
    replicates = len(index)
    flat = (index + count * np.arange(replicates)[:, None]).ravel()
    sums = [
        np.bincount(flat, weights=np.tile(column, replicates), minlength=replicates * count).reshape(replicates, count)
        for column in columns.T
    ]
    return statistic.combine(np.stack(sums, axis=-1))


def _permuted(rows: Units, index: np.ndarray, count: int, gap: float, seed: int) -> tuple[float | None, float | None]:
    """Mean gap and p-value when group labels are shuffled within templates."""
    templates, number = cluster_index(rows.clusters)
    if all(len(set(index[templates == t])) < 2 for t in range(number)):
        return None, None
    rng = np.random.default_rng([seed, len(index), count])
    order = np.argsort(templates, kind="stable")
    gaps: list[Array] = []
    for _ in range(0, PERMUTATIONS, 500):
        # Sorting by (template, random number) shuffles rows within every template at once.
        keys = templates[order] + rng.random((500, len(order)))
        shuffled = np.empty((500, len(order)), dtype=np.intp)
        shuffled[:, order] = index[order][np.argsort(keys, axis=1)]
        values = _group_values(rows.columns, shuffled, count, rows.statistic)
        with np.errstate(invalid="ignore"):
            gaps.append(np.nanmax(values, axis=1) - np.nanmin(values, axis=1))
    found = np.concatenate(gaps)
    return float(found.mean()), float(((found >= gap - 1e-12).sum() + 1) / (len(found) + 1))


def groups_of(units: Sequence[Units], facet: str = "group") -> tuple[str, ...]:
    """The groups that occur in any of several runs, sorted."""
    return tuple(sorted({name for one in units for name in one.members(facet)}))
