"""Registers of which the last write wins. No value is written to one twice."""

from __future__ import annotations

import random
from typing import Any, ClassVar

from workloads.replicated_objects import ObjectWorkload

__all__ = ["LwwRegister"]


class LwwRegister(ObjectWorkload):
    """See the module."""

    name: ClassVar[str] = "lww-register"
    summary: ClassVar[str] = "writes and reads of last-writer-wins registers"
    checkers: ClassVar[tuple[str, ...]] = ("lww-register", "convergence", "availability", "latency")
    required: ClassVar[tuple[str, ...]] = ("write", "final-read")
    model: ClassVar[str] = "register"
    datatype: ClassVar[str] = "lww-register"
    updates: ClassVar[frozenset[str]] = frozenset({"write"})
    argument: ClassVar[str] = "value"

    def draw(self, chance: random.Random, number: int) -> tuple[str, Any]:
        return "write", number
