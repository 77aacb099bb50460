"""Porcupine's forms: its own examples, against brute force, and what models of others may do."""

from __future__ import annotations

import itertools
import random
import time
from collections import OrderedDict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import pytest

from checkers import check, models
from checkers.porcupine import (
    UNKNOWN,
    CheckResult,
    Event,
    EventKind,
    Model,
    NondeterministicModel,
    Operation,
    check_events,
    check_events_verbose,
    check_operations,
    check_operations_verbose,
    history_from_events,
    history_from_operations,
)
from checkers.porcupine.adapted import likeness
from harness.core.errors import BadInput
from harness.core.verdict import Validity

OK, ILLEGAL, UNDECIDED = CheckResult.OK, CheckResult.ILLEGAL, CheckResult.UNKNOWN


@dataclass(frozen=True)
class Put:
    value: int


@dataclass(frozen=True)
class Get:
    pass


def register_step(state: int, input: Put | Get, output: Any) -> tuple[bool, int]:
    if isinstance(input, Put):
        return True, input.value
    return output == state, state


REGISTER = Model(init=lambda: 0, step=register_step)


def called(number: int, value: Any) -> Event:
    return Event(kind=EventKind.CALL, value=value, id=number, client_id=number)


def returned(number: int, value: Any) -> Event:
    return Event(kind=EventKind.RETURN, value=value, id=number, client_id=number)


FIRST = [
    called(0, Put(100)),
    called(1, Get()),
    called(2, Get()),
    returned(2, 0),
    returned(1, 100),
    returned(0, 0),
]
SECOND = [
    called(0, Put(200)),
    called(1, Get()),
    returned(1, 200),
    called(2, Get()),
    returned(2, 0),
    returned(0, 0),
]


def test_the_examples_of_the_readme() -> None:
    """A register: one history that is linearizable, and one that is not."""
    assert check_events(REGISTER, FIRST) is OK
    assert check_events(REGISTER, SECOND) is ILLEGAL
    result, info = check_events_verbose(REGISTER, SECOND)
    assert result is ILLEGAL
    assert [one.output for one in info.witness] == [0, 200, 0]
    assert info.stuck is not None
    assert (info.stuck.client_id, info.ordered, info.returns) == (2, 1, 3)
    assert info.sentence == "No order of these 3 operations explains Get() -> 0."


def op(client: int, input: Any, call: float, output: Any, return_: float | None) -> Operation:
    return Operation(client_id=client, input=input, call=call, output=output, return_=return_)


def test_intervals_are_closed() -> None:
    """Operations that touch are concurrent, as in Porcupine."""
    touching = [op(0, Put(1), 0, 0, 10), op(1, Get(), 10, 0, 20)]
    apart = [op(0, Put(1), 0, 0, 10), op(1, Get(), 10.5, 0, 20)]
    assert check_operations(REGISTER, touching) is OK
    assert check_operations(REGISTER, apart) is ILLEGAL


def kv_parts(history: Iterable[Operation]) -> list[list[Operation]]:
    parts: dict[str, list[Operation]] = {}
    for one in history:
        parts.setdefault(one.input["key"], []).append(one)
    return list(parts.values())


def kv_event_parts(history: Iterable[Event]) -> list[list[Event]]:
    parts: dict[str, list[Event]] = {}
    keys: dict[int, str] = {}
    for one in history:
        key = keys.setdefault(one.id, one.value["key"] if one.kind is EventKind.CALL else "")
        parts.setdefault(key, []).append(one)
    return list(parts.values())


def kv_step(state: str, input: dict[str, str], output: str) -> tuple[bool, str]:
    if input["op"] == "put":
        return True, input["value"]
    if input["op"] == "append":
        return True, state + input["value"]
    return output == state, state


KV = Model(
    init=lambda: "",
    step=kv_step,
    partition=kv_parts,
    partition_event=kv_event_parts,
    read_only=lambda input, _: input["op"] == "get",
)


def kv_whole(state: dict[str, str], input: dict[str, str], output: str) -> tuple[bool, Any]:
    legal, value = kv_step(state.get(input["key"], ""), input, output)
    return legal, {**state, input["key"]: value}


def kv(client: int, f: str, key: str, value: str, call: int, output: str, end: int) -> Operation:
    return op(client, {"op": f, "key": key, "value": value}, call, output, end)


