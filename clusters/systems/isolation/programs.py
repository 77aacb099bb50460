"""What transactions do: each type of request is a program that reads and writes through an
:class:`Access`, so that every level of isolation runs it in its own way.

===================  ===============================================================================
Request              Program
===================  ===============================================================================
``txn``              its micro-operations, one after the other
``read``             reads one key
``write``            writes one key
``cas``              reads one key, and writes it if it holds what it should
``increment``        reads a number and writes it back with ``delta`` added
``transfer``         reads two accounts, and moves an amount from one to the other if it is there
``insert_if_empty``  looks for rows of the table ``key``, and writes one if there are none
===================  ===============================================================================
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Protocol

from clusters.systems.isolation.versions import Micro, micro_operations
from harness.core.contracts import Body
from harness.core.errors import ClientError

__all__ = ["PROGRAMS", "Access", "Program", "acknowledged", "blind_writes"]

_MALFORMED = 12
_ABSENT = 20
_EXISTS = 21
_PRECONDITION = 22


class Access(Protocol):
    """A running transaction, as its program sees it. All three raise ``ClientError`` when it has
    to abort."""

    async def read(self, key: Any) -> Any: ...

    async def write(self, micro: Micro) -> None: ...

    async def rows(self, table: str) -> Mapping[str, Any]:
        """All rows of a table: those keys that are called ``<table>/<something>``."""
        ...


Program = Callable[[Access, Body], Awaitable[Body]]
"""Takes the request's body; the reply's body. ``ClientError``: it aborts."""


def blind_writes(body: Body) -> tuple[Micro, ...]:
    """The writes of a request that needs to know nothing of the data; empty if it reads. Raises
    ``ClientError`` (malformed)."""
    if body["type"] == "write":
        return (("w", *_fields(body, "key", "value")),)
    if body["type"] != "txn":
        return ()
    micros = micro_operations(body.get("txn"))
    return () if any(kind == "r" for kind, _, _ in micros) else micros


def acknowledged(body: Body) -> Body:
    """The reply to a request that only writes."""
    reply = {"type": f"{body['type']}_ok"}
    return {**reply, "txn": body["txn"]} if "txn" in body else reply


async def _txn(access: Access, body: Body) -> Body:
    done = []
    for micro in micro_operations(body.get("txn")):
        kind, key, _ = micro
        if kind == "r":
            done.append((kind, key, await access.read(key)))
        else:
            await access.write(micro)
            done.append(micro)
    return {"type": "txn_ok", "txn": done}


async def _read(access: Access, body: Body) -> Body:
    (key,) = _fields(body, "key")
    return {"type": "read_ok", "value": await access.read(key)}


async def _write(access: Access, body: Body) -> Body:
    await access.write(("w", *_fields(body, "key", "value")))
    return {"type": "write_ok"}


async def _cas(access: Access, body: Body) -> Body:
    key, expected, value = _fields(body, "key", "from", "to")
    found = await access.read(key)
    if found is None:
        raise ClientError(_ABSENT, f"nothing was written to {key!r}")
    if found != expected:
        raise ClientError(_PRECONDITION, f"{key!r} holds {found!r}, not {expected!r}")
    await access.write(("w", key, value))
    return {"type": "cas_ok"}


async def _increment(access: Access, body: Body) -> Body:
    key, delta = _fields(body, "key", "delta")
    value = (await access.read(key) or 0) + delta
    await access.write(("w", key, value))
    return {"type": "increment_ok", "value": value}


async def _transfer(access: Access, body: Body) -> Body:
    source, target, amount = _fields(body, "from", "to", "amount")
    balances = [await access.read(account) for account in (source, target)]
    if None in balances:
        raise ClientError(_ABSENT, f"no account {source!r} or no account {target!r}")
    if balances[0] < amount:
        raise ClientError(_PRECONDITION, f"only {balances[0]} in the account {source!r}")
    await access.write(("w", source, balances[0] - amount))
    await access.write(("w", target, balances[1] + amount))
    return {"type": "transfer_ok"}


async def _insert_if_empty(access: Access, body: Body) -> Body:
    table, row, value = _fields(body, "key", "row", "value")
    found = await access.rows(str(table))
    if found:
        raise ClientError(_EXISTS, f"the table {table!r} has rows already: {found}")
    await access.write(("w", f"{table}/{row}", value))
    return {"type": "insert_if_empty_ok"}


PROGRAMS: Mapping[str, Program] = {
    "txn": _txn,
    "read": _read,
    "write": _write,
    "cas": _cas,
    "increment": _increment,
    "transfer": _transfer,
    "insert_if_empty": _insert_if_empty,
}


def _fields(body: Body, *names: str) -> list[Any]:
    missing = [name for name in names if name not in body]
    if missing:
        raise ClientError(_MALFORMED, f"{body['type']} without {' and '.join(missing)}")
    return [body[name] for name in names]
