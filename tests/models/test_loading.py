"""Loading: what is not whole, not causal or not of one piece is refused by name, and never audited half random."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from safetensors.torch import load_file, save_file
from tokenizers.processors import TemplateProcessing
from transformers import LlamaForSequenceClassification, LlamaModel

from audit.errors import ModelError, UsageError
from audit.models import Model, load_model
from audit.models.embedded import embedded_gguf
from audit.models.fits import fits
from probes.suite import Decoding, Item
from tests.models.conftest import phi, save, tokenizer
from tests.models.zoo import GAIN, ROWS, UNPADDED, build

FEW = Decoding(max_new_tokens=2)
BERT = {"vocab_size": ROWS, "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4,
        "intermediate_size": 32}  # fmt: skip
BART = {"vocab_size": ROWS, "d_model": 32, "encoder_layers": 2, "decoder_layers": 2, "encoder_attention_heads": 4,
        "decoder_attention_heads": 4, "encoder_ffn_dim": 32, "decoder_ffn_dim": 32}  # fmt: skip
ENDS = {
    "in front": ("<|endoftext|> $A", [0], []),
    "behind": ("$A <|endoftext|>", [], [0]),
    "on both sides": ("<|endoftext|> $A <|endoftext|>", [0], [0]),
}


def change(folder: Path, turn: Callable[[dict[str, torch.Tensor]], object]) -> str:
    """Change the tensors of a checkpoint."""
    file = folder / "model.safetensors"
    tensors = load_file(file)
    turn(tensors)
    save_file(tensors, file, metadata={"format": "pt"})
    return str(folder)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return save(tmp_path, build(GAIN["llama"]), tokenizer())


# -- weights --


def test_a_weight_that_the_files_lack_is_not_drawn_at_random(folder):
    spec = change(folder, lambda tensors: tensors.pop("model.layers.1.mlp.up_proj.weight"))
    with pytest.raises(ModelError, match=r"1 of the model's weights .* model\.layers\.1\.mlp\.up_proj\.weight"):
        load_model(spec, device="cpu")


@pytest.mark.slow
def test_a_gguf_file_that_lacks_a_weight_is_not_completed_at_random(tmp_path, monkeypatch):
    import gguf

    monkeypatch.setenv("SLM_AUDIT_CACHE", str(tmp_path / "cache"))
    whole, torn = gguf.GGUFReader(str(embedded_gguf())), tmp_path / "torn.gguf"
    writer = gguf.GGUFWriter(str(torn), whole.get_field("general.architecture").contents())
    for field in whole.fields.values():
        if not field.name.startswith("GGUF.") and field.name != "general.architecture":
            kinds = {"sub_type": field.types[-1]} if field.types[0] == gguf.GGUFValueType.ARRAY else {}
            writer.add_key_value(field.name, field.contents(), field.types[0], **kinds)
    for tensor in whole.tensors:
        if tensor.name != "blk.3.ffn_up.weight":
            shape = tensor.data.shape
            writer.add_tensor(tensor.name, tensor.data, raw_shape=shape, raw_dtype=tensor.tensor_type)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    with pytest.raises(ModelError, match=r"1 of the model's weights .* model\.layers\.3\.mlp\.up_proj\.weight"):
        load_model(str(torn), device="cpu")


def test_weights_that_are_not_used_are_named_in_the_report(folder):
    spec = change(folder, lambda tensors: tensors.update({"model.layers.2.mlp.up_proj.weight": torch.ones(64, 32)}))
    (note,) = load_model(spec, device="cpu").describe()["notes"]
    assert (
        note == "1 tensors in the model's files are no part of it as loaded, such as model.layers.2.mlp.up_proj.weight."
    )


@pytest.mark.parametrize("kind", [LlamaModel, LlamaForSequenceClassification])
def test_a_checkpoint_without_an_output_layer_is_refused(tmp_path, kind):
    save(tmp_path, kind(build(GAIN["llama"]).config), tokenizer())
    with pytest.raises(ModelError, match=r"lm_head\.weight, and would be random"):
        load_model(str(tmp_path), device="cpu")


@pytest.mark.parametrize(
    ("name", "values", "reason"),
    [
        ("T5", {"vocab_size": ROWS, "d_model": 32, "d_kv": 8, "d_ff": 32, "num_layers": 2, "num_heads": 4}, "T5Config"),
        ("Bart", BART, "such as lm_head.weight, and would be random"),
    ],
)
def test_an_encoder_decoder_is_refused(tmp_path, name, values, reason):
    config = getattr(transformers, f"{name}Config")(**values)
    save(tmp_path, getattr(transformers, f"{name}ForConditionalGeneration")(config), tokenizer())
    with pytest.raises(ModelError, match=reason):
        load_model(str(tmp_path), device="cpu")


def test_a_model_that_reads_both_ways_is_refused(tmp_path):
    """transformers loads it as a language model; each token would be scored by what it itself says."""
    save(tmp_path, transformers.BertForMaskedLM(transformers.BertConfig(**BERT)), tokenizer())
    with pytest.raises(ModelError, match="BertLMHeadModel lets a token's logits depend on the tokens behind it"):
        load_model(str(tmp_path), device="cpu").plan_generation([Item("i", "The nurse", "t")], 1, FEW)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
@pytest.mark.parametrize("name", ["mixtral", "gpt-oss", "jamba"])
def test_experts_that_share_their_tokens_are_not_taken_for_it(name, dtype):
    fits(build((GAIN | UNPADDED)[name]).to(dtype), ROWS)


# -- tokenizers --


def test_a_tokenizer_with_more_tokens_than_the_embedding_is_refused_where_it_matters(tmp_path):
    """Fine-tunes often bring a pad token that the weights have no row for, and that no text has."""
    words = tokenizer()
    rows = len(words)
    words.add_special_tokens({"pad_token": "<pad>", "eos_token": "<end>"})
    model = load_model(str(save(tmp_path, phi(rows), words)), device="cpu")
    assert (model.vocabulary.size, model.vocabulary.pad) == (rows, 0)
    good, bad = Item("s/good", "The nurse said", "t"), Item("s/bad", "The nurse<pad>", "t")
    batches = model.plan_generation([good], 2, FEW)
    assert all(one.text is not None for batch in model.generate({"s/good": good}, batches, FEW, 0) for one in batch)
    with pytest.raises(ModelError, match=rf"item s/bad has token {rows}, .* embeds tokens below {rows}"):
        model.plan_generation([good, bad], 1, FEW)
    with pytest.raises(ModelError, match="item s/bad"):
        model.plan_likelihood([good, Item("s/bad", "", "t", choices=("The<pad>",))])


def test_an_end_token_behind_a_gap_in_the_ids_can_be_drawn(tmp_path):
    save(tmp_path, phi(400), tokenizer())
    own = json.loads((tmp_path / "tokenizer.json").read_text())
    own["added_tokens"].append({"id": 350, "content": "<end>", "single_word": False, "lstrip": False, "rstrip": False,
                                "normalized": False, "special": True})  # fmt: skip
    own["model"]["vocab"]["<end>"] = 350
    (tmp_path / "tokenizer.json").write_text(json.dumps(own))
    settings = json.loads((tmp_path / "tokenizer_config.json").read_text())
    (tmp_path / "tokenizer_config.json").write_text(json.dumps(settings | {"eos_token": "<end>"}))
    model = load_model(str(tmp_path), device="cpu")
    assert 350 in model.vocabulary.end and len(model.tokenizer) < 350 < model.vocabulary.size
    with torch.no_grad():
        model.module.lm_head.bias[350] += 1000.0
    item = Item("i", "The nurse", "t")
    ((found,),) = model.generate({"i": item}, model.plan_generation([item], 1, FEW), FEW, 0)
    assert (found.text, found.finish) == ("", "eos")


@pytest.mark.parametrize("where", ENDS)
def test_what_a_tokenizer_puts_behind_a_text_is_neither_gone_on_from_nor_scored(phi_folder, where):
    template, front, behind = ENDS[where]
    model = load_model(str(phi_folder), device="cpu")
    plain = model.tokenizer.encode("The nurse said")
    model.tokenizer.backend_tokenizer.post_processor = TemplateProcessing(
        single=template, pair=None, special_tokens=[("<|endoftext|>", 0)]
    )
    assert model.tokenizer.encode("The nurse said") == front + plain + behind
    assert model.encode_prompt("The nurse said") == front + plain
    # Without anything in front the first token has no probability.
    assert model.encode_choice("", "The nurse said") == (front + plain, len(front + plain) - 1)
    assert model.encode_choice("The nurse", " said") == (
        front + plain,
        len(model.tokenizer.encode(" said")) - len(front + behind),
    )


@pytest.mark.parametrize(
    ("template", "reason"),
    [
        ("{{ raise_exception('a system message is needed') }}", "a system message is needed"),
        ("{% for m in messages %}", "Unexpected end of template"),
        ("{{ messages[0].foo.bar }}", "has no attribute 'foo'"),
    ],
)
def test_a_chat_template_that_fails_is_said_in_one_line(phi_folder, template, reason):
    model = load_model(str(phi_folder), device="cpu")
    model.tokenizer.chat_template = template
    with pytest.raises(UsageError, match=f"the chat template of .* fails: .*{reason}.*; use raw"):
        Model(model.weights, prompt_format="chat").plan_generation([Item("i", "The nurse", "t")], 1, FEW)


def test_a_prompt_of_no_tokens_is_an_error_that_names_the_item(phi_folder):
    """Its first token would be drawn from padding."""
    model = load_model(str(phi_folder), device="cpu")
    model.tokenizer.chat_template = "{{ '' }}"
    chat: Any = Model(model.weights, prompt_format="chat")
    with pytest.raises(ModelError, match=r"item s/none: the tokenizer of .* makes no token of it"):
        chat.plan_generation([Item("s/none", "The nurse", "t")], 1, FEW)
    with pytest.raises(ModelError, match="item s/none"):
        model.plan_likelihood([Item("s/none", "", "t", choices=("",))])
