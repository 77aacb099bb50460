"""A generator of unique ids: every node gives out its own, without asking the others.

``{"type": "generate"}`` is answered by an ``id``: the name of the node, which of its lives this is,
and a number.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from clusters.system import System
from clusters.systems.services.service import bug_option
from harness.core.contracts import Body, Handler, Message, Node, Replica
from harness.core.options import Option, Options

__all__ = ["Identifiers"]

_LIVES = "lives"


class Identifiers(System):
    """The cluster. ``forgets-node`` leaves out which node it was, ``forgets-life`` which life (so
    that ids come again after a crash), and ``random`` draws a number of 16 bits."""

    name: ClassVar[str] = "identifiers"
    summary: ClassVar[str] = "unique ids, given out by every node on its own"
    operations: ClassVar[frozenset[str]] = frozenset({"generate"})
    nodes_default: ClassVar[int] = 3
    options: ClassVar[tuple[Option, ...]] = (bug_option("forgets-node", "forgets-life", "random"),)

    def replica(self, node: Node, options: Options) -> Replica:
        return _Identifiers(node, str(options["bug"]))


class _Identifiers:
    def __init__(self, node: Node, bug: str) -> None:
        self.node = node
        self.bug = bug
        self.life = 1
        self.last = 0

    async def start(self) -> None:
        self.life = len(self.node.disk.read(_LIVES)) + 1
        self.node.disk.append(_LIVES, b"life")
        await self.node.disk.sync(_LIVES)

    def handlers(self) -> Mapping[str, Handler]:
        return {"generate": self._generate}

    def _generate(self, message: Message) -> Body:
        self.last += 1
        parts = [self.node.name, str(self.life), str(self.last)]
        if self.bug == "random":
            parts = [str(self.node.random.getrandbits(16))]
        elif self.bug == "forgets-node":
            del parts[0]
        elif self.bug == "forgets-life":
            del parts[1]
        return {"type": "generate_ok", "id": "-".join(parts)}
