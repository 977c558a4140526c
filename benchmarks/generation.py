"""Tokens drawn a second: this project against transformers (and vLLM where it is installed), on the same weights.

``python -m benchmarks.generation [--device cpu|cuda] [--write]``. CUDA: Phi-2's shape with random weights; CPU:
SmolLM2 with fewer prompts. The workloads: (a) distinct prompts of 20 to 120 tokens, one answer of 32; (b) the shape of
RealToxicityPrompts, 8 to 20 tokens, 25 answers of 20; (c) the shape of ToxiGen's prompts, 100 to 200 tokens, 4 answers
of 30. Answers never end early, so that all sides draw the same number of tokens. Every side is given texts and gives
texts. The best batch size of ``generate`` is searched; passes are interleaved and their median counts.
"""

from __future__ import annotations

import argparse
import contextlib
import gc
import json
import os
import subprocess
import sys
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import torch

from audit.models import Model
from audit.models.memory import peak
from benchmarks import generators
from benchmarks.bound import FORMULA, bound
from benchmarks.generators import Transformers, Workload
from benchmarks.hardware import ceilings, describe, same_code
from benchmarks.measuring import RESULTS, Series, interleaved, say, table, write
from benchmarks.page import refresh
from benchmarks.subjects import as_published, loaded, subject

OURS, BEST, TUTORIAL = "slm-audit", "generate, best batch", "pipeline, one prompt a call"
STATIC, CONTINUOUS, VLLM = "generate, static cache, compiled", "continuous batching", "vLLM"
WORKLOADS: dict[str, tuple[Workload, ...]] = {
    "cuda": (
        Workload("a", 4096, 20, 120, 1, 32),
        Workload("b", 256, 8, 20, 25, 20),
        Workload("c", 512, 100, 200, 4, 30),
        Workload("b, top-p 1", 256, 8, 20, 25, 20, top_p=1.0),
    ),
    "cpu": (
        Workload("a", 32, 20, 120, 1, 32),
        Workload("b", 4, 8, 20, 25, 20),
        Workload("c", 6, 100, 200, 4, 30),
        Workload("b, k = 8", 24, 8, 20, 8, 20),
        Workload("c, k = 8", 8, 100, 200, 8, 30),
        Workload("b, k = 8, top-p 1", 24, 8, 20, 8, 20, top_p=1.0),
    ),
}
ALL_PEERS = ("a", "b", "c")
"""Workloads over which all peers are timed; over the others only ``generate``."""
ROWS = {"cuda": (2048, 1024, 512, 256, 128, 64), "cpu": (128, 64, 32)}
# A search ends once a size is so much slower than the best before it.
_WORSE = 0.9


