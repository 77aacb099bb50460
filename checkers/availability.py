"""How much of what clients asked was done, while healthy and under each fault.

A measurement, not a property: it is valid whenever there was something to measure. Under a fault
that cuts links, it also says on which side of the cut operations succeeded. A *side* is a connected
component of the nodes over links that work in both directions, for a request needs its answer; an
operation belongs to the side of the node that it was sent to.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from checkers.phases import HEALTHY, Phase, functions, phases
from harness.core.contracts import CheckContext
from harness.core.fault import State
from harness.core.history import History
from harness.core.operation import Type
from harness.core.options import Option
from harness.core.verdict import Validity, Verdict

__all__ = ["AvailabilityChecker", "sides"]

Bools = NDArray[np.bool_]
_OUTCOMES = {"ok": Type.OK, "fail": Type.FAIL, "info": Type.INFO}


class AvailabilityChecker:
    """Counts of ok, fail and info for each function and phase, and for each side of a cut."""

    name: ClassVar[str] = "availability"
    summary: ClassVar[str] = "how many operations succeeded, healthy and under each fault"
    options: ClassVar[tuple[Option, ...]] = ()
    judges: ClassVar[frozenset[str]] = frozenset()

    def check(self, history: History, context: CheckContext) -> Verdict:
        """Valid with the counts as details; unknown (``vacuous``) without operations."""
        if not len(history.operations):
            return Verdict(
                checker=self.name,
                validity=Validity.UNKNOWN,
                reason="vacuous",
                sentence="There were no operations to measure.",
            )
        found = phases(history, context.faults)
        everything = np.ones(len(history.operations), dtype=bool)
        return Verdict(
            checker=self.name,
            validity=Validity.VALID,
            sentence=_sentence(history, found),
            details={
                "total": _counts(history, everything),
                "phases": [_phase(history, phase) for phase in found],
            },
        )


def sides(nodes: Iterable[str], cut: State) -> tuple[tuple[str, ...], ...]:
    """The connected components of ``nodes`` without the ``cut`` links, each sorted; the largest
    first. A link that is cut in one direction is of no use.

    >>> sides(["n1", "n2", "n3"], (("n1", "n3"), ("n2", "n3")))
    (('n1', 'n2'), ('n3',))
    """
    cut_either_way = {frozenset(link) for link in cut}
    left = sorted(set(nodes).union(*cut), key=_natural)
    parts: list[tuple[str, ...]] = []
    while left:
        part, border = {left[0]}, [left[0]]
        while border:
            here = border.pop()
            reached = [n for n in left if n not in part and {here, n} not in cut_either_way]
            part.update(reached)
            border += reached
        parts.append(tuple(name for name in left if name in part))
        left = [name for name in left if name not in part]
    return tuple(sorted(parts, key=lambda part: -len(part)))


def _natural(name: str) -> list[tuple[bool, int, str]]:
    """Orders ``n10`` after ``n2``."""
    return [
        (not part.isdigit(), int(part) if part.isdigit() else 0, part)
        for part in re.split(r"(\d+)", name)
    ]


def _phase(history: History, phase: Phase) -> dict[str, Any]:
    row: dict[str, Any] = {
        "phase": phase.name,
        "total": _counts(history, phase.operations),
        "functions": {
            name: _counts(history, phase.operations & has) for name, has in functions(history)
        },
    }
    if phase.interval is not None:
        row |= {"start_ns": phase.interval.start_ns, "end_ns": phase.interval.end_ns}
        if phase.interval.fault.control == "links":
            row["sides"] = _sides(history, phase.operations, phase.interval.fault.state)
    return row


def _sides(history: History, operations: Bools, cut: State) -> list[dict[str, Any]]:
    asked = history.operations.node
    code = {name: i for i, name in enumerate(history.nodes) if name is not None}
    return [
        {
            "nodes": ",".join(side),
            **_counts(history, operations & np.isin(asked, [code.get(n, -1) for n in side])),
        }
        for side in sides(code, cut)
    ]


def _counts(history: History, operations: Bools) -> dict[str, Any]:
    outcome = history.operations.outcome[operations]
    counts: dict[str, Any] = {
        name: int((outcome == kind).sum()) for name, kind in _OUTCOMES.items()
    }
    counts["ratio"] = round(counts["ok"] / len(outcome), 6) if len(outcome) else None
    return counts


def _sentence(history: History, found: tuple[Phase, ...]) -> str:
    everything = np.ones(len(history.operations), dtype=bool)
    total = f"{_share(history, everything)} of {len(everything):,} operations succeeded"
    faulty = ~next(phase.operations for phase in found if phase.name == HEALTHY)
    if len(found) == 1:
        return f"{total}; there were no faults."
    count = len(found) - 1
    return (
        f"{total}: {_share(history, ~faulty)} while healthy, {_share(history, faulty)} "
        f"under {count:,} fault{'s' if count > 1 else ''}."
    )


def _share(history: History, operations: Bools) -> str:
    counts = _counts(history, operations)
    return "none" if counts["ratio"] is None else f"{counts['ratio']:.1%}"
