"""Interval formulas on arrays: no units, no names, only numbers.

Every function takes arrays of any leading shape, so that one call serves one number or ten thousand simulated data
sets. Which formula is used when is decided in ``estimation`` and ``paired``; that the choice covers the truth is
measured by ``benchmarks/coverage.py``.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy import special, stats

from audit.metrics.units import Array

_TINY = 1e-300


def z_value(level: float) -> float:
    """The normal quantile of a two-sided level, e.g. 1.96 for 0.95."""
    return float(special.ndtri((1.0 + level) / 2.0))


def t_value(level: float, df: npt.ArrayLike) -> Array:
    """Student's t quantile of a two-sided level at any degrees of freedom above 0."""
    return np.asarray(special.stdtrit(np.maximum(np.asarray(df, dtype=np.float64), 0.05), (1.0 + level) / 2.0))


def wilson(share: npt.ArrayLike, n: npt.ArrayLike, level: float) -> tuple[Array, Array]:
    """Wilson's score interval of one rate (Wilson 1927; Newcombe 1998a, method 3).

    Args:
        share: observed share, in [0, 1].
        n: number of independent draws behind it, not necessarily whole, above 0.
        level: two-sided level in (0, 1).

    Returns:
        Lower and upper ends, in [0, 1].
    """
    p, m, z = np.asarray(share, dtype=np.float64), np.asarray(n, dtype=np.float64), z_value(level)
    centre = (p + z * z / (2 * m)) / (1 + z * z / m)
    half = z / (1 + z * z / m) * np.sqrt(np.maximum(p * (1 - p), 0.0) / m + (z / (2 * m)) ** 2)
    # At 0 and 1 the two terms cancel exactly on paper, not in floating point.
    low = np.where(p <= 0, 0.0, np.maximum(centre - half, 0.0))
    return low, np.where(p >= 1, 1.0, np.minimum(centre + half, 1.0))


def clopper_pearson(share: npt.ArrayLike, n: npt.ArrayLike, level: float) -> tuple[Array, Array]:
    """Clopper and Pearson's interval (1934), by beta quantiles, so that ``n`` need not be whole (Korn, Graubard 1998).

    Args:
        share: observed share, in [0, 1].
        n: number of independent draws behind it, above 0.
        level: two-sided level in (0, 1).

    Returns:
        Lower and upper ends, in [0, 1].
    """
    p, m = np.broadcast_arrays(np.asarray(share, dtype=np.float64), np.asarray(n, dtype=np.float64))
    alpha = 1.0 - level
    x = np.clip(p, 0.0, 1.0) * m
    low = np.where(x <= 0, 0.0, special.betaincinv(np.maximum(x, _TINY), m - x + 1, alpha / 2))
    high = np.where(m - x <= 0, 1.0, special.betaincinv(x + 1, np.maximum(m - x, _TINY), 1 - alpha / 2))
    return low, high


def unseen_share(n: npt.ArrayLike, level: float) -> Array:
    """Largest share of clusters that may differ although none of ``n`` did: Clopper and Pearson's bound at 0 of n."""
    return np.asarray(1.0 - ((1.0 - level) / 2.0) ** (1.0 / np.asarray(n, dtype=np.float64)))


def kish(weights: Array) -> Array:
    """Number of equal clusters worth as much as these unequal ones: (sum w)^2 / sum w^2 (Kish 1965).

    Args:
        weights: cluster weights, shape (..., G).

    Returns:
        Shape (...), between 1 and G.
    """
    square = (weights**2).sum(axis=-1)
    return np.asarray(weights.sum(axis=-1) ** 2 / np.where(square > 0, square, 1.0))


def linearised_variance(influence: Array) -> Array:
    """Between-cluster variance of an estimate from the influence of its clusters: G/(G-1) sum u^2.

    Args:
        influence: shape (..., G); sums to zero over G for every ratio.

    Returns:
        Shape (...); 0 where G is 1.
    """
    count = influence.shape[-1]
    return np.asarray((influence**2).sum(axis=-1) * count / max(count - 1, 1))


def _scaled(influence: Array) -> Array:
    """Influences divided by the largest, so that their powers do not vanish in floating point."""
    largest = np.abs(influence).max(axis=-1, keepdims=True)
    return np.asarray(influence / np.where(largest > 0, largest, 1.0))


