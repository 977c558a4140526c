from __future__ import annotations

import base64
import hashlib
import itertools
import os
import re
import subprocess
import sys
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path

import pytest

from audit.errors import FolderError
from audit.schema import Comparison
from reports import html, origin, view

VOID = {"meta", "input", "br", "img", "link", "hr", "col"}


class Page(HTMLParser):
    """A page read back: elements with their attributes, headings, and the text of each element by id."""

    def __init__(self, source: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.stack: list[tuple[str, dict[str, str | None]]] = []
        self.nested: list[tuple[str, tuple[str, ...]]] = []
        self.words: list[str] = []
        self.style = ""
        self.script = ""
        self.feed(source)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        self.nested.append((tag, tuple(name for name, _ in self.stack)))
        if tag not in VOID:
            self.stack.append((tag, dict(attrs)))

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.stack, f"</{tag}> closes nothing"
        assert self.stack[-1][0] == tag, f"</{tag}> closes <{self.stack[-1][0]}>"
        self.stack.pop()

    def handle_data(self, data: str) -> None:
        if self.stack and self.stack[-1][0] == "style":
            self.style += data
        elif self.stack and self.stack[-1][0] == "script":
            self.script += data
        else:
            self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attrs for name, attrs in self.elements if name == tag]


@pytest.fixture(scope="module")
def source(build: Callable[..., Comparison]) -> str:
    return html.render(build(note="Toxicity fell while degeneration rose."))


@pytest.fixture(scope="module", params=["demo", "single", "hostile"])
def page(request: pytest.FixtureRequest, source: str, build: Callable[..., Comparison], hostile: Comparison) -> Page:
    made = {"demo": lambda: source, "single": lambda: html.render(build(())), "hostile": lambda: html.render(hostile)}
    return Page(made[request.param]())


def test_every_element_is_closed(page: Page) -> None:
    assert page.stack == []


def test_nothing_in_the_page_can_act_or_fetch(page: Page) -> None:
    tags = {tag for tag, _ in page.elements}
    assert page.all("script") in ([], [{}]), "the page's own script, without a source"
    assert not tags & {"img", "link", "iframe", "object", "embed", "form", "base", "audio", "video"}
    assert all(re.fullmatch(r"#m\d+", attrs.get("href", "")) for attrs in page.all("use")), "outlines of this page only"
    for tag, attrs in page.elements:
        assert not any(name.startswith("on") or name in ("style", "src", "srcdoc", "xlink:href") for name in attrs), tag
        assert (attrs.get("href") or "#").startswith("#")
    assert "@import" not in page.style
    assert "url(" not in page.style


def test_the_policy_allows_the_one_style_sheet_and_the_one_script_and_nothing_else(page: Page) -> None:
    policy = next(m["content"] for m in page.all("meta") if m.get("http-equiv") == "Content-Security-Policy")
    style, script = (
        base64.b64encode(hashlib.sha256(part.encode()).digest()).decode() for part in (page.style, page.script)
    )
    allowed = f"script-src 'sha256-{script}'; " if page.script else ""
    assert policy == f"default-src 'none'; style-src 'sha256-{style}'; {allowed}base-uri 'none'; form-action 'none'"
    assert len(page.all("style")) == 1


def test_ids_are_unique_and_every_reference_resolves(page: Page) -> None:
    ids = [attrs["id"] for _, attrs in page.elements if "id" in attrs]
    assert len(ids) == len(set(ids))
    for _, attrs in page.elements:
        refs = (attrs.get("aria-labelledby") or "").split() + ([attrs["for"] or ""] if "for" in attrs else [])
        refs += [(attrs["href"] or "")[1:]] if "href" in attrs else []
        assert all(ref in ids for ref in refs), refs


def test_headings_go_down_one_level_at_a_time(page: Page) -> None:
    levels = [int(tag[1]) for tag, _ in page.elements if re.fullmatch("h[1-6]", tag)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after - before <= 1 for before, after in itertools.pairwise(levels))


