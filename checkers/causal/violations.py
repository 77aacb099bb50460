"""The violations of one kind of visibility, each with its proof."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from checkers.causal.cycles import Step, shortest_cycles
from checkers.causal.explain import cycle_anomaly, initial_anomaly
from checkers.causal.reads import ReadsFrom
from checkers.causal.visibility import Orders, Visibility, orders
from checkers.causal.witness import Ways
from checkers.transactions.dependencies import Edge
from harness.core.verdict import Anomaly

__all__ = ["Violations", "violations_of"]

Codes = NDArray[np.int32]

_SAMPLES_MAX = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Violations:
    """Samples of anomalies, how many there are of each name (of cycles, how many were looked at),
    and what visibility said."""

    anomalies: tuple[Anomaly, ...]
    counts: Mapping[str, int]
    said: Orders


def violations_of(
    reads: ReadsFrom,
    visibility: Visibility,
    order: Codes,
    *,
    early: str,
    cyclic: str,
    because: str,
    sessions: bool = True,
    said: Orders | None = None,
) -> Violations:
    """What ``visibility`` forbids and ``reads`` have. ``early`` is what a read of the initial state
    is called that should have seen a write, ``cyclic`` what a cycle is called. ``sessions``: the
    commit order must extend theirs. ``said`` is what
    visibility says, where it is known already, or a part of it."""
    part = said is not None
    said = orders(reads, visibility, order) if said is None else said
    anomalies: list[Anomaly] = []
    counts: Counter[str] = Counter()
    ways = Ways(reads) if len(said.initial_before) or len(said.before) else None
    first = [] if part else _smallest(reads, said)
    for place in first:
        assert ways is not None
        before, read = int(said.initial_before[place]), int(said.initial_read[place])
        between = ways.between(visibility, before, int(reads.reader[read]))
        anomaly = initial_anomaly(reads, early, before, read, because)
        anomalies.append(_with(reads, anomaly, between))
    if len(first):
        counts[early] += len(said.initial_before)
    for steps in shortest_cycles(reads, said, sessions=sessions):
        assert ways is not None
        seen = _seen(reads, visibility, ways, steps)
        anomalies.append(cycle_anomaly(reads, cyclic, steps, because, seen))
        counts[cyclic] += 1
    return Violations(anomalies=tuple(anomalies), counts=counts, said=said)


def _smallest(reads: ReadsFrom, said: Orders) -> list[int]:
    """Some places of violations by reads of the initial state: the reads nearest to the write."""
    distance = reads.reader[said.initial_read] - said.initial_before
    order = np.argsort(distance, kind="stable")
    found: list[int] = order[:_SAMPLES_MAX].tolist()
    return found


def _seen(
    reads: ReadsFrom, visibility: Visibility, ways: Ways, steps: tuple[Step, ...]
) -> list[int]:
    seen: list[int] = []
    for step in steps:
        if step.kind == Edge.WW:
            seen += ways.between(visibility, step.before, int(reads.reader[step.row]))
    return seen


def _with(reads: ReadsFrom, anomaly: Anomaly, between: list[int]) -> Anomaly:
    """The anomaly with the transactions through which the write became visible."""
    index = reads.transactions.index
    operations = {*anomaly.operations, *(int(index[one]) for one in between)}
    return replace(anomaly, operations=tuple(sorted(operations)))
