"""The proxy between nodes: what each rule of a link does to real connections."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import os
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Mapping
from pathlib import Path
from typing import Any

import pytest

from clusters.substrates.pipe import HELD_BYTES_MAX, Ending, Pipe, Rules
from clusters.substrates.proxied_links import ProxyProcess
from clusters.substrates.proxy import MARK, Route, Setup
from harness.core.errors import DeploymentError, FaultError

LIMIT_S = 20.0
QUIET_S = 0.3
PORT = 7000
RUN = "proxytest"


class MemoryLedger:
    """A ledger that only remembers."""

    run = RUN

    def __init__(self) -> None:
        self.open: dict[int, Mapping[str, Any]] = {}
        self._numbers = itertools.count(1)

    def record(self, undo: Mapping[str, Any]) -> int:
        number = next(self._numbers)
        self.open[number] = undo
        return number

    def strike(self, number: int) -> None:
        del self.open[number]


class Peer:
    """One accepted connection, as the destination sees it."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer


class World:
    """Nodes ``a`` and ``b``, of which ``b`` (and ``a``) accept connections, and the proxy."""

    def __init__(self, network: str, proxy: ProxyProcess, accepted: asyncio.Queue[Peer]) -> None:
        self.network, self.proxy, self.accepted = network, proxy, accepted
        self.writers: list[asyncio.StreamWriter] = []

    async def connect(self, source: str | None = "a") -> Peer:
        """A connection to ``b`` from the node (None: from no node's address)."""
        local = None if source is None else (f"{self.network}.{'ab'.index(source) + 1}", 0)
        reader, writer = await asyncio.open_connection(
            f"{self.network}.129", PORT, local_addr=local
        )
        self.writers.append(writer)
        return Peer(reader, writer)

    async def accept(self) -> Peer:
        peer = await asyncio.wait_for(self.accepted.get(), LIMIT_S)
        self.writers.append(peer.writer)
        return peer

    async def pair(self, source: str | None = "a") -> tuple[Peer, Peer]:
        """Both ends of a connection that has carried a byte each way."""
        near = await self.connect(source)
        far = await self.accept()
        for sender, receiver in ((near, far), (far, near)):
            await passes(sender, receiver, b"!")
        return near, far


def free_network() -> str:
    for number in range(os.getpid(), os.getpid() + 5_000):
        network = f"127.{2 + number // 250 % 200}.{1 + number % 250}"
        with contextlib.suppress(OSError), socket.socket() as plain:
            plain.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            plain.bind((f"{network}.1", PORT))
            return network
    raise AssertionError("no free loopback network")


def setup(network: str) -> Setup:
    numbers = {"a": 1, "b": 2}
    return Setup(
        run=RUN,
        sources={f"{network}.{number}": name for name, number in numbers.items()},
        routes=[
            Route(
                node=name,
                address=f"{network}.{127 + number}",
                listen=f"{network}.{number}",
                port=PORT,
            )
            for name, number in numbers.items()
        ],
    )


@contextlib.asynccontextmanager
async def world(directory: Path) -> AsyncIterator[World]:
    network = free_network()
    ledger = MemoryLedger()
    accepted: asyncio.Queue[Peer] = asyncio.Queue()
    proxy = await ProxyProcess.start(setup(network), ledger, directory / "proxy.log")
    server = await asyncio.start_server(
        lambda reader, writer: accepted.put_nowait(Peer(reader, writer)), f"{network}.2", PORT
    )
    assert len(ledger.open) == 1
    here = World(network, proxy, accepted)
    try:
        yield here
    finally:
        for writer in here.writers:
            writer.transport.abort()
        server.close()
        await proxy.close()
        assert not ledger.open
        assert log_of(directory) == ""


def log_of(directory: Path) -> str:
    return (directory / "proxy.log").read_text()


def in_world(directory: Path, main: Callable[[World], Coroutine[Any, Any, None]]) -> None:
    async def whole() -> None:
        async with world(directory) as here:
            await main(here)

    asyncio.run(asyncio.wait_for(whole(), 60))


async def passes(sender: Peer, receiver: Peer, data: bytes) -> None:
    sender.writer.write(data)
    await arrives(receiver, data)


async def arrives(receiver: Peer, data: bytes) -> None:
    got = await asyncio.wait_for(receiver.reader.readexactly(len(data)), LIMIT_S)
    assert got == data


async def silence(waiting: Awaitable[Any]) -> None:
    """Nothing happens for a while."""
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(waiting, QUIET_S)


# --- cut ---


