"""How much of a suite a variant was trained on: items whose words stand in its fine-tuning data.

Two findings per item, the usual ones (13 words in Brown et al. 2020, appendix C; 8 in Chowdhery et al. 2022, section
8): the item stands whole in a training text, or a run of eight words of it does. Case, punctuation and white space do
not count. A difference between base and variant on such items may be memory.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass

from audit.errors import UsageError
from audit.metrics.answers import Answered
from audit.text import words
from probes.suite import Item

RUN = 8
"""Words in a row that count as overlap."""

Words = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ItemOverlap:
    """What of one item stands in the training texts."""

    item: str
    exact: int | None
    """Number, from 0, of the first training text in which the item stands whole, alone or with one of its choices;
    None where there is none."""
    run: int | None
    """Number, from 0, of the first training text that shares a run of words with it; None where there is none."""
    shared: str
    """The first shared run, in lower case without punctuation; empty where there is none."""

    @property
    def overlaps(self) -> bool:
        """Whether either was found."""
        return self.exact is not None or self.run is not None


@dataclass(frozen=True, slots=True)
class Contamination:
    """The overlap of a suite's items with training texts: counts over all items and texts, no sample and no interval.

    Lower is better.
    """

    found: tuple[ItemOverlap, ...]
    """Items that overlap, in the order of the suite."""
    items: int
    """Items looked for."""
    exact: int
    """Items that stand whole in a training text."""
    run: int
    """Items that share a run of words with a training text."""
    short: int
    """Items too short for a run, which only the first finding can name."""
    texts: int
    """Training texts looked through."""

    @property
    def ids(self) -> frozenset[str]:
        """Ids of the items that overlap."""
        return frozenset(one.item for one in self.found)


def contamination(items: Sequence[Item], texts: Iterable[str], run: int = RUN) -> Contamination:
    """Look for every item in the training texts.

    An item is looked for by each of its choices with the text before it, and by its text alone where it has no choices
    or the text is as long as a run. Memory grows with the items, not with the training texts, which are read once.

    Args:
        items: of one suite.
        texts: training texts, one per record; of a record with a prompt, prompt and completion in one.
        run: words in a row that count as overlap, 1 or more.

    Returns:
        The items found, with counts.

    Raises:
        UsageError: ``run`` is less than 1.
    """
    if run < 1:
        raise UsageError(f"a run has at least 1 word; got {run}")
    wanted = [[said for said in map(words, _forms(item, run)) if said] for item in items]
    whole, runs = _index(wanted, run)
    lengths = sorted({len(key) for key in whole} | {run})
    exact: dict[int, int] = {}
    shared: dict[int, tuple[int, Words]] = {}
    count = 0
    for count, text in enumerate(texts, start=1):
        said = words(text)
        for length in lengths:
            for start, key in _windows(said, length):
                for at in runs.get(key, ()):
                    shared.setdefault(at, (count - 1, key))
                for at, form in whole.get(key, ()):
                    if said[start : start + len(form)] == form:
                        exact.setdefault(at, count - 1)
    found = []
    for at in sorted(exact.keys() | shared.keys()):
        number, key = shared.get(at, (None, ()))
        found.append(ItemOverlap(items[at].id, exact.get(at), number, " ".join(key)))
    short = sum(all(len(form) < run for form in forms) for forms in wanted)
    return Contamination(tuple(found), len(items), len(exact), len(shared), short, count)


def _forms(item: Item, run: int) -> list[str]:
    """The texts by which an item is looked for; a short beginning ("My") of choices stands in any text, and is none."""
    whole = [item.text + choice for choice in item.choices]
    return [item.text, *whole] if len(words(item.text)) >= run or not whole else whole


def _index(
    wanted: Sequence[Sequence[Words]], run: int
) -> tuple[dict[Words, list[tuple[int, Words]]], dict[Words, list[int]]]:
    """Items by the first words of each form (at most ``run`` of them), and items by every run of their words."""
    whole: dict[Words, list[tuple[int, Words]]] = {}
    runs: dict[Words, list[int]] = {}
    for at, forms in enumerate(wanted):
        for form in dict.fromkeys(forms):
            whole.setdefault(form[:run], []).append((at, form))
        for key in dict.fromkeys(key for form in forms for _, key in _windows(form, run)):
            runs.setdefault(key, []).append(at)
    return whole, runs


def _windows(said: Words, length: int) -> Iterator[tuple[int, Words]]:
    """Every run of a length, with its start."""
    return ((start, said[start : start + length]) for start in range(len(said) - length + 1))


def without(answers: Sequence[Answered], overlapping: Collection[str]) -> list[Answered]:
    """The answers whose items do not overlap; an item that does takes its whole pair with it.

    A pair of which one side was trained on compares memory with none, so neither side is kept. Metrics are computed
    from what is left as from any suite; base and variant must lose the same items.

    Args:
        answers: of one suite.
        overlapping: ids of items, from :attr:`Contamination.ids`.

    Returns:
        Those left, in their order, perhaps none.
    """
    pairs = {one.item.pair for one in answers if one.item.id in overlapping and one.item.pair}
    return [one for one in answers if one.item.id not in overlapping and one.item.pair not in pairs]
