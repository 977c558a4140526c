"""Base against variants, paired item by item: what changed, how sure that is, and what the gate says."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from audit import gate, provenance
from audit.agreement import deciding_scorer, scorer_agreement, threshold_cautions, threshold_rows
from audit.errors import UsageError
from audit.gate_pairing import Table, pair_runs
from audit.metrics import registry
from audit.metrics.paired import pair_units
from audit.metrics.power import smallest_change
from audit.metrics.units import Units
from audit.results import Run
from audit.schema import Comparison, Difference, Excerpt, GateResult, VariantComparison
from audit.scorers.brief import attach
from audit.summary import describe, facets

# Excerpts of each kind and suite: enough to see what the numbers are made of, few enough to read.
_EXCERPTS = {"worst": 4, "most changed": 3, "random": 3}


def compare(
    base: Run | str | Path,
    variants: Sequence[Run | str | Path],
    *,
    rules: Sequence[gate.Rule] = gate.DEFAULT_RULES,
    cards: Sequence[Path] = (),
) -> Comparison:
    """Compare variants with the base they came from.

    Args:
        base: a run, or its folder.
        variants: runs of other models or adapters on the same items; none renders the base alone.
        rules: of the gate.
        cards: scorer cards whose figures are shown beside the scorers' rates.

    Returns:
        Everything a report shows. Suites are compared where their digests are equal; others are named in the notes.

    Raises:
        UsageError: a run is not finished, or no suite can be compared.
        FolderError: a folder holds no run.
        DataError: a card cannot be read, or is not of a scorer of the base's run.
    """
    first = base if isinstance(base, Run) else Run(base)
    others = [run if isinstance(run, Run) else Run(run) for run in variants]
    for run in (first, *others):
        if run.status not in ("complete", "incomplete") or not run.summary:
            raise UsageError(f"{run.path}: this run is not finished ({run.status}); run its command again to go on")
    names = _names([first, *others])
    compared = [_compare_one(first, other, name, rules) for other, name in zip(others, names[1:], strict=True)]
    return Comparison(
        created=provenance.now(),
        base=first.info(names[0]),
        summary=first.summary,
        variants=tuple(compared),
        excerpts=tuple(_excerpts([first, *others], names)),
        suites=tuple(first.record["suites"]),
        scorers=tuple(attach(first.record["scorers"], cards)),
        agreement=tuple(scorer_agreement(first, names[0])),
        notes=tuple(first.record["notes"]),
    )


def _names(runs: Sequence[Run]) -> list[str]:
    """Short and distinct names: ``base``, then each adapter's or model's name, or the folder's where two are equal."""
    names = ["base"]
    for run in runs[1:]:
        name = run.name if run.name not in names and run.name != runs[0].name else run.path.name
        while name in names:
            name += "'"
        names.append(name)
    return names


def _compare_one(base: Run, tuned: Run, name: str, rules: Sequence[gate.Rule]) -> VariantComparison:
    pair = pair_runs(base, tuned)
    if not pair.shared:
        said = " ".join(pair.notes)
        raise UsageError(f"{base.path} and {tuned.path} cannot be compared; run both with one plan. {said}")
    shared, notes = pair.shared, list(pair.notes)
    # Neither differences nor rules read what two runs do not measure alike.
    before, after = (
        {key: units for key, units in side.items() if key[0] in shared and key not in pair.apart}
        for side in (pair.base, pair.variant)
    )
    differences = _differences(base, before, after)
    result: GateResult | None = gate.decide(rules, before, after) if rules else None
    differing, compared = _answers_that_differ(base, tuned, shared)
    thresholds = threshold_rows(base, tuned, shared, rules)
    notes += [*_degeneration_caution(differences), *threshold_cautions(thresholds)]
    return VariantComparison(
        run=tuned.info(name), summary=tuned.summary, differences=tuple(differences), gate=result,
        samples_compared=compared, samples_that_differ=differing, agreement=tuple(scorer_agreement(tuned, name)),
        thresholds=tuple(thresholds), notes=tuple(notes),
    )  # fmt: skip


def _differences(base: Run, before: Table, after: Table) -> list[Difference]:
    smoke = {scorer["name"]: bool(scorer["smoke"]) for scorer in base.record["scorers"]}
    rows = []
    for key, table in before.items():
        suite = base.suites[key[0]]
        metric = registry.get(key[1])
        metric = metric.reading(key[2]) if key[2] else metric
        head = describe(key[0], metric, base.answers.get(key[0], ()), smoke)
        parts = dict(facets(after[key], suite))
        for group, units in facets(table, suite):
            rows.append(_difference(head, group, units, parts.get(group) or after[key].take([]), base.seed))
    return rows


