"""What a scorer is: text in, named values in [0, 1] out, or *unscored* with a reason.

A scorer never says 0 for "could not score". :func:`score_all` is the only road from texts to results: it
checks what a scorer returns, asks once for duplicates, and turns a failure into a reason that stays with the
text it belongs to.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from numbers import Real
from typing import Protocol, runtime_checkable

BATCH = 512
"""Distinct texts handed to a scorer in one call: large enough for vector code, small enough to be done again."""

_REASON_LENGTH = 300


@dataclass(frozen=True, slots=True)
class ScoreResult:
    """The result for one text: values, or the reason why there are none. Exactly one of the two is None.

    Raises:
        ValueError: both or neither were given.
    """

    values: Mapping[str, float] | None
    """Value name -> number in [0, 1]; None where the text is unscored."""
    reason: str | None = None
    """Why the text is unscored, in one line; None where it is scored."""

    def __post_init__(self) -> None:
        if (self.values is None) == (self.reason is None):
            raise ValueError("a ScoreResult holds either values or a reason, got both or neither")


@runtime_checkable
class Scorer(Protocol):
    """Anything that gives texts named values in [0, 1].

    Implementations promise: the same text gets the same values in every call, batch and order; no network
    access while scoring; every ``str`` is accepted (empty, NUL, lone surrogates, 100,000 characters), or
    answered with an unscored result.
    """

    @property
    def name(self) -> str:
        """Name in the registry and prefix of the values in a run folder (``name.value``)."""

    @property
    def revision(self) -> str:
        """Changes whenever the same text may get another value."""

    @property
    def smoke(self) -> bool:
        """True where the scorer is only fit for a smoke test, and must say so wherever its values show."""

    @property
    def values(self) -> tuple[str, ...]:
        """Names of the values that every scored text gets."""

    @property
    def card(self) -> str:
        """What it measures, from what, its licence, measured figures and blind spots, as plain text."""

    def score(self, texts: Sequence[str]) -> list[ScoreResult]:
        """Score texts; one result for each, in the same order."""


def score_all(scorer: Scorer, texts: Sequence[str], *, batch: int = BATCH) -> list[ScoreResult]:
    """Score texts with one scorer, whatever single texts do to it.

    Duplicates are scored once. A batch that raises, or that returns another number of results, is redone in
    halves, so that a text that raises again ends alone: it is unscored, with the exception as its reason. A
    result that is not exactly the declared values, each finite and in [0, 1], is unscored too.

    Args:
        scorer: the scorer.
        texts: the texts, [n].
        batch: distinct texts per call of the scorer, at least 1.

    Returns:
        One result per text, [n], in the order of ``texts``.

    Raises:
        TypeError: something in ``texts`` is not a ``str``. A missing answer is not a text: it never comes
        here.
    """
    for position, text in enumerate(texts):
        if not isinstance(text, str):
            raise TypeError(f"text {position} is {type(text).__name__}, not str; leave missing answers out")
    distinct = list(dict.fromkeys(texts))
    results: dict[str, ScoreResult] = {}
    for start in range(0, len(distinct), batch):
        part = distinct[start : start + batch]
        results.update(zip(part, _score_batch(scorer, part), strict=True))
    return [results[text] for text in texts]


def _score_batch(scorer: Scorer, texts: list[str]) -> list[ScoreResult]:
    """Score distinct texts together; in halves, and those in halves again, where that fails."""
    try:
        return _asked(scorer, texts)
    except Exception as error:  # a plugin may raise anything; the reason is kept, not swallowed
        if len(texts) == 1:
            return [_unscored(f"{type(error).__name__}: {error}")]
    # Outside the handler: the exception holds on to the memory that the failed call took.
    middle = len(texts) // 2
    return _score_batch(scorer, texts[:middle]) + _score_batch(scorer, texts[middle:])


def _asked(scorer: Scorer, texts: list[str]) -> list[ScoreResult]:
    """One call of the scorer, its results checked."""
    raw = scorer.score(texts)
    if len(raw) != len(texts):
        raise ValueError(f"scorer {scorer.name!r} returned {len(raw)} results for {len(texts)} texts")
    return [_checked(scorer, result) for result in raw]


def _checked(scorer: Scorer, result: object) -> ScoreResult:
    """The result with plain floats, or unscored with what is wrong with it."""
    if not isinstance(result, ScoreResult):
        return _unscored(f"scorer {scorer.name!r} returned {type(result).__name__}, not a ScoreResult")
    if result.values is None:
        return _unscored(result.reason or "no reason given")
    if set(result.values) != set(scorer.values):
        return _unscored(
            f"scorer {scorer.name!r} declared {', '.join(sorted(scorer.values))}"
            f" but returned {', '.join(sorted(map(str, result.values))) or 'nothing'}"
        )
    values: dict[str, float] = {}
    for name in scorer.values:
        value = result.values[name]
        if not isinstance(value, Real) or not math.isfinite(value) or not 0.0 <= value <= 1.0:
            return _unscored(f"scorer {scorer.name!r} gave {name} = {value!r}, not a number in [0, 1]")
        values[name] = float(value)
    return ScoreResult(values)


def _unscored(reason: str) -> ScoreResult:
    """An unscored result whose reason fits one line of a journal."""
    line = " ".join(reason.split()).encode("utf-8", "backslashreplace").decode("utf-8")
    return ScoreResult(None, line[:_REASON_LENGTH])
