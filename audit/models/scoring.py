"""Log-likelihoods of continuations.

A row is context + continuation, padded on the left, so that all continuations end in the last column and only the
columns
that predict them need logits. The softmax is over the whole output layer, as the model was trained; ids that the
tokenizer
lacks are part of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from audit.models.decoding import check_finite, pad_left


@torch.inference_mode()
def score_batch(
    module: Any,
    pad: int,
    sequences: Sequence[Sequence[int]],
    scored: Sequence[int],
    names: Sequence[str],
    device: torch.device,
) -> list[float]:
    """Sum of natural-log probabilities of the last tokens of each sequence.

    Args:
        module: a transformers causal LM in eval mode.
        pad: id used for padding; any, since the mask hides it.
        sequences: token ids of context and continuation.
        scored: how many tokens at the end of each sequence belong to the continuation; less than its length, since a
            token without anything before it has no probability.
        names: name of each row, for error messages.
        device: where the model is.

    Returns:
        One sum a row, in nats, at most 0; exactly 0.0 where nothing was to be scored.

    Raises:
        NonFiniteError: a logit is NaN or infinite.
    """
    ids, mask, positions = pad_left(sequences, pad, device)
    width = max(scored) + 1
    logits = module(
        input_ids=ids, attention_mask=mask, position_ids=positions, use_cache=False, logits_to_keep=width
    ).logits
    sums = []
    for row, count in enumerate(scored):
        if count == 0:
            sums.append(0.0)
            continue
        # Logits at column t predict column t + 1. One row at a time, so that the float32 copy stays small.
        predicted = logits[row, -count - 1 : -1].float()
        check_finite(predicted[None], [names[row]], "scoring")
        targets = ids[row, -count:]
        sums.append(-torch.nn.functional.cross_entropy(predicted, targets, reduction="sum").item())
    return sums
