"""The part of a graph of dependencies in which its cycles are."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from checkers.transactions.components import Graph
from checkers.transactions.dependencies import Dependencies, Edge

__all__ = ["Core"]

Codes = NDArray[np.int32]


@dataclass(frozen=True, kw_only=True, eq=False)
class Core:
    """What lies inside of components: vertices numbered anew in the same order."""

    graph: Graph
    vertices: int
    transactions: int
    row: Codes  # the edges, as the dependencies number them
    source: Codes
    target: Codes
    kind: NDArray[np.uint8]

    @staticmethod
    def of(whole: Dependencies) -> Core | None:
        """That of a graph; None if there is no cycle."""
        graph = Graph(
            vertices=whole.vertices,
            transactions=whole.transactions,
            source=whole.source,
            target=whole.target,
            kind=whole.kind,
            searched=False,
        )
        components = graph.components(int(sum(Edge)))
        del graph
        if not components.cyclic:
            return None
        component = components.component
        inside = (component[whole.source] == component[whole.target]) & (
            whole.source != whole.target
        )
        row = np.flatnonzero(inside).astype(np.int32)
        kept = components.size[component] > 1
        number = np.cumsum(kept, dtype=np.int32) - np.int32(1)
        source, target = number[whole.source[row]], number[whole.target[row]]
        kind = whole.kind[row]
        vertices = int(number[-1]) + 1
        transactions = int(np.count_nonzero(kept[: whole.transactions]))
        return Core(
            graph=Graph(
                vertices=vertices,
                transactions=transactions,
                source=source,
                target=target,
                kind=kind,
            ),
            vertices=vertices,
            transactions=transactions,
            row=row,
            source=source,
            target=target,
            kind=kind,
        )

    @cached_property
    def of_kind(self) -> Mapping[int, Codes]:
        """The edges of each kind of data."""
        return {
            kind: np.flatnonzero(self.kind == kind).astype(np.int32)
            for kind in (Edge.WW, Edge.WR, Edge.RW)
        }
