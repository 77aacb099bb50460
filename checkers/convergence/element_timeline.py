"""When each element of a set was added, acknowledged, seen and missed.

One row an element: the earliest and latest times, and the operations that set them. It loops over
the different lists that were read, each of which takes a few operations on arrays as long as there
are elements; so 1,000 reads of 100,000 elements take about a second.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from checkers.convergence.elements import Elements, items_of
from checkers.convergence.findings import Ints
from harness.core.history import NEVER, History
from harness.core.operation import Type

__all__ = ["Timeline", "timeline"]

_NOBODY = -1
_NEVER_BEFORE = -1  # before all times


@dataclass(frozen=True, slots=True, kw_only=True)
class Timeline:
    """The elements of one key, ``int64[m]`` each; rows are those of ``history.operations``.

    ``add_call``, ``add_row``: the first addition that did not fail (``NEVER``, -1: none);
    ``failed_row``: one that failed. ``acknowledged``, ``acknowledged_row``: the first return of an
    addition (``NEVER``: none), ``acknowledged_last`` the last one (-1). ``seen_ret``, ``seen_row``:
    the first return of a read that contains it (``NEVER``), ``seen_last`` the last (-1).
    ``absent_call``, ``absent_row``: the last call of a read that does not (-1).
    ``duplicated``: reads, and an element that they contain twice.
    """

    key: int
    values: Sequence[Any]
    add_call: Ints
    add_row: Ints
    failed_row: Ints
    acknowledged: Ints
    acknowledged_row: Ints
    acknowledged_last: Ints
    seen_ret: Ints
    seen_row: Ints
    seen_last: Ints
    absent_call: Ints
    absent_row: Ints
    duplicated: tuple[tuple[int, int], ...]


def timeline(history: History, adds: Ints, reads: Ints) -> Timeline:
    """The timeline of the additions and reads (successful ones) of one key. O(n log n + d m) for
    ``d`` different lists and ``m`` elements. Raises :class:`Unsupported`."""
    operations = history.operations
    arguments, element = np.unique(operations.argument[adds], return_inverse=True)
    element = element.reshape(-1)
    elements = Elements([history.values[code] for code in arguments.tolist()])
    outcome = operations.outcome[adds]
    tried, ok = outcome != Type.FAIL, outcome == Type.OK
    seen = _Seen(elements)
    for value, rows in _by_list(operations.result[reads], reads):
        seen.read(history, history.values[value], rows)
    count = len(elements)
    add_call, add_row = _earliest(count, element[tried], operations.call[adds], adds, tried)
    acknowledged, acknowledged_row = _earliest(count, element[ok], operations.ret[adds], adds, ok)
    failed_row = np.full(count, _NOBODY, dtype=np.int64)
    failed_row[element[~tried]] = adds[~tried]
    last = np.full(count, _NEVER_BEFORE, dtype=np.int64)
    np.maximum.at(last, element[ok], operations.ret[adds][ok])
    seen.grow()
    row_or_zero = np.maximum(seen.absent_row, 0)
    nowhere = seen.absent_row < 0
    return Timeline(
        key=int(operations.key[adds[0] if len(adds) else reads[0]]),
        values=elements.values,
        add_call=add_call,
        add_row=add_row,
        failed_row=failed_row,
        acknowledged=acknowledged,
        acknowledged_row=acknowledged_row,
        acknowledged_last=last,
        seen_ret=seen.first,
        seen_row=seen.first_row,
        seen_last=seen.last,
        absent_call=np.where(nowhere, _NEVER_BEFORE, operations.call[row_or_zero]),
        absent_row=seen.absent_row,
        duplicated=tuple(seen.duplicated),
    )


def _earliest(count: int, element: Ints, times: Ints, rows: Ints, mask: Any) -> tuple[Ints, Ints]:
    """The earliest time of each element, and its row."""
    time, row = np.full(count, NEVER), np.full(count, _NOBODY, dtype=np.int64)
    late_first = np.argsort(-times[mask], kind="stable")
    # Of assignments to one place the last one stays: the earliest time.
    time[element[late_first]] = times[mask][late_first]
    row[element[late_first]] = rows[mask][late_first]
    return time, row


def _by_list(results: Ints, reads: Ints) -> list[tuple[int, Ints]]:
    """The different lists, with the reads that returned each, in order of the last such call."""
    order = np.argsort(results, kind="stable")
    parts = np.split(reads[order], np.flatnonzero(np.diff(results[order])) + 1)
    codes = [int(results[np.searchsorted(reads, part[0])]) for part in parts if len(part)]
    return sorted(zip(codes, parts, strict=False), key=lambda part: int(part[1][-1]))


class _Seen:
    """What reads say, one different list after another."""

    def __init__(self, elements: Elements) -> None:
        self.elements = elements
        self.first = np.empty(0, dtype=np.int64)
        self.first_row = self.last = self.absent_row = self.first
        self.duplicated: list[tuple[int, int]] = []
        self.missed_by = _NOBODY  # the last read so far, which lacks what is yet unheard of

    def grow(self) -> None:
        """Rows for elements that were met since."""
        new = len(self.elements) - len(self.first)
        if not new:
            return

        def grown(column: Ints, value: int) -> Ints:
            return np.concatenate([column, np.full(new, value, dtype=np.int64)])

        self.first = grown(self.first, int(NEVER))
        self.first_row = grown(self.first_row, _NOBODY)
        self.last = grown(self.last, _NEVER_BEFORE)
        self.absent_row = grown(self.absent_row, self.missed_by)

    def read(self, history: History, value: Any, rows: Ints) -> None:
        """The reads at ``rows`` (ascending) all returned the list ``value``."""
        codes = self.elements.codes(items_of(value))
        self.grow()
        present = np.zeros(len(self.first), dtype=bool)
        present[codes] = True
        if int(np.count_nonzero(present)) < len(codes):
            twice = int(np.argmax(np.bincount(codes)))
            self.duplicated += [(row, twice) for row in rows.tolist()]
        ret = history.operations.ret[rows]
        earliest = int(np.argmin(ret))
        earlier = present & (self.first > ret[earliest])
        self.first[earlier] = ret[earliest]
        self.first_row[earlier] = rows[earliest]
        np.maximum(self.last, ret.max(), out=self.last, where=present)
        # Rows are in order of calls, and lists in order of their last row.
        self.absent_row[~present] = rows[-1]
        self.missed_by = int(rows[-1])
