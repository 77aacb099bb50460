"""Anomalies with their witness operations looked up in the history."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from harness.core.history import History
from harness.core.operation import Type
from harness.core.verdict import Anomaly
from harness.report.faults import FaultView
from harness.report.tables import Table, tabulate
from harness.report.timeline import Timeline, lay_out
from harness.report.words import OUTCOMES, clean, duration, label, sentence, shorten, show

__all__ = ["AnomalyView", "WitnessOperation", "anomaly_views", "look_up"]

_ANOMALIES_MAX = 25
_TIMELINE_OPERATIONS_MAX = 40
_TABLE_OPERATIONS_MAX = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class WitnessOperation:
    """One operation of a witness. ``end_ns`` is None unless it was ``ok`` or ``fail``; ``given_up``
    says when an indeterminate one was given up. ``function`` numbers the function."""

    index: int
    process: int
    node: str
    function: int
    label: str
    sentence: str
    outcome: str
    start_ns: int
    end_ns: int | None
    given_up: str
    value: str
    result: str
    key: str
    error: str

    @property
    def start(self) -> str:
        return f"{self.start_ns / 1e9:.6f} s"

    @property
    def took(self) -> str:
        return "open" if self.end_ns is None else duration(self.end_ns - self.start_ns)

    @property
    def details(self) -> tuple[tuple[str, str], ...]:
        """What hovering over the operation shows: names and texts."""
        end = (
            f"never certainly{self.given_up and f' (given up after {self.given_up})'}"
            if self.end_ns is None
            else f"{self.end_ns / 1e9:.6f} s (after {self.took})"
        )
        rows = (
            ("operation", self.label),
            ("outcome", _OUTCOME_WORDS[self.outcome]),
            ("process", str(self.process)),
            ("node", self.node),
            ("key", self.key),
            ("argument", self.value),
            ("result", self.result),
            ("invoked", self.start),
            ("returned", end),
            ("error", self.error),
            ("index", str(self.index)),
        )
        return tuple(row for row in rows if row[1])


_OUTCOME_WORDS = {
    "ok": "ok (acknowledged)",
    "fail": "fail (certainly did not happen)",
    "info": "info (may or may not have happened)",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class AnomalyView:
    """One anomaly, ready to be shown. ``missing`` are witness indices that the history lacks."""

    name: str
    sentence: str
    key: str
    operations: tuple[WitnessOperation, ...]
    operations_count: int
    missing: tuple[int, ...]
    timeline: Timeline | None
    faults_sentence: str
    details: tuple[Table, ...]


def anomaly_views(
    history: History, anomalies: Sequence[Anomaly], faults: Sequence[FaultView]
) -> tuple[AnomalyView, ...]:
    """The first anomalies (a page has room for 25), in their order."""
    return tuple(_view(history, anomaly, faults) for anomaly in anomalies[:_ANOMALIES_MAX])


def _view(history: History, anomaly: Anomaly, faults: Sequence[FaultView]) -> AnomalyView:
    rows, missing = look_up(history, anomaly.operations)
    keys = {int(history.operations.key[row]) for row in rows}
    operations = tuple(
        _operation(history, row, with_key=len(keys) > 1) for row in rows[:_TABLE_OPERATIONS_MAX]
    )
    drawn = operations[:_TIMELINE_OPERATIONS_MAX]
    return AnomalyView(
        name=shorten(clean(anomaly.name)),
        sentence=clean(anomaly.sentence),
        key="" if anomaly.key is None else show(anomaly.key),
        operations=operations,
        operations_count=len(rows),
        missing=missing,
        timeline=lay_out(drawn, faults) if drawn else None,
        faults_sentence=_faults_sentence(drawn, faults),
        details=tabulate(anomaly.details),
    )


def look_up(history: History, indices: Sequence[int]) -> tuple[list[int], tuple[int, ...]]:
    """Positions in ``history.operations`` of the operations invoked at ``indices`` (the events'
    own indices), in order of invocation; and the indices that invoke no operation."""
    invoked = history.index[history.operations.invocation]
    order = np.argsort(invoked, kind="stable")
    found: list[int] = []
    missing: list[int] = []
    for index in dict.fromkeys(indices):
        place = int(np.searchsorted(invoked, index, sorter=order))
        if place < len(order) and invoked[order[place]] == index:
            found.append(int(order[place]))
        else:
            missing.append(index)
    return sorted(found), tuple(missing)


def _operation(history: History, row: int, *, with_key: bool) -> WitnessOperation:
    operations = history.operations
    outcome = int(operations.outcome[row])
    completion = int(operations.completion[row])
    start = int(operations.call[row])
    took = int(history.time[completion]) - start if completion >= 0 else None
    function = int(operations.f[row])
    f = clean(history.functions[function] or "operation")
    key = history.keys[operations.key[row]]
    node = history.nodes[operations.node[row]]
    argument, result = (
        history.values[column[row]] for column in (operations.argument, operations.result)
    )
    error = history.errors.get(completion) if completion >= 0 else None
    shown = {"f": f, "argument": argument, "result": result, "outcome": outcome}
    return WitnessOperation(
        index=int(history.index[operations.invocation[row]]),
        process=int(operations.process[row]),
        node="" if node is None else clean(node),
        function=function,
        label=label(key=key if with_key else None, **shown),
        sentence=sentence(
            process=int(operations.process[row]),
            node=None if node is None else clean(node),
            key=key,
            took_ns=took,
            error=error,
            **shown,
        ),
        outcome=OUTCOMES[outcome],
        start_ns=start,
        end_ns=None if outcome == Type.INFO or took is None else start + took,
        given_up="" if took is None or outcome != Type.INFO else duration(took),
        value=show(argument),
        result=show(result) if outcome == Type.OK else "",
        key="" if key is None else show(key),
        error="" if error is None else show(error),
    )


def _faults_sentence(operations: Sequence[WitnessOperation], faults: Sequence[FaultView]) -> str:
    """Which faults were in force while the witness operations ran."""
    if not operations:
        return ""
    start = min(operation.start_ns for operation in operations)
    ends = [operation.end_ns for operation in operations if operation.end_ns is not None]
    end = max([*ends, *(operation.start_ns for operation in operations)])
    active = [
        fault
        for fault in faults
        if fault.start_ns <= end and (fault.end_ns is None or fault.end_ns >= start)
    ]
    if active:
        listed = "; ".join(f"{fault.title} ({fault.summary})" for fault in active[:3])
        more = f"; and {len(active) - 3} more" if len(active) > 3 else ""
        return f"In force meanwhile: {listed}{more}."
    before = [fault.end_ns for fault in faults if fault.end_ns is not None and fault.end_ns < start]
    if before:
        return f"No fault was in force; the last one ended {duration(start - max(before))} before."
    return "No fault was in force."
