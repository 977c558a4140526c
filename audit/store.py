"""The run folder: files that are only ever appended to or replaced whole, one writer at a time.

Journals (samples, likelihoods, scores) are JSON Lines; a batch is one write, flushed to disk before the next begins.
After a crash the tail of a journal may hold a torn line or part of a batch; :meth:`Folder.recover` cuts that off, and
it is done again. Damage anywhere else is not a crash's: it is refused, and nothing is cut.
"""

from __future__ import annotations

import errno
import fcntl
import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from audit import provenance
from audit.errors import CorruptFolderError, FolderBusyError, FolderError

RUN = "run.json"
ITEMS = "items.jsonl"
BATCHES = "batches.jsonl"
SAMPLES = "samples.jsonl"
LIKELIHOODS = "likelihoods.jsonl"
SCORES = "scores.jsonl"
SUMMARY = "summary.json"
REPORT = "report.html"
SEAL = "seal"
"""Key of ``run.json`` that holds the sha256 of all its other fields."""
_LOCK = ".lock"
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def dumps(value: Any) -> str:
    """One line of JSON, the same bytes for the same value; lone surrogates survive as escapes.

    Raises:
        ValueError: NaN or infinity, which JSON has no word for.
    """
    return json.dumps(value, ensure_ascii=True, allow_nan=False, separators=(",", ":"))


