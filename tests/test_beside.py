"""Work beside the caller's: its order, its faults, and what leaving early does."""

from __future__ import annotations

import threading

import pytest

from audit.beside import Beside


class Stop(BaseException):
    """Nothing catches it."""


def test_calls_are_done_in_order_in_one_other_thread() -> None:
    done: list[tuple[int, str]] = []
    with Beside("aside", drop=False) as aside:
        for number in range(20):
            aside.call(lambda number: done.append((number, threading.current_thread().name)), number)
    assert [number for number, _ in done] == list(range(20))
    assert {name for _, name in done} == {"aside_0"}
    assert threading.current_thread().name != "aside_0"


def test_the_caller_goes_on_while_the_work_is_done() -> None:
    may_end = threading.Event()
    with Beside("aside", drop=False) as aside:
        aside.call(may_end.wait)
        may_end.set()  # were the call carried out at once, nobody would get here


@pytest.mark.parametrize("fault", [ValueError, Stop])
@pytest.mark.parametrize("noticed", ["call", "wait", "leave", "own"])
def test_a_fault_is_the_last_thing_begun_and_is_raised_in_the_caller(fault: type[BaseException], noticed: str) -> None:
    done: list[str] = []

    def fail() -> None:
        raise fault("here")

    with pytest.raises(fault, match="here"), Beside("aside", drop=False) as aside:
        finished = aside.call(fail)
        aside.call(done.append, "behind it")
        if noticed == "call":
            while True:
                aside.call(done.append, "later")
        if noticed == "wait":
            aside.wait()
        if noticed == "own":
            finished()
    assert done == []


@pytest.mark.parametrize("drop", [True, False])
def test_left_by_an_exception_what_was_begun_ends_and_the_rest_is_dropped_or_done(drop: bool) -> None:
    begun, may_end = threading.Event(), threading.Event()
    done: list[str] = []

    def first() -> None:
        begun.set()
        may_end.wait()
        done.append("first")

    def leave() -> None:
        with Beside("aside", drop=drop) as aside:
            aside.call(first)
            aside.call(done.append, "second")
            begun.wait()
            threading.Timer(0.05, may_end.set).start()
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        leave()
    assert done == (["first"] if drop else ["first", "second"])
