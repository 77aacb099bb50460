"""Tiny replicated data types with a slow network, correct and with one bug each.

    python -m tests.checkers.convergence_simulated --seeds 1000

A correct type must pass with every seed. A bug shows only where messages cross, so it must be found
with most seeds, and never be called valid by mistake where its final answers are wrong.
"""

from __future__ import annotations

import argparse
import random
import sys
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from harness.core.contracts import CheckContext
from harness.core.verdict import Validity, Verdict
from harness.registry import INSTALLED
from tests.checkers.convergence_rows import Row, build

__all__ = ["BUGS", "CORRECT", "run", "verdict_of"]

_NODES = 3
_READ = "read"


class Replica(Protocol):
    """One replica. ``update`` applies a client's operation and gives its answer, with a message for
    the others; ``deliver`` takes such a message, in any order, once."""

    def update(self, now: int, process: int, f: str, argument: Any) -> tuple[Any, Any]: ...

    def deliver(self, message: Any) -> None: ...

    def read(self, process: int) -> Any: ...


class CounterReplica:
    """Sums of increments and decrements by node; merged by the greater of each."""

    def __init__(self, node: int, *, doubling: bool = False) -> None:
        self.node, self.doubling = node, doubling
        self.sums: dict[tuple[int, int], int] = {}

    def update(self, now: int, process: int, f: str, argument: Any) -> tuple[Any, Any]:
        place = (self.node, 1 if argument >= 0 else -1)
        self.sums[place] = self.sums.get(place, 0) + abs(argument)
        return argument, dict(self.sums)

    def deliver(self, message: Any) -> None:
        for place, amount in message.items():
            mine = self.sums.get(place, 0)
            if self.doubling and place[0] != self.node:
                self.sums[place] = mine + amount
            else:
                self.sums[place] = max(mine, amount)

    def read(self, process: int) -> Any:
        return sum(sign * amount for (_, sign), amount in self.sums.items())


class SetReplica:
    """A set that only grows. The bug: what arrives replaces what was there."""

    def __init__(self, node: int, *, replacing: bool = False) -> None:
        self.replacing = replacing
        self.elements: set[Any] = set()

    def update(self, now: int, process: int, f: str, argument: Any) -> tuple[Any, Any]:
        self.elements.add(argument)
        return argument, set(self.elements)

    def deliver(self, message: Any) -> None:
        self.elements = set(message) if self.replacing else self.elements | message

    def read(self, process: int) -> Any:
        return sorted(self.elements)


class OrSetReplica:
    """Tags of elements, and the tags that were removed. The bug: a removal that arrives takes away
    every tag that the receiver has."""

    def __init__(self, node: int, *, greedy: bool = False, tags: bool = False) -> None:
        self.node, self.greedy, self.tags = node, greedy, tags
        self.alive: dict[str, Any] = {}
        self.removed: set[str] = set()
        self.count = 0

    def update(self, now: int, process: int, f: str, argument: Any) -> tuple[Any, Any]:
        if f == "add":
            self.count += 1
            tag = f"{self.node}.{self.count}"
            self.alive[tag] = argument
            return [argument, tag] if self.tags else argument, ("add", tag, argument)
        taken = sorted(tag for tag, element in self.alive.items() if element == argument)
        self._remove(taken)
        return taken if self.tags else argument, ("remove", taken, argument)

    def deliver(self, message: Any) -> None:
        kind, tags, argument = message
        if kind == "remove":
            mine = [tag for tag, element in self.alive.items() if element == argument]
            self._remove([*tags, *mine] if self.greedy else tags)
        elif tags not in self.removed:
            self.alive[tags] = argument

    def _remove(self, tags: list[str]) -> None:
        self.removed |= set(tags)
        for tag in tags:
            self.alive.pop(tag, None)

    def read(self, process: int) -> Any:
        return sorted(set(self.alive.values()))


