"""Sets: exact where reads of the whole set and removals do not meet, in O(n log n).

``add``, ``remove`` and ``contains`` concern one element each, so a set without reads of the whole
is a collection of independent objects, and linearizable exactly if each element is (Herlihy & Wing,
"Linearizability", TOPLAS 1990, theorem 1: locality). Elements are decided by
:mod:`.element_automaton`.

A read of the whole set joins all elements at one instant. Where nothing is ever removed, the reads
form a chain: :mod:`.grow_only`. Where something is, each read is split into what it says of each
element. If that is illegal, so is the whole. If it is legal, so is the whole provided that no
update of the key overlaps a read of the whole: between the updates before a read and those after
it, nothing changes, so the parts of the read can come together. Else the key is undecided.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np

from checkers.linearizable.calls import Answer, Calls, Proof, Violation, Words
from checkers.linearizable.procedures.element_automaton import Automaton
from checkers.linearizable.procedures.elements import (
    Kind,
    Reads,
    Touches,
    touches,
    whole_reads,
)
from checkers.linearizable.procedures.grow_only import grow_only
from checkers.linearizable.procedures.values import instants
from checkers.linearizable.registers import Ints

__all__ = ["element_set"]

_SPLIT_MAX = 1_000_000
"""How many parts of reads there may be, in all."""


def element_set(calls: Calls, words: Words) -> Answer:
    """Decides sets that begin empty. O(n log n) in time, O(n) in memory, both with the total size
    of the different sets that were read in place of ``n`` where that is more."""
    found, no_truth = touches(calls)
    reads, double, odd = whole_reads(calls)
    known = np.zeros(len(calls), dtype=bool)
    for name in ("add", "remove", "contains", "read"):
        known |= calls.of(name)
    unclear = np.union1d(calls.key[odd], calls.key[~known])
    broken: dict[int, Callable[[], Proof]] = {}
    for position in no_truth.tolist():
        broken.setdefault(int(calls.key[position]), partial(_no_truth, position, words))
    for position in double.tolist():
        broken.setdefault(int(calls.key[position]), partial(_double, position, words))

    def left(keys: Ints) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
        return ~np.isin(keys, [*broken, *unclear.tolist()])

    found = found.select(left(found.key))
    reads = reads.select(left(calls.key[reads.position]))
    removes = np.isin(found.kind, (Kind.REMOVE, Kind.REMOVED, Kind.MAYBE_REMOVE))
    removing = np.unique(found.key[removes])
    growing = ~np.isin(found.key, removing)
    broken |= grow_only(
        calls,
        found.select(growing),
        reads.select(~np.isin(calls.key[reads.position], removing)),
        words,
    )
    found = found.select(~growing)
    reads = reads.select(np.isin(calls.key[reads.position], removing))
    parts, too_many = _split(calls, found, reads)
    found = found.also(parts)
    automaton = Automaton(calls.horizon)
    illegal, spent = automaton.run(found)
    for row in illegal[np.argsort(found.ret[illegal], kind="stable")].tolist():
        name = reads.name(int(found.element[row]))
        prove = partial(Automaton(calls.horizon).proof, found, row, name, words)
        broken.setdefault(int(found.key[row]), prove)
    undecided = [unclear, found.key[spent], too_many, _joined(calls, found, reads)]
    return Answer(
        violations=[Violation(key, broken[key]) for key in sorted(broken)],
        undecided=np.setdiff1d(np.concatenate(undecided), list(broken)).astype(np.int64),
    )


def _split(calls: Calls, found: Touches, reads: Reads) -> tuple[Touches, Ints]:
    """What each read says of each element of its key, and the keys for which that is too much to
    say."""
    keys = np.unique(calls.key[reads.position])
    left = _SPLIT_MAX
    parts = found.select(np.zeros(0, dtype=np.int64))
    skipped = []
    for key in keys.tolist():
        rows = np.flatnonzero(calls.key[reads.position] == key)
        seen = [reads.set_of(row) for row in rows.tolist()]
        elements = np.unique(np.concatenate([found.element[found.key == key], *seen]))
        left -= len(elements) * len(rows)
        if left < 0:
            skipped.append(key)
            continue
        position = np.repeat(reads.position[rows], len(elements))
        present = np.concatenate([np.isin(elements, one) for one in seen])
        more = Touches(
            key=np.full(len(position), key, dtype=np.int64),
            element=np.tile(elements, len(rows)),
            kind=np.where(present, int(Kind.PRESENT), int(Kind.ABSENT)),
            position=position,
            call=calls.call[position],
            ret=calls.ret[position],
        )
        parts = parts.also(more)
    return parts, np.array(skipped, dtype=np.int64)


def _joined(calls: Calls, found: Touches, reads: Reads) -> Ints:
    """The keys (each as often as that happens) where an update overlaps a read of the whole."""
    updates = ~np.isin(found.kind, (Kind.PRESENT, Kind.ABSENT))
    start = found.key[updates] * (calls.horizon + 1)
    call = np.sort(start + found.call[updates])
    ret = np.sort(start + found.ret[updates])
    begin = instants(calls, calls.call)[reads.position]
    end = instants(calls, calls.ret)[reads.position]
    called = np.searchsorted(call, end, side="right")
    over = np.searchsorted(ret, begin, side="left")
    keys: Ints = calls.key[reads.position[called > over]]
    return keys


def _no_truth(position: int, words: Words) -> Proof:
    return Proof(
        name="answer that is no boolean",
        sentence=f"{words.process(position)} asked whether the set contains "
        f"{words.argument(position)}, and was told {words.result(position)}.",
        operations=(position,),
    )


def _double(position: int, words: Words) -> Proof:
    return Proof(
        name="element read twice",
        sentence=f"{words.process(position)} read the set as {words.result(position)}, which has "
        "an element more than once.",
        operations=(position,),
    )
