"""Simulated histories of transactions, as lines of ``history.jsonl``.

Twenty processes run transactions of three to ten micro-operations over a small pool of active keys;
a key is replaced after some writes, so that lists stay as short as in Elle's own tests. A database
that takes each transaction at one moment between its invocation and its completion is strict
serializable. :func:`hot_keys` is one that is read committed and no more. Known anomalies are
*planted* as small groups of transactions on keys of their own, each of which shows exactly one
kind; they run beside each other, so that no order in real time helps to find them.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec

__all__ = ["PLANTS", "causal_text", "hot_keys", "list_append", "rw_register"]

PROCESSES = 20
ACTIVE_KEYS = 10
WRITES_A_KEY = 32
Micro = list[Any]

PLANTS: Mapping[str, tuple[tuple[str, ...], ...]] = {
    "G0": (("a x 1", "a y 1"), ("a x 2", "a y 2"), ("r x 1 2", "r y 2 1")),
    "G1a": (("! a x 1",), ("r x 1",)),
    "G1b": (("a x 1", "a x 2"), ("r x 1",), ("r x 1 2",)),
    "G1c": (("a x 1", "r y 1"), ("a y 1", "r x 1")),
    "G-single": (("a x 1", "a y 1"), ("r x 1", "r y"), ("r x 1", "r y 1")),
    "G-nonadjacent": (
        ("a x 1",),
        ("a y 1",),
        ("r x 1", "r y"),
        ("r x", "r y 1"),
        ("r x 1", "r y 1"),
    ),
    "G2-item": (("r x", "a y 1"), ("r y", "a x 1"), ("r x 1", "r y 1")),
    "internal": (("a x 1",), ("r x 1", "r x"), ("r x 1",)),
    "dirty-update": (("! a x 1",), ("a x 2",), ("r x 1 2",)),
    "lost-update": (("r x", "a x 1"), ("r x", "a x 2"), ("r x 1 2",)),
    "future-read": (("r x 1", "a x 1"), ("r x 1",)),
    "incompatible-order": (("a x 1",), ("a x 2",), ("r x 1 2",), ("r x 2 1",)),
    "duplicate-elements": (("a x 1",), ("r x 1 1",)),
    "garbage-read": (("a x 1",), ("r x 7 1",)),
}
"""Transactions that show an anomaly: ``a`` appends, ``r`` reads a list, ``!`` fails."""


def list_append(transactions: int, *, seed: int, planted: int = 0) -> Iterator[bytes]:
    """A strict serializable history; with ``planted`` groups of each kind of anomaly in it."""
    source = random.Random(seed)
    lists: dict[int, list[int]] = {}
    keys = _Keys(source)

    def ask() -> list[Micro]:
        return [
            ["append", *keys.write()] if source.random() < 0.5 else ["r", keys.read(), None]
            for _ in range(source.randint(3, 10))
        ]

    def answer(asked: list[Micro]) -> list[Micro]:
        done = []
        for f, key, value in asked:
            held = lists.setdefault(key, [])
            if f == "append":
                held.append(value)
                done.append([f, key, value])
            else:
                done.append([f, key, held.copy()])
        return done

    return _lines(_serial(transactions, source, ask, answer), _plants(source, planted), source)


def rw_register(transactions: int, *, seed: int) -> Iterator[bytes]:
    """A strict serializable history of reads and writes of registers."""
    source = random.Random(seed)
    registers: dict[int, int] = {}
    keys = _Keys(source)

    def ask() -> list[Micro]:
        return [
            ["w", *keys.write()] if source.random() < 0.5 else ["r", keys.read(), None]
            for _ in range(source.randint(3, 10))
        ]

    def answer(asked: list[Micro]) -> list[Micro]:
        done = []
        for f, key, value in asked:
            if f == "w":
                registers[key] = value
            done.append([f, key, registers.get(key)])
        return done

    return _lines(_serial(transactions, source, ask, answer), [], source)


def hot_keys(transactions: int, *, seed: int) -> Iterator[bytes]:
    """A history of read committed: each read sees what is committed at its own moment, or what its
    own transaction appended, which holds the key until its end. Keys are appended to in one order,
    so that no two transactions wait for each other."""
    source = random.Random(seed)
    lists: dict[int, list[int]] = {}
    keys = _Keys(source, active=3, writes=128)
    opened: dict[int, _Open] = {}
    held: dict[int, int] = {}
    index = begun = ended = 0
    while ended < transactions:
        process = source.randrange(PROCESSES)
        one = opened.get(process)
        if one is None:
            if begun == transactions:
                continue
            begun += 1
            asked = _in_order_of_keys(
                [
                    ["append", *keys.write()] if source.random() < 0.5 else ["r", keys.read(), None]
                    for _ in range(source.randint(3, 10))
                ]
            )
            opened[process] = _Open(asked=asked)
            yield _line(index, process, "invoke", asked)
        elif len(one.done) < len(one.asked):
            f, key, value = one.asked[len(one.done)]
            if f == "append":
                if held.setdefault(key, process) != process:
                    continue
                one.own.setdefault(key, []).append(value)
            else:
                value = lists.get(key, []) + one.own.get(key, [])
            one.done.append([f, key, value])
            continue
        else:
            for key, values in one.own.items():
                lists.setdefault(key, []).extend(values)
                del held[key]
            yield _line(index, process, "ok", one.done)
            del opened[process]
            ended += 1
        index += 1


def _in_order_of_keys(asked: list[Micro]) -> list[Micro]:
    """The same micro-operations, with the appends among them sorted by key."""
    appends = iter(sorted((one for one in asked if one[0] == "append"), key=lambda one: one[1]))
    return [next(appends) if one[0] == "append" else one for one in asked]


def causal_text(transactions: int, *, seed: int) -> Iterator[bytes]:
    """A causally consistent history in the text form of Plume: each process reads from a prefix of
    all writes that lags behind, and from its own."""
    source = random.Random(seed)
    log: dict[int, list[tuple[int, int, int]]] = {}
    keys = _Keys(source, active=100)
    seen = [0] * PROCESSES
    for transaction in range(transactions):
        process = source.randrange(PROCESSES)
        seen[process] = max(seen[process], transaction - source.randrange(200))
        own: dict[int, int] = {}
        for _ in range(source.randint(3, 10)):
            if source.random() < 0.5:
                key, value = keys.write()
                own[key] = value
                yield b"w(%d,%d,%d,%d)\n" % (key, value, process, transaction)
            else:
                key = keys.read()
                value = own.get(key) or _visible(log.get(key, ()), process, seen[process])
                yield b"r(%d,%d,%d,%d)\n" % (key, value, process, transaction)
        for key, value in own.items():
            log.setdefault(key, []).append((transaction, process, value))


def _visible(log: Sequence[tuple[int, int, int]], process: int, seen: int) -> int:
    for transaction, writer, value in reversed(log):
        if transaction < seen or writer == process:
            return value
    return 0


@dataclass(slots=True)
class _Open:
    asked: list[Micro]
    done: list[Micro] = field(default_factory=list)
    own: dict[int, list[int]] = field(default_factory=dict)


class _Keys:
    """Active keys, each replaced after a number of writes; values count up in each key."""

    def __init__(
        self, source: random.Random, *, active: int = ACTIVE_KEYS, writes: int = WRITES_A_KEY
    ) -> None:
        self._source = source
        self._writes = writes
        self._active = [[key, 0] for key in range(active)]
        self._next = active

    def read(self) -> int:
        return self._source.choice(self._active)[0]

    def write(self) -> tuple[int, int]:
        place = self._source.randrange(len(self._active))
        one = self._active[place]
        one[1] += 1
        written = one[0], one[1]
        if one[1] == self._writes:
            self._active[place] = [self._next, 0]
            self._next += 1
        return written


Row = tuple[int, str, list[Micro]]
"""Process, type and value of an event."""


def _serial(transactions: int, source: random.Random, ask: Any, answer: Any) -> Iterator[Row]:
    """Transactions that each happen at once: when they are invoked, or when they return."""
    opened: dict[int, list[Micro] | None] = {}
    asked: dict[int, list[Micro]] = {}
    begun = ended = 0
    while ended < transactions:
        process = source.randrange(PROCESSES)
        if process in opened:
            done = opened.pop(process)
            yield process, "ok", answer(asked[process]) if done is None else done
            ended += 1
        elif begun < transactions:
            begun += 1
            asked[process] = ask()
            yield process, "invoke", asked[process]
            opened[process] = answer(asked[process]) if source.random() < 0.5 else None


def _plants(source: random.Random, count: int) -> list[list[Row]]:
    """Groups of events, each of which has to stay together."""
    groups = []
    for number in range(count):
        for name, transactions in PLANTS.items():
            groups.append(_group(f"{name}-{number}", transactions))
    source.shuffle(groups)
    return groups


def _group(name: str, transactions: Sequence[Sequence[str]]) -> list[Row]:
    rows: list[Row] = []
    ends: list[Row] = []
    for place, words in enumerate(transactions):
        asked, done, kind = [], [], "ok"
        for one in words:
            f, key, *values = one.removeprefix("! ").split()
            kind = "fail" if one.startswith("!") else kind
            full = f"{name}-{key}"
            if f == "a":
                asked.append(["append", full, int(values[0])])
                done.append(asked[-1])
            else:
                asked.append(["r", full, None])
                done.append(["r", full, [int(value) for value in values]])
        rows.append((PROCESSES + place, "invoke", asked))
        ends.append((PROCESSES + place, kind, done if kind == "ok" else asked))
    return rows + ends


def _lines(rows: Iterator[Row], groups: list[list[Row]], source: random.Random) -> Iterator[bytes]:
    index = 0
    chance = 0.001 if groups else 0.0
    for row in rows:
        while groups and source.random() < chance:
            for planted in groups.pop():
                yield _line(index, *planted)
                index += 1
        yield _line(index, *row)
        index += 1
    for group in groups:
        for planted in group:
            yield _line(index, *planted)
            index += 1


_encode = msgspec.json.Encoder().encode


def _line(index: int, process: int, kind: str, value: list[Micro]) -> bytes:
    return b'{"index":%d,"time":%d,"process":%d,"type":"%s","f":"txn","value":%s}\n' % (
        index,
        1000 * index,
        process,
        kind.encode(),
        _encode(value),
    )
