"""Choosing between generators: at random, the soonest, in turns."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from random import Random
from typing import TypeVar

import msgspec

from harness.core.generate.context import PENDING, Answer, Context, Generator
from harness.core.generate.sources import NOTHING, Source, as_generator, update_all
from harness.core.operation import Event, Operation

__all__ = ["Offer", "Soonest", "any_of", "flip_flop", "mix", "replaced", "shuffled"]

T = TypeVar("T")

Offer = tuple[Operation, Generator | None]


def mix(sources: Iterable[Source]) -> Generator:
    """Operations of ``sources``, each taken from one chosen uniformly at random.

    A source that is exhausted drops out; the mixture ends with the last one. While the chosen
    source is pending the others are tried in turn, so that it cannot hold them up.
    """
    generators = tuple(map(as_generator, sources))
    return _Mix(generators, None) if generators else NOTHING


def any_of(*sources: Source) -> Generator:
    """Operations of whichever source has the soonest; ties are broken at random.

    Every event reaches every source. Ends when all have ended.
    """
    return _AnyOf(tuple(map(as_generator, sources)))


def flip_flop(*sources: Source) -> Generator:
    """One operation of the first source, one of the second, ..., and again. Ends as soon as the
    source whose turn it is has ended."""
    assert sources, "nothing to flip between"
    return _FlipFlop(tuple(map(as_generator, sources)), 0)


def shuffled(items: Iterable[T], source: Random) -> Iterator[T]:
    """``items`` in random order, drawn one by one: mostly the first is enough."""
    rest = list(items)
    while rest:
        place = int(source.random() * len(rest))
        rest[place], rest[-1] = rest[-1], rest[place]
        yield rest.pop()


class Soonest:
    """The soonest of several offers, considered in random order; the first wins a tie.

    Always preferring the same alternative would starve the others, and with them their threads.
    """

    __slots__ = ("_now", "index", "offer", "pending")

    def __init__(self, context: Context) -> None:
        self._now = context.time
        self.index = -1
        self.offer: Offer | None = None
        self.pending = False

    def settled_by(self, index: int, answer: Answer) -> bool:
        """Take ``answer``, of the alternative numbered ``index``, into account. True when no other
        can be sooner, so that there is no need to ask any."""
        if answer is None:
            return False
        if answer is PENDING:
            self.pending = True
            return False
        time = answer[0].time
        assert time is not None, answer
        if self.offer is None or time < _time(self.offer):
            self.index, self.offer = index, answer
        return time <= self._now

    def none(self) -> Answer:
        """The answer when there is no offer: pending if any alternative is."""
        return PENDING if self.pending else None


def _time(offer: Offer) -> int:
    assert offer[0].time is not None, offer
    return offer[0].time


def replaced(
    sources: tuple[Generator, ...], index: int, source: Generator | None
) -> tuple[Generator, ...]:
    """``sources`` with another generator at ``index``."""
    if source is sources[index]:
        return sources
    return (*sources[:index], NOTHING if source is None else source, *sources[index + 1 :])


class _Mix(msgspec.Struct, frozen=True, eq=False):
    sources: tuple[Generator, ...]
    choice: int | None
    """Whose turn it is, drawn when the previous operation was emitted rather than at each
    question: else a source whose operation is soon would be favoured."""

    def op(self, context: Context) -> Answer:
        if not context.free_threads:
            return PENDING
        sources = self.sources
        index = self._draw(context, len(sources)) if self.choice is None else self.choice
        pending = 0
        while pending < len(sources):
            answer = sources[index].op(context)
            if answer is PENDING:
                pending += 1
                index = (index + 1) % len(sources)
            elif answer is None:
                sources = (*sources[:index], *sources[index + 1 :])
                if sources:
                    index = index % len(sources) if pending else self._draw(context, len(sources))
            else:
                return answer[0], self._after(context, sources, index, answer[1])
        return PENDING if sources else None

    @staticmethod
    def _draw(context: Context, count: int) -> int:
        return int(context.random.random() * count)

    def _after(
        self,
        context: Context,
        sources: tuple[Generator, ...],
        index: int,
        after: Generator | None,
    ) -> Generator | None:
        if after is None:
            rest = (*sources[:index], *sources[index + 1 :])
        else:
            rest = replaced(sources, index, after)
        return _Mix(rest, self._draw(context, len(rest))) if rest else None

    def update(self, context: Context, event: Event) -> Generator:
        sources = update_all(self.sources, context, event)
        return self if sources is self.sources else _Mix(sources, self.choice)


class _AnyOf(msgspec.Struct, frozen=True, eq=False):
    sources: tuple[Generator, ...]

    def op(self, context: Context) -> Answer:
        soonest = Soonest(context)
        for index in shuffled(range(len(self.sources)), context.random):
            if soonest.settled_by(index, self.sources[index].op(context)):
                break
        if soonest.offer is None:
            return soonest.none()
        operation, after = soonest.offer
        return operation, _AnyOf(replaced(self.sources, soonest.index, after))

    def update(self, context: Context, event: Event) -> Generator:
        sources = update_all(self.sources, context, event)
        return self if sources is self.sources else _AnyOf(sources)


class _FlipFlop(msgspec.Struct, frozen=True, eq=False):
    sources: tuple[Generator, ...]
    turn: int

    def op(self, context: Context) -> Answer:
        answer = self.sources[self.turn].op(context)
        if answer is None or answer is PENDING:
            return answer
        operation, after = answer
        following = (self.turn + 1) % len(self.sources)
        return operation, _FlipFlop(replaced(self.sources, self.turn, after), following)

    def update(self, context: Context, event: Event) -> Generator:
        sources = update_all(self.sources, context, event)
        return self if sources is self.sources else _FlipFlop(sources, self.turn)
