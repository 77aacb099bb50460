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

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from checkers.transactions.micro_operations import LIST, Kind, Unsupported, micro_operations
from checkers.transactions.native import natively
from harness.core.history import History

__all__ = ["LIST", "Kind", "Transactions", "Unsupported", "ingest", "pieces"]

Ints = NDArray[np.int64]
Codes = NDArray[np.int32]

_PIECE = 1 << 18


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
    found = natively(history) or micro_operations(history)
    operations = history.operations
    return Transactions(
        history=history,
        operation=np.arange(len(operations), dtype=np.int64),
        process=operations.process,
        outcome=operations.outcome,
        call=operations.call,
        ret=operations.ret,
        first=found.first,
        kind=found.kind,
        key=found.key,
        value=found.value,
        start=found.start,
        length=found.length,
        elements=found.elements,
        keys=found.keys,
        values=found.values,
    )


def pieces(count: int) -> Iterator[slice]:
    """Slices that make up ``count`` rows. Of millions of rows, what lies between two results is
    better found piece by piece: new memory costs more than the arithmetic."""
    return (slice(begin, min(begin + _PIECE, count)) for begin in range(0, count, _PIECE))
