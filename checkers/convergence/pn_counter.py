"""A counter to which replicas add, and from which they take away (PN-counter).

Reads ``add d`` (an integer; null is 1, a negative one takes away) and ``read -> n``; each key is a
counter of its own. What a read may answer is in :mod:`.counters`.

    process 0 adds 5 and process 1 adds 2, both acknowledged; at the end somebody reads 5: a lost
    increment
"""

from __future__ import annotations

from typing import ClassVar

from checkers.convergence.counters import COUNTER_OPTIONS, judge_counters
from checkers.convergence.findings import guarded
from harness.core.contracts import CheckContext
from harness.core.history import History
from harness.core.options import Option
from harness.core.verdict import Verdict

__all__ = ["PnCounter"]


class PnCounter:
    """Every read is a sum of additions, and final ones miss none that was acknowledged."""

    name: ClassVar[str] = "pn-counter"
    summary: ClassVar[str] = "reads of a replicated counter are sums of the additions made"
    options: ClassVar[tuple[Option, ...]] = COUNTER_OPTIONS
    judges: ClassVar[frozenset[str]] = frozenset()

    def check(self, history: History, context: CheckContext) -> Verdict:
        """Invalid for a lost, doubly counted or impossible sum, and for final answers that differ;
        unknown (``unread``) if some counter has no final read."""
        return guarded(
            self.name, lambda: judge_counters(self.name, history, context, growing=False)
        )
