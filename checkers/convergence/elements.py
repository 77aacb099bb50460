"""The elements of one object as codes, so that lists become arrays.

A read of a long list costs one pass in C over its elements: integers through a table (or a binary
search where they lie far apart), strings through a dictionary, anything else by its JSON form. No
two equal elements have two codes, and ``true``, ``1`` and ``1.0`` are three elements.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import repeat
from typing import Any

import numpy as np
from numpy.typing import NDArray

from checkers.convergence.findings import Unsupported, show
from harness.core.history import Interner

__all__ = ["Elements", "items_of"]

Ints = NDArray[np.int64]
_UNKNOWN = -1
_TABLE_SPAN_MAX = 1 << 22
_INT64 = 1 << 63
_PLAIN = frozenset({int, str, type(None)})  # equal in Python if and only if they are one value
_GROWTH = 1.25
_SLACK = 64


def items_of(value: Any) -> Sequence[Any]:
    """The elements that a read returned; none for null. Raises :class:`Unsupported`."""
    if value is None:
        return ()
    if isinstance(value, list | tuple):
        return value
    raise Unsupported(f"the read {show(value)} is no list of elements")


class Elements:
    """Codes from 0, first those of ``known`` (distinct values) in their order, then others as they
    are met."""

    def __init__(self, known: Sequence[Any]) -> None:
        self.values: list[Any] = []
        self._plain: dict[Any, int] = {}
        self._others = Interner()
        self._code_of_other: dict[int, int] = {}
        for value in known:
            self._add(value)
        self._tabulate()

    def __len__(self) -> int:
        return len(self.values)

    def codes(self, items: Sequence[Any]) -> Ints:
        """The codes of ``items``, ``int64[len(items)]``. O(length), or O(length log n)."""
        kinds = {*map(type, items)}
        if kinds == {int}:
            try:
                return self._of_integers(items, np.array(items, dtype=np.int64))
            except OverflowError:
                pass
        if kinds <= _PLAIN:
            codes = np.fromiter(map(self._plain.get, items, repeat(_UNKNOWN)), np.int64, len(items))
            return self._with_unknown(items, codes)
        return np.fromiter(map(self.code, items), np.int64, len(items))

    def code(self, item: Any) -> int:
        """The code of one element."""
        if type(item) in _PLAIN:
            code = self._plain.get(item)
        else:
            code = self._code_of_other.get(self._others.code(item))
        return self._add(item) if code is None else code

    def _add(self, value: Any) -> int:
        code = len(self.values)
        self.values.append(value)
        if type(value) in _PLAIN:
            self._plain[value] = code
        else:
            self._code_of_other[self._others.code(value)] = code
        return code

    def _with_unknown(self, items: Sequence[Any], codes: Ints) -> Ints:
        places = np.flatnonzero(codes == _UNKNOWN)
        for place in places.tolist():
            codes[place] = self.code(items[place])
        return codes

    def _of_integers(self, items: Sequence[Any], numbers: Ints) -> Ints:
        if len(self._plain) > _GROWTH * self._tabulated + _SLACK:
            self._tabulate()
        if len(self._table):
            place = numbers - self._low
            inside = (numbers >= self._low) & (numbers <= self._high)
            codes = np.where(inside, self._table[np.where(inside, place, 0)], _UNKNOWN)
        elif len(self._sorted):
            place = np.minimum(np.searchsorted(self._sorted, numbers), len(self._sorted) - 1)
            codes = np.where(self._sorted[place] == numbers, self._sorted_codes[place], _UNKNOWN)
        else:
            codes = np.full(len(numbers), _UNKNOWN, dtype=np.int64)
        return self._with_unknown(items, codes)

    def _tabulate(self) -> None:
        """The tables of integers, anew: those met since are found in the dictionary until then."""
        self._tabulated = len(self._plain)
        small = {
            value: code
            for value, code in self._plain.items()
            if type(value) is int and -_INT64 <= value < _INT64
        }
        numbers = np.fromiter(small, np.int64, len(small))
        codes = np.fromiter(small.values(), np.int64, len(small))
        order = np.argsort(numbers)
        self._sorted, self._sorted_codes = numbers[order], codes[order]
        self._table = np.empty(0, dtype=np.int64)
        self._low, self._high = min(small, default=0), max(small, default=0)
        if self._high - self._low < min(_TABLE_SPAN_MAX, _SLACK + 16 * len(small)) and small:
            self._table = np.full(self._high - self._low + 1, _UNKNOWN, dtype=np.int64)
            self._table[numbers - self._low] = codes
