"""Drawing a token: filters with transformers' semantics, then keyed Gumbel noise and an argmax.

The noise is a pure function of (run seed, item id, sample k, step, token id), so a sample depends on nothing but its
key and the logits: not on the batch, the order of items, the number of samples or the device. Base and tuned model
share it (common random numbers). Adding Gumbel noise to log-probabilities and taking the argmax draws from exactly
that distribution (the Gumbel-max trick; Maddison, Tarlow and Minka 2014, "A* sampling").
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import torch
from torch import Tensor

from probes.suite import Decoding

# Tokens looked at first under nucleus filtering. Sorting a vocabulary of 50,000 costs more than the rest of the
# draw; the
# largest 1,024 nearly always hold the nucleus, and where they do not the whole row is sorted.
_NUCLEUS_HEAD = 1024


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
    # A 32-bit finaliser in the manner of MurmurHash3, with the constants of Wellons' "hash prospector" search (low
    # bias).
    # int32 multiplication wraps on CPU and CUDA alike; the masks turn torch's arithmetic shift into a logical one.
    x = x ^ ((x >> 16) & 0xFFFF)
    x = x * 0x7FEB352D
    x = x ^ ((x >> 15) & 0x1FFFF)
    x = x * (0x846CA68B - (1 << 32))
    return x ^ ((x >> 16) & 0xFFFF)


def gumbel_noise(keys: Tensor, step: int, tokens: Tensor) -> Tensor:
    """Standard Gumbel noise for given tokens at one step.

    Args:
        keys: int32 [rows, 2] from :func:`sample_keys`.
        step: number of tokens drawn before, from 0.
        tokens: token ids, integer [rows, n] or [n].

    Returns:
        float32 [rows, n]. The underlying 32-bit integers are equal on every device; the two logarithms may differ in
        the last place.
    """
    stride = torch.tensor(step, dtype=torch.int32, device=keys.device) * (0x9E3779B9 - (1 << 32))
    first = _mix(_mix(keys[:, :1] + stride) ^ keys[:, 1:])
    second = _mix(first + keys[:, 1:])
    ids = tokens.to(torch.int32) * (0x85EBCA6B - (1 << 32))
    bits = _mix(_mix(ids + first) ^ second)
    # v in (0, 1] from the 32 bits. Small v, which make large noise, keep all their bits in float32.
    uniform = ((bits.to(torch.int64) & 0xFFFFFFFF).to(torch.float32) + 0.5) * 2.0**-32
    exponential = -torch.log1p(-uniform.clamp(max=1 - 2.0**-24))
    return -torch.log(exponential)


def filtered(logits: Tensor, decoding: Decoding) -> tuple[Tensor, Tensor]:
    """Candidate tokens and their log-probabilities after temperature, top-k and top-p, in that order.

    Top-k and top-p follow transformers' ``TopKLogitsWarper`` and ``TopPLogitsWarper``
    (generation/logits_process.py): top-p
    works on the probabilities renormalised after top-k, keeps a token while the mass before it is under p, and always
    keeps one.

    Args:
        logits: float32 [rows, vocabulary]; -inf for tokens that may not be drawn.
        decoding: temperature must be positive.

    Returns:
        log-probabilities float32 [rows, n] (normalised over what is kept, -inf for what is not) and token ids int64
        [rows, n].
    """
    scaled = logits / decoding.temperature
    rows, size = scaled.shape
    if not decoding.top_k and decoding.top_p >= 1:
        ids = torch.arange(size, device=logits.device).expand(rows, size)
        return torch.log_softmax(scaled, dim=-1), ids
    kept = min(decoding.top_k or size, size)
    head = kept if decoding.top_k else min(_NUCLEUS_HEAD, size)
    values, ids = torch.topk(scaled, head, dim=-1)
    if decoding.top_p < 1:
        total = torch.logsumexp(values if decoding.top_k else scaled, dim=-1, keepdim=True)
        if not decoding.top_k and bool((torch.exp(values - total).sum(-1) < decoding.top_p).any()):
            values, ids = torch.sort(scaled, dim=-1, descending=True)
        mass = torch.exp(values - total)
        before = mass.cumsum(-1) - mass
        drop = before >= decoding.top_p
        drop[:, 0] = False
        values = values.masked_fill(drop, float("-inf"))
    return torch.log_softmax(values, dim=-1), ids


def draw(logits: Tensor, decoding: Decoding, keys: Tensor, step: int) -> Tensor:
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
    best = (logprobs + gumbel_noise(keys, step, ids)).argmax(dim=-1, keepdim=True)
    return ids.gather(-1, best).squeeze(-1)
