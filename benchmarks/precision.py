"""How far the fast paths are from the plain ones in float32 and in bfloat16: answers that differ, and log-likelihoods.

``python -m benchmarks.precision [--device cpu|cuda] [--write]``. The embedded model continues prompts by shared prompts
and by plain batches with the same random numbers, and scores sentences over token trees and over padded rows. In
float32 no answer may differ. In bfloat16 sums in another order round to other numbers, and an answer that once drew
another token is another answer from there on: so the plain path is also held against itself in batches of a few rows.
What the fast path differs beyond that is the path's, the rest is the precision's.
"""

from __future__ import annotations

import argparse
import math
import os
import statistics
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch

from audit.models import Entry, Model
from audit.models.decoding import generate_batch
from audit.models.graphs import Graphs
from audit.models.sampling import sample_keys
from audit.models.scoring import Scored, score_batch
from benchmarks.generators import SEED, Workload
from benchmarks.hardware import describe
from benchmarks.likelihood import gathered, part
from benchmarks.measuring import say, table, write
from benchmarks.page import refresh
from benchmarks.subjects import loaded
from probes.suite import Decoding, Item

DTYPES = ("float32", "bfloat16")
WORKLOADS = (Workload("short prompts", 24, 8, 20, 8, 20), Workload("long prompts", 8, 100, 200, 8, 20))
SENTENCES = 100
FEW = 16
"""Rows of a batch of the plain path that is held against itself."""
MOST_APART = 1e-4
"""Largest relative difference of a log-likelihood in float32."""

Answers = dict[tuple[str, int], tuple[int, ...]]


@torch.inference_mode()
def answers(
    model: Model, items: Mapping[str, Item], work: Workload, decoding: Decoding, *, fast: bool, rows: int | None = None
) -> Answers:
    """Token ids of every answer by (item, sample), all drawn with the same random numbers.

    Args:
        model: without an end token, so that every answer has its full length.
        items: by id.
        work: tells how many answers a prompt has.
        decoding: how they are drawn.
        fast: by shared prompts; else by plain batches.
        rows: most rows of a batch; None is what a run takes.
    """
    device, drawn = model.weights.device, {}
    graphs = Graphs(capture=True) if fast and device.type == "cuda" else None
    samples = work.samples if decoding.temperature else 1
    for batch in model.plan_generation(list(items.values()), samples, decoding, max_rows=rows):
        prompts = [model.encode_prompt(items[entry.item].text) for entry in batch]
        keys = [(entry.item, entry.first + at) for entry in batch for at in range(entry.count)]
        places = [place for place, entry in enumerate(batch) for _ in range(entry.count)]
        done = generate_batch(
            model.module, model.vocabulary, prompts, places, [str(key) for key in keys],
            sample_keys(SEED, keys, device), decoding, shared=fast, graphs=graphs,
        )  # fmt: skip
        drawn.update({key: tuple(row.tokens) for key, row in zip(keys, done, strict=True)})
    return drawn


def differing(found: Answers, expected: Answers) -> dict[str, Any]:
    """Share of the answers that are not equal, and how many tokens those that differ have in common, the median.

    Raises:
        ValueError: the two do not hold the same answers.
    """
    if found.keys() != expected.keys():
        raise ValueError("the two paths did not give the same answers")
    shared = [
        next((at for at, pair in enumerate(zip(one, expected[key], strict=False)) if pair[0] != pair[1]), len(one))
        for key, one in found.items()
        if one != expected[key]
    ]
    return {"share": len(shared) / len(found), "equal tokens": statistics.median(shared) if shared else None}


