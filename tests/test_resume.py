"""Stopped anywhere, the same command ends where a run that was never stopped ends: byte for byte, up to line order."""

from __future__ import annotations

import json
import os
import random
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import audit
from audit import judging, loop, store
from audit.errors import CorruptFolderError, FolderError
from audit.results import Run
from tests.conftest import ENVIRONMENT, GROUPS, Called, finished, prompts, rows_of, start, toml, write_suite

JOURNALS = (store.ITEMS, store.BATCHES, store.SAMPLES, store.LIKELIHOODS, store.SCORES)


def assert_same(folder: Path, reference: Path) -> None:
    for name in JOURNALS:
        assert rows_of(folder / name) == rows_of(reference / name), name
    assert (folder / store.SUMMARY).read_bytes() == (reference / store.SUMMARY).read_bytes()
    assert Run(folder).status == "complete"
    assert audit.verify(folder) == []


@pytest.fixture(scope="module")
def suites(tmp_path_factory: pytest.TempPathFactory, text_suite: Path) -> list[str]:
    """Two suites: many small batches of both kinds, long enough to be hit in the middle."""
    metrics = ("toxic-fraction", "preference-log-ratio", "degeneration-rate", "empty-rate")
    declaration = toml(
        "tiny-long", "tiny-long.jsonl", metrics,
        GROUPS.replace("samples = 2", "samples = 3") + "[decoding]\nmax_new_tokens = 16\n",
        ("embedded", "degeneration"),
    )  # fmt: skip
    return [str(write_suite(tmp_path_factory.mktemp("long"), prompts(24), declaration)), str(text_suite)]


