"""The run folder: what is cut after a crash, what is refused, and what no fault may lose."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from audit.errors import CorruptFolderError, FolderBusyError, FolderError
from audit.provenance import seal
from audit.store import RUN, SAMPLES, SEAL, Folder, dumps

ROWS = [{"item": "a", "k": at, "text": f"answer {at}"} for at in range(6)]


def whole_pairs(rows: list[dict[str, Any]]) -> tuple[int, int]:
    """Batches of two rows."""
    return len(rows) // 2 * 2, 2


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    made = Folder(tmp_path / "run")
    with made.locked():
        made.append(SAMPLES, ROWS)
    return made


def test_every_place_where_a_write_can_be_torn_is_recovered(folder: Folder) -> None:
    path = folder.file(SAMPLES)
    data = path.read_bytes()
    ends = [0] + [at + 1 for at, byte in enumerate(data) if byte == ord("\n")]
    for size in range(len(data) + 1):
        path.write_bytes(data[:size])
        rows, said = folder.recover(SAMPLES, whole_pairs)
        kept = sum(end <= size for end in ends[1:]) // 2 * 2
        assert rows == ROWS[:kept]
        assert path.read_bytes() == data[: ends[kept]]
        assert bool(said) == (size != ends[kept])
        assert ("torn last line" in said) == (size not in ends)


def test_pages_lost_in_the_last_batch_are_cut(folder: Folder) -> None:
    path = folder.file(SAMPLES)
    data = path.read_bytes()
    lines = data.splitlines(keepends=True)
    path.write_bytes(b"".join(lines[:4]) + b"\0" * len(lines[4]) + lines[5])
    rows, said = folder.recover(SAMPLES, whole_pairs)
    assert rows == ROWS[:4]
    assert path.read_bytes() == b"".join(lines[:4])
    assert "cut off" in said


@pytest.mark.parametrize("bad", [b"not json\n", b"[1]\n", b"\xff\xfe\n", b"\n", b"[" * 100_000 + b"\n"])
def test_an_unreadable_line_before_finished_batches_is_refused_and_nothing_is_cut(folder: Folder, bad: bytes) -> None:
    path = folder.file(SAMPLES)
    lines = path.read_bytes().splitlines(keepends=True)
    altered = b"".join([lines[0], bad, *lines[2:]])
    path.write_bytes(altered)
    with pytest.raises(CorruptFolderError, match="line 2"):
        folder.recover(SAMPLES, whole_pairs)
    assert path.read_bytes() == altered
    with pytest.raises(CorruptFolderError, match="line 2"):
        folder.read_lines(SAMPLES)


def test_a_journal_that_is_not_there_is_empty(tmp_path: Path) -> None:
    assert Folder(tmp_path).recover(SAMPLES, whole_pairs) == ([], "")
    assert Folder(tmp_path).read_lines(SAMPLES) == []


def test_a_failed_append_leaves_the_journal_as_it_was(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    before = folder.file(SAMPLES).read_bytes()

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("audit.store.os.fsync", full)
    with pytest.raises(FolderError, match="No space left on device; what was written before is kept"):
        folder.append(SAMPLES, ROWS)
    assert folder.file(SAMPLES).read_bytes() == before
    with pytest.raises(FolderError, match="make room"):
        folder.write_json("run.json", {"a": 1})
    assert sorted(path.name for path in folder.path.iterdir()) == [".lock", SAMPLES]


def test_a_full_device_is_told_as_such(tmp_path: Path) -> None:
    (tmp_path / SAMPLES).symlink_to("/dev/full")
    with pytest.raises(FolderError, match="No space left on device"):
        Folder(tmp_path).append(SAMPLES, ROWS)


def test_replacing_keeps_the_old_content_until_the_new_is_whole(
    folder: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder.write_text("report.html", "old")

    def broken(self: Path, target: Path) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(Path, "replace", broken)
    with pytest.raises(FolderError, match="Input/output error"):
        folder.write_text("report.html", "new")
    assert folder.read_text("report.html") == "old"


def test_a_second_process_is_refused_and_the_first_is_named(folder: Folder) -> None:
    code = (
        "import sys; from audit.store import Folder\n"
        "with Folder(sys.argv[1]).locked(): print('mine', flush=True); sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, str(folder.path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as first:
        assert first.stdout is not None
        assert first.stdout.readline() == "mine\n"
        with pytest.raises(FolderBusyError, match=f"process {first.pid} is writing"), folder.locked():
            pass
        first.kill()
    with folder.locked():  # the lock went with the process
        pass


@pytest.mark.parametrize("below", ["file/run", "file"])
def test_a_path_through_a_file_is_refused(tmp_path: Path, below: str) -> None:
    (tmp_path / "file").write_text("mine")
    with pytest.raises(FolderError, match="a file stands where a folder is needed"), Folder(tmp_path / below).locked():
        pass
    assert (tmp_path / "file").read_text() == "mine"


def test_permission_denied_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # Tests may run as root, whom no permission stops: the system's answer is put in its place.
    def refuse(self: Path, *args: Any, **kwargs: Any) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "mkdir", refuse)
    with pytest.raises(FolderError, match=r"no permission.*--out"), Folder(tmp_path / "run").locked():
        pass


def test_json_that_is_not_json_is_named(tmp_path: Path) -> None:
    (tmp_path / "run.json").write_text('{"a": ')
    with pytest.raises(CorruptFolderError, match=r"run\.json: not valid JSON"):
        Folder(tmp_path).read_json("run.json")
    with pytest.raises(FolderError, match="is this a run folder"):
        Folder(tmp_path / "nowhere").read_json("run.json")


@pytest.mark.parametrize("text", ["\ud800", "\u2028", "\0", "a\nb", "\x1b[31m", "é"])
def test_a_line_is_one_ascii_line_whatever_the_text(text: str) -> None:
    line = dumps({"text": text})
    assert line.isascii() and line.isprintable()
    assert json.loads(line) == {"text": text}


def test_numbers_that_json_lacks_are_refused() -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        dumps({"logprob": float("nan")})


def test_a_record_is_sealed_in_the_same_file_and_only_where_it_has_a_place_for_it(tmp_path: Path) -> None:
    folder = Folder(tmp_path)
    folder.write_run({SEAL: None, "a": [1.5, None, "\ud800"]})
    record = folder.read_json(RUN)
    assert list(record) == ["a", SEAL] and record[SEAL] == seal(record) == seal({"a": [1.5, None, "\ud800"]})
    folder.write_run(record | {"a": 2})
    assert folder.read_json(RUN)[SEAL] == seal({"a": 2}) != record[SEAL]
    folder.write_run({"a": 2})
    assert folder.read_json(RUN) == {"a": 2}
    with pytest.raises(ValueError, match="not JSON compliant"):
        folder.write_run({SEAL: None, "a": float("nan")})
    assert [path.name for path in tmp_path.iterdir()] == [RUN]
