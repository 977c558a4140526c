"""A policy applied to run folders: verified, paired, judged, and said whether it was fixed before the run.

Fails closed: a folder that does not verify, a suite that was not run, a digest that differs, a run that was not made as
the policy says are incomplete, never a pass.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Literal

from pydantic import ConfigDict, Field

from audit import gate, provenance
from audit.errors import AuditError, CorruptFolderError, UsageError
from audit.gate_ledger import Attempt, record
from audit.gate_pairing import pair_runs, tables
from audit.plan import digest
from audit.policy import PolicyFile, Rule
from audit.results import Run, owed
from audit.schema import Record, RuleResult, Verdict
from audit.sequential import Rounds, Sequential, is_rounds
from audit.verification import verify

_SHOWN = 3
_VERIFIES = "'s folder verifies"
Judged = list[tuple[Rule, RuleResult]]


class _Published(Record):
    """Base of what the published JSON schema describes: it carries the text under each field."""

    model_config = ConfigDict(use_attribute_docstrings=True, json_schema_serialization_defaults_required=True)


class Judgement(_Published):
    """A rule with what it decided."""

    why: str
    """The policy's reason for the rule."""
    line: int
    """Line of the policy file that begins the rule."""
    result: RuleResult


class Condition(_Published):
    """What must hold besides the rules; where it does not the gate is never a pass."""

    name: str
    """What is asked for, in words."""
    met: bool
    reason: str
    """What was found."""


class JudgedRun(_Published):
    """A run that was judged, or judged against."""

    folder: str
    model: str
    adapter: str
    checkpoint: str
    """Digest of the weights' and the adapter's files."""
    run_digest: str
    started: str
    """UTC, ISO 8601."""
    status: str
    profile: str
    seed: int


class Sampled(_Published):
    """How far a run that is made in rounds was sampled."""

    rounds: int
    """Rounds that were begun."""
    of: int
    """Most rounds."""
    answers: int
    """Answers and likelihoods that were asked for."""
    whole: int
    """Answers and likelihoods of the whole suites."""


class GateReport(_Published):
    """What `slm-audit gate` found: the record behind JUnit, Markdown, annotations and JSON."""

    schema_version: Literal[1] = 1
    """Version of this record's schema."""
    tool_version: str
    """Version of slm-audit."""
    created: str
    """UTC, ISO 8601."""
    verdict: Verdict
    """Of the whole: a failed rule, else an unmet condition or an incomplete rule, else an inconclusive one, decides."""
    sentence: str
    """The verdict in one sentence."""
    policy: str
    """Path of the policy file."""
    policy_sha256: str
    """Of the policy file's bytes."""
    registered: bool
    """Whether the variant's run recorded this policy before anything was generated."""
    attempt: int | None = Field(ge=1)
    """Which attempt on this checkpoint this is, by the ledger; None where attempts could not be counted."""
    earlier: tuple[Verdict, ...]
    """Verdicts of the earlier attempts."""
    variant: JudgedRun
    """The run that was judged."""
    base: JudgedRun | None
    """The run it was judged against; None where none was given."""
    conditions: tuple[Condition, ...]
    """What must hold besides the rules."""
    rules: tuple[Judgement, ...]
    """Every rule, expanded by group and scorer, in the policy's order."""
    notes: tuple[str, ...]
    """What a reader must know beside the verdict; among it a policy that came after the run, and further attempts."""
    sampled: Sampled | None = None
    """How far a run in rounds was sampled; None for a whole run."""
    seal: str = ""
    """In the file: sha256 of all other fields as JSON with sorted keys, no blanks, everything beyond ASCII escaped."""


