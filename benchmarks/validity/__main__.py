"""How often does the gate decide wrongly about variants whose harm is known? An audit of the audit.

Run it with ``python -m benchmarks.validity [--quick] [--only PART ...] [--write]``; ``--write`` keeps
``benchmarks/results/validity.json`` and refreshes the tables of ``docs/validity.md``. It needs no model: the answers
are kept as numbers (:mod:`benchmarks.validity.pool`). One core needs about half an hour.
"""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import asdict
from typing import Any

from audit.provenance import package_versions
from benchmarks.measuring import RESULTS, say
from benchmarks.page import put
from benchmarks.validity import page, study
from benchmarks.validity.cells import Cell, Saving
from benchmarks.validity.deciding import ALPHA
from benchmarks.validity.looking import BLOCKS, SETS, Look
from benchmarks.validity.pool import Pool, load

RESULT = RESULTS / "validity.json"
QUICK = 100


def main() -> None:
    """Run the parts, print their tables, and with ``--write`` keep them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help=f"{QUICK} seeds a cell instead of {SETS}")
    about = f"of {', '.join(study.PARTS)}; with --write the others stay as they were kept"
    parser.add_argument(
        "--only", nargs="+", choices=list(study.PARTS), default=list(study.PARTS), metavar="PART", help=about
    )
    parser.add_argument("--write", action="store_true", help="keep the results and refresh the page")
    args = parser.parse_args()
    if args.quick and args.write:
        parser.error("--write keeps results of all seeds; drop --quick")
    pool = load()
    parts = {name: _part(pool, name, QUICK if args.quick else SETS) for name in args.only}
    kept = json.loads(RESULT.read_text(encoding="utf-8"))["parts"] if args.write and RESULT.is_file() else {}
    parts = {name: (kept | parts)[name] for name in study.PARTS if name in kept | parts}
    shown = page.tables(
        [Cell.of(cell) for part in parts.values() for cell in part["cells"]],
        [Saving(**one) for part in parts.values() for one in part["savings"]],
    )
    for name, body in shown.items():
        say(f"\n{name}\n\n{body}")
    if args.write:
        seeds = {"seeds": SETS, "seeds_again": SETS * BLOCKS, "alpha": ALPHA}
        record = seeds | {"packages": package_versions(), "parts": parts}
        text = json.dumps(record, separators=(",", ":"), allow_nan=False).replace("},{", "},\n{")
        RESULT.write_text(text + "\n", encoding="utf-8")
        for name, body in shown.items():
            put("validity.md", name, body)


def _part(pool: Pool, name: str, sets: int) -> dict[str, Any]:
    """The record of one part: a look at every cell, and a second one at those in doubt."""
    start = time.process_time()
    found = study.PARTS[name](pool, Look(sets))
    first = time.process_time() - start
    again = sum(study.doubtful(cell) for cell in found.cells)
    say(f"{name}: {len(found.cells)} cells, {first:.0f} processor seconds; {again} are looked at again")
    cells = study.look_again(study.PARTS[name], pool, found.cells, sets)
    whole = time.process_time() - start
    say(f"{name}: the second look took {whole - first:.0f} processor seconds")
    return {
        "processor_seconds": round(whole, 1),
        "processor_seconds_again": round(whole - first, 1),
        "cells": [_rounded(asdict(cell)) for cell in cells],
        "savings": [_rounded(asdict(one)) for one in found.savings],
    }


def _rounded(record: dict[str, object]) -> dict[str, object]:
    """Numbers to six figures."""
    return {key: float(f"{value:.6g}") if isinstance(value, float) else value for key, value in record.items()}


if __name__ == "__main__":
    main()
