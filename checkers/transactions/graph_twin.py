"""Components, reachability and breadth-first search in plain Python. See
:mod:`checkers.transactions.components` for what each method means.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["TwinGraph"]

Codes = NDArray[np.int32]

_CHUNK = 64
_UNDECIDED = 2


class TwinGraph:
    """Adjacency lists of the edges, in the order of their rows."""

    def __init__(
        self,
        vertices: int,
        transactions: int,
        source: Codes,
        target: Codes,
        kind: NDArray[np.uint8],
    ) -> None:
        ends = np.concatenate((source, target))
        if len(ends) and not 0 <= ends.min() <= ends.max() < vertices:
            raise ValueError("an edge leads to or from no vertex")
        order = np.argsort(source, kind="stable")
        self._vertices = vertices
        self._transactions = transactions
        self._first: list[int] = np.searchsorted(source[order], np.arange(vertices + 1)).tolist()
        self._row: list[int] = order.tolist()
        self._target: list[int] = target[order].tolist()
        self._kind: list[int] = kind[order].tolist()

    def components(self, mask: int, apart: int) -> tuple[Codes, Codes]:
        """Component of each state, and the size of each component (Pearce 2016)."""
        doubled = 1 if apart else 0
        first, target, kind = self._first, self._target, self._kind
        states = self._vertices << doubled
        found = [0] * states  # 0: not visited; then its lowlink; then number of its component
        number, component = 1, states
        waiting: list[int] = []
        for root in reversed(range(states)):
            if found[root]:
                continue
            found[root] = number
            calls = [[root, first[root >> doubled], number]]
            number += 1
            while calls:
                frame = calls[-1]
                state, slot, own = frame
                if slot < first[(state >> doubled) + 1]:
                    frame[1] += 1
                    after = target[slot] << doubled
                    if not kind[slot] & mask:
                        continue
                    if kind[slot] & apart:
                        if state & 1:
                            continue
                        after |= 1
                    if found[after] == 0:
                        found[after] = number
                        calls.append([after, first[after >> doubled], number])
                        number += 1
                    else:
                        found[state] = min(found[state], found[after])
                    continue
                calls.pop()
                low = found[state]
                if calls:
                    parent = calls[-1][0]
                    found[parent] = min(found[parent], low)
                if low < own:
                    waiting.append(state)
                    continue
                number -= 1
                while waiting and found[waiting[-1]] >= own:
                    found[waiting.pop()] = component
                    number -= 1
                found[state] = component
                component -= 1
        numbers = states - np.array(found, dtype=np.int32)
        sizes = np.bincount(numbers, minlength=states - component)
        return numbers.astype(np.int32), sizes.astype(np.int32)

    def reaching(
        self,
        *,
        mask: int,
        component: Codes,
        condensed: Codes,
        order: Codes,
        source: Codes,
        target: Codes,
        looks: int,
    ) -> NDArray[np.uint8]:
        """For each pair, whether ``target`` reaches ``source``."""
        places = order.tolist()
        group, block = component.tolist(), condensed.tolist()
        begin: dict[int, int] = {}
        end: dict[int, int] = {}
        for place, vertex in enumerate(places):
            begin.setdefault(block[vertex], place)
            end[block[vertex]] = place + 1
        pairs = list(zip(source.tolist(), target.tolist(), strict=True))
        answers = np.full(len(pairs), _UNDECIDED, dtype=np.uint8)
        marks = [0] * self._vertices
        at = 0
        while at < len(pairs):
            one = group[pairs[at][1]]
            stop = at
            while stop < len(pairs) and stop < at + _CHUNK and group[pairs[stop][1]] == one:
                stop += 1
            if looks <= 0:
                break
            low = min(begin[block[pairs[i][1]]] for i in range(at, stop))
            high = max(end[block[pairs[i][0]]] for i in range(at, stop))
            for i in range(at, stop):
                marks[block[pairs[i][1]]] |= 1 << (i - at)
            looks -= self._spread(
                mask=mask,
                one=one,
                group=group,
                block=block,
                places=places[low:high],
                marks=marks,
            )
            for i in range(at, stop):
                answers[i] = marks[block[pairs[i][0]]] >> (i - at) & 1
            for vertex in places[low:]:
                marks[block[vertex]] = 0
            if answers[at:stop].any():
                while stop < len(pairs) and group[pairs[stop][1]] == one:
                    stop += 1
            at = stop
        return answers

    def _spread(
        self,
        *,
        mask: int,
        one: int,
        group: Sequence[int],
        block: Sequence[int],
        places: Sequence[int],
        marks: list[int],
    ) -> int:
        looks = len(places)
        for vertex in places:
            bits = marks[block[vertex]]
            if not bits:
                continue
            for slot in range(self._first[vertex], self._first[vertex + 1]):
                looks += 1
                after = self._target[slot]
                if self._kind[slot] & mask and group[after] == one:
                    marks[block[after]] |= bits
        return looks

    def cycles(
        self,
        *,
        component: Codes,
        starts: Codes,
        first: int,
        walk: int,
        last: int,
        apart: int,
        longest: int,
        looks: int,
    ) -> tuple[Codes, Codes, bool]:
        """How many edges each cycle has, their rows, and whether all starts were tried."""
        search = _Search(self, component.tolist(), first=first, walk=walk, last=last, apart=apart)
        complete = search.run(starts.tolist(), longest, looks)
        found = [[self._row[slot] for slot in cycle] for cycle in search.found]
        lengths = np.array([len(cycle) for cycle in found], dtype=np.int32)
        return lengths, np.array([row for cycle in found for row in cycle], np.int32), complete


class _Search:
    """Breadth-first searches for a kind of cycle. ``found``: the shortest of each component, then
    others; as slots of edges."""

    def __init__(
        self, graph: Any, group: Sequence[int], *, first: int, walk: int, last: int, apart: int
    ) -> None:
        self._graph = graph
        self._group = group
        self._first, self._walk, self._last, self._apart = first, walk, last, apart
        self._used: set[int] = set()
        self._looks = 0
        self.found: list[list[int]] = []

    def run(self, starts: Sequence[int], longest: int, looks: int) -> bool:
        """As in the kernel."""
        group = self._group
        best: dict[int, list[int]] = {}
        tried: set[int] = set()
        later = []

        def shorten(start: int) -> None:
            shortest = best.get(group[start])
            bound = longest if shortest is None else self._length(shortest) - 1
            cycle = self._search(start, bound)
            if cycle:
                best[group[start]] = cycle

        for start in starts:
            if group[start] in tried:
                later.append(start)
            else:
                tried.add(group[start])
                shorten(start)
        self._looks = 0
        complete = True
        for start in later:
            if self._looks >= looks:
                complete = False
                break
            shorten(start)
        self.found += best.values()
        for cycle in self.found:
            self._use(cycle)
        self._looks = 0
        for start in starts:
            if self._looks >= looks:
                break
            if group[start] in best and start not in self._used:
                bound = min(longest, 2 * self._length(best[group[start]]))
                cycle = self._search(start, bound)
                if cycle:
                    self.found.append(cycle)
                    self._use(cycle)
        return complete

    def _use(self, cycle: Sequence[int]) -> None:
        vertices = (self._graph._target[slot] for slot in cycle)
        self._used.update(one for one in vertices if one < self._graph._transactions)

    def _length(self, cycle: Sequence[int]) -> int:
        graph = self._graph
        return sum(graph._target[slot] < graph._transactions for slot in cycle)

    def _search(self, start: int, bound: int) -> list[int]:
        slots = self._walk_back(start, bound)
        return self._simple(slots) if slots and self._apart else slots

    # A state is a vertex, and where no two edges of a kind may follow each other: twice whether
    # there were two of the kind, and once whether the last one was.
    def _walk_back(self, start: int, bound: int) -> list[int]:
        graph, group, apart = self._graph, self._group, self._apart
        first, target, kind = graph._first, graph._target, graph._kind
        reached: dict[tuple[int, int], tuple[tuple[int, int], int]] = {}
        now: list[tuple[int, int]] = [(start, 0)]
        depth, one = 1, group[start]
        while now and depth <= bound:
            following: list[tuple[int, int]] = []
            for vertex, flags in now:  # grows meanwhile
                opening = depth == 1
                allowed = self._first if opening else self._walk
                for slot in range(first[vertex], first[vertex + 1]):
                    self._looks += 1
                    after = target[slot]
                    if not kind[slot] & allowed or group[after] != one or after in self._used:
                        continue
                    separate = kind[slot] & apart
                    if separate and flags & 1:
                        continue
                    state = flags & 2
                    if separate:
                        state = 1 if opening else 3
                    if after == start:
                        if kind[slot] & self._last and (not apart or state == 2):
                            path = [slot]
                            at = (vertex, flags)
                            while at in reached:
                                at, before = reached[at]
                                path.append(before)
                            return path[::-1]
                        if not separate:
                            continue
                    if (after, state) in reached:
                        continue
                    reached[after, state] = ((vertex, flags), slot)
                    (now if after >= graph._transactions else following).append((after, state))
            now = following
            depth += 1
        return []

    def _simple(self, slots: list[int]) -> list[int]:
        """The walk without what it visits between two visits of a vertex; empty if not two edges
        that are apart are left."""
        graph, apart = self._graph, self._apart
        while True:
            seen: dict[int, int] = {}
            for at, slot in enumerate(slots):
                vertex = graph._target[slot]
                if vertex in seen:
                    inner = slots[seen[vertex] + 1 : at + 1]
                    outer = slots[at + 1 :] + slots[: seen[vertex] + 1]
                    slots = max((inner, outer), key=self._worth)
                    break
                seen[vertex] = at
            else:
                break
        many = sum(bool(graph._kind[slot] & apart) for slot in slots)
        return slots if many >= 2 else []

    def _worth(self, slots: list[int]) -> tuple[bool, bool, int]:
        kind, apart = self._graph._kind, self._apart
        separate = [bool(kind[slot] & apart) for slot in slots]
        legal = not (separate[0] and separate[-1])
        return legal, sum(separate) >= 2, -len(slots)
