"""Drives the compiled general search: answers what it asks of the model, and keeps the limits.

The extension knows states and classes of operations as numbers only. When it meets a transition
that it does not know, it stops with a list of such (state, class) pairs: those of one state with
the classes that are pending. Each is asked of the model once. Between its stops it holds no lock
of Python's, so that several searches run at the same time in threads.
"""

from __future__ import annotations

from collections.abc import Hashable
from enum import IntEnum, IntFlag
from types import ModuleType
from typing import Any

import numpy as np

from checkers.linearizable.budget import Budget
from checkers.linearizable.instances import Class, Instance, Outcome, is_blind, is_pure
from checkers.models import ILLEGAL
from harness.core.history import NEVER

__all__ = ["Engines", "search"]

_PURE, _BLIND = 1, 2
_SLICE_S = 0.1  # between two looks at the memory that the whole process holds
_ANSWERS_BETWEEN_LOOKS = 64
_BYTES_MAX = 1 << 62


class _Status(IntEnum):
    LEGAL = 0
    ILLEGAL = 1
    ASK = 2
    STEPS = 3
    TIME = 4
    MEMORY = 5


_REASONS = {_Status.STEPS: "steps", _Status.TIME: "time", _Status.MEMORY: "memory"}


class _Numbers:
    """The states of a model as numbers, in the order in which they come up."""

    def __init__(self, instance: Instance, flags: bytes) -> None:
        self._model = instance.model
        self._classes: tuple[Class, ...] = instance.classes
        self._flags = flags
        self._states: list[Hashable] = [instance.initial]
        self._numbers: dict[Hashable, int] = {instance.initial: 0}

    def answer(self, pairs: bytes) -> np.ndarray[tuple[int], np.dtype[np.int32]]:
        """The state after each (state, class); -1: illegal. Raises ``ValueError`` for a model that
        breaks its word."""
        asked = np.frombuffer(pairs, dtype=np.int32).tolist()
        result = [
            self._step(state, kind) for state, kind in zip(asked[::2], asked[1::2], strict=True)
        ]
        return np.array(result, dtype=np.int32)

    def _step(self, state: int, kind: int) -> int:
        one, before, flag = self._classes[kind], self._states[state], self._flags[kind]
        following: Any = self._model.step(before, *one)
        if following is ILLEGAL:
            if flag == _BLIND:
                raise ValueError(f"{one[0]} is blind, but illegal in {before!r}")
            return -1
        if flag == _PURE:
            if following != before:
                raise ValueError(f"{one[0]} is pure, but leads from {before!r} to {following!r}")
            return state
        number = self._numbers.setdefault(following, len(self._states))
        if number == len(self._states):
            self._states.append(following)
        return number


class Engines(IntFlag):
    """The orders in which configurations are searched. ``RELAXED`` is breadth first with an
    unlimited supply of indeterminate operations: it can only find that no order is legal."""

    DEPTH = 1
    RELAXED = 2
    BREADTH = 4
    ALL = DEPTH | RELAXED | BREADTH


def search(
    kernel: ModuleType, instance: Instance, budget: Budget, engines: Engines = Engines.ALL
) -> Outcome | None:
    """As :func:`checkers.linearizable.search.search`; None where more operations are open at one
    time than the extension has room for. The ``engines`` take turns until one of them knows."""
    if budget.expired():
        return _given_up(instance, "time" if budget.limits.hit == "timeout" else "memory")
    flags = _flags(instance)
    columns = [
        np.ascontiguousarray(column, dtype=np.int64)
        for column in (instance.call, instance.ret, instance.kind)
    ]
    rules = b"" if instance.rules is None else instance.rules.astype(np.int32).tobytes()
    states = 1 if instance.rules is None else 1 + int(instance.rules.max(initial=0))
    try:
        handle = kernel.search_new(*columns, flags, engines, rules, states)
    except OverflowError:
        return None
    status, passed, stuck, steps = _run(kernel, handle, _Numbers(instance, flags), budget)
    return Outcome(
        legal={_Status.LEGAL: True, _Status.ILLEGAL: False}.get(status),
        passed=passed,
        returns=int(np.count_nonzero(columns[1] < NEVER)),
        stuck=stuck if stuck >= 0 else None,
        steps=steps,
        reason=_REASONS.get(status),
    )


def _given_up(instance: Instance, reason: str) -> Outcome:
    """Nothing was tried: to begin with takes time, too."""
    returns = int(np.count_nonzero(instance.ret < NEVER))
    return Outcome(legal=None, passed=0, returns=returns, stuck=None, steps=0, reason=reason)


def _run(
    kernel: ModuleType, handle: object, numbers: _Numbers, budget: Budget
) -> tuple[_Status, int, int, int]:
    """How it ended, the returns passed, the operation that returns next (-1: none), the steps."""
    taken, looks, held, bytes_max = 0, 0, 0, _BYTES_MAX
    while True:
        seconds = budget.limits.seconds_left()
        if looks % _ANSWERS_BETWEEN_LOOKS == 0 or seconds <= 0:
            expired = budget.expired()
            left = budget.bytes_left()
            bytes_max = _BYTES_MAX if left is None else held + left
        looks += 1
        code, steps, passed, stuck, held, pairs = kernel.search_run(
            handle,
            0 if expired else budget.steps_left,
            min(seconds, _SLICE_S),
            bytes_max,
        )
        status = _Status(code)
        taken += steps
        budget.steps_left -= steps
        if pairs:
            kernel.search_answer(handle, numbers.answer(pairs))
        if expired and status is _Status.STEPS:
            status = _Status.TIME if budget.limits.hit == "timeout" else _Status.MEMORY
        elif status is _Status.TIME and not budget.expired():
            looks = 0
            continue
        if status is not _Status.ASK:
            return status, passed, stuck, taken


def _flags(instance: Instance) -> bytes:
    """One byte a class, as the extension takes them."""
    model = instance.model
    return bytes(
        _PURE if is_pure(model, one) else _BLIND if is_blind(model, one) else 0
        for one in instance.classes
    )
