"""One direction of one proxied connection, and what the rules of its link do to it.

A *link* is an ordered pair of nodes. The rules are a desired state of all links:

- *cut* holds bytes back, in order, until the link is open again; as TCP does across a partition,
  nothing that was in flight is lost to one that heals. What has passed is not called back.
- *delay* lets every byte pass that long after its arrival. It is counted from the arrival, so a
  delay that is changed or taken away holds for what already waits too, and order is kept.
- *drop* discards bytes. A stream that lost bytes cannot go on, so its connection is reset as soon
  as the link no longer drops.

The ends of a connection (FIN and RST) travel the link like bytes do. No socket is touched here but
through asyncio's transports; time is the running loop's. At most ``HELD_BYTES_MAX`` and one read
are held; beyond that the source is no longer read, and TCP pushes back.
"""

from __future__ import annotations

import asyncio
import socket
import struct
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum

__all__ = ["HELD_BYTES_MAX", "Ending", "Link", "Pipe", "Rules", "reset"]

Link = tuple[str, str]
HELD_BYTES_MAX = 2**20
_LINGER_NOT = struct.pack("ii", 1, 0)


class Ending(Enum):
    """How a direction ends: ``FIN`` after all bytes, ``RESET`` at once."""

    FIN = "fin"
    RESET = "reset"


@dataclass(slots=True, kw_only=True)
class Rules:
    """The desired state of all links, shared by all pipes."""

    cut: frozenset[Link] = frozenset()
    drop: frozenset[Link] = frozenset()
    delay_s: Mapping[Link, float] = field(default_factory=dict)


def reset(transport: asyncio.Transport) -> None:
    """End the connection with an RST rather than a FIN; what it has not sent yet is lost."""
    if not transport.is_closing():
        plain = transport.get_extra_info("socket")
        plain.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_NOT)
        transport.abort()


class Pipe:
    """Bytes from ``source`` to a sink that may come later (:meth:`join`).

    ``link`` is ``None`` for what no rule applies to: traffic of others than nodes. ``finish`` is
    called once the end has been delivered.
    """

    def __init__(
        self,
        source: asyncio.Transport | None,
        link: Link | None,
        rules: Rules,
        finish: Callable[[], None],
    ) -> None:
        self.source = source
        self.link = link
        self.lossy = False
        """Whether bytes were dropped."""
        self.finished = False
        """Whether the end has been delivered."""
        self._rules = rules
        self._finish = finish
        self._sink: asyncio.Transport | None = None
        self._writable = True
        self._held: deque[tuple[float, bytes | Ending]] = deque()
        self._held_bytes = 0
        self.ended = False
        """Whether the source has ended."""
        self._timer: asyncio.TimerHandle | None = None
        self._loop = asyncio.get_running_loop()

    @property
    def cut(self) -> bool:
        return self.link is not None and self.link in self._rules.cut

    @property
    def dropping(self) -> bool:
        return self.link is not None and self.link in self._rules.drop

    def join(self, sink: asyncio.Transport) -> None:
        """From now on bytes go to ``sink``."""
        self._sink = sink
        self.advance()

    def feed(self, data: bytes) -> None:
        """``data`` arrived from the source."""
        if self.ended:
            return
        if self.dropping:
            self.lossy = True
            return
        self._held.append((self._loop.time(), data))
        self._held_bytes += len(data)
        self.advance()

    def end(self, ending: Ending) -> None:
        """The source ended. An RST overtakes what is still held, as the kernel of a node that
        resets sends nothing again."""
        if self.ended and ending is Ending.FIN:
            return
        self.ended = True
        if ending is Ending.RESET:
            self._held.clear()
            self._held_bytes = 0
        if self.dropping:
            self.lossy = True
            return
        self._held.append((self._loop.time(), ending))
        self.advance()

    def writable(self, *, yes: bool) -> None:
        """The sink takes more bytes, or does not."""
        self._writable = yes
        self.advance()

    def advance(self) -> None:
        """Deliver all that the rules, the time and the sink allow now."""
        while self._held and self._sink is not None and not self.cut:
            arrived, item = self._held[0]
            delay_s = self._rules.delay_s.get(self.link, 0.0) if self.link is not None else 0.0
            if delay_s and (due := arrived + delay_s) > self._loop.time():
                self._wake_at(due)
                break
            if not self._writable and item is not Ending.RESET:
                break
            self._held.popleft()
            self._deliver(self._sink, item)
        self._press_back()

    def _wake_at(self, due: float) -> None:
        if self._timer is not None:
            if self._timer.when() == due:
                return
            self._timer.cancel()
        self._timer = self._loop.call_at(due, self._wake)

    def _wake(self) -> None:
        self._timer = None
        self.advance()

    def close(self) -> None:
        """Deliver nothing any more."""
        self.ended = self.finished = True
        self._held.clear()
        self._held_bytes = 0
        if self._timer is not None:
            self._timer.cancel()

    def _deliver(self, sink: asyncio.Transport, item: bytes | Ending) -> None:
        if isinstance(item, bytes):
            self._held_bytes -= len(item)
            if not sink.is_closing():
                sink.write(item)
            return
        self.finished = True
        if item is Ending.RESET:
            reset(sink)
        elif not sink.is_closing():
            sink.write_eof()
        self._finish()

    def _press_back(self) -> None:
        # Never after the end: resuming a transport that saw the end would watch it anew.
        if self.ended or self.source is None:
            return
        if self._held_bytes > HELD_BYTES_MAX or not self._writable:
            self.source.pause_reading()
        else:
            self.source.resume_reading()
