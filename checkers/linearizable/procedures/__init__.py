"""The procedures for objects of one kind, each faster than the general search and exact for the
keys that it decides."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from checkers.linearizable.calls import Procedure
from checkers.linearizable.procedures.counter import counter
from checkers.linearizable.procedures.element_set import element_set
from checkers.linearizable.procedures.lock import lock
from checkers.linearizable.procedures.log import log
from checkers.linearizable.procedures.priority_queue import priority_queue
from checkers.linearizable.procedures.queue import queue
from checkers.linearizable.procedures.reentrant_mutex import reentrant_mutex
from checkers.linearizable.procedures.stack import stack
from checkers.models import (
    Counter,
    GrowOnlySet,
    Log,
    Model,
    Mutex,
    PriorityQueue,
    Queue,
    ReentrantMutex,
    Semaphore,
    Set,
    Stack,
)

__all__ = ["PROCEDURES", "Specialist", "specialist"]


@dataclass(frozen=True, slots=True)
class Specialist:
    """A procedure, and what a verdict calls it."""

    name: str
    decide: Procedure


PROCEDURES: Mapping[type, tuple[str, Callable[[Any], Procedure | None]]] = {
    Counter: ("counter", lambda model: partial(counter, initial=model.initial)),
    GrowOnlySet: ("set", lambda model: None if model.initial else element_set),
    Log: ("log", lambda model: None if model.initial else log),
    Mutex: (
        "mutex",
        lambda model: partial(lock, held=int(model.initial == "held"), permits=1, weighted=False),
    ),
    PriorityQueue: ("priority-queue", lambda model: None if model.initial else priority_queue),
    Queue: ("queue", lambda model: None if model.initial else queue),
    ReentrantMutex: (
        "reentrant-mutex",
        lambda model: None if model.initial else partial(reentrant_mutex, holds=model.holds),
    ),
    Semaphore: (
        "semaphore",
        lambda model: partial(lock, held=model.initial, permits=model.permits, weighted=True),
    ),
    Set: ("set", lambda model: None if model.initial else element_set),
    Stack: ("stack", lambda model: None if model.initial else stack),
}
"""By the class of the model: what a verdict calls the procedure, and the procedure for a model with
such parameters. None: there is none for an object that does not begin empty."""


def specialist(model: Model) -> Specialist | None:
    """The procedure made for ``model``; None if there is none.

    >>> specialist(Queue()).name, specialist(Queue(initial=(1, 2)))
    ('queue', None)
    """
    name, made_for = PROCEDURES.get(type(model), ("", lambda _: None))
    procedure = made_for(model)
    return None if procedure is None else Specialist(name, procedure)
