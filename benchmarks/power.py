"""Do the smallest detectable change and the n that settles a rule have the power they state? A simulation.

For each cell a pilot without change gives the smallest change; new data with that true change show how often the
interval then tells it from zero. And a pilot's own spread and harm give the n needed; new data of that size, drawn
from the pilot's clusters, show how often the rule is then settled. Run it with
``python -m benchmarks.power [--quick] [--write]``; ``--write`` keeps ``benchmarks/results/power.json`` and puts the
table into ``docs/statistics.md``.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from itertools import product
from pathlib import Path

import numpy as np

from audit.metrics import paired
from audit.metrics.paired import contrast, pair_units
from audit.metrics.power import needed_units, smallest_change
from audit.metrics.units import MEAN, RATE, Array, Statistic, Units
from benchmarks.page import put

RESULT = Path(__file__).parent / "results" / "power.json"
LEVEL, ALPHA = 0.95, 0.05
REPLICATES = 1_000


@dataclass(frozen=True, slots=True)
class Cell:
    """One question in one setting."""

    kind: str
    setting: str
    n: int
    median: float | None
    """Median over pilots: of the change, in the metric's unit, or of the number of units."""
    power: float
    """Share of new data sets in which it is seen, or settled; 0.8 is stated."""
    error: float | None
    """Monte Carlo standard error of the power; None where one pilot alone gave a number."""


def units(values: Array, statistic: Statistic, draws: int) -> Units:
    """Units that are their own clusters."""
    names = tuple(f"{i:06d}" for i in range(len(values)))
    return Units(names, names, np.stack([values, np.ones(len(values))], axis=1), statistic, draws=draws)


def rates(rng: np.random.Generator, sets: int, n: int, k: int, rate: float, shared: float, rise: float) -> list[Array]:
    """Base and variant shares of k draws, (sets, n) each, with common noise in a share of the draws."""
    level = rng.beta(rate * 4, (1 - rate) * 4, (sets, n, 1)) if k > 1 else np.full((sets, n, 1), rate)
    common, own = rng.random((2, sets, n, k))
    noise = np.where(rng.random(common.shape) < shared, common, own)
    # The rise falls on those below, so that the mean rises by exactly that much.
    return [(common < level).mean(axis=2), (noise < level + rise * (1 - level) / (1 - rate)).mean(axis=2)]


def means(rng: np.random.Generator, sets: int, n: int, skewed: bool, rise: float) -> list[Array]:
    """Base and variant scores whose differences are normal or skewed, with spread 1."""
    base = rng.standard_normal((sets, n))
    change = rng.exponential(1, (sets, n)) - 1 if skewed else rng.standard_normal((sets, n))
    return [base, base + change + rise]


def ends(base: Array, tuned: Array, statistic: Statistic, k: int, level: float) -> tuple[Array, Array]:
    """The production interval of many data sets."""
    weight, move = np.ones_like(base), tuned - base
    moves = (np.maximum(move, 0).sum(axis=1), np.maximum(-move, 0).sum(axis=1)) if statistic.range else None
    low, high, _ = paired.difference_bounds(
        (base, weight), (tuned, weight), moves, statistic, k, level, replicates=REPLICATES
    )
    return low, high