class Folder:
    """A run folder on disk.

    Args:
        path: the folder; it need not exist before something is written.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)

    def file(self, name: str) -> Path:
        """Path of one of the folder's files."""
        return self.path / name

    def exists(self) -> bool:
        """Whether a run was started here."""
        return self.file(RUN).is_file()

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Keep every other process from writing here; the lock goes with the process, however it ends.

        Raises:
            FolderBusyError: another process writes here.
            FolderError: the folder cannot be made or written.
        """
        with _explained(self.path, writing=True):
            self.path.mkdir(parents=True, exist_ok=True)
            handle = self.file(_LOCK).open("ab+", buffering=0)
        with handle:
            try:
                with _explained(self.file(_LOCK)):
                    fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except FolderError as error:
                if not isinstance(error.__cause__, BlockingIOError):
                    raise
                handle.seek(0)
                owner = handle.read().decode("ascii", "replace").strip() or "unknown"
                raise FolderBusyError(
                    f"{self.path}: process {owner} is writing to this folder; wait for it, or choose another --out"
                ) from None
            with _explained(self.file(_LOCK)):
                handle.truncate(0)
                handle.write(f"{os.getpid()}\n".encode())
            yield

    # -- files replaced whole --

    def write_text(self, name: str, text: str) -> None:
        """Replace a file: readers see the old or the new content, never half of it.

        Raises:
            FolderError: no space, no permission.
        """
        target = self.file(name)
        scratch = target.with_name(f".{name}.new")
        with _explained(target, writing=True):
            target.parent.mkdir(parents=True, exist_ok=True)
            try:
                with scratch.open("w", encoding="utf-8", newline="\n") as handle:
                    handle.write(text)
                    handle.flush()
                    os.fsync(handle.fileno())
                scratch.replace(target)
            finally:
                with suppress(OSError):  # the fault being told is the first one
                    scratch.unlink(missing_ok=True)

    def write_json(self, name: str, value: Any) -> None:
        """Replace a file by indented JSON."""
        self.write_text(name, json.dumps(value, ensure_ascii=True, allow_nan=False, indent=1) + "\n")

    def write_run(self, record: Mapping[str, Any]) -> None:
        """Replace ``run.json``, and seal it where the record has a place for a seal.

        The seal is a field of the same file, its last, so that a crash leaves the old record with the old seal or the
        new one with the new. A record that was read without a seal gets none: nobody knows what became of it before.
        """
        content = {key: value for key, value in record.items() if key != SEAL}
        if SEAL in record:
            content[SEAL] = provenance.seal(content)
        self.write_json(RUN, content)

    def write_lines(self, name: str, rows: Iterable[Mapping[str, Any]]) -> None:
        """Replace a JSON Lines file."""
        self.write_text(name, "".join(dumps(row) + "\n" for row in rows))

    def read_text(self, name: str) -> str:
        """Content of a file; what is not UTF-8 in it is replaced.

        Raises:
            FolderError: it is not there, or cannot be read.
        """
        path = self.file(name)
        with _explained(path):
            return path.read_text(encoding="utf-8", errors="replace")

    def read_json(self, name: str) -> Any:
        """Content of a JSON file.

        Raises:
            FolderError: it is not there.
            CorruptFolderError: it is not JSON.
        """
        path = self.file(name)
        try:
            return json.loads(self.read_text(name))
        except ValueError as error:
            raise CorruptFolderError(f"{path}: not valid JSON ({error}); the file was altered or cut") from None

    # -- journals --

    def append(self, name: str, rows: Iterable[Mapping[str, Any]]) -> None:
        """Append one batch to a journal and flush it to disk; if that fails the journal is as it was before.

        Raises:
            FolderError: no space, no permission; what was written before is kept.
        """
        path = self.file(name)
        data = "".join(dumps(row) + "\n" for row in rows).encode("ascii")
        with _explained(path), path.open("ab", buffering=0) as handle:
            start = handle.tell()
            try:
                view = memoryview(data)
                while view:
                    view = view[handle.write(view) :]
                os.fsync(handle.fileno())
            except OSError:
                # Where even cutting fails, the torn tail stays, and recover() cuts it: what is told is the first fault.
                with suppress(OSError):
                    handle.truncate(start)
                raise

    def read_lines(self, name: str) -> list[dict[str, Any]]:
        """Rows of a journal; none if the file is not there.

        Raises:
            CorruptFolderError: a line is not a JSON object; names the line.
        """
        path = self.file(name)
        if not path.is_file():
            return []
        with _explained(path):
            data = path.read_bytes()
        rows = []
        for number, line in enumerate(data.removesuffix(b"\n").split(b"\n") if data else [], 1):
            row = _parse(line)
            if row is None:
                raise CorruptFolderError(f"{path}, line {number}: not a JSON object; the file was altered or cut")
            rows.append(row)
        return rows

    def recover(
        self, name: str, whole: Callable[[list[dict[str, Any]]], tuple[int, int]]
    ) -> tuple[list[dict[str, Any]], str]:
        """Read a journal after an interruption and cut off what is not whole.

        Args:
            name: the journal.
            whole: given the readable rows from the start, how many of them belong to finished batches, and how many
                rows the batch after those has.

        Returns:
            The rows kept, and a sentence on what was cut off (empty where nothing was).

        Raises:
            CorruptFolderError: an unreadable line with more behind it than one unfinished batch; nothing is cut.
        """
        path = self.file(name)
        if not path.is_file():
            return [], ""
        with _explained(path):
            data = path.read_bytes()
        rows: list[dict[str, Any]] = []
        ends = [0]
        *lines, torn = data.split(b"\n")
        for line in lines:
            row = _parse(line)
            if row is None:
                break
            rows.append(row)
            ends.append(ends[-1] + len(line) + 1)
        kept, size = whole(rows)
        if ends[kept] == len(data):
            return rows, ""
        if len(rows) < len(lines) and len(lines) + bool(torn) - kept > size:
            # A batch is flushed before the next begins, so a crash cannot damage anything but the last one.
            raise CorruptFolderError(
                f"{path}, line {len(rows) + 1}: not a JSON object, and finished batches stand behind it; "
                "the file was altered: restore it, or start over with another --out"
            )
        with _explained(path), path.open("r+b") as handle:
            handle.truncate(ends[kept])
            os.fsync(handle.fileno())
        tail = "a torn last line and " if torn or len(rows) < len(lines) else ""
        return rows[:kept], f"{name}: cut off {tail}{len(rows) - kept} rows of an unfinished batch; it is done again"


def _parse(line: bytes) -> dict[str, Any] | None:
    try:
        row = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return row if isinstance(row, dict) else None


@contextmanager
def _explained(path: Path, *, writing: bool = False) -> Iterator[None]:
    """Turn an operating system's complaint into one line that says what to do."""
    try:
        yield
    except FileNotFoundError as error:
        what = "cannot be made here; choose another --out" if writing else "not there; is this a run folder?"
        raise FolderError(f"{path}: {what}") from error
    except (FileExistsError, NotADirectoryError) as error:
        raise FolderError(f"{path}: a file stands where a folder is needed; choose another --out") from error
    except PermissionError as error:
        raise FolderError(f"{path}: no permission; choose a folder you may write to (--out)") from error
    except OSError as error:
        what = error.strerror or str(error)
        if error.errno in _FULL:
            what += "; what was written before is kept: make room, then run the same command again"
        raise FolderError(f"{path}: {what}") from error
