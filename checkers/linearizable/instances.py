"""The operations of any model, key by key, as the general search takes them.

Values become hashable without losing what tells them apart: lists turn into tuples, objects into
tuples of pairs, and numbers that Python holds equal (``True``, ``1`` and ``1.0``) stay different
because booleans and floats carry their type. (The type itself: no list that came from JSON has it.)
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from checkers.linearizable.registers import Ints
from checkers.models import UNKNOWN, Model
from harness.core.history import NEVER, History
from harness.core.operation import Type

__all__ = [
    "Class",
    "Instance",
    "Outcome",
    "by_key",
    "freeze",
    "is_blind",
    "is_pure",
    "narrowed",
    "split",
]

Class = tuple[str, Hashable, Hashable]
"""Function, argument and result of operations that are all alike."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Instance:
    """Operations of one object, to be put in order; ``int64[n]`` each.

    ``call`` and ``ret`` are times (any integers below :data:`NEVER`); ``ret`` is :data:`NEVER` for
    an operation that may never have happened. ``a`` came before ``b`` if ``a.ret < b.call``.
    ``kind`` is a position in ``classes``, which may hold more than occur. ``rules[classes, 3]`` say
    what each class of a register does, where the states are codes and 0 the initial one: a kind of
    :mod:`.registers`, the code expected (or missed), the code written.
    """

    model: Model
    initial: Hashable
    call: Ints
    ret: Ints
    kind: Ints
    classes: tuple[Class, ...]
    rules: Ints | None = None

    def __post_init__(self) -> None:
        assert len(self.call) == len(self.ret) == len(self.kind)

    def __len__(self) -> int:
        return len(self.call)

    def of(self, position: int) -> Class:
        """What the operation at ``position`` is."""
        return self.classes[int(self.kind[position])]

    def select(self, positions: Sequence[int] | Ints) -> Instance:
        """The operations at ``positions``, in that order."""
        rows = np.asarray(positions, dtype=np.int64)
        return replace(self, call=self.call[rows], ret=self.ret[rows], kind=self.kind[rows])


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What a search came to.

    ``legal`` is None when it gave up, because of ``reason``: ``steps``, ``time`` or ``memory``.
    ``passed`` of ``returns`` returns were put in order on the longest way; ``stuck`` is the
    operation that returns next (None: none does). Where ``legal`` is False, what was called before
    that return is illegal by itself.
    """

    legal: bool | None
    passed: int
    returns: int
    stuck: int | None
    steps: int
    reason: str | None = None


def is_pure(model: Model, one: Class) -> bool:
    """Whether operations of this class leave the state as it is wherever they are legal: ``model``
    says so of the function, or by a method ``is_pure(f, argument, result)`` of its own."""
    if one[0] in model.pure:
        return True
    method = getattr(model, "is_pure", None)
    return method is not None and bool(method(*one))


def is_blind(model: Model, one: Class) -> bool:
    """Whether operations of this class are legal in every state, with a next state that depends on
    the argument alone: only if the function is in the optional ``model.blind``."""
    return one[0] in getattr(model, "blind", frozenset())


def freeze(value: Any) -> Hashable:
    """A hashable stand-in for ``value``, equal exactly for equal values."""
    if isinstance(value, (list, tuple)):
        return tuple(freeze(item) for item in value)
    if isinstance(value, dict):
        return (dict, tuple((name, freeze(value[name])) for name in sorted(value)))
    if isinstance(value, (bool, float)):
        return (type(value), value)
    hashable: Hashable = value
    return hashable


def by_key(history: History, model: Model, keys: Ints) -> list[tuple[Ints, Instance]]:
    """For each of ``keys``, in order: positions in ``history.operations``, and the instance."""
    operations = history.operations
    rows = np.flatnonzero((operations.outcome != Type.FAIL) & np.isin(operations.key, keys))
    rows = rows[np.argsort(operations.key[rows], kind="stable")]
    if not len(rows):
        return []
    chosen = operations.select(rows)
    kind, classes = _classes(history, chosen.f, chosen.argument, chosen.result, chosen.ret)
    everything = Instance(
        model=model,
        initial=model.initial,
        call=chosen.call,
        ret=chosen.ret,
        kind=kind,
        classes=classes,
    )
    starts = np.flatnonzero(np.diff(chosen.key)) + 1
    places = np.split(np.arange(len(rows)), starts)
    return [(rows[group], _compact(everything.select(group))) for group in places]


def narrowed(one: Instance) -> Instance:
    """``one`` with fewer states, if its model knows which will do. What nothing can pass, it may
    notice sooner: what was called before that return is then not always illegal by itself."""
    method = getattr(one.model, "narrowed", None)
    if method is None:
        return one
    certain = np.unique(one.kind[one.ret < NEVER]).tolist()
    functions = {one.classes[kind][0] for kind in np.unique(one.kind).tolist()}
    return replace(one, model=method([one.classes[kind] for kind in certain], functions))


def split(model: Model, rows: Ints, one: Instance) -> list[tuple[Ints, Instance]]:
    """``one`` (with its positions ``rows``) as the objects of which it consists, in the order of
    their first operations: those that ``model.part`` names, if every operation has one."""
    method = getattr(model, "part", None)
    parts = [None] if method is None else [method(*kind) for kind in one.classes]
    if None in parts:
        return [(rows, one)]
    numbers = {part: number for number, part in enumerate(dict.fromkeys(parts))}
    of = np.array([numbers[part] for part in parts], dtype=np.int64)[one.kind]
    order = np.argsort(of, kind="stable")
    groups = np.split(order, np.flatnonzero(np.diff(of[order])) + 1)
    groups.sort(key=lambda group: int(group[0]))
    return [(rows[group], _compact(one.select(group))) for group in groups]


def _compact(one: Instance) -> Instance:
    """``one`` with no other classes than occur in it."""
    present, kind = np.unique(one.kind, return_inverse=True)
    classes = tuple(one.classes[code] for code in present.tolist())
    return replace(one, kind=kind.reshape(-1), classes=classes)


def _classes(
    history: History, f: Ints, argument: Ints, result: Ints, ret: Ints
) -> tuple[Ints, tuple[Class, ...]]:
    """The class of each operation; the result of an indeterminate one is unknown."""
    size = np.int64(len(history.values) + 1)
    seen = np.where(ret == NEVER, size - 1, result)
    pairs, place = np.unique(argument * size + seen, return_inverse=True)
    codes, kind = np.unique(f * np.int64(len(pairs)) + place.reshape(-1), return_inverse=True)
    frozen: dict[int, Hashable] = {int(size) - 1: UNKNOWN}

    def value(code: int) -> Hashable:
        if code not in frozen:
            frozen[code] = freeze(history.values[code])
        return frozen[code]

    classes = []
    for code in codes.tolist():
        function, pair = divmod(code, len(pairs))
        asked, answered = divmod(int(pairs[pair]), int(size))
        classes.append((history.functions[function] or "", value(asked), value(answered)))
    return kind.reshape(-1), tuple(classes)
