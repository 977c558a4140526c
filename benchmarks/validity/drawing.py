"""New items of the same kind: wordings drawn from those of the pool, and items within them.

The wordings of the pool, all equally likely, and the items of each, all equally likely, are the population. Its mean is
known exactly: it is the truth that an interval must hold.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from benchmarks.validity.pool import Floats, Ints


@dataclass(frozen=True, slots=True, eq=False)
class Items:
    """The items of one suite in the pool."""

    wordings: Ints
    """Wording of each item, from 0 without gaps, (n,)."""

    @property
    def count(self) -> int:
        """How many wordings there are."""
        return int(self.wordings.max()) + 1

    @property
    def weights(self) -> Floats:
        """Chance of each item to be drawn as one unit, (n,); sums to 1."""
        sizes = np.bincount(self.wordings, minlength=self.count)
        return np.asarray(1.0 / (self.count * sizes[self.wordings]))

    def mean(self, values: Floats) -> float:
        """The population's mean of values (n,)."""
        return float(self.weights @ values)

    def draw(self, rng: np.random.Generator, wordings: Ints, sizes: Ints) -> Ints:
        """Items of drawn wordings.

        Args:
            rng: source of randomness.
            wordings: of each cluster, (sets, clusters).
            sizes: items wanted of each cluster, (clusters,).

        Returns:
            Item numbers, (sets, units), clusters one after another.
        """
        order, counts = np.argsort(self.wordings, kind="stable"), np.bincount(self.wordings, minlength=self.count)
        starts = np.cumsum(counts) - counts
        of = np.repeat(wordings, sizes, axis=1)
        return np.asarray(order[starts[of] + (rng.random(of.shape) * counts[of]).astype(np.int64)])


def new_wordings(rng: np.random.Generator, items: Items, sets: int, clusters: int | None = None) -> Ints:
    """Wordings of new data sets, (sets, clusters): as many as the pool has unless another number is given."""
    return rng.integers(items.count, size=(sets, clusters or items.count))


def dealt(units: int, clusters: int) -> Ints:
    """Units dealt out to clusters as evenly as they go, (clusters,)."""
    return np.full(clusters, units // clusters) + (np.arange(clusters) < units % clusters)


STEPS = {"even": 1, "concentrated": 4, "few": 10}
"""How an intervention may be spread: it reaches every wording, every fourth, or every tenth."""


def reached(items: Items, spread: str) -> Floats:
    """Which items an intervention reaches, 1 or 0, (items,); ``spread`` is one of :data:`STEPS`."""
    return np.asarray(items.wordings % STEPS[spread] == 0, dtype=np.float64)
