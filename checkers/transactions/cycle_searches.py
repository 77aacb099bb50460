"""The searches for all kinds of cycles, in an order in which each saves work to the next.

First the graph without orders, then with that of processes, then with real time too. A kind that is
not there with all edges is not looked for with fewer, and a component where it was found is not
searched for it again when more edges make it larger.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from checkers.transactions.components import NO, YES, Components, Found, Search
from checkers.transactions.cycle_core import Core
from checkers.transactions.cycle_kinds import DATA, FAMILIES, NAMES, ORDERS
from checkers.transactions.dependencies import Edge

__all__ = ["Limits", "Searches"]

Codes = NDArray[np.int32]
Mask = NDArray[np.bool_]

_SINGLE, _APART, _ADJACENT = "G-single", "G-nonadjacent", "G2-item"


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How much is looked for and reported; nothing depends on a clock."""

    cycles: int = 32
    """Cycles of a name that are reported, the shortest first."""
    edges: int = 1 << 17
    """Edges of these together; the shortest cycle is reported in any case."""
    looks: int = 2_000_000
    """Edges that the searches for one name may look at for shorter cycles, after one search in each
    component; and then for more of them."""
    reach: int = 1 << 30
    """Edges that sets of 64 vertices may travel along to decide one G-single."""
    redundant: int = 32
    """Transactions on a cycle that rules out nothing more."""


