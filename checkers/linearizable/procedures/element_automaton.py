"""Elements that come and go: exact, by an automaton over what is open at each instant.

An element has two states, so operations on it are of few kinds, and those of a kind differ only in
their intervals. When one of a kind is to come, it may be the one that returns first of those that
are open (exchange two that come in another order: earliest deadline first). So all that an order of
the past leaves for the future is a *configuration*: the state, and for each kind, which of the open
operations have come, in order of their returns. What all orders leave is a set of configurations,
and a call or a return leads from one such set to the next, wherever it happens. There are few of
them in a whole history, so each step is computed once and then looked up: the operations of a
history run through a finite automaton that is built on the way.

Operations come only when one returns that has not come yet (Lowe, "Testing for linearizability",
CCPE 2017), except that what only observes comes as soon as it is right. The history of the element
is linearizable exactly if the set is never empty.

The work is bounded by a budget, beyond which an element is undecided: there are more sets where
more operations are open on one element. The loop over operations is in Python, with a look-up for
each call and return.
"""

from __future__ import annotations

from bisect import bisect
from collections.abc import Iterable, Iterator

import numpy as np

from checkers.linearizable.calls import Proof, Words
from checkers.linearizable.procedures.elements import Kind, Touches, contradiction
from checkers.linearizable.registers import Ints

__all__ = ["Automaton"]

_STEPS_MAX = 300_000
"""Configurations to look at, in all; each takes a few microseconds."""
_SPARED_MAX = 100
"""How many operations a proof tries to do without."""

_CERTAIN = 6
_KINDS = 8
_RESET = 2 * _KINDS
_EVENTS = _RESET + 1
_DEAD, _SPENT = -1, -2
_IDLE = 0  # the node of elements that are decided already

Configuration = tuple[int, ...]
"""The state (1: present); for each certain kind, the mask of the open operations that have come (of
all bits, the least is for the one that returns first); and for each of the other kinds, how many
have not come yet."""
_Node = tuple[tuple[int, ...], frozenset[Configuration]]
"""How many operations are open of each certain kind, and what is possible."""

# By the state: kinds that lead to the other one, the kind that comes but changes nothing, and the
# kind that only observes.
_CHANGES = (
    (Kind.ADD, Kind.ADDED, Kind.MAYBE_ADD),
    (Kind.REMOVE, Kind.REMOVED, Kind.MAYBE_REMOVE),
)
_STAYS = (Kind.REMOVE, Kind.ADD)
_OBSERVES = (Kind.ABSENT, Kind.PRESENT)
_NOTHING_OPEN = (0,) * _CERTAIN
_ABSENT = (0,) * (1 + _KINDS)

_MAYBE = np.array([6, 7, 6, 7, -1, -1, 6, 7])
"""What a kind is where it may have happened or not; -1: nothing."""


