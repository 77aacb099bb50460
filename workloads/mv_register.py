"""Registers that keep all values that were written without knowledge of each other. No value is
written to one twice.

A write replaces what its session has seen: it gives back the contexts of the session's reads, and
the tags of its writes. A session is a client, and a client belongs to one process.
"""

from __future__ import annotations

import random
from typing import Any, ClassVar
from weakref import WeakKeyDictionary

from harness.core.contracts import Body, Client
from harness.core.operation import Operation
from workloads.replicated_objects import ObjectWorkload

__all__ = ["MvRegister"]


class MvRegister(ObjectWorkload):
    """See the module."""

    name: ClassVar[str] = "mv-register"
    summary: ClassVar[str] = "writes and reads of multi-value registers"
    checkers: ClassVar[tuple[str, ...]] = ("mv-register", "convergence", "availability", "latency")
    required: ClassVar[tuple[str, ...]] = ("write", "final-read")
    model: ClassVar[str] = "register"
    datatype: ClassVar[str] = "mv-register"
    updates: ClassVar[frozenset[str]] = frozenset({"write"})
    argument: ClassVar[str] = "value"

    def __init__(self) -> None:
        self._seen: WeakKeyDictionary[Client, dict[Any, dict[str, None]]] = WeakKeyDictionary()

    def draw(self, chance: random.Random, number: int) -> tuple[str, Any]:
        return "write", number

    def request(self, client: Client, operation: Operation) -> Body:
        seen = self._seen.get(client, {}).get(operation.key, {})
        return {**super().request(client, operation), "context": list(seen)}

    def answered(self, client: Client, operation: Operation, reply: Body) -> None:
        seen = self._seen.setdefault(client, {}).setdefault(operation.key, {})
        seen.update(dict.fromkeys([reply["tag"]] if "tag" in reply else reply.get("context", ())))
