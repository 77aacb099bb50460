"""An asyncio event loop whose time is virtual.

Nothing waits: when no callback is ready, the clock jumps to the next timer. Callbacks run in the
order in which they became due, and equal times in the order in which they were asked for, so a
program without other sources of chance does the same in every process. There are no sockets, no
threads and no signals here; what needs them fails loudly.
"""

from __future__ import annotations

import asyncio
import heapq
from collections import deque
from collections.abc import Callable
from contextvars import Context, copy_context
from typing import Any

from harness.core.errors import HarnessError

__all__ = ["VirtualTimeLoop"]


class _Entry:
    """A callback that can be cancelled. An ``asyncio.Handle`` takes four times as long to make, and
    many are made for every message."""

    __slots__ = ("args", "callback", "context")

    def __init__(
        self, callback: Callable[..., object] | None, args: tuple[Any, ...], context: Context
    ) -> None:
        self.callback = callback
        self.args = args
        self.context = context

    def cancel(self) -> None:
        self.callback = None

    def cancelled(self) -> bool:
        return self.callback is None


class VirtualTimeLoop(asyncio.BaseEventLoop):
    """See the module. ``time()`` starts at 0 and is in seconds."""

    def __init__(self) -> None:
        super().__init__()
        self._now = 0.0
        self._sequence = 0
        self._due: deque[_Entry] = deque()
        # (when, sequence, callback, args) as posted, or (when, sequence, entry, None)
        self._timers: list[tuple[float, int, Any, Any]] = []

    def time(self) -> float:
        return self._now

    def post(self, delay: float, callback: Callable[..., object], *args: Any) -> None:
        """Call ``callback(*args)`` after ``delay`` seconds; cheaper than ``call_later`` because
        it cannot be cancelled and carries no context. A negative delay is none."""
        self._sequence += 1
        when = self._now + delay if delay > 0 else self._now
        heapq.heappush(self._timers, (when, self._sequence, callback, args))

    def call_soon(  # type: ignore[override]  # returns what is used of a handle
        self, callback: Callable[..., object], *args: Any, context: Context | None = None
    ) -> _Entry:
        entry = _Entry(callback, args, context or copy_context())
        self._due.append(entry)
        return entry

    call_soon_threadsafe = call_soon  # type: ignore[assignment]  # only used by asyncio.Runner

    def call_at(  # type: ignore[override]  # returns what is used of a handle
        self,
        when: float,
        callback: Callable[..., object],
        *args: Any,
        context: Context | None = None,
    ) -> _Entry:
        entry = _Entry(callback, args, context or copy_context())
        self._sequence += 1
        heapq.heappush(self._timers, (max(when, self._now), self._sequence, entry, None))
        return entry

    def call_later(  # type: ignore[override]
        self,
        delay: float,
        callback: Callable[..., object],
        *args: Any,
        context: Context | None = None,
    ) -> _Entry:
        return self.call_at(self._now + delay, callback, *args, context=context)

    def run_in_executor(self, executor: Any, func: Any, *args: Any) -> Any:  # type: ignore[override]
        raise HarnessError("a thread was asked for under virtual time, where none may run")

    async def shutdown_default_executor(self, timeout: float | None = None) -> None:
        """Nothing to do: there is no executor."""

    def _run_once(self) -> None:
        due, timers, run = self._due, self._timers, self._run
        while not self._stopping:  # type: ignore[attr-defined]  # of BaseEventLoop
            if due:
                entry = due.popleft()
                if entry.callback is not None:
                    run(entry)
                continue
            if not timers:
                raise HarnessError("deadlock: every task waits and no timer is set")
            when, _, callback, args = heapq.heappop(timers)
            if args is not None:
                self._now = when
                callback(*args)
            elif callback.callback is not None:  # else it was cancelled
                self._now = when
                run(callback)
        # Whoever stopped the loop may have left callbacks for the next run of it.

    def _run(self, entry: _Entry) -> None:
        try:
            entry.context.run(entry.callback, *entry.args)  # type: ignore[arg-type]  # not None
        except Exception as error:
            self.call_exception_handler(
                {"message": f"exception in {entry.callback!r}", "exception": error}
            )
