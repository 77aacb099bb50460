"""An order found by doing the transactions one after another.

A transaction may be next when everything that certainly precedes it was done, and when nobody is
left who must still read what it overwrites. Of those the one that returned first is taken. That
finds an order of nearly every history that has one; where it is stuck, nothing is proved.

For snapshot isolation the events of a transaction are taken one by one; from the start of one to
its commit no other that writes one of its keys may start.

The compiled kernel goes part by part (:mod:`.polygraph_parts`), and takes its last choices back
where it is stuck in a small one; the class here, its twin, knows one part and takes nothing back.
Both may find different orders: whoever uses one verifies it.
"""

from __future__ import annotations

from collections import defaultdict
from heapq import heapify, heappop, heappush

import numpy as np
from numpy.typing import NDArray

from checkers.transactions.polygraph import Order, Polygraph, Question
from checkers.transactions.polygraph_edges import Edges, successors
from checkers.transactions.rw_register_accesses import AMBIGUOUS, INITIAL
from harness.core.history import NEVER
from harness.core.kernels import NATIVE

__all__ = ["replay"]

Ints = NDArray[np.int64]

_STEPS_EACH = 200
"""Choices for each event of a part, the ones taken back included."""


def replay(
    graph: Polygraph,
    question: Question,
    edges: Edges,
    *,
    part: Ints | None = None,
    native: bool = True,
) -> tuple[Ints, Ints]:
    """The place of each event (``int64[events]``), and the parts for which none was found: their
    places mean nothing. O(m log n).

    ``edges`` must be all :func:`known_edges`; no read may be ambiguous. ``part`` is that of each
    vertex, numbered in their order (all are in part 0 where it is missing).
    """
    assert not (graph.read_writer == AMBIGUOUS).any(), "an ambiguous read cannot be replayed"
    if NATIVE is not None and native:
        return _native(graph, question, edges, part)
    if part is None or not len(part) or int(part.max()) == 0:
        place = _Replay(graph, question, edges).run()
        if place is not None:
            return place, np.zeros(0, dtype=np.int64)
        return np.zeros(question.events(len(graph)), dtype=np.int64), np.zeros(1, dtype=np.int64)
    vertices = np.arange(len(graph))
    place = np.empty(question.events(len(graph)), dtype=np.int64)
    order = np.argsort(part, kind="stable")
    place[question.start(order)] = vertices * 2
    place[question.commit(order)] = vertices * 2 + question.snapshot
    return place, np.flatnonzero(np.bincount(part) > 1)


def _rank(graph: Polygraph) -> Ints:
    """Who certainly returned first; else who was called first."""
    rank = np.empty(len(graph), dtype=np.int64)
    rank[np.lexsort((graph.call, graph.ret))] = np.arange(len(graph))
    return rank


def _native(
    graph: Polygraph, question: Question, edges: Edges, part: Ints | None
) -> tuple[Ints, Ints]:
    assert NATIVE is not None

    def codes(column: Ints) -> NDArray[np.int32]:
        return np.ascontiguousarray(column, dtype=np.int32)

    place, failed = NATIVE.replay(
        edges.vertices,
        question.snapshot,
        int(max(graph.read_key.max(initial=-1), graph.write_key.max(initial=-1))) + 1,
        codes(edges.source),
        codes(edges.target),
        codes(_rank(graph)),
        codes(np.zeros(len(graph), dtype=np.int64) if part is None else part),
        codes(graph.read_vertex),
        codes(graph.read_writer),
        codes(graph.read_key),
        codes(graph.write_vertex),
        codes(graph.write_key),
        _STEPS_EACH,
    )
    return (
        np.frombuffer(place, dtype=np.int32).astype(np.int64),
        np.frombuffer(failed, dtype=np.int32).astype(np.int64),
    )


