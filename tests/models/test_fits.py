"""The self-test of a model for the fast paths: what is wrong is rejected, what is right is let through."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import torch
from transformers import AttentionInterface

from audit.models import prefix, tree
from audit.models.fits import Fit, fits
from audit.models.miniature import WINDOW, miniature
from tests.models.zoo import GAIN, LONGROPE, ROWS, build


@pytest.fixture
def hands_over() -> Any:
    """Have layers hand something else to both fast paths' attention than they do."""

    def change(**changes: Callable[[Any], Any]) -> None:
        for path in (prefix, tree):
            AttentionInterface.register(path.HOOK.name, partial(altered, path.HOOK.called, changes))

    def altered(attention: Any, changes: Any, module: Any, *tensors: Any, **given: Any) -> Any:
        return attention(module, *tensors, **(given | {name: turn(given.get(name)) for name, turn in changes.items()}))

    yield change
    for path in (prefix, tree):
        AttentionInterface.register(path.HOOK.name, path.HOOK.called)


def refused(fit: Fit) -> bool:
    """Whether the numbers of both fast paths, and of them alone, were found wrong."""
    return all("its numbers were off by" in reason for reason in (fit.sharing, fit.trees)) and not fit.padding


@pytest.mark.parametrize(
    ("kind", "feature"),
    [("gemma2", "softcap"), ("gpt-oss", "s_aux"), ("mistral", "sliding_window"), ("gemma3", "sliding_window")],
)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
def test_a_dropped_feature_of_attention_is_seen(hands_over, kind, feature, dtype):
    model = build(GAIN[kind]).to(dtype)
    assert fits(model, ROWS) == Fit()
    hands_over(**{feature: lambda given: None})
    assert refused(fits(model, ROWS))


def test_a_window_that_is_longer_than_the_probe_is_seen_in_the_small_model(hands_over):
    model = build(GAIN["mistral"], sliding_window=64)
    assert fits(model, ROWS) == Fit()
    hands_over(sliding_window=lambda given: None)
    assert refused(fits(model, ROWS))


@pytest.mark.parametrize("kind", ["phi", "llama", "gpt2"])
def test_two_percent_of_scale_are_seen_in_half_precision_too(hands_over, kind, monkeypatch):
    """Rounding to bfloat16 hides them: only the small float32 model shows them."""
    model = build(GAIN[kind]).to(torch.bfloat16)
    assert fits(model, ROWS) == Fit()
    hands_over(scaling=lambda given: 1.02 * given)
    assert refused(fits(model, ROWS))
    monkeypatch.setattr("audit.models.fits._probed_small", lambda *given: Fit())
    assert fits(model, ROWS) == Fit(), "the model itself shows them: the small one is not what this test tests"


@pytest.mark.parametrize("kind", ["phi", "gpt2", "opt"])
def test_positions_off_by_one_are_seen(monkeypatch, kind):
    right = prefix.Grid.positions
    monkeypatch.setattr(prefix.Grid, "positions", lambda grid: right(grid) + 1)
    assert "off by" in fits(build(GAIN[kind]), ROWS).sharing


def test_positions_of_another_row_are_seen(monkeypatch):
    right = prefix.Grid.positions
    monkeypatch.setattr(prefix.Grid, "positions", lambda grid: right(grid)[:1].expand_as(right(grid)))
    assert "off by" in fits(build(GAIN["llama"]), ROWS).sharing


def test_visible_padding_is_seen(monkeypatch):
    monkeypatch.setattr(prefix.Grid, "_bias", lambda *given: (None, None))
    assert "off by" in fits(build(GAIN["llama"]), ROWS).sharing


def test_visible_neighbours_in_a_tree_are_seen(monkeypatch):
    """As if every token before were an ancestor."""
    right = tree.Blocks.__init__

    def wrong(blocks: Any, *given: Any) -> None:
        right(blocks, *given)
        columns = blocks.keys.view(blocks.count, 1, -1)
        blocks._seen = columns <= torch.arange(blocks.count * blocks.size).view(blocks.count, -1, 1)

    monkeypatch.setattr(tree.Blocks, "__init__", wrong)
    fit = fits(build(GAIN["llama"]), ROWS)
    assert "off by" in fit.trees and not fit.sharing


