"""A register that keeps all concurrent writes as siblings (multi-value register).

A write overwrites what its writer knew, and nothing else (DeCandia et al., "Dynamo", SOSP 2007;
Shapiro et al., INRIA RR-7506, 2011, 3.2.2). What a writer knew is what its process had read or
written before (``context=session``, as where clients send what they read with their writes). So at
the end the siblings are exactly the writes that no write has overwritten:

- an acknowledged write that nobody can have overwritten is there, else it is a *lost sibling*;
- one that was certainly overwritten is not, else it is a *resurrected sibling*; nor in any earlier
  read that knows of the overwriting write;
- nothing is there that nobody had begun to write (*phantom value*), and nothing is there twice
  (*duplicated sibling*);
- all final reads are equal, else there is a *divergence*.

Where replicas add what they have received to what a writer knew (``context=replica``), any write
that was called before another had returned may have been overwritten by it. Then a missing write is
lost only if no sibling at the end can have overwritten it, directly or through others.

A write of unknown outcome took effect if anybody read it; else it may have, or not.

Values of writes are unique on each key: otherwise nothing is decided. Reads ``write v`` and
``read -> [v, ...]`` (null: none); each key is a register of its own.

    process 0 writes 1 and process 1 writes 2, neither having read: at the end both are there
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from checkers.convergence.elements import Elements, items_of
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

__all__ = ["MvRegister"]

_CONTEXT = Option(
    name="context",
    default="session",
    choices=("session", "replica"),
    summary="a write overwrites what its process knew, or also what its replica may have received",
)
_NOBODY = -1


class MvRegister:
    """The siblings at the end are the writes that no write has overwritten."""

    name: ClassVar[str] = "mv-register"
    summary: ClassVar[str] = "concurrent writes survive as siblings until somebody overwrites them"
    options: ClassVar[tuple[Option, ...]] = (*OPTIONS, _CONTEXT)
    judges: ClassVar[frozenset[str]] = frozenset()

    def check(self, history: History, context: CheckContext) -> Verdict:
        """Invalid for siblings that are lost, resurrected, duplicated or out of nowhere, and for a
        divergence; unknown (``unread``) if a register that was written has no final read."""
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
        exact = option(context, _CONTEXT) == "session"
        keys, unread = 0, 0
        for rows in groups_of(history, np.flatnonzero(reads | writes)):
            register = _register(findings, rows, reads)
            final = np.flatnonzero(np.isin(register.reads, [] if rest is None else rest.final))
            _Siblings(register, final).judge(rest, exact=exact)
            keys += 1
            unread += bool(len(register.writes)) and not len(final)
        findings.unread("which writes survived", unread, keys, why_unread(rest))
        final_reads = 0 if rest is None else len(rest.final)
        return findings.verdict(
            self.name,
            f"On {keys:,} key{'s' if keys > 1 else ''} all {final_reads:,} final reads agree, on "
            "the writes that nobody had overwritten.",
            {
                "keys": keys,
                "writes": int(happened.sum()),
                "reads": int(reads.sum()),
                "final_reads": final_reads,
            },
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Register:
    """One key. The code of a value is the place of its write in ``writes``, as far as there is one;
    ``siblings`` are the codes that each of ``reads`` returned, ascending."""

    findings: Findings
    key: int
    writes: Ints
    acknowledged: Bools
    failed: dict[int, int]
    reads: Ints
    siblings: tuple[Ints, ...]
    values: list[Any]


def _register(findings: Findings, rows: Ints, reads: Bools) -> _Register:
    history = findings.history
    operations = history.operations
    read, tried = rows[reads[rows]], rows[~reads[rows]]
    outcome = operations.outcome[tried]
    writes, failed = tried[outcome != Type.FAIL], tried[outcome == Type.FAIL]
    elements = Elements([history.values[code] for code in operations.argument[writes].tolist()])
    if len(np.unique(operations.argument[writes])) < len(writes):
        raise Unsupported("a value was written more than once on one key")
    of_failed = elements.codes([history.values[c] for c in operations.argument[failed].tolist()])
    found: dict[int, Ints] = {}
    for code in np.unique(operations.result[read]).tolist():
        found[code] = np.sort(elements.codes(items_of(history.values[code])))
    return _Register(
        findings=findings,
        key=int(operations.key[rows[0]]),
        writes=writes,
        acknowledged=operations.outcome[writes] == Type.OK,
        failed=dict(zip(of_failed.tolist(), failed.tolist(), strict=True)),
        reads=read,
        siblings=tuple(found[code] for code in operations.result[read].tolist()),
        values=elements.values,
    )


class _Siblings:
    """Which writes have overwritten which."""

    def __init__(self, register: _Register, final: Ints) -> None:
        operations = register.findings.history.operations
        count = len(register.values)
        self.register, self.final = register, final
        self.call, self.ret = operations.call, operations.ret
        self.effective = np.zeros(count, dtype=bool)
        self.effective[: len(register.writes)] = register.acknowledged
        # What each process knew: of each value, the first of its operations that told it. A process
        # has one operation at a time, so its rows are in order.
        self.process = operations.process
        self.known: dict[int, dict[int, int]] = {}
        for place, row in enumerate(register.writes.tolist()):
            if register.acknowledged[place]:
                self._knows(row, place)
        for row, codes in zip(register.reads.tolist(), register.siblings, strict=True):
            self.effective[codes] = True
            for code in codes.tolist():
                self._knows(row, code)
        self.by = self._overwritten(count)

    def _knows(self, row: int, code: int) -> None:
        mine = self.known.setdefault(int(self.process[row]), {})
        mine[code] = min(mine.get(code, row), row)

    def _overwritten(self, count: int) -> Ints:
        """For each value, the place of an effective write that has overwritten it (-1: none)."""
        by = np.full(count, _NOBODY, dtype=np.int64)
        writers: dict[int, int] = {}
        for place, row in enumerate(self.register.writes.tolist()):
            if self.effective[place]:
                writers[int(self.process[row])] = place  # the last one: it knew most
        for process, place in writers.items():
            for code, row in self.known.get(process, {}).items():
                if row < self.register.writes[place]:
                    by[code] = place
        return by

    def judge(self, rest: Quiescence | None, *, exact: bool) -> None:
        register = self.register
        history = register.findings.history
        places = np.repeat(np.arange(len(register.reads)), [len(s) for s in register.siblings])
        codes = np.concatenate([np.empty(0, dtype=np.int64), *register.siblings])
        since = written_from(
            history, register.writes, np.arange(len(register.writes)), len(register.values)
        )
        rows = register.reads[places]
        # A process has one operation at a time: it reads nothing that it is yet to write, even
        # where the two touch in time.
        source = np.append(register.writes, 0)[np.minimum(codes, len(register.writes))]
        own = (codes < len(register.writes)) & (self.process[rows] == self.process[source])
        phantoms(
            register.findings,
            rows=rows,
            codes=codes,
            since=since,
            values=register.values,
            failed=register.failed,
            too_early=own & (rows < source),
        )
        for place, siblings in enumerate(register.siblings):
            twice = siblings[1:][siblings[1:] == siblings[:-1]]
            if len(twice):
                self._duplicated(place, int(twice[0]))
            self._resurrected(place, siblings, rest)
        if rest is None:
            return
        for place in self.final.tolist():
            missing = np.setdiff1d(
                np.flatnonzero(self.effective[: len(register.writes)]), register.siblings[place]
            )
            for code in missing.tolist():
                self._missing(place, code, exact=exact)
        self._divergence(rest)

    def _resurrected(self, place: int, siblings: Ints, rest: Quiescence | None) -> None:
        """Siblings that a write has overwritten of which the reader knew: one that its process
        knew, or that is a sibling too, or any at the end."""
        register = self.register
        row = int(register.reads[place])
        final = rest is not None and place in self.final
        for code in siblings.tolist():
            if self.by[code] == _NOBODY:
                continue
            if final:
                self._back(place, code, int(self.by[code]))
                continue
            before = [
                other
                for other, told in self.known[int(self.process[row])].items()
                if told < row or other in siblings
            ]
            for other in before:
                if other != code and self._knew(other, code):
                    self._back(place, code, other)
                    break

    def _knew(self, writer: int, code: int) -> bool:
        """Whether the process of the write ``writer`` had known ``code`` before."""
        if writer >= len(self.register.writes):
            return False
        row = int(self.register.writes[writer])
        return self.known.get(int(self.process[row]), {}).get(code, row) < row

    def _missing(self, place: int, code: int, *, exact: bool) -> None:
        if self.by[code] != _NOBODY:
            return
        register = self.register
        siblings = register.siblings[place]
        siblings = siblings[siblings < len(register.writes)]
        if not exact and register.findings.history.realtime:
            ends = self.ret[register.writes[siblings[siblings != code]]]
            if (ends >= self.call[register.writes[code]]).any():
                return
        elif not exact and len(siblings):
            return
        self._lost(place, code)

    def _lost(self, place: int, code: int) -> None:
        register, say = self.register, self.register.findings
        row, write = int(register.reads[place]), int(register.writes[code])
        # A write of unknown outcome took effect, for somebody read it.
        seen = [
            int(read)
            for read, codes in zip(register.reads, register.siblings, strict=True)
            if code in codes
        ]
        shown = [] if register.acknowledged[code] else seen[:1]
        others = register.writes[
            register.siblings[place][register.siblings[place] < len(register.writes)]
        ]
        say.report(
            "lost sibling",
            register.key,
            lambda: (write, row, *shown, *others.tolist()),
            lambda: (
                f"{say.who(row)} read {show(say.result(row))} at the end (from {say.called(row)}) "
                f"without {show(register.values[code])}, which {say.process(write)} had written "
                f"(from {say.called(write)}), and which nobody can have overwritten."
            ),
            value=register.values[code],
        )

    def _back(self, place: int, code: int, writer: int) -> None:
        register, say = self.register, self.register.findings
        row, write = int(register.reads[place]), int(register.writes[writer])
        knew = self.known[int(self.process[write])][code]
        shown = self._evidence(row, writer)
        say.report(
            "resurrected sibling",
            register.key,
            lambda: (
                (int(register.writes[code]), knew, write, row, *shown)
                if code < len(register.writes)
                else (knew, write, row, *shown)
            ),
            lambda: (
                f"{say.who(row)} read {show(register.values[code])} (from {say.called(row)}), "
                f"which {say.process(write)} had known (by {say.returned(knew)}) when it wrote "
                f"{show(register.values[writer])}."
            ),
            value=register.values[code],
        )

    def _evidence(self, row: int, writer: int) -> list[int]:
        """How it is known that the write took effect, and that the reader knew of it."""
        register = self.register
        told = self.known.get(int(self.process[row]), {}).get(writer)
        shown = [] if told is None else [told]
        if not register.acknowledged[writer]:
            shown += [
                int(read)
                for read, codes in zip(register.reads, register.siblings, strict=True)
                if writer in codes
            ][:1]
        return shown

    def _duplicated(self, place: int, code: int) -> None:
        say, row = self.register.findings, int(self.register.reads[place])
        say.report(
            "duplicated sibling",
            self.register.key,
            lambda: (row,),
            lambda: (
                f"{say.who(row)} read {show(self.register.values[code])} more than once in one "
                f"answer (from {say.called(row)})."
            ),
        )

    def _divergence(self, rest: Quiescence) -> None:
        register, say = self.register, self.register.findings
        if not len(self.final) or not rest.settled[register.key]:
            return
        first = int(self.final[0])
        for place in self.final.tolist():
            if not np.array_equal(register.siblings[place], register.siblings[first]):
                say.diverged(int(register.reads[first]), int(register.reads[place]))
                return
