"""``rescore`` judges kept answers without a model; ``score`` judges any texts."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import audit
from audit import scorers, store
from audit.errors import CorruptFolderError, DataError, UnknownNameError, UsageError
from audit.results import Run
from audit.scorers import ScoreResult
from tests.conftest import DECODING, GROUPS, Called, prompts, rows_of, toml, write_suite


@pytest.fixture(scope="module")
def made(tiny: Path, model: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run whose suite also asks for sentiment, made without the scorer of sentiment."""
    folder = tmp_path_factory.mktemp("rescore")
    metrics = ("toxic-fraction", "sentiment", "degeneration-rate")
    declaration = toml(
        "tiny-mood", "tiny-mood.jsonl", metrics, GROUPS + DECODING, ("embedded", "vader", "degeneration")
    )
    suite = write_suite(folder, [row for row in prompts() if "choices" not in row], declaration)
    judges = ["embedded", "degeneration"]
    return audit.run(str(tiny), [str(suite)], folder / "run", loaded=model, scorers=judges).path


@pytest.fixture
def run(made: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(made, tmp_path / "run"))


def contents(run: Path) -> dict[str, list[str]]:
    return {name: rows_of(run / name) for name in (store.ITEMS, store.SAMPLES, store.SCORES, store.SUMMARY)}


def test_the_same_judges_give_the_same_numbers(run: Path) -> None:
    before = contents(run)
    again = audit.rescore(run)
    assert contents(run) == before
    assert again.status == "complete"
    assert audit.verify(run) == []


def test_a_judge_is_added(run: Path) -> None:
    assert {row.metric for row in Run(run).summary} == {"toxic-fraction", "degeneration-rate"}
    before = contents(run)
    again = audit.rescore(run, ["vader"])
    assert "sentiment" in {row.metric for row in again.summary}
    assert set(before[store.SCORES]) < set(rows_of(run / store.SCORES))
    assert rows_of(run / store.SAMPLES) == before[store.SAMPLES]
    assert [scorer["name"] for scorer in again.record["scorers"]] == ["embedded", "degeneration", "vader"]
    assert [done["scorers"] for done in again.record["rescored"]] == [["vader"]]
    assert audit.verify(run) == []


def test_the_note_on_metrics_left_out_goes_when_their_judge_comes(run: Path) -> None:
    assert any("sentiment not computed" in note for note in Run(run).record["notes"])
    assert not any("sentiment not computed" in note for note in audit.rescore(run, ["vader"]).record["notes"])


class Stern:
    """Another revision of the embedded scorer: everything is toxic, and one text cannot be judged."""

    name, revision, smoke, values, card = "embedded", "stern-2", False, ("toxicity",), "Says toxic to everything."

    def score(self, texts: list[str]) -> list[ScoreResult]:
        return [ScoreResult({"toxicity": 1.0}) for _ in texts[1:]] + [ScoreResult(None, "too long")]


