"""Consistency by definition, for tiny histories of reads and writes: every order is tried.

It shares no code and no theory with the checkers. There are no bad patterns, clocks or graphs here:

- transactions: every total commit order of what happened (R. Biswas & C. Enea, OOPSLA 2019, 2.2);
- registers: every order of each operation's causal past (A. Bouajjani et al., POPL 2017, 3);
- sessions: every arbitration of the writes (P. Viotti & M. Vukolic, 2016, 3), given what each
  operation must see; :func:`guaranteed_literally` tries every visibility, too.

What is indeterminate is tried as having happened and as not having happened; a value that several
wrote is tried as read from each.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import chain, combinations, permutations, product

__all__ = [
    "GUARANTEES",
    "INITIAL",
    "Transaction",
    "adya_read_committed",
    "causal",
    "committed",
    "convergent",
    "guaranteed",
    "guaranteed_literally",
    "memory",
]

INITIAL = -1

Micro = tuple[str, str, int | None]
Pair = tuple[int, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Transaction:
    """One operation: ``("r", key, value)`` and ``("w", key, value)``, in its order. The operations
    of a session come in the order of the history."""

    session: int
    operations: tuple[Micro, ...]
    outcome: str = "ok"

    def last_writes(self) -> dict[str, int | None]:
        """What it leaves behind."""
        return {key: value for kind, key, value in self.operations if kind == "w"}


@dataclass(frozen=True, slots=True)
class World:
    """What happened, and who was read: ``reads`` are (reader, place in it, key, writer)."""

    txns: tuple[Transaction, ...]
    reads: tuple[tuple[int, int, str, int], ...]

    @property
    def order_of_sessions(self) -> set[Pair]:
        return {
            (a, b)
            for a, b in combinations(range(len(self.txns)), 2)
            if self.txns[a].session == self.txns[b].session
        }

    @property
    def read_from(self) -> set[Pair]:
        return {(writer, reader) for reader, _, _, writer in self.reads if writer != INITIAL}

    def writers(self, key: str) -> list[int]:
        return [t for t, txn in enumerate(self.txns) if key in txn.last_writes()]


def worlds(history: Iterable[Transaction]) -> Iterator[World]:
    """Everything that may have happened, in which each read has a writer."""
    txns = [txn for txn in history if txn.outcome != "fail"]
    unsure = [txn for txn in txns if txn.outcome == "info"]
    for left_out in chain.from_iterable(combinations(unsure, n) for n in range(len(unsure) + 1)):
        yield from _worlds(tuple(txn for txn in txns if not any(txn is one for one in left_out)))


def _worlds(txns: tuple[Transaction, ...]) -> Iterator[World]:
    finals = [txn.last_writes() for txn in txns]
    places: list[tuple[int, int, str]] = []
    choices: list[list[int]] = []
    for t, txn in enumerate(txns):
        own: dict[str, int | None] = {}
        for place, (kind, key, value) in enumerate(txn.operations):
            if kind == "w":
                own[key] = value
            elif txn.outcome == "info":
                continue
            elif key in own:
                if own[key] != value:
                    return
            else:
                found = [
                    u for u, last in enumerate(finals) if u != t and last.get(key, ...) == value
                ]
                places.append((t, place, key))
                choices.append([*found, INITIAL] if value is None else found)
    for chosen in product(*choices):
        reads = tuple((*place, writer) for place, writer in zip(places, chosen, strict=True))
        yield World(txns, reads)


def closed(pairs: Iterable[Pair]) -> set[Pair]:
    """The transitive closure."""
    result = set(pairs)
    while True:
        more = {(a, d) for a, b in result for c, d in result if b == c} - result
        if not more:
            return result
        result |= more


def acyclic(pairs: Iterable[Pair]) -> bool:
    """Whether no element comes before itself."""
    return all(a != b for a, b in closed(pairs))


def orders(elements: Iterable[int], pairs: Iterable[Pair]) -> Iterator[dict[int, int]]:
    """Every total order of ``elements`` that contains ``pairs``: the place of each."""
    elements, pairs = list(elements), list(pairs)
    for order in permutations(elements):
        place = {one: at for at, one in enumerate(order)}
        if all(place[a] < place[b] for a, b in pairs if a in place and b in place):
            yield place


# --- transactions ---------------------------------------------------------------------------

Sees = Callable[[World, int, int, int], bool]
"""Whether a transaction (the last argument) is visible to the read at a place of another."""


def _committed(world: World, reader: int, place: int, one: int) -> bool:
    return any(r == reader and p < place and w == one for r, p, _, w in world.reads)


def _atomic(world: World, reader: int, place: int, one: int) -> bool:
    return (one, reader) in world.order_of_sessions | world.read_from


def _causal(world: World, reader: int, place: int, one: int) -> bool:
    return (one, reader) in closed(world.order_of_sessions | world.read_from)


_LEVELS: dict[str, tuple[Sees, bool]] = {
    # The second: whether the commit order extends that of sessions.
    "monotonic-atomic-view": (_committed, False),
    "read-committed": (_committed, True),
    "read-atomic": (_atomic, True),
    "causal": (_causal, True),
}


def committed(history: Iterable[Transaction], level: str) -> bool:
    """Whether some commit order explains every read. *monotonic-atomic-view* is *read-committed*
    without sessions (Bailis et al. 2013, OTV)."""
    sees, sessions = _LEVELS[level]
    for world in worlds(history):
        needed = world.read_from | (world.order_of_sessions if sessions else set())
        rules = [
            (t2, t1)
            for t3, place, key, t1 in world.reads
            for t2 in world.writers(key)
            if t2 not in (t1, t3) and sees(world, t3, place, t2)
        ]
        if any(t1 == INITIAL for _, t1 in rules):
            continue
        for at in orders(range(len(world.txns)), needed):
            if all(at[t2] < at[t1] for t2, t1 in rules):
                return True
    return False


def adya_read_committed(history: Iterable[Transaction]) -> bool:
    """Whether what is read was committed, final, and not in a circle (PL-2, without sessions)."""
    return any(acyclic(world.read_from) for world in worlds(history))


# --- registers ------------------------------------------------------------------------------


def _register_worlds(history: Iterable[Transaction]) -> Iterator[tuple[World, set[Pair]]]:
    """What happened, and the smallest causal order: it contains session order, and the writer of
    each read. A larger one only adds to what must be explained."""
    for world in worlds(history):
        order = closed(world.order_of_sessions | world.read_from)
        if acyclic(order):
            yield world, order


def _explained(world: World, at: dict[int, int], readers: set[int]) -> bool:
    """Whether each of ``readers`` returns the last write before it in the order."""
    for reader, _, key, writer in world.reads:
        if reader not in readers:
            continue
        before = [t for t in world.writers(key) if t in at and at[t] < at[reader]]
        if max(before, key=at.__getitem__, default=INITIAL) != writer:
            return False
    return True


def _past(order: set[Pair], one: int) -> list[int]:
    return [*(a for a, b in order if b == one), one]


def causal(history: Iterable[Transaction]) -> bool:
    """CC: each operation's past has an order that explains *it*."""
    return any(
        all(
            any(_explained(world, at, {one}) for at in orders(_past(order, one), order))
            for one in range(len(world.txns))
        )
        for world, order in _register_worlds(history)
    )


