"""Runs a generator against clients, and records what happens.

One task asks the generator and hands operations to *threads*; each operation runs as a task of its
own. Completions are taken in before the next invocation is asked for, because an operation that is
already over must not look concurrent with a new one.

An error that says with certainty that nothing happened is recorded as ``fail``, any other one as
``info``: then the process is retired, its client closed, and the thread goes on under a new process
with a new client. (Semantics of ``jepsen.generator.interpreter``.)

A client promises to answer within the time-out. One that has not answered after more than twice
that long is given up: its operation ends as ``info``, and whatever it says later is not listened
to. So a client that hangs, and even one that will not be cancelled, never holds up the run.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Literal

from harness.core.contracts import Client
from harness.core.errors import ClientError
from harness.core.generate import NOTHING, PENDING, Context, Generator
from harness.core.operation import Operation
from harness.recorder import NS, Recorder

__all__ = ["Interpreter"]

_POLL_NS = 1_000_000
"""How long to wait before a pending generator is asked again though no event came."""
_GRACE_S = 1.0
"""What a client may take beyond twice the time-out (it may have to connect first)."""
_END_S = 5.0
"""How long cancelled operations and closing clients may take to end."""

Outcome = Literal["ok", "fail", "info"]
Connect = Callable[[str], Awaitable[Client]]
Invoke = Callable[[Client, Operation, float], Awaitable[Any]]


class _Call:
    """An operation in the hands of a client. Its first outcome counts."""

    __slots__ = ("deadline", "operation", "settled", "thread")

    def __init__(self, thread: int, operation: Operation, deadline: float) -> None:
        self.thread = thread
        self.operation = operation
        self.deadline = deadline
        self.settled = False


class Interpreter:
    """The client threads of a run. Thread ``i`` talks to node ``i`` modulo the number of nodes."""

    def __init__(
        self,
        *,
        nodes: Sequence[str],
        concurrency: int,
        connect: Connect,
        invoke: Invoke,
        timeout_s: float,
        recorder: Recorder,
        source: random.Random,
    ) -> None:
        self._nodes = [nodes[thread % len(nodes)] for thread in range(concurrency)]
        self._connect = connect
        self._invoke = invoke
        self._timeout_s = timeout_s
        self._limit_s = 2 * timeout_s + _GRACE_S
        self._recorder = recorder
        self._context = Context.start(concurrency, source)
        self._clients: list[Client | None] = [None] * concurrency
        self._completed: deque[tuple[_Call, Outcome, Any, str | None]] = deque()
        self._wake: asyncio.Future[None] | None = None
        # Dicts, because they keep the order: the oldest call first, in every process.
        self._calls: dict[asyncio.Task[None], _Call] = {}
        self._given_up: dict[asyncio.Task[None], None] = {}
        self._closing: dict[asyncio.Task[None], None] = {}
        self._loop = asyncio.get_running_loop()
        self._watchdog: asyncio.TimerHandle | None = None

    async def run(self, generator: Generator | None) -> None:
        """Perform everything that ``generator`` asks for; return when it is exhausted and nothing
        is open. Can be called again: threads go on under the processes that they have."""
        try:
            while generator is not None:
                generator = self._take_completions(generator)
                answer = generator.op(self._context.at(self._recorder.now()))
                if answer is None:
                    break
                if answer is PENDING:
                    await self._wait(self._ask_again())
                    continue
                operation, following = answer
                assert operation.time is not None
                if operation.time > self._recorder.now():
                    await self._wait(operation.time)
                    if self._completed or operation.time > self._recorder.now():
                        continue  # what it knew is out of date: ask again
                generator = self._dispatch(operation, following)
            await self._drain()
        finally:
            await self._close()

    def _dispatch(self, operation: Operation, following: Generator | None) -> Generator | None:
        assert operation.process is not None
        thread = self._context.thread_of(operation.process)
        event = self._recorder.record(
            "invoke",
            operation.f,
            operation.value,
            process=operation.process,
            key=operation.key,
            node=self._nodes[thread],
        )
        self._context = self._context.with_busy(thread, event.time)
        call = _Call(thread, operation, self._loop.time() + self._limit_s)
        task = self._loop.create_task(self._perform(call))
        self._calls[task] = call
        task.add_done_callback(self._forget)
        if self._watchdog is None:
            self._watchdog = self._loop.call_at(call.deadline, self._watch)
        return following.update(self._context, event) if following is not None else None

    def _forget(self, task: asyncio.Task[None]) -> None:
        self._calls.pop(task, None)
        self._given_up.pop(task, None)

    async def _perform(self, call: _Call) -> None:
        operation = call.operation
        outcome: Outcome = "info"
        value, error = operation.value, None
        try:
            client = self._clients[call.thread]
            if client is None:
                client = await self._connect(self._nodes[call.thread])
                if call.settled:  # given up meanwhile: the thread has moved on
                    self._discard(client)
                    return
                self._clients[call.thread] = client
            value = await self._invoke(client, operation, self._timeout_s)
            outcome = "ok"
        except ClientError as problem:
            outcome = "fail" if problem.definite else "info"
            error = str(problem)
        except asyncio.CancelledError:
            error = "interrupted"
            raise
        except Exception as problem:
            error = f"{type(problem).__name__}: {problem}"
        finally:
            self._settle(call, outcome, value, error)

    def _settle(self, call: _Call, outcome: Outcome, value: Any, error: str | None) -> None:
        if not call.settled:
            call.settled = True
            self._completed.append((call, outcome, value, error))
            self._notify()

    def _watch(self) -> None:
        """Give up calls that take too long; look again when the oldest is due."""
        now = self._loop.time()
        for task, call in tuple(self._calls.items()):
            if call.deadline > now:
                break
            del self._calls[task]
            self._given_up[task] = None
            task.cancel()
            error = f"the client did not answer within {self._limit_s:g} s and was given up"
            self._settle(call, "info", call.operation.value, error)
        oldest = next(iter(self._calls.values()), None)
        # Without a call there is nothing to watch; and a timer would hide a deadlock from a
        # loop with virtual time.
        self._watchdog = (
            None if oldest is None else self._loop.call_at(oldest.deadline, self._watch)
        )

    def _take_completions(self, generator: Generator) -> Generator:
        while self._completed:
            generator = self._take_completion(generator)
        return generator

    def _take_completion(self, generator: Generator) -> Generator:
        call, outcome, value, error = self._completed.popleft()
        thread, operation = call.thread, call.operation
        assert operation.process is not None
        event = self._recorder.record(
            outcome,
            operation.f,
            value,
            process=operation.process,
            key=operation.key,
            node=self._nodes[thread],
            error=error,
        )
        self._context = self._context.with_free(thread, event.time)
        generator = generator.update(self._context, event)
        if outcome == "info":
            self._retire(thread)
        return generator

    def _retire(self, thread: int) -> None:
        self._context = self._context.with_next_process(thread)
        client, self._clients[thread] = self._clients[thread], None
        if client is not None:
            self._discard(client)

    def _discard(self, client: Client) -> None:
        task = self._loop.create_task(_close_quietly(client))
        self._closing[task] = None
        task.add_done_callback(lambda task: self._closing.pop(task, None))

    def _ask_again(self) -> int | None:
        # With no thread free only a completion can change the answer.
        return self._recorder.now() + _POLL_NS if self._context.free_threads else None

    async def _drain(self) -> None:
        # The watchdog sees to it that they are settled. A task may live on for a round after its
        # call was settled and taken in, and says nothing more: to wait for it would be for ever.
        while not all(call.settled for call in self._calls.values()):
            await self._wait(None)
            self._take_completions(NOTHING)

    async def _close(self) -> None:
        if self._watchdog is not None:
            self._watchdog.cancel()
            self._watchdog = None
        calls = tuple(self._calls.values())
        try:
            await _end((*self._calls, *self._given_up))
        finally:
            for call in calls:
                self._settle(call, "info", call.operation.value, "interrupted")
            self._take_completions(NOTHING)
            for thread in range(len(self._clients)):
                client, self._clients[thread] = self._clients[thread], None
                if client is not None:
                    self._discard(client)
        if self._closing:
            await asyncio.wait(tuple(self._closing), timeout=_END_S)
        await _end(tuple(self._closing))

    async def _wait(self, until_ns: int | None) -> None:
        """Return at ``until_ns`` of the run's clock, or when an operation completes."""
        if self._completed:
            return
        self._wake = self._loop.create_future()
        timer = None
        if until_ns is not None:
            delay = max(0, until_ns - self._recorder.now()) / NS
            timer = self._loop.call_later(delay, self._notify)
        try:
            await self._wake
        finally:
            self._wake = None
            if timer is not None:
                timer.cancel()

    def _notify(self) -> None:
        if self._wake is not None and not self._wake.done():
            self._wake.set_result(None)


async def _close_quietly(client: Client) -> None:
    """What goes wrong with a client that is no longer needed says nothing about the system."""
    with contextlib.suppress(Exception):
        await client.close()


async def _end(tasks: tuple[asyncio.Task[None], ...]) -> None:
    """Cancel ``tasks`` and wait until they have ended, but not for ever."""
    for task in tasks:
        task.cancel()
    if tasks:
        await asyncio.wait(tasks, timeout=_END_S)
