"""Decoding in blocks of steps over fixed buffers, each step one CUDA graph.

A step of a small model is some hundred short operations; launched one by one, the GPU waits for the host. Captured once
as a graph they are launched together, and nothing is asked of the host inside a step: tokens are drawn on the device,
written to a buffer, and looked at after each block. A logit that is not finite raises a flag; then the block is taken
back and done again step by step, to name the row.

On a CPU the same steps run over the same buffers without a graph: that is how they are tested against
:class:`audit.models.decoding.EagerSteps`.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from audit.models.decoding import BadRows, EagerSteps, Vocabulary, bad_rows
from audit.models.memory import out_of_memory
from audit.models.prefix import Batch, Grid, SharedRows, Tail, feed, regrid
from audit.models.sampling import draw, draw_fixed
from probes.suite import Decoding

BLOCK = 8
"""Steps between two looks at the rows."""
# Prompts are padded to a multiple of so many tokens, so that one graph serves batches of nearly equal length.
_BUCKET = 32
# Graphs kept: each holds its buffers. Batches come sorted by length, so that old shapes do not return.
_KEPT = 3
HELD = 2
"""All graphs that are kept hold together at most so many times what the largest of them holds: room for a batch and the
halves that it shrinks to."""


@dataclass(frozen=True, slots=True)
class Shape:
    """What a graph is made for."""

    prompts: int
    rows: int
    """Rows a prompt."""
    length: int
    """Tokens that a prompt has room for."""
    room: int
    """Tokens that a tail has room for."""

    @classmethod
    def of(cls, prompts: int, rows: int, longest: int, room: int) -> Shape:
        """The shape that serves a batch whose longest prompt has so many tokens."""
        return cls(prompts, rows, _rounded(longest), room)

    @property
    def tokens(self) -> int:
        """Tokens whose keys and values the buffers hold."""
        return self.prompts * (self.length + self.rows * self.room)

    def nbytes(self, key_values: int) -> int:
        """Bytes of the buffers of :class:`FixedStep`, where a token's keys and values take ``key_values``."""
        # A slot has two int32 of noise key; int64 are its place, its newest token and all that were drawn. A prompt has
        # its length; the step and a flag are one each.
        slot = 8 + 8 + 8 + 8 * (self.room + 1)
        return self.tokens * key_values + self.prompts * (self.rows * slot + 8) + 8 + 1


class Graphs:
    """The graphs of one model (with one adapter) and one way of drawing; made as shapes come up.

    Args:
        capture: record graphs; without, the same steps run one by one.

    Attributes:
        failure: why graphs are recorded no longer, "" as long as they are.
    """

    def __init__(self, *, capture: bool) -> None:
        self.capture = capture
        self.failure = ""
        self._steps: dict[Shape, FixedStep] = {}

    def __len__(self) -> int:
        return len(self._steps)

    def get(self, shape: Shape, make: Callable[[Shape], FixedStep]) -> FixedStep:
        """The step for a shape; the oldest of the others are given up for it."""
        if shape not in self._steps:
            while self._steps and self._full(shape):
                self._steps.pop(next(iter(self._steps)))
            self._steps[shape] = make(shape)
        return self._steps[shape]

    def _full(self, shape: Shape) -> bool:
        """Whether one more shape is one graph too many, or too much memory."""
        tokens = [one.tokens for one in (*self._steps, shape)]
        return len(tokens) > _KEPT or sum(tokens) > HELD * max(tokens)

    def give_up(self, reason: str) -> None:
        """Record no more graphs, and use none of those there are."""
        self.capture, self.failure = False, reason
        warnings.warn(f"{reason}; decoding goes on without graphs, slower", stacklevel=2)
        for step in self._steps.values():
            step.graph = None


