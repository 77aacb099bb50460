"""The register workload: what its clients do, and how replies become completions."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest

from harness.core import generate as g
from harness.core.contracts import Body
from harness.core.errors import ClientError
from harness.core.operation import Event, Operation
from harness.core.options import Options, read_options
from workloads.register import Register

READ_WRITE = frozenset({"read", "write"})
CAS = READ_WRITE | {"cas"}


def options(**given: str) -> Options:
    texts = {name.replace("_", "-"): text for name, text in given.items()}
    values, problems = read_options(Register.options, texts)
    assert problems == []
    return values


def invocations(
    operations: frozenset[str] = READ_WRITE, count: int = 2000, seed: int = 1, **given: str
) -> list[Event]:
    source = Register().generator(operations, options(**given))
    events = g.simulate(g.limit(count, source), seed=seed, concurrency=5)
    return [event for event in events if event.type == "invoke"]


# --- operations -------------------------------------------------------------------------------


@pytest.mark.parametrize("operations", [READ_WRITE, CAS])
def test_no_value_is_written_twice(operations: frozenset[str]) -> None:
    """By default: so every read says exactly which write it saw, on whichever key."""
    written = [
        event.value if event.f == "write" else event.value[1]
        for event in invocations(operations)
        if event.f != "read"
    ]
    assert len(written) > 500
    assert len(set(written)) == len(written)


def test_small_values_come_again_and_again() -> None:
    """If asked for."""
    written = {event.value for event in invocations(values="small") if event.f == "write"}
    assert written == {0, 1, 2, 3, 4}


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_reads_have_their_share(share: float) -> None:
    """Within five standard deviations."""
    count = 4000
    kinds = Counter(event.f for event in invocations(count=count, read_share=str(share)))
    assert abs(kinds["read"] - count * share) < 5 * (count * share * (1 - share)) ** 0.5


def test_keys_are_retired() -> None:
    """Each has its number of operations and is never used again, so the history of a key stays
    short; a given number of keys is in use at a time."""
    events = invocations(keys="3", operations_per_key="20")
    counts = Counter(event.key for event in events)
    whole = [key for key, count in counts.items() if count == 20]
    assert max(counts.values()) == 20
    assert len(counts) - len(whole) <= 3
    for at in range(len(events) - 3):
        assert len({event.key for event in events[at : at + 3]}) <= 3
    last = {event.key: at for at, event in enumerate(events)}
    first = {event.key: at for at, event in reversed(list(enumerate(events)))}
    for at in range(0, len(events), 50):
        assert sum(first[key] <= at <= last[key] for key in counts) <= 3


def test_compare_and_set_only_where_the_cluster_has_it() -> None:
    """Then it expects the value that the key was last seen to hold: often a right guess."""
    assert {event.f for event in invocations()} == {"read", "write"}
    events = invocations(CAS)
    guesses = [event for event in events if event.f == "cas"]
    assert len(guesses) > 100
    values = {event.value for event in events if event.f == "write"}
    values |= {event.value[1] for event in guesses}
    assert all(event.value[0] in values for event in guesses)


def test_a_generator_is_a_value() -> None:
    """The same seed, the same operations; another seed, others."""
    assert invocations(CAS, seed=4) == invocations(CAS, seed=4)
    assert invocations(CAS, seed=4) != invocations(CAS, seed=5)


def test_every_thread_reads_every_key_at_the_end() -> None:
    """Through every node, therefore."""
    final = Register().final((3, "x"), options())
    events = [event for event in g.simulate(final, concurrency=4) if event.type == "invoke"]
    assert {(event.process, event.f, event.key) for event in events} == {
        (process, "read", key) for process in range(4) for key in (3, "x")
    }
    assert len(events) == 8
    assert Register().final((), options()) is None


def test_a_cluster_must_read_and_write() -> None:
    """What is missing is named."""
    assert Register().problems(CAS, options()) == []
    (problem,) = Register().problems(frozenset({"cas"}), options())
    assert "read" in problem.found
    assert "write" in problem.found


# --- replies ----------------------------------------------------------------------------------


class FakeClient:
    def __init__(self, reply: Callable[[Body], Body]) -> None:
        self.reply = reply
        self.asked: list[Body] = []

    async def call(self, body: Body, timeout_s: float) -> Body:
        assert timeout_s == 0.5
        self.asked.append(body)
        return self.reply(body)

    async def close(self) -> None: ...


def invoke(operation: Operation, reply: Callable[[Body], Body]) -> tuple[Any, list[Body]]:
    client = FakeClient(reply)
    return asyncio.run(Register().invoke(client, operation, 0.5)), client.asked


@pytest.mark.parametrize("value", [5, None, 0, [1]])
def test_a_read_returns_what_was_read(value: Any) -> None:
    """None means that nothing was ever written; 0 is a value."""
    result, asked = invoke(
        Operation(f="read", key="x"), lambda _: {"type": "read_ok", "value": value}
    )
    assert result == value
    assert asked == [{"type": "read", "key": "x"}]


def test_a_read_without_a_value_is_no_read_of_nothing() -> None:
    """A malformed reply must not pass as "never written"."""
    with pytest.raises(ClientError) as caught:
        invoke(Operation(f="read", key="x"), lambda _: {"type": "read_ok"})
    assert not caught.value.definite


def test_a_write_and_a_compare_and_set_complete_with_what_was_asked() -> None:
    """In the vocabulary of Maelstrom."""
    result, asked = invoke(Operation(f="write", key=1, value=7), lambda _: {"type": "write_ok"})
    assert (result, asked) == (7, [{"type": "write", "key": 1, "value": 7}])
    result, asked = invoke(Operation(f="cas", key=1, value=[7, 8]), lambda _: {"type": "cas_ok"})
    assert (result, asked) == ([7, 8], [{"type": "cas", "key": 1, "from": 7, "to": 8}])


def test_errors_of_the_client_go_through() -> None:
    """Whether they are definite is the client's to say."""

    def refuse(_: Body) -> Body:
        raise ClientError(22, "found 3")

    with pytest.raises(ClientError, match="found 3"):
        invoke(Operation(f="cas", key=1, value=[7, 8]), refuse)
