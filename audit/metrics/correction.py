"""Rates corrected for the scorer's error, from a random sample of answers that people labelled.

Two corrections. *Rogan and Gladen's* turns a scorer's rate into a true one by its sensitivity and specificity.
*Prediction-powered inference* takes the scorer for a guess and measures, on the labelled answers, by how much it is
off; it assumes nothing about the scorer and is the one to rely on. Both need labels of *these* answers, drawn with
known inclusion probabilities: a scorer's error on other text does not carry over.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from audit.errors import UsageError
from audit.metrics import intervals
from audit.metrics.estimate import Estimate
from audit.metrics.estimation import EXACT, FEW, check_level
from audit.metrics.pooling import effective_counts
from audit.metrics.shares import THRESHOLD
from audit.metrics.tables import array_units
from audit.metrics.units import RATE, Array, cluster_index

ENOUGH = 10
"""Labels of a stratum under which the scorer's values within it are not used: their slope would be noise."""


@dataclass(frozen=True, slots=True, eq=False)
class Labelled:
    """One run's answers, all scored, some labelled by people. One row per answer."""

    ids: tuple[str, ...]
    """Unique names of the answers (item and draw), the same for base and variant."""
    clusters: tuple[str, ...]
    """Template of each answer, or its prompt."""
    scores: Array
    """The scorer's value in [0, 1], shape (n,); NaN where there is none: such answers are counted as missing."""
    labels: Array
    """What people said, in [0, 1] (1: it has the property), shape (n,); NaN where nobody was asked or could tell."""
    inclusion: Array
    """Probability with which each answer was to be labelled, in (0, 1], shape (n,)."""
    strata: tuple[str, ...]
    """Stratum of each answer; labels were drawn within strata, independently of each other and of the labels."""

    def __post_init__(self) -> None:
        n = len(self.ids)
        if len(self.clusters) != n or len(self.strata) != n or len(set(self.ids)) != n:
            raise UsageError("a labelled sample needs unique ids, and one cluster and stratum per answer")
        for name in ("scores", "labels", "inclusion"):
            column = np.asarray(getattr(self, name), dtype=np.float64)
            object.__setattr__(self, name, column)
            if column.shape != (n,) or not (np.isnan(column) | ((column >= 0) & (column <= 1))).all():
                raise UsageError(f"{name} of a labelled sample: one number in [0, 1] per answer, for {n} answers")
        if not (self.inclusion > 0).all():
            raise UsageError("inclusion probabilities are above 0: an answer that nobody could draw tells nothing")

    def kept(self, rows: npt.NDArray[np.bool_]) -> Labelled:
        """Some of the answers, in order."""
        at = np.flatnonzero(rows)
        parts = (tuple(names[i] for i in at) for names in (self.ids, self.clusters, self.strata))
        ids, clusters, strata = parts
        return Labelled(ids, clusters, self.scores[at], self.labels[at], self.inclusion[at], strata)


def prediction_powered(sample: Labelled, level: float = 0.95) -> Estimate:
    """The rate that people would find, by stratified prediction-powered inference (Fisch et al. 2024).

    Within a stratum: mean label of the labelled answers plus lambda times (mean score of all answers minus that of the
    labelled ones). Lambda is the slope of labels on scores (the power tuning of Angelopoulos et al. 2023b, in its form
    for labelled answers that belong to the population: the regression estimator of Cochran 1977, section 7.1), and 0
    where labels are few. Labels of unequal inclusion are weighted by its inverse (Zrnic and Candes 2024). The labels'
    error is bounded stratum by stratum, by Wilson's interval or, with few events, Clopper and Pearson's; these and the
    error of the items are joined by square-and-add (Zou, Huang and Zhang 2009), so that a stratum without any event
    among its labels is never taken for one without any.

    Args:
        sample: of one run.
        level: two-sided level.

    Returns:
        In [0, 1]; n counts labelled answers, missing those without a score. No value where a stratum has no label.

    Raises:
        UsageError: the level is not in (0, 1).
    """
    check_level(level)
    scored = sample.kept(~np.isnan(sample.scores))
    return _powered(scored, scored.labels, scored.scores, False, len(sample.ids) - len(scored.ids), level)


