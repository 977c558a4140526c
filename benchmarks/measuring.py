"""Timing several calls side by side, how busy the machine was meanwhile, and where results are kept."""

from __future__ import annotations

import contextlib
import json
import statistics
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from benchmarks.hardware import synchronize

RESULTS = Path(__file__).parent / "results"
_EVERY = 0.2


@dataclass(slots=True)
class Pass:
    """One timed call."""

    work: int
    """Tokens or sentences that it did."""
    seconds: float
    busy: float | None
    """On a CPU the share of the threads' time that this process computed; on a GPU the mean of the driver's share of
    time with a kernel running; None where the driver does not tell."""

    @property
    def rate(self) -> float:
        """Work a second."""
        return self.work / self.seconds


@dataclass(slots=True)
class Series:
    """The passes of one call, of which the median counts."""

    passes: list[Pass] = field(default_factory=list)

    @property
    def rate(self) -> float:
        """Median work a second."""
        return statistics.median(one.rate for one in self.passes)

    def record(self) -> dict[str, Any]:
        """What the JSON keeps."""
        busy = [one.busy for one in self.passes if one.busy is not None]
        return {
            "rate": round(self.rate, 2),
            "passes": [round(one.rate, 2) for one in self.passes],
            "seconds": [round(one.seconds, 3) for one in self.passes],
            "work": self.passes[0].work,
            "busy": round(statistics.median(busy), 3) if busy else None,
        }


def one_pass(call: Callable[[], int], device: torch.device) -> Pass:
    """Time one call, which returns how much work it did."""
    with _utilisation(device) as seen:
        synchronize(device)
        start, used = time.perf_counter(), time.process_time()
        work = call()
        synchronize(device)
        seconds, used = time.perf_counter() - start, time.process_time() - used
    if device.type == "cpu":
        return Pass(work, seconds, used / (seconds * torch.get_num_threads()))
    return Pass(work, seconds, statistics.mean(seen) / 100 if seen else None)


def interleaved(
    calls: Mapping[str, Callable[[], int]], repeats: int, device: torch.device, into: dict[str, Series] | None = None
) -> dict[str, Series]:
    """Time every call ``repeats`` times, in turn, so that a busy minute meets all of them.

    Args:
        calls: by name; each returns the work it did.
        repeats: passes of each.
        device: where they compute.
        into: series to go on with.
    """
    series = {} if into is None else into
    for _ in range(repeats):
        for name, call in calls.items():
            made = one_pass(call, device)
            series.setdefault(name, Series()).passes.append(made)
            say(f"  {name}: {made.rate:.1f}/s in {made.seconds:.1f} s")
    return series


@contextlib.contextmanager
def _utilisation(device: torch.device) -> Iterator[list[float]]:
    """Percent of time with a kernel running, asked of nvidia-smi now and then; nothing on a CPU."""
    seen: list[float] = []
    if device.type != "cuda":
        yield seen
        return
    stop = threading.Event()
    asked = ["nvidia-smi", "--query-gpu=utilization.gpu", "--format=csv,noheader,nounits"]

    def watch() -> None:
        while not stop.wait(_EVERY):
            with contextlib.suppress(OSError, ValueError, subprocess.SubprocessError):
                done = subprocess.run(asked, check=True, capture_output=True, text=True, timeout=5)
                seen.append(float(done.stdout.splitlines()[device.index or 0]))

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    try:
        yield seen
    finally:
        stop.set()
        thread.join()


def say(text: str) -> None:
    """Print at once: these programs run for minutes."""
    print(text, flush=True)


def table(rows: Sequence[Mapping[str, Any]]) -> str:
    """Markdown; a column stands where its name first appears, numbers have three or four figures."""
    heads = list(dict.fromkeys(head for row in rows for head in row))
    lines = ["| " + " | ".join(heads) + " |", "|" + "---|" * len(heads)]
    lines += ["| " + " | ".join(_shown(row.get(head)) for head in heads) + " |" for row in rows]
    return "\n".join(lines)


def _shown(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"
    return f"{value:,}" if isinstance(value, int) else str(value)


def write(name: str, record: Mapping[str, Any]) -> None:
    """Keep a result as ``benchmarks/results/NAME.json``."""
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / f"{name}.json").write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
