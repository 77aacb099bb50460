"""One simulated node: incarnations of a replica that can crash, restart and be paused.

Everything that reaches a replica (messages, timers, finished syncs) passes through
:meth:`Incarnation.enter`. A paused node lets it queue up, and handles it in order when it goes on,
as a stopped process does with its sockets; a crashed incarnation drops it.
"""

from __future__ import annotations

import asyncio
import inspect
import random
import traceback
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from typing import Any

import msgspec

from clusters.substrates.simulation.deadlines import Deadlines
from clusters.substrates.simulation.disk import SimulatedDisk
from clusters.substrates.simulation.loop import VirtualTimeLoop
from clusters.substrates.simulation.network import Network
from harness.core.contracts import Body, Disk, Handler, Message, Replica
from harness.core.errors import ClientError, RpcError

__all__ = ["CLIENT_PREFIX", "PROBE", "Host", "Incarnation"]

CLIENT_PREFIX = "c"
PROBE = b"probe "
"""How a payload begins that is answered by the host rather than by its replica."""

_EPOCH_NS = 1_700_000_000_000_000_000
_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(dict[str, Any]).decode


class _NodeDisk:
    """A node's view of its disk: a sync ends only while the incarnation lives."""

    def __init__(self, disk: SimulatedDisk, incarnation: Incarnation) -> None:
        self._disk = disk
        self._incarnation = incarnation

    def append(self, file: str, record: bytes) -> None:
        if self._incarnation.alive:
            self._disk.append(file, record)

    def read(self, file: str) -> Sequence[bytes]:
        return self._disk.read(file)

    async def sync(self, file: str) -> None:
        count, seconds = self._disk.begin_sync(file)
        await self._incarnation.sleep(seconds)
        self._disk.end_sync(file, count)


class Incarnation:
    """One life of a node: the ``Node`` that its replica sees."""

    def __init__(self, host: Host) -> None:
        self.name = host.name
        self.peers = host.peers
        self.random = host.random
        self.disk: Disk = _NodeDisk(host.disk, self)
        self.alive = True
        self.paused = host.paused
        self._host = host
        self._loop = host.loop
        self._network = host.network
        self._handlers: Mapping[str, Handler] = {}
        self._pending: dict[int, asyncio.Future[Body]] = {}
        self._last_id = 0
        self._deadlines = Deadlines(host.loop, self._pending, self._expire)
        # Tasks and what they run, numbered, because the order in which they are cancelled must not
        # depend on addresses. A task strikes itself off at its end: a callback of the task would
        # cost another round of the loop for every message.
        self._tasks: dict[int, tuple[asyncio.Task[None], Awaitable[Any]]] = {}
        self._last_task = 0
        self._backlog: deque[tuple[Callable[..., None], tuple[Any, ...]]] = deque()

    # --- the Node API -----------------------------------------------------------------------

    def now(self) -> int:
        return _EPOCH_NS + round(self._loop.time() * 1e9) + self._host.clock_offset_ns

    async def sleep(self, seconds: float) -> None:
        future: asyncio.Future[None] = self._loop.create_future()
        self._loop.post(seconds, self.enter, _resolve, future)
        await future

    def send(self, dest: str, body: Body) -> None:
        self._transmit(dest, _encode(body))

    def rpc(self, dest: str, body: Body, timeout_s: float) -> Awaitable[Body]:
        self._last_id = number = self._last_id + 1
        future: asyncio.Future[Body] = self._loop.create_future()
        self._pending[number] = future
        self._transmit(dest, _encode({**body, "msg_id": number}))
        self._deadlines.add(number, timeout_s)
        return future

    def spawn(self, work: Coroutine[Any, Any, None]) -> None:
        self._last_task = number = self._last_task + 1
        self._tasks[number] = self._loop.create_task(self._guard(number, work)), work

    # --- what the host does to it -----------------------------------------------------------

    async def run(self, replica: Replica) -> None:
        """Recover, then take messages."""
        await replica.start()
        self._handlers = {"_ping": _pong, **replica.handlers()}

    def enter(self, callback: Callable[..., None], *args: Any) -> None:
        """Let something happen to the replica: now, after the pause, or never."""
        if self.paused:
            self._backlog.append((callback, args))
        elif self.alive:
            callback(*args)

    def resume(self) -> None:
        self.paused = False
        while self._backlog and not self.paused:
            callback, args = self._backlog.popleft()
            self.enter(callback, *args)

    def crash(self) -> None:
        self.alive = False
        self._backlog.clear()
        self._pending.clear()
        for task, work in tuple(self._tasks.values()):
            task.cancel()
            # A task that has not begun will never get to what it was to run.
            if (
                inspect.iscoroutine(work)
                and inspect.getcoroutinestate(work) == inspect.CORO_CREATED
            ):
                work.close()

    def receive(self, source: str, payload: bytes) -> None:
        """A message has arrived."""
        body = _decode(payload)
        number = body.get("in_reply_to")
        if number is None:
            self._handle(source, body)
            return
        future = self._pending.pop(number, None)
        if future is None or future.done():
            return
        if body.get("type") == "error":
            future.set_exception(RpcError(body.get("code", 13), body.get("text", "")))
        else:
            future.set_result(body)

    def _handle(self, source: str, body: Body) -> None:
        kind = body.get("type")
        handler = self._handlers.get(kind) if isinstance(kind, str) else None
        message = Message(source, self.name, body)
        try:
            if not self._handlers:
                raise ClientError(11, f"{self.name} is recovering")
            if handler is None:
                raise ClientError(10, f"{self.name} does not answer {kind!r}")
            result = handler(message)
        except Exception as error:
            result = self._error_body(error)
        if result is None or isinstance(result, dict):
            self._reply(source, body, result)
        else:
            self._last_task = number = self._last_task + 1
            task = self._loop.create_task(self._finish(number, source, body, result))
            self._tasks[number] = task, result

    async def _finish(
        self, number: int, source: str, body: Body, work: Awaitable[Body | None]
    ) -> None:
        try:
            result = await work
        except Exception as error:
            result = self._error_body(error)
        finally:
            self._tasks.pop(number, None)
        self._reply(source, body, result)

    def _error_body(self, error: Exception) -> Body:
        if isinstance(error, ClientError):
            return {"type": "error", "code": error.wire_code, "text": error.text}
        self._host.log("".join(traceback.format_exception(error)))
        return {"type": "error", "code": 13, "text": f"{type(error).__name__}: {error}"}

    async def _guard(self, number: int, work: Awaitable[None]) -> None:
        try:
            await work
        except Exception as error:
            self._host.log("".join(traceback.format_exception(error)))
        finally:
            self._tasks.pop(number, None)

    def _reply(self, dest: str, request: Body, reply: Body | None) -> None:
        if reply is not None and "msg_id" in request:
            self._transmit(dest, _encode({**reply, "in_reply_to": request["msg_id"]}))

    def _transmit(self, dest: str, payload: bytes) -> None:
        if not self.alive:
            return
        if dest == self.name:
            self._loop.post(0.0, self.enter, self.receive, dest, payload)
        elif dest.startswith(CLIENT_PREFIX):
            self._network.send_reliably(self.name, dest, payload)
        else:
            self._network.send(self.name, dest, payload)

    def _expire(self, number: int) -> None:
        self.enter(self._time_out, number)

    def _time_out(self, number: int) -> None:
        future = self._pending.pop(number, None)
        if future is not None and not future.done():
            future.set_exception(RpcError(0, "no reply in time"))


