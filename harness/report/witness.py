"""Anomalies with their witness operations looked up in the history."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.core.history import NEVER, History
from harness.core.operation import Type
from harness.core.verdict import Anomaly
from harness.report.clock import Clock, clock_of
from harness.report.faults import FaultView
from harness.report.graph import Graph, draw_graph
from harness.report.tables import Table, tabulate
from harness.report.timeline import Timeline, lay_out
from harness.report.words import OUTCOMES, clean, duration, label, sentence, shorten, show

__all__ = ["AnomalyView", "WitnessOperation", "anomaly_views", "look_up", "window"]

Ints = NDArray[np.int64]

_ANOMALIES_MAX = 25
_TIMELINE_OPERATIONS_MAX = 40
_CONTEXT_OPERATIONS_MAX = 12
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
    clock: Clock

    @property
    def start(self) -> str:
        return self.clock.instant(self.start_ns)

    @property
    def took(self) -> str:
        return "open" if self.end_ns is None else self.clock.length(self.end_ns - self.start_ns)

    @property
    def details(self) -> tuple[tuple[str, str], ...]:
        """What hovering over the operation shows: names and texts."""
        end = (
            f"never certainly{self.given_up and f' (given up after {self.given_up})'}"
            if self.end_ns is None
            else self.clock.instant(self.end_ns) + (self.took and f" (after {self.took})")
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
    """One anomaly, ready to be shown. ``missing`` are witness indices that the history lacks;
    ``others_count`` operations on the same key were under way in the window besides the witness.
    """

    name: str
    sentence: str
    key: str
    operations: tuple[WitnessOperation, ...]
    operations_count: int
    missing: tuple[int, ...]
    others_count: int
    timed: bool
    with_nodes: bool
    timeline: Timeline | None
    graph: Graph | None
    faults_sentence: str
    details: tuple[Table, ...]


def anomaly_views(
    history: History, anomalies: Sequence[Anomaly], faults: Sequence[FaultView], *, first: str = ""
) -> tuple[AnomalyView, ...]:
    """The first anomalies (a page has room for 25), in their order, except that those whose
    sentence is ``first`` come before all others."""
    ordered = sorted(anomalies, key=lambda anomaly: anomaly.sentence != first)
    clock = clock_of(history)
    return tuple(_view(history, anomaly, faults, clock) for anomaly in ordered[:_ANOMALIES_MAX])


def _view(
    history: History, anomaly: Anomaly, faults: Sequence[FaultView], clock: Clock
) -> AnomalyView:
    rows, missing = look_up(history, anomaly.operations)
    with_key = len({int(history.operations.key[row]) for row in rows}) > 1

    def operation(row: int) -> WitnessOperation:
        return _operation(history, row, clock, with_key=with_key)

    # The last ones: that is where no order can go on.
    operations = tuple(operation(row) for row in rows[-_TABLE_OPERATIONS_MAX:])
    drawn = operations[-_TIMELINE_OPERATIONS_MAX:]
    graph = draw_graph(anomaly.details)
    # A graph says by itself what depends on what; and sessions alone have no order to be drawn.
    around = window(history, rows) if rows and not graph else np.arange(0)
    room = min(_CONTEXT_OPERATIONS_MAX, _TIMELINE_OPERATIONS_MAX - len(drawn))
    context = tuple(operation(row) for row in sorted(around[:room].tolist()))
    return AnomalyView(
        name=shorten(clean(anomaly.name)),
        sentence=clean(anomaly.sentence),
        key="" if anomaly.key is None else show(anomaly.key),
        operations=operations,
        operations_count=len(rows),
        missing=missing,
        others_count=len(around),
        timed=not clock.ordinal,
        with_nodes=any(one.node for one in operations),
        timeline=(
            lay_out(drawn, faults, context=context, ordinal=clock.ordinal)
            if drawn and history.realtime
            else None
        ),
        graph=graph,
        faults_sentence=_faults_sentence(drawn, faults),
        details=tabulate(_undrawn(anomaly.details) if graph else anomaly.details),
    )


def _undrawn(details: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in details.items() if name != "graph"}


def window(history: History, rows: Sequence[int]) -> Ints:
    """Positions of the other operations that were under way on the same objects between the first
    call and the last return of those at ``rows``: ``int64[n]``, those first that overlap with one
    of the witness, then by their distance from the last of it. Failed ones and those that began
    long before are left out."""
    operations = history.operations
    witness = np.array(rows, dtype=np.int64)
    call, ret = operations.call[witness], operations.ret[witness]
    # What has no certain end counts as long as nothing is known of it: at its call.
    end = np.where(ret == NEVER, call, ret)
    start, stop = int(call.min()), int(end.max())
    others = np.isin(operations.key, operations.key[witness]) & (operations.outcome != Type.FAIL)
    others[witness] = False
    ends = np.where(operations.ret == NEVER, operations.call, operations.ret)
    others &= (operations.call <= stop) & (ends >= start)
    others &= operations.call >= start - (stop - start)
    found = np.flatnonzero(others)
    overlapping = np.zeros(len(found), dtype=bool)
    for one, until in zip(call.tolist(), end.tolist(), strict=True):
        overlapping |= (operations.call[found] <= until) & (ends[found] >= one)
    last = int(np.argmax(end))
    distance = np.maximum(call[last] - ends[found], operations.call[found] - end[last])
    order = np.lexsort((found, np.maximum(distance, 0), ~overlapping))
    return found[order]


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


def _operation(history: History, row: int, clock: Clock, *, with_key: bool) -> WitnessOperation:
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
            took_ns=None if clock.ordinal else took,
            error=error,
            **shown,
        ),
        outcome=OUTCOMES[outcome],
        start_ns=start,
        end_ns=None if outcome == Type.INFO or took is None else start + took,
        given_up="" if took is None or outcome != Type.INFO else clock.length(took),
        value=show(argument),
        result=show(result) if outcome == Type.OK else "",
        key="" if key is None else show(key),
        error="" if error is None else show(error),
        clock=clock,
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