class LwwReplica:
    """The value with the greatest time wins, then the greatest node. The bug: times are coarse, and
    of equal ones the later arrival wins."""

    def __init__(self, node: int, *, coarse: bool = False, stamps: bool = False) -> None:
        self.node, self.coarse, self.stamps = node, coarse, stamps
        self.held: tuple[Any, Any] = ((-1, -1), None)

    def update(self, now: int, process: int, f: str, argument: Any) -> tuple[Any, Any]:
        stamp = (now // 40, 0) if self.coarse else (now, self.node)
        self.deliver((stamp, argument))
        answer = [argument, list(stamp)] if self.stamps else argument
        return answer, (stamp, argument)

    def deliver(self, message: Any) -> None:
        if message[0] > self.held[0] or (self.coarse and message[0] == self.held[0]):
            self.held = message

    def read(self, process: int) -> Any:
        return self.held[1]


class MvReplica:
    """Writes with what their writer knew. The bug: a write that arrives overwrites all siblings."""

    known: dict[int, set[Any]]

    def __init__(
        self, node: int, *, shared: dict[int, set[Any]] | None = None, narrow: bool = False
    ) -> None:
        self.narrow = narrow
        self.known = {} if shared is None else shared
        self.writes: dict[Any, frozenset[Any]] = {}

    def update(self, now: int, process: int, f: str, argument: Any) -> tuple[Any, Any]:
        mine = self.known.setdefault(process, set())
        message = (argument, frozenset(mine))
        mine.add(argument)
        self.deliver(message)
        return argument, message

    def deliver(self, message: Any) -> None:
        value, over = message
        if self.narrow:
            self.writes.clear()
        self.writes[value] = over

    def read(self, process: int) -> Any:
        over = frozenset[Any]().union(*self.writes.values())
        found = sorted(set(self.writes) - over)
        self.known.setdefault(process, set()).update(found)
        return found


class RgaReplica:
    """A replicated growable array (Roh et al., JPDC 2011): each element stands after another, and
    of those after the same one the newest comes first. The bug: what arrives last comes first."""

    def __init__(self, node: int, *, careless: bool = False) -> None:
        self.node, self.careless = node, careless
        self.after: dict[Any, list[tuple[int, int, Any]]] = {}
        self.present: set[Any] = {None}
        self.gone: set[Any] = set()
        self.waiting: list[Any] = []
        self.clock = 0

    def update(self, now: int, process: int, f: str, argument: Any) -> tuple[Any, Any]:
        if f == "delete":
            self.gone.add(argument)
            return argument, ("delete", argument, None, None)
        self.clock += 1
        place = self.read(process)
        after = argument["after"] if argument["after"] in place else None
        message = ("insert", argument["element"], after, (self.clock, self.node))
        self.deliver(message)
        return argument, message

    def deliver(self, message: Any) -> None:
        kind, element, after, stamp = message
        if kind == "delete":
            self.gone.add(element)
        elif after not in self.present:
            self.waiting.append(message)
        else:
            self.clock = max(self.clock, stamp[0])
            children = self.after.setdefault(after, [])
            children.insert(0, (*stamp, element))
            if not self.careless:
                children.sort(reverse=True)
            self.present.add(element)
            ready, self.waiting = self.waiting, []
            for one in ready:
                self.deliver(one)

    def read(self, process: int) -> Any:
        found, stack = [], [child[2] for child in reversed(self.after.get(None, []))]
        while stack:
            element = stack.pop()
            found.append(element)
            stack += [child[2] for child in reversed(self.after.get(element, []))]
        return [element for element in found if element not in self.gone]


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """A simulated type, and the checker that judges it."""

    checker: str
    make: Callable[[], list[Replica]]
    functions: Mapping[str, int]
    options: Mapping[str, Any] = field(default_factory=dict)


def _some(kind: Callable[..., Any], **options: Any) -> Callable[[], list[Replica]]:
    return lambda: [kind(node, **options) for node in range(_NODES)]


def _mv(*, narrow: bool) -> list[Replica]:
    shared: dict[int, set[Any]] = {}
    return [MvReplica(node, shared=shared, narrow=narrow) for node in range(_NODES)]


_ADD, _ADD_REMOVE = {"add": 3, "read": 2}, {"add": 3, "remove": 2, "read": 3}
_WRITE, _INSERT = {"write": 3, "read": 2}, {"insert": 4, "delete": 1, "read": 2}
_TAGS, _STAMPS = {"tags": True}, {"timestamps": True}
CORRECT: Mapping[str, Subject] = {
    "pn-counter": Subject(checker="pn-counter", make=_some(CounterReplica), functions=_ADD),
    "g-counter": Subject(checker="g-counter", make=_some(CounterReplica), functions=_ADD),
    "set": Subject(checker="set-full", make=_some(SetReplica), functions=_ADD),
    "converging-set": Subject(checker="convergence", make=_some(SetReplica), functions=_ADD),
    "or-set": Subject(checker="or-set", make=_some(OrSetReplica), functions=_ADD_REMOVE),
    "or-set-tags": Subject(
        checker="or-set",
        make=_some(OrSetReplica, tags=True),
        functions=_ADD_REMOVE,
        options=_TAGS,
    ),
    "lww-register": Subject(checker="lww-register", make=_some(LwwReplica), functions=_WRITE),
    "lww-register-timestamps": Subject(
        checker="lww-register",
        make=_some(LwwReplica, stamps=True),
        functions=_WRITE,
        options=_STAMPS,
    ),
    "mv-register": Subject(checker="mv-register", make=lambda: _mv(narrow=False), functions=_WRITE),
    "sequence": Subject(checker="sequence", make=_some(RgaReplica), functions=_INSERT),
    "converging-sequence": Subject(
        checker="convergence", make=_some(RgaReplica), functions=_INSERT
    ),
}
BUGS: Mapping[str, Subject] = {
    "merging by addition counts twice": Subject(
        checker="pn-counter", make=_some(CounterReplica, doubling=True), functions=_ADD
    ),
    "merging by addition counts increments twice": Subject(
        checker="g-counter", make=_some(CounterReplica, doubling=True), functions=_ADD
    ),
    "what arrives replaces the set": Subject(
        checker="set-full", make=_some(SetReplica, replacing=True), functions=_ADD
    ),
    "what arrives replaces the set, and replicas differ": Subject(
        checker="convergence", make=_some(SetReplica, replacing=True), functions=_ADD
    ),
    "a removal takes tags that it has not observed": Subject(
        checker="or-set", make=_some(OrSetReplica, greedy=True), functions=_ADD_REMOVE
    ),
    "a removal takes tags that it has not observed, and says which": Subject(
        checker="or-set",
        make=_some(OrSetReplica, greedy=True, tags=True),
        functions=_ADD_REMOVE,
        options=_TAGS,
    ),
    "of equal times the later arrival wins": Subject(
        checker="lww-register", make=_some(LwwReplica, coarse=True), functions=_WRITE
    ),
    "what arrives overwrites all siblings": Subject(
        checker="mv-register", make=lambda: _mv(narrow=True), functions=_WRITE
    ),
    "what arrives last comes first": Subject(
        checker="sequence", make=_some(RgaReplica, careless=True), functions=_INSERT
    ),
}


def run(subject: Subject, seed: int, *, operations: int = 40) -> list[Row]:
    """A run of ``subject``: a client at each node, messages that take long and overtake each other,
    answers that get lost, and reads at the end, when all has arrived."""
    source = random.Random(seed)
    replicas = subject.make()
    growing = subject.checker == "g-counter"
    clock = [source.randrange(5) for _ in range(_NODES)]
    process = list(range(_NODES))
    messages: list[tuple[int, int, int, Any]] = []
    rows: list[Row] = []
    fresh = iter(range(10_000))

    def arrive(until: int) -> None:
        for message in sorted(messages):
            if message[0] <= until:
                replicas[message[2]].deliver(message[3])
        messages[:] = [message for message in messages if message[0] > until]

    for number in range(operations):
        node = min(range(_NODES), key=clock.__getitem__)
        call = clock[node]
        at, ret = call + source.randrange(1, 4), call + source.randrange(4, 8)
        clock[node] = ret + source.randrange(1, 6)
        arrive(at)
        f = source.choices([*subject.functions], [*subject.functions.values()])[0]
        lost = f != _READ and source.random() < 0.05
        argument = _argument(source, subject, f, fresh, replicas[node], growing)
        if f == "delete" and argument is None:
            continue
        result = replicas[node].read(process[node]) if f == _READ else None
        if f != _READ and not (lost and source.random() < 0.5):
            replica = replicas[node]
            result, message = replica.update(at, process[node], f, argument)
            if lost and isinstance(replica, MvReplica):
                # What was not acknowledged, its process does not know.
                replica.known[process[node]].discard(argument)
            for other in range(_NODES):
                if other != node:
                    messages.append((at + source.choice((1, 5, 60)), number, other, message))
        rows.append(
            Row(
                process=process[node],
                f=f,
                argument=argument,
                result=result,
                call=call,
                ret=ret,
                outcome="info" if lost else "ok",
                node=f"n{node}",
            )
        )
        if lost:
            process[node] += _NODES
    end = max(clock) + 100
    arrive(end)
    for node in range(_NODES):
        found = replicas[node].read(process[node])
        start = end + 10 * node
        last = Row(
            process=process[node], f=_READ, result=found, call=start, ret=start + 5, node=f"n{node}"
        )
        rows.append(last)
    return rows


def _argument(
    source: random.Random, subject: Subject, f: str, fresh: Any, replica: Replica, growing: bool
) -> Any:
    if f == _READ:
        return None
    if f == "write":
        return next(fresh)
    if f == "insert":
        found = replica.read(-1)
        return {"element": next(fresh), "after": source.choice([None, *found[-3:]])}
    if f == "delete":
        found = replica.read(-1)
        return source.choice(found) if found else None
    if "counter" in subject.checker:
        return source.choice((1, 1, 2, 5) if growing else (1, 1, 2, -1, -3, 5))
    return source.randrange(4) if "remove" in subject.functions else next(fresh)


def verdict_of(subject: Subject, seed: int) -> Verdict:
    """What the checker says of a run."""
    checker = INSTALLED.load("checkers", subject.checker)
    return checker.check(build(run(subject, seed)), CheckContext(options=subject.options))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=1_000)
    given = parser.parse_args()
    wrong = 0
    for name, subject in {**CORRECT, **BUGS}.items():
        counts: Counter[str] = Counter()
        for seed in range(given.seeds):
            verdict = verdict_of(subject, seed)
            counts[verdict.validity.value] += 1
            if name in CORRECT and verdict.validity is not Validity.VALID:
                print(f"{name}, seed {seed}: {verdict.validity.value}: {verdict.sentence}")
                wrong += 1
        print(f"{name}: {dict(sorted(counts.items()))}")
        wrong += name in BUGS and not counts["invalid"]
    print("all as it must be" if not wrong else f"{wrong:,} wrong")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
