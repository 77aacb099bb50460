"""A model of two functions over any values, as the general search takes it.

The search wants states, arguments and results that are hashable and equal only if they are the
same; users have lists, dicts, dataclasses, and a step function that must not see anything else. So
everything is numbered here: a value by its *likeness* (a hashable stand-in for what it holds), a
state by that or by the user's own equality. The engine's state is the set of the numbers of all
states in which the model may be (Rabin & Scott 1959; one number for a deterministic model).
"""

from __future__ import annotations

import dataclasses
from collections import OrderedDict, deque
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from collections.abc import Set as AnySet
from dataclasses import dataclass
from typing import Any

import numpy as np

from checkers.linearizable import shrink
from checkers.linearizable.budget import Budget, Limits
from checkers.linearizable.instances import Class, Instance
from checkers.linearizable.search import search
from checkers.models import ILLEGAL, Illegal
from checkers.porcupine.forms import AnyModel, Operation
from harness.core.history import NEVER

__all__ = ["Late", "Partition", "likeness", "make_partition"]

_WITNESS_STEPS = 20_000
_WITNESS_CHECK_STEPS = 5_000
_PLAIN = frozenset({int, str, bytes, type(None)})
_FUNCTION = "operation"


class Late(Exception):
    """The time was over when the model was about to be asked."""


def likeness(value: Any) -> Hashable:
    """A hashable stand-in for ``value``: equal for values that ``==`` holds equal and that have the
    same types all through (``1``, ``True`` and ``1.0`` stay apart). Raises ``TypeError`` for what
    can neither be hashed nor looked into.

    >>> likeness([1, {"a"}]) == likeness([1, {"a"}]) != likeness([True, {"a"}])
    True
    """
    kind = type(value)
    if kind in _PLAIN:
        plain: Hashable = value
        return plain
    if isinstance(value, (OrderedDict, list, tuple, deque)):
        items = value.items() if isinstance(value, OrderedDict) else value
        return kind, tuple(likeness(item) for item in items)
    if isinstance(value, Mapping):
        return kind, frozenset((likeness(k), likeness(v)) for k, v in value.items())
    if isinstance(value, AnySet):
        return kind, frozenset(likeness(item) for item in value)
    parameters = getattr(kind, "__dataclass_params__", None)
    if parameters is not None and parameters.eq and "__eq__" in vars(kind):
        fields = [one.name for one in dataclasses.fields(value) if one.compare]
        return kind, tuple(likeness(getattr(value, name)) for name in fields)
    hash(value)
    return kind, value


def _identity(value: Any) -> Hashable:
    """What has no likeness is like itself alone; whoever keeps the name must keep the value."""
    try:
        return likeness(value)
    except TypeError:
        return type(value), id(value)


class _ByEquality:
    """A state that is the same as another if the user says so."""

    __slots__ = ("_equal", "_hash", "state")

    def __init__(self, state: Any, equal: Callable[[Any, Any], bool], number: int) -> None:
        self.state, self._equal, self._hash = state, equal, number

    def __hash__(self) -> int:
        return self._hash

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _ByEquality) and bool(self._equal(self.state, other.state))


class _Numbers:
    """Values by number, in the order in which they come up."""

    def __init__(self, name: Callable[[Any], Hashable]) -> None:
        self.values: list[Any] = []
        self._name = name
        self._numbers: dict[Hashable, int] = {}

    def of(self, value: Any) -> int:
        number = self._numbers.setdefault(self._name(value), len(self.values))
        if number == len(self.values):
            self.values.append(value)
        return number


