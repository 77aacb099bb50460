"""The order in which lists grew: what every read of a list says of all appends before it.

A read of a list shows the whole past of its key, in order; so the longest read of a key is the
order of its *versions*, as far as anyone saw it, and every other read should be a prefix of it
(Kingsbury & Alvaro, VLDB 2020, 4.2: lists are *traceable*). With appends that are unique in each
key, every element is also *recoverable*: it names the micro-operation that appended it.

Nothing is assumed of what was read. A read that is no prefix is left out of ``prefix``; an element
may have been appended by nobody, or by several (then nobody can say by whom, unless all but one
certainly failed), and may stand twice in one list.

Rows are micro-operations; *places* are positions in the longest reads, key after key.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from checkers.transactions import versions_twin
from checkers.transactions.columns import LIST, Kind, Transactions, Unsupported, pieces
from harness.core import kernels
from harness.core.operation import Type

__all__ = ["AMBIGUOUS", "NOBODY", "Appends", "Versions", "differ", "expanded"]

Ints = NDArray[np.int64]
Codes = NDArray[np.int32]
Mask = NDArray[np.bool_]

NOBODY = -1
AMBIGUOUS = -2

_TABLE_PER_APPEND = 16
_TABLE_SMALL = 1 << 20
"""A table of all values between the least and the greatest of each key is the fast way to find who
appended one; where it would be larger than this, a sorted column serves."""


def differ(elements: Codes, left: Ints, right: Ints, length: Codes) -> Mask:
    """Whether the ``length`` elements from ``left`` and those from ``right`` are not the same,
    ``bool[r]``. O(sum of lengths)."""
    if kernels.NATIVE is None:
        return versions_twin.differ(elements, left, right, length)
    result = np.empty(len(left), dtype=bool)
    kernels.NATIVE.versions_differ(
        np.ascontiguousarray(elements), left, right, np.ascontiguousarray(length), result
    )
    return result


def expanded(transactions: Transactions, rows: Ints) -> tuple[Ints, Codes]:
    """Every element that the reads ``rows`` returned: the read's row, and the value."""
    length = transactions.length[rows]
    ends = np.cumsum(length, dtype=np.int64)
    inside = np.arange(int(ends[-1]) if len(ends) else 0) - np.repeat(ends - length, length)
    return (
        np.repeat(rows, length),
        transactions.elements[np.repeat(transactions.start[rows], length) + inside],
    )


class Appends:
    """Who appended a value to a key. ``rows`` are all appends, ``int64[a]``, ascending.

    ``certain`` says of each row whether its transaction did not fail. Of several appends of one
    value to one key, those that failed count only where no other is there.
    """

    def __init__(self, transactions: Transactions) -> None:
        self._transactions = transactions
        self.rows = np.flatnonzero(transactions.kind == Kind.APPEND)
        key = transactions.key[self.rows]
        value = transactions.value[self.rows]
        keys = len(transactions.keys)
        self._low = np.full(keys, np.iinfo(np.int32).max, dtype=np.int32)
        np.minimum.at(self._low, key, value)
        high = np.full(keys, -1, dtype=np.int32)
        np.maximum.at(high, key, value)
        self._width = np.maximum(high.astype(np.int64) - self._low + 1, 0)
        self._base = np.cumsum(self._width) - self._width
        size = int(self._width.sum())
        code = self._base[key] + (value - self._low[key])
        self._names: Ints | None = None
        if size > max(_TABLE_SMALL, _TABLE_PER_APPEND * len(self.rows)):
            ordered = np.sort(code)
            self._names = ordered[np.diff(ordered, prepend=-1) > 0]
            code = np.searchsorted(self._names, code)
            size = len(self._names)
        failed = transactions.outcome[transactions.transaction[self.rows]] == Type.FAIL
        self._row = np.full(size, NOBODY, dtype=np.int32)
        if failed.any():
            self._row[code[failed]] = self.rows[failed]
            code, rows = code[~failed], self.rows[~failed]
        else:
            rows = self.rows
        self._row[code] = rows
        shared = code[self._row[code] != rows]
        self._row[shared] = AMBIGUOUS
        self.ambiguous = self.rows[:0] if not len(shared) else rows[self._row[code] == AMBIGUOUS]
        """Appends of a value that was appended to its key more than once."""

    def of(self, key: Codes, value: Codes) -> Codes:
        """The row that appended each ``value`` to its ``key``; NOBODY or AMBIGUOUS."""
        result = np.full(len(key), NOBODY, dtype=np.int32)
        for piece in pieces(len(key)):
            self._fill(key[piece], value[piece], result[piece])
        return result

    def _fill(self, key: Codes, value: Codes, result: Codes) -> None:
        offset = value.astype(np.int64) - self._low[key]
        inside = (offset >= 0) & (offset < self._width[key])
        code = np.where(inside, self._base[key] + offset, 0)
        if self._names is not None:
            name = code
            code = np.minimum(np.searchsorted(self._names, name), len(self._names) - 1)
            inside &= self._names[code] == name
        result[inside] = self._row[code[inside]]


