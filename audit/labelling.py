"""Which answers people should read: a stratified, blinded random sample of the answers of a base and its variants.

What is drawn is a *pair*: one prompt and draw, with the answers of all runs, since a change can only be corrected where
both of its sides were labelled. Within each suite pairs are parted by the highest score of their answers into strata:
``flagged`` (at or above the threshold), ``near`` (the highest fifth of the rest) and ``clear``. Half of the labels are
shared equally among strata, so that rare toxic answers are seen, half in proportion to their sizes; within a stratum
every pair is as likely as any other. What ties labels to answers is kept in ``sample.json``, apart from what raters
see.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from pydantic import ValidationError

from audit import provenance, store
from audit.agreement import METRIC, VALUE, deciding_scorer
from audit.errors import DataError, UsageError
from audit.metrics import tables
from audit.metrics.answers import Sample
from audit.metrics.correction import ENOUGH
from audit.metrics.shares import THRESHOLD
from audit.metrics.units import Array
from audit.results import Run
from audit.schema import Record
from audit.text import is_empty

SAMPLE = "sample.json"
"""The key: which answer is behind which number. Raters do not get it."""
PAGE = "label.html"
"""The page for raters."""
BINS = ("flagged", "near", "clear")
_BLOCK = 10  # pairs: a rater who stops early has labelled a random part, but for the last block
_NEAR = 0.8  # quantile of the scores under the threshold
_ORDER = 2**32 - 1  # keys the order of the page apart from the draws of strata

Key = tuple[str, int]
"""(item, draw): a pair within its suite."""


class SampledRun(Record):
    """One of the runs that the sample was drawn from."""

    name: str
    samples_sha256: str
    """Of its ``samples.jsonl``: the answers, whatever scored them."""


class Stratum(Record):
    """Pairs of like score; labels are drawn within it at random."""

    suite: str
    bin: str
    """``flagged``, ``near`` or ``clear``."""
    low: float
    """Lowest of its pairs' higher scores."""
    high: float
    """Highest of them."""
    pairs: int
    """How many pairs it holds."""
    drawn: int
    """How many of them are to be labelled."""

    @property
    def name(self) -> str:
        """Suite and bin."""
        return f"{self.suite}: {self.bin}"

    @property
    def inclusion(self) -> float:
        """Probability with which each of its pairs was drawn."""
        return self.drawn / self.pairs


class Drawn(Record):
    """A pair that was drawn."""

    suite: str
    item: str
    k: int
    stratum: int
    inclusion: float
    answers: tuple[str | None, ...]
    """Per run the answer's id on the page; None where the answer is empty, which is not toxic by definition."""


class LabelSample(Record):
    """All that ``sample.json`` holds."""

    schema_version: int = 1
    tool_version: str
    seed: int
    scorer: str
    """Whose scores made the strata."""
    scorer_revision: str
    threshold: float
    runs: tuple[SampledRun, ...]
    """The base first."""
    strata: tuple[Stratum, ...]
    frame: dict[str, dict[str, tuple[int | None, ...]]]
    """Suite -> item -> per draw the number of its pair's stratum; None where a run has no answer or no score of it."""
    drawn: tuple[Drawn, ...]
    texts: dict[str, str]
    """Id on the page -> sha256 of prompt and answer."""
    digest: str = ""
    """Of everything else in this record; the page and all labels carry it."""

    def sealed(self) -> LabelSample:
        """The same with its digest."""
        bare = self.model_copy(update={"digest": ""}).model_dump(mode="json")
        return self.model_copy(update={"digest": provenance.sha256_bytes(store.dumps(bare).encode())})


@dataclass(frozen=True, slots=True)
class Case:
    """One answer as a rater sees it."""

    id: str
    prompt: str
    answer: str


def text_digest(prompt: str, answer: str) -> str:
    """SHA-256 of a prompt and its answer; a lone surrogate is allowed."""
    return provenance.sha256_bytes(json.dumps([prompt, answer]).encode())


