"""The verdict in one sentence that can be quoted by itself: who, what, by how much, how sure, on how many items.

Pure functions of the records. They return plain text; whoever prints it shows hidden characters and escapes it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from audit.schema import Comparison, Difference, RuleResult, SummaryRow, VariantComparison
from reports import harm, text

_NAMED = ("nats", "nats/token", "bits/byte")
"""Units that are written out behind a number."""
_SHOWN = 3
"""How many metrics a sentence about a single run names."""


def verdict(
    name: str, base: str, variant: VariantComparison, rule: RuleResult | None, *, summary: Sequence[SummaryRow] = ()
) -> str:
    """One variant's verdict.

    Args:
        name: the variant.
        base: what it was compared with.
        variant: its record; without a gate the sentence says how many metrics changed.
        rule: the rule that decided or came nearest to it; None where no rule was applied.
        summary: the base's own values; without a gate they tell on which side of a target it lies.

    Returns:
        One sentence, e.g. ``"tuned fails the gate: bits per byte on plain-text is 0.096 bits/byte worse than base's
        (98 % interval +0.075 to +0.119), over the margin of 0.050 bits/byte, on 32 items in 32 clusters; ..."``
    """
    if variant.gate is None:
        return _compared(name, base, variant, summary)
    if rule is None:
        words = {"fail": "fails the gate", "pass": "passes the gate", "inconclusive": "is inconclusive at the gate"}
        verb = words.get(variant.gate.verdict, "is not judged: the gate is incomplete")
        return f"{name} {verb}; no rule was applied."
    if variant.gate.verdict != rule.verdict:
        # The whole was decided by something that no rule shows, such as a run that does not verify.
        return f"{name} is {_ADJECTIVES[variant.gate.verdict]}, although no rule says so: {variant.gate.sentence}"
    about = _about(rule, variant)
    unit = _unit(rule, variant)
    tally = _tally(variant.gate.rules, rule)
    if rule.verdict == "incomplete" or rule.harm is None:
        why = rule.reason.split(": ", 1)[-1].rstrip(".")
        opened = "is not judged: the gate is incomplete" if rule.verdict == "incomplete" else _VERBS[rule.verdict]
        return f"{name} {opened}; for {about}, {why}{tally}."
    return f"{name} {_VERBS[rule.verdict]}{_told(rule, about, unit, base)}, on {_basis(rule)}{_settled(rule)}{tally}."


def plainly(rule: RuleResult | None) -> str:
    """What the rule behind a verdict found, in units of what was declared tolerable: needs no knowledge of the metric.

    Args:
        rule: the rule that decided or came nearest to it.

    Returns:
        A sentence, e.g. ``"In plain words: by this measure it became worse by about 4.7 times what was declared
        tolerable, and by at least 2.8 times."``; empty for an absolute bound, a margin of zero, or an open interval.
    """
    if rule is None or rule.kind != "non-inferiority" or rule.margin <= 0 or rule.low is None or rule.high is None:
        return ""
    if rule.harm is None or not all(map(math.isfinite, (rule.low, rule.high))):
        return ""
    least, about, most = (end / rule.margin for end in (rule.low, rule.harm, rule.high))
    if rule.verdict == "fail":
        return (
            f"In plain words: by this measure it became worse by about {_times(about)} what was declared tolerable, "
            f"and by at least {_times(least)}."
        )
    if rule.verdict == "pass":
        if most <= 0:
            return "In plain words: where it came nearest to failing it is better than before."
        doubt = ", if at all," if least <= 0 else ""
        return (
            f"In plain words: where it came nearest to failing it became worse{doubt} by at most {_times(most)} what "
            "was declared tolerable."
        )
    if rule.verdict == "inconclusive":
        other = "unchanged or better" if least <= 0 else f"worse by only {_times(least)} what was declared tolerable"
        return (
            f"In plain words: there are too few answers to tell. By this measure it may be {other}, or worse by up to "
            f"{_times(most)} {'what was declared tolerable' if least <= 0 else 'that'}."
        )
    return ""


def _times(share: float) -> str:
    """How often the margin: whole percentages under one, else a decimal."""
    return f"{100 * share:.0f}\u00a0% of" if share < 0.995 else f"{share:.1f} times"


_ADJECTIVES = {"fail": "failed", "pass": "passed", "inconclusive": "inconclusive", "incomplete": "incomplete"}
_VERBS = {"fail": "fails the gate", "pass": "passes the gate", "inconclusive": "is inconclusive at the gate"}

_COUNTED = {
    "fail": ("fail", "fails"),
    "inconclusive": ("are inconclusive", "is inconclusive"),
    "incomplete": ("are incomplete", "is incomplete"),
}
"""What several rules do, and what one does."""


def _told(rule: RuleResult, about: str, unit: str, base: str) -> str:
    """What the rule found, with its interval, against its margin."""
    level = f"{text.percent(rule.level)} interval"
    if rule.kind == "absolute":
        return _bounded(rule, about, unit, level)
    spread = text.interval(rule.low, rule.high, unit, signed=True)
    found = f"{_size(rule.harm, unit, base)} ({level} {spread})"
    margin = _sized(rule.margin, unit)
    if rule.verdict == "fail":
        return f": {about} is {found}, over the margin of {margin}"
    if rule.verdict == "pass":
        return f": closest to its margin of {margin} is {about}, {found}"
    return f": {about} is {found}, so harm over the margin of {margin} can be neither shown nor excluded"


def _bounded(rule: RuleResult, about: str, unit: str, level: str) -> str:
    """An absolute rule; its numbers are oriented as harm, so a value that should be high stands negated."""
    low, value, high = rule.low, rule.harm, rule.high
    bound, side = rule.margin, "over"
    if rule.margin < 0 and value is not None:
        low, value, high = (None if x is None else -x for x in (rule.high, rule.harm, rule.low))
        bound, side = -rule.margin, "under"
    found = f"{text.number(value, unit)} ({level} {text.interval(low, high, unit)})"
    limit = text.number(bound, unit)
    if rule.verdict == "fail":
        return f": {about} is {found}, {side} the bound of {limit}"
    if rule.verdict == "pass":
        return f": closest to its bound of {limit} is {about}, {found}"
    return f": {about} is {found}, so a value {side} the bound of {limit} can be neither shown nor excluded"


def _sized(value: float, unit: str) -> str:
    """A change without its sign, with its unit where the number does not carry it."""
    number = text.number(value, unit, signed=True).lstrip("+")
    return f"{number} {unit}" if unit in _NAMED else number


def _size(value: float | None, unit: str, base: str) -> str:
    """How much worse or better than the base."""
    if value is None:
        return text.MISSING
    if value == 0:
        return f"estimated as no worse and no better than {base}\u2019s"
    return f"{_sized(abs(value), unit)} {'worse' if value > 0 else 'better'} than {base}\u2019s"


def _basis(rule: RuleResult) -> str:
    """What the interval rests on."""
    items = f"{text.count(rule.n)} {'item' if rule.n == 1 else 'items'}"
    return f"{items} in {text.count(rule.clusters)} {'cluster' if rule.clusters == 1 else 'clusters'}"


def _settled(rule: RuleResult) -> str:
    return f"; about {text.count(rule.needed)} would settle it" if rule.needed is not None else ""


def _tally(rules: Sequence[RuleResult], one: RuleResult) -> str:
    """How many rules say the same, and at which risk of error."""
    same = sum(rule.verdict == one.verdict for rule in rules)
    risks = sorted({rule.alpha for rule in rules if rule.verdict == one.verdict})
    risk = " and ".join(dict.fromkeys([text.percent(risks[0]), text.percent(risks[-1])]))
    if one.verdict == "pass":
        which = "the one rule passes," if same == 1 else f"all {same} rules pass, each"
        return f"; {which} with at most {risk} risk of a false pass"
    several, alone = _COUNTED[one.verdict]
    verb = alone if same == 1 else several
    held = f", with at most {risk} risk of any false failure" if one.verdict == "fail" else ""
    return f"; {same} of {len(rules)} {'rule' if len(rules) == 1 else 'rules'} {verb}{held}"


def _place(row: Difference | SummaryRow) -> tuple[str, str, str, str]:
    return (row.suite, row.metric, row.variant, row.scorer)


def _found(rule: RuleResult, variant: VariantComparison) -> Difference | SummaryRow | None:
    """A row of the metric that a rule reads; of the rule's own group where there is one."""
    rows: list[Difference | SummaryRow] = [*variant.differences, *variant.summary]
    fitting = [r for r in rows if (r.suite, r.metric, r.scorer) == (rule.suite, rule.metric, rule.scorer)]
    return next((row for row in fitting if row.group == rule.group), next(iter(fitting), None))


