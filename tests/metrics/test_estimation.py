"""One model's estimates: which formula, and what happens at the edges."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import stats

from audit.errors import UsageError
from audit.metrics.estimation import estimate
from audit.metrics.perplexity import BITS_PER_BYTE, PERPLEXITY
from audit.metrics.units import MEAN, RATE, SHARE_MEAN, SIGNED_MEAN, Units


def units(values, clusters=None, statistic=RATE, draws=1) -> Units:
    values = np.asarray(values, dtype=float)
    columns = np.stack([values, np.where(np.isnan(values), np.nan, 1.0)], axis=1)
    ids = tuple(f"u{i:04d}" for i in range(len(values)))
    names = ids if clusters is None else tuple(str(c) for c in clusters)
    return Units(ids, names, columns, statistic, draws=draws)


def test_independent_draws_give_wilson_at_n():
    found = estimate(units([1.0] * 30 + [0.0] * 70))
    expected = stats.binomtest(30, 100).proportion_ci(method="wilson")
    assert (found.value, found.low, found.high) == pytest.approx((0.3, expected.low, expected.high))
    assert (found.n, found.clusters, found.missing, found.method) == (100, 100, 0, "Wilson at effective n")


def test_few_events_give_clopper_pearson():
    found = estimate(units([1.0] * 2 + [0.0] * 98))
    expected = stats.binomtest(2, 100).proportion_ci(method="exact")
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high))
    assert "few events" in found.method


@pytest.mark.parametrize("value", [0.0, 1.0])
@pytest.mark.parametrize("draws", [1, 5, 25])
def test_without_any_event_or_with_all_n_is_the_number_of_clusters(value, draws):
    found = estimate(units([value] * 60, clusters=[i // 3 for i in range(60)], draws=draws))
    expected = stats.binomtest(int(20 * value), 20).proportion_ci(method="exact")
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high))


def test_draws_that_always_agree_count_once():
    values = [1.0] * 12 + [0.0] * 28
    once = estimate(units(values))
    repeated = estimate(units(values, draws=25))
    assert repeated.high - repeated.low == pytest.approx(once.high - once.low, rel=0.05)


def test_independent_draws_of_one_prompt_narrow_the_interval():
    rng = np.random.default_rng(0)
    many = estimate(units(rng.binomial(25, 0.3, 60) / 25, draws=25))
    expected = stats.binomtest(round(many.value * 1500), 1500).proportion_ci(method="wilson")
    assert many.high - many.low == pytest.approx(expected.high - expected.low, rel=0.25)


def test_clustered_prompts_widen_it():
    rng = np.random.default_rng(1)
    same = np.repeat(rng.random(20) < 0.4, 10).astype(float)
    own = estimate(units(same))
    clustered = estimate(units(same, clusters=np.repeat(np.arange(20), 10)))
    assert clustered.high - clustered.low > 2 * (own.high - own.low)
    assert (clustered.n, clustered.clusters) == (200, 20)


def test_a_small_unbounded_mean_holds_students_interval():
    values = np.random.default_rng(2).normal(1, 1, 12)
    found = estimate(units(values, statistic=MEAN))
    expected = stats.ttest_1samp(values, 0).confidence_interval(0.95)
    assert found.low <= expected.low + 1e-9
    assert found.high >= expected.high - 1e-9
    assert found.high - found.low < 1.4 * (expected.high - expected.low)


def test_a_large_mean_is_close_to_scipys_bootstrap_of_the_same_kind():
    values = np.random.default_rng(3).normal(1, 1, 200)
    found = estimate(units(values, statistic=MEAN))
    expected = stats.bootstrap((values,), np.mean, method="BCa", rng=np.random.default_rng(0))
    assert found.low == pytest.approx(expected.confidence_interval.low, abs=0.02)
    assert found.high == pytest.approx(expected.confidence_interval.high, abs=0.02)


def test_one_cluster_and_no_unit_have_no_interval_and_say_why():
    one = estimate(units([0.2, 0.4], clusters=["a", "a"], statistic=SHARE_MEAN))
    assert (one.value, one.low, one.high) == (pytest.approx(0.3), None, None)
    assert "one cluster" in one.method
    none = estimate(units([np.nan, np.nan]))
    assert (none.value, none.low, none.n, none.missing) == (None, None, 0, 2)
    assert "no unit" in none.method


@pytest.mark.parametrize(("statistic", "value"), [(SHARE_MEAN, 0.0), (SHARE_MEAN, 0.5), (SIGNED_MEAN, 0.0)])
@pytest.mark.parametrize("count", [6, 40])
def test_equal_values_of_a_bounded_mean_never_give_zero_width(statistic, value, count):
    found = estimate(units([value] * count, statistic=statistic))
    unseen = 1 - 0.025 ** (1 / count)
    low, high = statistic.range
    assert found.low == pytest.approx(value - unseen * (value - low))
    assert found.high == pytest.approx(value + unseen * (high - value))
    assert "no variation" in found.method


def test_equal_values_of_an_unbounded_mean_have_no_interval():
    found = estimate(units([2.0] * 40, statistic=MEAN))
    assert (found.value, found.low, found.high) == (2.0, None, None)
    assert "no variation" in found.method


def test_a_mean_near_its_bound_uses_the_range():
    found = estimate(units([0.001] * 39 + [0.9], statistic=SHARE_MEAN))
    assert "near its bound" in found.method
    assert found.low >= 0
    assert found.high > 0.1


def test_perplexity_is_the_transformed_interval_of_nats_per_token():
    rng = np.random.default_rng(5)
    tokens = rng.integers(20, 200, 25).astype(float)
    nats = tokens * rng.normal(3, 0.3, 25)
    ids = tuple(map(str, range(25)))
    columns = np.stack([nats, tokens], axis=1)
    found = estimate(Units(ids, ids, columns, PERPLEXITY))
    plain = estimate(Units(ids, ids, columns, BITS_PER_BYTE))
    assert found.value == pytest.approx(np.exp(nats.sum() / tokens.sum()))
    assert (found.low, found.high) == pytest.approx((np.exp(plain.low), np.exp(plain.high)))


def test_levels_nest_and_impossible_ones_are_refused():
    some = units(np.random.default_rng(6).random(50), statistic=SHARE_MEAN)
    ends = [estimate(some, level) for level in (0.8, 0.9, 0.99)]
    assert ends[2].low < ends[1].low < ends[0].low
    assert ends[0].high < ends[1].high < ends[2].high
    for level in (0.0, 1.0, 95):
        with pytest.raises(UsageError, match="between 0 and 1"):
            estimate(some, level)


@settings(max_examples=40, deadline=None)
@given(
    hnp.arrays(float, st.integers(2, 45), elements=st.sampled_from([0.0, 0.25, 0.5, 1.0, np.nan])),
    st.integers(1, 5),
    st.randoms(use_true_random=False),
)
def test_order_does_not_matter_and_values_stay_in_range(values, size, random):
    for statistic in (RATE, SHARE_MEAN):
        some = units(values, clusters=[i // size for i in range(len(values))], statistic=statistic, draws=4)
        order = list(range(len(values)))
        random.shuffle(order)
        found, shuffled = estimate(some), estimate(some.take(order))
        assert found == shuffled
        assert found.n + found.missing == len(values)
        if found.low is not None and found.high is not None:
            assert 0 <= found.low <= found.value + 1e-12
            assert found.value - 1e-12 <= found.high <= 1
            assert found.low < found.high


@settings(max_examples=30, deadline=None)
@given(hnp.arrays(float, st.integers(2, 45), elements=st.sampled_from([0.0, 0.2, 0.5, 1.0])))
def test_one_minus_the_values_mirrors_the_interval(values):
    for statistic, draws in ((RATE, 5), (SHARE_MEAN, 1)):
        found = estimate(units(values, statistic=statistic, draws=draws))
        mirrored = estimate(units(1 - values, statistic=statistic, draws=draws))
        assert (found.low, found.high) == pytest.approx((1 - mirrored.high, 1 - mirrored.low), abs=1e-9)
