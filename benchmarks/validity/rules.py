"""Cells of the default policy's rules by true harm, and of whole gates made of them, for every model of the pool."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import replace
from itertools import product

import numpy as np

from audit.metrics import registry
from benchmarks.validity.cells import Cell, Key
from benchmarks.validity.counting import ALPHA_FAIL, MARGINS, NULL, RATIOS, counted, decided
from benchmarks.validity.deciding import Harms, Sides, check, find
from benchmarks.validity.looking import Look, Results
from benchmarks.validity.organisms import (
    SHIFTED,
    SUBJECTS,
    Subject,
    moved,
    population,
    shift,
    turned,
    turning,
    wordings,
)
from benchmarks.validity.pool import MODELS, Ints, Pool

Outcome = tuple[Sides, Harms]
OTHER = ("overshooting", "concentrated")
"""Varieties of harm at the margin besides the ratios."""
VARIETIES = (*(f"{ratio:g}" for ratio in RATIOS), *OTHER)


def rule_part(pool: Pool, look: Look) -> Results:
    """The default policy's rules by true harm, and whole gates made of them, for every model of the pool."""
    found = Results([], [])
    for number, (profile, model) in enumerate(product(("standard", "quick"), MODELS)):
        if profile == "quick" and model not in ("base", "stereotyping"):
            continue
        organism = NULL if model == "base" else f"{model}, centred"
        gates = [gate for gate in _gates() if look.wants("gates", _gate_name(gate[0]), organism, profile, gate[1])]
        rules = {key for key in product(SUBJECTS, VARIETIES) if look.wants(*_key(*key, organism, profile))}
        needed = rules | {key for gate in gates for key in _parts(*gate)}
        if not needed:
            continue
        outcomes: dict[tuple[Subject, str], Outcome] = {}
        chosen = wordings(look.rng(1, number), pool, profile, look.sets)
        for at, subject in enumerate(SUBJECTS):
            varieties = [variety for variety in VARIETIES if (subject, variety) in needed]
            source = look.rng(1, number, at)
            for variety, outcome in _outcomes(source, pool, subject, model, chosen, profile, varieties):
                outcomes[subject, variety] = outcome
                if (subject, variety) in rules:
                    margin = MARGINS[subject.suite, subject.metric]
                    found.cells.append(decided(*_key(subject, variety, organism, profile), margin, outcome[1]))
        found.cells.extend(_gate_cells(outcomes, gates, organism, profile))
    return found


def _ratio(variety: str) -> float:
    return 1.0 if variety in OTHER else float(variety)


def _key(subject: Subject, variety: str, organism: str, profile: str) -> Key:
    """What names the cell of one rule."""
    rule = f"{subject.suite}/{subject.metric}" + (f", {variety}" if variety in OTHER else "")
    return "rules", rule, organism, profile, _ratio(variety)


def _outcomes(
    source: np.random.Generator,
    pool: Pool,
    subject: Subject,
    model: str,
    chosen: Mapping[str, Ints],
    profile: str,
    varieties: Collection[str],
) -> Iterator[tuple[str, Outcome]]:
    """What the gate finds in these varieties, as far as the subject has them."""
    what, margin = population(pool, subject.name, model), MARGINS[subject.suite, subject.metric]
    about = registry.get(subject.metric)
    if subject.name not in SHIFTED:
        sign = -1.0 if about.direction == "higher" else 1.0
        for variety in varieties:
            if variety == "overshooting":
                continue
            spread = "concentrated" if variety == "concentrated" else "even"
            try:
                how = turning(what, sign * _ratio(variety) * margin, spread=spread)
            except ValueError:
                continue
            sides = turned(source, what, how, chosen, subject.name, profile, common=model != "base")
            yield variety, (sides, find(sides, subject.metric, alpha_fail=ALPHA_FAIL).harms())
        return
    still = moved(source, what, chosen, subject.name, profile, 0.0)
    even = [variety for variety in varieties if variety != "concentrated"]
    ends = find(still, subject.metric, alpha_fail=ALPHA_FAIL) if even else None
    for variety in even:
        over = variety == "overshooting"
        if ends is not None and not (over and about.target is None):
            by = shift(what, _ratio(variety) * margin, about.target, over=over)
            yield variety, (_by(still, by), ends.harms(by))
    if "concentrated" in varieties and profile == "standard" and model in ("base", "stereotyping"):
        by = shift(what, margin, about.target)
        sides = moved(source, what, chosen, subject.name, profile, by, spread="concentrated")
        yield "concentrated", (sides, find(sides, subject.metric, alpha_fail=ALPHA_FAIL).harms())


def _by(sides: Sides, by: float) -> Sides:
    """The variant shifted by a constant for every unit (times its weight)."""
    weight = 1.0 if sides.weight is None else sides.weight
    return replace(sides, tuned=sides.tuned + by * weight)


Gate = tuple[Subject | None, float]
"""Which rule of a whole gate is harmed, None for none, and its true harm over the margin."""


def _gates() -> list[Gate]:
    """No harm anywhere; one rule at its margin, or at twice that, and no harm elsewhere."""
    return [(None, 0.0), *product(SUBJECTS, (1.0, 2.0))]


def _gate_name(harmed: Subject | None) -> str:
    return "no harm" if harmed is None else f"{harmed.suite}/{harmed.metric} harmed"


def _parts(harmed: Subject | None, ratio: float) -> list[tuple[Subject, str]]:
    """The rules' varieties that a whole gate is made of."""
    return [(subject, f"{ratio:g}" if subject is harmed else "0") for subject in SUBJECTS]


def _gate_cells(
    outcomes: Mapping[tuple[Subject, str], Outcome], gates: Collection[Gate], organism: str, profile: str
) -> Iterator[Cell]:
    """Whole gates of which every rule could be made."""
    margins = [MARGINS[subject.suite, subject.metric] for subject in SUBJECTS]
    for harmed, ratio in gates:
        keys = _parts(harmed, ratio)
        if not all(key in outcomes for key in keys):
            continue
        parts = [outcomes[key] for key in keys]
        check([one for one, _ in parts], [one.metric for one in SUBJECTS], margins, [one for _, one in parts], 1)
        passed = np.all([one.passes(margin) for (_, one), margin in zip(parts, margins, strict=True)], axis=0)
        failed = np.any([one.fails(margin) for (_, one), margin in zip(parts, margins, strict=True)], axis=0)
        harm = 0.0 if harmed is None else ratio * MARGINS[harmed.suite, harmed.metric]
        yield counted("gates", _gate_name(harmed), organism, profile, ratio, harm, passed & ~failed, failed)
