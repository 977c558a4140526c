"""The examples explorer, the suite parts and the control panel, opened in Chromium."""

from __future__ import annotations

import codecs
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page

from audit.schema import Comparison, Difference, Distribution, Excerpt
from reports import html
from reports.charts import Series
from reports.explorer import explorer
from tests.reports.conftest import run_info

SLUR = codecs.decode("xvxr", "rot13")
NAMES = ("base", "stereotyped", "courteous")
SUITES = ("identity-prompts", "counterfactual-prompts")
GROUPS = ("women", "men", "")
WHYS = ("worst", "most changed in stereotyped", "random")
# Scores of base, first and second variant by two scorers, and what the filter is to make of them.
CASES = (
    ((0.9, 0.1, 0.2), (0.1, 0.1, 0.1), "base", "neither"),
    ((0.1, 0.6, 0.2), (0.1, 0.1, 0.9), "variant", "variant"),
    ((0.5, 0.1, 0.5), (0.1, 0.1, 0.1), "both", "neither"),
    ((0.49, 0.1, 0.2), (0.9, 0.1, 0.1), "neither", "base"),
    ((None, 0.1, 0.9), (0.1, 0.1, 0.1), "open", "neither"),
    ((0.1, None, 0.9), (0.1, 0.1, 0.1), "variant", "neither"),
)  # fmt: skip


