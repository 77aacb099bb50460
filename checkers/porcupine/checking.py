"""Whether a history in Porcupine's form is linearizable: part by part, within one limit."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from checkers.linearizable.budget import Budget, Limits, usual_memory_bytes
from checkers.linearizable.search import Outcome, search
from checkers.porcupine.adapted import Late, Partition, make_partition
from checkers.porcupine.forms import (
    AnyModel,
    CheckResult,
    Event,
    Operation,
    paired,
    require_intervals,
)

__all__ = [
    "Info",
    "check_events",
    "check_events_verbose",
    "check_operations",
    "check_operations_verbose",
]

_FIRST_ROUND_STEPS = 20_000
_UNBOUNDED = 1 << 62


@dataclass(frozen=True, slots=True, kw_only=True)
class Info:
    """How a check came to its result.

    ``ordered`` of ``returns`` returns could be put in order, on the longest way, in the part that
    is illegal (else in all that were not decided). ``witness`` are operations that are illegal by
    themselves, ``stuck`` the one among them that no order can pass, and ``sentence`` says so; they
    are empty unless the result is ``ILLEGAL``. The times of operations made from events are their
    positions in the part.
    """

    partitions: int
    ordered: int
    returns: int
    sentence: str = ""
    witness: tuple[Operation, ...] = ()
    stuck: Operation | None = None


def check_operations(
    model: AnyModel,
    history: Iterable[Operation],
    *,
    timeout_s: float | None = None,
    memory_limit_bytes: int | None = None,
) -> CheckResult:
    """Whether the operations are linearizable. ``UNKNOWN`` after ``timeout_s`` (None: never), or
    where the process would hold more than ``memory_limit_bytes`` (None: half of what there is).

    Raises :class:`BadInput` for operations that return before their call; what the model raises
    comes through. Exponential in the concurrency in the worst case.
    """
    return _operations(model, history, _limits(timeout_s, memory_limit_bytes)).result


def check_events(
    model: AnyModel,
    history: Iterable[Event],
    *,
    timeout_s: float | None = None,
    memory_limit_bytes: int | None = None,
) -> CheckResult:
    """As :func:`check_operations`, for events. Raises :class:`BadInput` for a return without a
    call, and for a call with the id of an operation that is open."""
    return _events(model, history, _limits(timeout_s, memory_limit_bytes)).result


def check_operations_verbose(
    model: AnyModel,
    history: Iterable[Operation],
    *,
    timeout_s: float | None = None,
    memory_limit_bytes: int | None = None,
) -> tuple[CheckResult, Info]:
    """As :func:`check_operations`, with how it came to that."""
    found = _operations(model, history, _limits(timeout_s, memory_limit_bytes))
    return found.result, found.info(model)


def check_events_verbose(
    model: AnyModel,
    history: Iterable[Event],
    *,
    timeout_s: float | None = None,
    memory_limit_bytes: int | None = None,
) -> tuple[CheckResult, Info]:
    """As :func:`check_events`, with how it came to that."""
    found = _events(model, history, _limits(timeout_s, memory_limit_bytes))
    return found.result, found.info(model)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Found:
    """``broken`` is the part that is illegal, with where the search of it ended; ``undecided`` is
    how far that of the others came (None: not even that is known)."""

    partitions: int
    broken: tuple[Partition, Outcome] | None = None
    undecided: tuple[Outcome | None, ...] = ()

    @property
    def result(self) -> CheckResult:
        if self.broken is not None:
            return CheckResult.ILLEGAL
        # Nothing checked is nothing shown.
        return CheckResult.UNKNOWN if self.undecided or not self.partitions else CheckResult.OK

    def info(self, model: AnyModel) -> Info:
        """How it came to that. Makes the witness, which may take longer than the verdict did."""
        if self.broken is not None:
            return _illegal(model, *self.broken, self.partitions)
        known = [outcome for outcome in self.undecided if outcome is not None]
        nothing = "" if self.partitions else "Nothing was checked: there are no operations."
        return Info(
            partitions=self.partitions,
            ordered=sum(outcome.passed for outcome in known),
            returns=sum(outcome.returns for outcome in known),
            sentence="Not decided within the limit." if self.undecided else nothing,
        )


def _operations(model: AnyModel, history: Iterable[Operation], limits: Limits) -> _Found:
    operations = list(history)
    require_intervals(operations)
    parts = [operations] if model.partition is None else model.partition(operations)
    return _check(model, [list(part) for part in parts], limits)


def _events(model: AnyModel, history: Iterable[Event], limits: Limits) -> _Found:
    events = list(history)
    parts = [events] if model.partition_event is None else model.partition_event(events)
    return _check(model, [paired(list(part)) for part in parts], limits)


def _limits(timeout_s: float | None, memory_bytes: int | None) -> Limits:
    clock = time.monotonic
    deadline_s = float("inf") if timeout_s is None else clock() + timeout_s
    held = memory_bytes or usual_memory_bytes()
    return Limits(deadline_s=deadline_s, clock=clock, memory_bytes=held)


def _check(model: AnyModel, parts: Sequence[Sequence[Operation]], limits: Limits) -> _Found:
    """All parts get a short search before any gets a long one: what is easily shown to be illegal
    does not wait for what is hard."""
    todo = sorted((part for part in parts if len(part)), key=len)
    partitions = [make_partition(model, part, limits) for part in todo]
    undecided: list[tuple[Partition, Outcome | None]] = []
    for steps in (_FIRST_ROUND_STEPS, _UNBOUNDED):
        undecided = []
        for part in partitions:
            outcome = _search(part, Budget(steps_left=steps, limits=limits))
            if outcome is not None and outcome.legal is False:
                return _Found(partitions=len(todo), broken=(part, outcome))
            if outcome is None or outcome.legal is None:
                undecided.append((part, outcome))
        partitions = [part for part, _ in undecided]
    return _Found(partitions=len(todo), undecided=tuple(outcome for _, outcome in undecided))


def _search(part: Partition, budget: Budget) -> Outcome | None:
    """None: the time was over in the middle of a step of the model."""
    try:
        return search(part.instance, budget)
    except Late:
        return None


def _illegal(model: AnyModel, part: Partition, outcome: Outcome, count: int) -> Info:
    assert outcome.stuck is not None
    witness, at = part.witness(outcome.stuck)
    stuck = part.operations[at]
    said = model.describe_operation(stuck.input, stuck.output)
    return Info(
        partitions=count,
        ordered=outcome.passed,
        returns=outcome.returns,
        sentence=f"No order of these {len(witness):,} operations explains {said}.",
        witness=tuple(part.operations[position] for position in witness),
        stuck=stuck,
    )
