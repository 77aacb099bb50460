"""What follows from what is visible: writes that a read sees come before the one it returned.

The commit order extends session order and reads-from (R. Biswas & C. Enea, *On the Complexity of
Checking Transactional Consistency*, OOPSLA 2019, 2.2). Each kind of visibility adds one rule: if
``t3`` reads ``x`` from ``t1``, and ``t2``, which writes ``x`` too, is visible to that read, then
``t2`` comes before ``t1``. Visible is

- ``PAST``: all that is before ``t3`` in session order and reads-from (causal consistency);
- ``SOURCES``: what ``t3`` reads from;
- ``ATOMIC``: that, and what is before ``t3`` in its session (read atomic);
- ``COMMITTED``: what ``t3`` read from before that read (read committed);
- ``OWN``: what is before ``t3`` in its session;
- ``READ_BEFORE``: what its session read from in earlier transactions (monotonic reads);
- ``WRITERS``: what ``t3`` reads from, and what is before that in its session (monotonic writes);
- ``PRAM``: the last three together, closed.

Where the order of writes extends that of sessions (not for ``SOURCES``, ``COMMITTED`` and
``READ_BEFORE``), what that says already is left out: of each session only the last visible write
of a key counts.

Clocks (one slot a session: the last transaction that is in the past) make it O(n k) for the past of
n transactions in k sessions (L. Moldrup & A. Pavlogiannis, *AWDIT*, PLDI 2025). Compiled, or in
plain Python.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from types import ModuleType

import numpy as np
from numpy.typing import NDArray

from checkers.causal import visibility_twin
from checkers.causal.reads import ReadsFrom
from harness.core import kernels

__all__ = ["Orders", "TooMany", "Visibility", "causal_order", "orders"]

Codes = NDArray[np.int32]
Mask = NDArray[np.bool_]

_INTS_MAX = 1 << 27
_EDGES_MAX = 1 << 26
_SLOTS_MAX = 4 * 10**9
"""Slots of clocks that are filled, one a process for each operation: half a minute at worst."""


class TooMany(Exception):
    """The rule says more than there is memory for."""


class Visibility(IntEnum):
    """Which writes a read sees; the module's docstring has the list."""

    PAST = 0
    PRAM = 1
    OWN = 2
    WRITERS = 3
    ATOMIC = 4
    COMMITTED = 5
    READ_BEFORE = 6
    SOURCES = 7


@dataclass(frozen=True, kw_only=True, eq=False)
class Orders:
    """``before[i]`` (a transaction) comes before the writer of read ``read[i]`` (a row of
    :class:`ReadsFrom`), since that read saw it: ``int32[e]`` both. ``later[i]``: that writer came
    before it in the causal past (for ``PAST``), or in session order.

    ``initial_before`` and ``initial_read``, ``int32[i]``: a write that a read of the initial state
    should have seen.
    """

    before: Codes
    read: Codes
    later: Mask
    initial_before: Codes
    initial_read: Codes

    @staticmethod
    def none() -> Orders:
        """Nothing is said."""
        no = np.zeros(0, dtype=np.int32)
        return Orders(before=no, read=no, later=no.astype(bool), initial_before=no, initial_read=no)


def causal_order(reads: ReadsFrom, *, native: ModuleType | None = kernels.NATIVE) -> Codes:
    """The transactions in an order that agrees with session order and reads-from, ``int32[n]``;
    shorter if there is none. O(n + r)."""
    kernel = native or visibility_twin
    order = kernel.causal_order(reads.session, reads.reader, reads.writer)
    return np.frombuffer(order, dtype=np.int32)


def orders(
    reads: ReadsFrom,
    visibility: Visibility,
    order: Codes,
    *,
    native: ModuleType | None = kernels.NATIVE,
) -> Orders:
    """What ``visibility`` says of ``reads``. ``order`` is their :func:`causal_order`, and whole.
    Raises :class:`TooMany`."""
    if visibility is Visibility.PAST and len(reads.session) * reads.sessions > _SLOTS_MAX:
        raise TooMany(f"{len(reads.session):,} operations of {reads.sessions:,} processes")
    kernel = native or visibility_twin
    status, rows, initial = kernel.causal_edges(
        reads.session,
        reads.reader,
        reads.key,
        reads.writer,
        reads.write_node,
        reads.write_key,
        reads.sessions,
        reads.keys,
        int(visibility),
        np.ascontiguousarray(order),
        _INTS_MAX,
        _EDGES_MAX,
    )
    if status:
        raise TooMany(f"more than {_EDGES_MAX:,} pairs of writes in a necessary order")
    edges = np.frombuffer(rows, dtype=np.int32).reshape(-1, 3)
    starts = np.frombuffer(initial, dtype=np.int32).reshape(-1, 2)
    return Orders(
        before=edges[:, 0],
        read=edges[:, 1],
        later=edges[:, 2].astype(bool),
        initial_before=starts[:, 0],
        initial_read=starts[:, 1],
    )
