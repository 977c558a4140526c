"""Each class of model gives, through whatever path it takes, what its own unpadded forward pass gives."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from audit.models import Generated, Model, load_model
from audit.models.fits import Fit
from audit.models.weights import Weights
from probes.suite import Item
from tests.models.conftest import save, tokenizer
from tests.models.test_decoding import GREEDY, ITEMS, SAMPLED, generate
from tests.models.test_scoring import by_hand, score
from tests.models.zoo import GAIN, LONGROPE, PLAIN, UNPADDED, Kind, build

EVERY = GAIN | {name: kind for name, (kind, _) in PLAIN.items()} | UNPADDED
CHOICES = {
    # Items that begin alike, choices of different length, and a text without context.
    "c/1": Item("c/1", "The nurse said that", "t", choices=(" she would come back", " he would", " they")),
    "c/2": Item("c/2", "The nurse said", "t", choices=(" that he would look at the car again in the morning.", " no")),
    "c/3": Item("c/3", "", "t", choices=("People in the city like to walk", "A question is asked and an answer is")),
}


@pytest.fixture(scope="module")
def loaded(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Model]:
    """Models as a person loads them, from a folder; each once."""
    models: dict[str, Model] = {}

    def load(name: str) -> Model:
        if name not in models:
            models[name] = load_kind(EVERY[name], tmp_path_factory.mktemp(name))
        return models[name]

    return load


def load_kind(kind: Kind, folder: Path, **changes: Any) -> Model:
    return load_model(str(save(folder, build(kind, **changes), tokenizer())), device="cpu")


def continued(model: Model, text: str) -> str:
    """What transformers' own ``generate`` says after one prompt without padding."""
    ids = torch.tensor([model.encode_prompt(text)])
    beyond = list(range(len(model.tokenizer), model.module.config.vocab_size)) or None
    with torch.no_grad():
        found = model.module.generate(
            ids, attention_mask=torch.ones_like(ids), do_sample=False, max_new_tokens=GREEDY.max_new_tokens,
            pad_token_id=0, suppress_tokens=beyond,
        )  # fmt: skip
    return str(model.tokenizer.decode([token for token in found[0, ids.shape[1] :].tolist() if token != 0]))


@pytest.mark.parametrize("name", GAIN)
def test_every_path_is_open_to_classes_that_attend_through_transformers_interface(loaded, name):
    assert loaded(name).fit == Fit()


@pytest.mark.parametrize("name", PLAIN)
def test_others_are_refused_with_a_reason_and_take_plain_batches(loaded, name):
    model = loaded(name)
    assert PLAIN[name][1] in model.fit.sharing
    assert (model.fit.padding, model.fit.longest) == ("", 0)
    assert PLAIN[name][1] in model.describe()["generation"]


@pytest.mark.parametrize("name", UNPADDED)
def test_models_without_a_cache_of_rows_are_computed_row_by_row(loaded, name):
    fit = loaded(name).fit
    assert fit.padding and fit.sharing and fit.trees


@pytest.mark.parametrize("name", EVERY)
def test_greedy_answers_are_those_of_generate_prompt_by_prompt(loaded, name):
    model = loaded(name)
    found = generate(model, GREEDY, samples=2)
    expected = {item: continued(model, ITEMS[item].text) for item in ITEMS}
    assert {key: one.text for key, one in found.items()} == {
        (item, k): expected[item] for item in ITEMS for k in (0, 1)
    }


@pytest.mark.parametrize("name", GAIN)
def test_samples_are_those_of_the_plain_path(loaded, name, monkeypatch):
    model = loaded(name)
    fast = texts(generate(model, SAMPLED, samples=3))
    monkeypatch.setattr(Weights, "fit", lambda weights, adapter: Fit("off", "off"))
    assert fast == texts(generate(model, SAMPLED, samples=3))
    assert len(set(fast.values())) > len(ITEMS), "samples of one prompt must differ"


def test_samples_of_rows_that_stand_alone_are_those_of_a_batch_of_one(loaded):
    model = loaded("jamba")
    items = {name: ITEMS[name] for name in ("s/0", "s/2")}
    together = texts(generate(model, SAMPLED, samples=2, items=items))
    assert together == texts(generate(model, SAMPLED, samples=2, items=items, rows=1))
    assert len(set(together.values())) == 4


def texts(found: dict[tuple[str, int], Generated]) -> dict[tuple[str, int], str | None]:
    return {key: one.text for key, one in found.items()}


@pytest.mark.parametrize("name", EVERY)
def test_likelihoods_are_those_of_unpadded_sentences(loaded, name):
    model = loaded(name)
    found = score(model, CHOICES)
    assert len(found) == 7
    for (item, choice), one in found.items():
        total, tokens = by_hand(model, CHOICES[item].text, CHOICES[item].choices[choice])
        assert (one.tokens, one.logprob) == (tokens, pytest.approx(total, rel=1e-5))


def test_longrope_goes_row_by_row_beyond_its_first_context(tmp_path):
    """One row beyond it would change the frequencies of all rows of its batch."""
    model = load_kind(LONGROPE, tmp_path)
    assert model.fit == Fit(longest=24)
    long = Item("long", "The mechanic said that he would look at the car again in the morning", "t")
    items = ITEMS | {"long": long}
    assert len(model.encode_prompt(long.text)) + GREEDY.max_new_tokens > 24
    expected = {(name, 0): continued(model, item.text) for name, item in items.items()}
    assert texts(generate(model, GREEDY, items=items)) == expected
    pair = {"p": Item("p", "", "t", choices=(long.text + ". People in the city like to walk in the park", "The nurse"))}
    for (_, choice), one in score(model, pair).items():
        assert one.logprob == pytest.approx(by_hand(model, "", pair["p"].choices[choice])[0], rel=1e-5)


@pytest.mark.parametrize("name", ["llama", "gpt2"])
def test_tied_weights_are_loaded_tied_and_take_every_path(tmp_path, name):
    tied = load_kind(GAIN[name], tmp_path, tie_word_embeddings=True)
    assert tied.module.get_output_embeddings().weight is tied.module.get_input_embeddings().weight
    assert tied.fit == Fit()
    assert texts(generate(tied, GREEDY)) == {(key, 0): continued(tied, item.text) for key, item in ITEMS.items()}
    for (item, choice), one in score(tied, CHOICES).items():
        assert one.logprob == pytest.approx(
            by_hand(tied, CHOICES[item].text, CHOICES[item].choices[choice])[0], rel=1e-5
        )


@pytest.mark.slow
def test_a_gguf_file_takes_every_path_and_gives_what_its_own_forward_pass_gives():
    """The embedded model is one: 135 M parameters, dequantised on loading, tied weights, three heads to a key."""
    model = load_model("smollm2", device="cpu")
    assert model.fit == Fit()
    assert texts(generate(model, GREEDY)) == {(name, 0): continued(model, item.text) for name, item in ITEMS.items()}
    for (item, choice), one in score(model, CHOICES).items():
        total, tokens = by_hand(model, CHOICES[item].text, CHOICES[item].choices[choice])
        assert (one.tokens, one.logprob) == (tokens, pytest.approx(total, rel=1e-4))
