"""A history as columns: validated, paired, and without a Python object for each operation.

``History`` holds one row an event; ``Operations`` holds one row a client operation, in order of
invocation, with its interval in time. Functions, keys, nodes and values are interned: a column
holds small integers, and a table gives back what they stand for (code 0 is always ``None``). Lists
and objects are interned by their JSON form, so equal values have equal codes. Transactions out of a
file may be JSON still, and are decoded one by one when somebody asks for them; whoever wants all of
them takes their texts (:mod:`harness.core.deferred`).

Intervals are closed: two operations that touch in time are concurrent.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from harness.core.errors import BadInput, Problem
from harness.core.operation import NEMESIS, Event, Type

__all__ = ["NEVER", "History", "Interner", "Operations", "stable_order"]

NEVER = np.int64(1 << 62)
"""The return time of an operation that never certainly returned."""

_TYPES = {"invoke": Type.INVOKE, "ok": Type.OK, "fail": Type.FAIL, "info": Type.INFO}
_TYPE_NAMES = ("invoke", "ok", "fail", "info")
_NEMESIS_PROCESS = -1
_PROBLEMS_MAX = 20
_BATCH = 4096
_PLAIN = frozenset({int, str, type(None)})  # equal in Python if and only if they are one value

Ints = NDArray[np.int64]


class Interner:
    """Values to dense codes and back. Code 0 is ``None``."""

    __slots__ = ("_codes", "values")

    def __init__(self) -> None:
        self.values: list[Any] = [None]
        self._codes: dict[Any, int] = {None: 0}

    def code(self, value: Any) -> int:
        """The code of ``value``; a new one for a value not seen before."""
        kind = type(value)
        # bool and float equal int (True == 1 == 1.0) in a dict, hence the type's name.
        name = value if kind is int or kind is str or value is None else _hashable(value)
        code = self._codes.get(name)
        if code is None:
            code = self._codes[name] = len(self.values)
            self.values.append(value)
        return code

    def codes(self, values: Iterable[Any]) -> list[int]:
        """The codes of ``values``, in their order."""
        get, code = self._codes.get, self.code
        return [
            0
            if value is None
            else (get(value) if type(value) is int or type(value) is str else None) or code(value)
            for value in values
        ]

    @staticmethod
    def merged(values: Sequence[Any]) -> tuple[tuple[Any, ...], Ints | None]:
        """``values`` (the first is ``None``) without those that equal an earlier one, and the code
        of each, ``int64[len(values)]``; None when each is a value of its own."""
        plain = {*map(type, values)} <= _PLAIN
        if plain and len(dict.fromkeys(values)) == len(values):
            return tuple(values), None
        interner = Interner()
        codes = np.fromiter(map(interner.code, values), dtype=np.int64, count=len(values))
        return tuple(interner.values), codes if len(interner.values) < len(values) else None


def stable_order(numbers: Ints) -> Ints:
    """The positions of ``numbers`` in ascending order; equal ones keep theirs. O(n) where the
    numbers lie close together (NumPy sorts 16 bits by radix), else O(n log n)."""
    if len(numbers) and numbers.min() >= 0 and numbers.max() < 1 << 16:
        return np.argsort(numbers.astype(np.uint16), kind="stable")
    return np.argsort(numbers, kind="stable")


def _hashable(value: Any) -> tuple[Any, Any]:
    if isinstance(value, bool | float):
        return type(value), value
    # Sorted, since objects that differ in the order of their fields are equal.
    return None, msgspec.json.encode(value, order="deterministic")


@dataclass(frozen=True, slots=True)
class Operations:
    """Client operations, one row each, in order of invocation.

    ``invocation`` and ``completion`` are rows of the history (-1: never completed). ``call`` and
    ``ret`` are times in nanoseconds; ``ret`` is :data:`NEVER` unless the operation was ``ok`` or
    ``fail``. ``outcome`` is a :class:`Type` (an operation still open is ``INFO``). ``argument`` is
    the value code of the invocation and ``result`` that of the completion (the argument's when
    there is none). All columns are ``int64[n]``.
    """

    invocation: Ints
    completion: Ints
    call: Ints
    ret: Ints
    process: Ints
    outcome: Ints
    f: Ints
    key: Ints
    argument: Ints
    result: Ints
    node: Ints

    def __len__(self) -> int:
        return len(self.invocation)

    def select(self, rows: NDArray[np.bool_] | Ints) -> Operations:
        """The operations at ``rows`` (a mask or positions), in the same order."""
        return Operations(*(getattr(self, name)[rows] for name in self.__slots__))


@dataclass(frozen=True, eq=False)
class History:
    """One row an event. Codes point into ``functions``, ``keys``, ``nodes``, ``values``.

    ``index`` is the event's own index (its line, where the file gave none); ``process`` is -1 for
    the nemesis. Build one with :meth:`from_events`, which validates.

    ``realtime``: the events lie in the order in which they happened. Where it is false (formats
    that list sessions one after another), only the order within a process means anything.
    """

    index: Ints
    time: Ints
    process: Ints
    type: Ints
    f: Ints
    key: Ints
    value: Ints
    node: Ints
    functions: tuple[str | None, ...]
    keys: tuple[Any, ...]
    nodes: tuple[str | None, ...]
    values: Sequence[Any]
    errors: dict[int, Any]
    realtime: bool = True

    @staticmethod
    def from_events(
        events: Iterable[Event], *, source: str = "history", realtime: bool = True
    ) -> History:
        """The history of ``events``, in their order.

        Raises :class:`BadInput` naming every event (up to 20) that breaks the rules of
        :mod:`harness.core.operation`. A history that merely stops (operations still open) is fine.
        """
        functions, keys, nodes, values = Interner(), Interner(), Interner(), Interner()
        columns = tuple(array("q") for _ in range(8))
        errors: dict[int, Any] = {}
        negative: list[int] = []
        rows = 0
        events = iter(events)
        # A column of a batch at a time: half as long as an event at a time.
        while batch := tuple(islice(events, _BATCH)):
            errors.update(
                (row, event.error)
                for row, event in enumerate(batch, rows)
                if event.error is not None
            )
            process = [
                _NEMESIS_PROCESS if event.process == NEMESIS else int(event.process)
                for event in batch
            ]
            if min(process) < 0:
                negative += (
                    row
                    for row, event in enumerate(batch, rows)
                    if event.process != NEMESIS and int(event.process) < 0
                )
            cells: tuple[list[int], ...] = (
                [event.index for event in batch],
                [event.time for event in batch],
                process,
                [_TYPES[event.type] for event in batch],
                functions.codes(event.f for event in batch),
                keys.codes(event.key for event in batch),
                values.codes(event.value for event in batch),
                nodes.codes(event.node for event in batch),
            )
            for column, numbers in zip(columns, cells, strict=True):
                column.extend(numbers)
            rows += len(batch)
        index, time, process_, kind, f, key, value, node = (
            np.frombuffer(column, dtype=np.int64) for column in columns
        )
        history = History(
            index=index,
            time=time,
            process=process_,
            type=kind,
            f=f,
            key=key,
            value=value,
            node=node,
            functions=tuple(functions.values),
            keys=tuple(keys.values),
            nodes=tuple(nodes.values),
            values=tuple(values.values),
            errors=errors,
            realtime=realtime,
        )
        return history._checked(source, negative)

    @staticmethod
    def from_columns(
        *,
        index: Ints,
        time: Ints,
        process: Ints,
        type: Ints,
        f: Ints,
        key: Ints,
        value: Ints,
        node: Ints,
        functions: tuple[str | None, ...],
        keys: tuple[Any, ...],
        nodes: tuple[str | None, ...],
        values: Sequence[Any],
        errors: dict[int, Any],
        realtime: bool = True,
        source: str = "history",
    ) -> History:
        """The history with these columns, validated as :meth:`from_events` does it.

        The columns are ``int64[n]``; a process is -1 for the nemesis. The codes are those of an
        :class:`Interner`: code 0 is ``None``, and no value has two. O(n log n).
        """
        history = History(
            index=index,
            time=time,
            process=process,
            type=type,
            f=f,
            key=key,
            value=value,
            node=node,
            functions=functions,
            keys=keys,
            nodes=nodes,
            values=values,
            errors=errors,
            realtime=realtime,
        )
        return history._checked(source, np.flatnonzero(process < _NEMESIS_PROCESS))

    def _checked(self, source: str, negative: Iterable[Any]) -> History:
        problems = [
            self._problem(source, int(row), "has a negative process", "a process of 0 or more")
            for row in negative
        ] + self._problems(source)
        if problems:
            raise BadInput(problems[:_PROBLEMS_MAX])
        return self

    def __len__(self) -> int:
        return len(self.index)

    def event(self, row: int) -> Event:
        """Row ``row`` as an event again."""
        process = int(self.process[row])
        return Event(
            index=int(self.index[row]),
            time=int(self.time[row]),
            process=NEMESIS if process == _NEMESIS_PROCESS else process,
            type=_TYPE_NAMES[self.type[row]],  # type: ignore[arg-type]  # a name of the table
            f=self.functions[self.f[row]] or "",
            key=self.keys[self.key[row]],
            value=self.values[self.value[row]],
            error=self.errors.get(row),
            node=self.nodes[self.node[row]],
        )

    def events(self) -> Iterator[Event]:
        """All events, in order."""
        return (self.event(row) for row in range(len(self)))

    def nemesis_events(self) -> tuple[Event, ...]:
        """The events of the nemesis, in order."""
        return tuple(
            self.event(int(row)) for row in np.flatnonzero(self.process == _NEMESIS_PROCESS)
        )

    def function(self, name: str) -> int:
        """The code of function ``name``; -1 when no event has it."""
        return self.functions.index(name) if name in self.functions else -1

    @cached_property
    def ordinal(self) -> bool:
        """Whether the times are only the positions of the events: readers give these where a file
        has no times, and what took how long cannot be said."""
        return bool(np.array_equal(self.time, np.arange(len(self))))

    @cached_property
    def operations(self) -> Operations:
        """The client operations, paired. O(n log n), computed once."""
        invocation, completion = self._pairs
        done = completion >= 0
        last = np.where(done, completion, invocation)
        outcome = np.where(done, self.type[last], Type.INFO)
        certain = outcome != Type.INFO
        return Operations(
            invocation=invocation,
            completion=completion,
            call=self.time[invocation],
            ret=np.where(certain, self.time[last], NEVER),
            process=self.process[invocation],
            outcome=outcome,
            f=self.f[invocation],
            key=self.key[invocation],
            argument=self.value[invocation],
            result=self.value[last],
            node=self.node[invocation],
        )

    @cached_property
    def _by_process(self) -> Ints:
        clients = np.flatnonzero(self.process != _NEMESIS_PROCESS)
        return clients[stable_order(self.process[clients])]

    @cached_property
    def _pairs(self) -> tuple[Ints, Ints]:
        rows = self._by_process
        invokes = self.type[rows] == Type.INVOKE
        follows = np.zeros(len(rows), dtype=bool)
        follows[:-1] = (self.process[rows[1:]] == self.process[rows[:-1]]) & ~invokes[1:]
        following = np.append(rows[1:], -1)
        invocation = rows[invokes]
        completion = np.where(follows, following, -1)[invokes]
        order = np.argsort(invocation)
        return invocation[order], completion[order]

    def _problems(self, source: str) -> list[Problem]:
        rows = self._by_process
        same = np.zeros(len(rows), dtype=bool)
        same[1:] = self.process[rows[1:]] == self.process[rows[:-1]]
        kind = self.type[rows]
        before = np.where(same, np.roll(kind, 1), -1)
        invoke = kind == Type.INVOKE
        unopened = ~invoke & (before != Type.INVOKE)
        reopened = invoke & (before == Type.INVOKE)
        revived = invoke & (before == Type.INFO)
        mismatched = ~invoke & (before == Type.INVOKE) & (self.f[rows] != np.roll(self.f[rows], 1))
        backwards = np.flatnonzero(np.diff(self.time) < 0) + 1
        endless = np.flatnonzero(self.time >= NEVER)
        found = [
            (reopened, "is invoked while an operation of its process is open", "one at a time"),
            (revived, "is invoked by a process whose operation ended as info", "a new process"),
            (unopened, "completes an operation that was not open", "an invocation before it"),
            (mismatched, "completes an operation of another function", "the same function"),
        ]
        problems = [
            self._problem(source, int(row), text, need)
            for mask, text, need in found
            for row in rows[mask][:_PROBLEMS_MAX]
        ]
        problems += [
            self._problem(source, int(row), text, need)
            for places, text, need in (
                (backwards, "lies before the event above it", "order of time"),
                (endless, "has a time of 2^62 or more", "nanoseconds, fewer than 2^62"),
            )
            for row in places[:_PROBLEMS_MAX]
        ]
        return problems[:_PROBLEMS_MAX]

    def _problem(self, source: str, row: int, text: str, need: str) -> Problem:
        event = self.event(row)
        return Problem(
            f"{source}: event {event.index} (process {event.process}, {event.type} {event.f}) "
            + text,
            need,
            "correct the program that wrote the history",
        )
