"""Batched generation with keyed sampling: one prefill a prompt, k continuations of it.

The loop draws a token for every row, sees which rows are done, and goes on with the others. How a row's keys and values
are held is the business of two classes with the same three methods: :class:`audit.models.prefix.SharedRows` holds a
prompt's once for all its continuations, :class:`audit.models.plain.PlainRows` works for every model.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import TYPE_CHECKING, Any, Protocol

import torch
from torch import Tensor

from audit.models.finite import not_finite
from audit.models.plain import PlainRows
from audit.models.sampling import draw
from audit.models.unpadded import UnpaddedRows
from probes.suite import Decoding

if TYPE_CHECKING:
    from audit.models.graphs import Graphs

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


class BadRows(Exception):
    """Logits of some rows are not finite; ends a block of steps.

    Args:
        rows: places of the rows at fault.
        drawn: int64 [steps, rows], what the block had drawn before.
    """

    def __init__(self, rows: list[int], drawn: Tensor) -> None:
        super().__init__(f"rows {rows}")
        self.rows, self.drawn = rows, drawn


def bad_rows(logits: Tensor) -> list[int]:
    """Rows that hold NaN or an infinity: an argmax over NaN would decode to a harmless-looking token.

    Args:
        logits: [rows, vocabulary] of the model, before anything is masked.
    """
    # NaN survives a sum and so does an infinity (or they cancel to NaN): one cheap pass in the good case.
    if bool(torch.isfinite(logits.float().sum())):
        return []
    return [int(row) for row in torch.nonzero(~torch.isfinite(logits).all(dim=1)).flatten()]


class Rows(Protocol):
    """Rows of a batch while they are decoded."""

    compact_at: float
    """Share of finished rows from which on clearing them away pays."""

    def begin(self) -> Tensor:
        """Read the prompts; returns the logits of each row's first token, [rows, vocabulary]."""

    def advance(self, tokens: Tensor) -> Tensor:
        """Feed the token drawn for each row, int64 [rows]; returns the logits of the next, [rows, vocabulary]."""

    def keep(self, rows: Tensor) -> None:
        """Go on with these rows only, int64 [rows kept]."""


@torch.inference_mode()
def generate_batch(
    module: Any,
    vocabulary: Vocabulary,
    prompts: Sequence[Sequence[int]],
    rows: Sequence[int],
    names: Sequence[str],
    keys: Tensor,
    decoding: Decoding,
    *,
    shared: bool = False,
    unpadded: bool = False,
    graphs: Graphs | None = None,
) -> list[Row]:
    """Continue prompts.

    Args:
        module: a transformers causal LM in eval mode.
        vocabulary: of its tokenizer.
        prompts: token ids of each distinct prompt.
        rows: for each continuation, the index of its prompt, in ascending order: the continuations of a prompt stand
            together and share its prefill; every prompt has one.
        names: name of each continuation, for error messages.
        keys: int32 [len(rows), 2], noise keys.
        decoding: how tokens are drawn and when an answer ends.
        shared: hold each prompt's keys and values once, for models that :func:`audit.models.fits.fits` found fit.
        unpadded: compute every row without padding and cache, for models whose plain batches are wrong.
        graphs: with ``shared``, decode in blocks of fixed steps and keep their graphs here for the next batch; one for
            each model, adapter and ``decoding``.

    Returns:
        One finished :class:`Row` a continuation, in order. End tokens are not among the tokens.

    Raises:
        NonFiniteError: a logit is NaN or infinite; the row is named, and the layer if it can be found.
    """
    counts = [len(list(part)) for _, part in groupby(rows)]
    if unpadded:
        steps: Steps = EagerSteps(UnpaddedRows(module, prompts, counts, device=keys.device), keys, vocabulary, decoding)
    elif shared:
        steps = _shared(module, vocabulary, prompts, counts, keys, decoding, graphs)
    else:
        plain = PlainRows(module, prompts, counts, pad=vocabulary.pad, device=keys.device)
        steps = EagerSteps(plain, keys, vocabulary, decoding)
    ends = _Ends(vocabulary, decoding)
    done = [Row(name) for name in names]
    active = list(range(len(rows)))  # index into `done` of each row that is still drawn
    drawn = 0
    while active:
        count = min(steps.size, decoding.max_new_tokens - drawn)
        try:
            block = steps.draw(count).tolist()
        except BadRows as bad:
            suspects = [
                (names[at], [*prompts[rows[at]], *done[at].tokens, *bad.drawn[:, row].tolist()])
                for row, at in ((row, active[row]) for row in bad.rows)
            ]
            raise not_finite(module, "generation", suspects, keys.device) from None
        for tokens in block:
            for index, token in zip(active, tokens, strict=True):
                ends.append(done[index], token)
        drawn += count
        keep = [slot for slot, index in enumerate(active) if not done[index].finish]
        if keep and steps.compacts(len(keep), len(active)):
            steps.keep(torch.tensor(keep, dtype=torch.int64, device=keys.device))
            active = [active[slot] for slot in keep]
        elif not keep:
            active = []
    return done


