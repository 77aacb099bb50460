"""The checkers of invariants against definitions that look at every pair.

    python -m tests.checkers.invariants_oracle --histories 20000 [--checker kafka]

A failure prints the seed; ``--first SEED --histories 1`` runs it again.
"""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from harness import registry
from harness.core.contracts import CheckContext
from harness.core.verdict import Validity, Verdict
from tests.checkers.invariants_definitions import DEFINITIONS
from tests.checkers.invariants_draws import draw
from tests.checkers.invariants_histories import Call, build, invocations

__all__ = ["compare", "main", "verdict_on"]

_ALLOWED = {"rebalanced-poll-skip", "rebalanced-nonmonotonic-poll"}


def verdict_on(name: str, calls: Iterable[Call], options: Mapping[str, Any], **how: Any) -> Verdict:
    """What the registered checker says."""
    checker = registry.load("checkers", name)
    verdict: Verdict = checker.check(build(calls, **how), CheckContext(options=options))
    return verdict


def compare(name: str, seed: int) -> Validity:
    """Draw a history and compare: the names of the anomalies, the verdict, and that every witness
    breaks the invariant by itself. The verdict; ``AssertionError`` with the seed."""
    calls, options = draw(name, seed)
    says = verdict_on(name, calls, options)
    names, doubts = DEFINITIONS[name](calls, options)
    allowed = set(_ALLOWED)
    if options.get("delivery") == "at-least-once":
        allowed.add("duplicate")
    expected = Validity.UNKNOWN if doubts else Validity.VALID
    if names - allowed:
        expected = Validity.INVALID
    where = f"{name}, seed {seed}: {calls} {options}\n{says}"
    assert set(says.details["anomaly_counts"]) == names, f"{names}: {where}"
    assert says.validity is expected, f"{expected}: {where}"
    if expected is Validity.UNKNOWN:
        assert says.reason in doubts, f"{doubts}: {where}"
    _witnesses(name, calls, options, says, where)
    return expected


def _witnesses(
    name: str, calls: Sequence[Call], options: Mapping[str, Any], says: Verdict, where: str
) -> None:
    by_index = invocations(calls)
    options = dict(options)
    for anomaly in says.anomalies:
        witness = [by_index[index] for index in anomaly.operations]
        assert list(anomaly.operations) == sorted(set(anomaly.operations)), where
        if name == "bank" and "total" not in options and len(witness) == 1:
            continue  # one read is wrong by what other operations say
        alone, _ = DEFINITIONS[name](witness, options)
        # Without the subscription, what was allowed because of it is not.
        known = {anomaly.name, anomaly.name.replace("rebalanced-", "")}
        known |= {anomaly.name.replace("rebalanced-", "int-")}
        assert known & alone, f"the witness {witness} of {anomaly.name} shows {alone}: {where}"


def renamed(calls: Sequence[Call]) -> list[Call]:
    """The same operations by processes of other names."""
    names = {process: 7 * process + 3 for process in {call.process for call in calls}}
    return [replace(call, process=names[call.process]) for call in calls]


def main(arguments: Sequence[str] | None = None) -> None:
    """See the module."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--histories", type=int, default=20_000)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--checker", choices=sorted(DEFINITIONS))
    given = parser.parse_args(arguments)
    for name in [given.checker] if given.checker else sorted(DEFINITIONS):
        seeds = range(given.first, given.first + given.histories)
        counts = Counter(compare(name, seed).value for seed in seeds)
        print(f"{name}: {given.histories:,} histories agree: {dict(sorted(counts.items()))}")


if __name__ == "__main__":
    main()
