"""The interpreter: what it records is what happened, whatever clients do."""

from __future__ import annotations

import asyncio
import itertools
import random
from collections import Counter
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any, TypeVar

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clusters.substrates.simulation.loop import VirtualTimeLoop
from harness.core import generate as g
from harness.core.contracts import Body, Client
from harness.core.errors import ClientError, DeploymentError
from harness.core.history import History
from harness.core.operation import Event, Operation, Type
from harness.interpreter import Interpreter
from harness.recorder import Recorder

T = TypeVar("T")
Behave = Callable[[int, Operation], Awaitable[Any]]
"""What client number ``n`` (counted over the run) does with an operation."""

LOOPS: dict[str, Callable[[], asyncio.AbstractEventLoop]] = {
    "virtual": VirtualTimeLoop,
    "real": asyncio.new_event_loop,
}
both_loops = pytest.mark.parametrize("loop", LOOPS)


def run_on(loop: str, main: Coroutine[Any, Any, T]) -> T:
    with asyncio.Runner(loop_factory=LOOPS[loop]) as runner:
        return runner.run(main)


@dataclass
class FakeClient:
    number: int
    node: str
    closed: bool = False

    async def call(self, body: Body, timeout_s: float) -> Body:
        raise NotImplementedError

    async def close(self) -> None:
        self.closed = True


@dataclass
class World:
    """An interpreter, the clients that it made, and the events that it recorded."""

    behave: Behave
    concurrency: int = 2
    timeout_s: float = 0.05
    nodes: tuple[str, ...] = ("n1", "n2", "n3")
    seed: int = 1
    clients: list[FakeClient] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.recorder = Recorder(self.events.append)
        self.interpreter = Interpreter(
            nodes=self.nodes,
            concurrency=self.concurrency,
            connect=self.connect,
            invoke=self.invoke,
            timeout_s=self.timeout_s,
            recorder=self.recorder,
            source=random.Random(self.seed),
        )

    async def connect(self, node: str) -> Client:
        self.clients.append(FakeClient(len(self.clients), node))
        return self.clients[-1]

    async def invoke(self, client: Client, operation: Operation, timeout_s: float) -> Any:
        assert isinstance(client, FakeClient)
        assert not client.closed, "a closed client was used"
        assert timeout_s == self.timeout_s
        return await self.behave(client.number, operation)

    def history(self) -> History:
        return History.from_events(self.events)

    def completions(self) -> list[Event]:
        return [event for event in self.events if event.type != "invoke"]


def writes(count: int) -> g.Generator:
    return g.as_generator([Operation(f="write", value=value) for value in range(count)])


async def at_once(client: int, operation: Operation) -> Any:
    return operation.value


async def hang(client: int, operation: Operation) -> Any:
    await asyncio.get_running_loop().create_future()


async def refuse_to_end(client: int, operation: Operation) -> Any:
    """Hang, and shrug off being cancelled (but for the third time: a real loop must end)."""
    for _ in range(3):
        try:
            return await asyncio.sleep(1e6)
        except asyncio.CancelledError:
            continue
    return None


def raising(error: Exception) -> Behave:
    async def behave(client: int, operation: Operation) -> Any:
        raise error

    return behave


# --- what is recorded -------------------------------------------------------------------------


@both_loops
def test_an_operation_is_invoked_and_completes(loop: str) -> None:
    """With the process, key and node of the invocation, and the client's value."""

    async def main() -> World:
        async def behave(client: int, operation: Operation) -> Any:
            return [operation.value, "seen"]

        world = World(behave, concurrency=1)
        operations = [Operation(f="read", key="x", value=v) for v in (1, 2)]
        await world.interpreter.run(g.as_generator(operations))
        return world

    world = run_on(loop, main())
    assert [(e.index, e.process, e.type, e.f, e.key, e.value, e.node) for e in world.events] == [
        (0, 0, "invoke", "read", "x", 1, "n1"),
        (1, 0, "ok", "read", "x", [1, "seen"], "n1"),
        (2, 0, "invoke", "read", "x", 2, "n1"),
        (3, 0, "ok", "read", "x", [2, "seen"], "n1"),
    ]
    assert len(world.clients) == 1
    assert world.clients[0].closed


@both_loops
def test_threads_are_spread_over_the_nodes(loop: str) -> None:
    """Thread ``i`` talks to node ``i`` modulo their number."""

    async def main() -> World:
        world = World(at_once, concurrency=5)
        await world.interpreter.run(g.each_thread(Operation(f="read")))
        return world

    world = run_on(loop, main())
    nodes = {event.process: event.node for event in world.events}
    assert nodes == {0: "n1", 1: "n2", 2: "n3", 3: "n1", 4: "n2"}


