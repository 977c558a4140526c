"""The gate: rules applied to a base and a variant, with four outcomes.

A rule is non-inferiority with a margin. It *passes* when the one-sided upper bound of the harm lies under the margin,
*fails* when the lower bound lies over it, else it is *inconclusive*. It is *incomplete* where answers are missing.
The whole passes only if every rule passes, each at its own level (intersection-union); it fails if any rule fails
after Holm over all expanded rules (union-intersection).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from typing import Protocol

from audit.errors import EXIT_FAILED, EXIT_INCOMPLETE, EXIT_INCONCLUSIVE, EXIT_PASS
from audit.metrics import registry
from audit.metrics.harm import Harm, absolute_harm, paired_harm
from audit.metrics.paired import pair_units
from audit.metrics.power import finest_margin, needed_units, units_for_margin
from audit.metrics.units import Units
from audit.policy import Rule, default_policy
from audit.schema import Direction, GateResult, RuleResult, Verdict

__all__ = [
    "DEFAULT_RULES",
    "Case",
    "Key",
    "Reading",
    "Rule",
    "UnitsOf",
    "because",
    "decide",
    "exit_code",
    "judge",
    "overall",
    "sentence",
    "unjudged",
]

Key = tuple[str, str, str]
"""Suite, metric, and the scorer that the metric reads (empty where it reads none)."""
UnitsOf = Mapping[Key, Units]
"""Units of one run; no entry where the run has none."""


DEFAULT_RULES: tuple[Rule, ...] = default_policy().rules
"""The rules of the built-in policy. Margins were set before any variant was made; none rests on the embedded scorer."""


@dataclass(frozen=True, slots=True)
class Case:
    """A rule for one scorer and group, with the units of both sides."""

    rule: Rule
    scorer: str
    group: str
    base: Units | None
    variant: Units | None
    problem: str = ""
    """Why nothing can be decided; empty where something can."""
    others: tuple[Case, ...] = ()
    """The same by the scorers that do not decide."""

    @property
    def aim(self) -> tuple[Direction, float | None]:
        """Which way is good, and the neutral value: those of the metric, but for a band its middle."""
        if self.rule.middle is not None:
            return "target", self.rule.middle
        metric = registry.get(self.rule.metric)
        return metric.direction, metric.target

    @property
    def margin(self) -> float:
        """The margin as harm: an absolute bound on a value that should be high is its negative."""
        higher = self.rule.kind == "absolute" and self.aim[0] == "higher"
        return -self.rule.margin if higher else self.rule.margin

    @property
    def label(self) -> str:
        """The rule in words."""
        metric = registry.get(self.rule.metric)
        where = f"{self.rule.suite}, {self.group}" if self.group != "all" else self.rule.suite
        where += f", by {self.scorer}" if self.scorer and registry.get(self.rule.metric).any_scorer else ""
        if self.rule.middle is not None:
            low, high = self.rule.middle - self.rule.margin, self.rule.middle + self.rule.margin
            return f"{where}: {metric.label} between {low:g} and {high:g} {metric.unit}"
        if self.rule.kind == "absolute":
            side = {"lower": "at most", "higher": "at least", "target": f"within {metric.target} by"}[metric.direction]
            return f"{where}: {metric.label} {side} {self.rule.margin:g} {metric.unit}"
        side = {"lower": "higher", "higher": "lower", "target": f"further from {metric.target}"}[metric.direction]
        return f"{where}: {metric.label} not {side} than the base by {self.rule.margin:g} {metric.unit}"


def decide(
    rules: Sequence[Rule],
    base: UnitsOf,
    variant: UnitsOf,
    *,
    tolerated: float = 0.0,
    seed: int = 0,
    apart: Mapping[Key, str] | None = None,
) -> GateResult:
    """Apply rules to a variant and its base.

    Args:
        rules: the policy's. None at all passes nothing: the result is incomplete.
        base: units of the base by (suite, metric, scorer).
        variant: the same of the variant.
        tolerated: largest share of units that may be missing, of a rule's units.
        seed: of every bootstrap.
        apart: why units cannot be set against the other side's, as a sentence without its full stop.

    Returns:
        One result per expanded rule, in the order of the policy, and the verdict of the whole.

    Raises:
        UnknownNameError: a rule names a metric that does not exist.
        UsageError: the two sides cannot be paired.
    """
    results = tuple(result for _, result in judge(rules, base, variant, tolerated=tolerated, seed=seed, apart=apart))
    verdict = overall([result.verdict for result in results])
    return GateResult(verdict=verdict, sentence=sentence(verdict, results), rules=results)


def judge(
    rules: Sequence[Rule],
    base: UnitsOf,
    variant: UnitsOf,
    *,
    tolerated: float = 0.0,
    seed: int = 0,
    apart: Mapping[Key, str] | None = None,
    reading: Reading | None = None,
) -> list[tuple[Rule, RuleResult]]:
    """Every expanded rule with what it decided; see :func:`decide`.

    Args:
        rules: the policy's.
        base: units of the base.
        variant: units of the variant.
        tolerated: largest share of units that may be missing, of a rule's units.
        seed: of every bootstrap.
        apart: why units cannot be set against the other side's, as a sentence without its full stop.
        reading: how the intervals are made; None for those of a fixed n.
    """
    reading = reading or _Fixed(seed)
    cases = [case for rule in rules for case in _expand(rule, base, variant, tolerated, apart or {})]
    cases = [case if case.problem else replace(case, problem=reading.problem(case)) for case in cases]
    failed = _holm(cases, reading)
    left = max(len(cases) - len(failed), 1)
    return [(case.rule, _result(case, failed.get(at), left, reading)) for at, case in enumerate(cases)]


def unjudged(rules: Sequence[Rule], why: str) -> list[tuple[Rule, RuleResult]]:
    """Every rule as incomplete, with the reason that keeps all of them from being judged."""
    return [(rule, _result(Case(rule, rule.scorer, rule.group, None, None, why), None, 1, _Fixed(0))) for rule in rules]


def exit_code(verdict: Verdict) -> int:
    """The process exit code of a gate: 0 pass, 3 incomplete, 4 inconclusive, 5 failed."""
    return {
        "pass": EXIT_PASS,
        "incomplete": EXIT_INCOMPLETE,
        "inconclusive": EXIT_INCONCLUSIVE,
        "fail": EXIT_FAILED,
    }[verdict]


def _expand(rule: Rule, base: UnitsOf, variant: UnitsOf, tolerated: float, apart: Mapping[Key, str]) -> list[Case]:
    """One case for every scorer that decides and every group that a rule's pattern names."""
    metric = registry.get(rule.metric)
    there = list(
        dict.fromkeys(key[2] for side in (base, variant) for key in side if key[:2] == (rule.suite, rule.metric))
    )
    if not rule.scorer:
        deciding, others = there or [metric.scorer if not metric.any_scorer else ""], []
    else:
        deciding, others = [rule.scorer], [name for name in there if name != rule.scorer and metric.any_scorer]
    cases = [case for name in deciding for case in _expand_groups(rule, name, base, variant, tolerated, apart)]
    aside = [case for name in others for case in _expand_groups(rule, name, base, variant, tolerated, apart)]
    return [replace(case, others=tuple(one for one in aside if one.group == case.group)) for case in cases]


