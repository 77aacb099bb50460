"""Reads and writes of single registers: does anybody see an effect without its cause?

What a process wrote or read before it writes is a cause of that write; whoever sees the write must
not miss the cause. No value is written twice, so that each read says which write it saw.
"""

from __future__ import annotations

from typing import ClassVar

from harness.core.generate import Generator
from harness.core.options import Option, Options
from workloads.register import Register
from workloads.single_registers import SESSION_OPTIONS

__all__ = ["Causal"]


class Causal(Register):
    """See the module."""

    name: ClassVar[str] = "causal"
    summary: ClassVar[str] = "reads and writes of few keys, judged by what each knew before"
    checkers: ClassVar[tuple[str, ...]] = ("causal", "availability", "latency")
    model: ClassVar[str] = "register"
    options: ClassVar[tuple[Option, ...]] = SESSION_OPTIONS

    def generator(self, operations: frozenset[str], options: Options) -> Generator:
        return super().generator(operations & {"read", "write"}, {**options, "values": "unique"})
