"""An unsigned in-toto statement over the audited model's files, with the predicate test-result v0.1.

Formats: https://github.com/in-toto/attestation, ``spec/v1/statement.md``, ``spec/v1/resource_descriptor.md`` and
``spec/predicates/test-result.md``. Sign it with whatever signs your other attestations.

A run measures and does not judge, so its result alone is never ``PASSED``: ``WARNED`` where every suite was measured,
``FAILED`` where answers are missing beyond what the plan tolerates. A policy that asks for ``PASSED`` refuses both.

With a gate's verdict the tests are its rules and conditions. ``PASSED`` is a pass by a policy that the run recorded
before anything was generated, ``WARNED`` one by a policy that came after the run; the specification takes a warned test
for a passed one, so inconclusive and incomplete are ``FAILED``.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from audit import provenance, store
from audit.errors import UsageError
from audit.gate_verdict import GateReport, JudgedRun
from audit.results import Run
from reports import text
from reports.exports import gated, source

STATEMENT = "https://in-toto.io/Statement/v1"
PREDICATE = "https://in-toto.io/attestation/test-result/v0.1"


def statement(run: Run, gate: GateReport | None = None) -> dict[str, Any]:
    """The statement as a JSON object.

    Args:
        run: as :func:`reports.exports.source.read` gives it.
        gate: the verdict on this run, as :func:`reports.exports.gated.read` gives it; None where none was reached.

    Raises:
        UsageError: the run records no hash of a model file, so there is nothing to speak about.
    """
    model = run.record["model"]
    files = {text.plain(name): digest for name, digest in model["files"].items()}
    files |= {f"adapter/{text.plain(name)}": digest for name, digest in model["adapter_files"].items()}
    if not files:
        raise UsageError(f"{run.path}: run.json names no file of the model; a statement needs files to speak about")
    return {
        "_type": STATEMENT,
        "subject": [{"name": name, "digest": {"sha256": digest}} for name, digest in files.items()],
        "predicateType": PREDICATE,
        "predicate": _measured(run) if gate is None else _judged(run, gate),
    }


def _measured(run: Run) -> dict[str, Any]:
    """Result, configuration, and one test a suite."""
    lacking = source.missing(run)
    complete = run.status == "complete"
    # A run may be within its tolerance as a whole; then no suite has failed, and the counts say what is missing.
    failed = [] if complete else [name for name, number in lacking.items() if number]
    return {
        "result": "WARNED" if complete else "FAILED",
        "configuration": _configuration(run, lacking, "none applied: measured, not judged"),
        "passedTests": [],
        "warnedTests": [text.plain(name) for name in lacking if name not in failed],
        "failedTests": [text.plain(name) for name in failed],
    }


def _judged(run: Run, gate: GateReport) -> dict[str, Any]:
    """The gate's verdict, and one test for each of its rules and conditions."""
    tests = [("the run is complete", run.status == "complete")]
    tests += [(text.plain(one.name), one.met) for one in gate.conditions]
    tests += [(text.plain(one.result.label), one.result.verdict == "pass") for one in gate.rules]
    passed, failed = ([name for name, held in tests if held is wanted] for wanted in (True, False))
    result = "FAILED" if failed or gate.verdict != "pass" else "PASSED" if gate.registered else "WARNED"
    return {
        "result": result,
        "configuration": [
            *_configuration(run, source.missing(run), gated.told(gate.sentence)), *_policy(gate), *_base(gate.base),
        ],
        "passedTests": passed if gate.registered else [],
        "warnedTests": [] if gate.registered else passed,
        "failedTests": failed,
    }  # fmt: skip


def _policy(gate: GateReport) -> list[dict[str, Any]]:
    """The policy by its hash, with what it found, rule by rule."""
    rules = [
        {
            "test": text.plain(one.result.label), "verdict": one.result.verdict, "harm": one.result.harm,
            "low": one.result.low, "high": one.result.high, "level": one.result.level, "margin": one.result.margin,
            "n": one.result.n, "clusters": one.result.clusters, "reason": gated.told(one.result.reason),
        }
        for one in gate.rules
    ]  # fmt: skip
    told = {
        "verdict": gate.verdict, "sentence": gated.told(gate.sentence), "judged": gate.created,
        "recordedBeforeTheRun": gate.registered, "attempt": gate.attempt, "earlierVerdicts": list(gate.earlier),
        "notes": [gated.told(note) for note in gate.notes], "rules": rules,
    }  # fmt: skip
    name = f"policy/{text.plain(Path(gate.policy).name)}"
    return [{"name": name, "digest": {"sha256": gate.policy_sha256}, "annotations": told}]


def _base(base: JudgedRun | None) -> list[dict[str, Any]]:
    """The base's run by its digest; nothing where none was given."""
    if base is None:
        return []
    model = Path(base.model).name if Path(base.model).is_absolute() else base.model
    told = {"model": text.plain(model), "checkpoint": base.checkpoint, "started": base.started}
    return [{"name": "baseline", "digest": {"sha256": base.run_digest}, "annotations": told}]


def _configuration(run: Run, lacking: dict[str, int], gate: str) -> list[dict[str, Any]]:
    """The run's record and summary by their hashes, then each suite by its digest: items, decoding, format, seed."""
    record = run.record
    told = {
        "status": run.status, "tool": f"slm-audit {source.fact(record, 'tool_version')}",
        "started": source.fact(record, "started"), "ended": source.fact(record, "ended"),
        "runDigest": source.fact(record, "run_digest"), "gate": gate,
        "smokeTestScorers": source.smoke_scorers(run), "cautions": source.cautions(run),
    }  # fmt: skip
    files = [
        {
            "name": store.RUN,
            "digest": {"sha256": provenance.sha256_file(run.folder.file(store.RUN))},
            "annotations": told,
        },
        {"name": store.SUMMARY, "digest": {"sha256": record["files"][store.SUMMARY]}},
    ]
    suites = [
        {
            "name": f"suite/{text.plain(name)}",
            "digest": {"sha256": suite["digest"]},
            "annotations": {
                "version": suite["version"], "items": suite["items"], "samples": suite["samples"],
                "missingAnswers": lacking[name],
            },
        }
        for name, suite in run.suites.items()
    ]  # fmt: skip
    return files + suites


def render(run: Run, gate: GateReport | None = None) -> bytes:
    """The statement as indented JSON, ASCII only; see :func:`statement`."""
    return (json.dumps(statement(run, gate), indent=1, ensure_ascii=True, allow_nan=False) + "\n").encode()
