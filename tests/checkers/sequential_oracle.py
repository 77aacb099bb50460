"""Sequential consistency against trying everything, on many small random histories.

    python -m tests.checkers.sequential_oracle --histories 50000

Of registers (read, write, compare-and-set, several keys at once), and of queues, stacks, sets,
counters and locks. The judge says what the objects do in its own words, and tries every order in
which each process keeps its own.
"""

from __future__ import annotations

import argparse
import random
from collections import Counter
from collections.abc import Sequence
from typing import Any

from checkers.sequential import Sequential
from harness.core.contracts import CheckContext
from harness.core.history import History
from tests.checkers.builders import Op, build

__all__ = ["history", "judge", "random_ops", "run"]

REGISTERS = ("read", "write", "cas")
OBJECTS = {
    "queue": ("enqueue", "dequeue"),
    "stack": ("push", "pop"),
    "set": ("add", "remove", "read"),
    "counter": ("add", "read"),
    "mutex": ("acquire", "release"),
}


def _step(model: str, state: Any, op: Op, certain: bool) -> list[Any]:
    """The states to which an operation may lead: none where it cannot happen. Values are as in
    :func:`random_ops`: of a compare-and-set ``[old, new]``."""
    if model == "cas-register":
        if op.f == "write":
            return [op.value]
        if op.f == "read":
            return [state] if not certain or state == op.value else []
        return [op.value[1]] if state == op.value[0] else []
    if model in ("queue", "stack"):
        if op.f in ("enqueue", "push"):
            return [(*state, op.value)]
        if not certain:  # nobody knows what it took
            return [state[1:] if model == "queue" else state[:-1]] if state else [state]
        if op.value is None:
            return [state] if not state else []
        end = 0 if model == "queue" else -1
        rest = state[1:] if model == "queue" else state[:-1]
        return [rest] if state and state[end] == op.value else []
    if model == "set":
        if op.f == "read":
            return [state] if not certain or state == frozenset(op.value) else []
        one = frozenset({op.value})
        return [state | one if op.f == "add" else state - one]
    if model == "counter":
        if op.f == "read":
            return [state] if not certain or state == op.value else []
        return [state + op.value]
    assert model == "mutex"
    if op.f == "acquire":
        return [] if state else [True]
    return [False] if state else []


INITIAL: dict[str, Any] = {
    "cas-register": None,
    "queue": (),
    "stack": (),
    "set": frozenset(),
    "counter": 0,
    "mutex": False,
}


def judge(model: str, ops: Sequence[Op]) -> bool:
    """Whether some order is legal for all keys together. Exponential."""
    rows = [op for op in sorted(ops, key=lambda op: op.call) if op.outcome != "fail"]
    lines: dict[int, list[int]] = {}
    for at, op in enumerate(rows):
        lines.setdefault(op.process, []).append(at)
    before = {at: line[: line.index(at)] for line in lines.values() for at in line}
    needed = {at for at, op in enumerate(rows) if op.certain}
    keys = sorted({op.key for op in rows}, key=str)
    first = (frozenset[int](), tuple(INITIAL[model] for _ in keys))
    todo, seen = [first], {first}
    while todo:
        done, states = todo.pop()
        if needed <= done:
            return True
        for at, op in enumerate(rows):
            if at in done or not done.issuperset(before[at]):
                continue
            which = keys.index(op.key)
            for after in _step(model, states[which], op, op.certain):
                move = (done | {at}, (*states[:which], after, *states[which + 1 :]))
                if move not in seen:
                    seen.add(move)
                    todo.append(move)
    return False


def random_ops(source: random.Random, model: str) -> list[Op]:
    """A few operations: of an object that serves them one by one, sometimes from its past."""
    names = list(range(source.randint(2, 4)))
    keys = [None] if source.random() < 0.4 else ["x", "y", "z"][: source.randint(1, 3)]
    past: dict[Any, list[Any]] = {key: [INITIAL[model]] for key in keys}
    stale = source.choice([0.0, 0.15, 0.4])
    unique = source.random() < 0.7
    result = []
    for number in range(source.randint(3, 8)):
        which = source.randrange(len(names))
        key = source.choice(keys)
        states = past[key]
        state = source.choice(states) if source.random() < stale else states[-1]
        f = source.choice(REGISTERS if model == "cas-register" else OBJECTS[model])
        fresh = number + 1 if unique else source.randint(1, 2)
        value: Any = {
            "read": sorted(state) if model == "set" else state,
            "cas": [state, fresh],
            "acquire": None,
            "release": None,
        }.get(f, fresh)
        if f in ("dequeue", "pop"):
            value = (state[0] if f == "dequeue" else state[-1]) if state else None
        outcome = source.choices(["ok", "info", "fail"], [12, 2, 1])[0]
        op = Op(process=names[which], f=f, value=value, call=number, ret=number + 0.5, key=key)
        op = Op(**{**_fields(op), "outcome": outcome})
        if outcome == "info":
            names[which] += 10
        if outcome == "ok" or (outcome == "info" and source.random() < 0.5):
            states += _step(model, states[-1], op, True)[:1]
        result.append(op)
    return result


def _fields(op: Op) -> dict[str, Any]:
    return {name: getattr(op, name) for name in Op.__slots__}


def history(ops: Sequence[Op]) -> History:
    """The history of the operations. What takes is not asked with what it took."""
    return build(ops)


def run(histories: int, first: int = 0) -> Counter[tuple[str, bool, str]]:
    """How often each was said of what. Raises where it was wrong."""
    counts: Counter[tuple[str, bool, str]] = Counter()
    models = ("cas-register", *OBJECTS)
    for seed in range(first, first + histories):
        source = random.Random(seed)
        model = "cas-register" if seed % 2 else source.choice(models)
        ops = random_ops(source, model)
        verdict = Sequential().check(history(ops), CheckContext(model=model))
        assert verdict.reason not in ("crash", "unsupported"), (seed, verdict.sentence)
        if verdict.reason == "vacuous":
            continue
        right = judge(model, ops)
        said = verdict.validity.value
        counts[model, right, said] += 1
        assert said == "unknown" or (said == "valid") == right, (
            f"seed {seed}: {model} {'is' if right else 'is not'} sequential, said: {said}\n"
            f"python -m tests.checkers.sequential_oracle --histories 1 --first {seed}"
        )
    return counts


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--histories", type=int, default=50_000)
    parser.add_argument("--first", type=int, default=0)
    arguments = parser.parse_args()
    for (name, right, said), many in sorted(run(arguments.histories, arguments.first).items()):
        print(f"{name:14} {'holds' if right else 'does not hold':14} said {said:8} {many:9,}")