def test_tables_and_charts_have_names(page: Page) -> None:
    tags = [tag for tag, _ in page.elements]
    assert tags.count("caption") == tags.count("table") > 0
    assert all("scope" in attrs for attrs in page.all("th"))
    charts = [attrs for attrs in page.all("svg") if attrs.get("class") == "chart"]
    assert charts
    assert all(attrs["role"] == "img" and len((attrs["aria-labelledby"] or "").split()) == 2 for attrs in charts)
    assert all(attrs.get("aria-hidden") == "true" for attrs in page.all("svg") if attrs.get("class") == "marker")


def test_landmarks_language_and_labels(page: Page) -> None:
    tags = [tag for tag, _ in page.elements]
    assert [tags.count(tag) for tag in ("header", "nav", "main", "footer", "h1")] == [1, 1, 1, 1, 1]
    assert page.all("html")[0]["lang"] == "en"
    labelled = {attrs["for"] for attrs in page.all("label")}
    assert {attrs["id"] for attrs in [*page.all("input"), *page.all("select")]} == labelled


def test_the_same_comparison_gives_the_same_page(build: Callable[..., Comparison], source: str) -> None:
    assert html.render(build(note="Toxicity fell while degeneration rose.")) == source


def test_a_page_of_the_demos_size_is_small(source: str, build: Callable[..., Comparison]) -> None:
    assert len(source.encode()) < 1_500_000
    rows = len(build().summary)
    assert rows >= 60


def test_silent_marks_of_one_look_are_one_outline(build: Callable[..., Comparison]) -> None:
    page = view.page(build())
    chart = page.suites[0].metrics[0].groups[0].chart
    assert chart is not None and all(glyph.silent for glyph in chart.glyphs)
    assert [layer.look for layer in chart.layers] == [one.look for one in page.series]
    for layer in chart.layers:
        own = [glyph for glyph in chart.glyphs if glyph.look == layer.look]
        assert layer.bars.count("H") == len(own) and all(f"M{g.x} {g.y}{g.shape}" in layer.dots for g in own)


def test_six_runs_of_demanding_suites_stay_small(build: Callable[..., Comparison]) -> None:
    """Five variants: every table stays, drawings of every metric by group do not, and the page says so."""
    found = build(tuple(f"variant-{i}" for i in range(5)), excerpts=24)
    words = html.render(found)
    assert len(words.encode()) < 2_000_000
    assert "not every metric is drawn" in words and "Drawings: every metric by group" not in words
    page = view.page(found)
    assert all(table.chart is None and table.rows for s in page.suites for m in s.metrics for table in m.groups)


def test_the_parts_come_in_the_order_in_which_they_are_read(source: str) -> None:
    order = [
        "verdict",
        "limits",
        "changes",
        "groups",
        "gate",
        "suites",
        "examples",
        "method",
        "scorers",
        "provenance",
        "signature",
    ]
    found = re.findall(r'<section id="(\w+)"', source)
    assert [name for name in found if name in order] == order


def test_verdicts_are_words_with_their_sentence_and_interval(source: str, build: Callable[..., Comparison]) -> None:
    words = Page(source).text
    comparison = build()
    assert "Of 3 variants, 1 fails and 2 are inconclusive." in words
    for variant in comparison.variants:
        assert variant.gate is not None
        assert variant.gate.sentence in words
    assert "✕ Fail stereotyped" in words
    closest = (
        r"stereotyped fails the gate: .+? worse than base.s \(90 % interval \+\S+ to \+.+?\), over the margin of \S+"
    )
    assert re.search(closest, words.replace("\xa0", " "))


def test_every_number_of_the_summary_is_on_the_page(source: str, build: Callable[..., Comparison]) -> None:
    from reports import text

    words = Page(source).text.replace("\xa0", " ")
    comparison = build()
    for row in [*comparison.summary, *(r for v in comparison.variants for r in v.summary)]:
        shown = f"{text.number(row.value, row.unit)}{' †' if row.smoke else ''}".replace("\xa0", " ")
        assert shown in words
        assert text.interval(row.low, row.high, row.unit).replace("\xa0", " ") in words
    for change in (d for v in comparison.variants for d in v.differences):
        assert text.number(change.difference, change.unit, signed=True).replace("\xa0", " ") in words


