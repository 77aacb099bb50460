"""Registers of any values: what no order can explain, seen from one observation alone.

An operation that found a value needs a write of it that may have come last before it: one that was
called by the time it returned, and after which no other write certainly happened (called after that
one had returned, and returned before the observation was called). Where every write of the value
fails this, the key is broken: the observation and the write that replaced them all prove it. In
O(n log n), at any concurrency.

This finds most of what goes wrong in practice, and needs no search. It is not complete: a key
without such an observation may still be broken.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from checkers.linearizable.latest import Latest
from checkers.linearizable.registers import NOTHING, Ints, Registers

__all__ = ["Stale", "stale"]

_INITIAL = 0


@dataclass(frozen=True, slots=True)
class Stale:
    """Positions in the registers: an observation, and (-1: none) the write that came between it
    and every write of its value."""

    key: int
    observation: int
    replacement: int


def stale(registers: Registers) -> list[Stale]:
    """One observation for each key that has any: the first to return. O(n log n)."""
    span = registers.horizon + 2
    seen = np.flatnonzero((registers.before != NOTHING) & (registers.ret < registers.horizon))
    writes = np.flatnonzero(registers.writes)
    # The initial value was written before everything, so it returned at rank -1: one up, 0.
    pairs = np.concatenate(
        [registers.pair(registers.after)[writes], registers.pair(registers.before)[seen]]
    )
    _, group = np.unique(pairs, return_inverse=True)
    group = group.reshape(-1)
    source = Latest(
        group[: len(writes)], registers.call[writes], registers.ret[writes] + 1, span=span
    ).up_to(group[len(writes) :], registers.ret[seen])
    initial = registers.before[seen] == _INITIAL
    source = np.where(initial, np.maximum(source, 0), source)
    over = writes[registers.ret[writes] < registers.horizon]
    replaced = Latest(
        registers.key[over], registers.ret[over], registers.call[over], span=span
    ).up_to(registers.key[seen], registers.call[seen] - 1)
    broken = np.flatnonzero((source < 0) | (source - 1 < replaced))
    broken = broken[np.argsort(registers.ret[seen[broken]], kind="stable")]
    keys, first = np.unique(registers.key[seen[broken]], return_index=True)
    return [
        Stale(key, int(seen[place]), _replacement(registers, key, int(replaced[place])))
        for key, place in zip(keys.tolist(), broken[first].tolist(), strict=True)
    ]


def _replacement(registers: Registers, key: int, call: int) -> int:
    """The write of ``key`` that was called at that rank, and is over the soonest."""
    if call < 0:
        return -1
    chosen: Ints = np.flatnonzero(
        registers.writes & (registers.key == key) & (registers.call == call)
    )
    return int(chosen[np.argmin(registers.ret[chosen])])
