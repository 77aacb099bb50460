"""A service whose first node holds all of its state: a log of what has happened, replayed after a
crash.

Nothing is answered before everything that the answer may rest on is durable.
"""

from __future__ import annotations

import abc
from typing import Any

import msgspec

from clusters.systems.forwarding import ForwardingReplica
from harness.core.contracts import Body, Node
from harness.core.errors import ClientError
from harness.core.options import Option

__all__ = ["Service", "bug_option"]

_LOG = "log"
_MALFORMED = 12
_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder().decode


class Service(ForwardingReplica):
    """``bug`` is the name of the planted one, or ``none``."""

    def __init__(self, node: Node, kinds: frozenset[str], bug: str) -> None:
        super().__init__(node, tuple(sorted(kinds)))
        self.bug = bug

    @abc.abstractmethod
    def answer(self, client: str, body: Body) -> tuple[Body, Any]:
        """The reply to a request, and what it makes happen (None: nothing). Raises
        ``ClientError``."""

    @abc.abstractmethod
    def apply(self, event: Any) -> None:
        """Let something happen."""

    async def recover(self) -> int:
        epoch = 1
        for record in self.node.disk.read(_LOG):
            started, event = _decode(record)
            if started:
                epoch = started + 1
            else:
                self.apply(event)
        self.node.disk.append(_LOG, _encode([epoch, None]))
        await self.node.disk.sync(_LOG)
        return epoch

    async def serve(self, client: str, body: Body) -> Body:
        try:
            reply, event = self.answer(client, body)
        except KeyError as error:
            raise ClientError(_MALFORMED, f"{body['type']} without {error}") from error
        if event is not None:
            self.node.disk.append(_LOG, _encode([0, event]))
            self.apply(event)
        await self.node.disk.sync(_LOG)
        return reply


def bug_option(*names: str) -> Option:
    """The option that plants one of several bugs."""
    return Option(
        name="bug",
        default="none",
        choices=("none", *names),
        summary="a planted bug, for testing checkers",
    )
