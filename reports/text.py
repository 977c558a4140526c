"""How texts and numbers are put on a page: nothing hidden in a text stays hidden, numbers always look the same."""

from __future__ import annotations

import math
import re
import textwrap
import unicodedata
from datetime import datetime, timedelta
from functools import lru_cache

from markupsafe import Markup

MINUS = "\u2212"
"""The minus sign: as wide as a plus, and never a line-break opportunity."""
MISSING = "not estimated"
"""Stands where a number could not be estimated: never a dash, never 0."""

_C0 = (
    "NUL SOH STX ETX EOT ENQ ACK BEL BS HT LF VT FF CR SO SI DLE DC1 DC2 DC3 DC4 NAK SYN ETB CAN EM SUB ESC FS GS RS US"
)
_NAMED = {
    **dict(enumerate(_C0.split())), 0x7F: "DEL", 0x85: "NEL", 0x9B: "CSI",
    0x00AD: "SHY", 0x034F: "CGJ", 0x061C: "ALM", 0x180E: "MVS", 0x200B: "ZWSP", 0x200C: "ZWNJ", 0x200D: "ZWJ",
    0x200E: "LRM", 0x200F: "RLM", 0x2028: "LSEP", 0x2029: "PSEP", 0x202A: "LRE", 0x202B: "RLE", 0x202C: "PDF",
    0x202D: "LRO", 0x202E: "RLO", 0x2060: "WJ", 0x2066: "LRI", 0x2067: "RLI", 0x2068: "FSI", 0x2069: "PDI",
    0xFEFF: "BOM",
}  # fmt: skip
_MONTHS = (
    "January", "February", "March", "April", "May", "June",
    "July", "August", "September", "October", "November", "December",
)  # fmt: skip
_BLANK_LETTERS = frozenset({0x034F, 0x115F, 0x1160, 0x3164, 0xFFA0})
"""Characters that Unicode calls letters or marks, yet draw nothing."""
_DRAWN_FORMATS = frozenset({*range(0x0600, 0x0606), 0x06DD, 0x070F, 0x0890, 0x0891, 0x08E2, 0x110BD, 0x110CD})
"""Format characters that do draw something (Arabic, Syriac and Kaithi number signs)."""
_NOT_PLAIN = re.compile(r"[^\n\t -~]")
_JOINER = re.compile("[\u200c\u200d]")


@lru_cache(maxsize=4096)
def label(char: str) -> str | None:
    """What stands for a character that would not show, or would turn its surroundings.

    Args:
        char: one character.

    Returns:
        An abbreviation such as ``"ESC"`` or ``"RLO"``, else the code point, ``"U+E0041"``; None for a character that
        shows by itself, for line feed and for tab. (Letters, not Unicode's control pictures: few fonts hold those.)
    """
    code = ord(char)
    if char in "\n\t":
        return None
    if code in _NAMED:
        return _NAMED[code]
    invisible = unicodedata.category(char) in ("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp")
    if code in _BLANK_LETTERS or 0xE0100 <= code <= 0xE01EF or (invisible and code not in _DRAWN_FORMATS):
        return f"U+{code:04X}"
    return None


def _tokens(text: str) -> list[tuple[str, str | None]]:
    """``text`` cut into (run of plain text, None) and (character, label) pieces, in order, nothing left out."""
    pieces: list[tuple[str, str | None]] = []
    start = 0
    for found in _NOT_PLAIN.finditer(text):
        name = label(found.group())
        if name is None or _joins(text, found.start()):
            continue
        if found.start() > start:
            pieces.append((text[start : found.start()], None))
        pieces.append((found.group(), name))
        start = found.end()
    if start < len(text):
        pieces.append((text[start:], None))
    return pieces


def _joins(text: str, at: int) -> bool:
    """Whether the character is a joiner between two non-ASCII characters: there emoji and many scripts need it."""
    if not _JOINER.match(text, at):
        return False
    return 0 < at < len(text) - 1 and text[at - 1] > "\x7f" and text[at + 1] > "\x7f"


def visible(text: str) -> Markup:
    """A text as safe HTML with every hidden character shown as a labelled token. Nothing is stripped.

    Args:
        text: any string, lone surrogates included.

    Returns:
        Escaped markup in which e.g. NUL is ``<span class="ctl" title="U+0000">NUL</span>``.
    """
    token = Markup('<span class="ctl" title="{}">{}</span>')
    parts = (
        Markup.escape(piece) if name is None else token.format(_describe(piece), name) for piece, name in _tokens(text)
    )
    return Markup("").join(parts)


def plain(text: str) -> str:
    """A text for a terminal, an attribute or a table cell: hidden characters as ``[ESC]`` or ``[RLO]``.

    Args:
        text: any string.

    Returns:
        Text that holds no control, bidirectional or unpaired surrogate character except line feed and tab.
    """
    return "".join(piece if name is None else f"[{name}]" for piece, name in _tokens(text))


def _describe(char: str) -> str:
    """Code point and, where Unicode has one, the name."""
    name = unicodedata.name(char, "")
    return f"U+{ord(char):04X} {name}".strip()