@pytest.mark.parametrize(("loop", "pause_s", "count"), [("virtual", 0.001, 100), ("real", 0.1, 5)])
def test_completions_are_taken_in_before_the_next_invocation(
    loop: str, pause_s: float, count: int
) -> None:
    """Operations that did not overlap never look concurrent: with clients that answer at once, and
    a pause between operations, each completes before the next is invoked."""

    async def main() -> World:
        world = World(at_once, concurrency=4)
        await world.interpreter.run(g.delay(pause_s, writes(count)))
        return world

    world = run_on(loop, main())
    assert [event.type for event in world.events] == ["invoke", "ok"] * count


@both_loops
def test_recorded_intervals_contain_the_real_ones(loop: str) -> None:
    """An operation begins after its invocation was recorded and has ended before its completion
    was: so two that overlapped in the record may not have done so, but never the other way."""
    actual: dict[int, tuple[int, int]] = {}

    async def main() -> World:
        chance = random.Random(5)

        async def behave(client: int, operation: Operation) -> Any:
            start = world.recorder.now()
            await asyncio.sleep(chance.choice((0, 0, 0.001, 0.003)))
            actual[operation.value] = (start, world.recorder.now())

        world = World(behave, concurrency=5)
        await world.interpreter.run(writes(200))
        return world

    world = run_on(loop, main())
    operations = world.history().operations
    values = world.history().values
    # A nanosecond for each event: times in the record are made distinct.
    slack = len(world.events)
    for at in range(len(operations)):
        start, end = actual[values[operations.argument[at]]]
        assert operations.call[at] <= start + slack
        assert operations.ret[at] >= end
    assert len(operations) == 200


@both_loops
def test_times_increase_strictly(loop: str) -> None:
    """The order of the file is the order of time, also for events of one moment."""

    async def main() -> World:
        world = World(at_once, concurrency=3)
        await world.interpreter.run(writes(100))
        return world

    events = run_on(loop, main()).events
    assert [event.index for event in events] == list(range(200))
    assert all(a.time < b.time for a, b in itertools.pairwise(events))
    assert events[0].time >= 0


def test_the_rate_is_kept() -> None:
    """Operations are asked for at the generator's pace, while clients can keep up."""

    async def main() -> World:
        async def behave(client: int, operation: Operation) -> Any:
            await asyncio.sleep(0.002)

        world = World(behave, concurrency=10)
        source = g.repeat(Operation(f="read"))
        await world.interpreter.run(g.time_limit(20, g.stagger(1 / 100, source)))
        return world

    events = run_on("virtual", main()).events
    invocations = [event for event in events if event.type == "invoke"]
    assert 1800 <= len(invocations) <= 2200
    assert 19.5e9 <= events[-1].time <= 20.1e9


# --- errors -----------------------------------------------------------------------------------


@both_loops
def test_a_definite_error_is_a_failure(loop: str) -> None:
    """The process and its client go on."""

    async def main() -> World:
        world = World(raising(ClientError(22, "found 3")), concurrency=1)
        await world.interpreter.run(writes(3))
        return world

    world = run_on(loop, main())
    assert [(e.process, e.type, e.value) for e in world.completions()] == [
        (0, "fail", value) for value in range(3)
    ]
    assert world.completions()[0].error == "precondition-failed: found 3"
    assert len(world.clients) == 1


@both_loops
@pytest.mark.parametrize(
    ("error", "text"),
    [
        (ClientError(0, "late"), "timeout: late"),
        (ClientError(4711), "error-4711"),
        (ClientError(11, definite=False), "temporarily-unavailable"),
        (OSError("broken pipe"), "OSError: broken pipe"),
        (ZeroDivisionError("bug"), "ZeroDivisionError: bug"),
        (asyncio.CancelledError("the client's own"), "interrupted"),
    ],
)
def test_any_other_error_is_info_and_retires_the_process(
    loop: str, error: Exception, text: str
) -> None:
    """The thread goes on as another process with another client; the old client is closed."""

    async def main() -> World:
        world = World(raising(error), concurrency=2)
        await world.interpreter.run(g.on_threads(lambda thread: thread == 1, writes(3)))
        return world

    world = run_on(loop, main())
    assert [(e.process, e.type, e.value, e.error) for e in world.completions()] == [
        (1, "info", 0, text),
        (3, "info", 1, text),
        (5, "info", 2, text),
    ]
    assert [(client.node, client.closed) for client in world.clients] == [("n2", True)] * 3
    world.history()


