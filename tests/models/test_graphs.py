"""Graphs of decoding steps: what happens where one cannot be recorded, or does not do what the step does."""

from __future__ import annotations

import pytest

from audit.models.graphs import FixedStep, Graphs
from probes.suite import Decoding
from tests.models.conftest import phi
from tests.models.test_prefix import drawn, generate

DECODING = Decoding(max_new_tokens=20, top_p=0.9)


class Recorded:
    """Stands for a CUDA graph: replays the step, and may spoil what it drew."""

    def __init__(self, step: FixedStep, spoil: int) -> None:
        self.step, self.spoil, self.replayed = step, spoil, 0

    def replay(self) -> None:
        self.replayed += 1
        self.step._step()
        self.step.tokens += self.spoil


@pytest.fixture(scope="module")
def module():
    return phi(320)


def test_a_graph_that_does_what_the_step_does_is_used(module, monkeypatch):
    made = []
    monkeypatch.setattr(FixedStep, "_captured", lambda self: made.append(Recorded(self, 0)) or made[-1])
    graphs = Graphs(capture=True)
    prompts, counts = drawn(3)
    found = generate(module, prompts, counts, DECODING, "fixed", graphs=graphs)
    assert found == generate(module, prompts, counts, DECODING)
    # All but the first token, which comes from the prompt, and one for the trial.
    assert made[0].replayed == DECODING.max_new_tokens
    assert graphs.capture and not graphs.failure


def test_a_graph_that_draws_other_tokens_is_given_up(module, monkeypatch):
    monkeypatch.setattr(FixedStep, "_captured", lambda self: Recorded(self, 1))
    graphs = Graphs(capture=True)
    prompts, counts = drawn(3)
    with pytest.warns(UserWarning, match="drew other tokens"):
        found = generate(module, prompts, counts, DECODING, "fixed", graphs=graphs)
    assert found == generate(module, prompts, counts, DECODING)
    assert not graphs.capture and "drew other tokens" in graphs.failure


def test_where_no_graph_can_be_recorded_the_steps_run_without(module, monkeypatch):
    def refuse(self):
        raise RuntimeError("operation not permitted when stream is capturing\nmore")

    monkeypatch.setattr(FixedStep, "_captured", refuse)
    graphs = Graphs(capture=True)
    prompts, counts = drawn(3)
    with pytest.warns(UserWarning, match="without graphs"):
        found = generate(module, prompts, counts, DECODING, "fixed", graphs=graphs)
    assert found == generate(module, prompts, counts, DECODING)
    assert graphs.failure.endswith("operation not permitted when stream is capturing")


def test_a_graph_that_runs_out_of_memory_is_for_the_planner(module, monkeypatch):
    """Halving the batch is its business; taking another way would hide the reason."""
    import torch

    def full(self):
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(FixedStep, "_captured", full)
    with pytest.raises(torch.OutOfMemoryError):
        generate(module, [[1, 2]], [2], DECODING, "fixed", graphs=Graphs(capture=True))


def test_few_graphs_are_kept(module):
    graphs = Graphs(capture=False)
    for length in (5, 40, 70, 100):
        generate(module, [[1] * length], [1], Decoding(max_new_tokens=3), "fixed", graphs=graphs)
    assert len(graphs) == 3
