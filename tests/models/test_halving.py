"""Running out of memory: halves are done in order, nothing is lost, and what does not fit alone is missing, by name."""

from __future__ import annotations

import dataclasses
import json
import os
import subprocess
import sys
import warnings
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import audit
from audit.models import Entry, Model, load_model
from audit.models.halving import Ceiling, Halved, halves, in_parts
from audit.verification import verify
from probes.suite import Decoding, Item
from tests.conftest import SENTENCES, prompts
from tests.models.conftest import TEXTS

SAMPLED = Decoding(max_new_tokens=8, temperature=1.0, top_p=0.95)
ITEMS = {f"s/{n}": Item(f"s/{n}", text[: 12 + 3 * n], template="t") for n, text in enumerate(TEXTS * 2)}
CHOICES = {
    f"c/{n}": Item(f"c/{n}", text[:12], template="t", choices=(" she would", " he would", " they walked"))
    for n, text in enumerate(TEXTS)
}
LONG = "The nurse said that she would come back in the morning, but no one came. " * 2

batches = st.lists(st.tuples(st.integers(0, 9), st.integers(1, 9)), min_size=1, max_size=8).map(
    lambda parts: tuple(Entry(f"i{n}", first, count) for n, (first, count) in enumerate(parts))
)


def rows(batch: Any) -> list[tuple[str, int]]:
    return [(entry.item, entry.first + offset) for entry in batch for offset in range(entry.count)]


@given(batches)
def test_halves_hold_the_rows_in_order_and_evenly(batch):
    parts = halves(batch)
    assert [row for part in parts for row in rows(part)] == rows(batch)
    sizes = [len(rows(part)) for part in parts]
    assert len(sizes) == min(2, len(rows(batch))) and max(sizes) - min(sizes) <= 1


@given(batches, st.integers(0, 20))
def test_every_row_is_done_once_in_order_whatever_fits(batch, fits):
    failed: list[int] = []

    def work(part: Any) -> list[Any]:
        if len(rows(part)) > fits:
            raise torch.OutOfMemoryError("too much")
        return rows(part)

    done = in_parts(
        batch, work, lambda entry, why: (entry.item, entry.first, why), takes=lambda part: len(rows(part)),
        ceiling=Ceiling(), failed=lambda part, why: failed.append(len(rows(part))),
    )  # fmt: skip
    if fits:
        assert done == rows(batch)
    else:
        assert done == [(*row, "too much") for row in rows(batch)]
    # A part as large as one that failed is not tried again, but for single rows.
    larger = [size for size in failed if size > 1]
    assert larger == sorted(set(larger), reverse=True)


def test_other_errors_are_not_hidden():
    def work(part: Any) -> list[Any]:
        raise RuntimeError("shapes cannot be multiplied")

    with pytest.raises(RuntimeError, match="shapes"):
        in_parts(
            [Entry("a", 0, 2)], work, lambda entry, why: None, takes=len, ceiling=Ceiling(), failed=lambda *_: None
        )


class Shortage:
    """Makes a model run out of memory: where it is given many tokens at once, or certain ones."""

    def __init__(self) -> None:
        self.tokens = 10**9
        self.never: set[int] = set()

    def __call__(self, layer: Any, given: Any) -> None:
        if given[0].numel() > self.tokens or not self.never.isdisjoint(given[0].flatten().tolist()):
            raise torch.OutOfMemoryError(f"no room for {given[0].numel()} tokens")


@pytest.fixture
def limited(phi_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Model, Shortage]]:
    """A model and the shortage it can be put in."""
    monkeypatch.setenv("SLM_AUDIT_CACHE", str(tmp_path / "cache"))
    model = load_model(str(phi_folder), device="cpu")
    assert model.fit is not None, "probed before memory is short"
    shortage = Shortage()
    hook = model.module.get_input_embeddings().register_forward_pre_hook(shortage)
    yield model, shortage
    hook.remove()


