"""Who depends on whom: the graph in which isolation anomalies are cycles (Adya 1999, ch. 4).

Its vertices are transactions; an edge ``a -> b`` says that ``a`` comes before ``b``, and why. Real
time is no graph of n^2 edges: each completion has an auxiliary vertex, these form a chain in time,
and a transaction depends on the last one before its invocation. A walk through auxiliary vertices
stands for one realtime edge.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntFlag

import numpy as np
from numpy.typing import NDArray

__all__ = ["Dependencies", "Edge"]


class Edge(IntFlag):
    """Why one transaction comes before another. The numbers are bits of ``Dependencies.kind``."""

    WW = 1
    """It wrote the version before the other's."""
    WR = 2
    """The other read what it wrote."""
    RW = 4
    """It read the version before the other's: it did not see that write."""
    PROCESS = 8
    """The same process did it earlier."""
    REALTIME = 16
    """It had returned when the other was invoked."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Dependencies:
    """Edges between ``vertices`` vertices, of which the first ``transactions`` are transactions and
    the others auxiliary (only REALTIME edges touch these).

    ``source`` and ``target`` are ``int32[e]``, ``kind`` is ``uint8[e]`` (one bit of :class:`Edge`);
    ``detail`` is ``int64[e]``: what whoever inferred the edge needs to explain it. There may be
    several edges between two vertices, but none from a vertex to itself.
    """

    transactions: int
    vertices: int
    source: NDArray[np.int32]
    target: NDArray[np.int32]
    kind: NDArray[np.uint8]
    detail: NDArray[np.int64]
