"""Perplexity and bits per byte."""

from __future__ import annotations

import math

import numpy as np
import pytest

from audit.errors import UsageError
from audit.metrics import perplexity


def test_a_uniform_model_has_the_perplexity_of_its_vocabulary():
    tokens = np.array([5.0, 50.0, 500.0])
    found = perplexity.perplexity(-tokens * math.log(1000), tokens)
    assert found.value == pytest.approx(1000)
    bits = perplexity.bits_per_byte(-tokens * math.log(256), tokens)
    assert bits.value == pytest.approx(8)


def test_they_are_ratios_of_sums_not_means_of_ratios():
    logprobs, tokens = np.array([-10.0, -300.0]), np.array([10.0, 100.0])
    assert perplexity.perplexity(logprobs, tokens).value == pytest.approx(math.exp(310 / 110))


def test_bits_per_byte_do_not_see_the_tokenizer():
    logprobs, sizes = np.array([-40.0, -60.0]), np.array([30.0, 50.0])
    assert perplexity.bits_per_byte(logprobs, sizes).value == pytest.approx(100 / math.log(2) / 80)


def test_missing_passages_and_shapes():
    found = perplexity.perplexity(np.array([-10.0, np.nan, -np.inf]), np.array([5.0, 5.0, 5.0]))
    assert (found.value, found.missing) == (pytest.approx(math.exp(2)), 2)
    with pytest.raises(UsageError, match="one size a passage"):
        perplexity.perplexity(np.zeros(2), np.zeros(3))


def test_units_read_tokens_and_utf8_bytes(scored):
    answers = [scored("a", [-8.0], choices=["né"], tokens=2), scored("b", [None], choices=["x"])]
    assert perplexity.perplexity_units(answers).value() == pytest.approx(math.exp(4))
    assert perplexity.bits_units(answers).value() == pytest.approx(8 / math.log(2) / 3)
    assert perplexity.bits_units(answers).missing == 1


def test_zero_scored_tokens_have_no_perplexity(scored):
    assert perplexity.perplexity_units([scored("a", [0.0], choices=["x"], tokens=0)]).value() is None
