"""Parallel snapshot isolation: every node has a replica, and runs transactions on it.

A transaction reads the snapshot of its replica. To commit, it asks the first node, which refuses if
a commit that is not in the snapshot has written one of the same keys: so no update is lost, and the
commits on one key have one order everywhere. Commits reach the other replicas later, and in any
order that respects what each had seen (its snapshot): so two readers may see two unrelated commits
in opposite orders, a *long fork*, which snapshot isolation forbids.

Y. Sovran, R. Power, M. K. Aguilera and J. Li, *Transactional storage for geo-replicated systems*,
SOSP 2011.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec

from clusters.systems.isolation.primary import Pace
from clusters.systems.isolation.programs import PROGRAMS, acknowledged, blind_writes
from clusters.systems.isolation.versions import (
    EMPTY,
    Micro,
    Snapshot,
    Versions,
    applied,
    table_of,
)
from harness.core.contracts import Body, Handler, Message, Node
from harness.core.errors import ClientError, RpcError

__all__ = ["ParallelReplica"]

_COMMITS = "commits"
_LATER = "later"
_RPC_S = 1.0
_CONFLICT = 30
_ABORT = 14
_LATER_SHARE = 0.5
_PULLED_MAX = 200
_PULL_S_MIN = 0.002
_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder().decode


@dataclass(frozen=True, slots=True)
class _Commit:
    """What was committed, and on top of what."""

    snapshot: Snapshot
    writes: tuple[Micro, ...]


class ParallelReplica:
    """One replica; the first node also orders the commits (``commits[n - 1]`` is number ``n``)."""

    def __init__(self, node: Node, pace: Pace) -> None:
        self.node = node
        self.primary = node.peers[0]
        self._pace = pace
        self.versions = Versions()
        self._applied = EMPTY
        self._running: dict[int, Snapshot] = {}
        self._pulled = 0
        self._ripe: dict[int, _Commit] = {}
        # At the first node only.
        self._commits: list[_Commit] = []
        self._durable = 0
        self._numbers: dict[int, int] = {}
        self._latest: dict[Any, int] = {}

    async def start(self) -> None:
        for record in self.node.disk.read(_COMMITS):
            identity, *commit = _decode(record)
            self._append(identity, _commit(commit))
        self._durable = len(self._commits)
        later: dict[int, Body] = {}
        for record in self.node.disk.read(_LATER):
            identity, *body = _decode(record)
            if body:
                later[identity] = body[0]
            else:
                later.pop(identity, None)
        for identity, owed in later.items():
            self.node.spawn(self._pay(identity, owed))
        self.node.spawn(self._pull())

    def handlers(self) -> Mapping[str, Handler]:
        return {
            **dict.fromkeys(PROGRAMS, self._request),
            "_primary": self._tell_primary,
            "commit": self._order,
            "pull": self._tell,
        }

    def _tell_primary(self, message: Message) -> Body:
        return {"type": "_primary_ok", "primary": self.node.name == self.primary}

    # --- transactions -----------------------------------------------------------------------

    async def _request(self, message: Message) -> Body:
        body = {name: value for name, value in message.body.items() if name != "msg_id"}
        identity = self.node.random.getrandbits(62)
        if blind_writes(body) and self.node.random.random() < _LATER_SHARE:
            self.node.disk.append(_LATER, _encode([identity, body]))
            await self.node.disk.sync(_LATER)
            self.node.spawn(self._pay(identity, body))
            return acknowledged(body)
        return await self._run(identity, body, self._pace.abort_rate)

    async def _pay(self, identity: int, body: Body) -> None:
        """Run what was acknowledged, as often as it takes: it has one identity, and is committed
        once."""
        while True:
            await self._pause(self._pace.lag_s)
            try:
                await self._run(identity, body, 0.0)
                break
            except ClientError:
                continue
        self.node.disk.append(_LATER, _encode([identity]))

    async def _run(self, identity: int, body: Body, abort_rate: float) -> Body:
        snapshot = self._applied
        self._running[identity] = snapshot
        access = _Access(self, self.versions, snapshot)
        try:
            reply = await PROGRAMS[body["type"]](access, body)
            await self.step()
            if self.node.random.random() < abort_rate:
                raise ClientError(_ABORT, "aborted for no reason")
            if access.writes:
                await self._commit(identity, _Commit(snapshot, tuple(access.writes)))
        finally:
            self._running.pop(identity, None)
        return reply

    async def _commit(self, identity: int, commit: _Commit) -> None:
        body = {"type": "commit", "identity": identity, "commit": _fields(commit)}
        try:
            reply = await self.node.rpc(self.primary, body, _RPC_S)
        except RpcError as error:
            # A conflict stays one, should a second copy of the request arrive; nothing else does.
            definite = error.code == _CONFLICT
            raise ClientError(error.code, error.text, definite=definite) from error
        # What an earlier attempt has committed may stand on more than this replica knows by now.
        self._ripe[reply["number"]] = _Commit(_snapshot(reply["snapshot"]), commit.writes)
        self._apply_ripe()

    async def step(self) -> None:
        """The pause before a micro-operation."""
        await self._pause(self._pace.step_s)

    async def _pause(self, mean_s: float) -> None:
        await self.node.sleep(self.node.random.expovariate(1) * mean_s)

    # --- the order of commits, at the first node ----------------------------------------------

    async def _order(self, message: Message) -> Body:
        identity, commit = message.body["identity"], _commit(message.body["commit"])
        if identity not in self._numbers:
            for _, key, _ in commit.writes:
                if self._latest.get(key, 0) not in commit.snapshot:
                    raise ClientError(_CONFLICT, f"{key!r} was committed by another transaction")
            self._append(identity, commit)
            self.node.disk.append(_COMMITS, _encode([identity, *_fields(commit)]))
        number = self._numbers[identity]
        await self.node.disk.sync(_COMMITS)
        self._durable = max(self._durable, number)
        snapshot = self._commits[number - 1].snapshot
        return {"type": "commit_ok", "number": number, "snapshot": _numbers(snapshot)}

    def _append(self, identity: int, commit: _Commit) -> None:
        self._commits.append(commit)
        self._numbers[identity] = number = len(self._commits)
        for _, key, _ in commit.writes:
            self._latest[key] = number

    def _tell(self, message: Message) -> Body:
        after = message.body["after"]
        commits = self._commits[after : min(self._durable, after + _PULLED_MAX)]
        return {"type": "pull_ok", "commits": [_fields(commit) for commit in commits]}

    # --- replication --------------------------------------------------------------------------

    async def _pull(self) -> None:
        """Fetch commits for ever; each is applied after a delay of its own."""
        while True:
            await self._pause(max(_PULL_S_MIN, self._pace.lag_s / 4))
            try:
                reply = await self.node.rpc(
                    self.primary, {"type": "pull", "after": self._pulled}, _RPC_S
                )
            except RpcError:
                continue
            for fields in reply["commits"]:
                self._pulled += 1
                self.node.spawn(self._ripen(self._pulled, _commit(fields)))

    async def _ripen(self, number: int, commit: _Commit) -> None:
        await self._pause(self._pace.lag_s)
        self._ripe[number] = commit
        self._apply_ripe()

    def _apply_ripe(self) -> None:
        while ready := [
            one for one, waits in self._ripe.items() if waits.snapshot.within(self._applied)
        ]:
            for one in ready:
                self._apply(one, self._ripe.pop(one))

    def _apply(self, number: int, commit: _Commit) -> None:
        if number in self._applied:
            return
        self._applied = self._applied.including(number)
        oldest = min((one.through for one in self._running.values()), default=self._applied.through)
        self.versions.install(number, commit.writes, oldest=oldest)


@dataclass(slots=True)
class _Access:
    """What the program of a running transaction sees: a snapshot, and its own writes."""

    replica: ParallelReplica
    versions: Versions
    snapshot: Snapshot
    values: dict[Any, Any] = field(default_factory=dict)
    writes: list[Micro] = field(default_factory=list)

    async def read(self, key: Any) -> Any:
        await self.replica.step()
        return self._value(key)

    async def write(self, micro: Micro) -> None:
        await self.replica.step()
        self.values[micro[1]] = applied(self._value(micro[1]), micro)
        self.writes.append(micro)

    async def rows(self, table: str) -> Mapping[str, Any]:
        await self.replica.step()
        own = [key for key in self.values if table_of(key) == table]
        keys = dict.fromkeys((*self.versions.rows(table), *own))
        rows = {key: self._value(key) for key in keys}
        return {key: value for key, value in rows.items() if value is not None}

    def _value(self, key: Any) -> Any:
        return self.values[key] if key in self.values else self.versions.read(key, self.snapshot)


def _numbers(snapshot: Snapshot) -> list[Any]:
    return [snapshot.through, sorted(snapshot.later)]


def _snapshot(numbers: Sequence[Any]) -> Snapshot:
    through, later = numbers
    return Snapshot(through, frozenset(later))


def _fields(commit: _Commit) -> list[Any]:
    return [_numbers(commit.snapshot), commit.writes]


def _commit(fields: Sequence[Any]) -> _Commit:
    numbers, writes = fields
    return _Commit(_snapshot(numbers), tuple(_micros(writes)))


def _micros(rows: Sequence[Any]) -> list[Micro]:
    return [(kind, key, value) for kind, key, value in rows]
