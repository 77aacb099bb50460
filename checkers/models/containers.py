"""Queues, stacks, sets and logs."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Hashable
from dataclasses import dataclass
from typing import Any, ClassVar

from checkers.models.base import ILLEGAL, UNKNOWN, Illegal, truth

__all__ = ["GrowOnlySet", "Log", "PriorityQueue", "Queue", "Set", "Stack"]

Items = tuple[Hashable, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Buffer:
    """Values go in by ``PUT`` and come out by ``TAKE``, which answers null when there is none."""

    PUT: ClassVar[str]
    TAKE: ClassVar[str]

    initial: Items = ()

    @property
    def functions(self) -> frozenset[str]:
        return frozenset({self.PUT, self.TAKE})

    @property
    def pure(self) -> frozenset[str]:
        return frozenset()

    @property
    def observers(self) -> frozenset[str]:
        return frozenset({self.TAKE})

    def step(self, state: Items, f: str, argument: Any, result: Any) -> Hashable | Illegal:
        """The values left, first come first."""
        if f == self.PUT:
            return self._with(state, argument)
        if not state:
            return state if result in (None, UNKNOWN) else ILLEGAL
        value, left = self._without(state)
        return left if result in (value, UNKNOWN) and result is not None else ILLEGAL

    def elements(self, f: str, argument: Any, result: Any) -> Items:
        """The value that went in or came out."""
        if f == self.PUT:
            return (argument,)
        return () if result in (None, UNKNOWN) else (result,)

    def _with(self, state: Items, value: Hashable) -> Items:
        return (*state, value)

    def _without(self, state: Items) -> tuple[Hashable, Items]:
        return state[0], state[1:]


@dataclass(frozen=True, slots=True, kw_only=True)
class Queue(_Buffer):
    """First in, first out: ``enqueue value``, ``dequeue -> value`` or null.

    >>> Queue().step((1, 2), "dequeue", None, 1)
    (2,)
    """

    PUT = "enqueue"
    TAKE = "dequeue"


@dataclass(frozen=True, slots=True, kw_only=True)
class Stack(_Buffer):
    """Last in, first out: ``push value``, ``pop -> value`` or null.

    >>> Stack().step((1, 2), "pop", None, 2)
    (1,)
    """

    PUT = "push"
    TAKE = "pop"

    def _without(self, state: Items) -> tuple[Hashable, Items]:
        return state[-1], state[:-1]


@dataclass(frozen=True, slots=True, kw_only=True)
class PriorityQueue(_Buffer):
    """The least value comes out first: ``insert value``, ``delete-min -> value`` or null. Numbers
    come before strings, and those before all else, in the order of their text.

    >>> PriorityQueue().step((1, 5), "insert", 3, None)
    (1, 3, 5)
    """

    PUT = "insert"
    TAKE = "delete-min"

    def _with(self, state: Items, value: Hashable) -> Items:
        place = bisect_left(state, _rank(value), key=_rank)
        return (*state[:place], value, *state[place:])


def _rank(value: Any) -> tuple[int, Any, str]:
    if isinstance(value, int) and not isinstance(value, bool):
        return 0, value, ""
    if isinstance(value, tuple) and len(value) == 2 and value[0] is float:
        return 0, value[1], "float"
    return (1, value, "") if isinstance(value, str) else (2, repr(value), "")


@dataclass(frozen=True, slots=True, kw_only=True)
class GrowOnlySet:
    """``add element``, ``contains element -> boolean`` (or ``[element, boolean]``), ``read ->
    list``. What ``add`` returns says whether the element was new, if it is a boolean.

    >>> GrowOnlySet().step(frozenset({1}), "read", None, (1,)) == {1}
    True
    """

    initial: frozenset[Hashable] = frozenset()
    functions: frozenset[str] = frozenset({"add", "contains", "read"})

    @property
    def pure(self) -> frozenset[str]:
        return frozenset({"contains", "read"})

    @property
    def observers(self) -> frozenset[str]:
        return self.functions

    def step(
        self, state: frozenset[Hashable], f: str, argument: Any, result: Any
    ) -> Hashable | Illegal:
        """The elements afterwards."""
        if f == "read":
            seen = frozenset(result or ())
            return state if seen == state and len(seen) == len(result or ()) else ILLEGAL
        present = argument in state
        if f == "contains":
            return state if _found(argument, result) == present else ILLEGAL
        changes = present == (f == "remove")
        if _said(argument, result) not in (None, changes):
            return ILLEGAL
        return state | {argument} if f == "add" else state - {argument}

    def is_pure(self, f: str, argument: Any, result: Any) -> bool:
        """An update that says that it changed nothing."""
        return f in ("add", "remove") and _said(argument, result) is False

    def part(self, f: str, argument: Any, result: Any) -> Hashable:
        """The element, except for a look at all."""
        return None if f == "read" else (argument,)

    def observes(self, f: str, argument: Any, result: Any) -> bool:
        """A look, or an update that says whether it changed anything."""
        return f in ("contains", "read") or _said(argument, result) is not None


def _found(argument: Any, result: Any) -> bool | None:
    """What ``contains`` answered, alone or in a pair with the element."""
    pair = isinstance(result, tuple) and len(result) == 2 and result[0] == argument
    return truth(result[1]) if pair else truth(result)


def _said(argument: Any, result: Any) -> bool | None:
    """Whether an update says that it changed the set; None: it does not say. An echo says nothing,
    not even that of a boolean element."""
    return None if result == argument else truth(result)


@dataclass(frozen=True, slots=True, kw_only=True)
class Set(GrowOnlySet):
    """A set that can also ``remove element``.

    >>> Set().step(frozenset({1, 2}), "remove", 2, None) == {1}
    True
    """

    functions: frozenset[str] = frozenset({"add", "remove", "contains", "read"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Log:
    """``append value -> [offset, value]``, ``read -> list`` and ``read offset -> value`` or null
    beyond the end.

    >>> Log().step((7,), "append", 8, (1, 8))
    (7, 8)
    """

    initial: Items = ()
    functions: frozenset[str] = frozenset({"append", "read"})
    pure: frozenset[str] = frozenset({"read"})
    observers: frozenset[str] = frozenset({"append", "read"})

    def step(self, state: Items, f: str, argument: Any, result: Any) -> Hashable | Illegal:
        """The entries afterwards."""
        if f == "append":
            if self.observes(f, argument, result) and result != (len(state), argument):
                return ILLEGAL
            return (*state, argument)
        if argument is None:
            return state if (result or ()) == state else ILLEGAL
        inside = isinstance(argument, int) and 0 <= argument < len(state)
        return state if result == (state[argument] if inside else None) else ILLEGAL

    def observes(self, f: str, argument: Any, result: Any) -> bool:
        """A read, or an append that says where its value came to lie."""
        pair = result != argument and isinstance(result, tuple) and len(result) == 2
        return f == "read" or (pair and isinstance(result[0], int))
