"""Compare-and-sets of which nobody knows whether they happened: if they did, they found something.

The reads of an operation that is ``info`` are left out when a history is ingested, for what it
asked is no answer. A compare-and-set is the exception: it writes only where it found the old value.
Here that read is put back; it counts where the write is known to have happened, and otherwise goes
with it.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from checkers.transactions.columns import Kind, Transactions
from checkers.transactions.rw_register_accesses import NOBODY, Accesses, accesses
from harness.core.operation import Type

__all__ = ["accesses_of", "with_uncertain_reads", "without_rows"]

Mask = NDArray[np.bool_]


def accesses_of(transactions: Transactions, *, initial: int = 0) -> Accesses:
    """:func:`accesses`, where compare-and-sets that found what nobody can have left behind count as
    not having happened. O(m log m), once more for each such round."""
    transactions = with_uncertain_reads(transactions)
    impossible = np.zeros(len(transactions), dtype=bool)
    while True:
        found = accesses(transactions, initial=initial, impossible=impossible)
        orphan = found.reader[found.read_writer == NOBODY]
        new = orphan[(transactions.outcome[orphan] == Type.INFO) & ~impossible[orphan]]
        if not len(new):
            return found
        impossible[new] = True


def with_uncertain_reads(transactions: Transactions) -> Transactions:
    """The same with the read of each compare-and-set that is ``info``."""
    history = transactions.history
    operations = history.operations
    cas = history.function("cas")
    uncertain = np.flatnonzero(
        (operations.f[transactions.operation] == cas) & (transactions.outcome == Type.INFO)
    )
    if cas < 0 or not len(uncertain):
        return transactions
    values = list(transactions.values)
    codes = {_name(value): code for code, value in enumerate(values)}
    old: list[int] = []
    rows: list[int] = []
    for one in uncertain.tolist():
        argument = history.values[operations.argument[transactions.operation[one]]]
        first = int(transactions.first[one])
        if not isinstance(argument, list) or first == int(transactions.first[one + 1]):
            continue
        code = codes.setdefault(_name(argument[0]), len(values))
        if code == len(values):
            values.append(argument[0])
        old.append(code)
        rows.append(first)
    insert = np.zeros(len(transactions) + 1, dtype=np.int64)
    insert[1:] = np.bincount(transactions.transaction[rows], minlength=len(transactions))
    return replace(
        transactions,
        first=transactions.first + np.cumsum(insert),
        kind=np.insert(transactions.kind, rows, np.int8(Kind.READ)),
        key=np.insert(transactions.key, rows, transactions.key[rows]),
        value=np.insert(transactions.value, rows, np.array(old, dtype=np.int32)),
        start=np.insert(transactions.start, rows, 0),
        length=np.insert(transactions.length, rows, 0),
        values=tuple(values),
    )


def without_rows(transactions: Transactions, dropped: Mask) -> Transactions:
    """The same without some micro-operations."""
    kept = ~dropped
    count = np.concatenate(([0], np.cumsum(kept)))
    return replace(
        transactions,
        first=count[transactions.first],
        kind=transactions.kind[kept],
        key=transactions.key[kept],
        value=transactions.value[kept],
        start=transactions.start[kept],
        length=transactions.length[kept],
    )


def _name(value: Any) -> tuple[type, bytes]:
    return type(value), msgspec.json.encode(value, order="deterministic")
