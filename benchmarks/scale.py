"""Does time grow with the items, and memory not? A whole run over 1, 2, 4, 8 and 16 times as many.

``python -m benchmarks.scale [--device cpu|cuda] [--write]``: each size is a run in a process of its own, with scoring,
writing and the summary, over prompts to be continued (ToxiGen's, two answers each) and sentences to be scored (those of
its safety score); their files must be at hand (``slm-audit fetch``). The time is that of the run, after the model was
loaded and a small run was done; the memory is the process's largest resident set, on CUDA also what torch allocated at
most.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import torch

from benchmarks.hardware import describe
from benchmarks.measuring import say, table, write
from benchmarks.page import refresh
from benchmarks.subjects import loaded, subject

FACTORS = (1, 2, 4, 8, 16)
PROMPTS, SENTENCES = "toxigen", "toxigen-safety"
FIRST = {"cpu": {PROMPTS: 26, SENTENCES: 130}, "cuda": {PROMPTS: 260, SENTENCES: 780}}
SAMPLES = 2


def one_size(spec: str, device: str, factor: int) -> dict[str, Any]:
    """Time one run in this process."""
    from audit.loop import execute
    from audit.models.memory import peak
    from audit.plan import make_plan

    model = loaded(spec, device)
    limits = {name: factor * count for name, count in FIRST[device].items()}
    values = {"model": spec, "suites": list(limits), "samples": SAMPLES, "device": device}
    with tempfile.TemporaryDirectory() as folder:
        execute(make_plan(values | {"limit": 4}), Path(folder) / "small", loaded=model)
        before = peak()
        start = time.perf_counter()
        run = execute(make_plan(values | {"limit": limits}), Path(folder) / "run", loaded=model)
        spent = time.perf_counter() - start
        answers = sum(1 for _ in (run.path / "samples.jsonl").open())
        scored = sum(1 for _ in (run.path / "likelihoods.jsonl").open())
    found = {
        "times the items": factor, "answers": answers, "sentences": scored, "seconds": round(spent, 2),
        "largest resident set, MiB": peak() >> 20,
        "after the small run, MiB": before >> 20,
    }  # fmt: skip
    if device == "cuda":
        found["allocated at most, MiB"] = torch.cuda.max_memory_allocated() >> 20
    return found


def run_all(spec: str, asked: argparse.Namespace) -> dict[str, Any]:
    """All sizes, each in its own process."""
    device = asked.device
    record: dict[str, Any] = {
        "hardware": describe(torch.device(device)), "suites": FIRST[device], "samples": SAMPLES, "rows": []
    }  # fmt: skip
    for factor in FACTORS:
        told = ["--spec", spec, "--device", device, "--threads", str(asked.threads), "--factor", str(factor)]
        done = subprocess.run(
            [sys.executable, "-m", "benchmarks.scale", *told],
            stdout=subprocess.PIPE,
            text=True,
            timeout=600,
            check=True,
        )
        found = json.loads(done.stdout.strip().splitlines()[-1])
        first = record["rows"][0] if record["rows"] else found
        found["time, times the first"] = round(found["seconds"] / first["seconds"], 2)
        found["resident set, times the first"] = round(
            found["largest resident set, MiB"] / first["largest resident set, MiB"], 3
        )
        record["rows"].append(found)
        say(json.dumps(found))
        if asked.write:
            write(f"scale-{device}", record)
    return record


def main() -> None:
    """Measure, print, and with ``--write`` keep the result."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 2)
    parser.add_argument("--write", action="store_true", help="keep the result under benchmarks/results")
    parser.add_argument("--spec", default="", help=argparse.SUPPRESS)
    parser.add_argument("--factor", type=int, default=0, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    torch.set_num_threads(asked.threads)
    if asked.factor:
        print(json.dumps(one_size(asked.spec, asked.device, asked.factor)))
        return

    with subject(asked.device) as spec:
        record = run_all(spec, asked)
    say(table(record["rows"]))
    if asked.write:
        refresh(f"scale-{asked.device}", record["hardware"], record["rows"])


if __name__ == "__main__":
    main()
