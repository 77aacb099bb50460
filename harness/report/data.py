"""What a report is made of: one frozen value, gathered by the caller.

The report never looks anywhere else. It reads no file of the run, no clock and no environment, so
the same input gives the same page, and a stored run can be rendered again at any time.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from harness.core.fault import FaultInterval
from harness.core.history import History
from harness.core.verdict import Verdict

__all__ = ["ReportInput"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportInput:
    """One finished run.

    ``plan`` is the content of ``plan.json``: whatever is there is shown, and no key is required.
    The report knows ``cluster``, ``workload``, ``nemeses``, ``substrate``, ``seed``, ``nodes``,
    ``command`` (the exact command that repeats the run), ``version`` and ``started``. ``logs`` are
    paths of node logs, relative to the folder in which the page will lie. ``bare`` is a history
    that no run of ours stands behind: nothing is said of faults, logs and measures then.
    """

    plan: Mapping[str, Any]
    history: History
    verdict: Verdict
    faults: tuple[FaultInterval, ...] = ()
    logs: tuple[str, ...] = ()
    bare: bool = False
