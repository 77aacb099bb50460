"""Histories: pairing, validation, interning, and that columns are all that is kept."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator
from dataclasses import fields
from typing import Any, Literal

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.core.errors import BadInput
from harness.core.history import NEVER, History, Interner, stable_order
from harness.core.operation import NEMESIS, Event, Type

Kind = Literal["invoke", "ok", "fail", "info"]


def event(
    index: int, process: int | Literal["nemesis"], kind: Kind, f: str = "write", **more: Any
) -> Event:
    return Event(
        **{"index": index, "time": 10 * index, "process": process, "type": kind, "f": f}
        | {"value": None}
        | more
    )


def problems(*events: Event) -> list[str]:
    with pytest.raises(BadInput) as caught:
        History.from_events(events)
    return [str(problem) for problem in caught.value.problems]


# --- pairing --------------------------------------------------------------------------------

_SCALARS = st.one_of(st.none(), st.booleans(), st.integers(-2, 2), st.sampled_from(["", "a"]))
_VALUES = st.one_of(_SCALARS, st.lists(_SCALARS, max_size=2))


@st.composite
def histories(draw: st.DrawFn) -> list[Event]:
    """Well-formed histories of up to four threads, nemesis events among them."""
    concurrency = draw(st.integers(1, 4))
    processes = list(range(concurrency))
    opened: dict[int, str] = {}
    events: list[Event] = []
    time = 0
    for _ in range(draw(st.integers(0, 30))):
        time += draw(st.integers(0, 2))
        thread = draw(st.integers(-1, concurrency - 1))
        rest: dict[str, Any] = {
            "index": len(events),
            "time": time,
            "value": draw(_VALUES),
            "key": draw(_SCALARS),
            "node": draw(st.sampled_from([None, "n1", "n2"])),
            "error": draw(st.sampled_from([None, "timeout"])),
        }
        if thread < 0:
            events.append(Event(process=NEMESIS, type="info", f="start", **rest))
            continue
        process = processes[thread]
        if process not in opened:
            opened[process] = draw(st.sampled_from(["read", "write", "cas"]))
            events.append(Event(process=process, type="invoke", f=opened[process], **rest))
            continue
        kind: Kind = draw(st.sampled_from(["ok", "fail", "info"]))
        events.append(Event(process=process, type=kind, f=opened.pop(process), **rest))
        if kind == "info":
            processes[thread] += concurrency
    return events


def dumb_pairs(events: list[Event]) -> list[tuple[int, int]]:
    """Rows of invocation and completion (-1: none): for each invocation, look on."""
    pairs = []
    for row, invocation in enumerate(events):
        if invocation.process == NEMESIS or invocation.type != "invoke":
            continue
        later = (
            other
            for other in range(row + 1, len(events))
            if events[other].process == invocation.process
        )
        pairs.append((row, next(later, -1)))
    return pairs


@given(histories())
def test_pairing_agrees_with_a_dumb_oracle(events: list[Event]) -> None:
    """Every column of every operation is what a plain loop over the events finds."""
    history = History.from_events(events)
    operations = history.operations
    expected = dumb_pairs(events)
    assert list(zip(operations.invocation, operations.completion, strict=True)) == expected
    for at, (first, last) in enumerate(expected):
        end = events[last] if last >= 0 else None
        certain = end is not None and end.type != "info"
        assert operations.call[at] == events[first].time
        assert operations.ret[at] == (end.time if end is not None and certain else NEVER)
        assert operations.process[at] == events[first].process
        assert Type(operations.outcome[at]).name.lower() == (end.type if end else "info")
        assert history.functions[operations.f[at]] == events[first].f
        assert history.nodes[operations.node[at]] == events[first].node
        for code, table, value in (
            (operations.key[at], history.keys, events[first].key),
            (operations.argument[at], history.values, events[first].value),
            (operations.result[at], history.values, (end or events[first]).value),
        ):
            assert (type(table[code]), table[code]) == (type(value), value)


@given(histories())
def test_event_is_the_inverse_of_reading(events: list[Event]) -> None:
    """Nothing of an event is lost in the columns, and equal codes mean equal JSON."""
    history = History.from_events(events)
    assert len(history) == len(events)
    back = list(history.events())
    assert list(map(msgspec.json.encode, back)) == list(map(msgspec.json.encode, events))
    assert history.nemesis_events() == tuple(e for e in events if e.process == NEMESIS)


@given(histories(), st.randoms(use_true_random=False))
def test_select_takes_the_same_rows_of_every_column(events: list[Event], chance: Any) -> None:
    """By mask and by position; order is kept."""
    operations = History.from_events(events).operations
    mask = np.array([chance.random() < 0.5 for _ in range(len(operations))], dtype=bool)
    for rows in (mask, np.flatnonzero(mask)):
        chosen = operations.select(rows)
        assert len(chosen) == mask.sum()
        for name in operations.__slots__:
            assert np.array_equal(getattr(chosen, name), getattr(operations, name)[mask])


def test_an_empty_history_has_no_operations() -> None:
    """No event, no operation, no complaint."""
    history = History.from_events([])
    assert (len(history), len(history.operations), history.nemesis_events()) == (0, 0, ())


def test_an_open_operation_may_have_happened_and_never_returned() -> None:
    """A history that merely stops is fine; what is open counts as info."""
    operations = History.from_events([event(0, 3, "invoke", value=7)]).operations
    assert (operations.completion[0], operations.outcome[0]) == (-1, Type.INFO)
    assert operations.ret[0] == NEVER
    assert operations.result[0] == operations.argument[0]


def test_function_looks_up_codes() -> None:
    """-1 stands for a function that no event has, and so equals no code."""
    history = History.from_events([event(0, 0, "invoke", "read")])
    assert history.functions[history.function("read")] == "read"
    assert history.function("cas") == -1


# --- validation -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("events", "index", "text"),
    [
        ([event(0, 1, "invoke"), event(1, 1, "invoke")], 1, "while an operation of its process"),
        (
            [event(0, 1, "invoke"), event(1, 1, "info"), event(2, 1, "invoke")],
            2,
            "by a process whose operation ended as info",
        ),
        ([event(0, 1, "ok")], 0, "that was not open"),
        ([event(0, 1, "invoke"), event(1, 2, "fail")], 1, "that was not open"),
        ([event(0, 1, "invoke"), event(1, 1, "info"), event(2, 1, "ok")], 2, "was not open"),
        ([event(0, 1, "invoke"), event(1, 1, "ok", "read")], 1, "of another function"),
        ([event(0, 1, "invoke", time=5), event(1, 2, "invoke", time=4)], 1, "before the event"),
        ([event(0, -1, "invoke")], 0, "negative process"),
        ([event(0, -7, "invoke")], 0, "negative process"),
    ],
)
def test_each_rule_names_the_event_that_breaks_it(
    events: list[Event], index: int, text: str
) -> None:
    """One broken rule is one problem, with the index of the event."""
    (found,) = problems(*events)
    assert text in found
    assert f"event {index} " in found


def test_all_problems_are_collected() -> None:
    """The user sees everything at once, not one problem a run."""
    found = problems(
        event(0, 0, "ok"),
        event(1, 1, "invoke"),
        event(2, 1, "invoke"),
        event(3, 2, "invoke"),
        event(4, 2, "ok", "read"),
        event(5, 3, "invoke", time=1),
    )
    assert sorted(text.split("event ")[1][0] for text in found) == ["0", "2", "4", "5"]


def test_problems_are_bounded() -> None:
    """A file that is no history at all does not drown the user."""
    assert len(problems(*(event(i, i, "ok") for i in range(1000)))) == 20


@given(histories(), st.data())
def test_a_damaged_history_is_refused_or_still_well_formed(
    events: list[Event], data: st.DataObject
) -> None:
    """Dropping any event leaves a history that obeys the rules, or BadInput: no other error."""
    at = data.draw(st.integers(0, max(0, len(events) - 1)))
    rest = [*events[:at], *events[at + 1 :]]
    try:
        operations = History.from_events(rest).operations
    except BadInput:
        return
    pairs = list(zip(operations.invocation, operations.completion, strict=True))
    assert pairs == dumb_pairs(rest)


def test_nemesis_events_need_not_pair() -> None:
    """The nemesis speaks whenever it likes, in infos."""
    history = History.from_events([event(i, NEMESIS, "info", "start") for i in range(3)])
    assert (len(history.nemesis_events()), len(history.operations)) == (3, 0)


# --- interning ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "values",
    [
        [None, True, False, 1, 0, 1.0, 0.0, "1", "true", ""],
        [[1], [True], [1.0], ["1"], [None], [], {}, [[]], [[1]], "[1]"],
        [{"a": 1}, {"a": True}, {"b": 1}, {"a": [1]}],
    ],
)
def test_values_that_json_tells_apart_have_codes_of_their_own(values: list[Any]) -> None:
    """1, true, 1.0 and "1" are equal or alike in Python; in a history they are four values."""
    interner = Interner()
    codes = [interner.code(value) for value in values]
    assert len(set(codes)) == len(values)
    assert [interner.code(value) for value in values] == codes
    assert all(
        (type(interner.values[code]), interner.values[code]) == (type(value), value)
        for code, value in zip(codes, values, strict=True)
    )


@pytest.mark.parametrize(
    ("one", "other"),
    [([1, 2], (1, 2)), ({"a": 1, "b": 2}, {"b": 2, "a": 1}), ([{"a": 1, "b": [2]}],) * 2],
)
def test_equal_values_have_equal_codes(one: Any, other: Any) -> None:
    """Whatever the order of an object's fields, and tuples are lists."""
    interner = Interner()
    assert interner.code(one) == interner.code(other)


