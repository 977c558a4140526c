"""How often one end of a small-sample interval misses the mean of skewed clusters, and what the correction costs.

    python -m benchmarks.skewness [--write]

``--write`` refreshes the table in ``docs/statistics.md``. A few seconds of one core.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from audit.metrics import intervals
from audit.metrics.units import Array
from benchmarks.page import put

SETS = 20_000
ALPHA = 0.05
CLUSTERS = (6, 10, 20, 40, 100)


@dataclass(frozen=True, slots=True)
class Shape:
    """A distribution of cluster means."""

    name: str
    draw: Callable[[np.random.Generator, tuple[int, int]], Array]
    mean: float


SHAPES = (
    Shape("normal", lambda rng, size: rng.standard_normal(size), 0.0),
    Shape("Student's t, 4 degrees of freedom", lambda rng, size: rng.standard_t(4, size), 0.0),
    Shape("exponential", lambda rng, size: rng.exponential(size=size), 1.0),
    Shape("gamma, shape 1/4", lambda rng, size: rng.gamma(0.25, size=size), 0.25),
    Shape("log-normal", lambda rng, size: rng.lognormal(size=size), math.exp(0.5)),
)


def misses(shape: Shape, clusters: int, seed: int = 0) -> tuple[float, float, float]:
    """Shares of samples whose upper end lies under the true mean, and the cost in width.

    Args:
        shape: of the clusters.
        clusters: in a sample.
        seed: of the samples.

    Returns:
        Share by Student's t, share by :func:`audit.metrics.intervals.skewed_student`, both at a one-sided 5 %, and the
        latter's mean width over the former's.
    """
    values = shape.draw(np.random.default_rng([seed, clusters]), (SETS, clusters))
    mean = values.mean(axis=1)
    influence = (values - mean[:, None]) / clusters
    df = np.full(SETS, clusters - 1.0)
    plain = intervals.student(mean, intervals.linearised_variance(influence), df, 1 - 2 * ALPHA)
    found = intervals.skewed_student(mean, influence, df, 1 - 2 * ALPHA)
    widths = [float((high - low).mean()) for low, high in (plain, found)]
    shares = [float((high < shape.mean).mean()) for _, high in (plain, found)]
    return shares[0], shares[1], widths[1] / widths[0]


def table() -> str:
    """The table of the page."""
    rows = ["| clusters | shape | Student's t | corrected | width over Student's |", "|---|---|---|---|---|"]
    for shape in SHAPES:
        for clusters in CLUSTERS:
            plain, corrected, width = misses(shape, clusters)
            rows.append(f"| {clusters} | {shape.name} | {100 * plain:.1f} % | {100 * corrected:.1f} % | {width:.2f} |")
    return "\n".join(rows)


def main() -> None:
    """Print the table, and with ``--write`` keep it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--write", action="store_true", help="refresh docs/statistics.md")
    args = parser.parse_args()
    found = table()
    print(found)
    if args.write:
        put("statistics.md", "skewness", found)


if __name__ == "__main__":
    main()
