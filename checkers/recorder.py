"""Records what threads and tasks do, as a history that can be checked.

>>> recorder = Recorder()
>>> with recorder.operation("write", value=5) as op:
...     pass  # client.write(5)
>>> with recorder.operation("read") as op:
...     op.result = 5  # client.read()
>>> len(recorder.history())
4

A process of the history is a thread or a task for as long as its operations have certain outcomes;
after one that has none it goes on under a new number, as in Jepsen. Operations that overlap within
one thread or task have processes of their own.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Hashable
from types import TracebackType
from typing import Any, Final, Literal, Self

from harness.core.history import History
from harness.core.operation import Event

__all__ = ["OpenOperation", "Recorder"]

_UNSET: Final = object()


class OpenOperation:
    """One operation, from ``with`` to the end of its block.

    ``result`` is what it returned; where nothing is set, it is ``ok`` with its own value. A block
    that raises leaves the outcome unknown, unless the exception is one of the recorder's
    ``failures``.
    """

    __slots__ = ("_f", "_key", "_outcome", "_process", "_recorder", "_value", "result")

    def __init__(self, recorder: Recorder, f: str, key: Any, value: Any) -> None:
        self.result: Any = _UNSET
        self._recorder, self._f, self._key, self._value = recorder, f, key, value
        self._outcome: Literal["ok", "fail", "info"] | None = None
        self._process = -1

    def fail(self) -> None:
        """It certainly did not happen, and will not."""
        self._outcome = "fail"

    def unknown(self) -> None:
        """It may have happened, or may happen at any later time."""
        self._outcome = "info"

    def __enter__(self) -> Self:
        self._process = self._recorder._invoke(self._f, self._key, self._value)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        outcome = self._outcome
        if outcome is None and error is not None:
            outcome = "fail" if isinstance(error, self._recorder.failures) else "info"
        value = self._value
        if outcome in (None, "ok") and self.result is not _UNSET:
            value = self.result
        self._recorder._complete(
            self._process,
            type=outcome or "ok",
            f=self._f,
            key=self._key,
            value=value,
            error=None if error is None else repr(error),
        )

    async def __aenter__(self) -> Self:
        return self.__enter__()

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.__exit__(kind, error, trace)


class Recorder:
    """Safe from any number of threads and asyncio tasks at once.

    ``failures`` are exceptions which certainly mean that the operation did not happen, such as
    ``ConnectionRefusedError``.
    """

    def __init__(self, *, failures: tuple[type[BaseException], ...] = ()) -> None:
        self.failures = failures
        self._lock = threading.Lock()
        self._events: list[Event] = []
        self._start = time.monotonic_ns()
        self._latest = -1
        self._processes = 0
        self._free: dict[Hashable, list[int]] = {}
        self._owner: dict[int, Hashable] = {}

    def operation(self, f: str, key: Any = None, value: Any = None) -> OpenOperation:
        """An operation ``f`` on ``key`` with the argument ``value``, for ``with`` or ``async
        with``. Values must be what JSON can say, and must not be changed afterwards."""
        return OpenOperation(self, f, key, value)

    def history(self) -> History:
        """What has been recorded so far; operations that are still open may have happened."""
        with self._lock:
            events = tuple(self._events)
        return History.from_events(events, source="recorder")

    def _invoke(self, f: str, key: Any, value: Any) -> int:
        owner = _current()
        with self._lock:
            free = self._free.get(owner)
            if free:
                process = free.pop()
            else:
                process, self._processes = self._processes, self._processes + 1
            self._owner[process] = owner
            self._append(process, type="invoke", f=f, key=key, value=value)
        return process

    def _complete(self, process: int, **what: Any) -> None:
        with self._lock:
            self._append(process, **what)
            owner = self._owner.pop(process)
            if what["type"] != "info":
                self._free.setdefault(owner, []).append(process)

    def _append(self, process: int, **what: Any) -> None:
        # Strictly increasing, so that the order of the events is that of their times.
        self._latest = max(time.monotonic_ns() - self._start, self._latest + 1)
        self._events.append(
            Event(index=len(self._events), time=self._latest, process=process, **what)
        )


def _current() -> Hashable:
    """The task, or else the thread, that is running."""
    import asyncio

    try:
        task = asyncio.current_task()
    except RuntimeError:
        task = None
    return threading.get_ident() if task is None else id(task)