def continued(model: Model, work: Workload) -> dict[str, Any]:
    """One row of the table of answers: sampled and greedy, fast against plain and plain against itself."""
    items = work.items(model.tokenizer)
    row: dict[str, Any] = {"precision": model.weights.dtype, "answers": f"{work.name}: {work.prompts} x {work.samples}"}
    for way, temperature in (("sampled", 1.0), ("greedy", 0.0)):
        decoding = replace(work.decoding, temperature=temperature)
        plain = answers(model, items, work, decoding, fast=False)
        found = differing(answers(model, items, work, decoding, fast=True), plain)
        row[f"{way} that differ"] = found["share"]
        if way == "sampled":
            row["first differing token, median"] = None if found["share"] == 0 else found["equal tokens"] + 1
        few = answers(model, items, work, decoding, fast=False, rows=FEW)
        row[f"{way}, plain in batches of {FEW}"] = differing(few, plain)["share"]
        say(f"{model.weights.dtype}, {work.name}, {way}: {row}")
    return row


def sums(model: Model, items: Sequence[Item], *, fast: bool) -> list[float]:
    """Log-likelihood of every choice, in nats."""
    found = []
    for batch in model.plan_likelihood(items, begin="bos"):
        rows = [_scored(model, items, entry) for entry in batch]
        done = score_batch(model.module, model.vocabulary.pad, rows, model.weights.device, trees=fast)
        keys = [(entry.item, entry.first + at) for entry in batch for at in range(entry.count)]
        found += [(key, math.fsum(logprobs)) for key, logprobs in zip(keys, done, strict=True)]
    return [total for _, total in sorted(found)]


def _scored(model: Model, items: Sequence[Item], entry: Entry) -> list[Scored]:
    item = next(one for one in items if one.id == entry.item)
    choices = item.choices[entry.first : entry.first + entry.count]
    return [Scored(*model.encode_choice(item.text, choice, "bos"), item.id) for choice in choices]


def apart(found: Sequence[float], expected: Sequence[float]) -> float:
    """Largest relative difference."""
    return max(abs(one - other) / abs(other) for one, other in zip(found, expected, strict=True))


def measured(device: str) -> dict[str, Any]:
    """All of it, one precision after the other."""
    record: dict[str, Any] = {"hardware": describe(torch.device(device)), "answers": [], "log-likelihoods": []}
    exact: list[float] = []
    for dtype in DTYPES:
        model = loaded("smollm2", device, endless=True, dtype=dtype)
        sentences = part(gathered("CrowS-Pairs", model.tokenizer), SENTENCES).items
        fast, plain = (sums(model, sentences, fast=way) for way in (True, False))
        exact = exact or plain
        record["log-likelihoods"].append(
            {"precision": dtype, "sentences": len(plain), "fast against plain": apart(fast, plain),
             "fast against plain in float32": apart(fast, exact), "plain against plain in float32": apart(plain, exact)}
        )  # fmt: skip
        say(str(record["log-likelihoods"][-1]))
        record["answers"] += [continued(model, work) for work in WORKLOADS]
    return record


def broken(record: Mapping[str, Any]) -> list[str]:
    """What float32 must keep to and did not."""
    found = [
        f"{row['answers']}: {key} {row[key]:.3g}"
        for row in record["answers"]
        for key in ("sampled that differ", "greedy that differ")
        if row["precision"] == "float32" and row[key]
    ]
    far = [row["fast against plain"] for row in record["log-likelihoods"] if row["precision"] == "float32"]
    return found + [f"log-likelihoods differ by {most:.1e}" for most in far if not most < MOST_APART]


def main() -> None:
    """Measure, print, and with ``--write`` keep the result; ends with 1 where float32 differs."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 2)
    parser.add_argument("--write", action="store_true", help="keep the result under benchmarks/results")
    asked = parser.parse_args()
    torch.set_num_threads(asked.threads)
    record = measured(asked.device)
    likelihoods = table(record["log-likelihoods"])
    say(f"{table(record['answers'])}\n\n{likelihoods}")
    if asked.write:
        write(f"precision-{asked.device}", record)
        refresh(f"precision-{asked.device}", record["hardware"], record["answers"], likelihoods)
    if faults := broken(record):
        sys.exit(f"in float32 the fast paths are not the plain ones: {'; '.join(faults)}")


if __name__ == "__main__":
    main()
