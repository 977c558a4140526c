"""Packed linear layers compute what plain ones do, and are ordinary linear layers to everything else."""

from __future__ import annotations

import copy
import io

import pytest
import torch
from peft import LoraConfig, get_peft_model
from torch import nn

from audit.models import packed
from audit.models.packed import PackedLinear, pack_linears
from tests.models.conftest import phi
from tests.models.zoo import GAIN, build

IDS = torch.tensor([[5, 6, 7, 8, 9], [9, 9, 3, 2, 1]])


@pytest.fixture
def used(monkeypatch):
    """Counts the products made with a packed weight: a layer that falls back gives the same numbers."""
    calls = []
    product = packed._product
    monkeypatch.setattr(packed, "_product", lambda *given: calls.append(1) or product(*given))
    return calls


def layers(model: nn.Module) -> int:
    return sum(isinstance(layer, PackedLinear) for layer in model.modules())


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("shape", [(1,), (7,), (300,), (2, 5), (1, 33), (2, 3, 4)])
def test_a_product_is_that_of_a_plain_layer(shape, bias, used):
    torch.manual_seed(0)
    plain = nn.Linear(72, 130, bias=bias)
    given = torch.randn(*shape, 72)
    with torch.inference_mode():
        found = PackedLinear(plain)(given)
    weight, offset = plain.weight.detach().double(), plain.bias.detach().double() if bias else 0
    expected = given.double() @ weight.T + offset
    assert used and found.shape == (*shape, 130)
    torch.testing.assert_close(found.double(), expected, rtol=1e-5, atol=1e-5 * float(expected.abs().max()))


def test_an_input_that_does_not_lie_in_order_is_read_right(used):
    plain = nn.Linear(24, 16)
    given = torch.randn(24, 6, 3).transpose(0, 2)[:, ::2]
    with torch.inference_mode():
        torch.testing.assert_close(PackedLinear(plain)(given), plain(given), rtol=1e-5, atol=1e-6)
    assert used


@pytest.mark.parametrize("tied", [True, False])
def test_a_models_logits_stay_and_its_weights_are_its_own(tied, used):
    model = build(GAIN["llama"], tie_word_embeddings=tied)
    with torch.inference_mode():
        before = model(input_ids=IDS).logits
        state = {name: tensor.data_ptr() for name, tensor in model.state_dict().items()}
        weights = [layer.weight for layer in model.modules() if type(layer) is nn.Linear]
        taken = pack_linears(model)
        used.clear()  # of the trial product
        after = model(input_ids=IDS).logits
    assert taken == sum(weight.numel() * 4 for weight in weights) and layers(model) == len(weights) == len(used)
    assert {name: tensor.data_ptr() for name, tensor in model.state_dict().items()} == state
    assert (model.lm_head.weight is model.model.embed_tokens.weight) is tied
    assert (after - before).abs().max() <= 1e-5 * before.abs().max()
    assert pack_linears(model) == 0, "a second call finds nothing left to do"


def test_a_changed_weight_is_packed_anew(used):
    plain = nn.Linear(24, 16)
    layer, given = PackedLinear(plain), torch.randn(5, 24)
    with torch.no_grad():
        before = layer(given)
        layer.weight[3, 4] += 100.0
        torch.testing.assert_close(layer(given), plain(given), rtol=1e-5, atol=1e-4)
        assert not torch.allclose(layer(given)[:, 3], before[:, 3])
        layer.weight = nn.Parameter(torch.randn(16, 24))
        torch.testing.assert_close(layer(given), nn.functional.linear(given, layer.weight, layer.bias))
        layer.weight.data = torch.randn(16, 24)
        torch.testing.assert_close(layer(given), nn.functional.linear(given, layer.weight, layer.bias))
    assert len(used) == 5


def test_where_gradients_are_wanted_the_layer_is_a_plain_one(used):
    layer = PackedLinear(nn.Linear(24, 16))
    given = torch.randn(5, 24, requires_grad=True)
    layer(given).square().sum().backward()
    assert not used and layer.weight.grad is not None and given.grad is not None
    with torch.no_grad():
        layer.to(torch.float64)(given.double())
        layer.to(torch.bfloat16)(given.bfloat16())
    assert not used, "other precisions go the plain way"


@pytest.mark.parametrize("first", ["pack", "adapt"])
def test_adapters_work_on_top_whichever_comes_first(first, used):
    torch.manual_seed(0)
    plain = phi(50)
    model = copy.deepcopy(plain)
    settings = LoraConfig(r=4, target_modules=["q_proj", "v_proj", "lm_head"], init_lora_weights=False)
    if first == "pack":
        pack_linears(model)
    adapted = get_peft_model(model, settings).eval()
    if first == "adapt":
        pack_linears(model)
    reference = get_peft_model(plain, settings).eval()
    reference.load_state_dict(adapted.state_dict())
    with torch.inference_mode():
        torch.testing.assert_close(adapted(input_ids=IDS).logits, reference(input_ids=IDS).logits, rtol=1e-5, atol=2e-5)
        with adapted.disable_adapter(), reference.disable_adapter():
            base = adapted(input_ids=IDS).logits
            torch.testing.assert_close(base, reference(input_ids=IDS).logits, rtol=1e-5, atol=2e-5)
    assert used and (adapted(input_ids=IDS).logits - base).abs().max() > 0.01


def test_copies_and_saved_files_are_those_of_a_plain_model(tmp_path, used):
    model = phi(50)
    before = model.state_dict()
    pack_linears(model)
    with torch.inference_mode():
        expected = model(input_ids=IDS).logits
        model.save_pretrained(tmp_path)
        again = type(model).from_pretrained(tmp_path).eval()
        assert layers(again) == 0 and again.state_dict().keys() == before.keys()
        copied = copy.deepcopy(model)
        assert layers(copied) == layers(model) and copied.lm_head.weight is not model.lm_head.weight
        memory = io.BytesIO()
        torch.save(model, memory)
        memory.seek(0)
        for other in (again, copied, torch.load(memory, weights_only=False)):
            torch.testing.assert_close(other(input_ids=IDS).logits, expected, rtol=1e-5, atol=2e-5)


def test_layers_that_are_not_plain_float32_ones_are_left_alone():
    assert pack_linears(build(GAIN["gpt2"])) == 300 * 32 * 4, "only the output layer; the others are Conv1D"
    assert pack_linears(phi(50).to(torch.bfloat16)) == 0

    class Own(nn.Linear):
        """Another library's layer, quantised for example."""

    hooked = nn.Linear(4, 4)
    hooked.register_forward_hook(lambda *given: None)
    model = nn.ModuleDict({"own": Own(4, 4), "hooked": hooked})
    assert pack_linears(model) == 0 and model["hooked"] is hooked


@pytest.mark.parametrize("broken", ["missing", "wrong"])
def test_without_torchs_private_operators_nothing_is_replaced(broken, monkeypatch):
    def missing(*given):
        raise AttributeError("no such operator")

    product = packed._product
    monkeypatch.setattr(packed, "_product", missing if broken == "missing" else lambda *given: product(*given) + 1)
    model = phi(50)
    assert pack_linears(model) == 0 and layers(model) == 0
