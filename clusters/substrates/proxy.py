"""The network between nodes that are plain processes: one process, one TCP proxy a destination.

``python -m clusters.substrates.proxy`` listens on every node's public address and forwards to where
the node listens itself; who connects is told by the connection's address, or by the socket's owner
(:mod:`clusters.substrates.socket_owner`). A connection from ``a`` to ``b`` carries the link
``a -> b`` one way and ``b -> a`` the other; :mod:`clusters.substrates.pipe` says what the rules of
a link do. What comes from no node is never touched.

It is told by JSON lines on standard input: first a :class:`Setup`, then any number of
:class:`Order`, each the whole desired state; each line is answered by an :class:`Answer` once it is
in force. It exits at the end of its input, so it never outlives its harness.

Limits, by construction: TCP only; the kernel accepts a connection on behalf of a node that is cut
off. The proxy goes on to the node only when the link from the source is open, and a source that
gives up before has, as with a lost SYN, never been heard of.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import resource
import sys
from functools import partial

import msgspec

from clusters.substrates.pipe import Ending, Link, Pipe, Rules, reset
from clusters.substrates.socket_owner import Gone, SocketOwners

__all__ = ["MARK", "Answer", "Order", "Route", "Setup"]

MARK = "SPLITBRAIN_NODE"
"""The environment variable ``<run>/<node>`` by which a node's processes are recognised."""

_UPSTREAM_TIMEOUT_S = 10.0
_LINE_BYTES_MAX = 2**20


class Route(msgspec.Struct, frozen=True, kw_only=True):
    """Connections to ``address:port`` are for ``node`` and go on to ``listen:port``."""

    node: str
    address: str
    listen: str
    port: int


class Setup(msgspec.Struct, frozen=True, kw_only=True):
    """The network. ``sources`` is the node of each address that nodes connect from."""

    run: str
    sources: dict[str, str]
    routes: list[Route]


class Order(msgspec.Struct, frozen=True, kw_only=True):
    """The desired state of all links, as a whole; ``reset``, links whose connections are reset
    once, now."""

    number: int
    cut: list[Link] = []
    drop: list[Link] = []
    delay_ms: list[tuple[str, str, float]] = []
    reset: list[Link] = []


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """``number`` is in force (0: the setup), or why not."""

    number: int
    error: str | None = None


class _Side(asyncio.Protocol):
    """One socket of a connection: what it reads goes into ``inlet``, what it takes comes out of
    ``outlet``."""

    def __init__(self, connection: _Connection) -> None:
        self.connection = connection
        self.transport: asyncio.Transport | None = None
        self.inlet: Pipe
        self.outlet: Pipe

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self.connection.made(self)

    def data_received(self, data: bytes) -> None:
        self.inlet.feed(data)

    def eof_received(self) -> bool:
        self.connection.ended(self)
        return True

    def pause_writing(self) -> None:
        self.outlet.writable(yes=False)

    def resume_writing(self) -> None:
        self.outlet.writable(yes=True)

    def connection_lost(self, exc: Exception | None) -> None:
        self.connection.lost(self, Ending.FIN if exc is None else Ending.RESET)