def test_a_key_value_store_with_partitions() -> None:
    """Unhashable inputs, and parts that are judged by themselves."""
    good = [
        kv(0, "put", "x", "a", 0, "", 10),
        kv(1, "append", "x", "b", 5, "", 15),
        kv(2, "get", "x", "", 11, "ab", 20),
        kv(0, "append", "y", "c", 21, "", 30),
        kv(1, "get", "y", "", 31, "c", 40),
    ]
    bad = [*good[:-1], kv(1, "get", "y", "", 31, "", 40)]
    whole = Model(init=dict, step=kv_whole)
    for model in (KV, whole):
        assert check_operations(model, good) is OK
        assert check_operations(model, bad) is ILLEGAL
    result, info = check_operations_verbose(KV, bad)
    assert (result, info.partitions) == (ILLEGAL, 2)
    assert {one.input["key"] for one in info.witness} == {"y"}
    events = sorted(
        [(one.call, 0, n, called(n, one.input)) for n, one in enumerate(bad)]
        + [(one.return_ or 0, 1, n, returned(n, one.output)) for n, one in enumerate(bad)],
        key=lambda row: row[:3],
    )
    assert check_events(KV, [event for *_, event in events]) is ILLEGAL


def brute(model: Model | NondeterministicModel, history: Sequence[Operation]) -> bool:
    """Tries every order of what returned with every choice of what did not."""

    def extend(states: list[Any], left: tuple[Operation, ...]) -> bool:
        if all(one.return_ is None for one in left):
            return True
        for one in left:
            rest = tuple(other for other in left if other is not one)
            if any(x.return_ is not None and x.return_ < one.call for x in rest):
                continue
            after = [y for state in states for y in model.steps(state, one.input, one.output)]
            if after and extend(after, rest):
                return True
        return False

    return extend(model.initial_states(), tuple(history))


def scrambled(
    source: random.Random, inputs: Sequence[tuple[Any, Sequence[Any]]]
) -> list[Operation]:
    """Up to six operations of three clients, with random answers; some are pending."""
    history = []
    for client in range(3):
        moment = source.randrange(4)
        for _ in range(source.randrange(1, 3)):
            end = moment + source.randrange(6)
            input, outputs = source.choice(inputs)
            pending = source.random() < 0.15
            output = UNKNOWN if pending else source.choice(outputs)
            history.append(op(client, input, moment, output, None if pending else end))
            moment = end + source.randrange(3)
            if pending:
                break
    return history


def as_events(history: Sequence[Operation]) -> list[Event]:
    rows = [(one.call, 0, n, called(n, one.input)) for n, one in enumerate(history)]
    rows += [
        (one.return_, 1, n, returned(n, one.output))
        for n, one in enumerate(history)
        if one.return_ is not None
    ]
    return [event for *_, event in sorted(rows, key=lambda row: row[:3])]


def queue_step(state: list[int], input: Any, output: Any) -> tuple[bool, Any]:
    if input is not None:
        return True, [*state, input]
    if output is UNKNOWN:
        return True, state[1:]
    return (output == state[0], state[1:]) if state else (output == "empty", state)


def lossy_step(state: int, input: Any, output: Any) -> list[int]:
    """A counter whose increments may be lost."""
    if input == "add":
        return [state, state + 1]
    return [state] if output in (state, UNKNOWN) else []


def boxed_step(state: list[int], input: Put | Get, output: Any) -> tuple[bool, list[int]]:
    legal, value = register_step(state[0], input, output)
    return legal, [value]


REGISTER_INPUTS = [(Put(1), [0]), (Put(2), [0]), (Get(), [0, 1, 2])]
SYSTEMS: dict[str, tuple[Model | NondeterministicModel, list[tuple[Any, list[Any]]]]] = {
    "register": (REGISTER, REGISTER_INPUTS),
    "register, reads declared": (
        Model(init=lambda: 0, step=register_step, read_only=lambda i, _: isinstance(i, Get)),
        REGISTER_INPUTS,
    ),
    "register, own equality": (
        Model(
            init=lambda: [0],
            step=boxed_step,
            equal=lambda a, b: a == b,
        ),
        REGISTER_INPUTS,
    ),
    "register, own hash": (
        Model(
            init=lambda: [0],
            step=boxed_step,
            equal=lambda a, b: a == b,
            hash=tuple,
        ),
        REGISTER_INPUTS,
    ),
    "queue of lists": (
        Model(init=list, step=queue_step),
        [(1, [None]), (2, [None]), (None, [1, 2, "empty"])],
    ),
    "lossy counter": (
        NondeterministicModel(init=lambda: [0], step=lossy_step),
        [("add", [None]), ("read", [0, 1, 2])],
    ),
    "lossy counter, reads declared": (
        NondeterministicModel(
            init=lambda: [0, 1], step=lossy_step, read_only=lambda i, _: i == "read"
        ),
        [("add", [None]), ("read", [0, 1, 2])],
    ),
}


