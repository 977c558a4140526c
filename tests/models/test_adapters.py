"""LoRA adapters: what fits is taken, what does not is refused before it touches the model."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import IA3Config, LoraConfig, PeftModel, PrefixTuningConfig, PromptTuningConfig, get_peft_model
from safetensors.torch import load_file, save_file
from transformers import PhiForCausalLM

from audit.errors import AdapterError
from audit.models import Model, load_model
from tests.models.conftest import phi, save, tokenizer


def make_adapter(base: Path, folder: Path, scale: float = 0.3, **changes: Any) -> Path:
    """A LoRA adapter with random matrices, so that it changes what the base says."""
    return put_on(base, folder, LoraConfig(**({"r": 4, **LAYERS} | changes)), scale)


def put_on(base: Path, folder: Path, config: Any, scale: float = 0.3) -> Path:
    torch.manual_seed(1)
    adapted = get_peft_model(PhiForCausalLM.from_pretrained(base), config)
    with torch.no_grad():
        for parameter in adapted.parameters():
            if parameter.requires_grad:
                parameter.add_(torch.randn_like(parameter) * scale)
    adapted.save_pretrained(folder)
    return folder


LAYERS = {"target_modules": ["q_proj", "v_proj"], "task_type": "CAUSAL_LM"}


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


# -- kinds --

SWITCHED = {
    "LoRA": {},
    "rsLoRA": {"use_rslora": True},
    "DoRA": {"use_dora": True},
    "a head of its own": {"modules_to_save": ["lm_head"]},
    "embedding and head of its own": {"modules_to_save": ["embed_tokens", "lm_head"]},
    "norms of its own": {"modules_to_save": ["norm"]},
    "rows of the embedding": {"trainable_token_indices": [3, 4, 5, 6, 7, 8]},
    "on the head": {"target_modules": ["q_proj", "lm_head"]},
    "on the embedding": {"target_modules": ["embed_tokens"]},
}


def answers(model: Model) -> Any:
    from tests.models.test_decoding import SAMPLED, generate

    return generate(model, SAMPLED), numbers(model)


def numbers(model: Model) -> dict[Any, float]:
    from tests.models.test_architectures import CHOICES
    from tests.models.test_scoring import score

    return {key: one.logprob for key, one in score(model, CHOICES).items()}


@pytest.mark.parametrize("tied", [False, True], ids=["own head", "tied head"])
@pytest.mark.parametrize("kind", SWITCHED)
def test_each_kind_of_lora_is_switched_on_as_peft_computes_it_and_off_again(tmp_path, kind, tied, recwarn):
    from tests.models.test_architectures import CHOICES
    from tests.models.test_scoring import by_hand

    words = tokenizer()
    folder = save(tmp_path / "base", phi(len(words), tie_word_embeddings=tied), words)
    path = make_adapter(folder, tmp_path / "adapter", **SWITCHED[kind])
    base = load_model(str(folder), device="cpu")
    before, size = answers(base), base.describe()["parameters"]
    tuned = Model(base.weights, path)
    reference = Reference(PeftModel.from_pretrained(PhiForCausalLM.from_pretrained(folder), path).eval(), words)
    for (item, choice), found in numbers(tuned).items():
        expected, _ = by_hand(reference, CHOICES[item].text, CHOICES[item].choices[choice])
        assert found == pytest.approx(expected, rel=1e-4)
    assert answers(tuned) != before
    assert answers(base) == before, "bit for bit"
    assert base.describe()["parameters"] == tuned.describe()["parameters"] == size


class Reference:
    """What :func:`by_hand` asks for."""

    def __init__(self, module: Any, words: Any) -> None:
        self.module, self.tokenizer = module, words


@pytest.mark.parametrize("bias", ["all", "lora_only"])
def test_biases_trained_along_would_stay_in_the_base(phi_folder, tmp_path, bias):
    refused(phi_folder, make_adapter(phi_folder, tmp_path / bias, bias=bias), r"changes .*bias, .* merge_and_unload")


def test_an_embedding_saved_along_is_taken_only_where_it_is_the_bases_own(phi_folder, adapter):
    tensors = load_file(adapter / "adapter_model.safetensors")
    own = load_file(phi_folder / "model.safetensors")["model.embed_tokens.weight"]
    tensors["base_model.model.model.embed_tokens.weight"] = own
    save_file(tensors, adapter / "adapter_model.safetensors", metadata={"format": "pt"})
    Model(load_model(str(phi_folder), device="cpu").weights, adapter)
    tensors["base_model.model.model.embed_tokens.weight"] = own + 0.1
    save_file(tensors, adapter / "adapter_model.safetensors", metadata={"format": "pt"})
    refused(phi_folder, adapter, r"changes model\.embed_tokens\.weight")


@pytest.mark.parametrize(
    "config",
    [
        IA3Config(target_modules=["k_proj", "fc2"], feedforward_modules=["fc2"], task_type="CAUSAL_LM"),
        PromptTuningConfig(num_virtual_tokens=4, task_type="CAUSAL_LM"),
        PrefixTuningConfig(num_virtual_tokens=4, task_type="CAUSAL_LM"),
    ],
    ids=lambda config: str(config.peft_type.value),
)
def test_other_kinds_are_refused_by_name(phi_folder, tmp_path, config):
    path = put_on(phi_folder, tmp_path / "adapter", config)
    refused(phi_folder, path, f"is an adapter of the kind {config.peft_type.value}; only LoRA")


def test_an_adapter_that_waits_for_tokens_of_its_own_is_refused(phi_folder, tmp_path):
    """Without them it computes what the base does: two equal models would be compared."""
    path = make_adapter(phi_folder, tmp_path / "adapter", alora_invocation_tokens=[5, 6])
    refused(phi_folder, path, "invocation tokens")


def test_a_tensor_of_another_kind_of_model_is_refused(phi_folder, adapter):
    tensors = load_file(adapter / "adapter_model.safetensors")
    tensors["base_model.model.score.weight"] = torch.ones(2, 64)
    save_file(tensors, adapter / "adapter_model.safetensors", metadata={"format": "pt"})
    refused(phi_folder, adapter, r"score\.weight, which this base does not have")


KEY = "base_model.model.model.layers.1.self_attn.{}.lora_{}.weight"
TORN = {
    "a layer is missing": ({KEY.format("q_proj", "A"), KEY.format("q_proj", "B")}, {}, "2 tensors that"),
    "half a layer is missing": ({KEY.format("v_proj", "B")}, {}, "1 tensors that"),
    "a layer too many": (
        set(),
        {KEY.format("k_proj", "A"): torch.ones(4, 64), KEY.format("k_proj", "B"): torch.ones(64, 4)},
        "2 tensors of adapter_model.safetensors go with nothing",
    ),
}


@pytest.mark.parametrize("second", [False, True], ids=["first on the base", "second on the base"])
@pytest.mark.parametrize("kind", TORN)
def test_an_adapter_of_which_a_part_would_not_be_used_is_refused(phi_folder, adapter, tmp_path, kind, second):
    without, more, reason = TORN[kind]
    torn = shutil.copytree(adapter, tmp_path / "torn")
    tensors = load_file(torn / "adapter_model.safetensors")
    left = {key: tensor for key, tensor in tensors.items() if key not in without}
    save_file(left | more, torn / "adapter_model.safetensors", metadata={"format": "pt"})
    base = load_model(str(phi_folder), device="cpu")
    before = answers(base)
    if second:
        Model(base.weights, adapter)
    with pytest.raises(AdapterError, match=reason):
        Model(base.weights, torn)
    assert answers(base) == before
    whole = Model(base.weights, adapter)
    assert answers(whole) == answers(Model(load_model(str(phi_folder), device="cpu").weights, adapter)) != before
