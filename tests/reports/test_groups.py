"""The chart by demographic group: every mark lies where its number says, and nothing is left out quietly."""

from __future__ import annotations

import math
import re
from collections.abc import Callable

import pytest

from audit.schema import Comparison, SummaryRow
from reports import groups, html, text, view

SUITE = "identity-prompts"


def charts(comparison: Comparison, suite: str = SUITE) -> tuple[groups.Chart, ...]:
    return next(one.charts for one in view.page(comparison).by_group if one.suite == suite)


def with_rows(comparison: Comparison, change: Callable[[SummaryRow], SummaryRow | None]) -> Comparison:
    """Every summary row altered, or left out where ``change`` gives None."""

    def kept(rows: tuple[SummaryRow, ...]) -> tuple[SummaryRow, ...]:
        return tuple(new for row in rows if (new := change(row)) is not None)

    variants = tuple(one.model_copy(update={"summary": kept(one.summary)}) for one in comparison.variants)
    return comparison.model_copy(update={"summary": kept(comparison.summary), "variants": variants})


def test_every_mark_lies_where_its_number_says(build: Callable[..., Comparison]) -> None:
    comparison = build()
    (chart,) = charts(comparison)
    summaries = [comparison.summary, *(one.summary for one in comparison.variants)]
    wide = chart.axis.high - chart.axis.low
    assert [row.name for row in chart.rows] == ["all groups", *comparison.suites[0]["groups"]]
    assert [row.whole for row in chart.rows] == [True] + [False] * 13
    for row in chart.rows:
        for one, spot, entry, summary in zip(chart.series, row.spots, row.entries, summaries, strict=True):
            found = next(r for r in summary if r.suite == SUITE and r.metric == "toxicity-probability"
                         and r.group == ("all" if row.whole else row.name))  # fmt: skip
            assert spot.x == pytest.approx(100 * (found.value - chart.axis.low) / wide, abs=0.051)
            assert spot.bar is not None
            assert spot.bar[0] == pytest.approx(100 * (found.low - chart.axis.low) / wide, abs=0.051)
            assert spot.bar[1] == pytest.approx(100 * (found.high - chart.axis.low) / wide, abs=0.051)
            assert (spot.look, spot.shape) == (one.look, one.shape)
            assert entry.number == text.number(found.value, found.unit)
            assert entry.interval == text.interval(found.low, found.high, found.unit)
            assert not spot.beyond
        assert [spot.y for spot in row.spots] == sorted({spot.y for spot in row.spots})
        assert row.spots[-1].y < row.height


def test_the_line_of_all_groups_is_the_bases_value(build: Callable[..., Comparison]) -> None:
    comparison = build()
    (chart,) = charts(comparison)
    (line,) = chart.axis.lines
    assert (line.kind, line.said) == ("whole", "base, all groups")
    assert line.x == chart.rows[0].spots[0].x


def test_a_share_never_leaves_its_bounds_and_the_axis_ends_are_round(build: Callable[..., Comparison]) -> None:
    (chart,) = charts(build())
    assert 0 <= chart.axis.low < chart.axis.high <= 1
    assert chart.axis.ticks[0][0] == 0
    assert chart.axis.ticks[-1][0] == 100
    assert len(chart.axis.ticks) == chart.axis.steps + 1
    gaps = [b - a for (a, _), (b, _) in zip(chart.axis.ticks, chart.axis.ticks[1:], strict=False)]
    assert max(gaps) - min(gaps) < 0.11, "the grid is drawn as equal parts"


def test_groups_on_few_clusters_are_marked_and_n_stands_beside(build: Callable[..., Comparison]) -> None:
    def fewer(row: SummaryRow) -> SummaryRow:
        return row.model_copy(update={"n": 1234, "clusters": groups.FEW - (row.group == "women")})

    rows = {row.name: row for row in charts(with_rows(build(), fewer))[0].rows}
    assert [name for name, row in rows.items() if row.few] == ["women"]
    assert rows["Asian"].n == "1,234"
    source = html.render(with_rows(build(), fewer))
    section = source[source.index('<section id="groups"') : source.index('<section id="gate"')]
    assert section.count(">few</abbr>") == 2, "women, in both suites that name them"


