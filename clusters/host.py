"""One replica as one process: the Node API over sockets.

``python -m clusters.host CONFIG.json`` recovers the replica from its disk, then listens. A message
between two nodes travels on the *sender's* own connection to the receiver, replies too: so every
connection carries data one way only, and cutting the link ``a -> b`` stops exactly what ``a`` says
to ``b``. A client's reply goes back on the client's connection.

Sending never blocks. A peer that cannot be reached costs a connection attempt with backoff; what
waits for it is bounded, and what does not fit or outlives the attempt is lost, as the Node API
allows. A call to oneself takes no socket at all.

A handler's ``ClientError`` is replied as its code; any other exception is code 13 (crash:
indefinite) with a traceback on standard error, which is the node's log.
"""

from __future__ import annotations

import asyncio
import importlib
import itertools
import os
import random
import signal
import sys
import time
import traceback
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from operator import attrgetter
from pathlib import Path
from typing import Any

import msgspec

from clusters.disk import FileDisk
from clusters.outgoing import Outgoing
from clusters.wire import Frames, encode
from harness.core.contracts import Body, Handler, Message, Replica
from harness.core.errors import ClientError, RpcError
from harness.core.options import Options

__all__ = ["Configuration", "Host", "load_system"]

_TASKS_MAX = 10_000
Respond = Callable[[Body], None]


