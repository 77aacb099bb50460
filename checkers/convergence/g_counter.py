"""A counter that only grows (G-counter).

Reads ``add d`` (an integer of 0 or more; null is 1) and ``read -> n``; each key is a counter of its
own. Beside what holds for any replicated counter (:mod:`.counters`), a decrement must not be
acknowledged, and what one replica answers may never become less, for replicas take the maximum of
what they know (Shapiro et al., INRIA RR-7506, 2011, specification 6). With clients that go from one
replica to another, and histories without nodes, turn that off: ``monotonic=false``.

    node n1 answers 3, and later 2: a decreasing counter
"""

from __future__ import annotations

from typing import ClassVar

from checkers.convergence.counters import GROWING_OPTIONS, judge_counters
from checkers.convergence.findings import guarded
from harness.core.contracts import CheckContext
from harness.core.history import History
from harness.core.options import Option
from harness.core.verdict import Verdict

__all__ = ["GCounter"]


class GCounter:
    """Every read is a sum of increments, and no replica goes back."""

    name: ClassVar[str] = "g-counter"
    summary: ClassVar[str] = "reads of a replicated counter that only grows are sums, and grow"
    options: ClassVar[tuple[Option, ...]] = GROWING_OPTIONS
    judges: ClassVar[frozenset[str]] = frozenset()

    def check(self, history: History, context: CheckContext) -> Verdict:
        """As :class:`PnCounter`; invalid also for a decrement that was acknowledged, and for a
        replica whose answers became less."""
        return guarded(self.name, lambda: judge_counters(self.name, history, context, growing=True))
