"""The ledger of a gate: how often this checkpoint was judged before.

A line of JSON for every verdict on a run under a policy. The same run judged again by the same policy, against the same
base, is no further attempt; another run of the checkpoint is, and so are another policy, another base and new scores.
The file is as honest as who keeps it: whoever deletes it, or judges with `compare` alone, starts from nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import get_args

from audit import provenance
from audit.errors import CorruptFolderError
from audit.schema import Verdict
from audit.store import Folder

_KEYS = ("checkpoint", "run", "policy", "verdict")


@dataclass(frozen=True, slots=True)
class Attempt:
    """A verdict on a run."""

    checkpoint: str
    """Digest of the weights' and the adapter's files."""
    run: str
    """The run: its digest and the times it began and was scored anew, and those of the base it was judged against."""
    policy: str
    """sha256 of the policy."""
    verdict: Verdict


def ledger_of(policy: str | Path) -> Path:
    """The ledger beside a policy file: ``gate.toml`` has ``gate.attempts.jsonl``."""
    return Path(policy).with_suffix(".attempts.jsonl")


def record(ledger: Path, attempt: Attempt) -> list[Verdict]:
    """Enter an attempt, unless it stands there with this verdict.

    Args:
        ledger: a JSON Lines file; it need not exist.
        attempt: the one made now.

    Returns:
        The last verdict of each earlier attempt on the same checkpoint, in the order in which they were begun.

    Raises:
        FolderError: the ledger cannot be read or written.
        CorruptFolderError: a line of it is not an attempt.
    """
    folder = Folder(ledger.parent)
    if not ledger.exists():
        folder.write_text(ledger.name, "")
    found = []
    for number, row in enumerate(folder.read_lines(ledger.name), 1):
        if not all(isinstance(row.get(key), str) for key in _KEYS) or row["verdict"] not in get_args(Verdict):
            raise CorruptFolderError(f"{ledger}, line {number}: not an attempt; the file was altered")
        found.append(Attempt(**{key: row[key] for key in _KEYS}))
    if attempt not in found:
        values = {key: getattr(attempt, key) for key in _KEYS}
        folder.append(ledger.name, [{"time": provenance.now(), **values}])
    mine = [one for one in found if one.checkpoint == attempt.checkpoint]
    last = {
        (one.run, one.policy): one.verdict for one in mine if (one.run, one.policy) != (attempt.run, attempt.policy)
    }
    return list(last.values())