class FixedStep:
    """One decoding step over fixed buffers.

    Args:
        work: a batch whose prompts were read; tells model and cache layout.
        shape: of the buffers.
        size: token ids from here on are never drawn.
        decoding: how tokens are drawn.
        capture: record the step as a CUDA graph.
    """

    def __init__(self, work: SharedRows, shape: Shape, size: int, decoding: Decoding, *, capture: bool) -> None:
        self.shape, self._size, self._decoding = shape, size, decoding
        # Not the batch itself: it would be kept as long as the graph.
        self._module, self._head = work.module, work.head
        batch, device = work.batch, work.batch.grid.lengths.device
        slots = shape.prompts * shape.rows
        grid = Grid(
            [shape.rows] * shape.prompts, torch.ones(shape.prompts, dtype=torch.int64, device=device), shape.room
        )
        grid.fixed = True

        def like(part: Tensor, rows: int, length: int) -> Tensor:
            return part.new_zeros((rows, part.shape[1], length, part.shape[3]))

        prompts = [
            (like(keys, shape.prompts, shape.length), like(values, shape.prompts, shape.length))
            for keys, values in batch.prompts
        ]
        tails = [
            Tail(like(keys, slots, shape.room), like(values, slots, shape.room), grid) for keys, values in batch.prompts
        ]
        self.batch = Batch(grid, prompts, tails)
        self.keys = torch.zeros((slots, 2), dtype=torch.int32, device=device)
        self.tokens = torch.zeros(slots, dtype=torch.int64, device=device)
        self.drawn = torch.zeros((shape.room + 1, slots), dtype=torch.int64, device=device)
        self.alright = torch.ones((), dtype=torch.bool, device=device)
        self.graph = self._captured() if capture else None
        self._tried = False

    def _captured(self) -> Any:
        # torch wants a few runs on another stream first, so that libraries set themselves up outside the graph.
        stream: Any = torch.cuda.Stream()  # type: ignore[no-untyped-call]
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            for _ in range(2):
                self.batch.grid.step.zero_()
                self._step()
        torch.cuda.current_stream().wait_stream(stream)
        graph = torch.cuda.CUDAGraph()
        self.batch.grid.step.zero_()
        with torch.cuda.graph(graph, capture_error_mode="thread_local"):
            self._step()
        return graph

    def _step(self) -> None:
        """Feed ``tokens`` and draw the next ones; asks nothing of the host."""
        logits = self._fed()
        self.alright &= torch.isfinite(logits.float().sum())
        logits[:, self._size :] = float("-inf")
        # The first token was drawn from the prompt, so one more was drawn than the tails hold.
        self._went(draw_fixed(logits, self._decoding, self.keys, self.batch.grid.step + 1))

    def _fed(self) -> Tensor:
        self.batch.grid.biases = {}
        return feed(self._module, self._head, self.batch, self.tokens)

    def _went(self, chosen: Tensor) -> None:
        self.tokens.copy_(chosen)
        self.drawn.index_copy_(0, self.batch.grid.step[None], chosen[None])
        self.batch.grid.step += 1

    def load(self, prompts: Sequence[tuple[Tensor, Tensor]], tails: Sequence[tuple[Tensor, Tensor]], lengths: Tensor,
             keys: Tensor, tokens: Tensor, slots: Tensor, step: int) -> None:  # fmt: skip
        """Put a batch into the buffers.

        Args:
            prompts: keys and values, [prompts, key heads, length, width] each, a layer a pair.
            tails: as many pairs of [rows, key heads, room, width]; none where the tails are empty.
            lengths: int64 [prompts].
            keys: int32 [rows, 2].
            tokens: int64 [rows], drawn last and not fed yet.
            slots: int64 [rows], where each row goes.
            step: tokens that the tails hold.
        """
        for own, given in zip(self.batch.prompts, prompts, strict=True):
            for target, source in zip(own, given, strict=True):
                target[: source.shape[0], :, : source.shape[2]] = source
        for layer, tail in zip(self.batch.tails, tails, strict=False):
            layer.keys[slots], layer.values[slots] = tail
        self.batch.grid.lengths.fill_(1)
        self.batch.grid.lengths[: len(lengths)] = lengths
        self.keys[slots], self.tokens[slots] = keys, tokens
        self.batch.grid.step.fill_(step)
        self.alright.fill_(True)

    def run(self, first: int, count: int, slots: Tensor) -> Tensor:
        """Draw so many tokens a slot.

        Args:
            first: tokens that the tails hold.
            count: tokens to draw.
            slots: int64 [rows], where the rows sit that are still drawn.

        Returns:
            int64 [count, rows].

        Raises:
            BadRows: a logit is NaN or infinite.
        """
        before = self.tokens.clone()
        for _ in range(count):
            if self.graph is None:
                self._step()
            else:
                self.graph.replay()
        if not bool(self.alright):
            self.tokens.copy_(before)
            self._again(first, count, slots)
        return self.drawn[first : first + count, slots]

    def sound(self, first: int) -> bool:
        """Whether the graph draws the tokens that the same step does without it; tried once, on the first batch."""
        if self.graph is None or self._tried:
            return True
        self._tried = True
        before, found = self.tokens.clone(), []
        for step in (self.graph.replay, self._step):
            self.tokens.copy_(before)
            self.batch.grid.step.fill_(first)
            step()
            found.append(self.tokens.clone())
        self.tokens.copy_(before)
        self.batch.grid.step.fill_(first)
        return torch.equal(*found)

    def _again(self, first: int, count: int, slots: Tensor) -> None:
        """A block once more, looking at every logit; what the tails hold from ``first`` on is written over."""
        self.alright.fill_(True)
        self.batch.grid.step.fill_(first)
        for step in range(first, first + count):
            logits = self._fed()
            if bad := bad_rows(logits[slots]):
                raise BadRows(bad, self.drawn[first:step, slots])
            logits[:, self._size :] = float("-inf")
            self._went(draw(logits, self._decoding, self.keys, step + 1))