class _Connection:
    """A connection from a source through the proxy to its destination."""

    def __init__(self, network: Network, route: Route) -> None:
        self.network = network
        self.route = route
        self.near = _Side(self)
        self.far = _Side(self)
        self.forward: Pipe
        self.backward: Pipe
        self.lost_sides = 0
        self.connecting: asyncio.Task[None] | None = None

    def made(self, side: _Side) -> None:
        assert side.transport is not None
        if side is self.far:
            if self not in self.network.connections:
                reset(side.transport)  # given up while it was being made
                return
            self.backward.source = side.transport
            self.forward.join(side.transport)
            return
        try:
            source = self.network.source(side.transport)
        except Gone:
            # It may have been a node's: what it sent must not pass a cut.
            self._wire(None)
            reset(side.transport)
            return
        self._wire(None if source is None else (source, self.route.node))
        self.forward.source = side.transport
        self.backward.join(side.transport)
        self.network.connections.add(self)
        self.advance()

    def _wire(self, link: Link | None) -> None:
        back = None if link is None else (link[1], link[0])
        self.forward = Pipe(None, link, self.network.rules, self.settle)
        self.backward = Pipe(None, back, self.network.rules, self.settle)
        self.near.inlet = self.far.outlet = self.forward
        self.far.inlet = self.near.outlet = self.backward

    def advance(self) -> None:
        """The rules may have changed."""
        if any(pipe.lossy and not pipe.dropping for pipe in (self.forward, self.backward)):
            self.reset()
            return
        blocked = self.forward.cut or self.forward.dropping
        if self.connecting is None and not blocked:
            self.connecting = asyncio.create_task(self._connect())
        self.forward.advance()
        self.backward.advance()

    async def _connect(self) -> None:
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(_UPSTREAM_TIMEOUT_S):
                await loop.create_connection(lambda: self.far, self.route.listen, self.route.port)
        except OSError:  # TimeoutError is one
            self.lost(self.far, Ending.RESET)

    def settle(self) -> None:
        """Close each side through which nothing can come or go any more."""
        for side in (self.near, self.far):
            if side.transport is not None and side.inlet.ended and side.outlet.finished:
                side.transport.close()

    def ended(self, side: _Side) -> None:
        """A FIN arrived from ``side``."""
        if self.connecting is None:
            self.reset()  # never came through: as if it had never been
            return
        side.inlet.end(Ending.FIN)
        self.settle()

    def lost(self, side: _Side, ending: Ending) -> None:
        side.transport = None
        side.inlet.end(ending)
        side.outlet.writable(yes=True)  # what still comes for it is discarded, not held
        self.lost_sides += 1
        if self.lost_sides == 2 or self.connecting is None:
            self.reset()

    def reset(self) -> None:
        """End what is left of it, at once."""
        for side in (self.near, self.far):
            if side.transport is not None:
                reset(side.transport)
        self.forward.close()
        self.backward.close()
        if self.connecting is not None:
            self.connecting.cancel()
        self.network.connections.discard(self)


class Network:
    """All links and all connections."""

    def __init__(self, setup: Setup) -> None:
        self.rules = Rules()
        self.connections: set[_Connection] = set()
        self._setup = setup
        self._owners = SocketOwners(MARK, f"{setup.run}/")

    async def listen(self) -> None:
        """Listen for every route. ``OSError`` if an address or port is not free."""
        loop = asyncio.get_running_loop()
        for route in self._setup.routes:
            accept = partial(self._accept, route)
            await loop.create_server(accept, route.address, route.port, backlog=1024)

    def _accept(self, route: Route) -> asyncio.Protocol:
        return _Connection(self, route).near

    def source(self, transport: asyncio.Transport) -> str | None:
        """The node that opened the connection; ``None`` if no node did; ``Gone`` if none can say
        any more."""
        remote = transport.get_extra_info("peername")
        local = transport.get_extra_info("sockname")
        if remote is None:
            raise Gone
        node = self._setup.sources.get(remote[0])
        return node if node is not None else self._owners.node(remote, local)

    def obey(self, order: Order) -> None:
        """Put the state in force."""
        self.rules.cut = frozenset(order.cut)
        self.rules.drop = frozenset(order.drop)
        self.rules.delay_s = {(a, b): ms / 1000 for a, b, ms in order.delay_ms if ms > 0}
        doomed = frozenset(order.reset)
        for connection in tuple(self.connections):
            if connection.forward.link in doomed or connection.backward.link in doomed:
                connection.reset()
            else:
                connection.advance()


async def _main() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.suppress(ValueError, OSError):  # as many connections as one may have
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, min(hard, 65_536)), hard))
    lines = asyncio.StreamReader(limit=_LINE_BYTES_MAX)
    await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(lines), sys.stdin
    )
    network = Network(msgspec.json.decode(await lines.readline(), type=Setup))
    try:
        await network.listen()
    except OSError as error:
        _answer(Answer(number=0, error=str(error)))
        return
    _answer(Answer(number=0))
    while line := await lines.readline():
        order = msgspec.json.decode(line, type=Order)
        network.obey(order)
        _answer(Answer(number=order.number))


def _answer(answer: Answer) -> None:
    os.write(1, msgspec.json.encode(answer) + b"\n")


if __name__ == "__main__":
    asyncio.run(_main())
