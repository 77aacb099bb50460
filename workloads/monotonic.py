"""Counters that only grow, read together with the store's own timestamps: do both agree?"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

from harness.core import generate as g
from harness.core.contracts import Client
from harness.core.errors import ClientError, Problem
from harness.core.generate import Context, Generator
from harness.core.operation import Operation
from harness.core.options import Option, Options
from workloads.transactions import unanswered

__all__ = ["Monotonic"]


class Monotonic:
    """See the module."""

    name: ClassVar[str] = "monotonic"
    summary: ClassVar[str] = "increments and reads of counters, with the store's timestamps"
    checkers: ClassVar[tuple[str, ...]] = ("monotonic", "availability", "latency")
    required: ClassVar[tuple[str, ...]] = ("increment", "read")
    model: ClassVar[str] = "counter"
    options: ClassVar[tuple[Option, ...]] = (
        Option(name="keys", default=3, minimum=1, summary="how many counters there are"),
    )

    def problems(self, operations: frozenset[str], options: Options) -> list[Problem]:
        return unanswered(frozenset({"increment", "read"}), operations)

    def generator(self, operations: frozenset[str], options: Options) -> Generator:
        keys = int(options["keys"])  # type: ignore[arg-type]  # a number

        def one(context: Context) -> Operation:
            chance = context.random
            f = "increment" if chance.random() < 0.5 else "read"
            return Operation(f=f, key=int(chance.random() * keys))

        return g.as_generator(one)

    def final(self, history_keys: Sequence[Any], options: Options) -> Generator | None:
        reads = [Operation(f="read", key=key) for key in history_keys]
        return g.each_thread(reads) if reads else None

    async def invoke(self, client: Client, operation: Operation, timeout_s: float) -> Any:
        body = {"type": operation.f, "key": operation.key}
        if operation.f == "increment":
            body["delta"] = 1
        reply = await client.call(body, timeout_s)
        if "value" not in reply or "timestamp" not in reply:
            raise ClientError(13, f"malformed reply: no value and timestamp in {reply}")
        return {"value": reply["value"] or 0, "timestamp": reply["timestamp"]}
