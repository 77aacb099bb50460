"""Operations of tiny histories of replicated data types, and which of their reads are final."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

from harness.core.history import History
from harness.core.operation import Event

__all__ = [
    "OR_SET_UPDATES",
    "Row",
    "after_of",
    "build",
    "element_of",
    "final_reads",
    "indexed",
    "keys_of",
    "settled",
    "subsets",
    "sums",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One operation; times in ticks. ``ret`` is None when it never completes."""

    process: int
    f: str
    argument: Any = None
    result: Any = None
    call: int
    ret: int | None
    outcome: str = "ok"
    key: Any = None
    node: str | None = None

    @property
    def ok(self) -> bool:
        return self.outcome == "ok" and self.ret is not None

    @property
    def end(self) -> float:
        """When it certainly was over."""
        return float("inf") if self.ret is None or self.outcome == "info" else self.ret

    @property
    def replica(self) -> tuple[int, Any]:
        return (0, self.node) if self.node is not None else (1, self.process)

    def before(self, other: Row) -> bool:
        return self.end < other.call

    def precedes(self, other: Row) -> bool:
        """In the session of one replica."""
        return self.replica == other.replica and self.before(other)


def build(rows: Sequence[Row], *, scale: int = 1_000_000, shift: int = 0) -> History:
    """The history of ``rows``; at equal times, events keep the order of their operations."""
    return indexed(rows, scale=scale, shift=shift)[0]


def indexed(
    rows: Sequence[Row], *, scale: int = 1_000_000, shift: int = 0
) -> tuple[History, dict[int, Row]]:
    """The history of ``rows``, and which of them was invoked at each index."""
    events: list[tuple[int, int, int, dict[str, Any], Row]] = []
    for place, row in enumerate(sorted(rows, key=lambda row: row.call)):
        common = {"process": row.process, "f": row.f, "key": row.key, "node": row.node}
        asked = {**common, "type": "invoke", "value": row.argument}
        events.append((row.call, place, 0, asked, row))
        if row.ret is not None:
            value = row.result if row.outcome == "ok" else row.argument
            done = {**common, "type": row.outcome, "value": value}
            events.append((row.ret, place, 1, done, row))
    events.sort(key=lambda event: event[:3])
    made = History.from_events(
        Event(index=index, time=at * scale + shift, **fields)
        for index, (at, _, _, fields, _) in enumerate(events)
    )
    called = {index: row for index, (*_, step, _, row) in enumerate(events) if step == 0}
    return made, called


def final_reads(rows: Sequence[Row], key: Any, updates: tuple[str, ...]) -> list[Row]:
    """The last read of each replica, of those that began after all updates of the key were over or
    given up."""
    made = [row for row in rows if row.key == key and row.f in updates and row.outcome != "fail"]
    rest = max((row.call if row.ret is None else row.ret for row in made), default=-1)
    last: dict[Any, Row] = {}
    for row in sorted(rows, key=lambda row: row.call):
        if row.key == key and row.f in ("read", "contains") and row.ok and row.call > rest:
            last[row.replica, row.f, json.dumps(row.argument)] = row
    return list(last.values())


def settled(rows: Sequence[Row], key: Any, updates: tuple[str, ...]) -> bool:
    """No update is still open: those that were given up are over."""
    return not any(row.ret is None for row in rows if row.key == key and row.f in updates)


def keys_of(rows: Sequence[Row]) -> list[Any]:
    return list(dict.fromkeys(row.key for row in rows))


def sums(amounts: Iterable[int]) -> set[int]:
    found = {0}
    for amount in amounts:
        found |= {one + amount for one in found}
    return found


def subsets(rows: Sequence[Any]) -> Iterable[tuple[Any, ...]]:
    return (some for size in range(len(rows) + 1) for some in combinations(rows, size))


OR_SET_UPDATES = ("add", "remove")


def element_of(row: Row) -> Any:
    if isinstance(row.argument, dict):
        return row.argument["element"]
    return row.argument[1] if row.f == "insert" else row.argument


def after_of(row: Row) -> Any:
    return row.argument.get("after") if isinstance(row.argument, dict) else None
