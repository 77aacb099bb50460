"""The procedure for logs against a slow and obvious judge."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from checkers.linearizable.procedures.log import log
from tests.checkers.objects import Act, Object, agree, ask, linearizable, nearly_right, simulate


def do(state: tuple[Any, ...], f: str, argument: Any) -> tuple[tuple[Any, ...], Any]:
    if f == "append":
        return (*state, argument), [len(state), argument]
    if argument is None:
        return state, list(state)
    return state, state[argument] if 0 <= argument < len(state) else None


def says(act: Act, result: Any) -> bool:
    if act.f == "append":
        pair = isinstance(act.result, list) and len(act.result) == 2
        return bool(not pair or act.result == result)
    if act.argument is None:
        return bool((act.result or []) == result)
    return type(act.result) is type(result) and bool(act.result == result)


def lies(source: random.Random, act: Act) -> Any:
    if act.f == "append":
        offset = source.randint(0, 4)
        return source.choice([[offset, act.argument]] * 5 + [[offset, "x"], None, act.argument])
    if act.argument is None:
        seen = list(act.result or [])
        draw = source.random()
        if draw < 0.3:
            return seen[:-1]
        if draw < 0.5:
            return seen[1:]
        source.shuffle(seen)
        return seen if draw < 0.8 else [*seen, few_names(source)]
    return source.choice([None, None, act.result, few_names(source), few_names(source)])


def few_names(source: random.Random) -> str:
    return f"a{source.randint(0, 3)}{source.choice('xyz')}"


def logging(*, values: Any, reads: Sequence[Any]) -> Object:
    def asks(source: random.Random, state: Any) -> tuple[str, Any]:
        if source.random() < 0.5:
            return "append", values(source, state)
        return "read", source.choice(reads)

    return Object(initial=(), do=do, says=says, asks=asks, lies=lies)


def unique(source: random.Random, state: Any) -> str:
    return f"a{len(state)}{source.choice('xyz')}"


def few(source: random.Random, _state: Any) -> Any:
    return source.choice(["a0", "a1", None])


def repeated(acts: Sequence[Act]) -> bool:
    values = [act.argument for act in acts if act.f == "append" and act.outcome != "fail"]
    return len(set(values)) < len(values) or None in values


def telling(source: random.Random, kind: Object, answers: float) -> list[Act]:
    return [
        replace(act, result=source.choice([None, act.argument]))
        if act.f == "append" and act.outcome == "ok" and source.random() > answers
        else act
        for act in nearly_right(source, kind, most=9)
    ]


CASES = {
    "answers": (logging(values=unique, reads=(None, 0, 1)), 1.0),
    "whole reads": (logging(values=unique, reads=(None,)), 0.0),
    "offsets": (logging(values=unique, reads=(0, 0, 1, 2, 3, -1)), 0.2),
    "both": (logging(values=unique, reads=(None, 0, 1, 2)), 0.5),
    "repeated": (logging(values=few, reads=(None, 0, 1)), 0.5),
}


@pytest.mark.parametrize("batch", range(3))
@pytest.mark.parametrize("name", CASES)
def test_agrees_with_brute_force(name: str, batch: int) -> None:
    """Every decided key has the verdict of trying all orders; distinct values are all decided."""
    kind, answers = CASES[name]
    seen = agree(
        log,
        kind,
        lambda source: telling(source, kind, answers),
        range(2000 * batch, 2000 * batch + 2000),
        repeated,
    )
    assert min(seen["legal"], seen["illegal"]) > 200, seen


def rows(*found: tuple[str, Any, Any, int, int | None]) -> list[Act]:
    return [
        Act(f=f, argument=a, result=x, call=c, ret=r, outcome="info" if r is None else "ok")
        for f, a, x, c, r in found
    ]


SENTENCES = {
    "lost append": (
        rows(("append", "a", "a", 0, 1), ("read", None, [], 2, 3)),
        'process 0 appended "a" (0.000 ms to 1.000 ms), and process 1 read 0 entries (2.000 ms to '
        '3.000 ms), but "a" was not among them.',
    ),
    "entries in the wrong order": (
        rows(("append", "a", [1, "a"], 0, 1), ("append", "b", [0, "b"], 2, 3)),
        'process 1 appended "b" (2.000 ms to 3.000 ms), which answered [0,"b"], so entry 0 did not '
        'come before 2.000 ms; but process 0 appended "a" (0.000 ms to 1.000 ms), which answered '
        '[1,"a"], so entry 1 came by 1.000 ms.',
    ),
    "entries in conflict": (
        rows(("append", "a", [0, "a"], 0, 1), ("append", "b", [0, "b"], 2, 3)),
        'process 0 appended "a" (0.000 ms to 1.000 ms), which answered [0,"a"], and process 1 '
        'appended "b" (2.000 ms to 3.000 ms), which answered [0,"b"]: "a" and "b" both lay at '
        "offset 0.",
    ),
    "missing entry": (
        rows(("append", "a", [1, "a"], 0, 1), ("append", "b", "b", 2, 3)),
        'process 0 appended "a" (0.000 ms to 1.000 ms), which answered [1,"a"], so entry 1 came by '
        "1.000 ms; but nobody can have appended entry 0 by then.",
    ),
    "thin-air entry": (
        rows(("read", 0, "a", 0, 1), ("append", "b", "b", 0, 1)),
        'process 0 read "a" by 1.000 ms, which nobody appended.',
    ),
}


@pytest.mark.parametrize("name", SENTENCES)
def test_name_and_sentence(name: str) -> None:
    """Each kind of violation has its name and its plain sentence."""
    acts, sentence = SENTENCES[name]
    answer, _, _ = ask(log, acts)
    proof = answer.violations[0].prove()
    assert (proof.name, proof.sentence) == (name, sentence)


@pytest.mark.parametrize("answers", [0.0, 1.0])
@pytest.mark.parametrize("loose", [0.0, 0.05])
def test_a_correct_log_passes_and_one_lie_is_found(answers: float, loose: float) -> None:
    """10,000 operations of 30 clients; nothing is undecided."""
    fresh = iter(range(10**6))

    def asks(source: random.Random, state: Any) -> tuple[str, Any]:
        if source.random() < 0.5:
            return "append", next(fresh)
        return "read", source.randrange(len(state) + 2) if source.random() < 0.99 else None

    state: list[Any] = []

    def quick(_state: Any, f: str, argument: Any) -> tuple[Any, Any]:
        if f == "append":
            state.append(argument)
            return state, [len(state) - 1, argument]
        if argument is None:
            return state, list(state)
        return state, state[argument] if argument < len(state) else None

    kind = Object(initial=(), do=quick, says=says, asks=asks, lies=lies)
    acts = simulate(random.Random(1), kind, operations=10_000, clients=30, loose=loose)
    if not answers:
        acts = [replace(act, result=act.argument) if act.f == "append" else act for act in acts]
    answer, _, _ = ask(log, acts)
    assert not answer.violations
    assert not len(answer.undecided)
    at = next(
        at
        for at, act in enumerate(acts)
        if at > 7000
        and act.f == "read"
        and act.outcome == "ok"
        and type(act.argument) is int
        and act.result is not None
    )
    acts[at] = replace(acts[at], result=None)
    answer, calls, _ = ask(log, acts)
    (violation,) = answer.violations
    part = [acts[int(calls.row[one])] for one in sorted(violation.prove().operations)]
    assert len(part) < 8
    assert not linearizable(CASES["both"][0], part)


def test_time_and_names_do_not_matter() -> None:
    """Other times, processes and values: the same verdicts."""

    def named(value: Any) -> Any:
        if isinstance(value, list):
            return [named(one) for one in value]
        return f"the {value}" if isinstance(value, str) else value

    kind, _ = CASES["both"]
    for seed in range(300):
        acts = [
            replace(act, process=place)
            for place, act in enumerate(telling(random.Random(seed), kind, 0.5))
        ]
        names = random.Random(seed).sample(range(1000), len(acts))
        moved = [
            replace(act, call=3 * act.call + 7, ret=None if act.ret is None else 3 * act.ret + 7)
            for act in acts
        ]
        renamed = [
            replace(act, process=name, argument=named(act.argument), result=named(act.result))
            for act, name in zip(moved, names, strict=True)
        ]
        answers = [ask(log, one)[0] for one in (acts, moved, renamed)]
        found = {(tuple(v.key for v in one.violations), *one.undecided) for one in answers}
        assert len(found) == 1, seed


def test_odd_reads_and_nothing_at_all() -> None:
    """Reads of something else than an offset, or that returned no list, leave a key undecided."""
    for argument, result in (("1", None), (1.5, None), (True, None), (None, "a"), (None, 0)):
        acts = rows(("append", "a", "a", 0, 1), ("read", argument, result, 2, 3))
        answer, _, _ = ask(log, acts)
        assert len(answer.undecided) == 1, argument
        assert not answer.violations
    answer, _, _ = ask(log, [])
    assert not answer.violations
    assert not len(answer.undecided)
