"""How long a search may go on, and how much memory it may take.

The steps make the bound reproducible; the deadline and the memory keep the promise to the user.
Clock and memory are passed in, so that tests need neither wait nor fill it.
"""

from __future__ import annotations

import os
import resource
import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Budget", "Limits", "resident_bytes", "usual_memory_bytes"]

_STEPS_BETWEEN_LOOKS = 512
_STATM = Path("/proc/self/statm")
_CGROUP = Path("/sys/fs/cgroup/memory.max")


def usual_memory_bytes() -> int:
    """What a check may hold where nobody says: half of what the machine, or the container, has."""
    found = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    with suppress(OSError, ValueError):  # no such file, or "max"
        found = min(found, int(_CGROUP.read_text()))
    return found // 2


def resident_bytes() -> int:
    """What this process holds; where that cannot be known, the most that it ever held."""
    try:
        return int(_STATM.read_text().split()[1]) * resource.getpagesize()
    except (OSError, ValueError, IndexError):
        most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return most if sys.platform == "darwin" else most * 1024


@dataclass(slots=True, kw_only=True)
class Limits:
    """What the whole check shares: ``deadline_s`` on ``clock``, and what the process may hold.
    ``grace_s`` more may go into the proof of a verdict. ``hit`` is what ended it: ``timeout``,
    ``memory`` or ``interrupted``."""

    deadline_s: float
    clock: Callable[[], float]
    memory_bytes: int | None = None
    resident: Callable[[], int] = resident_bytes
    grace_s: float = 0.0
    hit: str | None = None

    def reached(self) -> bool:
        """Whether a limit has been reached."""
        if self.hit is None and self.clock() >= self.deadline_s:
            self.hit = "timeout"
        if self.hit is None and self.memory_bytes and self.resident() >= self.memory_bytes:
            self.hit = "memory"
        return self.hit is not None

    def seconds_left(self) -> float:
        """Until the deadline; not negative, and perhaps infinite."""
        return max(self.deadline_s - self.clock(), 0.0)

    def bytes_left(self) -> int | None:
        """What the process may still allocate; None: as much as it likes."""
        if not self.memory_bytes:
            return None
        return max(self.memory_bytes - self.resident(), 0)


@dataclass(slots=True, kw_only=True)
class Budget:
    """Steps that may still be taken within ``limits``. Each step visits one configuration, so
    ``steps_left`` bounds the memory too. ``shares`` are those that use the memory that is left at
    the same time."""

    steps_left: int
    limits: Limits
    shares: int = 1

    def expired(self) -> bool:
        """Whether a limit has been reached."""
        return self.limits.reached()

    def step(self) -> bool:
        """Take one step; false when none is left or a limit has been reached."""
        if self.steps_left <= 0:
            return False
        self.steps_left -= 1
        return bool(self.steps_left % _STEPS_BETWEEN_LOOKS) or not self.expired()

    def bytes_left(self) -> int | None:
        """What this one may still allocate; None: as much as it likes."""
        left = self.limits.bytes_left()
        return None if left is None else left // self.shares

    def of(self, steps: int, *, shares: int = 1) -> Budget:
        """Another budget, of ``steps`` steps, within the same limits."""
        return Budget(steps_left=steps, limits=self.limits, shares=shares)
