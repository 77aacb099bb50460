"""The linearizability checker: a history in, a verdict with its sentence out.

A key proven broken makes the verdict invalid, whatever could not be decided about others. The
verdict on one history is always the same, unless the time limit cut the search short.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any, ClassVar

import numpy as np

from checkers.linearizable import explain
from checkers.linearizable.budget import Budget, Limits, usual_memory_bytes
from checkers.linearizable.judge import Findings, judge_any_model, judge_registers
from checkers.linearizable.registers import Unsupported
from checkers.models import MODELS, Model, Register, deterministic, model_named
from harness.core.contracts import CheckContext
from harness.core.errors import BadInput
from harness.core.history import History
from harness.core.kernels import NATIVE
from harness.core.operation import Type
from harness.core.options import Option
from harness.core.verdict import Validity, Verdict

__all__ = ["Linearizable"]

_ANOMALIES_MAX = 10
_GRACE = 0.03  # of the time limit
_STEPS_MAX = 1 << 60 if NATIVE else 2_000_000
"""The compiled search counts what it holds; the other one is bounded by its steps alone."""
_UNDECIDED_SHOWN_MAX = 10


class Linearizable:
    """Is there an order of all operations, in agreement with real time, that the model allows?

    ``steps_max`` bounds the general search on each key; ``clock`` measures the time limit.
    """

    name: ClassVar[str] = "linearizable"
    summary: ClassVar[str] = (
        "every operation takes effect at one instant between its call and its return"
    )
    options: ClassVar[tuple[Option, ...]] = ()
    judges: ClassVar[frozenset[str]] = frozenset({"linearizable"})

    def __init__(
        self,
        *,
        models: Mapping[str, Model] = MODELS,
        steps_max: int = _STEPS_MAX,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._models = models
        self._steps_max = steps_max
        self._clock = clock

    def check(self, history: History, context: CheckContext) -> Verdict:
        """Invalid with a witness for each broken key (the first ten); unknown with ``timeout``,
        ``memory``, ``vacuous``, ``unsupported`` or ``crash``."""
        try:
            return self._check(history, context)
        except Unsupported as refusal:
            return self._unknown("unsupported", f"Nothing was checked: {refusal}.")
        except Exception as error:  # a checker that crashes must never look like a pass
            text = f"{type(error).__name__}: {error}"
            return self._unknown("crash", f"The checker itself crashed ({text}).")

    def _check(self, history: History, context: CheckContext) -> Verdict:
        if not history.realtime:
            raise Unsupported("the history does not say what happened before what in real time")
        model = self._model(context.model)
        limits = Limits(
            deadline_s=self._clock() + context.time_limit_s,
            clock=self._clock,
            grace_s=context.time_limit_s * _GRACE,
            memory_bytes=context.memory_limit_bytes or usual_memory_bytes(),
        )
        budget = Budget(steps_left=self._steps_max, limits=limits)
        decide = judge_registers if isinstance(model, Register) else judge_any_model
        findings = decide(history, model, budget)
        if findings is None:
            sentence = "Nothing was checked: no operation that observes anything succeeded."
            return self._unknown("vacuous", sentence, _details(history, context.model, Findings()))
        return self._verdict(history, context.model, findings, limits.hit)

    def _model(self, name: str) -> Model:
        if name in self._models:
            return deterministic(self._models[name])
        try:
            return deterministic(model_named(name))
        except BadInput as error:
            raise Unsupported("; ".join(problem.found for problem in error.problems)) from error

    def _verdict(
        self, history: History, model: str, findings: Findings, hit: str | None
    ) -> Verdict:
        details = _details(history, model, findings)
        if findings.broken:
            keys = sorted(findings.broken)[:_ANOMALIES_MAX]
            anomalies = tuple(findings.broken[key]() for key in keys)
            best = min(anomalies, key=lambda anomaly: len(anomaly.operations))
            return Verdict(
                checker=self.name,
                validity=Validity.INVALID,
                sentence=best.sentence,
                anomalies=anomalies,
                details=details,
            )
        if findings.undecided:
            full = any(outcome.reason == "memory" for outcome in findings.undecided.values())
            limit = hit or ("memory" if full else "timeout")
            return self._unknown(limit, _undecided(history, findings, details), details)
        keyed = "" if details["keys"] == 1 else f" on {details['keys']:,} keys"
        return Verdict(
            checker=self.name,
            validity=Validity.VALID,
            sentence=f"All {details['operations']:,} operations{keyed} are linearizable.",
            details=details,
        )

    def _unknown(
        self, reason: str, sentence: str, details: Mapping[str, Any] | None = None
    ) -> Verdict:
        return Verdict(
            checker=self.name,
            validity=Validity.UNKNOWN,
            reason=reason,
            sentence=sentence,
            details=details or {},
        )


def _details(history: History, model: str, findings: Findings) -> dict[str, Any]:
    operations = history.operations
    kept = operations.outcome != Type.FAIL
    return {
        "model": model,
        "operations": int(kept.sum()),
        "indeterminate": int((operations.outcome == Type.INFO).sum()),
        "failed": int((~kept).sum()),
        "keys": len(np.unique(operations.key[kept])),
        "keys_by_procedure": dict(findings.procedures),
        "keys_broken": len(findings.broken),
        "keys_undecided": len(findings.undecided),
        "undecided": [
            {
                "key": history.keys[key],
                "returns_ordered": outcome.passed,
                "returns": outcome.returns,
            }
            for key, outcome in sorted(findings.undecided.items())[:_UNDECIDED_SHOWN_MAX]
        ],
    }


def _undecided(history: History, findings: Findings, details: Mapping[str, Any]) -> str:
    key = min(findings.undecided)
    outcome = findings.undecided[key]
    start = explain.prefix(history.keys[key]) or "It was "
    many = len(findings.undecided)
    total = f" ({many:,} of {details['keys']:,} keys undecided)" if details["keys"] > 1 else ""
    return (
        f"{start}not decided within the limit; {outcome.passed:,} of {outcome.returns:,} "
        f"completed operations could be ordered{total}."
    )
