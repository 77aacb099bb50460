"""Micro-operations out of a history, one by one: what a history must look like to be one of
transactions, and what is said of one that does not.

This is the twin of :mod:`checkers.transactions.native`, which does the same much faster and leaves
to this module whatever it does not know.
"""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Any, TypeGuard

import msgspec
import numpy as np
from numpy.typing import NDArray

from harness.core.history import History, Interner
from harness.core.operation import Type

__all__ = ["LIST", "Kind", "MicroOperations", "Unsupported", "micro_operations", "shown"]

Ints = NDArray[np.int64]
Codes = NDArray[np.int32]

LIST = -1
"""The value of a read that returned a list: its elements are in the pool."""

_SHOWN_MAX = 80


class Unsupported(Exception):
    """The history is not one of transactions; the text says what was found."""


class Kind(IntEnum):
    """What a micro-operation does."""

    READ = 0
    WRITE = 1
    APPEND = 2


_KINDS = {"r": Kind.READ, "w": Kind.WRITE, "append": Kind.APPEND}
_OBJECTS = _KINDS | {"read": Kind.READ, "write": Kind.WRITE}
"""Functions of one object."""


@dataclass(frozen=True, kw_only=True, eq=False)
class MicroOperations:
    """The columns of :class:`checkers.transactions.columns.Transactions` that come out of values,
    and their tables."""

    first: Ints
    kind: NDArray[np.int8]
    key: Codes
    value: Codes
    start: Ints
    length: Codes
    elements: Codes
    keys: Sequence[Any]
    values: Sequence[Any]


def shown(history: History) -> Ints:
    """The value code by which each operation is known, ``int64[n]``: its result if it was ok, else
    what it asked for; and where it did not say that (some programs write the value only when they
    know it), what its completion says."""
    operations = history.operations
    asked = np.where(operations.argument != 0, operations.argument, operations.result)
    return np.where(operations.outcome == Type.OK, operations.result, asked)


def micro_operations(history: History) -> MicroOperations:
    """The micro-operations of ``history``. O(n). Raises :class:`Unsupported`."""
    operations = history.operations
    columns = {name: array("q") for name in ("kind", "key", "value", "start", "length", "elements")}
    keys, values = Interner(), Interner()
    first = array("q", [0])
    rows = zip(
        operations.f.tolist(),
        operations.key.tolist(),
        shown(history).tolist(),
        operations.argument.tolist(),
        operations.outcome.tolist(),
        strict=True,
    )
    for f, key, value, argument, outcome in rows:
        found = _of_operation(
            history.functions[f] or "",
            history.keys[key],
            history.values[value],
            history.values[argument],
            outcome,
        )
        for kind, name, one in found:
            if kind == Kind.READ and outcome != Type.OK:
                continue
            columns["kind"].append(kind)
            columns["key"].append(keys.code(name))
            columns["start"].append(len(columns["elements"]))
            if kind == Kind.READ and _is_list(one):
                columns["value"].append(LIST)
                columns["length"].append(len(one))
                columns["elements"].extend(values.codes(one))
            else:
                columns["value"].append(values.code(one))
                columns["length"].append(0)
        first.append(len(columns["kind"]))
    return MicroOperations(
        first=np.array(first, dtype=np.int64),
        kind=np.array(columns["kind"], dtype=np.int8),
        key=np.array(columns["key"], dtype=np.int32),
        value=np.array(columns["value"], dtype=np.int32),
        start=np.array(columns["start"], dtype=np.int64),
        length=np.array(columns["length"], dtype=np.int32),
        elements=np.array(columns["elements"], dtype=np.int32),
        keys=tuple(keys.values),
        values=tuple(values.values),
    )


MicroOperation = tuple[Kind, Any, Any]


def _of_operation(
    f: str, key: Any, value: Any, argument: Any, outcome: int
) -> Sequence[MicroOperation]:
    if _is_list(value) and value:
        parsed = [_micro_operation(one) for one in value]
        if None not in parsed:
            return [one for one in parsed if one is not None]
    if f in _OBJECTS:
        kind = _OBJECTS[f]
        return [(kind, key, value if kind == Kind.READ else argument)]
    if f == "cas" and _is_list(argument) and len(argument) == 2:
        if outcome == Type.OK and value is False:
            return ()  # it found another value, and which one is not known
        return [(Kind.READ, key, argument[0]), (Kind.WRITE, key, argument[1])]
    if value is None and outcome == Type.FAIL:
        return ()  # what it would have done is not known, but it did not
    if not _is_list(value) or value:
        raise _refused(f, value)
    return ()


def _refused(f: str, value: Any) -> Unsupported:
    if value is None:
        return Unsupported(
            f"a {f or 'transaction'} that may have happened does not say what it did"
        )
    if not _is_list(value):
        return Unsupported(f"{f} {_text(value)} is no transaction: no list of micro-operations")
    odd = next(one for one in value if _micro_operation(one) is None)
    return Unsupported(f"{_text(odd)} is no micro-operation: [r | w | append, key, value]")


def _micro_operation(one: Any) -> MicroOperation | None:
    if not _is_list(one) or not 2 <= len(one) <= 3 or not isinstance(one[0], str):
        return None
    kind = _KINDS.get(one[0])
    if kind is None or (len(one) == 2 and kind != Kind.READ):
        return None
    return kind, one[1], one[2] if len(one) == 3 else None


def _is_list(value: Any) -> TypeGuard[list[Any] | tuple[Any, ...]]:
    return isinstance(value, list | tuple)


def _text(value: Any) -> str:
    text = msgspec.json.encode(value).decode()
    return text if len(text) <= _SHOWN_MAX else f"{text[:_SHOWN_MAX]}..."