def judge(
    variant: str | Path, policy: PolicyFile, *, baseline: str | Path | None = None, ledger: Path | None = None
) -> GateReport:
    """Apply a policy to a variant's run.

    Args:
        variant: run folder of the model that is judged, or folder of its rounds: these are judged by confidence
            sequences, never by intervals of a fixed n.
        policy: as :func:`audit.policy.read_policy` gives it.
        baseline: run folder of the base; without one, rules that compare are incomplete.
        ledger: where attempts are counted (see :mod:`audit.gate_ledger`); None counts none.

    Returns:
        The verdict with everything that led to it.

    Raises:
        UsageError: a folder is one round of a run, or the base is a folder of rounds.
        FolderError: a folder holds no run.
        CorruptFolderError: a run is of a newer schema, or its ``run.json`` cannot be read.
    """
    rounds = Rounds(variant) if is_rounds(variant) else None
    run = whole_run(variant) if rounds is None else rounds.run
    base = None if baseline is None else whole_run(baseline)
    about, against = _about(run), None if base is None else _about(base)
    sides = [("variant", run)] + ([] if base is None else [("base", base)])
    faults = {
        name: verify(side.path) if side is not run or rounds is None else rounds.problems() for name, side in sides
    }
    whole = [_whole(name, problems) for name, problems in faults.items()]
    broken = [condition for condition in whole if not condition.met and condition.name.endswith(_VERIFIES)]
    if broken:
        found: Judged = gate.unjudged(policy.rules, broken[0].reason)
        notes: list[str] = []
    else:
        found, notes = judged(run, base, policy, rounds)
        whole += [condition for name, side in sides for condition in _answered(name, side, policy.policy.missing)]
    conditions = [*whole, *([] if broken else _as_asked(run, policy))]
    verdict, sentence = _summed(found, conditions)
    registered = run.record["plan"].get("policy_sha256") == policy.sha256
    earlier, trouble = _attempts(ledger, _judged_thing(run, about, against), about.checkpoint, policy, verdict)
    notes = [*([] if rounds is None or broken else [rounds.told()]), *notes]
    notes += _scored_anew(sides) if registered else []
    notes += _cautions(registered, about, against, earlier, trouble)
    return GateReport(
        tool_version=provenance.tool_version(), created=provenance.now(), verdict=verdict, sentence=sentence,
        policy=policy.path, policy_sha256=policy.sha256, registered=registered,
        attempt=None if earlier is None else len(earlier) + 1, earlier=tuple(earlier or ()), variant=about,
        base=against, conditions=tuple(conditions), notes=tuple(notes),
        rules=tuple(Judgement(why=rule.why, line=rule.line, result=result) for rule, result in found),
        sampled=None if rounds is None or broken else _sampled(rounds),
    )  # fmt: skip


def whole_run(path: str | Path) -> Run:
    """A run that was not made in rounds.

    Raises:
        UsageError: the folder is one of rounds, or a single round.
        FolderError: it holds no run.
    """
    if is_rounds(path):
        raise UsageError(f"{path} is a folder of rounds; a base is a whole run: make one without --sequential")
    run = Run(path)
    if run.record["plan"].get("part") is not None:
        raise UsageError(
            f"{path} is one round of a run; a test of a fixed n on it would be a second look: judge {run.path.parent}"
        )
    return run


def _sampled(rounds: Rounds) -> Sampled:
    drawn, whole = rounds.saving
    return Sampled(rounds=len(rounds.runs), of=rounds.of, answers=drawn, whole=whole)


def _about(run: Run) -> JudgedRun:
    """Identity of a run, from its ``run.json``."""
    try:
        record, model = run.record, run.record["model"]
        plan = record["plan"]
        return JudgedRun(
            folder=str(run.path), model=str(model["name"]), adapter=str(model["adapter"] or ""),
            checkpoint=digest({"model": model["fingerprint"], "adapter": model["adapter_files"]}),
            run_digest=str(record["run_digest"]), started=str(record["started"]), status=run.status,
            profile=str(plan["profile"]), seed=int(plan["seed"]),
        )  # fmt: skip
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        problem = f"{run.path}: run.json cannot be read ({type(error).__name__}: {error}); the file was altered"
        raise CorruptFolderError(problem) from error


def json_schema() -> dict[str, Any]:
    """The JSON schema of what ``--json`` writes; ``docs/gate.schema.json`` holds it."""
    schema = GateReport.model_json_schema(mode="serialization")
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}


# -- conditions --


def _whole(name: str, problems: Sequence[str]) -> Condition:
    """A folder says what it said when it was made."""
    more = f" (and {len(problems) - _SHOWN} more)" if len(problems) > _SHOWN else ""
    reason = f"the {name}'s folder does not verify: {'; '.join(problems[:_SHOWN])}{more}"
    said = reason if problems else "every item once, hashes match, the summary recomputes to the same numbers"
    return Condition(name=f"the {name}{_VERIFIES}", met=not problems, reason=said)


def _answered(name: str, run: Run, tolerated: float) -> Iterator[Condition]:
    """No more answers are missing than the policy tolerates, whatever the run's own plan did."""
    lost = run.record["counts"]["missing"]
    # Not from the counts: those of likelihoods leave the missing ones out, those of samples do not.
    asked = sum(owed(run, one.item, suite) for suite, part in run.answers.items() for one in part)
    reason = f"{lost} of {asked} answers of the {name} are missing, {tolerated:.0%} are tolerated"
    yield Condition(name=f"the {name}'s answers are there", met=lost <= tolerated * asked, reason=reason)


