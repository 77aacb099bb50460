"""What went into queues and what came out, as columns: for the checkers of queues.

Read are ``enqueue v``, ``dequeue -> v`` (``null``: it was empty) and ``drain -> [v, ...]`` (empties
the queue). A value that came out of a dequeue that is not known to have happened is not known.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from checkers.invariants.facts import Bools, Facts, Ints, show
from checkers.invariants.findings import Findings
from harness.core.history import Interner
from harness.core.operation import Type
from harness.core.verdict import Anomaly

__all__ = ["Queues", "duplicates", "queues", "strangers"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Queues:
    """Puts, takes and empties, all ``int64``.

    ``put`` is the row of each enqueue that did not fail, ``put_item`` what was put where (equal
    numbers: equal values in the same queue), and ``put_certain`` whether it was acknowledged;
    ``failed_item`` are those that certainly did not go in, at rows ``failed``. ``take`` is the row
    by which each value came out, in order of completion, then of the drain. ``empty`` are rows of
    dequeues that found nothing, and of drains. ``unsure`` are dequeues of unknown outcome, and
    ``unsure_drain`` drains of unknown outcome. ``items`` says which queue and value an item is.
    """

    put: Ints
    put_item: Ints
    put_certain: Bools
    failed: Ints
    failed_item: Ints
    take: Ints
    take_item: Ints
    empty: Ints
    unsure: Ints
    unsure_drain: Ints
    items: tuple[tuple[int, Any], ...]

    def of(self, columns: Ints, item: int, rows: Ints) -> list[int]:
        """The ``rows`` where ``columns`` is ``item``."""
        return [int(row) for row in rows[columns == item]]


def queues(facts: Facts, findings: Findings) -> Queues:
    """The columns; what has the wrong form is told to ``findings``. O(n)."""
    operations = facts.operations
    put = facts.rows("enqueue", outcomes=(Type.OK, Type.INFO))
    failed = facts.rows("enqueue", outcomes=(Type.FAIL,))
    dequeued = facts.rows("dequeue")
    drained = facts.rows("drain")
    lists = facts.results(drained)
    whole = np.array([isinstance(one, list) for one in lists], dtype=bool)
    findings.malformed(drained[~whole], "a list of values")
    drained, lists = drained[whole], [one for one in lists if isinstance(one, list)]
    found = dequeued[operations.result[dequeued] != 0]
    take = np.concatenate([found, np.repeat(drained, [len(one) for one in lists])])
    values = facts.results(found) + [value for one in lists for value in one]
    by_completion = np.argsort(operations.completion[take], kind="stable")
    names, places = Interner(), Interner()

    def items(rows: Ints, held: list[Any]) -> Ints:
        pairs = zip(operations.key[rows].tolist(), names.codes(held), strict=True)
        return np.array(places.codes(f"{key} {code}" for key, code in pairs), dtype=np.int64) - 1

    put_item = items(put, facts.arguments(put))
    take_item = items(take, values)
    failed_item = items(failed, facts.arguments(failed))
    split = (one.split() for one in places.values[1:])
    return Queues(
        put=put,
        put_item=put_item,
        put_certain=operations.outcome[put] == Type.OK,
        failed=failed,
        failed_item=failed_item,
        take=take[by_completion],
        take_item=take_item[by_completion],
        empty=np.sort(np.concatenate([dequeued[operations.result[dequeued] == 0], drained])),
        unsure=facts.rows("dequeue", outcomes=(Type.INFO,)),
        unsure_drain=facts.rows("drain", outcomes=(Type.INFO,)),
        items=tuple((int(key), names.values[int(code)]) for key, code in split),
    )


def strangers(facts: Facts, found: Queues, strange: Ints) -> Iterator[Anomaly]:
    """The takes at ``strange`` (positions), of what was not put in: at all, in time, or with
    success."""
    for at in strange.tolist():
        take, item = int(found.take[at]), int(found.take_item[at])
        puts = found.of(found.put_item, item, found.put)
        failed = found.of(found.failed_item, item, found.failed)
        why = (
            f"which nobody began to enqueue before {facts.called(puts[0])}"
            if puts
            else f"whose enqueue by {facts.process(failed[0])} had failed"
            if failed
            else "which nobody enqueued"
        )
        value = found.items[item][1]
        yield facts.anomaly(
            "unexpected",
            f"{facts.process(take, start=True)} took {show(value)} out of the queue"
            f"{facts.on(take)} by {facts.returned(take)}, {why}.",
            (take, *puts, *failed),
            key=facts.key(take),
            value=value,
        )


def duplicates(facts: Facts, found: Queues, extra: Ints) -> Iterator[Anomaly]:
    """The items that came out ``extra`` times more often than they may have gone in."""
    for item in np.flatnonzero(extra).tolist():
        takes = found.of(found.take_item, item, found.take)
        puts = found.of(found.put_item, item, found.put)
        value = found.items[item][1]
        yield facts.anomaly(
            "duplicate",
            f"{show(value)} came out of the queue {len(takes)} times{facts.on(takes[0])}, but was "
            f"enqueued at most {len(puts)} time{'s' if len(puts) > 1 else ''}.",
            (*puts, *takes),
            key=facts.key(takes[0]),
            value=value,
        )
