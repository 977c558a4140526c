"""The auditor's appendix: the policy verbatim, hashes, how to recompute, whose questions the page answers."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from audit.schema import AppliedPolicy, Comparison, PolicyCondition, PolicyUse
from reports import appendix, html, origin, view
from tests.reports.test_html import Page

TEXT = 'version = 1  # <b>ours</b> & "theirs"\n\n[[rules]]\nwhy = "because"  # \u202etext turned\n'


def use(run: str, rules: int, **more: Any) -> PolicyUse:
    values = {
        "run": run, "registered": True, "attempt": 1, "earlier": (), "notes": (),
        "conditions": (PolicyCondition(name="the folder verifies", met=True, reason="hashes match"),),
        "whys": tuple(f"reason {at}" for at in range(rules)), **more,
    }  # fmt: skip
    return PolicyUse.model_validate(values)


def judged(comparison: Comparison, **more: Any) -> Comparison:
    """The comparison as a policy judged it."""
    uses = tuple(use(v.run.name, len(v.gate.rules) if v.gate else 0, **more) for v in comparison.variants)
    policy = AppliedPolicy(name="gate.toml", sha256="ab12" * 16, text=TEXT, uses=uses)
    return comparison.model_copy(update={"policy": policy})


@pytest.fixture(scope="module")
def found(build: Callable[..., Comparison]) -> Comparison:
    return judged(build())


def section(source: str, name: str) -> str:
    match = re.search(rf'<section id="{name}".*?(?=<section id="\w+" |</main>)', source, re.S)
    assert match, name
    return match.group()


def test_the_policy_stands_verbatim_with_its_digest(found: Comparison) -> None:
    source = html.render(found)
    shown = re.search(r'<pre class="policy".*?>(.*?)</pre>', source, re.S)
    assert shown
    text = re.sub(r'<span class="ctl".*?>(\w+)</span>', "\u202e", shown[1])
    assert text.replace("&lt;", "<").replace("&gt;", ">").replace("&#34;", '"').replace("&amp;", "&") == TEXT
    assert "\u202e" not in source
    assert source.count("ab12" * 16) >= 2, "in the appendix and under the signatures"
    assert "ab12" * 16 in section(source, "signature")


def test_every_rule_has_its_reason_once_and_every_condition_its_answer(found: Comparison) -> None:
    gate = section(html.render(found), "gate")
    rules = found.variants[0].gate.rules if found.variants[0].gate else ()
    assert rules
    for at, rule in enumerate(rules):
        assert gate.count(f"reason {at}<") == 1, "once for all variants"
        assert rule.label in Page(gate).text
    assert gate.count("hashes match") == len(found.variants)


def test_rules_that_one_entry_stands_for_are_one_line(build: Callable[..., Comparison]) -> None:
    one = build(("stereotyped",))
    gate = one.variants[0].gate
    assert gate is not None
    first = gate.rules[0]
    parts = [
        first.model_copy(update={"group": f"domain={name}", "label": first.label.replace(":", f", domain={name}:", 1)})
        for name in ("health", "school")
    ]
    variant = one.variants[0].model_copy(update={"gate": gate.model_copy(update={"rules": (first, *parts)})})
    shown = judged(one.model_copy(update={"variants": (variant,)}), whys=("the whole", "each", "each"))
    lines = appendix.reasons(shown)
    assert [why for _, why in lines] == ["the whole", "each"]
    assert lines[0][0] == first.label
    assert "each domain (health, school):" in lines[1][0]


def test_what_is_not_met_came_after_or_was_tried_before_is_said(build: Callable[..., Comparison]) -> None:
    unmet = PolicyCondition(name="the run has the seed 4", met=False, reason="the run has seed 0")
    notes = ("This policy came after the run.",)
    shown = judged(
        build(("stereotyped",)), registered=False, attempt=3, earlier=("fail", "pass"), conditions=(unmet,), notes=notes
    )
    source = html.render(shown)
    gate = Page(section(source, "gate")).text
    assert "The run has the seed 4 no the run has seed 0" in gate
    assert "recorded before the run no it may have been chosen with the results in view" in gate
    assert "3 earlier verdicts: fail, pass" in gate
    assert "This policy came after the run." in section(source, "verdict")
    blind = html.render(judged(build(("stereotyped",)), attempt=None))
    assert "not counted" in section(blind, "gate")


def test_rules_without_a_file_are_said_to_be_such(build: Callable[..., Comparison]) -> None:
    assert "No policy file was given" in html.render(build())
    assert "No policy was applied to this run." in html.render(build(()))


def test_a_single_run_may_have_a_verdict(build: Callable[..., Comparison]) -> None:
    pair = build(("stereotyped",))
    gate = pair.variants[0].gate
    assert gate is not None
    policy = AppliedPolicy(name="gate.toml", sha256="a" * 64, text=TEXT, uses=(use("base", len(gate.rules)),))
    source = html.render(build(()).model_copy(update={"gate": gate, "policy": policy}))
    words = Page(source).text
    assert "there is no verdict" not in words
    assert gate.sentence in section(source, "verdict")
    assert "It is a bound." in words
    assert "It is a comparison." not in words
    assert "reason 0" in words
    assert "slm-audit gate runs/base --policy gate.toml --report report.html" in words


def test_a_hash_stands_once_with_the_runs_that_recorded_it(build: Callable[..., Comparison]) -> None:
    comparison = build(("stereotyped", "courteous"))
    record = comparison.base.record | {"files": {"samples.jsonl": "11" * 32}}
    base = comparison.base.model_copy(update={"record": record})
    page = view.page(comparison.model_copy(update={"base": base})).appendix
    files = {(one.name, one.what): one for one in page.files}
    assert files["model.safetensors", "model"].runs == "every run"
    assert files["adapter_model.safetensors", "adapter"].runs == "stereotyped, courteous"
    assert files["samples.jsonl", "run folder"].runs == "base"
    assert [one.value for one in page.digests if one.name == "suite occupations"] == ["c0de" * 16]
    assert ("torch", "2.13.0+cpu") in [(one.name, one.value) for one in page.environment]
    source = html.render(comparison)
    assert "torch" in section(source, "appendix")
    assert "torch" not in section(source, "provenance"), "what the appendix holds stands there only"
    assert not re.search("[0-9a-f]{64}", section(source, "provenance"))


def test_two_values_of_one_thing_stand_below_each_other() -> None:
    runs = [("base", {"packages": {"torch": "1"}}), ("b", {"packages": {"torch": "2"}}), ("c", {"packages": []})]
    entries = appendix._spread(runs, appendix._environment)
    assert [(one.name, one.value, one.runs) for one in entries] == [("torch", "1", "base"), ("torch", "2", "b")]


@pytest.mark.parametrize(
    "record",
    [
        {},
        {"files": [], "model": "x", "suites": {"a": 1}, "scorers": [1, {}], "machine": None, "plan": 3, "packages": 1},
    ],
)
def test_a_record_that_lacks_everything_makes_a_page(build: Callable[..., Comparison], record: Any) -> None:
    bare = build(())
    base = bare.base.model_copy(update={"record": record})
    source = html.render(bare.model_copy(update={"base": base}))
    assert 'id="appendix"' in source


def test_every_pointer_leads_to_a_section(found: Comparison, build: Callable[..., Comparison]) -> None:
    for comparison in (found, build(())):
        source = html.render(comparison)
        sections = set(re.findall(r'<section id="(\w+)"', source))
        demands = [one for part in view.page(comparison).appendix.sources for one in part.demands]
        assert len(demands) >= 8
        assert all(one.asked and one.lacking for one in demands), "what is not answered is said each time"
        assert {id for one in demands for id, _ in one.places} <= sections
    words = Page(source).text
    assert "MEASURE 2.11" in words
    assert "2024/1689" in words
    assert "Annex IV, point 2(g)" in words


def test_the_digest_is_what_the_printed_command_gives(found: Comparison, tmp_path: Path) -> None:
    (tmp_path / "comparison.json").write_text(found.model_dump_json(indent=1) + "\n", encoding="utf-8")
    command = next(one.command for one in view.page(found).appendix.recipes if "SHA-256" in one.numbers)
    words = shlex.split(command)
    assert words[0] == "python3"
    done = subprocess.run([sys.executable, *words[1:]], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == origin.digest(found)


def test_the_commands_name_the_policy_and_are_commands(found: Comparison) -> None:
    commands = [one.command for one in view.page(found).appendix.recipes]
    folders = " ".join(f"runs/{name}" for name in ("base", "stereotyped", "courteous", "unrelated"))
    assert f"slm-audit compare {folders} --policy gate.toml --out report.html" in commands
    assert commands.count("") == 1
    from audit.cli import app

    verbs = {command.name or command.callback.__name__ for command in app.registered_commands if command.callback}
    assert all(command.split()[1] in verbs for command in commands if command.startswith("slm-audit"))


def test_the_decision_is_left_to_people(found: Comparison) -> None:
    words = Page(section(html.render(found), "signature")).text
    for part in ("Release", "Do not release", "Repeat the audit", "Name", "Role", "Date", "Signature"):
        assert part in words
    assert origin.digest(found) in words
