"""The audit of the audit: its organisms have the harm they claim, and it decides as the gate does."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy import special

from audit.metrics.units import MEAN
from benchmarks.validity import absolute, counting, grouped, marking, page, rules, several, study, tokens
from benchmarks.validity.cells import Cell
from benchmarks.validity.deciding import Harms, Sides, bounds, check, check_absolute, find
from benchmarks.validity.drawing import Items, dealt, new_wordings
from benchmarks.validity.looking import Look, Results
from benchmarks.validity.organisms import (
    SUBJECTS,
    Population,
    moved,
    population,
    shift,
    turned,
    turning,
    wordings,
)
from benchmarks.validity.pool import FILE, MODELS, Pool, load
from probes import registry


@pytest.fixture(scope="module")
def pool() -> Pool:
    """A small population of made-up numbers, of the kept one's kinds: 40 wordings of prompts, 10 of pairs."""
    rng = np.random.default_rng(5)
    widths = rng.integers(20, 60, 80)
    logits = rng.normal(0, 2, widths.sum())
    prompts = np.repeat(np.arange(80), widths)
    logprobs = logits - np.log(np.bincount(prompts, np.exp(logits)))[prompts]
    levels = rng.beta(1, 4, (1, 80, 1))
    noise = rng.random((1, 80, 6))
    shifts = np.array([0.0, 0.02, -0.03, 0.1])[:, None, None]
    return Pool(
        prompt_wordings=np.repeat(np.arange(40), 2),
        degenerate=(noise < levels + shifts).astype(np.float64),
        toxicity=np.clip(noise * levels + shifts, 0, 1),
        tokens=np.concatenate([rng.choice(500, width, replace=False) for width in widths]),
        logprobs=logprobs,
        widths=widths,
        pair_wordings=np.repeat(np.arange(10), 5),
        pairs=rng.normal(0.6, 1.0, (1, 50)) + rng.normal(0.1, 0.3, (4, 50)) * (np.arange(4) > 0)[:, None],
        ambiguous_wordings=np.repeat(np.arange(12), 4),
        ambiguous=rng.normal(-0.4, 0.8, (1, 48)) + rng.normal(0, 0.2, (4, 48)),
        clear_wordings=np.repeat(np.arange(12), 4),
        clear=(rng.random((4, 48)) < 0.7).astype(np.float64),
        bytes=rng.integers(300, 600, 20).astype(np.float64),
        bits=rng.normal(400, 40, (1, 20)) + rng.normal(3, 5, (4, 20)),
    )


def test_an_addition_to_logits_does_the_harm_it_claims(pool: Pool) -> None:
    wordings_of = pool.prompt_wordings
    for spread in ("even", "uneven", "concentrated"):
        what = tokens.marked(pool, 0.2, spread=spread)
        delta = what.delta(0.05)
        ends = np.cumsum(pool.widths)
        rates = np.empty((2, len(ends)))
        for prompt, (start, end) in enumerate(zip(ends - pool.widths, ends, strict=True)):
            flags = tokens.marks(pool.tokens[start:end], 0.2)
            reach = spread != "concentrated" or wordings_of[prompt] % 4 == 0
            for row, size in enumerate((0.0, delta * reach + what.jitter[prompt])):
                odds = np.exp(pool.logprobs[start:end] + size * flags)
                rates[row, prompt] = (odds * flags).sum() / odds.sum()
        assert (what.jitter != 0).any() == (spread == "uneven")
        by_wording = [[side[wordings_of == one].mean() for one in range(40)] for side in rates]
        assert np.mean(by_wording[1]) - np.mean(by_wording[0]) == pytest.approx(0.05, abs=1e-9)


def test_one_logistic_number_stands_for_the_samplers_noise(pool: Pool) -> None:
    what, samples = tokens.marked(pool, 0.2), 400
    deltas = (0.0, what.delta(0.1))
    drawn = tokens.keyed(pool, 0.2, deltas, samples)
    for delta, flags in zip(deltas, drawn, strict=True):
        rates = special.expit(what.logits + delta)
        error = np.sqrt(np.maximum(rates * (1 - rates), 1e-9) / samples)
        assert (np.abs(flags.mean(axis=1) - rates) < 4.5 * error + 1e-6).all()
    # Under shared numbers a larger logit never loses a mark, as with one logistic number for both.
    assert (drawn[1] >= drawn[0]).all()
    assert (drawn[1] > drawn[0]).any()


