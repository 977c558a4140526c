"""Which fast paths a model may take: found out by trying them against plain, unpadded forward passes.

A fast path rests on features of a model that nobody declares: that its layers attend through transformers' interface,
that positions come from ``position_ids``, that no layer looks past a mask. So nothing is believed. A few short rows are
decoded and scored by each path, and a path is used only where it differs from the model's own forward pass by little
more than padding and batching make the plain path differ. In half precision that lets an error of some percent pass
(scores off by 2 % were not seen), so there a small float32 model of the same class is probed as well. The same small
model stands in where attention has a window, which is longer than a probe that is to cost nothing.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor

from audit.errors import ModelError
from audit.models.decoding import Rows
from audit.models.head import Head
from audit.models.memory import out_of_memory
from audit.models.miniature import VOCABULARY, WINDOW, miniature
from audit.models.plain import PlainRows
from audit.models.scoring import Scored, score_batch

# Tokens of the probe's prompts, and rows drawn from each.
_LENGTHS = (3, 13, 8)
_COUNTS = (1, 2, 1)
# Tokens that each row is given: few, since each reads all weights; in the small model more than its window holds.
_STEPS = 2
_STEPS_SMALL = WINDOW + 1
_LONGEST = max(_LENGTHS) + _STEPS_SMALL
# A path may differ from unpadded forward passes by so many times what the plain path differs ...
_NOISE = 8.0
# ... or, where that happens to be next to nothing, by this share of the numbers' spread: sums in another order. In half
# precision only gross errors show in the model itself, and the small float32 model is what counts: two layers made
# .011 of bfloat16, thirty .052.
_LEAST = {torch.float32: 1e-5, torch.bfloat16: 1e-1, torch.float16: 1e-2}
# The plain path itself may differ by this share; beyond it padding is not harmless.
_HARMLESS = {torch.float32: 1e-4}
_GROSS = 0.5
# What stands behind a token may change its logits by this share of their spread: not at all but for rounding, of
# experts that are given other tokens along with it. A small random BERT, which reads both ways, makes .009.
_AHEAD = {torch.float32: 1e-4}
_AHEAD_HALF = 0.2


@dataclass(frozen=True, slots=True)
class Fit:
    """Which paths give what the model's own forward pass gives."""

    sharing: str = ""
    """"" where prompts may be shared (:mod:`audit.models.prefix`), else why not, in words for the report."""
    trees: str = ""
    """"" where likelihoods may be computed over trees of tokens (:mod:`audit.models.tree`), else why not."""
    padding: str = ""
    """"" where plain batches are right, else why each row must be computed unpadded (:mod:`audit.models.unpadded`)."""
    longest: int = 0
    """Where positive, all this holds for rows up to so many tokens, new ones included; a batch with a longer row must
    be computed unpadded."""


def fits(module: Any, vocabulary_size: int) -> Fit:
    """Find out which paths a model may take.

    Args:
        module: a transformers causal LM in eval mode; left as it was.
        vocabulary_size: token ids from 0 up to this may be tried.

    Returns:
        The verdict; for the embedded model it takes about 1.3 seconds of one CPU core.

    Raises:
        ModelError: a token's logits depend on the tokens behind it: there are no log-likelihoods to be had, and no
            text to be gone on from.
    """
    config = module.config.get_text_config()
    refusal, longest = _refusal(config), _longest(config)
    if min(_positions(config), longest or _LONGEST) < _LONGEST:
        short = f"its context is shorter than the {_LONGEST} tokens that a probe of the fast paths takes"
        return Fit(sharing=short, trees=short, longest=longest)
    fit = _probed(_Probe(module, vocabulary_size, _STEPS), refusal)
    exact = module.dtype == torch.float32 and getattr(config, "sliding_window", None) is None
    if not exact and not (fit.sharing and fit.trees):
        small = _probed_small(module, refusal)
        fit = Fit(fit.sharing or small.sharing, fit.trees or small.trees, fit.padding or small.padding)
    return dataclasses.replace(fit, longest=longest)


def _refusal(config: Any) -> str:
    """What the configuration alone forbids of both fast paths, "" where it forbids nothing."""
    if config.is_encoder_decoder:
        return "an encoder-decoder reads its prompt in another way"
    others = set(getattr(config, "layer_types", None) or ()) - {"full_attention", "sliding_attention"}
    if others:
        return f"it has layers of another kind than full and sliding attention ({', '.join(sorted(others))})"
    if "dynamic" in _rope_types(config):
        return "its rotary frequencies change with the length of the text (dynamic RoPE)"
    return ""


def _rope_types(config: Any) -> set[str]:
    rope = getattr(config, "rope_parameters", None) or {}
    # One set of parameters, or one a kind of layer.
    parts = [rope, *(part for part in rope.values() if isinstance(part, dict))]
    return {str(part["rope_type"]) for part in parts if part.get("rope_type")}


def _positions(config: Any) -> int:
    found = getattr(config, "max_position_embeddings", None)
    return found if isinstance(found, int) else _LONGEST


def _longest(config: Any) -> int:
    """Tokens after which the longest row of a batch picks the rotary frequencies of all its rows; 0: never."""
    if "longrope" not in _rope_types(config):
        return 0
    rope = config.rope_parameters
    parts = [rope, *(part for part in rope.values() if isinstance(part, dict))]
    stated = [part["original_max_position_embeddings"] for part in parts if "original_max_position_embeddings" in part]
    first = int(min(stated, default=getattr(config, "original_max_position_embeddings", 0)))
    return first if first < _positions(config) else 0


