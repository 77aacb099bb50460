"""The twin, in plain Python, of the kernel ``saturate_clocks``: the same answer, more slowly."""

from __future__ import annotations

from array import array
from bisect import bisect_left, bisect_right
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["Columns", "saturate_clocks_twin"]

Codes = NDArray[np.int32]
_NEVER = (1 << 31) - 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Columns:
    """What the kernel takes. The events are vertices ``0 ... len(chain) - 1``; edges lead from
    ``source`` to ``target``; ``reader`` read what ``writer`` wrote of ``key``, and ``author`` wrote
    ``written`` (transactions and keys)."""

    vertices: int
    chains: int
    snapshot: bool
    keys: int
    source: Codes
    target: Codes
    chain: Codes
    place: Codes
    reader: Codes
    writer: Codes
    key: Codes
    author: Codes
    written: Codes

    def arrays(self) -> tuple[Codes, ...]:
        """The columns, in this order."""
        return tuple(getattr(self, field.name) for field in fields(self)[4:])


def saturate_clocks_twin(
    vertices: int, chains: int, snapshot: bool, keys: int, *rest: Any
) -> tuple[int, bytes, bytes, bool]:
    """As the kernel: status (0 complete, 1 cyclic, 2 given up), forced edges, possible pairs, and
    whether these are all."""
    columns, (rounds_max, forced_max, possible_max) = rest[:-3], rest[-3:]
    twin = _Twin(vertices, chains, snapshot, keys, [column.tolist() for column in columns])
    status = twin.run(rounds_max, forced_max)
    flat = array("i", [number for edge in twin.forced for number in edge]).tobytes()
    if status == 1:
        return status, flat, b"", False
    pairs, complete = twin.possible(possible_max)
    return status, flat, array("i", pairs).tobytes(), complete