def test_answers_and_likelihoods_are_those_of_a_run_with_enough_memory(limited):
    model, shortage = limited
    planned = model.plan_generation(list(ITEMS.values()), 3, SAMPLED)
    scored = model.plan_likelihood(list(CHOICES.values()))
    whole = list(model.generate(ITEMS, planned, SAMPLED, 0))
    likely = list(model.loglikelihood(CHOICES, scored))
    shortage.tokens = 30
    said: list[str] = []
    assert list(model.generate(ITEMS, planned, SAMPLED, 0, say=said.append)) == whole
    again = list(model.loglikelihood(CHOICES, scored, say=said.append))
    assert [[(one.item, one.choice, one.tokens) for one in batch] for batch in again] == [
        [(one.item, one.choice, one.tokens) for one in batch] for batch in likely
    ]
    for one, other in zip(chain(*again), chain(*likely), strict=True):
        assert one.logprob == pytest.approx(other.logprob, rel=1e-5)
    assert said and all("done in two halves" in line for line in said)


def test_running_out_is_a_warning_where_nobody_listens(limited):
    model, shortage = limited
    planned = model.plan_generation(list(ITEMS.values()), 1, SAMPLED)
    shortage.tokens = 30
    with pytest.warns(UserWarning, match="ran out of memory"):
        list(model.generate(ITEMS, planned, SAMPLED, 0))


def test_what_proved_too_much_makes_the_next_plan_smaller(limited, phi_folder):
    model, shortage = limited
    items = [dataclasses.replace(item, id=f"{item.id}-{n}") for n in range(8) for item in ITEMS.values()]
    by_id = {item.id: item for item in items}
    planned = model.plan_generation(items, 3, SAMPLED)
    shortage.tokens = 100
    list(model.generate(by_id, planned, SAMPLED, 0, say=lambda line: None))
    later = load_model(str(phi_folder), device="cpu").plan_generation(items, 3, SAMPLED)
    assert len(later) > len(planned)
    assert sorted(row for batch in later for row in rows(batch)) == sorted(
        row for batch in planned for row in rows(batch)
    )


def test_a_row_that_does_not_fit_alone_is_named_and_missing_and_the_rest_is_there(limited):
    model, shortage = limited
    items = ITEMS | {"s/long": Item("s/long", LONG, template="t")}
    choices = CHOICES | {"c/long": Item("c/long", LONG, template="t", choices=(" she would", " he would"))}
    planned = model.plan_generation(list(items.values()), 2, SAMPLED)
    scored = model.plan_likelihood(list(choices.values()))
    shortage.tokens = 40
    said: list[str] = []
    found = [one for batch in model.generate(items, planned, SAMPLED, 0, say=said.append) for one in batch]
    assert [(one.item, one.k) for one in found] == [row for batch in planned for row in rows(batch)]
    missing = [one for one in found if one.text is None]
    assert [(one.item, one.k, one.tokens) for one in missing] == [("s/long", 0, 0), ("s/long", 1, 0)]
    assert missing[0].finish.startswith("out of memory: no room for ")
    likely = [one for batch in model.loglikelihood(choices, scored, say=said.append) for one in batch]
    assert [(one.item, one.choice) for one in likely] == [row for batch in scored for row in rows(batch)]
    lost = [one.record() for one in likely if one.logprob is None]
    assert [(one["item"], one["choice"], one["logprob"], one["tokens"]) for one in lost] == [
        ("c/long", 0, None, 0), ("c/long", 1, None, 0),
    ]  # fmt: skip
    assert all(one["reason"].startswith("out of memory") for one in lost)
    assert sum("s/long" in line and "does not fit memory" in line for line in said) == 2


def test_a_batch_done_in_parts_is_told_once_with_its_rows_and_parts():
    told: list[Halved] = []
    ceiling = Ceiling()

    def work(part: Any) -> list[Any]:
        if len(rows(part)) > 3:
            raise torch.OutOfMemoryError("too much")
        return rows(part)

    for batch in ([Entry("a", 0, 2)], [Entry("a", 0, 6), Entry("b", 0, 4)], [Entry("c", 0, 5)]):
        in_parts(
            batch, work, lambda entry, why: None, takes=lambda part: 10 * len(rows(part)), ceiling=ceiling,
            failed=lambda *_: None, halved=told.append,
        )  # fmt: skip
    # Ten rows: 5 and 5, then 2 and 3 each. Five rows are halved without a trial, since five were too much before.
    assert told == [Halved(10, 4, 50), Halved(5, 2, 50)]


