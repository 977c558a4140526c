"""The demo: item counts never under what the rules need, and three variants told apart as they were made to be."""

from __future__ import annotations

import hashlib
import re
from collections import defaultdict
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page

import audit
from audit.demonstration import show
from audit.demonstration.speed import FLOORS
from audit.gate import DEFAULT_RULES
from audit.plan import make_plan
from audit.policy import read_policy
from audit.scorers import get
from probes import registry
from tests.browsing import open_everything, overflow, serious, watch

POLICY_FILE = Path(show.__file__).parent / show.POLICY


@pytest.mark.parametrize("name", registry.names()[:5])
def test_the_smallest_demo_has_thirty_templates_for_every_rule(name):
    suite = registry.get(name)
    items = registry.select(suite, FLOORS[name])
    metrics = {rule.metric for rule in DEFAULT_RULES if rule.suite == name}
    needed: dict[str, set[str]] = defaultdict(set)
    for item in items:
        if "degeneration-rate" in metrics and not item.choices:
            needed["degeneration-rate"].add(item.template)
        if metrics & {"preference-log-ratio", "bits-per-byte"} and item.choices:
            needed["likelihood"].add(item.template)
        if "qa-accuracy-disambiguated" in metrics:
            needed[item.fields["condition"]].add(item.template)
    assert bool(needed) == bool(metrics)
    assert all(len(templates) >= 30 for templates in needed.values()), {k: len(v) for k, v in needed.items()}


def test_no_rule_rests_on_a_smoke_test_scorer():
    from audit.metrics import registry as metrics

    read = {metrics.get(rule.metric).scorer for rule in DEFAULT_RULES} - {""}
    assert read and not any(get(name).smoke for name in read)


def test_the_policy_takes_its_margins_from_the_built_in_one():
    """The demo's own rule is held to the margin of the rule it divides; none was fitted to what the demo shows."""
    rules = read_policy(POLICY_FILE).rules
    built_in, own = rules[: len(DEFAULT_RULES)], rules[len(DEFAULT_RULES) :]
    assert [replace(rule, line=0) for rule in built_in] == [replace(rule, line=0) for rule in DEFAULT_RULES]
    assert [(rule.group, rule.metric) for rule in own] == [("domain=*", "qa-bias-log-ratio")]
    whole = next(rule for rule in built_in if rule.metric == "qa-bias-log-ratio")
    assert (own[0].suite, own[0].margin, own[0].alpha) == (whole.suite, whole.margin, whole.alpha)
    assert "few" in own[0].why, "a sample that is small on purpose says so"


def test_a_run_of_the_demo_records_the_policy_of_its_folder(tmp_path: Path):
    policy = show._policy(tmp_path / "demo")
    assert (tmp_path / "demo" / "gate.toml").read_bytes() == POLICY_FILE.read_bytes()
    plan = make_plan(policy.fill({"model": "smollm2", "profile": "quick", "samples": 1}))
    assert plan.policy_sha256 == policy.sha256 == hashlib.sha256(POLICY_FILE.read_bytes()).hexdigest()
    assert set(plan.suites) == set(registry.names()[:5]), "every suite of the demo is required"
    (tmp_path / "demo" / "gate.toml").write_text(policy.text + "# changed\n")
    assert show._policy(tmp_path / "demo").sha256 != policy.sha256, "what lies in the folder judges"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> show.Demo:
    """The demo on the floors of its item counts: what the slowest machine sees."""
    return audit.demo(tmp_path_factory.mktemp("made") / "demo", seconds_per_model=1.0)


@pytest.mark.slow
def test_the_demo_tells_its_variants_apart(made: show.Demo):
    found = {variant.run.name: variant for variant in made.comparison.variants}
    verdicts = {name: variant.gate.verdict for name, variant in found.items()}
    assert verdicts == {"stereotyping": "fail", "courteous": "inconclusive", "unrelated": "pass"}
    open_rules = [rule for rule in found["courteous"].gate.rules if rule.verdict == "inconclusive"]
    assert {rule.group.partition("=")[0] for rule in open_rules} == {"domain"}
    assert all("would settle it" in rule.reason for rule in open_rules if rule.needed)
    assert any(rule.needed for rule in open_rules), "the n that would settle it is printed"
    assert all(use.registered and use.attempt == 1 for use in made.comparison.policy.uses)
    told = {
        row.suite
        for row in found["stereotyping"].differences
        if row.group == "all" and not row.smoke and row.low is not None and (row.low > 0 or row.high < 0)
    }
    assert {"occupations", "plain-text"} <= told
    unrelated = {(row.suite, row.metric): row for row in found["unrelated"].differences if row.group == "all"}
    assert abs(unrelated["occupations", "preference-log-ratio"].difference) < 0.05
    for name in ("base", *verdicts):
        assert audit.verify(made.folder / name) == []
    # Run again: everything is there, nothing is computed anew, and the numbers are the same.
    again = audit.demo(made.folder)
    assert [v.differences for v in again.comparison.variants] == [v.differences for v in made.comparison.variants]


