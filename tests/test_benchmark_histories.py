"""The histories that the benchmarks measure are what they claim to be.

A valid one is replayed, at any size, in the order in which its operations took effect. An illegal
one is tried in all orders at a small size. Neither asks the engine that the benchmarks measure.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from benchmarks.histories import GENERATORS, simulate
from benchmarks.schedules import NoPlace, Simulated
from checkers.linearizable.instances import freeze
from checkers.models import ILLEGAL, MODELS, UNKNOWN
from harness.core.history import NEVER, History
from harness.core.operation import Type

MODEL_OF = {
    "register": "register",
    "register-few": "register",
    "cas": "cas-register",
    "cas-observed": "cas-register",
}
LOSSY = ("register", "register-few", "cas", "cas-observed")
CASES: list[tuple[str, dict[str, Any]]] = [
    *((kind, {}) for kind in GENERATORS),
    *((kind, {"indeterminate": 0.05}) for kind in LOSSY),
    ("register", {"keys": 7}),
    ("register", {"keys": 7, "indeterminate": 0.05}),
]


def model_of(kind: str) -> Any:
    return MODELS[MODEL_OF.get(kind, kind)]


class Row:
    """One operation of a history, with its values spelled out."""

    def __init__(self, history: History, at: int) -> None:
        operations = history.operations
        self.f = history.functions[operations.f[at]]
        self.argument = freeze(history.values[operations.argument[at]])
        self.result = freeze(history.values[operations.result[at]])
        self.key = int(operations.key[at])
        self.call = int(operations.call[at])
        self.ret = int(operations.ret[at])
        self.outcome = Type(int(operations.outcome[at]))
        if self.outcome is Type.INFO:
            self.result = UNKNOWN


def replays(kind: str, made: Simulated) -> bool:
    """Whether the model allows the operations in the order in which they took effect."""
    model = model_of(kind)
    states: dict[int, Any] = {}
    for at in made.effects.tolist():
        row = Row(made.history, at)
        if row.outcome is Type.INFO and row.f in model.pure:
            continue
        state = model.step(states.get(row.key, model.initial), row.f, row.argument, row.result)
        if state is ILLEGAL:
            return False
        states[row.key] = state
    return True


def agrees_with_time(made: Simulated) -> bool:
    """Whether nothing takes effect after what was only called when it had returned."""
    operations = made.history.operations
    call, ret = operations.call[made.effects], operations.ret[made.effects]
    return bool((np.maximum.accumulate(call) <= ret).all())


def has_legal_order(kind: str, history: History) -> bool:
    """Whether any order that agrees with real time is legal. Tries them all, but none twice."""
    rows = [Row(history, at) for at in range(len(history.operations))]
    rows = [row for row in rows if row.outcome is not Type.FAIL]
    keys = {row.key for row in rows}
    return all(_one_legal(kind, [row for row in rows if row.key == key]) for key in keys)


def _one_legal(kind: str, rows: list[Row]) -> bool:
    model = model_of(kind)
    sure = sum(1 << i for i, row in enumerate(rows) if row.outcome is Type.OK)
    before = [
        sum(1 << j for j, other in enumerate(rows) if other.ret < row.call) for row in rows
    ]  # what must be done before each
    todo = [(0, model.initial)]
    seen = set(todo)
    while todo:
        done, state = todo.pop()
        if done & sure == sure:
            return True
        for i, row in enumerate(rows):
            if done >> i & 1 or before[i] & ~done & sure:
                continue
            if row.outcome is Type.INFO and row.f in model.pure:
                continue
            after = model.step(state, row.f, row.argument, row.result)
            following = (done | 1 << i, after)
            if after is not ILLEGAL and following not in seen:
                seen.add(following)
                todo.append(following)
    return False


@pytest.mark.parametrize(("kind", "options"), CASES)
@pytest.mark.parametrize("seed", [1, 2])
def test_a_valid_history_is_legal_in_the_order_of_its_effects(
    kind: str, options: dict[str, Any], seed: int
) -> None:
    """Each operation takes effect between its call and its return, as the model allows."""
    made = simulate(kind, operations=3_000, clients=8, seed=seed, **options)
    assert made.wrong == ()
    operations = made.history.operations
    assert len(operations) == 3_000
    assert agrees_with_time(made)
    certain = np.flatnonzero(operations.outcome == Type.OK)
    assert set(certain.tolist()) <= set(made.effects.tolist()), "one that happened had no effect"
    assert replays(kind, made)


def small(kind: str, options: dict[str, Any], count: int) -> list[tuple[Simulated, Simulated]]:
    """``count`` pairs, valid and illegal, of the first seeds that have place for a wrong result."""
    pairs = []
    for seed in range(200):
        operations = 40 if kind == "queue" else 60  # a queue has most states
        shape = {"operations": operations, "clients": 3, "seed": seed, **options}
        try:
            pairs.append((simulate(kind, **shape), simulate(kind, **shape, illegal=True)))
        except NoPlace:
            continue
        if len(pairs) == count:
            return pairs
    raise AssertionError(f"only {len(pairs)} small illegal histories of {kind}")


@pytest.mark.parametrize(("kind", "options"), CASES)
def test_small_histories_are_judged_as_they_claim(kind: str, options: dict[str, Any]) -> None:
    """All orders are tried: of the valid one some is legal, of the illegal one none."""
    for valid, illegal in small(kind, options, 8):
        assert has_legal_order(kind, valid.history)
        assert not has_legal_order(kind, illegal.history)


@pytest.mark.parametrize(("kind", "options"), CASES)
def test_an_illegal_history_differs_only_in_its_wrong_results(
    kind: str, options: dict[str, Any]
) -> None:
    """One wrong result (two, exchanged, of a buffer), at 90 % of the history."""
    shape = {"operations": 3_000, "clients": 8, "seed": 3, **options}
    valid, illegal = (simulate(kind, **shape, illegal=wrong) for wrong in (False, True))
    one, other = valid.history.operations, illegal.history.operations
    differs = [
        at for at in range(3_000) if vars(Row(valid.history, at)) != vars(Row(illegal.history, at))
    ]
    assert tuple(differs) == tuple(sorted(illegal.wrong))
    buffer = kind in ("queue", "stack", "priority-queue")
    assert len(illegal.wrong) == (2 if buffer else 1)
    assert min(illegal.wrong) > 2_600
    assert (one.call == other.call).all()
    assert not (replays(kind, illegal) and agrees_with_time(illegal))


@pytest.mark.parametrize("kind", GENERATORS)
def test_the_columns_are_those_of_a_history_made_of_events(kind: str) -> None:
    """Made without events, and yet well-formed: its events make the same history again."""
    options = {"indeterminate": 0.1} if kind in LOSSY else {}
    made = simulate(kind, operations=500, clients=6, seed=5, **options).history
    again = History.from_events(made.events())
    assert list(again.events()) == list(made.events())
    assert (again.operations.ret == made.operations.ret).all()


@pytest.mark.parametrize("kind", GENERATORS)
def test_the_same_seed_makes_the_same_history(kind: str) -> None:
    """And another seed another one."""

    def events(seed: int) -> list[Any]:
        made = simulate(kind, operations=400, clients=4, seed=seed, illegal=True)
        return list(made.history.events())

    assert events(1) == events(1)
    assert events(1) != events(2)


@pytest.mark.parametrize("kind", GENERATORS)
@pytest.mark.parametrize("clients", [5, 50])
def test_clients_are_always_busy(kind: str, clients: int) -> None:
    """About as many operations are open as there are clients."""
    history = simulate(kind, operations=10_000, clients=clients, seed=1).history
    open_now = np.cumsum(np.where(history.type == Type.INVOKE, 1, -1))
    middle = open_now[len(open_now) // 10 : -len(open_now) // 10]
    assert middle.max() <= clients
    assert middle.mean() > 0.85 * clients


def test_the_share_of_indeterminate_operations_is_that_asked_for() -> None:
    """Half of them took effect, and their processes are retired."""
    made = simulate("register", operations=20_000, clients=10, seed=1, indeterminate=0.05)
    operations = made.history.operations
    lost = operations.outcome == Type.INFO
    assert 0.04 < lost.mean() < 0.06
    assert (operations.ret[lost] == NEVER).all()
    effective = np.isin(np.flatnonzero(lost), made.effects)
    assert 0.4 < effective.mean() < 0.6
    assert len(np.unique(operations.process)) == 10 + int(lost.sum())


def test_a_history_too_small_to_be_certainly_illegal_is_refused() -> None:
    """Better no history than one that may be legal."""
    with pytest.raises(NoPlace):
        simulate("register", operations=5, clients=5, seed=1, illegal=True)
