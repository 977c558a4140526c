"""Turn records into tokens and decide on which of them the loss is taken.

Padding is known by length and never by comparing with the pad id: models without a pad token pad with
end-of-text, and an end-of-text that closes a record is a token to learn.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from audit.errors import DataError
from audit.finetuning.records import Record

if TYPE_CHECKING:
    import torch

_IGNORED = -100  # the label that torch's cross-entropy, and with it every causal LM of transformers, leaves out


@dataclass(frozen=True, slots=True)
class Example:
    """The tokens of one record."""

    ids: tuple[int, ...]
    start: int
    """Index of the first token that is learned, after the prompt. At least 1: nothing predicts token 0."""


def encode(
    records: Sequence[Record], tokenizer: Any, *, max_length: int, end_of_text: bool, path: Path
) -> list[Example]:
    """Tokenise every record.

    Args:
        records: as read from ``path``, which is only named in errors.
        tokenizer: a transformers tokenizer; special tokens are added as it does by itself.
        max_length: most tokens of a record, end-of-text included.
        end_of_text: put the tokenizer's end-of-text behind every record, as a token to learn.
        path: the file the records came from.

    Raises:
        DataError: a record has more tokens than ``max_length`` (nothing is cut) or none to predict.
    """
    examples = [_example(record, tokenizer, path, end_of_text) for record in records]
    long = [(record.line, len(e.ids)) for record, e in zip(records, examples, strict=True) if len(e.ids) > max_length]
    if long:
        line, tokens = max(long, key=lambda pair: pair[1])
        lines = _some(number for number, _ in long)
        problem = (
            f"{len(long)} of {len(records)} records are longer than {max_length} tokens, the longest has "
            f"{tokens}. Nothing is cut silently: raise max_length, or shorten lines {lines}"
        )
        raise DataError(path, problem, line=line)
    return examples


def _some(lines: Any) -> str:
    numbers = [str(n) for n in lines]
    return ", ".join(numbers[:5]) + (", ..." if len(numbers) > 5 else "")


def _example(record: Record, tokenizer: Any, path: Path, end_of_text: bool) -> Example:
    ids = list(tokenizer(record.prompt + record.completion, verbose=False).input_ids)
    end = tokenizer.eos_token_id if end_of_text else None
    if end is not None and ids[-1:] != [end]:
        ids.append(end)
    start = 1
    if record.prompt:
        # Whole and prompt are tokenised apart and followed to where they part, since a tokenizer may merge
        # characters across the border: such a token holds characters of the completion and is learned.
        prompt = tokenizer(record.prompt, verbose=False).input_ids
        shared = next(
            (i for i, (a, b) in enumerate(zip(prompt, ids, strict=False)) if a != b),
            min(len(prompt), len(ids)),
        )
        start = max(1, shared)
    if start >= len(ids):
        raise DataError(path, "leaves no token to predict: one token and no end-of-text", line=record.line)
    return Example(tuple(ids), start)


def collate(examples: Sequence[Example], *, pad: int) -> dict[str, torch.Tensor]:
    """Pad on the right into ``input_ids``, ``attention_mask`` and ``labels``, each [batch, longest]."""
    import torch

    longest = max(len(e.ids) for e in examples)
    ids = torch.full((len(examples), longest), pad, dtype=torch.long)
    mask = torch.zeros_like(ids)
    labels = torch.full_like(ids, _IGNORED)
    for row, example in enumerate(examples):
        length = len(example.ids)
        ids[row, :length] = torch.tensor(example.ids)
        mask[row, :length] = 1
        labels[row, example.start : length] = ids[row, example.start : length]
    return {"input_ids": ids, "attention_mask": mask, "labels": labels}