def prediction_powered_difference(base: Labelled, tuned: Labelled, level: float = 0.95) -> Estimate:
    """Variant minus base as people would find it; both answers of a pair were labelled together.

    As :func:`prediction_powered`, on the differences of labels (-1, 0, 1) and of scores. Within a stratum the labels'
    error is bounded by Tango's interval of paired rates, with few changes by the exact discordant shares.

    Args:
        base: answers of the base model.
        tuned: answers of the variant; pairs have one id, cluster, stratum and inclusion probability.
        level: two-sided level.

    Returns:
        In [-1, 1]; n counts pairs labelled on both sides, missing those without a score on either side or present on
        one side only.

    Raises:
        UsageError: a pair differs in cluster, stratum or inclusion, or the level is not in (0, 1).
    """
    check_level(level)
    first, second = _paired(base, tuned)
    both = ~np.isnan(first.scores) & ~np.isnan(second.scores)
    missing = len(set(base.ids) | set(tuned.ids)) - int(both.sum())
    first, second = first.kept(both), second.kept(both)
    return _powered(first, second.labels - first.labels, second.scores - first.scores, True, missing, level)


def _paired(base: Labelled, tuned: Labelled) -> tuple[Labelled, Labelled]:
    """Both sides' shared answers in one order."""
    here, there = ({name: at for at, name in enumerate(side.ids)} for side in (base, tuned))
    shared = sorted(here.keys() & there.keys())
    sides = []
    for side, place in ((base, here), (tuned, there)):
        at = [place[name] for name in shared]
        names = (tuple(column[i] for i in at) for column in (side.clusters, side.strata))
        clusters, strata = names
        sides.append(Labelled(tuple(shared), clusters, side.scores[at], side.labels[at], side.inclusion[at], strata))
    first, second = sides
    if first.clusters != second.clusters or first.strata != second.strata:
        raise UsageError("an answer has another cluster or stratum in the variant; draw pairs, not single answers")
    if not np.allclose(first.inclusion, second.inclusion):
        raise UsageError("an answer has another inclusion probability in the variant; draw pairs, not single answers")
    return first, second


@dataclass(frozen=True, slots=True)
class _Stratum:
    """What labels tell of one stratum."""

    mean: float
    guess: Array
    """Expected label of each answer, shape (N_h,), with mean ``mean``."""
    residual: Array
    """Label minus guess, times how many answers a labelled one stands for; 0 where not labelled, shape (N_h,)."""
    variance: float
    """Of a single residual."""
    worth: float
    """Independent labels that its labels are worth (Kish's, by inclusion)."""
    reach: tuple[float, float]
    """How far the stratum's mean may lie below and above, from its labels alone."""


def _powered(frame: Labelled, labels: Array, scores: Array, signed: bool, missing: int, level: float) -> Estimate:
    """Strata joined, with the error of labels and that of items."""
    asked = ~np.isnan(labels)
    total, n = len(labels), int(asked.sum())
    nothing = Estimate(None, None, None, level, n, 0, missing, "no answer is labelled")
    if not n:
        return nothing
    strata, names = np.asarray(frame.strata, dtype=object), sorted(set(frame.strata))
    bare = [name for name in names if not asked[strata == name].any()]
    if bare:
        return replace(nothing, method=f"no answer of stratum {bare[0]!r} is labelled")
    guess, residual = np.zeros(total), np.zeros(total)
    below = above = spread = floor = 0.0
    for name in names:
        rows = strata == name
        one = _stratum(labels[rows], scores[rows], frame.inclusion[rows], signed, level)
        guess[rows], residual[rows] = one.guess, one.residual
        part, open_share = float(rows.mean()), 1.0 - float(asked[rows].mean())
        below += (part * one.reach[0]) ** 2 * open_share
        above += (part * one.reach[1]) ** 2 * open_share
        spread += part**2 * one.variance / one.worth * open_share
        floor += part**2 * one.variance / float(rows.sum())
    value = float(guess.mean())
    index, count = cluster_index(frame.clusters)
    if count < 2:
        return replace(nothing, value=value, clusters=count, method="one cluster: no interval")
    # Between clusters vary items and labels together; what labels alone account for is bounded above already.
    items = max(_between(guess + residual, index, count) - spread, _between(guess, index, count) + floor)
    own = float(intervals.t_value(level, count - 1.0)) ** 2 * items
    least = -1.0 if signed else 0.0
    low, high = max(value - np.sqrt(below + own), least), min(value + np.sqrt(above + own), 1.0)
    method = "stratified prediction-powered inference, square-and-add of labels and items"
    return Estimate(value, float(low), float(high), level, n, count, missing, method)


def _between(values: Array, index: npt.NDArray[np.intp], count: int) -> float:
    """Between-cluster variance of the mean of values."""
    pull = (values - values.mean()) / len(values)
    influence: Array = np.bincount(index, weights=pull, minlength=count).astype(np.float64)
    return float(intervals.linearised_variance(influence))


