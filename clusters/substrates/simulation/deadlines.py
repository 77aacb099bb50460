"""Time-outs of requests, nearly all of which are answered long before.

A timer for each request would dominate the event loop's heap. Requests with the same time-out
expire in the order in which they were made, so one queue for each length of time-out, with one
timer for its head, does the same at the cost of an append.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Container

from clusters.substrates.simulation.loop import VirtualTimeLoop

__all__ = ["Deadlines"]


class Deadlines:
    """Calls ``expire(number)`` when the time of a request is over that is still in ``pending``."""

    def __init__(
        self, loop: VirtualTimeLoop, pending: Container[int], expire: Callable[[int], None]
    ) -> None:
        self._loop = loop
        self._pending = pending
        self._expire = expire
        self._queues: dict[float, deque[tuple[float, int]]] = {}

    def add(self, number: int, timeout_s: float) -> None:
        queue = self._queues.get(timeout_s)
        if queue is None:
            queue = self._queues[timeout_s] = deque()
        if not queue:
            self._loop.post(timeout_s, self._sweep, queue)
        queue.append((self._loop.time() + timeout_s, number))

    def _sweep(self, queue: deque[tuple[float, int]]) -> None:
        now, pending = self._loop.time(), self._pending
        while queue and (queue[0][0] <= now or queue[0][1] not in pending):
            number = queue.popleft()[1]
            if number in pending:
                self._expire(number)
        if queue:
            self._loop.post(queue[0][0] - now, self._sweep, queue)
