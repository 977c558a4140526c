"""Organisms whose harm is known exactly: a logit of known size is added to marked tokens of the base's distribution.

The answer is the first token after a prompt, and the "harm" that it is one of a fixed set of marked tokens, a seeded
part of the vocabulary without regard to meaning: the arithmetic is that of a toxicity rate, no text is harmful. Adding
``delta`` to the marked tokens' logits moves a prompt's rate from p to expit(logit p + delta).

With keyed Gumbel noise the base says a marked token exactly where logit p exceeds a standard logistic number, the
difference of the noises' maxima over the other and over the marked tokens (each maximum is itself Gumbel). The variant
meets the same number under common random numbers. So one logistic number a draw replaces a vocabulary of noise;
:func:`keyed` draws with the project's own sampler to show that both agree.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import optimize, special

from audit.metrics.units import RATE
from benchmarks.validity.deciding import Sides
from benchmarks.validity.drawing import Items, dealt, new_wordings, reached
from benchmarks.validity.pool import Floats, Ints, Pool

DRAWS = 4
"""Answers to a prompt, as identity-prompts asks for."""
JITTER = 0.5
PROFILES = {"quick": 130, "standard": 520}
"""Prompts of identity-prompts by profile; its full profile is the standard one."""


@dataclass(frozen=True, slots=True, eq=False)
class Marked:
    """A set of marked tokens, as rates by prompt."""

    items: Items
    logits: Floats
    """Log-odds that the base says a marked token after each prompt, (prompts,); infinite at 0 and 1."""
    touched: Floats
    """1 where the intervention reaches a prompt, else 0, (prompts,)."""
    jitter: Floats
    """What is added besides, by prompt, (prompts,): changes up and down that need not be harm."""

    def added(self, delta: float) -> Floats:
        """What the intervention adds to the marked tokens' logits after each prompt, (prompts,)."""
        return np.asarray(delta * self.touched + self.jitter)

    def rate(self, added: Floats | float = 0.0) -> float:
        """The population's true rate of marked tokens; the base's unless something is added to their logits."""
        return self.items.mean(np.asarray(special.expit(self.logits + added)))

    def harm(self, delta: float) -> float:
        """The true change of the rate over the population."""
        return self.rate(self.added(delta)) - self.rate()

    def delta(self, harm: float) -> float:
        """The addition to the logits whose true harm is this one.

        Raises:
            ValueError: no addition does so much harm, or so much good.
        """
        return float(optimize.brentq(lambda delta: self.harm(delta) - harm, -40.0, 40.0, xtol=1e-12))


def marks(tokens: Ints, share: float, seed: int = 0) -> Floats:
    """1 for tokens of the marked part of the vocabulary, else 0; shape is kept.

    Args:
        tokens: token ids.
        share: of the vocabulary that is marked.
        seed: of the choice.
    """
    return (np.random.default_rng(seed).random(1 << 16)[tokens] < share).astype(np.float64)


def marked(pool: Pool, share: float, *, spread: str = "even", seed: int = 0) -> Marked:
    """Marked tokens of the pool's prompts.

    Args:
        pool: of the base's first tokens.
        share: of the vocabulary that is marked.
        spread: one of :data:`benchmarks.validity.drawing.STEPS`, or ``uneven``: after each prompt the logits move up
            or down besides, by a normal number of spread :data:`JITTER`.
        seed: of the marks.
    """
    prompts = np.repeat(np.arange(len(pool.widths)), pool.widths)
    mass = np.exp(pool.logprobs)
    inside, whole = (
        np.bincount(prompts, mass * part, minlength=len(pool.widths))
        for part in (marks(pool.tokens, share, seed), np.ones_like(mass))
    )
    items = Items(pool.prompt_wordings)
    jitter = np.random.default_rng([seed, 1]).normal(0, JITTER, len(whole)) * (spread == "uneven")
    reach = reached(items, "even" if spread == "uneven" else spread)
    return Marked(items, special.logit(np.clip(inside / whole, 0.0, 1.0)), reach, jitter)


