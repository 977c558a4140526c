"""Do the intervals cover, and do the gate's rules keep their error rates? A simulation with known truth.

Every cell draws many data sets whose true value is known, gives them to the very functions that a run uses
(``audit.metrics.estimation.bounds`` and ``audit.metrics.paired.difference_bounds``), and counts how often the interval
holds the truth; the last family counts how often single rules of the gate pass and fail wrongly. Run it with
``python benchmarks/coverage.py [--quick] [--write]``; ``--write`` refreshes ``benchmarks/results/coverage.json`` and
the tables in ``docs/statistics.md``.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from functools import lru_cache
from itertools import product
from pathlib import Path

import numpy as np
from scipy import special

from audit.metrics import estimation, harm, paired
from audit.metrics.perplexity import BITS_PER_BYTE, PERPLEXITY
from audit.metrics.qa import BIAS_SHARE
from audit.metrics.units import MEAN, RATE, SHARE_MEAN, SIGNED_MEAN, Array, Statistic, Units
from benchmarks.page import put

ROOT = Path(__file__).resolve().parents[1]
LEVEL = 0.95
ALPHA = 0.05
REPLICATES = 2_000
"""Bootstrap resamples here; a run takes 10,000. Fewer make the ends noisier, hence coverage a little lower."""
_ATOMS = 20_000


@dataclass(frozen=True, slots=True)
class Cell:
    """One cell of the grid and what was measured in it."""

    family: str
    setting: str
    clusters: int
    truth: float
    coverage: float
    """Share of data sets whose interval holds the truth; a data set without an interval does not count."""
    error: float
    """Monte Carlo standard error of the coverage."""
    below: float
    """Share of intervals that lie wholly under the truth."""
    above: float
    """Share of intervals that lie wholly over the truth."""
    width: float
    none: float
    """Share of data sets without an interval."""
    methods: str
    """The formula used most, with its share."""
    sets: int


@lru_cache(maxsize=256)
def beta_atoms(mean: float, icc: float) -> Array:
    """Equal-weight atoms of the beta distribution with this mean and intra-cluster correlation, sorted."""
    if icc <= 0:
        return np.full(_ATOMS, mean)
    size = 1.0 / icc - 1.0
    return np.asarray(special.betaincinv(mean * size, (1 - mean) * size, (np.arange(_ATOMS) + 0.5) / _ATOMS))


def measure(family: str, setting: str, truth: float, clusters: int, ends: tuple[Array, Array, np.ndarray]) -> Cell:
    """Count how often intervals hold the truth."""
    low, high, method = ends
    known = np.isfinite(low) & np.isfinite(high)
    sets, none = len(known), float(1 - known.mean())
    if not known.any():
        return Cell(family, setting, clusters, float(truth), *[float("nan")] * 5, none, "none", sets)
    low, high, method = low[known], high[known], method[known]
    slack = 1e-9
    inside = (low <= truth + slack) & (truth <= high + slack)
    names, counts = np.unique(method.astype(str), return_counts=True)
    share, top = float(inside.mean()), int(counts.argmax())
    return Cell(
        family,
        setting,
        clusters,
        float(truth),
        share,
        float(np.sqrt(max(share * (1 - share), 1e-9) / len(inside))),
        float((high < truth - slack).mean()),
        float((low > truth + slack).mean()),
        float((high - low).mean()),
        none,
        f"{names[top]} ({counts[top] / counts.sum():.0%})",
        sets,
    )


# One rate ---------------------------------------------------------------------------------------------------------


def rate_cell(rng: np.random.Generator, p: float, clusters: int, sizes: tuple[int, ...], icc: float, sets: int) -> Cell:
    """Beta-binomial clusters; ``sizes`` (draws a cluster) are dealt out in turn."""
    atoms = beta_atoms(p, icc)
    draws = np.resize(np.array(sizes), clusters)
    chance = atoms[rng.integers(_ATOMS, size=(sets, clusters))]
    events = rng.binomial(draws, chance).astype(np.float64)
    weight = np.broadcast_to(draws.astype(np.float64), events.shape)
    ends = estimation.bounds(events, weight, RATE, 1, LEVEL)
    name = "/".join(map(str, sizes))
    return measure("one rate", f"p={p:g} draws={name} icc={icc:g}", float(atoms.mean()), clusters, ends)


def rate_cells(rng: np.random.Generator, quick: bool) -> Iterator[Cell]:
    """Rates .001 to .5, 6 to 1,000 clusters, 1 to 25 draws, intra-cluster correlation 0 to .5, unequal clusters."""
    rates = (0.001, 0.01, 0.1, 0.5) if quick else (0.001, 0.003, 0.01, 0.03, 0.05, 0.1, 0.2, 0.3, 0.5)
    counts = (6, 20, 100) if quick else (6, 10, 20, 30, 60, 100, 300, 1000)
    shapes = [((1,), 0.0)]
    shapes += [((k,), icc) for k in (5, 25) for icc in ((0.0, 0.5) if quick else (0.0, 0.05, 0.2, 0.5))]
    shapes += [((1, 5, 25), 0.2)]
    for p, clusters, (sizes, icc) in product(rates, counts, shapes):
        yield rate_cell(rng, p, clusters, sizes, icc, _sets(quick, clusters, 10_000))


# Paired rates -----------------------------------------------------------------------------------------------------


def paired_rate_data(
    rng: np.random.Generator,
    rates: tuple[float, float],
    clusters: int,
    prompts: int,
    k: int,
    icc: float,
    shared: float,
    sets: int,
) -> tuple[Array, Array, Array, Array, float]:
    """Base and tuned cluster sums of prompt shares, total rise and fall over prompts, and the true difference.

    A cluster's base and tuned chances have the same rank with probability ``shared``, and a draw shares its random
    number with probability ``shared``: 0 is independence, 1 as much agreement as the rates allow.
    """
    tables = [beta_atoms(p, icc) for p in rates]
    rank = rng.integers(_ATOMS, size=(sets, clusters))
    other = np.where(rng.random(rank.shape) < shared, rank, rng.integers(_ATOMS, size=rank.shape))
    p0, p1 = tables[0][rank][..., None], tables[1][other][..., None]
    both = shared * np.minimum(p0, p1) + (1 - shared) * p0 * p1
    shape = (sets, clusters, prompts)
    n11 = rng.binomial(k, np.broadcast_to(both, shape))
    left = k - n11
    n10 = rng.binomial(left, np.broadcast_to(np.clip((p0 - both) / np.maximum(1 - both, 1e-12), 0, 1), shape))
    rest = np.clip((p1 - both) / np.maximum(1 - p0, 1e-12), 0, 1)
    n01 = rng.binomial(left - n10, np.broadcast_to(rest, shape))
    base, tuned = (n11 + n10) / k, (n11 + n01) / k
    move = tuned - base
    return (
        base.sum(axis=2),
        tuned.sum(axis=2),
        np.maximum(move, 0).sum(axis=(1, 2)),
        np.maximum(-move, 0).sum(axis=(1, 2)),
        float(tables[1].mean() - tables[0].mean()),
    )


def paired_rate_ends(
    data: tuple[Array, Array, Array, Array, float], prompts: int, k: int, level: float
) -> tuple[Array, Array, np.ndarray]:
    """The production interval of a batch of paired rates."""
    base, tuned, rise, fall, _ = data
    weight = np.full(base.shape, float(prompts))
    return paired.difference_bounds((base, weight), (tuned, weight), (rise, fall), RATE, k, level)


def paired_rate_cells(rng: np.random.Generator, quick: bool) -> Iterator[Cell]:
    """Rates .001 to .5, changes of 0 to .1, sharing 0 to .9, 6 to 1,000 clusters, 1 to 25 draws."""
    rates = (0.01, 0.1) if quick else (0.001, 0.01, 0.05, 0.1, 0.3, 0.5)
    rises = (0.0, 0.05) if quick else (0.0, 0.01, 0.1)
    counts = (6, 30, 100) if quick else (6, 10, 20, 30, 100, 300, 1000)
    shapes = [(1, 1, 0.0), (1, 5, 0.2), (1, 25, 0.5)]
    if not quick:
        shapes += [(1, 25, 0.05), (5, 1, 0.2), (5, 5, 0.2)]
    for p, rise, clusters, (prompts, k, icc), shared in product(rates, rises, counts, shapes, (0.0, 0.5, 0.9)):
        if shared == 0.5 and (quick or k > 1 or prompts > 1):
            continue
        sets = _sets(quick, clusters * prompts, 4_000)
        data = paired_rate_data(rng, (p, p + rise), clusters, prompts, k, icc, shared, sets)
        ends = paired_rate_ends(data, prompts, k, LEVEL)
        setting = f"p={p:g} rise={rise:g} prompts={prompts} k={k} icc={icc:g} shared={shared:g}"
        yield measure("paired rates", setting, data[4], clusters, ends)


# Means ------------------------------------------------------------------------------------------------------------

# Scores of -1, 0 and 1 of which nearly all are 0, as the ambiguous bias score of a model that mostly says "unknown".
SPARSE = ((0.02, 0.0), (0.02, 0.01), (0.1, 0.05), (0.3, 0.1))


def sparse_cells(rng: np.random.Generator, quick: bool) -> Iterator[Cell]:
    """Means of -1, 0 and 1, alone and paired with a base that has half as many ups."""
    for clusters, (up, down) in product((6, 30) if quick else (6, 10, 20, 29, 30, 60, 100, 300, 1000), SPARSE):
        sets = _sets(quick, clusters, 4_000)
        tuned = rng.choice([1.0, 0.0, -1.0], size=(sets, clusters), p=[up, 1 - up - down, down])
        base = np.where((tuned == 1.0) & (rng.random(tuned.shape) < 0.5), 0.0, tuned)
        weight, move = np.ones_like(tuned), (tuned - base) / 2.0
        ends = estimation.bounds(tuned, weight, SIGNED_MEAN, 1, LEVEL, replicates=REPLICATES)
        yield measure("one mean", f"-1/0/1 up={up:g} down={down:g}", up - down, clusters, ends)
        moves = (np.maximum(move, 0).sum(axis=1), np.maximum(-move, 0).sum(axis=1))
        ends = paired.difference_bounds(
            (base, weight), (tuned, weight), moves, SIGNED_MEAN, 1, LEVEL, replicates=REPLICATES
        )
        yield measure("paired means", f"-1/0/1 up={up:g} down={down:g}", up / 2, clusters, ends)


Draw = Callable[[np.random.Generator, tuple[int, ...]], Array]


def _beta_max(mean: float, size: float, k: int) -> Draw:
    """The largest of k beta scores, by inverting the distribution function of the maximum."""
    grid = special.betaincinv(mean * size, (1 - mean) * size, ((np.arange(_ATOMS) + 0.5) / _ATOMS) ** (1.0 / k))
    return lambda rng, shape: grid[rng.integers(_ATOMS, size=shape)]


SHAPES: dict[str, tuple[Statistic, Draw]] = {
    **{
        f"max of {k} beta({mean:g}, size {size:g})": (SHARE_MEAN, _beta_max(mean, size, k))
        for mean, size in ((0.02, 1.0), (0.1, 1.0), (0.1, 10.0), (0.3, 3.0))
        for k in (1, 5, 25)
    },
    "normal": (MEAN, lambda rng, shape: rng.normal(0.3, 1.0, shape)),
    "exponential": (MEAN, lambda rng, shape: rng.exponential(1.0, shape)),
    "t with 4 df": (MEAN, lambda rng, shape: rng.standard_t(4, shape)),
}


def shape_mean(name: str) -> float:
    """The true mean of a shape."""
    known = {"normal": 0.3, "exponential": 1.0, "t with 4 df": 0.0}
    if name in known:
        return known[name]
    cells = SHAPES[name][1]
    rng = np.random.default_rng(0)
    grid = cells.__closure__[0].cell_contents if cells.__closure__ else cells(rng, (1,))
    return float(np.mean(grid))


def clustered(rng: np.random.Generator, draw: Draw, shape: tuple[int, int, int], shared: float) -> Array:
    """Values with an intra-cluster correlation: each unit repeats its cluster's value with probability sqrt(shared)."""
    own, common = draw(rng, shape), draw(rng, (*shape[:2], 1))
    return np.where(rng.random(shape) < np.sqrt(shared), common, own)


