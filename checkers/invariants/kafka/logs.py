"""What lay where in each log, and what is wrong with that.

A *cell* is a message at an offset of a log, as a poll or an acknowledged send showed it. A *slot*
is an offset of a log of which it is known that something lies there. Offsets need not be dense:
transactions take some for themselves.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from checkers.invariants.facts import Bools, Facts, Ints, show
from checkers.invariants.findings import Findings
from checkers.invariants.kafka.messages import UNKNOWN, Messages
from harness.core.operation import Type
from harness.core.verdict import Anomaly

__all__ = ["Logs", "logs", "named", "tell_of_logs"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Logs:
    """``cell_slot``, ``cell_item`` and ``cell_row`` (who showed it first): the distinct cells, by
    slot. ``slot_key``, ``slot_offset``, ``slot_row``: the slots, by key and offset; the slots of
    one key have consecutive numbers. An *item* is a message of a log: ``send_item`` and
    ``poll_item`` of each send and polled message. Of each item: how often it was ``attempted``
    (sends that did not fail), ``failed`` and ``polled``. ``committed``: of each send, whether it
    certainly took place. ``vouchers``: for operations of unknown outcome that certainly took place,
    one that polled something of theirs."""

    cell_slot: Ints
    cell_item: Ints
    cell_row: Ints
    slot_key: Ints
    slot_offset: Ints
    slot_row: Ints
    poll_slot: Ints
    send_item: Ints
    poll_item: Ints
    attempted: Ints
    failed: Ints
    polled: Ints
    committed: Bools
    vouchers: Mapping[int, int]

    def vouched(self, rows: Iterable[int]) -> list[int]:
        """The rows of a witness, with those that prove that the uncertain of them took place."""
        rows = list(rows)
        return rows + [self.vouchers[row] for row in rows if row in self.vouchers]

    def find(self, key: Ints, offset: Ints) -> Ints:
        """The first slot of each ``key`` at or beyond ``offset``."""
        bound = int(self.slot_offset.max(initial=0)) + 1
        place = self.slot_key * (bound + 1) + self.slot_offset
        return np.searchsorted(place, key * (bound + 1) + np.minimum(offset, bound))


def logs(facts: Facts, found: Messages) -> Logs:
    """The logs. O(n log n) in the number of messages."""
    sends = len(found.send_row)
    key = np.concatenate([found.send_key, found.poll_key])
    value = np.concatenate([found.send_value, found.poll_value])
    item = np.unique(key * max(len(found.values), 1) + value, return_inverse=True)[1]
    send_item, poll_item = item[:sends], item[sends:]
    items = int(item.max(initial=-1)) + 1
    outcome = facts.operations.outcome[found.send_row]
    polled = np.bincount(poll_item, minlength=items)
    # A transaction of unknown outcome one of whose messages was seen has committed as a whole.
    seen = np.flatnonzero((outcome == Type.INFO) & (polled[send_item] > 0))
    committed = (outcome == Type.OK) | np.isin(found.send_row, found.send_row[seen])
    poller = np.full(items, len(facts.operations), dtype=np.int64)
    np.minimum.at(poller, poll_item, found.poll_row)
    vouchers = zip(found.send_row[seen].tolist(), poller[send_item[seen]].tolist(), strict=True)
    placed = np.flatnonzero(committed & (found.send_offset != UNKNOWN))
    row = np.concatenate([found.poll_row, found.send_row[placed]])
    key = np.concatenate([found.poll_key, found.send_key[placed]])
    offset = np.concatenate([found.poll_offset, found.send_offset[placed]])
    item = np.concatenate([poll_item, send_item[placed]])
    order = np.lexsort((row, item, offset, key))
    row, key, offset, item = row[order], key[order], offset[order], item[order]
    new_slot = np.ones(len(row), dtype=bool)
    new_slot[1:] = (key[1:] != key[:-1]) | (offset[1:] != offset[:-1])
    slot = np.cumsum(new_slot) - 1
    new_cell = new_slot.copy()
    new_cell[1:] |= item[1:] != item[:-1]
    slot_of = np.empty(len(order), dtype=np.int64)
    slot_of[order] = slot
    return Logs(
        cell_slot=slot[new_cell],
        cell_item=item[new_cell],
        cell_row=row[new_cell],
        slot_key=key[new_slot],
        slot_offset=offset[new_slot],
        slot_row=row[new_slot],
        poll_slot=slot_of[: len(found.poll_row)],
        send_item=send_item,
        poll_item=poll_item,
        attempted=np.bincount(send_item[outcome != Type.FAIL], minlength=items),
        failed=np.bincount(send_item[outcome == Type.FAIL], minlength=items),
        polled=polled,
        committed=committed,
        vouchers=dict(vouchers),
    )


def named(found: Messages, key: int) -> str:
    """The log, in a sentence."""
    return f"the log {show(found.keys[key])}"


def tell_of_logs(facts: Facts, found: Messages, log: Logs, findings: Findings) -> None:
    """Tell the anomalies that need no order of operations: two messages at one offset, one message
    at two, and messages that were polled although they were never sent, or sent in vain."""
    wrong = np.flatnonzero(log.cell_slot[1:] == log.cell_slot[:-1]) + 1
    first = wrong[
        np.append(True, log.cell_slot[wrong][1:] != log.cell_slot[wrong][:-1])[: len(wrong)]
    ]
    findings.add("inconsistent-offsets", len(first), _inconsistent(facts, found, log, first))
    order = np.lexsort((log.cell_slot, log.cell_item))
    again = np.flatnonzero(log.cell_item[order][1:] == log.cell_item[order][:-1]) + 1
    again = again[log.attempted[log.cell_item[order[again]]] <= 1]
    items = log.cell_item[order[again]]
    again = again[np.append(True, items[1:] != items[:-1])[: len(items)]]
    findings.add("duplicate", len(again), _duplicate(facts, found, log, order, again))
    repeated = int((log.attempted > 1).sum())
    if repeated:
        findings.doubt(
            "repeated-messages",
            f"{repeated:,} messages were sent more than once to the same log: which of them was "
            "polled cannot be told.",
        )
    strange = log.attempted[log.poll_item] == 0
    aborted = np.flatnonzero(strange & (log.failed[log.poll_item] > 0))
    findings.add("aborted-read", len(aborted), _aborted(facts, found, log, aborted))
    unsent = np.flatnonzero(strange & (log.failed[log.poll_item] == 0))
    findings.add("garbage-read", len(unsent), _garbage(facts, found, unsent))
    items_total = len(log.polled) + 1
    own = found.send_row * items_total + log.send_item
    mine = np.isin(found.poll_row * items_total + log.poll_item, own)
    mine &= log.attempted[log.poll_item] == 1
    early = np.flatnonzero(mine)
    findings.add("precommitted-read", len(early), _precommitted(facts, found, early))


def _inconsistent(facts: Facts, found: Messages, log: Logs, cells: Ints) -> Iterator[Anomaly]:
    for cell in cells.tolist():
        slot = int(log.cell_slot[cell])
        rows = [int(log.cell_row[cell - 1]), int(log.cell_row[cell])]
        one, other = (_message(found, log, int(log.cell_item[at])) for at in (cell - 1, cell))
        key, offset = int(log.slot_key[slot]), int(log.slot_offset[slot])
        yield facts.anomaly(
            "inconsistent-offsets",
            f"{facts.process(rows[0], start=True)} found {one} at offset {offset} of "
            f"{named(found, key)}, and {facts.process(rows[1])} found {other} there.",
            log.vouched(rows),
            key=found.keys[key],
            offset=offset,
        )


def _duplicate(
    facts: Facts, found: Messages, log: Logs, order: Ints, again: Ints
) -> Iterator[Anomaly]:
    for at in again.tolist():
        cells = (int(order[at - 1]), int(order[at]))
        item = int(log.cell_item[cells[0]])
        offsets = [int(log.slot_offset[log.cell_slot[cell]]) for cell in cells]
        key = int(log.slot_key[log.cell_slot[cells[0]]])
        sent = [int(row) for row in found.send_row[log.send_item == item]]
        yield facts.anomaly(
            "duplicate",
            f"{_message(found, log, item)} lies at offset {offsets[0]} and at offset {offsets[1]} "
            f"of {named(found, key)}, but was sent at most once.",
            [*log.vouched(int(log.cell_row[cell]) for cell in cells), *sent],
            key=found.keys[key],
            offsets=offsets,
        )


def _aborted(facts: Facts, found: Messages, log: Logs, polls: Ints) -> Iterator[Anomaly]:
    for at in polls.tolist():
        row, key = int(found.poll_row[at]), int(found.poll_key[at])
        sent = [int(one) for one in found.send_row[log.send_item == log.poll_item[at]]]
        yield facts.anomaly(
            "aborted-read",
            f"{facts.process(row, start=True)} polled {_polled(found, at)} from "
            f"{named(found, key)}, whose send by {facts.process(sent[0])} had failed.",
            [row, *sent],
            key=found.keys[key],
        )


def _garbage(facts: Facts, found: Messages, polls: Ints) -> Iterator[Anomaly]:
    for at in polls.tolist():
        row, key = int(found.poll_row[at]), int(found.poll_key[at])
        yield facts.anomaly(
            "garbage-read",
            f"{facts.process(row, start=True)} polled {_polled(found, at)} from "
            f"{named(found, key)}, which nobody sent to it.",
            [row],
            key=found.keys[key],
        )


def _precommitted(facts: Facts, found: Messages, polls: Ints) -> Iterator[Anomaly]:
    for at in polls.tolist():
        row, key = int(found.poll_row[at]), int(found.poll_key[at])
        yield facts.anomaly(
            "precommitted-read",
            f"{facts.process(row, start=True)} polled {_polled(found, at)} from "
            f"{named(found, key)} in the very transaction that sent it.",
            [row],
            key=found.keys[key],
        )


def _polled(found: Messages, at: int) -> str:
    return f"{show(found.values[int(found.poll_value[at])])} (offset {int(found.poll_offset[at])})"


def _message(found: Messages, log: Logs, item: int) -> str:
    sent = np.flatnonzero(log.send_item == item)
    if len(sent):
        return show(found.values[int(found.send_value[sent[0]])])
    return show(found.values[int(found.poll_value[np.argmax(log.poll_item == item)])])
