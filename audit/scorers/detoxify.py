"""Detoxify's classifiers by their own files: same numbers as ``Detoxify.predict``, without unpickling code.

Names: ``detoxify:original``, ``:unbiased``, ``:multilingual``, ``:original-small``, ``:unbiased-small`` for the release
files (github.com/unitaryai/detoxify), and ``detoxify:CHECKPOINT`` or ``detoxify:CHECKPOINT@FOLDER`` for a file in the
same format, with the configuration and tokenizer in its own folder or in FOLDER.

The package ``detoxify`` reads its files with ``weights_only=False``, which runs whatever code a file carries; this
module reads tensors and plain values only. A release file's name ends in the first eight digits of its sha256 (the
convention of ``torch.hub``), and a file with another hash is refused.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from audit.errors import DataError, MissingResourceError, UnknownNameError, UsageError
from audit.provenance import sha256_file
from audit.scorers import neural
from audit.scorers.base import ScoreResult


@dataclass(frozen=True, slots=True)
class Release:
    """A published checkpoint, and the hub repository that its configuration and tokenizer come from."""

    path: str
    """Tag and file name below the releases of unitaryai/detoxify."""
    repository: str
    revision: str
    """Commit of ``repository``."""
    data: str
    """What it was trained on, for the card."""

    @property
    def file(self) -> str:
        """Name of the checkpoint file."""
        return self.path.rpartition("/")[2]

    @property
    def digits(self) -> str:
        """First eight digits of the file's sha256."""
        return Path(self.file).stem.rpartition("-")[2]


URL = "https://github.com/unitaryai/detoxify/releases/download/"
_ORIGINAL = "Wikipedia talk page comments (Jigsaw Toxic Comment Classification Challenge, 2018)"
_UNBIASED = "Civil Comments (Jigsaw Unintended Bias in Toxicity Classification, 2019)"
_BERT = ("bert-base-uncased", "86b5e0934494bd15c9632b12f734a8a67f723594")
_ROBERTA = ("roberta-base", "e2da8e2f811d1448a5b465c236feacd80ffbac7b")
_XLM_ROBERTA = ("xlm-roberta-base", "e73636d4f797dec63c3081bb6ed5c7b0bb3f2089")
_ALBERT = ("albert-base-v2", "8e2f239c5f8a2c0f253781ca60135db913e5c80c")
RELEASES = {
    "original": Release("v0.1-alpha/toxic_original-c1212f89.ckpt", *_BERT, _ORIGINAL),
    "unbiased": Release("v0.3-alpha/toxic_debiased-c7548aa0.ckpt", *_ROBERTA, _UNBIASED),
    "multilingual": Release(
        "v0.4-alpha/multilingual_debiased-0b549669.ckpt", *_XLM_ROBERTA,
        f"{_UNBIASED}, translated, and Jigsaw Multilingual Toxic Comment Classification (2020)",
    ),
    "original-small": Release("v0.1.2/original-albert-0e1d6498.ckpt", *_ALBERT, _ORIGINAL),
    "unbiased-small": Release("v0.1.2/unbiased-albert-c8519128.ckpt", *_ALBERT, _UNBIASED),
}  # fmt: skip
"""The files that Detoxify 0.5.4 names in its ``MODEL_URLS``."""

# The package gives these three labels one name in all its models.
_NAMES = {"toxic": "toxicity", "identity_hate": "identity_attack", "severe_toxic": "severe_toxicity"}


class DetoxifyScorer:
    """A checkpoint in Detoxify's format.

    Values: every label of the checkpoint as the package names it (``toxicity``, ``severe_toxicity``, ``obscene``, ...),
    each a sigmoid of its own, in [0, 1], higher is more of it.

    Args:
        name: the name asked for.
        checkpoint: the file.
        folder: configuration and tokenizer.
        pinned: what pins ``folder``.
        about: what the card says of the file.

    Raises:
        DataError: the checkpoint lacks what it must hold.
        ModelError: the file cannot be read, or does not go with the configuration.
    """

    smoke = False

    def __init__(self, name: str, checkpoint: Path, folder: Path, pinned: str, about: str) -> None:
        self.name = name
        self._about = about
        self._checkpoint, self._pinned = checkpoint, pinned
        loaded = neural.read_checkpoint(checkpoint)
        try:
            arch = loaded["config"]["arch"]["args"]
            classes = [str(label) for label in loaded["config"]["dataset"]["args"]["classes"]]
            names, outputs = (arch["model_name"], arch["tokenizer_name"]), arch["num_classes"]
            state = loaded["state_dict"]
        except (KeyError, TypeError) as error:
            raise DataError(
                checkpoint, f"lacks {error}; a Detoxify checkpoint holds config (arch, dataset) and state_dict"
            ) from error
        self.values = tuple(_NAMES.get(label, label) for label in classes)
        # The release `unbiased` has outputs for identities too, behind those that it names.
        if not classes or len(set(self.values)) < len(classes) or outputs < len(classes):
            raise DataError(checkpoint, f"names {len(classes)} labels ({', '.join(classes)}) for {outputs} outputs")
        module, tokenizer = neural.from_state(names, outputs, state, folder)
        self._classifier = neural.Classifier(module, tokenizer, "sigmoid")

    @cached_property
    def revision(self) -> str:
        """sha256 of the checkpoint, what pins configuration and tokenizer, the arithmetic where not float32."""
        return f"{sha256_file(self._checkpoint)}+{self._pinned}{self._classifier.precision}"

    @property
    def card(self) -> str:
        """What it measures, from what, and its limits."""
        return (
            f"Detoxify ({self._about}). Values: {', '.join(self.values)}; sigmoid each, the numbers of Detoxify.predict"
            f" {self._classifier.closeness}. Texts of more than {self._classifier.limit} tokens are judged by their"
            f" first {self._classifier.limit}, as Detoxify does; a lone surrogate is read as U+FFFD. Code Apache-2.0."
            " Its authors name the blind spots: swear words and names of groups raise the score whatever is meant,"
            " irony and implicit hate pass. Scores follow what crowd workers called toxic on those sites."
        )

    def score(self, texts: Sequence[str]) -> list[ScoreResult]:
        """Score texts.

        Args:
            texts: the texts, [n]; an empty one gets what the model gives for no words.

        Returns:
            One result per text, [n]; unscored where the model gives NaN.
        """
        return neural.results(self._classifier.probabilities(texts), self.values)


