"""Messages over TCP: one JSON envelope a line, and the client that speaks it.

The envelope and the error replies are those of the Maelstrom protocol
(https://github.com/jepsen-io/maelstrom, doc/protocol.md). JSON never contains a raw newline, so a
newline ends a frame.

What this module decides is what a client may conclude from a broken conversation. A request that
was never handed to the kernel has no effect: *definite*. From then on nothing but an error reply
that says so is proof of absence: a lost connection, a time-out and a reply that makes no sense
leave the outcome open, *indefinite*.

Every buffer is bounded: a frame by ``FRAME_BYTES_MAX``, what waits to be sent by
``QUEUE_BYTES_MAX``. (asyncio sets ``TCP_NODELAY`` on every TCP connection itself.)
"""

from __future__ import annotations

import asyncio
import itertools
import os
import socket
from collections.abc import Callable
from typing import Any

import msgspec

from harness.core.contracts import Body, Endpoint, Message
from harness.core.errors import ClientError

__all__ = ["FRAME_BYTES_MAX", "QUEUE_BYTES_MAX", "Frames", "MessageClient", "encode"]

FRAME_BYTES_MAX = 16 * 2**20
QUEUE_BYTES_MAX = 2 * FRAME_BYTES_MAX
_CONNECT_TIMEOUT_S = 10.0

_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(Message)
# Replicas may tell requests apart by (source, message id), so no two clients share a name.
_client_numbers = itertools.count(1)


def encode(message: Message) -> bytes:
    """The frame of ``message``; ``ValueError`` if it is too long, ``TypeError`` if it has no JSON.

    >>> encode(Message("c1", "n1", {"type": "read"}))
    b'{"src":"c1","dest":"n1","body":{"type":"read"}}\\n'
    """
    data = _encoder.encode(message)
    if len(data) > FRAME_BYTES_MAX:
        raise ValueError(f"a message of {len(data)} bytes; at most {FRAME_BYTES_MAX} fit a frame")
    return data + b"\n"


class Frames(asyncio.Protocol):
    """One connection that carries frames both ways.

    ``received`` is called with each message and this connection, ``lost`` once when it has ended.
    A frame that is too long or no envelope ends the connection: what follows it cannot be trusted.
    """

    def __init__(
        self,
        received: Callable[[Message, Frames], None],
        lost: Callable[[Frames], None] = lambda _: None,
    ) -> None:
        self._received = received
        self._lost = lost
        self._partial = bytearray()
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        self._lost(self)

    @property
    def open(self) -> bool:
        """Whether messages can still be sent."""
        return self._transport is not None and not self._transport.is_closing()

    def send(self, frame: bytes) -> bool:
        """Queue ``frame``. False: it was not and will not be sent (not open, or the queue is
        full)."""
        transport = self._transport
        if transport is None or transport.is_closing():
            return False
        if transport.get_write_buffer_size() + len(frame) > QUEUE_BYTES_MAX:
            return False
        transport.write(frame)
        return True

    def abort(self) -> None:
        """End the connection now; ``lost`` follows."""
        if self._transport is not None:
            self._transport.abort()

    def data_received(self, data: bytes) -> None:
        partial = self._partial
        if b"\n" not in data:
            # Searching only the new bytes keeps a long frame linear.
            partial += data
            if len(partial) > FRAME_BYTES_MAX:
                self.abort()
            return
        *lines, rest = (bytes(partial) + data).split(b"\n")
        self._partial = bytearray(rest)
        for line in lines:
            try:
                message = _decoder.decode(line)
            except (msgspec.DecodeError, RecursionError):
                self.abort()
                return
            self._received(message, self)


