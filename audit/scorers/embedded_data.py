"""The public sets that train and measure the embedded scorer, read from the folder in ``SLM_AUDIT_DATA``.

Every file's content is checked against its sha256. None of these texts is part of the package.
"""

from __future__ import annotations

import csv
import gzip
import hashlib
import io
import json
import os
import random
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

from audit.errors import DataError, MissingResourceError

Labelled = tuple[str, int]
"""A text and its label: 1 toxic, 0 not."""

CONTRAST_CAP = 60
"""Sentences drawn from one contrast pattern, so that patterns with many alternatives do not drown the
others."""

_ALTERNATIVES = re.compile(r"\[([^\[\]]*)\]")
_SPACES = re.compile(r" +")
_CONTRAST_GROUPS = ("mexicans", "muslims", "gay people", "women", "disabled people", "immigrants")


@dataclass(frozen=True, slots=True)
class Source:
    """One public set."""

    name: str
    path: str
    """Below the data folder; a folder stands for its files in order of name."""
    upstream: str
    """owner/repository@commit."""
    license: str
    sha256: str
    """Of the content, decompressed; for a folder, of its files' contents one after the other."""
    weight: float = 0.0
    """Weight of one of its texts in training; 0 for a set that only measures."""
    use: str = ""
    """Which rows are taken, and how they are labelled."""


TRAINING = (
    Source(
        "davidson",
        "davidson/labeled_data.csv.gz",
        "t-davidson/hate-speech-and-offensive-language@cb50f7e9eb85",
        "MIT",
        "fcb8bc7c68120ae4af04a5b9acd58585513ede11e1548ebf36a5c2040b6f6281",
        0.5,
        "hate against neither; 'offensive' left out, since it marks dialect more than offence (Sap et al. 2019)",
    ),
    Source(
        "hatexplain",
        "hatexplain/hatexplain_flat.csv.gz",
        "Media-Bias-Group/MBIB@b9a887ffd461",
        "MIT (HateXplain)",
        "fc8d5437a6a50d4d4083a60effc0ccbea8df788487c7b3ab50d88a77c3ba023b",
        1.0,
        "hate and offensive against normal; undecided left out",
    ),
    Source(
        "implicit-hate",
        "implicit_hate/implicit_hate_v1_stg1_posts.tsv.gz",
        "tonazzog/implicit-hate@172e694b83d8",
        "CC BY 4.0",
        "00811aca26d05ace390e7131eb311a3e9e0e39ecadb2b839a173d4f7e2ccea8b",
        1.0,
        "implicit and explicit hate against the rest",
    ),
    Source(
        "implied-statements",
        "implicit_hate/implicit_hate_v1_stg3_posts.tsv.gz",
        "tonazzog/implicit-hate@172e694b83d8",
        "CC BY 4.0",
        "35985c6b642da3e2b77206c36f20aac1ca6ea40c442d6ce7b7ce4e6315dd1972",
        0.1,
        "what annotators say a post implies; all toxic",
    ),
    Source(
        "edos",
        "edos_sexism/edos_labelled_aggregated.csv.gz",
        "rewire-online/edos@b1f1fbcca9d4",
        "CC0-1.0",
        "607bdbb766e1803a28f0eb8fc21c14b6b9dfa20039f726ba6767438584b47f9b",
        1.0,
        "sexist against not",
    ),
    Source(
        "paradetox",
        "paradetox/paradetox.tsv.gz",
        "s-nlp/paradetox@d97b17d08135",
        "CC0-1.0",
        "6e5e80def7deaf4a3410f7de6c638c13f100ce5ece09ee84a47f6f14ab69a0cd",
        0.2,
        "toxic sentences against their first and second neutral paraphrase",
    ),
    Source(
        "surge",
        "surge_toxicity/toxicity_en.csv",
        "surge-ai/toxicity@ea80324b95ed",
        "MIT",
        "3bfcdd54ab90c8bab232235226a00e28b0d457c3c19e87230f73dde1880e6c44",
        1.0,
        "toxic against not",
    ),
    Source(
        "toxigen-prompts",
        "toxigen_prompts/prompts",
        "microsoft/TOXIGEN@01517e814639",
        "MIT + CDLA-Permissive-2.0",
        "cf5350303a316b6b980c4df88d5f8c6d4c8c62bf0478ea6f0c5b5ece61d5a6b0",
        8.0,
        "the distinct sentences in hate and in neutral prompts",
    ),
    Source(
        "seegull",
        "seegull/stereotypes_global_v2.csv",
        "google-research-datasets/seegull@0dc4db9f6921",
        "CC BY 4.0",
        "0262db0b96c402e9340c88ee3e176af3591ff9f33fbf81541d35afbb7a81157d",
        0.5,
        "'(group) are (attribute)': offensiveness of 1 and over against 0 and under",
    ),
    Source(
        "winogenerated",
        "winogenerated/winogenerated_examples.jsonl",
        "anthropics/evals@84fcc677e52e",
        "CC BY 4.0",
        "ae1bcb182377937a52e7a1e3da905462b623d806bff7ac06b2c89dd23136a57c",
        0.5,
        "plain sentences about people at work; all not toxic",
    ),
    Source(
        "winogender",
        "winogender/all_sentences.tsv",
        "rudinger/winogender-schemas@1c7f8b481ad8",
        "MIT",
        "bd69da16bf228cb8df63fd0843aec2d8b5c36a7f21bf8c7b168bcc83932556c8",
        0.5,
        "plain sentences about people at work; all not toxic",
    ),
)

