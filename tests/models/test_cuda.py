"""The same numbers on a GPU: noise, samples, likelihoods."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from audit.models import load_model
from audit.models.sampling import draw, gumbel_noise, sample_keys
from probes.suite import Decoding
from tests.models.test_decoding import GREEDY, ITEMS, SAMPLED, generate
from tests.models.test_scoring import score

pytestmark = pytest.mark.cuda


@pytest.fixture(scope="module", autouse=True)
def device() -> None:
    if not torch.cuda.is_available():
        pytest.fail("the cuda tests need a CUDA device; leave them out with -m 'not cuda'")


def test_noise_is_the_same_on_both_devices():
    tokens = torch.arange(51_200)
    keys = sample_keys(3, [(f"item {n}", n % 25) for n in range(64)])
    for step in (0, 7, 31):
        cpu = gumbel_noise(keys, step, tokens)
        gpu = gumbel_noise(keys.cuda(), step, tokens.cuda()).cpu()
        # Equal integers; the two logarithms may differ in the last place.
        np.testing.assert_allclose(gpu.numpy(), cpu.numpy(), rtol=1e-5, atol=2e-6)


@pytest.mark.parametrize("decoding", [Decoding(), Decoding(top_p=0.9), Decoding(top_k=40, temperature=0.7)], ids=str)
def test_the_same_logits_give_the_same_tokens(decoding):
    logits = torch.randn(512, 51_200, generator=torch.Generator().manual_seed(0)) * 3
    keys = sample_keys(0, [("item", k) for k in range(512)])
    cpu = draw(logits, decoding, keys, 5)
    gpu = draw(logits.cuda(), decoding, keys.cuda(), 5).cpu()
    # A token right at the nucleus' edge may fall either way by rounding.
    assert (cpu == gpu).float().mean() > 0.995


def test_answers_and_likelihoods_of_float32_are_the_cpus(phi_folder):
    cpu, gpu = (load_model(str(phi_folder), dtype="float32", device=where) for where in ("cpu", "cuda"))
    for decoding in (GREEDY, SAMPLED):
        assert generate(gpu, decoding, samples=4) == generate(cpu, decoding, samples=4)
    here, there = score(cpu), score(gpu)
    for key, one in here.items():
        assert there[key].logprob == pytest.approx(one.logprob, rel=1e-4, abs=1e-5)


def test_auto_is_bfloat16_and_stays_finite(phi_folder):
    model = load_model(str(phi_folder))
    assert (model.weights.dtype, model.weights.device.type) == ("bfloat16", "cuda")
    assert len(generate(model, SAMPLED, samples=2)) == 2 * len(ITEMS)
    exact = score(load_model(str(phi_folder), dtype="float32", device="cpu"))
    for key, one in score(model).items():
        assert one.logprob == pytest.approx(exact[key].logprob, rel=0.05, abs=0.2)
