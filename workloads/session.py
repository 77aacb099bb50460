"""Reads and writes of single registers: what does each session see of itself and of others?

Read your writes, monotonic reads, monotonic writes, writes follow reads: each is a promise to one
session (a process), across all keys. No value is written twice.
"""

from __future__ import annotations

from typing import ClassVar

from harness.core.generate import Generator
from harness.core.options import Option, Options
from workloads.register import Register
from workloads.single_registers import SESSION_OPTIONS

__all__ = ["Session"]


class Session(Register):
    """See the module."""

    name: ClassVar[str] = "session"
    summary: ClassVar[str] = "reads and writes of few keys, judged session by session"
    checkers: ClassVar[tuple[str, ...]] = ("session", "availability", "latency")
    model: ClassVar[str] = "register"
    options: ClassVar[tuple[Option, ...]] = SESSION_OPTIONS

    def generator(self, operations: frozenset[str], options: Options) -> Generator:
        return super().generator(operations & {"read", "write"}, {**options, "values": "unique"})
