"""Small histories of any object for the tests of procedures: a slow and obvious judge, which shares
no code with the engine, and generators whose times collide."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

from checkers.linearizable.calls import Answer, Calls, Procedure, Words, columns
from harness.core.history import History
from harness.core.operation import Event

__all__ = [
    "REFUSED",
    "Act",
    "Object",
    "agree",
    "ask",
    "build",
    "linearizable",
    "nearly_right",
    "simulate",
]

_TOGETHER, _KEYS = 20, 10

REFUSED = object()
"""What an object answers where an operation cannot come now."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Act:
    """One operation. ``ret`` None: it never completed."""

    f: str
    argument: Any
    result: Any
    call: int
    ret: int | None
    outcome: str = "ok"
    key: Any = 0
    process: int = 0

    @property
    def certain(self) -> bool:
        return self.outcome == "ok" and self.ret is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class Object:
    """A sequential object. ``do(state, f, argument)`` answers the state after and the result, or
    :data:`REFUSED`; ``says(act, result)`` whether an operation may have completed as it did where
    ``result`` is right; ``asks(source, state)`` draws an invocation; ``lies(source, act)`` another
    result."""

    initial: Hashable
    do: Callable[[Any, str, Any], Any]
    says: Callable[[Act, Any], bool]
    asks: Callable[[random.Random, Any], tuple[str, Any]]
    lies: Callable[[random.Random, Act], Any]


def build(acts: Sequence[Act], *, shift: int = 0, scale: int = 1_000_000) -> History:
    """The history of ``acts``, in order of call; each is of a process of its own unless they say
    otherwise. At equal times, events keep the order of their operations."""
    events = []
    apart = len({act.process for act in acts}) < 2
    for place, act in enumerate(acts):
        process = place if apart else act.process
        fields = {"process": process, "f": act.f, "key": act.key}
        events.append((act.call, place, 0, {**fields, "type": "invoke", "value": act.argument}))
        if act.ret is not None:
            value = act.result if act.outcome == "ok" else act.argument
            events.append((act.ret, place, 1, {**fields, "type": act.outcome, "value": value}))
    events.sort(key=lambda row: row[:3])
    return History.from_events(
        Event(index=index, time=at * scale + shift, **event)
        for index, (at, _, _, event) in enumerate(events)
    )


def ask(procedure: Procedure, acts: Sequence[Act]) -> tuple[Answer, Calls, History]:
    """What ``procedure`` says of the history of ``acts``."""
    history = build(acts)
    calls = columns(history)
    return procedure(calls, Words(history, calls)), calls, history


def linearizable(kind: Object, acts: Sequence[Act]) -> bool:
    """Whether some order of what happened, and of some of what may have, is legal. Tries all."""
    todo = tuple(act for act in acts if act.outcome != "fail")

    @cache
    def extend(done: frozenset[int], state: Hashable) -> bool:
        left = [place for place in range(len(todo)) if place not in done]
        sure = [place for place in left if todo[place].certain]
        if not sure:
            return True
        for place in left:
            act = todo[place]
            if any((todo[other].ret or 0) < act.call for other in sure):
                continue
            answer = kind.do(state, act.f, act.argument)
            if answer is REFUSED:
                continue
            after, result = answer
            if act.certain and not kind.says(act, result):
                continue
            if extend(done | {place}, after):
                return True
        return False

    return extend(frozenset(), kind.initial)


def nearly_right(source: random.Random, kind: Object, *, most: int = 8, keys: int = 2) -> list[Act]:
    """What objects answered, with up to three changes; in order of call."""
    acts = []
    span = source.randint(2, 30)
    loose = source.choice([0.0, 0.0, 0.1, 0.3])
    for place in range(source.randint(1, most)):
        call = source.randint(0, span)
        act = Act(
            f="",
            argument=None,
            result=None,
            call=call,
            ret=call + source.choice([0, 1, 1, 2, 3, 5, 9]),
            key=source.randrange(source.randint(1, keys)),
            process=place,
        )
        draw = source.random()
        if draw < 0.04:
            act = replace(act, outcome="fail")
        elif draw < 0.04 + loose / 2:
            act = replace(act, outcome="info")
        elif draw < 0.04 + loose:
            act = replace(act, outcome="info", ret=None)
        acts.append(act)
    states: dict[Any, Any] = {}
    when = {act.process: source.uniform(act.call, _end(source, act)) for act in acts}
    for place in sorted(range(len(acts)), key=lambda one: when[acts[one].process]):
        act = acts[place]
        state = states.get(act.key, kind.initial)
        for _ in range(3):
            f, argument = kind.asks(source, state)
            answer = kind.do(state, f, argument)
            if answer is not REFUSED:
                break
        act = replace(act, f=f, argument=argument)
        if answer is not REFUSED:
            after, result = answer
            act = replace(act, result=result)
            if act.outcome == "ok" or (act.outcome == "info" and source.random() < 0.5):
                states[act.key] = after
        acts[place] = act
    for _ in range(source.choice([0, 1, 1, 2, 3])):
        place = source.randrange(len(acts))
        act = acts[place]
        if source.random() < 0.7:
            acts[place] = replace(act, result=kind.lies(source, act))
        else:
            moved = max(act.call + source.randint(-4, 4), 0)
            end = None if act.ret is None else moved + source.randint(0, 3)
            acts[place] = replace(act, call=moved, ret=end)
    return sorted(acts, key=lambda act: act.call)


