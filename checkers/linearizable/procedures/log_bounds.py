"""When the entries of logs came: no earlier and no later than what was said of them and of those
before and after them (``R`` and ``D`` of :mod:`.log`)."""

from __future__ import annotations

import numpy as np

from checkers.linearizable.registers import Ints

__all__ = ["Bounds"]


class Bounds:
    """The bounds of all entries. Entries of all keys stand in one row, in which the ``sizes[i]`` of
    ``keys[i]`` begin at ``base[i]``; ``earliest`` and ``latest`` are ``R`` and ``D``, as ranks.
    ``lower`` and ``upper`` have the columns key, offset, rank, operation, by whom, and entry."""

    def __init__(self, keys: Ints, sizes: Ints, span: int, lower: Ints, upper: Ints) -> None:
        self._keys = keys
        self.base = base = np.cumsum(sizes) - sizes
        size = int(sizes.sum())
        self.lower, self.upper = self._placed(lower), self._placed(upper)
        # Keys follow one another on the time line, so none is in the way of another.
        start = np.zeros(size, dtype=np.int64)
        start[base] = span
        start = np.cumsum(start)
        earliest = np.zeros(size, dtype=np.int64)
        np.maximum.at(earliest, self.lower[:, 5], self.lower[:, 2])
        latest = np.full(size, span - 1, dtype=np.int64)
        np.minimum.at(latest, self.upper[:, 5], self.upper[:, 2])
        self.earliest = np.maximum.accumulate(earliest + start) - start
        self.latest = np.minimum.accumulate((latest + start)[::-1])[::-1] - start

    def _placed(self, rows: Ints) -> Ints:
        rows = rows[np.isin(rows[:, 0], self._keys)]
        entry = self.base[np.searchsorted(self._keys, rows[:, 0])] + rows[:, 1]
        return np.concatenate([rows, entry[:, None]], axis=1)

    def not_before(self, slot: int) -> Ints:
        """The row of ``lower`` that gives the greatest lower bound of an entry."""
        start = self.base[np.searchsorted(self.base, slot, side="right") - 1]
        entry = self.lower[:, 5]
        rows = self.lower[(entry >= start) & (entry <= slot)]
        row: Ints = rows[np.argmax(rows[:, 2])]
        return row

    def not_after(self, slot: int) -> Ints:
        """The row of ``upper`` that gives the least upper bound of an entry."""
        key = self._keys[np.searchsorted(self.base, slot, side="right") - 1]
        rows = self.upper[(self.upper[:, 5] >= slot) & (self.upper[:, 0] == key)]
        row: Ints = rows[np.argmin(rows[:, 2])]
        return row
