"""A tiny language for histories, and simulated registers of known correctness.

One line an operation, in any order::

    process  f  value  call-return  [key=k] [node=n]

``f`` is ``w``, ``r`` or ``c`` (any other word is taken as it is). ``value`` is ``5``, ``-`` (null),
``4:5`` (a compare-and-set) or any word. The interval is in milliseconds: ``0-10`` is ok, ``0-10!``
failed, ``0-10?`` is indeterminate, and ``0-`` never completes.

>>> len(history("0 w 5 0-10", "1 r 5 12-20").operations)
2
"""

from __future__ import annotations

import random
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

from harness.core.history import History
from harness.core.operation import Event

__all__ = ["Op", "build", "history", "parse", "random_ops", "simulate"]

_FUNCTIONS = {"w": "write", "r": "read", "c": "cas"}
_ENDS = {"!": "fail", "?": "info"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Op:
    """One operation. ``ret`` is None when it never completes; times in milliseconds."""

    process: int
    f: str
    value: Any
    call: float
    ret: float | None
    outcome: str = "ok"
    key: Any = None
    node: str | None = None

    @property
    def certain(self) -> bool:
        return self.outcome == "ok" and self.ret is not None


def parse(line: str) -> Op:
    """The operation that a line describes."""
    process, f, value, interval, *rest = line.split()
    extra = dict(word.split("=") for word in rest)
    call, _, ret = interval.partition("-")
    outcome = _ENDS.get(ret[-1:], "ok")
    end = ret.rstrip("!?")
    key = extra.get("key")
    return Op(
        process=int(process),
        f=_FUNCTIONS.get(f, f),
        value=_value(value),
        call=float(call),
        ret=float(end) if end else None,
        outcome=outcome,
        key=int(key) if key is not None and key.isdigit() else key,
        node=extra.get("node"),
    )


def _value(word: str) -> Any:
    if word == "-":
        return None
    if ":" in word:
        return [_value(part) for part in word.split(":")]
    return int(word) if word.lstrip("-").isdigit() else word


def build(ops: Iterable[Op], *, scale_ns: int = 1_000_000, shift_ns: int = 0) -> History:
    """The history of ``ops``. At equal times, events keep the order of their operations."""
    events = []
    for place, op in enumerate(sorted(ops, key=lambda op: op.call)):
        asked = None if op.f == "read" else op.value
        ends = [("invoke", op.call, asked)]
        if op.ret is not None:
            ends.append((op.outcome, op.ret, op.value if op.outcome == "ok" else asked))
        for step, (kind, at, value) in enumerate(ends):
            fields = {"process": op.process, "type": kind, "f": op.f, "key": op.key}
            event = {**fields, "value": value, "node": op.node}
            events.append((int(at * scale_ns) + shift_ns, place, step, event))
    events.sort(key=lambda row: row[:3])
    return History.from_events(
        Event(index=index, time=at, **event) for index, (at, _, _, event) in enumerate(events)
    )


def history(*lines: str) -> History:
    """The history that the lines describe."""
    return build(parse(line) for line in lines)


def simulate(
    source: random.Random,
    *,
    operations: int,
    clients: int = 5,
    keys: int = 1,
    values: int | None = None,
    cas: float = 0.0,
    info: float = 0.0,
    stale: int = 0,
) -> list[Op]:
    """Operations of correct registers: each takes effect at one instant within its interval.

    ``values`` bounds the written values (None: all are unique); ``cas`` and ``info`` are shares of
    all operations. ``stale`` reads, in the second half, return a value overwritten long before (few
    values and many clients leave no such value).
    """
    clock = [source.random() for _ in range(clients)]
    process = list(range(clients))
    planned = []
    for _ in range(operations):
        client = min(range(clients), key=clock.__getitem__)
        call = clock[client]
        ret = call + source.uniform(0.5, 3.0)
        clock[client] = ret + source.uniform(0.01, 0.5)
        lost = source.random() < info
        end = source.uniform(call, ret)
        planned.append((end, process[client], call, ret, lost))
        if lost:
            process[client] += clients
    state: dict[int, list[Any]] = {key: [None] for key in range(keys)}
    result = []
    for fresh, (_, who, call, ret, lost) in enumerate(sorted(planned)):
        key = source.randrange(keys)
        past = state[key]
        new = fresh if values is None else source.randrange(values)
        draw = source.random()
        op = Op(process=who, f="read", value=past[-1], call=call, ret=ret, key=key)
        if draw < cas and past[-1] is not None:
            op = replace(op, f="cas", value=[past[-1], new])
        elif draw < cas + (1 - cas) / 2:
            op = replace(op, f="write", value=new)
        elif stale and fresh > operations // 2 and not lost:
            recent = past[-3 * clients :]
            gone = [value for value in past[1:] if value not in recent]
            if gone:
                op, stale = replace(op, value=source.choice(gone)), stale - 1
        if lost:
            op = replace(op, outcome="info")
        if op.f != "read" and not (lost and source.random() < 0.5):
            past.append(new)
        result.append(op)
    assert not stale, "no place for the stale reads"
    return result


def random_ops(
    source: random.Random, *, functions: tuple[str, ...], operations: int, values: int, ticks: int
) -> list[Op]:
    """A small history of arbitrary results: times collide, values repeat, some ends are open."""
    processes = source.randint(1, 4)
    clock = [source.randint(0, 2) for _ in range(processes)]
    names = list(range(processes))
    result = []
    for _ in range(operations):
        which = source.randrange(processes)
        call = clock[which] + source.randint(0, ticks // 3)
        ret = call + source.randint(0, ticks)
        clock[which] = ret
        f = source.choice(functions)
        value: Any = (
            source.choice([None, *range(values)]) if f == "read" else source.randrange(values)
        )
        if f == "cas":
            value = [source.choice([None, *range(values)]), value]
        outcome = source.choices(["ok", "info", "fail", "open"], [14, 3, 1, 1])[0]
        op = Op(process=names[which], f=f, value=value, call=call, ret=ret, outcome=outcome)
        if outcome == "open":
            op = replace(op, outcome="info", ret=None)
        if outcome in ("open", "info"):
            names[which] += processes
        result.append(op)
    return result
