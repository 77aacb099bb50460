"""Plan, history and faults in; one verdict out.

Each checker of the workload gives its verdict; a checker that raises is *unknown*, never a pass.
Beside them stands the question whether the run exercised anything: a run whose faults never bit,
or in which a required function hardly ever succeeded, is *unknown: vacuous* unless something was
found broken. So is a run that was cut short: what it did not do (healing, recovery, the final
reads) it cannot have shown.
"""

from __future__ import annotations

import traceback
from collections.abc import Iterable, Mapping
from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np

from checkers import lattice
from harness import registry
from harness.core.contracts import CheckContext, Checker, Workload
from harness.core.fault import FaultInterval
from harness.core.history import History
from harness.core.operation import Type
from harness.core.options import Options
from harness.core.verdict import Validity, Verdict, merge
from harness.plan import Plan
from harness.resolve import CONSISTENCY_MODEL

__all__ = ["COMPLETE", "SUCCESSES_MIN", "analyse", "run_checker"]

COMPLETE = "complete"
"""The last event of a run that was not cut short."""

SUCCESSES_MIN = 5
"""How often each required function must have succeeded, for a run to count as one."""


def analyse(
    plan: Plan,
    history: History,
    faults: Iterable[FaultInterval],
    *,
    time_limit_s: float = 60.0,
    memory_limit_bytes: int | None = None,
) -> Verdict:
    """The merged verdict of the plan's workload over ``history``."""
    workload: Workload = registry.load("workloads", plan.workload)
    fired = tuple(faults)
    asked = plan.options.get(CONSISTENCY_MODEL)
    context = CheckContext(
        model=workload.model,
        consistency_model=lattice.canonical(str(asked)) if asked else None,
        faults=fired,
        time_limit_s=time_limit_s,
        memory_limit_bytes=memory_limit_bytes,
    )
    checkers: list[Checker] = [registry.load("checkers", name) for name in workload.checkers]
    parts = [
        run_checker(checker, history, replace(context, options=_own(checker, plan.options)))
        for checker in checkers
    ]
    exercised = _exercised(plan.nemeses, workload.required, history, fired)
    # Merged first, because no checker at all is no pass, however much was exercised.
    return merge("test", [*(parts or [merge("checkers", ())]), exercised, _completed(history)])


def _own(checker: Checker, options: Options) -> Options:
    """Those of the plan's options that the checker declares."""
    names = {option.name for option in checker.options}
    return {name: value for name, value in options.items() if name in names}


def run_checker(checker: Checker, history: History, context: CheckContext) -> Verdict:
    """The checker's verdict; unknown if it raised."""
    try:
        return checker.check(history, context)
    except Exception as error:
        return Verdict(
            checker=checker.name,
            validity=Validity.UNKNOWN,
            reason="crash",
            sentence=f"The {checker.name} checker failed: {type(error).__name__}: {error}",
            details={"traceback": traceback.format_exc()},
        )


def _exercised(
    nemeses: tuple[str, ...],
    required: tuple[str, ...],
    history: History,
    faults: tuple[FaultInterval, ...],
) -> Verdict:
    successes = _successes(history, required)
    bites = {
        name: sum(fault.bit for fault in faults if fault.fault.nemesis == name) for name in nemeses
    }
    unproven = [name for name, count in bites.items() if not count]
    rare = [f for f, count in successes.items() if count < SUCCESSES_MIN]
    complaints = [f"no {name} fault was proven to bite" for name in unproven]
    complaints += [
        f"only {successes[f]} of the required {SUCCESSES_MIN} {f} operations succeeded"
        for f in rare
    ]
    details: Mapping[str, Any] = {
        "successes": successes,
        "faults proven to bite": bites,
        "primaries": _primaries(history),
    }
    if complaints:
        return Verdict(
            checker="exercised",
            validity=Validity.UNKNOWN,
            reason="vacuous",
            sentence=f"The run proves nothing: {'; '.join(complaints)}.",
            details=details,
        )
    return Verdict(
        checker="exercised",
        validity=Validity.VALID,
        sentence=f"{sum(successes.values()):,} operations succeeded; "
        + (
            f"faults proven to bite: {sum(bites.values())}."
            if bites
            else "no faults were asked for."
        ),
        details=details,
    )


def _completed(history: History) -> Verdict:
    if any(event.f == COMPLETE for event in history.nemesis_events()):
        return Verdict(
            checker="completed", validity=Validity.VALID, sentence="The run went to its end."
        )
    return Verdict(
        checker="completed",
        validity=Validity.UNKNOWN,
        reason="interrupted",
        sentence="The run was cut short: what it did until then shows no anomaly, and no more.",
    )


def _successes(history: History, required: tuple[str, ...]) -> dict[str, int]:
    operations = history.operations
    ok = operations.outcome == Type.OK
    return {f: int(np.count_nonzero(ok & (operations.f == history.function(f)))) for f in required}


def _primaries(history: History) -> dict[str, Any]:
    """Who led, as far as it was seen. A change is a leader that did not lead when leaders were
    last seen; a moment without any, or with an old and a new one, is part of the same change."""
    values = [event.value for event in history.nemesis_events() if event.f == "primaries"]
    # Other programs write histories too, and may mean something else by the name.
    seen = [tuple(value) for value in values if isinstance(value, list | tuple)]
    leading = [leaders for leaders in seen if leaders]
    changes = sum(not set(after) <= set(before) for before, after in pairwise(leading))
    return {"changes": changes, "seen": [list(leaders) for leaders in seen[:100]]}
