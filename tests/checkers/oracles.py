"""A slow and obvious judge: tries every order. Shares no code with the engine.

An operation that happened must be in the order; one that may have happened can be, at any place
after its call. What an operation does is said by ``following``: the states to which it may lead,
none where it cannot happen.

>>> reads = lambda held, seen: [held] if held == seen else []
>>> some_order([Timed(0, 5, 1), Timed(3, 9, 1)], 1, reads)
True
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Sequence
from typing import Any, NamedTuple

__all__ = ["Timed", "some_order"]


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
    with real time and with ``following``. Exponential: for some 15 operations at the most."""
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