def mean_cells(rng: np.random.Generator, quick: bool) -> Iterator[Cell]:
    """Skewed bounded means (maxima of k beta scores) and unbounded ones."""
    counts = (6, 20, 100) if quick else (6, 10, 20, 29, 30, 60, 100, 300, 1000)
    names = list(SHAPES)[::3] if quick else list(SHAPES)
    for name, clusters, (prompts, icc) in product(names, counts, ((1, 0.0),) if quick else ((1, 0.0), (5, 0.3))):
        statistic, draw = SHAPES[name]
        sets = _sets(quick, clusters * prompts, 4_000)
        values = clustered(rng, draw, (sets, clusters, prompts), icc).sum(axis=2)
        weight = np.full(values.shape, float(prompts))
        ends = estimation.bounds(values, weight, statistic, 1, LEVEL, replicates=REPLICATES)
        yield measure("one mean", f"{name} prompts={prompts} icc={icc:g}", shape_mean(name), clusters, ends)


PAIRED_SHAPES = (
    ("max of 5 beta(0.1, size 1)", "max of 5 beta(0.1, size 1)"),
    ("max of 5 beta(0.02, size 1)", "max of 5 beta(0.1, size 1)"),
    ("max of 25 beta(0.02, size 1)", "max of 25 beta(0.02, size 1)"),
    ("max of 1 beta(0.02, size 1)", "max of 1 beta(0.02, size 1)"),
    ("max of 1 beta(0.02, size 1)", "max of 1 beta(0.1, size 1)"),
    ("max of 5 beta(0.1, size 10)", "max of 5 beta(0.3, size 3)"),
    ("normal", "normal"),
    ("normal", "exponential"),
    ("t with 4 df", "exponential"),
)


