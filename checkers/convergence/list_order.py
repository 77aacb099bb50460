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

import numpy as np

from checkers.convergence.findings import Ints

__all__ = ["Conflict", "order_conflict"]


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
    edges = [np.array([after[element], element]) for element in put.tolist()]
    stuck = _stuck([*lists, *edges], count)
    if not stuck.any():
        return None
    # What lies on a cycle is stuck in both directions. The rest plays no part.
    stuck = stuck & _stuck([codes[::-1] for codes in (*lists, *edges)], count)
    names = np.flatnonzero(stuck)
    number = np.cumsum(stuck) - 1
    items = [number[codes[stuck[codes]]] for codes in (*lists, *edges)]
    core = _core(items, len(names), len(lists))
    if len(core) == 2 and max(core) < len(lists):
        low, high = sorted(core)
        first, second = (names[number] for number in _inversion(items[low], items[high]))
        return Conflict(lists=(low, high), inserts=(), pair=(int(first), int(second)))
    left = np.flatnonzero(_stuck([items[item] for item in core], len(names)))
    return Conflict(
        lists=tuple(sorted(item for item in core if item < len(lists))),
        inserts=tuple(int(put[item - len(lists)]) for item in sorted(core) if item >= len(lists)),
        pair=(int(names[left[0]]), int(names[left[-1]])),
    )


def _core(items: Sequence[Ints], count: int, lists: int) -> list[int]:
    """Items (the first ``lists`` of them are lists) that have no common order, and of which none
    can be left out; two lists if two alone contradict each other.

    The last item of the shortest beginning without a common order belongs to every conflict in it,
    so it is kept, and the search goes on in what stands before it (Junker, "QuickXplain", AAAI
    2004, is a refinement). O(c log n) tests for ``c`` items."""
    kept: list[int] = []
    pool = len(items)
    while not _stuck([items[item] for item in kept], count).any():
        low, high = 1, pool
        while low < high:
            middle = (low + high) // 2
            chosen = [*(items[item] for item in kept), *items[:middle]]
            if _stuck(chosen, count).any():
                high = middle
            else:
                low = middle + 1
        kept.append(low - 1)
        pool = low - 1
        if len(kept) == 1:
            for other in range(min(pool, lists) if kept[0] < lists else 0):
                if len(_inversion(items[other], items[kept[0]])):
                    return [other, kept[0]]
    return kept


def _inversion(one: Ints, other: Ints) -> Ints:
    """Two elements that the lists order differently, in the order of the first; or none."""
    size = int(max(one.max(initial=0), other.max(initial=0))) + 1
    position = np.full(size, -1, dtype=np.int64)
    position[other] = np.arange(len(other))
    common = one[position[one] >= 0]
    falls = np.flatnonzero(np.diff(position[common]) < 0)
    return common[falls[0] : falls[0] + 2] if len(falls) else common[:0]


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
