"""Every model against a second specification, written without it, and every order tried."""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from checkers.linearizable import Linearizable
from checkers.models import ILLEGAL, MODELS, Illegal, OneOf, model_named
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Spec:
    """``apply(state, f, argument)`` changes a list in place and answers the result; ``asks`` are
    the invocations to draw from, ``answers`` what observers may return when nothing holds."""

    apply: Callable[[list[Any], str, Any], Any]
    asks: tuple[tuple[str, Any], ...]
    answers: tuple[Any, ...]


REFUSED = object()


def fifo(state: list[Any], f: str, argument: Any) -> Any:
    if f == "enqueue":
        return state.append(argument)
    return state.pop(0) if state else None


def lifo(state: list[Any], f: str, argument: Any) -> Any:
    if f == "push":
        return state.append(argument)
    return state.pop() if state else None


def least(state: list[Any], f: str, argument: Any) -> Any:
    if f == "insert":
        return state.append(argument)
    if not state:
        return None
    state.sort()
    return state.pop(0)


def members(state: list[Any], f: str, argument: Any) -> Any:
    if f == "read":
        return sorted(state)
    here = argument in state
    if f == "add" and not here:
        state.append(argument)
    if f == "remove" and here:
        state.remove(argument)
    return here if f == "contains" else here == (f == "remove")


def lock(state: list[Any], f: str, _argument: Any) -> Any:
    if (f == "acquire") == bool(state):
        return REFUSED
    return state.append(1) if f == "acquire" else state.pop() and None


def permits(state: list[Any], f: str, argument: Any) -> Any:
    for _ in range(argument or 1):
        if f == "acquire":
            state.append(1)
        elif not state:
            return REFUSED
        else:
            state.pop()
    return REFUSED if len(state) > 2 else None


def reentrant(state: list[Any], f: str, argument: Any) -> Any:
    if f == "acquire":
        return REFUSED if len(state) == 2 or set(state) - {argument} else state.append(argument)
    return REFUSED if argument not in state else state.remove(argument)


def total(state: list[Any], f: str, argument: Any) -> Any:
    return sum(state) if f == "read" else state.append(argument or 1)


def entries(state: list[Any], f: str, argument: Any) -> Any:
    if f == "append":
        state.append(argument)
        return [len(state) - 1, argument]
    if argument is None:
        return list(state)
    return state[argument] if argument < len(state) else None


def text(state: list[Any], f: str, argument: Any) -> Any:
    if f == "get":
        return "".join(state)
    if f == "put":
        state.clear()
    return state.append(argument)


def txn(state: list[Any], _f: str, argument: Any) -> Any:
    done = []
    for kind, key, value in argument:
        if kind == "w":
            state.append((key, value))
        seen = [held for name, held in state if name == key]
        done.append([kind, key, value if kind == "w" else (seen or [None])[-1]])
    return done


def asks(puts: str, take: str, values: int = 4) -> tuple[tuple[str, Any], ...]:
    return (*((puts, value) for value in range(values)), *[(take, None)] * values)


SPECS: dict[str, Spec] = {
    "queue": Spec(apply=fifo, asks=asks("enqueue", "dequeue"), answers=(None, 0, 1, 2, 3)),
    "stack": Spec(apply=lifo, asks=asks("push", "pop"), answers=(None, 0, 1, 2, 3)),
    "priority-queue": Spec(
        apply=least, asks=asks("insert", "delete-min"), answers=(None, 0, 1, 2, 3)
    ),
    "set": Spec(
        apply=members,
        asks=tuple(
            itertools.product(("add", "remove", "contains"), (0, 1)),
        )
        + (("read", None),) * 2,
        answers=(None,),
    ),
    "g-set": Spec(
        apply=members,
        asks=(*itertools.product(("add", "contains"), (0, 1, 2)), *[("read", None)] * 3),
        answers=(None,),
    ),
    "mutex": Spec(apply=lock, asks=(("acquire", None), ("release", None)), answers=(None,)),
    "semaphore": Spec(
        apply=permits, asks=(("acquire", None), ("release", None), ("acquire", 2)), answers=(None,)
    ),
    "reentrant-mutex": Spec(
        apply=reentrant, asks=tuple(itertools.product(("acquire", "release"), "ab")), answers=()
    ),
    "counter": Spec(
        apply=total, asks=(("add", None), ("add", 2), ("read", None), ("read", None)), answers=()
    ),
    "log": Spec(
        apply=entries,
        asks=(("append", "a"), ("append", "b"), ("read", None), ("read", 0), ("read", 1)),
        answers=(),
    ),
    "append-kv": Spec(
        apply=text,
        asks=(("put", "a"), ("append", "b"), ("append", "c"), ("get", None), ("get", None)),
        answers=(),
    ),
    "multi-register": Spec(
        apply=txn,
        asks=(
            ("txn", [["w", "x", 1]]),
            ("txn", [["w", "x", 2], ["w", "y", 2]]),
            ("txn", [["r", "x", None], ["r", "y", None]]),
            ("txn", [["r", "x", None], ["w", "y", 3], ["r", "y", None]]),
        ),
        answers=(),
    ),
}


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


def legal(spec: Spec, rows: list[Row]) -> bool:
    """Tries all orders, of those that happened and of some that may have."""
    return _extend(spec, [], rows)


