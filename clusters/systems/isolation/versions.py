"""Committed versions of keys, and snapshots that see some of them.

A commit has a number; a version of a key is what a commit left there. A *snapshot* is a set of
commits. On one copy of the data it is always the commits up to a number; where replicas apply
commits in different orders, it has some later ones too.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from harness.core.errors import ClientError

__all__ = ["EMPTY", "Micro", "Snapshot", "Versions", "applied", "micro_operations", "table_of"]

Micro = tuple[str, Any, Any]
"""``(kind, key, value)``; kind is ``r``, ``w`` or ``append``."""

_MALFORMED = 12


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Every commit up to ``through``, and those in ``later``."""

    through: int
    later: frozenset[int] = frozenset()

    def __contains__(self, number: int) -> bool:
        return number <= self.through or number in self.later

    def including(self, number: int) -> Snapshot:
        """The snapshot with one more commit."""
        through, later = self.through, self.later | {number}
        while through + 1 in later:
            through += 1
        return Snapshot(through, frozenset(one for one in later if one > through))

    def within(self, other: Snapshot) -> bool:
        """Whether ``other`` has every commit of this one."""
        return all(number in other for number in range(other.through + 1, self.through + 1)) and (
            all(number in other for number in self.later)
        )


EMPTY = Snapshot(0)


class Versions:
    """The versions of all keys. Commits on one key must come in the order of their numbers."""

    def __init__(self) -> None:
        self._versions: dict[Any, list[tuple[int, Any]]] = {}
        self._rows: dict[str, list[Any]] = {}

    def read(self, key: Any, snapshot: Snapshot | None = None) -> Any:
        """What ``key`` holds in ``snapshot`` (None: now); None before any commit wrote it."""
        for number, value in reversed(self._versions.get(key, ())):
            if snapshot is None or number in snapshot:
                return value
        return None

    def latest(self, key: Any) -> int:
        """The number of the last commit that wrote ``key``; 0 if none did."""
        versions = self._versions.get(key)
        return versions[-1][0] if versions else 0

    def rows(self, table: str) -> tuple[Any, ...]:
        """The keys of all rows that any commit wrote to ``table``."""
        return tuple(self._rows.get(table, ()))

    def install(self, number: int, writes: Iterable[Micro], *, oldest: int) -> None:
        """Apply the ``writes`` of commit ``number``, in their order.

        Versions that no snapshot from ``oldest`` on can see are forgotten.
        """
        values: dict[Any, Any] = {}
        for micro in writes:
            key = micro[1]
            base = values[key] if key in values else self.read(key)
            values[key] = applied(base, micro)
        for key, value in values.items():
            table = table_of(key)
            if table is not None and key not in self._versions:
                self._rows.setdefault(table, []).append(key)
            versions = self._versions.setdefault(key, [])
            assert not versions or versions[-1][0] < number, (key, number)
            versions.append((number, value))
            while len(versions) > 1 and versions[1][0] <= oldest:
                del versions[0]


def applied(value: Any, micro: Micro) -> Any:
    """What a key that holds ``value`` holds after the write. Lists are never changed in place; what
    is no list becomes one when something is appended to it, so that no write can fail."""
    kind, _, argument = micro
    if kind == "w":
        return argument
    if value is None:
        return [argument]
    return [*value, argument] if isinstance(value, list) else [value, argument]


def table_of(key: Any) -> str | None:
    """The table of a row: what stands before the ``/`` in its key. Other keys are in none."""
    table, slash, _ = key.partition("/") if isinstance(key, str) else ("", "", "")
    return table if slash else None


def micro_operations(transaction: Any) -> tuple[Micro, ...]:
    """The micro-operations of a request. ``ClientError`` (malformed) if it is none."""
    if isinstance(transaction, list) and all(
        isinstance(one, list)
        and len(one) == 3
        and one[0] in ("r", "w", "append")
        and isinstance(one[1], str | int | float | bool | None)
        for one in transaction
    ):
        return tuple((kind, key, value) for kind, key, value in transaction)
    raise ClientError(
        _MALFORMED, f"found {transaction!r}; needed a list of [r | w | append, key, value]"
    )
