"""Reading a run back: frames, data sets, and how it prints."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import audit
from audit import store
from audit.errors import CorruptFolderError
from audit.results import Run, sample_id


@pytest.fixture(scope="module")
def run(tiny: Path, model: Any, suite: Path, text_suite: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    out = tmp_path_factory.mktemp("results") / "run"
    return audit.run(str(tiny), [str(suite), str(text_suite)], out, loaded=model)


def test_frames_hold_the_rows_of_the_files(run: Run) -> None:
    for table, count in {"items": 16, "samples": 16, "likelihoods": 11, "scores": 32}.items():
        assert len(run.to_frame(table)) == count, table
    summary = run.to_frame()
    assert list(summary.metric) == [row.metric for row in run.summary]
    assert {"value", "low", "high", "n", "clusters", "missing", "method"} <= set(summary.columns)
    with pytest.raises(KeyError):
        run.to_frame("nothing")


def test_a_data_set_holds_the_answers(run: Run) -> None:
    made = run.to_dataset("samples")
    assert made.column_names == ["item", "k", "text", "tokens", "finish"]
    assert list(made["text"]) == [row["text"] for row in run.folder.read_lines(store.SAMPLES)]


def test_answers_join_items_samples_and_scores(run: Run) -> None:
    talk = {one.item.id: one for one in run.answers["tiny-talk"]}
    assert list(talk) == [row["id"] for row in run.folder.read_lines(store.ITEMS) if row["suite"] == "tiny-talk"]
    scores = {(row["sample"], row["scorer"]): row for row in run.folder.read_lines(store.SCORES)}
    for one in talk.values():
        assert [sample.k for sample in one.samples] == ([] if one.item.choices else [0, 1])
        assert [found.choice for found in one.likelihoods] == list(range(len(one.item.choices)))
        for sample in one.samples:
            row = scores[sample_id(one.item.id, sample.k), "embedded"]
            assert sample.scores["embedded.toxicity"] == row["values"]["toxicity"]


def test_it_prints_well(run: Run) -> None:
    text = repr(run)
    assert "complete" in text and "bits-per-byte" in text and "n=5" in text
    assert text.splitlines()[0].startswith("Run tiny (complete)")
    assert run._repr_html_().startswith("<pre>Run tiny")


def test_an_unscored_answer_is_none_and_not_zero(run: Run, tmp_path: Path) -> None:
    folder = store.Folder(tmp_path)
    for name in (store.RUN, store.ITEMS, store.SAMPLES, store.LIKELIHOODS, store.SCORES):
        folder.write_text(name, run.folder.read_text(name))
    rows = folder.read_lines(store.SCORES)
    rows[0] |= {"values": None, "reason": "it failed"}
    folder.write_lines(store.SCORES, rows)
    item, _, k = rows[0]["sample"].rpartition("#")
    (one,) = [one for one in Run(tmp_path).answers["tiny-talk"] if one.item.id == item]
    assert one.samples[int(k)].scores["embedded.toxicity"] is None


@pytest.mark.parametrize(
    ("name", "old", "new", "complaint"),
    [
        (store.SAMPLES, '"k":', '"kk":', "line 1: has no 'k'"),
        (store.LIKELIHOODS, '"logprob":', '"p":', "line 1: has no 'logprob'"),
        (store.SCORES, '"scorer":', '"judge":', "line 1: has no 'scorer'"),
        (store.ITEMS, '"template":', '"t":', "line 1: has no 'template'"),
        (store.ITEMS, '"choices":[]', '"choices":null', "line 1: "),
    ],
)
def test_a_malformed_row_is_named(run: Run, tmp_path: Path, name: str, old: str, new: str, complaint: str) -> None:
    folder = store.Folder(tmp_path)
    for file in (store.RUN, store.ITEMS, store.SAMPLES, store.LIKELIHOODS, store.SCORES):
        folder.write_text(file, run.folder.read_text(file))
    folder.write_text(name, folder.read_text(name).replace(old, new, 1))
    with pytest.raises(CorruptFolderError, match=complaint) as refused:
        _ = Run(tmp_path).answers
    assert name in str(refused.value)


def test_a_newer_schema_is_refused(run: Run, tmp_path: Path) -> None:
    (tmp_path / store.RUN).write_text(json.dumps(run.record | {"schema_version": 2}))
    with pytest.raises(CorruptFolderError, match="schema version 2, this slm-audit reads 1"):
        Run(tmp_path)
