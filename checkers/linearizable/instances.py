"""The operations of any model, key by key, as the general search takes them.

Values become hashable without losing what tells them apart: lists turn into tuples, objects into
tuples of pairs, and numbers that Python holds equal (``True``, ``1`` and ``1.0``) stay different
because booleans and floats carry their type.
"""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any

import numpy as np

from checkers.linearizable.registers import Ints
from checkers.linearizable.search import Instance
from checkers.models import UNKNOWN, Model
from harness.core.history import NEVER, History
from harness.core.operation import Type

__all__ = ["by_key", "freeze"]


def freeze(value: Any) -> Hashable:
    """A hashable stand-in for ``value``, equal exactly for equal values."""
    if isinstance(value, (list, tuple)):
        return tuple(freeze(item) for item in value)
    if isinstance(value, dict):
        return ("object", tuple((name, freeze(value[name])) for name in sorted(value)))
    if isinstance(value, (bool, float)):
        return (type(value).__name__, value)
    hashable: Hashable = value
    return hashable


def by_key(history: History, model: Model, keys: Ints) -> list[tuple[Ints, Instance]]:
    """For each of ``keys``, in order: positions in ``history.operations``, and the instance."""
    operations = history.operations
    rows = np.flatnonzero((operations.outcome != Type.FAIL) & np.isin(operations.key, keys))
    rows = rows[np.argsort(operations.key[rows], kind="stable")]
    _, starts = np.unique(operations.key[rows], return_index=True)
    groups = np.split(rows, starts[1:]) if len(rows) else []
    return [(group, _instance(history, model, group)) for group in groups]


def _instance(history: History, model: Model, rows: Ints) -> Instance:
    operations = history.operations.select(rows)
    codes = zip(
        operations.f.tolist(), operations.argument.tolist(), operations.result.tolist(), strict=True
    )
    frozen = {
        code: freeze(history.values[code])
        for code in {*operations.argument.tolist(), *operations.result.tolist()}
    }
    ret = [None if at == NEVER else at for at in operations.ret.tolist()]
    kind = [
        (history.functions[f] or "", frozen[argument], UNKNOWN if at is None else frozen[result])
        for (f, argument, result), at in zip(codes, ret, strict=True)
    ]
    return Instance(
        model=model,
        initial=model.initial,
        call=operations.call.tolist(),
        ret=ret,
        kind=kind,
    )
