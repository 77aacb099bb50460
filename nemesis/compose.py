"""When faults happen: one schedule out of several nemeses.

Each nemesis goes its own way: a healthy gap, a fault, a healthy gap, ..., each about as long as the
interval. So composed faults come alone as well as together, in every order. What happens to be the
target is drawn like cards from a shuffled pack: every target comes up before one comes again.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from random import Random

from harness.core.fault import Schedule, Window

__all__ = ["make_schedule"]

_TAIL_MAX_MS = 1000
_TAIL_PART = 0.1
_SPREAD = 0.5
"""Gaps and faults last the interval, plus or minus this part of it."""
_INTERVAL_PART_MAX = 2 / 3
"""The longest interval, as a part of the time for faults. The first gap is half an interval plus or
minus _SPREAD of that, and a fault at least half an interval. So at 2/3 the first fault begins
before half of the time is over, and lasts at least a third of it: 0.9 / 3 = 30 % of the run."""


def make_schedule(
    nemeses: Sequence[tuple[str, tuple[str, ...]]],
    *,
    time_limit_ms: int,
    interval_ms: int,
    source: Random,
) -> Schedule:
    """The windows of a run of ``time_limit_ms``, for nemeses given as ``(name, targets)``.

    Every nemesis has at least one window, however short the run: the interval is shortened to make
    it fit. The last window ends the smaller of 1 s and a tenth of the run before its end, so that
    healing is seen while operations go on.
    """
    names = [name for name, _ in nemeses]
    assert len(set(names)) == len(names), f"a nemesis twice: {names}"
    assert time_limit_ms >= 10, "a run of less than 10 ms"
    assert interval_ms > 0, interval_ms
    end = time_limit_ms - min(_TAIL_MAX_MS, time_limit_ms * _TAIL_PART)
    interval = min(interval_ms, end * _INTERVAL_PART_MAX)
    # A stream for each, so that another nemesis does not change the windows of the first.
    streams = [(name, targets, Random(source.getrandbits(64))) for name, targets in nemeses]
    windows = [
        window
        for name, targets, stream in streams
        for window in _windows(name, targets, end, interval, stream)
    ]
    return Schedule(tuple(sorted(windows, key=lambda window: window.start_ms)))


def _windows(
    name: str, targets: tuple[str, ...], end: float, interval: float, source: Random
) -> Iterator[Window]:
    pack = _pack(targets, source)
    shortest = max(1.0, interval * (1 - _SPREAD))
    start = _about(interval / 2, source)
    while start + shortest <= end:
        stop = min(end, start + _about(interval, source))
        start_ms = int(start)
        yield Window(
            nemesis=name,
            target=next(pack),
            start_ms=start_ms,
            end_ms=max(start_ms + 1, int(stop)),
        )
        start = max(start_ms + 1, stop) + _about(interval, source)


def _about(length: float, source: Random) -> float:
    return length * source.uniform(1 - _SPREAD, 1 + _SPREAD)


def _pack(targets: tuple[str, ...], source: Random) -> Iterator[str]:
    assert targets, "a nemesis without targets"
    while True:
        yield from source.sample(targets, len(targets))
