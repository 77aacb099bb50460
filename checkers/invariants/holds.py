"""When a process certainly held a lock."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from checkers.invariants.facts import Bools, Facts, Ints
from harness.core.history import NEVER
from harness.core.operation import Type

__all__ = ["Holds", "granted", "holds"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Holds:
    """One row a permit that was certainly held, from ``start`` to ``end`` (nanoseconds; ``NEVER``:
    it was not given back). ``row`` acquired it, ``release`` gave it back (-1: none).
    Columns are ``int64``."""

    row: Ints
    key: Ints
    start: Ints
    end: Ints
    release: Ints


def holds(facts: Facts, *, permits: int, lease_ns: int) -> Holds:
    """The certain holds, of positive length. Releases give back what the process acquired last, so
    that with leases the hold that remains is the one that ends first. O(n log n)."""
    operations = facts.operations
    acquired = granted(facts)
    released = facts.rows("release", outcomes=(Type.OK, Type.INFO))
    taken, given = _permits(facts, acquired, permits), _permits(facts, released, permits)
    row = np.concatenate([np.repeat(acquired, taken), np.repeat(released, given)])
    takes = np.repeat([True, False], [int(taken.sum()), int(given.sum())])
    order = np.lexsort((row, operations.process[row], operations.key[row]))
    row, takes = row[order], takes[order]
    partner = _partners(operations.key[row], operations.process[row], takes)
    held = np.flatnonzero(takes)
    release = np.where(partner[held] >= 0, row[partner[held]], -1)
    row = row[held]
    end = np.where(release >= 0, operations.call[release], _gone(facts)[row])
    if lease_ns:
        end = np.minimum(end, operations.call[row] + lease_ns)
    start = operations.ret[row]
    lasting = start < end
    return Holds(
        row=row[lasting],
        key=operations.key[row][lasting],
        start=start[lasting],
        end=end[lasting],
        release=release[lasting],
    )


def granted(facts: Facts) -> Ints:
    """The rows of ``acquire`` that got the lock: one that answered ``false`` did not."""
    rows = facts.rows("acquire")
    refused = [code for code, value in enumerate(facts.history.values) if value is False]
    return rows[~np.isin(facts.operations.result[rows], refused)]


def _permits(facts: Facts, rows: Ints, permits: int) -> Ints:
    """How many permits each asks for; with a single one, the argument means something else."""
    if permits == 1:
        return np.ones(len(rows), dtype=np.int64)
    asked = (
        value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else 1
        for value in facts.arguments(rows)
    )
    # Asking for more than there are is as illegal with one more: no row for each of a billion.
    return np.array([min(value, permits + 1) for value in asked], dtype=np.int64)


def _partners(key: Ints, process: Ints, takes: Bools) -> Ints:
    """For each take the give that closes it, as brackets match, within each key and process (rows
    sorted by these); -1 where none does."""
    count = len(takes)
    partner = np.full(count, -1, dtype=np.int64)
    if not count:
        return partner
    fresh = np.append(True, (key[1:] != key[:-1]) | (process[1:] != process[:-1]))
    group = np.cumsum(fresh) - 1
    step = np.where(takes, 1, -1)
    total = np.cumsum(step)
    level = total - (total - step)[fresh][group]
    # A give without a take before it changes nothing: depth counts from the lowest point so far.
    # Groups lie below each other, so that one running minimum serves all.
    shifted = np.minimum(level, 0) - group * (count + 1)
    low = np.minimum.accumulate(shifted) + group * (count + 1)
    depth = level - low
    # A take at depth d (after it) is closed by the next give at depth d - 1 (after it).
    rung = np.where(takes, depth, depth + 1)
    before = np.where(fresh, 0, np.append(0, low[:-1]))
    idle = ~takes & (level < before)
    rung = np.where(idle, 0, rung)
    order = np.lexsort((np.arange(count), rung, group))
    one, other = order[:-1], order[1:]
    closes = takes[one] & ~takes[other] & (group[one] == group[other]) & (rung[one] == rung[other])
    partner[one[closes]] = other[closes]
    return partner


def _gone(facts: Facts) -> Ints:
    """When each row's process may have gone: the call of the operation that it ended with, if that
    had no known outcome; else ``NEVER``. ``int64[operations]``."""
    operations = facts.operations
    process = np.unique(operations.process, return_inverse=True)[1]
    gone = np.full(int(process.max(initial=-1)) + 1, NEVER)
    open_ = np.flatnonzero(operations.outcome == Type.INFO)
    gone[process[open_]] = operations.call[open_]
    return gone[process]
