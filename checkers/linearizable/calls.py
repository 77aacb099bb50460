"""The operations of any model as columns, many keys at once; and what a procedure says of them.

A *procedure* decides keys of one kind of object faster than the general search: it is exact for the
keys that it decides, and names those that it cannot. Times are ranks, as in :mod:`.registers`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from checkers.linearizable.registers import Ints, ranks
from harness.core.history import NEVER, History
from harness.core.operation import Type

__all__ = ["Answer", "Calls", "Procedure", "Proof", "Violation", "Words", "columns", "moment"]

_COLUMNS = ("row", "key", "f", "argument", "result", "call", "ret")


@dataclass(frozen=True, slots=True, kw_only=True)
class Calls:
    """One row an operation that did not fail, in order of invocation; ``int64[n]`` each.

    ``row`` is the position in ``history.operations``; ``key`` a code; ``f`` a code of
    ``functions``; ``argument`` and ``result`` codes of ``values`` (0: null). ``call`` and ``ret``
    are ranks in ``[0, horizon)``; ``ret`` is ``horizon`` for an indeterminate operation, whose
    ``result`` means nothing. ``a`` came before ``b`` if ``a.ret < b.call``; equal ranks are
    concurrent.
    """

    row: Ints
    key: Ints
    f: Ints
    argument: Ints
    result: Ints
    call: Ints
    ret: Ints
    horizon: int
    functions: tuple[str | None, ...]
    values: Sequence[Any]

    def __len__(self) -> int:
        return len(self.row)

    @property
    def certain(self) -> NDArray[np.bool_]:
        """The operations that happened."""
        certain: NDArray[np.bool_] = self.ret != self.horizon
        return certain

    def of(self, name: str) -> NDArray[np.bool_]:
        """The operations of function ``name``."""
        code = self.functions.index(name) if name in self.functions else -1
        chosen: NDArray[np.bool_] = self.f == code
        return chosen

    def select(self, rows: NDArray[np.bool_] | Ints) -> Calls:
        """The operations at ``rows`` (a mask or positions), in the same order."""
        return replace(self, **{name: getattr(self, name)[rows] for name in _COLUMNS})


@dataclass(frozen=True, slots=True)
class Proof:
    """Why a key is not linearizable. ``operations`` are positions in the calls: already illegal
    when nothing else happened. ``sentence`` ends with a full stop, and begins in lower case,
    without the key."""

    name: str
    sentence: str
    operations: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Violation:
    """A broken key; ``prove()`` finds the proof, on demand, for only a few are ever shown."""

    key: int
    prove: Callable[[], Proof]


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """At most one violation for each key; ``undecided`` are the keys (sorted, without those broken)
    that need the general search. All other keys are linearizable."""

    violations: list[Violation] = field(default_factory=list)
    undecided: Ints = field(default_factory=lambda: np.zeros(0, dtype=np.int64))


@dataclass(frozen=True, slots=True)
class Words:
    """How to speak of an operation (a position in ``calls``)."""

    history: History
    calls: Calls

    def process(self, position: int) -> str:
        """``process 4``."""
        return f"process {int(self.history.operations.process[self.calls.row[position]])}"

    def called(self, position: int) -> str:
        """When it was called."""
        return moment(self.history, int(self.history.operations.call[self.calls.row[position]]))

    def returned(self, position: int) -> str:
        """When it returned."""
        ret = int(self.history.operations.ret[self.calls.row[position]])
        return "no certain end" if ret == NEVER else moment(self.history, ret)

    def argument(self, position: int) -> str:
        """The argument, as it stands in a history."""
        return self.value(int(self.calls.argument[position]))

    def result(self, position: int) -> str:
        """The result, as it stands in a history."""
        return self.value(int(self.calls.result[position]))

    def value(self, code: int) -> str:
        """A value, as it stands in a history."""
        return msgspec.json.encode(self.calls.values[code]).decode()


Procedure = Callable[[Calls, Words], Answer]
"""Decides all keys of ``calls`` at once. Must not loop over operations in Python where there may be
many; never answers "linearizable" for a key that it does not fully understand."""


def columns(history: History) -> Calls:
    """All operations of ``history`` that did not fail. O(n)."""
    everything = history.operations
    rows = np.flatnonzero(everything.outcome != Type.FAIL)
    operations = everything.select(rows)
    call, ret, horizon = ranks(history, operations)
    return Calls(
        row=rows.astype(np.int64),
        key=operations.key,
        f=operations.f,
        argument=operations.argument,
        result=operations.result,
        call=call,
        ret=ret,
        horizon=horizon,
        functions=history.functions,
        values=history.values,
    )


def moment(history: History, time_ns: int) -> str:
    """A time in words: in milliseconds, or as the event's position where there are no times."""
    return f"event {time_ns:,}" if history.ordinal else f"{time_ns / 1e6:,.3f} ms"