class _Twin:
    def __init__(
        self, vertices: int, chains: int, snapshot: bool, keys: int, columns: list[list[int]]
    ) -> None:
        self.vertices, self.chains, self.snapshot = vertices, chains, snapshot
        source, target, self.chain, self.place, *others = columns
        self.reader, self.writer, self.key, self.author, self.written = others
        self.adjacent: list[list[int]] = [[] for _ in range(vertices)]
        for one, other in zip(source, target, strict=True):
            self.adjacent[one].append(other)
        self.before = [[-1] * chains for _ in range(vertices)]
        self.after = [[_NEVER] * chains for _ in range(vertices)]
        for event, (chain, place) in enumerate(zip(self.chain, self.place, strict=True)):
            self.before[event][chain] = self.after[event][chain] = place
        self.slots: list[list[tuple[int, int, int]]] = [[] for _ in range(keys)]
        for author, key in zip(self.author, self.written, strict=True):
            event = self.commit(author)
            self.slots[key].append((self.chain[event], self.place[event], author))
        for slots in self.slots:
            slots.sort()
        self.forced: list[tuple[int, int, int, int, int, int]] = []
        self.dirty = set(range(vertices))
        self.grown = set(range(vertices))
        self.shrunk = set(range(vertices))

    def start(self, one: int) -> int:
        return 2 * one if self.snapshot else one

    def commit(self, one: int) -> int:
        return 2 * one + 1 if self.snapshot else one

    def precedes(self, one: int, other: int) -> bool:
        return self.before[other][self.chain[one]] >= self.place[one]

    def run(self, rounds_max: int, forced_max: int) -> int:
        rounds = 0
        while True:
            order = self.sort()
            if order is None:
                return 1
            self.forward(order)
            self.backward(order)
            self.dirty.clear()
            if rounds >= rounds_max or len(self.forced) > forced_max:
                return 2
            rounds += 1
            known = len(self.forced)
            for number, (reader, writer) in enumerate(zip(self.reader, self.writer, strict=True)):
                if self.start(reader) in self.grown or self.start(writer) in self.shrunk:
                    self.read(number)
            if self.snapshot:
                for number, author in enumerate(self.author):
                    if self.start(author) in self.shrunk:
                        self.conflict(number)
            if len(self.forced) == known:
                return 0
            self.grown.clear()
            self.shrunk.clear()

    def sort(self) -> list[int] | None:
        missing = [0] * self.vertices
        for targets in self.adjacent:
            for target in targets:
                missing[target] += 1
        order = [vertex for vertex in range(self.vertices) if not missing[vertex]]
        for vertex in order:  # grows
            for target in self.adjacent[vertex]:
                missing[target] -= 1
                if not missing[target]:
                    order.append(target)
        return order if len(order) == self.vertices else None

    def forward(self, order: list[int]) -> None:
        moved = set(self.dirty)
        for vertex in order:
            if vertex not in moved:
                continue
            mine = self.before[vertex]
            for target in self.adjacent[vertex]:
                theirs = self.before[target]
                joined = [max(one, other) for one, other in zip(mine, theirs, strict=True)]
                if joined != theirs:
                    self.before[target] = joined
                    moved.add(target)
                    self.grown.add(target)

    def backward(self, order: list[int]) -> None:
        for vertex in reversed(order):
            joined = mine = self.after[vertex]
            for target in self.adjacent[vertex]:
                if target in self.shrunk or vertex in self.dirty:
                    theirs = self.after[target]
                    joined = [min(one, other) for one, other in zip(joined, theirs, strict=True)]
            if joined != mine:
                self.after[vertex] = joined
                self.shrunk.add(vertex)

    def last(self, key: int, chain: int, place: int) -> int | None:
        slots = self.slots[key]
        at = bisect_right(slots, (chain, place, _NEVER)) - 1
        return slots[at][2] if at >= 0 and slots[at][0] == chain else None

    def earliest(self, key: int, chain: int, place: int) -> int:
        """The position of the slot; past the end where there is none."""
        slots = self.slots[key]
        at = bisect_left(slots, (chain, place, -1))
        return at if at < len(slots) and slots[at][0] == chain else len(slots)

    def force(self, edge: tuple[int, int, int, int, int, int]) -> None:
        self.forced.append(edge)
        self.adjacent[edge[0]].append(edge[1])
        self.dirty.add(edge[0])

    def read(self, number: int) -> None:
        reader, writer, key = self.reader[number], self.writer[number], self.key[number]
        start, commit = self.start(reader), self.commit(reader)
        began, ended = self.start(writer), self.commit(writer)
        for chain in range(self.chains):
            limit = self.before[start][chain]
            if chain == self.chain[commit]:
                limit = min(limit, self.place[commit] - 1)
            other = self.last(key, chain, limit) if limit >= 0 else None
            if other not in (None, writer):
                assert other is not None
                event = self.commit(other)
                if not self.precedes(event, began):
                    self.force((event, began, 0, reader, writer, other))
            limit = self.after[began][chain]
            if chain == self.chain[ended]:
                limit = max(limit, self.place[ended] + 1)
            if limit == _NEVER:
                continue
            at = self.earliest(key, chain, limit)
            if at < len(self.slots[key]) and self.slots[key][at][2] != reader:
                other = self.slots[key][at][2]
                if not self.precedes(start, self.commit(other)):
                    self.force((start, self.commit(other), 1, reader, writer, other))

    def conflict(self, number: int) -> None:
        author, key = self.author[number], self.written[number]
        commit = self.commit(author)
        for chain in range(self.chains):
            limit = self.after[self.start(author)][chain]
            if chain == self.chain[commit]:
                limit = max(limit, self.place[commit] + 1)
            at = self.earliest(key, chain, limit) if limit != _NEVER else len(self.slots[key])
            if at < len(self.slots[key]):
                other = self.slots[key][at][2]
                if not self.precedes(commit, self.start(other)):
                    self.force((commit, self.start(other), 0, -1, other, author))

    def possible(self, most: int) -> tuple[list[int], bool]:
        pairs: list[int] = []
        for reader, writer, key in zip(self.reader, self.writer, self.key, strict=True):
            for other in self.between(key, self.start(writer), self.start(reader), 0):
                if other not in (reader, writer):
                    pairs += [other, writer, writer, other, reader, other]
                    if len(pairs) > 2 * most:
                        return pairs, False
        for author, key in zip(self.author, self.written, strict=True) if self.snapshot else ():
            commit = self.commit(author)
            for other in self.between(key, self.start(author), commit, 1):
                if other != author and not self.precedes(commit, self.start(other)):
                    pairs += [other, author, author, other]
                    if len(pairs) > 2 * most:
                        return pairs, False
        return pairs, True

    def between(self, key: int, low: int, high: int, extra: int) -> list[int]:
        """Writers not known to precede ``low`` nor to follow ``high``."""
        slots = self.slots[key]
        found = []
        for chain in range(self.chains):
            limit = self.after[high][chain] + extra
            at = self.earliest(key, chain, self.before[low][chain] + 1)
            while at < len(slots) and slots[at][0] == chain and slots[at][1] < limit:
                found.append(slots[at][2])
                at += 1
        return found
