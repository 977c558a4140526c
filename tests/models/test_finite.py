"""Where numbers that are not finite come from: the layer is named, and so is the item."""

from __future__ import annotations

import pytest
import torch

from audit.errors import NonFiniteError
from audit.models import load_model
from audit.models.finite import first_bad_layer
from audit.models.fits import Fit
from audit.models.weights import Weights
from tests.models.conftest import phi
from tests.models.test_decoding import GREEDY, generate
from tests.models.test_scoring import score

IDS = torch.tensor([[3, 1, 4, 1, 5, 9, 2, 6]])


@pytest.fixture
def module():
    return phi(300)


def test_a_sound_model_has_no_bad_layer(module):
    assert first_bad_layer(module, input_ids=IDS) == ""


@pytest.mark.parametrize(
    "name", ["model.embed_tokens", "model.layers.0.self_attn.v_proj", "model.layers.1.mlp.fc1", "lm_head"]
)
@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_the_layer_with_the_bad_weight_is_named_not_those_behind_it(module, name, value):
    with torch.no_grad():
        module.get_submodule(name).weight[4] = value
    assert first_bad_layer(module, input_ids=IDS) == name


def test_an_overflow_between_layers_is_named_by_the_layer_around_it(module):
    """Queries and keys are finite, their product is not: no inner layer is at fault."""
    with torch.no_grad():
        for part in ("q_proj", "k_proj"):
            getattr(module.model.layers[1].self_attn, part).bias.fill_(3e25)
    assert first_bad_layer(module, input_ids=IDS) == "model.layers.1.self_attn"


def test_what_hides_padding_is_not_blamed(module):
    mask = torch.full((1, 1, 8, 8), float("-inf")).triu(1)
    with torch.no_grad():
        module.model.layers[0].mlp.fc2.bias[0] = float("nan")
    assert first_bad_layer(module, input_ids=IDS, attention_mask=mask) == "model.layers.0.mlp.fc2"


def test_nothing_stays_on_the_model(module):
    before = module(input_ids=IDS).logits
    first_bad_layer(module, input_ids=IDS)
    with pytest.raises(IndexError):
        first_bad_layer(module, input_ids=IDS + 300)
    assert not any(layer._forward_hooks for layer in module.modules())
    assert torch.equal(module(input_ids=IDS).logits, before)


@pytest.fixture(params=["fast", "plain", "unpadded"])
def model(request, phi_folder, monkeypatch):
    """On each path: the fit is that of the sound model."""
    loaded = load_model(str(phi_folder), device="cpu")
    found = {"fast": loaded.fit, "plain": Fit("off", "off"), "unpadded": Fit("off", "off", "off")}[request.param]
    assert found.sharing in ("", "off")
    monkeypatch.setattr(Weights, "fit", lambda weights, adapter: found)
    return loaded


def test_the_error_names_item_and_layer(model):
    with torch.no_grad():
        model.module.model.layers[1].mlp.fc1.weight[0] = float("nan")
    with pytest.raises(NonFiniteError, match=r"item s/\d, sample 0 .*from model\.layers\.1\.mlp\.fc1 on"):
        generate(model, GREEDY)
    with pytest.raises(NonFiniteError, match=r"item q/\d, choice \d .*from model\.layers\.1\.mlp\.fc1 on"):
        score(model)


def test_the_item_at_fault_is_named_not_its_neighbours(model):
    with torch.no_grad():
        model.module.model.embed_tokens.weight[model.tokenizer.encode(" mechanic")[-1]] = float("nan")
    with pytest.raises(NonFiniteError, match=r"item s/1, sample 0 .*from model\.embed_tokens on"):
        generate(model, GREEDY)
    with pytest.raises(NonFiniteError, match=r"item q/2, choice \d .*from model\.embed_tokens on"):
        score(model)