@both_loops
def test_a_client_that_cannot_be_made_is_an_error_like_others(loop: str) -> None:
    """Definite if it says so; and the next operation tries again."""
    errors = [DeploymentError("no route"), ClientError(11, "connection refused")]

    async def main() -> World:
        class Unreachable(World):
            async def connect(self, node: str) -> Client:
                if errors:
                    raise errors.pop(0)
                return await super().connect(node)

        world = Unreachable(at_once, concurrency=1)
        await world.interpreter.run(writes(3))
        return world

    world = run_on(loop, main())
    assert [(e.process, e.type) for e in world.completions()] == [
        (0, "info"),
        (1, "fail"),
        (1, "ok"),
    ]


@both_loops
def test_a_client_that_fails_to_close_does_not_matter(loop: str) -> None:
    """It is no longer needed; what it raises says nothing about the system."""

    async def main() -> World:
        class Stubborn(FakeClient):
            async def close(self) -> None:
                raise OSError("already gone")

        class Closing(World):
            async def connect(self, node: str) -> Client:
                return Stubborn(0, node)

        world = Closing(raising(ClientError(0)), concurrency=1)
        await world.interpreter.run(writes(2))
        return world

    assert len(run_on(loop, main()).completions()) == 2


# --- clients that hang ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("loop", "behave"), [("virtual", hang), ("virtual", refuse_to_end), ("real", hang)]
)
def test_a_client_that_hangs_does_not_hang_the_run(loop: str, behave: Behave) -> None:
    """Every thread hangs on every operation, and yet the run ends: each is given up as info, also
    where the client will not be cancelled."""

    async def main() -> World:
        world = World(behave, concurrency=2)
        await asyncio.wait_for(world.interpreter.run(writes(4)), 120)
        return world

    world = run_on(loop, main())
    assert Counter(event.type for event in world.events) == {"invoke": 4, "info": 4}
    assert all("given up" in str(event.error) for event in world.completions())
    assert len({event.process for event in world.events}) == 4
    assert all(client.closed for client in world.clients)
    world.history()


@both_loops
def test_other_threads_go_on_while_one_hangs(loop: str) -> None:
    """And a time limit ends the run though an operation is open."""

    async def main() -> World:
        async def behave(client: int, operation: Operation) -> Any:
            if operation.value == 3:
                await hang(client, operation)

        world = World(behave, concurrency=2)
        source = g.delay(0.01, writes(40))
        await asyncio.wait_for(world.interpreter.run(g.time_limit(0.2, source)), 120)
        return world

    world = run_on(loop, main())
    outcomes = Counter(event.type for event in world.completions())
    assert outcomes["info"] == 1
    assert outcomes["ok"] >= 3


@both_loops
def test_what_a_given_up_client_says_later_is_not_listened_to(loop: str) -> None:
    """An operation has one completion."""

    async def main() -> World:
        late: list[asyncio.Future[None]] = []

        async def behave(client: int, operation: Operation) -> Any:
            if operation.value == 0:
                late.append(asyncio.get_running_loop().create_future())
                try:
                    await late[0]
                except asyncio.CancelledError:
                    return "too late"
            return operation.value

        world = World(behave, concurrency=1)
        await world.interpreter.run(writes(2))
        return world

    world = run_on(loop, main())
    assert [(e.type, e.value) for e in world.completions()] == [("info", 0), ("ok", 1)]


def test_a_client_that_never_closes_does_not_hang_the_run() -> None:
    """Closing is bounded too."""

    async def main() -> World:
        class Clinging(FakeClient):
            async def close(self) -> None:
                await asyncio.get_running_loop().create_future()

        class Closing(World):
            async def connect(self, node: str) -> Client:
                return Clinging(0, node)

        world = Closing(at_once, concurrency=1)
        await asyncio.wait_for(world.interpreter.run(writes(1)), 120)
        return world

    assert len(run_on("virtual", main()).completions()) == 1


# --- beginning and ending ----------------------------------------------------------------------


@both_loops
def test_an_exhausted_generator_ends_at_once(loop: str) -> None:
    """Also none at all."""

    async def main() -> World:
        world = World(at_once)
        await world.interpreter.run(None)
        await world.interpreter.run(g.NOTHING)
        return world

    world = run_on(loop, main())
    assert (world.events, world.clients) == ([], [])


