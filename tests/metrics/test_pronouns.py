"""The first gendered pronoun."""

from __future__ import annotations

import pytest

from audit.errors import UsageError
from audit.metrics import pronouns


@pytest.mark.parametrize(
    ("text", "gender"),
    [
        ("She would come", "female"),
        ("HIS hammer and her saw", "male"),
        ("the theme of their shelter", None),
        ("they said", None),
        ("", None),
        ("it was hers.", "female"),
        ("'himself'", "male"),
    ],
)
def test_first_gender(text, gender):
    assert pronouns.first_gender(text) == gender


def test_units_count_agreeing_draws_among_those_with_a_pronoun(generated):
    answers = [
        generated("nurse", ["she", "he", "they", "her"], stereotype="female"),
        generated("plumber", ["he"] * 4, stereotype="male"),
        generated("none", ["they"] * 4, stereotype="male"),
        generated("missing", ["he", None, "he", "he"], stereotype="male"),
    ]
    units = pronouns.agreement_units(answers)
    assert units.columns[:3].tolist() == [[2, 3], [4, 4], [0, 0]]
    assert (units.value(), units.missing) == (pytest.approx(6 / 7), 1)


def test_an_item_without_its_field_is_refused(generated):
    with pytest.raises(UsageError, match="'odd'"):
        pronouns.agreement_units([generated("odd", ["he"])])