def _probed_small(module: Any, refusal: str) -> Fit:
    try:
        small = miniature(module)
    except Exception as error:  # a configuration that is put together in another way fails anywhere, with anything
        reason = f"no small float32 model of its class can be built to check it: {_line(error)}"
        return Fit(sharing=reason, trees=reason)
    return _probed(_Probe(small, VOCABULARY, _STEPS_SMALL), refusal)


@torch.inference_mode()
def _probed(probe: _Probe, refusal: str) -> Fit:
    if not bool(torch.isfinite(probe.logits).all()):
        reason = "its logits for a probe of the fast paths are not finite"
        return Fit(sharing=reason, trees=reason)
    if probe.ahead > _AHEAD.get(probe.module.dtype, _AHEAD_HALF):
        raise ModelError(
            f"{type(probe.module).__name__} lets a token's logits depend on the tokens behind it (by {probe.ahead:.1e} "
            "of their spread in a probe): it is no causal language model"
        )
    harmless = _HARMLESS.get(probe.module.dtype, _GROSS)
    drawn, padding = probe.tried(probe.decode_plain, harmless)
    scored, worse = probe.tried(probe.score_plain, harmless)
    if padding or worse:
        reason = f"batches with padding and a cache do not work: {padding or worse}"
        return Fit(reason, reason, reason)
    if refusal:
        return Fit(refusal, refusal)
    least = _LEAST.get(probe.module.dtype, 0.0)
    _, sharing = probe.tried(probe.decode_shared, max(_NOISE * drawn, least))
    _, trees = probe.tried(probe.score_trees, max(_NOISE * scored, least))
    return Fit(sharing, trees)


class _Probe:
    """A few rows with tokens forced on them, and what unpadded forward passes make of them.

    Args:
        module: a transformers causal LM in eval mode.
        vocabulary_size: token ids from 0 up to this may be tried.
        steps: tokens that are forced on each row.
    """

    @torch.inference_mode()
    def __init__(self, module: Any, vocabulary_size: int, steps: int) -> None:
        self.module, self.device, self.steps = module, module.device, steps
        random = torch.Generator().manual_seed(0)
        text = torch.randint(vocabulary_size, (max(_LENGTHS),), generator=random).tolist()
        # The prompts begin alike, so that a tree of them has branches at several depths.
        self.prompts = [text[: length // 2] + text[-length // 2 :] for length in _LENGTHS]
        self.sources = [place for place, count in enumerate(_COUNTS) for _ in range(count)]
        # Rows that begin alike would be copies of each other, and a row that took another's place would not be seen.
        self.forced = torch.randperm(vocabulary_size, generator=random)[: len(self.sources) * steps].view(-1, steps)
        self.rows = [
            self.prompts[source] + forced for source, forced in zip(self.sources, self.forced.tolist(), strict=True)
        ]
        passes = [
            module(input_ids=torch.tensor([row], device=self.device), use_cache=False).logits for row in self.rows
        ]
        self.logits = torch.stack([logits[0, -steps - 1 :].float() for logits in passes])
        """[rows, steps + 1, vocabulary]"""
        self.logprobs = torch.cat(
            [
                torch.log_softmax(logits[0, :-1].float(), -1).gather(
                    -1, torch.tensor(row, device=self.device)[1:, None]
                )
                for row, logits in zip(self.rows, passes, strict=True)
            ]
        ).flatten()
        """Of every token but each row's first."""
        # Two rows of one prompt, that part behind it.
        first = next(place for place, count in enumerate(_COUNTS) if count > 1)
        one, other = (
            passes[at][0, : _LENGTHS[first]].float() for at, source in enumerate(self.sources) if source == first
        )
        self.ahead = _distance(one, other)
        """How far what stands behind a prompt changes its logits."""

    def tried(self, path: Callable[[], float], limit: float) -> tuple[float, str]:
        """How far a path is off, and why it is not to be used: "" where it may be."""
        try:
            found = path()
        except Exception as error:  # models fail in code of their own, with anything
            if out_of_memory(error):
                raise
            return float("nan"), _line(error)
        if found <= limit:
            return found, ""
        return found, f"its numbers were off by {found:.1e} of their spread in a probe, more than {limit:.1e}"

    def decode_plain(self) -> float:
        return self._decoded(PlainRows(self.module, self.prompts, _COUNTS, pad=0, device=self.device))

    def decode_shared(self) -> float:
        from audit.models.prefix import SharedRows

        rows = SharedRows(self.module, self._head(), self.prompts, _COUNTS, room=self.steps, pad=0, device=self.device)
        return self._decoded(rows)

    def _head(self) -> Head:
        head = Head.of(self.module)
        if head is None:
            raise ValueError("its output layer cannot be run apart from its other layers")
        return head

    def _decoded(self, rows: Rows) -> float:
        found = [rows.begin()]
        for step in range(self.steps):
            found.append(rows.advance(self.forced[:, step].to(self.device)))
        return _distance(torch.stack(found, dim=1).float(), self.logits)

    def score_plain(self) -> float:
        return self._scored(score_batch)

    def score_trees(self) -> float:
        self._head()
        return self._scored(partial(score_batch, trees=True))

    def _scored(self, score: Callable[..., list[list[float]]]) -> float:
        flat = [Scored(row, len(row) - 1, "a probe") for row in self.rows]
        items = [
            [row for row, at in zip(flat, self.sources, strict=True) if at == place] for place in set(self.sources)
        ]
        found = [number for row in score(self.module, 0, items, self.device) for number in row]
        return _distance(torch.tensor(found, device=self.device), self.logprobs)


def _distance(found: Tensor, expected: Tensor) -> float:
    """Root mean square of the difference, as a share of the spread of what is expected."""
    return float((found - expected).square().mean().sqrt() / expected.std())


def _line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return lines[0][:200] if lines else type(error).__name__
