"""FIFO queue, quickly: what one producer put in comes out in its order, for every consumer.

Reads ``enqueue v``, ``dequeue -> v`` (``null``: empty) and ``drain -> [v, ...]``. A producer and a
consumer is a process. This is less than linearizability (the model ``queue`` decides that), and
holds for queues that order only what one producer sent through one connection, as many brokers do;
it needs no clock in common.

- *reordered*: one consumer got two values of one producer in the wrong order.
- *skipped*: a later value of the same producer came out, this one never did, and no dequeue of
  unknown outcome can have taken it. Seen without draining the queue.
- *duplicate*: came out more often than it may have gone in.
- *unexpected*: came out, but nobody put it in, or only in vain.

Values that are enqueued several times say nothing about order and are left out, with a doubt.

>>> # process 0: enqueue 1, enqueue 2     process 1: dequeue -> 2, dequeue -> 1     reordered
"""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from checkers.invariants.facts import Facts, Ints, show
from checkers.invariants.findings import Findings, vacuous
from checkers.invariants.queues import Queues, duplicates, queues, strangers
from harness.core.contracts import CheckContext
from harness.core.history import History
from harness.core.options import Option
from harness.core.verdict import Anomaly, Verdict

__all__ = ["FifoQueue"]


class FifoQueue:
    """Compares the order of each producer with that of each consumer. O(n log n)."""

    name: ClassVar[str] = "fifo-queue"
    summary: ClassVar[str] = "each consumer gets the values of each producer in order"
    options: ClassVar[tuple[Option, ...]] = ()
    judges: ClassVar[frozenset[str]] = frozenset()

    def check(self, history: History, context: CheckContext) -> Verdict:
        """Invalid with the enqueues and dequeues of both values; unknown if nothing came out."""
        facts = Facts(history)
        findings = Findings(facts)
        found = queues(facts, findings)
        items = len(found.items)
        attempts = np.bincount(found.put_item, minlength=items)
        taken = np.bincount(found.take_item, minlength=items)
        strange = np.flatnonzero(attempts[found.take_item] == 0)
        findings.add("unexpected", len(strange), strangers(facts, found, strange))
        extra = np.where(attempts > 0, np.maximum(taken - attempts, 0), 0)
        findings.add("duplicate", int(extra.sum()), duplicates(facts, found, extra))
        if (attempts > 1).any():
            findings.doubt(
                "repeated-values",
                f"{int((attempts > 1).sum()):,} values were enqueued more than once: their order "
                "cannot be told.",
            )
        put_of = np.full(items, -1, dtype=np.int64)
        put_of[found.put_item] = np.arange(len(found.put))
        put_of[attempts != 1] = -1
        _reordered(facts, found, put_of, findings)
        _skipped(facts, found, put_of, taken, findings)
        findings.details.update(enqueued=int(attempts.sum()), dequeued=len(found.take))
        if not len(found.take):
            return vacuous(findings, self.name, "Nothing came out of the queue.")
        return findings.verdict(
            self.name,
            f"All {len(found.take):,} values came out in the order in which their producers put "
            "them in.",
        )


def _reordered(facts: Facts, found: Queues, put_of: Ints, findings: Findings) -> None:
    """Takes grouped by queue, consumer and producer must have ascending puts: rows ascend in order
    of invocation, and one process invokes one after another."""
    operations = facts.operations
    known = np.flatnonzero(put_of[found.take_item] >= 0)
    put, take = found.put[put_of[found.take_item[known]]], found.take[known]
    group = (operations.key[take], operations.process[take], operations.process[put])
    order = np.lexsort(group)  # stable: within a group, takes stay in their order
    put, take = put[order], take[order]
    together = np.ones(max(len(order) - 1, 0), dtype=bool)
    for column in group:
        together &= column[order][1:] == column[order][:-1]
    wrong = np.flatnonzero(together & (put[1:] < put[:-1]))
    findings.add(
        "reordered",
        len(wrong),
        (
            _swapped(facts, (int(put[at]), int(take[at])), (int(put[at + 1]), int(take[at + 1])))
            for at in wrong.tolist()
        ),
    )


