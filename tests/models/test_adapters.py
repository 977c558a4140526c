"""LoRA adapters: what fits is taken, what does not is refused before it touches the model."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch
from peft import LoraConfig, get_peft_model
from safetensors.torch import load_file, save_file
from transformers import PhiForCausalLM

from audit.errors import AdapterError
from audit.models import Model, load_model
from tests.models.conftest import phi, save, tokenizer


def make_adapter(base: Path, folder: Path, scale: float = 0.3) -> Path:
    """A LoRA adapter with random matrices, so that it changes what the base says."""
    torch.manual_seed(1)
    module = PhiForCausalLM.from_pretrained(base)
    adapted = get_peft_model(module, LoraConfig(r=4, target_modules=["q_proj", "v_proj"], task_type="CAUSAL_LM"))
    with torch.no_grad():
        for name, parameter in adapted.named_parameters():
            if "lora_" in name:
                parameter.copy_(torch.randn_like(parameter) * scale)
    adapted.save_pretrained(folder)
    return folder


@pytest.fixture
def adapter(phi_folder, tmp_path) -> Path:
    return make_adapter(phi_folder, tmp_path / "adapter")


def test_an_adapter_of_the_base_is_taken(phi_folder, adapter):
    model = load_model(str(phi_folder), adapter=adapter, device="cpu")
    record = model.describe()
    assert record["adapter"] == str(adapter)
    assert set(record["adapter_files"]) == {"adapter_model.safetensors", "adapter_config.json"}


def refused(phi_folder: Path, adapter: Path, match: str) -> None:
    weights = load_model(str(phi_folder), device="cpu").weights
    state = {name: tensor.clone() for name, tensor in weights.module.state_dict().items()}
    with pytest.raises(AdapterError, match=match):
        Model(weights, adapter)
    assert all(torch.equal(tensor, state[name]) for name, tensor in weights.module.state_dict().items())


def test_a_folder_without_config_is_no_adapter(phi_folder, tmp_path):
    refused(phi_folder, tmp_path, "adapter_config.json")


def test_a_config_that_is_not_json(phi_folder, adapter):
    (adapter / "adapter_config.json").write_text("{ not json")
    refused(phi_folder, adapter, "cannot be read")


def test_pickled_weights_are_not_loaded(phi_folder, adapter):
    (adapter / "adapter_model.safetensors").rename(adapter / "adapter_model.bin")
    refused(phi_folder, adapter, "never pickles")


def test_weights_cut_short(phi_folder, adapter):
    file = adapter / "adapter_model.safetensors"
    file.write_bytes(file.read_bytes()[:-100])
    refused(phi_folder, adapter, "cut short or damaged")


def test_weights_that_are_not_finite(phi_folder, adapter):
    tensors = load_file(adapter / "adapter_model.safetensors")
    next(iter(tensors.values()))[0, 0] = float("nan")
    save_file(tensors, adapter / "adapter_model.safetensors", metadata={"format": "pt"})
    refused(phi_folder, adapter, "NaN or infinity")


def test_an_adapter_of_a_wider_base(phi_folder, tmp_path):
    words = tokenizer()
    wide = save(tmp_path / "wide", phi(len(words), num_key_value_heads=2), words)
    refused(phi_folder, make_adapter(wide, tmp_path / "adapter"), "made for another base")


def test_an_adapter_that_records_another_bases_weights(phi_folder, adapter):
    (adapter / "slm_audit.json").write_text(json.dumps({"base_fingerprint": "0" * 64}))
    refused(phi_folder, adapter, "trained on another base")


def test_an_adapter_of_another_hub_id(phi_folder, adapter, monkeypatch):
    config = json.loads((adapter / "adapter_config.json").read_text())
    config["base_model_name_or_path"] = "somebody/other-model"
    (adapter / "adapter_config.json").write_text(json.dumps(config))
    model = load_model(str(phi_folder), device="cpu")
    object.__setattr__(model.weights.source, "name", "microsoft/phi-2")
    with pytest.raises(AdapterError, match="somebody/other-model, not on microsoft/phi-2"):
        Model(model.weights, adapter)


def test_a_larger_tokenizer_is_taken_where_the_embedding_has_room(phi_folder, adapter, tmp_path):
    """An adapter trained with added tokens, over Phi-2's spare embedding rows: no resize, no error."""
    words = tokenizer()
    words.add_tokens([f"<extra{n}>" for n in range(10)])
    words.save_pretrained(adapter)
    model = load_model(str(phi_folder), adapter=adapter, device="cpu")
    assert len(model.tokenizer) == len(tokenizer()) + 10 == model.vocabulary.size
    words.add_tokens([f"<more{n}>" for n in range(20)])
    shutil.rmtree(adapter)
    make_adapter(phi_folder, adapter)
    words.save_pretrained(adapter)
    refused(phi_folder, adapter, "embedding only")