class Configuration(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What one host process is told. ``system`` is ``module:Class``; ``peers`` are the names and
    addresses of all nodes, itself included, in the order that is the same everywhere."""

    system: str
    options: dict[str, Any]
    name: str
    listen: str
    port: int
    peers: list[tuple[str, str]]
    directory: str


def load_system(path: str) -> Any:
    """The class that ``module:Class`` names."""
    module, _, name = path.partition(":")
    return attrgetter(name)(importlib.import_module(module))


class Host:
    """The :class:`harness.core.contracts.Node` of this process, and the server around it."""

    def __init__(self, configuration: Configuration) -> None:
        self._configuration = configuration
        self.name = configuration.name
        self.peers = tuple(name for name, _ in configuration.peers)
        # Not from the run's seed: a node that is killed and started again would draw the same
        # numbers twice, and two of its "unique" identifiers would be one. Processes with real
        # sockets are not reproducible anyway.
        self.random = random.Random(os.urandom(16))
        self.disk = FileDisk(Path(configuration.directory))
        self._numbers = itertools.count(1)
        self._calls: dict[int, asyncio.Future[Body]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._handlers: Mapping[str, Handler] = {}
        self._links = {
            name: Outgoing((address, configuration.port), configuration.listen)
            for name, address in configuration.peers
            if name != self.name
        }

    # --- the Node API ---

    def now(self) -> int:
        return time.time_ns()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)

    def send(self, dest: str, body: Body) -> None:
        frame = encode(Message(self.name, dest, body))
        if dest == self.name:
            # Through JSON, so that a message to itself means the same as one to another node.
            message = msgspec.json.decode(frame, type=Message)
            asyncio.get_running_loop().call_soon(self._deliver, message, self._to_peer(message))
        else:
            self._links[dest].send(frame)

    def rpc(self, dest: str, body: Body, timeout_s: float) -> Awaitable[Body]:
        loop = asyncio.get_running_loop()
        number = next(self._numbers)
        reply: asyncio.Future[Body] = loop.create_future()
        late = RpcError(0, f"no reply from {dest} within {timeout_s:g} s")
        timer = loop.call_later(timeout_s, _fail, reply, late)

        def done(reply: asyncio.Future[Body]) -> None:
            timer.cancel()
            self._calls.pop(number, None)
            if not reply.cancelled():
                reply.exception()  # seen: nobody need await the reply

        reply.add_done_callback(done)
        self._calls[number] = reply
        try:
            self.send(dest, {**body, "msg_id": number})
        except BaseException:
            reply.cancel()
            raise
        return reply

    def spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(_logged(work))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    # --- the server ---

    async def run(self, replica: Replica) -> None:
        """Recover, listen, and serve until cancelled. ``OSError`` if it cannot listen."""
        await replica.start()
        self._handlers = dict(replica.handlers())
        server = await asyncio.get_running_loop().create_server(
            lambda: Frames(self._received),
            self._configuration.listen,
            self._configuration.port,
            backlog=1024,
        )
        print(f"{self.name} listens", file=sys.stderr, flush=True)
        await server.serve_forever()

    def _received(self, message: Message, frames: Frames) -> None:
        peer = message.src in self._links
        self._deliver(message, self._to_peer(message) if peer else _to_client(message, frames))

    def _deliver(self, message: Message, respond: Respond) -> None:
        body = message.body
        answered = body.pop("in_reply_to", None)
        kind = body.get("type")
        if answered is not None:
            self._answered(answered, body)
        elif message.dest != self.name:
            respond(_error(1, f"this is {self.name}, not {message.dest}"))
        elif kind == "_ping":
            respond({"type": "_pong"})
        elif not isinstance(kind, str) or kind not in self._handlers:
            respond(_error(10, f"no handler for messages of type {kind!r}"))
        else:
            self._handle(self._handlers[kind], message, respond)

    def _answered(self, number: Any, body: Body) -> None:
        call = self._calls.get(number) if isinstance(number, int) else None
        if call is None or call.done():
            return
        if body.get("type") != "error":
            call.set_result(body)
            return
        code = body.get("code")
        call.set_exception(
            RpcError(code if isinstance(code, int) else 13, str(body.get("text", "")))
        )

    def _handle(self, handler: Handler, message: Message, respond: Respond) -> None:
        if len(self._tasks) >= _TASKS_MAX:
            respond(_error(11, f"{_TASKS_MAX} requests are being handled already"))
            return
        try:
            result = handler(message)
        except Exception as error:
            respond(_failure(error))
            return
        if isinstance(result, dict):
            _answer(result, respond)
        elif result is not None:
            self.spawn(_finish(result, respond))

    def _to_peer(self, message: Message) -> Respond:
        number = message.body.get("msg_id")

        def respond(body: Body) -> None:
            if number is not None:
                self.send(message.src, {**body, "in_reply_to": number})

        return respond


def _fail(reply: asyncio.Future[Body], error: RpcError) -> None:
    if not reply.done():
        reply.set_exception(error)


def _to_client(message: Message, frames: Frames) -> Respond:
    number = message.body.get("msg_id")

    def respond(body: Body) -> None:
        if number is not None:
            answer = {**body, "in_reply_to": number}
            frames.send(encode(Message(message.dest, message.src, answer)))

    return respond


async def _finish(result: Awaitable[Body | None], respond: Respond) -> None:
    try:
        body = await result
    except Exception as error:
        respond(_failure(error))
        return
    if body is not None:
        _answer(body, respond)


def _answer(body: Body, respond: Respond) -> None:
    try:
        respond(body)
    except (TypeError, ValueError) as error:  # it has no JSON, or too much of it
        respond(_failure(error))


def _error(code: int, text: str) -> Body:
    return {"type": "error", "code": code, "text": text}


def _failure(error: Exception) -> Body:
    if isinstance(error, ClientError):
        return _error(error.wire_code, error.text)
    traceback.print_exception(error)
    sys.stderr.flush()
    return _error(13, f"{type(error).__name__}: {error}")


async def _logged(work: Coroutine[Any, Any, None]) -> None:
    try:
        await work
    except Exception as error:
        traceback.print_exception(error)
        sys.stderr.flush()


def _tuples(options: Mapping[str, Any]) -> Options:
    """JSON knows no tuples; options know no lists."""
    return {k: tuple(v) if isinstance(v, list) else v for k, v in options.items()}


async def _main(configuration: Configuration) -> None:
    host = Host(configuration)
    system = load_system(configuration.system)()
    await host.run(system.replica(host, _tuples(configuration.options)))


if __name__ == "__main__":
    # Explicit, because the default action does not hold for the first process of a PID namespace.
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
    asyncio.run(_main(msgspec.json.decode(Path(sys.argv[1]).read_bytes(), type=Configuration)))
