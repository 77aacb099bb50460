"""Sequential specifications: what one object does when its operations come one after another.

A model is data and a pure step function; it knows nothing of time, processes or histories. The
checkers of :mod:`checkers.linearizable` ask whether some order of a concurrent history, in
agreement with real time, is an order that the model allows (Herlihy & Wing, "Linearizability: a
correctness condition for concurrent objects", TOPLAS 1990). ``docs/models.md`` lists the models
with what their operations mean.

A model of one's own needs no more than this:

>>> class Maximum:
...     initial = 0
...     functions = frozenset({"raise", "read"})
...     pure = observers = frozenset({"read"})
...
...     def step(self, state, f, argument, result):
...         if f == "raise":
...             return max(state, argument)
...         return state if result == state else ILLEGAL
>>> Maximum().step(3, "raise", 5, None)
5
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, replace
from difflib import get_close_matches
from typing import Any

import msgspec

from checkers.models.base import (
    ILLEGAL,
    UNKNOWN,
    Determinized,
    Illegal,
    Model,
    OneOf,
    Unknown,
    deterministic,
    truth,
)
from checkers.models.containers import GrowOnlySet, Log, PriorityQueue, Queue, Set, Stack
from checkers.models.locks import Counter, Mutex, ReentrantMutex, Semaphore
from checkers.models.registers import AppendRegister, MultiRegister, NullRead, Register
from harness.core.errors import BadInput, Problem

__all__ = [
    "ILLEGAL",
    "MODELS",
    "UNKNOWN",
    "AppendRegister",
    "Counter",
    "Determinized",
    "GrowOnlySet",
    "Illegal",
    "Log",
    "Model",
    "MultiRegister",
    "Mutex",
    "NullRead",
    "OneOf",
    "PriorityQueue",
    "Queue",
    "ReentrantMutex",
    "Register",
    "Semaphore",
    "Set",
    "Stack",
    "Unknown",
    "deterministic",
    "model_named",
    "truth",
]

_WITH_CAS = frozenset({"read", "write", "cas"})

MODELS: Mapping[str, Model] = {
    "register": Register(),
    "cas-register": Register(functions=_WITH_CAS),
    "register-null-reads-anything": Register(null_read=NullRead.ANYTHING),
    "cas-register-null-reads-anything": Register(functions=_WITH_CAS, null_read=NullRead.ANYTHING),
    "multi-register": MultiRegister(),
    "append-kv": AppendRegister(),
    "set": Set(),
    "g-set": GrowOnlySet(),
    "queue": Queue(),
    "stack": Stack(),
    "priority-queue": PriorityQueue(),
    "mutex": Mutex(),
    "reentrant-mutex": ReentrantMutex(),
    "semaphore": Semaphore(),
    "counter": Counter(),
    "log": Log(),
}
"""The models by the names under which a check asks for them."""

_PARAMETERS: Mapping[str, tuple[str, ...]] = {
    "register": ("initial",),
    "cas-register": ("initial",),
    "counter": ("initial",),
    "reentrant-mutex": ("holds",),
    "semaphore": ("permits",),
}


def model_named(text: str) -> Model:
    """The model that ``text`` names, with its parameters after a colon.

    >>> model_named("semaphore:permits=3").permits
    3

    Raises :class:`BadInput` for a name or a parameter that is not known, and for a wrong value.
    """
    name, _, rest = text.partition(":")
    model = MODELS.get(name)
    if model is None:
        close = get_close_matches(name, MODELS, n=3)
        hint = f"did you mean {' or '.join(close)}?" if close else "choose one of them"
        raise BadInput([Problem(f"model {name!r}", f"one of {', '.join(sorted(MODELS))}", hint)])
    values: dict[str, Any] = {}
    problems = []
    for part in rest.split(",") if rest else ():
        parameter, _, value = part.partition("=")
        problem = _parameter_problem(name, model, parameter, value)
        if problem is None:
            values[parameter] = _parsed(value)
        else:
            problems.append(problem)
    if problems:
        raise BadInput(problems)
    return replace(model, **values) if values else model  # type: ignore[type-var]


def _parameter_problem(name: str, model: Model, parameter: str, value: str) -> Problem | None:
    known = _PARAMETERS.get(name, ())
    if parameter not in known:
        needed = f"one of {', '.join(known)}" if known else f"no parameter: {name} has none"
        return Problem(f"model parameter {parameter!r}", needed, f"correct --model {name}:...")
    kind = next(one.type for one in fields(model) if one.name == parameter)  # type: ignore[arg-type]
    found = _parsed(value)
    if kind == "int" and (isinstance(found, bool) or not isinstance(found, int) or found < 0):
        return Problem(
            f"model parameter {parameter}={value}", "a whole number of 0 or more", "correct it"
        )
    if isinstance(found, (list, dict)):
        return Problem(
            f"model parameter {parameter}={value}", "a number, a word or null", "correct it"
        )
    return None


def _parsed(value: str) -> Any:
    """A JSON value; any other text stands for itself."""
    try:
        return msgspec.json.decode(value.encode())
    except msgspec.DecodeError:
        return value