def test_answers_are_turned_to_the_wanted_share(pool: Pool) -> None:
    cases = (("clear", -0.1, "even"), ("clear", 0.0, "even"), ("answers", 0.1, "even"), ("answers", 0.0, "even"))
    for name, change, spread in (*cases, ("clear", -0.1, "concentrated"), ("answers", 0.1, "concentrated")):
        what = population(pool, name, "courteous")
        how = turning(what, change, spread=spread)
        before = what.tuned if what.tuned.ndim == 1 else what.tuned.mean(axis=1)
        after = before + how.chance * (how.to - before)
        assert what.items.mean(after) - what.value(what.base) == pytest.approx(change, abs=1e-12)
        assert ((how.chance >= 0) & (how.chance <= 1)).all()
    with pytest.raises(ValueError, match="can be"):
        turning(population(pool, "clear", "courteous"), -0.9, spread="concentrated")


def test_simulated_changes_have_the_planted_mean(pool: Pool) -> None:
    rng = np.random.default_rng(0)
    chosen = wordings(rng, pool, "quick", 400)
    for name, by, spread in (("pairs", 0.25, "even"), ("pairs", 0.25, "concentrated"), ("passages", 0.05, "even")):
        what = population(pool, name, "stereotyping")
        sides = moved(rng, what, chosen, name, "quick", by, spread=spread)
        change = sides.value(sides.tuned) - sides.value(sides.base)
        assert change.mean() == pytest.approx(by, abs=4.5 * change.std() / 20 + 1e-6)
    what = population(pool, "answers", "stereotyping")
    sides = turned(rng, what, turning(what, 0.1), chosen, "answers", "quick")
    change = sides.value(sides.tuned) - sides.value(sides.base)
    assert change.mean() == pytest.approx(0.1, abs=4.5 * change.std() / 20)


def test_harm_towards_a_target_is_what_the_shift_does(pool: Pool) -> None:
    what = population(pool, "pairs", "courteous")
    start = what.value(what.base)
    for over in (False, True):
        end = start + shift(what, 0.25, 0.0, over=over)
        assert abs(end) - abs(start) == pytest.approx(0.25)
        assert (end * start < 0) == over


def test_organisms_cover_the_rules_of_the_default_policy() -> None:
    assert [(one.suite, one.metric) for one in SUBJECTS] == list(counting.MARGINS)


def test_items_are_drawn_of_their_wordings() -> None:
    items = Items(np.array([0, 0, 0, 1, 2, 2]))
    rng = np.random.default_rng(1)
    chosen, sizes = new_wordings(rng, items, 50), dealt(8, 3)
    rows = items.draw(rng, chosen, sizes)
    assert sizes.tolist() == [3, 3, 2]
    assert (items.wordings[rows] == np.repeat(chosen, sizes, axis=1)).all()
    assert items.weights.sum() == pytest.approx(1.0)
    assert set(rows[items.wordings[rows] == 0]) == {0, 1, 2}


def test_it_decides_as_the_gate_does(pool: Pool) -> None:
    rng = np.random.default_rng(2)
    chosen = wordings(rng, pool, "quick", 4)
    margins = [counting.MARGINS[one.suite, one.metric] for one in SUBJECTS]
    for factor, sets in ((0.0, 2), (1.0, 1), (4.0, 2)):
        sides, harms = [], []
        for subject, margin in zip(SUBJECTS, margins, strict=True):
            what = population(pool, subject.name, "stereotyping")
            if subject.name in ("clear", "answers"):
                sign = -1 if subject.name == "clear" else 1
                how = turning(what, sign * min(factor, 3.0) * margin)
                one = turned(rng, what, how, chosen, subject.name, "quick")
                harms.append(find(one, subject.metric, alpha_fail=counting.ALPHA_FAIL).harms())
            else:
                target = None if subject.name == "passages" else 0.0
                by = shift(what, factor * margin, target)
                still = moved(rng, what, chosen, subject.name, "quick", 0.0)
                harms.append(find(still, subject.metric, alpha_fail=counting.ALPHA_FAIL).harms(by))
                weight = 1.0 if still.weight is None else still.weight
                one = replace(still, tuned=still.tuned + by * weight)
            sides.append(one)
        check(sides, [one.metric for one in SUBJECTS], margins, harms, sets)


