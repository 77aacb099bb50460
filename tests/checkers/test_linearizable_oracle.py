"""The engine against a slow and obvious judge, and against itself on changed histories."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from checkers.linearizable import Linearizable
from checkers.linearizable.budget import Budget, Limits
from checkers.linearizable.register_instances import instance
from checkers.linearizable.registers import encode
from checkers.linearizable.search import search
from checkers.linearizable.witness import Judge
from checkers.linearizable.zones import structure, violations
from checkers.models import Register
from harness.core.contracts import CheckContext
from harness.core.history import History
from harness.core.verdict import Validity, Verdict
from tests.checkers.builders import Op, build, random_ops, simulate
from tests.checkers.oracle import linearizable

FUNCTIONS = (
    ("read", "write"),
    ("read", "read", "write"),
    ("read", "write", "cas"),
    ("read", "cas"),
)
MODEL = Register(functions=frozenset({"read", "write", "cas"}))


def budget(steps: int = 1_000_000) -> Budget:
    return Budget(steps_left=steps, limits=Limits(deadline_s=1.0, clock=lambda: 0.0))


def check(history: History) -> Verdict:
    return Linearizable().check(history, CheckContext(model="cas-register"))


def arbitrary(source: random.Random) -> list[Op]:
    return random_ops(
        source,
        functions=source.choice(FUNCTIONS),
        operations=source.randint(1, 7),
        values=source.choice([2, 3, 6, 20]),
        ticks=source.choice([3, 6, 12]),
    )


def nearly_right(source: random.Random) -> list[Op]:
    """A correct history, spoiled in up to two places: these come close to the border."""
    ops = simulate(
        source,
        operations=source.randint(3, 9),
        clients=source.randint(2, 4),
        values=source.choice([None, None, 2, 4]),
        cas=source.choice([0, 0.3, 0.6]),
        info=source.choice([0, 0.2]),
    )
    last = max(op.call for op in ops)
    for _ in range(source.randint(0, 2)):
        place, donor = source.randrange(len(ops)), source.choice(ops)
        op = ops[place]
        if op.f == "read":
            value = donor.value[1] if donor.f == "cas" else donor.value
            ops[place] = replace(op, value=value)
        elif op.call == last or all(o.process != op.process or o.call <= op.call for o in ops):
            assert op.ret is not None
            ops[place] = replace(op, ret=op.ret + source.choice([0.5, 2.0, 9.0]))
        elif op.ret is not None:
            ops[place] = replace(op, ret=op.call + (op.ret - op.call) * source.random())
    return ops


def witness_ops(ops: Sequence[Op], history: History, indices: tuple[int, ...]) -> list[Op]:
    """The operations that a witness names."""
    invoked = history.index[history.operations.invocation].tolist()
    ordered = zip(invoked, sorted(ops, key=lambda op: op.call), strict=True)
    return [op for index, op in ordered if index in indices]


@pytest.mark.parametrize("generator", [arbitrary, nearly_right])
@pytest.mark.parametrize("batch", range(4))
def test_agrees_with_brute_force(generator: Any, batch: int) -> None:
    """The verdict is that of the brute force, and each witness is illegal by itself."""
    seen: Counter[str] = Counter()
    for seed in range(batch * 1500, batch * 1500 + 1500):
        ops = generator(random.Random(seed))
        history = build(ops)
        verdict, truth = check(history), linearizable(ops)
        assert verdict.reason in (None, "vacuous"), (seed, verdict)
        assert (verdict.validity is Validity.INVALID) == (not truth), (seed, verdict, ops)
        for anomaly in verdict.anomalies:
            part = witness_ops(ops, history, anomaly.operations)
            assert not linearizable(part), (seed, verdict)
        seen[verdict.validity.value] += 1
    assert min(seen["valid"], seen["invalid"]) > 50, seen


@pytest.mark.parametrize("generator", [arbitrary, nearly_right])
def test_both_procedures_agree(generator: Any) -> None:
    """Zones and search give the same answer wherever both apply."""
    compared = 0
    for seed in range(1500):
        registers = encode(build(generator(random.Random(seed))), MODEL)
        if not len(registers) or len(registers.ambiguous()):
            continue
        compared += 1
        by_zones = not violations(structure(registers))
        outcome = search(instance(registers), budget())
        assert outcome.legal == by_zones, seed
    assert compared > 150


@pytest.mark.parametrize("generator", [arbitrary, nearly_right])
def test_an_illegal_part_proves_the_whole_illegal(generator: Any) -> None:
    """The lenient judgement of parts is sound and monotone, on parts of every kind."""
    proven = 0
    for seed in range(1500):
        source = random.Random(seed)
        ops = generator(source)
        registers = encode(build(ops), MODEL)
        judge, everything = Judge(registers, budget()), range(len(registers))
        truth = linearizable(ops)
        assert judge.illegal(everything) == (not truth), seed
        part = [i for i in everything if source.random() < 0.6]
        if judge.illegal(part):
            proven += 1
            assert not truth, seed
            assert judge.illegal(i for i in everything if i in part or source.random() < 0.5), seed
    assert proven > 25


@pytest.mark.parametrize("values", [None, 40])
def test_witness_is_minimal(values: int | None) -> None:
    """Nothing can be spared from a witness, except the writes that make it understood."""
    found = 0
    for seed in range(40):
        source = random.Random(seed)
        ops = simulate(source, operations=120, clients=4, values=values, cas=0.2, stale=1)
        history = build(ops)
        verdict = check(history)
        registers = encode(history, MODEL)
        indices = history.index[history.operations.invocation[registers.row]]
        judge = Judge(registers, budget())
        if verdict.validity is Validity.VALID:
            assert values is not None, seed  # a repeated value may have come again just then
            continue
        found += 1
        (anomaly,) = verdict.anomalies
        part = np.flatnonzero(np.isin(indices, anomaly.operations)).tolist()
        assert judge.illegal(part), seed
        observed = {int(registers.before[i]) for i in part}
        for spared in part:
            if int(registers.after[spared]) not in observed:
                assert not judge.illegal(i for i in part if i != spared), (seed, verdict)
    assert found > 20


def test_metamorphic() -> None:
    """Other names of processes and keys, other times, other values: the same verdict."""
    for seed in range(100):
        source = random.Random(seed)
        ops = simulate(
            source,
            operations=60,
            clients=4,
            keys=3,
            values=source.choice([None, 12]),
            cas=0.2,
            info=0.05,
        )
        spoiled = source.randrange(len(ops))
        if ops[spoiled].f == "read":
            ops[spoiled] = replace(ops[spoiled], value=source.choice([None, 3, 5]))
        plain = check(build(ops))
        names = source.sample(range(1000), 200)
        variants = {
            "processes": build([replace(op, process=names[op.process]) for op in ops]),
            "keys": build([replace(op, key=f"k{9 - op.key}") for op in ops]),
            "shift": build(ops, shift_ns=10**15),
            "stretch": build(ops, scale_ns=7_000_003),
            "values": build([replace(op, value=_renamed(op.value)) for op in ops]),
        }
        for name, history in variants.items():
            assert check(history).validity is plain.validity, (seed, name)


def _renamed(value: Any) -> Any:
    if isinstance(value, list):
        return [_renamed(item) for item in value]
    return None if value is None else f"v{value}"


@pytest.mark.parametrize("values", [None, 60])
@pytest.mark.parametrize("seed", range(5))
def test_canary(seed: int, values: int | None) -> None:
    """One planted stale read among a thousand operations is found; without it all is well."""
    options: dict[str, Any] = {"operations": 1000, "clients": 5, "values": values, "cas": 0.1}
    good = build(simulate(random.Random(seed), **options))
    bad = build(simulate(random.Random(seed), **options, stale=1))
    assert check(good).validity is Validity.VALID, seed
    assert check(bad).validity is Validity.INVALID, seed
    assert len(check(bad).anomalies[0].operations) <= 40


def test_verdict_is_reproducible() -> None:
    """One history, one verdict, to the byte."""
    for values in (None, 20):
        ops = simulate(random.Random(8), operations=500, keys=2, values=values, stale=2)
        assert check(build(ops)).to_json() == check(build(ops)).to_json()
