"""Opening a run folder: a new run's plan is written, and a run begun there is taken up only by the same plan."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from audit import provenance, scorers, store
from audit.chosen import Chosen
from audit.errors import CorruptFolderError, FolderError, PlanMismatchError
from audit.journal import Batch, write_batches
from audit.plan import Plan, changes, digest, run_digest, suite_changes
from audit.results import Run, altered_files
from audit.schema import SCHEMA_VERSION
from audit.summary import left_out_notes

if TYPE_CHECKING:
    from audit.models import Model

# Keys of a plan that say themselves what differs. Of the others, what they lead to is compared: files, items,
# revisions.
_OWN_KEYS = ("seed", "prompt_format", "batch_rows", "missing_tolerance", "part", "policy_sha256")
# Keys of a plan that choose items; named where the items differ.
_CHOOSING_KEYS = ("profile", "limit", "samples")
_WORDS = ("there", "asked")


def header(
    plan: Plan, chosen: Sequence[Chosen], judges: Sequence[scorers.Scorer], model: Model, argv: list[str]
) -> dict[str, Any]:
    """``run.json`` at the start of a run."""
    described = model.describe()
    suites = [suite_record(one) for one in chosen]
    judged = [scorers.describe(judge) for judge in judges]
    notes = [*described.pop("notes"), *left_out_notes(suites, judged)]
    identity = {"plan_digest": plan.digest(), "model": described, "suites": suites, "scorers": judged}
    return {
        "schema_version": SCHEMA_VERSION,
        "tool_version": provenance.tool_version(),
        "status": "running",
        "plan": plan.model_dump(mode="json"),
        "plan_digest": plan.digest(),
        "run_digest": run_digest(identity),
        "model": described,
        "suites": suites,
        "scorers": judged,
        "packages": provenance.package_versions(),
        "git": provenance.git_state(),
        "machine": provenance.machine(),
        "argv": argv,
        "started": provenance.now(),
        "ended": None,
        "resumed": [],
        "notes": notes,
        "counts": {},
        "files": {},
        store.SEAL: None,
    }


def suite_record(one: Chosen) -> dict[str, Any]:
    """What ``run.json`` says of a suite."""
    suite = one.suite
    return {
        "name": suite.name, "version": suite.version, "title": suite.title, "measures": suite.measures,
        "limits": suite.limits, "made": suite.made, "groups": list(suite.groups), "metrics": list(suite.metrics),
        "scorers": list(suite.scorers), "breakdown": list(suite.breakdown), "matched": suite.matched,
        "decoding": dataclasses.asdict(suite.decoding) | {"stop": list(suite.decoding.stop)},
        "samples": one.samples, "items": len(one.items),
        "items_in_suite": len(suite.items), "language": suite.language, "license": suite.license,
        "citation": suite.citation, "sources": list(suite.sources), "begin": suite.begin, "per_token": suite.per_token,
        "data_sha256": suite.sha256, "items_sha256": digest([record["sha256"] for record in one.records]),
        "digest": one.digest,
    }  # fmt: skip


def begin(folder: store.Folder, header: dict[str, Any], chosen: Sequence[Chosen], model: Model, plan: Plan) -> None:
    """Write a new run's plan, or see that the folder's is the same."""
    items = "".join(store.dumps(record) + "\n" for one in chosen for record in one.records)
    if folder.exists():
        before = Run(folder.path).record
        _check_same(folder, before, header)
        _check_unaltered(folder, before, items)
        if before["ended"] is None:
            before["resumed"].append(provenance.now())
        folder.write_run(before | {"status": "running"})
        return
    _check_free(folder, items)
    batches = [batch for one in chosen for batch in _plan_batches(one, model, plan)]
    folder.write_text(store.ITEMS, items)
    write_batches(folder, batches)
    # Last: a folder without run.json is no run, and is planned afresh.
    folder.write_run(header)


def _check_free(folder: store.Folder, items: str) -> None:
    """A new run overwrites nothing but what an attempt stopped while planning it may have left."""
    taken = [name for name in (store.SAMPLES, store.LIKELIHOODS, store.SCORES) if folder.file(name).exists()]
    if folder.file(store.ITEMS).exists() and folder.read_text(store.ITEMS) != items:
        taken.append(store.ITEMS)
    if taken:
        raise FolderError(
            f"{folder.path} holds {', '.join(taken)} but no run.json, so it is not a run to continue; "
            "choose another --out, or empty it"
        )


def _check_unaltered(folder: store.Folder, record: dict[str, Any], items: str) -> None:
    """What stands there is what was written: the items always, and every file of a run that was finished."""
    altered = [] if folder.read_text(store.ITEMS) == items else [store.ITEMS]
    altered += [name for name in altered_files(folder, record) if name not in altered and name != store.SUMMARY]
    if altered:
        raise CorruptFolderError(
            f"{folder.path}: {', '.join(altered)} was altered since it was written; "
            "restore it, or start over with another --out"
        )


def _plan_batches(one: Chosen, model: Model, plan: Plan) -> list[Batch]:
    prompts = [item for item in one.items if not item.choices]
    scored = [item for item in one.items if item.choices]
    batches = []
    if prompts:
        planned = model.plan_generation(prompts, one.samples, one.suite.decoding, max_rows=plan.batch_rows)
        batches += [Batch(one.suite.name, "generate", entries) for entries in planned]
    if scored:
        planned = model.plan_likelihood(scored, max_rows=plan.batch_rows, begin=one.suite.begin)
        batches += [Batch(one.suite.name, "loglikelihood", entries) for entries in planned]
    return batches


def _check_same(folder: store.Folder, before: dict[str, Any], now: dict[str, Any]) -> None:
    """Refuse a folder that another plan made, naming what differs."""
    differing = changes(before["plan"], now["plan"], _OWN_KEYS, _WORDS) + _model_changes(before["model"], now["model"])
    suites = _by_name(before["suites"]), _by_name(now["suites"])
    inside = [
        f"suite {name}: {change}"
        for name in suites[0].keys() & suites[1].keys()
        for change in suite_changes(suites[0][name], suites[1][name], _WORDS)
    ]
    if inside:
        differing += changes(before["plan"], now["plan"], _CHOOSING_KEYS, _WORDS)
    judges = _by_name(before["scorers"]), _by_name(now["scorers"])
    for kind, (there, asked) in {"suites": suites, "scorers": judges}.items():
        if there.keys() != asked.keys():
            lists = (", ".join(sorted(side)) or "none" for side in (there, asked))
            differing.append("{} ({} there, {} asked)".format(kind, *lists))
    differing += sorted(inside)
    for name in sorted(judges[0].keys() & judges[1].keys()):
        revisions = changes(judges[0][name], judges[1][name], ["revision"], _WORDS)
        differing += [f"scorer {name}: {change}" for change in revisions]
    if differing:
        raise PlanMismatchError(
            f"{folder.path} belongs to another plan; it differs in {'; '.join(differing)}; "
            "choose another --out, or the same plan"
        )


def _by_name(records: Sequence[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    return {record["name"]: record for record in records}


def _model_changes(before: dict[str, Any], now: dict[str, Any]) -> list[str]:
    """What differs between the models of two ``run.json``, by content, not by path."""
    found = []
    if before["fingerprint"] != now["fingerprint"]:
        there, asked = (f"{model['name']} with weights {model['fingerprint'][:8]}" for model in (before, now))
        found.append(f"model ({there} there, {asked} asked)")
    else:
        names = sorted(before["files"].keys() | now["files"].keys())
        found += [f"model file {name}" for name in names if before["files"].get(name) != now["files"].get(name)]
    if before["adapter_files"] != now["adapter_files"]:
        there, asked = (
            f"{model['adapter']} {digest(model['adapter_files'])[:8]}" if model["adapter"] else "none"
            for model in (before, now)
        )
        found.append(f"adapter ({there} there, {asked} asked)")
    # The way answers and likelihoods are computed is among them, since rounding depends on it.
    rest = ("dtype", "device", "generation", "scoring", "linear_layers", "tokenizer_sha256", "chat_template_sha256")
    return found + changes(before, now, rest, _WORDS)