def paired_mean_data(
    rng: np.random.Generator, names: tuple[str, str], clusters: int, prompts: int, shared: float, sets: int
) -> tuple[Array, Array, tuple[Array, Array] | None, float]:
    """Sums of base and tuned, moves, true difference; with ``shared`` equal shapes repeat the base's value."""
    statistic, draw = SHAPES[names[0]]
    shape = (sets, clusters, prompts)
    base = clustered(rng, draw, shape, 0.2)
    fresh = clustered(rng, SHAPES[names[1]][1], shape, 0.2)
    # For unequal shapes the shared part is the larger of both, so that values stay within the range.
    truth = shape_mean(names[1]) - shape_mean(names[0])
    tuned = np.where(rng.random(shape) < shared, base, fresh) if names[0] == names[1] else fresh
    move = tuned - base
    moves = (np.maximum(move, 0).sum(axis=(1, 2)), np.maximum(-move, 0).sum(axis=(1, 2))) if statistic.range else None
    return base.sum(axis=2), tuned.sum(axis=2), moves, truth


def paired_mean_cells(rng: np.random.Generator, quick: bool) -> Iterator[Cell]:
    """Paired means: the same shape with shared values, and a changed shape."""
    counts = (6, 20, 60) if quick else (6, 10, 20, 29, 30, 60, 100, 300)
    for names, clusters, prompts, shared in product(
        PAIRED_SHAPES[::3] if quick else PAIRED_SHAPES, counts, (1, 5), (0.0, 0.9) if quick else (0.0, 0.5, 0.9, 0.98)
    ):
        if shared and names[0] != names[1]:
            continue
        sets = _sets(quick, clusters * prompts * 2, 2_000)
        base, tuned, moves, truth = paired_mean_data(rng, names, clusters, prompts, shared, sets)
        weight = np.full(base.shape, float(prompts))
        ends = paired.difference_bounds(
            (base, weight), (tuned, weight), moves, SHAPES[names[0]][0], 1, LEVEL, replicates=REPLICATES
        )
        setting = f"{names[0]} -> {names[1]} prompts={prompts} shared={shared:g}"
        yield measure("paired means", setting, truth, clusters, ends)


