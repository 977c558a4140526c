"""Weights that bitsandbytes keeps at 4 or 8 bits: they load, are said to be quantised, and every path is right.

bitsandbytes comes with the extra ``dev`` (a wheel of 43 MB) and computes on a CPU. Nothing in the package depends on
it: where it is not installed these tests are skipped, and the summary of pytest says so. GGUF files, the other kind of
quantised weights, are dequantised on loading and are tested on the embedded model (test_architectures).
"""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM, BitsAndBytesConfig

from audit.models import Model, load_model
from probes.suite import Decoding
from tests.models.conftest import tokenizer
from tests.models.test_architectures import CHOICES, GREEDY, ITEMS, continued, texts
from tests.models.test_decoding import generate
from tests.models.test_scoring import by_hand, score
from tests.models.zoo import GAIN, build

bitsandbytes = pytest.importorskip("bitsandbytes", reason="bitsandbytes is not installed")

WAYS = {"4 bits": {"load_in_4bit": True}, "8 bits": {"load_in_8bit": True}}


@pytest.fixture(scope="module", params=WAYS)
def quantised(request, tmp_path_factory) -> Model:
    """A random Llama, quantised by transformers, saved so, and loaded as any folder is."""
    plain, folder = tmp_path_factory.mktemp("plain"), tmp_path_factory.mktemp("quantised")
    words = tokenizer()
    # Widths that blocks of 64 weights divide.
    build(GAIN["llama"], vocab_size=len(words), hidden_size=64, intermediate_size=128).save_pretrained(plain)
    words.save_pretrained(folder)
    settings = BitsAndBytesConfig(**WAYS[request.param])
    AutoModelForCausalLM.from_pretrained(plain, quantization_config=settings, device_map="cpu").save_pretrained(folder)
    return load_model(str(folder), device="cpu")


def test_layers_stay_quantised_and_the_report_says_so(quantised: Model):
    layer = quantised.module.model.layers[0].self_attn.q_proj
    assert isinstance(layer, bitsandbytes.nn.Linear4bit | bitsandbytes.nn.Linear8bitLt)
    assert layer.weight.element_size() == 1, "not dequantised on loading, and no second copy laid out for oneDNN"
    assert "The weights are quantised (bitsandbytes); that is what was audited." in quantised.describe()["notes"]


def test_a_path_is_chosen_and_named(quantised: Model):
    fit, record = quantised.fit, quantised.describe()
    assert not fit.padding, fit.padding
    assert record["generation"] == (f"plain batches: {fit.sharing}" if fit.sharing else "shared prompts")
    assert record["scoring"] == (f"plain batches: {fit.trees}" if fit.trees else "token trees")


def test_answers_are_those_of_its_own_generate(quantised: Model):
    found = generate(quantised, GREEDY, samples=2)
    expected = {name: continued(quantised, item.text) for name, item in ITEMS.items()}
    assert {key: one.text for key, one in found.items()} == {
        (name, k): expected[name] for name in ITEMS for k in (0, 1)
    }
    together = texts(generate(quantised, Decoding(max_new_tokens=8, top_p=0.95), samples=3))
    assert together == texts(generate(quantised, Decoding(max_new_tokens=8, top_p=0.95), samples=3, rows=1))


def test_likelihoods_are_those_of_its_own_forward_pass(quantised: Model, caplog):
    for (item, choice), one in score(quantised, CHOICES).items():
        with torch.no_grad():
            total, tokens = by_hand(quantised, CHOICES[item].text, CHOICES[item].choices[choice])
        assert (one.tokens, one.logprob) == (tokens, pytest.approx(total, rel=1e-4))
    assert not caplog.records, "a line for every product of a layer"


def test_a_whole_run_is_made_and_verifies(quantised: Model, suite: Path, tmp_path: Path):
    import audit

    done = audit.run(quantised.weights.source.path, [str(suite)], tmp_path / "run", loaded=quantised)
    assert done.status == "complete" and audit.verify(done.path) == []
