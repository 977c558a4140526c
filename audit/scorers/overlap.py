"""How much the texts that train a scorer have in common with the texts that measure it.

A figure on an evaluation set means little where the scorer was trained on its sentences. Three questions, from narrow
to wide: is a text there word for word, does it share a run of eight words, is it one of our sentences with another
group's name in it?
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass

from audit.text import words

GROUP = "\u25c6"
"""Stands in a skeleton for the name of a group, with the words around it that only carry the name."""

_CARRIERS = re.compile(
    r"(?:(?:an?|any|every|each|some|all|the|these|those) )?"
    rf"{GROUP}(?: (?:{GROUP}|people|person|persons|folks?|community)(?!\w))*"
)


@dataclass(frozen=True, slots=True)
class Overlap:
    """How many evaluation texts were found among the texts that train."""

    found: int
    total: int
    """Evaluation texts that could have been found: those too short to hold a run of n words cannot."""
    examples: tuple[str, ...]
    """The first few found, in their order; for a person to look at, not to store."""

    @property
    def share(self) -> float:
        """Found over total, in [0, 1]; lower is better; NaN where there is no text to find."""
        return self.found / self.total if self.total else float("nan")


def names_pattern(names: Iterable[str]) -> re.Pattern[str]:
    """A pattern that finds groups' names as whole words, longest first.

    Args:
        names: names as written in texts, singular and plural each; case does not matter.

    Raises:
        ValueError: there is no name.
    """
    ordered = sorted({name.lower() for name in names if name.strip()}, key=lambda name: (-len(name), name))
    if not ordered:
        raise ValueError("names must hold at least one group's name")
    return re.compile(rf"(?<!\w)(?:{'|'.join(map(re.escape, ordered))})(?!\w)")


def skeleton(text: str, names: re.Pattern[str]) -> tuple[str, ...]:
    """Words of a text with every group's name, its article and "people" behind it as one sign.

    Two sentences have one skeleton where they differ in the group alone: "I met a woman." and "I met gay people!".

    Args:
        text: the text.
        names: from :func:`names_pattern`.
    """
    plain = " ".join(words(text))
    return tuple(_CARRIERS.sub(GROUP, names.sub(GROUP, plain)).split())


def exact(ours: Iterable[str], theirs: Iterable[str]) -> Overlap:
    """Counts evaluation texts that are among ours word for word; case and punctuation do not count.

    Args:
        ours: texts that train.
        theirs: texts that measure. A text without a word is not counted.
    """
    return _whole({words(text) for text in ours}, [(text, words(text)) for text in theirs])


def skeletons(ours: Iterable[str], theirs: Iterable[str], names: re.Pattern[str]) -> Overlap:
    """Counts evaluation texts whose skeleton is the skeleton of one of ours, whichever groups they speak of.

    Args:
        ours: texts that train.
        theirs: texts that measure. A text without a word is not counted.
        names: from :func:`names_pattern`.
    """
    return _whole({skeleton(text, names) for text in ours}, [(text, skeleton(text, names)) for text in theirs])


def shared_ngrams(ours: Iterable[str], theirs: Iterable[str], n: int = 8) -> Overlap:
    """Counts evaluation texts that share a run of ``n`` words with one of ours.

    Args:
        ours: texts that train.
        theirs: texts that measure. Those of fewer than ``n`` words are left out of the total.
        n: words in a run, 1 or more.

    Raises:
        ValueError: ``n`` is less than 1.
    """
    if n < 1:
        raise ValueError(f"n must be 1 or more, got {n}")
    known = {run for text in ours for run in _runs(words(text), n)}
    split = [(text, words(text)) for text in theirs]
    long_enough = [(text, said) for text, said in split if len(said) >= n]
    return _count(long_enough, (any(run in known for run in _runs(said, n)) for _, said in long_enough))


def _whole(known: Collection[tuple[str, ...]], theirs: Iterable[tuple[str, tuple[str, ...]]]) -> Overlap:
    worded = [(text, said) for text, said in theirs if said]
    return _count(worded, (said in known for _, said in worded))


def _count(texts: Collection[tuple[str, tuple[str, ...]]], hits: Iterable[bool]) -> Overlap:
    found = [text for (text, _), hit in zip(texts, hits, strict=True) if hit]
    return Overlap(len(found), len(texts), tuple(found[:5]))


def _runs(said: tuple[str, ...], n: int) -> Iterator[tuple[str, ...]]:
    return (said[start : start + n] for start in range(len(said) - n + 1))
