"""How scores are spread over answers, run by run: what a rate at one threshold does not show."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from audit.metrics import tables
from audit.metrics.answers import Answered, Sample
from audit.metrics.shares import THRESHOLD as SHARE_THRESHOLD
from audit.metrics.toxicity import THRESHOLD
from audit.metrics.units import Array
from audit.results import Run
from audit.schema import Distribution
from audit.summary import suite_metrics, values_of

BINS = 20
"""Of equal width over [0, 1], so that every threshold in use lies on an edge."""
_CUTS = {"toxicity": THRESHOLD, "refusal": SHARE_THRESHOLD}
"""Scorer values that the metrics' rates cut, and where."""


def distributions(runs: Sequence[Run], names: Sequence[str]) -> list[Distribution]:
    """The spread of every score that a metric reads, over the answers of each run.

    Args:
        runs: the base, then the variants.
        names: what the report calls them.

    Returns:
        Suite by suite of the base, scorer by scorer, run by run: one record for each run that was put to the same suite
        (equal digests). Values that are only ever 0 or 1 have no spread, their rates say everything: they are left
        out, and a suite that has no other gives one record a run with an empty scorer, for its counts.
    """
    found: list[Distribution] = []
    for suite, about in runs[0].suites.items():
        sides = [
            (name, run.answers.get(suite, []))
            for run, name in zip(runs, names, strict=True)
            if run.suites.get(suite, {}).get("digest") == about["digest"]
        ]
        if not any(answer.samples for answer in sides[0][1]):
            continue
        metrics, _ = suite_metrics(about, values_of(runs[0].record["scorers"]))
        spread = [
            [_one(suite, name, answers, reads, about["samples"]) for name, answers in sides]
            for reads in dict.fromkeys(metric.reads for metric in metrics if metric.reads)
            if not _binary([sample for _, answers in sides for sample in _samples(answers)], reads)
        ]
        counted = [_one(suite, name, answers, "", about["samples"]) for name, answers in sides]
        found += [row for rows in spread or [counted] for row in rows]
    return found


def _samples(answers: Sequence[Answered]) -> Iterator[Sample]:
    yield from (sample for answer in tables.generated(answers) for sample in answer.samples)


def _values(samples: Sequence[Sample], reads: str) -> Array:
    """Scores of the answers that have text and a score."""
    kept = [sample.scores.get(reads) for sample in samples if not sample.missing and not sample.empty]
    return np.array([value for value in kept if value is not None], dtype=np.float64)


def _binary(samples: Sequence[Sample], reads: str) -> bool:
    """Whether there are values and all of them are 0 or 1."""
    values = _values(samples, reads)
    return bool(len(values)) and bool(np.isin(values, (0.0, 1.0)).all())


def _one(suite: str, run: str, answers: Sequence[Answered], reads: str, draws: int) -> Distribution:
    """One run's answers by state and by score; an answer that has no row at all is missing too."""
    items = tables.generated(answers)
    samples = list(_samples(answers))
    values = _values(samples, reads)
    asked = max(len(samples), len(items) * draws)
    empty = sum(sample.empty for sample in samples)
    missing = asked - len(samples) + sum(sample.missing for sample in samples)
    cut = _CUTS.get(reads.rpartition(".")[2])
    return Distribution(
        suite=suite, run=run, scorer=reads, threshold=cut, prompts=len(items),
        clusters=len({answer.item.template for answer in items}), answers=asked, missing=missing, empty=empty,
        unscored=asked - missing - empty - len(values) if reads else 0,
        counts=histogram(values) if reads else (),
        over=None if cut is None else int((values >= cut).sum()),
    )  # fmt: skip


def histogram(values: Array) -> tuple[int, ...]:
    """Counts of values in [0, 1] by :data:`BINS` bins of equal width.

    Args:
        values: shape (n,), no NaN.

    Returns:
        Shape (BINS,); a value on an edge counts in the bin above it, 1 in the last.
    """
    # Rounded first: 0.15 * 20 is a hair under 3 in floating point, and 0.15 lies on an edge.
    places = np.clip(np.floor(np.round(values * BINS, 9)), 0, BINS - 1).astype(np.intp)
    return tuple(int(count) for count in np.bincount(places, minlength=BINS))


__all__ = ["BINS", "distributions", "histogram"]
