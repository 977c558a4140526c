"""A run as an Every Eval Ever record, schema 0.3.0, with its uncertainty.

The schema is the EvalEval coalition's, https://github.com/evaleval/every_eval_ever (``eval_types.py`` and
``validator/validation_core.py`` of version 0.3.0). What it asks beyond a run's record is left open, for whoever
publishes to fill in: the organisation, and how the evaluator relates to the model's maker.

The schema has no word for a metric with a neutral value (50 %, 0): it only knows whether lower is better. Such a
metric is given as its distance from the neutral value, lower is better, and its own value and interval stand in the
details.
"""

from __future__ import annotations

import json
import math
from datetime import datetime
from typing import Any, NamedTuple

from audit import provenance, store
from audit.results import Run
from audit.schema import SummaryRow
from reports import text
from reports.exports import source

SCHEMA_VERSION = "0.3.0"


class Scored(NamedTuple):
    """A row's number in the schema's terms."""

    name: str
    """Suffix of the metric's id; empty where the number is the metric's own."""
    score: float
    low: float | None
    high: float | None
    lower_is_better: bool
    least: float
    """The smallest value that is possible; an outer bound where the run does not record a narrower one."""
    most: float


def scored(row: SummaryRow, value: float) -> Scored:
    """A number, its interval and its bounds as the schema wants them.

    Args:
        row: of the summary.
        value: its value, which is not None.

    Returns:
        The row's own number, or its distance from the target. An interval that holds the target becomes one that
        begins at 0; the distance is covered at least as often as the value was.
    """
    if row.direction == "target" and row.target is not None and not text.informs(row.label):
        low, high = _away(row, row.target)
        most = max(row.target, 1 - row.target) if row.unit == "share" else math.inf
        found = Scored("distance-from-target", abs(value - row.target), low, high, True, 0.0, most)
    else:
        least = 0.0 if row.unit in ("share", "bits/byte", "perplexity") else -math.inf
        most = 1.0 if row.unit == "share" else math.inf
        found = Scored("", value, row.low, row.high, row.direction == "lower", least, most)
    # A metric of another package may call something a share that is none; its bounds are not known then.
    return found if found.least <= found.score <= found.most else found._replace(least=-math.inf, most=math.inf)


def _away(row: SummaryRow, target: float) -> tuple[float | None, float | None]:
    """The interval of the distance from the target."""
    if row.low is None or row.high is None:
        return None, None
    ends = sorted((abs(row.low - target), abs(row.high - target)))
    return (0.0 if row.low <= target <= row.high else ends[0]), ends[1]


def record(run: Run, *, retrieved: str) -> dict[str, Any]:
    """The aggregate record of a run as a JSON object.

    Args:
        run: as :func:`reports.exports.source.read` gives it.
        retrieved: when the record is made, ISO 8601 with its zone.

    Returns:
        All numbers of the summary. Those that could not be estimated have no place in the schema, which wants a
        finite score; they are named under ``source_metadata.additional_details.not_estimated``.
    """
    name = source.full_name(run)
    digest = run.record["files"][store.SUMMARY]
    # Made of what does not change when the same run is exported again.
    identity = f"slm-audit.{digest[:12]}/{name.replace('/', '_')}/{_epoch(run.record['ended'])}"
    return {
        "schema_version": SCHEMA_VERSION,
        "evaluation_id": identity,
        "evaluation_timestamp": source.fact(run.record, "ended"),
        "retrieved_timestamp": _epoch(retrieved),
        "source_metadata": _source_metadata(run),
        "eval_library": {"name": "slm-audit", "version": source.fact(run.record, "tool_version")},
        "model_info": _model_info(run, name),
        "evaluation_results": [_result(run, row, row.value) for row in run.summary if row.value is not None],
    }


def _epoch(stamp: str) -> str:
    return str(datetime.fromisoformat(stamp).timestamp())


def _place(row: SummaryRow) -> str:
    """Names one row of a summary."""
    return "/".join((row.suite, row.metric, row.variant, row.scorer, row.group))


def _source_metadata(run: Run) -> dict[str, Any]:
    """Who reports, the run's state, and what would only be repeated in every result."""
    about = source.fact
    prose = ("title", "measures", "limits", "made", "citation", "sources")
    suites = {name: {key: about(suite, key) for key in prose} for name, suite in run.suites.items()}
    lacking = {name: number for name, number in source.missing(run).items() if number}
    details = {
        "run_status": run.status, "run_digest": about(run.record, "run_digest"),
        "missing_answers": about(run.record["counts"], "missing"), "missing_answers_by_suite": store.dumps(lacking),
        "cautions": store.dumps(source.cautions(run)), "smoke_test_scorers": store.dumps(source.smoke_scorers(run)),
        "not_estimated": store.dumps([_place(row) for row in run.summary if row.value is None]),
        "suites": store.dumps(suites),
    }  # fmt: skip
    return {
        "source_name": "slm-audit" if run.status == "complete" else "slm-audit (incomplete run)",
        "source_type": "evaluation_run",
        "source_organization_name": "unknown",
        "evaluator_relationship": "other",
        "additional_details": details,
    }


