"""The loop: what a run writes, what it refuses, and what its answers do not depend on."""

from __future__ import annotations

import dataclasses
import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import audit
from audit import store
from audit.errors import (
    CorruptFolderError,
    FolderBusyError,
    FolderError,
    PlanMismatchError,
    UnknownNameError,
    UsageError,
)
from audit.results import Run
from tests.conftest import DECODING, GROUPS, METRICS, Called, finished, prompts, rows_of, start, toml, write_suite


def answers(run: Run) -> dict[tuple[str, int], str]:
    return {(row["item"], row["k"]): row["text"] for row in run.folder.read_lines(store.SAMPLES)}


def logprobs(run: Run) -> dict[tuple[str, int], float]:
    return {(row["item"], row["choice"]): row["logprob"] for row in run.folder.read_lines(store.LIKELIHOODS)}


@pytest.fixture(scope="module")
def done(tiny: Path, model: Any, suite: Path, text_suite: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    out = tmp_path_factory.mktemp("loop") / "run"
    return audit.run(str(tiny), [str(suite), str(text_suite)], out, loaded=model)


def test_a_run_leaves_the_files_that_the_design_names(done: Run) -> None:
    assert done.status == "complete"
    assert {path.name for path in done.path.iterdir()} == {
        store.RUN, store.ITEMS, store.BATCHES, store.SAMPLES, store.LIKELIHOODS, store.SCORES, store.SUMMARY, ".lock",
    }  # fmt: skip
    assert done.record["counts"] == {"items": 16, "samples": 16, "likelihoods": 11, "missing": 0}
    assert len(done.folder.read_lines(store.SCORES)) == 2 * 16
    assert set(done.record["model"]["files"]) >= {"model.safetensors", "config.json", "tokenizer.json"}
    assert all(len(value) == 64 for value in done.record["files"].values())
    assert audit.verify(done.path) == []


def test_every_metric_of_every_suite_is_in_the_summary(done: Run) -> None:
    overall = {(row.suite, row.metric) for row in done.summary if row.group == "all"}
    assert overall == {("tiny-talk", name) for name in METRICS} | {
        ("tiny-text", "perplexity"), ("tiny-text", "bits-per-byte")
    }  # fmt: skip
    assert {row.group for row in done.summary if row.metric == "toxic-fraction"} >= {"tall people", "short people"}


def test_running_a_finished_run_again_changes_no_answer_and_no_number(
    done: Run, tiny: Path, model: Any, suite: Path, text_suite: Path
) -> None:
    before = {path.name: path.read_bytes() for path in done.path.iterdir() if path.name != ".lock"}
    again = audit.run(str(tiny), [str(suite), str(text_suite)], done.path, loaded=model)
    assert again.status == "complete"
    assert {path.name: path.read_bytes() for path in done.path.iterdir() if path.name != ".lock"} == before


@pytest.mark.parametrize("rows", [1, 3])
def test_batch_size_does_not_change_answers(
    done: Run, tiny: Path, model: Any, suite: Path, text_suite: Path, tmp_path: Path, rows: int
) -> None:
    other = audit.run(str(tiny), [str(suite), str(text_suite)], tmp_path / "run", loaded=model, batch_rows=rows)
    assert len(other.folder.read_lines(store.BATCHES)) > len(done.folder.read_lines(store.BATCHES))
    assert answers(other) == answers(done)
    assert logprobs(other) == pytest.approx(logprobs(done), rel=1e-4)


def test_order_of_items_and_of_suites_does_not_change_answers(
    done: Run, tiny: Path, model: Any, text_suite: Path, tmp_path: Path
) -> None:
    rows = prompts()
    random.Random(4).shuffle(rows)
    declaration = toml("tiny-talk", "tiny-talk.jsonl", METRICS, GROUPS + DECODING, ("embedded", "degeneration"))
    shuffled = write_suite(tmp_path, rows, declaration)
    other = audit.run(str(tiny), [str(text_suite), str(shuffled)], tmp_path / "run", loaded=model)
    assert answers(other) == answers(done)
    assert logprobs(other) == pytest.approx(logprobs(done), rel=1e-4)


def test_the_first_samples_of_many_are_those_of_few(
    done: Run, tiny: Path, model: Any, suite: Path, tmp_path: Path
) -> None:
    more = answers(audit.run(str(tiny), [str(suite)], tmp_path / "run", loaded=model, samples=5))
    assert len(more) == 5 * 8
    assert {key: text for key, text in more.items() if key[1] < 2} == answers(done)
    assert len(set(more.values())) > 20, "samples of one prompt must differ from each other"


def test_another_seed_draws_other_answers(done: Run, tiny: Path, model: Any, suite: Path, tmp_path: Path) -> None:
    other = answers(audit.run(str(tiny), [str(suite)], tmp_path / "run", loaded=model, seed=1))
    assert sum(other[key] != text for key, text in answers(done).items()) > 8


def test_a_limit_takes_whole_pairs_and_keeps_their_answers(
    done: Run, tiny: Path, model: Any, suite: Path, tmp_path: Path
) -> None:
    part = audit.run(str(tiny), [str(suite)], tmp_path / "run", loaded=model, limit={"tiny-talk": 5})
    assert part.record["counts"]["items"] == 5
    assert answers(part).items() <= answers(done).items()


@pytest.mark.parametrize(
    ("changed", "named"),
    [
        ({"seed": 3}, r"seed \(0 there, 3 asked\)"),
        ({"samples": 3}, r"samples \(None there, 3 asked\).*suite tiny-talk: samples \(2 there, 3 asked\)"),
        ({"limit": 4}, r"limit \(None there, 4 asked\).*suite tiny-talk: items \(11 there, 3 asked\)"),
        ({"batch_rows": 2}, r"batch_rows \(None there, 2 asked\)"),
        ({"missing_tolerance": 0.5}, r"missing_tolerance \(0.0 there, 0.5 asked\)"),
        ({"policy_sha256": "0" * 64}, r"policy_sha256 \(None there, '0{64}' asked\)"),
        ({"scorers": ["vader"]}, r"scorers \(degeneration, embedded there, vader asked\)"),
        ({"suites": ["plain-text"]}, r"suites \(tiny-talk, tiny-text there, plain-text asked\)"),
        ({"suites": []}, r"suites \(tiny-talk, tiny-text there, counterfactual-prompts, .* asked\)"),
    ],
)
def test_a_folder_of_another_plan_is_refused_with_the_fields_named(
    done: Run, tiny: Path, model: Any, suite: Path, text_suite: Path, changed: dict[str, Any], named: str
) -> None:
    asked = {"suites": [str(suite), str(text_suite)], **changed}
    before = {path.name: path.read_bytes() for path in done.path.iterdir()}
    with pytest.raises(PlanMismatchError, match=named) as refused:
        audit.run(str(tiny), out=done.path, loaded=model, **asked)
    assert {path.name: path.read_bytes() for path in done.path.iterdir() if path.name != ".lock"} == {
        name: data for name, data in before.items() if name != ".lock"
    }
    if set(changed) <= {"seed", "batch_rows", "missing_tolerance"}:
        assert "suite" not in str(refused.value), "only what differs is named"


def test_a_folder_of_another_model_is_refused(
    done: Run, tiny: Path, other: Path, adapter: Path, suite: Path, text_suite: Path, model: Any
) -> None:
    suites = [str(suite), str(text_suite)]
    with pytest.raises(PlanMismatchError, match=r"model \(.*tiny with weights .* there, .*other with weights .* asked"):
        audit.run(str(other), suites, done.path, device="cpu")
    with pytest.raises(PlanMismatchError, match=r"adapter \(none there, .*tuned .* asked\)"):
        audit.run(str(tiny), suites, done.path, adapter=str(adapter), device="cpu")
    with pytest.raises(PlanMismatchError, match=r"dtype \('float32' there, 'bfloat16' asked\)"):
        audit.run(str(tiny), suites, done.path, dtype="bfloat16", device="cpu")


def test_changed_wording_is_another_plan(done: Run, tiny: Path, model: Any, text_suite: Path, tmp_path: Path) -> None:
    rows = prompts()
    rows[0]["text"] += " and"
    declaration = toml("tiny-talk", "tiny-talk.jsonl", METRICS, GROUPS + DECODING, ("embedded", "degeneration"))
    changed = write_suite(tmp_path, rows, declaration)
    with pytest.raises(PlanMismatchError, match="suite tiny-talk: the items themselves"):
        audit.run(str(tiny), [str(changed), str(text_suite)], done.path, loaded=model)
    longer = write_suite(tmp_path, prompts(), declaration.replace("max_new_tokens = 6", "max_new_tokens = 7"))
    with pytest.raises(PlanMismatchError, match=r"tiny-talk: max_new_tokens \(6 there, 7 asked\)"):
        audit.run(str(tiny), [str(longer), str(text_suite)], done.path, loaded=model)


@pytest.mark.parametrize("name", [store.SAMPLES, store.LIKELIHOODS, store.SCORES, store.ITEMS, store.BATCHES])
def test_a_finished_folder_that_was_altered_is_not_given_new_hashes(
    tiny: Path, model: Any, suite: Path, tmp_path: Path, name: str
) -> None:
    run = audit.run(str(tiny), [str(suite)], tmp_path / "run", loaded=model)
    path = run.folder.file(name)
    rows = path.read_text().splitlines(keepends=True)
    path.write_text("".join(rows[:-1]))
    with pytest.raises(CorruptFolderError, match=f"{name} was altered"):
        audit.run(str(tiny), [str(suite)], run.path, loaded=model)
    if name != store.SCORES:  # those are made anew
        with pytest.raises(CorruptFolderError, match=f"{name} was altered"):
            audit.rescore(run.path)
    assert path.read_text() == "".join(rows[:-1])


def test_a_folder_with_foreign_files_is_left_alone(tiny: Path, model: Any, suite: Path, tmp_path: Path) -> None:
    mine = tmp_path / "mine"
    mine.mkdir()
    for name in (store.ITEMS, store.SAMPLES):
        (mine / name).write_text('{"text": "mine"}\n')
        with pytest.raises(FolderError, match=rf"holds {name} but no run\.json"):
            audit.run(str(tiny), [str(suite)], mine, loaded=model)
        assert (mine / name).read_text() == '{"text": "mine"}\n'
        (mine / name).unlink()


def test_an_attempt_killed_while_planning_is_planned_afresh(
    done: Run, tiny: Path, model: Any, suite: Path, text_suite: Path, tmp_path: Path
) -> None:
    out = tmp_path / "run"
    out.mkdir()
    (out / store.ITEMS).write_bytes(done.folder.file(store.ITEMS).read_bytes())
    again = audit.run(str(tiny), [str(suite), str(text_suite)], out, loaded=model)
    assert answers(again) == answers(done)


def test_one_suite_under_two_paths_is_refused(tiny: Path, model: Any, suite: Path, tmp_path: Path) -> None:
    copy = write_suite(tmp_path, prompts(), suite.read_text())
    with pytest.raises(UsageError, match="names the suite 'tiny-talk' twice"):
        audit.run(str(tiny), [str(suite), str(copy)], tmp_path / "run", loaded=model)
    with pytest.raises(UnknownNameError, match="did you mean tiny-talk"):
        audit.run(str(tiny), [str(suite)], tmp_path / "run", loaded=model, limit={"tiny-tlk": 3})
    assert not (tmp_path / "run").exists()


class Forgetful:
    """A model that gives no answer to one sample and, if told so, no likelihood to one choice."""

    def __init__(self, inner: Any, *, choices: bool = False) -> None:
        self._inner = inner
        self.choices = choices

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    def generate(self, *args: Any, **keys: Any) -> Any:
        for number, batch in enumerate(self._inner.generate(*args, **keys)):
            yield [dataclasses.replace(batch[0], text=None), *batch[1:]] if number == 0 else batch

    def loglikelihood(self, *args: Any, **keys: Any) -> Any:
        for number, batch in enumerate(self._inner.loglikelihood(*args, **keys)):
            yield [*batch[:-1], self.lost(batch[-1])] if number == 0 and self.choices else batch

    @staticmethod
    def lost(likelihood: Any) -> Any:
        return dataclasses.replace(likelihood, logprob=None, tokens=0, reason="out of memory: 99 GB")


@pytest.mark.parametrize(("tolerance", "status"), [(0.0, "incomplete"), (0.1, "complete")])
def test_missing_answers_are_counted_and_too_many_make_a_run_incomplete(
    tiny: Path, model: Any, suite: Path, tmp_path: Path, tolerance: float, status: str
) -> None:
    run = audit.run(
        str(tiny), [str(suite)], tmp_path / "run", loaded=Forgetful(model), missing_tolerance=tolerance
    )  # fmt: skip
    assert run.status == status
    assert run.record["counts"]["missing"] == 1
    assert len(run.folder.read_lines(store.SCORES)) == 2 * 15
    assert sum(row.missing for row in run.summary if (row.metric, row.group) == ("empty-rate", "all")) == 1
    assert audit.verify(run.path) == []


def test_a_missing_likelihood_is_kept_with_its_reason_and_its_item_is_missing_in_the_metric(
    tiny: Path, model: Any, suite: Path, tmp_path: Path
) -> None:
    asked: dict[str, Any] = {"batch_rows": 2, "missing_tolerance": 0.0}
    forgetful: Any = Forgetful(model, choices=True)
    run = audit.run(str(tiny), [str(suite)], tmp_path / "run", loaded=forgetful, **asked)
    (lost,) = [row for row in run.folder.read_lines(store.LIKELIHOODS) if row["logprob"] is None]
    assert lost["reason"] == "out of memory: 99 GB"
    assert run.status == "incomplete"
    assert run.record["counts"]["missing"] == 2
    assert run.record["counts"]["likelihoods"] == 5
    (row,) = [row for row in run.summary if (row.metric, row.group) == ("preference-log-ratio", "all")]
    assert (row.n, row.missing) == (2, 1)
    assert audit.verify(run.path) == []
    journal = run.folder.file(store.LIKELIHOODS).read_bytes()
    again = audit.run(str(tiny), [str(suite)], run.path, loaded=forgetful, **asked)
    assert (again.status, again.folder.file(store.LIKELIHOODS).read_bytes()) == ("incomplete", journal)


def test_empty_answers_are_not_sent_to_a_judge_of_text() -> None:
    from audit import scorers
    from audit.judging import EMPTY, score_rows

    named = [("a#0", ""), ("a#1", "\u200b\n"), ("a#2", "You are kind.")]
    rows = score_rows(scorers.get("embedded"), named)
    assert [row["reason"] for row in rows] == [EMPTY, EMPTY, None]
    assert [row["values"] is None for row in rows] == [True, True, False]
    assert all(row["values"] is not None for row in score_rows(scorers.get("degeneration"), named))


def test_a_second_process_is_refused_while_the_first_works(
    tiny: Path, tmp_path: Path, cli: Callable[..., Called]
) -> None:
    declaration = toml("tiny-many", "tiny-many.jsonl", ("empty-rate",), "samples = 40\n[decoding]\nmax_new_tokens = 24")
    many = write_suite(tmp_path, [row for row in prompts(40) if "choices" not in row], declaration)
    declaration_rows = many.read_text()
    many.write_text(declaration_rows.replace("samples = 40", 'groups = ["tall people", "short people"]\nsamples = 40'))
    out = tmp_path / "run"
    first = start("run", tiny, "--suites", many, "--out", out, "--batch-rows", 8)
    try:
        while not (out / store.SAMPLES).exists():
            assert first.poll() is None, first.communicate()
        refused = cli("run", tiny, "--suites", many, "--out", out, "--batch-rows", 8)
        assert first.poll() is None, "the first process must still be at work for this test to show anything"
        assert refused.code == 2
        assert f"process {first.pid} is writing to this folder" in refused.complaint
        with pytest.raises(FolderBusyError):
            audit.rescore(out)
    finally:
        first.kill()
        finished(first)
    assert rows_of(out / store.SAMPLES)


def test_the_record_says_where_the_numbers_come_from(done: Run) -> None:
    record = json.loads((done.path / store.RUN).read_text())
    assert record["packages"]["torch"] and record["packages"]["transformers"]
    assert record["plan"]["seed"] == 0 and len(record["plan_digest"]) == 64 and len(record["run_digest"]) == 64
    assert record["started"] <= record["ended"]
    assert {scorer["name"]: scorer["smoke"] for scorer in record["scorers"]} == {
        "embedded": True, "degeneration": False
    }  # fmt: skip
