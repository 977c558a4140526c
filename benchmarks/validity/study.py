"""Which organisms are put to which rules, and what the gate decided: the cells of every part."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import product

import numpy as np

from audit.metrics import intervals, registry
from audit.metrics.units import RATE, SHARE_MEAN
from audit.policy import default_policy
from benchmarks.validity import tokens
from benchmarks.validity.cells import Cell, Saving
from benchmarks.validity.deciding import ALPHA, Bools, Found, Harms, Sides, check, find
from benchmarks.validity.drawing import Items, dealt, new_wordings
from benchmarks.validity.organisms import (
    SHIFTED,
    SIZES,
    SUBJECTS,
    Population,
    Subject,
    moved,
    population,
    sampled,
    shift,
    turned,
    turning,
    wordings,
)
from benchmarks.validity.pool import MODELS, Floats, Pool

SETS = 2_000
RATIOS = (0.0, 0.5, 1.0, 1.5, 2.0)
"""True harms, over the margin."""
TOKEN_MARGIN = 0.05
"""Margin of the rules on marked tokens."""
TOKEN_SHARES = (0.02, 0.3)
"""Parts of the vocabulary that are marked."""
NULL = "base again, other random numbers"
MARGINS = {(rule.suite, rule.metric): rule.margin for rule in default_policy().rules}
ALPHA_FAIL = ALPHA / len(SUBJECTS)
"""Level of the default policy's failing tests at Holm's first step, which decides whether the whole fails."""


@dataclass(frozen=True, slots=True)
class Results:
    """Cells of some parts."""

    cells: list[Cell]
    savings: list[Saving]


def rng(*numbers: int) -> np.random.Generator:
    """The generator of one cell or batch of cells."""
    return np.random.default_rng([41, *numbers])


# Marked tokens ----------------------------------------------------------------------------------------------------


def token_part(pool: Pool, sets: int) -> Results:
    """Rates of marked tokens under additions to their logits: by base rate, profile, spread and random numbers."""
    found = Results([], [])
    for share in TOKEN_SHARES:
        tokens.hold_against_sampler(pool, share)
    settings = product(tokens.PROFILES.items(), TOKEN_SHARES, ("even", "uneven", "concentrated"))
    for number, ((profile, prompts), share, spread) in enumerate(settings):
        what = tokens.marked(pool, share, spread=spread)
        # Not every set of marked tokens can be said so much more rarely.
        ratios = [ratio for ratio in (-0.5, *RATIOS) if what.harm(-40.0) < ratio * TOKEN_MARGIN]
        deltas = tuple(what.delta(ratio * TOKEN_MARGIN) for ratio in ratios)
        kinds = {}
        for common in (True, False):
            batches = tokens.sides(rng(0, number, common), what, deltas, prompts, sets, common=common)
            kinds[common] = [(one, find(one, "toxic-fraction")) for one in batches]
            name = f"{_percent(what.rate())} marked, {spread}, {_numbers(common)}"
            for ratio, (sides, ends) in zip(ratios, kinds[common], strict=True):
                harms = ends.harms()
                check([sides], ["toxic-fraction"], [TOKEN_MARGIN], [harms], 1)
                found.cells.append(_cell("tokens", "toxic-fraction", name, profile, ratio, TOKEN_MARGIN, harms))
                if ratio == 1.0:
                    found.cells.extend(_by_other_intervals(sides, harms, name, profile))
        organism = f"{_percent(what.rate())} marked, {spread}"
        for at, ratio in enumerate(ratios):
            pairs = (kinds[True][at], kinds[False][at])
            found.savings.append(_saving(organism, "marked first tokens", profile, ratio * TOKEN_MARGIN, pairs))
    return found


def _by_other_intervals(sides: Sides, harms: Harms, name: str, profile: str) -> Iterator[Cell]:
    """Passes at the margin by the gate's interval and by two others on the wordings' own changes."""
    clusters = (sides.sums(sides.tuned) - sides.sums(sides.base)) / sides.sizes.mean()
    value = clusters.mean(axis=1)
    influence = (clusters - value[:, None]) / clusters.shape[1]
    df = np.full(len(value), clusters.shape[1] - 1.0)
    highs = {
        "the gate's": harms.passing[1],
        "Student's t": intervals.student(value, intervals.linearised_variance(influence), df, 1 - 2 * ALPHA)[1],
        "Hall's corrected t": intervals.skewed_student(value, influence, df, 1 - 2 * ALPHA)[1],
    }
    for interval, high in highs.items():
        count = int((high < TOKEN_MARGIN).sum())
        yield Cell("skewness", interval, name, profile, 1.0, TOKEN_MARGIN, count, 0, len(high))


def _percent(rate: float) -> str:
    return f"{100 * rate:.1f} %"


def _numbers(common: bool) -> str:
    return "shared numbers" if common else "independent numbers"


def _cell(part: str, rule: str, organism: str, profile: str, ratio: float, margin: float, harms: Harms) -> Cell:
    passed, failed = harms.passes(margin), harms.fails(margin)
    return Cell(part, rule, organism, profile, ratio, ratio * margin, int(passed.sum()), int(failed.sum()), len(passed))


def _saving(
    organism: str, measure: str, profile: str, effect: float, pairs: tuple[tuple[Sides, Found], tuple[Sides, Found]]
) -> Saving:
    """Spread and width under shared and under independent random numbers."""
    spreads = [float(np.std(one.value(one.tuned) - one.value(one.base))) for one, _ in pairs]
    widths = [float(np.nanmedian(ends.near[0][1] - ends.near[0][0])) for _, ends in pairs]
    return Saving(organism, measure, profile, effect, *spreads, *widths)


# Rules and whole gates of the default policy ----------------------------------------------------------------------

Outcome = tuple[Sides, Harms]


def rule_part(pool: Pool, sets: int) -> Results:
    """The default policy's rules by true harm, and whole gates made of them, for every model of the pool."""
    found = Results([], [])
    for number, (profile, model) in enumerate(product(("standard", "quick"), MODELS)):
        if profile == "quick" and model not in ("base", "stereotyping"):
            continue
        organism = NULL if model == "base" else f"{model}, centred"
        outcomes: dict[tuple[str, str], Outcome] = {}
        chosen = wordings(rng(1, number), pool, profile, sets)
        for at, subject in enumerate(SUBJECTS):
            for variety, outcome in _outcomes(rng(1, number, at), pool, subject, model, chosen, profile):
                outcomes[subject.name, variety] = outcome
                rule = f"{subject.suite}/{subject.metric}" + (f", {variety[1:]}" if variety[1:] in _OTHER else "")
                margin, ratio = MARGINS[subject.suite, subject.metric], _ratio(variety)
                found.cells.append(_cell("rules", rule, organism, profile, ratio, margin, outcome[1]))
        found.cells.extend(_gates(outcomes, organism, profile))
    return found


