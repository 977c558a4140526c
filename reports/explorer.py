"""The examples of a page, and what they can be filtered by. Filters speak in numbers, never in a text from outside."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from audit.schema import Comparison, Excerpt
from audit.text import is_empty
from reports.charts import Series

_VERDICTS = {
    "base": "over in the base only", "variant": "over in a variant only", "both": "over in the base and in a variant",
    "neither": "over in none", "open": "a score is missing",
}  # fmt: skip
_ALONE = {"base": "over the threshold", "neither": "under the threshold", "open": "no score"}
"""The verdicts' words on the page of a single run."""
_SCROLLS = 240
"""Characters from which a text may outgrow its box, a new line counting as 24; it then takes the keyboard's focus."""


@dataclass(frozen=True, slots=True)
class Score:
    """One scorer's value of one answer; None where it gave none."""

    scorer: str
    value: float | None
    over: bool | None
    """Whether it is at or over the threshold; None where there is no value."""
    smoke: bool


@dataclass(frozen=True, slots=True)
class Answer:
    """One run's answer."""

    series: Series
    text: str | None
    empty: bool
    scores: tuple[Score, ...]
    """The deciding scorer first."""
    scrolls: bool


@dataclass(frozen=True, slots=True)
class Example:
    """One prompt with its answers, in the order of the runs."""

    id: str
    record: Excerpt
    answers: tuple[Answer, ...]
    scrolls: bool
    suite: int
    group: int
    why: int
    verdicts: str
    """By any scorer, then by each of the page's scorers: a key of :class:`Filters`, parted by blanks."""


@dataclass(frozen=True, slots=True)
class Filters:
    """What the examples can be filtered by; each value's number is its place."""

    suites: tuple[str, ...]
    groups: tuple[str, ...]
    whys: tuple[str, ...]
    scorers: tuple[str, ...]
    verdicts: tuple[tuple[str, str], ...]
    """(key, words) of the verdicts that occur."""


@dataclass(frozen=True, slots=True)
class Explorer:
    """The examples suite by suite, and their filters."""

    suites: tuple[tuple[str, tuple[Example, ...]], ...]
    filters: Filters
    threshold: float
    smoke: tuple[str, ...]
    """Smoke-test scorers among those shown."""


def explorer(comparison: Comparison, series: Sequence[Series], smoke: Iterable[str]) -> Explorer | None:
    """Gather a comparison's excerpts.

    Args:
        comparison: as rendered.
        series: its runs, in order.
        smoke: names of smoke-test scorers.

    Returns:
        The examples by suite, in the order in which they came; None where there is none.
    """
    if not comparison.excerpts:
        return None
    records = comparison.excerpts
    suites, groups, whys = (
        tuple(dict.fromkeys(values))
        for values in ([one.suite for one in records], [one.group for one in records], [one.why for one in records])
    )
    scorers = tuple(dict.fromkeys(scorer for one in records for scorer in _judged(one)))
    known = tuple(smoke)
    found = []
    for at, one in enumerate(records, start=1):
        answers = tuple(_answer(one, run, known) for run in series if run.name in one.answers)
        verdicts = _verdicts(answers, scorers)
        places = (suites.index(one.suite), groups.index(one.group), whys.index(one.why))
        found.append(Example(f"example-{at}", one, answers, _scrolls(one.prompt), *places, " ".join(verdicts)))
    words = _VERDICTS if len(series) > 1 else _ALONE
    said = {key for one in found for key in one.verdicts.split()}
    return Explorer(
        tuple((suite, tuple(one for one in found if one.record.suite == suite)) for suite in suites),
        Filters(suites, groups, whys, scorers, tuple((key, words[key]) for key in words if key in said)),
        records[0].threshold,
        tuple(name for name in scorers if _is_smoke(name, known)),
    )


def _judged(one: Excerpt) -> Mapping[str, Mapping[str, float | None]]:
    """Scores by scorer and run, the deciding scorer first."""
    return {one.scorer: one.scores, **{name: found for name, found in one.judged.items() if name != one.scorer}}


def _answer(one: Excerpt, run: Series, smoke: Sequence[str]) -> Answer:
    said = one.answers[run.name]
    scores = []
    for name, by_run in _judged(one).items():
        value = by_run.get(run.name)
        over = None if value is None else value >= one.threshold
        scores.append(Score(name, value, over, _is_smoke(name, smoke)))
    return Answer(run, said, said is not None and is_empty(said), tuple(scores), _scrolls(said or ""))


def _is_smoke(value: str, smoke: Sequence[str]) -> bool:
    """Whether a value such as ``embedded.toxicity`` is of one of the scorers named."""
    return any(value == name or value.startswith(f"{name}.") for name in smoke)


def _scrolls(said: str) -> bool:
    return len(said) + 24 * said.count("\n") > _SCROLLS


def _verdicts(answers: Sequence[Answer], scorers: Sequence[str]) -> list[str]:
    """By any scorer, then by each."""
    by_scorer = [[_over(answer, name) for answer in answers] for name in scorers]
    merged = [_any(column) for column in zip(*by_scorer, strict=True)]
    bases = [answer.series.index == 0 for answer in answers]
    return [_verdict(flags, bases) for flags in (merged, *by_scorer)]


def _over(answer: Answer, scorer: str) -> bool | None:
    """Whether a scorer puts an answer over the threshold; an empty answer is not, whether or not it was scored."""
    found = next((score.over for score in answer.scores if score.scorer == scorer), None)
    return False if found is None and answer.empty else found


def _verdict(flags: Sequence[bool | None], bases: Sequence[bool]) -> str:
    base = _any([flag for flag, is_base in zip(flags, bases, strict=True) if is_base])
    others = [flag for flag, is_base in zip(flags, bases, strict=True) if not is_base]
    variant = _any(others) if others else False
    if base is None or variant is None:
        return "open"
    return {(True, True): "both", (True, False): "base", (False, True): "variant"}.get((base, variant), "neither")


def _any(flags: Sequence[bool | None]) -> bool | None:
    """Whether any is true; None where none is and one is not known."""
    return True if True in flags else None if None in flags or not flags else False


__all__ = ["Answer", "Example", "Explorer", "Filters", "Score", "explorer"]
