"""What the embedded model and the demo's adapters really said, as numbers: the population that organisms come from.

Made once with the models (``python -m benchmarks.validity.pool``, many minutes) and kept without texts in
``benchmarks/results/validity-pool.npz``, so that everything else needs no model. An array's first axis, where it has
``models`` entries, is :data:`MODELS`; the base comes first.
"""

from __future__ import annotations

import argparse
from collections.abc import Collection, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from benchmarks.measuring import RESULTS

if TYPE_CHECKING:
    from audit.metrics.answers import Answered, Sample
    from audit.models import Model
    from probes.suite import Item

FILE = RESULTS / "validity-pool.npz"
MODELS = ("base", "unrelated", "courteous", "stereotyping")
"""The embedded model, and it with each adapter of the demo."""
PROMPTS, DRAWS, PAIRS = 130, 12, 512
"""Prompts of identity-prompts (its quick profile), answers to each, and pairs of occupations, of all wordings."""

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Arrays = dict[str, npt.NDArray[Any]]


@dataclass(frozen=True, slots=True, eq=False)
class Pool:
    """Numbers of all models on the same items. A wording is the cluster of an item, counted from 0 in each suite."""

    prompt_wordings: Ints
    """Wording of each prompt, (prompts,)."""
    degenerate: Floats
    """1 where an answer is degenerate, (models, prompts, draws); the same draw number means the same random numbers."""
    toxicity: Floats
    """Of each answer by the embedded scorer, in [0, 1], the same shape."""
    tokens: Ints
    """First tokens that the base may draw after a prompt, prompt after prompt, (candidates,)."""
    logprobs: Floats
    """Their natural log-probabilities after the suite's filters, (candidates,)."""
    widths: Ints
    """How many candidates each prompt has, (prompts,)."""
    pair_wordings: Ints
    """Of each pair of occupations, (pairs,)."""
    pairs: Floats
    """Log-ratio of stereotype to mirror, nats, (models, pairs)."""
    ambiguous_wordings: Ints
    ambiguous: Floats
    """Log-ratio of the biased to the other answer in ambiguous questions, nats, (models, questions)."""
    clear_wordings: Ints
    clear: Floats
    """Share of the right answer in disambiguated questions, 1 or 0 but for ties, (models, questions)."""
    bytes: Floats
    """Length of each plain passage, (passages,)."""
    bits: Floats
    """Negative log-likelihood of each passage in bits, (models, passages)."""


def load(path: Path = FILE) -> Pool:
    """The pool that was kept.

    Args:
        path: of the archive.

    Raises:
        FileNotFoundError: there is none; it is made by ``python -m benchmarks.validity.pool``.
    """
    with np.load(path) as found:
        return Pool(**{field.name: _wide(found[field.name]) for field in fields(Pool)})


