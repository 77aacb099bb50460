"""Columns of events as a tokenizer fills them, and the :class:`History` that they make.

A tokenizer (compiled: :mod:`harness.formats.tokens`; in Python: :mod:`harness.formats.edn_lines`)
gives the same code to values that are written the same. Here each is decoded once, and the codes of
values that are equal although written otherwise (``5`` and ``5N``) are merged, so that the history
is the one that an :class:`Event` for each line would have made.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.core.deferred import Deferred
from harness.core.history import History, Interner, stable_order
from harness.core.operation import Type
from harness.formats.edn import Tuple

__all__ = ["MISSING", "Columns", "Unusual", "in_order", "jepsen_history", "numbered", "own_history"]

Ints = NDArray[np.int64]

MISSING = -1
"""An index or a time that an event does not have."""

_NEMESIS = -1
_SCALARS = frozenset({int, str, float, bool, type(None)})


class Unusual(Exception):
    """No error: the tokenizer met something that it leaves to a more patient reader."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Columns:
    """One row an event. ``f``, ``key``, ``value`` and ``node`` are positions in their tables, where
    a value may stand twice; position 0 is ``None``. ``tagged``: the key and the value were a tuple
    of Jepsen's ``independent``. ``errors``: by row. Columns are ``int64[n]``."""

    index: Ints
    time: Ints
    process: Ints
    type: Ints
    f: Ints
    key: Ints
    value: Ints
    node: Ints
    tagged: NDArray[np.bool_]
    functions: Sequence[Any]
    keys: Sequence[Any]
    values: Sequence[Any]
    nodes: Sequence[Any]
    errors: dict[int, Any]


def own_history(columns: Columns, source: str) -> History:
    """The history of a ``history.jsonl``. Raises :class:`BadInput`."""
    functions, f = _merged(columns.functions, columns.f)
    keys, key = _merged(columns.keys, columns.key)
    values, value = _merged(columns.values, columns.value)
    nodes, node = _merged(columns.nodes, columns.node)
    return History.from_columns(
        index=columns.index,
        time=columns.time,
        process=columns.process,
        type=columns.type,
        f=f,
        key=key,
        value=value,
        node=node,
        functions=tuple(functions),
        keys=tuple(keys),
        values=values,
        nodes=tuple(nodes),
        errors=columns.errors,
        source=source,
    )


def jepsen_history(columns: Columns, source: str, *, independent: bool) -> History:
    """The history of another program, as :mod:`harness.formats.rows` makes it of rows.

    ``independent``: keys may lie in the values, as :mod:`harness.formats.jepsen` says. Raises
    :class:`BadInput`, and :class:`Unusual`. O(n log n).
    """
    if independent:
        columns = _independent(columns)
    elif columns.tagged.any():
        raise Unusual  # the tuples are values
    given = columns.index
    return own_history(
        replace(
            columns,
            index=np.arange(len(given)) if (given == MISSING).any() else given,
            time=_increasing(columns.time),
            process=numbered(columns.process, columns.type),
        ),
        source,
    )


def _merged(values: Sequence[Any], codes: Ints) -> tuple[Sequence[Any], Ints]:
    merged: Sequence[Any]
    if isinstance(values, Deferred):
        merged, mapping = values.merged()
    else:
        merged, mapping = Interner.merged(values)
    return merged, codes if mapping is None else mapping[codes]


def _increasing(time: Ints) -> Ints:
    """Each time, but later than the one before; positions where any is missing."""
    place = np.arange(len(time), dtype=np.int64)
    if (time == MISSING).any():
        return place
    # t'[i] = max(t[i], t'[i-1] + 1), so t'[i] - i is a running maximum.
    return np.maximum.accumulate(time - place) + place if len(time) else time