# Ratios -----------------------------------------------------------------------------------------------------------


def passages(
    rng: np.random.Generator, clusters: int, sets: int, shift: float, noise: float
) -> tuple[Array, Array, Array]:
    """Lengths, base and tuned negative log-likelihoods of passages; longer ones are easier, as in real text."""
    size = np.exp(rng.normal(4.0, 0.7, (sets, clusters)))
    rate = (
        3.0 + 0.5 * rng.standard_normal(size.shape) - 0.1 * (np.log(size) - 4.0) + 0.3 * rng.exponential(1, size.shape)
    )
    change = shift + noise * rng.standard_normal(size.shape)
    return size, rate * size, (rate + change) * size


def ratio_truth(shift: float) -> float:
    """Mean rate weighted by length: E[size rate] / E[size]; log size has mean 4 + .7^2 under that weight."""
    return 3.0 - 0.1 * 0.7**2 + 0.3 + shift


def ratio_cells(rng: np.random.Generator, quick: bool) -> Iterator[Cell]:
    """Perplexity and bits per byte of one model and of a pair; BBQ's disambiguated score with few answers."""
    counts = (10, 60) if quick else (6, 10, 20, 29, 30, 60, 100, 300, 1000)
    for clusters, (name, statistic) in product(counts, (("perplexity", PERPLEXITY), ("bits per byte", BITS_PER_BYTE))):
        sets = _sets(quick, clusters, 4_000)
        size, base, tuned = passages(rng, clusters, sets, 0.05, 0.1)
        true = [float(statistic.value(np.array(ratio_truth(s)))) for s in (0.0, 0.05)]
        ends = estimation.bounds(base, size, statistic, 1, LEVEL, replicates=REPLICATES)
        yield measure("one ratio", name, true[0], clusters, ends)
        ends = paired.difference_bounds((base, size), (tuned, size), None, statistic, 1, LEVEL, replicates=REPLICATES)
        yield measure("paired ratios", name, true[1] - true[0], clusters, ends)
    for clusters, items, answered, bias in product(counts, (1, 10), (0.2, 0.8), (0.5, 0.7, 0.95)):
        yield from _bias_cells(rng, clusters, items, answered, bias, _sets(quick, clusters, 4_000))


