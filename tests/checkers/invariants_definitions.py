"""The invariants once more, slowly and obviously: every pair of everything.

Each takes the operations and the options and gives the names of the anomalies and of the doubts. It
shares no code with the checkers.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import combinations, permutations
from typing import Any

from tests.checkers.invariants_histories import Call
from tests.checkers.invariants_kafka_definition import kafka

__all__ = ["DEFINITIONS", "Answer"]

Answer = tuple[set[str], set[str]]
"""Names of anomalies, reasons of doubt."""
Options = Mapping[str, Any]
Calls = Sequence[Call]


def unique_ids(calls: Calls, options: Options) -> Answer:
    given = [call for call in calls if call.f == "generate" and call.ok]
    ids = [call for call in given if call.result is not None]
    twice = any(a.key == b.key and a.result == b.result for a, b in combinations(ids, 2))
    doubts = {"malformed"} if len(ids) < len(given) else set()
    return {"duplicate-id"} if twice else set(), doubts if ids else {*doubts, "vacuous"}


def _taken(calls: Calls) -> list[tuple[Call, Any]]:
    """Who took what, by completion."""
    taken = []
    for call in sorted(calls, key=lambda call: call.ret):
        if call.ok and call.f == "dequeue" and call.result is not None:
            taken.append((call, call.result))
        if call.ok and call.f == "drain":
            taken += [(call, value) for value in call.result]
    return taken


def total_queue(calls: Calls, options: Options) -> Answer:
    names, doubts = set[str](), set[str]()
    puts, taken = [call for call in calls if call.f == "enqueue"], _taken(calls)
    for call, value in taken:
        before = [p for p in puts if p.key == call.key and p.argument == value and p.may]
        if not [p for p in before if p.call <= call.ret]:
            names.add("unexpected")
    for key in {call.key for call in calls}:
        missing = 0
        for value in {p.argument for p in puts}:
            mine = [p for p in puts if p.key == key and p.argument == value]
            out = sum(1 for call, one in taken if call.key == key and one == value)
            if out > sum(p.may for p in mine) > 0:
                names.add("duplicate")
            missing += max(sum(p.ok for p in mine) - out, 0)
        last = max((p.ret for p in puts if p.key == key and p.ok), default=-1)
        empty = [
            call
            for call in calls
            if call.key == key and call.ok and call.call > last
            if call.f == "drain" or (call.f == "dequeue" and call.result is None)
        ]
        unsure = [call for call in calls if call.key == key and call.unsure]
        hidden = sum(call.f == "dequeue" for call in unsure)
        if missing and not empty:
            doubts.add("undrained")
        elif missing > hidden and not any(call.f == "drain" for call in unsure):
            names.add("lost")
        elif missing:
            doubts.add("indeterminate")
    acked = [p for p in puts if p.ok]
    if not acked:
        doubts.add("vacuous")
    return names, doubts


def fifo_queue(calls: Calls, options: Options) -> Answer:
    names, doubts = set[str](), set[str]()
    puts, taken = [call for call in calls if call.f == "enqueue" and call.may], _taken(calls)

    def of(key: Any, value: Any) -> list[Call]:
        return [p for p in puts if p.key == key and p.argument == value]

    for call, value in taken:
        times = sum(1 for other, one in taken if (other.key, one) == (call.key, value))
        if not of(call.key, value):
            names.add("unexpected")
        elif times > len(of(call.key, value)):
            names.add("duplicate")
    if any(len(of(p.key, p.argument)) > 1 for p in puts):
        doubts.add("repeated-values")
    single = [p for p in puts if len(of(p.key, p.argument)) == 1]
    for a, b in permutations(single, 2):
        if a.process == b.process and a.key == b.key and _before(a, b):
            for (one, x), (other, y) in combinations(taken, 2):
                same = one.key == other.key == a.key and one.process == other.process
                if same and (x, y) == (b.argument, a.argument):
                    names.add("reordered")
    for key in {p.key for p in puts}:
        out = [value for call, value in taken if call.key == key]
        gone = [
            a
            for a in single
            if a.key == key and a.ok and a.argument not in out
            if any(
                b.key == key and b.process == a.process and _before(a, b) and b.argument in out
                for b in single
            )
        ]
        unsure = [call for call in calls if call.key == key and call.unsure]
        hidden = sum(call.f == "dequeue" for call in unsure)
        if len(gone) > hidden and not any(call.f == "drain" for call in unsure):
            names.add("skipped")
        elif gone:
            doubts.add("indeterminate")
    if not taken:
        doubts.add("vacuous")
    return names, doubts


def _before(a: Call, b: Call) -> bool:
    """In the order of one process."""
    return (a.call, a.ret) < (b.call, b.ret)


def bank(calls: Calls, options: Options) -> Answer:
    reads = sorted((c for c in calls if c.f == "read" and c.ok), key=lambda c: c.ret)
    if not reads:
        return set(), {"vacuous"}
    names = set[str]()
    whole = [c for c in reads if None not in c.result.values()]
    first = (whole or reads)[0].result
    total = options.get("total", -1)
    total = sum(v for v in first.values() if v is not None) if total == -1 else total
    accounts = set(first)
    for call in calls:
        if call.f == "transfer" and call.may:
            accounts |= {call.argument["from"], call.argument["to"]}
    for read in reads:
        strange = {a for a in read.result if a not in accounts and read.result[a] != 0}
        if strange:
            names.add("unexpected-account")
        elif None in read.result.values():
            names.add("nil-balance")
        elif sum(read.result.values()) != total:
            names.add("wrong-total")
        elif min(read.result.values()) < 0 and not options.get("negative-balances"):
            names.add("negative-balance")
    moved = any(c.f == "transfer" and c.ok for c in calls)
    return names, set() if moved else {"vacuous"}


def long_fork(calls: Calls, options: Options) -> Answer:
    names, doubts = set[str](), set[str]()
    written: dict[Any, list[Any]] = {}
    for call in calls:
        for kind, key, value in call.argument if call.may else ():
            if kind == "w":
                written.setdefault(key, []).append(value)
    if any(len(values) > 1 for values in written.values()):
        doubts.add("repeated-writes")
    views = []
    for call in calls:
        if not call.ok or any(kind == "w" for kind, _, _ in call.result):
            continue
        view = dict[Any, bool]()
        for _, key, value in call.result:
            if len(written.get(key, ())) > 1:
                continue
            if value is not None and [value] != written.get(key):
                names.add("unwritten-value")
            else:
                view.setdefault(key, value is not None)
        if len(view) > 1:
            views.append(view)
    for one, other in combinations(views, 2):
        for x, y in permutations(one.keys() & other.keys(), 2):
            if one[x] and not other[x] and other[y] and not one[y]:
                names.add("long-fork")
    if not any(any(view.values()) for view in views):
        doubts.add("vacuous")
    return names, doubts


def monotonic(calls: Calls, options: Options) -> Answer:
    names = set[str]()
    seen = [(call, *call.result) for call in calls if call.ok]
    for (a, t, v), (b, u, w) in permutations(seen, 2):
        if a.key != b.key:
            continue
        if (t < u and v > w) or (t == u and v != w):
            names.add("timestamp-order")
        past = "read-at" in (a.f, b.f)
        if a.process == b.process and _before(a, b) and not past and (t > u or v > w):
            names.add("process-order")
        if a.f == b.f == "add" and v == w:
            names.add("duplicate-value")
    return names, set() if len({v for _, _, v in seen}) > 1 else {"vacuous"}


def causal_reverse(calls: Calls, options: Options) -> Answer:
    names, doubts = set[str](), set[str]()
    writes = [call for call in calls if call.f == "write" and call.may]

    def of(key: Any, value: Any) -> list[Call]:
        return [w for w in writes if w.key == key and w.argument == value]

    if any(len(of(w.key, w.argument)) > 1 for w in writes):
        doubts.add("repeated-values")
    single = [w for w in writes if len(of(w.key, w.argument)) == 1]
    saw = False
    for read in calls:
        if read.f != "read" or not read.ok:
            continue
        if any(not of(read.key, value) for value in read.result):
            names.add("unwritten-value")
        mine = [w for w in single if w.key == read.key]
        for b in mine:
            if b.argument in read.result:
                saw = True
                for a in mine:
                    if a.ok and a.ret < b.call and a.argument not in read.result:
                        names.add("causal-reverse")
    return names, doubts if saw else {*doubts, "vacuous"}


def g2(calls: Calls, options: Options) -> Answer:
    inserts = [call for call in calls if call.f == "insert"]
    both = any(a.ok and b.ok and a.key == b.key for a, b in combinations(inserts, 2))
    rivals = any(a.key == b.key and (a.ok or b.ok) for a, b in combinations(inserts, 2))
    # Any key with two inserts of which some committed: the third may be the one that did.
    return {"G2"} if both else set(), set() if rivals else {"vacuous"}


def lock(calls: Calls, options: Options) -> Answer:
    names = set[str]()
    permits, lease = options.get("permits", 1), round(options.get("lease-s", 0.0) * 1e9)
    spans: list[tuple[Any, int, int]] = []
    for process in {call.process for call in calls}:
        held: dict[Any, list[tuple[int, int]]] = {}
        own = sorted((c for c in calls if c.process == process), key=lambda c: (c.call, c.ret))
        for call in own:
            stack = held.setdefault(call.key, [])
            weight = call.argument if permits > 1 and isinstance(call.argument, int) else 1
            if call.f == "acquire" and call.ok:
                stack += [(call.call, call.ret)] * weight
            if call.f == "release" and call.may:
                for asked, since in stack[::-1][:weight]:
                    spans.append((call.key, since, _until(call.call, asked, lease)))
                del stack[max(len(stack) - weight, 0) :]
        gone = own[-1].call if own[-1].unsure else 10**9
        for key, stack in held.items():
            spans += [(key, since, _until(gone, asked, lease)) for asked, since in stack]
    for key, since, until in spans:
        there = [s for s in spans if s[0] == key and s[1] <= since < s[2]]
        if since < until and len(there) > permits:
            names.add("mutual-exclusion")
    acquired = [c for c in calls if c.f == "acquire" and c.ok and isinstance(c.result, dict)]
    for a, b in permutations(acquired, 2):
        one, other = a.result["token"], b.result["token"]
        if a.key == b.key and (one == other or (a.ret < b.call and one > other)):
            names.add("token-order")
    writes = [c for c in calls if c.f == "write" and c.ok]
    for a, b in permutations(writes, 2):
        if a.key == b.key and a.ret < b.call and a.argument["token"] > b.argument["token"]:
            names.add("stale-token")
    every = [c for c in calls if c.f == "acquire" and c.ok]
    doubts = {"vacuous"} if len(every) < 2 else set()
    if acquired and len(acquired) < len(every):
        doubts.add("malformed")
    return names, doubts


def _until(end: int, asked: int, lease: int) -> int:
    return min(end, asked + lease) if lease else end


def availability_target(calls: Calls, options: Options) -> Answer:
    good = sum(call.ok for call in calls)
    if not calls:
        return set(), {"vacuous"}
    short = good / len(calls) < options.get("target", 0.99)
    return {"unavailable"} if short else set(), set() if good else {"vacuous"}


DEFINITIONS: Mapping[str, Callable[[Calls, Options], Answer]] = {
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