CONTRAST_WEIGHT = 3.0

HATECHECK = Source(
    "hatecheck",
    "hatecheck/test_suite_cases.csv",
    "paul-rottger/hatecheck-data@d84302298cee",
    "CC BY 4.0",
    "ecf0dc1e93fccc90b6f880e632b19e635c0f0a68b3157915a9e20b6938f121cf",
)
TOXIGEN = Source(
    "toxigen-human",
    "safenlp_safety_score/toxiGen.json",
    "microsoft/SafeNLP@e351b6cb8922",
    "MIT + CDLA-Permissive-2.0",
    "42863b997f545833b8c9bfe7fc950aeaccc274d49f7386384db147face745fc3",
)
MADLIBS = Source(
    "madlibs",
    "unintended_bias_madlibs/en_sentence_templates.csv.gz",
    "conversationai/unintended-ml-bias-analysis@9c7d91aaa534",
    "Apache-2.0",
    "8ed7d07f61000a95a2e18747b8f1fbf43d75257cd342cddef1f3533254374633",
)
MADLIBS_WORDS = Source(
    "madlibs-words",
    "unintended_bias_madlibs/input_words.csv",
    "conversationai/unintended-ml-bias-analysis@9c7d91aaa534",
    "Apache-2.0",
    "1cca05c17d7ed990125cbdccca6ca15d469dffd1daa363cecd87de6b26305e47",
)


@dataclass(frozen=True, slots=True)
class Case:
    """One text that measures the scorer."""

    text: str
    label: int
    """1 toxic, 0 not."""
    groups: tuple[str, ...]
    """Whom it speaks of."""
    kind: str
    """Functionality, template, or empty."""
    cluster: str
    """Cases of one cluster share their wording."""


def folder() -> Path:
    """The data folder.

    Raises:
        MissingResourceError: ``SLM_AUDIT_DATA`` is not set, or is no folder.
    """
    name = os.environ.get("SLM_AUDIT_DATA", "")
    if not name:
        raise MissingResourceError("SLM_AUDIT_DATA is not set; set it to the folder that holds the public sets")
    if not Path(name).is_dir():
        raise MissingResourceError(f"SLM_AUDIT_DATA names no folder: {name!r}")
    return Path(name)


def content(source: Source, root: Path) -> str:
    """Text of a set's file, or of its files one after the other, checked.

    Raises:
        MissingResourceError: it is not there.
        DataError: its sha256 is not the one declared.
    """
    path = root / source.path
    parts = sorted(path.iterdir()) if path.is_dir() else [path]
    try:
        data = b"".join(gzip.decompress(p.read_bytes()) if p.suffix == ".gz" else p.read_bytes() for p in parts)
    except FileNotFoundError as error:
        raise MissingResourceError(f"{path} is missing; it is {source.path} of {source.upstream}") from error
    digest = hashlib.sha256(data).hexdigest()
    if digest != source.sha256:
        raise DataError(path, f"sha256 is {digest}, expected {source.sha256} ({source.upstream})")
    return data.decode("utf-8", "replace")


def _table(text: str, delimiter: str = ",") -> Iterator[dict[str, str]]:
    csv.field_size_limit(1 << 24)
    return csv.DictReader(io.StringIO(text, newline=""), delimiter=delimiter)


def _davidson(text: str) -> Iterator[Labelled]:
    return ((r["tweet"], int(r["class"] == "0")) for r in _table(text) if r["class"] != "1")


def _hatexplain(text: str) -> Iterator[Labelled]:
    return ((r["text"], int(r["category"][0] in "12")) for r in _table(text) if r["category"][0] in "012")


def _implicit(text: str) -> Iterator[Labelled]:
    return ((r["post"], int(r["class"] != "not_hate")) for r in _table(text, "\t"))


def _implied(text: str) -> Iterator[Labelled]:
    return ((r["implied_statement"], 1) for r in _table(text, "\t") if r["implied_statement"])


def _edos(text: str) -> Iterator[Labelled]:
    return ((r["text"], int(r["label_sexist"] == "sexist")) for r in _table(text))


def _paradetox(text: str) -> Iterator[Labelled]:
    for r in _table(text, "\t"):
        yield r["toxic"], 1
        yield from ((r[key], 0) for key in ("neutral1", "neutral2") if r[key])


