"""The procedures for objects of one kind, each faster than the general search and exact for the
keys that it decides."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from checkers.linearizable.calls import Procedure
from checkers.linearizable.procedures.priority_queue import priority_queue
from checkers.linearizable.procedures.queue import queue
from checkers.linearizable.procedures.stack import stack
from checkers.models import PriorityQueue, Queue, Stack

__all__ = ["PROCEDURES", "Specialist"]


@dataclass(frozen=True, slots=True)
class Specialist:
    """A procedure, and what a verdict calls it."""

    name: str
    decide: Procedure


PROCEDURES: Mapping[type, Specialist] = {
    PriorityQueue: Specialist("priority-queue", priority_queue),
    Queue: Specialist("queue", queue),
    Stack: Specialist("stack", stack),
}
"""By the class of the model."""
