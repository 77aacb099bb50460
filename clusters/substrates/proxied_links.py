"""Links cut by the proxy process, and the proof of it.

:class:`ProxyProcess` is the harness's end of :mod:`clusters.substrates.proxy`. The proof of a cut
is a byte that does not arrive: behind every node's address, on a port of its own, the proxy also
serves a :class:`ProbeServer` of the harness; a probe of ``a -> b`` connects from ``a``'s address
and passes if and only if ``b``'s server receives its token. One way only, so a one-way cut shows as
one; and every token is new, so that bytes held back by a cut are never mistaken for passage later.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import os
import sys
from collections.abc import Sequence
from pathlib import Path

import msgspec

from clusters.substrates import procfs
from clusters.substrates.pipe import Link
from clusters.substrates.proxy import Answer, Order, Setup
from harness.core.contracts import Ledger, Member
from harness.core.errors import DeploymentError, FaultError
from harness.core.fault import Evidence, State

__all__ = ["ProbeServer", "ProxiedLinks", "ProxyProcess"]

_ANSWER_TIMEOUT_S = 10.0
_END_TIMEOUT_S = 5.0
_PASS_LIMIT_S = 1.0
_CUT_WAIT_S = 0.3
_ROOT = Path(__file__).resolve().parents[2]


class ProxyProcess:
    """The proxy of one deployment. Started with :meth:`start`, journalled in the ledger."""

    def __init__(self, process: asyncio.subprocess.Process, ledger: Ledger) -> None:
        self._process = process
        self._ledger = ledger
        self._entry: int | None = None
        self._numbers = itertools.count(1)
        self._turn = asyncio.Lock()

    @staticmethod
    async def start(setup: Setup, ledger: Ledger, log: Path) -> ProxyProcess:
        """A proxy that listens. ``DeploymentError`` if it cannot."""
        log.parent.mkdir(parents=True, exist_ok=True)
        path = ":".join(filter(None, (str(_ROOT), os.environ.get("PYTHONPATH"))))
        with log.open("ab") as output:
            process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                "clusters.substrates.proxy",
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=output,
                env={**os.environ, "PYTHONPATH": path},
                # A session of its own: Ctrl-C must reach the harness alone, which heals first.
                start_new_session=True,
            )
        proxy = ProxyProcess(process, ledger)
        try:
            # It does nothing before it is set up, and ends with the pipe: so it may be journalled
            # once its number is known.
            proxy._journal()
            await proxy._ask(setup)
        except FaultError as error:
            await proxy.close()
            raise DeploymentError(f"the proxy did not start: {error} (see {log})") from error
        except BaseException:
            await proxy.close()
            raise
        return proxy

    async def obey(
        self,
        *,
        cut: Sequence[Link] = (),
        drop: Sequence[Link] = (),
        delay_ms: Sequence[tuple[str, str, float]] = (),
        reset: Sequence[Link] = (),
    ) -> None:
        """Replace the state of all links; returns when it is in force. ``FaultError`` if not."""
        order = Order(
            number=next(self._numbers),
            cut=list(cut),
            drop=list(drop),
            delay_ms=list(delay_ms),
            reset=list(reset),
        )
        await self._ask(order)

    async def close(self) -> None:
        """End the proxy. Idempotent."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        try:
            await asyncio.wait_for(self._process.wait(), _END_TIMEOUT_S)
        except TimeoutError:
            self._process.kill()
            await self._process.wait()
        if self._entry is not None:
            self._ledger.strike(self._entry)
            self._entry = None

    def _journal(self) -> None:
        identity = procfs.identify(self._process.pid)
        if identity is None:
            raise FaultError("it ended at once")
        self._entry = self._ledger.record(
            {"kind": "process", "pid": identity.pid, "started": identity.started}
        )

    async def _ask(self, question: Setup | Order) -> None:
        number = question.number if isinstance(question, Order) else 0
        stdin, stdout = self._process.stdin, self._process.stdout
        assert stdin is not None
        assert stdout is not None
        answer = None
        try:
            async with self._turn, asyncio.timeout(_ANSWER_TIMEOUT_S):
                stdin.write(msgspec.json.encode(question) + b"\n")
                await stdin.drain()
                # An answer that an earlier, cancelled question left behind is passed over.
                while (answer is None or answer.number < number) and (
                    line := await stdout.readline()
                ):
                    answer = msgspec.json.decode(line, type=Answer)
        except (OSError, msgspec.DecodeError) as error:  # TimeoutError is an OSError
            raise FaultError(f"the proxy did not answer: {error!r}") from error
        if answer is None or answer.number != number:
            raise FaultError("the proxy has ended")
        if answer.error is not None:
            raise FaultError(answer.error)


