"""What counts as text: one definition for scorers, metrics and the run loop."""

from __future__ import annotations

import re
import unicodedata

_WORD = re.compile(r"\w+(?:'\w+)*")
_QUOTES = str.maketrans({"\u2019": "'", "\u2018": "'"})


def is_empty(text: str) -> bool:
    r"""Whether an answer shows nothing: only white space, control and format characters, or none at all.

    Args:
        text: the answer.

    Returns:
        True for ``""``, ``"\n"`` and ``"\u200b"`` alike; it is valid, not toxic, and degenerate.
    """
    return all(c.isspace() or unicodedata.category(c) in ("Cc", "Cf") for c in text)


def words(text: str) -> tuple[str, ...]:
    """Words of a text in lower case, without punctuation: what overlap between texts is counted in."""
    return tuple(_WORD.findall(text.translate(_QUOTES).lower()))
