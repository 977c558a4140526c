"""The appendix for auditors: what was hashed, where it ran, how to recompute it, and whose questions it answers.

Records are shown whatever they hold: a field that a record lacks is left out, never guessed.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from audit.schema import Comparison
from reports.charts import Series
from reports.origin import fact

ELSEWHERE = ("files", "packages", "machine", "model \u203a files", "model \u203a adapter_files")
"""Fields of a run's record that stand in the appendix, as the table of recorded fields begins their names."""
HASHES = ("digest", "sha256", "fingerprint", "seal")
"""How the names of hashes end, which stand there too."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A value that some of the runs recorded."""

    name: str
    what: str
    """What the value is: of a digest what was hashed."""
    value: str
    runs: str
    """Names of the runs that recorded it; "every run" where all did."""


@dataclass(frozen=True, slots=True)
class Recipe:
    """How a kind of number comes about again."""

    numbers: str
    how: str
    command: str


@dataclass(frozen=True, slots=True)
class Demand:
    """Something that a framework or a law asks for, and where this page answers it."""

    asked: str
    places: tuple[tuple[str, str], ...]
    """(section of the page, what it holds)."""
    lacking: str
    """What the page does not answer."""


@dataclass(frozen=True, slots=True)
class Source:
    """A framework or a law with what it demands."""

    id: str
    name: str
    demands: tuple[Demand, ...]


@dataclass(frozen=True, slots=True)
class Appendix:
    """What the appendix shows."""

    digests: tuple[Entry, ...]
    files: tuple[Entry, ...]
    environment: tuple[Entry, ...]
    recipes: tuple[Recipe, ...]
    sources: tuple[Source, ...]
    begins: tuple[str, ...]
    """How the names of recorded fields begin that stand here and need not stand twice."""
    ends: tuple[str, ...]
    """How they end."""


def appendix(comparison: Comparison, series: Sequence[Series]) -> Appendix:
    """Gather the appendix of a page.

    Args:
        comparison: a comparison, or a single run.
        series: its runs, the base first.
    """
    records = [(one.name, one.run.record) for one in series]
    return Appendix(
        digests=_spread(records, _digests),
        files=_spread(records, _files),
        environment=_spread(records, _environment),
        recipes=tuple(_recipes(comparison, [one.run.folder for one in series])),
        sources=_sources(bool(comparison.variants), bool(comparison.variants or comparison.gate)),
        begins=tuple(f"{name} \u203a" for name in ELSEWHERE),
        ends=HASHES,
    )


def reasons(comparison: Comparison) -> tuple[tuple[str, str], ...]:
    """What a policy limits and why, in its order; rules that one entry stands for, a test a group, are one line.

    Args:
        comparison: a comparison, or a single run.

    Returns:
        Pairs of a rule in words and its reason; none where no policy file was given.
    """
    if comparison.policy is None:
        return ()
    gates = [variant.gate for variant in comparison.variants] or [comparison.gate]
    found: dict[tuple[str, str, str], dict[str, str]] = {}
    for gate, use in zip(gates, comparison.policy.uses, strict=True):
        for rule, why in zip(gate.rules if gate else (), use.whys, strict=True):
            found.setdefault((rule.suite, rule.metric, why), {}).setdefault(rule.group, rule.label)
    return tuple((_limited(suite, labels), why) for (suite, _, why), labels in found.items())


def _limited(suite: str, labels: Mapping[str, str]) -> str:
    """The words of a rule, or of several that only differ in their group."""
    group, label = next(iter(labels.items()))
    if len(labels) == 1:
        return label
    facets = {name.partition("=")[0] if "=" in name else "group" for name in labels}
    names = ", ".join(name.partition("=")[2] or name for name in labels) if len(facets) == 1 else ", ".join(labels)
    return label.replace(f"{suite}, {group}", f"{suite}, each {' and '.join(sorted(facets))} ({names})", 1)


# -- what the runs recorded --

_Record = Mapping[str, Any]


