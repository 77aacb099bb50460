"""From the rows of other programs' histories to a :class:`History`.

Some of them let a process go on after an operation whose outcome is not known. Here such a process
is retired, and goes on under a new number.

The order of the rows is the order of the events, as Jepsen and Porcupine have it: a time that does
not lie after the one before it is moved there. Where any row lacks a time, the positions are the
times.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from harness.core.errors import BadInput, Problem
from harness.core.history import History
from harness.core.operation import NEMESIS, Event

__all__ = ["PROBLEMS_MAX", "Row", "Trouble", "assemble", "refuse", "require_sayable"]

PROBLEMS_MAX = 20
_TYPES = ("invoke", "ok", "fail", "info")


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One event, as another program wrote it. ``offset`` is where in the text it begins."""

    process: int | Literal["nemesis"]
    type: str
    f: str
    offset: int
    key: Any = None
    value: Any = None
    error: Any = None
    time: int | None = None
    index: int | None = None


@dataclass(frozen=True, slots=True)
class Trouble:
    """What is wrong at ``offset``."""

    offset: int
    found: str
    needed: str


def refuse(source: str, text: str, troubles: Iterable[Trouble]) -> BadInput:
    """The error that says all ``troubles``, each with its line and column."""
    problems = []
    for trouble in list(troubles)[:PROBLEMS_MAX]:
        line = text.count("\n", 0, trouble.offset) + 1
        column = trouble.offset - (text.rfind("\n", 0, trouble.offset) + 1) + 1
        problems.append(
            Problem(
                f"{source}:{line}:{column}: {trouble.found}",
                trouble.needed,
                "correct the program that wrote the history, or the line",
            )
        )
    return BadInput(problems)


def require_sayable(history: History, obstacle: Callable[[Event], str | None], needed: str) -> None:
    """Raise :class:`BadInput` for events that a format cannot say, once for each reason."""
    reasons: dict[str, list[Event]] = {}
    for event in history.events():
        reason = obstacle(event)
        if reason is not None:
            reasons.setdefault(reason, []).append(event)
    problems = []
    for reason, events in reasons.items():
        first, others = events[0], len(events) - 1
        more = f" and {others:,} more" if others else ""
        found = f"event {first.index} ({first.type} {first.f}){more}: {reason}"
        problems.append(Problem(found, needed, "convert to jepsen-edn or splitbrain"))
    if problems:
        raise BadInput(problems)


def assemble(rows: Sequence[Row], source: str, text: str) -> History:
    """The history of ``rows``. Raises :class:`BadInput`."""
    troubles = [
        Trouble(row.offset, f"type {row.type!r}", "invoke, ok, fail or info")
        for row in rows
        if row.type not in _TYPES
    ]
    if troubles:
        raise refuse(source, text, troubles)
    times = _increasing(rows)
    indexed = all(row.index is not None for row in rows)
    numbers = _renumbered(rows)
    return History.from_events(
        (
            Event(
                index=row.index if indexed and row.index is not None else place,
                time=times[place],
                process=number,
                type=row.type,  # type: ignore[arg-type]  # one of the four
                f=row.f,
                key=row.key,
                value=row.value,
                error=row.error,
            )
            for place, (row, number) in enumerate(zip(rows, numbers, strict=True))
        ),
        source=source,
    )


def _increasing(rows: Sequence[Row]) -> list[int]:
    times, latest = [], -1
    for place, row in enumerate(rows):
        if row.time is None:
            return list(range(len(rows)))
        latest = max(row.time, latest + 1) if place else row.time
        times.append(latest)
    return times


def _renumbered(rows: Sequence[Row]) -> list[int | Literal["nemesis"]]:
    fresh = max((row.process for row in rows if row.process != NEMESIS), default=0)
    names: dict[int, int] = {}
    retired: set[int] = set()
    numbers: list[int | Literal["nemesis"]] = []
    for row in rows:
        if row.process == NEMESIS:
            numbers.append(NEMESIS)
            continue
        if row.type == "invoke" and row.process in retired:
            fresh += 1
            names[row.process] = fresh
            retired.discard(row.process)
        if row.type == "info":
            retired.add(row.process)
        numbers.append(names.get(row.process, row.process))
    return numbers
