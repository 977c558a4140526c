"""Sentences scored a second: this project against one sentence a call and lm-eval, on the same weights.

``python -m benchmarks.likelihood [--device cpu|cuda] [--write]``; lm-eval is in the extra ``bench``. The texts: the
ToxiGen safety score's sentences, CrowS-Pairs and BBQ where their files are at hand (``slm-audit fetch``), else random
words of the same shape; on CUDA also 32-token sentences. Everyone puts BOS (else EOS) before a text without context,
as lm-eval does, so that all score the same tokens; how far the sums differ is printed beside the speed.

On a CPU each set is a part: neighbours are kept together (both sentences of a pair, the items over one context), and
such groups are taken evenly from the file. What this project shares between texts depends on how many there are: the
share of distinct tokens stands beside each figure, and the safety score and CrowS-Pairs are timed whole, too.
"""

from __future__ import annotations

import argparse
import logging
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import torch

from audit.errors import AuditError
from audit.models import Model
from benchmarks.bound import layer_weights
from benchmarks.hardware import Ceilings, ceilings, describe
from benchmarks.measuring import Series, interleaved, say, table, write
from benchmarks.page import refresh
from benchmarks.subjects import as_published, loaded, spread, subject, texts
from probes import registry
from probes.suite import Item

OURS, LOOP, HARNESS = "slm-audit", "one sentence a call", "lm-eval, best batch"
PREPARED = "lm-eval, our layers"
"""The linear layers as this project prepares them on a CPU: what that alone gives lm-eval."""
SUITES = {"safety score": ("toxigen-safety", 1), "CrowS-Pairs": ("crows-pairs", 1), "BBQ": ("bbq", 4)}
"""Suite, and items that stand together in the file."""
SENTENCES = {"cpu": {"safety score": 400, "CrowS-Pairs": 400, "BBQ": 180}, "cuda": {"BBQ": 6_000}}
"""Scored of each set, about; all of a set that is not named."""
ONE_BY_ONE = {"cpu": 60, "cuda": 128}
ROWS = {"cpu": (16, 32, 64), "cuda": (64, 128, 256, 512, 1024)}

Sums = dict[tuple[str, int], float]


@dataclass(frozen=True, slots=True)
class Texts:
    """A set of items, scored choice by choice."""

    name: str
    items: tuple[Item, ...]
    real: bool
    """Published texts, not random words."""

    @property
    def pairs(self) -> list[tuple[tuple[str, int], str, str]]:
        """Key, context and choice of everything scored."""
        return [((item.id, at), item.text, text) for item in self.items for at, text in enumerate(item.choices)]


def gathered(name: str, tokenizer: Any) -> Texts:
    """A whole set, or random words of its shape where its file is not at hand."""
    try:
        return Texts(name, registry.get(SUITES[name][0]).items, True)
    except AuditError as error:
        say(f"{name}: random words instead: {error}")
    made = {"safety score": _sentences, "CrowS-Pairs": _minimal_pairs, "BBQ": _questions}[name](tokenizer)
    return Texts(name, tuple(made), False)


