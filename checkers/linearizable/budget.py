"""How long a search may go on: a number of steps, and a point in time.

The steps make the bound reproducible; the deadline keeps the promise to the user. The clock is
passed in, so that tests need not wait.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

__all__ = ["Budget"]

_STEPS_BETWEEN_LOOKS = 512


@dataclass(slots=True, kw_only=True)
class Budget:
    """Steps that may still be taken before ``deadline_s`` on ``clock``. Each step visits one
    configuration, so ``steps_left`` bounds the memory too."""

    steps_left: int
    deadline_s: float
    clock: Callable[[], float]

    def expired(self) -> bool:
        """Whether the deadline has passed."""
        return self.clock() >= self.deadline_s

    def step(self) -> bool:
        """Take one step; false when none is left or the time is over."""
        if self.steps_left <= 0:
            return False
        self.steps_left -= 1
        return bool(self.steps_left % _STEPS_BETWEEN_LOOKS) or not self.expired()

    def of(self, steps: int) -> Budget:
        """Another budget, of ``steps`` steps, with the same deadline."""
        return Budget(steps_left=steps, deadline_s=self.deadline_s, clock=self.clock)
