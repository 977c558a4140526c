from __future__ import annotations

import math

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from reports import forest

NUMBERS = st.floats(-1e6, 1e6)


def mark(value: float | None, low: float | None, high: float | None, series: int = 0) -> forest.Mark:
    return forest.Mark(forest.look(series), forest.shape(series), value, low, high, "said")


@given(NUMBERS, st.floats(1e-6, 1e6))
def test_ticks_are_round_and_inside(low: float, width: float) -> None:
    high = low + width
    assume(high - low > 1e-9 * max(1.0, abs(low)))
    found = forest.ticks(low, high)
    assert 3 <= len(found) <= 9
    step = found[1] - found[0]
    assert all(low - 0.01 * step <= at <= high + 0.01 * step for at in found)
    mantissa = step / 10 ** math.floor(math.log10(step) + 1e-9)
    assert min(abs(mantissa - factor) for factor in (1, 2, 2.5, 5, 10)) < 0.01


@given(st.lists(st.one_of(st.none(), st.floats()), max_size=8))
def test_the_axis_holds_all_finite_values_and_is_never_empty(values: list[float | None]) -> None:
    assume(all(value is None or not math.isfinite(value) or abs(value) < 1e100 for value in values))
    low, high = forest.extent(values)
    assert low < high
    assert all(low <= v <= high for v in values if v is not None and math.isfinite(v))


@given(st.lists(st.tuples(NUMBERS, st.floats(0, 1e3), st.floats(0, 1e3)), min_size=1, max_size=8))
def test_marks_keep_their_order_and_stay_on_the_plot(found: list[tuple[float, float, float]]) -> None:
    rows = [forest.Row(f"row {i}", (mark(v, v - a, v + b),)) for i, (v, a, b) in enumerate(found)]
    chart = forest.chart("x", "title", "description", rows)
    for glyph, (value, _, _) in zip(chart.glyphs, found, strict=True):
        assert glyph.x is not None
        assert glyph.bar is not None
        assert chart.left <= glyph.bar[0] <= glyph.x <= glyph.bar[1] <= chart.right
        assert not glyph.arrows
        assert all((glyph.x <= other.x) == (value <= v) or abs(glyph.x - other.x) <= 0.1
                   for other, (v, _, _) in zip(chart.glyphs, found, strict=True) if other.x is not None)  # fmt: skip
    assert [glyph.y for glyph in chart.glyphs] == sorted({glyph.y for glyph in chart.glyphs})
    assert chart.glyphs[-1].y < chart.bottom < chart.height


def test_what_lies_beyond_the_limits_ends_in_an_arrow() -> None:
    rows = [forest.Row("a", (mark(0.0, -9.0, 9.0),)), forest.Row("b", (mark(8.0, 7.0, 9.0),))]
    wide, beyond = forest.chart("x", "t", "d", rows, limits=(-1.0, 1.0)).glyphs
    assert wide.x is not None
    assert wide.bar == (140.0, 366.0)
    assert len(wide.arrows) == 2
    assert beyond.x is None
    assert len(beyond.arrows) == 1


def test_an_infinite_end_is_an_arrow_and_a_missing_value_no_mark() -> None:
    rows = [forest.Row("a", (mark(1.0, 0.0, math.inf),)), forest.Row("b", (mark(None, None, None),))]
    endless, missing = forest.chart("x", "t", "d", rows).glyphs
    assert endless.bar is not None
    assert endless.bar[1] == 366.0
    assert len(endless.arrows) == 1
    assert (missing.x, missing.bar, missing.arrows) == (None, None, ())


def test_lines_lie_where_their_value_does() -> None:
    rows = [forest.Row("a", (mark(0.0, -1.0, 1.0),))]
    lines = [forest.Line(0.0, "zero", "no change"), forest.Line(0.5, "margin", "margin")]
    zero, margin = forest.chart("x", "t", "d", rows, lines=lines, limits=(-1.0, 1.0)).lines
    assert zero.x == pytest.approx((140 + 366) / 2)
    assert margin.x == pytest.approx(140 + 0.75 * 226, abs=0.05)
    assert (zero.anchor, margin.anchor) == ("end", "start"), "the two words would lie over each other"


def test_a_base_and_thirty_variants_differ_in_shape_or_colour() -> None:
    looks = {(forest.look(i), forest.shape(i)) for i in range(31)}
    assert len(looks) == 31
    neighbours = [(forest.look(i), forest.shape(i)) for i in range(7)]
    assert len({look for look, _ in neighbours}) == 7
    assert len({shape for _, shape in neighbours[:6]}) == 6


def test_long_labels_take_more_lines_and_more_room() -> None:
    short = forest.chart("x", "t", "d", [forest.Row("women", (mark(0, -1, 1),))])
    long = forest.chart("x", "t", "d", [forest.Row("people with a physical or mental disability", (mark(0, -1, 1),))])
    assert len(short.labels[0][1]) == 1
    assert len(long.labels[0][1]) == 3
    assert long.height > short.height
