"""Causal consistency, sessions and weak isolation by their definitions, on tiny histories.

    python -m tests.checkers.causal_oracle --histories 50000 [--seed N]

compares the checkers with a brute force that shares nothing with them: it tries every commit order
(or, for CC and CM, every order of what one operation may know) against the definitions of
Bouajjani et al. (POPL 2017, 3), Biswas & Enea (OOPSLA 2019, 2.3) and Viotti & Vukolic (2016, 3.4).
"""

from __future__ import annotations

import argparse
import random
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import permutations
from typing import Any

from checkers.causal import Causal
from checkers.causal.levels import judge_levels
from checkers.sessions import Sessions
from checkers.transactions.columns import ingest
from harness.core.contracts import CheckContext
from harness.core.history import History
from harness.core.operation import Event

__all__ = ["Transaction", "compare", "draw_registers", "draw_transactions", "history_of"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Transaction:
    """A session's transaction: micro-operations ``("r" | "w", key, value)``."""

    session: int
    operations: tuple[tuple[str, str, int | None], ...]

    @property
    def writes(self) -> dict[str, int | None]:
        """The last value that it wrote to each key."""
        return {key: value for f, key, value in self.operations if f == "w"}

    def external(self) -> Iterator[tuple[int, str, int | None]]:
        """Reads of keys that it had not written: place, key and value."""
        written: set[str] = set()
        for place, (f, key, value) in enumerate(self.operations):
            if f == "w":
                written.add(key)
            elif key not in written:
                yield place, key, value


def history_of(transactions: Sequence[Transaction], *, realtime: bool = False) -> History:
    """The history in which each transaction is alone in time."""
    events: list[Event] = []
    for one in transactions:
        value = [list(operation) for operation in one.operations]
        for kind in ("invoke", "ok"):
            events.append(
                Event(
                    index=len(events),
                    time=len(events),
                    process=one.session,
                    type=kind,
                    f="txn",
                    value=value,
                )
            )
    return History.from_events(events, realtime=realtime)


Relation = set[tuple[int, int]]


def closed(pairs: Iterable[tuple[int, int]]) -> Relation:
    """The transitive closure."""
    relation = set(pairs)
    while True:
        more = {(a, d) for a, b in relation for c, d in relation if b == c} - relation
        if not more:
            return relation
        relation |= more


@dataclass(frozen=True, slots=True)
class Facts:
    """Session order and reads-from of transactions, None where a read has no writer."""

    session: Relation
    reads: tuple[tuple[int, int, str, int | None], ...]
    """Reader, place, key and writer (None: the initial state)."""


def facts_of(transactions: Sequence[Transaction]) -> Facts | None:
    """None: some read returned what no transaction left behind, or contradicts its own."""
    session = {
        (a, b)
        for a in range(len(transactions))
        for b in range(a + 1, len(transactions))
        if transactions[a].session == transactions[b].session
    }
    reads: list[tuple[int, int, str, int | None]] = []
    for number, one in enumerate(transactions):
        own: dict[str, int | None] = {}
        for f, key, value in one.operations:
            if f == "w":
                own[key] = value
            elif key in own and own[key] != value:
                return None
        for place, key, value in one.external():
            if value is None:
                reads.append((number, place, key, None))
                continue
            writers = [
                w
                for w, other in enumerate(transactions)
                if w != number and other.writes.get(key) == value
            ]
            if len(writers) != 1:
                return None
            reads.append((number, place, key, writers[0]))
    return Facts(session, tuple(reads))


Sees = Callable[[int, int, int], bool]
"""Whether transaction ``a`` is visible to the read at ``place`` of transaction ``b``."""


def some_commit_order(
    transactions: Sequence[Transaction], facts: Facts, sees: Callable[[Facts], Sees]
) -> bool:
    """Whether a total order extends sessions and reads-from, and no visible write lies between the
    writer of a read (or the beginning) and the reader."""
    visible = sees(facts)
    base = facts.session | {(w, r) for r, _, _, w in facts.reads if w is not None}
    writers: dict[str, list[int]] = {}
    for number, one in enumerate(transactions):
        for key in one.writes:
            writers.setdefault(key, []).append(number)
    for order in permutations(range(len(transactions))):
        at = {one: place for place, one in enumerate(order)}
        if any(at[a] > at[b] for a, b in base):
            continue
        if all(
            other in (w, reader)
            or not visible(other, reader, place)
            or (w is not None and at[other] < at[w])
            for reader, place, key, w in facts.reads
            for other in writers.get(key, ())
        ):
            return True
    return False


def wr(facts: Facts) -> Relation:
    return {(w, r) for r, _, _, w in facts.reads if w is not None}


def past(facts: Facts) -> Sees:
    relation = closed(facts.session | wr(facts))
    return lambda a, b, place: (a, b) in relation


def atomic(facts: Facts) -> Sees:
    relation = facts.session | wr(facts)
    return lambda a, b, place: (a, b) in relation


def committed(facts: Facts) -> Sees:
    return lambda a, b, place: any(
        r == b and w == a and where < place for r, where, _, w in facts.reads
    )


def own(facts: Facts) -> Sees:
    return lambda a, b, place: (a, b) in facts.session


def read_before(facts: Facts) -> Sees:
    relation = {(a, d) for a, b in wr(facts) for c, d in facts.session if b == c}
    return lambda a, b, place: (a, b) in relation


def writers(facts: Facts) -> Sees:
    relation = {(a, d) for a, b in facts.session for c, d in wr(facts) if b == c}
    return lambda a, b, place: (a, b) in relation


def pram(facts: Facts) -> Sees:
    read = wr(facts)
    before = read | {(a, d) for a, b in facts.session for c, d in read if b == c}
    after = before | {(a, d) for a, b in before for c, d in facts.session if b == c}
    relation = after | facts.session
    return lambda a, b, place: (a, b) in relation


def nothing(facts: Facts) -> Sees:
    return lambda a, b, place: False


def explains(
    transactions: Sequence[Transaction],
    order: Sequence[int],
    reads: set[tuple[int, str]],
) -> bool:
    """Whether a sequence of operations on registers returns what these reads returned."""
    state: dict[str, int | None] = {}
    for one in order:
        for f, key, value in transactions[one].operations:
            if f == "w":
                state[key] = value
            elif (one, key) in reads and state.get(key) != value:
                return False
    return True


def sequences(members: Sequence[int], relation: Relation) -> Iterator[tuple[int, ...]]:
    """The orders of ``members`` that respect ``relation``."""
    for order in permutations(members):
        at = {one: place for place, one in enumerate(order)}
        if all(at[a] < at[b] for a, b in relation if a in at and b in at):
            yield order


def weakly_causal(transactions: Sequence[Transaction], facts: Facts) -> bool:
    """CC: some causality order explains every operation by its own past (its result alone)."""
    relation = closed(facts.session | wr(facts))
    if any(a == b for a, b in relation):
        return False
    return all(
        any(
            explains(transactions, order, {(reader, key)})
            for order in sequences(_knows(reader, relation), relation)
        )
        for reader, _, key, _ in facts.reads
    )


def causal_memory(transactions: Sequence[Transaction], facts: Facts) -> bool:
    """CM: the same, but the results of all earlier operations of the session are explained too."""
    relation = closed(facts.session | wr(facts))
    if any(a == b for a, b in relation):
        return False
    for last in range(len(transactions)):
        mine = {a for a, b in facts.session if b == last} | {last}
        results = {(r, key) for r, _, key, _ in facts.reads if r in mine}
        if results and not any(
            explains(transactions, order, results)
            for order in sequences(_knows(last, relation), relation)
        ):
            return False
    return True


def _knows(one: int, relation: Relation) -> list[int]:
    return [*(a for a, b in relation if b == one), one]


ORDERED: dict[str, Callable[[Facts], Sees]] = {
    "read-your-writes": own,
    "monotonic-reads": read_before,
    "monotonic-writes": writers,
    "pram": pram,
    "causal-convergence": past,
}


def draw_registers(source: random.Random) -> list[Transaction]:
    """A tiny history of single reads and writes of unique values."""
    return _draw(source, lambda: 1, count=source.randint(2, 6))


def draw_transactions(source: random.Random) -> list[Transaction]:
    """A tiny history of transactions of one to three operations."""
    return _draw(source, lambda: source.randint(1, 3), count=source.randint(2, 5))


def _draw(source: random.Random, length: Callable[[], int], *, count: int) -> list[Transaction]:
    sessions = source.randint(1, 3)
    keys = "xyz"[: source.randint(1, 3)]
    shapes = [
        (
            source.randrange(sessions),
            [(source.choice("rw"), source.choice(keys)) for _ in range(length())],
        )
        for _ in range(count)
    ]
    value = 0
    written: dict[str, list[int]] = {key: [] for key in keys}
    valued: list[tuple[int, list[list[Any]]]] = []
    for session, shape in shapes:
        operations: list[list[Any]] = []
        for f, key in shape:
            if f == "w":
                value += 1
                written[key].append(value)
            operations.append([f, key, value if f == "w" else None])
        valued.append((session, operations))
    for _, operations in valued:
        seen: dict[str, Any] = {}
        for operation in operations:
            f, key, _ = operation
            if f == "r":
                likely = key in seen and source.random() < 0.8
                choice = source.choice([None, *written[key]])
                operation[2] = seen[key] if likely else choice
            seen[key] = operation[2]
    return [
        Transaction(session=session, operations=tuple((f, key, one) for f, key, one in operations))
        for session, operations in valued
    ]


def compare(transactions: Sequence[Transaction], tally: Counter[str]) -> list[str]:
    """Where checkers and definitions disagree about ``transactions``."""
    facts = facts_of(transactions)
    if facts is None:
        tally["without reads-from"] += 1
        return []
    history = history_of(transactions)
    wrong = []
    single = all(len(one.operations) == 1 for one in transactions)
    base = some_commit_order(transactions, facts, nothing)
    expected = {
        name: base and some_commit_order(transactions, facts, sees)
        for name, sees in ORDERED.items()
    }
    levels = {
        "causal": expected["causal-convergence"],
        "read-atomic": some_commit_order(transactions, facts, atomic),
        "read-committed": some_commit_order(transactions, facts, committed),
    }
    repeatable = _repeatable(transactions)
    if not repeatable:
        levels["causal"] = levels["read-atomic"] = False
    report = judge_levels(ingest(history))
    for name, holds in levels.items():
        tally[f"{name} {'holds' if holds else 'broken'}"] += 1
        if holds != (name in report.holds):
            wrong.append(f"{name}: {holds} by definition; checker: {sorted(report.holds)}")
    if single:
        expected_memory = {
            "causal": weakly_causal(transactions, facts),
            "causal-memory": causal_memory(transactions, facts),
            "causal-convergence": expected["causal-convergence"],
        }
        wrong += _against(Causal(), history, expected_memory, tally)
        wrong += _against(Sessions(), history, {**expected, "writes-follow-reads": base}, tally)
    return wrong


def _repeatable(transactions: Sequence[Transaction]) -> bool:
    """Whether no transaction read two values of a key that it had not written."""
    for one in transactions:
        seen: dict[str, int | None] = {}
        for _, key, value in one.external():
            if seen.setdefault(key, value) != value:
                return False
    return True


def _against(
    checker: Causal | Sessions, history: History, expected: dict[str, bool], tally: Counter[str]
) -> list[str]:
    verdict = checker.check(history, CheckContext())
    wrong = []
    if "holds" not in verdict.details and any(expected.values()):
        return [] if verdict.reason == "vacuous" else [f"{checker.name}: {verdict.sentence}"]
    for name, holds in expected.items():
        tally[f"{checker.name}: {name} {'holds' if holds else 'broken'}"] += 1
        found = name in verdict.details.get("holds", ())
        fell = name in verdict.details.get("ruled_out", ())
        if holds != found or holds == fell:
            wrong.append(f"{checker.name}: {name} is {holds}; holds {found}, ruled out {fell}")
    return wrong


def main() -> int:
    """Compare many histories. 1: somewhere they disagree."""
    parser = argparse.ArgumentParser(prog="python -m tests.checkers.causal_oracle")
    parser.add_argument("--histories", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    tally: Counter[str] = Counter()
    for seed in range(options.seed, options.seed + options.histories):
        source = random.Random(seed)
        draw = draw_registers if seed % 2 else draw_transactions
        transactions = draw(source)
        for text in compare(transactions, tally):
            print(f"seed {seed}: {text}")
            for one in transactions:
                print(f"    {one.session}: {one.operations}")
            return 1
    for name, count in sorted(tally.items()):
        print(f"{name:<48} {count:>8,}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
