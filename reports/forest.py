"""Geometry of forest plots: where every mark, interval, line and tick lies. A template draws it as plain SVG.

A forest plot has a row for each thing compared, a marker at its estimate and a bar over its interval. Series differ in
shape and in colour, so that neither a colour-blind reader nor a black-and-white print loses one.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
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
    "m0-5a5 5 0 1 0 0 10a5 5 0 1 0 0-10z",
    "m-4.4-4.4h8.8v8.8h-8.8z",
    "m0-6.2l6.2 6.2l-6.2 6.2l-6.2-6.2z",
    "m0-5.8l5.8 10.4h-11.6z",
    "m0 5.8l5.8-10.4h-11.6z",
    "m-1.9-5.6h3.8v3.7h3.7v3.8h-3.7v3.7h-3.8v-3.7h-3.7v-3.8h3.7z",
)
"""Outlines around the origin: circle (the base), square, diamond, triangle, triangle pointing down, cross. All steps
are relative, so that ``M`` and a place before them puts them there."""
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
    """A vertical line: no change, the neutral value of a target metric, a margin, or the value over all groups."""

    at: float
    kind: Literal["zero", "target", "margin", "whole"]
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

    @property
    def silent(self) -> bool:
        """Whether it says nothing when pointed at and is no more than a mark with a thin bar."""
        return not self.said and self.thick is None and (self.x is not None or self.bar is not None)


@dataclass(frozen=True, slots=True)
class Layer:
    """The silent marks of one look as two outlines: thousands of single elements would weigh a page down."""

    look: str
    bars: str
    dots: str


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

    @property
    def layers(self) -> tuple[Layer, ...]:
        """What ``silent`` marks draw, joined by their look."""
        found: dict[str, list[Glyph]] = {}
        for glyph in self.glyphs:
            if glyph.silent:
                found.setdefault(glyph.look, []).append(glyph)
        return tuple(
            Layer(
                look,
                "".join(f"M{g.bar[0]} {g.y}H{g.bar[1]}" for g in glyphs if g.bar),
                "".join(f"M{g.x} {g.y}{g.shape}" if g.x is not None else "" for g in glyphs)
                + "".join(arrow for g in glyphs for arrow in g.arrows),
            )
            for look, glyphs in found.items()
        )


def lean(at: float) -> float:
    """A coordinate with one decimal, as a whole number where it is one: a page holds tens of thousands of them."""
    found = round(at, 1)
    return int(found) if found == int(found) else found


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
        return lean(left + (right - left) * (value - low) / (high - low))

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
        labels.append((lean(y + height / 2 - _LINE * (len(words) - 1) / 2), words, text.plain(row.label)))
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
    y = lean(y)

    def span(low: float | None, high: float | None) -> tuple[float, float] | None:
        if low is None or high is None or math.isnan(low) or math.isnan(high):
            return None
        ends = [edges[at > 0] if math.isinf(at) else place(at) for at in (low, high)]
        return (lean(min(max(ends[0], left), right)), lean(min(max(ends[1], left), right)))

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


# Plots that lie beside text: one drawing a row, in per cent of its width, so that they fit a desk and a phone alike.

LANE = 18.0
"""Height of one mark's lane in pixels; the text beside it has lines as high."""
PAD = 6.0
"""Room above the first and below the last lane."""


@dataclass(frozen=True, slots=True)
class Cut:
    """A vertical line of an axis, in per cent of its width, with its word."""

    x: float
    kind: str
    said: str
    anchor: Literal["start", "end"]


@dataclass(frozen=True, slots=True)
class Axis:
    """A horizontal axis that all rows of a plot share; its ends are round numbers."""

    low: float
    high: float
    steps: int
    """Parts of equal width into which its grid lines cut it."""
    ticks: tuple[tuple[float, str], ...]
    """(per cent of the width, number in words)."""
    lines: tuple[Cut, ...]

    def place(self, value: float) -> float:
        """Where ``value`` lies, in per cent of the width: below 0 or over 100 where it is off the axis."""
        return lean(100 * (value - self.low) / (self.high - self.low))


