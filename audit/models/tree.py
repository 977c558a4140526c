"""Rows of tokens as one tree, of which a model computes every distinct beginning once.

Sentence pairs, the choices of a question and the items of a suite begin alike more often than not, and what a causal
model makes of a token depends on what stands before it alone. So the rows of a batch are laid out as a single sequence
without padding: the nodes of their tree in depth-first order, each at the position of its depth, and each attending to
its ancestors and to itself. Everything but attention works on single tokens and need not know.

Attention goes block by block. In depth-first order a block of consecutive nodes has as ancestors outside itself only
the path to its first node, so that its keys are this path and the block: no token is computed twice where the sequence
is cut. It hangs in transformers' attention interface; the reference it is tested against is
:func:`audit.models.scoring.score_batch` without trees.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from einops import rearrange, repeat
from torch import Tensor

from audit.models.head import Head
from audit.models.hook import Asked, Hook, UnsupportedError

# Queries of a block: few, so that little is computed only to be hidden, and enough for a matrix product.
_BLOCK = {"cpu": 64, "cuda": 128}


@dataclass(frozen=True, slots=True)
class Tree:
    """The distinct beginnings of some rows, in depth-first order."""

    ids: list[int]
    """Token of each node."""
    depths: list[int]
    """Tokens before it: its position."""
    stops: list[int]
    """The first node after it and all below it."""
    paths: list[list[int]]
    """For each row, the nodes of its tokens; each is the first one's descendant."""

    @classmethod
    def of(cls, rows: Sequence[Sequence[int]]) -> Tree:
        """The tree of rows of token ids; equal rows are one path, and an empty row has none."""
        ids: list[int] = []
        depths: list[int] = []
        stops: list[int] = []
        paths: list[list[int]] = [[] for _ in rows]
        path: list[int] = []
        before: list[int] = []
        for row, at in sorted((list(row), at) for at, row in enumerate(rows)):
            # Sorted, rows that begin alike stand together, and a row shares most with the one before it.
            shared = _common(before, row)
            for node in path[shared:]:
                stops[node] = len(ids)
            path = path[:shared] + list(range(len(ids), len(ids) + len(row) - shared))
            ids += row[shared:]
            depths += range(shared, len(row))
            stops += [0] * (len(row) - shared)
            paths[at], before = path, row
        for node in path:
            stops[node] = len(ids)
        return cls(ids, depths, stops, paths)


def _common(first: Sequence[int], second: Sequence[int]) -> int:
    """Length of the common beginning."""
    for at, (one, other) in enumerate(zip(first, second, strict=False)):
        if one != other:
            return at
    return min(len(first), len(second))


