"""Resampling of clusters: bootstrap weights, studentised intervals, sign flips. Seeded and vectorised."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from audit.metrics.units import Array, Statistic

REPLICATES = 10_000
_CHUNK = 500
EXACT_FLIPS = 12


@lru_cache(maxsize=8)
def bootstrap_counts(clusters: int, replicates: int, seed: int) -> npt.NDArray[np.uint16]:
    """How often each cluster is drawn in each replicate.

    The same seed and number of clusters give the same draws, so two metrics on the same clusters are resampled
    together.

    Args:
        clusters: number of clusters G.
        replicates: number of resamples R.
        seed: of the generator.

    Returns:
        Shape (R, G); rows sum to G.
    """
    rng = np.random.default_rng([seed, clusters])
    counts = np.empty((replicates, clusters), dtype=np.uint16)
    for start in range(0, replicates, _CHUNK):
        rows = min(_CHUNK, replicates - start)
        drawn = rng.integers(clusters, size=(rows, clusters)) + clusters * np.arange(rows)[:, None]
        counts[start : start + rows] = np.bincount(drawn.ravel(), minlength=rows * clusters).reshape(rows, clusters)
    return counts


def _resampled(products: Array, replicates: int, seed: int) -> Iterator[Array]:
    """Weighted sums of (G, S) columns over bootstrap draws, in chunks of shape (rows, S)."""
    counts = bootstrap_counts(products.shape[0], replicates, seed)
    for start in range(0, replicates, _CHUNK):
        yield counts[start : start + _CHUNK].astype(np.float64) @ products


def _ratio_parts(numerator: Array, weight: Array) -> list[Array]:
    """The cluster columns whose sums give a ratio and its linearised variance."""
    return [numerator, weight, numerator**2, numerator * weight, weight**2]


def studentised_ratio(
    numerator: Array, weight: Array, level: float, *, replicates: int = REPLICATES, seed: int = 0
) -> tuple[Array, Array]:
    """Studentised (bootstrap-t) interval of a ratio of sums over clusters (Efron 1982; Hall 1988).

    Args:
        numerator: cluster sums, shape (S, G) for S data sets.
        weight: cluster sums of weights, shape (S, G).
        level: two-sided level.
        replicates: bootstrap resamples.
        seed: of the resampling.

    Returns:
        Lower and upper ends, each (S,).
    """
    sets, count = numerator.shape
    parts = np.concatenate(_ratio_parts(numerator, weight)).T
    ratio = numerator.sum(axis=1) / weight.sum(axis=1)
    pivots = np.empty((replicates, sets))
    row = 0
    for sums in _resampled(parts, replicates, seed):
        a, b, aa, ab, bb = np.split(sums, 5, axis=1)
        with np.errstate(divide="ignore", invalid="ignore"):
            star = a / b
            variance = np.maximum(aa - 2 * star * ab + star**2 * bb, 0.0) / b**2 * count / (count - 1)
            pivots[row : row + len(sums)] = _pivot(star - ratio, variance, ratio)
        row += len(sums)
    influence = (numerator - ratio[:, None] * weight) / weight.sum(axis=1)[:, None]
    return _invert(pivots, ratio, np.sqrt((influence**2).sum(axis=1) * count / (count - 1)), level)


def studentised_difference(
    base: tuple[Array, Array],
    tuned: tuple[Array, Array],
    statistic: Statistic,
    level: float,
    *,
    sign: float = 1.0,
    replicates: int = REPLICATES,
    seed: int = 0,
) -> tuple[Array, Array]:
    """Studentised interval of tuned - sign * base, both resampled over the same clusters.

    Args:
        base: numerators and weights, each (S, G).
        tuned: the same for the other model, clusters in the same order.
        statistic: turns a ratio into a value.
        level: two-sided level.
        sign: 1 for the difference, -1 for the sum (a target's second side).
        replicates: bootstrap resamples.
        seed: of the resampling.

    Returns:
        Lower and upper ends, each (S,).
    """
    sets, count = base[0].shape
    columns = [*base, *tuned]
    pairs = [(i, j) for i in range(4) for j in range(i, 4)]
    parts = np.concatenate([*columns, *(columns[i] * columns[j] for i, j in pairs)]).T
    value, influence = difference_influence(base, tuned, statistic, sign)
    pivots = np.empty((replicates, sets))
    row = 0
    for sums in _resampled(parts, replicates, seed):
        split = np.split(sums, 4 + len(pairs), axis=1)
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            star, variance = _difference_replicate(split[:4], dict(zip(pairs, split[4:], strict=True)), statistic, sign)
            pivots[row : row + len(sums)] = _pivot(star - value, variance * count / (count - 1), value)
        row += len(sums)
    return _invert(pivots, value, np.sqrt((influence**2).sum(axis=1) * count / (count - 1)), level)


def _difference_replicate(
    first: list[Array], second: dict[tuple[int, int], Array], statistic: Statistic, sign: float
) -> tuple[Array, Array]:
    """Value and linearised variance (without G/(G-1)) of the difference in each replicate."""
    a0, b0, a1, b1 = first
    r0, r1 = a0 / b0, a1 / b1
    g0, g1 = -sign * statistic.slope(r0) / b0, statistic.slope(r1) / b1
    weights = [g0, -g0 * r0, g1, -g1 * r1]
    variance = np.zeros_like(a0)
    for (i, j), moment in second.items():
        variance += (1.0 if i == j else 2.0) * weights[i] * weights[j] * moment
    return statistic.value(r1) - sign * statistic.value(r0), np.maximum(variance, 0.0)


def difference_influence(
    base: tuple[Array, Array], tuned: tuple[Array, Array], statistic: Statistic, sign: float = 1.0
) -> tuple[Array, Array]:
    """The contrast tuned - sign * base, and the influence of each cluster on it.

    Args:
        base: cluster sums of numerators and weights, each (..., G).
        tuned: the same for the other model.
        statistic: turns a ratio into a value.
        sign: 1 for the difference, -1 for the sum.

    Returns:
        Value (...) and influence (..., G).
    """
    parts = []
    for numerator, weight in (base, tuned):
        total = weight.sum(axis=-1, keepdims=True)
        ratio = numerator.sum(axis=-1, keepdims=True) / total
        parts.append((statistic.value(ratio)[..., 0], statistic.slope(ratio) * (numerator - ratio * weight) / total))
    (value0, influence0), (value1, influence1) = parts
    return value1 - sign * value0, influence1 - sign * influence0


def _pivot(shift: Array, variance: Array, scale: Array) -> Array:
    """Studentised shift; a resample without spread has no finite pivot and pushes the interval outwards."""
    floor = (1e-12 * (np.abs(scale) + 1e-12)) ** 2
    pivot = np.where(variance > floor, shift / np.sqrt(np.maximum(variance, floor)), np.sign(shift) * np.inf)
    return np.nan_to_num(pivot, nan=0.0, posinf=np.inf, neginf=-np.inf)


def _invert(pivots: Array, value: Array, error: Array, level: float) -> tuple[Array, Array]:
    """Turn pivot quantiles into interval ends."""
    tail = (1.0 - level) / 2.0
    # "higher" and "lower" avoid interpolating between infinite pivots.
    high_pivot = np.quantile(pivots, 1.0 - tail, axis=0, method="higher")
    low_pivot = np.quantile(pivots, tail, axis=0, method="lower")
    with np.errstate(invalid="ignore"):  # 0 times infinity: nothing varies, and the caller gives no interval
        return value - high_pivot * error, value - low_pivot * error


def sign_flip_p(base: tuple[Array, Array], tuned: tuple[Array, Array], statistic: Statistic, *, seed: int = 0) -> float:
    """Two-sided p-value of no difference: base and variant are swapped, cluster by cluster.

    For a mean this is the sign-flip test of cluster sums. All 2^G swaps are tried up to 12 clusters, else 10,000
    seeded ones (the p-value then counts the data itself as one of them).

    Args:
        base: cluster sums of numerators and weights, each (G,).
        tuned: the same for the variant.
        statistic: what is compared.
        seed: of the random swaps.

    Returns:
        In (0, 1].
    """
    count = len(base[0])
    exact = count <= EXACT_FLIPS
    if exact:
        swaps = (np.arange(2**count)[:, None] >> np.arange(count)) & 1
    else:
        swaps = np.random.default_rng([seed, count, 1]).integers(2, size=(REPLICATES, count))
    swap = swaps.astype(np.float64)
    sums = []
    for first, second in ((tuned, base), (base, tuned)):
        totals = [f.sum() + swap @ (s - f) for f, s in zip(first, second, strict=True)]
        sums.append(statistic.combine(np.stack(totals, axis=-1)))
    shift = np.abs(sums[0] - sums[1])
    observed = abs(
        float(statistic.combine(np.array([v.sum() for v in tuned])))
        - float(statistic.combine(np.array([v.sum() for v in base])))
    )
    extreme = int((~(shift < observed - 1e-12 * (1.0 + observed))).sum())
    return extreme / len(swap) if exact else (extreme + 1) / (len(swap) + 1)
