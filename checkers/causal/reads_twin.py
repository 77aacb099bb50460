"""Who read from whom, with NumPy: the same as ``harness/core/kernels/causal_reads.cpp``."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from checkers.transactions.columns import Kind, Transactions
from harness.core.operation import Type

__all__ = ["ABORTED", "FUTURE", "GARBAGE", "INTERMEDIATE", "INTERNAL", "Found", "causal_reads"]

Ints = NDArray[np.int64]
Codes = NDArray[np.int32]
Mask = NDArray[np.bool_]

INTERNAL, FUTURE, INTERMEDIATE, ABORTED, GARBAGE = range(5)

_INITIAL, _NOBODY = -1, -2
_DENSE = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What the kernel answers; ``doubted`` is a read that several may have written, or -1. Rows are
    ``int64``, the other columns ``int32``; ``wrong`` is ``int64[., 3]``."""

    doubted: int
    read_row: Ints
    reader: Codes
    read_key: Codes
    writer: Codes
    write_row: Ints
    write_node: Codes
    write_key: Codes
    wrong: Ints


def causal_reads(transactions: Transactions) -> Found:
    """The reads and writes of ``transactions``. O(m log m)."""
    owner = transactions.transaction
    group = owner.astype(np.int64) * max(len(transactions.keys), 1) + transactions.key
    order = np.argsort(group, kind="stable")
    group = group[order]
    row = np.arange(len(order))
    fresh = np.ones(len(order), dtype=bool)
    fresh[1:] = group[1:] != group[:-1]
    start = np.maximum.accumulate(np.where(fresh, row, 0))
    write = transactions.kind[order] == Kind.WRITE
    value = transactions.value[order]
    # The last write at or before each place; one before the group's start is another's.
    last_write = np.maximum.accumulate(np.where(write, row, -1)) if len(row) else row
    own = ~write & (last_write >= start)
    before = np.concatenate((np.zeros(1, dtype=np.int64), row[:-1]))[: len(row)]
    same = value == value[before]
    # A read that repeats what was read right before it says nothing new; one that repeats what was
    # read some time ago does: what was read in between is older.
    repeated = ~write & ~own & ~fresh & same & (order == order[before] + 1)
    external = ~write & ~own & ~repeated
    end = (
        np.append(np.flatnonzero(fresh)[1:], len(order))[np.cumsum(fresh) - 1] if len(row) else row
    )
    next_write = _next(write)
    final = write & ((next_write >= end) | (next_write < 0))
    wrong: list[Ints] = []
    _add(wrong, INTERNAL, order, np.flatnonzero(own & (value != value[last_write])), last_write)
    _add(wrong, INTERNAL, order, np.flatnonzero(external & ~fresh & ~same), before)
    placed = _Placed(
        transactions=transactions,
        row=order,
        value=value,
        owner=owner[order].astype(np.int64),
        key=transactions.key[order].astype(np.int64),
        write=write,
        final=final,
        external=external,
    )
    places, writer, doubted = _writers(placed, wrong)
    if doubted >= 0:
        return _found(placed, places[:0], writer[:0], places[:0], [], doubted)
    kept = writer != _NOBODY
    places, writer = places[kept], writer[kept]
    # Reads of a transaction in their own order: what was read first counts.
    by_row = np.argsort(order[places], kind="stable")
    places, writer = places[by_row], writer[by_row]
    failed = transactions.outcome == Type.FAIL
    happened = transactions.outcome == Type.OK
    happened[writer[writer >= 0]] = True
    writes = np.flatnonzero(final & happened[placed.owner] & ~failed[placed.owner])
    writes = writes[np.argsort(order[writes], kind="stable")]
    return _found(placed, places, writer, writes, wrong, -1)


def _found(  # noqa: PLR0917  # columns
    placed: _Placed, reads: Ints, writer: Ints, writes: Ints, wrong: list[Ints], doubted: int
) -> Found:
    return Found(
        doubted=doubted,
        read_row=placed.row[reads],
        reader=placed.owner[reads].astype(np.int32),
        read_key=placed.key[reads].astype(np.int32),
        writer=writer.astype(np.int32),
        write_row=placed.row[writes],
        write_node=placed.owner[writes].astype(np.int32),
        write_key=placed.key[writes].astype(np.int32),
        wrong=np.concatenate(wrong) if wrong else np.zeros((0, 3), dtype=np.int64),
    )


