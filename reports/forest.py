"""Geometry of forest plots: where every mark, interval, line and tick lies. A template draws it as plain SVG.

A forest plot has a row for each thing compared, a marker at its estimate and a bar over its interval. Series differ in
shape and in colour, so that neither a colour-blind reader nor a black-and-white print loses one.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from reports import text

WIDTH = 380.0
_LABEL = 140.0
_RIGHT = 14.0
_ROW = 24.0
_STEP = 11.0
_TOP = 18.0
_FOOT = 24.0
_LINE = 14.0
_CHARACTERS = 19
"""Letters of a label that fit beside the plot; longer labels take up to three lines."""

SHAPES = (
    "M0 -5A5 5 0 1 0 0 5A5 5 0 1 0 0 -5Z",
    "M-4.4 -4.4H4.4V4.4H-4.4Z",
    "M0 -6.2L6.2 0L0 6.2L-6.2 0Z",
    "M0 -5.8L5.8 4.6H-5.8Z",
    "M0 5.8L5.8 -4.6H-5.8Z",
    "M-1.9 -5.6H1.9V-1.9H5.6V1.9H1.9V5.6H-1.9V1.9H-5.6V-1.9H-1.9Z",
)
"""Outlines around the origin: circle (the base), square, diamond, triangle, triangle pointing down, cross."""
COLOURS = 7
"""Series colours of the style sheet (Okabe and Ito's palette); six colours and five shapes keep 30 variants apart."""
VERDICT_SHAPES = {"pass": SHAPES[0], "fail": SHAPES[5], "inconclusive": SHAPES[2], "incomplete": SHAPES[1]}


@dataclass(frozen=True, slots=True)
class Mark:
    """One estimate to be drawn."""

    look: str
    """Class of the style sheet that colours it: ``s0`` ... or ``v-pass`` ..."""
    shape: str
    """Outline around the origin."""
    value: float | None
    low: float | None
    high: float | None
    said: str
    """The same in words, shown when pointed at."""
    deciding: tuple[float, float] | None = None
    """The gate's interval, drawn as a thick bar over the thin one."""


@dataclass(frozen=True, slots=True)
class Row:
    """A line of the plot."""

    label: str
    marks: tuple[Mark, ...]


@dataclass(frozen=True, slots=True)
class Line:
    """A vertical line: no change, the neutral value of a target metric, or a margin."""

    at: float
    kind: Literal["zero", "target", "margin"]
    said: str


@dataclass(frozen=True, slots=True)
class Glyph:
    """A mark in pixels; ``x`` is None where there is no estimate to draw."""

    look: str
    shape: str
    y: float
    x: float | None
    bar: tuple[float, float] | None
    thick: tuple[float, float] | None
    arrows: tuple[str, ...]
    """Outlines of arrow heads where the interval goes on beyond the plot."""
    said: str


@dataclass(frozen=True, slots=True)
class Rule:
    """A vertical line in pixels, with its word beside it."""

    x: float
    kind: str
    said: str
    anchor: str
    word_x: float


@dataclass(frozen=True, slots=True)
class Chart:
    """A forest plot ready to be drawn."""

    id: str
    title: str
    description: str
    width: float
    height: float
    left: float
    right: float
    top: float
    bottom: float
    ticks: tuple[tuple[float, str], ...]
    lines: tuple[Rule, ...]
    labels: tuple[tuple[float, tuple[str, ...], str], ...]
    """(y of the first line, label in lines cut to fit, whole label)."""
    glyphs: tuple[Glyph, ...]
    sides: tuple[str, str] | None
    """Words under the left and the right end of the axis."""


def look(series: int) -> str:
    """Class of the style sheet for the series' colour; 0 is the base."""
    return "s0" if series == 0 else f"s{1 + (series - 1) % (COLOURS - 1)}"


def shape(series: int) -> str:
    """Outline of the series' marker; the circle is the base's alone."""
    return SHAPES[0] if series == 0 else SHAPES[1 + (series - 1) % (len(SHAPES) - 1)]


def ticks(low: float, high: float, least: int = 3) -> tuple[float, ...]:
    """Round numbers between ``low`` and ``high``: steps of 1, 2, 2.5 or 5 times a power of ten.

    Args:
        low: lower end of the axis.
        high: upper end, greater than ``low``.
        least: steps that must fit into the axis; two and a half times as many at most do.

    Returns:
        Ticks in ascending order, at least ``least`` of them unless floating point is too coarse for that.
    """
    raw = (high - low) / least
    power = 10.0 ** math.floor(math.log10(raw))
    step = max(factor * power for factor in (1, 2, 2.5, 5) if factor * power <= raw * (1 + 1e-9))
    first = math.ceil(low / step - 1e-9)
    last = math.floor(high / step + 1e-9)
    # + 0.0 turns -0.0 into 0.0
    return tuple(round(i * step, 12) + 0.0 for i in range(first, last + 1)) or (low,)


def extent(values: Iterable[float | None], bounds: tuple[float, float] | None = None) -> tuple[float, float]:
    """The range an axis must show: all finite values with a little air, never empty.

    Args:
        values: whatever must be seen.
        bounds: the axis never leaves these, e.g. (0, 1) for a share.

    Returns:
        (low, high) with low < high.
    """
    finite = [value for value in values if value is not None and math.isfinite(value)]
    low, high = (min(finite), max(finite)) if finite else (0.0, 1.0)
    point = high - low < 1e-9 * max(1.0, abs(low))
    spare = 0.05 * max(abs(low), 0.1) if point else 0.06 * (high - low)
    low, high = low - spare, high + spare
    if bounds is not None:
        low, high = max(low, bounds[0]), min(high, bounds[1])
    return (low, high) if low < high else (low - 0.5, high + 0.5)


def chart(
    identity: str,
    title: str,
    description: str,
    rows: Sequence[Row],
    *,
    lines: Sequence[Line] = (),
    limits: tuple[float, float] | None = None,
    bounds: tuple[float, float] | None = None,
    tick: Callable[[float], str] = str,
    sides: tuple[str, str] | None = None,
) -> Chart:
    """Lay a forest plot out.

    Args:
        identity: prefix of the ids inside the drawing, unique on the page.
        title: what is drawn, for a screen reader.
        description: what it shows, in words.
        rows: from top to bottom; several marks in one row lie under each other.
        lines: vertical lines.
        limits: the axis as given; what lies beyond ends in an arrow. None: as wide as the data.
        bounds: the axis never leaves these, e.g. (0, 1) for a share.
        tick: how a number on the axis is written.
        sides: words under the left and right end of the axis.

    Returns:
        The plot in pixels.
    """
    low, high = limits or extent([*_shown(rows), *(line.at for line in lines)], bounds)
    left, right = _LABEL, WIDTH - _RIGHT

    def place(value: float) -> float:
        return round(left + (right - left) * (value - low) / (high - low), 1)

    labels, glyphs, bottom = _stack(rows, place, (left, right))
    margins = [line.at for line in lines if line.kind == "margin"]
    drawn = tuple(_line(line, place, (left, right), margins) for line in lines if low <= line.at <= high)
    return Chart(
        id=identity, title=title, description=description,
        width=WIDTH, height=bottom + _FOOT + (16 if sides else 0), left=left, right=right, top=_TOP, bottom=bottom,
        ticks=tuple((place(at), tick(at)) for at in ticks(low, high)),
        lines=drawn, labels=labels, glyphs=glyphs, sides=sides,
    )  # fmt: skip


def _stack(
    rows: Sequence[Row], place: Callable[[float], float], edges: tuple[float, float]
) -> tuple[tuple[tuple[float, tuple[str, ...], str], ...], tuple[Glyph, ...], float]:
    """Labels and marks of all rows, one row under the other, and where the last one ends."""
    labels: list[tuple[float, tuple[str, ...], str]] = []
    glyphs: list[Glyph] = []
    y = _TOP
    for row in rows:
        words = text.wrap(row.label, _CHARACTERS, 3)
        height = max(_ROW, _STEP * len(row.marks) + 6, _LINE * len(words) + 6)
        labels.append((round(y + height / 2 - _LINE * (len(words) - 1) / 2, 1), words, text.plain(row.label)))
        first = y + height / 2 - _STEP * (len(row.marks) - 1) / 2
        glyphs += [_glyph(mark, first + _STEP * i, place, edges) for i, mark in enumerate(row.marks)]
        y += height
    return tuple(labels), tuple(glyphs), y


def _shown(rows: Sequence[Row]) -> list[float | None]:
    """Every number that the marks of ``rows`` draw."""
    found: list[float | None] = []
    for mark in (mark for row in rows for mark in row.marks):
        found += [mark.value, mark.low, mark.high, *(mark.deciding or ())]
    return found


def _glyph(mark: Mark, y: float, place: Callable[[float], float], edges: tuple[float, float]) -> Glyph:
    """One mark in pixels; what lies beyond the plot is cut at its edge and gets an arrow head."""
    left, right = edges
    y = round(y, 1)

    def span(low: float | None, high: float | None) -> tuple[float, float] | None:
        if low is None or high is None or math.isnan(low) or math.isnan(high):
            return None
        ends = [edges[at > 0] if math.isinf(at) else place(at) for at in (low, high)]
        return (min(max(ends[0], left), right), min(max(ends[1], left), right))

    bar = span(mark.low, mark.high)
    arrows = []
    if mark.low is not None and not math.isnan(mark.low) and (math.isinf(mark.low) or place(mark.low) < left - 0.5):
        arrows.append(f"M{left} {y}l6 -4v8z")
    if (
        mark.high is not None
        and not math.isnan(mark.high)
        and (math.isinf(mark.high) or place(mark.high) > right + 0.5)
    ):
        arrows.append(f"M{right} {y}l-6 -4v8z")
    x = None
    if mark.value is not None and math.isfinite(mark.value) and left <= place(mark.value) <= right:
        x = place(mark.value)
    thick = span(*mark.deciding) if mark.deciding else None
    return Glyph(mark.look, mark.shape, y, x, bar, thick, tuple(arrows), mark.said)


def _line(line: Line, place: Callable[[float], float], edges: tuple[float, float], margins: Sequence[float]) -> Rule:
    """A vertical line in pixels. Its word stands away from the other line's, on the side that has room."""
    x = place(line.at)
    start = line.at > 0 if line.kind == "margin" else not any(at > line.at for at in margins)
    room = edges[1] - x if start else x - edges[0]
    if room < 55 and not margins:
        start = not start
    return Rule(x, line.kind, line.said, "start" if start else "end", x + (4 if start else -4))
