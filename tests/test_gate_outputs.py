"""What a gate writes for machines: well formed whatever stands in a name, small enough, by the published schema."""

from __future__ import annotations

import json
import re
import xml.etree.ElementTree as Xml
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

import audit
from audit.gate_verdict import Condition, GateReport, JudgedRun, Judgement, json_schema
from audit.schema import RuleResult, Verdict
from reports import gate

ROOT = Path(audit.__file__).parent.parent
HOSTILE = (
    "a|b `c` <script>alert(1)</script> [x](http://evil.example/y) @octocat\n::error::forged\r%0A\x00\x1b[31m\u202e]]>"
)


def result(verdict: Verdict = "pass", **changes: Any) -> RuleResult:
    words = {"pass": "Passed", "fail": "Failed", "inconclusive": "Inconclusive", "incomplete": "Incomplete"}
    values: dict[str, Any] = {
        "suite": "plain-text", "metric": "bits-per-byte", "group": "all", "label": "plain-text: bits per byte",
        "kind": "non-inferiority", "margin": 0.05, "alpha": 0.05, "verdict": verdict, "harm": 0.0125, "low": -0.01,
        "high": 0.04, "level": 0.9, "method": "t", "n": 60, "clusters": 60, "needed": None,
        "reason": f"{words[verdict]}: by 60 units.",
    }  # fmt: skip
    if verdict == "incomplete":
        values |= dict.fromkeys(("harm", "low", "high"))
    return RuleResult(**values | changes)


def run(**changes: Any) -> JudgedRun:
    values: dict[str, Any] = {
        "folder": "runs/tuned", "model": "m", "adapter": "", "checkpoint": "c" * 64, "run_digest": "d" * 64,
        "started": "2026-01-02T03:04:05+00:00", "status": "complete", "profile": "standard", "seed": 0,
    }  # fmt: skip
    return JudgedRun(**values | changes)


def report(*rules: RuleResult, **changes: Any) -> GateReport:
    judged = tuple(Judgement(why="because", line=7 + at, result=one) for at, one in enumerate(rules or (result(),)))
    values: dict[str, Any] = {
        "tool_version": "0.1.0", "created": "2026-01-02T03:04:06+00:00", "verdict": "pass", "sentence": "Passed: all.",
        "policy": "gate.toml", "policy_sha256": "e" * 64, "registered": True, "attempt": 1, "earlier": (),
        "variant": run(), "base": run(folder="runs/base"),
        "conditions": (Condition(name="the variant's folder verifies", met=True, reason="whole"),),
        "rules": judged, "notes": (),
    }  # fmt: skip
    return GateReport(**values | changes)


def hostile() -> GateReport:
    everything = [
        result(verdict, suite=HOSTILE, label=HOSTILE, reason=f"X: {HOSTILE}")
        for verdict in ("pass", "fail", "inconclusive", "incomplete")
    ]  # fmt: skip
    soiled = run(folder=HOSTILE, model=HOSTILE, adapter=HOSTILE)
    unmet = (Condition(name=HOSTILE, met=False, reason=HOSTILE),)
    return report(
        *everything, verdict="fail", sentence=HOSTILE, policy=HOSTILE, variant=soiled, base=soiled, notes=(HOSTILE,),
        conditions=unmet,
    )  # fmt: skip


def test_junit_has_a_test_case_a_rule_and_what_does_not_pass_is_no_success() -> None:
    found = report(
        result(), result("fail"), result("inconclusive"), result("incomplete"), verdict="fail", notes=("a caution",)
    )
    suite = Xml.fromstring(gate.as_junit(found)).find("testsuite")
    assert suite is not None
    assert {key: suite.get(key) for key in ("tests", "failures", "errors", "skipped")} == {
        "tests": "5", "failures": "1", "errors": "2", "skipped": "0"
    }  # fmt: skip
    cases = suite.findall("testcase")
    children = [[child.tag for child in case if child.tag != "properties"] for case in cases]
    assert children == [[], [], ["failure"], ["error"], ["error"]]
    assert [case[-1].get("type") for case in cases[2:]] == ["fail", "inconclusive", "incomplete"]
    properties = {one.get("name"): one.get("value") for one in suite.findall("properties/property")}
    assert properties["policy_sha256"] == "e" * 64
    assert properties["variant_run_digest"] == properties["base_run_digest"] == "d" * 64
    assert properties["policy_recorded_before_the_run"] == "yes"
    mine = {one.get("name"): one.get("value") for one in cases[1].findall("properties/property")}
    assert (mine["why"], mine["policy_line"], mine["high"], mine["margin"]) == ("because", "7", "0.04", "0.05")
    assert "a caution" in (suite.findtext("system-out") or "")


