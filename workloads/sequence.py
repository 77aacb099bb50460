"""Elements are inserted into sequences, each after one that is there, and taken away.

An insert names an element that was asked for before; a replica that does not know it yet refuses.
"""

from __future__ import annotations

import random
from typing import Any, ClassVar

from harness.core.contracts import Body, Client
from harness.core.operation import Operation
from workloads.replicated_objects import ObjectWorkload

__all__ = ["Sequence"]


class Sequence(ObjectWorkload):
    """See the module."""

    name: ClassVar[str] = "sequence"
    summary: ClassVar[str] = "insertions into and deletions from replicated sequences"
    checkers: ClassVar[tuple[str, ...]] = ("sequence", "convergence", "availability", "latency")
    required: ClassVar[tuple[str, ...]] = ("insert", "final-read")
    model: ClassVar[str] = "list"
    datatype: ClassVar[str] = "sequence"
    updates: ClassVar[frozenset[str]] = frozenset({"insert", "delete"})
    argument: ClassVar[str] = "element"

    def draw(self, chance: random.Random, number: int) -> tuple[str, Any]:
        # Some numbers went to reads or deletions: who names one of these is refused.
        other = int(chance.random() * number) if number else None
        if other is not None and chance.random() < 0.2:
            return "delete", other
        return "insert", {"element": number, "after": None if chance.random() < 0.2 else other}

    def request(self, client: Client, operation: Operation) -> Body:
        if operation.f == "insert":
            return {"type": "insert", **operation.value}
        return super().request(client, operation)
