"""What counts as text: one definition for scorers, metrics and the run loop."""

from __future__ import annotations

import unicodedata


def is_empty(text: str) -> bool:
    r"""Whether an answer shows nothing: only white space, control and format characters, or none at all.

    Args:
        text: the answer.

    Returns:
        True for ``""``, ``"\n"`` and ``"\u200b"`` alike; it is valid, not toxic, and degenerate.
    """
    return all(c.isspace() or unicodedata.category(c) in ("Cc", "Cf") for c in text)
