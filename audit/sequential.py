"""A folder of rounds: a run that was sampled part by part, and how its rules are read.

``sequential.json`` and ``items.jsonl`` hold the plan and the whole selection that the rounds draw from, written before
anything is generated; ``round-01``, ``round-02`` ... are run folders, each of the next part of every suite's clusters
in an order keyed by the seed (:func:`audit.chosen.drawing_order`). A suite whose rules are all settled is left out of
the rounds that follow. Rules are read by confidence sequences (:mod:`audit.metrics.sequential`) and never by an
interval of a fixed n.
"""

from __future__ import annotations

import copy
import glob
from collections.abc import Iterator, Sequence
from dataclasses import replace
from fnmatch import fnmatchcase
from functools import cached_property
from pathlib import Path
from typing import Any

from audit import store
from audit.chosen import drawing_order, drawn_by
from audit.errors import AuditError, CorruptFolderError, FolderError
from audit.gate import Case
from audit.metrics import registry
from audit.metrics.answers import Answered
from audit.metrics.harm import Harm
from audit.metrics.sequential import Order, absolute_sequence, paired_sequence, unfit, unfit_units
from audit.metrics.units import Units
from audit.plan import changes, digest, recorded_digest
from audit.policy import Rule
from audit.provenance import seal, sha256_bytes
from audit.results import Run, owed, read_items
from audit.schema import SCHEMA_VERSION
from audit.verification import verify
from probes.suite import Item

DESIGN = "sequential.json"
"""The file that makes a folder one of rounds."""
_KEYS = ("schema_version", "plan", "rounds", "suites", "items_sha256")
# What one model is, over all rounds: weights, tokenizer, and how it computes.
_MODEL = ("fingerprint", "adapter_files", "tokenizer_sha256", "chat_template_sha256", "dtype", "device")
# What a suite asks of the model besides its items.
_SUITE = ("version", "samples", "decoding", "begin")
_WORDS = ("in the first round", "here")


def is_rounds(path: str | Path) -> bool:
    """Whether a folder is one of rounds."""
    return (Path(path) / DESIGN).is_file()


