"""Scoring without padding: what one straight loop gives, and never the logits of a whole batch at once."""

from __future__ import annotations

import random

import pytest
import torch

from audit.errors import NonFiniteError
from audit.models import scoring, unpadded
from audit.models.fits import Fit
from audit.models.head import Head
from audit.models.memory import Footprint
from audit.models.planning import Planner
from audit.models.scoring import Scored
from audit.models.unpadded import score_unpadded
from tests.models.conftest import phi
from tests.models.zoo import ROWS, UNPADDED, build

CPU = torch.device("cpu")
SMALL = 8


def drawn(seed: int) -> list[list[Scored]]:
    """Items of several rows of few different lengths; of some all tokens are scored, of some none."""
    draw = random.Random(seed)
    found = []
    for item in range(5):
        rows = []
        for choice in range(draw.randint(1, 4)):
            ids = [draw.randrange(1, ROWS) for _ in range(draw.choice((1, 4, 9)))]
            rows.append(Scored(ids, draw.randint(0, len(ids) - 1), f"item {item}, choice {choice}"))
        found.append(rows)
    return found


@torch.inference_mode()
def by_hand(module, items) -> list[list[float]]:
    found = []
    for row in (row for rows in items for row in rows):
        logits = module(input_ids=torch.tensor([row.ids]), use_cache=False).logits[0].double()
        logprobs = torch.log_softmax(logits, -1)
        found.append([logprobs[at - 1, row.ids[at]].item() for at in range(len(row.ids) - row.count, len(row.ids))])
    return found


@pytest.fixture(params=[True, False], ids=["head apart", "whole model"])
def apart(request, monkeypatch) -> bool:
    """Models whose output layer can be run apart, and the same as if it could not."""
    monkeypatch.setitem(scoring.CHUNK, "cpu", SMALL)
    if not request.param:
        monkeypatch.setattr(unpadded.Head, "of", lambda module: None)
    return request.param


@pytest.mark.parametrize("name", [*UNPADDED, "phi"])
def test_numbers_are_those_of_a_straight_loop_and_logits_come_in_chunks(name, apart):
    module = phi(ROWS) if name == "phi" else build(UNPADDED[name])
    # It caps its logits under a name of its own.
    assert (Head.of(module) is None) == (not apart or name == "recurrent-gemma")
    seen: list[int] = []
    layer = module.get_output_embeddings()
    for seed in range(3):
        items = drawn(seed)
        expected = by_hand(module, items)
        hook = layer.register_forward_hook(lambda layer, given, found: seen.append(found[..., 0].numel()))
        found = score_unpadded(module, items, CPU)
        hook.remove()
        assert list(map(len, found)) == list(map(len, expected))
        flat = [number for row in found for number in row]
        assert flat == pytest.approx([number for row in expected for number in row], rel=1e-4, abs=1e-5)
    # Without a head a row goes through alone whose own logits are more than a chunk's: nine tokens here.
    assert 0 < max(seen) <= (max(SMALL, 9) if Head.of(module) is None else SMALL)


def test_nothing_is_run_where_nothing_is_scored(apart):
    assert score_unpadded(None, [[Scored([1, 2], 0, "a")], [Scored([3], 0, "b")]], CPU) == [[], []]


def test_a_row_that_is_not_finite_is_named_and_its_neighbours_are_not(apart):
    module = phi(ROWS)
    with torch.no_grad():
        module.model.embed_tokens.weight[7] = float("nan")
    items = [[Scored([1, 2, 3], 2, "good")], [Scored([1, 7, 3], 2, "bad")], [Scored([4, 5, 6], 2, "fine")]]
    with pytest.raises(NonFiniteError, match="bad") as told:
        score_unpadded(module, items, CPU)
    assert "good" not in str(told.value) and "fine" not in str(told.value)


def test_the_plan_counts_the_logits_that_are_there_at_once():
    footprint = Footprint.of(phi(ROWS))
    rows = [[1] * 100] * 50
    alone = Fit("a", "b", "it has a state")
    apart = Planner("cpu", footprint, alone).scoring_bytes(rows)
    assert apart == footprint.scoring(5000, scoring.CHUNK["cpu"])
    assert Planner("cpu", footprint, alone, head=False).scoring_bytes(rows) == apart
    assert Planner("cpu", footprint, Fit("a", "b"), head=False).scoring_bytes(rows) == footprint.scoring(5000, 5000)
    assert Planner("cpu", footprint, alone, head=False).scoring_bytes([[1] * 300]) == footprint.scoring(300, 300)
