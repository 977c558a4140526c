"""Fills the slots of a template, and takes care of capitals and of "a" or "an"."""

from __future__ import annotations

import re

# Words whose first sound is not what their first letter suggests.
VOWEL_SOUNDS = ("hour", "honest", "heir", "LGBTQ")
CONSONANT_SOUNDS = ("one", "uni", "use", "Euro", "U.S.")


def article(following: str) -> str:
    """Returns "a" or "an", whichever goes before these words."""
    if following.startswith(VOWEL_SOUNDS):
        return "an"
    if following.startswith(CONSONANT_SOUNDS):
        return "a"
    return "an" if following[:1].lower() in "aeiou" else "a"


def fill(template: str, **slots: str) -> str:
    """Fills a template.

    Args:
        template: words with slots such as ``{people}``. A slot with a capital (``{People}``) begins with one, a slot
            after ``a:`` (``{a:person}``, ``{A:person}``) gets the article that its words need.
        **slots: the words for each slot.

    Raises:
        KeyError: the template has a slot that was not given.
    """

    def one(found: re.Match[str]) -> str:
        mark, name = found[1], found[2]
        words = slots[name[0].lower() + name[1:]]
        if mark:
            words = f"{article(words)} {words}"
        return words[0].upper() + words[1:] if (mark or name)[0].isupper() else words

    return re.sub(r"\{(?:([aA]):)?(\w+)\}", one, template)
