"""Random tiny histories of replicated data types: nearly right, or spoiled in a place or two."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from tests.checkers.convergence_rows import (
    OR_SET_UPDATES,
    Row,
    after_of,
    element_of,
    final_reads,
    keys_of,
)

__all__ = [
    "counter_rows",
    "or_set_rows",
    "register_rows",
    "sequence_rows",
    "set_rows",
    "stamped_rows",
]

Ask = Callable[[random.Random, str], tuple[Any, Any]]


def intervals(
    source: random.Random, functions: Mapping[str, int], ask: Ask, operations: int
) -> list[Row]:
    """Operations of one to three processes; times collide, some fail, and some never end. A few
    reads often come at the end, when all else is over."""
    processes = source.randint(1, 3)
    clock = [source.randint(0, 2) for _ in range(processes)]
    names = list(range(processes))
    nodes = source.choice((False, False, True))
    keys = source.choice(((None,), (None,), (None,), ("x", "y")))
    sure = source.random() < 0.5
    ticks = source.choice((1, 3, 8))
    ending = source.random() < 0.7
    rows: list[Row] = []
    for number in range(operations):
        late = ending and number >= operations - source.choice((1, 2, 2, 3))
        which = source.randrange(processes)
        if late:
            clock[which] = max(*clock, *(row.ret or 0 for row in rows), 0) + source.choice((0, 1))
        f = "read" if late else source.choices([*functions], [*functions.values()])[0]
        call = clock[which] + source.randint(0, max(1, ticks // 2))
        ret: int | None = call + source.randint(0, ticks)
        assert ret is not None
        clock[which] = ret
        outcome = "ok"
        if not sure and f not in ("read", "contains"):
            outcome = source.choices(["ok", "info", "fail", "open"], [12, 4, 2, 1])[0]
        argument, result = ask(source, f)
        rows.append(
            Row(
                process=names[which],
                f=f,
                argument=argument,
                result=result,
                call=call,
                ret=None if outcome == "open" else ret,
                outcome="info" if outcome == "open" else outcome,
                key=source.choice(keys),
                node=f"n{which}" if nodes else None,
            )
        )
        if outcome in ("info", "open"):
            names[which] += processes
    return rows


def counter_rows(source: random.Random, amounts: Sequence[int]) -> list[Row]:
    def ask(source: random.Random, f: str) -> tuple[Any, Any]:
        amount = source.choice(amounts)
        return (amount, amount) if f == "add" else (None, 0)

    rows = intervals(source, {"add": 3, "read": 2}, ask, source.randint(2, 7))
    return [_counted(source, rows, row) for row in rows]


def _counted(source: random.Random, rows: Sequence[Row], row: Row) -> Row:
    """A read with a sum that may be right."""
    if row.f != "read":
        return row
    adds = [other for other in rows if other.f == "add" and other.key == row.key]
    likely = [add for add in adds if add.before(row) or source.random() < 0.4]
    value = sum(add.argument for add in likely if add.outcome != "fail")
    if source.random() < 0.25:
        value += source.choice([-3, -2, -1, 1, 2, 5])
    return replace(row, result=value)


def set_rows(source: random.Random) -> list[Row]:
    def ask(source: random.Random, f: str) -> tuple[Any, Any]:
        element = source.randrange(3)
        return (element, element) if f == "add" else (None, [])

    rows = intervals(source, {"add": 2, "read": 2}, ask, source.randint(2, 7))
    return [_filled(source, rows, row) for row in rows]


def _filled(source: random.Random, rows: Sequence[Row], row: Row) -> Row:
    """A read with an answer that may be right."""
    if row.f != "read":
        return row
    found = set()
    for other in rows:
        if other.f == "add" and other.key == row.key and other.outcome != "fail":
            chance = 0.93 if other.before(row) else 0.5 if other.call <= row.end else 0.02
            if source.random() < chance:
                found.add(other.argument)
    if source.random() < 0.03:
        found.add(source.randrange(4))
    elements = sorted(found)
    source.shuffle(elements)
    if elements and source.random() < 0.02:
        elements.append(elements[0])
    return replace(row, result=elements)


def or_set_rows(source: random.Random, *, tags: bool) -> list[Row]:
    elements = source.choice((1, 1, 2))

    def ask(source: random.Random, f: str) -> tuple[Any, Any]:
        element = source.randrange(elements)
        return (None, []) if f == "read" else (element, element)

    weights = {"add": 3, "remove": 3, "read": 3, "contains": source.choice((0, 1))}
    rows = intervals(source, weights, ask, source.randint(2, 9))
    if tags:
        rows = [
            replace(row, result=[row.argument, f"t{at}"]) if row.f == "add" else row
            for at, row in enumerate(rows)
        ]
    # Somebody knows of something: what follows from that is explained, unless knowledge shrinks.
    eager = source.choice((0.3, 0.6, 0.9))
    known = {
        at: {
            other
            for other, update in enumerate(rows)
            if update.f in ("add", "remove")
            and update.key == row.key
            and update.outcome != "fail"
            and other != at
            and not row.before(update)
            and (update.precedes(row) or source.random() < (eager if update.before(row) else 0.3))
        }
        for at, row in enumerate(rows)
    }
    for at, row in enumerate(rows):
        for other, later in enumerate(rows):
            if row.precedes(later) and source.random() < 0.9:
                known[other] |= {
                    one
                    for one in known[at]
                    if rows[one].key == later.key and not later.before(rows[one])
                }
    final = {id(row) for key in keys_of(rows) for row in final_reads(rows, key, OR_SET_UPDATES)}
    filled = []
    for at, row in enumerate(rows):
        if id(row) in final and source.random() < 0.9:
            known[at] = {
                other
                for other, update in enumerate(rows)
                if update.f in ("add", "remove")
                and update.key == row.key
                and (update.ok or (update.outcome == "info" and other % 2))
            }
        alive = {
            rows[add].argument
            for add in known[at]
            if rows[add].f == "add"
            and not any(
                rows[remove].f == "remove"
                and rows[remove].argument == rows[add].argument
                and add in known[remove]
                for remove in known[at]
            )
        }
        if row.f == "remove" and tags and source.random() < 0.9:
            seen = [
                rows[one].result[1]
                for one in sorted(known[at])
                if rows[one].f == "add"
                and rows[one].argument == row.argument
                and source.random() < 0.8
            ]
            filled.append(replace(row, result=seen))
            continue
        if source.random() < 0.06:
            alive ^= {source.randrange(elements)}
        answers = {"read": sorted(alive), "contains": [row.argument, row.argument in alive]}
        filled.append(replace(row, result=answers.get(row.f, row.result)))
    return filled


def register_rows(source: random.Random, *, siblings: bool) -> list[Row]:
    def ask(source: random.Random, f: str) -> tuple[Any, Any]:
        value = source.randrange(3)
        return (value, value) if f == "write" else (None, None)

    rows = intervals(source, {"write": 3, "read": 2}, ask, source.randint(2, 7))
    if siblings:
        fresh = iter(range(100))
        rows = [
            replace(row, argument=value, result=value) if row.f == "write" else row
            for row, value in zip(rows, fresh, strict=False)
        ]
    filled: list[Row] = []
    eager = source.choice((0.2, 0.8))
    for row in rows:
        begun = [
            other
            for other in rows
            if (other.f, other.key) == ("write", row.key)
            and other.outcome != "fail"
            and (other.call <= row.end or source.random() < 0.05)
        ]
        if row.f != "read":
            filled.append(row)
        elif siblings:
            # What a session knew is overwritten, more or less.
            alive = [
                one.argument
                for one in begun
                if not any(
                    later is not one and later.ok and _context(rows, filled, later, one.argument)
                    for later in begun
                )
            ]
            odd = [one.argument for one in begun if source.random() < 0.5]
            chosen = alive if source.random() < 0.8 else odd
            filled.append(replace(row, result=chosen))
        else:
            late = [one for one in begun if not any(one.before(other) for other in begun)]
            fitting = late if source.random() < eager else begun
            best = source.choice(fitting).argument if fitting else None
            latest = max(late, key=lambda one: (one.ok, one.call)).argument if late else None
            filled.append(replace(row, result=latest if source.random() < eager else best))
    return filled


def _context(rows: Sequence[Row], filled: Sequence[Row], write: Row, value: Any) -> bool:
    """Whether the process of a write had written or read the value before."""
    return any(
        other.process == write.process
        and other.key == write.key
        and other is not write
        and (other.call, _place(rows, other)) < (write.call, _place(rows, write))
        and (
            (other.f == "write" and other.ok and other.argument == value)
            or (other.f == "read" and other.ok and value in (other.result or []))
        )
        for other in filled
    )


def _place(rows: Sequence[Row], row: Row) -> int:
    """Its place among the operations of its process, which come one after another."""
    for place, other in enumerate(rows):
        if other is row or (
            (other.process, other.call, other.ret, other.f)
            == (row.process, row.call, row.ret, row.f)
            and other.key == row.key
            and (row.f == "read" or other.argument == row.argument)
        ):
            return place
    raise AssertionError("not among them")


def stamped_rows(source: random.Random) -> list[Row]:
    stamps = list(range(20))
    if source.random() < 0.5:
        source.shuffle(stamps)
    rows = register_rows(source, siblings=False)
    result = []
    for row, stamp in zip(rows, stamps, strict=False):
        if row.f == "write":
            result.append(replace(row, result=[row.argument, stamp]))
        else:
            result.append(row)
    final = {id(read) for key in keys_of(rows) for read in final_reads(rows, key, ("write",))}
    for place, row in enumerate(rows):
        sure = [one for one in result if one.f == "write" and one.ok and one.key == row.key]
        if id(row) in final and sure and source.random() < 0.7:
            best = max(sure, key=lambda one: one.result[1])
            result[place] = replace(row, result=source.choice([best.argument, best.result]))
    return result


def sequence_rows(source: random.Random) -> list[Row]:
    fresh = iter(range(100))
    made: list[int] = []

    def ask(source: random.Random, f: str) -> tuple[Any, Any]:
        if f == "read":
            return None, []
        if f == "delete":
            element = source.choice([*made, 0])
            return element, element
        element = next(fresh)
        made.append(element)
        where: Any = [0, element]
        if source.random() < 0.5:
            where = {"element": element, "after": source.choice([None, *made[:-1]])}
        return where, where

    weights = {"insert": 4, "delete": source.choice((0, 1, 1)), "read": 3}
    rows = intervals(source, weights, ask, source.randint(2, 8))
    order = list(range(100))
    source.shuffle(order)
    chaos = source.random() < 0.25
    return [_ordered(source, rows, row, order, chaos) for row in rows]


def _ordered(
    source: random.Random, rows: Sequence[Row], row: Row, order: list[int], chaos: bool
) -> Row:
    """A read with a list that may be right."""
    if row.f != "read":
        return row
    found = []
    for other in rows:
        if other.f != "insert" or other.key != row.key or other.outcome == "fail":
            continue
        element = element_of(other)
        deletes = [one for one in rows if one.f == "delete" and one.argument == element]
        gone = any(one.call <= row.end and one.outcome != "fail" for one in deletes)
        chance = 0.97 if other.before(row) else 0.5 if other.call <= row.end else 0.01
        if source.random() < chance * (0.1 if gone else 1.0):
            found.append(element)
    afters = {element_of(one): after_of(one) for one in rows if one.f == "insert"}
    found.sort(key=lambda one: _path(afters, order, one))
    if chaos and source.random() < 0.3:
        source.shuffle(found)
    return replace(row, result=found)


def _path(afters: Mapping[int, Any], order: list[int], element: int) -> list[int]:
    path = [order[element]]
    while afters.get(element) is not None:
        element = afters[element]
        path.insert(0, order[element])
    return path
