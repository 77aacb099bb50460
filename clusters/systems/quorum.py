"""A quorum store: N replicas, writes to W of them, reads from R.

``documented`` is what the pattern's description says: the coordinator gives a write its own latest
version plus one, sends it to all replicas and succeeds at W acknowledgements; a read asks the
*first R* replicas (the list starts with the coordinator) and returns the value with the highest
version. ``corrected`` is the ABD register for several writers: a write first asks R replicas for
their tags and chooses a greater one; a read writes what it is about to return back to W replicas
before it returns it.

References: D. K. Gifford, *Weighted voting for replicated data*, SOSP 1979. H. Attiya, A. Bar-Noy
and D. Dolev, *Sharing memory robustly in message-passing systems*, JACM 42(1), 1995. N. Lynch and
A. Shvartsman, *Robust emulation of shared memory using dynamic quorum-acknowledged broadcasts*,
FTCS 1997 (several writers).
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Iterable, Mapping
from typing import Any, ClassVar

import msgspec

from clusters.system import System
from harness.core.contracts import Body, Handler, Message, Node, Replica
from harness.core.errors import ClientError, Problem, RpcError
from harness.core.options import Option, Options

__all__ = ["QuorumReplica", "QuorumStore"]

Tag = list[Any]
"""``[counter, writer, incarnation, sequence]``: compared from left to right. The documented
variant uses ``[version, "", 0, 0]``, so that equal versions are equal tags."""

_BOTTOM: Tag = [0, "", 0, 0]
_LOG = "log"
_RPC_S = 0.5
_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder().decode


class QuorumStore(System):
    """The cluster: options and their checks."""

    name: ClassVar[str] = "quorum"
    summary: ClassVar[str] = "quorum store (N, W, R), as documented or corrected (ABD)"
    operations: ClassVar[frozenset[str]] = frozenset({"read", "write"})
    options: ClassVar[tuple[Option, ...]] = (
        Option(
            name="variant",
            default="documented",
            choices=("documented", "corrected", "no-write-back"),
            summary="documented: first-R reads, highest version wins; corrected: ABD; "
            "no-write-back: ABD with a planted bug, for testing checkers",
        ),
        Option(name="w", default=0, minimum=0, summary="write quorum (0: a majority)"),
        Option(name="r", default=0, minimum=0, summary="read quorum (0: a majority)"),
        Option(
            name="read-repair",
            default=False,
            summary="a read sends the newest value that it saw to the replicas that lag",
        ),
        Option(
            name="sloppy",
            default=False,
            summary="allow W + R <= N: quorums that need not intersect",
        ),
    )

    def problems(self, options: Options, nodes: int) -> list[Problem]:
        write_quorum, read_quorum = _quorums(options, nodes)
        problems = [
            Problem(
                f"{name.upper()} = {size} with N = {nodes} nodes",
                f"a quorum of at most N = {nodes}",
                f"lower -o {name}={size}, or raise --nodes",
            )
            for name, size in (("w", write_quorum), ("r", read_quorum))
            if size > nodes
        ]
        if not problems and write_quorum + read_quorum <= nodes and not options["sloppy"]:
            problems.append(
                Problem(
                    f"W + R = {write_quorum} + {read_quorum} with N = {nodes} nodes",
                    "W + R > N, so that every read quorum meets every write quorum",
                    "raise -o w or -o r, or ask for it with -o sloppy=true",
                )
            )
        return problems

    def replica(self, node: Node, options: Options) -> Replica:
        write_quorum, read_quorum = _quorums(options, len(node.peers))
        kind = _VARIANTS[str(options["variant"])]
        return kind(node, write_quorum, read_quorum, read_repair=bool(options["read-repair"]))


def _quorums(options: Options, nodes: int) -> tuple[int, int]:
    majority = nodes // 2 + 1
    return int(options["w"]) or majority, int(options["r"]) or majority  # type: ignore[arg-type]


class QuorumReplica:
    """What both variants share: the store, its log, and the answers to other coordinators."""

    def __init__(
        self, node: Node, write_quorum: int, read_quorum: int, *, read_repair: bool
    ) -> None:
        self.node = node
        self.write_quorum = write_quorum
        self.read_quorum = read_quorum
        self.read_repair = read_repair
        at = node.peers.index(node.name)
        self.replicas = node.peers[at:] + node.peers[:at]
        self.store: dict[Any, tuple[Tag, Any]] = {}
        self.incarnation = 1
        self.sequence = 0

    async def start(self) -> None:
        for record in self.node.disk.read(_LOG):
            kind, *rest = _decode(record)
            if kind == "put":
                key, tag, value = rest
                self.store[key] = (tag, value)
            else:
                self.incarnation = rest[0] + 1
        self.node.disk.append(_LOG, _encode(["incarnation", self.incarnation]))
        await self.node.disk.sync(_LOG)

    def handlers(self) -> Mapping[str, Handler]:
        return {
            "write": self.write,
            "read": self.read,
            "replica_write": self.replica_write,
            "replica_read": self.replica_read,
        }

    async def write(self, message: Message) -> Body:
        raise NotImplementedError

    async def read(self, message: Message) -> Body:
        raise NotImplementedError

    def latest(self, key: Any) -> tuple[Tag, Any]:
        """This replica's own tag and value of ``key``."""
        return self.store.get(key, (_BOTTOM, None))

    def replica_read(self, message: Message) -> Body:
        tag, value = self.latest(message.body["key"])
        return {"type": "replica_read_ok", "tag": tag, "value": value}

    async def replica_write(self, message: Message) -> Body:
        body = message.body
        key, tag = body["key"], body["tag"]
        if tag > self.latest(key)[0]:
            self.store[key] = (tag, body["value"])
            self.node.disk.append(_LOG, _encode(["put", key, tag, body["value"]]))
        # Synced in any case: the record of an equal tag may not be durable yet.
        await self.node.disk.sync(_LOG)
        return {"type": "replica_write_ok"}

    async def write_to_quorum(self, key: Any, tag: Tag, value: Any) -> None:
        """Send to all replicas; return at W acknowledgements."""
        body = {"type": "replica_write", "key": key, "tag": tag, "value": value}
        await first_replies(
            (self.node.rpc(replica, body, _RPC_S) for replica in self.replicas), self.write_quorum
        )

    async def read_from(
        self, replicas: tuple[str, ...], count: int, key: Any
    ) -> list[tuple[Tag, Any]]:
        """Tags and values of ``key`` from the first ``count`` of ``replicas`` that answer."""
        body = {"type": "replica_read", "key": key}
        replies = await first_replies(
            (self.node.rpc(replica, body, _RPC_S) for replica in replicas), count
        )
        return [(reply["tag"], reply["value"]) for reply in replies]

    def repair(self, key: Any, tag: Tag, value: Any, seen: list[tuple[Tag, Any]]) -> None:
        """Send the newest value on, without waiting, if some replica was seen to lag."""
        if self.read_repair and any(other < tag for other, _ in seen):
            body = {"type": "replica_write", "key": key, "tag": tag, "value": value}
            for replica in self.replicas:
                self.node.send(replica, body)


