"""The formulas against published numbers and against other ways to compute them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import optimize, stats

from audit.metrics import intervals


@pytest.mark.parametrize(
    ("events", "n", "low", "high"),
    [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611), (1, 29, 0.0061, 0.1718)],
)
def test_wilson_gives_newcombes_published_examples(events, n, low, high):
    # Newcombe 1998, Statistics in Medicine 17, 857-872, table I, method 3.
    found = intervals.wilson(events / n, n, 0.95)
    assert found == (pytest.approx(low, abs=5e-5), pytest.approx(high, abs=5e-5))


@pytest.mark.parametrize(
    ("events", "n", "low", "high"),
    [(81, 263, 0.2527, 0.3676), (15, 148, 0.0578, 0.1617), (0, 20, 0.0, 0.1684), (1, 29, 0.0009, 0.1776)],
)
def test_clopper_pearson_gives_newcombes_published_examples(events, n, low, high):
    # The same table, method 5.
    found = intervals.clopper_pearson(events / n, n, 0.95)
    assert found == (pytest.approx(low, abs=5e-5), pytest.approx(high, abs=5e-5))


@given(st.integers(1, 400), st.data(), st.sampled_from([0.8, 0.9, 0.95, 0.99]))
def test_single_rates_agree_with_scipy(n, data, level):
    events = data.draw(st.integers(0, n))
    result = stats.binomtest(events, n)
    for method, formula in (("wilson", intervals.wilson), ("exact", intervals.clopper_pearson)):
        expected = result.proportion_ci(confidence_level=level, method=method)
        low, high = formula(events / n, n, level)
        assert float(low) == pytest.approx(expected.low, abs=1e-9)
        assert float(high) == pytest.approx(expected.high, abs=1e-9)


@pytest.mark.parametrize(
    ("more", "less", "n", "level", "low", "high"),
    [
        (9, 3, 32, 0.95, -0.027, 0.390),  # Tango 1998
        (0, 1, 44, 0.90, -0.096, 0.037),  # Tango 1998, contact lens trial
        (1, 7, 21, 0.95, -0.517, -0.026),  # Fagerland, Lydersen, Laake 2014, airway hyper-responsiveness
    ],
)
def test_tango_gives_published_examples(more, less, n, level, low, high):
    found = intervals.tango(more, less, n, level)
    assert found == (pytest.approx(low, abs=6e-4), pytest.approx(high, abs=6e-4))


def _log_likelihood(theta: float, other: float, more: float, less: float, n: float) -> float:
    probabilities = (other + theta, other, 1 - 2 * other - theta)
    if min(probabilities) < 0:
        return -np.inf
    return float(
        sum(x * np.log(max(p, 1e-300)) for x, p in zip((more, less, n - more - less), probabilities, strict=True))
    )


@pytest.mark.parametrize(("more", "less", "n"), [(9, 3, 32), (5, 5, 40), (2, 14, 60)])
def test_tango_ends_solve_the_score_equation_with_a_numeric_restricted_likelihood(more, less, n):
    for end, z in zip(intervals.tango(more, less, n, 0.95), (1.959964, -1.959964), strict=True):
        theta = float(end)
        low, high = max(0.0, -theta), (1 - theta) / 2
        found = optimize.minimize_scalar(
            lambda q, theta=theta: -_log_likelihood(theta, q, more, less, n),
            bounds=(low, high),
            method="bounded",
            options={"xatol": 1e-10},
        )
        score = (more - less - n * theta) / np.sqrt(n * (2 * found.x + theta * (1 - theta)))
        assert score == pytest.approx(z, abs=2e-3)


@given(st.integers(1, 200), st.data())
def test_tango_mirrors_when_base_and_variant_are_swapped(n, data):
    more = data.draw(st.integers(0, n))
    less = data.draw(st.integers(0, n - more))
    low, high = intervals.tango(more, less, n, 0.95)
    mirrored = intervals.tango(less, more, n, 0.95)
    assert (float(low), float(high)) == pytest.approx((-float(mirrored[1]), -float(mirrored[0])), abs=1e-9)
    assert low <= (more - less) / n <= high


@given(st.integers(1, 200), st.data())
def test_the_exact_discordant_interval_has_width_and_holds_the_estimate(n, data):
    more = data.draw(st.integers(0, n))
    less = data.draw(st.integers(0, n - more))
    low, high = intervals.discordant_exact(more, less, n, 0.95)
    assert low < high
    assert low <= (more - less) / n <= high


def test_no_discordant_pair_gives_plus_and_minus_the_bound_at_0_of_n():
    low, high = intervals.discordant_exact(0, 0, 20, 0.95)
    expected = stats.binomtest(0, 20).proportion_ci(method="exact").high
    assert (float(low), float(high)) == pytest.approx((-expected, expected))
    assert float(intervals.unseen_share(20, 0.95)) == pytest.approx(expected)


def test_square_and_add_gives_newcombes_example_for_independent_rates():
    # Newcombe 1998, Statistics in Medicine 17, 873-890, table II (a): 56/70 - 48/80, method 10.
    parts = []
    for events, n in ((56, 70), (48, 80)):
        low, high = intervals.wilson(events / n, n, 0.95)
        parts.append((np.array(events / n), low, high))
    low, high = intervals.square_and_add(parts[0][0] - parts[1][0], parts[0], parts[1])
    assert (float(low), float(high)) == (pytest.approx(0.0524, abs=5e-5), pytest.approx(0.3339, abs=5e-5))


def test_effective_n_is_n_for_independent_draws_and_less_for_clustered_ones():
    binary, n = np.array(0.21), np.array(100.0)
    independent = intervals.effective_n(binary, binary / 99, n, n - 1, 0.95)
    assert float(independent) == pytest.approx(100)
    doubled = intervals.effective_n(binary, 2 * binary / 99, n, n - 1, 0.95)
    assert float(doubled) == pytest.approx(50)
    few = intervals.effective_n(binary, 2 * binary / 99, n, np.array(9.0), 0.95)
    assert float(few) == pytest.approx(50 * (stats.t.ppf(0.975, 99) / stats.t.ppf(0.975, 9)) ** 2)
    less = intervals.effective_n(binary, binary / 990, n, n - 1, 0.95)
    assert float(less) == 100, "n_eff never exceeds the number of draws"


def test_kish_counts_equal_clusters_and_discounts_unequal_ones():
    assert float(intervals.kish(np.full(12, 5.0))) == pytest.approx(12)
    assert float(intervals.kish(np.array([9.0, 1.0]))) == pytest.approx(100 / 82)


def test_student_is_scipys_t_interval_of_cluster_means():
    values = np.random.default_rng(3).normal(size=12)
    influence = (values - values.mean()) / 12
    low, high = intervals.student(
        np.array(values.mean()), intervals.linearised_variance(influence), np.array(11.0), 0.95
    )
    expected = stats.ttest_1samp(values, 0).confidence_interval(0.95)
    assert (float(low), float(high)) == (pytest.approx(expected.low), pytest.approx(expected.high))


def test_the_skewness_correction_is_even_for_symmetric_data_and_widens_the_long_tail():
    symmetric = np.array([-2.0, -1.0, 0.0, 1.0, 2.0]) / 5
    df = np.array(4.0)
    plain = intervals.student(np.array(0.0), intervals.linearised_variance(symmetric), df, 0.95)
    low, high = intervals.skewed_student(np.array(0.0), symmetric, df, 0.95)
    assert low == pytest.approx(-high) and high > plain[1]
    skewed = np.random.default_rng(0).exponential(size=20)
    influence = (skewed - skewed.mean()) / 20
    mean, df = np.array(skewed.mean()), np.array(19.0)
    plain = intervals.student(mean, intervals.linearised_variance(influence), df, 0.95)
    found = intervals.skewed_student(mean, influence, df, 0.95)
    assert found[0] == plain[0]
    assert found[1] > plain[1]


@pytest.mark.parametrize("draw", ["exponential", "standard_normal"])
@pytest.mark.parametrize("clusters", [10, 40])
def test_each_end_of_the_corrected_t_misses_at_most_its_error(draw, clusters):
    """Plain Hall's upper end missed 8.4 % of exponential means at 10 clusters, where 5 % are allowed."""
    values = getattr(np.random.default_rng(4), draw)(size=(20_000, clusters))
    truth = 1.0 if draw == "exponential" else 0.0
    influence = (values - values.mean(axis=1, keepdims=True)) / clusters
    df = np.full(len(values), clusters - 1.0)
    low, high = intervals.skewed_student(values.mean(axis=1), influence, df, 0.9)
    slack = 3 * np.sqrt(0.05 * 0.95 / len(values))
    assert (high < truth).mean() <= 0.05 + slack
    assert (low > truth).mean() <= 0.05 + slack


def test_variance_df_is_about_g_for_even_influences_and_small_where_few_clusters_carry_all():
    even = np.random.default_rng(1).normal(size=(500, 50))
    even -= even.mean(axis=1, keepdims=True)
    assert np.median(intervals.variance_df(even, np.full(500, 50.0))) > 40
    few = np.zeros((1, 50))
    few[0, :2] = 1, -1
    assert float(intervals.variance_df(few, np.array([50.0]))[0]) < 5


@pytest.mark.parametrize(("more", "less"), [(0, 0), (5, 1), (10, 3), (7, 7)])
def test_mcnemar_is_the_binomial_tail_by_hand(more, less):
    total = more + less
    weights = [float(stats.binom.pmf(i, total, 0.5)) for i in range(total + 1)]
    tail = sum(w for w in weights if w <= weights[more] * (1 + 1e-9))
    assert intervals.mcnemar_exact(more, less) == pytest.approx(min(tail, 1.0))
