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
from checkers.models import ILLEGAL, Illegal, Set
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