class Searches:
    """``counts``: the cycles found of each name. ``absent``: the names that are certainly not
    there."""

    def __init__(self, core: Core, limits: Limits) -> None:
        self.counts: Counter[str] = Counter()
        self.absent: set[str] = set()
        self._core = core
        self._limits = limits
        self._shortest: dict[str, list[Codes]] = {name: [] for name in NAMES}
        self._components: dict[tuple[int, int], Components] = {}
        self._most = 0  # the edges of all orders
        self._nowhere: set[str] = set()  # kinds that are not there with these either
        # The vertices on cycles that were found, of each kind.
        self._known = {name: np.zeros(core.vertices, dtype=bool) for name in FAMILIES}

    def run(self) -> None:
        """Look for everything."""
        kinds = int(np.bitwise_or.reduce(self._core.kind))
        there = [(suffix, int(added)) for suffix, added, needed in ORDERS if kinds & needed]
        self.absent.update(NAMES)
        for suffix, _ in there:
            self.absent.difference_update(f"{name}{suffix}" for name in FAMILIES)
        self._most = there[-1][1]
        # What holds with all edges mostly does: few databases let writes or reads go in circles.
        if not self._of(int(Edge.WW | Edge.WR) | self._most).cyclic:
            self._nowhere.update(("G0", "G1c"))
        for suffix, added in there:
            for name in FAMILIES:
                if name in self._nowhere:
                    self.absent.add(f"{name}{suffix}")
                else:
                    self._look(name, suffix, added)

    def shortest(self, name: str) -> list[Codes]:
        """The shortest cycles found: their edges, as the dependencies number them."""
        kept: list[Codes] = []
        edges = 0
        for rows in sorted(self._shortest[name], key=self._length)[: self._limits.cycles]:
            edges += len(rows)
            if kept and edges > self._limits.edges:
                break
            first = int(np.argmin(self._core.source[rows]))
            kept.append(self._core.row[np.roll(rows, -first)])
        return kept

    def _length(self, rows: Codes) -> int:
        return int(np.count_nonzero(self._core.source[rows] < self._core.transactions))

    def _of(self, mask: int, apart: int = 0) -> Components:
        found = self._components.get((mask, apart))
        if found is None:
            found = self._core.graph.components(mask, apart=apart)
            self._components[mask, apart] = found
        return found

    def _home(self, name: str, added: int) -> Codes:
        """The components in which the kind lives."""
        family = FAMILIES[name]
        return self._of((family.walk if name in ("G0", "G1c") else DATA) | added).component

    def _suspects(self, name: str, added: int) -> Codes:
        """The edges that a cycle of the kind may begin with: if there are none, then there is no
        such cycle. Of G0 and G1c each of them is on one."""
        core = self._core
        rows = core.of_kind[FAMILIES[name].first]
        source, target = core.source[rows], core.target[rows]
        if name in (_SINGLE, _APART):
            product = self._of(int(DATA) | added, int(Edge.RW)).component
            inside = product[2 * source] == product[2 * target + 1]
        else:
            home = self._home(name, added)
            inside = home[source] == home[target]
        if name == _ADJACENT:
            entered = np.zeros(core.vertices, dtype=bool)
            entered[target[inside]] = True
            inside &= entered[source]
        suspects: Codes = rows[inside]
        return suspects

    def _look(self, name: str, suffix: str, added: int) -> None:
        component = self._home(name, added)
        new = self._new(name, component)
        if self._known[name].any() and not new.any():
            return
        suspects = self._suspects(name, added)
        if not len(suspects):
            self.absent.add(f"{name}{suffix}")
            if not len(self._suspects(name, self._most)):
                self._nowhere.update((name, _APART) if name == _SINGLE else (name,))
            return
        edges = suspects[new[self._core.source[suspects]]]
        everywhere = len(edges) == len(suspects)
        if name == _SINGLE:
            sure, perhaps = self._reached(edges, component, added)
            if everywhere and not len(sure) and not len(perhaps):
                self.absent.add(f"{name}{suffix}")
            self._search(name, added, component, sure, perhaps)
        elif not self._search(name, added, component, edges) and everywhere and name == _ADJACENT:
            self.absent.add(f"{name}{suffix}")

    def _new(self, name: str, component: Codes) -> Mask:
        """The vertices of components with several of them, where the kind was not found yet."""
        settled = np.bincount(component) < 2
        settled[component[self._known[name]]] = True
        new: Mask = ~settled[component]
        return new

    def _reached(self, rows: Codes, component: Codes, added: int) -> tuple[Codes, Codes]:
        """The rw edges whose target reaches their source without others, and those that may."""
        mask = int(Edge.WW | Edge.WR) | added
        answer = self._core.graph.reaching(
            mask,
            component=component,
            condensed=self._of(mask).component,
            source=self._core.source[rows],
            target=self._core.target[rows],
            looks=self._limits.reach,
        )
        return rows[answer == YES], rows[(answer != YES) & (answer != NO)]

    def _search(self, name: str, added: int, component: Codes, *edges: Codes) -> bool:
        """Search from the sources of edges, of the first ones before the others. Whether there may
        be a cycle: one was found, or not all was searched."""
        core, limits, family = self._core, self._limits, FAMILIES[name]
        starts = np.concatenate([self._ascending(core.source[rows]) for rows in edges])
        search = Search(
            first=family.first,
            walk=int(family.walk) | added,
            last=int(family.last) | (0 if name == _ADJACENT else added),
            apart=family.apart,
        )
        redundant = self._redundant(name, component)[starts]
        # With more edges than those of the data, what is redundant is not looked for at all.
        length = 0 if added else min(limits.redundant, core.vertices)
        perhaps = bool(redundant.any()) and length < core.transactions
        for some, longest in ((~redundant, core.vertices), (redundant, length)):
            if longest and some.any():
                found = core.graph.cycles(
                    search,
                    component=component,
                    starts=starts[some],
                    longest=longest,
                    looks=limits.looks,
                )
                perhaps |= len(found.rows) > 0 or not found.complete
                self._keep(name, found)
        return perhaps

    def _ascending(self, vertices: Codes) -> Codes:
        """Each of the vertices once, in ascending order."""
        chosen = np.zeros(self._core.vertices, dtype=bool)
        chosen[vertices] = True
        return np.flatnonzero(chosen).astype(np.int32)

    def _redundant(self, name: str, component: Codes) -> Mask:
        """The vertices in whose component another kind rules out as much already."""
        ruled = np.zeros(self._core.vertices, dtype=bool)
        if name in (_APART, _ADJACENT):
            for other in FAMILIES:
                if other == name:
                    break
                ruled[component[self._known[other]]] = True
        redundant: Mask = ruled[component]
        return redundant

    def _keep(self, name: str, found: Found) -> None:
        """Count the cycles, and keep the shortest."""
        if not len(found.rows):
            return
        core, begin = self._core, found.first[:-1]
        self._known[name][core.source[found.rows]] = True
        kinds = np.bitwise_or.reduceat(core.kind[found.rows], begin)
        lengths = np.add.reduceat(
            (core.source[found.rows] < core.transactions).astype(np.int64), begin
        )
        left = np.ones(len(begin), dtype=bool)
        for suffix, _, needed in reversed(ORDERS):
            here = np.flatnonzero(left & (kinds & np.uint8(needed) > 0))
            left[here] = False
            self.counts[f"{name}{suffix}"] += len(here)
            for one in here[np.argsort(lengths[here], kind="stable")][: self._limits.cycles]:
                rows = found.rows[found.first[one] : found.first[one + 1]]
                self._shortest[f"{name}{suffix}"].append(rows)
