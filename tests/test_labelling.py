"""The sample that people label: strata, known inclusion probabilities, blindness, and a key that cannot be mixed up."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from audit import labelling, store
from audit.errors import AuditError, DataError, UsageError
from audit.results import Run
from tests.labelled_runs import ASKED, SCORER, SUITE, write_run


def population(rng: np.random.Generator, items: int = 60, draws: int = 2) -> tuple[list[list[str]], list[list[float]]]:
    """Answers that are all different, most of them with low scores."""
    scores = np.round(rng.beta(1, 6, (items, draws)), 4)
    texts = [[f"answer {at}.{k} {rng.integers(1e9)}" for k in range(draws)] for at in range(items)]
    return texts, scores.tolist()


@pytest.fixture
def runs(tmp_path: Path) -> list[Run]:
    """A base, and a variant that gives the same answer to every third item."""
    rng = np.random.default_rng(5)
    (texts, scores), (others, values) = population(rng), population(rng)
    for at in range(0, 60, 3):
        others[at], values[at] = texts[at], scores[at]
    return [write_run(tmp_path / "base", texts, scores), write_run(tmp_path / "v", others, values, adapter="x/secret")]


def test_allocation_shares_half_equally_and_half_by_size() -> None:
    assert labelling.allocate([1000, 100, 20], 120) == [74, 26, 20]
    assert labelling.allocate([500, 500], 100) == [50, 50]
    assert labelling.allocate([900, 3], 40) == [37, 3], "a small stratum is read whole"
    assert labelling.allocate([30, 12], 500) == [30, 12], "never more than there are"
    for n in range(30, 200, 7):
        given = labelling.allocate([700, 40, 15], n)
        assert sum(given) == n and min(given) >= 10
    with pytest.raises(UsageError, match=r"--n 19: too few for 2 strata of 500 pairs; give at least 20"):
        labelling.allocate([300, 200], 19)


def test_bins_follow_the_threshold_and_the_upper_fifth_below_it() -> None:
    scores = np.array([0.5, 0.9, *np.linspace(0.0, 0.49, 50)])
    bins = labelling.stratify(scores)
    assert bins[:2] == ["flagged", "flagged"]
    assert Counter(bins) == {"flagged": 2, "near": 10, "clear": 40}
    assert min(scores[np.array(bins) == "near"]) > max(scores[np.array(bins) == "clear"])
    assert set(labelling.stratify(np.zeros(20))) == {"clear"}, "equal scores are not parted"
    assert set(labelling.stratify(np.ones(3))) == {"flagged"}


def test_every_pair_of_a_stratum_is_drawn_with_its_probability() -> None:
    hits = np.zeros(12)
    for seed in range(3000):
        drawn = labelling.pick(12, 5, seed, 0)
        assert len(set(drawn.tolist())) == 5
        hits[drawn] += 1
    assert np.abs(hits / 3000 - 5 / 12).max() < 4 * np.sqrt(5 / 12 * 7 / 12 / 3000)


def test_a_sample_is_drawn_within_strata_and_its_probabilities_are_what_was_done(runs: list[Run]) -> None:
    sample, cases = labelling.draw(runs, 50, seed=3)
    assert [one.bin for one in sample.strata] == ["flagged", "near", "clear"][-len(sample.strata) :]
    assert sum(one.pairs for one in sample.strata) == 120
    for at, stratum in enumerate(sample.strata):
        mine = [one for one in sample.drawn if one.stratum == at]
        assert len(mine) == stratum.drawn
        assert {one.inclusion for one in mine} == {stratum.drawn / stratum.pairs}
        scores = [
            max(s.scores["judge.toxicity"] or 0.0 for run in runs for a in run.answers[SUITE] if a.item.id == one.item
                for s in a.samples if s.k == one.k)
            for one in mine
        ]  # fmt: skip
        assert all(stratum.low <= score <= stratum.high for score in scores)
        assert sum(place == at for draws in sample.frame[SUITE].values() for place in draws) == stratum.pairs
    assert len({(one.item, one.k) for one in sample.drawn}) == 50
    again, same = labelling.draw(runs, 50, seed=3)
    assert (again, same) == (sample, cases)
    other, _ = labelling.draw(runs, 50, seed=4)
    assert {(one.item, one.k) for one in other.drawn} != {(one.item, one.k) for one in sample.drawn}
    assert other.digest != sample.digest


def test_raters_see_each_text_once_and_nothing_that_tells_the_run(runs: list[Run]) -> None:
    sample, cases = labelling.draw(runs, 60)
    shared = [one for one in sample.drawn if one.answers[0] == one.answers[1]]
    assert {one.item for one in shared} == {one.item for one in sample.drawn if int(one.item[1:]) % 3 == 0}
    assert len(cases) == 120 - len(shared) == len({(one.prompt, one.answer) for one in cases})
    assert [one.id for one in cases] == [f"{at:03d}" for at in range(1, len(cases) + 1)]
    shown = json.dumps([[one.id, one.prompt, one.answer] for one in cases])
    assert not [word for word in ("secret", "base", "model", "judge", "i00", "flagged") if word in shown]
    sides = [{one.answers[side] for one in sample.drawn if one not in shared} for side in (0, 1)]
    first = [one.id in sides[0] for one in cases if one.id in sides[0] | sides[1]]
    assert 0.35 < float(np.mean(first[: len(first) // 2])) < 0.65, "the order must not tell base from variant"
    texts = {one.id: labelling.text_digest(one.prompt, one.answer) for one in cases}
    assert texts == sample.texts


def test_who_stops_early_has_labelled_a_random_part(runs: list[Run]) -> None:
    sample, cases = labelling.draw(runs, 60)
    early = {name for one in sample.drawn[:30] for name in one.answers}
    assert {one.id for one in cases[: len(early)]} == early


def test_missing_unscored_and_empty_answers(tmp_path: Path) -> None:
    texts, scores = population(np.random.default_rng(1), 20, 1)
    lost, void, unread = [list(row) for row in texts], [list(row) for row in texts], [list(row) for row in scores]
    lost[0][0], void[1][0], unread[2][0] = None, " \n\u200b", None
    unread[1][0] = None
    lost[1][0] = void[1][0]
    base = write_run(tmp_path / "base", lost, scores)
    tuned = write_run(tmp_path / "tuned", void, unread, adapter="t")
    sample, cases = labelling.draw([base, tuned], 100)
    frame = sample.frame[SUITE]
    assert frame["i0000"] == (None,), "no answer in the base"
    assert frame["i0002"] == (None,), "no score in the variant"
    assert frame["i0001"] != (None,), "an empty answer is valid and scores 0"
    (empty,) = [one for one in sample.drawn if one.item == "i0001"]
    assert empty.answers == (None, None)
    assert len(sample.drawn) == 18 and len(cases) == 17


def test_the_key_is_read_back_and_held_to_its_digest(runs: list[Run], tmp_path: Path) -> None:
    sample, _ = labelling.draw(runs, 50)
    path = labelling.save(sample, tmp_path / "out")
    assert labelling.read(path) == sample
    assert labelling.save(sample, tmp_path / "out") == path, "the same sample may be written again"
    other, _ = labelling.draw(runs, 50, seed=1)
    with pytest.raises(UsageError, match="holds another sample"):
        labelling.save(other, tmp_path / "out")
    content = json.loads(path.read_text())
    for change, said in (
        ({"seed": 9}, "its digest is not that of its content"),
        ({"schema_version": 2}, "schema version 2"),
        ({"seed": "x"}, "not a sample of this version: seed"),
    ):
        path.write_text(json.dumps(content | change))
        with pytest.raises(DataError, match=said):
            labelling.read(path)
    with pytest.raises(DataError, match=r"sample\.json: cannot be read"):
        labelling.read(tmp_path / "sample.json")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"status": "running"}, "not finished"),
        ({"scorers": [SCORER | {"revision": "2"}]}, "not scored by judge as the base's were"),
        ({"scorers": []}, "not scored by judge"),
        ({"suites": [ASKED | {"digest": "d2"}]}, "no suite measures"),
    ],
)
def test_runs_that_do_not_belong_together_are_refused(runs: list[Run], change: dict[str, Any], said: str) -> None:
    path = runs[1].path / store.RUN
    path.write_text(json.dumps(runs[1].record | change))
    with pytest.raises(UsageError, match=said):
        labelling.draw([runs[0], Run(runs[1].path)], 50)


def test_a_run_without_a_judge_or_without_scores_is_refused(tmp_path: Path) -> None:
    texts, scores = population(np.random.default_rng(2), 8, 1)
    bare = write_run(tmp_path / "bare", texts, scores, scorers=[])
    with pytest.raises(AuditError, match="no scorer judged toxicity"):
        labelling.draw([bare], 20)
    blank = write_run(tmp_path / "blank", texts, [[None]] * 8)
    with pytest.raises(AuditError, match="nothing to label"):
        labelling.draw([blank], 20)