class Automaton:
    """Runs elements, and remembers the steps."""

    def __init__(self, horizon: int) -> None:
        self._horizon = horizon
        self._steps_left = _STEPS_MAX
        self._nodes: list[_Node] = []
        self._numbers: dict[_Node, int] = {}
        self._table: list[dict[int, int]] = []
        self._number((_NOTHING_OPEN, frozenset()))
        self._begin = self._number((_NOTHING_OPEN, frozenset([_ABSENT])))

    def run(self, found: Touches) -> tuple[Ints, Ints]:
        """The touches (rows of ``found``) whose return nothing explains, at most one for each
        element; and one of each element that is undecided."""
        if not len(found):
            return np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.int64)
        size = int(found.element.max()) + 1
        _, firsts, group = np.unique(
            found.key * size + found.element, return_index=True, return_inverse=True
        )
        group = group.reshape(-1)
        # Elements with few operations first, so that one with many does not use up the budget.
        rank = np.empty(len(firsts), dtype=np.int64)
        rank[np.argsort(np.bincount(group), kind="stable")] = np.arange(len(firsts))
        start = rank[group] * (self._horizon + 2) + 1
        event, row, deadline = _events(found, found.kind, start, firsts)
        stopped = self._walk(event, deadline, _IDLE)
        illegal, spent = (
            np.array([row[place] for place, why in stopped if why == reason], dtype=np.int64)
            for reason in (_DEAD, _SPENT)
        )
        return illegal, spent

    def proof(self, found: Touches, final: int, element: str, words: Words) -> Proof:
        """The proof that nothing explains the return of the touch ``final`` (a row), which
        :meth:`run` found. The fewest operations of the shortest window before it that are illegal
        whatever came before, and whatever others in the window did or did not do."""
        self._steps_left = _STEPS_MAX
        until = int(found.ret[final])
        own = (found.key == found.key[final]) & (found.element == found.element[final])
        rows = np.flatnonzero(own & (found.call <= until))
        part, final = found.select(rows), int(np.searchsorted(rows, final))
        starts = np.unique(part.call)[::-1] - 1
        low, high = 0, 1  # no window from starts[:low] is illegal
        while high < len(starts) and not self._illegal(part, int(starts[high - 1]), until):
            low, high = high, min(2 * high, len(starts))
        while high - low > 1:
            middle = (low + high) // 2
            if self._illegal(part, int(starts[middle - 1]), until):
                high = middle
            else:
                low = middle
        since = int(starts[high - 1])
        if not self._illegal(part, since, until):
            since = -1
        shown = np.flatnonzero((part.call > since) & (part.ret <= until))
        for row in shown[shown != final][:_SPARED_MAX].tolist():
            fewer = shown[shown != row]
            if self._illegal(part, since, until, fewer):
                shown = fewer
        return contradiction(part, tuple(shown.tolist()), element, final, words)

    def _illegal(self, part: Touches, since: int, until: int, certain: Ints | None = None) -> bool:
        """Whether the touches of an element that lie wholly between two instants (of these the rows
        ``certain``) are illegal, whatever the state was, and whatever the others did. (The state
        at the very beginning, -1, is known.)"""
        sure = (part.call > since) & (part.ret <= until)
        if certain is not None:
            sure &= np.isin(np.arange(len(part)), certain)
        kind = np.where(sure, part.kind, _MAYBE[part.kind])
        before = (kind >= 0) & (part.call <= since) & (part.ret > since)
        maybe = tuple(int((kind[before] == one).sum()) for one in range(_CERTAIN, _KINDS))
        states = (0,) if since < 0 else (0, 1)
        configurations = frozenset((state, *_NOTHING_OPEN, *maybe) for state in states)
        node = self._number((_NOTHING_OPEN, configurations))
        later = np.flatnonzero((kind >= 0) & (part.call > since))
        start = np.zeros(len(later), dtype=np.int64)
        event, _, deadline = _events(part.select(later), kind[later], start, start[:0])
        return any(why == _DEAD for _, why in self._walk(event, deadline, node))

    def _walk(self, events: list[int], deadlines: list[int], node: int) -> list[tuple[int, int]]:
        """Where (the place of an event) and why (:data:`_DEAD`, :data:`_SPENT`) elements ended
        before the last of their events."""
        stopped = []
        table = self._table
        open_: tuple[list[int], ...] = tuple([] for _ in range(_CERTAIN))
        for place, event in enumerate(events):
            code = event
            if event < _CERTAIN:
                waiting = open_[event]
                if waiting:
                    deadline = deadlines[place]
                    before = bisect(waiting, deadline)
                    waiting.insert(before, deadline)
                    code += before * _EVENTS
                else:
                    waiting.append(deadlines[place])
            elif _KINDS <= event < _RESET:
                del open_[event - _KINDS][0]
            following = table[node].get(code)
            if following is None:
                following = self._follow(node, code)
            if following < 0:
                stopped.append((place, following))
                following = _IDLE
            node = following
        return stopped

    def _number(self, node: _Node) -> int:
        number = self._numbers.get(node)
        if number is None:
            number = self._numbers[node] = len(self._nodes)
            self._nodes.append(node)
            self._table.append({})
        return number

    def _follow(self, number: int, code: int) -> int:
        """The node after an event; :data:`_DEAD` if nothing is possible, :data:`_SPENT` if the
        budget is. For the call of a certain kind, ``code`` also says how many of those that are
        open return before it."""
        before, event = divmod(code, _EVENTS)
        open_, configurations = self._nodes[number]
        if event == _RESET:
            following = self._begin
        elif number == _IDLE:
            following = _IDLE
        elif self._steps_left <= 0:
            return _SPENT
        else:
            kind = event % _KINDS
            if event >= _KINDS:
                after = _pareto(self._returned(open_, configurations, kind))
                open_ = _with(open_, kind, open_[kind] - 1)
            elif kind < _CERTAIN:
                after = frozenset(
                    _with(one, kind + 1, _spread(one[kind + 1], before)) for one in configurations
                )
                open_ = _with(open_, kind, open_[kind] + 1)
            else:
                after = frozenset(_with(one, kind + 1, one[kind + 1] + 1) for one in configurations)
            self._steps_left -= len(configurations)
            following = self._number((open_, after)) if after else _DEAD
        self._table[number][code] = following
        return following

    def _returned(
        self, open_: tuple[int, ...], configurations: Iterable[Configuration], kind: int
    ) -> Iterator[Configuration]:
        """The configurations in which the operation of ``kind`` that returns first has come,
        without it."""
        seen = set(configurations)
        todo = list(seen)
        while todo:
            self._steps_left -= 1
            one = todo.pop()
            observed = _OBSERVES[one[0]]
            one = _with(one, observed + 1, (1 << open_[observed]) - 1)
            if one[kind + 1] & 1:
                yield _with(one, kind + 1, one[kind + 1] >> 1)
                continue
            for following in _following(open_, one):
                if following not in seen:
                    seen.add(following)
                    todo.append(following)


