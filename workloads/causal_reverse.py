"""Blind writes one after the other, and reads of all of them: is a later one seen without an
earlier one that had already returned?

Each key is a small set; a value of it is a register of its own, written once, and a read is one
transaction over all of them. Strict serializability forbids the anomaly, serializability alone does
not.
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

__all__ = ["CausalReverse"]

_VALUES = 8
"""Values of a key: few, so that a read of them all is a short transaction."""
_WRITE_SHARE = 0.4


class CausalReverse:
    """See the module."""

    name: ClassVar[str] = "causal-reverse"
    summary: ClassVar[str] = "blind writes, and reads that may see a later one without an earlier"
    checkers: ClassVar[tuple[str, ...]] = ("causal-reverse", "availability", "latency")
    required: ClassVar[tuple[str, ...]] = ("write", "read")
    model: ClassVar[str] = "g-set"
    options: ClassVar[tuple[Option, ...]] = (
        Option(name="keys", default=2, minimum=1, summary="keys in use at a time"),
    )

    def problems(self, operations: frozenset[str], options: Options) -> list[Problem]:
        return unanswered(frozenset({TRANSACTION}), operations)

    def generator(self, operations: frozenset[str], options: Options) -> Generator:
        keys = int(options["keys"])  # type: ignore[arg-type]  # a number
        return _Sets(slots=tuple((key, 0) for key in range(keys)), fresh=keys)

    def final(self, history_keys: Sequence[Any], options: Options) -> Generator | None:
        return None

    async def invoke(self, client: Client, operation: Operation, timeout_s: float) -> Any:
        key, value = operation.key, operation.value
        if operation.f == "write":
            await transact(client, [["w", _register(key, value), value]], timeout_s)
            return value
        reads = [["r", _register(key, one), None] for one in range(_VALUES)]
        seen = await transact(client, reads, timeout_s)
        return [one for _, _, one in seen if one is not None]


def _register(key: Any, value: int) -> str:
    return f"{key}-{value}"


class _Sets(msgspec.Struct, frozen=True, eq=False, kw_only=True):
    """``slots`` are the keys in use, each with the next value to write."""

    slots: tuple[tuple[int, int], ...]
    fresh: int

    def op(self, context: Context) -> Answer:
        if not context.free_threads:
            return PENDING
        chance = context.random
        at = int(chance.random() * len(self.slots))
        key, value = self.slots[at]
        slot, fresh = (key, value), self.fresh
        wanted = Operation(f="read", key=key)
        if chance.random() < _WRITE_SHARE:
            if value == _VALUES:
                key, value, fresh = fresh, 0, fresh + 1
            wanted, slot = Operation(f="write", key=key, value=value), (key, value + 1)
        operation = context.fill(wanted)
        assert isinstance(operation, Operation), "no free thread, though there was one"
        slots = (*self.slots[:at], slot, *self.slots[at + 1 :])
        return operation, msgspec.structs.replace(self, slots=slots, fresh=fresh)

    def update(self, context: Context, event: Event) -> Generator:
        return self
