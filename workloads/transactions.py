"""Random transactions over few keys: what the workloads of transactions have in common.

Clients work on a pool of keys; a key that was written often enough is retired and a fresh one takes
its place, so that no list grows for ever. No value is written to a key twice, which makes every
read say exactly which write it saw. (The generator is Elle's: K. Kingsbury and P. Alvaro, *Elle:
inferring isolation anomalies from experimental observations*, VLDB 2020.)
"""

from __future__ import annotations

import random
from typing import Any

import msgspec

from harness.core.contracts import Client
from harness.core.errors import ClientError, Problem
from harness.core.generate import PENDING, Answer, Context, Generator, sleep
from harness.core.operation import Event, Operation
from harness.core.options import Option, Options

__all__ = [
    "POOL_OPTIONS",
    "TRANSACTION",
    "TransactionPool",
    "final_reads",
    "pool",
    "transact",
    "unanswered",
]

TRANSACTION = "txn"
"""The function of an operation that is a transaction, and the type of its request."""

_SETTLE_S = 1.0
_SWEPT = 6
_FAILURES_MAX = 20

POOL_OPTIONS: tuple[Option, ...] = (
    Option(name="key-count", default=8, minimum=1, summary="keys in use at a time"),
    Option(
        name="key-distribution",
        default="exponential",
        choices=("exponential", "uniform"),
        summary="exponential: some of the keys are much hotter than others",
    ),
    Option(
        name="max-txn-length", default=4, minimum=1, summary="micro-operations of a transaction"
    ),
    Option(
        name="max-writes-per-key",
        default=64,
        minimum=1,
        summary="writes after which a key is retired for a fresh one",
    ),
    Option(
        name="read-share",
        default=0.5,
        minimum=0.01,
        maximum=0.99,
        summary="share of reads among the micro-operations",
    ),
)


def pool(write: str, options: Options) -> TransactionPool:
    """The generator of transactions that read and ``write`` (``w`` or ``append``)."""
    keys = int(options["key-count"])  # type: ignore[arg-type]  # numbers, all of them
    return TransactionPool(
        write=write,
        length_max=int(options["max-txn-length"]),  # type: ignore[arg-type]
        writes_max=int(options["max-writes-per-key"]),  # type: ignore[arg-type]
        read_share=float(options["read-share"]),  # type: ignore[arg-type]
        skewed=options["key-distribution"] == "exponential",
        slots=tuple((key, 1) for key in range(keys)),
        fresh=keys,
    )


class TransactionPool(msgspec.Struct, frozen=True, eq=False, kw_only=True):
    """Transactions at random. ``slots`` are the keys in use, each with the next value to write."""

    write: str
    length_max: int
    writes_max: int
    read_share: float
    skewed: bool
    slots: tuple[tuple[int, int], ...]
    fresh: int

    def op(self, context: Context) -> Answer:
        if not context.free_threads:
            return PENDING
        chance = context.random
        slots, fresh = list(self.slots), self.fresh
        transaction: list[list[Any]] = []
        for _ in range(1 + int(chance.random() * self.length_max)):
            at = self._place(chance)
            key, value = slots[at]
            if chance.random() < self.read_share:
                transaction.append(["r", key, None])
                continue
            transaction.append([self.write, key, value])
            slots[at] = (key, value + 1)
            if value >= self.writes_max:
                slots[at], fresh = (fresh, 1), fresh + 1
        operation = context.fill(Operation(f=TRANSACTION, value=transaction))
        assert isinstance(operation, Operation), "no free thread, though there was one"
        return operation, msgspec.structs.replace(self, slots=tuple(slots), fresh=fresh)

    def _place(self, chance: random.Random) -> int:
        """Each key half as often as the one before it, if skewed."""
        count = len(self.slots)
        if not self.skewed:
            return int(chance.random() * count)
        draw = chance.random() * (1.0 - 0.5**count)
        weight = 0.5
        for at in range(count):
            if draw < weight:
                return at
            draw -= weight
            weight /= 2
        return count - 1

    def update(self, context: Context, event: Event) -> Generator:
        return self


def final_reads(options: Options) -> Generator:
    """Reads of all keys, one transaction after the other, until some that nobody has written: so
    that the order of what was written last is known too. They begin after a pause, for stores that
    acknowledge what they do later."""
    return sleep(_SETTLE_S, _Sweep(keys=int(options["key-count"])))  # type: ignore[arg-type]  # a number


class _Sweep(msgspec.Struct, frozen=True, eq=False, kw_only=True):
    """``first`` is the key to begin with, ``left`` how often one may fail; while one is
    ``asked``, there is nothing to do."""

    keys: int
    first: int = 0
    left: int = _FAILURES_MAX
    asked: bool = False

    def op(self, context: Context) -> Answer:
        if self.asked or not context.free_threads:
            return PENDING
        if not self.left:
            return None
        reads = [["r", key, None] for key in range(self.first, self.first + _SWEPT)]
        operation = context.fill(Operation(f=TRANSACTION, value=reads))
        assert isinstance(operation, Operation), "no free thread, though there was one"
        return operation, msgspec.structs.replace(self, asked=True)

    def update(self, context: Context, event: Event) -> Generator:
        if not self.asked or event.type == "invoke":
            return self
        if event.type != "ok":
            return msgspec.structs.replace(self, asked=False, left=self.left - 1)
        found = any(value is not None for _, _, value in event.value)
        goes_on = found or self.first + _SWEPT < self.keys
        return msgspec.structs.replace(
            self, asked=False, first=self.first + _SWEPT, left=_FAILURES_MAX if goes_on else 0
        )


async def transact(client: Client, transaction: list[Any], timeout_s: float) -> list[Any]:
    """The micro-operations with what was read. Raises ``ClientError``; an answer that is none is
    indefinite, since the transaction may have happened."""
    reply = await client.call({"type": "txn", "txn": transaction}, timeout_s)
    done = reply.get("txn")
    if not isinstance(done, list) or [one[:2] for one in done] != [
        list(one[:2]) for one in transaction
    ]:
        raise ClientError(13, f"malformed reply to a transaction: {reply}")
    return done


def unanswered(needed: frozenset[str], operations: frozenset[str]) -> list[Problem]:
    """The problem of a cluster that does not answer everything that is ``needed``."""
    missing = sorted(needed - operations)
    if not missing:
        return []
    return [
        Problem(
            f"a cluster without {' and '.join(missing)}",
            f"a cluster that answers {' and '.join(sorted(needed))}",
            "choose another cluster or workload (see `harness list`)",
        )
    ]
