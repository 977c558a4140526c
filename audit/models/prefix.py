"""Decoding with shared prompts: a prompt's keys and values are held once and read once for all its continuations.

Every continuation (a row) attends to its prompt's keys and values together with the prompt's other rows, and to its own
tail; the two parts are merged by their log-sum-exp, which is exact. It rests on transformers' attention interface and
on a cache class, so that no model's layers are rewritten: whatever a layer does before and after its attention stays
the model's own. Which models may use it is found out by :func:`audit.models.fits.fits`; the plain path that it is
tested against is :mod:`audit.models.plain`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from einops import rearrange
from torch import Tensor
from transformers import Cache, DynamicCache
from transformers.cache_utils import CacheLayerMixin

from audit.models.head import Head
from audit.models.hook import Asked, Hook, UnsupportedError

# Slots without a row are only cleared away once they are so many: clearing copies the caches.
_REGRID_AT = 0.5


# -- the attention itself: tensors only --


def attend(
    query: Tensor,
    prompt: tuple[Tensor, Tensor],
    tail: tuple[Tensor, Tensor],
    bias: tuple[Tensor | None, Tensor | None],
    scale: float,
    softcap: float | None = None,
    sinks: Tensor | None = None,
) -> Tensor:
    """Attention of one new token a row to its prompt and to its own tail.

    Args:
        query: [prompts * rows, heads, width]; the rows of a prompt stand together.
        prompt: keys and values of the prompts, each [prompts, key heads, length, width].
        tail: keys and values of the rows, each [prompts * rows, key heads, steps, width].
        bias: added to the scores of prompt and tail, 0 where visible and the lowest number where not; broadcast to
            [prompts, key heads, queries, length] and [prompts * rows, key heads, queries, steps]; None where all is
            visible.
        scale: of the scores.
        softcap: scores become ``softcap * tanh(score / softcap)`` (Gemma 2).
        sinks: [heads], one more logit a head that takes mass and gives nothing (GPT-OSS).

    Returns:
        [prompts * rows, heads, width].
    """
    prompts, groups = prompt[0].shape[:2]
    rows = query.shape[0] // prompts
    together = rearrange(query, "(p n) (g r) d -> p g (n r) d", p=prompts, g=groups)
    apart = rearrange(query, "n (g r) d -> n g r d", g=groups)
    first, first_mass = _part(together, *prompt, bias[0], scale, softcap)
    second, second_mass = _part(apart, *tail, bias[1], scale, softcap)
    first = rearrange(first, "p g (n r) d -> (p n) (g r) d", n=rows)
    first_mass = rearrange(first_mass, "p g (n r) -> (p n) (g r)", n=rows)
    second, second_mass = second.flatten(1, 2), second_mass.flatten(1, 2)
    total = torch.logaddexp(first_mass, second_mass)
    if sinks is not None:
        total = torch.logaddexp(total, sinks.float())
    share = torch.exp(torch.stack([first_mass, second_mass]) - total)[..., None].to(first.dtype)
    return share[0] * first + share[1] * second


def _part(
    query: Tensor, keys: Tensor, values: Tensor, bias: Tensor | None, scale: float, softcap: float | None
) -> tuple[Tensor, Tensor]:
    """Attention over one part of the keys, and the log of the mass that its softmax divided by (float32)."""
    if query.dtype == torch.float16:
        # Queries times keys may leave float16's range; see audit.models.precision.
        query, keys = query.float(), keys.float()
    scores = torch.matmul(query, keys.mT)
    scores = scores.to(torch.promote_types(scores.dtype, torch.float32)) * scale
    if softcap is not None:
        scores = softcap * torch.tanh(scores / softcap)
    if bias is not None:
        scores = scores + bias
    mass = torch.logsumexp(scores, dim=-1)
    weights = torch.exp(scores - mass[..., None]).to(values.dtype)
    return torch.matmul(weights, values), mass


# -- how it hangs in transformers --


class Tail(CacheLayerMixin):  # type: ignore[no-untyped-call]
    """What the rows' own tokens leave in one layer: buffers [slots, key heads, steps, width], filled step by step."""

    keys: Tensor
    values: Tensor

    def __init__(self, keys: Tensor, values: Tensor, grid: Grid) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.keys, self.values, self.grid = keys, values, grid
        self.is_initialized = True

    def update(self, key_states: Tensor, value_states: Tensor, *args: Any, **kwargs: Any) -> tuple[Tensor, Tensor]:
        """Write one token a row, and return the whole buffers."""
        for buffer, new in ((self.keys, key_states), (self.values, value_states)):
            if self.grid.slots is None:
                buffer.index_copy_(2, self.grid.step[None], new)
            else:
                buffer[self.grid.slots, :, self.grid.taken] = new[:, :, 0]
        return self.keys, self.values

    def lazy_initialization(self, key_states: Tensor, value_states: Tensor) -> None:
        """Nothing: the buffers are made with the layer."""

    def get_seq_length(self) -> int:
        """Asked by models that make positions themselves; ours are always given."""
        return self.grid.taken

    def get_mask_sizes(self, query_length: int) -> tuple[int, int]:
        """Never used: no mask of this name is registered, so none is made."""
        return self.keys.shape[2], 0

    def get_max_length(self) -> int:
        """Steps there is room for."""
        return int(self.keys.shape[2])


