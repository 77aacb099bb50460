"""Read committed, read atomic and causal consistency of transactions on registers.

They are those of R. Biswas & C. Enea (OOPSLA 2019, 2.3): there is one commit order, which extends
reads-from and the order of sessions, and in which a write that is visible to a read does not lie
after the one that it returned (:mod:`checkers.causal.visibility`). The violations are cycles.

Adya's read committed is weaker: it knows no sessions, and does not mind when a transaction sees one
write of another and then misses a second. Without sessions, Biswas & Enea's read committed is the
monotonic atomic view of P. Bailis et al. (VLDB 2013, 5.1: no observed transaction vanishes).
Histories with real time are judged by Adya's; histories that are only sessions (the text formats of
AWDIT and Plume) by Biswas & Enea's, as by those tools.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from checkers.causal.cycles import shortest_cycles
from checkers.causal.explain import cycle_anomaly, row_anomaly
from checkers.causal.reads import ReadsFrom, reads_from
from checkers.causal.violations import violations_of
from checkers.causal.visibility import Visibility, causal_order
from checkers.transactions.columns import Kind, Transactions
from harness.core.verdict import Anomaly

__all__ = ["LevelReport", "judge_levels", "levels_of"]

Codes = NDArray[np.int32]

_SAMPLES_MAX = 10
_BASE = frozenset({"G1a", "G1b", "garbage-read", "future-read"})


@dataclass(frozen=True, slots=True, kw_only=True)
class LevelReport:
    """What was found: samples of anomalies, how many of each kind, and which models hold of
    read-uncommitted, read-committed (with real time also strong-session-read-committed and
    monotonic-atomic-view), read-atomic and causal."""

    anomalies: tuple[Anomaly, ...]
    counts: Mapping[str, int]
    holds: frozenset[str]


@dataclass(slots=True)
class _Found:
    anomalies: list[Anomaly] = field(default_factory=list)
    counts: dict[str, int] = field(default_factory=dict)

    def add(self, *anomalies: Anomaly, count: int | None = None) -> None:
        self.anomalies += anomalies
        if anomalies:
            name = anomalies[0].name
            self.counts[name] = self.counts.get(name, 0) + (count or len(anomalies))


def judge_levels(transactions: Transactions) -> LevelReport:
    """Which levels ``transactions`` keep. O(n k + m log m) for k sessions.

    Raises :class:`Unsupported` where it is not known who was read, and :class:`TooMany`.
    """
    return levels_of(reads_from(transactions))


def levels_of(reads: ReadsFrom) -> LevelReport:
    """As :func:`judge_levels`, of reads that are known already."""
    found = _Found()
    for name, pairs in reads.wrong.items():
        samples = [row_anomaly(reads, name, *map(int, pair)) for pair in pairs[:_SAMPLES_MAX]]
        found.add(*samples, count=len(pairs))
    committed = not _contradicts_itself(reads) and not _BASE & set(reads.wrong)
    order = causal_order(reads)
    holds: set[str] = set()
    if len(order) == len(reads.session):
        holds |= _acyclic(reads, order, found, committed)
    else:
        holds |= _cyclic(reads, found, committed)
    realtime = reads.transactions.history.realtime
    # Adya's models and their kin know no sessions: there may be a cycle only with these.
    adya = realtime and "read-committed" in holds and "read-atomic" not in holds
    if adya and not _breaks(reads, Visibility.COMMITTED, order, found):
        holds.add("monotonic-atomic-view")
    return LevelReport(
        anomalies=tuple(found.anomalies), counts=found.counts, holds=frozenset(holds)
    )


def _acyclic(reads: ReadsFrom, order: Codes, found: _Found, committed: bool) -> set[str]:
    """What holds where session order and reads-from have no cycle; proofs go to ``found``."""
    atomic = committed and "internal" not in reads.wrong
    levels = [(Visibility.PAST, "causal", atomic), (Visibility.ATOMIC, "read-atomic", atomic)]
    realtime = reads.transactions.history.realtime
    if not realtime:
        levels.append((Visibility.COMMITTED, "read-committed", committed))
    # Adya's read committed: reads-from has no cycle, nor with the order of sessions.
    plain = {"read-committed", "strong-session-read-committed"}
    holds = plain if realtime and committed else set()
    for visibility, level, sound in levels:
        if not _breaks(reads, visibility, order, found) and sound:
            stronger = {"read-atomic"} if level == "causal" else set()
            return holds | stronger | {level, "read-committed", "read-uncommitted"}
    return holds | {"read-uncommitted"} if holds else holds


_BECAUSE = {
    Visibility.PAST: "it is in its causal past",
    Visibility.ATOMIC: "it is of the same session, or read by it",
    Visibility.COMMITTED: "it had read from it before",
}


def _breaks(reads: ReadsFrom, visibility: Visibility, order: Codes, found: _Found) -> bool:
    """Whether the level is broken; the proofs are added to ``found``."""
    realtime = reads.transactions.history.realtime
    early, cyclic = {
        Visibility.PAST: ("WriteCOInitRead", "causal-cycle"),
        Visibility.ATOMIC: ("fractured-read", "fractured-read"),
        Visibility.COMMITTED: ("non-monotonic-view",) * 2 if realtime else ("commit-cycle",) * 2,
    }[visibility]
    violations = violations_of(
        reads,
        visibility,
        order,
        early=early,
        cyclic=cyclic,
        because=_BECAUSE[visibility],
        # Adya's models and their kin know no sessions.
        sessions=cyclic != "non-monotonic-view",
    )
    for name in dict.fromkeys((early, cyclic)):
        found.add(
            *(one for one in violations.anomalies if one.name == name),
            count=violations.counts.get(name),
        )
    return bool(violations.anomalies)


def _cyclic(reads: ReadsFrom, found: _Found, committed: bool) -> set[str]:
    """What holds although session order and reads-from have a cycle; the proofs go to ``found``."""
    realtime = reads.transactions.history.realtime
    plain = shortest_cycles(reads, None, sessions=False)
    found.add(*(cycle_anomaly(reads, "G1c", steps, "") for steps in plain))
    ordered = shortest_cycles(reads, None)
    names = ("CyclicCO", "G1c-process" if realtime else "commit-cycle")
    for name in names if not plain else names[:1]:
        found.add(*(cycle_anomaly(reads, name, steps, "") for steps in ordered))
    adya = realtime and committed and not plain
    return {"read-committed", "read-uncommitted"} if adya else set()


def _contradicts_itself(reads: ReadsFrom) -> bool:
    """Whether a transaction did not see its own write."""
    kind = reads.transactions.kind
    pairs = reads.wrong.get("internal", np.zeros((0, 2), dtype=np.int64))
    return bool((kind[pairs[:, 1]] == Kind.WRITE).any())
