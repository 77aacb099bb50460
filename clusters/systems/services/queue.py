"""A queue: what goes in comes out once, in that order.

``{"type": "enqueue", "value": v}``; ``dequeue`` is answered by a ``value`` (null: the queue is
empty), ``drain`` by all ``values``.
"""

from __future__ import annotations

from collections import deque
from typing import Any, ClassVar

from clusters.system import System
from clusters.systems.services.service import Service, bug_option
from harness.core.contracts import Body, Node, Replica
from harness.core.options import Option, Options

__all__ = ["Queue"]

_EVERY = 6
"""A planted bug strikes about every so many requests."""


class Queue(System):
    """The cluster. ``loses`` acknowledges a value and throws it away, ``duplicates`` gives one out
    twice, ``reorders`` gives out any of those that wait."""

    name: ClassVar[str] = "queue"
    summary: ClassVar[str] = "queue on one node"
    operations: ClassVar[frozenset[str]] = frozenset({"enqueue", "dequeue", "drain"})
    nodes_default: ClassVar[int] = 3
    has_primary: ClassVar[bool] = True
    options: ClassVar[tuple[Option, ...]] = (bug_option("loses", "duplicates", "reorders"),)

    def replica(self, node: Node, options: Options) -> Replica:
        return _Queue(node, self.operations, str(options["bug"]))


class _Queue(Service):
    def __init__(self, node: Node, kinds: frozenset[str], bug: str) -> None:
        super().__init__(node, kinds, bug)
        self._values: deque[Any] = deque()

    def answer(self, client: str, body: Body) -> tuple[Body, Any]:
        kind = body["type"]
        strikes = self.node.random.random() * _EVERY < 1
        if kind == "enqueue":
            lost = self.bug == "loses" and strikes
            return {"type": "enqueue_ok"}, None if lost else ["in", body["value"]]
        if kind == "drain":
            return {"type": "drain_ok", "values": list(self._values)}, ["clear"]
        if not self._values:
            return {"type": "dequeue_ok", "value": None}, None
        reorders = self.bug == "reorders" and strikes
        at = int(self.node.random.random() * len(self._values)) if reorders else 0
        event = None if self.bug == "duplicates" and strikes else ["out", at]
        return {"type": "dequeue_ok", "value": self._values[at]}, event

    def apply(self, event: Any) -> None:
        match event:
            case ["in", value]:
                self._values.append(value)
            case ["out", at]:
                del self._values[at]
            case ["clear"]:
                self._values.clear()