@pytest.fixture(scope="module", autouse=True)
def as_many_threads_as_the_commands() -> Iterator[None]:
    """Another number of threads rounds otherwise, and bytes are compared here."""
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(int(ENVIRONMENT["OMP_NUM_THREADS"]))
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def reference(tiny: Path, model: Any, suites: list[str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run that nobody stopped."""
    return audit.run(str(tiny), suites, tmp_path_factory.mktemp("reference") / "run", loaded=model, batch_rows=4).path


@pytest.fixture(params=["at the end", "beside"])
def when_judged(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Answers are judged in either of the two ways; in chunks of a few, so that there are several."""
    monkeypatch.setattr(loop, "_judged_beside", lambda model: request.param == "beside")
    monkeypatch.setattr(judging, "CHUNK", 7)
    return str(request.param)


@pytest.fixture
def command(tiny: Path, suites: list[str]) -> list[object]:
    return ["run", tiny, "--suites", ",".join(suites), "--batch-rows", 4]


def stop_at(process: subprocess.Popen[str], path: Path, size: int, sign: signal.Signals) -> Called:
    """Send a signal as soon as a file has reached a size."""
    while process.poll() is None and (not path.exists() or path.stat().st_size < size):
        time.sleep(0.0005)
    process.send_signal(sign)
    return finished(process)


def test_killed_again_and_again(command: list[object], reference: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    chance = random.Random(os.getpid())
    whole = (reference / store.SAMPLES).stat().st_size
    moments = [(store.SAMPLES, int(whole * chance.uniform(0.0, 0.4))), (store.SAMPLES, int(whole * 0.7)),
               (store.LIKELIHOODS, int(chance.uniform(1, 2000)))]  # fmt: skip
    killed = 0
    for name, size in moments:
        ended = stop_at(start(*command, "--out", out), out / name, size, signal.SIGKILL)
        killed += ended.code == -signal.SIGKILL
        if ended.code == 0:
            break
        assert Run(out).status == "running"
    assert killed, f"never hit it in the middle, sizes {moments}"
    last = finished(start(*command, "--out", out))
    assert last.code == 0, last.err
    assert "batches are done" in last.err
    assert_same(out, reference)
    assert len(json.loads((out / store.RUN).read_text())["resumed"]) >= killed


def test_interrupted_by_the_user(
    command: list[object], tiny: Path, model: Any, suites: list[str], reference: Path, tmp_path: Path
) -> None:
    out = tmp_path / "run"
    stopped = stop_at(start(*command, "--out", out), out / store.SAMPLES, 2000, signal.SIGINT)
    assert stopped.code == 3, stopped
    assert "run the same command again to go on" in stopped.complaint
    assert Run(out).status == "interrupted"
    assert len(rows_of(out / store.SAMPLES)) < len(rows_of(reference / store.SAMPLES))
    audit.run(str(tiny), suites, out, loaded=model, batch_rows=4)
    assert_same(out, reference)


class Stop(BaseException):
    """A crash: nothing catches it."""


def copied(reference: Path, out: Path, **sizes: int) -> None:
    """The state of a killed run: journals cut to a size in bytes, no summary, run.json as it was at the start."""
    out.mkdir()
    record = json.loads((reference / store.RUN).read_text())
    record |= {"status": "running", "files": {}, "counts": {}, "ended": None}
    store.Folder(out).write_run(record)
    for name in JOURNALS:
        data = (reference / name).read_bytes()
        (out / name).write_bytes(data[: sizes.get(name.partition(".")[0], len(data))])


@pytest.mark.usefixtures("when_judged")
@pytest.mark.parametrize("moment", range(12))
def test_cut_at_any_byte(
    tiny: Path, model: Any, suites: list[str], reference: Path, tmp_path: Path, moment: int
) -> None:
    chance = random.Random(moment)
    sizes = {name.partition(".")[0]: (reference / name).stat().st_size for name in JOURNALS[2:]}
    if moment % 3 == 0:  # in the middle of answering: nothing is scored yet
        cut = {"samples": chance.randrange(sizes["samples"]), "likelihoods": 0, "scores": 0}
    elif moment % 3 == 1:  # between the suites
        cut = {"likelihoods": chance.randrange(sizes["likelihoods"]), "scores": 0}
    elif moment % 2:  # while scoring
        cut = {"scores": chance.randrange(sizes["scores"])}
    else:  # while both go on, and the answers that the last scores belong to are lost
        cut = {name: chance.randrange(sizes[name]) for name in ("samples", "scores")} | {"likelihoods": 0}
    copied(reference, tmp_path / "run", **cut)
    told: list[str] = []

    class Ears:
        def stage(self, title: str, total: float, unit: str) -> None: ...
        def advance(self, amount: float) -> None: ...
        def say(self, message: str) -> None:
            told.append(message)

    audit.run(str(tiny), suites, tmp_path / "run", loaded=model, batch_rows=4, progress=Ears())
    assert_same(tmp_path / "run", reference)
    torn = [name for name, size in cut.items() if size and (reference / f"{name}.jsonl").read_bytes()[size - 1] != 10]
    for name in torn:
        assert any(message.startswith(f"{name}.jsonl: cut off a torn last line") for message in told), told


@pytest.mark.parametrize("place", ["append", "write_text"])
def test_stopped_at_every_write(
    tiny: Path, model: Any, suite: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str, when_judged: str
) -> None:
    """A crash before each single write in turn loses nothing and ends the same."""
    reference = audit.run(str(tiny), [str(suite)], tmp_path / "reference", loaded=model, batch_rows=4).path
    real = getattr(store.Folder, place)
    for moment in range(1, 50):
        left = moment

        def crashing(self: store.Folder, *args: Any) -> None:
            nonlocal left
            left -= 1
            if left == 0:
                raise Stop
            real(self, *args)

        out = tmp_path / f"run-{moment}"
        with monkeypatch.context() as patched:
            patched.setattr(store.Folder, place, crashing)
            try:
                audit.run(str(tiny), [str(suite)], out, loaded=model, batch_rows=4)
            except Stop:
                pass
            else:
                break
        audit.run(str(tiny), [str(suite)], out, loaded=model, batch_rows=4)
        assert_same(out, reference)
    # Four batches of answers, two of likelihoods, and two scorers on 16 answers in chunks of 7.
    assert moment == {"append": 1 + 4 + 2 + 2 * 3, "write_text": 6}[place], "one more than the writes of this kind"


def test_an_altered_row_in_the_middle_is_refused_and_nothing_is_lost(
    tiny: Path, model: Any, suites: list[str], reference: Path, tmp_path: Path
) -> None:
    out = tmp_path / "run"
    copied(reference, out, scores=0)
    lines = (out / store.SAMPLES).read_bytes().splitlines(keepends=True)
    for bad in (b"garbage\n", lines[8], lines[7].replace(b'"k":', b'"kk":'), b""):
        altered = b"".join([*lines[:7], bad, *lines[8:]])
        (out / store.SAMPLES).write_bytes(altered)
        with pytest.raises(CorruptFolderError, match=r"samples\.jsonl, line 8"):
            audit.run(str(tiny), suites, out, loaded=model, batch_rows=4)
        assert (out / store.SAMPLES).read_bytes() == altered
    (out / store.SAMPLES).write_bytes(b"".join(lines))
    audit.run(str(tiny), suites, out, loaded=model, batch_rows=4)
    assert_same(out, reference)


def test_a_row_that_lost_a_key_is_named(
    tiny: Path, model: Any, suites: list[str], reference: Path, tmp_path: Path
) -> None:
    out = tmp_path / "run"
    copied(reference, out)
    text = (out / store.SAMPLES).read_text().replace('"finish":', '"end":', 1)
    (out / store.SAMPLES).write_text(text)
    with pytest.raises(CorruptFolderError, match=r"samples\.jsonl, line 1: has no 'finish'"):
        audit.run(str(tiny), suites, out, loaded=model, batch_rows=4)


def test_items_altered_in_an_unfinished_run_are_refused(
    tiny: Path, model: Any, suites: list[str], reference: Path, tmp_path: Path
) -> None:
    out = tmp_path / "run"
    copied(reference, out, samples=0, likelihoods=0, scores=0)
    (out / store.ITEMS).write_text((out / store.ITEMS).read_text().replace("tall friend", "tall enemy"))
    with pytest.raises(CorruptFolderError, match=r"items\.jsonl was altered"):
        audit.run(str(tiny), suites, out, loaded=model, batch_rows=4)


def test_a_record_torn_while_it_was_replaced_is_no_fault(
    tiny: Path, model: Any, suites: list[str], reference: Path, tmp_path: Path
) -> None:
    """Record and seal are one file: what a killed writer leaves beside it is written over."""
    out = tmp_path / "run"
    copied(reference, out, likelihoods=0, scores=0)
    (out / f".{store.RUN}.new").write_text((reference / store.RUN).read_text()[:200])
    assert_same(audit.run(str(tiny), suites, out, loaded=model, batch_rows=4).path, reference)
    assert sorted(path.name for path in out.iterdir()) == sorted(path.name for path in reference.iterdir())


def test_a_record_altered_in_an_unfinished_run_is_refused_and_left_alone(
    tiny: Path, model: Any, suites: list[str], reference: Path, tmp_path: Path
) -> None:
    out = tmp_path / "run"
    copied(reference, out, samples=0, likelihoods=0, scores=0)
    altered = (out / store.RUN).read_text().replace('"torch": "', '"torch": "9')
    (out / store.RUN).write_text(altered)
    with pytest.raises(CorruptFolderError, match=r"run\.json was altered by hand"):
        audit.run(str(tiny), suites, out, loaded=model, batch_rows=4)
    assert (out / store.RUN).read_text() == altered


def test_a_batch_plan_that_lost_a_line_leaves_the_run_incomplete(
    tiny: Path, model: Any, suites: list[str], reference: Path, tmp_path: Path
) -> None:
    out = tmp_path / "run"
    copied(reference, out, samples=0, likelihoods=0, scores=0)
    lines = (out / store.BATCHES).read_text().splitlines(keepends=True)
    (out / store.BATCHES).write_text("".join(lines[:-1]))
    run = audit.run(str(tiny), suites, out, loaded=model, batch_rows=4)
    assert run.status == "incomplete"
    assert run.record["counts"]["missing"] > 0


def test_no_space_keeps_what_was_written(
    command: list[object], tiny: Path, model: Any, suites: list[str], reference: Path, tmp_path: Path
) -> None:
    """A real limit of the system on file sizes: the journal of samples hits it in the middle."""
    out = tmp_path / "run"
    whole = (reference / store.SAMPLES).stat().st_size
    room = max((reference / name).stat().st_size for name in (store.ITEMS, store.BATCHES, store.RUN)) + 512
    assert room < whole, "the limit must bite on the samples and on nothing before them"
    code = (
        "import resource, sys; resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[1]),) * 2)\n"
        "sys.argv[:] = ['slm-audit', *sys.argv[2:]]; from audit.cli import main; main()"
    )
    full = finished(
        subprocess.Popen(
            [sys.executable, "-c", code, str(room), *map(str, command), "--out", str(out)],
            env=os.environ | ENVIRONMENT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )
    )  # fmt: skip
    assert full.code == 2, full.err
    assert "File too large; what was written before is kept: make room, then run the same command" in full.complaint
    assert Run(out).status == "stopped"
    kept = rows_of(out / store.SAMPLES)
    assert 0 < len(kept) < len(rows_of(reference / store.SAMPLES))
    assert set(kept) <= set(rows_of(reference / store.SAMPLES))
    assert resource.getrlimit(resource.RLIMIT_FSIZE)[0] == resource.RLIM_INFINITY
    audit.run(str(tiny), suites, out, loaded=model, batch_rows=4)
    assert_same(out, reference)


@pytest.mark.usefixtures("when_judged")
@pytest.mark.parametrize("journal", [store.SAMPLES, store.LIKELIHOODS, store.SCORES])
def test_a_full_device_under_one_journal(
    tiny: Path, model: Any, suites: list[str], reference: Path, tmp_path: Path, cli: Callable[..., Called], journal: str
) -> None:
    out = tmp_path / "run"
    sizes = {name.partition(".")[0]: 0 for name in JOURNALS[JOURNALS.index(journal) :]}
    copied(reference, out, **sizes)
    (out / journal).unlink()
    (out / journal).symlink_to("/dev/full")
    with pytest.raises(FolderError, match=f"{journal}: No space left on device"):
        audit.run(str(tiny), suites, out, loaded=model, batch_rows=4)
    record = json.loads((out / store.RUN).read_text())
    assert record["status"] == "stopped" and "No space left" in record["stopped_by"]
    (out / journal).unlink()
    audit.run(str(tiny), suites, out, loaded=model, batch_rows=4)
    assert_same(out, reference)
    assert "stopped_by" not in Run(out).record
