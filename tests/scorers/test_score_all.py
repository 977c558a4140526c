"""How results are checked and failures are kept with the text they belong to."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest

from audit.scorers import ScoreResult, score_all
from audit.text import is_empty


class Plugin:
    """A scorer whose one value comes from a function; counts its calls."""

    name = "plugin"
    revision = "1"
    smoke = False
    values: tuple[str, ...] = ("length",)
    card = "Length over ten."

    def __init__(self, make: Callable[[str], Any]) -> None:
        self.make = make
        self.seen: list[list[str]] = []

    def score(self, texts: Sequence[str]) -> list[ScoreResult]:
        self.seen.append(list(texts))
        return [self.make(text) for text in texts]


def length(text: str) -> ScoreResult:
    return ScoreResult({"length": len(text) / 10})


def test_a_result_holds_exactly_one_of_values_and_reason() -> None:
    with pytest.raises(ValueError, match="either values or a reason"):
        ScoreResult(None)
    with pytest.raises(ValueError, match="either values or a reason"):
        ScoreResult({"a": 0.5}, "why")
    assert ScoreResult(None, "why").reason == "why"


def test_results_come_in_order_and_duplicates_are_scored_once() -> None:
    plugin = Plugin(length)
    results = score_all(plugin, ["ab", "a", "ab", "", "a"])
    assert [r.values for r in results] == [{"length": x} for x in (0.2, 0.1, 0.2, 0.0, 0.1)]
    assert plugin.seen == [["ab", "a", ""]]


def test_texts_are_handed_over_in_batches() -> None:
    plugin = Plugin(length)
    score_all(plugin, ["a", "b", "c", "d", "e"], batch=2)
    assert plugin.seen == [["a", "b"], ["c", "d"], ["e"]]


@pytest.mark.parametrize(
    "value", [math.nan, math.inf, -math.inf, -0.01, 1.01, None, "0.5", 1j, np.float64("nan")], ids=repr
)
def test_a_value_that_is_no_share_makes_the_text_unscored(value: Any) -> None:
    plugin = Plugin(lambda text: ScoreResult({"length": value if text == "bad" else 0.5}))
    good, bad = score_all(plugin, ["good", "bad"])
    assert good.values == {"length": 0.5}
    assert bad.values is None
    assert bad.reason is not None
    assert "plugin" in bad.reason and "length" in bad.reason and "[0, 1]" in bad.reason


@pytest.mark.parametrize("values", [{}, {"other": 0.5}, {"length": 0.5, "other": 0.5}])
def test_undeclared_or_missing_names_make_the_text_unscored(values: dict[str, float]) -> None:
    (result,) = score_all(Plugin(lambda text: ScoreResult(values)), ["a"])
    assert result.values is None
    assert result.reason is not None and "declared length" in result.reason


def test_something_else_than_a_result_makes_the_text_unscored() -> None:
    (result,) = score_all(Plugin(lambda text: {"length": 0.5}), ["a"])
    assert result.values is None
    assert result.reason == "scorer 'plugin' returned dict, not a ScoreResult"


def test_numpy_numbers_become_plain_floats() -> None:
    (result,) = score_all(Plugin(lambda text: ScoreResult({"length": np.float32(0.25)})), ["a"])
    assert result.values == {"length": 0.25}
    assert type(result.values["length"]) is float


def test_a_text_that_raises_costs_only_itself() -> None:
    def fussy(text: str) -> ScoreResult:
        if "x" in text:
            raise RuntimeError("no\nx please \ud83d")
        return length(text)

    a, x, b = score_all(Plugin(fussy), ["a", "x", "bb"])
    assert (a.values, b.values) == ({"length": 0.1}, {"length": 0.2})
    assert x.values is None
    assert x.reason == "RuntimeError: no x please \\ud83d"


def test_a_batch_of_wrong_length_is_redone_text_by_text() -> None:
    class Short(Plugin):
        def score(self, texts: Sequence[str]) -> list[ScoreResult]:
            return super().score(texts)[:1]

    plugin = Short(length)
    assert [r.values for r in score_all(plugin, ["a", "bb"])] == [{"length": 0.1}, {"length": 0.2}]
    assert plugin.seen == [["a", "bb"], ["a"], ["bb"]]


def test_a_bad_text_is_found_by_halving() -> None:
    def fussy(text: str) -> ScoreResult:
        if text == "text 300":
            raise RuntimeError("no")
        return length("a")

    plugin = Plugin(fussy)
    results = score_all(plugin, [f"text {number}" for number in range(512)])
    assert [number for number, result in enumerate(results) if result.values is None] == [300]
    assert len(plugin.seen) == 1 + 2 * 9, "two halves at each of nine levels, not one call a text"


def test_an_interrupt_is_not_taken_for_a_bad_text() -> None:
    def interrupted(text: str) -> ScoreResult:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        score_all(Plugin(interrupted), ["a"])


def test_a_missing_answer_is_not_a_text() -> None:
    with pytest.raises(TypeError, match="text 1 is NoneType"):
        score_all(Plugin(length), ["a", None])


@pytest.mark.parametrize("text", ["", " ", "\n\t", "\u200b", "\ufeff\u00a0", "\x00"])
def test_nothing_visible_is_empty(text: str) -> None:
    assert is_empty(text)


@pytest.mark.parametrize("text", ["a", ".", "0", "\ufffd", "\U0001f600", " \u05d0 "])
def test_anything_visible_is_not_empty(text: str) -> None:
    assert not is_empty(text)
