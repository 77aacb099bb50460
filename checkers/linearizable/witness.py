"""The smallest set of register operations that is already illegal by itself.

Leaving out a write can make a legal history look illegal (its value now comes from nowhere), so a
part of a history is judged more leniently than a whole one: *an observation counts only if its
source is certainly in the part*. A write outside the part cannot be the source if it began after
the observation ended, or if an operation of the part certainly replaced it before the observation
began. (The source of a mismatch, which only says what it did not find, may be any write.) An
observation that does not count is dropped: a read or a mismatch vanishes, and a compare-and-set
becomes a write.

Take any legal order of the whole and restrict it to the part: counted observations keep their
source, so the restriction is legal. Hence an illegal part proves the whole illegal, and every part
that contains an illegal one is illegal too; so leaving out one operation after another leads to a
set from which nothing can be spared. Taken literally, such a set is illegal as well.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from checkers.linearizable.budget import Budget
from checkers.linearizable.latest import Latest
from checkers.linearizable.register_instances import instance
from checkers.linearizable.registers import (
    CAS,
    MISMATCH,
    NOTHING,
    READ,
    WRITE,
    Ints,
    Registers,
)
from checkers.linearizable.search import search
from checkers.linearizable.zones import Structure, Violation

__all__ = ["Judge", "closure", "from_search", "from_zones", "local"]

_CHECK_STEPS_MAX = 20_000
_STEPS_PER_OPERATION = 4  # enough to walk down a chain, however long
_WINDOW_MIN = 8


class Judge:
    """Judges parts of the operations of one key (positions into ``registers``)."""

    def __init__(self, registers: Registers, budget: Budget) -> None:
        self._registers = registers
        self._budget = budget
        self._writes = writes = np.flatnonzero(registers.writes)
        # Each write is a source of its value, and (group 0) of a mismatch: that may have found any.
        self._sources_of = Latest(
            np.concatenate([registers.after[writes] + 1, np.zeros_like(writes)]),
            np.tile(registers.call[writes], 2),
            np.tile(registers.ret[writes], 2),
            span=registers.horizon + 2,
        )

    def illegal(self, part: Iterable[int]) -> bool:
        """Whether ``part`` is certainly illegal by itself. False also when the budget is spent."""
        rows = np.array(sorted(part), dtype=np.int64)
        if not len(rows) or self._exhausted():
            return False
        lenient = self._lenient(rows)
        allowed = max(_CHECK_STEPS_MAX, _STEPS_PER_OPERATION * len(rows))
        outcome = search(instance(lenient), self._budget.of(allowed))
        self._budget.steps_left -= outcome.steps + len(rows)
        return outcome.legal is False

    def _exhausted(self) -> bool:
        return self._budget.steps_left <= 0 or self._budget.expired()

    def _lenient(self, rows: Ints) -> Registers:
        part = self._registers.select(rows)
        counted = self._counted(part, rows)
        drop = ~part.writes & ~counted
        blind = (part.kind == CAS) & ~counted
        return replace(
            part,
            kind=np.where(blind, WRITE, part.kind),
            before=np.where(blind, NOTHING, part.before),
        ).select(~drop)

    def _counted(self, part: Registers, rows: Ints) -> NDArray[np.bool_]:
        """Which observations certainly have their source in the part. O(n log n)."""
        over = part.writes & (part.ret < part.horizon)
        nought = np.zeros(len(part), dtype=np.int64)
        replaced = Latest(
            nought[over], part.ret[over], part.call[over], span=part.horizon + 2
        ).up_to(nought, part.call - 1)
        inside = np.isin(self._writes, rows)
        source = self._sources_of.without(np.tile(inside, 2)).up_to(
            np.where(part.kind == MISMATCH, 0, part.before + 1), part.ret
        )
        observing = (part.before != NOTHING) | (part.kind == MISMATCH)
        counted: NDArray[np.bool_] = ~observing | (source < np.maximum(replaced, 0))
        return counted

    def witness(self, part: Iterable[int]) -> tuple[int, ...]:
        """The illegal ``part`` without what can be spared, in order of invocation; but with a write
        of each value observed, so that it can be understood: its latest possible source, or else
        the first one."""
        kept = self._shrink(sorted(part), frozenset())
        # Where an added write makes others superfluous, these go.
        result = self._shrink(sorted({*kept, *self._sources(kept)}), self._sources(kept))
        return tuple(sorted({*result, *self._sources(result)}))

    def _sources(self, part: Iterable[int]) -> frozenset[int]:
        """For each observation that counts in ``part`` a write of its value (one of ``part``, if
        there is)."""
        registers, members = self._registers, set(part)
        rows = np.array(sorted(members), dtype=np.int64)
        result = set()
        for place in rows[self._counted(registers.select(rows), rows)].tolist():
            writers = self._writes[registers.after[self._writes] == registers.before[place]]
            if not len(writers):
                continue
            calls = registers.call[writers]
            begun = writers[calls <= registers.ret[place]]
            latest = (
                begun[registers.call[begun].argmax()] if len(begun) else writers[calls.argmin()]
            )
            result.add(min(members.intersection(writers.tolist()), default=int(latest)))
        return frozenset(result)

    def _shrink(self, part: list[int], spare: frozenset[int]) -> list[int]:
        """A part of the illegal ``part`` from which nothing can be left out (as far as the budget
        allows), but which still has ``spare``."""
        kept, size = part, max(len(part) // 2, 1)
        while True:
            place = 0
            while place < len(kept) and not self._exhausted():
                fewer = [
                    one
                    for at, one in enumerate(kept)
                    if not place <= at < place + size or one in spare
                ]
                if len(fewer) < len(kept) and self.illegal(fewer):
                    place += size - (len(kept) - len(fewer))
                    kept = fewer
                else:
                    place += size
            if size == 1:
                return kept
            size //= 2


def from_zones(found: Structure, violation: Violation, budget: Budget) -> tuple[int, ...]:
    """The witness of a violation that the zones found: positions in their registers."""
    rows = np.flatnonzero(found.registers.key == violation.key)
    local = {position: place for place, position in enumerate(rows.tolist())}
    suspects = {local[position] for position in closure(found, violation.corners())}
    judge = Judge(found.registers.select(rows), budget)
    part = suspects if judge.illegal(suspects) else set(local.values())
    return tuple(int(rows[place]) for place in judge.witness(part))


def closure(found: Structure, corners: tuple[int, ...]) -> set[int]:
    """``corners`` with the writes of their values, the chains that link those of one block, and
    for indeterminate operations an observation that proves that they happened."""
    result = set(corners)
    top: dict[int, int] = {}
    clusters = [int(found.cluster[corner]) for corner in corners]
    for cluster in clusters:
        root = int(found.root[cluster])
        top[root] = min(top.get(root, cluster), cluster, key=lambda c: int(found.depth[c]))
    for start in clusters:
        stop = int(found.depth[top[int(found.root[start])]])
        cluster, seen = start, set[int]()
        while cluster >= 0 and cluster not in seen:
            seen.add(cluster)
            writer = int(found.writer[cluster])
            if writer >= 0:
                result.add(writer)
            if found.depth[cluster] <= stop and not found.cyclic[cluster]:
                break
            cluster = int(found.parent[cluster])
    return result | _proofs(found, result)


def _proofs(found: Structure, operations: set[int]) -> set[int]:
    """For each indeterminate operation somebody who saw its value (and so on, if that is another
    indeterminate operation)."""
    registers = found.registers
    result: set[int] = set()
    for operation in operations:
        position = operation
        while registers.ret[position] == registers.horizon:
            cluster = found.cluster[position]
            reads = np.flatnonzero((found.cluster == cluster) & (registers.kind == READ))
            swaps = np.flatnonzero(found.parent_of == cluster)
            # An operation is only kept if it was observed, so one of them is there.
            position = int(reads[0] if len(reads) else swaps[0])
            if position in result or position in operations:
                break
            result.add(position)
    return result


def local(registers: Registers, until: int, budget: Budget) -> tuple[int, ...] | None:
    """The witness of one key in some window (of doubling length) that ends at rank ``until``, where
    the search cannot pass a return; None if there is none or the budget is spent. Needs no verdict
    on the whole: what it finds is a proof. A search that cannot pass a return, but cannot try all
    orders before it either, is often decided in this way."""
    judge = Judge(registers, budget)
    prefix = np.flatnonzero(registers.call <= until)
    ended = np.where(registers.ret < registers.horizon, registers.ret, registers.call)[prefix]
    latest = prefix[np.argsort(-ended, kind="stable")]
    # What was still pending rarely matters, but multiplies the orders to try: first without it.
    over = latest[registers.ret[latest] <= until]
    for part in (*_windows(over), *_windows(latest)):
        if judge.illegal(part):
            return judge.witness(part)
    return None


def from_search(registers: Registers, until: int, budget: Budget) -> tuple[int, ...]:
    """The witness of one key, proven illegal, whose search could not pass a return at rank
    ``until``. Where the budget allows nothing smaller: everything invoked before that return, which
    is what the search proved illegal."""
    found = local(registers, until, budget)
    if found is not None:
        return found
    return tuple(np.flatnonzero(registers.call <= until).tolist())


def _windows(latest: Ints) -> Iterator[list[int]]:
    """The latest operations: a few, then twice as many, and in the end all."""
    size = _WINDOW_MIN
    while size < len(latest):
        yield latest[:size].tolist()
        size *= 2
    yield latest.tolist()