def _expand_groups(
    rule: Rule, scorer: str, base: UnitsOf, variant: UnitsOf, tolerated: float, apart: Mapping[Key, str]
) -> list[Case]:
    """One case for every group that a rule's pattern names."""
    key = (rule.suite, rule.metric, scorer)
    compares = rule.kind == "non-inferiority"
    first, second = base.get(key) if compares else None, variant.get(key)
    problem = (apart.get(key, "") if compares else "") or _lacking(key, first, second, compares)
    if problem or second is None:
        return [Case(rule, scorer, rule.group, None, None, problem)]
    if rule.group == "all":
        return [_checked(Case(rule, scorer, "all", first, second), tolerated)]
    facet, _, pattern = rule.group.rpartition("=")
    facet = facet or "group"
    members = {name for side in (first, second) if side is not None for name in side.members(facet)}
    names = sorted(name for name in members if fnmatchcase(name, pattern))
    if not names:
        return [Case(rule, scorer, rule.group, first, second, f"no group of {rule.suite} matches {rule.group!r}")]
    prefix = "" if facet == "group" else f"{facet}="
    cases = [
        Case(
            rule, scorer, prefix + name, None if first is None else first.where(facet, name), second.where(facet, name)
        )
        for name in names
    ]
    return [_checked(case, tolerated) for case in cases]


def _lacking(key: Key, first: Units | None, second: Units | None, compares: bool) -> str:
    """Which side lacks the units that a rule needs; empty where none does."""
    lacking = ["base"] if compares and first is None else []
    lacking += ["variant"] if second is None else []
    by = f" by {key[2]}" if key[2] else ""
    have = "has" if len(lacking) == 1 else "have"
    return f"the {' and the '.join(lacking)} {have} no {key[1]} on {key[0]}{by}" if lacking else ""


