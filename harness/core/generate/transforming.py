"""Changing, leaving out, keeping and checking the operations of a generator."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

import msgspec

from harness.core.errors import HarnessError
from harness.core.generate.context import PENDING, Answer, Context, Generator
from harness.core.generate.sources import Source, as_generator
from harness.core.operation import Event, Operation

__all__ = ["cache", "f_map", "filter_ops", "map_ops", "validate"]

_NS = 1_000_000_000


def map_ops(function: Callable[[Operation], Operation], source: Source) -> Generator:
    """Each operation of ``source``, put through ``function``."""
    return _Map(function, as_generator(source))


def f_map(names: Mapping[str, str], source: Source) -> Generator:
    """Operations of ``source`` whose ``f`` is renamed by the table; others stay as they are."""
    table = dict(names)

    def rename(operation: Operation) -> Operation:
        return msgspec.structs.replace(operation, f=table.get(operation.f, operation.f))

    return _Map(rename, as_generator(source))


def filter_ops(predicate: Callable[[Operation], bool], source: Source) -> Generator:
    """Only those operations of ``source`` for which ``predicate`` holds.

    The source is asked until one passes: if none of an endless source does, that is for ever.
    """
    return _Filter(predicate, as_generator(source))


def cache(period_s: float, source: Source) -> Generator:
    """Like ``source``, but an operation that was offered and not taken is offered again for
    ``period_s``, instead of asking the source anew. For sources that are expensive to ask."""
    return _Cache(round(period_s * _NS), as_generator(source), _Memo())


def validate(source: Source) -> Generator:
    """``source``, whose operations are checked against the laws of a generator. Raises
    ``HarnessError`` with every law that an operation breaks."""
    return _Validate(as_generator(source))


class _Map(msgspec.Struct, frozen=True, eq=False):
    function: Callable[[Operation], Operation]
    source: Generator

    def op(self, context: Context) -> Answer:
        answer = self.source.op(context)
        if answer is None or answer is PENDING:
            return answer
        operation, after = answer
        return self.function(operation), None if after is None else _Map(self.function, after)

    def update(self, context: Context, event: Event) -> Generator:
        source = self.source.update(context, event)
        return self if source is self.source else _Map(self.function, source)


class _Filter(msgspec.Struct, frozen=True, eq=False):
    predicate: Callable[[Operation], bool]
    source: Generator

    def op(self, context: Context) -> Answer:
        source: Generator | None = self.source
        while source is not None:
            answer = source.op(context)
            if answer is None or answer is PENDING:
                return answer
            operation, source = answer
            if self.predicate(operation):
                return operation, None if source is None else _Filter(self.predicate, source)
        return None

    def update(self, context: Context, event: Event) -> Generator:
        source = self.source.update(context, event)
        return self if source is self.source else _Filter(self.predicate, source)


class _Offer(NamedTuple):
    until: int
    operation: Operation
    after: Generator | None


class _Memo:
    """The one offer of one state of a :class:`_Cache`. The next state has a memo of its own."""

    __slots__ = ("offer",)

    def __init__(self, offer: _Offer | None = None) -> None:
        self.offer = offer


class _Cache(msgspec.Struct, frozen=True, eq=False):
    period: int
    source: Generator
    memo: _Memo

    def op(self, context: Context) -> Answer:
        offer = self.memo.offer
        if offer is not None and context.time <= offer.until:
            again = context.fill(offer.operation)
            # Otherwise its process is no longer free. Another cannot stand in for it: the source
            # may mean this one (each_thread does).
            if isinstance(again, Operation):
                return again, self._following(offer.after)
        answer = self.source.op(context)
        if answer is None or answer is PENDING:
            return answer
        self.memo.offer = _Offer(context.time + self.period, *answer)
        return answer[0], self._following(answer[1])

    def _following(self, after: Generator | None) -> Generator | None:
        return None if after is None else _Cache(self.period, after, _Memo())

    def update(self, context: Context, event: Event) -> Generator:
        source = self.source.update(context, event)
        offer = self.memo.offer
        if offer is None or offer.after is None:
            return self if source is self.source else _Cache(self.period, source, self.memo)
        after = offer.after.update(context, event)
        if source is self.source and after is offer.after:
            return self
        return _Cache(self.period, source, _Memo(offer._replace(after=after)))


class _Validate(msgspec.Struct, frozen=True, eq=False):
    source: Generator

    def op(self, context: Context) -> Answer:
        answer = self.source.op(context)
        if answer is None or answer is PENDING:
            return answer
        if not (isinstance(answer, tuple) and len(answer) == 2):
            raise HarnessError(f"a generator answered {answer!r}: needed (operation, successor)")
        operation, after = answer
        problems = _broken_laws(operation, context)
        if problems:
            raise HarnessError(f"a generator emitted {operation!r}: " + "; ".join(problems))
        return operation, None if after is None else _Validate(after)

    def update(self, context: Context, event: Event) -> Generator:
        source = self.source.update(context, event)
        return self if source is self.source else _Validate(source)


def _broken_laws(operation: object, context: Context) -> list[str]:
    if not isinstance(operation, Operation):
        return ["it is not an Operation"]
    problems = []
    if operation.time is None or operation.time < context.time:
        problems.append(f"its time must be set and not before {context.time}")
    free = [context.process_of(thread) for thread in context.free_threads]
    if operation.process not in free:
        problems.append(f"its process must be one of the free processes {free}")
    return problems
