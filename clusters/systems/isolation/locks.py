"""Locks on keys, shared or exclusive, without deadlock: a younger transaction never waits for an
older one, it dies (*wait-die*).

Invariant: whoever waits is older than every holder that it conflicts with. So waiting goes from old
to young only and never in a circle, and the oldest transaction of all always gets what it asks for.

D. J. Rosenkrantz, R. E. Stearns and P. M. Lewis, *System level concurrency control for distributed
database systems*, ACM TODS 3(2), 1978.
"""

from __future__ import annotations

import asyncio
from collections.abc import Hashable
from dataclasses import dataclass, field

from harness.core.errors import ClientError

__all__ = ["Locks"]

_CONFLICT = 30


@dataclass(slots=True, eq=False)
class _Request:
    age: int
    exclusive: bool
    granted: asyncio.Future[None]


@dataclass(slots=True)
class _Lock:
    """Of one key: who holds it (age to whether exclusively), and who waits."""

    holders: dict[int, bool] = field(default_factory=dict)
    waiting: list[_Request] = field(default_factory=list)


class Locks:
    """The locks of a store. A transaction is known by its *age*: a number of its own, smaller for
    older ones."""

    def __init__(self) -> None:
        self._locks: dict[Hashable, _Lock] = {}
        self._held: dict[int, dict[Hashable, None]] = {}

    async def acquire(self, age: int, key: Hashable, *, exclusive: bool) -> None:
        """Return when the transaction holds the lock, until it calls :meth:`release`. A holder may
        ask again, for more. Raises ``ClientError`` (transaction conflict) if it has to die; what it
        holds already it still holds."""
        lock = self._locks.setdefault(key, _Lock())
        if not _rivals(lock, age, exclusive):
            self._grant(key, lock, age, exclusive)
            return
        if any(rival < age for rival in _rivals(lock, age, exclusive)):
            raise _died(key)
        request = _Request(age, exclusive, asyncio.get_running_loop().create_future())
        lock.waiting.append(request)
        await request.granted

    def release(self, age: int) -> None:
        """Let go of everything that the transaction holds."""
        for key in self._held.pop(age, ()):
            lock = self._locks[key]
            del lock.holders[age]
            self._grant_waiting(key, lock)
            if not lock.holders and not lock.waiting:
                del self._locks[key]

    def _grant_waiting(self, key: Hashable, lock: _Lock) -> None:
        # The youngest first: those that wait on are then older than the new holder, and need not
        # die. None starves: a request that comes later is younger than all that wait.
        for request in sorted(lock.waiting, key=lambda request: -request.age):
            if request in lock.waiting and not _rivals(lock, request.age, request.exclusive):
                lock.waiting.remove(request)
                if not request.granted.done():  # it was given up
                    self._grant(key, lock, request.age, request.exclusive)
                    request.granted.set_result(None)

    def _grant(self, key: Hashable, lock: _Lock, age: int, exclusive: bool) -> None:
        lock.holders[age] = exclusive or lock.holders.get(age, False)
        self._held.setdefault(age, {})[key] = None
        for request in tuple(lock.waiting):
            if age < request.age and age in _rivals(lock, request.age, request.exclusive):
                lock.waiting.remove(request)
                if not request.granted.done():
                    request.granted.set_exception(_died(key))


def _rivals(lock: _Lock, age: int, exclusive: bool) -> list[int]:
    """The other holders with which the request conflicts."""
    return [other for other, alone in lock.holders.items() if other != age and (exclusive or alone)]


def _died(key: Hashable) -> ClientError:
    return ClientError(_CONFLICT, f"an older transaction holds the lock on {key!r}")
