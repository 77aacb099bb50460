"""Whether elements that were added to a set stay in it, and how long they took to appear.

Elements are only added, and read all together. An element is *known* once an addition of it was
acknowledged, or a read that contains it returned. From then on a read *misses* it if it began later
and does not contain it. Each element is one of

- *lost*: the last read that misses it began after its last acknowledgement and after every read
  that contains it had returned (a read concurrent with one that contains it may be the older one);
- *stale*: some read missed it, but it was there again, or added again, later;
- *stable*: it was read, and never missed afterwards (a stale one that was read is stable in the
  end, and took until the last read that misses it to become visible);
- *never read*: acknowledged, and no read began after that;
- *uncertain*: nobody acknowledged it, and nobody saw it.

A lost element is an anomaly, and so is one that a read contains twice, one that nobody had begun to
add by then, and one of which every addition failed. A stale one is an anomaly under the option
``linearizable``, which judges elements one by one; the model ``g-set`` of the linearizable checker
decides whether the reads as a whole have an order.

Reads ``add v`` and ``read -> [v, ...]``; each key is a set of its own.

    process 0 adds 1 from 0 to 10 ms; process 1 reads [] from 20 to 30 ms, and never again: lost

After the ``set-full`` checker of Jepsen (``jepsen.checker``), where a read that missed the element
counts as later than one that contains it as soon as it began later.
"""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

from checkers.convergence.element_timeline import Timeline, timeline
from checkers.convergence.figures import figures
from checkers.convergence.findings import Bools, Findings, Ints, guarded, option, show, unknown
from checkers.convergence.quiescence import rows_of
from harness.core.contracts import CheckContext
from harness.core.history import NEVER, History
from harness.core.operation import Type
from harness.core.options import Option
from harness.core.verdict import Verdict

__all__ = ["SetFull"]

_LINEARIZABLE = Option(
    name="linearizable",
    default=False,
    summary="a read that begins after an element is known must contain it",
)
_WORST_MAX = 8
_CLASSES = ("stable", "stale", "lost", "never_read", "uncertain")


class SetFull:
    """Every element that was known is in all later reads, or at least in the last ones."""

    name: ClassVar[str] = "set-full"
    summary: ClassVar[str] = "no element that was added to a set is lost; when each became visible"
    options: ClassVar[tuple[Option, ...]] = (_LINEARIZABLE,)
    judges: ClassVar[frozenset[str]] = frozenset()

    def check(self, history: History, context: CheckContext) -> Verdict:
        """Invalid for an element that is lost, duplicated or unexpected (or stale, if asked);
        unknown (``vacuous``) if no element was read to the end."""
        return guarded(self.name, lambda: self._check(history, context))

    def _check(self, history: History, context: CheckContext) -> Verdict:
        operations = history.operations
        reads = rows_of(history, "read") & (operations.outcome == Type.OK)
        adds = rows_of(history, "add")
        if not reads.any():
            return unknown(self.name, "vacuous", "Nothing was checked: no read succeeded.")
        findings = Findings(history)
        strict = bool(option(context, _LINEARIZABLE))
        totals = dict.fromkeys(("attempted", "acknowledged", *_CLASSES), 0)
        visible: list[Ints] = []
        lost: list[Ints] = []
        worst: list[dict[str, Any]] = []
        order = np.argsort(operations.key, kind="stable")
        order = order[(reads | adds)[order]]
        for rows in np.split(order, np.flatnonzero(np.diff(operations.key[order])) + 1):
            line = timeline(history, rows[adds[rows]], rows[reads[rows]])
            _Elements(findings, line, strict).judge(totals, visible, lost, worst)
        if not history.realtime:
            findings.undecided(
                "unsupported",
                None,
                "whether elements were lost is not known, for the history does not say what "
                "happened before what in real time.",
            )
        elif not totals["stable"]:
            findings.undecided("vacuous", None, "no element was both added and read.")
        worst.sort(key=lambda row: -int(row["took_ns"]))
        return findings.verdict(
            self.name,
            _sentence(totals),
            {
                **totals,
                "reads": int(reads.sum()),
                "keys": len(np.unique(operations.key[reads | adds])),
                "visible_after": figures(_joined(visible), ordinal=history.ordinal),
                "lost_after": figures(_joined(lost), ordinal=history.ordinal),
                "slowest": worst[:_WORST_MAX],
            },
        )


def _joined(parts: list[Ints]) -> Ints:
    return np.concatenate([np.empty(0, dtype=np.int64), *parts])


def _sentence(totals: dict[str, int]) -> str:
    parts = [f"All {totals['stable']:,} elements that were read were there to the end"]
    if totals["stale"]:
        parts.append(f"{totals['stale']:,} appeared only after a read had missed them")
    if totals["never_read"]:
        parts.append(f"{totals['never_read']:,} were acknowledged after the last read")
    return "; ".join(parts) + "."