def variance_df(influence: Array, clusters: Array) -> Array:
    """Degrees of freedom of a between-cluster variance, by matching moments (Satterthwaite 1946).

    A variance that rests on a few clusters with events is known no better than those few, however many others there
    are. For normal influences this is about G - 1, and it never exceeds ``clusters - 1``.

    Args:
        influence: shape (..., G).
        clusters: Kish's number of clusters, shape (...).

    Returns:
        Shape (...), at least 1.
    """
    scaled = _scaled(influence)
    square = (scaled**2).sum(axis=-1)
    excess = (scaled**4).sum(axis=-1) / np.where(square > 0, square, 1.0) ** 2 - 1.0 / influence.shape[-1]
    return np.asarray(np.maximum(np.minimum(clusters - 1.0, 2.0 / np.maximum(excess, 1e-9)), 1.0))


def effective_n(binary_variance: Array, variance: Array, draws: Array, df: Array, level: float) -> Array:
    """Number of independent draws that would be as informative as the clustered ones (Korn, Graubard 1998).

    Args:
        binary_variance: variance of one draw if draws were independent, e.g. p (1 - p).
        variance: between-cluster variance of the estimate.
        draws: draws in all; the result never exceeds it.
        df: degrees of freedom of ``variance``; few clusters estimate it badly, which t for z pays for.
        level: two-sided level.

    Returns:
        Shape of the inputs; equals ``draws`` where draws are independent or vary less than independent ones.
    """
    independent = binary_variance / np.maximum(draws - 1.0, 1e-9)
    # Without any event both variances are 0 and nothing speaks for a design effect: the caller must be careful.
    raw = np.where(variance > 0, draws * independent / np.maximum(variance, _TINY), draws)
    correction = (t_value(level, draws - 1.0) / t_value(level, df)) ** 2
    return np.maximum(np.minimum(np.minimum(raw, draws) * correction, draws), 1e-9)


def _tango_score(theta: Array, more: Array, less: Array, n: Array) -> Array:
    """Tango's score statistic for the hypothesis that the difference is ``theta``."""
    a = 2.0 * n
    b = -more - less + (2.0 * n - more + less) * theta
    c = -less * theta * (1.0 - theta)
    other = (np.sqrt(np.maximum(b * b - 4.0 * a * c, 0.0)) - b) / (2.0 * a)
    variance = n * (2.0 * other + theta * (1.0 - theta))
    return np.asarray((more - less - n * theta) / np.sqrt(np.maximum(variance, 1e-18)))


def tango(more: npt.ArrayLike, less: npt.ArrayLike, n: npt.ArrayLike, level: float) -> tuple[Array, Array]:
    """Tango's score interval of a difference of paired rates (Tango 1998), solved by bisection.

    Args:
        more: pairs in which only the second is an event; need not be whole.
        less: pairs in which only the first is.
        n: pairs in all.
        level: two-sided level.

    Returns:
        Lower and upper ends of (more - less) / n, in [-1, 1].
    """
    b, c, m = np.broadcast_arrays(*(np.asarray(v, dtype=np.float64) for v in (more, less, n)))
    z, d = z_value(level), (b - c) / m
    inner_low, inner_high = d.copy(), d.copy()
    outer_low, outer_high = np.full_like(d, -1.0), np.full_like(d, 1.0)
    for _ in range(55):
        middle = (inner_low + outer_low) / 2.0
        inside = _tango_score(middle, b, c, m) < z
        inner_low, outer_low = np.where(inside, middle, inner_low), np.where(inside, outer_low, middle)
        middle = (inner_high + outer_high) / 2.0
        inside = _tango_score(middle, b, c, m) > -z
        inner_high, outer_high = np.where(inside, middle, inner_high), np.where(inside, outer_high, middle)
    return outer_low, outer_high


