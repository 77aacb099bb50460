"""What one consumer polls of one log must ascend, and leave nothing out.

Within an operation each message lies beyond the one before it, and no slot lies between. Between
two operations of a process the same holds, as long as the process stays assigned to the log: what
it did not name in an ``assign`` since then begins anew. A poll that says where to begin is held
against that instead. A process that subscribes gets its logs by agreement with others, who may be
given them between any two polls: for these, only a single poll must ascend, and the rest is told
but allowed (``rebalanced-*``), as in Jepsen.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from checkers.invariants.facts import Bools, Facts, Ints
from checkers.invariants.findings import Findings
from checkers.invariants.kafka.logs import Logs, named
from checkers.invariants.kafka.messages import Messages
from harness.core.verdict import Anomaly

__all__ = ["ALLOWED", "Reads", "reads", "tell_of_polls"]

ALLOWED = frozenset({"rebalanced-poll-skip", "rebalanced-nonmonotonic-poll"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Reads:
    """One row a log that an operation polled something of, ``int64``: the operation's ``row``, the
    ``key``, the slots of the ``first`` and the ``last`` message that came, the ``greatest`` offset,
    and where the poll was ``asked`` to begin (-1: it did not say)."""

    row: Ints
    key: Ints
    first: Ints
    last: Ints
    greatest: Ints
    asked: Ints


@dataclass(frozen=True, slots=True)
class _Steps:
    """Pairs of slots that follow each other for a consumer, with the rows that polled them."""

    before: Ints
    after: Ints
    row_before: Ints
    row_after: Ints
    lenient: Bools

    def where(self, mask: Bools) -> _Steps:
        """Those that ``mask`` picks."""
        return _Steps(
            self.before[mask],
            self.after[mask],
            self.row_before[mask],
            self.row_after[mask],
            self.lenient[mask],
        )


def reads(found: Messages, log: Logs) -> Reads:
    """What each operation read of each log. O(n log n)."""
    order = _by_row_and_key(found)
    row, key = found.poll_row[order], found.poll_key[order]
    fresh = np.ones(len(row), dtype=bool)
    fresh[1:] = (row[1:] != row[:-1]) | (key[1:] != key[:-1])
    starts = np.flatnonzero(fresh)
    ends = np.append(starts[1:], len(row)) - 1 if len(starts) else starts
    slot = log.poll_slot[order]
    width = len(found.keys)
    asked = np.full(len(starts), -1, dtype=np.int64)
    where = found.ask_row * width + found.ask_key
    by = np.argsort(where, kind="stable")
    at = np.searchsorted(where[by], row[starts] * width + key[starts])
    if len(by):
        at = np.minimum(at, len(by) - 1)
        same = where[by][at] == row[starts] * width + key[starts]
        asked = np.where(same, found.ask_offset[by][at], -1)
    offset = found.poll_offset[order]
    return Reads(
        row=row[starts],
        key=key[starts],
        first=slot[starts],
        last=slot[ends] if len(ends) else starts,
        greatest=np.maximum.reduceat(offset, starts) if len(starts) else starts,
        asked=asked,
    )


def _by_row_and_key(found: Messages) -> Ints:
    """Polled messages by operation and log; within these they stay in order."""
    return np.lexsort((found.poll_key, found.poll_row))


def tell_of_polls(
    facts: Facts, found: Messages, log: Logs, read: Reads, findings: Findings
) -> None:
    """Tell what does not ascend, and what is left out, in an operation and between two."""
    subscribed = _subscribed(facts, found)

    def add(steps: _Steps, name: str) -> None:
        findings.add(name, len(steps.after), _steps(facts, found, log, steps, name))

    inside = _inside(found, log, subscribed)
    between = _between(facts, found, read, subscribed)
    for steps, prefix in ((inside, "int-"), (between, "")):
        back = steps.after <= steps.before
        skips = steps.after > steps.before + 1
        for mask, name in ((back, "nonmonotonic-poll"), (skips, "poll-skip")):
            strict = steps.where(mask & ~steps.lenient)
            lenient = steps.where(mask & steps.lenient)
            add(strict, f"{prefix}{name}")
            add(lenient, f"rebalanced-{name}")
    _tell_of_asked(facts, found, log, read, findings)


def _subscribed(facts: Facts, found: Messages) -> Bools:
    """For each row of operations, whether its process last subscribed (rather than assigned)."""
    operations = facts.operations
    order = np.lexsort((found.assign_row, operations.process[found.assign_row]))
    assigned, subscribes = found.assign_row[order], found.assign_subscribes[order]
    width = len(operations) + 1
    place = operations.process[assigned] * width + assigned
    here = operations.process * width + np.arange(len(operations))
    at = np.searchsorted(place, here, side="right") - 1
    result = np.zeros(len(operations), dtype=bool)
    if len(assigned):
        last = assigned[np.maximum(at, 0)]
        mine = (at >= 0) & (operations.process[last] == operations.process)
        result = mine & subscribes[np.maximum(at, 0)]
    return result


def _inside(found: Messages, log: Logs, subscribed: Bools) -> _Steps:
    order = _by_row_and_key(found)
    row, key = found.poll_row[order], found.poll_key[order]
    part, slot = found.poll_part[order], log.poll_slot[order]
    same = np.flatnonzero((row[1:] == row[:-1]) & (key[1:] == key[:-1]))
    # Within one poll not even a rebalancing changes anything.
    lenient = subscribed[row[same]] & (part[same + 1] != part[same])
    return _Steps(slot[same], slot[same + 1], row[same], row[same + 1], lenient)


def _between(facts: Facts, found: Messages, read: Reads, subscribed: Bools) -> _Steps:
    process = facts.operations.process[read.row]
    order = np.lexsort((read.row, read.key, process))
    before, after = order[:-1], order[1:]
    same = (process[before] == process[after]) & (read.key[before] == read.key[after])
    same &= read.asked[after] < 0
    same &= _left_out(facts, found, read)[before] == _left_out(facts, found, read)[after]
    before, after = before[same], after[same]
    row = read.row[after]
    return _Steps(read.last[before], read.first[after], read.row[before], row, subscribed[row])


def _left_out(facts: Facts, found: Messages, read: Reads) -> Ints:
    """How many assignments of its process before each read did not name its log. Where that is the
    same for two reads of one process and log, the process kept the log in between."""
    operations = facts.operations
    width = len(operations) + 1
    process = np.unique(operations.process, return_inverse=True)[1]
    all_ = np.sort(process[found.assign_row] * width + found.assign_row)
    start = process[read.row] * width
    count = np.searchsorted(all_, start + read.row) - np.searchsorted(all_, start)
    lane = process * len(found.keys)
    named_ = np.sort((lane[found.assigned_row] + found.assigned_key) * width + found.assigned_row)
    start = (lane[read.row] + read.key) * width
    naming = np.searchsorted(named_, start + read.row) - np.searchsorted(named_, start)
    return count - naming


def _steps(facts: Facts, found: Messages, log: Logs, steps: _Steps, name: str) -> Iterator[Anomaly]:
    for before, after, one, other in zip(
        steps.before.tolist(),
        steps.after.tolist(),
        steps.row_before.tolist(),
        steps.row_after.tolist(),
        strict=True,
    ):
        key, skips = int(log.slot_key[after]), after > before
        first, second = int(log.slot_offset[before]), int(log.slot_offset[after])
        then = (
            "then" if one == other else f"then, in a later operation (by {facts.returned(other)}),"
        )
        sentence = (
            f"{facts.process(one, start=True)} polled offset {first} of {named(found, key)} and "
            f"{then} offset {second}"
        )
        rows = [one, other]
        if skips:
            between = before + 1
            rows.append(int(log.slot_row[between]))
            sentence += (
                f", and passed over {_count(after - before - 1)} in between, such as offset "
            )
            sentence += f"{int(log.slot_offset[between])}, which {facts.process(rows[-1])} knew"
        yield facts.anomaly(
            name, f"{sentence}.", log.vouched(rows), key=found.keys[key], offsets=[first, second]
        )


def _tell_of_asked(
    facts: Facts, found: Messages, log: Logs, read: Reads, findings: Findings
) -> None:
    """Polls that said where to begin: nothing before that, and the first slot there is after it."""
    told = read.asked >= 0
    begin = log.find(read.key, np.maximum(read.asked, 0))
    early = np.flatnonzero(told & (read.first < begin))
    skips = np.flatnonzero(told & (read.first > begin))
    findings.add(
        "nonmonotonic-poll",
        len(early),
        (_asked(facts, found, log, read, at=at, skipped=None) for at in early.tolist()),
    )
    findings.add(
        "poll-skip",
        len(skips),
        (_asked(facts, found, log, read, at=at, skipped=int(begin[at])) for at in skips.tolist()),
    )


def _asked(
    facts: Facts, found: Messages, log: Logs, read: Reads, *, at: int, skipped: int | None
) -> Anomaly:
    row, key, first = int(read.row[at]), int(read.key[at]), int(read.first[at])
    sentence = (
        f"{facts.process(row, start=True)} asked for {named(found, key)} from offset "
        f"{int(read.asked[at])} on and got offset {int(log.slot_offset[first])} first"
    )
    if skipped is None:
        return facts.anomaly("nonmonotonic-poll", f"{sentence}.", [row], key=found.keys[key])
    witness = int(log.slot_row[skipped])
    return facts.anomaly(
        "poll-skip",
        f"{sentence}, without {_count(first - skipped)}, such as offset "
        f"{int(log.slot_offset[skipped])}, which {facts.process(witness)} knew.",
        log.vouched([row, witness]),
        key=found.keys[key],
    )


def _count(messages: int) -> str:
    return f"{messages:,} message{'s' if messages > 1 else ''}"
