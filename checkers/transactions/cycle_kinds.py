"""The kinds of cycles: what each is called, and how it is searched for. Tables, and no more."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from checkers.transactions.components import Search
from checkers.transactions.dependencies import Edge

__all__ = ["DATA", "FAMILIES", "NAMES", "ORDERS", "name_of"]

DATA = Edge.WW | Edge.WR | Edge.RW

ORDERS: tuple[tuple[str, Edge, Edge], ...] = (
    ("", Edge(0), DATA),
    ("-process", Edge.PROCESS, Edge.PROCESS),
    ("-realtime", Edge.PROCESS | Edge.REALTIME, Edge.REALTIME),
)
"""What is added to a name, which edges are then added to the graph, and of which the cycle must
have one."""

_COMMITTED = Edge.WW | Edge.WR

FAMILIES: Mapping[str, Search] = {
    "G0": Search(first=Edge.WW, walk=Edge.WW, last=Edge.WW),
    "G1c": Search(first=Edge.WR, walk=_COMMITTED, last=_COMMITTED),
    "G-single": Search(first=Edge.RW, walk=_COMMITTED, last=_COMMITTED),
    "G-nonadjacent": Search(first=Edge.RW, walk=DATA, last=_COMMITTED, apart=Edge.RW),
    "G2-item": Search(first=Edge.RW, walk=DATA, last=Edge.RW),
}
"""How a cycle of each kind is walked, beginning with those that rule out the weakest models: one of
them rules out whatever a later one does. G2-item is walked from between two rw edges."""

NAMES: tuple[str, ...] = tuple(f"{name}{suffix}" for suffix, _, _ in ORDERS for name in FAMILIES)


def name_of(kinds: NDArray[np.uint8]) -> str:
    """The name of the simple cycle whose edges have these ``kinds``, in its order."""
    is_rw = kinds & np.uint8(Edge.RW) > 0
    count = int(is_rw.sum())
    if count:
        adjacent = count > 1 and bool((is_rw & np.roll(is_rw, 1)).any())
        name = "G-single" if count == 1 else "G2-item" if adjacent else "G-nonadjacent"
    else:
        name = "G1c" if (kinds & np.uint8(Edge.WR)).any() else "G0"
    suffix = next(
        (one for one, _, needed in reversed(ORDERS[1:]) if (kinds & np.uint8(needed)).any()), ""
    )
    return name + suffix
