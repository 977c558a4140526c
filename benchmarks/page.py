"""Puts a result's table into a page under ``docs/``, where ``--write`` of its benchmark was asked for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from benchmarks.measuring import RESULTS, table

DOCS = RESULTS.parents[1] / "docs"


def refresh(name: str, hardware: Mapping[str, Any], rows: Sequence[Mapping[str, Any]], words: str = "") -> None:
    """Put a timing's table into ``docs/speed.md``.

    Args:
        name: of the result and of the markers.
        hardware: as :func:`benchmarks.hardware.describe` gives it, for the line above the table.
        rows: of the table.
        words: what is to be said below it.

    Raises:
        ValueError: the page has no such markers.
    """
    put("speed.md", name, "\n\n".join(part for part in (_where(hardware), table(rows), words) if part))


def put(page: str, name: str, body: str) -> None:
    """Put what a benchmark found between its markers, ``<!-- name: begin -->`` and ``<!-- name: end -->``.

    Args:
        page: file name under ``docs/``.
        name: of the markers.
        body: Markdown.

    Raises:
        ValueError: the page has no such markers.
    """
    path = DOCS / page
    start, end = f"<!-- {name}: begin -->", f"<!-- {name}: end -->"
    head, _, rest = path.read_text(encoding="utf-8").partition(start)
    if end not in rest:
        raise ValueError(f"{page} has no place for {name}; put {start} and {end} into it")
    path.write_text(f"{head}{start}\n{body}\n{end}{rest.partition(end)[2]}", encoding="utf-8")


def _where(hardware: Mapping[str, Any]) -> str:
    packages = hardware["packages"]
    versions = ", ".join(f"{name} {packages[name]}" for name in ("torch", "transformers", "lm-eval"))
    return f"{hardware['device']}, {hardware['threads']} threads, {versions}, {hardware['date'][:10]}:"
