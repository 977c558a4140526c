"""Generation: what a batch gives is what each prompt alone gives, and what transformers' own ``generate`` gives."""

from __future__ import annotations

import dataclasses

import pytest
import torch

from audit.errors import ContextLengthError, NonFiniteError
from audit.models import Entry, Model, Weights, load_model
from audit.models.decoding import cut_at_stop
from probes.suite import Decoding, Item
from tests.models.conftest import phi, save, tokenizer

PROMPTS = ["The nurse", "The mechanic said that he would", "A", "People in the city like to walk in the park on"]
ITEMS = {f"s/{n}": Item(f"s/{n}", text, template="t") for n, text in enumerate(PROMPTS)}
GREEDY = Decoding(max_new_tokens=12, temperature=0)
SAMPLED = Decoding(max_new_tokens=12, temperature=1.0, top_p=0.95)


def generate(
    model: Model, decoding: Decoding, samples: int = 1, *, seed: int = 0, items=ITEMS, rows: int | None = None
):
    batches = model.plan_generation(list(items.values()), samples, decoding, max_rows=rows)
    return {(one.item, one.k): one for batch in model.generate(items, batches, decoding, seed) for one in batch}


def test_greedy_batch_equals_transformers_generate_prompt_by_prompt(tiny):
    found = generate(tiny, GREEDY)
    for name, item in ITEMS.items():
        ids = torch.tensor([tiny.encode_prompt(item.text)])
        with torch.no_grad():
            expected = tiny.module.generate(
                ids, attention_mask=torch.ones_like(ids), do_sample=False, max_new_tokens=12, pad_token_id=0,
                suppress_tokens=list(range(len(tiny.tokenizer), tiny.module.config.vocab_size)),
            )[0, ids.shape[1] :]  # fmt: skip
        expected = [token for token in expected.tolist() if token != 0]
        assert found[name, 0].text == tiny.tokenizer.decode(expected)
        assert found[name, 0].tokens == len(expected)


@pytest.mark.parametrize("decoding", [GREEDY, SAMPLED], ids=["greedy", "sampled"])
def test_batch_composition_does_not_change_answers(tiny, decoding):
    together = generate(tiny, decoding, samples=3)
    alone = generate(tiny, decoding, samples=3, rows=1)
    assert len(together) == 12
    assert {key: one.text for key, one in together.items()} == {key: one.text for key, one in alone.items()}


def test_order_of_items_and_number_of_samples_do_not_change_answers(tiny):
    five = generate(tiny, SAMPLED, samples=5)
    backwards = generate(tiny, SAMPLED, samples=2, items=dict(reversed(ITEMS.items())))
    assert {key: one.text for key, one in backwards.items()} == {
        key: one.text for key, one in five.items() if key[1] < 2
    }
    assert len({five["s/0", k].text for k in range(5)}) == 5, "samples of one prompt must differ"
    other = generate(tiny, SAMPLED, samples=2, seed=1)
    assert other["s/0", 0].text != five["s/0", 0].text


def test_ids_beyond_the_tokenizer_are_never_drawn(tmp_path):
    words = tokenizer()
    model = phi(len(words) + 20)
    with torch.no_grad():
        model.lm_head.bias[len(words) :] += 50.0  # the 20 rows without a token are by far the most probable
    loaded = load_model(str(save(tmp_path, model, words)), device="cpu")
    for decoding in (GREEDY, SAMPLED):
        for one in generate(loaded, decoding, samples=2).values():
            assert one.finish in ("eos", "length")
            assert one.text or one.finish == "eos"
            assert len(words.encode(one.text)) > 0 or one.tokens == 0
    assert loaded.vocabulary.size == len(words) < loaded.module.config.vocab_size


def test_end_of_text_inside_a_prompt_is_text_not_padding(tiny):
    """Phi-2 pads with its end-of-text token: a mask made by comparing with it would hide part of the prompt."""
    items = {
        "a": Item("a", "The nurse<|endoftext|>The mechanic said", template="t"),
        "b": Item("b", "People in the city like to walk in the park on Sundays", template="t"),
    }
    together = generate(tiny, GREEDY, items=items)
    for name, item in items.items():
        ids = torch.tensor([tiny.encode_prompt(item.text)])
        with torch.no_grad():
            logits = tiny.module(input_ids=ids).logits[0, -1, : len(tiny.tokenizer)]
        first = tiny.tokenizer.decode([int(logits.argmax())])
        assert together[name, 0].text.startswith(first)


