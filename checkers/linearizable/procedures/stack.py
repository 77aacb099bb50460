"""Stacks whose values are distinct: exact, in O(n log n).

A value is *certainly inside* from the return of its push to the call of its pop, both tightened by
each other, as in :mod:`.buffers`. This is an open interval, its *core*. A value whose core
is empty can be pushed and popped at one instant, where it disturbs nobody: it is left out. A value
that nobody popped is popped after all else.

*Empty pops.* A pop that found nothing needs an instant within its interval that lies in no core.
That suffices, and does not restrict the rest: the history can be cut at such an instant ``t`` as
it is for a priority queue. All that was done with values whose pop was called by ``t`` is moved to
``t`` at the latest, all else to ``t`` at the earliest, and the stack is empty in between.

*The rest.* For the same reason the cores fall into *components*, the connected parts of their
union, which are linearizable each by itself. Within a component ``(s, e)`` the stack is never
empty between ``s`` and ``e``, so one value lies at the bottom all that time. It was pushed by
``s`` and popped from ``e`` on: its push was called by ``s``, and its pop did not return before
``e``. Conversely, any such value may be put below any legal order of the others, for these can all
be moved into ``[s, e]``: first it is pushed, at ``s``, and last it is popped, at ``e``. So any of
them may be taken out, and the component falls into smaller ones. A value that could be taken out
once still can be later, for components only shrink. Hence the order does not matter, and the
history is linearizable exactly if all values can be taken out; a component without a bottom is
illegal. This is Lee & Mathur, "Efficient decrease-and-conquer linearizability monitoring", OOPSLA
2025.

*In O(n log n).* Each component keeps a *chain*: some of its values, in order of their core's
start, each of which overlaps the next and which cover it all. When a chain loses a value, others
close the gap, or the component falls apart there. A link is always the value that reaches furthest
of all that begin early enough, so a value joins a chain once and leaves it when it is taken out.
Segment trees find the links and the bottoms.

*The proof* of an illegal component is a piece of its chain whose values have no bottom among them.

What may have happened but is not certain is treated as in :mod:`.buffers`.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from functools import partial

import numpy as np

from checkers.linearizable.calls import Answer, Calls, Proof, Violation, Words
from checkers.linearizable.procedures.buffers import Empties, Terms, decide, ending, false_empties
from checkers.linearizable.procedures.lives import Lives
from checkers.linearizable.registers import Ints

__all__ = ["stack"]

_LISTED_MAX = 6
_STACK = Terms(put="push", take="pop", was_put="pushed", was_taken="popped", place="the stack")


def stack(calls: Calls, words: Words) -> Answer:
    """Decides stacks whose values are distinct. O(n log n) in time, O(n) in memory."""
    null = np.arange(len(calls.values)) == 0
    return decide(calls, words, _STACK, null, _judge)


def _judge(lives: Lives, empties: Empties, words: Words) -> list[Violation]:
    found = false_empties(lives, empties, words, _STACK)
    rows = np.flatnonzero(lives.put_return < lives.take_call)
    rows = rows[~np.isin(lives.key[rows], list(found))]
    rows = rows[np.argsort(lives.put_return[rows], kind="stable")]
    for chain in _Peeling(lives.select(rows)).illegal():
        key = int(lives.key[rows[chain[0]]])
        prove = partial(_no_bottom, lives, [int(rows[place]) for place in chain], words)
        found.setdefault(key, Violation(key, prove))
    return list(found.values())


class _Peeling:
    """Takes out value after value, always one at the bottom of its component.

    Values are numbered in order of their core's start. A component is the first and the last value
    of its chain; it begins where the core of the first does, and ends where that of the last does.
    """

    def __init__(self, lives: Lives) -> None:
        self.opened: list[int] = lives.put_call.tolist()
        self.start: list[int] = lives.put_return.tolist()
        self.end: list[int] = lives.take_call.tolist()
        self.closed: list[int] = lives.take_return.tolist()
        size = len(lives)
        self.following = list(range(size + 1))  # towards the next value that is not yet taken out
        self.before = [-1] * size
        self.after = [-1] * size
        self.chained = [False] * size
        self.furthest = _Maxima(lives.take_call)
        self.unopened = _Maxima(int(lives.put_call.max(initial=0)) - lives.put_call)
        self.opened_by_start = _Maxima(np.full(size, -1, dtype=np.int64))
        self.components: list[tuple[int, int]] = []

    def illegal(self) -> list[list[int]]:
        """The chains of the components without a bottom, those first that end first."""
        stuck: list[tuple[int, int]] = []
        self._mend(left=-1, right=-1, tail=-1, begin=0, bound=max(self.end, default=0))
        while self.components:
            head, tail = self.components.pop()
            bottom = self._bottom(head, tail)
            if bottom < 0:
                stuck.append((self.end[tail], head))
                continue
            self.following[bottom] = bottom + 1
            self.furthest.put(bottom, -1)
            if not self.chained[bottom]:
                self.components.append((head, tail))
                continue
            self._mend(
                head=head,
                left=self.before[bottom],
                right=self.after[bottom],
                tail=tail,
                begin=bisect_left(self.start, self.start[head]),
                bound=self.end[tail],
            )
        return [self._chain(head) for _, head in sorted(stuck)]

    def _bottom(self, head: int, tail: int) -> int:
        """A value that was pushed by the start of the component and popped from its end on; -1 if
        there is none."""
        start, end = self.start[head], self.end[tail]
        if self.closed[head] >= end:
            return head
        if self.opened[tail] <= start:
            return tail
        low, high = bisect_left(self.start, start), bisect_left(self.start, end)
        waiting, ready = self.unopened, self.opened_by_start
        while (place := waiting.best(low, high)) >= 0 and self.opened[place] <= start:
            waiting.put(place, -1)
            ready.put(place, self.closed[place])
        while (place := ready.best(low, high)) >= 0:
            if self.following[place] == place:
                return place if self.closed[place] >= end else -1
            ready.put(place, -1)
        return -1

    def _mend(
        self, *, left: int, right: int, tail: int, begin: int, bound: int, head: int = -1
    ) -> None:
        """The components of the values that start from place ``begin`` on and before ``bound``,
        where the chain is whole from ``head`` to ``left`` and from ``right`` to ``tail`` (-1:
        nowhere)."""
        start, end = self.start, self.end
        while left < 0 or left != right:
            if left < 0:
                first = self._next(begin)
                if first == len(start) or start[first] >= bound:
                    return
                head = left = self.furthest.best(first, bisect_right(start, start[first], first))
                self.before[head] = -1
                self.chained[head] = True
                continue
            reach = end[left]
            if right >= 0 and start[right] < reach:
                link = right
            else:
                link = self.furthest.best(left, bisect_left(start, reach, left))
                if end[link] <= reach:
                    self.after[left] = -1
                    self.components.append((head, left))
                    begin, left = bisect_left(start, reach, left), -1
                    continue
            self.after[left], self.before[link] = link, left
            self.chained[link] = True
            left = link
        self.components.append((head, tail))

    def _next(self, place: int) -> int:
        """The first value from ``place`` on that is not yet taken out."""
        following = self.following
        while following[place] != place:
            following[place] = following[following[place]]
            place = following[place]
        return place

    def _chain(self, head: int) -> list[int]:
        chain = [head]
        while (link := self.after[chain[-1]]) >= 0:
            chain.append(link)
        return chain


class _Maxima:
    """A segment tree: where in a range the greatest number stands. Numbers are at least 0; -1
    stands for none."""

    def __init__(self, numbers: Ints) -> None:
        self.count = max(len(numbers), 1)
        self.size = 1 << (self.count - 1).bit_length()
        level = np.full(self.size, -1, dtype=np.int64)
        level[: len(numbers)] = np.where(
            numbers >= 0, numbers * self.count + np.arange(len(numbers)), -1
        )
        levels = [level]
        while len(level) > 1:
            level = np.maximum(level[::2], level[1::2])
            levels.append(level)
        self.nodes: list[int] = [-1, *np.concatenate(levels[::-1]).tolist()]

    def put(self, place: int, number: int) -> None:
        """Let ``number`` stand at ``place``. O(log n)."""
        nodes, node = self.nodes, self.size + place
        nodes[node] = number * self.count + place if number >= 0 else -1
        while node > 1:
            greatest = max(nodes[node], nodes[node ^ 1])
            node >>= 1
            if nodes[node] == greatest:
                return
            nodes[node] = greatest

    def best(self, low: int, high: int) -> int:
        """The place of the greatest number from ``low`` to before ``high``; -1: there is none.
        O(log n)."""
        nodes, greatest = self.nodes, -1
        low += self.size
        high += self.size
        while low < high:
            if low & 1:
                greatest = max(greatest, nodes[low])
                low += 1
            if high & 1:
                high -= 1
                greatest = max(greatest, nodes[high])
            low >>= 1
            high >>= 1
        return greatest % self.count if greatest >= 0 else -1


def _no_bottom(lives: Lives, chain: list[int], words: Words) -> Proof:
    """The proof that the values at the rows of ``chain`` are not last in, first out."""
    piece = _shortest(lives, chain)
    tell = _pair if len(piece) == 2 else _several
    return Proof(
        name="not last in, first out",
        sentence=tell(lives, piece, words),
        operations=lives.operations(piece),
    )


def _shortest(lives: Lives, chain: Sequence[int]) -> list[int]:
    """The shortest piece of ``chain`` that has no bottom, without what the piece can spare.
    O(n) for each value of the result."""
    opened, start, end, closed = (
        column[chain].tolist()
        for column in (lives.put_call, lives.put_return, lives.take_call, lives.take_return)
    )
    first, length = 0, len(chain)
    for low in range(len(chain)):
        latest = -1  # how long a value that was pushed by the start of the piece may stay
        for high in range(low, min(low + length, len(chain))):
            if opened[high] <= start[low]:
                latest = max(latest, closed[high])
            if latest < end[high]:
                first, length = low, high - low
                break
    piece = [first]
    last = first + length
    while piece[-1] < last:
        piece.append(bisect_left(start, end[piece[-1]], piece[-1], last + 1) - 1)
    return [chain[place] for place in piece]


def _pair(lives: Lives, piece: Sequence[int], words: Words) -> str:
    """A value was popped from under another."""
    lower, upper = piece
    pop, push = int(lives.take[lower]), int(lives.put[upper])
    return (
        f"{words.process(pop)} popped {words.result(pop)} ({words.called(pop)} to "
        f"{words.returned(pop)}) from under {words.argument(push)}, which "
        f"{words.process(push)} had pushed on top of it ({words.called(push)} to "
        f"{words.returned(push)}; the push of {words.result(pop)} by "
        f"{words.process(int(lives.put[lower]))} had returned at "
        f"{words.returned(int(lives.put[lower]))}) and which was "
        f"{ending(lives, upper, words, _STACK)}."
    )


def _several(lives: Lives, piece: Sequence[int], words: Words) -> str:
    """No value can have been the lowest."""
    start, end = int(lives.put_return[piece[0]]), int(lives.take_call[piece[-1]])
    final = int(lives.take[piece[-1]])
    until = f"to {words.called(final)}" if final >= 0 else "on"
    reasons = []
    for row in piece[:_LISTED_MAX]:
        put, take = int(lives.put[row]), int(lives.take[row])
        if lives.take_return[row] < end:
            why = f"was popped by {words.process(take)} before {words.returned(take)}"
        else:
            assert lives.put_call[row] > start
            why = f"was pushed by {words.process(put)} not before {words.called(put)}"
        reasons.append(f"{words.argument(put)} {why}")
    if len(piece) > len(reasons):
        reasons.append(f"and so on for {len(piece) - len(reasons):,} more")
    return (
        f"from {words.returned(int(lives.put[piece[0]]))} {until} one or another of "
        f"{len(piece):,} values was always in the stack, so one of them lay below the others all "
        f"that time; but none can have: {'; '.join(reasons)}."
    )
