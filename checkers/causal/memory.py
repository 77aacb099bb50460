"""Causal memory: each process alone can put all that it may know of into one order.

For the last operation ``o`` of a process, *happened before* is the smallest transitive relation
that contains the causal past of ``o`` and in which, whenever ``w1`` happened before a read of the
same process that returned what ``w2`` wrote to the key, ``w1`` happened before ``w2`` too. The
history is causal memory if that has no cycle (CyclicHB), and no write happened before a read of its
process that returned the initial value (WriteHBInitRead): A. Bouajjani, C. Enea, R. Guerraoui &
J. Hamza, *On Verifying Causal Consistency*, POPL 2017, 4.

It is a fixed point of :mod:`checkers.causal.visibility`: what one round finds are further edges for
the next. The first round is the same for all processes, and most of them have nothing to add; for
each of the others, O(n k) a round.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from checkers.causal.reads import ReadsFrom
from checkers.causal.visibility import Orders, TooMany, Visibility, causal_order, orders

__all__ = ["Broken", "broken_sessions"]

Codes = NDArray[np.int32]

_SLOTS_MAX = 10**9
"""Slots of clocks that all rounds together may fill: some ten seconds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Broken:
    """A process whose knowledge has no order. ``orders`` are what its reads say of the order of
    writes; ``initial`` are pairs of a write and a read (a row of ReadsFrom) of the initial state,
    ``int32[., 2]``, empty where there is a cycle."""

    session: int
    orders: Orders
    initial: NDArray[np.int32]


def broken_sessions(reads: ReadsFrom, said: Orders) -> Iterator[Broken]:
    """The processes that break causal memory. ``reads`` must have a causal order, and ``said`` is
    what their causal past says. Raises :class:`TooMany`."""
    owner = reads.session[reads.reader]
    spent = len(reads.session) * (reads.sessions + 1)
    left = [_SLOTS_MAX // spent]
    # A process whose reads say nothing in the first round says nothing in any.
    for session in np.unique(owner[np.concatenate((said.read, said.initial_read))]).tolist():
        found = _broken(reads, session, owner == session, left)
        if found is not None:
            yield found


def _broken(
    reads: ReadsFrom, session: int, mine: NDArray[np.bool_], left: list[int]
) -> Broken | None:
    before = np.zeros(0, dtype=np.int32)
    read = np.zeros(0, dtype=np.int32)
    known = np.zeros(0, dtype=np.int64)
    while True:
        left[0] -= 1
        if left[0] < 0:
            raise TooMany(
                "too many processes for causal memory, which asks what each of them knows"
            )
        wider, rows = _with_edges(reads, mine, before, read)
        order = causal_order(wider)
        if len(order) < len(reads.session):
            return Broken(session=session, orders=_orders(before, read), initial=_no_pairs())
        said = orders(wider, Visibility.PAST, order)
        if len(said.initial_before):
            pairs = np.stack((said.initial_before, rows[said.initial_read]), axis=1)
            return Broken(session=session, orders=_orders(before, read), initial=pairs)
        after = reads.writer[rows[said.read]]
        pair = said.before.astype(np.int64) * len(reads.session) + after
        fresh = np.flatnonzero(~np.isin(pair, known))
        if not len(fresh):
            return None
        _, first = np.unique(pair[fresh], return_index=True)
        chosen = fresh[first]
        known = np.concatenate((known, pair[chosen]))
        before = np.concatenate((before, said.before[chosen]))
        read = np.concatenate((read, rows[said.read[chosen]]))


def _no_pairs() -> NDArray[np.int32]:
    return np.zeros((0, 2), dtype=np.int32)


def _orders(before: Codes, read: Codes) -> Orders:
    none = np.zeros(0, dtype=np.int32)
    return Orders(
        before=before,
        read=read,
        later=np.zeros(len(before), dtype=bool),
        initial_before=none,
        initial_read=none,
    )


def _with_edges(
    reads: ReadsFrom, mine: NDArray[np.bool_], before: Codes, read: Codes
) -> tuple[ReadsFrom, Codes]:
    """The reads with further edges, and the row of ``reads`` of each. An edge is a read of a key
    that nobody writes, and so are the reads of other processes: they carry what happened before,
    but demand nothing."""
    nowhere = np.int32(len(reads.transactions.keys))
    reader = np.concatenate((reads.reader, reads.writer[read]))
    key = np.concatenate((np.where(mine, reads.key, nowhere), np.full(len(read), nowhere)))
    writer = np.concatenate((reads.writer, before))
    row = np.concatenate((np.arange(len(reads.reader)), read)).astype(np.int32)
    order = np.argsort(reader, kind="stable")
    wider = replace(
        reads,
        reader=reader[order].astype(np.int32),
        key=key[order].astype(np.int32),
        writer=writer[order].astype(np.int32),
        keys=int(nowhere) + 1,
    )
    return wider, row[order]
