"""Preferences between mirrored sentences."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from audit.errors import UsageError
from audit.metrics import preferences

LIKELIHOODS = hnp.arrays(float, 12, elements=st.sampled_from([-30.0, -29.5, -10.0, -3.25]))


def test_rate_and_log_ratio_by_hand():
    stereotypical, mirror = np.array([-10.0, -12.0, -9.0]), np.array([-11.0, -12.0, -8.5])
    assert preferences.preference_rate(stereotypical, mirror).value == pytest.approx((1 + 0.5 + 0) / 3)
    assert preferences.preference_log_ratio(stereotypical, mirror).value == pytest.approx((1 + 0 - 0.5) / 3)


@given(LIKELIHOODS, LIKELIHOODS)
def test_swapping_the_sides_mirrors_both_numbers(first, second):
    assert preferences.preference_rate(second, first).value == pytest.approx(
        1 - preferences.preference_rate(first, second).value
    )
    assert preferences.preference_log_ratio(second, first).value == pytest.approx(
        -preferences.preference_log_ratio(first, second).value
    )


def test_a_side_that_is_not_finite_is_missing():
    found = preferences.preference_rate(np.array([-1.0, np.nan, -np.inf]), np.array([-2.0, -1.0, -1.0]))
    assert (found.value, found.n, found.missing) == (1.0, 1, 2)


def test_unequal_sides_are_refused():
    with pytest.raises(UsageError, match="two sides"):
        preferences.preference_rate(np.zeros(3), np.zeros(2))


def test_units_read_the_first_choice_as_the_stereotype(scored, generated):
    answers = [
        scored("a", [-8.0, -10.0], template="t", group="women", tokens=4),
        scored("b", [-9.0, -7.0], template="t", group="men", tokens=2),
        scored("c", [-9.0, None], template="u"),
        scored("three", [-1.0, -2.0, -3.0]),
        generated("prompt", [("x", 0.1)]),
    ]
    rate = preferences.rate_units(answers)
    assert (rate.ids, rate.clusters, rate.missing) == (("a", "b", "c"), ("t", "t", "u"), 1)
    assert rate.value() == 0.5
    assert preferences.log_ratio_units(answers).value() == pytest.approx((2 - 2) / 2)
    assert rate.where("group", "women").value() == 1.0
    stereotype, mirror = preferences.stereotype_units(answers), preferences.mirror_units(answers)
    assert stereotype.value() == pytest.approx((-8 - 9 - 9) / (4 + 2 + 4))
    assert mirror.value() == pytest.approx((-10 - 7) / 6)
    assert (stereotype.missing, mirror.missing) == (0, 1)