class _Adapted:
    """``model`` as a model of ours: arguments and results are numbers of inputs and outputs."""

    functions = observers = frozenset({_FUNCTION})
    pure: frozenset[str] = frozenset()

    def __init__(self, model: AnyModel, limits: Limits) -> None:
        self.inputs, self.outputs = _Numbers(_identity), _Numbers(_identity)
        self._model, self._limits = model, limits
        self._states = _Numbers(self._name)
        self.initial: Hashable = self._set(model.initial_states())

    def is_pure(self, f: str, argument: Any, result: Any) -> bool:
        """Where several states may follow, even a read may leave fewer of them possible."""
        return self._model.deterministic and self.spares(argument, result)

    def spares(self, argument: Any, result: Any) -> bool:
        """Whether a legal history stays legal without such an operation."""
        read_only = self._model.read_only
        if read_only is None:
            return False
        return bool(read_only(self.inputs.values[argument], self.outputs.values[result]))

    def step(self, state: Any, f: str, argument: Any, result: Any) -> Hashable | Illegal:
        if self._limits.seconds_left() <= 0:
            raise Late
        asked, answered = self.inputs.values[argument], self.outputs.values[result]
        following: list[Any] = []
        for number in sorted(state):
            following += self._following(self._states.values[number], asked, answered)
        if not following:
            return ILLEGAL
        after = self._set(following)
        if not after <= state and self.spares(argument, result):
            raise ValueError(f"read_only says that {asked!r} changes no state, but it does")
        return after

    def _following(self, state: Any, asked: Any, answered: Any) -> list[Any]:
        before = None if type(state) in _PLAIN else self._fingerprint(state)
        following = self._model.steps(state, asked, answered)
        if before is not None and self._fingerprint(state) != before:
            raise ValueError(f"step changed the state that it was given, at {asked!r}")
        return following

    def _set(self, states: Iterable[Any]) -> frozenset[int]:
        return frozenset(map(self._states.of, states))

    def _name(self, state: Any) -> Hashable:
        model = self._model
        if model.equal is not None:
            number = 0 if model.hash is None else hash(model.hash(state))
            return _ByEquality(state, model.equal, number)
        try:
            return likeness(state)
        except TypeError as error:
            raise TypeError(
                f"found a state of type {type(state).__name__}; needed one that can be hashed, or "
                "is made of lists, dicts, sets and dataclasses; give the model equal= and hash="
            ) from error

    def _fingerprint(self, state: Any) -> Hashable:
        try:
            return likeness(state)
        except TypeError:
            return None  # cannot be looked into; then it has an equality of its own


@dataclass(frozen=True, slots=True, kw_only=True)
class Partition:
    """A part of a history that is judged by itself; positions of ``instance`` are those of
    ``operations``."""

    operations: Sequence[Operation]
    instance: Instance

    def witness(self, stuck: int) -> tuple[list[int], int]:
        """Positions that are illegal by themselves, ascending, and the one among them whose return
        no order can pass: what was called before the return of ``stuck``, without the operations
        that change nothing and can be spared."""
        one = self.instance
        adapted = one.model
        assert isinstance(adapted, _Adapted)
        prefix = np.flatnonzero(one.call <= one.ret[stuck]).tolist()
        unlimited = Limits(deadline_s=float("inf"), clock=lambda: 0.0)
        budget = Budget(steps_left=_WITNESS_STEPS, limits=unlimited)
        # What is stuck may itself be spared, where another operation is as impossible.
        stuck_in = {len(prefix): stuck}

        def illegal(part: list[int]) -> bool:
            rows = [prefix[i] for i in part]
            outcome = search(one.select(rows), budget.of(_WITNESS_CHECK_STEPS))
            budget.steps_left -= outcome.steps + len(part)
            proven = outcome.legal is False and budget.steps_left > 0
            if proven and outcome.stuck is not None:
                stuck_in[len(part)] = rows[outcome.stuck]
            return proven

        kinds = [one.of(at) for at in prefix]
        spare = [frozenset({i}) for i, kind in enumerate(kinds) if adapted.spares(*kind[1:])]
        try:
            kept = shrink.smallest(range(len(prefix)), spare, illegal)
        except Late:
            return prefix, stuck
        return [prefix[i] for i in kept], stuck_in[len(kept)]


def make_partition(model: AnyModel, operations: Sequence[Operation], limits: Limits) -> Partition:
    """The operations as an instance of the general search. Times become ranks, so that they may be
    any numbers. O(n log n)."""
    adapted = _Adapted(model, limits)
    times = {one.call for one in operations}
    times |= {one.return_ for one in operations if one.return_ is not None}
    ranks = {moment: rank for rank, moment in enumerate(sorted(times))}
    numbers: dict[Class, int] = {}
    kinds = []
    for one in operations:
        name = (_FUNCTION, adapted.inputs.of(one.input), adapted.outputs.of(one.output))
        kinds.append(numbers.setdefault(name, len(numbers)))
    ends = [int(NEVER) if one.return_ is None else ranks[one.return_] for one in operations]
    instance = Instance(
        model=adapted,
        initial=adapted.initial,
        call=np.array([ranks[one.call] for one in operations], dtype=np.int64),
        ret=np.array(ends, dtype=np.int64),
        kind=np.array(kinds, dtype=np.int64),
        classes=tuple(numbers),
    )
    return Partition(operations=operations, instance=instance)
