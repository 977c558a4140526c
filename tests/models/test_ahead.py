"""Reading ahead: the same items in the same order, faults at their place, no thread left behind."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from audit.models.ahead import ahead


def threads() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("ahead")]


@given(st.lists(st.integers()), st.integers(1, 5))
def test_the_same_items_in_the_same_order(items, depth):
    assert list(ahead(items, depth)) == items
    assert not threads()


def test_another_thread_makes_the_items_and_is_at_most_so_far_ahead():
    made: list[int] = []

    def numbers() -> Iterator[int]:
        for n in range(20):
            made.append(n)
            assert threading.current_thread().name.startswith("ahead")
            yield n

    for n in ahead(numbers(), 3):
        assert len(made) <= n + 1 + 3
    assert len(made) == 20


def test_a_fault_comes_where_its_item_would_have_come():
    def faulty() -> Iterator[int]:
        yield from (1, 2, 3)
        raise KeyError("the fourth")

    found = []
    with pytest.raises(KeyError, match="the fourth"):
        for n in ahead(faulty()):
            found.append(n)
    assert found == [1, 2, 3]
    assert not threads()


def test_the_thread_ends_with_the_one_who_asks():
    made: list[int] = []

    def endless() -> Iterator[int]:
        while True:
            made.append(len(made))
            yield made[-1]

    stream = ahead(endless(), 2)
    assert [next(stream), next(stream)] == [0, 1]
    stream.close()
    assert not threads()
    assert len(made) <= 5


def test_a_depth_of_nothing_is_refused():
    with pytest.raises(ValueError, match="depth must be positive"):
        next(ahead([1], 0))