def _surge(text: str) -> Iterator[Labelled]:
    return ((r["text"], int(r["is_toxic"] == "Toxic")) for r in _table(text))


def _seegull(text: str) -> Iterator[Labelled]:
    for r in _table(text):
        score = r["mean offensiveness_score"]
        offensive = 0.0 if score in ("", "NA") else float(score)
        if offensive >= 1 or offensive <= 0:
            yield f"immigrants are {r['attribute']}", int(offensive >= 1)


def _winogenerated(text: str) -> Iterator[Labelled]:
    for line in text.splitlines():
        record = json.loads(line)
        yield record["sentence_with_blank"].replace("_", record["pronoun_options"][-1]), 0


def _winogender(text: str) -> Iterator[Labelled]:
    return ((r["sentence"], 0) for r in _table(text, "\t"))


_READERS: dict[str, Callable[[str], Iterator[Labelled]]] = {
    "davidson": _davidson,
    "hatexplain": _hatexplain,
    "implicit-hate": _implicit,
    "implied-statements": _implied,
    "edos": _edos,
    "paradetox": _paradetox,
    "surge": _surge,
    "seegull": _seegull,
    "winogenerated": _winogenerated,
    "winogender": _winogender,
}


def _toxigen_prompts(source: Source, root: Path) -> list[Labelled]:
    """Sentences packed into prompt lines, a literal backslash-n between them; the file's name is the label."""
    content(source, root)
    found: set[Labelled] = set()
    for path in sorted((root / source.path).iterdir()):
        label = int(path.name.startswith("hate_"))
        for line in gzip.decompress(path.read_bytes()).decode("utf-8", "replace").splitlines():
            pieces = (piece.strip().lstrip("-").strip() for piece in line.split("\\n"))
            found.update((piece, label) for piece in pieces if piece)
    return sorted(found)


def training_set(source: Source, root: Path) -> list[Labelled]:
    """Distinct labelled texts of one training set, in a fixed order."""
    if source.name == "toxigen-prompts":
        return _toxigen_prompts(source, root)
    return list(dict.fromkeys(_READERS[source.name](content(source, root))))


def contrast() -> list[Labelled]:
    """Sentences written for this project: ``contrast.jsonl``, its alternatives written out.

    ``[a|b]`` stands for a or b, ``{g}`` for a group; at most :data:`CONTRAST_CAP` are drawn from a pattern.
    """
    random_state = random.Random(0)  # noqa: S311  a fixed draw, no secret
    found: dict[Labelled, None] = {}
    lines = files("audit.scorers").joinpath("contrast.jsonl").read_text(encoding="utf-8").splitlines()
    for number, line in enumerate(lines):
        record = json.loads(line)
        group = _CONTRAST_GROUPS[number % len(_CONTRAST_GROUPS)]
        for sentence in _written_out(record["text"], random_state):
            found[_SPACES.sub(" ", sentence).strip().replace("{g}", group), record["label"]] = None
    return list(found)


def _written_out(pattern: str, random_state: random.Random) -> Iterator[str]:
    parts = [part.split("|") if i % 2 else [part] for i, part in enumerate(_ALTERNATIVES.split(pattern))]
    total = 1
    for options in parts:
        total *= len(options)
    chosen = range(total) if total <= CONTRAST_CAP else sorted(random_state.sample(range(total), CONTRAST_CAP))
    for number in chosen:
        pieces = []
        for options in reversed(parts):
            number, which = divmod(number, len(options))
            pieces.append(options[which])
        yield "".join(reversed(pieces))


def hatecheck(root: Path) -> list[Case]:
    """HateCheck's 3,728 cases (Röttger et al. 2021); kind is the functionality, cluster the template."""
    return [
        Case(
            r["test_case"],
            int(r["label_gold"] == "hateful"),
            (r["target_ident"] or "none",),
            r["functionality"],
            r["templ_id"],
        )
        for r in _table(content(HATECHECK, root))
    ]


def toxigen(root: Path) -> list[Case]:
    """The human-labelled ToxiGen sentences as SafeNLP keeps them (Hosseini et al. 2023)."""
    return [
        Case(r["text"], int(r["label"] == "hate"), tuple(r["target_groups"]), "", r["text"])
        for r in json.loads(content(TOXIGEN, root))
    ]


def madlibs(root: Path) -> list[Case]:
    """Identity-term templates (Dixon et al. 2018); a case's groups are the identity terms it contains."""
    terms = [r["word"].lower() for r in _table(content(MADLIBS_WORDS, root)) if r["type"] == "identity"]
    pattern = re.compile(rf"(?<!\w)(?:{'|'.join(sorted(map(re.escape, terms), key=len, reverse=True))})(?!\w)")
    return [
        Case(
            r["phrase"],
            int(r["toxicity"] == "toxic"),
            tuple(pattern.findall(r["phrase"].lower())),
            r["template"],
            r["phrase"],
        )
        for r in _table(content(MADLIBS, root))
    ]
