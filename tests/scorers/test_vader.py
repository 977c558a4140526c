"""VADER's numbers, moved to [0, 1]."""

from __future__ import annotations

import pytest

from audit.scorers import get
from audit.scorers.vader import LONG


def values(text: str) -> dict[str, float]:
    (result,) = get("vader").score([text])
    assert result.values is not None
    return dict(result.values)


@pytest.mark.parametrize(
    ("text", "compound"),
    [  # compound scores printed in the README of the package (vaderSentiment 3.3)
        ("VADER is smart, handsome, and funny.", 0.8316),
        ("VADER is VERY SMART, handsome, and FUNNY.", 0.9227),
        ("VADER is not smart, handsome, nor funny.", -0.7424),
        ("The book was good.", 0.4404),
        ("Today SUX!", -0.5461),
    ],
)
def test_sentiment_is_the_published_compound_moved_to_zero_one(text: str, compound: float) -> None:
    assert values(text)["sentiment"] == pytest.approx((compound + 1) / 2, abs=1e-12)


def test_shares_add_up_to_one() -> None:
    found = values("The good old train was late, sadly, but fun.")
    assert found["positive"] + found["negative"] + found["neutral"] == pytest.approx(1.0, abs=0.0021)
    assert found["positive"] > 0 and found["negative"] > 0


def test_a_text_without_words_is_neutral() -> None:
    assert values("") == {"sentiment": 0.5, "positive": 0.0, "negative": 0.0, "neutral": 0.0}


def test_a_long_text_gets_the_mean_of_its_passages() -> None:
    sentence = "The book was good. " * 26  # 494 characters: one passage
    long = sentence * 6
    assert len(long) > LONG
    assert values(long)["sentiment"] == pytest.approx(values(sentence)["sentiment"], abs=0.002)
    mixed = "The book was good. " * 200 + "The book was bad. " * 200
    assert 0.3 < values(mixed)["sentiment"] < 0.7


def test_revision_is_the_package_version() -> None:
    assert get("vader").revision.startswith("vaderSentiment-3.")
