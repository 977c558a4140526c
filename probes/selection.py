"""Chooses a balanced part of a suite, for the quick profile and for ``--limit``."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from probes.suite import Item, Suite


def select(suite: Suite, limit: int | None) -> tuple[Item, ...]:
    """Returns about ``limit`` items: pairs whole, templates, groups and fields in the suite's proportions.

    The choice uses no random numbers, and a smaller limit's items are always among a larger one's: both are
    beginnings of one fixed order. That order always takes next the pair whose templates, groups and field values
    (alone and two by two) have been taken least so far, relative to how many of each there are.

    Args:
        suite: the suite.
        limit: the greatest number of items; None or 0 means all. Where the first pair alone is larger, that
            pair is returned whole.

    Returns:
        The chosen items in the order of the file.

    Raises:
        ValueError: the limit is negative.
    """
    if limit is not None and limit < 0:
        raise ValueError(f"limit must be 0 or more, got {limit}")
    items = suite.items
    if not limit or limit >= len(items):
        return items
    units = _units(items)
    sizes = np.bincount(units)
    parts = _parts(items)
    share = 1.0 / np.bincount(parts.ravel())
    taken = np.zeros(len(share))
    free = np.ones(len(sizes), dtype=bool)
    count = 0
    while True:
        of_item = (taken * share)[parts].sum(axis=1)
        # Rounded, so that sums in another order on another machine do not break ties another way.
        of_unit = np.round(np.bincount(units, of_item) / sizes, 9)
        best = int(np.argmin(np.where(free, of_unit, np.inf)))
        if count and count + sizes[best] > limit:
            break
        free[best] = False
        count += int(sizes[best])
        np.add.at(taken, parts[units == best].ravel(), 1.0)
        if count >= limit:
            break
    return tuple(item for item, unit in zip(items, units, strict=True) if not free[unit])


def _units(items: Sequence[Item]) -> NDArray[np.intp]:
    """For every item the number of its pair; an item that stands alone is its own."""
    numbers: dict[tuple[str, str], int] = {}
    keys = (("pair", item.pair) if item.pair else ("id", item.id) for item in items)
    return np.array([numbers.setdefault(key, len(numbers)) for key in keys], dtype=np.intp)


def _parts(items: Sequence[Item]) -> NDArray[np.intp]:
    """For every item the numbers of the parts of the suite that it belongs to, shape [items, keys].

    A part is a value of one key (template, group, scored or generated, a field), or of two keys of words together.
    """
    names = sorted(set().union(*(item.fields for item in items)))
    rows: list[list[Hashable]] = [
        [item.template, item.group, bool(item.choices), *(item.fields.get(name) for name in names)] for item in items
    ]
    varying = [key for key in range(len(rows[0])) if len({row[key] for row in rows}) > 1]
    words = [key for key in varying if all(isinstance(row[key], str | None) for row in rows)]
    together = [(key,) for key in varying] + list(combinations(words, 2))
    if not together:
        return np.zeros((len(items), 1), dtype=np.intp)
    numbers: dict[Hashable, int] = {}
    return np.array(
        [[numbers.setdefault((keys, *(row[key] for key in keys)), len(numbers)) for keys in together] for row in rows],
        dtype=np.intp,
    )
