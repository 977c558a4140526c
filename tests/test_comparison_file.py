"""``comparison.json``: sealed when it is written, refused when it was altered since."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from audit import compare, comparison_file, store
from audit.errors import CorruptFolderError, FolderError
from reports import origin
from tests.conftest import Called

Cli = Callable[..., Called]


@pytest.fixture(scope="module")
def kept(base: Path, tuned: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("compared") / "comparison.json"
    comparison_file.save(compare(base, [tuned]), path)
    return path


def test_it_is_read_back_as_it_was(kept: Path, base: Path, tuned: Path) -> None:
    found = compare(base, [tuned])
    again = comparison_file.read(kept)
    assert json.dumps(again.model_dump(), default=str) == json.dumps(found.model_dump(), default=str)
    assert json.loads(kept.read_text())[store.SEAL] == origin.digest(found) == origin.digest(again)


def test_compare_seals_what_report_reads(cli: Cli, base: Path, tuned: Path, tmp_path: Path) -> None:
    out = tmp_path / "comparison.json"
    assert cli("compare", base, tuned, "--out", out).code == 0
    assert cli("report", tmp_path).code == 0
    seal = json.loads(out.read_text())[store.SEAL]
    assert seal in (tmp_path / "report.html").read_text()


def spoilt(path: Path, out: Path, change: Callable[[dict[str, Any]], Any]) -> Path:
    record = json.loads(path.read_text())
    change(record)
    out.write_text(json.dumps(record))
    return out


@pytest.mark.parametrize(
    "change",
    [
        lambda record: record["variants"][0]["gate"].update(verdict="pass", sentence="Passed."),
        lambda record: record["base"].update(name="another"),
        lambda record: record.update(seal="0" * 64),
        lambda record: record.update(seal=None),
        lambda record: record["variants"][0]["differences"][0].update(value=float("nan")),
    ],
    ids=["verdict", "name", "seal", "no seal", "NaN"],
)
def test_an_edit_by_hand_is_refused(kept: Path, tmp_path: Path, cli: Cli, change: Any) -> None:
    file = spoilt(kept, tmp_path / "comparison.json", change)
    with pytest.raises(CorruptFolderError, match=r"comparison.json: was altered by hand since it was written"):
        comparison_file.read(file)
    said = cli("report", tmp_path)
    assert (said.code, said.out) == (2, "")
    assert "it does not fit its seal" in said.complaint
    assert not (tmp_path / "report.html").exists()


def test_one_of_an_older_version_has_no_seal_and_is_read(kept: Path, tmp_path: Path) -> None:
    file = spoilt(kept, tmp_path / "old.json", lambda record: record.pop("seal"))
    assert comparison_file.read(file) == comparison_file.read(kept)


@pytest.mark.parametrize(
    ("content", "said"), [("{", "not valid JSON"), ("[]", "not a comparison"), ('{"base": 1}', "not a comparison")]
)
def test_what_is_no_comparison(tmp_path: Path, content: str, said: str) -> None:
    (tmp_path / "comparison.json").write_text(content)
    with pytest.raises(CorruptFolderError, match=said):
        comparison_file.read(tmp_path / "comparison.json")
    with pytest.raises(FolderError):
        comparison_file.read(tmp_path / "none.json")


def test_ends_that_are_not_finite_are_null_and_lone_surrogates_survive(kept: Path, tmp_path: Path) -> None:
    found = comparison_file.read(kept)
    record = {**found.base.record, "note": "lone \ud800"}
    gate = found.variants[0].gate
    assert gate is not None
    rule = gate.rules[0].model_copy(update={"high": float("inf")})
    variant = found.variants[0].model_copy(update={"gate": gate.model_copy(update={"rules": (rule,)})})
    odd = found.model_copy(update={"base": found.base.model_copy(update={"record": record}), "variants": (variant,)})
    comparison_file.save(odd, tmp_path / "odd.json")
    again = comparison_file.read(tmp_path / "odd.json")
    assert again.base.record["note"] == "lone \ud800"
    assert again.variants[0].gate is not None
    assert again.variants[0].gate.rules[0].high is None
    assert origin.digest(odd) == json.loads((tmp_path / "odd.json").read_text())[store.SEAL]
