"""Sequential specifications: what one object does when its operations come one after another.

A model is data and a pure step function; it knows nothing of time, processes or histories. The
checkers of :mod:`checkers.linearizable` ask whether some order of a concurrent history, in
agreement with real time, is an order that the model allows (Herlihy & Wing, "Linearizability: a
correctness condition for concurrent objects", TOPLAS 1990).

>>> Register().step(None, "write", 5, None)
5
>>> Register().step(5, "read", None, 4) is ILLEGAL
True
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any, Final, Protocol

__all__ = ["ILLEGAL", "MODELS", "Illegal", "Model", "NullRead", "Register"]


class Illegal(Enum):
    """The answer of ``step`` for an operation that cannot happen in that state."""

    ILLEGAL = "illegal"


ILLEGAL: Final = Illegal.ILLEGAL
"""Distinct from ``None``, which is a state: that of a register never written."""


class Model(Protocol):
    """A sequential specification.

    ``functions`` are all the functions it knows. ``pure`` are those that leave the state as it is
    wherever they are legal. ``observers`` are those whose success says something of the state: a
    history without a successful one proves nothing.

    Laws: ``step`` is a pure function of its arguments; states are hashable; a function in ``pure``
    returns the state it was given, or :data:`ILLEGAL`.
    """

    @property
    def initial(self) -> Hashable: ...
    @property
    def functions(self) -> frozenset[str]: ...
    @property
    def pure(self) -> frozenset[str]: ...
    @property
    def observers(self) -> frozenset[str]: ...

    def step(self, state: Hashable, f: str, argument: Any, result: Any) -> Hashable | Illegal:
        """The state after a successful ``f``, or :data:`ILLEGAL`. ``result`` is what the operation
        returned; it means nothing for an indeterminate operation, which no model may observe."""
        ...


class NullRead(Enum):
    """What a read that returns ``null`` says.

    ``INITIAL``: the register held its initial value (a key that is absent). ``ANYTHING``: nothing
    at all, as Knossos takes it.
    """

    INITIAL = "initial"
    ANYTHING = "anything"


@dataclass(frozen=True, slots=True, kw_only=True)
class Register:
    """A register: ``read -> value``, ``write value`` and, if it is a function, ``cas [old, new]``.

    Only successful operations are steps. A failed ``cas`` is none: ``fail`` says that it did not
    happen, not why (the connection may have been refused), so it observes nothing.
    """

    initial: Hashable = None
    functions: frozenset[str] = frozenset({"read", "write"})
    null_read: NullRead = NullRead.INITIAL

    @property
    def pure(self) -> frozenset[str]:
        return frozenset({"read"})

    @property
    def observers(self) -> frozenset[str]:
        return self.functions - {"write"}

    def step(self, state: Hashable, f: str, argument: Any, result: Any) -> Hashable | Illegal:
        """The register's next value. ``argument`` is ``(old, new)`` for ``cas``."""
        if f == "write":
            value: Hashable = argument
            return value
        if f == "read":
            if result is None and self.null_read is NullRead.ANYTHING:
                return state
            return state if result == state else ILLEGAL
        assert f == "cas", f
        old, new = argument
        if result is False or result == ("bool", False):
            return state if old != state else ILLEGAL
        changed: Hashable = new
        return changed if old == state else ILLEGAL


_WITH_CAS = frozenset({"read", "write", "cas"})

MODELS: Mapping[str, Model] = {
    "register": Register(),
    "cas-register": Register(functions=_WITH_CAS),
    "register-null-reads-anything": Register(null_read=NullRead.ANYTHING),
    "cas-register-null-reads-anything": Register(functions=_WITH_CAS, null_read=NullRead.ANYTHING),
}
"""The models by the names under which a check asks for them."""
