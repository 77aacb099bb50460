"""Monotonic: a counter that only grows, in the order of the database's own timestamps.

Reads ``increment``, ``inc``, ``add`` and ``read`` that answer with a value and the timestamp at
which the database says it was so: ``{"value": v, "timestamp": t}`` or ``[t, v]``. A list of such
rows (what a final read of a whole table gives) counts row by row. ``read-at`` is a read of the
past: it takes part in the order of timestamps, not in that of its process. Timestamps are numbers,
or strings that are decimal numbers (CockroachDB's). Each key is a counter of its own. (Jepsen's
``monotonic`` tests of CockroachDB and FaunaDB.)

- *timestamp-order*: a greater timestamp with a smaller value, or one timestamp with two values.
- *process-order*: a process saw the value or the timestamp go down.
- *duplicate-value*: two increments that ended with the same value.

>>> # add -> [100, 1], add -> [105, 3], read -> [107, 2]             invalid: timestamp-order
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any, ClassVar

import numpy as np

from checkers.invariants.facts import Bools, Facts, Ints, is_number, show
from checkers.invariants.findings import Findings, vacuous
from harness.core.contracts import CheckContext
from harness.core.history import History
from harness.core.options import Option
from harness.core.verdict import Anomaly, Verdict

__all__ = ["Monotonic"]

_INCREMENTS = ("increment", "inc", "add")
_READS = ("read", "read-at")
_NEEDED = "a value with a timestamp"


class Monotonic:
    """Compares the order of timestamps with that of values. O(n log n)."""

    name: ClassVar[str] = "monotonic"
    summary: ClassVar[str] = "a growing counter grows in the order of the database's timestamps"
    options: ClassVar[tuple[Option, ...]] = ()
    judges: ClassVar[frozenset[str]] = frozenset()

    def check(self, history: History, context: CheckContext) -> Verdict:
        """Invalid with the two operations that contradict each other; unknown without two."""
        facts = Facts(history)
        findings = Findings(facts)
        points = _points(facts, findings)
        _timestamp_order(facts, points, findings)
        _process_order(facts, points, findings)
        _duplicates(facts, points, findings)
        findings.details.update(operations=len(np.unique(points.row)), observations=len(points.row))
        if len(points.row) < 2 or not len(np.unique(points.value)) > 1:
            return vacuous(findings, self.name, "No two values of a counter were seen.")
        return findings.verdict(
            self.name,
            f"All {len(points.row):,} values grow in the order of their timestamps.",
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Points:
    """One row an observation, by operation. ``time`` and ``value`` are ranks among all; ``shown``
    is (timestamp, value) as it was answered; ``single``: the operation answered just this one."""

    row: Ints
    key: Ints
    time: Ints
    value: Ints
    single: Bools
    increment: Bools
    shown: tuple[tuple[Any, Any], ...]


def _points(facts: Facts, findings: Findings) -> _Points:
    operations = facts.operations
    answered = facts.rows(*_INCREMENTS, *_READS)
    rows: list[int] = []
    shown: list[tuple[Any, Any]] = []
    single: list[bool] = []
    strange = []
    for row, value in zip(answered.tolist(), facts.results(answered), strict=True):
        one = _point(value)
        if one is None and isinstance(value, list):
            many = [_point(each) for each in value]
        else:
            many = [one]
        if None in many:
            strange.append(row)
            continue
        shown += [each for each in many if each is not None]
        rows += [row] * len(many)
        single += [one is not None] * len(many)
    findings.malformed(np.array(strange, dtype=np.int64), _NEEDED)
    row = np.array(rows, dtype=np.int64)
    increments = [facts.history.function(name) for name in _INCREMENTS]
    return _Points(
        row=row,
        key=operations.key[row],
        time=_ranks([_number(time) for time, _ in shown]),
        value=_ranks([_number(value) for _, value in shown]),
        single=np.array(single, dtype=bool),
        increment=np.isin(operations.f[row], [code for code in increments if code >= 0]),
        shown=tuple(shown),
    )


def _point(value: Any) -> tuple[Any, Any] | None:
    """Timestamp and value; None for anything else."""
    if isinstance(value, Mapping):
        pair = value.get("timestamp"), value.get("value")
    elif isinstance(value, list) and len(value) == 2:
        pair = value[0], value[1]
    else:
        return None
    return pair if _number(pair[0]) is not None and _number(pair[1]) is not None else None


def _number(value: Any) -> Any:
    if is_number(value):
        return value if math.isfinite(value) else None
    if not isinstance(value, str):
        return None
    try:
        number = Decimal(value)
    except InvalidOperation:
        return None
    return number if number.is_finite() else None


def _ranks(numbers: list[Any]) -> Ints:
    """The place of each among the distinct ones. Python compares integers, floats and decimals
    exactly, where a column of floats would round timestamps of nanoseconds."""
    places = {number: place for place, number in enumerate(sorted(set(numbers)))}
    return np.array([places[number] for number in numbers], dtype=np.int64)


def _timestamp_order(facts: Facts, points: _Points, findings: Findings) -> None:
    # Within one timestamp, descending values: two of them are a descent as well.
    order = np.lexsort((-points.value, points.time, points.key))
    key, value = points.key[order], points.value[order]
    wrong = np.flatnonzero((key[1:] == key[:-1]) & (value[1:] < value[:-1]))
    findings.add(
        "timestamp-order",
        len(wrong),
        (
            _pair(facts, points, "timestamp-order", int(order[at]), int(order[at + 1]))
            for at in wrong.tolist()
        ),
    )


def _process_order(facts: Facts, points: _Points, findings: Findings) -> None:
    past = facts.history.function("read-at")
    rows = np.flatnonzero(points.single & (facts.operations.f[points.row] != past))
    process = facts.operations.process[points.row]
    order = rows[np.lexsort((points.row[rows], points.key[rows], process[rows]))]
    before, after = order[:-1], order[1:]
    same = (process[after] == process[before]) & (points.key[after] == points.key[before])
    down = points.value[after] < points.value[before]
    down |= points.time[after] < points.time[before]
    wrong = np.flatnonzero(same & down)
    findings.add(
        "process-order",
        len(wrong),
        (
            _pair(facts, points, "process-order", int(before[at]), int(after[at]))
            for at in wrong.tolist()
        ),
    )


def _duplicates(facts: Facts, points: _Points, findings: Findings) -> None:
    rows = np.flatnonzero(points.increment & points.single)
    order = rows[np.lexsort((points.row[rows], points.value[rows], points.key[rows]))]
    before, after = order[:-1], order[1:]
    same = points.value[after] == points.value[before]
    wrong = np.flatnonzero(same & (points.key[after] == points.key[before]))
    findings.add(
        "duplicate-value",
        len(wrong),
        (
            _pair(facts, points, "duplicate-value", int(before[at]), int(after[at]))
            for at in wrong.tolist()
        ),
    )


def _pair(facts: Facts, points: _Points, name: str, one: int, other: int) -> Anomaly:
    first, second = int(points.row[one]), int(points.row[other])
    (time, value), (later_time, later) = points.shown[one], points.shown[other]
    sentence = {
        "timestamp-order": f"The counter was {show(value)} at timestamp {show(time)} "
        f"({facts.process(first)}) and {show(later)} at {show(later_time)} "
        f"({facts.process(second)}), although it only grows{facts.on(first)}.",
        "process-order": f"{facts.process(first, start=True)} saw {show(value)} at timestamp "
        f"{show(time)} and afterwards {show(later)} at {show(later_time)}{facts.on(first)}.",
        "duplicate-value": f"Two increments, of {facts.process(first)} and "
        f"{facts.process(second)}, both ended with {show(later)}{facts.on(first)}.",
    }[name]
    return facts.anomaly(name, sentence, (first, second), key=facts.key(first))