class DocumentedReplica(QuorumReplica):
    """As the description has it."""

    async def write(self, message: Message) -> Body:
        key = message.body["key"]
        version = self.latest(key)[0][0] + 1
        await self.write_to_quorum(key, [version, "", 0, 0], message.body["value"])
        return {"type": "write_ok"}

    async def read(self, message: Message) -> Body:
        key = message.body["key"]
        first = self.replicas[: self.read_quorum]
        replies = await self.read_from(first, len(first), key)
        tag, value = max(replies, key=lambda reply: reply[0])
        self.repair(key, tag, value, replies)
        return {"type": "read_ok", "value": value}


class CorrectedReplica(QuorumReplica):
    """ABD for several writers: tags are unique, and a read makes sure of what it returns."""

    async def write(self, message: Message) -> Body:
        key = message.body["key"]
        self.sequence += 1
        unique = [self.node.name, self.incarnation, self.sequence]
        seen = await self.read_from(self.replicas, self.read_quorum, key)
        counter = max(tag for tag, _ in seen)[0] + 1
        await self.write_to_quorum(key, [counter, *unique], message.body["value"])
        return {"type": "write_ok"}

    async def read(self, message: Message) -> Body:
        key = message.body["key"]
        seen = await self.read_from(self.replicas, self.read_quorum, key)
        tag, value = max(seen, key=lambda reply: reply[0])
        if tag != _BOTTOM:
            await self.write_back(key, tag, value)
        return {"type": "read_ok", "value": value}

    async def write_back(self, key: Any, tag: Tag, value: Any) -> None:
        await self.write_to_quorum(key, tag, value)


class NoWriteBackReplica(CorrectedReplica):
    """The planted bug: a read returns without making sure that the next one sees as much."""

    async def write_back(self, key: Any, tag: Tag, value: Any) -> None:
        return


_VARIANTS: dict[str, type[QuorumReplica]] = {
    "documented": DocumentedReplica,
    "corrected": CorrectedReplica,
    "no-write-back": NoWriteBackReplica,
}


async def first_replies(calls: Iterable[Awaitable[Body]], count: int) -> list[Body]:
    """The first ``count`` replies, in order of arrival, without waiting for the rest.

    Raises ``ClientError`` (indefinite: some replicas may have acted) as soon as too many calls
    have failed.
    """
    loop = asyncio.get_running_loop()
    enough: asyncio.Future[None] = loop.create_future()
    replies: list[Body] = []
    futures = [asyncio.ensure_future(call) for call in calls]
    failures_max = len(futures) - count
    failures = 0

    def note(future: asyncio.Future[Body]) -> None:
        nonlocal failures
        if future.cancelled():
            return
        error = future.exception()
        if error is None:
            replies.append(future.result())
        elif isinstance(error, RpcError):
            failures += 1
        elif not enough.done():
            enough.set_exception(error)
        if not enough.done():
            if len(replies) == count:
                enough.set_result(None)
            elif failures > failures_max:
                text = f"insufficient replicas: {len(replies)} of {count} answered"
                enough.set_exception(ClientError(13, text))

    for future in futures:
        future.add_done_callback(note)
    await enough
    return replies[:count]