def test_a_run_keeps_how_often_memory_was_short_and_its_page_says_it(limited, tmp_path, suite, text_suite):
    model, shortage = limited
    asked = [str(suite), str(text_suite)]
    whole = audit.run(model.weights.source.path, asked, tmp_path / "whole", loaded=model)
    assert "halved" not in whole.record and not any("Memory" in note for note in whole.record["notes"])
    shortage.tokens = 40
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        done = audit.run(model.weights.source.path, asked, tmp_path / "run", loaded=model)
    found = done.record["halved"]
    planned = [json.loads(line)["entries"] for line in (done.path / "batches.jsonl").read_text().splitlines()]
    assert 0 < found["batches"] <= len(planned)
    assert found["rows"] <= sum(count for entries in planned for *_, count in entries)
    assert found["parts"] >= 2 * found["batches"] and found["ceiling_bytes"] == model.weights.ceiling.bytes
    (note,) = [note for note in audit.compare(done, []).notes if note.startswith("Memory ran short")]
    assert f"{found['rows']:,} rows in {found['parts']:,} parts" in note
    assert audit.rescore(done.path).record["notes"].count(note) == 1
    assert verify(done.path) == []


def test_a_run_with_missing_rows_is_incomplete_and_counts_them(limited, tmp_path, suite, text_suite):
    model, shortage = limited
    # Tokens that one sentence alone has.
    shortage.never = set(model.encode_prompt(SENTENCES[-1]))
    for text in (*SENTENCES[:-1], *(word + row["text"] for row in prompts() for word in ("", " she would he would"))):
        shortage.never -= set(model.encode_prompt(text))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        done = audit.run(model.weights.source.path, [str(suite), str(text_suite)], tmp_path / "run", loaded=model)
    lost = [
        json.loads(line) for line in (tmp_path / "run/likelihoods.jsonl").read_text().splitlines()
        if json.loads(line)["logprob"] is None
    ]  # fmt: skip
    assert [(one["item"], one["choice"]) for one in lost] == [("tiny-text/s4", 0)]
    assert done.status == "incomplete"
    samples = [json.loads(line) for line in (tmp_path / "run/samples.jsonl").read_text().splitlines()]
    assert len(samples) == 16
    lost += [one for one in samples if one["text"] is None]
    assert done.record["counts"]["missing"] == len(lost)
    assert {row.missing for row in done.summary if row.metric == "perplexity" and row.group == "all"} == {1}
    assert verify(tmp_path / "run") == []


REAL = """
import resource, sys, warnings
from audit.models import load_model
from probes.suite import Decoding, Item
model = load_model(sys.argv[1], device="cpu")
decoding = Decoding(max_new_tokens=8, temperature=1.0, top_p=0.95)
items = {f"s/{n}": Item(f"s/{n}", "The nurse said that she would " + "x" * (n % 90), template="t") for n in range(1000)}
batches = model.plan_generation(list(items.values()), 1, decoding, max_rows=1000)
batches = [tuple(entry for batch in batches for entry in batch)]
whole = [one for batch in model.generate(items, batches, decoding, 0) for one in batch]
taken = next(int(line.split()[1]) * 1024 for line in open("/proc/self/status") if line.startswith("VmSize"))
resource.setrlimit(resource.RLIMIT_AS, (taken + int(sys.argv[2]), resource.RLIM_INFINITY))
said = []
parts = [one for batch in model.generate(items, batches, decoding, 0, say=said.append) for one in batch]
print(len(said), [one.item for one in parts] == [one.item for one in whole], parts == whole)
"""


@pytest.mark.slow
def test_a_limit_of_the_operating_system_is_survived(phi_folder, tmp_path):
    """A thousand rows in one batch, first with enough memory, then with 120 MB beside what is in use.

    One arena: each further one takes 64 MB of addresses that it does not use.
    """
    done = subprocess.run(
        [sys.executable, "-c", REAL, str(phi_folder), str(120 << 20)], capture_output=True, text=True, timeout=120,
        env=os.environ | {"SLM_AUDIT_CACHE": str(tmp_path), "OMP_NUM_THREADS": "1", "MALLOC_ARENA_MAX": "1"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    failures, order, answers = done.stdout.split()
    assert int(failures) > 0
    assert (order, answers) == ("True", "True")
