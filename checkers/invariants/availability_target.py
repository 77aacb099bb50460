"""Availability target: enough of what clients asked for was done.

Counts every operation, as :mod:`checkers.availability` does, and compares the share that succeeded
(``ok``) with the option ``target``: over the whole run, while healthy, or under faults. What a
system must not do is the business of other checkers; this one finds the system that keeps every
promise by refusing to answer.

>>> # 100 operations, 90 of them ok, target 0.99                             invalid
"""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from checkers.invariants.facts import Bools, Facts, setting
from checkers.invariants.findings import Findings, vacuous
from checkers.phases import HEALTHY, phases
from harness.core.contracts import CheckContext
from harness.core.history import History
from harness.core.operation import Type
from harness.core.options import Option
from harness.core.verdict import Verdict

__all__ = ["AvailabilityTarget"]

_PHASES = {
    "overall": "over the whole run",
    "healthy": "while healthy",
    "faults": "under faults",
}
_WITNESS_MAX = 100


class AvailabilityTarget:
    """Compares the share of operations that succeeded with a target. O(n)."""

    name: ClassVar[str] = "availability-target"
    summary: ClassVar[str] = "the share of operations that succeeded reaches a target"
    options: ClassVar[tuple[Option, ...]] = (
        Option(
            name="target",
            default=0.99,
            minimum=0.0,
            maximum=1.0,
            summary="the share of operations that must succeed",
        ),
        Option(
            name="during",
            default="overall",
            choices=tuple(_PHASES),
            summary="which operations count: by when they were invoked",
        ),
    )
    judges: ClassVar[frozenset[str]] = frozenset()

    def check(self, history: History, context: CheckContext) -> Verdict:
        """Invalid with operations that did not succeed; unknown if none counts."""
        facts = Facts(history)
        findings = Findings(facts)
        during = str(setting(self, context, "during"))
        target = float(setting(self, context, "target"))  # type: ignore[arg-type]  # a number
        counted = np.flatnonzero(_counted(history, context, during))
        ok = history.operations.outcome[counted] == Type.OK
        if not len(counted):
            return vacuous(findings, self.name, f"No operation was invoked {_PHASES[during]}.")
        share = float(ok.mean())
        said = f"{share:.2%} of {len(counted):,} operations succeeded {_PHASES[during]}"
        missed = counted[~ok]
        if share < target:
            findings.add(
                "unavailable",
                1,
                [
                    facts.anomaly(
                        "unavailable",
                        f"Only {said}; the target is {target:.2%}.",
                        missed[:_WITNESS_MAX].tolist(),
                    )
                ],
            )
        if not ok.any():
            findings.doubt("vacuous", f"No operation succeeded {_PHASES[during]}.")
        return findings.verdict(
            self.name,
            f"{said}; the target is {target:.2%}.",
            operations=len(counted),
            ok=int(ok.sum()),
            ratio=round(share, 6),
            target=target,
            during=during,
        )


def _counted(history: History, context: CheckContext, during: str) -> Bools:
    if during == "overall":
        return np.ones(len(history.operations), dtype=bool)
    healthy = next(
        phase.operations for phase in phases(history, context.faults) if phase.name == HEALTHY
    )
    return healthy if during == "healthy" else ~healthy
