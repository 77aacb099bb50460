"""What transactions on registers saw of each other and left behind, and what is wrong already.

A *version* is a key with a value. Of a transaction only two things matter to others: the *external*
reads (the first operation on a key, if it is a read) and the *final* writes (the last write of a
key). Everything else must agree within the transaction.

Who wrote a version is known where one transaction may have done it. If several wrote the same
value, or somebody wrote the initial value again, the read is *ambiguous*: it has several
candidates, and no edge follows from it. A transaction that is ``info`` happened if somebody saw
what only it can have written; if nobody saw anything of it, it can be left out: an order stays
legal without a transaction whose writes nobody reads.

Terms and anomalies are those of A. Adya, *Weak Consistency*, MIT 1999, 4.2, and of K. Kingsbury &
P. Alvaro, *Elle*, VLDB 2020.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from checkers.transactions.columns import LIST, Kind, Transactions, Unsupported
from harness.core.operation import Type

__all__ = ["AMBIGUOUS", "INITIAL", "NOBODY", "Accesses", "accesses"]

Ints = NDArray[np.int64]
Mask = NDArray[np.bool_]

INITIAL: Final = -1
"""The writer of a read that found the key as it was in the beginning."""
AMBIGUOUS: Final = -2
"""The writer of a read whose value several may have written."""
NOBODY: Final = -3
"""The writer of a read of what no transaction can have left behind."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Accesses:
    """External reads and final writes, one row each, in order of transaction.

    ``reader`` is the transaction, ``read_row`` its micro-operation, ``read_version`` the version
    and ``read_writer`` the transaction that wrote it, or :data:`INITIAL`, :data:`AMBIGUOUS` or
    :data:`NOBODY`; ``int64[r]`` each. The candidates of an ambiguous read are
    ``candidates[candidate_first[i]:candidate_first[i + 1]]`` (``int64``, perhaps with INITIAL);
    other reads have none there. ``writer``, ``write_row`` and ``write_version`` are ``int64[w]``,
    of transactions that may have committed.

    Of each version: ``version_key`` and ``version_value`` (positions in ``transactions.keys`` and
    ``.values``), ``int64[v]``, and ``version_writer``: the one transaction that may have written it
    last, INITIAL, AMBIGUOUS or NOBODY. ``initial_version[key]`` is that of the initial value, -1
    where nobody mentions it. ``committed[t]``: it certainly happened. ``optional[t]``: it may have,
    and an ambiguous read may have seen it.

    ``wrong`` are the anomalies that need no cycle: by name, the micro-operations that show each
    (a row and the other row, -1 where there is none), ``int64[., 2]``.
    """

    transactions: Transactions
    reader: Ints
    read_row: Ints
    read_version: Ints
    read_writer: Ints
    candidate_first: Ints
    candidates: Ints
    writer: Ints
    write_row: Ints
    write_version: Ints
    version_key: Ints
    version_value: Ints
    version_writer: Ints
    initial_version: Ints
    committed: Mask
    optional: Mask
    wrong: Mapping[str, Ints] = field(default_factory=dict)

    @property
    def read_key(self) -> Ints:
        """The key of each external read, ``int64[r]``."""
        return self.version_key[self.read_version]

    @property
    def write_key(self) -> Ints:
        """The key of each final write, ``int64[w]``."""
        return self.version_key[self.write_version]

    def shown(self, version: int) -> tuple[Any, Any]:
        """The key and the value of a version."""
        transactions = self.transactions
        return (
            transactions.keys[self.version_key[version]],
            transactions.values[self.version_value[version]],
        )


@dataclass(frozen=True, kw_only=True, eq=False)
class _Rows:
    """Micro-operations sorted by transaction and key, each with what surrounds it."""

    row: Ints
    transaction: Ints
    version: Ints
    read: Mask
    first: Mask
    final: Mask
    following: Ints
    """The position of the next write of the same transaction and key; -1."""


