"""Sets to which elements are only added, with reads of the whole set: exact, in O(total size of the
different reads + n log n).

An element appears once, at an instant ``t(x)``, or never. Its own operations say no more than that
``t(x)`` lies in a *window* ``[lo, hi]``: from the earliest call of an add (of the one that answered
that the element was new, if one did) and the last call of those that found it missing, to the
first return of those that added or found it.

A read saw what had appeared by its own instant. So the sets that were read form a chain by
inclusion, ``S(1) < ... < S(m)``. Let ``A(j)`` be the greatest ``lo`` in ``S(j)``, and ``B(j)`` the
least ``hi`` outside of it; both grow with ``j``. A read of ``S(j)`` came between ``A(j)`` and
``B(j)``, and reads of ``S(i)``, ``i < j``, came before it.

*Theorem.* The set is linearizable exactly if no window is empty, the reads form a chain, each read
was called by ``B(j)`` and returned from ``A(j)`` on, ``A(j) <= B(j)``, and no read of a lesser set
was called after one of a greater set had returned. *Proof.* Of sets in order, each read has a least
instant ``max(call, A(j))`` and a greatest ``min(return, B(j))``, and there are instants in order
exactly if no least one exceeds a greatest one of the same read or of a greater set, which is what
the theorem says. An element first seen in ``S(j)`` then appears between the reads before and that
one, at the first instant that its window allows. []

It loops over keys and over different reads, not over operations.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np

from checkers.linearizable.calls import Calls, Proof, Words
from checkers.linearizable.procedures.elements import Kind, Reads, Touches, contradiction
from checkers.linearizable.registers import Ints

__all__ = ["grow_only"]

Prove = Callable[[], Proof]
_NOBODY = -1
_APPEARS = (Kind.ADD, Kind.ADDED, Kind.PRESENT)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Windows:
    """When each element appeared. One row an element of a key; ``pair`` (ascending) holds both.
    ``low`` and ``high`` are ranks, and ``low_by`` and ``high_by`` are the touches that say so (-1:
    nobody)."""

    pair: Ints
    low: Ints
    high: Ints
    low_by: Ints
    high_by: Ints


@dataclass(frozen=True, slots=True, kw_only=True)
class _Case:
    """Touches and reads of whole sets, with how to speak of them."""

    found: Touches
    reads: Reads
    windows: _Windows
    words: Words
    never: int

    def name(self, code: int) -> str:
        return self.reads.name(code)


def grow_only(calls: Calls, found: Touches, reads: Reads, words: Words) -> dict[int, Prove]:
    """The broken keys, with their proofs, of those from which nothing is removed."""
    never = calls.horizon + 1
    windows = _windows(found, reads.codes, never)
    case = _Case(found=found, reads=reads, windows=windows, words=words, never=never)
    broken = _new_twice(case)
    for place in np.flatnonzero(windows.low > windows.high).tolist():
        broken.setdefault(
            int(windows.pair[place]) // reads.codes, partial(_empty_window, case, place)
        )
    key = calls.key[reads.position]
    rows = np.argsort(key, kind="stable")
    rows = rows[~np.isin(key[rows], list(broken))]
    for own in np.split(rows, np.flatnonzero(np.diff(key[rows])) + 1):
        prove = _chain(case, int(key[own[0]]), own) if len(own) else None
        if prove is not None:
            broken[int(key[own[0]])] = prove
    return broken


def _windows(found: Touches, codes: int, never: int) -> _Windows:
    pair, group = np.unique(found.key * codes + found.element, return_inverse=True)
    group = group.reshape(-1)
    new = found.kind == Kind.ADDED
    surely = np.zeros(len(pair), dtype=bool)
    surely[group[new]] = True
    source = new | (~surely[group] & np.isin(found.kind, (Kind.ADD, Kind.MAYBE_ADD)))
    low, low_by = _least(group, np.where(source, found.call, never), len(pair), never)
    high, high_by = _least(
        group, np.where(np.isin(found.kind, _APPEARS), found.ret, never), len(pair), never
    )
    missing = np.where(found.kind == Kind.ABSENT, -found.call, never)
    missing, missing_by = _least(group, missing, len(pair), never)
    later = (missing < never) & (-missing > low)
    return _Windows(
        pair=pair,
        low=np.where(later, -missing, low),
        high=high,
        low_by=np.where(later, missing_by, low_by),
        high_by=high_by,
    )


def _least(group: Ints, number: Ints, size: int, never: int) -> tuple[Ints, Ints]:
    """The least number of each of ``size`` groups, and its row (-1: there is only ``never``)."""
    order = np.lexsort((number, group))
    by = order[np.searchsorted(group[order], np.arange(size))]
    least = number[by]
    return least, np.where(least == never, _NOBODY, by)


def _new_twice(case: _Case) -> dict[int, Prove]:
    """Two adds answered that the element was new."""
    found = case.found
    rows = np.flatnonzero(found.kind == Kind.ADDED)
    pair = found.key[rows] * case.reads.codes + found.element[rows]
    order = np.argsort(pair, kind="stable")
    again = np.flatnonzero(pair[order[1:]] == pair[order[:-1]])
    broken: dict[int, Prove] = {}
    for place in again.tolist():
        one, other = int(rows[order[place]]), int(rows[order[place + 1]])
        broken.setdefault(int(found.key[one]), partial(_both_new, case, one, other))
    return broken


def _both_new(case: _Case, one: int, other: int) -> Proof:
    found, words = case.found, case.words
    first, second = int(found.position[one]), int(found.position[other])
    return Proof(
        name="element new twice",
        sentence=f"{words.process(first)} ({words.called(first)} to {words.returned(first)}) and "
        f"{words.process(second)} ({words.called(second)} to {words.returned(second)}) both added "
        f"{case.name(int(found.element[one]))}, and both were told that it was new.",
        operations=(first, second),
    )


def _empty_window(case: _Case, place: int) -> Proof:
    windows, found = case.windows, case.found
    low, high = int(windows.low_by[place]), int(windows.high_by[place])
    name = case.name(int(windows.pair[place]) % case.reads.codes)
    if low == _NOBODY or found.kind[low] in (Kind.ADD, Kind.MAYBE_ADD):
        return contradiction(found, (high,), name, high, case.words)
    return contradiction(found, (high, low), name, low, case.words)


def _chain(case: _Case, key: int, own: Ints) -> Prove | None:
    """What is wrong with the reads at the rows ``own``, all of one key; None: nothing is."""
    reads, windows, never = case.reads, case.windows, case.never
    calls = case.words.calls
    call, ret = calls.call[reads.position[own]], calls.ret[reads.position[own]]
    seen, level = np.unique(reads.seen[own], return_inverse=True)
    sizes = np.array([len(reads.sets[one]) for one in seen.tolist()], dtype=np.int64)
    order = np.argsort(sizes, kind="stable")
    rank = np.empty(len(order), dtype=np.int64)
    rank[order] = np.arange(len(order))
    level = rank[level.reshape(-1)]
    sets = [reads.sets[one] for one in seen[order].tolist()]
    members = np.concatenate(sets)
    of = np.repeat(np.arange(len(sets)), sizes[order])

    place = np.searchsorted(windows.pair, key * reads.codes + members)
    place = np.minimum(place, len(windows.pair) - 1)
    known = np.zeros(len(members), dtype=bool)
    if len(windows.pair):
        known = windows.pair[place] == key * reads.codes + members
        known &= windows.low[place] < never
    if not known.all():
        bad = int(np.flatnonzero(~known)[0])
        read = int(own[np.flatnonzero(level == of[bad])[0]])
        return partial(_thin_air, case, read, int(members[bad]))

    # The first set of each element, and whether all greater sets have it too.
    first_, last_ = np.searchsorted(windows.pair, [key * reads.codes, (key + 1) * reads.codes])
    start, size = int(first_), int(last_ - first_)
    place = place - start
    first = np.full(size, len(sets), dtype=np.int64)
    np.minimum.at(first, place, of)
    gaps = np.flatnonzero(np.bincount(place, minlength=size) != len(sets) - first)
    if len(gaps):
        element = int(gaps[0])
        has = np.zeros(len(sets), dtype=bool)
        has[of[place == element]] = True
        lesser = int(first[element])
        greater = lesser + int(np.argmin(has[lesser:]))
        rows = [int(own[np.flatnonzero(level == one)[0]]) for one in (lesser, greater)]
        return partial(_no_chain, case, rows[0], rows[1])

    low, high = windows.low[start : start + size], windows.high[start : start + size]
    after = np.full(len(sets) + 1, -1, dtype=np.int64)
    np.maximum.at(after, first, low)
    after = np.maximum.accumulate(after[:-1])
    before = np.full(len(sets) + 1, never, dtype=np.int64)
    np.minimum.at(before, first, high)
    before = np.minimum.accumulate(before[:0:-1])[::-1]

    for wrong, prove in (
        (call > before[level], _lost),
        (ret < after[level], _early),
        ((after > before)[level], _overtaken),
    ):
        if wrong.any():
            at = int(np.flatnonzero(wrong)[np.argmin(ret[wrong])])
            inside, outside = (
                np.flatnonzero(part) for part in (first <= level[at], first > level[at])
            )
            lowest = start + int(inside[np.argmax(low[inside])]) if len(inside) else _NOBODY
            highest = start + int(outside[np.argmin(high[outside])]) if len(outside) else _NOBODY
            return partial(prove, case, int(own[at]), highest, lowest)
    return _backwards(case, own, level)


def _backwards(case: _Case, own: Ints, level: Ints) -> Prove | None:
    """Whether a read of a lesser set was called after one of a greater set had returned."""
    position = case.reads.position[own]
    call, ret = case.words.calls.call[position], case.words.calls.ret[position]
    order = np.argsort(ret, kind="stable")
    greatest = np.concatenate([[-1], np.maximum.accumulate(level[order])])
    before = greatest[np.searchsorted(ret[order], call)]
    wrong = np.flatnonzero(before > level)
    if not len(wrong):
        return None
    at = int(wrong[np.argmin(ret[wrong])])
    earlier = np.flatnonzero((ret < call[at]) & (level > level[at]))
    other = int(earlier[np.argmax(ret[earlier])])
    return partial(_going_backwards, case, int(own[other]), int(own[at]))


def _thin_air(case: _Case, row: int, element: int) -> Proof:
    read, words = int(case.reads.position[row]), case.words
    return Proof(
        name="thin-air element",
        sentence=f"{words.process(read)} read {case.name(element)} in the set by "
        f"{words.returned(read)}, but nobody added it.",
        operations=(read,),
    )


def _no_chain(case: _Case, lesser: int, greater: int) -> Proof:
    """Two reads each of which has an element that the other lacks."""
    words = case.words
    one, other = (case.reads.set_of(row) for row in (lesser, greater))
    first, second = (int(case.reads.position[row]) for row in (lesser, greater))
    without, with_ = (np.setdiff1d(*pair)[0] for pair in ((one, other), (other, one)))
    return Proof(
        name="reads that disagree on the order",
        sentence=f"{words.process(first)} read {case.name(int(without))} but not "
        f"{case.name(int(with_))} ({words.called(first)} to {words.returned(first)}), and "
        f"{words.process(second)} read {case.name(int(with_))} but not {case.name(int(without))} "
        f"({words.called(second)} to {words.returned(second)}).",
        operations=tuple(sorted([first, second])),
    )


def _lost(case: _Case, row: int, outside: int, _inside: int) -> Proof:
    read, words, found = int(case.reads.position[row]), case.words, case.found
    by = int(case.windows.high_by[outside])
    other, did = int(found.position[by]), _had(found, by)
    element = case.name(int(found.element[by]))
    return Proof(
        name="lost element",
        sentence=f"{words.process(read)} read the set without {element} ({words.called(read)} to "
        f"{words.returned(read)}), but {words.process(other)} had {did} it by "
        f"{words.returned(other)}.",
        operations=(other, read),
    )


def _early(case: _Case, row: int, _outside: int, inside: int) -> Proof:
    read, words, found = int(case.reads.position[row]), case.words, case.found
    by = int(case.windows.low_by[inside])
    other = int(found.position[by])
    element = case.name(int(found.element[by]))
    since = "nobody had begun to add it by then: the first to do so was"
    if found.kind[by] == Kind.ADDED:
        since = "it was still to be added as a new one by"
    elif found.kind[by] == Kind.ABSENT:
        since = "it was found missing later by"
    return Proof(
        name="element from the future",
        sentence=f"{words.process(read)} read {element} in the set by {words.returned(read)}, but "
        f"{since} {words.process(other)} (from {words.called(other)}).",
        operations=(read, other),
    )


def _overtaken(case: _Case, row: int, outside: int, inside: int) -> Proof:
    read, words, found = int(case.reads.position[row]), case.words, case.found
    sure, late = int(case.windows.high_by[outside]), int(case.windows.low_by[inside])
    first, second = int(found.position[sure]), int(found.position[late])
    has, lacks = (case.name(int(found.element[by])) for by in (late, sure))
    return Proof(
        name="elements in the wrong order",
        sentence=f"{words.process(read)} read {has} but not {lacks} ({words.called(read)} to "
        f"{words.returned(read)}), although {words.process(first)} had {_had(found, sure)} {lacks} "
        f"by {words.returned(first)}, before {has} {_came(found, late)} {words.process(second)} "
        f"(from {words.called(second)}).",
        operations=tuple(sorted({first, second, read})),
    )


def _going_backwards(case: _Case, earlier: int, later: int) -> Proof:
    words = case.words
    missing = np.setdiff1d(case.reads.set_of(earlier), case.reads.set_of(later))
    first, second = (int(case.reads.position[row]) for row in (earlier, later))
    return Proof(
        name="read going backwards",
        sentence=f"{words.process(second)} read the set without {case.name(int(missing[0]))} "
        f"({words.called(second)} to {words.returned(second)}), but {words.process(first)} had "
        f"read it there by {words.returned(first)}.",
        operations=(first, second),
    )


def _had(found: Touches, row: int) -> str:
    return "found" if found.kind[row] == Kind.PRESENT else "added"


def _came(found: Touches, row: int) -> str:
    return "was found missing by" if found.kind[row] == Kind.ABSENT else "was added by"