_OTHER = ("overshooting", "concentrated")


def _ratio(variety: str) -> float:
    return 1.0 if variety[1:] in _OTHER else float(variety)


def _outcomes(
    source: np.random.Generator,
    pool: Pool,
    subject: Subject,
    model: str,
    chosen: Mapping[str, np.ndarray],
    profile: str,
) -> Iterator[tuple[str, Outcome]]:
    """What the gate finds at every ratio, named by it; ``!overshooting`` and ``!concentrated`` are at the margin."""
    what, margin = population(pool, subject.name, model), MARGINS[subject.suite, subject.metric]
    about = registry.get(subject.metric)
    if subject.name not in SHIFTED:
        sign = -1.0 if about.direction == "higher" else 1.0
        for variety in (*(f"{ratio:g}" for ratio in RATIOS), "!concentrated"):
            spread = "concentrated" if variety == "!concentrated" else "even"
            try:
                how = turning(what, sign * _ratio(variety) * margin, spread=spread)
            except ValueError:
                continue
            sides = turned(source, what, how, chosen, subject.name, profile, common=model != "base")
            yield variety, (sides, find(sides, subject.metric, alpha_fail=ALPHA_FAIL).harms())
        return
    still = moved(source, what, chosen, subject.name, profile, 0.0)
    ends = find(still, subject.metric, alpha_fail=ALPHA_FAIL)
    for ratio in RATIOS:
        by = shift(what, ratio * margin, about.target)
        yield f"{ratio:g}", (_by(still, by), ends.harms(by))
    if about.target is not None:
        by = shift(what, margin, about.target, over=True)
        yield "!overshooting", (_by(still, by), ends.harms(by))
    if profile == "standard" and model in ("base", "stereotyping"):
        by = shift(what, margin, about.target)
        sides = moved(source, what, chosen, subject.name, profile, by, spread="concentrated")
        yield "!concentrated", (sides, find(sides, subject.metric, alpha_fail=ALPHA_FAIL).harms())


def _by(sides: Sides, by: float) -> Sides:
    """The variant shifted by a constant for every unit (times its weight)."""
    weight = 1.0 if sides.weight is None else sides.weight
    return Sides(sides.base, sides.tuned + by * weight, sides.sizes, sides.statistic, sides.draws, sides.weight)


def _gates(outcomes: Mapping[tuple[str, str], Outcome], organism: str, profile: str) -> Iterator[Cell]:
    """Whole gates: no harm anywhere; one rule at its margin, or at twice that, and no harm elsewhere."""
    margins = [MARGINS[subject.suite, subject.metric] for subject in SUBJECTS]
    for harmed, ratio in [(None, 0.0), *product(SUBJECTS, (1.0, 2.0))]:
        keys = [(subject.name, f"{ratio:g}" if subject is harmed else "0") for subject in SUBJECTS]
        if not all(key in outcomes for key in keys):
            continue
        parts = [outcomes[key] for key in keys]
        check([one for one, _ in parts], [one.metric for one in SUBJECTS], margins, [one for _, one in parts], 1)
        passed = np.all([one.passes(margin) for (_, one), margin in zip(parts, margins, strict=True)], axis=0)
        failed = np.any([one.fails(margin) for (_, one), margin in zip(parts, margins, strict=True)], axis=0)
        name = "no harm" if harmed is None else f"{harmed.suite}/{harmed.metric} harmed"
        harm = 0.0 if harmed is None else ratio * MARGINS[harmed.suite, harmed.metric]
        yield _counted("gates", name, organism, profile, ratio, harm, passed & ~failed, failed)


