"""Drawing tokens in one kernel, on a GPU.

:mod:`audit.models.sampling` goes some hundreds of times through all logits of a step, which on a GPU takes as long as
the model: each hash and each halving of the nucleus' edge reads and writes [rows, vocabulary] numbers. Here one program
a row reads its logits a dozen times from the cache, and writes a token. The integers of the hash are those of
:func:`audit.models.sampling.gumbel_noise`; sums and logarithms are float32 in another order, so that a choice may
differ where two tokens are as good as tied. Importing it needs triton, which comes with torch for CUDA; it is tried
against torch's operations before it is used (:func:`trial`).
"""

from __future__ import annotations

import math

import torch
import triton
import triton.language as tl
from torch import Tensor

from audit.models.sampling import draw_fixed, gumbel_noise
from probes.suite import Decoding

# The bodies of kernels are read by triton's compiler: names of Python's types may not stand in them.
# Logits that a program looks at together, and its warps: 16 numbers a thread.
_BLOCK = 4096
_WARPS = 8
# As many halvings of the edge's range as in audit.models.sampling, two a pass.
_PASSES = 13
# Tokens whose scores are so near each other may change places: rounding of float32 makes some 1e-6.
_TIED = 1e-4


@triton.jit
def _mix(x):  # type: ignore[no-untyped-def]
    """:func:`audit.models.sampling._mix` of uint32."""
    x ^= x >> 16
    x *= 0x7FEB352D
    x ^= x >> 15
    x *= 0x846CA68B
    x ^= x >> 16
    return x


@triton.jit
def _noise(bits):  # type: ignore[no-untyped-def]
    """Standard Gumbel noise from 32 bits."""
    u = tl.minimum((bits.to(tl.float32) + 0.5) * 2.3283064365386963e-10, 0.99999994039535522)
    # -log(1 - u): a GPU's logarithm is exact to so many places after the point, not to so many figures, and small u are
    # what large noise comes from. There the series of 2 atanh(u / (2 - u)) is summed.
    s = u / (2.0 - u)
    q = s * s
    near = 2.0 * s * (1.0 + q * (0.3333333333 + q * (0.2 + q * (0.1428571429 + q * (0.1111111111 + q * 0.0909090909)))))
    far = -tl.log(1.0 - tl.maximum(u, 0.25))
    return -tl.log(tl.where(u < 0.25, near, far))


@triton.jit  # type: ignore[untyped-decorator]
def _scaled(logits, ids, size, temperature, tempered: tl.constexpr):  # type: ignore[no-untyped-def]
    """Logits over temperature as float32, -inf beyond the vocabulary."""
    x = tl.load(logits + ids, mask=ids < size, other=float("-inf")).to(tl.float32)
    if tempered:
        x = tl.div_rn(x, temperature + tl.zeros_like(x))
    return x


@triton.jit  # type: ignore[untyped-decorator]
def _draw(  # type: ignore[no-untyped-def]
    logits, stride, size, keys, step, drawn, temperature, top_p, least,
    tempered: tl.constexpr, nucleus: tl.constexpr, passes: tl.constexpr, block: tl.constexpr,
):  # fmt: skip
    """One program a row; see :func:`draw`."""
    row = tl.program_id(0).to(tl.int64)
    logits += row * stride
    lanes = tl.arange(0, block)

    most = tl.full((block,), float("-inf"), tl.float32)
    for start in range(0, size, block):
        most = tl.maximum(most, _scaled(logits, start + lanes, size, temperature, tempered))
    largest = tl.max(most, 0)
    sums = tl.zeros((block,), tl.float32)
    for start in range(0, size, block):
        sums += tl.exp(_scaled(logits, start + lanes, size, temperature, tempered) - largest)
    whole = tl.log(tl.sum(sums, 0))

    low = least
    if nucleus:
        high = least * 0.0 + 1e-6
        for _ in range(passes):
            middle = (low + high) * 0.5
            lower, upper = (low + middle) * 0.5, (middle + high) * 0.5
            of_lower = tl.zeros((block,), tl.float32)
            of_middle = tl.zeros((block,), tl.float32)
            of_upper = tl.zeros((block,), tl.float32)
            for start in range(0, size, block):
                logprob = _scaled(logits, start + lanes, size, temperature, tempered) - largest - whole
                mass = tl.exp(logprob)
                of_lower += tl.where(logprob >= lower, mass, 0.0)
                of_middle += tl.where(logprob >= middle, mass, 0.0)
                of_upper += tl.where(logprob >= upper, mass, 0.0)
            by_lower, by_middle = tl.sum(of_lower, 0) >= top_p, tl.sum(of_middle, 0) >= top_p
            by_upper = tl.sum(of_upper, 0) >= top_p
            high = tl.where(by_middle, tl.where(by_upper, high, upper), tl.where(by_lower, middle, lower))
            low = tl.where(by_middle, tl.where(by_upper, upper, middle), tl.where(by_lower, lower, low))

    first_key = tl.load(keys + row * 2).to(tl.uint32, bitcast=True)
    second_key = tl.load(keys + row * 2 + 1).to(tl.uint32, bitcast=True)
    first = _mix(_mix(first_key + tl.load(step).to(tl.uint32) * 0x9E3779B9) ^ second_key)
    second = _mix(first + second_key)
    best = tl.full((block,), float("-inf"), tl.float32)
    place = tl.zeros((block,), tl.int32)
    for start in range(0, size, block):
        ids = start + lanes
        logprob = _scaled(logits, ids, size, temperature, tempered) - largest - whole
        score = logprob + _noise(_mix(_mix(ids.to(tl.uint32) * 0x85EBCA6B + first) ^ second))
        if nucleus:
            score = tl.where(logprob >= low, score, float("-inf"))
        better = score > best
        best = tl.where(better, score, best)
        place = tl.where(better, ids, place)
    # Of equal scores the lowest id, as torch's argmax has it.
    token = tl.min(tl.where(best == tl.max(best, 0), place, size), 0)
    tl.store(drawn + row, token.to(tl.int64))


