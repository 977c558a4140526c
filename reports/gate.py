"""The gate's verdict for machines and build pages: JUnit, Markdown, annotations, plain lines.

No answer of a model stands in any of them; names and labels are shown with hidden characters made visible.
"""

from __future__ import annotations

import json as jsons
import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as Xml

from audit import provenance
from audit.gate import because
from audit.gate_verdict import Condition, GateReport, JudgedRun, Judgement
from audit.schema import Verdict
from audit.store import SEAL, Folder
from reports import text

MARKDOWN_BYTES = 900_000
"""GitHub refuses a step's summary over 1 MiB."""
_ORDER: tuple[Verdict, ...] = ("fail", "incomplete", "inconclusive", "pass")
_MARKS = {"fail": "FAIL", "incomplete": "INCOMPLETE", "inconclusive": "INCONCLUSIVE", "pass": "pass"}
_CELL = 600
_HEAD = "| verdict | rule | harm | interval that decided | limit | n | why |\n|---|---|---|---|---|---|---|\n"


def write(
    report: GateReport, *, junit: Path | None = None, summary: Path | None = None, json: Path | None = None
) -> None:
    """Write the files that were asked for.

    Args:
        report: the verdict.
        junit: JUnit XML.
        summary: Markdown; the file that ``$GITHUB_STEP_SUMMARY`` names is appended to, any other is replaced.
        json: the whole report.

    Raises:
        FolderError: a file cannot be written.
    """
    if junit is not None:
        Folder(junit.parent).write_text(junit.name, as_junit(report))
    if json is not None:
        Folder(json.parent).write_json(json.name, sealed(report))
    if summary is not None:
        before = ""
        if str(summary) == os.environ.get("GITHUB_STEP_SUMMARY") and summary.is_file():
            before = Folder(summary.parent).read_text(summary.name)
        left = max(MARKDOWN_BYTES - len(before.encode()), 0)
        Folder(summary.parent).write_text(summary.name, before + markdown(report, most_bytes=left))


def sealed(report: GateReport) -> dict[str, Any]:
    """The whole report as its file holds it."""
    record: dict[str, Any] = jsons.loads(report.model_dump_json())
    return record | {SEAL: provenance.seal(record)}


def plain(report: GateReport) -> str:
    """The verdict as lines for a terminal or a log, the worst rule first."""
    lines = [(_MARKS["incomplete"], f"{one.name}: {one.reason}") for one in _unmet(report)]
    lines += [(_MARKS[one.result.verdict], _said(one)) for one in _sorted(report)]
    lines += [("Note:", note) for note in report.notes]
    width = max(len(mark) for mark, _ in lines)
    told = [f"{mark.ljust(width)}  {_one_line(words)}" for mark, words in lines]
    return "\n".join([*told, _one_line(report.sentence)]) + "\n"


def _said(one: Judgement) -> str:
    return f"{one.result.label}: {because(one.result.reason)}"


def _one_line(words: str) -> str:
    return " ".join(text.plain(words).split())


def _unmet(report: GateReport) -> list[Condition]:
    return [one for one in report.conditions if not one.met]


def _sorted(report: GateReport) -> list[Judgement]:
    """Rules, the worst verdict first, else in the policy's order."""
    return sorted(report.rules, key=lambda one: _ORDER.index(one.result.verdict))


def _origin(report: GateReport) -> dict[str, str]:
    """What identifies the verdict: policy, runs and their digests."""
    found = {
        "policy": report.policy, "policy_sha256": report.policy_sha256,
        "policy_recorded_before_the_run": "yes" if report.registered else "no",
        "attempt": "not counted" if report.attempt is None else str(report.attempt),
        "tool_version": report.tool_version,
    }  # fmt: skip
    for name, run in (("variant", report.variant), ("base", report.base)):
        found |= {f"{name}_{key}": value for key, value in _identity(run).items()} if run else {}
    return found


def _identity(run: JudgedRun) -> dict[str, str]:
    return {
        "folder": run.folder, "model": run.model, "adapter": run.adapter, "checkpoint": run.checkpoint,
        "run_digest": run.run_digest, "started": run.started, "profile": run.profile, "seed": str(run.seed),
    }  # fmt: skip


# -- JUnit --


def as_junit(report: GateReport) -> str:
    """JUnit XML: a test case for each expanded rule and each condition.

    A failed rule is a ``failure``; inconclusive and incomplete ones are ``error``, since many readers take ``skipped``
    for success. Digests stand in the suite's properties.
    """
    root = Xml.Element("testsuites", name="slm-audit gate")
    suite = Xml.SubElement(root, "testsuite", name="slm-audit gate", timestamp=report.created, time="0")
    _properties(suite, {"verdict": report.verdict, "sentence": report.sentence, **_origin(report)})
    for condition in report.conditions:
        case = _case(suite, "condition", condition.name, {})
        if not condition.met:
            _fault(case, "error", "incomplete", condition.reason)
    for one in report.rules:
        found = one.result
        numbers = {key: getattr(found, key) for key in ("harm", "low", "high", "level", "margin", "n", "clusters")}
        case = _case(suite, found.suite, found.label, numbers | {"why": one.why, "policy_line": one.line})
        if found.verdict != "pass":
            _fault(case, "failure" if found.verdict == "fail" else "error", found.verdict, found.reason)
    Xml.SubElement(suite, "system-out").text = text.plain("\n".join(report.notes))
    for element in (root, suite):
        counts = {"tests": "testcase", "failures": "failure", "errors": "error"}
        for name, tag in counts.items():
            element.set(name, str(sum(1 for _ in suite.iter(tag))))
        element.set("skipped", "0")
    Xml.indent(root)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + Xml.tostring(root, encoding="unicode") + "\n"


