"""Where operations come from: what may stand for a generator, and repetition.

=====================  =========================================================================
An ``Operation``       is emitted once
A function             is called for every operation, with the context if it takes an argument,
                       until it returns None; what it returns may be any source
A list or tuple        each element, a source of its own, until it is exhausted; then the next
Any other iterable     the same, read lazily, each element once
``None``               is exhausted
=====================  =========================================================================
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Iterator
from typing import Any, cast

import msgspec

from harness.core.generate.context import PENDING, Answer, Context, Generator
from harness.core.operation import Event, Operation

__all__ = ["NOTHING", "Cursor", "Source", "as_generator", "cycle", "repeat", "update_all"]

Source = Generator | Operation | Callable[..., Any] | Iterable[Any] | None
"""Whatever :func:`as_generator` understands."""


def as_generator(source: Source) -> Generator:
    """The generator that ``source`` stands for. ``TypeError`` where it stands for none."""
    if source is None:
        return NOTHING
    if isinstance(source, Operation):
        return _Once(source)
    if hasattr(source, "op") and hasattr(source, "update"):
        return cast(Generator, source)
    if callable(source):
        return _Function(source, _takes_context(source))
    if isinstance(source, tuple | list):
        return _Sequence(tuple(map(as_generator, source)))
    if isinstance(source, Iterable) and not isinstance(source, str | bytes | dict):
        return _Lazy(Cursor(iter(source)), NOTHING)
    raise TypeError(
        f"found {source!r}; needed an Operation, a function, an iterable or a generator"
    )


def update_all(
    sources: tuple[Generator, ...], context: Context, event: Event
) -> tuple[Generator, ...]:
    """Every source, updated. The very same tuple if none has changed."""
    changed = False
    updated = []
    for source in sources:
        after = source.update(context, event)
        changed = changed or after is not source
        updated.append(after)
    return tuple(updated) if changed else sources


def repeat(source: Source, times: int | None = None) -> Generator:
    """The first operation of ``source`` again and again, ``times`` times or for ever.

    The source does not advance, but it is asked each time: repeating a random source gives
    different operations.
    """
    assert times is None or times >= 0, times
    return _Repeat(times, as_generator(source)) if times != 0 else NOTHING


def cycle(source: Source, times: int | None = None) -> Generator:
    """``source`` from its start to its end, ``times`` times or for ever.

    Ends as well when a whole round emitted nothing, instead of looking for ever.
    """
    assert times is None or times >= 0, times
    whole = as_generator(source)
    return _Cycle(times, whole, whole, emitted=False) if times != 0 else NOTHING


class _Nothing(msgspec.Struct, frozen=True, eq=False):
    def op(self, context: Context) -> Answer:
        return None

    def update(self, context: Context, event: Event) -> Generator:
        return self


NOTHING: Generator = _Nothing()
"""The generator that is exhausted from the start."""


class _Once(msgspec.Struct, frozen=True, eq=False):
    operation: Operation

    def op(self, context: Context) -> Answer:
        filled = context.fill(self.operation)
        return (filled, None) if isinstance(filled, Operation) else filled

    def update(self, context: Context, event: Event) -> Generator:
        return self


class _Function(msgspec.Struct, frozen=True, eq=False):
    function: Callable[..., Any]
    takes_context: bool

    def op(self, context: Context) -> Answer:
        if not context.free_threads:
            # Without calling it: it may count, and its result could only be thrown away.
            return PENDING
        made = self.function(context) if self.takes_context else self.function()
        if type(made) is Operation:
            filled = context.fill(made)
            return (filled, self) if isinstance(filled, Operation) else filled
        return None if made is None else _Sequence((as_generator(made), self)).op(context)

    def update(self, context: Context, event: Event) -> Generator:
        return self


def _takes_context(function: Callable[..., Any]) -> bool:
    try:
        parameters = inspect.signature(function).parameters.values()
    except ValueError:  # some built-in functions have no signature
        return False
    return any(
        parameter.default is parameter.empty
        and parameter.kind in (parameter.POSITIONAL_ONLY, parameter.POSITIONAL_OR_KEYWORD)
        for parameter in parameters
    )


class _Sequence(msgspec.Struct, frozen=True, eq=False):
    """Updates reach the element whose turn it is only."""

    sources: tuple[Generator, ...]
    turn: int = 0
    head: Generator | None = None
    """The present state of ``sources[turn]``, where that differs from its first."""

    def op(self, context: Context) -> Answer:
        head, turn = self.head, self.turn
        while turn < len(self.sources):
            answer = (head or self.sources[turn]).op(context)
            if answer is PENDING:
                return answer
            if answer is not None:
                operation, after = answer
                return operation, self._after(turn, after)
            head, turn = None, turn + 1
        return None

    def _after(self, turn: int, head: Generator | None) -> Generator | None:
        if head is not None:
            return head if turn + 1 == len(self.sources) else _Sequence(self.sources, turn, head)
        return _Sequence(self.sources, turn + 1) if turn + 1 < len(self.sources) else None

    def update(self, context: Context, event: Event) -> Generator:
        if self.turn >= len(self.sources):
            return self
        before = self.head or self.sources[self.turn]
        after = before.update(context, event)
        return self if after is before else _Sequence(self.sources, self.turn, after)


class Cursor:
    """A place in an iterator that can be visited more than once: a memo of one cell.

    The memo changes, but what a visit returns does not: so the generators that hold a cursor stay
    values.
    """

    __slots__ = ("_iterator", "_read")

    def __init__(self, iterator: Iterator[Any]) -> None:
        self._iterator: Iterator[Any] | None = iterator
        self._read: tuple[Any, Cursor] | None = None

    def read(self) -> tuple[Any, Cursor] | None:
        """What stands here and the next place; None at the end."""
        if self._iterator is not None:
            iterator, self._iterator = self._iterator, None
            for value in iterator:
                self._read = value, Cursor(iterator)
                break
        return self._read


class _Lazy(msgspec.Struct, frozen=True, eq=False):
    cursor: Cursor
    head: Generator

    def op(self, context: Context) -> Answer:
        head, cursor = self.head, self.cursor
        while True:
            answer = head.op(context)
            if answer is PENDING:
                return answer
            if answer is not None:
                operation, after = answer
                return operation, _Lazy(cursor, after or NOTHING)
            found = cursor.read()
            if found is None:
                return None
            head, cursor = as_generator(found[0]), found[1]

    def update(self, context: Context, event: Event) -> Generator:
        head = self.head.update(context, event)
        return self if head is self.head else _Lazy(self.cursor, head)


class _Repeat(msgspec.Struct, frozen=True, eq=False):
    times: int | None
    source: Generator

    def op(self, context: Context) -> Answer:
        answer = self.source.op(context)
        if answer is None or answer is PENDING:
            return answer
        if self.times is None:
            return answer[0], self
        return answer[0], _Repeat(self.times - 1, self.source) if self.times > 1 else None

    def update(self, context: Context, event: Event) -> Generator:
        source = self.source.update(context, event)
        return self if source is self.source else _Repeat(self.times, source)


class _Cycle(msgspec.Struct, frozen=True, eq=False):
    times: int | None
    whole: Generator
    source: Generator | None
    emitted: bool
    """Whether this round emitted anything."""

    def op(self, context: Context) -> Answer:
        if self.source is not None:
            answer = self.source.op(context)
            if answer is PENDING:
                return answer
            if answer is not None:
                return answer[0], _Cycle(self.times, self.whole, answer[1], emitted=True)
        if not self.emitted or self.times == 1:
            return None
        times = None if self.times is None else self.times - 1
        return _Cycle(times, self.whole, self.whole, emitted=False).op(context)

    def update(self, context: Context, event: Event) -> Generator:
        if self.source is None:
            return self
        source = self.source.update(context, event)
        if source is self.source:
            return self
        return _Cycle(self.times, self.whole, source, self.emitted)
