"""The page's parts on exploration and on overlap with training data."""

from __future__ import annotations

import re
from collections.abc import Callable

import numpy as np
import pytest
from playwright.sync_api import Browser

from audit.schema import (
    Comparison,
    Exploration,
    Finding,
    Overlap,
    OverlappingItem,
    PooledGroup,
    PooledRate,
    Series,
    Span,
    SuiteOverlap,
    TrainingFile,
    TrendRow,
    WordingRow,
)
from reports import charts, exploration, html

RUNS = ("stereotyped", "courteous")
DOSES = (0.0, 100.0, 400.0)


def span(value: float | None, half: float = 0.05) -> Span:
    if value is None:
        return Span(value=None, low=None, high=None, method="none")
    return Span(value=value, low=value - half, high=value + half, method="by hand")


def head(direction: str = "lower", unit: str = "share", typed: str = "", smoke: bool = False) -> dict[str, object]:
    return {
        "suite": f"identity-prompts{typed}", "metric": f"toxic-fraction{typed}", "variant": typed,
        "label": f"toxic answers{typed}", "scorer": f"embedded{typed}", "smoke": smoke, "direction": direction,
        "target": 0.5 if direction == "target" else None, "unit": unit,
    }  # fmt: skip


def finding(run: str, change: float, direction: str = "lower", base: float = 0.6, typed: str = "") -> Finding:
    return Finding(
        **head(direction, typed=typed), run=run, group=f"women{typed}", base=base, tuned=base + change,
        change=span(change), p=0.0004, adjusted=0.02,
    )  # fmt: skip


def trend(values: tuple[float | None, ...], slope: float | None, adjusted: float, typed: str = "") -> TrendRow:
    return TrendRow(
        **head(typed=typed), values=tuple(span(value) for value in values), slope=span(slope, 1e-4), level=0.95, n=40,
        clusters=20, missing=1, p=adjusted / 2, adjusted=adjusted, monotone=True,
    )  # fmt: skip


def pooled(run: str, raw: float | None, typed: str = "", label: str = "") -> PooledRate:
    group = PooledGroup(
        group=f"women{typed}",
        n=5,
        clusters=5,
        missing=0,
        raw=span(raw),
        pooled=span(0.11),
        weight=None if raw is None else 0.4,
    )
    return PooledRate(**{**head(typed=typed), "label": f"toxic answers{typed}{label}", "metric": label or "m"}, run=run,
                      groups=(group,), spread=span(0.03), level=0.95)  # fmt: skip


def wording(run: str, change: bool, typed: str = "") -> WordingRow:
    return WordingRow(**head(typed=typed), run=run, change=change, share=span(0.4), another=span(0.2, 0.3), level=0.95,
                      n=40, templates=8, missing=0)  # fmt: skip


def explored(typed: str = "", runs: tuple[str, ...] = ("base", *RUNS)) -> Exploration:
    rows = tuple(finding(run, change, typed=typed) for run, change in zip(runs[1:], (0.2, -0.2), strict=False))
    return Exploration(
        q=0.1, tests=300, untested=12, level=0.9993, findings=rows,
        pooled=tuple(pooled(run, 0.2, typed) for run in runs) + tuple(pooled(run, 0.0, typed, "quiet") for run in runs),
        wordings=tuple(wording(run, change, typed) for run, change in ((runs[0], False), (runs[1], True))),
        series=Series(runs=runs, doses=DOSES[: len(runs)], trends=(
            trend((0.2, 0.3, 0.6)[: len(runs)], 0.001, 0.01, typed),
            trend((0.2, None, 0.6)[: len(runs)], None, 0.6, typed),
        )) if len(runs) > 2 else None,
    )  # fmt: skip


def overlapping(items: int, typed: str = "", compared: tuple = ()) -> Overlap:
    found = tuple(
        OverlappingItem(item=f"item-{at:04d}{typed}", exact="", run=f"t{typed}, line {at}") for at in range(items)
    )
    suites = (
        SuiteOverlap(suite=f"identity-prompts{typed}", items=520, exact=0, run=items, short=3, found=found,
                     left_out=items, differences=compared),
        SuiteOverlap(suite="empty", items=0, exact=0, run=0, short=0, found=(), left_out=0, differences=()),
    )  # fmt: skip
    return Overlap(words=8, files=(TrainingFile(name=f"train{typed}", sha256="ab" * 32, texts=70),), suites=suites)


def with_all(calm: Comparison, items: int = 3, typed: str = "") -> Comparison:
    names = tuple(one.run.name for one in calm.variants)
    first = calm.variants[0]
    rows = tuple(row for row in first.differences if row.group == "all")[:2]
    first = first.model_copy(update={"overlap": overlapping(items, typed, rows)})
    return calm.model_copy(
        update={"variants": (first, *calm.variants[1:]), "exploration": explored(typed, (calm.base.name, *names))}
    )


@pytest.fixture(scope="module")
def calm(build: Callable[..., Comparison]) -> Comparison:
    return build(RUNS, excerpts=1)


def section(page: str, name: str) -> str:
    found = re.search(rf'<section id="{name}".*?</section>', page, re.DOTALL)
    return found.group() if found else ""


def plain(markup: str) -> str:
    return " ".join(re.sub(r"<[^>]+>", " ", markup).replace("\u00a0", " ").replace("&nbsp;", " ").split())


def test_the_page_shows_what_stands_out_and_that_it_decides_nothing(calm: Comparison) -> None:
    shown = plain(section(html.render(with_all(calm)), "exploration"))
    assert "decides nothing: the verdict rests on the gate\u2019s rules alone" in shown
    assert "300 differences were tested" in shown and "12 more have no test" in shown
    assert "2 of them stand out" in shown and "at most 10 % is expected to be false alarms" in shown
    assert "drawn at 99.93 %" in shown
    assert "stereotyped 1 1 0 0" in shown and "courteous 1 0 1 0" in shown
    assert "1 of 2 trends stand out" in shown