def draw(runs: Sequence[Run], n: int, *, seed: int = 0) -> tuple[LabelSample, list[Case]]:
    """Draw pairs to be labelled.

    Args:
        runs: finished runs of one plan; the base first, then its variants; one alone will do.
        n: pairs to draw; all of them where there are no more.
        seed: keys the draws and the order of the page.

    Returns:
        The key, and the different answers in the order in which they are shown: random, without a run's name.

    Raises:
        UsageError: a run is not finished, no suite's toxic answers can be sampled, the runs' scorers differ, or ``n``
            is too small for the strata.
    """
    scorer, revision = _scorer(runs)
    scores = {suite: _highest(runs, suite, f"{scorer}.{VALUE}") for suite in _suites(runs)}
    if not any(scores.values()):
        raise UsageError(f"no pair of answers has a score by {scorer} in every run; there is nothing to label")
    frame: dict[Key, int] = {}
    strata: list[Stratum] = []
    for suite, highest in scores.items():
        keys, values = list(highest), np.array(list(highest.values()))
        bins = stratify(values)
        for name in (name for name in BINS if name in bins):
            rows = np.flatnonzero(np.asarray(bins, dtype=object) == name)
            frame |= {keys[at]: len(strata) for at in rows}
            low, high = float(values[rows].min()), float(values[rows].max())
            strata.append(Stratum(suite=suite, bin=name, low=low, high=high, pairs=len(rows), drawn=0))
    sizes = allocate([one.pairs for one in strata], n)
    strata = [one.model_copy(update={"drawn": size}) for one, size in zip(strata, sizes, strict=True)]
    chosen = _choose(frame, strata, seed)
    drawn, cases = _arrange(runs, chosen, strata, seed)
    sample = LabelSample(
        tool_version=provenance.tool_version(), seed=seed, scorer=scorer, scorer_revision=revision,
        threshold=THRESHOLD, runs=tuple(_identity(run, at) for at, run in enumerate(runs)), strata=tuple(strata),
        frame=_frame(runs[0], scores, frame), drawn=tuple(drawn),
        texts={case.id: text_digest(case.prompt, case.answer) for case in cases},
    )  # fmt: skip
    return sample.sealed(), cases


def _scorer(runs: Sequence[Run]) -> tuple[str, str]:
    """The scorer whose values part the strata, and its revision, the same in all runs."""
    for run in runs:
        if run.status not in ("complete", "incomplete"):
            raise UsageError(f"{run.path}: this run is not finished ({run.status}); run its command again to go on")
    name = deciding_scorer(runs[0].record["scorers"])
    if name is None:
        raise UsageError(f"{runs[0].path}: no scorer judged toxicity in this run; rescore it with one")
    found = [{one["name"]: str(one["revision"]) for one in run.record["scorers"]}.get(name) for run in runs]
    for run, revision in zip(runs, found, strict=True):
        if revision is None or revision != found[0]:
            raise UsageError(
                f"{run.path}: its answers were not scored by {name} as the base's were; rescore one of them"
            )
    return name, str(found[0])


def _suites(runs: Sequence[Run]) -> list[str]:
    """Suites that measure toxic answers and were asked alike of all runs."""
    found = [
        name
        for name, suite in runs[0].suites.items()
        if METRIC in suite["metrics"]
        and all(run.suites.get(name, {}).get("digest") == suite["digest"] for run in runs[1:])
    ]
    if not found:
        raise UsageError(f"{runs[0].path}: no suite measures {METRIC} alike in all these runs; run them with one plan")
    return found


def answers_of(run: Run, suite: str) -> dict[Key, Sample]:
    """Every generated answer of a suite by item and draw."""
    return {(one.item.id, sample.k): sample for one in run.answers.get(suite, ()) for sample in one.samples}


def _highest(runs: Sequence[Run], suite: str, reads: str) -> dict[Key, float]:
    """The higher score of each pair that has an answer and a score in every run; in the base's order."""
    sides = [answers_of(run, suite) for run in runs]
    found = {}
    for key in sides[0]:
        if all(key in side for side in sides):
            scores = [tables.score_of(side[key], reads, 0.0) for side in sides]
            if not np.isnan(scores).any():
                found[key] = max(scores)
    return found


def stratify(scores: Array) -> list[str]:
    """The bin of each pair of a suite.

    Args:
        scores: the highest score of each pair's answers, in [0, 1], shape (n,).

    Returns:
        ``flagged``, ``near`` or ``clear``, one a pair; ``near`` is empty where more than four fifths of the pairs under
        the threshold share the highest of their scores.
    """
    rest = scores[scores < THRESHOLD]
    edge = float(np.quantile(rest, _NEAR, method="inverted_cdf")) if len(rest) else 0.0
    return ["flagged" if one >= THRESHOLD else "near" if one > edge else "clear" for one in scores]


def allocate(sizes: Sequence[int], n: int) -> list[int]:
    """How many labels each stratum gets.

    Args:
        sizes: pairs in each stratum.
        n: labels in all.

    Returns:
        Half shared equally, half in proportion to size; at least ten or the whole stratum, never more than it holds.

    Raises:
        UsageError: ``n`` is below the sum of those least numbers.
    """
    total, parts = sum(sizes), len(sizes)
    given = [min(size, ENOUGH) for size in sizes]
    if n < sum(given):
        raise UsageError(f"--n {n}: too few for {parts} strata of {total} pairs; give at least {sum(given)}")
    wanted = [n / (2 * parts) + n * size / (2 * total) for size in sizes]
    for _ in range(min(n, total) - sum(given)):
        short = [want - got if got < size else -np.inf for want, got, size in zip(wanted, given, sizes, strict=True)]
        given[int(np.argmax(short))] += 1
    return given


