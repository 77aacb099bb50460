"""Transactions that read lists and append to them.

Every value is appended once, so a list tells the order of all appends to it: what Elle infers its
dependencies from.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

from harness.core.contracts import Client
from harness.core.errors import Problem
from harness.core.generate import Generator
from harness.core.operation import Operation
from harness.core.options import Option, Options
from workloads.transactions import (
    POOL_OPTIONS,
    TRANSACTION,
    final_reads,
    pool,
    transact,
    unanswered,
)

__all__ = ["ListAppend"]


class ListAppend:
    """See the module."""

    name: ClassVar[str] = "list-append"
    summary: ClassVar[str] = "transactions that read lists and append to them"
    checkers: ClassVar[tuple[str, ...]] = ("list-append", "availability", "latency")
    required: ClassVar[tuple[str, ...]] = (TRANSACTION,)
    model: ClassVar[str] = "list-append"
    options: ClassVar[tuple[Option, ...]] = POOL_OPTIONS

    def problems(self, operations: frozenset[str], options: Options) -> list[Problem]:
        return unanswered(frozenset({TRANSACTION}), operations)

    def generator(self, operations: frozenset[str], options: Options) -> Generator:
        return pool("append", options)

    def final(self, history_keys: Sequence[Any], options: Options) -> Generator | None:
        return final_reads(options)

    async def invoke(self, client: Client, operation: Operation, timeout_s: float) -> Any:
        return await transact(client, operation.value, timeout_s)
