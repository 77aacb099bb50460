"""The checkers of registers against trying everything, on many small random histories.

    python -m tests.checkers.rw_register_oracle --histories 50000

The judge does what databases do: it takes transactions one after another and lets each read what is
there. For snapshot isolation a transaction starts, reads, and commits later, unless another wrote
the same key meanwhile. It shares no code with the checkers.
"""

from __future__ import annotations

import argparse
import random
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from checkers.sequential import Sequential
from checkers.transactions.rw_register import RwRegister
from harness.core.contracts import CheckContext
from harness.core.history import History
from harness.core.operation import Event

__all__ = ["MODELS", "Txn", "build", "judge", "random_history", "run"]

NOTHING: Any = None
MODELS = (
    "serializable",
    "snapshot-isolation",
    "strong-session-serializable",
    "strong-session-snapshot-isolation",
    "strong-snapshot-isolation",
    "strict-serializable",
)


@dataclass(frozen=True)
class Txn:
    """One transaction; ``steps`` are (``r`` or ``w``, key, value)."""

    process: int
    call: int
    ret: int
    outcome: str
    steps: tuple[tuple[str, str, Any], ...]


def build(rows: Sequence[Txn]) -> History:
    """The history of the transactions."""
    events = []
    for place, row in enumerate(rows):
        asked = [[f, key, None if f == "r" else value] for f, key, value in row.steps]
        told = [list(step) for step in row.steps] if row.outcome == "ok" else asked
        events.append((row.call, 0, place, "invoke", asked))
        events.append((row.ret, 1, place, row.outcome, told))
    # At one time calls come first: operations that touch are concurrent.
    events.sort(key=lambda event: event[:3])
    return History.from_events(
        Event(index=index, time=at, process=rows[place].process, type=kind, f="txn", value=value)  # type: ignore[arg-type]
        for index, (at, _, place, kind, value) in enumerate(events)
    )


def _effect(row: Txn, store: dict[str, Any]) -> dict[str, Any] | None:
    """What it writes if it reads from ``store``; None if it cannot have read that."""
    mine: dict[str, Any] = {}
    for f, key, value in row.steps:
        if f == "w":
            mine[key] = value
        elif row.outcome == "ok" and mine.get(key, store.get(key)) != value:
            return None
    return mine


def _before(rows: Sequence[Txn], order: str) -> list[int]:
    """Of each transaction, those that must be over when it starts."""
    return [
        sum(
            1 << j
            for j, b in enumerate(rows)
            if (order != "none" and b.process == a.process and b.call < a.call)
            or (order == "realtime" and b.outcome == "ok" and b.ret < a.call)
        )
        for a in rows
    ]


def judge(rows: Sequence[Txn], model: str) -> bool:
    """Whether ``model`` allows the history. Exponential."""
    rows = [row for row in rows if row.outcome != "fail"]
    order = {"strict-serializable": "realtime", "strong-snapshot-isolation": "realtime"}.get(
        model, "process" if "session" in model or model == "sequential" else "none"
    )
    before = _before(rows, order)
    needed = sum(1 << i for i, row in enumerate(rows) if row.outcome == "ok")
    snapshot = "snapshot" in model
    todo: list[tuple[int, int, tuple[tuple[str, Any], ...]]] = [(0, 0, ())]
    seen = set(todo)
    while todo:
        started, done, state = todo.pop()
        if done & needed == needed and started == done:
            return True
        for i, row in enumerate(rows):
            bit = 1 << i
            if done & bit or (not started & bit and before[i] & ~done):
                continue
            store = dict(state)
            if not started & bit:
                effect = _effect(row, store)
                if effect is None:
                    continue
                if snapshot:
                    move = (started | bit, done, state)
                else:
                    move = (started | bit, done | bit, _sorted({**store, **effect}))
            else:
                writes = {key: value for f, key, value in row.steps if f == "w"}
                open_now = [
                    other
                    for j, other in enumerate(rows)
                    if started >> j & 1 and not done >> j & 1 and j != i
                ]
                if any(
                    f == "w" and key in writes for other in open_now for f, key, _ in other.steps
                ):
                    continue
                move = (started, done | bit, _sorted({**store, **writes}))
            if move not in seen:
                seen.add(move)
                todo.append(move)
    return False