def pick(members: int, drawn: int, seed: int, stratum: int) -> npt.NDArray[np.intp]:
    """Numbers of the pairs drawn from one stratum: simple random sampling without replacement."""
    return np.sort(np.random.default_rng([seed, stratum]).choice(members, drawn, replace=False))


def _choose(frame: Mapping[Key, int], strata: Sequence[Stratum], seed: int) -> list[tuple[Key, int]]:
    """The drawn pairs with their strata, in random order."""
    members: list[list[Key]] = [[] for _ in strata]
    for key, at in frame.items():
        members[at].append(key)
    chosen = [(keys[i], at) for at, keys in enumerate(members) for i in pick(len(keys), strata[at].drawn, seed, at)]
    return [chosen[i] for i in np.random.default_rng([seed, _ORDER]).permutation(len(chosen))]


def _arrange(
    runs: Sequence[Run], chosen: Sequence[tuple[Key, int]], strata: Sequence[Stratum], seed: int
) -> tuple[list[Drawn], list[Case]]:
    """The drawn pairs with the ids of their answers; the answers in the order of the page, equal ones once."""
    rng = np.random.default_rng([seed, _ORDER, 1])
    suites = {one.suite for one in strata}
    texts = [{suite: answers_of(run, suite) for suite in suites} for run in runs]
    prompts = {one.item.id: one.item.text for suite in suites for one in runs[0].answers[suite]}
    places: dict[tuple[str, str], int] = {}
    shown: list[list[tuple[str, str] | None]] = []
    for start in range(0, len(chosen), _BLOCK):
        block = chosen[start : start + _BLOCK]
        for (item, k), at in block:
            given = [str(side[strata[at].suite][item, k].text) for side in texts]
            shown.append([None if is_empty(text) else (prompts[item], text) for text in given])
        new = list(dict.fromkeys(one for row in shown[start:] for one in row if one and one not in places))
        places |= {new[i]: len(places) + n for n, i in enumerate(rng.permutation(len(new)))}
    width = len(str(len(places)))
    ids = {one: f"{at + 1:0{width}d}" for one, at in places.items()}
    drawn = [
        Drawn(
            suite=strata[at].suite, item=item, k=k, stratum=at, inclusion=strata[at].inclusion,
            answers=tuple(ids[one] if one else None for one in row),
        )
        for ((item, k), at), row in zip(chosen, shown, strict=True)
    ]  # fmt: skip
    return drawn, [Case(ids[one], *one) for one in sorted(places, key=lambda one: places[one])]


def _frame(
    base: Run, scores: Mapping[str, object], strata: Mapping[Key, int]
) -> dict[str, dict[str, tuple[int | None, ...]]]:
    """Every answer of the base with its stratum."""
    return {
        suite: {
            one.item.id: tuple(strata.get((one.item.id, k)) for k in range(one.samples[-1].k + 1))
            for one in base.answers[suite]
            if one.samples
        }
        for suite in scores
    }


def _identity(run: Run, at: int) -> SampledRun:
    """A run's name and its answers' hash."""
    name = run.name if at else f"base: {run.name}"
    return SampledRun(name=name, samples_sha256=provenance.sha256_file(run.folder.file(store.SAMPLES)))


def save(sample: LabelSample, out: Path) -> Path:
    """Write ``sample.json``.

    Args:
        sample: as drawn.
        out: a folder.

    Returns:
        The path written.

    Raises:
        UsageError: the folder holds another sample, whose labels would be orphaned.
        FolderError: the folder cannot be written.
    """
    folder = store.Folder(out)
    if folder.file(SAMPLE).exists() and read(folder.file(SAMPLE)).digest != sample.digest:
        raise UsageError(f"{out}: holds another sample, and labels may have been given for it; choose another --out")
    folder.write_text(SAMPLE, store.dumps(sample.model_dump(mode="json")) + "\n")
    return folder.file(SAMPLE)


def read(path: Path) -> LabelSample:
    """Read ``sample.json`` back.

    Raises:
        DataError: it is not there, not one of this version, or was altered.
    """
    try:
        found = LabelSample.model_validate_json(path.read_bytes())
    except OSError as error:
        raise DataError(
            path, f"cannot be read: {error.strerror}; labels need the {SAMPLE} they were drawn with"
        ) from error
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise DataError(path, f"not a sample of this version: {where}: {first['msg']}") from error
    if found.schema_version != 1:
        raise DataError(path, f"has schema version {found.schema_version}, this slm-audit reads 1")
    if found.sealed().digest != found.digest:
        raise DataError(path, "its digest is not that of its content; the file was altered")
    return found
