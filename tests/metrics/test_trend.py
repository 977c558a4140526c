"""A metric along an ordered series of checkpoints."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from audit.errors import UsageError
from audit.metrics.perplexity import PERPLEXITY
from audit.metrics.trend import trend
from audit.metrics.units import MEAN, RATE, Units


def units(values, weights=None, statistic=MEAN, clusters=None) -> Units:
    values = np.asarray(values, dtype=float)
    weights = np.where(np.isnan(values), np.nan, 1.0) if weights is None else weights
    names = tuple(f"u{i:04d}" for i in range(len(values)))
    where = names if clusters is None else tuple(map(str, clusters))
    return Units(names, where, np.stack([values, weights], axis=1), statistic)


@given(st.integers(3, 6), st.integers(6, 20), st.integers(0, 1000))
def test_the_slope_is_the_least_squares_line_through_the_values_and_the_mean_of_each_clusters_own(steps, n, seed):
    rng = np.random.default_rng(seed)
    doses = np.sort(rng.random(steps)).cumsum() + np.arange(steps)
    table = rng.normal(size=(steps, n))
    found = trend([units(row) for row in table], doses)
    assert found.slope.value == pytest.approx(stats.linregress(doses, table.mean(axis=1)).slope)
    own = [stats.linregress(doses, column).slope for column in table.T]
    low, high = stats.ttest_1samp(own, 0).confidence_interval()
    assert found.slope.low <= low + 1e-9  # Student's interval, or wider for skewness
    assert found.slope.high >= high - 1e-9
    assert (found.slope.n, found.slope.clusters, found.slope.missing) == (n, n, 0)


def test_a_ratio_has_the_slope_of_its_values_and_the_delta_methods_error():
    rng = np.random.default_rng(1)
    tokens = rng.integers(20, 200, 60).astype(float)
    rates = [3.0 + 0.1 * step + 0.2 * rng.standard_normal(60) for step in range(4)]
    found = trend([units(rate * tokens, tokens, PERPLEXITY) for rate in rates])
    values = [np.exp((rate * tokens).sum() / tokens.sum()) for rate in rates]
    assert found.slope.value == pytest.approx(stats.linregress(range(4), values).slope)
    assert [one.value for one in found.values] == pytest.approx(values)
    # The jackknife's error of the same number, by leaving out one passage at a time.
    left = []
    for i in range(60):
        keep = np.arange(60) != i
        ends = [np.exp((r * tokens)[keep].sum() / tokens[keep].sum()) for r in rates]
        left.append(stats.linregress(range(4), ends).slope)
    error = np.sqrt(59 / 60 * ((np.array(left) - np.mean(left)) ** 2).sum())
    assert found.slope.high - found.slope.low == pytest.approx(2 * stats.t.ppf(0.975, 59) * error, rel=0.1)
    assert found.monotone
    assert found.p < 0.01


def test_the_test_is_the_sign_flip_test_of_the_clusters_slopes():
    rng = np.random.default_rng(2)
    table = rng.normal(size=(3, 8)) + 0.3 * np.arange(3)[:, None]
    found = trend([units(row) for row in table])
    own = (table[2] - table[0]) / 2
    signs = np.array(np.meshgrid(*[[-1, 1]] * 8)).reshape(8, -1)
    expected = (np.abs(own @ signs) >= abs(own.sum()) - 1e-12).mean()
    assert found.p == pytest.approx(expected)


def test_a_lost_answer_takes_its_unit_out_of_the_whole_series():
    first, second, third = np.arange(9.0), np.arange(9.0) + 1, np.arange(9.0) * 2
    second[3] = np.nan
    found = trend([units(first), units(second), units(third)])
    kept = np.arange(9) != 3
    assert found.slope.missing == 1
    assert all(one.missing == 1 and one.n == 8 for one in found.values)
    assert found.slope.value == pytest.approx((third[kept].mean() - first[kept].mean()) / 2)


def test_rates_without_any_change_are_bounded_and_never_of_zero_width():
    flat = [units([0.0] * 30, statistic=RATE)] * 3
    found = trend(flat)
    assert found.slope.value == 0
    # No cluster of 30 changed: the share that might is bounded exactly, and each could change by 1 over two steps.
    assert found.slope.high == pytest.approx(0.5 * (1 - 0.025 ** (1 / 30)))
    assert found.slope.low == -found.slope.high
    assert found.p == 1.0


def test_unbounded_scores_of_which_few_change_have_no_interval():
    base = np.arange(20.0)
    moved = base.copy()
    moved[:2] += 1
    found = trend([units(base), units(base), units(moved)])
    assert found.slope.value == pytest.approx(0.05)
    assert (found.slope.low, found.slope.high) == (None, None)
    assert "too few" in found.slope.method


def test_a_series_that_turns_is_not_monotone():
    rows = [units(np.arange(9.0) + shift) for shift in (0, 2, 1)]
    assert not trend(rows).monotone
    assert trend(rows[:1] * 3).monotone


def test_no_shared_unit_gives_no_number():
    empty = units([np.nan] * 5)
    found = trend([units(np.arange(5.0)), empty, units(np.arange(5.0))])
    assert (found.slope.value, found.p, found.slope.missing) == (None, None, 5)


@pytest.mark.parametrize(
    ("count", "doses"), [(2, None), (3, [0, 1]), (3, [0, 1, 1]), (3, [2, 1, 0]), (3, [0, 1, np.nan])]
)
def test_what_is_no_series_is_refused(count, doses):
    with pytest.raises(UsageError):
        trend([units(np.arange(6.0))] * count, doses)


def test_units_of_other_metrics_are_refused():
    with pytest.raises(UsageError):
        trend([units([0.5] * 6), units([0.5] * 6), units([0.5] * 6, statistic=RATE)])


@pytest.mark.slow
@pytest.mark.parametrize(("rate", "rise", "clusters"), [(0.05, 0.0, 20), (0.05, 0.03, 60), (0.3, 0.1, 20)])
def test_slopes_of_rates_are_covered(rate, rise, clusters):
    """Three checkpoints, 5 draws a prompt, random numbers shared with probability .8."""
    rng = np.random.default_rng([4, clusters])
    held = 0
    sets = 400
    for _ in range(sets):
        noise = np.broadcast_to(rng.random((clusters, 5)), (3, clusters, 5)).copy()
        fresh = rng.random(noise.shape) < 0.2
        noise[fresh] = rng.random(fresh.sum())
        level = np.array([rate, rate + rise, rate + 2 * rise])[:, None, None]
        found = trend([units(row, statistic=RATE) for row in (noise < level).mean(axis=2)])
        held += found.slope.low <= rise <= found.slope.high
    assert held / sets >= 0.93 - 2 * np.sqrt(0.93 * 0.07 / sets)
