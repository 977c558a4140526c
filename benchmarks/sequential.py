"""Does the sequential gate keep its error rates, and what does it save? A simulation with known truth.

Each cell draws many suites whose true harm is known, in random order, and follows one rule to the end. Errors are
counted at every cluster, which is stricter than a look after each of ten rounds: a *false pass* where the true harm is
at the margin or over it, a *false fail* where there is no harm or the harm is just at the margin. Beside stand the
fixed-n rule of the gate at the last cluster, and the warning: the same fixed-n rule asked after every round until it
says something. Run it with ``python -m benchmarks.sequential [--quick] [--write]``; ``--write`` refreshes
``benchmarks/results/sequential.json`` and the tables in ``docs/gate.md``.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from itertools import product
from pathlib import Path

import numpy as np
from scipy.special import betaincinv

from audit.metrics import paired
from audit.metrics.sequential import Order, log_wealth, paired_sequence
from audit.metrics.units import RATE, SHARE_MEAN, Array, Units
from benchmarks.coverage import paired_rate_data
from benchmarks.page import put

ROOT = Path(__file__).resolve().parents[1]
ALPHA = 0.05
ROUNDS = 10
REPLICATES = 500
"""Bootstrap resamples of the fixed-n rule on means here; a run takes 10,000."""

Clusters = tuple[Array, Array]
"""Sums of differences (or of numerators) and of weights per cluster, (sets, clusters)."""


@dataclass(frozen=True, slots=True)
class Cell:
    """One error rate."""

    error: str
    setting: str
    clusters: int
    truth: float
    margin: float
    share: float
    """Of simulated suites with the error, at whatever cluster."""
    low: float
    high: float
    """Clopper and Pearson's 95 % interval of the share."""
    sets: int


@dataclass(frozen=True, slots=True)
class Use:
    """What one rule decides, and with how much of the suite."""

    setting: str
    clusters: int
    effect: float
    used: float
    """Mean share of the clusters that were sampled when the verdict was settled, or at the cap."""
    passes: float
    fails: float
    fixed_passes: float
    """Of the fixed-n rule on the whole suite."""
    fixed_fails: float
    naive_passes: float
    """Of the fixed-n rule asked after every round until it decides."""
    naive_fails: float
    sets: int


def evidence(data: Clusters, margin: float, limits: tuple[float, float], largest: float) -> tuple[Array, Array]:
    """Log wealth for "harm lies under the margin" and for "over it", after every cluster."""
    number, weight = data
    under = log_wealth(-number, weight, -margin, limits=(-limits[1], -limits[0]), largest=largest)
    return under, log_wealth(number, weight, margin, limits=limits, largest=largest)


def share(found: Array) -> tuple[float, float, float]:
    """A share with its exact interval."""
    n, events = len(found), int(found.sum())
    low = 0.0 if events == 0 else float(betaincinv(events, n - events + 1, 0.025))
    high = 1.0 if events == n else float(betaincinv(events + 1, n - events, 0.975))
    return events / n, low, high


def cells(
    setting: str, data: Clusters, truth: float, margin: float, limits: tuple[float, float], largest: float
) -> Iterator[Cell]:
    """The errors that are possible at this truth."""
    line = -np.log(ALPHA)
    under, over = (part.max(axis=1) >= line for part in evidence(data, margin, limits, largest))
    sets, clusters = data[0].shape
    if truth >= margin - 1e-9:
        name = "false pass, harm at the margin" if truth <= margin + 1e-9 else "false pass, harm over the margin"
        yield Cell(name, setting, clusters, truth, margin, *share(under), sets)
    if truth <= margin + 1e-9:
        name = "false fail, no harm" if truth < margin - 1e-9 else "fail, harm just at the margin"
        yield Cell(name, setting, clusters, truth, margin, *share(over), sets)


# -- data of known truth --


def rates(
    rng: np.random.Generator, sets: int, clusters: int, p: float, rise: float, k: int, icc: float, shared: float
) -> tuple[Array, Array, float]:
    """Base and variant shares of k draws a cluster, and the true difference."""
    base, tuned, _, _, truth = paired_rate_data(rng, (p, p + rise), clusters, 1, k, icc, shared, sets)
    return base, tuned, truth