def part(whole: Texts, sentences: int | None) -> Texts:
    """About so many sentences, evenly from the set, neighbours kept together; None is all."""
    if sentences is None:
        return whole
    size = SUITES[whole.name][1] if whole.real and whole.name in SUITES else 1
    groups = [whole.items[start : start + size] for start in range(0, len(whole.items), size)]
    wanted = max(1, round(sentences / (size * len(whole.items[0].choices))))
    if wanted >= len(groups):
        return whole
    taken = [groups[len(groups) * at // wanted] for at in range(wanted)]
    return Texts(whole.name, tuple(item for group in taken for item in group), whole.real)


def _item(at: int, choices: Sequence[str], context: str = "") -> Item:
    return Item(id=f"{at:05}", text=context, template=f"{at:05}", choices=tuple(choices))


def _sentences(tokenizer: Any, count: int = 2_000) -> list[Item]:
    return [_item(at, [text]) for at, text in enumerate(texts(tokenizer, spread(8, 40, count)))]


def _minimal_pairs(tokenizer: Any, count: int = 1_000) -> list[Item]:
    heads, tails = texts(tokenizer, [7] * count), texts(tokenizer, [8] * (2 * count), seed=1)
    return [_item(at, [head + tails[2 * at], head + tails[2 * at + 1]]) for at, head in enumerate(heads)]


def _questions(tokenizer: Any, count: int = 400) -> list[Item]:
    contexts, answers = texts(tokenizer, spread(30, 60, count)), texts(tokenizer, [4] * (3 * count), seed=1)
    return [_item(at, answers[3 * at : 3 * at + 3], context) for at, context in enumerate(contexts)]


def of_32_tokens(tokenizer: Any, count: int = 8_192) -> Texts:
    """Distinct sentences of 32 tokens."""
    found = enumerate(texts(tokenizer, [32] * count))
    return Texts("32-token sentences", tuple(_item(at, [text]) for at, text in found), False)


# -- the ways --


class Ways:
    """Three ways to score the same texts; each returns how many it scored and keeps the sums of its last pass."""

    def __init__(self, model: Model, plain: tuple[Any, Any], some: Texts) -> None:
        self.model = model
        self.module, self.tokenizer = plain
        self.texts = some
        self.sums: dict[str, Sums] = {}

    def ours(self) -> int:
        """Plan and score, tokenisation included, as a run does."""
        items = {item.id: item for item in self.texts.items}
        batches = self.model.plan_likelihood(self.texts.items, begin="bos")
        found = [one for batch in self.model.loglikelihood(items, batches, begin="bos") for one in batch]
        self.sums[OURS] = {(one.item, one.choice): one.logprob for one in found if one.logprob is not None}
        if len(self.sums[OURS]) != len(self.texts.pairs):
            raise RuntimeError(f"{len(self.sums[OURS])} of {len(self.texts.pairs)} choices were scored")
        return len(found)

    def one_by_one(self, count: int) -> Callable[[], int]:
        """Each sentence with a forward pass of its own, as SafeNLP's script does, evenly from the texts."""
        pairs = self.texts.pairs
        some = pairs[:: max(1, len(pairs) // count)][:count]

        @torch.inference_mode()
        def call() -> int:
            sums: Sums = {}
            for key, context, choice in some:
                ids, scored = self.model.encode_choice(context, choice, "bos")
                row = torch.tensor([ids], device=self.module.device)
                logprobs = self.module(input_ids=row).logits[0, :-1].float().log_softmax(-1)
                sums[key] = float(logprobs.gather(1, row[0, 1:, None])[-scored:].sum())
            self.sums[LOOP] = sums
            return len(some)

        return call

    def harness(self, rows: int, module: Any = None, name: str = HARNESS, few: int = 0) -> Callable[[], int]:
        """lm-eval's ``HFLM.loglikelihood``; ``few`` scores only about so many, for the search of a batch size."""
        from lm_eval.api.instance import Instance
        from lm_eval.models.huggingface import HFLM

        logging.getLogger("lm_eval").setLevel(logging.ERROR)
        wrapped = HFLM(
            pretrained=self.module if module is None else module, tokenizer=self.tokenizer, batch_size=rows,
            device=str(self.model.weights.device),
        )  # fmt: skip
        pairs = self.texts.pairs
        pairs = pairs[:: max(1, len(pairs) // few)] if few else pairs
        asked = [Instance("loglikelihood", {}, (context, choice), at) for at, (_, context, choice) in enumerate(pairs)]

        def call() -> int:
            found = wrapped.loglikelihood(asked, disable_tqdm=True)
            self.sums[name] = {key: total for (key, _, _), (total, _) in zip(pairs, found, strict=True)}
            return len(found)

        return call

    def difference(self, name: str) -> float:
        """Largest relative difference of a sum from this project's."""
        mine = self.sums[OURS]
        return max(abs(mine[key] - total) / max(abs(total), 1e-9) for key, total in self.sums[name].items())


def counted(model: Model, some: Texts) -> tuple[int, int]:
    """Tokens of all texts, and distinct ones: those that differ in themselves or in what stands before."""
    seen: set[int] = set()
    total = 0
    for _, context, choice in some.pairs:
        ids, _ = model.encode_choice(context, choice, "bos")
        total += len(ids)
        place = 0
        for token in ids:
            place = hash((place, token))
            seen.add(place)
    return total, len(seen)


# -- measuring --


def one_set(model: Model, plain: tuple[Any, Any], some: Texts, repeats: int, rates: Ceilings) -> dict[str, Any]:
    """Time everything over one set."""
    device = model.weights.device
    total, distinct = counted(model, some)
    say(f"{some.name}: {len(some.pairs)} sentences, {total} tokens, {distinct / total:.2f} distinct")
    ways = Ways(model, plain, some)
    first = interleaved({f"{OURS}, first pass": ways.ours}, 1, device).popitem()[1]
    series: dict[str, Series] = {}
    loop = interleaved({LOOP: ways.one_by_one(ONE_BY_ONE[device.type])}, 1, device)
    calls: dict[str, Callable[[], int]] = {OURS: ways.ours}
    chosen: dict[str, Any] = {}
    try:
        sizes = _searched(ways, device, len(some.pairs))
    except ImportError as error:
        chosen["lm-eval left out"] = f"{error}; pip install 'slm-audit[bench]'"
    else:
        best = max(sizes, key=lambda rows: sizes[rows])
        chosen |= {"lm-eval's best batch": best, "sizes tried": sizes}
        calls[HARNESS] = ways.harness(best)
    interleaved(calls, repeats, device, series)
    if HARNESS in calls and device.type == "cpu":
        interleaved({PREPARED: ways.harness(best, model.module, PREPARED)}, 1, device, series)
    series |= loop
    least = 2.0 * distinct * (layer_weights(model.module) + model.module.get_output_embeddings().weight.numel())
    mine = series[OURS].rate
    return {
        "set": some.name, "published texts": some.real, "sentences": len(some.pairs), "tokens": total,
        "distinct tokens": distinct, "sentences a second": {name: one.record() for name, one in series.items()},
        "tokens a second": round(mine * total / len(some.pairs), 1),
        "times": {name: round(mine / one.rate, 2) for name, one in series.items() if name != OURS},
        "largest relative difference": {name: ways.difference(name) for name in series if name != OURS},
        "share of the arithmetic of distinct tokens": round(least / rates.matrix * mine / len(some.pairs), 3),
        "first pass, seconds": round(first.passes[0].seconds, 2),
    } | chosen  # fmt: skip


def _searched(ways: Ways, device: torch.device, sentences: int) -> dict[int, float]:
    """Sentences a second of lm-eval at each batch size, on a quarter of the texts."""
    found = {}
    for rows in ROWS[device.type]:
        try:
            call = ways.harness(rows, few=max(sentences // 4, min(rows, sentences)))
            found[rows] = round(interleaved({f"lm-eval, {rows} rows": call}, 1, device).popitem()[1].rate, 1)
        except torch.OutOfMemoryError:
            torch.cuda.empty_cache()
            break
    return found


def whole_set(model: Model, plain: tuple[Any, Any], some: Texts, of_part: dict[str, Any]) -> dict[str, Any]:
    """This project alone over a whole set, once; its peers' speed, which knows no sharing, is that of the part."""
    total, distinct = counted(model, some)
    say(f"{some.name}, whole: {len(some.pairs)} sentences, {distinct / total:.2f} distinct")
    found = interleaved({OURS: Ways(model, plain, some).ours}, 1, model.weights.device)[OURS]
    return {
        "set": f"{some.name}, whole", "published texts": some.real, "sentences": len(some.pairs), "tokens": total,
        "distinct tokens": distinct, "sentences a second": {OURS: found.record()},
        "tokens a second": round(found.rate * total / len(some.pairs), 1),
        "times": {
            name: round(found.rate / one["rate"], 2) for name, one in of_part["sentences a second"].items()
            if name != OURS
        },
    }  # fmt: skip


def row(result: dict[str, Any]) -> dict[str, Any]:
    """A line of the table."""
    rates = {name: one["rate"] for name, one in result["sentences a second"].items()}
    times = result.get("times", {})
    return {
        "set": result["set"],
        "sentences": result["sentences"],
        "distinct tokens": result["distinct tokens"] / result["tokens"],
        "tokens/s": result["tokens a second"],
        **{f"{name}, sentences/s": rates[name] for name in rates},
        **{f"times {name}": times[name] for name in times},
        **{f"difference from {name}": f"{value:.0e}" for name, value in
           result.get("largest relative difference", {}).items()},
    }  # fmt: skip


def run(spec: str, asked: argparse.Namespace) -> dict[str, Any]:
    """Measure all sets, keeping the record after each, so that a run that is cut off leaves what it has."""
    device = asked.device
    start = time.perf_counter()
    model = loaded(spec, device)
    spent = time.perf_counter() - start
    plain = as_published(model)
    rates = ceilings(plain[0], model.weights.device, model.module.dtype)
    record: dict[str, Any] = {
        "hardware": describe(model.weights.device), "model": "Phi-2's shape, random" if device == "cuda" else spec,
        "dtype": model.weights.dtype, "ceilings": asdict(rates), "repeats": asked.repeats, "begin": "bos",
        "loading, seconds": round(spent, 2), "path": model.describe().get("scoring"), "results": [],
    }  # fmt: skip
    say(f"ceilings: {rates}")
    names = [name for name in SUITES if not asked.only or name in asked.only.split(";")]
    sets = [gathered(name, model.tokenizer) for name in names]
    if device == "cuda":
        sets.append(of_32_tokens(model.tokenizer))
    for whole in sets:
        some = part(whole, asked.sentences or SENTENCES[device].get(whole.name))
        record["results"].append(one_set(model, plain, some, asked.repeats, rates))
        if whole.name in ("CrowS-Pairs", "safety score") and len(some.items) < len(whole.items):
            record["results"].append(whole_set(model, plain, whole, record["results"][-1]))
        if asked.write:
            write(f"likelihood-{device}", record)
    return record


def main() -> None:
    """Measure, print, and with ``--write`` keep the result."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 2)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--sentences", type=int, default=0, help="of each set, about")
    parser.add_argument("--only", default="", help="names of sets, separated by semicolons")
    parser.add_argument("--write", action="store_true", help="keep the result under benchmarks/results")
    asked = parser.parse_args()
    torch.set_num_threads(asked.threads)

    start = time.perf_counter()
    with subject(asked.device) as spec:
        record = run(spec, asked)
    rows = [row(result) for result in record["results"]]
    say(table(rows))
    if asked.write:
        refresh(f"likelihood-{asked.device}", record["hardware"], rows)
    say(f"took {time.perf_counter() - start:.0f} s")


if __name__ == "__main__":
    main()
