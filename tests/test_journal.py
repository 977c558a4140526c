"""What is left of a run: the batch plan against the journals."""

from __future__ import annotations

from pathlib import Path

import pytest

from audit.errors import CorruptFolderError
from audit.journal import Batch, read_batches, remaining, write_batches
from audit.models import Entry
from audit.store import BATCHES, LIKELIHOODS, SAMPLES, Folder

PLAN = [
    Batch("s", "generate", (Entry("s/a", 0, 2), Entry("s/b", 0, 1))),
    Batch("s", "generate", (Entry("s/b", 1, 2),)),
    Batch("s", "loglikelihood", (Entry("s/c", 0, 3),)),
    Batch("t", "generate", (Entry("t/a", 0, 1),)),
]
SAMPLED = [
    {"item": item, "k": k} for item, k in (("s/a", 0), ("s/a", 1), ("s/b", 0), ("s/b", 1), ("s/b", 2), ("t/a", 0))
]
SCORED = [{"item": "s/c", "choice": choice} for choice in range(3)]


def left(folder: Folder) -> tuple[list[int], list[str]]:
    said: list[str] = []
    return [PLAN.index(batch) for batch in remaining(folder, PLAN, said.append)], said


@pytest.mark.parametrize(
    ("samples", "likelihoods", "expected"),
    [(0, 0, [0, 1, 2, 3]), (2, 0, [0, 1, 2, 3]), (3, 0, [1, 2, 3]), (4, 0, [1, 2, 3]), (5, 2, [2, 3]), (5, 3, [3]),
     (6, 3, [])],
)  # fmt: skip
def test_unfinished_batches_are_cut_and_left_in_the_order_of_the_plan(
    tmp_path: Path, samples: int, likelihoods: int, expected: list[int]
) -> None:
    folder = Folder(tmp_path)
    folder.append(SAMPLES, SAMPLED[:samples])
    folder.append(LIKELIHOODS, SCORED[:likelihoods])
    assert left(folder)[0] == expected
    whole = {0: 0, 2: 0, 3: 3, 4: 3, 5: 5, 6: 6}[samples]
    assert folder.read_lines(SAMPLES) == SAMPLED[:whole]
    assert folder.read_lines(LIKELIHOODS) == SCORED[: likelihoods // 3 * 3]


def test_what_is_cut_is_said_once(tmp_path: Path) -> None:
    folder = Folder(tmp_path)
    folder.append(SAMPLES, SAMPLED[:4])
    with folder.file(SAMPLES).open("ab") as handle:
        handle.write(b'{"item":"s/b","k":')
    assert left(folder) == (
        [1, 2, 3], ["samples.jsonl: cut off a torn last line and 1 rows of an unfinished batch; it is done again"]
    )  # fmt: skip
    assert left(folder) == ([1, 2, 3], [])


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([SAMPLED[0], SAMPLED[2], SAMPLED[1]], "line 2: holds .*, the batch plan has .*'s/a', 1"),
        ([SAMPLED[0], SAMPLED[0], SAMPLED[1]], "line 2"),
        ([SAMPLED[1]], "line 1"),
        ([{"k": 0}], "line 1"),
        ([*SAMPLED, {"item": "t/a", "k": 1}], "line 7: more rows than the batch plan"),
    ],
)
def test_rows_that_the_plan_does_not_have_are_refused_and_kept(
    tmp_path: Path, rows: list[dict[str, object]], message: str
) -> None:
    folder = Folder(tmp_path)
    folder.append(SAMPLES, rows)
    with pytest.raises(CorruptFolderError, match=message):
        left(folder)
    assert folder.read_lines(SAMPLES) == rows


def test_the_plan_comes_back_as_it_was_written(tmp_path: Path) -> None:
    folder = Folder(tmp_path)
    write_batches(folder, PLAN)
    assert read_batches(folder) == PLAN
    folder.append(BATCHES, [{"suite": "s", "mode": "generate", "entries": [["s/a", 0]]}])
    with pytest.raises(CorruptFolderError, match="malformed batch plan"):
        read_batches(folder)