def numbered(process: Ints, kind: Ints) -> Ints:
    """The processes, ``int64[n]``: one that is invoked after an info has a new number from there
    on, above all others, in order of the rows. O(n log n)."""
    clients = np.flatnonzero(process != _NEMESIS)
    rows = clients[stable_order(process[clients])]
    owner, place = process[rows], np.arange(len(rows))
    first = np.ones(len(rows), dtype=bool)
    first[1:] = owner[1:] != owner[:-1]
    invoked = kind[rows] == Type.INVOKE
    # Infos since the last invocation of the process (or its first event), for each row.
    infos = np.append(0, np.cumsum(kind[rows] == Type.INFO))
    began = np.maximum.accumulate(np.where(invoked | first, place, 0))
    before = np.where(first, place, np.append(0, began[:-1])[: len(rows)])
    revived = invoked & (infos[place] > infos[before])
    names = owner.copy()
    fresh = np.sort(rows[revived])
    names[revived] = owner.max(initial=0) + 1 + np.searchsorted(fresh, rows[revived])
    named = np.maximum.accumulate(np.where(revived | first, place, 0))
    numbers = process.copy()
    numbers[rows] = names[named]
    return numbers


def _independent(columns: Columns) -> Columns:
    """Keys taken out of the values: of all pairs if any is tagged, or if the values of all clients
    are pairs and reads are invoked with ``[key nil]``."""
    client, tagged = columns.process != _NEMESIS, columns.tagged
    tuples = _tuples(columns) & ~tagged
    if (tuples | tagged)[client].any():
        return _split(columns, _pairs(columns) & ~tagged & client | tuples)
    if tagged.any():
        raise Unusual  # the tuples of a nemesis are values
    read = _positions(columns.functions, "read")
    asked = client & np.isin(columns.f, read) & (columns.type == Type.INVOKE)
    if not asked.any():
        return columns
    pairs = _pairs(columns) & client
    if not pairs[client].all():
        return columns
    if any(columns.values[at][1] is not None for at in np.unique(columns.value[asked])):
        return columns
    return _split(columns, pairs)


def _tuples(columns: Columns) -> NDArray[np.bool_]:
    """The rows whose values are tuples; what is deferred is none."""
    values, passed = columns.values, np.zeros(len(columns.values), dtype=bool)
    if isinstance(values, Deferred):
        passed[[at for at, value in values.plain.items() if type(value) is Tuple]] = True
    elif Tuple in {*map(type, values)}:
        passed[[at for at, value in enumerate(values) if type(value) is Tuple]] = True
    return passed[columns.value]


def _pairs(columns: Columns) -> NDArray[np.bool_]:
    """The rows whose values are lists of two; no scalar is."""
    values = columns.values
    if not isinstance(values, Deferred) and {*map(type, values)} <= _SCALARS:
        return np.zeros(len(columns.value), dtype=bool)
    pairs = (isinstance(value, list) and len(value) == 2 for value in values)
    return np.fromiter(pairs, dtype=bool, count=len(values))[columns.value]


def _positions(values: Sequence[Any], wanted: Any) -> list[int]:
    return [at for at, value in enumerate(values) if value == wanted]


def _split(columns: Columns, pairs: NDArray[np.bool_]) -> Columns:
    """The values at ``pairs`` become a key and a value."""
    if not pairs.any():
        return columns
    held = np.unique(columns.value[pairs])
    keys = [*columns.keys, *(columns.values[at][0] for at in held)]
    values = [*columns.values, *(columns.values[at][1] for at in held)]
    place = np.searchsorted(held, columns.value)
    key = np.where(pairs, len(columns.keys) + place, columns.key)
    value = np.where(pairs, len(columns.values) + place, columns.value)
    key, keys = in_order(key, keys)
    value, values = in_order(value, values)
    return replace(columns, key=key, keys=keys, value=value, values=values)


def in_order(codes: Ints, values: Sequence[Any]) -> tuple[Ints, list[Any]]:
    """The codes that are used, numbered anew in order of appearance; 0 stays ``None``."""
    first = np.full(len(values), len(codes), dtype=np.int64)
    first[codes[::-1]] = np.arange(len(codes) - 1, -1, -1)
    first[0] = -1
    order = np.argsort(first, kind="stable")
    used = order[: int((first < len(codes)).sum())]
    mapping = np.zeros(len(values), dtype=np.int64)
    mapping[used] = np.arange(len(used))
    return mapping[codes], [values[at] for at in used]
