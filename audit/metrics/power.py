"""What a comparison can see: the smallest detectable change, and the n that would settle a rule.

Both say what the interval that decides would do, not what a formula for some other test would: the change is solved
from the variance that the change itself brings, and the n by giving the same data several times over to the very
interval. ``benchmarks/power.py`` measures that both have the power they state.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from scipy import optimize

from audit.metrics import intervals, resample
from audit.metrics.harm import Harm, absolute_harm, paired_harm
from audit.metrics.paired import POWER, Contrast, Pair, PairedDifference, pair_units
from audit.metrics.units import Statistic, Units, cluster_index, cluster_sums
from audit.schema import Direction

MOST = 10_000_000
"""More units than this are not to be had; the n needed is then not given."""
_TILED = {"rate": 4_000, "mean": 1_000, "ratio": 1_000}
"""Units up to which data are repeated to see their interval; beyond, it shrinks with the root of n."""


def smallest_change(pair: Pair, found: Contrast | PairedDifference, power: float = POWER) -> float | None:
    """Smallest true change that the interval would tell from zero with the given power.

    A mean: the interval's longer arm and z_power standard errors, as seen. A rate whose units can rise and fall: the
    change d solves z sqrt(m) + z_power sqrt(m - d^2) = d sqrt(n) (Connor 1987, for McNemar's test), where n is the
    effective number of pairs and m the share of units that differ: the one seen and d more, for a change comes on top
    of what differs by chance. It brings its own variance, of which the width of the interval seen knows nothing.

    Args:
        pair: aligned units.
        found: their contrast with its interval, at the level meant.
        power: chance of seeing the change, in (0, 1).

    Returns:
        In the metric's unit, positive; None without an interval, or where no change the range allows would be seen.
    """
    if found.low is None or found.high is None:
        return None
    z_power = intervals.z_value(2 * power - 1)
    statistic = pair.base.statistic
    plain = all((side.columns[:, 1] == 1).all() for side in (pair.base, pair.tuned))
    if statistic.range is None or not plain or (statistic.kind != "rate" and "exact" not in found.method):
        value, influence = resample.difference_influence(*pair.sums, statistic)
        error = float(np.sqrt(intervals.linearised_variance(influence)))
        return max(found.high - float(value), float(value) - found.low) + z_power * error
    span = statistic.range[1] - statistic.range[0]
    scale = 1.0 if statistic.kind == "rate" else span
    move = (pair.tuned.columns[:, 0] - pair.base.columns[:, 0]) / scale
    differing, n = float(np.abs(move).mean()), _effective_pairs(pair, move, found.level)
    z = intervals.z_value(found.level)

    def lacking(change: float) -> float:
        m = min(differing + change, 1.0)
        return z * math.sqrt(m) + z_power * math.sqrt(max(m - change**2, 0.0)) - change * math.sqrt(n)

    if lacking(1.0) > 0:
        return None
    return float(optimize.brentq(lacking, 1e-9, 1.0)) * span


def _effective_pairs(pair: Pair, move: np.ndarray, level: float) -> float:
    """Effective number of pairs; where fewer than five effective ones differ, the number of clusters."""
    (_, weight), _ = pair.sums
    total = float(weight.sum())
    index, count = cluster_index(pair.base.clusters)
    sums = cluster_sums(np.stack([move, np.ones(len(move))], axis=1), index, count)
    mean = float(move.mean())
    influence = (sums[:, 0] - mean * sums[:, 1]) / total
    clusters, draws = intervals.kish(weight), np.asarray(total * pair.base.draws)
    repeated = bool(draws > clusters * (1 + 1e-9))
    df = intervals.variance_df(influence, clusters) if repeated else draws - 1.0
    binary = np.asarray(float(np.abs(move).mean()) - mean**2)
    n = float(intervals.effective_n(binary, intervals.linearised_variance(influence), draws, df, level))
    return min(n, float(clusters)) if repeated and n * float(np.abs(move).mean()) < 5.0 else n


@dataclass(frozen=True, slots=True)
class Needed:
    """How many units would settle a rule, if more of them showed the harm and the spread seen."""

    units: int | None
    """In all, more than those at hand; None where none would do: the harm seen lies on the margin, no interval can be
    had, or it would take more than ten million."""
    outcome: str
    """What they would then say: ``pass``, ``fail``, or empty where there is no number."""


def needed_units(
    base: Units | None,
    tuned: Units,
    direction: Direction,
    target: float | None,
    margin: float,
    *,
    alpha_pass: float,
    alpha_fail: float,
    power: float = POWER,
    seed: int = 0,
) -> Needed:
    """Units that would settle an inconclusive rule with the given power.

    The data are repeated r times, as new clusters, and given to the interval that decides; the smallest r is sought at
    which its bound, with z_power standard errors more, clears the margin. So the exact bounds of rare events shrink as
    they do, t becomes z, and a fail is held to its own level.

    Args:
        base: of the base model; None for an absolute rule.
        tuned: of the variant.
        direction: of the metric.
        target: the neutral value where the direction is ``target``.
        margin: as harm.
        alpha_pass: one-sided level at which the rule passes.
        alpha_fail: one-sided level at which it fails, after Holm: alpha over the number of rules left.
        power: chance of settling it, in (0, 1).
        seed: of the bootstrap.

    Returns:
        The number, and what it would say.

    Raises:
        UsageError: the two sides cannot be paired, or a target is missing.
    """

    def harm(times: int) -> tuple[Harm, Harm]:
        if base is None:
            return absolute_harm(
                _repeat(tuned, times), direction, target, alpha_pass=alpha_pass, alpha_fail=alpha_fail, seed=seed
            )
        pair = pair_units(_repeat(base, times), _repeat(tuned, times))
        return paired_harm(pair, direction, target, alpha_pass=alpha_pass, alpha_fail=alpha_fail, seed=seed)

    first = harm(1)[0]
    if first.value is None or first.n == 0 or first.clusters < 2 or first.value == margin:
        return Needed(None, "")
    passes = first.value < margin
    outcome = "pass" if passes else "fail"
    error = _error(base, tuned, direction, power)

    def lacking(times: int) -> float | None:
        """How much the bound lacks to clear the margin; None without an interval."""
        found = harm(times)[0 if passes else 1]
        if found.low is None or found.high is None:
            return None
        reach = found.high - margin if passes else margin - found.low
        return reach + error(found, passes) / (math.sqrt(times) if direction != "target" else 1.0)

    units = _search(lacking, first.n, abs(margin - first.value), _TILED[tuned.statistic.kind])
    return Needed(None, "") if units is None else Needed(max(units, first.n + 1), outcome)


def finest_margin(statistic: Statistic, n: int, alpha: float) -> float:
    """The finest margin that ``n`` units can show, whatever the formula.

    A share p of units that change over the whole range is in none of n units with probability (1 - p)^n. Where that is
    over alpha, such harm passes unseen more often than alpha, however narrow the interval of what was seen. Rates that
    rest on few changes have exact intervals that know this; formulas for means do not.

    Args:
        statistic: of the metric.
        n: units compared.
        alpha: one-sided level of the passing test.

    Returns:
        (1 - alpha^(1/n)) times the range, about 3 / n of it at 5 %; 0 for rates and for statistics without a range.
    """
    if statistic.kind == "rate" or statistic.exp or statistic.range is None or n < 1:
        return 0.0
    low, high = statistic.range
    return float((high - low) * -math.expm1(math.log(alpha) / n))


def units_for_margin(statistic: Statistic, margin: float, alpha: float) -> int | None:
    """The fewest units whose :func:`finest_margin` is no coarser than ``margin``; None where no number is.

    Args:
        statistic: of the metric.
        margin: as harm, in the metric's own unit.
        alpha: one-sided level of the passing test.
    """
    if margin <= 0:
        return None
    span = 1.0 if statistic.range is None else statistic.range[1] - statistic.range[0]
    return math.ceil(math.log(alpha) / math.log1p(-margin / span)) if margin < span else 1


def _repeat(units: Units, times: int) -> Units:
    """The rows with a value, several times over, each time as new clusters."""
    rows = units.ordered()
    return replace(
        rows,
        ids=tuple(f"{name} {turn}" for turn in range(times) for name in rows.ids),
        clusters=tuple(f"{name} {turn}" for turn in range(times) for name in rows.clusters),
        columns=np.tile(rows.columns, (times, 1)),
        labels={},
        counts=None,
        regroup=None,
    )


def _error(base: Units | None, tuned: Units, direction: Direction, power: float) -> Callable[[Harm, bool], float]:
    """z_power standard errors of the harm at the data's own size, from an interval.

    For a target, whose interval joins several contrasts, as the interval's own reach tells it at its own size.
    """
    z_power = intervals.z_value(2 * power - 1)

    def reached(found: Harm, passes: bool) -> float:
        assert found.value is not None and found.low is not None and found.high is not None
        reach = found.high - found.value if passes else found.value - found.low
        return z_power * reach / intervals.z_value(found.level)

    if direction == "target":
        return reached
    if base is None:
        rows = tuned.ordered()
        index, count = cluster_index(rows.clusters)
        sums = cluster_sums(rows.columns, index, count)
        side = sums[:, 0], sums[:, 1]
        _, influence = resample.difference_influence((side[0] * 0.0, side[1]), side, tuned.statistic)
    else:
        pair = pair_units(base, tuned)
        _, influence = resample.difference_influence(*pair.sums, tuned.statistic)
    own = z_power * math.sqrt(float(intervals.linearised_variance(influence)))
    return lambda found, passes: own


def _search(lacking: Callable[[int], float | None], n: int, distance: float, most: int) -> int | None:
    """Smallest number of units at which nothing is lacking, between whole repetitions by the power law they show."""
    largest = max(most // n, 2)
    times, before = 1, lacking(1)
    while before is not None and before > 0:
        if times >= largest:
            # Far enough for events to be many: from here on the reach shrinks with the root of n.
            units = math.ceil(n * times * ((before + distance) / distance) ** 2)
            return units if units <= MOST else None
        step = min(times * 2, largest)
        after = lacking(step)
        if after is None:
            return None
        if after <= 0:
            return _between(lacking, (times, before), (step, after), n, distance)
        times, before = step, after
    return None if before is None else n * times


def _between(
    lacking: Callable[[int], float | None], low: tuple[int, float], high: tuple[int, float], n: int, distance: float
) -> int:
    """Between two repetitions: halve while there are whole ones, then the power law of reach against n."""
    while high[0] - low[0] > 1:
        middle = (low[0] + high[0]) // 2
        found = lacking(middle)
        if found is None or found > 0:
            low = (middle, low[1] if found is None else found)
        else:
            high = (middle, found)
    first, second = low[1] + distance, max(high[1] + distance, 1e-300)
    slope = math.log(first / second) / math.log(high[0] / low[0])
    times = low[0] * min(math.exp(math.log(first / distance) / max(slope, 1e-9)), high[0] / low[0])
    return math.ceil(n * times)
