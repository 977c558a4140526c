"""Decoding in blocks of steps over fixed buffers, each step one CUDA graph.

A step of a small model is some hundred short operations; launched one by one, the GPU waits for the host. Captured once
as a graph they are launched together, and nothing is asked of the host inside a step: tokens are drawn on the device,
written to a buffer, and looked at after each block. A logit that is not finite raises a flag; then the block is taken
back and done again step by step, to name the row.

On a CPU the same steps run over the same buffers without a graph: that is how they are tested against
:class:`audit.models.decoding.EagerSteps`.
"""

from __future__ import annotations

import itertools
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import torch
from torch import Tensor

from audit.models.decoding import BadRows, Vocabulary, bad_rows
from audit.models.hostless import Hostless
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
# Streams that graphs are recorded on, in turn. What is recorded on one stream shares a workspace of cuBLAS (32 MiB on
# an H100), which newer versions of torch free with the first of these graphs that is given up (pytorch #193402): no two
# graphs that are kept may have one stream. As every stream keeps its workspace in other versions, they are few.
_STREAMS = 2 * (_KEPT + 1)
_RECORDED = itertools.count()
Kernel = Callable[[Tensor, Decoding, Tensor, Tensor, int], Tensor]
"""From logits, decoding, noise keys, step and the vocabulary's size to tokens; see :func:`audit.models.fused.draw`."""


