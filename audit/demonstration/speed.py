"""How many items the demo can afford.

One batch of each kind is timed; then the largest part of the quick profile that fits is taken.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from audit.loop import Chosen, choose

if TYPE_CHECKING:
    from audit.models import Model
    from audit.plan import Plan

# What the built-in rules need: 30 templates or more for each, and at least two disambiguated items of each wording for
# domain-qa.
FLOORS = {
    "identity-prompts": 60,
    "occupations": 144,
    "counterfactual-prompts": 42,
    "domain-qa": 144,
    "plain-text": 32,
}
SHARES = (1.0, 0.9, 0.8, 0.7, 0.6, 0.5)
_PROBE_ROWS = 32


@dataclass(frozen=True, slots=True)
class Speed:
    """Measured on this machine with this model, in one batch each."""

    generated: float
    """New tokens a second."""
    scored: float
    """Tokens of context and choice a second."""


def measure(model: Model, chosen: Sequence[Chosen]) -> Speed:
    """Time one batch of generation and one of likelihoods, after a short warm-up."""
    prompts = [(one, item) for one in chosen for item in one.items if not item.choices][:_PROBE_ROWS]
    scored = [item for one in chosen for item in one.items if item.choices][: _PROBE_ROWS // 2]
    decoding = prompts[0][0].suite.decoding
    items = {item.id: item for _, item in prompts} | {item.id: item for item in scored}
    short = dataclasses.replace(decoding, max_new_tokens=2)
    list(model.generate(items, model.plan_generation([prompts[0][1]], 1, short), short, 0))
    start = time.perf_counter()
    answers = list(
        model.generate(items, model.plan_generation([item for _, item in prompts], 1, decoding), decoding, 0)
    )
    generated = sum(answer.tokens for batch in answers for answer in batch) / (time.perf_counter() - start)
    start = time.perf_counter()
    list(model.loglikelihood(items, model.plan_likelihood(scored)))
    tokens = sum(_scored_tokens(model, item.text, item.choices) for item in scored)
    return Speed(generated, tokens / (time.perf_counter() - start))


def _scored_tokens(model: Model, text: str, choices: Sequence[str]) -> int:
    """Tokens that go through the model: a context shared by several choices counts once."""
    first, *others = (model.encode_choice(text, choice) for choice in choices)
    return len(first[0]) + sum(count for _, count in others)


def seconds(model: Model, chosen: Sequence[Chosen], speed: Speed) -> float:
    """Time that one model should take over these suites."""
    total = 0.0
    for one in chosen:
        prompts = sum(not item.choices for item in one.items)
        total += prompts * one.samples * one.suite.decoding.max_new_tokens / speed.generated
        total += (
            sum(_scored_tokens(model, item.text, item.choices) for item in one.items if item.choices) / speed.scored
        )
    return total


def limits(model: Model, plan: Plan, budget: float) -> tuple[dict[str, int], float, Speed]:
    """Items per suite so that one model takes about ``budget`` seconds; never under :data:`FLOORS`.

    Returns:
        Limits by suite, the seconds expected for one model, and the speeds measured.
    """
    whole = choose(plan)
    speed = measure(model, whole)
    for share in SHARES:
        found = {one.suite.name: max(FLOORS.get(one.suite.name, 1), round(share * one.suite.quick)) for one in whole}
        expected = seconds(model, choose(plan.model_copy(update={"limit": found})), speed)
        if expected <= budget:
            break
    return found, expected, speed