def _spread(
    records: Sequence[tuple[str, _Record]], read: Callable[[_Record], Iterator[tuple[str, str, str]]]
) -> tuple[Entry, ...]:
    """Entries of all runs: each value once, with the runs that recorded it, one field's values one below the other."""
    found: dict[tuple[str, str], dict[str, list[str]]] = {}
    for run, record in records:
        for name, what, value in read(record):
            runs = found.setdefault((name, what), {}).setdefault(value, [])
            if run not in runs:
                runs.append(run)
    return tuple(
        Entry(name, what, value, "every run" if len(runs) == len(records) else ", ".join(runs))
        for (name, what), values in found.items()
        for value, runs in values.items()
    )


def _mapping(value: object) -> _Record:
    return value if isinstance(value, Mapping) else {}


def _named(value: object) -> Iterator[tuple[str, _Record]]:
    """Records of a list that have a name."""
    for one in value if isinstance(value, list | tuple) else ():
        if isinstance(one, Mapping) and one.get("name"):
            yield str(one["name"]), one


def _digests(record: _Record) -> Iterator[tuple[str, str, str]]:
    suite_digests = (
        ("digest", "items, decoding, prompt format and seed"), ("items_sha256", "the items that were put"),
        ("data_sha256", "the suite's whole data file"),
    )  # fmt: skip
    for name, suite in _named(record.get("suites")):
        title = f"suite {name}" + (f", version {suite['version']}" if suite.get("version") else "")
        yield from ((title, what, str(suite[key])) for key, what in suite_digests if suite.get(key))
    for name, scorer in _named(record.get("scorers")):
        if scorer.get("revision"):
            yield f"scorer {name}", "revision", str(scorer["revision"])
    model = _mapping(record.get("model"))
    hashes = (
        ("fingerprint", "the weights"), ("tokenizer_sha256", "the tokenizer"), ("chat_template_sha256", "the template"),
    )  # fmt: skip
    yield from (("model", what, str(model[key])) for key, what in hashes if model.get(key))
    whole = (
        ("plan_digest", "what was asked of the run"), ("run_digest", "all of that with the model"),
        ("seal", "run.json without this field"),
    )  # fmt: skip
    yield from (("run", what, str(record[key])) for key, what in whole if record.get(key))
    policy = _mapping(record.get("plan")).get("policy_sha256")
    if policy:
        yield "run", "the policy recorded before anything was generated", str(policy)


def _files(record: _Record) -> Iterator[tuple[str, str, str]]:
    model = _mapping(record.get("model"))
    held = ((model.get("files"), "model"), (model.get("adapter_files"), "adapter"), (record.get("files"), "run folder"))
    for files, what in held:
        yield from ((str(name), what, str(value)) for name, value in _mapping(files).items())


def _environment(record: _Record) -> Iterator[tuple[str, str, str]]:
    model, machine = _mapping(record.get("model")), _mapping(record.get("machine"))
    if record.get("tool_version"):
        yield "slm-audit", "", str(record["tool_version"])
    git = _mapping(record.get("git"))
    if git.get("commit"):
        yield "source", "", f"commit {git['commit']}" + (", with uncommitted changes" if git.get("dirty") else "")
    if machine:
        yield "machine", "", fact(machine)
    fields = ("device", "dtype", "threads", "batch_rows", "architecture", "parameters", "context_length")
    for name in fields:
        if model.get(name) is not None:
            yield name.replace("_", " "), "", fact(model[name])
    for name, version in _mapping(record.get("packages")).items():
        yield str(name), "", str(version)


# -- how to recompute --


