"""What was added, removed and seen of the elements of one set.

A read of the whole set is a sight of each of its elements. Most of these say nothing new: an
element that is never removed, and that is found from some moment on by each replica and by all
final reads, needs no search; and of several equal sights of one replica in a row, with no update
of the element at that replica in between, one explains the others (what it had observed, they had;
no more is needed). What is left is :meth:`Observations.interesting`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from checkers.convergence.elements import Elements, items_of
from checkers.convergence.findings import Bools, Ints, Unsupported, show
from checkers.convergence.visibility import Sight, Update
from harness.core.history import NEVER, History, Interner
from harness.core.operation import Type

__all__ = ["Observations", "observations"]

_CELLS_MAX = 1 << 24
_BEFORE_ALL = -1


@dataclass(frozen=True, slots=True, kw_only=True)
class Observations:
    """One key. ``updates`` (rows of operations that did not fail) with ``update_element``, and
    whether they ``adds``; ``failed`` additions with ``failed_element``; ``reads`` of the whole set
    with ``lists`` (ascending codes of what each found); ``asked``: those for one element,
    ``asked_element``, and what they ``answered``. ``tags`` and ``removed``: the tag of an addition,
    and those that a removal had observed, where they are known, by row."""

    history: History
    key: int
    elements: Elements
    updates: Ints
    update_element: Ints
    adds: Bools
    failed: Ints
    failed_element: Ints
    reads: Ints
    lists: tuple[Ints, ...]
    asked: Ints
    asked_element: Ints
    answered: Bools
    duplicated: tuple[tuple[int, int], ...]
    tags: dict[int, int]
    removed: dict[int, frozenset[int]]
    tag_names: tuple[Any, ...]

    def updates_of(self, code: int, replica: Ints) -> list[Update]:
        """The updates of one element, in order of call."""
        operations = self.history.operations
        found = []
        for place in np.flatnonzero(self.update_element == code).tolist():
            row = int(self.updates[place])
            found.append(
                Update(
                    row=row,
                    call=int(operations.call[row]),
                    end=int(operations.ret[row]),
                    replica=int(replica[row]),
                    adds=bool(self.adds[place]),
                    sure=bool(operations.outcome[row] == Type.OK),
                    tag=self.tags.get(row, 0),
                    observed=self.removed.get(row),
                )
            )
        return found

    def failed_of(self, code: int) -> Ints:
        """The additions of one element that failed."""
        rows: Ints = self.failed[self.failed_element == code]
        return rows

    def phantom_tags(self) -> list[tuple[int, str]]:
        """Removals that have observed a tag which no addition had that had begun by then."""
        operations = self.history.operations
        tagged = dict(zip(self.updates.tolist(), self.update_element.tolist(), strict=True))
        made: dict[tuple[int, int], int] = {}
        nameless = set()
        for row, element, adds in zip(
            self.updates.tolist(), self.update_element.tolist(), self.adds.tolist(), strict=True
        ):
            if adds and row in self.tags:
                made.setdefault((element, self.tags[row]), row)
            elif adds:
                nameless.add(element)
        found = []
        for row, tags in self.removed.items():
            for tag in sorted(tags):
                source = made.get((tagged[row], tag))
                unheard_of = source is None and tagged[row] not in nameless
                early = source is not None and operations.ret[row] < operations.call[source]
                if unheard_of or (early and self.history.realtime):
                    found.append((row, show(self.tag_names[tag])))
        return found

    def interesting(self, replica: Ints, final: Bools) -> Iterator[tuple[int, list[Sight]]]:
        """The elements that need a decision, with the sights that do not follow from others."""
        count = len(self.elements)
        reads = self.reads[np.lexsort((self.reads, replica[self.reads]))]
        place = {row: at for at, row in enumerate(self.reads.tolist())}
        lists = [self.lists[place[row]] for row in reads.tolist()]
        table = _Table(self, reads, replica, final)
        width = max(1, min(count, _CELLS_MAX // max(len(reads), 1)))
        for low in range(0, count, width):
            high = min(low + width, count)
            found = np.zeros((high - low, len(reads)), dtype=bool)
            for column, codes in enumerate(lists):
                first, last = np.searchsorted(codes, [low, high])
                found[codes[first:last] - low, column] = True
            for code in (np.flatnonzero(table.undecided(found, low)) + low).tolist():
                yield code, table.sights(code, found[code - low])


class _Table:
    """All sights by whole reads, in order of replica and call."""

    def __init__(self, seen: Observations, reads: Ints, replica: Ints, final: Bools) -> None:
        operations = seen.history.operations
        count = len(seen.elements)
        self.seen, self.reads, self.replica, self.final = seen, reads, replica, final
        self.call, self.ret = operations.call[reads], operations.ret[reads]
        self.who = replica[reads]
        self.first = np.ones(len(reads), dtype=bool)
        self.first[1:] = self.who[1:] != self.who[:-1]
        # Whether all earlier reads of the replica had returned before this one began.
        self.apart = self.first.copy()
        for start, end in _runs(self.first):
            over = np.maximum.accumulate(self.ret[start:end])
            self.apart[start + 1 : end] = over[:-1] < self.call[start + 1 : end]
        self._mine: dict[int, Ints] = {}
        self.removed = np.zeros(count, dtype=bool)
        self.removed[seen.update_element[~seen.adds]] = True
        self.asked = np.zeros(count, dtype=bool)
        self.asked[seen.asked_element] = True
        self.added_from = np.full(count, NEVER)
        added = seen.updates[seen.adds]
        element = seen.update_element[seen.adds]
        np.minimum.at(self.added_from, element, operations.call[added])
        sure = operations.outcome[added] == Type.OK
        self.acknowledged = np.zeros(count, dtype=bool)
        self.acknowledged[element[sure]] = True

    def undecided(self, found: Bools, low: int) -> Bools:
        """The elements (rows of ``found``, from code ``low`` on) for which it does not suffice that
        they are only added: found by nobody before they were added, by each replica from some
        moment on, after its own additions, and by all final reads."""
        seen = self.seen
        block = slice(low, low + len(found))
        doubt: Bools = self.removed[block] | self.asked[block]
        if not len(self.reads):
            return doubt
        earliest = np.where(found, self.ret, NEVER).min(axis=1)
        if seen.history.realtime:
            doubt = doubt | (earliest < self.added_from[block])
        else:
            doubt = doubt | ((self.added_from[block] == NEVER) & (earliest < NEVER))
        gone = found[:, :-1] & ~found[:, 1:] & ~self.first[1:]
        doubt = doubt | gone.any(axis=1)
        last = self.final[self.reads]
        known = self.acknowledged[block] | found.any(axis=1)
        doubt = doubt | (known & ~found[:, last].all(axis=1))
        # A replica's own additions: the first read after each must have found the element.
        operations = seen.history.operations
        for row, code in zip(seen.updates.tolist(), seen.update_element.tolist(), strict=True):
            if not low <= code < low + len(found) or doubt[code - low]:
                continue
            mine = self.mine(int(self.replica[row]))
            after = mine[self.call[mine] > operations.ret[row]]
            doubt[code - low] = not found[code - low, after].all()
        return doubt

    def mine(self, replica: int) -> Ints:
        """The places of the reads of one replica, in order of call."""
        if replica not in self._mine:
            self._mine[replica] = np.flatnonzero(self.who == replica)
        return self._mine[replica]

    def sights(self, code: int, found: Bools) -> list[Sight]:
        """The sights of one element that do not follow from another."""
        seen, operations = self.seen, self.seen.history.operations
        kept = self.first | self.final[self.reads]
        kept = kept | ~self.apart
        kept[1:] |= ~self.apart[:-1]
        kept[1:] |= found[1:] != found[:-1]
        touching = np.concatenate(
            [
                seen.updates[seen.update_element == code],
                seen.asked[seen.asked_element == code],
            ]
        )
        for row in touching.tolist():
            mine = self.mine(int(self.replica[row]))
            place = np.searchsorted(self.call[mine], operations.ret[row], side="right")
            if place < len(mine):
                kept[mine[place]] = True
        sights = [
            self._sight(int(self.reads[at]), present=bool(found[at]))
            for at in np.flatnonzero(kept).tolist()
        ]
        for at in np.flatnonzero(seen.asked_element == code).tolist():
            sights.append(self._sight(int(seen.asked[at]), present=bool(seen.answered[at])))
        return sights

    def _sight(self, row: int, *, present: bool) -> Sight:
        operations = self.seen.history.operations
        return Sight(
            row=row,
            call=int(operations.call[row]),
            end=int(operations.ret[row]),
            replica=int(self.replica[row]),
            present=present,
            final=bool(self.final[row]),
        )


def _runs(first: Bools) -> list[tuple[int, int]]:
    bounds = [*np.flatnonzero(first).tolist(), len(first)]
    return list(pairwise(bounds))


def observations(history: History, rows: Ints, *, tagged: bool) -> Observations:
    """What the operations at ``rows`` (of one key) say. Raises :class:`Unsupported`."""
    operations = history.operations
    names = [history.functions[code] for code in operations.f[rows].tolist()]
    is_add = np.array([name == "add" for name in names], dtype=bool)
    is_remove = np.array([name == "remove" for name in names], dtype=bool)
    asks = np.array([name == "contains" for name in names], dtype=bool)
    reading = rows[~is_add & ~is_remove & ~asks]
    failed = operations.outcome[rows] == Type.FAIL
    elements = Elements(())
    arguments: dict[int, int] = {}

    def element(row: int) -> int:
        code = int(operations.argument[row])
        if code not in arguments:
            value = history.values[code]
            split = tagged and isinstance(value, list) and len(value) == 2
            arguments[code] = elements.code(value[0] if split else value)
        return arguments[code]

    def of(mask: Any) -> tuple[Ints, Ints]:
        chosen = rows[mask]
        return chosen, np.array([element(row) for row in chosen.tolist()], dtype=np.int64)

    updates, update_element = of((is_add | is_remove) & ~failed)
    tried, tried_element = of(is_add & failed)
    asked, asked_element = of(asks)
    answers = [_answer(history.values[int(operations.result[row])]) for row in asked.tolist()]
    found: dict[int, Ints] = {}
    duplicated = []
    for row in reading.tolist():
        code = int(operations.result[row])
        if code not in found:
            found[code] = np.sort(elements.codes(items_of(history.values[code])))
        codes = found[code]
        twice = np.flatnonzero(codes[1:] == codes[:-1])
        duplicated += [(row, int(codes[place])) for place in twice[:1].tolist()]
    adds = is_add[(is_add | is_remove) & ~failed]
    interner = Interner()
    tags, removed = _tags(history, updates, adds, interner) if tagged else ({}, {})
    return Observations(
        history=history,
        key=int(operations.key[rows[0]]),
        elements=elements,
        updates=updates,
        update_element=update_element,
        adds=adds,
        failed=tried,
        failed_element=tried_element,
        reads=reading,
        lists=tuple(found[int(operations.result[row])] for row in reading.tolist()),
        asked=asked,
        asked_element=asked_element,
        answered=np.array(answers, dtype=bool),
        duplicated=tuple(duplicated),
        tags=tags,
        removed=removed,
        tag_names=tuple(interner.values),
    )


def _answer(value: Any) -> bool:
    if isinstance(value, list | tuple) and len(value) == 2:
        value = value[1]
    if isinstance(value, bool):
        return value
    raise Unsupported(f"the answer {show(value)} of contains is neither true nor false")


def _tags(
    history: History, updates: Ints, adds: Bools, interner: Interner
) -> tuple[dict[int, int], dict[int, frozenset[int]]]:
    """The tags of additions, and of what removals had observed, where they say so."""
    operations = history.operations
    tags: dict[int, int] = {}
    removed: dict[int, frozenset[int]] = {}
    for row, add in zip(updates.tolist(), adds.tolist(), strict=True):
        certain = operations.outcome[row] == Type.OK
        argument = history.values[int(operations.argument[row])]
        value = history.values[int(operations.result[row])] if certain else argument
        if add:
            if isinstance(value, list) and len(value) == 2:
                tags[row] = interner.code(value[1])
            continue
        if not certain or not isinstance(value, list):
            continue
        pair = len(value) == 2 and value[0] == argument and isinstance(value[1], list)
        removed[row] = frozenset(interner.codes(value[1] if pair else value))
    return tags, removed