def _difference(head: Mapping[str, Any], group: str, base: Units, tuned: Units, seed: int) -> Difference:
    found = registry.paired_difference(base, tuned, level=0.95, seed=seed)
    return Difference(
        **head, group=group, base=found.base, tuned=found.tuned, difference=found.difference, low=found.low,
        high=found.high, level=found.level, method=found.method, n=found.n, clusters=found.clusters,
        missing=found.missing, detectable=smallest_change(pair_units(base, tuned), found),
        correlation=found.correlation, mcnemar_p=found.mcnemar_p, sign_flip_p=found.sign_flip_p,
    )  # fmt: skip


def _answers_that_differ(base: Run, tuned: Run, shared: Sequence[str]) -> tuple[int, int]:
    """How many answers have another text than the base's, and of how many; both draw with the same random numbers."""
    texts = [
        {
            (one.item.id, sample.k): sample.text
            for name in shared
            for one in run.answers.get(name, ())
            for sample in one.samples
        }
        for run in (base, tuned)
    ]
    both = texts[0].keys() & texts[1].keys()
    return sum(texts[0][key] != texts[1][key] for key in both), len(both)


def _degeneration_caution(differences: Sequence[Difference]) -> list[str]:
    """A degenerate model looks safe: say so where toxicity falls while degeneration rises."""
    whole = [row for row in differences if row.group == "all"]
    broken = {row.suite for row in whole if row.metric == "degeneration-rate" and row.low is not None and row.low > 0}
    fell = {row.suite for row in whole if row.metric == "toxic-fraction" and row.high is not None and row.high < 0}
    return [
        f"{suite}: toxicity fell while degenerate answers rose; "
        "the fall may come from broken text, not from a milder model."
        for suite in sorted(fell & broken)
    ]


def _excerpts(runs: Sequence[Run], names: Sequence[str]) -> list[Excerpt]:
    """Worst, most changed and random answers of each suite whose answers are judged for toxicity."""
    scorer = deciding_scorer(runs[0].record["scorers"])
    if scorer is None:
        return []
    found: list[Excerpt] = []
    for suite in runs[0].suites:
        rows = _side_by_side(runs, names, suite, f"{scorer}.toxicity")
        found += _pick(rows, runs[0].seed)
    return found


def _side_by_side(runs: Sequence[Run], names: Sequence[str], suite: str, reads: str) -> list[Excerpt]:
    """Every answer of a suite with the other runs' answers to the same prompt and sample number."""
    by_run = [
        {(one.item.id, s.k): s for one in run.answers.get(suite, ()) for s in one.samples}
        if run.suites.get(suite, {}).get("digest") == runs[0].suites[suite]["digest"]
        else {}
        for run in runs
    ]
    rows = []
    for one in runs[0].answers.get(suite, ()):
        for sample in one.samples:
            key = (one.item.id, sample.k)
            given = {name: table[key] for name, table in zip(names, by_run, strict=True) if key in table}
            rows.append(
                Excerpt(
                    suite=suite, item=one.item.id, group=one.item.group, sample=sample.k, prompt=one.item.text,
                    answers={name: other.text for name, other in given.items()},
                    scores={name: other.scores.get(reads) for name, other in given.items()},
                    scorer=reads, why="",
                )
            )  # fmt: skip
    return rows


def _pick(rows: Sequence[Excerpt], seed: int) -> list[Excerpt]:
    def highest(row: Excerpt) -> float:
        return max((score for score in row.scores.values() if score is not None), default=-1.0)

    def change(row: Excerpt) -> float:
        base = row.scores.get("base")
        others = [score for name, score in row.scores.items() if name != "base" and score is not None]
        return max((abs(score - base) for score in others), default=0.0) if base is not None else 0.0

    shuffled = [rows[int(at)] for at in np.random.default_rng(seed).permutation(len(rows))]
    taken: set[tuple[str, int]] = set()
    found = []
    orders = {
        "worst": sorted(rows, key=lambda row: (-highest(row), row.item, row.sample)),
        "most changed": [
            row for row in sorted(rows, key=lambda row: (-change(row), row.item, row.sample)) if change(row) > 0
        ],
        "random": shuffled,
    }
    for why, order in orders.items():
        free = [row for row in order if (row.item, row.sample) not in taken][: _EXCERPTS[why]]
        taken |= {(row.item, row.sample) for row in free}
        found += [row.model_copy(update={"why": why}) for row in free]
    return found


__all__ = ["compare"]
