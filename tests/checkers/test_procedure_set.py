"""The procedure for sets against a slow and obvious judge."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import pytest

from checkers.linearizable.procedures.element_set import element_set
from tests.checkers.objects import Act, Object, agree, ask, linearizable, nearly_right, simulate

UPDATES = ("add", "remove")


def do(state: frozenset[Any], f: str, argument: Any) -> tuple[frozenset[Any], Any]:
    if f == "read":
        return state, [element for _, element in state]
    one = (type(argument).__name__, argument)  # for Python, True is 1
    here = one in state
    if f == "contains":
        return state, here
    if f == "add":
        return state | {one}, not here
    return state - {one}, here


def says(act: Act, result: Any) -> bool:
    told = act.result
    if act.f == "read":
        return sorted(told or [], key=str) == sorted(result, key=str)
    echo = type(told) is type(act.argument) and told == act.argument
    if act.f in UPDATES and (told is None or echo or told == "ok"):
        return True
    return told is result


def with_elements(elements: Sequence[Any], functions: Sequence[str], answers: float) -> Object:
    """``answers``: the share of updates that say whether they changed the set."""

    def asks(source: random.Random, _state: Any) -> tuple[str, Any]:
        f = source.choice(functions)
        return f, None if f == "read" else source.choice(elements)

    def lies(source: random.Random, act: Act) -> Any:
        if act.f == "read":
            seen = list(act.result or [])
            one = source.choice([*elements, *elements, "never added"])
            if one in seen:
                seen.remove(one)
            else:
                seen.append(one)
            return source.choice([seen, seen, seen, [*seen, *seen], None])
        if act.f == "contains":
            return source.choice([act.result is False] * 8 + [None, 1])
        return source.choice([True, False, True, False, None, act.argument, "ok"])

    return Object(initial=frozenset(), do=do, says=says, asks=asks, lies=lies)


def histories(kind: Object, answers: float, most: int = 8) -> Callable[..., list[Act]]:
    def generate(source: random.Random) -> list[Act]:
        return [
            replace(act, result=source.choice([None, act.argument]))
            if act.f in UPDATES and act.outcome == "ok" and source.random() > answers
            else act
            for act in nearly_right(source, kind, most=most)
        ]

    return generate


def never(_: Sequence[Act]) -> bool:
    return False


def joined(acts: Sequence[Act]) -> bool:
    """Whether an update overlaps a read of the whole, in a set from which something is removed."""
    happened = [act for act in acts if act.outcome != "fail"]
    reads = [act for act in happened if act.f == "read" and act.certain]
    updates = [act for act in happened if act.f in UPDATES]
    return any(act.f == "remove" for act in updates) and any(
        update.call <= (read.ret or 0) and (not update.certain or (update.ret or 0) >= read.call)
        for read in reads
        for update in updates
    )


ELEMENTS = ("add", "add", "remove", "contains")
ASKING = ("add", "remove", "contains", "contains")
ALL = ("add", "add", "remove", "contains", "read", "read")
GROWING = ("add", "add", "contains", "read", "read")
CASES: dict[str, tuple[Sequence[Any], Sequence[str], float, Callable[[Sequence[Act]], bool]]] = {
    "blind updates": ((1, 2), ASKING, 0.0, never),
    "answers": ((1, 2), ELEMENTS, 1.0, never),
    "some answers": ((1,), ELEMENTS, 0.5, never),
    "growing": ((1, 2, 3, 4), GROWING, 0.2, never),
    "growing with answers": ((1, 2), GROWING, 1.0, never),
    "unique": (tuple(range(100)), ("add", "read"), 0.0, never),
    "whole reads": ((1, 2), ALL, 0.3, joined),
    "odd elements": ((True, 1, "1", 2.5), ("add", "remove", "contains"), 0.5, never),
}


@pytest.mark.parametrize("batch", range(2))
@pytest.mark.parametrize("name", CASES)
def test_agrees_with_brute_force(name: str, batch: int) -> None:
    """Every decided key has the verdict of trying all orders; undecided are only sets from which
    something was removed while all of it was read."""
    elements, functions, answers, may_be_undecided = CASES[name]
    kind = with_elements(elements, functions, answers)
    seen = agree(
        element_set,
        kind,
        histories(kind, answers),
        range(2000 * batch, 2000 * batch + 2000),
        may_be_undecided,
    )
    assert min(seen["legal"], seen["illegal"]) > 300, seen


CHAINS = replace(
    with_elements((1, 2, 3), ("add", "read", "read"), 0.0),
    lies=lambda source, act: (
        source.sample((1, 2, 3), source.randint(0, 3)) if act.f == "read" else None
    ),
)


def chains(source: random.Random) -> list[Act]:
    """Elements are added early, and often while others read: what they read is wrong in itself
    seldom, but often does not fit what others read."""
    first = []
    for one in (1, 2, 3):
        call = source.choice([0, 2, 4])
        ret = call + source.choice([0, 1, 30, 30])
        first.append(Act(f="add", argument=one, result=one, call=call, ret=ret))
    rest = nearly_right(source, CHAINS, most=6, keys=1)
    rest = [replace(act, result=act.argument) if act.f == "add" else act for act in rest]
    slow = source.choice([2, 4])
    rest = [replace(act, call=act.call // slow) for act in rest]
    acts = sorted([*first, *rest], key=lambda act: act.call)
    return [
        replace(act, result=CHAINS.lies(source, act))
        if act.f == "read" and source.random() < 0.6
        else act
        for act in acts
    ]


@pytest.mark.parametrize("batch", range(2))
def test_reads_that_contradict_each_other(batch: int) -> None:
    """Reads of the whole that are right by themselves: all ways to be wrong together occur."""
    seen = agree(element_set, CHAINS, chains, range(4000 * batch, 4000 * batch + 4000), never)
    names = ["reads that disagree on the order", "read going backwards"]
    names += ["elements in the wrong order", "lost element"]
    assert min(seen[name] for name in ["legal", *names]) > 15, seen


def test_elements_that_come_and_go_at_once() -> None:
    """One element, many operations at once: the automaton agrees with trying all orders."""
    for answers in (0.0, 0.4, 1.0):
        kind = with_elements((1,), ASKING, answers)

        def crowd(
            source: random.Random, kind: Object = kind, answers: float = answers
        ) -> list[Act]:
            acts = histories(kind, answers, most=11)(source)
            return [replace(act, key=0) for act in acts]

        seen = agree(element_set, kind, crowd, range(1500), never)
        assert min(seen["legal"], seen["illegal"]) > 200, seen


def rows(*found: tuple[str, Any, Any, int, int | None]) -> list[Act]:
    return [
        Act(f=f, argument=a, result=x, call=c, ret=r, outcome="info" if r is None else "ok")
        for f, a, x, c, r in found
    ]


SENTENCES = {
    "lost element": (
        rows(("add", 7, 7, 0, 1), ("remove", 8, 8, 0, 1), ("contains", 7, False, 2, 3))
        + rows(("remove", 7, 7, 4, 5)),
        "process 2 found 7 missing (2.000 ms to 3.000 ms), but process 0 had added it by 1.000 ms, "
        "and nobody can have removed it in between.",
    ),
    "removed element found": (
        rows(
            ("add", 7, 7, 0, 1),
            ("add", 7, 7, 0, 3),
            ("remove", 7, True, 4, 5),
            ("contains", 7, True, 6, 7),
        ),
        "process 3 found 7 in the set (6.000 ms to 7.000 ms), but process 2 had removed it by "
        "5.000 ms, and nobody can have added it in between.",
    ),
    "thin-air element": (
        rows(("contains", 7, True, 0, 1), ("add", 7, 7, 2, 3), ("remove", 7, 7, 2, 3)),
        "process 0 found 7 in the set by 1.000 ms, but nobody can have added it by then.",
    ),
    "reads that disagree on the order": (
        rows(
            ("add", 1, 1, 0, 9),
            ("add", 2, 2, 0, 9),
            ("read", None, [1], 3, 4),
            ("read", None, [2], 3, 5),
        ),
        "process 2 read 1 but not 2 (3.000 ms to 4.000 ms), and process 3 read 2 but not 1 (3.000 "
        "ms to 5.000 ms).",
    ),
    "elements in the wrong order": (
        rows(("add", 1, 1, 0, 1), ("read", None, [2], 0, 9), ("add", 2, 2, 2, 9)),
        "process 1 read 2 but not 1 (0.000 ms to 9.000 ms), although process 0 had added 1 by "
        "1.000 ms, before 2 was added by process 2 (from 2.000 ms).",
    ),
    "read going backwards": (
        rows(("add", 1, 1, 0, 9), ("read", None, [1], 1, 2), ("read", None, [], 3, 4)),
        "process 2 read the set without 1 (3.000 ms to 4.000 ms), but process 1 had read it there "
        "by 2.000 ms.",
    ),
    "element new twice": (
        rows(("add", 1, True, 0, 1), ("add", 1, True, 0, 2)),
        "process 0 (0.000 ms to 1.000 ms) and process 1 (0.000 ms to 2.000 ms) both added 1, and "
        "both were told that it was new.",
    ),
}


@pytest.mark.parametrize("name", SENTENCES)
def test_name_and_sentence(name: str) -> None:
    """Each kind of violation has its name and its plain sentence."""
    acts, sentence = SENTENCES[name]
    answer, _, _ = ask(element_set, acts)
    proof = answer.violations[0].prove()
    assert (proof.name, proof.sentence) == (name, sentence)


@pytest.mark.parametrize("clients", [10, 30])
@pytest.mark.parametrize("answers", [0.0, 1.0])
def test_a_correct_set_passes_and_one_lie_is_found(clients: int, answers: float) -> None:
    """10,000 operations on 20 elements that come and go; nothing is undecided."""
    kind = with_elements(range(20), ELEMENTS, answers)
    acts = simulate(random.Random(1), kind, operations=10_000, clients=clients)
    if not answers:
        acts = [replace(act, result=act.argument) if act.f in UPDATES else act for act in acts]
    answer, _, _ = ask(element_set, acts)
    assert not answer.violations
    assert not len(answer.undecided)
    for at in range(7000, len(acts)):
        if acts[at].f == "contains":
            told = [*acts[:at], replace(acts[at], result=not acts[at].result), *acts[at + 1 :]]
            answer, calls, _ = ask(element_set, told)
            assert not len(answer.undecided)
            if answer.violations:  # where others are at work, both answers may be right
                break
    part = [told[int(calls.row[one])] for one in sorted(answer.violations[0].prove().operations)]
    assert len(part) < 10
    assert not linearizable(kind, part)


def test_a_correct_growing_set_passes_and_one_lost_element_is_found() -> None:
    """10,000 operations with reads of the whole; nothing is undecided, even where a tenth of the
    adds is indeterminate."""
    fresh = iter(range(10**6))

    def asks(source: random.Random, _state: Any) -> tuple[str, Any]:
        return ("read", None) if source.random() < 0.004 else ("add", next(fresh))

    kind = replace(with_elements((), (), 0.0), asks=asks)
    for loose in (0.1, 0.0):
        acts = simulate(random.Random(2), kind, operations=10_000, clients=30, loose=loose)
        acts = [replace(act, result=act.argument) if act.f == "add" else act for act in acts]
        answer, _, _ = ask(element_set, acts)
        assert not answer.violations
        assert not len(answer.undecided)
    reads = [at for at, act in enumerate(acts) if act.f == "read"]
    at = reads[-1]
    acts[at] = replace(acts[at], result=acts[at].result[:50] + acts[at].result[51:])
    answer, _, _ = ask(element_set, acts)
    (violation,) = answer.violations
    assert len(violation.prove().operations) == 2


def test_time_and_names_do_not_matter() -> None:
    """Other times, processes and elements: the same verdicts."""
    names = {1: "one", 2: "two"}
    for functions in (ELEMENTS, GROWING, ALL):
        kind = with_elements((1, 2), functions, 0.5)
        for seed in range(200):
            acts = [
                replace(act, process=place)
                for place, act in enumerate(histories(kind, 0.5)(random.Random(seed)))
            ]
            shuffled = random.Random(seed).sample(range(1000), len(acts))
            moved = [
                replace(
                    act, call=3 * act.call + 7, ret=None if act.ret is None else 3 * act.ret + 7
                )
                for act in acts
            ]
            renamed = [
                replace(
                    act,
                    process=process,
                    argument=names.get(act.argument),
                    result=[names.get(one, one) for one in act.result]
                    if isinstance(act.result, list)
                    else names.get(act.result, act.result)
                    if type(act.result) is int
                    else act.result,
                )
                for act, process in zip(moved, shuffled, strict=True)
            ]
            answers = [ask(element_set, one)[0] for one in (acts, moved, renamed)]
            found = {
                (tuple(v.key for v in answer.violations), *answer.undecided) for answer in answers
            }
            assert len(found) == 1, seed


def test_what_is_no_list_and_nothing_at_all() -> None:
    """A read of something else than a list leaves a key undecided."""
    answer, _, _ = ask(element_set, rows(("add", 1, 1, 0, 1), ("read", None, "1", 2, 3)))
    assert len(answer.undecided) == 1
    assert not answer.violations
    answer, _, _ = ask(element_set, [])
    assert not answer.violations
    assert not len(answer.undecided)
