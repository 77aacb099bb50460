"""The events of a kafka-like log as columns; see ``docs/kafka.md`` for the forms that are read.

Keys are named by their text, because an object of JSON has no other (``1`` and ``"1"`` are one
log). An offset is a number of at least 0.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import Any

import numpy as np

from checkers.invariants.facts import Bools, Facts, Ints, text_key
from checkers.invariants.findings import Findings
from harness.core.history import Interner
from harness.core.operation import Type

__all__ = ["UNKNOWN", "Messages", "messages"]

UNKNOWN = -1
"""The offset of a message of which none is known."""

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
_MESSAGE_FIELDS = ("msg", "message", "value")
_OFFSETS_MAX = 1 << 40


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


_Batch = tuple[Sequence[str], Sequence[int], Sequence[Any]]
"""The logs, offsets and messages that a poll returned, one of each a message."""


class _Strange(Exception):
    """A value of another form."""


@dataclass(slots=True)
class _Table:
    """Columns in the making."""

    columns: tuple[list[Any], ...]

    @staticmethod
    def of(width: int) -> _Table:
        return _Table(tuple([] for _ in range(width)))

    def add(self, *cells: Any) -> None:
        for column, cell in zip(self.columns, cells, strict=True):
            column.append(cell)

    def numbers(self, *places: int) -> tuple[Ints, ...]:
        return tuple(np.array(self.columns[at], dtype=np.int64) for at in places)


@dataclass(slots=True)
class _Reader:
    """Takes operations apart. A value that is not understood leaves nothing behind."""

    sends: _Table = field(default_factory=lambda: _Table.of(4))
    polls: _Table = field(default_factory=lambda: _Table.of(5))
    asks: _Table = field(default_factory=lambda: _Table.of(3))
    assigns: _Table = field(default_factory=lambda: _Table.of(2))
    assigned: _Table = field(default_factory=lambda: _Table.of(2))
    commits: _Table = field(default_factory=lambda: _Table.of(3))
    lists: _Table = field(default_factory=lambda: _Table.of(3))

    def read(
        self, kind: str, row: int, key: Any, *, argument: Any, result: Any, outcome: int
    ) -> None:
        """One operation. Raises :class:`_Strange`."""
        ok = outcome == Type.OK
        if kind in ("send", "poll", "txn"):
            asked = _micro(argument)
            if asked is not None:
                self._transaction(row, asked, result, ok=ok)
            elif kind == "send":
                self._send(row, key, argument, result, ok=ok)
            elif kind == "poll" and ok:
                self._poll(row, key, argument, result)
            elif kind == "txn" and ok:
                raise _Strange
        elif kind in ("assign", "subscribe") and outcome != Type.FAIL:
            self._assign(row, argument, subscribes=kind == "subscribe")
        elif kind == "commit" and outcome != Type.FAIL:
            for name, offset in _offsets(argument):
                self.commits.add(row, name, offset)
        elif kind == "list" and ok:
            for name, offset in _offsets(result):
                self.lists.add(row, name, offset)

    def _transaction(self, row: int, asked: list[list[Any]], result: Any, *, ok: bool) -> None:
        answered = _micro(result)
        if answered is None or [one[0] for one in answered] != [one[0] for one in asked]:
            if ok:
                raise _Strange
            answered = asked  # nothing was filled in
        elif not ok and not all(map(_faithful, asked, answered)):
            answered = asked
        # All is understood before any of it is added.
        parts: list[tuple[Any, Any, Any]] = [
            _sent(one, other)
            if one[0] == "send"
            else _polled(other[1] if ok and len(other) > 1 else None)
            for one, other in zip(asked, answered, strict=True)
        ]
        for part, found in enumerate(parts):
            if asked[part][0] == "send":
                self.sends.add(row, *found)
            elif found[0]:
                self._polls(row, part, found)

    def _polls(self, row: int, part: int, found: _Batch) -> None:
        rows, parts, *cells = self.polls.columns
        rows.extend([row] * len(found[0]))
        parts.extend([part] * len(found[0]))
        for column, many in zip(cells, found, strict=True):
            column.extend(many)

    def _send(self, row: int, key: Any, argument: Any, result: Any, *, ok: bool) -> None:
        if isinstance(argument, Mapping) and key is None:
            names = [name for name in _MESSAGE_FIELDS if name in argument]
            if "key" not in argument or not names:
                if ok:
                    raise _Strange
                return
            key, message = argument["key"], argument[names[0]]
        else:
            message = argument
        if key is None:
            if ok:
                raise _Strange
            return
        offset = result
        if isinstance(result, Mapping):
            offset = result.get("offset")
        elif isinstance(result, list) and len(result) == 2 and result[1] == message:
            offset = result[0]
        # An indeterminate send without an answer has the argument there, which may be a number.
        if ok and not _is_offset(offset):
            raise _Strange
        self.sends.add(row, text_key(key), message, offset if ok else UNKNOWN)

    def _poll(self, row: int, key: Any, argument: Any, result: Any) -> None:
        if isinstance(result, Mapping) and set(result) == {"msgs"}:
            result = result["msgs"]
        if isinstance(result, list) and key is not None:
            result = {text_key(key): result}
            if _is_offset(argument):
                argument = {text_key(key): argument}
        found = _polled(result)
        if isinstance(argument, Mapping):
            for name, offset in _offsets(argument):
                self.asks.add(row, name, offset)
        self._polls(row, 0, found)

    def _assign(self, row: int, argument: Any, *, subscribes: bool) -> None:
        seeks = False
        if isinstance(argument, Mapping):
            seeks = bool(argument.get("seek-to-beginning") or argument.get("seek_to_beginning"))
            argument = argument.get("keys")
        if not isinstance(argument, list):
            raise _Strange
        self.assigns.add(row, subscribes)
        # Who seeks begins anew with every key, as if it had been assigned none before.
        for key in () if seeks else dict.fromkeys(text_key(key) for key in argument):
            self.assigned.add(row, key)


def _micro(value: Any) -> list[list[Any]] | None:
    """The micro-operations; None where it is something else."""
    if not isinstance(value, list) or not value:
        return None
    fits = all(
        isinstance(one, list)
        and ((len(one) == 3 and one[0] == "send") or (len(one) in (1, 2) and one[0] == "poll"))
        for one in value
    )
    return value if fits else None


def _sent(asked: list[Any], answered: list[Any]) -> tuple[str, Any, int]:
    """Key, message and offset of ``["send", k, v]`` and what became of it."""
    key, message, told = text_key(asked[1]), asked[2], answered[2]
    if text_key(answered[1]) != key:
        raise _Strange
    if isinstance(told, list) and len(told) == 2 and told[1] == message:
        if told[0] is None:
            return key, message, UNKNOWN
        if not _is_offset(told[0]):
            raise _Strange
        return key, message, told[0]
    if told != message:
        raise _Strange
    return key, message, UNKNOWN


def _faithful(asked: list[Any], answered: list[Any]) -> bool:
    """Whether the answer can be taken for that of ``asked``."""
    try:
        return asked[0] != "send" or bool(_sent(asked, answered))
    except _Strange:
        return False


def _polled(value: Any) -> _Batch:
    """Everything that one poll returned. Looked at as a whole: a poll may return a thousand."""
    if value is None:
        return (), (), ()
    if not isinstance(value, Mapping):
        raise _Strange
    logs = value.values()
    if {*map(type, logs)} - {list}:
        raise _Strange
    pairs = list(chain.from_iterable(logs))
    if not pairs:
        return (), (), ()
    if {*map(type, pairs)} - {list} or {*map(len, pairs)} - {2}:
        raise _Strange
    offsets, messages = zip(*pairs, strict=True)
    if {*map(type, offsets)} - {int} or min(offsets) < 0 or max(offsets) >= _OFFSETS_MAX:
        raise _Strange
    keys = [key for key, log in value.items() for _ in log]
    if {*map(type, keys)} - {str}:
        keys = [text_key(key) for key in keys]
    return keys, offsets, messages


def _offsets(value: Any) -> list[tuple[str, int]]:
    if isinstance(value, Mapping) and set(value) == {"offsets"}:
        value = value["offsets"]
    if not isinstance(value, Mapping) or not all(map(_is_offset, value.values())):
        raise _Strange
    return [(text_key(key), offset) for key, offset in value.items()]


def _is_offset(value: Any) -> bool:
    return type(value) is int and 0 <= value < _OFFSETS_MAX


def messages(facts: Facts, findings: Findings) -> Messages:
    """The columns; operations that are not understood are told to ``findings``. O(messages)."""
    operations, values = facts.operations, facts.history.values
    kinds = {facts.history.function(name): kind for kind, names in _NAMES.items() for name in names}
    reader, strange = _Reader(), dict[str, list[int]]()
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
        except _Strange:
            strange.setdefault(kind, []).append(row)
    for kind, found in strange.items():
        findings.malformed(np.array(found, dtype=np.int64), _NEEDED[kind])
    return _columns(reader)


def _columns(reader: _Reader) -> Messages:
    keys, named = Interner(), Interner()

    def key_codes(table: _Table, at: int) -> Ints:
        return np.array(keys.codes(table.columns[at]), dtype=np.int64)

    send_row, send_offset = reader.sends.numbers(0, 3)
    poll_row, poll_part, poll_offset = reader.polls.numbers(0, 1, 3)
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
        poll_row=poll_row,
        poll_part=poll_part,
        poll_key=key_codes(reader.polls, 2),
        poll_offset=poll_offset,
        poll_value=np.array(named.codes(reader.polls.columns[4]), dtype=np.int64),
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
