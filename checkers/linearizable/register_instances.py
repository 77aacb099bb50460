"""The operations of one register as the general search takes them: value codes are the states.

What is known of registers beyond their steps makes the search shorter, and changes no verdict:

- *Only what is observed tells values apart.* Values that no operation of the part expected, found
  or missed are as good as one value.
- *What was seen has happened.* If a value has one source only, this took effect by the first return
  of an operation that certainly saw the value. So an indeterminate source is certain, with that
  return; and so, perhaps, is the source of the value that it replaced.
"""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import replace
from typing import Any

import numpy as np

from checkers.linearizable.instances import Class, Instance
from checkers.linearizable.registers import CAS, MISMATCH, NOTHING, READ, WRITE, Ints, Registers
from checkers.models import ILLEGAL, Illegal
from harness.core.history import NEVER

__all__ = ["instance"]

_CODES_PER_OPERATION = 4
_INITIAL = 0
_FUNCTIONS = {READ: "read", WRITE: "write", CAS: "cas", MISMATCH: "mismatch"}


class _Codes:
    """A register whose states are value codes."""

    initial = 0
    functions = frozenset(_FUNCTIONS.values())
    pure = frozenset({"read", "mismatch"})
    observers = functions - {"write"}
    blind = frozenset({"write"})

    def step(self, state: Hashable, f: str, argument: Any, result: Any) -> Hashable | Illegal:
        if f == "write":
            after: Hashable = argument
            return after
        if f == "cas":
            old, new = argument
            changed: Hashable = new
            return changed if old == state else ILLEGAL
        seen = result == state if f == "read" else argument != state
        return state if seen else ILLEGAL


_MODEL = _Codes()


def instance(registers: Registers) -> Instance:
    """The instance of the operations of one key, or of a part of them. O(n log n)."""
    unseen, registers = _dense(registers)
    width = unseen + 2
    seen = np.zeros(width, dtype=bool)
    seen[registers.before] = seen[registers.absent] = seen[NOTHING] = True
    after = np.where(seen[registers.after], registers.after, unseen)
    other = np.where(registers.kind == MISMATCH, registers.absent, after)
    packed = (registers.kind * width + registers.before + 1) * width + other + 1
    codes, kind = np.unique(packed, return_inverse=True)
    rules = np.stack([codes // width**2, codes // width % width - 1, codes % width - 1], axis=1)
    missed = rules[:, 0] == MISMATCH
    rules[missed, 1] = rules[missed, 2]
    return Instance(
        model=_MODEL,
        initial=_INITIAL,
        call=registers.call,
        ret=_returns(registers, unseen),
        kind=kind.reshape(-1),
        classes=tuple(_class(*rule) for rule in rules.tolist()),
        rules=rules,
    )


def _class(kind: int, before: int, other: int) -> Class:
    argument = {READ: None, WRITE: other, CAS: (before, other), MISMATCH: other}[kind]
    return _FUNCTIONS[kind], argument, before if kind == READ else None


def _dense(registers: Registers) -> tuple[int, Registers]:
    """The registers with codes that are not many more than they need, and the number of codes: a
    small part of a long history must not cost what the whole does."""
    if len(registers.values) <= _CODES_PER_OPERATION * len(registers):
        return len(registers.values), registers
    size = len(registers)
    columns = (registers.before, registers.after, registers.absent)
    codes, place = np.unique(
        np.concatenate([[NOTHING, _INITIAL], *columns]), return_inverse=True
    )  # so that these two keep their codes
    before, after, absent = (place.reshape(-1)[2:] - 1).reshape(3, size)
    return len(codes) - 1, replace(registers, before=before, after=after, absent=absent)


def _returns(registers: Registers, codes: int) -> Ints:
    """When each operation had certainly happened, or NEVER."""
    ret, horizon = registers.ret, registers.horizon
    maybe = np.flatnonzero((ret == horizon) & registers.writes)
    if len(maybe):
        sources = np.bincount(registers.after[registers.writes], minlength=codes)
        sources[_INITIAL] += 1
        maybe = maybe[sources[registers.after[maybe]] == 1]
    ret, changed = ret.copy(), len(maybe) > 0
    while changed:
        seen = np.full(codes, horizon, dtype=np.int64)
        certain = np.flatnonzero((registers.before != NOTHING) & (ret < horizon))
        np.minimum.at(seen, registers.before[certain], ret[certain])
        # One that was called after somebody saw its value shows that the part is illegal as it is.
        by = np.where(
            seen[registers.after[maybe]] < registers.call[maybe],
            horizon,
            seen[registers.after[maybe]],
        )
        changed = bool((by < ret[maybe]).any())
        ret[maybe] = by
    return np.where(ret == horizon, NEVER, ret)
