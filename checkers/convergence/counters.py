"""What a replicated counter may answer: the sum of the additions that have reached the replica.

- *Any* read returns the initial value plus some of the additions that had been invoked when it
  returned, each at most once (Shapiro et al., "A comprehensive study of CRDTs", INRIA RR-7506,
  2011, 3.1). Which ones is for the network to decide, so every such sum is allowed.
- A *final* read (:mod:`.quiescence`) returns all acknowledged additions, and some of those whose
  outcome is unknown; all replicas the same.
- A failed addition is in no sum.

Whether a sum is one of those is decided exactly (:mod:`.subset_sums`), within a bound; beyond it,
what lies between the least and the greatest sum is left undecided.

What went wrong is the least that would explain the answer: an acknowledged addition *lost*, or one
*counted twice*, or one counted although it *failed*; else the value is *impossible*. Other
explanations may exist; that the answer is wrong is certain.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from checkers.convergence.findings import Bools, Findings, Ints, Unsupported, option, show, unknown
from checkers.convergence.quiescence import (
    OPTIONS,
    Quiescence,
    known_quiescence,
    reads_of,
    rows_of,
    why_unread,
)
from checkers.convergence.subset_sums import NO, UNDECIDED, YES, reachable
from harness.core.contracts import CheckContext
from harness.core.history import History
from harness.core.operation import Type
from harness.core.options import Option
from harness.core.verdict import Verdict

__all__ = ["COUNTER_OPTIONS", "GROWING_OPTIONS", "judge_counters"]

_INITIAL = Option(name="initial", default=0, summary="the value before any addition")
_MONOTONIC = Option(
    name="monotonic",
    default=True,
    summary="what one replica answers may never become less (g-counter)",
)
COUNTER_OPTIONS = (*OPTIONS, _INITIAL)
GROWING_OPTIONS = (*COUNTER_OPTIONS, _MONOTONIC)
_NUMBER_MAX = 1 << 61
_CULPRITS_MAX = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class _Counter:
    """One key: its additions that did not fail (in order of call), those that did, its reads."""

    findings: Findings
    key: int
    initial: int
    adds: Ints
    amounts: Ints
    acknowledged: Bools
    failed: Ints
    failed_amounts: Ints
    reads: Ints
    values: Ints


def judge_counters(
    checker: str, history: History, context: CheckContext, *, growing: bool
) -> Verdict:
    """The verdict on counters to which is added. ``growing``: nothing negative may be."""
    operations = history.operations
    reads = reads_of(history, context)
    adds = rows_of(history, "add")
    happened = adds & (operations.outcome != Type.FAIL)
    if not reads.any():
        return unknown(checker, "vacuous", "Nothing was checked: no read succeeded.")
    rest = known_quiescence(history, context, reads, happened)
    findings = Findings(history)
    keys, unread = 0, 0
    taking = np.flatnonzero(reads | adds)
    taking = taking[np.argsort(operations.key[taking], kind="stable")]
    for rows in np.split(taking, np.flatnonzero(np.diff(operations.key[taking])) + 1):
        counter = _counter(findings, context, rows, reads, happened)
        final = np.zeros(len(counter.reads), dtype=bool)
        if rest is not None:
            final = np.isin(counter.reads, rest.of(counter.key, history))
        if growing:
            _negative(counter)
            if option(context, _MONOTONIC):
                _decreasing(counter, rest)
        _in_between(counter, final)
        if rest is not None:
            _final(counter, final, rest)
        keys += 1
        if len(counter.adds) and not final.any():
            unread += 1
    findings.unread("whether additions were lost", unread, keys, why_unread(rest))
    details: dict[str, Any] = {
        "keys": keys,
        "additions": int(happened.sum()),
        "reads": int(reads.sum()),
        "final_reads": 0 if rest is None else len(rest.final),
    }
    sentence = (
        f"All {details['reads']:,} reads are sums of additions, and the "
        f"{details['final_reads']:,} final ones miss none that was acknowledged."
    )
    return findings.verdict(checker, sentence, details)


def _counter(
    findings: Findings, context: CheckContext, rows: Ints, reads: Bools, happened: Bools
) -> _Counter:
    operations = findings.history.operations
    adds = rows[happened[rows]]
    failed = rows[~happened[rows] & ~reads[rows]]
    read = rows[reads[rows]]
    return _Counter(
        findings=findings,
        key=int(operations.key[rows[0]]),
        initial=int(option(context, _INITIAL)),  # type: ignore[arg-type]  # its default is one
        adds=adds,
        amounts=_numbers(findings.history, operations.argument[adds], null=1),
        acknowledged=operations.outcome[adds] == Type.OK,
        failed=failed,
        failed_amounts=_numbers(findings.history, operations.argument[failed], null=1),
        reads=read,
        values=_numbers(findings.history, operations.result[read], null=None),
    )


def _numbers(history: History, codes: Ints, *, null: int | None) -> Ints:
    """The integers of ``codes``; ``null`` in place of null. Raises :class:`Unsupported`."""
    distinct, place = np.unique(codes, return_inverse=True)
    numbers = np.zeros(len(distinct), dtype=np.int64)
    for at, code in enumerate(distinct.tolist()):
        value = history.values[code]
        value = null if value is None else value
        if type(value) is not int:
            raise Unsupported(f"{show(history.values[code])} is no integer, as counters have")
        if abs(value) >= _NUMBER_MAX:
            raise Unsupported(f"{value} is 2^61 or more")
        numbers[at] = value
    return numbers[place.reshape(-1)]


def _reachable(counter: _Counter, amounts: Ints, prefixes: Any, targets: Any) -> Any:
    try:
        return reachable(amounts.tolist(), prefixes, targets)
    except OverflowError as error:
        raise Unsupported(str(error)) from error


def _in_between(counter: _Counter, final: Bools) -> None:
    """Reads that are no sum of additions invoked by then."""
    operations = counter.findings.history.operations
    if counter.findings.history.realtime:
        ret = operations.ret[counter.reads]
        invoked = np.searchsorted(operations.call[counter.adds], ret, side="right")
    else:
        invoked = np.full(len(counter.reads), len(counter.adds))
    answers = _reachable(counter, counter.amounts, invoked, counter.values - counter.initial)
    for place in np.flatnonzero(answers == NO).tolist():
        _impossible(counter, place, counter.amounts[:0], np.arange(int(invoked[place])))
    _undecided(counter, int((answers[~final] == UNDECIDED).sum()))


def _undecided(counter: _Counter, count: int) -> None:
    if count:
        counter.findings.undecided(
            "limit",
            counter.key,
            f"whether {count:,} reads are sums of some of so many different additions was not "
            "decided within the limit.",
        )


def _final(counter: _Counter, final: Bools, rest: Quiescence) -> None:
    """Final reads without an addition that was acknowledged, or that differ."""
    places = np.flatnonzero(final)
    if not len(places):
        return
    sure = counter.amounts[counter.acknowledged]
    unsure = counter.amounts[~counter.acknowledged]
    targets = counter.values[places] - counter.initial - int(sure.sum())
    answers = _reachable(counter, unsure, np.full(len(places), len(unsure)), targets)
    everything = np.full(len(places), len(counter.adds))
    possible = _reachable(
        counter, counter.amounts, everything, counter.values[places] - counter.initial
    )
    for place, some in zip(places[answers == NO], possible[answers == NO], strict=True):
        if some != NO:  # else it was found above
            _lost(counter, int(place), unsure, int(sure.sum()))
    _undecided(counter, int((answers == UNDECIDED).sum()))
    different = places[counter.values[places] != counter.values[places[0]]]
    if len(different) and rest.settled[counter.key]:
        counter.findings.diverged(int(counter.reads[places[0]]), int(counter.reads[different[0]]))


def _lost(counter: _Counter, place: int, unsure: Ints, total: int) -> None:
    """A final read that is a sum of additions, but not with all of the acknowledged ones."""
    say, row, value = counter.findings, int(counter.reads[place]), int(counter.values[place])
    least = counter.initial + total + int(np.minimum(unsure, 0).sum())
    most = counter.initial + total + int(np.maximum(unsure, 0).sum())
    range_ = f"{least}" if least == most else f"{least} to {most}"
    sure = np.flatnonzero(counter.acknowledged)
    culprit = _culprit(counter, sure, unsure, value - counter.initial - total, sign=1)
    as_if = "" if culprit is None else f", as if {_addition(counter, culprit)} were not counted"
    say.report(
        "lost increment",
        counter.key,
        lambda: (*_enough(counter, value - counter.initial), row),
        lambda: (
            f"{say.who(row)} answered {value} at the end (from {say.called(row)}), but the "
            f"acknowledged additions sum to {counter.initial + total}"
            + (f" ({range_} with those of unknown outcome)" if least != most else "")
            + f"{as_if}."
        ),
        value=value,
        least=least,
        most=most,
    )


def _enough(counter: _Counter, value: int) -> Ints:
    """Additions that cannot all be in a final read of ``value``, whatever else there was: if only
    increments can have been made, as many acknowledged ones as exceed it; else all of them."""
    if (counter.amounts < 0).any():
        return counter.adds
    sure = np.flatnonzero(counter.acknowledged)
    sure = sure[np.argsort(-counter.amounts[sure], kind="stable")]
    sums = np.cumsum(counter.amounts[sure])
    needed = int(np.searchsorted(sums, value, side="right")) + 1
    return counter.adds if needed > len(sure) else counter.adds[sure[:needed]]


def _impossible(counter: _Counter, place: int, unsure: Ints, made: Ints) -> None:
    """A read that is no sum of the additions ``made``."""
    say, row, value = counter.findings, int(counter.reads[place]), int(counter.values[place])
    amounts = counter.amounts[made]
    least = counter.initial + int(np.minimum(amounts, 0).sum())
    most = counter.initial + int(np.maximum(amounts, 0).sum())
    name, as_if = "impossible value", ""
    failed = _failed(counter, made, value - counter.initial)
    twice = _culprit(counter, made, amounts, value - counter.initial, sign=-1)
    if failed is not None:
        name = "failed increment counted"
        as_if = f", unless the failed {_addition(counter, failed, failed=True)} is counted"
    elif twice is not None:
        name = "double-counted increment"
        as_if = f", unless {_addition(counter, int(twice))} is counted twice"
    elif value > most or value < least:
        name = "double-counted increment" if len(made) else name
    witness = (row, *counter.adds[made].tolist())
    if failed is not None:
        witness = (*witness, int(counter.failed[failed]))
    say.report(
        name,
        counter.key,
        lambda: witness,
        lambda: (
            f"{say.who(row)} answered {value} by {say.returned(row)}, which is no sum of the "
            f"{len(made):,} additions made by then ({least} to {most}){as_if}."
        ),
        value=value,
        least=least,
        most=most,
    )


def _culprit(
    counter: _Counter, candidates: Ints, others: Ints, target: int, *, sign: int
) -> int | None:
    """The first of the additions ``candidates`` without which (``sign`` -1) or with which (1) some
    of ``others`` sum to ``target``."""
    amounts, first = np.unique(counter.amounts[candidates], return_index=True)
    amounts, first = amounts[:_CULPRITS_MAX], first[:_CULPRITS_MAX]
    prefixes = np.full(len(amounts), len(others))
    found = np.flatnonzero(_reachable(counter, others, prefixes, target + sign * amounts) == YES)
    fitting = first[found][amounts[found] != 0]
    return int(candidates[fitting.min()]) if len(fitting) else None


def _failed(counter: _Counter, made: Ints, target: int) -> int | None:
    """The first failed addition with which the others explain ``target``."""
    amounts = counter.failed_amounts[:_CULPRITS_MAX]
    others = counter.amounts[made]
    prefixes = np.full(len(amounts), len(others))
    found = np.flatnonzero(_reachable(counter, others, prefixes, target - amounts) == YES)
    return int(found[0]) if len(found) else None


def _addition(counter: _Counter, place: int, *, failed: bool = False) -> str:
    rows, amounts = (
        (counter.failed, counter.failed_amounts) if failed else (counter.adds, counter.amounts)
    )
    return f"add {amounts[place]} of {counter.findings.process(int(rows[place]))}"


def _negative(counter: _Counter) -> None:
    """Acknowledged additions of something negative to a counter that only grows."""
    for place in np.flatnonzero((counter.amounts < 0) & counter.acknowledged).tolist():
        _accepted(counter, place)


def _accepted(counter: _Counter, place: int) -> None:
    say, row = counter.findings, int(counter.adds[place])
    say.report(
        "accepted decrement",
        counter.key,
        lambda: (row,),
        lambda: (
            f"the counter only grows, but add {counter.amounts[place]} of {say.process(row)} was "
            f"acknowledged by {say.returned(row)}."
        ),
    )


def _decreasing(counter: _Counter, rest: Quiescence | None) -> None:
    """Reads of a replica that had answered more before."""
    history = counter.findings.history
    operations = history.operations
    replica = operations.process if rest is None else rest.replica
    for who in np.unique(replica[counter.reads]).tolist():
        mine = np.flatnonzero(replica[counter.reads] == who)
        rows = counter.reads[mine]
        values = counter.values[mine]
        if history.realtime:
            order = np.argsort(operations.ret[rows], kind="stable")
            earlier = np.searchsorted(operations.ret[rows][order], operations.call[rows]) - 1
        else:
            order = np.arange(len(rows))
            earlier = order - 1
        # The greatest answer of those that had returned, and who gave it.
        best = np.maximum.accumulate(values[order])
        holder = np.maximum.accumulate(np.where(values[order] == best, np.arange(len(rows)), 0))
        less = (earlier >= 0) & (values < best[np.maximum(earlier, 0)])
        for place in np.flatnonzero(less).tolist():
            _went_back(counter, int(mine[order[holder[earlier[place]]]]), int(mine[place]))


def _went_back(counter: _Counter, before: int, after: int) -> None:
    say, rows, values = counter.findings, counter.reads, counter.values
    say.report(
        "decreasing counter",
        counter.key,
        lambda: (int(rows[before]), int(rows[after])),
        lambda: (
            f"{say.who(int(rows[after]))} answered {values[after]} (from "
            f"{say.called(int(rows[after]))}), after it had answered {values[before]} (by "
            f"{say.returned(int(rows[before]))})."
        ),
    )
