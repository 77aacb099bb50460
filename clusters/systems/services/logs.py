"""Append-only logs like those of Kafka, in the words of Maelstrom's workload ``kafka``.

``send`` appends a message to the log of a key and is answered by its ``offset``; ``poll`` names the
``offsets`` to read from and is answered by ``msgs``, for each key a list of offset and message;
``commit_offsets`` and ``list_committed_offsets`` keep how far consumers have come.
"""

from __future__ import annotations

from typing import Any, ClassVar

from clusters.system import System
from clusters.systems.services.service import Service, bug_option
from harness.core.contracts import Body, Node, Replica
from harness.core.options import Option, Options

__all__ = ["Logs"]

_EVERY = 15
_BATCH_MAX = 500


class Logs(System):
    """The cluster. ``loses`` acknowledges a message that is never there, ``overwrites`` gives two
    messages one offset, ``skips`` leaves a message out of a poll."""

    name: ClassVar[str] = "logs"
    summary: ClassVar[str] = "append-only logs with offsets on one node (like Kafka)"
    operations: ClassVar[frozenset[str]] = frozenset(
        {"send", "poll", "commit_offsets", "list_committed_offsets"}
    )
    nodes_default: ClassVar[int] = 3
    has_primary: ClassVar[bool] = True
    options: ClassVar[tuple[Option, ...]] = (bug_option("loses", "overwrites", "skips"),)

    def replica(self, node: Node, options: Options) -> Replica:
        return _Logs(node, self.operations, str(options["bug"]))


class _Logs(Service):
    """A log is a list of messages, and of holes where one was lost."""

    def __init__(self, node: Node, kinds: frozenset[str], bug: str) -> None:
        super().__init__(node, kinds, bug)
        self._messages: dict[str, list[tuple[Any, ...]]] = {}
        self._committed: dict[str, int] = {}

    def answer(self, client: str, body: Body) -> tuple[Body, Any]:
        match body["type"]:
            case "send":
                return self._send(str(body["key"]), body["msg"])
            case "poll":
                found = {key: self._from(key, offset) for key, offset in body["offsets"].items()}
                return {"type": "poll_ok", "msgs": found}, None
            case "commit_offsets":
                return {"type": "commit_offsets_ok"}, ["commit", body["offsets"]]
            case _:
                offsets = {
                    str(key): self._committed[str(key)]
                    for key in body["keys"]
                    if str(key) in self._committed
                }
                return {"type": "list_committed_offsets_ok", "offsets": offsets}, None

    def _send(self, key: str, message: Any) -> tuple[Body, Any]:
        offset = len(self._messages.get(key, ()))
        strikes = self.node.random.random() * _EVERY < 1
        event = ["append", key, message]
        if strikes and self.bug == "loses":
            event = ["hole", key]
        elif strikes and self.bug == "overwrites" and offset:
            offset, event = offset - 1, ["overwrite", key, message]
        return {"type": "send_ok", "offset": offset}, event

    def _from(self, key: str, offset: int) -> list[list[Any]]:
        messages = self._messages.get(key, [])[offset : offset + _BATCH_MAX]
        found = [[offset + at, *one] for at, one in enumerate(messages) if one]
        if self.bug == "skips" and len(found) > 1 and self.node.random.random() * _EVERY < 1:
            del found[int(self.node.random.random() * (len(found) - 1))]
        return found

    def apply(self, event: Any) -> None:
        match event:
            case ["append", key, message]:
                self._messages.setdefault(key, []).append((message,))
            case ["hole", key]:
                self._messages.setdefault(key, []).append(())
            case ["overwrite", key, message]:
                self._messages[key][-1] = (message,)
            case ["commit", offsets]:
                for key, offset in offsets.items():
                    self._committed[key] = max(offset, self._committed.get(key, 0))
