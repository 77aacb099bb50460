"""Cycles of session order, reads-from and the order of writes that visibility demands.

Whether there is one is a question of strongly connected components. Where there is, the shortest
ones are looked for in their components, with an auxiliary vertex for each transaction so that any
number of transactions of one session costs one step.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from checkers.causal.reads import ReadsFrom
from checkers.causal.visibility import Orders
from checkers.transactions.components import Graph, Search
from checkers.transactions.dependencies import Edge

__all__ = ["Step", "shortest_cycles"]

Codes = NDArray[np.int32]

_ALL = int(Edge.PROCESS | Edge.WR | Edge.WW)
_CYCLES_MAX = 10
_LOOKS = 5_000_000
_STARTS_MAX = 20_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One step of a cycle: why ``before`` comes before ``after``. ``row`` is a read of
    :class:`ReadsFrom`: that of ``after`` from ``before`` (WR), or the one whose writer ``after`` is
    and that saw ``before`` (WW); -1 for PROCESS."""

    before: int
    after: int
    kind: Edge
    row: int


def shortest_cycles(
    reads: ReadsFrom, found: Orders | None, *, sessions: bool = True
) -> tuple[tuple[Step, ...], ...]:
    """Some short cycles, the shortest first; empty only if there is none. O(n + r + e) to decide.

    Each has an edge of ``found`` if it is given, else one of reads-from. ``sessions``: the order of
    sessions counts too.
    """
    graph = _edges(reads, found, _chain(reads) if sessions else _none())
    count = len(reads.session)
    component = graph.of(count, count, searched=False).components(_ALL)
    if not component.cyclic:
        return ()
    inside = component.size[component.component] > 1
    wide = _edges(reads, found, _ladder(reads) if sessions else _none(), keep=inside)
    vertices = 2 * count
    search = wide.of(vertices, count, searched=True)
    first = int(Edge.WW if found is not None else Edge.WR)
    members = search.components(_ALL)
    # An edge within a component is on some cycle.
    inner = members.component[wide.source] == members.component[wide.target]
    starts = np.unique(wide.source[inner & (wide.kind == first)])
    # One of each component comes before all others, so that none goes without a cycle.
    _, one = np.unique(members.component[starts], return_index=True)
    starts = np.concatenate((starts[one], np.delete(starts, one)[:_STARTS_MAX])).astype(np.int32)
    cycles = search.cycles(
        Search(first=first, walk=_ALL, last=_ALL),
        component=members.component,
        starts=starts,
        longest=vertices,
        looks=_LOOKS,
    )
    shown = [
        tuple(_steps(wide, cycles.rows[begin:end].tolist(), count))
        for begin, end in zip(cycles.first[:-1].tolist(), cycles.first[1:].tolist(), strict=True)
    ]
    assert shown, "a component without a cycle"
    return tuple(sorted(shown, key=len)[:_CYCLES_MAX])


@dataclass(frozen=True, slots=True, kw_only=True)
class _Rows:
    source: Codes
    target: Codes
    kind: NDArray[np.uint8]
    row: Codes

    def of(self, vertices: int, transactions: int, *, searched: bool) -> Graph:
        """The graph of these edges."""
        return Graph(
            vertices=vertices,
            transactions=transactions,
            source=self.source,
            target=self.target,
            kind=self.kind,
            searched=searched,
        )


Pairs = tuple[Codes, Codes]


def _none() -> Pairs:
    return np.zeros(0, dtype=np.int32), np.zeros(0, dtype=np.int32)


def _chain(reads: ReadsFrom) -> Pairs:
    """Each transaction and the next of its session."""
    order = np.argsort(reads.session, kind="stable").astype(np.int32)
    same = reads.session[order[1:]] == reads.session[order[:-1]]
    return order[:-1][same], order[1:][same]


def _ladder(reads: ReadsFrom) -> Pairs:
    """The same with auxiliary vertices: a transaction to its own, that to the next one's, and to
    the next transaction."""
    before, after = _chain(reads)
    count = np.int32(len(reads.session))
    every = np.arange(count, dtype=np.int32)
    source = np.concatenate((every, before + count, before + count))
    target = np.concatenate((every + count, after + count, after))
    return source.astype(np.int32), target.astype(np.int32)


def _edges(
    reads: ReadsFrom,
    found: Orders | None,
    process: Pairs,
    keep: NDArray[np.bool_] | None = None,
) -> _Rows:
    rows = np.flatnonzero(reads.writer >= 0).astype(np.int32)
    parts = [(*process, Edge.PROCESS, np.full(len(process[0]), -1, dtype=np.int32))]
    parts.append((reads.writer[rows], reads.reader[rows], Edge.WR, rows))
    if found is not None:
        parts.append((found.before, reads.writer[found.read], Edge.WW, found.read))
    source = np.concatenate([part[0] for part in parts])
    target = np.concatenate([part[1] for part in parts])
    kind = np.concatenate([np.full(len(part[0]), int(part[2]), dtype=np.uint8) for part in parts])
    row = np.concatenate([part[3] for part in parts])
    mask = source != target
    if keep is not None:
        count = len(reads.session)
        mask &= keep[source % count] & keep[target % count]
    return _Rows(source=source[mask], target=target[mask], kind=kind[mask], row=row[mask])


def _steps(edges: _Rows, rows: list[int], count: int) -> Iterator[Step]:
    """The steps between transactions: a walk over auxiliary vertices is one."""
    begun = -1
    for row in rows:
        source, target = int(edges.source[row]), int(edges.target[row])
        if begun < 0:
            begun = source
        if target < count:
            yield Step(
                before=begun,
                after=target,
                kind=Edge(int(edges.kind[row])),
                row=int(edges.row[row]),
            )
            begun = -1
