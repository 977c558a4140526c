"""What a run is asked to do.

The same keys stand on the command line, in a TOML file and in the ``run.json`` of an earlier run.
"""

from __future__ import annotations

import difflib
import hashlib
import json
import re
import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field, ValidationError

from audit import provenance
from audit.errors import DataError, UsageError
from audit.schema import Record
from probes.suite import Item, Suite

PROFILES = ("quick", "standard", "full")
_CALL = ("out", "offline")
Positive = Annotated[int, Field(ge=1)]


class Plan(Record):
    """Everything that decides what a run's numbers are.

    The docstring under each field is its manual.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", protected_namespaces=())

    model: str = Field(min_length=1)
    """``smollm2``, a GGUF file, a folder in transformers' format, or a hub id."""
    revision: str | None = None
    """Commit, tag or branch of a hub id; pin a commit for an audit."""
    adapter: str | None = None
    """Folder of a LoRA adapter."""
    suites: tuple[str, ...] = ()
    """Suite names, or paths of TOML declarations; none means all of the profile."""
    profile: Literal["quick", "standard", "full"] = "standard"
    """``quick``: a small stratified part of each suite; ``standard``: all of it, or of a large one the part that its
    card states; ``full``: every item."""
    samples: int | None = Field(default=None, ge=1, le=1000)
    """Answers per prompt (k); None means what each suite says."""
    limit: Positive | dict[str, Positive] | None = None
    """Most items of a suite, or of each suite by name; whole pairs are kept."""
    seed: int = Field(default=0, ge=0, lt=2**63)
    """Keys the sampling noise and the bootstrap."""
    scorers: tuple[str, ...] = ()
    """Scorer names; none means what the suites ask for."""
    prompt_format: Literal["raw", "chat"] = "raw"
    """``raw`` puts prompts as they are; ``chat`` wraps each in the tokenizer's chat template."""
    dtype: Literal["auto", "float32", "bfloat16", "float16"] = "auto"
    """Precision of the weights; ``auto`` is bfloat16 on CUDA and float32 on CPU."""
    device: str = "auto"
    """``auto``, ``cpu``, ``cuda`` or ``cuda:N``."""
    batch_rows: int | None = Field(default=None, ge=1)
    """Most rows of a batch; None means the default of the device. Another size changes rounding."""
    missing_tolerance: float = Field(default=0.0, ge=0.0, le=1.0)
    """Share of answers that may be missing before the run is incomplete."""
    part: tuple[Positive, Positive] | None = None
    """Round and number of rounds: only that part of each suite, in an order keyed by the seed; None for all. Written by
    ``run --sequential``."""
    policy_sha256: str | None = Field(default=None, pattern="^[0-9a-f]{64}$")
    """sha256 of the gate policy that the run will be judged by, recorded before anything is generated."""

    def digest(self) -> str:
        """sha256 over all keys."""
        return digest(self.model_dump(mode="json"))

    def item_limit(self, suite: Suite) -> int | None:
        """Most items of one suite under this plan; None for all."""
        if isinstance(self.limit, dict):
            return self.limit.get(suite.name)
        if self.limit is not None:
            return self.limit
        return {"quick": suite.quick, "standard": suite.standard, "full": 0}[self.profile] or None

    def sample_count(self, suite: Suite) -> int:
        """Answers per prompt of one suite under this plan."""
        return self.samples if self.samples is not None else suite.samples


def digest(value: Any) -> str:
    """sha256 of a value's canonical JSON (sorted keys, no blanks)."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()


def item_record(item: Item, suite: str) -> dict[str, Any]:
    """A line of ``items.jsonl``; its sha256 covers everything that is put to the model and everything metrics read."""
    content: dict[str, Any] = {
        "id": item.id, "suite": suite, "group": item.group, "template": item.template, "pair": item.pair,
        "text": item.text, "choices": list(item.choices), "fields": dict(item.fields),
    }  # fmt: skip
    return {**content, "sha256": digest(content)}


def suite_digest(suite: Suite, records: list[dict[str, Any]], samples: int, plan: Plan) -> str:
    """Identity of what one suite asks, the model left out: two runs are compared suite by suite where it is equal."""
    decoding = {
        "max_new_tokens": suite.decoding.max_new_tokens, "temperature": suite.decoding.temperature,
        "top_p": suite.decoding.top_p, "top_k": suite.decoding.top_k, "stop": list(suite.decoding.stop),
    }  # fmt: skip
    declared = {
        "name": suite.name, "version": suite.version, "decoding": decoding, "samples": samples, "begin": suite.begin
    }  # fmt: skip
    asked = {"prompt_format": plan.prompt_format, "seed": plan.seed}
    return recorded_digest(declared, [record["sha256"] for record in records], asked)


def recorded_digest(suite: Mapping[str, Any], items: list[str], plan: Mapping[str, Any]) -> str:
    """:func:`suite_digest` from what ``run.json`` says of a suite and of the plan, and the items' sha256 in order."""
    declared = {key: suite[key] for key in ("name", "version", "decoding", "samples", "begin")}
    return digest({**declared, "items": items, "prompt_format": plan["prompt_format"], "seed": plan["seed"]})


