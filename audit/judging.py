"""Scores of answers: which are there already, which are still to be given, and when.

Answers are judged in chunks of :data:`CHUNK` lines of ``samples.jsonl``, in file order, and a text that stood in an
earlier chunk is not judged again. So what a scorer gets to see in one call depends on the answers only: not on how far
the model is ahead, and not on where a run was stopped.
"""

from __future__ import annotations

import sys
from collections import Counter, deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from functools import partial
from types import TracebackType
from typing import Any, Self

from audit import scorers, store
from audit.beside import Beside
from audit.errors import CorruptFolderError
from audit.progress import Progress
from audit.results import sample_id
from audit.scorers.base import ScoreResult, score_all
from audit.text import is_empty

EMPTY = "empty answer"
"""Reason in ``scores.jsonl`` where there was no text to judge."""

CHUNK = 512
"""Answers judged together: as many texts as a scorer gets in one call, few enough that a killed run loses seconds."""

Row = Mapping[str, Any]


class Judging:
    """Has every answer of a run judged by every scorer, once.

    As a context: left by an exception, chunks not begun are dropped, since the next attempt judges them.

    Args:
        folder: locked by this process; its journal of samples holds whole batches only.
        judges: the scorers.
        beside: judge in a thread beside the caller's, each chunk as soon as it is full; else :meth:`finish` judges
            everything.
        say: told what was taken out of ``scores.jsonl``.

    Raises:
        CorruptFolderError: ``scores.jsonl`` or ``samples.jsonl`` has a line that no run wrote.
    """

    def __init__(
        self, folder: store.Folder, judges: Sequence[scorers.Scorer], *, beside: bool, say: Callable[[str], None]
    ) -> None:
        self._folder = folder
        self._judges = judges
        answers = _read_answers(folder)
        kept = _kept_scores(folder, answers, say)
        self._known = _known(folder, answers, kept, judges)
        self._done = {(row["sample"], row["scorer"]) for row in kept}
        self._waiting: list[Row] = []
        self._chunks: deque[tuple[int, Callable[[], None]]] = deque()
        self._leaving = ExitStack()
        self._beside = self._leaving.enter_context(Beside("judging", drop=True)) if beside else None
        if beside:
            # A scorer in plain Python keeps the thread that feeds the GPU waiting for this long at each of its steps.
            # With a scorer at work, steps of 3.4 ms took 22 ms at Python's own 5 ms and 11 ms at this.
            self._leaving.callback(sys.setswitchinterval, sys.getswitchinterval())
            sys.setswitchinterval(0.001)
        self.take(answers)

    def take(self, answers: Sequence[Row]) -> None:
        """Hand over answers that are on disk: a score must never be there without its answer.

        Args:
            answers: lines of ``samples.jsonl``, the next ones in file order. One without text is not judged.

        Raises:
            AuditError: scores of earlier answers could not be written.
        """
        self._waiting += answers
        while len(self._waiting) >= CHUNK:
            self._close_chunk()

    def finish(self, progress: Progress) -> None:
        """Return when every answer handed over is judged.

        Raises:
            AuditError: scores could not be written.
        """
        self._close_chunk()
        if self._chunks:
            names = ", ".join(judge.name for judge in self._judges)
            progress.stage(f"scoring with {names}", sum(count for count, _ in self._chunks), "answers")
        while self._chunks:
            count, judged = self._chunks.popleft()
            judged()
            progress.advance(count)

    def _close_chunk(self) -> None:
        answers = [(_name(row), row["text"]) for row in self._waiting[:CHUNK] if row["text"] is not None]
        del self._waiting[:CHUNK]
        left = [
            (judge, mine)
            for judge in self._judges
            if (mine := [(name, text) for name, text in answers if (name, judge.name) not in self._done])
        ]
        if left:
            judged = self._beside.call(self._judge, left) if self._beside else partial(self._judge, left)
            self._chunks.append((len(answers), judged))

    def _judge(self, left: Sequence[tuple[scorers.Scorer, Sequence[tuple[str, str]]]]) -> None:
        for judge, named in left:
            self._folder.append(store.SCORES, score_rows(judge, named, self._known[judge.name]))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._leaving.__exit__(kind, error, trace)


