from __future__ import annotations

import re
import unicodedata
from html import unescape

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reports import text

ANY_TEXT = st.text(st.characters(exclude_categories=()), max_size=60)
"""Every code point, unpaired surrogates and controls included."""
TOKEN = re.compile(r'<span class="ctl" title="[^"]*">[^<]*</span>')


@given(ANY_TEXT)
def test_plain_leaves_no_character_that_hides_or_turns_others(sample: str) -> None:
    for char in text.plain(sample).replace("\u200c", "").replace("\u200d", ""):
        assert char in "\n\t" or unicodedata.category(char) not in ("Cc", "Cs", "Zl", "Zp")
        assert unicodedata.bidirectional(char) not in ("LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI")


@given(ANY_TEXT)
def test_visible_strips_nothing(sample: str) -> None:
    html = str(text.visible(sample))
    hidden = [char for i, char in enumerate(sample) if text.label(char) is not None and not text._joins(sample, i)]
    assert len(TOKEN.findall(html)) == len(hidden)
    kept = "".join(char for i, char in enumerate(sample) if text.label(char) is None or text._joins(sample, i))
    # html.unescape reads character references only, so what comes back is what a browser shows between the tokens.
    assert unescape(TOKEN.sub("", html)) == kept
    html.encode("utf-8")


@given(ANY_TEXT)
def test_visible_markup_is_only_its_own_tokens(sample: str) -> None:
    rest = TOKEN.sub("", str(text.visible(sample)))
    assert "<" not in rest
    assert ">" not in rest
    assert '"' not in rest


@pytest.mark.parametrize(
    ("char", "shown"),
    [
        ("\x00", "NUL"), ("\x1b", "ESC"), ("\x7f", "DEL"), ("\r", "CR"), ("\x9b", "CSI"), ("\u202e", "RLO"),
        ("\u2066", "LRI"), ("\u200b", "ZWSP"), ("\ufeff", "BOM"), ("\U000e0041", "U+E0041"), ("\ud800", "U+D800"),
        ("\u3164", "U+3164"), ("\ue000", "U+E000"), ("\U000e0100", "U+E0100"),
    ],
)  # fmt: skip
def test_hidden_characters_get_their_label(char: str, shown: str) -> None:
    assert text.plain(f"a{char}b") == f"a[{shown}]b"
    assert f">{shown}</span>" in text.visible(f"a{char}b")


@pytest.mark.parametrize("kept", ["a\tb\nc", "שלום", "می\u200cخواهم", "👩\u200d🚀", "naïve", "日本語", "\u0600١"])  # noqa: RUF001
def test_ordinary_writing_of_any_script_is_left_alone(kept: str) -> None:
    assert text.plain(kept) == kept


def test_a_joiner_among_ascii_letters_is_shown() -> None:
    assert text.plain("pass\u200dword") == "pass[ZWJ]word"


@pytest.mark.parametrize(
    ("value", "unit", "signed", "shown"),
    [
        (0.1234, "share", False, "12.3\u00a0%"),
        (0.0123, "share", True, "+1.2\u00a0pp"),
        (-0.0004, "share", True, "\u22120.04\u00a0pp"),
        (0.0, "share", True, "0.0\u00a0pp"),
        (-0.0, "score", False, "0.000"),
        (0.5, "score", False, "0.500"),
        (12345.678, "perplexity", False, "12,345.7"),
        (-3.41, "nats", False, "\u22123.410"),
        (0.00001, "score", False, "0.00001"),
        (1e-12, "score", True, "+1e-12"),
        (3e9, "perplexity", False, "3e+09"),
        (float("inf"), "perplexity", False, "∞"),
        (float("-inf"), "nats", True, "\u2212∞"),
        (float("nan"), "score", False, "not estimated"),
        (None, "share", False, "not estimated"),
    ],
)
def test_numbers(value: float | None, unit: str, signed: bool, shown: str) -> None:
    assert text.number(value, unit, signed=signed) == shown


@given(st.floats(allow_nan=False, allow_infinity=False), st.sampled_from(["share", "score", "nats", "perplexity"]))
def test_only_zero_shows_as_zero(value: float, unit: str) -> None:
    digits = text.number(value, unit).removesuffix("\u00a0%").lstrip(text.MINUS).replace(",", "")
    assert (float(digits) == 0) == (value * (100 if unit == "share" else 1) == 0)


def test_intervals_are_written_with_a_word_and_one_unit() -> None:
    assert text.interval(-0.002, 0.014, "share", signed=True) == "\u22120.2 to +1.4\u00a0pp"
    assert text.interval(0.1, 0.2, "score") == "0.100 to 0.200"
    assert text.interval(None, 0.2, "score") == "no interval"
    assert text.interval(9.5e-24, 0.093, "share") == "0.0 to 9.3\u00a0%"
    assert text.interval(-1e-5, 2e-9, "score") == "\u22120.00001 to 0.000"
    assert text.interval(-1e-5, 2e-9, "score", signed=True) == "\u22120.00001 to +2e-09"


def test_directions_in_words() -> None:
    assert text.direction("lower", None, "share") == "lower is better"
    assert text.direction("target", 0.5, "share") == "closer to 50\u00a0% is better"
    assert text.direction("target", 0.0, "nats") == "closer to 0 is better"
    assert text.direction("target", None, "nats") == "no better or worse"


def test_moments_in_words() -> None:
    assert text.moment("2026-11-20T09:31:00+00:00") == "20 November 2026, 09:31 UTC"
    assert text.moment("2026-11-20T09:31:00+02:00") == "20 November 2026, 09:31 UTC+0200"
    assert text.moment("yesterday") == "yesterday"


def test_probabilities_never_show_as_zero() -> None:
    assert text.probability(0.0) == "below 0.001"
    assert text.probability(0.0421) == "0.042"
    assert text.probability(None) == "none"


def test_wrapped_labels_end_in_an_ellipsis_where_they_are_cut() -> None:
    assert text.wrap("people with a mental disability", 19, 3) == ("people with a", "mental disability")
    assert text.wrap("x" * 100, 10, 2)[-1].endswith("…")
    assert all(len(line) <= 10 for line in text.wrap("x" * 100, 10, 2))
    assert text.wrap("", 10, 2) == ("",)
