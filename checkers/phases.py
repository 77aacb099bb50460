"""When a run was healthy and when a fault was in force, and which operations belong to which.

An operation belongs to every fault in whose interval ``[start, end)`` it was invoked, and to the
healthy phase when there is none: what a client experiences depends on the world that it asked. A
fault never proven healed lasts to the end.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from harness.core.fault import FaultInterval
from harness.core.history import NEVER, History

__all__ = ["HEALTHY", "Phase", "functions", "phases"]

HEALTHY = "healthy"


@dataclass(frozen=True, slots=True, kw_only=True)
class Phase:
    """One phase. ``operations`` (``bool[n]``) are those of ``history.operations`` invoked in it;
    ``interval`` is None for the healthy phase."""

    name: str
    interval: FaultInterval | None
    operations: NDArray[np.bool_]


def phases(history: History, faults: Sequence[FaultInterval]) -> tuple[Phase, ...]:
    """The healthy phase, then one for each fault in order of start."""
    call = history.operations.call
    healthy = np.ones(len(call), dtype=bool)
    result = []
    for interval in sorted(faults, key=lambda one: (one.start_ns, one.fault.number)):
        end_ns = int(NEVER) if interval.end_ns is None else interval.end_ns
        inside = (call >= interval.start_ns) & (call < end_ns)
        healthy &= ~inside
        fault = interval.fault
        name = f"fault {fault.number}: {fault.nemesis} {fault.target}".rstrip()
        result.append(Phase(name=name, interval=interval, operations=inside))
    return (Phase(name=HEALTHY, interval=None, operations=healthy), *result)


def functions(history: History) -> tuple[tuple[str, NDArray[np.bool_]], ...]:
    """The functions of the client operations, by name, with the operations that have each."""
    f = history.operations.f
    names = {history.functions[code] or "": code for code in np.unique(f).tolist()}
    return tuple((name, f == names[name]) for name in sorted(names))
