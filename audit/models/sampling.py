"""Drawing a token: filters with transformers' semantics, then keyed Gumbel noise and an argmax.

The noise is a pure function of (run seed, item id, sample k, step, token id), so a sample depends on nothing but its
key and the logits: not on the batch, the order of items, the number of samples or the device. Base and tuned model
share it (common random numbers). Adding Gumbel noise to log-probabilities and taking the argmax draws from exactly
that distribution (the Gumbel-max trick; Maddison, Tarlow and Minka 2014, "A* sampling").
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence

import torch
from torch import Tensor

from probes.suite import Decoding

# Tokens looked at first under nucleus filtering: sorting a vocabulary of 50,000 costs more than the rest of a decoding
# step on a CPU, and the largest 512 hold most nuclei (of 1,228 draws of the embedded model, 92 %).
_NUCLEUS_HEAD = 512
# Halvings of the range of log-probabilities, about 13, until its parts are as near as float32 tells apart.
_HALVINGS = 26
# On a CPU noise for a whole vocabulary is made a few rows at a time, so that its passes run in the processor's cache. A
# GPU would start two hundred times as many kernels for it.
_NOISE_CHUNK = 1 << 18


def sample_keys(seed: int, samples: Sequence[tuple[str, int]], device: torch.device | str = "cpu") -> Tensor:
    """Noise keys of samples.

    Args:
        seed: the run's seed.
        samples: (item id, sample number k) of each row.
        device: where the keys are needed.

    Returns:
        int32 [rows, 2], the first 64 bits of a BLAKE2b digest of (seed, item id, k).
    """
    words = []
    for item, k in samples:
        digest = hashlib.blake2b(f"{seed}\x00{item}\x00{k}".encode(), digest_size=8).digest()
        words.append(
            [int.from_bytes(digest[:4], "little", signed=True), int.from_bytes(digest[4:], "little", signed=True)]
        )
    return torch.tensor(words, dtype=torch.int32, device=device).reshape(-1, 2)


def _mix(x: Tensor) -> Tensor:
    """Mix the bits of a fresh int32 tensor, in place.

    A 32-bit finaliser in the manner of MurmurHash3, with the constants of Wellons' "hash prospector" search (low bias).
    int32 multiplication wraps on CPU and CUDA alike; the masks turn torch's arithmetic shift into a logical one.
    """
    x ^= (x >> 16).bitwise_and_(0xFFFF)
    x *= 0x7FEB352D
    x ^= (x >> 15).bitwise_and_(0x1FFFF)
    x *= 0x846CA68B - (1 << 32)
    x ^= (x >> 16).bitwise_and_(0xFFFF)
    return x


def gumbel_noise(keys: Tensor, step: int | Tensor, tokens: Tensor) -> Tensor:
    """Standard Gumbel noise for given tokens at one step.

    Args:
        keys: int32 [rows, 2] from :func:`sample_keys`.
        step: number of tokens drawn before, from 0; as a tensor, an integer of no dimension.
        tokens: token ids, integer [rows, n] or [n].

    Returns:
        float32 [rows, n]. The underlying 32-bit integers are equal on every device; the two logarithms may differ in
        the last place.
    """
    stride = torch.as_tensor(step, device=keys.device).to(torch.int32) * (0x9E3779B9 - (1 << 32))
    first = _mix(_mix(keys[:, :1] + stride) ^ keys[:, 1:])
    second = _mix(first + keys[:, 1:])
    bits = _mix(_mix(tokens.to(torch.int32) * (0x85EBCA6B - (1 << 32)) + first).bitwise_xor_(second))
    # u in (0, 1] from the 32 bits. Small u, which make large noise, keep all their bits in float32.
    noise = bits.view(torch.uint32).to(torch.float32)
    noise.add_(0.5).mul_(2.0**-32).clamp_(max=1 - 2.0**-24)
    return noise.neg_().log1p_().neg_().log_().neg_()


def filtered(logits: Tensor, decoding: Decoding) -> tuple[Tensor, Tensor]:
    """Candidate tokens and their log-probabilities after temperature, top-k and top-p, in that order.

    Top-k and top-p follow transformers' ``TopKLogitsWarper`` and ``TopPLogitsWarper``
    (generation/logits_process.py): top-p works on the probabilities renormalised after top-k, keeps a token while the
    mass before it is under p, and always keeps one.

    Args:
        logits: float32 [rows, vocabulary]; -inf for tokens that may not be drawn.
        decoding: temperature must be positive.

    Returns:
        log-probabilities float32 [rows, n] (normalised over what is kept, -inf for what is not) and token ids int64
        [rows, n].
    """
    scaled = logits if decoding.temperature == 1 else logits / decoding.temperature
    rows, size = scaled.shape
    if not decoding.top_k and decoding.top_p >= 1:
        ids = torch.arange(size, device=logits.device).expand(rows, size)
        return torch.log_softmax(scaled, dim=-1), ids
    if decoding.top_k:
        values, ids = torch.topk(scaled, min(decoding.top_k, size), dim=-1)
        if decoding.top_p < 1:
            values = _cut(torch.log_softmax(values, dim=-1), decoding.top_p)
    else:
        values, ids = _nucleus(torch.log_softmax(scaled, dim=-1), decoding.top_p)
    return torch.log_softmax(values, dim=-1), ids


def _cut(logprobs: Tensor, top_p: float) -> Tensor:
    """Descending log-probabilities [rows, n] with -inf behind the nucleus."""
    # Summed in double precision: thousands of small numbers decide where the edge lies.
    mass = torch.exp(logprobs.double())
    drop = mass.cumsum(-1) - mass >= top_p
    drop[:, 0] = False
    return logprobs.masked_fill(drop, float("-inf"))


def _nucleus(logprobs: Tensor, top_p: float) -> tuple[Tensor, Tensor]:
    """Log-probabilities and ids of every row's nucleus, padded with -inf to the widest."""
    if logprobs.shape[1] <= _NUCLEUS_HEAD:
        values, ids = torch.sort(logprobs, dim=-1, descending=True)
        return _cut(values, top_p), ids
    values, ids = torch.topk(logprobs, _NUCLEUS_HEAD, dim=-1)
    # All of a row's nucleus is here if the mass here reaches p: what follows would be dropped.
    wide = torch.exp(values).sum(-1) < top_p
    values = _cut(values, top_p)
    if not bool(wide.any()):
        return values, ids
    more, tokens = _wide_nucleus(logprobs[wide], top_p)
    missing = more.shape[1] - values.shape[1]
    values = torch.nn.functional.pad(values, (0, missing), value=float("-inf"))
    ids = torch.nn.functional.pad(ids, (0, missing))
    values[wide], ids[wide] = more, tokens
    return values, ids


