"""In which order the versions of registers replaced each other, as far as it is known.

Unlike lists, registers do not show their past. What is known of the order of versions:

- The initial version comes first.
- A transaction that read a version and then wrote the key wrote the next one. This needs no
  assumption from read committed on: in the other order the transaction would precede who wrote what
  it read (a G1c).
- ``wfr-keys``: the same as an order of writes, also where nothing else holds (Elle's assumption).
- ``sequential-keys``: every process sees the versions of one key in their order.
- ``linearizable-keys``: every key by itself is linearizable. Of a version let ``f`` be the first
  return and ``s`` the last call of all transactions that read or wrote it; ``u`` precedes ``v`` if
  ``f(u) < s(v)`` (the zones of P. Gibbons & E. Korach, "Testing shared memories", SIAM J. Computing
  1997). Only the direct ones are listed: those that ended after every other predecessor of ``v``
  began for the last time, so at most as many as there were transactions at one time.
- a version order that was supplied.

Where assumptions contradict what was seen the order is *cyclic*, and nothing is derived from those
of that key.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum
from itertools import pairwise
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from checkers.transactions.columns import Unsupported
from checkers.transactions.components import Graph
from checkers.transactions.rw_register_accesses import AMBIGUOUS, Accesses
from harness.core.operation import Type

__all__ = ["Assumptions", "VersionOrder", "Why", "read_version_order", "version_order"]

Ints = NDArray[np.int64]
Mask = NDArray[np.bool_]


class Why(IntEnum):
    """Why one version comes before another."""

    INITIAL = 0
    READ = 1
    """Who wrote the later one had read the earlier one."""
    WRITES_FOLLOW_READS = 2
    SEQUENTIAL = 3
    LINEARIZABLE = 4
    SUPPLIED = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Assumptions:
    """What may be taken for granted of each key. ``supplied`` are versions of keys in order."""

    writes_follow_reads: bool = False
    sequential: bool = False
    linearizable: bool = False
    supplied: Mapping[str, Sequence[Any]] | None = None

    @property
    def names(self) -> tuple[str, ...]:
        """Of those that were made, as the options are called."""
        table = (
            ("wfr-keys", self.writes_follow_reads),
            ("sequential-keys", self.sequential),
            ("linearizable-keys", self.linearizable),
            ("version-order", self.supplied is not None),
        )
        return tuple(name for name, made in table if made)


@dataclass(frozen=True, kw_only=True, eq=False)
class VersionOrder:
    """``before[i]`` comes before ``after[i]`` (versions of one key, ``int64[e]``) because of
    ``why[i]``; ``cycles`` are versions that precede each other, each of one key."""

    before: Ints
    after: Ints
    why: NDArray[np.int8]
    cycles: tuple[tuple[int, ...], ...] = ()

    @property
    def assumed(self) -> Mask:
        """The pairs that rest on an assumption."""
        assumed: Mask = self.why > Why.READ
        return assumed


def read_version_order(text: str) -> Mapping[str, Sequence[Any]] | None:
    """What ``{"key": [first, second, ...]}`` says; None for an empty text. Raises
    :class:`Unsupported`."""
    if not text:
        return None
    try:
        return msgspec.json.decode(text.encode(), type=dict[str, list[Any]])
    except msgspec.DecodeError as error:
        raise Unsupported(
            f'the option version-order must be an object like {{"x": [1, 2]}}: {error}'
        ) from error


def version_order(found: Accesses, assumptions: Assumptions) -> VersionOrder:
    """All direct orders of versions. O(m log m)."""
    pairs: list[tuple[Ints, Ints, Why]] = [(*_read_then_written(found), Why.READ)]
    if assumptions.writes_follow_reads:
        pairs.append((*_read_then_written(found), Why.WRITES_FOLLOW_READS))
    if assumptions.sequential:
        pairs.append((*_sequential(found), Why.SEQUENTIAL))
    if assumptions.linearizable:
        pairs.append((*_linearizable(found), Why.LINEARIZABLE))
    if assumptions.supplied is not None:
        pairs.append((*_supplied(found, assumptions.supplied), Why.SUPPLIED))
    certain = found.version_writer != AMBIGUOUS
    before = np.concatenate([one for one, _, _ in pairs])
    after = np.concatenate([other for _, other, _ in pairs])
    why = np.concatenate([np.full(len(one), why, dtype=np.int8) for one, _, why in pairs])
    useful = (before != after) & certain[before] & certain[after]
    before, after, why = before[useful], after[useful], why[useful]
    cycles: tuple[tuple[int, ...], ...] = ()
    if assumptions.names:
        component = _components(found, before, after, certain)
        cycles = _cycles(component)
        broken = np.zeros(len(found.transactions.keys) + 1, dtype=bool)
        broken[found.version_key[[one for cycle in cycles for one in cycle]]] = True
        kept = (why <= Why.READ) | ~broken[found.version_key[before]]
        before, after, why = before[kept], after[kept], why[kept]
    first, second = _first(found, after, certain)
    return VersionOrder(
        before=np.concatenate((first, before)),
        after=np.concatenate((second, after)),
        why=np.concatenate((np.full(len(first), Why.INITIAL, dtype=np.int8), why)),
        cycles=cycles,
    )


def _read_then_written(found: Accesses) -> tuple[Ints, Ints]:
    width = len(found.transactions.keys) + 1
    written = found.writer * width + found.write_key
    order = np.argsort(written, kind="stable")
    written = written[order]
    asked = found.reader * width + found.read_key
    place = np.minimum(np.searchsorted(written, asked), max(len(written) - 1, 0))
    if not len(written):
        return place[:0], place[:0]
    both = written[place] == asked
    return found.read_version[both], found.write_version[order[place[both]]]


def _first(found: Accesses, after: Ints, certain: Mask) -> tuple[Ints, Ints]:
    """The initial version of each key that somebody read, before those that nothing else is known
    to precede."""
    read = np.zeros(len(found.version_key) + 1, dtype=bool)
    read[found.read_version] = True
    initial = found.initial_version
    useful = initial >= 0
    useful[useful] = read[initial[useful]] & certain[initial[useful]]
    preceded = np.zeros(len(found.version_key), dtype=bool)
    preceded[after] = True
    second = np.flatnonzero(useful[found.version_key] & ~preceded & certain)
    first = initial[found.version_key[second]]
    differ = first != second
    return first[differ], second[differ]


def _touched(found: Accesses) -> tuple[Ints, Ints, Ints]:
    """Transaction, version as it came, version as it left: of each transaction and key."""
    width = len(found.transactions.keys) + 1
    certain = found.committed[found.writer]
    seen = found.committed[found.reader]
    key = np.concatenate((found.read_key[seen], found.write_key[certain]))
    transaction = np.concatenate((found.reader[seen], found.writer[certain]))
    version = np.concatenate((found.read_version[seen], found.write_version[certain]))
    order = np.argsort(transaction * width + key, kind="stable")  # reads come first
    group = (transaction * width + key)[order]
    first = np.ones(len(order), dtype=bool)
    first[1:] = group[1:] != group[:-1]
    last = np.append(first[1:], True)[: len(order)]
    return transaction[order][first], version[order][first], version[order][last]


def _sequential(found: Accesses) -> tuple[Ints, Ints]:
    transaction, came, left = _touched(found)
    key = found.version_key[came]
    process = found.transactions.process[transaction]
    order = np.lexsort((transaction, key, process))
    process, key, came, left = process[order], key[order], came[order], left[order]
    same = (process[1:] == process[:-1]) & (key[1:] == key[:-1])
    return left[:-1][same], came[1:][same]


def _linearizable(found: Accesses) -> tuple[Ints, Ints]:
    transactions = found.transactions
    transaction, came, left = _touched(found)
    ok = transactions.outcome[transaction] == Type.OK
    version = np.concatenate((came, left))
    call = np.tile(transactions.call[transaction], 2)
    ret = np.tile(np.where(ok, transactions.ret[transaction], np.iinfo(np.int64).max), 2)
    order = np.argsort(version, kind="stable")
    versions = version[order]
    if not len(versions):
        return versions, versions
    bounds = np.flatnonzero(np.append(True, versions[1:] != versions[:-1]))
    versions = versions[bounds]
    first_return = np.minimum.reduceat(ret[order], bounds)
    last_call = np.maximum.reduceat(call[order], bounds)
    # Times as ranks, key by key: then one column orders everything.
    moments = np.sort(np.concatenate((first_return, last_call)))
    span = len(moments) + 1
    base = found.version_key[versions] * span
    ended = base + np.searchsorted(moments, first_return, side="left")
    began = base + np.searchsorted(moments, last_call, side="left")
    by_end = np.argsort(ended, kind="stable")
    ends = ended[by_end]
    place = np.empty(len(versions), dtype=np.int64)
    place[by_end] = np.arange(len(versions))
    # Of those that ended first, the one that began last (the keys lie one after another).
    nth = np.empty(len(versions), dtype=np.int64)
    by_begin = np.argsort(began, kind="stable")
    nth[by_begin] = np.arange(len(versions))
    latest = by_begin[np.maximum.accumulate(nth[by_end])]
    everything = np.arange(len(versions))
    high = np.searchsorted(ends, began, side="left")
    some = high > np.searchsorted(ends, base, side="left")
    last = np.where(some, latest[np.maximum(high - 1, 0)], everything)
    # Of two that precede each other one is found here: the one that began last precedes the other.
    mutual = np.flatnonzero((last != everything) & (ended < began[last]))
    # What ended before the last call of another predecessor is implied by that one. In a key
    # without a cycle all those that end after this version does began before it ended.
    until = np.minimum(high, place)
    some = until > np.searchsorted(ends, base, side="left")
    last = np.where(some, latest[np.maximum(until - 1, 0)], everything)
    bound = np.where(some, began[last], base)
    low = np.searchsorted(ends, bound, side="left")
    many = np.maximum(high - low, 0)
    later = np.repeat(everything, many)
    offset = np.arange(len(later)) - np.repeat(np.cumsum(many) - many, many)
    between = by_end[low[later] + offset]
    ahead = latest[np.maximum(high[mutual] - 1, 0)]
    before = np.concatenate((between, last, ahead, mutual))
    after = np.concatenate((later, everything, mutual, ahead))
    return versions[before], versions[after]


def _supplied(found: Accesses, supplied: Mapping[str, Sequence[Any]]) -> tuple[Ints, Ints]:
    def name(value: Any) -> bytes:
        return msgspec.json.encode(value, order="deterministic")

    transactions = found.transactions
    version = {
        (str(transactions.keys[key]), name(transactions.values[value])): number
        for number, (key, value, writer) in enumerate(
            zip(
                found.version_key.tolist(),
                found.version_value.tolist(),
                found.version_writer.tolist(),
                strict=True,
            )
        )
        if writer < 0 or found.committed[writer]
    }
    pairs: list[tuple[int, int]] = []
    for key, values in supplied.items():
        known = [version[one] for value in values if (one := (key, name(value))) in version]
        pairs += pairwise(known)
    columns = np.array(pairs, dtype=np.int64).reshape(-1, 2)
    return columns[:, 0], columns[:, 1]


def _components(found: Accesses, before: Ints, after: Ints, certain: Mask) -> NDArray[np.int32]:
    """The strongly connected components of versions, the initial ones before all others."""
    others = np.flatnonzero(certain & (found.initial_version[found.version_key] >= 0))
    initial = found.initial_version[found.version_key[others]]
    useful = (initial != others) & certain[initial]
    source = np.concatenate((before, initial[useful]))
    graph = Graph(
        vertices=len(found.version_key),
        transactions=len(found.version_key),
        source=source.astype(np.int32),
        target=np.concatenate((after, others[useful])).astype(np.int32),
        kind=np.ones(len(source), dtype=np.uint8),
    )
    return graph.components(1).component


def _cycles(component: NDArray[np.int32]) -> tuple[tuple[int, ...], ...]:
    order = np.argsort(component, kind="stable")
    bounds = np.flatnonzero(np.append(True, np.diff(component[order]) > 0))
    groups = np.split(order, bounds[1:])
    return tuple(tuple(group.tolist()) for group in groups if len(group) > 1)
