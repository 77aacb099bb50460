"""The checker of causal consistency: CC, CM and CCv for registers, and *causal* for transactions.

The bad patterns are those of A. Bouajjani, C. Enea, R. Guerraoui & J. Hamza (POPL 2017, 4): CC
forbids CyclicCO, ThinAirRead, WriteCOInitRead and WriteCORead, causal convergence (CCv) also
CyclicCF, and causal memory (CM) instead WriteHBInitRead and CyclicHB.

>>> from harness.core.operation import Event
>>> events = [
...     Event(index=0, time=0, process=0, type="invoke", f="read", value=None),
...     Event(index=1, time=1, process=0, type="ok", f="read", value=5),
... ]
>>> Causal().check(History.from_events(events), CheckContext()).sentence
'Process 0 read 5, which nobody wrote.'
"""

from __future__ import annotations

from dataclasses import replace
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from checkers.causal.cycles import shortest_cycles
from checkers.causal.explain import cycle_anomaly, initial_anomaly, row_anomaly
from checkers.causal.levels import levels_of
from checkers.causal.memory import Broken, broken_sessions
from checkers.causal.reads import ReadsFrom, reads_from
from checkers.causal.report import refused, vacuous
from checkers.causal.violations import violations_of
from checkers.causal.visibility import Orders, TooMany, Visibility, causal_order
from checkers.spectrum import judge
from checkers.transactions.columns import Unsupported, ingest
from harness.core.contracts import CheckContext
from harness.core.history import History
from harness.core.options import Option
from harness.core.verdict import Anomaly, Verdict

__all__ = ["Causal"]

Codes = NDArray[np.int32]

_SAMPLES_MAX = 10

_CONVERGENCE = "causal-convergence"
_MEMORY = "causal-memory"


class Causal:
    """Does every process see writes in an order that respects cause and effect?"""

    name: ClassVar[str] = "causal"
    summary: ClassVar[str] = "what was written because of a write is never seen without it"
    options: ClassVar[tuple[Option, ...]] = ()
    judges: ClassVar[frozenset[str]] = frozenset({"causal", _CONVERGENCE, _MEMORY})

    def check(self, history: History, context: CheckContext) -> Verdict:
        """Valid, invalid with a witness, or unknown with ``unsupported``, ``vacuous``, ``memory``,
        ``incomplete`` or ``crash``."""
        try:
            reads = reads_from(ingest(history))
            if not len(reads.reader) and not reads.wrong:
                return vacuous(self.name)
            if not reads.single:
                return _transactions(self.name, reads, context)
            return _registers(self.name, reads, context)
        except Unsupported as refusal:
            return refused(self.name, "unsupported", f"Nothing was checked: {refusal}.")
        except (TooMany, MemoryError) as refusal:
            return refused(self.name, "memory", f"Not decided: {refusal}.")
        except Exception as error:  # a checker that crashes must never look like a pass
            text = f"The checker itself crashed ({type(error).__name__}: {error})."
            return refused(self.name, "crash", text)


def _transactions(name: str, reads: ReadsFrom, context: CheckContext) -> Verdict:
    report = levels_of(reads)
    return judge(
        checker=name,
        asked=context.consistency_model or "causal",
        scope={"read-committed", "read-atomic", "causal"},
        anomalies=report.anomalies,
        counts=report.counts,
        proved=report.holds,
        subject=f"All {len(reads.session):,} transactions",
    )


def _registers(name: str, reads: ReadsFrom, context: CheckContext) -> Verdict:
    asked = context.consistency_model or "causal"
    anomalies: list[Anomaly] = []
    counts: dict[str, int] = {}
    for found, pairs in reads.wrong.items():
        pattern = "ThinAirRead" if found in ("garbage-read", "G1a", "G1b", "future-read") else found
        anomalies += [
            replace(row_anomaly(reads, found, *map(int, pair)), name=pattern)
            for pair in pairs[:_SAMPLES_MAX]
        ]
        counts[pattern] = counts.get(pattern, 0) + len(pairs)
    proved: set[str] = set()
    incomplete = ""
    order = causal_order(reads)
    if len(order) < len(reads.session):
        cycles = shortest_cycles(reads, None)
        anomalies += [cycle_anomaly(reads, "CyclicCO", steps, "") for steps in cycles]
        counts["CyclicCO"] = len(cycles)
    else:
        said, past = _past(reads, order, anomalies, counts)
        clean = not reads.wrong
        if clean and not past:
            proved.add("causal")
        if clean and not past and "CyclicCF" not in counts:
            proved.add(_CONVERGENCE)
        try:
            if not _memory(reads, said, anomalies, counts) and clean and not past:
                proved.add(_MEMORY)
        except TooMany as refusal:
            incomplete = str(refusal)
    return judge(
        checker=name,
        asked=asked,
        scope=Causal.judges,
        anomalies=anomalies,
        counts=counts,
        proved=proved,
        subject=f"All {len(reads.session):,} operations",
        incomplete=incomplete,
    )


def _past(
    reads: ReadsFrom, order: Codes, anomalies: list[Anomaly], counts: dict[str, int]
) -> tuple[Orders, bool]:
    """What the causal past says, and whether CC is broken; what breaks it, and what breaks
    convergence, is added."""
    because = "it is in its causal past"
    found = violations_of(
        reads,
        Visibility.PAST,
        order,
        early="WriteCOInitRead",
        cyclic="CyclicCF",
        because=because,
    )
    anomalies += found.anomalies
    counts.update(found.counts)
    later = np.flatnonzero(found.said.later)
    if len(later):
        only = replace(
            found.said,
            before=found.said.before[later],
            read=found.said.read[later],
            later=found.said.later[later],
        )
        cycles = violations_of(
            reads,
            Visibility.PAST,
            order,
            early="WriteCOInitRead",
            cyclic="WriteCORead",
            because=because,
            said=only,
        )
        anomalies += cycles.anomalies
        counts["WriteCORead"] = len(later)
    return found.said, bool(len(later) or "WriteCOInitRead" in counts)


def _memory(
    reads: ReadsFrom, said: Orders, anomalies: list[Anomaly], counts: dict[str, int]
) -> bool:
    """Whether causal memory is broken; what breaks it is added."""
    broken = 0
    for one in broken_sessions(reads, said):
        broken += 1
        if broken <= _SAMPLES_MAX:
            anomaly = _of_memory(reads, one)
            anomalies.append(anomaly)
            counts[anomaly.name] = counts.get(anomaly.name, 0) + 1
    return broken > 0


def _of_memory(reads: ReadsFrom, broken: Broken) -> Anomaly:
    process = int(reads.transactions.process[np.flatnonzero(reads.session == broken.session)[0]])
    because = f"it happened before, as process {process} knows"
    if len(broken.initial):
        write, read = (int(one) for one in broken.initial[0])
        return initial_anomaly(reads, "WriteHBInitRead", write, read, because)
    steps = shortest_cycles(reads, broken.orders)[0]
    return cycle_anomaly(reads, "CyclicHB", steps, because)
