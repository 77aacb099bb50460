"""The operations of registers as columns, many keys at once.

Each operation becomes what it demands (``before``) and what it leaves (``after``): a read demands a
value, a write leaves one, a compare-and-set does both. One that found another value than it
expected demands only that a value be absent (``absent``). What cannot matter is dropped: failed
operations, indeterminate reads, and indeterminate writes whose value nobody observed (taking such
a write out of a legal order leaves the order legal, for nothing saw it).

Times become ranks: equal times have equal ranks, so ``a.ret < b.call`` still says that ``a`` came
first, and intervals that touch are concurrent. Ranks cannot overflow, whatever the epoch.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from checkers.models import NullRead, Register
from harness.core.history import NEVER, History, Interner, Operations
from harness.core.operation import Type

__all__ = [
    "CAS",
    "MISMATCH",
    "NOTHING",
    "READ",
    "WRITE",
    "Ints",
    "Registers",
    "Unsupported",
    "encode",
    "ranks",
]

READ, WRITE, CAS, MISMATCH = 0, 1, 2, 3
"""Kinds. A mismatch is a compare-and-set that certainly found another value than it expected."""

NOTHING = -1
"""``before`` of a write, ``after`` of a read, both of a mismatch; ``absent`` of all others."""

Ints = NDArray[np.int64]
_COLUMNS = ("row", "key", "kind", "before", "after", "absent", "call", "ret")


class Unsupported(Exception):
    """The history has operations that the model does not know. Carries the words that say which."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Registers:
    """One row an operation, in order of invocation; ``int64[n]`` each.

    ``row`` is the position in ``history.operations``. ``before``, ``after`` and ``absent`` are
    value codes (0: the initial value) or :data:`NOTHING`. ``call`` and ``ret`` are ranks in
    ``[0, horizon)``; ``ret`` is ``horizon`` for an indeterminate operation.
    """

    row: Ints
    key: Ints
    kind: Ints
    before: Ints
    after: Ints
    absent: Ints
    call: Ints
    ret: Ints
    horizon: int
    values: tuple[Any, ...]

    def __len__(self) -> int:
        return len(self.row)

    @property
    def writes(self) -> NDArray[np.bool_]:
        """The operations that leave a value."""
        leaving: NDArray[np.bool_] = self.after != NOTHING
        return leaving

    @property
    def observations(self) -> NDArray[np.bool_]:
        """The operations that certainly saw something."""
        seen = (self.before != NOTHING) | (self.kind == MISMATCH)
        certain: NDArray[np.bool_] = seen & (self.ret != self.horizon)
        return certain

    @property
    def value(self) -> Ints:
        """The value that each operation stands for: what it left, or else what it read."""
        return np.where(self.kind == READ, self.before, self.after)

    def select(self, rows: NDArray[np.bool_] | Ints) -> Registers:
        """The operations at ``rows`` (a mask or positions), in the same order."""
        if rows.dtype == np.bool_ and rows.all():
            return self
        return replace(self, **{name: getattr(self, name)[rows] for name in _COLUMNS})

    def pair(self, code: Ints) -> Ints:
        """One number for each (key, value code); -1 where ``code`` is :data:`NOTHING`."""
        return np.where(code == NOTHING, -1, self.key * len(self.values) + code)

    def ambiguous(self) -> Ints:
        """The keys, sorted, that the zones cannot judge: one value has two sources (the initial
        value is a source), or somebody only found a value absent."""
        pairs = np.sort(self.pair(self.after)[self.writes])
        twice = pairs[1:][pairs[1:] == pairs[:-1]] // len(self.values)
        odd = (self.after == 0) | (self.kind == MISMATCH)
        return np.unique(np.concatenate([twice, self.key[odd]]))


def encode(history: History, model: Register) -> Registers:
    """The register operations of ``history`` that can matter. Raises :class:`Unsupported`."""
    everything = history.operations
    rows = np.flatnonzero(everything.outcome != Type.FAIL)
    operations = everything if len(rows) == len(everything) else everything.select(rows)
    _refuse_unknown(history, operations, model)
    f = operations.f
    reads, writes, swaps = (f == history.function(name) for name in ("read", "write", "cas"))
    values, old, new = _swaps(history, operations.argument, swaps)
    values, renamed = _initial_first(values, model.initial)
    old, new = renamed(old), renamed(new)
    argument, result = renamed(operations.argument), renamed(operations.result)
    call, ret, horizon = ranks(history, operations)
    certain = ret != horizon
    mismatch = swaps & certain
    if swaps.any():
        mismatch &= np.isin(operations.result, _falsehoods(history))
    trivial = swaps & ~mismatch & (old == new)  # such a compare-and-set only observes its value
    kind = np.select([reads | trivial, writes, mismatch], [READ, WRITE, MISMATCH], CAS)
    nothing = np.int64(NOTHING)
    before = np.select([reads, writes | mismatch], [result, nothing], old)
    after = np.select([(kind == READ) | mismatch, writes], [nothing, argument], new)
    keep = (kind != READ) | certain
    if model.null_read is NullRead.ANYTHING:
        keep &= ~(reads & (operations.result == 0))
    registers = Registers(
        row=rows.astype(np.int64),
        key=operations.key,
        kind=kind.astype(np.int64),
        before=before,
        after=after,
        absent=np.where(mismatch, old, nothing),
        call=call,
        ret=ret,
        horizon=horizon,
        values=values,
    ).select(keep)
    return registers.select(_observable(registers))


