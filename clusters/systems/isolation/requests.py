"""The requests of clients, as transactions: what all replicas of the store have in common."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from clusters.systems.isolation.versions import Micro, micro_operations
from harness.core.contracts import Body, Handler, Message, Node

__all__ = ["TransactionalReplica"]


class TransactionalReplica:
    """Translates requests; a subclass runs the transactions. The first node is the primary."""

    def __init__(self, node: Node) -> None:
        self.node = node
        self.primary = node.peers[0]

    async def start(self) -> None:
        raise NotImplementedError

    async def transact(self, session: str, transaction: Sequence[Micro]) -> Sequence[Micro]:
        """Run a transaction of the client ``session``; its micro-operations with what was read."""
        raise NotImplementedError

    def handlers(self) -> Mapping[str, Handler]:
        return {
            "txn": self._txn,
            "read": self._read,
            "write": self._write,
            "_primary": lambda _: {
                "type": "_primary_ok",
                "primary": self.node.name == self.primary,
            },
        }

    async def _txn(self, message: Message) -> Body:
        transaction = micro_operations(message.body.get("txn"))
        return {"type": "txn_ok", "txn": await self.transact(message.src, transaction)}

    async def _read(self, message: Message) -> Body:
        done = await self.transact(message.src, (("r", message.body["key"], None),))
        return {"type": "read_ok", "value": done[0][2]}

    async def _write(self, message: Message) -> Body:
        body = message.body
        await self.transact(message.src, (("w", body["key"], body["value"]),))
        return {"type": "write_ok"}
