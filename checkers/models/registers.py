"""Registers, and strings that grow."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Hashable, Iterable, Set
from dataclasses import dataclass
from enum import Enum
from typing import Any, ClassVar

from checkers.models.base import ILLEGAL, UNKNOWN, Illegal, Model, truth

__all__ = ["AppendRegister", "MultiRegister", "NullRead", "Register"]


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
    happen, not why (the connection may have been refused), so it observes nothing. One that
    returned ``false`` certainly found something else than ``old``.

    >>> Register().step(None, "write", 5, None)
    5
    >>> Register().step(5, "read", None, 4) is ILLEGAL
    True
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
        if truth(result) is False:
            return state if old != state else ILLEGAL
        changed: Hashable = new
        return changed if old == state else ILLEGAL


@dataclass(frozen=True, slots=True, kw_only=True)
class MultiRegister:
    """Several registers at once: ``txn`` is a list of ``["r", key, value]`` and ``["w", key,
    value]``, done in order at one instant. The state is the set of keys with their values.

    >>> MultiRegister().step(frozenset(), "txn", (), (("w", "x", 1), ("r", "x", 1)))
    frozenset({('x', 1)})
    """

    initial: frozenset[tuple[Hashable, Hashable]] = frozenset()
    functions: frozenset[str] = frozenset({"txn"})
    pure: frozenset[str] = frozenset()
    observers: frozenset[str] = frozenset({"txn"})

    def step(
        self, state: frozenset[tuple[Hashable, Hashable]], f: str, argument: Any, result: Any
    ) -> Hashable | Illegal:
        """The registers afterwards. Where the result is unknown or null, only the writes count; a
        result that tells of other writes than were asked for fits no state."""
        values = dict(state)
        silent = result in (None, UNKNOWN)
        if argument and not silent and _asked(argument) != _asked(result):
            return ILLEGAL
        for kind, key, value in argument if silent else result:
            if kind in ("w", "write"):
                values[key] = value
            elif not silent and values.get(key) != value:
                return ILLEGAL
        return frozenset(values.items())

    def observes(self, f: str, argument: Any, result: Any) -> bool:
        """A transaction that read something."""
        return any(kind in ("r", "read") for kind, _, _ in result or ())


def _asked(steps: tuple[tuple[str, Hashable, Hashable], ...]) -> list[tuple[Hashable, ...]]:
    """The steps of a transaction without what was read."""
    return [(f, key, value if f in ("w", "write") else None) for f, key, value in steps]


@dataclass(frozen=True, slots=True, kw_only=True)
class AppendRegister:
    """A string: ``get -> string``, ``put string`` and ``append string``.

    >>> AppendRegister().step("ab", "append", "c", None)
    'abc'
    """

    initial: str = ""
    functions: frozenset[str] = frozenset({"get", "put", "append"})
    pure: frozenset[str] = frozenset({"get"})
    observers: frozenset[str] = frozenset({"get"})
    blind: ClassVar[frozenset[str]] = frozenset({"put"})

    def step(self, state: str, f: str, argument: Any, result: Any) -> Hashable | Illegal:
        """The string afterwards."""
        if f == "get":
            return state if (result or "") == state else ILLEGAL
        return str(argument) if f == "put" else state + str(argument)

    def narrowed(self, observed: Iterable[tuple[str, Any, Any]], functions: Set[str]) -> Model:
        """Only beginnings of what was got matter. Where nothing is put, the string only grows, and
        only towards the longest of them."""
        seen = {result for f, _, result in observed if f == "get" and isinstance(result, str)}
        longest = max(seen, key=len, default=self.initial)
        if "put" not in functions and longest.startswith(self.initial):
            return Growing(initial=self.initial, longest=longest)
        return Observed(initial=self.initial, seen=tuple(sorted(seen)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Observed:
    """A string that somebody saw as each of ``seen`` (sorted), and nobody as anything else. While
    it is no beginning of any of these, nothing is known of it: the state is None, until a put.

    >>> Observed(seen=("ab", "x")).step("a", "append", "c", None) is None
    True
    """

    seen: tuple[str, ...]
    initial: str = ""
    functions: frozenset[str] = frozenset({"get", "put", "append"})
    pure: frozenset[str] = frozenset({"get"})
    observers: frozenset[str] = frozenset({"get"})
    blind: ClassVar[frozenset[str]] = frozenset({"put"})

    def step(self, state: str | None, f: str, argument: Any, result: Any) -> Hashable | Illegal:
        """The string afterwards; None: one that nobody saw, nor will see by appending."""
        if f == "get":
            return state if (result or "") == state else ILLEGAL
        if f == "append" and state is None:
            return None
        after = str(argument) if f == "put" else f"{state}{argument}"
        place = bisect_left(self.seen, after)
        known = place < len(self.seen) and self.seen[place].startswith(after)
        return after if known or not after else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Growing:
    """A string without puts that somebody sees as ``longest``, and nobody sees longer.

    A string that is no beginning of ``longest``, before that was seen, never comes to be it. After
    that was seen nobody looks any more, so it does not matter what follows: the state is None.

    >>> Growing(longest="abc").step("a", "append", "c", None) is ILLEGAL
    True
    """

    longest: str
    initial: str = ""
    functions: frozenset[str] = frozenset({"get", "append"})
    pure: frozenset[str] = frozenset({"get"})
    observers: frozenset[str] = frozenset({"get"})

    def step(self, state: str | None, f: str, argument: Any, result: Any) -> Hashable | Illegal:
        """The string afterwards; None: longer than anybody saw."""
        if f == "get":
            return state if (result or "") == state else ILLEGAL
        piece = str(argument)
        if state is None or not piece:
            return state
        if state == self.longest:
            return None
        fits = self.longest.startswith(piece, len(state))
        return self.longest[: len(state) + len(piece)] if fits else ILLEGAL
