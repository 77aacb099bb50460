"""The twin of the compiled EDN tokenizer: regular expressions for lines that are written as usual.

A program writes the fields of its events in the same order, line by line. So an expression is made
of the order in a line that is met, and all lines that fit it are taken apart at once; a line that
fits none is read as EDN by itself. What is not one whole map in each line, between a bracket around
all of them or not, is :class:`Unusual`.

An expression may not see where a value ends. That is no danger: the text that it takes for a value
must be exactly one form of EDN, and then no other way to read the line is left.
"""

from __future__ import annotations

import re
from array import array
from collections import Counter
from collections.abc import Iterator
from operator import itemgetter
from typing import Any

import numpy as np

from harness.core.operation import NEMESIS, Type
from harness.formats.columns import MISSING, Columns, Unusual, in_order
from harness.formats.edn import Map, forms
from harness.formats.edn_events import plain_lines, row_of
from harness.formats.rows import Row

__all__ = ["tokenize_lines"]

_PIECE = 1 << 20
_ORDERS_MAX = 8
_NAMES_MAX = 24
_CLOSERS = {"[": "]", "(": ")"}
_NUMBER = "([0-9]{1,18})"
_VALUE = r"([^\n;]{1,400}?)"  # with a semicolon, what seems to follow could be a comment
_PATTERNS = {
    "process": "([0-9]{1,18}|:nemesis)",
    "type": r":(invoke|ok|fail|info)",
    "f": r":([A-Za-z][\w-]*)",
    "value": _VALUE,
    "key": _VALUE,
    "error": _VALUE,
    "time": _NUMBER,
    "index": _NUMBER,
}
_FIELDS = tuple(_PATTERNS)
_TYPES = {kind.name.lower(): int(kind) for kind in Type}
_INTEGER = re.compile(r"-?[0-9]{1,18}")
_BLANKS = " \t\r\n,"
_BLANK = {"process": "0", "type": "invoke", "time": "0", "index": "0"}
_NEMESIS = -1


class _Table(dict[Any, int]):
    """Texts to positions; each text is decoded when it is first met."""

    def __init__(self) -> None:
        super().__init__({"nil": 0, "": 0})
        self.meanings: list[Any] = [None]

    def __missing__(self, text: str) -> int:
        position = self[text] = self.add(_decoded(text))
        return position

    def add(self, value: Any) -> int:
        self.meanings.append(value)
        return len(self.meanings) - 1


def _decoded(text: str) -> Any:
    if _INTEGER.fullmatch(text):
        return int(text)
    try:
        (value,) = plain_lines(text)
    except ValueError as error:  # more forms than one, or none, among others
        raise Unusual from error
    return value


class _Names(_Table):
    """Names of functions: their texts are what they mean."""

    def __init__(self) -> None:
        super().__init__()
        del self["nil"]

    def __missing__(self, text: str) -> int:
        position = self[text] = self.add(text)
        return position


def tokenize_lines(text: str) -> Columns:
    """The columns of ``text``. O(n). Raises :class:`Unusual`."""
    lines = _Lines()
    for piece in _pieces(text):
        lines.read(piece)
    return lines.columns()


def _pieces(text: str) -> Iterator[str]:
    """Whole lines of what lies between the brackets around the events, if there are any."""
    begin = len(text) - len(text.lstrip(_BLANKS))
    end = len(text.rstrip(_BLANKS))
    if closer := _CLOSERS.get(text[begin : begin + 1]):
        begin, end = begin + 1, end - 1
        last_line = text.rfind("\n", 0, max(end, 0)) + 1
        if end < begin or text[end] != closer or ";" in text[last_line:end]:
            raise Unusual  # it may be closed within a comment only
    while begin < end:
        cut = text.find("\n", begin + _PIECE, end) + 1 or end
        yield text[begin:cut]
        begin = cut


