"""What the checkers of invariants share: rows of operations, and how to speak of them.

All work on rows of ``history.operations``; values are decoded once for each operation that matters.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from harness.core.contracts import CheckContext, Checker
from harness.core.history import NEVER, History, Operations
from harness.core.operation import Type
from harness.core.options import OptionValue
from harness.core.verdict import Anomaly

__all__ = ["Bools", "Facts", "Ints", "codes_of", "is_number", "setting", "show", "text_key"]

Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

_SHOWN_MAX = 100


@dataclass(frozen=True, slots=True)
class Facts:
    """The operations of a history. A *row* is a position in ``history.operations``."""

    history: History

    @property
    def operations(self) -> Operations:
        """The client operations, in order of invocation."""
        return self.history.operations

    def rows(self, *functions: str, outcomes: Iterable[Type] = (Type.OK,)) -> Ints:
        """The rows of these functions that ended so, ascending, ``int64[k]``."""
        codes = [self.history.function(name) for name in functions]
        wanted = np.isin(self.operations.f, [code for code in codes if code >= 0])
        wanted &= np.isin(self.operations.outcome, [int(one) for one in outcomes])
        return np.flatnonzero(wanted).astype(np.int64)

    def arguments(self, rows: Ints) -> list[Any]:
        """What each was asked."""
        values = self.history.values
        return [values[code] for code in self.operations.argument[rows].tolist()]

    def results(self, rows: Ints) -> list[Any]:
        """What each answered (its argument, where it did not)."""
        values = self.history.values
        return [values[code] for code in self.operations.result[rows].tolist()]

    def index(self, rows: Iterable[int]) -> tuple[int, ...]:
        """The history indices of the invocations, in their order, each once: a witness."""
        ordered = sorted({int(row) for row in rows})
        return tuple(int(self.history.index[self.operations.invocation[row]]) for row in ordered)

    def key(self, row: int) -> Any:
        """The object that the operation was about."""
        return self.history.keys[int(self.operations.key[row])]

    def process(self, row: int, *, start: bool = False) -> str:
        """``process 4``; ``Process 4`` at the start of a sentence."""
        return f"{'Process' if start else 'process'} {int(self.operations.process[row])}"

    def called(self, row: int) -> str:
        """When it was invoked."""
        return self.moment(int(self.operations.call[row]))

    def returned(self, row: int) -> str:
        """When it returned."""
        ret = int(self.operations.ret[row])
        return "no certain end" if ret == NEVER else self.moment(ret)

    def moment(self, time_ns: int) -> str:
        """A time in words; the event's position where the history has no times."""
        return f"event {time_ns:,}" if self.history.ordinal else f"{time_ns / 1e6:,.3f} ms"

    def on(self, row: int) -> str:
        """`` (key "x")``, or nothing where there is no key."""
        key = self.key(row)
        return "" if key is None else f" (key {show(key)})"

    def anomaly(
        self, name: str, sentence: str, rows: Iterable[int], *, key: Any = None, **details: Any
    ) -> Anomaly:
        """An anomaly whose witness are ``rows``."""
        return Anomaly(
            name=name, sentence=sentence, operations=self.index(rows), key=key, details=details
        )


def show(value: Any) -> str:
    """A value as it stands in a history, shortened where it is long."""
    try:
        text = msgspec.json.encode(value).decode()
    except (TypeError, msgspec.MsgspecError):
        text = repr(value)
    return text if len(text) <= _SHOWN_MAX else text[: _SHOWN_MAX - 3] + "..."


def is_number(value: Any) -> bool:
    """Whether it is an integer or a float. A boolean is none, although Python says so."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def text_key(key: Any) -> str:
    """The name of a key or an account: JSON has only strings as the names of fields, so that the
    number 1 in one place is the string ``"1"`` in another."""
    return key if isinstance(key, str) else show(key)


def codes_of(values: Iterable[Any], name: Callable[[Any], Any]) -> tuple[Ints, list[Any]]:
    """A number for each value and the value that each number stands for first; values have the same
    number exactly if ``name`` gives them equal names. O(n)."""
    numbers: dict[Any, int] = {}
    first: list[Any] = []
    result = []
    for value in values:
        called = name(value)
        number = numbers.get(called)
        if number is None:
            number = numbers[called] = len(first)
            first.append(value)
        result.append(number)
    return np.array(result, dtype=np.int64), first


def setting(checker: Checker, context: CheckContext, name: str) -> OptionValue:
    """The option ``name``, or its default."""
    declared = {option.name: option.default for option in checker.options}
    return context.options.get(name, declared[name])
