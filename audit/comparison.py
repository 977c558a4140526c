"""Base against variants, paired item by item: what changed, how sure that is, and what the gate says."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from audit import gate, provenance
from audit.agreement import scorer_agreement, threshold_cautions, threshold_rows
from audit.controls import controls
from audit.distributions import distributions
from audit.errors import CorruptFolderError, UsageError
from audit.excerpts import excerpts
from audit.exploration import explore
from audit.gate_pairing import Pairing, Table, pair_runs
from audit.metrics import registry
from audit.metrics.paired import pair_units
from audit.metrics.power import smallest_change
from audit.metrics.units import Units
from audit.results import Run, altered_files
from audit.schema import Comparison, Difference, GateResult, VariantComparison
from audit.scorers.brief import attach
from audit.summary import describe, facets


def compare(
    base: Run | str | Path,
    variants: Sequence[Run | str | Path],
    *,
    rules: Sequence[gate.Rule] = gate.DEFAULT_RULES,
    cards: Sequence[Path] = (),
    gates: Sequence[GateResult] | None = None,
) -> Comparison:
    """Compare variants with the base they came from.

    Args:
        base: a run, or its folder.
        variants: runs of other models or adapters on the same items; none renders the base alone.
        rules: of the gate.
        cards: scorer cards whose figures are shown beside the scorers' rates.
        gates: verdicts that were reached elsewhere, one a variant; ``rules`` are not applied then.

    Returns:
        Everything a report shows. Suites are compared where their digests are equal; others are named in the notes.

    Raises:
        UsageError: a run is not finished, or no suite can be compared.
        FolderError: a folder holds no run, or a file of it is not the one that the run wrote.
        DataError: a card cannot be read, or is not of a scorer of the base's run.
    """
    first, others = opened(base), [opened(run) for run in variants]
    names = _names([first, *others])
    decided: Sequence[GateResult | None] = gates or [None] * len(others)
    pairs = [_paired(first, other) for other in others]
    compared = [
        _compare_one(first, other, name, rules, gate, pair)
        for other, name, gate, pair in zip(others, names[1:], decided, pairs, strict=True)
    ]
    return Comparison(
        created=provenance.now(),
        base=first.info(names[0]),
        summary=first.summary,
        variants=tuple(compared),
        excerpts=tuple(excerpts([first, *others], names)),
        distributions=tuple(distributions([first, *others], names)),
        suites=tuple(first.record["suites"]),
        scorers=tuple(attach(first.record["scorers"], cards)),
        agreement=tuple(scorer_agreement(first, names[0])),
        exploration=explore([first, *others], names, pairs, [one.differences for one in compared]),
        notes=first.notes,
    )


def opened(run: Run | str | Path) -> Run:
    """A run whose numbers may be shown: finished, and of the files that it wrote.

    Raises:
        UsageError: it is not finished.
        FolderError: a folder holds no run.
        CorruptFolderError: a file was altered since.
    """
    found = run if isinstance(run, Run) else Run(run)
    if found.status not in ("complete", "incomplete"):
        raise UsageError(f"{found.path}: this run is not finished ({found.status}); run its command again to go on")
    altered = altered_files(found.folder, found.record)
    if altered:
        said = f"{', '.join(altered)} {'does' if len(altered) == 1 else 'do'} not have the recorded sha256"
        raise CorruptFolderError(f"{found.path}: {said}; see: slm-audit verify {found.path}")
    if not found.summary:
        raise UsageError(f"{found.path}: this run has no summary; run its command again to go on")
    return found


def _names(runs: Sequence[Run]) -> list[str]:
    """Short and distinct names: ``base``, then each adapter's or model's name, or the folder's where two are equal."""
    names = ["base"]
    for run in runs[1:]:
        name = run.name if run.name not in names and run.name != runs[0].name else run.path.name
        while name in names:
            name += "'"
        names.append(name)
    return names


def _paired(base: Run, tuned: Run) -> Pairing:
    pair = pair_runs(base, tuned)
    if not pair.shared:
        said = " ".join(pair.notes)
        raise UsageError(f"{base.path} and {tuned.path} cannot be compared; run both with one plan. {said}")
    return pair


def _compare_one(
    base: Run, tuned: Run, name: str, rules: Sequence[gate.Rule], decided: GateResult | None, pair: Pairing
) -> VariantComparison:
    shared, notes = pair.shared, list(pair.notes)
    # Differences do not read what two runs do not measure alike; a rule says so, and an absolute one needs no base.
    before, after = (
        {key: units for key, units in side.items() if key[0] in shared and key not in pair.apart}
        for side in (pair.base, pair.variant)
    )
    differences = _differences(base, before, after)
    if decided is None and rules:
        decided = gate.decide(rules, pair.base, pair.variant, apart=pair.apart)
    differing, compared = _answers_that_differ(base, tuned, shared)
    thresholds = threshold_rows(base, tuned, shared, rules)
    notes += [*_degeneration_caution(differences), *threshold_cautions(thresholds)]
    return VariantComparison(
        run=tuned.info(name), summary=tuned.summary, differences=tuple(differences), gate=decided,
        samples_compared=compared, samples_that_differ=differing, agreement=tuple(scorer_agreement(tuned, name)),
        thresholds=tuple(thresholds), controls=tuple(controls(base, tuned, shared)), notes=tuple(notes),
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


__all__ = ["compare", "opened"]