def searched(peers: Transformers, rows: tuple[int, ...], device: torch.device) -> tuple[int, Series, dict[int, float]]:
    """The best batch size of ``generate``, its first pass, and tokens a second at each size tried."""
    tried: dict[int, Series] = {}
    # Sizes that hold as many whole prompts are one.
    sizes = {min(max(1, size // peers.work.samples), peers.work.prompts) * peers.work.samples for size in rows}
    for size in sorted(sizes, reverse=True):
        made = None
        with contextlib.suppress(torch.OutOfMemoryError):
            made = interleaved({f"generate, {size} rows": peers.generate(size)}, 1, device).popitem()[1]
        if made is None:
            _free(device)
            continue
        tried[size] = made
        best = max(tried, key=lambda one: tried[one].rate)
        if tried[size].rate < _WORSE * tried[best].rate:
            break
    if not tried:
        raise RuntimeError(f"generate ran out of memory at every batch size, {min(sizes)} rows included")
    return best, tried[best], {size: round(one.rate, 1) for size, one in tried.items()}


def _free(device: torch.device) -> None:
    """Give back what the last call left in torch's cache; not while its error is handled, which keeps it alive."""
    if device.type == "cuda":
        gc.collect()
        torch.cuda.empty_cache()


def attempts(
    calls: Mapping[str, Callable[[], int]], passes: int, device: torch.device, series: dict[str, Series]
) -> dict[str, str]:
    """Peers that may fail or not exist here: adds their passes to ``series``, returns the reasons of those left out."""
    reasons = {}
    for name, call in calls.items():
        try:
            interleaved({name: call}, passes, device, series)
        except Exception as error:  # whatever another library raises is the finding
            reasons[name] = f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}"[:300]
            say(f"  {name}: {reasons[name]}")
            series.pop(name, None)
        _free(device)
    return reasons


def one_workload(model: Model, plain: tuple[Any, Any], work: Workload, repeats: int, spec: str) -> dict[str, Any]:
    """Time everything over one workload."""
    say(f"{work.name}: {work.prompts} prompts x {work.samples}, {work.tokens} tokens")
    device, items = model.weights.device, work.items(model.tokenizer)
    peers = Transformers(*plain, items, work)
    cuda = device.type == "cuda"
    with warnings.catch_warnings(record=True) as heard:
        warnings.simplefilter("always")  # a fast path that is given up says so
        first = interleaved({OURS: lambda: generators.ours(model, items, work)}, 1, device)
    rows, found, sizes = searched(peers, ROWS[device.type], device)
    # On CUDA first passes capture graphs and compile: they are told apart. On a CPU there is nothing of the kind.
    series = {} if cuda else {OURS: first[OURS], BEST: found}
    calls = {OURS: lambda: generators.ours(model, items, work), BEST: peers.generate(rows)}
    interleaved(calls, repeats if cuda else repeats - 1, device, series)
    starts = {OURS: first[OURS].passes[0].seconds}
    reasons = _others(peers, rows, series, starts, device) if work.name in ALL_PEERS else {}
    if cuda and work.name in ALL_PEERS:
        reasons |= _vllm(spec, items, work, device, series)
    return _result(model, work, series, reasons, starts) | {
        "rows of generate's best batch": rows,
        "sizes tried": sizes,
        "warnings": sorted({str(one.message) for one in heard}),
    }


def _others(
    peers: Transformers, rows: int, series: dict[str, Series], starts: dict[str, float], device: torch.device
) -> dict[str, str]:
    """The pipeline, continuous batching and the compiled ``generate``; returns the reasons of those left out."""
    from transformers import CompileConfig

    cuda = device.type == "cuda"
    calls = {TUTORIAL: peers.tutorial(4 if cuda else 2), CONTINUOUS: peers.continuous}
    reasons = attempts(calls, 1, device, series)
    # Left alone transformers compiles on accelerators only.
    compiled = CompileConfig()
    compiled._compile_all_devices = True
    static = {STATIC: peers.generate(rows, cache_implementation="static", compile_config=compiled)}
    cold: dict[str, Series] = {}
    reasons |= attempts(static, 1, device, cold)
    starts.update({name: one.passes[0].seconds for name, one in cold.items()})
    return reasons | attempts({name: static[name] for name in cold}, 1, device, series)


def _vllm(
    folder: str, items: dict[str, Any], work: Workload, device: torch.device, series: dict[str, Series]
) -> dict[str, str]:
    try:
        call, close = generators.vllm(folder, items, work)
    except Exception as error:  # not installed, or it does not start beside another model
        return {VLLM: f"{type(error).__name__}: {error}"[:300]}
    reasons = attempts({VLLM: call}, 2, device, series)
    close()
    return reasons


def _result(
    model: Model, work: Workload, series: dict[str, Series], reasons: dict[str, str], starts: dict[str, float]
) -> dict[str, Any]:
    peers = {name: one.rate for name, one in series.items() if name != OURS}
    best = max(peers, key=lambda name: peers[name])
    return {
        "workload": asdict(work),
        "tokens a second": {name: one.record() for name, one in series.items()},
        "times the best peer": round(series[OURS].rate / peers[best], 2),
        "times generate's best": round(series[OURS].rate / peers[BEST], 2),
        "best peer": best,
        "left out": reasons,
        "first pass, seconds": {name: round(value, 2) for name, value in starts.items()},
    }


def with_bound(result: dict[str, Any], model: Model, rates: Any) -> dict[str, Any]:
    """Add the bound and the share of it that was reached."""
    work = Workload(**result["workload"])
    least = bound(model.module, work, rates)
    share = {
        name: round(least.seconds * one["rate"] / work.tokens, 3) for name, one in result["tokens a second"].items()
    }
    return result | {"bound": least.record(), "share of the bound": share}


def memory(spec: str, device: str, work: Workload) -> dict[str, Any]:
    """Start-up and peak memory of this project alone, in a process of its own (see :func:`main`)."""
    start = time.perf_counter()
    model = loaded(spec, device, endless=True)
    spent = {"loading": time.perf_counter() - start}
    tiny = replace(work, prompts=1, samples=1, new=2)
    generators.ours(model, tiny.items(model.tokenizer), tiny)
    spent["loading and first answer"] = time.perf_counter() - start
    items = work.items(model.tokenizer)
    batches = model.plan_generation(list(items.values()), work.samples, work.decoding)
    loading = _forget_peak(device)
    predicted = model.predicted_peak(items, batches, decoding=work.decoding)
    generators.ours(model, items, work)
    most = _peak(device)
    return {
        "batches": len(batches),
        "predicted peak, MiB": predicted >> 20,
        "peak, MiB": most >> 20,
        "peak over predicted": round(most / predicted, 3),
        "peak of loading, MiB": loading >> 20,
        "start-up, seconds": {name: round(value, 2) for name, value in spent.items()},
    }


def _peak(device: str) -> int:
    """Bytes at most: allocated by torch on CUDA, the largest resident set on a CPU."""
    if device == "cuda":
        return torch.cuda.max_memory_allocated()
    return peak()


def _forget_peak(device: str) -> int:
    """Begin a new peak, so that loading does not hide what the work takes; returns the old one."""
    gc.collect()
    before = _peak(device)
    if device == "cuda":
        torch.cuda.reset_peak_memory_stats()
    else:
        with contextlib.suppress(OSError):  # where it is not Linux, or not allowed, the old peak stays
            Path("/proc/self/clear_refs").write_text("5")
    return before


def alone(spec: str, device: str, work: Workload, threads: int) -> dict[str, Any]:
    """:func:`memory` in a process of its own; its error in words where it fails."""
    told = ["--memory", json.dumps(asdict(work)), "--spec", spec, "--device", device, "--threads", str(threads)]
    if device == "cuda":
        torch.cuda.empty_cache()
    try:
        done = subprocess.run(
            [sys.executable, "-m", "benchmarks.generation", *told], capture_output=True, text=True, timeout=600
        )
    except subprocess.TimeoutExpired:
        return {"failed": ["it took more than 600 s"]}
    if done.returncode:
        return {"failed": done.stderr.strip().splitlines()[-1:]}
    return dict(json.loads(done.stdout.strip().splitlines()[-1]))


def row(result: dict[str, Any]) -> dict[str, Any]:
    """A line of the table."""
    rates = {name: one["rate"] for name, one in result["tokens a second"].items()}
    work = result["workload"]
    return {
        "workload": f"{work['name']}: {work['prompts']} x {work['samples']}",
        **{f"{name}, tokens/s": rates.get(name) for name in (OURS, BEST, STATIC, CONTINUOUS, VLLM, TUTORIAL)
           if name in rates},
        "times the best peer": result["times the best peer"],
        "share of the bound": result["share of the bound"][OURS],
        "busy": result["tokens a second"][OURS]["busy"],
        "peak MiB": result.get("memory", {}).get("peak, MiB"),
        "over predicted": result.get("memory", {}).get("peak over predicted"),
    }  # fmt: skip


def run(spec: str, asked: argparse.Namespace) -> dict[str, Any]:
    """Measure all workloads, keeping the record after each, so that a run that is cut off leaves what it has."""
    device = asked.device
    model = loaded(spec, device, endless=True)
    plain = as_published(model, endless=True)
    record: dict[str, Any] = {
        "hardware": describe(model.weights.device), "model": "Phi-2's shape, random" if device == "cuda" else spec,
        "dtype": model.weights.dtype, "formula": FORMULA, "repeats": asked.repeats, "failed": {},
    }  # fmt: skip
    chosen = [work for work in WORKLOADS[device] if not asked.only or work.name in asked.only.split(";")]
    record["results"] = _kept(record, [work.name for work in chosen]) if asked.write else []
    rates = ceilings(plain[0], model.weights.device, model.module.dtype)
    record["ceilings"] = asdict(rates)
    record["paths"] = {key: model.describe().get(key) for key in ("generation", "scoring")}
    say(f"ceilings: {rates}")
    # The first answers pay for more than themselves: what that is stands with each workload's memory.
    small = Workload("small", 2, 8, 20, 2, 2)
    generators.ours(model, small.items(model.tokenizer), small)
    Transformers(*plain, small.items(model.tokenizer), small).generate(4)()
    for work in chosen:
        try:
            result = with_bound(one_workload(model, plain, work, asked.repeats, spec), model, rates)
        except Exception as error:  # one workload that fails costs no other
            record["failed"][work.name] = f"{type(error).__name__}: {error}"[:300]
            say(f"  {work.name} failed: {record['failed'][work.name]}")
        else:
            if work.name in ALL_PEERS:
                result["memory"] = alone(spec, device, work, asked.threads)
            record["results"].append(result)
        _free(model.weights.device)
        if asked.write:
            write(f"generation-{device}", record)
    return record


def _kept(record: Mapping[str, Any], again: Sequence[str]) -> list[dict[str, Any]]:
    """Results of other workloads from an earlier call with the same code and packages on the same device."""
    device = "cuda" if record["model"] == "Phi-2's shape, random" else "cpu"
    try:
        before = json.loads((RESULTS / f"generation-{device}.json").read_text(encoding="utf-8"))
        same = same_code(before["hardware"], record["hardware"])
        return [one for one in before["results"] if same and one["workload"]["name"] not in again]
    except (OSError, ValueError, KeyError, TypeError):
        return []


def main() -> None:
    """Measure, print, and with ``--write`` keep the result."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 2)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--only", default="", help="names of workloads, separated by semicolons")
    parser.add_argument("--write", action="store_true", help="keep the result under benchmarks/results")
    parser.add_argument("--spec", default="", help=argparse.SUPPRESS)
    parser.add_argument("--memory", default="", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    torch.set_num_threads(asked.threads)
    if asked.memory:
        print(json.dumps(memory(asked.spec, asked.device, Workload(**json.loads(asked.memory)))))
        return

    start = time.perf_counter()
    with subject(asked.device) as spec:
        record = run(spec, asked)
    rows = [row(result) for result in record["results"]]
    say(table(rows))
    for result in record["results"]:
        say(f"{result['workload']['name']}: left out {result['left out']}")
    if asked.write:
        refresh(f"generation-{asked.device}", record["hardware"], rows)
    if record["failed"]:
        sys.exit(f"failed: {record['failed']}")
    say(f"took {time.perf_counter() - start:.0f} s")


if __name__ == "__main__":
    main()
