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

What is exact (the proofs are in docs/decisions/0009-cycles.md):

- Whether there is a **G0** or **G1c**: a ww (wr) edge inside such a component.
- Whether there is a **G-single**: an rw edge ``a -> b`` where ``b`` reaches ``a`` without rw edges.
- Whether there is a **G-single or G-nonadjacent**, in a component without G0 and G1c: an rw edge
  inside a component of the product graph (vertex, whether the last edge was rw). This decides
  snapshot isolation (Cerone & Gotsman, Theorem 9).
- Whether there is a **G2-item**, in a component without any of the others: a vertex in the middle
  of two rw edges with a way around it. This is one search for each such vertex, so that the limit
  may end it; then the name is neither in ``counts`` nor in ``absent``.

In a component that has a kind from further up the list already, a G-nonadjacent or G2-item would
rule out nothing more. There they are looked for up to a length (``Limits.redundant``) and without
the edges of processes and real time, and a G-nonadjacent may be missed (to find a simple cycle
through two given edges is NP-hard).

>>> [len(cycle.transactions) for cycle in find_cycles(dependencies).cycles]  # doctest: +SKIP
[2, 3, 3]
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from checkers.transactions.cycle_core import Core
from checkers.transactions.cycle_kinds import NAMES, name_of
from checkers.transactions.cycle_searches import Limits, Searches
from checkers.transactions.dependencies import Dependencies

__all__ = ["NAMES", "Cycle", "CycleReport", "Limits", "find_cycles", "name_of"]


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
    """``cycles``: the shortest ones found of each name, up to a limit; names that rule out weaker
    models first. ``counts``: how many of each were found of which no two share a transaction, at
    least one for each component that has the kind; there may be more. ``absent``: the names of
    which the graph has certainly none. A name in neither was not found, but may be there."""

    cycles: tuple[Cycle, ...]
    counts: Mapping[str, int]
    absent: frozenset[str]


def find_cycles(dependencies: Dependencies, *, limits: Limits | None = None) -> CycleReport:
    """The cycles of ``dependencies``. The edges of processes and real time alone must have none.

    O(vertices + edges) where there is no cycle. Else that much for each of the three orders and
    five kinds, of what lies inside of components, and the searches that ``limits`` allow.
    """
    core = Core.of(dependencies)
    if core is None:
        return CycleReport(cycles=(), counts={}, absent=frozenset(NAMES))
    searches = Searches(core, limits or Limits())
    searches.run()
    cycles = []
    for name in NAMES:
        for rows in searches.shortest(name):
            source = dependencies.source[rows]
            transactions = source[source < dependencies.transactions]
            cycles.append(
                Cycle(
                    name=name,
                    edges=tuple(rows.tolist()),
                    transactions=tuple(transactions.tolist()),
                )
            )
    counts = {name: searches.counts[name] for name in NAMES if searches.counts[name]}
    assert searches.absent.isdisjoint(counts)
    return CycleReport(cycles=tuple(cycles), counts=counts, absent=frozenset(searches.absent))