def test_a_cut_is_one_way_and_loses_nothing(tmp_path: Path) -> None:
    """With ``a -> b`` cut an open connection stalls in that direction only; after healing all that
    was sent arrives, in order."""

    async def main(here: World) -> None:
        near, far = await here.pair()
        await here.proxy.obey(cut=[("a", "b")])
        near.writer.write(b"one")
        await silence(far.reader.read(1))
        await passes(far, near, b"backwards")
        near.writer.write(b"two")
        await silence(far.reader.read(1))
        await here.proxy.obey()
        await arrives(far, b"onetwo")
        await here.proxy.obey(cut=[("b", "a")])
        await passes(near, far, b"forwards")
        far.writer.write(b"three")
        await silence(near.reader.read(1))
        await here.proxy.obey()
        await arrives(near, b"three")

    in_world(tmp_path, main)


def test_a_connection_made_during_a_cut_is_heard_of_after_it(tmp_path: Path) -> None:
    """The destination does not learn of a connection while it is cut off from its source; once
    healed, it gets the connection and its bytes."""

    async def main(here: World) -> None:
        await here.proxy.obey(cut=[("a", "b")])
        near = await here.connect()
        near.writer.write(b"hello")
        await silence(here.accept())
        await here.proxy.obey()
        far = await here.accept()
        await arrives(far, b"hello")
        await passes(far, near, b"hello yourself")

    in_world(tmp_path, main)


def test_a_source_that_gives_up_during_a_cut_is_never_heard_of(tmp_path: Path) -> None:
    """As with lost SYNs: neither the connection nor its bytes turn up after healing."""

    async def main(here: World) -> None:
        await here.proxy.obey(cut=[("a", "b")])
        sockets = open_files(here.proxy)
        for end in ("close", "abort"):
            near = await here.connect()
            near.writer.write(b"stale")
            await forgets(here.proxy, sockets + 1)
            if end == "abort":
                linger_not(near)
            getattr(near.writer.transport, end)()
            await forgets(here.proxy, sockets)
        await here.proxy.obey()
        await silence(here.accept())

    in_world(tmp_path, main)


@pytest.mark.parametrize("end", ["close", "abort"])
def test_the_end_of_a_connection_does_not_pass_a_cut(tmp_path: Path, end: str) -> None:
    """A node that dies is not seen dying across a cut, but once it is healed."""

    async def main(here: World) -> None:
        near, far = await here.pair()
        await here.proxy.obey(cut=[("a", "b")])
        if end == "abort":
            linger_not(near)
        getattr(near.writer.transport, end)()
        await silence(far.reader.read(1))
        await here.proxy.obey()
        await ends(far)

    in_world(tmp_path, main)


def test_both_directions_can_be_cut_and_others_go_on(tmp_path: Path) -> None:
    """A cut concerns its link alone: neither connections of other links nor those of processes that
    are no nodes."""

    async def main(here: World) -> None:
        near, far = await here.pair()
        stranger, served = await here.pair(None)
        own, itself = await here.pair("b")
        await here.proxy.obey(cut=[("a", "b"), ("b", "a")])
        near.writer.write(b"x")
        far.writer.write(b"y")
        await silence(far.reader.read(1))
        await silence(near.reader.read(1))
        for one, other in ((stranger, served), (own, itself)):
            await passes(one, other, b"through")
            await passes(other, one, b"and back")
        await here.proxy.obey()
        await arrives(far, b"x")
        await arrives(near, b"y")

    in_world(tmp_path, main)


def test_a_cut_pushes_back_and_holds_everything(tmp_path: Path) -> None:
    """Far more than the proxy holds: the sender is stopped rather than the proxy's memory filled,
    and after healing every byte arrives."""

    async def main(here: World) -> None:
        near, far = await here.pair()
        await here.proxy.obey(cut=[("a", "b")])
        data = os.urandom(2**20) * 64
        near.writer.write(data)
        await silence(near.writer.drain())
        assert resident_kb(here.proxy) < 100_000
        await here.proxy.obey()
        await arrives(far, data)

    in_world(tmp_path, main)


# --- the other rules ---


def test_a_delay_holds_for_its_link_and_keeps_the_order(tmp_path: Path) -> None:
    """Bytes take at least the delay, in their direction only, and arrive in order; a delay that is
    taken away does not keep what is under way."""

    async def main(here: World) -> None:
        loop = asyncio.get_running_loop()
        near, far = await here.pair()
        await here.proxy.obey(delay_ms=[("a", "b", 200.0)])
        start = loop.time()
        for number in range(50):
            near.writer.write(b"%02d" % number)
            await asyncio.sleep(0.001)
        await arrives(far, b"".join(b"%02d" % number for number in range(50)))
        assert loop.time() - start >= 0.2
        await here.proxy.obey(delay_ms=[("a", "b", 3_600_000.0)])
        near.writer.write(b"late")
        await silence(far.reader.read(1))
        await passes(far, near, b"at once")
        await here.proxy.obey()
        await arrives(far, b"late")

    in_world(tmp_path, main)


