"""Registers that keep all values that were written without knowledge of each other. No value is
written to one twice.
"""

from __future__ import annotations

import random
from typing import Any, ClassVar

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

    def draw(self, chance: random.Random, number: int) -> tuple[str, Any]:
        return "write", number
