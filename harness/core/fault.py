"""Faults and schedules as data.

A *control* (see :mod:`harness.core.contracts`) holds one desired state, replaced as a whole: the
set of cut links, or of nodes that are down. The empty state is the healed one. A *window* says
when a nemesis takes hold, and of what kind of target; which nodes that means is chosen at the
moment it fires. A *schedule* is the windows of a run: written to ``plan.json``, it can be replayed
or shrunk without knowing how it came about.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

__all__ = ["Evidence", "Fault", "FaultInterval", "Schedule", "State", "Window"]

State = tuple[tuple[str, ...], ...]
"""A control's desired state, sorted. Links: ``(("n1", "n2"), ...)``, each a directed link whose
messages from the first to the second are lost. Processes: ``(("n1",), ...)``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One fault as it fired."""

    number: int
    nemesis: str
    control: str
    target: str
    state: State


@dataclass(frozen=True, slots=True, kw_only=True)
class FaultInterval:
    """One fault of a finished run: in force from ``start_ns`` to ``end_ns`` (None: never proven
    healed), both since the run began. ``bit``: a probe proved that it took effect."""

    fault: Fault
    start_ns: int
    end_ns: int | None
    bit: bool


@dataclass(frozen=True, slots=True)
class Evidence:
    """What a probe saw: whether the asked-for state is in force, and the observations for it."""

    holds: bool
    observations: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """One planned fault: ``[start_ms, end_ms)`` since the run began."""

    nemesis: str
    target: str
    start_ms: int
    end_ms: int

    def __post_init__(self) -> None:
        assert 0 <= self.start_ms < self.end_ms, self


@dataclass(frozen=True, slots=True)
class Schedule:
    """All planned faults of a run, in order of start. Windows of one nemesis never overlap."""

    windows: tuple[Window, ...] = ()

    def __post_init__(self) -> None:
        ends: dict[str, int] = {}
        starts = [window.start_ms for window in self.windows]
        assert starts == sorted(starts), "windows out of order"
        for window in self.windows:
            assert ends.get(window.nemesis, 0) <= window.start_ms, "windows of one nemesis overlap"
            ends[window.nemesis] = window.end_ms

    def to_json(self) -> list[dict[str, Any]]:
        return [
            {
                "nemesis": window.nemesis,
                "target": window.target,
                "start_ms": window.start_ms,
                "end_ms": window.end_ms,
            }
            for window in self.windows
        ]

    @staticmethod
    def from_json(rows: list[Mapping[str, Any]]) -> Schedule:
        return Schedule(tuple(Window(**row) for row in rows))
