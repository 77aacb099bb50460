"""Whether lists of unique elements agree on one order of all of them.

Each list gives an edge from every element to the next. A common order exists exactly if these edges
have no cycle: the transitive closure of the edges of a list is its own order. Lists share most of
their edges, so these are sorted and counted once; then elements without an edge into them are taken
away one after another (Kahn, "Topological sorting of large networks", CACM 1962). What cannot be
taken away lies on a cycle, or behind one.

>>> order_conflict([np.array([0, 1]), np.array([1, 0])], np.array([-1, -1])).lists
(0, 1)
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from checkers.convergence.findings import Ints

__all__ = ["Conflict", "order_conflict"]

_PAIRS_MAX = 2_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Conflict:
    """Lists (their places) and insertions (elements that were put after another one) that have no
    common order, and of which none can be left out. ``pair``: two elements that the first two lists
    order differently, if there are just two lists; else the first lies on the cycle."""

    lists: tuple[int, ...]
    inserts: tuple[int, ...]
    pair: tuple[int, int]


def order_conflict(lists: Sequence[Ints], after: Ints) -> Conflict | None:
    """A smallest conflict among ``lists`` (codes of elements) and the insertions of elements after
    others (``after[element]``, -1: not said); None if there is a common order. O(size of all lists
    + n log n) if there is, for ``n`` different edges."""
    count = len(after)
    put = np.flatnonzero(after >= 0)
    stuck = _stuck([*lists, *_edges_of(put, after)], count)
    if not stuck.any():
        return None
    # Only what is stuck matters; equal lists say the same.
    short: dict[bytes, int] = {}
    for place, codes in enumerate(lists):
        short.setdefault(codes[stuck[codes]].tobytes(), place)
    places = list(short.values())
    parts = {place: lists[place][stuck[lists[place]]] for place in places}
    inverted = _inverted(parts)
    if inverted is not None:
        return inverted
    put = put[stuck[put] & stuck[after[put]]]
    return _minimal(parts, put, after)


def _edges_of(put: Ints, after: Ints) -> list[Ints]:
    return [np.array([after[element], element], dtype=np.int64) for element in put.tolist()]


def _stuck(lists: Sequence[Ints], count: int) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    """The elements that are on a cycle or behind one, ``bool[count]``."""
    pairs = [codes[:-1] * count + codes[1:] for codes in lists if len(codes) > 1]
    edges = _distinct(pairs)
    source, target = edges // max(count, 1), edges % max(count, 1)
    before = np.bincount(target, minlength=count)
    starts = np.searchsorted(source, np.arange(count + 1)).tolist()
    targets = target.tolist()
    left = before.tolist()
    free = np.flatnonzero(before == 0).tolist()
    stuck = np.ones(count, dtype=bool)
    while free:
        element = free.pop()
        stuck[element] = False
        for other in targets[starts[element] : starts[element + 1]]:
            left[other] -= 1
            if not left[other]:
                free.append(other)
    return stuck


def _distinct(pairs: list[Ints]) -> Ints:
    """The different edges, ascending. The longest list first: the others bring few new ones."""
    merged = np.empty(0, dtype=np.int64)
    pending: list[Ints] = []
    size = 0
    for edges in sorted(pairs, key=len, reverse=True):
        place = np.minimum(np.searchsorted(merged, edges), max(len(merged) - 1, 0))
        new = edges[merged[place] != edges] if len(merged) else edges
        pending.append(new)
        size += len(new)
        if size > len(merged):
            merged = np.unique(np.concatenate([merged, *pending]))
            pending, size = [], 0
    return np.unique(np.concatenate([merged, *pending]))


def _inverted(parts: dict[int, Ints]) -> Conflict | None:
    """Two lists that order two elements differently; the first pairs of lists are tried."""
    for tried, (one, other) in enumerate(combinations(parts, 2)):
        if tried == _PAIRS_MAX:
            return None
        first, second = parts[one], parts[other]
        size = int(max(first.max(initial=0), second.max(initial=0))) + 1
        position = np.full(size, -1, dtype=np.int64)
        position[second] = np.arange(len(second))
        common = first[position[first] >= 0]
        falls = np.flatnonzero(np.diff(position[common]) < 0)
        if len(falls):
            at = int(falls[0])
            pair = (int(common[at]), int(common[at + 1]))
            return Conflict(lists=(one, other), inserts=(), pair=pair)
    return None


def _minimal(parts: dict[int, Ints], put: Ints, after: Ints) -> Conflict:
    """Leaves out one after another, as long as there is no common order."""
    count = len(after)
    lists, inserts = dict(parts), put.tolist()

    def conflicting(lists: dict[int, Ints], inserts: list[int]) -> bool:
        edges = _edges_of(np.array(inserts, dtype=np.int64), after)
        return bool(_stuck([*lists.values(), *edges], count).any())

    for size in (len(inserts) // 2, len(inserts) // 4, 1):
        for start in range(0, len(inserts), max(size, 1)):
            chunk = set(inserts[start : start + max(size, 1)])
            fewer = [one for one in inserts if one not in chunk]
            if chunk and conflicting(lists, fewer):
                inserts = fewer
    for place in parts:
        fewer_lists = {one: codes for one, codes in lists.items() if one != place}
        if conflicting(fewer_lists, inserts):
            lists = fewer_lists
    edges = _edges_of(np.array(inserts, dtype=np.int64), after)
    stuck = np.flatnonzero(_stuck([*lists.values(), *edges], count))
    return Conflict(
        lists=tuple(lists), inserts=tuple(inserts), pair=(int(stuck[0]), int(stuck[-1]))
    )