class MessageClient:
    """A client of one node that speaks the Maelstrom envelope.

    One connection, made at the first call and again after it was lost; any number of calls in
    flight. See :class:`harness.core.contracts.Client` for the laws.
    """

    def __init__(self, endpoint: Endpoint, port: int) -> None:
        self._endpoint = endpoint
        self._port = port
        self._name = f"client-{os.getpid()}-{next(_client_numbers)}"
        self._numbers = itertools.count(1)
        self._frames: Frames | None = None
        self._connecting: asyncio.Task[Frames] | None = None
        self._pending: dict[int, asyncio.Future[Body]] = {}

    async def call(self, body: Body, timeout_s: float) -> Body:
        """The reply to ``body``; ``ClientError`` as the module's docstring says."""
        deadline = asyncio.get_running_loop().time() + timeout_s
        try:
            async with asyncio.timeout_at(deadline):
                frames = await self._connected()
        except OSError as error:  # TimeoutError is one
            text = str(error) or f"no connection within {timeout_s:g} s"
            raise ClientError(11, text, definite=True) from error
        number = next(self._numbers)
        try:
            frame = encode(Message(self._name, self._endpoint.node, {**body, "msg_id": number}))
        except (ValueError, TypeError) as error:
            raise ClientError(12, str(error), definite=True) from error
        if not frames.send(frame):
            raise ClientError(11, "the connection's queue is full or it has ended", definite=True)
        return _meaning(await self._reply(number, deadline, timeout_s))

    async def close(self) -> None:
        """End the connection; calls in flight end indefinite."""
        if self._connecting is not None:
            self._connecting.cancel()
        if self._frames is not None:
            self._frames.abort()
            self._ended(self._frames)

    async def _reply(self, number: int, deadline: float, timeout_s: float) -> Body:
        reply: asyncio.Future[Body] = asyncio.get_running_loop().create_future()
        self._pending[number] = reply
        try:
            async with asyncio.timeout_at(deadline):
                return await reply
        except TimeoutError:
            raise ClientError(0, f"no reply within {timeout_s:g} s") from None
        finally:
            del self._pending[number]

    async def _connected(self) -> Frames:
        if self._frames is not None and self._frames.open:
            return self._frames
        if self._connecting is None:
            self._connecting = asyncio.create_task(self._connect())
            self._connecting.add_done_callback(self._connect_done)
        attempt = self._connecting
        try:
            # Shielded: one caller's time-out must not end the attempt that others wait for.
            return await asyncio.shield(attempt)
        except asyncio.CancelledError:
            caller = asyncio.current_task()
            if attempt.cancelled() and caller is not None and not caller.cancelling():
                raise ConnectionAbortedError("the client was closed") from None
            raise

    def _connect_done(self, task: asyncio.Task[Frames]) -> None:
        self._connecting = None
        if not task.cancelled() and task.exception() is None:
            self._frames = task.result()

    async def _connect(self) -> Frames:
        loop = asyncio.get_running_loop()
        endpoint = self._endpoint
        plain = endpoint.open_socket(socket.AF_INET, socket.SOCK_STREAM)
        try:
            plain.setblocking(False)
            async with asyncio.timeout(_CONNECT_TIMEOUT_S):
                await loop.sock_connect(plain, (endpoint.address, self._port))
                _, frames = await loop.create_connection(
                    lambda: Frames(self._received, self._ended), sock=plain
                )
        except BaseException:
            plain.close()
            raise
        return frames

    def _received(self, message: Message, _: Frames) -> None:
        number = message.body.pop("in_reply_to", None)
        # Anything may come off the wire, also what cannot be a key.
        reply = self._pending.get(number) if isinstance(number, int) else None
        if reply is not None and not reply.done():
            reply.set_result(message.body)

    def _ended(self, frames: Frames) -> None:
        # Only one connection is ever open, so every call in flight was sent on this one.
        if frames is self._frames:
            self._frames = None
        for reply in self._pending.values():
            if not reply.done():
                reply.set_exception(ClientError(13, "the connection was lost", definite=False))


def _meaning(body: Body) -> Body:
    """``body`` if it is a reply that means success."""
    kind: Any = body.get("type")
    if not isinstance(kind, str):
        raise ClientError(13, f"a reply without a type: {body!r:.200}", definite=False)
    if kind != "error":
        return body
    code: Any = body.get("code")
    if not isinstance(code, int) or isinstance(code, bool):
        raise ClientError(13, f"an error reply without a code: {body!r:.200}", definite=False)
    raise ClientError(code, str(body.get("text", "")))
