"""How far behind consumers were: a measurement, not a property.

The lag of a poll that ended at a message is how long, when the poll began, some later message of
that log had certainly been there: a lower bound. Polls that returned nothing of a log have none.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from checkers.invariants.facts import Facts, Ints
from checkers.invariants.kafka.logs import Logs
from checkers.invariants.kafka.messages import UNKNOWN, Messages
from checkers.invariants.kafka.polls import Reads
from harness.core.history import NEVER

__all__ = ["unseen", "worst_lag"]

_KEYS_MAX = 20


def worst_lag(facts: Facts, found: Messages, log: Logs, read: Reads) -> dict[str, Any] | None:
    """The poll with the greatest lag; None where nothing was polled, or without real time."""
    history = facts.history
    if not history.realtime or history.ordinal or not len(read.row):
        return None
    ret = facts.operations.ret
    placed = np.flatnonzero(log.committed & (found.send_offset != UNKNOWN))
    slots = len(log.slot_key)
    known = np.full(slots + 1, NEVER)
    np.minimum.at(known, log.poll_slot, ret[found.poll_row])
    sent = log.find(found.send_key[placed], found.send_offset[placed])
    np.minimum.at(known, sent, ret[found.send_row[placed]])
    # When something beyond each slot was certainly there: the least of what follows in its log.
    # Times are ranked, and logs lie above each other, so that one running minimum serves all.
    times = np.unique(known)
    scale = len(times) + 1
    rank = np.searchsorted(times, known[:slots]) + log.slot_key * scale
    least = np.minimum.accumulate(rank[::-1])[::-1]
    follows = np.zeros(slots, dtype=bool)
    follows[:-1] = log.slot_key[1:] == log.slot_key[:-1]
    after = np.append(least[1:], 0) - log.slot_key * scale
    expired = np.where(follows, times[np.where(follows, after, 0)], NEVER)
    lag = np.maximum(facts.operations.call[read.row] - expired[read.last], 0)
    worst = int(np.argmax(lag))
    return {
        "seconds": round(float(lag[worst]) / 1e9, 6),
        "key": found.keys[int(read.key[worst])],
        "operation": facts.index([int(read.row[worst])])[0],
    }


def unseen(found: Messages, sends: Ints) -> dict[str, Any]:
    """How many acknowledged messages were never polled, and of which logs."""
    keys, counts = np.unique(found.send_key[sends], return_counts=True)
    most = np.argsort(-counts, kind="stable")[:_KEYS_MAX]
    return {
        "count": len(sends),
        "keys": {found.keys[int(keys[at])]: int(counts[at]) for at in most.tolist()},
    }
