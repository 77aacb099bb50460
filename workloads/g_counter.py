"""Counters that only grow."""

from __future__ import annotations

import random
from typing import Any, ClassVar

from workloads.replicated_objects import ObjectWorkload

__all__ = ["GCounter"]

_DELTA_MAX = 5


class GCounter(ObjectWorkload):
    """See the module."""

    name: ClassVar[str] = "g-counter"
    summary: ClassVar[str] = "additions to counters that only grow"
    checkers: ClassVar[tuple[str, ...]] = ("g-counter", "convergence", "availability", "latency")
    required: ClassVar[tuple[str, ...]] = ("add", "final-read")
    model: ClassVar[str] = "counter"
    datatype: ClassVar[str] = "g-counter"
    updates: ClassVar[frozenset[str]] = frozenset({"add"})
    argument: ClassVar[str] = "delta"

    def draw(self, chance: random.Random, number: int) -> tuple[str, Any]:
        return "add", 1 + int(chance.random() * _DELTA_MAX)
