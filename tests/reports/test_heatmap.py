"""Heat maps: colour and number say the same, pale means perhaps, and nothing is coloured that was not estimated."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from audit.schema import Comparison, Difference, SummaryRow
from reports import groups, harm, heatmap, html, text, view


def difference(
    direction: str = "lower", change: float | None = 0.1, half: float | None = 0.05, **more: object
) -> Difference:
    base = 0.4
    spread = change is not None and half is not None
    fields = {
        "suite": "s", "metric": "m", "variant": "", "label": "metric", "scorer": "", "smoke": False, "group": "a",
        "direction": direction, "target": None, "unit": "share", "base": base,
        "tuned": None if change is None else base + change, "difference": change,
        "low": change - half if spread else None, "high": change + half if spread else None,
        "level": 0.95, "method": "", "n": 40, "clusters": 40, "missing": 0, "detectable": None, "correlation": None,
        "mcnemar_p": None, "sign_flip_p": None,
    }  # fmt: skip
    return Difference(**(fields | more))


def base_row(low: float | None, high: float | None) -> SummaryRow:
    return SummaryRow(
        suite="s", metric="m", variant="", label="metric", scorer="", smoke=False, group="a", direction="target",
        target=None, unit="share", n=40, clusters=40, missing=0, empty=0, unscored=0, value=0.4, low=low, high=high,
        level=0.95, method="",
    )  # fmt: skip


@given(st.floats(-1, 1), st.floats(0, 1), st.sampled_from(["lower", "higher", "target"]), st.floats(-1, 1))
def test_harm_is_what_the_direction_says(change: float, half: float, direction: str, target: float) -> None:
    row = difference(direction, change, half, target=target if direction == "target" else None)
    found = harm.of_change(row, base_row(0.4, 0.4))
    assert found is not None and found.low is not None and found.high is not None
    told = {"lower": change, "higher": -change, "target": abs(0.4 + change - target) - abs(0.4 - target)}[direction]
    assert found.value == pytest.approx(told)
    assert found.low <= found.value + 1e-9 and found.value <= found.high + 1e-9
    # Independently: the extremes of harm over a fine grid of the interval.
    steps = [change - half + 2 * half * i / 400 for i in range(401)]
    grid = [{"lower": d, "higher": -d, "target": abs(0.4 + d - target) - abs(0.4 - target)}[direction] for d in steps]
    assert found.high == pytest.approx(max(grid), abs=1e-9)
    assert found.low == pytest.approx(min(grid), abs=half / 200 + 1e-9)


@given(st.floats(-1, 1), st.floats(0, 1), st.floats(0, 1), st.floats(-1, 1), st.floats(0, 1), st.floats(0, 1))
def test_towards_a_target_the_base_may_lie_anywhere_in_its_interval(
    change: float, half: float, spread: float, target: float, part: float, other: float
) -> None:
    row = difference("target", change, half, target=target)
    held = harm.of_change(row, base_row(0.4 - spread, 0.4 + spread))
    free = harm.of_change(row)
    base, moved = 0.4 - spread + 2 * spread * part, change - half + 2 * half * other
    true = abs(base + moved - target) - abs(base - target)
    for found in (held, free):
        assert found is not None and found.low is not None and found.high is not None
        assert found.low - 1e-9 <= true <= found.high + 1e-9
    assert free is not None and held is not None and held.low is not None and free.low is not None
    assert held.low >= free.low - 1e-9, "a known base narrows the interval"


def test_harm_is_unknown_where_nothing_says_which_way_is_worse() -> None:
    assert harm.of_change(difference(label="spread (informational)")) is None
    assert harm.of_change(difference("target")) is None
    assert harm.of_change(difference("target", target=0.0, base=None)) is None
    assert harm.of_change(difference(change=None)) is None
    bare = harm.of_change(difference("higher", half=None))
    assert bare == harm.Harm(-0.1, None, None)
    assert not bare.certain


@pytest.mark.parametrize(
    ("value", "low", "high", "step"),
    [
        (0.3, 0.1, 0.5, 4), (0.3 * 0.6, 0.1, 0.3, 3), (0.3 * 0.3, 0.01, 0.2, 2), (0.3, -0.1, 0.7, 1),
        (-0.3, -0.5, -0.1, -4), (-0.02, -0.1, 0.06, -1), (0.0, -0.1, 0.1, 0), (0.3, None, None, 1),
        (math.inf, 0.1, math.inf, 4), (math.nan, None, None, 0),
    ],
)  # fmt: skip
def test_a_step_is_the_side_the_size_and_the_certainty(
    value: float, low: float | None, high: float | None, step: int
) -> None:
    assert heatmap._step(harm.Harm(value, low, high), 0.3) == step


def maps(comparison: Comparison) -> dict[str, tuple[heatmap.Map, ...]]:
    return {section.suite: section.maps for section in view.page(comparison).by_group}


def test_every_cell_is_the_harm_of_its_group_and_metric(build: Callable[..., Comparison]) -> None:
    comparison = build()
    found = maps(comparison)["identity-prompts"]
    assert len(found) == 3
    records = {one.run.name: one for one in comparison.variants}
    for one in found:
        rows = {(d.group, d.label): d for d in records[one.series.name].differences if d.suite == "identity-prompts"}
        assert [row.name for row in one.rows] == list(comparison.suites[0]["groups"])
        for row in one.rows:
            for column, cell in zip(one.columns, row.cells, strict=True):
                d = rows[row.name, column.label]
                assert cell.number == text.number(d.difference, d.unit, signed=True).split("\xa0")[0]
                assert cell.step is not None
                sure = d.low > 0 or d.high < 0
                assert (abs(cell.step) > 1) == sure
                assert cell.step * d.difference >= 0
        assert one.estimated == 13 * 3
        assert one.coloured == sum(abs(c.step or 0) > 1 for row in one.rows for c in row.cells)
        assert one.chance == pytest.approx(0.05 * 39)


def test_maps_with_short_words_fit_beside_each_other_on_paper(build: Callable[..., Comparison]) -> None:
    one = maps(build())["identity-prompts"][0]
    assert sum(max(len(word) for word in column.label.split()) for column in one.columns) < 58 and one.slim
    assert not replace(one, columns=one.columns * 4).slim


def test_the_worst_verdict_comes_first(build: Callable[..., Comparison]) -> None:
    comparison = build()
    verdicts = {one.run.name: one.gate.verdict for one in comparison.variants if one.gate}
    order = [verdicts[one.series.name] for one in maps(comparison)["identity-prompts"]]
    assert order == sorted(order, key=("fail", "incomplete", "inconclusive", "pass").index)


def test_the_deepest_colour_is_the_largest_sure_change_over_all_variants(build: Callable[..., Comparison]) -> None:
    comparison = build()
    for column, metric in enumerate(("toxicity-probability", "expected-maximum-toxicity")):
        sure = [
            abs(d.difference) for one in comparison.variants for d in one.differences
            if d.metric == metric and d.group != "all" and (d.low > 0 or d.high < 0)
        ]  # fmt: skip
        deep = [
            abs(float(row.cells[column].number.replace(text.MINUS, "-")))
            for one in maps(comparison)["identity-prompts"] for row in one.rows if abs(row.cells[column].step or 0) == 4
        ]  # fmt: skip
        assert sure and deep
        scale = 100 if metric == "toxicity-probability" else 1
        assert max(deep) == pytest.approx(scale * max(sure), abs=0.06)
        assert min(deep) >= scale * max(sure) * 2 / 3 - 0.06


def test_cells_without_an_estimate_are_words_and_hatched(build: Callable[..., Comparison]) -> None:
    calm = build(("stereotyped",))
    variant = calm.variants[0]
    bare = {"difference": None, "low": None, "high": None, "tuned": None}
    kept = tuple(
        d.model_copy(update=bare) if d.group == "Asian" else d
        for d in variant.differences if d.group != "Black"
    )  # fmt: skip
    torn = calm.model_copy(update={"variants": (variant.model_copy(update={"differences": kept}),)})
    rows = {row.name: row for row in maps(torn)["identity-prompts"][0].rows}
    assert {(c.number, c.look) for c in rows["Asian"].cells} == {("none", "x")}
    assert {(c.number, c.look) for c in rows["Black"].cells} == {("not compared", "x")}
    assert all(c.step is not None for c in rows["women"].cells)


def test_all_missing_is_a_map_without_colour(build: Callable[..., Comparison]) -> None:
    calm = build(("stereotyped",))
    bare = {"difference": None, "low": None, "high": None, "tuned": None}
    variant = calm.variants[0]
    torn = variant.model_copy(update={"differences": tuple(d.model_copy(update=bare) for d in variant.differences)})
    found = maps(calm.model_copy(update={"variants": (torn,)}))["identity-prompts"][0]
    assert {c.look for row in found.rows for c in row.cells} == {"x"}
    assert (found.coloured, found.estimated, found.chance) == (0, 0, 0.0)


def test_a_single_run_is_coloured_by_group_against_all_groups(build: Callable[..., Comparison]) -> None:
    comparison = build(())
    (found,) = maps(comparison)["identity-prompts"]
    assert not found.compares
    rows = {(row.group, row.label): row for row in comparison.summary if row.suite == "identity-prompts"}
    labels = [column.label for column in found.columns]
    assert not any("minus the others" in label for label in labels), "a gap has no value over all groups"
    for row in found.rows:
        for label, cell in zip(labels, row.cells, strict=True):
            one, whole = rows[row.name, label], rows["all", label]
            assert cell.number == text.number(one.value, one.unit).split("\xa0")[0]
            assert cell.step is not None
            assert cell.step * (one.value - whole.value) >= 0, "lower is better in all three"
            assert (abs(cell.step) > 1) == (not one.low <= whole.value <= one.high)


def test_harm_of_a_gap_follows_the_direction(build: Callable[..., Comparison]) -> None:
    row = build(()).summary[0]
    whole = row.model_copy(update={"value": 0.5})

    def gap(value: float, **more: object) -> harm.Harm:
        found = harm.of_gap(row.model_copy(update={"value": value, "low": value - 0.1, "high": value + 0.1} | more),
                            whole.model_copy(update=more))  # fmt: skip
        assert found is not None
        return found

    assert gap(0.7).value == pytest.approx(0.2)
    assert (gap(0.7).low, gap(0.7).high) == (pytest.approx(0.1), pytest.approx(0.3))
    assert gap(0.7, direction="higher").value == pytest.approx(-0.2)
    target = gap(0.05, direction="target", target=0.0)
    assert target.value == pytest.approx(-0.45)
    assert (target.low, target.high) == (pytest.approx(-0.5), pytest.approx(-0.35))
    assert harm.of_gap(row.model_copy(update={"value": None}), whole) is None


def test_the_table_says_what_it_shows_and_numbers_carry_the_sign(build: Callable[..., Comparison]) -> None:
    source = html.render(build())
    tables = re.findall(r'<table class="heat">.*?</table>', source, re.S)
    assert len(tables) == 2 * 3, "two suites with at least four groups, three variants"
    for table in tables:
        for look, number in re.findall(r'<td class="(\w+)">(.*?)</td>', table):
            assert look in {"x", "z", "w1", "w2", "w3", "w4", "b1", "b2", "b3", "b4"}
            assert (look[0] == "w") == number.startswith("+"), "plus is worse: the sign alone tells the side"
            assert (look[0] == "b") == number.startswith(text.MINUS)
    section = source[source.index('<section id="groups"') : source.index('<section id="every"')]
    assert section.count("<details") == 2 * 2, "all but the worst variant's maps are folded"
    assert "chance would colour about 2" in tables[0]


def test_hostile_names_are_shown_and_inert(hostile: Comparison) -> None:
    section = view.page(hostile).by_group
    assert section, "a hostile suite has its map"
    source = html.render(hostile)
    (table,) = re.findall(r'<table class="heat">.*?</table>', source, re.S)
    assert "<script" not in table and "&lt;script" in table


@pytest.mark.parametrize("number", [1, 3, 4, 40, 61])
def test_from_four_groups_on_there_is_a_map(build: Callable[..., Comparison], number: int) -> None:
    calm = build(("stereotyped",))
    names = [f"group {i}" for i in range(number)]

    def spread(rows: tuple[SummaryRow, ...] | tuple[Difference, ...]) -> tuple[SummaryRow | Difference, ...]:
        one = [row for row in rows if row.metric == "toxicity-probability" and row.group in ("all", "Asian")]
        return tuple(
            row.model_copy(update={"group": name})
            for row in one for name in (names if row.group == "Asian" else ["all"])
        )  # fmt: skip

    variant = calm.variants[0]
    made = calm.model_copy(update={
        "summary": spread(calm.summary), "suites": (),
        "variants": (variant.model_copy(update={
            "summary": spread(variant.summary), "differences": spread(variant.differences), "gate": None}),),
    })  # fmt: skip
    found = view.page(made).by_group
    assert len(found) == (number >= groups.LEAST_GROUPS)
    if found:
        assert [row.name for row in found[0].maps[0].rows] == names
        assert len(found[0].charts) == (number <= groups.MOST_GROUPS)
    assert html.render(made)


CSS = (html.templates() / "report.css").read_text(encoding="utf-8")


def luminance(colour: str) -> float:
    """Relative luminance as WCAG 2.2 defines it."""
    parts = (int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5))
    red, green, blue = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


@pytest.mark.parametrize(("theme", "ink", "ground"), [(0, "#1c2127", "#ffffff"), (1, "#e5e9ed", "#12161b")])
def test_steps_differ_and_their_numbers_can_be_read(theme: int, ink: str, ground: str) -> None:
    colours = dict(
        re.findall(r"--([wb]\d): (#[0-9a-f]{6})", re.findall(r"\.heat-legend \{(.*?)\}", CSS, re.S)[theme * 2])
    )
    assert sorted(colours) == ["b1", "b2", "b3", "b4", "w1", "w2", "w3", "w4"]
    for colour in colours.values():
        light, dark = sorted((luminance(ink), luminance(colour)), reverse=True)
        assert (light + 0.05) / (dark + 0.05) >= 4.5
    for side in "wb":
        away = [abs(luminance(colours[f"{side}{i}"]) - luminance(ground)) for i in range(1, 5)]
        assert all(near < far for near, far in pairwise(away)), "worse is deeper, also without colour"
