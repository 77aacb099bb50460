"""Histories of simulated objects, by seed: correct ones, and the same with one late wrong result.

The grid of ``benchmarks/grid.py`` is made of these. A valid history is legal in the order in which
its operations took effect (see :mod:`benchmarks.schedules`). An illegal one differs in one read (or
in two removals, exchanged) at 90 % of the history, chosen so that it is certainly illegal. The
reason is given for each kind, and rests on intervals alone, never on the verdict of a checker.

>>> made = simulate("register", operations=1_000, clients=5, seed=7, illegal=True)
>>> len(made.history.operations), len(made.wrong)
(1000, 1)
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
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
from benchmarks.structures import (
    counter,
    mutex,
    priority_queue,
    queue,
    set_of_elements,
    stack,
)

__all__ = ["GENERATORS", "simulate"]

_READ, _WRITE, _CAS = 1, 2, 3
_VALUES = 5
_RESERVED = _VALUES
"""The code of the value that is certainly absent for a while: the greatest of the few."""
_ABSENT_NS = 4 * DURATION_NS


def register(
    *,
    operations: int,
    clients: int,
    seed: int,
    illegal: bool = False,
    keys: int = 1,
    indeterminate: float = 0.0,
) -> Simulated:
    """Reads and writes 1:1 of ``keys`` registers; every write has a value of its own.

    Half of the ``indeterminate`` operations took effect. The wrong read returns a value long gone:
    another write began after that of the value had ended, and ended before the read began.
    """
    source = np.random.default_rng(seed)
    when = schedule(source, operations=operations, clients=clients, indeterminate=indeterminate)
    size, order = len(when), when.effects
    writes = source.random(size) < 0.5
    happened = ~when.lost | (source.random(size) < 0.5)
    key = source.integers(0, keys, size)
    # In order of effect within each key, what was last written is a running maximum of places.
    order = order[np.argsort(key[order], kind="stable")] if keys > 1 else order
    place = np.arange(size, dtype=np.int64)
    last = np.maximum.accumulate(np.where((writes & happened)[order], place, -1))
    starts = np.searchsorted(key[order], np.arange(keys))[key[order]] if keys > 1 else 0
    number = np.empty(size, dtype=np.int64)
    number[when.effects] = np.cumsum(writes[when.effects])  # 1, 2, ... in order of effect
    held = np.empty(size, dtype=np.int64)
    held[order] = np.where(last >= starts, number[order[np.maximum(last, 0)]], 0)
    result = np.where(writes, number, held)
    wrong: tuple[int, ...] = ()
    if illegal:
        read, write = _stale(when, writes, key)
        result[read], wrong = number[write], (read,)
    work = Work(
        functions=("read", "write"),
        values=(None, *range(1, int(writes.sum()) + 1)),
        f=np.where(writes, _WRITE, _READ),
        argument=np.where(writes, number, 0),
        result=result,
        key=key + 1 if keys > 1 else None,
        keys=(None, *range(keys)) if keys > 1 else (None,),
    )
    effects = when.effects[happened[when.effects]]
    return Simulated(history=history(when, work), effects=effects, wrong=wrong)


def _stale(when: Schedule, writes: Bools, key: Ints) -> tuple[int, int]:
    """A late read, and a write of its key whose value is certainly gone by then."""
    late = when.effects[when.late :]
    for read in late[~writes[late] & ~when.lost[late]].tolist():
        same = np.flatnonzero(writes & ~when.lost & (key == key[read]))
        over = same[when.ret[same] < when.call[read]]
        if not len(over):
            continue
        replacing = int(over[np.argmax(when.call[over])])
        gone = over[when.ret[over] < when.call[replacing]]
        if len(gone):
            return read, int(gone[len(gone) // 2])
    raise NoPlace("no late read that could be stale")


def few_values(
    *,
    operations: int,
    clients: int,
    seed: int,
    illegal: bool = False,
    cas: bool = False,
    observed: bool = False,
    indeterminate: float = 0.0,
) -> Simulated:
    """Reads and writes 1:1 (with ``cas``: and compare-and-sets, 1:1:1) of the values 0 to 4.

    A ``cas`` that finds another value has failed; with ``observed`` it returns ``false``, as
    Porcupine's models have it, and so must be explained too. Half of the ``indeterminate``
    operations took effect.

    Where so many clients write so few values, each value is possible at nearly any time. So there
    is a while around 90 % in which no operation (not even one that is only partly within) writes
    4, and none that is lost ever does. The wrong read lies within, and returns 4 although a write
    of another value lies between the beginning of the while and the read.
    """
    source = np.random.default_rng(seed)
    when = schedule(source, operations=operations, clients=clients, indeterminate=indeterminate)
    size = len(when)
    middle = int(when.call[when.effects[when.late]])
    begin, end = middle - _ABSENT_NS, middle + _ABSENT_NS
    f = source.integers(_READ, _CAS + 1 if cas else _CAS, size)
    old, new = (source.integers(1, _VALUES + 1, size) for _ in range(2))
    without = when.lost | ((when.call <= end) & (when.ret >= begin))
    new = np.where(without & (new == _RESERVED), source.integers(1, _VALUES, size), new)
    happened = ~when.lost | (source.random(size) < 0.5)
    held, failed = _replay(when.effects, f, old, new, happened)
    pair = _VALUES + (old - 1) * _VALUES + new  # the pairs follow the values 0 to 4
    argument = np.select([f == _WRITE, f == _CAS], [new, pair], 0)
    values = (None, *range(_VALUES), *([a, b] for a in range(_VALUES) for b in range(_VALUES)))
    result = np.where(f == _READ, held, np.where(failed, len(values), argument))
    wrong: tuple[int, ...] = ()
    if illegal:
        read = _within(when, f, begin, end)
        assert held[read] != _RESERVED, "4 was to be absent"
        result[read], wrong = _RESERVED, (read,)
    work = Work(
        functions=("read", "write", "cas")[: 3 if cas else 2],
        values=(*values, False),
        f=f,
        argument=argument,
        result=result,
        failed=None if observed else failed,
    )
    happened &= ~failed | (observed & ~when.lost)
    effects = when.effects[happened[when.effects]]
    return Simulated(history=history(when, work), effects=effects, wrong=wrong)


def _replay(order: Ints, f: Ints, old: Ints, new: Ints, happened: Bools) -> tuple[Ints, Bools]:
    """What the register held when each operation took effect, and which of them failed."""
    held = np.zeros(len(f), dtype=np.int64)
    failed = np.zeros(len(f), dtype=bool)
    state = 0
    columns = (order, f[order], old[order], new[order], happened[order])
    for at, kind, expects, leaves, real in zip(*(c.tolist() for c in columns), strict=True):
        held[at] = state
        if kind == _CAS and expects != state:
            failed[at] = True
        elif kind != _READ and real:
            state = leaves
    return held, failed


def _within(when: Schedule, f: Ints, begin: int, end: int) -> int:
    """A read in the second half of a while, with a write before it that lies in the while too."""
    sure = ~when.lost
    middle = (begin + end) // 2
    reads = np.flatnonzero((f == _READ) & sure & (when.call >= middle) & (when.ret <= end))
    written = when.ret[(f == _WRITE) & sure & (when.call > begin)].min(initial=end)
    reads = reads[when.call[reads] > written]
    if not len(reads):
        raise NoPlace("no read in the while in which 4 is absent")
    return int(reads[0])


Generator = Callable[..., Simulated]

GENERATORS: Mapping[str, Generator] = {
    "register": register,
    "register-few": few_values,
    "cas": partial(few_values, cas=True),
    "cas-observed": partial(few_values, cas=True, observed=True),
    "queue": queue,
    "stack": stack,
    "priority-queue": priority_queue,
    "set": set_of_elements,
    "counter": counter,
    "mutex": mutex,
}
"""By name. All take ``operations``, ``clients``, ``seed`` and ``illegal``."""


def simulate(kind: str, **options: int | float | bool) -> Simulated:
    """The history of ``kind``; the same for the same options. Raises :class:`NoPlace` where the
    history is too small to be made certainly illegal."""
    return GENERATORS[kind](**options)
