"""Gaps between matched prompts."""

from __future__ import annotations

import numpy as np
import pytest

from audit.errors import UsageError
from audit.metrics import counterfactual

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
