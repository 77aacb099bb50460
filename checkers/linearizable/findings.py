"""What is known of each key, and the searches that find it out.

Short searches come before long ones, for all keys: each round takes many more steps than the one
before, so that one hard key does not keep the others from being decided, and what is done again is
little. The compiled search keeps no lock of Python's, so that keys are searched in threads.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Generator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, field

from checkers.linearizable.budget import Budget
from checkers.linearizable.instances import Instance, Outcome
from checkers.linearizable.search import search
from harness.core.kernels import NATIVE
from harness.core.verdict import Anomaly

__all__ = ["Findings", "Prove", "search_all"]

_FIRST_STEPS, _FIRST_STEPS_PER_OPERATION, _GROWTH = 50_000, 40, 32

Prove = Callable[[], Anomaly]


@dataclass(slots=True)
class Findings:
    """What is known so far. ``broken`` has a way to the anomaly for each broken key, on demand:
    only a few are ever shown. ``undecided`` are keys with how far the search came."""

    procedures: dict[str, int] = field(default_factory=dict)
    broken: dict[int, Prove] = field(default_factory=dict)
    undecided: dict[int, Outcome] = field(default_factory=dict)


def search_all(
    instances: Mapping[int, Instance],
    proof: Callable[[int, Outcome], Prove | None],
    findings: Findings,
    budget: Budget,
) -> None:
    """Search every key. ``proof`` turns an outcome (illegal, or not decided) into a proof that the
    key is broken, where there is one. The cheap keys come first, and all get a short search before
    any gets a long one, so that one hard key does not keep the others from being decided."""
    todo = sorted(instances, key=lambda key: (len(instances[key]), key))
    growth = 1
    while todo:
        unfinished = []

        def steps(key: int, growth: int = growth) -> int:
            first = _FIRST_STEPS + _FIRST_STEPS_PER_OPERATION * len(instances[key])
            return min(growth * first, budget.steps_left)

        with closing(_searched(todo, instances, budget, steps)) as outcomes:
            for key, outcome in outcomes:
                findings.undecided.pop(key, None)
                if outcome.legal:
                    continue
                late = outcome.legal is False or growth > 1 or steps(key) == budget.steps_left
                found = proof(key, outcome) if late else None
                if found is not None:
                    findings.broken[key] = found
                    continue
                findings.undecided[key] = outcome
                if outcome.reason == "steps" and steps(key) < budget.steps_left:
                    unfinished.append(key)
        todo = [] if budget.expired() else unfinished
        growth *= _GROWTH


def _searched(
    keys: Sequence[int],
    instances: Mapping[int, Instance],
    budget: Budget,
    steps: Callable[[int], int],
) -> Generator[tuple[int, Outcome], None, None]:
    """The outcome for each of ``keys``, in their order; in threads, for the compiled search keeps
    no lock of Python's."""
    threads = min(len(keys), os.cpu_count() or 1) if NATIVE else 1
    if threads == 1:
        for key in keys:
            yield key, search(instances[key], budget.of(steps(key)))
        return
    pool = ThreadPoolExecutor(threads)
    try:
        found = pool.map(
            lambda key: search(instances[key], budget.of(steps(key), shares=threads)), keys
        )
        yield from zip(keys, found, strict=True)
    except BaseException:  # an interrupt must not wait for the searches that are under way
        budget.limits.hit = "interrupted"
        raise
    finally:
        pool.shutdown(cancel_futures=True)
