"""Figures of a run while it goes on: outcomes, rate and latency quantiles of the last seconds.

O(1) an event and bounded in memory, so that watching ten thousand operations a second costs
little. Time is the history's own (under ``simulated`` it runs faster than the wall's). Latencies
are counted in buckets whose width is an eighth of their power of two, as in HdrHistogram (Tene),
so a quantile is at most one eighth too high.
"""

from __future__ import annotations

from collections import Counter, deque
from dataclasses import dataclass, field

from harness.core.operation import NEMESIS, Event

__all__ = ["WINDOW_S", "Meter"]

WINDOW_S = 5
"""Over how many seconds of the history rate and quantiles are taken."""

_NS = 1_000_000_000
_SUB_BITS = 3


@dataclass(slots=True)
class _Second:
    """Completions within one second of the history."""

    number: int
    completed: int = 0
    latencies: Counter[int] = field(default_factory=Counter)


class Meter:
    """Takes events, gives figures."""

    def __init__(self) -> None:
        self.outcomes = {"ok": 0, "fail": 0, "info": 0}
        self.time_ns = 0
        self._invoked: dict[int, int] = {}
        self._seconds: deque[_Second] = deque(maxlen=WINDOW_S)

    @property
    def open(self) -> int:
        """How many operations are under way."""
        return len(self._invoked)

    def take(self, event: Event) -> None:
        """Count ``event``."""
        self.time_ns = time = event.time
        process = event.process
        if process == NEMESIS:
            return
        assert isinstance(process, int)
        if event.type == "invoke":
            self._invoked[process] = time
            return
        self.outcomes[event.type] += 1
        second = self._second(time // _NS)
        second.completed += 1
        invoked = self._invoked.pop(process, None)
        if invoked is not None and event.type == "ok":
            second.latencies[_bucket(time - invoked)] += 1

    def rate(self) -> float:
        """Completed operations a second, over the last seconds."""
        recent = self._recent()
        if not recent:
            return 0.0
        oldest_ns = max(0, self.time_ns // _NS - WINDOW_S + 1) * _NS
        span_s = (self.time_ns - oldest_ns) / _NS
        return sum(second.completed for second in recent) / max(span_s, 0.1)

    def quantile_ms(self, quantile: float) -> float | None:
        """The latency below which that share of the recent successes lies; None without any."""
        counts: Counter[int] = Counter()
        for second in self._recent():
            counts.update(dict(second.latencies))  # a copy: another thread counts on
        rank = quantile * counts.total()
        for bucket in sorted(counts):
            rank -= counts[bucket]
            if rank <= 0:
                return _upper_ns(bucket) / 1e6
        return None

    def _second(self, number: int) -> _Second:
        if not self._seconds or self._seconds[-1].number != number:
            self._seconds.append(_Second(number))
        return self._seconds[-1]

    def _recent(self) -> list[_Second]:
        first = self.time_ns // _NS - WINDOW_S + 1
        return [second for second in tuple(self._seconds) if second.number >= first]


def _bucket(latency_ns: int) -> int:
    """The power of two, and the eighth of it, in which a latency lies. Grows with the latency."""
    shift = max(latency_ns.bit_length() - _SUB_BITS - 1, 0)
    return (shift << (_SUB_BITS + 1)) + (latency_ns >> shift)


def _upper_ns(bucket: int) -> int:
    """The upper end of a bucket."""
    shift = bucket >> (_SUB_BITS + 1)
    return ((bucket - (shift << (_SUB_BITS + 1))) + 1) << shift