def score_rows(
    judge: scorers.Scorer, named: Sequence[tuple[str, str]], known: dict[str, ScoreResult] | None = None
) -> list[dict[str, Any]]:
    """Rows of ``scores.jsonl``.

    An answer without text is not sent to a scorer that judges text: it has no values, and the reason says it is empty.

    Args:
        judge: the scorer.
        named: (sample id, text) of each answer, [n].
        known: what this scorer gave for texts before; it is not asked for those again, and what it gives is added.

    Returns:
        One row an answer, [n].
    """
    known = {} if known is None else known
    asked = [text for _, text in named if text not in known and _is_judged(judge, text)]
    known.update(zip(asked, score_all(judge, asked), strict=True))
    nothing = ScoreResult(None, EMPTY)
    results = [known[text] if _is_judged(judge, text) else nothing for _, text in named]
    return [
        {
            "sample": name, "scorer": judge.name, "revision": judge.revision,
            "values": None if result.values is None else dict(result.values), "reason": result.reason,
        }
        for (name, _), result in zip(named, results, strict=True)
    ]  # fmt: skip


def _is_judged(judge: scorers.Scorer, text: str) -> bool:
    return judge.name == "degeneration" or not is_empty(text)


def _name(answer: Row) -> str:
    return sample_id(answer["item"], answer["k"])


def _read_answers(folder: store.Folder) -> list[dict[str, Any]]:
    answers = folder.read_lines(store.SAMPLES)
    for number, row in enumerate(answers, 1):
        if "text" not in row:
            raise CorruptFolderError(
                f"{folder.file(store.SAMPLES)}, line {number}: has no 'text'; the file was altered"
            )
    return answers


def _kept_scores(folder: store.Folder, answers: Sequence[Row], say: Callable[[str], None]) -> list[dict[str, Any]]:
    """Scores on disk, after cutting off a chunk that was not finished and scores of answers that are not there."""
    chunk_of = {_name(row): at // CHUNK for at, row in enumerate(answers) if row["text"] is not None}
    sizes = Counter(chunk_of.values())

    def whole(rows: list[dict[str, Any]]) -> tuple[int, int]:
        parts = [(chunk_of.get(str(row.get("sample"))), str(row.get("scorer"))) for row in rows]
        kept = len(parts)
        # What one scorer says of a chunk is written at once: only the last part can be unfinished.
        if parts and (chunk := parts[-1][0]) is not None and Counter(parts)[parts[-1]] < sizes[chunk]:
            while kept and parts[kept - 1] == parts[-1]:
                kept -= 1
        return kept, CHUNK

    rows, cut = folder.recover(store.SCORES, whole)
    if cut:
        say(cut)
    kept = [row for row in rows if str(row.get("sample")) in chunk_of]
    if len(kept) < len(rows):
        # An answer that was cut off may come out otherwise when it is drawn again; its score goes with it.
        folder.write_lines(store.SCORES, kept)
        say(f"{store.SCORES}: dropped {len(rows) - len(kept)} scores of answers that are not there")
    return kept


def _known(
    folder: store.Folder, answers: Sequence[Row], rows: Sequence[Row], judges: Sequence[scorers.Scorer]
) -> dict[str, dict[str, ScoreResult]]:
    """Per scorer, what this revision of it gave for which text."""
    texts = {_name(row): row["text"] for row in answers}
    found: dict[str, dict[str, ScoreResult]] = {judge.name: {} for judge in judges}
    revisions = {judge.name: judge.revision for judge in judges}
    for number, row in enumerate(rows, 1):
        try:
            if revisions.get(row["scorer"]) == row["revision"]:
                found[row["scorer"]][texts[row["sample"]]] = ScoreResult(row["values"], row["reason"])
        except (KeyError, TypeError, ValueError) as error:
            what = f"has no {error}" if isinstance(error, KeyError) else str(error)
            raise CorruptFolderError(
                f"{folder.file(store.SCORES)}, line {number}: {what}; the file was altered"
            ) from None
    return found
