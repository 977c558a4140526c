"""Small groups drawn towards the others: against integration and simulation."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import special

from audit.errors import UsageError
from audit.metrics.pooling import effective_counts, pool
from audit.metrics.units import MEAN, RATE, Units


def units(counts, statistic=RATE, draws=1) -> Units:
    """(events, units) per group, each unit its own cluster."""
    values, labels = [], []
    for number, (events, size) in enumerate(counts):
        values += [1.0] * events + [0.0] * (size - events)
        labels += [f"g{number:02d}"] * size
    names = tuple(f"u{i:05d}" for i in range(len(values)))
    columns = np.stack([np.array(values), np.ones(len(values))], axis=1)
    return Units(names, names, columns, statistic, labels={"group": tuple(labels)}, draws=draws)


COUNTS = [(0, 10), (3, 12), (6, 40)]


def test_pooled_values_are_the_integrals_of_the_model():
    """A grid of its own: even in the mean and in the inverse root of the size, 400 by 400."""
    steps = (np.arange(400) + 0.5) / 400
    mean, root = np.meshgrid(steps, steps)
    a, b = mean / root**2, (1 - mean) / root**2
    chance = np.ones_like(a)
    for x, n in COUNTS:
        chance *= np.exp(special.betaln(a + x, b + n - x) - special.betaln(a, b))
    found = pool(units(COUNTS))
    for (x, n), one in zip(COUNTS, found.groups.values(), strict=True):
        expected = (chance * (a + x) / (a + b + n)).sum() / chance.sum()
        assert one.pooled.value == pytest.approx(expected, rel=0.01)
        low, high = ((chance * special.betainc(a + x, b + n - x, end)).sum() / chance.sum()
                     for end in (one.pooled.low, one.pooled.high))  # fmt: skip
        assert (low, high) == (pytest.approx(0.025, abs=0.003), pytest.approx(0.975, abs=0.003))


def test_few_draws_are_drawn_further_and_many_stay():
    found = pool(units([(5, 5), (50, 1000), (60, 1000), (40, 1000), (55, 1000)]))
    small, large = found.groups["g00"], found.groups["g01"]
    assert small.raw.value == 1.0
    assert small.weight < large.weight
    assert small.pooled.value < small.raw.value
    assert large.pooled.value == pytest.approx(0.05, abs=0.01)
    assert large.raw.low <= large.pooled.value <= large.raw.high


def test_equal_groups_borrow_and_unlike_groups_do_not():
    alike = pool(units([(4, 20)] * 8))
    apart = pool(units([(1, 20), (19, 20)] * 4))
    width = {name: one.pooled.high - one.pooled.low for name, one in alike.groups.items()}
    assert all(width[name] < one.raw.high - one.raw.low for name, one in alike.groups.items())
    assert alike.spread.value < 0.1 < apart.spread.low


def test_effective_counts_are_those_of_korn_and_graubard():
    rng = np.random.default_rng(0)
    shares = rng.beta(2, 4, 50)
    draws = rng.binomial(10, shares) / 10
    names = tuple(f"{i:03d}" for i in range(50))
    table = Units(names, names, np.stack([draws, np.ones(50)], axis=1), RATE, draws=10)
    events, n = effective_counts(table)
    assert events / n == pytest.approx(draws.mean())
    plain = draws.mean() * (1 - draws.mean()) / (draws.var(ddof=1) / 50)
    assert n == pytest.approx(plain, rel=0.05)  # but for the degrees of freedom
    assert effective_counts(table.take([])) == (0.0, 0.0)


def test_a_group_without_a_value_gets_what_the_others_say():
    table = units([(2, 20), (3, 20), (0, 4)])
    table.columns[40:] = np.nan
    found = pool(table).groups["g02"]
    assert (found.raw.value, found.weight, found.pooled.missing) == (None, None, 4)
    assert 0.02 < found.pooled.value < 0.4
    assert found.pooled.high - found.pooled.low > 0.2


def test_no_value_at_all_gives_none():
    table = units([(0, 3), (0, 3)])
    table.columns[:] = np.nan
    found = pool(table)
    assert found.spread.value is None
    assert found.groups["g00"].pooled.value is None


def test_what_cannot_be_pooled_is_refused():
    with pytest.raises(UsageError, match="only rates"):
        pool(units(COUNTS, MEAN))
    with pytest.raises(UsageError, match="two groups"):
        pool(units(COUNTS[:1]))


@pytest.mark.slow
@pytest.mark.parametrize(("groups", "rate", "size", "n"), [(3, 0.2, 10, 8), (13, 0.05, 20, 30), (8, 0.1, 1000, 15)])
def test_pooled_intervals_hold_on_average_and_are_narrower(groups, rate, size, n):
    rng = np.random.default_rng([1, groups])
    held, widths, errors = 0, [], []
    sets = 40
    for _ in range(sets):
        truth = rng.beta(rate * size, (1 - rate) * size, groups)
        found = pool(units([(int(x), n) for x in rng.binomial(n, truth)]))
        for value, one in zip(truth, found.groups.values(), strict=True):
            held += one.pooled.low <= value <= one.pooled.high
            widths.append((one.pooled.high - one.pooled.low, one.raw.high - one.raw.low))
            errors.append(((one.pooled.value - value) ** 2, (one.raw.value - value) ** 2))
    assert held / (sets * groups) >= 0.93 - 2 * np.sqrt(0.93 * 0.07 / (sets * groups))
    assert np.mean(widths, axis=0)[0] < 0.9 * np.mean(widths, axis=0)[1]
    assert np.mean(errors, axis=0)[0] < np.mean(errors, axis=0)[1]
