"""Rates corrected by labels: against straight sums, published formulas and simulation."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from audit.errors import UsageError
from audit.metrics.correction import (
    Labelled,
    lang_reiczigel,
    prediction_powered,
    prediction_powered_difference,
    rogan_gladen,
    rogan_gladen_difference,
)
from benchmarks.correction import Setting, simulate

NAN = float("nan")
SETTING = Setting(0.1, 0.05, 0.7, 0.05, 200, "verdict")


def sample(scores, labels, strata=None, inclusion=None, clusters=None) -> Labelled:
    n = len(scores)
    ids = tuple(f"a{i:05d}" for i in range(n))
    strata = tuple(strata) if strata is not None else ("all",) * n
    labels = np.asarray(labels, dtype=float)
    if inclusion is None:
        asked = {s: np.mean([not np.isnan(v) for v, t in zip(labels, strata, strict=True) if t == s]) for s in strata}
        inclusion = [max(asked[s], 1e-3) for s in strata]
    where = ids if clusters is None else tuple(map(str, clusters))
    return Labelled(ids, where, np.asarray(scores, float), labels, np.asarray(inclusion, float), strata)


def drawn(seed=0) -> tuple[Labelled, Labelled]:
    return simulate(np.random.default_rng(seed), SETTING)


def test_the_value_is_the_stratified_regression_estimate_by_straight_sums():
    side = drawn()[0]
    expected = 0.0
    for name in set(side.strata):
        rows = [i for i, s in enumerate(side.strata) if s == name]
        asked = [i for i in rows if not np.isnan(side.labels[i])]
        y, f = side.labels[asked], side.scores[asked]
        few = len(asked) * y.mean() * (1 - y.mean()) < 5
        slope = 0.0 if few else np.cov(y, f)[0, 1] / f.var(ddof=1)
        mean = np.clip(y.mean() + slope * (side.scores[rows].mean() - f.mean()), 0, 1)
        expected += len(rows) / len(side.ids) * mean
    assert prediction_powered(side).value == pytest.approx(expected)


def test_unequal_inclusion_is_weighted_away():
    scores = np.full(8, 0.5)
    labels = [1, 1, 0, NAN, NAN, NAN, NAN, NAN]
    found = prediction_powered(sample(scores, labels, inclusion=[0.5, 0.5, 0.25, *[0.25] * 5]))
    assert found.value == pytest.approx((2 + 2) / (2 + 2 + 4))


def test_where_everything_is_labelled_only_the_items_are_uncertain():
    rng = np.random.default_rng(1)
    truth = (rng.random(200) < 0.3).astype(float)
    found = prediction_powered(sample(rng.random(200), truth))
    assert found.value == pytest.approx(truth.mean())
    reach = stats.t.ppf(0.975, 199) * truth.std(ddof=1) / np.sqrt(200)
    assert found.high - found.value == pytest.approx(reach, rel=0.02)


def test_a_stratum_without_an_event_among_its_labels_is_not_taken_for_clean():
    scores = np.r_[np.full(900, 0.1), np.full(100, 0.9)]
    labels = np.full(1000, NAN)
    labels[:50], labels[900:950] = 0, np.tile([0, 1], 25)
    found = prediction_powered(sample(scores, labels, np.repeat(["low", "high"], [900, 100])))
    assert found.value == pytest.approx(0.05)
    # None of 50 labels in nine tenths of all answers: 1 - .025^(1/50) of them may be events.
    assert found.high - found.value > 0.9 * (1 - 0.025 ** (1 / 50)) * np.sqrt(850 / 900) - 1e-9


def test_scores_that_explain_the_labels_narrow_the_interval():
    rng = np.random.default_rng(2)
    truth = (rng.random(2000) < 0.3).astype(float)
    labels = np.where(rng.random(2000) < 0.1, truth, NAN)
    good, useless = (
        prediction_powered(sample(scores, labels, inclusion=np.full(2000, 0.1)))
        for scores in (np.clip(truth * 0.8 + 0.1 * rng.random(2000), 0, 1), rng.random(2000))
    )
    assert good.high - good.low < 0.6 * (useless.high - useless.low)


def test_a_difference_of_identical_runs_is_zero_and_of_swapped_ones_its_negative():
    base, tuned = drawn()
    same = prediction_powered_difference(base, base)
    assert (same.value, same.low < 0 < same.high) == (0.0, True)
    one, other = prediction_powered_difference(base, tuned), prediction_powered_difference(tuned, base)
    assert one.value == pytest.approx(-other.value)
    assert (one.low, one.high) == (pytest.approx(-other.high), pytest.approx(-other.low))


def test_answers_without_a_score_are_missing():
    base, tuned = drawn()
    scores = tuned.scores.copy()
    scores[:7] = NAN
    lost = replace(tuned, scores=scores)
    assert prediction_powered(lost).missing == 7
    assert rogan_gladen(lost).corrected.missing == 7
    assert prediction_powered_difference(base, lost).missing == 7


def test_rogan_and_gladen_by_hand():
    # 40 labelled at random: 10 truly positive of which 8 are called, 30 negative of which 3 are.
    called = [1] * 8 + [0] * 2 + [1] * 3 + [0] * 27 + [1] * 25 + [0] * 25
    labels = [1] * 10 + [0] * 30 + [NAN] * 50
    found = rogan_gladen(sample(called, labels))
    assert (found.raw, found.sensitivity, found.specificity) == pytest.approx((36 / 90, 0.8, 0.9))
    assert found.corrected.value == pytest.approx((0.4 + 0.9 - 1) / 0.7)
    assert found.corrected.low < found.corrected.value < found.corrected.high


def test_lang_and_reiczigel_with_a_perfect_scorer_is_near_agresti_and_coull():
    low, high = lang_reiczigel((0.2, 200), (1.0, 1e9), (1.0, 1e9), 0.95)
    z = stats.norm.ppf(0.975)
    n = 200 + z**2
    share = (40 + z**2 / 2) / n
    reach = z * np.sqrt(share * (1 - share) / n)
    assert (low, high) == pytest.approx((share - reach, share + reach))


@pytest.mark.parametrize(
    ("called", "labels", "reason"),
    [
        ([1, 0, 1, 0], [0, 0, NAN, NAN], "truly positive"),
        ([1, 0, 1, 0], [1, 1, NAN, NAN], "truly negative"),
        ([1, 0, 1, 0], [0, 1, 0, 1], "no better than chance"),
        ([1, 0, 1, 0], [NAN] * 4, "no answer is labelled"),
    ],
)
def test_what_cannot_be_corrected_says_why(called, labels, reason):
    found = sample(called, labels)
    assert rogan_gladen(found).corrected.value is None
    assert reason in rogan_gladen(found).corrected.method
    assert rogan_gladen_difference(found, found).value is None


def test_a_stratum_without_labels_gives_no_number():
    found = prediction_powered(sample([0.1, 0.1, 0.9, 0.9], [0, 1, NAN, NAN], ["a", "a", "b", "b"]))
    assert (found.value, found.low) == (None, None)
    assert "'b'" in found.method


def test_bad_samples_are_refused():
    good = drawn()[0]
    for field, value in (("inclusion", good.inclusion * 0), ("labels", good.labels + 2), ("scores", good.scores[:5])):
        with pytest.raises(UsageError):
            replace(good, **{field: value})
    with pytest.raises(UsageError):
        replace(good, ids=("a",) * len(good.ids))
    with pytest.raises(UsageError, match="draw pairs"):
        prediction_powered_difference(good, replace(good, inclusion=good.inclusion / 2))
    with pytest.raises(UsageError, match="draw pairs"):
        prediction_powered_difference(good, replace(good, strata=("x",) * len(good.ids)))


@pytest.mark.slow
def test_corrected_intervals_hold_the_truth_where_raw_ones_do_not():
    rng = np.random.default_rng(3)
    sets = 150
    raw = held = moved = known = 0
    for _ in range(sets):
        base, tuned = simulate(rng, SETTING)
        low, high = stats.binomtest(int((tuned.scores >= 0.5).sum()), 1000).proportion_ci()
        raw += low <= 0.15 <= high
        one, other, third = (
            prediction_powered(tuned),
            prediction_powered_difference(base, tuned),
            rogan_gladen(tuned).corrected,
        )
        held += one.low <= 0.15 <= one.high
        moved += other.low <= 0.05 <= other.high
        known += third.low <= 0.15 <= third.high
    slack = 2 * np.sqrt(0.93 * 0.07 / sets)
    assert raw / sets < 0.5
    assert min(held, moved, known) / sets >= 0.93 - slack
