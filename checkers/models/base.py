"""What a model is.

Arguments and results come *frozen*: lists as tuples, and booleans told apart from numbers
(:func:`truth` reads them). So they are hashable, and equal exactly for equal values.
"""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass
from enum import Enum
from typing import Any, Final, Protocol

__all__ = [
    "ILLEGAL",
    "UNKNOWN",
    "Determinized",
    "Illegal",
    "Model",
    "OneOf",
    "Unknown",
    "deterministic",
    "truth",
]


class Illegal(Enum):
    """The answer of ``step`` for an operation that cannot happen in that state."""

    ILLEGAL = "illegal"


ILLEGAL: Final = Illegal.ILLEGAL
"""Distinct from ``None``, which is a state: that of a register never written."""


class Unknown(Enum):
    """The result of an operation that may have happened, but that nobody heard of."""

    UNKNOWN = "unknown"


UNKNOWN: Final = Unknown.UNKNOWN
"""Distinct from ``None``, which is a result: that of a queue found empty."""


class OneOf:
    """The answer of ``step`` where the specification leaves the next state open.

    >>> OneOf(1, 2).states == {1, 2}
    True
    """

    __slots__ = ("states",)

    def __init__(self, *states: Hashable) -> None:
        self.states = frozenset(states)


class Model(Protocol):
    """A sequential specification.

    ``functions`` are all the functions it knows. ``pure`` are those that leave the state as it is
    wherever they are legal. ``observers`` are those whose success says something of the state: a
    history without a successful one proves nothing.

    Laws: ``step`` is a pure function of its arguments; states are hashable; a function in ``pure``
    returns the state it was given, or :data:`ILLEGAL`.

    A model may also have

    - ``blind``: functions that are legal in every state and lead to the same one, whatever the
      state and the result; and ``is_pure(f, argument, result)``, for operations that are pure
      although not all of their function are. Both make the search much faster where many
      operations are open at a time.
    - ``observes(f, argument, result)``: which successes of ``observers`` say something, if not all.
    - ``narrowed(observed, functions)``: a model with the same initial state and fewer others, which
      allows an order of a history exactly if this one does; ``observed`` are the (function,
      argument, result) of what certainly happened in it, ``functions`` those that occur at all.
    - ``part(f, argument, result)``: which of several independent objects an operation is on (None:
      on more than one), for an object that consists of such. They are searched one by one.
    - ``elements(f, argument, result)``: the values that an operation involves, where a legal
      history stays legal without all operations on one value.
    - ``nondeterministic = True``: then ``step`` may answer :class:`OneOf`.
    """

    @property
    def initial(self) -> Hashable: ...
    @property
    def functions(self) -> frozenset[str]: ...
    @property
    def pure(self) -> frozenset[str]: ...
    @property
    def observers(self) -> frozenset[str]: ...

    def step(self, state: Any, f: str, argument: Any, result: Any) -> Hashable | Illegal:
        """The state after ``f``, or :data:`ILLEGAL`. ``result`` is what the operation returned;
        :data:`UNKNOWN` for an indeterminate operation, which observes nothing."""
        ...


def truth(value: Any) -> bool | None:
    """The boolean that ``value`` is, frozen or not; None for anything else.

    >>> truth((bool, False)), truth(True), truth(1)
    (False, True, None)
    """
    if isinstance(value, bool):
        return value
    if isinstance(value, tuple) and len(value) == 2 and value[0] is bool:
        return bool(value[1])
    return None


@dataclass(frozen=True, slots=True)
class Determinized:
    """A non-deterministic model as a deterministic one: its state is the set of all states in which
    ``model`` may be (Rabin & Scott, "Finite automata and their decision problems", 1959, theorem
    11). An order of operations is legal for one exactly if it is for the other."""

    model: Model

    @property
    def initial(self) -> Hashable:
        return frozenset({self.model.initial})

    @property
    def functions(self) -> frozenset[str]:
        return self.model.functions

    @property
    def pure(self) -> frozenset[str]:
        """None: even a read may leave fewer states possible."""
        return frozenset()

    @property
    def observers(self) -> frozenset[str]:
        return self.model.observers

    def step(
        self, state: frozenset[Hashable], f: str, argument: Any, result: Any
    ) -> Hashable | Illegal:
        following: set[Hashable] = set()
        for one in state:
            after = self.model.step(one, f, argument, result)
            if isinstance(after, OneOf):
                following |= after.states
            elif after is not ILLEGAL:
                following.add(after)
        return frozenset(following) or ILLEGAL


def deterministic(model: Model) -> Model:
    """``model``, or its deterministic form if it says that it is ``nondeterministic``."""
    return Determinized(model) if getattr(model, "nondeterministic", False) else model
