"""The kernel of :mod:`checkers.causal.visibility` in plain Python, by definition: sets of visible
transactions instead of clocks."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

__all__ = ["causal_edges", "causal_order"]

_PAST, _PRAM, _OWN, _WRITERS, _ATOMIC, _COMMITTED, _READ_BEFORE, _SOURCES = range(8)
_UNORDERED = (_COMMITTED, _READ_BEFORE, _SOURCES)


def causal_order(session: Any, reader: Any, writer: Any) -> bytes:
    """Kahn's algorithm."""
    count = len(session)
    waits = [0] * count
    after: list[list[int]] = [[] for _ in range(count)]
    pairs = [(one, t) for t, one in enumerate(_before(session.tolist())) if one >= 0]
    pairs += [(w, r) for r, w in zip(reader.tolist(), writer.tolist(), strict=True) if w >= 0]
    for one, other in pairs:
        after[one].append(other)
        waits[other] += 1
    order = [t for t in range(count) if not waits[t]]
    for t in order:
        for other in after[t]:
            waits[other] -= 1
            if not waits[other]:
                order.append(other)
    return np.array(order, dtype=np.int32).tobytes()


def _before(session: Sequence[int]) -> list[int]:
    last: dict[int, int] = {}
    before = []
    for t, owner in enumerate(session):
        before.append(last.get(owner, -1))
        last[owner] = t
    return before


def causal_edges(  # noqa: PLR0917  # called as the compiled one is
    session: Any,
    reader: Any,
    key: Any,
    writer: Any,
    write_node: Any,
    write_key: Any,
    sessions: int,
    keys: int,
    visibility: int,
    order: Any,
    ints: int,
    edges: int,
) -> tuple[int, bytes, bytes]:
    """As ``harness/core/kernels/causal.cpp`` has it."""
    history = _Seen(
        session=session,
        reader=reader,
        key=key,
        writer=writer,
        node=write_node,
        wrote=write_key,
        order=order,
    )
    found: dict[tuple[int, int, int], None] = {}
    initial: dict[tuple[int, int], None] = {}
    for row, t1 in enumerate(writer.tolist()):
        for t2 in history.latest(row, visibility):
            if t1 < 0:
                initial[t2, row] = None
            elif t2 != t1:
                if visibility == _PAST and t2 in history.past(t1):
                    continue
                same = history.owner[t2] == history.owner[t1]
                if same and t2 < t1 and visibility not in _UNORDERED:
                    continue
                later = (same and t2 > t1) or (visibility == _PAST and t1 in history.past(t2))
                found[t2, row, int(later)] = None
    rows = np.array(list(found), dtype=np.int32).tobytes()
    starts = np.array(list(initial), dtype=np.int32).tobytes()
    return int(len(found) + len(initial) > edges), rows, starts


class _Seen:
    """Who sees what."""

    def __init__(
        self,
        *,
        session: Any,
        reader: Any,
        key: Any,
        writer: Any,
        node: Any,
        wrote: Any,
        order: Any,
    ) -> None:
        self.owner = session.tolist()
        self._key = key.tolist()
        self._reader = reader.tolist()
        self._writer = writer.tolist()
        self._before = _before(self.owner)
        self._written: dict[int, set[int]] = defaultdict(set)
        for t, k in zip(node.tolist(), wrote.tolist(), strict=True):
            self._written[k].add(t)
        self._rows: dict[int, list[int]] = defaultdict(list)
        for row, t in enumerate(self._reader):
            self._rows[t].append(row)
        self._past: dict[int, frozenset[int]] = {}
        for t in order.tolist():
            direct = [self._before[t], *(self._writer[row] for row in self._rows[t])]
            self._past[t] = frozenset(one for one in direct if one >= 0).union(
                *(self._past.get(one, frozenset()) for one in direct if one >= 0)
            )

    def past(self, t: int) -> frozenset[int]:
        return self._past[t]

    def latest(self, row: int, visibility: int) -> Iterator[int]:
        """The visible writers of the read's key; of each session the last, where a session's
        earlier writes are visible with it."""
        t = self._reader[row]
        writers = self._written[self._key[row]] - {t}
        if visibility in _UNORDERED:
            yield from sorted(writers & self._individuals(row, visibility))
            return
        if visibility == _ATOMIC:
            yield from sorted(writers & self._individuals(row, visibility))
        seen = self._prefixes(t, visibility) & writers
        last: dict[int, int] = {}
        for one in sorted(seen):
            last[self.owner[one]] = one
        yield from last.values()

    def _individuals(self, row: int, visibility: int) -> set[int]:
        t = self._reader[row]
        rows = self._rows[t]
        if visibility == _COMMITTED:
            rows = [one for one in rows if one < row]
        if visibility == _READ_BEFORE:
            rows = [one for other in self._earlier(t) for one in self._rows[other]]
        return {self._writer[one] for one in rows} - {-1}

    def _earlier(self, t: int) -> list[int]:
        return [one for one in range(t) if self.owner[one] == self.owner[t]]

    def _prefixes(self, t: int, visibility: int) -> frozenset[int] | set[int]:
        if visibility == _PAST:
            return self._past[t]
        own = set(self._earlier(t))
        if visibility in (_OWN, _ATOMIC):
            return own
        rows = list(self._rows[t])
        if visibility == _PRAM:
            rows += [one for other in own for one in self._rows[other]]
        seen = own if visibility == _PRAM else set()
        for one in {self._writer[row] for row in rows} - {-1}:
            seen |= {*self._earlier(one), one}
        return seen
