"""An order of operations on any object in which each process keeps its own: found by trying.

A configuration is how far each process has come, and the state of each key. From it any process may
go on, if the model allows that. An operation that leaves its key as it is, is done as soon as it is
legal: nothing is lost by that. Configurations are kept, so that none is tried twice (P. Gibbons &
E. Korach, "Testing shared memories", SIAM J. Computing 1997, show that for a bounded number of
processes this is polynomial; in general the question is NP-complete). What was called first is
tried first, since most systems are nearly linearizable.

An operation that is ``info`` is the last of its process. It may happen or not.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from checkers.linearizable.budget import Budget
from checkers.linearizable.instances import freeze, is_pure
from checkers.linearizable.shrink import groups, smallest
from checkers.models import ILLEGAL, UNKNOWN, Model, deterministic
from checkers.transactions.columns import Unsupported
from checkers.transactions.explain import show
from harness.core.history import History
from harness.core.operation import Type

__all__ = ["Searched", "search"]

_SHRINK_STEPS_MAX = 300_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Searched:
    """``legal`` is None where the budget ended first, because of ``reason``. Where it is False,
    ``operations`` (history indices) are illegal by themselves, and ``texts`` say what they are;
    ``minimal``: none of them can be spared."""

    legal: bool | None
    reason: str = ""
    operations: tuple[int, ...] = ()
    texts: tuple[str, ...] = ()
    minimal: bool = False


@dataclass(frozen=True, slots=True)
class _Call:
    """One operation. ``row`` is its place in ``history.operations``."""

    row: int
    process: int
    key: int
    f: str
    argument: Hashable
    result: Any
    certain: bool


def search(history: History, model: Model, budget: Budget) -> Searched | None:
    """Whether there is such an order; None if no operation that observes anything succeeded.
    Exponential in the number of processes."""
    model = deterministic(model)
    calls = _calls(history, model)
    observes = getattr(model, "observes", lambda f, argument, result: True)
    if not any(
        one.certain and one.f in model.observers and observes(one.f, one.argument, one.result)
        for one in calls
    ):
        return None
    legal = _legal(calls, model, budget)
    if legal is None:
        return Searched(legal=None, reason="timeout")
    if legal:
        return Searched(legal=True)
    part, minimal = _shrunk(calls, model, budget)
    rows = history.operations.invocation[[one.row for one in part]]
    return Searched(
        legal=False,
        operations=tuple(history.index[rows].tolist()),
        texts=tuple(_text(history, one) for one in part),
        minimal=minimal,
    )


def _calls(history: History, model: Model) -> list[_Call]:
    operations = history.operations
    calls = []
    for row in np.flatnonzero(operations.outcome != Type.FAIL).tolist():
        f = str(history.functions[operations.f[row]])
        if f not in model.functions:
            raise Unsupported(f"the model does not know the function {f!r}")
        certain = int(operations.outcome[row]) == Type.OK
        argument = freeze(history.values[operations.argument[row]])
        if not certain and is_pure(model, (f, argument, UNKNOWN)):
            continue  # it changed nothing, and nobody knows what it saw
        result = freeze(history.values[operations.result[row]]) if certain else UNKNOWN
        calls.append(
            _Call(
                row,
                int(operations.process[row]),
                int(operations.key[row]),
                f,
                argument,
                result,
                certain,
            )
        )
    return calls


def _legal(calls: Sequence[_Call], model: Model, budget: Budget) -> bool | None:
    by_process: dict[int, list[_Call]] = defaultdict(list)
    for one in calls:
        by_process[one.process].append(one)
    lines = list(by_process.values())
    # An order is complete when all that certainly happened is in it.
    goal = tuple(sum(one.certain for one in line) for line in lines)
    number = {key: at for at, key in enumerate(sorted({one.key for one in calls}))}
    step = model.step
    start = ((0,) * len(lines), (model.initial,) * len(number))
    seen = {start}
    stack = [start]
    while stack:
        if not budget.step():
            return None
        done, states = stack.pop()
        if all(at >= least for at, least in zip(done, goal, strict=True)):
            return True
        moves: list[tuple[int, Any]] = []
        for at, line in enumerate(lines):
            if done[at] == len(line):
                continue
            one = line[done[at]]
            key = number[one.key]
            after = step(states[key], one.f, one.argument, one.result)
            if after is ILLEGAL:
                continue
            further = (*done[:at], done[at] + 1, *done[at + 1 :])
            move = (further, (*states[:key], after, *states[key + 1 :]))
            if after == states[key] and one.certain and one.f in model.pure:
                moves = [(one.row, move)]
                break
            moves.append((one.row, move))
        # The last one that is pushed is tried first.
        for _, move in sorted(moves, key=lambda pair: -pair[0]):
            if move not in seen:
                seen.add(move)
                stack.append(move)
    return False


def _shrunk(calls: Sequence[_Call], model: Model, budget: Budget) -> tuple[list[_Call], bool]:
    """What is still illegal when keys, values and operations that change nothing were left out."""
    by_key: dict[int, list[int]] = defaultdict(list)
    for at, one in enumerate(calls):
        by_key[one.key].append(at)
    removable = [frozenset(places) for places in by_key.values()] if len(by_key) > 1 else []
    for places in by_key.values():
        kinds = [(calls[at].f, calls[at].argument, calls[at].result) for at in places]
        removable += [frozenset(places[i] for i in group) for group in groups(model, kinds)]
    ended = False

    def illegal(part: list[int]) -> bool | None:
        nonlocal ended
        if budget.expired():
            ended = True
            return None
        legal = _legal([calls[at] for at in part], model, budget.of(_SHRINK_STEPS_MAX))
        return legal is False

    kept = smallest(range(len(calls)), removable, illegal)
    return [calls[at] for at in kept], not ended


def _text(history: History, one: _Call) -> str:
    operations = history.operations
    key, argument, result = (
        table[column[one.row]]
        for table, column in (
            (history.keys, operations.key),
            (history.values, operations.argument),
            (history.values, operations.result),
        )
    )
    words = [f"process {one.process}: {one.f}"]
    words += [show(key)] if key is not None else []
    words += [show(argument)] if argument is not None else []
    if not one.certain:
        words.append("(perhaps)")
    elif result != argument or argument is None:
        words.append(f"-> {show(result)}")
    return " ".join(words)
