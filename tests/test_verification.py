"""``verify`` sees every kind of change, also where the one who made it mended the hashes."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import audit
from audit import provenance, store
from audit.errors import FolderError
from audit.provenance import sha256_files
from audit.results import UNSEALED, Run
from tests.conftest import Called

POLICY = 'version = 1\n[[rules]]\nsuite = "tiny-text"\nmetric = "bits-per-byte"\nat_most = 99.0\nwhy = "a test"\n'
Change = Callable[[list[dict[str, Any]]], Any]
BROKEN = "run.json: was altered by hand since it was written: it does not fit its seal"


@pytest.fixture(scope="module")
def made(tiny: Path, model: Any, suite: Path, text_suite: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("verify") / "run"
    return audit.run(str(tiny), [str(suite), str(text_suite)], out, loaded=model).path


@pytest.fixture
def run(made: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(made, tmp_path / "run"))


@pytest.fixture
def policy(tmp_path: Path) -> Path:
    """A policy that the untouched run passes."""
    path = tmp_path / "gate.toml"
    path.write_text(POLICY)
    return path


def alter(run: Path, name: str, change: Change, *, mend: bool) -> None:
    """Change the rows of a file; ``mend`` gives ``run.json`` the new hashes and a new seal, as a forger would."""
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
        folder.write_run(record)


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
    if not mend:
        assert (BROKEN if name == store.RUN else f"{name}: does not have the recorded sha256") in found
    assert mend or name == store.RUN or BROKEN not in found


def test_a_changed_or_lacking_hash_is_seen(run: Path, cli: Callable[..., Called]) -> None:
    alter(run, store.RUN, deep("files", store.SAMPLES, "0" * 64), mend=False)
    assert audit.verify(run) == [BROKEN, "samples.jsonl: does not have the recorded sha256"]
    alter(run, store.RUN, lambda rows: rows[0].update(files={}), mend=False)
    assert any("records no sha256" in line for line in audit.verify(run))
    said = cli("verify", run)
    assert said.code == 3
    assert "items.jsonl: run.json records no sha256 for it" in said.out


def leaves(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Where the plain values and the empty lists and tables of a record stand."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    found = [leaf for key, one in inner for leaf in leaves(one, (*path, key))]
    yield from found or [path]


def changed(record: dict[str, Any], path: tuple[Any, ...]) -> dict[str, Any]:
    """A copy with another value at one place."""
    copy = json.loads(json.dumps(record))
    holder = copy
    for key in path[:-1]:
        holder = holder[key]
    old = holder[path[-1]]
    holder[path[-1]] = old + 1 if isinstance(old, int | float) else f"{old}x"
    return copy


def test_a_change_of_any_value_of_the_record_breaks_its_seal(run: Path) -> None:
    record = Run(run).record
    paths = [path for path in leaves(record) if path != (store.SEAL,)]
    assert {path[0] for path in paths} == record.keys() - {store.SEAL} and len(paths) > 100
    whole = store.Folder(run)
    for path in paths:
        assert provenance.seal(changed(record, path)) != record[store.SEAL], path
        assert provenance.seal({key: one for key, one in record.items() if key != path[0]}) != record[store.SEAL], path
    assert list(record)[-1] == store.SEAL
    text = (run / store.RUN).read_text()
    (run / store.RUN).write_text(text.replace('"missing_tolerance": 0.0', '"missing_tolerance": NaN'))
    assert BROKEN in audit.verify(run)
    (run / store.RUN).write_text(text)
    whole.write_json(store.RUN, dict(reversed(record.items())))
    assert audit.verify(run) == [], "the order of keys is no content"


@pytest.mark.parametrize(
    "path",
    [("plan", "policy_sha256"), ("model", "fingerprint"), ("suites", 0, "digest"), ("packages", "torch"), ("started",),
     ("tool_version",)],
    ids=str,
)  # fmt: skip
def test_an_altered_record_is_read_by_nobody_but_verify(
    run: Path, cli: Callable[..., Called], policy: Path, tmp_path: Path, path: tuple[Any, ...]
) -> None:
    folder = store.Folder(run)
    folder.write_json(store.RUN, changed(folder.read_json(store.RUN), path))
    assert BROKEN in audit.verify(run)
    for words in (
        ["compare", run, run, "--out", tmp_path / "out.html"], ["report", run, "--out", tmp_path / "out.html"],
        ["gate", run, "--policy", policy], ["export", run, "--to", "csv", "--out", tmp_path / "out.csv"],
        ["rescore", run],
    ):  # fmt: skip
        said = cli(*words)
        assert said.code == 2, said
        assert "run.json was altered by hand" in said.complaint
    assert not list(tmp_path.glob("out.*"))


FORGED = [
    (("plan", "seed"), "plan_digest"), (("plan", "policy_sha256"), "plan_digest"),
    (("suites", 0, "digest"), "digest of tiny-talk"), (("suites", 0, "decoding", "temperature"), "digest of tiny-talk"),
    (("suites", 0, "items_sha256"), "items_sha256 of tiny-talk"), (("suites", 1, "version"), "digest of tiny-text"),
    (("model", "fingerprint"), "model's fingerprint"), (("model", "files", "model.safetensors"), "model's fingerprint"),
    (("run_digest",), "run_digest"), (("scorers", 0, "revision"), "run_digest"),
]  # fmt: skip


@pytest.mark.parametrize(("path", "what"), FORGED)
def test_what_can_be_recomputed_is_whatever_the_seal_says(run: Path, path: tuple[Any, ...], what: str) -> None:
    folder = store.Folder(run)
    folder.write_run(changed(folder.read_json(store.RUN), path))
    found = audit.verify(run)
    assert f"run.json: the {what} does not recompute from what it is made of" in found
    assert BROKEN not in found


def test_a_rescored_run_keeps_its_digest_and_is_sealed_anew(run: Path) -> None:
    before = Run(run).record
    after = audit.rescore(run, ["embedded"]).record
    assert after["run_digest"] == before["run_digest"] and after[store.SEAL] != before[store.SEAL]
    assert audit.verify(run) == []


def test_a_run_of_an_older_version_is_told_from_a_sealed_one(
    run: Path, cli: Callable[..., Called], policy: Path
) -> None:
    assert cli("gate", run, "--policy", policy).code == 0
    folder = store.Folder(run)
    record = folder.read_json(store.RUN)
    assert record.pop(store.SEAL)
    folder.write_run(record)
    (found,) = audit.verify(run)
    assert "not sealed" in found
    assert UNSEALED in audit.compare(run, []).notes, "it can be compared, and the page says it"
    said = cli("gate", run, "--policy", policy)
    assert said.code == 3 and "not sealed" in said.out, said
    assert not audit.rescore(run).sealed, "what nobody watched over is not sealed afterwards"
    assert UNSEALED not in folder.read_json(store.RUN)["notes"]


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
