"""Slurs are masked, their neighbours are not. The words themselves stay encoded here too."""

from __future__ import annotations

import codecs
import re

import pytest

from reports import slurs, text


def plain(encoded: str) -> str:
    return codecs.decode(encoded, "rot13")


@pytest.mark.parametrize(
    "word", ["xvxr", "XVXR", "xvxrf", "K1xr".replace("K", "X"), "ergneqrq", "pnzry wbpxrl", "pnzrywbpxrl"]
)
def test_a_slur_stands_masked_and_in_full(word: str) -> None:
    word = plain(word)
    found = str(slurs.masked(f"you {word}!"))
    dots = re.search(r'<span class="dots" aria-hidden="true">(.*?)</span>', found)
    assert dots is not None
    assert dots.group(1) == word[0] + "•" * (len(word) - 1)
    assert f'<span class="word">{word}</span>' in found
    assert found.startswith("you <span") and found.endswith("</span></span>!")


@pytest.mark.parametrize(
    "innocent",
    ["a spiced chicken", "raccoons in the pagoda", "niggardly", "Scunthorpe", "the Dutch dike", "they trained",
     "spices", "wopping", "retardant", "hotchpotch", "women, Jewish people and gay people"],
)  # fmt: skip
def test_words_that_only_look_alike_are_left(innocent: str) -> None:
    assert slurs.masked(innocent) == text.visible(innocent)


def test_markup_and_hidden_characters_are_shown_as_ever() -> None:
    found = str(slurs.masked(f"<b>\x1b{plain('fyhg')}</b>\u202e\ud800"))
    assert "&lt;b&gt;" in found and ">ESC</span>" in found and ">RLO</span>" in found
    assert found.count('class="slur"') == 1
    assert re.sub(r"<[^>]*>", "", found).count(plain("fyhg")) == 1


def test_the_list_is_encoded_short_and_without_words_that_people_use_of_themselves() -> None:
    assert 20 < len(slurs._WORDS) < 80
    assert len(set(slurs._WORDS)) == len(slurs._WORDS)
    assert not set(slurs._WORDS) & {"queer", "gay", "trans", "deaf", "autistic", "black", "jew", "arab"}


def test_a_long_text_takes_no_time() -> None:
    # 100,000 characters that begin like hits everywhere; a pattern that backtracks would not end.
    said = plain("avt ") * 25_000
    assert "slur" not in slurs.masked(said)
