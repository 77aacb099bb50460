"""Small and nasty instances for the general search.

Their models are given by random tables (with looks that change nothing and sets that are always
legal, as the laws of :mod:`checkers.models.base` have them) or real ones, with few states, equal
classes, equal times, and operations that may never have happened. Each is the work of one seed.
"""

from __future__ import annotations

import random
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from checkers.linearizable.instances import Class, Instance
from checkers.models import ILLEGAL, MODELS, UNKNOWN, Illegal, Model
from harness.core.history import NEVER

__all__ = ["IDLE", "Idle", "Overwritten", "Table", "random_instance"]

IDLE = ("idle", "rest")
"""Functions that do nothing."""

_LARGE = 1_700_000_000_000_000_000  # nanoseconds since 1970


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """States are numbers; ``table[class][state]`` is the next one, or ILLEGAL. ``look`` changes
    nothing, ``set`` is always legal, and of ``step`` the classes in ``still`` change nothing."""

    table: dict[Class, tuple[int | Illegal, ...]]
    still: frozenset[Class]
    initial: int = 0
    functions: frozenset[str] = frozenset({"look", "set", "step"})
    pure: frozenset[str] = frozenset({"look"})
    blind: frozenset[str] = frozenset({"set"})
    observers: frozenset[str] = frozenset({"look"})

    def step(self, state: int, f: str, argument: Any, result: Any) -> Hashable | Illegal:
        """The next state."""
        return self.table[f, argument, result][state]

    def is_pure(self, f: str, argument: Any, result: Any) -> bool:
        """Whether the class changes nothing."""
        return (f, argument, result) in self.still


class Overwritten:
    """A compare-and-set register which says that its writes are blind, and also what it found
    absent: the form in which keys of registers are searched."""

    initial = 0
    functions = frozenset({"read", "write", "cas", "absent"})
    pure = frozenset({"read", "absent"})
    observers = functions - {"write"}
    blind = frozenset({"write"})

    def step(self, state: Any, f: str, argument: Any, result: Any) -> Hashable | Illegal:
        """The value held."""
        if f == "write":
            return int(argument)
        if f == "cas":
            return int(argument[1]) if argument[0] == state else ILLEGAL
        return state if (result == state if f == "read" else argument != state) else ILLEGAL


@dataclass(frozen=True, slots=True, kw_only=True)
class Game:
    """A model, and the classes to draw from: of operations that happened, and that may have."""

    model: Model
    certain: tuple[Class, ...]
    maybe: tuple[Class, ...]


def _tables(source: random.Random) -> Game:
    states = source.randint(2, 5)
    holes = source.choice([0.0, 0.2, 0.5, 0.8])
    table: dict[Class, tuple[int | Illegal, ...]] = {}
    still = set()
    for number in range(source.randint(0, 3)):
        legal = {source.randrange(states)} | {s for s in range(states) if source.random() < 0.3}
        table["look", number, None] = tuple(s if s in legal else ILLEGAL for s in range(states))
    for number in range(source.randint(0, 3)):
        result = source.choice([None, UNKNOWN])
        table["set", number, result] = (source.randrange(states),) * states
    for number in range(source.randint(1, 4)):
        one: Class = ("step", number, source.choice([None, UNKNOWN]))
        kind = source.choice(["any", "any", "permutation", "constant", "swap", "still"])
        after: list[int | Illegal] = [source.randrange(states) for _ in range(states)]
        if kind == "permutation":
            after = list(source.sample(range(states), states))
        elif kind == "constant":
            after = [after[0]] * states
        elif kind == "still":
            after = list(range(states))
            still.add(one)
        if kind == "swap":
            place = source.randrange(states)
            after = [target if s == place else ILLEGAL for s, target in enumerate(after)]
        else:
            after = [ILLEGAL if source.random() < holes else s for s in after]
        table[one] = tuple(after)
    classes = tuple(table)
    return Game(model=Table(table=table, still=frozenset(still)), certain=classes, maybe=classes)


def _registers(source: random.Random) -> Game:
    values = range(source.randint(2, 4))
    certain: list[Class] = [("read", None, v) for v in values]
    writes: list[Class] = [("write", v, None) for v in values]
    swaps: list[Class] = [("cas", (a, b), None) for a in values for b in values if a != b]
    swaps = source.sample(swaps, min(len(swaps), source.randint(0, 4)))
    absent: list[Class] = [("absent", v, None) for v in values] if source.random() < 0.3 else []
    return Game(
        model=Overwritten(),
        certain=(*certain, *writes, *swaps, *absent),
        maybe=(*writes, *swaps, *absent),
    )


def _queues(source: random.Random) -> Game:
    name, put, take = source.choice(
        [
            ("queue", "enqueue", "dequeue"),
            ("stack", "push", "pop"),
            ("priority-queue", "insert", "delete-min"),
        ]
    )
    values = range(source.randint(1, 3))
    puts: tuple[Class, ...] = tuple((put, v, None) for v in values)
    takes: tuple[Class, ...] = tuple((take, None, v) for v in (None, *values))
    return Game(model=MODELS[name], certain=puts + takes, maybe=(*puts, (take, None, UNKNOWN)))


