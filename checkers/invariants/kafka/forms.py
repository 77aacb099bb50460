"""The forms in which the events of a kafka-like log are written; ``docs/kafka.md`` has them all.

Keys are named by their text, because an object of JSON has no other (``1`` and ``"1"`` are one
log). An offset is a number of at least 0.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import Any

import numpy as np

from checkers.invariants.facts import Ints, text_key
from harness.core.operation import Type

__all__ = ["UNKNOWN", "Reader", "Strange", "Table"]

UNKNOWN = -1
"""The offset of a message of which none is known."""

_MESSAGE_FIELDS = ("msg", "message", "value")
_OFFSETS_MAX = 1 << 40

_Batch = tuple[Sequence[tuple[str, int]], Sequence[int], Sequence[Any]]
"""The logs that a poll returned something of, and of how many messages; the offsets and messages of
all of them."""


class Strange(Exception):
    """A value of another form."""


@dataclass(slots=True)
class Table:
    """Columns in the making."""

    columns: tuple[list[Any], ...]

    @staticmethod
    def of(width: int) -> Table:
        return Table(tuple([] for _ in range(width)))

    def add(self, *cells: Any) -> None:
        for column, cell in zip(self.columns, cells, strict=True):
            column.append(cell)

    def numbers(self, *places: int) -> tuple[Ints, ...]:
        return tuple(np.array(self.columns[at], dtype=np.int64) for at in places)


@dataclass(slots=True)
class Reader:
    """Takes operations apart. A value that is not understood leaves nothing behind."""

    sends: Table = field(default_factory=lambda: Table.of(4))
    polls: Table = field(default_factory=lambda: Table.of(4))
    offsets: list[int] = field(default_factory=list)
    polled: list[Any] = field(default_factory=list)
    asks: Table = field(default_factory=lambda: Table.of(3))
    assigns: Table = field(default_factory=lambda: Table.of(2))
    assigned: Table = field(default_factory=lambda: Table.of(2))
    commits: Table = field(default_factory=lambda: Table.of(3))
    lists: Table = field(default_factory=lambda: Table.of(3))

    def read(
        self, kind: str, row: int, key: Any, *, argument: Any, result: Any, outcome: int
    ) -> None:
        """One operation. Raises :class:`Strange`."""
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
                raise Strange
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
                raise Strange
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
        lengths, offsets, messages = found
        for key, length in lengths:
            self.polls.add(row, part, key, length)
        self.offsets.extend(offsets)
        self.polled.extend(messages)

    def _send(self, row: int, key: Any, argument: Any, result: Any, *, ok: bool) -> None:
        if isinstance(argument, Mapping) and key is None:
            names = [name for name in _MESSAGE_FIELDS if name in argument]
            if "key" not in argument or not names:
                if ok:
                    raise Strange
                return
            key, message = argument["key"], argument[names[0]]
        else:
            message = argument
        if key is None:
            if ok:
                raise Strange
            return
        offset = result
        if isinstance(result, Mapping):
            offset = result.get("offset")
        elif isinstance(result, list) and len(result) == 2 and result[1] == message:
            offset = result[0]
        # An indeterminate send without an answer has the argument there, which may be a number.
        if ok and not _is_offset(offset):
            raise Strange
        self.sends.add(row, text_key(key), message, offset if ok else UNKNOWN)

    def _poll(self, row: int, key: Any, argument: Any, result: Any) -> None:
        result = _inside(result, "msgs")
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
            raise Strange
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
        raise Strange
    if isinstance(told, list) and len(told) == 2 and told[1] == message:
        if told[0] is None:
            return key, message, UNKNOWN
        if not _is_offset(told[0]):
            raise Strange
        return key, message, told[0]
    if told != message:
        raise Strange
    return key, message, UNKNOWN


def _faithful(asked: list[Any], answered: list[Any]) -> bool:
    """Whether the answer can be taken for that of ``asked``."""
    try:
        return asked[0] != "send" or bool(_sent(asked, answered))
    except Strange:
        return False


def _polled(value: Any) -> _Batch:
    """Everything that one poll returned. Looked at as a whole: a poll may return a thousand."""
    if value is None:
        return (), (), ()
    if not isinstance(value, Mapping):
        raise Strange
    if {*map(type, value.values())} - {list}:
        raise Strange
    pairs = list(chain.from_iterable(value.values()))
    if not pairs:
        return (), (), ()
    if {*map(type, pairs)} - {list} or {*map(len, pairs)} - {2}:
        raise Strange
    offsets, messages = zip(*pairs, strict=True)
    if {*map(type, offsets)} - {int} or min(offsets) < 0 or max(offsets) >= _OFFSETS_MAX:
        raise Strange
    return [(text_key(key), len(log)) for key, log in value.items()], offsets, messages


def _inside(value: Any, name: str) -> Any:
    """What the one field ``name`` of a reply holds; a log may be called that too."""
    held = value.get(name) if isinstance(value, Mapping) and len(value) == 1 else None
    return held if isinstance(held, Mapping) else value


def _offsets(value: Any) -> list[tuple[str, int]]:
    value = _inside(value, "offsets")
    if not isinstance(value, Mapping) or not all(map(_is_offset, value.values())):
        raise Strange
    return [(text_key(key), offset) for key, offset in value.items()]


def _is_offset(value: Any) -> bool:
    return type(value) is int and 0 <= value < _OFFSETS_MAX
