"""Whether a history has times, or only an order.

Some programs write events without times. Readers then give each event its position as its time,
which is all that linearizability needs; to a person "after 4 ns" would be a lie.
"""

from __future__ import annotations

from dataclasses import dataclass

from harness.core.history import History
from harness.report.words import duration

__all__ = ["Clock", "clock_of"]


@dataclass(frozen=True, slots=True)
class Clock:
    """Times in words: in seconds, or as positions of events."""

    ordinal: bool

    def instant(self, time: int) -> str:
        """A time since the beginning, to the microsecond."""
        return f"event {time:,}" if self.ordinal else f"{time / 1e9:.6f} s"

    def length(self, time: int) -> str:
        """A length of time; empty where there are no times."""
        return "" if self.ordinal else duration(time)


def clock_of(history: History) -> Clock:
    """The clock by which ``history`` was written."""
    return Clock(ordinal=history.ordinal)