def _swapped(facts: Facts, sooner: tuple[int, int], later: tuple[int, int]) -> Anomaly:
    (put, take), (put_before, take_after) = sooner, later
    one, other = (show(value) for value in facts.arguments(np.array([put, put_before])))
    return facts.anomaly(
        "reordered",
        f"{facts.process(take, start=True)} dequeued {one} before {other}{facts.on(take)}, but "
        f"{facts.process(put)} had enqueued {other} before {one}.",
        (put_before, put, take, take_after),
        key=facts.key(take),
    )


def _skipped(facts: Facts, found: Queues, put_of: Ints, taken: Ints, findings: Findings) -> None:
    operations = facts.operations
    keys = len(facts.history.keys)
    # The last put of each queue and producer that came out; everything certain before it should.
    out = found.put[put_of[(taken > 0) & (put_of >= 0)]]
    producer = np.unique(operations.process[found.put], return_inverse=True)[1]
    lane = np.zeros(len(operations), dtype=np.int64)
    lane[found.put] = operations.key[found.put] * (len(found.put) + 1) + producer
    order = np.lexsort((out, lane[out]))
    lanes, puts = lane[out][order], out[order]
    at = np.searchsorted(lanes, lane[found.put], side="right") - 1
    at_safe = np.maximum(at, 0)
    passed = np.zeros(len(found.put), dtype=bool)
    if len(lanes):
        passed = (at >= 0) & (lanes[at_safe] == lane[found.put]) & (puts[at_safe] > found.put)
    single = put_of[found.put_item] >= 0
    gone = passed & found.put_certain & single & (taken[found.put_item] == 0)
    gone_in = np.bincount(operations.key[found.put[gone]], minlength=keys)
    unsure_in = np.bincount(operations.key[found.unsure], minlength=keys)
    unsure_in[operations.key[found.unsure_drain]] = len(operations)
    shown = [
        (key, np.flatnonzero(gone & (operations.key[found.put] == key)))
        for key in np.flatnonzero(gone_in > unsure_in).tolist()
    ]
    findings.add(
        "skipped",
        int(np.maximum(gone_in - unsure_in, 0).sum()),
        (
            _passed_over(facts, found, rows, unsure=int(unsure_in[key]), puts=puts, last=at)
            for key, rows in shown
        ),
    )
    hidden = int(gone_in[(gone_in > 0) & (gone_in <= unsure_in)].sum())
    if hidden:
        findings.doubt(
            "indeterminate",
            f"{hidden:,} values were passed over by later ones, but dequeues whose outcome is "
            "unknown may have taken them.",
        )


def _passed_over(
    facts: Facts, found: Queues, gone: Ints, *, unsure: int, puts: Ints, last: Ints
) -> Anomaly:
    """More values were passed over in one queue than dequeues of unknown outcome can explain."""
    gone = gone[: unsure + 1]
    first = int(found.put[gone[0]])
    ahead = {int(puts[last[at]]) for at in gone.tolist()}
    taken_by = [
        row
        for put in ahead
        for row in found.of(
            found.take_item, int(found.put_item[np.searchsorted(found.put, put)]), found.take
        )
    ]
    key = facts.operations.key[first]
    excused = found.unsure[facts.operations.key[found.unsure] == key].tolist()
    one, other = facts.arguments(np.array([first, int(puts[last[gone[0]]])]))
    more = (
        f" ({len(excused)} dequeues of unknown outcome explain all but one of {len(gone)} such "
        "values)"
        if excused
        else ""
    )
    return facts.anomaly(
        "skipped",
        f"{show(one)}, which {facts.process(first)} enqueued before {show(other)}, never came out"
        f"{facts.on(first)}, although {show(other)} did{more}.",
        (*(int(found.put[at]) for at in gone), *ahead, *taken_by, *excused),
        key=facts.key(first),
        value=one,
    )