class ProbeServer:
    """Receives the probes' tokens on behalf of one node."""

    def __init__(self) -> None:
        self._awaited: dict[bytes, asyncio.Event] = {}
        self._server: asyncio.Server | None = None

    @staticmethod
    async def start(address: str, port: int) -> ProbeServer:
        """A server that listens. ``OSError`` if the address and port are not free."""
        probe = ProbeServer()
        probe._server = await asyncio.start_server(probe._serve, address, port)
        return probe

    def expect(self, token: bytes) -> asyncio.Event:
        """Set when ``token`` arrives."""
        return self._awaited.setdefault(token, asyncio.Event())

    def forget(self, token: bytes) -> None:
        """Whatever comes with ``token`` from now on is ignored."""
        self._awaited.pop(token, None)

    async def close(self) -> None:
        """Stop listening. Idempotent."""
        if self._server is not None:
            self._server.close()
            self._server = None

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, ValueError, TimeoutError):
            async with asyncio.timeout(_PASS_LIMIT_S):
                token = await reader.readline()
            if (event := self._awaited.get(token)) is not None:
                event.set()
        writer.close()


class ProxiedLinks:
    """The control ``links``: which links the proxy cuts. The others take ``latency_ms``."""

    def __init__(
        self,
        proxy: ProxyProcess,
        members: Sequence[Member],
        probes: dict[str, ProbeServer],
        port: int,
        latency_ms: float = 0.0,
    ) -> None:
        self._proxy = proxy
        self._latency_ms = latency_ms
        self._members = {member.name: member for member in members}
        self._probes = probes
        self._port = port
        self._tokens = itertools.count(1)

    async def apply(self, state: State) -> None:
        """Cut exactly the links of ``state``, for connections that are open and those to come."""
        links = itertools.permutations(self._members, 2)
        delay_ms = [(a, b, self._latency_ms) for a, b in links] if self._latency_ms else []
        await self._proxy.obey(cut=_links(state), delay_ms=delay_ms)

    async def evidence(self, state: State) -> Evidence:
        """Whether of all links exactly those of ``state`` let no byte pass, tried in both
        directions between every two nodes at once."""
        cut = frozenset(_links(state))
        latency_s = self._latency_ms / 1000
        links = tuple(itertools.permutations(self._members, 2))
        answers = await asyncio.gather(
            *(
                self._passes(link, (_CUT_WAIT_S if link in cut else _PASS_LIMIT_S) + latency_s)
                for link in links
            )
        )
        passing = frozenset(link for link, passes in zip(links, answers, strict=True) if passes)
        wrong = (*(passing & cut), *(frozenset(links) - passing - cut))
        words = {True: "passes", False: "is cut"}
        shown = tuple(f"{a} -> {b} {words[(a, b) in passing]}" for a, b in links)
        return Evidence(holds=not wrong, observations=shown)

    async def _passes(self, link: Link, limit_s: float) -> bool:
        source, destination = (self._members[name] for name in link)
        probe = self._probes[destination.name]
        token = f"{source.name} {destination.name} {next(self._tokens)}\n".encode()
        arrived = probe.expect(token)
        writer = None
        try:
            async with asyncio.timeout(limit_s):
                _, writer = await asyncio.open_connection(
                    destination.address, self._port, local_addr=(source.listen, 0)
                )
                writer.write(token)
                await arrived.wait()
        except OSError:  # TimeoutError is one
            pass
        finally:
            probe.forget(token)
            if writer is not None:
                writer.transport.abort()
        return arrived.is_set()


def _links(state: State) -> list[Link]:
    return [(source, destination) for source, destination in state]
