"""How long successful operations took, while healthy and under each fault.

A measurement, not a property. Percentiles are observed values (the nearest rank, no interpolation),
so that each is the latency of a real operation. What did not succeed is not counted: see
:mod:`checkers.availability` beside it, for a system that answers nothing has no slow answers.
"""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from checkers.phases import functions, phases
from harness.core.contracts import CheckContext
from harness.core.history import History
from harness.core.operation import Type
from harness.core.options import Option
from harness.core.verdict import Validity, Verdict

__all__ = ["Latency"]

_PERCENTILES = {"p50_ms": 50, "p95_ms": 95, "p99_ms": 99, "max_ms": 100}


class Latency:
    """Percentiles of the latency of successful operations, for each function and phase."""

    name: ClassVar[str] = "latency"
    summary: ClassVar[str] = "how long successful operations took, healthy and under each fault"
    options: ClassVar[tuple[Option, ...]] = ()
    judges: ClassVar[frozenset[str]] = frozenset()

    def check(self, history: History, context: CheckContext) -> Verdict:
        """Valid with the figures as details; unknown (``vacuous``) if nothing succeeded."""
        operations = history.operations
        succeeded = operations.outcome == Type.OK
        if not succeeded.any():
            return Verdict(
                checker=self.name,
                validity=Validity.UNKNOWN,
                reason="vacuous",
                sentence="No operation succeeded, so there is no latency to measure.",
            )
        # Only rows that succeeded have a return time; the others must not enter the subtraction.
        took_ns = np.where(succeeded, operations.ret - operations.call, 0)
        total = _figures(took_ns[succeeded])
        rows = [
            {
                "phase": phase.name,
                "functions": {
                    name: _figures(took_ns[succeeded & phase.operations & has])
                    for name, has in functions(history)
                },
            }
            for phase in phases(history, context.faults)
        ]
        return Verdict(
            checker=self.name,
            validity=Validity.VALID,
            sentence=(
                f"Half of {total['count']:,} successful operations took at most "
                f"{total['p50_ms']:g} ms, 99 % at most {total['p99_ms']:g} ms, "
                f"the slowest {total['max_ms']:g} ms."
            ),
            details={"total": total, "phases": rows},
        )


def _figures(took_ns: NDArray[np.int64]) -> dict[str, Any]:
    """Count and percentiles; null where nothing was counted."""
    if not len(took_ns):
        return {"count": 0, **dict.fromkeys(_PERCENTILES)}
    values = np.percentile(took_ns, list(_PERCENTILES.values()), method="inverted_cdf")
    figures = (round(int(value) / 1e6, 6) for value in values)
    return {"count": len(took_ns), **dict(zip(_PERCENTILES, figures, strict=True))}