class _Replay:
    """What was done so far. Events are numbered as in the question, gates after them."""

    def __init__(self, graph: Polygraph, question: Question, edges: Edges) -> None:
        self.snapshot = question.snapshot
        self.n = len(graph)
        self.events = question.events(self.n)
        self.vertices = edges.vertices
        first, targets = successors(edges)
        self.first, self.targets = first.tolist(), targets.tolist()
        self.missing = np.bincount(edges.target, minlength=edges.vertices).tolist()
        self.realtime = question.order == Order.REALTIME
        self.ret, self.call = graph.ret.tolist(), graph.call.tolist()
        self.writes = _grouped(graph.write_vertex, graph.write_key, self.n)
        self.reads = _grouped(graph.read_vertex, graph.read_key, self.n)
        self.readers = _readers(graph)
        keys = int(max(graph.read_key.max(initial=-1), graph.write_key.max(initial=-1))) + 1
        initial = graph.read_key[graph.read_writer == INITIAL]
        self.pending = np.bincount(initial, minlength=keys).tolist()
        self.waiting: dict[int, list[tuple[int, int]]] = defaultdict(list)
        self.held: dict[int, int] = {}
        self.rank = _rank(graph).tolist()
        self.by_return = np.argsort(graph.ret, kind="stable").tolist()
        self.by_call = np.argsort(graph.call, kind="stable").tolist()
        self.opened = 0
        self.returned = 0
        self.done = [False] * self.n

    def run(self) -> Ints | None:
        self.ready: list[tuple[int, int]] = []
        self.unopened: set[int] = set()
        free = [event for event in range(self.vertices) if not self.missing[event]]
        self.is_open = [not self.realtime] * self.n
        order: list[int] = []
        self._release(free)
        heapify(self.ready)
        if self.realtime:
            self._open()
        while self.ready:
            _, event = heappop(self.ready)
            blocked = self._blocked(event)
            if blocked is not None:
                heappush(self.waiting[blocked], (self._rank(event), event))
                self._wake_others(event)
                continue
            order.append(event)
            self._do(event)
        if len(order) < self.events:
            return None
        place = np.empty(self.events, dtype=np.int64)
        place[order] = np.arange(self.events)
        return place

    def _vertex(self, event: int) -> int:
        return event >> 1 if self.snapshot else event

    def _rank(self, event: int) -> int:
        rank: int = self.rank[self._vertex(event)]
        return rank

    def _starts(self, event: int) -> bool:
        return not self.snapshot or not event & 1

    def _commits(self, event: int) -> bool:
        return not self.snapshot or bool(event & 1)

    def _release(self, stack: list[int]) -> None:
        """What waits for nothing any more: to be done, or a gate that opens."""
        while stack:
            event = stack.pop()
            if event >= self.events:
                for after in self.targets[self.first[event] : self.first[event + 1]]:
                    self.missing[after] -= 1
                    if not self.missing[after]:
                        stack.append(after)
            elif self.is_open[self._vertex(event)] or not self._starts(event):
                heappush(self.ready, (self._rank(event), event))
            else:
                self.unopened.add(event)

    def _open(self) -> None:
        """Transactions whose call no return still to come precedes."""
        while self.returned < self.n and self.done[self.by_return[self.returned]]:
            self.returned += 1
        bound = self.ret[self.by_return[self.returned]] if self.returned < self.n else NEVER
        while self.opened < self.n and self.call[self.by_call[self.opened]] <= bound:
            vertex = self.by_call[self.opened]
            self.opened += 1
            self.is_open[vertex] = True
            event = vertex * 2 if self.snapshot else vertex
            if event in self.unopened:
                self.unopened.remove(event)
                heappush(self.ready, (self.rank[vertex], event))

    def _blocked(self, event: int) -> int | None:
        """A key for which it must wait: complemented where another transaction holds it."""
        vertex = self._vertex(event)
        if self.snapshot and not event & 1:
            return next((~key for key in self.writes[vertex] if key in self.held), None)
        mine = () if self.snapshot else self.reads[vertex]
        for key in self.writes[vertex]:
            # Others who read the version precede it already; it may be the last reader itself.
            if self.pending[key] > (key in mine):
                return key
        return None

    def _wake(self, key: int) -> None:
        if self.waiting.get(key):
            heappush(self.ready, heappop(self.waiting[key]))

    def _wake_others(self, event: int) -> None:
        """It was woken on behalf of keys that it does not take: somebody else may."""
        if self._commits(event):
            for key in self.writes[self._vertex(event)]:
                if not self.pending[key]:
                    self._wake(key)
        else:
            for key in self.writes[self._vertex(event)]:
                if key not in self.held:
                    self._wake(~key)

    def _do(self, event: int) -> None:
        vertex = self._vertex(event)
        if self._starts(event):
            for key in self.reads[vertex]:
                self.pending[key] -= 1
                if not self.pending[key]:
                    self._wake(key)
            if self.snapshot:
                for key in self.writes[vertex]:
                    self.held[key] = vertex
        if self._commits(event):
            for key in self.writes[vertex]:
                self.pending[key] = self.readers.get((vertex, key), 0)
                if self.snapshot:
                    del self.held[key]
                    self._wake(~key)
                if not self.pending[key]:
                    self._wake(key)
            self.done[vertex] = True
        stack = []
        for after in self.targets[self.first[event] : self.first[event + 1]]:
            self.missing[after] -= 1
            if not self.missing[after]:
                stack.append(after)
        self._release(stack)
        if self.realtime and self._commits(event):
            self._open()


def _grouped(vertex: Ints, key: Ints, n: int) -> list[list[int]]:
    order = np.argsort(vertex, kind="stable")
    bounds = np.searchsorted(vertex[order], np.arange(n + 1)).tolist()
    keys = key[order].tolist()
    return [keys[bounds[one] : bounds[one + 1]] for one in range(n)]


def _readers(graph: Polygraph) -> dict[tuple[int, int], int]:
    """How many read what each writer left of each key."""
    sure = graph.read_writer >= 0
    readers: dict[tuple[int, int], int] = defaultdict(int)
    for pair in zip(graph.read_writer[sure].tolist(), graph.read_key[sure].tolist(), strict=True):
        readers[pair] += 1
    return readers
