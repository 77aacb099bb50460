"""Questions about many operations at once: the greatest number among those up to some rank.

>>> import numpy as np
>>> latest = Latest(np.array([0, 0, 1]), np.array([2, 5, 3]), np.array([9, 4, 7]), span=10)
>>> group, bound = np.array([0, 0, 1, 1]), np.array([1, 6, 6, 2])
>>> latest.up_to(group, bound).tolist()
[-1, 9, 7, -1]
>>> latest.without(np.array([True, False, False])).up_to(group, bound).tolist()
[-1, 4, 7, -1]
"""

from __future__ import annotations

from copy import copy

import numpy as np
from numpy.typing import NDArray

from checkers.linearizable.registers import Ints

__all__ = ["Latest"]


class Latest:
    """Rows with a ``group``, a rank ``at`` and a ``number`` (``int64[n]`` each, none negative; the
    last two below ``span``). Building it costs O(n log n), a question O(log n)."""

    def __init__(self, group: Ints, at: Ints, number: Ints, *, span: int) -> None:
        place = group * span + at
        self._order = np.argsort(place, kind="stable")
        self._place = place[self._order]
        self._group = group[self._order]
        self._number = number[self._order]
        self._span = span
        self._sum_up()

    def _sum_up(self) -> None:
        # Groups follow one another, so that the greatest number so far lies in the last of them;
        # -1 is no greater than whatever the group before has.
        self._greatest = np.maximum.accumulate(self._group * self._span + self._number)

    def without(self, rows: NDArray[np.bool_]) -> Latest:
        """The same without some of the rows (a mask). O(n)."""
        less = copy(self)
        less._number = np.where(rows[self._order], -1, self._number)
        less._sum_up()
        return less

    def up_to(self, group: Ints, bound: Ints) -> Ints:
        """For each question the greatest number among the rows of ``group`` with ``at <= bound``;
        -1 if there are none. Shapes are those of the arguments, which must be alike."""
        if not len(self._place):
            return np.full(len(group), -1, dtype=np.int64)
        row = np.searchsorted(self._place, group * self._span + bound, side="right") - 1
        known = row >= 0
        row = np.maximum(row, 0)
        known &= self._group[row] == group
        return np.where(known, self._greatest[row] - group * self._span, -1)