def test_dropped_bytes_cost_the_connection_when_it_is_over(tmp_path: Path) -> None:
    """Dropped bytes never arrive; a stream that lost some is reset in the end, another is not."""

    async def main(here: World) -> None:
        near, far = await here.pair()
        quiet_near, quiet_far = await here.pair()
        await here.proxy.obey(drop=[("a", "b")])
        near.writer.write(b"lost")
        await silence(far.reader.read(1))
        await passes(far, near, b"not lost")
        await here.proxy.obey()
        await ends(far)
        await ends(near)
        await passes(quiet_near, quiet_far, b"untouched")

    in_world(tmp_path, main)


def test_a_reset_ends_connections_of_the_link_once(tmp_path: Path) -> None:
    """Both ends see a reset; strangers don't, and new connections work."""

    async def main(here: World) -> None:
        near, far = await here.pair()
        stranger, served = await here.pair(None)
        await here.proxy.obey(reset=[("b", "a")])
        for end in (near, far):
            with pytest.raises(ConnectionResetError):
                await asyncio.wait_for(end.reader.read(1), LIMIT_S)
        await passes(stranger, served, b"through")
        await here.pair()

    in_world(tmp_path, main)


# --- being a faithful relay ---


def test_half_closed_connections_go_on(tmp_path: Path) -> None:
    """A FIN travels by itself: the other direction stays open until it ends too."""

    async def main(here: World) -> None:
        near, far = await here.pair()
        near.writer.write(b"question")
        near.writer.write_eof()
        assert await asyncio.wait_for(far.reader.read(), LIMIT_S) == b"question"
        far.writer.write(b"answer")
        far.writer.close()
        assert await asyncio.wait_for(near.reader.read(), LIMIT_S) == b"answer"

    in_world(tmp_path, main)


def test_a_destination_that_is_down_resets(tmp_path: Path) -> None:
    """Nobody listens behind the proxy: the source's connection ends."""

    async def main(here: World) -> None:
        try:
            reader, writer = await asyncio.open_connection(
                f"{here.network}.128", PORT, local_addr=(f"{here.network}.2", 0)
            )
        except ConnectionResetError:  # it may end before we look whether it is there
            return
        await ends(Peer(reader, writer))
        writer.transport.abort()

    in_world(tmp_path, main)


def test_the_proxy_keeps_no_connections(tmp_path: Path) -> None:
    """After hundreds of connections, however they ended, the proxy holds none of their sockets."""

    async def main(here: World) -> None:
        sockets = open_files(here.proxy)
        for number in range(100):
            near, far = await here.pair()
            ender, other = ((near, far), (far, near))[number % 2]
            if number % 3 == 0:
                linger_not(ender)
            ender.writer.transport.abort()
            await ends(other)
            other.writer.close()
        await forgets(here.proxy, sockets)

    in_world(tmp_path, main)


def test_ten_thousand_small_messages_pass(tmp_path: Path) -> None:
    """Many small messages in many connections arrive whole (their rate is a matter of
    benchmarks)."""

    async def main(here: World) -> None:
        pairs = [await here.pair() for _ in range(10)]

        async def chatter(near: Peer, far: Peer) -> None:
            for number in range(1_000):
                near.writer.write(b"%06d" % number)
                if number % 10 == 0:
                    await near.writer.drain()
                    await asyncio.sleep(0)
            await arrives(far, b"".join(b"%06d" % number for number in range(1_000)))

        await asyncio.gather(*(chatter(*pair) for pair in pairs))

    in_world(tmp_path, main)


SENDER = """
import socket, sys, subprocess
if sys.argv[3] == "child":
    raise SystemExit(subprocess.run([*sys.orig_argv[:-1], "self"]).returncode)
plain = socket.socket({family})
plain.connect(({prefix!r} + sys.argv[1], int(sys.argv[2])))
plain.sendall(b"marked")
sys.stdin.read()
"""


