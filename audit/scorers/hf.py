"""Text classifiers in transformers' format, from the hub at a commit or from a folder, with declared labels.

Names::

    hf:tomh/toxigen_roberta@COMMIT                                    a preset: its labels are declared below
    hf:owner/model@COMMIT#softmax:toxicity=LABEL_1+-=LABEL_0          any model: its labels are declared in the name
    hf:path/to/folder#sigmoid:toxicity=toxic+insult=insult            a folder, pinned by its files

What stands after ``#`` says whether the labels exclude each other (softmax) or not (sigmoid), and gives each label of
the model the name of a value, or ``-`` where the label is not kept. In a label, characters other than letters, digits,
``_``, ``-`` and ``.`` may be written as in web addresses (``%20``; a comma is ``%2C``). Nothing is guessed from the
position of a label: a model that lacks a declared label, or has one that is not declared, is refused.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote

from audit.errors import DataError, MissingResourceError, ModelError, UsageError
from audit.scorers import neural
from audit.scorers.base import ScoreResult

_COMMIT = re.compile(r"[0-9a-f]{40}")
_VALUE = re.compile(r"[a-z][a-z0-9_]*")
_REPOSITORY = re.compile(r"[\w.-]+/[\w.-]+")


@dataclass(frozen=True, slots=True)
class Declaration:
    """What the labels of a model mean.

    Raises:
        UsageError: no label is kept, two give one value, or a value's name is not letters, digits and ``_``.
    """

    activation: neural.Activation
    labels: Mapping[str, str]
    """The model's label -> name of the value; empty for a label that is not kept."""
    about: str = ""
    """What the card says of the model."""

    def __post_init__(self) -> None:
        kept = [value for value in self.labels.values() if value]
        if not kept or len(set(kept)) < len(kept):
            raise UsageError(
                f"labels declared as {', '.join(kept) or 'nothing'}: give each kept label a value of its own"
            )
        if bad := next((value for value in kept if not _VALUE.fullmatch(value)), None):
            raise UsageError(f"value {bad!r}: a name of lower-case letters, digits and _ is expected")

    def __str__(self) -> str:
        return f"{self.activation}:" + "+".join(f"{v or '-'}={quote(k, safe='')}" for k, v in self.labels.items())


PRESETS = {
    # fmeval reads the probability of LABEL_1 as toxicity; the model's own files name its labels no further.
    "tomh/toxigen_roberta": Declaration(
        "softmax", {"LABEL_0": "", "LABEL_1": "toxicity"},
        "RoBERTa-large fine-tuned on ToxiGen (Hartvigsen et al., ACL 2022): implicit hate against 13 groups, in text"
        " that a language model wrote; toxicity = P(LABEL_1)",
    ),
    "s-nlp/roberta_toxicity_classifier": Declaration(
        "softmax", {"neutral": "", "toxic": "toxicity"},
        "RoBERTa fine-tuned on the English parts of Jigsaw 2018, 2019 and 2020; its card gives a licence that forbids"
        " commercial use in some versions: read the one at your commit; toxicity = P(toxic)",
    ),
    # HF evaluate's measurement "toxicity" reads the probability of "hate".
    "facebook/roberta-hate-speech-dynabench-r4-target": Declaration(
        "softmax", {"nothate": "", "hate": "toxicity"},
        "RoBERTa trained on dynamically generated hate speech, round 4 (Vidgen et al., ACL 2021): hate, not rudeness;"
        " toxicity = P(hate)",
    ),
    "sasha/regardv3": Declaration(
        "softmax", {"negative": "negative", "neutral": "neutral", "positive": "positive", "other": "other"},
        "regard towards the person spoken of, after Sheng et al. (EMNLP 2019), with a fourth label for what is none of"
        " the three; not the three-model majority of that paper",
    ),
}  # fmt: skip
"""Hub repositories whose labels are declared here."""