def _model_info(run: Run, name: str) -> dict[str, Any]:
    model = run.record["model"]
    kept = ("revision", "files", "adapter_files", "fingerprint", "architecture", "parameters", "dtype", "device")
    details = {key: source.fact(model, key) for key in kept} | {"adapter": source.adapter_name(run)}
    return {
        "name": name,
        "id": name,
        "inference_engine": {"name": "transformers", "version": source.fact(run.record["packages"], "transformers")},
        # The weights ran in the audit's own process; whether they are open is not for it to say.
        "additional_details": {"deployment_type": "self_deployed", "model_availability": "unknown"}
        | {key: value for key, value in details.items() if value},
    }


def _result(run: Run, row: SummaryRow, value: float) -> dict[str, Any]:
    """One row of the summary as an evaluation result."""
    suite = run.suites[row.suite]
    found = scored(row, value)
    result = {
        "evaluation_result_id": _place(row),
        "evaluation_name": row.suite if row.group == "all" else f"{row.suite}.{row.group}",
        "source_data": _source_data(suite),
        "metric_config": _metric_config(suite, row, found),
        "score_details": _score_details(run, row, found),
    }
    if suite["samples"]:
        result["generation_config"] = _generation(run, suite)
    return result


def _source_data(suite: dict[str, Any]) -> dict[str, Any]:
    keys = ("version", "digest", "items", "items_in_suite", "items_sha256", "license", "language")
    details = {key: found for key in keys if (found := source.fact(suite, key))}
    return {"dataset_name": text.plain(suite["name"]), "source_type": "other", "additional_details": details}


def _metric_config(suite: dict[str, Any], row: SummaryRow, found: Scored) -> dict[str, Any]:
    tail = f".{found.name}" if found.name else ""
    name = row.label if not tail else f"{row.label}: distance from {text.axis(row.target or 0.0, row.unit)}"
    return {
        "evaluation_description": source.fact(suite, "title"),
        "metric_id": f"slm-audit.{row.metric}{tail}",
        "metric_name": name,
        "metric_unit": "proportion" if row.unit == "share" else row.unit,
        "metric_parameters": {"variant": row.variant, "scorer": row.scorer, "group": row.group},
        "lower_is_better": found.lower_is_better,
        "score_type": "continuous",
        "min_score": _bound(found.least),
        "max_score": _bound(found.most),
        "additional_details": {"direction": direction(row)},
    }


def direction(row: SummaryRow) -> str:
    """Which way is better, as the run has it: ``lower``, ``higher``, ``target 0.5``, or that neither is."""
    if text.informs(row.label) or (row.direction == "target" and row.target is None):
        return source.NEITHER
    return f"target {row.target!r}" if row.direction == "target" else row.direction


def _bound(value: float) -> float | str:
    """A bound as the schema writes it: JSON has no infinity, so it is a word."""
    return value if math.isfinite(value) else "Infinity" if value > 0 else "-Infinity"


def _score_details(run: Run, row: SummaryRow, found: Scored) -> dict[str, Any]:
    kept = ("group", "n", "clusters", "missing", "empty", "unscored", "scorer", "unit", "value", "low", "high")
    details = {key: str(getattr(row, key)) for key in kept if getattr(row, key) is not None}
    details |= {"run_status": run.status, "smoke_test_scorer": "yes" if row.smoke else "no"}
    uncertainty: dict[str, Any] = {"num_samples": row.n}
    if found.low is not None and found.high is not None:
        uncertainty["confidence_interval"] = {
            "lower": found.low, "upper": found.high, "confidence_level": row.level, "method": row.method,
        }  # fmt: skip
    return {"score": found.score, "details": details, "uncertainty": uncertainty}


def _generation(run: Run, suite: dict[str, Any]) -> dict[str, Any]:
    decoding, plan = suite["decoding"], run.record["plan"]
    arguments = {
        "temperature": decoding["temperature"], "top_p": decoding["top_p"], "max_tokens": decoding["max_new_tokens"],
    }  # fmt: skip
    if decoding["top_k"]:  # 0 is this tool's word for no limit
        arguments["top_k"] = decoding["top_k"]
    details = {
        "samples_per_prompt": str(suite["samples"]), "stop": store.dumps(decoding["stop"]),
        "seed": str(plan["seed"]), "prompt_format": source.fact(plan, "prompt_format"),
    }  # fmt: skip
    return {"generation_args": arguments, "additional_details": details}


def render(run: Run) -> bytes:
    """The record as indented JSON, ASCII only; see :func:`record`."""
    found = record(run, retrieved=provenance.now())
    return (json.dumps(found, indent=1, ensure_ascii=True, allow_nan=False) + "\n").encode()
