"""Work done beside the caller's: in a thread of its own, strictly in order."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import Any, Self


class Beside:
    """Calls that are carried out one after the other while the caller goes on.

    A call that raises is the last one that is begun, since those behind it may rest on it. Its exception is raised in
    the caller's thread by the next :meth:`call` or :meth:`wait`, or when the context is left.

    Args:
        name: of the thread.
        drop: what becomes of calls not yet begun when the context is left by an exception: dropped, where the same
            work can be done again, else carried out. A call that was begun is always waited for, so that nothing
            goes on working behind the caller's back.
    """

    def __init__(self, name: str, *, drop: bool) -> None:
        self._drop = drop
        self._pool = ThreadPoolExecutor(1, thread_name_prefix=name)
        self._pending: deque[Future[None]] = deque()
        self._broken = False

    def call(self, work: Callable[..., object], *arguments: Any) -> Callable[[], None]:
        """Have ``work(*arguments)`` done after everything handed over before.

        Returns:
            What waits for this call to be done, and raises what it raised.

        Raises:
            BaseException: what an earlier call raised.
        """
        while self._pending and self._pending[0].done():
            self._pending.popleft().result()
        future = self._pool.submit(self._carry_out, work, arguments)
        self._pending.append(future)
        return future.result

    def wait(self) -> None:
        """Return when everything handed over is done.

        Raises:
            BaseException: what a call raised.
        """
        while self._pending:
            self._pending.popleft().result()

    def _carry_out(self, work: Callable[..., object], arguments: tuple[Any, ...]) -> None:
        if self._broken:
            return
        try:
            work(*arguments)
        except BaseException:
            self._broken = True
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if kind is None:
                self.wait()
        finally:
            self._pool.shutdown(wait=True, cancel_futures=self._drop)
