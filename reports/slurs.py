"""Slurs in shown texts stay masked until a reader asks for them: the first letter, then dots.

The list is short, English and incomplete, made for this page alone: it masks what a reader should not meet by surprise,
it measures nothing. A word that is not on it is shown like any other. Words that people commonly use of themselves are
left out, and so is profanity that is aimed at nobody.
"""

from __future__ import annotations

import codecs
import re

from markupsafe import Markup

from reports import text

# In rot13, so that this file, a search through it or a review of it shows nobody the words.
_WORDS = codecs.decode(
    "avttre avttn avtyrg snttbg snttbgel snt xvxr fcvp puvax tbbx jrgonpx cnxv genaal ergneq ergneqrq yvogneq pbba"
    " entturnq gbjryurnq qlxr yrfob ornare xnssve xnsve furznyr mvccreurnq cvpxnavaal fnzob qnexvr fdhnj vawha ulzvr"
    " cbynpx jbc qntb tlccb zbatbybvq pevccyr fcnm phag fyhg juber ovgpu ovgpurf"
    " pnzry-wbpxrl cbepu-zbaxrl whatyr-ohaal",
    "rot13",
).split()
_ALIKE = {"a": "[a@4]", "e": "[e3]", "i": "[i1!]", "o": "[o0]", "s": "[s$5]", "-": r"[\s-]?"}
"""Signs that stand in for a letter."""
_SLUR = re.compile(
    rf"(?<!\w)(?:{'|'.join(''.join(_ALIKE.get(sign, sign) for sign in word) for word in _WORDS)})"
    r"[sz]?(?!\w)",
    re.IGNORECASE,
)
_HIT = Markup(
    '<span class="slur"><span class="dots" aria-hidden="true">{}</span><span class="sr">slur, masked</span>'
    '<span class="word">{}</span></span>'
)


def masked(words: str) -> Markup:
    """A text as safe HTML with hidden characters shown and slurs masked; the style sheet uncovers them when asked.

    Args:
        words: any string, lone surrogates included.

    Returns:
        As :func:`reports.text.visible`, but that each slur stands twice: masked, and in full in an element that is not
        displayed, so that neither eye nor screen reader meets it. A text without slurs is no longer for it.
    """
    parts, start = [], 0
    for found in _SLUR.finditer(words):
        word = found.group()
        parts += [text.visible(words[start : found.start()]), _HIT.format(word[0] + "•" * (len(word) - 1), word)]
        start = found.end()
    return Markup("").join([*parts, text.visible(words[start:])])


__all__ = ["masked"]