def _numbers(source: random.Random) -> Game:
    adds: tuple[Class, ...] = tuple(("add", n, None) for n in source.sample([1, 1, 2, -1, 3], 2))
    reads: tuple[Class, ...] = tuple(("read", None, n) for n in range(4))
    return Game(model=MODELS["counter"], certain=adds + reads, maybe=adds)


def _locks(source: random.Random) -> Game:
    classes: tuple[Class, ...] = tuple((f, None, None) for f in ("acquire", "release"))
    return Game(model=MODELS[source.choice(["mutex", "semaphore"])], certain=classes, maybe=classes)


_GAMES = (_tables, _tables, _tables, _registers, _registers, _queues, _numbers, _locks)


@dataclass(slots=True)
class _Drawn:
    call: int
    ret: int | None
    kind: Class


def random_instance(seed: int) -> Instance:
    """The instance of ``seed``: 3 to 14 operations of up to 6 processes."""
    source = random.Random(seed)
    game = source.choice(_GAMES)(source)
    drawn = _intervals(source, source.randint(3, 14))
    simulated = source.random() < 0.7
    state: Any = game.model.initial
    for one in sorted(drawn, key=lambda one: source.uniform(one.call, one.ret or one.call + 9)):
        classes = game.maybe if one.ret is None else game.certain
        legal = [c for c in classes if game.model.step(state, *c) is not ILLEGAL]
        one.kind = source.choice(legal if legal and simulated else classes)
        happens = one.ret is not None or source.random() < 0.5
        following = game.model.step(state, *one.kind)
        if happens and following is not ILLEGAL:
            state = following
    for _ in range(source.choice([0, 1, 1, 2]) if simulated else 0):
        _spoil(source, game, source.choice(drawn))
    if source.random() < 0.3:
        source.shuffle(drawn)
    else:
        drawn.sort(key=lambda one: one.call)
    if source.random() < 0.05:
        return _wide(source, game, drawn)
    return _instance(game.model, drawn, shift=source.choice([0, 0, _LARGE, (1 << 62) - 1000]))


def _intervals(source: random.Random, operations: int) -> list[_Drawn]:
    clock = [source.randint(0, 2) for _ in range(source.randint(1, 6))]
    ticks = source.choice([2, 5, 9])
    unsure = source.choice([0.0, 0.0, 0.15, 0.4])
    result = []
    for _ in range(operations):
        process = source.randrange(len(clock))
        call = clock[process] + source.randint(0, max(ticks // 3, 1))
        ret = clock[process] = call + source.randint(0, ticks)
        lost = source.random() < unsure
        result.append(_Drawn(call, None if lost else ret, ("", None, None)))
    return result


def _spoil(source: random.Random, game: Game, one: _Drawn) -> None:
    if source.random() < 0.3 and one.ret is not None:
        one.call, one.ret = sorted((one.call, source.randint(one.call, one.ret)))
    elif source.random() < 0.5:
        shift = source.randint(-2, 3)
        one.call = max(one.call + shift, 0)
        one.ret = None if one.ret is None else max(one.ret + shift, one.call)
    else:
        one.kind = source.choice(game.maybe if one.ret is None else game.certain)


def _instance(model: Model, drawn: Sequence[_Drawn], *, shift: int = 0) -> Instance:
    classes = tuple(dict.fromkeys(one.kind for one in drawn))
    never = int(NEVER)
    return Instance(
        model=model,
        initial=model.initial,
        call=np.array([one.call + shift for one in drawn], dtype=np.int64),
        ret=np.array([never if o.ret is None else o.ret + shift for o in drawn], dtype=np.int64),
        kind=np.array([classes.index(one.kind) for one in drawn], dtype=np.int64),
        classes=classes,
    )


def _wide(source: random.Random, game: Game, drawn: list[_Drawn]) -> Instance:
    """``drawn`` among very many more that are open throughout and do nothing, so that masks of
    open operations take several words. The verdict is that of ``drawn`` alone."""
    model = Idle(of=game.model)
    last = max([one.ret or one.call for one in drawn])
    kinds: list[Class] = [("idle", None, None), ("rest", None, None)]
    kind = source.choice(kinds)
    count = source.choice([50, 62, 64, 70, 120, 130, 190])
    many = [_Drawn(0, last + source.randint(0, 3), kind) for _ in range(count)]
    return _instance(model, [*many, *drawn] if source.random() < 0.5 else [*drawn, *many])


@dataclass(frozen=True, slots=True, kw_only=True)
class Idle:
    """``of``, with two functions more that do nothing: ``idle``, which says so, and ``rest``."""

    of: Model

    @property
    def initial(self) -> Hashable:
        return self.of.initial

    @property
    def functions(self) -> frozenset[str]:
        return self.of.functions | {"idle", "rest"}

    @property
    def pure(self) -> frozenset[str]:
        return self.of.pure | {"idle"}

    @property
    def blind(self) -> frozenset[str]:
        return getattr(self.of, "blind", frozenset())

    @property
    def observers(self) -> frozenset[str]:
        return self.of.observers

    def step(self, state: Any, f: str, argument: Any, result: Any) -> Hashable | Illegal:
        """The state of ``of``."""
        if f in IDLE:
            same: Hashable = state
            return same
        return self.of.step(state, f, argument, result)

    def is_pure(self, f: str, argument: Any, result: Any) -> bool:
        """As ``of`` says."""
        method = getattr(self.of, "is_pure", None)
        return f not in IDLE and method is not None and method(f, argument, result)
