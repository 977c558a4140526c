"""Answers to be read: of each suite the worst, the most changed and some at random, base and variants side by side."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from audit.agreement import VALUE, deciding_scorer, judges
from audit.metrics.answers import Answered, Sample
from audit.metrics.toxicity import THRESHOLD
from audit.results import Run
from audit.schema import Excerpt

WORST, CHANGED, RANDOM = "worst", "most changed", "random"
COUNTS = {WORST: 8, CHANGED: 8, RANDOM: 6}
"""Excerpts of each kind and suite: enough to see what the numbers are made of, few enough to read. The most changed
are shared out evenly among the variants, rounded up, at least two to each."""
BUDGET = 600_000
"""Characters of all excerpts together, so that a page opens at once. The run folders hold the rest."""
_LEAST_PER_VARIANT = 2


def excerpts(runs: Sequence[Run], names: Sequence[str], *, budget: int = BUDGET) -> list[Excerpt]:
    """Worst, most changed and random answers of each suite whose answers are judged for toxicity.

    Args:
        runs: the base, then the variants.
        names: what the report calls them.
        budget: most characters of prompts and answers over all suites. An excerpt that does not fit is left out whole,
            never cut; the first of a suite is always shown.

    Returns:
        Excerpts suite by suite: the worst by the deciding scorer, the most changed of each variant in turn, random
        ones. No answer twice. Nothing where no scorer judges toxicity.
    """
    scorer = deciding_scorer(runs[0].record["scorers"])
    if scorer is None:
        return []
    values = [f"{name}.{VALUE}" for name in judges(runs[0].record["scorers"])]
    suites = [name for name in runs[0].suites if any(one.samples for one in runs[0].answers.get(name, ()))]
    found: list[Excerpt] = []
    for suite in suites:
        rows = list(_side_by_side(runs, names, suite, f"{scorer}.{VALUE}", values))
        found += _within(pick(rows, names, runs[0].seed), budget // len(suites))
    return found


def _side_by_side(
    runs: Sequence[Run], names: Sequence[str], suite: str, reads: str, values: Sequence[str]
) -> Iterator[Excerpt]:
    """Every answer of a suite with the other runs' answers to the same prompt and sample number."""
    digest = runs[0].suites[suite]["digest"]
    by_run = [
        {(one.item.id, sample.k): sample for one in run.answers.get(suite, ()) for sample in one.samples}
        if run.suites.get(suite, {}).get("digest") == digest
        else {}
        for run in runs
    ]
    for one in runs[0].answers.get(suite, ()):
        for sample in one.samples:
            key = (one.item.id, sample.k)
            given = {name: table[key] for name, table in zip(names, by_run, strict=True) if key in table}
            yield _excerpt(suite, one, sample.k, given, reads, values)


def _excerpt(
    suite: str, one: Answered, k: int, given: Mapping[str, Sample], reads: str, values: Sequence[str]
) -> Excerpt:
    # Of many thousands of rows few are shown: they are not validated one by one.
    return Excerpt.model_construct(
        suite=suite, item=one.item.id, group=one.item.group, sample=k, prompt=one.item.text,
        answers={name: sample.text for name, sample in given.items()},
        scores={name: sample.scores.get(reads) for name, sample in given.items()},
        scorer=reads, why="", threshold=THRESHOLD,
        judged={value: {name: sample.scores.get(value) for name, sample in given.items()} for value in values},
    )  # fmt: skip


def pick(rows: Sequence[Excerpt], names: Sequence[str], seed: int) -> list[Excerpt]:
    """Choose what is shown of a suite.

    Args:
        rows: all its answers, side by side.
        names: of the runs; the first is the base.
        seed: of the random ones.

    Returns:
        As many of each kind as :data:`COUNTS` says, where there are that many; no answer twice, each with why it was
        chosen.
    """
    taken: set[tuple[str, int]] = set()
    found: list[Excerpt] = []

    def take(order: Sequence[Excerpt], most: int, why: str) -> None:
        free = [row for row in order if (row.item, row.sample) not in taken][:most]
        taken.update((row.item, row.sample) for row in free)
        found.extend(row.model_copy(update={"why": why}) for row in free)

    take(sorted(rows, key=lambda row: (-_highest(row), row.item, row.sample)), COUNTS[WORST], WORST)
    for name in names[1:]:
        share = max(_LEAST_PER_VARIANT, math.ceil(COUNTS[CHANGED] / len(names[1:])))
        changes = {id(row): _change(row, names[0], name) for row in rows}
        moved = [row for row in rows if changes[id(row)] > 0]
        moved.sort(key=lambda row: (-changes[id(row)], row.item, row.sample))
        take(moved, share, f"{CHANGED} in {name}" if len(names) > 2 else CHANGED)
    shuffled = np.random.default_rng(seed).permutation(len(rows))
    take([rows[int(at)] for at in shuffled], COUNTS[RANDOM], RANDOM)
    return found


def _highest(row: Excerpt) -> float:
    """The highest score of any run; under 0 where none is scored."""
    return max((score for score in row.scores.values() if score is not None), default=-1.0)


def _change(row: Excerpt, base: str, name: str) -> float:
    """How far a variant's score lies from the base's; 0 where either has none."""
    before, after = row.scores.get(base), row.scores.get(name)
    return 0.0 if before is None or after is None else abs(after - before)


def _within(rows: Sequence[Excerpt], budget: int) -> Iterator[Excerpt]:
    """The rows that fit into a budget of characters, in order; the first always does."""
    spent = 0
    for at, row in enumerate(rows):
        size = len(row.prompt) + sum(len(text or "") for text in row.answers.values())
        if at and spent + size > budget:
            continue
        spent += size
        yield row


__all__ = ["BUDGET", "CHANGED", "COUNTS", "RANDOM", "WORST", "excerpts", "pick"]
