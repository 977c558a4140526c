"""``verify`` sees every kind of change, also where the one who made it mended the hashes."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import audit
from audit import store
from audit.errors import FolderError
from audit.provenance import sha256_files
from audit.results import Run
from tests.conftest import Called

Change = Callable[[list[dict[str, Any]]], Any]


@pytest.fixture(scope="module")
def made(tiny: Path, model: Any, suite: Path, text_suite: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("verify") / "run"
    return audit.run(str(tiny), [str(suite), str(text_suite)], out, loaded=model).path


@pytest.fixture
def run(made: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(made, tmp_path / "run"))


def alter(run: Path, name: str, change: Change, *, mend: bool) -> None:
    """Change the rows of a file; ``mend`` gives ``run.json`` the new hashes, as a careful forger would."""
    folder = store.Folder(run)
    if name == store.SUMMARY:
        content = folder.read_json(name)
        change(content["rows"])
        folder.write_json(name, content)
    elif name == store.RUN:
        content = folder.read_json(name)
        change([content])
        folder.write_json(name, content)
    else:
        rows = folder.read_lines(name)
        change(rows)
        folder.write_lines(name, rows)
    if mend:
        record = folder.read_json(store.RUN)
        record["files"] = sha256_files(run, record["files"])
        folder.write_json(store.RUN, record)


def put(key: str, value: Any, at: int = 1) -> Change:
    return lambda rows: rows[at].__setitem__(key, value)


def deep(key: str, inner: str, value: Any) -> Change:
    return lambda rows: rows[0][key].__setitem__(inner, value)


def first_score(rows: list[dict[str, Any]]) -> None:
    rows[0]["values"]["toxicity"] = 0.99


CHANGES: list[tuple[str, Change, str]] = [
    (store.SAMPLES, put("text", ""), "recomputes to another row"),
    (store.SAMPLES, lambda rows: rows.pop(2), "samples.jsonl: 1 rows are missing, the first is"),
    (store.SAMPLES, lambda rows: rows.append(rows[3]), "occurs twice"),
    (store.SAMPLES, put("k", 7), "1 rows belong to no item"),
    (store.SAMPLES, put("text", None), "counts 0 missing, the files hold 1"),
    (store.SAMPLES, lambda rows: rows[0].pop("finish"), "has no 'finish'"),
    (store.LIKELIHOODS, put("logprob", -1.0), "recomputes to another row"),
    (store.LIKELIHOODS, lambda rows: rows.pop(), "likelihoods.jsonl: 1 rows are missing"),
    (store.LIKELIHOODS, lambda rows: rows.insert(0, rows[0]), "occurs twice"),
    (store.SCORES, first_score, "recomputes to another row"),
    (store.SCORES, put("reason", "because"), "must have values or a reason"),
    (store.SCORES, put("revision", "0"), "has another revision"),
    (store.SCORES, lambda rows: rows.pop(0), "scores.jsonl: 1 rows are missing"),
    (store.ITEMS, put("text", "Something else"), "does not have the recorded sha256"),
    (store.ITEMS, lambda rows: rows.pop(), "items.jsonl, 5 in run.json"),
    (store.ITEMS, lambda rows: rows.append(rows[0]), "occurs twice"),
    (store.BATCHES, lambda rows: rows.pop(), "batches.jsonl: 5 rows are missing"),
    (store.SUMMARY, put("value", 0.123), "recomputes to another row"),
    (store.SUMMARY, put("n", 999), "recomputes to another row"),
    (store.SUMMARY, lambda rows: rows.pop(), "recomputing gives"),
    (store.RUN, deep("counts", "samples", 15), "counts 15 samples, the files hold 16"),
    (store.RUN, deep("counts", "missing", 3), "counts 3 missing, the files hold 0"),
    (store.RUN, put("status", "running", 0), "not finished: its status is running"),
]


def test_an_untouched_run_has_no_problem(run: Path, cli: Callable[..., Called]) -> None:
    assert audit.verify(run) == []
    assert cli("verify", run).code == 0


@pytest.mark.parametrize("mend", [False, True], ids=["hashes left", "hashes mended"])
@pytest.mark.parametrize(("name", "change", "problem"), CHANGES)
def test_a_change_is_seen(run: Path, name: str, change: Change, problem: str, mend: bool) -> None:
    alter(run, name, change, mend=mend)
    found = audit.verify(run)
    assert any(problem in line for line in found), found
    if not mend and name != store.RUN:
        assert f"{name}: does not have the recorded sha256" in found


def test_a_changed_or_lacking_hash_is_seen(run: Path, cli: Callable[..., Called]) -> None:
    alter(run, store.RUN, deep("files", store.SAMPLES, "0" * 64), mend=False)
    assert audit.verify(run) == ["samples.jsonl: does not have the recorded sha256"]
    alter(run, store.RUN, lambda rows: rows[0].update(files={}), mend=False)
    assert any("records no sha256" in line for line in audit.verify(run))
    said = cli("verify", run)
    assert said.code == 3
    assert "items.jsonl: run.json records no sha256 for it" in said.out


def test_a_removed_file_is_seen(run: Path) -> None:
    for name in (store.SUMMARY, store.LIKELIHOODS, store.SCORES):
        (run / name).unlink()
        assert any(name in line or "summary" in line for line in audit.verify(run)), name


def test_text_that_changes_no_number_is_seen_by_its_hash(run: Path) -> None:
    alter(run, store.SAMPLES, lambda rows: rows[0].__setitem__("text", rows[0]["text"] + " "), mend=False)
    assert audit.verify(run) == ["samples.jsonl: does not have the recorded sha256"]


@pytest.mark.parametrize("content", ["{}", "[]", '{"schema_version": 1}', '{"schema_version": 99}', "nothing"])
def test_a_broken_record_is_an_error_not_a_crash(run: Path, cli: Callable[..., Called], content: str) -> None:
    (run / store.RUN).write_text(content)
    said = cli("verify", run)
    assert said.code == 2
    assert "run.json" in said.complaint


def test_a_folder_without_a_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FolderError, match="is this a run folder"):
        audit.verify(tmp_path)


def test_json_output(run: Path, cli: Callable[..., Called]) -> None:
    assert json.loads(cli("verify", run, "--json").out) == {"folder": str(run), "problems": []}
    alter(run, store.SUMMARY, put("value", 0.5), mend=False)
    said = cli("verify", run, "--json")
    assert said.code == 3
    assert len(json.loads(said.out)["problems"]) == 2
    assert Run(run).status == "complete", "verify changes nothing"
