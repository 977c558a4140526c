"""The gate's policy: what a variant must hold to, as data.

A policy is a TOML file of a versioned schema. It is checked whole when it is read: an unknown key, an unknown metric, a
margin that could decide nothing and rules that contradict each other are refused with the line at fault.
"""

from __future__ import annotations

import difflib
import math
import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field, ValidationError

from audit.errors import DataError, UsageError
from audit.metrics import registry
from audit.provenance import sha256_bytes
from audit.schema import Record
from audit.store import Folder

VERSION = 1
"""The version of the policy's schema that this slm-audit reads."""
DEGENERATION = "degeneration-rate"
"""The metric of the degeneration guard."""
LIMITS = ("margin", "at_most", "at_least", "between")
"""A rule has exactly one of these."""

Number = Annotated[float, Field(strict=True)]
Alpha = Annotated[float, Field(strict=True, gt=0.0, lt=0.5)]


@dataclass(frozen=True, slots=True)
class Rule:
    """One requirement on a variant, as the gate decides it."""

    suite: str
    metric: str
    """Name in the metric registry; its direction says what harm is."""
    margin: float
    """Largest harm tolerated (non-inferiority), or the value not to be passed (absolute), in the metric's unit."""
    why: str
    """Where the margin comes from; set before any result was seen."""
    group: str = "all"
    """``all`` for the whole suite; else a pattern (``*``, ``women``) over groups, or ``field=pattern``."""
    alpha: float = 0.05
    """One-sided level of the passing test; the failing test is held to it over all rules by Holm."""
    kind: Literal["non-inferiority", "absolute"] = "non-inferiority"
    scorer: str = ""
    """The scorer that decides; empty means every scorer that the metric was computed with, so that the rule passes only
    where all of them agree that it does."""
    disagreement: Literal["inconclusive", "note"] = "note"
    """What a pass by the deciding scorer becomes where another scorer of the run does not pass it."""
    middle: float | None = None
    """Of an absolute rule that is a band: its middle; the margin is then half its width."""
    line: int = 0
    """Line of the policy file that begins the rule; 0 where it was made in code."""

    def __post_init__(self) -> None:
        if not 0.0 < self.alpha < 0.5:
            raise UsageError(f"a rule's alpha lies between 0 and 0.5; got {self.alpha!r}")
        if not math.isfinite(self.margin) or (self.kind == "non-inferiority" and self.margin < 0):
            raise UsageError(f"a rule's margin is a number, at least 0 for non-inferiority; got {self.margin!r}")


class RuleEntry(Record):
    """A rule as the policy file states it."""

    suite: str = Field(min_length=1)
    """Name of a suite."""
    metric: str = Field(min_length=1)
    """Name of a metric; a published form is named ``metric:variant``."""
    why: str = Field(min_length=1)
    """Where the limit comes from; shown beside the verdict."""
    margin: Number | None = None
    """No worse than the base by this much, in the metric's unit."""
    at_most: Number | None = None
    """The value not to be passed, of a metric where lower is better."""
    at_least: Number | None = None
    """The value not to be missed, of a metric where higher is better."""
    between: tuple[Number, Number] | None = None
    """Lower and upper end of a band that the value must lie in."""
    group: str = Field(default="all", min_length=1)
    """``all``, a pattern over groups, or ``field=pattern``."""
    alpha: Alpha = 0.05
    """One-sided level of the passing test."""
    scorer: str = ""
    """The scorer that decides this rule; empty means what ``[scorer]`` says."""

    @property
    def limit(self) -> str:
        """Which of :data:`LIMITS` the rule has; empty where it has none or several."""
        given = [name for name in LIMITS if getattr(self, name) is not None]
        return given[0] if len(given) == 1 else ""


class ScorerChoice(Record):
    """Whose verdict counts where several scorers judged the same answers."""

    decides: str = ""
    """Name of a scorer; empty means that a rule must hold by each."""
    disagreement: Literal["inconclusive", "note"] = "inconclusive"
    """What a pass by the deciding scorer becomes where another scorer does not pass the rule."""


