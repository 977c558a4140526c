"""Do corrected rates hold the truth where raw ones do not? A simulation with known truth.

Answers have a true label and a score; a stratified random part of them, pairs of base and variant together, is
labelled. Every cell counts how often the raw interval, Rogan and Gladen's and the prediction-powered one hold the rate
that full labelling would give of new items, for one run and for variant minus base. Run it with
``python -m benchmarks.correction [--quick] [--write]``; ``--write`` keeps ``benchmarks/results/correction.json``.
"""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import asdict, dataclass
from itertools import product
from pathlib import Path

import numpy as np
import numpy.typing as npt

from audit.labelling import allocate, stratify
from audit.metrics.correction import (
    Labelled,
    prediction_powered,
    prediction_powered_difference,
    rogan_gladen,
    rogan_gladen_difference,
)
from audit.metrics.estimate import Estimate
from audit.metrics.estimation import estimate
from audit.metrics.paired import paired_difference
from audit.metrics.tables import array_units
from audit.metrics.units import RATE, Array
from benchmarks.page import put

RESULT = Path(__file__).parent / "results" / "correction.json"
LEVEL = 0.95
DESIGNS = ("command", "verdict", "simple")


@dataclass(frozen=True, slots=True)
class Cell:
    """One estimator in one setting."""

    setting: str
    estimator: str
    coverage: float
    """Share of intervals that hold the truth, of those that exist."""
    error: float
    """Monte Carlo standard error of the coverage."""
    bias: float
    width: float
    none: float
    """Share of data sets without an interval."""
    sets: int


@dataclass(frozen=True, slots=True)
class Setting:
    """How answers, scores and labels come about."""

    rate: float
    """True rate of the base."""
    rise: float
    """True rise of the variant."""
    sensitivity: float
    false_alarms: float
    """Of the base's answers; the variant's are twice as often falsely flagged, as when style changes."""
    labels: int
    design: str
    """``verdict``: half the labels among pairs flagged on either side; ``simple``: at random; ``command``: as
    ``slm-audit label-sample`` draws them."""
    clusters: int = 100
    size: int = 10

    def __str__(self) -> str:
        return (
            f"rate={self.rate:g} rise={self.rise:g} sensitivity={self.sensitivity:g} "
            f"false alarms={self.false_alarms:g} labels={self.labels} {self.design}"
        )


def simulate(rng: np.random.Generator, what: Setting) -> tuple[Labelled, Labelled]:
    """Base and variant: clustered true labels, shared noise, scores that err, and labelled pairs."""
    shape = (what.clusters, what.size)
    n = what.clusters * what.size
    level = rng.beta(what.rate * 9, (1 - what.rate) * 9, (what.clusters, 1))
    common, own = rng.random((2, *shape))
    noise = np.where(rng.random(shape) < 0.7, common, own)
    truths = [(common < level).ravel(), (noise < level + what.rise * (1 - level) / (1 - what.rate)).ravel()]
    scores = []
    for truth, alarms in zip(truths, (what.false_alarms, 2 * what.false_alarms), strict=True):
        flagged = rng.random(n) < np.where(truth, what.sensitivity, alarms)
        scores.append(np.where(flagged, 0.5 + 0.5 * rng.beta(2, 1, n), 0.5 * rng.beta(1, 3, n)))
    strata, sizes = _design(what, np.maximum(*scores))
    asked, inclusion = np.zeros(n, dtype=bool), np.zeros(n)
    for name, take in sizes.items():
        rows = np.flatnonzero(strata == name)
        asked[rng.choice(rows, take, replace=False)] = True
        inclusion[rows] = take / len(rows)
    ids = tuple(f"{i:06d}" for i in range(n))
    clusters = tuple(f"{i // what.size:04d}" for i in range(n))
    sides = (
        Labelled(ids, clusters, score, np.where(asked, truth, np.nan), inclusion, tuple(strata))
        for score, truth in zip(scores, truths, strict=True)
    )
    base, tuned = sides
    return base, tuned


