"""Replicas that take updates on their own and tell each other later: always available, and equal in
the end.

Requests name the data type of the object beside its key (without one: a last-writer-wins
register), and are else those of Maelstrom's g-set, counters and lin-kv::

    {"type": "add", "datatype": "or-set", "key": 3, "element": 7}
    {"type": "add", "datatype": "pn-counter", "key": 4, "delta": -2}
    {"type": "write", "datatype": "mv-register", "key": 5, "value": 1}
    {"type": "insert", "datatype": "sequence", "key": 6, "element": 9, "after": 8}
    {"type": "delete", "datatype": "sequence", "key": 6, "element": 9}
    {"type": "read", "datatype": "or-set", "key": 3}

A multi-value register answers reads with a ``context`` beside the value, which a write that is to
replace what was read gives back; it is answered by its own ``tag``.

Every replica sends the entries that have changed (:mod:`clusters.systems.crdts.datatypes`) to each
other, again and again until they are acknowledged, and in the order in which they changed here: so
nothing arrives before what it may rest on, and the whole is causally convergent. Updates and what
was read are durable before they are answered, so that a replica never goes back.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import msgspec

from clusters.system import System
from clusters.systems.crdts.datatypes import DATATYPES, Datatype, Stamp, State
from clusters.systems.crdts.planted import BUGS, datatypes
from harness.core.contracts import Body, Handler, Message, Node, Replica
from harness.core.errors import ClientError, RpcError
from harness.core.options import Option, Options

__all__ = ["ReplicatedObjects"]

_LOG = "entries"
_RPC_S = 0.5
_BATCH_MAX = 500
_MALFORMED = 12
_UPDATES = ("add", "remove", "write", "insert", "delete")
_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder().decode

Place = tuple[str, Any]
"""Data type and key of an object."""


class ReplicatedObjects(System):
    """The cluster: its options."""

    name: ClassVar[str] = "replicated"
    summary: ClassVar[str] = "gossiping replicas of sets, counters, registers and sequences (CRDTs)"
    operations: ClassVar[frozenset[str]] = frozenset({"read", *_UPDATES})
    options: ClassVar[tuple[Option, ...]] = (
        Option(
            name="gossip-ms",
            default=40.0,
            minimum=1.0,
            maximum=10_000.0,
            summary="mean time between two messages to the same replica",
        ),
        Option(
            name="bug",
            default="none",
            choices=("none", *BUGS),
            summary="a planted bug, for testing checkers",
        ),
    )

    def replica(self, node: Node, options: Options) -> Replica:
        gossip_s = float(options["gossip-ms"]) / 1e3  # type: ignore[arg-type]  # a number
        return _Replica(node, datatypes(str(options["bug"])), gossip_s)


class _Replica:
    """``changed`` lists all changes of entries in their order. (Not the entries: what one holds now
    may rest on changes of others that come later in the list.)"""

    def __init__(self, node: Node, types: Mapping[str, Datatype], gossip_s: float) -> None:
        self.node = node
        self.types = types
        self.gossip_s = gossip_s
        self.objects: dict[Place, State] = {}
        self.changed: list[tuple[str, Any, str, Any]] = []
        self.clock = 0
        self.incarnation = 1

    async def start(self) -> None:
        for record in self.node.disk.read(_LOG):
            clock, datatype, key, name, value = _decode(record)
            self.clock = max(self.clock, clock)
            if datatype is None:
                self.incarnation = value + 1
            else:
                self.objects.setdefault((datatype, key), {})[name] = value
                self.changed.append((datatype, key, name, value))
        self._log(None, None, "", self.incarnation)
        await self.node.disk.sync(_LOG)
        for peer in self.node.peers:
            if peer != self.node.name:
                self.node.spawn(self._gossip(peer))

    def handlers(self) -> Mapping[str, Handler]:
        return {"read": self._read, "gossip": self._hear, **dict.fromkeys(_UPDATES, self._update)}

    async def _read(self, message: Message) -> Body:
        place = self._place(message.body)
        datatype, state = self.types[place[0]], self.objects.get(place, {})
        reply = {"type": "read_ok", "value": datatype.value(state)}
        context = datatype.context(state)
        await self.node.disk.sync(_LOG)
        return reply if context is None else {**reply, "context": context}

    async def _update(self, message: Message) -> Body:
        body = message.body
        place = self._place(body)
        datatype, state = self.types[place[0]], self.objects.setdefault(place, {})
        self.clock = max(self.clock + 1, self.node.now())
        stamp = Stamp(self.clock, f"{self.node.name}.{self.incarnation}")
        try:
            entries = datatype.update(state, body, stamp)
        except (KeyError, TypeError) as error:
            raise ClientError(_MALFORMED, f"{body['type']}: {error!r}") from error
        # Put rather than joined: it stands on what is here, and a join may have a planted bug.
        state.update(entries)
        self._note(place, entries, tell=True)
        await self.node.disk.sync(_LOG)
        return {"type": f"{body['type']}_ok", "tag": stamp.tag}

    def _place(self, body: Body) -> Place:
        datatype = body.get("datatype", "lww-register")
        key = body.get("key")
        if datatype not in DATATYPES or not isinstance(key, str | int | float | None):
            raise ClientError(_MALFORMED, f"found {datatype!r}, key {key!r}")
        return datatype, key

    def _note(self, place: Place, entries: State, *, tell: bool) -> None:
        """Log what has changed, and tell others."""
        for name, value in entries.items():
            self._log(*place, name, value)
            if tell:
                self.changed.append((*place, name, value))

    def _log(self, datatype: str | None, key: Any, name: str, value: Any) -> None:
        self.node.disk.append(_LOG, _encode([self.clock, datatype, key, name, value]))

    async def _gossip(self, peer: str) -> None:
        """Send to ``peer``, for ever, what it has not acknowledged."""
        told = 0
        while True:
            await self.node.sleep(self.node.random.expovariate(1) * self.gossip_s)
            upto = min(len(self.changed), told + _BATCH_MAX)
            if told == upto:
                continue
            entries = self.changed[told:upto]
            body = {"type": "gossip", "clock": self.clock, "entries": entries}
            try:
                await self.node.rpc(peer, body, _RPC_S)
            except RpcError:
                continue
            told = upto

    async def _hear(self, message: Message) -> Body:
        body = message.body
        self.clock = max(self.clock, body["clock"])
        for name_of_type, key, name, value in body["entries"]:
            place, datatype = (name_of_type, key), self.types[name_of_type]
            changed = datatype.merge(self.objects.setdefault(place, {}), {name: value})
            self._note(place, changed, tell=datatype.forwards)
        await self.node.disk.sync(_LOG)
        return {"type": "gossip_ok"}
