"""When simulated clients call and return, and at which instant each operation takes effect.

A simulated object is correct by construction: its operations take effect one after another, each at
an instant between its call and its return, so the order of the instants is a legal order
(*linearization points*; Herlihy & Wing, TOPLAS 1990). :class:`Simulated` keeps that order beside
the history, which makes the legality of a history a matter of replaying it.

Clients are always busy: the next call follows a return within 20 µs, and an operation takes 0.5 to
1.5 ms, so that about as many operations are open at any time as there are clients.

>>> import numpy as np
>>> made = schedule(np.random.default_rng(7), operations=100, clients=5)
>>> len(made), sorted(set(made.process.tolist()))
(100, [0, 1, 2, 3, 4])
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.core.history import History
from harness.core.operation import Type

__all__ = ["DURATION_NS", "Bools", "Ints", "NoPlace", "Schedule", "Simulated", "Work", "schedule"]

Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

DURATION_NS = 1_000_000
"""How long an operation takes on average."""

_THINK_NS_MAX = 20_000
_SPARE_ROUNDS = 20


class NoPlace(ValueError):
    """The history is too small to hold a result that is certainly wrong."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """One row an operation, in order of call; ``[n_operations]`` each.

    ``call`` and ``ret`` are in nanoseconds. ``lost`` says that the client never heard of the
    outcome, and goes on under another ``process``. ``effects`` are all positions in order of the
    instants.
    """

    call: Ints
    ret: Ints
    process: Ints
    lost: Bools
    effects: Ints

    def __len__(self) -> int:
        return len(self.call)

    @property
    def late(self) -> int:
        """The place in ``effects`` from which on a wrong result may stand: at 90 %."""
        return len(self) * 9 // 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """What the operations of a schedule are, in the same order: codes of the tables."""

    functions: tuple[str, ...]
    values: tuple[Any, ...]
    f: Ints
    argument: Ints
    result: Ints
    failed: Bools | None = None
    key: Ints | None = None
    keys: tuple[Any, ...] = (None,)


@dataclass(frozen=True, slots=True, kw_only=True)
class Simulated:
    """A history with its making: ``effects`` are positions in ``history.operations`` of those that
    took effect, in that order. ``wrong`` are the positions of those whose result was then made
    wrong: none in a valid history."""

    history: History
    effects: Ints
    wrong: tuple[int, ...] = ()


def schedule(
    source: np.random.Generator, *, operations: int, clients: int, indeterminate: float = 0.0
) -> Schedule:
    """``clients`` that are always busy, until ``operations`` were called. ``indeterminate`` is the
    share of those that are lost. O(n log n)."""
    rounds = -(-operations // clients)
    rounds += _SPARE_ROUNDS + 5 * int(rounds**0.5)  # some clients come round more often than others
    shape = (clients, rounds)
    think = source.integers(1_000, _THINK_NS_MAX, shape)
    took = source.integers(DURATION_NS // 2, DURATION_NS * 3 // 2, shape)
    think[:, 0] += source.integers(0, DURATION_NS, clients)
    ret = np.cumsum(think + took, axis=1)
    call = ret - took
    lost = source.random(shape) < indeterminate
    client = np.arange(clients, dtype=np.int64)[:, None]
    process = client + clients * (np.cumsum(lost, axis=1) - lost)
    instant = call + source.random(shape) * took
    chosen = np.argsort(call, axis=None, kind="stable")[:operations]
    return Schedule(
        call=call.reshape(-1)[chosen],
        ret=ret.reshape(-1)[chosen],
        process=process.reshape(-1)[chosen],
        lost=lost.reshape(-1)[chosen],
        effects=np.argsort(instant.reshape(-1)[chosen], kind="stable"),
    )


def history(when: Schedule, work: Work) -> History:
    """The columns of a history, made at once. An operation that failed or is lost echoes its
    argument. O(n log n)."""
    size = len(when)
    order = np.argsort(np.concatenate([when.call, when.ret]), kind="stable")
    operation = order % size
    begins = order < size
    outcome = np.where(when.lost, Type.INFO, Type.OK)
    result = np.where(when.lost, work.argument, work.result)
    if work.failed is not None:
        outcome = np.where(work.failed & ~when.lost, Type.FAIL, outcome)
        result = np.where(work.failed, work.argument, result)
    zeros = np.zeros(2 * size, dtype=np.int64)
    return History(
        index=np.arange(2 * size, dtype=np.int64),
        time=np.where(begins, when.call[operation], when.ret[operation]),
        process=when.process[operation],
        type=np.where(begins, Type.INVOKE, outcome[operation]).astype(np.int64),
        f=work.f[operation],
        key=zeros if work.key is None else work.key[operation],
        value=np.where(begins, work.argument[operation], result[operation]),
        node=zeros,
        functions=(None, *work.functions),
        keys=work.keys,
        nodes=(None,),
        values=work.values,
        errors={},
    )