def _bias_cells(
    rng: np.random.Generator, clusters: int, items: int, answered: float, bias: float, sets: int
) -> Iterator[Cell]:
    """2 n_biased / n_nonunknown - 1, and its paired difference where the variant is less biased."""
    lean = beta_atoms(bias, 0.1)
    rank = rng.integers(_ATOMS, size=(sets, clusters))
    parts = []
    for table in (lean, beta_atoms(bias - 0.2, 0.1)):
        weight = rng.binomial(items, answered, (sets, clusters)).astype(np.float64)
        parts.append((rng.binomial(weight.astype(int), table[rank]).astype(np.float64), weight))
    usable = (parts[0][1].sum(axis=1) > 0) & (parts[1][1].sum(axis=1) > 0)
    base, tuned = (tuple(part[usable] for part in side) for side in parts)
    setting = f"BBQ score items={items} answered={answered:g} bias={bias:g}"
    ends = estimation.bounds(*base, BIAS_SHARE, 1, LEVEL)
    yield measure("one ratio", setting, float(2 * lean.mean() - 1), clusters, ends)
    ends = paired.difference_bounds(base, tuned, None, BIAS_SHARE, 1, LEVEL, replicates=REPLICATES)
    truth = float(2 * beta_atoms(bias - 0.2, 0.1).mean() - 2 * lean.mean())
    yield measure("paired ratios", setting, truth, clusters, ends)