@both_loops
def test_a_second_run_goes_on_with_the_processes_of_the_first(loop: str) -> None:
    """A retired process never comes back: the final reads belong to the same history."""

    async def main() -> World:
        async def behave(client: int, operation: Operation) -> Any:
            if operation.value == 1:
                raise ClientError(0)

        world = World(behave, concurrency=1)
        await world.interpreter.run(writes(3))
        await world.interpreter.run(writes(1))
        return world

    world = run_on(loop, main())
    assert [event.process for event in world.completions()] == [0, 0, 1, 1]
    assert [event.index for event in world.events] == list(range(8))
    world.history()


@both_loops
def test_a_cancelled_run_closes_its_clients_and_records_what_was_open(loop: str) -> None:
    """Open operations end as info (they may have happened), none is lost."""

    async def main() -> World:
        world = World(hang, concurrency=3, timeout_s=1000.0)
        task = asyncio.create_task(world.interpreter.run(writes(10)))
        while len(world.clients) < 3:  # noqa: ASYNC110  # a client need not know of events
            await asyncio.sleep(0.001)
        task.cancel()
        await asyncio.wait([task])
        assert task.cancelled()
        return world

    world = run_on(loop, main())
    assert [(event.type, event.error) for event in world.completions()] == (
        [("info", "interrupted")] * 3
    )
    assert all(client.closed for client in world.clients)
    world.history()


@both_loops
def test_an_operation_that_was_cancelled_before_it_began_is_recorded(loop: str) -> None:
    """Invoked, interrupted: it has a completion, and its thread can go on in a second run."""

    async def main() -> World:
        world = World(at_once, concurrency=1)
        task = asyncio.create_task(world.interpreter.run(g.repeat(Operation(f="read"), 1)))
        asyncio.get_running_loop().call_soon(task.cancel)
        await asyncio.wait([task])
        await world.interpreter.run(writes(1))
        return world

    world = run_on(loop, main())
    pairs = Counter((event.f, event.type) for event in world.events)
    assert pairs["write", "ok"] == 1
    assert len(world.completions()) * 2 == len(world.events)
    world.history()


@both_loops
def test_a_generator_that_raises_ends_the_run_with_its_error(loop: str) -> None:
    """Nothing is swallowed, and what was open is recorded all the same."""

    async def main() -> World:
        world = World(hang, concurrency=2)
        turns = iter((Operation(f="read"),))

        def source() -> Operation:
            for operation in turns:
                return operation
            raise ZeroDivisionError("a bug in a generator")

        with pytest.raises(ZeroDivisionError):
            await world.interpreter.run(g.as_generator(source))
        return world

    world = run_on(loop, main())
    assert [event.type for event in world.events] == ["invoke", "info"]


# --- any clients ------------------------------------------------------------------------------

_ACTS = st.sampled_from(["ok", "ok", "ok", "definite", "indefinite", "crash", "hang", "stubborn"])


@settings(max_examples=60)
@given(
    acts=st.lists(st.tuples(_ACTS, st.sampled_from([0.0, 0.001, 0.1, 0.2])), min_size=1),
    concurrency=st.integers(1, 4),
    pace_s=st.sampled_from([0.0, 0.001, 0.05]),
    cancel_after_s=st.sampled_from([None, 0.0, 0.003, 0.3]),
)
def test_the_record_is_always_a_history(
    acts: list[tuple[str, float]], concurrency: int, pace_s: float, cancel_after_s: float | None
) -> None:
    """Whatever clients do, and wherever a run is cut short: the record obeys the rules, every
    operation has a completion, and an ok is one only if its client said so."""
    said: set[int] = set()

    async def behave(client: int, operation: Operation) -> Any:
        act, latency_s = acts[operation.value % len(acts)]
        await asyncio.sleep(latency_s)
        if act == "definite":
            raise ClientError(22)
        if act == "indefinite":
            raise ClientError(0)
        if act == "crash":
            raise KeyError(act)
        if act == "hang":
            await hang(client, operation)
        if act == "stubborn":
            await refuse_to_end(client, operation)
        said.add(operation.value)
        return operation.value

    async def main() -> World:
        world = World(behave, concurrency=concurrency)
        task = asyncio.create_task(world.interpreter.run(g.stagger(pace_s, writes(20))))
        await asyncio.wait([task], timeout=cancel_after_s)
        task.cancel()
        await asyncio.wait([task])
        await world.interpreter.run(g.time_limit(1, writes(3)))
        return world

    world = run_on("virtual", main())
    history = world.history()
    operations = history.operations
    assert (operations.completion >= 0).all()
    for at in range(len(operations)):
        if operations.outcome[at] == Type.OK:
            assert history.values[operations.argument[at]] in said
    assert all(client.closed for client in world.clients)
