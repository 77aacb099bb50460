"""Every checker of invariants against definitions that share no code with it."""

from __future__ import annotations

import json
import random
from dataclasses import replace
from typing import Any

import pytest

from harness.core.verdict import Validity
from tests.checkers.invariants_definitions import DEFINITIONS
from tests.checkers.invariants_draws import draw
from tests.checkers.invariants_oracle import compare, renamed, verdict_on
from tests.checkers.invariants_systems import simulate

NAMES = sorted(DEFINITIONS)


@pytest.mark.parametrize("name", NAMES)
def test_agrees_with_the_definition(name: str) -> None:
    """The same anomalies and verdict on random tiny histories, of all three kinds, and every
    witness is illegal by itself."""
    seen = {compare(name, seed) for seed in range(10_000_000, 10_000_400)}
    assert seen == set(Validity)


@pytest.mark.parametrize("name", NAMES)
def test_times_and_names_of_processes_do_not_matter(name: str) -> None:
    """Renaming processes, and shifting time, changes no verdict."""
    for seed in range(100):
        calls, options = draw(name, seed)
        before = verdict_on(name, calls, options)
        for after in (
            verdict_on(name, renamed(calls), options),
            verdict_on(name, calls, options, shift=5_000_000_000),
        ):
            assert after.validity is before.validity, seed
            assert after.details["anomaly_counts"] == before.details["anomaly_counts"], seed


RENAMED = {
    "bank": ('"a"', '"the first account"'),
    "kafka": ('"x"', '"another log"'),
    "long-fork": ('"x"', '"zz"'),
}


@pytest.mark.parametrize("name", RENAMED)
def test_names_do_not_matter(name: str) -> None:
    """Renaming an account, a log or a key changes no verdict."""
    for seed in range(150):
        calls, options = draw(name, seed)
        after = [
            replace(
                call,
                **{
                    field: json.loads(json.dumps(getattr(call, field)).replace(*RENAMED[name]))
                    for field in ("argument", "result")
                },
            )
            for call in calls
        ]
        one, other = verdict_on(name, calls, options), verdict_on(name, after, options)
        assert other.validity is one.validity, seed
        assert other.details["anomaly_counts"] == one.details["anomaly_counts"], seed


def test_logs_beside_a_broken_one_may_be_dropped() -> None:
    """What is said of a broken system is the same with and without the logs of a right one."""
    for seed in range(5):
        beside = [
            replace(
                call,
                process=call.process + 10**7,
                argument=_elsewhere(call.argument),
                result=_elsewhere(call.result),
            )
            for call in simulate("kafka", seed + 100)
        ]
        for bug in ("duplicate", "lost", "skip", "truncated"):
            broken = simulate("kafka", seed, bug=bug)
            alone = verdict_on("kafka", broken, {}).details["anomaly_counts"]
            both = verdict_on("kafka", [*broken, *beside], {}).details["anomaly_counts"]
            assert both == alone, (seed, bug)


def _elsewhere(micro_operations: list[list[Any]]) -> list[list[Any]]:
    """The same on logs of other names."""
    return [
        ["send", f"other {rest[0]}", rest[1]]
        if kind == "send"
        else [kind, *({f"other {key}": log for key, log in found.items()} for found in rest)]
        for kind, *rest in micro_operations
    ]


KEYED = ("causal-reverse", "fifo-queue", "g2", "lock", "monotonic", "total-queue", "unique-ids")


@pytest.mark.parametrize("name", KEYED)
def test_keys_are_independent(name: str) -> None:
    """A history beside another on a key of its own: what was found is the sum of both, whatever the
    keys are called."""
    for seed in range(100):
        one, options = draw(name, seed)
        other, _ = draw(name, seed + 1_000_000)
        moved = [
            replace(call, process=call.process + 1000, key=f"other {call.key}") for call in other
        ]
        random.Random(seed).shuffle(moved)
        alone = verdict_on(name, one, options).details["anomaly_counts"]
        beside = verdict_on(name, other, options).details["anomaly_counts"]
        both = verdict_on(name, [*one, *moved], options).details["anomaly_counts"]
        names = alone.keys() | beside.keys()
        assert both == {a: alone.get(a, 0) + beside.get(a, 0) for a in names}, seed
