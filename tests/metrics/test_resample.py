"""Resampling: seeded, over whole clusters, and right where the answer is known."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from scipy import stats

from audit.metrics import resample
from audit.metrics.perplexity import PERPLEXITY
from audit.metrics.units import MEAN


def test_counts_are_seeded_and_draw_as_many_clusters_as_there_are():
    first = resample.bootstrap_counts(40, 1200, 7)
    assert (first.sum(axis=1) == 40).all()
    resample.bootstrap_counts.cache_clear()
    assert (resample.bootstrap_counts(40, 1200, 7) == first).all()
    assert (resample.bootstrap_counts(40, 1200, 8) != first).any()
    # Each cluster is drawn once on average, with the multinomial's variance.
    assert first.mean(axis=0) == pytest.approx(np.ones(40), abs=0.15)
    assert first.var() == pytest.approx(1 - 1 / 40, rel=0.05)


def test_the_studentised_ratio_is_the_textbook_bootstrap_t_on_the_same_draws():
    rng = np.random.default_rng(0)
    a, b = rng.exponential(size=35), np.ones(35)
    low, high = resample.studentised_ratio(a[None], b[None], 0.9, replicates=2000, seed=3)
    pivots = []
    for row in resample.bootstrap_counts(35, 2000, 3):
        sample = np.repeat(a, row)
        # Linearised variance about the resample's mean with G/(G-1) is the usual variance of a mean.
        pivots.append((sample.mean() - a.mean()) / (sample.std(ddof=1) / np.sqrt(35)))
    error = a.std(ddof=1) / np.sqrt(35)
    expected = (
        a.mean() - np.quantile(pivots, 0.95, method="higher") * error,
        a.mean() - np.quantile(pivots, 0.05, method="lower") * error,
    )
    assert (float(low[0]), float(high[0])) == pytest.approx(expected)


def test_the_difference_of_equal_weights_is_the_ratio_of_differences():
    rng = np.random.default_rng(1)
    before, after, weight = rng.normal(size=(1, 40)), rng.normal(size=(1, 40)), np.ones((1, 40))
    direct = resample.studentised_ratio(after - before, weight, 0.95, replicates=1000, seed=5)
    joint = resample.studentised_difference((before, weight), (after, weight), MEAN, 0.95, replicates=1000, seed=5)
    assert np.concatenate(joint) == pytest.approx(np.concatenate(direct))


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_influence_is_the_jackknifes_in_the_limit(sign):
    rng = np.random.default_rng(2)
    base = (rng.gamma(3, size=400), rng.uniform(1, 2, 400))
    tuned = (rng.gamma(3, size=400), rng.uniform(1, 2, 400))

    def value(keep):
        parts = [float(np.exp(side[0][keep].sum() / side[1][keep].sum())) for side in (base, tuned)]
        return parts[1] - sign * parts[0]

    everything = np.ones(400, dtype=bool)
    whole, influence = resample.difference_influence(base, tuned, PERPLEXITY, sign)
    assert float(whole) == pytest.approx(value(everything))
    left_out = []
    for i in range(0, 400, 40):
        keep = everything.copy()
        keep[i] = False
        left_out.append(399 / 400 * (value(everything) - value(keep)))
    assert influence[::40] == pytest.approx(left_out, rel=0.02, abs=2e-4)
    assert influence.sum() == pytest.approx(0, abs=1e-9)


def test_sign_flips_are_exact_for_few_clusters():
    differences = np.array([0.4, -0.1, 0.9, 0.3, 0.2, 0.5, -0.2])
    base = (np.zeros(7), np.ones(7))
    tuned = (differences, np.ones(7))
    sums = [abs(sum(s * d for s, d in zip(signs, differences, strict=True))) for signs in product((1, -1), repeat=7)]
    expected = np.mean(np.array(sums) >= abs(differences.sum()) - 1e-12)
    assert resample.sign_flip_p(base, tuned, MEAN) == pytest.approx(expected)


def test_sign_flips_of_many_clusters_agree_with_the_t_test_and_never_say_zero():
    rng = np.random.default_rng(4)
    differences = rng.normal(0.25, 1, 60)
    sides = (np.zeros(60), np.ones(60)), (differences, np.ones(60))
    p = resample.sign_flip_p(*sides, MEAN)
    assert p == pytest.approx(stats.ttest_1samp(differences, 0).pvalue, abs=0.015)
    assert p == resample.sign_flip_p(*sides, MEAN), "seeded"
    assert resample.sign_flip_p(sides[0], (differences + 9, np.ones(60)), MEAN) == pytest.approx(1 / 10_001)


def test_sign_flips_of_equal_sides_say_one():
    side = (np.arange(20.0), np.ones(20))
    assert resample.sign_flip_p(side, side, MEAN) == 1.0
