"""Variant minus base on identical units."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from audit.errors import UsageError
from audit.metrics import intervals
from audit.metrics.paired import contrast, pair_units, paired_difference
from audit.metrics.perplexity import PERPLEXITY
from audit.metrics.qa import BIAS_SHARE
from audit.metrics.units import MEAN, RATE, SHARE_MEAN, Statistic, Units


def units(values, clusters=None, statistic=RATE, draws=1, ids=None) -> Units:
    values = np.asarray(values, dtype=float)
    columns = np.stack([values, np.where(np.isnan(values), np.nan, 1.0)], axis=1)
    names = tuple(ids or (f"u{i:04d}" for i in range(len(values))))
    return Units(names, names if clusters is None else tuple(map(str, clusters)), columns, statistic, draws=draws)


def table(both, base_only, tuned_only, neither):
    base = [1.0] * (both + base_only) + [0.0] * (tuned_only + neither)
    tuned = [1.0] * both + [0.0] * base_only + [1.0] * tuned_only + [0.0] * neither
    return units(base), units(tuned)


def test_independent_units_give_tangos_published_interval():
    # Tango 1998: 9 and 3 discordant pairs of 32, difference .1875, 95 % -.027 to .390.
    found = paired_difference(*table(4, 3, 9, 16))
    assert found.difference == pytest.approx(6 / 32)
    assert (found.low, found.high) == (pytest.approx(-0.027, abs=6e-4), pytest.approx(0.390, abs=6e-4))
    assert found.method == "Tango's paired score at effective n"
    assert found.mcnemar_p == pytest.approx(stats.binomtest(9, 12).pvalue)
    assert (found.base, found.tuned, found.n, found.clusters) == (pytest.approx(7 / 32), pytest.approx(13 / 32), 32, 32)


def test_few_discordant_units_give_the_exact_shares():
    found = paired_difference(*table(10, 1, 2, 37))
    expected = intervals.discordant_exact(2, 1, 50, 0.95)
    assert (found.low, found.high) == pytest.approx((float(expected[0]), float(expected[1])))
    assert "few units differ" in found.method


@pytest.mark.parametrize("draws", [1, 5, 25])
@pytest.mark.parametrize("size", [1, 2, 5])
def test_no_event_on_either_side_is_bounded_by_the_number_of_clusters(draws, size):
    clusters = [i // size for i in range(20)]
    zeros = units([0.0] * 20, clusters=clusters, draws=draws)
    found = paired_difference(zeros, zeros)
    bound = 1 - 0.025 ** (1 / (20 // size))
    assert (found.low, found.high) == pytest.approx((-bound, bound))
    assert found.sign_flip_p == 1.0


def test_draws_that_agree_count_once_and_independent_ones_narrow():
    rng = np.random.default_rng(0)
    base, tuned = (rng.random(80) < 0.3).astype(float), (rng.random(80) < 0.5).astype(float)
    once = paired_difference(units(base), units(tuned))
    repeated = paired_difference(units(base, draws=25), units(tuned, draws=25))
    assert repeated.high - repeated.low == pytest.approx(once.high - once.low, rel=0.06)
    many = paired_difference(
        units(rng.binomial(25, 0.3, 80) / 25, draws=25), units(rng.binomial(25, 0.5, 80) / 25, draws=25)
    )
    assert many.high - many.low < 0.35 * (once.high - once.low)


def test_clustered_rates_hold_tangos_interval_and_the_skewness_corrected_t():
    rng = np.random.default_rng(8)
    clusters, prompts, draws = 20, 5, 4
    harm = np.repeat(rng.gamma(0.3, 0.5, clusters), prompts)
    before = rng.binomial(draws, 0.1, clusters * prompts) / draws
    after = rng.binomial(draws, np.minimum(0.1 + harm, 1.0)) / draws
    names = np.repeat(np.arange(clusters), prompts)
    found = paired_difference(units(before, names, draws=draws), units(after, names, draws=draws))
    changes = (after - before).reshape(clusters, prompts).mean(axis=1)
    value, spread = changes.mean(), changes - changes.mean()
    kurtosis = (spread**4).sum() / (spread**2).sum() ** 2
    t = stats.t.ppf(0.975, min(clusters - 1, 2 / (kurtosis - 1 / clusters)))
    # Fisher's standard error of the skewness of normal samples.
    unsure = np.sqrt(6 * (clusters - 2) / ((clusters + 1) * (clusters + 3)))

    def end(quantile: float, skew: float) -> float:
        # Hall 1992: T + skew T^2 / 3 + skew^2 T^3 / 27 + skew / 6n is nearly normal, T being (mean - truth) / s.
        bent = np.cbrt(1 + skew * (quantile / np.sqrt(clusters) - skew / (6 * clusters))) - 1
        return value - 3 * bent / skew * changes.std(ddof=1)

    skew = stats.skew(changes)
    assert skew > 0.8
    assert found.high == pytest.approx(end(-t, skew + unsure))
    # Tango's lower end reaches further here, and stands.
    assert found.low < end(t, skew - unsure)
    assert found.method == "Tango's paired score at effective n, at least Hall's corrected t"


def test_the_corrected_t_stays_within_the_range():
    rates = [0.75, 0.75, 0.75, 1.0]
    for before, after, sign in (([0.0] * 4, rates, 1), (rates, [0.0] * 4, -1)):
        found = paired_difference(units(before, draws=4), units(after, draws=4))
        assert "Hall" in found.method
        assert max(sign * found.low, sign * found.high) == 1.0


def test_a_difference_of_bounded_statistics_of_changed_samples_stays_within_what_is_possible():
    area = Statistic("area", "mean", 0.0, 1.0, pseudo=True)
    before = units([0.9, 0.2, 1.3, -0.1, 0.4, 0.9], statistic=area)
    after = units([0.0, 0.3, 0.1, 1.4, 0.2, -0.4], statistic=area)
    found = paired_difference(before, after, level=0.999)
    assert (found.low, found.high) == (-1.0, 1.0)
    assert paired_difference(before, after, level=0.5).high < 1.0


def test_small_means_hold_students_paired_interval():
    rng = np.random.default_rng(1)
    before = rng.normal(0, 1, 15)
    after = before + rng.normal(0.3, 0.2, 15)
    found = paired_difference(units(before, statistic=MEAN), units(after, statistic=MEAN))
    expected = stats.ttest_rel(after, before)
    ends = expected.confidence_interval(0.95)
    assert found.low <= ends.low + 1e-9
    assert found.high >= ends.high - 1e-9
    assert found.high - found.low < 1.5 * (ends.high - ends.low)
    assert found.correlation == pytest.approx(np.corrcoef(before, after)[0, 1])
    assert found.sign_flip_p == pytest.approx(expected.pvalue, abs=0.01)
    assert found.mcnemar_p is None


def test_large_means_use_the_bootstrap_and_pairing_narrows():
    rng = np.random.default_rng(2)
    before = rng.normal(0, 1, 120)
    after = before + rng.normal(0, 0.2, 120)
    linked = paired_difference(units(before, statistic=MEAN), units(after, statistic=MEAN))
    loose = paired_difference(units(before, statistic=MEAN), units(rng.permutation(after), statistic=MEAN))
    assert "bootstrap" in linked.method
    assert linked.high - linked.low < 0.3 * (loose.high - loose.low)
    expected = stats.ttest_rel(after, before).confidence_interval(0.95)
    assert (linked.low, linked.high) == pytest.approx((expected.low, expected.high), abs=0.01)


def test_perplexities_are_compared_as_ratios_of_sums():
    rng = np.random.default_rng(3)
    tokens = rng.integers(20, 400, 50).astype(float)
    nats = tokens * rng.normal(3, 0.4, 50)
    ids = tuple(f"p{i:02d}" for i in range(50))
    base = Units(ids, ids, np.stack([nats, tokens], axis=1), PERPLEXITY)
    tuned = Units(ids, ids, np.stack([nats + 0.1 * tokens, tokens], axis=1), PERPLEXITY)
    found = paired_difference(base, tuned)
    value = np.exp(nats.sum() / tokens.sum())
    assert found.difference == pytest.approx(value * (np.exp(0.1) - 1))
    assert found.low < found.difference < found.high


def test_shares_of_changing_weights_are_compared_too():
    rng = np.random.default_rng(4)
    ids = tuple(f"q{i:03d}" for i in range(200))
    sides = []
    for lean in (0.8, 0.5):
        weight = (rng.random(200) < 0.6).astype(float)
        sides.append(Units(ids, ids, np.stack([weight * (rng.random(200) < lean), weight], axis=1), BIAS_SHARE))
    found = paired_difference(*sides)
    assert found.difference == pytest.approx(sides[1].value() - sides[0].value())
    assert found.high < 0
    assert found.mcnemar_p is None


def test_changing_weights_without_any_variation_have_width():
    ids = tuple(map(str, range(12)))
    side = Units(ids, ids, np.array([(1.0, 1.0), (0.0, 0.0)] * 6), BIAS_SHARE)
    found = paired_difference(side, side)
    assert found.difference == 0
    assert found.low < 0 < found.high
    assert "square-and-add" in found.method


def test_ids_on_one_side_and_rows_without_value_are_missing():
    base = units([0.1, 0.2, np.nan, 0.4], statistic=SHARE_MEAN, ids=["a", "b", "c", "d"])
    tuned = units([0.1, np.nan, 0.3, 0.4, 0.5], statistic=SHARE_MEAN, ids=["a", "b", "c", "d", "e"])
    found = paired_difference(base, tuned)
    assert (found.n, found.missing) == (2, 3)
    assert found.base == found.tuned == pytest.approx(0.25)


def test_nothing_in_common_has_no_value():
    found = paired_difference(units([1.0], ids=["a"]), units([1.0], ids=["b"]))
    assert (found.difference, found.low, found.n, found.missing) == (None, None, 0, 2)


def test_one_cluster_has_no_interval():
    sides = (
        units([0.1, 0.5], clusters="xx", statistic=SHARE_MEAN),
        units([0.3, 0.6], clusters="xx", statistic=SHARE_MEAN),
    )
    found = paired_difference(*sides)
    assert found.difference == pytest.approx(0.15)
    assert (found.low, found.high, found.sign_flip_p, found.correlation) == (None, None, None, None)


def test_what_cannot_be_paired_is_refused():
    with pytest.raises(UsageError, match="same metric"):
        paired_difference(units([1.0]), units([1.0], statistic=MEAN))
    with pytest.raises(UsageError, match="--samples"):
        paired_difference(units([1.0], draws=5), units([1.0], draws=25))
    with pytest.raises(UsageError, match="another template"):
        paired_difference(units([1.0], clusters="a"), units([1.0], clusters="b"))


def test_the_far_side_of_a_target_is_the_sum():
    rng = np.random.default_rng(6)
    before, after = rng.normal(size=40), rng.normal(size=40)
    pair = pair_units(units(before, statistic=MEAN), units(after, statistic=MEAN))
    found = contrast(pair, level=0.9, sign=-1.0)
    mirrored = contrast(pair_units(units(-before, statistic=MEAN), units(after, statistic=MEAN)), level=0.9)
    assert (found.value, found.low, found.high) == pytest.approx((mirrored.value, mirrored.low, mirrored.high))


def test_the_sum_of_two_rates_is_the_difference_to_the_mirrored_base():
    rng = np.random.default_rng(7)
    before, after = (rng.random((2, 60)) < 0.5).astype(float)
    found = contrast(pair_units(units(before), units(after)), level=0.9, sign=-1.0)
    mirrored = contrast(pair_units(units(1 - before), units(after)), level=0.9)
    assert (found.value, found.low, found.high) == pytest.approx(
        (mirrored.value + 1, mirrored.low + 1, mirrored.high + 1)
    )


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.tuples(*[st.sampled_from([0.0, 0.2, 0.6, 1.0, np.nan])] * 2), min_size=2, max_size=45),
    st.integers(1, 4),
    st.sampled_from([(RATE, 5), (SHARE_MEAN, 1)]),
    st.randoms(use_true_random=False),
)
def test_order_does_not_matter_and_swapping_the_sides_mirrors(rows, size, kind, random):
    statistic, draws = kind
    clusters = [i // size for i in range(len(rows))]
    base, tuned = (units([row[s] for row in rows], clusters, statistic, draws) for s in (0, 1))
    order = list(range(len(rows)))
    random.shuffle(order)
    found = paired_difference(base, tuned)
    assert found == paired_difference(base.take(order), tuned)
    swapped = paired_difference(tuned, base)
    if found.difference is None:
        assert swapped.difference is None
        return
    assert swapped.difference == pytest.approx(-found.difference)
    if found.low is not None and found.high is not None:
        assert (swapped.low, swapped.high) == pytest.approx((-found.high, -found.low), abs=1e-9)
        assert found.low - 1e-9 <= found.difference <= found.high + 1e-9
        assert -1 <= found.low < found.high <= 1
    assert found.n + found.missing == len(rows)