def short(text: str, width: int) -> str:
    """``text`` on one line, hidden characters shown, cut to ``width`` characters with an ellipsis where longer."""
    line = " ".join(plain(text).split())
    return line if len(line) <= width else line[: width - 1].rstrip() + "…"


_DECIMALS = {"share": 1, "score": 3, "nats": 3, "bits/byte": 3, "perplexity": 1, "words": 1}


def number(value: float | None, unit: str, *, signed: bool = False) -> str:
    """A number in its unit, the same way everywhere; a share becomes a percentage.

    Args:
        value: the number; None where nothing could be estimated.
        unit: the metric's unit as in the summary (``share``, ``score``, ``nats`` ...).
        signed: True for a difference: a plus sign is written, and shares become percentage points.

    Returns:
        E.g. ``"12.3 %"``, ``"+1.2 pp"``, ``"-0.034"`` with a true minus sign.
        A number that is not zero never shows as zero.
    """
    if value is None or math.isnan(value):
        return MISSING
    scale = 100.0 if unit == "share" else 1.0
    suffix = ("\u00a0pp" if signed else "\u00a0%") if unit == "share" else ""
    if math.isinf(value):
        return (f"{MINUS}∞" if value < 0 else "+∞" if signed else "∞") + suffix
    scaled = value * scale
    body = _digits(abs(scaled), _DECIMALS.get(unit, 3))
    sign = MINUS if scaled < 0 and body.strip("0.,") else "+" if signed and body.strip("0.,") else ""
    return f"{sign}{body}{suffix}"


def _digits(size: float, decimals: int) -> str:
    """A non-negative number with as many decimals as asked, more where it would else show as zero."""
    if size >= 1e7 or 0 < size < 1e-6:
        return f"{size:.3g}"
    if size > 0:
        while decimals < 8 and round(size, decimals) == 0:
            decimals += 1
    return f"{size:,.{decimals}f}"


def interval(low: float | None, high: float | None, unit: str, *, signed: bool = False) -> str:
    """An interval in words that cannot be mistaken for a minus: ``"-0.2 to +1.4 pp"``.

    An end within a millionth of zero is written as zero where it bounds a share or a score: the lower end where few
    answers count is such.
    """
    if low is None or high is None:
        return "no interval"
    if unit == "share" or (unit == "score" and not signed):
        low, high = (0.0 if abs(end) < 1e-6 else end for end in (low, high))
    left, right = number(low, unit, signed=signed), number(high, unit, signed=signed)
    tail = "\u00a0pp" if signed else "\u00a0%"
    if unit == "share" and left.endswith(tail):
        left = left.removesuffix(tail)
    return f"{left} to {right}"


def count(value: int) -> str:
    """A whole number with thousands parted by commas."""
    return f"{value:,}"


def percent(level: float) -> str:
    """A confidence level in words, e.g. ``"95 %"``."""
    return f"{100 * level:.3g}\u00a0%"


def probability(value: float | None) -> str:
    """A p-value: three decimals, ``"below 0.001"`` under that."""
    if value is None or math.isnan(value):
        return "none"
    return "below 0.001" if value < 0.001 else f"{value:.3f}"


def direction(direction: str, target: float | None, unit: str, label: str = "") -> str:
    """Which way is good, in words: ``"lower is better"``, ``"closer to 50 % is better"``, or that neither way is."""
    if informs(label):
        return "for information; neither way is better"
    if direction == "target":
        return "no better or worse" if target is None else f"closer to {axis(target, unit)} is better"
    return f"{direction} is better"


def informs(label: str) -> bool:
    """Whether a metric's label says that it only informs: its direction then means nothing."""
    return "(informational)" in label


def headline(words: str) -> str:
    """Words with a capital first letter, the rest as it is."""
    return words[:1].upper() + words[1:]


def axis(at: float, unit: str, *, signed: bool = False) -> str:
    """A round number on an axis: as short as it can be; a share as a percentage, its change in percentage points."""
    suffix = "" if unit != "share" else "\u00a0pp" if signed else "\u00a0%"
    return f"{100 * at if suffix else at:.6g}{suffix}".replace("-", MINUS)


def moment(stamp: str) -> str:
    """An ISO 8601 time in words, ``"20 November 2026, 09:31 UTC"``; anything else as it stands."""
    try:
        when = datetime.fromisoformat(stamp)
    except ValueError:
        return stamp
    zone = "UTC" if when.utcoffset() == timedelta(0) else when.strftime("UTC%z") if when.tzinfo else ""
    return f"{when.day} {_MONTHS[when.month - 1]} {when:%Y, %H:%M} {zone}".strip()


def wrap(text: str, width: int, lines: int) -> tuple[str, ...]:
    """``text`` in at most ``lines`` lines of ``width`` characters, cut with an ellipsis where it is longer."""
    found = textwrap.wrap(plain(text), width, max_lines=lines, placeholder="…", break_on_hyphens=True)
    return tuple(found) or ("",)
