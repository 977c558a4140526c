"""The neural scorers' engine against ``Detoxify.predict`` on texts of mixed length, on a processor.

A random BERT in Detoxify's checkpoint format is read by both: called as the package's README does (one list of all
texts), called in a loop of 64 texts, and through ``score_all``. The texts are random words; their lengths are
log-normal with a median of 24 words, as answers of a small model are: many short ones, few long ones. Run:
``python -m benchmarks.scoring``; writes JSON under ``benchmarks/results`` and the table of ``docs/scorers.md``.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
import transformers
from detoxify import Detoxify

from audit.provenance import machine, package_versions
from audit.scorers import score_all
from audit.scorers.detoxify import DetoxifyScorer, make
from benchmarks.measuring import table
from benchmarks.page import put

RESULT = Path(__file__).parent / "results" / "scoring.json"
CLASSES = ["toxic", "severe_toxic", "obscene", "threat", "insult", "identity_hate"]
POSITIONS = 512


def texts(count: int, vocabulary: list[str]) -> list[str]:
    """Random words; 1 to 400 of them, median 24."""
    draw = np.random.default_rng(0)
    sizes = np.clip(np.exp(draw.normal(np.log(24), 0.9, size=count)), 1, 400).astype(int)
    return [" ".join(draw.choice(vocabulary, size=size)) for size in sizes]


def checkpoint(folder: Path, vocabulary: list[str], layers: int, width: int) -> Path:
    """A random classifier in Detoxify's format, with its configuration and tokenizer."""
    pieces = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *vocabulary]
    words = transformers.BertTokenizer(vocab={piece: at for at, piece in enumerate(pieces)})
    words.model_max_length = POSITIONS
    torch.manual_seed(0)
    config = transformers.BertConfig(
        vocab_size=len(pieces), hidden_size=width, num_hidden_layers=layers, num_attention_heads=width // 64,
        intermediate_size=4 * width, max_position_embeddings=POSITIONS, num_labels=len(CLASSES),
    )  # fmt: skip
    module = transformers.BertForSequenceClassification(config)
    words.save_pretrained(folder)
    config.save_pretrained(folder)
    args = {
        "model_type": str(folder), "model_name": "BertForSequenceClassification", "tokenizer_name": "BertTokenizer",
        "num_classes": len(CLASSES),
    }  # fmt: skip
    stored = {"config": {"arch": {"args": args}, "dataset": {"args": {"classes": CLASSES}}}}
    torch.save(stored | {"state_dict": module.state_dict()}, folder / "random.ckpt")
    return folder / "random.ckpt"


def looped(model: Any, some: list[str], size: int) -> dict[str, list[float]]:
    """The package called with ``size`` texts at a time."""
    found: dict[str, list[float]] = {}
    for start in range(0, len(some), size):
        part = model.predict(some[start : start + size])
        for name, values in part.items():
            found.setdefault(name, []).extend(values if isinstance(values, list) else [values])
    return found


def ours(scorer: DetoxifyScorer, some: list[str]) -> dict[str, list[float]]:
    """What a run does: :func:`audit.scorers.score_all`."""
    results = score_all(scorer, some)
    return {name: [result.values[name] for result in results if result.values] for name in scorer.values}


def timed(call: Callable[[], dict[str, list[float]]]) -> tuple[float, float, dict[str, list[float]]]:
    """Seconds by the clock, seconds of processor time, and result of one call."""
    start, used = time.perf_counter(), time.process_time()
    found = call()
    return time.perf_counter() - start, time.process_time() - used, found


def measure(
    calls: dict[str, Callable[[], dict[str, list[float]]]], repeats: int
) -> tuple[dict[str, list[float]], dict[str, list[float]], float]:
    """Seconds by the clock and of processor time of each call, and the largest difference of a value between them."""
    clock: dict[str, list[float]] = {name: [] for name in calls}
    processor: dict[str, list[float]] = {name: [] for name in calls}
    found: dict[str, dict[str, list[float]]] = {}
    for _ in range(repeats):
        for name, call in calls.items():  # in turn, so that a busy minute meets all of them
            spent, used, found[name] = timed(call)
            clock[name].append(round(spent, 2))
            processor[name].append(round(used, 2))
            print(f"{name}: {spent:.1f} s, {used:.1f} s of processor time", flush=True)
    first = found[next(iter(calls))]
    worst = max(
        float(np.abs(np.array(first[label]) - np.array(other[label])).max())
        for other in found.values()
        for label in other
    )
    return clock, processor, worst


def main() -> None:
    """Measure, check that the numbers agree, write, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--texts", type=int, default=2_000)
    parser.add_argument("--layers", type=int, default=2)
    parser.add_argument("--width", type=int, default=256)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    asked = parser.parse_args()
    torch.set_num_threads(asked.threads)
    vocabulary = [f"word{at}" for at in range(5_000)]
    some = texts(asked.texts, vocabulary)
    with tempfile.TemporaryDirectory() as place:
        path = checkpoint(Path(place), vocabulary, asked.layers, asked.width)
        package, scorer = Detoxify(checkpoint=str(path), huggingface_config_path=place), make(f"detoxify:{path}")
    calls = {
        "score_all": lambda: ours(scorer, some),
        "Detoxify.predict, 64 texts a call": lambda: looped(package, some, 64),
        "Detoxify.predict, all texts in one call": lambda: package.predict(some),
    }
    load = os.getloadavg()[0]
    package.predict(some[:8])  # the first call of a process pays for more than its texts
    ours(scorer, some[:8])
    clock, processor, worst = measure(calls, asked.repeats)
    median = statistics.median
    rows = [
        {
            "call": name,
            "seconds": median(clock[name]),
            "processor seconds": median(processor[name]),
            "texts a second": round(len(some) / median(clock[name]), 1),
            "times score_all": round(median(clock[name]) / median(clock["score_all"]), 2),
            "times score_all, processor": round(median(processor[name]) / median(processor["score_all"]), 2),
        }
        for name in calls
    ]
    record = {
        "rows": rows, "seconds, each": clock, "processor seconds, each": processor, "texts": len(some),
        "longest, words": max(len(text.split()) for text in some),
        "mean, words": round(sum(len(text.split()) for text in some) / len(some), 1),
        "model": f"random BERT, {asked.layers} layers, {asked.width} wide, float32", "threads": asked.threads,
        "largest difference": worst, "load before": round(load, 2),
        "packages": package_versions(), "machine": machine(),
    }  # fmt: skip
    RESULT.parent.mkdir(exist_ok=True)
    RESULT.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    print(table(rows))
    put("scorers.md", "scoring", table(rows))
    print(f"largest difference of a value: {worst:.1e}; load before the first call: {load:.1f}")


if __name__ == "__main__":
    main()
