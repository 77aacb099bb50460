"""Systems whose first node has everything: the others hand requests on to it.

An answer that says *it did not happen* must stay true whatever the network does with a second copy
of the request. Within one life of the first node, copies are known by their identity; once it was
started again, it refuses whatever names an earlier *epoch*, for ever.
"""

from __future__ import annotations

import abc
from collections.abc import Mapping

from harness.core.contracts import Body, Handler, Message, Node
from harness.core.errors import ClientError, RpcError

__all__ = ["ForwardingReplica"]

_RPC_S = 5.0
_UNAVAILABLE = 11
_IDENTITIES_MAX = 100_000
"""How many requests are remembered. A copy does not arrive that many requests later."""


class ForwardingReplica(abc.ABC):
    """One node. ``kinds`` are the types of the requests that are handed on."""

    def __init__(self, node: Node, kinds: tuple[str, ...]) -> None:
        self.node = node
        self.primary = node.peers[0]
        self._kinds = kinds
        self._seen: dict[int, None] = {}
        self._epoch: int | None = None
        """The life of the first node: its own there, elsewhere as it was last heard."""

    @abc.abstractmethod
    async def recover(self) -> int:
        """Recover from the disk, on the first node; which life this is."""

    @abc.abstractmethod
    async def serve(self, client: str, body: Body) -> Body:
        """The reply to a request of ``client``, on the first node. Raises ``ClientError``."""

    async def start(self) -> None:
        if self.node.name == self.primary:
            self._epoch = await self.recover()

    def handlers(self) -> Mapping[str, Handler]:
        return {
            **dict.fromkeys(self._kinds, self._request),
            "_primary": self._tell_primary,
            "epoch": self._tell_epoch,
            "handed_on": self._handed_on,
        }

    async def _request(self, message: Message) -> Body:
        body = {name: value for name, value in message.body.items() if name != "msg_id"}
        if self.node.name == self.primary:
            return await self.serve(message.src, body)
        if self._epoch is None:
            self._epoch = await self._ask_epoch()
        request = {
            "type": "handed_on",
            "epoch": self._epoch,
            "identity": self.node.random.getrandbits(62),
            "client": message.src,
            "body": body,
        }
        try:
            reply = await self.node.rpc(self.primary, request, _RPC_S)
        except RpcError as error:
            if error.code in (0, _UNAVAILABLE):
                self._epoch = None
            raise ClientError(error.code, error.text) from error
        done: Body = reply["body"]
        return done

    async def _ask_epoch(self) -> int:
        """Nothing was asked for yet: whatever goes wrong is definite."""
        try:
            reply = await self.node.rpc(self.primary, {"type": "epoch"}, _RPC_S)
        except RpcError as error:
            raise ClientError(_UNAVAILABLE, f"no primary: {error.text}") from error
        epoch: int = reply["epoch"]
        return epoch

    def _tell_primary(self, message: Message) -> Body:
        return {"type": "_primary_ok", "primary": self.node.name == self.primary}

    def _tell_epoch(self, message: Message) -> Body:
        return {"type": "epoch_ok", "epoch": self._epoch}

    async def _handed_on(self, message: Message) -> Body | None:
        body = message.body
        if body["epoch"] != self._epoch:
            raise ClientError(_UNAVAILABLE, "the primary was started again")
        if body["identity"] in self._seen:
            return None  # the first copy is answered
        self._seen[body["identity"]] = None
        if len(self._seen) > _IDENTITIES_MAX:
            del self._seen[next(iter(self._seen))]
        return {"type": "handed_on_ok", "body": await self.serve(body["client"], body["body"])}
