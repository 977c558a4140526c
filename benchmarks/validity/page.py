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
    "absolute": "absolute rules",
    "groups": "rules over groups",
    "scorers": "several scorers",
}


def tables(cells: Sequence[Cell], savings: Sequence[Saving]) -> dict[str, str]:
    """Every table of the page, by the name of its markers."""
    of = {part: [cell for cell in cells if cell.part == part] for part in (*PARTS, "skewness", "aside")}
    return {
        "looks": looks(cells),
        "errors": errors(cells),
        "worst": worst(cells),
        **{part: by_effect(of[part]) for part in ("tokens", "rules", "adapters", "absolute", "groups")},
        "scorers": by_effect([*of["scorers"], *of["aside"]]),
        "gates": gates(of["gates"]),
        "skewness": skewness(of["skewness"]),
        "saving": saving(savings),
    }


def wrong(cells: Iterable[Cell]) -> list[tuple[str, str, Cell]]:
    """Every promise of every cell: ``pass`` or ``fail``, the outcome that breaks it, and the cell."""
    return [
        (kind, what, cell)
        for cell in cells
        for kind, what, broken in (
            ("pass", "passed", cell.wrong_passes),
            ("fail", "failed", cell.wrong_fails),
        )
        if broken and cell.promised
    ]


def looks(cells: Sequence[Cell]) -> str:
    """The cells that were looked at again: what the first seeds showed, and what fresh ones did."""
    found = [(f"false {kind}", what, cell) for kind, what, cell in wrong(cells) if cell.first(what)[0] > ALPHA]
    calm = [cell for cell in cells if cell.part == "gates" and not cell.ratio and cell.again is not None]
    found += [("pass, no harm", "passed", cell) for cell in calm]
    rows = []
    for error, what, cell in sorted(found, key=lambda one: (one[0], -one[2].share(one[1])[0])):
        rows.append(
            {
                "share": error,
                "organisms": PARTS[cell.part],
                **_named(cell),
                "first look": interval(*cell.first(what)),
                "fresh seeds": interval(*cell.share(what)) if cell.again else None,
            }
        )
    again = [cell for cell in cells if cell.again is not None]
    if not again:
        return "No cell was looked at again."
    held = sum(1 for _, what, cell in wrong(again) if cell.first(what)[0] > ALPHA and cell.share(what)[1] > ALPHA)
    promised = sum(cell.promised for cell in cells)
    seeds = max(cell.again[2] for cell in again if cell.again)
    return (
        f"{len(again)} of {promised:,} cells were looked at again, each on {seeds:,} fresh seeds; "
        f"{held} shares of errors still lie over alpha with their whole interval.\n\n{table(rows)}"
    )


def errors(cells: Sequence[Cell]) -> str:
    """Both error rates by effect size over all cells of a part: all seeds together, and the highest cell."""
    rows = []
    for part, words in PARTS.items():
        own = wrong(cell for cell in cells if cell.part == part)
        for ratio, kind, what in sorted({(cell.ratio, kind, what) for kind, what, cell in own}):
            some = [cell for one, _, cell in own if (one, cell.ratio) == (kind, ratio)]
            rows.append(_error_row(words, ratio, kind, some, what))
    return table(rows)


def _error_row(words: str, ratio: float, kind: str, cells: Sequence[Cell], what: str) -> dict[str, object]:
    """All seeds of the first look together: to leave out those looked at again would favour the rest."""
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
    for kind in ("pass", "fail"):
        chosen = [(what, cell) for one, what, cell in wrong(cells) if one == kind]
        for what, cell in sorted(chosen, key=lambda one: -one[1].share(one[0])[0])[:most]:
            seeds = cell.again[2] if cell.again else cell.sets
            rows.append(
                {"error": f"false {kind}", **_named(cell), "seeds": seeds, "share": interval(*cell.share(what))}
            )
    return table(rows)


def _named(cell: Cell) -> dict[str, object]:
    return {
        "rule": cell.rule, "variant": cell.organism, "profile": cell.profile, "true harm / margin": f"{cell.ratio:g}",
    }  # fmt: skip


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