def accesses(
    transactions: Transactions, *, initial: int = 0, impossible: Mask | None = None
) -> Accesses:
    """Everything that :class:`Accesses` holds. ``initial`` is the value (a position in
    ``transactions.values``) that every key has in the beginning; ``impossible`` are transactions
    that certainly did not happen although they did not fail.

    O(m log m). Raises :class:`Unsupported` for appends and lists.
    """
    if bool((transactions.kind == Kind.APPEND).any()):
        raise Unsupported("appends are no operations of registers: this is a list-append history")
    if bool((transactions.value == LIST).any()):
        raise Unsupported("a register was read as a list: this is a list-append history")
    version, version_key, version_value = _versions(transactions)
    rows = _rows(transactions, version)
    failed = transactions.outcome == Type.FAIL
    if impossible is not None:
        failed = failed | impossible
    external = rows.read & rows.first
    lasting = ~rows.read & rows.final & ~failed[rows.transaction]
    written = np.flatnonzero(lasting)
    written = written[np.argsort(rows.version[written], kind="stable")]
    many = np.bincount(rows.version[written], minlength=len(version_key))
    start = np.concatenate(([0], np.cumsum(many)))
    reads = np.flatnonzero(external)
    seen = rows.version[reads]
    # A transaction never reads from others what it writes itself only later.
    own = _own(rows, reads, lasting)
    options = many[seen] - own
    starts = version_value == initial
    read_writer = np.where(options == 0, np.where(starts[seen], INITIAL, NOBODY), AMBIGUOUS)
    sole = np.flatnonzero((options == 1) & ~starts[seen])
    place = start[seen[sole]]
    other = np.minimum(place + 1, max(len(written) - 1, 0))
    if len(sole):
        candidate = rows.transaction[written[place]]
        mine = candidate == rows.transaction[reads[sole]]
        read_writer[sole] = np.where(mine, rows.transaction[written[other]], candidate)
    candidate_first, candidates = _candidates(
        rows=rows,
        reads=reads,
        written=written,
        start=start,
        many=many,
        starts=starts,
        ambiguous=read_writer == AMBIGUOUS,
    )
    reader = rows.transaction[reads]
    committed, optional = _happened(transactions, reader, read_writer, candidate_first, candidates)
    keys = len(transactions.keys)
    initial_version = np.full(keys, -1, dtype=np.int64)
    initial_version[version_key[starts]] = np.flatnonzero(starts)
    version_writer = np.where(
        many == 0,
        np.where(starts, INITIAL, NOBODY),
        np.where(starts | (many > 1), AMBIGUOUS, 0),
    )
    single = np.flatnonzero((many == 1) & ~starts)
    version_writer[single] = rows.transaction[written[start[single]]]
    writes = np.flatnonzero(lasting)
    return Accesses(
        transactions=transactions,
        reader=reader,
        read_row=rows.row[reads],
        read_version=seen,
        read_writer=read_writer,
        candidate_first=candidate_first,
        candidates=candidates,
        writer=rows.transaction[writes],
        write_row=rows.row[writes],
        write_version=rows.version[writes],
        version_key=version_key,
        version_value=version_value,
        version_writer=version_writer,
        initial_version=initial_version,
        committed=committed,
        optional=optional,
        wrong=_wrong(rows, reads, read_writer, failed, transactions.outcome == Type.OK),
    )


def _versions(transactions: Transactions) -> tuple[Ints, Ints, Ints]:
    """The version of each micro-operation, and the key and value of each version."""
    width = len(transactions.values) + 1
    pair = transactions.key.astype(np.int64) * width + transactions.value
    order = np.argsort(pair, kind="stable")
    sorted_pair = pair[order]
    fresh = np.ones(len(pair), dtype=bool)
    fresh[1:] = sorted_pair[1:] != sorted_pair[:-1]
    version = np.empty(len(pair), dtype=np.int64)
    version[order] = np.cumsum(fresh) - 1
    distinct = sorted_pair[fresh]
    return version, distinct // width, distinct % width


def _rows(transactions: Transactions, version: Ints) -> _Rows:
    of = transactions.transaction.astype(np.int64)
    group = of * (len(transactions.keys) + 1) + transactions.key
    order = np.argsort(group, kind="stable")
    group = group[order]
    first = np.ones(len(order), dtype=bool)
    first[1:] = group[1:] != group[:-1]
    read = transactions.kind[order] == Kind.READ
    # The next write: scanning from the end, the smallest position of a write within the group.
    places = np.arange(len(order))
    far = len(order)
    next_write = np.full(len(order) + 1, far)
    next_write[:-1] = np.minimum.accumulate(np.where(read, far, places)[::-1])[::-1]
    after = next_write[1:]
    end = np.append(np.flatnonzero(first)[1:], far)
    last = end[np.cumsum(first) - 1] if len(order) else end[:0]
    following = np.where(after < last, after, -1)
    return _Rows(
        row=order,
        transaction=of[order],
        version=version[order],
        read=read,
        first=first,
        final=following < 0,
        following=following,
    )


def _own(rows: _Rows, reads: Ints, lasting: Mask) -> Ints:
    """1 where the reader is itself among those that wrote the version last."""
    width = int(rows.version.max(initial=0)) + 1
    own = np.sort(rows.transaction[lasting] * width + rows.version[lasting])
    return _contains(own, rows.transaction[reads] * width + rows.version[reads]).astype(np.int64)


