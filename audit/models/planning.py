"""How large the batches of a model may be on a device, and what one of them takes of its memory."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from audit.models.batching import Entry, Limits, Rows, Work, compose, compose_trees, distinct
from audit.models.fits import Fit
from audit.models.graphs import HELD, Shape
from audit.models.memory import Footprint
from audit.models.scoring import CHUNK
from probes.suite import Decoding

# Most tokens and rows of a batch, and most nodes of a tree: beyond these nothing became faster on two cores with the
# embedded model (a tree of 8,192 nodes is 8 % slower, its states leave the cache); on a GPU the most that was tried.
_MOST_TOKENS = {"cpu": 8192, "cuda": 65536}
_MOST_ROWS = {"cpu": 256, "cuda": 1024}
_MOST_NODES = {"cpu": 2048, "cuda": 65536}
# From these on the device computes rather than waits for the weights. On two cores matrix products reached their rate
# at 32 rows. An H100 (788 TFLOP/s in bfloat16, 3 TB/s) reads a weight in the time of the products of 260 rows, and the
# host takes some milliseconds to start the kernels of a forward pass over Phi-2, the time of about 1,000 tokens.
_BUSY_TOKENS = {"cpu": 512, "cuda": 8192}
_BUSY_ROWS = {"cpu": 32, "cuda": 256}


@dataclass(frozen=True, slots=True)
class Planner:
    """Composes batches for one model on one device, and says what they take."""

    device: str
    """``cpu`` or ``cuda``; any other is planned for as ``cpu``."""
    footprint: Footprint
    fit: Fit
    head: bool = True
    """Whether the output layer can be run apart (:class:`audit.models.head.Head`): scoring then holds the logits of a
    chunk at once, not those of the batch."""
    graphs: bool = False
    """Whether steps run over fixed buffers (:mod:`audit.models.graphs`), which hold keys and values once more."""

    def generation(
        self, works: Sequence[Work], decoding: Decoding, budget: int, max_rows: int | None
    ) -> list[tuple[Entry, ...]]:
        """Batches for continuing prompts.

        Args:
            works: by prompt length.
            decoding: how answers are drawn.
            budget: bytes that a batch may take by prediction.
            max_rows: most rows where the caller wants it so.
        """
        # At most half of the memory for a step's logits, and the rest for what tokens leave in caches and buffers.
        row = self.footprint.generation(0, 0, 1, 0, shared=True)
        rows = max_rows or max(1, min(self._of(_MOST_ROWS), budget // 2 // row))
        held = 1 + HELD if self.graphs else 1
        token = held * self.footprint.key_values + self.footprint.activations
        limits = Limits(
            tokens=max(1, min(self._of(_MOST_TOKENS), (budget - min(rows * row, budget // 2)) // token)),
            rows=rows,
            busy_tokens=self._of(_BUSY_TOKENS),
            busy_rows=self._of(_BUSY_ROWS),
        )
        return compose(works, limits, new=decoding.max_new_tokens, shared=self._shares(0))

    def scoring(self, works: Sequence[Rows], budget: int, max_rows: int | None) -> list[tuple[Entry, ...]]:
        """Batches for scoring choices; arguments as for :meth:`generation`."""
        trees = self.fit.trees == ""
        token = self.footprint.scoring(1, 0 if trees or self.head else 1)
        tokens = max(1, min(self._of(_MOST_NODES if trees else _MOST_TOKENS), budget // token))
        limits = Limits(
            tokens=tokens,
            rows=max_rows or (tokens if trees else self._of(_MOST_ROWS)),
            busy_tokens=self._of(_BUSY_TOKENS),
        )
        if trees:
            return compose_trees(works, limits)
        lengths = [Work(work.item, max(map(len, work.rows)), len(work.rows)) for work in works]
        return compose(lengths, limits)

    def generation_bytes(self, lengths: Sequence[int], counts: Sequence[int], decoding: Decoding) -> int:
        """Predicted peak of a batch of generation: tokens and rows of each prompt."""
        new = decoding.max_new_tokens
        shared = self._shares(max(lengths) + new)
        # Shared prompts have room for equally many rows each.
        rows = len(counts) * max(counts) if shared else sum(counts)
        fixed = 0
        if shared and self.graphs:
            shape = Shape.of(len(lengths), max(counts), max(lengths), max(new - 1, 1))
            # What the rows draw stands in the buffers, and nowhere else.
            fixed, new = HELD * shape.nbytes(self.footprint.key_values), 0
        return self.footprint.generation(len(lengths), max(lengths), rows, new, shared=shared, fixed=fixed)

    def scoring_bytes(self, rows: Sequence[Sequence[int]]) -> int:
        """Predicted peak of a batch of scoring: token ids of each row."""
        if self.fit.trees == "":
            tokens = distinct(rows)
            return self.footprint.scoring(tokens, min(tokens, self._of(CHUNK)))
        longest = max(map(len, rows))
        tokens = len(rows) * longest
        if self.head:
            return self.footprint.scoring(tokens, min(tokens, self._of(CHUNK)))
        # Row by row at least the logits of a whole row; a plain batch has those of all its rows.
        most = max(longest, self._of(CHUNK)) if self.fit.padding else tokens
        return self.footprint.scoring(tokens, min(tokens, most))

    def _shares(self, longest: int) -> bool:
        return self.fit.sharing == "" and not 0 < self.fit.longest < longest

    def _of(self, table: dict[str, int]) -> int:
        return table.get(self.device, table["cpu"])
