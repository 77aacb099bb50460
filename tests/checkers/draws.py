"""What clients ask of each model, and what they may be told; all drawn by lot."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from typing import Any

from tests.checkers.specifications import THINGS

__all__ = ["Ask", "Guess", "Values", "ways"]

_ODD = (None, True, False, 0, 1, 1.0, "a", "", [1], {"a": 1})
_ORDERED = (-1, 0, 1, 2.5, 10, "a", "b", "", False, True)


class Values:
    """The values of one history: all different, few, or odd ones."""

    def __init__(self, source: random.Random, model: str) -> None:
        self._source = source
        self._kind = source.choice(("unique", "unique", "few", "odd"))
        self._odd = _ORDERED if model == "priority-queue" else _ODD
        self.base: Any = THINGS[model].initial
        self.pool: list[Any] = []

    def fresh(self) -> Any:
        """One to put in."""
        if self._kind == "unique":
            value: Any = len(self.pool) + 1
        elif self._kind == "few":
            value = self._source.randrange(3)
        else:
            value = self._source.choice(self._odd)
        self.pool.append(value)
        return value

    def used(self) -> Any:
        """One that was put in, as a rule."""
        if not self.pool or self._source.random() < 0.05:
            return self._source.choice((None, 0, 1, 2, 99))
        return self._source.choice(self.pool)


Ask = Callable[[random.Random, Values, str], Any]
"""An argument for a function."""
Guess = Callable[[random.Random, Values, str, Any], Any]
"""A result that may well be wrong, for a function and its argument."""


def _register_ask(source: random.Random, values: Values, f: str) -> Any:
    if f == "cas":
        return [values.used() if source.random() < 0.8 else None, values.fresh()]
    return values.fresh() if f == "write" else None


def _register_guess(source: random.Random, values: Values, f: str, argument: Any) -> Any:
    if f == "read":
        return values.used() if source.random() < 0.8 else None
    return source.choice(
        (None, argument, False, "done") if f == "cas" else (None, argument, "done")
    )


def _txn_ask(source: random.Random, values: Values, _f: str) -> Any:
    def one() -> list[Any]:
        key = source.choice("xy")
        return ["w", key, values.fresh()] if source.random() < 0.5 else ["r", key, None]

    return [one() for _ in range(source.choice((1, 1, 2, 3)))]


def _txn_guess(source: random.Random, values: Values, _f: str, argument: Any) -> Any:
    if source.random() < 0.1:
        return None
    return [
        [kind, key, value if kind == "w" else source.choice((None, values.used()))]
        for kind, key, value in argument
    ]


def _string_ask(source: random.Random, values: Values, f: str) -> Any:
    if f == "get":
        return None
    piece = source.choice(("a", "b", "", chr(ord("c") + len(values.pool) % 20)))
    values.pool.append(piece)
    return piece


def _string_guess(source: random.Random, values: Values, f: str, argument: Any) -> Any:
    if f != "get":
        return source.choice((None, argument, "done"))
    pieces = [str(piece) for piece in values.pool]
    return "".join(source.choices(pieces, k=source.randint(0, 3))) if pieces else None


def _set_ask(source: random.Random, values: Values, f: str) -> Any:
    if f == "read":
        return None
    if not values.pool:
        values.pool += source.choice(([1, 2], [1, "a", 3], [True, 1], [False, None, [0]]))
    return source.choice(values.pool)


def _set_guess(source: random.Random, values: Values, f: str, argument: Any) -> Any:
    if f != "read":
        flags = (True, False)
        if f == "contains":
            answer = source.choice(flags)
            asked = argument if source.random() < 0.9 else source.choice(values.pool)
            return source.choice((answer, [asked, answer]))
        return source.choice((*flags, None, argument, "done"))
    chosen = source.sample(values.pool, source.randint(0, min(len(values.pool), 2)))
    return [*chosen, *chosen[:1]] if source.random() < 0.03 else chosen


def _buffer_ask(source: random.Random, values: Values, f: str) -> Any:
    return None if f in _TAKES else values.fresh()


def _buffer_guess(source: random.Random, values: Values, f: str, argument: Any) -> Any:
    if f not in _TAKES:
        return source.choice((None, argument, True))
    return values.used() if source.random() < 0.75 else None


_TAKES = frozenset({"dequeue", "pop", "delete-min", "take"})


def _nothing(source: random.Random, values: Values, f: str) -> Any:
    return None


def _holder(source: random.Random, values: Values, f: str) -> Any:
    return source.choice(("a", "a", "b", 1))


def _permits(source: random.Random, values: Values, f: str) -> Any:
    return source.choice((None, 1, 1, 2, 0, 3))


def _silent(source: random.Random, values: Values, f: str, argument: Any) -> Any:
    return source.choice((None, argument, "done"))


def _number_ask(source: random.Random, values: Values, f: str) -> Any:
    if f == "read":
        return None
    value = source.choice((1, 2, 3, 5) if f == "raise" else (None, 1, 1, 2, -1, 4))
    values.pool.append(value)
    return value


def _number_guess(source: random.Random, values: Values, f: str, argument: Any) -> Any:
    if f != "read":
        return source.choice((None, argument, "done"))
    if source.random() < 0.05:
        return source.choice((None, 99))
    some = [1 if one is None else one for one in values.pool if source.random() < 0.6]
    return values.base + sum(some)


def _maximum_guess(source: random.Random, values: Values, f: str, argument: Any) -> Any:
    if f != "read":
        return source.choice((None, argument, "done"))
    return source.choice((0, *values.pool))


def _log_ask(source: random.Random, values: Values, f: str) -> Any:
    if f == "append":
        return [0, 1] if source.random() < 0.03 else values.fresh()
    return source.choice((None, None, 0, 1, 2))


def _log_guess(source: random.Random, values: Values, f: str, argument: Any) -> Any:
    if f == "append":
        placed = [source.randint(0, 2), argument if source.random() < 0.9 else values.used()]
        return source.choice((None, argument, placed, placed))
    if argument is None:
        return source.choices(values.pool, k=source.randint(0, 2)) if values.pool else []
    return source.choice((None, values.used()))


_REGISTER, _BUFFER = (_register_ask, _register_guess), (_buffer_ask, _buffer_guess)
_WAYS: Mapping[str, tuple[Ask, Guess]] = {
    "register": _REGISTER,
    "cas-register": _REGISTER,
    "register-null-reads-anything": _REGISTER,
    "cas-register-null-reads-anything": _REGISTER,
    "multi-register": (_txn_ask, _txn_guess),
    "append-kv": (_string_ask, _string_guess),
    "set": (_set_ask, _set_guess),
    "g-set": (_set_ask, _set_guess),
    "queue": _BUFFER,
    "stack": _BUFFER,
    "priority-queue": _BUFFER,
    "mutex": (_nothing, _silent),
    "reentrant-mutex": (_holder, _silent),
    "semaphore": (_permits, _silent),
    "counter": (_number_ask, _number_guess),
    "log": (_log_ask, _log_guess),
    "maximum": (_number_ask, _maximum_guess),
    "lossy-register": _REGISTER,
    "bag": _BUFFER,
}


def ways(model: str) -> tuple[Ask, Guess]:
    """How to draw arguments and results for ``model``."""
    return _WAYS[model.partition(":")[0]]