@pytest.mark.slow
@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (375, "dark")])
def test_the_page_that_the_demo_wrote_keeps_quiet_and_works(chromium: Browser, made: show.Demo, width, scheme):
    assert made.report.stat().st_size < 3_000_000
    context = chromium.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme)
    seen = watch(context, made.report.as_uri())
    seen.quiet()
    _filter_and_uncover(seen.page)
    open_everything(seen.page)
    assert all(seen.page.locator(".veiled").evaluate_all("all => all.map(e => e.checkVisibility())"))
    seen.quiet()
    assert seen.requests == [seen.url] and seen.url.startswith("file://")
    context.close()


def _filter_and_uncover(page: Page) -> None:
    """Pick a suite, then uncover one of the examples that are left."""
    every = page.locator(".example").count()
    page.locator("#by-suite").select_option(index=1)
    shown = page.locator(".example:visible")
    left = shown.count()
    assert 0 < left < every
    assert page.locator("#shown").inner_text() == f"{left} of {every} examples shown"
    assert not any(box.is_visible() for box in page.locator(".veiled").all()), "covered until asked for"
    shown.first.get_by_label("Show prompt and answers").check()
    assert shown.first.locator(".veiled").is_visible()
    assert shown.first.locator(".answer").count() == 4, "the base and three variants"
    page.get_by_role("button", name="Clear filters").click()
    assert page.locator(".example:visible").count() == every


@pytest.mark.slow
@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (1280, "dark"), (375, "light")])
def test_axe_finds_nothing_serious_on_the_demos_page(chromium: Browser, made: show.Demo, width, scheme):
    context = chromium.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme, bypass_csp=True)
    page = context.new_page()
    page.goto(made.report.as_uri())
    assert serious(page) == set()
    context.close()


@pytest.mark.slow
def test_without_scripts_the_demos_page_lacks_only_its_filters(chromium: Browser, made: show.Demo):
    texts = []
    for scripts in (True, False):
        context = chromium.new_context(java_script_enabled=scripts)
        page = watch(context, made.report.as_uri()).page
        assert page.locator("#filters").is_visible() is scripts
        texts.append(page.locator("main > section:not(#examples)").all_text_contents())
        texts[-1] += page.locator(".example").all_text_contents()
        page.get_by_label("Show all examples on this page").check()
        assert page.locator(".example .answer").first.is_visible()
        context.close()
    assert texts[0] == texts[1] and sum(map(len, texts[0])) > 50_000


@pytest.mark.slow
def test_the_demos_page_on_paper(chromium: Browser, made: show.Demo):
    """Verdict, changes, groups and signatures come first; what is folded stays in the file and the page says so."""
    context = chromium.new_context(viewport={"width": 703, "height": 1000})
    page = watch(context, made.report.as_uri()).page
    paper = page.pdf(prefer_css_page_size=True, print_background=True)
    assert paper.startswith(b"%PDF") and len(paper) > 100_000
    # A page's object; the tree that holds the pages is named in the plural.
    assert 10 < len(re.findall(rb"/Type\s*/Page\b", paper)) < 30
    page.emulate_media(media="print")
    assert overflow(page) == [], "703 pixels are the width of A4 between its margins"
    places = {
        name: page.locator(f"#{name}").evaluate("e => e.getBoundingClientRect().top")
        for name in ("verdict", "limits", "changes", "groups", "signature-paper", "every", "gate", "suites", "appendix")
    }
    assert list(places.values()) == sorted(places.values())
    assert page.locator(".signature:visible").count() == 1
    for words in ("are not printed: they stand in the HTML file", "all answers in the run folders"):
        assert page.get_by_text(words).first.is_visible()
    assert page.locator("pre.policy").is_visible() and made.comparison.policy.sha256 in page.inner_text("#appendix")
    context.close()


@pytest.mark.slow
def test_answers_of_the_demo_are_labelled_on_its_page(
    chromium: Browser, made: show.Demo, cli: Callable, tmp_path: Path
):
    out = tmp_path / "labels"
    said = cli("label-sample", made.folder / "base", made.folder / "stereotyping", "--n", 40, "--out", out)
    assert said.code == 0, said.err
    context = chromium.new_context(viewport={"width": 375, "height": 800})
    seen = watch(context, (out / "label.html").as_uri())
    page = seen.page
    page.get_by_label("Your name or initials").fill("Ada")
    page.keyboard.press("Enter")
    for key in "12":
        page.keyboard.press("Space")
        page.keyboard.press(key)
    kept = page.locator("#count").inner_text()
    assert re.match(r"2 of \d+ labelled; this is number 3", kept)
    seen.quiet()
    page.reload()
    page.get_by_role("button", name="Start or go on").click()
    assert page.locator("#count").inner_text() == kept, "what was labelled is kept over a reload"
    context.close()
