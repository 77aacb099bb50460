"""Simulated queues, stacks, priority queues, sets, counters and mutexes; see ``histories.py``."""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np

from benchmarks.schedules import (
    DURATION_NS,
    Bools,
    Ints,
    NoPlace,
    Schedule,
    Simulated,
    Work,
    history,
    schedule,
)

__all__ = ["counter", "mutex", "priority_queue", "queue", "set_of_elements", "stack"]

_ELEMENTS = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class _Ends:
    """Where each value was put and taken (operations; -1: never), at ``[value - 1]``."""

    when: Schedule
    put: Ints
    take: Ints

    def put_after(self, value: int) -> Bools:
        """The values whose put began after that of ``value`` had ended."""
        after: Bools = self.when.call[self.put] > self.when.ret[self.put[value]]
        return after

    def inside_at(self, take: int) -> Bools:
        """The values that certainly had been put when ``take`` began."""
        inside: Bools = self.when.ret[self.put] < self.when.call[take]
        return inside


Exchange = Callable[[_Ends, int], Bools]
"""Values that must not come out at the removal of a value while that one stays inside until later
(and comes out in their place)."""


def _queue_wrong(ends: _Ends, value: int) -> Bools:
    """Those enqueued after ``value`` had been: they come out ahead of it."""
    return ends.put_after(value)


def _stack_wrong(ends: _Ends, value: int) -> Bools:
    """Those that lie beneath ``value``: it had been pushed after them, before the removal began."""
    beneath: Bools = ends.when.ret[ends.put] < ends.when.call[ends.put[value]]
    return beneath & bool(ends.inside_at(int(ends.take[value]))[value])


def _priority_wrong(ends: _Ends, value: int) -> Bools:
    """Those that are greater, while ``value`` is certainly inside."""
    greater: Bools = np.arange(len(ends.put)) > value
    return greater & bool(ends.inside_at(int(ends.take[value]))[value])


def _buffer(
    put: str,
    take: str,
    new: Callable[[], tuple[Callable[[int], object], Callable[[], int]]],
    exchange: Exchange,
    *,
    operations: int,
    clients: int,
    seed: int,
    illegal: bool = False,
) -> Simulated:
    """Puts of unique values and takes, 1:1; some takes find nothing. The wrong results are those of
    two takes, one after the other, exchanged (see ``exchange``)."""
    source = np.random.default_rng(seed)
    when = schedule(source, operations=operations, clients=clients)
    puts = source.random(operations) < 0.5
    size = int(puts.sum())
    argument = np.zeros(operations, dtype=np.int64)
    argument[puts] = source.permutation(size) + 1
    result = argument.copy()
    give, remove = new()
    left = 0
    for at, value in zip(when.effects.tolist(), argument[when.effects].tolist(), strict=True):
        if value:
            give(value)
            left += 1
        elif left:
            result[at] = remove()
            left -= 1
    wrong: tuple[int, ...] = ()
    if illegal:
        wrong = _exchanged(when, puts, argument, result, exchange)
        result[list(wrong)] = result[list(reversed(wrong))]
    work = Work(
        functions=(put, take),
        values=(None, *range(1, size + 1)),
        f=np.where(puts, 1, 2),
        argument=argument,
        result=result,
    )
    return Simulated(history=history(when, work), effects=when.effects, wrong=wrong)


def _exchanged(
    when: Schedule, puts: Bools, argument: Ints, result: Ints, exchange: Exchange
) -> tuple[int, int]:
    """Two removals, the first of them late, whose results are certainly wrong when exchanged."""
    size = int(puts.sum())
    put, take = np.full(size, -1, dtype=np.int64), np.full(size, -1, dtype=np.int64)
    put[argument[puts] - 1] = np.flatnonzero(puts)
    taken = np.flatnonzero(~puts & (result > 0))
    take[result[taken] - 1] = taken
    ends = _Ends(when=when, put=put, take=take)
    late = when.effects[when.late :]
    for first in late[~puts[late] & (result[late] > 0)].tolist():
        later = (take >= 0) & (when.call[take] > when.ret[first])
        candidates = np.flatnonzero(later & exchange(ends, int(result[first]) - 1))
        if len(candidates):
            second = candidates[np.argmin(when.call[take[candidates]])]
            return first, int(take[second])
    raise NoPlace("no two removals to exchange")


def _fifo() -> tuple[Callable[[int], object], Callable[[], int]]:
    line: deque[int] = deque()
    return line.append, line.popleft


def _lifo() -> tuple[Callable[[int], object], Callable[[], int]]:
    pile: list[int] = []
    return pile.append, pile.pop


def _least() -> tuple[Callable[[int], object], Callable[[], int]]:
    heap: list[int] = []
    return partial(heapq.heappush, heap), partial(heapq.heappop, heap)


queue = partial(_buffer, "enqueue", "dequeue", _fifo, _queue_wrong)
stack = partial(_buffer, "push", "pop", _lifo, _stack_wrong)
priority_queue = partial(_buffer, "insert", "delete-min", _least, _priority_wrong)