class _Elements:
    """The elements of one key."""

    def __init__(self, findings: Findings, line: Timeline, strict: bool) -> None:
        self.findings = findings
        self.line = line
        self.strict = strict
        self.realtime = findings.history.realtime

    def judge(
        self,
        totals: dict[str, int],
        visible: list[Ints],
        lost_after: list[Ints],
        worst: list[dict[str, Any]],
    ) -> None:
        """Reports anomalies, and adds to the figures."""
        line = self.line
        legitimate = line.add_call < NEVER
        totals["attempted"] += int(legitimate.sum())
        totals["acknowledged"] += int((line.acknowledged < NEVER).sum())
        self._duplicated()
        self._unexpected(legitimate)
        if not self.realtime:
            return
        seen = (line.seen_ret < NEVER) & legitimate
        known = np.minimum(line.acknowledged, np.where(seen, line.seen_ret, NEVER))
        is_known = known < NEVER
        missed = is_known & (line.absent_call > known)
        last = np.maximum(line.acknowledged_last, line.seen_last)
        lost = missed & (line.absent_call > last)
        stale = missed & ~lost
        stable = seen & ~lost
        classes = {
            "stable": stable,
            "stale": stale,
            "lost": lost,
            "never_read": is_known & ~seen & ~lost,
            "uncertain": legitimate & ~is_known,
        }
        for name, members in classes.items():
            totals[name] += int(members.sum())
        took = np.maximum(line.absent_call - known, 0)
        visible.append(took[stable])
        lost_after.append(np.maximum(line.seen_last - known, 0)[lost])
        self._worst(np.flatnonzero(stable & stale), took, worst)
        self._missing("lost element", np.flatnonzero(lost), last)
        if self.strict:
            self._missing("stale element", np.flatnonzero(stale), known)

    def _worst(self, codes: Ints, took: Ints, worst: list[dict[str, Any]]) -> None:
        for code in codes[np.argsort(-took[codes], kind="stable")][:_WORST_MAX].tolist():
            key = self.findings.history.keys[self.line.key]
            worst.append({"key": key, "element": self._value(code), "took_ns": int(took[code])})

    def _missing(self, name: str, codes: Ints, known: Ints) -> None:
        codes = codes[np.argsort(known[codes], kind="stable")]
        room = self.findings.room(name)
        for code in codes[:room].tolist():
            self._missed(name, code)
        self.findings.more(name, max(0, len(codes) - room))

    def _missed(self, name: str, code: int) -> None:
        self.findings.report(
            name,
            self.line.key,
            lambda: (*self._sources(name, code), int(self.line.absent_row[code])),
            lambda: self._says(name, code),
            element=self._value(code),
        )

    def _sources(self, name: str, code: int) -> tuple[int, ...]:
        """The operations that make the element known; the last of them says so."""
        line = self.line
        if name == "lost element" and line.acknowledged[code] < NEVER:
            return (int(line.acknowledged_row[code]),)
        if line.acknowledged[code] <= line.seen_ret[code]:
            return (int(line.acknowledged_row[code]),)
        return int(line.add_row[code]), int(line.seen_row[code])

    def _says(self, name: str, code: int) -> str:
        say, element = self.findings, show(self._value(code))
        source, absent = self._sources(name, code)[-1], int(self.line.absent_row[code])
        did = (
            f"{element} was acknowledged to {say.process(source)} by {say.returned(source)}"
            if source == self.line.acknowledged_row[code]
            else f"{say.process(source)} had read {element} by {say.returned(source)}"
        )
        tail = (
            "and no later read found it again"
            if name == "lost element"
            else "and only later reads found it"
        )
        return (
            f"{did}, but {say.process(absent)} missed it in a read that began at "
            f"{say.called(absent)}, {tail}."
        )

    def _value(self, code: int) -> Any:
        return self.line.values[code]

    def _duplicated(self) -> None:
        for row, code in self.line.duplicated:
            self._twice(row, code)

    def _twice(self, row: int, code: int) -> None:
        say = self.findings
        say.report(
            "duplicated element",
            self.line.key,
            lambda: (row,),
            lambda: (
                f"{say.process(row)} read {show(self._value(code))} more than once in one set "
                f"(from {say.called(row)})."
            ),
            element=self._value(code),
        )

    def _unexpected(self, legitimate: Bools) -> None:
        line = self.line
        early = legitimate & (line.seen_ret < line.add_call) & self.realtime
        nobody = (line.seen_ret < NEVER) & ~legitimate
        for code in np.flatnonzero(early | nobody).tolist():
            failed = int(line.failed_row[code])
            if early[code]:
                began = self.findings.at(line.add_call[code])
                self._out_of_nowhere(code, f"which nobody began to add before {began}")
            elif failed < 0:
                self._out_of_nowhere(code, "which nobody ever added")
            else:
                self._out_of_nowhere(code, "of which every addition failed", failed)

    def _out_of_nowhere(self, code: int, why: str, *failed: int) -> None:
        say, seen = self.findings, int(self.line.seen_row[code])
        say.report(
            "element of a failed addition" if failed else "unexpected element",
            self.line.key,
            lambda: (seen, *failed),
            lambda: (
                f"{say.process(seen)} read {show(self._value(code))} by {say.returned(seen)}, "
                f"{why}."
            ),
            element=self._value(code),
        )
