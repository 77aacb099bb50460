"""Values inside of values, whole numbers, and the time line of all keys, as columns."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from checkers.linearizable.calls import Calls
from checkers.linearizable.registers import Ints

__all__ = ["Bools", "Codes", "instants", "integers"]

Bools = NDArray[np.bool_]
_HUGE = 1 << 62
_PLAIN = frozenset({int, str})


class Codes:
    """The codes of values that stand inside of lists: those of ``known`` arguments, and new ones
    for what is not among them.

    ``values`` are what all codes stand for.
    """

    def __init__(self, calls: Calls, known: Ints) -> None:
        self.values: list[Any] = list(calls.values)
        chosen = np.flatnonzero(np.bincount(known, minlength=len(self.values))).tolist()
        self._codes: dict[Any, int] = {_name(self.values[code]): code for code in chosen}

    def of(self, items: Sequence[Any]) -> list[int]:
        """The code of each of ``items``. O(1) each."""
        names = items if set(map(type, items)) <= _PLAIN else [_name(item) for item in items]
        codes = list(map(self._codes.get, names))
        if None in codes:
            for place, name in enumerate(names):
                if name not in self._codes:
                    self._codes[name] = len(self.values)
                    self.values.append(items[place])
            codes = list(map(self._codes.get, names))
        return codes  # type: ignore[return-value]  # all are known now


def _name(value: Any) -> Any:
    """Equal exactly for equal values; for Python, ``True``, ``1`` and ``1.0`` are one."""
    kind = type(value)
    if kind in _PLAIN:
        return value
    if kind is bool or kind is float:
        return kind, value
    return None, msgspec.json.encode(value, order="deterministic")


def integers(calls: Calls, codes: Ints) -> tuple[Ints, Bools]:
    """The numbers that ``codes`` stand for, and which of them are whole numbers (a boolean is
    none; the number of the others is 0). ``int64[n]`` and ``bool[n]``; numbers beyond ``2 ** 62``
    are cut there."""
    present, place = np.unique(codes, return_inverse=True)
    values = [calls.values[code] for code in present.tolist()]
    whole = np.array([type(value) is int for value in values], dtype=bool)
    numbers = np.array(
        [max(-_HUGE, min(value, _HUGE)) if type(value) is int else 0 for value in values],
        dtype=np.int64,
    )
    place = place.reshape(-1)
    return numbers[place], whole[place]


def instants(calls: Calls, ranks: Ints) -> Ints:
    """``ranks`` of the operations of ``calls`` on one time line, on which keys follow one another.
    A rank of ``horizon`` lies after all of its own key and before the next."""
    moved: Ints = calls.key * (calls.horizon + 1) + ranks
    return moved
