"""Pairs of transactions that each look for rows, find none, and insert one: at most one of a pair
may commit.

They look by a condition that no existing row satisfies, so that there is nothing to lock but the
condition itself: repeatable read lets both commit, and so does snapshot isolation (write skew).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import msgspec

from harness.core.contracts import Client
from harness.core.errors import Problem
from harness.core.generate import PENDING, Answer, Context, Generator
from harness.core.operation import Event, Operation
from harness.core.options import Option, Options
from workloads.transactions import unanswered

__all__ = ["G2"]


class G2:
    """See the module."""

    name: ClassVar[str] = "g2"
    summary: ClassVar[str] = "pairs of inserts into an empty table, of which one may commit"
    checkers: ClassVar[tuple[str, ...]] = ("g2", "availability", "latency")
    required: ClassVar[tuple[str, ...]] = ("insert",)
    model: ClassVar[str] = "g2"
    options: ClassVar[tuple[Option, ...]] = ()

    def problems(self, operations: frozenset[str], options: Options) -> list[Problem]:
        return unanswered(frozenset({"insert_if_empty"}), operations)

    def generator(self, operations: frozenset[str], options: Options) -> Generator:
        return _Pairs(1)

    def final(self, history_keys: Sequence[Any], options: Options) -> Generator | None:
        return None

    async def invoke(self, client: Client, operation: Operation, timeout_s: float) -> Any:
        left, right = operation.value
        row, value = ("left", left) if right is None else ("right", right)
        body = {"type": "insert_if_empty", "key": operation.key, "row": row, "value": value}
        await client.call(body, timeout_s)
        return operation.value


class _Pairs(msgspec.Struct, frozen=True, eq=False):
    """The two inserts of a pair come one after the other, so that they overlap. ``number`` counts
    inserts: the identity of the row."""

    number: int

    def op(self, context: Context) -> Answer:
        if not context.free_threads:
            return PENDING
        number = self.number
        value = [number, None] if number % 2 else [None, number]
        operation = context.fill(Operation(f="insert", key=(number - 1) // 2, value=value))
        assert isinstance(operation, Operation), "no free thread, though there was one"
        return operation, _Pairs(number + 1)

    def update(self, context: Context, event: Event) -> Generator:
        return self
