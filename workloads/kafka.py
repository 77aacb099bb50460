"""Producers append to logs, and consumers read on from where each of them has come to.

A log is retired after a number of messages and a fresh one takes its place. A poll says where it
begins, for each log: what its process has not seen yet. At the end every log is read as a whole.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import msgspec

from harness.core import generate as g
from harness.core.contracts import Body, Client
from harness.core.errors import ClientError, Problem
from harness.core.generate import PENDING, Answer, Context, Generator
from harness.core.operation import Event, Operation
from harness.core.options import Option, Options
from workloads.transactions import unanswered

__all__ = ["Kafka"]

_COMMIT, _LIST = "commit_offsets", "list_committed_offsets"
_NEEDED = frozenset({"send", "poll", _COMMIT, _LIST})
_REPLIES = {"send": "offset", "poll": "msgs", _LIST: "offsets"}
_SEND_SHARE, _POLL_SHARE, _COMMIT_SHARE = 0.45, 0.45, 0.05


class Kafka:
    """See the module."""

    name: ClassVar[str] = "kafka"
    summary: ClassVar[str] = "logs: messages are sent, polled from an offset on, and committed"
    checkers: ClassVar[tuple[str, ...]] = ("kafka", "availability", "latency")
    required: ClassVar[tuple[str, ...]] = ("send", "poll")
    model: ClassVar[str] = "kafka"
    options: ClassVar[tuple[Option, ...]] = (
        Option(name="keys", default=3, minimum=1, summary="logs in use at a time"),
        Option(
            name="messages-per-key",
            default=150,
            minimum=1,
            maximum=500,
            summary="messages after which a log is retired for a fresh one",
        ),
    )

    def problems(self, operations: frozenset[str], options: Options) -> list[Problem]:
        return unanswered(_NEEDED, operations)

    def generator(self, operations: frozenset[str], options: Options) -> Generator:
        keys = int(options["keys"])  # type: ignore[arg-type]  # numbers, both
        limit = int(options["messages-per-key"])  # type: ignore[arg-type]
        return _Logs(
            limit=limit,
            slots=tuple((str(key), limit) for key in range(keys)),
            fresh_key=keys,
            fresh_message=1,
            places={},
        )

    def final(self, history_keys: Sequence[Any], options: Options) -> Generator | None:
        polls = [
            g.until_ok(g.limit(5, g.concurrency_limit(1, g.repeat(poll))))
            for poll in (Operation(f="poll", value={key: 0}) for key in history_keys)
        ]
        return g.phases(*polls) if polls else None

    async def invoke(self, client: Client, operation: Operation, timeout_s: float) -> Any:
        f, value = operation.f, operation.value
        reply = await client.call(_request(operation), timeout_s)
        if f == _COMMIT:
            return value
        if _REPLIES[f] not in reply:
            raise ClientError(13, f"malformed reply to {f}: {reply}")
        return reply[_REPLIES[f]]


def _request(operation: Operation) -> Body:
    f, value = operation.f, operation.value
    match f:
        case "send":
            return {"type": f, "key": operation.key, "msg": value}
        case "poll" | "commit_offsets":
            return {"type": f, "offsets": value}
        case _:
            return {"type": f, "keys": value}


class _Logs(msgspec.Struct, frozen=True, eq=False, kw_only=True):
    """``slots`` are the logs in use with the messages left for each; ``places`` how far each
    process has come: by process, the next offset of each log."""

    limit: int
    slots: tuple[tuple[str, int], ...]
    fresh_key: int
    fresh_message: int
    places: Mapping[int, Mapping[str, int]]

    def op(self, context: Context) -> Answer:
        chance = context.random
        if not context.free_threads:
            return PENDING
        free = context.free_threads
        process = context.process_of(free[int(chance.random() * len(free))])
        keys = [key for key, _ in self.slots]
        places = self.places.get(process, {})
        draw = chance.random()
        if draw < _SEND_SHARE:
            return self._send(context, process)
        if draw < _SEND_SHARE + _POLL_SHARE:
            wanted = Operation(f="poll", value={key: places.get(key, 0) for key in keys})
        elif draw < _SEND_SHARE + _POLL_SHARE + _COMMIT_SHARE and places:
            offsets = {key: places[key] for key in keys if key in places}
            wanted = Operation(f=_COMMIT, value=offsets)
        else:
            wanted = Operation(f=_LIST, value=keys)
        return _filled(context, wanted, process), self

    def _send(self, context: Context, process: int) -> Answer:
        at = int(context.random.random() * len(self.slots))
        key, left = self.slots[at]
        done = left == 1
        slot = (str(self.fresh_key), self.limit) if done else (key, left - 1)
        wanted = Operation(f="send", key=key, value=self.fresh_message)
        return _filled(context, wanted, process), msgspec.structs.replace(
            self,
            slots=(*self.slots[:at], slot, *self.slots[at + 1 :]),
            fresh_key=self.fresh_key + done,
            fresh_message=self.fresh_message + 1,
        )

    def update(self, context: Context, event: Event) -> Generator:
        if event.f != "poll" or event.type != "ok" or not isinstance(event.process, int):
            return self
        before = self.places.get(event.process, {})
        seen = {key: messages[-1][0] + 1 for key, messages in event.value.items() if messages}
        kept = {key: place for key, place in before.items() if key in event.value}
        return msgspec.structs.replace(
            self, places={**self.places, event.process: {**kept, **seen}}
        )


def _filled(context: Context, wanted: Operation, process: int) -> Operation:
    operation = context.fill(
        Operation(f=wanted.f, key=wanted.key, value=wanted.value, process=process)
    )
    assert isinstance(operation, Operation), "the process was free"
    return operation
