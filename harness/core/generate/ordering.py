"""What comes after what, and how much of it: limits, phases, and ending at a success."""

from __future__ import annotations

import msgspec

from harness.core.generate.context import PENDING, Answer, Context, Generator
from harness.core.generate.sources import NOTHING, Source, as_generator
from harness.core.operation import Event

__all__ = ["limit", "once", "phases", "synchronize", "then", "until_ok"]


def limit(operations: int, source: Source) -> Generator:
    """At most that many operations of ``source``."""
    assert operations >= 0, operations
    return _Limit(operations, as_generator(source)) if operations else NOTHING


def once(source: Source) -> Generator:
    """The first operation of ``source`` only."""
    return limit(1, source)


def synchronize(source: Source) -> Generator:
    """``source``, begun when no thread has an operation open. Of the events before that it is told
    the last one only."""
    return _Synchronize(as_generator(source))


def phases(*sources: Source) -> Generator:
    """Everything of the first source, then of the second, ..., each begun when all threads are
    free."""
    return as_generator(tuple(map(synchronize, sources)))


def then(first: Source, second: Source) -> Generator:
    """Everything of ``first``; when all threads are free, everything of ``second``."""
    return as_generator((as_generator(first), synchronize(second)))


def until_ok(source: Source) -> Generator:
    """Operations of ``source`` until one of them completes as ``ok``."""
    return _UntilOk(as_generator(source), frozenset())


class _Limit(msgspec.Struct, frozen=True, eq=False):
    remaining: int
    source: Generator

    def op(self, context: Context) -> Answer:
        answer = self.source.op(context)
        if answer is None or answer is PENDING:
            return answer
        operation, after = answer
        if after is None or self.remaining == 1:
            return operation, None
        return operation, _Limit(self.remaining - 1, after)

    def update(self, context: Context, event: Event) -> Generator:
        source = self.source.update(context, event)
        return self if source is self.source else _Limit(self.remaining, source)


class _Synchronize(msgspec.Struct, frozen=True, eq=False):
    source: Generator

    def op(self, context: Context) -> Answer:
        return self.source.op(context) if context.all_free else PENDING

    def update(self, context: Context, event: Event) -> Generator:
        if not context.all_free:
            return self
        source = self.source.update(context, event)
        return self if source is self.source else _Synchronize(source)


class _UntilOk(msgspec.Struct, frozen=True, eq=False):
    source: Generator
    open: frozenset[int]
    """The processes with an operation of this source."""

    def op(self, context: Context) -> Answer:
        answer = self.source.op(context)
        if answer is None or answer is PENDING:
            return answer
        operation, after = answer
        assert operation.process is not None, "an operation without a process"
        if after is None:
            return operation, None
        return operation, _UntilOk(after, self.open | {operation.process})

    def update(self, context: Context, event: Event) -> Generator:
        source = self.source.update(context, event)
        if event.type == "invoke" or event.process not in self.open:
            return self if source is self.source else _UntilOk(source, self.open)
        return NOTHING if event.type == "ok" else _UntilOk(source, self.open - {event.process})