class Host:
    """One node across its incarnations: name, disk, clock, and whether it is up or paused."""

    def __init__(
        self,
        *,
        name: str,
        peers: tuple[str, ...],
        loop: VirtualTimeLoop,
        network: Network,
        disk: SimulatedDisk,
        source: random.Random,
        replica: Callable[[Incarnation], Replica],
        log: Callable[[str], None],
    ) -> None:
        self.name = name
        self.peers = peers
        self.loop = loop
        self.network = network
        self.disk = disk
        self.random = source
        self.clock_offset_ns = 0
        self.paused = False
        self.probed: set[tuple[str, bytes]] = set()
        self.incarnation: Incarnation | None = None
        self._replica = replica
        self.log = log
        network.attach(name, self._receive)

    def start(self) -> None:
        """Begin a new incarnation; nothing happens when one is alive."""
        if self.incarnation is None:
            self.incarnation = incarnation = Incarnation(self)
            self.log(f"started at {self.loop.time():.6f} s\n")
            incarnation.spawn(incarnation.run(self._replica(incarnation)))

    def kill(self) -> None:
        """Crash: lose memory, timers, and what was not synced."""
        if self.incarnation is not None:
            self.incarnation.crash()
            self.incarnation = None
            self.log(f"killed at {self.loop.time():.6f} s\n")
            self.disk.crash()

    def pause(self) -> None:
        self.paused = True
        if self.incarnation is not None:
            self.incarnation.paused = True

    def resume(self) -> None:
        self.paused = False
        if self.incarnation is not None:
            self.incarnation.resume()

    def _receive(self, source: str, payload: bytes) -> None:
        if payload.startswith(PROBE):
            self.probed.add((source, payload))
        elif self.incarnation is not None:
            self.incarnation.enter(self.incarnation.receive, source, payload)
        elif source.startswith(CLIENT_PREFIX):
            self._refuse(source, _decode(payload)["msg_id"])

    def _refuse(self, client: str, number: int) -> None:
        reply = {"type": "error", "code": 11, "text": "connection refused", "in_reply_to": number}
        self.network.send_reliably(self.name, client, _encode(reply))


def _pong(_message: Message) -> Body:
    return {"type": "_pong"}


def _resolve(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)