@pytest.mark.parametrize("name", SYSTEMS)
def test_random_histories_against_brute_force(name: str) -> None:
    """Both forms agree with an oracle that tries everything; a witness is illegal by itself."""
    model, inputs = SYSTEMS[name]
    source = random.Random(name)
    count = {OK: 0, ILLEGAL: 0}
    for number in range(600):
        history = scrambled(source, inputs)
        expected = OK if brute(model, history) else ILLEGAL
        result, info = check_operations_verbose(model, history)
        assert result is expected, (name, number, history)
        assert check_events(model, as_events(history)) is expected, (name, number, history)
        count[expected] += 1
        if result is ILLEGAL:
            assert info.stuck in info.witness
            assert not brute(model, info.witness), (name, number, history, info)
    assert min(count.values()) > 50, count


def test_what_never_returned_may_have_happened() -> None:
    """A put without an answer is seen later, or never; an output of the user's own is kept."""
    pending = op(0, Put(5), 0, UNKNOWN, None)
    assert check_operations(REGISTER, [pending, op(1, Get(), 10, 0, 20)]) is OK
    assert check_operations(REGISTER, [pending, op(1, Get(), 10, 5, 20)]) is OK
    back = [pending, op(1, Get(), 10, 5, 20), op(1, Get(), 30, 0, 40)]
    assert check_operations(REGISTER, back) is ILLEGAL
    seen = []

    def step(state: int, input: Any, output: Any) -> tuple[bool, int]:
        seen.append(output)
        return register_step(state, input, output)

    own = [op(0, Put(5), 0, "timed out", None), op(1, Get(), 10, 5, 20)]
    assert check_operations(Model(init=lambda: 0, step=step), own) is OK
    assert "timed out" in seen


def test_nothing_shows_nothing() -> None:
    """No operation at all is not linearizable, nor illegal; and only OK is true."""
    assert check_operations(REGISTER, []) is UNDECIDED
    assert check_events(KV, []) is UNDECIDED
    assert [bool(result) for result in (OK, ILLEGAL, UNDECIDED)] == [True, False, False]


def hard(clients: int, each: int) -> list[Operation]:
    """Puts of one of two values, all concurrent, and a value read that nobody put."""
    history = [
        op(client, Put(10 * client + turn), turn * 100, 0, turn * 100 + 99 + client)
        for client in range(clients)
        for turn in range(each)
    ]
    return [*history, op(99, Get(), 0, -1, each * 200)]


def test_the_time_limit_is_kept() -> None:
    """Also where each step of the model is slow; what came out is Unknown, with how far it got."""
    start = time.monotonic()
    result, info = check_operations_verbose(REGISTER, hard(24, 40), timeout_s=2.0)
    took = time.monotonic() - start
    assert result is UNDECIDED
    assert took < 8.0
    assert info.returns == 24 * 40 + 1

    def slow(state: int, input: Any, output: Any) -> tuple[bool, int]:
        time.sleep(0.01)
        return register_step(state, input, output)

    start = time.monotonic()
    late = check_operations(Model(init=lambda: 0, step=slow), hard(24, 40), timeout_s=0.3)
    assert late is UNDECIDED
    assert time.monotonic() - start < 3.0


def test_the_memory_limit_is_kept() -> None:
    """A limit below what the process holds already leaves nothing decided."""
    result = check_operations(REGISTER, hard(24, 40), memory_limit_bytes=1 << 20)
    assert result is UNDECIDED


def test_an_illegal_part_does_not_wait_for_a_hard_one() -> None:
    """What is easily shown comes first, in whatever order the parts are given."""
    easy = [op(0, Put(1), 0, 0, 10), op(1, Get(), 20, 7, 30)]
    model = Model(init=lambda: 0, step=register_step, partition=lambda _: [hard(24, 40), easy])
    start = time.monotonic()
    assert check_operations(model, [*easy], timeout_s=30) is ILLEGAL
    assert time.monotonic() - start < 15


@pytest.mark.parametrize(
    ("operations", "text"),
    [
        ([op(0, Put(1), 10, 0, 5)], "operation 0 with call 10 and return 5"),
        ([op(0, Put(1), float("nan"), 0, 5)], "call nan"),
    ],
)
def test_impossible_times_are_refused(operations: list[Operation], text: str) -> None:
    with pytest.raises(BadInput, match=text):
        check_operations(REGISTER, operations)


