"""What a run tells those who watch it.

The runner reports through an :class:`Observer` and knows nothing of terminals. Laws: no method
waits, raises, or changes the run; ``event`` is called for every history event and is O(1).
"""

from __future__ import annotations

from typing import Protocol

from harness.core.operation import Event

__all__ = ["ASKED_FOR", "PHASES", "Observer", "Planned", "SilentObserver"]

PHASES = (
    "deploying",
    "running",
    "recovering",
    "final reads",
    "checking",
    "reporting",
)
"""The phases of a test, in order."""


ASKED_FOR = "asked for"
"""The reason for a substrate that was named and not chosen."""


class Planned(Protocol):
    """What an observer may read of a plan (any :class:`harness.plan.Plan` is one)."""

    @property
    def name(self) -> str: ...
    @property
    def substrate(self) -> str: ...
    @property
    def substrate_reason(self) -> str: ...
    @property
    def nodes(self) -> int: ...
    @property
    def concurrency(self) -> int: ...
    @property
    def rate(self) -> float: ...
    @property
    def time_limit_s(self) -> float: ...
    @property
    def seed(self) -> int: ...


class Observer(Protocol):
    """Watches one run."""

    def started(self, plan: Planned) -> None: ...

    def phase(self, name: str) -> None:
        """The run entered the phase ``name``, one of :data:`PHASES`."""
        ...

    def event(self, event: Event) -> None:
        """One more event of the history."""
        ...

    def fault(self, text: str) -> None:
        """The faults in force changed; ``text`` describes them, "" when there are none."""
        ...

    def note(self, text: str) -> None:
        """Something that people should know, in one sentence."""
        ...


class SilentObserver:
    """Watches and says nothing."""

    def started(self, plan: Planned) -> None: ...
    def phase(self, name: str) -> None: ...
    def event(self, event: Event) -> None: ...
    def fault(self, text: str) -> None: ...
    def note(self, text: str) -> None: ...
