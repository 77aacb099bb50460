"""Values go into a queue and come out of it; at the end it is drained until it is empty.

The total queue judges whether all comes out, the FIFO queue in which order.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import msgspec

from harness.core import generate as g
from harness.core.contracts import Client
from harness.core.errors import ClientError, Problem
from harness.core.generate import PENDING, Answer, Context, Generator
from harness.core.operation import Event, Operation
from harness.core.options import Option, Options
from workloads.transactions import unanswered

__all__ = ["TotalQueue"]


class TotalQueue:
    """See the module."""

    name: ClassVar[str] = "total-queue"
    summary: ClassVar[str] = "a queue that is filled, emptied, and drained at the end"
    checkers: ClassVar[tuple[str, ...]] = ("total-queue", "fifo-queue", "availability", "latency")
    required: ClassVar[tuple[str, ...]] = ("enqueue", "dequeue")
    model: ClassVar[str] = "queue"
    options: ClassVar[tuple[Option, ...]] = (
        Option(
            name="enqueue-share",
            default=0.5,
            minimum=0.01,
            maximum=0.99,
            summary="share of the operations that put something in",
        ),
    )

    def problems(self, operations: frozenset[str], options: Options) -> list[Problem]:
        return unanswered(frozenset({"enqueue", "dequeue", "drain"}), operations)

    def generator(self, operations: frozenset[str], options: Options) -> Generator:
        return _Queue(share=float(options["enqueue-share"]), fresh=1)  # type: ignore[arg-type]  # numbers

    def final(self, history_keys: Sequence[Any], options: Options) -> Generator | None:
        # One at a time: what the lost answer of one has taken, nobody will ever see.
        return g.until_ok(g.concurrency_limit(1, g.limit(5, g.repeat(Operation(f="drain")))))

    async def invoke(self, client: Client, operation: Operation, timeout_s: float) -> Any:
        if operation.f == "enqueue":
            await client.call({"type": "enqueue", "value": operation.value}, timeout_s)
            return operation.value
        reply = await client.call({"type": operation.f}, timeout_s)
        name = "values" if operation.f == "drain" else "value"
        if name not in reply:
            raise ClientError(13, f"malformed reply to {operation.f}: {reply}")
        return reply[name]


class _Queue(msgspec.Struct, frozen=True, eq=False):
    share: float
    fresh: int

    def op(self, context: Context) -> Answer:
        if not context.free_threads:
            return PENDING
        puts = context.random.random() < self.share
        wanted = Operation(f="enqueue", value=self.fresh) if puts else Operation(f="dequeue")
        operation = context.fill(wanted)
        assert isinstance(operation, Operation), "no free thread, though there was one"
        return operation, _Queue(self.share, self.fresh + puts)

    def update(self, context: Context, event: Event) -> Generator:
        return self
