"""Micro-operations out of a history through the compiled kernel.

The kernel reads the JSON of the values, and never a Python object: what came out of a file and is
still text (:class:`harness.core.deferred.Deferred`) is taken as it is, and the rest is encoded at
once. It knows what is written as usual. Whatever else it meets, it leaves all to the twin,
:mod:`checkers.transactions.micro_operations`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, overload

import msgspec
import numpy as np
from numpy.typing import NDArray

from checkers.transactions.micro_operations import MicroOperations, shown
from harness.core import kernels
from harness.core.deferred import json_texts
from harness.core.history import History
from harness.core.operation import Type

__all__ = ["Values", "natively"]

Ints = NDArray[np.int64]
_TRANSACTION, _NOTHING = 0, 5
_MODES = {"read": 1, "r": 1, "write": 2, "w": 2, "append": 3, "cas": 4}


class Values(Sequence[Any]):
    """A table of values: integers as NumPy holds them, and a few others. Immutable."""

    __slots__ = ("_integers", "_others")

    def __init__(self, integers: Ints, others: dict[int, Any]) -> None:
        self._integers, self._others = integers, others

    def __len__(self) -> int:
        return len(self._integers)

    @overload
    def __getitem__(self, at: int) -> Any: ...
    @overload
    def __getitem__(self, at: slice) -> list[Any]: ...
    def __getitem__(self, at: int | slice) -> Any:
        if isinstance(at, slice):
            return [self[one] for one in range(*at.indices(len(self)))]
        place = range(len(self))[at]
        if place in self._others:
            return self._others[place]
        return int(self._integers[place])


def natively(history: History) -> MicroOperations | None:
    """The micro-operations of ``history``; None: ask the twin. O(n)."""
    if kernels.NATIVE is None:
        return None
    operations = history.operations
    values, keys = json_texts(history.values), json_texts(history.keys)
    if values is None or keys is None:
        return None
    said, ok = shown(history), operations.outcome == Type.OK
    modes = np.array([_MODES.get(f or "", _TRANSACTION) for f in history.functions], dtype=np.uint8)
    mode = modes[operations.f]
    # What nobody knows and did not happen; an empty text would be odd.
    unknown = (said == 0) & (mode == _TRANSACTION) & (operations.outcome == Type.FAIL)
    mode[unknown] = _NOTHING
    found = kernels.NATIVE.transactions_ingest(
        values, keys, mode, operations.key, said, operations.argument, ok.view(np.uint8)
    )
    if found is None:
        return None
    *columns, key_table, value_table = found
    first, kind, key, value, start, length, elements = columns
    key_values, values_values = _values(key_table), _values(value_table)
    if key_values is None or values_values is None:
        return None
    return MicroOperations(
        first=np.frombuffer(first, dtype=np.int64),
        kind=np.frombuffer(kind, dtype=np.int8),
        key=np.frombuffer(key, dtype=np.int32),
        value=np.frombuffer(value, dtype=np.int32),
        start=np.frombuffer(start, dtype=np.int64),
        length=np.frombuffer(length, dtype=np.int32),
        elements=np.frombuffer(elements, dtype=np.int32),
        keys=key_values,
        values=values_values,
    )


def _values(table: tuple[bytes, bytes, bytes]) -> Values | None:
    integers, places, text = table
    try:
        others = msgspec.json.decode(b"".join((b"[", memoryview(text)[:-1], b"]")), type=list)
    except msgspec.DecodeError:
        return None
    codes = np.frombuffer(places, dtype=np.int32).tolist()
    if len(codes) != len(others):
        return None
    return Values(
        np.frombuffer(integers, dtype=np.int64),
        {0: None, **dict(zip(codes, others, strict=True))},
    )
