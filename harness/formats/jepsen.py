"""Jepsen's histories: one EDN map an event, in a vector or list or one after another.

Where no client is ever invoked (the tests of Elle give completions alone), each completion is
taken for an operation that was invoked just before it. Values of ``independent`` become a key and a
value, if they are tagged, or if every value of a client is a pair and the invocations of reads are
too (as Jepsen prints them without tags).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.core.errors import BadInput, Problem
from harness.core.history import History
from harness.core.operation import NEMESIS, Type
from harness.formats.columns import Unusual, invoked, jepsen_history
from harness.formats.edn import INDEPENDENT, Tuple, keyword, show
from harness.formats.edn_events import INTEGER_MAX, plain_lines, read_maps
from harness.formats.edn_lines import tokenize_lines
from harness.formats.rows import Row, assemble
from harness.formats.tokens import tokenize

__all__ = ["load_jepsen", "read_jepsen", "write_jepsen"]

_NEMESIS = -1
_TYPES = tuple(f":{kind.name.lower()}" for kind in Type)
_CHUNK = 1 << 16


def load_jepsen(path: Path) -> History:
    """The history in the file at ``path``. Raises :class:`Unusual` for what :func:`read_jepsen`
    must read, and :class:`BadInput`. O(n log n)."""
    columns = invoked(tokenize(path, "edn", plain_lines))
    return jepsen_history(columns, str(path), independent=True)


def read_jepsen(text: str, source: str) -> History:
    """The history in ``text``. Raises :class:`BadInput` naming line and column."""
    try:
        return jepsen_history(invoked(tokenize_lines(text)), source, independent=True)
    except Unusual:
        return assemble(_independent(_invoked(read_maps(text, source))), source, text)


def _invoked(rows: Sequence[Row]) -> list[Row]:
    """As :func:`harness.formats.columns.invoked`."""
    clients = [row for row in rows if row.process != NEMESIS]
    if not clients or any(row.type == "invoke" for row in clients):
        return list(rows)
    found = []
    for row in rows:
        if row.process != NEMESIS:
            found.append(replace(row, type="invoke", error=None, index=None))
        found.append(replace(row, index=None))
    return found


def _independent(rows: Sequence[Row]) -> list[Row]:
    clients = [row for row in rows if row.process != NEMESIS]
    tagged = any(isinstance(row.value, Tuple) for row in clients)
    reads = [row for row in clients if row.f == "read" and row.type == "invoke"]
    untagged = (
        bool(reads)
        and all(isinstance(row.value, list) and len(row.value) == 2 for row in clients)
        and all(row.value[1] is None for row in reads)
    )
    if not tagged and not untagged:
        return list(rows)
    return [_keyed(row) if tagged or row.process != NEMESIS else row for row in rows]


def _keyed(row: Row) -> Row:
    if not isinstance(row.value, (list, Tuple)) or len(row.value) != 2:
        return row
    if isinstance(row.value, list) and row.process == NEMESIS:
        return row
    key, value = row.value
    return replace(row, key=key, value=value)


def write_jepsen(history: History) -> Iterator[str]:
    """Lines of EDN, one an event. Raises :class:`BadInput` for what they cannot say: numbers of
    2^62 and more, and keys where only a nemesis has them. O(n), a chunk at a time."""
    if problems := list(_obstacles(history)):
        raise BadInput(problems)
    return _lines(history, _must_be_tagged(history))


def _obstacles(history: History) -> Iterator[Problem]:
    largest = max(int(column.max(initial=0)) for column in (history.index, history.process))
    if largest >= INTEGER_MAX:
        yield Problem(f"the number {largest}", "less than 2^62 in jepsen-edn", "number anew")
    nemesis = history.process == _NEMESIS
    if history.key[nemesis].any() and not history.key[~nemesis].any():
        yield Problem("a nemesis with a key, and no client with one", "keys of clients", "omit it")


def _must_be_tagged(history: History) -> NDArray[np.bool_]:
    """The events whose value is written as a tagged tuple: all that have a key, and those whose
    pair would be taken for a key and a value, which get the key nil."""
    keyed = history.key > 0
    client = history.process != _NEMESIS
    read = (history.f == history.function("read")) & (history.type == Type.INVOKE) & client
    if not keyed.any() and not read.any():
        return keyed
    pair = np.array([isinstance(one, list) and len(one) == 2 for one in history.values])
    asks = np.array(
        [
            one[1] is None if is_pair else False
            for one, is_pair in zip(history.values, pair, strict=True)
        ]
    )
    pairs = pair[history.value] & client
    mistaken = keyed.any() or (
        pairs[client].all() and read.any() and asks[history.value[read]].all()
    )
    return keyed | pairs if mistaken else keyed


def _lines(history: History, tagged: NDArray[np.bool_]) -> Iterator[str]:
    shown = {
        name: _Shown(getattr(history, name), how)
        for name, how in (("functions", _function), ("keys", show), ("values", show))
    }
    functions, keys, values = shown["functions"], shown["keys"], shown["values"]
    columns = (history.index, history.time, history.process, history.type, history.f)
    for begin in range(0, len(history), _CHUNK):
        rows = slice(begin, begin + _CHUNK)
        cells = [column[rows].tolist() for column in (*columns, history.key, history.value, tagged)]
        for row, (index, time, process, kind, f, key, value, is_tuple) in enumerate(
            zip(*cells, strict=True), begin
        ):
            text = values[value]
            if is_tuple:
                text = f"#{INDEPENDENT} [{keys[key]} {text}]"
            error = history.errors.get(row)
            who = ":nemesis" if process < 0 else process
            yield (
                f"{{:index {index}, :time {time}, :process {who}, "
                f":type {_TYPES[kind]}, :f {functions[f]}, :value {text}"
                f"{'' if error is None else ', :error ' + show(error)}}}\n"
            )


class _Shown(dict[int, str]):
    """Codes to EDN, each shown once."""

    def __init__(self, table: Sequence[Any], how: Callable[[Any], str]) -> None:
        super().__init__()
        self._table, self._how = table, how

    def __missing__(self, code: int) -> str:
        text = self[code] = self._how(self._table[code])
        return text


def _function(name: str) -> str:
    return show(keyword(name))
