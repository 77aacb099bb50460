"""Transactions as columns: what every checker of transactions reads, and nothing else.

A history is *ingested* once. Operations whose value is a list of micro-operations
(``["r", k, v]``, ``["w", k, v]``, ``["append", k, v]``) are transactions, whatever their function
is called; ``read``, ``write``, ``append`` and ``cas`` of one object are transactions of one or two
micro-operations, so that the same checkers judge registers.

What a transaction read is known only if it was ``ok``: reads of others are left out here, so that
no checker can take the request of a read for its answer. Writes of transactions that are ``info``
may have happened; those of ``fail`` did not, and whoever saw them saw an aborted write.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.core.history import History, Interner
from harness.core.operation import Type

__all__ = ["LIST", "Kind", "Transactions", "Unsupported", "ingest"]

Ints = NDArray[np.int64]
Codes = NDArray[np.int32]

LIST = -1
"""The value of a read that returned a list: its elements are in the pool."""


class Unsupported(Exception):
    """The history is not one of transactions; the text says what was found."""


class Kind(IntEnum):
    """What a micro-operation does."""

    READ = 0
    WRITE = 1
    APPEND = 2


_KINDS = {"r": Kind.READ, "w": Kind.WRITE, "append": Kind.APPEND}


@dataclass(frozen=True, kw_only=True, eq=False)
class Transactions:
    """``n`` transactions in order of invocation, and their ``m`` micro-operations.

    Of each transaction: ``operation`` (its row of ``history.operations``), ``process``,
    ``outcome`` (:class:`Type`: OK, FAIL or INFO), ``call`` and ``ret`` (nanoseconds; ``ret`` is
    ``NEVER`` for INFO), all ``int64[n]``; its micro-operations are the rows
    ``first[t]:first[t + 1]`` (``int64[n + 1]``), in the order of the transaction.

    Of each micro-operation: ``kind`` (:class:`Kind`, ``int8[m]``), ``key`` (``int32[m]``, a
    position in ``keys``), ``value`` (``int32[m]``, a position in ``values``: what was written,
    appended or read; 0 is nil, and :data:`LIST` a list that was read), ``start`` (``int64[m]``) and
    ``length`` (``int32[m]``): the elements of such a list are ``elements[start:start + length]``
    (``int32[e]``, positions in ``values``). Equal keys and values have equal positions.
    """

    history: History
    operation: Ints
    process: Ints
    outcome: Ints
    call: Ints
    ret: Ints
    first: Ints
    kind: NDArray[np.int8]
    key: Codes
    value: Codes
    start: Ints
    length: Codes
    elements: Codes
    keys: Sequence[Any]
    values: Sequence[Any]

    def __len__(self) -> int:
        return len(self.operation)

    @cached_property
    def transaction(self) -> Codes:
        """The transaction of each micro-operation, ``int32[m]``."""
        return np.repeat(np.arange(len(self), dtype=np.int32), np.diff(self.first))

    @cached_property
    def index(self) -> Ints:
        """The history's own index of each invocation: what witnesses name, ``int64[n]``."""
        return self.history.index[self.history.operations.invocation[self.operation]]

    def list_of(self, row: int) -> list[Any]:
        """The list that micro-operation ``row`` read."""
        start = int(self.start[row])
        return [self.values[code] for code in self.elements[start : start + int(self.length[row])]]

    def micro_operations(self, transaction: int) -> list[tuple[str, Any, Any]]:
        """The micro-operations of one transaction, in words: for sentences and tests."""
        rows = range(int(self.first[transaction]), int(self.first[transaction + 1]))
        return [
            (
                ("r", "w", "append")[self.kind[row]],
                self.keys[self.key[row]],
                self.list_of(row) if self.value[row] == LIST else self.values[self.value[row]],
            )
            for row in rows
        ]


def ingest(history: History) -> Transactions:
    """The transactions of ``history``. O(n). Raises :class:`Unsupported`."""
    operations = history.operations
    columns: dict[str, list[int]] = {
        name: [] for name in ("kind", "key", "value", "start", "length", "elements")
    }
    keys, values = Interner(), Interner()
    first = [0]
    shown = np.where(operations.outcome == Type.OK, operations.result, operations.argument)
    rows = zip(
        operations.f.tolist(),
        operations.key.tolist(),
        shown.tolist(),
        operations.argument.tolist(),
        (operations.outcome == Type.OK).tolist(),
        strict=True,
    )
    for f, key, value, argument, ok in rows:
        micro_operations = _micro_operations(
            history.functions[f] or "",
            history.keys[key],
            history.values[value],
            history.values[argument],
        )
        for kind, name, one in micro_operations:
            if kind == Kind.READ and not ok:
                continue
            columns["kind"].append(kind)
            columns["key"].append(keys.code(name))
            columns["start"].append(len(columns["elements"]))
            if kind == Kind.READ and isinstance(one, list):
                columns["value"].append(LIST)
                columns["length"].append(len(one))
                columns["elements"] += values.codes(one)
            else:
                columns["value"].append(values.code(one))
                columns["length"].append(0)
        first.append(len(columns["kind"]))
    return Transactions(
        history=history,
        operation=np.arange(len(operations), dtype=np.int64),
        process=operations.process,
        outcome=operations.outcome,
        call=operations.call,
        ret=operations.ret,
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


def _micro_operations(f: str, key: Any, value: Any, argument: Any) -> list[tuple[Kind, Any, Any]]:
    if f in ("read", "r"):
        return [(Kind.READ, key, value)]
    if f in ("write", "w"):
        return [(Kind.WRITE, key, argument)]
    if f == "append":
        return [(Kind.APPEND, key, argument)]
    if f == "cas" and isinstance(argument, list) and len(argument) == 2:
        return [(Kind.READ, key, argument[0]), (Kind.WRITE, key, argument[1])]
    if not isinstance(value, list):
        raise Unsupported(f"{f} {value!r} is no transaction: no list of micro-operations")
    return [_micro_operation(one) for one in value]


def _micro_operation(one: Any) -> tuple[Kind, Any, Any]:
    if isinstance(one, list | tuple) and 2 <= len(one) <= 3 and one[0] in _KINDS:
        kind = _KINDS[one[0]]
        if len(one) == 3 or kind == Kind.READ:
            return kind, one[1], one[2] if len(one) == 3 else None
    raise Unsupported(f"{one!r} is no micro-operation: [r | w | append, key, value]")