@dataclass(frozen=True, kw_only=True, eq=False)
class _Placed:
    """Micro-operations sorted by transaction and key."""

    transactions: Transactions
    row: Ints
    value: Codes
    owner: Ints
    key: Ints
    write: Mask
    final: Mask
    external: Mask


def _next(marks: Mask) -> Ints:
    """The next marked place after each, or -1."""
    far = len(marks)
    place = np.where(marks, np.arange(far), far)
    following = np.append(np.minimum.accumulate(place[::-1])[::-1], far)[1:]
    return np.where(following < far, following, -1)


def _add(wrong: list[Ints], what: int, row: Ints, places: Ints, others: Ints | None) -> None:
    second = np.full(len(places), -1) if others is None else row[others[places]]
    wrong.append(np.stack((np.full(len(places), what), row[places], second), axis=1))


def _writers(placed: _Placed, wrong: list[Ints]) -> tuple[Ints, Ints, int]:
    """The external reads, the writer of each (those without one are ``wrong``), and the row of one
    that several may have written, or -1."""
    transactions = placed.transactions
    places = np.flatnonzero(placed.external)
    width = len(transactions.values) + 1
    version = placed.key * width + placed.value
    failed = transactions.outcome == Type.FAIL
    lasting = np.flatnonzero(placed.final & ~failed[placed.owner])
    table = _Table(version[lasting], len(transactions.keys) * width)
    found, several = table.look_up(version[places])
    writer = np.full(len(places), _NOBODY, dtype=np.int64)
    writer[found >= 0] = placed.owner[lasting[found[found >= 0]]]
    own = writer == placed.owner[places]
    initial = placed.value[places] == 0
    doubted = several | (initial & (found >= 0))
    if doubted.any():
        return places, writer, int(placed.row[places[doubted]].min())
    writer = np.where(initial, _INITIAL, np.where(own, _NOBODY, writer))
    _add(wrong, FUTURE, placed.row, places[own], None)
    lost = places[(writer == _NOBODY) & ~own]
    if len(lost):
        _explain(placed, version, lost, wrong)
    return places, writer, -1


def _explain(placed: _Placed, version: Ints, lost: Ints, wrong: list[Ints]) -> None:
    """Why these reads have no writer: aborted, intermediate, the reader's own later write, or a
    value that nobody wrote."""
    failed = (placed.transactions.outcome == Type.FAIL)[placed.owner]
    writes = np.flatnonzero(placed.write)
    for what, among in ((INTERMEDIATE, ~failed & ~placed.final), (ABORTED, failed)):
        chosen = writes[among[writes]]
        chosen = chosen[np.argsort(version[chosen], kind="stable")]
        if not len(chosen) or not len(lost):
            continue
        at = np.minimum(np.searchsorted(version[chosen], version[lost]), len(chosen) - 1)
        match = version[chosen[at]] == version[lost]
        source = chosen[at]
        mine = match & (placed.owner[source] == placed.owner[lost])
        for kind, mask in ((what, match & ~mine), (FUTURE, mine)):
            columns = (np.full(mask.sum(), kind), placed.row[lost[mask]], placed.row[source[mask]])
            wrong.append(np.stack(columns, axis=1))
        lost = lost[~match]
    _add(wrong, GARBAGE, placed.row, lost, None)


class _Table:
    """Numbers and where they stand: a table where they lie close together, else sorted."""

    def __init__(self, numbers: Ints, count: int) -> None:
        self._numbers = numbers
        self._dense = count <= _DENSE * (len(numbers) + 1024)
        if self._dense:
            self._place = np.full(count, -1, dtype=np.int64)
            self._place[numbers] = np.arange(len(numbers))
            self._many = np.bincount(numbers, minlength=count) > 1
        else:
            self._order = np.argsort(numbers, kind="stable")
            self._sorted = numbers[self._order]

    def look_up(self, wanted: Ints) -> tuple[Ints, Mask]:
        """The place of each number, -1 for none; and whether it stands at several."""
        if self._dense:
            return self._place[wanted], self._many[wanted]
        if not len(self._sorted):
            return np.full(len(wanted), -1, dtype=np.int64), np.zeros(len(wanted), dtype=bool)
        at = np.minimum(np.searchsorted(self._sorted, wanted), len(self._sorted) - 1)
        match = self._sorted[at] == wanted
        after = np.minimum(at + 1, len(self._sorted) - 1)
        several = match & (after != at) & (self._sorted[after] == wanted)
        return np.where(match, self._order[at], -1), several
