"""What stands out, trends, small groups and wordings of a comparison, against other computations of the same."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.stats import false_discovery_control, linregress

import audit
from audit import comparison, exploration
from audit.errors import UsageError
from audit.gate_pairing import pair_runs
from audit.metrics.answers import Answered, Likelihood, Sample
from audit.metrics.paired import contrast, pair_units
from audit.metrics.pooling import pool
from audit.results import Run
from audit.schema import Comparison, Difference, Exploration, Measured, VariantComparison
from probes.suite import Item
from tests.conftest import Called

TALK, PAIRS = "talk", "pairs"


class Made(Run):
    """A run without a folder."""

    def __init__(self, name: str, answers: dict[str, list[Answered]]) -> None:
        groups = sorted({one.item.group for one in answers[TALK]}) if TALK in answers else []
        metrics = {TALK: ["degeneration-rate"], PAIRS: ["preference-log-ratio"]}
        about = {
            "breakdown": ["group"],
            "groups": groups[::-1],
            "digest": "same",
            "matched": True,
            "decoding": {},
            "items": 1,
        }
        self.record = {
            "plan": {"seed": 0}, "model": {"name": name, "adapter": None, "tokenizer_sha256": "one"},
            "suites": [{"name": suite, "metrics": metrics[suite], **about} for suite in answers],
            "scorers": [{"name": "degeneration", "revision": "1", "smoke": False, "values": ["degenerate"]}],
            "status": "complete", "counts": {}, "files": {}, "notes": [],
        }  # fmt: skip
        self.folder = audit.store.Folder(name)
        self.__dict__["answers"] = answers


def talk(rates: Sequence[float], *, groups: Sequence[str] = ("a", "b", "c"), templates: int = 20, seed: int = 0,
         missing: bool = False) -> list[Answered]:  # fmt: skip
    """One answer a template and group, by the same random numbers in every call: equal rates give equal answers."""
    noise = np.random.default_rng(seed).random((templates, len(groups)))
    answers = []
    for at in range(templates):
        for g, (group, rate) in enumerate(zip(groups, rates, strict=True)):
            item = Item(id=f"t{at:02d}{group}", text="Say it.", template=f"t{at:02d}", group=group)
            score = float(noise[at, g] < rate)
            text = None if missing else "words"
            answers.append(Answered(item, (Sample(0, text, scores={"degeneration.degenerate": score}),)))
    return answers


def pairs(shift: float, *, templates: int = 15, each: int = 4, between: float = 1.0) -> list[Answered]:
    """Two choices an item; their log-ratio is a template's own part, an item's own part, and the shift."""
    rng = np.random.default_rng(5)
    whole = between * rng.standard_normal(templates)
    answers = []
    for at in range(templates):
        for n in range(each):
            item = Item(id=f"p{at:02d}-{n}", text="", template=f"p{at:02d}", group="a", choices=("x", "y"))
            ratio = float(whole[at] + rng.standard_normal() + shift * (1 + 0.1 * rng.standard_normal()))
            answers.append(Answered(item, (), (Likelihood(0, ratio, 3), Likelihood(1, 0.0, 3))))
    return answers


def made(name: str, rates: Sequence[float] = (0.1, 0.2, 0.3), shift: float = 0.0, **more: Any) -> Made:
    return Made(name, {TALK: talk(rates, **more), PAIRS: pairs(shift)})


def compared(base: Made, *variants: Made) -> Comparison:
    """A comparison of runs without folders: differences and exploration only."""
    names = ["base", *(run.name for run in variants)]
    found = [pair_runs(base, run) for run in variants]
    rows = [tuple(comparison._differences(base, pair.base, pair.variant)) for pair in found]
    explored = exploration.explore([base, *variants], names, found, rows)
    records = tuple(
        VariantComparison(run=run.info(name), summary=(), differences=own, gate=None, samples_compared=0,
                          samples_that_differ=0)
        for run, name, own in zip(variants, names[1:], rows, strict=True)
    )  # fmt: skip
    return Comparison(
        created="", base=base.info("base"), summary=(), variants=records, excerpts=(), suites=(), scorers=(),
        exploration=explored,
    )  # fmt: skip


def of(found: Comparison) -> Exploration:
    assert found.exploration is not None
    return found.exploration


def place(row: Measured | Difference) -> tuple[str, str]:
    return (row.suite, row.metric)


# What stands out.


def test_findings_are_those_of_an_independent_benjamini_hochberg_over_all_variants() -> None:
    base = made("base")
    found = compared(base, made("same"), made("worse", (0.9, 0.9, 0.9), 1.0), made("shifted", shift=0.6))
    rows = [(one.run.name, row) for one in found.variants for row in one.differences]
    known = [(name, row) for name, row in rows if row.sign_flip_p is not None]
    adjusted = false_discovery_control([row.sign_flip_p for _, row in known], method="bh")
    expected = {
        (name, *place(row), row.group): p
        for (name, row), p in zip(known, adjusted, strict=True)
        if p <= exploration.FALSE_ALARMS
    }
    explored = of(found)
    assert {(f.run, *place(f), f.group): f.adjusted for f in explored.findings} == pytest.approx(expected)
    assert {f.run for f in explored.findings} == {"worse", "shifted"}
    assert explored.tests == len(known) and explored.tests + explored.untested == len(rows)


def test_the_intervals_of_findings_are_those_of_the_level_that_selection_asks_for() -> None:
    base, worse = made("base"), made("worse", (0.9, 0.9, 0.9), 1.0)
    found = compared(base, made("same"), worse, made("like"))
    explored = of(found)
    level = 1 - len(explored.findings) * exploration.FALSE_ALARMS / explored.tests
    assert explored.level == pytest.approx(level) and level > 0.95
    assert of(compared(base, worse)).level == 0.95, "never below that of all other intervals"
    pair = pair_runs(base, worse)
    plain = {(*place(row), row.group): row for row in found.variants[1].differences}
    for one in explored.findings:
        key = (one.suite, one.metric, one.scorer)
        sides = [t[key] if one.group == "all" else t[key].where("group", one.group) for t in (pair.base, pair.variant)]
        expected = contrast(pair_units(*sides), level=level)
        assert (one.change.low, one.change.high) == (expected.low, expected.high)
        row = plain[(*place(one), one.group)]
        assert one.change.value == row.difference
        assert one.change.low < row.low and row.high < one.change.high


def test_equal_models_and_a_single_run_show_nothing() -> None:
    base = made("base")
    alike = of(compared(base, made("same")))
    assert (alike.findings, alike.level) == ((), None) and alike.tests > 0
    alone = of(compared(base))
    assert (alone.tests, alone.untested, alone.findings) == (0, 0, ())
    assert {row.run for row in (*alone.pooled, *alone.wordings)} == {"base"}


def test_one_cluster_and_missing_answers_have_no_test_and_are_counted() -> None:
    one = of(compared(made("base", templates=1), made("worse", (0.9, 0.9, 0.9), templates=1)))
    assert one.untested == 4 and all(row.suite == PAIRS for row in one.findings)
    none = compared(made("base", missing=True), made("worse", (0.9, 0.9, 0.9), missing=True))
    assert of(none).untested == 4
    assert all(group.raw.value is None for row in of(none).pooled for group in row.groups)


# Small groups.


def test_small_groups_stand_raw_and_pooled_for_every_run() -> None:
    base, worse = made("base", (0.0, 0.2, 0.6)), made("worse", (0.9, 0.9, 0.9))
    rows = {row.run: row for row in of(compared(base, worse)).pooled}
    assert set(rows) == {"base", "worse"}
    own = exploration.tables(base, [TALK])[TALK, "degeneration-rate", "degeneration"]
    expected = pool(own)
    for group in rows["base"].groups:
        answers = [
            a.samples[0].scores["degeneration.degenerate"] for a in base.answers[TALK] if a.item.group == group.group
        ]
        assert group.raw.value == pytest.approx(np.mean(answers)) and group.n == len(answers) == 20
        assert group.pooled.value == expected.groups[group.group].pooled.value
    assert [group.group for group in rows["base"].groups] == ["c", "b", "a"], "in the order of the suite"
    values = [(group.raw.value, group.pooled.value) for group in rows["base"].groups]
    assert values[0][0] > values[0][1] > values[2][1] > values[2][0], "both ends are drawn to the middle"


@pytest.mark.parametrize("more", [{"groups": ("a",)}, {"templates": exploration.SMALL_GROUP}])
def test_one_group_or_large_groups_are_not_pooled(more: dict[str, Any]) -> None:
    rates = (0.1,) * len(more.get("groups", "abc"))
    assert of(compared(made("base", rates, **more))).pooled == ()


# Wording.


def test_the_share_of_the_wording_is_the_intraclass_correlation() -> None:
    base, tuned = made("base"), made("tuned", shift=0.8)
    rows = {(row.run, row.change): row for row in of(compared(base, tuned)).wordings if row.suite == PAIRS}
    assert set(rows) == {("base", False), ("tuned", False), ("tuned", True)}
    ratios = [
        np.array([one.likelihoods[0].logprob for one in run.answers[PAIRS]]).reshape(15, 4) for run in (base, tuned)
    ]
    for key, values in ((("base", False), ratios[0]), (("tuned", True), ratios[1] - ratios[0])):
        between, within = 4 * values.mean(axis=1).var(ddof=1), values.var(axis=1, ddof=1).mean()
        share = max((between - within) / (between + 3 * within), 0.0)
        assert rows[key].share.value == pytest.approx(share)
        assert rows[key].another.value == pytest.approx(values.mean())
        assert (rows[key].templates, rows[key].n) == (15, 60)
    assert rows["base", False].share.value > 0.3 > 0.2 > rows["tuned", True].share.value


def test_without_templates_of_several_units_there_is_no_share() -> None:
    runs = [Made(name, {PAIRS: pairs(shift, each=1)}) for name, shift in (("base", 0.0), ("tuned", 1.0))]
    assert of(compared(*runs)).wordings == ()


# Series.


def test_the_slope_is_that_of_the_line_through_the_means() -> None:
    doses = (0.0, 10.0, 40.0)
    runs = [
        made(f"r{at}", (rate, rate, rate), shift)
        for at, (rate, shift) in enumerate([(0.1, 0.0), (0.3, 0.4), (0.8, 1.0)])
    ]
    found = exploration.attach_series(compared(*runs), runs, doses)
    series = of(found).series
    assert series is not None
    assert (series.runs, series.doses) == (("base", "r1", "r2"), doses)
    rows = {row.metric: row for row in series.trends}
    means = [np.mean([one.likelihoods[0].logprob for one in run.answers[PAIRS]]) for run in runs]
    assert rows["preference-log-ratio"].slope.value == pytest.approx(linregress(doses, means).slope)
    flags = [np.mean([a.samples[0].scores["degeneration.degenerate"] for a in run.answers[TALK]]) for run in runs]
    assert rows["degeneration-rate"].slope.value == pytest.approx(linregress(doses, flags).slope)
    assert [one.value for one in rows["degeneration-rate"].values] == pytest.approx(flags)
    adjusted = false_discovery_control([row.p for row in series.trends], method="bh")
    assert [row.adjusted for row in series.trends] == pytest.approx(list(adjusted))
    assert all(row.monotone and row.slope.low > 0 for row in series.trends)
    assert of(found).findings == of(compared(*runs)).findings


def test_a_series_that_cannot_be_is_refused() -> None:
    runs = [made("base"), made("one"), made("two")]
    found = compared(*runs)
    with pytest.raises(UsageError, match="a base and two variants or more; got 2"):
        exploration.attach_series(compared(*runs[:2]), runs[:2], (0, 1))
    with pytest.raises(UsageError, match="one number a run, the base's first; got 2 for 3"):
        exploration.attach_series(found, runs, (0, 1))
    with pytest.raises(UsageError, match="each larger than the one before"):
        exploration.attach_series(found, runs, (0, 2, 2))
    runs[2].record["suites"] = [{**one, "digest": "other"} for one in runs[2].record["suites"]]
    with pytest.raises(UsageError, match="no metric is measured alike"):
        exploration.attach_series(found, runs, (0, 1, 2))
    assert exploration.doses_of("0, 1.5,1e3") == (0.0, 1.5, 1000.0)
    for words in ("", "0,x", "0,,1"):
        with pytest.raises(UsageError, match="give numbers, comma-separated"):
            exploration.doses_of(words)


# On the command line.


@pytest.fixture(scope="module")
def folders(
    tiny: Path, model: Any, suite: Path, text_suite: Path, tmp_path_factory: pytest.TempPathFactory
) -> list[Path]:
    """A finished run and two copies of it."""
    home = tmp_path_factory.mktemp("exploration")
    audit.run(str(tiny), [str(suite), str(text_suite)], home / "base", loaded=model, samples=2)
    return [home / "base", *(shutil.copytree(home / "base", home / name) for name in ("first", "second"))]


def test_compare_shows_exploration_and_a_series(
    folders: list[Path], tmp_path: Path, cli: Callable[..., Called]
) -> None:
    said = cli("compare", *folders, "--series", "0,100,200", "--out", tmp_path / "c.html")
    assert said.code == 0, said.err
    assert "Exploration: 0 of " in said.out and "Series: 0 of " in said.out
    page = (tmp_path / "c.html").read_text()
    assert 'id="exploration"' in page and 'id="trend-h"' in page
    kept = Comparison.model_validate(json.loads(cli("compare", *folders, "--series", "0,100,200", "--json").out))
    assert of(kept).series is not None and of(kept).tests > 0
    assert of(Comparison.model_validate(json.loads(cli("compare", *folders, "--json").out))).series is None


@pytest.mark.parametrize(
    ("doses", "complaint"),
    [("0,1", "got 2 for 3 runs"), ("0,2,1", "each larger than the one before"), ("a,b,c", "give numbers")],
)
def test_a_wrong_series_is_one_line_and_exit_code_2(
    folders: list[Path], cli: Callable[..., Called], doses: str, complaint: str
) -> None:
    said = cli("compare", *folders, "--series", doses)
    assert said.code == 2 and complaint in said.complaint
