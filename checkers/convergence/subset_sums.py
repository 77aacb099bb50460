"""Which sums some of the first numbers of a sequence have.

A read of a replicated counter shows the sum of *some* of the additions that had been made by then:
those that had reached its replica. So the question is asked of many prefixes of one sequence.

Only absolute values matter: with ``N`` the sum of the negative numbers, the sums of subsets are
``N`` plus the sums of subsets of the absolute values (take the complement of the negative ones).
These are divided by their greatest common divisor. Then

- as long as each number is at most one more than the sum of all before it, *every* sum from 0 to
  the total is reached (induction; the postage stamps of Sylvester), which takes O(n) on arrays;
- where one is not, reachable sums are the bits of one integer, ``bits | bits << number``, until
  they are all set again (Bellman, "Dynamic Programming", 1957);
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
    gaps = np.flatnonzero(sizes > totals[:-1] + 1)
    order = np.argsort(prefixes, kind="stable")
    asked = order[inside[order]]
    lengths = prefixes[asked]
    at, work, halved = 0, 0, 0
    # Between gaps everything is reached; from a gap on, bits say what is, until all of them are.
    while len(gaps) and at < len(sizes):
        place = int(np.searchsorted(gaps, at))
        if place == len(gaps):
            break
        at = int(gaps[place])
        bits = (1 << (int(totals[at]) + 1)) - 1
        exact = True
        while at < len(sizes):
            length = int(totals[at + 1]) + 1
            work += length // 64 + 1
            exact = exact and length <= _BITS_MAX and work <= _WORK_MAX
            if exact:
                bits |= bits << int(sizes[at])
            at += 1
            first, last = np.searchsorted(lengths, [at, at + 1])
            for query in asked[first:last].tolist():
                if exact:
                    answers[query] = YES if bits >> int(wanted[query]) & 1 else NO
                elif at <= _HALVED_MAX and halved < _HALVED_QUERIES_MAX:
                    halved += 1
                    answers[query] = _halves(sizes[:at], int(wanted[query]))
                else:
                    answers[query] = UNDECIDED
            if exact and bits.bit_count() == length:
                break
    return answers


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
