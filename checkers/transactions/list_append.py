"""The list-append checker: which isolation a history of appends and reads of whole lists shows.

What the lists show of the order of appends (:mod:`.versions`) gives dependencies between
transactions (:mod:`.list_append_inference`); cycles of these, and what is wrong without a cycle
(:mod:`.list_append_findings`), rule out consistency models, and their absence proves models
(:mod:`.list_append_proof`). This is the method of Elle (Kingsbury & Alvaro, VLDB 2020).

*Serializable* and its stronger relatives are decided exactly wherever the appends to each key are
unique, *snapshot isolation* but for some orders of appends that nobody saw.

>>> ListAppend().check(history, CheckContext()).sentence  # doctest: +SKIP
'All 1,204 transactions are strict serializable.'
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np

from checkers import lattice
from checkers.linearizable.budget import Limits, usual_memory_bytes
from checkers.spectrum import judge
from checkers.transactions.chains import Chains
from checkers.transactions.columns import Transactions, Unsupported, ingest
from checkers.transactions.cycles import find_cycles
from checkers.transactions.list_append_findings import CASES_MAX, find, strays
from checkers.transactions.list_append_graph import fractured
from checkers.transactions.list_append_inference import Inference, committed, infer
from checkers.transactions.list_append_proof import prove
from checkers.transactions.list_append_words import (
    cycle_in_words,
    findings_in_words,
    fractured_in_words,
)
from checkers.transactions.versions import Versions
from harness.core.contracts import CheckContext
from harness.core.history import History
from harness.core.operation import Type
from harness.core.options import Option
from harness.core.verdict import Anomaly, Validity, Verdict

__all__ = ["ListAppend"]


@dataclass(slots=True)
class _Known:
    """What is known so far: enough for a verdict at any time."""

    anomalies: list[Anomaly] = field(default_factory=list)
    counts: dict[str, int] = field(default_factory=dict)
    proved: frozenset[str] = frozenset()
    incomplete: str = ""
    reason: str = "incomplete"
    transactions: int = 0
    vacuous: bool = False
    details: dict[str, Any] = field(default_factory=dict)


class _Stopped(Exception):
    """A limit was reached before the stage that the text names."""


class ListAppend:
    """Which isolation levels does a history of appends to lists and reads of lists satisfy?

    ``clock`` measures the time limit. It and the memory are looked at between the stages.
    """

    name: ClassVar[str] = "list-append"
    summary: ClassVar[str] = "isolation of transactions that append to lists and read them"
    options: ClassVar[tuple[Option, ...]] = ()
    judges: ClassVar[frozenset[str]] = lattice.ISOLATION

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock

    def check(self, history: History, context: CheckContext) -> Verdict:
        """The verdict on the model asked about (without one: strict serializable, or strong session
        serializable where the history has no real time), with all anomalies found, also those that
        it allows. Unknown with ``timeout``, ``memory``, ``vacuous``, ``unsupported``,
        ``ambiguous``, ``incomplete`` or ``crash``."""
        known = _Known()
        limits = Limits(
            deadline_s=self._clock() + context.time_limit_s,
            clock=self._clock,
            memory_bytes=context.memory_limit_bytes or usual_memory_bytes(),
        )
        asked = context.consistency_model or (
            "strict-serializable" if history.realtime else "strong-session-serializable"
        )
        try:
            asked = lattice.canonical(asked)
            self._look(history, known, asked, limits)
        except Unsupported as refusal:
            return self._unknown("unsupported", f"Nothing was checked: {refusal}.")
        except _Stopped as stage:
            which = "memory" if limits.hit == "memory" else "time"
            known.incomplete = f"the limit of {which} was reached before {stage}"
            known.reason = limits.hit or "timeout"
        except MemoryError:
            known.incomplete, known.reason = "the memory did not suffice", "memory"
        except Exception as error:  # a checker that crashes must never look like a pass
            text = f"{type(error).__name__}: {error}"
            return self._unknown("crash", f"The checker itself crashed ({text}).")
        if known.vacuous and not known.anomalies:
            sentence = "Nothing was checked: no read that succeeded could have seen an append."
            return self._unknown("vacuous", sentence, known.details)
        return judge(
            checker=self.name,
            asked=asked,
            scope=self.judges,
            anomalies=known.anomalies,
            counts=known.counts,
            proved=known.proved,
            subject=f"All {known.transactions:,} transactions",
            incomplete=known.incomplete,
            reason=known.reason,
            details=known.details,
        )

    def _look(self, history: History, known: _Known, asked: str, limits: Limits) -> None:
        def before(stage: str) -> None:
            if limits.reached():
                raise _Stopped(stage)

        transactions = ingest(history)
        before("the lists were compared")
        versions = Versions.of(transactions)
        known.vacuous = _vacuous(versions)
        before("the transactions were looked at")
        chains = Chains.of(versions)
        stray = strays(versions)
        findings = tuple(find(chains, stray))
        known.counts.update((finding.name, finding.count) for finding in findings)
        known.anomalies.extend(findings_in_words(chains, findings))
        certain = committed(versions, stray)
        known.transactions = int(certain.sum())
        known.details.update(_details(transactions, versions, known.transactions))
        before("the dependencies were inferred")
        inference = infer(chains, stray)
        known.details["dependencies"] = len(inference.dependencies.source)
        before("cycles were looked for")
        report = find_cycles(inference.dependencies)
        known.counts.update(report.counts)
        known.anomalies.extend(
            cycle_in_words(versions, inference.dependencies, cycle) for cycle in report.cycles
        )
        if "G-single" in report.counts:
            _add_fractured(known, versions, inference)
        known.incomplete, known.reason = _incomplete(versions, inference)
        if known.incomplete or known.vacuous:
            return
        before("it was proved what holds")
        proof = prove(transactions, inference, report, known.counts, {*self.judges, asked})
        known.proved = proof.proved
        if proof.contested:
            known.incomplete = (
                f"{proof.contested:,} appends that no read shows could have come in any order"
            )

    def _unknown(
        self, reason: str, sentence: str, details: Mapping[str, Any] | None = None
    ) -> Verdict:
        return Verdict(
            checker=self.name,
            validity=Validity.UNKNOWN,
            reason=reason,
            sentence=sentence,
            details=details or {},
        )


def _add_fractured(known: _Known, versions: Versions, inference: Inference) -> None:
    seen, missed = fractured(inference.dependencies)
    if len(seen):
        known.counts["fractured-read"] = len(seen)
        known.anomalies.extend(
            fractured_in_words(versions, inference.dependencies, *edges)
            for edges in zip(seen[:CASES_MAX].tolist(), missed[:CASES_MAX].tolist(), strict=True)
        )


def _vacuous(versions: Versions) -> bool:
    """Whether no read showed an element, and none was of a key that anybody appended to."""
    transactions = versions.transactions
    rows = versions.appends.rows
    appended = np.zeros(len(transactions.keys), dtype=bool)
    appended[transactions.key[rows]] = True
    reads = versions.reads
    return not (len(versions.value) or appended[transactions.key[reads]].any())


def _incomplete(versions: Versions, inference: Inference) -> tuple[str, str]:
    """Why what was not found may still be there, and the word for it; empty if it may not."""
    transactions, ambiguous = versions.transactions, versions.appends.ambiguous
    if len(ambiguous):
        row = int(ambiguous[0])
        value, key = (
            transactions.values[transactions.value[row]],
            transactions.keys[transactions.key[row]],
        )
        more = f" ({len(ambiguous):,} appends are of such values)" if len(ambiguous) > 2 else ""
        return (
            f"{value!r} was appended to {key!r} more than once, so that nobody can tell whose it "
            f"is: appends to one key must be unique{more}",
            "ambiguous",
        )
    if not inference.complete:
        return "too many reads missed too many appends for all of their dependencies", "incomplete"
    if len(versions.others):
        return "reads that contradict each other leave the order of appends open", "incomplete"
    return "", "incomplete"


def _details(transactions: Transactions, versions: Versions, committed_: int) -> dict[str, Any]:
    outcome = transactions.outcome
    used = np.zeros(len(transactions.keys), dtype=bool)
    used[transactions.key] = True
    return {
        "transactions": committed_,
        "indeterminate": int((outcome == Type.INFO).sum()),
        "failed": int((outcome == Type.FAIL).sum()),
        "keys": int(used.sum()),
        "reads": len(versions.reads),
        "appends": len(versions.appends.rows),
        "versions": len(versions.value),
    }
