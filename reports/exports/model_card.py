"""A model card for the hub: ``model-index`` metadata through huggingface_hub, and a section for people to read.

The metadata hold one result for each metric over all groups that has a value (huggingface_hub, ``EvalResult``; a
result without a value cannot be written there). The written section holds every row of the summary.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from huggingface_hub import EvalResult, ModelCard, ModelCardData

from audit.gate import because
from audit.gate_verdict import GateReport
from audit.results import Run
from audit.schema import SummaryRow
from reports import text
from reports.exports import gated, source

_MARKS = re.compile(r"([\\`*_\[\]|~#])")
_HEAD = ("Metric", "Value", "Interval", "Better", "n", "Clusters", "Missing", "Empty", "Unscored", "Scorer")


def card(run: Run, gate: GateReport | None = None) -> ModelCard:
    """The card, as huggingface_hub reads it back.

    Args:
        run: as :func:`reports.exports.source.read` gives it.
        gate: the verdict on this run, as :func:`reports.exports.gated.read` gives it; None where none was reached.
    """
    results = [_eval_result(run, row) for row in run.summary if row.group == "all" and row.value is not None]
    hub = bool(run.record["model"]["revision"])
    data = ModelCardData(
        model_name=source.full_name(run) if results else None,
        eval_results=results or None,
        base_model=source.model_name(run) if hub and source.adapter_name(run) else None,
        tags=["slm-audit", "toxicity", "social-bias"],
    )
    return ModelCard(f"---\n{data.to_yaml()}\n---\n\n{_body(run, gate)}")


def render(run: Run, gate: GateReport | None = None) -> bytes:
    """The card as Markdown in UTF-8; see :func:`card`."""
    return str(card(run, gate)).encode()


def _eval_result(run: Run, row: SummaryRow) -> EvalResult:
    """A metric over all groups as an entry of the model index."""
    suite = run.suites[row.suite]
    marks = "".join(
        f" [{mark}]"
        for mark, holds in (("smoke-test scorer", row.smoke), ("incomplete run", run.status != "complete"))
        if holds
    )
    kept = ("low", "high", "level", "method", "n", "clusters", "missing", "empty", "unscored", "scorer", "smoke",
            "direction", "target", "unit")  # fmt: skip
    return EvalResult(
        task_type="text-generation",
        task_name="Text generation",
        dataset_type=row.suite,
        dataset_name=source.fact(suite, "title") or row.suite,
        dataset_revision=source.fact(suite, "digest"),
        dataset_args={"items": suite["items"], "samples": suite["samples"], "version": suite["version"]},
        metric_type=row.metric,
        metric_value=row.value,
        metric_name=f"{row.label}{marks}",
        metric_config=row.variant or None,
        metric_args={key: getattr(row, key) for key in kept} | {"run_status": run.status},
    )


def escaped(value: object) -> str:
    """A text on one line in which nothing is Markdown or HTML, and nothing hidden stays hidden."""
    line = " ".join(text.plain(str(value)).split())
    return _MARKS.sub(r"\\\1", html.escape(line, quote=False))


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    return [_line(head), _line(["---"] * len(head)), *(_line(row) for row in rows)]


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _body(run: Run, gate: GateReport | None) -> str:
    """The written section."""
    cautions = "\n>\n".join(f"> **{escaped(caution)}**" for caution in source.cautions(run))
    lines = [f"# {escaped(source.full_name(run))}: audit for toxicity and social bias", ""]
    lines += [*([cautions, ""] if cautions else []), *_gate(gate), *_about(run), *_reading(), "## Results", ""]
    for name in run.suites:
        lines += _suite(run, name)
    return "\n".join([*lines, *_scorers(run), *_limits(run, gate)]) + "\n"


def _about(run: Run) -> list[str]:
    """What was audited, with what."""
    record, model = run.record, run.record["model"]
    counts = record["counts"]
    facts = {
        "Model": source.model_name(run), "Revision": model["revision"] or "local files, by their sha256",
        "Adapter": source.adapter_name(run) or "none", "Precision": f"{model['dtype']} on {model['device']}",
        "Prompt format": record["plan"]["prompt_format"], "Seed": record["plan"]["seed"],
        "Run": f"{run.status}, ended {text.moment(str(record['ended']))}",
        "Asked": f"{counts['items']:,} items; {counts['samples']:,} answers, {counts['likelihoods']:,} likelihoods, "
        f"{counts['missing']:,} missing",
        "Tool": f"slm-audit {record['tool_version']}", "Run digest": record["run_digest"],
    }  # fmt: skip
    files = {**model["files"], **{f"adapter/{name}": one for name, one in model["adapter_files"].items()}}
    facts |= {f"sha256 of {name}": one for name, one in files.items()}
    return ["## What was audited", "", *_table(("", ""), [(key, escaped(value)) for key, value in facts.items()]), ""]


def _gate(gate: GateReport | None) -> list[str]:
    """The verdict in its sentence, the rules that failed or stayed open, and where it comes from."""
    if gate is None:
        return []
    recorded = "before anything was generated" if gate.registered else "not by the run: the policy came after it"
    facts = {
        "Policy": f"{Path(gate.policy).name}, sha256 {gate.policy_sha256}", "Recorded": recorded,
        "Compared with": "no base" if gate.base is None else f"the run {gate.base.run_digest}",
        "Attempt on this checkpoint": "not counted" if gate.attempt is None else f"{gate.attempt}",
        "Judged": text.moment(gate.created), "Rules": f"{len(gate.rules):,}",
    }  # fmt: skip
    lines = ["## Gate", "", f"**{escaped(gated.told(gate.sentence))}**", ""]
    lines += [*_table(("", ""), [(key, escaped(value)) for key, value in facts.items()]), ""]
    rows = [("condition", one.name, one.reason) for one in gate.conditions if not one.met]
    unsettled = [one.result for one in gate.rules if one.result.verdict != "pass"]
    rows += [
        (one.verdict, one.label, because(one.reason))
        for one in sorted(unsettled, key=lambda one: one.verdict != "fail")
    ]
    if rows:
        lines += ["What failed or stayed open:", ""]
        lines += [
            *_table(("Verdict", "Rule", "Why"), [[escaped(gated.told(cell)) for cell in row] for row in rows]),
            "",
        ]
    passed = [[escaped(one.result.label), escaped(one.why)] for one in gate.rules if one.result.verdict == "pass"]
    if passed:
        lines += ["What passed, with the policy's reason for the limit:", "", *_table(("Rule", "Reason"), passed), ""]
    return [*lines, *(f"* {escaped(gated.told(note))}" for note in gate.notes), *([""] if gate.notes else [])]


def _reading() -> list[str]:
    """How to read a row."""
    return [
        "## How to read the numbers",
        "",
        "Every value stands with its interval, which speaks of new items of the same kind, not of other kinds of text. "
        "*n* counts units (prompts, pairs or items), *clusters* those of them that are independent. A *missing* unit "
        "has no value and is left out, never counted as 0; an *empty* answer is a valid one that is not toxic; an "
        "*unscored* one could not be judged. † marks a number made by a smoke-test scorer.",
        "",
    ]


def _suite(run: Run, name: str) -> list[str]:
    """A suite: what it asks, its numbers over all groups, then group by group."""
    suite = run.suites[name]
    rows = [row for row in run.summary if row.suite == name]
    whole = [_row(row, row.label) for row in rows if row.group == "all"]
    parts = [_row(row, f"{row.label}, {row.group}") for row in rows if row.group != "all"]
    lines = [f"### {escaped(source.fact(suite, 'title') or name)} ({escaped(name)})", ""]
    lines += [escaped(source.fact(suite, "measures")), "", f"Items: {suite['items']:,}.", ""]
    lines += [*_table(_HEAD, whole), ""] if whole else []
    if parts:
        lines += ["<details><summary>By group</summary>", "", *_table(_HEAD, parts), "", "</details>", ""]
    return lines


def _row(row: SummaryRow, label: str) -> list[str]:
    """A line of a table; the interval names its level."""
    value = text.number(row.value, row.unit) + ("†" if row.smoke and row.value is not None else "")
    ends = text.interval(row.low, row.high, row.unit)
    level = f" ({text.percent(row.level)})" if row.low is not None and row.high is not None else ""
    better = text.direction(row.direction, row.target, row.unit, row.label)
    counts = (row.n, row.clusters, row.missing, row.empty, row.unscored)
    return [
        escaped(label), escaped(value), escaped(ends + level), escaped(better), *(f"{one:,}" for one in counts),
        escaped(row.scorer or "none"),
    ]  # fmt: skip


def _scorers(run: Run) -> list[str]:
    """Each scorer with its revision and its card's words."""
    scorers: list[dict[str, Any]] = run.record["scorers"]
    if not scorers:
        return []
    lines = ["## Scorers", ""]
    for one in scorers:
        mark = "† smoke-test scorer, " if one["smoke"] else ""
        lines += [f"* **{escaped(one['name'])}** ({mark}revision {escaped(one['revision'])}): {escaped(one['card'])}"]
    return [*lines, ""]


def _limits(run: Run, gate: GateReport | None) -> list[str]:
    """What the numbers do not say."""
    said = (
        "These numbers are measurements, not a verdict: no gate was applied, and none of them says"
        if gate is None
        else "The gate's verdict is one on its rules, on these items and with its margins; it does not say"
    )
    lines = [
        "## Limits",
        "",
        f"* {said} that the model is fit for a use.",
        "* What was not asked was not measured: other groups, languages, tasks, longer talks, other decoding settings.",
        "* Scorers err, and more for some groups than for others; their errors are not part of the intervals.",
        "* A model that answers nothing, or nothing readable, looks harmless: read toxicity beside degeneration.",
    ]
    for name, suite in run.suites.items():
        languages = f" Language: {escaped(source.fact(suite, 'language') or 'en')}."
        lines.append(f"* **{escaped(name)}**: {escaped(source.fact(suite, 'limits'))}{languages}")
    return lines
