"""A client of one etcd node, through its HTTP/JSON gateway.

It translates requests of the Maelstrom vocabulary into messages of etcd, and must never send one
twice: a write that is repeated may overwrite somebody else's.

Errors. A request that reached a node may be in a log that commits later, so an error is definite
only where the node says so *before* it proposes anything: it refused the connection, found the
request malformed or too large, or is busy or full. ``no leader`` and ``raft proposal dropped`` are
treated as indefinite: the node that answers has proposed nothing at that moment, but the message
alone does not tell whether it is the answer to the first proposal. ``request timed out`` and
``leader changed`` certainly are: the entry may still commit.
"""

from __future__ import annotations

import asyncio
from base64 import b64decode, b64encode
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import msgspec

from harness.core.contracts import Body, Endpoint
from harness.core.errors import ClientError

if TYPE_CHECKING:
    import aiohttp
    from aiohappyeyeballs import AddrInfoType

__all__ = ["CLIENT_PORT", "OPERATIONS", "EtcdClient"]

CLIENT_PORT = 2379
"""Where every node listens for clients."""


@dataclass(frozen=True, slots=True)
class _Call:
    """How one request type is asked of etcd: the path, the message, and what its reply means."""

    path: str
    ask: Callable[[Body, bool], Body]
    understand: Callable[[Body], Body]


def _pack(value: Any) -> str:
    return b64encode(msgspec.json.encode(value)).decode()


def _ask_read(body: Body, serializable: bool) -> Body:
    return {"key": _pack(body["key"]), "serializable": serializable}


def _ask_write(body: Body, _: bool) -> Body:
    return {"key": _pack(body["key"]), "value": _pack(body["value"])}


def _ask_cas(body: Body, _: bool) -> Body:
    key = _pack(body["key"])
    # A comparison of the value of an absent key is false.
    equal = {"key": key, "target": "VALUE", "result": "EQUAL", "value": _pack(body["from"])}
    put = {"request_put": {"key": key, "value": _pack(body["to"])}}
    return {"compare": [equal], "success": [put]}


def _read(reply: Body) -> Body:
    found = reply.get("kvs", ())
    value = msgspec.json.decode(b64decode(found[0]["value"])) if found else None
    return {"type": "read_ok", "value": value}


def _written(_: Body) -> Body:
    return {"type": "write_ok"}


def _compared(reply: Body) -> Body:
    if not reply.get("succeeded", False):  # the gateway leaves out what is false
        raise ClientError(22, "the key is absent or has another value")
    return {"type": "cas_ok"}


_CALLS: Mapping[str, _Call] = {
    "read": _Call("/v3/kv/range", _ask_read, _read),
    "write": _Call("/v3/kv/put", _ask_write, _written),
    "cas": _Call("/v3/kv/txn", _ask_cas, _compared),
}

OPERATIONS = frozenset(_CALLS)
"""The request types that are answered."""

_REFUSED = {3: 12, 8: 11}
"""The status codes of gRPC that say that nothing was proposed, and what they are in Maelstrom's:
invalid argument (checked on arrival; also: too large), resource exhausted (too many requests, and
no space: the quota is checked before proposing, and an entry that exceeds it is applied as void).
"""


class EtcdClient:
    """A client of one node, with one connection that is opened when it is needed."""

    def __init__(self, endpoint: Endpoint, *, serializable: bool = False) -> None:
        self._endpoint = endpoint
        self._serializable = serializable
        self._base = f"http://{endpoint.address}:{CLIENT_PORT}"
        self._session: aiohttp.ClientSession | None = None

    async def call(self, body: Body, timeout_s: float) -> Body:
        """The reply to a read, write or cas."""
        call = _CALLS.get(body["type"])
        if call is None:
            raise ClientError(10, f"etcd does not answer {body['type']!r}")
        reply = await self.post(call.path, call.ask(body, self._serializable), timeout_s)
        return call.understand(reply)

    async def post(self, path: str, message: Body, timeout_s: float) -> Body:
        """The reply of the gateway. ``ClientError`` as the module's docstring says."""
        import aiohttp

        try:
            async with asyncio.timeout(timeout_s):
                session = self._connected()
                async with session.post(
                    self._base + path, data=msgspec.json.encode(message)
                ) as response:
                    reply = msgspec.json.decode(await response.read(), type=Body)
        except TimeoutError as error:
            raise ClientError(0, "no reply in time") from error
        except aiohttp.ClientConnectorError as error:  # before a connection was there
            raise ClientError(11, str(error), definite=True) from error
        except (aiohttp.ClientError, OSError) as error:
            raise ClientError(13, f"the connection was lost: {error}") from error
        except msgspec.DecodeError as error:
            raise ClientError(13, f"not a reply of etcd: {error}") from error
        if response.status != 200:
            raise _refusal(response.status, reply)
        return reply

    async def close(self) -> None:
        """Close the connection. Idempotent."""
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    def _connected(self) -> aiohttp.ClientSession:
        if self._session is None:
            import aiohttp

            def open_socket(address: AddrInfoType) -> Any:
                return self._endpoint.open_socket(address[0], address[1])

            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(socket_factory=open_socket),
                cookie_jar=aiohttp.DummyCookieJar(),
                timeout=aiohttp.ClientTimeout(),  # call bounds the whole
            )
        return self._session


def _refusal(status: int, reply: Body) -> ClientError:
    text = str(reply.get("message") or reply.get("error") or f"HTTP status {status}")
    code = _REFUSED.get(reply.get("code", 0))
    return ClientError(13, text) if code is None else ClientError(code, text)