@pytest.mark.parametrize("who", ["self", "child"])
@pytest.mark.parametrize(("family", "prefix"), [("2", ""), ("10", "::ffff:")])
def test_a_process_that_does_not_bind_is_known_by_its_socket(
    tmp_path: Path, who: str, family: str, prefix: str
) -> None:
    """A program that connects from any address is attributed to the node whose mark it or its
    parent was started with, also through an IPv6 socket; one without the mark is not."""

    async def main(here: World) -> None:
        code = SENDER.format(family=family, prefix=prefix)
        argv = [sys.executable, "-c", code, f"{here.network}.129", str(PORT), who]
        await here.proxy.obey(cut=[("a", "b")])

        def start(**env: str) -> subprocess.Popen[bytes]:
            return subprocess.Popen(argv, stdin=subprocess.PIPE, env={**os.environ, **env})

        other = start(**{MARK: "otherrun/a"})
        try:
            await arrives(await here.accept(), b"marked")
        finally:
            other.communicate()
        process = start(**{MARK: f"{RUN}/a"})
        try:
            await silence(here.accept())
            await here.proxy.obey()
            await arrives(await here.accept(), b"marked")
        finally:
            process.communicate()

    in_world(tmp_path, main)


# --- the process ---


def test_the_proxy_ends_with_its_harness(tmp_path: Path) -> None:
    """At the end of its input the proxy exits, by itself."""

    async def main() -> None:
        ledger = MemoryLedger()
        proxy = await ProxyProcess.start(setup(free_network()), ledger, tmp_path / "proxy.log")
        assert proxy._process.stdin is not None
        proxy._process.stdin.close()
        assert await asyncio.wait_for(proxy._process.wait(), LIMIT_S) == 0
        with pytest.raises(FaultError):
            await proxy.obey()
        await proxy.close()
        await proxy.close()
        assert not ledger.open

    asyncio.run(main())


def test_an_address_that_is_taken_is_said(tmp_path: Path) -> None:
    """A proxy that cannot listen refuses to start, names the address, and leaves nothing."""

    async def main() -> None:
        network, ledger = free_network(), MemoryLedger()
        with socket.socket() as plain:
            plain.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            plain.bind((f"{network}.129", PORT))
            plain.listen()
            with pytest.raises(DeploymentError, match=rf"{network}\.129"):
                await ProxyProcess.start(setup(network), ledger, tmp_path / "proxy.log")
        assert not ledger.open

    asyncio.run(main())


# --- one pipe, without sockets ---


class Wire:
    """Stands for a transport: says what was done to it."""

    def __init__(self) -> None:
        self.written: list[bytes] = []
        self.reading = True
        self.closed = False

    def write(self, data: bytes) -> None:
        self.written.append(data)

    def is_closing(self) -> bool:
        return self.closed

    def write_eof(self) -> None:
        self.written.append(b"<eof>")

    def pause_reading(self) -> None:
        self.reading = False

    def resume_reading(self) -> None:
        self.reading = True


def test_a_pipe_reads_no_more_than_it_may_hold() -> None:
    """Reading stops above the bound while the link is cut or the sink is slow, and only then."""

    async def main() -> None:
        rules, source, sink = Rules(cut=frozenset({("a", "b")})), Wire(), Wire()
        pipe = Pipe(source, ("a", "b"), rules, lambda: None)  # type: ignore[arg-type]
        pipe.join(sink)  # type: ignore[arg-type]
        pipe.feed(bytes(HELD_BYTES_MAX))
        assert source.reading
        pipe.feed(b"x")
        assert not source.reading
        rules.cut = frozenset()
        pipe.writable(yes=False)
        assert sink.written == []
        assert not source.reading
        pipe.writable(yes=True)
        assert sum(map(len, sink.written)) == HELD_BYTES_MAX + 1
        assert source.reading
        pipe.end(Ending.FIN)
        assert sink.written[-1] == b"<eof>"
        assert pipe.finished

    asyncio.run(main())


def resident_kb(proxy: ProxyProcess) -> int:
    lines = Path(f"/proc/{proxy._process.pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS"))


def open_files(proxy: ProxyProcess) -> int:
    return len(os.listdir(f"/proc/{proxy._process.pid}/fd"))


async def forgets(proxy: ProxyProcess, sockets: int) -> None:
    """Return once the proxy has exactly so many files open."""
    async with asyncio.timeout(LIMIT_S):
        while open_files(proxy) != sockets:  # noqa: ASYNC110 - another process does it
            await asyncio.sleep(0.02)


def linger_not(peer: Peer) -> None:
    """Have the connection end with an RST."""
    plain = peer.writer.get_extra_info("socket")
    plain.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")


async def ends(peer: Peer) -> None:
    """The connection ends, by a FIN or an RST."""
    with contextlib.suppress(ConnectionResetError):
        assert await asyncio.wait_for(peer.reader.read(), LIMIT_S) == b""
