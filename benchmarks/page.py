"""Puts a result's table into ``docs/speed.md``, where ``--write`` of its benchmark was asked for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from benchmarks.measuring import RESULTS, table

PAGE = RESULTS.parents[1] / "docs" / "speed.md"


def refresh(name: str, hardware: Mapping[str, Any], rows: Sequence[Mapping[str, Any]], words: str = "") -> None:
    """Put one table between its markers.

    Args:
        name: of the result and of the markers.
        hardware: as :func:`benchmarks.hardware.describe` gives it, for the line above the table.
        rows: of the table.
        words: what is to be said below it.

    Raises:
        ValueError: the page has no such markers.
    """
    start, end = f"<!-- {name}: begin -->", f"<!-- {name}: end -->"
    text = PAGE.read_text(encoding="utf-8")
    if start not in text or end not in text:
        raise ValueError(f"{PAGE.name} has no place for {name}; put {start} and {end} into it")
    head, _, rest = text.partition(start)
    body = "\n\n".join(part for part in (_where(hardware), table(rows), words) if part)
    PAGE.write_text(f"{head}{start}\n{body}\n{end}{rest.partition(end)[2]}", encoding="utf-8")


def _where(hardware: Mapping[str, Any]) -> str:
    packages = hardware["packages"]
    versions = ", ".join(f"{name} {packages[name]}" for name in ("torch", "transformers", "lm-eval"))
    return f"{hardware['device']}, {hardware['threads']} threads, {versions}, {hardware['date'][:10]}:"