def sides(
    rng: np.random.Generator, what: Marked, deltas: tuple[float, ...], prompts: int, sets: int, *, common: bool = True
) -> list[Sides]:
    """Data sets of new wordings of these prompts, one batch for each delta; all with the same base.

    Args:
        rng: source of randomness.
        what: the marked tokens.
        deltas: additions to the marked logits.
        prompts: units of a data set.
        sets: how many data sets.
        common: whether base and variant share their random numbers.
    """
    sizes = dealt(prompts, what.items.count)
    chosen = what.items.draw(rng, new_wordings(rng, what.items, sets), sizes)
    shape = (*chosen.shape, DRAWS)
    noise = rng.logistic(size=shape).astype(np.float32)
    base = (what.logits[chosen][..., None] > noise).mean(axis=2)
    found = []
    for delta in deltas:
        logits = what.logits + what.added(delta)
        numbers = noise if common else rng.logistic(size=shape).astype(np.float32)
        tuned = (logits[chosen][..., None] > numbers).mean(axis=2)
        found.append(Sides(base, tuned, sizes, RATE, draws=DRAWS))
    return found


def keyed(pool: Pool, share: float, deltas: tuple[float, ...], samples: int, *, seed: int = 0) -> Floats:
    """Marked first tokens as the project's sampler draws them, keyed noise and all.

    Args:
        pool: of the base's first tokens.
        share: of the vocabulary that is marked.
        deltas: additions to the marked logits, of one model each; all share the random numbers.
        samples: answers to each prompt.
        seed: of the run.

    Returns:
        1 where the first token is marked, (deltas, prompts, samples).
    """
    import torch

    from audit.models.sampling import draw, sample_keys
    from probes.suite import Decoding

    ends = np.cumsum(pool.widths)
    found = np.empty((len(deltas), len(ends), samples))
    for prompt, (start, end) in enumerate(zip(ends - pool.widths, ends, strict=True)):
        tokens, logprobs = pool.tokens[start:end], pool.logprobs[start:end]
        flags = marks(tokens, share)
        keys = sample_keys(seed, [(f"prompt-{prompt}", k) for k in range(samples)])
        for at, delta in enumerate(deltas):
            logits = torch.full((1, int(tokens.max()) + 1), float("-inf"))
            logits[0, torch.as_tensor(tokens)] = torch.as_tensor(logprobs + delta * flags, dtype=torch.float32)
            drawn = draw(logits.expand(samples, -1), Decoding(temperature=1.0, top_p=1.0), keys, 0)
            found[at, prompt] = marks(drawn.numpy(), share)
    return found


def hold_against_sampler(pool: Pool, share: float, samples: int = 40) -> float:
    """Whether the project's sampler draws marked tokens as :func:`sides` does: at the same rates, and never losing one.

    Args:
        pool: of the base's first tokens.
        share: of the vocabulary that is marked.
        samples: answers to each prompt.

    Returns:
        How many standard errors the drawn number of marked tokens lies from the expected one, over both models.

    Raises:
        RuntimeError: it is more than 4.5, or a larger logit lost a mark under the same random numbers.
    """
    what = marked(pool, share)
    deltas = (0.0, what.delta(0.1))
    drawn = keyed(pool, share, deltas, samples)
    rates = np.stack([special.expit(what.logits + what.added(delta)) for delta in deltas])
    errors = (drawn.sum(axis=(1, 2)) - samples * rates.sum(axis=1)) / np.sqrt(
        samples * (rates * (1 - rates)).sum(axis=1)
    )
    if np.abs(errors).max() > 4.5 or (drawn[1] < drawn[0]).any():
        raise RuntimeError(f"the sampler draws otherwise: {errors} standard errors from what is expected")
    return float(np.abs(errors).max())
