"""A comparison judged by a policy file: the gate's verdict, its conditions and its cautions on the page."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from audit.comparison import compare, opened
from audit.gate_verdict import GateReport, judge
from audit.policy import PolicyFile
from audit.results import Run
from audit.schema import AppliedPolicy, Comparison, GateResult, PolicyCondition, PolicyUse


def compare_gated(
    base: Run | str | Path,
    variants: Sequence[Run | str | Path],
    policy: PolicyFile,
    *,
    ledger: Path | None = None,
    cards: Sequence[Path] = (),
    reports: Sequence[GateReport] | None = None,
) -> Comparison:
    """Compare variants with the base they came from, and judge each by a policy.

    The verdicts are those of :func:`audit.gate_verdict.judge`, conditions included.

    Args:
        base: a run, or its folder.
        variants: runs of other models or adapters on the same items; none judges the base by itself.
        policy: as :func:`audit.policy.read_policy` gives it.
        ledger: where attempts are counted; None counts none.
        cards: scorer cards whose figures are shown beside the scorers' rates.
        reports: the verdicts where they were reached already, one for each run that is judged.

    Returns:
        The comparison with its policy.

    Raises:
        UsageError: a run is not finished, or no suite can be compared.
        FolderError: a folder holds no run, or one that does not verify.
        DataError: a card cannot be read, or is not of a scorer of the base's run.
    """
    # All runs are opened before any is judged: a ledger gets no verdict that no page shows.
    first, others = opened(base), [opened(one) for one in variants]
    if reports is None:
        against = first.path if others else None
        reports = [judge(run.path, policy, baseline=against, ledger=ledger) for run in others or [first]]
    gates = [_gate(report) for report in reports]
    found = compare(first, others, rules=policy.rules, cards=cards, gates=gates if others else None)
    names = [variant.run.name for variant in found.variants] or [found.base.name]
    applied = AppliedPolicy(
        name=Path(policy.path).name, sha256=policy.sha256, text=policy.text,
        uses=tuple(_use(name, report) for name, report in zip(names, reports, strict=True)),
    )  # fmt: skip
    return found.model_copy(update={"policy": applied, "gate": None if others else gates[0]})


def _gate(report: GateReport) -> GateResult:
    """The verdict of the whole, conditions included, over the rules' results."""
    rules = tuple(one.result for one in report.rules)
    return GateResult(verdict=report.verdict, sentence=report.sentence, rules=rules)


def _use(name: str, report: GateReport) -> PolicyUse:
    conditions = (PolicyCondition(name=one.name, met=one.met, reason=one.reason) for one in report.conditions)
    return PolicyUse(
        run=name, registered=report.registered, attempt=report.attempt, earlier=report.earlier,
        conditions=tuple(conditions), whys=tuple(one.why for one in report.rules), notes=report.notes,
    )  # fmt: skip


__all__ = ["compare_gated"]
