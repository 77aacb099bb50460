"""The procedure for counters against a slow and obvious judge."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import pytest

from checkers.linearizable.procedures.counter import counter
from tests.checkers.objects import Act, Object, agree, ask, nearly_right, simulate

decide = partial(counter, initial=0)


def do(state: int, f: str, argument: Any) -> tuple[int, Any]:
    if f == "read":
        return state, state
    return state + (1 if argument is None else argument), None


def says(act: Act, result: Any) -> bool:
    return act.f == "add" or (type(act.result) is int and act.result == result)


def lies(source: random.Random, act: Act) -> Any:
    if act.f == "add":
        return source.choice([None, act.argument])
    wrong = (act.result if type(act.result) is int else 0) + source.choice(
        [-3, -2, -1, -1, -1, 1, 2]
    )
    return source.choice([wrong, wrong, wrong, wrong, None, "1", True, 2.0])


def counting(*amounts: Any) -> Object:
    def asks(source: random.Random, _state: int) -> tuple[str, Any]:
        return ("read", None) if source.random() < 0.5 else ("add", source.choice(amounts))

    return Object(initial=0, do=do, says=says, asks=asks, lies=lies)


UNIT = counting(None, 1)
KINDS = {
    "unit": UNIT,
    "threes": counting(3),
    "down": counting(-2),
    "zeros": counting(0, 2),
    "positive": counting(1, 2, 5),
    "mixed": counting(2, -1, 0),
}


def mixed(acts: Sequence[Act]) -> bool:
    adds = [act.argument for act in acts if act.f == "add" and act.outcome != "fail"]
    return len({1 if amount is None else amount for amount in adds} - {0}) > 1


@pytest.mark.parametrize("batch", range(2))
@pytest.mark.parametrize("name", KINDS)
def test_agrees_with_brute_force(name: str, batch: int) -> None:
    """Every decided key has the verdict of trying all orders; with one amount, all are decided."""
    kind = KINDS[name]
    seen = agree(
        decide,
        kind,
        lambda source: nearly_right(source, kind),
        range(2000 * batch, 2000 * batch + 2000),
        mixed,
    )
    assert min(seen["legal"], seen["illegal"]) > 300, seen
    if name in ("unit", "threes"):
        assert min(seen["lost add"], seen["read going backwards"], seen["thin-air read"]) > 15, seen


def test_a_late_read_needs_the_earlier_one() -> None:
    """Bounds alone do not see it: two adds lie between reads that differ by one."""
    acts = [
        Act(f="add", argument=1, result=None, call=0, ret=20),
        Act(f="add", argument=1, result=None, call=0, ret=20),
        Act(f="read", argument=None, result=1, call=1, ret=2),
        Act(f="add", argument=1, result=None, call=3, ret=4),
        Act(f="add", argument=1, result=None, call=5, ret=6),
        Act(f="read", argument=None, result=2, call=8, ret=9),
    ]
    answer, _, _ = ask(decide, acts)
    (violation,) = answer.violations
    proof = violation.prove()
    assert proof.name == "lost add"
    assert proof.operations == (2, 3, 4, 5)
    assert proof.sentence == (
        "process 5 read 2 (8.000 ms to 9.000 ms), but process 2 had read 1 by 2.000 ms, and 2 adds "
        "ended in between, which leaves at least 3."
    )
    fine, _, _ = ask(decide, [*acts[:-1], replace(acts[-1], result=3)])
    assert not fine.violations
    assert not len(fine.undecided)


CASES: dict[str, tuple[list[tuple[str, Any, Any, int, int]], str]] = {
    "thin-air read": (
        [("add", 1, None, 0, 1), ("read", None, 2, 2, 3)],
        "process 1 read 2 by 3.000 ms, but all adds called by then leave at most 1.",
    ),
    "read going backwards": (
        [("add", 1, None, 0, 9), ("read", None, 1, 1, 2), ("read", None, 0, 3, 4)],
        "process 2 read 0 (3.000 ms to 4.000 ms), but process 1 had read 1 by 2.000 ms.",
    ),
    "lost add": (
        [("add", None, None, 0, 1), ("read", None, 0, 3, 4)],
        "process 1 read 0 (3.000 ms to 4.000 ms), but one add ended before, which leaves at least "
        "1.",
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_name_and_sentence(name: str) -> None:
    """Each kind of violation has its name and its plain sentence."""
    rows, sentence = CASES[name]
    acts = [Act(f=f, argument=a, result=r, call=c, ret=e) for f, a, r, c, e in rows]
    answer, _, _ = ask(decide, acts)
    proof = answer.violations[0].prove()
    assert (proof.name, proof.sentence) == (name, sentence)


def test_a_correct_counter_passes_and_one_lost_add_is_found() -> None:
    """10,000 operations of 30 clients; nothing is undecided."""
    acts = simulate(random.Random(1), UNIT, operations=10_000, clients=30, keys=2)
    answer, _, _ = ask(decide, acts)
    assert not answer.violations
    assert not len(answer.undecided)
    later = [place for place, act in enumerate(acts) if act.f == "read" and place > 7000]
    wrong = acts[later[0]]
    acts[later[0]] = replace(wrong, result=wrong.result - 40)
    answer, _, _ = ask(decide, acts)
    (violation,) = answer.violations
    assert len(violation.prove().operations) <= 3
    assert not len(answer.undecided)


def test_indeterminate_adds_leave_nothing_undecided() -> None:
    """What may have happened is counted, or not, as the reads need it."""
    for seed in range(5):
        acts = simulate(random.Random(seed), UNIT, operations=2_000, clients=10, loose=0.05)
        answer, _, _ = ask(decide, acts)
        assert not answer.violations
        assert not len(answer.undecided)


def test_time_and_names_do_not_matter() -> None:
    """Other times and other processes: the same verdicts."""
    for seed in range(300):
        acts = nearly_right(random.Random(seed), UNIT)
        names = random.Random(seed).sample(range(1000), len(acts))
        moved = [
            replace(act, call=3 * act.call + 7, ret=None if act.ret is None else 3 * act.ret + 7)
            for act in acts
        ]
        renamed = [replace(act, process=name) for act, name in zip(moved, names, strict=True)]
        answers = [ask(decide, one)[0] for one in (acts, moved, renamed)]
        assert len({tuple(v.key for v in answer.violations) for answer in answers}) == 1, seed


def test_other_beginnings_and_odd_amounts() -> None:
    """A counter may begin elsewhere; amounts that are no whole numbers leave it undecided."""
    read = Act(f="read", argument=None, result=7, call=0, ret=1)
    assert not ask(partial(counter, initial=7), [read])[0].violations
    assert ask(decide, [read])[0].violations
    for amount in (1.5, True, "1", 1 << 40):
        add = Act(f="add", argument=amount, result=None, call=0, ret=1)
        answer, _, _ = ask(decide, [add, read])
        assert len(answer.undecided) == 1
        assert not answer.violations


def test_nothing_at_all() -> None:
    """A history without operations has no violation."""
    answer, _, _ = ask(decide, [])
    assert not answer.violations
    assert not len(answer.undecided)
