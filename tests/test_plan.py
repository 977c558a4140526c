"""A plan: the same keys on the command line, in TOML and in the ``run.json`` of an earlier run."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from audit.errors import DataError, UsageError
from audit.plan import (
    Plan,
    digest,
    item_record,
    make_plan,
    read_call,
    read_plan,
    read_plans,
    suite_changes,
    suite_digest,
)
from audit.results import Run
from probes import registry
from probes.suite import Item
from tests.conftest import Called


def test_every_key_changes_the_digest() -> None:
    base = make_plan({"model": "a"})
    other: dict[str, Any] = {
        "model": "b", "revision": "main", "adapter": "x", "suites": ("s",), "profile": "quick", "samples": 2,
        "limit": 3, "seed": 4, "scorers": ("vader",), "prompt_format": "chat", "dtype": "float32", "device": "cpu",
        "batch_rows": 5, "missing_tolerance": 0.5, "part": (1, 2), "policy_sha256": "0" * 64,
    }  # fmt: skip
    assert set(other) == set(Plan.model_fields)
    digests = {make_plan({"model": "a", key: value}).digest() for key, value in other.items()}
    assert len(digests | {base.digest()}) == len(other) + 1


@pytest.mark.parametrize(
    ("values", "complaint"),
    [
        ({"seed": -1}, "seed: .*greater than or equal to 0, got -1"),
        ({"seed": 2**63}, "seed"),
        ({"samples": 0}, "samples: .*greater than or equal to 1, got 0"),
        ({"samples": 1001}, "samples"),
        ({"limit": 0}, "limit: .*got 0"),
        ({"limit": -5}, "limit: .*got -5"),
        ({"limit": {"a": 0}}, "limit: .*got 0"),
        ({"dtype": "float31"}, "dtype: .*'float32', 'bfloat16' or 'float16', got 'float31'"),
        ({"prompt_format": "talk"}, "prompt_format: .*'raw' or 'chat', got 'talk'"),
        ({"profile": "quik"}, "profile: .*'quick', 'standard' or 'full', got 'quik'"),
        ({"missing_tolerance": 1.5}, "missing_tolerance"),
        ({"model": ""}, "model"),
        ({"batch_rows": 0}, "batch_rows"),
        ({"suits": ["a"]}, "suits"),
    ],
)
def test_a_value_out_of_range_is_named_with_what_was_got(values: dict[str, Any], complaint: str) -> None:
    with pytest.raises(UsageError, match=complaint) as refused:
        make_plan({"model": "a"} | values)
    assert "\n" not in str(refused.value)


def test_the_profile_the_limit_and_each_suites_own(suite: Path) -> None:
    talk = registry.get("identity-prompts")
    assert make_plan({"model": "a"}).item_limit(talk) is None
    assert make_plan({"model": "a", "profile": "quick"}).item_limit(talk) == talk.quick
    assert make_plan({"model": "a", "profile": "quick", "limit": 7}).item_limit(talk) == 7
    assert make_plan({"model": "a", "limit": {"identity-prompts": 9}}).item_limit(talk) == 9
    assert make_plan({"model": "a", "limit": {"other": 9}}).item_limit(talk) is None
    assert make_plan({"model": "a"}).sample_count(talk) == talk.samples
    assert make_plan({"model": "a", "samples": 3}).sample_count(talk) == 3


def test_the_suite_digest_covers_what_the_model_is_asked_and_not_the_model(suite: Path) -> None:
    talk = registry.get(str(suite))
    records = [item_record(item, talk.name) for item in talk.items]

    def made(suite: Any = talk, samples: int = 2, **keys: Any) -> str:
        return suite_digest(suite, records, samples, make_plan({"model": "a"} | keys))

    assert made() == made(model="b", adapter="c", dtype="float16", device="cpu", scorers=("vader",), batch_rows=3)
    warmer = dataclasses.replace(talk, decoding=dataclasses.replace(talk.decoding, temperature=0.5))
    different = [made(seed=1), made(prompt_format="chat"), made(samples=3), made(warmer)]
    assert len({made(), *different}) == 5
    changed = [*records[:-1], item_record(dataclasses.replace(talk.items[-1], text="Other"), talk.name)]
    assert suite_digest(talk, changed, 2, make_plan({"model": "a"})) != made()


def test_an_items_digest_covers_each_of_its_fields() -> None:
    item = Item("a", "text", "t", "g", "p", (" x", " y"), {"n": 1})
    other = {"id": "b", "text": "x", "template": "u", "group": "h", "pair": "q", "choices": (" y", " x"), "fields": {}}
    changed = [dataclasses.replace(item, **{key: value}) for key, value in other.items()]
    assert set(other) == {field.name for field in dataclasses.fields(Item)}
    assert len({item_record(one, "s")["sha256"] for one in [item, *changed]}) == 8
    assert item_record(item, "s")["sha256"] != item_record(item, "r")["sha256"]


def test_a_digest_does_not_depend_on_the_order_of_keys() -> None:
    assert digest({"a": 1, "b": [2, "é"]}) == digest({"b": [2, "é"], "a": 1}) != digest({"a": 1, "b": ["é", 2]})


def test_what_differs_between_suites_is_named() -> None:
    one = {"version": 1, "samples": 2, "items": 5, "items_sha256": "x", "decoding": {"top_k": 0, "stop": ["\n"]}}
    words = ("there", "asked")
    assert suite_changes(one, one, words) == []
    assert suite_changes(one, one | {"items_sha256": "y"}, words) == ["the items themselves"]
    assert suite_changes(one, one | {"items": 4, "items_sha256": "y"}, words) == ["items (5 there, 4 asked)"]
    assert suite_changes(one, one | {"decoding": {"top_k": 3, "stop": []}}, words) == [
        "top_k (0 there, 3 asked)", "stop (['\\n'] there, [] asked)"
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("name", "content", "complaint"),
    [
        ("p.toml", "model = ", "not a readable plan"),
        ("p.toml", 'modell = "a"', "field 'modell': no plan has this key; did you mean 'model'"),
        ("p.toml", 'zzz = "a"', "known: model, revision"),
        ("p.json", "[1]", "a plan is a table of keys, got list"),
        ("p.json", "{", "not a readable plan"),
        ("p.json", '{"plan": 3}', "a plan is a table of keys, got int"),
    ],
)
def test_a_malformed_plan_file_is_named(tmp_path: Path, name: str, content: str, complaint: str) -> None:
    path = tmp_path / name
    path.write_text(content)
    with pytest.raises(DataError, match=complaint) as refused:
        read_plan(path)
    assert str(path) in str(refused.value)
    with pytest.raises(DataError, match="no such plan file"):
        read_plan(tmp_path / "none.toml")


def test_the_plan_of_a_record_that_was_altered_is_refused(
    base: Path, tmp_path: Path, cli: Callable[..., Called]
) -> None:
    kept, path = (base / "run.json").read_text(), tmp_path / "run.json"
    path.write_text(kept)
    assert read_plan(path) == Run(base).record["plan"]
    for before, after in (('"seed": 0', '"seed": 1'), ('"status": "complete"', '"status": NaN')):
        assert before in kept
        path.write_text(kept.replace(before, after, 1))
        said = cli("run", "--plan", path, "--out", tmp_path / "out")
        assert (said.code, said.out) == (2, "")
        assert f"{path}: " in said.complaint
        assert not (tmp_path / "out").exists()
    path.write_text(kept.replace('"seed": 0', '"seed": 1', 1))
    with pytest.raises(DataError, match="it does not fit its seal"):
        read_plan(path)
    record = json.loads(kept)
    del record["seal"]
    path.write_text(json.dumps(record))
    assert read_plan(path) == record["plan"], "records of older versions hold no seal"


def test_flags_file_and_record_make_one_plan(
    tiny: Path, suite: Path, text_suite: Path, tmp_path: Path, cli: Callable[..., Called]
) -> None:
    flags = ["--suites", f"{suite},{text_suite}", "--samples", 1, "--limit", 3, "--seed", 7, "--device", "cpu"]
    assert cli("run", tiny, *flags, "--out", tmp_path / "flags").code == 0
    plan = tmp_path / "plan.toml"
    plan.write_text(
        f'model = "{tiny}"\nsuites = ["{suite}", "{text_suite}"]\nsamples = 1\nlimit = 3\nseed = 7\ndevice = "cpu"\n'
    )
    assert cli("run", "--plan", plan, "--out", tmp_path / "file").code == 0
    assert cli("run", "--plan", tmp_path / "flags" / "run.json", "--out", tmp_path / "record").code == 0
    runs = [Run(tmp_path / name) for name in ("flags", "file", "record")]
    assert len({json.dumps(run.record["plan"]) for run in runs}) == 1
    assert len({run.record["run_digest"] for run in runs}) == 1
    assert len({(run.path / "samples.jsonl").read_bytes() for run in runs}) == 1
    # Flags win over the file.
    assert cli("run", "--plan", plan, "--seed", 8, "--limit", 2, "--out", tmp_path / "won").code == 0
    won = Run(tmp_path / "won").record["plan"]
    assert (won["seed"], won["limit"], won["samples"]) == (8, 2, 1)
    # And continuing one by the other is the same run.
    assert cli("run", "--plan", plan, "--out", tmp_path / "flags").code == 0


def test_out_and_offline_may_stand_in_a_plan_and_belong_to_no_digest(tmp_path: Path) -> None:
    path = tmp_path / "plan.toml"
    path.write_text('model = "smollm2"\nout = "somewhere"\noffline = true\n', encoding="utf-8")
    assert read_call(path) == ("somewhere", True)
    assert read_plans(path) == {"": {"model": "smollm2"}}
    path.write_text('model = "smollm2"\noffline = "yes"\n', encoding="utf-8")
    with pytest.raises(DataError, match=r"plan\.toml, field 'offline': must be true or false, got 'yes'"):
        read_call(path)
    path.write_text('model = "smollm2"\n', encoding="utf-8")
    assert read_call(path) == (None, False)
