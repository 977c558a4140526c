"""Batches: everything once, nothing over budget, longest first, the same for the same work."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from audit.models.batching import Work, compose

works = st.lists(st.tuples(st.integers(1, 400), st.integers(1, 30)), max_size=40).map(
    lambda pairs: [Work(f"i{n}", length, rows) for n, (length, rows) in enumerate(pairs)]
)


@given(works, st.integers(1, 2000), st.integers(1, 64))
def test_every_row_once_within_budget(work, budget, most):
    batches = compose(work, token_budget=budget, max_rows=most)
    seen = [(e.item, e.first + n) for batch in batches for e in batch for n in range(e.count)]
    assert sorted(seen) == sorted((one.item, n) for one in work for n in range(one.rows))
    lengths = {one.item: one.length for one in work}
    for batch in batches:
        rows = sum(entry.count for entry in batch)
        assert rows <= most
        assert rows == 1 or rows * max(lengths[entry.item] for entry in batch) <= budget


@given(works, st.integers(1, 2000), st.integers(1, 64), st.randoms())
def test_order_of_work_does_not_matter_and_longest_come_first(work, budget, most, random):
    shuffled = list(work)
    random.shuffle(shuffled)
    batches = compose(work, token_budget=budget, max_rows=most)
    assert compose(shuffled, token_budget=budget, max_rows=most) == batches
    lengths = {one.item: one.length for one in work}
    firsts = [max(lengths[entry.item] for entry in batch) for batch in batches]
    assert firsts == sorted(firsts, reverse=True)
