"""Processes that acquire locks, write to what these protect, and release them.

Now and then one writes with the token of a lock that it has given back, as a client would that has
slept through the end of its lease: this must be refused once somebody else has written.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import msgspec

from harness.core.contracts import Client
from harness.core.errors import ClientError, Problem
from harness.core.generate import PENDING, Answer, Context, Generator
from harness.core.operation import Event, Operation
from harness.core.options import Option, Options
from workloads.transactions import unanswered

__all__ = ["Lock"]

_WRITE_SHARE = 0.4
_STALE_SHARE = 0.15


class Lock:
    """See the module."""

    name: ClassVar[str] = "lock"
    summary: ClassVar[str] = "locks that are acquired and released, with fencing tokens"
    checkers: ClassVar[tuple[str, ...]] = ("lock", "availability", "latency")
    required: ClassVar[tuple[str, ...]] = ("acquire", "release")
    model: ClassVar[str] = "mutex"
    options: ClassVar[tuple[Option, ...]] = (
        Option(name="keys", default=3, minimum=1, summary="how many locks there are"),
    )

    def problems(self, operations: frozenset[str], options: Options) -> list[Problem]:
        return unanswered(frozenset({"acquire", "release", "guarded_write"}), operations)

    def generator(self, operations: frozenset[str], options: Options) -> Generator:
        return _Holders(int(options["keys"]), {})  # type: ignore[arg-type]  # a number

    def final(self, history_keys: Sequence[Any], options: Options) -> Generator | None:
        return None

    async def invoke(self, client: Client, operation: Operation, timeout_s: float) -> Any:
        key, value = operation.key, operation.value
        match operation.f:
            case "acquire":
                reply = await client.call({"type": "acquire", "key": key}, timeout_s)
                if "token" not in reply:
                    raise ClientError(13, f"malformed reply to acquire: {reply}")
                return reply["token"]
            case "release":
                await client.call({"type": "release", "key": key}, timeout_s)
                return value
            case _:
                body = {"type": "guarded_write", "key": key, "token": value["token"]}
                await client.call(body, timeout_s)
                return value


class _Token(msgspec.Struct, frozen=True):
    """The last lock that a process acquired, and whether it still holds it."""

    key: int
    token: Any
    held: bool


class _Holders(msgspec.Struct, frozen=True, eq=False):
    """``last`` is what each process acquired last."""

    keys: int
    last: Mapping[int, _Token]

    def op(self, context: Context) -> Answer:
        free = context.free_threads
        if not free:
            return PENDING
        chance = context.random
        process = context.process_of(free[int(chance.random() * len(free))])
        last = self.last.get(process)
        if last is not None and chance.random() < (_WRITE_SHARE if last.held else _STALE_SHARE):
            wanted = Operation(
                f="write", key=last.key, value={"token": last.token}, process=process
            )
        elif last is not None and last.held:
            wanted = Operation(f="release", key=last.key, process=process)
        else:
            key = int(chance.random() * self.keys)
            wanted = Operation(f="acquire", key=key, process=process)
        operation = context.fill(wanted)
        assert isinstance(operation, Operation), "the process was free"
        return operation, self

    def update(self, context: Context, event: Event) -> Generator:
        process = event.process
        if event.type != "ok" or not isinstance(process, int):
            return self
        if event.f == "acquire":
            return _Holders(
                self.keys, {**self.last, process: _Token(event.key, event.value, held=True)}
            )
        if event.f == "release":
            last = self.last[process]
            return _Holders(
                self.keys, {**self.last, process: _Token(last.key, last.token, held=False)}
            )
        return self