def _recipes(comparison: Comparison, folders: Sequence[str]) -> Iterator[Recipe]:
    """Every kind of number on the page with the command that gives it again."""
    every = [folder for folder in folders if folder]

    def line(*words: str) -> str:
        return shlex.join(["slm-audit", *words])

    for folder in every[:1]:
        yield Recipe(
            "Values, intervals and counts of each run",
            "Recomputed from the kept answers and held against summary.json, number by number; hashes are checked too. "
            "The same for each run.",
            line("verify", folder),
        )
        yield Recipe(
            "Scores of the answers",
            "Given again by the same scorers to the kept answers; no model is needed.",
            line("rescore", folder),
        )
    if comparison.variants:
        policy = ["--policy", comparison.policy.name] if comparison.policy else []
        yield Recipe(
            "Changes, their intervals, the verdicts and this page",
            "From the run folders; the same folders give the same numbers.",
            line("compare", *every, *policy, "--out", "report.html"),
        )
    elif comparison.policy and every:
        yield Recipe(
            "The verdict and this page",
            "From the run folder and the policy.",
            line("gate", every[0], "--policy", comparison.policy.name, "--report", "report.html"),
        )
    yield Recipe(
        "Answers and likelihoods",
        "By the commands under “How to reproduce”, on new folders. Random numbers are fixed by seed, item and "
        "position: what differs comes from the rounding of device and batch size.",
        "",
    )
    yield Recipe(
        "SHA-256 of the comparison, below the signatures",
        "Of the comparison as JSON with sorted keys, without spaces, everything beyond ASCII escaped; here from the "
        "file that compare --out FILE.json or the demo wrote together with the page, without its field seal, which "
        "holds the same.",
        "python3 -c \"import hashlib, json; kept = json.load(open('comparison.json')); kept.pop('seal', None); "
        "print(hashlib.sha256(json.dumps(kept, sort_keys=True, separators=(',', ':')).encode()).hexdigest())\"",
    )


# -- whose questions the page answers --


def _sources(compared: bool, judged: bool) -> tuple[Source, ...]:
    """The demands of two texts, with the sections that answer them. Wordings are shortened, not quoted."""
    gate = (("gate", "rules, margins and reasons"),) if judged else ()
    return (
        Source(
            "nist",
            "NIST AI Risk Management Framework 1.0 (NIST AI 100-1), MEASURE 2.11",
            (
                Demand(
                    "Fairness and bias, as identified in the MAP function, are evaluated",
                    (("suites", "of each suite the question, groups and numbers"), ("changes", "what changed"), *gate),
                    "The MAP function itself: which harms matter for this use, and to whom. Whoever releases the model "
                    "states that; the suites only cover what they name.",
                ),
                Demand(
                    "The results are documented",
                    (
                        ("verdict", "the verdict and its cautions"),
                        ("method", "how intervals were made"),
                        ("appendix", "digests and how to recompute"),
                    ),
                    "What was decided afterwards, and monitoring after release (MEASURE 3, MANAGE).",
                ),
            ),
        ),
        Source(
            "ai-act",
            "Regulation (EU) 2024/1689 (AI Act), Annex IV, point 2(g): technical documentation of high-risk systems",
            (
                Demand(
                    "Validation and testing procedures used",
                    (("method", "design and intervals"), *gate, ("provenance", "commands and settings")),
                    "Testing of the system around the model, and in its place of use.",
                ),
                Demand(
                    "Testing data and their main characteristics",
                    (("suites", "items, groups, origin and limits"), ("appendix", "digests of the data")),
                    "Training and validation data of the model: point 2(d).",
                ),
                Demand(
                    "Metrics of accuracy, robustness and compliance with the other requirements",
                    (("suites", "accuracy on questions, language quality, degeneration"),),
                    "Accuracy in the intended use; robustness against attack, and cybersecurity (point 2(h)): not "
                    "measured.",
                ),
                Demand(
                    "Metrics of potentially discriminatory impacts",
                    (
                        ("suites", "numbers by group"),
                        ("changes", "base against variants"),
                        ("scorers", "errors of the scorers"),
                    ),
                    "Impacts on people. The numbers are properties of texts and likelihoods, for the groups and the "
                    "language that are named.",
                ),
                Demand(
                    "Test logs, and test reports dated and signed by the responsible persons",
                    (("appendix", "hashes of the logs in the run folders"), ("signature", "dates and signatures")),
                    "The logs themselves: keep the run folders with the signed page.",
                ),
                Demand(
                    "Also with regard to pre-determined changes (point 2(f))",
                    (("changes", "a variant against its base"),) if compared else (),
                    "Which changes were pre-determined: stated elsewhere.",
                ),
            ),
        ),
    )


__all__ = ["Appendix", "Demand", "Entry", "Recipe", "Source", "appendix", "reasons"]
