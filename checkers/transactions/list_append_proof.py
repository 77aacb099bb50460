"""Which models a list-append history certainly satisfies, from what its graph lacks.

A model holds if some order of all versions gives a graph without the cycles that it forbids (Adya
1999, ch. 4; for snapshot isolation Cerone & Gotsman, PODC 2016, Theorem 9). The order is known but
for appends that nobody saw. Where these lie in different strongly connected components, they can be
put in the topological order of the components, which adds no cycle: what is absent stays absent.
The same holds of each subgraph by itself, so that G0 and G1c never depend on that order. Only where
two appends to one key lie in one component can each order of them close a cycle. Then one order is
tried (that of invocation): if the cycles are absent with it, the model holds, else nobody knows.

Without any cycle a topological order of all transactions is a serial execution, in agreement with
the orders (of processes, of real time) whose edges the graph has. docs/decisions/0010 has proofs.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from checkers import lattice
from checkers.transactions.columns import Transactions
from checkers.transactions.components import Graph
from checkers.transactions.cycle_kinds import NAMES
from checkers.transactions.cycles import CycleReport, find_cycles
from checkers.transactions.dependencies import Dependencies, Edge
from checkers.transactions.list_append_findings import FINDINGS
from checkers.transactions.list_append_inference import Inference

__all__ = ["Proof", "prove"]

_DATA = Edge.WW | Edge.WR | Edge.RW
_LEVELS: Mapping[str, Edge] = {
    "": _DATA,
    "-process": _DATA | Edge.PROCESS,
    "-realtime": _DATA | Edge.PROCESS | Edge.REALTIME,
}
"""The edges that count for models without orders, with those of processes, and with real time."""

_ORDERED = frozenset(name for name in NAMES if name.startswith(("G-single", "G-nonadjacent")))
"""Cycles whose absence depends on the order of appends that nobody saw."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Proof:
    """The models ``proved`` to hold; and of how many appends that nobody saw the order would matter
    (``contested``)."""

    proved: frozenset[str]
    contested: int


def prove(
    transactions: Transactions,
    inference: Inference,
    report: CycleReport,
    found: Collection[str],
    scope: Collection[str],
) -> Proof:
    """The models in ``scope`` that hold, given all anomalies ``found`` and a complete graph.

    Asks for the cycles of the graph once more for each kind of order in which the order of unseen
    appends matters.
    """
    # A history without real time has no such edges: that says nothing.
    absent = {
        name
        for name in report.absent
        if transactions.history.realtime or not name.endswith("-realtime")
    } - set(found)
    fine = absent | (set(FINDINGS) - set(found))
    fallen = lattice.ruled_out(found)
    proved: set[str] = set()
    contested = 0
    for suffix, mask in _LEVELS.items():
        models = {model for model in scope if _suffix(model) == suffix and model not in fallen}
        open_ = {model for model in models if _needed(model) <= fine}
        chain = np.zeros(0, dtype=np.int64)
        if any(_needed(model) & _ORDERED for model in open_) and not _acyclic(absent, suffix):
            chain = _in_one_component(transactions, inference, int(mask))
        if not len(chain):
            proved |= open_
            continue
        contested = max(contested, len(chain))
        proved |= {model for model in open_ if not _needed(model) & _ORDERED}
        assumed = _with_order(transactions, inference.dependencies, int(mask), chain)
        also = set(find_cycles(assumed).absent)
        proved |= {model for model in open_ if _needed(model) & set(NAMES) <= also}
    return Proof(proved=frozenset(proved), contested=contested)


def _needed(model: str) -> frozenset[str]:
    """What must be absent: the anomalies that can show in lists and that the model forbids."""
    return lattice.forbidden(model) & {*FINDINGS, *NAMES}


def _suffix(model: str) -> str:
    """The orders that a model knows of."""
    names = _needed(model) & set(NAMES)
    return [suffix for suffix in _LEVELS if any(name.endswith(suffix) for name in names)][-1]


def _acyclic(absent: Collection[str], suffix: str) -> bool:
    """Whether the graph with the orders up to ``suffix`` has no cycle at all."""
    levels = tuple(_LEVELS)[: tuple(_LEVELS).index(suffix) + 1]
    return all(name in absent for name in _names(levels))


def _names(levels: Collection[str]) -> Iterator[str]:
    for name in NAMES:
        base = name.removesuffix("-process").removesuffix("-realtime")
        if name.removeprefix(base) in levels:
            yield name


def _in_one_component(
    transactions: Transactions, inference: Inference, mask: int
) -> NDArray[np.int64]:
    """The unseen appends of keys of which two lie in one component, in the topological order of the
    components and then of invocation, key after key; none if there is no such key."""
    unseen, graph = inference.unseen, inference.dependencies
    keys = transactions.key[unseen]
    unseen = unseen[np.bincount(keys, minlength=1)[keys] > 1]
    if not len(unseen):
        return unseen
    component = (
        Graph(
            vertices=graph.vertices,
            transactions=graph.transactions,
            source=graph.source,
            target=graph.target,
            kind=graph.kind,
        )
        .components(mask)
        .component
    )
    # An edge between two components leads to the lower number.
    place = -component[transactions.transaction[unseen]].astype(np.int64)
    order = np.lexsort((unseen, place, transactions.key[unseen]))
    unseen, place = unseen[order], place[order]
    keys = transactions.key[unseen]
    together = (np.diff(keys) == 0) & (np.diff(place) == 0)
    return unseen[np.isin(keys, keys[1:][together])]


def _with_order(
    transactions: Transactions, graph: Dependencies, mask: int, chain: NDArray[np.int64]
) -> Dependencies:
    """The graph without other kinds of edges than ``mask``, and each unseen append of a key before
    the next one."""
    kept = (graph.kind & np.uint8(mask)) > 0
    same = np.diff(transactions.key[chain]) == 0
    part = transactions.transaction
    source, target = part[chain[:-1][same]], part[chain[1:][same]]
    return Dependencies(
        transactions=graph.transactions,
        vertices=graph.vertices,
        source=np.concatenate([graph.source[kept], source]),
        target=np.concatenate([graph.target[kept], target]),
        kind=np.concatenate([graph.kind[kept], np.full(len(source), Edge.WW, dtype=np.uint8)]),
        detail=np.concatenate([graph.detail[kept], np.zeros(len(source), dtype=np.int64)]),
    )
