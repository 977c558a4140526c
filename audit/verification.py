"""``verify``: does a run folder still say what it said when it was made?"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from audit import provenance, store
from audit.errors import AuditError
from audit.journal import read_batches
from audit.plan import digest, recorded_digest, run_digest
from audit.results import Run, altered_files, owed, read_items, sample_id
from audit.summary import summarise


def verify(path: str | Path) -> list[str]:
    """Check a run folder.

    Every item once, no duplicate, counts agree, hashes match, ``run.json`` fits its seal and its digests what they are
    made of, and the summary recomputes to the same numbers.

    Args:
        path: the run folder.

    Returns:
        One sentence a problem; none means the folder is whole.

    Raises:
        FolderError: there is no run in it.
    """
    run = Run(path, altered=True)
    problems = _seal(run)
    if run.status not in ("complete", "incomplete"):
        problems.append(f"the run is not finished: its status is {run.status}")
    for check in (_items, _answers, _counts, _scores, _hashes, _digests, _summary):
        try:
            problems += check(run)
        except AuditError as error:
            problems.append(str(error))
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            problems.append(f"{check.__name__.strip('_')} cannot be read: {type(error).__name__}: {error}")
    # One damaged file spoils several checks; it is named once.
    return list(dict.fromkeys(problems))


def _seal(run: Run) -> list[str]:
    """``run.json`` is the one that was written."""
    if not run.sealed:
        return [f"{store.RUN}: not sealed, made by an older version or edited; nobody can tell whether it was altered"]
    return [] if run.fits_seal else [f"{store.RUN}: was altered by hand since it was written: it does not fit its seal"]


def _digests(run: Run) -> list[str]:
    """The digests of ``run.json`` are those of what it records and of the items, whatever its seal says."""
    record, model = run.record, run.record["model"]
    hashes: dict[str, list[str]] = {name: [] for name in run.suites}
    for row in run.folder.read_lines(store.ITEMS):
        hashes[row["suite"]].append(row["sha256"])
    found = {"plan_digest": (record["plan_digest"], digest(record["plan"]))}
    for name, suite in run.suites.items():
        found[f"digest of {name}"] = suite["digest"], recorded_digest(suite, hashes[name], record["plan"])
        found[f"items_sha256 of {name}"] = suite["items_sha256"], digest(hashes[name])
    found["model's fingerprint"] = model["fingerprint"], provenance.fingerprint(model["files"])
    if "rescored" not in record:  # the run digest is of the scorers that the run began with
        found["run_digest"] = record["run_digest"], run_digest(record)
    return [
        f"{store.RUN}: the {what} does not recompute from what it is made of"
        for what, (kept, fresh) in found.items()
        if kept != fresh
    ]


def _items(run: Run) -> list[str]:
    """Ids are unique and each item's content has its recorded hash."""
    problems = []
    counts: dict[str, int] = {}
    for row in run.folder.read_lines(store.ITEMS):
        content = {key: value for key, value in row.items() if key != "sha256"}
        if digest(content) != row["sha256"]:
            problems.append(f"item {row['id']}: its content does not have the recorded sha256")
        counts[row["suite"]] = counts.get(row["suite"], 0) + 1
    read_items(run.folder)  # raises on duplicates
    for name, suite in run.suites.items():
        if counts.get(name, 0) != suite["items"]:
            problems.append(f"{name}: {counts.get(name, 0)} items in items.jsonl, {suite['items']} in run.json")
    return problems


def _answers(run: Run) -> list[str]:
    """Every planned row is there once, and nothing else."""
    problems = []
    planned: dict[str, list[tuple[str, int]]] = {store.SAMPLES: [], store.LIKELIHOODS: []}
    for batch in read_batches(run.folder):
        planned[store.SAMPLES if batch.mode == "generate" else store.LIKELIHOODS] += batch.keys
    for name, number in ((store.SAMPLES, "k"), (store.LIKELIHOODS, "choice")):
        found = [(row["item"], row[number]) for row in run.folder.read_lines(name)]
        problems += _set_problems(name, found, planned[name])
    asked = {item.id: owed(run, item, suite) for suite, item in read_items(run.folder).values()}
    expected = [(item, at) for item, rows in asked.items() for at in range(rows)]
    both = planned[store.SAMPLES] + planned[store.LIKELIHOODS]
    problems += _set_problems(store.BATCHES, both, expected)
    return problems


