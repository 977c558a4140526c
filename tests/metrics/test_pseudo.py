"""Pseudo-values against straight loops."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score

from audit.errors import UsageError
from audit.metrics import pseudo, tables
from audit.metrics.answers import Answered
from audit.metrics.estimation import estimate
from audit.metrics.metric import Metric
from audit.metrics.paired import paired_difference
from probes.suite import Item

BOUNDED = pseudo.statistic("test", 0.0, 1.0)


def test_the_area_is_the_share_of_ordered_pairs_with_ties_half():
    rng = np.random.default_rng(0)
    values = rng.integers(0, 6, 60).astype(float)
    values[:2] = np.inf
    positive = rng.random(60) < 0.4
    pairs = [(a > b) + 0.5 * (a == b) for a in values[positive] for b in values[~positive]]
    assert pseudo.auc(values, positive) == pytest.approx(np.mean(pairs), abs=1e-15)
    finite = np.where(np.isinf(values), 99.0, values)
    assert pseudo.auc(values, positive) == pytest.approx(roc_auc_score(positive, finite), abs=1e-12)


def test_its_influence_gives_delongs_variance():
    rng = np.random.default_rng(1)
    values, positive = rng.normal(size=50).round(1), rng.random(50) < 0.5
    first, second = values[positive], values[~positive]
    over = np.array([[(a > b) + 0.5 * (a == b) for b in second] for a in first])
    variance = over.mean(axis=1).var(ddof=0) / len(first) + over.mean(axis=0).var(ddof=0) / len(second)
    influence = pseudo.auc_influence(values, positive)
    assert (influence**2).sum() == pytest.approx(variance, rel=1e-12)
    assert influence[positive].sum() == pytest.approx(0, abs=1e-12)
    assert influence[~positive].sum() == pytest.approx(0, abs=1e-12)


@given(st.lists(st.tuples(st.sampled_from([0.0, 0.5, 1.0, np.inf]), st.booleans()), min_size=1, max_size=12))
def test_turning_the_classes_round_mirrors_the_area(rows):
    values, positive = np.array([row[0] for row in rows]), np.array([row[1] for row in rows])
    found, mirrored = pseudo.auc(values, positive), pseudo.auc(values, ~positive)
    assert (np.isnan(found) and np.isnan(mirrored)) or found + mirrored == pytest.approx(1.0)


def test_an_empty_class_has_no_area():
    assert np.isnan(pseudo.auc(np.ones(3), np.ones(3, dtype=bool)))
    with pytest.raises(UsageError, match="both classes"):
        pseudo.placements(np.ones(3), np.zeros(3, dtype=bool))


def test_the_jackknife_of_a_mean_is_its_own_standard_error():
    rng = np.random.default_rng(2)
    values = rng.random(40)
    units = pseudo.jackknife([f"{i:02d}" for i in range(40)], lambda rows: float(values[rows].mean()), BOUNDED)
    assert units.value() == pytest.approx(values.mean(), abs=1e-15)
    plain = estimate(tables.array_units(values, None, tables.Statistic("mean", "mean")))
    assert estimate(units).low == pytest.approx(plain.low, abs=1e-12)


def test_a_nonlinear_statistic_keeps_its_exact_value_and_counts_clusters():
    rng = np.random.default_rng(3)
    values, clusters = rng.random(60), [f"c{i % 12}" for i in range(60)]
    missing = np.zeros(60, dtype=bool)
    missing[::12] = True  # all of c0
    units = pseudo.jackknife(
        clusters, lambda rows: float(values[rows].std()), BOUNDED, missing=missing.tolist(),
        labels={"group": ["a|b" if i % 12 == 1 else "a" for i in range(60)]},
        counts=np.ones((60, 2), dtype=np.int64),
    )  # fmt: skip
    assert units.value() == pytest.approx(values[~missing].std(), abs=1e-12)
    assert (units.missing, units.empty) == (5, 60), "five rows of c0, none of them unseen"
    assert units.members("group") == ("a", "b")
    found = estimate(units)
    assert found.clusters == 11 and 0 <= found.low < found.value < found.high <= 1


def test_a_missing_row_beside_valued_ones_is_counted():
    values = np.arange(6.0) / 10
    missing = [False, True, False, True, True, False]
    clusters = ["a", "a", "b", "b", "c", "d"]
    units = pseudo.jackknife(
        clusters, lambda rows: float(values[rows].mean()), BOUNDED, missing=missing, labels={"group": list("xyxyzx")}
    )
    found = estimate(units)
    assert (units.missing, found.missing, found.n) == (3, 3, 3)
    assert found.value == pytest.approx(values[[0, 2, 5]].mean())
    assert units.where("group", "y").missing == 2 and units.where("group", "z").missing == 1
    whole = pseudo.jackknife(clusters, lambda rows: float(values[rows].mean()), BOUNDED)
    assert paired_difference(units, whole).missing == 3


def test_two_sides_that_lack_different_rows_lack_both():
    def side(*lost):
        return pseudo.jackknife(
            ["a", "a", "a", "b", "b"], lambda rows: float(len(rows)), pseudo.statistic("size"),
            missing=[row in lost for row in range(5)],
        )  # fmt: skip

    assert paired_difference(side(0), side(0)).missing == 1
    assert paired_difference(side(0), side(1)).missing == 2
    assert paired_difference(side(1, 3), side(2)).missing == 3


def test_nothing_and_one_cluster_have_no_interval():
    assert estimate(pseudo.jackknife([], lambda rows: 1.0, BOUNDED)).value is None
    one = estimate(pseudo.jackknife(["a", "a"], lambda rows: 0.25, BOUNDED))
    assert (one.value, one.low) == (0.25, None)
    assert pseudo.jackknife(["a", "b"], lambda rows: float("nan"), BOUNDED).missing == 2


def test_its_interval_covers():
    # A squared mean: nonlinear, with a known value; 400 sets, so the Monte Carlo error is about .011.
    rng = np.random.default_rng(4)
    hit = 0
    for _ in range(400):
        values = rng.exponential(0.5, 40)
        names = [f"{i:02d}" for i in range(40)]
        units = pseudo.jackknife(names, lambda rows, v=values: float(v[rows].mean() ** 2), pseudo.statistic("square"))
        found = estimate(units)
        hit += found.low <= 0.25 <= found.high
    assert 0.90 <= hit / 400 <= 0.985


def spread_units(answers, reads=""):
    values = np.array([answer.item.fields["x"] for answer in answers], dtype=float)
    labels = tables.labels_of([answer.item for answer in answers])
    return pseudo.jackknife(
        [answer.item.id for answer in answers], lambda rows: float(values[rows].std()), BOUNDED, labels=labels
    )


def test_a_groups_number_is_computed_from_its_own_answers():
    metric = Metric("spread", "spread", "", "lower", "score", spread_units, regroup=True)
    rng = np.random.default_rng(5)
    values = rng.random(30)
    groups = ["a", "b", "a|b"] * 10
    answers = [
        Answered(Item(f"{i:02d}", "t", "t", g, fields={"x": float(v)}))
        for i, (g, v) in enumerate(zip(groups, values, strict=True))
    ]
    units = metric.units(answers)
    mine = [v for v, g in zip(values, groups, strict=True) if "a" in g]
    assert units.where("group", "a").value() == pytest.approx(np.std(mine))
    assert units.where("group", "a").members("group") == ("a",)
    assert units.where("group", "nobody").value() is None
    found = paired_difference(units.where("group", "a"), units.where("group", "a"))
    assert found.difference == 0 and found.n == 20
