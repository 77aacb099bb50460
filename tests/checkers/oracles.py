"""A slow and obvious judge: tries every order. Shares no code with the checkers.

An operation that happened must be in the order; one that may have happened can be, at any place
after its call; one that failed is not. What operations do is said by
:mod:`tests.checkers.specifications`.

>>> reads = lambda held, seen: [held] if held == seen else []
>>> some_order([Timed(0, 5, 1), Timed(3, 9, 1)], 1, reads)
True
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from tests.checkers.specifications import Thing, text

__all__ = ["Done", "Timed", "broken_keys", "linearizable", "some_order"]


class Timed(NamedTuple):
    """``ret`` is None where nobody knows whether it happened; ``what`` is for ``following``."""

    call: int
    ret: int | None
    what: Any


def some_order(
    operations: Sequence[Timed],
    initial: Hashable,
    following: Callable[[Any, Any], Iterable[Hashable]],
) -> bool:
    """Whether some order of the operations that happened, and of any of those that may have, agrees
    with real time and with ``following``: the states to which an operation may lead, none where it
    cannot happen. Exponential: for some 15 operations at the most."""
    before = [
        sum(1 << j for j, b in enumerate(operations) if b.ret is not None and b.ret < a.call)
        for a in operations
    ]
    happened = sum(1 << i for i, a in enumerate(operations) if a.ret is not None)
    todo = [(0, initial)]
    seen = set(todo)
    while todo:
        done, state = todo.pop()
        if done & happened == happened:
            return True
        for i, one in enumerate(operations):
            if done >> i & 1 or before[i] & ~done:
                continue
            for after in following(state, one.what):
                reached = (done | 1 << i, after)
                if reached not in seen:
                    seen.add(reached)
                    todo.append(reached)
    return False


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """One operation. ``outcome`` is ``ok``, ``info``, ``fail`` or ``open``; ``ties`` order its two
    events among those of equal time."""

    process: int
    f: str
    argument: Any
    result: Any
    call: int
    ret: int
    outcome: str
    key: Any
    ties: tuple[float, float] = (0.0, 0.0)

    @property
    def certain(self) -> bool:
        """Whether it happened."""
        return self.outcome == "ok"


def linearizable(thing: Thing, rows: Iterable[Done]) -> bool:
    """Whether the operations of one key have an order that ``thing`` can take."""
    happened = [row for row in rows if row.outcome != "fail"]
    known: dict[tuple[Any, int], list[Any]] = {}

    def following(state: Any, place: int) -> list[Any]:
        if (state, place) not in known:
            row = happened[place]
            known[state, place] = [
                after
                for answer, after in thing.perform(state, row.f, row.argument)
                if not row.certain or thing.agrees(row.f, row.argument, answer, row.result)
            ]
        return known[state, place]

    timed = [
        Timed(row.call, row.ret if row.certain else None, place)
        for place, row in enumerate(happened)
    ]
    return some_order(timed, thing.initial, following)


def broken_keys(thing: Thing, rows: Iterable[Done]) -> set[str]:
    """The keys, as JSON text, whose operations have no such order."""
    by_key: dict[str, list[Done]] = {}
    for row in rows:
        by_key.setdefault(text(row.key), []).append(row)
    return {key for key, part in by_key.items() if not linearizable(thing, part)}
