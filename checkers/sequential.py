"""Sequential consistency: one order of all operations, in which each process keeps its own.

(L. Lamport, "How to make a multiprocessor computer that correctly executes multiprocess programs",
IEEE TC 1979.) Unlike linearizability it is not local: every key by itself may be sequential while
all together are not, so the keys of a history are judged together.

Registers, compare-and-set and transactions on registers are decided by the solver of
:mod:`checkers.transactions.solver` with the order of processes only (a transaction is one operation
on the store as a whole). Any other model of :mod:`checkers.models` is searched
(:mod:`checkers.sequential_search`): exactly, as far as the budget reaches.

Two processes that see two writes in different orders are no proof of anything by themselves; that
each then writes is needed here only because a process must not read back what it never saw:

>>> Sequential.judges
frozenset({'sequential'})
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np

from checkers.linearizable.budget import Budget, Limits, usual_memory_bytes
from checkers.linearizable.instances import freeze
from checkers.models import Model, MultiRegister, NullRead, Register, model_named, truth
from checkers.sequential_search import Searched, search
from checkers.spectrum import judge
from checkers.transactions import rw_register_explain as explain
from checkers.transactions.columns import Kind, Transactions, Unsupported, ingest
from checkers.transactions.polygraph import Order, Question, polygraph
from checkers.transactions.polygraph_shrink import shrink
from checkers.transactions.rw_register_uncertain import accesses_of, without_rows
from checkers.transactions.solver import decide
from harness.core.contracts import CheckContext
from harness.core.errors import BadInput
from harness.core.history import History
from harness.core.operation import Type
from harness.core.options import Option
from harness.core.verdict import Anomaly, Validity, Verdict

__all__ = ["Sequential"]

_QUESTION = Question(order=Order.PROCESS)
_SHOWN_MAX = 10
_STEPS_MAX = 2_000_000
_REGISTERS = frozenset({"read", "write", "cas"})


class Sequential:
    """Is there one order of all operations in which each process keeps its own? ``steps_max``
    bounds the general search; ``clock`` measures the time limit."""

    name: ClassVar[str] = "sequential"
    summary: ClassVar[str] = "one order of all operations, in which each process keeps its own"
    options: ClassVar[tuple[Option, ...]] = (
        Option(
            name="object",
            default="",
            summary="what the operations work on: a model, such as queue or register",
        ),
    )
    judges: ClassVar[frozenset[str]] = frozenset({"sequential"})

    def __init__(
        self, *, steps_max: int = _STEPS_MAX, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._steps_max = steps_max
        self._clock = clock

    def check(self, history: History, context: CheckContext) -> Verdict:
        """Invalid with the proof, valid with an order found; unknown with ``timeout``,
        ``too-large``, ``vacuous``, ``unsupported`` or ``crash``."""
        try:
            return self._check(history, context)
        except Unsupported as refusal:
            return self._unknown("unsupported", f"Nothing was checked: {refusal}.")
        except Exception as error:  # a checker that crashes must never look like a pass
            text = f"{type(error).__name__}: {error}"
            return self._unknown("crash", f"The checker itself crashed ({text}).")

    def _check(self, history: History, context: CheckContext) -> Verdict:
        limits = Limits(
            deadline_s=self._clock() + context.time_limit_s,
            clock=self._clock,
            memory_bytes=context.memory_limit_bytes or usual_memory_bytes(),
        )
        model = _model(history, str(context.options.get("object", "")) or context.model)
        if isinstance(model, MultiRegister) or (
            isinstance(model, Register) and not _refused(history)
        ):
            return self._registers(history, model, limits)
        return self._any_model(history, model, limits)

    def _registers(
        self, history: History, model: Register | MultiRegister, limits: Limits
    ) -> Verdict:
        transactions = ingest(history)
        if isinstance(model, Register) and model.null_read is NullRead.ANYTHING:
            silent = (transactions.kind == Kind.READ) & (transactions.value == 0)
            transactions = without_rows(transactions, silent)
        found = accesses_of(transactions, initial=_initial(transactions, model))
        if not (found.committed[found.reader].any() or found.wrong):
            return self._unknown("vacuous", _VACUOUS)
        anomalies: list[Anomaly] = []
        counts: dict[str, int] = {}
        for name, rows in found.wrong.items():
            counts[name] = len(rows)
            anomalies += [
                explain.local(found, name, row, other) for row, other in rows[:_SHOWN_MAX].tolist()
            ]
        how, reason, proved = "", "", False
        if not anomalies:
            graph = polygraph(found)
            decision = decide(graph, _QUESTION, limits.reached)
            how, proved = decision.how, bool(decision.holds)
            reason = limits.hit or decision.reason
            if decision.within is not None:
                kept, minimal = shrink(graph, _QUESTION, decision.within, limits.reached)
                name = "not-sequential"
                part = graph.part(kept)
                anomalies.append(explain.no_order(found, part, _QUESTION, name, minimal=minimal))
                counts[name] = 1
        return self._verdict(
            history,
            anomalies=anomalies,
            counts=counts,
            proved=proved,
            reason=reason,
            details={"decided_by": how, "model": type(model).__name__},
        )

    def _any_model(self, history: History, model: Model, limits: Limits) -> Verdict:
        found = search(history, model, Budget(steps_left=self._steps_max, limits=limits))
        if found is None:
            return self._unknown("vacuous", _VACUOUS)
        anomalies = [_illegal(found)] if found.legal is False else []
        return self._verdict(
            history,
            anomalies=anomalies,
            counts={"not-sequential": 1} if anomalies else {},
            proved=bool(found.legal),
            reason=limits.hit or found.reason,
            details={"decided_by": "general search", "model": type(model).__name__},
        )

    def _verdict(
        self,
        history: History,
        *,
        anomalies: list[Anomaly],
        counts: dict[str, int],
        proved: bool,
        reason: str,
        details: dict[str, Any],
    ) -> Verdict:
        operations = history.operations
        happened = int((operations.outcome == Type.OK).sum())
        return judge(
            checker=self.name,
            asked="sequential",
            scope=self.judges,
            anomalies=anomalies,
            counts=counts,
            proved=["sequential"] if proved else [],
            subject=f"All {happened:,} operations",
            incomplete=f"the search for an order was given up ({reason})" if reason else "",
            reason=reason or "incomplete",
            details={
                "operations": len(operations),
                "indeterminate": int((operations.outcome == Type.INFO).sum()),
                **details,
            },
        )

    def _unknown(self, reason: str, sentence: str) -> Verdict:
        return Verdict(
            checker=self.name, validity=Validity.UNKNOWN, reason=reason, sentence=sentence
        )


_VACUOUS = "Nothing was checked: no operation that observes anything succeeded."


def _functions(history: History) -> frozenset[str]:
    codes = np.flatnonzero(np.bincount(history.operations.f, minlength=1))
    return frozenset(str(history.functions[code]) for code in codes.tolist())


def _model(history: History, name: str) -> Model:
    """The model of that name; where it does not know the functions, the registers that do."""
    functions = _functions(history)
    try:
        model = model_named(name)
    except BadInput as error:
        if name != Sequential.name:
            found = "; ".join(problem.found for problem in error.problems)
            raise Unsupported(found) from error
    else:
        if functions <= model.functions:
            return model
    if functions <= _REGISTERS:
        return Register(functions=_REGISTERS)
    if _is_transactional(history):
        return MultiRegister(functions=functions)
    known = ", ".join(sorted(functions))
    raise Unsupported(f"{name} does not know the functions {known}: name the object")


def _is_transactional(history: History) -> bool:
    asked = {int(code) for code in np.unique(history.operations.argument).tolist()}
    return all(
        isinstance(history.values[code], list)
        and all(isinstance(one, list) and one[:1] in (["r"], ["w"]) for one in history.values[code])
        for code in asked
    )


def _refused(history: History) -> bool:
    """Whether some compare-and-set succeeded in saying that it found something else."""
    operations = history.operations
    rows = np.flatnonzero(
        (operations.f == history.function("cas")) & (operations.outcome == Type.OK)
    )
    results = {int(code) for code in np.unique(operations.result[rows]).tolist()}
    return any(truth(history.values[code]) is not None for code in results)


def _initial(transactions: Transactions, model: Register | MultiRegister) -> int:
    if isinstance(model, MultiRegister) or model.initial is None:
        return 0
    return next(
        (
            code
            for code, value in enumerate(transactions.values)
            if freeze(value) == freeze(model.initial)
        ),
        len(transactions.values),
    )


def _illegal(found: Searched) -> Anomaly:
    listed = "; ".join(found.texts[:12])
    more = f" and {len(found.texts) - 12} more" if len(found.texts) > 12 else ""
    return Anomaly(
        name="not-sequential",
        sentence=(
            f"No order of these {len(found.texts)} operations in which each process keeps its own "
            f"is legal: {listed}{more}."
        ),
        operations=found.operations,
        details={"minimal": found.minimal},
    )
