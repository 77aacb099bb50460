"""The choices that saturation left open, as clauses: an assignment without a cycle is an order.

A variable says which of two writers of a key comes first, who wrote what an ambiguous read saw, or
whether a transaction happened of which that is not known. Each *choice* is an edge with the
literals under which it is there. An assignment is asked for, the edges that it brings are searched
for cycles, and for each cycle a clause says that not all of its edges can be there; until there is
no cycle, or no assignment.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from checkers.transactions.polygraph import Polygraph, Question
from checkers.transactions.polygraph_edges import Edges
from checkers.transactions.polygraph_parts import whole_components
from checkers.transactions.rw_register_accesses import AMBIGUOUS, INITIAL
from checkers.transactions.saturation import Saturated, topological
from checkers.transactions.solver_clauses import Engine, engine

__all__ = ["Choices", "TooMany", "choices", "choose"]

CHOICES_MAX = 2_000_000
CLAUSES_MAX = 500_000
_CYCLES_MAX = 200


class TooMany(Exception):
    """More choices than are looked at."""


@dataclass(slots=True, kw_only=True)
class Choices:
    """Edges between events, each with the literals that bring it; and clauses about these.
    ``happened`` is the variable of each optional transaction."""

    source: list[int] = field(default_factory=list)
    target: list[int] = field(default_factory=list)
    literals: list[tuple[int, ...]] = field(default_factory=list)
    clauses: list[list[int]] = field(default_factory=list)
    preferred: list[int] = field(default_factory=list)
    happened: dict[int, int] = field(default_factory=dict)
    variables: int = 0

    def variable(self) -> int:
        """A new one."""
        self.variables += 1
        return self.variables

    def add(self, source: int, target: int, literals: Sequence[int]) -> None:
        """An edge that is there if all ``literals`` are true."""
        if len(self.source) >= CHOICES_MAX:
            raise TooMany
        self.source.append(source)
        self.target.append(target)
        self.literals.append(tuple(dict.fromkeys(literals)))


class _Builder:
    def __init__(self, graph: Polygraph, question: Question, known: Saturated) -> None:
        everyone = np.arange(len(graph))
        self.graph, self.question, self.known = graph, question, known
        self.start: list[int] = question.start(everyone).tolist()
        self.commit: list[int] = question.commit(everyone).tolist()
        self.optional = graph.optional.tolist()
        self.found = Choices()
        self.found.happened = {
            int(vertex): self.found.variable() for vertex in np.flatnonzero(graph.optional)
        }
        self.writers: dict[int, list[int]] = defaultdict(list)
        for vertex, key in zip(graph.write_vertex.tolist(), graph.write_key.tolist(), strict=True):
            self.writers[key].append(vertex)
        self.pairs: dict[tuple[int, int], int] = {}
        # Who may have been first: the one that returned first, as a guess.
        rank = np.empty(len(graph), dtype=np.int64)
        rank[np.lexsort((graph.call, graph.ret))] = everyone
        self.rank: list[int] = rank.tolist()

    def present(self, vertex: int) -> tuple[int, ...]:
        return (self.found.happened[vertex],) if self.optional[vertex] else ()

    def before(self, one: int, other: int) -> int | bool:
        """Whether a writer precedes another of the same key: known, or a literal."""
        known = self.known
        if known.precedes(self.start[one], self.commit[other]):
            return True
        if known.precedes(self.start[other], self.commit[one]):
            return False
        low, high = min(one, other), max(one, other)
        variable = self.pairs.get((low, high))
        if variable is None:
            variable = self.pairs[low, high] = self.found.variable()
            guess = self.rank[low] < self.rank[high]
            self.found.preferred.append(variable if guess else -variable)
            for first, second, literal in ((low, high, variable), (high, low, -variable)):
                present = (*self.present(first), *self.present(second))
                self.found.add(self.commit[first], self.start[second], (literal, *present))
        return variable if one == low else -variable

    def build(self) -> Choices:
        graph, found = self.graph, self.found
        vertices, keys = graph.read_vertex.tolist(), graph.read_key.tolist()
        writers = graph.read_writer.tolist()
        for row, (reader, key, read_from) in enumerate(zip(vertices, keys, writers, strict=True)):
            writer = self.known.resolved.get(row, read_from)
            if writer != AMBIGUOUS:
                if writer >= 0 and self.optional[writer]:
                    found.clauses.append([-self.present(reader)[0], found.happened[writer]])
                self.read(reader, key, writer, ())
                continue
            low, high = graph.candidate_first[row : row + 2].tolist()
            options = graph.candidates[low:high].tolist()
            chosen = [found.variable() for _ in options]
            absent = [-literal for literal in self.present(reader)]
            found.clauses.append([*chosen, *absent])
            found.clauses += [
                [-one, -other] for at, one in enumerate(chosen) for other in chosen[:at]
            ]
            for variable, option in zip(chosen, options, strict=True):
                if option >= 0:
                    found.clauses += [[-variable, one] for one in self.present(option)]
                    found.add(self.commit[option], self.start[reader], (variable,))
                self.read(reader, key, option, (variable,))
        if self.question.snapshot:  # of two that write one key, one starts after the other
            for writers_of_key in self.writers.values():
                for at, one in enumerate(writers_of_key):
                    for other in writers_of_key[:at]:
                        self.conflict(one, other)
        return found

    def conflict(self, one: int, other: int) -> None:
        """What is known of the two, but follows only if both happened, is an edge too."""
        literal = self.before(one, other)
        if literal is True or literal is False:
            first, second = (one, other) if literal else (other, one)
            if not self.known.precedes(self.commit[first], self.start[second]):
                present = (*self.present(first), *self.present(second))
                self.found.add(self.commit[first], self.start[second], present)

    def read(self, reader: int, key: int, writer: int, when: tuple[int, ...]) -> None:
        """The others that write the key: before what was read, or after the reader."""
        when = (*when, *self.present(reader))
        for other in self.writers.get(key, ()):
            if other in (reader, writer):
                continue
            literals = (*when, *self.present(other))
            start, commit = self.start[reader], self.commit[other]
            literal = True if writer == INITIAL else self.before(writer, other)
            if literal is not False and not (not literals and self.known.precedes(start, commit)):
                side = () if literal is True else (literal,)
                self.found.add(start, commit, (*literals, *side))


def choices(graph: Polygraph, question: Question, known: Saturated) -> Choices:
    """All choices that are left. O(writers^2) for each key. Raises :class:`TooMany`."""
    return _Builder(graph, question, known).build()


def choose(
    left: Choices, known: Edges, forced: Saturated, events: int, expired: Callable[[], bool]
) -> tuple[bool | None, list[int], dict[int, bool]]:
    """Whether the choices can be made without a cycle (None: not decided); then an order of all
    events, and which optional transactions happened."""
    adjacent: list[list[tuple[int, int]]] = [[] for _ in range(known.vertices)]
    for one, other in zip(known.source.tolist(), known.target.tolist(), strict=True):
        adjacent[one].append((other, -1))
    for edge in forced.forced:
        adjacent[edge.source].append((edge.target, -1))
    solver = engine()
    try:
        return _search(left, adjacent, solver, events, expired)
    finally:
        solver.close()


def _search(
    left: Choices,
    adjacent: list[list[tuple[int, int]]],
    solver: Engine,
    events: int,
    expired: Callable[[], bool],
) -> tuple[bool | None, list[int], dict[int, bool]]:
    for clause in left.clauses:
        solver.add(clause)
    # An assignment must give each variable a value, also those that occur in no clause.
    for variable in range(1, left.variables + 1):
        solver.add([variable, -variable])
    solver.prefer(left.preferred)
    added = 0
    while added < CLAUSES_MAX:
        answer = solver.solve(expired)
        if not answer:
            return answer, [], {}
        values = [False, *(solver.value(one) for one in range(1, left.variables + 1))]
        extended = [list(edges) for edges in adjacent]
        for number, literals in enumerate(left.literals):
            if all(values[abs(literal)] == (literal > 0) for literal in literals):
                extended[left.source[number]].append((left.target[number], number))
        order = topological(len(extended), [[to for to, _ in edges] for edges in extended])
        if order is not None:
            happened = {vertex: values[name] for vertex, name in left.happened.items()}
            return True, [event for event in order if event < events], happened
        for clause in _cycles(extended, left):
            if not clause:  # a cycle of what is known alone
                return False, [], {}
            solver.add(clause)
            added += 1
        if expired():
            return None, [], {}
    return None, [], {}


def _cycles(extended: list[list[tuple[int, int]]], left: Choices) -> list[list[int]]:
    """Clauses against cycles: one with as few choices as possible through each chosen edge that is
    not on one already."""
    clauses: dict[tuple[int, ...], None] = {}
    covered: set[int] = set()
    component = _components(extended)
    for source, edges in enumerate(extended):
        for target, number in edges:
            if number < 0 or component[target] != component[source] or number in covered:
                continue
            path = _path(extended, target, source, component)
            covered.update((number, *path))
            literals = {-literal for one in (number, *path) for literal in left.literals[one]}
            clauses[tuple(sorted(literals))] = None
            if len(clauses) >= _CYCLES_MAX:
                return [list(clause) for clause in clauses]
    return [list(clause) for clause in clauses] or [[]]


def _components(extended: list[list[tuple[int, int]]]) -> list[int]:
    """The strongly connected component of each vertex."""
    source = [vertex for vertex, edges in enumerate(extended) for _ in edges]
    target = [target for edges in extended for target, _ in edges]
    found = whole_components(
        Edges(
            vertices=len(extended),
            source=np.array(source, dtype=np.int64),
            target=np.array(target, dtype=np.int64),
        )
    )
    of: list[int] = found[0].tolist()
    return of


def _path(
    extended: list[list[tuple[int, int]]], start: int, goal: int, component: list[int]
) -> list[int]:
    """The choices on a way with the fewest of them, inside of a component."""
    within = component[start]
    came: dict[int, tuple[int, int]] = {start: (-1, -1)}
    settled: set[int] = set()
    queue = deque([start])
    cost = {start: 0}
    while True:
        vertex = queue.popleft()
        if vertex == goal:
            break
        if vertex in settled:
            continue
        settled.add(vertex)
        for target, number in extended[vertex]:
            if component[target] != within:
                continue
            price = cost[vertex] + (number >= 0)
            if price < cost.get(target, 1 << 60):
                cost[target] = price
                came[target] = (vertex, number)
                (queue.append if number >= 0 else queue.appendleft)(target)
    path = []
    at = goal
    while at != start:
        at, number = came[at]
        if number >= 0:
            path.append(number)
    return path
