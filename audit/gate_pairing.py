"""Which numbers of two runs may be set against each other, and why the others may not."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from audit.gate import Key
from audit.metrics import registry
from audit.metrics.units import Units
from audit.plan import changes, suite_changes
from audit.results import Run
from audit.summary import suite_metrics, values_of

Table = dict[Key, Units]
_WORDS = ("in the base", "in the variant")
_TOKENS = ": the tokenizers differ"


@dataclass(frozen=True, slots=True)
class Pairing:
    """Two runs side by side."""

    base: Table
    """Units of the base in the suites that can be compared."""
    variant: Table
    """Units of the variant in all its suites."""
    shared: tuple[str, ...]
    """Suites whose digests are equal."""
    apart: Mapping[Key, str]
    """Why a number cannot be set against the other run's: a sentence without its full stop."""
    notes: tuple[str, ...]
    """A sentence on each suite, and on each number, that is not compared."""


def tables(run: Run, suites: Sequence[str]) -> Table:
    """Units of a run by (suite, metric, scorer), for the suites named."""
    return {
        (name, metric.name, metric.scorer): metric.units(run.answers.get(name, ()))
        for name in suites
        for metric in suite_metrics(run.suites[name], values_of(run.record["scorers"]))[0]
    }


def pair_runs(base: Run, tuned: Run) -> Pairing:
    """What of a base and a variant can be compared: suites of equal digests, by scorers of equal revisions.

    Args:
        base: a finished run.
        tuned: another, of the model that is judged.

    Returns:
        The units of both, and what keeps the rest apart.
    """
    differing = dict(_differing_suites(base, tuned))
    shared = tuple(name for name in base.suites if name in tuned.suites and name not in differing)
    before, after = tables(base, shared), tables(tuned, list(tuned.suites))
    unequal = dict(_unequal(base, tuned, before, {key: units for key, units in after.items() if key[0] in shared}))
    apart = {key: f"{key[0]} is not compared{differing[key[0]]}" for key in after if key[0] in differing}
    apart |= {key: f"{key[0]}/{key[1]} is not compared{why}" for key, why in unequal.items()}
    notes = [f"{name} is not compared{why}." for name, why in differing.items()]
    notes += [f"{apart[key]}." for key, why in unequal.items() if why != _TOKENS]
    if not _same_tokens(base, tuned):
        notes.append(
            "Base and variant have different tokenizers: perplexity is not compared (bits per byte is), and answers "
            "do not share random numbers step by step."
        )
    return Pairing(before, after, shared, apart, tuple(notes))


def _differing_suites(base: Run, tuned: Run) -> Iterator[tuple[str, str]]:
    """Suites that cannot be compared, each with the rest of a sentence on why."""
    plans = changes(base.record["plan"], tuned.record["plan"], ("seed", "prompt_format"), _WORDS)
    for name in dict.fromkeys([*base.suites, *tuned.suites]):
        if name not in tuned.suites or name not in base.suites:
            yield name, f": the {'variant' if name not in tuned.suites else 'base'} was not put to it"
        elif base.suites[name]["digest"] != tuned.suites[name]["digest"]:
            what = plans + suite_changes(base.suites[name], tuned.suites[name], _WORDS)
            yield name, f"; it differs in {', '.join(what) or 'its digest'}"


def _unequal(base: Run, tuned: Run, before: Table, after: Table) -> Iterator[tuple[Key, str]]:
    """Numbers that two runs do not measure alike, each with the rest of a sentence on why."""
    revisions = [{one["name"]: one["revision"] for one in run.record["scorers"]} for run in (base, tuned)]
    for key in dict.fromkeys([*before, *after]):
        mine, theirs = (found.get(key[2]) for found in revisions)
        if key not in before or key not in after:
            by = f" by {key[2]}" if key[2] else ""
            yield key, f": the {'variant' if key not in after else 'base'} has no such number{by}; rescore it"
        elif mine != theirs:
            differ = f"({mine} in the base, {theirs} in the variant)"
            yield key, f": scorer {key[2]} has another revision {differ}; rescore one run"
        elif not _same_tokens(base, tuned) and registry.get(key[1]).unit in ("perplexity", "nats/token"):
            yield key, _TOKENS


def _same_tokens(base: Run, tuned: Run) -> bool:
    return bool(base.record["model"]["tokenizer_sha256"] == tuned.record["model"]["tokenizer_sha256"])
