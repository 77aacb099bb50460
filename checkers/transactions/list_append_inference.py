"""Who depends on whom in a list-append history: ww, wr and rw from what the lists show.

Of each key, in the order of its versions: whoever appended one comes before whoever appended the
next (**ww**); who appended the last version that a read shows comes before the reader (**wr**), and
the reader before whoever appended the next one (**rw**). Versions of failed transactions, and those
of which nobody can say who appended them, are passed over: the edge goes to the next one.

An append that certainly happened and that no read shows comes after all that were seen: an edge
from the last version (ww), and from those who read that one (rw). In which order several of these
came nobody knows.

A transaction that is ``info`` happened if a read shows one of its appends; then its other appends
happened too. What else is ``info`` may be thought not to have happened, and failed transactions did
not: neither is in the graph.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from checkers.transactions.chains import Chains
from checkers.transactions.columns import Kind, Transactions
from checkers.transactions.dependencies import Dependencies, Edge
from checkers.transactions.list_append_findings import Stray
from checkers.transactions.list_append_graph import Edges, graph_of
from checkers.transactions.versions import Versions
from harness.core.operation import Type

__all__ = ["Inference", "committed", "infer"]

Ints = NDArray[np.int64]
Codes = NDArray[np.int32]
Mask = NDArray[np.bool_]

_PAIRS_MAX = 4_000_000
"""Edges from readers of a last version to appends that nobody saw. One for each pair is too many
where a much used key is read as empty again and again; then only some are there."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Inference:
    """``dependencies``, whether they have every edge that there is reason for (``complete``), and
    the appends that certainly happened but were not seen, one of each transaction and key
    (``unseen``, rows)."""

    dependencies: Dependencies
    complete: bool
    unseen: Ints


def committed(versions: Versions, stray: Stray) -> Mask:
    """Whether each transaction certainly happened: it succeeded, or is ``info`` and was seen."""
    transactions = versions.transactions
    result: Mask = transactions.outcome == Type.OK
    info = transactions.outcome == Type.INFO
    if info.any():
        seen = stray.seen.copy()
        seen[versions.writer[versions.writer >= 0]] = True
        result[transactions.transaction[seen]] |= info[transactions.transaction[seen]]
    return result


def infer(chains: Chains, stray: Stray) -> Inference:
    """The graph of all dependencies. O(m + v), with a sort of the times."""
    versions = chains.versions
    transactions = versions.transactions
    certain = committed(versions, stray)
    lasting = np.flatnonzero(versions.lasting).astype(np.int32)
    writer = versions.writer[lasting]
    ordinal = np.concatenate([np.zeros(1, np.int32), np.cumsum(versions.lasting, dtype=np.int32)])
    key_first = ordinal[versions.first]  # of each key: its first lasting version
    same = versions.key[lasting[1:]] == versions.key[lasting[:-1]]
    unseen = _unseen(chains, stray, certain)
    unseen_key = transactions.key[unseen]
    after = key_first[unseen_key + 1] > key_first[unseen_key]
    reads, last, next_ = _read_versions(chains, ordinal, key_first)
    key = transactions.key[reads]
    shows = last >= key_first[key]
    followed = next_ < key_first[key + 1]
    readers, followers, complete = _unseen_pairs(transactions, reads[~followed], unseen)
    part = transactions.transaction
    wrote = part[writer]
    tail = key_first[unseen_key[after] + 1] - 1
    last, next_ = last[shows], next_[followed]
    seeing, missing = reads[shows], reads[followed]

    def edges() -> Iterator[Edges]:
        yield Edges(
            kind=Edge.WW,
            source=writer[:-1][same],
            target=writer[1:][same],
            before=wrote[:-1][same],
            after=wrote[1:][same],
        )
        yield Edges(
            kind=Edge.WW,
            source=writer[tail],
            target=unseen[after],
            before=wrote[tail],
            after=part[unseen[after]],
        )
        yield Edges(
            kind=Edge.WR,
            source=writer[last],
            target=seeing,
            before=wrote[last],
            after=part[seeing],
        )
        yield Edges(
            kind=Edge.RW,
            source=missing,
            target=writer[next_],
            before=part[missing],
            after=wrote[next_],
        )
        yield Edges(
            kind=Edge.RW,
            source=readers,
            target=followers,
            before=part[readers],
            after=part[followers],
        )

    room = int(same.sum()) + len(tail) + len(last) + len(next_) + len(readers)
    return Inference(
        dependencies=graph_of(transactions, certain, edges(), room),
        complete=complete and not len(versions.appends.ambiguous),
        unseen=unseen,
    )


