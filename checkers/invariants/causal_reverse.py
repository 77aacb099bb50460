"""Causal reverse: a later write is seen without an earlier one that had already returned.

Reads ``write v`` (or ``insert v``, ``add v``: blind, each value once, none ever removed) and
``read -> [v, ...]`` of all values of a key. If the write of ``a`` returned before that of ``b`` was
invoked, a read that saw ``b`` must have seen ``a``: strict serializability asks for it, while
serializable systems whose clocks drift may break it (Jepsen's ``causal-reverse`` and CockroachDB's
``comments``). Where the history has no real time, the order of each process is taken: what
``sequential`` tests look at.

Of the writes that a read saw, only the one invoked last matters: every write that had returned by
then must be there too, and it is enough to count them. O(values read x log n).

- *causal-reverse*: ``b`` seen without ``a``.
- *unwritten-value*: a value that nobody wrote, or whose write had failed.

>>> # write 1 ok, then write 2 ok; read -> [2]                          invalid: causal-reverse
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from checkers.invariants.facts import Bools, Facts, Ints, show
from checkers.invariants.findings import Findings, vacuous
from harness.core.contracts import CheckContext
from harness.core.history import NEVER, History, Interner
from harness.core.operation import Type
from harness.core.options import Option
from harness.core.verdict import Anomaly, Verdict

__all__ = ["CausalReverse"]

_WRITES = ("write", "insert", "add")


class CausalReverse:
    """Finds reads that saw a write, but not one that had returned before it began."""

    name: ClassVar[str] = "causal-reverse"
    summary: ClassVar[str] = "no write is seen without those that had returned before it began"
    options: ClassVar[tuple[Option, ...]] = ()
    judges: ClassVar[frozenset[str]] = frozenset()

    def check(self, history: History, context: CheckContext) -> Verdict:
        """Invalid with the read and both writes; unknown if no read saw anything."""
        facts = Facts(history)
        findings = Findings(facts)
        seen = _seen(facts, findings)
        _reversed(facts, seen, findings)
        findings.details.update(writes=int(seen.certain.sum()), reads=seen.reads)
        if not len(seen.write):
            return vacuous(findings, self.name, "No read saw a write.")
        return findings.verdict(
            self.name, f"All {seen.reads:,} reads saw writes only with those before them."
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Seen:
    """Writes of values that were written once, in order of invocation, and who saw them.

    Of each write: its ``row``; its ``lane`` (the writes that are ordered among each other: of one
    key, or of one process on it); ``call`` and ``ret`` in the lane's order; whether it is
    ``certain``; its ``value``. Of each sighting: the ``read`` (a row) and the ``write``
    (a position), sorted, each once.
    """

    row: Ints
    lane: Ints
    call: Ints
    ret: Ints
    certain: Bools
    value: tuple[Any, ...]
    read: Ints
    write: Ints
    reads: int


def _seen(facts: Facts, findings: Findings) -> _Seen:
    operations = facts.operations
    names = Interner()
    width = len(facts.history.keys)

    def items(rows: Ints, values: list[Any]) -> Ints:
        codes = np.array(names.codes(values), dtype=np.int64)
        return codes * width + operations.key[rows]

    written = facts.rows(*_WRITES, outcomes=(Type.OK, Type.INFO))
    written_item = items(written, facts.arguments(written))
    item, first, times = np.unique(written_item, return_index=True, return_counts=True)
    if (times > 1).any():
        findings.doubt(
            "repeated-values",
            f"{int((times > 1).sum()):,} values were written more than once: which write a read "
            "saw cannot be told.",
        )
    reads = facts.rows("read")
    lists = facts.results(reads)
    whole = np.array([isinstance(one, list) for one in lists], dtype=bool)
    findings.malformed(reads[~whole], "a list of values")
    reads, lists = reads[whole], [one for one in lists if isinstance(one, list)]
    read = np.repeat(reads, [len(one) for one in lists])
    values = [value for one in lists for value in one]
    read_item = items(read, values)
    at = np.searchsorted(item, read_item)
    known = np.zeros(len(read), dtype=bool)
    if len(item):
        known = item[np.minimum(at, len(item) - 1)] == read_item
    strange = np.flatnonzero(~known)
    findings.add("unwritten-value", len(strange), _unwritten(facts, read, values, strange))
    # Writes in order of invocation; sightings of those that were written once.
    single = np.sort(first[times == 1])
    place = np.full(len(written), -1, dtype=np.int64)
    place[single] = np.arange(len(single))
    sighting = place[first[at[known]]] if len(item) else np.zeros(0, dtype=np.int64)
    read = read[known][sighting >= 0]
    sighting = sighting[sighting >= 0]
    order = np.lexsort((sighting, read))
    read, sighting = read[order], sighting[order]
    fresh = np.ones(len(read), dtype=bool)
    fresh[1:] = (read[1:] != read[:-1]) | (sighting[1:] != sighting[:-1])
    row = written[single]
    lane, call, ret = _order(facts, row)
    return _Seen(
        row=row,
        lane=lane,
        call=call,
        ret=ret,
        certain=operations.outcome[row] == Type.OK,
        value=tuple(facts.arguments(row)),
        read=read[fresh],
        write=sighting[fresh],
        reads=len(reads),
    )


def _order(facts: Facts, row: Ints) -> tuple[Ints, Ints, Ints]:
    """The lane of each write, and its interval in it."""
    operations = facts.operations
    if facts.history.realtime:
        return operations.key[row], operations.call[row], operations.ret[row]
    process = np.unique(operations.process[row], return_inverse=True)[1]
    lane = operations.key[row] * (len(row) + 1) + process
    # One process invokes one after another: the order of rows is its own.
    certain = operations.outcome[row] == Type.OK
    return lane, 2 * row, np.where(certain, 2 * row + 1, NEVER)


def _reversed(facts: Facts, seen: _Seen, findings: Findings) -> None:
    if not len(seen.write):
        return
    lanes, lane = np.unique(seen.lane, return_inverse=True)
    # Sightings grouped by read and lane; of each group the latest invocation.
    group = seen.read * len(lanes) + lane[seen.write]
    order = np.argsort(group, kind="stable")
    group, write = group[order], seen.write[order]
    starts = np.flatnonzero(np.append(True, group[1:] != group[:-1]))
    latest = np.maximum.reduceat(seen.call[write], starts)
    member = np.repeat(np.arange(len(starts)), np.diff(np.append(starts, len(group))))
    # How many writes of the lane had certainly returned before that, and how many of those it saw.
    ended = np.flatnonzero(seen.certain)
    ended = ended[np.lexsort((seen.ret[ended], lane[ended]))]
    base = np.searchsorted(lane[ended], np.arange(len(lanes)))
    expected = _ended_before(lane[ended], seen.ret[ended], lane[write[starts]], latest, base)
    early = seen.certain[write] & (seen.ret[write] < latest[member])
    found = np.bincount(member[early], minlength=len(starts))
    wrong = np.flatnonzero(found < expected)
    findings.add(
        "causal-reverse",
        len(wrong),
        (
            _reverse(
                facts,
                seen,
                int(group[starts[at]] // len(lanes)),
                write[member == at],
                ended[base[lane[write[starts[at]]]] :][: int(expected[at])],
            )
            for at in wrong.tolist()
        ),
    )


def _ended_before(lane: Ints, ret: Ints, wanted: Ints, bound: Ints, base: Ints) -> Ints:
    """How many rows of ``(lane, ret)``, sorted, are of each ``wanted`` lane and below its bound."""
    # One search over both: rank the times, so that lane and time fit into one number.
    times = np.unique(ret)
    scale = len(times) + 1
    keyed = lane * scale + np.searchsorted(times, ret)
    limit = wanted * scale + np.searchsorted(times, bound)
    return np.searchsorted(keyed, limit) - base[wanted]


def _reverse(facts: Facts, seen: _Seen, read: int, saw: Ints, ended: Ints) -> Anomaly:
    missing = ended[~np.isin(ended, saw)]
    late = int(saw[np.argmax(seen.call[saw])])
    gone = int(missing[0])
    a, b = int(seen.row[gone]), int(seen.row[late])
    return facts.anomaly(
        "causal-reverse",
        f"{facts.process(read, start=True)} saw {show(seen.value[late])} but not "
        f"{show(seen.value[gone])}{facts.on(read)} (by {facts.returned(read)}), although the write "
        f"of {show(seen.value[gone])} by {facts.process(a)} had returned (at {facts.returned(a)}) "
        f"before that of {show(seen.value[late])} by {facts.process(b)} was invoked (at "
        f"{facts.called(b)}).",
        (read, a, b),
        key=facts.key(read),
        missing=len(missing),
    )


def _unwritten(facts: Facts, read: Ints, values: list[Any], strange: Ints) -> Iterator[Anomaly]:
    failed = facts.rows(*_WRITES, outcomes=(Type.FAIL,))
    refused = facts.arguments(failed)
    for at in strange.tolist():
        row, value = int(read[at]), values[at]
        vain = [
            put
            for put, one in zip(failed.tolist(), refused, strict=True)
            if one == value and facts.key(put) == facts.key(row)
        ]
        why = (
            f"whose write by {facts.process(vain[0])} had failed" if vain else "which nobody wrote"
        )
        yield facts.anomaly(
            "unwritten-value",
            f"{facts.process(row, start=True)} read {show(value)}{facts.on(row)}, {why}.",
            (row, *vain),
            key=facts.key(row),
            value=value,
        )