class Rounds:
    """A folder of rounds, read lazily.

    Args:
        path: the folder.
        last: leave out the rounds after this one; None reads all.

    Raises:
        FolderError: it holds no rounds.
        CorruptFolderError: a file cannot be read, or is of a newer schema.
    """

    def __init__(self, path: str | Path, *, last: int | None = None) -> None:
        self.folder = store.Folder(path)
        self.design: dict[str, Any] = self.folder.read_json(DESIGN)
        lacking = [key for key in _KEYS if not isinstance(self.design, dict) or key not in self.design]
        if lacking:
            raise CorruptFolderError(f"{path}: {DESIGN} has no {', '.join(lacking)}; the file was altered")
        version = self.design["schema_version"]
        if version != SCHEMA_VERSION:
            problem = f"{DESIGN} has schema version {version!r}, this slm-audit reads {SCHEMA_VERSION}"
            raise CorruptFolderError(f"{path}: {problem}; use the version that made it")
        self.of = int(self.design["rounds"])
        """How many rounds there are at most."""
        numbers = range(1, (self.of if last is None else min(last, self.of)) + 1)
        names = {number: self.folder.path / round_name(number) for number in numbers}
        self.runs: dict[int, Run] = {n: Run(folder) for n, folder in names.items() if (folder / store.RUN).is_file()}
        """The rounds that were begun, by number."""

    # -- what was planned --

    @cached_property
    def items(self) -> dict[str, list[Item]]:
        """The whole selection by suite, in the order of the file."""
        found: dict[str, list[Item]] = {suite["name"]: [] for suite in self.design["suites"]}
        for suite, item in read_items(self.folder).values():
            found.setdefault(suite, []).append(item)
        return found

    @cached_property
    def places(self) -> dict[str, dict[str, int]]:
        """Per suite, each template's number in the order of sampling."""
        seed = int(self.design["plan"]["seed"])
        return {suite: drawing_order(items, suite, seed) for suite, items in self.items.items()}

    def clusters(self, suite: str) -> int:
        """How many clusters the whole of a suite has."""
        return len(set(self.places[suite].values()))

    def drawn(self, suite: str, number: int) -> range:
        """Numbers of the clusters of a suite that belong to a round; perhaps none."""
        count = self.clusters(suite)
        return range(drawn_by(count, number - 1, self.of), drawn_by(count, number, self.of))

    def blank(self, suite: str, metric: str) -> Units:
        """The units of the whole suite before anything was answered: their clusters and groups."""
        if (suite, metric) not in self._blank:
            one = registry.get(metric)
            self._blank[suite, metric] = one.units([Answered(item) for item in self.items[suite]])
        return self._blank[suite, metric]

    @cached_property
    def _blank(self) -> dict[tuple[str, str], Units]:
        return {}

    # -- what was sampled --

    def sampled(self, suite: str) -> list[int]:
        """Rounds in which a suite was put to the model, in order."""
        return [number for number, run in self.runs.items() if suite in run.suites]

    @cached_property
    def run(self) -> Run:
        """All rounds as one run, for those that read runs; its plan and suites are those of the whole selection.

        Raises:
            FolderError: no round was begun.
        """
        runs = list(self.runs.values())
        if not runs:
            raise FolderError(f"{self.folder.path}: no round was begun; run its command again")
        view = copy.copy(runs[0])
        begun = [suite for suite in self.design["suites"] if any(suite["name"] in run.suites for run in runs)]
        status = next((run.status for run in runs if run.status != "complete"), "complete")
        keys = ("items", "samples", "likelihoods", "missing")
        counts = {key: sum(run.record["counts"].get(key, 0) for run in runs) for key in keys}
        view.folder = self.folder
        view.record = runs[0].record | {
            "plan": self.design["plan"], "suites": begun, "status": status, "counts": counts, "files": {},
        }  # fmt: skip
        answers = {
            suite["name"]: [one for run in runs for one in run.answers.get(suite["name"], ())] for suite in begun
        }
        view.__dict__["answers"] = answers
        return view

    def beside(self, base: Run) -> Run:
        """A base's run, cut down to the items of these rounds."""
        view = copy.copy(base)
        seen = {one.item.id for part in self.run.answers.values() for one in part}
        view.__dict__["answers"] = {
            suite: [one for one in part if one.item.id in seen] for suite, part in base.answers.items()
        }
        return view

    @property
    def saving(self) -> tuple[int, int]:
        """Answers and likelihoods that were asked for, and those that the whole selection would take."""
        samples = {suite["name"]: int(suite["samples"]) for suite in self.design["suites"]}
        whole = sum(len(item.choices) or samples[suite] for suite, items in self.items.items() for item in items)
        return sum(owed(self.run, one.item, suite) for suite, part in self.run.answers.items() for one in part), whole

    def told(self) -> str:
        """What was saved, in a sentence."""
        drawn, whole = self.saving
        saved = f"{whole - drawn:,} ({(whole - drawn) / max(whole, 1):.0%}) were saved"
        return f"Sampled in rounds: {len(self.runs)} of {self.of}; {drawn:,} of {whole:,} answers were drawn, {saved}."

    # -- what must hold --

    def problems(self) -> list[str]:
        """What keeps these rounds from being what was planned; see :func:`audit.verification.verify`."""
        found = []
        for check in (self._design_problems, self._round_problems):
            try:
                found += check()
            except AuditError as error:
                found.append(str(error))
            except (KeyError, TypeError, ValueError, AttributeError) as error:
                found.append(f"{DESIGN} cannot be read: {type(error).__name__}: {error}")
        return found

    def _design_problems(self) -> list[str]:
        """The whole selection is the one that was written down first."""
        rows = self.folder.read_lines(store.ITEMS)
        if self.design.get(store.SEAL) != seal(self.design):
            return [f"{DESIGN}: was altered by hand since it was written: it does not fit its seal"]
        if sha256_bytes(self.folder.file(store.ITEMS).read_bytes()) != self.design["items_sha256"]:
            return [f"{store.ITEMS}: does not have the sha256 that {DESIGN} records"]
        found = []
        for suite in self.design["suites"]:
            name = suite["name"]
            hashes = [row["sha256"] for row in rows if row["suite"] == name]
            contents = [digest({key: value for key, value in row.items() if key != "sha256"}) for row in rows
                        if row["suite"] == name]  # fmt: skip
            if hashes != contents or recorded_digest(suite, hashes, self.design["plan"]) != suite["digest"]:
                found.append(f"{store.ITEMS}: the items of {name} are not those that {DESIGN} records")
        return found

    def _round_problems(self) -> list[str]:
        found = []
        for number, run in self.runs.items():
            problems = verify(run.path) or list(self._differs(number, run))
            found += [f"{round_name(number)}: {problem}" for problem in problems]
        for suite in self.items:
            due = [number for number in range(1, max(self.runs, default=0) + 1) if len(self.drawn(suite, number))]
            if (taken := self.sampled(suite)) != due[: len(taken)]:
                said = ", ".join(map(str, taken))
                found.append(f"{suite} was put to the model in the rounds {said}, not from the first on without a gap")
        return found

    def _differs(self, number: int, run: Run) -> Iterator[str]:
        """Where a round is not the planned part of the whole."""
        expected = {**self.design["plan"], "part": [number, self.of], "suites": run.record["plan"]["suites"]}
        yield from changes(expected, run.record["plan"], expected, ("planned", "here"))
        first = next(iter(self.runs.values()))
        yield from changes(first.record["model"], run.record["model"], _MODEL, _WORDS)
        yield from changes({"scorers": _judges(first)}, {"scorers": _judges(run)}, ["scorers"], _WORDS)
        suites = {suite["name"]: suite for suite in self.design["suites"]}
        for name, suite in run.suites.items():
            yield from changes(suites.get(name, {}), suite, _SUITE, ("planned", "here"))
        there = {item: suite for item, (suite, _) in read_items(run.folder).items()}
        mine = {
            item.id: suite
            for suite in run.suites
            for item in self.items.get(suite, ())
            if self.places[suite][item.template] in self.drawn(suite, number)
        }
        if there != mine:
            yield f"its {len(there)} items are not the {len(mine)} of this part"
        kept = {row["id"]: row["sha256"] for row in self.folder.read_lines(store.ITEMS)}
        if any(kept.get(row["id"]) != row["sha256"] for row in run.folder.read_lines(store.ITEMS)):
            yield f"an item is not the one that {store.ITEMS} holds"

    # -- rules --

    def expanded(self, rules: Sequence[Rule]) -> list[Rule]:
        """Rules with a pattern over groups as one for each group of the whole suite, also of those not seen yet."""
        return [one for rule in rules for one in self._expand(rule)]

    def _expand(self, rule: Rule) -> list[Rule]:
        if rule.group == "all" or rule.suite not in self.items:
            return [rule]
        facet, _, pattern = rule.group.rpartition("=")
        members = self.blank(rule.suite, rule.metric).members(facet or "group")
        prefix = f"{facet}=" if facet else ""
        names = [name for name in members if fnmatchcase(name, pattern)]
        return [replace(rule, group=prefix + glob.escape(name)) for name in names] or [rule]

    def order(self, suite: str, metric: str, group: str) -> Order:
        """The clusters of one number in the order of sampling."""
        units, places = self.blank(suite, metric), self.places[suite]
        if group != "all":
            facet, _, name = group.rpartition("=")
            units = units.where(facet or "group", name)
        counts: dict[int, int] = {}
        for cluster in units.clusters:
            counts[places[cluster]] = counts.get(places[cluster], 0) + 1
        looks = tuple(self.drawn(suite, number).stop for number in self.sampled(suite))
        return Order(places, looks, max(counts.values(), default=1))


