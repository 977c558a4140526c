"""Partial pooling of small groups: each group's rate drawn towards that of all groups, as far as its own data are few.

The beta-binomial model: group rates come from one beta distribution, and a group of few draws says more through the
others than by itself. Plugging in the best-fitting beta (empirical Bayes) takes that beta for known and makes intervals
too short where there are few groups; here its mean and spread are integrated out instead (Deely and Lindley 1981;
Gelman et al. 2013, section 5.3). The raw rates always stand beside: pooling hides a group that truly differs.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
from scipy import optimize, special

from audit.errors import UsageError
from audit.metrics import intervals
from audit.metrics.estimate import Estimate
from audit.metrics.estimation import FEW, check_level, estimate
from audit.metrics.units import Array, Units, cluster_index, cluster_sums

_POINTS = 40
"""Grid points a parameter."""
_FAR = 11.5
"""Logit of the smallest mean looked at, about 1e-5."""
_FAINT = 1e-5
"""Grid points less likely than this, by the best one, are left out."""
_NEAR = 1e-7
"""How closely the share at a quantile is found."""


@dataclass(frozen=True, slots=True)
class Pooled:
    """One group's rate, by itself and drawn towards all groups. Both in the metric's own unit."""

    raw: Estimate
    """From the group's own units, as everywhere else."""
    pooled: Estimate
    """Posterior mean with its central interval: over groups like these it holds the group's rate with the stated
    probability on average, not for each single group (Morris 1983)."""
    weight: float | None
    """How much of the pooled value is the group's own, in [0, 1]; None for a group without a value."""


@dataclass(frozen=True, slots=True)
class Pool:
    """All groups of one metric."""

    groups: dict[str, Pooled]
    spread: Estimate
    """Standard deviation between groups beyond chance: of the beta distribution. Never 0, as no data can show that
    groups are equal; read the lower end."""


def pool(units: Units, facet: str = "group", level: float = 0.95, seed: int = 0) -> Pool:
    """Draw the groups' rates towards each other.

    The beta distribution's mean is uniform beforehand, and so is the inverse root of its size a + b, on (0, 1] (Gelman
    et al. 2013, equation 5.9, bounded so that it is proper). A group enters with its effective number of draws, which
    clusters make smaller than their count; groups that share templates are taken as independent.

    Args:
        units: of a rate, labelled with ``facet``; a row of several groups counts in each.
        facet: the label that tells groups apart.
        level: two-sided level.
        seed: of bootstraps (a rate needs none).

    Returns:
        Every group of the facet, sorted; one without a value gets what the others say of a group not seen. Where no
        group has a value nothing is estimated.

    Raises:
        UsageError: the metric is no rate, there are fewer than two groups, or the level is not in (0, 1).
    """
    check_level(level)
    if units.statistic.kind != "rate":
        raise UsageError(f"only rates are pooled; {units.statistic.name!r} is a {units.statistic.kind}")
    names = units.members(facet)
    if len(names) < 2:
        raise UsageError(f"pooling needs two groups or more; {facet!r} has {len(names)}")
    parts = [units.where(facet, name) for name in names]
    raws = [estimate(part, level, seed) for part in parts]
    counts = np.array([effective_counts(part, level) for part in parts])
    n, missing = sum(raw.n for raw in raws), sum(raw.missing for raw in raws)
    frame = Estimate(None, None, None, level, n, len(names), missing, "no group has a value")
    if not counts[:, 1].any():
        return Pool({name: Pooled(raw, raw, None) for name, raw in zip(names, raws, strict=True)}, frame)
    drawn, spread = _drawn(tuple((float(events), float(draws)) for events, draws in counts), level)
    groups = {name: _pooled(units, raw, one) for name, raw, one in zip(names, raws, drawn, strict=True)}
    scale = float(units.statistic.slope(np.ones(1))[0])
    low, value, high = (scale * end for end in spread)
    method = "beta-binomial over groups, its parameters integrated out; clusters are groups"
    return Pool(groups, replace(frame, value=value, low=low, high=high, method=method))


