"""What is wrong with a list-append history without a cycle: one look at each kind, over columns.

- **G1a**: a read shows an element of a transaction that failed. **G1b**: a read ends with an append
  that another one of the same transaction follows (Adya 1999, 4.2.2).
- **internal**: a read contradicts what its own transaction read or appended before;
  **future-read**: it shows what its own transaction appends later.
- **dirty-update**: an append that lasted stands after one of a transaction that failed.
- **lost-update**: two transactions read the same version of a key and both appended to it.
- **incompatible-order**: a read is no prefix of the longest read of its key.
- **cyclic-versions**: a transaction appended two elements to a key, and the later was read without
  the earlier before it.
- **duplicate-elements**: a read shows an element more often than it was appended;
  **garbage-read**: one that nobody appended.

A case is a tuple of rows of micro-operations; what they are is said at each function.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from checkers.transactions.chains import Chains
from checkers.transactions.columns import Kind
from checkers.transactions.versions import AMBIGUOUS, NOBODY, Versions, expanded
from harness.core.operation import Type

__all__ = ["CASES_MAX", "FINDINGS", "Finding", "Stray", "find", "strays"]

Ints = NDArray[np.int64]
Codes = NDArray[np.int32]
Mask = NDArray[np.bool_]
Columns = tuple[NDArray[np.integer], ...]

CASES_MAX = 16
"""Cases of each name that are told; all are counted."""

_CHUNK = 1 << 21
"""Elements of reads that are no prefixes that are looked at together: what bounds the memory."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """``count`` cases of the anomaly ``name``, and the first of them."""

    name: str
    count: int
    cases: tuple[tuple[int, ...], ...]


@dataclass(frozen=True, kw_only=True, eq=False)
class Stray:
    """What the reads that are no prefixes of the order show, as (row of the read, row that appended
    the element) for ``aborted`` and ``future``, and (row, value) for ``garbage`` and ``repeated``:
    the first such element of each read. ``seen``: the appends that any of them shows, ``bool[m]``.
    """

    aborted: Columns
    future: Columns
    garbage: Columns
    repeated: Columns
    seen: Mask


def strays(versions: Versions) -> Stray:
    """A look at each element of the reads that are no prefixes. O(elements log elements)."""
    transactions = versions.transactions
    part, outcome = transactions.transaction, transactions.outcome
    seen = np.zeros(len(transactions.kind), dtype=bool)
    found: dict[str, list[Columns]] = {
        name: [] for name in ("aborted", "future", "garbage", "repeated")
    }
    for rows in _chunks(versions):
        read, value = expanded(transactions, rows)
        writer = versions.appends.of(transactions.key[read], value)
        known = writer >= 0
        at = np.maximum(writer, 0)
        if len(part):
            seen[at[known]] = True
        for name, mask, what in (
            ("aborted", known & (outcome[part[at]] == Type.FAIL), writer),
            ("future", known & (part[at] == part[read]) & (writer > read), writer),
            ("garbage", writer == NOBODY, value),
            ("repeated", (writer != AMBIGUOUS) & _again(read, value), value),
        ):
            where = np.flatnonzero(mask)
            where = where[np.diff(read[where], prepend=-1) != 0]
            found[name].append((read[where], what[where]))
    nothing = (np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.int32))
    columns = {
        name: tuple(np.concatenate(column) for column in zip(nothing, *pairs, strict=True))
        for name, pairs in found.items()
    }
    return Stray(**columns, seen=seen)


def find(chains: Chains, stray: Stray) -> Iterator[Finding]:
    """What was found of each name, in the order of the table; names without a case are left out."""
    for name, look in _LOOKS.items():
        columns = look(chains, stray)
        count = len(columns[0])
        if count:
            order = np.argsort(columns[0], kind="stable")[:CASES_MAX]
            cases = zip(*(column[order].tolist() for column in columns), strict=True)
            yield Finding(name=name, count=count, cases=tuple(cases))


def _chunks(versions: Versions) -> Iterator[Ints]:
    rows = versions.others
    ends = np.cumsum(versions.transactions.length[rows], dtype=np.int64)
    begin = 0
    while begin < len(rows):
        before = int(ends[begin - 1]) if begin else 0
        end = max(begin + 1, int(np.searchsorted(ends, before + _CHUNK, side="right")))
        yield rows[begin:end]
        begin = end


def _again(read: Ints, value: Codes) -> Mask:
    """Whether an element stood earlier in the same read."""
    order = np.lexsort((value, read))
    again = np.zeros(len(read), dtype=bool)
    again[1:] = (np.diff(read[order]) == 0) & (np.diff(value[order]) == 0)
    result = np.empty(len(read), dtype=bool)
    result[order] = again
    return result


def _showing(versions: Versions, chosen: Mask) -> tuple[Ints, Ints]:
    """The reads that are prefixes and show one of the ``chosen`` places, and the first such."""
    if not chosen.any():
        return np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.int64)
    transactions, rows = versions.transactions, versions.prefixes
    needed = versions.first_place(chosen)[transactions.key[rows]]
    shows = transactions.length[rows] >= needed
    return rows[shows], versions.first[transactions.key[rows[shows]]] + needed[shows] - 1


def _g1a(chains: Chains, stray: Stray) -> Columns:
    """The read, and the first append of a failed transaction that it shows."""
    versions = chains.versions
    rows, places = _showing(versions, versions.failed)
    return _together((rows, versions.writer[places]), stray.aborted)


def _g1b(chains: Chains, stray: Stray) -> Columns:
    """The read, and the append that it ends with although another one followed."""
    versions = chains.versions
    transactions = versions.transactions
    intermediate = chains.intermediate()
    if not intermediate.any():
        return (versions.reads[:0],) * 2
    part, key, length = transactions.transaction, transactions.key, transactions.length
    at_end = (versions.writer >= 0) & ~versions.failed & intermediate[versions.writer]
    rows = versions.prefixes
    rows = rows[length[rows] > 0]
    place = versions.first[key[rows]] + length[rows] - 1
    rows, place = rows[at_end[place]], place[at_end[place]]
    others = versions.others
    ends = transactions.elements[transactions.start[others] + length[others] - 1]
    rows = np.concatenate([rows, others])
    writer = np.concatenate([versions.writer[place], versions.appends.of(key[others], ends)])
    at = np.maximum(writer, 0)
    bad = (writer >= 0) & intermediate[at] & (part[at] != part[rows])
    bad &= transactions.outcome[part[at]] != Type.FAIL
    return rows[bad], writer[bad]


def _internal(chains: Chains, stray: Stray) -> Columns:
    """The read, and the earlier micro-operation that it contradicts."""
    return chains.contradictions()


def _future_read(chains: Chains, stray: Stray) -> Columns:
    """The append that an earlier read of its transaction shows."""
    versions = chains.versions
    rows = versions.appends.rows
    place = versions.place[rows]
    shown = place - versions.first[versions.transactions.key[rows]] + 1
    return (np.concatenate([rows[(place >= 0) & (chains.before[rows] >= shown)], stray.future[1]]),)


def _dirty_update(chains: Chains, stray: Stray) -> Columns:
    """The append that failed, and the next one of a transaction that succeeded."""
    versions = chains.versions
    transactions = versions.transactions
    failed = np.flatnonzero(versions.failed & ~versions.repeated)
    if not len(failed):
        return failed, failed
    outcome = transactions.outcome[transactions.transaction[np.maximum(versions.writer, 0)]]
    lasted = np.flatnonzero(versions.lasting & (outcome == Type.OK))
    after = np.searchsorted(lasted, failed)
    failed, after = failed[after < len(lasted)], after[after < len(lasted)]
    same = versions.key[failed] == versions.key[lasted[after]]
    return versions.writer[failed[same]], versions.writer[lasted[after[same]]]


def _cyclic_versions(chains: Chains, stray: Stray) -> Columns:
    """Two appends of one transaction, one after the other: the later is in the order of the key,
    and the earlier is not before it."""
    versions = chains.versions
    transactions, place = versions.transactions, versions.place
    # Most appends are the first of their chain: what remains is looked at more closely.
    later = versions.appends.rows
    earlier = chains.previous[later]
    inner = earlier >= 0
    later, earlier = later[inner], earlier[inner]
    while len(reads := np.flatnonzero(transactions.kind[earlier] == Kind.READ)):
        earlier[reads] = chains.previous[earlier[reads]]
        inner = earlier >= 0
        later, earlier = later[inner], earlier[inner]
    seen = place[later]
    wrong = np.flatnonzero((seen >= 0) & ((place[earlier] < 0) | (place[earlier] > seen)))
    later, earlier = later[wrong], earlier[wrong]
    wrong = transactions.outcome[transactions.transaction[later]] != Type.FAIL
    wrong &= ~np.isin(earlier, versions.appends.ambiguous)
    return later[wrong], earlier[wrong]


def _lost_update(chains: Chains, stray: Stray) -> Columns:
    """The reads of two transactions: the first two that read a version and appended to its key."""
    versions = chains.versions
    transactions = versions.transactions
    appends = versions.appends.rows
    updated = np.zeros(len(transactions.kind), dtype=bool)
    updated[chains.head[appends]] = True
    updated[versions.others] = False
    rows = np.flatnonzero(updated & (transactions.kind == Kind.READ))
    key = transactions.key[rows]
    # One number for each version: a key of n places has n + 1 of them.
    version = versions.first[key] + key + transactions.length[rows]
    tally = np.bincount(version, minlength=1)
    rows, version = rows[tally[version] > 1], version[tally[version] > 1]
    order = np.argsort(version, kind="stable")
    rows, version = rows[order], version[order]
    begin = np.flatnonzero(np.diff(version, prepend=-1) != 0)
    return rows[begin], rows[begin + 1] if len(begin) else rows


def _incompatible_order(chains: Chains, stray: Stray) -> Columns:
    """The read that is no prefix, and the longest read of its key."""
    versions = chains.versions
    rows = versions.others
    return rows, versions.longest[versions.transactions.key[rows]]


def _duplicate_elements(chains: Chains, stray: Stray) -> Columns:
    """The read, and the value that it shows again."""
    rows, places = _showing(chains.versions, chains.versions.repeated)
    return _together((rows, chains.versions.value[places]), stray.repeated)


def _garbage_read(chains: Chains, stray: Stray) -> Columns:
    """The read, and the first value in it that nobody appended."""
    rows, places = _showing(chains.versions, chains.versions.writer == NOBODY)
    return _together((rows, chains.versions.value[places]), stray.garbage)


def _together(some: Columns, others: Columns) -> Columns:
    return tuple(np.concatenate(pair) for pair in zip(some, others, strict=True))


_LOOKS: Mapping[str, Callable[[Chains, Stray], Columns]] = {
    "duplicate-elements": _duplicate_elements,
    "garbage-read": _garbage_read,
    "incompatible-order": _incompatible_order,
    "cyclic-versions": _cyclic_versions,
    "G1a": _g1a,
    "G1b": _g1b,
    "dirty-update": _dirty_update,
    "future-read": _future_read,
    "internal": _internal,
    "lost-update": _lost_update,
}

FINDINGS: tuple[str, ...] = tuple(_LOOKS)
"""The names of everything that is looked for here."""
