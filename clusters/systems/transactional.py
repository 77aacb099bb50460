"""A transactional store whose isolation is known: every consistency model is a switch.

It exists to test checkers. Each switch keeps the model that it is named after and, given some
contention, breaks every stronger one (:mod:`clusters.systems.isolation.promises` says how). Its
first node holds the data and runs the transactions; the others hand requests on. With
``parallel-snapshot-isolation`` every node has a replica and runs transactions itself.

A request is that of Maelstrom's ``txn-list-append`` and ``txn-rw-register``::

    {"type": "txn", "txn": [["r", 1, null], ["append", 1, 6], ["w", 2, 9]]}
    {"type": "txn_ok", "txn": [["r", 1, [5]], ["append", 1, 6], ["w", 2, 9]]}

Transactions that compute something between reading and writing are requests of their own
(:mod:`clusters.systems.isolation.programs`). A reply has the ``timestamp`` of the transaction, the
number of commits up to it, if it ran on the first node. A transaction that was aborted had no
effect (codes 14 and 30: definite); of one whose answer was lost nothing is known.
"""

from __future__ import annotations

from typing import ClassVar

from clusters.system import System
from clusters.systems.isolation.parallel import ParallelReplica
from clusters.systems.isolation.primary import Pace, PrimaryReplica
from clusters.systems.isolation.programs import PROGRAMS
from clusters.systems.isolation.promises import PROMISES
from harness.core.contracts import Node, Replica
from harness.core.options import Option, Options

__all__ = ["TransactionalStore"]


class TransactionalStore(System):
    """The cluster: its options."""

    name: ClassVar[str] = "transactional"
    summary: ClassVar[str] = "transactional store of known isolation, each model a switch"
    operations: ClassVar[frozenset[str]] = frozenset(PROGRAMS)
    nodes_default: ClassVar[int] = 3
    has_primary: ClassVar[bool] = True
    options: ClassVar[tuple[Option, ...]] = (
        Option(
            name="isolation",
            default="strict-serializable",
            choices=tuple(PROMISES),
            summary="the consistency model that is kept, and none that is stronger",
        ),
        Option(
            name="abort-rate",
            default=0.05,
            minimum=0.0,
            maximum=0.9,
            summary="share of the transactions that abort when they are about to commit",
        ),
        Option(
            name="step-ms",
            default=3.0,
            minimum=0.0,
            maximum=1000.0,
            summary="mean pause before each micro-operation and before the commit",
        ),
        Option(
            name="lag-ms",
            default=40.0,
            minimum=0.0,
            maximum=10_000.0,
            summary="mean time by which replicas lag, and after which a transaction runs that was "
            "acknowledged before",
        ),
    )

    def replica(self, node: Node, options: Options) -> Replica:
        promise = PROMISES[str(options["isolation"])]
        pace = Pace(
            step_s=float(options["step-ms"]) / 1e3,  # type: ignore[arg-type]  # numbers, all three
            lag_s=float(options["lag-ms"]) / 1e3,  # type: ignore[arg-type]
            abort_rate=float(options["abort-rate"]),  # type: ignore[arg-type]
        )
        if promise.level is None:
            return ParallelReplica(node, pace)
        return PrimaryReplica(node, promise.level(), promise.order, pace)