def run_digest(record: Mapping[str, Any]) -> str:
    """Identity of a whole run from what ``run.json`` says of plan, model, adapter, suites and scorers."""
    model = record["model"]
    return digest(
        {
            "plan": record["plan_digest"], "model": model["fingerprint"], "adapter": model["adapter_files"],
            "suites": [suite["digest"] for suite in record["suites"]],
            "scorers": [[scorer["name"], scorer["revision"]] for scorer in record["scorers"]],
        }
    )  # fmt: skip


def changes(
    before: Mapping[str, Any], after: Mapping[str, Any], keys: Iterable[str], words: tuple[str, str]
) -> list[str]:
    """Which of ``keys`` differ between two records, each as ``"key (value word, value word)"``."""
    return [
        f"{key} ({before.get(key)!r} {words[0]}, {after.get(key)!r} {words[1]})"
        for key in keys
        if before.get(key) != after.get(key)
    ]


def suite_changes(before: Mapping[str, Any], after: Mapping[str, Any], words: tuple[str, str]) -> list[str]:
    """What differs between two records of one suite in ``run.json``: version, samples, items, decoding."""
    found = changes(before, after, ("version", "samples", "items"), words)
    found += changes(before["decoding"], after["decoding"], before["decoding"], words)
    if before["items"] == after["items"] and before.get("items_sha256") != after.get("items_sha256"):
        found.append("the items themselves")
    return found


def read_plan(path: Path) -> dict[str, Any]:
    """Keys of a plan file: TOML, or the ``run.json`` of an earlier run.

    Raises:
        DataError: not readable, or not a plan; names the file and, for a wrong key, the nearest right one.
    """
    return _checked_keys(path, _without_call(_read_file(path)))


def read_call(path: Path) -> tuple[str | None, bool]:
    """Where a plan file wants its results, and whether the network may be asked: ``out`` and ``offline``.

    They say how a plan is carried out, not what its numbers are, so no digest holds them.

    Raises:
        DataError: not readable, or of the wrong type.
    """
    content = _read_file(path)
    out, offline = content.get("out"), content.get("offline", False)
    if out is not None and not (isinstance(out, str) and out):
        raise DataError(path, f"must be the path of a folder, got {out!r}", field="out")
    if not isinstance(offline, bool):
        raise DataError(path, f"must be true or false, got {offline!r}", field="offline")
    return out, offline


def _without_call(content: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in content.items() if key not in _CALL}


def _read_file(path: Path) -> dict[str, Any]:
    try:
        text = path.read_text(encoding="utf-8")
        if path.suffix == ".json":
            content = json.loads(text)
            if isinstance(content, dict) and "plan" in content:
                content = _sealed(path, content)["plan"]
        else:
            content = tomllib.loads(text)
    except FileNotFoundError:
        raise DataError(path, "no such plan file") from None
    except (OSError, ValueError) as error:
        raise DataError(path, f"not a readable plan: {error}") from error
    if not isinstance(content, dict):
        raise DataError(path, f"a plan is a table of keys, got {type(content).__name__}")
    return content


def _sealed(path: Path, record: dict[str, Any]) -> dict[str, Any]:
    """The record of a run, unless it was altered since it was sealed; those of older versions hold no seal."""
    if "seal" in record and record["seal"] != provenance.seal(record):
        raise DataError(
            path, "was altered by hand since it was written (it does not fit its seal), so its plan is not that run's; "
            "restore it, or copy the keys you want into a TOML file"
        )  # fmt: skip
    return record


def _checked_keys(path: Path, content: dict[str, Any]) -> dict[str, Any]:
    for key in content:
        if key not in Plan.model_fields:
            near = difflib.get_close_matches(key, Plan.model_fields, n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"known: {', '.join(Plan.model_fields)}"
            raise DataError(path, f"no plan has this key; {hint}", field=key)
    return content


def read_plans(path: Path) -> dict[str, dict[str, Any]]:
    """Plans of a file by name: one called ``""``, or one for each table under ``[runs]``.

    A table under ``[runs]`` changes keys of the file's top level: base, variants and peers are then put to the same
    suites.

    Raises:
        DataError: as for :func:`read_plan`; ``runs`` is not a table of tables, or a run's name is no folder name.
    """
    content = _without_call(_read_file(path))
    runs = content.pop("runs", None)
    if runs is None:
        return {"": _checked_keys(path, content)}
    if not isinstance(runs, dict) or not runs or not all(isinstance(run, dict) for run in runs.values()):
        raise DataError(path, "must be tables such as [runs.base]", field="runs")
    for name in runs:
        if not re.fullmatch(r"[\w.-]+", name) or name.startswith("."):
            raise DataError(path, f"{name!r} is no name for a folder; use letters, digits, dot, dash", field="runs")
    return {name: _checked_keys(path, content | run) for name, run in runs.items()}


def make_plan(values: dict[str, Any], where: str = "plan") -> Plan:
    """A validated plan.

    Raises:
        UsageError: a value is out of range; says which, what was got, what is allowed.
    """
    try:
        return Plan.model_validate(values)
    except ValidationError as error:
        # Of a value that may be of two kinds the deepest complaint is the one that was meant.
        first = max(error.errors(), key=lambda found: len(found["loc"]))
        # Behind the field's name stands which kind of value was tried, in pydantic's words.
        name = first["loc"][0] if first["loc"] else "plan"
        raise UsageError(f"{where}: {name}: {first['msg']}, got {first.get('input')!r}") from error