def _events(
    found: Touches, kind: Ints, start: Ints, firsts: Ints
) -> tuple[list[int], list[int], list[int]]:
    """Calls and returns in order of time, after a reset before each of the ``firsts``; whose they
    are (rows); and for each call, the place of its return (-1: it has none). ``start[n]`` is where
    the time of a row's element begins."""
    returns = np.flatnonzero(kind < _CERTAIN)
    time = np.concatenate(
        [
            start[firsts] * 2 - 1,
            (start + found.call) * 2,  # at one instant, calls come before returns
            (start + found.ret)[returns] * 2 + 1,
        ]
    )
    event = np.concatenate([np.full(len(firsts), _RESET), kind, kind[returns] + _KINDS])
    row = np.concatenate([firsts, np.arange(len(kind)), returns])
    order = np.argsort(time, kind="stable")
    place = np.empty(len(order), dtype=np.int64)
    place[order] = np.arange(len(order))
    deadline = np.full(len(order), -1, dtype=np.int64)
    deadline[len(firsts) + returns] = place[len(firsts) + len(kind) :]
    return event[order].tolist(), row[order].tolist(), deadline[order].tolist()


def _following(open_: tuple[int, ...], one: Configuration) -> Iterator[Configuration]:
    """The configurations after one more operation that does not only observe."""
    state = one[0]
    for kind in (*_CHANGES[state], _STAYS[state]):
        after = one if kind == _STAYS[state] else (1 - state, *one[1:])
        come = one[kind + 1]
        if kind >= _CERTAIN:
            if come:
                yield _with(after, kind + 1, come - 1)
        elif come != (1 << open_[kind]) - 1:
            yield _with(after, kind + 1, come | (come + 1))  # the least bit that is not set


def _spread(mask: int, place: int) -> int:
    """``mask`` with a bit inserted that is not set."""
    low = mask & ((1 << place) - 1)
    return ((mask ^ low) << 1) | low


def _with(counts: tuple[int, ...], place: int, number: int) -> tuple[int, ...]:
    return (*counts[:place], number, *counts[place + 1 :])


def _pareto(configurations: Iterable[Configuration]) -> frozenset[Configuration]:
    """Without those that are worse than another: the same, but fewer observations have come, or
    fewer operations are left that may have happened."""
    groups: dict[Configuration, list[Configuration]] = {}
    for one in configurations:
        groups.setdefault(one[: Kind.PRESENT + 1], []).append(one[Kind.PRESENT + 1 :])
    return frozenset(
        (*same, *one)
        for same, rest in groups.items()
        for one in rest
        if not any(_worse(one, other) for other in rest)
    )


def _worse(one: Configuration, other: Configuration) -> bool:
    seen = all(a & b == a for a, b in zip(one[:2], other[:2], strict=True))
    left = all(a <= b for a, b in zip(one[2:], other[2:], strict=True))
    return seen and left and one != other