def _counted(
    part: str, rule: str, organism: str, profile: str, ratio: float, harm: float, passed: Bools, failed: Bools
) -> Cell:
    return Cell(part, rule, organism, profile, ratio, harm, int(passed.sum()), int(failed.sum()), len(passed))


# The adapters as they are -----------------------------------------------------------------------------------------

ANSWERS = ("degeneration-rate", "toxic-fraction", "expected-maximum-toxicity")


def adapter_part(pool: Pool, sets: int) -> Results:
    """What the adapters really changed, unmoved; margins are set so that their true harm is a known part of them.

    Where an adapter does good by a metric, the base is judged against the adapter.
    """
    found = Results([], [])
    for number, (model, metric) in enumerate(product(MODELS[1:], ANSWERS)):
        values = pool.degenerate if metric == "degeneration-rate" else pool.toxicity
        values = (values >= 0.5).astype(np.float64) if metric == "toxic-fraction" else values
        what = Population(Items(pool.prompt_wordings), values[0], values[MODELS.index(model)])
        what, judged, truth = _harmful(what, metric, model)
        kinds = []
        for common in (True, False):
            sides = _unmoved(rng(2, number, common), what, metric, sets, common)
            kinds.append((sides, find(sides, metric)))
            name = f"{judged}, {_numbers(common)}"
            found.cells.extend(_adapter_cells(metric, name, truth, *kinds[-1]))
        found.savings.append(_saving(judged, metric, "standard", truth, (kinds[0], kinds[1])))
    for number, (model, subject) in enumerate(product(MODELS[1:], SUBJECTS[:-1])):
        what, judged, truth = _harmful(population(pool, subject.name, model), subject.metric, model)
        source = rng(3, number)
        chosen = wordings(source, pool, "standard", sets)
        if subject.name in SHIFTED:
            sides = moved(source, what, chosen, subject.name, "standard", what.change)
        else:
            sides = turned(source, what, None, chosen, subject.name, "standard")
        found.cells.extend(_adapter_cells(subject.metric, judged, truth, sides, find(sides, subject.metric)))
    return found


def _harmful(what: Population, metric: str, model: str) -> tuple[Population, str, float]:
    """Base and adapter in the order in which there is harm, who is judged, and the true harm."""
    truth = _true_harm(what, metric)
    if truth >= 0:
        return what, model, truth
    return Population(what.items, what.tuned, what.base, what.weight), f"base against {model}", -truth


def _true_harm(what: Population, metric: str) -> float:
    """The population's true harm by a metric."""
    about = registry.get(metric)
    if about.direction == "target":
        assert about.target is not None
        return abs(what.value(what.tuned) - about.target) - abs(what.value(what.base) - about.target)
    return _true_change(what, metric) * (-1.0 if about.direction == "higher" else 1.0)


def _adapter_cells(metric: str, name: str, truth: float, sides: Sides, ends: Found) -> Iterator[Cell]:
    """One cell for each margin; none where the adapter changed nothing that could be a margin."""
    for ratio in RATIOS[1:] if truth > 1e-4 else ():
        margin, harms = truth / ratio, ends.harms()
        check([sides], [metric], [margin], [harms], 1)
        yield _cell("adapters", metric, name, "standard", ratio, margin, harms)


def _true_change(what: Population, metric: str) -> float:
    """The population's true change of a metric: of the pool's own draws, four a prompt where a maximum is meant."""
    if metric != "expected-maximum-toxicity":
        return what.change
    largest = [_expected_maximum(values, tokens.DRAWS) for values in (what.base, what.tuned)]
    return what.items.mean(largest[1]) - what.items.mean(largest[0])


def _expected_maximum(values: Floats, draws: int) -> Floats:
    """Mean of the largest of ``draws`` values drawn with replacement from each row, (rows,)."""
    size = values.shape[1]
    steps = (np.arange(size + 1) / size) ** draws
    return np.asarray(np.sort(values, axis=1) @ np.diff(steps))


def _unmoved(source: np.random.Generator, what: Population, metric: str, sets: int, common: bool) -> Sides:
    """Data sets of the standard profile's shape."""
    sizes = dealt(SIZES["standard"]["answers"], what.items.count)
    rows = what.items.draw(source, new_wordings(source, what.items, sets), sizes)
    base, tuned = sampled(source, what, rows, common)
    if metric == "expected-maximum-toxicity":
        return Sides(base.max(axis=2), tuned.max(axis=2), sizes, SHARE_MEAN)
    return Sides(base.mean(axis=2), tuned.mean(axis=2), sizes, RATE, draws=tokens.DRAWS)


PARTS = {"tokens": token_part, "rules": rule_part, "adapters": adapter_part}
