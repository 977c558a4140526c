"""Hidden states and output layer apart give the whole model's logits, or are not used."""

from __future__ import annotations

import gc

import pytest
import torch
from transformers import PhiForCausalLM

from audit.models import head
from audit.models.head import Head
from tests.models.conftest import phi
from tests.models.zoo import GAIN, build

IDS = torch.tensor([[5, 6, 7, 8, 9], [9, 9, 3, 2, 1]])


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=["float32", "bfloat16"])
@pytest.mark.parametrize(
    ("name", "changes"),
    [
        ("phi", {}),
        ("llama", {"tie_word_embeddings": True}),
        ("opt", {"word_embed_proj_dim": 16}),
        ("gpt-neox", {}),
        ("cohere", {"logit_scale": 0.0625}),
        ("granite", {"logits_scaling": 8.0}),
        ("gemma2", {"final_logit_softcapping": 0.5}),
        ("gemma3", {"final_logit_softcapping": 0.5}),
    ],
)
def test_the_halves_give_the_whole(name, changes, dtype):
    model = build(GAIN[name], **changes).to(dtype)
    halves = Head.of(model)
    assert halves is not None
    with torch.inference_mode():
        whole = model(input_ids=IDS).logits
        hidden = halves.hidden(input_ids=IDS, use_cache=False).last_hidden_state
        assert torch.equal(halves.logits(hidden.flatten(0, 1)).view_as(whole), whole)
        assert halves.hidden(input_ids=IDS, use_cache=True).past_key_values is not None


class _Louder(PhiForCausalLM):
    """Does something to its logits that no configuration tells."""

    def forward(self, *given, **named):
        output = super().forward(*given, **named)
        output.logits = output.logits * 1.05
        return output


class _Whole(PhiForCausalLM):
    """Has no inner model of its own."""

    base_model_prefix = "missing"


@pytest.mark.parametrize("kind", [_Louder, _Whole])
def test_a_model_whose_halves_give_something_else_has_no_head(kind):
    whole = phi(50)
    other = kind(whole.config).eval()
    other.load_state_dict(whole.state_dict())
    assert Head.of(other) is None and Head.of(whole) is not None


def test_numbers_that_are_not_finite_prove_nothing():
    model = phi(50)
    with torch.no_grad():
        model.lm_head.bias[3] = float("nan")
    assert Head.of(model) is None


def test_a_model_is_tried_once_and_not_kept_alive():
    model = phi(50)
    passes = []
    model.register_forward_hook(lambda *given: passes.append(1))
    assert Head.of(model) and Head.of(model)
    assert len(passes) == 1
    known = len(head._PROBED)
    del model
    gc.collect()
    assert len(head._PROBED) < known


def test_an_output_layer_that_is_replaced_later_is_used():
    """Adapters and packed layers come after the model was tried."""
    model = phi(50)
    halves = Head.of(model)
    hidden = torch.randn(3, 64)
    with torch.inference_mode():
        before = halves.logits(hidden)
        model.lm_head = torch.nn.Linear(64, 50)
        assert not torch.equal(halves.logits(hidden), before)
