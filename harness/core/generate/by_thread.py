"""Who does what: generators for some threads, for each thread or process, and bounds on both."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import pairwise
from random import Random

import msgspec

from harness.core.generate.combine import Soonest, replaced, shuffled
from harness.core.generate.context import PENDING, Answer, Context, Generator
from harness.core.generate.sources import NOTHING, Source, as_generator
from harness.core.operation import Event

__all__ = [
    "clients",
    "concurrency_limit",
    "each_process",
    "each_thread",
    "on_threads",
    "process_limit",
    "reserve",
]


def on_threads(predicate: Callable[[int], bool], source: Source) -> Generator:
    """``source`` on those threads for which ``predicate`` holds. It sees no other thread, and no
    event of one."""
    return _OnThreads(predicate, as_generator(source), (), frozenset())


def clients(source: Source) -> Generator:
    """``source`` on the threads of clients (those that are not a nemesis's)."""
    return on_threads(_is_client, source)


def each_thread(source: Source) -> Generator:
    """A copy of ``source`` for each thread, which sees that thread alone, and its events."""
    return _Each(as_generator(source), {}, None)


def each_process(source: Source) -> Generator:
    """A copy of ``source`` for each process: a thread whose process is retired begins anew."""
    return _Each(as_generator(source), {}, {})


def reserve(*shares: tuple[int, Source], default: Source = None) -> Generator:
    """Threads reserved for sources: ``reserve((5, writes), (10, cas), default=reads)`` has the
    first five threads write, the next ten compare and set, and the others read.

    So one kind of operation goes on when every thread of another kind is stuck. Each source sees
    its own threads and their events only. ``ValueError`` when there are too few threads.
    """
    assert all(count > 0 for count, _ in shares), shares
    counts = tuple(count for count, _ in shares)
    sources = (*(as_generator(source) for _, source in shares), as_generator(default))
    return _Reserve(counts, sources, (), ())


def process_limit(processes: int, source: Source) -> Generator:
    """``source`` until more than that many processes could have taken part.

    A bound on crashed operations, which stay open for ever: checkers are exponential in their
    number. Counts every process that was offered, not only those that were used; else the last few
    processes would trickle on alone. Where there are more threads than that, the first are used.
    """
    assert processes > 0, processes
    return _ProcessLimit(processes, as_generator(source), frozenset(), {})


def concurrency_limit(operations: int, source: Source) -> Generator:
    """``source``, pending while that many of its operations are open."""
    assert operations > 0, operations
    return _ConcurrencyLimit(operations, as_generator(source), frozenset())


def _is_client(thread: int) -> bool:
    return thread >= 0


class _OnThreads(msgspec.Struct, frozen=True, eq=False):
    predicate: Callable[[int], bool]
    source: Generator
    threads: tuple[int, ...]
    """The threads for which ``members`` was computed: those of the last context."""
    members: frozenset[int]

    def op(self, context: Context) -> Answer:
        members = self._members(context)
        inside = context if len(members) == len(context.threads) else context.only(members)
        answer = self.source.op(inside)
        if answer is None or answer is PENDING:
            return answer
        operation, after = answer
        if after is None:
            return operation, None
        return operation, _OnThreads(self.predicate, after, context.threads, members)

    def _members(self, context: Context) -> frozenset[int]:
        if context.threads is self.threads:
            return self.members
        return frozenset(filter(self.predicate, context.threads))

    def update(self, context: Context, event: Event) -> Generator:
        members = self._members(context)
        if context.thread_of(event.process) not in members:
            return self
        inside = context if len(members) == len(context.threads) else context.only(members)
        source = self.source.update(inside, event)
        if source is self.source:
            return self
        return _OnThreads(self.predicate, source, context.threads, members)


class _Each(msgspec.Struct, frozen=True, eq=False):
    fresh: Generator
    states: dict[int, Generator]
    """By thread; a thread that is not in it has not begun."""
    processes: dict[int, int] | None
    """By thread, the process to which its state belongs; None: states belong to threads."""

    def op(self, context: Context) -> Answer:
        soonest = Soonest(context)
        for thread in shuffled(context.free_threads, context.random):
            answer = self._state(context, thread).op(context.alone(thread))
            if soonest.settled_by(thread, answer):
                break
        if soonest.offer is not None:
            operation, after = soonest.offer
            return operation, self._with(context, soonest.index, after or NOTHING)
        return soonest.none() if context.all_free else PENDING

    def _state(self, context: Context, thread: int) -> Generator:
        if self.processes is not None and (
            self.processes.get(thread) != context.process_of(thread)
        ):
            return self.fresh
        return self.states.get(thread, self.fresh)

    def _with(self, context: Context, thread: int, state: Generator) -> Generator:
        processes = self.processes
        if processes is not None:
            processes = {**processes, thread: context.process_of(thread)}
        return _Each(self.fresh, {**self.states, thread: state}, processes)

    def update(self, context: Context, event: Event) -> Generator:
        thread = context.thread_of(event.process)
        if thread not in context.threads:
            return self
        before = self._state(context, thread)
        after = before.update(context.alone(thread), event)
        return self if after is before else self._with(context, thread, after)


class _Reserve(msgspec.Struct, frozen=True, eq=False):
    counts: tuple[int, ...]
    sources: tuple[Generator, ...]
    threads: tuple[int, ...]
    """The threads for which ``shares`` was computed: those of the last context."""
    shares: tuple[frozenset[int], ...]

    def op(self, context: Context) -> Answer:
        shares = self._shares(context)
        soonest = Soonest(context)
        for index in self._order(shares, context.random):
            if soonest.settled_by(index, self.sources[index].op(context.only(shares[index]))):
                break
        if soonest.offer is None:
            return soonest.none()
        operation, after = soonest.offer
        sources = replaced(self.sources, soonest.index, after)
        return operation, _Reserve(self.counts, sources, context.threads, shares)

    @staticmethod
    def _order(shares: tuple[frozenset[int], ...], source: Random) -> Iterator[int]:
        """Every share that has threads, in random order weighted by their number."""
        seen: set[int] = set()
        threads = [index for index, share in enumerate(shares) for _ in share]
        for index in shuffled(threads, source):
            if index not in seen:
                seen.add(index)
                yield index

    def _shares(self, context: Context) -> tuple[frozenset[int], ...]:
        if context.threads is self.threads:
            return self.shares
        threads = sorted(context.threads)
        if sum(self.counts) > len(threads):
            raise ValueError(
                f"found {len(threads)} threads; needed {sum(self.counts)} to reserve; "
                "raise the concurrency"
            )
        bounds = [0]
        for count in self.counts:
            bounds.append(bounds[-1] + count)
        return tuple(frozenset(threads[a:b]) for a, b in pairwise([*bounds, len(threads)]))

    def update(self, context: Context, event: Event) -> Generator:
        shares = self._shares(context)
        thread = context.thread_of(event.process)
        for index, share in enumerate(shares):
            if thread in share:
                source = self.sources[index].update(context.only(share), event)
                sources = replaced(self.sources, index, source)
                if sources is not self.sources:
                    return _Reserve(self.counts, sources, context.threads, shares)
        return self


class _ProcessLimit(msgspec.Struct, frozen=True, eq=False):
    limit: int
    source: Generator
    seen: frozenset[int]
    """Every process that was offered so far."""
    processes: dict[int, int]
    """The table of processes that was last added to ``seen``."""

    def op(self, context: Context) -> Answer:
        inside = self._inside(context)
        seen = self.seen
        if context.processes is not self.processes:
            seen = seen.union(inside.process_of(thread) for thread in inside.threads)
        if len(seen) > self.limit:
            return None
        answer = self.source.op(inside)
        if answer is None or answer is PENDING:
            return answer
        operation, after = answer
        if after is None:
            return operation, None
        return operation, _ProcessLimit(self.limit, after, seen, context.processes)

    def _inside(self, context: Context) -> Context:
        if len(context.threads) <= self.limit:
            return context
        return context.only(context.threads[: self.limit])

    def update(self, context: Context, event: Event) -> Generator:
        source = self.source.update(self._inside(context), event)
        if source is self.source:
            return self
        return _ProcessLimit(self.limit, source, self.seen, self.processes)


class _ConcurrencyLimit(msgspec.Struct, frozen=True, eq=False):
    limit: int
    source: Generator
    open: frozenset[int]
    """The threads with an operation of this source."""

    def op(self, context: Context) -> Answer:
        if len(self.open) >= self.limit:
            return PENDING
        answer = self.source.op(context)
        if answer is None or answer is PENDING:
            return answer
        operation, after = answer
        assert operation.process is not None, "an operation without a process"
        thread = context.thread_of(operation.process)
        if after is None:
            return operation, None
        return operation, _ConcurrencyLimit(self.limit, after, self.open | {thread})

    def update(self, context: Context, event: Event) -> Generator:
        source = self.source.update(context, event)
        thread = context.thread_of(event.process)
        ended = event.type != "invoke" and thread in self.open
        if source is self.source and not ended:
            return self
        return _ConcurrencyLimit(self.limit, source, self.open - {thread} if ended else self.open)