def test_an_unmet_condition_is_an_error_in_junit() -> None:
    found = report(verdict="incomplete", conditions=(Condition(name="a condition", met=False, reason="it is not so"),))
    case = Xml.fromstring(gate.as_junit(found)).findall(".//testcase")[0]
    error = case.find("error")
    assert (case.get("classname"), case.get("name")) == ("slm-audit.condition", "a condition")
    assert error is not None and error.get("message") == "it is not so"


def test_hostile_names_are_words_everywhere() -> None:
    found = hostile()
    suite = Xml.fromstring(gate.as_junit(found))
    assert len(suite.findall(".//testcase")) == 5
    assert all("\x1b" not in text and "\u202e" not in text for text in suite.itertext())
    page = gate.markdown(found)
    assert "<script" not in page and "@octocat" not in page and "http://" not in page
    assert not re.search(r"(?<!\\)\[x\]", page), "no link"
    rows = [line for line in page.splitlines() if line.startswith("| **")]
    assert len(rows) == 4
    assert all(len(re.findall(r"(?<!\\)\|", row)) == 8 for row in rows), "seven cells each"
    lines = gate.plain(found).splitlines()
    assert len(lines) == 1 + 4 + 1 + 1
    assert not any(line.lstrip().startswith("::") for line in lines[:-1])
    for line in gate.workflow_commands(found):
        head, _, message = line.removeprefix("::").partition("::")
        assert head.split(" ")[0] in ("error", "warning")
        assert "\n" not in line and "\r" not in line and "%0A" in message
        place = head.partition(" ")[2].split(",")
        assert [part.partition("=")[0] for part in place] in (["file", "title"], ["file", "line", "title"])


def test_markdown_says_the_verdict_the_cautions_and_where_it_comes_from() -> None:
    page = gate.markdown(report(result("fail"), result(), verdict="fail", sentence="Failed: 1.", notes=("a caution",)))
    lines = page.splitlines()
    assert lines[0] == "## Gate: FAIL"
    assert "> **Note:** a caution" in lines
    rows = [line for line in lines if line.startswith("| **")]
    assert rows[0].startswith("| **FAIL** | plain-text: bits per byte | 0.013 | ")
    assert rows[1].startswith("| **pass** |")
    assert f"| policy sha256 | {'e' * 64} |" in lines


def test_markdown_stays_under_githubs_limit_and_leaves_out_the_best_rules() -> None:
    rules = [result(label="x" * 400) for _ in range(3000)] + [result("fail")]
    page = gate.markdown(report(*rules, verdict="fail"))
    assert 500_000 < len(page.encode()) < gate.MARKDOWN_BYTES < 2**20
    rows = [line for line in page.splitlines() if line.startswith("| **")]
    assert rows[0].startswith("| **FAIL**")
    assert f"{3001 - len(rows)} more rules are left out" in page


def test_annotations_begin_with_the_verdict_and_the_worst_and_a_pass_has_none() -> None:
    assert gate.workflow_commands(report()) == []
    said = gate.workflow_commands(
        report(result("inconclusive"), result("fail", label="50 %, or: more"), verdict="fail", sentence="Failed: 1.")
    )
    assert said == [
        "::error file=gate.toml,title=slm-audit gate::Failed: 1.",
        "::error file=gate.toml,line=8,title=50 %25%2C or%3A more::Failed: by 60 units.",
        "::warning file=gate.toml,line=7,title=plain-text%3A bits per byte::Inconclusive: by 60 units.",
    ]


def test_plain_lines_put_the_worst_first_and_the_sentence_last() -> None:
    found = report(result(), result("fail"), verdict="fail", sentence="Failed: 1 of 2.", notes=("a caution",))
    assert gate.plain(found).splitlines() == [
        "FAIL   plain-text: bits per byte: by 60 units.",
        "pass   plain-text: bits per byte: by 60 units.",
        "Note:  a caution",
        "Failed: 1 of 2.",
    ]


def test_the_published_schema_is_that_of_the_json() -> None:
    """To write it again: print(json.dumps(json_schema(), indent=1))."""
    published = json.loads((ROOT / "docs" / "gate.schema.json").read_text())
    assert published == json_schema()
    written = json.loads(hostile().model_dump_json())
    assert set(published["required"]) == set(written), "every field of the file is promised"
    assert GateReport.model_validate_json(hostile().model_dump_json()) == hostile()
    with pytest.raises(ValidationError):
        GateReport.model_validate({**written, "more": 1})
