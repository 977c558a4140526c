"""Generation and scoring without padding and without a cache: slow, and right for every causal language model.

Rows of different length can stand in one batch only where padding changes nothing, and a step can be short only where
a cache holds what came before and its rows can be picked. State-space models (Mamba, RWKV), their hybrids (Jamba)
and models whose rotary frequencies follow the longest row of a batch (longrope beyond its first context) do not keep
to that. Here rows stand together only where they are equally long, and every step reads them from their first token.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor

from audit.models.finite import not_finite
from audit.models.head import Head
from audit.models.scoring import CHUNK, Scored, States, target_logprobs


def equal_lengths(sequences: Sequence[Sequence[int]], device: torch.device) -> Iterator[tuple[list[int], Tensor]]:
    """Group sequences by length.

    Args:
        sequences: token ids, none empty.
        device: where the ids are needed.

    Yields:
        Places in ``sequences`` and their token ids, int64 [places, length], without padding.
    """
    groups = defaultdict(list)
    for place, ids in enumerate(sequences):
        groups[len(ids)].append(place)
    for places in groups.values():
        yield places, torch.tensor([list(sequences[place]) for place in places], dtype=torch.int64, device=device)


class UnpaddedRows:
    """The rows of one batch while they are decoded; see :class:`audit.models.decoding.Rows`.

    Args:
        module: a transformers causal LM in eval mode.
        prompts: token ids of each prompt, none empty.
        counts: rows of each prompt.
        device: where the model is.
    """

    compact_at = 0.0

    def __init__(
        self, module: Any, prompts: Sequence[Sequence[int]], counts: Sequence[int], *, device: torch.device
    ) -> None:
        self._module, self._device = module, device
        self._prompts, self._counts = prompts, counts

    def begin(self) -> Tensor:
        """Read the prompts; returns the logits of each row's first token, [rows, vocabulary]."""
        places = [place for place, count in enumerate(self._counts) for _ in range(count)]
        self._rows = [list(self._prompts[place]) for place in places]
        return self._last_logits(self._prompts)[torch.tensor(places, device=self._device)]

    def advance(self, tokens: Tensor) -> Tensor:
        """Feed the token drawn for each row, int64 [rows]; returns the logits of the next, [rows, vocabulary]."""
        for row, token in zip(self._rows, tokens.tolist(), strict=True):
            row.append(token)
        return self._last_logits(self._rows)

    def keep(self, rows: Tensor) -> None:
        """Go on with these rows only, int64 [rows kept]."""
        self._rows = [self._rows[row] for row in rows.tolist()]

    def _last_logits(self, sequences: Sequence[Sequence[int]]) -> Tensor:
        found: list[Tensor | None] = [None] * len(sequences)
        for places, ids in equal_lengths(sequences, self._device):
            logits = self._module(input_ids=ids, use_cache=False, logits_to_keep=1).logits[:, -1]
            for place, row in zip(places, logits, strict=True):
                found[place] = row
        return torch.stack([row for row in found if row is not None])


@torch.inference_mode()
def score_unpadded(module: Any, items: Sequence[Sequence[Scored]], device: torch.device) -> list[list[float]]:
    """Natural-log probabilities of the scored tokens of each row; see :func:`audit.models.scoring.score_batch`.

    Where the output layer can be run apart it sees a chunk of the states that predict a scored token; else rows go
    through the model a few at a time, so many that their logits are no more than a chunk's, or one by one.

    Args:
        module: a transformers causal LM in eval mode.
        items: per item, the rows of its choices.
        device: where the model is.

    Returns:
        For each row, in order, one number per scored token, in nats, at most 0.

    Raises:
        NonFiniteError: a logit is NaN or infinite; the row is named, and the layer if it can be found.
    """
    rows = [row for choices in items for row in choices]
    found: list[list[float]] = [[] for _ in rows]
    scored = [place for place, row in enumerate(rows) if row.count]
    head = Head.of(module) if scored else None
    for group, ids in equal_lengths([rows[place].ids for place in scored], device):
        width = max(rows[scored[at]].count for at in group) + 1
        size = len(group) if head is not None else max(1, CHUNK.get(device.type, CHUNK["cpu"]) // width)
        for first in range(0, len(group), size):
            some = [scored[at] for at in group[first : first + size]]
            part = [rows[place] for place in some]
            numbers = _scored_together(module, head, part, ids[first : first + size], width)
            for place, own in zip(some, numbers, strict=True):
                found[place] = own
    return found


def _scored_together(
    module: Any, head: Head | None, rows: Sequence[Scored], ids: Tensor, width: int
) -> list[list[float]]:
    """Numbers of rows that are equally long, ids int64 [rows, length]; ``width`` is one more than any row scores."""
    if head is None:
        states: Tensor = module(input_ids=ids, use_cache=False, logits_to_keep=width).logits
    else:
        states = head.hidden(input_ids=ids, use_cache=False).last_hidden_state[:, -width:]
    # What stands in column t predicts column t + 1.
    ends = [(at + 1) * states.shape[1] - 1 for at in range(len(rows))]
    parents = [parent for end, row in zip(ends, rows, strict=True) for parent in range(end - row.count, end)]
    targets = [token for row in rows for token in row.ids[len(row.ids) - row.count :]]
    logits = head.logits if head is not None else lambda logits: logits
    # Each row's own parents are asked for by nobody.
    numbers = iter(target_logprobs(States(states.flatten(0, 1), [], logits), parents, targets).tolist())
    found = [[next(numbers) for _ in range(row.count)] for row in rows]
    bad = [row for row, own in zip(rows, found, strict=True) if any(map(math.isnan, own))]
    if bad:
        raise not_finite(module, "scoring", [(row.name, row.ids) for row in bad], ids.device)
    return found
