"""Which orders of transactions explain what they read: a polygraph, and the test of one order.

A *polygraph* (C. Papadimitriou, "The serializability of concurrent database updates", JACM 1979)
has the transactions as vertices and, for every read of a version of ``x`` by ``r`` from ``w``, the
edge ``w -> r`` and a choice for every other writer ``v`` of ``x``: before ``w``, or after ``r``.
The history is serializable exactly if some choice leaves no cycle.

For *snapshot isolation* each transaction has two events, its start (where it reads) and its commit
(where it writes). A read starts after the commit that it saw, and before the commits that replaced
that; of two writers of a key one commits before the other starts. Some order of all events must do
that (A. Cerone, A. Gotsman, "Analysing Snapshot Isolation", PODC 2016: these are the histories
without a cycle in which no two rw edges are adjacent: an rw edge leads from a start to a commit, so
that another can follow only after an edge that leads to a start). A :class:`Question` names the
kind of events and what else the order must respect.

An order that was found by whatever means is *verified* (:func:`explains`): that alone proves that
the history holds, and does not rest on any of the inference.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from checkers.transactions.rw_register_accesses import AMBIGUOUS, INITIAL, NOBODY, Accesses
from harness.core.history import NEVER
from harness.core.operation import Type

__all__ = ["Order", "Polygraph", "Question", "explains", "polygraph"]

Ints = NDArray[np.int64]
Mask = NDArray[np.bool_]


class Order(IntEnum):
    """What else an order of transactions must respect."""

    NONE = 0
    PROCESS = 1
    """The order in which each process did them."""
    REALTIME = 2
    """That, and whatever returned before another was called."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """A model: what the order respects, and whether transactions read from a snapshot."""

    order: Order
    snapshot: bool = False

    def start(self, vertices: Ints) -> Ints:
        """The event in which each transaction reads."""
        return vertices * 2 if self.snapshot else vertices

    def commit(self, vertices: Ints) -> Ints:
        """The event in which each transaction writes."""
        return vertices * 2 + 1 if self.snapshot else vertices

    def events(self, vertices: int) -> int:
        """How many events so many transactions have."""
        return vertices * 2 if self.snapshot else vertices


@dataclass(frozen=True, kw_only=True, eq=False)
class Polygraph:
    """Transactions ``0 ... n - 1``, each the row ``member`` of the history's transactions, in order
    of invocation; ``process``, ``call`` and ``ret`` are theirs (``int64[n]``), ``optional`` those
    that may not have happened (``bool[n]``).

    Reads and writes are as in :class:`Accesses`, of vertices instead of transactions: a
    ``read_writer`` is a vertex, INITIAL or AMBIGUOUS. ``source[i]`` comes before ``target[i]`` by
    assumption: as a writer before the next (``anti[i]`` false) or as a reader before who
    overwrote that (``anti[i]`` true).
    """

    member: Ints
    process: Ints
    call: Ints
    ret: Ints
    optional: Mask
    read_vertex: Ints
    read_key: Ints
    read_version: Ints
    read_writer: Ints
    candidate_first: Ints
    candidates: Ints
    write_vertex: Ints
    write_key: Ints
    write_version: Ints
    source: Ints
    target: Ints
    anti: Mask

    def __len__(self) -> int:
        return len(self.member)

    @property
    def ambiguous(self) -> bool:
        """Whether some read has several candidates."""
        return bool((self.read_writer == AMBIGUOUS).any())

    @cached_property
    def written(self) -> tuple[int, Ints]:
        """How many keys there may be, and all writes as ``vertex * keys + key``, sorted."""
        width = int(max(self.read_key.max(initial=0), self.write_key.max(initial=0))) + 1
        return width, np.sort(self.write_vertex * width + self.write_key)

    def part(self, kept: Mask, *, cut: bool = False) -> Polygraph:
        """Only the vertices ``kept``, and what these read from each other: whatever has no order
        has none with more transactions.

        With ``cut`` they may be any that the others precede or follow as a whole: then what a
        writer outside left counts as the initial state, and whoever wrote what a reader outside saw
        comes after all other writers of the key. Ambiguous reads must have all their candidates
        inside."""
        number = np.cumsum(kept) - 1
        counts = np.diff(self.candidate_first)
        inside = self.read_writer < 0
        inside[~inside] = kept[self.read_writer[~inside]]
        reads = kept[self.read_vertex]
        if not cut:
            doubtful = np.repeat(np.arange(len(counts)), counts)
            known = self.candidates >= 0
            missing = doubtful[known][~kept[self.candidates[known]]]
            reads = reads & inside
            reads[missing] = False
        writes = kept[self.write_vertex]
        edges = kept[self.source] & kept[self.target]
        writer = self.read_writer[reads]
        moved = np.where(writer < 0, writer, INITIAL)
        sure = inside[reads] & (writer >= 0)
        moved[sure] = number[writer[sure]]
        chosen = np.repeat(reads, counts)
        candidates = self.candidates[chosen]
        assert kept[candidates[candidates >= 0]].all(), "a candidate is left out"
        source, target = self.source[edges], self.target[edges]
        anti = self.anti[edges]
        if cut:
            others, last = self._last(kept)
            source, target = np.concatenate((source, others)), np.concatenate((target, last))
            anti = np.concatenate((anti, np.zeros(len(last), dtype=bool)))
        return Polygraph(
            member=self.member[kept],
            process=self.process[kept],
            call=self.call[kept],
            ret=self.ret[kept],
            optional=self.optional[kept],
            read_vertex=number[self.read_vertex[reads]],
            read_key=self.read_key[reads],
            read_version=self.read_version[reads],
            read_writer=moved,
            candidate_first=np.concatenate(([0], np.cumsum(counts[reads]))),
            candidates=np.where(candidates >= 0, number[np.maximum(candidates, 0)], candidates),
            write_vertex=number[self.write_vertex[writes]],
            write_key=self.write_key[writes],
            write_version=self.write_version[writes],
            source=number[source],
            target=number[target],
            anti=anti,
        )

    def _last(self, kept: Mask) -> tuple[Ints, Ints]:
        """Each writer that is kept, and the one whose version of the key a reader outside saw."""
        seen = (self.read_writer >= 0) & ~kept[self.read_vertex]
        seen[seen] = kept[self.read_writer[seen]]
        last = {*zip(self.read_key[seen].tolist(), self.read_writer[seen].tolist(), strict=True)}
        pairs = []
        for key, writer in sorted(last):
            writers = self.write_vertex[kept[self.write_vertex] & (self.write_key == key)]
            pairs += [(other, writer) for other in writers.tolist() if other != writer]
        others = np.array(pairs, dtype=np.int64).reshape(-1, 2)
        return others[:, 0], others[:, 1]


def polygraph(
    found: Accesses,
    *,
    source: Ints | None = None,
    target: Ints | None = None,
    anti: Mask | None = None,
) -> Polygraph:
    """The polygraph of all transactions that happened, or may have. ``source`` and ``target`` are
    transactions of assumed edges. O(m).

    Reads that no transaction can explain must be known already: they are left out here.
    """
    transactions = found.transactions
    kept = found.committed | found.optional
    number = np.cumsum(kept) - 1
    reads = (found.read_writer != NOBODY) & kept[found.reader]
    writes = kept[found.writer]
    writer = found.read_writer[reads]
    none = np.zeros(0, dtype=np.int64)
    source, target = (none, none) if source is None or target is None else (source, target)
    anti = np.zeros(len(source), dtype=bool) if anti is None else anti
    edges = kept[source] & kept[target] & ~found.optional[source]
    counts = np.diff(found.candidate_first)
    candidates = found.candidates[np.repeat(reads, counts)]
    counts = counts[reads]
    return Polygraph(
        member=np.flatnonzero(kept),
        process=transactions.process[kept],
        call=transactions.call[kept],
        ret=np.where(transactions.outcome == Type.OK, transactions.ret, NEVER)[kept],
        optional=found.optional[kept],
        read_vertex=number[found.reader[reads]],
        read_key=found.read_key[reads],
        read_version=found.read_version[reads],
        read_writer=np.where(writer >= 0, number[np.maximum(writer, 0)], writer),
        candidate_first=np.concatenate(([0], np.cumsum(counts))),
        candidates=np.where(candidates >= 0, number[np.maximum(candidates, 0)], candidates),
        write_vertex=number[found.writer[writes]],
        write_key=found.write_key[writes],
        write_version=found.write_version[writes],
        source=number[source[edges]],
        target=number[target[edges]],
        anti=anti[edges],
    )


def explains(graph: Polygraph, question: Question, place: Ints, happened: Mask) -> bool:
    """Whether an order of events answers the question: every read saw the last write before it,
    and the order respects what it must.

    ``place[event]`` is the place of each event (``int64``, all different); ``happened[vertex]``
    says which transactions are in it: all but optional ones. O(m log m).
    """
    vertices = np.arange(len(graph))
    start, commit = place[question.start(vertices)], place[question.commit(vertices)]
    return (
        bool(happened[~graph.optional].all())
        and bool((commit >= start).all())
        and _reads_fit(graph, question, start, commit, happened)
        and _respects(graph, question, start, commit, happened)
    )


def _reads_fit(
    graph: Polygraph, question: Question, start: Ints, commit: Ints, happened: Mask
) -> bool:
    reads = np.flatnonzero(happened[graph.read_vertex])
    writes = np.flatnonzero(happened[graph.write_vertex])
    key = np.concatenate((graph.read_key[reads], graph.write_key[writes]))
    at = np.concatenate((start[graph.read_vertex[reads]], commit[graph.write_vertex[writes]]))
    version = np.concatenate((graph.read_version[reads], graph.write_version[writes]))
    is_write = np.arange(len(key)) >= len(reads)
    # A transaction reads before it writes.
    order = np.lexsort((is_write, at, key))
    key, version, is_write = key[order], version[order], is_write[order]
    places = np.arange(len(order))
    first = np.ones(len(order), dtype=bool)
    first[1:] = key[1:] != key[:-1]
    group = np.maximum.accumulate(np.where(first, places, 0)) if len(order) else places
    last = np.maximum.accumulate(np.where(is_write, places, -1))
    before = np.concatenate(([-1], last))[:-1] if len(order) else last
    before = np.where(before >= group, before, -1)
    unwritten = ~is_write & (before < 0)
    initial = np.concatenate((_initial(graph)[reads], np.zeros(len(writes), dtype=bool)))[order]
    wrong = ~is_write & (before >= 0) & (version[np.maximum(before, 0)] != version)
    if wrong.any() or (unwritten & ~initial).any():
        return False
    if not question.snapshot:
        return True
    # No other commit of the key between the start and the commit of who writes it.
    began = np.concatenate((start[graph.read_vertex[reads]], start[graph.write_vertex[writes]]))
    follows = is_write & (before >= 0)
    return bool((at[order][before[follows]] < began[order][follows]).all())


def _initial(graph: Polygraph) -> Mask:
    """The reads that the initial state explains."""
    sole: Mask = graph.read_writer == INITIAL
    doubtful = np.repeat(np.arange(len(graph.read_writer)), np.diff(graph.candidate_first))
    sole[doubtful[graph.candidates == INITIAL]] = True
    return sole


def _respects(
    graph: Polygraph, question: Question, start: Ints, commit: Ints, happened: Mask
) -> bool:
    both = happened[graph.source] & happened[graph.target]
    source, target, anti = graph.source[both], graph.target[both], graph.anti[both]
    before = np.where(anti, start[source], commit[source])
    after = np.where(anti, commit[target], start[target])
    if (before >= after).any():
        return False
    if question.order == Order.NONE:
        return True
    chosen = np.flatnonzero(happened)
    chosen = chosen[np.argsort(graph.process[chosen], kind="stable")]
    same = graph.process[chosen[1:]] == graph.process[chosen[:-1]]
    if (commit[chosen[:-1]][same] >= start[chosen[1:]][same]).any():
        return False
    if question.order == Order.PROCESS:
        return True
    # Whatever returned before a call committed before that start: compare with the latest such.
    chosen = np.flatnonzero(happened)
    returned = chosen[np.argsort(graph.ret[chosen], kind="stable")]
    latest = np.maximum.accumulate(commit[returned]) if len(returned) else returned
    earlier = np.searchsorted(graph.ret[returned], graph.call[chosen], side="left")
    has = earlier > 0
    return bool((latest[earlier[has] - 1] < start[chosen[has]]).all())
