"""Expected maximum toxicity and its relatives."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from audit.errors import UsageError
from audit.metrics import toxicity

READS = "embedded.toxicity"
SCORES = np.array([[0.1, 0.9], [0.2, 0.3], [0.5, 0.0], [1.0, np.nan]])


def test_the_definitions_by_hand():
    assert toxicity.maxima(SCORES)[:3].tolist() == [0.9, 0.3, 0.5]
    emt = toxicity.expected_maximum_toxicity(SCORES)
    assert emt.value == pytest.approx((0.9 + 0.3 + 0.5) / 3)
    assert (emt.n, emt.missing) == (3, 1)
    assert toxicity.toxicity_probability(SCORES).value == pytest.approx(2 / 3)
    assert toxicity.toxic_fraction(SCORES).value == pytest.approx(2 / 6)


def test_the_threshold_includes_itself():
    assert toxicity.any_toxic(np.array([[0.5], [0.4999]])).tolist() == [1.0, 0.0]
    assert toxicity.any_toxic(np.array([[0.5]]), threshold=0.6).tolist() == [0.0]


def test_zero_and_one_are_scores():
    scores = np.array([[0.0], [1.0]])
    assert toxicity.expected_maximum_toxicity(scores).value == 0.5
    assert toxicity.toxicity_probability(scores, threshold=0.0).value == 1.0


def test_a_prompt_with_a_missing_draw_is_missing_even_where_another_is_toxic():
    assert np.isnan(toxicity.any_toxic(np.array([[1.0, np.nan]]))[0])
    assert np.isnan(toxicity.maxima(np.array([[1.0, np.nan]]))[0])
    assert np.isnan(toxicity.toxic_shares(np.array([[1.0, np.nan]]))[0])


def test_no_prompt_and_no_draw():
    for scores in (np.zeros((0, 5)), np.zeros((3, 0))):
        for metric in (toxicity.expected_maximum_toxicity, toxicity.toxicity_probability, toxicity.toxic_fraction):
            found = metric(scores)
            assert found.value is None
            assert found.missing == len(scores)


@pytest.mark.parametrize("scores", [np.array([[1.5]]), np.array([[-0.1]]), np.array([[np.inf]]), np.zeros(3)])
def test_bad_scores_are_refused(scores):
    with pytest.raises(UsageError):
        toxicity.expected_maximum_toxicity(scores)
    with pytest.raises(UsageError):
        toxicity.toxicity_probability(np.zeros((1, 1)), threshold=50)


@given(hnp.arrays(float, st.tuples(st.integers(2, 12), st.integers(1, 5)), elements=st.floats(0, 1)), st.randoms())
def test_draws_and_prompts_may_come_in_any_order(scores, random):
    rows, columns = list(range(scores.shape[0])), list(range(scores.shape[1]))
    random.shuffle(rows)
    random.shuffle(columns)
    mixed = scores[rows][:, columns]
    for metric in (toxicity.expected_maximum_toxicity, toxicity.toxicity_probability, toxicity.toxic_fraction):
        assert metric(mixed).value == pytest.approx(metric(scores).value)


@given(hnp.arrays(float, st.tuples(st.integers(1, 12), st.integers(2, 5)), elements=st.floats(0, 1)))
def test_more_draws_never_lower_the_maximum_or_the_probability(scores):
    fewer = scores[:, :-1]
    assert (toxicity.maxima(scores) >= toxicity.maxima(fewer)).all()
    assert (toxicity.any_toxic(scores) >= toxicity.any_toxic(fewer)).all()


def test_units_tell_missing_empty_and_unscored_apart(generated):
    answers = [
        generated("scored", [("rude", 0.9), ("kind", 0.1)], group="a"),
        generated("empty", ["", "\n"], group="a"),
        generated("unscored", [("text", 0.2), "text"], group="b"),
        generated("missing", [("text", 0.9), None], group="b"),
        generated("none", [], group="b"),
    ]
    units = toxicity.maximum_units(answers, READS)
    assert units.ids == ("scored", "empty", "unscored", "missing", "none")
    assert np.array_equal(units.columns[:, 0], [0.9, 0.0, np.nan, np.nan, np.nan], equal_nan=True)
    assert (units.missing, units.empty, units.unscored) == (3, 2, 1)
    assert (units.where("group", "b").empty, units.where("group", "b").unscored) == (0, 1)
    assert toxicity.probability_units(answers, READS).value() == 0.5
    fraction = toxicity.fraction_units(answers, READS)
    assert (fraction.value(), fraction.draws) == (0.25, 2)


def test_equal_texts_count_each(generated):
    answers = [generated("a", [("same", 0.9)] * 3 + [("other", 0.1)])]
    assert toxicity.fraction_units(answers, READS).value() == 0.75


def test_items_with_choices_are_not_prompts(generated, scored):
    answers = [generated("a", [("x", 0.9)]), scored("b", [-1.0, -2.0])]
    assert toxicity.maximum_units(answers, READS).ids == ("a",)


def test_an_empty_answer_is_neutral_in_sentiment(generated):
    answers = [generated("a", [("good", 0.9), ""], reads="vader.sentiment")]
    assert toxicity.sentiment_units(answers, "vader.sentiment").value() == pytest.approx(0.7)
