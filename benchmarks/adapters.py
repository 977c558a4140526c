"""A base and its adapters on one set of weights: what a switch costs, and whether the base comes back unchanged.

``python -m benchmarks.adapters [--write]``: the embedded model and the demo's three adapters on a CPU. A switch is
timed alone, there and back, and with a scored batch behind it, beside the same batch without a switch. Loading an
adapter and the first use of its fast paths (they are tried first) stand apart. The base's log-likelihoods before any
adapter was loaded, and after all were in use, must be the same numbers.
"""

from __future__ import annotations

import argparse
import os
import statistics
import time
from typing import Any

import torch

from audit.demonstration.show import VARIANTS, adapter_folder
from audit.models import Model, load_model
from benchmarks.hardware import describe
from benchmarks.measuring import say, table, write
from benchmarks.page import refresh
from probes import registry

ROUNDS = 5


def sums(model: Model, some: int = 2) -> tuple[float, ...]:
    """Log-likelihoods of a few passages."""
    items = registry.get("plain-text").items[:some]
    batches = model.plan_likelihood(items)
    by_id = {item.id: item for item in items}
    found = [one.logprob for batch in model.loglikelihood(by_id, batches) for one in batch]
    if None in found or len(found) != some:
        raise RuntimeError(f"{some} passages were asked for, the log-likelihoods are {found}")
    return tuple(one for one in found if one is not None)


def spent(model: Model) -> float:
    """Seconds of scoring them."""
    start = time.perf_counter()
    sums(model)
    return time.perf_counter() - start


def switches(base: Model, variant: str) -> list[float]:
    """Seconds of switching the base to an adapter and back, without any work."""
    name = base.weights.add(adapter_folder(variant))
    found = []
    for _ in range(ROUNDS):
        start = time.perf_counter()
        with base.weights.active(name):
            pass
        with base.weights.active(None):
            found.append(time.perf_counter() - start)
    return found


def measure() -> dict[str, Any]:
    """Load, switch to and fro, compare."""
    base = load_model("smollm2", device="cpu")
    before = sums(base)
    models: dict[str, Model] = {}
    rows: list[dict[str, Any]] = []
    for name in VARIANTS:
        start = time.perf_counter()
        models[name] = Model(base.weights, adapter_folder(name))
        loading = time.perf_counter() - start
        first = spent(models[name])
        rows.append({"variant": name, "loading, seconds": round(loading, 3), "first use, seconds": round(first, 3)})
    after = sums(base)
    for row in rows:
        switching, again = [], []
        for _ in range(ROUNDS):
            spent(base)
            switching.append(spent(models[row["variant"]]))
            again.append(spent(models[row["variant"]]))
        row["switch and score, seconds"] = round(statistics.median(switching), 4)
        row["score again, seconds"] = round(statistics.median(again), 4)
        row["switch alone, seconds"] = round(statistics.median(switches(base, row["variant"])), 4)
        row["differs from the base"] = sums(models[row["variant"]]) != before
    return {
        "hardware": describe(base.weights.device), "rounds": ROUNDS, "rows": rows,
        "the base gives the same numbers": before == after == sums(base),
    }  # fmt: skip


def main() -> None:
    """Measure, print, and with ``--write`` keep the result."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 2)
    parser.add_argument("--write", action="store_true", help="keep the result under benchmarks/results")
    asked = parser.parse_args()
    torch.set_num_threads(asked.threads)
    record = measure()
    say(table(record["rows"]))
    same = record["the base gives the same numbers"]
    said = "With all of them loaded and switched off, the base gave " + (
        "the same log-likelihoods as before, bit for bit." if same else "other log-likelihoods than before."
    )
    say(said)
    if asked.write:
        write("adapters", record)
        refresh("adapters", record["hardware"], record["rows"], said)


if __name__ == "__main__":
    main()
