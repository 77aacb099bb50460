"""The forms in which a history and a specification are given: those of Porcupine's ``model.go``."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any, ClassVar

from checkers.models import UNKNOWN
from harness.core.errors import BadInput, Problem

__all__ = [
    "AnyModel",
    "CheckResult",
    "Event",
    "EventKind",
    "Model",
    "NondeterministicModel",
    "Operation",
    "paired",
    "require_intervals",
]

_PROBLEMS_MAX = 20


class CheckResult(Enum):
    """What a check came to; true only if it is ``OK``."""

    OK = "Ok"
    ILLEGAL = "Illegal"
    UNKNOWN = "Unknown"

    def __bool__(self) -> bool:
        return self is CheckResult.OK


class EventKind(Enum):
    """Whether an event is the beginning or the end of an operation."""

    CALL = "call"
    RETURN = "return"


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """A call with its return. Times are any numbers; intervals are closed, so operations that touch
    are concurrent. ``return_`` is None if it never returned. ``client_id`` and ``metadata`` are for
    the reader alone."""

    input: Any
    call: float
    return_: float | None
    output: Any = UNKNOWN
    client_id: int = 0
    metadata: Any = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """The beginning of the operation ``id``, with its input as ``value``, or its end with its
    output. The order of the events is all that is known of time."""

    kind: EventKind
    value: Any
    id: int
    client_id: int = 0
    metadata: Any = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """A sequential specification.

    ``init()`` is the first state, and ``step(state, input, output)`` answers ``(legal, state)``.
    ``partition`` (``partition_event`` for events) splits a history that is linearizable exactly if
    each part is. ``equal`` and ``hash`` say which states are the same where ``==`` does not; with
    ``equal`` alone every new state is compared with all others. ``read_only(input, output)``, which
    Porcupine does not have, names operations that never change the state: they cost next to
    nothing, and can be left out of a counterexample.
    """

    init: Callable[[], Any]
    step: Callable[[Any, Any, Any], tuple[bool, Any]]
    partition: Callable[[list[Operation]], Iterable[Iterable[Operation]]] | None = None
    partition_event: Callable[[list[Event]], Iterable[Iterable[Event]]] | None = None
    equal: Callable[[Any, Any], bool] | None = None
    hash: Callable[[Any], Hashable] | None = None
    read_only: Callable[[Any, Any], bool] | None = None
    describe_operation: Callable[[Any, Any], str] = "{!r} -> {!r}".format
    deterministic: ClassVar[bool] = True

    def initial_states(self) -> list[Any]:
        """The one first state."""
        return [self.init()]

    def steps(self, state: Any, input: Any, output: Any) -> list[Any]:
        """The next state, if there is one."""
        legal, following = self.step(state, input, output)
        return [following] if legal else []


@dataclass(frozen=True, slots=True, kw_only=True)
class NondeterministicModel:
    """As :class:`Model`, but ``init`` and ``step`` answer all the states that may follow: none if
    the operation is not legal. Porcupine's power set is built on the way."""

    init: Callable[[], Iterable[Any]]
    step: Callable[[Any, Any, Any], Iterable[Any]]
    partition: Callable[[list[Operation]], Iterable[Iterable[Operation]]] | None = None
    partition_event: Callable[[list[Event]], Iterable[Iterable[Event]]] | None = None
    equal: Callable[[Any, Any], bool] | None = None
    hash: Callable[[Any], Hashable] | None = None
    read_only: Callable[[Any, Any], bool] | None = None
    describe_operation: Callable[[Any, Any], str] = "{!r} -> {!r}".format
    deterministic: ClassVar[bool] = False

    def initial_states(self) -> list[Any]:
        """All first states."""
        return list(self.init())

    def steps(self, state: Any, input: Any, output: Any) -> list[Any]:
        """All next states."""
        return list(self.step(state, input, output))


AnyModel = Model | NondeterministicModel


def require_intervals(operations: Sequence[Operation]) -> None:
    """Raise :class:`BadInput` for operations that return before their call."""
    problems = [
        Problem(
            f"operation {at} with call {one.call!r} and return {one.return_!r}",
            "a return that is not before the call, or None",
            "correct the program that wrote the history",
        )
        for at, one in enumerate(operations)
        # Written so that a time which is not a number is refused too.
        if not one.call <= (one.call if one.return_ is None else one.return_)
    ]
    if problems:
        raise BadInput(problems[:_PROBLEMS_MAX])


def paired(events: Sequence[Event]) -> list[Operation]:
    """Events as operations, in order of their calls; times are positions. Raises
    :class:`BadInput` for a return without a call, and for a call of what is open."""
    opened: dict[int, int] = {}
    returns: dict[int, int] = {}
    problems = []
    for at, event in enumerate(events):
        called = event.kind is EventKind.CALL
        if called == (event.id in opened):
            found = f"event {at}: {'a call' if called else 'a return'} of operation {event.id}"
            needed = "a call first, then at most one return"
            problems.append(Problem(found, needed, "correct the program that wrote the history"))
        elif called:
            opened[event.id] = at
        else:
            returns[opened.pop(event.id)] = at
    if problems:
        raise BadInput(problems[:_PROBLEMS_MAX])
    return [
        Operation(
            client_id=event.client_id,
            input=event.value,
            call=at,
            output=events[returns[at]].value if at in returns else UNKNOWN,
            return_=returns.get(at),
            metadata=event.metadata,
        )
        for at, event in enumerate(events)
        if event.kind is EventKind.CALL
    ]
