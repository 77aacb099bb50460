"""The operations of any model, key by key, as the general search takes them.

Values become hashable without losing what tells them apart: lists turn into tuples, objects into
tuples of pairs, and numbers that Python holds equal (``True``, ``1`` and ``1.0``) stay different
because booleans and floats carry their type.
"""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any

import numpy as np

from checkers.linearizable.registers import Ints, Unsupported
from checkers.linearizable.search import Instance
from checkers.models import Model
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


def by_key(history: History, model: Model) -> list[tuple[Ints, Instance]]:
    """For each key, in order: positions in ``history.operations``, and the instance. Raises
    :class:`Unsupported` for functions that the model does not know."""
    operations = history.operations
    kept = operations.outcome != Type.FAIL
    names = {history.functions[code] or "" for code in np.unique(operations.f[kept]).tolist()}
    if names - model.functions:
        raise Unsupported(f"the model does not know {', '.join(sorted(names - model.functions))}")
    rows = np.flatnonzero(kept)
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
    return Instance(
        model=model,
        initial=model.initial,
        call=operations.call.tolist(),
        ret=ret,
        kind=[
            (history.functions[f] or "", frozen[argument], None if at is None else frozen[result])
            for (f, argument, result), at in zip(codes, ret, strict=True)
        ],
    )
