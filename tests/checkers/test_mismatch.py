"""Compare-and-sets that certainly found another value than they expected (result ``false``)."""

from __future__ import annotations

import itertools
import random
from typing import Any

from checkers.linearizable import Linearizable
from harness.core.contracts import CheckContext
from harness.core.history import History
from harness.core.operation import Event
from harness.core.verdict import Validity, Verdict

Row = tuple[str, Any, Any, int, int | None]
"""Function, argument, result, call, return (None: indeterminate)."""


def build(rows: list[Row]) -> History:
    events = []
    for process, (f, argument, result, call, ret) in enumerate(rows):
        events.append((call, 0, process, "invoke", f, argument))
        if ret is not None:
            events.append((ret, 1, process, "ok", f, result))
    return History.from_events(
        Event(index=index, time=at, process=process, type=kind, f=f, value=value)  # type: ignore[arg-type]
        for index, (at, _, process, kind, f, value) in enumerate(
            sorted(events, key=lambda event: event[:2])
        )
    )


def check(rows: list[Row]) -> Verdict:
    return Linearizable().check(build(rows), CheckContext(model="cas-register"))


def legal(rows: list[Row]) -> bool:
    """Tries every order of every set of those that happened."""
    certain = [row for row in rows if row[4] is not None]
    maybe = [row for row in rows if row[4] is None]
    return any(
        _ordered(order)
        for count in range(len(maybe) + 1)
        for chosen in itertools.combinations(maybe, count)
        for order in itertools.permutations(certain + list(chosen))
    )


def _ordered(order: tuple[Row, ...]) -> bool:
    for place, row in enumerate(order):
        if any(later[4] is not None and later[4] < row[3] for later in order[place + 1 :]):
            return False
    value: Any = None
    for f, argument, result, _, ret in order:
        if f == "write":
            value = argument
        elif f == "read":
            if ret is not None and result != value:
                return False
        elif ret is not None and result is False:
            if value == argument[0]:
                return False
        elif value != argument[0]:
            if ret is not None:
                return False
        else:
            value = argument[1]
    return True


def test_another_value_must_have_been_there() -> None:
    write: Row = ("write", 1, 1, 0, 10)
    assert check([write, ("cas", [2, 3], False, 20, 30)]).validity is Validity.VALID
    verdict = check([write, ("cas", [1, 3], False, 20, 30)])
    assert verdict.validity is Validity.INVALID
    assert "found something other than 1" in verdict.sentence
    assert len(verdict.anomalies[0].operations) == 2


def test_an_indeterminate_write_explains_it_though_nobody_read_its_value() -> None:
    lost: Row = ("write", 7, None, 0, None)
    assert check([lost, ("cas", [None, 3], False, 20, 30)]).validity is Validity.VALID
    late: Row = ("write", 7, None, 31, None)
    assert check([late, ("cas", [None, 3], False, 20, 30)]).validity is Validity.INVALID


def random_rows(source: random.Random) -> list[Row]:
    rows: list[Row] = []
    for _ in range(source.randint(2, 5)):
        call = source.randint(0, 9)
        ret = None if source.random() < 0.15 else call + source.randint(0, 6)
        f = source.choice(("read", "write", "cas", "cas"))
        value = source.randrange(3)
        pair = [source.choice((None, 0, 1, 2)), value]
        argument = {"read": None, "write": value, "cas": pair}[f]
        results = {"read": source.choice((None, 0, 1, 2)), "write": value}
        result = results.get(f, source.choice((pair, False, False)))
        rows.append((f, argument, result, call, ret))
    return rows


def test_every_order_says_the_same() -> None:
    source, seen = random.Random(11), {True: 0, False: 0}
    for _ in range(1_500):
        rows = random_rows(source)
        if not any(f != "write" and ret is not None for f, _, _, _, ret in rows):
            continue
        verdict, expected = check(rows), legal(rows)
        assert verdict.validity is (Validity.VALID if expected else Validity.INVALID), rows
        seen[expected] += 1
        for anomaly in verdict.anomalies:
            calls = set(anomaly.operations)
            indices = {
                int(event.process): event.index
                for event in build(rows).events()
                if event.type == "invoke"
            }
            part = [row for process, row in enumerate(rows) if indices[process] in calls]
            assert not legal(part), (rows, part)
    assert min(seen.values()) > 300
