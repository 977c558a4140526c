"""Every metric as harm; targets as bands."""

from __future__ import annotations

import numpy as np
import pytest

from audit.errors import UsageError
from audit.metrics.estimation import estimate
from audit.metrics.harm import absolute_harm, paired_harm
from audit.metrics.paired import pair_units, paired_difference
from audit.metrics.units import MEAN, RATE, Units

ALPHAS = {"alpha_pass": 0.05, "alpha_fail": 0.01}


def units(values, statistic=MEAN) -> Units:
    values = np.asarray(values, dtype=float)
    ids = tuple(f"u{i:04d}" for i in range(len(values)))
    return Units(ids, ids, np.stack([values, np.ones(len(values))], axis=1), statistic)


def noise(mean, n=60, spread=0.2, seed=0):
    values = np.random.default_rng(seed).normal(0, spread, n)
    return values - values.mean() + mean


def test_lower_is_the_difference_and_higher_its_mirror():
    base, tuned = units(noise(0.0)), units(noise(0.3, seed=1))
    pair = pair_units(base, tuned)
    plain = paired_difference(base, tuned, 0.9)
    lower, _ = paired_harm(pair, "lower", None, **ALPHAS)
    higher, _ = paired_harm(pair, "higher", None, **ALPHAS)
    assert (lower.value, lower.low, lower.high) == pytest.approx((plain.difference, plain.low, plain.high))
    assert (higher.value, higher.low, higher.high) == pytest.approx((-plain.difference, -plain.high, -plain.low))


def test_the_failing_test_has_the_wider_interval():
    pair = pair_units(units(noise(0.0)), units(noise(0.3, seed=1)))
    passing, failing = paired_harm(pair, "lower", None, **ALPHAS)
    assert failing.low < passing.low
    assert (passing.level, failing.level) == (pytest.approx(0.9), pytest.approx(0.98))
    assert paired_harm(pair, "target", 0.0, **ALPHAS)[1].level == pytest.approx(0.99), "two sides: half the level each"


@pytest.mark.parametrize("side", [1, -1])
def test_a_target_sees_going_further_and_overshooting(side):
    base = units(side * noise(0.5))
    further = paired_harm(pair_units(base, units(side * noise(0.9, seed=1))), "target", 0.0, **ALPHAS)[0]
    assert further.value == pytest.approx(0.4)
    assert further.low > 0.25
    over = paired_harm(pair_units(base, units(side * noise(-0.9, seed=1))), "target", 0.0, **ALPHAS)[0]
    assert over.value == pytest.approx(0.4)
    assert over.low > 0.25
    closer = paired_harm(pair_units(base, units(side * noise(0.1, seed=1))), "target", 0.0, **ALPHAS)[0]
    assert closer.value == pytest.approx(-0.4)
    assert closer.high < -0.25
    mirrored = paired_harm(pair_units(base, units(side * noise(-0.5, seed=1))), "target", 0.0, **ALPHAS)[0]
    assert mirrored.low < 0 < mirrored.high


def test_a_base_on_the_target_has_harm_on_either_side():
    base = units(noise(0.0))
    for side in (1, -1):
        found = paired_harm(pair_units(base, units(noise(side * 0.4, seed=1))), "target", 0.0, **ALPHAS)[0]
        assert found.value == pytest.approx(0.4)
        assert found.low > 0.25
    same = paired_harm(pair_units(base, units(noise(0.0, seed=1))), "target", 0.0, **ALPHAS)[0]
    assert same.low < 0 < same.high < 0.15


def test_a_variant_that_stays_at_its_base_passes_although_the_bases_side_is_unknown():
    """Harm is never more than the distance from the base, which pairing knows far better than the distance from t."""
    base = units(noise(0.1, spread=2.0))
    tuned = units(base.columns[:, 0] + noise(0.0, spread=0.02, seed=1))
    own = estimate(base, 0.9)
    assert own.low < 0 < own.high and own.high - own.low > 0.5
    found = paired_harm(pair_units(base, tuned), "target", 0.0, **ALPHAS)[0]
    assert found.high < 0.01
    moved = units(base.columns[:, 0] + noise(1.0, spread=0.02, seed=1))
    assert paired_harm(pair_units(base, moved), "target", 0.0, **ALPHAS)[0].high > 0.9


def test_a_base_on_the_target_does_not_pass_more_often_than_alpha():
    rng = np.random.default_rng(11)
    passed, sets, count = 0, 1_000, 29
    margin = 2.5 / np.sqrt(count)
    for _ in range(sets):
        first, second = rng.normal(0, 1, (2, count))
        tuned = margin + 0.9 * first + np.sqrt(1 - 0.81) * second
        harm = paired_harm(pair_units(units(first), units(tuned)), "target", 0.0, **ALPHAS)[0]
        passed += harm.high < margin
    assert passed / sets <= 0.05 + 2 * np.sqrt(0.05 * 0.95 / sets)


def test_other_targets_shift_the_band():
    rng = np.random.default_rng(2)
    base, tuned = (units((rng.random(400) < p).astype(float), RATE) for p in (0.6, 0.85))
    found = paired_harm(pair_units(base, tuned), "target", 0.5, **ALPHAS)[0]
    assert found.value == pytest.approx(tuned.value() - base.value())
    assert found.low > 0.15
    assert "band around 0.5" in found.method


def test_absolute_harm_is_the_estimate_turned_by_direction():
    some = units((np.arange(100) < 30).astype(float), RATE)
    plain = estimate(some, 0.9)
    assert absolute_harm(some, "lower", None, **ALPHAS)[0].high == plain.high
    assert absolute_harm(some, "higher", None, **ALPHAS)[0].high == -plain.low
    target = absolute_harm(some, "target", 0.5, **ALPHAS)[0]
    assert target.value == pytest.approx(0.2)
    assert target.high == pytest.approx(0.5 - plain.low)
    assert target.low == pytest.approx(0.5 - plain.high)


def test_a_target_must_be_given():
    some = units(noise(0.0))
    with pytest.raises(UsageError, match="needs a target"):
        paired_harm(pair_units(some, some), "target", None, **ALPHAS)
    with pytest.raises(UsageError, match="needs a target"):
        absolute_harm(some, "target", None, **ALPHAS)


def test_no_change_is_no_negative_zero():
    base = units(np.full(40, 0.5))
    found, _ = paired_harm(pair_units(base, base), "higher", None, **ALPHAS)
    assert found.value == 0.0 and np.copysign(1.0, found.value) == 1.0