def _extend(spec: Spec, state: list[Any], left: list[Row]) -> bool:
    if all(row.ret is None for row in left):
        return True
    for place, row in enumerate(left):
        if any(other.ret is not None and other.ret < row.call for other in left):
            continue
        after = list(state)
        result = spec.apply(after, row.f, row.argument)
        rest = left[:place] + left[place + 1 :]
        silent = row.ret is None or (result is None and row.result is None)
        if result is REFUSED or not (silent or _agrees(row, result)):
            continue
        if _extend(spec, after, rest):
            return True
    return False


def _agrees(row: Row, result: Any) -> bool:
    """An echo, or null, as the answer of an update observes nothing."""
    if row.f == "read" and row.argument is None and row.result is None:
        return not result
    said = row.result if row.result is None else (type(row.result), row.result)
    if row.f in ("add", "remove", "append") and said in (None, (type(row.argument), row.argument)):
        return True
    return bool(row.result == result and type(row.result) is type(result))


def random_rows(name: str, source: random.Random) -> list[Row]:
    """What a real object answered, with changes now and then."""
    spec, observers = SPECS[name], MODELS[name].observers
    state: list[Any] = []
    rows, clock, past = [], 0, []
    for _ in range(source.randint(3, 7)):
        f, argument = source.choice(spec.asks)
        before = list(state)
        past.append(before)
        result = spec.apply(state, f, argument)
        if result is REFUSED:
            state, result = before, None
        if source.random() < 0.4:
            stale = spec.apply(list(source.choice(past)), f, argument)
            result = None if stale is REFUSED else stale
        if f not in observers:
            result = None
        elif source.random() < 0.15 and spec.answers:
            result = source.choice(spec.answers)
        elif source.random() < 0.1 and f in ("add", "remove", "append"):
            result = source.choice((None, argument))
        clock += source.randint(0, 3)
        early = source.randint(0, 2)
        ret = None if source.random() < 0.1 else clock + source.randint(0, 2)
        rows.append(Row(f=f, argument=argument, result=result, call=max(clock - early, 0), ret=ret))
    return rows


def check(model: str, rows: list[Row]) -> Verdict:
    return Linearizable().check(build(rows), CheckContext(model=model))


@pytest.mark.parametrize("name", sorted(SPECS))
def test_every_order_says_the_same(name: str) -> None:
    """The verdict is that of trying all orders, and a witness alone is illegal."""
    spec, source, seen = SPECS[name], random.Random(name), {True: 0, False: 0}
    for _ in range(1_000):
        rows = random_rows(name, source)
        observers = MODELS[name].observers
        if not any(row.f in observers and row.ret is not None for row in rows):
            continue
        history, verdict, expected = build(rows), check(name, rows), legal(spec, rows)
        assert verdict.validity is (Validity.VALID if expected else Validity.INVALID), rows
        seen[expected] += 1
        calls = {e.index: int(e.process) for e in history.events() if e.type == "invoke"}
        for anomaly in verdict.anomalies:
            part = [rows[calls[index]] for index in anomaly.operations]
            assert not legal(spec, part), (rows, part)
    assert min(seen.values()) > 90, seen


def test_the_registers_have_tests_of_their_own() -> None:
    assert set(MODELS) == set(SPECS) | {name for name in MODELS if "register" in name}


def test_only_an_offset_and_a_value_say_where_an_entry_lies() -> None:
    """A boolean or a float as the answer of an append observes nothing."""
    for result, expected in ((1.5, Validity.VALID), (True, Validity.VALID), ([1, 2], "invalid")):
        row = Row(f="append", argument=2, result=result, call=0, ret=1)
        assert check("log", [row]).validity == Validity(expected), result


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


def test_an_element_may_be_added_again() -> None:
    """What was seen before a removal does not rule out that it is seen after it."""
    steps = [("add", 1, None), ("contains", 1, True), ("remove", 1, None), ("contains", 1, False)]
    steps += [("add", 1, None), ("contains", 1, True)]
    rows = [
        Row(f=f, argument=argument, result=result, call=2 * at, ret=2 * at + 1)
        for at, (f, argument, result) in enumerate(steps)
    ]
    assert check("set", rows).validity is Validity.VALID
    assert check("set", rows[:4] + rows[5:]).validity is Validity.INVALID
    lost = Row(f="remove", argument=1, result=None, call=3, ret=None)
    late = Row(f="contains", argument=1, result=False, call=12, ret=13)
    assert check("set", [*rows, lost, late]).validity is Validity.VALID
    assert check("set", [*rows, late]).validity is Validity.INVALID


def test_empty_dequeue_under_concurrency() -> None:
    """A dequeue may find nothing while others are at work, if there is an instant for it."""

    def row(f: str, value: Any, call: int, ret: int | None) -> Row:
        return Row(
            f=f, argument=None if f == "dequeue" else value, result=value, call=call, ret=ret
        )

    empty = row("dequeue", None, 3, 9)
    gap = [row("enqueue", 1, 0, 1), row("dequeue", 1, 2, 5), row("enqueue", 2, 4, 7)]
    held = [row("enqueue", 1, 0, 1), row("enqueue", 2, 0, 2), row("dequeue", 1, 2, 5)]
    assert check("queue", [*gap, empty]).validity is Validity.VALID
    verdict = check("queue", [*held, empty])
    assert verdict.validity is Validity.INVALID
    assert len(verdict.anomalies[0].operations) == 2
    lost = row("dequeue", None, 2, None)
    assert check("queue", [*held, lost, empty]).validity is Validity.VALID