def test_code_zero_is_none() -> None:
    """So that checkers can tell "no value" without looking."""
    interner = Interner()
    assert interner.code(None) == 0
    assert interner.values == [None]


@given(st.lists(_VALUES, max_size=12))
def test_many_values_have_the_codes_that_each_would_have(values: list[Any]) -> None:
    """All at once, and of a table whose values are there more than once."""
    one, other = Interner(), Interner()
    codes = [one.code(value) for value in values]
    assert other.codes(values) == codes
    assert repr(other.values) == repr(one.values)
    merged, mapping = Interner.merged([None, *values])
    assert repr(merged) == repr(tuple(one.values))
    assert [0, *codes] == (list(range(len(values) + 1)) if mapping is None else mapping.tolist())


@given(st.lists(st.integers(-1, 1 << 17) | st.integers(0, 5)))
def test_a_stable_order_is_the_stable_order(numbers: list[int]) -> None:
    """By radix where they fit into 16 bits."""
    order = stable_order(np.array(numbers, dtype=np.int64)).tolist()
    assert order == sorted(range(len(numbers)), key=numbers.__getitem__)


@given(histories(), st.integers(0, 40), st.sampled_from(["process", "type", "f", "time"]))
def test_columns_are_validated_as_events_are(events: list[Event], at: int, name: str) -> None:
    """The same history, or the same problems."""
    history = History.from_events(events)
    columns = {field.name: getattr(history, field.name) for field in fields(History)}
    if len(events):
        columns[name] = columns[name].copy()
        columns[name][at % len(events)] = 1
    events = list(History(**columns).events())
    ways: tuple[Callable[[], History], ...] = (
        lambda: History.from_columns(**columns),
        lambda: History.from_events(events),
    )
    ends = []
    for make in ways:
        try:
            ends.append([msgspec.json.encode(one) for one in make().events()])
        except BadInput as error:
            ends.append([str(problem).encode() for problem in error.problems])
    assert ends[0] == ends[1]


def test_a_negative_process_in_a_column_is_refused() -> None:
    """But for -1, which is the nemesis."""
    history = History.from_events([event(0, 0, "invoke")])
    columns = {field.name: getattr(history, field.name) for field in fields(History)}
    with pytest.raises(BadInput, match="negative process"):
        History.from_columns(**columns | {"process": np.array([-2])})


# --- size -----------------------------------------------------------------------------------


def test_a_large_history_is_columns() -> None:
    """200,000 events are held in arrays: no event, tuple or other container for each of them."""

    def events() -> Iterator[Event]:
        for number in range(100_000):
            at, process = 2 * number, number % 10
            yield event(at, process, "invoke", value=number % 100, key=number % 7)
            yield event(at + 1, process, "ok", value=number % 100, key=number % 7)

    gc.collect()
    before = len(gc.get_objects())
    history = History.from_events(events())
    operations = history.operations
    gc.collect()
    assert len(gc.get_objects()) - before < 1000
    assert len(operations) == 100_000
    columns = [getattr(operations, name) for name in operations.__slots__]
    assert {column.dtype for column in columns} == {np.dtype(np.int64)}
    assert (len(history.values), len(history.keys)) == (101, 8)
