"""Session guarantees: what a client may rely on from one of its operations to the next.

D. Terry et al. (PDIS 1994): *read your writes*, *monotonic reads*, *monotonic writes*, *writes
follow reads*. In the terms of P. Viotti & M. Vukolic (ACM Computing Surveys 2016, 3.4), each makes
some writes visible to a read, and there must be one order of all writes, extending the order of
each process and reads-from, in which no visible write of the key lies after the one returned:

- read your writes: what the process itself wrote before;
- monotonic reads: what it has read before;
- monotonic writes: with a write, what its process wrote before it;
- writes follow reads: with a write, what its process had read before it.

The first three together are PRAM, and all four are causal convergence. Alone, the last two say
little of single reads: a read sees too few keys at once. So it happens that no guarantee is refuted
alone, while together they are; the verdict then says which two, with the operations.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from checkers.causal.cycles import shortest_cycles
from checkers.causal.explain import cycle_anomaly, row_anomaly
from checkers.causal.reads import ReadsFrom, reads_from
from checkers.causal.report import refused, vacuous
from checkers.causal.violations import Violations, violations_of
from checkers.causal.visibility import TooMany, Visibility, causal_order
from checkers.spectrum import judge
from checkers.transactions.columns import Unsupported, ingest
from harness.core.contracts import CheckContext
from harness.core.history import History
from harness.core.options import Option
from harness.core.verdict import Anomaly, Verdict

__all__ = ["Sessions"]

Codes = NDArray[np.int32]

_SAMPLES_MAX = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Guarantee:
    """A model, what its violation is called, and why a write is visible under it."""

    model: str
    anomaly: str
    visibility: Visibility
    because: str


_GUARANTEES = (
    Guarantee(
        model="read-your-writes",
        anomaly="read-your-writes-violation",
        visibility=Visibility.OWN,
        because="its own process had written it",
    ),
    Guarantee(
        model="monotonic-reads",
        anomaly="monotonic-reads-violation",
        visibility=Visibility.READ_BEFORE,
        because="its process had read it before",
    ),
    Guarantee(
        model="monotonic-writes",
        anomaly="monotonic-writes-violation",
        visibility=Visibility.WRITERS,
        because="its process wrote it before what was read",
    ),
    Guarantee(
        model="pram",
        anomaly="pram-violation",
        visibility=Visibility.PRAM,
        because="of its own process, or before what its process had read",
    ),
    Guarantee(
        model="causal-convergence",
        anomaly="CyclicCF",
        visibility=Visibility.PAST,
        because="it is in its causal past",
    ),
)
_EARLY: Mapping[str, str] = {"CyclicCF": "WriteCOInitRead"}


class Sessions:
    """What may a client rely on from one of its operations to the next?"""

    name: ClassVar[str] = "session"
    summary: ClassVar[str] = (
        "read your writes, monotonic reads, monotonic writes and writes follow reads"
    )
    options: ClassVar[tuple[Option, ...]] = ()
    judges: ClassVar[frozenset[str]] = frozenset(
        {
            "read-your-writes",
            "monotonic-reads",
            "monotonic-writes",
            "writes-follow-reads",
            "pram",
            "causal-convergence",
        }
    )

    def check(self, history: History, context: CheckContext) -> Verdict:
        """Valid, invalid with a witness, or unknown. Unless ``context`` asks for one guarantee, the
        verdict is about all four together, which are causal convergence."""
        try:
            reads = reads_from(ingest(history))
            if not len(reads.reader) and not reads.wrong:
                return vacuous(self.name)
            return self._check(reads, context)
        except Unsupported as refusal:
            return refused(self.name, "unsupported", f"Nothing was checked: {refusal}.")
        except (TooMany, MemoryError) as refusal:
            return refused(self.name, "memory", f"Not decided: {refusal}.")
        except Exception as error:  # a checker that crashes must never look like a pass
            text = f"The checker itself crashed ({type(error).__name__}: {error})."
            return refused(self.name, "crash", text)

    def _check(self, reads: ReadsFrom, context: CheckContext) -> Verdict:
        anomalies: list[Anomaly] = []
        counts: dict[str, int] = {}
        for name, pairs in reads.wrong.items():
            pattern = name if name == "internal" else "ThinAirRead"
            for pair in pairs[:_SAMPLES_MAX]:
                one = row_anomaly(reads, name, *map(int, pair))
                anomalies.append(_renamed(one, pattern))
            counts[pattern] = counts.get(pattern, 0) + len(pairs)
        order = causal_order(reads)
        proved: set[str] = set()
        if len(order) < len(reads.session):
            _add_cycles(reads, anomalies, counts)
        else:
            for guarantee in _GUARANTEES:
                found = _violations(reads, guarantee, order)
                if not found.anomalies and not reads.wrong:
                    proved.add(guarantee.model)
                anomalies += found.anomalies
                for name, count in found.counts.items():
                    counts[name] = counts.get(name, 0) + count
            if reads.single and not reads.wrong:
                # A single read returns one write: what its process had read before is before it.
                proved.add("writes-follow-reads")
        return judge(
            checker=self.name,
            asked=context.consistency_model or "causal-convergence",
            scope=self.judges,
            anomalies=anomalies,
            counts=counts,
            proved=proved,
            subject=f"All {len(reads.session):,} operations",
        )


def _violations(reads: ReadsFrom, guarantee: Guarantee, order: Codes) -> Violations:
    return violations_of(
        reads,
        guarantee.visibility,
        order,
        early=_EARLY.get(guarantee.anomaly, guarantee.anomaly),
        cyclic=guarantee.anomaly,
        because=guarantee.because,
    )


def _renamed(anomaly: Anomaly, name: str) -> Anomaly:
    return Anomaly(name=name, sentence=anomaly.sentence, operations=anomaly.operations)


def _add_cycles(reads: ReadsFrom, anomalies: list[Anomaly], counts: dict[str, int]) -> None:
    """The order of processes and reads-from has a cycle: no guarantee has the order that it needs,
    and causality least of all."""
    cycles = shortest_cycles(reads, None)
    for name in ("CyclicCO", *sorted(_BASE)):
        anomalies += [cycle_anomaly(reads, name, steps, "") for steps in cycles]
        counts[name] = len(cycles)


_BASE = frozenset(
    {
        "read-your-writes-violation",
        "monotonic-reads-violation",
        "monotonic-writes-violation",
        "writes-follow-reads-violation",
    }
)
