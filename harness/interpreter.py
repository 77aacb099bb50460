"""Runs a generator against clients, and records what happens.

One task asks the generator and hands operations to *threads*; each operation runs as a task of its
own. Completions are taken in before the next invocation is asked for, because an operation that is
already over must not look concurrent with a new one. Times in the history increase strictly, so
that the order of the file and the order of time are one.

An error that says with certainty that nothing happened is recorded as ``fail``, any other one as
``info``: then the process is retired, its client closed, and the thread goes on under a new process
with a new client. (Semantics of ``jepsen.generator.interpreter``.)
"""

from __future__ import annotations

import asyncio
import random
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Literal

from harness.core.contracts import Client
from harness.core.errors import ClientError
from harness.core.generate import NOTHING, PENDING, Context, Generator
from harness.core.operation import NEMESIS, Event, Operation

__all__ = ["Interpreter", "Recorder"]

_NS = 1_000_000_000
_POLL_NS = 1_000_000
"""How long to wait before a pending generator is asked again though no event came."""

Outcome = Literal["ok", "fail", "info"]
Connect = Callable[[str], Awaitable[Client]]
Invoke = Callable[[Client, Operation, float], Awaitable[Any]]


class Recorder:
    """Numbers and times events, and hands each to ``sink``. Time 0 is when it was made."""

    def __init__(self, sink: Callable[[Event], None]) -> None:
        self._loop = asyncio.get_running_loop()
        self._zero = self._loop.time()
        self._sink = sink
        self._index = 0
        self._last = -1

    def now(self) -> int:
        """Nanoseconds since the run began."""
        return round((self._loop.time() - self._zero) * _NS)

    def record(
        self,
        kind: Literal["invoke", "ok", "fail", "info"],
        f: str,
        value: Any,
        *,
        process: int | Literal["nemesis"] = NEMESIS,
        key: Any = None,
        node: str | None = None,
        error: str | None = None,
    ) -> Event:
        time = max(self.now(), self._last + 1)
        event = Event(
            index=self._index,
            time=time,
            process=process,
            type=kind,
            f=f,
            key=key,
            value=value,
            error=error,
            node=node,
        )
        self._index += 1
        self._last = time
        self._sink(event)
        return event


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
        self._recorder = recorder
        self._context = Context.start(concurrency, source)
        self._clients: list[Client | None] = [None] * concurrency
        self._completed: deque[tuple[int, Operation, Outcome, Any, str | None]] = deque()
        self._wake: asyncio.Future[None] | None = None
        self._tasks: dict[asyncio.Task[None], None] = {}
        self._closing: list[asyncio.Task[None]] = []
        self._loop = asyncio.get_running_loop()

    async def run(self, generator: Generator | None) -> None:
        """Perform everything that ``generator`` asks for; return when it is exhausted and nothing
        is open (or what is open has had its time twice over: it then has no completion)."""
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
                    if self._completed:
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
        task = self._loop.create_task(self._perform(thread, operation))
        self._tasks[task] = None
        task.add_done_callback(self._tasks.pop)
        return following.update(self._context, event) if following is not None else None

    async def _perform(self, thread: int, operation: Operation) -> None:
        outcome: Outcome = "info"
        value, error = operation.value, None
        try:
            client = self._clients[thread]
            if client is None:
                client = self._clients[thread] = await self._connect(self._nodes[thread])
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
            self._completed.append((thread, operation, outcome, value, error))
            self._notify()

    def _take_completions(self, generator: Generator) -> Generator:
        while self._completed:
            generator = self._take_completion(generator)
        return generator

    def _take_completion(self, generator: Generator) -> Generator:
        thread, operation, outcome, value, error = self._completed.popleft()
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
            self._closing.append(self._loop.create_task(client.close()))

    def _ask_again(self) -> int | None:
        # With no thread free only a completion can change the answer.
        return self._recorder.now() + _POLL_NS if self._context.free_threads else None

    async def _drain(self) -> None:
        deadline = self._recorder.now() + round((2 * self._timeout_s + 1) * _NS)
        while self._tasks and self._recorder.now() < deadline:
            await self._wait(deadline)
            self._take_completions(NOTHING)
            # A task that has notified ends in the loop's next round.
            await asyncio.sleep(0)

    async def _close(self) -> None:
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._take_completions(NOTHING)
        clients = [client.close() for client in self._clients if client is not None]
        self._clients = [None] * len(self._clients)
        await asyncio.gather(*clients, *self._closing, return_exceptions=True)

    async def _wait(self, until_ns: int | None) -> None:
        """Return at ``until_ns`` of the run's clock, or when an operation completes."""
        if self._completed:
            return
        self._wake = self._loop.create_future()
        timer = None
        if until_ns is not None:
            delay = max(0, until_ns - self._recorder.now()) / _NS
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
