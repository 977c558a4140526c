"""Where the numbers of a page come from: records of the runs, their notes, their commands, a digest over all."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from audit import comparison_file
from audit.schema import Comparison, RunInfo
from reports.charts import Series

_BELOW = " \u203a "


@dataclass(frozen=True, slots=True)
class Provenance:
    """Where the runs come from: what they share once, what differs for each."""

    shared: tuple[tuple[str, str], ...]
    own: tuple[tuple[Series, tuple[tuple[str, str], ...]], ...]


def digest(comparison: Comparison) -> str:
    """SHA-256 of a comparison: of its JSON with sorted keys, no spaces, and everything beyond ASCII escaped."""
    return comparison_file.digest(comparison)


def unique(names: Iterable[str]) -> tuple[str, ...]:
    """Distinct non-empty names in the order of their first appearance."""
    return tuple(name for name in dict.fromkeys(names) if name)


def texts(value: object) -> list[str]:
    """A list of names, whatever the record holds in its place."""
    if value is None:
        return []
    if isinstance(value, Iterable) and not isinstance(value, str | Mapping):
        return [str(one) for one in value]
    return [str(value)]


def fact(value: object) -> str:
    """A value of a record in words, on one line."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if value is None:
        return "none"
    if isinstance(value, Mapping):
        return ", ".join(f"{str(key).replace('_', ' ')} {fact(one)}" for key, one in value.items()) or "none"
    if isinstance(value, Iterable) and not isinstance(value, str):
        return ", ".join(fact(one) for one in value) or "none"
    # White space and nothing at all must be seen: as in a list of stop strings.
    return value if isinstance(value, str) and value == value.strip() != "" else json.dumps(value, default=str)


def cautions(comparison: Comparison) -> tuple[tuple[str, str], ...]:
    """Everything a reader must know beside the numbers: the page's, each run's and each variant's notes."""
    runs = [comparison.base, *(variant.run for variant in comparison.variants)]
    noted = [(run.name, note) for run in runs for note in texts(run.record.get("notes"))]
    # A note of one run that the comparison repeats is said once, with the run's name.
    found = [("", note) for note in comparison.notes if note not in {other for _, other in noted}]
    for note in dict.fromkeys(note for _, note in noted):
        names = [name for name, other in noted if other == note]
        found.append(("" if len(names) == len(runs) else ", ".join(dict.fromkeys(names)), note))
    found += [(variant.run.name, note) for variant in comparison.variants for note in variant.notes]
    said = {note for _, note in found}
    uses = comparison.policy.uses if comparison.policy else ()
    for note in dict.fromkeys(note for use in uses for note in use.notes if note not in said):
        found.append((", ".join(use.run for use in uses if note in use.notes), note))
    return tuple(dict.fromkeys(found))


def provenance(series: Sequence[Series]) -> Provenance:
    """Fields with the same value in every run once, all others run by run."""
    flat = [dict(_flatten(_identity_fields(one.run))) for one in series]
    shared = [(key, value) for key, value in flat[0].items() if all(other.get(key) == value for other in flat)]
    same = {key for key, _ in shared}
    if len(series) == 1:
        return Provenance((), ((series[0], tuple(flat[0].items())),))
    own = [
        (one, tuple((key, value) for key, value in fields.items() if key not in same))
        for one, fields in zip(series, flat, strict=True)
    ]
    return Provenance(tuple(shared), tuple(own))


def _identity_fields(run: RunInfo) -> dict[str, Any]:
    """The whole record of a run, led by what identifies it. The record's own word for a field wins."""
    record = {key: _identifying(value) for key, value in run.record.items() if key != "notes"}
    lead = {"folder": run.folder, "status": run.status}
    if not isinstance(record.get("model"), Mapping):
        lead |= {"model": run.model, "adapter": run.adapter or "none"}
    return {**{key: record.get(key, value) for key, value in lead.items()}, **record}


def _identifying(value: object) -> object:
    """A list of named records (suites, scorers) by name, without the prose that the page shows elsewhere."""
    if isinstance(value, list | tuple) and value and all(isinstance(one, Mapping) and "name" in one for one in value):
        prose = {"name", "title", "measures", "limits", "made", "card", "figures", "citation"}
        return {str(one["name"]): {key: part for key, part in one.items() if key not in prose} for one in value}
    return value


def _flatten(value: object, path: str = "") -> list[tuple[str, str]]:
    """A nested record as (path, text) lines; lists of plain values stay on one line."""
    if isinstance(value, Mapping) and value:
        lines = []
        for key, one in value.items():
            # File names and package names keep their underscores; only the record's own keys are words.
            lines += _flatten(one, f"{path}{_BELOW}{key}" if path else str(key).replace("_", " "))
        return lines
    if isinstance(value, list | tuple) and any(isinstance(one, Mapping | list | tuple) for one in value):
        return [line for i, one in enumerate(value, start=1) for line in _flatten(one, f"{path}{_BELOW}{i}")]
    if path == "argv" and isinstance(value, list | tuple):
        return [(path, shlex.join(str(one) for one in value))]
    return [(path or "value", fact(value))]


def commands(comparison: Comparison) -> tuple[str, ...]:
    """The commands that made the runs, as recorded, and the one that compares them."""
    runs = [comparison.base, *(variant.run for variant in comparison.variants)]
    recorded = [run.record.get("argv") for run in runs]
    lines = [
        # Where the command itself lay on that machine does not matter elsewhere.
        shlex.join([str(argv[0]).replace("\\", "/").rsplit("/", 1)[-1], *(str(word) for word in argv[1:])])
        for argv in recorded
        if isinstance(argv, list | tuple) and argv
    ]
    folders = [run.folder for run in runs if run.folder]
    policy = ["--policy", comparison.policy.name] if comparison.policy else []
    if len(folders) > 1:
        lines.append(shlex.join(["slm-audit", "compare", *folders, *policy, "--out", "report.html"]))
    lines += [shlex.join(["slm-audit", "verify", folder]) for folder in folders]
    return unique(lines)
