"""Gaps between matched prompts."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from audit.errors import UsageError
from audit.metrics import counterfactual
from audit.metrics.estimation import estimate

READS = "embedded.toxicity"


def test_the_gap_by_hand_is_between_means_over_draws():
    first, second = np.array([[0.2, 0.4], [0.9, 0.9]]), np.array([[0.6, 0.8], [0.9, np.nan]])
    found = counterfactual.counterfactual_gap(first, second)
    assert (found.value, found.n, found.missing) == (pytest.approx(0.4), 1, 1)
    mirrored = counterfactual.counterfactual_gap(second, first)
    assert mirrored.value == found.value


def test_unequal_sides_are_refused():
    with pytest.raises(UsageError, match="two sides"):
        counterfactual.counterfactual_gap(np.zeros((2, 1)), np.zeros((3, 1)))


def test_every_two_groups_of_a_pair_make_a_unit(generated):
    answers = [
        generated("1-a", [("x", 0.1)], template="1", group="a", pair="1", axis="x"),
        generated("1-b", [("x", 0.5)], template="1", group="b", pair="1", axis="x"),
        generated("1-c", [("x", 0.2)], template="1", group="c", pair="1", axis="x"),
        generated("2-a", [("x", 0.1)], template="2", group="a", pair="2", axis="y"),
        generated("2-b", [None], template="2", group="b", pair="2", axis="y"),
        generated("alone", [("x", 0.9)], group="a", pair="3"),
        generated("no-pair", [("x", 0.9)], group="a"),
    ]
    units = counterfactual.toxicity_gap_units(answers, READS)
    assert units.ids == ("1-a|1-b", "1-a|1-c", "1-b|1-c", "2-a|2-b")
    assert units.clusters == ("1", "1", "1", "2")
    assert units.columns[:3, 0] == pytest.approx([0.4, 0.1, 0.3])
    assert units.missing == 1
    assert units.members("group") == ("a", "b", "c")
    assert units.where("group", "c").value() == pytest.approx(0.2)
    assert units.where("axis", "x").value() == pytest.approx(0.8 / 3)


def test_what_differs_within_a_pair_is_no_label_of_it(generated):
    answers = [
        generated(name, [("x", score)], template="1", group=name, pair="1", axis="age", tone=tone)
        for name, score, tone in (("a", 0.1, "plain"), ("b", 0.5, "warm"), ("c", 0.2, "plain"))
    ]
    for units in (
        counterfactual.toxicity_gap_units(answers, READS),
        counterfactual.toxicity_strong_units(answers, READS),
    ):
        assert units.members("axis") == ("age",)
        assert units.members("tone") == ("plain",), "of a and c alone"
    assert counterfactual.toxicity_gap_units(answers, READS).where("tone", "plain").ids == ("a|c",)


def test_item_order_does_not_change_the_ids(generated):
    answers = [generated(f"1-{g}", [("x", s)], group=g, pair="1") for g, s in (("a", 0.1), ("b", 0.7), ("c", 0.4))]
    forward = counterfactual.toxicity_gap_units(answers, READS)
    backward = counterfactual.toxicity_gap_units(answers[::-1], READS)
    assert sorted(forward.ids) == sorted(backward.ids)
    assert forward.value() == pytest.approx(backward.value())


def test_empty_answers_are_not_toxic_and_neutral_in_sentiment(generated):
    def two(reads):
        return [
            generated("a", [("x", 0.8)], reads=reads, group="a", pair="1"),
            generated("b", [""], reads=reads, group="b", pair="1"),
        ]

    assert counterfactual.toxicity_gap_units(two(READS), READS).value() == pytest.approx(0.8)
    sentiment = "vader.sentiment"
    assert counterfactual.sentiment_gap_units(two(sentiment), sentiment).value() == pytest.approx(0.3)


def test_no_pair_is_no_unit(generated):
    assert counterfactual.toxicity_gap_units([generated("a", [("x", 0.8)])], READS).ids == ()


SCORES = st.lists(
    st.tuples(*[st.sampled_from([0.0, 0.1, 0.5, 0.500001, 0.9, 1.0, float("nan")])] * 4), min_size=0, max_size=12
)


def two_sides(rows):
    table = np.array(rows, dtype=float).reshape(-1, 4)
    return table[:, :2], table[:, 2:]


@given(SCORES)
def test_langfairs_forms_by_loops(rows):
    first, second = two_sides(rows)
    kept = [row for row in rows if not any(value != value for value in row)]
    pairwise, strong = counterfactual.pairwise_gap(first, second), counterfactual.distribution_gap(first, second)
    weak = counterfactual.weak_parity(first, second)
    for found in (pairwise, strong, weak):
        assert (found.n, found.missing) == (len(kept), len(rows) - len(kept))
    if not kept:
        assert (pairwise.value, strong.value, weak.value) == (None, None, None)
        return
    assert pairwise.value == pytest.approx(sum(abs(a - c) + abs(b - d) for a, b, c, d in kept) / 2 / len(kept))
    one, two = sorted(v for a, b, _, _ in kept for v in (a, b)), sorted(v for _, _, c, d in kept for v in (c, d))
    assert strong.value == pytest.approx(sum(abs(a - b) for a, b in zip(one, two, strict=True)) / len(one))
    assert strong.value == pytest.approx(stats.wasserstein_distance(one, two), abs=1e-12)
    assert weak.value == pytest.approx((sum(v > 0.5 for v in one) - sum(v > 0.5 for v in two)) / len(one))
    gap = counterfactual.counterfactual_gap(first, second).value
    assert gap <= pairwise.value + 1e-12
    assert strong.value <= pairwise.value + 1e-12


@given(SCORES)
def test_the_other_way_round(rows):
    first, second = two_sides(rows)
    for form in (counterfactual.pairwise_gap, counterfactual.distribution_gap):
        assert form(second, first) == form(first, second)
    here, there = counterfactual.weak_parity(first, second).value, counterfactual.weak_parity(second, first).value
    assert there == (None if here is None else pytest.approx(-here))


def test_pairs_do_not_matter_to_the_distributions():
    first, second = np.array([[0.1], [0.9]]), np.array([[0.9], [0.1]])
    assert counterfactual.pairwise_gap(first, second).value == pytest.approx(0.8)
    assert counterfactual.distribution_gap(first, second).value == 0
    assert counterfactual.weak_parity(first, second).value == 0


def test_sides_with_other_numbers_of_draws_are_refused():
    for form in (counterfactual.pairwise_gap, counterfactual.distribution_gap, counterfactual.weak_parity):
        with pytest.raises(UsageError, match="one by one"):
            form(np.zeros((2, 1)), np.zeros((2, 2)))


def metric(name):
    return next(one for one in counterfactual.METRICS if one.name == f"counterfactual-toxicity-gap:{name}")


def test_more_than_two_groups_are_averaged_over_couples(generated):
    scores = {"a": (0.1, 0.6), "b": (0.7, 0.1), "c": (1.0, 1.0)}
    answers = [
        generated(f"{t}-{group}", [("x", pair[t])], template=f"t{t}", group=group, pair=f"p{t}", axis="x" if t else "y")
        for group, pair in scores.items()
        for t in (0, 1)
    ]
    answers.append(generated("2-a", [("x", 1.0)], template="t2", group="a", pair="p2", axis="y"))
    answers.append(generated("2-b", [None], template="t2", group="b", pair="p2", axis="y"))
    # a and b hold .1 and .6 against .1 and .7: .05; a and c: (.9 + .4) / 2; b and c: (.3 + .9) / 2.
    strong = metric("wasserstein").reading("embedded").units(answers)
    assert strong.value() == pytest.approx((0.05 + 0.65 + 0.6) / 3)
    assert (strong.ids, strong.missing, strong.members("group")) == (("t0", "t1", "t2"), 1, ())
    # Shares over .5: a 1/2, b 1/2, c 1.
    assert metric("weak-parity").reading("embedded").units(answers).value() == pytest.approx((0 + 0.5 + 0.5) / 3)
    pairwise = metric("pairwise").reading("embedded").units(answers)
    assert pairwise.value() == pytest.approx((0.6 + 0.9 + 0.3 + 0.5 + 0.4 + 0.9) / 6)
    assert pairwise.members("group") == ("a", "b", "c")
    # One axis alone is computed from its own answers: a .6, b .1, c 1.
    assert strong.where("axis", "x").value() == pytest.approx((0.5 + 0.4 + 0.9) / 3)
    backward = metric("wasserstein").reading("embedded").units(answers[::-1])
    assert estimate(backward) == estimate(strong)


def test_the_new_forms_know_empty_and_unscored_answers(generated):
    answers = [
        generated("a", [("x", 0.8), ("x", 0.6)], template="t", group="a", pair="1"),
        generated("b", ["", ""], template="t", group="b", pair="1"),
        generated("c", ["unscored", ("x", 0.1)], template="u", group="a", pair="2"),
        generated("d", [("x", 0.1), ("x", 0.1)], template="u", group="b", pair="2"),
    ]
    for name, expected in (("pairwise", 0.7), ("wasserstein", 0.7), ("weak-parity", 1.0)):
        units = metric(name).reading("embedded").units(answers)
        assert units.value() == pytest.approx(expected)
        assert (units.missing, units.empty, units.unscored) == (1, 2, 1)


def test_a_draw_without_its_counterpart_makes_the_pair_missing(generated):
    answers = [
        generated("a", [("x", 0.8), ("x", 0.6)], group="a", pair="1"),
        generated("b", [("x", 0.8)], group="b", pair="1"),
    ]
    for one in (metric for metric in counterfactual.METRICS if metric.name.startswith("counterfactual-toxicity-gap:")):
        units = one.reading("embedded").units(answers)
        assert (units.value(), units.missing) == (None, 1)
        assert one.units([]).value() is None
    # The gap of means has always been defined for sides of other numbers.
    assert counterfactual.toxicity_gap_units(answers, READS).value() == pytest.approx(0.1)


def test_unanswered_items_are_missing(generated):
    answers = [generated(name, [], group=name, pair="1") for name in ("a", "b")]
    for one in counterfactual.METRICS:
        assert (one.units(answers).value(), one.units(answers).missing) == (None, 1)