@cache
def _stream(device: torch.device, number: int) -> Any:
    return torch.cuda.Stream(device)  # type: ignore[no-untyped-call]


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
        kernel: draws tokens in one go (:func:`audit.models.fused.draw`); None where torch's operations do.
    """

    def __init__(self, *, capture: bool) -> None:
        self.capture = capture
        self.failure = ""
        self.kernel: Kernel | None = None
        self._tried = False
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

    def try_kernel(self, logits: Tensor, decoding: Decoding, keys: Tensor, size: int) -> None:
        """Use the kernel that draws tokens if, on the first batch's first logits, it draws what torch's operations do.

        Args:
            logits: [rows, vocabulary], -inf from ``size`` on.
            decoding: how tokens are drawn.
            keys: int32 [rows, 2].
            size: of the tokenizer's vocabulary.
        """
        if self._tried or logits.device.type != "cuda" or decoding.temperature == 0 or decoding.top_k:
            return
        try:
            from audit.models import fused

            why = fused.trial(logits, decoding, keys, size)
        except Exception as error:  # compiling and starting a kernel fails in many ways, none of which matters here
            if out_of_memory(error):
                raise
            why = f"the kernel that draws tokens cannot be used: {_line(error)}"
        self._tried = True
        if why:
            warnings.warn(f"{why}; torch's operations draw them, slower", stacklevel=2)
        else:
            self.kernel = fused.draw

    def clear(self) -> None:
        """Give up what is kept, and its memory."""
        self._steps.clear()

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
        kernel: draws tokens in one go; None for torch's operations.
    """

    def __init__(
        self, work: SharedRows, shape: Shape, size: int, decoding: Decoding, *, capture: bool,
        kernel: Kernel | None = None,
    ) -> None:  # fmt: skip
        self.shape, self._size, self._decoding, self._kernel = shape, size, decoding, kernel
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
        device = self.tokens.device
        # Recording on another device's stream would record nothing.
        with torch.cuda.device(device):
            stream, current = _stream(device, next(_RECORDED) % _STREAMS), torch.cuda.current_stream()
            self._try_out(stream)
            graph = torch.cuda.CUDAGraph()
            # Where recording fails, torch goes without putting the stream back that was there before.
            with (
                torch.cuda.stream(current),
                torch.cuda.graph(graph, stream=stream, capture_error_mode="thread_local"),
            ):
                self._step()
        return graph

    def _try_out(self, stream: Any) -> None:
        """Two steps on the stream of the recording, so that libraries set themselves up outside the graph.

        Raises:
            HostlessError: the step asks something of the host.
        """
        current = torch.cuda.current_stream()
        stream.wait_stream(current)
        try:
            with torch.cuda.stream(stream):
                self.batch.grid.step.zero_()
                self._step()
                self.batch.grid.step.zero_()
                with Hostless(self.tokens.device):
                    self._step()
                self.batch.grid.step.zero_()
        finally:
            # The buffers may be given to others as soon as this step is given up.
            current.wait_stream(stream)

    def _step(self) -> None:
        """Feed ``tokens`` and draw the next ones; asks nothing of the host."""
        logits = self._fed()
        self.alright &= torch.isfinite(logits.sum(dtype=torch.float32))
        # The first token was drawn from the prompt, so one more was drawn than the tails hold.
        step = self.batch.grid.step + 1
        if self._kernel is not None:
            self._went(self._kernel(logits, self._decoding, self.keys, step, self._size))
            return
        logits[:, self._size :] = float("-inf")
        self._went(draw_fixed(logits, self._decoding, self.keys, step))

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
        work: the batch; what it holds of its prompts is given up once it stands in the buffers.
        keys: int32 [rows, 2], noise keys.
        vocabulary: of the model's tokenizer.
        decoding: how tokens are drawn.
        graphs: where graphs are kept between batches.
        room: most tokens of a row but its first.
    """

    size = BLOCK

    def __init__(
        self, work: SharedRows, keys: Tensor, vocabulary: Vocabulary, decoding: Decoding, graphs: Graphs, *,
        room: int,
    ) -> None:  # fmt: skip
        self._work, self._keys, self._vocabulary, self._decoding = work, keys, vocabulary, decoding
        self._graphs, self._room = graphs, room
        self._held = 0

    def draw(self, count: int) -> Tensor:
        """See :class:`audit.models.decoding.Steps`."""
        if self._held:
            return self._block(count)
        first = self._first()
        batch = self._work.batch
        lengths, width = batch.grid.lengths, batch.grid.width
        self._slots = batch.grid.all
        self._enter(Shape.of(len(lengths), width, batch.prompts[0][0].shape[2], self._room))
        self._fixed.load(batch.prompts, [], lengths, self._keys, first[0], self._slots, 0)
        # Only their shapes are needed from here on.
        batch.prompts = [(keys[:0].clone(), values[:0].clone()) for keys, values in batch.prompts]
        if count == 1:
            return first
        try:
            return torch.cat([first, self._block(count - 1)])
        except BadRows as bad:
            raise BadRows(bad.rows, torch.cat([first, bad.drawn])) from None

    def _first(self) -> Tensor:
        """The rows' first tokens, int64 [1, rows]: they come from the prompts."""
        logits, size = self._work.begin(), self._vocabulary.size
        if bad := bad_rows(logits):
            raise BadRows(bad, logits.new_zeros((0, len(logits))))
        logits[:, size:] = float("-inf")
        found = draw(logits, self._decoding, self._keys, 0)
        self._graphs.try_kernel(logits, self._decoding, self._keys, size)
        return found[None]

    def _enter(self, shape: Shape) -> None:
        self._fixed = self._graphs.get(shape, self._made)

    def _made(self, shape: Shape) -> FixedStep:
        size, graphs = self._vocabulary.size, self._graphs
        if graphs.capture:
            try:
                return FixedStep(self._work, shape, size, self._decoding, capture=True, kernel=graphs.kernel)
            except RuntimeError as error:
                # What ends a recording raises once more; what went wrong in it was raised before.
                first = error.__context__ if isinstance(error.__context__, RuntimeError) else error
                if out_of_memory(first):
                    raise first from None
                graphs.give_up(f"the decoding step cannot be recorded as a CUDA graph: {_line(first)}")
        return FixedStep(self._work, shape, size, self._decoding, capture=False, kernel=graphs.kernel)

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


def _line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]


def _rounded(length: int) -> int:
    return -(-length // _BUCKET) * _BUCKET


def _halved(size: int, needed: int) -> int:
    """``size`` halved as often as ``needed`` still fits, rounding up: few different sizes come up."""
    while size > 1 and -(-size // 2) >= needed:
        size = -(-size // 2)
    return size
