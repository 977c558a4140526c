from __future__ import annotations

import math
import re
from collections.abc import Callable

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from audit.schema import Comparison, RuleResult
from reports import forest, harm, html, overview, text, view

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


# Plots beside their numbers.


@given(st.lists(st.one_of(st.none(), st.floats()), max_size=8))
def test_an_axis_holds_all_finite_values_and_its_grid_parts_it_evenly(values: list[float | None]) -> None:
    assume(all(value is None or not math.isfinite(value) or abs(value) < 1e100 for value in values))
    found = forest.axis(values)
    assert found.low < found.high
    assert all(0 <= found.place(v) <= 100 for v in values if v is not None and math.isfinite(v))
    places = [x for x, _ in found.ticks]
    assert places == sorted(places)
    if len(places) > 2:
        assert (places[0], places[-1], len(places)) == (0, 100, found.steps + 1)


@given(st.lists(st.tuples(NUMBERS, st.floats(0, 1e3), st.floats(0, 1e3)), min_size=1, max_size=8))
def test_spots_lie_where_their_numbers_do(found: list[tuple[float, float, float]]) -> None:
    marks = [mark(v, v - a, v + b) for v, a, b in found]
    on = forest.axis([x for one in marks for x in (one.low, one.value, one.high)])
    drawn = forest.spots(marks, on)
    for one, spot in zip(marks, drawn, strict=True):
        assert spot.bar is not None and spot.x is not None and not spot.beyond
        for at, x in ((one.low, spot.bar[0]), (one.value, spot.x), (one.high, spot.bar[1])):
            assert x == pytest.approx(100 * (at - on.low) / (on.high - on.low), abs=0.051)
    assert [spot.y for spot in drawn] == sorted({spot.y for spot in drawn})
    assert drawn[-1].y < forest.tall(len(drawn))


def test_what_the_axis_cuts_is_named_by_its_side() -> None:
    on = forest.axis([-50.0, 80.0], reach=(-4.0, 6.0))
    assert on.low >= -5 and on.high <= 7.5
    left, right, both, inside, gone, endless = forest.spots(
        [mark(-50, -60, 0), mark(80, 70, 90), mark(0, -50, 80), mark(1, 0, 2), mark(None, None, None),
         mark(math.inf, -math.inf, math.inf)],
        on,
    )  # fmt: skip
    assert (left.x, left.beyond) == (None, ("left",))
    assert (right.x, right.bar, right.beyond) == (None, (100, 100), ("right",))
    assert (both.bar, both.beyond) == ((0, 100), ("left", "right"))
    assert inside.beyond == ()
    assert (gone.x, gone.bar, gone.thick, gone.beyond) == (None, None, None, ())
    assert (endless.x, endless.beyond) == (None, ("left", "right"))


def test_a_coordinate_has_one_decimal_at_most() -> None:
    assert [str(forest.lean(at)) for at in (1.0, 1.26, -0.04, 99.96)] == ["1", "1.3", "0", "100"]


def test_two_words_on_an_axis_look_away_from_each_other() -> None:
    lines = [forest.Line(1.0, "margin", "margin"), forest.Line(0.0, "zero", "no change")]
    margin, zero = forest.axis([-1.0, 2.0], lines=lines).lines
    assert (margin.kind, margin.anchor, zero.anchor) == ("margin", "start", "end")
    (alone,) = forest.axis([-9.0, 0.1], lines=lines[1:]).lines
    assert alone.anchor == "end", "a word at the right end has no room behind it"


# The plot of all metrics.


def rows(comparison: Comparison, part: str = "main") -> list[tuple[overview.Block, overview.Row]]:
    found = view.page(comparison).overview
    return [(block, row) for block in getattr(found, part) for row in block.rows]


def rules(comparison: Comparison, at: int) -> dict[str, RuleResult]:
    gate = comparison.variants[at].gate
    assert gate is not None
    labels = {(d.suite, d.metric, d.scorer): d.label for d in comparison.variants[at].differences}
    return {labels.get((r.suite, r.metric, r.scorer), r.label): r for r in gate.rules}


def place(block: overview.Block, at: float) -> object:
    return pytest.approx(100 * (at - block.axis.low) / (block.axis.high - block.axis.low), abs=0.051)


def test_a_rules_bar_is_the_interval_that_decided_in_units_of_its_margin(build: Callable[..., Comparison]) -> None:
    comparison = build()
    ruled = [(block, row) for block, row in rows(comparison) if block.axis.lines[-1].kind == "margin"]
    # The builder leaves the scorer out of its rules, so those on scored metrics are found by their own words.
    assert len(ruled) == 7
    for at in range(3):
        found = rules(comparison, at)
        for block, row in ruled:
            rule, spot, entry = found[row.label], row.spots[at], row.entries[at]
            assert entry.verdict == rule.verdict
            assert rule.low is not None and rule.high is not None and rule.harm is not None
            low, high = (max(block.axis.low, min(block.axis.high, x / rule.margin)) for x in (rule.low, rule.high))
            assert spot.thick == (place(block, low), place(block, high))
            if not spot.beyond:
                assert spot.x == place(block, rule.harm / rule.margin)
                margin = next(line.x for line in block.axis.lines if line.kind == "margin")
                assert {"fail": spot.thick[0] >= margin, "pass": spot.thick[1] <= margin,
                        "inconclusive": spot.thick[0] <= margin <= spot.thick[1]}[rule.verdict]  # fmt: skip


