"""Log-likelihoods of continuations.

A row is context + continuation, and what is scored are tokens at its end. Over trees (:mod:`audit.models.tree`) every
distinct beginning of a batch's rows is computed once; the plain path pads rows on the left and is what trees are tested
against. Either way the model runs up to its last hidden states, and its output layer only sees those that predict a
scored token, in chunks. The softmax is over the whole output layer, as the model was trained; ids that the tokenizer
lacks are part of it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from audit.models.finite import not_finite
from audit.models.head import Head
from audit.models.plain import pad_left
from audit.models.tree import Tree, hidden_states

# States whose logits are there at once. On a CPU few enough that the softmax finds them in its cache (25 MB for a
# vocabulary of 49,152 and an L3 cache of 32 MB), and enough for the matrix product to reach its rate.
CHUNK = {"cpu": 128, "cuda": 512}


@dataclass(frozen=True, slots=True)
class Scored:
    """A row to be scored."""

    ids: Sequence[int]
    """Tokens of context and continuation."""
    count: int
    """How many at the end are scored; less than all, since a token without anything before it has no probability."""
    name: str
    """For error messages."""


@dataclass(frozen=True, slots=True)
class States:
    """What predicts the scored tokens of some rows."""

    hidden: Tensor
    """[n, width]"""
    parents: list[list[int]]
    """For each row, the state that predicts each of its scored tokens."""
    logits: Callable[[Tensor], Tensor]
    """[m, width] -> [m, vocabulary]"""


@torch.inference_mode()
def score_batch(
    module: Any, pad: int, items: Sequence[Sequence[Scored]], device: torch.device, *, trees: bool = False
) -> list[list[float]]:
    """Natural-log probabilities of the scored tokens of each row.

    Args:
        module: a transformers causal LM in eval mode.
        pad: id used for padding; any, since the mask hides it.
        items: per item, the rows of its choices.
        device: where the model is.
        trees: whether every distinct beginning is computed once; for models that :func:`audit.models.fits.fits` finds
            able to.

    Returns:
        For each row, in order, one number per scored token, in nats, at most 0.

    Raises:
        NonFiniteError: a logit is NaN or infinite; the row is named, and the layer if it can be found.
    """
    rows = [row for rows in items for row in rows]
    scored = [row for row in rows if row.count]
    if not scored:
        return [[] for _ in rows]
    head = Head.of(module)
    if trees and head is not None:
        states = _over_tree(head, scored, device)
    else:
        states = _padded(module, head, pad, scored, device)
    parents = [parent for path in states.parents for parent in path]
    targets = [token for row in scored for token in row.ids[len(row.ids) - row.count :]]
    found = iter(target_logprobs(states, parents, targets).tolist())
    logprobs = [[next(found) for _ in range(row.count)] for row in rows]
    bad = [row for row, numbers in zip(rows, logprobs, strict=True) if any(map(math.isnan, numbers))]
    if bad:
        raise not_finite(module, "scoring", [(row.name, row.ids) for row in bad], device)
    return logprobs


def _over_tree(head: Head, rows: Sequence[Scored], device: torch.device) -> States:
    # A row's last token is only predicted: what the model makes of it nobody asks.
    tree = Tree.of([row.ids[:-1] for row in rows])
    parents = [path[len(path) - row.count :] for row, path in zip(rows, tree.paths, strict=True)]
    return States(hidden_states(head, tree, device), parents, head.logits)


def _padded(module: Any, head: Head | None, pad: int, rows: Sequence[Scored], device: torch.device) -> States:
    ids, mask, positions = pad_left([row.ids for row in rows], pad, device)
    inputs = {"input_ids": ids, "attention_mask": mask, "position_ids": positions, "use_cache": False}
    # Column t predicts column t + 1, and all rows end in the last one.
    width = max(row.count for row in rows) + 1
    parents = [list(range((at + 1) * width - row.count - 1, (at + 1) * width - 1)) for at, row in enumerate(rows)]
    if head is None:
        return States(module(**inputs, logits_to_keep=width).logits.flatten(0, 1), parents, lambda logits: logits)
    return States(head.hidden(**inputs).last_hidden_state[:, -width:].flatten(0, 1), parents, head.logits)


def target_logprobs(states: States, parents: Sequence[int], targets: Sequence[int]) -> Tensor:
    """Log-probabilities of tokens, in chunks of :data:`CHUNK` states.

    Args:
        states: what predicts.
        parents: index of the state that predicts each target.
        targets: token ids, as many.

    Returns:
        [len(targets)], float32, in nats; NaN where a state's logits are not all finite.
    """
    device = states.hidden.device
    used, place = torch.unique(torch.tensor(parents), return_inverse=True)
    wanted, found = torch.tensor(targets), torch.empty(len(targets), device=device)
    size = CHUNK.get(device.type, CHUNK["cpu"])
    for first in range(0, len(used), size):
        logits = states.logits(states.hidden[used[first : first + size].to(device)]).float()
        edges = torch.nonzero((place >= first) & (place < first + len(logits))).flatten()
        at, token = (place[edges] - first).to(device), wanted[edges].to(device)
        # NaN survives a sum and so does an infinity (or they cancel to NaN).
        finite = torch.isfinite(logits.sum(-1))[at]
        chosen = torch.log_softmax(logits, dim=-1)[at, token]
        found[edges.to(device)] = torch.where(finite, chosen, float("nan"))
    return found
