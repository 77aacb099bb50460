"""Registers read and written by transactions: the strongest model that the history satisfies.

Where Elle infers what it can and takes the rest for valid, this checker decides. Anomalies with a
name are looked for first: those of single transactions (:mod:`.rw_register_accesses`), then cycles
over what is known of the order of versions (:mod:`.rw_register_inference`). For what these leave
open, :mod:`.solver` finds an order of all transactions, or proves that there is none; and a valid
verdict always rests on such an order, which was verified.

Written values should be unique for each key. Where they are not, a read may have several
candidates, and the search tries them all.

>>> from checkers.transactions.rw_register import RwRegister
>>> RwRegister.name
'rw-register'
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import ClassVar

import msgspec
import numpy as np

from checkers import lattice
from checkers.causal.levels import judge_levels
from checkers.causal.visibility import TooMany
from checkers.linearizable.budget import Limits, usual_memory_bytes
from checkers.spectrum import judge
from checkers.transactions import rw_register_explain as explain
from checkers.transactions.columns import Transactions, Unsupported, ingest
from checkers.transactions.cycles import find_cycles
from checkers.transactions.polygraph import Order, Polygraph, Question, polygraph
from checkers.transactions.polygraph_shrink import shrink
from checkers.transactions.rw_register_accesses import AMBIGUOUS, Accesses
from checkers.transactions.rw_register_inference import Inference, infer, lost_updates
from checkers.transactions.rw_register_uncertain import accesses_of
from checkers.transactions.rw_register_versions import (
    Assumptions,
    VersionOrder,
    read_version_order,
    version_order,
)
from checkers.transactions.solver import Decision, decide
from harness.core.contracts import CheckContext
from harness.core.history import History
from harness.core.operation import Type
from harness.core.options import Option
from harness.core.verdict import Anomaly, Validity, Verdict

__all__ = ["QUESTIONS", "RwRegister"]

QUESTIONS: Mapping[str, Question] = {
    "strict-serializable": Question(order=Order.REALTIME),
    "strong-snapshot-isolation": Question(order=Order.REALTIME, snapshot=True),
    "strong-session-serializable": Question(order=Order.PROCESS),
    "strong-session-snapshot-isolation": Question(order=Order.PROCESS, snapshot=True),
    "serializable": Question(order=Order.NONE),
    "snapshot-isolation": Question(order=Order.NONE, snapshot=True),
}
"""The models that are decided by an order of transactions, those that imply others first."""

_SHOWN_MAX = 10
_SHARE_BEFORE, _SHARE_ASKED, _SHARE_AFTER = 0.15, 0.7, 0.4
"""Of the time that is left, for the models before the one that is asked about, for it, and then."""
_WEAK = frozenset({"read-committed", "read-atomic", "causal"})


@dataclass(slots=True, kw_only=True)
class _Findings:
    """What is known so far."""

    anomalies: list[Anomaly] = field(default_factory=list)
    counts: dict[str, int] = field(default_factory=dict)
    proved: set[str] = field(default_factory=set)
    how: dict[str, str] = field(default_factory=dict)
    undecided: dict[str, str] = field(default_factory=dict)

    def add(self, name: str, count: int, shown: Iterator[Anomaly]) -> None:
        """``count`` anomalies of a name, of which the first few are shown."""
        if not count:
            return
        self.counts[name] = self.counts.get(name, 0) + count
        self.anomalies += [one for one, _ in zip(shown, range(_SHOWN_MAX), strict=False)]

    def fallen(self, model: str) -> bool:
        """Whether the model is ruled out already."""
        return model in lattice.ruled_out(self.counts)

    def holds(self, model: str) -> bool:
        """Whether the model is proved, or implied by one that is."""
        return any(model in lattice.implied(one) for one in self.proved)


class RwRegister:
    """Which isolation do transactions on registers show? ``clock`` measures the time limit."""

    name: ClassVar[str] = "rw-register"
    summary: ClassVar[str] = "isolation of transactions that read and write registers"
    options: ClassVar[tuple[Option, ...]] = (
        Option(
            name="wfr-keys",
            default=False,
            summary="who reads a version and writes the key writes the next one, in any model",
        ),
        Option(
            name="sequential-keys",
            default=False,
            summary="each process sees the versions of a key in their order",
        ),
        Option(
            name="linearizable-keys",
            default=False,
            summary="each key by itself is linearizable",
        ),
        Option(
            name="version-order",
            default="",
            summary='the versions of keys in their order, as JSON: {"x": [1, 2]}',
        ),
        Option(
            name="initial",
            default="null",
            summary="what every key holds in the beginning, as JSON",
        ),
    )
    judges: ClassVar[frozenset[str]] = lattice.ISOLATION | _WEAK

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock

    def check(self, history: History, context: CheckContext) -> Verdict:
        """Invalid with the proof, valid with an order verified; unknown with ``incomplete``,
        ``timeout``, ``too-large``, ``vacuous``, ``unsupported`` or ``crash``."""
        try:
            return self._check(history, context)
        except Unsupported as refusal:
            return self._unknown("unsupported", f"Nothing was checked: {refusal}.")
        except Exception as error:  # a checker that crashes must never look like a pass
            text = f"{type(error).__name__}: {error}"
            return self._unknown("crash", f"The checker itself crashed ({text}).")

    def _check(self, history: History, context: CheckContext) -> Verdict:
        limits = Limits(
            deadline_s=self._clock() + context.time_limit_s,
            clock=self._clock,
            memory_bytes=context.memory_limit_bytes or usual_memory_bytes(),
        )
        options = {option.name: option.default for option in self.options} | dict(context.options)
        strongest = "strict-serializable" if history.realtime else "strong-session-serializable"
        asked = lattice.canonical(context.consistency_model or strongest)
        assumptions = Assumptions(
            writes_follow_reads=bool(options["wfr-keys"]),
            sequential=bool(options["sequential-keys"]),
            linearizable=bool(options["linearizable-keys"]) and history.realtime,
            supplied=read_version_order(str(options["version-order"])),
        )
        transactions = ingest(history)
        if not ((transactions.outcome == Type.OK) & (np.diff(transactions.first) > 0)).any():
            return self._unknown("vacuous", "Nothing was checked: no transaction succeeded.")
        found = accesses_of(transactions, initial=_initial(transactions, str(options["initial"])))
        if not len(found.read_row) and not found.wrong:
            return self._unknown("vacuous", "Nothing was checked: no transaction read anything.")
        findings = _Findings()
        _local(found, findings)
        order = version_order(found, assumptions)
        inference = infer(found, order, realtime=history.realtime)
        _named(found, order, inference, assumptions, findings)
        self._decide(
            found=found,
            inference=inference,
            realtime=history.realtime,
            asked=asked,
            limits=limits,
            findings=findings,
        )
        if not limits.reached():
            _weak(transactions, findings)
        return self._verdict(found, findings, asked, assumptions, history.realtime)

    def _decide(
        self,
        *,
        found: Accesses,
        inference: Inference,
        realtime: bool,
        asked: str,
        limits: Limits,
        findings: _Findings,
    ) -> None:
        """Put the questions that are left to the solver, the strongest model first."""
        graph: Polygraph | None = None
        before = True
        for name, question in QUESTIONS.items():
            # A stronger model may be easier to prove, since less is left to choose.
            share = _SHARE_ASKED if name == asked else _SHARE_BEFORE if before else _SHARE_AFTER
            before = before and name != asked
            if question.order == Order.REALTIME and not realtime:
                continue
            if findings.holds(name) or findings.fallen(name):
                continue
            if graph is None:
                graph = polygraph(
                    found, source=inference.source, target=inference.target, anti=inference.anti
                )
            part = Limits(
                deadline_s=self._clock() + limits.seconds_left() * share,
                clock=self._clock,
                memory_bytes=limits.memory_bytes,
            )
            decision = decide(graph, question, part.reached)
            findings.how[name] = decision.how
            if decision.holds:
                findings.proved.add(name)
            elif decision.holds is False:
                anomaly = _no_order(found, graph, name, decision, limits)
                findings.add(f"not-{name}", 1, iter([anomaly]))
            else:
                findings.undecided[name] = part.hit or decision.reason

    def _verdict(
        self,
        found: Accesses,
        findings: _Findings,
        asked: str,
        assumptions: Assumptions,
        realtime: bool,
    ) -> Verdict:
        transactions = found.transactions
        assumed = list(assumptions.names)
        undecided = sorted(set(findings.undecided.values()))
        incomplete, reason = "", "incomplete"
        if undecided:
            reason = undecided[0]
            incomplete = f"the search for an order was given up ({', '.join(undecided)})"
        elif not realtime and "realtime" in asked_order(asked):
            incomplete = "the history does not say what happened before what in real time"
        given = f", assuming {' and '.join(assumed)}," if assumed else ""
        return judge(
            checker=self.name,
            asked=asked,
            scope=self.judges,
            anomalies=findings.anomalies,
            counts=findings.counts,
            proved=findings.proved,
            subject=f"All {int(found.committed.sum()):,} transactions{given}",
            incomplete=incomplete,
            reason=reason,
            details={
                "transactions": len(transactions),
                "committed": int(found.committed.sum()),
                "indeterminate": int((transactions.outcome == Type.INFO).sum()),
                "keys": len(np.unique(found.version_key)),
                "assumed": assumed,
                "realtime": realtime,
                "ambiguous_reads": int((found.read_writer == AMBIGUOUS).sum()),
                "decided_by": dict(findings.how),
                "undecided": dict(findings.undecided),
            },
        )

    def _unknown(self, reason: str, sentence: str) -> Verdict:
        return Verdict(
            checker=self.name, validity=Validity.UNKNOWN, reason=reason, sentence=sentence
        )


def asked_order(model: str) -> str:
    """``realtime`` for the models that know it, ``process`` for those of sessions, or neither."""
    if model == "strict-serializable" or (
        model.startswith("strong-") and not model.startswith("strong-session-")
    ):
        return "realtime"
    return "process" if model.startswith("strong-session-") else ""


def _initial(transactions: Transactions, text: str) -> int:
    """The position of the initial value among the values; one that does not occur is past them."""
    try:
        value = msgspec.json.decode(text.encode())
    except msgspec.DecodeError:
        value = text
    encode = msgspec.json.Encoder(order="deterministic").encode
    if value is None:
        return 0
    wanted = encode(value)
    return next(
        (
            code
            for code, one in enumerate(transactions.values)
            if type(one) is type(value) and encode(one) == wanted
        ),
        len(transactions.values),
    )


def _local(found: Accesses, findings: _Findings) -> None:
    for name, rows in found.wrong.items():
        shown = (explain.local(found, name, row, other) for row, other in rows.tolist())
        findings.add(name, len(rows), shown)
    lost = lost_updates(found)
    findings.add(
        "lost-update",
        len(lost),
        (explain.lost_update(found, version, readers) for version, readers in lost),
    )


def _named(
    found: Accesses,
    order: VersionOrder,
    inference: Inference,
    assumptions: Assumptions,
    findings: _Findings,
) -> None:
    """Cycles of versions and of transactions; and what their absence proves."""
    cycles = order.cycles
    findings.add(
        "cyclic-versions",
        len(cycles),
        (explain.cyclic_versions(found, versions, assumptions.names) for versions in cycles),
    )
    report = find_cycles(inference.dependencies)
    for name, count in report.counts.items():
        these = (one for one in report.cycles if one.name == name)
        shown = (explain.cycle(found, order, inference.dependencies, one) for one in these)
        findings.add(name, count, shown)
    # Any order of versions will do for read uncommitted; one that is assumed must have no cycle.
    realtime = found.transactions.history.realtime
    weakest = "strong-read-uncommitted" if realtime else "strong-session-read-uncommitted"
    for model in (weakest, "read-uncommitted"):
        needed = lattice.forbidden(model) & {"G0", "G0-process", "G0-realtime"}
        if not findings.fallen(model) and (not assumptions.names or needed <= report.absent):
            findings.proved.add(model)
            break


def _weak(transactions: Transactions, findings: _Findings) -> None:
    """The levels below snapshot isolation that know sessions: read committed, atomic, causal."""
    left = [one for one in _WEAK if not findings.holds(one) and not findings.fallen(one)]
    if not left:
        return
    try:
        report = judge_levels(transactions)
    except (Unsupported, TooMany) as refusal:
        findings.undecided.update(dict.fromkeys(left, str(refusal)))
        return
    realtime = transactions.history.realtime
    for name in [one for one in report.counts if one not in findings.counts]:
        # An order that was verified has the last word. (A non-monotonic view may rest on the order
        # of a process, which monotonic atomic view and what implies it do not know.)
        if realtime and (
            name == "non-monotonic-view" or findings.proved & lattice.ruled_out([name])
        ):
            continue
        shown = (one for one in report.anomalies if one.name == name)
        findings.add(name, report.counts[name], shown)
    # Where only sessions are known, read committed knows them too (a commit-cycle): then what was
    # proved of transactions in any order is not what those models mean there.
    proved = findings.proved | report.holds
    findings.proved = {one for one in proved if not findings.fallen(one)}


def _no_order(
    found: Accesses, graph: Polygraph, name: str, decision: Decision, limits: Limits
) -> Anomaly:
    question = QUESTIONS[name]
    within = decision.within
    assert within is not None
    kept, minimal = shrink(graph, question, within, limits.reached)
    return explain.no_order(found, graph.part(kept), question, f"not-{name}", minimal=minimal)