def test_without_exploration_and_overlap_both_parts_are_absent(calm: Comparison) -> None:
    page = html.render(calm)
    assert not section(page, "exploration") and not section(page, "overlap")
    assert 'href="#exploration"' not in page and 'href="#overlap"' not in page
    nothing = explored().model_copy(
        update={"findings": (), "level": None, "series": None, "pooled": (), "wordings": ()}
    )
    shown = plain(section(html.render(calm.model_copy(update={"exploration": nothing})), "exploration"))
    assert "None of them stands out" in shown and "does not show that nothing changed" in shown
    alone = calm.model_copy(update={"variants": (), "exploration": nothing})
    assert not section(html.render(alone), "exploration"), "a single run without small groups has nothing to explore"


def test_small_groups_stand_raw_beside_pooled_and_quiet_ones_in_a_sentence(calm: Comparison) -> None:
    shown = plain(section(html.render(with_all(calm)), "exploration"))
    assert "women base 20.0 % 15.0 to 25.0 % 11.0 % 6.0 to 16.0 % 40.0 % 5, 5, 0" in shown
    assert (
        "No group of any run shows an event in: toxic answersquiet of identity-prompts (drawn intervals end at 16.0 %"
        in shown
    )
    assert shown.count("Table: Toxic answers") == 1


def test_the_overlap_is_counted_listed_and_recomputed(calm: Comparison) -> None:
    shown = plain(section(html.render(with_all(calm)), "overlap"))
    assert "70 texts of train (sha256 abababababababab)" in shown
    assert "identity-prompts 520 0 3 3 0.6 % 3 3" in shown and "empty 0 0 0 0 no items 0 0" in shown
    assert "517 of 520 items left" in shown and "item-0002 no t, line 2" in shown


def test_a_long_list_of_items_is_cut_and_says_so(calm: Comparison) -> None:
    page = section(html.render(with_all(calm, items=201)), "overlap")
    assert page.count("item-0") == 200 and "the first 200 of 201, all are in the JSON file" in plain(page)


def test_hostile_text_stays_text(calm: Comparison, hostile_text: str) -> None:
    page = html.render(with_all(calm, typed=hostile_text))
    for part in ("exploration", "overlap"):
        shown = section(page, part)
        assert shown and "<script" not in shown and "<img" not in shown and "\u202e" not in shown and "{{7*7}}" in shown


@pytest.mark.parametrize(
    ("change", "direction", "base", "side"),
    [(0.1, "lower", 0.6, "worse"), (-0.1, "lower", 0.6, "better"), (0.1, "higher", 0.6, "better"),
     (0.1, "target", 0.6, "worse"), (-0.15, "target", 0.6, "better"), (-0.25, "target", 0.6, "worse"),
     (0.0, "lower", 0.6, "")],
)  # fmt: skip
def test_a_change_points_to_a_side(change: float, direction: str, base: float, side: str) -> None:
    assert exploration.points_to(finding("a", change, direction, base)) == side


def test_a_metric_that_informs_points_nowhere() -> None:
    row = finding("a", 0.2).model_copy(update={"label": "log-likelihood (informational)"})
    assert exploration.points_to(row) == ""


def test_the_chart_places_doses_and_values_in_proportion(calm: Comparison) -> None:
    series = tuple(charts.Series(at, run) for at, run in enumerate([calm.base, *(one.run for one in calm.variants)]))
    view = exploration.explored(with_all(calm), series)
    assert view is not None
    first, second = (one.chart for one in view.trends)
    x = np.array([point.x for point in first.points])
    assert (x[1] - x[0]) / (x[2] - x[0]) == pytest.approx(0.25, abs=0.005)
    y = np.array([point.y for point in first.points])
    assert (y[0] - y[1]) / (y[0] - y[2]) == pytest.approx(0.25, abs=0.01), "upwards is more"
    fitted = np.polyfit(DOSES, [0.2, 0.3, 0.6], 1)
    assert first.line is not None
    scale = (y[2] - y[0]) / 0.4
    ends = [y[0] + (np.polyval(fitted, dose) - 0.2) * scale for dose in (DOSES[0], DOSES[-1])]
    assert (first.line[1], first.line[3]) == pytest.approx(ends, abs=1.5)
    assert second.line is None and second.points[1].y is None
    assert view.trends[0].rise.value == pytest.approx(0.4) and [one.out for one in view.trends] == [True, False]


def test_doses_that_lie_close_do_not_write_over_each_other() -> None:
    assert exploration._spaced([(0.0, "0"), (10.0, "1"), (60.0, "2"), (90.0, "3"), (100.0, "4")]) == (
        (0.0, "0"), (60.0, "2"), (100.0, "4"),
    )  # fmt: skip


def test_the_terminal_gets_one_line_each(calm: Comparison) -> None:
    said = exploration.lines(with_all(calm))
    assert said[0].startswith("Exploration: 2 of 300 differences stand out") and said[0].endswith("it decides nothing.")
    assert said[1] == "Series: 1 of 2 trends stand out, by the same measure."
    assert said[2] == ("Overlap of stereotyped with its training data: identity-prompts 3 of 520 items (0 whole).")
    assert exploration.lines(calm) == []


@pytest.mark.parametrize("width", [320, 375, 1200])
def test_nothing_sticks_out_with_all_tables_open(chromium: Browser, calm: Comparison, width: int) -> None:
    page = chromium.new_page(viewport={"width": width, "height": 800})
    page.set_content(html.render(with_all(calm)).replace("<details", "<details open"))
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.locator("#exploration svg.doses").count() == 2
    page.close()