def _checked(case: Case, tolerated: float) -> Case:
    """The case, with a problem where answers are missing or there is nothing to compare."""
    assert case.variant is not None
    if case.base is None:
        n, missing = len(case.variant.ids) - case.variant.missing, case.variant.missing
        valued = case.variant.value() is not None
    else:
        pair = pair_units(case.base, case.variant)
        n, missing, valued = len(pair.base.ids), pair.missing, pair.usable
    if n + missing == 0:
        problem = "no unit to judge"
    elif missing > tolerated * (n + missing):
        problem = f"{missing} of {n + missing} units have no value, {tolerated:.0%} are tolerated"
    elif not valued:
        problem = f"none of {n} units enters the metric on both sides"
    else:
        return case
    return replace(case, problem=problem)


class Reading(Protocol):
    """How a rule's units become an interval."""

    def problem(self, case: Case) -> str:
        """Why nothing can be decided; empty where something can."""

    def harms(self, case: Case, alpha_fail: float) -> tuple[Harm, Harm]:
        """Harm as the passing and as the failing test read it; the latter has this one-sided level."""

    def finest(self, case: Case, n: int) -> float:
        """The finest margin that so many units can show; 0 where the interval itself knows what was not seen."""

    def settle(self, case: Case, left: int) -> tuple[int | None, str]:
        """How many units would settle an inconclusive case, if that is known, and in words what would."""


@dataclass(frozen=True, slots=True)
class _Fixed:
    """The intervals of a fixed n: looked at once."""

    seed: int

    def problem(self, case: Case) -> str:
        return ""

    def harms(self, case: Case, alpha_fail: float) -> tuple[Harm, Harm]:
        direction, target = case.aim
        levels = {"alpha_pass": case.rule.alpha, "alpha_fail": alpha_fail}
        assert case.variant is not None
        if case.base is None:
            return absolute_harm(case.variant, direction, target, **levels, seed=self.seed)
        return paired_harm(pair_units(case.base, case.variant), direction, target, **levels, seed=self.seed)

    def finest(self, case: Case, n: int) -> float:
        assert case.variant is not None
        return 0.0 if case.base is None else finest_margin(case.variant.statistic, n, case.rule.alpha)

    def settle(self, case: Case, left: int) -> tuple[int | None, str]:
        assert case.variant is not None
        alpha = case.rule.alpha
        needed = needed_units(
            case.base, case.variant, *case.aim, case.margin, alpha_pass=alpha, alpha_fail=alpha / left, seed=self.seed
        )
        if needed.units is None:
            return None, "more units of this kind cannot settle it"
        words = f"about {needed.units:,} would settle it (as a {needed.outcome}, if what is seen so far holds)"
        return needed.units, words


def _decides(harm: Harm) -> bool:
    """Whether an interval may decide: finite ends and some width."""
    if harm.low is None or harm.high is None or harm.value is None:
        return False
    return math.isfinite(harm.low) and math.isfinite(harm.high) and harm.high - harm.low > 0


def _holm(cases: Sequence[Case], reading: Reading) -> dict[int, Harm]:
    """Which cases fail, by Holm's step-down with intervals instead of p-values.

    With m hypotheses left each is tested at its alpha / m; those whose lower bound lies over the margin are rejected,
    and the rest is tested again with the smaller m, until nothing more is rejected. Cases without data stay in m.
    """
    failed: dict[int, Harm] = {}
    while True:
        left = len(cases) - len(failed)
        found = {}
        for i, case in enumerate(cases):
            if i in failed or case.problem:
                continue
            harm = reading.harms(case, case.rule.alpha / left)[1]
            if _decides(harm) and harm.low is not None and harm.low > case.margin:
                found[i] = harm
        if not found:
            return failed
        failed.update(found)


def _result(case: Case, failed: Harm | None, left: int, reading: Reading) -> RuleResult:
    """One rule's verdict on the interval that decided it; ``left`` rules are left under Holm."""
    if case.problem:
        harm = Harm(None, None, None, 1 - 2 * case.rule.alpha, "", 0, 0, 0)
        return _record(case, "incomplete", harm, None, f"Incomplete: {case.problem}.")
    harm = failed or reading.harms(case, case.rule.alpha)[0]
    if failed is not None:
        reason = f"Failed: harm is at least {failed.low:.3g}, over the margin {case.margin:g}, {_basis(harm)}."
        return _record(case, "fail", harm, None, reason)
    if not _decides(harm):
        reason = f"Inconclusive: no interval can decide ({harm.method}; {_basis(harm)})."
        return _record(case, "inconclusive", harm, None, reason)
    assert harm.high is not None and harm.low is not None and harm.value is not None
    if harm.high < case.margin:
        finest = reading.finest(case, harm.n)
        return _too_fine(case, harm, finest) if _unseen(case, harm, finest) else _passed(case, harm, reading)
    needed, settle = reading.settle(case, left)
    reason = (
        f"Inconclusive: harm lies between {harm.low:.3g} and {harm.high:.3g}, the margin is {case.margin:g}, "
        f"{_basis(harm)}; {settle}."
    )
    return _record(case, "inconclusive", harm, needed, reason)


