"""A node's outgoing connection to one peer: bounded, reconnecting, never blocking.

Messages wait while the connection is being made and are lost when the attempt fails. The backoff
starts again only after a connection has lasted: something between the nodes may accept a connection
and reset it at once, and that must not become a busy loop.
"""

from __future__ import annotations

import asyncio

from clusters.wire import QUEUE_BYTES_MAX, Frames
from harness.core.contracts import Message

__all__ = ["Outgoing"]

_CONNECT_TIMEOUT_S = 2.0
_BACKOFF_MIN_S = 0.02
_BACKOFF_MAX_S = 0.5
_LASTING_S = 1.0


class Outgoing:
    """The link to ``peer`` (address and port), from the address ``source``."""

    def __init__(self, peer: tuple[str, int], source: str) -> None:
        self._peer = peer
        self._source = source
        self._frames: Frames | None = None
        self._attempt: asyncio.Task[None] | None = None
        self._waiting: list[bytes] = []
        self._waiting_bytes = 0
        self._backoff_s = _BACKOFF_MIN_S
        self._made_at = 0.0
        self._not_before = 0.0

    def send(self, frame: bytes) -> None:
        """Send ``frame``, or lose it."""
        if self._frames is not None and self._frames.open:
            self._frames.send(frame)
            return
        if self._waiting_bytes + len(frame) <= QUEUE_BYTES_MAX:
            self._waiting.append(frame)
            self._waiting_bytes += len(frame)
        if self._attempt is None:
            self._attempt = asyncio.create_task(self._connect())

    async def _connect(self) -> None:
        loop = asyncio.get_running_loop()
        frames = Frames(_ignore, self._lost)
        try:
            await asyncio.sleep(max(0.0, self._not_before - loop.time()))
            async with asyncio.timeout(_CONNECT_TIMEOUT_S):
                # The own address names the source to whatever stands between the nodes.
                await loop.create_connection(
                    lambda: frames, *self._peer, local_addr=(self._source, 0)
                )
            self._frames, self._made_at = frames, loop.time()
            for frame in self._waiting:
                frames.send(frame)
        except OSError:  # TimeoutError is one
            self._back_off()
        finally:
            self._attempt = None
            self._waiting, self._waiting_bytes = [], 0

    def _lost(self, frames: Frames) -> None:
        if frames is not self._frames:
            return
        self._frames = None
        if asyncio.get_running_loop().time() - self._made_at >= _LASTING_S:
            self._backoff_s = _BACKOFF_MIN_S
        self._back_off()

    def _back_off(self) -> None:
        self._not_before = asyncio.get_running_loop().time() + self._backoff_s
        self._backoff_s = min(2 * self._backoff_s, _BACKOFF_MAX_S)


def _ignore(message: Message, frames: Frames) -> None:
    """Peers answer on connections of their own."""
