"""A register whose last writer wins (LWW-register): one value at the end, and the right one.

Every write has a timestamp, and replicas keep the value with the greatest (Johnson & Thomas, RFC
677, 1975; Shapiro et al., INRIA RR-7506, 2011, 3.2.1). Concurrent writes are lost but for one, by
design. So

- all final reads (:mod:`.quiescence`) are equal; else there is a *divergence*;
- without timestamps: the value read at the end was written by a write that no acknowledged write
  certainly followed, which is one that was called after it had returned. Else there is a *lost
  write*: the later one;
- with them (option ``timestamps``: ``write v`` is answered by ``[v, timestamp]``): the value is
  that of the acknowledged write with the greatest timestamp, or of one whose outcome is unknown.
  Clocks that differ may then prefer an earlier write; how often they did is counted;
- any read is of a value that somebody had begun to write (*phantom value*).

How many acknowledged writes are gone although none certainly followed them is counted
(``overwritten_unseen``): what last-writer-wins costs.

Reads ``write v``, ``read -> v`` (null: never written; with timestamps also ``[v, timestamp]``);
each key is a register of its own.

    process 0 writes 1 from 0 to 5 ms, process 1 writes 2 from 8 to 9 ms; at the end everybody reads
    1: a lost write
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from checkers.convergence.elements import Elements
from checkers.convergence.findings import (
    Bools,
    Findings,
    Ints,
    Unsupported,
    guarded,
    option,
    show,
    unknown,
)
from checkers.convergence.quiescence import (
    OPTIONS,
    Quiescence,
    known_quiescence,
    reads_of,
    rows_of,
    why_unread,
)
from checkers.convergence.registers import groups_of, phantoms, written_from
from harness.core.contracts import CheckContext
from harness.core.history import History
from harness.core.operation import Type
from harness.core.options import Option
from harness.core.verdict import Verdict

__all__ = ["LwwRegister"]

_TIMESTAMPS = Option(
    name="timestamps", default=False, summary="writes are answered with [value, timestamp]"
)
_UNWRITTEN = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class _Register:
    """One key. ``value`` and ``read`` are codes of ``values``, 0 for null."""

    findings: Findings
    key: int
    writes: Ints
    value: Ints
    acknowledged: Bools
    stamps: list[Any]
    reads: Ints
    read: Ints
    values: list[Any]
    failed: dict[int, int]


class LwwRegister:
    """All replicas end with one value, that of a write that was not followed by another."""

    name: ClassVar[str] = "lww-register"
    summary: ClassVar[str] = "replicas of a register end alike, with a write that none followed"
    options: ClassVar[tuple[Option, ...]] = (*OPTIONS, _TIMESTAMPS)
    judges: ClassVar[frozenset[str]] = frozenset()

    def check(self, history: History, context: CheckContext) -> Verdict:
        """Invalid for a divergence, a lost write or a phantom value; unknown (``unread``) if a
        register that was written has no final read."""
        return guarded(self.name, lambda: self._check(history, context))

    def _check(self, history: History, context: CheckContext) -> Verdict:
        operations = history.operations
        reads = reads_of(history, context)
        writes = rows_of(history, "write")
        happened = writes & (operations.outcome != Type.FAIL)
        if not reads.any():
            return unknown(self.name, "vacuous", "Nothing was checked: no read succeeded.")
        findings = Findings(history)
        rest = known_quiescence(history, context, reads, happened)
        stamped = bool(option(context, _TIMESTAMPS))
        totals = dict.fromkeys(("overwritten_unseen", "timestamps_against_time"), 0)
        keys, unread = 0, 0
        for rows in groups_of(history, np.flatnonzero(reads | writes)):
            register = _register(findings, rows, reads, stamped)
            phantoms(
                findings,
                rows=register.reads,
                codes=register.read,
                since=_since(register),
                values=register.values,
                failed=register.failed,
            )
            keys += 1
            final = np.flatnonzero(np.isin(register.reads, [] if rest is None else rest.final))
            if rest is not None and len(final):
                _end(register, rest, final, totals)
            unread += bool(len(register.writes)) and not len(final)
        findings.unread("how registers ended", unread, keys, why_unread(rest))
        final_reads = 0 if rest is None else len(rest.final)
        return findings.verdict(
            self.name,
            f"On {keys:,} key{'s' if keys > 1 else ''} all {final_reads:,} final reads agree, on "
            "the value of a write that none followed.",
            {
                "keys": keys,
                "writes": int(happened.sum()),
                "reads": int(reads.sum()),
                "final_reads": final_reads,
                **totals,
            },
        )


def _register(findings: Findings, rows: Ints, reads: Bools, stamped: bool) -> _Register:
    history = findings.history
    operations = history.operations
    read, outcome = rows[reads[rows]], operations.outcome
    tried = rows[~reads[rows]]
    writes = tried[outcome[tried] != Type.FAIL]
    failed = tried[outcome[tried] == Type.FAIL]
    elements = Elements((None,))

    def codes(columns: Ints, *, split: bool = False) -> Ints:
        values = [history.values[code] for code in columns.tolist()]
        if split:
            values = [
                value[0] if isinstance(value, list) and len(value) == 2 else value
                for value in values
            ]
        return elements.codes(values)

    return _Register(
        findings=findings,
        key=int(operations.key[rows[0]]),
        writes=writes,
        value=codes(operations.argument[writes]),
        acknowledged=outcome[writes] == Type.OK,
        stamps=_stamps(history, writes) if stamped else [],
        reads=read,
        read=codes(operations.result[read], split=stamped),
        values=elements.values,
        failed=dict(zip(codes(operations.argument[failed]).tolist(), failed.tolist(), strict=True)),
    )


def _stamps(history: History, writes: Ints) -> list[Any]:
    """The timestamp of each write, None where nobody heard of it. Raises :class:`Unsupported`."""
    operations = history.operations
    stamps: list[Any] = []
    for row in writes.tolist():
        if operations.outcome[row] != Type.OK:
            stamps.append(None)
            continue
        value = history.values[int(operations.result[row])]
        if not (isinstance(value, list) and len(value) == 2):
            raise Unsupported(f"the answer {show(value)} of a write is not [value, timestamp]")
        stamps.append(_comparable(value[1]))
    return stamps


def _comparable(stamp: Any) -> tuple[Any, ...]:
    """A timestamp in its order: numbers, or lists of numbers and strings (``[counter, node]``)."""
    parts = stamp if isinstance(stamp, list) else [stamp]
    if not parts or not all(
        isinstance(part, int | float | str) and not isinstance(part, bool) for part in parts
    ):
        raise Unsupported(f"{show(stamp)} is no timestamp: a number, a string, or a list of these")
    return tuple((isinstance(part, str), part) for part in parts)


def _since(register: _Register) -> Ints:
    since = written_from(
        register.findings.history, register.writes, register.value, len(register.values)
    )
    since[_UNWRITTEN] = -1  # what is there at first
    return since


def _end(register: _Register, rest: Quiescence, final: Ints, totals: dict[str, int]) -> None:
    """Judges the final reads, at places ``final``."""
    say = register.findings
    operations = say.history.operations
    codes = register.read[final]
    different = np.flatnonzero(codes != codes[0])
    if len(different) and rest.settled[register.key]:
        say.diverged(int(register.reads[final[0]]), int(register.reads[final[different[0]]]))
    realtime = say.history.realtime
    sure = np.flatnonzero(register.acknowledged)
    call, ret = operations.call[register.writes], operations.ret[register.writes]
    last_call = call[sure].max(initial=-1) if realtime else -1
    # Maximal: no acknowledged write was called after it had returned.
    maximal = ret >= last_call
    for code in np.unique(codes).tolist():
        place = int(final[np.argmax(codes == code)])
        mine = register.value == code
        if not mine.any() and code != _UNWRITTEN:
            continue  # out of nowhere, and reported as such
        if register.stamps:
            _by_stamps(register, place, mine)
        elif not (mine & maximal).any() and len(sure):
            _followed(register, place, mine, int(sure[np.argmax(call[sure])]))
    if len(different):
        return
    winners = register.value == codes[0]
    seen = np.isin(register.value, register.read)
    lost = register.acknowledged & maximal & ~winners & ~seen
    totals["overwritten_unseen"] += int(lost.sum())
    if register.stamps and winners.any():
        earliest = ret[winners].max()
        totals["timestamps_against_time"] += int(
            (register.acknowledged & ~winners & (call > earliest)).sum()
        )


def _value(register: _Register, place: int) -> str:
    return show(register.values[int(register.read[place])])


def _followed(register: _Register, place: int, mine: Bools, later: int) -> None:
    """The value at the end is not that of the last write: ``later`` came after all that wrote
    it."""
    say, row, write = register.findings, int(register.reads[place]), int(register.writes[later])
    sources = register.writes[mine]
    of = "although it had been there at first" if not len(sources) else "written before that"
    say.report(
        "lost write",
        register.key,
        lambda: (*sources.tolist(), write, row),
        lambda: (
            f"{say.who(row)} read {_value(register, place)} at the end (from {say.called(row)}), "
            f"{of}, but {say.process(write)} had written "
            f"{show(register.values[int(register.value[later])])} later (from "
            f"{say.called(write)} to {say.returned(write)})."
        ),
    )


def _by_stamps(register: _Register, place: int, mine: Bools) -> None:
    """The value at the end is not that of the greatest timestamp."""
    say, row = register.findings, int(register.reads[place])
    known = [at for at, stamp in enumerate(register.stamps) if stamp is not None]
    if not known or (mine & ~register.acknowledged).any():
        return
    greatest = max(register.stamps[at] for at in known)
    best = [at for at in known if register.stamps[at] == greatest]
    if mine[best].any():
        return
    winner = int(register.writes[best[0]])
    say.report(
        "lost write",
        register.key,
        lambda: (*register.writes[mine].tolist(), winner, row),
        lambda: (
            f"{say.who(row)} read {_value(register, place)} at the end (from {say.called(row)}), "
            f"but the greatest timestamp is that of "
            f"{show(register.values[int(register.value[best[0]])])}, written by "
            f"{say.process(winner)}."
        ),
    )