def _case(suite: Xml.Element, group: str, name: str, values: Mapping[str, object]) -> Xml.Element:
    case = Xml.SubElement(
        suite, "testcase", classname=text.plain(f"slm-audit.{group}"), name=text.plain(name), time="0"
    )
    if values:
        _properties(case, values)
    return case


def _properties(element: Xml.Element, values: Mapping[str, object]) -> None:
    holder = Xml.SubElement(element, "properties")
    for name, value in values.items():
        if value is not None:
            Xml.SubElement(holder, "property", name=name, value=text.plain(str(value)))


def _fault(case: Xml.Element, tag: str, kind: str, reason: str) -> None:
    Xml.SubElement(case, tag, type=kind, message=text.plain(reason)).text = text.plain(reason)


# -- Markdown --


def markdown(report: GateReport, *, most_bytes: int = MARKDOWN_BYTES) -> str:
    """A page for ``$GITHUB_STEP_SUMMARY``: verdict, cautions, a table of the rules, where it comes from.

    Args:
        report: the verdict.
        most_bytes: the size kept under; rules that do not fit are left out, the best ones first, and counted.
    """
    head = [f"## Gate: {_MARKS[report.verdict]}", "", _escaped(report.sentence), ""]
    head += [f"> **Note:** {_escaped(note)}\n" for note in report.notes]
    head += [f"* **{_MARKS['incomplete']}** {_escaped(f'{one.name}: {one.reason}')}" for one in _unmet(report)]
    origin = ["", "| | |", "|---|---|"]
    origin += [f"| {key.replace('_', ' ')} | {_cell(value)} |" for key, value in _origin(report).items()]
    start, end = "\n".join(head) + "\n\n" + _HEAD, "\n".join(origin) + "\n"
    rows, left = [], most_bytes - len((start + end).encode()) - 200
    for one in _sorted(report):
        row = _row(one)
        left -= len(row.encode())
        if left < 0:
            break
        rows.append(row)
    cut = len(report.rules) - len(rows)
    more = f"\n{cut} more rules are left out here for size; they stand in the JUnit and JSON files.\n" if cut else ""
    return start + "".join(rows) + more + end


def _row(one: Judgement) -> str:
    found = one.result
    cells = (
        f"**{_MARKS[found.verdict]}**", _cell(found.label), text.number(found.harm, ""),
        text.interval(found.low, found.high, ""), text.number(found.margin, ""), text.count(found.n),
        _cell(f"{because(found.reason)} ({one.why})"),
    )  # fmt: skip
    return f"| {' | '.join(cells)} |\n"


def _cell(words: str) -> str:
    return _escaped(text.short(words, _CELL))


def _escaped(words: str) -> str:
    """Words that Markdown and HTML read as words: no link, table, mention or tag."""
    line = _one_line(words)
    safe = re.sub(r"([\\`*_{}\[\]()#+!|~$])", r"\\\1", line.replace("&", "&amp;"))
    return safe.replace("<", "&lt;").replace(">", "&gt;").replace("@", "&#64;").replace("://", ":&#47;/")


# -- GitHub annotations --


def workflow_commands(report: GateReport) -> list[str]:
    """Workflow commands that GitHub shows as annotations on the policy's lines.

    Errors for what failed or is incomplete, warnings for what is inconclusive and for cautions. GitHub shows ten of a
    kind a step, so the verdict comes first and then the worst.
    """
    level = {"fail": "error", "incomplete": "error", "inconclusive": "warning"}
    found = [(level[report.verdict], "slm-audit gate", report.sentence, 0)] if report.verdict != "pass" else []
    found += [("error", one.name, one.reason, 0) for one in _unmet(report)]
    rules = [one for one in _sorted(report) if one.result.verdict != "pass"]
    found += [(level[one.result.verdict], one.result.label, one.result.reason, one.line) for one in rules]
    found += [("warning", "slm-audit gate", note, 0) for note in report.notes]
    return [_command(*one, file=report.policy) for one in found]


def _command(level: str, title: str, message: str, line: int, *, file: str) -> str:
    place = {"file": file} | ({"line": str(line)} if line else {}) | {"title": title}
    said = ",".join(f"{key}={_encoded(value, ':,')}" for key, value in place.items())
    return f"::{level} {said}::{_encoded(message, '')}"


def _encoded(words: str, more: Sequence[str]) -> str:
    """As GitHub's runner decodes it: percent signs, line ends and, in properties, colons and commas."""
    safe = text.plain(words).replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")
    for char in more:
        safe = safe.replace(char, f"%{ord(char):02X}")
    return safe