def set_of_elements(
    *, operations: int, clients: int, seed: int, illegal: bool = False
) -> Simulated:
    """``add``, ``remove`` and ``contains`` of 50 elements, 1:1:1; updates observe nothing. The
    wrong ``contains`` denies what every update of the element that may be the last before it says,
    with none beside it."""
    source = np.random.default_rng(seed)
    when = schedule(source, operations=operations, clients=clients)
    f = source.integers(1, 4, operations)
    element = source.integers(0, _ELEMENTS, operations)
    present = [False] * _ELEMENTS
    seen = np.zeros(operations, dtype=bool)
    order = when.effects
    columns = (order.tolist(), f[order].tolist(), element[order].tolist())
    for at, kind, which in zip(*columns, strict=True):
        if kind == 3:
            seen[at] = present[which]
        else:
            present[which] = kind == 1
    wrong: tuple[int, ...] = ()
    if illegal:
        at, inside = _undoubted(when, f, element)
        assert seen[at] == inside, "the simulated set contradicts its own updates"
        seen[at], wrong = not inside, (at,)
    work = Work(
        functions=("add", "remove", "contains"),
        values=(None, *range(_ELEMENTS), False, True),
        f=f,
        argument=element + 1,
        result=np.where(f == 3, _ELEMENTS + 1 + seen, 0),
    )
    return Simulated(history=history(when, work), effects=when.effects, wrong=wrong)


def _undoubted(when: Schedule, f: Ints, element: Ints) -> tuple[int, bool]:
    """A late ``contains`` with only one possible answer, and that answer."""
    late = when.effects[when.late :]
    for at in late[f[late] == 3].tolist():
        updates = np.flatnonzero((f != 3) & (element == element[at]))
        earlier = updates[when.ret[updates] < when.call[at]]
        beside = (when.ret[updates] >= when.call[at]) & (when.call[updates] <= when.ret[at])
        if beside.any() or not len(earlier):
            continue
        last = f[earlier[when.ret[earlier] >= when.call[earlier].max()]]
        if (last == last[0]).all():
            return at, bool(last[0] == 1)
    raise NoPlace("no contains with only one possible answer")


def counter(*, operations: int, clients: int, seed: int, illegal: bool = False) -> Simulated:
    """``add 1`` and ``read``, 1:1. The wrong read returns half of what it saw: fewer than the
    additions that had ended before it began."""
    source = np.random.default_rng(seed)
    when = schedule(source, operations=operations, clients=clients)
    adds = source.random(operations) < 0.5
    count = np.empty(operations, dtype=np.int64)
    count[when.effects] = np.cumsum(adds[when.effects])
    wrong: tuple[int, ...] = ()
    if illegal:
        late = when.effects[when.late :]
        for at in late[~adds[late]].tolist():
            if (adds & (when.ret < when.call[at])).sum() > count[at] // 2:
                count[at], wrong = count[at] // 2, (at,)
                break
        else:
            raise NoPlace("no read that could be stale")
    work = Work(
        functions=("add", "read"),
        values=(None, *range(int(adds.sum()) + 1)),
        f=np.where(adds, 1, 2),
        argument=np.where(adds, 2, 0),  # the code of 1
        result=np.where(adds, 0, count + 1),
    )
    return Simulated(history=history(when, work), effects=when.effects, wrong=wrong)


def mutex(*, operations: int, clients: int, seed: int, illegal: bool = False) -> Simulated:
    """Clients that ``acquire`` (and wait for it) and ``release``, in turns; whoever waits may be
    next. In the illegal history one that waits believes to have it while another still has: two
    more ``acquire`` than ``release`` had then taken effect."""
    source = np.random.default_rng(seed)
    holds = -(-operations // 2)
    took = source.integers(DURATION_NS // 20, DURATION_NS // 5, (holds, 4)).tolist()
    pick = source.random(holds).tolist()
    ready = source.integers(0, DURATION_NS, clients).tolist()
    released = 0
    rows = []
    for hold in range(holds):
        waiting = [client for client in range(clients) if ready[client] <= released]
        if not waiting:
            waiting = [min(range(clients), key=ready.__getitem__)]
        client = waiting[int(pick[hold] * len(waiting))]
        begun = ready[client]
        acquired = max(released, begun) + 1 + took[hold][0] // 10
        returned = acquired + took[hold][1]
        called = returned + 1_000
        released = called + took[hold][2]
        ended = released + took[hold][3]
        ready[client] = ended + 1_000
        rows.append((begun, returned, client, acquired, 1))
        rows.append((called, ended, client, released, 2))
    table = np.array(rows[:operations], dtype=np.int64)
    order = np.argsort(table[:, 0], kind="stable")
    call, ret, process, instant, f = np.ascontiguousarray(table[order].T)
    when = Schedule(
        call=call,
        ret=ret,
        process=process,
        lost=np.zeros(len(call), dtype=bool),
        effects=np.argsort(instant, kind="stable"),
    )
    wrong: tuple[int, ...] = ()
    if illegal:
        at, early = _believed(when)
        ret[at], wrong = early, (at,)
    zeros = np.zeros(len(call), dtype=np.int64)
    work = Work(functions=("acquire", "release"), values=(None,), f=f, argument=zeros, result=zeros)
    return Simulated(history=history(when, work), effects=when.effects, wrong=wrong)


def _believed(when: Schedule) -> tuple[int, int]:
    """A late ``acquire``, and a time at which it returns although the mutex is held."""
    order = when.effects.tolist()
    for place in range(when.late // 2 * 2, len(order) - 2, 2):
        held, release, following = order[place : place + 3]
        soonest = max(int(when.ret[held]), int(when.call[following])) + 1
        if soonest < when.call[release]:
            return following, soonest
    raise NoPlace("nobody waits for the mutex")
