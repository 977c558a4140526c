"""Every metric as harm: positive is worse, whatever its direction.

For a target t the harm of a variant is how much further from t it lies than the base: |tuned - t| - |base - t|.
With s the side of t on which the base lies, that is the larger of two contrasts, s (tuned - base), the near side,
and s (2t - tuned - base), the far side: a variant may do harm by going further, or by overshooting.
"""

from __future__ import annotations

from dataclasses import dataclass

from audit.errors import UsageError
from audit.metrics.estimation import estimate
from audit.metrics.paired import Contrast, Pair, contrast
from audit.metrics.units import Units
from audit.schema import Direction


@dataclass(frozen=True, slots=True)
class Harm:
    """Harm with one-sided bounds: each end holds by itself at ``1 - alpha``."""

    value: float | None
    low: float | None
    """Lower bound: a rule fails where it lies over the margin."""
    high: float | None
    """Upper bound: a rule passes where it lies under the margin."""
    level: float
    """Two-sided level of the interval(s) behind it."""
    method: str
    n: int
    clusters: int
    missing: int


def paired_harm(
    pair: Pair, direction: Direction, target: float | None, *, alpha_pass: float, alpha_fail: float, seed: int = 0
) -> tuple[Harm, Harm]:
    """Harm of a variant against its base, as a passing and as a failing test read it.

    Args:
        pair: aligned units.
        direction: of the metric.
        target: the neutral value where the direction is ``target``.
        alpha_pass: one-sided level of the test that lets a rule pass.
        alpha_fail: one-sided level of the test that fails it (after Holm).
        seed: of the bootstrap.

    Returns:
        Harm at ``alpha_pass`` and at ``alpha_fail``.

    Raises:
        UsageError: the direction is ``target`` and there is no target.
    """
    if direction == "target":
        if target is None:
            raise UsageError("a metric whose direction is 'target' needs a target")
        # Either side may fail a rule, so each is tested at half the level.
        return (
            _band(pair, target, 1 - 2 * alpha_pass, seed),
            _band(pair, target, 1 - alpha_fail, seed),
        )
    first, second = (
        _oriented(contrast(pair, level=1 - 2 * alpha, seed=seed), direction) for alpha in (alpha_pass, alpha_fail)
    )
    return first, second


def _oriented(found: Contrast, direction: Direction) -> Harm:
    """A contrast as harm: turned round where higher is better."""
    parts = (found.value, found.low, found.high)
    value, low, high = parts if direction == "lower" else _negated(*parts)
    return Harm(value, low, high, found.level, found.method, found.n, found.clusters, found.missing)


def _negated(
    value: float | None, low: float | None, high: float | None
) -> tuple[float | None, float | None, float | None]:
    """The mirrored interval; 0 stays 0, not -0."""
    return (
        None if value is None else 0.0 - value,
        None if high is None else 0.0 - high,
        None if low is None else 0.0 - low,
    )


def _band(pair: Pair, target: float, level: float, seed: int) -> Harm:
    """Harm towards a target: bounds of |tuned - t| - |base - t|.

    Where the base's own interval (at a tenth of the error) holds the target its side is not known. Then the upper
    bound is that of |tuned - base|, which harm cannot exceed, and the lower bound is the smaller of the two sides'.
    """
    near, far = contrast(pair, level=level, seed=seed), contrast(pair, level=level, seed=seed, sign=-1.0)
    shared = (level, near.method, near.n, near.clusters, near.missing)
    before, after = pair.base.value(), pair.tuned.value()
    if before is None or after is None:
        return Harm(None, None, None, *shared)
    value = abs(after - target) - abs(before - target)
    if near.low is None or near.high is None or far.low is None or far.high is None:
        return Harm(value, None, None, *shared)
    # The side must be far surer than the test it feeds: a base on the target that is taken for one below it would let
    # a variant above it pass, and that error adds to the test's own.
    own = estimate(pair.base, 1 - (1 - level) / 10, seed)
    unknown = own.low is None or own.high is None or own.low <= target <= own.high
    sides = (1.0, -1.0) if unknown else (1.0 if before > target else -1.0,)
    # sigma: the side of the target on which the variant would lie; s: the side on which the base lies.
    # sigma (tuned - t) - s (base - t) is sigma (tuned - base) for s = sigma, else sigma (tuned + base - 2t).
    total = (far.low - 2 * target, far.high - 2 * target)
    ends = {}
    for sigma in (1.0, -1.0):
        for s in sides:
            low, high = (near.low, near.high) if s == sigma else total
            ends[sigma, s] = (low, high) if sigma > 0 else (-high, -low)
    # By the reverse triangle inequality harm is never more than |tuned - base|: while the base's side is not known, a
    # variant passes by staying near its base, two one-sided tests each at the full level.
    upper = max(near.high, -near.low) if unknown else max(high for _, high in ends.values())
    lower = max(min(ends[sigma, s][0] for s in sides) for sigma in (1.0, -1.0))
    method = near.method if near.method == far.method else f"{near.method}; far side: {far.method}"
    return Harm(value, lower, upper, level, f"{method}; band around {target:g}", near.n, near.clusters, near.missing)


def absolute_harm(
    units: Units, direction: Direction, target: float | None, *, alpha_pass: float, alpha_fail: float, seed: int = 0
) -> tuple[Harm, Harm]:
    """Harm of one model by itself: its value (lower is better), its negative (higher), or its distance from the target.

    Args:
        units: of the model.
        direction: of the metric.
        target: the neutral value where the direction is ``target``.
        alpha_pass: one-sided level of the passing test.
        alpha_fail: one-sided level of the failing test.
        seed: of the bootstrap.

    Returns:
        Harm at ``alpha_pass`` and at ``alpha_fail``.

    Raises:
        UsageError: the direction is ``target`` and there is no target.
    """
    if direction == "target" and target is None:
        raise UsageError("a metric whose direction is 'target' needs a target")
    # Both sides of a target may fail the rule: half the level each.
    fail_level = 1 - alpha_fail if direction == "target" else 1 - 2 * alpha_fail
    first, second = (_absolute(units, direction, target, level, seed) for level in (1 - 2 * alpha_pass, fail_level))
    return first, second


def _absolute(units: Units, direction: Direction, target: float | None, level: float, seed: int) -> Harm:
    """One estimate as harm."""
    found = estimate(units, level, seed)
    value, low, high = found.value, found.low, found.high
    if direction == "higher":
        value, low, high = _negated(value, low, high)
    elif direction == "target" and value is not None:
        assert target is not None
        value = abs(value - target)
        if low is not None and high is not None:
            low, high = max(low - target, target - high), max(high - target, target - low)
    return Harm(value, low, high, level, found.method, found.n, found.clusters, found.missing)
