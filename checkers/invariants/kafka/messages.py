"""The events of a kafka-like log as columns."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from checkers.invariants.facts import Bools, Facts, Ints
from checkers.invariants.findings import Findings
from checkers.invariants.kafka.forms import UNKNOWN, Reader, Strange, Table
from harness.core.history import Interner

__all__ = ["UNKNOWN", "Messages", "messages"]

_NEEDED = {
    "send": "an offset",
    "poll": "an object of key and [offset, message] pairs",
    "txn": "the sends and polls that were asked for, with offsets",
    "assign": "a list of keys",
    "subscribe": "a list of keys",
    "commit": "an object of key and offset",
    "list": "an object of key and offset",
}
_NAMES = {
    "send": ("send",),
    "poll": ("poll",),
    "txn": ("txn",),
    "assign": ("assign",),
    "subscribe": ("subscribe",),
    "commit": ("commit", "commit_offsets", "commit-offsets"),
    "list": ("list_committed_offsets", "list-committed-offsets", "list-offsets"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Messages:
    """Columns (``int64``), each group in order of invocation and, within an operation, its own.

    Sent: ``send_row``, ``send_key``, ``send_value``, ``send_offset`` (:data:`UNKNOWN`), of every
    outcome. Polled, by operations that succeeded: ``poll_row``, ``poll_part`` (which poll of the
    operation), ``poll_key``, ``poll_offset``, ``poll_value``. ``ask_row``, ``ask_key``,
    ``ask_offset``: polls that said where to begin. ``assign_row`` and ``assign_subscribes``, and
    for each key that one names ``assigned_row`` and ``assigned_key``. ``commit_*``: offsets that
    may have been committed, ``list_*``: committed offsets that were told.
    """

    send_row: Ints
    send_key: Ints
    send_value: Ints
    send_offset: Ints
    poll_row: Ints
    poll_part: Ints
    poll_key: Ints
    poll_offset: Ints
    poll_value: Ints
    ask_row: Ints
    ask_key: Ints
    ask_offset: Ints
    assign_row: Ints
    assign_subscribes: Bools
    assigned_row: Ints
    assigned_key: Ints
    commit_row: Ints
    commit_key: Ints
    commit_offset: Ints
    list_row: Ints
    list_key: Ints
    list_offset: Ints
    keys: tuple[str, ...]
    values: tuple[Any, ...]


def messages(facts: Facts, findings: Findings) -> Messages:
    """The columns; operations that are not understood are told to ``findings``. O(messages)."""
    operations, values = facts.operations, facts.history.values
    kinds = {facts.history.function(name): kind for kind, names in _NAMES.items() for name in names}
    reader, strange = Reader(), dict[str, list[int]]()
    rows = np.flatnonzero(np.isin(operations.f, [code for code in kinds if code >= 0]))
    columns = (operations.f, operations.key, operations.argument, operations.result)
    for row, f, key, argument, result, outcome in zip(
        rows.tolist(),
        *(column[rows].tolist() for column in columns),
        operations.outcome[rows].tolist(),
        strict=True,
    ):
        kind = kinds[f]
        try:
            reader.read(
                kind,
                row,
                facts.history.keys[key],
                argument=values[argument],
                result=values[result],
                outcome=outcome,
            )
        except Strange:
            strange.setdefault(kind, []).append(row)
    for kind, found in strange.items():
        findings.malformed(np.array(found, dtype=np.int64), _NEEDED[kind])
    return _columns(reader)


def _columns(reader: Reader) -> Messages:
    keys, named = Interner(), Interner()

    def key_codes(table: Table, at: int) -> Ints:
        return np.array(keys.codes(table.columns[at]), dtype=np.int64)

    send_row, send_offset = reader.sends.numbers(0, 3)
    run_row, run_part, length = reader.polls.numbers(0, 1, 3)
    ask_row, ask_offset = reader.asks.numbers(0, 2)
    assign_row, subscribes = reader.assigns.numbers(0, 1)
    (assigned_row,) = reader.assigned.numbers(0)
    commit_row, commit_offset = reader.commits.numbers(0, 2)
    list_row, list_offset = reader.lists.numbers(0, 2)
    return Messages(
        send_row=send_row,
        send_key=key_codes(reader.sends, 1),
        send_value=np.array(named.codes(reader.sends.columns[2]), dtype=np.int64),
        send_offset=send_offset,
        poll_row=np.repeat(run_row, length),
        poll_part=np.repeat(run_part, length),
        poll_key=np.repeat(key_codes(reader.polls, 2), length),
        poll_offset=np.array(reader.offsets, dtype=np.int64),
        poll_value=np.array(named.codes(reader.polled), dtype=np.int64),
        ask_row=ask_row,
        ask_key=key_codes(reader.asks, 1),
        ask_offset=ask_offset,
        assign_row=assign_row,
        assign_subscribes=subscribes == 1,
        assigned_row=assigned_row,
        assigned_key=key_codes(reader.assigned, 1),
        commit_row=commit_row,
        commit_key=key_codes(reader.commits, 1),
        commit_offset=commit_offset,
        list_row=list_row,
        list_key=key_codes(reader.lists, 1),
        list_offset=list_offset,
        keys=tuple(keys.values),
        values=tuple(named.values),
    )