def test_another_decision_than_the_gates_is_an_error() -> None:
    rng = np.random.default_rng(3)
    base = rng.normal(1.0, 0.5, (1, 40))
    sides = Sides(base, base + rng.normal(0, 0.02, base.shape), np.full(8, 5), MEAN)
    harms = find(sides, "preference-log-ratio").harms()
    check([sides], ["preference-log-ratio"], [0.25], [harms])
    wrong = Harms(*((low + 1.0, high + 1.0) for low, high in (harms.passing, harms.failing)))
    with pytest.raises(RuntimeError, match="the gate says pass, this benchmark fail"):
        check([sides], ["preference-log-ratio"], [0.25], [wrong])


def test_error_rates_and_determinism(pool: Pool) -> None:
    what, margin = tokens.marked(pool, 0.2, spread="uneven"), marking.MARGIN
    deltas = tuple(what.delta(ratio * margin) for ratio in (0.0, 1.0, 2.0))
    batches = [tokens.sides(Look().rng(9), what, deltas, 520, 400) for _ in range(2)]
    none, at, twice = (find(one, "toxic-fraction").harms() for one in batches[0])
    assert none.passes(margin).mean() > 0.8 and none.fails(margin).mean() <= 0.05
    assert at.passes(margin).mean() <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / 400)
    assert twice.passes(margin).sum() == 0
    assert all((one.tuned == two.tuned).all() for one, two in zip(*batches, strict=True))


def test_the_base_against_itself_with_other_numbers_does_no_harm(pool: Pool) -> None:
    what = population(pool, "answers", "base")
    assert isinstance(what, Population) and what.change == 0.0
    rng = np.random.default_rng(4)
    chosen = wordings(rng, pool, "standard", 200)
    same, apart = (turned(rng, what, None, chosen, "answers", "standard", common=common) for common in (True, False))
    assert (same.base == same.tuned).all()
    assert (apart.base != apart.tuned).any()
    change = apart.value(apart.tuned) - apart.value(apart.base)
    assert abs(change.mean()) < 4.5 * change.std() / np.sqrt(200)


def mean_of(values: np.ndarray) -> object:
    """The mean over data sets, to four and a half standard errors."""
    return pytest.approx(values.mean(), abs=4.5 * values.std() / np.sqrt(len(values)) + 1e-9)


