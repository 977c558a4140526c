"""Keyed Gumbel noise: right distribution, nothing but its key, the filters of transformers."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy import stats
from transformers.generation.logits_process import TemperatureLogitsWarper, TopKLogitsWarper, TopPLogitsWarper

from audit.models.sampling import draw, draw_fixed, filtered, gumbel_noise, sample_keys
from probes.suite import Decoding

M = 0xFFFFFFFF


def mix(x: int) -> int:
    x ^= x >> 16
    x = x * 0x7FEB352D & M
    x ^= x >> 15
    x = x * 0x846CA68B & M
    return x ^ (x >> 16)


def noise_by_hand(key: tuple[int, int], step: int, token: int) -> float:
    """The same definition over Python's unbounded integers, written out for one number."""
    one, two = (word & M for word in key)
    first = mix(mix(one + step * 0x9E3779B9 & M) ^ two)
    second = mix(first + two & M)
    bits = mix(mix((token * 0x85EBCA6B & M) + first & M) ^ second)
    return -math.log(-math.log1p(-min((bits + 0.5) / 2**32, 1 - 2.0**-24)))


def test_noise_equals_the_definition_over_plain_integers():
    keys = sample_keys(7, [("suite/item", 3), ("suite/other", 0)])
    tokens = torch.tensor([0, 1, 17, 50_000, 151_000])
    for step in (0, 1, 23):
        found = gumbel_noise(keys, step, tokens)
        for row, key in enumerate(keys.tolist()):
            expected = [noise_by_hand(tuple(key), step, token) for token in tokens.tolist()]
            np.testing.assert_allclose(found[row].numpy(), expected, rtol=2e-6, atol=2e-6)


def test_noise_is_standard_gumbel_and_uncorrelated_over_steps_tokens_and_samples():
    keys = sample_keys(0, [("item", k) for k in range(200)])
    block = torch.stack([gumbel_noise(keys, step, torch.arange(500)) for step in range(4)]).double().numpy()
    assert stats.kstest(block.ravel()[::7], "gumbel_r").pvalue > 0.001
    centred = block - block.mean()
    scale = block.var()
    for left, right in (
        (centred[:-1], centred[1:]),  # next step
        (centred[..., :-1], centred[..., 1:]),  # next token
        (centred[:, :-1], centred[:, 1:]),  # next sample
    ):
        correlation = (left * right).mean() / scale
        assert abs(correlation) < 5 / math.sqrt(left.size)


def test_keys_differ_by_seed_item_and_sample_and_by_nothing_else():
    keys = {tuple(key) for key in sample_keys(0, [(f"i{n}", k) for n in range(50) for k in range(20)]).tolist()}
    assert len(keys) == 1000
    assert sample_keys(1, [("a", 0)]).tolist() != sample_keys(0, [("a", 0)]).tolist()
    assert sample_keys(0, [("a", 0), ("b", 1)])[1].tolist() == sample_keys(0, [("b", 1)])[0].tolist()


@pytest.mark.parametrize(
    "decoding",
    [
        Decoding(),
        Decoding(temperature=0.7),
        Decoding(top_k=4),
        Decoding(top_p=0.8),
        Decoding(temperature=1.5, top_k=6, top_p=0.9),
    ],
    ids=str,
)
def test_samples_follow_the_filtered_softmax(decoding):
    generator = torch.Generator().manual_seed(3)
    logits = torch.randn(9, generator=generator) * 2
    n = 40_000
    keys = sample_keys(11, [("prompt", k) for k in range(n)])
    drawn = draw(logits.expand(n, 9), decoding, keys, step=2)
    counts = np.bincount(drawn.numpy(), minlength=9)
    expected = reference_probabilities(logits, decoding) * n
    assert counts[expected == 0].sum() == 0
    kept = expected > 0
    assert stats.chisquare(counts[kept], expected[kept] * (n / expected[kept].sum())).pvalue > 0.001


def reference_probabilities(logits: torch.Tensor, decoding: Decoding) -> np.ndarray:
    scores = (
        TemperatureLogitsWarper(decoding.temperature)(None, logits[None]) if decoding.temperature != 1 else logits[None]
    )
    if decoding.top_k:
        scores = TopKLogitsWarper(decoding.top_k)(None, scores)
    if decoding.top_p < 1:
        scores = TopPLogitsWarper(decoding.top_p)(None, scores)
    return torch.softmax(scores.double(), -1)[0].numpy()


