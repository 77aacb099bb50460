"""The procedures for mutexes, semaphores and reentrant mutexes against a slow and obvious judge."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import pytest

from checkers.linearizable.calls import Procedure
from checkers.linearizable.procedures.lock import lock
from checkers.linearizable.procedures.reentrant_mutex import reentrant_mutex
from tests.checkers.objects import (
    REFUSED,
    Act,
    Object,
    agree,
    ask,
    linearizable,
    nearly_right,
    simulate,
)


def semaphore(permits: int, *weights: Any, held: int = 0, refused: float = 0.1) -> Object:
    def do(state: int, f: str, argument: Any) -> Any:
        number = 1 if argument is None else argument
        taken = state + number if f == "acquire" else state - number
        return (taken, None) if 0 <= taken <= permits else REFUSED

    def asks(source: random.Random, state: int) -> tuple[str, Any]:
        weight = source.choice(weights)
        for f in source.sample(["acquire", "release"], 2):
            if do(state, f, weight) is not REFUSED and source.random() > refused:
                return f, weight
        return source.choice(["acquire", "release"]), weight

    return Object(
        initial=held, do=do, says=lambda *_: True, asks=asks, lies=lambda _, act: act.result
    )


MUTEX = semaphore(1, None)
LOCKS: dict[str, tuple[Object, Procedure]] = {
    "mutex": (MUTEX, partial(lock, held=0, permits=1, weighted=False)),
    "held mutex": (
        semaphore(1, None, held=1),
        partial(lock, held=1, permits=1, weighted=False),
    ),
    "semaphore": (semaphore(2, None, 1), partial(lock, held=0, permits=2, weighted=True)),
    "semaphore of 3": (
        semaphore(3, 1, held=2),
        partial(lock, held=2, permits=3, weighted=True),
    ),
    "pairs": (semaphore(5, 2, held=3), partial(lock, held=3, permits=5, weighted=True)),
    "too much": (semaphore(1, 2, 0), partial(lock, held=0, permits=1, weighted=True)),
    "several": (semaphore(3, 1, 2), partial(lock, held=0, permits=3, weighted=True)),
}


def several(acts: Sequence[Act]) -> bool:
    happened = [act for act in acts if act.outcome != "fail"]
    return len({1 if act.argument is None else act.argument for act in happened} - {0}) > 1


def locking(source: random.Random, kind: Object) -> list[Act]:
    """Locks answer nothing that could be wrong, so some come once more, or not."""
    acts = nearly_right(source, kind, most=10)
    if source.random() < 0.3 and len(acts) > 1:
        acts.pop(source.randrange(len(acts)))
    if source.random() < 0.6:
        place = source.randrange(len(acts))
        other = "release" if acts[place].f == "acquire" else "acquire"
        acts[place] = replace(acts[place], f=other)
    if source.random() < 0.3:
        again = source.choice(acts)
        acts.append(replace(again, call=again.call + source.randint(0, 2), ret=again.call + 3))
    return sorted(acts, key=lambda act: act.call)


@pytest.mark.parametrize("batch", range(2))
@pytest.mark.parametrize("name", LOCKS)
def test_agrees_with_brute_force(name: str, batch: int) -> None:
    """Every decided key has the verdict of trying all orders; with one weight, all are decided."""
    kind, decide = LOCKS[name]
    seen = agree(
        decide,
        kind,
        lambda source: locking(source, kind),
        range(2000 * batch, 2000 * batch + 2000),
        several,
    )
    assert min(seen["legal"], seen["illegal"]) > 300, seen
    if name not in ("too much", "several"):
        assert min(seen["held by too many"], seen["released too often"]) > 100, seen


def guarding(*, operations: int, clients: int, seed: int) -> list[Act]:
    """A mutex as it is used: who acquired it releases it, and the others wait meanwhile."""
    source = random.Random(seed)
    acts: list[Act] = []
    ready = [source.randrange(100) for _ in range(clients)]
    free = 0
    while len(acts) < operations:
        client = min(range(clients), key=ready.__getitem__)
        call = ready[client]
        taken = max(free, call) + source.randint(1, 20)
        told = taken + source.randint(0, 30)
        back = told + source.randint(1, 30)
        free = back + source.randint(0, 30)
        end = free + source.randint(0, 30)
        ready[client] = end + source.randint(1, 50)
        for f, begin, until in (("acquire", call, told), ("release", back, end)):
            acts.append(
                Act(f=f, argument=client, result=None, call=begin, ret=until, process=client)
            )
    return sorted(acts, key=lambda act: act.call)


def reentrant(holds: int) -> Object:
    def do(state: Any, f: str, argument: Any) -> Any:
        holder, count = state
        if count and holder != argument:
            return REFUSED
        count += 1 if f == "acquire" else -1
        if count not in range(holds + 1):
            return REFUSED
        return (argument if count else None, count), None

    def asks(source: random.Random, state: Any) -> tuple[str, Any]:
        holder, count = state
        name = holder if count and source.random() < 0.95 else source.choice("abc")
        return source.choice(["acquire", "release"]), name

    return Object(
        initial=(None, 0), do=do, says=lambda *_: True, asks=asks, lies=lambda _, act: act.result
    )


def overlapping(acts: Sequence[Act]) -> bool:
    """Whether a holder does two things at once, or goes on after an indeterminate one."""
    happened = [act for act in acts if act.outcome != "fail"]
    return any(
        one is not other
        and one.argument == other.argument
        and one.call <= other.call
        and (not one.certain or (one.ret or 0) >= other.call)
        for one in happened
        for other in happened
    )


def taking_turns(source: random.Random, kind: Object) -> list[Act]:
    """Each holder does one thing after another, mostly."""
    acts = []
    clock: dict[tuple[int, Any], int] = {}
    for drawn in nearly_right(source, kind, most=9):
        act = drawn
        name = (act.key, act.argument)
        late = max(clock.get(name, 0) - act.call, 0)
        if source.random() < 0.95:
            end = None if act.ret is None else act.ret + late
            act = replace(act, call=act.call + late, ret=end)
        if act.certain or act.outcome == "fail":
            clock[name] = (act.ret or 0) + 1
        acts.append(act)
    return sorted(acts, key=lambda act: act.call)


@pytest.mark.parametrize("batch", range(4))
@pytest.mark.parametrize("holds", [1, 2, 3])
def test_reentrant_agrees_with_brute_force(holds: int, batch: int) -> None:
    """Every decided key has the verdict of trying all orders; who take turns are decided."""
    kind = reentrant(holds)
    seen = agree(
        partial(reentrant_mutex, holds=holds),
        kind,
        lambda source: taking_turns(source, kind),
        range(2000 * batch, 2000 * batch + 2000),
        overlapping,
    )
    assert min(seen["legal"], seen["illegal"]) > 300, seen
    names = ["held by too many", "released too often", "held too often"]
    assert min(seen[name] for name in names) > 20, seen


def rows(*found: tuple[str, Any, int, int | None]) -> list[Act]:
    return [
        Act(f=f, argument=a, result=None, call=c, ret=r, outcome="info" if r is None else "ok")
        for f, a, c, r in found
    ]


CASES = {
    "twice": (
        "mutex",
        rows(("acquire", None, 0, 1), ("acquire", None, 2, 3)),
        "process 0 (0.000 ms to 1.000 ms) and process 1 (2.000 ms to 3.000 ms) acquired it, but "
        "nobody can have released it in between.",
    ),
    "never": (
        "mutex",
        rows(("release", None, 0, 1)),
        "process 0 (0.000 ms to 1.000 ms) released it, but nobody can have acquired it by then.",
    ),
    "three of two": (
        "semaphore",
        rows(*[("acquire", None, 0, 9)] * 3, ("release", None, 10, 11)),
        "process 0 (0.000 ms to 9.000 ms) and process 1 (0.000 ms to 9.000 ms) and process 2 "
        "(0.000 ms to 9.000 ms) acquired it (2 fit at once), but nobody can have released it in "
        "between.",
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_sentence(name: str) -> None:
    """A plain sentence that says why."""
    lock_name, acts, sentence = CASES[name]
    answer, _, _ = ask(LOCKS[lock_name][1], acts)
    assert answer.violations[0].prove().sentence == sentence


def test_a_release_belongs_to_no_acquisition() -> None:
    """What one process holds may overlap with what another holds, for anybody may release."""
    decide = LOCKS["mutex"][1]
    acts = rows(
        ("acquire", None, 0, 1),
        ("acquire", None, 2, 9),
        ("release", None, 3, 4),
        ("release", None, 8, 12),
    )
    assert not ask(decide, acts)[0].violations
    lost = rows(("acquire", None, 0, 1), ("release", None, 2, None), ("acquire", None, 3, 4))
    assert not ask(decide, lost)[0].violations
    assert ask(decide, [*lost, *rows(("acquire", None, 5, 6))])[0].violations


def test_sessions() -> None:
    """Two holders at once, in words; a release that got lost frees the mutex."""
    decide = partial(reentrant_mutex, holds=2)
    acts = rows(
        ("acquire", "a", 0, 1),
        ("acquire", "b", 2, 3),
        ("release", "a", 4, 5),
        ("release", "b", 6, 7),
    )
    (violation,) = ask(decide, acts)[0].violations
    assert violation.prove().sentence == (
        'process 0 had acquired it as "a" by 1.000 ms and did not release it before 4.000 ms, but '
        'process 1 had acquired it as "b" by 3.000 ms and did not release it before 6.000 ms.'
    )
    lost = rows(("acquire", "a", 0, 1), ("release", "a", 2, None), ("acquire", "b", 3, 4))
    assert not ask(decide, lost)[0].violations
    kept = rows(("acquire", "a", 0, 1), ("acquire", "a", 2, None), ("acquire", "b", 3, 4))
    assert ask(decide, kept)[0].violations


@pytest.mark.parametrize("name", ["mutex", "semaphore", "pairs"])
def test_a_correct_lock_passes_and_a_wrong_one_is_found(name: str) -> None:
    """10,000 operations of 30 clients; nothing is undecided."""
    _, decide = LOCKS[name]
    right = {
        "mutex": semaphore(1, None, refused=0),
        "semaphore": semaphore(2, None, refused=0),
        "pairs": semaphore(5, 2, held=3, refused=0),
    }[name]
    acts = simulate(random.Random(1), right, operations=10_000, clients=30, keys=2)
    answer, _, _ = ask(decide, acts)
    assert not answer.violations
    assert not len(answer.undecided)
    place = next(at for at, act in enumerate(acts) if at > 5000 and act.f == "release")
    acts[place] = replace(acts[place], f="acquire")
    answer, _, _ = ask(decide, acts)
    (violation,) = answer.violations
    assert violation.prove().name == "held by too many"
    assert not len(answer.undecided)


@pytest.mark.parametrize("decide", [LOCKS["mutex"][1], partial(reentrant_mutex, holds=1)])
def test_a_mutex_given_to_two_at_once_is_found(decide: Procedure) -> None:
    """10,000 operations of 30 clients, most of whom wait; the proof is small."""
    acts = guarding(operations=10_000, clients=30, seed=1)
    answer, _, _ = ask(decide, acts)
    assert not answer.violations
    assert not len(answer.undecided)
    releases = [place for place, act in enumerate(acts) if act.f == "release"]
    place = releases[len(releases) // 2]
    slow = acts[place]
    acts[place] = replace(slow, call=slow.call + 300, ret=(slow.ret or 0) + 300)
    later = [at for at, act in enumerate(acts) if at > place and act.process == slow.process]
    for at in later:
        acts[at] = replace(
            acts[at], process=1000, argument=1000
        )  # else it would do two things at once
    acts.sort(key=lambda act: act.call)
    answer, calls, _ = ask(decide, acts)
    (violation,) = answer.violations
    part = [acts[int(calls.row[at])] for at in sorted(violation.prove().operations)]
    assert not linearizable(MUTEX, part)
    assert len(part) <= 12, part
    assert not len(answer.undecided)


def test_indeterminate_operations_leave_nothing_undecided() -> None:
    """What may have happened is counted, or not, as the rest needs it."""
    right = semaphore(2, None, refused=0)
    for seed in range(5):
        acts = simulate(random.Random(seed), right, operations=2_000, clients=10, loose=0.05)
        answer, _, _ = ask(LOCKS["semaphore"][1], acts)
        assert not answer.violations
        assert not len(answer.undecided)


def test_time_and_names_do_not_matter() -> None:
    """Other times, processes and holders: the same verdicts."""
    for kind, decide in (LOCKS["mutex"], (reentrant(2), partial(reentrant_mutex, holds=2))):
        for seed in range(300):
            acts = locking(random.Random(seed), kind)
            acts = [replace(act, process=place) for place, act in enumerate(acts)]
            names = random.Random(seed).sample(range(1000), len(acts))
            moved = [
                replace(
                    act, call=3 * act.call + 7, ret=None if act.ret is None else 3 * act.ret + 7
                )
                for act in acts
            ]
            renamed = [
                replace(act, process=name, argument=act.argument and f"the {act.argument}")
                for act, name in zip(moved, names, strict=True)
            ]
            answers = [ask(decide, one)[0] for one in (acts, moved, renamed)]
            found = {
                (tuple(v.key for v in answer.violations), *answer.undecided) for answer in answers
            }
            assert len(found) == 1, seed


def test_odd_weights_and_nothing_at_all() -> None:
    """What is no whole number of permits leaves a semaphore undecided."""
    for weight in (1.5, True, "1", -1):
        answer, _, _ = ask(LOCKS["semaphore"][1], rows(("acquire", weight, 0, 1)))
        assert len(answer.undecided) == 1
        assert not answer.violations
    for _, decide in LOCKS.values():
        answer, _, _ = ask(decide, [])
        assert not answer.violations
        assert not len(answer.undecided)
