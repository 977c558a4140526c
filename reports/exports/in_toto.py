"""An unsigned in-toto statement over the audited model's files, with the predicate test-result v0.1.

Formats: https://github.com/in-toto/attestation, ``spec/v1/statement.md``, ``spec/v1/resource_descriptor.md`` and
``spec/predicates/test-result.md``. Sign it with whatever signs your other attestations.

A run measures and does not judge, so its result is never ``PASSED``: ``WARNED`` where every suite was measured,
``FAILED`` where answers are missing beyond what the plan tolerates. A policy that asks for ``PASSED`` refuses both.
"""

from __future__ import annotations

import json
from typing import Any

from audit import provenance, store
from audit.errors import UsageError
from audit.results import Run
from reports import text
from reports.exports import source

STATEMENT = "https://in-toto.io/Statement/v1"
PREDICATE = "https://in-toto.io/attestation/test-result/v0.1"


def statement(run: Run) -> dict[str, Any]:
    """The statement as a JSON object.

    Args:
        run: as :func:`reports.exports.source.read` gives it.

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
        "predicate": _predicate(run),
    }


def _predicate(run: Run) -> dict[str, Any]:
    """Result, configuration, and one test a suite."""
    lacking = source.missing(run)
    complete = run.status == "complete"
    # A run may be within its tolerance as a whole; then no suite has failed, and the counts say what is missing.
    failed = [] if complete else [name for name, number in lacking.items() if number]
    return {
        "result": "WARNED" if complete else "FAILED",
        "configuration": _configuration(run, lacking),
        "passedTests": [],
        "warnedTests": [text.plain(name) for name in lacking if name not in failed],
        "failedTests": [text.plain(name) for name in failed],
    }


def _configuration(run: Run, lacking: dict[str, int]) -> list[dict[str, Any]]:
    """The run's record and summary by their hashes, then each suite by its digest: items, decoding, format, seed."""
    record = run.record
    told = {
        "status": run.status, "tool": f"slm-audit {source.fact(record, 'tool_version')}",
        "started": source.fact(record, "started"), "ended": source.fact(record, "ended"),
        "runDigest": source.fact(record, "run_digest"), "gate": "none applied: measured, not judged",
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


def render(run: Run) -> bytes:
    """The statement as indented JSON, ASCII only; see :func:`statement`."""
    return (json.dumps(statement(run), indent=1, ensure_ascii=True, allow_nan=False) + "\n").encode()