class Guard(Record):
    """The degeneration guard: a limit on degenerate answers in every suite with a rule on scored answers."""

    why: str = Field(min_length=1)
    """Where the limit comes from."""
    margin: Number | None = None
    """Largest rise of the degeneration rate against the base."""
    at_most: Number | None = None
    """Largest degeneration rate."""
    alpha: Alpha = 0.05
    """One-sided level of the passing test."""


class Policy(Record):
    """A gate policy; the docstring under each field is its manual."""

    version: Literal[1]
    """Version of this schema."""
    profile: Literal["quick", "standard", "full"] | None = None
    """The profile that the judged run must have been made with, whole; None accepts any."""
    seed: Annotated[int, Field(strict=True, ge=0, lt=2**63)] | None = None
    """The seed that the judged run must have been made with, and of the gate's bootstrap; None accepts any (0)."""
    suites: tuple[str, ...] = ()
    """Suites that must have been put to the variant, besides those that the rules name."""
    missing: Annotated[float, Field(strict=True, ge=0.0, lt=1.0)] = 0.0
    """Share of a rule's units that may lack a value on either side, and of a run's answers that may be missing."""
    scorer: ScorerChoice = ScorerChoice()
    """Whose verdict counts where several scorers judged the same answers."""
    degeneration: Guard | None = None
    """The degeneration guard; None applies none."""
    rules: tuple[RuleEntry, ...] = Field(min_length=1)
    """What the variant must hold to."""


