"""The verdict that an export carries: what ``gate --json`` wrote, seen to be of this very run."""

from __future__ import annotations

import json
import re
from pathlib import Path

from pydantic import ValidationError

from audit import gate, provenance, store
from audit.errors import CorruptFolderError, DataError, UsageError
from audit.gate_verdict import GateReport
from audit.results import Run
from reports import text

_FOLDERS = re.compile(r"(?<![\w.:/~-])/(?:[^\s/:;,'\"]+/)+")


def read(path: str | Path, run: Run) -> GateReport:
    """A verdict on a run.

    Args:
        path: the file that ``slm-audit gate --json`` wrote.
        run: as :func:`reports.exports.source.read` gives it.

    Raises:
        FolderError: the file cannot be read.
        DataError: it is not a verdict of this schema version, or was altered by hand.
        UsageError: it judged another run, or this one before it was scored again.
    """
    source = Path(path)
    report = _sealed(source)
    judged = (report.variant.run_digest, report.variant.started)
    if judged != (run.record["run_digest"], run.record["started"]):
        what = f"the run {report.variant.run_digest[:12]} that began at {report.variant.started}"
        raise UsageError(f"--gate {source} judged {what}, which is not {run.path}; gate this run with --json")
    # Both are UTC in ISO 8601 to the second, so that they compare as text.
    if any(again["at"] >= report.created for again in run.record.get("rescored", ())):
        raise UsageError(f"--gate {source} judged {run.path} before it was scored again; gate it again with --json")
    return report


def _sealed(source: Path) -> GateReport:
    """A verdict as it was written."""
    try:
        record = store.Folder(source.parent).read_json(source.name)
        report = GateReport.model_validate_json(json.dumps(record))
        fits = report.seal == provenance.seal(record) and report.verdict == _follows(report)
    except CorruptFolderError as error:
        raise DataError(source, "not JSON, so not what slm-audit gate --json wrote") from error
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise DataError(
            source, f"not a verdict of this version of slm-audit gate --json: {where}: {first['msg']}"
        ) from error
    except ValueError:  # it holds NaN, which was never written
        fits = False
    if not fits:
        problem = "was altered by hand since it was written (it does not fit its seal); gate the run again with --json"
        raise DataError(source, problem)
    return report


def _follows(report: GateReport) -> str:
    """The verdict that rules and conditions lead to."""
    unmet = not all(one.met for one in report.conditions)
    verdicts = [one.result.verdict for one in report.rules]
    return gate.overall([*verdicts, "incomplete"] if unmet else verdicts)


def told(words: str) -> str:
    """A sentence of a verdict in which nothing is hidden, and paths of the machine are cut to their last part."""
    return text.plain(_FOLDERS.sub("", words))


__all__ = ["read", "told"]