def _refuse_unknown(history: History, operations: Operations, model: Register) -> None:
    present = {history.functions[code] for code in np.unique(operations.f).tolist()}
    unknown = sorted(str(name) for name in present if name not in model.functions)
    if unknown:
        known = ", ".join(sorted(model.functions))
        raise Unsupported(f"the model knows {known}, but the history has {', '.join(unknown)}")


def ranks(history: History, operations: Operations) -> tuple[Ints, Ints, int]:
    """Call and return ranks, and the rank beyond all. O(n): a history is in order of time."""
    steps = np.empty(len(history), dtype=np.int64)
    steps[:1] = 0
    np.not_equal(history.time[1:], history.time[:-1], out=steps[1:], casting="unsafe")
    rank = np.cumsum(steps)
    horizon = int(rank[-1]) + 1 if len(rank) else 0
    certain = operations.ret != NEVER
    ret = np.where(certain, rank[np.where(certain, operations.completion, 0)], horizon)
    return rank[operations.invocation], ret, horizon


def _initial_first(
    values: tuple[Any, ...], initial: Hashable
) -> tuple[tuple[Any, ...], Callable[[Ints], Ints]]:
    """Values in which ``initial`` has code 0, and how codes are to be renamed to that end."""
    if initial is None:
        return values, lambda codes: codes
    interner = Interner()
    for value in values:
        interner.code(value)
    place = interner.code(initial)
    table = np.arange(len(interner.values), dtype=np.int64)
    table[[0, place]] = table[[place, 0]]

    def renamed(codes: Ints) -> Ints:
        return np.where(codes >= 0, table[np.maximum(codes, 0)], codes)

    return tuple(interner.values[code] for code in table.tolist()), renamed


def _falsehoods(history: History) -> list[int]:
    """The codes of ``false``."""
    return [code for code, value in enumerate(history.values) if value is False]


def _swaps(
    history: History, argument: Ints, swaps: NDArray[np.bool_]
) -> tuple[tuple[Any, ...], Ints, Ints]:
    """All values, and the codes that each compare-and-set expects and leaves (-2 elsewhere)."""
    old = np.full(len(argument), -2, dtype=np.int64)
    new = np.full(len(argument), -3, dtype=np.int64)
    if not swaps.any():
        return tuple(history.values), old, new
    interner = Interner()
    for value in history.values:
        interner.code(value)  # gives every value its code in the history again
    codes, place = np.unique(argument[swaps], return_inverse=True)
    pairs = []
    for code in codes.tolist():
        value = history.values[code]
        if not isinstance(value, (list, tuple)) or len(value) != 2:
            raise Unsupported(f"a cas needs [old, new], but the history has {value!r}")
        pairs.append((interner.code(value[0]), interner.code(value[1])))
    table = np.array(pairs, dtype=np.int64)[place.reshape(-1)]
    old[swaps], new[swaps] = table[:, 0], table[:, 1]
    return tuple(interner.values), old, new


def _observable(registers: Registers) -> NDArray[np.bool_]:
    """The operations that happened, and the indeterminate ones whose value somebody observed: an
    operation that happened, or another such compare-and-set. A mismatch may have observed any."""
    maybe = registers.ret == registers.horizon
    mismatched = np.unique(registers.key[registers.kind == MISMATCH])
    keep: NDArray[np.bool_] = ~maybe | np.isin(registers.key, mismatched)
    if keep.all():
        return keep
    before, after = registers.pair(registers.before), registers.pair(registers.after)
    observed = set(before[keep].tolist())
    sources: dict[int, list[int]] = {}
    for position in np.flatnonzero(~keep).tolist():
        sources.setdefault(int(after[position]), []).append(position)
    pending = [pair for pair in sources if pair in observed]
    while pending:
        for position in sources.pop(pending.pop(), ()):
            keep[position] = True
            demanded = int(before[position])
            if demanded in sources:
                pending.append(demanded)
    return keep