def unequal(
    rng: np.random.Generator, sets: int, clusters: int, p: float, rise: float, icc: float, shared: float
) -> tuple[Clusters, float]:
    """Differences summed over clusters of 1, 5 or 25 prompts, sizes in random order."""
    sizes = rng.choice([1, 5, 25], size=(sets, clusters))
    base, tuned, _, _, truth = paired_rate_data(rng, (p, p + rise), clusters, 25, 1, icc, shared, sets)
    # Sums over 25 exchangeable prompts, thinned to the size: hypergeometric, as drawing that many of them.
    first, second = (rng.hypergeometric(side.astype(int), 25 - side.astype(int), sizes) for side in (base, tuned))
    # Thinned apart, the sides lose what they share beyond the cluster; the true difference stays.
    return ((second - first).astype(np.float64), sizes.astype(np.float64)), truth


def answered(
    rng: np.random.Generator, sets: int, clusters: int, p: float, entering: float, size: int
) -> tuple[Clusters, float]:
    """Rates among the answers that enter a metric at all: weights are 0 or 1 by the answer, and go with its value."""
    level = rng.beta(2, 2 * (1 - entering) / entering, (sets, clusters, 1))
    weight = rng.random((sets, clusters, size)) < level
    # Clusters that enter more often have the event less often.
    chance = np.clip(p * (1.5 - level), 0, 1)
    number = weight & (rng.random(weight.shape) < chance)
    a, b = 2.0, 2 * (1 - entering) / entering
    mean, square = a / (a + b), a * (a + 1) / ((a + b) * (a + b + 1))
    truth = p * (1.5 * mean - square) / mean
    return (number.sum(axis=2).astype(np.float64), weight.sum(axis=2).astype(np.float64)), truth


def scores(rng: np.random.Generator, sets: int, clusters: int, mean: float, rise: float) -> tuple[Array, Array, float]:
    """Skewed scores in [0, 1]; a share of the variant's is replaced by 1, another by 0."""
    base = rng.beta(mean * 2, (1 - mean) * 2, (sets, clusters))
    moved = rng.random(base.shape)
    # 10 % are drawn afresh, so that the two differ without harm as well.
    tuned = np.where(moved < 0.1, rng.beta(mean * 2, (1 - mean) * 2, base.shape), base)
    up = rise / (1 - mean)
    return base, np.where(rng.random(base.shape) < up, 1.0, tuned), rise


def finite(rng: np.random.Generator, sets: int, clusters: int, margin: float) -> Clusters:
    """One suite whose own mean harm is the margin, in random orders: sampling without replacement."""
    ups = round(clusters * (0.1 + margin))
    changes = np.concatenate([np.ones(ups), -np.ones(ups - round(clusters * margin))])
    values = np.concatenate([changes, np.zeros(clusters - len(changes))])
    return rng.permuted(np.tile(values, (sets, 1)), axis=1), np.ones((sets, clusters))


# -- the tables --