def _unseen(case: Case, harm: Harm, finest: float) -> bool:
    """Whether harm over the margin may well be in none of the units: the margin is too fine for so few."""
    assert harm.high is not None
    return case.margin < finest and harm.high + finest >= case.margin


def _too_fine(case: Case, harm: Harm, finest: float) -> RuleResult:
    """A rule whose interval lies under a margin that so few units cannot show."""
    assert harm.high is not None and case.variant is not None
    needed = units_for_margin(case.variant.statistic, case.margin, case.rule.alpha)
    reason = (
        f"Inconclusive: harm is at most {harm.high:.3g} by what was seen, but {harm.n} units cannot show a margin as "
        f"fine as {case.margin:g}: changes over the whole range, so rare that they make {finest:.3g}, are in none of "
        f"so many in {case.rule.alpha:.0%} of samples; {f'{needed:,} units' if needed else 'no number of units'} could."
    )
    return _record(case, "inconclusive", harm, needed, reason)


def _passed(case: Case, harm: Harm, reading: Reading) -> RuleResult:
    """A rule that the deciding scorer passes, unless another scorer's disagreement withholds that."""
    found = f"harm is at most {harm.high:.3g}, under the margin {case.margin:g}, {_basis(harm)}"
    against = [other.scorer for other in case.others if not _passes(other, reading)]
    if against and case.rule.disagreement == "inconclusive":
        reason = f"Inconclusive: by {case.scorer}, which decides, {found}; but not by {', '.join(against)}."
        return _record(case, "inconclusive", harm, None, reason)
    aside = f" By {', '.join(against)}, which does not decide, it does not pass." if against else ""
    return _record(case, "pass", harm, None, f"Passed: {found}.{aside}")


def _passes(case: Case, reading: Reading) -> bool:
    """Whether a case passes taken by itself."""
    if case.problem or reading.problem(case):
        return False
    harm = reading.harms(case, case.rule.alpha)[0]
    if not _decides(harm) or harm.high is None:
        return False
    return harm.high < case.margin and not _unseen(case, harm, reading.finest(case, harm.n))


def _basis(harm: Harm) -> str:
    """What an interval rests on, in words."""
    return f"by {harm.n} units in {harm.clusters} clusters"


def _record(case: Case, verdict: Verdict, harm: Harm, needed: int | None, reason: str) -> RuleResult:
    """The schema's record of a rule."""
    return RuleResult(
        suite=case.rule.suite,
        metric=case.rule.metric,
        scorer=case.scorer,
        group=case.group,
        label=case.label,
        kind=case.rule.kind,
        margin=case.margin,
        alpha=case.rule.alpha,
        verdict=verdict,
        harm=harm.value,
        low=harm.low,
        high=harm.high,
        level=harm.level,
        method=harm.method,
        n=harm.n,
        clusters=harm.clusters,
        needed=needed,
        reason=reason,
    )


def overall(verdicts: Sequence[Verdict]) -> Verdict:
    """The verdict of the whole: failed, then incomplete, then inconclusive; no rule at all is incomplete."""
    order: tuple[Verdict, ...] = ("fail", "incomplete", "inconclusive")
    return next((verdict for verdict in order if verdict in verdicts), "pass" if verdicts else "incomplete")


def because(reason: str) -> str:
    """A rule's reason without the verdict in front of it."""
    return reason.partition(": ")[2]


def sentence(verdict: Verdict, results: Sequence[RuleResult]) -> str:
    """The verdict in one sentence."""
    count = {name: sum(result.verdict == name for result in results) for name in ("pass", "fail", "inconclusive")}
    count["incomplete"] = len(results) - sum(count.values())
    total = len(results)
    if not results:
        return "Incomplete: the policy has no rule, so nothing was decided."
    if verdict == "pass":
        return f"Passed: on all {total} rules the harm lies under the margin."
    if verdict == "fail":
        names = "; ".join(result.label for result in results if result.verdict == "fail")
        return f"Failed: {count['fail']} of {total} rules, held to one level over all of them: {names}."
    if verdict == "incomplete":
        first = next(result.reason for result in results if result.verdict == "incomplete")
        return f"Incomplete: {count['incomplete']} of {total} rules could not be judged; the first: {because(first)}"
    return f"Inconclusive: {count['inconclusive']} of {total} rules could not be settled with this many units."
