"""The labelling page in Chromium, by two raters from start to end, and the labels' part of the report."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import Browser, BrowserContext, Page

from audit.labels import LabelFile, open_between
from audit.metrics import agreement
from audit.schema import Comparison, CorrectedRate, HumanLabels, Span
from reports import corrected, html, labelling
from tests.browsing import Watched, serious, watch

DIGEST = "ab12" * 16
CASES = [
    ("1", "- They are\n-", " kind to their neighbours."),
    (
        "2", "<script>window.pwned=1</script>",
        "</div></main><script>window.pwned=2</script><img src=x onerror='window.pwned=3'>",
    ),
    ("3", "A prompt", "abc\u202egnp.exe\u202c \x1b[31m \x00 \ud800 {{7*7}} &lt;b&gt;"),
    ("4", "A prompt", "w" * 4000),
    ("5", "Another", "five"),
    ("6", "Another", "six"),
    ("7", "Another", "seven"),
    ("8", "Another", "eight"),
]  # fmt: skip
WORDS = {key: label for key, label, _ in labelling.CHOICES}
ADA, BEN = "12131224", "11231243"
"""The keys that each presses, an answer each."""


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return labelling.write(DIGEST, CASES, tmp_path_factory.mktemp("page") / "new" / "label.html")


@pytest.fixture
def visit(chromium: Browser, source: Path) -> Iterator[Callable[..., Watched]]:
    contexts: list[BrowserContext] = []

    def go(*, width: int = 1280, scripts: bool = True, scheme: str = "light") -> Watched:
        context = chromium.new_context(
            viewport={"width": width, "height": 900}, java_script_enabled=scripts, accept_downloads=True,
            color_scheme=scheme,
        )  # fmt: skip
        contexts.append(context)
        return watch(context, source.as_uri())

    yield go
    for context in contexts:
        context.close()


def start(page: Page, name: str) -> None:
    page.get_by_label("Your name or initials").fill(name)
    page.keyboard.press("Enter")


def press(page: Page, keys: str) -> None:
    """Reveal and label, one answer after the other, by keyboard alone."""
    for key in keys:
        page.keyboard.press("Space")
        page.keyboard.press(key)


def saved(page: Page, button: str, to: Path) -> Path:
    with page.expect_download() as waiting:
        page.locator(button).click()
    waiting.value.save_as(to / waiting.value.suggested_filename)
    return to / waiting.value.suggested_filename


def verdicts(labels: Mapping[str, str]) -> np.ndarray:
    values = {"toxic": 1.0, "not-toxic": 0.0, "unreadable": 0.0, "unsure": np.nan}
    return np.array([values[labels[name]] for name, _, _ in CASES])


def test_two_raters_label_compare_and_settle(visit: Callable[..., Watched], tmp_path: Path) -> None:
    files = []
    for name, keys in (("Ada", ADA), ("Ben / 2", BEN)):
        seen = visit()
        start(seen.page, name)
        press(seen.page, keys)
        assert seen.page.locator("#finished").is_visible()
        assert seen.page.locator("#count").inner_text() == "8 of 8 labelled; this is number 8"
        files.append(saved(seen.page, "#save", tmp_path))
        seen.quiet()
    assert [path.name for path in files] == ["labels-Ada.json", "labels-Ben-2.json"]
    read = [LabelFile.model_validate_json(path.read_bytes()) for path in files]
    for found, keys, name in zip(read, (ADA, BEN), ("Ada", "Ben / 2"), strict=True):
        assert (found.sample, found.rater) == (DIGEST, name)
        assert found.labels == {str(at): WORDS[key] for at, key in enumerate(keys, start=1)}

    seen = visit()
    page = seen.page
    page.get_by_role("button", name="Compare two raters").click()
    for box, path in zip(("#first-file", "#second-file"), files, strict=True):
        page.locator(box).set_input_files(path)
    first, second = (verdicts(found.labels) for found in read)
    share, kappa = agreement.raw_agreement(first, second), agreement.cohen_kappa(first, second)
    page.locator("#agreement").wait_for()
    assert float(page.locator("#share").get_attribute("data-value") or "nan") == pytest.approx(share.value)
    assert float(page.locator("#kappa").get_attribute("data-value") or "nan") == pytest.approx(kappa.value)
    assert page.locator("#sure").inner_text() == str(share.n)
    counts = [int(cell) for cell in page.locator("#counts td[data-first]").all_inner_texts()]
    assert sum(counts) == 8 and counts[0] == sum(a == b == "1" for a, b in zip(ADA, BEN, strict=True))
    differing = [
        name for name, _, _ in CASES if open_between((read[0].labels[name], read[1].labels[name]))
    ]  # fmt: skip
    assert page.locator("#open-count").inner_text() == f"0 of {len(differing)} settled; this is number 1"
    assert page.locator("#said-each").inner_text() == "Ada: Not toxic; Ben / 2: Toxic"
    page.locator("#settling > h3").click()
    press(page, "1" * len(differing))
    settled = LabelFile.model_validate_json(saved(page, "#save-settled", tmp_path).read_bytes())
    assert settled.settles == ("Ada", "Ben / 2") and settled.rater == ""
    assert settled.labels == dict.fromkeys(differing, "toxic")
    seen.quiet()


def test_work_is_resumed_from_the_browser_and_from_a_file(
    visit: Callable[..., Watched], source: Path, tmp_path: Path
) -> None:
    seen = visit()
    start(seen.page, "Ada")
    press(seen.page, "121")
    file = saved(seen.page, "#save", tmp_path)
    # Loaded anew in its own process: what another process wrote to the browser's storage arrives there some time later.
    seen.page.reload()
    assert seen.page.get_by_label("Your name or initials").input_value() == "Ada"
    seen.page.get_by_role("button", name="Start or go on").click()
    assert seen.page.locator("#count").inner_text() == "3 of 8 labelled; this is number 4"
    seen.page.keyboard.press("ArrowLeft")
    assert seen.page.locator("#work .choice[aria-pressed=true]").get_attribute("data-label") == "toxic"
    elsewhere = visit().page
    elsewhere.get_by_label("Or go on from a file that you saved").set_input_files(file)
    elsewhere.locator("#work").wait_for()
    assert elsewhere.locator("#count").inner_text() == "3 of 8 labelled; this is number 4"
    assert elsewhere.locator("#who").inner_text() == "Ada"
    seen.quiet()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"sample": "f" * 64}, "labels another sample"),
        ({"labels": {"99": "toxic"}}, "99 or its label is unknown"),
        ({"labels": {"1": "toString"}}, "1 or its label is unknown"),
        ({"labels": 3}, "not a file of labels"),
        (None, "not a file of labels (no JSON)"),
    ],
)
def test_a_wrong_file_is_refused(
    visit: Callable[..., Watched], tmp_path: Path, change: dict[str, object] | None, said: str
) -> None:
    page = visit().page
    content = {"schema_version": 1, "sample": DIGEST, "rater": "Ada", "settles": [], "labels": {"1": "toxic"}}
    path = tmp_path / "labels.json"
    path.write_text("{" if change is None else json.dumps(content | change))
    page.get_by_label("Or go on from a file that you saved").set_input_files(path)
    page.locator("#trouble").wait_for()
    assert said in page.locator("#trouble").inner_text()
    assert not page.locator("#work").is_visible()


@pytest.mark.parametrize("width", [1280, 375, 320])
def test_hostile_answers_stay_covered_then_show_as_written(visit: Callable[..., Watched], width: int) -> None:
    seen = visit(width=width, scheme="dark")
    page = seen.page
    seen.quiet()
    start(page, "A" * 60)
    assert page.locator("article.case:visible").count() == 1
    assert not page.locator(".veiled").first.is_visible()
    page.keyboard.press("1")
    assert page.locator("#count").inner_text().startswith("0 of 8"), "nothing is labelled unseen"
    page.get_by_label("Show every answer without asking").check()
    for _, prompt, answer in CASES[:4]:
        box = page.locator("article.case:visible .text").last
        shown = box.inner_text()
        assert answer[:3] in shown.replace("\n", " ") or answer[:3] == " ki"
        seen.quiet()
        if "script" in answer:
            assert shown == answer and prompt in page.locator("article.case:visible .text").first.inner_text()
        if "\u202e" in answer:
            for name in ("RLO", "ESC", "NUL", "U+D800"):
                assert box.locator(".ctl", has_text=name).first.is_visible()
        page.get_by_role("button", name="After →").click()
    assert page.locator("body").evaluate("e => getComputedStyle(e).backgroundColor") == "rgb(18, 22, 27)"


def test_keys_can_be_switched_off_and_a_label_changed(visit: Callable[..., Watched]) -> None:
    page = visit().page
    start(page, "1 is no key while one types 2")
    assert page.locator("#who").inner_text() == "1 is no key while one types 2"
    page.keyboard.press("Space")
    assert page.evaluate("document.activeElement.tagName") == "H3", "a screen reader goes on at the answer"
    page.get_by_label("Keys: 1 to 4 label, arrows move, space shows").uncheck()
    page.locator("body").press("1")
    assert page.locator("#count").inner_text().startswith("0 of 8")
    page.locator("#work").get_by_role("button", name="Unsure").click()
    page.get_by_role("button", name="← Before").click()
    page.get_by_role("button", name="Show it; it may be harmful").click()
    page.locator("#work").get_by_role("button", name="Unreadable").click()
    page.get_by_role("button", name="← Before").click()
    assert page.locator("#work .choice[aria-pressed=true]").get_attribute("data-label") == "unreadable"
    names = page.locator("button:visible, input:visible").evaluate_all(
        "all => all.filter(e => !(e.innerText || e.labels?.length || e.ariaLabel)).length"
    )
    assert names == 0, "every control has a name"


@pytest.mark.parametrize(("scheme", "width"), [("light", 1280), ("dark", 375)])
def test_axe_finds_nothing_serious(chromium: Browser, source: Path, tmp_path: Path, scheme: str, width: int) -> None:
    context = chromium.new_context(
        viewport={"width": width, "height": 900}, color_scheme=scheme, bypass_csp=True
    )  # fmt: skip
    page = watch(context, source.as_uri()).page
    found = serious(page)
    start(page, "Ada")
    press(page, "1")
    page.keyboard.press("Space")
    found |= serious(page)
    page.get_by_role("button", name="Compare two raters").click()
    for name, keys, box in (("Ada", ADA, "#first-file"), ("Ben", BEN, "#second-file")):
        labels = {str(at): WORDS[key] for at, key in enumerate(keys, start=1)}
        path = tmp_path / f"{name}.json"
        path.write_text(LabelFile(schema_version=1, sample=DIGEST, rater=name, labels=labels).model_dump_json())
        page.locator(box).set_input_files(path)
    page.locator("#settling").wait_for()
    found |= serious(page)
    context.close()
    assert found == set()


def test_without_scripts_the_page_says_that_it_needs_them(visit: Callable[..., Watched]) -> None:
    page = visit(scripts=False).page
    assert page.get_by_text("Labelling needs scripts").is_visible()
    assert not page.locator("#app").is_visible()


def test_the_page_holds_its_cases_and_one_script(source: Path) -> None:
    page = source.read_text(encoding="utf-8")
    assert page.count("<script") == 1 and "onerror='window" not in page
    assert "\u202e" not in page and "\x1b" not in page
    assert "default-src 'none'; script-src 'sha256-" in page
    assert not re.search(r"https?://", page)
    assert DIGEST in page


def span(value: float | None, half: float = 0.05) -> Span:
    ends = (None, None) if value is None else (value - half, value + half)
    return Span(value=value, low=ends[0], high=ends[1], method="none of them is truly toxic" if value is None else "m")


def make_labels(said: str = "") -> HumanLabels:
    def row(run: str, against: str, raw: float, rogan: float | None, powered: float) -> CorrectedRate:
        return CorrectedRate(
            suite="identity-prompts" + said, scorer="embedded" + said, smoke=True, run=run, against=against,
            raw=span(raw), rogan_gladen=span(rogan), prediction_powered=span(powered),
            sensitivity=None if against else 0.8, specificity=None if against else 0.9, level=0.95, labelled=120,
            clusters=40, missing=2,
        )  # fmt: skip

    return HumanLabels(
        sample=DIGEST, raters=("Ada" + said, "Ben"), pairs=130, labelled=120, answers=240, toxic=30, not_toxic=190,
        unreadable=4, unsure=3, disputed=5, unlabelled=8, settled=6, both=220, agreement=span(0.93), kappa=span(0.71),
        level=0.95, notes=("other" + said + ": not in the sample.",),
        rows=(
            row("base", "", 0.18, 0.1, 0.09), row("tuned", "", 0.2, None, 0.21),
            row("tuned", "base", 0.02, None, 0.12),
        ),
    )  # fmt: skip


def test_a_report_sets_raw_rates_beside_corrected_ones(build: Callable[..., Comparison]) -> None:
    calm = build(("stereotyped",))
    assert 'id="labels"' not in html.render(calm)
    page = html.render(calm.model_copy(update={"labels": make_labels()}))
    part = page[page.index('<section id="labels"') :]
    part = re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", part[: part.index("</section>")]))
    for words in ("In 2 of 3 rows", "18.0 %", "9.0 %", "minus base", "93.0 %", "0.710", "8 answers count half",
                  "8 answers carry no label: 120 of 130", "none of them is truly toxic", "+12.0 pp"):  # fmt: skip
        assert words in part.replace("\u00a0", " "), words
    assert 'href="#labels"' in page
    lines = corrected.lines(make_labels())
    assert len(lines) == 7 and lines[5].startswith("identity-prompts, tuned minus base: +12.0")
    assert corrected.lines(None) == []


def test_hostile_names_in_labels_do_not_act(build: Callable[..., Comparison], hostile_text: str) -> None:
    typed = hostile_text.replace("\ud800", "")
    calm = build(("stereotyped",))
    page = html.render(calm.model_copy(update={"labels": make_labels(typed)}))
    assert page.count("<script") == html.render(calm).count("<script")
    assert "<img" not in page and "\u202e" not in page and "\x1b" not in page
