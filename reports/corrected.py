"""What a page says of people's labels: who read what, how far they agree, and rates beside their corrected ones."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

from audit.schema import CorrectedRate, HumanLabels, Span
from reports import text


@dataclass(frozen=True, slots=True)
class Row:
    """One rate or change."""

    record: CorrectedRate
    off: bool
    """Whether the scorer's own number lies outside what the labels allow."""


@dataclass(frozen=True, slots=True)
class Table:
    """One suite by one scorer."""

    suite: str
    scorer: str
    smoke: bool
    level: float
    rows: tuple[Row, ...]


@dataclass(frozen=True, slots=True)
class Corrected:
    """All that a page shows of people's labels."""

    read: str
    """Who read how many answers, and what they said."""
    agreed: str
    """How far two raters agree; empty with one."""
    lacking: str
    """What is not labelled or not decided, and what that means; empty where all is."""
    found: str
    """What the labels say of the scorer's numbers."""
    tables: tuple[Table, ...]
    notes: tuple[str, ...]
    sample: str


def corrected(labels: HumanLabels | None) -> Corrected | None:
    """Gather a comparison's labels for the templates.

    Args:
        labels: of the comparison.

    Returns:
        None where no labels were given.
    """
    if labels is None:
        return None
    tables = tuple(
        Table(suite, scorer, rows[0].smoke, rows[0].level, tuple(Row(row, _off(row)) for row in rows))
        for (suite, scorer), part in groupby(labels.rows, key=lambda row: (row.suite, row.scorer))
        if (rows := list(part))
    )
    return Corrected(
        _read(labels), _agreed(labels), _lacking(labels), _found([row for one in tables for row in one.rows]), tables,
        labels.notes, labels.sample,
    )  # fmt: skip


def lines(labels: HumanLabels | None) -> list[str]:
    """The same for a terminal: the raters, then a line for each rate and change."""
    shown = corrected(labels)
    if shown is None:
        return []
    rows = [_line(row.record) for table in shown.tables for row in table.rows]
    return [*(part for part in (shown.read, shown.agreed, shown.lacking) if part), *rows, *shown.notes]


def _line(row: CorrectedRate) -> str:
    signed = bool(row.against)
    change = f" minus {row.against}" if signed else ""
    return (
        f"{row.suite}, {row.run}{change}: {_words(row.prediction_powered, signed)} toxic by people's labels; "
        f"{_words(row.raw, signed)} by {row.scorer}{'*' if row.smoke else ''} alone (n={row.labelled} labelled)"
    )


def _words(span: Span, signed: bool) -> str:
    if span.value is None:
        return f"{text.MISSING} ({span.method})"
    ends = text.interval(span.low, span.high, "share", signed=signed)
    return f"{text.number(span.value, 'share', signed=signed)} ({ends})"


def _off(row: CorrectedRate) -> bool:
    raw, found = row.raw.value, row.prediction_powered
    return raw is not None and found.low is not None and found.high is not None and not found.low <= raw <= found.high


def _read(labels: HumanLabels) -> str:
    who = " and ".join(labels.raters)
    benign = labels.not_toxic + labels.unreadable
    broken = f", {text.count(labels.unreadable)} of them unreadable" if labels.unreadable else ""
    return (
        f"{who} read a random sample of the answers without knowing which model wrote them: "
        f"{text.count(labels.answers)} different answers of {text.count(labels.pairs)} prompts and draws. "
        f"{text.count(labels.toxic)} count as toxic, {text.count(benign)} as not{broken}."
    )


def _agreed(labels: HumanLabels) -> str:
    if labels.agreement is None or labels.kappa is None:
        return ""
    kappa = labels.kappa
    ends = text.interval(kappa.low, kappa.high, "score")
    said = (
        f"{text.number(kappa.value, 'score')} ({ends})"
        if kappa.value is not None
        else "not defined, as no verdict varies"
    )
    settled = f" They settled {text.count(labels.settled)} answers together." if labels.settled else ""
    return (
        f"Both gave a verdict on {text.count(labels.both)} answers and the same one on "
        f"{_words(labels.agreement, False)} of them; Cohen's kappa is {said}.{settled}"
    )


def _lacking(labels: HumanLabels) -> str:
    parts = []
    half = labels.unsure + labels.disputed
    if half:
        parts.append(
            f"{_answers(half)} count half: on {text.count(labels.unsure)} nobody was sure, on "
            f"{text.count(labels.disputed)} the raters differ."
        )
    if labels.unlabelled:
        parts.append(
            f"{_answers(labels.unlabelled)} carry no label: {text.count(labels.labelled)} of "
            f"{text.count(labels.pairs)} pairs are complete, and the others are taken to be like them."
        )
    return " ".join(parts)


def _answers(number: int) -> str:
    return f"{text.count(number)} answer{'s' if number != 1 else ''}"


def _found(rows: Sequence[Row]) -> str:
    known = [row for row in rows if row.record.prediction_powered.low is not None]
    if not known:
        return "The labels do not suffice to correct any number."
    off = sum(row.off for row in known)
    if not off:
        return f"In all {len(known)} rows the scorer's own number lies within what the labels allow."
    return (
        f"In {off} of {len(known)} rows the scorer's own number lies outside what the labels allow (marked ≠): "
        "there, go by the corrected one."
    )
