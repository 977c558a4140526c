"""Graphs of decoding steps: what happens where one cannot be recorded, or does not do what the step does."""

from __future__ import annotations

import pytest
import torch

from audit.models.fits import Fit
from audit.models.graphs import HELD, FixedStep, Graphs, Shape
from audit.models.memory import Footprint
from audit.models.planning import Planner
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
    # Rows of one token each: 32, 64, 96 and 128 tokens and the tails' two; the last two hold nearly as much as two.
    assert [shape.length for shape in graphs._steps] == [96, 128]
    graphs = Graphs(capture=False)
    for rows in (8, 4, 2, 1):
        generate(module, [[1] * 5], [rows], Decoding(max_new_tokens=64), "fixed", graphs=graphs)
    assert [shape.rows for shape in graphs._steps] == [4, 2, 1], "a batch and the halves that it shrinks to"


def held(step: FixedStep) -> int:
    """Bytes of everything that a step keeps."""
    batch = step.batch
    buffers = [part for pair in batch.prompts for part in pair]
    buffers += [part for tail in batch.tails for part in (tail.keys, tail.values)]
    buffers += [step.keys, step.tokens, step.drawn, step.alright]
    buffers += [batch.grid.all, batch.grid.lengths, batch.grid.step]
    return sum(buffer.nbytes for buffer in buffers)


@pytest.mark.parametrize("changes", [{}, {"num_key_value_heads": 2}], ids=["own heads", "shared heads"])
@pytest.mark.parametrize("half", [False, True], ids=["float32", "bfloat16"])
def test_the_plan_counts_the_bytes_of_the_buffers(changes, half):
    module = phi(320, **changes)
    module = module.to(torch.bfloat16) if half else module
    footprint, graphs = Footprint.of(module), Graphs(capture=False)
    plan = Planner("cpu", footprint, Fit(), True, True)
    largest = 0
    for seed in range(6):
        prompts, counts = drawn(seed)
        generate(module, prompts, counts, DECODING, "fixed", graphs=graphs)
        shape = Shape.of(len(counts), max(counts), max(map(len, prompts)), DECODING.max_new_tokens - 1)
        assert held(graphs._steps[shape]) == shape.nbytes(footprint.key_values)
        planned = plan.generation_bytes([len(ids) for ids in prompts], counts, DECODING)
        longest, rows = max(map(len, prompts)), len(counts) * max(counts)
        # What the rows draw stands in the buffers alone.
        without = footprint.generation(len(counts), longest, rows, 0, shared=True)
        largest = max(largest, planned - without)
        assert planned - without == HELD * shape.nbytes(footprint.key_values)
        assert sum(map(held, graphs._steps.values())) <= largest
    assert len(graphs) > 1


def test_buffers_make_batches_smaller_where_memory_is_short(module):
    from audit.models.batching import Work

    footprint = Footprint.of(module)
    works = [Work(f"i{at}", 20, 2) for at in range(64)]
    sizes = []
    for on in (False, True):
        plan = Planner("cpu", footprint, Fit(), True, on)
        budget = 4 << 20
        batches = plan.generation(works, DECODING, budget, None)
        takes = [plan.generation_bytes([20] * len(batch), [e.count for e in batch], DECODING) for batch in batches]
        assert max(takes) <= budget
        sizes.append(len(batches))
    assert sizes[0] < sizes[1]