def test_a_judge_is_replaced(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = scorers.get
    monkeypatch.setattr(scorers, "get", lambda name: Stern() if name == "embedded" else real(name))
    again = audit.rescore(run, ["embedded"])
    rows = [row for row in again.folder.read_lines(store.SCORES) if row["scorer"] == "embedded"]
    assert {row["revision"] for row in rows} == {"stern-2"}
    assert sum(row["values"] is None for row in rows) == 1
    (found,) = [row for row in again.summary if (row.metric, row.group) == ("toxic-fraction", "all")]
    assert (found.value, found.unscored, found.smoke) == (1.0, 1, False)
    assert len(rows) == len(rows_of(run / store.SAMPLES))
    assert audit.verify(run) == []


def test_it_needs_no_torch(run: Path) -> None:
    code = (
        "import sys, audit; audit.rescore(sys.argv[1], ['vader']); audit.verify(sys.argv[1]);"
        "print(sorted({'torch', 'transformers', 'peft'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code, str(run)], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_what_cannot_be_rescored_is_refused_and_unchanged(run: Path) -> None:
    with pytest.raises(UnknownNameError, match="did you mean vader"):
        audit.rescore(run, ["vadr"])
    data = (run / store.SAMPLES).read_text()
    (run / store.SAMPLES).write_text(data.replace('"text":"', '"text":"x', 1))
    before = contents(run)
    with pytest.raises(CorruptFolderError, match=r"samples\.jsonl was altered"):
        audit.rescore(run)
    assert contents(run) == before
    (run / store.SAMPLES).write_text(data)
    folder = store.Folder(run)
    folder.write_run(folder.read_json(store.RUN) | {"status": "interrupted"})
    with pytest.raises(UsageError, match=r"not finished \(interrupted\)"):
        audit.rescore(run)


def test_a_rescoring_that_was_killed_is_done_again(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copytree(run, run.parent / "whole")

    def crash(*args: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr("audit.rescoring.finish", crash)
        with pytest.raises(KeyboardInterrupt):
            audit.rescore(run, ["vader"])
    assert audit.verify(run) != []
    audit.rescore(run, ["vader"])
    assert audit.verify(run) == []
    assert contents(run) == contents(audit.rescore(run.parent / "whole", ["vader"]).path)


# -- score --


def write(path: Path, *records: object) -> Path:
    path.write_text("".join(json.dumps(record) + "\n" for record in records), encoding="utf-8")
    return path


def test_scores_come_back_in_the_order_of_the_texts(tmp_path: Path, cli: Callable[..., Called]) -> None:
    texts = ["You are wonderful.", "I hate this.", "", "You are wonderful.", "\u2028 a \x00 b"]
    source = write(tmp_path / "in.jsonl", *({"id": at, "text": text, "more": 1} for at, text in enumerate(texts)))
    out = tmp_path / "new" / "out.jsonl"
    assert cli("score", source, "--scorer", "vader", "--out", out).code == 0
    rows = [json.loads(line) for line in out.read_text().splitlines()]
    assert [row["id"] for row in rows] == [0, 1, 2, 3, 4]
    assert {row["revision"] for row in rows} == {scorers.get("vader").revision}
    assert all((row["values"] is None) != (row["reason"] is None) for row in rows)
    assert rows[0]["values"]["sentiment"] > 0.5 > rows[1]["values"]["sentiment"]
    assert rows[0]["values"] == rows[3]["values"]


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        ("", "holds no record"),
        ("\n\n", "holds no record"),
        ('{"id": 1, "text": "a"}\n{"id": 2\n', "line 2: not JSON"),
        ('{"id": 1, "text": "a"}\n\n[1]\n', "line 3: must be an object"),
        ('{"id": 1}\n', "line 1, field 'text': is missing"),
        ('{"text": "a"}\n', "line 1, field 'id': is missing"),
        ('{"id": 1, "text": null}\n', "line 1, field 'text': must be a string"),
    ],
)
def test_a_malformed_file_is_refused(tmp_path: Path, cli: Callable[..., Called], content: str, complaint: str) -> None:
    source = tmp_path / "in.jsonl"
    source.write_text(content)
    said = cli("score", source, "--scorer", "vader", "--out", tmp_path / "out.jsonl")
    assert said.code == 2
    assert complaint in said.complaint
    assert not (tmp_path / "out.jsonl").exists()


def test_the_source_is_never_overwritten(tmp_path: Path) -> None:
    source = write(tmp_path / "in.jsonl", {"id": 1, "text": "a"})
    with pytest.raises(UsageError, match="is the file to be scored"):
        audit.score(source, "vader", source)
    with pytest.raises(DataError, match="no such file"):
        audit.score(tmp_path / "none.jsonl", "vader", tmp_path / "out.jsonl")
    (tmp_path / "latin.jsonl").write_bytes(b'{"id": 1, "text": "\xe9"}\n')
    with pytest.raises(DataError, match="UTF-8"):
        audit.score(tmp_path / "latin.jsonl", "vader", tmp_path / "out.jsonl")
