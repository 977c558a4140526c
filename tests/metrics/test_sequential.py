"""Confidence sequences: against a slow computation of the wealth, by simulation, and at the edges."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest

from audit.errors import UsageError
from audit.metrics import registry
from audit.metrics.perplexity import PERPLEXITY
from audit.metrics.sequential import (
    FRACTIONS,
    SHARES,
    Order,
    absolute_sequence,
    log_wealth,
    paired_sequence,
    sequence,
    unfit,
    unfit_units,
)
from audit.metrics.units import MEAN, RATE, SHARE_MEAN, SIGNED_MEAN, Statistic, Units

ALPHAS = {"alpha_pass": 0.05, "alpha_fail": 0.05}
LINE = -math.log(0.05)


def units(values, statistic=RATE, weights=None, clusters=None) -> Units:
    values = np.asarray(values, dtype=float)
    ids = tuple(f"u{i:04d}" for i in range(len(values)))
    weights = np.ones(len(values)) if weights is None else np.asarray(weights, dtype=float)
    return Units(ids, ids if clusters is None else tuple(clusters), np.stack([values, weights], axis=1), statistic)


def order(names, *looks, largest=1) -> Order:
    return Order({name: i for i, name in enumerate(dict.fromkeys(names))}, looks, largest)


def slow_wealth(values, weights, margin, lower, largest) -> float:
    """Product by product, in exact fractions but for the stakes."""
    total = Fraction(0)
    for stake, part in zip(FRACTIONS, SHARES, strict=True):
        wealth = Fraction(1)
        for value, weight in zip(values, weights, strict=True):
            over = Fraction(value) - Fraction(lower) * Fraction(weight)
            gain = (over / (Fraction(margin) - Fraction(lower)) - Fraction(weight)) / Fraction(largest)
            wealth *= 1 + Fraction(float(stake)) * gain
        total += Fraction(float(part)) * wealth
    return float(total)


@pytest.mark.parametrize("lower", [0.0, -1.0])
def test_the_wealth_is_the_product_of_the_bets(lower):
    rng = np.random.default_rng(3)
    weights = rng.integers(0, 4, 30).astype(float)
    values = weights * rng.uniform(lower, 1.0, 30)
    found = log_wealth(values, weights, 0.25, limits=(lower, 1.0), largest=5.0)
    for at in (0, 10, 29):
        slow = slow_wealth(values[: at + 1], weights[: at + 1], 0.25, lower, 5.0)
        assert math.exp(found[at]) == pytest.approx(slow, rel=1e-9)


def test_the_wealth_expects_to_stay_at_one_where_the_claim_just_holds():
    """Over all sequences of four draws: the expectation is exact, so it is a test martingale."""
    rate, claims = 0.2, []
    for bits in np.ndindex(2, 2, 2, 2):
        chance = np.prod([rate if bit else 1 - rate for bit in bits])
        claims.append(chance * np.exp(log_wealth(np.array(bits, float), np.ones(4), rate, limits=(0, 1), largest=1.0)))
    assert np.sum(claims, axis=0) == pytest.approx(np.ones(4), rel=1e-12)


def test_an_end_is_where_the_wealth_crosses():
    values = np.random.default_rng(0).random(80)
    ones = np.ones(80)
    low, high = sequence(values, ones, (20, 80), limits=(0.0, 1.0), largest=1.0, alphas=(0.05, 0.05))
    for at, look in enumerate((20, 80)):
        seen = values[:look]
        over = log_wealth(seen, ones[:look], low[at] + 1e-6, limits=(0, 1), largest=1.0)[-1]
        under = log_wealth(seen, ones[:look], low[at] - 1e-6, limits=(0, 1), largest=1.0)[-1]
        assert over < LINE <= under
    mirrored = sequence(1 - values, ones, (20, 80), limits=(0.0, 1.0), largest=1.0, alphas=(0.05, 0.05))
    assert high == pytest.approx(1 - mirrored[0], abs=1e-9)
    assert low[1] >= low[0]
    assert high[1] <= high[0]


def test_the_order_within_a_round_does_not_matter():
    rng = np.random.default_rng(1)
    values = rng.random(50)
    shuffled = np.concatenate([rng.permutation(values[:20]), rng.permutation(values[20:])])
    keys = {"limits": (0.0, 1.0), "largest": 1.0, "alphas": (0.05, 0.01)}
    first, second = (sequence(one, np.ones(50), (20, 50), **keys) for one in (values, shuffled))
    assert np.allclose(first, second, atol=1e-9)


def test_a_smaller_alpha_gives_a_wider_sequence():
    values = np.random.default_rng(2).random(60)
    keys = {"limits": (0.0, 1.0), "largest": 1.0}
    wide = sequence(values, np.ones(60), (60,), alphas=(0.01, 0.01), **keys)
    narrow = sequence(values, np.ones(60), (60,), alphas=(0.05, 0.05), **keys)
    assert wide[0] < narrow[0] < values.mean() < narrow[1] < wide[1]


@pytest.mark.parametrize(
    ("value", "weight"),
    [
        (lambda rng, shape: (rng.random(shape) < 0.1).astype(float), lambda rng, shape: np.ones(shape)),
        (lambda rng, shape: rng.beta(0.2, 1.8, shape), lambda rng, shape: np.ones(shape)),
        (lambda rng, shape: (rng.random(shape) < 0.1).astype(float), lambda rng, shape: rng.choice([0.0, 1, 5], shape)),
    ],
    ids=["rate", "skewed scores", "a ratio with unequal weights"],
)
def test_looked_at_after_every_cluster_it_errs_at_most_alpha(value, weight):
    """2,000 sequences of 300 clusters; five standard errors over alpha would be .074."""
    rng = np.random.default_rng(5)
    weights = weight(rng, (2_000, 300))
    values = weights * value(rng, (2_000, 300))
    keys = {"largest": float(weights.max())}
    over = log_wealth(values, weights, 0.1, limits=(0.0, 1.0), **keys).max(axis=1) >= LINE
    under = log_wealth(-values, weights, -0.1, limits=(-1.0, 0.0), **keys).max(axis=1) >= LINE
    assert over.mean() < 0.074
    assert under.mean() < 0.074


def test_the_fixed_interval_looked_at_again_and_again_errs_more():
    """Why there is a sequence at all: a z interval at 5 %, looked at after every tenth of the suite."""
    rng = np.random.default_rng(6)
    values = (rng.random((2_000, 300)) < 0.3).astype(float)
    counts = np.arange(1, 301)
    mean = values.cumsum(axis=1) / counts
    low = mean - 1.645 * np.sqrt(mean * (1 - mean) / counts)
    assert (low[:, 29::30] > 0.3).any(axis=1).mean() > 0.1
    assert (log_wealth(values, np.ones_like(values), 0.3, limits=(0, 1), largest=1.0)[:, 29::30] >= LINE).any(
        axis=1
    ).mean() < 0.05


def test_without_harm_it_settles_early_and_with_much_harm_too():
    zeros, ones = np.zeros((1, 100)), np.ones((1, 100))
    under = log_wealth(zeros, ones, -0.1, limits=(-1.0, 1.0), largest=1.0)
    assert 30 < int((under >= LINE).argmax()) < 45, "no cluster differs: about as many as a fixed n takes"
    over = log_wealth(ones, ones, 0.1, limits=(-1.0, 1.0), largest=1.0)
    assert 0 < int((over >= LINE).argmax()) < 12


# -- units --


def test_the_paired_harm_is_the_sequence_of_the_differences():
    rng = np.random.default_rng(7)
    base, tuned = rng.random(90) < 0.2, rng.random(90) < 0.5
    first, second = units(base), units(tuned)
    where = order(first.ids, 30, 60, 90)
    passing, failing = paired_sequence(first, second, where, "lower", None, alpha_pass=0.05, alpha_fail=0.01)
    move = tuned.astype(float) - base
    low, high = sequence(move, np.ones(90), (30, 60, 90), limits=(-1.0, 1.0), largest=1.0, alphas=(0.05, 0.05))
    assert (passing.low, passing.high) == pytest.approx((low[-1], high[-1]))
    assert passing.value == pytest.approx(move.mean())
    assert failing.low < passing.low
    assert (passing.level, failing.level) == (pytest.approx(0.9), pytest.approx(0.98))
    assert (passing.n, passing.clusters, passing.missing) == (90, 90, 0)
    assert "after 3 rounds" in passing.method
    turned = paired_sequence(first, second, where, "higher", None, alpha_pass=0.05, alpha_fail=0.01)[0]
    assert (turned.value, turned.low, turned.high) == pytest.approx((-passing.value, -passing.high, -passing.low))


def test_clusters_that_a_pair_joins_are_one_bet():
    values = [1.0, 0.0, 1.0, 1.0, 0.0, 1.0]
    alone = units(values, clusters=["a", "a", "b", "b", "c", "c"])
    joined = Order({"a": 0, "b": 0, "c": 1}, (1, 2), 4)
    found = absolute_sequence(alone, joined, "lower", None, **ALPHAS)[0]
    low, high = sequence(
        np.array([3.0, 1.0]), np.array([4.0, 2.0]), (1, 2), limits=(0.0, 1.0), largest=4.0, alphas=(0.05, 0.05)
    )
    assert (found.low, found.high, found.clusters) == (pytest.approx(low[-1]), pytest.approx(high[-1]), 2)


def test_a_rate_is_bounded_on_its_own_scale():
    """2 share - 1 of BBQ: the same bets, on another scale."""
    scaled = Statistic("score", "rate", -1.0, 1.0)
    values = (np.random.default_rng(8).random(70) < 0.7).astype(float)
    where = order(units(values).ids, 70)
    plain = absolute_sequence(units(values), where, "lower", None, **ALPHAS)[0]
    other = absolute_sequence(units(values, scaled), where, "lower", None, **ALPHAS)[0]
    assert (other.value, other.low, other.high) == pytest.approx(
        tuple(2 * part - 1 for part in (plain.value, plain.low, plain.high))
    )


@pytest.mark.parametrize("mirrored", [False, True])
def test_a_target_sees_going_further_and_overshooting(mirrored):
    rng = np.random.default_rng(9)

    def side(rate):
        values = rng.random(400) < rate
        return units(~values if mirrored else values)

    base = side(0.7)
    where = order(base.ids, 200, 400)
    further = paired_sequence(base, side(0.95), where, "target", 0.5, **ALPHAS)
    over = paired_sequence(base, side(0.05), where, "target", 0.5, **ALPHAS)
    assert min(further[1].low, over[1].low) > 0
    closer = paired_sequence(base, side(0.5), where, "target", 0.5, **ALPHAS)[0]
    assert closer.high < 0
    unknown = paired_sequence(side(0.5), side(0.5), where, "target", 0.5, **ALPHAS)
    assert unknown[1].low < 0 < unknown[0].high < 0.25


def test_a_band_is_tested_on_both_sides():
    values = np.random.default_rng(10).random(500) < 0.52
    found = units(values)
    where = order(found.ids, 250, 500)
    passing, failing = absolute_sequence(found, where, "target", 0.5, **ALPHAS)
    low, high = sequence(
        values.astype(float), np.ones(500), (250, 500), limits=(0, 1), largest=1.0, alphas=(0.05, 0.05)
    )
    assert passing.high == pytest.approx(max(high[-1] - 0.5, 0.5 - low[-1]))
    assert failing.low < passing.low, "either side may fail it: half the level each"


def test_units_that_were_lost_are_counted_and_enter_no_bet():
    whole = units([0.0, 1.0, 0.0, 1.0, np.nan])
    found = absolute_sequence(whole, order(whole.ids, 5), "lower", None, **ALPHAS)[0]
    assert (found.n, found.missing, found.clusters) == (4, 1, 4)
    assert found.value == 0.5


# -- edges --


@pytest.mark.parametrize("statistic", [RATE, SHARE_MEAN])
@pytest.mark.parametrize("value", [0.0, 1.0])
def test_all_the_same(statistic, value):
    same = units([value] * 60, statistic)
    found = absolute_sequence(same, order(same.ids, 30, 60), "lower", None, **ALPHAS)[0]
    assert found.value == value
    assert found.low <= value <= found.high
    assert found.high - found.low < 0.15
    half = units([0.5] * 60, SHARE_MEAN)
    found = absolute_sequence(half, order(half.ids, 30, 60), "lower", None, **ALPHAS)[0]
    assert 0.3 < found.low < 0.5 < found.high < 0.7, "no spread is no proof: the end keeps its distance"


def test_one_cluster_says_next_to_nothing():
    one = units([0.0])
    found = absolute_sequence(one, order(one.ids, 1), "lower", None, **ALPHAS)[0]
    assert (found.value, found.low, found.clusters) == (0.0, 0.0, 1)
    assert found.high > 0.9
    pair = paired_sequence(one, units([1.0]), order(one.ids, 1), "lower", None, **ALPHAS)[0]
    assert (pair.value, pair.high) == (1.0, pytest.approx(1.0))
    assert pair.low < -0.3


def test_nothing_at_all_has_no_value_and_no_end():
    empty = units([])
    for found in (
        *absolute_sequence(empty, Order({}, (), 1), "lower", None, **ALPHAS),
        *paired_sequence(empty, empty, Order({}, (), 1), "lower", None, **ALPHAS),
        *paired_sequence(empty, empty, Order({}, (), 1), "target", 0.5, **ALPHAS),
        *absolute_sequence(units([0.0], weights=[0.0]), order(["u0000"], 1), "lower", None, **ALPHAS),
    ):
        assert (found.value, found.low, found.high, found.clusters) == (None, None, None, 0)


# -- refused --


@pytest.mark.parametrize(
    ("statistic", "why"),
    [
        (MEAN, "no bound on both sides"),
        (PERPLEXITY, "no bound on both sides"),
        (Statistic("half", "mean", lower=0.0), "no bound on both sides"),
        (Statistic("pseudo", "mean", 0.0, 1.0, pseudo=True), "pseudo-values"),
        (Statistic("terms", "ratio", 0.0, 1.0), "weights have no bound"),
    ],
)
def test_what_is_no_bounded_mean_is_refused(statistic, why):
    assert why in unfit(statistic)
    some = units([0.5, 0.5], statistic)
    for call in (
        lambda: absolute_sequence(some, order(some.ids, 2), "lower", None, **ALPHAS),
        lambda: paired_sequence(some, some, order(some.ids, 2), "lower", None, **ALPHAS),
    ):
        with pytest.raises(UsageError, match=why):
            call()


def test_bounded_means_are_not_refused():
    assert [unfit(one) for one in (RATE, SHARE_MEAN, SIGNED_MEAN)] == ["", "", ""]
    assert unfit(registry.get("toxic-fraction").units([]).statistic) == ""
    assert unfit(registry.get("bits-per-byte").units([]).statistic) != ""


def test_weights_that_only_the_answers_tell():
    entering, fewer = units([1.0, 0.0, 0.0], weights=[1, 1, 0]), units([1.0, 0.0, 0.0], weights=[1, 0, 0])
    assert unfit_units(None, entering) == ""
    assert unfit_units(entering, entering) == ""
    assert "differ with their answers" in unfit_units(entering, fewer)
    with pytest.raises(UsageError, match="differ with their answers"):
        paired_sequence(entering, fewer, order(fewer.ids, 3), "lower", None, **ALPHAS)
    assert "weighs more than 1" in unfit_units(None, units([2.0], weights=[2.0]))


def test_what_cannot_be_bet_is_said():
    one = np.ones(1)
    with pytest.raises(UsageError, match=r"a cluster weighs 1, more than the 0\.5"):
        log_wealth(one, one, 0.5, limits=(0.0, 1.0), largest=0.5)
    with pytest.raises(UsageError, match=r"a cluster weighs 1, more than the 0\.5"):
        sequence(one, one, (1,), limits=(0.0, 1.0), largest=0.5, alphas=(0.05, 0.05))
    with pytest.raises(UsageError, match="nothing can be bet against a margin of 0"):
        log_wealth(one, one, 0.0, limits=(0.0, 1.0), largest=1.0)
    some = units([0.0, 1.0])
    for call in (
        lambda: absolute_sequence(some, order(some.ids, 2), "target", None, **ALPHAS),
        lambda: paired_sequence(some, some, order(some.ids, 2), "target", None, **ALPHAS),
    ):
        with pytest.raises(UsageError, match="needs a target"):
            call()