def _design(what: Setting, higher: Array) -> tuple[npt.NDArray[np.str_], dict[str, int]]:
    """Stratum of each pair by its higher score, and labels of each stratum."""
    if what.design == "command":
        strata = np.array(stratify(higher))
        names, sizes = np.unique(strata, return_counts=True)
        return strata, dict(zip(names.tolist(), allocate(sizes.tolist(), what.labels), strict=True))
    strata = np.where(higher >= 0.5, "flagged", "clear") if what.design == "verdict" else np.full(len(higher), "all")
    names, sizes = np.unique(strata, return_counts=True)
    return strata, {
        name: min(what.labels // len(names), size) for name, size in zip(names.tolist(), sizes.tolist(), strict=True)
    }


def raw(side: Labelled) -> Array:
    """The scorer's verdicts."""
    return (side.scores >= 0.5).astype(np.float64)


def estimates(base: Labelled, tuned: Labelled) -> dict[str, Estimate]:
    """Every estimator of one data set."""
    units = [array_units(raw(side), side.clusters, RATE) for side in (base, tuned)]
    move = paired_difference(*units, LEVEL)
    change = Estimate(move.difference, move.low, move.high, LEVEL, move.n, move.clusters, 0, move.method)
    return {
        "raw rate": estimate(units[1], LEVEL),
        "Rogan-Gladen rate": rogan_gladen(tuned, LEVEL).corrected,
        "prediction-powered rate": prediction_powered(tuned, LEVEL),
        "raw difference": change,
        "Rogan-Gladen difference": rogan_gladen_difference(base, tuned, LEVEL),
        "prediction-powered difference": prediction_powered_difference(base, tuned, LEVEL),
    }


def measure(rng: np.random.Generator, what: Setting, sets: int) -> list[Cell]:
    """Coverage, bias and width of every estimator."""
    seen: dict[str, list[tuple[float, float, float]]] = {}
    for _ in range(sets):
        for name, found in estimates(*simulate(rng, what)).items():
            rows = seen.setdefault(name, [])
            if found.value is not None and found.low is not None and found.high is not None:
                rows.append((found.value, found.low, found.high))
    cells = []
    for name, rows in seen.items():
        truth = what.rise if "difference" in name else what.rate + what.rise
        if not rows:
            cells.append(Cell(str(what), name, float("nan"), float("nan"), float("nan"), float("nan"), 1.0, sets))
            continue
        value, low, high = np.array(rows).T
        share = float(((low <= truth + 1e-9) & (truth <= high + 1e-9)).mean())
        error = float(np.sqrt(max(share * (1 - share), 1e-9) / len(rows)))
        bias, width = float((value - truth).mean()), float((high - low).mean())
        cells.append(Cell(str(what), name, share, error, bias, width, 1 - len(rows) / sets, sets))
    return cells


def settings(quick: bool) -> list[Setting]:
    """Rates, rises, scorers and designs."""
    rates = ((0.1, 0.0), (0.1, 0.05)) if quick else ((0.02, 0.0), (0.02, 0.03), (0.1, 0.05), (0.3, 0.0))
    scorers = ((0.7, 0.05),) if quick else ((0.9, 0.02), (0.6, 0.1))
    labels = (200,) if quick else (100, 300)
    return [
        Setting(rate, rise, se, fa, count, design)
        for (rate, rise), (se, fa), count, design in product(rates, scorers, labels, DESIGNS)
    ]


def table(cells: list[Cell]) -> str:
    """Markdown: per estimator its range of coverage, then the worst cells."""
    lines = [
        "| estimator | cells | lowest coverage | median | mean width | without interval |",
        "|---|---|---|---|---|---|",
    ]
    for name in dict.fromkeys(cell.estimator for cell in cells):
        own = [cell for cell in cells if cell.estimator == name and cell.none < 1]
        values = [cell.coverage for cell in own]
        lines.append(
            f"| {name} | {len(own)} | {min(values):.3f} | {np.median(values):.3f} "
            f"| {np.mean([cell.width for cell in own]):.3f} | {max(cell.none for cell in own):.2f} |"
        )
    lines += ["", "| estimator | setting | coverage | ± | bias | width |", "|---|---|---|---|---|---|"]
    for name in dict.fromkeys(cell.estimator for cell in cells):
        for cell in sorted((c for c in cells if c.estimator == name), key=lambda c: c.coverage)[:2]:
            lines.append(
                f"| {name} | {cell.setting} | {cell.coverage:.3f} | {cell.error:.3f} | {cell.bias:+.3f} "
                f"| {cell.width:.3f} |"
            )
    return "\n".join(lines)


def main() -> None:
    """Run the grid, print its tables, and with ``--write`` keep them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="two rates, a few seconds")
    parser.add_argument("--write", action="store_true", help="keep the results")
    args = parser.parse_args()
    start, cells = time.process_time(), []
    for number, what in enumerate(settings(args.quick)):
        cells += measure(np.random.default_rng([7, number]), what, 100 if args.quick else 150)
    took = round(time.process_time() - start, 1)
    print(table(cells), f"processor seconds: {took:.0f}", sep="\n\n")
    if args.write:
        rows = [{k: None if v != v else v for k, v in asdict(cell).items()} for cell in cells]
        record = {"level": LEVEL, "processor_seconds": took, "cells": rows}
        RESULT.write_text(json.dumps(record, indent=1, allow_nan=False) + "\n")
        put("statistics.md", "correction", table(cells))


if __name__ == "__main__":
    main()
