"""Which procedure decides a model, by its parameters."""

from __future__ import annotations

from typing import Any

import pytest

from checkers.linearizable import Linearizable
from checkers.linearizable.procedures import PROCEDURES, specialist
from checkers.models import (
    MODELS,
    Counter,
    Log,
    Mutex,
    Queue,
    ReentrantMutex,
    Semaphore,
    Set,
    Stack,
)
from harness.core.contracts import CheckContext
from harness.core.verdict import Validity
from tests.checkers.objects import Act, build


def test_every_model_of_the_table_has_a_procedure() -> None:
    found = {type(model) for model in MODELS.values() if specialist(model)}
    assert found == set(PROCEDURES)


def one(f: str, argument: Any, result: Any) -> list[Act]:
    return [Act(f=f, argument=argument, result=result, call=0, ret=1)]


@pytest.mark.parametrize(
    ("model", "plain", "acts"),
    [
        (Queue(initial=(1,)), "queue", one("dequeue", None, 1)),
        (Stack(initial=(1,)), "stack", one("pop", None, 1)),
        (Set(initial=frozenset({1})), "set", one("read", None, [1])),
        (Log(initial=(1,)), "log", one("read", 0, 1)),
        (Counter(initial=7), "counter", one("read", None, 7)),
        (Mutex(initial="held"), "mutex", one("release", None, None)),
        (Semaphore(initial=2), "semaphore", one("release", 2, None)),
        (ReentrantMutex(initial=("a", 1)), "reentrant-mutex", one("release", "a", None)),
        (Semaphore(permits=3), "semaphore", one("acquire", 3, None)),
    ],
)
def test_an_object_need_not_begin_empty(model: Any, plain: str, acts: list[Act]) -> None:
    """What an object holds at first counts, whatever decides it."""
    checker = Linearizable(models={"mine": model})
    validity = {
        name: checker.check(build(acts), CheckContext(model=name)).validity for name in ("mine",)
    }
    validity[plain] = Linearizable().check(build(acts), CheckContext(model=plain)).validity
    assert validity == {"mine": Validity.VALID, plain: Validity.INVALID}
