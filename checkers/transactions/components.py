"""Strongly connected components of graphs, and short cycles inside them, in linear time.

Compiled where the extension is there (``harness/core/kernels/graph.cpp``), else in Python
(:mod:`.graph_twin`); both give the same answers.

A *product graph* has two states of each vertex: whether the edge that was taken to reach it was one
of those that must stay *apart*. Such an edge leads only from the state in which the last one was
another, so that the cycles of the product graph are the closed walks in which no two edges of the
kind follow each other.
"""

from __future__ import annotations

from dataclasses import dataclass
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from checkers.transactions.graph_twin import TwinGraph
from harness.core import kernels

__all__ = ["NO", "UNDECIDED", "YES", "Components", "Found", "Graph", "Search"]

Codes = NDArray[np.int32]
Bits = NDArray[np.uint8]
Mask = NDArray[np.bool_]

NO, YES, UNDECIDED = 0, 1, 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Search:
    """A kind of cycle: it begins with an edge of the kinds ``first``, goes on with edges of the
    kinds ``walk`` and ends with one of ``last`` (a part of ``walk``). With ``apart``, no two edges
    of these kinds follow each other, and there are two or more of them."""

    first: int
    walk: int
    last: int
    apart: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Components:
    """``component`` of each vertex (of each state, in a product graph: ``2 * vertex + state``),
    ``int32[n]``, numbered so that every edge between two components leads to the lower number;
    ``size`` of each component."""

    component: Codes
    size: Codes

    @property
    def cyclic(self) -> bool:
        """Whether there is a cycle (of two or more vertices)."""
        return bool(len(self.size) < len(self.component))


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """Cycles: the edges of the one at ``i`` are ``rows[first[i]:first[i + 1]]`` (``int32[e]``,
    ``int64[n + 1]``). ``complete``: the search was not cut short, so that each is a shortest one of
    its component, and a component without one has none (of those that are searched for)."""

    rows: Codes
    first: NDArray[np.int64]
    complete: bool


class Graph:
    """A directed graph whose edges have kinds (bits of ``kind``).

    The first ``transactions`` vertices count in the length of a cycle, the others do not.
    ``source`` and ``target`` are ``int32[e]``, ``kind`` is ``uint8[e]``. O(vertices + edges).
    ``searched``: whether :meth:`cycles` will be called; five bytes an edge without it, else nine.
    Raises ``ValueError`` if an edge leads to no vertex.
    """

    def __init__(
        self,
        *,
        vertices: int,
        transactions: int,
        source: Codes,
        target: Codes,
        kind: Bits,
        searched: bool = True,
        native: ModuleType | None = kernels.NATIVE,
    ) -> None:
        arguments = (
            vertices,
            transactions,
            _column(source, np.int32),
            _column(target, np.int32),
            _column(kind, np.uint8),
            searched,
        )
        self._graph = _Compiled(native, arguments) if native else TwinGraph(*arguments[:-1])

    def components(self, mask: int, *, apart: int = 0) -> Components:
        """The strongly connected components of the edges whose kind is in ``mask``; with ``apart``
        (kinds), those of the product graph. O(vertices + edges).

        D. J. Pearce, *A Space-Efficient Algorithm for Finding Strongly Connected Components*,
        Information Processing Letters 116, 2016 (after Tarjan 1972).
        """
        component, size = self._graph.components(mask, apart)
        return Components(component=component, size=size)

    def reaching(
        self,
        mask: int,
        *,
        component: Codes,
        condensed: Codes,
        source: Codes,
        target: Codes,
        looks: int,
    ) -> Bits:
        """For each pair, whether ``target`` reaches ``source`` over the edges in ``mask`` without
        leaving its component: :data:`YES`, :data:`NO`, or :data:`UNDECIDED`.

        ``condensed`` are the components of the edges in ``mask``, and ``component`` those of more
        edges. Sets of 64 targets travel along the topological order of the condensed graph,
        O(edges * pairs / 64); in each component until one pair is YES, and in all until ``looks``
        edges were looked at.
        """
        answer = np.full(len(source), NO, dtype=np.uint8)
        together = condensed[source] == condensed[target]
        answer[together] = YES
        # A target that comes after its source in the topological order cannot reach it.
        settled = np.zeros(int(component.max(initial=0)) + 1, dtype=bool)
        settled[component[target[together]]] = True
        asked = condensed[source] < condensed[target]
        needless = settled[component[target]]
        answer[asked & needless] = UNDECIDED
        pairs = np.flatnonzero(asked & ~needless)
        if not len(pairs):
            return answer
        # Sources first within each component; pairs whose ways begin together share them.
        order = np.lexsort((-condensed, component)).astype(np.int32)
        pairs = pairs[np.lexsort((-condensed[target[pairs]], component[target[pairs]]))]
        answer[pairs] = self._graph.reaching(
            mask=mask,
            component=_column(component, np.int32),
            condensed=_column(condensed, np.int32),
            order=order,
            source=_column(source[pairs], np.int32),
            target=_column(target[pairs], np.int32),
            looks=looks,
        )
        return answer

    def cycles(
        self, search: Search, *, component: Codes, starts: Codes, longest: int, looks: int
    ) -> Found:
        """The shortest cycle of each component, then others, of at most ``longest`` transactions.

        Breadth first from each of ``starts`` (transactions), never leaving its ``component``: from
        the first start in each component in any case, then from the others in their order until
        ``looks`` edges were looked at. What is not shorter than the best is not followed. Edges
        into vertices that are no transactions cost nothing. Then, for as many looks again, other
        cycles, up to twice as long, of which no transaction is on one that was found before.
        Every cycle visits a vertex once. With ``apart``, a walk that visits some twice is cut to a
        part that does not, or given up.
        """
        lengths, rows, complete = self._graph.cycles(
            component=_column(component, np.int32),
            starts=_column(starts, np.int32),
            first=search.first,
            walk=search.walk,
            last=search.last,
            apart=search.apart,
            longest=longest,
            looks=looks,
        )
        first = np.concatenate((np.zeros(1, dtype=np.int64), np.cumsum(lengths, dtype=np.int64)))
        return Found(rows=rows, first=first, complete=complete)


class _Compiled:
    """The methods of :class:`TwinGraph`, by the extension."""

    def __init__(self, native: ModuleType, arguments: tuple[Any, ...]) -> None:
        self._native = native
        self._graph = native.graph_new(*arguments)

    def components(self, mask: int, apart: int) -> tuple[Codes, Codes]:
        component, size = self._native.graph_components(self._graph, mask, apart)
        return np.frombuffer(component, dtype=np.int32), np.frombuffer(size, dtype=np.int32)

    def reaching(self, **named: Any) -> Bits:
        names = ("mask", "component", "condensed", "order", "source", "target", "looks")
        answers = self._native.graph_reaching(self._graph, *(named[name] for name in names))
        return np.frombuffer(answers, dtype=np.uint8)

    def cycles(self, **named: Any) -> tuple[Codes, Codes, bool]:
        names = ("component", "starts", "first", "walk", "last", "apart", "longest", "looks")
        lengths, rows, complete = self._native.graph_cycles(
            self._graph, *(named[name] for name in names)
        )
        return np.frombuffer(lengths, dtype=np.int32), np.frombuffer(rows, np.int32), complete


def _column(values: Any, dtype: Any) -> Any:
    return np.ascontiguousarray(values, dtype=dtype)