def _sets(quick: bool, size: int, most: int) -> int:
    """Fewer data sets where each is large, to keep a cell to a second or two."""
    return int(np.clip(2_000_000 / size, 1_000, most) / (4 if quick else 1))


# Rules ------------------------------------------------------------------------------------------------------------

RULE_SETTINGS = ((0.01, 0.01), (0.05, 0.05), (0.1, 0.1), (0.3, 0.1))
"""Base rate and margin."""


@dataclass(frozen=True, slots=True)
class RuleCell:
    """How often a single rule decided wrongly, or rightly, at alpha .05."""

    kind: str
    """``pass at the margin`` (wrong), ``fail without change`` (wrong, alone) or ``pass without change`` (right)."""
    setting: str
    clusters: int
    share: float
    error: float
    sets: int


Ends = tuple[Array, Array]


def judge(setting: str, clusters: int, at: Ends, none: Ends, margin: float) -> list[RuleCell]:
    """The three shares, from intervals at the margin and without change."""
    shares = {
        "pass at the margin": at[1] < margin - 1e-12,
        "fail without change": none[0] > margin + 1e-12,
        "pass without change": none[1] < margin - 1e-12,
    }
    cells = []
    for kind, hits in shares.items():
        share = float(hits.mean())
        error = float(np.sqrt(max(share * (1 - share), 1e-9) / len(hits)))
        cells.append(RuleCell(kind, setting, clusters, share, error, len(hits)))
    return cells


def rule_cells(rng: np.random.Generator, quick: bool) -> Iterator[RuleCell]:
    """Rules on rates and on unbounded means, then on a target with the base on, near and far from it."""
    counts = (20, 100) if quick else (10, 20, 40, 100, 300)
    shapes = ((1, 1, 0.0), (1, 5, 0.2)) if quick else ((1, 1, 0.0), (1, 5, 0.2), (1, 25, 0.5), (5, 5, 0.2))
    for (p, margin), clusters, (prompts, k, icc), shared in product(RULE_SETTINGS, counts, shapes, (0.0, 0.9)):
        sets = _sets(quick, clusters * prompts, 4_000)
        ends = []
        for rise in (margin, 0.0):
            data = paired_rate_data(rng, (p, p + rise), clusters, prompts, k, icc, shared, sets)
            ends.append(paired_rate_ends(data, prompts, k, 1 - 2 * ALPHA)[:2])
        setting = f"rate p={p:g} margin={margin:g} prompts={prompts} k={k} icc={icc:g} shared={shared:g}"
        yield from judge(setting, clusters, ends[0], ends[1], margin)
    for clusters, margin in product(counts, (0.1, 0.5)):
        ends = []
        for rise in (margin, 0.0):
            base = rng.normal(0, 1, (_sets(quick, clusters, 4_000), clusters))
            tuned = base + rng.normal(rise, 0.5, base.shape)
            first, second = ((values, np.ones_like(values)) for values in (base, tuned))
            found = paired.difference_bounds(first, second, None, MEAN, 1, 1 - 2 * ALPHA, replicates=REPLICATES)
            ends.append(found[:2])
        yield from judge(f"mean margin={margin:g}, spread of differences .5", clusters, ends[0], ends[1], margin)
    for clusters, distance, shared in product((20,) if quick else (10, 29), (0.0, 0.5, 1.0, 4.0), (0.0, 0.9)):
        yield from target_cells(rng, clusters, distance, shared, 200 if quick else 1_000)


