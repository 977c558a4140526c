"""``run --sequential``: rounds until the verdict is settled, or until every cluster is used."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

from audit import provenance, store
from audit.chosen import Chosen, choose
from audit.errors import FolderError, PlanMismatchError, UsageError
from audit.gate import overall
from audit.gate_pairing import tables
from audit.gate_verdict import judged, whole_run
from audit.loop import execute, load
from audit.metrics import registry
from audit.metrics.answers import Answered
from audit.metrics.sequential import unfit
from audit.opening import suite_record
from audit.plan import Plan, changes, make_plan, suite_changes
from audit.policy import PolicyFile
from audit.progress import Named, Progress, Silent
from audit.results import Run
from audit.schema import SCHEMA_VERSION, RuleResult
from audit.sequential import DESIGN, Rounds, is_rounds, round_name
from probes.sources import without_network

if TYPE_CHECKING:
    from audit.models import Model

ROUNDS = 10
"""Most rounds: a tenth of every suite's clusters at a time."""
_WORDS = ("there", "asked")
_SETTLED = ("pass", "fail")
_FINISHED = ("complete", "incomplete")


def run_rounds(
    plan: Plan,
    policy: PolicyFile,
    out: str | Path,
    *,
    baseline: str | Path | None = None,
    loaded: Model | None = None,
    progress: Progress | None = None,
    offline: bool = False,
    argv: Sequence[str] | None = None,
) -> Rounds:
    """Sample in rounds and judge after each; a folder begun by the same plan is continued.

    Args:
        plan: of the whole run, as :meth:`audit.policy.PolicyFile.fill` completed it.
        policy: that settles when to stop.
        out: folder of the rounds.
        baseline: finished whole run of the base; rules with a margin need it.
        loaded: a model in memory that answers to this plan; saves loading it again.
        progress: told how far the work is.
        offline: never ask the network.
        argv: the command line to be recorded.

    Returns:
        The rounds; :func:`audit.gate_verdict.judge` gives their verdict.

    Raises:
        UsageError: a rule's metric is no bounded mean, a rule's suite is not asked for, or there is no base to compare
            with.
        PlanMismatchError: the folder belongs to another plan.
        audit.errors.AuditError: as for :func:`audit.loop.run`.
    """
    progress = progress or Silent()
    with without_network() if offline else nullcontext():
        chosen = choose(plan)
    if not plan.scorers:
        # Later rounds may hold fewer suites; they are judged by the same scorers all the same.
        judges = dict.fromkeys(name for one in chosen for name in one.suite.scorers)
        plan = plan.model_copy(update={"scorers": tuple(judges)})
    base = None if baseline is None else whole_run(baseline)
    _check_rules(policy, chosen)
    _check_base(policy, chosen, base)
    folder = store.Folder(out)
    if folder.exists():
        raise FolderError(f"{folder.path} holds a run that was not made in rounds; choose another --out")
    with folder.locked():
        _begin(folder, plan, chosen)
        _sample(folder, plan, policy, base, loaded or load(plan, offline, progress), progress, argv)
    return Rounds(out)


def go_on(
    path: str | Path,
    policy: PolicyFile,
    *,
    baseline: str | Path | None = None,
    loaded: Model | None = None,
    progress: Progress | None = None,
) -> None:
    """Sample rounds that were cut off until their verdict is settled, by the plan that they were begun with.

    Does nothing where the verdict is settled or every cluster is used, and where a finished round or the plan was
    altered: :func:`audit.gate_verdict.judge` says so.

    Args:
        path: folder of the rounds.
        policy: the one that they were begun for.
        baseline: finished whole run of the base; rules with a margin need it.
        loaded: a model in memory that answers to the plan; saves loading it.
        progress: told how far the work is.

    Raises:
        UsageError: the folder holds a whole run or is a single round; the rounds were begun for another policy; or as
            for :func:`run_rounds`.
        audit.errors.AuditError: as for :func:`run_rounds`.
    """
    if not is_rounds(path):
        whole_run(path)  # says what it is, where it is no whole run
        raise UsageError(
            f"{path} is a whole run, which no --sequential can judge; sample in rounds with: "
            f"slm-audit run MODEL --policy {policy.path} --sequential --baseline BASE --out FOLDER"
        )
    rounds = Rounds(path)
    last = max(rounds.runs, default=0)
    if last and rounds.runs[last].status not in _FINISHED:
        last -= 1
        rounds = Rounds(path, last=last)
    if rounds.problems():
        return
    plan = make_plan(rounds.design["plan"], str(rounds.folder.file(DESIGN)))
    if plan.policy_sha256 != policy.sha256:
        raise UsageError(
            f"{path} was begun for another policy than {policy.path} (sha256 {plan.policy_sha256 or 'none'}); go on "
            "with that one, or judge what was sampled without --sequential"
        )
    base = None if baseline is None else whole_run(baseline)
    found = judged(rounds.run, base, policy, rounds)[0] if last else []
    if last < rounds.of and overall([result.verdict for _, result in found]) not in _SETTLED:
        run_rounds(plan, policy, path, baseline=baseline, loaded=loaded, progress=progress)