def _as_asked(run: Run, policy: PolicyFile) -> Iterator[Condition]:
    """The variant's run is the one that the policy asks for."""
    lacking = [name for name in policy.required if name not in run.suites]
    near = [hint for name in lacking for hint in difflib.get_close_matches(name, run.suites, n=1)]
    hint = f"; did the policy mean {', '.join(near)}?" if near else ""
    reason = f"the variant was not put to {', '.join(lacking)}{hint}" if lacking else ", ".join(policy.required)
    yield Condition(name="every suite that the policy needs was run", met=not lacking, reason=reason)
    plan, asked = run.record["plan"], policy.policy
    if asked.profile is not None:
        cut = [f"--{key} {plan[key]}" for key in ("limit", "samples") if plan.get(key) is not None]
        reason = f"the run has profile {plan['profile']}" + (f", changed by {' and '.join(cut)}" if cut else "")
        met = plan["profile"] == asked.profile and not cut
        yield Condition(name=f"the run has the whole profile {asked.profile}", met=met, reason=reason)
    if asked.seed is not None:
        reason = f"the run has seed {plan['seed']}"
        yield Condition(name=f"the run has the seed {asked.seed}", met=plan["seed"] == asked.seed, reason=reason)


# -- verdict --


def judged(run: Run, base: Run | None, policy: PolicyFile, rounds: Rounds | None = None) -> tuple[Judged, list[str]]:
    """Every rule's result, and notes on what was not compared.

    Args:
        run: of the variant; where it was made in rounds, all of them as one.
        base: run of the base.
        policy: to be applied.
        rounds: behind ``run``; None for a whole run.
    """
    rules = policy.rules if rounds is None else rounds.expanded(policy.rules)
    notes: list[str] = []
    try:
        if base is None:
            before, after = {}, tables(run, list(run.suites))
            apart = dict.fromkeys(after, "no base was given to compare with (--baseline)")
        else:
            pair = pair_runs(base if rounds is None else rounds.beside(base), run)
            before, after, apart, notes = pair.base, pair.variant, dict(pair.apart), list(pair.notes)
        found = gate.judge(
            rules, before, after, tolerated=policy.policy.missing, seed=policy.policy.seed or 0, apart=apart,
            reading=None if rounds is None else Sequential(rounds),
        )  # fmt: skip
    except AuditError as error:
        return gate.unjudged(rules, str(error).rstrip(".")), notes
    return found, notes


def _summed(judged: Judged, conditions: list[Condition]) -> tuple[Verdict, str]:
    """Verdict and sentence over rules and conditions: a failed rule stands, else an unmet condition is incomplete."""
    results = [result for _, result in judged]
    unmet = [condition.reason for condition in conditions if not condition.met]
    verdicts: list[Verdict] = [result.verdict for result in results]
    verdict = gate.overall([*verdicts, "incomplete"] if unmet else verdicts)
    if verdict == "incomplete" and unmet:
        return verdict, f"Incomplete: {'; '.join(unmet)}."
    return verdict, gate.sentence(verdict, results)


def _judged_thing(run: Run, about: JudgedRun, against: JudgedRun | None) -> str:
    """What is no further attempt when it is judged again: one run with its scores, against one base or none."""
    rescored = [str(one.get("at")) for one in run.record.get("rescored", [])]
    base = [] if against is None else ["against", against.run_digest, against.started]
    return " ".join([about.run_digest, about.started, *rescored, *base])


def _attempts(
    ledger: Path | None, judged_thing: str, checkpoint: str, policy: PolicyFile, verdict: Verdict
) -> tuple[list[Verdict] | None, str]:
    """Verdicts of the earlier attempts; None, with the reason, where they could not be counted."""
    if ledger is None:
        return None, "no ledger was given"
    attempt = Attempt(checkpoint, judged_thing, policy.sha256, verdict)
    try:
        return record(ledger, attempt), ""
    except AuditError as error:
        return None, str(error)


def _scored_anew(sides: Sequence[tuple[str, Run]]) -> list[str]:
    """That scores are newer than a policy recorded before the run: other judges may have made them."""
    anew = [name for name, run in sides if run.record.get("rescored")]
    if not anew:
        return []
    said = f"answers of the {' and of the '.join(anew)}"
    return [f"The {said} were scored anew (rescore), so the scores are newer than the policy."]


def _cautions(
    registered: bool, about: JudgedRun, base: JudgedRun | None, earlier: list[Verdict] | None, trouble: str
) -> Iterator[str]:
    """What must stand beside a verdict on every output."""
    if not registered:
        yield (
            "This policy came after the run: the run did not record it before anything was generated (run --policy), "
            "so it may have been chosen with the results in view."
        )
    if earlier is None:
        yield f"Attempts on this checkpoint were not counted: {trouble.rstrip('.')}."
    elif earlier:
        said = ", ".join(f"{earlier.count(name)} {name}" for name in dict.fromkeys(earlier))
        yield f"This is attempt {len(earlier) + 1} on this checkpoint; the earlier ones: {said}."
    if base is not None and base.checkpoint == about.checkpoint:
        yield "Base and variant are the same checkpoint."
