"""Units: the table behind every number."""

from __future__ import annotations

import numpy as np
import pytest

from audit.errors import UsageError
from audit.metrics.perplexity import PERPLEXITY
from audit.metrics.qa import BIAS_SHARE
from audit.metrics.units import MEAN, RATE, SIGNED_MEAN, Statistic, Units, cluster_index, cluster_sums


def units(values, clusters=None, statistic=RATE, **more) -> Units:
    columns = [(v, np.nan if np.isnan(v) else 1.0) for v in values]
    ids = tuple(f"u{i}" for i in range(len(values)))
    return Units(ids, tuple(clusters or ids), np.array(columns).reshape(-1, 2), statistic, **more)


def test_missing_rows_are_counted_and_never_zero():
    some = units([1.0, np.nan, 0.0, 1.0])
    assert some.missing == 1
    assert some.value() == pytest.approx(2 / 3)


def test_no_row_has_no_value():
    assert units([]).value() is None
    assert units([np.nan]).value() is None


def test_weight_zero_is_answered_but_does_not_enter():
    some = Units(("a", "b"), ("a", "b"), np.array([(0.0, 0.0), (1.0, 1.0)]), RATE)
    assert some.missing == 0
    assert some.value() == 1.0
    assert Units(("a",), ("a",), np.array([(0.0, 0.0)]), RATE).value() is None


def test_where_takes_members_of_several_groups():
    labels = {"group": ("a|b", "b", "", "ab")}
    some = units([1.0, 0.0, 0.0, 1.0], labels=labels)
    assert some.members("group") == ("a", "ab", "b")
    assert some.where("group", "b").ids == ("u0", "u1")
    assert some.where("group", "a").ids == ("u0",)
    assert some.where("group", "nobody").ids == ()
    assert some.where("nothing", "x").ids == ()


def test_counts_follow_their_rows():
    some = units([1.0, 0.0], labels={"group": ("a", "b")}, counts=np.array([(2, 1), (0, 4)]))
    assert (some.empty, some.unscored) == (2, 5)
    assert (some.where("group", "b").empty, some.where("group", "b").unscored) == (0, 4)


@pytest.mark.parametrize(
    ("values", "statistic"),
    [([1.5], RATE), ([-0.1], RATE), ([np.inf], MEAN), ([1.2], SIGNED_MEAN)],
)
def test_impossible_values_are_refused(values, statistic):
    with pytest.raises(UsageError):
        units(values, statistic=statistic)


def test_negative_weights_lengths_and_twins_are_refused():
    with pytest.raises(UsageError, match="negative weight"):
        Units(("a",), ("a",), np.array([(0.0, -1.0)]), MEAN)
    with pytest.raises(UsageError, match="disagree in length"):
        Units(("a", "b"), ("a",), np.zeros((2, 2)), MEAN)
    with pytest.raises(UsageError, match="'a' occurs twice"):
        Units(("a", "a"), ("a", "b"), np.ones((2, 2)), MEAN)
    with pytest.raises(UsageError, match="without a range"):
        Statistic("odd", "rate")


def test_statistics_combine_sums_as_their_formulas_say():
    assert PERPLEXITY.combine(np.array([10.0, 5.0])) == pytest.approx(np.exp(2.0))
    # 870 biased of 1720 that are not unknown: BBQ authors' data, 0.011627906976744207.
    assert BIAS_SHARE.combine(np.array([870.0, 1720.0])) == pytest.approx(2 * 870 / 1720 - 1)
    assert np.isnan(MEAN.combine(np.array([0.0, 0.0])))


@pytest.mark.parametrize("statistic", [RATE, MEAN, PERPLEXITY, BIAS_SHARE])
def test_slopes_are_derivatives(statistic):
    at, step = np.array([0.2, 0.7]), 1e-6
    numeric = (statistic.value(at + step) - statistic.value(at - step)) / (2 * step)
    assert statistic.slope(at) == pytest.approx(numeric, rel=1e-6)


def test_cluster_sums_are_group_sums():
    index, count = cluster_index(["b", "a", "b"])
    sums = cluster_sums(np.array([(1.0, 1.0), (2.0, 1.0), (3.0, 1.0)]), index, count)
    assert sums.tolist() == [[2.0, 1.0], [4.0, 2.0]]
