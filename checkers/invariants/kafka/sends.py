"""What was sent: in order, and not lost.

A message is *lost* when it was acknowledged, nobody ever polled it, and somebody polled the log at
its offset or beyond. Whoever begins a log without saying where begins it where somebody left off,
so that everything before was somebody's to see; a poll that says where to begin speaks only for
what lies from there to its last message. What lies beyond all that was polled is *unseen*: it may
be lost, and may not.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from checkers.invariants.facts import Facts, Ints, show
from checkers.invariants.findings import Findings
from checkers.invariants.kafka.logs import Logs, named
from checkers.invariants.kafka.messages import UNKNOWN, Messages
from checkers.invariants.kafka.polls import Reads
from harness.core.operation import Type
from harness.core.verdict import Anomaly

__all__ = ["tell_of_commits", "tell_of_losses", "tell_of_sends"]


def tell_of_sends(facts: Facts, found: Messages, log: Logs, findings: Findings) -> None:
    """Tell sends of one process to one log whose offsets do not ascend."""
    placed = np.flatnonzero(log.committed & (found.send_offset != UNKNOWN))
    process = facts.operations.process[found.send_row[placed]]
    # Sends stand in order of invocation, and a stable sort keeps it.
    order = placed[np.lexsort((found.send_key[placed], process))]
    process, key = facts.operations.process[found.send_row[order]], found.send_key[order]
    back = (process[1:] == process[:-1]) & (key[1:] == key[:-1])
    back &= found.send_offset[order][1:] <= found.send_offset[order][:-1]
    inside = found.send_row[order][1:] == found.send_row[order][:-1]
    for name, wrong in (
        ("int-nonmonotonic-send", np.flatnonzero(back & inside)),
        ("nonmonotonic-send", np.flatnonzero(back & ~inside)),
    ):
        findings.add(name, len(wrong), _descents(facts, found, log, order, wrong, name=name))


def _descents(
    facts: Facts, found: Messages, log: Logs, order: Ints, wrong: Ints, *, name: str
) -> Iterator[Anomaly]:
    for at in wrong.tolist():
        one, other = int(order[at]), int(order[at + 1])
        rows, key = [int(found.send_row[one]), int(found.send_row[other])], int(found.send_key[one])
        yield facts.anomaly(
            name,
            f"{facts.process(rows[0], start=True)} sent {_value(found, one)} to "
            f"{named(found, key)}, which came to lie at offset {int(found.send_offset[one])}, and "
            f"afterwards {_value(found, other)}, which came to lie at offset "
            f"{int(found.send_offset[other])}.",
            log.vouched(rows),
            key=found.keys[key],
        )


def tell_of_losses(
    facts: Facts, found: Messages, log: Logs, read: Reads, findings: Findings
) -> Ints:
    """Tell lost messages. The sends (positions) that were acknowledged, and neither polled nor
    certainly lost."""
    missing = np.flatnonzero(log.committed & (log.polled[log.send_item] == 0))
    key, offset = found.send_key[missing], found.send_offset[missing]
    covering = _covering(found, read, key, offset)
    lost = (covering >= 0) & (offset != UNKNOWN)
    findings.add(
        "lost-write",
        int(lost.sum()),
        _lost(facts, found, log, read, lost=missing[lost], covering=covering[lost]),
    )
    ok = facts.operations.outcome[found.send_row[missing]] == Type.OK
    left: Ints = missing[~lost & ok]
    return left


def _covering(found: Messages, read: Reads, key: Ints, offset: Ints) -> Ints:
    """For each offset of a log a read that went past it (a position in ``read``); -1 if none."""
    result = np.full(len(key), -1, dtype=np.int64)
    if not len(read.row) or not len(key):
        return result
    # Reads that did not say where to begin speak for everything up to their last message: the one
    # that went furthest, of each log.
    begin = np.maximum(read.asked, 0)
    order = np.lexsort((begin, read.key))
    # Of the reads of a log that begin at or before an offset, the one that went furthest: the
    # running maximum, where each log lies above the one before it.
    rank = np.empty(len(order), dtype=np.int64)
    rank[np.argsort(read.greatest, kind="stable")] = np.arange(len(order))
    scale = len(order) + 1
    best = np.maximum.accumulate(read.key[order] * scale + rank[order])
    by_rank = np.argsort(rank)
    bound = int(max(begin.max(), offset.max())) + 1
    place = np.searchsorted(
        read.key[order] * (bound + 1) + begin[order], key * (bound + 1) + offset, side="right"
    )
    at = np.maximum(place - 1, 0)
    furthest = by_rank[best[at] % scale]
    fits = (place > 0) & (read.key[furthest] == key) & (read.greatest[furthest] >= offset)
    return np.where(fits, furthest, -1)


def _lost(
    facts: Facts, found: Messages, log: Logs, read: Reads, *, lost: Ints, covering: Ints
) -> Iterator[Anomaly]:
    for send, cover in zip(lost.tolist(), covering.tolist(), strict=True):
        row, key, poll = int(found.send_row[send]), int(found.send_key[send]), int(read.row[cover])
        yield facts.anomaly(
            "lost-write",
            f"{_value(found, send)}, which {facts.process(row)} sent to {named(found, key)} by "
            f"{facts.returned(row)} and which lay at offset {int(found.send_offset[send])}, was "
            f"never polled, although {facts.process(poll)} polled up to offset "
            f"{int(read.greatest[cover])}.",
            log.vouched([row, poll]),
            key=found.keys[key],
            offset=int(found.send_offset[send]),
        )


def tell_of_commits(facts: Facts, found: Messages, findings: Findings) -> None:
    """Tell committed offsets beyond everything that anybody asked to commit."""
    if not len(found.commit_row):
        return  # systems may commit what was polled by themselves
    highest = np.full(len(found.keys), -1, dtype=np.int64)
    np.maximum.at(highest, found.commit_key, found.commit_offset)
    beyond = np.flatnonzero(found.list_offset > highest[found.list_key])
    findings.add("uncommitted-offset", len(beyond), _beyond(facts, found, beyond, highest))


def _beyond(facts: Facts, found: Messages, beyond: Ints, highest: Ints) -> Iterator[Anomaly]:
    for at in beyond.tolist():
        row, key = int(found.list_row[at]), int(found.list_key[at])
        most = int(highest[key])
        asked = "nobody committed any" if most < 0 else f"nobody committed more than {most}"
        rows = found.commit_row[(found.commit_key == key) & (found.commit_offset == most)]
        yield facts.anomaly(
            "uncommitted-offset",
            f"{facts.process(row, start=True)} was told that offset {int(found.list_offset[at])} "
            f"of {named(found, key)} was committed, but {asked}.",
            [row, *rows[:1].tolist()],
            key=found.keys[key],
        )


def _value(found: Messages, send: int) -> str:
    return show(found.values[int(found.send_value[send])])