class Steps(Protocol):
    """Draws tokens for the rows of a batch."""

    size: int
    """Tokens to draw between two looks at the rows."""

    def draw(self, count: int) -> Tensor:
        """Draw so many tokens for every row, int64 [count, rows]; raises BadRows where a logit is not finite."""

    def compacts(self, kept: int, rows: int) -> bool:
        """Whether it is worth the while to go on with fewer rows."""

    def keep(self, rows: Tensor) -> None:
        """Go on with these rows only, int64 [rows kept]."""


class EagerSteps:
    """Draws token after token, looking at every logit.

    Args:
        work: the rows.
        keys: int32 [rows, 2], noise keys.
        vocabulary: of the model's tokenizer.
        decoding: how tokens are drawn.
    """

    size = 1

    def __init__(self, work: Rows, keys: Tensor, vocabulary: Vocabulary, decoding: Decoding) -> None:
        self._work, self._keys, self._vocabulary, self._decoding = work, keys, vocabulary, decoding
        self._drawn = 0
        self._last: Tensor

    def draw(self, count: int) -> Tensor:
        """See :class:`Steps`."""
        found: list[Tensor] = []
        for _ in range(count):
            logits = self._work.advance(self._last) if self._drawn else self._work.begin()
            if bad := bad_rows(logits):
                raise BadRows(bad, torch.stack(found) if found else logits.new_zeros((0, len(logits))))
            logits[:, self._vocabulary.size :] = float("-inf")
            self._last = draw(logits, self._decoding, self._keys, self._drawn)
            self._drawn += 1
            found.append(self._last)
        return torch.stack(found)

    def compacts(self, kept: int, rows: int) -> bool:
        """See :class:`Steps`."""
        return kept <= (1 - self._work.compact_at) * rows and kept < rows

    def keep(self, rows: Tensor) -> None:
        """See :class:`Steps`."""
        self._work.keep(rows)
        self._keys, self._last = self._keys[rows], self._last[rows]


def _shared(
    module: Any, vocabulary: Vocabulary, prompts: Sequence[Sequence[int]], counts: Sequence[int], keys: Tensor,
    decoding: Decoding, graphs: Graphs | None,
) -> Steps:  # fmt: skip
    from audit.models.graphs import GraphSteps
    from audit.models.head import Head
    from audit.models.prefix import SharedRows

    head = Head.of(module)
    if head is None:
        raise ValueError(
            f"{type(module).__name__} was said to be fit for shared prompts, but its head stands not apart"
        )
    room = max(decoding.max_new_tokens - 1, 1)
    # Steps over fixed buffers have the rows' own tokens there.
    own = room if graphs is None else 0
    work = SharedRows(module, head, prompts, counts, room=own, pad=vocabulary.pad, device=keys.device)
    if graphs is None:
        return EagerSteps(work, keys, vocabulary, decoding)
    return GraphSteps(work, keys, vocabulary, decoding, graphs, room=room)


class _Ends:
    """Adds tokens to rows and sees where they end."""

    def __init__(self, vocabulary: Vocabulary, decoding: Decoding) -> None:
        self._vocabulary, self._decoding = vocabulary, decoding
        self._closing = {word[-1] for word in decoding.stop}
        self._may_close: dict[int, bool] = {}

    def append(self, row: Row, token: int) -> None:
        """Add a token to a row; a finished row rides along until its batch is compacted, and takes no more."""
        if row.finish:
            return
        if token in self._vocabulary.end:
            row.finish = "eos"
            return
        row.tokens.append(token)
        if self._decoding.stop and self._closes(token) and self._stopped(row):
            row.finish = "stop"
        elif len(row.tokens) >= self._decoding.max_new_tokens:
            row.finish = "length"

    def _closes(self, token: int) -> bool:
        """Whether a stop string may end in this token: most may not, and need no decoding of what stands before."""
        if token not in self._may_close:
            text = self._text([token])
            # Part of a character decodes to a replacement; blanks at the edge of a lone token may be dropped.
            self._may_close[token] = "\ufffd" in text or not self._closing.isdisjoint(text + " ")
        return self._may_close[token]

    def _stopped(self, row: Row) -> bool:
        tail = self._text(row.tokens[-_STOP_WINDOW:])
        return any(stop in tail for stop in self._decoding.stop)

    def _text(self, tokens: list[int]) -> str:
        return str(self._vocabulary.tokenizer.decode(tokens, clean_up_tokenization_spaces=False))


def cut_at_stop(text: str, stop: Sequence[str]) -> str:
    """``text`` up to the earliest stop string, which is left out."""
    ends = [place for place in (text.find(word) for word in stop) if place >= 0]
    return text[: min(ends)] if ends else text
