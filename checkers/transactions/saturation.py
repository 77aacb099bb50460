"""Choices of a polygraph that everything else forces (saturation), and cycles that follow.

Let ``r`` have read ``x`` from ``w``, and let ``v`` write ``x`` too.

- If ``v`` precedes ``r``, then ``v`` precedes ``w``.
- If ``w`` precedes ``v``, then ``r`` precedes ``v``.

Both are repeated until nothing new follows (C. Zhang et al., "PolySI", VLDB 2023, prune in the same
way; the rules are those of Papadimitriou's choices where one side would close a cycle). Under
snapshot isolation *precedes* is between events, and of two writers of a key the one whose start
precedes the other's commit commits before the other starts.

Reachability is a set of bits for each vertex (a Python integer), numbered in topological order, so
that the nearest come first: O(e n / 64) for each round. It is meant for parts of a history that do
not fall apart any further, of up to :data:`VERTICES_MAX` vertices.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from checkers.transactions.polygraph import Polygraph, Question
from checkers.transactions.polygraph_edges import Edges
from checkers.transactions.rw_register_accesses import INITIAL

__all__ = ["VERTICES_MAX", "Forced", "Saturated", "saturate", "topological"]

VERTICES_MAX = 16_384
"""So many vertices take 64 MB."""
_ROUNDS_MAX = 200


@dataclass(frozen=True, slots=True)
class Forced:
    """An edge between events that must be: ``overwrites`` is false where ``other`` (a writer) must
    precede ``writer`` because it precedes ``reader`` (-1: because both write the key), and true
    where ``reader`` must precede ``other`` because ``writer`` does."""

    source: int
    target: int
    overwrites: bool
    reader: int
    writer: int
    other: int


@dataclass(slots=True, kw_only=True)
class Saturated:
    """What is known after saturation. ``cyclic``: no order exists. ``complete``: nothing more is
    forced (false when time ran out). ``order`` are all vertices in an order that respects every
    edge; ``after[v]`` is the set of vertices that ``v`` precedes, itself included, as bits numbered
    by ``place``. ``resolved`` are ambiguous reads with the only writer that is left."""

    cyclic: bool = False
    complete: bool = True
    forced: list[Forced] = field(default_factory=list)
    order: list[int] = field(default_factory=list)
    place: list[int] = field(default_factory=list)
    after: list[int] = field(default_factory=list)
    resolved: dict[int, int] = field(default_factory=dict)

    def precedes(self, one: int, other: int) -> bool:
        """Whether vertex ``one`` certainly precedes ``other`` (or is it)."""
        return bool(self.after[one] >> self.place[other] & 1)


def topological(vertices: int, adjacent: list[list[int]]) -> list[int] | None:
    """The vertices in an order that respects the edges; None if there is a cycle. O(v + e)."""
    missing = [0] * vertices
    for targets in adjacent:
        for target in targets:
            missing[target] += 1
    order = [vertex for vertex in range(vertices) if not missing[vertex]]
    for vertex in order:  # grows
        for target in adjacent[vertex]:
            missing[target] -= 1
            if not missing[target]:
                order.append(target)
    return order if len(order) == vertices else None


def saturate(
    graph: Polygraph, question: Question, edges: Edges, expired: Callable[[], bool]
) -> Saturated:
    """Everything that the rules force on ``graph``, beginning with ``edges``."""
    assert edges.vertices <= VERTICES_MAX
    return _Saturation(graph, question, edges).run(expired)


class _Saturation:
    def __init__(self, graph: Polygraph, question: Question, edges: Edges) -> None:
        self.vertices = edges.vertices
        self.adjacent: list[list[int]] = [[] for _ in range(edges.vertices)]
        for one, other in zip(edges.source.tolist(), edges.target.tolist(), strict=True):
            self.adjacent[one].append(other)
        everyone = np.arange(len(graph))
        self.start: list[int] = question.start(everyone).tolist()
        self.commit: list[int] = question.commit(everyone).tolist()
        self.snapshot = question.snapshot
        self.state = Saturated()
        optional = graph.optional.tolist()
        self.writers: dict[int, list[int]] = defaultdict(list)
        for vertex, key in zip(graph.write_vertex.tolist(), graph.write_key.tolist(), strict=True):
            if not optional[vertex]:
                self.writers[key].append(vertex)
        # By key, who read what who wrote; reads of what may not have happened say nothing yet.
        self.readers: dict[int, dict[int, list[int]]] = defaultdict(lambda: defaultdict(list))
        self.doubtful: dict[int, tuple[int, int, list[int]]] = {}
        columns = (graph.read_vertex, graph.read_key, graph.read_writer)
        for row, (vertex, key, writer) in enumerate(
            zip(*(column.tolist() for column in columns), strict=True)
        ):
            if optional[vertex]:
                continue
            if writer >= 0:
                self.readers[key][writer].append(vertex)
            elif writer != INITIAL:
                low, high = graph.candidate_first[row : row + 2].tolist()
                self.doubtful[row] = (vertex, key, graph.candidates[low:high].tolist())
        self.optional = optional
        self.rounds = 0

    def run(self, expired: Callable[[], bool]) -> Saturated:
        state = self.state
        while True:
            order = topological(self.vertices, self.adjacent)
            if order is None:
                state.cyclic = True
                return state
            state.order = order
            self._close(order)
            if self.rounds >= _ROUNDS_MAX or expired():
                state.complete = False
                return state
            self.rounds += 1
            many = len(state.forced) + len(state.resolved)
            if not self._round():
                state.cyclic = True
                return state
            if len(state.forced) + len(state.resolved) == many:
                return state

    def _close(self, order: list[int]) -> None:
        place = [0] * self.vertices
        for at, vertex in enumerate(order):
            place[vertex] = at
        after = [1 << at for at in place]
        before = [1 << at for at in place]
        for vertex in reversed(order):
            reached = after[vertex]
            for target in self.adjacent[vertex]:
                reached |= after[target]
            after[vertex] = reached
        for vertex in order:
            reached = before[vertex]
            for target in self.adjacent[vertex]:
                before[target] |= reached
        self.state.place, self.state.after, self.before = place, after, before

    def _round(self) -> bool:
        """Apply the rules once everywhere; false if a cycle was closed."""
        place, commit = self.state.place, self.commit
        for key, writers in self.writers.items():
            bits = 0
            for vertex in writers:
                bits |= 1 << place[commit[vertex]]
            by_place = {place[commit[vertex]]: vertex for vertex in writers}
            readers = self.readers.get(key, {})
            for writer in writers:
                if not self._writer(writer, readers.get(writer, []), bits, by_place):
                    return False
        return self._doubtful()

    def _writer(self, writer: int, readers: list[int], bits: int, by_place: dict[int, int]) -> bool:
        place, after = self.state.place, self.state.after
        start, commit = self.start[writer], self.commit[writer]
        others = bits & ~(1 << place[commit])
        # Nearest first, so that what lies behind it is implied.
        later = after[start] & others
        if self.snapshot:
            fresh = later
            while fresh:
                bit = fresh & -fresh
                other = by_place[bit.bit_length() - 1]
                fresh ^= bit
                if not after[commit] >> place[self.start[other]] & 1 and not self._force(
                    Forced(commit, self.start[other], False, -1, other, writer)
                ):
                    return False
                fresh &= ~after[self.commit[other]]
        for reader in readers:
            fresh = later & ~after[self.start[reader]] & ~(1 << place[self.commit[reader]])
            while fresh:
                bit = fresh & -fresh
                other = by_place[bit.bit_length() - 1]
                if not self._force(
                    Forced(self.start[reader], self.commit[other], True, reader, writer, other)
                ):
                    return False
                fresh &= ~after[self.start[reader]]
            earlier = self.before[self.start[reader]] & others
            if not self.snapshot:
                earlier &= ~(1 << place[self.commit[reader]])
            earlier &= ~self.before[start]
            while earlier:
                high = earlier.bit_length() - 1
                other = by_place[high]
                if not self._force(Forced(self.commit[other], start, False, reader, writer, other)):
                    return False
                earlier &= ~self.before[start]
        return True

    def _doubtful(self) -> bool:
        """Ambiguous reads lose the candidates that they precede."""
        place, after = self.state.place, self.state.after
        for row, (vertex, key, candidates) in list(self.doubtful.items()):
            start = self.start[vertex]
            left = [
                one
                for one in candidates
                if one < 0 or not after[start] >> place[self.commit[one]] & 1
            ]
            if INITIAL in left and any(
                after[self.commit[one]] >> place[start] & 1
                for one in self.writers.get(key, ())
                if one != vertex
            ):
                left.remove(INITIAL)
            if not left:
                return False
            self.doubtful[row] = (vertex, key, left)
            if len(left) == 1 and left[0] >= 0 and not self.optional[left[0]]:
                del self.doubtful[row]
                self.state.resolved[row] = left[0]
                self.readers[key][left[0]].append(vertex)
                source = self.commit[left[0]]
                self.adjacent[source].append(start)
                state = self.state
                state.forced.append(Forced(source, start, False, vertex, left[0], -1))
        return True

    def _force(self, edge: Forced) -> bool:
        """Add an edge; false if it closes a cycle. What the ends reach is kept up to date, what
        lies beyond them only with the next round."""
        state = self.state
        source, target = edge.source, edge.target
        state.forced.append(edge)
        self.adjacent[source].append(target)
        if state.after[target] >> state.place[source] & 1:
            return False
        state.after[source] |= state.after[target]
        self.before[target] |= self.before[source]
        return True
