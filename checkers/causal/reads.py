"""Who read from whom: the external reads and final writes of transactions on registers.

A read is *external* unless the transaction itself had written the key before it. Each external read
has one writer: the only transaction that may have left that value behind, or the initial state. A
transaction that is ``info`` happened if somebody read from it; nobody else can tell, so that the
writes of others of its kind are left out. Where two transactions may have left the same value, a
read of it has no one writer: :class:`Unsupported`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from types import ModuleType

import numpy as np
from numpy.typing import NDArray

from checkers.causal import reads_twin
from checkers.transactions.columns import LIST, Kind, Transactions, Unsupported
from harness.core import kernels
from harness.core.history import stable_order

__all__ = ["INITIAL", "ReadsFrom", "reads_from"]

Ints = NDArray[np.int64]
Codes = NDArray[np.int32]

INITIAL = -1
"""The writer of a read that found the key as it was in the beginning."""

_NAMES: Mapping[int, str] = {
    reads_twin.INTERNAL: "internal",
    reads_twin.FUTURE: "future-read",
    reads_twin.INTERMEDIATE: "G1b",
    reads_twin.ABORTED: "G1a",
    reads_twin.GARBAGE: "garbage-read",
}


@dataclass(frozen=True, kw_only=True, eq=False)
class ReadsFrom:
    """External reads and final writes.

    ``reader``, ``key``, ``writer`` (a transaction or :data:`INITIAL`), all ``int32[r]``, in the
    order of the transactions and of the reads in them, and ``read_row``, ``int64[r]``, their
    micro-operations. A read without a writer is left out. ``write_node``, ``write_key``
    (``int32[w]``, in order of transactions) and ``write_row``. ``session`` of each transaction:
    ``int32[n]``, from 0. ``keys``: how many there are.  ``wrong``: what is wrong by itself, by
    name: the micro-operations that show it, ``int64[., 2]`` (-1: there is no second).
    """

    transactions: Transactions
    session: Codes
    sessions: int
    keys: int
    reader: Codes
    key: Codes
    writer: Codes
    read_row: Ints
    write_node: Codes
    write_key: Codes
    write_row: Ints
    wrong: Mapping[str, Ints]

    @cached_property
    def single(self) -> bool:
        """Whether each transaction is one operation on one object: a read, a write, or a read and a
        write of it at once (a compare-and-set)."""
        first, kind, key = (
            self.transactions.first,
            self.transactions.kind,
            self.transactions.key,
        )
        pairs = first[:-1][np.diff(first) == 2]
        both = (kind[pairs] == Kind.READ) & (kind[pairs + 1] == Kind.WRITE)
        return bool(
            (np.diff(first) <= 2).all() and both.all() and (key[pairs] == key[pairs + 1]).all()
        )

    def write_of(self, transaction: int, key: int) -> int:
        """The micro-operation with which a transaction last wrote a key; -1 if it did not."""
        begin, end = np.searchsorted(self.write_node, [transaction, transaction + 1])
        found = np.flatnonzero(self.write_key[begin:end] == key)
        return int(self.write_row[begin + found[0]]) if len(found) else -1


def reads_from(
    transactions: Transactions, *, native: ModuleType | None = kernels.NATIVE
) -> ReadsFrom:
    """The reads and writes of ``transactions``. O(m). Raises :class:`Unsupported`."""
    if (transactions.kind == Kind.APPEND).any() or (transactions.value == LIST).any():
        raise Unsupported("lists and appends are no operations of registers")
    found = _compiled(native, transactions) if native else reads_twin.causal_reads(transactions)
    if found.doubted >= 0:
        key = transactions.keys[transactions.key[found.doubted]]
        value = transactions.values[transactions.value[found.doubted]]
        raise Unsupported(
            f"several may have written {value!r}{'' if key is None else f' to {key!r}'}, so that "
            "who was read is not known; write each value to a key once"
        )
    session, count = _sessions(transactions.process)
    return ReadsFrom(
        transactions=transactions,
        session=session,
        sessions=count,
        keys=len(transactions.keys),
        reader=found.reader,
        key=found.read_key,
        writer=found.writer,
        read_row=found.read_row,
        write_node=found.write_node,
        write_key=found.write_key,
        write_row=found.write_row,
        wrong={
            name: found.wrong[found.wrong[:, 0] == what, 1:]
            for what, name in _NAMES.items()
            if (found.wrong[:, 0] == what).any()
        },
    )


def _compiled(native: ModuleType, transactions: Transactions) -> reads_twin.Found:
    doubted, *columns, wrong = native.causal_reads(
        np.ascontiguousarray(transactions.first, dtype=np.int64),
        np.ascontiguousarray(transactions.kind, dtype=np.int8),
        np.ascontiguousarray(transactions.key, dtype=np.int32),
        np.ascontiguousarray(transactions.value, dtype=np.int32),
        transactions.outcome.astype(np.int8),
        len(transactions.keys),
    )
    types = (np.int64, *(np.int32,) * 3, np.int64, *(np.int32,) * 2)
    row, reader, key, writer, write_row, node, written = (
        np.frombuffer(column, dtype=kind) for column, kind in zip(columns, types, strict=True)
    )
    return reads_twin.Found(
        doubted=doubted,
        read_row=row,
        reader=reader,
        read_key=key,
        writer=writer,
        write_row=write_row,
        write_node=node,
        write_key=written,
        wrong=np.frombuffer(wrong, dtype=np.int64).reshape(-1, 3),
    )


def _sessions(process: Ints) -> tuple[Codes, int]:
    """Processes numbered from 0, and how many there are."""
    order = stable_order(process)
    fresh = np.ones(len(order), dtype=bool)
    fresh[1:] = process[order[1:]] != process[order[:-1]]
    session = np.empty(len(order), dtype=np.int32)
    session[order] = (np.cumsum(fresh) - 1).astype(np.int32)
    return session, int(fresh.sum())
