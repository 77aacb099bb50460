"""The graph of a list-append history: edges between micro-operations, and the orders of processes
and real time.

Real time takes O(n) edges: completions between the same two invocations share an auxiliary vertex,
these form a chain in time, and a transaction depends on the last one before its invocation. Only
transactions that succeeded come before others of their process or in real time: what is ``info``
may have happened at any later time.

``detail`` of an edge of ww, wr or rw holds two rows of micro-operations: the one of its source in
the low 32 bits, that of its target above.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from checkers.transactions.columns import Transactions, pieces
from checkers.transactions.dependencies import Dependencies, Edge
from harness.core.history import stable_order
from harness.core.operation import Type

__all__ = ["Edges", "fractured", "graph_of", "rows_of"]

Ints = NDArray[np.int64]
Codes = NDArray[np.int32]
Mask = NDArray[np.bool_]
Rows = NDArray[np.integer]


@dataclass(frozen=True, kw_only=True, eq=False)
class Edges:
    """Edges of one kind, from micro-operation to micro-operation (``source`` and ``target``, rows)
    and so from transaction to transaction (``before`` and ``after``; not if these are one)."""

    kind: Edge
    source: Rows
    target: Rows
    before: Codes
    after: Codes


def rows_of(detail: int) -> tuple[int, int]:
    """The rows of the source's and of the target's micro-operation."""
    return detail & 0xFFFFFFFF, detail >> 32


def graph_of(
    transactions: Transactions, certain: Mask, edges: Iterator[Edges], room: int
) -> Dependencies:
    """The graph of ``edges`` (no more than ``room``) and of the orders."""
    vertices, others = _orders(transactions, certain)
    room += sum(len(a) for _, a, _ in others)
    source, target = np.empty(room, dtype=np.int32), np.empty(room, dtype=np.int32)
    kind, detail = np.empty(room, dtype=np.uint8), np.empty(room, dtype=np.int64)
    end = 0
    for some in edges:
        for piece in pieces(len(some.before)):
            before, after = some.before[piece], some.after[piece]
            kept = np.flatnonzero(before != after)
            begin, end = end, end + len(kept)
            here = slice(begin, end)
            np.take(before, kept, out=source[here])
            np.take(after, kept, out=target[here])
            kind[here] = some.kind
            detail[here] = some.target[piece][kept]
            detail[here] <<= 32
            detail[here] |= some.source[piece][kept]
    for why, a, b in others:
        begin, end = end, end + len(a)
        here = slice(begin, end)
        source[here], target[here], kind[here], detail[here] = a, b, why, 0
    return Dependencies(
        transactions=len(transactions),
        vertices=vertices,
        source=source[:end],
        target=target[:end],
        kind=kind[:end],
        detail=detail[:end],
    )


def fractured(dependencies: Dependencies) -> tuple[Ints, Ints]:
    """Fractured reads: the edges by which a transaction saw another one (wr), and by which it
    missed another append of the same (rw), one pair for each two transactions. O(e log e)."""
    seen = np.flatnonzero(dependencies.kind == Edge.WR)
    missed = np.flatnonzero(dependencies.kind == Edge.RW)
    writers = np.concatenate([dependencies.source[seen], dependencies.target[missed]])
    readers = np.concatenate([dependencies.target[seen], dependencies.source[missed]])
    pair = writers.astype(np.int64) * dependencies.vertices + readers
    edges = np.concatenate([seen, missed])
    # Equal pairs side by side, those of wr first: one is where the kind changes within a pair.
    order = np.argsort(pair, kind="stable")
    pair, edges = pair[order], edges[order]
    kind = dependencies.kind[edges]
    where = np.flatnonzero((np.diff(pair) == 0) & (kind[1:] != kind[:-1]))
    return edges[where], edges[where + 1]


def _orders(
    transactions: Transactions, certain: Mask
) -> tuple[int, list[tuple[Edge, Codes, Codes]]]:
    """How many vertices there are, and the edges of processes and of real time."""
    count = len(transactions)
    completed = np.flatnonzero(transactions.outcome == Type.OK)
    taking_part = np.flatnonzero(certain)
    by_process = taking_part[stable_order(transactions.process[taking_part])]
    source, target = by_process[:-1], by_process[1:]
    follows = (transactions.process[source] == transactions.process[target]) & (
        transactions.outcome[source] == Type.OK
    )
    edges = [(Edge.PROCESS, source[follows], target[follows])]
    if not transactions.history.realtime:
        return count, _narrow(edges)
    in_time = completed[np.argsort(transactions.ret[completed], kind="stable")]
    # How many had returned, strictly, before each transaction was invoked.
    before = np.searchsorted(transactions.ret[in_time], transactions.call[taking_part], side="left")
    used = np.zeros(len(in_time) + 1, dtype=bool)
    used[before] = True
    used[0] = False
    # A vertex for each number of completions that was met: the completions up to it lead there.
    number = np.cumsum(used)
    vertices = int(number[-1])
    own = number[:-1]  # that of the completion at each rank: the first vertex after it
    waited = own < vertices
    invoked = before > 0
    edges += [
        (Edge.REALTIME, in_time[waited], count + own[waited]),
        (
            Edge.REALTIME,
            np.arange(count, count + vertices - 1),
            np.arange(count + 1, count + vertices),
        ),
        (Edge.REALTIME, count + number[before[invoked]] - 1, taking_part[invoked]),
    ]
    return count + vertices, _narrow(edges)


def _narrow(edges: list[tuple[Edge, Ints, Ints]]) -> list[tuple[Edge, Codes, Codes]]:
    return [(kind, a.astype(np.int32), b.astype(np.int32)) for kind, a, b in edges]
