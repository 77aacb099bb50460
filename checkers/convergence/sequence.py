"""Whether a replicated list (a text, a sequence) has one order, and keeps what was put into it.

The *strong list specification* (Attiya, Burckhardt, Gotsman, Morrison, Yang & Zawirski,
"Specification and Complexity of Collaborative Text Editing", PODC 2016): each read returns elements
that were inserted and not deleted, as far as these are visible to it, each of them once, and there
is one order of *all* elements ever inserted with which every read agrees. RGA guarantees that.
Elements are unique: think of characters with their ids.

- *phantom element*: nobody had begun to insert it by then; *duplicated element*: twice in one read;
- *inconsistent order*: two reads order two elements differently (then not even the weak list
  specification holds); *cyclic order*: no two do, but all reads together have no common order;
- *lost element*: inserted, and not in a final read although nobody deleted it; or a replica once
  had it, and does not have it later;
- *resurrected element*: in a final read although its deletion was acknowledged, or in a read of the
  replica that had deleted it;
- *divergence*: two final reads differ.

Orders are compared over all reads at once: each read gives an edge from every element to the next
one, and a common order exists exactly if that graph has no cycle (:mod:`.list_order`). An insertion
that names the element it comes after adds the edge from that one.

Reads ``insert``, with ``[position, v]``, or ``{"element": v}`` beside ``"position"`` or ``"after"``
(the element that it is put after, directly or not; null: the beginning); ``delete v`` (or
``{"element": v}``); ``read -> [v, ...]``. Each key is a list of its own.

    one read is [1, 2], another [2, 1]: an inconsistent order
"""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from checkers.convergence.findings import (
    Bools,
    Findings,
    guarded,
    show,
    unknown,
)
from checkers.convergence.list_operations import Listed, read_lists
from checkers.convergence.list_order import Conflict, order_conflict
from checkers.convergence.quiescence import (
    OPTIONS,
    Quiescence,
    known_quiescence,
    reads_of,
    replicas,
    rows_of,
    why_unread,
)
from checkers.convergence.registers import groups_of
from harness.core.contracts import CheckContext
from harness.core.history import NEVER, History
from harness.core.operation import Type
from harness.core.options import Option
from harness.core.verdict import Verdict

__all__ = ["Sequence"]

_NOBODY = -1


class Sequence:
    """All reads agree on one order of all elements, and final ones lack none."""

    name: ClassVar[str] = "sequence"
    summary: ClassVar[str] = "replicas of a list agree on one order of all elements, and lose none"
    options: ClassVar[tuple[Option, ...]] = OPTIONS
    judges: ClassVar[frozenset[str]] = frozenset()

    def check(self, history: History, context: CheckContext) -> Verdict:
        """Invalid for orders that contradict each other, for elements lost, resurrected, duplicated
        or out of nowhere, and for a divergence; unknown (``unread``) if a list that was changed has
        no final read."""
        return guarded(self.name, lambda: self._check(history, context))

    def _check(self, history: History, context: CheckContext) -> Verdict:
        operations = history.operations
        reads = reads_of(history, context)
        updates = rows_of(history, "insert", "delete")
        happened = updates & (operations.outcome != Type.FAIL)
        if not reads.any():
            return unknown(self.name, "vacuous", "Nothing was checked: no read succeeded.")
        findings = Findings(history)
        rest = known_quiescence(history, context, reads, happened)
        elements, keys, unread = 0, 0, 0
        for rows in groups_of(history, np.flatnonzero(reads | updates)):
            listed = read_lists(findings, rows, reads)
            _List(listed, rest).judge()
            keys += 1
            elements += len(listed.elements)
            final = rest is not None and len(rest.of(listed.key, history))
            unread += bool(happened[rows].any()) and not final
        findings.unread("whether elements were lost", unread, keys, why_unread(rest))
        final_reads = 0 if rest is None else len(rest.final)
        return findings.verdict(
            self.name,
            f"All {int(reads.sum()):,} reads agree on one order of {elements:,} elements, and the "
            f"{final_reads:,} final ones lack none.",
            {
                "keys": keys,
                "elements": elements,
                "reads": int(reads.sum()),
                "final_reads": final_reads,
                "insertions": int((happened & rows_of(history, "insert")).sum()),
                "deletions": int((happened & rows_of(history, "delete")).sum()),
            },
        )


class _Told:
    """What one replica knows so far: the first operation that told it of an element, and its own
    deletion of it (-1: none)."""

    def __init__(self, count: int) -> None:
        self.first = np.full(count, _NOBODY, dtype=np.int64)
        self.gone = np.full(count, _NOBODY, dtype=np.int64)

    def has(self, row: int, elements: Bools) -> None:
        """The operation at ``row`` had these elements."""
        self.first[elements & (self.first < 0)] = row


