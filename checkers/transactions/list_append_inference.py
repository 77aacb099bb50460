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

Real time takes O(n) edges: completions between the same two invocations share an auxiliary vertex,
these form a chain in time, and a transaction depends on the last one before its invocation.

``detail`` of an edge of ww, wr or rw holds two rows of micro-operations: the one of its source in
the low 32 bits, that of its target above.
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
from checkers.transactions.versions import Versions
from harness.core.history import stable_order
from harness.core.operation import Type

__all__ = ["Inference", "committed", "infer", "orders", "rows_of"]

Ints = NDArray[np.int64]
Codes = NDArray[np.int32]
Mask = NDArray[np.bool_]
Rows = NDArray[np.integer]

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


@dataclass(frozen=True, kw_only=True, eq=False)
class _Edges:
    """Edges of one kind, from micro-operation to micro-operation (``source`` and ``target``, rows)
    and so from transaction to transaction (``before`` and ``after``; not if these are one)."""

    kind: Edge
    source: Rows
    target: Rows
    before: Codes
    after: Codes


def rows_of(detail: int) -> tuple[int, int]:
    """The rows of the source's and of the target's micro-operation."""
    return detail & 0xFFFFFFFF, detail >> 32


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
    readers, followers, complete = _unseen_pairs(
        transactions, reads[~followed & (next_ >= 0)], unseen
    )
    part = transactions.transaction
    wrote = part[writer]
    tail = key_first[unseen_key[after] + 1] - 1
    last, next_ = last[shows], next_[followed]
    seeing, missing = reads[shows], reads[followed]

    def edges() -> Iterator[_Edges]:
        yield _Edges(
            kind=Edge.WW,
            source=writer[:-1][same],
            target=writer[1:][same],
            before=wrote[:-1][same],
            after=wrote[1:][same],
        )
        yield _Edges(
            kind=Edge.WW,
            source=writer[tail],
            target=unseen[after],
            before=wrote[tail],
            after=part[unseen[after]],
        )
        yield _Edges(
            kind=Edge.WR,
            source=writer[last],
            target=seeing,
            before=wrote[last],
            after=part[seeing],
        )
        yield _Edges(
            kind=Edge.RW,
            source=missing,
            target=writer[next_],
            before=part[missing],
            after=wrote[next_],
        )
        yield _Edges(
            kind=Edge.RW,
            source=readers,
            target=followers,
            before=part[readers],
            after=part[followers],
        )

    room = int(same.sum()) + len(tail) + len(last) + len(next_) + len(readers)
    return Inference(
        dependencies=_graph(transactions, certain, edges(), room),
        complete=complete and not len(versions.appends.ambiguous),
        unseen=unseen,
    )


def orders(
    transactions: Transactions, certain: Mask
) -> tuple[int, list[tuple[Edge, Codes, Codes]]]:
    """How many vertices there are, and the edges of processes and of real time."""
    count = len(transactions)
    completed = np.flatnonzero(transactions.outcome == Type.OK)
    taking_part = np.flatnonzero(certain)
    by_process = taking_part[stable_order(transactions.process[taking_part])]
    source, target = by_process[:-1], by_process[1:]
    follows = (transactions.process[source] == transactions.process[target]) & (
        transactions.outcome[source] == Type.OK
    )
    edges = [(Edge.PROCESS, source[follows], target[follows])]
    if not transactions.history.realtime:
        return count, _narrow(edges)
    in_time = completed[np.argsort(transactions.ret[completed], kind="stable")]
    # How many had returned, strictly, before each transaction was invoked.
    before = np.searchsorted(transactions.ret[in_time], transactions.call[taking_part], side="left")
    used = np.zeros(len(in_time) + 1, dtype=bool)
    used[before] = True
    used[0] = False
    # A vertex for each number of completions that was met: the completions up to it lead there.
    number = np.cumsum(used)
    vertices = int(number[-1])
    own = number[:-1]  # that of the completion at each rank: the first vertex after it
    waited = own < vertices
    invoked = before > 0
    edges += [
        (Edge.REALTIME, in_time[waited], count + own[waited]),
        (
            Edge.REALTIME,
            np.arange(count, count + vertices - 1),
            np.arange(count + 1, count + vertices),
        ),
        (Edge.REALTIME, count + number[before[invoked]] - 1, taking_part[invoked]),
    ]
    return count + vertices, _narrow(edges)


def _narrow(edges: list[tuple[Edge, Ints, Ints]]) -> list[tuple[Edge, Codes, Codes]]:
    return [(kind, a.astype(np.int32), b.astype(np.int32)) for kind, a, b in edges]


def _graph(
    transactions: Transactions, certain: Mask, edges: Iterator[_Edges], room: int
) -> Dependencies:
    """The graph of ``edges`` (no more than ``room``) and of the orders."""
    vertices, others = orders(transactions, certain)
    room += sum(len(a) for _, a, _ in others)
    source, target = np.empty(room, dtype=np.int32), np.empty(room, dtype=np.int32)
    kind, detail = np.empty(room, dtype=np.uint8), np.empty(room, dtype=np.int64)
    end = 0
    for some in edges:
        kept = np.flatnonzero(some.before != some.after)
        begin, end = end, end + len(kept)
        here = slice(begin, end)
        np.take(some.before, kept, out=source[here])
        np.take(some.after, kept, out=target[here])
        kind[here] = some.kind
        detail[here] = some.target[kept]
        detail[here] <<= 32
        detail[here] |= some.source[kept]
    for why, a, b in others:
        begin, end = end, end + len(a)
        here = slice(begin, end)
        source[here], target[here], kind[here], detail[here] = a, b, why, 0
    return Dependencies(
        transactions=len(transactions),
        vertices=vertices,
        source=source[:end],
        target=target[:end],
        kind=kind[:end],
        detail=detail[:end],
    )


def _read_versions(chains: Chains, ordinal: Codes, key_first: Codes) -> tuple[Ints, Codes, Codes]:
    """The reads, and the ordinals of the last version that each shows and of the next one.

    The last one may be that of another key (the read shows none), and so may the next one (there is
    none); -1 for a next one that nobody knows. Reads that say nothing new are left out: those that
    show as much as the row before them in their chain.
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
