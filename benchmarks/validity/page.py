"""The tables of ``docs/validity.md``, from the cells."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from audit.metrics.intervals import wilson
from benchmarks.measuring import table
from benchmarks.validity.cells import LEVEL, Cell, Saving
from benchmarks.validity.deciding import ALPHA

PARTS = {
    "tokens": "marked tokens",
    "rules": "default rules, adapters' changes moved",
    "adapters": "adapters as they are",
    "gates": "whole gates",
}


def tables(cells: Sequence[Cell], savings: Sequence[Saving]) -> dict[str, str]:
    """Every table of the page, by the name of its markers."""
    return {
        "errors": errors(cells),
        "worst": worst(cells),
        **{part: by_effect([cell for cell in cells if cell.part == part]) for part in ("tokens", "rules", "adapters")},
        "gates": gates([cell for cell in cells if cell.part == "gates"]),
        "skewness": skewness([cell for cell in cells if cell.part == "skewness"]),
        "saving": saving(savings),
    }


def errors(cells: Sequence[Cell]) -> str:
    """Both error rates by effect size over all cells of a part: all seeds together, and the highest cell."""
    rows = []
    for part, words in PARTS.items():
        own = [cell for cell in cells if cell.part == part]
        for ratio in sorted({cell.ratio for cell in own}):
            some = [cell for cell in own if cell.ratio == ratio]
            for kind, error, wrong in (
                ("pass", "passed", some[0].wrong_passes),
                ("fail", "failed", some[0].wrong_fails),
            ):
                if wrong:
                    rows.append(_error_row(words, ratio, kind, some, error))
    return table(rows)


def _error_row(words: str, ratio: float, kind: str, cells: Sequence[Cell], what: str) -> dict[str, object]:
    high = max(cells, key=lambda cell: cell.share(what)[0])
    count, sets = sum(getattr(cell, what) for cell in cells), sum(cell.sets for cell in cells)
    low, top = wilson(count / sets, sets, LEVEL)
    return {
        "organisms": words,
        "true harm / margin": f"{ratio:g}",
        "error": f"false {kind}",
        "cells": len(cells),
        "seeds": sets,
        "share": interval(count / sets, float(low), float(top)),
        "highest cell": interval(*high.share(what)),
        "cells over alpha": sum(cell.share(what)[1] > ALPHA for cell in cells),
    }


def worst(cells: Sequence[Cell], most: int = 6) -> str:
    """The cells with the highest shares of either error."""
    rows = []
    for kind, what, chosen in (
        ("false pass", "passed", [cell for cell in cells if cell.part in PARTS and cell.wrong_passes]),
        ("false fail", "failed", [cell for cell in cells if cell.part in PARTS and cell.wrong_fails]),
    ):
        for cell in sorted(chosen, key=lambda cell: -cell.share(what)[0])[:most]:
            rows.append(
                {
                    "error": kind,
                    "rule": cell.rule,
                    "variant": cell.organism,
                    "profile": cell.profile,
                    "true harm / margin": f"{cell.ratio:g}",
                    "share": interval(*cell.share(what)),
                }
            )
    return table(rows)


def by_effect(cells: Sequence[Cell]) -> str:
    """Passes and fails of each rule and variant by true harm, in percent."""
    rows = []
    for key in dict.fromkeys((cell.rule, cell.organism, cell.profile) for cell in cells):
        own = {cell.ratio: cell for cell in cells if (cell.rule, cell.organism, cell.profile) == key}
        row: dict[str, object] = dict(zip(("rule", "variant", "profile"), key, strict=True))
        for ratio in sorted({cell.ratio for cell in cells}):
            row[f"{ratio:g} x"] = _both(own[ratio]) if ratio in own else None
        rows.append(row)
    return table(rows)


def _both(cell: Cell) -> str:
    return f"{100 * cell.share('passed')[0]:.1f} / {100 * cell.share('failed')[0]:.1f}"


def gates(cells: Sequence[Cell]) -> str:
    """Whole gates without any harm, then with harm in one rule."""
    calm = [cell for cell in cells if not cell.ratio]
    first = [
        {
            "variant, no harm in any rule": cell.organism,
            "profile": cell.profile,
            "pass": interval(*cell.share("passed")),
            "fail": interval(*cell.share("failed")),
            "inconclusive": f"{100 * (1 - (cell.passed + cell.failed) / cell.sets):.1f} %",
        }
        for cell in calm
    ]
    second = []
    for key in dict.fromkeys((cell.rule, cell.organism, cell.profile) for cell in cells if cell.ratio):
        own = {cell.ratio: cell for cell in cells if (cell.rule, cell.organism, cell.profile) == key}
        row: dict[str, object] = {
            "harmed rule": key[0].removesuffix(" harmed"), "variant": key[1], "profile": key[2],
        }  # fmt: skip
        for ratio, cell in own.items():
            row[f"pass, {ratio:g} x"] = interval(*cell.share("passed"))
            row[f"fail, {ratio:g} x"] = f"{100 * cell.share('failed')[0]:.1f} %"
        second.append(row)
    return f"{table(first)}\n\n{table(second)}"


def skewness(cells: Sequence[Cell]) -> str:
    """False passes at the margin by the gate's interval and by others, at the standard profile's size."""
    rows = []
    for name in dict.fromkeys(cell.organism for cell in cells if cell.profile == "standard"):
        own = [cell for cell in cells if cell.organism == name and cell.profile == "standard"]
        rows.append(
            {"variant": name} | {f"passes by {cell.rule} interval": interval(*cell.share("passed")) for cell in own}
        )
    return table(rows)


def saving(savings: Iterable[Saving]) -> str:
    """Spread and width with shared and with independent random numbers, at the standard profile's size."""
    rows = []
    for one in savings:
        if one.profile != "standard":
            continue
        rows.append(
            {
                "variant": one.organism,
                "measure": one.measure,
                "true change": f"{one.effect:.4f}",
                "spread, shared": f"{one.shared:.4f}",
                "spread, independent": f"{one.independent:.4f}",
                "times the prompts": f"{one.needed:.2f}" if np.isfinite(one.needed) else "",
                "width, shared": f"{one.width_shared:.4f}",
                "width, independent": f"{one.width_independent:.4f}",
            }
        )
    return table(rows)


def interval(share: float, low: float, high: float) -> str:
    """A share with its interval, in percent."""
    return f"{100 * share:.2f} % [{100 * low:.2f}, {100 * high:.2f}]"
