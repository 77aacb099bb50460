"""Mutexes and semaphores: exact, in O(n log n), where all operations on a lock are of one weight.

Divide by the weight, so that each acquisition takes one permit and each release gives one back. A
mutex has one permit. Anybody may release, so a release belongs to no acquisition: it is not enough
(and not necessary) that what one process holds overlaps with nothing.

*Theorem.* Go through the operations that certainly happened in order of their returns. One that is
legal now takes effect now. If it is not, an operation of the other function must come before it:
let that take effect which, of all that were called by then, returns first (indeterminate ones
last). The lock is linearizable exactly if there always is one.

*Proof.* Let ``f`` be the next operation to return, at ``t``, and take a legal order of all that is
left. Everything before ``f`` in it was called by ``t``, and returns no earlier than ``t``, for
``f`` is the first to return; so real time allows any order of ``f`` and those. If ``f`` is legal
now, it can come first: exchange it with the first operation of its own function; what then stands
before it is of the other function, and moving ``f`` ahead of that takes the number of permits one
step into the direction in which there is room, and back. If ``f`` is not legal now, the order
begins with an operation of the other function (where there are no permits at all, nothing is ever
legal). Let ``e`` be the one of them that returns first, of those called by ``t``. If ``e`` comes
later in the order, exchange the two: what lies between was called before ``e`` returns, hence
before the other does. If it does not come at all, both are indeterminate; let ``e`` come instead.
(This is earliest deadline first.) []

Locks whose operations are of several weights are undecided.

This takes a loop over operations in Python with a heap.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from heapq import heappop, heappush

import numpy as np

from checkers.linearizable.calls import Answer, Calls, Proof, Violation, Words
from checkers.linearizable.procedures.values import integers
from checkers.linearizable.registers import Ints

__all__ = ["lock"]

_NAMES = {True: "held by too many", False: "released too often"}
_TOLD_MAX = 4
_SHOWN_MAX = 24
_PERMITS_TRIED_MAX = 64


def lock(calls: Calls, words: Words, *, held: int, permits: int, weighted: bool) -> Answer:
    """Decides locks of ``permits`` in all, of which ``held`` are taken at first. If ``weighted``,
    the argument says how many an operation takes or gives back. O(n log n) in time, O(n) in
    memory."""
    acquires = calls.of("acquire")
    weight = np.ones(len(calls), dtype=np.int64)
    odd = ~acquires & ~calls.of("release")
    if weighted:
        weight, whole = integers(calls, calls.argument)
        weight[calls.argument == 0] = 1
        odd |= ~whole & (calls.argument != 0)
    known = type(held) is int and 0 <= held <= permits
    unclear = np.unique(calls.key[odd] if known else calls.key)
    rows = np.flatnonzero((weight != 0) & ~np.isin(calls.key, unclear))
    rows = rows[np.argsort(calls.key[rows], kind="stable")]
    violations, undecided = [], [unclear]
    for own in np.split(rows, np.flatnonzero(np.diff(calls.key[rows])) + 1):
        if not len(own):
            continue
        key, size = int(calls.key[own[0]]), int(weight[own[0]])
        if size < 0 or (weight[own] != size).any():
            undecided.append(calls.key[own[:1]])
            continue
        one = _Lock(
            position=own,
            acquire=acquires[own],
            call=calls.call[own],
            ret=calls.ret[own],
            horizon=calls.horizon,
            held=held // size,
            permits=held // size + (permits - held) // size,
        )
        stuck = one.stuck(one.held)
        if stuck is not None:
            violations.append(Violation(key, partial(_proof, one, stuck, words)))
    return Answer(violations=violations, undecided=np.unique(np.concatenate(undecided)))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Lock:
    """The operations of one lock, in order of call, each of one permit of ``permits`` in all.
    ``position[n]`` are those in the calls."""

    position: Ints
    acquire: np.ndarray[tuple[int], np.dtype[np.bool_]]
    call: Ints
    ret: Ints
    horizon: int
    held: int
    permits: int

    def stuck(self, held: int, since: int = -1, until: int | None = None) -> int | None:
        """The first row, of those that return by ``until``, that cannot come if ``held`` permits
        are taken at the instant ``since``; None if all can. What was called by ``since`` may have
        come before it."""
        until = self.horizon - 1 if until is None else until
        rows = np.flatnonzero((self.ret > since) & (self.call <= until))
        due = (self.call[rows] > since) & (self.ret[rows] <= until)
        ret = np.where(due, self.ret[rows], self.horizon)
        order = np.argsort(ret, kind="stable")[: int(due.sum())]
        columns = (self.acquire[rows].tolist(), self.call[rows].tolist(), ret.tolist())
        place = _stuck(columns, order.tolist(), held, self.permits)
        return None if place is None else int(rows[place])


def _stuck(
    columns: tuple[list[bool], list[int], list[int]], order: list[int], held: int, permits: int
) -> int | None:
    """The first operation (of ``columns``: acquires, call, return), in ``order`` of return, for
    which there is no room and no other operation to make it. O(n log n), a loop over operations."""
    acquire, call, ret = columns
    done = [False] * len(call)
    waiting: tuple[list[tuple[int, int]], ...] = ([], [])  # releases and acquisitions
    called = 0
    for row in order:
        if done[row]:
            continue
        takes = acquire[row]
        done[row] = True
        if held < permits if takes else held > 0:
            held += 1 if takes else -1
            continue
        now = ret[row]
        while called < len(call) and call[called] <= now:
            heappush(waiting[acquire[called]], (ret[called], called))
            called += 1
        others = waiting[not takes]
        while others and done[others[0][1]]:
            heappop(others)
        if not others or not permits:
            return row
        done[heappop(others)[1]] = True
    return None


def _proof(one: _Lock, stuck: int, words: Words) -> Proof:
    """The proof that the operation at the row ``stuck`` cannot come: the fewest operations of its
    function, up to its return, for which there are too few of the other; else all in a window."""
    if not one.permits:
        return _never(one, stuck, words)
    until = int(one.ret[stuck])
    same = one.acquire == one.acquire[stuck]
    rows = np.flatnonzero(same & (one.ret <= until))
    rows = rows[np.argsort(-one.call[rows], kind="stable")]
    others = np.flatnonzero(~same & (one.call <= until))
    # For the window that begins just before the call of each of the rows: those within it, and
    # the others that can come in it.
    number = np.arange(1, len(rows) + 1)
    ends = np.sort(one.ret[others])
    helping = len(others) - np.searchsorted(ends, one.call[rows])
    enough = np.flatnonzero(number > one.permits + helping)
    if len(enough):
        rows = rows[: int(enough[0]) + 1]
        others = others[one.ret[others] >= one.call[rows[-1]]]
        if len(rows) + len(others) > _SHOWN_MAX:
            return _count(one, rows, others, one.permits, words)
        return _too_many(one, rows, others, "in between", words)
    room = one.permits - one.held if one.acquire[stuck] else one.held
    if len(rows) > room + len(others):
        if len(rows) + len(others) > _SHOWN_MAX:
            return _count(one, rows, others, room, words)
        return _too_many(one, rows[-(room + len(others) + 1) :], others, "by then", words)
    return _window(one, stuck, words)


def _never(one: _Lock, row: int, words: Words) -> Proof:
    position = int(one.position[row])
    acquire = bool(one.acquire[row])
    return Proof(
        name=_NAMES[acquire],
        sentence=f"{words.process(position)} {'acquired' if acquire else 'released'} "
        f"{words.argument(position)} ({words.called(position)} to {words.returned(position)}), "
        "which is more than there ever is.",
        operations=(position,),
    )


def _too_many(one: _Lock, rows: Ints, others: Ints, when: str, words: Words) -> Proof:
    """``rows`` are more than there is room for, whatever the ``others`` do ``when``."""
    acquire = bool(one.acquire[rows[0]])
    did, undid = ("acquired", "released") if acquire else ("released", "acquired")
    rows = np.sort(rows)
    positions = one.position[rows].tolist()
    who = " and ".join(
        f"{words.process(position)} ({words.called(position)} to {words.returned(position)})"
        for position in positions[:_TOLD_MAX]
    )
    if len(positions) > _TOLD_MAX:
        last = positions[int(np.argmax(one.ret[rows]))]
        who = (
            f"from {words.called(positions[0])} to {words.returned(last)}, {len(positions):,} "
            "operations"
        )
    sizes = [f"{one.permits:,} fit at once"] if one.permits > 1 else []
    sizes += [f"{one.held:,} held it at first"] if one.held and when == "by then" else []
    fit = f" ({', '.join(sizes)})" if sizes else ""
    most = f"at most {len(others):,} can" if len(others) else "nobody can"
    return Proof(
        name=_NAMES[acquire],
        sentence=f"{who} {did} it{fit}, but {most} have {undid} it {when}.",
        operations=tuple(sorted([*positions, *one.position[others].tolist()])),
    )


def _count(one: _Lock, rows: Ints, others: Ints, room: int, words: Words) -> Proof:
    """``rows`` are more than ``room`` and all ``others``, but too many to show."""
    acquire = bool(one.acquire[rows[0]])
    did, undid = ("acquired", "released") if acquire else ("released", "acquired")
    last = _last(one, rows, room + 1)
    first, final = int(one.position[rows[np.argmin(one.call[rows])]]), int(one.position[last[-1]])
    return Proof(
        name=_NAMES[acquire],
        sentence=f"when {words.process(final)} had {did} it ({words.called(final)} to "
        f"{words.returned(final)}), it had been {did} {len(rows):,} times since "
        f"{words.called(first)}, but {undid} at most {len(others):,} times.",
        operations=tuple(sorted(one.position[last].tolist())),
    )


def _last(one: _Lock, rows: Ints, number: int) -> Ints:
    """The ``number`` of the rows that returned last, in that order. If there are more than there is
    room for, they are illegal by themselves."""
    return rows[np.argsort(one.ret[rows], kind="stable")][-number:]


def _window(one: _Lock, stuck: int, words: Words) -> Proof:
    """All operations of the shortest window up to the return of ``stuck`` that cannot be explained,
    however many permits were taken before it; or the last of them, if they are too many to show."""
    until = int(one.ret[stuck])
    beginnings = range(one.permits + 1)

    def illegal(since: int) -> bool:
        return all(one.stuck(held, since, until) is not None for held in beginnings)

    starts = np.unique(one.call[one.call <= until]) - 1
    low, high = 0, len(starts)  # shorter windows explain less
    if one.permits > _PERMITS_TRIED_MAX or not illegal(int(starts[0])):
        high = 1
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if illegal(int(starts[middle])) else (low, middle)
    rows = np.flatnonzero((one.call <= until) & (one.ret > starts[low]))
    position = int(one.position[stuck])
    acquire = bool(one.acquire[stuck])
    number = f"these {len(rows):,} operations"
    same = rows[(one.acquire[rows] == acquire) & (one.ret[rows] <= until)]
    if len(rows) > _SHOWN_MAX and len(same) > one.permits:
        number = f"the {len(rows):,} operations before it"
        rows = _last(one, same, one.permits + 1)
    return Proof(
        name=_NAMES[acquire],
        sentence=f"{words.process(position)} {'acquired' if acquire else 'released'} it "
        f"({words.called(position)} to {words.returned(position)}), which no order of {number} "
        "explains.",
        operations=tuple(sorted(one.position[rows].tolist())),
    )