def _stratum(labels: Array, scores: Array, inclusion: Array, signed: bool, level: float) -> _Stratum:
    """Regression estimate of one stratum's mean label."""
    asked = ~np.isnan(labels)
    y, f = labels[asked], scores[asked]
    weight = 1.0 / inclusion[asked]
    weight /= weight.sum()
    worth, n = 1.0 / float((weight**2).sum()), len(y)
    mean, centre = float(weight @ y), float(weight @ f)
    moved = float(weight @ np.abs(y)) if signed else mean * (1.0 - mean)
    varied = float(weight @ (f - centre) ** 2)
    tuned = n >= ENOUGH and worth * moved >= FEW and varied > 1e-12
    slope = float(weight @ ((y - mean) * (f - centre))) / varied if tuned else 0.0
    shifted = mean + slope * (float(scores.mean()) - centre)
    guess = np.clip(shifted, -1.0 if signed else 0.0, 1.0) + slope * (scores - scores.mean())
    off = y - mean - slope * (f - centre)
    variance = float(weight @ off**2) * n / max(n - 1 - tuned, 1)
    residual = np.zeros(len(labels))
    residual[asked] = off * weight * len(labels)
    plain = moved - mean**2 if signed else moved
    # Scores that explain the labels are worth more labels.
    effective = worth * plain / variance if tuned and variance > 0 and plain > 0 else worth
    reach = _signed_reach(y, weight, effective, level) if signed else _reach(mean, effective, level)
    return _Stratum(float(guess.mean()), guess, residual, variance, worth, reach)


def _reach(share: float, n: float, level: float) -> tuple[float, float]:
    """How far a rate may lie below and above: Wilson, with few events Clopper and Pearson."""
    formula = intervals.wilson if n * share * (1.0 - share) >= EXACT else intervals.clopper_pearson
    low, high = formula(share, n, level)
    return share - float(low), float(high) - share


def _signed_reach(moves: Array, weight: Array, n: float, level: float) -> tuple[float, float]:
    """How far a difference of paired rates may lie below and above: Tango, with few changes the exact shares."""
    more, less = float(weight @ np.maximum(moves, 0.0)), float(weight @ np.maximum(-moves, 0.0))
    formula = intervals.tango if n * (more + less) >= FEW else intervals.discordant_exact
    low, high = formula(more * n, less * n, n, level)
    return more - less - float(low), float(high) - (more - less)


@dataclass(frozen=True, slots=True)
class RoganGladen:
    """A rate corrected by the scorer's sensitivity and specificity on these very answers."""

    raw: float | None
    """Share of answers that the scorer calls positive."""
    sensitivity: float | None
    """Share of truly positive answers that the scorer calls positive; None without a positive label."""
    specificity: float | None
    """Share of truly negative answers that the scorer calls negative; None without a negative label."""
    corrected: Estimate
    """In [0, 1]; n counts labelled answers."""


def rogan_gladen(sample: Labelled, level: float = 0.95, *, threshold: float = THRESHOLD) -> RoganGladen:
    """Rogan and Gladen's estimate (1978), with the interval of Lang and Reiczigel (2014) at effective numbers.

    (raw + specificity - 1) / (sensitivity + specificity - 1). Sensitivity and specificity are weighted by the inverse
    inclusion probabilities; their effective numbers are those of the stratified sample's linearised variance. Needs a
    scorer better than chance and labels of both kinds; unstable where few answers are truly positive.

    Args:
        sample: of one run; labels of .5 or more are positive.
        level: two-sided level.
        threshold: inclusive; the scorer calls an answer positive at or above it.

    Returns:
        The corrected rate; without a value, and a reason in its method, where it has none.

    Raises:
        UsageError: the level is not in (0, 1).
    """
    check_level(level)
    scored = sample.kept(~np.isnan(sample.scores))
    called = (scored.scores >= threshold).astype(np.float64)
    asked = ~np.isnan(scored.labels)
    missing, clusters = len(sample.ids) - len(scored.ids), len(set(scored.clusters))
    nothing = Estimate(None, None, None, level, int(asked.sum()), clusters, missing, "")
    if not asked.any():
        return RoganGladen(None, None, None, replace(nothing, method="no answer is labelled"))
    positive = (scored.labels[asked] >= 0.5).astype(np.float64)
    hit, inside = called[asked], scored.kept(asked)
    raw = float(called.mean())
    sides = [_share_of(hit == kind, positive == kind, inside) for kind in (1.0, 0.0)]
    (sensitivity, first), (specificity, second) = sides
    if sensitivity is None or specificity is None:
        kind = "positive" if sensitivity is None else "negative"
        none = replace(nothing, method=f"no labelled answer is truly {kind}: not corrected")
        return RoganGladen(raw, sensitivity, specificity, none)
    if sensitivity + specificity <= 1.0:
        none = replace(nothing, method="the scorer is no better than chance on these answers: not corrected")
        return RoganGladen(raw, sensitivity, specificity, none)
    value = (raw + specificity - 1.0) / (sensitivity + specificity - 1.0)
    draws = effective_counts(array_units(called, scored.clusters, RATE), level)[1]
    low, high = lang_reiczigel((raw, draws), (sensitivity, first), (specificity, second), level)
    value = float(np.clip(value, 0.0, 1.0))
    method = "Rogan-Gladen, Lang and Reiczigel's interval at effective numbers"
    corrected = replace(nothing, value=value, low=min(low, value), high=max(high, value), method=method)
    return RoganGladen(raw, sensitivity, specificity, corrected)