@pytest.mark.parametrize("top_k", [0, 5, 50])
@pytest.mark.parametrize("top_p", [0.05, 0.5, 0.9, 0.999, 1.0])
@pytest.mark.parametrize("temperature", [0.3, 1.0, 3.0])
def test_filters_keep_the_tokens_that_transformers_keeps(top_k, top_p, temperature):
    generator = torch.Generator().manual_seed(int(top_k * 100 + top_p * 10 + temperature))
    # 3,000 tokens: more than the head that is looked at first, so that the full sort is reached at high temperatures.
    logits = torch.randn(6, 3000, generator=generator) * 2
    decoding = Decoding(temperature=temperature, top_k=top_k, top_p=top_p)
    logprobs, ids = filtered(logits, decoding)
    ours = torch.zeros_like(logits).scatter_add(1, ids, logprobs.exp())  # narrower rows are filled up with -inf
    for row in range(6):
        theirs = torch.tensor(reference_probabilities(logits[row], decoding))
        # A token right at the nucleus' edge may fall either way by rounding; its mass is tiny.
        assert int(((ours[row] > 0) != (theirs > 0)).sum()) <= 1
        np.testing.assert_allclose(ours[row].numpy(), theirs.numpy(), atol=2e-3, rtol=2e-3)


def test_forbidden_tokens_are_never_drawn_and_temperature_zero_is_greedy():
    logits = torch.tensor([[0.0, float("-inf"), 5.0, 1.0]])
    keys = sample_keys(0, [("i", 0)])
    for step in range(300):
        assert draw(logits, Decoding(temperature=5.0), keys, step).item() != 1
    assert draw(logits, Decoding(temperature=0), keys, 0).item() == 2


def test_shared_noise_couples_two_near_distributions():
    """Two models that nearly agree mostly draw the same token; with independent noise they would not."""
    generator = torch.Generator().manual_seed(1)
    base = torch.randn(4000, 50, generator=generator)
    tuned = base + 0.05 * torch.randn(4000, 50, generator=generator)
    keys = sample_keys(0, [("i", k) for k in range(4000)])
    other = sample_keys(1, [("i", k) for k in range(4000)])
    same = (draw(base, Decoding(), keys, 0) == draw(tuned, Decoding(), keys, 0)).float().mean()
    independent = (draw(base, Decoding(), keys, 0) == draw(tuned, Decoding(), other, 0)).float().mean()
    assert same > 0.9 > 0.3 > independent


@pytest.mark.parametrize(
    "decoding",
    [Decoding(), Decoding(temperature=0), Decoding(top_k=9), Decoding(top_p=0.9), Decoding(top_k=50, top_p=0.8)],
    ids=str,
)
def test_the_fixed_draw_is_the_draw(decoding):
    generator = torch.Generator().manual_seed(5)
    logits = torch.randn(40, 6000, generator=generator)
    logits[:, 5900:] = float("-inf")
    keys = sample_keys(2, [("i", k) for k in range(40)])
    for sharpness in (0.5, 4.0):
        found = draw_fixed(logits * sharpness, decoding, keys, torch.tensor(3))
        assert torch.equal(found, draw(logits * sharpness, decoding, keys, 3))


def test_rows_with_narrow_and_wide_nuclei_stand_side_by_side():
    """Each row is filtered as if it stood alone, whichever tier its nucleus is found in."""
    generator = torch.Generator().manual_seed(6)
    logits = torch.randn(6, 5000, generator=generator) * torch.tensor([8.0, 0.1, 3.0, 0.5, 8.0, 2.0])[:, None]
    decoding = Decoding(top_p=0.9)
    logprobs, ids = filtered(logits, decoding)
    kept = []
    for row in range(6):
        alone, tokens = filtered(logits[row : row + 1], decoding)
        mine = logprobs[row] > -math.inf
        kept.append(int(mine.sum()))
        assert sorted(ids[row][mine].tolist()) == sorted(tokens[0][alone[0] > -math.inf].tolist())
        torch.testing.assert_close(logprobs[row][mine].sort().values, alone[0][alone[0] > -math.inf].sort().values)
    assert min(kept) < 128 < sorted(kept)[-2] and max(kept) > 2048
