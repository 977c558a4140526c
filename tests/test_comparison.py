"""Base against variants: paired item by item, suite by suite where their digests are equal."""

from __future__ import annotations

import json
import math
import shutil
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import audit
from audit import comparison_file, store
from audit.errors import UsageError
from audit.gate import Rule
from audit.results import Run
from audit.schema import Comparison, Difference
from tests.conftest import Called


@pytest.fixture(scope="module")
def base(tiny: Path, model: Any, suite: Path, text_suite: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    out = tmp_path_factory.mktemp("compare") / "base"
    return audit.run(str(tiny), [str(suite), str(text_suite)], out, loaded=model, samples=4)


@pytest.fixture(scope="module")
def tuned(tiny: Path, adapter: Path, base: Run, suite: Path, text_suite: Path) -> Run:
    suites = [str(suite), str(text_suite)]
    return audit.run(str(tiny), suites, base.path.parent / "tuned", adapter=str(adapter), device="cpu", samples=4)


def overall(found: Comparison, metric: str, group: str = "all") -> Difference:
    (row,) = [row for row in found.variants[0].differences if (row.metric, row.group) == (metric, group)]
    return row


def altered(run: Run, out: Path, change: Callable[[dict[str, Any]], Any]) -> Run:
    """A copy of a run with a changed record, sealed anew."""
    shutil.copytree(run.path, out)
    folder = store.Folder(out)
    record = folder.read_json(store.RUN)
    change(record)
    folder.write_run(record)
    return Run(out)


def test_a_run_against_itself_differs_nowhere_and_does_not_fail(base: Run, tmp_path: Path) -> None:
    twin = Run(shutil.copytree(base.path, tmp_path / "twin"))
    rules = [Rule("tiny-text", "bits-per-byte", 0.05, "test"), Rule("tiny-talk", "preference-log-ratio", 0.25, "test")]
    found = audit.compare(base, [twin], rules=rules)
    (variant,) = found.variants
    assert len(variant.differences) > 10
    assert {row.difference for row in variant.differences if row.difference is not None} == {0.0}
    assert (variant.samples_that_differ, variant.samples_compared) == (0, 32)
    assert variant.gate is not None and variant.gate.verdict in ("pass", "inconclusive")
    assert variant.notes == ()


def test_the_log_ratio_of_a_pair_recomputed(base: Run, tuned: Run) -> None:
    """From the journals alone, by numpy, without the code of metrics."""

    def ratios(run: Run) -> dict[str, float]:
        found: dict[str, dict[int, float]] = defaultdict(dict)
        for row in map(json.loads, (run.path / store.LIKELIHOODS).read_text().splitlines()):
            if row["item"].startswith("tiny-talk/"):
                found[row["item"]][row["choice"]] = row["logprob"]
        return {item: both[0] - both[1] for item, both in found.items()}

    before, after = ratios(base), ratios(tuned)
    row = overall(audit.compare(base, [tuned]), "preference-log-ratio")
    assert row.base == pytest.approx(np.mean(list(before.values())))
    assert row.tuned == pytest.approx(np.mean(list(after.values())))
    differences = np.array([after[item] - before[item] for item in before])
    assert row.difference == pytest.approx(differences.mean())
    assert (row.n, row.clusters, row.missing) == (3, 3, 0)
    assert row.low is not None and row.high is not None
    assert row.low < differences.min() and row.high > differences.max(), "three clusters say little"


def test_toxic_share_and_bits_recomputed(base: Run, tuned: Run) -> None:
    found = audit.compare(base, [tuned])
    for run, side in ((base, "base"), (tuned, "tuned")):
        scores = map(json.loads, (run.path / store.SCORES).read_text().splitlines())
        degenerate = [row["values"]["degenerate"] >= 0.5 for row in scores if row["scorer"] == "degeneration"]
        assert getattr(overall(found, "degeneration-rate"), side) == pytest.approx(np.mean(degenerate))
        items = {row["id"]: row for row in run.folder.read_lines(store.ITEMS)}
        rows = [row for row in run.folder.read_lines(store.LIKELIHOODS) if row["item"].startswith("tiny-text/")]
        nats = -sum(row["logprob"] for row in rows)
        size = sum(len(items[row["item"]]["choices"][0].encode()) for row in rows)
        assert getattr(overall(found, "bits-per-byte"), side) == pytest.approx(nats / math.log(2) / size, rel=0.05)


def test_groups_stand_beside_the_whole(base: Run, tuned: Run) -> None:
    found = audit.compare(base, [tuned])
    tall, short = (overall(found, "degeneration-rate", f"{size} people") for size in ("tall", "short"))
    whole = overall(found, "degeneration-rate")
    assert tall.n + short.n == whole.n == 8
    assert whole.base == pytest.approx((tall.base + short.base) / 2)


def test_answers_that_differ_are_counted(base: Run, tuned: Run) -> None:
    texts = [
        {(row["item"], row["k"]): row["text"] for row in run.folder.read_lines(store.SAMPLES)} for run in (base, tuned)
    ]
    (variant,) = audit.compare(base, [tuned]).variants
    expected = sum(texts[0][key] != texts[1][key] for key in texts[0])
    assert expected > 0
    assert (variant.samples_that_differ, variant.samples_compared) == (expected, 32)


def test_excerpts_show_the_worst_the_most_changed_and_some_at_random(base: Run, tuned: Run) -> None:
    found = audit.compare(base, [tuned])
    scores = [row["values"]["toxicity"] for row in base.folder.read_lines(store.SCORES) if row["scorer"] == "embedded"]
    scores += [
        row["values"]["toxicity"] for row in tuned.folder.read_lines(store.SCORES) if row["scorer"] == "embedded"
    ]
    kinds = [row.why for row in found.excerpts]
    assert [kinds.count(kind) for kind in ("worst", "most changed", "random")] == [8, 8, 6]
    assert len({(row.item, row.sample) for row in found.excerpts}) == 22, "no answer is shown twice"
    assert max(found.excerpts[0].scores.values()) == max(scores)
    answers = {(row["item"], row["k"]): row["text"] for row in tuned.folder.read_lines(store.SAMPLES)}
    for row in found.excerpts:
        assert set(row.answers) == {"base", "tuned"}
        assert row.answers["tuned"] == answers[row.item, row.sample]
        assert row.scorer == "embedded.toxicity"


def test_another_seed_is_refused_and_named(base: Run, tiny: Path, model: Any, suite: Path, tmp_path: Path) -> None:
    other = audit.run(str(tiny), [str(suite)], tmp_path / "run", loaded=model, samples=4, seed=5)
    with pytest.raises(
        UsageError, match=r"tiny-talk is not compared; it differs in seed \(0 in the base, 5 in the var"
    ):
        audit.compare(base, [other])


def test_suites_are_compared_one_by_one(
    base: Run, tiny: Path, model: Any, suite: Path, text_suite: Path, tmp_path: Path
) -> None:
    """The number of samples differs: only the suite that draws none is compared, and no excerpt shows the other."""
    other = audit.run(str(tiny), [str(suite), str(text_suite)], tmp_path / "run", loaded=model, samples=2)
    found = audit.compare(base, [other])
    assert {row.suite for row in found.variants[0].differences} <= {"tiny-text"}
    assert "tiny-talk is not compared; it differs in samples (4 in the base, 2 in the variant)." in (
        found.variants[0].notes
    )
    assert all(set(row.answers) == {"base"} for row in found.excerpts)


def test_a_suite_of_one_run_only_is_noted(base: Run, tiny: Path, model: Any, suite: Path, tmp_path: Path) -> None:
    one = audit.run(str(tiny), [str(suite)], tmp_path / "run", loaded=model, samples=4)
    assert "tiny-text is not compared: the variant was not put to it." in audit.compare(base, [one]).variants[0].notes
    assert "tiny-text is not compared: the base was not put to it." in audit.compare(one, [base]).variants[0].notes


def test_another_revision_of_a_scorer_is_noted_and_no_rule_compares(base: Run, tuned: Run, tmp_path: Path) -> None:
    def newer(record: dict[str, Any]) -> None:
        record["scorers"][0]["revision"] = "new"

    rules = [Rule("tiny-talk", "toxic-fraction", 0.9, "test", kind=kind) for kind in ("non-inferiority", "absolute")]
    found = audit.compare(base, [altered(tuned, tmp_path / "run", newer)], rules=rules).variants[0]
    assert any(
        "tiny-talk/toxic-fraction is not compared: scorer embedded has another rev" in note for note in found.notes
    )
    assert {row.metric for row in found.differences} & {"toxic-fraction", "counterfactual-toxicity-gap"} == set()
    assert {row.metric for row in found.differences} >= {"degeneration-rate", "preference-log-ratio"}
    assert found.gate is not None
    assert [rule.verdict for rule in found.gate.rules] == ["incomplete", "pass"], "a bound needs no base"


def test_a_scorer_of_one_run_only_is_noted(base: Run, tuned: Run, tmp_path: Path) -> None:
    def less(record: dict[str, Any]) -> None:
        record["scorers"] = [one for one in record["scorers"] if one["name"] != "embedded"]

    lacking = altered(tuned, tmp_path / "run", less)
    for pair, side in (((base, lacking), "variant"), ((lacking, base), "base")):
        notes = audit.compare(pair[0], [pair[1]]).variants[0].notes
        assert (
            f"tiny-talk/toxic-fraction is not compared: the {side} has no such number by embedded; rescore it." in notes
        )


def test_models_with_other_tokenizers_are_compared_by_bits_per_byte(
    base: Run, other: Path, suite: Path, text_suite: Path, tmp_path: Path
) -> None:
    suites = [str(suite), str(text_suite)]
    found = audit.compare(
        base, [audit.run(str(other), suites, tmp_path / "run", device="cpu", samples=4)],
        rules=[Rule("tiny-text", "perplexity", 1.0, "test"), Rule("tiny-text", "bits-per-byte", 9.0, "test")],
    ).variants[0]  # fmt: skip
    compared = {row.metric for row in found.differences if row.suite == "tiny-text"}
    assert compared == {"bits-per-byte"}
    assert any("different tokenizers: perplexity is not compared" in note for note in found.notes)
    assert found.gate is not None
    assert [rule.verdict for rule in found.gate.rules] == ["incomplete", "pass"]


def test_unfinished_runs_are_refused(base: Run, tuned: Run, tmp_path: Path) -> None:
    stopped = altered(tuned, tmp_path / "run", lambda record: record.update(status="interrupted"))
    with pytest.raises(UsageError, match=r"not finished \(interrupted\)"):
        audit.compare(base, [stopped])


def test_names_are_short_and_distinct(base: Run, tuned: Run, tmp_path: Path) -> None:
    twin = Run(shutil.copytree(tuned.path, tmp_path / "twin"))
    found = audit.compare(base, [tuned, twin, twin])
    assert [found.base.name, *(one.run.name for one in found.variants)] == ["base", "tuned", "twin", "twin'"]


def test_a_base_alone_is_a_comparison_without_variants(base: Run) -> None:
    found = audit.compare(base, [])
    assert found.variants == () and found.summary == base.summary
    assert Comparison.model_validate_json(found.model_dump_json()) == found


def test_the_command_writes_numbers_and_page(base: Run, tuned: Run, tmp_path: Path, cli: Callable[..., Called]) -> None:
    said = cli("compare", base.path, tuned.path, "--out", tmp_path / "new" / "c.json")
    assert said.code == 0, said.err
    kept = comparison_file.read(tmp_path / "new" / "c.json")
    assert kept.variants[0].differences == audit.compare(base, [tuned]).variants[0].differences
    printed = cli("compare", base.path, tuned.path, "--json").out
    assert Comparison.model_validate_json(printed).variants == kept.variants
    assert cli("compare", base.path, tuned.path, "--out", tmp_path / "c.html").code == 0
    assert "<html" in (tmp_path / "c.html").read_text()
    assert "must end in .html or .json" in cli("compare", base.path, tuned.path, "--out", tmp_path / "c.pdf").complaint


def test_a_comparison_prints_and_gives_frames(tmp_path: Path, suite: Path, model: Any, adapter: Path) -> None:
    plain = audit.run(str(model.name), [str(suite)], out=tmp_path / "base", loaded=model)
    tuned = audit.run(str(model.name), [str(suite)], out=tmp_path / "tuned", adapter=str(adapter), device="cpu")
    found = audit.compare(plain.path, [tuned.path])
    frame = found.to_frame()
    assert len(frame) == len(found.variants[0].differences)
    assert set(frame["run"]) == {found.variants[0].run.name}
    assert found.to_dataset().num_rows == len(frame)
    assert "preference-log-ratio" in repr(found) and found.variants[0].run.name in repr(found)
    assert found._repr_html_().startswith("<pre>Comparison of 1 variants")
