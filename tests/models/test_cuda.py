"""The same numbers on a GPU: noise, samples, likelihoods."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from audit.models import load_model
from audit.models.graphs import FixedStep, Graphs
from audit.models.prefix import attend
from audit.models.sampling import draw, draw_fixed, gumbel_noise, sample_keys
from probes.suite import Decoding
from tests.models.conftest import phi
from tests.models.test_decoding import GREEDY, ITEMS, SAMPLED, generate
from tests.models.test_prefix import drawn
from tests.models.test_prefix import generate as prefixes
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


@pytest.mark.parametrize("decoding", [Decoding(24, temperature=0), Decoding(24, top_p=0.9), Decoding(24)], ids=str)
def test_recorded_steps_draw_the_cpus_tokens(decoding):
    """Several shapes, rows that end early, grids that shrink, a second batch in the buffers of the first."""
    here, there = phi(320), phi(320).cuda()
    graphs = Graphs(capture=True)
    for seed in range(3):
        prompts, counts = drawn(seed)
        ends = range(0, 300, 17)
        expected = prefixes(here, prompts, counts, decoding, seed=seed, ends=ends)
        assert prefixes(there, prompts, counts, decoding, "shared", seed=seed, ends=ends) == expected
        assert prefixes(there, prompts, counts, decoding, "fixed", seed=seed, ends=ends, graphs=graphs) == expected
    assert len(graphs) and graphs.capture, graphs.failure


@pytest.mark.parametrize("half", [False, True], ids=["float32", "bfloat16"])
@pytest.mark.parametrize("decoding", [Decoding(), Decoding(top_p=0.9, temperature=0.7)], ids=str)
def test_the_kernel_draws_what_torchs_operations_draw(decoding, half):
    """On real logits' spread and on nearly flat ones, whose nucleus holds most of the vocabulary."""
    from audit.models import fused

    keys = sample_keys(0, [("item", k) for k in range(512)])
    for spread in (0.1, 3.0):
        logits = torch.randn(512, 51_200, generator=torch.Generator().manual_seed(0)) * spread
        logits = logits.to("cuda", torch.bfloat16 if half else torch.float32)
        logits[:, 50_295:] = float("-inf")
        for at in (0, 7):
            step = torch.tensor(at, device="cuda")
            expected = draw_fixed(logits, decoding, keys.cuda(), step)
            found = fused.draw(logits, decoding, keys.cuda(), step, 50_295)
            # A token right at the nucleus' edge may fall either way by rounding.
            assert (found == expected).float().mean() > 0.995
        assert not fused.trial(logits, decoding, keys.cuda(), 50_295)


@pytest.mark.parametrize("decoding", [Decoding(24, top_p=0.9), Decoding(24)], ids=str)
def test_the_kernel_is_part_of_the_recorded_step(decoding):
    module, graphs = phi(320).cuda(), Graphs(capture=True)
    prefixes(module, *drawn(0), decoding, "fixed", graphs=graphs)
    assert graphs.kernel is not None and graphs.capture, graphs.failure


def test_a_step_that_asks_the_host_is_not_recorded(monkeypatch):
    """And leaves torch's allocator, streams and later recordings as they were."""
    module, right = phi(320).cuda(), FixedStep._fed
    before = torch.cuda.current_stream()

    def fed(self):
        logits = right(self)
        float(logits.sum())
        return logits

    expected = prefixes(module, *drawn(0), Decoding(24), "shared")
    monkeypatch.setattr(FixedStep, "_fed", fed)
    graphs = Graphs(capture=True)
    with pytest.warns(UserWarning, match="asks the host"):
        assert prefixes(module, *drawn(0), Decoding(24), "fixed", graphs=graphs) == expected
    assert torch.cuda.current_stream() == before
    torch.cuda.empty_cache()
    monkeypatch.undo()
    graphs = Graphs(capture=True)
    assert prefixes(module, *drawn(0), Decoding(24), "fixed", graphs=graphs) == expected
    assert graphs.capture, graphs.failure


def test_graphs_that_are_given_up_harm_no_other():
    """More shapes than graphs are kept and than there are streams to record on."""
    here, there = phi(320), phi(320).cuda()
    graphs = Graphs(capture=True)
    for seed in range(12):
        prompts, counts = drawn(seed)
        prompts = [ids * (1 + seed % 3) for ids in prompts]
        expected = prefixes(here, prompts, counts, Decoding(9), seed=seed)
        assert prefixes(there, prompts, counts, Decoding(9), "fixed", seed=seed, graphs=graphs) == expected
    assert graphs.capture, graphs.failure


def test_attention_in_two_parts_equals_float64():
    generator = torch.Generator().manual_seed(1)
    query = torch.randn(12, 8, 32, generator=generator)
    prompt = tuple(torch.randn(3, 4, 50, 32, generator=generator) for _ in range(2))
    tail = tuple(torch.randn(12, 4, 9, 32, generator=generator) for _ in range(2))
    exact = attend(
        query.double(), *(tuple(part.double() for part in pair) for pair in (prompt, tail)), (None, None), 0.2
    )
    for dtype, error in ((torch.float32, 1e-5), (torch.bfloat16, 3e-2)):
        given = (tuple(part.to("cuda", dtype) for part in pair) for pair in (prompt, tail))
        found = attend(query.to("cuda", dtype), *given, (None, None), 0.2)
        assert (found.cpu().double() - exact).abs().max() <= error * exact.abs().max()


def test_auto_is_bfloat16_and_stays_finite(phi_folder):
    model = load_model(str(phi_folder))
    assert (model.weights.dtype, model.weights.device.type) == ("bfloat16", "cuda")
    assert len(generate(model, SAMPLED, samples=2)) == 2 * len(ITEMS)
    exact = score(load_model(str(phi_folder), dtype="float32", device="cpu"))
    for key, one in score(model).items():
        assert one.logprob == pytest.approx(exact[key].logprob, rel=0.05, abs=0.2)
