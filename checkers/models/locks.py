"""Mutexes, semaphores and counters."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass
from typing import Any

from checkers.models.base import ILLEGAL, Illegal

__all__ = ["Counter", "Mutex", "ReentrantMutex", "Semaphore"]

_LOCK = frozenset({"acquire", "release"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Mutex:
    """``acquire`` when it is free, ``release`` when it is held.

    >>> Mutex().step("held", "acquire", None, None) is ILLEGAL
    True
    """

    initial: str = "free"
    functions: frozenset[str] = _LOCK
    pure: frozenset[str] = frozenset()
    observers: frozenset[str] = _LOCK

    def step(self, state: str, f: str, argument: Any, result: Any) -> Hashable | Illegal:
        """``free`` or ``held``."""
        before, after = ("free", "held") if f == "acquire" else ("held", "free")
        return after if state == before else ILLEGAL


@dataclass(frozen=True, slots=True, kw_only=True)
class ReentrantMutex:
    """``acquire holder`` and ``release holder``: whoever holds it may acquire it again, up to
    ``holds`` times in all. The state is the holder with its count.

    >>> ReentrantMutex().step(("a", 1), "acquire", "a", None)
    ('a', 2)
    """

    initial: Hashable = None
    functions: frozenset[str] = _LOCK
    pure: frozenset[str] = frozenset()
    observers: frozenset[str] = _LOCK
    holds: int = 2

    def step(self, state: Any, f: str, argument: Any, result: Any) -> Hashable | Illegal:
        """The holder and how often it holds the mutex, or None."""
        holder, count = state or (argument, 0)
        if holder != argument:
            return ILLEGAL
        count += 1 if f == "acquire" else -1
        if not 0 <= count <= self.holds:
            return ILLEGAL
        return (holder, count) if count else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Semaphore:
    """``acquire n`` and ``release n`` of ``permits`` in all; ``n`` is 1 where it is null.

    >>> Semaphore(permits=2).step(2, "acquire", None, None) is ILLEGAL
    True
    """

    initial: int = 0
    functions: frozenset[str] = _LOCK
    pure: frozenset[str] = frozenset()
    observers: frozenset[str] = _LOCK
    permits: int = 2

    def step(self, state: int, f: str, argument: Any, result: Any) -> Hashable | Illegal:
        """How many permits are taken."""
        number = 1 if argument is None else argument
        taken = state + (number if f == "acquire" else -number)
        return taken if 0 <= taken <= self.permits else ILLEGAL


@dataclass(frozen=True, slots=True, kw_only=True)
class Counter:
    """``add n`` (1 where it is null) and ``read -> n``.

    >>> Counter().step(3, "add", None, None)
    4
    """

    initial: int = 0
    functions: frozenset[str] = frozenset({"add", "read"})
    pure: frozenset[str] = frozenset({"read"})
    observers: frozenset[str] = frozenset({"read"})

    def step(self, state: int, f: str, argument: Any, result: Any) -> Hashable | Illegal:
        """The sum so far."""
        if f == "add":
            return state + (1 if argument is None else int(argument))
        return state if result == state else ILLEGAL