def test_events_that_do_not_pair_are_refused() -> None:
    """All of them at once, by their positions; an id may be used again once it has returned."""
    events = [called(0, Get()), called(0, Get()), returned(1, 0), returned(0, 0), returned(0, 0)]
    with pytest.raises(BadInput) as error:
        check_events(REGISTER, events)
    assert [text.split(":")[0] for text in str(error.value).splitlines()] == [
        "found event 1",
        "found event 2",
        "found event 4",
    ]
    again = [called(0, Put(3)), returned(0, 0), called(0, Get()), returned(0, 3)]
    assert check_events(REGISTER, again) is OK


def test_a_step_that_changes_its_state_is_caught() -> None:
    """It would make the answer depend on the order in which the engine asks."""

    def step(state: list[int], input: int, output: Any) -> tuple[bool, list[int]]:
        state.append(input)
        return True, state

    with pytest.raises(ValueError, match="step changed the state"):
        check_operations(Model(init=list, step=step), [op(0, 1, 0, None, 1)])


def test_a_wrong_read_only_is_caught() -> None:
    model = Model(init=lambda: 0, step=register_step, read_only=lambda *_: True)
    with pytest.raises(ValueError, match="read_only"):
        check_operations(model, [op(0, Put(1), 0, 0, 1), op(0, Get(), 2, 1, 3)])


def test_a_model_that_raises_is_heard() -> None:
    """An error of the model is the user's to see: it is no verdict."""
    with pytest.raises(KeyError):
        check_operations(Model(init=dict, step=lambda s, i, o: s[i]), [op(0, "x", 0, 0, 1)])


class Opaque:
    __hash__ = None  # type: ignore[assignment]

    def __init__(self, value: int) -> None:
        self.value = value

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Opaque) and self.value == other.value


def test_values_that_cannot_be_looked_into() -> None:
    """Inputs may be anything; of a state it must be said when it is the same."""

    def step(state: Opaque, input: Opaque, output: Any) -> tuple[bool, Opaque]:
        return output in (None, state.value), input

    history = [op(0, Opaque(1), 0, None, 1), op(0, Opaque(2), 2, 1, 3), op(0, Opaque(2), 4, 2, 5)]
    with pytest.raises(TypeError, match="Opaque; needed one that can be hashed"):
        check_operations(Model(init=lambda: Opaque(0), step=step), history)
    named = Model(init=lambda: Opaque(0), step=step, equal=lambda a, b: bool(a == b))
    assert check_operations(named, history) is OK
    assert check_operations(named, [*history, op(0, Opaque(1), 6, 1, 7)]) is ILLEGAL


def test_likeness_tells_apart_what_a_model_may_tell_apart() -> None:
    values: list[Any] = [
        *(1, True, 1.0, "1", b"1", None, (1,), [1], {1}, frozenset({1}), {1: 1}, {1: True}),
        *(Put(1), Put(True), OrderedDict([(1, 1), (2, 2)]), OrderedDict([(2, 2), (1, 1)])),
        *([[1]], [(1,)], {"a": [1]}, {"a": (1,)}),
    ]
    for one, other in itertools.combinations(values, 2):
        assert likeness(one) != likeness(other), (one, other)
    assert likeness({"a": [1], "b": 2}) == likeness({"b": 2, "a": [1]})
    assert likeness(Put(1)) == likeness(Put(1))


def meaning(input: Put | Get, output: Any) -> tuple[str, Any, Any, Any]:
    if isinstance(input, Put):
        return "write", None, input.value, None
    return "read", None, None, output


def test_a_history_for_our_own_models() -> None:
    """The same verdict by a faster procedure, with a sentence: also for clients whose operations
    overlap or touch, and for what never returned."""
    model = models.Register(initial=0)
    assert check(history_from_events(FIRST, meaning), model).validity is Validity.VALID
    verdict = check(history_from_events(SECOND, meaning), model)
    assert verdict.validity is Validity.INVALID
    assert verdict.details["keys_by_procedure"] == {"zones": 1}
    source = random.Random(5)
    seen = set()
    for _ in range(300):
        history = scrambled(source, REGISTER_INPUTS)
        ours = check(history_from_operations(history, meaning), model).validity
        expected = Validity.VALID if brute(REGISTER, history) else Validity.INVALID
        if not any(isinstance(one.input, Get) and one.return_ is not None for one in history):
            expected = Validity.UNKNOWN
        assert ours is expected, history
        seen.add(ours)
    assert len(seen) == 3
    with pytest.raises(BadInput, match="no integers"):
        history_from_operations([op(0, Get(), 0.5, 0, 1)], meaning)