def _end(source: random.Random, act: Act) -> float:
    return act.call + source.uniform(0, 8) if act.outcome == "info" else float(act.ret or 0)


def agree(
    procedure: Procedure,
    kind: Object,
    histories: Callable[[random.Random], list[Act]],
    seeds: range,
    may_be_undecided: Callable[[Sequence[Act]], bool],
) -> Counter[str]:
    """Asserts that each decided key has the verdict of trying all orders, that each proof is
    illegal by itself, and that keys are undecided only where they may be. Answers how often what
    came."""
    seen: Counter[str] = Counter()
    for first in range(seeds.start, seeds.stop, _TOGETHER):
        acts = []
        for seed in range(first, min(first + _TOGETHER, seeds.stop)):
            # Keys say of which seed they are, so a failure can be tried alone.
            acts += [
                replace(act, key=_KEYS * seed + act.key) for act in histories(random.Random(seed))
            ]
        acts.sort(key=lambda act: act.call)
        acts = [replace(act, process=place) for place, act in enumerate(acts)]
        answer, calls, history = ask(procedure, acts)
        broken = {violation.key: violation for violation in answer.violations}
        assert len(broken) == len(answer.violations), first
        undecided = answer.undecided.tolist()
        assert undecided == sorted(set(undecided) - set(broken)), first
        own: dict[int, list[Act]] = {}
        for act in acts:
            own.setdefault(act.key, []).append(act)
        for key in sorted(set(calls.key.tolist())):
            name = history.keys[key]
            if key in undecided:
                assert may_be_undecided(own[name]), (name, own[name])
                seen["undecided"] += 1
                continue
            truth = linearizable(kind, own[name])
            assert (key not in broken) == truth, (name, truth, own[name])
            seen["legal" if truth else "illegal"] += 1
            if key in broken:
                proof = broken[key].prove()
                assert len(set(proof.operations)) == len(proof.operations) > 0, (name, proof)
                part = [acts[int(calls.row[place])] for place in sorted(proof.operations)]
                assert all(act.key == name for act in part), (name, proof)
                assert not linearizable(kind, part), (name, proof, part)
                assert proof.sentence.endswith("."), (name, proof)
                seen[proof.name] += 1
    return seen


def simulate(
    source: random.Random,
    kind: Object,
    *,
    operations: int,
    clients: int,
    keys: int = 1,
    loose: float = 0.0,
) -> list[Act]:
    """Operations of correct objects: each takes effect at one instant within its interval."""
    clock = [source.randrange(1000) for _ in range(clients)]
    process = list(range(clients))
    planned = []
    for _ in range(operations):
        client = min(range(clients), key=clock.__getitem__)
        call = clock[client]
        ret = call + source.randint(500, 3000)
        clock[client] = ret + source.randint(1, 500)
        lost = source.random() < loose
        planned.append((source.randint(call, ret), process[client], call, ret, lost))
        if lost:
            process[client] += clients
    states: dict[int, Any] = {}
    acts = []
    for _, who, call, ret, lost in sorted(planned):
        key = source.randrange(keys)
        state = states.get(key, kind.initial)
        answer: Any = REFUSED
        while answer is REFUSED:
            f, argument = kind.asks(source, state)
            answer = kind.do(state, f, argument)
        after, result = answer
        if not lost or source.random() < 0.5:
            states[key] = after
        outcome = "info" if lost else "ok"
        acts.append(
            Act(
                f=f,
                argument=argument,
                result=result,
                call=call,
                ret=ret,
                outcome=outcome,
                key=key,
                process=who,
            )
        )
    return sorted(acts, key=lambda act: act.call)