class _Lines:
    """What the lines so far have said."""

    def __init__(self) -> None:
        self._orders: dict[tuple[str, ...], re.Pattern[str]] = {}
        self._usual: tuple[str, ...] = ()
        self._tables = {"f": _Names(), "key": _Table(), "value": _Table(), "error": _Table()}
        self._cells = {name: array("q") for name in _FIELDS}
        self._extras = _Table()  # what nobody asks for must be EDN, and that is all

    def read(self, piece: str) -> None:
        """Take apart whole lines: those in the usual order at once, the others one by one."""
        if not self._usual:
            self._learn_first(piece)
        order = self._usual
        rows = self._orders[order].findall(piece)
        others: list[tuple[int, Row]] = []
        counts = Counter({order: len(rows)})
        if any(map(itemgetter(-1), rows)):
            rows = self._without_others(order, rows, others, counts)
        if not rows:
            return
        self._add(order, rows)
        self._overwrite(len(self._cells["type"]) - len(rows), others)
        self._usual = max(counts, key=lambda one: (bool(one), counts[one]))

    def _without_others(
        self,
        order: tuple[str, ...],
        rows: list[tuple[str, ...]],
        others: list[tuple[int, Row]],
        counts: Counter[tuple[str, ...]],
    ) -> list[tuple[str, ...]]:
        """``rows`` with a blank one for each line of another kind, which goes to ``others``."""
        blank = tuple(_BLANK.get(name, "") for name in order)
        kept: list[tuple[str, ...]] = []
        for groups in rows:
            line = groups[-1].strip(_BLANKS)
            if not groups[-1]:
                kept.append(groups)
                continue
            counts[order] -= 1
            if line and line[0] != ";":
                found, row = self._other(line)
                counts[found] += 1
                others.append((len(kept), row))
                kept.append(blank)
        return kept

    def _learn_first(self, piece: str) -> None:
        for line in piece.split("\n"):
            if (stripped := line.strip(_BLANKS)) and stripped[0] != ";":
                self._usual, _ = self._other(stripped)
                if self._usual:
                    return
        raise Unusual

    def _other(self, line: str) -> tuple[tuple[str, ...], Row]:
        """The order of the fields in one line (none if it is not to be learnt), and the event."""
        try:
            (form,) = forms(line)
        except ValueError as error:
            raise Unusual from error
        row = row_of(form) if isinstance(form, Map) else None
        if not isinstance(row, Row) or row.type not in _TYPES:
            raise Unusual
        order = tuple(form)
        if order not in self._orders:
            unusual = len(order) > _NAMES_MAX or "f" not in order
            if unusual or len(self._orders) == _ORDERS_MAX:
                return (), row
            self._orders[order] = _pattern(order)
        return order, row

    def _add(self, order: tuple[str, ...], rows: list[tuple[str, ...]]) -> None:
        texts = dict(zip(order, zip(*rows, strict=False), strict=False))
        for name, cells in self._cells.items():
            column = texts.get(name)
            if column is None:
                cells.extend([0 if name in self._tables else MISSING] * len(rows))
            elif name in self._tables:
                cells.extend(map(self._tables[name].__getitem__, column))
            elif name == "type":
                cells.extend(map(_TYPES.__getitem__, column))
            elif ":nemesis" in column:
                cells.extend(_NEMESIS if one == ":nemesis" else int(one) for one in column)
            else:
                cells.extend(map(int, column))
        for name in texts.keys() - self._cells.keys():
            for text in {*texts[name]}:
                _ = self._extras[text]

    def _overwrite(self, begin: int, others: list[tuple[int, Row]]) -> None:
        for place, row in others:
            numbers = {
                "process": _NEMESIS if row.process == NEMESIS else row.process,
                "type": _TYPES[row.type],
                "time": MISSING if row.time is None else row.time,
                "index": MISSING if row.index is None else row.index,
            }
            for name, table in self._tables.items():
                value = getattr(row, name)
                numbers[name] = 0 if value is None else table.add(value)
            for name, number in numbers.items():
                self._cells[name][begin + place] = number

    def columns(self) -> Columns:
        """All lines together."""
        cells = self._cells.items()
        columns = {name: np.frombuffer(numbers, dtype=np.int64) for name, numbers in cells}
        meanings = {name: table.meanings for name, table in self._tables.items()}
        f, functions = in_order(columns["f"], meanings["f"])
        key, keys = in_order(columns["key"], meanings["key"])
        value, values = in_order(columns["value"], meanings["value"])
        errors = columns["error"]
        rows = np.flatnonzero(errors)
        return Columns(
            index=columns["index"],
            time=columns["time"],
            process=columns["process"],
            type=columns["type"],
            f=f,
            key=key,
            value=value,
            node=np.zeros_like(f),
            tagged=np.zeros(len(f), dtype=bool),
            functions=functions,
            keys=keys,
            values=values,
            nodes=[None],
            errors={
                row: error
                for row, code in zip(rows.tolist(), errors[rows].tolist(), strict=True)
                if (error := meanings["error"][code]) is not None
            },
        )


def _pattern(order: tuple[str, ...]) -> re.Pattern[str]:
    """Matches one line: a group for each field, and one for a line of another kind."""
    fields = "[ ,]+".join(f":{re.escape(name)} +{_PATTERNS.get(name, _VALUE)}" for name in order)
    blank = r"[ \t\r,]*"
    return re.compile(
        rf"{blank}(?:#jepsen\.history\.Op)?\{{{fields}[ ,]*\}}{blank}(?:\n|\Z)|([^\n]*\n|[^\n]+)"
    )
