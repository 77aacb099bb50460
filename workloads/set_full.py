"""Elements are added to sets and never taken away; reads must come to contain them all."""

from __future__ import annotations

import random
from typing import Any, ClassVar

from workloads.replicated_objects import ObjectWorkload

__all__ = ["SetFull"]


class SetFull(ObjectWorkload):
    """See the module."""

    name: ClassVar[str] = "set-full"
    summary: ClassVar[str] = "additions to grow-only sets, and reads of them"
    checkers: ClassVar[tuple[str, ...]] = ("set-full", "convergence", "availability", "latency")
    required: ClassVar[tuple[str, ...]] = ("add", "read")
    model: ClassVar[str] = "g-set"
    datatype: ClassVar[str] = "g-set"
    updates: ClassVar[frozenset[str]] = frozenset({"add"})
    argument: ClassVar[str] = "element"
    final_read: ClassVar[str] = "read"

    def draw(self, chance: random.Random, number: int) -> tuple[str, Any]:
        return "add", number