def memory(history: Iterable[Transaction]) -> bool:
    """CM: each operation's past has an order that explains it and all before it in its session."""
    for world, order in _register_worlds(history):
        sessions = world.order_of_sessions
        if all(
            any(
                _explained(world, at, {one, *(a for a, b in sessions if b == one)})
                for at in orders(_past(order, one), order)
            )
            for one in range(len(world.txns))
        ):
            return True
    return False


def convergent(history: Iterable[Transaction]) -> bool:
    """CCv: one order of everything, of which each operation sees its past, explains every read."""
    for world, order in _register_worlds(history):
        for at in orders(range(len(world.txns)), order):
            if all(
                _explained(world, {a: at[a] for a in _past(order, one)}, {one})
                for one in range(len(world.txns))
            ):
                return True
    return False


# --- sessions -------------------------------------------------------------------------------

GUARANTEES: dict[str, frozenset[str]] = {
    "read-your-writes": frozenset({"RYW"}),
    "monotonic-reads": frozenset({"MR"}),
    "monotonic-writes": frozenset({"MW"}),
    "writes-follow-reads": frozenset({"WFR"}),
    "pram": frozenset({"RYW", "MR", "MW"}),
    "causal-convergence": frozenset({"RYW", "MR", "MW", "WFR"}),
}


def guaranteed(history: Iterable[Transaction], rules: frozenset[str]) -> bool:
    """Whether some arbitration that extends session order and reads-from explains every read, if
    each operation sees no more than it must."""
    for world, extended in _register_worlds(history):
        seen = _least(world, rules)
        if any(_arbitrated(world, seen, at) for at in _arbitrations(world, extended)):
            return True
    return False


def guaranteed_literally(history: Iterable[Transaction], rules: frozenset[str]) -> bool:
    """The same, with every visibility that keeps the rules: very slow."""
    for world, extended in _register_worlds(history):
        pairs = [(w, t) for t in sorted(_reading(world)) for w in _writing(world) if w != t]
        for chosen in chain.from_iterable(combinations(pairs, n) for n in range(len(pairs) + 1)):
            seen = set(chosen)
            if seen != _grown(world, seen, rules) or not world.read_from <= seen:
                continue
            if any(_arbitrated(world, seen, at) for at in _arbitrations(world, extended)):
                return True
    return False


def _writing(world: World) -> list[int]:
    return [t for t, txn in enumerate(world.txns) if txn.last_writes()]


def _reading(world: World) -> set[int]:
    return {reader for reader, *_ in world.reads}


def _least(world: World, rules: frozenset[str]) -> set[Pair]:
    """The smallest visibility, pairs of (write, who sees it)."""
    seen = set(world.read_from)
    while (more := _grown(world, seen, rules)) != seen:
        seen = more
    return seen


def _grown(world: World, seen: set[Pair], rules: frozenset[str]) -> set[Pair]:
    """``seen`` and what the rules add to it at once (D. Terry et al., PDIS 1994)."""
    sessions, writing, reading = world.order_of_sessions, set(_writing(world)), _reading(world)
    result = set(seen)
    if "RYW" in rules:
        result |= {(w, t) for w, t in sessions if w in writing}
    if "MR" in rules:
        result |= {(w, t) for w, r in seen for a, t in sessions if a == r}
    if "MW" in rules:
        result |= {(a, t) for w, t in seen for a, b in sessions if b == w and a in writing}
    if "WFR" in rules:
        result |= {(a, t) for w, t in seen for a, b in seen if (b, w) in sessions or b == w}
    return {(w, t) for w, t in result if w != t and t in reading}


def _arbitrations(world: World, extended: set[Pair]) -> Iterator[dict[int, int]]:
    """The total orders of writes that extend this one."""
    return orders(_writing(world), extended)


def _arbitrated(world: World, seen: set[Pair], at: dict[int, int]) -> bool:
    """Whether each read returned the last write that it saw."""
    for reader, _, key, writer in world.reads:
        visible = [w for w in world.writers(key) if (w, reader) in seen]
        if max(visible, key=at.__getitem__, default=INITIAL) != writer:
            return False
    return True
