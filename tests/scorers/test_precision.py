"""Half precision and memory that runs out, in the engine under the neural scorers."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch

from audit.scorers import ScoreResult, neural, score_all
from tests.scorers.tiny_classifiers import bert, roberta, texts


class Cramped:
    """A module whose forward pass has room for so many tokens, padding included."""

    def __init__(self, module: Any, room: int, error: Exception) -> None:
        self.seen: list[tuple[int, int]] = []
        forward = module.forward

        def limited(**columns: torch.Tensor) -> Any:
            shape = columns["input_ids"].shape
            self.seen.append((shape[0], shape[1]))
            if shape.numel() > room:
                raise error
            return forward(**columns)

        module.forward = limited


FAULTS = [
    torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB"),
    RuntimeError("[enforce fail at alloc_cpu.cpp:124] DefaultCPUAllocator: can't allocate memory: you tried to"),
    MemoryError(),
]


@pytest.mark.parametrize("error", FAULTS, ids=lambda error: type(error).__name__)
def test_a_batch_too_large_for_memory_is_halved_and_every_value_stays(error: Exception) -> None:
    some = texts(40, seed=3)
    expected = neural.Classifier(*bert(), "sigmoid").probabilities(some)
    module, words = bert()
    cramped = Cramped(module, 200, error)
    classifier = neural.Classifier(module, words, "sigmoid")
    assert np.abs(classifier.probabilities(some) - expected).max() < 1.5e-6
    tried = [rows * width for rows, width in cramped.seen]
    assert max(tried) > 200, "nothing was halved, this shows nothing"
    cramped.seen.clear()
    assert np.abs(classifier.probabilities(some) - expected).max() < 1.5e-6
    assert max(rows * width for rows, width in cramped.seen) < max(tried), "later batches are planned smaller"


def test_a_text_that_alone_exceeds_memory_is_unscored_with_its_reason_and_the_others_are_not() -> None:
    module, words = bert()
    Cramped(module, 40, FAULTS[0])

    class Scorer:
        name, revision, smoke, values, card = "tiny", "1", False, ("a", "b", "c"), "A tiny one."
        classifier = neural.Classifier(module, words, "softmax")

        def score(self, some: list[str]) -> list[ScoreResult]:
            return neural.results(self.classifier.probabilities(some), self.values)

    some = ["kind", "nurse " * 46, "you fool", *(f"friend {letter}" for letter in "abcdefgh")]
    found = score_all(Scorer(), some)
    assert found[1].reason == "MemoryError: a text of 48 tokens does not fit the memory of cpu"
    assert [result.values is None for result in found] == [at == 1 for at in range(len(some))]


def test_another_fault_is_not_taken_for_memory() -> None:
    module, words = bert()
    Cramped(module, 1, RuntimeError("mat1 and mat2 shapes cannot be multiplied"))
    with pytest.raises(RuntimeError, match="cannot be multiplied"):
        neural.Classifier(module, words, "softmax").probabilities(texts(8))


@pytest.mark.parametrize("activation", ["softmax", "sigmoid"])
@pytest.mark.parametrize("make", [bert, roberta])
def test_half_precision_stays_within_its_bound_and_says_so(make: Any, activation: neural.Activation) -> None:
    some = texts(120, seed=5)
    module, words = make()
    exact = neural.Classifier(module, words, activation)
    half = neural.Classifier(module, words, activation, half=True)
    assert (exact.precision, exact.half, exact.closeness) == ("", False, "within 1e-6")
    assert math.isnan(exact.difference)
    assert (half.precision, half.half) == ("+float16", True)
    assert 0 < half.difference <= neural.HALF_BOUND
    assert f"{half.difference:.1g}" in half.closeness
    change = np.abs(half.probabilities(some) - exact.probabilities(some))
    assert 1e-6 < change.max() <= neural.HALF_BOUND


@pytest.mark.parametrize("fault", ["far off", "overflow"])
def test_where_half_precision_is_not_good_enough_it_is_not_used(fault: str) -> None:
    module, words = bert()
    expected = neural.Classifier(module, words, "sigmoid").probabilities(texts(20))
    forward = module.forward

    def worse(**columns: torch.Tensor) -> Any:
        out = forward(**columns)
        if torch.is_autocast_enabled("cpu"):
            out.logits[-1, -1] += 0.1 if fault == "far off" else math.nan
        return out

    module.forward = worse
    classifier = neural.Classifier(module, words, "sigmoid", half=True)
    assert (classifier.half, classifier.precision) == (False, "")
    assert not classifier.difference <= neural.HALF_BOUND
    assert (classifier.probabilities(texts(20)) == expected).all()


@pytest.mark.cuda
def test_on_a_gpu_half_precision_is_used_within_its_bound_of_the_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    half = neural.Classifier(*bert(), "sigmoid")
    single = neural.Classifier(*bert(), "sigmoid", half=False)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    expected = neural.Classifier(*bert(), "sigmoid").probabilities(texts(120))
    assert half.precision == "+float16"
    assert np.abs(half.probabilities(texts(120)) - expected).max() <= neural.HALF_BOUND
    assert np.abs(single.probabilities(texts(120)) - expected).max() < 2e-6