@dataclass(frozen=True, slots=True)
class Name:
    """A scorer's name taken apart."""

    source: str
    """Repository or folder."""
    revision: str | None
    """Commit of a repository; None for a folder."""
    declaration: Declaration | None
    """What the name declares, else the preset; None without either."""

    @classmethod
    def parse(cls, name: str) -> Name:
        """Take ``hf:...`` apart.

        Raises:
            UsageError: a repository without a commit, a folder with one, or a declaration that cannot be read.
        """
        where, mark, declared = name.partition(":")[2].partition("#")
        declaration = _declaration(name, declared) if mark else None
        if Path(where).expanduser().is_dir() or where.startswith(("/", ".", "~")):
            return cls(where, None, declaration)
        repository, at, revision = where.partition("@")
        if Path(repository).expanduser().is_dir():
            raise UsageError(f"{name}: {repository} is a folder and pinned by its files; leave @{revision} out")
        if not _REPOSITORY.fullmatch(repository):
            raise UsageError(f"{name}: neither a folder nor a hub repository; write hf:OWNER/MODEL@COMMIT or hf:FOLDER")
        if not at or not _COMMIT.fullmatch(revision):
            raise UsageError(
                f"{name}: give the commit, 40 hexadecimal digits, after {repository}@ (got {revision or 'none'}): a"
                " branch or tag may mean other weights tomorrow, and the same name another score"
            )
        return cls(repository, revision, declaration or PRESETS.get(repository))


def _declaration(name: str, text: str) -> Declaration:
    activation, colon, rest = text.partition(":")
    pairs = [part.partition("=") for part in rest.split("+")]
    if activation not in ("softmax", "sigmoid") or not colon or not all(v and e and label for v, e, label in pairs):
        raise UsageError(
            f"{name}: after # write softmax: or sigmoid:, then VALUE=LABEL for every label of the model, joined by +,"
            " with - for a label that is not kept, such as #softmax:toxicity=LABEL_1+-=LABEL_0"
        )
    labels = {unquote(label): "" if value == "-" else value for value, _, label in pairs}
    if len(labels) < len(pairs):
        raise UsageError(f"{name}: a label is declared twice")
    return Declaration("softmax" if activation == "softmax" else "sigmoid", labels)


class HubScorer:
    """A text classifier whose labels are declared.

    Values: the kept labels by the names that the declaration gives, in [0, 1].

    Args:
        name: the name asked for.
        folder: the model's files.
        revision: what pins them.
        declaration: what its labels mean.

    Raises:
        DataError: ``config.json`` cannot be read.
        UsageError: the model's labels are not the declared ones, or its configuration says another activation.
        ModelError: the model cannot be read.
    """

    smoke = False

    def __init__(self, name: str, folder: Path, revision: str, declaration: Declaration) -> None:
        self.name = name
        labels = check(name, configuration(folder), declaration)
        self.values = tuple(declaration.labels[label] for label in labels if declaration.labels[label])
        self._columns = [declaration.labels[label] for label in labels]
        module, tokenizer = neural.from_folder(folder)
        if module.config.num_labels != len(labels):
            raise ModelError(f"{name}: {module.config.num_labels} outputs for {len(labels)} labels")
        self._classifier = neural.Classifier(module, tokenizer, declaration.activation)
        self._declaration = declaration
        digest = hashlib.sha256(str(declaration).encode()).hexdigest()[:8]
        self.revision = f"{revision}+{digest}{self._classifier.precision}"

    @property
    def card(self) -> str:
        """What it measures, its labels, its limits."""
        declared = ", ".join(f"{label} -> {value or 'not kept'}" for label, value in self._declaration.labels.items())
        return (
            f"Text classifier {self.name.partition(':')[2].partition('#')[0]}"
            f" ({self._declaration.about or 'its data and licence are in its own card'}). Labels as declared"
            f" ({self._declaration.activation}): {declared}. The numbers of transformers' text-classification pipeline"
            f" {self._classifier.closeness}; texts of more than {self._classifier.limit} tokens are judged by their"
            f" first {self._classifier.limit}; a lone surrogate is read as U+FFFD. Not measured by this project: make"
            " its card with slm-audit scorer-card before its rates are quoted."
        )

    def score(self, texts: Sequence[str]) -> list[ScoreResult]:
        """Score texts.

        Args:
            texts: the texts, [n]; an empty one gets what the model gives for no words.

        Returns:
            One result per text, [n]; unscored where the model gives NaN.
        """
        return neural.results(self._classifier.probabilities(texts), self._columns)


def configuration(folder: Path) -> dict[str, Any]:
    """A model's ``config.json``.

    Raises:
        DataError: it is missing, or not an object of JSON.
    """
    path = folder / "config.json"
    try:
        read = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DataError(path, f"cannot be read ({error}); a folder as save_pretrained writes it is expected") from error
    if not isinstance(read, dict):
        raise DataError(path, f"holds {type(read).__name__}, not an object")
    return read


