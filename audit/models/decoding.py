"""Batched generation with keyed sampling: one prefill a prompt, k continuations of it.

This is the plain path: transformers' forward pass over a dynamic cache, prompts padded on the left, attention mask
and position ids made from lengths (never by comparing with the pad id: Phi-2 pads with its end-of-text token).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from audit.errors import NonFiniteError
from audit.models.sampling import draw
from probes.suite import Decoding

# Finished rows leave the batch once they are this share of it; each time copies the cache once.
_COMPACT_AT = 0.25
# Characters a stop string can be split over tokens: look back this many tokens beyond the newest.
_STOP_WINDOW = 16


@dataclass(slots=True)
class Row:
    """One continuation while it is drawn."""

    name: str
    """Item and sample, for error messages."""
    tokens: list[int] = field(default_factory=list)
    finish: str = ""
    """``eos``, ``stop`` or ``length`` once done."""


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """What the decoding loop must know of a tokenizer."""

    tokenizer: Any
    size: int
    """Ids from here on decode to nothing and are never drawn (Phi-2: 50,295 of 51,200 rows)."""
    end: frozenset[int]
    """Ids that end an answer."""
    pad: int


def pad_left(sequences: Sequence[Sequence[int]], pad: int, device: torch.device) -> tuple[Tensor, Tensor, Tensor]:
    """Token ids, attention mask and position ids, each int64 [rows, longest], padded on the left.

    Mask and positions come from the lengths; padding has position 0, which the mask hides.
    """
    longest = max(len(ids) for ids in sequences)
    ids = torch.full((len(sequences), longest), pad, dtype=torch.int64)
    mask = torch.zeros_like(ids)
    for row, sequence in enumerate(sequences):
        ids[row, longest - len(sequence) :] = torch.tensor(sequence, dtype=torch.int64)
        mask[row, longest - len(sequence) :] = 1
    positions = (mask.cumsum(-1) - 1).clamp(min=0)
    return ids.to(device), mask.to(device), positions.to(device)


def check_finite(logits: Tensor, names: Sequence[str], where: str) -> None:
    """Stop the run where a logit is NaN or +inf: an argmax over NaN would decode to a harmless-looking token.

    Args:
        logits: [rows, ...] of the model, before anything is masked.
        names: one name a row.
        where: ``"generation"`` or ``"scoring"``, for the message.

    Raises:
        NonFiniteError: names the first item at fault.
    """
    # NaN survives a sum and so does an infinity (or they cancel to NaN): one cheap pass in the good case.
    if bool(torch.isfinite(logits.float().sum())):
        return
    bad = ~torch.isfinite(logits).flatten(1).all(dim=1)
    for row in torch.nonzero(bad).flatten().tolist():
        raise NonFiniteError(
            f"{where}: the model's logits for {names[row]} are not finite (NaN or infinity); "
            "try --dtype float32 or bfloat16, and check the weights"
        )


@torch.inference_mode()
def generate_batch(
    module: Any,
    vocabulary: Vocabulary,
    prompts: Sequence[Sequence[int]],
    rows: Sequence[int],
    names: Sequence[str],
    keys: Tensor,
    decoding: Decoding,
) -> list[Row]:
    """Continue prompts.

    Args:
        module: a transformers causal LM in eval mode.
        vocabulary: of its tokenizer.
        prompts: token ids of each distinct prompt.
        rows: for each continuation, the index of its prompt; continuations of one prompt share its prefill.
        names: name of each continuation, for error messages.
        keys: int32 [len(rows), 2], noise keys.
        decoding: how tokens are drawn and when an answer ends.

    Returns:
        One finished :class:`Row` a continuation, in order. End tokens are not among the tokens.

    Raises:
        NonFiniteError: a logit is NaN or infinite.
    """
    device = keys.device
    ids, mask, positions = pad_left(prompts, vocabulary.pad, device)
    output = module(input_ids=ids, attention_mask=mask, position_ids=positions, use_cache=True, logits_to_keep=1)
    source = torch.tensor(rows, dtype=torch.int64, device=device)
    cache = output.past_key_values
    if list(rows) != list(range(len(prompts))):
        cache.batch_select_indices(source)
    logits = output.logits[:, -1][source]
    mask, position = mask[source], positions[source, -1]
    done = [Row(name) for name in names]
    active = list(range(len(rows)))  # index into `done` for each row of the cache
    for step in range(decoding.max_new_tokens):
        check_finite(logits, [done[index].name for index in active], "generation")
        logits[:, vocabulary.size :] = float("-inf")
        chosen = draw(logits, decoding, keys, step)
        for index, token in zip(active, chosen.tolist(), strict=True):
            _append(done[index], token, vocabulary, decoding)
        keep = [slot for slot, index in enumerate(active) if not done[index].finish]
        if not keep:
            break
        if len(keep) <= (1 - _COMPACT_AT) * len(active):
            slots = torch.tensor(keep, dtype=torch.int64, device=device)
            cache.batch_select_indices(slots)
            mask, position, keys, chosen = mask[slots], position[slots], keys[slots], chosen[slots]
            active = [active[slot] for slot in keep]
        mask = torch.cat([mask, mask.new_ones(len(active), 1)], dim=1)
        position = position + 1
        output = module(
            input_ids=chosen[:, None], attention_mask=mask, position_ids=position[:, None],
            past_key_values=cache, use_cache=True,
        )  # fmt: skip
        cache, logits = output.past_key_values, output.logits[:, -1]
    return done


def _append(row: Row, token: int, vocabulary: Vocabulary, decoding: Decoding) -> None:
    # Finished rows ride along until the batch is compacted; what they draw is dropped here.
    if row.finish:
        return
    if token in vocabulary.end:
        row.finish = "eos"
        return
    row.tokens.append(token)
    if decoding.stop:
        tail = vocabulary.tokenizer.decode(row.tokens[-_STOP_WINDOW:], clean_up_tokenization_spaces=False)
        if any(stop in tail for stop in decoding.stop):
            row.finish = "stop"
            return
    if len(row.tokens) >= decoding.max_new_tokens:
        row.finish = "length"


def cut_at_stop(text: str, stop: Sequence[str]) -> str:
    """``text`` up to the earliest stop string, which is left out."""
    ends = [place for place in (text.find(word) for word in stop) if place >= 0]
    return text[: min(ends)] if ends else text
