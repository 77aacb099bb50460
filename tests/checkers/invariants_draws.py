"""Random tiny histories for each invariant: what a right object answered, then spoiled, or not."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from tests.checkers.invariants_histories import Call, schedule

__all__ = ["DRAWS", "draw"]

Drawn = tuple[list[Call], dict[str, Any]]


def _keys(source: random.Random) -> tuple[Any, ...]:
    return source.choice(((None,), ("x",), ("x", "y")))


def unique_ids(source: random.Random) -> Drawn:
    keys = _keys(source)
    wide = source.choice((3, 20))
    rows = schedule(source, source.randint(0, 6))
    return [
        replace(
            row,
            f="generate",
            key=source.choice(keys),
            result=source.choice([None, "0", *range(wide)]) if source.random() < 0.9 else [1],
        )
        for row in rows
    ], {}


def total_queue(source: random.Random) -> Drawn:
    keys, left = _keys(source), dict[Any, list[int]]()
    spoil = source.choice((0.0, 0.0, 0.15))
    repeats = source.random() < 0.2
    calls = []
    for place, row in enumerate(schedule(source, source.randint(1, 9))):
        key = source.choice(keys)
        queue = left.setdefault(key, [])
        happens = row.ok or (row.unsure and source.random() < 0.5)
        draw = source.random() + 0.05 * place
        if draw < 0.6:
            put = source.randrange(2) if repeats else place
            queue += [put] * (happens and source.random() >= spoil)
            calls.append(replace(row, f="enqueue", key=key, argument=put))
        elif draw < 1.0:
            value: int | None = queue[0] if queue else None
            if source.random() < spoil:
                value = source.randrange(8)
            elif happens:
                del queue[:1]
            calls.append(replace(row, f="dequeue", key=key, result=value))
        else:
            values = list(queue) if source.random() >= spoil else queue[1:]
            if happens:
                queue.clear()
            calls.append(replace(row, f="drain", key=key, result=values))
    delivery = source.choice(("at-least-once", "exactly-once"))
    return calls, {"delivery": delivery}


def fifo_queue(source: random.Random) -> Drawn:
    calls, _ = total_queue(source)
    takes = [at for at, call in enumerate(calls) if call.f == "dequeue" and call.ok]
    if len(takes) > 1 and source.random() < 0.4:
        one, other = source.sample(takes, 2)
        a, b = calls[one], calls[other]
        calls[one], calls[other] = replace(a, result=b.result), replace(b, result=a.result)
    return calls, {}


def bank(source: random.Random) -> Drawn:
    money = {name: source.randint(0, 3) for name in ("a", "b", "c")[: source.randint(2, 3)]}
    options: dict[str, Any] = {"negative-balances": source.random() < 0.3}
    if source.random() < 0.4:
        options["total"] = sum(money.values()) + (source.random() < 0.1)
    spoil = source.choice((0.0, 0.15))
    calls = []
    # Which read was the first must be plain.
    rows = {row.ret: row for row in schedule(source, source.randint(0, 6))}
    for row in rows.values():
        if source.random() < 0.5:
            one, other = source.sample(sorted(money), 2)
            amount = source.randint(0, max(money[one], 0) + (source.random() < 0.1))
            if row.ok or (row.unsure and source.random() < 0.5):
                money[one] -= amount
                money[other] += amount * (source.random() >= spoil)
            moved = {"from": one, "to": other, "amount": amount}
            calls.append(replace(row, f="transfer", argument=moved, result=moved))
            continue
        shown: dict[str, Any] = dict(money)
        if source.random() < spoil:
            shown[source.choice("abd")] = source.choice((None, 0, 1, 2, -1))
        calls.append(replace(row, f="read", result=shown))
    return calls, options


def long_fork(source: random.Random) -> Drawn:
    keys = tuple("xyz"[: source.randint(2, 3)])
    state = dict[str, int]()
    fork, calls = source.random() < 0.5, []
    once = source.random() < 0.8
    fresh = list(keys)
    for place, row in enumerate(schedule(source, source.randint(1, 8))):
        if source.random() < 0.4 and (fresh or not once):
            key = fresh.pop() if once else source.choice(keys)
            micro = [["w", key, place]]
            if row.ok or (row.unsure and source.random() < 0.5):
                state[key] = place
            calls.append(replace(row, f="txn", argument=micro, result=micro))
            continue
        read = source.sample(keys, source.randint(1, len(keys)))
        if source.random() < 0.1:
            read.append(read[0])
        shown = [["r", key, state.get(key)] for key in read]
        if fork and source.random() < 0.5:
            shown[0][2] = None
        if source.random() < 0.03:
            shown[-1][2] = 77
        asked = [["r", key, None] for key in read]
        calls.append(replace(row, f="txn", argument=asked, result=shown))
    return calls, {}


def monotonic(source: random.Random) -> Drawn:
    value, time, calls = 0, 10, []
    keys = _keys(source)
    spoil = source.choice((0.0, 0.15))
    for row in schedule(source, source.randint(0, 7)):
        time += source.randint(1, 2)
        f = source.choice(("add", "read", "read-at"))
        value += f == "add"
        shown = [time, value]
        if source.random() < spoil:
            shown = [time + source.randint(-3, 3), value + source.randint(-2, 1)]
        calls.append(replace(row, f=f, key=source.choice(keys), result=shown))
    return calls, {}


def causal_reverse(source: random.Random) -> Drawn:
    keys, state = _keys(source), dict[Any, list[int]]()
    spoil, repeats, calls = source.choice((0.0, 0.3)), source.random() < 0.15, []
    for place, row in enumerate(schedule(source, source.randint(1, 8))):
        key = source.choice(keys)
        held = state.setdefault(key, [])
        if source.random() < 0.6:
            value = source.randrange(3) if repeats else place
            if row.ok or (row.unsure and source.random() < 0.5):
                held.append(value)
            calls.append(replace(row, f="write", key=key, argument=value))
            continue
        shown = [value for value in held if source.random() >= spoil]
        if source.random() < 0.03:
            shown.append(source.randrange(9))
        calls.append(replace(row, f="read", key=key, result=shown))
    return calls, {}


def g2(source: random.Random) -> Drawn:
    rows = schedule(source, source.randint(0, 6))
    sides = ([1, None], [None, 2])
    chance = source.choice((0.3, 0.9))
    return [
        replace(
            row,
            f="insert",
            key=source.choice("xyz"),
            argument=source.choice(sides),
            result=source.choice(sides),
            outcome="fail" if row.ok and source.random() < chance else row.outcome,
        )
        for row in rows
    ], {}


def lock(source: random.Random) -> Drawn:
    permits = source.choice((1, 1, 2))
    options: dict[str, Any] = {"permits": permits}
    if source.random() < 0.3:
        options["lease-s"] = source.randint(1, 9) / 1e9
    free, token, calls = permits, 0, []
    held = dict[int, int]()
    spoil, fenced = source.choice((0.0, 0.25)), source.random() < 0.5
    for row in schedule(source, source.randint(1, 8), gap=4, length=3):
        who, happens = row.process, row.ok or (row.unsure and source.random() < 0.5)
        draw = source.random()
        if fenced and draw < 0.3:
            stamp = {"token": max(token - source.choice((0, 0, 1)), 0), "value": 1}
            calls.append(replace(row, f="write", argument=stamp, result=stamp))
        elif held.get(who, 0) and draw < 0.8:
            calls.append(replace(row, f="release"))
            if happens:
                free, held[who] = free + 1, held[who] - 1
        elif free > 0 or source.random() < spoil:
            token += 1
            told = token if source.random() >= spoil else source.randint(1, 4)
            shown = {"token": told} if fenced else None
            calls.append(replace(row, f="acquire", result=shown))
            if happens:
                free, held[who] = free - 1, held.get(who, 0) + 1
        else:
            calls.append(replace(row, f="acquire", outcome="fail" if row.ok else row.outcome))
    if permits > 1 and source.random() < 0.5:
        calls = [
            replace(call, argument=source.choice((None, 1, 2))) if call.f != "write" else call
            for call in calls
        ]
    return calls, options


def availability_target(source: random.Random) -> Drawn:
    rows = schedule(source, source.randint(0, 7))
    return [replace(row, f="read") for row in rows], {"target": source.choice((0.5, 0.8, 1.0))}


def kafka(source: random.Random) -> Drawn:
    logs: dict[str, list[tuple[int, int]]] = {"x": [], "y": []}
    positions = dict[tuple[int, str], int]()
    spoil = source.choice((0.0, 0.0, 0.1))
    values = source.choice((None, None, None, 4))
    explicit = source.random() < 0.3
    gaps, number, calls = source.random() < 0.3, 0, list[Call]()
    for row in schedule(source, source.randint(2, 9)):
        draw, who = source.random(), row.process
        happens = row.ok or (row.unsure and source.random() < 0.5)
        if draw < 0.1:
            keys = source.sample(("x", "y"), source.randint(1, 2))
            f = source.choice(("assign", "subscribe"))
            calls.append(replace(row, f=f, argument=keys, result=keys))
            for key in {"x", "y"} - set(keys):
                positions.pop((who, key), None)
            continue
        if explicit and draw < 0.5:
            asked = {key: positions.get((who, key), 0) for key in ("x", "y")}
            result = {
                key: got
                for key, begin in asked.items()
                if (got := _batch(source, logs[key], begin, spoil))
            }
            calls.append(replace(row, f="poll", argument=asked, result=result))
            for key, got in result.items() if row.ok else ():
                positions[who, key] = got[-1][0] + 1
            continue
        asked_micro: list[list[Any]] = []
        micro: list[list[Any]] = []
        for kind in source.choices(("send", "poll"), k=source.choice((1, 1, 1, 2, 3))):
            if kind == "poll":
                found = {}
                for key in ("x", "y"):
                    got = _batch(source, logs[key], positions.get((who, key), 0), spoil)
                    if got:
                        found[key] = got
                        positions[who, key] = got[-1][0] + 1
                asked_micro.append(["poll"])
                micro.append(["poll", found])
                continue
            number += 1
            value = number if values is None else source.randrange(values)
            key = source.choice("xyx")
            log = logs[key]
            offset = log[-1][0] + 1 + (gaps and source.random() < 0.3) if log else 0
            if source.random() < spoil:
                offset = source.randrange(4)
            if happens and source.random() >= spoil / 2:
                log.append((offset, value))
            asked_micro.append(["send", key, value])
            told = offset if source.random() < 0.95 else None
            micro.append(["send", key, [told, value]])
        kinds = {one[0] for one in micro}
        f = kinds.pop() if len(kinds) == 1 else "txn"
        tells = row.outcome == "info" and source.random() < 0.5
        calls.append(replace(row, f=f, argument=asked_micro, result=micro, tells=tells))
    return calls, {"unseen": source.choice(("unknown", "allowed"))}


def _batch(
    source: random.Random, log: list[tuple[int, int]], begin: int, spoil: float
) -> list[list[int]]:
    got = [[offset, value] for offset, value in log if offset >= begin]
    got = got[: source.choice((1, 2, 9))]
    if got and source.random() < spoil:
        source.choice(got)[source.randrange(2)] = source.randrange(4)
    if len(got) > 1 and source.random() < spoil:
        del got[source.randrange(len(got))]
    if source.random() < spoil:
        source.shuffle(got)
    return got


DRAWS: Mapping[str, Callable[[random.Random], Drawn]] = {
    "availability-target": availability_target,
    "bank": bank,
    "causal-reverse": causal_reverse,
    "fifo-queue": fifo_queue,
    "g2": g2,
    "kafka": kafka,
    "lock": lock,
    "long-fork": long_fork,
    "monotonic": monotonic,
    "total-queue": total_queue,
    "unique-ids": unique_ids,
}


def draw(name: str, seed: int) -> Drawn:
    """The history of ``seed``, with options."""
    return DRAWS[name](random.Random(f"{name} {seed}"))
