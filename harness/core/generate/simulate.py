"""Running a generator without any system: what would it do, if clients answered like this?

For tests of generators and of workloads built from them, as ``jepsen.generator.test`` has it. It
is also the reference for the interpreter: completions before invocations, a thread of its own for
each process, and an operation whose time lies in the future is asked for anew after each event.
"""

from __future__ import annotations

import heapq
import random
from collections.abc import Callable
from typing import Literal, NamedTuple

from harness.core.errors import HarnessError
from harness.core.generate.context import PENDING, Context, Generator
from harness.core.generate.sources import Source, as_generator
from harness.core.operation import Event, Operation

__all__ = ["Behaviour", "Simulated", "crashing", "exponential", "fixed", "perfect", "simulate"]

_POLL_NS = 1_000_000
"""How far time goes on where all are pending and nothing is open, as the interpreter's does."""


class Simulated(NamedTuple):
    """How an operation completes: after ``latency`` nanoseconds, as ``type``."""

    latency: int
    type: Literal["ok", "fail", "info"]


Behaviour = Callable[[Operation, random.Random], Simulated]


def perfect(operation: Operation, source: random.Random) -> Simulated:
    """Every operation succeeds after 10 ns."""
    return Simulated(10, "ok")


def fixed(latency_s: float) -> Behaviour:
    """Every operation succeeds after ``latency_s``."""
    latency = round(latency_s * 1e9)
    return lambda operation, source: Simulated(latency, "ok")


def exponential(mean_s: float) -> Behaviour:
    """Every operation succeeds, after an exponentially distributed time."""
    return lambda operation, source: Simulated(int(source.expovariate(1 / mean_s) * 1e9), "ok")


def crashing(latency_s: float, *, ok: float = 0.0, fail: float = 0.0) -> Behaviour:
    """Operations succeed with probability ``ok``, fail with ``fail``, and crash otherwise."""
    latency = round(latency_s * 1e9)

    def behave(operation: Operation, source: random.Random) -> Simulated:
        draw = source.random()
        return Simulated(latency, "ok" if draw < ok else "fail" if draw < ok + fail else "info")

    return behave


def simulate(
    source: Source,
    *,
    concurrency: int = 3,
    seed: int = 0,
    behaviour: Behaviour = perfect,
    events_max: int = 1_000_000,
    pending_max_s: float = 3600.0,
) -> list[Event]:
    """The history of ``source`` on ``concurrency`` threads, up to its end or ``events_max`` events.

    Raises ``HarnessError`` when the generator is pending for longer than ``pending_max_s`` with
    nothing open: it would never end.
    """
    run = _Run(as_generator(source), concurrency, seed, behaviour)
    waited = 0
    while len(run.events) < events_max:
        answer = run.generator.op(run.context)
        if answer is None and not run.open:
            break
        if isinstance(answer, tuple) and run.comes_before_completions(answer[0]):
            run.invoke(*answer)
            waited = 0
        elif run.open:
            run.complete()
            waited = 0
        else:
            assert answer is PENDING, answer
            waited += _POLL_NS
            if waited > pending_max_s * 1e9:
                raise HarnessError(f"pending for more than {pending_max_s} s with nothing open")
            run.context = run.context.at(run.context.time + _POLL_NS)
    return run.events


class _Open(NamedTuple):
    """An operation in flight, ordered by its end; ``number`` breaks ties."""

    end: int
    number: int
    operation: Operation
    type: Literal["ok", "fail", "info"]


class _Run:
    def __init__(
        self, generator: Generator, concurrency: int, seed: int, behaviour: Behaviour
    ) -> None:
        source = random.Random(seed)
        # Generators and clients draw from streams of their own: other latencies, same choices.
        self.clients = random.Random(source.getrandbits(64))
        self.context = Context.start(concurrency, random.Random(source.getrandbits(64)))
        self.generator = generator
        self.behaviour = behaviour
        self.open: list[_Open] = []
        self.events: list[Event] = []

    def comes_before_completions(self, operation: Operation) -> bool:
        assert operation.time is not None, "an operation without a time"
        return not self.open or operation.time < self.open[0].end

    def invoke(self, operation: Operation, after: Generator | None) -> None:
        time, process = operation.time, operation.process
        assert time is not None, operation
        assert process is not None, operation
        latency, type = self.behaviour(operation, self.clients)
        completion = _Open(time + latency, len(self.events), operation, type)
        heapq.heappush(self.open, completion)
        self.context = self.context.with_busy(self.context.thread_of(process), time)
        self.generator = as_generator(after)
        self._record(operation, time, "invoke")

    def complete(self) -> None:
        end, _, operation, type = heapq.heappop(self.open)
        assert operation.process is not None, operation
        thread = self.context.thread_of(operation.process)
        self.context = self.context.with_free(thread, max(end, self.context.time))
        self._record(operation, self.context.time, type)
        if type == "info":
            self.context = self.context.with_next_process(thread)

    def _record(
        self, operation: Operation, time: int, type: Literal["invoke", "ok", "fail", "info"]
    ) -> None:
        assert operation.process is not None, operation
        event = Event(
            index=len(self.events),
            time=time,
            process=operation.process,
            type=type,
            f=operation.f,
            key=operation.key,
            value=operation.value,
        )
        self.events.append(event)
        self.generator = self.generator.update(self.context, event)