def _sample(
    folder: store.Folder, plan: Plan, policy: PolicyFile, base: Run | None, model: Model, progress: Progress,
    argv: Sequence[str] | None,
) -> None:  # fmt: skip
    """Round after round, until the verdict is settled or nothing is left."""
    whole, results = Rounds(folder.path, last=0), list[RuleResult]()
    for number in range(1, ROUNDS + 1):
        names = _due(whole, policy, results, number)
        if not names:
            continue
        part = plan.model_copy(update={"part": (number, ROUNDS), "suites": names})
        told = Named(progress, f"round {number} of {ROUNDS}")
        execute(part, folder.path / round_name(number), loaded=model, progress=told, argv=argv)
        rounds = Rounds(folder.path, last=number)
        results = [result for _, result in judged(rounds.run, base, policy, rounds)[0]]
        settled = sum(one.verdict in _SETTLED for one in results)
        progress.say(f"{settled} of {len(results)} rules are settled. {rounds.told()}")
        if overall([one.verdict for one in results]) in _SETTLED:
            return


def _check_rules(policy: PolicyFile, chosen: Sequence[Chosen]) -> None:
    """Refuse, before anything is generated, what rounds cannot decide."""
    suites = {one.suite.name: one for one in chosen}
    lacking = [rule.suite for rule in policy.rules if rule.suite not in suites]
    if lacking:
        raise UsageError(f"the policy has rules on {', '.join(dict.fromkeys(lacking))}; add these to --suites")
    refused = {}
    for rule in policy.rules:
        blank = registry.get(rule.metric).units([Answered(item) for item in suites[rule.suite].items])
        if why := unfit(blank.statistic):
            refused[rule.metric, rule.suite] = why
    if refused:
        said = "; ".join(f"{metric} on {suite} ({why})" for (metric, suite), why in refused.items())
        raise UsageError(
            f"--sequential decides bounded means only, not {said}; judge these by a whole run and a policy of their own"
        )


def _check_base(policy: PolicyFile, chosen: Sequence[Chosen], base: Run | None) -> None:
    """Refuse, before anything is generated, a base that could not be compared with."""
    compared = {rule.suite for rule in policy.rules if rule.kind == "non-inferiority"}
    if compared and base is None:
        raise UsageError(f"rules on {', '.join(sorted(compared))} compare with a base: give its whole run (--baseline)")
    for one in chosen:
        if base is None or one.suite.name not in compared:
            continue
        there = base.suites.get(one.suite.name)
        if there is None:
            raise UsageError(f"{base.path}: the base was not put to {one.suite.name}; run it there first")
        if there["digest"] != one.digest:
            what = suite_changes(there, suite_record(one), ("in the base", "asked"))
            said = ", ".join(what) or "seed or prompt format"
            raise UsageError(f"{one.suite.name} cannot be compared with {base.path}; it differs in {said}")
    if base is not None:
        _check_weights(policy, base, sorted(compared))


def _check_weights(policy: PolicyFile, base: Run, suites: Sequence[str]) -> None:
    """Refuse a change whose weights depend on the answers, as the base shows."""
    paired = {(rule.suite, rule.metric) for rule in policy.rules if rule.kind == "non-inferiority"}
    refused = [
        f"{key[1]} on {key[0]}"
        for key, units in tables(base, suites).items()
        if key[:2] in paired and (units.columns[units.valued, 1] != 1).any()
    ]
    if refused:
        raise UsageError(
            f"--sequential cannot compare {'; '.join(dict.fromkeys(refused))}: in the base not every unit counts once, "
            "so the change is no bounded mean; judge these by a whole run and a policy of their own"
        )


def _begin(folder: store.Folder, plan: Plan, chosen: Sequence[Chosen]) -> None:
    """Write down the plan and the whole selection, or see that those there are the same."""
    items = "".join(store.dumps(record) + "\n" for one in chosen for record in one.records)
    design: dict[str, Any] = {
        "schema_version": SCHEMA_VERSION, "tool_version": provenance.tool_version(), "created": provenance.now(),
        "plan": plan.model_dump(mode="json"), "rounds": ROUNDS, "suites": [suite_record(one) for one in chosen],
        "items_sha256": provenance.sha256_bytes(items.encode()),
    }  # fmt: skip
    if is_rounds(folder.path) and (before := Rounds(folder.path)).runs:
        differing = changes(before.design["plan"], design["plan"], design["plan"], _WORDS)
        differing += changes(before.design, design, ("rounds", "items_sha256"), _WORDS)
        digests = [[suite["digest"] for suite in one["suites"]] for one in (before.design, design)]
        differing += ["the suites"] if digests[0] != digests[1] and not differing else []
        if differing:
            raise PlanMismatchError(
                f"{folder.path} belongs to another plan; it differs in {'; '.join(differing)}; "
                "choose another --out, or the same plan"
            )
        return
    if not is_rounds(folder.path) and folder.file(store.ITEMS).exists() and folder.read_text(store.ITEMS) != items:
        raise FolderError(f"{folder.path} holds an {store.ITEMS} that is not of these rounds; choose another --out")
    folder.write_text(store.ITEMS, items)
    folder.write_json(DESIGN, design | {store.SEAL: provenance.seal(design)})


def _due(whole: Rounds, policy: PolicyFile, results: Sequence[RuleResult], number: int) -> tuple[str, ...]:
    """Suites of a round, as the plan names them: those with clusters in it, unless all their rules are settled."""
    waiting = {one.suite for one in results if one.verdict not in _SETTLED}
    ruled = {rule.suite for rule in policy.rules} if results else set()
    suites = [suite["name"] for suite in whole.design["suites"]]
    named = whole.design["plan"]["suites"] or suites
    return tuple(
        path
        for path, suite in zip(named, suites, strict=True)
        if len(whole.drawn(suite, number)) and (suite in waiting or suite not in ruled)
    )


__all__ = ["ROUNDS", "go_on", "run_rounds"]
