"""The noun Model: texts are encoded once, and the record says which paths are used."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from audit.models import Model, load_model
from audit.models.fits import Fit
from probes.suite import Decoding, Item
from tests.models.test_adapters import make_adapter

SAMPLED = Decoding(max_new_tokens=4, temperature=1.0, top_p=0.95)
PROMPTS = {f"s/{n}": Item(f"s/{n}", f"The nurse {n} said", template="t") for n in range(40)}
CHOICES = {f"c/{n}": Item(f"c/{n}", f"Guest {n} said", template="t", choices=(" yes", " no")) for n in range(40)}


def test_planning_predicting_and_working_encode_every_text_once(phi_folder: Path, monkeypatch: pytest.MonkeyPatch):
    model = load_model(str(phi_folder), device="cpu")
    encoded: list[str] = []
    plain = model.tokens._ids

    def counted(texts: Any, *, special: bool) -> Any:
        encoded.extend(texts)
        return plain(texts, special=special)

    monkeypatch.setattr(model.tokens, "_ids", counted)
    batches = model.plan_generation(list(PROMPTS.values()), 2, SAMPLED)
    scored = model.plan_likelihood(list(CHOICES.values()))
    assert model.predicted_peak(PROMPTS, batches, decoding=SAMPLED) > 0
    assert model.predicted_peak(CHOICES, scored) > 0
    list(model.generate(PROMPTS, batches, SAMPLED, 0))
    list(model.loglikelihood(CHOICES, scored))
    # Contexts are encoded beside the whole texts, to see where the choice begins.
    assert len(encoded) == len(set(encoded)) == 40 + 40 + 80
    assert not model.tokens._prompts and not model.tokens._choices, "what was used is not kept"


@pytest.mark.parametrize(
    ("fit", "generation", "scoring"),
    [
        (Fit(), "shared prompts", "token trees"),
        (Fit("it drops masks"), "plain batches: it drops masks", "token trees"),
        (Fit("a", "b"), "plain batches: a", "plain batches: b"),
        (Fit("c", "c", "it has a state"), "row by row: it has a state", "row by row: it has a state"),
        (
            Fit(longest=4096),
            "shared prompts; row by row beyond 4,096 tokens",
            "token trees; row by row beyond 4,096 tokens",
        ),
    ],
)
def test_the_record_says_which_paths_are_used(tiny: Model, monkeypatch: pytest.MonkeyPatch, fit, generation, scoring):
    monkeypatch.setitem(tiny.weights._fits, None, fit)
    described = tiny.describe()
    assert (described["generation"], described["scoring"]) == (generation, scoring)


def test_base_and_adapters_are_probed_once_each_on_one_load(phi_folder: Path, tmp_path: Path, monkeypatch):
    base = load_model(str(phi_folder), device="cpu")
    probed = []
    monkeypatch.setattr("audit.models.weights.fits", lambda module, size: probed.append(size) or Fit())
    models = [base, *(Model(base.weights, make_adapter(phi_folder, tmp_path / name)) for name in ("one", "two"))]
    for model in models * 2:
        assert model.fit == Fit()
        assert model.module is base.module
    assert len(probed) == 3
