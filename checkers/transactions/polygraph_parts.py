"""A polygraph cut into parts that can be decided one by one.

Take all edges that are known, and all that some choice might bring: every cycle lies in one
strongly connected component of these. Choices between different components are made already by what
is known. With real time only transactions that were open at the same time leave a choice, so the
components of a long history are small; without it they may be all of it.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from checkers.transactions.components import Graph
from checkers.transactions.polygraph import Order, Polygraph, Question
from checkers.transactions.polygraph_edges import Edges

__all__ = ["parts", "whole_components"]

Ints = NDArray[np.int64]

_POSSIBLE_MAX = 20_000_000


def parts(
    graph: Polygraph,
    question: Question,
    edges: Edges,
    pairs: Ints | None = None,
    *,
    saturated: bool = False,
) -> Ints | None:
    """The part of each vertex (``int64[n]``), numbered so that earlier ones come first. ``pairs``
    are the possible edges, where they are known; None if there are too many to look at.
    ``saturated``: all that is forced is among ``edges``, without a cycle. O(m log m + p) for ``p``
    possible edges."""
    possible = _possible(graph, question) if pairs is None else (pairs[:, 0], pairs[:, 1])
    if possible is None:
        return None
    n = len(graph)
    # Both events of a transaction are one vertex here; auxiliary vertices follow.
    events = question.events(n)
    ends = np.concatenate((edges.source, edges.target))
    if events != n:
        ends = np.where(ends < events, ends // (events // n), ends - events + n)
    # A stale read would have forced a cycle.
    late, early = (ends[:0], ends[:0]) if saturated else _stale(graph, question)
    source = np.concatenate((ends[: len(edges.source)], possible[0], late))
    target = np.concatenate((ends[len(edges.source) :], possible[1], early))
    differ = source != target
    whole = Edges(
        vertices=edges.vertices - events + n, source=source[differ], target=target[differ]
    )
    _, rank = np.unique(whole_components(whole)[0][:n], return_inverse=True)
    return np.asarray(rank, dtype=np.int64)


def whole_components(edges: Edges) -> tuple[Ints, Ints]:
    """The strongly connected component of each vertex, the first ones first, and their sizes."""
    found = Graph(
        vertices=edges.vertices,
        transactions=edges.vertices,
        source=edges.source.astype(np.int32),
        target=edges.target.astype(np.int32),
        kind=np.ones(len(edges.source), dtype=np.uint8),
    ).components(1)
    of = len(found.size) - 1 - found.component.astype(np.int64)
    return of, found.size[::-1].astype(np.int64)


def _possible(graph: Polygraph, question: Question) -> tuple[Ints, Ints] | None:
    """Pairs of a writer and another writer or a reader of the same key that may come in either
    order."""
    key = np.concatenate((graph.write_key, graph.read_key))
    vertex = np.concatenate((graph.write_vertex, graph.read_vertex))
    reads = np.arange(len(key)) >= len(graph.write_key)
    realtime = question.order == Order.REALTIME
    order = np.lexsort((graph.call[vertex], key))
    key, vertex, reads = key[order], vertex[order], reads[order]
    places = np.arange(len(key))
    if realtime:
        # Of accesses in order of call, those called until this one returned. Calls as ranks.
        moments = np.sort(graph.call)
        span = len(moments) + 1
        call = np.searchsorted(moments, graph.call[vertex], side="left")
        until = np.searchsorted(moments, graph.ret[vertex], side="right") - 1
        high = np.searchsorted(key * span + call, key * span + until, side="right")
    else:
        high = np.searchsorted(key, key, side="right")
    many = np.maximum(high - places - 1, 0)
    if int(many.sum()) > _POSSIBLE_MAX:
        return None
    one = np.repeat(places, many)
    other = one + 1 + np.arange(len(one)) - np.repeat(np.cumsum(many) - many, many)
    useful = ~(reads[one] & reads[other]) & (vertex[one] != vertex[other])
    one, other = one[useful], other[useful]
    forth = np.stack((vertex[one], vertex[other]))
    return np.concatenate((forth[0], forth[1])), np.concatenate((forth[1], forth[0]))


def _stale(graph: Polygraph, question: Question) -> tuple[Ints, Ints]:
    """Writers that returned before some read was called, and what that read saw although it had
    returned before they were called: these lie in one part, with a cycle."""
    sure = np.flatnonzero(graph.read_writer >= 0)
    if question.order != Order.REALTIME or not len(sure):
        return sure[:0], sure[:0]
    moments = np.sort(graph.ret)
    span = len(moments) + 1
    ret = np.searchsorted(moments, graph.ret[graph.write_vertex], side="left")
    place = graph.write_key * span + ret
    order = np.argsort(place, kind="stable")
    place, writer = place[order], graph.write_vertex[order]
    # The latest called of all that returned so far, key by key.
    calls = np.sort(graph.call)
    rank = graph.write_key[order] * span + np.searchsorted(calls, graph.call[writer])
    best = np.maximum.accumulate(rank)
    changes = np.ones(len(best), dtype=bool)
    changes[1:] = best[1:] != best[:-1]
    latest = writer[np.maximum.accumulate(np.where(changes, np.arange(len(best)), 0))]
    reader, key = graph.read_vertex[sure], graph.read_key[sure]
    called = key * span + np.searchsorted(moments, graph.call[reader], side="left")
    until = np.searchsorted(place, called, side="left")
    some = until > np.searchsorted(place, key * span, side="left")
    newer = latest[np.maximum(until - 1, 0)]
    seen = graph.read_writer[sure]
    stale = some & (graph.call[newer] > graph.ret[seen])
    return newer[stale], seen[stale]
