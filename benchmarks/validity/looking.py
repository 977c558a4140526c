"""Which seeds are looked at: all cells on the first ones, and those that look bad again on fresh ones."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np

from benchmarks.validity.cells import Cell, Key, Saving

SETS = 2_000
"""Seeds of a cell at the first look, and of one block of fresh ones."""
BLOCKS = 10
"""Blocks of fresh seeds that a cell is looked at again."""


@dataclass(frozen=True, slots=True)
class Results:
    """Cells of some parts."""

    cells: list[Cell]
    savings: list[Saving]


@dataclass(frozen=True, slots=True)
class Look:
    """Some seeds, and the cells that are wanted of them."""

    sets: int = SETS
    block: int | None = None
    """None at the first look, else which block of fresh seeds."""
    wanted: Collection[Key] | None = None
    """Keys of the wanted cells; None wants every cell."""

    def rng(self, *numbers: int) -> np.random.Generator:
        """The generator of one cell or batch of cells; no two looks and no two blocks share one."""
        return np.random.default_rng([41, *numbers] if self.block is None else [43, self.block, *numbers])

    def wants(self, part: str, rule: str, organism: str, profile: str, ratio: float) -> bool:
        """Whether a cell is wanted."""
        return self.wanted is None or (part, rule, organism, profile, ratio) in self.wanted

    def touches(self, part: str, organism: str, profile: str) -> bool:
        """Whether any cell is wanted of an organism, whose cells' names begin with its own."""
        return self.wanted is None or any(
            key[0] == part and key[2].startswith(organism) and key[3] == profile for key in self.wanted
        )
