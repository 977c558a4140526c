"""Benjamini and Hochberg's procedure, and the level of intervals that were selected by it."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from audit.errors import UsageError
from audit.metrics.multiplicity import explore

PUBLISHED = [
    0.0001, 0.0004, 0.0019, 0.0095, 0.0201, 0.0278, 0.0298, 0.0344, 0.0459, 0.3240, 0.4262, 0.5719, 0.6528, 0.7590,
    1.0000,
]  # fmt: skip


def test_the_example_of_the_paper():
    # Benjamini and Hochberg 1995, section 3.2: 15 tests of two treatments, four rejected at .05 where Bonferroni and
    # Hochberg reject three.
    found = explore(PUBLISHED, q=0.05)
    assert sum(found.found) == 4
    assert found.found == (True,) * 4 + (False,) * 11
    assert found.level == pytest.approx(1 - 4 * 0.05 / 15)


@given(st.lists(st.one_of(st.none(), st.floats(0, 1)), max_size=30), st.floats(0.01, 0.5))
def test_what_stands_out_is_what_the_step_up_rule_says(p_values, q):
    found = explore(p_values, q)
    known = sorted(p for p in p_values if p is not None)
    # The rule as printed: with k the largest rank whose p is at most k q / m, the k smallest stand out.
    count = max((k for k, p in enumerate(known, start=1) if p * len(known) / k <= q), default=0)
    bound = known[count - 1] if count else -1.0
    assert found.found == tuple(p is not None and p <= bound for p in p_values)
    assert found.tests == len(known)
    assert [a is None for a in found.adjusted] == [p is None for p in p_values]


def test_nothing_known_stands_out_of_nothing():
    assert explore([]).level is None
    assert explore([None, None]).found == (False, False)
    assert explore([0.5, 0.9]).level is None


@pytest.mark.parametrize(("p_values", "q"), [([0.1], 0.0), ([0.1], 1.0), ([1.2], 0.1), ([float("nan")], 0.1)])
def test_numbers_out_of_range_are_refused(p_values, q):
    with pytest.raises(UsageError):
        explore(p_values, q)


@pytest.mark.parametrize("shared", [0.0, 0.5])
def test_false_alarms_and_selected_intervals_keep_their_share(shared):
    """20 variants, 4 truly changed, with and without the common base that makes tests depend on each other."""
    rng = np.random.default_rng(0)
    truth = np.array([3.0] * 4 + [0.0] * 16)
    alarms, misses, naive = [], [], []
    for _ in range(1_500):
        noise = np.sqrt(1 - shared) * rng.standard_normal(20) + np.sqrt(shared) * rng.standard_normal()
        seen = truth + noise
        found = explore(list(2 * stats.norm.sf(np.abs(seen))), q=0.2)
        chosen = np.array(found.found)
        total = max(int(chosen.sum()), 1)
        alarms.append((chosen & (truth == 0)).sum() / total)
        reach = stats.norm.ppf((1 + (found.level or 0.5)) / 2)
        misses.append((chosen & (np.abs(seen - truth) > reach)).sum() / total)
        naive.append((chosen & (np.abs(seen - truth) > stats.norm.ppf(0.9))).sum() / total)
    assert np.mean(alarms) <= 0.2
    assert np.mean(misses) <= 0.2
    assert np.mean(naive) > np.mean(misses)
