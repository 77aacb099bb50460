"""Transactions that read registers and write them.

No value is written to a register twice. Unlike lists, registers do not tell the order in which they
were written: a checker has to infer it, and knows less.
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

__all__ = ["RwRegister"]


class RwRegister:
    """See the module."""

    name: ClassVar[str] = "rw-register"
    summary: ClassVar[str] = "transactions that read registers and write them"
    checkers: ClassVar[tuple[str, ...]] = ("rw-register", "availability", "latency")
    required: ClassVar[tuple[str, ...]] = (TRANSACTION,)
    model: ClassVar[str] = "rw-register"
    options: ClassVar[tuple[Option, ...]] = POOL_OPTIONS

    def problems(self, operations: frozenset[str], options: Options) -> list[Problem]:
        return unanswered(frozenset({TRANSACTION}), operations)

    def generator(self, operations: frozenset[str], options: Options) -> Generator:
        return pool("w", options)

    def final(self, history_keys: Sequence[Any], options: Options) -> Generator | None:
        return final_reads(options)

    async def invoke(self, client: Client, operation: Operation, timeout_s: float) -> Any:
        return await transact(client, operation.value, timeout_s)
