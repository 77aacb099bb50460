"""The checkers of convergence and of replicated data types against their definitions, word by word.

    python -m tests.checkers.convergence_oracle --histories 50000 --jobs 2
    python -m tests.checkers.convergence_oracle --type or-set --histories 50000

Random tiny histories, judged a second time by enumeration: every subset of additions, every way in
which updates can have become visible. Nothing is shared with the checkers. The verdict must be the
same, and what an anomaly names must be illegal alone. A disagreement names the seed that repeats
it.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations, permutations, product
from multiprocessing import Pool
from typing import Any

from harness.core.contracts import CheckContext
from harness.core.history import History
from harness.core.operation import Event
from harness.core.verdict import Validity, Verdict
from harness.registry import INSTALLED

__all__ = ["TYPES", "Row", "build", "compare", "judged"]

_CHUNK = 500
VALID, INVALID, UNKNOWN = Validity.VALID, Validity.INVALID, Validity.UNKNOWN


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


# --- random histories ------------------------------------------------------------------------


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


# --- what is final ---------------------------------------------------------------------------


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


# --- the types -------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Type:
    """A data type: its random histories, and the judge of a history (whether it is valid; None when
    it says too little)."""

    checker: str
    make: Callable[[random.Random], list[Row]]
    judge: Callable[[Sequence[Row]], bool | None]
    options: Mapping[str, Any]


def _counter_rows(source: random.Random, amounts: Sequence[int]) -> list[Row]:
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


def _judge_counter(rows: Sequence[Row], *, growing: bool) -> bool | None:
    if not any(row.f == "read" and row.ok for row in rows):
        return None
    unread = False
    for key in keys_of(rows):
        mine = [row for row in rows if row.key == key]
        adds = [row for row in mine if row.f == "add" and row.outcome != "fail"]
        reads = [row for row in mine if row.f == "read" and row.ok]
        final = final_reads(rows, key, ("add",))
        for read in reads:
            begun = [add.argument for add in adds if add.call <= read.end]
            if read.result not in sums(begun):
                return False
        sure = sum(add.argument for add in adds if add.ok)
        reached = {sure + more for more in sums(add.argument for add in adds if not add.ok)}
        if any(read.result not in reached for read in final):
            return False
        if settled(rows, key, ("add",)) and len({read.result for read in final}) > 1:
            return False
        if growing:
            if any(add.ok and add.argument < 0 for add in adds):
                return False
            if any(a.precedes(b) and a.result > b.result for a, b in product(reads, reads)):
                return False
        unread |= bool(adds) and not final
    return None if unread else True


def _set_rows(source: random.Random) -> list[Row]:
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


def _judge_set(rows: Sequence[Row], *, linearizable: bool) -> bool | None:
    stable = 0
    if not any(row.f == "read" and row.ok for row in rows):
        return None
    for key in keys_of(rows):
        mine = [row for row in rows if row.key == key]
        reads = [row for row in mine if row.f == "read" and row.ok]
        if any(len(set(read.result)) < len(read.result) for read in reads):
            return False
        elements = {one for read in reads for one in read.result}
        elements |= {row.argument for row in mine if row.f == "add"}
        for element in elements:
            adds = [row for row in mine if row.f == "add" and row.argument == element]
            maybe = [add for add in adds if add.outcome != "fail"]
            with_it = [read for read in reads if element in read.result]
            without = [read for read in reads if element not in read.result]
            if any(all(add.call > read.end for add in maybe) for read in with_it):
                return False
            sources = [add for add in adds if add.ok] + with_it
            if linearizable and any(a.before(b) for a in sources for b in without):
                return False
            if sources and any(all(a.before(b) for a in sources) for b in without):
                return False
            stable += bool(with_it)
    return True if stable else None


def _judge_convergence(rows: Sequence[Row]) -> bool | None:
    if not any(row.f == "read" and row.ok for row in rows):
        return None
    updated = any(row.f != "read" and row.outcome != "fail" for row in rows)
    nodes = {row.node for row in rows} - {None}
    unknown = not updated
    for key in keys_of(rows):
        final = final_reads(rows, key, ("add",))
        answers = {tuple(sorted(read.result)) for read in final}
        due = [r for r in rows if r.key == key and r.f == "add" and r.outcome != "fail"]
        if len(answers) > 1:
            if settled(rows, key, ("add",)):
                return False
            unknown = True
        if due and len({read.replica for read in final}) < max(2, len(nodes)):
            unknown = True
    return None if unknown else True


def _or_set_rows(source: random.Random, *, tags: bool) -> list[Row]:
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
    final = {id(row) for key in keys_of(rows) for row in final_reads(rows, key, _OR_SET_UPDATES)}
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


_OR_SET_UPDATES = ("add", "remove")


def _judge_or_set(rows: Sequence[Row], *, tags: bool = False) -> bool | None:
    if tags and any(_phantom_tag(rows, row) for row in rows if row.f == "remove"):
        return False
    if not any(row.f in ("read", "contains") and row.ok for row in rows):
        return None
    unread = False
    for key in keys_of(rows):
        mine = [row for row in rows if row.key == key]
        final = final_reads(rows, key, _OR_SET_UPDATES)
        updates = [row for row in mine if row.f in _OR_SET_UPDATES and row.outcome != "fail"]
        elements = {row.argument for row in mine if row.f != "read"}
        elements |= {one for row in mine if row.f == "read" and row.ok for one in row.result}
        for element in sorted(elements):
            about = [row for row in updates if row.argument == element]
            sights = [
                (row, element in row.result if row.f == "read" else row.result[1])
                for row in mine
                if row.ok and (row.f == "read" or (row.f == "contains" and row.argument == element))
            ]
            if not _explained(about, sights, final, settled(rows, key, _OR_SET_UPDATES), tags):
                return False
            asked = any(row.f == "read" or row.argument == element for row in final)
            unread |= bool(about) and not asked
    return None if unread else True


def _phantom_tag(rows: Sequence[Row], remove: Row) -> bool:
    """Whether a removal took away what nobody can have added by then."""
    if not (remove.ok and isinstance(remove.result, list)):
        return False
    adds = [
        row
        for row in rows
        if row.f == "add"
        and (row.key, row.argument, row.outcome == "fail") == (remove.key, remove.argument, False)
    ]
    if any(row.ok and row.result[1] in remove.result and remove.before(row) for row in adds):
        return True
    strange = set(remove.result) - {row.result[1] for row in adds if row.ok}
    return bool(strange) and not any(not row.ok for row in adds)


def _explained(
    updates: list[Row],
    sights: list[tuple[Row, bool]],
    final: list[Row],
    settled: bool,
    tags: bool,
) -> bool:
    """Whether there is a relation of who has observed which update, tried one by one."""
    doubtful = [row for row in updates if not row.ok]
    return any(
        _observable(
            [row for row in updates if row.ok or any(row is one for one in effective)],
            sights,
            final,
            settled,
            tags,
        )
        for effective in subsets(doubtful)
    )


def _observable(
    updates: list[Row],
    sights: list[tuple[Row, bool]],
    final: list[Row],
    settled: bool,
    tags: bool,
) -> bool:
    removes = [row for row in updates if row.f == "remove"]
    adds = [row for row in updates if row.f == "add"]

    def choices(observer: Row, among: list[Row]) -> list[frozenset[int]]:
        last = any(observer is one for one in final)
        must = {
            id(one)
            for one in among
            if (one.ok and (one.precedes(observer) or last)) or (last and settled)
        }
        may = [one for one in among if one is not observer and not observer.before(one)]
        return [
            frozenset(map(id, some)) | must
            for some in subsets([one for one in may if id(one) not in must])
            if must <= {id(one) for one in may}
        ]

    def taken(remove: Row, knows: frozenset[int]) -> list[frozenset[int]]:
        if not (tags and remove.ok and isinstance(remove.result, list)):
            return [knows]
        named = {id(add) for add in adds if add.ok and add.result[1] in remove.result}
        strange = set(remove.result) - {add.result[1] for add in adds if add.ok}
        nameless = [add for add in adds if not add.ok and strange and id(add) in knows]
        if not named <= knows:
            return []
        return [frozenset(named | set(map(id, some))) for some in subsets(nameless)]

    def grows(done: list[tuple[Row, frozenset[int]]], row: Row, knows: frozenset[int]) -> bool:
        return all(
            not other.precedes(row) or known & comparable(row) <= knows for other, known in done
        ) and all(
            not row.precedes(other) or knows & comparable(other) <= known for other, known in done
        )

    def comparable(row: Row) -> set[int]:
        return {id(one) for one in adds} | (set() if row.f == "remove" else set(map(id, removes)))

    def see(place: int, done: list[tuple[Row, frozenset[int]]], observed: dict[int, Any]) -> bool:
        if place == len(sights):
            return True
        row, present = sights[place]
        for knows in choices(row, [*adds, *removes]):
            alive = any(
                id(add) in knows
                and not any(id(one) in knows and id(add) in observed[id(one)] for one in removes)
                for add in adds
            )
            fits = alive == present and grows(done, row, knows)
            if fits and see(place + 1, [*done, (row, knows)], observed):
                return True
        return False

    for chosen in product(*(choices(remove, adds) for remove in removes)):
        done = list(zip(removes, chosen, strict=True))
        if not all(grows(done, row, knows) for row, knows in done):
            continue
        for takes in product(*(taken(row, knows) for row, knows in done)):
            if see(0, done, {id(row): one for row, one in zip(removes, takes, strict=True)}):
                return True
    return False


def _register_rows(source: random.Random, *, siblings: bool) -> list[Row]:
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


def _judge_lww(rows: Sequence[Row], *, stamped: bool = False) -> bool | None:
    if not any(row.f == "read" and row.ok for row in rows):
        return None
    unread = False
    for key in keys_of(rows):
        mine = [row for row in rows if row.key == key]
        writes = [row for row in mine if row.f == "write" and row.outcome != "fail"]
        final = final_reads(rows, key, ("write",))
        for read in mine:
            if read.f == "read" and read.ok and _answer(read, stamped) is not None:
                by = [w for w in writes if w.argument == _answer(read, stamped)]
                if not any(write.call <= read.end for write in by):
                    return False
        sure = [write for write in writes if write.ok]
        for read in final:
            value = _answer(read, stamped)
            by = [write for write in writes if write.argument == value]
            if stamped:
                greatest = max((write.result[1] for write in sure), default=None)
                best = any(not w.ok or w.result[1] == greatest for w in by)
                if not best and sure:
                    return False
            elif not any(not any(w.before(o) for o in sure) for w in by) and sure:
                return False
        values = {json.dumps(_answer(read, stamped)) for read in final}
        if len(values) > 1 and settled(rows, key, ("write",)):
            return False
        unread |= bool(writes) and not final
    return None if unread else True


def _answer(read: Row, stamped: bool) -> Any:
    return read.result[0] if stamped and isinstance(read.result, list) else read.result


def _stamped_rows(source: random.Random) -> list[Row]:
    stamps = list(range(20))
    if source.random() < 0.5:
        source.shuffle(stamps)
    rows = _register_rows(source, siblings=False)
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


def _judge_mv(rows: Sequence[Row], *, replica: bool = False) -> bool | None:
    if not any(row.f == "read" and row.ok for row in rows):
        return None
    unread = False
    for key in keys_of(rows):
        mine = sorted((row for row in rows if row.key == key), key=lambda row: row.call)
        writes = [row for row in mine if row.f == "write" and row.outcome != "fail"]
        reads = [row for row in mine if row.f == "read" and row.ok]
        final = final_reads(rows, key, ("write",))
        for read in reads:
            found = read.result or []
            if len(set(found)) < len(found):
                return False
            for value in found:
                if not any(w.argument == value and w.call <= read.end for w in writes):
                    return False
        seen = {value for read in reads for value in read.result or []}
        effective = [write for write in writes if write.ok or write.argument in seen]
        knew = {
            id(row): {
                value
                for place, other in enumerate(mine)
                if other.process == row.process and place < at and other.ok
                for value in ([other.argument] if other.f == "write" else other.result or [])
            }
            for at, row in enumerate(mine)
        }
        if any(write.argument in knew[id(write)] for write in writes):
            return False
        over = {value for write in effective for value in knew[id(write)]}
        for read in reads:
            found = set(read.result or [])
            aware = knew[id(read)] | found
            if any(read is one for one in final):
                aware = {write.argument for write in effective}
            if any(w.argument in aware and knew[id(w)] & found for w in effective):
                return False
        for read in final:
            found = set(read.result or [])
            if replica:
                if not _may_have_merged(effective, found, over, knew):
                    return False
            elif found != {write.argument for write in effective} - over:
                return False
        values = {tuple(sorted(read.result or [])) for read in final}
        if len(values) > 1 and settled(rows, key, ("write",)):
            return False
        unread |= bool(writes) and not final
    return None if unread else True


def _may_have_merged(
    effective: list[Row], found: set[Any], over: set[Any], knew: Mapping[int, set[Any]]
) -> bool:
    """Whether some order of the writes, in which each may have overwritten all before it, leaves
    what was found."""
    missing = [write for write in effective if write.argument not in found]
    if not [write for write in missing if write.argument not in over]:
        return True
    for order in permutations(effective):
        if any(b.before(a) or b.argument in knew[id(a)] for a, b in combinations(order, 2)):
            continue
        if all(
            write.argument in over or any(other is not write for other in order[place + 1 :])
            for place, write in enumerate(order)
            if write.argument not in found
        ):
            return True
    return False


def _sequence_rows(source: random.Random) -> list[Row]:
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
        element = _element(other)
        deletes = [one for one in rows if one.f == "delete" and one.argument == element]
        gone = any(one.call <= row.end and one.outcome != "fail" for one in deletes)
        chance = 0.97 if other.before(row) else 0.5 if other.call <= row.end else 0.01
        if source.random() < chance * (0.1 if gone else 1.0):
            found.append(element)
    afters = {_element(one): _after(one) for one in rows if one.f == "insert"}
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


def _element(row: Row) -> Any:
    if isinstance(row.argument, dict):
        return row.argument["element"]
    return row.argument[1] if row.f == "insert" else row.argument


def _after(row: Row) -> Any:
    return row.argument.get("after") if isinstance(row.argument, dict) else None


def _judge_sequence(rows: Sequence[Row]) -> bool | None:
    if not any(row.f == "read" and row.ok for row in rows):
        return None
    unread = False
    for key in keys_of(rows):
        mine = [row for row in rows if row.key == key]
        inserts = [row for row in mine if row.f == "insert" and row.outcome != "fail"]
        deletes = [row for row in mine if row.f == "delete" and row.outcome != "fail"]
        reads = [row for row in mine if row.f == "read" and row.ok]
        final = final_reads(rows, key, ("insert", "delete"))
        for read in reads:
            if len(set(read.result)) < len(read.result):
                return False
            for element in read.result:
                by = [row for row in inserts if _element(row) == element]
                if not any(row.call <= read.end for row in by):
                    return False
        elements = {_element(row) for row in inserts} | {_after(row) for row in inserts} - {None}
        for element in elements:
            gone = [row for row in deletes if row.argument == element]
            came = [row for row in inserts if _element(row) == element]
            sure = [row for row in gone if row.ok and not all(row.before(other) for other in came)]
            for read in reads:
                last = any(read is one for one in final)
                told = any(row.precedes(read) and row.ok for row in came) or any(
                    other.precedes(read) and element in other.result for other in reads
                )
                excused = any(row.call <= read.end for row in gone)
                if element not in read.result and told and not excused:
                    return False
                if element not in read.result and last and not gone and any(r.ok for r in came):
                    return False
                if element in read.result and any(last or row.precedes(read) for row in sure):
                    return False
        if not any(
            all(_follows(order, read.result) for read in reads)
            and all(
                _after(row) is None or order.index(_after(row)) < order.index(_element(row))
                for row in inserts
            )
            for order in permutations(elements)
        ):
            return False
        values = {tuple(read.result) for read in final}
        if len(values) > 1 and settled(rows, key, ("insert", "delete")):
            return False
        unread |= bool(inserts or deletes) and not final
    return None if unread else True


def _follows(order: tuple[Any, ...], found: list[Any]) -> bool:
    return [element for element in order if element in found] == found


TYPES: Mapping[str, Type] = {
    "lww-register": Type(
        checker="lww-register",
        make=lambda source: _register_rows(source, siblings=False),
        judge=_judge_lww,
        options={},
    ),
    "lww-register-timestamps": Type(
        checker="lww-register",
        make=_stamped_rows,
        judge=lambda rows: _judge_lww(rows, stamped=True),
        options={"timestamps": True},
    ),
    "mv-register": Type(
        checker="mv-register",
        make=lambda source: _register_rows(source, siblings=True),
        judge=_judge_mv,
        options={},
    ),
    "mv-register-replica": Type(
        checker="mv-register",
        make=lambda source: _register_rows(source, siblings=True),
        judge=lambda rows: _judge_mv(rows, replica=True),
        options={"context": "replica"},
    ),
    "sequence": Type(checker="sequence", make=_sequence_rows, judge=_judge_sequence, options={}),
    "or-set": Type(
        checker="or-set",
        make=lambda source: _or_set_rows(source, tags=False),
        judge=_judge_or_set,
        options={},
    ),
    "or-set-tags": Type(
        checker="or-set",
        make=lambda source: _or_set_rows(source, tags=True),
        judge=lambda rows: _judge_or_set(rows, tags=True),
        options={"tags": True},
    ),
    "set-full": Type(
        checker="set-full",
        make=_set_rows,
        judge=lambda rows: _judge_set(rows, linearizable=False),
        options={},
    ),
    "set-full-linearizable": Type(
        checker="set-full",
        make=_set_rows,
        judge=lambda rows: _judge_set(rows, linearizable=True),
        options={"linearizable": True},
    ),
    "convergence": Type(
        checker="convergence", make=_set_rows, judge=_judge_convergence, options={}
    ),
    "pn-counter": Type(
        checker="pn-counter",
        make=lambda source: _counter_rows(source, (1, 2, 3, -1, -2, 7)),
        judge=lambda rows: _judge_counter(rows, growing=False),
        options={},
    ),
    "g-counter": Type(
        checker="g-counter",
        make=lambda source: _counter_rows(source, (0, 1, 1, 2, 4, 9)),
        judge=lambda rows: _judge_counter(rows, growing=True),
        options={},
    ),
}


# --- comparing -------------------------------------------------------------------------------


def judged(kind: str, rows: Sequence[Row], **built: int) -> tuple[Verdict, str | None]:
    """The verdict on ``rows``, and what is wrong with it (None: nothing)."""
    type_ = TYPES[kind]
    expected = {True: VALID, False: INVALID, None: UNKNOWN}[type_.judge(rows)]
    history, called = indexed(rows, **built)
    context = CheckContext(options=type_.options)
    verdict = INSTALLED.load("checkers", type_.checker).check(history, context)
    if verdict.validity is not expected or verdict.reason in ("crash", "unsupported"):
        said = f"{verdict.validity.value} ({verdict.reason}): {verdict.sentence}"
        return verdict, f"{said}, but it is {expected.value}"
    for anomaly in verdict.anomalies:
        if not anomaly.sentence.endswith(".") or list(anomaly.operations) != sorted(
            set(anomaly.operations)
        ):
            return verdict, f"the anomaly is not well formed: {anomaly}"
        if not set(anomaly.operations) <= set(called):
            return verdict, f"the anomaly names what is no invocation: {anomaly}"
        alone = [called[index] for index in anomaly.operations]
        if type_.judge(alone) is not False:
            return verdict, f"the proof is not illegal alone: {anomaly}"
    return verdict, None


def compare(kind: str, seed: int) -> tuple[Validity, str | None]:
    """The verdict on the random history of ``seed``, and what is wrong with it."""
    rows = TYPES[kind].make(random.Random(seed))
    verdict, wrong = judged(kind, rows)
    if wrong is None:
        return verdict.validity, None
    listed = "\n".join(f"    {row}" for row in rows)
    return verdict.validity, f"type {kind}, seed {seed}: {wrong}\n{listed}"


def _chunk(task: tuple[str, int, int]) -> tuple[Counter[str], list[str]]:
    kind, first, count = task
    counts: Counter[str] = Counter()
    wrong = []
    for seed in range(first, first + count):
        validity, problem = compare(kind, seed)
        counts[validity.value] += 1
        wrong += [problem] if problem else []
    return counts, wrong


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--histories", type=int, default=50_000, help="of each type")
    parser.add_argument("--type", choices=[*TYPES], action="append")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--jobs", type=int, default=1)
    given = parser.parse_args()
    failures = 0
    with Pool(given.jobs) as pool:
        for kind in given.type or TYPES:
            tasks = [
                (kind, first, min(_CHUNK, given.seed + given.histories - first))
                for first in range(given.seed, given.seed + given.histories, _CHUNK)
            ]
            counts: Counter[str] = Counter()
            for chunk, wrong in pool.imap_unordered(_chunk, tasks):
                counts += chunk
                for problem in wrong[:3] if failures < 20 else ():
                    print(problem)
                failures += len(wrong)
            print(f"{kind}: {given.histories:,} histories, {dict(sorted(counts.items()))}")
    print("all agree" if not failures else f"{failures:,} disagreements")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
