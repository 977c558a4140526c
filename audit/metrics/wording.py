"""How much of a metric is the wording: templates ask the same in other words, and answers differ with them.

Two numbers. The *share* of the spread between units that lies between templates: the intra-class correlation of the
one-way random-effects model, whose other side holds everything else (whom the item is about, and the luck of the
draws; more draws a prompt make that side smaller). And what *another wording*, with as many items, would likely have
shown. Both speak of one model, or, given the units' changes, of a variant against its base.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from audit.metrics import intervals, pseudo
from audit.metrics.estimate import Estimate
from audit.metrics.estimation import check_level, estimate
from audit.metrics.paired import pair_units
from audit.metrics.units import Array, Statistic, Units, cluster_index, cluster_sums

LOG_RATIO = pseudo.statistic("log of the variance ratio")


@dataclass(frozen=True, slots=True)
class Wording:
    """What templates do to a metric."""

    share: Estimate
    """Share of the variance of units that lies between templates, in [0, 1]; lower is less sensitive. n counts units,
    clusters templates. No value where no template holds two units."""
    another: Estimate
    """The mean of the templates' values, with a *prediction* interval: what one more template of the same kind, with
    about as many items, would show. In the metric's unit."""


def sensitivity(units: Units, level: float = 0.95, seed: int = 0) -> Wording:
    """How much of one model's metric is the wording of its templates.

    Args:
        units: clusters are the templates. A unit with a weight of its own enters with its value, once.
        level: two-sided level.
        seed: of the bootstrap.

    Returns:
        Share and prediction. Without an interval where fewer than three templates, or none that vary, allow none.

    Raises:
        UsageError: the level is not in (0, 1).
    """
    check_level(level)
    rows = units.ordered()
    rows = rows.take(np.flatnonzero(rows.columns[:, 1] > 0).tolist())
    values = units.statistic.value(rows.columns[:, 0] / rows.columns[:, 1])
    return Wording(_share(values, rows.clusters, units.missing, level, seed), _another(rows, units.missing, level))


def sensitivity_of_change(base: Units, tuned: Units, level: float = 0.95, seed: int = 0) -> Wording:
    """How much of the change from base to variant is the wording: do templates agree on what changed?

    Args:
        base: units of the base model.
        tuned: units of the variant.
        level: two-sided level.
        seed: of the bootstrap.

    Returns:
        The same as :func:`sensitivity` over the units' differences variant minus base.

    Raises:
        UsageError: the two sides are not the same metric, or the level is not in (0, 1).
    """
    pair = pair_units(base, tuned)
    statistic = base.statistic
    both = (pair.base.columns[:, 1] > 0) & (pair.tuned.columns[:, 1] > 0)
    first, second = (side.take(np.flatnonzero(both).tolist()) for side in (pair.base, pair.tuned))
    before, after = (statistic.value(side.columns[:, 0] / side.columns[:, 1]) for side in (first, second))
    span = None if statistic.range is None or statistic.exp else statistic.range[1] - statistic.range[0]
    kind = Statistic(f"change of {statistic.name}", "mean", None if span is None else -span, span)
    columns = np.stack([after - before, np.ones(len(before))], axis=1)
    changes = replace(first, columns=columns, statistic=kind, labels={}, counts=None, draws=1)
    found = sensitivity(changes, level, seed)
    lost = pair.missing
    return Wording(replace(found.share, missing=lost), replace(found.another, missing=lost))


def _share(values: Array, templates: tuple[str, ...], missing: int, level: float, seed: int) -> Estimate:
    """The intra-class correlation (F - 1) / (F - 1 + n0) with Arvesen's jackknife of log F (1969) over templates.

    F is the ratio of the mean squares between and within templates, n0 the number of units of a template (Donner 1986,
    for unequal ones). The logarithm makes the jackknife of a variance ratio hold (Miller 1968).
    """
    index, count = cluster_index(templates) if len(values) else (np.zeros(0, dtype=np.intp), 0)
    between, within, size = _mean_squares(values, index)
    nothing = Estimate(None, None, None, level, len(values), count, missing, "")
    if not np.isfinite(size):
        return replace(nothing, method="no template holds two units, or there is one template: no share")
    if within <= 1e-24 * (1.0 + float((values**2).mean())):
        return replace(nothing, method="units do not vary within templates: no share")
    shape = replace(nothing, value=float(_correlation(np.array(between / within), size)))

    def log_ratio(kept: npt.NDArray[np.intp]) -> float:
        first, second, _ = _mean_squares(values[kept], index[kept])
        return float(np.log(first / second)) if first > 0 and second > 0 else float("nan")

    found = estimate(pseudo.jackknife(templates, log_ratio, LOG_RATIO), level, seed)
    if found.low is None or found.high is None or count < 3:
        return replace(shape, method="templates do not vary enough: no interval")
    low, high = _correlation(np.exp(np.array([found.low, found.high])), size)
    method = f"jackknife of the log variance ratio over templates; {found.method}"
    # The jackknife's centre may lie beside the estimate by more than its error where there are few templates.
    assert shape.value is not None
    return replace(shape, low=float(min(low, shape.value)), high=float(max(high, shape.value)), method=method)


def _mean_squares(values: Array, index: npt.NDArray[np.intp]) -> tuple[float, float, float]:
    """Mean squares between and within templates, and n0; n0 is NaN where there is no within or no between."""
    sizes = np.bincount(index).astype(np.float64) if len(index) else np.zeros(0)
    sizes = sizes[sizes > 0]
    n, count = float(sizes.sum()), len(sizes)
    if count < 2 or n <= count:
        return float("nan"), float("nan"), float("nan")
    full = np.bincount(index).astype(np.float64)
    means = np.bincount(index, weights=values) / np.maximum(full, 1.0)
    between = float((full * (means - values.mean()) ** 2).sum()) / (count - 1)
    within = float(((values - means[index]) ** 2).sum()) / (n - count)
    return between, within, (n - float((sizes**2).sum()) / n) / (count - 1)


def _correlation(ratio: Array, size: float) -> Array:
    """The share from F, at least 0."""
    return np.asarray(np.clip((ratio - 1.0) / (ratio - 1.0 + size), 0.0, 1.0))


def _another(rows: Units, missing: int, level: float) -> Estimate:
    """Mean of the templates' values, plus and minus t s sqrt(1 + 1 / G): where one more template would lie.

    The prediction interval of one more normal value (Hahn 1969). Templates' values hold the noise of their items, so
    it speaks of a template with about as many items as these.
    """
    index, count = cluster_index(rows.clusters) if rows.ids else (np.zeros(0, dtype=np.intp), 0)
    if not count:
        return Estimate(None, None, None, level, 0, 0, missing, "no unit has a value")
    values = rows.statistic.combine(cluster_sums(rows.columns, index, count))
    n, mean = len(rows.ids), float(values.mean())
    spread = float(values.std(ddof=1)) if count > 1 else 0.0
    if count < 3 or spread <= 1e-12 * (1.0 + abs(mean)):
        return Estimate(mean, None, None, level, n, count, missing, "too few templates that vary: no interval")
    reach = float(intervals.t_value(level, count - 1.0)) * spread * np.sqrt(1.0 + 1.0 / count)
    low, high = mean - reach, mean + reach
    if rows.statistic.lower is not None:
        low = max(low, rows.statistic.lower)
    if rows.statistic.upper is not None:
        high = min(high, rows.statistic.upper)
    return Estimate(mean, low, high, level, n, count, missing, "prediction of one more template, Student's t")
