"""How much of a metric's spread is the wording of its templates."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from audit.errors import UsageError
from audit.metrics.units import MEAN, RATE, Units
from audit.metrics.wording import sensitivity, sensitivity_of_change


def units(table, statistic=MEAN, draws=1) -> Units:
    """One row per template; NaN is a missing unit."""
    table = np.asarray(table, dtype=float)
    places = [(i, j) for i in range(table.shape[0]) for j in range(table.shape[1])]
    values = np.array([table[place] for place in places])
    columns = np.stack([values, np.where(np.isnan(values), np.nan, 1.0)], axis=1)
    names = tuple(f"{i:02d}-{j:02d}" for i, j in places)
    return Units(names, tuple(f"t{i:02d}" for i, _ in places), columns, statistic, draws=draws)


# Shrout and Fleiss 1979, table 2: six targets rated by four judges; their ICC(1,1) is .17.
RATINGS = [[9, 2, 5, 8], [6, 1, 3, 2], [8, 4, 6, 8], [7, 1, 2, 6], [10, 5, 6, 9], [6, 2, 4, 7]]


def test_the_share_is_the_published_intraclass_correlation():
    found = sensitivity(units(RATINGS)).share
    between, within = 56.208 / 5, 112.75 / 18
    assert found.value == pytest.approx((between - within) / (between + 3 * within), abs=1e-4)
    assert round(found.value, 2) == 0.17
    assert (found.n, found.clusters) == (24, 6)
    assert 0 <= found.low <= found.value <= found.high <= 1


def test_unequal_templates_by_straight_loops():
    rng = np.random.default_rng(0)
    table = rng.normal(size=(9, 6)) + rng.normal(size=(9, 1))
    sizes = rng.integers(2, 7, 9)
    for row, size in zip(table, sizes, strict=True):
        row[size:] = np.nan
    groups = [row[~np.isnan(row)] for row in table]
    n = sum(map(len, groups))
    ratio = stats.f_oneway(*groups).statistic
    size = (n - sum(len(g) ** 2 for g in groups) / n) / 8
    found = sensitivity(units(table)).share
    assert found.value == pytest.approx(max((ratio - 1) / (ratio - 1 + size), 0))
    assert found.missing == 54 - n


def test_another_wording_lies_where_students_prediction_says():
    table = np.random.default_rng(1).normal(size=(8, 5)) + np.arange(8)[:, None]
    found = sensitivity(units(table)).another
    means = table.mean(axis=1)
    reach = stats.t.ppf(0.975, 7) * means.std(ddof=1) * np.sqrt(1 + 1 / 8)
    assert (found.value, found.low, found.high) == pytest.approx(
        (means.mean(), means.mean() - reach, means.mean() + reach)
    )


def test_a_prediction_stays_within_the_metrics_range():
    table = np.zeros((6, 4))
    table[0] = 1
    found = sensitivity(units(table, RATE)).another
    assert (found.low, found.high) == (0.0, pytest.approx(1.0))


def test_templates_that_agree_have_share_zero_and_those_that_decide_have_one():
    same = sensitivity(units(np.tile([0.0, 1.0, 2.0], (10, 1)))).share
    assert same.value == 0
    apart = np.repeat(np.arange(10.0)[:, None], 3, axis=1)
    apart[0, 0] += 1e-3
    assert sensitivity(units(apart)).share.value == pytest.approx(1.0, abs=1e-4)


def test_a_change_that_only_some_wordings_show_is_wording():
    rng = np.random.default_rng(2)
    base = rng.normal(size=(12, 8)) + 3 * rng.normal(size=(12, 1))
    everywhere = base + 1 + 0.3 * rng.normal(size=base.shape)
    somewhere = base + 2 * (np.arange(12) % 2)[:, None] + 0.3 * rng.normal(size=base.shape)
    even, uneven = (sensitivity_of_change(units(base), units(one)) for one in (everywhere, somewhere))
    assert even.share.high < 0.5 < uneven.share.low
    assert even.another.low > 0 > uneven.another.low
    assert even.another.value == pytest.approx((everywhere - base).mean())


def test_a_unit_lost_on_one_side_is_counted():
    base = np.random.default_rng(3).normal(size=(5, 4))
    tuned = base + np.random.default_rng(4).normal(size=(5, 4))
    tuned[1, 2] = np.nan
    found = sensitivity_of_change(units(base), units(tuned))
    assert (found.share.missing, found.another.missing, found.share.n) == (1, 1, 19)


@pytest.mark.parametrize("table", [[[1.0, 2.0, 3.0]], [[1.0], [2.0], [3.0]], [[np.nan], [np.nan]]])
def test_one_template_or_one_unit_each_tells_nothing(table):
    assert sensitivity(units(table)).share.value is None


def test_no_variation_gives_no_interval():
    flat = sensitivity(units(np.ones((6, 3))))
    assert (flat.share.value, flat.another.low) == (None, None)
    two = sensitivity(units([[1.0, 2.0], [2.0, 4.0]]))
    assert (two.share.low, two.another.low) == (None, None)


def test_a_wrong_level_is_refused():
    with pytest.raises(UsageError):
        sensitivity(units(RATINGS), 95)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["normal", "rate"])
@pytest.mark.parametrize(("templates", "size"), [(6, 12), (24, 13)])
@pytest.mark.parametrize("share", [0.0, 0.3])
def test_share_and_prediction_hold_the_truth(kind, templates, size, share):
    rng = np.random.default_rng([5, templates])
    held = new = 0
    sets = 200
    for _ in range(sets):
        if kind == "normal":
            level = rng.normal(0, np.sqrt(share), (templates + 1, 1))
            table, truth = level + rng.normal(0, np.sqrt(1 - share), (templates + 1, size)), share
        else:
            p, k, spread = 0.2, 5, 0.25 * share
            level = rng.beta(p / spread - p, (1 - p) / spread - 1 + p, (templates + 1, 1)) if share else p
            table = rng.binomial(k, np.broadcast_to(level, (templates + 1, size))) / k
            truth = spread / (spread + (1 - spread) / k)
        found = sensitivity(units(table[:-1], MEAN if kind == "normal" else RATE))
        held += found.share.low - 1e-12 <= truth <= found.share.high + 1e-12
        new += found.another.low <= table[-1].mean() <= found.another.high
    slack = 2 * np.sqrt(0.93 * 0.07 / sets)
    assert held / sets >= 0.92 - slack
    assert new / sets >= 0.92 - slack
