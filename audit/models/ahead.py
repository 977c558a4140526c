"""Preparing what comes next in a thread, while the caller works on what is there."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, TypeVar

T = TypeVar("T")
_END: Any = object()


def ahead(iterable: Iterable[T], depth: int = 2) -> Iterator[T]:
    """The items of ``iterable``, each made by a thread before it is asked for.

    Args:
        iterable: iterated by one thread that is not the caller's, one item at a time.
        depth: most items that are ready and not yet asked for; at least 1.

    Yields:
        The same items in the same order. What the iterable raises is raised where its item would have come. When the
        caller stops, the item being made is finished, no other is begun, and the thread ends.

    Raises:
        ValueError: depth is not positive.
    """
    if depth < 1:
        raise ValueError(f"depth must be positive, got {depth}")
    source = iter(iterable)
    pool = ThreadPoolExecutor(1, thread_name_prefix="ahead")
    try:
        waiting: deque[Future[T]] = deque(pool.submit(next, source, _END) for _ in range(depth))
        while (item := waiting.popleft().result()) is not _END:
            waiting.append(pool.submit(next, source, _END))
            yield item
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
