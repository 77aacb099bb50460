"""The node that runs the transactions of a store with one copy of its data.

Micro-operations are steps with a pause before each, so that transactions interleave. A commit is a
record of the log; nobody is told of a transaction before everything that it may have read is
durable (the log is durable as a prefix, and each waits for its end). Locks, running transactions
and what they wrote in place do not survive a crash.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import msgspec

from clusters.systems.isolation.levels import Level
from clusters.systems.isolation.promises import Order
from clusters.systems.isolation.versions import Micro
from harness.core.contracts import Node
from harness.core.errors import ClientError

__all__ = ["Pace", "Primary"]

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


class Primary:
    """Runs transactions. ``epoch`` counts the lives of the node."""

    def __init__(self, node: Node, level: Level, order: Order, pace: Pace) -> None:
        self.epoch = 1
        self._node = node
        self._level = level
        self._order = order
        self._pace = pace
        self._ages = itertools.count(1)
        self._numbers = itertools.count(1)
        self._owed: dict[str, list[asyncio.Future[None]]] = {}
        """By session: transactions that were acknowledged and have not run."""

    async def start(self) -> None:
        """Recover from the log, and go on with what was acknowledged."""
        later: dict[int, tuple[str, list[Micro]]] = {}
        last = 0
        for record in self._node.disk.read(_LOG):
            kind, number, *rest = _decode(record)
            if kind == "epoch":
                self.epoch = number + 1
            elif kind == "later":
                later[number] = rest[0], rest[1]
                last = max(last, number)
            else:
                later.pop(number, None)
                self._level.commit(rest[0])
        self._numbers = itertools.count(last + 1)
        self._node.disk.append(_LOG, _encode(["epoch", self.epoch]))
        await self._node.disk.sync(_LOG)
        for number, (session, writes) in later.items():
            self._run_later(number, session, writes)

    async def transact(self, session: str, transaction: Sequence[Micro]) -> list[Micro]:
        """What a client is answered. Raises ``ClientError``, always definite."""
        reads = any(kind == "r" for kind, _, _ in transaction)
        may_wait = self._order is not Order.REALTIME and transaction and not reads
        if may_wait and self._node.random.random() < _LATER_SHARE:
            number = next(self._numbers)
            self._node.disk.append(_LOG, _encode(["later", number, session, transaction]))
            self._run_later(number, session, transaction)
            await self._node.disk.sync(_LOG)
            return list(transaction)
        await self._before(session)
        return await self._run(transaction, next(self._ages))

    def _run_later(self, number: int, session: str, writes: Sequence[Micro]) -> None:
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        before = tuple(self._owed.get(session, ())) if self._order is Order.SESSION else ()
        self._owed.setdefault(session, []).append(done)
        self._node.spawn(self._pay(number, session, writes, before, done))

    async def _pay(
        self,
        number: int,
        session: str,
        writes: Sequence[Micro],
        before: tuple[asyncio.Future[None], ...],
        done: asyncio.Future[None],
    ) -> None:
        """Run what was acknowledged, as often as it takes. The age stays: the oldest of all that
        want a lock is never refused for ever."""
        age = next(self._ages)
        await self._pause(self._pace.lag_s)
        for earlier in before:
            await earlier
        while True:
            try:
                await self._run(writes, age, number)
                break
            except ClientError:
                await self._pause(self._pace.step_s)
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

    async def _run(self, transaction: Sequence[Micro], age: int, number: int = 0) -> list[Micro]:
        """Run it to its end; ``number`` is that of one that was acknowledged before."""
        level = self._level
        running = level.begin(age)
        result: list[Micro] = []
        try:
            if number:
                await level.reserve(running, dict.fromkeys(key for _, key, _ in transaction))
            for micro in transaction:
                await self._pause(self._pace.step_s)
                kind, key, _ = micro
                if kind == "r":
                    result.append((kind, key, await level.read(running, key)))
                else:
                    await level.write(running, micro)
                    result.append(micro)
            await self._pause(self._pace.step_s)
            if not number and self._node.random.random() < self._pace.abort_rate:
                raise ClientError(_ABORT, "aborted for no reason")
            level.validate(running)
            if running.writes:
                self._node.disk.append(_LOG, _encode(["commit", number, running.writes]))
                level.commit(running.writes)
        finally:
            level.end(running)
        await self._node.disk.sync(_LOG)
        return result

    async def _pause(self, mean_s: float) -> None:
        await self._node.sleep(self._node.random.expovariate(1) * mean_s)
