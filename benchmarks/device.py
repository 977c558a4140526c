"""Everything that needs a GPU: the tests marked ``cuda``, how far the fast paths are off, then the benchmarks on CUDA.

``python -m benchmarks.device [--seconds N] [--parts "tests;generation a"]``. Each part is a process with a time limit
and writes its own JSON as it goes under ``benchmarks/results``; ``device.json`` says after each part how it ended, so
that a call that is cut off leaves what was finished, and one part that fails costs no other. Where a call is short,
several do it: ``device.json`` keeps what earlier ones did with the same code on the same device. The parts that matter
most come first.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from typing import Any

import torch

from benchmarks.hardware import describe, same_code
from benchmarks.measuring import RESULTS, say, write

_GENERATION = ("benchmarks.generation", "--device", "cuda", "--repeats", "2", "--write", "--only")
PARTS: dict[str, tuple[str, ...]] = {
    "tests": ("pytest", "-q", "-m", "cuda", "tests/models", "tests/scorers"),
    "precision": ("benchmarks.precision", "--device", "cuda", "--write"),
    "generation b": (*_GENERATION, "b;b, top-p 1"),
    "generation a": (*_GENERATION, "a"),
    "generation c": (*_GENERATION, "c"),
    "likelihood": ("benchmarks.likelihood", "--device", "cuda", "--write"),
    "scale": ("benchmarks.scale", "--device", "cuda", "--write"),
}


def part(words: Sequence[str], seconds: float) -> dict[str, Any]:
    """Run one part; with what it started it is ended when its time is up."""
    began = time.perf_counter()
    child = subprocess.Popen([sys.executable, "-m", *words], start_new_session=True)
    try:
        code: int | str = child.wait(timeout=seconds)
    except subprocess.TimeoutExpired:
        code = "cut off"
    finally:
        if child.poll() is None:
            os.killpg(child.pid, signal.SIGKILL)
            child.wait()
    return {"exit": code, "seconds": round(time.perf_counter() - began, 1)}


def earlier(hardware: dict[str, Any]) -> dict[str, Any]:
    """How parts ended in earlier calls with the same code and packages on the same device."""
    try:
        found = json.loads((RESULTS / "device.json").read_text(encoding="utf-8"))
        same = same_code(found["hardware"], hardware)
    except (OSError, ValueError, KeyError, TypeError):
        return {}
    return dict(found["parts"]) if same else {}


def main() -> None:
    """Run the parts in turn; ends with 1 where one did not end well."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=570, help="for all parts together")
    parser.add_argument("--parts", default=";".join(PARTS), help="separated by semicolons; all by default")
    asked = parser.parse_args()
    names = [name.strip() for name in asked.parts.split(";") if name.strip()]
    if strange := [name for name in names if name not in PARTS]:
        sys.exit(f"no part {', '.join(strange)}; there are: {'; '.join(PARTS)}")
    if not torch.cuda.is_available():
        sys.exit("no CUDA device is visible; on a CPU run the benchmarks one by one (make bench)")
    start, hardware = time.perf_counter(), describe(torch.device("cuda", 0))
    ended = earlier(hardware)
    for name in names:
        left = asked.seconds - (time.perf_counter() - start)
        say(f"== {name}, {left:.0f} s left")
        ended[name] = part(PARTS[name], left) if left > 0 else {"exit": "no time was left", "seconds": 0.0}
        write("device", {"hardware": hardware, "parts": ended})
    say(str(ended))
    if any(ended[name]["exit"] != 0 for name in names):
        sys.exit(1)


if __name__ == "__main__":
    main()