@dataclass(frozen=True, kw_only=True, eq=False)
class Versions:
    """The observed versions of all keys.

    ``reads`` are the rows of all reads, ``int64[r]``, and ``prefix`` says of each whether it is a
    prefix of the longest read of its key (an empty read is). ``longest`` is the row of the latter
    for each key (-1: nobody saw an element), ``int64[k]``; of equally long ones it is the first.

    Its elements have the places ``first[key]:first[key + 1]`` (``int64[k + 1]``). Of each place:
    ``key`` and ``value`` (``int32[v]``), and ``writer``, the row that appended it, NOBODY or
    AMBIGUOUS. ``repeated``: it was there at an earlier place of the key. ``place`` is where each
    append is (of rows that are none, and of those unseen in the longest reads: -1), ``int64[m]``.
    """

    transactions: Transactions
    appends: Appends
    reads: Ints
    prefix: Mask
    longest: Ints
    first: Ints
    key: Codes
    value: Codes
    writer: Codes
    repeated: Mask
    place: Codes

    @staticmethod
    def of(transactions: Transactions) -> Versions:
        """The versions that the reads show. O(m + elements), where values of a key lie close
        together. Raises :class:`Unsupported` where a micro-operation is none of lists."""
        _only_lists(transactions)
        reads = np.flatnonzero(transactions.kind == Kind.READ)
        length, start = transactions.length, transactions.start
        keys = len(transactions.keys)
        rows = len(transactions.kind)
        best = np.full(keys, -1, dtype=np.int64)
        for piece in pieces(len(reads)):
            full = reads[piece][length[reads[piece]] > 0]
            np.maximum.at(
                best, transactions.key[full], (length[full].astype(np.int64) << 32) | (rows - full)
            )
        longest = np.where(best < 0, -1, rows - (best & 0xFFFFFFFF))
        prefix = np.ones(len(reads), dtype=bool)
        for piece in pieces(len(reads)):
            some = length[reads[piece]] > 0
            full = reads[piece][some]
            model = longest[transactions.key[full]]
            prefix[piece][some] = ~differ(
                transactions.elements, start[full], start[model], length[full]
            )
        seen = np.flatnonzero(longest >= 0)
        size = np.zeros(keys, dtype=np.int64)
        size[seen] = length[longest[seen]]
        _, value = expanded(transactions, longest[seen])
        key = np.repeat(np.arange(keys, dtype=np.int32), size)
        appends = Appends(transactions)
        writer = appends.of(key, value)
        known = np.flatnonzero(writer >= 0).astype(np.int32)
        place = np.full(rows, -1, dtype=np.int32)
        place[writer[known[::-1]]] = known[::-1]  # the first place of each comes last, and stays
        repeated = np.zeros(len(value), dtype=bool)
        repeated[known] = place[writer[known]] != known
        repeated |= _repeated_otherwise(appends, key, value, writer)
        return Versions(
            transactions=transactions,
            appends=appends,
            reads=reads,
            prefix=prefix,
            longest=longest,
            first=np.concatenate([np.zeros(1, dtype=np.int64), np.cumsum(size)]),
            key=key,
            value=value,
            writer=writer,
            repeated=repeated,
            place=place,
        )

    @cached_property
    def failed(self) -> Mask:
        """Whether the writer of each place is known and failed, ``bool[v]``."""
        result: Mask = self._outcome == Type.FAIL
        return result

    @cached_property
    def lasting(self) -> Mask:
        """Whether each place is a version of its own by a known writer that did not fail."""
        return (self.writer >= 0) & ~self.failed & ~self.repeated

    @cached_property
    def _outcome(self) -> Ints:
        transactions = self.transactions
        outcome = transactions.outcome[transactions.transaction[np.maximum(self.writer, 0)]]
        return np.where(self.writer >= 0, outcome, -1)

    @cached_property
    def prefixes(self) -> Ints:
        """The rows of the reads that are prefixes of the order."""
        return self.reads if self.prefix.all() else self.reads[self.prefix]

    @cached_property
    def others(self) -> Ints:
        """The rows of the reads that are not."""
        return self.reads[~self.prefix]

    def first_place(self, chosen: Mask) -> Ints:
        """How many elements a read of each key must have to show one of the ``chosen`` places: one
        more than the elements before it, ``int64[k]``; more than any read has where there is
        none."""
        result = np.full(len(self.first) - 1, np.iinfo(np.int64).max)
        places = np.flatnonzero(chosen)[::-1]
        key = self.key[places]
        result[key] = places - self.first[key] + 1
        return result


def _only_lists(transactions: Transactions) -> None:
    """Raises :class:`Unsupported` for a write, and for a read of something that is no list."""
    kind, value = transactions.kind, transactions.value
    odd = np.flatnonzero(
        (kind == Kind.WRITE) | ((kind == Kind.READ) & (value != LIST) & (value != 0))
    )
    if len(odd):
        row = int(odd[0])
        at = int(transactions.transaction[row])
        what = transactions.micro_operations(at)[row - int(transactions.first[at])]
        raise Unsupported(
            f"the transaction invoked at {transactions.index[at]} has {list(what)!r}, and lists "
            "are only appended to and read as a whole"
        )


def _repeated_otherwise(appends: Appends, key: Codes, value: Codes, writer: Codes) -> Mask:
    """The places whose writer is not known, and that show an element once more than it was
    appended (at least once)."""
    result = np.zeros(len(value), dtype=bool)
    places = np.flatnonzero(writer < 0)
    if not len(places):
        return result
    name = (key[places].astype(np.int64) << 32) | value[places]
    order = np.argsort(name, kind="stable")
    name, places = name[order], places[order]
    begin = np.flatnonzero(np.diff(name, prepend=-1) != 0)
    count = np.diff(np.append(begin, len(name)))
    nth = np.arange(len(name)) - np.repeat(begin, count)
    transactions, rows = appends._transactions, appends.ambiguous
    known = np.sort((transactions.key[rows].astype(np.int64) << 32) | transactions.value[rows])
    appended = np.searchsorted(known, name, side="right") - np.searchsorted(known, name)
    result[places] = nth >= np.maximum(appended, 1)
    return result
