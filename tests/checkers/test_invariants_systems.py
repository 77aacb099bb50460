"""Simulated systems: right ones are never found broken, and each planted bug is found."""

from __future__ import annotations

from collections import Counter
from time import process_time

import pytest

from harness import registry
from harness.core.contracts import CheckContext
from harness.core.verdict import Validity
from tests.checkers.invariants_histories import build
from tests.checkers.invariants_oracle import verdict_on
from tests.checkers.invariants_systems import BUGS, SYSTEMS, simulate


@pytest.mark.parametrize("name", SYSTEMS)
def test_a_right_system_is_valid(name: str) -> None:
    """Over many seeds, where every outcome is known."""
    for seed in range(25):
        verdict = verdict_on(name, simulate(name, seed), {})
        assert verdict.validity is Validity.VALID, (seed, verdict)


@pytest.mark.parametrize("name", [name for name in SYSTEMS if name != "availability-target"])
def test_a_right_system_is_never_invalid(name: str) -> None:
    """Nor where many operations have unknown outcomes, of which some happened."""
    for seed in range(25):
        verdict = verdict_on(name, simulate(name, seed, info=0.05), {"delivery": "exactly-once"})
        assert verdict.validity is not Validity.INVALID, (seed, verdict)


@pytest.mark.parametrize(("name", "bug"), BUGS)
def test_a_planted_bug_is_found(name: str, bug: str) -> None:
    """By the anomaly that it is, in nearly every run."""
    options = {"delivery": "exactly-once"}
    found = Counter(
        BUGS[name, bug]
        in verdict_on(name, simulate(name, seed, bug=bug), options).details["anomaly_counts"]
        for seed in range(10)
    )
    assert found[True] >= 8, found


@pytest.mark.parametrize("name", ["causal-reverse", "kafka", "long-fork"])
def test_long_histories_take_the_time_of_a_sort(name: str) -> None:
    """10,000 operations are checked in a small part of what a look at every pair would take (users
    waited 45 minutes for Kafka logs: maelstrom #51)."""
    bug = next(bug for checker, bug in BUGS if checker == name)
    history = build(simulate(name, 1, operations=10_000, bug=bug))
    assert len(history.operations) >= 10_000
    start = process_time()
    verdict = registry.load("checkers", name).check(history, CheckContext())
    assert process_time() - start < 5
    assert verdict.details
