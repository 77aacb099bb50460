"""The general search takes any sequential specification."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass
from typing import Any

from checkers.linearizable import Linearizable
from checkers.models import ILLEGAL, Illegal
from harness.core.contracts import CheckContext
from harness.core.history import History
from harness.core.verdict import Validity
from tests.checkers.builders import history


@dataclass(frozen=True, slots=True, kw_only=True)
class Counter:
    """A counter: ``add d``, ``get -> n``."""

    initial: Hashable = 0
    functions: frozenset[str] = frozenset({"add", "get"})
    pure: frozenset[str] = frozenset({"get"})
    observers: frozenset[str] = frozenset({"get"})

    def step(self, state: Any, f: str, argument: Any, result: Any) -> Hashable | Illegal:
        if f == "add":
            return int(state + argument)
        return int(state) if state == result else ILLEGAL


def validity(found: History) -> Validity:
    checker = Linearizable(models={"counter": Counter()})
    return checker.check(found, CheckContext(model="counter")).validity


def test_counter() -> None:
    """Distinct increments, some of them indeterminate, explain what was read, or do not."""
    assert validity(history("0 add 2 0-9", "1 add 3 0-9", "2 get 3 1-5", "2 get 5 10-11"))
    base = ("0 add 2 0-9", "1 add 3 0-9")
    assert validity(history(*base, "2 get 3 1-5", "2 get 5 10-11")) is Validity.VALID
    assert validity(history(*base, "2 get 3 1-5", "2 get 2 10-11")) is Validity.INVALID
    assert validity(history(*base, "3 add 4 0-1?", "2 get 9 10-11")) is Validity.VALID
    assert validity(history(*base, "3 add 4 0-1?", "2 get 13 10-11")) is Validity.INVALID
    twice = (*base, "3 add 4 0-1?", "4 add 4 0-1?", "2 get 13 10-11")
    assert validity(history(*twice)) is Validity.VALID
    assert validity(history(*twice, "2 get 9 12-13")) is Validity.INVALID


def test_unobserved_counter_is_vacuous() -> None:
    """Without a successful observation nothing was shown."""
    assert validity(history("0 add 2 0-9")) is Validity.UNKNOWN