def effective_counts(units: Units, level: float = 0.95) -> tuple[float, float]:
    """Events and draws of a rate as if its draws were independent: n_eff p and n_eff (Korn and Graubard 1998).

    The same number of draws behind a rate's interval in :mod:`audit.metrics.estimation`; (0, 0) without a value.

    Args:
        units: of a rate.
        level: at which few clusters are paid for, two-sided.
    """
    rows = units.ordered()
    index, count = cluster_index(rows.clusters) if rows.ids else (np.zeros(0, dtype=np.intp), 0)
    sums = cluster_sums(rows.columns, index, count) if count else np.zeros((0, 2))
    sums = sums[sums[:, 1] > 0]
    if not len(sums):
        return 0.0, 0.0
    total = sums[:, 1].sum()
    share = sums[:, 0].sum() / total
    influence = (sums[:, 0] - share * sums[:, 1]) / total
    clusters, draws = intervals.kish(sums[:, 1]), np.asarray(total * units.draws)
    if len(sums) < 2:
        return float(share), 1.0  # one cluster: nothing tells how alike its draws are
    repeated = bool(draws > clusters * (1 + 1e-9))
    df = intervals.variance_df(influence, clusters) if repeated else draws - 1.0
    binary = np.asarray(share * (1.0 - share))
    n = float(intervals.effective_n(binary, intervals.linearised_variance(influence), draws, df, level))
    if repeated and n * float(binary) < FEW:
        n = min(n, float(clusters))
    return n * float(share), n


def _posterior(counts: Array) -> tuple[Array, Array, Array]:
    """Beta parameters on a grid, each (M,), and the chance of each grid point given the counts, (M,).

    A coarse grid finds where the chance lies, a second one of as many points covers that part.
    """
    # Even in the logit of the mean, so that rates under 1 % are told apart; and in the inverse root of the size.
    box = ((-_FAR, _FAR), (0.0, 1.0))
    for last in (False, True):
        axes = [low + (np.arange(_POINTS) + 0.5) / _POINTS * (high - low) for low, high in box]
        logit, root = (part.ravel() for part in np.meshgrid(*axes, indexing="ij"))
        mean, size = special.expit(logit), root**-2.0
        a, b = mean * size, (1.0 - mean) * size
        events, draws = counts[:, 0, None], counts[:, 1, None]
        log = special.betaln(a + events, b + draws - events).sum(axis=0) - len(counts) * special.betaln(a, b)
        log += np.log(mean * (1.0 - mean))  # uniform in the mean itself
        kept = log > log.max() + np.log(_FAINT if last else _FAINT / 100)
        box = _around(logit[kept], box[0]), _around(root[kept], box[1])
    chance = np.exp(log[kept] - log.max())
    return a[kept], b[kept], chance / chance.sum()


def _around(values: Array, edges: tuple[float, float]) -> tuple[float, float]:
    """The part of an axis that holds the values, a grid step wider, within its old edges."""
    step = (edges[1] - edges[0]) / _POINTS
    return max(float(values.min()) - step, edges[0]), min(float(values.max()) + step, edges[1])


Drawn = tuple[float, float, float, float | None]
"""A group's posterior mean, the ends of its interval, all as shares, and the weight of its own draws."""


@lru_cache(maxsize=512)
def _drawn(
    counts: tuple[tuple[float, float], ...], level: float
) -> tuple[tuple[Drawn, ...], tuple[float, float, float]]:
    """Every group's posterior, the mixture of its beta posteriors over the grid; and the spread: low, median, high.

    Kept, because rates without any event are many and have equal counts.
    """
    a, b, chance = _posterior(np.array(counts))
    tail = (1.0 - level) / 2.0
    found: dict[tuple[float, float], Drawn] = {}
    for events, draws in dict.fromkeys(counts):
        first, second = a + events, b + draws - events
        mean = float((chance * first / (first + second)).sum())
        low, high = (_quantile(first, second, chance, p) for p in (tail, 1.0 - tail))
        weight = float((chance * draws / (draws + a + b)).sum()) if draws else None
        found[events, draws] = (mean, low, high, weight)
    low, value, high = _weighted(np.sqrt(a * b / (a + b + 1.0)) / (a + b), chance, level).tolist()
    return tuple(found[one] for one in counts), (low, value, high)


def _pooled(units: Units, raw: Estimate, drawn: Drawn) -> Pooled:
    """One group, in the metric's unit."""
    mean, low, high, weight = drawn
    low, value, high = units.statistic.value(np.array([low, mean, high])).tolist()
    method = "partially pooled over groups: beta-binomial, its parameters integrated out"
    return Pooled(raw, replace(raw, value=value, low=low, high=high, method=method), weight)


def _quantile(a: Array, b: Array, chance: Array, p: float) -> float:
    """Quantile of a mixture of betas."""

    def over(at: float) -> float:
        return float((chance * special.betainc(a, b, at)).sum()) - p

    return float(optimize.brentq(over, 0.0, 1.0, xtol=_NEAR))


def _weighted(values: Array, chance: Array, level: float) -> Array:
    """Median and central interval of values with their chances: (low, median, high)."""
    order = np.argsort(values, kind="stable")
    reached = np.cumsum(chance[order])
    at = np.searchsorted(reached, [(1 - level) / 2, 0.5, (1 + level) / 2])
    return np.asarray(values[order][np.minimum(at, len(order) - 1)])