@dataclass(frozen=True, slots=True)
class PolicyFile:
    """A policy with the file it was read from."""

    policy: Policy
    path: str
    sha256: str
    """Of the file's bytes, as ``sha256sum`` prints it."""
    text: str
    """The file verbatim."""
    rules: tuple[Rule, ...]
    """The rules as the gate decides them, those of the degeneration guard last."""

    @property
    def required(self) -> tuple[str, ...]:
        """Suites that the variant must have been put to: those named, then those of the rules."""
        return tuple(dict.fromkeys([*self.policy.suites, *(rule.suite for rule in self.policy.rules)]))

    def fill(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """Keys of a plan with what the policy demands of a run: profile, seed, tolerated missing share, its digest.

        Where no suite is named, it is put to those that the policy needs.

        Args:
            values: keys of :class:`audit.plan.Plan` as asked for.

        Returns:
            The keys, completed.

        Raises:
            UsageError: what was asked for contradicts the policy.
        """
        demanded = {
            name: value
            for name, value in (("profile", self.policy.profile), ("seed", self.policy.seed))
            if value is not None
        } | {"missing_tolerance": self.policy.missing}
        for name, value in demanded.items():
            if values.get(name, value) != value:
                raise UsageError(
                    f"--policy {self.path} demands {name} {value!r}, {values[name]!r} is asked for; drop one of them"
                )
        suites = values.get("suites") or self.required
        return {**values, **demanded, "suites": tuple(suites), "policy_sha256": self.sha256}


def read_policy(path: str | Path) -> PolicyFile:
    """Read and check a policy file.

    Args:
        path: a TOML file.

    Returns:
        The policy with its digest and rules.

    Raises:
        DataError: the file cannot be read, or something in it is wrong; names the line and, for a wrong key or metric,
            the nearest right one.
    """
    try:
        data = Path(path).read_bytes()
    except OSError as error:
        hint = "; write one with: slm-audit gate --init" if isinstance(error, FileNotFoundError) else ""
        raise DataError(path, f"not a readable policy: {error.strerror or error}{hint}") from error
    return parse_policy(data, str(path))


def default_text(*, sequential: bool = False) -> str:
    """The built-in policy, as ``slm-audit gate --init`` writes it; or the one for sampling in rounds."""
    name = "gate_sequential.toml" if sequential else "gate_default.toml"
    return files("audit").joinpath(name).read_text(encoding="utf-8")


def write_default(path: Path, *, sequential: bool = False) -> Path:
    """Write the built-in policy as a start for one's own; returns the path.

    Args:
        path: the file to write.
        sequential: write the policy whose rules all can be decided in rounds.

    Raises:
        UsageError: the file exists.
        FolderError: it cannot be written.
    """
    if path.exists():
        raise UsageError(f"{path} exists and is not overwritten; name another file")
    Folder(path.parent).write_text(path.name, default_text(sequential=sequential))
    return path


@cache
def default_policy() -> PolicyFile:
    """The built-in policy."""
    return parse_policy(default_text().encode(), "the built-in policy")


def parse_policy(data: bytes, path: str) -> PolicyFile:
    """Check a policy's content; see :func:`read_policy`."""
    try:
        text = data.decode("utf-8")
        content = tomllib.loads(text)
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise DataError(path, f"is not UTF-8 ({error.reason}); save it as UTF-8", line=line) from error
    except tomllib.TOMLDecodeError as error:
        raise DataError(path, f"not valid TOML: {error}") from error
    lines = _Lines(text)
    _check_version(path, content, lines)
    try:
        policy = Policy.model_validate(content)
    except ValidationError as error:
        raise _fault(path, lines, error) from error
    entries = [(("rules", at), entry) for at, entry in enumerate(policy.rules)]
    guard = policy.degeneration
    guarded = [] if guard is None else [(("degeneration",), _guard_entry(guard, "any"))]
    for place, entry in [*entries, *guarded]:
        found = _problem(entry)
        if found:
            raise DataError(path, found[1], line=lines.of((*place, found[0])), field=found[0])
    _check_together(path, policy, lines)
    return PolicyFile(policy, path, sha256_bytes(data), text, _rules(policy, lines))


def _check_version(path: str, content: Mapping[str, Any], lines: _Lines) -> None:
    """Refuse another schema version before its keys are called wrong."""
    version = content.get("version", VERSION)
    if version != VERSION or isinstance(version, bool):
        problem = f"has version {version!r}, this slm-audit reads {VERSION}; use the version that it was written for"
        raise DataError(path, problem, line=lines.of(("version",)), field="version")


def _fault(path: str, lines: _Lines, error: ValidationError) -> DataError:
    """The first complaint of pydantic with its line, and with the nearest key where one is unknown."""
    # An unknown key comes first: what else is wrong often follows from it (a misspelt "why" is a missing one).
    found = sorted(error.errors(), key=lambda one: one["type"] != "extra_forbidden")[0]
    place = found["loc"]
    field = next((str(part) for part in reversed(place) if isinstance(part, str)), "policy")
    if found["type"] == "extra_forbidden":
        known = _known(place)
        near = difflib.get_close_matches(field, known, n=1)
        problem = "no policy has this key here; " + (
            f"did you mean {near[0]!r}?" if near else f"known: {', '.join(known)}"
        )
    elif found["type"] == "missing":
        problem = "is missing"
    else:
        problem = f"{found['msg']}, got {found.get('input')!r}"
    return DataError(path, problem, line=lines.of(place), field=field)


def _known(place: Sequence[str | int]) -> list[str]:
    """Keys that a table of the policy may have."""
    tables: dict[str | int, type[BaseModel]] = {"rules": RuleEntry, "scorer": ScorerChoice, "degeneration": Guard}
    return list((tables[place[0]] if len(place) > 1 and place[0] in tables else Policy).model_fields)


def _guard_entry(guard: Guard, suite: str) -> RuleEntry:
    return RuleEntry(
        suite=suite, metric=DEGENERATION, why=guard.why, margin=guard.margin, at_most=guard.at_most, alpha=guard.alpha
    )


# -- what a rule may demand --


def _problem(entry: RuleEntry) -> tuple[str, str] | None:
    """The key at fault and what is wrong with a rule by itself; None where nothing is."""
    try:
        metric = registry.get(entry.metric)
    except UsageError as error:
        return "metric", str(error)
    if metric.informational:
        return "metric", f"{entry.metric} only helps to read other numbers; no rule may rest on it"
    if not entry.limit:
        given = [name for name in LIMITS if getattr(entry, name) is not None]
        return (given or ["metric"])[-1], (
            f"a rule has exactly one of {', '.join(LIMITS)}; this one has {' and '.join(given) or 'none'}"
        )
    if entry.scorer and not metric.any_scorer and entry.scorer != metric.scorer:
        reads = f"reads {metric.scorer}" if metric.scorer else "reads no scorer"
        return "scorer", f"{entry.metric} {reads}; leave the key out"
    values = entry.between or (getattr(entry, entry.limit),)
    if not all(math.isfinite(value) for value in values):
        return entry.limit, f"must be a finite number, got {values[0] if len(values) == 1 else list(values)!r}"
    check = {"margin": _margin_problem, "between": _band_problem}.get(entry.limit, _bound_problem)
    found = check(entry, metric)
    return (entry.limit, found) if found else None


def _range(metric: registry.Metric) -> tuple[float, float]:
    """Smallest and largest value of a share; a difference of shares, whose target is 0, may be negative."""
    if metric.unit != "share":
        return -math.inf, math.inf
    return (-1.0, 1.0) if metric.target == 0 else (0.0, 1.0)


def _margin_problem(entry: RuleEntry, metric: registry.Metric) -> str:
    """What makes a margin impossible."""
    assert entry.margin is not None
    low, high = _range(metric)
    most = high - low if metric.target is None else max(high - metric.target, metric.target - low)
    if entry.margin < 0:
        return f"a margin is at least 0, got {entry.margin:g}"
    if entry.margin >= most:
        return f"harm in {entry.metric} cannot exceed {most:g}, so this rule could never fail; 5 % are written 0.05"
    return ""


def _bound_problem(entry: RuleEntry, metric: registry.Metric) -> str:
    """What makes an absolute bound impossible."""
    right = {"lower": "at_most", "higher": "at_least", "target": "between"}[metric.direction]
    if entry.limit != right:
        better = f"closer to {metric.target:g}" if metric.direction == "target" else metric.direction
        return f"{better} is better for {entry.metric}: use {right}"
    bound = entry.at_most if entry.at_most is not None else entry.at_least
    assert bound is not None
    low, high = _range(metric)
    if not low < bound < high:
        return f"{entry.metric} is a share: a bound lies between 0 and 1, both excluded, got {bound:g}"
    return ""


def _band_problem(entry: RuleEntry, metric: registry.Metric) -> str:
    """What makes a band impossible."""
    assert entry.between is not None
    low, high = entry.between
    least, most = _range(metric)
    if low >= high:
        return f"a band goes from its lower to its upper end, got {low:g} to {high:g}"
    if metric.target is not None and not low < metric.target < high:
        return f"the band must hold {metric.target:g}, the neutral value of {entry.metric}, got {low:g} to {high:g}"
    if not least < low or not high < most:
        return f"a band on {entry.metric} lies inside {least:g} to {most:g}, both excluded, got {low:g} to {high:g}"
    return ""


def _check_together(path: str, policy: Policy, lines: _Lines) -> None:
    """Refuse rules that say two things of one number, or that no value can satisfy together."""
    seen: dict[tuple[str, ...], list[int]] = {}
    for at, entry in enumerate(policy.rules):
        key = (entry.suite, entry.metric, entry.scorer or policy.scorer.decides, entry.group)
        for before in seen.setdefault(key, []):
            other = policy.rules[before]
            where = lines.of(("rules", before))
            here = lines.of(("rules", at, entry.limit))
            if other.limit == entry.limit:
                problem = f"the rule at line {where} has {entry.limit} on the same numbers; keep one"
                raise DataError(path, problem, line=here, field=entry.limit)
            (low, high), (least, most) = _allowed(entry), _allowed(other)
            if max(low, least) >= min(high, most):
                problem = f"contradicts the rule at line {where}: no value of {entry.metric} satisfies both"
                raise DataError(path, problem, line=here, field=entry.limit)
        seen[key].append(at)


def _allowed(entry: RuleEntry) -> tuple[float, float]:
    """The values that a rule allows; all of them where it compares with a base."""
    if entry.between is not None:
        return entry.between
    low = -math.inf if entry.at_least is None else entry.at_least
    return low, math.inf if entry.at_most is None else entry.at_most


def _rules(policy: Policy, lines: _Lines) -> tuple[Rule, ...]:
    """The rules as the gate decides them, those of the degeneration guard last."""
    entries = [(entry, lines.of(("rules", at)) or 0) for at, entry in enumerate(policy.rules)]
    if policy.degeneration is not None:
        own = {entry.suite for entry in policy.rules if entry.metric == DEGENERATION and entry.group == "all"}
        scored = [entry.suite for entry in policy.rules if registry.get(entry.metric).reads]
        line = lines.of(("degeneration",)) or 0
        guarded = [suite for suite in dict.fromkeys(scored) if suite not in own]
        entries += [(_guard_entry(policy.degeneration, suite), line) for suite in guarded]
    return tuple(_rule(entry, policy, line) for entry, line in entries)


def _rule(entry: RuleEntry, policy: Policy, line: int) -> Rule:
    metric = registry.get(entry.metric)
    low, high = entry.between or (0.0, 0.0)
    values = (entry.margin, entry.at_most, entry.at_least, (high - low) / 2)
    return Rule(
        entry.suite, entry.metric, next(value for value in values if value is not None), entry.why,
        group=entry.group, alpha=entry.alpha,
        kind="non-inferiority" if entry.limit == "margin" else "absolute",
        # A metric that reads one scorer, or none, leaves nothing to choose.
        scorer=(entry.scorer or policy.scorer.decides) if metric.any_scorer else "",
        disagreement=policy.scorer.disagreement,
        middle=(low + high) / 2 if entry.between else None, line=line,
    )  # fmt: skip


# -- where a key stands --


class _Lines:
    """Lines of a TOML text's keys and table heads; tomllib does not keep them."""

    _HEAD = re.compile(r"\s*(\[\[?)\s*([^\[\]]+?)\s*\]\]?\s*(?:#.*)?$")
    _KEY = re.compile(r"\s*([\w\"'.-]+)\s*=")

    def __init__(self, text: str) -> None:
        self._found: dict[tuple[str | int, ...], int] = {}
        counts: dict[str, int] = {}
        table: tuple[str | int, ...] = ()
        inside = ""  # the quotes of a multi-line string, whose lines are no keys
        for number, line in enumerate(text.split("\n"), 1):
            head, key = self._HEAD.match(line), self._KEY.match(line)
            if not inside and head:
                table = (*self._parts(head[2]),)
                if head[1] == "[[":
                    table = (*table, counts.setdefault(head[2], 0))
                    counts[head[2]] += 1
                self._found.setdefault(table, number)
            elif not inside and key:
                self._found.setdefault((*table, *self._parts(key[1])), number)
            for quotes in re.findall(r'"""|' + "'''", line):
                inside = "" if inside == quotes else inside or quotes

    @staticmethod
    def _parts(name: str) -> list[str]:
        return [part.strip().strip("\"'") for part in name.split(".")]

    def of(self, place: Sequence[str | int]) -> int | None:
        """Line of a key, else of the table around it; None where neither is there."""
        for end in range(len(place), 0, -1):
            if tuple(place[:end]) in self._found:
                return self._found[tuple(place[:end])]
        return None
