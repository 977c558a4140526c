"""Everything that needs a GPU, in one call: the tests marked ``cuda``, then the benchmarks on CUDA.

``python -m benchmarks.device [--seconds N]``. Each part is a process with a time limit and writes its own JSON as it
goes under ``benchmarks/results``; ``device.json`` says after each part how it ended, so that a call that is cut off
leaves what was finished. The parts that matter most come first.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time

import torch

from benchmarks.hardware import describe
from benchmarks.measuring import say, write

PARTS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("tests", ("pytest", "-q", "-m", "cuda", "tests/models")),
    ("generation", ("benchmarks.generation", "--device", "cuda", "--repeats", "2", "--write")),
    ("likelihood", ("benchmarks.likelihood", "--device", "cuda", "--write")),
    ("scale", ("benchmarks.scale", "--device", "cuda", "--write")),
)


def main() -> None:
    """Run the parts in turn."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=1500, help="for all parts together")
    asked = parser.parse_args()
    if not torch.cuda.is_available():
        sys.exit("no CUDA device is visible; on a CPU run the benchmarks one by one (make bench)")
    record: dict[str, object] = {"hardware": describe(torch.device("cuda", 0)), "parts": {}}
    ended: dict[str, object] = {}
    start = time.perf_counter()
    for name, words in PARTS:
        left = asked.seconds - (time.perf_counter() - start)
        if left <= 0:
            ended[name] = "no time was left"
            continue
        say(f"== {name}")
        began = time.perf_counter()
        try:
            code: object = subprocess.run([sys.executable, "-m", *words], timeout=left).returncode
        except subprocess.TimeoutExpired:
            code = "cut off"
        ended[name] = {"exit": code, "seconds": round(time.perf_counter() - began, 1)}
        write("device", record | {"parts": ended})
    say(str(ended))


if __name__ == "__main__":
    main()
