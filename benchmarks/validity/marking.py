"""Cells of marked tokens: rates under additions to their logits, by base rate, profile, spread and random numbers."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product

import numpy as np

from audit.metrics import intervals
from benchmarks.validity import tokens
from benchmarks.validity.cells import Cell
from benchmarks.validity.counting import RATIOS, decided, numbers, percent, saving
from benchmarks.validity.deciding import ALPHA, Harms, Sides, check, find
from benchmarks.validity.looking import Look, Results
from benchmarks.validity.pool import Pool

MARGIN = 0.05
"""Of the rules on marked tokens."""
SHARES = (0.02, 0.3)
"""Parts of the vocabulary that are marked."""
RULE = "toxic-fraction"


def token_part(pool: Pool, look: Look) -> Results:
    """Rates of marked tokens under additions to their logits."""
    found = Results([], [])
    for share in SHARES if look.wanted is None else ():
        tokens.hold_against_sampler(pool, share)
    settings = product(tokens.PROFILES, SHARES, ("even", "uneven", "concentrated"))
    for number, (profile, share, spread) in enumerate(settings):
        what = tokens.marked(pool, share, spread=spread)
        organism = f"{percent(what.rate())} marked, {spread}"
        # Not every set of marked tokens can be said so much more rarely.
        ratios = [ratio for ratio in (-0.5, *RATIOS) if what.harm(-40.0) < ratio * MARGIN]
        kinds = {}
        for common in (True, False):
            name = f"{organism}, {numbers(common)}"
            chosen = [ratio for ratio in ratios if look.wants("tokens", RULE, name, profile, ratio)]
            if not chosen:
                continue
            deltas, source = tuple(what.delta(ratio * MARGIN) for ratio in chosen), look.rng(0, number, common)
            batches = tokens.sides(source, what, deltas, tokens.PROFILES[profile], look.sets, common=common)
            kinds[common] = [(one, find(one, RULE)) for one in batches]
            for ratio, (sides, ends) in zip(chosen, kinds[common], strict=True):
                harms = ends.harms()
                check([sides], [RULE], [MARGIN], [harms], 1)
                found.cells.append(decided("tokens", RULE, name, profile, ratio, MARGIN, harms))
                if ratio == 1.0 and look.wanted is None:
                    found.cells.extend(_by_other_intervals(sides, harms, name, profile))
        for at, ratio in enumerate(ratios if look.wanted is None else ()):
            pairs = (kinds[True][at], kinds[False][at])
            found.savings.append(saving(organism, "marked first tokens", profile, ratio * MARGIN, pairs))
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
        count = int((high < MARGIN).sum())
        yield Cell("skewness", interval, name, profile, 1.0, MARGIN, count, 0, len(high))
