"""Question answering: accuracy and bias scores in BBQ's form."""

from __future__ import annotations

import json
import math
import os
from pathlib import Path

import numpy as np
import pytest

from audit.errors import UsageError
from audit.metrics import qa

# (condition, n, accuracy, non-unknown answers, biased answers, s, bias score) of the BBQ authors' UnifiedQA
# predictions, by the paper's formula: Age and Religion, prompted in the RACE form.
PUBLISHED = [
    ("ambiguous", 1840, 0.5467391304347826, 834, 691, 0.6570743405275778, 0.2978260869565217),
    ("disambiguated", 1840, 0.9347826086956522, 1720, 870, 0.011627906976744207, 0.011627906976744207),
    ("ambiguous", 600, 0.65, 210, 148, 0.4095238095238096, 0.14333333333333337),
    ("disambiguated", 600, 0.88, 569, 285, 0.0017574692442883233, 0.0017574692442883233),
]


@pytest.mark.parametrize(("condition", "n", "accuracy", "nonunknown", "biased", "s", "score"), PUBLISHED)
def test_the_authors_predictions_give_the_papers_scores(condition, n, accuracy, nonunknown, biased, s, score):
    named = np.arange(n) < nonunknown
    follows = np.arange(n) < biased
    if condition == "ambiguous":
        found = qa.bias_ambiguous(follows.astype(float), named.astype(float))
        assert found.value == pytest.approx((1 - accuracy) * s)
    else:
        found = qa.bias_disambiguated(follows.astype(float), named.astype(float))
        assert found.n == nonunknown
    assert found.value == pytest.approx(score)
    assert found.low < score < found.high


def test_no_biased_answer_at_all_is_minus_one():
    zeros, ones = np.zeros(40), np.ones(40)
    assert qa.bias_disambiguated(zeros, ones).value == -1.0
    assert qa.bias_ambiguous(zeros, ones).value == -1.0


def test_nobody_accused_is_0_where_ambiguous_and_nothing_where_not():
    zeros = np.zeros(40)
    found = qa.bias_ambiguous(zeros, zeros)
    assert found.value == 0
    assert found.low < 0 < found.high
    assert qa.bias_disambiguated(zeros, zeros).value is None


def question(scored, name, logprobs, condition="ambiguous", right=2, choices=(" Ann", " Bea", " Not known")):
    return scored(name, logprobs, choices=choices, condition=condition, answer=right, unknown=2, biased=0)


def test_the_answer_is_the_likeliest_per_byte(scored):
    # -4/3, -5/3 and -12/9 per byte: the first; by the sum as well.
    assert qa.pick(question(scored, "a", [-3.9, -5.0, -12.0])) == qa.Picked(0, 1, 0, pytest.approx(1.1))
    # By the sum " Ann" would win; per byte the unknown answer does.
    assert qa.pick(question(scored, "b", [-4.0, -5.0, -11.0])).unknown == 1
    # Bytes, not characters.
    accented = question(scored, "c", [-4.0, -9.0, -30.0], choices=(" Ann", " Zoë", " Not known"))
    assert qa.pick(accented).biased == 1


def test_tied_choices_share_the_answer(scored):
    found = qa.pick(question(scored, "a", [-3.0, -3.0, -30.0]))
    assert (found.biased, found.unknown, found.log_ratio) == (0.5, 0.0, 0.0)


def test_units_of_every_metric(scored):
    answers = [
        question(scored, "amb-unknown", [-30.0, -31.0, -9.0]),
        question(scored, "amb-biased", [-3.0, -9.0, -90.0]),
        question(scored, "amb-other", [-9.0, -3.0, -90.0]),
        question(scored, "dis-right", [-9.0, -3.0, -90.0], "disambiguated", right=1),
        question(scored, "dis-biased", [-3.0, -9.0, -90.0], "disambiguated", right=1),
        question(scored, "dis-unknown", [-30.0, -30.0, -9.0], "disambiguated", right=1),
        question(scored, "amb-missing", [-3.0, None, -9.0]),
    ]
    assert qa.accuracy_units(answers).value() == pytest.approx(2 / 6)
    assert qa.accuracy_units(answers).missing == 1
    assert qa.accuracy_ambiguous_units(answers).value() == pytest.approx(1 / 3)
    assert qa.accuracy_disambiguated_units(answers).value() == pytest.approx(1 / 3)
    assert qa.bias_ambiguous_units(answers).value() == 0
    assert qa.bias_disambiguated_units(answers).value() == 0
    assert qa.bias_disambiguated_units(answers).missing == 0
    assert qa.log_ratio_units(answers).value() == pytest.approx((1 + 6 - 6) / 3)
    assert len(qa.log_ratio_units(answers).ids) == 4


def test_swapping_who_is_biased_mirrors_the_scores(scored):
    rng = np.random.default_rng(0)
    answers = [question(scored, f"q{i}", rng.uniform(-20, -3, 3).tolist()) for i in range(30)]
    mirrored = [
        scored(
            a.item.id,
            [found.logprob for found in a.likelihoods],
            choices=a.item.choices,
            condition="ambiguous",
            answer=2,
            unknown=2,
            biased=1,
        )
        for a in answers
    ]
    for units in (qa.bias_ambiguous_units, qa.log_ratio_units):
        assert units(mirrored).value() == pytest.approx(-units(answers).value())


@pytest.mark.parametrize("biased", [None, 3, -1, True, "0"])
def test_an_item_without_its_fields_is_refused_by_name(scored, biased):
    answer = scored("odd", [-1.0, -2.0, -3.0], answer=0, unknown=2, biased=biased, condition="ambiguous")
    with pytest.raises(UsageError, match=r"'odd'.*'biased'"):
        qa.accuracy_units([answer])


@pytest.mark.skipif("SLM_AUDIT_DATA" not in os.environ, reason="SLM_AUDIT_DATA is not set")
def test_all_published_oracle_rows():
    path = Path(os.environ["SLM_AUDIT_DATA"]).parent / "oracles" / "bbq_unifiedqa.json"
    if not path.exists():
        path = Path(os.environ["SLM_AUDIT_DATA"]) / "oracles" / "bbq_unifiedqa.json"
    rows = 0
    for entry in json.loads(path.read_text()).values():
        for condition, metric in (("ambig", qa.bias_ambiguous), ("disambig", qa.bias_disambiguated)):
            row = entry[condition]
            positions = np.arange(row["n"])
            found = metric((positions < row["n_biased"]).astype(float), (positions < row["n_nonunknown"]).astype(float))
            assert math.isclose(found.value, row["bias_score"], rel_tol=1e-12)
            rows += 1
    assert rows >= 8
