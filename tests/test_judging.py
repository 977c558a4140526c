"""Which answers are judged, when, together with which others, and what is left on disk when it stops."""

from __future__ import annotations

import json
import random
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from audit import judging, store
from audit.errors import CorruptFolderError, FolderError
from audit.judging import EMPTY, Judging
from audit.progress import Silent
from audit.scorers import ScoreResult
from audit.store import SAMPLES, SCORES, Folder

CHUNK = 8


class Judge:
    """Gives a text a value that also depends on the other texts of the call, as rounding does in a real scorer."""

    revision = "1"
    smoke = False
    values = ("length",)
    card = "Length over a hundred."

    def __init__(self, name: str = "judge") -> None:
        self.name = name
        self.calls: list[list[str]] = []
        self.threads: set[str] = set()

    def score(self, texts: Sequence[str]) -> list[ScoreResult]:
        self.calls.append(list(texts))
        self.threads.add(threading.current_thread().name)
        longest = max(map(len, texts))
        return [
            ScoreResult(None, "cannot be read") if "x" in text
            else ScoreResult({"length": len(text) / 100 + longest / 1e6})
            for text in texts
        ]  # fmt: skip


@pytest.fixture(autouse=True)
def small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(judging, "CHUNK", CHUNK)


def answers() -> list[dict[str, Any]]:
    """Lines of ``samples.jsonl``: many texts occur twice, one is empty, one missing, one unreadable."""
    chance = random.Random(0)
    rows = [{"item": f"s/{at}", "k": 0, "text": "a" * chance.randrange(1, 20)} for at in range(37)]
    rows[3]["text"], rows[5]["text"], rows[11]["text"] = "", None, "axe"
    return rows


def judged(folder: Folder, rows: Sequence[dict[str, Any]], judges: Sequence[Any], *, beside: bool = False) -> list[str]:
    """Judge what is on disk and these rows, in batches of five as a model gives them; returns what was said."""
    said: list[str] = []
    with Judging(folder, judges, beside=beside, say=said.append) as judge:
        for start in range(0, len(rows), 5):
            folder.append(SAMPLES, rows[start : start + 5])
            judge.take(rows[start : start + 5])
        judge.finish(Silent())
    return said


def lines(folder: Folder) -> list[str]:
    return sorted(folder.read_text(SCORES).splitlines())


@pytest.fixture
def reference(tmp_path: Path) -> Folder:
    """Scores by two judges, never interrupted."""
    folder = Folder(tmp_path / "reference")
    folder.path.mkdir()
    judged(folder, answers(), [Judge("one"), Judge("two")])
    return folder


@pytest.mark.parametrize("beside", [False, True])
def test_every_answer_is_judged_once_and_every_text_once(tmp_path: Path, beside: bool, reference: Folder) -> None:
    judges = [Judge("one"), Judge("two")]
    judged(Folder(tmp_path), answers(), judges, beside=beside)
    assert lines(Folder(tmp_path)) == lines(reference)
    rows = Folder(tmp_path).read_lines(SCORES)
    given = [row for row in answers() if row["text"] is not None]
    assert sorted((row["sample"], row["scorer"]) for row in rows) == sorted(
        (f"{row['item']}#0", judge.name) for row in given for judge in judges
    )
    reasons = {row["sample"]: row["reason"] for row in rows}
    assert (reasons["s/3#0"], reasons["s/11#0"], reasons["s/0#0"]) == (EMPTY, "cannot be read", None)
    for judge in judges:
        asked = [text for call in judge.calls for text in call]
        assert sorted(asked) == sorted({row["text"] for row in given} - {""}), "no text twice, over all chunks"
        assert len(judge.calls) > 2
        assert judge.threads == ({"judging_0"} if beside else {threading.current_thread().name})


def test_beside_a_chunk_is_judged_while_the_model_still_works(tmp_path: Path) -> None:
    heard = threading.Event()

    class Loud(Judge):
        def score(self, texts: Sequence[str]) -> list[ScoreResult]:
            heard.set()
            return super().score(texts)

    folder = Folder(tmp_path)
    with Judging(folder, [Loud()], beside=True, say=print) as judge:
        rows = answers()[:CHUNK]
        folder.append(SAMPLES, rows)
        judge.take(rows)
        assert heard.wait(timeout=60), "judged before the model is done"
        judge.finish(Silent())


@pytest.mark.parametrize("beside", [False, True])
@pytest.mark.parametrize("moment", range(10))
def test_cut_anywhere_it_ends_the_same_though_values_depend_on_the_company(
    tmp_path: Path, reference: Folder, beside: bool, moment: int
) -> None:
    chance = random.Random(moment)
    rows, scores = answers(), reference.file(SCORES).read_bytes()
    folder = Folder(tmp_path)
    size = chance.randrange(len(scores))
    folder.append(SAMPLES, rows if moment % 2 else rows[:35])
    folder.file(SCORES).write_bytes(scores[:size])
    said = judged(folder, [] if moment % 2 else rows[35:], [Judge("one"), Judge("two")], beside=beside)
    assert lines(folder) == lines(reference)
    assert bool(said) == (size not in _ends(reference)), said


