"""The way by which a write became visible to a read: what a proof needs beside the two."""

from __future__ import annotations

from collections import deque

import numpy as np

from checkers.causal.reads import ReadsFrom
from checkers.causal.visibility import Visibility

__all__ = ["Ways"]


class Ways:
    """Ways of one history. A way is a list of transactions between two others, in order."""

    def __init__(self, reads: ReadsFrom) -> None:
        self._reads = reads
        count = len(reads.session)
        self._first = np.searchsorted(reads.reader, np.arange(count + 1))
        order = np.argsort(reads.session, kind="stable")
        self._before = np.full(count, -1, dtype=np.int64)
        same = reads.session[order[1:]] == reads.session[order[:-1]]
        self._before[order[1:][same]] = order[:-1][same]

    def between(self, visibility: Visibility, before: int, reader: int) -> list[int]:
        """How ``before`` is visible to ``reader``. O(n + r) at worst."""
        if visibility is Visibility.READ_BEFORE:
            return self._earlier_reader(before, reader)
        if visibility is Visibility.WRITERS:
            session = self._reads.session
            later = [w for w in self._writers(reader) if session[w] == session[before]]
            return [w for w in later if w > before][:1]
        if visibility in (Visibility.PAST, Visibility.PRAM):
            return self._shortest(before, reader)
        return []

    def _writers(self, transaction: int) -> list[int]:
        rows = slice(int(self._first[transaction]), int(self._first[transaction + 1]))
        found: list[int] = self._reads.writer[rows].tolist()
        return [writer for writer in found if writer >= 0]

    def _earlier_reader(self, before: int, reader: int) -> list[int]:
        one = int(self._before[reader])
        while one >= 0:
            if before in self._writers(one):
                return [one]
            one = int(self._before[one])
        return []

    def _shortest(self, before: int, reader: int) -> list[int]:
        """With the fewest reads; steps within a session cost nothing, and those that only continue
        one are left out."""
        reached: dict[int, tuple[int, bool]] = {reader: (-1, False)}
        cost = {reader: 0}
        queue = deque([reader])
        while queue:
            one = queue.popleft()
            if one == before:
                break
            earlier = int(self._before[one])
            if earlier >= 0 and cost[one] < cost.get(earlier, 1 << 60):
                cost[earlier] = cost[one]
                reached[earlier] = one, False
                queue.appendleft(earlier)
            for writer in self._writers(one):
                if cost[one] + 1 < cost.get(writer, 1 << 60):
                    cost[writer] = cost[one] + 1
                    reached[writer] = one, True
                    queue.append(writer)
        way: list[int] = []
        one, arrived_by_read = before, False
        while one != reader:
            after, read = reached[one]
            # Both ends of a read are needed; what only lies between two in a session is not.
            if one != before and (read or arrived_by_read):
                way.append(one)
            one, arrived_by_read = after, read
        return way