def test_positions_in_a_tree_off_by_one_are_seen(monkeypatch):
    right = tree.Tree.of

    def wrong(rows: Any) -> Any:
        found = right(rows)
        found.depths[:] = [depth + 1 for depth in found.depths]
        return found

    monkeypatch.setattr(tree.Tree, "of", wrong)
    fit = fits(build(GAIN["gpt2"]), ROWS)
    assert "off by" in fit.trees and not fit.sharing


def test_a_model_is_left_as_it_was():
    model = build(GAIN["gemma2"])
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    way, random = model.config._attn_implementation, torch.random.get_rng_state()
    fits(model, ROWS)
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())
    assert model.config._attn_implementation == way
    assert torch.equal(torch.random.get_rng_state(), random)
    assert not any(layer._forward_hooks for layer in model.modules())


def test_a_model_that_is_not_finite_takes_no_fast_path_and_fails_by_name_later():
    model = build(GAIN["llama"])
    with torch.no_grad():
        model.model.layers[0].mlp.up_proj.weight[0] = float("nan")
    fit = fits(model, ROWS)
    assert "not finite" in fit.sharing and "not finite" in fit.trees and not fit.padding


@pytest.mark.parametrize("error", [torch.OutOfMemoryError("CUDA out of memory"), MemoryError()], ids=repr)
def test_memory_that_runs_out_is_not_taken_for_a_missing_feature(monkeypatch, error):
    def full(rows: Any) -> None:
        raise error

    monkeypatch.setattr(prefix.SharedRows, "begin", full)
    with pytest.raises(type(error)):
        fits(build(GAIN["llama"]), ROWS)


def test_a_context_shorter_than_the_probe_is_refused():
    assert "context is shorter" in fits(build(GAIN["gpt2"], n_positions=12), ROWS).sharing


def test_where_frequencies_change_with_length_it_says_from_where_on():
    assert fits(build(LONGROPE), ROWS) == Fit(longest=24)


@pytest.mark.parametrize("name", GAIN)
def test_the_small_model_has_the_features_of_the_large_one(name):
    large = build(GAIN[name])
    small = miniature(large.to(torch.bfloat16))
    assert type(small) is type(large) and small.dtype == torch.float32 and not small.training
    was, now = large.config, small.config
    for feature in (
        "attn_logit_softcapping", "final_logit_softcapping", "logit_scale", "logits_scaling", "attention_multiplier",
        "hidden_act", "rope_parameters", "tie_word_embeddings", "_attn_implementation",
    ):  # fmt: skip
        assert getattr(now, feature, None) == getattr(was, feature, None)
    assert set(getattr(now, "layer_types", None) or ()) == set(getattr(was, "layer_types", None) or ())
    if getattr(was, "sliding_window", None) is not None:
        assert now.sliding_window == WINDOW
    shared = getattr(was, "num_key_value_heads", None) or was.num_attention_heads
    assert (shared < was.num_attention_heads) == (
        (getattr(now, "num_key_value_heads", None) or now.num_attention_heads) < now.num_attention_heads
    )
    with torch.no_grad():
        logits = small(input_ids=torch.arange(12)[None]).logits
    assert torch.isfinite(logits).all() and logits.std() > 0.1


def test_a_small_model_of_phi_2s_shape_is_built_at_no_cost():
    """From a configuration alone: 2.7 billion parameters are not made for it."""
    from transformers import PhiConfig, PhiForCausalLM

    with torch.device("meta"):
        large = PhiForCausalLM(
            PhiConfig(vocab_size=51_200, hidden_size=2560, intermediate_size=10_240, num_hidden_layers=32,
                      num_attention_heads=32, partial_rotary_factor=0.4)
        )  # fmt: skip
    small = miniature(large)
    assert sum(parameter.numel() for parameter in small.parameters()) < 1e6
    assert small.config.num_hidden_layers == 2
    assert small.config.rope_parameters == large.config.rope_parameters