def cells(rng: np.random.Generator, quick: bool) -> list[Cell]:
    """Rates of one and five draws, normal and skewed means."""
    pilots, sets = (5, 300) if quick else (45, 3_000)
    counts = (40, 150) if quick else (20, 40, 150, 400)
    found = []
    for n, rate, k, shared in product(counts, (0.01, 0.1, 0.3), (1, 5), (0.0, 0.8)):
        setting = f"rate={rate:g} k={k} shared={shared:g}"
        found += _cell(rng, setting, n, (RATE, k), (rate, shared), (pilots, sets))
    for n, skewed in product(counts, (False, True)):
        found += _cell(rng, "skewed mean" if skewed else "normal mean", n, (MEAN, 1), (skewed,), (pilots, sets // 3))
    return found


def _cell(
    rng: np.random.Generator, setting: str, n: int, kind: tuple[Statistic, int], shape: tuple, size: tuple[int, int]
) -> list[Cell]:
    """Smallest change and n needed of one setting."""
    statistic, k = kind

    def draw(count: int, rise: float) -> list[Array]:
        if statistic is RATE:
            return rates(rng, count, n, k, *shape, rise)
        return means(rng, count, n, *shape, rise)

    pilots = [tuple(units(row, statistic, k) for row in rows) for rows in zip(*draw(size[0], 0.0), strict=True)]
    pairs = [pair_units(*sides) for sides in pilots]
    seen = [contrast(pair, level=LEVEL) for pair in pairs]
    changes = [smallest_change(pair, one) for pair, one in zip(pairs, seen, strict=True)]
    power = _power_at(draw, changes, statistic, k, size[1])
    known = [value for value in changes if value is not None]
    out = []
    if power is not None:
        error = float(np.sqrt(max(power * (1 - power), 1e-9) / size[1]))
        out.append(Cell("smallest change", setting, n, float(np.median(known)), power, error))
    margin = float(np.median(known)) * 0.6 if known else 0.1
    return out + _needed(rng, setting, n, (statistic, k), pilots, margin)


def _power_at(
    draw: Callable[[int, float], list[Array]], values: list[float | None], statistic: Statistic, k: int, sets: int
) -> float | None:
    """Share of intervals over zero at the median change; None where the rate cannot rise that much."""
    known = [value for value in values if value is not None]
    if len(known) < len(values) / 2 or (statistic is RATE and np.median(known) > 0.6):
        return None
    low, _ = ends(*draw(sets, float(np.median(known))), statistic, k, LEVEL)
    return float((low > 0).mean())


def _needed(
    rng: np.random.Generator, setting: str, n: int, kind: tuple[Statistic, int], pilots: list, margin: float
) -> list[Cell]:
    """How often the rule is settled with the n that a pilot asked for, over pilots."""
    statistic, k = kind
    shares, numbers = [], []
    for base, tuned in pilots[:20]:
        found = needed_units(base, tuned, "lower", None, margin, alpha_pass=ALPHA, alpha_fail=ALPHA)
        if found.units is None or found.units > 3_000:
            continue
        rows = rng.integers(n, size=(200, found.units))
        low, high = ends(base.columns[rows, 0], tuned.columns[rows, 0], statistic, k, 1 - 2 * ALPHA)
        shares.append(float((high < margin).mean() if found.outcome == "pass" else (low > margin).mean()))
        numbers.append(found.units)
    if not shares:
        return []
    power = float(np.mean(shares))
    # Each pilot asks for an n of its own: the shares differ by that too, not only by the draws.
    error = float(np.std(shares, ddof=1) / np.sqrt(len(shares))) if len(shares) > 1 else None
    return [Cell("n needed", setting, n, float(np.median(numbers)), power, error)]


def table(found: list[Cell]) -> str:
    """Markdown: the lowest and highest power of each kind."""
    lines = ["| kind | setting | n | median | power | ± |", "|---|---|---|---|---|---|"]
    for kind in dict.fromkeys(cell.kind for cell in found):
        own = sorted((cell for cell in found if cell.kind == kind), key=lambda cell: cell.power)
        for cell in [*own[:5], *own[-2:]]:
            error = "" if cell.error is None else f"{cell.error:.3f}"
            lines.append(f"| {kind} | {cell.setting} | {cell.n} | {cell.median:.3g} | {cell.power:.3f} | {error} |")
        values = [cell.power for cell in own]
        lines.append(f"| {kind} | median of {len(own)} cells | | | {np.median(values):.3f} | |")
    return "\n".join(lines)


def main() -> None:
    """Run the grid, print its table, and with ``--write`` keep it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a small grid")
    parser.add_argument("--write", action="store_true", help="keep the results")
    args = parser.parse_args()
    start = time.process_time()
    found = cells(np.random.default_rng(11), args.quick)
    took = round(time.process_time() - start, 1)
    print(table(found), f"processor seconds: {took:.0f}", sep="\n\n")
    if args.write:
        record = {"level": LEVEL, "processor_seconds": took, "cells": [asdict(cell) for cell in found]}
        RESULT.write_text(json.dumps(record, indent=1, allow_nan=False) + "\n")
        put("statistics.md", "power", table(found))


if __name__ == "__main__":
    main()
