"""Registers as the search takes them: shorter, but with the same verdict."""

from __future__ import annotations

import random

import numpy as np
import pytest

from checkers.linearizable.budget import Budget, Limits
from checkers.linearizable.instances import Instance
from checkers.linearizable.register_instances import instance
from checkers.linearizable.registers import Registers, encode
from checkers.linearizable.search import twin
from checkers.models import ILLEGAL, Register
from harness.core.history import NEVER
from tests.checkers.builders import build, history, random_ops
from tests.checkers.test_linearizable_oracle import arbitrary, nearly_right

MODEL = Register(functions=frozenset({"read", "write", "cas"}))


def made(*lines: str) -> Instance:
    return instance(encode(history(*lines), MODEL))


def test_the_rules_say_what_the_model_does() -> None:
    """The compiled search follows the rules; the twin asks the model."""
    compared = 0
    for seed in range(200):
        source = random.Random(seed)
        ops = random_ops(
            source, functions=("read", "write", "cas"), operations=9, values=4, ticks=6
        )
        registers = encode(build(ops), MODEL)
        if not len(registers):
            continue
        one = instance(registers)
        assert one.rules is not None
        kinds = dict(enumerate(("read", "write", "cas", "mismatch")))
        for rule, kind in zip(one.rules.tolist(), one.classes, strict=True):
            assert kinds[rule[0]] == kind[0]
            for state in range(int(one.rules.max()) + 1):
                after = one.model.step(state, *kind)
                said = {
                    "read": state if state == rule[1] else ILLEGAL,
                    "write": rule[2],
                    "cas": rule[2] if state == rule[1] else ILLEGAL,
                    "mismatch": state if state != rule[1] else ILLEGAL,
                }[str(kind[0])]
                assert after == said, (seed, kind, state)
                compared += 1
    assert compared > 1_000


def test_values_that_nobody_saw_are_one_value() -> None:
    """Two writes that nobody saw are of one class; one that somebody missed is not."""
    one = made("0 w 1 0-1", "0 w 2 2-3", "1 w 3 4-5", "1 r 3 6-7")
    assert [int(kind) for kind in one.kind[:2]] == [int(one.kind[0])] * 2
    assert int(one.kind[2]) != int(one.kind[0])


def test_what_was_seen_has_happened() -> None:
    """An indeterminate write whose value was read is certain from then on, and so is the
    compare-and-set whose result it replaced; one that nobody saw, or of a value with another
    source, is not."""
    seen = made("0 w 1 0-1?", "1 r 1 2-3", "2 r 1 4-5")
    assert seen.ret[0] == seen.ret[1]
    chained = made("0 w 1 0-1?", "1 c 1:2 1-2?", "2 r 2 4-5")
    assert chained.ret[0] == chained.ret[1] == chained.ret[2] < NEVER
    twice = made("0 w 1 0-1?", "3 w 1 0-9", "1 r 1 2-3")
    assert twice.ret[0] == NEVER
    initial = made("0 w - 0-1?", "1 r - 2-3", "2 w 5 3-4")
    assert initial.ret[0] == NEVER
    early = made("1 r 1 2-3", "0 w 1 4-5?", "2 w 7 5-6")
    assert early.ret[1] == NEVER  # the read is illegal, whatever the write does


@pytest.mark.parametrize("batch", range(2))
def test_no_verdict_changes(batch: int) -> None:
    """The twin says the same of the registers with all their values and open ends."""
    budget = Budget(steps_left=1 << 40, limits=Limits(deadline_s=1.0, clock=lambda: 0.0))
    seen = {True: 0, False: 0}
    for seed in range(batch * 1_000, batch * 1_000 + 1_000):
        draw = nearly_right if seed % 2 else arbitrary
        registers = encode(build(draw(random.Random(seed))), MODEL)
        if not len(registers):
            continue
        outcome = twin(instance(registers), budget)
        assert outcome.legal == twin(plainly(registers), budget).legal, seed
        assert outcome.legal is not None
        seen[outcome.legal] += 1
    assert min(seen.values()) > 100


def plainly(registers: Registers) -> Instance:
    """The same without what makes it shorter."""
    names = ("read", "write", "cas", "mismatch")
    rows = zip(
        *(
            column.tolist()
            for column in (registers.kind, registers.before, registers.after, registers.absent)
        ),
        strict=True,
    )
    kinds = [
        (
            names[kind],
            {0: None, 1: after, 2: (before, after), 3: absent}[kind],
            before if kind == 0 else None,
        )
        for kind, before, after, absent in rows
    ]
    classes = tuple(dict.fromkeys(kinds))
    return Instance(
        model=instance(registers).model,
        initial=0,
        call=registers.call,
        ret=np.where(registers.ret == registers.horizon, NEVER, registers.ret),
        kind=np.array([classes.index(kind) for kind in kinds], dtype=np.int64),
        classes=classes,
    )