class Grid:
    """Which row sits where: ``prompts`` times ``width`` slots, and how many tokens the tails hold.

    Args:
        counts: rows of each prompt.
        lengths: int64 [prompts], tokens of each prompt.
        room: most tokens of a tail.

    Attributes:
        fixed: whether a step must be the same operations over the same buffers each time, so that it can be replayed:
            then the whole tail is attended to, and what is not filled yet is hidden.
    """

    fixed = False

    def __init__(self, counts: Sequence[int], lengths: Tensor, room: int) -> None:
        self.lengths, self.room, self.taken = lengths, room, 0
        self.step = torch.zeros((), dtype=torch.int64, device=lengths.device)
        self.width = max(counts)
        slots = [place * self.width + n for place, count in enumerate(counts) for n in range(count)]
        self.place(torch.tensor(slots, dtype=torch.int64, device=lengths.device))

    def place(self, slots: Tensor) -> None:
        """Have the rows sit in these slots, int64 [rows]."""
        self.all = slots
        self.slots = None if len(slots) == len(self.lengths) * self.width else slots
        self.biases: dict[int | None, tuple[Tensor | None, Tensor | None]] = {}

    def positions(self) -> Tensor:
        """int64 [rows, 1], position of each row's newest token."""
        return (self.lengths[self.all // self.width] + self.step)[:, None]

    def next(self) -> None:
        """Go to the next token."""
        self.taken += 1
        self.step += 1
        self.biases = {}

    @property
    def visible(self) -> int:
        """Columns of the tails that are attended to, the newest token's included."""
        return self.room if self.fixed else self.taken + 1

    def bias(self, window: int | None, length: int, dtype: torch.dtype) -> tuple[Tensor | None, Tensor | None]:
        """Biases of :func:`attend` at this step; made once a step and window, not once a layer."""
        if window not in self.biases:
            self.biases[window] = self._bias(window, length, dtype)
        return self.biases[window]

    def _bias(self, window: int | None, length: int, dtype: torch.dtype) -> tuple[Tensor | None, Tensor | None]:
        device, lowest = self.lengths.device, torch.finfo(dtype).min
        column = torch.arange(length, device=device)
        hidden = column >= self.lengths[:, None]
        steps = torch.arange(self.visible, device=device)
        late = steps > self.step if self.fixed else None
        if window is not None:
            hidden |= self.lengths[:, None] + self.step - column >= window
            late = (self.step - steps >= window) | (steps > self.step)
        first = torch.zeros(hidden.shape, dtype=dtype, device=device).masked_fill_(hidden, lowest)[:, None, None]
        if late is None:
            return first, None
        return first, torch.zeros(late.shape, dtype=dtype, device=device).masked_fill_(late, lowest)


class Batch:
    """Keys and values of a batch.

    Args:
        grid: where its rows sit.
        prompts: keys and values of the prompts, a pair a layer, [prompts, key heads, length, width] each.
        tails: what the rows add.
    """

    def __init__(self, grid: Grid, prompts: list[tuple[Tensor, Tensor]], tails: list[Tail]) -> None:
        self.grid, self.prompts, self.tails = grid, prompts, tails
        self.cache = Cache(layers=list(tails))


def _attention(batch: Batch, module: Any, query: Tensor, key: Tensor, value: Tensor, asked: Asked) -> Tensor:
    """What each layer calls; query [rows, heads, 1, width] -> [rows, 1, heads, width]."""
    at = getattr(module, "layer_idx", None)
    if at is None or key is not batch.tails[at].keys or value is not batch.tails[at].values:
        raise UnsupportedError("a layer changes keys or values after they are cached")
    if query.shape[2] != 1:
        raise UnsupportedError("a layer attends to other tokens than those before")
    grid, prompt, rows = batch.grid, batch.prompts[at], query[:, :, 0]
    bias = grid.bias(asked.window, prompt[0].shape[2], torch.float32)
    tail = key[:, :, : grid.visible], value[:, :, : grid.visible]
    if grid.slots is None:
        found = attend(rows, prompt, tail, bias, asked.scale, asked.softcap, asked.sinks)
    else:
        spread = rows.new_zeros((key.shape[0], *rows.shape[1:])).index_copy_(0, grid.slots, rows)
        found = attend(spread, prompt, tail, bias, asked.scale, asked.softcap, asked.sinks)[grid.slots]
    return found[:, None].to(query.dtype)


HOOK: Hook[Batch] = Hook("shared_prompt", _attention)


# -- a batch of rows --


class SharedRows:
    """The rows of one batch while they are decoded, prompts held once.

    Args:
        module: a transformers causal LM in eval mode.
        head: its two halves.
        prompts: token ids of each prompt, none empty.
        counts: rows of each prompt, at least one.
        room: most tokens that are drawn.
        pad: any id.
        device: where the model is.
    """

    # The layers' matrix products are for living rows only; what attention keeps is cleared away now and then.
    compact_at = 0.0

    def __init__(
        self, module: Any, head: Head, prompts: Sequence[Sequence[int]], counts: Sequence[int], *, room: int, pad: int,
        device: torch.device,
    ) -> None:  # fmt: skip
        self.module, self.head = module, head
        self._prompts, self._counts, self.room, self._pad, self._device = prompts, counts, room, pad, device

    def begin(self) -> Tensor:
        """Read the prompts; returns the logits of each row's first token, [rows, vocabulary]."""
        longest = max(map(len, self._prompts))
        lengths = torch.tensor([len(ids) for ids in self._prompts], device=self._device)
        # One copy to the device, not one a prompt: the host waits for each.
        ids = torch.tensor([[*ids, *[self._pad] * (longest - len(ids))] for ids in self._prompts], device=self._device)
        # Padded on the right: causal attention keeps padding out of sight. The mask of ones only silences a warning.
        # A cache made without the configuration keeps all keys of sliding-window layers, too.
        output = self.head.hidden(
            input_ids=ids, attention_mask=torch.ones_like(ids), past_key_values=DynamicCache(), use_cache=True
        )
        grid = Grid(self._counts, lengths, self.room)
        slots = len(self._counts) * grid.width
        read = [(layer.keys, layer.values) for layer in output.past_key_values.layers]
        tails = [Tail(_empty(keys, slots, self.room), _empty(values, slots, self.room), grid) for keys, values in read]
        self.batch = Batch(grid, read, tails)
        last = output.last_hidden_state[torch.arange(len(lengths), device=self._device), lengths - 1]
        return self.head.logits(last)[grid.all // grid.width]

    def advance(self, tokens: Tensor) -> Tensor:
        """Feed the token drawn for each row, int64 [rows]; returns the logits of the next, [rows, vocabulary]."""
        logits = feed(self.module, self.head, self.batch, tokens)
        self.batch.grid.next()
        return logits

    def keep(self, rows: Tensor) -> None:
        """Go on with these rows only, int64 [rows kept]."""
        batch, grid = self.batch, self.batch.grid
        slots = grid.all[rows]
        if len(slots) > _REGRID_AT * len(grid.lengths) * grid.width:
            grid.place(slots)
            return
        prompts, width, moved = regrid(slots, grid.width)
        source = slots.new_zeros(len(prompts) * width).index_copy_(0, moved, slots)
        batch.prompts = [(keys[prompts], values[prompts]) for keys, values in batch.prompts]
        for tail in batch.tails:
            tail.keys, tail.values = tail.keys[source], tail.values[source]
        grid.lengths, grid.width = grid.lengths[prompts], width
        grid.place(moved)


def _empty(part: Tensor, rows: int, steps: int) -> Tensor:
    return part.new_zeros((rows, part.shape[1], steps, part.shape[3]))


def feed(module: Any, head: Head, batch: Batch, tokens: Tensor) -> Tensor:
    """Feed one token a row to a batch, without going on to the next.

    Args:
        module: a transformers causal LM in eval mode.
        head: its two halves.
        batch: the rows.
        tokens: int64 [rows].

    Returns:
        Logits of the next token, [rows, vocabulary].

    Raises:
        UnsupportedError: a layer asks for what shared-prompt attention does not do.
    """
    ids = tokens[:, None]
    with HOOK.work(module, batch):
        output = head.hidden(
            input_ids=ids, attention_mask=torch.ones_like(ids), position_ids=batch.grid.positions(),
            past_key_values=batch.cache, use_cache=True,
        )  # fmt: skip
    return head.logits(output.last_hidden_state[:, 0])


def regrid(slots: Tensor, width: int) -> tuple[Tensor, int, Tensor]:
    """The smallest grid that the rows of some slots fit in.

    Args:
        slots: int64 [rows], ascending.
        width: slots a prompt.

    Returns:
        int64 [prompts kept], the new width, and int64 [rows], each row's slot in the new grid.
    """
    prompts, place, counts = torch.unique_consecutive(slots // width, return_inverse=True, return_counts=True)
    starts = counts.cumsum(0) - counts
    new = int(counts.max())
    return prompts, new, place * new + torch.arange(len(slots), device=slots.device) - starts[place]
