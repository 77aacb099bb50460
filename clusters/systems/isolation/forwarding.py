"""A node of the store with one copy of the data: the primary, or one that hands requests on.

An answer that says *aborted* must stay true whatever the network does with a second copy of the
request. Within one life of the primary, copies are known by their identity; a primary that was
started again refuses whatever names an earlier *epoch*, for ever.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from clusters.systems.isolation.levels import Level
from clusters.systems.isolation.primary import Pace, Primary
from clusters.systems.isolation.promises import Order
from clusters.systems.isolation.requests import TransactionalReplica
from clusters.systems.isolation.versions import Micro
from harness.core.contracts import Body, Handler, Message, Node
from harness.core.errors import ClientError, RpcError

__all__ = ["ForwardingReplica"]

_RPC_S = 5.0
_UNAVAILABLE = 11
_IDENTITIES_MAX = 100_000
"""How many requests are remembered. A copy does not arrive that many requests later."""


class ForwardingReplica(TransactionalReplica):
    """See the module."""

    def __init__(self, node: Node, level: Level, order: Order, pace: Pace) -> None:
        super().__init__(node)
        self._store = Primary(node, level, order, pace)
        self._seen: dict[int, None] = {}
        self._epoch: int | None = None
        """That of the primary, as it was last heard."""

    async def start(self) -> None:
        if self.node.name == self.primary:
            await self._store.start()

    def handlers(self) -> Mapping[str, Handler]:
        return {**super().handlers(), "epoch": self._tell_epoch, "run": self._run}

    async def transact(self, session: str, transaction: Sequence[Micro]) -> Sequence[Micro]:
        if self.node.name == self.primary:
            return await self._store.transact(session, transaction)
        if self._epoch is None:
            self._epoch = await self._ask_epoch()
        body = {
            "type": "run",
            "epoch": self._epoch,
            "identity": self.node.random.getrandbits(62),
            "session": session,
            "txn": transaction,
        }
        try:
            reply = await self.node.rpc(self.primary, body, _RPC_S)
        except RpcError as error:
            if error.code in (0, _UNAVAILABLE):
                self._epoch = None
            raise ClientError(error.code, error.text) from error
        return [(kind, key, value) for kind, key, value in reply["txn"]]

    async def _ask_epoch(self) -> int:
        """Nothing was asked for yet: whatever goes wrong is definite."""
        try:
            reply = await self.node.rpc(self.primary, {"type": "epoch"}, _RPC_S)
        except RpcError as error:
            raise ClientError(_UNAVAILABLE, f"no primary: {error.text}") from error
        epoch: int = reply["epoch"]
        return epoch

    def _tell_epoch(self, message: Message) -> Body:
        return {"type": "epoch_ok", "epoch": self._store.epoch}

    async def _run(self, message: Message) -> Body | None:
        body = message.body
        if body["epoch"] != self._store.epoch:
            raise ClientError(_UNAVAILABLE, "the primary was started again")
        if body["identity"] in self._seen:
            return None  # the first copy is answered
        self._seen[body["identity"]] = None
        if len(self._seen) > _IDENTITIES_MAX:
            del self._seen[next(iter(self._seen))]
        transaction = [(kind, key, value) for kind, key, value in body["txn"]]
        done = await self._store.transact(body["session"], transaction)
        return {"type": "run_ok", "txn": done}
