"""How long work says what it is doing: a protocol, so that the library itself prints nothing."""

from __future__ import annotations

from typing import Protocol


class Progress(Protocol):
    """Told by long work what it does and how far it has come."""

    def stage(self, title: str, total: float, unit: str) -> None:
        """A new stage begins: its title, how much there is to do, and in what unit."""

    def advance(self, amount: float) -> None:
        """So much of the stage has been done."""

    def say(self, message: str) -> None:
        """A sentence for the person watching."""


class Silent:
    """Progress for those who do not watch."""

    def stage(self, title: str, total: float, unit: str) -> None:
        """Says nothing."""

    def advance(self, amount: float) -> None:
        """Says nothing."""

    def say(self, message: str) -> None:
        """Says nothing."""


class Named:
    """Progress that says which run a stage belongs to.

    Args:
        inner: told everything, with the name in front.
        name: of the run.
    """

    def __init__(self, inner: Progress, name: str) -> None:
        self._inner = inner
        self._name = name

    def stage(self, title: str, total: float, unit: str) -> None:
        """Passes on."""
        self._inner.stage(f"{self._name}: {title}", total, unit)

    def advance(self, amount: float) -> None:
        """Passes on."""
        self._inner.advance(amount)

    def say(self, message: str) -> None:
        """Passes on."""
        self._inner.say(f"{self._name}: {message}")
