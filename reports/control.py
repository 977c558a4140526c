"""The panel that asks whether a variant is milder or only broken: toxicity beside the signs of broken text."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from audit.schema import Comparison, Difference, VariantComparison
from reports import text
from reports.charts import Series

ALL = "all"
_TOXICITY = ("toxic-fraction", "toxicity-probability", "expected-maximum-toxicity")
_WHOLE_TEXT = ("bits/byte", "perplexity")
"""Units of metrics that say how well a model predicts ordinary text."""


@dataclass(frozen=True, slots=True)
class Line:
    """One number of the panel, and in words what it did."""

    record: Difference
    reading: str
    toxicity: bool


@dataclass(frozen=True, slots=True)
class Part:
    """One suite of one variant, or the suites of plain text."""

    name: str
    lines: tuple[Line, ...]
    sentence: str
    """What a fall of toxicity came with; of plain text whether it is predicted less well; else empty."""


@dataclass(frozen=True, slots=True)
class Panel:
    """One variant."""

    id: str
    series: Series
    parts: tuple[Part, ...]


def panels(comparison: Comparison, series: Sequence[Series]) -> tuple[Panel, ...]:
    """Gather the panel of each variant.

    Args:
        comparison: as rendered.
        series: its runs, in order.

    Returns:
        One panel for each variant that has anything to show: suites with generated answers, then plain text.
    """
    made = [
        Panel(f"control-{one.index}", one, _parts(variant))
        for one, variant in zip(series[1:], comparison.variants, strict=True)
    ]
    return tuple(panel for panel in made if panel.parts)


def _parts(variant: VariantComparison) -> tuple[Part, ...]:
    if not variant.controls:  # a comparison from before they were computed
        return ()
    whole = [row for row in variant.differences if row.group == ALL]
    fluency = tuple(_line(row) for row in whole if row.unit in _WHOLE_TEXT)
    parts = []
    for suite in dict.fromkeys(row.suite for row in variant.controls):
        signs = tuple(_line(row) for row in variant.controls if row.suite == suite)
        toxic = tuple(_line(row) for row in whole if row.suite == suite and row.metric in _TOXICITY)
        parts.append(Part(suite, (*toxic, *signs), _sentence(toxic, signs, fluency)))
    for suite in dict.fromkeys(line.record.suite for line in fluency):
        lines = tuple(line for line in fluency if line.record.suite == suite)
        parts.append(Part(suite, lines, _predicted(lines)))
    return tuple(parts)


def _line(row: Difference) -> Line:
    return Line(row, _reading(row), row.metric in _TOXICITY)


def _reading(row: Difference) -> str:
    """On which side of zero the interval lies."""
    if row.difference is None or row.low is None or row.high is None:
        return "not known"
    if row.low > 0:
        return "higher"
    return "lower" if row.high < 0 else "no clear change"


def _rose(lines: Sequence[Line]) -> str:
    """Which of the lines rose that are better low; empty where none did."""
    bad = [line.record for line in lines if line.reading == "higher" and not text.informs(line.record.label)]
    return _listed([f"{row.label} ({_change(row)})" for row in bad])


def _predicted(lines: Sequence[Line]) -> str:
    rose = _rose(lines)
    return f"The variant predicts ordinary text less well: higher are {rose}." if rose else ""


def _sentence(toxic: Sequence[Line], signs: Sequence[Line], fluency: Sequence[Line]) -> str:
    """What toxicity did, and whether any sign of broken text moved with it the bad way."""
    if not toxic:
        return ""
    rose = _rose([*signs, *fluency])
    refused = [line for line in signs if line.record.metric == "refused-rate" and line.reading == "higher"]
    also = f" More answers refuse ({_change(refused[0].record)})." if refused else ""
    readings = {line.reading for line in toxic}
    if "lower" in readings:
        row = next(line.record for line in toxic if line.reading == "lower")
        start = f"Toxicity fell ({row.label}: {_change(row)})"
        if "higher" in readings:
            start += ", though not by every measure,"
        if rose:
            return f"{start} while {rose} rose. The fall may come from broken text, not from a milder model.{also}"
        return f"{start} and no sign of broken text clearly rose. {_left(signs)}{also}"
    if "higher" in readings:
        start = "Toxicity rose; this is not a model that is safer because it is broken."
    elif readings == {"not known"}:
        start = "Whether toxicity changed is not known."
    else:
        start = "Toxicity did not clearly fall, so there is no fall that broken text would have to explain."
    own = _rose(signs)
    return f"{start}{f' Signs of broken text that rose all the same: {own}.' if own else ''}{also}"


def _left(signs: Sequence[Line]) -> str:
    """How large a rise of degenerate answers the interval leaves open: none seen is not none there."""
    row = next((line.record for line in signs if line.record.metric == "degeneration-rate"), None)
    if row is None:
        return "Degenerate answers were not counted."
    if row.high is None:
        return "How far degenerate answers may have risen is not known."
    most = text.number(max(row.high, 0.0), row.unit, signed=True)
    return f"A rise of degenerate answers by up to {most} stays possible."


def _change(row: Difference) -> str:
    interval = text.interval(row.low, row.high, row.unit, signed=True)
    return f"{text.number(row.difference, row.unit, signed=True)}, {text.percent(row.level)} interval {interval}"


def _listed(words: Sequence[str]) -> str:
    return words[0] if len(words) == 1 else ", ".join(words[:-1]) + " and " + words[-1] if words else ""


__all__ = ["Line", "Panel", "Part", "panels"]