def _contains(sorted_numbers: Ints, numbers: Ints) -> Mask:
    if not len(sorted_numbers):
        return np.zeros(len(numbers), dtype=bool)
    place = np.minimum(np.searchsorted(sorted_numbers, numbers), len(sorted_numbers) - 1)
    found: Mask = sorted_numbers[place] == numbers
    return found


def _happened(
    transactions: Transactions,
    reader: Ints,
    read_writer: Ints,
    candidate_first: Ints,
    candidates: Ints,
) -> tuple[Mask, Mask]:
    """Who certainly committed, and who may have, of those that somebody may have read from."""
    committed = transactions.outcome == Type.OK
    sure = read_writer >= 0
    while True:
        seen = read_writer[sure & committed[reader]]
        if committed[seen].all():
            break
        committed[seen] = True
    optional = np.zeros(len(transactions), dtype=bool)
    doubtful = np.repeat(reader, np.diff(candidate_first))
    known = candidates >= 0
    reader = np.concatenate((reader[sure], doubtful[known]))
    writer = np.concatenate((read_writer[sure], candidates[known]))
    while True:
        seen = writer[(committed | optional)[reader]]
        if (committed | optional)[seen].all():
            return committed, optional
        optional[seen] = ~committed[seen]


def _candidates(
    *,
    rows: _Rows,
    reads: Ints,
    written: Ints,
    start: Ints,
    many: Ints,
    starts: Mask,
    ambiguous: Mask,
) -> tuple[Ints, Ints]:
    first = np.zeros(len(reads) + 1, dtype=np.int64)
    found: list[int] = []
    for place in np.flatnonzero(ambiguous).tolist():  # rare, where writes are mostly unique
        reader, version = int(rows.transaction[reads[place]]), int(rows.version[reads[place]])
        these = rows.transaction[written[start[version] : start[version] + many[version]]]
        options = [one for one in these.tolist() if one != reader]
        found += [INITIAL, *options] if starts[version] else options
        first[place + 1] = len(found)
    return np.maximum.accumulate(first), np.array(found, dtype=np.int64)


def _wrong(rows: _Rows, reads: Ints, read_writer: Ints, failed: Mask, ok: Mask) -> dict[str, Ints]:
    """The anomalies without a cycle, as pairs of micro-operations; those of what certainly
    happened."""
    wrong: dict[str, Ints] = {}
    inner = np.flatnonzero(rows.read & ~rows.first & ok[rows.transaction])
    broken = inner[rows.version[inner] != rows.version[inner - 1]]
    # Its own later write explains what was read better than a contradiction does.
    late = _later_write(rows, broken)
    internal = broken[late < 0]
    orphan = np.flatnonzero((read_writer == NOBODY) & ok[rows.transaction[reads]])
    reads_orphan = reads[orphan]
    own_later = _later_write(rows, reads_orphan)
    future = np.concatenate((broken[late >= 0], reads_orphan[own_later >= 0]))
    future_write = np.concatenate((late[late >= 0], own_later[own_later >= 0]))
    left = reads_orphan[own_later < 0]
    aborted = _some_write(rows, left, ~rows.read & failed[rows.transaction])
    intermediate = _some_write(rows, left, ~rows.read & ~rows.final & ~failed[rows.transaction])
    found = {
        "internal": (internal, internal - 1),
        "future-read": (future, future_write),
        "G1b": (left[intermediate >= 0], intermediate[intermediate >= 0]),
        "G1a": (
            left[(intermediate < 0) & (aborted >= 0)],
            aborted[(intermediate < 0) & (aborted >= 0)],
        ),
        "garbage-read": (left[(intermediate < 0) & (aborted < 0)], None),
    }
    for name, (places, others) in found.items():
        if len(places):
            other = np.full(len(places), -1) if others is None else rows.row[others]
            wrong[name] = np.stack((rows.row[places], other), axis=1)
    return wrong


def _later_write(rows: _Rows, places: Ints) -> Ints:
    """Of each read, a later write of the same transaction that wrote what it saw; -1."""
    found = np.full(len(places), -1, dtype=np.int64)
    for number, place in enumerate(places.tolist()):  # only reads that are wrong already
        at = int(rows.following[place])
        while at >= 0 and rows.version[at] != rows.version[place]:
            at = int(rows.following[at])
        found[number] = at
    return found


def _some_write(rows: _Rows, places: Ints, among: Mask) -> Ints:
    """Of each read, a write ``among`` these of the version that it saw; -1."""
    chosen = np.flatnonzero(among)
    if not len(chosen):
        return np.full(len(places), -1, dtype=np.int64)
    chosen = chosen[np.argsort(rows.version[chosen], kind="stable")]
    versions = rows.version[chosen]
    at = np.minimum(np.searchsorted(versions, rows.version[places]), len(chosen) - 1)
    return np.where(versions[at] == rows.version[places], chosen[at], -1)
