"""Saturation of long histories: what precedes what as vector clocks, one slot a chain.

The rules are those of :mod:`.saturation`. Where transactions of a process are in order, or real
time puts those in order that were not open together, all events lie on few *chains*. The clock of
an event says how far along each chain what precedes it reaches, and where what it precedes begins.
Of the writers of a key on a chain, only the last one before a reader says something new (those
before it precede it anyway), and only the first one after a writer: a search in a sorted list each.
Rounds go on, over what changed, until nothing follows: O(e k) for ``k`` chains, plus O(k log) for
each read whose clocks changed ("AWDIT", PLDI 2025, finds causal orders in this way).

What is not forced afterwards are pairs of transactions that may come in either order: few where few
were open together.
"""

from __future__ import annotations

from dataclasses import dataclass
from heapq import heappop, heappush

import numpy as np
from numpy.typing import NDArray

from checkers.transactions.polygraph import Order, Polygraph, Question
from checkers.transactions.polygraph_edges import Edges
from checkers.transactions.saturation import Forced
from checkers.transactions.saturation_clocks_twin import Columns, saturate_clocks_twin
from harness.core.history import NEVER
from harness.core.kernels import NATIVE

__all__ = ["Clocks", "clocks"]

Ints = NDArray[np.int64]

_PROCESSES_MAX = 64
_BYTES_MAX = 1 << 30
_ROUNDS_MAX = 2_000
_FORCED_MAX = 20_000_000
_POSSIBLE_MAX = 10_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Clocks:
    """``cyclic``: no order exists. ``forced``: one row an edge between events, as the fields of
    :class:`Forced`, ``int64[., 6]``. ``possible``: pairs of vertices that may still come in either
    order (None where these are too many), two columns."""

    cyclic: bool
    complete: bool
    forced: Ints
    possible: Ints | None

    def edges(self) -> tuple[Forced, ...]:
        """The forced edges as such."""
        return tuple(
            Forced(source, target, bool(overwrites), reader, writer, other)
            for source, target, overwrites, reader, writer, other in self.forced.tolist()
        )


def clocks(
    graph: Polygraph, question: Question, edges: Edges, *, native: bool = True
) -> Clocks | None:
    """What is forced, beginning with ``edges``; None where there are too many chains for the
    memory, or none at all. No read may be ambiguous."""
    if question.order == Order.NONE or not len(graph):
        return None
    chain, place = _chains(graph, question)
    many = int(chain.max()) + 1
    if edges.vertices * many * 8 > _BYTES_MAX:
        return None
    sure = graph.read_writer >= 0
    events = question.events(len(graph))
    event_chain = np.zeros(events, dtype=np.int32)
    event_place = np.zeros(events, dtype=np.int32)
    vertices = np.arange(len(graph))
    width = 2 if question.snapshot else 1
    for event, offset in ((question.start(vertices), 0), (question.commit(vertices), width - 1)):
        event_chain[event] = chain
        event_place[event] = place * width + offset
    columns = Columns(
        vertices=edges.vertices,
        chains=many,
        snapshot=question.snapshot,
        keys=int(max(graph.read_key.max(initial=-1), graph.write_key.max(initial=-1))) + 1,
        source=_codes(edges.source),
        target=_codes(edges.target),
        chain=event_chain,
        place=event_place,
        reader=_codes(graph.read_vertex[sure]),
        writer=_codes(graph.read_writer[sure]),
        key=_codes(graph.read_key[sure]),
        author=_codes(graph.write_vertex),
        written=_codes(graph.write_key),
    )
    kernel = NATIVE.saturate_clocks if NATIVE is not None and native else saturate_clocks_twin
    status, forced, possible, all_ = kernel(
        columns.vertices,
        columns.chains,
        columns.snapshot,
        columns.keys,
        *columns.arrays(),
        _ROUNDS_MAX,
        _FORCED_MAX,
        _POSSIBLE_MAX,
    )
    pairs = np.frombuffer(possible, dtype=np.int32).reshape(-1, 2).astype(np.int64)
    return Clocks(
        cyclic=status == 1,
        complete=status == 0,
        forced=np.frombuffer(forced, dtype=np.int32).reshape(-1, 6).astype(np.int64),
        possible=pairs if all_ else None,
    )


def _codes(column: Ints) -> NDArray[np.int32]:
    return np.ascontiguousarray(column, dtype=np.int32)


def _chains(graph: Polygraph, question: Question) -> tuple[Ints, Ints]:
    """The chain of each vertex, and its place there."""
    processes, chain = np.unique(graph.process, return_inverse=True)
    if question.order == Order.REALTIME and len(processes) > _PROCESSES_MAX:
        chain = _by_time(graph)
    order = np.argsort(chain, kind="stable")
    ordered = chain[order]
    first = np.ones(len(order), dtype=bool)
    first[1:] = ordered[1:] != ordered[:-1]
    begin = np.maximum.accumulate(np.where(first, np.arange(len(order)), 0))
    place = np.empty(len(order), dtype=np.int64)
    place[order] = np.arange(len(order)) - begin
    return chain, place


def _by_time(graph: Polygraph) -> Ints:
    """As few chains as transactions were ever open together. One of which nobody knows when it
    returned was over when the first that read from it had returned."""
    ret = graph.ret.copy()
    sure = graph.read_writer >= 0
    writer, reader = graph.read_writer[sure], graph.read_vertex[sure]
    uncertain = graph.ret[writer] >= NEVER
    np.minimum.at(ret, writer[uncertain], graph.ret[reader[uncertain]])
    chain = np.empty(len(graph), dtype=np.int64)
    free: list[tuple[int, int]] = []
    calls, rets = graph.call.tolist(), ret.tolist()
    many = 0
    for vertex in np.argsort(graph.call, kind="stable").tolist():
        if free and free[0][0] < calls[vertex]:
            _, chosen = heappop(free)
        else:
            chosen, many = many, many + 1
        chain[vertex] = chosen
        heappush(free, (rets[vertex], chosen))
    # Vertices are in order of invocation, so that their numbers grow along each chain.
    return chain