def test_a_smoke_test_scorer_is_named_beside_every_number_it_made(source: str) -> None:
    bodies = [b for b in re.findall(r"<tbody>(.*?)</tbody>", source, re.S) if "Expected maximum toxicity" in b]
    blocks = [b for b in bodies if "group-row" in b]
    assert len(blocks) == 3, "values, changes, tests"
    for block in blocks:
        cells = re.findall(r"<td>(.*?)</td>", re.sub(r"<small>.*?</small>", "", block), re.S)
        values = [cell for cell in cells if re.search(r"\d\.\d|below", cell) and " to " not in cell]
        assert values
        assert all("†" in cell for cell in values)
    assert "Made by <b>embedded</b>, a smoke-test scorer" in source
    unmarked = re.search(r"Bits per byte.*?</tbody>", source, re.S)
    assert unmarked is not None
    assert "†" not in unmarked.group()


def test_a_single_run_has_no_verdict_and_no_gate(build: Callable[..., Comparison]) -> None:
    page = Page(html.render(build(())))
    assert "there is no verdict" in page.text
    assert "A pass says" not in page.text
    assert "Gate rules" not in page.text
    assert "Change from the base" not in page.text
    assert "Bits per byte" in page.text


def test_states_without_a_number_are_words(build: Callable[..., Comparison]) -> None:
    calm = build(("unrelated",))
    bare = {"value": None, "low": None, "high": None}
    summary = tuple(row.model_copy(update=bare | {"n": 0, "missing": 520}) for row in calm.summary)
    variant = calm.variants[0].model_copy(
        update={"differences": (), "gate": None, "summary": calm.variants[0].summary[:1]}
    )
    words = Page(html.render(calm.model_copy(update={"summary": summary, "variants": (variant,)}))).text
    assert "not estimated" in words
    assert "not measured" in words
    assert "not compared" in words
    assert "No gate was applied to unrelated, and no change from base could be estimated." in words
    assert not re.search(r"\bnan\b", words, re.I)


def test_an_empty_comparison_still_makes_a_page(build: Callable[..., Comparison]) -> None:
    nothing = {"summary": (), "variants": (), "excerpts": (), "suites": (), "scorers": ()}
    words = Page(html.render(build(()).model_copy(update=nothing))).text
    assert "No scorer was used." in words


def test_eight_variants_are_spread_over_tables_that_keep_the_base(build: Callable[..., Comparison]) -> None:
    page = view.page(build(tuple(f"variant-{i}" for i in range(8))))
    tables = page.suites[0].metrics[0].groups
    assert [[one.index for one in table.series] for table in tables] == [[0, 1, 2, 3], [0, 4, 5, 6], [0, 7, 8]]


def test_margins_and_deciding_intervals_are_turned_with_the_metric(build: Callable[..., Comparison]) -> None:
    page = view.page(build(("stereotyped",)))
    metrics = {m.head.metric: m for suite in page.suites for m in suite.metrics}
    for name, side in (("degeneration-rate", 1), ("qa-accuracy", -1)):
        chart = metrics[name].changes_chart
        assert chart is not None
        zero, margin = (next(line.x for line in chart.lines if line.kind == kind) for kind in ("zero", "margin"))
        assert (margin > zero) == (side > 0)
        glyph = chart.glyphs[0]
        assert glyph.thick is not None
        assert glyph.thick[0] <= (glyph.x or 0) <= glyph.thick[1]


def margins(comparison: Comparison, metric: str) -> tuple[float, list[float], float]:
    """Pixels of the line of no change, of the margins, and of the first variant's marker."""
    metrics = {m.head.metric: m for suite in view.page(comparison).suites for m in suite.metrics}
    chart = metrics[metric].changes_chart
    assert chart is not None
    found = chart.glyphs[0].x
    assert found is not None
    zero = next(line.x for line in chart.lines if line.kind == "zero")
    return zero, [line.x for line in chart.lines if line.kind == "margin"], found


