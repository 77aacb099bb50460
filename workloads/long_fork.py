"""Writes of single keys, each once, and reads of groups of them: do two readers disagree about
which write came first?

A group has few keys, written about the same time and read again and again; then a fresh one takes
its place. Parallel snapshot isolation lets the readers disagree, snapshot isolation does not.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import msgspec

from harness.core.contracts import Client
from harness.core.errors import Problem
from harness.core.generate import PENDING, Answer, Context, Generator
from harness.core.operation import Event, Operation
from harness.core.options import Option, Options
from workloads.transactions import TRANSACTION, transact, unanswered

__all__ = ["LongFork"]

_WRITE_SHARE = 0.4


class LongFork:
    """See the module."""

    name: ClassVar[str] = "long-fork"
    summary: ClassVar[str] = "single writes, and reads of groups of keys that may disagree"
    checkers: ClassVar[tuple[str, ...]] = ("long-fork", "availability", "latency")
    required: ClassVar[tuple[str, ...]] = (TRANSACTION,)
    model: ClassVar[str] = "rw-register"
    options: ClassVar[tuple[Option, ...]] = (
        Option(name="group-size", default=2, minimum=2, summary="keys that are read together"),
        Option(name="groups", default=2, minimum=1, summary="groups in use at a time"),
        Option(
            name="reads-per-group",
            default=20,
            minimum=2,
            summary="reads after which a group is retired for a fresh one",
        ),
    )

    def problems(self, operations: frozenset[str], options: Options) -> list[Problem]:
        return unanswered(frozenset({TRANSACTION}), operations)

    def generator(self, operations: frozenset[str], options: Options) -> Generator:
        groups = int(options["groups"])  # type: ignore[arg-type]  # numbers, all of them
        size = int(options["group-size"])  # type: ignore[arg-type]
        reads = int(options["reads-per-group"])  # type: ignore[arg-type]
        return _Groups(
            size=size,
            reads=reads,
            slots=tuple((group * size, 0, reads) for group in range(groups)),
            fresh=groups * size,
        )

    def final(self, history_keys: Sequence[Any], options: Options) -> Generator | None:
        return None

    async def invoke(self, client: Client, operation: Operation, timeout_s: float) -> Any:
        return await transact(client, operation.value, timeout_s)


class _Groups(msgspec.Struct, frozen=True, eq=False, kw_only=True):
    """``slots`` are the groups in use: first key, keys written so far, reads left."""

    size: int
    reads: int
    slots: tuple[tuple[int, int, int], ...]
    fresh: int

    def op(self, context: Context) -> Answer:
        if not context.free_threads:
            return PENDING
        chance = context.random
        at = int(chance.random() * len(self.slots))
        first, written, left = self.slots[at]
        fresh = self.fresh
        value: list[list[Any]]
        if written < self.size and (left == 1 or chance.random() < _WRITE_SHARE):
            value, slot = [["w", first + written, 1]], (first, written + 1, left)
        else:
            keys = list(range(first, first + self.size))
            chance.shuffle(keys)
            value, slot = [["r", key, None] for key in keys], (first, written, left - 1)
        if slot[2] == 0:
            slot, fresh = (fresh, 0, self.reads), fresh + self.size
        operation = context.fill(Operation(f=TRANSACTION, value=value))
        assert isinstance(operation, Operation), "no free thread, though there was one"
        slots = (*self.slots[:at], slot, *self.slots[at + 1 :])
        return operation, msgspec.structs.replace(self, slots=slots, fresh=fresh)

    def update(self, context: Context, event: Event) -> Generator:
        return self