def errors(rng: np.random.Generator, quick: bool) -> Iterator[Cell]:
    """False passes and false fails over rates, coupling, cluster sizes, weights, scores."""
    sets, counts = (500, (100,)) if quick else (2_000, (30, 300))
    signed, unit = (-1.0, 1.0), (0.0, 1.0)
    for clusters, p, (k, icc), shared, (harm, margin) in product(
        counts, (0.01, 0.1, 0.5), ((1, 0.0), (5, 0.2)), (0.0, 0.9), ((0, 0.1), (1, 0.1), (1.5, 0.1), (1, 0.02))
    ):
        base, tuned, truth = rates(rng, sets, clusters, p, harm * margin, k, icc, shared)
        # Beta-binomial chances lie on a grid, so the truth is off by a hair: the margin follows it.
        limit = margin if harm != 1 else truth
        setting = f"paired rates p={p:g} k={k} shared={shared:g}"
        yield from cells(setting, (tuned - base, np.ones_like(base)), truth, limit, signed, 1.0)
    for clusters, p, harm in product(counts, (0.05, 0.3), (0.0, 0.1, 0.15)):
        data, truth = unequal(rng, sets // 4, clusters, p, harm, 0.2, 0.5)
        limit = truth if harm == 0.1 else 0.1
        yield from cells(f"clusters of 1, 5 or 25, p={p:g}", data, truth, limit, signed, 25.0)
    for clusters, p, factor in product(counts, (0.05, 0.3), (0.6, 1.0, 1.5)):
        data, truth = answered(rng, sets, clusters, p, 0.3, 4)
        yield from cells(f"weights by the answer, p={p:g}", data, truth, truth / factor, unit, 4.0)
    for clusters, mean, harm in product(counts, (0.05, 0.3), (0.0, 0.1, 0.15)):
        base, tuned, truth = scores(rng, sets, clusters, mean, harm)
        yield from cells(f"paired scores, mean {mean:g}", (tuned - base, np.ones_like(base)), truth, 0.1, signed, 1.0)
    for clusters, margin in product(counts, (0.1, 0.02)):
        data = finite(rng, sets, max(clusters, 100), margin)
        truth = float(data[0][0].mean())
        yield from cells("one finite suite, drawn without replacement", data, truth, truth, signed, 1.0)


def bands(rng: np.random.Generator, quick: bool) -> Iterator[Cell]:
    """A target: the base on it, near it or off it, the variant further from it by the margin; looked at ten times."""
    sets, clusters, margin = (40 if quick else 200), 100, 0.1
    names = tuple(f"{i:04d}" for i in range(clusters))
    order = Order({name: i for i, name in enumerate(names)}, tuple(range(10, clusters + 1, 10)), 1)
    for off, way, shared in product((0.0, 0.05, 0.2), ("further", "overshooting"), (0.0, 0.9)):
        p = 0.5 - off
        rise = -margin if way == "further" else 2 * off + margin
        base, tuned, _ = rates(rng, sets, clusters, p, rise, 1, 0.0, shared)
        passed = np.zeros(sets)
        for at, sides in enumerate(zip(base, tuned, strict=True)):
            first, second = (Units(names, names, np.stack([v, np.ones(clusters)], 1), RATE) for v in sides)
            harm = paired_sequence(first, second, order, "target", 0.5, alpha_pass=ALPHA, alpha_fail=ALPHA)[0]
            assert harm.high is not None
            # Harm just under the margin in floating point is at it.
            passed[at] = harm.high < margin
        setting = f"target .5, base {off:g} off it, {way}, shared={shared:g}"
        yield Cell("false pass, harm at the margin", setting, clusters, margin, margin, *share(passed), sets)


def uses(rng: np.random.Generator, quick: bool) -> Iterator[Use]:
    """What is sampled by effect size, for a margin of 0.1."""
    sets = 200 if quick else 500
    counts = (100,) if quick else (100, 300)
    effects = (0.0, 0.05, 0.1, 0.15, 0.2, 0.3)
    for clusters, shared, effect in product(counts, (0.0, 0.9), effects):
        base, tuned, _ = rates(rng, sets, clusters, 0.1, effect, 5, 0.2, shared)
        yield _use(f"rate .1, 5 draws, shared={shared:g}", base, tuned, effect, _rate_ends)
    for effect in effects:
        base, tuned, _ = scores(rng, sets // 2, 300, 0.2, effect)
        yield _use("scores, mean .2", base, tuned, effect, _mean_ends)


def _use(
    setting: str, base: Array, tuned: Array, effect: float, ends: Callable[[Array, Array], tuple[Array, Array]]
) -> Use:
    """One rule followed through its rounds, beside the fixed-n rule and its naive repetition."""
    margin, clusters = 0.1, base.shape[1]
    looks = [-(-clusters * part // ROUNDS) for part in range(1, ROUNDS + 1)]
    found = evidence((tuned - base, np.ones_like(base)), margin, (-1.0, 1.0), 1.0)
    line = -np.log(ALPHA)
    # An end never moves back: what was refuted at an earlier look stays refuted.
    under, over = (np.maximum.accumulate(part[:, [look - 1 for look in looks]], axis=1) >= line for part in found)
    settled = np.where((under | over).any(axis=1), (under | over).argmax(axis=1), ROUNDS - 1)
    rows = np.arange(len(base))
    naive = np.zeros(len(base), dtype=int)
    for look in looks:
        low, high = ends(base[:, :look], tuned[:, :look])
        naive = np.where(naive == 0, np.where(high < margin, 1, np.where(low > margin, 2, 0)), naive)
    return Use(
        setting, clusters, effect, float(np.array(looks)[settled].mean() / clusters),
        float((under & ~over)[rows, settled].mean()), float(over[rows, settled].mean()),
        float((high < margin).mean()), float((low > margin).mean()),
        float((naive == 1).mean()), float((naive == 2).mean()), len(base),
    )  # fmt: skip


def _rate_ends(base: Array, tuned: Array) -> tuple[Array, Array]:
    """The gate's fixed-n ends of paired rates of five draws."""
    weight, move = np.ones_like(base), tuned - base
    moves = np.maximum(move, 0).sum(axis=1), np.maximum(-move, 0).sum(axis=1)
    low, high, _ = paired.difference_bounds((base, weight), (tuned, weight), moves, RATE, 5, 1 - 2 * ALPHA)
    return low, high


def _mean_ends(base: Array, tuned: Array) -> tuple[Array, Array]:
    """The gate's fixed-n ends of paired scores."""
    weight, move = np.ones_like(base), tuned - base
    moves = np.maximum(move, 0).sum(axis=1), np.maximum(-move, 0).sum(axis=1)
    low, high, _ = paired.difference_bounds(
        (base, weight), (tuned, weight), moves, SHARE_MEAN, 1, 1 - 2 * ALPHA, replicates=REPLICATES
    )
    return low, high


def error_table(found: list[Cell]) -> str:
    """Markdown: the worst cells of each error."""
    lines = ["| error | setting | clusters | share | 95 % interval |", "|---|---|---|---|---|"]
    for error in dict.fromkeys(cell.error for cell in found):
        own = sorted((cell for cell in found if cell.error == error), key=lambda cell: -cell.share)
        for cell in own[:4]:
            lines.append(
                f"| {cell.error} | {cell.setting}, margin {cell.margin:.3g} | {cell.clusters} | {cell.share:.4f} | "
                f"{cell.low:.4f} to {cell.high:.4f} |"
            )
        shares = [cell.share for cell in own]
        lines.append(f"| {error} | median of {len(own)} cells | | {np.median(shares):.4f} | |")
    return "\n".join(lines)


def use_table(found: list[Use]) -> str:
    """Markdown: what is sampled and decided by effect size."""
    lines = [
        "| setting | clusters | true harm | sampled | pass / fail | fixed n, once | fixed n, after every round |",
        "|---|---|---|---|---|---|---|",
    ]
    for one in found:
        pairs = ((one.passes, one.fails), (one.fixed_passes, one.fixed_fails), (one.naive_passes, one.naive_fails))
        decided = " | ".join(f"{first:.3f} / {second:.3f}" for first, second in pairs)
        lines.append(f"| {one.setting} | {one.clusters} | {one.effect:g} | {one.used:.0%} | {decided} |")
    return "\n".join(lines)


def main() -> None:
    """Run the grid, print the tables, and with ``--write`` keep them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a small grid")
    parser.add_argument("--write", action="store_true", help="keep the results")
    args = parser.parse_args()
    start, rng = time.process_time(), np.random.default_rng(17)
    found = [*errors(rng, args.quick), *bands(rng, args.quick)]
    used = list(uses(rng, args.quick))
    took = round(time.process_time() - start, 1)
    print(error_table(found), use_table(used), f"processor seconds: {took:.0f}", sep="\n\n")
    if args.write:
        record: dict[str, object] = {"alpha": ALPHA, "rounds": ROUNDS, "processor_seconds": took}
        record["errors"], record["uses"] = [asdict(cell) for cell in found], [asdict(one) for one in used]
        result = ROOT / "benchmarks" / "results" / "sequential.json"
        result.write_text(json.dumps(record, indent=1, allow_nan=False) + "\n")
        put("gate.md", "sequential errors", error_table(found))
        put("gate.md", "sequential uses", use_table(used))


if __name__ == "__main__":
    main()
