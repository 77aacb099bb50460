"""Counters to which is added, and from which is taken away."""

from __future__ import annotations

import random
from typing import Any, ClassVar

from workloads.replicated_objects import ObjectWorkload

__all__ = ["PnCounter"]

_DELTA_MAX = 5


class PnCounter(ObjectWorkload):
    """See the module."""

    name: ClassVar[str] = "pn-counter"
    summary: ClassVar[str] = "additions to and subtractions from counters"
    checkers: ClassVar[tuple[str, ...]] = ("pn-counter", "convergence", "availability", "latency")
    required: ClassVar[tuple[str, ...]] = ("add", "final-read")
    model: ClassVar[str] = "counter"
    datatype: ClassVar[str] = "pn-counter"
    updates: ClassVar[frozenset[str]] = frozenset({"add"})
    argument: ClassVar[str] = "delta"

    def draw(self, chance: random.Random, number: int) -> tuple[str, Any]:
        return "add", int(chance.random() * 2 * _DELTA_MAX) - _DELTA_MAX
