"""The node that runs the transactions of a store with one copy of its data; others hand them on.

Micro-operations are steps with a pause before each, so that transactions interleave. A commit is a
record of the log; nobody is told of a transaction before everything that it may have read is
durable (the log is durable as a prefix, and each waits for its end). Locks, running transactions
and what they wrote in place do not survive a crash.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from clusters.systems.forwarding import ForwardingReplica
from clusters.systems.isolation.levels import Level, Transaction
from clusters.systems.isolation.programs import PROGRAMS, acknowledged, blind_writes
from clusters.systems.isolation.promises import Order
from clusters.systems.isolation.versions import Micro
from harness.core.contracts import Body, Node
from harness.core.errors import ClientError

__all__ = ["Pace", "PrimaryReplica"]

_LOG = "log"
_ABORT = 14
_LATER_SHARE = 0.5
"""The share of the transactions that may be run later which are."""
_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder().decode


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """How fast a store works: mean times, and the probability that a transaction aborts for no
    reason when it is about to commit."""

    step_s: float
    lag_s: float
    abort_rate: float


class PrimaryReplica(ForwardingReplica):
    """One node of the store; the first of them has the data."""

    def __init__(self, node: Node, level: Level, order: Order, pace: Pace) -> None:
        super().__init__(node, tuple(PROGRAMS))
        self._level = level
        self._order = order
        self._pace = pace
        self._ages = itertools.count(1)
        self._numbers = itertools.count(1)
        self._owed: dict[str, list[asyncio.Future[None]]] = {}
        """By session: transactions that were acknowledged and have not run."""

    async def recover(self) -> int:
        """Replay the log, and go on with what was acknowledged."""
        epoch = 1
        later: dict[int, tuple[str, Body]] = {}
        last = 0
        for record in self.node.disk.read(_LOG):
            kind, number, *rest = _decode(record)
            if kind == "epoch":
                epoch = number + 1
            elif kind == "later":
                later[number] = rest[0], rest[1]
                last = max(last, number)
            else:
                later.pop(number, None)
                self._level.commit(rest[0])
        self._numbers = itertools.count(last + 1)
        self.node.disk.append(_LOG, _encode(["epoch", epoch]))
        await self.node.disk.sync(_LOG)
        for number, (session, body) in later.items():
            self._run_later(number, session, body)
        return epoch

    async def serve(self, client: str, body: Body) -> Body:
        """Run a transaction, now or later. A client is a session. Every error is definite."""
        waits = self._order is not Order.REALTIME and blind_writes(body)
        if waits and self.node.random.random() < _LATER_SHARE:
            number = next(self._numbers)
            self.node.disk.append(_LOG, _encode(["later", number, client, body]))
            self._run_later(number, client, body)
            await self.node.disk.sync(_LOG)
            return acknowledged(body)
        await self._before(client)
        return await self._run(body, next(self._ages))

    def _run_later(self, number: int, session: str, body: Body) -> None:
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        before = tuple(self._owed.get(session, ())) if self._order is Order.SESSION else ()
        self._owed.setdefault(session, []).append(done)
        self.node.spawn(self._pay(number, session, body, before, done))

    async def _pay(
        self,
        number: int,
        session: str,
        body: Body,
        before: tuple[asyncio.Future[None], ...],
        done: asyncio.Future[None],
    ) -> None:
        """Run what was acknowledged, as often as it takes. The age stays: the oldest of all that
        want a lock is never refused for ever."""
        age = next(self._ages)
        await self.pause(self._pace.lag_s)
        for earlier in before:
            await earlier
        while True:
            try:
                await self._run(body, age, number)
                break
            except ClientError:
                await self.pause(self._pace.step_s)
        owed = self._owed[session]
        owed.remove(done)
        if not owed:
            del self._owed[session]
        if not done.done():
            done.set_result(None)

    async def _before(self, session: str) -> None:
        """Wait for what the session was acknowledged, where its order counts."""
        if self._order is Order.SESSION:
            for earlier in tuple(self._owed.get(session, ())):
                await earlier

    async def _run(self, body: Body, age: int, number: int = 0) -> Body:
        """Run it to its end; ``number`` is that of one that was acknowledged before."""
        level = self._level
        running = level.begin(age)
        try:
            if number:
                await level.reserve(running, dict.fromkeys(key for _, key, _ in blind_writes(body)))
            reply = await PROGRAMS[body["type"]](_Access(self, level, running), body)
            await self.pause(self._pace.step_s)
            if not number and self.node.random.random() < self._pace.abort_rate:
                raise ClientError(_ABORT, "aborted for no reason")
            level.validate(running)
            if running.writes:
                self.node.disk.append(_LOG, _encode(["commit", number, running.writes]))
                level.commit(running.writes)
            reply["timestamp"] = level.timestamp(running)
        finally:
            level.end(running)
        await self.node.disk.sync(_LOG)
        return reply

    async def step(self) -> None:
        """The pause before a micro-operation."""
        await self.pause(self._pace.step_s)

    async def pause(self, mean_s: float) -> None:
        """Wait for a random time."""
        await self.node.sleep(self.node.random.expovariate(1) * mean_s)


@dataclass(frozen=True, slots=True)
class _Access:
    """What the program of a running transaction sees."""

    primary: PrimaryReplica
    level: Level
    running: Transaction

    async def read(self, key: Any) -> Any:
        await self.primary.step()
        return await self.level.read(self.running, key)

    async def write(self, micro: Micro) -> None:
        await self.primary.step()
        await self.level.write(self.running, micro)

    async def rows(self, table: str) -> Mapping[str, Any]:
        await self.primary.step()
        return await self.level.rows(self.running, table)
