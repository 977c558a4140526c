"""Groups against each other."""

from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest

from audit.metrics.groups import UNMATCHED, group_differences, groups_of, max_min_gap
from audit.metrics.units import MEAN, RATE, Units


def matched(values, groups="abc", statistic=MEAN) -> Units:
    """One unit a group and template: values of shape (templates, groups)."""
    values = np.asarray(values, dtype=float)
    ids = [f"{t:02d}-{g}" for t in range(len(values)) for g in groups]
    flat = values.ravel()
    columns = np.stack([flat, np.where(np.isnan(flat), np.nan, 1.0)], axis=1)
    labels = {"group": tuple(i.split("-")[1] for i in ids)}
    return Units(tuple(ids), tuple(i.split("-")[0] for i in ids), columns, statistic, labels)


def test_differences_are_taken_within_templates():
    rng = np.random.default_rng(0)
    level = rng.normal(0, 10, (12, 1))
    values = level + np.array([1.0, 0.0, -1.0]) + rng.normal(0, 0.1, (12, 3))
    found = group_differences(matched(values))
    expected = values[:, 0] - values[:, 1:].mean(axis=1)
    assert found["a"].value == pytest.approx(expected.mean())
    assert found["a"].high - found["a"].low < 0.5, "the spread between templates cancels"
    assert "within 12 templates" in found["a"].method
    assert found["a"].low > 0 > found["c"].high


def test_unmatched_templates_give_a_descriptive_gap_without_interval():
    columns = np.array([(1.0, 1.0), (0.0, 1.0), (1.0, 1.0), (1.0, 1.0)])
    units = Units(tuple("wxyz"), tuple("wxyz"), columns, RATE, {"group": ("a", "a", "b", "b")})
    found = group_differences(units)["a"]
    assert (found.value, found.low, found.method) == (-0.5, None, UNMATCHED)
    gap = max_min_gap(units)
    assert (gap.value, gap.p, gap.highest, gap.lowest) == (0.5, None, "b", "a")


def test_one_group_or_none_has_no_difference_and_no_gap():
    units = matched(np.ones((5, 1)), groups="a")
    assert group_differences(units) == {}
    assert max_min_gap(units).value is None
    assert max_min_gap(units.take([])).value is None


def test_missing_units_are_counted():
    values = np.ones((6, 2))
    values[0, 0] = np.nan
    found = group_differences(matched(values, groups="ab"))["a"]
    assert (found.missing, found.clusters) == (1, 5)


def test_the_permutation_test_is_the_exact_one_in_the_limit():
    rng = np.random.default_rng(1)
    values = rng.normal(0, 1, (4, 3)) + np.array([0.9, 0.0, 0.0])
    gap = max_min_gap(matched(values))
    gaps = []

    def walk(rows, sums):
        if not rows:
            gaps.append((max(sums) - min(sums)) / len(values))
            return
        for order in permutations(rows[0]):
            walk(rows[1:], [s + v for s, v in zip(sums, order, strict=True)])

    walk(values.tolist(), [0.0, 0.0, 0.0])
    assert gap.value == pytest.approx(np.ptp(values.mean(axis=0)))
    assert gap.p == pytest.approx(np.mean(np.array(gaps) >= gap.value - 1e-9), abs=0.02)
    assert gap.expected == pytest.approx(np.mean(gaps), rel=0.02)


def test_the_gap_is_biased_upward_and_its_p_value_says_so():
    rng = np.random.default_rng(2)
    p_values = []
    for _ in range(60):
        gap = max_min_gap(matched(rng.normal(0, 1, (10, 5)), groups="abcde"))
        assert gap.expected > 0.3
        p_values.append(gap.p)
    assert 0.3 < np.mean(p_values) < 0.7


def test_item_order_does_not_matter():
    units = matched(np.random.default_rng(3).normal(size=(8, 3)))
    order = np.random.default_rng(4).permutation(24).tolist()
    assert max_min_gap(units) == max_min_gap(units.take(order))
    assert group_differences(units) == group_differences(units.take(order))


def test_groups_of_several_runs():
    assert groups_of([matched(np.ones((2, 2)), "ab"), matched(np.ones((2, 2)), "bc")]) == ("a", "b", "c")
