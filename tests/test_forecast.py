"""What a plan says before it starts."""

from __future__ import annotations

import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import audit
from audit import forecast
from audit.forecast import duration
from audit.models import pace
from audit.models.batching import Entry
from audit.models.pace import Pace
from probes.suite import Decoding, Item


class Heard:
    def __init__(self) -> None:
        self.said: list[str] = []

    def stage(self, title: str, total: float, unit: str) -> None: ...

    def advance(self, amount: float) -> None: ...

    def say(self, message: str) -> None:
        self.said.append(message)


def test_a_run_tells_items_tokens_and_time_before_it_starts(
    tiny: Path, model: Any, suite: Path, text_suite: Path, tmp_path: Path
) -> None:
    heard = Heard()
    audit.run(str(tiny), [str(suite), str(text_suite)], tmp_path / "run", loaded=model, progress=heard)
    talk, scored, text, time = heard.said
    assert talk.startswith("tiny-talk: 8 items, 16 answers, ") and "to draw" in talk
    assert scored.startswith("tiny-talk: 3 items, 6 likelihoods, ") and "to draw" not in scored
    assert text.startswith("tiny-text: 5 items, 5 likelihoods, ")
    assert re.fullmatch(
        r"about \d+ seconds on this machine, by a short trial, and [\d.]+ [MG]B of memory at the peak .*", time
    )
    again = Heard()
    audit.run(str(tiny), [str(suite), str(text_suite)], tmp_path / "run", loaded=model, progress=again)
    assert not any("trial" in said for said in again.said), "nothing is left to forecast"


def test_tokens_are_those_of_the_tokenizer_and_shared_contexts_count_once(model: Any) -> None:
    words = model.tokenizer
    prompt = Item("a", "People walk in the park.", "t")
    assert model.tokens_of([prompt]) == len(words.encode(prompt.text))
    scored = Item("b", "People walk", "t", choices=(" home", " away"))
    assert model.tokens_of([scored]) == len(words.encode("People walk home")) + len(words.encode(" away"))
    assert model.tokens_of([prompt] * 1000) == 1000 * model.tokens_of([prompt])
    assert model.tokens_of([]) == 0


def test_time_adds_reading_and_steps() -> None:
    found = Pace(tokens=100.0, step=0.5, rows=10)
    full, half, few = (Entry("a", 0, 10),), (Entry("a", 0, 5),), (Entry("a", 0, 1),)
    assert found.seconds(200, [], 0) == pytest.approx(2.0)
    assert found.seconds(0, [full, half], 5) == pytest.approx(1.5 * 4 * 0.5)
    assert found.seconds(0, [few], 5) == pytest.approx(0.25 * 4 * 0.5), "a step over few rows is not that much faster"


class Clocked:
    """A model whose work takes a known time by a clock of the test's own."""

    def __init__(self, read: float, step: float) -> None:
        self.now = 0.0
        self.read, self.step = read, step
        self.worked: list[tuple[int, int]] = []

    def tokens_of(self, items: Any, *, begin: str = "tokenizer") -> int:
        return sum(len(item.text) + sum(map(len, item.choices)) for item in items)

    def generate(self, items: Any, batches: Any, decoding: Any, seed: int, *, say: Any) -> Any:
        for batch in batches:
            read = self.tokens_of([items[entry.item] for entry in batch])
            rows = sum(entry.count for entry in batch)
            self.worked.append((read, rows))
            self.now += read * self.read + decoding.max_new_tokens * self.step
            yield [SimpleNamespace(tokens=decoding.max_new_tokens)] * rows

    def loglikelihood(self, items: Any, batches: Any, *, begin: str, say: Any) -> Any:
        for batch in batches:
            read = self.tokens_of([items[entry.item] for entry in batch])
            self.worked.append((read, sum(entry.count for entry in batch)))
            self.now += read * self.read
            yield []


def test_the_trial_works_on_a_part_of_a_planned_batch_and_finds_the_pace(monkeypatch: pytest.MonkeyPatch) -> None:
    model: Any = Clocked(read=0.01, step=0.5)
    monkeypatch.setattr("audit.models.pace.time.perf_counter", lambda: model.now)
    items = {f"s/{at}": Item(f"s/{at}", "a" * 100, "t") for at in range(40)}
    batches = [tuple(Entry(name, 0, 5) for name in list(items)[start : start + 20]) for start in (0, 20)]
    found = pace.of_generation(model, items, batches, Decoding(max_new_tokens=30), 100_000)
    assert set(model.worked) == {(600, 30)}, "six prompts of 100 tokens, five samples each"
    assert found.step == pytest.approx(0.5)
    assert found.rows == 30
    assert found.tokens == pytest.approx(600 / (600 * 0.01 + 0.5))
    short = pace.of_generation(model, items, batches, Decoding(max_new_tokens=2), 100_000)
    assert short.step == pytest.approx(0.5), "no more tokens are drawn than the suite allows"
    scored = {name: Item(name, "a" * 80, "t", choices=("b" * 20,)) for name in items}
    model.worked.clear()
    assert pace.of_likelihoods(model, scored, batches, "tokenizer", 100_000).tokens == pytest.approx(100)
    assert set(model.worked) == {(600, 30)}
    model.worked.clear()
    pace.of_likelihoods(model, scored, batches, "tokenizer", 1_600)
    assert set(model.worked) == {(200, 10)}, "no more than an eighth of a short run"


def test_answers_that_end_at_once_do_not_spoil_the_trial(monkeypatch: pytest.MonkeyPatch) -> None:
    class Mute(Clocked):
        def generate(self, *args: Any, **keys: Any) -> Any:
            for batch in super().generate(*args, **keys):
                yield [SimpleNamespace(tokens=0) for _ in batch]

    model: Any = Mute(read=0.01, step=0.0)
    monkeypatch.setattr("audit.models.pace.time.perf_counter", lambda: model.now)
    found = pace.of_generation(model, {"a": Item("a", "aaaa", "t")}, [(Entry("a", 0, 1),)], Decoding(), 4)
    assert (found.step, found.rows) == (0.0, 1)


def test_a_small_part_is_taken_to_go_as_the_largest_one(
    tiny: Path, model: Any, suite: Path, text_suite: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried: list[int] = []
    real = pace.of_likelihoods

    def counting(model: Any, items: Any, batches: Any, *rest: Any) -> Any:
        tried.append(len(batches))
        return real(model, items, batches, *rest)

    monkeypatch.setattr(pace, "of_likelihoods", counting)
    audit.run(str(tiny), [str(suite), str(text_suite)], tmp_path / "once", loaded=model)
    assert len(tried) == 1
    monkeypatch.setattr(forecast, "_WORTH_A_TRIAL", 1)
    audit.run(str(tiny), [str(suite), str(text_suite)], tmp_path / "twice", loaded=model)
    assert len(tried) == 3


@pytest.mark.parametrize(
    ("count", "words"), [(999e6, "1000 MB"), (512e6, "510 MB"), (1e9, "1 GB"), (13.57e9, "14 GB"), (2.54e9, "2.5 GB")]
)
def test_sizes_are_rounded(count: float, words: str) -> None:
    assert forecast.size(count) == words


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0.1, "1 seconds"), (95, "95 seconds"), (121, "2 minutes"), (3000, "50 minutes"), (9000, "2.5 hours")],
)
def test_durations_are_rounded(seconds: float, words: str) -> None:
    assert duration(seconds) == words
