"""Which sums some of the first numbers of a sequence have.

A read of a replicated counter shows the sum of *some* of the additions that had been made by then:
those that had reached its replica. So the question is asked of many prefixes of one sequence.

Only absolute values matter: with ``N`` the sum of the negative numbers, the sums of subsets are
``N`` plus the sums of subsets of the absolute values (take the complement of the negative ones).
These are divided by their greatest common divisor. Then

- as long as each number is at most one more than the sum of all before it, *every* sum from 0 to
  the total is reached (by induction), which takes O(n) on arrays;
- where one is not, reachable sums are the bits of one integer, ``bits | bits << number`` (Bellman,
  "Dynamic Programming", 1957). Soon all sums but the least and the greatest are there; these
  mirror each other, so that a few bits are enough from then on;
- where that integer would be too long, few numbers are split in two halves, and the sums of one are
  looked up among those of the other (Horowitz & Sahni, "Computing Partitions", JACM 1974);
- and else a sum between the bounds remains undecided.

>>> reachable([5, 5], [2, 2, 1], [10, 3, 10]).tolist()
[1, 0, 0]
"""

from __future__ import annotations

from collections.abc import Sequence
from math import gcd
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["NO", "UNDECIDED", "YES", "reachable"]

Ints = NDArray[np.int64]

NO, YES, UNDECIDED = 0, 1, -1
_BITS_MAX = 1 << 25
_WORK_MAX = 1 << 28  # words of 64 bits that are shifted, in all
_HALVED_MAX = 36
_HALVED_QUERIES_MAX = 200
_TOTAL_MAX = 1 << 61


def reachable(numbers: Sequence[int], prefixes: Any, targets: Any) -> NDArray[np.int8]:
    """Whether some of the first ``prefixes[i]`` of ``numbers`` sum to ``targets[i]``: :data:`YES`,
    :data:`NO` or :data:`UNDECIDED`, ``int8[len(targets)]``. Raises :class:`OverflowError` when the
    absolute values sum to 2^61 or more."""
    prefixes, targets = np.asarray(prefixes, np.int64), np.asarray(targets, np.int64)
    if sum(map(abs, numbers)) >= _TOTAL_MAX:
        raise OverflowError("additions of 2^61 or more in all")
    values = np.array(numbers, dtype=np.int64)
    negative = np.append(0, np.cumsum(np.minimum(values, 0)))
    unit = max(gcd(*map(int, np.unique(np.abs(values)))), 1)
    sizes = np.abs(values) // unit
    totals = np.append(0, np.cumsum(sizes))
    # Targets may be anything that fits; the bounds are compared before anything is subtracted.
    low, high = negative[prefixes], negative[prefixes] + totals[prefixes] * unit
    inside = (targets >= low) & (targets <= high)
    above = np.where(inside, targets - low, 0)
    inside &= above % unit == 0
    return _decide(sizes, totals, prefixes, above // unit, inside)


def _decide(
    sizes: Ints, totals: Ints, prefixes: Ints, wanted: Ints, inside: NDArray[np.bool_]
) -> NDArray[np.int8]:
    answers = np.where(inside, YES, NO).astype(np.int8)
    if not (sizes > totals[:-1] + 1).any():
        return answers
    order = np.argsort(prefixes, kind="stable")
    asked = order[inside[order]]
    first = np.searchsorted(prefixes[asked], np.arange(len(sizes) + 2)).tolist()
    sums, halved = _Sums(), 0
    for count, size in enumerate(sizes.tolist(), 1):
        sums.add(size)
        for query in asked[first[count] : first[count + 1]].tolist():
            if sums.exact:
                answers[query] = sums.has(int(wanted[query]))
            elif count <= _HALVED_MAX and halved < _HALVED_QUERIES_MAX:
                halved += 1
                answers[query] = _halves(sizes[:count], int(wanted[query]))
            else:
                answers[query] = UNDECIDED
    return answers


class _Sums:
    """The sums of what was added so far, from 0 to ``total``.

    They are symmetric: with a sum, ``total`` less it is one (of the others). So it suffices to know
    those below some ``edge``, if all between the edges are there. ``bits`` are the sums below
    ``edge`` then; or all sums, where ``edge`` is None."""

    def __init__(self) -> None:
        self.total, self.work = 0, 0
        self.exact = True
        self.bits = 0
        self.edge: int | None = 0  # only 0 is a sum: everything between the edges

    def add(self, size: int) -> None:
        """One number more."""
        if not self.exact:
            return
        if self.edge is not None and size > self.total - 2 * self.edge + 1:
            self._spread()
        self.total += size
        if self.edge is not None:
            self.work += self.edge // 64 + 1
            if size < self.edge:
                low = (1 << self.edge) - 1
                self.bits = (self.bits | self.bits << size) & low
                self.edge = (self.bits ^ low).bit_length()
                self.bits &= (1 << self.edge) - 1
            return
        self.work += self.total // 64 + 1
        if self.total >= _BITS_MAX or self.work > _WORK_MAX:
            self.exact = False
            return
        self.bits |= self.bits << size
        self._gather()

    def _spread(self) -> None:
        """All sums as bits."""
        edge, total = self.edge or 0, self.total
        if total >= _BITS_MAX:
            self.exact = False
            return
        between = ((1 << (total - 2 * edge + 1)) - 1) << edge if total >= 2 * edge else 0
        mirrored = int(format(self.bits, f"0{edge}b")[::-1], 2) if edge else 0
        self.bits, self.edge = self.bits | between | mirrored << (total - edge + 1), None

    def _gather(self) -> None:
        """Only the sums below the edge, if there is one in the lower half."""
        half = (1 << (self.total // 2 + 1)) - 1
        edge = (self.bits & half ^ half).bit_length()
        if 4 * edge <= self.total:
            self.edge, self.bits = edge, self.bits & ((1 << edge) - 1)

    def has(self, wanted: int) -> bool:
        """Whether ``wanted`` (from 0 to ``total``) is a sum."""
        if self.edge is None:
            return bool(self.bits >> wanted & 1)
        near = min(wanted, self.total - wanted)
        return near >= self.edge or bool(self.bits >> near & 1)


def _halves(sizes: Ints, wanted: int) -> int:
    """Whether some of ``sizes`` sum to ``wanted``. O(2^(n/2))."""
    left, right = (_sums(half) for half in np.array_split(sizes, 2))
    right.sort()
    place = np.minimum(np.searchsorted(right, wanted - left), len(right) - 1)
    return YES if (right[place] == wanted - left).any() else NO


def _sums(sizes: Ints) -> Ints:
    sums = np.zeros(1, dtype=np.int64)
    for size in sizes:
        sums = np.concatenate([sums, sums + size])
    return sums
