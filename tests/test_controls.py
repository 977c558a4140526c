"""Signs of a broken model: each against its plain definition, echoes against a jackknife that leaves out for real."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from audit.controls import DIFFERING, LENGTH, REFUSED, SAME, TRUNCATED, controls, echo_units, length_units
from audit.metrics import pseudo
from audit.metrics.answers import Answered, Sample
from probes.suite import Item


def answered(texts: list[list[str | None]], finish: str = "stop", refuse: float = 0.0) -> list[Answered]:
    """One prompt and template a list of draws."""
    return [
        Answered(
            Item(id=f"s/{at}", text="p", template=f"t{at}"),
            tuple(
                Sample(k, text, 2, finish, {"refusal.refusal": refuse, "degeneration.degenerate": float(text == "")})
                for k, text in enumerate(draws)
            ),
        )
        for at, draws in enumerate(texts)
    ]


def fake_run(answers: list[Answered]) -> Any:
    scorers = [{"name": "refusal", "revision": "1", "smoke": False, "values": ["refusal"]},
               {"name": "degeneration", "revision": "1", "smoke": False, "values": ["degenerate"]}]  # fmt: skip
    return SimpleNamespace(record={"scorers": scorers}, answers={"s": answers}, seed=0)


def share_of_echoes(texts: list[list[str | None]]) -> float:
    """By definition: of all answers, those with text whose text stands at another prompt too."""
    said = [(at, text) for at, draws in enumerate(texts) for text in draws if text is not None]
    hits = [bool(text) and any(other == text and there != at for there, other in said) for at, text in said]
    return float(np.mean(hits))


@pytest.mark.parametrize("seed", range(5))
def test_echoes_are_those_of_the_definition_and_their_jackknife_leaves_templates_out(seed: int) -> None:
    rng = np.random.default_rng(seed)
    texts = [
        [str(word) for word in rng.choice(["a", "b", "c", "", *(f"own {n}" for n in range(20))], 3)] for _ in range(12)
    ]
    units = echo_units(answered(texts))
    whole = share_of_echoes(texts)
    assert units.value() == pytest.approx(whole)
    left = np.array([share_of_echoes(texts[:at] + texts[at + 1 :]) for at in range(12)])
    change = whole - left
    influence = dict(zip([f"t{at}" for at in range(12)], whole + 11 * (change - change.mean()), strict=True))
    assert dict(zip(units.ids, units.columns[:, 0], strict=True)) == pytest.approx(influence)


def test_echoes_agree_with_the_general_jackknife() -> None:
    texts = [["yes", "no"], ["yes", "maybe"], ["no", "no"], ["", "else"]]
    flat = [(f"t{at}", text) for at, draws in enumerate(texts) for text in draws]

    def value(rows: Any) -> float:
        kept = [flat[at] for at in rows]
        return float(np.mean([bool(b) and any(b == d and a != c for c, d in kept) for a, b in kept]))

    expected = pseudo.jackknife([one for one, _ in flat], value, pseudo.statistic("x", 0.0, 1.0))
    found = echo_units(answered(texts))
    assert found.columns == pytest.approx(expected.columns)


def test_case_and_white_space_make_no_other_answer_and_one_prompts_own_draws_no_echo() -> None:
    assert echo_units(answered([["I  agree.", "x"], ["i agree.\n", "y"]])).value() == pytest.approx(0.5)
    assert echo_units(answered([["same", "same"], ["other", "thing"]])).value() == pytest.approx(0.0)


def test_a_missing_answer_is_a_missing_unit_and_no_echo() -> None:
    units = echo_units(answered([["a", None], ["a", "b"], [None, None]]))
    assert (len(units.ids), units.missing, units.value()) == (5, 3, pytest.approx(2 / 3))
    assert echo_units([]).value() is None


def test_length_counts_words_and_an_empty_answer_as_none() -> None:
    assert length_units(answered([["one two, three", ""], ["it's one", "a b c"]])).value() == pytest.approx(
        (1.5 + 2.5) / 2
    )
    assert length_units(answered([["one", None]])).missing == 1


def test_a_model_that_says_one_thing_to_everybody_is_seen() -> None:
    rng = np.random.default_rng(1)
    before = [[f"answer {at} {rng.integers(1000)}" for _ in range(2)] for at in range(40)]
    after = [["I like people.", "I like people."] if at % 2 else draws for at, draws in enumerate(before)]
    rows = {
        row.metric: row for row in controls(fake_run(answered(before)), fake_run(answered(after, "length", 1.0)), ["s"])
    }
    echoes = rows[SAME]
    assert (echoes.base, echoes.tuned) == (0.0, pytest.approx(0.5))
    assert echoes.low is not None and echoes.low > 0.2
    assert rows[DIFFERING].tuned == pytest.approx(0.5)
    assert rows[DIFFERING].low is not None and 0.3 < rows[DIFFERING].low < 0.5
    assert (rows[TRUNCATED].base, rows[TRUNCATED].tuned) == (0.0, 1.0)
    assert (rows[REFUSED].base, rows[REFUSED].tuned, rows[REFUSED].scorer) == (0.0, 1.0, "refusal")
    assert rows[LENGTH].unit == "words" and rows[LENGTH].base == 3.0
    assert {row.n for row in rows.values()} == {40} and {row.missing for row in rows.values()} == {0}


def test_no_echo_anywhere_still_has_an_interval() -> None:
    texts = [[f"answer {at}"] for at in range(40)]
    rows = {row.metric: row for row in controls(fake_run(answered(texts)), fake_run(answered(texts[::-1])), ["s"])}
    echoes = rows[SAME]
    assert (echoes.base, echoes.tuned, echoes.difference) == (0.0, 0.0, 0.0)
    assert echoes.low is not None and echoes.high is not None
    # 40 templates without an event: at most 3 / 40 of them, by the rule of three, and a little more for two sides.
    assert 0.07 < echoes.high < 0.12 and echoes.low == -echoes.high


def test_silence_is_degeneration_and_not_sameness() -> None:
    before = [[f"answer {at}"] for at in range(20)]
    rows = {row.metric: row for row in controls(fake_run(answered(before)), fake_run(answered([[""]] * 20)), ["s"])}
    assert rows["empty-rate"].tuned == rows["degeneration-rate"].tuned == 1.0
    assert rows[SAME].tuned == 0.0


def test_a_scorer_of_another_revision_is_not_set_against_this_one() -> None:
    first, second = fake_run(answered([["a"], ["b"]])), fake_run(answered([["a"], ["b"]]))
    second.record["scorers"][0]["revision"] = "2"
    names = {row.metric for row in controls(first, second, ["s"])}
    assert REFUSED not in names and "degeneration-rate" in names


def test_a_suite_without_generated_answers_has_none() -> None:
    likely = [Answered(Item(id="s/1", text="p", template="t", choices=("a", "b")))]
    assert controls(fake_run(likely), fake_run(likely), ["s"]) == []


def test_two_runs_on_disk(tiny: Path, adapter: Path, model: Any, suite: Path, tmp_path: Path) -> None:
    import audit

    base = audit.run(str(tiny), [str(suite)], tmp_path / "base", loaded=model)
    tuned = audit.run(str(tiny), [str(suite)], tmp_path / "tuned", adapter=str(adapter), device="cpu")
    found = audit.compare(base, [tuned])
    (variant,) = found.variants
    by_name = {row.metric: row for row in variant.controls}
    differing = by_name[DIFFERING]
    assert differing.tuned == pytest.approx(variant.samples_that_differ / variant.samples_compared)
    rate = next(row for row in variant.differences if row.metric == "degeneration-rate" and row.group == "all")
    same = by_name["degeneration-rate"]
    assert (same.base, same.tuned, same.low, same.high) == (rate.base, rate.tuned, rate.low, rate.high)
    assert {(row.run, row.answers) for row in found.distributions} == {
        ("base", variant.samples_compared), ("tuned", variant.samples_compared)
    }  # fmt: skip