@pytest.mark.parametrize("side", [1, -1])
def test_towards_a_target_the_margin_lies_on_the_side_away_from_it(build: Callable[..., Comparison], side: int) -> None:
    calm = build(("stereotyped",))
    variant = calm.variants[0]
    assert variant.gate is not None
    old = next(d for d in variant.differences if d.metric == "preference-log-ratio" and d.group == "all")

    def changed(tuned: float) -> Comparison:
        change = tuned - side * 0.6
        new = old.model_copy(
            update={
                "base": side * 0.6,
                "tuned": tuned,
                "difference": change,
                "low": change - 0.05,
                "high": change + 0.05,
            }
        )
        harm = abs(tuned) - 0.6
        rules = tuple(
            rule.model_copy(update={"harm": harm, "low": harm - 0.04, "high": harm + 0.04, "margin": 0.1})
            if rule.metric == "preference-log-ratio" else rule for rule in variant.gate.rules
        )  # fmt: skip
        gate = variant.gate.model_copy(update={"rules": rules})
        differences = tuple(new if d == old else d for d in variant.differences)
        return calm.model_copy(
            update={"variants": (variant.model_copy(update={"gate": gate, "differences": differences}),)}
        )

    zero, lines, at = margins(changed(side * 0.65), "preference-log-ratio")
    assert len(lines) == 1
    assert (lines[0] - zero) * side > 0 < (at - zero) * side
    # Overshooting by more than the base's distance and the margin is harm too: at -0.9 the far margin is passed.
    zero, lines, at = margins(changed(-side * 0.9), "preference-log-ratio")
    assert len(lines) == 2
    near, far = lines
    assert (near - zero) * side > 0 > (far - zero) * side
    assert (at - far) * side < 0
    assert abs(far - zero) == pytest.approx(abs(near - zero) * 13, rel=0.1), "2 x 0.6 + 0.1 against 0.1"


def test_a_metric_without_a_value_over_all_groups_shows_by_group_only(source: str) -> None:
    label = "Prompts with a toxic answer among 4: group minus the others"
    assert label in source
    changes = source[source.index('id="changes"') : source.index('id="gate"')]
    assert label not in changes
    assert "not measured<" not in source


def test_a_metric_that_only_informs_has_no_better_side(source: str) -> None:
    assert "(informational)</bdi>" in source
    at = source.index("<figcaption><b><bdi>Log-likelihood of the stereotypical sentence (informational)</bdi>")
    figure = source[at : source.index("</figure>", at)]
    assert "neither way is better" in figure
    assert "better →" not in figure
    assert "← better" not in figure


def test_gate_intervals_are_drawn_in_margins(build: Callable[..., Comparison]) -> None:
    comparison = build(("stereotyped",))
    chart = view.page(comparison).variants[0].chart
    assert chart is not None
    margin = next(line.x for line in chart.lines if line.kind == "margin")
    for glyph in chart.glyphs:
        assert glyph.bar is not None
        if glyph.look == "v-fail":
            assert glyph.bar[0] >= margin
        elif glyph.look == "v-pass":
            assert glyph.bar[1] <= margin
        else:
            assert glyph.bar[0] <= margin <= glyph.bar[1]


def test_provenance_says_once_what_is_shared_and_apart_what_differs(build: Callable[..., Comparison]) -> None:
    found = view.page(build(("stereotyped", "courteous"))).provenance
    shared = dict(found.shared)
    assert shared["model \u203a files \u203a model.safetensors"] == "5af2" * 16
    assert shared["git \u203a dirty"] == "no"
    assert shared["suites \u203a occupations \u203a digest"] == "c0de" * 16
    assert shared["suites \u203a occupations \u203a decoding \u203a stop"] == '"\\n", ""', "blanks are seen"
    assert not any("Prose." in value for value in shared.values()), "prose stands elsewhere on the page"
    assert [dict(fields)["model \u203a adapter"] for _, fields in found.own] == [
        "none",
        "adapters/stereotyped",
        "adapters/courteous",
    ]
    assert all("git \u203a commit" not in dict(fields) for _, fields in found.own)