def _counts(run: Run) -> list[str]:
    """The counts of ``run.json`` are those of the files."""
    rows = {name: run.folder.read_lines(f"{name}.jsonl") for name in ("items", "samples", "likelihoods")}
    found = {name: len(part) for name, part in rows.items()}
    owing = sum(owed(run, item, suite) for suite, item in read_items(run.folder).values())
    found["likelihoods"] = sum(row["logprob"] is not None for row in rows["likelihoods"])
    given = sum(row["text"] is not None for row in rows["samples"]) + found["likelihoods"]
    found["missing"] = owing - given
    recorded = run.record["counts"]
    return [
        f"{store.RUN}: counts {recorded.get(name)} {name}, the files hold {count}"
        for name, count in found.items()
        if recorded.get(name) != count
    ]


def _set_problems(name: str, found: list[Any], expected: list[Any]) -> list[str]:
    """What keeps ``found`` from holding exactly the keys of ``expected``, each once."""
    problems = []
    if len(set(found)) != len(found):
        twice = next(key for key in found if found.count(key) > 1)
        problems.append(f"{name}: {twice} occurs twice")
    lacking, extra = set(expected) - set(found), set(found) - set(expected)
    if lacking:
        problems.append(f"{name}: {len(lacking)} rows are missing, the first is {min(lacking)}")
    if extra:
        problems.append(f"{name}: {len(extra)} rows belong to no item, the first is {min(extra)}")
    return problems


def _scores(run: Run) -> list[str]:
    """Every answer was judged once by every scorer, with values or a reason."""
    names = [scorer["name"] for scorer in run.record["scorers"]]
    expected = [
        (sample_id(row["item"], row["k"]), name)
        for row in run.folder.read_lines(store.SAMPLES)
        if row["text"] is not None
        for name in names
    ]
    rows = run.folder.read_lines(store.SCORES)
    problems = _set_problems(store.SCORES, [(row["sample"], row["scorer"]) for row in rows], expected)
    revisions = {scorer["name"]: scorer["revision"] for scorer in run.record["scorers"]}
    for row in rows:
        if row["revision"] != revisions.get(row["scorer"]):
            problems.append(f"{store.SCORES}: {row['sample']} by {row['scorer']} has another revision than {store.RUN}")
        if (row["values"] is None) == (row["reason"] is None):
            problems.append(
                f"{store.SCORES}: {row['sample']} by {row['scorer']} must have values or a reason, not both"
            )
    return problems


def _hashes(run: Run) -> list[str]:
    """The files are those that the run wrote."""
    lacking = [name for name in (store.ITEMS, store.BATCHES, store.SUMMARY) if name not in run.record["files"]]
    problems = [f"{name}: {store.RUN} records no sha256 for it" for name in lacking]
    return problems + [f"{name}: does not have the recorded sha256" for name in altered_files(run.folder, run.record)]


def _summary(run: Run) -> list[str]:
    """The kept answers give the same summary."""
    if not run.summary:
        return ["there is no summary"]
    again = summarise(run.record["suites"], run.answers, run.record["scorers"], seed=run.seed)
    if len(again) != len(run.summary):
        return [f"{store.SUMMARY}: has {len(run.summary)} rows, recomputing gives {len(again)}"]
    problems = []
    for kept, fresh in zip(run.summary, again, strict=True):
        if kept != fresh:
            problems.append(f"{store.SUMMARY}: {kept.suite}/{kept.metric} for {kept.group} recomputes to another row")
    return problems
