"""Decoding as any model can: transformers' forward pass over its own cache, every row with a cache of its own.

Prompts are padded on the left; attention mask and position ids are made from lengths, never by comparing with the pad
id (Phi-2 pads with its end-of-text token). It is what :mod:`audit.models.prefix` is tested against, and where models
go that cannot share prompts.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor


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


class PlainRows:
    """The rows of one batch while they are decoded; see :class:`audit.models.prefix.SharedRows`.

    Args:
        module: a transformers causal LM in eval mode.
        prompts: token ids of each prompt, none empty.
        counts: rows of each prompt; a prompt's rows share its prefill, and have a copy each of its cache.
        pad: any id.
        device: where the model is.
    """

    # Each time copies the caches.
    compact_at = 0.25

    def __init__(
        self, module: Any, prompts: Sequence[Sequence[int]], counts: Sequence[int], *, pad: int, device: torch.device
    ) -> None:
        self._module, self._prompts, self._counts = module, prompts, counts
        self._pad, self._device = pad, device

    def begin(self) -> Tensor:
        """Read the prompts; returns the logits of each row's first token, [rows, vocabulary]."""
        ids, mask, positions = pad_left(self._prompts, self._pad, self._device)
        output = self._module(
            input_ids=ids, attention_mask=mask, position_ids=positions, use_cache=True, logits_to_keep=1
        )
        source = torch.arange(len(self._counts), device=self._device).repeat_interleave(
            torch.tensor(self._counts, device=self._device)
        )
        self._cache = output.past_key_values
        if len(source) > len(self._counts):
            self._cache.batch_select_indices(source)
        self._mask, self._position = mask[source], positions[source, -1:]
        logits: Tensor = output.logits[:, -1][source]
        return logits

    def advance(self, tokens: Tensor) -> Tensor:
        """Feed the token drawn for each row, int64 [rows]; returns the logits of the next, [rows, vocabulary]."""
        self._mask = torch.cat([self._mask, self._mask.new_ones(len(self._mask), 1)], dim=1)
        self._position = self._position + 1
        output = self._module(
            input_ids=tokens[:, None], attention_mask=self._mask, position_ids=self._position,
            past_key_values=self._cache, use_cache=True,
        )  # fmt: skip
        self._cache = output.past_key_values
        logits: Tensor = output.logits[:, -1]
        return logits

    def keep(self, rows: Tensor) -> None:
        """Go on with these rows only, int64 [rows kept]."""
        self._cache.batch_select_indices(rows)
        self._mask, self._position = self._mask[rows], self._position[rows]