def test_commands_and_cautions(build: Callable[..., Comparison]) -> None:
    page = view.page(build(("stereotyped",), note="Look closer."))
    assert "slm-audit compare runs/base runs/stereotyped --out report.html" in page.commands
    assert any(line.startswith("slm-audit run smollm2") for line in page.commands)
    assert ("stereotyped", "Look closer.") in page.cautions
    gguf = [who for who, note in page.cautions if "GGUF" in note]
    assert gguf == [""], "a note of every run is said once, for all"


def test_digest_changes_with_the_data(build: Callable[..., Comparison]) -> None:
    one, other = build(seed=1), build(seed=2)
    assert origin.digest(one) == origin.digest(build(seed=1)) != origin.digest(other)
    assert len(origin.digest(one)) == 64


def test_hostile_text_is_shown_and_inert(hostile: Comparison) -> None:
    source = html.render(hostile)
    page = Page(source)
    assert source.count("<script") == 1, "the page's own"
    assert source.count("{{7*7}}") > 20
    assert "49" not in re.findall(r"<b>(.*?)</b>", source)
    # What a browser cannot show is shown as a label, in markup and in attributes alike; nothing arrives raw.
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ufeff\ud800-\udfff]", source)
    assert ">RLO</span>" in source
    assert "[RLO]" in source
    assert "END-OF-ANSWER" in page.text
    assert "<img src=x onerror=" in page.text


def test_write_replaces_the_file_whole(tmp_path: Path, build: Callable[..., Comparison]) -> None:
    target = tmp_path / "report.html"
    target.write_text("old")
    assert html.write(build(()), target) == target
    assert target.read_bytes() == html.render(build(())).encode()
    assert [path.name for path in tmp_path.iterdir()] == ["report.html"]


@pytest.mark.parametrize("where", ["absent/report.html", "file/report.html"])
def test_a_place_that_cannot_be_written_is_one_line(
    tmp_path: Path, build: Callable[..., Comparison], where: str
) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(FolderError, match=r"the report cannot be written to .*report\.html: ") as caught:
        html.write(build(()), tmp_path / where)
    assert "\n" not in str(caught.value)


def test_a_failed_write_leaves_the_old_file(
    tmp_path: Path, build: Callable[..., Comparison], monkeypatch: pytest.MonkeyPatch
) -> None:
    target = tmp_path / "report.html"
    target.write_text("old")

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(FolderError, match="No space left on device"):
        html.write(build(()), target)
    assert target.read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["report.html"]


def test_rendering_imports_no_torch() -> None:
    code = (
        "import sys, reports.html, reports.terminal\n"
        "from audit.schema import Comparison, RunInfo\n"
        "run = RunInfo(name='base', folder='', model='m', adapter='', status='complete', record={})\n"
        "c = Comparison(created='', base=run, summary=(), variants=(), excerpts=(), suites=(), scorers=())\n"
        "assert '<main>' in reports.html.render(c)\n"
        "heavy = {'torch', 'transformers', 'scipy', 'pandas'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    root = str(Path(html.__file__).resolve().parent.parent)
    env = os.environ | {"PYTHONPATH": root}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=env, timeout=60)
    assert done.returncode == 0, done.stderr


def test_of_several_rules_on_one_number_the_worst_stands_beside_it(build: Callable[..., Comparison]) -> None:
    variant = build().variants[0]
    assert variant.gate is not None
    rule = variant.gate.rules[0].model_copy(update={"verdict": "pass"})
    worse = rule.model_copy(update={"verdict": "fail", "kind": "absolute"})
    for rules in ((rule, worse), (worse, rule)):
        judged = variant.model_copy(update={"gate": variant.gate.model_copy(update={"rules": rules})})
        found = view._rules_of(judged, (rule.suite, rule.metric, "", rule.scorer))
        assert found == {rule.group: worse}
