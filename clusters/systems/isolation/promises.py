"""What the store promises under each name: a level, and whose order the commits respect.

Every level on one copy of the data respects real time: whatever was acknowledged is there. To keep
*no more* than the weaker members of a family promise, the store acknowledges some transactions that
only write before it has run them (they are logged first, and run a while later, however often they
must be tried). *Strong session*: nothing of a session runs before what the same session was
acknowledged. Plain: not even that.

=====================  ============================================================================
Order                  An acknowledged transaction that has not run yet is overtaken by
=====================  ============================================================================
``REALTIME``           none (there is no such transaction)
``SESSION``            transactions of other sessions
``NONE``               any transaction
=====================  ============================================================================

So a switch of the store breaks exactly the anomalies that its model allows: the families are those
of K. Daudjee and K. Salem, *Lazy database replication with snapshot isolation*, VLDB 2006.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum

from clusters.systems.isolation.levels import (
    CommittedReads,
    DirtyReads,
    ItemLocks,
    Level,
    PredicateLocks,
    Snapshots,
)

__all__ = ["PROMISES", "Order", "Promise"]


class Order(Enum):
    """Which order of the transactions the commits respect."""

    NONE = "none"
    SESSION = "session"
    REALTIME = "realtime"


@dataclass(frozen=True, slots=True)
class Promise:
    """How a model is kept. ``level`` None: replicas of parallel snapshot isolation.

    ``placed`` is the strongest model (of isolation) that histories of reads and writes of single
    items show, where it is another one: repeatable read differs from serializable only for those
    who ask for all items that satisfy a condition, and such a history never does.
    """

    level: type[Level] | None
    order: Order
    placed: str = ""


_FAMILIES: Mapping[str, type[Level]] = {
    "read-uncommitted": DirtyReads,
    "read-committed": CommittedReads,
    "snapshot-isolation": Snapshots,
    "serializable": PredicateLocks,
}

PROMISES: Mapping[str, Promise] = {
    **{
        f"{prefix}{name}".replace("strong-serializable", "strict-serializable"): Promise(
            level, order
        )
        for name, level in _FAMILIES.items()
        for prefix, order in (
            ("", Order.NONE),
            ("strong-session-", Order.SESSION),
            ("strong-", Order.REALTIME),
        )
    },
    "repeatable-read": Promise(ItemLocks, Order.NONE, placed="serializable"),
    "parallel-snapshot-isolation": Promise(None, Order.NONE),
}
"""By the name of the model, as :mod:`checkers.lattice` calls it."""