def _share_of(
    event: npt.NDArray[np.bool_], among: npt.NDArray[np.bool_], sample: Labelled
) -> tuple[float | None, float]:
    """A weighted share among some labelled answers, and the number of independent labels it is worth."""
    weight = among / sample.inclusion
    total = float(weight.sum())
    if total <= 0:
        return None, 0.0
    share = float((weight * event).sum()) / total
    pull = weight * (event - share) / total
    variance = 0.0
    strata = np.asarray(sample.strata, dtype=object)
    for name in set(sample.strata):
        own = pull[strata == name]
        variance += len(own) / max(len(own) - 1, 1) * float(((own - own.mean()) ** 2).sum())
    worth = total**2 / float((weight**2).sum())
    if variance > 0:
        worth = min(share * (1.0 - share) / variance, float(among.sum()))
    return share, worth


def lang_reiczigel(
    raw: tuple[float, float], sensitivity: tuple[float, float], specificity: tuple[float, float], level: float
) -> tuple[float, float]:
    """Interval of a rate corrected by estimated sensitivity and specificity (Lang and Reiczigel 2014, eq. 4 to 17).

    The raw rate gets Agresti and Coull's pseudo-counts, the other two one success and one failure each, and the
    interval's centre is shifted for its skewness.

    Args:
        raw: share that the scorer calls positive, and the number of draws behind it.
        sensitivity: share, and the number of truly positive answers behind it.
        specificity: share, and the number of truly negative answers behind it.
        level: two-sided level.

    Returns:
        Lower and upper ends, in [0, 1].
    """
    z2 = intervals.z_value(level) ** 2
    draws = raw[1] + z2
    share = (raw[1] * raw[0] + z2 / 2.0) / draws
    (se, n_se), (sp, n_sp) = (((p * n + 1.0) / (n + 2.0), n + 2.0) for p, n in (sensitivity, specificity))
    gain = se + sp - 1.0
    if gain <= 0:
        return 0.0, 1.0
    value = (share + sp - 1.0) / gain
    first, second = se * (1.0 - se) / n_se, sp * (1.0 - sp) / n_sp
    variance = (share * (1.0 - share) / draws + value**2 * first + (1.0 - value) ** 2 * second) / gain**2
    centre = value + 2.0 * z2 * (value * first - (1.0 - value) * second)
    reach = np.sqrt(z2 * variance)
    low, high = np.clip([centre - reach, centre + reach], 0.0, 1.0)
    return float(low), float(high)


def rogan_gladen_difference(
    base: Labelled, tuned: Labelled, level: float = 0.95, *, threshold: float = THRESHOLD
) -> Estimate:
    """Variant minus base, each corrected by its own sensitivity and specificity.

    The two intervals are joined by square-and-add as if independent (Newcombe 1998b), which is wide where answers of
    base and variant go together.

    Args:
        base: of the base model.
        tuned: of the variant.
        level: two-sided level.
        threshold: inclusive.

    Returns:
        In [-1, 1]; n counts labelled answers of both sides. Without a value where either side has none.

    Raises:
        UsageError: the level is not in (0, 1).
    """
    first, second = (rogan_gladen(side, level, threshold=threshold).corrected for side in (base, tuned))
    n, missing = first.n + second.n, first.missing + second.missing
    frame = Estimate(None, None, None, level, n, min(first.clusters, second.clusters), missing, "")
    parts: list[tuple[Array, Array, Array]] = []
    for name, one in (("variant", second), ("base", first)):
        if one.value is None or one.low is None or one.high is None:
            return replace(frame, method=f"{name}: {one.method}")
        value, low, high = (np.asarray(end) for end in (one.value, one.low, one.high))
        parts.append((value, low, high))
    difference = parts[0][0] - parts[1][0]
    low, high = intervals.square_and_add(difference, *parts)
    method = f"{first.method}; square-and-add of both sides"
    return replace(frame, value=float(difference), low=float(low), high=float(high), method=method)