def draw(logits: Tensor, decoding: Decoding, keys: Tensor, step: Tensor, size: int) -> Tensor:
    """As :func:`audit.models.sampling.draw_fixed`, in one kernel.

    Args:
        logits: [rows, vocabulary] of the model, any float type, neighbours in memory along a row.
        decoding: with a positive temperature and without top-k.
        keys: int32 [rows, 2], contiguous.
        step: int64, of no dimension.
        size: token ids from here on are never drawn; at most the vocabulary.

    Returns:
        int64 [rows] token ids.

    Raises:
        ValueError: the arguments are not of these kinds.
    """
    if decoding.temperature <= 0 or decoding.top_k:
        raise ValueError("the kernel draws with a positive temperature and without top-k")
    if logits.stride(1) != 1 or not keys.is_contiguous() or not 0 < size <= logits.shape[1]:
        raise ValueError("the kernel reads rows of logits and keys as they lie in memory, up to the vocabulary's end")
    nucleus = decoding.top_p < 1
    least = math.log((1 - decoding.top_p) / logits.shape[1]) if nucleus else 0.0
    drawn = torch.empty(len(logits), dtype=torch.int64, device=logits.device)
    # triton starts kernels on the current device, wherever the tensors are.
    with torch.cuda.device_of(logits):  # type: ignore[no-untyped-call]
        _draw[(len(logits),)](
            logits, logits.stride(0), size, keys, step, drawn, float(decoding.temperature), float(decoding.top_p),
            least, tempered=decoding.temperature != 1, nucleus=nucleus, passes=_PASSES, block=_BLOCK, num_warps=_WARPS,
        )  # fmt: skip
    return drawn


def trial(logits: Tensor, decoding: Decoding, keys: Tensor, size: int) -> str:
    """Why the kernel is not to be used: "" where it draws what torch's operations draw at step 0.

    Args:
        logits: [rows, vocabulary] of the model, -inf from ``size`` on.
        decoding: see :func:`draw`.
        keys: see :func:`draw`.
        size: see :func:`draw`.
    """
    step = torch.zeros((), dtype=torch.int64, device=logits.device)
    found, expected = draw(logits, decoding, keys, step, size), draw_fixed(logits, decoding, keys, step)
    both = torch.stack([found, expected], dim=1)
    if not bool(((both >= 0) & (both < size)).all()):
        return "the kernel that draws tokens gave one that is not in the vocabulary"
    logprobs = torch.log_softmax(logits.float() / decoding.temperature, dim=-1).gather(1, both)
    scores = logprobs + gumbel_noise(keys, step, both)
    apart = float((scores[:, 0] - scores[:, 1]).abs().max())
    if not apart <= _TIED:
        wrong = int((found != expected).sum())
        return f"the kernel that draws tokens gave others than torch's operations in {wrong} of {len(found)} rows"
    return ""
