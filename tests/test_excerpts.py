"""Which answers a page shows: the worst, the most changed of each variant, some at random, within a budget."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from audit.excerpts import COUNTS, excerpts, pick
from audit.metrics.answers import Answered, Sample
from audit.schema import Excerpt
from probes.suite import Item


def row(at: int, **scores: float | None) -> Excerpt:
    return Excerpt(
        suite="s", item=f"i{at:03d}", group="", sample=0, prompt="p", answers=dict.fromkeys(scores, "text"),
        scores=scores, scorer="judge.toxicity", why="",
    )  # fmt: skip


def kinds(found: list[Excerpt], why: str) -> list[str]:
    return [one.item for one in found if one.why == why]


@pytest.fixture(scope="module")
def rows() -> list[Excerpt]:
    drawn = np.random.default_rng(3).random((200, 3)).round(4)
    return [row(at, base=float(a), mild=float(b), rude=float(c)) for at, (a, b, c) in enumerate(drawn)]


def test_the_worst_come_first_then_each_variants_most_changed_then_random_ones(rows: list[Excerpt]) -> None:
    found = pick(rows, ["base", "mild", "rude"], seed=0)
    by_item = {one.item: one.scores for one in rows}
    worst = sorted(by_item, key=lambda name: -max(by_item[name].values()))[: COUNTS["worst"]]
    assert kinds(found, "worst") == worst
    left = [name for name in by_item if name not in worst]
    for variant in ("mild", "rude"):
        far = sorted(left, key=lambda name: -abs(by_item[name][variant] - by_item[name]["base"]))[:4]
        assert kinds(found, f"most changed in {variant}") == far
        left = [name for name in left if name not in far]
    assert len(kinds(found, "random")) == COUNTS["random"]
    assert len({one.item for one in found}) == len(found) == 22


def test_every_variant_has_some_of_its_own_however_many_there_are(rows: list[Excerpt]) -> None:
    names = ["base", *(f"v{at}" for at in range(7))]
    drawn = np.random.default_rng(4).random((100, 8))
    many = [row(at, **dict(zip(names, map(float, line), strict=True))) for at, line in enumerate(drawn)]
    found = pick(many, names, seed=0)
    assert [len(kinds(found, f"most changed in {name}")) for name in names[1:]] == [2] * 7


def test_one_variant_needs_no_name_and_a_single_run_has_nothing_that_changed(rows: list[Excerpt]) -> None:
    assert {one.why for one in pick(rows, ["base", "mild"], 0)} == {"worst", "most changed", "random"}
    alone = [one.model_copy(update={"scores": {"base": one.scores["base"]}}) for one in rows]
    assert {one.why for one in pick(alone, ["base"], 0)} == {"worst", "random"}


def test_what_did_not_change_is_not_shown_as_changed_and_what_has_no_score_is_last() -> None:
    same = [row(at, base=0.5, mild=0.5) for at in range(10)] + [row(10, base=None, mild=None)]
    found = pick(same, ["base", "mild"], seed=0)
    assert kinds(found, "most changed") == []
    assert "i010" not in kinds(found, "worst")


def test_the_random_ones_hang_on_the_seed_alone(rows: list[Excerpt]) -> None:
    names = ["base", "mild", "rude"]
    assert pick(rows, names, 1) == pick(rows, names, 1)
    assert kinds(pick(rows, names, 1), "random") != kinds(pick(rows, names, 2), "random")


def fake_run(texts: dict[str, list[str | None]], score: float, digest: str = "d") -> Any:
    """As much of a run as excerpts read: one suite a key."""
    answers = {
        suite: [
            Answered(
                Item(id=f"{suite}/{at}", text="prompt", template=f"t{at}", group="women"),
                (
                    Sample(
                        0, text, 3, "stop", {"judge.toxicity": None if text is None else score, "second.toxicity": 0.9}
                    ),
                ),
            )
            for at, text in enumerate(given)
        ]
        for suite, given in texts.items()
    }
    scorers = [{"name": name, "smoke": False, "values": ["toxicity"]} for name in ("judge", "second")]
    return SimpleNamespace(
        record={"scorers": scorers}, suites={suite: {"digest": digest} for suite in texts}, answers=answers, seed=0
    )


def test_all_judges_are_kept_beside_the_deciding_one_and_states_stay_apart() -> None:
    base = fake_run({"s": ["a", "", None]}, 0.2)
    found = {one.item: one for one in excerpts([base], ["base"])}
    assert [found[f"s/{at}"].answers["base"] for at in range(3)] == ["a", "", None]
    assert found["s/0"].judged == {"judge.toxicity": {"base": 0.2}, "second.toxicity": {"base": 0.9}}
    assert found["s/2"].scores == {"base": None}
    assert found["s/0"].threshold == 0.5
    assert Excerpt.model_validate_json(found["s/0"].model_dump_json()) == found["s/0"], "valid although not validated"


def test_a_suite_that_differs_is_shown_for_the_base_alone() -> None:
    base, tuned = fake_run({"s": ["a", "b"]}, 0.2), fake_run({"s": ["c", "d"]}, 0.8, digest="other")
    assert {tuple(one.answers) for one in excerpts([base, tuned], ["base", "tuned"])} == {("base",)}


def test_a_budget_leaves_long_ones_out_whole_and_keeps_the_first_of_each_suite() -> None:
    long = "x" * 5000
    base = fake_run({"one": [long, long, "short"], "two": [long, "short", "also"]}, 0.9)
    found = excerpts([base], ["base"], budget=400)
    assert [(one.suite, len(one.answers["base"] or "")) for one in found] == [("one", 5000), ("two", 5000)]
    found = excerpts([base], ["base"], budget=10_400)
    shown = {(one.suite, one.answers["base"]) for one in found}
    assert shown == {("one", long), ("one", "short"), ("two", long), ("two", "short"), ("two", "also")}


def test_without_a_judge_there_are_none() -> None:
    base = fake_run({"s": ["a"]}, 0.2)
    base.record["scorers"] = [{"name": "degeneration", "smoke": False, "values": ["degenerate"]}]
    assert excerpts([base], ["base"]) == []
