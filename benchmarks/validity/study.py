"""The parts of the audit of the audit, and the second look at cells that the first one shows to err too often.

The highest of many cells lies above its true value by chance. So every cell whose error rate lies over alpha, be it by
how little, is decided again on fresh seeds, ten times as many, and those numbers count.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from benchmarks.validity.absolute import absolute_part
from benchmarks.validity.adapters import adapter_part
from benchmarks.validity.cells import Cell
from benchmarks.validity.deciding import ALPHA
from benchmarks.validity.grouped import group_part
from benchmarks.validity.looking import BLOCKS, Look, Results
from benchmarks.validity.marking import token_part
from benchmarks.validity.pool import Pool
from benchmarks.validity.rules import rule_part
from benchmarks.validity.several import scorer_part

Part = Callable[[Pool, Look], Results]
PARTS: dict[str, Part] = {
    "tokens": token_part,
    "rules": rule_part,
    "adapters": adapter_part,
    "absolute": absolute_part,
    "groups": group_part,
    "scorers": scorer_part,
}
PASSING = 0.8
"""Share of gates of an unchanged model that are to pass."""


def doubtful(cell: Cell) -> bool:
    """Whether the first look shows more errors than alpha, or a share of passing unchanged models around 80 %."""
    if not cell.promised:
        return False
    wrong = [what for what, wrong in (("passed", cell.wrong_passes), ("failed", cell.wrong_fails)) if wrong]
    if any(cell.first(what)[0] > ALPHA for what in wrong):
        return True
    _, low, high = cell.first("passed")
    return cell.part == "gates" and cell.ratio == 0 and low <= PASSING <= high


def look_again(part: Part, pool: Pool, cells: Sequence[Cell], sets: int, blocks: int = BLOCKS) -> list[Cell]:
    """The cells, the doubtful ones with a second look.

    Args:
        part: that made them.
        pool: the numbers it made them from.
        cells: of the first look.
        sets: seeds of a block.
        blocks: how many of fresh seeds.
    """
    wanted = frozenset(cell.key for cell in cells if doubtful(cell))
    if not wanted:
        return list(cells)
    counts = dict.fromkeys(wanted, (0, 0, 0))
    for block in range(blocks):
        for cell in part(pool, Look(sets, block, wanted)).cells:
            passed, failed, seen = counts[cell.key]
            counts[cell.key] = passed + cell.passed, failed + cell.failed, seen + cell.sets
    return [replace(cell, again=counts[cell.key]) if cell.key in wanted else cell for cell in cells]