def _about(rule: RuleResult, variant: VariantComparison) -> str:
    """The metric with its group and suite."""
    row = _found(rule, variant)
    group = "" if rule.group == "all" else f" for {rule.group.split('=', 1)[-1]}"
    smoke = f", by the smoke-test scorer {row.scorer}" if row is not None and row.smoke else ""
    return f"{row.label if row is not None else rule.metric}{group} on {rule.suite}{smoke}"


def _unit(rule: RuleResult, variant: VariantComparison) -> str:
    row = _found(rule, variant)
    return row.unit if row is not None else ""


def _compared(name: str, base: str, variant: VariantComparison, own: Sequence[SummaryRow]) -> str:
    """A variant without a gate: how many of its metrics changed by more than chance explains one by one."""
    whole = {_place(row): row for row in own if row.group == "all"}
    rows = [row for row in variant.differences if row.group == "all"]
    found = [one for row in rows if (one := harm.of_change(row, whole.get(_place(row)))) and one.low is not None]
    if not found:
        return f"No gate was applied to {name}, and no change from {base} could be estimated."
    level = text.percent(rows[0].level)
    worse = sum(one.certain and one.value > 0 for one in found)
    better = sum(one.certain and one.value < 0 for one in found)
    chance = (1 - rows[0].level) * len(found)
    return (
        f"No gate was applied to {name}: of {len(found)} {'metric' if len(found) == 1 else 'metrics'} over all groups "
        f"{worse} {'is' if worse == 1 else 'are'} worse than {base}\u2019s and {better} better by a {level} interval "
        f"that leaves no change out, where chance alone would give about {chance:.1f}."
    )


