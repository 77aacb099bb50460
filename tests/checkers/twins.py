"""The compiled search against its twin in Python, and both against every order.

    python -m tests.checkers.twins --instances 200000 --jobs 2

The instances are those of :mod:`tests.checkers.random_instances`. A disagreement names the seed
that repeats it, and is shown without all that can be spared.
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from collections.abc import Hashable, Sequence
from multiprocessing import Pool
from typing import Any

import numpy as np

from checkers.linearizable import native
from checkers.linearizable.budget import Budget, Limits
from checkers.linearizable.instances import Class, Instance, Outcome
from checkers.linearizable.native import Engines
from checkers.linearizable.search import twin
from checkers.models import Illegal
from harness.core.history import NEVER
from harness.core.kernels import NATIVE
from tests.checkers.oracles import Timed, some_order
from tests.checkers.random_instances import IDLE, Idle, Table, random_instance

__all__ = ["compiled", "disagreement", "every_order", "smallest"]

_CHUNK = 500
_STEPS = 1_000_000
_LAST_STEP_MAX = 64  # what one step beyond the last may cost
_HELD = 1 << 40  # bytes that the process seems to hold
_SPARE_BYTES_MAX = 10_000_000


def every_order(instance: Instance) -> bool:
    """Whether there is a legal order, by trying all. Those that do nothing are left out."""
    model = instance.model

    def following(state: Any, one: Class) -> list[Hashable]:
        after = model.step(state, *one)
        return [] if isinstance(after, Illegal) else [after]

    return some_order(
        [
            Timed(call, None if ret >= NEVER else ret, instance.classes[kind])
            for call, ret, kind in zip(
                instance.call.tolist(),
                instance.ret.tolist(),
                instance.kind.tolist(),
                strict=True,
            )
            if instance.classes[kind][0] not in IDLE
        ],
        instance.initial,
        following,
    )


def _budget(steps: int = _STEPS, spare_bytes: int | None = None) -> Budget:
    limits = Limits(deadline_s=1.0, clock=lambda: 0.0)
    if spare_bytes is not None:
        limits.memory_bytes, limits.resident = _HELD + spare_bytes, lambda: _HELD - 1
    return Budget(steps_left=steps, limits=limits)


def compiled(
    instance: Instance,
    *,
    steps: int = _STEPS,
    spare_bytes: int | None = None,
    engines: Engines = Engines.ALL,
) -> Outcome | None:
    """The answer of the compiled search within so many steps and bytes; None: it has no room."""
    assert NATIVE is not None
    return native.search(NATIVE, instance, _budget(steps, spare_bytes), engines)


def disagreement(
    instance: Instance, *, kernel: bool = True, truth: bool | None = None
) -> str | None:
    """What is wrong with the answers on ``instance``; None: nothing. Without ``kernel`` only the
    twin is asked. ``truth`` is what :func:`every_order` says, if it was asked already."""
    truth = every_order(instance) if truth is None else truth
    wrong = _wrong("twin", instance, twin(instance, _budget()), truth)
    if wrong or not kernel:
        return wrong
    found = compiled(instance)
    if found is None:
        return None  # too many are open at a time: the twin serves
    return (
        _wrong("compiled search", instance, found, truth)
        or _alone(instance, truth)
        or _bounded(instance, truth)
    )


def _alone(instance: Instance, truth: bool) -> str | None:
    """What is wrong with the answers of each order of search without the others. The relaxed one is
    never sure that an order is legal."""
    for engines in (Engines.DEPTH, Engines.BREADTH, Engines.RELAXED):
        found = compiled(instance, engines=engines)
        assert found is not None
        if found.legal is None and (found.reason == "steps" or engines is Engines.RELAXED):
            continue
        wrong = _wrong(f"search {engines.name}", instance, found, truth)
        if wrong:
            return wrong
    return None


def _bounded(instance: Instance, truth: bool) -> str | None:
    """What is wrong with the answers of the compiled search when it may take few steps, or little
    memory: just too little for the depth-first search is where the breadth-first ones decide."""
    for steps in (0, 1, 2, 5, 12):
        found = compiled(instance, steps=steps)
        assert found is not None
        name = f"compiled search of {steps} steps"
        if found.legal is not None:
            wrong = _wrong(name, instance, found, truth)
            if wrong:
                return wrong
        elif found.reason != "steps" or found.steps > steps + _LAST_STEP_MAX:
            return f"the {name} says {found}"
    spare_bytes = 1_000
    while spare_bytes < _SPARE_BYTES_MAX:
        found = compiled(instance, spare_bytes=spare_bytes)
        assert found is not None
        if found.legal is not None:
            return _wrong(f"compiled search in {spare_bytes:,} bytes", instance, found, truth)
        if found.reason != "memory":
            return f"the compiled search in {spare_bytes:,} bytes says {found}"
        spare_bytes += spare_bytes // 8
    return f"the compiled search needs more than {_SPARE_BYTES_MAX:,} bytes"


def _wrong(name: str, instance: Instance, found: Outcome, truth: bool) -> str | None:
    if found.legal is not truth:
        return f"the {name} says {found.legal}, trying every order {truth}"
    returns = np.sort(instance.ret[instance.ret < NEVER])
    if found.returns != len(returns):
        return f"the {name} counts {found.returns} returns, there are {len(returns)}"
    if truth:
        fine = found.passed == len(returns) and found.stuck is None
        return None if fine else f"the {name} says legal, but {found}"
    if found.stuck is None or not 0 <= found.stuck < len(instance):
        return f"the {name} says illegal, but not where: {found}"
    until = instance.ret[found.stuck]
    if not 0 <= found.passed < len(returns) or until != returns[found.passed]:
        return f"the {name} passed {found.passed} returns, but operation {found.stuck} is not next"
    if every_order(instance.select(np.flatnonzero(instance.call <= until))):
        return f"what was called before {found.stuck} returned is legal, the {name} says it is not"
    return None


def smallest(instance: Instance, *, kernel: bool = True) -> Instance:
    """``instance``, on which the answers disagree, without all that can be spared."""
    place = 0
    while place < len(instance):
        fewer = instance.select([i for i in range(len(instance)) if i != place])
        if len(fewer) and disagreement(fewer, kernel=kernel):
            instance, place = fewer, 0
        else:
            place += 1
    return instance


def described(instance: Instance) -> str:
    """One line an operation, and the table of the model."""
    lines = [
        f"  {int(call)} to {'?' if ret >= NEVER else int(ret)}: {instance.of(i)}"
        for i, (call, ret) in enumerate(zip(instance.call, instance.ret, strict=True))
    ]
    model: Any = instance.model
    model = model.of if isinstance(model, Idle) else model
    if isinstance(model, Table):
        used = [c for c in instance.classes if c in {instance.of(i) for i in range(len(instance))}]
        lines += [
            f"  {c}{' (still)' * (c in model.still)} leads from 0, 1, ... to {model.table[c]}"
            for c in used
            if c in model.table
        ]
    return "\n".join([type(model).__name__, *lines])


def _chunk(task: tuple[int, int, bool]) -> tuple[Counter[str], list[tuple[int, str]]]:
    """How many of these seeds are legal, illegal, wrong; and what was wrong."""
    first, last, kernel = task
    counts: Counter[str] = Counter()
    found = []
    for seed in range(first, last):
        instance = random_instance(seed)
        truth = every_order(instance)
        wrong = disagreement(instance, kernel=kernel, truth=truth)
        counts["wrong" if wrong else "legal" if truth else "illegal"] += 1
        if wrong:
            found.append((seed, wrong))
    return counts, found


def main(arguments: Sequence[str] | None = None) -> int:
    """Compare many instances; 1 if some answers disagree."""
    parser = argparse.ArgumentParser(prog="python -m tests.checkers.twins")
    parser.add_argument("--instances", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=0, help="the first seed")
    parser.add_argument("--twin-only", action="store_true", help="leave the compiled search out")
    parser.add_argument("--jobs", type=int, default=1)
    given = parser.parse_args(arguments)
    kernel = not given.twin_only
    if kernel and NATIVE is None:
        print("The compiled kernels are not there; --twin-only goes without.")
        return 2
    last = given.seed + given.instances
    tasks = [
        (first, min(first + _CHUNK, last), kernel) for first in range(given.seed, last, _CHUNK)
    ]
    counts: Counter[str] = Counter()
    smallest_so_far: tuple[int, int, Instance] | None = None
    with Pool(given.jobs) as pool:
        for several, found in pool.imap(_chunk, tasks):
            counts += several
            for seed, wrong in found:
                print(f"seed {seed}: {wrong}", flush=True)
                reduced = smallest(random_instance(seed), kernel=kernel)
                if smallest_so_far is None or len(reduced) < smallest_so_far[0]:
                    smallest_so_far = len(reduced), seed, reduced
    print(
        f"{given.instances:,} instances: all agree that {counts['legal']:,} are legal and "
        f"{counts['illegal']:,} are not; they disagree on {counts['wrong']:,}"
    )
    if smallest_so_far is not None:
        _, seed, reduced = smallest_so_far
        print(
            f"The smallest disagreement, from seed {seed}: {disagreement(reduced, kernel=kernel)}"
        )
        print(described(reduced))
        print(f"Again: python -m tests.checkers.twins --instances 1 --seed {seed}")
    return int(smallest_so_far is not None)


if __name__ == "__main__":
    sys.exit(main())