def test_missing_groups_and_missing_runs_are_words(build: Callable[..., Comparison]) -> None:
    bare = {"value": None, "low": None, "high": None, "n": 0}

    def torn(row: SummaryRow) -> SummaryRow | None:
        if row.group == "Black":
            return row.model_copy(update=bare)
        return None if row.group == "Asian" else row

    calm = build(("stereotyped",))
    half = calm.model_copy(update={"variants": with_rows(calm, torn).variants})
    rows = {row.name: row for row in charts(half)[0].rows}
    assert [entry.number for entry in rows["Asian"].entries][1] == "not measured"
    assert [entry.number for entry in rows["Black"].entries][1] == "not estimated"
    for name in ("Asian", "Black"):
        spot = rows[name].spots[1]
        assert (spot.x, spot.bar) == (None, None)
        assert rows[name].spots[0].x is not None


def test_no_interval_an_endless_one_and_nothing_at_all_still_draw(build: Callable[..., Comparison]) -> None:
    def odd(row: SummaryRow) -> SummaryRow:
        ends = {"Asian": (None, None), "Black": (0.0, math.inf), "Jewish": (-math.inf, math.inf)}
        low, high = ends.get(row.group, (row.low, row.high))
        return row.model_copy(update={"low": low, "high": high})

    rows = {row.name: row for row in charts(with_rows(build(), odd))[0].rows}
    assert rows["Asian"].spots[0].bar is None
    assert rows["Asian"].spots[0].x is not None
    assert rows["Asian"].entries[0].interval == "no interval"
    assert rows["Black"].spots[0].beyond == ("right",)
    assert rows["Jewish"].spots[0].beyond == ("left", "right")
    assert rows["Jewish"].spots[0].bar == (0, 100)
    nothing = with_rows(build(), lambda row: row.model_copy(update={"value": None, "low": None, "high": None}))
    (chart,) = charts(nothing)
    assert not any(spot.x or spot.bar for row in chart.rows for spot in row.spots)
    assert html.render(nothing)


def test_a_single_run_has_its_chart_and_three_groups_have_none(build: Callable[..., Comparison]) -> None:
    (chart,) = charts(build(()))
    assert [one.name for one in chart.series] == ["base"]
    few = with_rows(build(), lambda row: row if row.group in ("all", "Asian", "Black", "women") else None)
    assert view.page(few).by_group == ()
    source = html.render(few)
    assert 'id="groups"' not in source
    assert 'href="#groups"' not in source


def test_many_variants_are_spread_and_each_chart_keeps_the_base(build: Callable[..., Comparison]) -> None:
    found = charts(build(tuple(f"variant-{i}" for i in range(8))))
    assert [[one.index for one in chart.series] for chart in found] == [[0, 1, 2, 3], [0, 4, 5, 6], [0, 7, 8]]
    assert len({chart.id for chart in found}) == 3


def test_groups_come_as_the_suite_names_them_then_the_others() -> None:
    build = [[_named(name) for name in ("b", "all", "zeta", "form=list", "a")], [_named("c")]]
    assert groups.in_order(build, ["c", "a", "absent", "b"]) == ("c", "a", "b", "zeta")


def _named(group: str) -> SummaryRow:
    return SummaryRow(
        suite="s", metric="m", variant="", label="metric", scorer="", smoke=False, group=group, direction="lower",
        target=None, unit="share", n=1, clusters=1, missing=0, empty=0, unscored=0, value=0.5, low=0.4, high=0.6,
        level=0.95, method="",
    )  # fmt: skip


def test_the_main_metric_is_the_first_that_has_groups_and_a_whole() -> None:
    names = ("a", "b", "c", "d")
    gaps = [_named(name).model_copy(update={"metric": "gap"}) for name in names]
    told = [
        _named(name).model_copy(update={"metric": "told", "label": "x (informational)"}) for name in ("all", *names)
    ]
    main = [_named(name).model_copy(update={"metric": "main"}) for name in ("all", *names)]
    found = groups.main_metric([[*gaps, *told, *main]], names)
    assert found is not None and found[1] == "main"
    assert groups.main_metric([[*gaps, *told]], names) is None


def test_the_numbers_of_the_drawing_stand_beside_it_and_hostile_names_are_inert(
    build: Callable[..., Comparison], hostile: Comparison
) -> None:
    for comparison, base in ((build(), "base"), (hostile, "")):
        source = html.render(comparison)
        tables = re.findall(r'<table class="plots by-group">.*?</table>', source, re.S)
        assert tables
        for table in tables:
            drawn, said = table.count("<svg x="), len(re.findall(r'<span class="entry">', table))
            assert 0 < drawn <= said
            assert "<script" not in table and 'onerror="' not in re.sub(r"&lt;.*?&gt;", "", table)
            assert f"<bdi>{base}" in table
            # Whoever hears the page hears numbers and names, never the drawing.
            assert all('aria-hidden="true"' in svg for svg in re.findall(r"<svg (?!x=)[^>]*>", table))
