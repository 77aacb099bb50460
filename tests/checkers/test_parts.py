"""An object that consists of independent ones is searched one by one."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Hashable
from dataclasses import dataclass
from typing import Any

import numpy as np

from checkers import check
from checkers.linearizable.instances import by_key, split
from checkers.models import ILLEGAL, AppendRegister, Illegal, Set
from harness.core.history import History
from harness.core.operation import Event
from harness.core.verdict import Validity
from tests.checkers.builders import history


@dataclass(frozen=True, slots=True, kw_only=True)
class Store:
    """Several registers in one object: ``put [name, value]``, ``get name -> value``."""

    initial: frozenset[tuple[Hashable, Hashable]] = frozenset()
    functions: frozenset[str] = frozenset({"put", "get"})
    pure: frozenset[str] = frozenset({"get"})
    observers: frozenset[str] = frozenset({"get"})

    def step(self, state: frozenset[Any], f: str, argument: Any, result: Any) -> Hashable | Illegal:
        """The values by name."""
        values = dict(state)
        if f == "get":
            return state if values.get(argument) == result else ILLEGAL
        return frozenset({**values, argument[0]: argument[1]}.items())


@dataclass(frozen=True, slots=True, kw_only=True)
class Parted(Store):
    """The same, saying what it consists of."""

    def part(self, f: str, argument: Any, result: Any) -> Hashable:
        """The name."""
        return (argument if f == "get" else argument[0],)


def drawn(source: random.Random) -> History:
    """A small history of a store of three names, right or nearly so."""
    clock, state, spans = [0] * 3, dict[str, int | None](), []
    for _ in range(source.randint(3, 8)):
        process = source.randrange(3)
        call = clock[process] + source.randint(1, 2)
        ret = clock[process] = call + source.randint(1, 4)
        spans.append((source.uniform(call, ret), call, ret, process))
    events: list[tuple[int, int, str, str, Any]] = []
    for at, (_, call, ret, process) in enumerate(sorted(spans)):
        name = source.choice("abc")
        if source.random() < 0.5:
            state[name] = at
            f, argument, result = "put", [name, at], [name, at]
        else:
            seen = state.get(name) if source.random() < 0.8 else source.randrange(at + 1)
            f, argument, result = "get", name, seen  # type: ignore[assignment]
        events += [(call, process, "invoke", f, argument), (ret, process, "ok", f, result)]
    events.sort(key=lambda event: event[0])
    return History.from_events(
        Event(index=i, time=time, process=process, type=kind, f=f, value=value)  # type: ignore[arg-type]
        for i, (time, process, kind, f, value) in enumerate(events)
    )


def test_parts_change_no_verdict() -> None:
    """A store is linearizable exactly if each of its registers is."""
    seen: Counter[Validity] = Counter()
    for seed in range(1_500):
        one = drawn(random.Random(seed))
        whole, parted = check(one, Store()), check(one, Parted())
        assert whole.validity is parted.validity, seed
        seen[whole.validity] += 1
        for anomaly in parted.anomalies:
            rows = np.isin(one.index[one.operations.invocation], anomaly.operations)
            arguments = [one.values[code] for code in one.operations.argument[rows].tolist()]
            assert len({argument[0] for argument in arguments}) == 1, seed
    assert seen[Validity.VALID] > 200
    assert seen[Validity.INVALID] > 200


def test_a_set_is_searched_by_element_unless_it_is_read_as_a_whole() -> None:
    """The instances are those of the elements; one whole read leaves the set in one piece."""
    lines = ("0 add 1 0-9", "1 add 2 0-9", "2 remove 1 3-12")
    for more, expected in (((), [[0, 2], [1]]), (("4 read - 30-31",), [[0, 1, 2, 3]])):
        found = history(*lines, *more)
        ((rows, one),) = by_key(found, Set(), np.array([0]))
        assert [part.tolist() for part, _ in split(Set(), rows, one)] == expected


def test_a_growing_string_has_fewer_states_and_the_same_orders() -> None:
    """Where nothing is put, only what leads to the longest string seen is tried."""
    seen: Counter[Validity] = Counter()
    for seed in range(1_500):
        source = random.Random(seed)
        one = grown(source)
        narrow, plain = check(one, "append-kv"), check(one, Plain())
        assert narrow.validity is plain.validity, seed
        seen[narrow.validity] += 1
        for anomaly in narrow.anomalies:
            assert check(only(one, anomaly.operations), Plain()).validity is Validity.INVALID, seed
    assert min(seen[Validity.VALID], seen[Validity.INVALID]) > 200, seen


def only(whole: History, indices: tuple[int, ...]) -> History:
    """The operations whose invocations have these indices, and nothing else."""
    operations = whole.operations
    rows = np.flatnonzero(np.isin(whole.index[operations.invocation], indices))
    ends = operations.completion[rows]
    kept = sorted([*operations.invocation[rows].tolist(), *ends[ends >= 0].tolist()])
    return History.from_events(whole.event(row) for row in kept)


class Plain:
    """The model without that knowledge."""

    of = AppendRegister()
    initial, functions, pure, observers = of.initial, of.functions, of.pure, of.observers

    def step(self, state: str, f: str, argument: Any, result: Any) -> Hashable | Illegal:
        """The string afterwards."""
        return self.of.step(state, f, argument, result)


def grown(source: random.Random) -> History:
    """A small history of a string, right or nearly so; now and then something is put."""
    clock, state, spans = [0] * 4, "", []
    for _ in range(source.randint(3, 9)):
        process = source.randrange(4)
        call = clock[process] + source.randint(1, 2)
        ret = clock[process] = call + source.randint(1, 6)
        spans.append((source.uniform(call, ret), call, ret, process))
    events: list[tuple[int, int, str, str, Any]] = []
    retired = 0
    for _, call, ret, process in sorted(spans):
        piece = source.choice(["a", "b", "ab", ""])
        f = source.choice(["append", "append", "get", "get", *["put"] * (source.random() < 0.05)])
        lost = source.random() < 0.1
        if f != "get" and not (lost and source.random() < 0.5):
            state = piece if f == "put" else state + piece
        argument = None if f == "get" else piece
        result = argument
        if f == "get":
            spoiled = state[:-1] if source.random() < 0.5 else state + "a"
            result = spoiled if source.random() < 0.15 else state
        # A process whose operation was lost goes on under another number.
        name = process if not lost else 100 + (retired := retired + 1)
        events.append((call, name, "invoke", f, argument))
        events.append((ret, name, "info" if lost else "ok", f, argument if lost else result))
    events.sort(key=lambda event: event[0])
    return History.from_events(
        Event(index=i, time=time, process=process, type=kind, f=f, value=value)  # type: ignore[arg-type]
        for i, (time, process, kind, f, value) in enumerate(events)
    )
