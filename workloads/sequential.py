"""Reads and writes of single registers: is there one order of everything that each process could
have seen, whatever the clock on the wall says?

Unlike linearizability this is no property of each key alone, so that all keys are judged together.
No value is written twice.
"""

from __future__ import annotations

from typing import ClassVar

from harness.core.generate import Generator
from harness.core.options import Option, Options
from workloads.register import Register
from workloads.single_registers import SESSION_OPTIONS

__all__ = ["Sequential"]


class Sequential(Register):
    """See the module."""

    name: ClassVar[str] = "sequential"
    summary: ClassVar[str] = "reads and writes of few keys, judged without a common clock"
    checkers: ClassVar[tuple[str, ...]] = ("sequential", "availability", "latency")
    model: ClassVar[str] = "register"
    options: ClassVar[tuple[Option, ...]] = SESSION_OPTIONS

    def generator(self, operations: frozenset[str], options: Options) -> Generator:
        return super().generator(operations & {"read", "write"}, {**options, "values": "unique"})