def _sorted(store: dict[str, Any]) -> tuple[tuple[str, Any], ...]:
    return tuple(sorted(store.items()))


def random_history(source: random.Random) -> list[Txn]:
    """A few transactions: of a serial execution, of one with stale reads, or of anything at all."""
    processes = source.randint(2, 4)
    keys = "xyz"[: source.randint(1, 3)]
    unique = source.random() < 0.75
    stale = source.choice([0.0, 0.2, 0.5])
    numbers = {key: iter(range(1, 100)) for key in keys}
    clock = [source.randint(0, 3) for _ in range(processes)]
    names = list(range(processes))
    planned = []
    for _ in range(source.randint(3, 7)):
        which = source.randrange(processes)
        call = clock[which]
        ret = call + source.randint(1, 6)
        clock[which] = ret + source.randint(1, 3)
        outcome = source.choices(["ok", "info", "fail"], [12, 2, 1])[0]
        planned.append((source.uniform(call, ret), names[which], call, ret, outcome))
        if outcome == "info":
            names[which] += processes
    store: dict[str, list[Any]] = {key: [None] for key in keys}
    result = []
    for _, process, call, ret, outcome in sorted(planned):
        steps: list[tuple[str, str, Any]] = []
        mine: dict[str, Any] = {}
        view = {
            key: source.choice(past) if source.random() < stale else past[-1]
            for key, past in store.items()
        }
        for _ in range(source.randint(1, 3)):
            key = source.choice(keys)
            if source.random() < 0.5:
                value = mine.get(key, view[key])
                if source.random() < 0.01:
                    value = source.choice([None, 1, 2, 3])
                steps.append(("r", key, value))
            else:
                value = next(numbers[key]) if unique else source.choice([None, 1, 1, 2, 3])
                mine[key] = value
                steps.append(("w", key, value))
        visible = outcome == "ok" or (outcome == "info" and source.random() < 0.6)
        if visible or source.random() < 0.05:
            for key, value in mine.items():
                store[key].append(value)
        result.append(Txn(process, call, ret, outcome, tuple(steps)))
    return sorted(result, key=lambda row: row.call)


def compare(seed: int) -> Iterator[tuple[str, bool, str]]:
    """Model, what is right, and what the checker says of it: ``holds``, ``out`` or ``open``."""
    rows = random_history(random.Random(seed))
    verdict = RwRegister().check(build(rows), CheckContext())
    assert verdict.reason != "crash", (seed, verdict.sentence)
    for model in MODELS if verdict.reason != "vacuous" else ():
        said = (
            "holds"
            if model in verdict.details["holds"]
            else "out"
            if model in verdict.details["ruled_out"]
            else "open"
        )
        yield model, judge(rows, model), said
    verdict = Sequential().check(build(rows), CheckContext(model="multi-register"))
    said = {"valid": "holds", "invalid": "out", "unknown": "open"}[verdict.validity.value]
    assert verdict.reason != "crash", (seed, verdict.sentence)
    if verdict.reason != "vacuous":
        yield "sequential", judge(rows, "sequential"), said


def run(histories: int, first: int = 0) -> Counter[tuple[str, bool, str]]:
    """How often each was said of what. Raises where it was wrong."""
    counts: Counter[tuple[str, bool, str]] = Counter()
    for seed in range(first, first + histories):
        for model, right, said in compare(seed):
            counts[model, right, said] += 1
            assert said == "open" or (said == "holds") == right, (
                f"seed {seed}: {model} {'holds' if right else 'does not hold'}, said: {said}\n"
                f"python -m tests.checkers.rw_register_oracle --histories 1 --first {seed}"
            )
    return counts


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--histories", type=int, default=50_000)
    parser.add_argument("--first", type=int, default=0)
    arguments = parser.parse_args()
    found = run(arguments.histories, arguments.first)
    for (name, right, said), many in sorted(found.items()):
        print(f"{name:36} {'holds' if right else 'does not hold':14} said {said:6} {many:9,}")
    sys.exit(0)
