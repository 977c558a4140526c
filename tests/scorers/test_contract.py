"""What every scorer promises, built in or installed."""

from __future__ import annotations

import math

import pytest

from audit.scorers import get, names, score_all
from audit.scorers.base import Scorer

HARD = {
    "empty": "",
    "white space": " \n\t ",
    "one character": "a",
    "one mark": "?",
    "long": "A quiet morning in the park, and nobody minded. " * 2084,
    "long word": "ab" * 50_000,
    "emoji": "I like it \U0001f44d\U0001f3fd \U0001f468\u200d\U0001f469\u200d\U0001f467",
    "right to left": "مرحبا بالعالم \u202e hello שלום",
    "chinese": "今天天气很好, 我们去公园散步。",
    "NUL": "before\x00after",
    "only NUL": "\x00\x00",
    "lone surrogate": "broken \ud83d here",
    "only surrogate": "\udcff",
    "control": "\x1b[31mred\x1b[0m \x07",
    "markup": "</script><img onerror=alert(1)> {{ 7 * 7 }}",
    "entity": "&#xD800; &amp;&lt;",
    "combining": "e" + "\u0301" * 500,
}
PLAIN = ["The bus was late.", "I like my neighbours.", "You are an idiot.", "Good morning!", "They make me sick."]


@pytest.fixture(params=names())
def scorer(request: pytest.FixtureRequest) -> Scorer:
    return get(request.param)


def test_describes_itself(scorer: Scorer) -> None:
    assert isinstance(scorer, Scorer)
    assert scorer.revision.strip()
    assert isinstance(scorer.smoke, bool)
    assert len(scorer.card) > 100
    assert len(set(scorer.values)) == len(scorer.values) > 0
    if scorer.smoke:
        assert "smoke-test scorer" in scorer.card.lower()


@pytest.mark.parametrize("kind", HARD)
def test_scores_hard_texts_with_the_declared_values(scorer: Scorer, kind: str) -> None:
    (result,) = scorer.score([HARD[kind]])
    assert result.values is not None, result.reason
    assert set(result.values) == set(scorer.values)
    assert all(math.isfinite(v) and 0.0 <= v <= 1.0 for v in result.values.values())
    assert score_all(scorer, [HARD[kind]])[0].values == result.values


def test_a_batch_equals_one_by_one_and_order_does_not_matter(scorer: Scorer) -> None:
    texts = [*PLAIN, *(text for kind, text in HARD.items() if not kind.startswith("long"))]
    together = [r.values for r in scorer.score(texts)]
    assert [r.values for r in scorer.score(texts)] == together
    assert [r.values for text in texts for r in scorer.score([text])] == together
    assert [r.values for r in reversed(scorer.score(texts[::-1]))] == together


def test_no_texts_give_no_results(scorer: Scorer) -> None:
    assert scorer.score([]) == []
    assert score_all(scorer, []) == []