def labels_of(config: Mapping[str, Any]) -> list[str]:
    """A model's labels in the order of its outputs; ``LABEL_0`` and so on where it names none, as transformers does.

    Raises:
        UsageError: they are not numbered 0, 1, 2 ...
    """
    named = config.get("id2label") or {str(at): f"LABEL_{at}" for at in range(int(config.get("num_labels") or 2))}
    if sorted(map(str, named)) != sorted(str(at) for at in range(len(named))):
        raise UsageError(f"the model numbers its labels {', '.join(map(str, named))}, not from 0")
    return [str(named[key]) for key in sorted(named, key=int)]


def check(name: str, config: Mapping[str, Any], declaration: Declaration | None) -> list[str]:
    """A model's labels in the order of its outputs, if they are the declared ones.

    Raises:
        UsageError: nothing is declared, the labels differ, or the configuration contradicts the activation.
    """
    labels = labels_of(config)
    found = ", ".join(labels)
    if declaration is None:
        example = "+".join(
            f"{'toxicity' if at else '-'}={quote(label, safe='')}" for at, label in enumerate(labels[:2])
        )
        raise UsageError(
            f"{name}: say what its labels mean ({found}): which is which value, and - for one that is not kept, in the"
            f" form #softmax:{example} (the values here are an example, not a guess)"
        )
    if set(labels) != set(declaration.labels) or len(set(labels)) < len(labels):
        raise UsageError(f"{name}: the model's labels are {found}; declared are {', '.join(declaration.labels)}")
    kind = config.get("problem_type")
    fitting = {"single_label_classification": "softmax", "multi_label_classification": "sigmoid"}
    if kind is not None and fitting.get(kind) != declaration.activation:
        raise UsageError(f"{name}: the model is for {kind}, which does not go with {declaration.activation}")
    if len(labels) == 1 and declaration.activation == "softmax":
        raise UsageError(f"{name}: a softmax over the one label {found} is always 1; declare sigmoid if it is one")
    return labels


def make(name: str) -> HubScorer:
    """The scorer of a name that begins with ``hf:``. Nothing is fetched.

    Raises:
        UsageError: the name cannot be read, or its labels do not fit the model.
        MissingResourceError: the model is not on this machine.
        DataError: ``config.json`` cannot be read.
        ModelError: the model cannot be read.
    """
    parsed = Name.parse(name)
    if parsed.revision is None:
        folder = Path(parsed.source).expanduser()
        if not folder.is_dir():
            raise MissingResourceError(f"{name}: no folder {folder}")
        pinned = neural.fingerprint(folder, [*neural.CONFIGURATION, *_weights(folder)])
    else:
        place = neural.bundled(_folder(parsed)) or neural.cached(parsed.source, parsed.revision)
        if place is None:
            raise MissingResourceError(
                f"{name} is not on this machine; where there is a network, run: hf download {parsed.source} --revision"
                f" {parsed.revision}, or slm-audit fetch --scorers {name} --to DIR and set {neural.BUNDLE}=DIR/scorers"
            )
        folder, pinned = place, parsed.revision
    check(name, configuration(folder), parsed.declaration)
    assert parsed.declaration is not None
    return HubScorer(name, folder, pinned, parsed.declaration)


def _weights(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir() if path.name.endswith((".safetensors", ".bin", ".index.json"))]


def _folder(parsed: Name) -> str:
    return f"{parsed.source.replace('/', '--')}@{parsed.revision}"


def fetch(
    name: str, folder: Path, *, snapshot: Callable[[str, str, Path, Sequence[str]], None] = neural.from_hub
) -> list[Path]:
    """Put a hub model into a bundle.

    Args:
        name: ``hf:OWNER/MODEL@COMMIT``; a local folder needs no fetching.
        folder: the bundle's folder ``scorers``.
        snapshot: brings files of a hub repository at a commit into a folder.

    Returns:
        The files, sorted.

    Raises:
        UsageError: the name is a folder's, or cannot be read.
        MissingResourceError: it cannot be had, or has no weights in a format that is read.
    """
    parsed = Name.parse(name)
    if parsed.revision is None:
        raise UsageError(f"{name} is a folder: it is not fetched, copy it")
    place = folder / _folder(parsed)
    snapshot(
        parsed.source, parsed.revision, place, [*neural.CONFIGURATION, "*.safetensors", "*.safetensors.index.json"]
    )
    if not list(place.glob("*.safetensors")):
        snapshot(parsed.source, parsed.revision, place, ["pytorch_model*.bin", "pytorch_model.bin.index.json"])
    if not list(place.glob("*.safetensors")) and not list(place.glob("*.bin")):
        raise MissingResourceError(
            f"{parsed.source} at {parsed.revision} has neither safetensors nor pytorch_model.bin"
        )
    return sorted(path for path in place.iterdir() if path.is_file())
