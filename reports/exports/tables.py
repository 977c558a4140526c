"""The summary as a flat table, one row a number: CSV, and Parquet with its column types."""

from __future__ import annotations

import csv
import io
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from audit.results import Run
from audit.schema import SummaryRow
from reports.exports import source

RUN_COLUMNS = ("model", "adapter", "status", "tool_version", "run_digest", "suite_digest")
"""What of the run stands in each row, so that tables of several runs can be put under one another."""
_FLAGS = ("smoke",)
_COUNTS = ("n", "clusters", "missing", "empty", "unscored")
_NUMBERS = ("target", "value", "low", "high", "level")


def schema() -> pa.Schema:
    """Column names and types: :data:`RUN_COLUMNS`, then the fields of a summary's row in their order.

    Text is never null; a number that could not be estimated is null, never 0 and never NaN.
    """
    kinds = (
        dict.fromkeys(_FLAGS, pa.bool_()) | dict.fromkeys(_COUNTS, pa.int64()) | dict.fromkeys(_NUMBERS, pa.float64())
    )
    names = (*RUN_COLUMNS, *SummaryRow.model_fields)
    return pa.schema([pa.field(name, kinds.get(name, pa.string())) for name in names])


def rows(run: Run) -> list[dict[str, Any]]:
    """The table's rows, in the order of ``summary.json``.

    Args:
        run: as :func:`reports.exports.source.read` gives it.
    """
    record = run.record
    about = {
        "model": source.model_name(run), "adapter": source.adapter_name(run), "status": run.status,
        "tool_version": source.fact(record, "tool_version"), "run_digest": source.fact(record, "run_digest"),
    }  # fmt: skip
    digests = {name: source.fact(suite, "digest") for name, suite in run.suites.items()}
    return [{**about, "suite_digest": digests[row.suite], **row.model_dump()} for row in run.summary]


def render_csv(run: Run) -> bytes:
    """RFC 4180 text in UTF-8 with a header line and line feeds; null is an empty field, truth ``True`` or ``False``.

    Floats are written so that reading them gives the same bits again.
    """
    out = io.StringIO()
    writer = csv.DictWriter(out, schema().names, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows(run))
    return out.getvalue().encode()


def render_parquet(run: Run) -> bytes:
    """The same rows as a Parquet file with the types of :func:`schema`."""
    out = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(rows(run), schema=schema()), out)
    return out.getvalue()
