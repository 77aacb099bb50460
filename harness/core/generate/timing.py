"""When operations happen: rates, delays and time limits.

Durations are given in seconds; times are nanoseconds since the run began. A source that has fallen
behind its times is not hurried: its operations come at once.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Literal

import msgspec

from harness.core.generate.context import PENDING, Answer, Context, Generator
from harness.core.generate.sources import NOTHING, Source, as_generator, update_all
from harness.core.operation import Event, Operation

__all__ = ["cycle_times", "delay", "sleep", "stagger", "time_limit"]

_NS = 1_000_000_000

Gaps = Literal["uniform", "exponential"]


def stagger(interval_s: float, source: Source, *, gaps: Gaps = "uniform") -> Generator:
    """Operations of ``source`` about every ``interval_s``, over all threads together.

    ``gaps``: ``uniform`` between 0 and twice the interval (as Jepsen has it) or ``exponential``
    (the operations are then a Poisson process, as independent users make it).
    """
    assert interval_s >= 0, interval_s
    return _Stagger(interval_s * _NS, _GAPS[gaps], None, as_generator(source))


def delay(interval_s: float, source: Source) -> Generator:
    """Operations of ``source`` exactly ``interval_s`` apart; at once where it has fallen behind."""
    assert interval_s >= 0, interval_s
    return _Stagger(interval_s * _NS, _constant, None, as_generator(source))


def time_limit(limit_s: float, source: Source) -> Generator:
    """Operations of ``source`` until ``limit_s`` after the first one."""
    return _TimeLimit(round(limit_s * _NS), None, as_generator(source)) if limit_s > 0 else NOTHING


def sleep(duration_s: float, source: Source) -> Generator:
    """``source``, begun ``duration_s`` after its turn has come; it leaves no trace in the history.

    The sleep begins with the first event that the generator is told of, or when it is first asked
    if no event comes. The source is asked as if the time had come already.
    """
    assert duration_s >= 0, duration_s
    return _Sleep(round(duration_s * _NS), None, as_generator(source))


def cycle_times(*turns: tuple[float, Source]) -> Generator:
    """Several sources by a rotating schedule of ``(duration_s, source)``.

    Sources keep their state from round to round. The first round begins with the first operation.
    Ends when the source whose turn it is has ended.
    """
    assert turns, "no turns"
    assert all(duration_s > 0 for duration_s, _ in turns), turns
    durations = tuple(round(duration_s * _NS) for duration_s, _ in turns)
    return _CycleTimes(durations, None, tuple(as_generator(source) for _, source in turns))


def _uniform(interval: float, draw: float) -> int:
    return int(2 * interval * draw)


def _exponential(interval: float, draw: float) -> int:
    return int(-interval * math.log(1.0 - draw))


def _constant(interval: float, draw: float) -> int:
    return round(interval)


_GAPS: dict[str, Callable[[float, float], int]] = {
    "uniform": _uniform,
    "exponential": _exponential,
}


def _postponed(operation: Operation, time: int) -> Operation:
    return Operation(
        f=operation.f,
        value=operation.value,
        key=operation.key,
        time=time,
        process=operation.process,
    )


class _Stagger(msgspec.Struct, frozen=True, eq=False):
    interval: float
    gap: Callable[[float, float], int]
    following: int | None
    """The time of the next operation, drawn when the one before it was emitted."""
    source: Generator

    def op(self, context: Context) -> Answer:
        answer = self.source.op(context)
        if answer is None or answer is PENDING:
            return answer
        operation, after = answer
        time = operation.time
        assert time is not None, "an operation without a time"
        if self.following is not None and time < self.following:
            time = self.following
            operation = _postponed(operation, time)
        if after is None:
            return operation, None
        following = time + self.gap(self.interval, context.random.random())
        return operation, _Stagger(self.interval, self.gap, following, after)

    def update(self, context: Context, event: Event) -> Generator:
        source = self.source.update(context, event)
        if source is self.source:
            return self
        return _Stagger(self.interval, self.gap, self.following, source)


class _TimeLimit(msgspec.Struct, frozen=True, eq=False):
    limit: int
    end: int | None
    source: Generator

    def op(self, context: Context) -> Answer:
        if self.end is not None and context.time >= self.end:
            # Without asking: a source that stays pending would never come to its end.
            return None
        answer = self.source.op(context)
        if answer is None or answer is PENDING:
            return answer
        operation, after = answer
        assert operation.time is not None, "an operation without a time"
        end = operation.time + self.limit if self.end is None else self.end
        if operation.time >= end:
            return None
        return operation, None if after is None else _TimeLimit(self.limit, end, after)

    def update(self, context: Context, event: Event) -> Generator:
        source = self.source.update(context, event)
        return self if source is self.source else _TimeLimit(self.limit, self.end, source)


class _Sleep(msgspec.Struct, frozen=True, eq=False):
    duration: int
    since: int | None
    source: Generator

    def op(self, context: Context) -> Answer:
        since = context.time if self.since is None else self.since
        return self.source.op(context.at(max(context.time, since + self.duration)))

    def update(self, context: Context, event: Event) -> Generator:
        since = context.time if self.since is None else self.since
        source = self.source.update(context, event)
        if since == self.since and source is self.source:
            return self
        return _Sleep(self.duration, since, source)


class _CycleTimes(msgspec.Struct, frozen=True, eq=False):
    durations: tuple[int, ...]
    begin: int | None
    sources: tuple[Generator, ...]

    def op(self, context: Context) -> Answer:
        now = context.time
        begin = now if self.begin is None else self.begin
        turn, start = self._turn(now, begin)
        # A source whose operation would come after the end of its turn is passed over. Two rounds
        # are enough: in the second, every source was asked at the start of a whole turn.
        for _ in range(2 * len(self.sources)):
            answer = self.sources[turn].op(context.at(max(now, start)))
            if answer is None or answer is PENDING:
                return answer
            operation, after = answer
            assert operation.time is not None, "an operation without a time"
            end = start + self.durations[turn]
            if operation.time < end:
                sources = list(self.sources)
                sources[turn] = NOTHING if after is None else after
                return operation, _CycleTimes(self.durations, begin, tuple(sources))
            turn, start = (turn + 1) % len(self.sources), end
        return PENDING

    def _turn(self, now: int, begin: int) -> tuple[int, int]:
        """Whose turn it is at ``now``, and when that turn began."""
        start = now - (now - begin) % sum(self.durations)
        turn = 0
        while start + self.durations[turn] <= now:
            start += self.durations[turn]
            turn += 1
        return turn, start

    def update(self, context: Context, event: Event) -> Generator:
        sources = update_all(self.sources, context, event)
        if sources is self.sources:
            return self
        return _CycleTimes(self.durations, self.begin, sources)
