"""Histories in Porcupine's form as histories of ours, for models that are made for them.

Porcupine's inputs and outputs mean what its user's model says. Whoever says what they mean to us
gets the procedures that are faster than any search, the sentences and the report.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from checkers.porcupine.forms import Event, Operation, paired, require_intervals
from harness.core import operation as core
from harness.core.errors import BadInput, Problem
from harness.core.history import History

__all__ = ["Meaning", "history_from_events", "history_from_operations"]

Meaning = Callable[[Any, Any], tuple[str, Any, Any, Any]]
"""From input and output to function, key, argument and result (``docs/models.md``). The output is
:data:`checkers.models.UNKNOWN` for an operation that never returned, and its result counts not."""

_PROBLEMS_MAX = 20


def history_from_operations(operations: Iterable[Operation], meaning: Meaning) -> History:
    """The history of ``operations``, whose times are whole nanoseconds.

    A client is a process; one with several operations open at a time is several, and one that got
    no answer goes on under a new number. Raises :class:`BadInput`. O(n log n).
    """
    listed = list(operations)
    require_intervals(listed)
    problems = [
        Problem(f"operation {at} with times that are no integers", "nanoseconds", "round them")
        for at, one in enumerate(listed)
        if not all(isinstance(time, int) for time in (one.call, one.return_) if time is not None)
    ]
    if problems:
        raise BadInput(problems[:_PROBLEMS_MAX])
    return History.from_events(_events(listed, meaning), source="operations")


def history_from_events(events: Iterable[Event], meaning: Meaning) -> History:
    """As :func:`history_from_operations`; the times are the positions of the events."""
    return history_from_operations(paired(list(events)), meaning)


def _events(operations: list[Operation], meaning: Meaning) -> Iterable[core.Event]:
    first = min((one.call for one in operations), default=0)
    # At equal times calls come before returns: operations that touch are concurrent.
    calls = [(one.call, 0, at) for at, one in enumerate(operations)]
    returns = [(one.return_, 1, at) for at, one in enumerate(operations) if one.return_ is not None]
    free: dict[int, list[int]] = {}
    process: dict[int, int] = {}
    count = 0
    for index, (moment, returned, at) in enumerate(sorted([*calls, *returns])):
        one = operations[at]
        f, key, argument, result = meaning(one.input, one.output)
        mine = free.setdefault(one.client_id, [])
        if returned:
            number = process.pop(at)
            mine.append(number)
        elif mine:
            number = process[at] = mine.pop()
        else:
            number = process[at] = count
            count += 1
        yield core.Event(
            index=index,
            time=int(moment - first),
            process=number,
            type="ok" if returned else "invoke",
            f=f,
            key=key,
            value=result if returned else argument,
        )