def _read_versions(chains: Chains, ordinal: Codes, key_first: Codes) -> tuple[Ints, Codes, Codes]:
    """The reads, and the ordinals of the last version that each shows and of the next one.

    The last one may be that of another key (the read shows none), and so may the next one (there is
    none). Reads that say nothing new are left out: those that show as much as the row before them
    in their chain.
    """
    versions = chains.versions
    transactions = versions.transactions
    rows = versions.prefixes
    previous = chains.previous[rows]
    again = (
        (previous >= 0)
        & (transactions.kind[previous] == Kind.READ)
        & (transactions.length[previous] == transactions.length[rows])
    )
    if len(versions.others):
        stray_row = np.zeros(len(transactions.kind) + 1, dtype=bool)
        stray_row[versions.others] = True
        again &= ~stray_row[previous]
    rows = rows[~again]
    key = transactions.key[rows]
    next_ = ordinal[versions.first[key] + transactions.length[rows]]
    last = next_ - np.int32(1)
    others = versions.others
    if not len(others):
        return rows, last, next_
    # The element that a stray read ends with still says what it came after; the rest is unknown.
    key = transactions.key[others]
    ends = transactions.start[others] + transactions.length[others] - 1
    writer = versions.appends.of(key, transactions.elements[ends])
    place = np.where(writer >= 0, versions.place[np.maximum(writer, 0)], -1)
    ordered = (place >= 0) & versions.lasting[np.maximum(place, 0)]
    at = ordinal[np.maximum(place, 0)]
    others, at = others[ordered], at[ordered]
    return (
        np.concatenate([rows, others]),
        np.concatenate([last, at]),
        np.concatenate([next_, at + np.int32(1)]),
    )


def _unseen(chains: Chains, stray: Stray, certain: Mask) -> Ints:
    """The appends that certainly happened and that no read shows, the first of each chain."""
    versions = chains.versions
    transactions = versions.transactions
    rows = versions.appends.rows
    hidden = (
        (versions.place[rows] < 0) & certain[transactions.transaction[rows]] & ~stray.seen[rows]
    )
    rows = rows[hidden]
    if len(versions.appends.ambiguous):
        rows = rows[~np.isin(rows, versions.appends.ambiguous)]
    first = np.full(len(transactions.kind), -1, dtype=np.int32)
    head = chains.head[rows]
    first[head[::-1]] = rows[::-1]
    result: Ints = rows[first[head] == rows]
    return result


def _unseen_pairs(
    transactions: Transactions, readers: Ints, unseen: Ints
) -> tuple[Ints, Ints, bool]:
    """The readers of a last version with each append after it, and whether these are all pairs."""
    keys = len(transactions.keys)
    order = np.argsort(transactions.key[unseen], kind="stable")
    unseen = unseen[order]
    count = np.bincount(transactions.key[unseen], minlength=keys)
    first = np.cumsum(count) - count
    readers = readers[count[transactions.key[readers]] > 0]
    size = count[transactions.key[readers]]
    if int(size.sum()) > _PAIRS_MAX:
        return *_some_pairs(transactions, readers, unseen), False
    ends = np.cumsum(size)
    inside = np.arange(int(ends[-1]) if len(ends) else 0) - np.repeat(ends - size, size)
    follower = np.repeat(first[transactions.key[readers]], size) + inside
    return np.repeat(readers, size), unseen[follower], True


def _some_pairs(transactions: Transactions, readers: Ints, unseen: Ints) -> tuple[Ints, Ints]:
    """Each reader with the append of its key that returned first, and each append with the reader
    that was invoked last: these show whether anybody missed what had returned."""
    part, keys = transactions.transaction, len(transactions.keys)
    earliest = np.zeros(keys, dtype=np.int64)
    by_return = unseen[np.argsort(-transactions.ret[part[unseen]], kind="stable")]
    earliest[transactions.key[by_return]] = by_return
    latest = np.full(keys, -1, dtype=np.int64)
    by_call = readers[np.argsort(transactions.call[part[readers]], kind="stable")]
    latest[transactions.key[by_call]] = by_call
    read = latest[transactions.key[unseen]]
    return (
        np.concatenate([readers, read[read >= 0]]),
        np.concatenate([earliest[transactions.key[readers]], unseen[read >= 0]]),
    )
