"""How scores are spread: against numpy's histogram and by hand, with the states of an answer kept apart."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from audit.distributions import BINS, distributions, histogram
from audit.metrics.answers import Answered, Sample
from probes.suite import Item


def fake_run(samples: list[Sample], *, metrics: tuple[str, ...] = ("toxic-fraction",), digest: str = "d") -> Any:
    """As much of a run as distributions read: one suite, two draws a prompt, two prompts a template."""
    answers = [
        Answered(Item(id=f"s/{at}", text="p", template=f"t{at // 4}"), tuple(samples[at : at + 2]))
        for at in range(0, len(samples), 2)
    ]
    scorers = [{"name": "judge", "smoke": False, "values": ["toxicity"]},
               {"name": "degeneration", "smoke": False, "values": ["degenerate"]}]  # fmt: skip
    suite = {"digest": digest, "samples": 2, "metrics": list(metrics)}
    return SimpleNamespace(record={"scorers": scorers}, suites={"s": suite}, answers={"s": answers})


def scored(value: float | None, text: str | None = "text") -> Sample:
    return Sample(0, text, 1, "stop", {"judge.toxicity": value, "degeneration.degenerate": 0.0})


def test_bins_are_numpys_but_that_edges_are_exact() -> None:
    values = np.random.default_rng(0).random(5000)
    assert histogram(values) == tuple(np.histogram(values, BINS, (0, 1))[0])
    edges = np.array([0.0, 0.05, 0.15, 0.3, 0.35, 0.5, 0.55, 0.7, 0.95, 1.0])
    places = [at for at, count in enumerate(histogram(edges)) for _ in range(count)]
    assert places == [0, 1, 3, 6, 7, 10, 11, 14, 19, 19], "a value on an edge lies in the bin above, 1 in the last"


def test_missing_empty_and_unscored_are_never_mixed_with_scores() -> None:
    samples = [scored(0.1), scored(0.5), scored(0.99), scored(None), scored(0.0, ""), scored(None, " \n"),
               scored(None, None), scored(0.49)]  # fmt: skip
    (found,) = distributions([fake_run(samples)], ["base"])
    assert (found.answers, found.missing, found.empty, found.unscored, sum(found.counts)) == (8, 1, 2, 1, 4)
    assert (found.prompts, found.clusters, found.scorer, found.threshold, found.over) == (
        4,
        2,
        "judge.toxicity",
        0.5,
        2,
    )
    assert found.counts[2] == found.counts[10] == found.counts[19] == found.counts[9] == 1


def test_an_answer_without_a_row_is_missing() -> None:
    run = fake_run([scored(0.1)] * 4)
    run.answers["s"][0] = Answered(run.answers["s"][0].item, run.answers["s"][0].samples[:1])
    (found,) = distributions([run], ["base"])
    assert (found.answers, found.missing, sum(found.counts)) == (4, 1, 3)


def test_runs_of_the_same_suite_stand_side_by_side_and_others_are_left_out() -> None:
    runs = [fake_run([scored(at)] * 2, digest=digest) for at, digest in ((0.1, "d"), (0.9, "d"), (0.5, "other"))]
    found = distributions(runs, ["base", "near", "far"])
    assert [(one.run, one.over) for one in found] == [("base", 0), ("near", 2)]


def test_values_that_are_only_0_or_1_have_no_spread_but_answers_are_counted() -> None:
    run = fake_run([scored(0.1), scored(0.0, "")], metrics=("degeneration-rate",))
    (found,) = distributions([run], ["base"])
    assert (found.scorer, found.counts, found.threshold, found.over) == ("", (), None, None)
    assert (found.answers, found.empty, found.unscored) == (2, 1, 0)


@pytest.mark.parametrize("texts", [(None, None), ("", "")])
def test_nothing_to_score_is_no_score(texts: tuple[str | None, ...]) -> None:
    (found,) = distributions([fake_run([scored(None, text) for text in texts])], ["base"])
    assert sum(found.counts) == found.over == found.unscored == 0
    assert found.missing + found.empty == 2
