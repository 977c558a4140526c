"""What the command line shows while it works: progress bars on a terminal, plain lines elsewhere."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Any

from rich import box
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.table import Table
from rich.text import Text


class Bars:
    """Progress on a terminal: what is being done, how much of it is left, and how long that should take."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._progress = Progress(
            TextColumn("{task.description}"), BarColumn(bar_width=None), MofNCompleteColumn(),
            TextColumn("{task.fields[unit]}"),
            TimeElapsedColumn(), TextColumn("left"), TimeRemainingColumn(elapsed_when_finished=False),
            console=console,
        )  # fmt: skip
        self._task: TaskID | None = None

    def __enter__(self) -> Bars:
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.stop()

    def stage(self, title: str, total: float, unit: str) -> None:
        """A new bar; the one before is complete."""
        self._task = self._progress.add_task(title, total=int(total), unit=unit)

    def advance(self, amount: float) -> None:
        """Moves the newest bar."""
        if self._task is not None:
            self._progress.advance(self._task, amount)

    def say(self, message: str) -> None:
        """A line above the bars."""
        self._console.print(message, markup=False, highlight=False, soft_wrap=True)


class Lines:
    """Progress where nobody watches a bar: a line when a stage begins, one each 10 seconds, one when it ends."""

    _EVERY = 10.0

    def __init__(self, console: Console) -> None:
        self._console = console
        self._title = self._unit = ""
        self._total = self._done = 0.0
        self._start = self._told = time.monotonic()

    def __enter__(self) -> Lines:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        return

    def stage(self, title: str, total: float, unit: str) -> None:
        """Says what begins."""
        self._title, self._unit, self._total, self._done = title, unit, total, 0.0
        self._start = self._told = time.monotonic()
        self.say(f"{title}: {total:g} {unit}")

    def advance(self, amount: float) -> None:
        """Says how far the stage is, now and then."""
        self._done += amount
        now = time.monotonic()
        spent = now - self._start
        if self._done >= self._total:
            self.say(f"{self._title}: done in {spent:.1f} s")
        elif now - self._told >= self._EVERY:
            self._told = now
            left = spent / self._done * (self._total - self._done)
            self.say(f"{self._title}: {self._done:g} of {self._total:g} {self._unit}, about {left:.0f} s left")

    def say(self, message: str) -> None:
        """A line."""
        self._console.print(message, markup=False, highlight=False, soft_wrap=True)


def print_rows(console: Console, rows: Sequence[Mapping[str, Any]]) -> None:
    """A table of rows with equal keys: framed on a terminal, tab-separated elsewhere."""
    heads = list(rows[0]) if rows else []
    if not console.is_terminal:
        for line in (heads, *([str(row[head]) for head in heads] for row in rows)):
            # Not through print(), which turns tabs into blanks.
            console.file.write("\t".join(line) + "\n")
        return
    table = Table(box=box.SIMPLE_HEAD)
    for head in heads:
        table.add_column(head)
    for row in rows:
        table.add_row(*(Text(str(row[head])) for head in heads))
    console.print(table)


def watch(console: Console) -> Bars | Lines:
    """Bars on a terminal, lines elsewhere."""
    return Bars(console) if console.is_terminal else Lines(console)
