"""Ids that must be unique, asked for everywhere at once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

from harness.core import generate as g
from harness.core.contracts import Client
from harness.core.errors import ClientError, Problem
from harness.core.generate import Generator
from harness.core.operation import Operation
from harness.core.options import Option, Options
from workloads.transactions import unanswered

__all__ = ["UniqueIds"]


class UniqueIds:
    """See the module."""

    name: ClassVar[str] = "unique-ids"
    summary: ClassVar[str] = "ids that must be unique"
    checkers: ClassVar[tuple[str, ...]] = ("unique-ids", "availability", "latency")
    required: ClassVar[tuple[str, ...]] = ("generate",)
    model: ClassVar[str] = "unique-ids"
    options: ClassVar[tuple[Option, ...]] = ()

    def problems(self, operations: frozenset[str], options: Options) -> list[Problem]:
        return unanswered(frozenset({"generate"}), operations)

    def generator(self, operations: frozenset[str], options: Options) -> Generator:
        return g.repeat(Operation(f="generate"))

    def final(self, history_keys: Sequence[Any], options: Options) -> Generator | None:
        return None

    async def invoke(self, client: Client, operation: Operation, timeout_s: float) -> Any:
        reply = await client.call({"type": "generate"}, timeout_s)
        if "id" not in reply:
            raise ClientError(13, f"malformed reply to generate: {reply}")
        return reply["id"]