class Blocks:
    """Which keys each block of a tree's nodes attends to, and which of them each node sees.

    Args:
        tree: with at least one node.
        size: nodes of a block; the last one is filled up with copies of the last node, which are cut off again.
        device: where the model is.

    Attributes:
        count: number of blocks.
        keys: int64 [count * columns], the node in each column of each block: the path to the block's first node, then
            the block. The paths of the others are shorter than the longest: there stands node 0, seen by none.
    """

    def __init__(self, tree: Tree, size: int, device: torch.device) -> None:
        nodes = len(tree.ids)
        self.nodes, self.size, self.count = nodes, size, -(-nodes // size)
        stops = torch.tensor(tree.stops)
        depths = torch.tensor(tree.depths)
        starts = range(0, nodes, size)
        above = [torch.nonzero(stops[:start] > start).flatten() for start in starts]
        widest = max(len(path) for path in above)
        keys = torch.full((self.count, widest + size), -1)
        for block, (start, path) in enumerate(zip(starts, above, strict=True)):
            keys[block, widest - len(path) : widest] = path
            own = torch.arange(start, min(start + size, nodes))
            keys[block, widest : widest + len(own)] = own
        # Compared where the model is: what comes of it, a number for every query and key, is large.
        keys, stops, self._depths = (part.to(device) for part in (keys, stops, depths))
        queries = torch.arange(self.count * size, device=device).clamp(max=nodes - 1).view(self.count, size, 1)
        taken = keys.clamp(min=0)
        self._seen = (keys >= 0)[:, None] & (keys[:, None] <= queries) & (stops[taken][:, None] > queries)
        self._queries, self.keys = queries, taken.flatten()
        self._biases: dict[tuple[int | None, int, torch.dtype], Tensor] = {}

    def bias(self, window: int | None, heads: int, dtype: torch.dtype) -> Tensor:
        """What is added to scores: 0 where a node is seen, -inf where not.

        Made once a forward pass, not once a layer.

        Args:
            window: ancestors further away than this are not seen (a sliding window); None: all are.
            heads: query heads that share a key head; they stand one after the other among the queries.
            dtype: of the scores.

        Returns:
            [count, 1, heads * size, columns].
        """
        if (window, heads, dtype) not in self._biases:
            seen = self._seen
            if window is not None:
                back = self._depths[self._queries] - self._depths[self.keys.view(self.count, 1, -1)]
                seen = seen & (back < window)
            bias = torch.zeros(seen.shape, dtype=dtype, device=seen.device).masked_fill_(~seen, float("-inf"))
            self._biases[window, heads, dtype] = repeat(bias, "s n m -> s 1 (r n) m", r=heads)
        return self._biases[window, heads, dtype]


def attend(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    bias: Tensor,
    scale: float,
    softcap: float | None = None,
    sinks: Tensor | None = None,
) -> Tensor:
    """Attention of the queries of each block to its keys.

    Args:
        query: [blocks, key heads, queries, width].
        key: [blocks, key heads, columns, width].
        value: as ``key``.
        bias: added to the scores, [blocks, 1, queries, columns].
        scale: of the scores.
        softcap: scores become ``softcap * tanh(score / softcap)`` (Gemma 2).
        sinks: [key heads, queries], one more logit a query that takes mass and gives nothing (GPT-OSS).

    Returns:
        [blocks, key heads, queries, width].
    """
    if softcap is None and sinks is None:
        return torch.nn.functional.scaled_dot_product_attention(query, key, value, attn_mask=bias, scale=scale)
    scores = torch.matmul(query, key.mT).float() * scale
    if softcap is not None:
        scores = softcap * torch.tanh(scores / softcap)
    scores = scores + bias
    mass = torch.logsumexp(scores, dim=-1, keepdim=True)
    if sinks is not None:
        mass = torch.logaddexp(mass, sinks[..., None].float())
    return torch.matmul(torch.exp(scores - mass).to(value.dtype), value)


def _attention(blocks: Blocks, module: Any, query: Tensor, key: Tensor, value: Tensor, asked: Asked) -> Tensor:
    """What each layer calls; query [1, heads, nodes, width] -> [1, nodes, heads, width]."""
    if query.shape[2] != blocks.nodes or key.shape[2] != blocks.nodes:
        raise UnsupportedError("a layer attends to other tokens than those before")
    dtype, groups = query.dtype, key.shape[1]
    heads = query.shape[1] // groups
    if dtype == torch.float16:
        # Queries times keys may leave float16's range; see audit.models.precision.
        query, key, value = query.float(), key.float(), value.float()
    # Heads that share keys stand one after the other among the queries, so that no key is copied for each.
    filled = torch.nn.functional.pad(query[0], (0, 0, 0, blocks.count * blocks.size - blocks.nodes))
    found = attend(
        rearrange(filled, "(g r) (s n) d -> s g (r n) d", g=groups, s=blocks.count),
        rearrange(key[0].index_select(1, blocks.keys), "g (s m) d -> s g m d", s=blocks.count),
        rearrange(value[0].index_select(1, blocks.keys), "g (s m) d -> s g m d", s=blocks.count),
        blocks.bias(asked.window, heads, query.dtype),
        asked.scale,
        asked.softcap,
        None if asked.sinks is None else repeat(asked.sinks, "(g r) -> g (r n)", g=groups, n=blocks.size),
    )
    found = rearrange(found, "s g (r n) d -> 1 (s n) (g r) d", r=heads)
    return found[:, : blocks.nodes].to(dtype).contiguous()


HOOK: Hook[Blocks] = Hook("token_tree", _attention)


def hidden_states(head: Head, tree: Tree, device: torch.device) -> Tensor:
    """The model's last hidden state of every node, [nodes, width]; one forward pass.

    Raises:
        UnsupportedError: a layer asks for what tree attention does not do; such a model takes the plain path.
    """
    ids = torch.tensor([tree.ids], device=device)
    blocks = Blocks(tree, _BLOCK.get(device.type, _BLOCK["cpu"]), device)
    with HOOK.work(head.module, blocks):
        output = head.hidden(
            input_ids=ids,
            attention_mask=torch.ones_like(ids),  # not used; only some models warn without one
            position_ids=torch.tensor([tree.depths], device=device),
            use_cache=False,
        )
    found: Tensor = output.last_hidden_state[0]
    return found