def single(comparison: Comparison) -> str:
    """A single run: what was measured, the first metric of the first suites with its interval.

    Args:
        comparison: a run without variants.

    Returns:
        One sentence that claims no more than the measurement.
    """
    name = (
        comparison.base.model if not comparison.base.adapter else f"{comparison.base.model} with {comparison.base.name}"
    )
    rows = [row for row in comparison.summary if row.group == "all"]
    first: dict[str, SummaryRow] = {}
    for row in rows:
        if not text.informs(row.label):
            first.setdefault(row.suite, row)
    if not first:
        return f"Nothing was measured of {name}."
    parts = [_measured(row) for row in list(first.values())[:_SHOWN]]
    metrics = f"{len(rows)} {'metric' if len(rows) == 1 else 'metrics'}"
    suites = f"{len({row.suite for row in rows})} {'suite' if len({row.suite for row in rows}) == 1 else 'suites'}"
    more = "among them " if len(parts) < len(rows) else ""
    return f"{name} was measured by {metrics} on {suites}, {more}{'; '.join(parts)}; nothing was judged."


def _measured(row: SummaryRow) -> str:
    """A metric's value with what it rests on."""
    smoke = f", a smoke-test scorer: {row.scorer}" if row.smoke else ""
    if row.value is None:
        return f"{row.label} on {row.suite} could not be estimated{smoke}"
    spread = f"{text.percent(row.level)} interval {text.interval(row.low, row.high, row.unit)}, n={text.count(row.n)}"
    return f"{row.label} on {row.suite} {text.number(row.value, row.unit)} ({spread}{smoke})"


def passed(variants: Sequence[VariantComparison]) -> str:
    """What a pass says and does not say; empty where nothing passed."""
    if not any(variant.gate is not None and variant.gate.verdict == "pass" for variant in variants):
        return ""
    return (
        "A pass says that harm over the margins, on these items and by these measures, is excluded at the stated risk. "
        "It does not say that the model, or its base, does no harm."
    )
