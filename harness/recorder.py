"""Numbers and times the events of a run.

Times in a history increase strictly, so that the order of the file and the order of time are one:
checkers take operations that touch in time for concurrent, and on virtual time the operations of
one client would touch.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, Literal

from harness.core.operation import NEMESIS, Event

__all__ = ["NS", "Recorder"]

NS = 1_000_000_000


class Recorder:
    """Numbers and times events, and hands each to ``sink``. Time 0 is when it was made."""

    def __init__(self, sink: Callable[[Event], None]) -> None:
        self._loop = asyncio.get_running_loop()
        self._zero = self._loop.time()
        self._sink = sink
        self._index = 0
        self._last = -1

    def now(self) -> int:
        """Nanoseconds since the run began."""
        return round((self._loop.time() - self._zero) * NS)

    def record(
        self,
        kind: Literal["invoke", "ok", "fail", "info"],
        f: str,
        value: Any,
        *,
        process: int | Literal["nemesis"] = NEMESIS,
        key: Any = None,
        node: str | None = None,
        error: str | None = None,
    ) -> Event:
        time = max(self.now(), self._last + 1)
        event = Event(
            index=self._index,
            time=time,
            process=process,
            type=kind,
            f=f,
            key=key,
            value=value,
            error=error,
            node=node,
        )
        self._index += 1
        self._last = time
        self._sink(event)
        return event