def target_cells(rng: np.random.Generator, clusters: int, distance: float, shared: float, sets: int) -> list[RuleCell]:
    """A target of 0, the base ``distance`` standard errors from it, and a margin of 2.5 standard errors."""
    error = 1 / np.sqrt(clusters)
    place, margin = distance * error, 2.5 * error
    ids = tuple(f"u{i:04d}" for i in range(clusters))
    ends: dict[str, Ends] = {}
    for name, truth in (("further", place + margin), ("over", -place - margin), ("none", place)):
        found = np.empty((2, sets))
        for number in range(sets):
            noise = rng.normal(0, 1, (2, clusters))
            noise[1] = shared * noise[0] + np.sqrt(1 - shared**2) * noise[1]
            base, tuned = (
                Units(ids, ids, np.stack([mean + values, np.ones(clusters)], axis=1), MEAN)
                for mean, values in zip((place, truth), noise, strict=True)
            )
            passing, failing = harm.paired_harm(
                paired.pair_units(base, tuned), "target", 0.0, alpha_pass=ALPHA, alpha_fail=ALPHA
            )
            found[:, number] = failing.low, passing.high
        ends[name] = (found[0], found[1])
    setting = f"target, base {distance:g} errors away, shared={shared:g}"
    cells = judge(f"{setting}, going further", clusters, ends["further"], ends["none"], margin)
    return cells + judge(f"{setting}, overshooting", clusters, ends["over"], ends["none"], margin)[:1]


# Running and writing ----------------------------------------------------------------------------------------------

FAMILIES: dict[str, Callable[[np.random.Generator, bool], Iterator[Cell]]] = {
    "rates": rate_cells,
    "paired-rates": paired_rate_cells,
    "means": mean_cells,
    "paired-means": paired_mean_cells,
    "sparse": sparse_cells,
    "ratios": ratio_cells,
}


def run(quick: bool) -> tuple[list[Cell], list[RuleCell], dict[str, float]]:
    """All families, and the processor seconds each took."""
    cells: list[Cell] = []
    took: dict[str, float] = {}
    for number, (name, family) in enumerate(FAMILIES.items()):
        start = time.process_time()
        cells += family(np.random.default_rng([2, number]), quick)
        took[name] = round(time.process_time() - start, 1)
        print(f"{name}: {took[name]:.0f} s", flush=True)
    start = time.process_time()
    rules = list(rule_cells(np.random.default_rng([3, 0]), quick))
    took["rules"] = round(time.process_time() - start, 1)
    print(f"rules: {took['rules']:.0f} s", flush=True)
    return cells, rules, took


ENOUGH = 500
"""Intervals that a cell needs to be ranked; where most data sets have none its coverage is noise."""