@dataclass(frozen=True, slots=True)
class Spot:
    """A mark on an axis: ``x``, ``bar`` and ``thick`` in per cent of the width, ``y`` in pixels from the row's top."""

    look: str
    shape: str
    y: float
    x: float | None
    bar: tuple[float, float] | None
    thick: tuple[float, float] | None
    beyond: tuple[Literal["left", "right"], ...]
    """Sides on which the estimate or its interval goes on beyond the axis."""


def axis(
    values: Iterable[float | None],
    *,
    lines: Sequence[Line] = (),
    bounds: tuple[float, float] | None = None,
    reach: tuple[float, float] | None = None,
    tick: Callable[[float], str] = str,
) -> Axis:
    """An axis with round ends that shows all finite values.

    Args:
        values: whatever must be seen.
        lines: vertical lines; they are always seen.
        bounds: the axis never leaves these, e.g. (0, 1) for a share.
        reach: round numbers beyond which the axis does not go, however far the values do.
        tick: how a number on the axis is written.

    Returns:
        The axis.
    """
    finite = [at for at in (*values, *(line.at for line in lines)) if at is not None and math.isfinite(at)]
    low, high = (min(finite), max(finite)) if finite else (0.0, 1.0)
    if high - low < 1e-9 * max(1.0, abs(low)):
        low, high = extent(finite, bounds)
    if reach is not None:
        low, high = max(low, reach[0]), min(high, reach[1])
    if low >= high:
        low, high = reach if reach is not None else (low - 0.5, low + 0.5)
    found = ticks(low, high)
    if len(found) > 1:
        step = found[1] - found[0]
        # The small allowance keeps an end that is round up to the last bit where it is.
        low = round(math.floor(low / step + 1e-6) * step, 12)
        high = round(math.ceil(high / step - 1e-6) * step, 12)
        steps = round((high - low) / step)
        found = tuple(round(low + i * step, 12) + 0.0 for i in range(steps + 1))
    bare = Axis(low, high, max(len(found) - 1, 1), (), ())
    cuts = tuple(Cut(x, line.kind, line.said, "end" if x > 75 else "start")
                 for line in lines if 0 <= (x := bare.place(line.at)) <= 100)  # fmt: skip
    return replace(bare, ticks=tuple((bare.place(at), tick(at)) for at in found), lines=_parted(cuts))


def _parted(cuts: tuple[Cut, ...]) -> tuple[Cut, ...]:
    """Words of two neighbouring lines look away from each other, so that neither lies over the other."""
    if len(cuts) != 2 or not all(cut.said for cut in cuts):
        return cuts
    first, second = sorted(range(2), key=lambda i: cuts[i].x)
    sides: dict[int, Literal["start", "end"]] = {first: "end", second: "start"}
    return tuple(replace(cut, anchor=sides[i]) for i, cut in enumerate(cuts))


def spots(marks: Sequence[Mark], on: Axis) -> tuple[Spot, ...]:
    """The marks of one row, one lane each from top to bottom."""
    return tuple(_spot(mark, lean(PAD + LANE * (i + 0.5)), on) for i, mark in enumerate(marks))


def tall(marks: int) -> float:
    """Pixels that a row of so many marks takes."""
    return lean(2 * PAD + LANE * marks)


def _spot(mark: Mark, y: float, on: Axis) -> Spot:
    """One mark on an axis; what lies beyond is cut at the axis' end and named in ``beyond``."""
    beyond: set[Literal["left", "right"]] = set()

    def end(at: float) -> float:
        x = at if math.isinf(at) else on.place(at)
        if not 0 <= x <= 100:
            beyond.add("left" if x < 0 else "right")
        return min(max(x, 0), 100)

    def span(low: float | None, high: float | None) -> tuple[float, float] | None:
        if low is None or high is None or math.isnan(low) or math.isnan(high):
            return None
        return (end(low), end(high))

    bar = span(mark.low, mark.high)
    thick = span(*mark.deciding) if mark.deciding else None
    x = None
    if mark.value is not None and not math.isnan(mark.value):
        at = mark.value if math.isinf(mark.value) else on.place(mark.value)
        if 0 <= at <= 100:
            x = at
        else:
            end(mark.value)
    sides: tuple[Literal["left", "right"], ...] = ("left", "right")
    return Spot(mark.look, mark.shape, y, x, bar, thick, tuple(side for side in sides if side in beyond))
