"""What the operations on a set say of its elements.

An element is an object of its own with two states, *present* and *absent*. What an operation on a
set does to one element is a *touch* of one of the kinds below. An answer of ``true`` or ``false``
to an update tells the state that it found; then it is a change for certain, or no change at all.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from enum import IntEnum
from typing import Any

import msgspec
import numpy as np

from checkers.linearizable.calls import Calls, Proof, Words
from checkers.linearizable.procedures.values import Bools, Codes
from checkers.linearizable.registers import Ints

__all__ = ["Kind", "Reads", "Touches", "contradiction", "touches", "whole_reads"]


class Kind(IntEnum):
    """What an operation does to one element. The last two may have happened, or not."""

    ADD = 0
    REMOVE = 1
    ADDED = 2
    REMOVED = 3
    PRESENT = 4
    ABSENT = 5
    MAYBE_ADD = 6
    MAYBE_REMOVE = 7


@dataclass(frozen=True, slots=True, kw_only=True)
class Touches:
    """One row an operation and an element; ``int64[n]`` each. ``element`` is a code of a value,
    ``position`` that of the operation in the calls; ``call`` and ``ret`` are ranks."""

    key: Ints
    element: Ints
    kind: Ints
    position: Ints
    call: Ints
    ret: Ints

    def __len__(self) -> int:
        return len(self.key)

    def select(self, rows: Bools | Ints) -> Touches:
        """The touches at ``rows`` (a mask or places), in the same order."""
        return replace(
            self, **{column.name: getattr(self, column.name)[rows] for column in fields(self)}
        )

    def also(self, other: Touches) -> Touches:
        """These touches, then the ``other`` ones."""
        names = [column.name for column in fields(self)]
        return Touches(
            **{name: np.concatenate([getattr(self, name), getattr(other, name)]) for name in names}
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Reads:
    """Reads of whole sets. ``position[n_reads]`` are those in the calls; ``seen[n_reads]`` is which
    of ``sets`` a read returned (codes of elements, ascending). ``values`` are what codes stand
    for: those of the calls, and elements that only reads have."""

    position: Ints
    seen: Ints
    sets: tuple[Ints, ...]
    values: Sequence[Any]

    @property
    def codes(self) -> int:
        """How many codes of elements there are."""
        return len(self.values)

    def select(self, rows: Bools) -> Reads:
        """The reads of a mask."""
        return replace(self, position=self.position[rows], seen=self.seen[rows])

    def set_of(self, row: int) -> Ints:
        """What the read at ``row`` saw."""
        return self.sets[int(self.seen[row])]

    def name(self, code: int) -> str:
        """An element, as it stands in a history."""
        return msgspec.json.encode(self.values[code]).decode()


def touches(calls: Calls) -> tuple[Touches, Ints]:
    """What each operation (but whole reads) does to its element, in order of call; and the
    positions of those that answered ``contains`` with something else than a boolean, alone or in
    a pair with the element."""
    true, false = (
        np.array(
            [code for code, value in enumerate(calls.values) if value is truth], dtype=np.int64
        )
        for truth in (True, False)
    )
    yes, no = (np.isin(calls.result, codes) for codes in (true, false))
    adds, removes, asks = (calls.of(name) for name in ("add", "remove", "contains"))
    certain = calls.certain
    yes_of_it, no_of_it = _with_element(calls, np.flatnonzero(asks & certain))
    yes, no = yes | yes_of_it, no | no_of_it
    told = certain & (asks | (calls.result != calls.argument))
    kind = np.full(len(calls), -1, dtype=np.int64)
    kind[adds] = Kind.ADD
    kind[removes] = Kind.REMOVE
    kind[adds & ~certain] = Kind.MAYBE_ADD
    kind[removes & ~certain] = Kind.MAYBE_REMOVE
    kind[told & adds & yes] = Kind.ADDED
    kind[told & removes & yes] = Kind.REMOVED
    kind[told & ((adds & no) | (asks & yes))] = Kind.PRESENT
    kind[told & ((removes & no) | (asks & no))] = Kind.ABSENT
    rows = np.flatnonzero(kind >= 0)
    found = Touches(
        key=calls.key[rows],
        element=calls.argument[rows],
        kind=kind[rows],
        position=rows,
        call=calls.call[rows],
        ret=calls.ret[rows],
    )
    return found, np.flatnonzero(asks & certain & ~yes & ~no)


def _with_element(calls: Calls, rows: Ints) -> tuple[Bools, Bools]:
    """Which of the operations at ``rows`` answered ``[element, true]``, and which ``[element,
    false]``, with the element that they were asked for; masks of all calls."""
    codes, place = np.unique(calls.result[rows], return_inverse=True)
    named = Codes(calls, calls.argument[rows])
    element = np.full(len(codes), -1, dtype=np.int64)
    present = np.zeros(len(codes), dtype=bool)
    for at, code in enumerate(codes.tolist()):
        value = calls.values[code]
        if isinstance(value, (list, tuple)) and len(value) == 2 and isinstance(value[1], bool):
            (element[at],), present[at] = named.of(value[:1]), value[1]
    place = place.reshape(-1)
    same = element[place] == calls.argument[rows]
    yes, no = np.zeros(len(calls), dtype=bool), np.zeros(len(calls), dtype=bool)
    yes[rows], no[rows] = same & present[place], same & ~present[place]
    return yes, no


def whole_reads(calls: Calls) -> tuple[Reads, Ints, Ints]:
    """The reads of whole sets that certainly happened; the positions of those that returned an
    element twice; and of those that did not return a list."""
    rows = np.flatnonzero(calls.of("read") & calls.certain)
    codes, seen = np.unique(calls.result[rows], return_inverse=True)
    seen = seen.reshape(-1)
    element = Codes(calls, calls.argument[~calls.of("read")] if len(rows) else rows)
    sets: list[Ints] = []
    names: dict[bytes, int] = {}
    numbers = np.zeros(len(codes), dtype=np.int64)
    double = np.zeros(len(codes), dtype=bool)
    odd = np.zeros(len(codes), dtype=bool)
    for place, code in enumerate(codes.tolist()):
        value = calls.values[code]
        items = value if isinstance(value, (list, tuple)) else ()
        odd[place] = value is not None and items is not value
        members = np.sort(np.array(element.of(items), dtype=np.int64))
        double[place] = (members[1:] == members[:-1]).any()
        # Lists in another order, and null for an empty one, are the same set.
        numbers[place] = names.setdefault(members.tobytes(), len(names))
        if numbers[place] == len(sets):
            sets.append(members)
    fine = ~double & ~odd
    reads = Reads(
        position=rows[fine[seen]],
        seen=numbers[seen[fine[seen]]],
        sets=tuple(sets),
        values=element.values,
    )
    return reads, rows[double[seen]], rows[odd[seen]]


_HAD = {
    Kind.ADD: "had added it",
    Kind.REMOVE: "had removed it",
    Kind.ADDED: "had added it",
    Kind.REMOVED: "had removed it",
    Kind.PRESENT: "had found it there",
    Kind.ABSENT: "had found it missing",
}
_DID = {
    Kind.ADD: "added {}",
    Kind.REMOVE: "removed {}",
    Kind.ADDED: "added {}, which was new to the set",
    Kind.REMOVED: "removed {}, which was in the set",
    Kind.PRESENT: "found {} in the set",
    Kind.ABSENT: "found {} missing",
}
_NEEDS_ABSENT = (Kind.ADDED, Kind.ABSENT)
_LEAVES_PRESENT = (Kind.ADD, Kind.ADDED, Kind.PRESENT)
_NEEDS_PRESENT = (Kind.REMOVED, Kind.PRESENT)
_LEAVES_ABSENT = (Kind.REMOVE, Kind.REMOVED, Kind.ABSENT)


def contradiction(
    found: Touches, rows: tuple[int, ...], element: str, final: int, words: Words
) -> Proof:
    """The proof that the touches of one element at ``rows`` cannot all have happened, whatever
    others did; ``final`` of them is the one to be explained."""
    operations = tuple(dict.fromkeys(found.position[list(rows)].tolist()))
    position = int(found.position[final])
    needs = Kind(int(found.kind[final]))
    did = f"{words.process(position)} {_DID[needs].format(element)}"
    when = f"({words.called(position)} to {words.returned(position)})"
    if len(rows) == 1 and needs in _NEEDS_PRESENT:
        sentence = f"{did} by {words.returned(position)}, but nobody can have added it by then."
        return Proof(name="thin-air element", sentence=sentence, operations=operations)
    others = [row for row in rows if row != final]
    if len(others) == 1 and found.ret[others[0]] < found.call[final]:
        other, has = int(found.position[others[0]]), Kind(int(found.kind[others[0]]))
        for needed, left, name, undone in (
            (_NEEDS_ABSENT, _LEAVES_PRESENT, "lost element", "removed"),
            (_NEEDS_PRESENT, _LEAVES_ABSENT, "removed element found", "added"),
        ):
            if needs in needed and has in left:
                return Proof(
                    name=name,
                    sentence=f"{did} {when}, but {words.process(other)} {_HAD[has]} by "
                    f"{words.returned(other)}, and nobody can have {undone} it in between.",
                    operations=operations,
                )
    return Proof(
        name="non-linearizable",
        sentence=f"{did} {when}, which no order of these {len(operations):,} operations explains.",
        operations=operations,
    )