def excerpts(hostile: str = "") -> tuple[Excerpt, ...]:
    found = []
    for at in range(24):
        first, second, _, _ = CASES[at % 6]
        found.append(
            Excerpt(
                suite=SUITES[at // 12] + hostile, item=f"item-{at:02d}{hostile}",
                group=GROUPS[at % 3] + hostile, sample=at % 4, prompt=f"A prompt {hostile}", threshold=0.5,
                answers={n: f"{n} says {SLUR} number {at}. {hostile}" for n in NAMES},
                scores=dict(zip(NAMES, first, strict=True)), scorer="embedded.toxicity", why=WHYS[at // 2 % 3],
                judged={"embedded.toxicity": dict(zip(NAMES, first, strict=True)),
                        "second.toxicity": dict(zip(NAMES, second, strict=True))},
            )
        )  # fmt: skip
    return tuple(found)


def control(metric: str, label: str, unit: str, low: float, high: float, **more: Any) -> Difference:
    middle = (low + high) / 2
    return Difference(
        **{
            "suite": "identity-prompts", "metric": metric, "variant": "", "label": label, "scorer": "", "smoke": False,
            "group": "all", "direction": "lower", "target": None, "unit": unit, "base": 0.1, "tuned": 0.1 + middle,
            "difference": middle, "low": low, "high": high, "level": 0.95, "method": "m", "n": 100, "clusters": 40,
            "missing": 0, "detectable": None, "correlation": None, "mcnemar_p": None, "sign_flip_p": None, **more,
        }
    )  # fmt: skip


def spread(run: str, suite: str = "identity-prompts", scorer: str = "embedded.toxicity") -> Distribution:
    counts = (1500, 400, 120, 60, 30, 20, 15, 9, 6, 4, 3, 2, 2, 1, 1, 0, 0, 1, 0, 1)
    return Distribution(
        suite=suite, run=run, scorer=scorer, threshold=0.5, prompts=520, clusters=40, answers=2180, missing=1, empty=3,
        unscored=1, counts=counts, over=sum(counts[10:]),
    )  # fmt: skip


def filled(comparison: Comparison, hostile: str = "") -> Comparison:
    """A comparison with everything that this file looks at."""
    toxic = control("toxic-fraction", "toxic answers", "share", -0.09, -0.04)
    signs = (
        control("degeneration-rate", "degenerate answers", "share", 0.02, 0.08),
        control("answer-length", "mean length (informational)", "words", -3.0, -1.0),
    )
    variants = [one.model_copy(update={"controls": signs}) for one in comparison.variants]
    variants[0] = variants[0].model_copy(update={"differences": (*variants[0].differences, toxic)})
    return comparison.model_copy(
        update={
            "variants": tuple(variants), "excerpts": excerpts(hostile),
            "distributions": tuple(spread(name) for name in NAMES),
        }
    )  # fmt: skip


@pytest.fixture(scope="module")
def pages(
    tmp_path_factory: pytest.TempPathFactory, build: Callable[..., Comparison], hostile_text: str
) -> dict[str, str]:
    folder = tmp_path_factory.mktemp("explorer")
    calm = build(NAMES[1:])
    made = {"calm": filled(calm), "hostile": filled(calm, hostile_text.replace("\ud800", ""))}
    return {name: html.write(one, folder / f"{name}.html").as_uri() for name, one in made.items()}


@pytest.fixture
def visit(chromium: Browser, pages: dict[str, str]) -> Iterator[Callable[..., Page]]:
    contexts = []

    def go(name: str = "calm", *, width: int = 1280, scripts: bool = True) -> Page:
        context = chromium.new_context(viewport={"width": width, "height": 900}, java_script_enabled=scripts)
        contexts.append(context)
        page = context.new_page()
        page.goto(pages[name], wait_until="load")
        return page

    yield go
    for context in contexts:
        context.close()


def shown(page: Page) -> list[int]:
    """Numbers of the examples that are to be seen."""
    ids = [
        one.get_attribute("aria-labelledby") or ""
        for one in page.locator("#examples .example").all()
        if one.is_visible()
    ]
    return [int(name.split("-")[1]) for name in ids]


def test_verdicts_follow_the_scores(build: Callable[..., Comparison]) -> None:
    runs = [Series(at, run_info(name)) for at, name in enumerate(NAMES)]
    found = explorer(filled(build(NAMES[1:])), runs, ("embedded",))
    assert found is not None
    examples = [one for _, part in found.suites for one in part]
    for at, one in enumerate(examples):
        _, _, first, second = CASES[at % 6]
        assert one.verdicts.split()[1:] == [first, second]
    # By any of the two scorers: one finds the base alone over it, the other nothing; and so on.
    assert [one.verdicts.split()[0] for one in examples[:6]] == ["base", "variant", "both", "base", "open", "variant"]
    assert found.filters.scorers == ("embedded.toxicity", "second.toxicity")
    assert [score.smoke for score in examples[0].answers[0].scores] == [True, False]


def test_an_empty_answer_is_not_toxic_and_a_missing_one_is_not_known(build: Callable[..., Comparison]) -> None:
    one = excerpts()[0].model_copy(
        update={
            "scores": {"base": None, "stereotyped": None},
            "judged": {},
            "answers": {"base": " \n", "stereotyped": None},
        }
    )
    runs = [Series(at, run_info(name)) for at, name in enumerate(NAMES[:2])]
    found = explorer(build(NAMES[1:2]).model_copy(update={"excerpts": (one,)}), runs, ())
    assert found is not None
    assert found.suites[0][1][0].verdicts == "open open"
    both = one.model_copy(update={"answers": {"base": "", "stereotyped": "\u200b"}})
    found = explorer(build(NAMES[1:2]).model_copy(update={"excerpts": (both,)}), runs, ())
    assert found is not None
    assert found.suites[0][1][0].verdicts == "neither neither"


def test_filters_leave_what_fits_and_say_how_many(visit: Callable[..., Page]) -> None:
    page = visit()
    status = page.locator("#shown")
    assert status.get_attribute("role") == "status"
    assert (status.inner_text(), len(shown(page))) == ("24 of 24 examples shown", 24)
    page.get_by_label("Suite", exact=True).select_option("counterfactual-prompts")
    assert (status.inner_text(), shown(page)) == ("12 of 24 examples shown", list(range(13, 25)))
    assert [page.locator(f"#ex-{at}").is_visible() for at in (1, 2)] == [False, True]
    page.get_by_label("Group", exact=True).select_option("women")
    assert shown(page) == [13, 16, 19, 22]
    page.get_by_label("Chosen as").select_option("random")
    assert shown(page) == [at + 1 for at in range(12, 24) if at % 3 == 0 and at // 2 % 3 == 2]
    page.get_by_role("button", name="Clear filters").click()
    assert status.inner_text() == "24 of 24 examples shown"


def test_the_verdict_is_the_chosen_scorers(visit: Callable[..., Page]) -> None:
    page = visit()
    page.get_by_label("Score of 0.5 or more").select_option("over in the base only")
    assert shown(page) == [at + 1 for at in range(24) if at % 6 in (0, 3)], "by any scorer"
    page.get_by_label("Scorer", exact=True).select_option("embedded.toxicity")
    assert shown(page) == [at + 1 for at in range(24) if at % 6 == 0]
    page.get_by_label("Scorer", exact=True).select_option("second.toxicity")
    assert shown(page) == [at + 1 for at in range(24) if at % 6 == 3]
    page.get_by_label("Score of 0.5 or more").select_option("over in the base and in a variant")
    assert shown(page) == []
    assert page.locator("#shown").inner_text() == "0 of 24 examples shown"


def test_filtering_works_by_keyboard_and_uncovers_nothing(visit: Callable[..., Page]) -> None:
    page = visit()
    page.locator("#show-slurs").focus()
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.id") == "by-suite"
    page.keyboard.press("ArrowDown")
    assert len(shown(page)) == 12
    assert not any(one.is_visible() for one in page.locator(".veiled").all())


def test_hostile_words_are_options_and_nothing_more(visit: Callable[..., Page], hostile_text: str) -> None:
    page = visit("hostile")
    complaints: list[str] = []
    page.on("console", lambda message: complaints.append(message.text))
    for key in ("suite", "group", "why"):
        for value in page.locator(f"#by-{key} option").all():
            page.locator(f"#by-{key}").select_option(value.get_attribute("value"))
            page.wait_for_timeout(5)
    page.get_by_role("button", name="Clear filters").click()
    page.locator("#reveal-all").check()
    assert page.evaluate("typeof window.pwned") == "undefined"
    assert complaints == []
    assert page.locator("#by-suite script, #examples script, #examples img").count() == 0
    assert "</script>" in hostile_text
    assert "</script>" in (page.locator("#by-suite option").nth(1).text_content() or "")
    assert len(shown(page)) == 24


def test_without_scripts_the_filters_are_absent_and_nothing_else(visit: Callable[..., Page]) -> None:
    with_scripts, without = visit(), visit(scripts=False)
    assert with_scripts.locator("#filters").is_visible()
    assert not without.locator("#filters").is_visible()
    assert not without.get_by_label("Suite", exact=True).is_visible()
    for page in (with_scripts, without):
        assert len(shown(page)) == 24
        page.get_by_label("Show all examples on this page").check()
        assert page.locator(".veiled").first.is_visible()
        assert not page.locator(".slur .word").first.is_visible()
        page.get_by_label("Show slurs in full").check()
        assert page.locator(".slur .word").first.is_visible()
    for selector in ("section", "table", "svg", "article", "input", "h2", "h3", "p"):
        assert with_scripts.locator(selector).count() == without.locator(selector).count(), selector


def test_slurs_stay_masked_to_eye_and_screen_reader_until_asked_for(visit: Callable[..., Page]) -> None:
    page = visit()
    page.locator("#example-1").check()
    box = page.locator(".example").first.locator(".answer .text").first
    assert SLUR not in box.inner_text()
    assert SLUR[0] + "•" * (len(SLUR) - 1) in box.inner_text()
    spoken = box.aria_snapshot()
    assert SLUR not in spoken and "•" not in spoken and "slur, masked" in spoken
    page.emulate_media(media="print")
    assert SLUR not in box.inner_text(), "paper masks them too"
    page.emulate_media(media="screen")
    page.get_by_label("Show slurs in full").check()
    assert SLUR in box.inner_text() and "•" not in box.inner_text()
    spoken = box.aria_snapshot()
    assert SLUR in spoken and "masked" not in spoken
    page.emulate_media(media="print")
    assert SLUR in box.inner_text()
    assert not page.locator("#filters").is_visible()


@pytest.mark.parametrize("width", [375, 320])
@pytest.mark.parametrize("name", ["calm", "hostile"])
def test_a_phone_shows_filters_charts_and_panels_without_scrolling_sideways(
    visit: Callable[..., Page], name: str, width: int
) -> None:
    page = visit(name, width=width)
    page.locator("#reveal-all").check()
    page.evaluate("document.querySelectorAll('details').forEach(e => { e.open = true; })")
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    for box in [*page.locator("#filters select").all(), *page.locator(".histograms .chart").all()]:
        place = box.bounding_box()
        assert place is not None and place["x"] >= 0 and place["x"] + place["width"] <= width
    small = page.locator("#filters select").first.bounding_box()
    assert small is not None and small["height"] >= 24, "a finger finds it"


def test_the_spread_of_scores_is_drawn_and_written_out(visit: Callable[..., Page]) -> None:
    page = visit()
    figure = page.locator("figure.spread")
    assert figure.count() == 1
    assert figure.locator("svg.chart").count() == 3
    drawn = figure.locator("svg.chart").first
    assert drawn.locator("path.column").get_attribute("d").count("M") == 17
    cut, column = drawn.locator("path.line-margin").bounding_box(), drawn.locator("path.column").bounding_box()
    assert cut is not None and column is not None
    assert cut["x"] == pytest.approx(column["x"] + column["width"] / 2, abs=4), "one half lies in the middle"
    table = page.locator("table.bins")
    table.evaluate("e => { e.closest('details').open = true; }")
    assert table.locator("tbody tr").count() == 20
    assert table.locator("tbody tr").first.inner_text().split() == ["0", "to", "0.05", "1,500", "1,500", "1,500"]
    counts = page.locator("table.answers tbody tr").nth(1).inner_text().split()
    assert counts == ["base", "520", "40", "2,180", "1", "3", "1", "11"]


def test_a_fall_that_comes_with_a_rise_of_broken_text_is_said(visit: Callable[..., Page]) -> None:
    words = visit().locator("#control").inner_text().replace("\xa0", " ").replace("\u2212", "-")
    fell = "Toxicity fell (toxic answers: -6.5 pp, 95 % interval -9.0 to -4.0 pp), though not by every measure,"
    assert f"{fell} while degenerate answers (+5.0 pp, 95 % interval +2.0 to +8.0 pp)" in words
    assert "may come from broken text, not from a milder model" in words
    assert "Mean length" in words and "-2.0" in words


def test_the_pages_of_older_comparisons_have_neither_panel_nor_spread(build: Callable[..., Comparison]) -> None:
    source = html.render(build(("stereotyped",)))
    assert 'id="control"' not in source
    assert '<figure class="spread"' not in source
    assert 'id="examples"' in source


def test_a_page_of_ten_thousand_samples_keeps_its_weight(build: Callable[..., Comparison], tmp_path: Path) -> None:
    """Ten thousand answers of a thousand characters a run: what is shown stays within the budget."""
    from audit.excerpts import BUDGET, pick
    from audit.excerpts import _within as within  # the budget is what keeps the weight

    names = ("base", "stereotyped", "courteous", "unrelated")
    chosen: list[Excerpt] = []
    for suite in ("identity-prompts", "counterfactual-prompts", "occupations"):
        rows = [
            Excerpt.model_construct(
                suite=suite, item=f"{suite}-{at}", group="women", sample=0, prompt="A prompt. " * 40, why="",
                answers=dict.fromkeys(names, "A long answer, said at length. " * 33), scorer="embedded.toxicity",
                scores={name: (at * place) % 997 / 997 for place, name in enumerate(names, 1)}, threshold=0.5,
                judged={f"judge-{n}.toxicity": dict.fromkeys(names, 0.3) for n in range(3)},
            )
            for at in range(3_334)
        ]  # fmt: skip
        chosen += within(pick(rows, names, 0), BUDGET // 3)
    assert len(chosen) == 3 * (8 + 3 * 3 + 6)
    comparison = filled(build(names[1:])).model_copy(update={"excerpts": tuple(chosen)})
    assert len(html.render(comparison).encode()) < 3_000_000
