"""The limits of a check are kept, and said."""

from __future__ import annotations

import os
import random
import threading

import pytest

from checkers.linearizable import Linearizable, findings
from checkers.linearizable.budget import Budget, Limits, resident_bytes
from checkers.linearizable.instances import Instance, Outcome
from checkers.linearizable.register_instances import instance
from checkers.linearizable.registers import encode
from checkers.models import Register
from harness.core.contracts import CheckContext
from harness.core.kernels import NATIVE
from harness.core.verdict import Validity
from tests.checkers.builders import build, simulate

MODEL = Register(functions=frozenset({"read", "write", "cas"}))


def test_memory_is_a_limit_too() -> None:
    """A check that may hold no more than it does already gives up, and says why."""
    ops = simulate(random.Random(1), operations=400, clients=12, values=3, stale=0)
    history = build(ops)
    fine = Linearizable().check(history, CheckContext(model="register"))
    assert fine.validity is Validity.VALID
    full = Linearizable().check(history, CheckContext(model="register", memory_limit_bytes=1))
    assert full.validity is Validity.UNKNOWN
    assert full.reason == "memory"
    assert "not decided within the limit" in full.sentence


@pytest.mark.parametrize(
    ("now_s", "held", "expected"), [(1.0, 9, None), (2.0, 9, "timeout"), (1.0, 10, "memory")]
)
def test_a_limit_is_reached_at_its_value(now_s: float, held: int, expected: str | None) -> None:
    limits = Limits(deadline_s=2.0, clock=lambda: now_s, memory_bytes=10, resident=lambda: held)
    assert Budget(steps_left=5, limits=limits).expired() is (expected is not None)
    assert limits.hit == expected


def test_the_memory_held_is_measured() -> None:
    before = resident_bytes()
    ballast = bytearray(b"x") * 50_000_000
    assert resident_bytes() - before > 25_000_000
    del ballast


@pytest.mark.skipif(NATIVE is None, reason="the twin searches one key after another")
def test_an_interrupt_ends_the_searches_under_way(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever stops waiting for the first key does not wait for the second one either."""
    begun, release = threading.Event(), threading.Event()
    ready = Outcome(legal=None, passed=0, returns=1, stuck=None, steps=0, reason="memory")
    seen: list[bool] = []

    def searched(instance: Instance, budget: Budget) -> Outcome:
        if instance is one:
            begun.wait(30.0)
            return ready
        begun.set()
        while not budget.expired() and not release.is_set():
            release.wait(0.01)
        seen.append(budget.expired())
        return ready

    def interrupt(key: int, outcome: Outcome) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "cpu_count", lambda: 2)
    registers = encode(build(simulate(random.Random(1), operations=20, values=3)), MODEL)
    one = instance(registers)
    limits = Limits(deadline_s=float("inf"), clock=lambda: 0.0)
    timer = threading.Timer(30.0, release.set)  # should the interrupt not do it
    timer.start()
    monkeypatch.setattr(findings, "search", searched)
    instances, budget = {0: one, 1: instance(registers)}, Budget(steps_left=1, limits=limits)
    with pytest.raises(KeyboardInterrupt):
        findings.search_all(instances, interrupt, findings.Findings(), budget)
    timer.cancel()
    assert limits.hit == "interrupted"
    assert seen == [True]
