"""Who read from whom: the external reads and final writes of transactions on registers.

A read is *external* unless the transaction itself had written the key before it. Each external read
has one writer: the only transaction that may have left that value behind, or the initial state. A
transaction that is ``info`` happened if somebody read from it; nobody else can tell, so that the
writes of others of its kind are left out. Where two transactions may have left the same value, a
read of it has no one writer: :class:`Unsupported`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from checkers.transactions.columns import LIST, Kind, Transactions, Unsupported
from harness.core.history import stable_order
from harness.core.operation import Type

__all__ = ["INITIAL", "ReadsFrom", "reads_from"]

Ints = NDArray[np.int64]
Codes = NDArray[np.int32]
Mask = NDArray[np.bool_]

INITIAL = -1
"""The writer of a read that found the key as it was in the beginning."""

_NOBODY = -2
_DENSE = 8


@dataclass(frozen=True, kw_only=True, eq=False)
class ReadsFrom:
    """External reads and final writes.

    ``reader``, ``key``, ``writer`` (a transaction or :data:`INITIAL`), all ``int32[r]``, in the
    order of the transactions and of the reads in them, and ``read_row``, ``int64[r]``, their
    micro-operations. A read without a writer is left out. ``write_node``, ``write_key``
    (``int32[w]``, in order of transactions) and ``write_row``. ``session`` of each transaction:
    ``int32[n]``, from 0. ``keys``: how many there are.  ``wrong``: what is wrong by itself, by
    name: the micro-operations that show it, ``int64[., 2]`` (-1: there is no second).
    """

    transactions: Transactions
    session: Codes
    sessions: int
    keys: int
    reader: Codes
    key: Codes
    writer: Codes
    read_row: Ints
    write_node: Codes
    write_key: Codes
    write_row: Ints
    wrong: Mapping[str, Ints]

    @cached_property
    def single(self) -> bool:
        """Whether each transaction is one operation on one object: a read, a write, or a read and a
        write of it at once (a compare-and-set)."""
        first, kind, key = (
            self.transactions.first,
            self.transactions.kind,
            self.transactions.key,
        )
        pairs = first[:-1][np.diff(first) == 2]
        both = (kind[pairs] == Kind.READ) & (kind[pairs + 1] == Kind.WRITE)
        return bool(
            (np.diff(first) <= 2).all() and both.all() and (key[pairs] == key[pairs + 1]).all()
        )

    def write_of(self, transaction: int, key: int) -> int:
        """The micro-operation with which a transaction last wrote a key; -1 if it did not."""
        begin, end = np.searchsorted(self.write_node, [transaction, transaction + 1])
        found = np.flatnonzero(self.write_key[begin:end] == key)
        return int(self.write_row[begin + found[0]]) if len(found) else -1


def reads_from(transactions: Transactions) -> ReadsFrom:
    """The reads and writes of ``transactions``. O(m log m). Raises :class:`Unsupported`."""
    if (transactions.kind == Kind.APPEND).any() or (transactions.value == LIST).any():
        raise Unsupported("lists and appends are no operations of registers")
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
    external = ~write & ~own
    end = (
        np.append(np.flatnonzero(fresh)[1:], len(order))[np.cumsum(fresh) - 1] if len(row) else row
    )
    next_write = _next(write)
    final = write & ((next_write >= end) | (next_write < 0))
    wrong: dict[str, Ints] = {}
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
    _add(wrong, "internal", order, np.flatnonzero(own & (value != value[last_write])), last_write)
    changed = np.flatnonzero(external & ~fresh & (value != value[before]))
    _add(wrong, "internal", order, changed, before)
    places, writer = _writers(placed, wrong)
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
    session, count = _sessions(transactions.process)
    return ReadsFrom(
        transactions=transactions,
        session=session,
        sessions=count,
        keys=len(transactions.keys),
        reader=placed.owner[places].astype(np.int32),
        key=placed.key[places].astype(np.int32),
        writer=writer.astype(np.int32),
        read_row=order[places],
        write_node=placed.owner[writes].astype(np.int32),
        write_key=placed.key[writes].astype(np.int32),
        write_row=order[writes],
        wrong=wrong,
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


def _add(wrong: dict[str, Ints], name: str, row: Ints, places: Ints, others: Ints | None) -> None:
    if not len(places):
        return
    second = np.full(len(places), -1) if others is None else row[others[places]]
    pairs = np.stack((row[places], second), axis=1)
    wrong[name] = np.concatenate((wrong[name], pairs)) if name in wrong else pairs


def _writers(placed: _Placed, wrong: dict[str, Ints]) -> tuple[Ints, Ints]:
    """The external reads, and the writer of each; those without one are ``wrong``."""
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
        place = places[np.flatnonzero(doubted)[0]]
        key = transactions.keys[placed.key[place]]
        value = transactions.values[placed.value[place]]
        raise Unsupported(
            f"several may have written {value!r}{'' if key is None else f' to {key!r}'}, so that "
            "who was read is not known; "
            "write each value to a key once"
        )
    writer = np.where(initial, INITIAL, np.where(own, _NOBODY, writer))
    _add(wrong, "future-read", placed.row, places[own], None)
    lost = places[(writer == _NOBODY) & ~own]
    if len(lost):
        _explain(placed, version, lost, wrong)
    return places, writer


def _explain(placed: _Placed, version: Ints, lost: Ints, wrong: dict[str, Ints]) -> None:
    """Why these reads have no writer: aborted, intermediate, the reader's own later write, or a
    value that nobody wrote."""
    failed = (placed.transactions.outcome == Type.FAIL)[placed.owner]
    writes = np.flatnonzero(placed.write)
    kinds = (("G1b", ~failed & ~placed.final), ("G1a", failed))
    for name, among in kinds:
        chosen = writes[among[writes]]
        chosen = chosen[np.argsort(version[chosen], kind="stable")]
        if not len(chosen) or not len(lost):
            continue
        at = np.minimum(np.searchsorted(version[chosen], version[lost]), len(chosen) - 1)
        match = version[chosen[at]] == version[lost]
        source = chosen[at]
        mine = match & (placed.owner[source] == placed.owner[lost])
        for kind, mask in ((name, match & ~mine), ("future-read", mine)):
            if mask.any():
                pairs = np.stack((placed.row[lost[mask]], placed.row[source[mask]]), axis=1)
                wrong[kind] = np.concatenate((wrong[kind], pairs)) if kind in wrong else pairs
        lost = lost[~match]
    _add(wrong, "garbage-read", placed.row, lost, None)


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


def _sessions(process: Ints) -> tuple[Codes, int]:
    """Processes numbered from 0, and how many there are."""
    order = stable_order(process)
    fresh = np.ones(len(order), dtype=bool)
    fresh[1:] = process[order[1:]] != process[order[:-1]]
    session = np.empty(len(order), dtype=np.int32)
    session[order] = (np.cumsum(fresh) - 1).astype(np.int32)
    return session, int(fresh.sum())
