"""The limits of a check are kept, and said."""

from __future__ import annotations

import random

import pytest

from checkers.linearizable import Linearizable
from checkers.linearizable.budget import Budget, Limits, resident_bytes
from harness.core.contracts import CheckContext
from harness.core.verdict import Validity
from tests.checkers.builders import build, simulate


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
