"""Which cycles a graph of dependencies has: G0, G1c, G-single, G-nonadjacent and G2-item.

What each name means, of simple cycles (Adya 1999, ch. 4; Cerone & Gotsman, PODC 2016; Kingsbury &
Alvaro, VLDB 2020):

- **G0**: only ww edges. **G1c**: ww and wr edges, at least one wr.
- **G-single**: exactly one rw edge, else ww and wr.
- **G-nonadjacent**: two or more rw edges, no two of them one after the other.
- **G2-item**: rw edges, of which two follow each other.

*-process*: with an edge of the order of a process too, *-realtime* with one of real time (and
perhaps of processes). Such a cycle is looked for only in components where the kind is not there
without it: there, every cycle of the kind needs such an edge.

Each kind lives in the strongly connected components of a subgraph: G0 in those of ww, G1c in those
of ww and wr, the others in those of all edges. Within one, a breadth-first search finds a shortest
cycle; it visits each state of the search once, and never lists paths.

What is exact:

- Whether there is a **G0** or **G1c**: a ww (wr) edge inside such a component.
- Whether there is a **G-single**: an rw edge ``a -> b`` where ``b`` reaches ``a`` without rw edges.
- Whether there is a **G-nonadjacent or G-single**, in components without G0 and G1c: an rw edge
  inside a component of the product graph (vertex, whether the last edge was rw). This decides
  snapshot isolation (Cerone & Gotsman, Theorem 9). The proof is in docs/decisions/0009-cycles.md.
- Whether there is a **G2-item**: for each vertex in the middle of two rw edges, whether there is a
  way around it. A search for each such vertex, so that the limit may end it.

Merely not found (neither in ``counts`` nor in ``absent``) is a G-nonadjacent in a component that
has a G-single, G0 or G1c: finding simple cycles through two edges is hard in general. It would not
rule out any more models.

>>> [len(cycle.transactions) for cycle in find_cycles(dependencies).cycles]  # doctest: +SKIP
[2, 3, 3]
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from checkers.transactions.components import NO, YES, Components, Graph, Search
from checkers.transactions.dependencies import Dependencies, Edge

__all__ = ["FAMILIES", "NAMES", "Cycle", "CycleReport", "Limits", "find_cycles", "name_of"]

Rows = NDArray[np.int64]
Codes = NDArray[np.int32]
Mask = NDArray[np.bool_]

_DATA = Edge.WW | Edge.WR | Edge.RW
_ORDERS: tuple[tuple[str, Edge, Edge], ...] = (
    ("", Edge(0), _DATA),
    ("-process", Edge.PROCESS, Edge.PROCESS),
    ("-realtime", Edge.PROCESS | Edge.REALTIME, Edge.REALTIME),
)
"""What is added to a name, the edges that are added to the graph, and those that it needs."""

FAMILIES: Mapping[str, Search] = {
    "G0": Search(first=Edge.WW, walk=Edge.WW, last=Edge.WW),
    "G1c": Search(first=Edge.WR, walk=Edge.WW | Edge.WR, last=Edge.WW | Edge.WR),
    "G-single": Search(first=Edge.RW, walk=Edge.WW | Edge.WR, last=Edge.WW | Edge.WR),
    "G-nonadjacent": Search(first=Edge.RW, walk=_DATA, last=Edge.WW | Edge.WR, apart=Edge.RW),
    "G2-item": Search(first=Edge.RW, walk=_DATA, last=Edge.RW),
}
"""How a cycle of each kind is walked. That of G2-item begins in the middle of two rw edges."""

NAMES: tuple[str, ...] = tuple(f"{name}{suffix}" for suffix, _, _ in _ORDERS for name in FAMILIES)


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How much is looked for and reported; nothing depends on a clock."""

    cycles: int = 24
    """Cycles of a name that are reported, the shortest first."""
    edges: int = 1 << 17
    """Edges of these together; the shortest cycle is reported in any case."""
    looks: int = 4_000_000
    """Edges that the searches for one name may look at, after one search in each component."""
    reach: int = 1 << 30
    """Edges that sets of 64 vertices may travel along to decide one G-single."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cycle:
    """``edges`` are rows of the dependencies in the order of the cycle, with the walks through
    auxiliary vertices; ``transactions`` are those that it visits, beginning with the source of the
    first edge: the first one in the history. ``name`` is one of :data:`NAMES`."""

    name: str
    edges: tuple[int, ...]
    transactions: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class CycleReport:
    """``cycles``: the shortest one found of each name in each component, weakest names first, up to
    the limit. ``counts``: of how many components (of the subgraph in which the name lives) such a
    cycle was found. ``absent``: the names of which the graph has certainly none; a name in neither
    was not found, but may be there."""

    cycles: tuple[Cycle, ...]
    counts: Mapping[str, int]
    absent: frozenset[str]


def find_cycles(dependencies: Dependencies, *, limits: Limits | None = None) -> CycleReport:
    """The cycles of ``dependencies``. The edges of processes and real time alone must have none.

    O(vertices + edges) where there is no cycle. Else that much for each of the three orders and
    five kinds, on what lies inside of components, and the searches that ``limits`` allow.
    """
    core = _Core.of(dependencies)
    if core is None:
        return CycleReport(cycles=(), counts={}, absent=frozenset(NAMES))
    search = _Searches(core, limits or Limits())
    for suffix, added, needed in _ORDERS:
        if not (core.kind & np.uint8(needed)).any():
            search.absent.update(f"{name}{suffix}" for name in FAMILIES)
        else:
            search.order(suffix, int(added))
    return search.report()


def name_of(kinds: NDArray[np.uint8]) -> str:
    """The name of the simple cycle whose edges have these ``kinds``, in its order."""
    is_rw = kinds & Edge.RW > 0
    count = int(is_rw.sum())
    if count:
        adjacent = count > 1 and bool((is_rw & np.roll(is_rw, 1)).any())
        name = "G-single" if count == 1 else "G2-item" if adjacent else "G-nonadjacent"
    else:
        name = "G1c" if (kinds & Edge.WR).any() else "G0"
    suffix = next(
        (one for one, _, needed in reversed(_ORDERS[1:]) if (kinds & np.uint8(needed)).any()), ""
    )
    return name + suffix


@dataclass(frozen=True, kw_only=True, eq=False)
class _Core:
    """What lies inside of components: vertices numbered anew in the same order."""

    dependencies: Dependencies
    graph: Graph
    vertex: Rows  # the vertices, as the dependencies number them
    row: Rows  # the edges, as the dependencies number them
    source: Codes
    target: Codes
    kind: NDArray[np.uint8]

    @staticmethod
    def of(whole: Dependencies) -> _Core | None:
        graph = Graph(
            vertices=whole.vertices,
            transactions=whole.transactions,
            source=whole.source,
            target=whole.target,
            kind=whole.kind,
        )
        components = graph.components(int(sum(Edge)))
        if not components.cyclic:
            return None
        component = components.component
        row = np.flatnonzero(component[whole.source] == component[whole.target])
        kept = components.size[component] > 1
        vertex = np.flatnonzero(kept)
        number = np.cumsum(kept, dtype=np.int32) - np.int32(1)
        source, target = number[whole.source[row]], number[whole.target[row]]
        kind = whole.kind[row]
        return _Core(
            dependencies=whole,
            graph=Graph(
                vertices=len(vertex),
                transactions=int(np.searchsorted(vertex, whole.transactions)),
                source=source,
                target=target,
                kind=kind,
            ),
            vertex=vertex,
            row=row,
            source=source,
            target=target,
            kind=kind,
        )

    def cycle(self, rows: Codes) -> Cycle:
        rows = np.roll(rows, -int(np.argmin(self.source[rows])))
        source = self.vertex[self.source[rows]]
        return Cycle(
            name=name_of(self.kind[rows]),
            edges=tuple(self.row[rows].tolist()),
            transactions=tuple(source[source < self.dependencies.transactions].tolist()),
        )


class _Searches:
    """The searches for all kinds, order by order, and what they found."""

    def __init__(self, core: _Core, limits: Limits) -> None:
        self._core = core
        self._limits = limits
        self.absent: set[str] = set()
        self._found: dict[str, list[Codes]] = {}
        self._counts: Counter[str] = Counter()
        # Vertices on cycles that were found, of each kind: a component with one is not searched
        # again when more edges make it larger.
        self._known = {name: np.zeros(len(core.vertex), dtype=bool) for name in FAMILIES}

    def order(self, suffix: str, added: int) -> None:
        """Look for cycles of ww, wr, rw and ``added`` edges."""
        graph = self._core.graph
        whole = graph.components(_DATA | added)
        if not whole.cyclic:
            self.absent.update(f"{name}{suffix}" for name in FAMILIES)
            return
        written = graph.components(Edge.WW | added)
        committed = graph.components(Edge.WW | Edge.WR | added)
        product = graph.components(_DATA | added, apart=Edge.RW)
        self._within("G0", suffix, added, written)
        self._within("G1c", suffix, added, committed)
        self._apart(suffix, added, whole, committed, product)
        self._adjacent(suffix, added, whole)

    def _inside(self, kind: int, component: Codes) -> Rows:
        """The edges of a kind whose ends are in one component."""
        core = self._core
        rows = np.flatnonzero(core.kind & np.uint8(kind))
        inside: Rows = rows[component[core.source[rows]] == component[core.target[rows]]]
        return inside

    def _within(self, name: str, suffix: str, added: int, components: Components) -> None:
        """G0 and G1c: an edge inside a component is on a cycle."""
        rows = self._inside(FAMILIES[name].first, components.component)
        if not len(rows):
            self.absent.add(f"{name}{suffix}")
            return
        self._search(name, added, components.component, self._core.source[rows])

    def _apart(
        self,
        suffix: str,
        added: int,
        whole: Components,
        committed: Components,
        product: Components,
    ) -> None:
        """G-single and G-nonadjacent: an rw edge inside a component of the product graph."""
        core, component = self._core, whole.component
        rows = np.flatnonzero(core.kind & np.uint8(Edge.RW))
        source, target = core.source[rows], core.target[rows]
        inside = product.component[2 * source] == product.component[2 * target + 1]
        source, target = source[inside], target[inside]
        if not len(source):
            self.absent.update((f"G-single{suffix}", f"G-nonadjacent{suffix}"))
            return
        # G-single: the edge's target must reach its source without another rw edge.
        new = self._new("G-single", component, source)
        answer = core.graph.reaching(
            int(Edge.WW | Edge.WR) | added,
            component=component,
            condensed=committed.component,
            source=source[new],
            target=target[new],
            looks=self._limits.reach,
        )
        if new.all() and (answer == NO).all():
            self.absent.add(f"G-single{suffix}")
        sure, perhaps = source[new][answer == YES], source[new][answer > YES]
        self._search("G-single", added, component, _ascending(sure), _ascending(perhaps))
        self._search("G-nonadjacent", added, component, source)

    def _adjacent(self, suffix: str, added: int, whole: Components) -> None:
        """G2-item: a way around a vertex in the middle of two rw edges."""
        core, component = self._core, whole.component
        rows = self._inside(Edge.RW, component)
        entered, left = np.zeros((2, len(core.vertex)), dtype=bool)
        entered[core.target[rows]] = True
        left[core.source[rows]] = True
        middles = np.flatnonzero(entered & left)
        new = self._new("G2-item", component, middles).all()
        complete, found = self._search("G2-item", added, component, middles)
        if new and complete and not found:
            self.absent.add(f"G2-item{suffix}")

    def _new(self, name: str, component: Codes, vertices: NDArray[np.integer]) -> Mask:
        """Which of the vertices are in components where the kind was not found yet."""
        known = np.zeros(len(component) + 1, dtype=bool)
        known[component[self._known[name]]] = True
        new: Mask = ~known[component[vertices]]
        return new

    def _search(
        self, name: str, added: int, component: Codes, *starts: NDArray[np.integer]
    ) -> tuple[bool, bool]:
        """Whether the search for new cycles from ``starts`` (the first of them before the others)
        was complete, and whether it found any."""
        family = FAMILIES[name]
        begin = np.concatenate([_ascending(some) for some in starts])
        begin = begin[self._new(name, component, begin)]
        if not len(begin):
            return True, False
        found, complete = self._core.graph.cycles(
            Search(
                first=family.first,
                walk=family.walk | added,
                last=family.last if name == "G2-item" else family.last | added,
                apart=family.apart,
            ),
            component=component,
            starts=begin,
            looks=self._limits.looks,
        )
        for rows in found:
            self._known[name][self._core.source[rows]] = True
            one = name_of(self._core.kind[rows])
            self._counts[one] += 1
            self._found.setdefault(one, []).append(rows)
        return complete, bool(found)

    def report(self) -> CycleReport:
        cycles: list[Cycle] = []
        for name in NAMES:
            edges = 0
            ordered = sorted(
                self._found.get(name, ()),
                key=lambda rows: int(
                    (
                        self._core.vertex[self._core.source[rows]]
                        < self._core.dependencies.transactions
                    ).sum()
                ),
            )
            for rows in ordered[: self._limits.cycles]:
                edges += len(rows)
                if edges > len(rows) and edges > self._limits.edges:
                    break
                cycles.append(self._core.cycle(rows))
        return CycleReport(
            cycles=tuple(cycles),
            counts={name: self._counts[name] for name in NAMES if self._counts[name]},
            absent=frozenset(self.absent - set(self._counts)),
        )


def _ascending(vertices: NDArray[np.integer]) -> Codes:
    """Each of the vertices once, in ascending order."""
    ordered = np.sort(vertices).astype(np.int32)
    return ordered[np.diff(ordered, prepend=-1) > 0]