def discordant_exact(more: npt.ArrayLike, less: npt.ArrayLike, n: npt.ArrayLike, level: float) -> tuple[Array, Array]:
    """Conservative interval of a difference of paired rates from few discordant pairs.

    Clopper and Pearson's limits of the two discordant shares, joined by Newcombe's square-and-add rule (1998b). With
    no discordant pair it is plus and minus the exact bound at 0 of n, never of zero width.

    Args:
        more: pairs in which only the second is an event.
        less: pairs in which only the first is.
        n: pairs (or clusters) in all.
        level: two-sided level.

    Returns:
        Lower and upper ends, in [-1, 1].
    """
    b, c, m = np.broadcast_arrays(*(np.asarray(v, dtype=np.float64) for v in (more, less, n)))
    p, q = b / m, c / m
    low_p, high_p = clopper_pearson(p, m, level)
    low_q, high_q = clopper_pearson(q, m, level)
    return square_and_add(p - q, (p, low_p, high_p), (q, low_q, high_q))


def square_and_add(
    difference: Array, first: tuple[Array, Array, Array], second: tuple[Array, Array, Array]
) -> tuple[Array, Array]:
    """Interval of first - second from the intervals of both, taken as independent (Newcombe 1998b, method 10).

    Args:
        difference: first - second.
        first: value, low, high.
        second: value, low, high.

    Returns:
        Lower and upper ends.
    """
    low = difference - np.hypot(first[0] - first[1], second[2] - second[0])
    high = difference + np.hypot(first[2] - first[0], second[0] - second[1])
    return low, high


def skewed_student(value: Array, influence: Array, df: Array, level: float) -> tuple[Array, Array]:
    """The wider at each end of Student's interval and Hall's skewness-corrected one (see :func:`hall`).

    Student's t misses skewed means on one side, Hall's correction misses heavy tails; together they cover both.

    Args:
        value: shape (...).
        influence: of each cluster, shape (..., G).
        df: degrees of freedom, shape (...); Hall's interval takes Satterthwaite's where these are fewer.
        level: two-sided level.

    Returns:
        Lower and upper ends, each (...).
    """
    skewed = hall(value, influence, variance_df(influence, df + 1.0), level)
    low, high = student(value, linearised_variance(influence), df, level)
    return np.minimum(low, skewed[0]), np.maximum(high, skewed[1])


def hall(value: Array, influence: Array, df: Array, level: float) -> tuple[Array, Array]:
    """Student's interval corrected for skewness by a cubic transform (Hall 1992), at a cautious skewness.

    A sample that has few of the large changes by chance shows a small mean and little skewness at once, so at each end
    the skewness is taken one standard error to the side that widens: (6 (G - 2) / ((G + 1) (G + 3)))^(1/2), that of
    normal samples (Fisher 1930). Without it tests at 5 % took up to 5.9 % (docs/validity.md).

    Args:
        value: shape (...).
        influence: of each cluster, shape (..., G).
        df: degrees of freedom, shape (...).
        level: two-sided level.

    Returns:
        Lower and upper ends, each (...).
    """
    count = influence.shape[-1]
    scaled = _scaled(influence)
    second, third = (scaled**2).mean(axis=-1), (scaled**3).mean(axis=-1)
    skew = third / np.where(second > 0, second, 1.0) ** 1.5
    unsure = np.sqrt(6.0 * (count - 2) / ((count + 1) * (count + 3)))
    error, half = np.sqrt(linearised_variance(influence) * count), t_value(level, df) / np.sqrt(count)
    low = [value - error * _bent(half, skew + side * unsure, count) for side in (-1.0, 1.0)]
    high = [value - error * _bent(-half, skew + side * unsure, count) for side in (-1.0, 1.0)]
    return np.minimum(*low), np.maximum(*high)


def _bent(y: Array, skew: Array, count: int) -> Array:
    """Inverse of Hall's cubic transform of a t statistic over the root of ``count``; ``y`` itself without skewness."""
    flat = np.abs(skew) < 1e-4
    bent = 3.0 * (np.cbrt(1.0 + skew * (y - skew / (6.0 * count))) - 1.0) / np.where(flat, 1.0, skew)
    return np.where(flat, y, bent)


def student(value: Array, variance: Array, df: Array, level: float) -> tuple[Array, Array]:
    """Student's interval: value plus and minus t times the standard error."""
    half = t_value(level, df) * np.sqrt(variance)
    return value - half, value + half


def mcnemar_exact(more: int, less: int) -> float:
    """Exact two-sided McNemar test: p-value of ``more`` against ``less`` discordant pairs under equal chances."""
    if more + less == 0:
        return 1.0
    return float(stats.binomtest(more, more + less, 0.5).pvalue)
