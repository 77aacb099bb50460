"""From when to when values certainly are inside a queue, a stack or a priority queue.

A value is *certainly inside* from the return of the operation that put it in to the call of the one
that took it out; at the two ends themselves it may be outside, so this is an open interval. (A put
ended when the take of its value had, and a take began when the put of its value had.)
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, fields, replace

import numpy as np
from numpy.typing import NDArray

from checkers.linearizable.registers import Ints

__all__ = ["ABOVE_ALL", "Bools", "Lives", "cover", "covered"]

Bools = NDArray[np.bool_]
ABOVE_ALL = np.int64(1 << 62)


@dataclass(frozen=True, slots=True, kw_only=True)
class Lives:
    """One row a value; ``int64[n_values]`` each.

    ``value`` is its code; ``put`` and ``take`` are positions of its operations (``take`` is -1 for
    a value that nobody removed). The others are instants on one time line, on which the keys follow
    one another: the value certainly was inside strictly between ``put_return`` and ``take_call``.
    """

    key: Ints
    value: Ints
    put: Ints
    take: Ints
    put_call: Ints
    put_return: Ints
    take_call: Ints
    take_return: Ints

    def __len__(self) -> int:
        return len(self.key)

    @property
    def taken(self) -> Bools:
        """The values that an operation certainly removed."""
        taken: Bools = self.take >= 0
        return taken

    def select(self, rows: Bools | Ints) -> Lives:
        """The values at ``rows`` (a mask or places), in the same order."""
        return replace(
            self, **{column.name: getattr(self, column.name)[rows] for column in fields(self)}
        )

    def operations(self, rows: Iterable[int]) -> tuple[int, ...]:
        """The positions of what was done with the values at ``rows``."""
        pairs = ((int(self.put[row]), int(self.take[row])) for row in rows)
        return tuple(position for pair in pairs for position in pair if position >= 0)


def cover(lives: Lives, rows: Ints, first: int, last: int) -> list[int]:
    """The fewest of ``rows`` that leave no instant from ``first`` to ``last`` uncovered, which
    must exist. O(n) for each of them."""
    start, end = lives.put_return[rows], lives.take_call[rows]
    chain: list[int] = []
    while first <= last:
        best = int(np.argmax(np.where(start < first, end, -1)))
        assert start[best] < first < end[best]
        chain.append(int(rows[best]))
        first = int(end[best])
    return chain


def covered(lives: Lives, rank: Ints, first: Ints, last: Ints, limit: Ints) -> Ints:
    """The queries whose every instant from ``first`` to ``last`` some value of a rank below
    ``limit`` covers. ``rank[n_values]``; the others, and the result, are of queries. O(n log n).

    Instants at which nothing begins or ends are as those before them, hence left out.
    """
    instants = np.unique(np.concatenate([lives.put_return, lives.take_call, first, last]))
    start = np.searchsorted(instants, lives.put_return) + 1
    end = np.searchsorted(instants, lives.take_call) - 1
    some = start <= end
    least = _least(start[some], end[some], rank[some], len(instants))
    begin, until = np.searchsorted(instants, first), np.searchsorted(instants, last)
    return np.flatnonzero(_greatest(least, begin, until) < limit)


def _levels(first: Ints, last: Ints) -> Ints:
    """The greatest ``k`` for each range such that ``2 ** k`` instants fit into it."""
    _, exponents = np.frexp((last - first + 1).astype(np.float64))
    levels: Ints = exponents.astype(np.int64) - 1
    return levels


def _least(first: Ints, last: Ints, rank: Ints, size: int) -> Ints:
    """The least rank of the ranges that hold each instant. A range is two blocks of ``2 ** k``
    instants, which may overlap; blocks hand their rank down to their halves."""
    level = _levels(first, last)
    table = np.full(size, ABOVE_ALL)
    for k in range(int(level.max(initial=0)), -1, -1):
        rows = np.flatnonzero(level == k)
        np.minimum.at(table, first[rows], rank[rows])
        np.minimum.at(table, last[rows] - (1 << k) + 1, rank[rows])
        half = (1 << k) >> 1
        if half:
            table[half:] = np.minimum(table[half:], table[:-half].copy())
    return table


def _greatest(numbers: Ints, first: Ints, last: Ints) -> Ints:
    """The greatest of ``numbers`` in each range."""
    level = _levels(first, last)
    result = np.empty(len(first), dtype=np.int64)
    table = numbers
    for k in range(int(level.max(initial=-1)) + 1):
        rows = np.flatnonzero(level == k)
        result[rows] = np.maximum(table[first[rows]], table[last[rows] - (1 << k) + 1])
        table = np.maximum(table[: -(1 << k)], table[1 << k :])
    return result