def test_every_metric_is_there_once_and_turned_so_that_right_is_worse(build: Callable[..., Comparison]) -> None:
    comparison = build()
    found = [*rows(comparison), *rows(comparison, "rest")]
    labels = [(row.suite, row.label) for _, row in found]
    assert len(labels) == len(set(labels))
    whole = {(row.suite, row.label) for row in comparison.summary if row.group == "all"}
    assert whole - set(labels) <= {(r.suite, d.label) for v in comparison.variants for d in v.differences
                                   for r in v.gate.rules if r.metric == d.metric}  # fmt: skip
    base = {(row.suite, row.label): row for row in comparison.summary if row.group == "all"}
    for block, row in found:
        if block.sides != ("better", "worse") or len(block.axis.lines) > 1:
            continue
        for variant, spot, entry in zip(comparison.variants, row.spots, row.entries, strict=True):
            d = next(d for d in variant.differences if (d.suite, d.label, d.group) == (row.suite, row.label, "all"))
            at = harm.of_change(d, base[row.suite, row.label])
            assert at is not None
            assert spot.x == place(block, at.value)
            sign = {"lower": 1, "higher": -1}.get(d.direction)
            assert sign is None or at.value == pytest.approx(sign * d.difference)
            assert entry.number == text.number(at.value, d.unit, signed=True)


def test_metrics_of_one_unit_share_an_axis_and_others_do_not(build: Callable[..., Comparison]) -> None:
    units = {(row.suite, row.label): row.unit for row in build().summary}
    blocks = view.page(build()).overview.rest
    for block in blocks:
        assert len({units[row.suite, row.label] for row in block.rows}) == 1
    assert [block.title for block in blocks][-1] == "For information, in nats"
    assert blocks[-1].sides == ("falls", "rises"), "what only informs has no worse side"


def test_each_suites_first_metric_is_in_front(build: Callable[..., Comparison]) -> None:
    comparison = build()
    front = {row.suite for _, row in rows(comparison)}
    assert front == {row.suite for row in comparison.summary}
    folded = view.page(comparison).overview.folded
    assert folded == len(rows(comparison, "rest")) > 0


def test_of_very_many_rules_those_that_all_pass_are_folded(build: Callable[..., Comparison]) -> None:
    comparison = build(("stereotyped",))
    variant = comparison.variants[0]
    assert variant.gate is not None
    passed = next(rule for rule in variant.gate.rules if rule.verdict == "pass")
    groups = [f"group {i}" for i in range(30)]
    many = tuple(passed.model_copy(update={"group": name}) for name in groups)
    gate = variant.gate.model_copy(update={"rules": (*many, *variant.gate.rules)})
    made = comparison.model_copy(update={"variants": (variant.model_copy(update={"gate": gate}),)})
    front = [row for block, row in rows(made) if block.axis.lines[-1].kind == "margin"]
    assert [row.entries[0].verdict for row in front] == [r.verdict for r in variant.gate.rules if r.verdict != "pass"]
    folded = [row for _, row in rows(made, "rest") if row.entries[0].verdict]
    assert len(folded) == 30 + sum(rule.verdict == "pass" for rule in variant.gate.rules)


def test_a_variant_without_gate_or_pairs_says_so(build: Callable[..., Comparison]) -> None:
    comparison = build(("stereotyped", "courteous"))
    bare = comparison.variants[1].model_copy(update={"gate": None, "differences": ()})
    found = rows(comparison.model_copy(update={"variants": (comparison.variants[0], bare)}))
    said = {row.entries[1].number for _, row in found}
    assert said == {"no rule", "not compared"}
    assert all(row.spots[1].x is None for _, row in found)


def test_all_missing_and_endless_intervals_are_drawn_without_a_mark(build: Callable[..., Comparison]) -> None:
    comparison = build(("stereotyped",))
    variant = comparison.variants[0]
    for ends in ({"difference": None, "low": None, "high": None}, {"low": -math.inf, "high": math.inf}):
        torn = variant.model_copy(
            update={"gate": None, "differences": tuple(d.model_copy(update=ends) for d in variant.differences)}
        )
        made = comparison.model_copy(update={"variants": (torn,)})
        for _, row in rows(made):
            assert (row.spots[0].x is None) == ("difference" in ends)
            # The distance from a target has a least value, so its interval may be endless to one side only.
            assert row.spots[0].beyond in ([()] if "difference" in ends else [("right",), ("left", "right")])
        assert html.render(made)


def test_a_single_run_shows_values_on_axes_of_their_unit(build: Callable[..., Comparison]) -> None:
    comparison = build(())
    found = [*rows(comparison), *rows(comparison, "rest")]
    whole = {(row.suite, row.label): row for row in comparison.summary if row.group == "all"}
    assert {(row.suite, row.label) for _, row in found} == set(whole)
    for block, row in found:
        source = whole[row.suite, row.label]
        assert row.spots[0].x == place(block, source.value)
        assert row.entries[0].number == text.number(source.value, source.unit)
        assert block.sides is None
        assert f"n={source.n}" in row.about


def test_the_numbers_stand_beside_every_drawing(build: Callable[..., Comparison]) -> None:
    source = html.render(build())
    for table in re.findall(r'<table class="plots">.*?</table>', source, re.S):
        lines = [line for line in re.findall(r"<tr>.*?</tr>", table, re.S) if "<td" in line]
        for line in lines:
            assert line.count('<span class="entry">') == 3
            assert line.count('class="sr"') == 3, "whoever does not see the markers hears the names"
