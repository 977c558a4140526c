"""Do the intervals hold the truth? Key cells of benchmarks/coverage.py, and exact enumeration where it can be had."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from audit.metrics import estimation, intervals, paired
from audit.metrics.units import MEAN, RATE, SHARE_MEAN, SIGNED_MEAN

FLOOR = 0.93
SETS = 2_000
SLACK = 2 * np.sqrt(0.93 * 0.07 / SETS)
"""Two Monte Carlo errors."""


def held(ends, truth) -> float:
    low, high = ends[0], ends[1]
    known = np.isfinite(low)
    assert known.mean() > 0.9
    return float(((low <= truth + 1e-9) & (truth <= high + 1e-9))[known].mean())


@pytest.mark.parametrize("n", [6, 10, 20, 30, 60, 100, 300])
def test_one_rate_of_independent_draws_by_enumeration(n):
    counts = np.arange(n + 1)
    events = (np.arange(n) < counts[:, None]).astype(float)
    low, high, _ = estimation.bounds(events, np.ones_like(events), RATE, 1, 0.95)
    rates = np.geomspace(0.0005, 0.5, 600)[:, None]
    coverage = (stats.binom.pmf(counts, n, rates) * ((low <= rates) & (rates <= high))).sum(axis=1)
    assert coverage.min() >= FLOOR


@pytest.mark.parametrize("n", [20, 40])
def test_paired_rates_of_independent_units_by_enumeration(n):
    more, less = (grid.ravel() for grid in np.indices((n + 1, n + 1)))
    more, less = more[more + less <= n], less[more + less <= n]
    zeros = np.zeros((len(more), n))
    positions = np.arange(n)
    tuned = (positions < more[:, None]).astype(float)
    base = ((positions >= more[:, None]) & (positions < (more + less)[:, None])).astype(float)
    ends = paired.difference_bounds(
        (base, zeros + 1), (tuned, zeros + 1), (more.astype(float), less.astype(float)), RATE, 1, 0.95
    )
    table = np.stack([more, less, n - more - less], axis=1)
    for rise in (0.001, 0.01, 0.05, 0.1, 0.2, 0.4):
        for fall in (0.0, 0.001, 0.01, 0.05, 0.2, 0.4):
            weights = stats.multinomial.pmf(table, n, [rise, fall, 1 - rise - fall])
            truth = rise - fall
            inside = (ends[0] <= truth + 1e-12) & (truth <= ends[1] + 1e-12)
            assert weights[inside].sum() >= FLOOR, (rise, fall)


@pytest.mark.parametrize("rate", [0.001, 0.03, 0.3])
@pytest.mark.parametrize(("clusters", "draws", "icc"), [(6, 25, 0.5), (30, 5, 0.2), (100, 25, 0.2)])
@pytest.mark.parametrize("unequal", [False, True])
def test_one_rate_of_clustered_draws(rate, clusters, draws, icc, unequal):
    rng = np.random.default_rng([1, clusters, draws])
    size = 1 / icc - 1
    chance = rng.beta(rate * size, (1 - rate) * size, (SETS, clusters))
    weight = np.resize(np.array([1, draws] if unequal else [draws]), clusters)
    events = rng.binomial(weight, chance).astype(float)
    ends = estimation.bounds(events, np.broadcast_to(weight.astype(float), events.shape), RATE, 1, 0.95)
    assert held(ends, rate) >= FLOOR - SLACK


@pytest.mark.parametrize("clusters", [6, 20, 60])
@pytest.mark.parametrize("draws", [1, 5, 25])
def test_one_mean_of_maxima(clusters, draws):
    rng = np.random.default_rng([2, clusters, draws])
    truth = rng.beta(0.1, 0.9, (200_000, draws)).max(axis=1).mean()
    values = rng.beta(0.1, 0.9, (SETS, clusters, draws)).max(axis=2)
    ends = estimation.bounds(values, np.ones_like(values), SHARE_MEAN, 1, 0.95, replicates=1_000)
    assert held(ends, truth) >= FLOOR - SLACK - 0.005


@pytest.mark.parametrize("clusters", [6, 20, 60])
@pytest.mark.parametrize("shape", ["normal", "heavy", "skewed"])
def test_one_unbounded_mean(clusters, shape):
    rng = np.random.default_rng([3, clusters])
    draw = {
        "normal": lambda size: rng.normal(0, 1, size),
        "heavy": lambda size: rng.standard_t(4, size),
        "skewed": lambda size: rng.exponential(1, size) - 1,
    }[shape]
    values = draw((SETS, clusters))
    ends = estimation.bounds(values, np.ones_like(values), MEAN, 1, 0.95, replicates=1_000)
    assert held(ends, 0.0) >= FLOOR - SLACK


@pytest.mark.parametrize("clusters", [6, 29, 100])
@pytest.mark.parametrize(("up", "down"), [(0.02, 0.01), (0.3, 0.1)])
def test_scores_that_are_nearly_all_zero(clusters, up, down):
    rng = np.random.default_rng([4, clusters])
    values = rng.choice([1.0, 0.0, -1.0], size=(SETS, clusters), p=[up, 1 - up - down, down])
    ends = estimation.bounds(values, np.ones_like(values), SIGNED_MEAN, 1, 0.95, replicates=1_000)
    assert held(ends, up - down) >= FLOOR - SLACK


@pytest.mark.parametrize("shared", [0.0, 0.9])
@pytest.mark.parametrize("clusters", [10, 40])
@pytest.mark.parametrize("rise", [0.0, 0.1])
def test_paired_rates_of_k_draws(shared, clusters, rise):
    rng = np.random.default_rng([5, clusters])
    draws, rate = 5, 0.1
    level = rng.beta(rate * 4, (1 - rate) * 4, (SETS, clusters, 1))
    common, own = rng.random((2, SETS, clusters, draws))
    noise = np.where(rng.random(common.shape) < shared, common, own)
    base = (common < level).mean(axis=2)
    tuned = (noise < level + rise * (1 - level)).mean(axis=2)
    move = tuned - base
    moves = (np.maximum(move, 0).sum(axis=1), np.maximum(-move, 0).sum(axis=1))
    weight = np.ones_like(base)
    ends = paired.difference_bounds((base, weight), (tuned, weight), moves, RATE, draws, 0.95)
    assert held(ends, rise * (1 - rate)) >= FLOOR - SLACK


def test_harm_on_few_wordings_passes_no_more_often_than_alpha():
    # A quarter of 40 wordings bears all the harm, .05 on average; Tango at effective n alone passes 6.7 % of these.
    rng = np.random.default_rng([7, 1])
    sets, clusters, prompts, draws, margin = 2 * SETS, 40, 13, 4, 0.05
    harm = 4 * margin * (rng.random((sets, clusters, 1)) < 0.25)
    base = rng.binomial(draws, 0.05, (sets, clusters, prompts)) / draws
    tuned = rng.binomial(draws, np.broadcast_to(0.05 + harm, base.shape)) / draws
    move = tuned - base
    moves = (np.maximum(move, 0).sum(axis=(1, 2)), np.maximum(-move, 0).sum(axis=(1, 2)))
    sides = (base.sum(axis=2), tuned.sum(axis=2))
    weight = np.full(sides[0].shape, float(prompts))
    low, high, method = paired.difference_bounds((sides[0], weight), (sides[1], weight), moves, RATE, draws, 0.9)
    assert set(method) == {"Tango's paired score at effective n, at least Hall's corrected t"}
    allowed = 0.05 + 2 * np.sqrt(0.05 * 0.95 / sets)
    assert (high < margin).mean() <= allowed
    assert (low > margin).mean() <= allowed


@pytest.mark.parametrize("clusters", [10, 40])
def test_paired_means_of_maxima(clusters):
    rng = np.random.default_rng([6, clusters])
    first, second = rng.beta(0.1, 0.9, (2, SETS, clusters, 5)).max(axis=3)
    tuned = np.where(rng.random(first.shape) < 0.8, first, second)
    move, weight = tuned - first, np.ones_like(first)
    moves = (np.maximum(move, 0).sum(axis=1), np.maximum(-move, 0).sum(axis=1))
    ends = paired.difference_bounds((first, weight), (tuned, weight), moves, SHARE_MEAN, 1, 0.95, replicates=1_000)
    assert held(ends, 0.0) >= FLOOR - SLACK


@pytest.mark.parametrize("clusters", [6, 10, 20])
def test_a_difference_that_one_or_two_clusters_carry(clusters):
    rng = np.random.default_rng([8, clusters])
    base, tuned = rng.beta(0.02, 0.98, (SETS, clusters)), rng.beta(0.1, 0.9, (SETS, clusters))
    move, weight = tuned - base, np.ones_like(base)
    moves = (np.maximum(move, 0).sum(axis=1), np.maximum(-move, 0).sum(axis=1))
    ends = paired.difference_bounds((base, weight), (tuned, weight), moves, SHARE_MEAN, 1, 0.95)
    assert held(ends, 0.08) >= FLOOR - SLACK


def test_plain_formulas_would_not_do():
    """What the guards are for: the textbook interval misses where ours holds."""
    rng = np.random.default_rng(7)
    values = rng.exponential(1, (SETS, 10)) - 1
    mean, influence = values.mean(axis=1), (values - values.mean(axis=1, keepdims=True)) / 10
    plain = intervals.student(mean, intervals.linearised_variance(influence), np.full(SETS, 9.0), 0.95)
    assert held(plain, 0.0) < 0.92
    rare = rng.binomial(25, rng.beta(0.05, 0.95, (SETS, 6)))
    share = rare.sum(axis=1) / 150
    assert held(intervals.wilson(share, 150.0, 0.95), 0.05) < 0.8