def make(name: str) -> DetoxifyScorer:
    """The scorer of a name that begins with ``detoxify:``. Nothing is fetched.

    Raises:
        UnknownNameError: neither a release nor a file.
        MissingResourceError: the release file, or a configuration, is not on this machine.
        DataError: a release file has another sha256 than its name says, or a checkpoint lacks what it must hold.
        ModelError: a file cannot be read, or does not go with its configuration.
    """
    what = name.partition(":")[2]
    if what in RELEASES:
        return _released(name, what)
    checkpoint, folder = _paths(what)
    if not checkpoint.is_file():
        raise UnknownNameError("Detoxify release or checkpoint file", what, RELEASES)
    if not (folder / "config.json").is_file():
        raise MissingResourceError(
            f"{folder}: no config.json; name the folder with configuration and tokenizer: detoxify:{checkpoint}@FOLDER"
        )
    pinned = neural.fingerprint(folder, neural.CONFIGURATION)
    about = f"local checkpoint {checkpoint.name}; its data and licence unknown"
    return DetoxifyScorer(name, checkpoint, folder, pinned, about)


def _paths(what: str) -> tuple[Path, Path]:
    """Checkpoint and folder of a local name; a path may hold an @ of its own."""
    whole = Path(what).expanduser()
    if whole.is_file() or "@" not in what:
        return whole, whole.parent
    path, _, folder = what.rpartition("@")
    return Path(path).expanduser(), Path(folder).expanduser()


def _released(name: str, what: str) -> DetoxifyScorer:
    release = RELEASES[what]
    found = _find(what, release)
    if found is None:
        raise MissingResourceError(
            f"{name} is not on this machine; where there is a network, run: slm-audit fetch --scorers {name} --to DIR,"
            f" then set {neural.BUNDLE}=DIR/scorers"
        )
    checkpoint, folder = found
    _verify(checkpoint, release)
    about = f"release {release.file}; trained on {release.data}"
    return DetoxifyScorer(name, checkpoint, folder, release.revision[:12], about)


def _find(what: str, release: Release) -> tuple[Path, Path] | None:
    """Checkpoint and configuration in a bundle, else where torch.hub and the hub keep them."""
    place = neural.bundled(_folder(what))
    if place is not None:
        return (place / release.file, place) if (place / release.file).is_file() else None
    home = os.environ.get("TORCH_HOME") or Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "torch"
    checkpoint = Path(home) / "hub" / "checkpoints" / release.file
    if not checkpoint.is_file():
        return None
    folder = neural.cached(release.repository, release.revision)
    return (checkpoint, folder) if folder is not None else None


def _folder(what: str) -> str:
    return f"detoxify-{what}"


def _verify(checkpoint: Path, release: Release) -> None:
    digest = sha256_file(checkpoint)
    if not digest.startswith(release.digits):
        raise DataError(
            checkpoint,
            f"sha256 begins with {digest[:8]}, the release's with {release.digits}: cut short or altered; fetch it"
            " again",
        )


def fetch(
    name: str,
    folder: Path,
    *,
    download: Callable[[str, Path], None] | None = None,
    snapshot: Callable[[str, str, Path, Sequence[str]], None] = neural.from_hub,
) -> list[Path]:
    """Put a release file, its configuration and its tokenizer into a bundle.

    Args:
        name: ``detoxify:original`` or another release; a local checkpoint needs no fetching.
        folder: the bundle's folder ``scorers``; the files go into ``detoxify-...`` below it.
        download: brings an address into a file; pooch by default.
        snapshot: brings files of a hub repository at a commit into a folder.

    Returns:
        The files, sorted.

    Raises:
        UsageError: the name is no release.
        DataError: what came has another sha256; it is removed.
        MissingResourceError: it cannot be had.
    """
    what = name.partition(":")[2]
    if what not in RELEASES:
        raise UsageError(f"{name} is no release of Detoxify ({', '.join(RELEASES)}): a local file is not fetched")
    release, place = RELEASES[what], folder / _folder(what)
    place.mkdir(parents=True, exist_ok=True)
    checkpoint = place / release.file
    if not checkpoint.is_file():
        (download or _download)(URL + release.path, checkpoint)
    try:
        _verify(checkpoint, release)
    except DataError:
        checkpoint.unlink()
        raise
    snapshot(release.repository, release.revision, place, neural.CONFIGURATION)
    if not (place / "config.json").is_file():
        raise MissingResourceError(f"{release.repository} at {release.revision} gave no config.json")
    return sorted(path for path in place.iterdir() if path.is_file())


def _download(url: str, file: Path) -> None:
    import pooch

    pooch.get_logger().setLevel(logging.WARNING)
    # The eight digits of the name are checked by the caller; no longer hash of these files is published.
    try:
        pooch.retrieve(url, known_hash=None, fname=file.name, path=file.parent, progressbar=True)
    except Exception as error:  # whatever the transport raises
        raise MissingResourceError(f"{url} cannot be fetched: {type(error).__name__}: {error}") from error
