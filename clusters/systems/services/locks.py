"""Locks with leases and fencing tokens, and something to protect.

``acquire`` of a key is answered by a ``token``, greater than any before, or refused while somebody
holds the lock; ``release`` gives it back; a lock that was not given back within its lease is free
again. ``guarded_write`` with a ``token`` is what a holder does to the protected thing, and refused
if a greater token has been there: a holder whose lease ran out does no harm.

M. Kleppmann, *How to do distributed locking*, 2016.
"""

from __future__ import annotations

from typing import Any, ClassVar

from clusters.system import System
from clusters.systems.services.service import Service, bug_option
from harness.core.contracts import Body, Node, Replica
from harness.core.errors import ClientError
from harness.core.options import Option, Options

__all__ = ["Locks"]

_EVERY = 8
_HELD = 11
_REFUSED = 22


class Locks(System):
    """The cluster. ``grants-twice`` gives a lock that is held to another, ``repeats-tokens`` gives
    two holders one token, ``no-fencing`` accepts every write."""

    name: ClassVar[str] = "locks"
    summary: ClassVar[str] = "locks with leases and fencing tokens on one node"
    operations: ClassVar[frozenset[str]] = frozenset({"acquire", "release", "guarded_write"})
    nodes_default: ClassVar[int] = 3
    has_primary: ClassVar[bool] = True
    options: ClassVar[tuple[Option, ...]] = (
        Option(
            name="lease-s",
            default=10.0,
            minimum=0.001,
            maximum=86_400.0,
            summary="time after which a lock that was not given back is free again",
        ),
        bug_option("grants-twice", "repeats-tokens", "no-fencing"),
    )

    def replica(self, node: Node, options: Options) -> Replica:
        lease_s = float(options["lease-s"])  # type: ignore[arg-type]  # a number
        return _Locks(node, self.operations, str(options["bug"]), round(lease_s * 1e9))


class _Locks(Service):
    """``held`` maps the key of a lock that is held to its holder and the end of the lease."""

    def __init__(self, node: Node, kinds: frozenset[str], bug: str, lease_ns: int) -> None:
        super().__init__(node, kinds, bug)
        self._lease_ns = lease_ns
        self._held: dict[Any, tuple[str, int]] = {}
        self._tokens: dict[Any, int] = {}
        self._written: dict[Any, int] = {}

    def answer(self, client: str, body: Body) -> tuple[Body, Any]:
        key, now = body["key"], self.node.now()
        strikes = self.node.random.random() * _EVERY < 1
        holder, until = self._held.get(key, ("", 0))
        match body["type"]:
            case "acquire":
                if now < until and not (self.bug == "grants-twice" and strikes):
                    raise ClientError(_HELD, f"the lock {key!r} is held")
                token = self._tokens.get(key, 0)
                token += not (self.bug == "repeats-tokens" and strikes and token)
                event = ["acquired", key, client, now + self._lease_ns, token]
                return {"type": "acquire_ok", "token": token}, event
            case "release":
                # Who holds it no longer has nothing to give back, and is told that all is well.
                ours = holder == client and now < until
                return {"type": "release_ok"}, ["released", key] if ours else None
            case _:
                token = body["token"]
                if token < self._written.get(key, 0) and self.bug != "no-fencing":
                    raise ClientError(_REFUSED, f"a greater token than {token} has written")
                return {"type": "guarded_write_ok"}, ["written", key, token]

    def apply(self, event: Any) -> None:
        match event:
            case ["acquired", key, client, until, token]:
                self._held[key] = client, until
                self._tokens[key] = token
            case ["released", key]:
                del self._held[key]
            case ["written", key, token]:
                self._written[key] = max(token, self._written.get(key, 0))