def test_finish_reasons_and_empty_answers(tmp_path):
    words = tokenizer()
    model = phi(len(words))
    with torch.no_grad():
        model.lm_head.bias[0] += 1000.0  # end-of-text at once
    loaded = load_model(str(save(tmp_path, model, words)), device="cpu")
    for one in generate(loaded, SAMPLED).values():
        assert (one.text, one.tokens, one.finish) == ("", 0, "eos")


def test_stop_strings_end_answers_and_are_cut_off(tiny):
    free = generate(tiny, dataclasses.replace(SAMPLED, max_new_tokens=40))
    text = max((one.text for one in free.values()), key=len)
    stop = text[10:13]
    stopped = generate(tiny, dataclasses.replace(SAMPLED, max_new_tokens=40, stop=(stop,)))
    hits = 0
    for key, one in free.items():
        cut = stopped[key]
        assert cut.text == cut_at_stop(one.text, (stop,))
        assert (cut.finish == "stop") == (stop in one.text)
        hits += cut.finish == "stop"
    assert hits >= 1
    assert cut_at_stop("abc\nExercise 2", ("Exercise", "\n")) == "abc"


def test_a_prompt_that_does_not_fit_is_an_error_that_names_the_item(tiny):
    long = Item("suite/long", "The nurse said " * 60, template="t")
    with pytest.raises(ContextLengthError, match=r"item suite/long needs \d+ tokens"):
        tiny.plan_generation([long], 1, GREEDY)
    fits = Item("suite/fits", "The nurse said", template="t")
    assert tiny.plan_generation([fits], 1, GREEDY) == [(Entry("suite/fits", 0, 1),)]
    with pytest.raises(ContextLengthError, match="suite/fits"):
        tiny.plan_generation([fits], 1, dataclasses.replace(GREEDY, max_new_tokens=128))


def test_a_nan_logit_stops_with_the_items_name_and_never_becomes_a_token(phi_folder):
    model = load_model(str(phi_folder), device="cpu")
    hurt = model.tokenizer.encode(" mechanic")[-1]
    with torch.no_grad():
        model.module.model.embed_tokens.weight[hurt] = float("nan")
    with pytest.raises(NonFiniteError, match="item s/1, sample 0"):
        generate(model, GREEDY)


def test_float16_overflow_is_caught_and_float32_attention_repairs_it(tmp_path):
    """Queries and keys so large that their product leaves float16's range, as Phi-2's do."""
    words = tokenizer()
    model = phi(len(words))
    with torch.no_grad():
        for layer in model.model.layers:
            # q.k of about 1e5 with the scale of 1/4 behind it: finite in float32, infinite in float16.
            layer.self_attn.q_proj.bias.add_(180.0)
            layer.self_attn.k_proj.bias.add_(180.0)
    folder = str(save(tmp_path, model, words))
    full = load_model(folder, dtype="float32", device="cpu")
    half = load_model(folder, dtype="float16", device="cpu")
    ids = torch.tensor([full.encode_prompt(PROMPTS[3])])
    with torch.no_grad():
        right = full.module(input_ids=ids).logits
        kept = half.module(input_ids=ids).logits
        half.module.set_attn_implementation("eager")
        broken = half.module(input_ids=ids).logits
    assert torch.isfinite(kept).all()
    assert (kept.float() - right).abs().max() < 0.05 * right.abs().max()
    assert not torch.isfinite(broken).all() or (broken.float() - right).abs().max() > 0.5 * right.abs().max()


def test_default_precision_is_never_float16(phi_folder, tmp_path):
    words = tokenizer()
    stored = phi(len(words)).half()
    loaded = load_model(str(save(tmp_path, stored, words)), device="cpu")
    assert loaded.module.dtype == torch.float32
    from audit.models.loading import pick_dtype

    assert pick_dtype("auto", "cuda") == "bfloat16"


def test_base_and_adapter_share_weights_and_disabling_restores_the_base(phi_folder, tmp_path):
    from tests.models.test_adapters import make_adapter

    adapter = make_adapter(phi_folder, tmp_path / "adapter")
    weights = Weights(load_model(str(phi_folder), device="cpu").weights.source, dtype="float32", device="cpu")
    base = Model(weights)
    before = generate(base, SAMPLED)
    tuned = Model(weights, adapter)
    changed = generate(tuned, SAMPLED)
    after = generate(base, SAMPLED)
    assert before == after
    assert before != changed
    assert tuned.module is base.module
