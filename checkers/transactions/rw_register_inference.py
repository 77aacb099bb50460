"""Who depends on whom in a history of registers: edges for the search of named cycles.

- ``w -wr-> r``: ``r`` read what only ``w`` can have written.
- ``r -rw-> v``: ``v`` wrote the version after the one that ``r`` read.
- ``u -ww-> v``: ``v`` wrote the version after that of ``u``, by an assumption. Where ``v`` had read
  the version of ``u`` the wr edge says as much.

The orders of versions are those of :mod:`.rw_register_versions`. Whatever else follows is left to
:mod:`.solver`: these edges are for anomalies that have a name.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from checkers.transactions.dependencies import Dependencies, Edge
from checkers.transactions.rw_register_accesses import AMBIGUOUS, Accesses
from checkers.transactions.rw_register_versions import VersionOrder
from harness.core.history import NEVER
from harness.core.operation import Type

__all__ = ["Inference", "infer", "lost_updates"]

Ints = NDArray[np.int64]
Mask = NDArray[np.bool_]

_EDGES_MAX = 8_000_000


@dataclass(frozen=True, kw_only=True, eq=False)
class Inference:
    """``detail`` of a wr edge is a row of the accesses' reads; of ww and rw, one of the order.

    ``source``, ``target`` and ``anti`` are the edges that rest on an assumption, as
    :func:`~checkers.transactions.polygraph.polygraph` takes them. ``complete`` is false where there
    were too many edges to list.
    """

    dependencies: Dependencies
    source: Ints
    target: Ints
    anti: Mask
    complete: bool


def infer(found: Accesses, order: VersionOrder, *, realtime: bool) -> Inference:
    """The edges. O(m log m), and O(readers) for each pair of versions."""
    transactions = found.transactions
    n = len(transactions)
    sure = np.flatnonzero((found.read_writer >= 0) & found.committed[found.reader])
    columns = [_column(found.read_writer[sure], found.reader[sure], Edge.WR, sure)]
    one, other = found.version_writer[order.before], found.version_writer[order.after]
    written = np.flatnonzero(other >= 0)
    written = written[found.committed[other[written]]]
    following = np.flatnonzero(order.assumed[written] & (one[written] >= 0))
    following = written[following]
    following = following[found.committed[one[following]]]
    columns.append(_column(one[following], other[following], Edge.WW, following))
    reads = np.flatnonzero((found.read_writer != AMBIGUOUS) & found.committed[found.reader])
    reads = reads[np.argsort(found.read_version[reads], kind="stable")]
    versions = found.read_version[reads]
    low = np.searchsorted(versions, order.before[written], side="left")
    high = np.searchsorted(versions, order.before[written], side="right")
    many = high - low
    total = np.cumsum(many)
    complete = not len(total) or int(total[-1]) <= _EDGES_MAX
    many = np.where(total <= _EDGES_MAX, many, 0)
    pair = np.repeat(np.arange(len(written)), many)
    offset = np.arange(len(pair)) - np.repeat(np.cumsum(many) - many, many)
    reader = found.reader[reads[low[pair] + offset]]
    pair = written[pair]
    columns.append(_column(reader, other[pair], Edge.RW, pair))
    data = np.concatenate(columns, axis=1)
    data = data[:, data[0] != data[1]]
    by_assumption = (
        order.assumed[np.where(data[2] != Edge.WR, data[3], 0)]
        if len(order.why)
        else (np.zeros(data.shape[1], dtype=bool))
    )
    assumed = data[:, by_assumption & (data[2] != Edge.WR)]
    orders, vertices = _orders(found, realtime)
    whole = np.concatenate((data, orders), axis=1)
    return Inference(
        dependencies=Dependencies(
            transactions=n,
            vertices=vertices,
            source=whole[0].astype(np.int32),
            target=whole[1].astype(np.int32),
            kind=whole[2].astype(np.uint8),
            detail=whole[3],
        ),
        source=assumed[0],
        target=assumed[1],
        anti=assumed[2] == Edge.RW,
        complete=complete,
    )


def lost_updates(found: Accesses) -> list[tuple[int, tuple[int, ...]]]:
    """Versions that several transactions read and replaced, with these. O(r log r)."""
    width = len(found.transactions.keys) + 1
    written = np.sort(found.writer * width + found.write_key)
    asked = found.reader * width + found.read_key
    place = np.minimum(np.searchsorted(written, asked), max(len(written) - 1, 0))
    changes = (written[place] == asked) if len(written) else np.zeros(len(asked), dtype=bool)
    changes &= found.version_writer[found.read_version] != AMBIGUOUS
    changes &= found.committed[found.reader]
    rows = np.flatnonzero(changes)
    rows = rows[np.argsort(found.read_version[rows], kind="stable")]
    version = found.read_version[rows]
    again = np.zeros(len(rows), dtype=bool)
    again[1:] = version[1:] == version[:-1]
    twice = np.unique(version[again])
    low = np.searchsorted(version, twice, side="left").tolist()
    high = np.searchsorted(version, twice, side="right").tolist()
    return [
        (int(one), tuple(found.reader[rows[start:end]].tolist()))
        for one, start, end in zip(twice.tolist(), low, high, strict=True)
    ]


def _column(source: Ints, target: Ints, kind: Edge, detail: Ints) -> Ints:
    return np.stack((source, target, np.full(len(source), kind, dtype=np.int64), detail))


def _orders(found: Accesses, realtime: bool) -> tuple[Ints, int]:
    """The edges of processes and, through auxiliary vertices, of real time."""
    transactions = found.transactions
    n = len(transactions)
    happened = np.flatnonzero(found.committed)
    by_process = happened[np.argsort(transactions.process[happened], kind="stable")]
    process = transactions.process[by_process]
    same = process[1:] == process[:-1]
    nothing = np.zeros(int(same.sum()), dtype=np.int64)
    columns = [_column(by_process[:-1][same], by_process[1:][same], Edge.PROCESS, nothing)]
    if not realtime:
        return columns[0], n
    certain = happened[transactions.outcome[happened] == Type.OK]
    certain = certain[transactions.ret[certain] < NEVER]
    returned = certain[np.argsort(transactions.ret[certain], kind="stable")]
    chain = n + np.arange(len(returned))
    earlier = np.searchsorted(transactions.ret[returned], transactions.call[happened], side="left")
    later = np.flatnonzero(earlier)
    for source, target in (
        (returned, chain),
        (chain[:-1], chain[1:]),
        (chain[earlier[later] - 1], happened[later]),
    ):
        nothing = np.zeros(len(source), dtype=np.int64)
        columns.append(_column(source, target, Edge.REALTIME, nothing))
    return np.concatenate(columns, axis=1), n + len(chain)
