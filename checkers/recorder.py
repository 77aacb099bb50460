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
one thread or task have processes of their own. The processes of a thread or task that is gone are
taken over by later ones, so that a million short tasks are no million processes.
"""

from __future__ import annotations

import sys
import threading
import time
from collections import deque
from types import TracebackType
from typing import Any, Final, Literal, Self
from weakref import WeakKeyDictionary

import msgspec

from harness.core.history import History
from harness.core.operation import Event

__all__ = ["OpenOperation", "Recorder"]

_UNSET: Final = object()
_SCALARS: Final = (int, float, str, bool, type(None))


class OpenOperation:
    """One operation, from ``with`` to the end of its block.

    ``result`` is what it returned; where nothing is set, it is ``ok`` with its own value. A block
    that raises leaves the outcome unknown, unless the exception is one of the recorder's
    ``failures``.
    """

    __slots__ = ("_f", "_key", "_lane", "_outcome", "_process", "_recorder", "_value", "result")

    def __init__(self, recorder: Recorder, f: str, key: Any, value: Any) -> None:
        self.result: Any = _UNSET
        self._recorder, self._f = recorder, f
        self._key, self._value = _snapshot(key), _snapshot(value)
        self._outcome: Literal["ok", "fail", "info"] | None = None
        self._lane: _Lane | None = None
        self._process = -1

    def fail(self) -> None:
        """It certainly did not happen, and will not."""
        self._outcome = "fail"

    def unknown(self) -> None:
        """It may have happened, or may happen at any later time."""
        self._outcome = "info"

    def __enter__(self) -> Self:
        if self._lane is not None:
            raise RuntimeError("one operation is recorded once: ask the recorder for another")
        self._lane, self._process = self._recorder._invoke(self._f, self._key, self._value)
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
        value, unsayable = self._value, None
        if outcome is None and self.result is not _UNSET:
            try:
                value = _snapshot(self.result)
            except TypeError as problem:  # it happened, but what it returned cannot be written
                outcome, unsayable = "info", problem
        assert self._lane is not None, "left without having been entered"
        self._recorder._complete(
            self._lane,
            self._process,
            type=outcome or "ok",
            f=self._f,
            key=self._key,
            value=value,
            error=None if error is None else repr(error),
        )
        if unsayable is not None:
            raise unsayable

    async def __aenter__(self) -> Self:
        return self.__enter__()

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.__exit__(kind, error, trace)


class _Lane:
    """The processes of one thread or task that have no operation open. When it is gone they are
    anyone's."""

    __slots__ = ("__weakref__", "_orphans", "free")

    def __init__(self, orphans: deque[int]) -> None:
        self.free: list[int] = []
        self._orphans = orphans

    def __del__(self) -> None:
        # May run at any moment, even while the recorder's lock is held: takes no lock itself.
        self._orphans.extend(self.free)


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
        self._orphans: deque[int] = deque()
        # Keyed by the thread or task itself, not by its number: numbers are given out again.
        self._lanes: WeakKeyDictionary[object, _Lane] = WeakKeyDictionary()

    def operation(self, f: str, key: Any = None, value: Any = None) -> OpenOperation:
        """An operation ``f`` on ``key`` with the argument ``value``, for ``with`` or ``async
        with``. Keys, values and results must be what JSON can say (``TypeError``), and are copied.
        """
        return OpenOperation(self, f, key, value)

    def history(self) -> History:
        """What has been recorded so far; operations that are still open may have happened."""
        with self._lock:
            events = tuple(self._events)
        return History.from_events(events, source="recorder")

    def _invoke(self, f: str, key: Any, value: Any) -> tuple[_Lane, int]:
        owner = _current()
        with self._lock:
            lane = self._lanes.get(owner)
            if lane is None:
                lane = self._lanes[owner] = _Lane(self._orphans)
            if lane.free:
                process = lane.free.pop()
            elif self._orphans:
                process = self._orphans.popleft()
            else:
                process, self._processes = self._processes, self._processes + 1
            self._append(process, type="invoke", f=f, key=key, value=value)
        return lane, process

    def _complete(self, lane: _Lane, process: int, **what: Any) -> None:
        with self._lock:
            self._append(process, **what)
            if what["type"] != "info":
                lane.free.append(process)

    def _append(self, process: int, **what: Any) -> None:
        # Strictly increasing, so that the order of the events is that of their times.
        self._latest = max(time.monotonic_ns() - self._start, self._latest + 1)
        self._events.append(
            Event(index=len(self._events), time=self._latest, process=process, **what)
        )


def _current() -> object:
    """The task, or else the thread, that is running."""
    asyncio = sys.modules.get("asyncio")  # not loaded: no task
    try:
        task = None if asyncio is None else asyncio.current_task()
    except RuntimeError:
        task = None
    return threading.current_thread() if task is None else task


def _snapshot(value: Any) -> Any:
    """``value`` as JSON values that nobody else can change."""
    if type(value) in _SCALARS:
        return value
    return msgspec.to_builtins(value, str_keys=True, order="deterministic")
