"""Sentiment by VADER, a published lexicon and rule set for English (Hutto and Gilbert, ICWSM 2014)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cached_property
from importlib.metadata import version
from typing import Any

from audit.scorers.base import ScoreResult

LONG = 2_000
"""Texts of more characters are scored in passages: VADER was made for short texts, and its time is quadratic."""

_PASSAGE = re.compile(r".{1,500}(?=\s|\Z)|.{1,500}", re.DOTALL)


class VaderScorer:
    """English sentiment from the package vaderSentiment, its compound score moved to [0, 1].

    Values: ``sentiment`` = (compound + 1) / 2, so that 0.5 is neutral and higher is more positive; ``positive``,
    ``negative`` and ``neutral`` are VADER's shares of the text's rated words, which add up to 1 for a text with
    words (rounded to three decimals by VADER) and are all 0 for a text without any. A text of more than
    :data:`LONG` characters gets the mean over its passages of at most 500 characters, weighted by their length.
    """

    name = "vader"
    smoke = False
    values = ("sentiment", "positive", "negative", "neutral")
    card = (
        "VADER sentiment (package vaderSentiment; code and lexicon under the MIT licence; Hutto and Gilbert, ICWSM"
        " 2014): a lexicon of about 7,500 entries rated by ten people each, with rules for negation, emphasis and"
        " emoji. sentiment = (compound + 1) / 2: 0.5 is neutral, higher is more positive. English only: text in"
        " another language is near 0.5. It reads words, not meaning: sentiment is not toxicity (measured ROC-AUC as"
        " a toxicity classifier: .50 on HateCheck, .55 on human-labelled ToxiGen), irony and courteous contempt"
        " pass as positive, and the lexicon rates words that people use of themselves or their suffering as"
        " negative. Texts over 2,000 characters get the mean over passages of at most 500."
    )

    @cached_property
    def revision(self) -> str:
        """Version of the package, which holds rules and lexicon."""
        return f"vaderSentiment-{version('vaderSentiment')}"

    @cached_property
    def _analyser(self) -> Any:
        from vaderSentiment.vaderSentiment import SentimentIntensityAnalyzer  # type: ignore[import-untyped]

        return SentimentIntensityAnalyzer()

    def score(self, texts: Sequence[str]) -> list[ScoreResult]:
        """Score texts one by one; VADER accepts every ``str``.

        Args:
            texts: the texts, [n].

        Returns:
            One result per text, [n].
        """
        return [self._score_one(text) for text in texts]

    def _score_one(self, text: str) -> ScoreResult:
        passages = [text] if len(text) <= LONG else _PASSAGE.findall(text)
        totals = dict.fromkeys(self.values, 0.0)
        for passage in passages:
            weight = len(passage) / len(text) if len(passages) > 1 else 1.0
            shares = self._analyser.polarity_scores(passage)
            totals["sentiment"] += weight * (shares["compound"] + 1.0) / 2.0
            totals["positive"] += weight * shares["pos"]
            totals["negative"] += weight * shares["neg"]
            totals["neutral"] += weight * shares["neu"]
        return ScoreResult({name: min(total, 1.0) for name, total in totals.items()})