class GraphSteps:
    """Draws the rows of a shared-prompt batch in blocks; see :class:`audit.models.decoding.EagerSteps`.

    Args:
        work: the batch.
        keys: int32 [rows, 2], noise keys.
        vocabulary: of the model's tokenizer.
        decoding: how tokens are drawn.
        graphs: where graphs are kept between batches.
    """

    size = BLOCK

    def __init__(
        self, work: SharedRows, keys: Tensor, vocabulary: Vocabulary, decoding: Decoding, graphs: Graphs,
    ) -> None:  # fmt: skip
        self._work, self._keys, self._vocabulary, self._decoding = work, keys, vocabulary, decoding
        self._graphs = graphs
        self._held = 0

    def draw(self, count: int) -> Tensor:
        """See :class:`audit.models.decoding.Steps`."""
        if self._held:
            return self._block(count)
        # The first token comes from the prompt.
        first = EagerSteps(self._work, self._keys, self._vocabulary, self._decoding).draw(1)
        batch = self._work.batch
        lengths, width = batch.grid.lengths, batch.grid.width
        self._slots = batch.grid.all
        self._enter(Shape.of(len(lengths), width, batch.prompts[0][0].shape[2], self._work.room))
        self._fixed.load(batch.prompts, [], lengths, self._keys, first[0], self._slots, 0)
        if count == 1:
            return first
        try:
            return torch.cat([first, self._block(count - 1)])
        except BadRows as bad:
            raise BadRows(bad.rows, torch.cat([first, bad.drawn])) from None

    def _enter(self, shape: Shape) -> None:
        self._fixed = self._graphs.get(shape, self._made)

    def _made(self, shape: Shape) -> FixedStep:
        size, graphs = self._vocabulary.size, self._graphs
        if graphs.capture:
            try:
                return FixedStep(self._work, shape, size, self._decoding, capture=True)
            except RuntimeError as error:
                if out_of_memory(error):
                    raise
                graphs.give_up(f"the decoding step cannot be recorded as a CUDA graph: {str(error).splitlines()[0]}")
        return FixedStep(self._work, shape, size, self._decoding, capture=False)

    def _block(self, count: int) -> Tensor:
        if not self._fixed.sound(self._held):
            self._graphs.give_up("a step replayed as a CUDA graph drew other tokens than the step itself")
        found = self._fixed.run(self._held, count, self._slots)
        self._held += count
        return found

    def compacts(self, kept: int, rows: int) -> bool:
        """See :class:`audit.models.decoding.Steps`."""
        return kept < rows

    def keep(self, rows: Tensor) -> None:
        """Go on with these rows only, int64 [rows kept]; into a smaller grid where a half as large one will do."""
        self._slots = self._slots[rows]
        old, fixed = self._fixed.shape, self._fixed
        prompts, width, moved = regrid(self._slots, old.rows)
        fewer = _halved(old.prompts, len(prompts)), _halved(old.rows, width)
        if fewer[0] * fewer[1] * 2 > old.prompts * old.rows:
            return
        tails = [(layer.keys[self._slots], layer.values[self._slots]) for layer in fixed.batch.tails]
        kept = [(keys[prompts], values[prompts]) for keys, values in fixed.batch.prompts]
        lengths = fixed.batch.grid.lengths[prompts]
        keys, tokens = fixed.keys[self._slots], fixed.tokens[self._slots]
        self._slots = moved // width * fewer[1] + moved % width
        self._enter(Shape(*fewer, old.length, old.room))
        self._fixed.load(kept, tails, lengths, keys, tokens, self._slots, self._held)


def _rounded(length: int) -> int:
    return -(-length // _BUCKET) * _BUCKET


def _halved(size: int, needed: int) -> int:
    """``size`` halved as often as ``needed`` still fits, rounding up: few different sizes come up."""
    while size > 1 and -(-size // 2) >= needed:
        size = -(-size // 2)
    return size
