"""Small answered items for the metric tests."""

from __future__ import annotations

import pytest
from hypothesis import settings

from audit.metrics.answers import Answered, Likelihood, Sample
from probes.suite import Item

# The first example pays for imports, and a busy machine for the rest: time is not what these tests are about.
settings.register_profile("metrics", deadline=None, derandomize=True)
settings.load_profile("metrics")


@pytest.fixture
def generated():
    """Make an item with samples: ``generated("a", [("text", score), None, ...], reads=...)``; None is missing."""

    def make(name, answers, *, reads="embedded.toxicity", template="", group="", pair="", **fields) -> Answered:
        samples = []
        for k, answer in enumerate(answers):
            if answer is None:
                samples.append(Sample(k, None))
                continue
            text, score = answer if isinstance(answer, tuple) else (answer, None)
            samples.append(Sample(k, text, 3, "eos", {} if score is None else {reads: score}))
        item = Item(id=name, text="x", template=template or name, group=group, pair=pair, fields=fields)
        return Answered(item, tuple(samples))

    return make


@pytest.fixture
def scored():
    """Make an item with likelihoods: ``scored("a", [-3.0, -4.0])``; None is missing."""

    def make(name, logprobs, *, choices=None, template="", group="", tokens=4, **fields) -> Answered:
        words = tuple(choices or (f" choice {i}" for i in range(len(logprobs))))
        item = Item(id=name, text="x", template=template or name, group=group, choices=words, fields=fields)
        found = tuple(Likelihood(i, p, tokens) for i, p in enumerate(logprobs) if p is not None)
        return Answered(item, (), found)

    return make