class Sequential:
    """Reads rules by confidence sequences over the rounds; see :class:`audit.gate.Reading`.

    Args:
        rounds: that were sampled.
    """

    def __init__(self, rounds: Rounds) -> None:
        self._rounds = rounds
        self._known: dict[tuple[object, ...], tuple[Harm, Harm]] = {}

    def problem(self, case: Case) -> str:
        """Why no sequence can decide a case; names the metric."""
        assert case.variant is not None
        why = unfit(case.variant.statistic) or unfit_units(case.base, case.variant)
        return f"{case.rule.metric} cannot be judged in rounds: {why}" if why else ""

    def harms(self, case: Case, alpha_fail: float) -> tuple[Harm, Harm]:
        """Harm with ends that hold at every round at once."""
        rule = case.rule
        key = (rule.suite, rule.metric, case.scorer, case.group, rule.kind, case.aim, rule.alpha, alpha_fail)
        if key not in self._known:
            assert case.variant is not None
            order = self._rounds.order(rule.suite, rule.metric, case.group)
            direction, target = case.aim
            levels = {"alpha_pass": rule.alpha, "alpha_fail": alpha_fail}
            if case.base is None:
                self._known[key] = absolute_sequence(case.variant, order, direction, target, **levels)
            else:
                self._known[key] = paired_sequence(case.base, case.variant, order, direction, target, **levels)
        return self._known[key]

    def finest(self, case: Case, n: int) -> float:
        """0: a sequence bets on the range itself, so it knows what may not have been seen yet."""
        return 0.0

    def settle(self, case: Case, left: int) -> tuple[int | None, str]:
        """How much of the suite was sampled; no second look by another test follows the last round."""
        del left
        suite = case.rule.suite
        looks, whole = self._rounds.order(suite, case.rule.metric, "all").looks, self._rounds.clusters(suite)
        used = looks[-1] if looks else 0
        return None, f"all {whole} clusters are used" if used == whole else f"{used} of {whole} clusters are sampled"


def round_name(number: int) -> str:
    """Folder of a round."""
    return f"round-{number:02d}"


def _judges(run: Run) -> list[tuple[str, str]]:
    return [(one["name"], one["revision"]) for one in run.record["scorers"]]


__all__ = ["DESIGN", "Rounds", "Sequential", "is_rounds", "round_name"]