class _List:
    """The reads of one list."""

    def __init__(self, listed: Listed, rest: Quiescence | None) -> None:
        history = listed.findings.history
        operations = history.operations
        self.listed, self.say = listed, listed.findings
        self.call, self.ret = operations.call, operations.ret
        self.realtime = history.realtime
        self.replica = replicas(history)
        self.settled = rest is None or bool(rest.settled[listed.key])
        self.final = np.isin(listed.reads, [] if rest is None else rest.final)
        count = len(listed.elements)
        self.sure = np.zeros(count, dtype=bool)
        has = listed.inserted >= 0
        self.sure[has] = operations.outcome[listed.inserted[has]] == Type.OK
        acknowledged = operations.outcome[listed.deleted] == Type.OK
        # The first deletion that may have happened, and one that certainly did.
        self.deletion = np.full(count, _NOBODY, dtype=np.int64)
        self.deletion[listed.deleted_element[::-1]] = listed.deleted[::-1]
        self.deleted = np.full(count, _NOBODY, dtype=np.int64)
        self.deleted[listed.deleted_element[acknowledged]] = listed.deleted[acknowledged]
        self.deletes = dict(
            zip(
                listed.deleted[acknowledged].tolist(),
                listed.deleted_element[acknowledged].tolist(),
                strict=True,
            )
        )

    def judge(self) -> None:
        members = []
        for place, codes in enumerate(self.listed.lists):
            present = np.zeros(len(self.listed.elements), dtype=bool)
            present[codes] = True
            members.append(present)
            if np.count_nonzero(present) < len(codes):
                self._duplicated(place, int(np.argmax(np.bincount(codes))))
            self._phantoms(place, present)
            if self.final[place]:
                self._end(place, present)
        self._sessions(members)
        nothing = np.empty(0, dtype=np.int64)
        orders = [
            codes if np.count_nonzero(present) == len(codes) else nothing
            for codes, present in zip(self.listed.lists, members, strict=True)
        ]
        conflict = order_conflict(orders, self.listed.after)
        if conflict is not None:
            self._disorder(conflict)
        self._divergence()

    def _phantoms(self, place: int, present: Bools) -> None:
        row, inserted = int(self.listed.reads[place]), self.listed.inserted
        early = present & (inserted < 0)
        if self.realtime:
            began = np.where(inserted < 0, NEVER, self.call[np.maximum(inserted, 0)])
            early = early | (present & (began > self.ret[row]))
        for code in np.flatnonzero(early).tolist():
            self._phantom(row, code)

    def _phantom(self, row: int, code: int) -> None:
        say, inserted = self.say, int(self.listed.inserted[code])
        failed = int(self.listed.failed[code])
        why = "which nobody ever inserted"
        if inserted >= 0:
            why = f"before anybody began to insert it (at {say.called(inserted)})"
        elif failed >= 0:
            why = "whose insertion had failed"
        say.report(
            "phantom element",
            self.listed.key,
            lambda: (row, failed) if inserted < 0 <= failed else (row,),
            lambda: f"{say.who(row)} read {self._name(code)} by {say.returned(row)}, {why}.",
            element=self.listed.elements.values[code],
        )

    def _name(self, code: int) -> str:
        return show(self.listed.elements.values[code])

    def _end(self, place: int, present: Bools) -> None:
        """A final read has all that was inserted, but what may have been deleted, and nothing that
        certainly was."""
        for code in np.flatnonzero(self.sure & ~present & (self.deletion < 0)).tolist():
            self._lost(place, code, int(self.listed.inserted[code]))
        gone = present & (self.deleted >= 0) & (self.listed.inserted >= 0)
        for code in np.flatnonzero(gone).tolist():
            effective = [
                row for row, of in self.deletes.items() if of == code and self._was_there(row, code)
            ]
            if effective:
                self._back(place, code, effective[0])

    def _sessions(self, members: list[Bools]) -> None:
        """What a replica has, it keeps until somebody deletes it; what it deleted stays away."""
        listed, inserted = self.listed, self.listed.inserted
        own = inserted[(inserted >= 0) & self.sure]
        who = self.replica[listed.reads]
        for replica in np.unique(who).tolist():
            told = _Told(len(listed.elements))
            mine = np.flatnonzero(who == replica)
            rows = [
                *listed.reads[mine].tolist(),
                *own[self.replica[own] == replica].tolist(),
                *self._deletions_at(replica),
            ]
            place_of = dict(zip(listed.reads.tolist(), range(len(listed.reads)), strict=True))
            pending = sorted(rows, key=lambda row: int(self.ret[row]), reverse=True)
            for place in mine.tolist():
                row = int(listed.reads[place])
                while pending and self.ret[pending[-1]] < self.call[row]:
                    before = pending.pop()
                    if before in place_of:
                        told.has(before, members[place_of[before]])
                    elif before in self.deletes:
                        told.gone[self.deletes[before]] = before
                    else:
                        told.has(before, inserted == before)
                self._kept(place, told, members[place])

    def _deletions_at(self, replica: int) -> list[int]:
        return [row for row in self.deletes if self.replica[row] == replica]

    def _kept(self, place: int, told: _Told, present: Bools) -> None:
        row, inserted = int(self.listed.reads[place]), self.listed.inserted
        lost = (told.first >= 0) & ~present & ~self._begun(row)
        for code in np.flatnonzero(lost).tolist():
            self._lost(place, code, int(inserted[code]), int(told.first[code]))
        told.first[lost] = _NOBODY  # say it once
        if self.final[place]:
            return  # what is back at the end is said already
        for code in np.flatnonzero((told.gone >= 0) & present & (inserted >= 0)).tolist():
            if self._was_there(int(told.gone[code]), code):
                self._back(place, code, int(told.gone[code]))

    def _begun(self, row: int) -> Bools:
        """The elements that somebody may have deleted by the return of a read."""
        if not self.realtime:
            return np.asarray(self.deletion >= 0)
        began = np.where(self.deletion < 0, NEVER, self.call[np.maximum(self.deletion, 0)])
        return np.asarray(began <= self.ret[row])

    def _was_there(self, deleted: int, code: int) -> bool:
        """Whether the deletion was not over before the insertion began: then it may have deleted
        nothing."""
        inserted = int(self.listed.inserted[code])
        return not self.realtime or bool(self.ret[deleted] >= self.call[inserted])

    def _lost(self, place: int, code: int, inserted: int, before: int | None = None) -> None:
        say, row = self.say, int(self.listed.reads[place])
        when = " at the end" if before is None else ""
        source = f"{say.process(inserted)} had inserted"
        if before is not None and before != inserted:
            source = f"it had read by {say.returned(before)}"
        say.report(
            "lost element",
            self.listed.key,
            lambda: [one for one in (inserted, before, row) if one is not None and one >= 0],
            lambda: (
                f"{say.who(row)} read a list{when} (from {say.called(row)}) without "
                f"{self._name(code)}, which {source}, and which nobody had deleted."
            ),
            element=self.listed.elements.values[code],
        )

    def _back(self, place: int, code: int, deleted: int) -> None:
        say, row = self.say, int(self.listed.reads[place])
        when = " at the end" if self.final[place] else ""
        say.report(
            "resurrected element",
            self.listed.key,
            lambda: (int(self.listed.inserted[code]), deleted, row),
            lambda: (
                f"{say.who(row)} read {self._name(code)}{when} (from {say.called(row)}), which "
                f"{say.process(deleted)} had deleted by {say.returned(deleted)}."
            ),
            element=self.listed.elements.values[code],
        )

    def _duplicated(self, place: int, code: int) -> None:
        say, row = self.say, int(self.listed.reads[place])
        say.report(
            "duplicated element",
            self.listed.key,
            lambda: (row,),
            lambda: (
                f"{say.who(row)} read {self._name(code)} more than once in one list (from "
                f"{say.called(row)})."
            ),
            element=self.listed.elements.values[code],
        )

    def _disorder(self, conflict: Conflict) -> None:
        say = self.say
        rows = [int(self.listed.reads[place]) for place in conflict.lists]
        inserts = [int(self.listed.inserted[code]) for code in conflict.inserts]
        first, second = (self._name(code) for code in conflict.pair)

        def says() -> str:
            if len(rows) == 2 and not inserts:
                return (
                    f"{say.who(rows[0])} read {first} before {second} (from "
                    f"{say.called(rows[0])}), but {say.who(rows[1])} read {second} before {first} "
                    f"(from {say.called(rows[1])})."
                )
            return (
                f"no order of all elements agrees with these {len(rows):,} reads"
                + (f" and {len(inserts):,} insertions" if inserts else "")
                + f": {first} would have to come before itself."
            )

        say.report(
            "inconsistent order" if len(rows) == 2 and not inserts else "cyclic order",
            self.listed.key,
            lambda: (*rows, *inserts),
            says,
        )

    def _divergence(self) -> None:
        places = np.flatnonzero(self.final).tolist()
        if not places or not self.settled:
            return
        first = places[0]
        for place in places[1:]:
            if not np.array_equal(self.listed.lists[first], self.listed.lists[place]):
                self.say.diverged(int(self.listed.reads[first]), int(self.listed.reads[place]))
                return
