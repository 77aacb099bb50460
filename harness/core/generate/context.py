"""What a generator sees of the world, and what it promises.

A *generator* is an immutable value. Asked for an operation it answers with one of

- ``(operation, successor)``: do this; afterwards the generator is ``successor`` (None: exhausted);
- ``PENDING``: nothing to do now, ask again after an event or when time has passed;
- ``None``: exhausted, now and for ever.

Asking is speculative: whoever asks may throw the answer away and ask the same generator again, in
another context. That is what makes generators compose (``any_of`` asks every alternative and takes
the soonest), and why neither ``op`` nor ``update`` may change anything, except that they draw from
``context.random``.

A *thread* is a place in which one operation at a time runs, numbered from 0; threads below zero
are reserved for nemeses. A *process* is the identity under which a thread runs; it is retired when
an operation ends as ``info``, and the thread goes on as process + concurrency.

The design is that of Jepsen's pure generators, ``jepsen.generator`` by Kyle Kingsbury
(https://github.com/jepsen-io/generator).
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import Enum
from random import Random
from typing import Final, Literal, Protocol

import msgspec

from harness.core.operation import Event, Operation

__all__ = ["NEMESIS_THREAD", "PENDING", "Answer", "Context", "Generator", "Pending"]


class Pending(Enum):
    """The type of :data:`PENDING`."""

    PENDING = "pending"

    def __repr__(self) -> str:
        return "PENDING"


PENDING: Final = Pending.PENDING
NEMESIS_THREAD: Final = -1


class Generator(Protocol):
    """Says which operation comes next. Immutable; see the module's rules.

    Laws: the ``time`` and ``process`` of an emitted operation are set; ``process`` is free in the
    context; ``time`` is not before ``context.time`` and may lie in the future; once exhausted,
    always exhausted; the same generator, context and state of ``context.random`` give the same
    answer.
    """

    def op(self, context: Context) -> Answer:
        """The next operation and the generator that follows, ``PENDING``, or None."""
        ...

    def update(self, context: Context, event: Event) -> Generator:
        """The generator that knows that ``event`` (an invocation or a completion) happened.

        After an invocation the context already shows the thread as busy; after a completion as
        free, still under the process that completed."""
        ...


Answer = tuple[Operation, Generator | None] | Literal[Pending.PENDING] | None


# A struct rather than a dataclass: one is made for every event, and this is five times faster.
class Context(msgspec.Struct, frozen=True, eq=False):
    """The state of the threads at one time.

    ``time`` is in nanoseconds since the run began. ``threads`` are those that the generator may
    use, ``free_threads`` those of them without an open operation. ``processes`` maps a thread to
    its present process. ``concurrency`` is the number of client threads of the whole run, also
    where ``threads`` is a subset.
    """

    time: int
    free_threads: tuple[int, ...]
    threads: tuple[int, ...]
    processes: dict[int, int]
    concurrency: int
    random: Random

    @staticmethod
    def start(concurrency: int, source: Random, *, time: int = 0) -> Context:
        """The context at the begin of a run: threads 0 to ``concurrency`` - 1, all free."""
        assert concurrency > 0, "a run without threads"
        threads = tuple(range(concurrency))
        return Context(time, threads, threads, {t: t for t in threads}, concurrency, source)

    # --- looking -----------------------------------------------------------------------------

    def process_of(self, thread: int) -> int:
        """The process under which ``thread`` runs now."""
        return self.processes[thread]

    def thread_of(self, process: int | str) -> int:
        """The thread on which ``process`` runs or ran."""
        if isinstance(process, str):
            return NEMESIS_THREAD
        return process % self.concurrency if process >= 0 else process

    @property
    def all_free(self) -> bool:
        """Whether no thread has an open operation."""
        return len(self.free_threads) == len(self.threads)

    def fill(self, operation: Operation) -> Operation | Literal[Pending.PENDING] | None:
        """``operation`` with its open fields set: a time of None means now, a process of None a
        free process at random. ``PENDING`` where no such process is free; None where the process
        asked for is retired, and so never will be."""
        process = operation.process
        time = operation.time
        free = self.free_threads
        if process is None:
            if not free:
                return PENDING
            # random() is the cheapest draw there is; its bias is far below one in 2**40.
            process = self.processes[free[int(self.random.random() * len(free))]]
        else:
            thread = self.thread_of(process)
            if thread not in self.processes or process < self.processes[thread]:
                return None
            if thread not in free or process != self.processes[thread]:
                return PENDING
        return Operation(
            f=operation.f,
            value=operation.value,
            key=operation.key,
            time=self.time if time is None or time < self.time else time,
            process=process,
        )

    # --- following ---------------------------------------------------------------------------

    def at(self, time: int) -> Context:
        """The same threads at another time."""
        return Context(
            time, self.free_threads, self.threads, self.processes, self.concurrency, self.random
        )

    def with_busy(self, thread: int, time: int) -> Context:
        """At ``time`` an operation of ``thread`` was invoked."""
        free = self.free_threads
        place = free.index(thread)
        return Context(
            time,
            free[:place] + free[place + 1 :],
            self.threads,
            self.processes,
            self.concurrency,
            self.random,
        )

    def with_free(self, thread: int, time: int) -> Context:
        """At ``time`` the operation of ``thread`` completed."""
        assert thread not in self.free_threads, f"thread {thread} was free already"
        return Context(
            time,
            (*self.free_threads, thread),
            self.threads,
            self.processes,
            self.concurrency,
            self.random,
        )

    def with_next_process(self, thread: int) -> Context:
        """The process of ``thread`` is retired and the next one takes its place."""
        assert thread >= 0, "a nemesis is never retired"
        process = self.processes[thread] + self.concurrency
        return Context(
            self.time,
            self.free_threads,
            self.threads,
            {**self.processes, thread: process},
            self.concurrency,
            self.random,
        )

    # --- restricting -------------------------------------------------------------------------

    def only(self, threads: Iterable[int]) -> Context:
        """The context as seen by a generator that may use ``threads`` only (of those here)."""
        members = threads if isinstance(threads, frozenset) else frozenset(threads)
        return Context(
            self.time,
            tuple(thread for thread in self.free_threads if thread in members),
            tuple(thread for thread in self.threads if thread in members),
            self.processes,
            self.concurrency,
            self.random,
        )

    def alone(self, thread: int) -> Context:
        """The context as seen by a generator that may use ``thread`` only."""
        one = (thread,)
        return Context(
            self.time,
            one if thread in self.free_threads else (),
            one,
            self.processes,
            self.concurrency,
            self.random,
        )
