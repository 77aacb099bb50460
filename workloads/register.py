"""Independent registers: reads, writes and (where the cluster has it) compare-and-set.

Clients work on few keys at a time, since it is contention that brings anomalies to light; a key is
retired after a number of operations and a fresh one takes its place, so that each key's history
stays short however long the run. Values are unique by default, which keeps checking cheap and makes
every read say exactly which write it saw.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar

from harness.core.contracts import Client
from harness.core.errors import ClientError, Problem
from harness.core.generate import PENDING, Answer, Context, Generator, each_thread
from harness.core.operation import Event, Operation
from harness.core.options import Option, Options

__all__ = ["Register"]

_SMALL_VALUES = 5


class Register:
    """See the module."""

    name: ClassVar[str] = "register"
    summary: ClassVar[str] = "reads, writes and compare-and-set on independent keys"
    checkers: ClassVar[tuple[str, ...]] = ("linearizable", "availability", "latency")
    required: ClassVar[tuple[str, ...]] = ("read", "write")
    model: ClassVar[str] = "cas-register"
    options: ClassVar[tuple[Option, ...]] = (
        Option(name="keys", default=2, minimum=1, summary="keys in use at a time"),
        Option(
            name="operations-per-key",
            default=1000,
            minimum=2,
            summary="operations after which a key is retired for a fresh one",
        ),
        Option(
            name="read-share",
            default=0.5,
            minimum=0.01,
            maximum=0.99,
            summary="share of reads among the operations",
        ),
        Option(
            name="values",
            default="unique",
            choices=("unique", "small"),
            summary="unique: no value is written twice; small: five values, over and over",
        ),
    )

    def problems(self, operations: frozenset[str], options: Options) -> list[Problem]:
        missing = sorted({"read", "write"} - operations)
        if not missing:
            return []
        return [
            Problem(
                f"a cluster without {' and '.join(missing)}",
                "a cluster that answers read and write",
                "choose another cluster or workload (see `harness list`)",
            )
        ]

    def generator(self, operations: frozenset[str], options: Options) -> Generator:
        keys = int(options["keys"])  # type: ignore[arg-type]  # declared as a number
        limit = int(options["operations-per-key"])  # type: ignore[arg-type]
        return _Registers(
            slots=tuple(_Slot(key=key, left=limit) for key in range(keys)),
            settings=_Settings(
                limit=limit,
                read_share=float(options["read-share"]),  # type: ignore[arg-type]
                unique=options["values"] == "unique",
                cas="cas" in operations,
            ),
            next_key=keys,
        )

    def final(self, history_keys: Sequence[Any], options: Options) -> Generator | None:
        reads = [Operation(f="read", key=key) for key in history_keys]
        return each_thread(reads) if reads else None

    async def invoke(self, client: Client, operation: Operation, timeout_s: float) -> Any:
        key, value = operation.key, operation.value
        match operation.f:
            case "read":
                reply = await client.call({"type": "read", "key": key}, timeout_s)
                if "value" not in reply:
                    raise ClientError(13, f"malformed reply to a read: {reply}")
                return reply["value"]
            case "write":
                await client.call({"type": "write", "key": key, "value": value}, timeout_s)
                return value
            case "cas":
                body = {"type": "cas", "key": key, "from": value[0], "to": value[1]}
                await client.call(body, timeout_s)
                return value
            case other:
                raise AssertionError(other)


@dataclass(frozen=True, slots=True)
class _Settings:
    limit: int
    read_share: float
    unique: bool
    cas: bool


@dataclass(frozen=True, slots=True)
class _Slot:
    """A key in use: how many operations it has left, and the value last seen in it."""

    key: int
    left: int
    last: Any = None


@dataclass(frozen=True, slots=True)
class _Registers:
    """The generator: immutable, as all generators are."""

    slots: tuple[_Slot, ...]
    settings: _Settings
    next_key: int
    next_value: int = 1
    _cas_share: float = field(default=0.3)

    def op(self, context: Context) -> Answer:
        if not context.free_threads:
            return PENDING
        chance = context.random
        at = int(chance.random() * len(self.slots))
        slot, settings = self.slots[at], self.settings
        value: Any = None
        f = "read"
        if chance.random() >= settings.read_share:
            f = "write"
            value = self.next_value if settings.unique else int(chance.random() * _SMALL_VALUES)
            if settings.cas and slot.last is not None and chance.random() < self._cas_share:
                f, value = "cas", [slot.last, value]
        operation = context.fill(Operation(f=f, key=slot.key, value=value))
        assert isinstance(operation, Operation), "no free thread, though there was one"
        return operation, self._after(at, wrote=f != "read")

    def update(self, context: Context, event: Event) -> Generator:
        """Remember what a key was last seen to hold: a good guess for the next compare-and-set."""
        if not self.settings.cas or event.type != "ok" or event.value is None:
            return self
        seen = event.value[1] if event.f == "cas" else event.value
        slots = tuple(
            replace(slot, last=seen) if slot.key == event.key else slot for slot in self.slots
        )
        return replace(self, slots=slots)

    def _after(self, at: int, *, wrote: bool) -> _Registers:
        slot = self.slots[at]
        fresh = slot.left <= 1
        slot = (
            _Slot(self.next_key, self.settings.limit)
            if fresh
            else _Slot(slot.key, slot.left - 1, slot.last)
        )
        return _Registers(
            (*self.slots[:at], slot, *self.slots[at + 1 :]),
            self.settings,
            self.next_key + fresh,
            self.next_value + wrote,
        )
