"""Transactions of reads and writes of single keys, flat, for the checkers of long forks and alike.

Read are operations whose value is a list of ``["r", key, value]`` and ``["w", key, value]``; and
``write`` with a key and a value, which is a transaction of one write.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from checkers.invariants.facts import Bools, Facts, Ints
from checkers.invariants.findings import Findings
from harness.core.history import Interner
from harness.core.operation import Type

__all__ = ["MicroOperations", "micro_operations"]

_KINDS = {"r": 0, "w": 1, "append": 1, "insert": 1}


@dataclass(frozen=True, slots=True, kw_only=True)
class MicroOperations:
    """Columns, one row a micro-operation. ``row``: the operation (ascending); ``write``; ``key``
    and ``value`` are numbers of ``keys`` and ``values`` (value 0 is null). Reads are those of
    operations that succeeded; writes also those of operations that may have happened."""

    row: Ints
    write: Bools
    key: Ints
    value: Ints
    keys: tuple[Any, ...]
    values: tuple[Any, ...]


def micro_operations(facts: Facts, findings: Findings) -> MicroOperations:
    """The columns; successful operations of another form are told to ``findings``. O(n)."""
    rows, kinds, keys, values = [], [], [], []
    strange = []
    ok = facts.operations.outcome == Type.OK
    every = np.flatnonzero(facts.operations.outcome != Type.FAIL)
    write = facts.history.function("write")
    shown = np.where(ok, facts.operations.result, facts.operations.argument)[every]
    table, names = facts.history.values, facts.operations.f[every].tolist()
    for row, code, f, certain in zip(
        every.tolist(), shown.tolist(), names, ok[every].tolist(), strict=True
    ):
        value = table[code]
        if f == write and facts.key(row) is not None:
            argument = table[int(facts.operations.argument[row])]
            value = [["w", facts.key(row), argument]]
        if not _well_formed(value):
            strange.append(row)
            continue
        for kind, key, one in value:
            if _KINDS[kind] or certain:
                rows.append(row)
                kinds.append(_KINDS[kind])
                keys.append(key)
                values.append(one)
    malformed = np.array(strange, dtype=np.int64)
    findings.malformed(malformed[ok[malformed]], 'a list of ["r" | "w", key, value]')
    key_names, value_names = Interner(), Interner()
    key_codes = key_names.codes(keys)
    return MicroOperations(
        row=np.array(rows, dtype=np.int64),
        write=np.array(kinds, dtype=np.int64) == 1,
        key=np.array(key_codes, dtype=np.int64),
        value=np.array(value_names.codes(values), dtype=np.int64),
        keys=tuple(key_names.values),
        values=tuple(value_names.values),
    )


def _well_formed(value: Any) -> bool:
    return isinstance(value, list) and all(
        isinstance(one, list) and len(one) == 3 and one[0] in _KINDS_NAMES for one in value
    )


_KINDS_NAMES = frozenset(_KINDS)
