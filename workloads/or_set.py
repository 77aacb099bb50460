"""Elements are added to sets, taken away, and added again. Few elements, so that additions and
removals of the same one meet.
"""

from __future__ import annotations

import random
from typing import Any, ClassVar

from workloads.replicated_objects import ObjectWorkload

__all__ = ["OrSet"]

_ELEMENTS = 20


class OrSet(ObjectWorkload):
    """See the module."""

    name: ClassVar[str] = "or-set"
    summary: ClassVar[str] = "additions to and removals from observed-remove sets"
    checkers: ClassVar[tuple[str, ...]] = ("or-set", "convergence", "availability", "latency")
    required: ClassVar[tuple[str, ...]] = ("add", "remove", "final-read")
    model: ClassVar[str] = "set"
    datatype: ClassVar[str] = "or-set"
    updates: ClassVar[frozenset[str]] = frozenset({"add", "remove"})
    argument: ClassVar[str] = "element"

    def draw(self, chance: random.Random, number: int) -> tuple[str, Any]:
        f = "add" if chance.random() < 0.6 else "remove"
        return f, int(chance.random() * _ELEMENTS)