def coverage_table(cells: list[Cell], worst: int = 6) -> str:
    """Markdown: a summary by family, then the worst cells of each."""
    cells = [cell for cell in cells if cell.sets * (1 - cell.none) >= ENOUGH]
    families = list(dict.fromkeys(cell.family for cell in cells))
    lines = [
        "| family | cells | data sets | median coverage | lowest | under 93 % | by more than 2 errors |",
        "|---|---|---|---|---|---|---|",
    ]
    for family in families:
        own = [cell for cell in cells if cell.family == family]
        values = [cell.coverage for cell in own]
        clear = sum(cell.coverage + 2 * cell.error < 0.93 for cell in own)
        lines.append(
            f"| {family} | {len(own):,} | {sum(c.sets for c in own):,} | {np.median(values):.3f} | {min(values):.3f} "
            f"| {sum(v < 0.93 for v in values)} | {clear} |"
        )
    lines += [
        "",
        "| family | setting | clusters | coverage | ± | truth above | truth below | mean width | method |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for family in families:
        for cell in sorted((c for c in cells if c.family == family), key=lambda c: c.coverage)[:worst]:
            lines.append(
                f"| {family} | {cell.setting} | {cell.clusters} | {cell.coverage:.3f} | {cell.error:.3f} "
                f"| {cell.below:.3f} | {cell.above:.3f} | {cell.width:.3g} | {cell.methods} |"
            )
    return "\n".join(lines)


ORDINARY = (
    ("one rate", "p=0.1 draws=1 icc=0"),
    ("one rate", "p=0.1 draws=5 icc=0.2"),
    ("one rate", "p=0.01 draws=25 icc=0.2"),
    ("one mean", "max of 25 beta(0.1, size 1) prompts=1 icc=0"),
    ("one mean", "normal prompts=1 icc=0"),
    ("paired rates", "p=0.1 rise=0 prompts=1 k=5 icc=0.2 shared=0"),
    ("paired rates", "p=0.1 rise=0 prompts=1 k=5 icc=0.2 shared=0.9"),
    ("paired means", "max of 5 beta(0.1, size 1) -> max of 5 beta(0.1, size 1) prompts=1 shared=0.9"),
)


def width_table(cells: list[Cell]) -> str:
    """Markdown: coverage and mean width of a few ordinary cells, what a reader may expect."""
    counts = (6, 20, 30, 100, 300)
    found = {(c.family, c.setting, c.clusters): c for c in cells}
    lines = ["| family | setting | " + " | ".join(f"{n} clusters" for n in counts) + " |"]
    lines.append("|---|---|" + "---|" * len(counts))
    for family, setting in ORDINARY:
        parts = [found.get((family, setting, n)) for n in counts]
        shown = ["" if c is None else f"{c.coverage:.3f} / {c.width:.3g}" for c in parts]
        lines.append(f"| {family} | {setting} | " + " | ".join(shown) + " |")
    return "\n".join(lines)


def rule_table(rules: list[RuleCell], worst: int = 6) -> str:
    """Markdown: wrong passes and wrong fails, highest first, and how often an unchanged model passes."""
    lines = ["| decision | setting | clusters | share | ± |", "|---|---|---|---|---|"]
    for kind in ("pass at the margin", "fail without change"):
        for cell in sorted((c for c in rules if c.kind == kind), key=lambda c: -c.share)[:worst]:
            lines.append(f"| {kind} | {cell.setting} | {cell.clusters} | {cell.share:.4f} | {cell.error:.4f} |")
    for cell in rules:
        if cell.kind == "pass without change" and "margin=0.1 prompts=1 k=5 icc=0.2 shared=0.9" in cell.setting:
            lines.append(f"| {cell.kind} | {cell.setting} | {cell.clusters} | {cell.share:.3f} | {cell.error:.3f} |")
    return "\n".join(lines)


def write(cells: list[Cell], rules: list[RuleCell], took: dict[str, float]) -> None:
    """Refresh the JSON and the tables between the markers of docs/statistics.md."""
    record = {
        "level": LEVEL,
        "alpha": ALPHA,
        "replicates": REPLICATES,
        "processor_seconds": took,
        "cells": [_rounded(asdict(cell)) for cell in cells],
        "rules": [_rounded(asdict(cell)) for cell in rules],
    }
    text = json.dumps(record, separators=(",", ":"), allow_nan=False).replace("},{", "},\n{")
    (ROOT / "benchmarks" / "results" / "coverage.json").write_text(text + "\n")
    put("statistics.md", "coverage", coverage_table(cells))
    put("statistics.md", "widths", width_table(cells))
    put("statistics.md", "rules", rule_table(rules))


def _rounded(record: dict[str, object]) -> dict[str, object]:
    """Numbers to five figures, NaN to None."""
    return {
        key: (None if value != value else float(f"{value:.5g}")) if isinstance(value, float) else value
        for key, value in record.items()
    }


def main() -> None:
    """Run the grid, print its tables, and with ``--write`` keep them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a small grid, under a minute")
    parser.add_argument("--write", action="store_true", help="refresh the results and the page")
    args = parser.parse_args()
    cells, rules, took = run(args.quick)
    print(coverage_table(cells), rule_table(rules), f"processor seconds: {sum(took.values()):.0f}", sep="\n\n")
    if args.write:
        write(cells, rules, took)


if __name__ == "__main__":
    main()
