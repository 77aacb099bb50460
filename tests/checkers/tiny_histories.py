"""Random tiny histories of every model: of a correct object, then spoiled, or of none at all.

One to eight operations of one to four processes; times collide, values repeat, results are echoes
or null where they may be, operations fail, end with an unknown outcome or never, and at times there
are several objects.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Any

from harness.core.history import History
from harness.core.operation import Event
from tests.checkers.draws import Values, ways
from tests.checkers.oracles import Done, broken_keys
from tests.checkers.specifications import THINGS, MutexThing, Thing

__all__ = ["GENERATORS", "build", "random_history"]

_OUTCOMES = (("ok", "info", "fail", "open"), (16, 3, 1, 1))
_SPOILS_MAX = 8


def _function(source: random.Random, thing: Thing, *, first: bool) -> str:
    """As many that tell of the state as that do not; but something must be there to be seen."""
    silent = [f for f in thing.functions if f not in thing.tells]
    if not silent:
        return source.choice(thing.functions)
    telling = [f for f in thing.functions if f in thing.tells]
    return source.choice(silent if source.random() < (0.8 if first else 0.45) else telling)


def _intervals(source: random.Random, operations: int) -> list[Done]:
    clock = [source.randint(0, 2) for _ in range(source.randint(1, 4))]
    names = list(range(len(clock)))
    ticks = source.choice((2, 5, 12))
    keys = source.choice(((None,), (None,), (None,), ("x",), ("x", "y"), (0, "0")))
    sure = source.random() < 0.5
    result = []
    for _ in range(operations):
        which = source.randrange(len(clock))
        call = clock[which] + source.randint(0, max(ticks // 3, 1))
        ret = clock[which] = call + source.randint(0, ticks)
        outcome = "ok" if sure else source.choices(*_OUTCOMES)[0]
        result.append(
            Done(
                process=names[which],
                f="",
                argument=None,
                result=None,
                call=call,
                ret=ret,
                outcome=outcome,
                key=source.choice(keys),
            )
        )
        if outcome in ("open", "info"):
            names[which] += 10
    return result


def arbitrary(source: random.Random, model: str) -> list[Done]:
    """Results drawn by lot; few operations, or none of it would be legal."""
    thing, (ask, guess) = THINGS[model], ways(model)
    values = Values(source, model)
    rows: list[Done] = []
    for row in _intervals(source, source.choice((1, 2, 2, 3, 3, 4, 5, 7))):
        f = _function(source, thing, first=not rows)
        argument = ask(source, values, f)
        rows.append(replace(row, f=f, argument=argument))
    return [replace(row, result=guess(source, values, row.f, row.argument)) for row in rows]


def nearly_right(source: random.Random, model: str) -> list[Done]:
    """What a correct object answered, spoiled in up to two places, or until it is just illegal."""
    thing, (ask, guess) = THINGS[model], ways(model)
    values = Values(source, model)
    rows = _intervals(source, source.randint(2, 8))
    states: dict[str, Any] = {}
    moments = [source.uniform(row.call, row.ret) for row in rows]
    for place in sorted(range(len(rows)), key=moments.__getitem__):
        row = rows[place]
        name = repr(row.key)
        state = states.get(name, thing.initial)
        for _ in range(4):
            f = _function(source, thing, first=name not in states)
            argument = ask(source, values, f)
            results = thing.perform(state, f, argument)
            if results:
                break
        row = replace(row, f=f, argument=argument)
        if results:
            answer, after = source.choice(results)
            row = replace(row, result=_told(source, thing, row, answer))
            if row.certain or (row.outcome != "fail" and source.random() < 0.5):
                states[name] = after
        else:
            row = replace(row, outcome="fail" if row.certain else row.outcome)
        if row.outcome in ("info", "fail"):
            row = replace(row, result=guess(source, values, f, argument))
        rows[place] = row

    def drawn(row: Done) -> Any:
        return guess(source, values, row.f, row.argument)

    told = not isinstance(thing, MutexThing)
    if source.random() < 0.6:
        for _ in range(source.choice((0, 1, 2))):
            _spoil(source, rows, drawn, told=told)
        return rows
    for _ in range(_SPOILS_MAX):
        _spoil(source, rows, drawn, told=told)
        if broken_keys(thing, rows):
            break
    return rows


def _told(source: random.Random, thing: Thing, row: Done, answer: Any) -> Any:
    """A report of the true answer."""
    reports = [_value(answer)]
    if row.f not in thing.tells or row.f in ("add", "remove", "append", "cas", "txn"):
        reports += [None, row.argument]
    right = [one for one in reports if thing.agrees(row.f, row.argument, answer, one)]
    return source.choice(right) if right else None


def _value(answer: Any) -> Any:
    """What JSON text stands for, also inside lists."""
    if isinstance(answer, list):
        return [_value(one) for one in answer]
    if not isinstance(answer, str):
        return answer
    try:
        return json.loads(answer)
    except ValueError:
        return answer


def _spoil(
    source: random.Random, rows: list[Done], guess: Callable[[Done], Any], *, told: bool
) -> None:
    """Change one operation; ``told`` says that results matter."""
    place = source.randrange(len(rows))
    row = rows[place]
    # As a process of its own it may overlap with all others.
    alone = 100 + max(one.process for one in rows)
    draw = source.randrange(0 if told else 5, 10)
    if draw < 3:
        rows[place] = replace(row, result=guess(row))
    elif draw < 5:
        same = [one for one in rows if (one.f, one.argument) == (row.f, row.argument)]
        rows[place] = replace(row, result=source.choice(same).result)
    elif draw == 5:
        shift = source.randint(-9, 9)
        call = max(row.call + shift, 0)
        rows[place] = replace(row, call=call, ret=max(row.ret + shift, call), process=alone)
    elif draw == 6:
        rows[place] = replace(row, ret=source.randint(row.call, row.ret + 4), process=alone)
    elif draw == 7:
        outcome = "info" if row.certain else "ok"
        rows[place] = replace(row, outcome=outcome, process=alone)
    elif len(rows) < 8 and draw == 8:
        rows.append(replace(row, process=alone))
    elif len(rows) > 1:
        del rows[place]


GENERATORS: Mapping[str, Callable[[random.Random, str], list[Done]]] = {
    "arbitrary": arbitrary,
    "nearly-right": nearly_right,
}


def random_history(model: str, generator: str, seed: int) -> list[Done]:
    """The operations of ``seed``."""
    source = random.Random(f"{model} {generator} {seed}")
    rows = GENERATORS[generator](source, model)
    return [replace(row, ties=(source.random(), source.random())) for row in rows]


def build(rows: Iterable[Done], *, scale: int = 1, shift: int = 0) -> tuple[History, list[Done]]:
    """The history, and its operations in order of invocation."""
    events: list[tuple[int, int, float, float, Done]] = []
    latest: dict[int, tuple[int, float]] = {}
    for row in sorted(rows, key=lambda row: (row.process, row.call, row.ret)):
        ends = (row.call,) if row.outcome == "open" else (row.call, row.ret)
        for step, (at, tie) in enumerate(zip(ends, row.ties, strict=False)):
            before, place = latest.get(row.process, (-1, 0.0))
            place = tie + place if before == at else tie
            latest[row.process] = at, place
            events.append((at, step, place, tie, row))
    events.sort(key=lambda event: (event[0], event[2]))
    history = History.from_events(
        Event(
            index=2 * index,
            time=at * scale + shift,
            process=row.process,
            type=row.outcome if step else "invoke",  # type: ignore[arg-type]
            f=row.f,
            key=row.key,
            value=row.result if step else row.argument,
        )
        for index, (at, step, _, _, row) in enumerate(events)
    )
    return history, [row for _, step, _, _, row in events if not step]