def _ends(folder: Folder) -> set[int]:
    """Sizes of ``scores.jsonl`` between two writes."""
    rows = folder.file(SCORES).read_bytes().splitlines(keepends=True)
    parts = [(int(json.loads(row)["sample"][2:-2]) // CHUNK, json.loads(row)["scorer"]) for row in rows]
    return {
        sum(map(len, rows[:at])) for at in range(len(rows) + 1) if at in (0, len(rows)) or parts[at - 1] != parts[at]
    }


def test_texts_judged_before_the_stop_are_not_judged_again(tmp_path: Path) -> None:
    folder, first, second = Folder(tmp_path), Judge(), Judge()
    judged(folder, answers()[: 2 * CHUNK], [first])
    more = [row | {"item": f"t/{at}"} for at, row in enumerate(answers()[: 2 * CHUNK])]
    judged(folder, more, [second])
    assert len(folder.read_lines(SCORES)) == 2 * (2 * CHUNK - 1)
    assert second.calls == []
    third = Judge()
    third.revision = "2"
    folder.append(SAMPLES, [{"item": "u/0", "k": 0, "text": answers()[0]["text"]}])
    judged(folder, [], [third])
    assert third.calls == [[answers()[0]["text"]]], "another revision has not judged this text"


def test_scores_of_answers_that_are_not_there_are_dropped(tmp_path: Path, reference: Folder) -> None:
    """As after a crash that kept the scores and lost the answers they belong to."""
    folder, rows = Folder(tmp_path), answers()
    folder.append(SAMPLES, rows[:10])
    folder.file(SCORES).write_bytes(reference.file(SCORES).read_bytes())
    said = judged(folder, rows[10:], [Judge("one"), Judge("two")])
    assert lines(folder) == lines(reference)
    assert any("dropped 54 scores of answers that are not there" in message for message in said), said


def test_an_answer_is_judged_only_when_it_is_on_disk(tmp_path: Path) -> None:
    folder = Folder(tmp_path)

    class Watching(Judge):
        def score(self, texts: Sequence[str]) -> list[ScoreResult]:
            there = {row["text"] for row in Folder(tmp_path).read_lines(SAMPLES)}
            assert set(texts) <= there
            return super().score(texts)

    judge = Watching()
    judged(folder, answers(), [judge], beside=True)
    assert judge.calls
    assert all(row["reason"] in (None, EMPTY, "cannot be read") for row in folder.read_lines(SCORES))


@pytest.mark.parametrize("beside", [False, True])
def test_a_full_disk_stops_it_and_nothing_is_written_behind_the_fault(
    tmp_path: Path, reference: Folder, beside: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, real = Folder(tmp_path), store.Folder.append
    writes = 0

    def failing(self: Folder, name: str, rows: Any) -> None:
        nonlocal writes
        writes += name == SCORES
        if name == SCORES and writes == 3:
            raise FolderError("no space")
        real(self, name, rows)

    with monkeypatch.context() as patched:
        patched.setattr(store.Folder, "append", failing)
        with pytest.raises(FolderError, match="no space"):
            judged(folder, answers(), [Judge("one"), Judge("two")], beside=beside)
    assert writes == 3
    rows = answers()[len(folder.read_lines(SAMPLES)) :]
    judged(folder, rows, [Judge("one"), Judge("two")], beside=beside)
    assert lines(folder) == lines(reference)


@pytest.mark.parametrize(
    ("before", "after", "message"),
    [
        ('"values":', '"numbers":', "line 2: has no 'values'"),
        ('"reason":null', '"reason":"why"', "line 2: .*either values or a reason"),
        ('"scorer":"one",', "", "line 2: has no 'scorer'"),
    ],
)
def test_an_altered_score_is_named(tmp_path: Path, reference: Folder, before: str, after: str, message: str) -> None:
    rows = reference.file(SCORES).read_text().splitlines(keepends=True)
    assert before in rows[1]
    reference.file(SCORES).write_text("".join([rows[0], rows[1].replace(before, after), *rows[2:]]))
    with pytest.raises(CorruptFolderError, match=rf"scores\.jsonl, {message}"):
        judged(reference, [], [Judge("one"), Judge("two")])


def test_an_answer_that_lost_its_text_is_named(tmp_path: Path) -> None:
    folder = Folder(tmp_path)
    folder.append(SAMPLES, [{"item": "s/0", "k": 0, "text": "a"}, {"item": "s/1", "k": 0}])
    with pytest.raises(CorruptFolderError, match=r"samples\.jsonl, line 2: has no 'text'"):
        judged(folder, [], [Judge()])