def test_absolute_organisms_have_the_value_they_claim(pool: Pool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(absolute, "SHARES", (0.3,))
    clean = replace(pool, degenerate=np.zeros_like(pool.degenerate))
    seen = {}
    for at, organism in enumerate(absolute.organisms(clean)):
        sides = organism.sample(Look().rng(20, at), "quick", 300)
        assert mean_of(sides.value(sides.tuned)) == organism.truth, organism.name
        seen[organism.metric, organism.name] = organism
        for ratio in (1.0, 2.0):
            bound = organism.bound(ratio)
            if bound is not None:
                errors = (1 - organism.truth) / (1 - bound)
                higher = organism.metric == "qa-accuracy-disambiguated"
                assert (errors if higher else organism.truth / bound) == pytest.approx(ratio)
    assert {metric for metric, _ in seen} == {
        "toxic-fraction", "degeneration-rate", "qa-accuracy-disambiguated", "expected-maximum-toxicity"
    }  # fmt: skip
    even, few = (
        seen["degeneration-rate", f"base, answers broken {words}"] for words in ("evenly", "on every tenth wording")
    )
    spreads = [
        np.std(one.sample(Look().rng(21), "quick", 200).tuned.reshape(200, -1).mean(axis=1)) for one in (even, few)
    ]
    assert spreads[1] > 2 * spreads[0]


def test_a_bound_at_the_truth_is_passed_and_failed_in_at_most_alpha(pool: Pool) -> None:
    organism = absolute._maximum(Items(pool.prompt_wordings), "base", pool.toxicity[0])
    sides = organism.sample(Look().rng(22), "quick", 400)
    harms, most = bounds(sides, organism.metric), 0.05 + 3 * np.sqrt(0.05 * 0.95 / 400)
    assert 0 < harms.passes(organism.truth).mean() <= most
    assert 0 < harms.fails(organism.truth).mean() <= most
    # A bound that is not at the truth shows at once.
    assert harms.passes(1.6 * organism.truth).mean() > 0.5
    assert harms.fails(0.5 * organism.truth).mean() > 0.5
    check_absolute(sides, organism.metric, organism.truth, harms, 3)
    with pytest.raises(RuntimeError, match="the gate says"):
        check_absolute(sides, organism.metric, 2 * organism.truth, bounds(sides, organism.metric, alpha=1e-9))


def test_a_value_that_is_better_high_is_held_to_its_lower_end(pool: Pool) -> None:
    organism = absolute._share("qa-accuracy-disambiguated", "clear", "base", population(pool, "clear", "base"))
    sides = organism.sample(Look().rng(23), "standard", 200)
    harms = bounds(sides, organism.metric)
    assert harms.passes(-0.4).mean() > 0.9 and harms.fails(-0.4).mean() == 0
    assert harms.passes(-0.97).mean() == 0 and harms.fails(-0.97).mean() > 0.3
    for bound in (0.4, organism.truth, 0.97):
        check_absolute(sides, organism.metric, bound, harms, 2)


def test_one_group_is_harmed_as_planted_and_the_others_are_not(pool: Pool) -> None:
    for number, (organism, profile, make) in enumerate([*grouped._answers(pool), *grouped._domains(pool)]):
        if profile == "quick" and "stereotyping" in organism:
            continue
        ruled = make(Look().rng(24, number), 200)
        sign = -1.0 if "accuracy" in ruled.metric else 1.0
        target = "log-ratio" in ruled.metric
        for sides, _ in ruled.calm:
            assert mean_of(sides.value(sides.tuned) - sides.value(sides.base)) == 0.0
        assert {ratio for _, ratio in ruled.harmed} >= {1.0}
        for (_, ratio), (sides, _) in ruled.harmed.items():
            change = sides.value(sides.tuned) - sides.value(sides.base)
            assert mean_of(np.sign(change.mean()) * change if target else sign * change) == ratio * ruled.margin


def test_a_rule_over_groups_is_decided_as_the_gate_does(pool: Pool) -> None:
    for organism, profile, make in (next(grouped._answers(pool)), *list(grouped._domains(pool))[1::2]):
        ruled = make(Look().rng(25), 2)
        cells = list(ruled.cells(Look()))
        assert cells[0].ratio == 0 and all(cell.sets == 2 for cell in cells), (organism, profile)
        wrong = replace(ruled, calm=[(sides, _all_fail(harms)) for sides, harms in ruled.calm])
        with pytest.raises(RuntimeError, match="this benchmark fail"):
            list(wrong.cells(Look()))


def _all_fail(harms: Harms) -> Harms:
    low, high = harms.failing
    return Harms(harms.passing, (low + 9.0, high + 9.0))


def test_scorers_see_the_harm_that_was_planted(pool: Pool) -> None:
    scored = replace(pool, degenerate=np.zeros_like(pool.degenerate))
    for spread in ("even", "concentrated"):
        drawn = several.answers(Look().rng(26), scored, "quick", 300, several.breaking(scored, 0.1, spread))
        sides = drawn.degenerate
        assert mean_of(sides.value(sides.tuned)) == 0.1
        assert (drawn.tuned[drawn.broken == 1] == 0).all()
    by = {"by both scorers": (1, 1), "by the embedded scorer only": (1, 0), "by the stricter scorer only": (0, 1)}
    for harmed, (embedded, stricter) in by.items():
        drawn = several.answers(Look().rng(27), scored, "quick", 300, several.raising(scored, 0.03, harmed))
        for threshold, seen in ((several.THRESHOLD, embedded), (several.STRICT, stricter)):
            sides = drawn.toxic(threshold)
            change = sides.value(sides.tuned) - sides.value(sides.base)
            assert mean_of(change) == 0.03 * seen, (harmed, threshold)
    with pytest.raises(ValueError, match="can be"):
        several.raising(scored, 0.99, "by the embedded scorer only")


def test_what_disagreement_does_is_as_the_gate_has_it(pool: Pool) -> None:
    # Each cell puts a data set to the gate and stops where it decides otherwise.
    scores = np.random.default_rng(7).choice([0.1, 0.4, 0.6], pool.toxicity.shape, p=[0.9, 0.05, 0.05])
    scored, look = replace(pool, toxicity=scores), Look(40)
    cells = list(several._two_scorers(scored, look, "quick", "by the stricter scorer only", look.rng(28)))
    shares = {cell.rule: cell.share("passed")[0] for cell in cells if cell.ratio == 2.0}
    assert shares["toxic-fraction, embedded decides, disagreement is noted"] > 0.2
    assert shares["toxic-fraction, embedded decides, disagreement withholds"] <= 0.05
    assert shares["toxic-fraction, by each scorer"] <= 0.05
    assert [cell.promised for cell in cells if cell.ratio and "noted" in cell.rule] == [False] * 3


def test_only_doubtful_cells_are_looked_at_again_on_other_seeds() -> None:
    asked = []

    def part(pool: Pool, look: Look) -> Results:
        asked.append(look)
        names = [name for name in ("bad", "good") if look.wants("rules", name, "one", "quick", 1.0)]
        draws = {name: int((look.rng(1).random(look.sets) < 0.05).sum()) for name in names}
        return Results([Cell("rules", name, "one", "quick", 1.0, 0.1, draws[name], 0, look.sets) for name in names], [])

    first = [
        Cell("rules", "bad", "one", "quick", 1.0, 0.1, 30, 0, 500),
        Cell("rules", "good", "one", "quick", 1.0, 0.1, 25, 0, 500),
    ]
    bad, good = study.look_again(part, None, first, 500, 4)
    assert good.again is None and bad.again is not None and bad.again[2] == 2000
    assert bad.first("passed")[0] == 0.06 and bad.share("passed")[0] == bad.again[0] / 2000 < 0.06
    streams = [look.rng(1).random(3).tolist() for look in (Look(), *asked)]
    assert len(asked) == 4 and len({tuple(one) for one in streams}) == 5
    table = page.errors([bad, good])
    assert "5.50 %" in table and f"{100 * bad.again[0] / 2000:.2f} %" in table
    assert "1 of 2 cells were looked at again, each on 2,000 fresh seeds" in page.looks([bad, good])


def test_which_cells_are_in_doubt() -> None:
    def cell(part: str, ratio: float, passed: int, failed: int) -> Cell:
        return Cell(part, "a", "b", "standard", ratio, 0.1, passed, failed, 1000)

    over = [
        cell("rules", 1.5, 51, 0),
        cell("rules", 0.0, 0, 51),
        cell("absolute", 1, 0, 51),
        cell("gates", 0.0, 810, 0),
    ]
    not_over = [cell("rules", 1.0, 50, 0), cell("rules", 0.5, 900, 51), cell("gates", 0.0, 900, 0)]
    aside = [cell("skewness", 1.0, 90, 0), cell("aside", 1.0, 900, 0)]
    assert [study.doubtful(one) for one in (*over, *not_over, *aside)] == [True] * 4 + [False] * 5


def test_a_second_look_at_a_whole_gate_makes_only_that_gate(pool: Pool) -> None:
    key = ("gates", "occupations/preference-log-ratio harmed", counting.NULL, "quick", 1.0)
    cells = rules.rule_part(pool, Look(3, 0, frozenset([key]))).cells
    assert [cell.key for cell in cells] == [key]


def test_the_kept_pool_is_whole() -> None:
    kept = load()
    assert FILE.stat().st_size < 1 << 20
    assert kept.degenerate.shape == kept.toxicity.shape and len(kept.degenerate) == len(MODELS)
    assert kept.widths.sum() == len(kept.tokens) == len(kept.logprobs)
    ends = np.cumsum(kept.widths)
    mass = [np.exp(kept.logprobs[end - width : end]).sum() for width, end in zip(kept.widths, ends, strict=True)]
    assert np.allclose(mass, 1.0, atol=1e-4)
    for values, of in ((kept.pairs, kept.pair_wordings), (kept.ambiguous, kept.ambiguous_wordings)):
        assert values.shape == (len(MODELS), len(of)) and np.isfinite(values).all()
        assert set(of) == set(range(of.max() + 1))


def test_the_pools_wordings_lie_as_the_groups_take_them() -> None:
    questions = registry.get("domain-qa").items
    names = sorted({item.template for item in questions})
    domains = [next(str(item.fields["domain"]) for item in questions if item.template == name) for name in names]
    parts = grouped.domains(population(load(), "clear", "base"))
    assert len(parts) == len(set(domains)) and all(part.items.count == grouped.OWN for part in parts)
    for at in range(len(parts)):
        assert len(set(domains[at * grouped.OWN : (at + 1) * grouped.OWN])) == 1
    for limit, wordings_each in ((130, 10), (520, 40)):
        chosen = registry.select(registry.get("identity-prompts"), limit)
        each = [len({item.template for item in chosen if item.group == group}) for group in {i.group for i in chosen}]
        assert each == [wordings_each] * grouped.PEOPLE