def _wide_nucleus(logprobs: Tensor, top_p: float) -> tuple[Tensor, Tensor]:
    """The nuclei of rows where it is wide, without sorting.

    All tokens less probable than (1 - p) / vocabulary weigh less than 1 - p together, so that the others reach p
    without them: the edge is looked for among those only.
    """
    least = _least(logprobs, top_p)
    candidates = logprobs >= least
    counts = candidates.sum(-1)
    row, token = torch.nonzero(candidates, as_tuple=True)
    column = torch.arange(len(row), device=logprobs.device) - (counts.cumsum(0) - counts)[row]
    width = max(int(counts.max()), _NUCLEUS_HEAD)
    values = logprobs.new_full((len(logprobs), width), float("-inf"))
    tokens = torch.zeros((len(logprobs), width), dtype=torch.int64, device=logprobs.device)
    values[row, column], tokens[row, column] = logprobs[row, token], token
    return values.masked_fill(values < _edge(values, top_p, least), float("-inf")), tokens


def _least(logprobs: Tensor, top_p: float) -> float:
    """A log-probability that all tokens of a nucleus reach."""
    return math.log((1 - top_p) / logprobs.shape[1])


def _edge(logprobs: Tensor, top_p: float, least: float) -> Tensor:
    """The largest log-probability whose tokens, with all more probable ones, weigh p: the nucleus' last.

    Found by halving, to the resolution of float32, with the same operations whatever the numbers are.

    Args:
        logprobs: float32 [rows, n].
        top_p: in (0, 1).
        least: from :func:`_least`.

    Returns:
        [rows, 1]; tokens that tie with the last one are on its side.
    """
    mass = torch.exp(logprobs)
    low = torch.full_like(logprobs[:, :1], least)
    high = torch.full_like(low, 1e-6)
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        reaches = torch.where(logprobs >= middle, mass, 0.0).sum(-1, keepdim=True) >= top_p
        low, high = torch.where(reaches, middle, low), torch.where(reaches, high, middle)
    return low


def draw(logits: Tensor, decoding: Decoding, keys: Tensor, step: int | Tensor) -> Tensor:
    """Draw one token a row.

    Args:
        logits: [rows, vocabulary] of the model, any float type; -inf for tokens that may not be drawn.
        decoding: temperature 0 takes the most probable token and needs no noise.
        keys: int32 [rows, 2] from :func:`sample_keys`.
        step: number of tokens drawn before, from 0.

    Returns:
        int64 [rows] token ids.
    """
    logits = logits.float()
    if decoding.temperature == 0:
        return logits.argmax(dim=-1)
    logprobs, ids = filtered(logits, decoding)
    size = max(1, _NOISE_CHUNK // logprobs.shape[1]) if logits.device.type == "cpu" else len(logits)
    best = torch.cat(
        [
            (part + gumbel_noise(key, step, tokens)).argmax(dim=-1, keepdim=True)
            for part, key, tokens in zip(*(torch.split(whole, size) for whole in (logprobs, keys, ids)), strict=True)
        ]
    )
    return ids.gather(-1, best).squeeze(-1)


def draw_fixed(logits: Tensor, decoding: Decoding, keys: Tensor, step: Tensor) -> Tensor:
    """As :func:`draw`, by the same operations whatever the numbers are, so that they can be recorded and replayed.

    Args:
        logits: [rows, vocabulary], as for :func:`draw`.
        decoding: as for :func:`draw`.
        keys: as for :func:`draw`.
        step: int64, of no dimension.

    Returns:
        int64 [rows] token ids.
    """
    if decoding.temperature == 0 or decoding.top_k or decoding.top_p >= 1:
        return draw(logits, decoding, keys, step)
    logprobs = torch.log_softmax(logits.float() / decoding.temperature, dim=-1)
    edge = _edge(logprobs, decoding.top_p, _least(logprobs, decoding.top_p))
    tokens = torch.arange(logprobs.shape[1], device=logprobs.device)
    # What stands outside the nucleus cannot win; that the rest is not normalised anew moves all of it alike.
    kept = logprobs.masked_fill(logprobs < edge, float("-inf"))
    return (kept + gumbel_noise(keys, step, tokens)).argmax(dim=-1)
