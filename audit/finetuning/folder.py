"""The folder a training leaves behind, and the working folder that lets a killed training continue.

While it trains, everything lies in ``.NAME.partial`` beside ``NAME``: ``recipe.json``, Trainer's checkpoints
and a lock. The finished adapter is written there too and moved into place whole, so that ``NAME`` is never
half an adapter. Needs no torch.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from audit.errors import FolderBusyError, FolderError, PlanMismatchError, UsageError

CARD = "slm_audit.json"
"""Name of the file that tells what an adapter was made of."""


@dataclass(frozen=True, slots=True)
class FinetuneResult:
    """What a training made."""

    folder: Path
    """What ``run --adapter`` takes: weights and configuration as peft saves them, and ``slm_audit.json``."""
    steps: int
    loss: float
    """Mean loss per learned token over the last tenth of the steps, in nats."""
    resumed_from: int
    """Step from which a killed training went on; 0 for a new one, ``steps`` where nothing was left to do."""

    def __str__(self) -> str:
        """Say in one line what was made and where it is."""
        size = (self.folder / "adapter_model.safetensors").stat().st_size
        return f"{self.folder}: {self.steps} steps, loss {self.loss:.3f}, {size / 1e6:.2f} MB"


def finished(out: Path, recipe: Mapping[str, Any]) -> FinetuneResult | None:
    """Return what lies in ``out`` if this very recipe made it.

    Raises:
        UsageError: ``out`` is something else than an empty folder or an adapter made here; it is left alone.
    """
    if not out.exists():
        return None
    if not out.is_dir() or (any(out.iterdir()) and not (out / CARD).is_file()):
        raise UsageError(f"{out} exists and was not made by finetune; give another output folder")
    card = _read_json(out / CARD)
    if card is None or differing({key: card.get(key) for key in recipe}, recipe):
        return None
    steps, loss = int(card["training"]["steps"]), float(card["training"]["loss"])
    return FinetuneResult(folder=out, steps=steps, loss=loss, resumed_from=steps)


@contextlib.contextmanager
def workspace(out: Path, recipe: Mapping[str, Any], *, resume: bool) -> Iterator[Path]:
    """Hold the working folder of ``out``, new or as a killed training left it.

    Raises:
        FolderBusyError: another process trains into it.
        PlanMismatchError: another recipe began there; names the fields that differ.
        FolderError: it cannot be written.
    """
    work = out.parent / f".{out.name}.partial"
    try:
        work.mkdir(parents=True, exist_ok=True)
        lock = (work / "lock").open("w")
    except OSError as error:
        raise FolderError(f"cannot write to {work} ({error.strerror}); choose another output folder") from error
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise FolderBusyError(
                f"another process is training into {out}; wait for it or choose another folder"
            ) from error
        begun = _read_json(work / "recipe.json")
        if not resume or begun is None:
            _clear(work)
            (work / "recipe.json").write_text(_dump(recipe), encoding="utf-8")
        elif begun != recipe:
            raise PlanMismatchError(
                f"{work} holds an unfinished training by another recipe ({differing(begun, recipe)}); "
                "continue it as it began, start over with resume=False, or choose another output folder"
            )
        yield work


def last_checkpoint(work: Path) -> Path | None:
    """Find the newest whole checkpoint: without ``trainer_state.json``, which comes last, it is torn."""
    found = sorted(work.glob("checkpoint-*"), key=lambda p: int(p.name.rpartition("-")[2]), reverse=True)
    return next((p for p in found if _read_json(p / "trainer_state.json") is not None), None)


def publish(work: Path, made: Path, out: Path) -> None:
    """Move the finished ``made`` to ``out``, in place of an older adapter, and drop the working folder."""
    try:
        old = work / "replaced"
        if out.exists():
            out.rename(old)
        made.rename(out)
        shutil.rmtree(work)
    except OSError as error:
        raise FolderError(f"cannot put the finished adapter at {out} ({error.strerror}); it lies in {work}") from error


def write_json(path: Path, value: Mapping[str, Any]) -> None:
    """Write JSON with sorted keys, so that equal trainings leave equal bytes."""
    path.write_text(_dump(value), encoding="utf-8")


def differing(was: Mapping[str, Any], now: Mapping[str, Any], prefix: str = "") -> str:
    """Name the fields in which two recipes differ, with both values."""
    parts = []
    for key in sorted({*was, *now}):
        a, b = was.get(key), now.get(key)
        if isinstance(a, dict) and isinstance(b, dict):
            parts.append(differing(a, b, f"{prefix}{key}."))
        elif a != b:
            parts.append(f"{prefix}{key}: {a} there, {b} now")
    return "; ".join(part for part in parts if part)


def _dump(value: Mapping[str, Any]) -> str:
    return json.dumps(value, indent=2, sort_keys=True, ensure_ascii=False) + "\n"


def _read_json(path: Path) -> dict[str, Any] | None:
    """The object in a file; None where there is no file or a kill left half of it."""
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, UnicodeDecodeError, json.JSONDecodeError):
        return None
    return value if isinstance(value, dict) else None


def _clear(work: Path) -> None:
    for entry in work.iterdir():
        if entry.is_dir():
            shutil.rmtree(entry)
        elif entry.name != "lock":
            entry.unlink()
