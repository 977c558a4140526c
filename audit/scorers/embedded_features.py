"""From text to hashed features of the embedded scorer: the same code in training and in scoring.

Names of groups (``identities.txt``) become one sign before anything is counted. So no weight can rest on a
group's name, and a sentence gets one score whichever listed group it speaks of. Features are hashed: no
vocabulary is stored.
"""

from __future__ import annotations

import html
import re
import zlib
from collections.abc import Sequence
from functools import cache
from importlib.resources import files

import numpy as np
from numpy.typing import NDArray

IDENTITY = "\u25c6"
"""The sign that stands for every listed group."""

WORD_BUCKETS = 1 << 18
CHAR_BUCKETS = 1 << 17

_CACHE_WORDS = 200_000
_QUOTES = str.maketrans({"\u2019": "'", "\u2018": "'", "\u201c": '"', "\u201d": '"', IDENTITY: " "})
_NOISE = re.compile(r"https?://\S+|www\.\S+|@\w+|\[(?:user|url)\]|<(?:user|number|url|percent|date)>|_x000d_|\brt\b:?")
_RUN = re.compile(r"(.)\1{2,}", re.DOTALL)
_SPACED = re.compile(r"(?<!\w)\w(?:[ .*_-]\w){3,}(?!\w)")
_PEOPLE = re.compile(rf"{IDENTITY}(?:[\s-]+(?:people|persons?|folks?|individuals?|guys?|{IDENTITY}))+(?!\w)")
_WORD = re.compile(rf"{IDENTITY}|\w+(?:'\w+)*|[!?.,\"]|[^\w\s]")
_MULTIPLIER = np.uint64(0x9E3779B97F4A7C15)


@cache
def _identities() -> re.Pattern[str]:
    """Listed names, longest first, as whole words."""
    lines = files("audit.scorers").joinpath("identities.txt").read_text(encoding="utf-8").splitlines()
    names = sorted({line for line in lines if line and not line.startswith("#")}, key=lambda n: (-len(n), n))
    return re.compile(rf"(?<!\w)(?:{'|'.join(map(re.escape, names))})(?!\w)")


def normalise(text: str) -> str:
    """Lower case, addresses and mentions dropped, letter runs and spaced spelling joined, groups made one sign."""
    text = html.unescape(text).translate(_QUOTES).lower()
    text = _NOISE.sub(" ", text)
    text = _RUN.sub(r"\1\1", text)
    text = _SPACED.sub(lambda match: re.sub(r"[ .*_-]", "", match[0]), text)
    text = _identities().sub(IDENTITY, text)
    return _PEOPLE.sub(IDENTITY, text)


def words(text: str) -> list[str]:
    """Words and punctuation marks of a text, normalised."""
    return _WORD.findall(normalise(text))


def _crc(text: str) -> int:
    return zlib.crc32(text.encode("utf-8", "surrogatepass"))


class Hasher:
    """Turns texts into bucket numbers; remembers words it has seen, since words repeat."""

    def __init__(self) -> None:
        self._seen: dict[str, tuple[int, NDArray[np.int64]]] = {}

    def __call__(self, texts: Sequence[str]) -> tuple[Features, Features]:
        """Features of texts: of words, of characters.

        Args:
            texts: the texts, [n].

        Returns:
            Word features (single words, pairs up to three apart, triples) and character features (2- to 5-grams
            within words).
        """
        if len(self._seen) > _CACHE_WORDS:
            self._seen.clear()
        hashes: list[int] = []
        grams: list[NDArray[np.int64]] = []
        counts, gram_counts = [], []
        for text in texts:
            known = [self._word(word) for word in ("\u25b8", *words(text), "\u25c2")]
            hashes.extend(h for h, _ in known)
            counts.append(len(known))
            parts = [g for _, g in known]
            grams.extend(parts)
            gram_counts.append(sum(map(len, parts)))
        row = np.repeat(np.arange(len(texts)), counts)
        chars = np.concatenate([np.empty(0, np.int64), *grams])
        char_row = np.repeat(np.arange(len(texts)), gram_counts)
        return _word_features(np.array(hashes, np.uint64), row, len(texts)), Features(chars, char_row, len(texts))

    def _word(self, word: str) -> tuple[int, NDArray[np.int64]]:
        known = self._seen.get(word)
        if known is None:
            framed = f"<{word[:40]}>"
            grams = [framed[i : i + n] for n in (2, 3, 4, 5) for i in range(len(framed) - n + 1)]
            skip = word == IDENTITY or not word[0].isalnum()
            ids = [] if skip else [_crc(gram) % CHAR_BUCKETS for gram in grams]
            known = self._seen[word] = (_crc(word), np.array(ids, np.int64))
        return known


class Features:
    """Bucket numbers of many texts, laid end to end.

    Args:
        ids: bucket numbers, [m].
        rows: which text each belongs to, [m].
        n: number of texts.
    """

    def __init__(self, ids: NDArray[np.int64], rows: NDArray[np.int64], n: int) -> None:
        self.ids = ids
        self.rows = rows
        self.n = n

    def scale(self) -> NDArray[np.float64]:
        """1 / sqrt(features) per text, [n]: long and short texts weigh alike."""
        return 1.0 / np.sqrt(np.maximum(np.bincount(self.rows, minlength=self.n), 1))


def _word_features(h: NDArray[np.uint64], row: NDArray[np.int64], n: int) -> Features:
    """Words, pairs at distance 1 to 3, and triples, within one text."""
    ids, rows = [h], [row]
    for distance in (1, 2, 3):
        same = row[:-distance] == row[distance:]
        ids.append(_mix(h[:-distance], h[distance:], distance)[same])
        rows.append(row[:-distance][same])
    same = row[:-2] == row[2:]
    ids.append(_mix(_mix(h[:-2], h[1:-1], 4), h[2:], 5)[same])
    rows.append(row[:-2][same])
    buckets = (_mix(np.concatenate(ids), np.uint64(0), 6) >> np.uint64(20)) % np.uint64(WORD_BUCKETS)
    return Features(buckets.astype(np.int64), np.concatenate(rows), n)


def _mix(a: NDArray[np.uint64], b: NDArray[np.uint64] | np.uint64, salt: int) -> NDArray[np.uint64]:
    """A number that depends on both and on their order; arithmetic modulo 2^64."""
    mixed = (a * _MULTIPLIER + b + np.uint64(salt)) * _MULTIPLIER
    return mixed ^ (mixed >> np.uint64(29))
