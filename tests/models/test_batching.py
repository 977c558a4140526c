"""Batches: everything once, nothing over budget, little padding, longest first, the same for the same work."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from audit.models.batching import Entry, Limits, Rows, Work, compose, compose_trees, distinct

works = st.lists(st.tuples(st.integers(1, 400), st.integers(1, 30)), max_size=40).map(
    lambda pairs: [Work(f"i{n}", length, rows) for n, (length, rows) in enumerate(pairs)]
)
limits = st.builds(Limits, st.integers(1, 2000), st.integers(1, 64), st.integers(1, 500), st.integers(1, 32))
# New tokens a row, and whether prompts are shared: only where something is drawn.
drawn = st.integers(0, 40).flatmap(lambda new: st.tuples(st.just(new), st.booleans() if new else st.just(False)))
# Few different ids, so that many rows begin alike.
texts = st.lists(
    st.lists(st.lists(st.integers(0, 2), min_size=1, max_size=8), min_size=1, max_size=5), max_size=20
).map(lambda items: [Rows(f"i{n}", rows) for n, rows in enumerate(items)])


def rows_of(batches: Sequence[Sequence[Entry]]) -> list[tuple[str, int]]:
    return [(e.item, e.first + n) for batch in batches for e in batch for n in range(e.count)]


def sizes(batch: Sequence[Entry], work: Sequence[Work], new: int, shared: bool) -> tuple[int, int, int]:
    """Rows of a batch, tokens it takes, and how many of them are padding, counted row by row."""
    lengths = {one.item: one.length for one in work}
    prompts = [lengths[e.item] for e in batch for _ in range(1 if shared else e.count)]
    rows = sum(entry.count for entry in batch)
    return rows, len(prompts) * max(prompts) + rows * new, sum(max(prompts) - length for length in prompts)


@given(works, limits, drawn)
def test_every_row_once_within_the_limits(work, limit, drawn):
    new, shared = drawn
    batches = compose(work, limit, new=new, shared=shared)
    assert sorted(rows_of(batches)) == sorted((one.item, n) for one in work for n in range(one.rows))
    for batch in batches:
        rows, tokens, _ = sizes(batch, work, new, shared)
        assert rows <= limit.rows
        assert rows == 1 or tokens <= limit.tokens


@given(works, limits, drawn)
def test_padding_is_under_five_percent_or_the_batch_was_needed_to_keep_the_device_busy(work, limit, drawn):
    new, shared = drawn
    for batch in compose(work, limit, new=new, shared=shared):
        rows, tokens, padding = sizes(batch, work, new, shared)
        if padding > 0.05 * tokens:
            fewer = batch[:-1]
            rows, tokens, _ = sizes(fewer, work, new, shared)
            assert rows < limit.busy_rows or tokens < limit.busy_tokens


@given(works, limits, drawn, st.randoms())
def test_order_of_work_does_not_matter_and_longest_come_first(work, limit, drawn, random):
    new, shared = drawn
    batches = compose(work, limit, new=new, shared=shared)
    shuffled = list(work)
    random.shuffle(shuffled)
    assert compose(shuffled, limit, new=new, shared=shared) == batches
    lengths = {one.item: one.length for one in work}
    order = [lengths[entry.item] for batch in batches for entry in batch]
    assert order == sorted(order, reverse=True)


def test_the_samples_of_a_prompt_stand_together_and_are_split_evenly_where_they_must_be():
    together = compose([Work("a", 10, 25), Work("b", 10, 25), Work("c", 9, 25)], Limits(4096, 64), new=20, shared=True)
    assert together == [(Entry("a", 0, 25), Entry("b", 0, 25)), (Entry("c", 0, 25),)]
    alone = compose([Work("a", 10, 100)], Limits(4096, 64), new=20, shared=True)
    assert alone == [(Entry("a", 0, 50),), (Entry("a", 50, 50),)]
    # 10 tokens of the prompt once, 20 a row: 5 rows take 110.
    assert compose([Work("a", 10, 10)], Limits(110, 64), new=20, shared=True)[0] == (Entry("a", 0, 5),)
    assert compose([Work("a", 10, 10)], Limits(150, 64), new=20)[0] == (Entry("a", 0, 5),)


@given(texts, limits)
def test_trees_hold_every_row_once_within_the_limits(work, limit):
    batches = compose_trees(work, limit)
    assert sorted(rows_of(batches)) == sorted((one.item, n) for one in work for n in range(len(one.rows)))
    ids = {one.item: one.rows for one in work}
    counted = []
    for batch in batches:
        rows = [ids[item][n] for item, n in rows_of([batch])]
        tokens = len({tuple(row[:end]) for row in rows for end in range(1, len(row) + 1)})
        assert tokens == distinct(rows)
        assert len(rows) <= limit.rows
        assert len(rows) == 1 or tokens <= limit.tokens
        counted.append(tokens)
    assert counted == sorted(counted, reverse=True)


@given(texts, limits, st.randoms())
def test_trees_do_not_depend_on_the_order_of_items(work, limit, random):
    shuffled = list(work)
    random.shuffle(shuffled)
    assert compose_trees(shuffled, limit) == compose_trees(work, limit)


def test_items_that_begin_alike_share_a_batch():
    """Twelve sentences in three families: in their own order they would take 12 x 5 tokens, and families apart."""
    work = [Rows(f"i{n}", [[n % 3, 7, 8, 9, 10 + n]]) for n in range(12)]
    batches = compose_trees(work, Limits(8, 64))
    assert [{int(entry.item[1:]) % 3 for entry in batch} for batch in batches] == [{0}, {1}, {2}]


@pytest.mark.parametrize(("tokens", "rows"), [(0, 1), (1, 0), (-5, 3)])
def test_limits_that_nothing_fits_are_refused(tokens, rows):
    with pytest.raises(ValueError, match="room for a token and a row"):
        Limits(tokens, rows)
