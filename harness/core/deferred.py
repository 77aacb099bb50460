"""Values that are still the JSON of the file that they came from, and JSON for those that are not.

A transaction that reads lists is a hundred objects of Python. A million of them would take minutes
and gigabytes, and nobody looks at more than a few: the checkers of transactions want columns of
numbers, which come out of the JSON at once, and a report wants those that prove something. So the
tokenizer leaves transactions as they stand, and each is decoded when it is asked for.

>>> values = Deferred((b'[["r","x",null]]',), np.array([0, 0]), np.array([0, 16]), {0: None})
>>> values[1]
[['r', 'x', None]]
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, overload

import msgspec
import numpy as np
from numpy.typing import NDArray

from harness.core import kernels

__all__ = ["Block", "Deferred", "Texts", "json_texts"]

Ints = NDArray[np.int64]
Block = bytes | memoryview
Texts = tuple[tuple[Block, ...], Ints, Ints]
"""Blocks of JSON without blanks, and where in these, as if they stood one after another, each value
begins and ends: ``int64[n]``. None crosses blocks."""

_PLAIN = re.compile(rb'(?=\[\[")(?:[][,]|"[ !#-\[\]-~]*"|-?\d{1,18}(?!\d)|null|true|false)*')
"""What a deferred text looks like, as far as JSON without blanks can look otherwise."""


class Deferred(Sequence[Any]):
    """A table of values, most of them still JSON. Immutable; indexing decodes, each time anew.

    ``plain`` holds those that are no JSON, by position; the others lie in ``blocks`` at
    ``begins[i]:ends[i]`` (``int64[n]``), as if the blocks stood one after another. Their texts are
    canonical: equal values have equal texts. So no two of them are equal if no two texts are.
    """

    __slots__ = ("_bases", "_begins", "_blocks", "_ends", "_plain")

    def __init__(
        self, blocks: Sequence[Block], begins: Ints, ends: Ints, plain: Mapping[int, Any]
    ) -> None:
        self._blocks, self._begins, self._ends = tuple(blocks), begins, ends
        self._bases = np.cumsum([0, *map(len, self._blocks)], dtype=np.int64)
        self._plain = plain

    def __len__(self) -> int:
        return len(self._begins)

    @overload
    def __getitem__(self, at: int) -> Any: ...
    @overload
    def __getitem__(self, at: slice) -> list[Any]: ...
    def __getitem__(self, at: int | slice) -> Any:
        if isinstance(at, slice):
            return [self[one] for one in range(*at.indices(len(self)))]
        place = range(len(self))[at]
        if place in self._plain:
            return self._plain[place]
        begin, end = int(self._begins[place]), int(self._ends[place])
        block = int(np.searchsorted(self._bases, begin, side="right")) - 1
        base = int(self._bases[block])
        return msgspec.json.decode(self._blocks[block][begin - base : end - base])

    def __iter__(self) -> Iterator[Any]:
        return (self[at] for at in range(len(self)))

    @property
    def plain(self) -> Mapping[int, Any]:
        """The values that are no JSON, by position."""
        return self._plain

    def merged(self) -> tuple[Sequence[Any], Ints | None]:
        """As :meth:`harness.core.history.Interner.merged`. O(plain values)."""
        from harness.core.history import Interner

        places = [*self._plain]
        if any(map(_may_be_deferred, self._plain.values())):
            return Interner.merged(tuple(self))
        distinct, codes = Interner.merged(tuple(self._plain.values()))
        if codes is None:
            return self, None
        # The first place of each value keeps it.
        first = np.full(len(distinct), len(self), dtype=np.int64)
        first[codes[::-1]] = places[::-1]
        stays = np.ones(len(self), dtype=bool)
        stays[places] = False
        stays[first] = True
        numbers = np.cumsum(stays) - 1
        mapping = numbers.copy()
        mapping[places] = numbers[first[codes]]
        plain = {int(numbers[at]): self._plain[at] for at in first.tolist()}
        return Deferred(self._blocks, self._begins[stays], self._ends[stays], plain), mapping

    def texts(self) -> Texts | None:
        """The JSON of all values; None where there is none. O(n), and O(plain values) decoding."""
        found = _encoded([*self._plain.values()])
        if found is None:
            return None
        (text,), begins, ends = found
        places = np.fromiter(self._plain, dtype=np.int64, count=len(self._plain))
        all_begins, all_ends = self._begins.copy(), self._ends.copy()
        all_begins[places], all_ends[places] = begins + self._bases[-1], ends + self._bases[-1]
        return (*self._blocks, text), all_begins, all_ends


def json_texts(values: Sequence[Any]) -> Texts | None:
    """The JSON of each of ``values``, the fields of objects in order; None where there is none, or
    no extension to find it. O(n)."""
    if kernels.NATIVE is None:
        return None
    return values.texts() if isinstance(values, Deferred) else _encoded(values)


def _encoded(values: Sequence[Any]) -> Texts | None:
    native: Any = kernels.NATIVE
    try:
        text = msgspec.json.encode(values, order="deterministic")
    except (TypeError, ValueError, OverflowError, RecursionError):
        return None
    places = None if native is None else native.json_places(text)
    if places is None:
        return None
    begins, ends = (np.frombuffer(column, dtype=np.int64) for column in places)
    return ((text,), begins, ends) if len(begins) == len(values) else None


def _may_be_deferred(value: Any) -> bool:
    """Whether another text of ``value`` could be among the deferred."""
    if not isinstance(value, list) or not value or not isinstance(value[0], list):
        return False
    text = msgspec.json.encode(value)
    return _PLAIN.fullmatch(text) is not None
