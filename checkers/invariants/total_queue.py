"""Total queue: what goes in must come out, and nothing else comes out.

Reads ``enqueue v``, ``dequeue -> v`` (``null``: empty) and ``drain -> [v, ...]``. In any order: a
queue that gives up order for speed keeps this too (Jepsen's ``checker/total-queue``).

- *lost*: acknowledged, and never came out, although the queue was seen empty after everything had
  gone in (by a ``drain``, or by a ``dequeue`` that found nothing). Each dequeue of unknown outcome
  may have taken one value, a drain of unknown outcome any number: only what these cannot explain is
  lost. Without such an end nothing is known of what is missing.
- *unexpected*: came out, but nobody put it in, or only later, or only in vain.
- *duplicate*: came out more often than it may have gone in. Queues that deliver at least once are
  allowed to (as in Jepsen); the option ``delivery`` forbids it.
- *recovered*: came out, although its enqueue was not acknowledged. Only counted.

>>> # enqueue 1 ok, enqueue 2 ok, dequeue -> 2, then dequeue -> null        invalid: lost (1)
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

import numpy as np

from checkers.invariants.facts import Bools, Facts, Ints, setting, show
from checkers.invariants.findings import SHOWN_MAX, Findings, vacuous
from checkers.invariants.queues import Queues, duplicates, queues, strangers
from harness.core.contracts import CheckContext
from harness.core.history import NEVER, History
from harness.core.operation import Type
from harness.core.options import Option
from harness.core.verdict import Anomaly, Verdict

__all__ = ["TotalQueue"]

_AT_LEAST_ONCE, _EXACTLY_ONCE = "at-least-once", "exactly-once"


class TotalQueue:
    """Finds values that were lost, came from nowhere, or came twice. O(n log n)."""

    name: ClassVar[str] = "total-queue"
    summary: ClassVar[str] = "everything enqueued comes out again, and nothing else"
    options: ClassVar[tuple[Option, ...]] = (
        Option(
            name="delivery",
            default=_AT_LEAST_ONCE,
            choices=(_AT_LEAST_ONCE, _EXACTLY_ONCE),
            summary="whether a value may come out more often than it went in",
        ),
    )
    judges: ClassVar[frozenset[str]] = frozenset()

    def check(self, history: History, context: CheckContext) -> Verdict:
        """Invalid with the operations on the value; unknown if values are missing and nothing
        proves them lost, or if nothing went in and came out."""
        facts = Facts(history)
        twice = setting(self, context, "delivery") == _AT_LEAST_ONCE
        findings = Findings(facts, allowed=frozenset({"duplicate"} if twice else ()))
        found = queues(facts, findings)
        items = len(found.items)
        attempts = np.bincount(found.put_item, minlength=items)
        acked = np.bincount(found.put_item[found.put_certain], minlength=items)
        taken = np.bincount(found.take_item, minlength=items)
        _unexpected(facts, found, attempts, findings)
        extra = np.where(attempts > 0, np.maximum(taken - attempts, 0), 0)
        findings.add("duplicate", int(extra.sum()), duplicates(facts, found, extra))
        missing = np.maximum(acked - taken, 0)
        lost = _losses(facts, found, missing, findings)
        findings.details.update(
            attempted=len(facts.rows("enqueue", outcomes=Type)),
            acknowledged=int(acked.sum()),
            dequeued=len(found.take),
            missing=int(missing.sum()),
            lost=lost,
            unexpected=findings.counts.get("unexpected", 0),
            duplicated=int(extra.sum()),
            recovered=int(np.maximum(np.minimum(taken, attempts) - acked, 0).sum()),
        )
        if not acked.sum() or not (len(found.take) or missing.sum()):
            return vacuous(findings, self.name, "Nothing went into the queue and came out again.")
        return findings.verdict(
            self.name, f"All {int(acked.sum()):,} acknowledged values came out of the queue."
        )


def _unexpected(facts: Facts, found: Queues, attempts: Ints, findings: Findings) -> None:
    operations = facts.operations
    first = np.full(len(found.items), NEVER)
    np.minimum.at(first, found.put_item, operations.call[found.put])
    early = operations.ret[found.take] < first[found.take_item]
    strange = np.flatnonzero((attempts[found.take_item] == 0) | (early & facts.history.realtime))
    findings.add("unexpected", len(strange), strangers(facts, found, strange))


def _losses(facts: Facts, found: Queues, missing: Ints, findings: Findings) -> int:
    """Tell what is lost, queue by queue, or why that is not known. The number of values lost."""
    item_key = np.array([key for key, _ in found.items], dtype=np.int64)
    keys = len(facts.history.keys)
    missing_in = np.bincount(item_key, weights=missing, minlength=keys).astype(np.int64)
    unsure_in = np.bincount(facts.operations.key[found.unsure], minlength=keys)
    proof = _last_empty(facts, found)
    certain = ~np.isin(np.arange(keys), facts.operations.key[found.unsure_drain])
    lost = np.where((proof >= 0) & certain, np.maximum(missing_in - unsure_in, 0), 0)
    findings.add(
        "lost",
        int(lost.sum()),
        _lost(facts, found, item_key, missing=missing, lost=lost, proof=proof),
    )
    open_ = missing_in > 0
    undrained = open_ & (proof < 0)
    if undrained.any():
        findings.doubt(
            "undrained",
            f"{int(missing_in[undrained].sum()):,} acknowledged values never came out, but nothing "
            "shows that the queue was emptied after they had gone in: drain it at the end, or "
            "dequeue until it is empty.",
        )
    explained = open_ & (proof >= 0) & (lost == 0)
    if explained.any():
        findings.doubt(
            "indeterminate",
            f"{int(missing_in[explained].sum()):,} acknowledged values never came out, but "
            "dequeues whose outcome is unknown may have taken them.",
        )
    return int(lost.sum())


def _last_empty(facts: Facts, found: Queues) -> Ints:
    """For each key the row of an operation that found the queue empty and was invoked after every
    acknowledged enqueue had returned; -1 if there is none."""
    operations, keys = facts.operations, len(facts.history.keys)
    last = np.full(keys, -1, dtype=np.int64)
    if not facts.history.realtime:
        return last
    full = np.full(keys, -1, dtype=np.int64)
    puts = found.put[found.put_certain]
    np.maximum.at(full, operations.key[puts], operations.ret[puts])
    late = found.empty[operations.call[found.empty] > full[operations.key[found.empty]]]
    last[operations.key[late]] = late
    return last


def _lost(
    facts: Facts, found: Queues, item_key: Ints, *, missing: Ints, lost: Ints, proof: Ints
) -> Iterator[Anomaly]:
    unsure_key = facts.operations.key[found.unsure]
    for key in np.flatnonzero(lost).tolist():
        gone = np.flatnonzero((missing > 0) & (item_key == key))
        unsure = [int(row) for row in found.unsure[unsure_key == key]]
        if unsure:
            yield _some_lost(facts, found, missing, gone=gone, unsure=unsure, proof=int(proof[key]))
            continue
        for item in gone[:SHOWN_MAX].tolist():
            yield _one_lost(facts, found, item, int(proof[key]))


def _one_lost(facts: Facts, found: Queues, item: int, proof: int) -> Anomaly:
    puts = _acknowledged(found, found.put_item == item)
    takes = found.of(found.take_item, item, found.take)
    value = found.items[item][1]
    times = f"; it came out {len(takes)} of {len(puts)} times" if takes else ""
    return facts.anomaly(
        "lost",
        f"{show(value)}, which {facts.process(puts[0])} enqueued by {facts.returned(puts[0])}, "
        f"never came out of the queue{facts.on(puts[0])}, which {facts.process(proof)} found empty "
        f"after {facts.called(proof)}{times}.",
        (*puts, *takes, proof),
        key=facts.key(proof),
        value=value,
    )


def _some_lost(
    facts: Facts, found: Queues, missing: Ints, *, gone: Ints, unsure: list[int], proof: int
) -> Anomaly:
    """One more value is missing than dequeues of unknown outcome can have taken."""
    enough = gone[: int(np.searchsorted(np.cumsum(missing[gone]), len(unsure) + 1)) + 1]
    puts = _acknowledged(found, np.isin(found.put_item, enough))
    takes = [int(row) for row in found.take[np.isin(found.take_item, enough)]]
    values = [found.items[item][1] for item in enough.tolist()]
    number = int(missing[gone].sum())
    return facts.anomaly(
        "lost",
        f"{number:,} acknowledged values never came out of the queue{facts.on(proof)}, which "
        f"{facts.process(proof)} found empty after {facts.called(proof)}, and the {len(unsure):,} "
        "dequeues of unknown outcome can have taken no more than one each.",
        (*puts, *takes, *unsure, proof),
        key=facts.key(proof),
        values=values[:SHOWN_MAX],
    )


def _acknowledged(found: Queues, wanted: Bools) -> list[int]:
    return [int(row) for row in found.put[wanted & found.put_certain]]