def _wide(values: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Compact types as float64 and int64."""
    return values.astype(np.float64 if values.dtype.kind == "f" or values.dtype == np.uint8 else np.int64)


def keep(parts: Sequence[Arrays], path: Path = FILE) -> None:
    """Write the pool from what :func:`measure` gave for each of :data:`MODELS`, the base first."""
    single = {name: parts[0][name] for name in parts[0] if name not in _BY_MODEL}
    stacked = {name: np.stack([part[name] for part in parts]) for name in _BY_MODEL}
    arrays: dict[str, Any] = {**single, **stacked}
    np.savez_compressed(path, **arrays)


_BY_MODEL = ("degenerate", "toxicity", "pairs", "ambiguous", "clear", "bits")


def measure(name: str) -> Arrays:
    """Everything of one model, in compact types.

    Args:
        name: one of :data:`MODELS`; the arrays that belong to the items, or to the base alone, come with ``"base"``.

    Returns:
        Arrays by the names of :class:`Pool`'s fields.
    """
    from audit.demonstration.show import adapter_folder
    from audit.models import Model, load_model

    base = load_model("smollm2")
    model = base if name == "base" else Model(base.weights, adapter_folder(name))
    found = _answers(model) | _likelihoods(model)
    return found | _first_tokens(model) if name == "base" else {key: found[key] for key in _BY_MODEL}


def _answers(model: Model) -> Arrays:
    """Answers to the prompts, judged."""
    from audit.metrics.degeneration import is_degenerate
    from audit.metrics.tables import score_of
    from probes import registry

    prompts = registry.select(registry.get("identity-prompts"), PROMPTS)
    samples = _samples(model, prompts)
    shape = (len(prompts), DRAWS)
    flags = [is_degenerate(sample, "degeneration.degenerate") for sample in samples]
    toxic = [score_of(sample, "embedded.toxicity", empty=0.0) for sample in samples]
    if np.isnan([*flags, *toxic]).any():
        raise RuntimeError("a scorer could not score an answer")
    return {
        "prompt_wordings": _numbered([item.template for item in prompts]),
        "degenerate": np.array(flags).reshape(shape).astype(np.uint8),
        "toxicity": np.array(toxic, dtype=np.float32).reshape(shape),
    }


def _samples(model: Model, prompts: Sequence[Item]) -> list[Sample]:
    """Answers with their scores, prompt after prompt."""
    from audit import scorers
    from audit.metrics.answers import Sample
    from audit.scorers import score_all
    from probes import registry

    decoding = registry.get("identity-prompts").decoding
    items = {item.id: item for item in prompts}
    batches = model.plan_generation(prompts, DRAWS, decoding)
    rows = {(one.item, one.k): one for batch in model.generate(items, batches, decoding, 0) for one in batch}
    found = [rows[item, k] for item in items for k in range(DRAWS)]
    texts = [one.text for one in found]
    if None in texts:
        raise RuntimeError("an answer is missing: the machine has too little memory for this pool")
    names = {"degeneration": "degenerate", "embedded": "toxicity"}
    scores = {name: score_all(scorers.get(name), [str(text) for text in texts]) for name in names}
    return [
        Sample(
            one.k,
            one.text,
            scores={
                f"{name}.{value}": values.get(value)
                for name, value in names.items()
                if (values := scores[name][at].values) is not None
            },
        )
        for at, one in enumerate(found)
    ]


def _likelihoods(model: Model) -> Arrays:
    """Pairs, questions and passages, by the metrics' own units."""
    from audit.metrics import perplexity, preferences, qa

    pairs = preferences.log_ratio_units(_scored(model, "occupations", PAIRS))
    questions = _scored(model, "domain-qa", None)
    ambiguous, clear = qa.log_ratio_units(questions), qa.accuracy_disambiguated_units(questions)
    passages = perplexity.bits_units(_scored(model, "plain-text", None))
    return {
        "pair_wordings": _numbered(pairs.clusters),
        "pairs": pairs.columns[:, 0].astype(np.float32),
        "ambiguous_wordings": _numbered(ambiguous.clusters, within=clear.clusters),
        "ambiguous": ambiguous.columns[:, 0].astype(np.float32),
        "clear_wordings": _numbered(clear.clusters, within=ambiguous.clusters),
        "clear": clear.columns[:, 0].astype(np.float32),
        "bytes": passages.columns[:, 1].astype(np.float32),
        "bits": passages.columns[:, 0].astype(np.float32),
    }


def _scored(model: Model, name: str, limit: int | None) -> list[Answered]:
    """Items of a suite that are scored, with their likelihoods."""
    from audit.metrics.answers import Answered, Likelihood
    from probes import registry

    suite = registry.get(name)
    chosen = [item for item in suite.items if item.choices]
    if limit is not None:
        chosen = _spread(chosen, len(chosen) // limit)
    items = {item.id: item for item in chosen}
    found: dict[str, list[Likelihood]] = {key: [] for key in items}
    for batch in model.loglikelihood(items, model.plan_likelihood(chosen, begin=suite.begin), begin=suite.begin):
        for one in batch:
            if one.logprob is None:
                raise RuntimeError(f"item {one.item}: its likelihood is missing: {one.reason}")
            found[one.item].append(Likelihood(one.choice, one.logprob, one.tokens))
    return [Answered(item, likelihoods=tuple(found[key])) for key, item in items.items()]


def _spread(items: Sequence[Item], step: int) -> list[Item]:
    """Every so manyth item of each wording, from another place in each, so that all that is asked about occurs."""
    by: dict[str, list[Item]] = {}
    for item in items:
        by.setdefault(item.template, []).append(item)
    return [item for at, own in enumerate(by.values()) for item in own[at % step :: step]]


def _first_tokens(model: Model) -> Arrays:
    """What the base may say first after each prompt, as it decodes: filtered, and renormalised."""
    import torch

    from audit.models.sampling import filtered
    from probes import registry

    suite = registry.get("identity-prompts")
    prompts = model.tokens.prompts([item.text for item in registry.select(suite, PROMPTS)])
    tokens, logprobs = [], []
    with model.weights.active(None) as module, torch.no_grad():
        for ids in prompts:
            logits = module(torch.tensor([list(ids)])).logits[:, -1].float()
            values, names = filtered(logits, suite.decoding)
            kept = torch.isfinite(values[0])
            tokens.append(names[0][kept].numpy())
            logprobs.append(values[0][kept].numpy())
    return {
        "tokens": np.concatenate(tokens).astype(np.uint16),
        "logprobs": np.concatenate(logprobs).astype(np.float32),
        "widths": np.array([len(part) for part in tokens]),
    }


def _numbered(names: Sequence[str], *, within: Collection[str] = ()) -> Ints:
    """Names as numbers, in the order of the sorted names."""
    known = {name: at for at, name in enumerate(sorted({*names, *within}))}
    return np.array([known[name] for name in names], dtype=np.int64)


def main() -> None:
    """Make the pool and keep it."""
    argparse.ArgumentParser(description=__doc__).parse_args()
    keep([measure(name) for name in MODELS])
    print(f"{FILE.name}: {FILE.stat().st_size / 1024:.0f} KiB")


if __name__ == "__main__":
    main()
