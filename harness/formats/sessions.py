"""Histories of sessions: which transactions each did, one after another, and no time.

They say reads and writes of registers, key and value being whole numbers, and most have no nil:
the initial value of every key is 0. So a read of 0 from a key to which no transaction (but
aborted ones) wrote 0 reads ``null`` here. A session is a process, a transaction an invocation that
asks for its reads and the completion that says them. The order of the events means something within
a process only: ``History.realtime`` is false.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from checkers.transactions.columns import Kind, Transactions, Unsupported, ingest
from checkers.transactions.micro_operations import OBJECT_FUNCTIONS
from harness.core import kernels
from harness.core.deferred import Deferred
from harness.core.errors import BadInput, Problem
from harness.core.history import History, Interner
from harness.core.operation import Type
from harness.formats.columns import Unusual
from harness.formats.packed import BROKEN, open_packed

__all__ = [
    "ABORTED",
    "INITIAL",
    "NUMBER_MAX",
    "Accesses",
    "accesses_of",
    "load_accesses",
    "session_history",
]

Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

ABORTED = -1
"""The transaction of what was aborted: each write is one by itself."""

INITIAL = -1
"""The value of a read of the initial value, in a text that can say it."""

NUMBER_MAX = (1 << 63) - 1
_NEEDED = "transactions that read and write whole numbers from 0, and are ok or failed"
_REMEDY = "convert to jepsen-edn or splitbrain"


@dataclass(frozen=True, slots=True, kw_only=True)
class Accesses:
    """One row a read or a write, in the order of the file. ``write`` is ``bool[n]``, the others are
    ``int64[n]``; of a transaction (a session and a number), the rows may lie apart."""

    write: Bools
    key: Ints
    value: Ints
    session: Ints
    transaction: Ints

    def select(self, rows: Bools | Ints) -> Accesses:
        """Those at ``rows``."""
        return Accesses(
            write=self.write[rows],
            key=self.key[rows],
            value=self.value[rows],
            session=self.session[rows],
            transaction=self.transaction[rows],
        )


def load_accesses(path: Path, format: int) -> Accesses:
    """What the compiled reader finds in the file at ``path``. Raises :class:`Unusual`. O(n)."""
    if kernels.NATIVE is None:
        raise Unusual
    try:
        with open_packed(path) as file:
            found = kernels.NATIVE.sessions_read(format, file.read())
    except BROKEN as error:
        raise Unusual from error
    if found is None:
        raise Unusual
    write, *numbers = found
    key, value, session, transaction = (np.frombuffer(one, dtype=np.int64) for one in numbers)
    return Accesses(
        write=np.frombuffer(write, dtype=np.bool_),
        key=key,
        value=value,
        session=session,
        transaction=transaction,
    )


def session_history(accesses: Accesses, source: str) -> History:
    """The history of ``accesses``. O(n) where the rows of each transaction lie together, else
    O(n log n)."""
    accesses = accesses.select(accesses.write | (accesses.transaction != ABORTED))
    accesses, first = _together(accesses)
    heads = first[:-1]
    session, aborted = accesses.session[heads], accesses.transaction[heads] == ABORTED
    codes, values = _values(accesses, _initial(accesses), first)
    count = len(heads)
    place, zeros = np.arange(2 * count, dtype=np.int64), np.zeros(2 * count, dtype=np.int64)
    kind = zeros.copy()
    kind[0::2], kind[1::2] = Type.INVOKE, np.where(aborted, Type.FAIL, Type.OK)
    nameless = session.max(initial=-1) + 1
    return History.from_columns(
        index=place,
        time=place,
        process=np.repeat(np.where(session < 0, nameless, session), 2),
        type=kind,
        f=zeros + 1,
        key=zeros,
        value=codes,
        node=zeros,
        functions=(None, "txn") if count else (None,),
        keys=(None,),
        nodes=(None,),
        values=values,
        errors={},
        realtime=False,
        source=source,
    )


def _together(accesses: Accesses) -> tuple[Accesses, Ints]:
    """The rows of each transaction together, in the order in which the transactions begin; and
    where each begins, ``int64[n + 1]``."""
    session, transaction = accesses.session, accesses.transaction
    begins = np.ones(len(session), dtype=bool)
    begins[1:] = (
        (session[1:] != session[:-1])
        | (transaction[1:] != transaction[:-1])
        | (transaction[1:] == ABORTED)
    )
    heads = np.flatnonzero(begins)
    numbers = np.sort(transaction[heads][transaction[heads] != ABORTED])
    if (numbers[1:] != numbers[:-1]).all():
        return accesses, np.append(heads, len(session))
    # Runs of the same session and number are one transaction; what was aborted stays apart.
    name = np.where(transaction[heads] == ABORTED, -2 - np.arange(len(heads)), transaction[heads])
    order = np.lexsort((name, session[heads]))
    fresh = np.ones(len(order), dtype=bool)
    fresh[1:] = (name[order][1:] != name[order][:-1]) | (
        session[heads][order][1:] != session[heads][order][:-1]
    )
    leader = np.empty_like(order)
    leader[order] = order[np.flatnonzero(fresh)][np.cumsum(fresh) - 1]  # the sort is stable
    of_row = np.repeat(leader, np.diff(np.append(heads, len(session))))
    rows = np.argsort(of_row, kind="stable")
    starts = np.flatnonzero(np.append(True, np.diff(of_row[rows]) != 0))
    return accesses.select(rows), np.append(starts, len(rows))


def _initial(accesses: Accesses) -> Bools:
    """The rows that read the initial value."""
    zero = accesses.value == 0
    written = np.unique(accesses.key[zero & accesses.write & (accesses.transaction != ABORTED)])
    initial: Bools = zero & ~accesses.write
    if len(written):
        initial &= ~np.isin(accesses.key, written)
    initial |= accesses.value == INITIAL
    return initial


def _values(accesses: Accesses, initial: Bools, first: Ints) -> tuple[Ints, Any]:
    """The code of what each transaction asks and says, in turn, and what they mean."""
    if kernels.NATIVE is None:
        return _values_one_by_one(accesses, initial, first)
    codes, sizes, blocks = kernels.NATIVE.sessions_values(
        accesses.write.view(np.uint8),
        accesses.key,
        accesses.value,
        initial.view(np.uint8),
        first,
    )
    lengths = np.append(0, np.frombuffer(sizes, dtype=np.int64))
    ends = np.cumsum(lengths)
    values = Deferred(blocks, ends - lengths, ends, {0: None})
    return np.frombuffer(codes, dtype=np.int32).astype(np.int64), values


def _values_one_by_one(accesses: Accesses, initial: Bools, first: Ints) -> tuple[Ints, Any]:
    columns = (accesses.write, accesses.key, accesses.value, initial)
    rows = list(zip(*(column.tolist() for column in columns), strict=True))
    interner, codes = Interner(), []
    for begin, end in pairwise(first.tolist()):
        asked, said = [], []
        for write, key, value, is_initial in rows[begin:end]:
            asked.append(["w", key, value] if write else ["r", key, None])
            said.append(["w", key, value] if write else ["r", key, None if is_initial else value])
        codes += [interner.code(asked), interner.code(said)]
    return np.array(codes, dtype=np.int64), tuple(interner.values)


# --- writing --------------------------------------------------------------------------------


def accesses_of(history: History, *, unread: int = 0) -> Accesses:
    """The reads and writes of ``history``, its transactions numbered from 0 in order of invocation;
    ``unread`` (0 or :data:`INITIAL`) is the value of a read of ``null``. Raises :class:`BadInput`
    for what no such text can say."""
    if len(history.nemesis_events()):
        raise BadInput([Problem("events of a nemesis", _NEEDED, _REMEDY)])
    try:
        transactions = ingest(history)
    except Unsupported as error:
        raise BadInput([Problem(str(error), _NEEDED, _REMEDY)]) from error
    owner = transactions.transaction.astype(np.int64)
    key, value = (
        np.array(
            [one if type(one) is int and 0 <= one <= NUMBER_MAX else -1 for one in table],
            dtype=np.int64,
        )[codes]
        for table, codes in (
            (transactions.keys, transactions.key),
            (transactions.values, np.maximum(transactions.value, 0)),
        )
    )
    write = transactions.kind == Kind.WRITE
    null = ~write & (transactions.value == 0)
    aborted = transactions.outcome[owner] == Type.FAIL
    accesses = Accesses(
        write=write,
        key=key,
        value=np.where(null, unread, value),
        session=transactions.process[owner],
        transaction=np.where(aborted, ABORTED, owner),
    )
    odd = (value < 0) & ~null
    misread = ~write & ~odd & (_initial(accesses) != null)
    if problems := list(_obstacles(transactions, accesses.key < 0, odd, misread)):
        raise BadInput(problems)
    return accesses


def _obstacles(
    transactions: Transactions, odd_key: Bools, odd_value: Bools, misread: Bools
) -> Iterator[Problem]:
    history, owner = transactions.history, transactions.transaction
    operations = history.operations
    whole = np.arange(len(transactions))
    empty = (np.diff(transactions.first) == 0) & (transactions.outcome != Type.FAIL)
    objects = np.array([name in OBJECT_FUNCTIONS for name in history.functions])
    for places, reason in (
        (whole[objects[operations.f]], "it is no transaction, but an operation of one object"),
        (whole[transactions.outcome == Type.INFO], "whether it happened is not known"),
        (whole[empty], "it reads and writes nothing"),
        (owner[transactions.kind == Kind.APPEND], "it appends"),
        (owner[odd_key], "it has a key that is no whole number from 0"),
        (owner[odd_value], "it has a value that is no whole number from 0"),
        (owner[misread], "0 stands for the initial value, unless a transaction wrote it"),
    ):
        if len(places):
            found = np.unique(places)
            more = f" and {len(found) - 1:,} more" if len(found) > 1 else ""
            index = int(transactions.index[found[0]])
            yield Problem(f"transaction {index}{more}: {reason}", _NEEDED, _REMEDY)
