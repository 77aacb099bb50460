"""Updates and reads of replicated objects: what the workloads of all data types have in common.

An object is retired after a number of operations and a fresh one takes its place, so that the
answers stay short however long the run. At the end every thread reads every object once more,
through every node therefore, after a time in which replicas may tell each other the rest: these
reads have a function of their own, ``final-read``.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from typing import Any, ClassVar

import msgspec

from harness.core import generate as g
from harness.core.contracts import Body, Client
from harness.core.errors import ClientError, Problem
from harness.core.generate import PENDING, Answer, Context, Generator
from harness.core.operation import Event, Operation
from harness.core.options import Option, Options
from workloads.transactions import unanswered

__all__ = ["FINAL_READ", "ObjectWorkload"]

FINAL_READ = "final-read"

Draw = Callable[[random.Random, int], tuple[str, Any]]
"""Function and value of an update, given how many operations the object has had. No two calls for
one object have the same number."""


class ObjectWorkload:
    """A subclass names itself, its ``datatype`` and the request types of its updates, and draws
    them."""

    name: ClassVar[str]
    summary: ClassVar[str]
    checkers: ClassVar[tuple[str, ...]]
    required: ClassVar[tuple[str, ...]]
    model: ClassVar[str]
    datatype: ClassVar[str]
    updates: ClassVar[frozenset[str]]
    argument: ClassVar[str]
    """The field of a request that holds the operation's value."""
    final_read: ClassVar[str] = FINAL_READ
    options: ClassVar[tuple[Option, ...]] = (
        Option(name="keys", default=2, minimum=1, summary="objects in use at a time"),
        Option(
            name="operations-per-key",
            default=100,
            minimum=1,
            summary="operations after which an object is retired for a fresh one",
        ),
        Option(
            name="read-share",
            default=0.3,
            minimum=0.01,
            maximum=0.99,
            summary="share of reads among the operations",
        ),
        Option(
            name="settle-s",
            default=2.0,
            minimum=0.0,
            maximum=3600.0,
            summary="time between the last update and the final reads",
        ),
    )

    def draw(self, chance: random.Random, number: int) -> tuple[str, Any]:
        raise NotImplementedError

    def request(self, client: Client, operation: Operation) -> Body:
        """The request of an update, without key and data type."""
        return {"type": operation.f, self.argument: operation.value}

    def answered(self, client: Client, operation: Operation, reply: Body) -> None:
        """Take note of a reply."""

    def problems(self, operations: frozenset[str], options: Options) -> list[Problem]:
        return unanswered(self.updates | {"read"}, operations)

    def generator(self, operations: frozenset[str], options: Options) -> Generator:
        keys = int(options["keys"])  # type: ignore[arg-type]  # numbers, all of them
        return _Objects(
            draw=self.draw,
            read_share=float(options["read-share"]),  # type: ignore[arg-type]
            limit=int(options["operations-per-key"]),  # type: ignore[arg-type]
            slots=tuple((key, 0) for key in range(keys)),
            fresh=keys,
        )

    def final(self, history_keys: Sequence[Any], options: Options) -> Generator | None:
        reads = [Operation(f=self.final_read, key=key) for key in history_keys]
        settle_s = float(options["settle-s"])  # type: ignore[arg-type]  # a number
        return g.sleep(settle_s, g.each_thread(reads)) if reads else None

    async def invoke(self, client: Client, operation: Operation, timeout_s: float) -> Any:
        reads = operation.f in ("read", FINAL_READ)
        body = {"type": "read"} if reads else self.request(client, operation)
        reply = await client.call(
            {**body, "datatype": self.datatype, "key": operation.key}, timeout_s
        )
        if reads and "value" not in reply:
            raise ClientError(13, f"malformed reply to a read: {reply}")
        self.answered(client, operation, reply)
        return reply["value"] if reads else operation.value


class _Objects(msgspec.Struct, frozen=True, eq=False, kw_only=True):
    """``slots`` are the objects in use, each with the number of operations that it has had."""

    draw: Draw
    read_share: float
    limit: int
    slots: tuple[tuple[int, int], ...]
    fresh: int

    def op(self, context: Context) -> Answer:
        if not context.free_threads:
            return PENDING
        chance = context.random
        at = int(chance.random() * len(self.slots))
        key, number = self.slots[at]
        reads = chance.random() < self.read_share
        f, value = ("read", None) if reads else self.draw(chance, number)
        operation = context.fill(Operation(f=f, key=key, value=value))
        assert isinstance(operation, Operation), "no free thread, though there was one"
        done = number + 1 >= self.limit
        slot = (self.fresh, 0) if done else (key, number + 1)
        slots = (*self.slots[:at], slot, *self.slots[at + 1 :])
        return operation, msgspec.structs.replace(self, slots=slots, fresh=self.fresh + done)

    def update(self, context: Context, event: Event) -> Generator:
        return self
