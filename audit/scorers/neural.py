"""What the neural scorers share: reading a text classifier without running code from its files, and using it.

Texts are sorted by length and packed by a token budget, so that nothing is padded to the longest text of a run; that,
and no gradient, is where the speed comes from. Weights and arithmetic are float32 on a CPU: the numbers are those of
the package or pipeline that the classifier was published with, within 1e-6. On a GPU matrix products are float16 with
weights and everything else in float32 (autocast), where a trial at loading finds the numbers within :data:`HALF_BOUND`
of float32's, and float32 elsewhere; :attr:`Classifier.precision` says which, and belongs into a scorer's revision.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import re
from collections import deque
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
import transformers
from numpy.typing import NDArray

from audit.errors import MissingResourceError, ModelError, UsageError
from audit.models.memory import out_of_memory
from audit.models.quiet import quiet
from audit.provenance import sha256_files
from audit.scorers.base import ScoreResult

Activation = Literal["softmax", "sigmoid"]
"""Labels that exclude each other share one softmax; labels that may hold together have a sigmoid each."""

BUNDLE = "SLM_AUDIT_SCORERS"
"""Environment variable with the folder ``scorers`` of a bundle that ``slm-audit fetch`` made."""

CONFIGURATION = (
    "config.json", "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json",
    "vocab.txt", "vocab.json", "merges.txt", "spiece.model", "sentencepiece.bpe.model", "tokenizer.model",
)  # fmt: skip
"""Files of transformers that decide how a text becomes tokens and what shape a model has."""

DECIMALS = 6
"""Values are rounded to these: the same text in another batch differs by some 1e-7, which is rounding, not meaning."""

HALF_BOUND = 0.002
"""Most that float16 may change a value, as a probability, on the trial's texts.

