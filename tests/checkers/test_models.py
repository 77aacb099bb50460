"""What single models do, their names and parameters. Every model is compared with a second
specification in ``test_every_model_oracle.py``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest

from checkers.linearizable import Linearizable
from checkers.models import ILLEGAL, Illegal, OneOf, model_named
from harness.core.contracts import CheckContext
from harness.core.errors import BadInput
from harness.core.history import History
from harness.core.operation import Event
from harness.core.verdict import Validity, Verdict


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """``ret`` None: indeterminate."""

    f: str
    argument: Any
    result: Any
    call: int
    ret: int | None


def build(rows: list[Row]) -> History:
    events = []
    for process, row in enumerate(rows):
        events.append((row.call, 0, process, "invoke", row.f, row.argument))
        if row.ret is not None:
            events.append((row.ret, 1, process, "ok", row.f, row.result))
    ordered = sorted(events, key=lambda event: event[:3])
    return History.from_events(
        Event(index=index, time=at, process=process, type=kind, f=f, value=value)  # type: ignore[arg-type]
        for index, (at, _, process, kind, f, value) in enumerate(ordered)
    )


def check(model: str, rows: list[Row]) -> Verdict:
    return Linearizable().check(build(rows), CheckContext(model=model))


def test_only_an_offset_and_a_value_say_where_an_entry_lies() -> None:
    """A boolean or a float as the answer of an append observes nothing."""
    for result, expected in ((1.5, "valid"), (True, "valid"), ([1, 2], "invalid")):
        row = Row(f="append", argument=2, result=result, call=0, ret=1)
        read = Row(f="read", argument=None, result=[2], call=2, ret=3)
        assert check("log", [row, read]).validity == Validity(expected), result
        alone = "unknown" if expected == "valid" else "invalid"  # for nothing was observed
        assert check("log", [row]).validity == Validity(alone), result


def test_a_transaction_writes_what_it_was_asked_to() -> None:
    """A result with other writes than the argument is no result of that transaction."""
    asked = [["w", "x", 1], ["r", "x", None]]
    for result, expected in (
        ([["w", "x", 1], ["r", "x", 1]], "valid"),
        ([["w", "x", 1], ["r", "x", 2]], "invalid"),
        ([["w", "x", 2], ["r", "x", 2]], "invalid"),
        ([["w", "x", 1.0], ["r", "x", 1.0]], "invalid"),
        ([["w", "x", 1]], "invalid"),
    ):
        row = Row(f="txn", argument=asked, result=result, call=0, ret=1)
        assert check("multi-register", [row]).validity == Validity(expected), result


@pytest.mark.parametrize(
    ("appended", "found"), [({}, ["object", []]), ({"a": 1}, ["object", [["a", 1]]])]
)
def test_lists_and_objects_stay_apart(appended: Any, found: Any) -> None:
    """A list that is written like a frozen object is not that object."""
    append = Row(f="append", argument=appended, result=None, call=0, ret=1)
    read = Row(f="read", argument=None, result=[found], call=2, ret=3)
    assert check("log", [append, read]).validity is Validity.INVALID


class Lossy:
    """A register that may lose a write."""

    initial: Any = None
    functions = frozenset({"read", "write"})
    pure = observers = frozenset({"read"})
    nondeterministic = True

    def step(self, state: Any, f: str, argument: Any, result: Any) -> Any | Illegal:
        if f == "write":
            return OneOf(state, argument)
        return state if result == state else ILLEGAL


def test_a_model_may_leave_the_next_state_open() -> None:
    def valid(*rows: Row) -> Validity:
        checker = Linearizable(models={"lossy": Lossy()})
        return checker.check(build(list(rows)), CheckContext(model="lossy")).validity

    write = Row(f="write", argument=1, result=1, call=0, ret=1)
    lost, kept = (Row(f="read", argument=None, result=r, call=2, ret=3) for r in (None, 1))
    after = Row(f="read", argument=None, result=1, call=4, ret=5)
    assert valid(write, lost) is Validity.VALID
    assert valid(write, kept) is Validity.VALID
    assert valid(write, lost, after) is Validity.INVALID


def test_parameters_stand_after_the_name() -> None:
    model: Any = model_named("semaphore:permits=3")
    assert model.permits == 3
    assert model_named("register:initial=0").initial == 0
    assert model_named("register:initial=none yet").initial == "none yet"
    history = build([Row(f="read", argument=None, result=0, call=0, ret=1)])
    checker = Linearizable()
    for name, expected in (("register:initial=0", Validity.VALID), ("register", Validity.INVALID)):
        assert checker.check(history, CheckContext(model=name)).validity is expected


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("semafore", ["semafore", "did you mean semaphore"]),
        ("semaphore:permits=-1,size=2", ["permits=-1", "'size'"]),
        ("queue:initial=3", ["no parameter"]),
        ("register:initial=[1]", ["initial=[1]"]),
    ],
)
def test_what_is_wrong_with_a_name_is_said_at_once(text: str, words: list[str]) -> None:
    with pytest.raises(BadInput) as error:
        model_named(text)
    shown = " ".join(f"{p.found} {p.needed} {p.change}" for p in error.value.problems)
    for word in words:
        assert word in shown
