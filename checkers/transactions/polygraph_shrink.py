"""A few transactions that have no order by themselves, out of many that have none.

Transactions are taken away in ever smaller portions as long as the solver still finds no order
(A. Zeller, R. Hildebrandt, "Simplifying and isolating failure-inducing input", IEEE TSE 2002). What
somebody read from a transaction that is gone counts no more. What is left is minimal: it has an
order as soon as any one transaction is left out.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from checkers.transactions.polygraph import Polygraph, Question
from checkers.transactions.solver import decide

__all__ = ["shrink"]

Mask = NDArray[np.bool_]

_TRIES_MAX = 600


def shrink(
    graph: Polygraph, question: Question, within: Mask, expired: Callable[[], bool]
) -> tuple[Mask, bool]:
    """Vertices that have no order, and whether they are minimal (or time ran out). ``within`` are
    those among which the solver found none."""
    kept = _around(graph, within)
    if not _broken(graph, question, kept, expired):
        kept = np.ones(len(graph), dtype=bool)
    portion = max(int(kept.sum()) // 2, 1)
    tries = 0
    while True:
        shrunk = False
        members = np.flatnonzero(kept)
        for end in range(len(members), 0, -portion):
            tries += 1
            if tries > _TRIES_MAX or expired():
                return kept, False
            fewer = kept.copy()
            fewer[members[max(end - portion, 0) : end]] = False
            if _broken(graph, question, fewer, expired):
                kept, shrunk = fewer, True
        if portion == 1 and not shrunk:
            return kept, True
        if not shrunk or portion > kept.sum() // 2:
            portion = max(portion // 2, 1)


def _broken(graph: Polygraph, question: Question, kept: Mask, expired: Callable[[], bool]) -> bool:
    return decide(graph.part(kept), question, expired).holds is False


def _around(graph: Polygraph, within: Mask) -> Mask:
    """With those that read from them, and those that all of these read from."""
    kept = within.copy()
    sure = graph.read_writer >= 0
    reader, writer = graph.read_vertex[sure], graph.read_writer[sure]
    kept[reader[within[writer]]] = True
    kept[writer[kept[reader]]] = True
    doubtful = np.repeat(graph.read_vertex, np.diff(graph.candidate_first))
    known = graph.candidates >= 0
    kept[graph.candidates[known][kept[doubtful[known]]]] = True
    return kept
