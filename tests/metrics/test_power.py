"""What a comparison can see, and how many units would settle a rule: against simulation and closed forms."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from audit.metrics import paired
from audit.metrics.harm import absolute_harm
from audit.metrics.paired import contrast, pair_units
from audit.metrics.power import needed_units, smallest_change
from audit.metrics.units import MEAN, RATE, SIGNED_MEAN, Units


def units(values, statistic=RATE, draws=1) -> Units:
    values = np.asarray(values, dtype=float)
    names = tuple(f"u{i:05d}" for i in range(len(values)))
    return Units(names, names, np.stack([values, np.ones(len(values))], axis=1), statistic, draws=draws)


def changed(base, tuned, **kwargs):
    pair = pair_units(units(base, **kwargs), units(tuned, **kwargs))
    return smallest_change(pair, contrast(pair, level=0.95))


def lower_ends(base, tuned, level):
    """Ends of many data sets' intervals, (S, n) each, by the production formula."""
    move, weight = tuned - base, np.ones_like(base)
    moves = (np.maximum(move, 0).sum(axis=1), np.maximum(-move, 0).sum(axis=1))
    return paired.difference_bounds((base, weight), (tuned, weight), moves, RATE, 1, level)[:2]


def seen(rng, n, differing, change, sets=3_000) -> float:
    """Share of data sets with this true change whose interval excludes zero."""
    more, less = (differing + change) / 2, (differing - change) / 2
    move = rng.choice([1.0, -1.0, 0.0], (sets, n), p=[more, less, 1 - differing])
    return float((lower_ends(np.maximum(-move, 0), np.maximum(move, 0), 0.95)[0] > 0).mean())


@pytest.mark.parametrize(("n", "ups", "downs"), [(100, 0, 0), (60, 2, 2), (200, 20, 20)])
def test_the_smallest_change_of_a_rate_is_seen_four_times_of_five(n, ups, downs):
    base, tuned = np.zeros(n), np.zeros(n)
    base[:downs], tuned[n - ups :] = 1, 1
    change = changed(base, tuned)
    share = seen(np.random.default_rng([1, n]), n, (ups + downs) / n + change, change)
    assert 0.77 < share < 0.9  # counts are whole: a little more where few differ


def test_half_the_width_alone_would_promise_too_much_where_nothing_differs_yet():
    pair = pair_units(units(np.zeros(100)), units(np.zeros(100)))
    found = contrast(pair, level=0.95)
    naive = (found.high - found.low) / 2 * (1 + 0.8416 / 1.96)
    assert seen(np.random.default_rng(2), 100, naive, naive) < 0.65
    assert smallest_change(pair, found) > 1.3 * naive


@pytest.mark.parametrize("n", [12, 25])
def test_the_smallest_change_of_a_mean_is_an_arm_of_the_interval_and_what_power_needs(n):
    values = np.random.default_rng(n).normal(size=n)
    values = values - values.mean()
    found = contrast(pair_units(units(np.zeros(n), statistic=MEAN), units(values, statistic=MEAN)), level=0.95)
    change = changed(np.zeros(n), values, statistic=MEAN)
    error = values.std(ddof=1) / math.sqrt(n)
    arm = max(found.high - found.value, found.value - found.low)
    assert change == pytest.approx(arm + 0.8416 * error, rel=1e-4)
    assert change > (stats.t.ppf(0.975, n - 1) + 0.8416) * error


def test_without_an_interval_there_is_no_smallest_change():
    assert changed([0.0], [1.0], statistic=MEAN) is None


def test_where_not_even_the_largest_change_would_be_seen_there_is_none():
    assert changed([0.0] * 3, [0.0] * 3) is None
    assert changed([0.0] * 3, [0.0] * 3, statistic=SIGNED_MEAN) is None


def needed(base, tuned, margin, *, direction="lower", target=None, fail=0.05, **kwargs):
    first = None if base is None else units(base, **kwargs)
    return needed_units(first, units(tuned, **kwargs), direction, target, margin, alpha_pass=0.05, alpha_fail=fail)


def test_no_event_needs_what_the_exact_bound_says():
    found = needed(None, [0.0] * 20, 0.01)
    # 1 - .05^(1/n) < .01 from n = 299 on.
    assert found.units == pytest.approx(299, rel=0.02)
    assert found.outcome == "pass"
    pair = needed([0.0] * 20, [0.0] * 20, 0.01)
    assert pair.units == pytest.approx(299, rel=0.02)


def test_a_mean_needs_the_textbook_number():
    values = np.random.default_rng(3).normal(size=24)
    values = (values - values.mean()) / values.std(ddof=1) + 0.1
    found = needed(np.zeros(24), values, 0.3, statistic=MEAN)
    assert found.units == pytest.approx(((1.645 + 0.8416) / 0.2) ** 2, rel=0.08)


def test_a_fail_is_held_to_its_own_level():
    rng = np.random.default_rng(4)
    values = rng.normal(size=40)
    values = (values - values.mean()) / values.std(ddof=1) + 0.5
    alone, many = (needed(np.zeros(40), values, 0.3, statistic=MEAN, fail=alpha) for alpha in (0.05, 0.005))
    assert (alone.outcome, many.outcome) == ("fail", "fail")
    assert alone.units == pytest.approx(((1.645 + 0.8416) / 0.2) ** 2, rel=0.1)
    assert many.units == pytest.approx(((2.576 + 0.8416) / 0.2) ** 2, rel=0.1)


def test_harm_on_the_margin_and_one_cluster_are_settled_by_nothing():
    assert needed(None, [0.0, 1.0] * 10, 0.5).units is None
    assert needed(None, [0.0], 0.5).units is None
    assert needed(None, [0.0] * 10 + [1.0], 1 / 11 + 1e-6).units is None


def test_the_number_needed_settles_a_rate_four_times_of_five():
    base, tuned = np.zeros(50), np.zeros(50)
    base[:3], tuned[2:6] = 1, 1  # two fall, three rise, one stays

    found = needed(base, tuned, 0.1)
    assert 60 < found.units < 1000
    rows = np.random.default_rng(5).integers(50, size=(2_000, found.units))
    high = lower_ends(base[rows], tuned[rows], 0.9)[1]
    assert (high < 0.1).mean() == pytest.approx(0.8, abs=0.06)


def test_a_target_needs_as_many_as_its_wider_contrast():
    rng = np.random.default_rng(6)
    base = 0.6 + 0.05 * rng.standard_normal(25)
    tuned = base + 0.05 * rng.standard_normal(25)
    found = needed(base, tuned, 0.03, direction="target", target=0.5, statistic=MEAN)
    assert found.outcome == "pass"
    assert 25 < found.units < 400


@pytest.mark.parametrize("events", [1, 3])
def test_an_absolute_rule_with_few_events_by_enumeration(events):
    values = np.zeros(50)
    values[:events] = 1
    found = needed(None, values, 0.15)
    rate = events / 50
    counts = np.arange(found.units + 1)
    passing = [
        absolute_harm(units(np.arange(found.units) < c), "lower", None, alpha_pass=0.05, alpha_fail=0.05)[0].high < 0.15
        for c in counts[: found.units // 4]
    ]
    power = stats.binom.pmf(counts[: len(passing)], found.units, rate)[passing].sum()
    assert 0.75 < power < 0.99  # exact bounds are conservative, most with one event