Emulated on a CPU: .0003 with the weights of the embedded scorer's encoder on these texts (bfloat16: .004). BERT-base
with random weights and six labels on 16 sequences of 32 random tokens: .0008 (bfloat16: .005), and .003 with all
matrices doubled, which the trial would refuse. So far as the trial's texts speak for others, a value further than this
from a threshold is on the same side of it as in float32."""

_TRIAL = 64
_CPU_TOKENS = 1_024
_CUDA_TOKENS = 65_536
_SURROGATE = re.compile("[\ud800-\udfff]")
_CLASS = re.compile(r"\w+ForSequenceClassification")
_TOKENIZER = re.compile(r"\w+Tokenizer(Fast)?")


class Classifier:
    """A sequence classifier with its tokenizer, on a GPU where there is one.

    Args:
        module: the model, of transformers.
        tokenizer: its tokenizer.
        activation: how logits become probabilities.
        half: compute in float16 if the trial allows it; None means on a GPU.

    Attributes:
        limit: most tokens of a text that are read, special tokens included; a longer text is judged by its beginning,
            as the tokenizer cuts it.
        half: whether matrix products are float16.
        difference: largest change of a value of the trial by float16; NaN where it was not tried or gave NaN.

    Raises:
        ModelError: weights hold NaN or infinity, or the tokenizer cannot pad.
    """

    def __init__(self, module: Any, tokenizer: Any, activation: Activation, *, half: bool | None = None) -> None:
        for name, tensor in module.state_dict().items():
            if tensor.is_floating_point() and not bool(torch.isfinite(tensor).all()):
                raise ModelError(f"classifier weight {name} holds NaN or infinity: the checkpoint is damaged")
        if tokenizer.pad_token_id is None:
            raise ModelError("the classifier's tokenizer has no pad token: its texts cannot be put into one batch")
        self._device = "cuda" if torch.cuda.is_available() else "cpu"
        self._module = module.to(self._device, torch.float32).eval()
        self._tokenizer = tokenizer
        self._activation = activation
        self._budget = _CUDA_TOKENS if self._device == "cuda" else _CPU_TOKENS
        self.limit = min(tokenizer.model_max_length, positions(module))
        self.half = False
        self.difference = math.nan
        if half or (half is None and self._device == "cuda"):
            self._try_half()

    @property
    def precision(self) -> str:
        """What a revision adds for the arithmetic: ``+float16``, or nothing for float32."""
        return "+float16" if self.half else ""

    @property
    def closeness(self) -> str:
        """How close the values are to those of float32, for a card."""
        if not self.half:
            return "within 1e-6"
        return f"in half precision (float16): within {self.difference:.1g} on {_TRIAL} trial texts"

    def _try_half(self) -> None:
        texts = _trial_texts()
        exact = self.probabilities(texts)
        self.half = True
        self.difference = float(np.abs(self.probabilities(texts) - exact).max())
        self.half = self.difference <= HALF_BOUND

    def probabilities(self, texts: Sequence[str]) -> NDArray[np.float64]:
        """Probability of every label for every text.

        Args:
            texts: the texts, [n]. A lone surrogate, which no tokenizer takes, is read as U+FFFD.

        Returns:
            [n, labels], in [0, 1], rounded to :data:`DECIMALS`; NaN where the model gives NaN or the text has no token.

        Raises:
            MemoryError: one text alone does not fit into memory.
        """
        found = np.full((len(texts), int(self._module.config.num_labels)), np.nan)
        if not texts:
            return found
        encoded = self._tokenizer(
            [_SURROGATE.sub("\ufffd", text) for text in texts], truncation=True, max_length=self.limit
        )
        lengths = [len(ids) for ids in encoded["input_ids"]]
        # Some tokenizers make no token of an empty text; among padded neighbours it would still get a number.
        full = [row for row in range(len(texts)) if lengths[row]]
        left = deque([full[at] for at in part] for part in batches([lengths[row] for row in full], self._budget))
        while left:
            rows = left.popleft()
            values = self._run_if_it_fits({name: [column[row] for row in rows] for name, column in encoded.items()})
            if values is not None:
                found[rows] = values
            elif len(rows) > 1:
                left.extendleft([rows[len(rows) // 2 :], rows[: len(rows) // 2]])
            else:
                raise MemoryError(f"a text of {lengths[rows[0]]} tokens does not fit the memory of {self._device}")
        return found.round(DECIMALS).clip(0.0, 1.0)

    def _run_if_it_fits(self, columns: dict[str, list[list[int]]]) -> NDArray[np.float64] | None:
        """One batch; None where memory runs out, and then later batches are planned half as large."""
        try:
            return self._run(columns)
        except (RuntimeError, MemoryError) as error:
            if not out_of_memory(error):
                raise
        rows = columns["input_ids"]
        self._budget = max(1, min(self._budget, len(rows) * max(map(len, rows)) // 2))
        return None

    def _run(self, columns: dict[str, list[list[int]]]) -> NDArray[np.float64]:
        """One batch: padded to its own longest text."""
        width = max(len(ids) for ids in columns["input_ids"])
        fill = {"input_ids": self._tokenizer.pad_token_id, "token_type_ids": self._tokenizer.pad_token_type_id}
        left = self._tokenizer.padding_side == "left"

        def padded(name: str, row: list[int]) -> list[int]:
            rest = [fill.get(name, 0)] * (width - len(row))
            return rest + row if left else row + rest

        tensors = {
            name: torch.tensor([padded(name, row) for row in rows], device=self._device)
            for name, rows in columns.items()
        }
        with torch.inference_mode(), torch.autocast(self._device, torch.float16, enabled=self.half):
            logits = self._module(**tensors).logits.float()
            values = logits.softmax(-1) if self._activation == "softmax" else logits.sigmoid()
        result: NDArray[np.float64] = values.cpu().numpy().astype(np.float64)
        return result


def _trial_texts() -> list[str]:
    """Continuations by a small model, toxic and benign, evenly spaced over this project's labelled ones."""
    lines = files("audit.scorers").joinpath("continuations.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(lines[len(lines) * at // _TRIAL])["text"] for at in range(_TRIAL)]


def batches(lengths: Sequence[int], budget: int) -> list[list[int]]:
    """Rows packed so that rows times the longest text of a batch stay within a budget.

    Args:
        lengths: tokens of each text, [n].
        budget: most tokens of a batch, padding included; a longer text has a batch to itself.

    Returns:
        Positions, every one once, longest texts first: what does not fit into memory shows at once.
    """
    packed: list[list[int]] = []
    for row in sorted(range(len(lengths)), key=lambda row: -lengths[row]):
        if packed and (len(packed[-1]) + 1) * lengths[packed[-1][0]] <= budget:
            packed[-1].append(row)
        else:
            packed.append([row])
    return packed


def results(values: NDArray[np.float64], labels: Sequence[str]) -> list[ScoreResult]:
    """Probabilities as results; a text with a NaN is unscored, with the labels at fault.

    Args:
        values: probabilities, [n, at least as many columns as labels]; columns past the labels are not read.
        labels: name of each column that is kept; an empty name marks a column that is not.

    Returns:
        One result per row, [n].
    """
    kept = [(at, label) for at, label in enumerate(labels) if label]
    found = []
    for row in values:
        bad = [label for at, label in kept if not np.isfinite(row[at])]
        if bad:
            found.append(ScoreResult(None, f"the classifier gave no number for {', '.join(bad)}"))
        else:
            found.append(ScoreResult({label: float(row[at]) for at, label in kept}))
    return found


def positions(module: Any) -> int:
    """Most tokens that a model has positions for; RoBERTa's kind spends some of its rows on the padding."""
    for name, part in module.named_modules():
        if name.endswith("position_embeddings") and isinstance(part, torch.nn.Embedding):
            return part.num_embeddings - (0 if part.padding_idx is None else part.padding_idx + 1)
    stated = getattr(module.config, "max_position_embeddings", None)
    return int(stated) if stated and stated > 0 else 512


def read_checkpoint(path: Path) -> dict[str, Any]:
    """The dictionary in a file that ``torch.save`` wrote, of tensors and plain values only: no code in it runs.

    Raises:
        ModelError: the file holds anything else, or is cut short.
    """
    try:
        loaded = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # unpickling raises whatever a damaged or hostile file makes it raise
        raise ModelError(f"{path.name}: not a checkpoint of tensors and plain values: {_first_line(error)}") from error
    if not isinstance(loaded, dict):
        raise ModelError(f"{path.name}: holds {type(loaded).__name__}, not a dictionary")
    return loaded


def from_state(names: tuple[str, str], labels: int, state: dict[str, Any], folder: Path) -> tuple[Any, Any]:
    """Module and tokenizer of a checkpoint, with the configuration of a folder.

    Args:
        names: class names of model and tokenizer in transformers.
        labels: outputs of the model.
        state: its weights by name; all of them, and no other.
        folder: configuration and tokenizer files; nothing is asked of the hub.

    Raises:
        ModelError: the classes are not of that kind, weights are missing or left over, or a file cannot be read.
    """
    for name, pattern in zip(names, (_CLASS, _TOKENIZER), strict=True):
        if not pattern.fullmatch(name) or not hasattr(transformers, name):
            raise ModelError(f"the checkpoint asks for {name!r}, which is no classifier or tokenizer of transformers")
    maker, words = (getattr(transformers, name) for name in names)
    # Buffers that older versions of transformers saved and newer ones compute.
    state = {name: tensor for name, tensor in state.items() if not name.endswith(".position_ids")}
    try:
        with quiet():
            config = maker.config_class.from_pretrained(folder, num_labels=labels, local_files_only=True)
            module, report = maker.from_pretrained(None, config=config, state_dict=state, output_loading_info=True)
            tokenizer = words.from_pretrained(folder, local_files_only=True)
    except Exception as error:  # transformers raises whatever its readers raise
        raise ModelError(
            f"{folder}: the checkpoint does not go with this configuration: {_first_line(error)}"
        ) from error
    _complete(report)
    return module, tokenizer


def from_folder(folder: Path) -> tuple[Any, Any]:
    """Module and tokenizer of a folder as ``save_pretrained`` writes it; remote code is never run.

    Raises:
        ModelError: files cannot be read, weights are missing or left over.
    """
    try:
        with quiet():
            module, report = transformers.AutoModelForSequenceClassification.from_pretrained(
                folder, dtype=torch.float32, local_files_only=True, trust_remote_code=False, weights_only=True,
                output_loading_info=True,
            )  # fmt: skip
            tokenizer = transformers.AutoTokenizer.from_pretrained(
                folder, local_files_only=True, trust_remote_code=False
            )
    except Exception as error:  # transformers raises whatever its readers raise
        raise ModelError(f"{folder}: cannot be loaded as a text classifier: {_first_line(error)}") from error
    _complete(report)
    return module, tokenizer


def _complete(report: dict[str, Any]) -> None:
    """Refuse a model of which a part would stay random."""
    missing = sorted(map(str, report["missing_keys"]))
    over = sorted(str(key) for key in report["unexpected_keys"] if not str(key).endswith(".position_ids"))
    strange = missing + sorted(map(str, report["mismatched_keys"]))
    if strange:
        raise ModelError(f"weights are missing or of another shape, such as {strange[0]}: part of it would be random")
    # A pooler is saved by some models and used by none of their classifiers.
    if left := [key for key in over if ".pooler." not in key]:
        raise ModelError(f"weights are left over, such as {left[0]}: the model is of another kind than its files say")


def bundled(folder: str) -> Path | None:
    """A folder of that name in the bundle that :data:`BUNDLE` points to; None without bundle or folder.

    Raises:
        UsageError: the variable names no folder.
    """
    chosen = os.environ.get(BUNDLE)
    if not chosen:
        return None
    if not Path(chosen).is_dir():
        raise UsageError(f"{BUNDLE}={chosen}: no such folder; unset it, or make it with: slm-audit fetch --scorers")
    place = Path(chosen) / folder
    return place if place.is_dir() else None


def cached(repository: str, revision: str) -> Path | None:
    """A hub repository at a commit in the local cache; None where it is not there. The network is not asked."""
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import LocalEntryNotFoundError

    try:
        return Path(snapshot_download(repository, revision=revision, local_files_only=True))
    except LocalEntryNotFoundError:
        return None


def fingerprint(folder: Path, names: Sequence[str]) -> str:
    """First 16 hexadecimal digits of a sha256 over those of the named files that are there, and their names."""
    listed = "\n".join(f"{name} {digest}" for name, digest in sha256_files(folder, names).items())
    return hashlib.sha256(listed.encode()).hexdigest()[:16]


def from_hub(repository: str, revision: str, folder: Path, patterns: Sequence[str]) -> None:
    """Download files of a hub repository at a commit into a folder.

    Raises:
        MissingResourceError: the hub cannot be reached, or has no such repository or commit.
    """
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError, OfflineModeIsEnabled

    try:
        snapshot_download(repository, revision=revision, local_dir=folder, allow_patterns=list(patterns))
    except (LocalEntryNotFoundError, OfflineModeIsEnabled, HfHubHTTPError, OSError) as error:
        raise MissingResourceError(f"{repository} at {revision} cannot be fetched: {_first_line(error)}") from error


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return f"{type(error).__name__}: {lines[0][:250]}"
