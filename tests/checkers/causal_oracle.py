"""Compares the checkers of causality, isolation levels and sessions with the definitions.

Run many: ``python -m tests.checkers.causal_oracle --histories 50000``. A disagreement is printed
with the seed that makes the history again.
"""

from __future__ import annotations

import argparse
import random
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import msgspec

from checkers import lattice
from checkers.causal import Causal
from checkers.causal.levels import judge_levels
from checkers.sessions import Sessions
from checkers.transactions.columns import Unsupported, ingest
from harness.core.contracts import CheckContext
from harness.core.history import History
from harness.core.operation import Event
from harness.core.verdict import Verdict
from tests.checkers import causal_definitions as definitions
from tests.checkers.causal_definitions import GUARANTEES, Transaction

__all__ = [
    "PROPERTIES",
    "compare",
    "disagreements",
    "draw_registers",
    "draw_transactions",
    "history_of",
]

Known = tuple[frozenset[str], frozenset[str]]
"""The models that a checker says hold, and those that it rules out."""

_GENEROUS = CheckContext(time_limit_s=1e9)


def history_of(txns: Sequence[Transaction], *, realtime: bool = True) -> History:
    """The history of ``txns``, each of which ends before the next begins; single operations are
    plain reads and writes. A session goes on under a new process after an indeterminate one."""
    events: list[Event] = []
    for number, txn in enumerate(txns):
        single = len(txn.operations) == 1
        kind, key, value = txn.operations[0] if single else ("", None, None)
        f = {"r": "read", "w": "write"}[kind] if single else "txn"
        asked = None if kind == "r" else value
        whole = [list(one) for one in txn.operations]
        requested = [[k, x, None if k == "r" else v] for k, x, v in txn.operations]
        first = Event(
            index=2 * number,
            time=2 * number,
            process=txn.session,
            type="invoke",
            f=f,
            key=key,
            value=asked if single else requested,
        )
        answer = (value, whole) if txn.outcome == "ok" else (asked, requested)
        last = msgspec.structs.replace(
            first,
            index=2 * number + 1,
            time=2 * number + 1,
            type=txn.outcome,
            value=answer[0] if single else answer[1],
        )
        events += [first, last]
    return History.from_events(events, realtime=realtime)


def draw_registers(source: random.Random, *, longest: int = 6) -> list[Transaction]:
    """A tiny history of single reads and writes."""
    return _draw(source, longest=longest, single=True)


def draw_transactions(source: random.Random, *, longest: int = 5) -> list[Transaction]:
    """A tiny history of transactions of one to three operations."""
    return _draw(source, longest=longest, single=False)


def _draw(source: random.Random, *, longest: int, single: bool) -> list[Transaction]:
    """A tiny history. Each session has a replica, to which writes come late and in any order; which
    of them it shows depends on when they came, or on a stamp of each. Some replicas wait for what a
    write depends on, some change their mind about writes that do not depend on each other, and some
    reads are not even of a replica: they return anything that was ever written to the key."""
    keys = "xyz"[: source.choice((1, 1, 2, 3))]
    stamped, patient, fickle = (source.random() < 0.5 for _ in range(3))
    replicas = [
        _Replica(stamped, patient, fickle) for _ in range(source.choice((1, 2, 2, 2, 3, 4)))
    ]
    process = list(range(len(replicas)))
    wildness = source.choice((0.0, 0.0, 0.1, 1.0))
    certain = source.choice((1.0, 1.0, 0.9))
    values = 3 if source.random() < 0.05 else 1_000
    shapes = [
        1 if single else source.randint(1, 3) for _ in range(source.randint(longest - 3, longest))
    ]
    plans = [[(source.choice("rrw"), source.choice(keys)) for _ in range(size)] for size in shapes]
    swaps = single and source.random() < 0.2
    # A compare-and-set is a read and a write at once.
    plans = [[("r", k), *p] if swaps and f == "w" else p for p in plans for f, k in p[:1]]
    later = [
        (key, source.randint(1, 3) if values == 3 else number)
        for number, key in enumerate((k for plan in plans for f, k in plan if f == "w"), 1)
    ]
    written: list[_Write] = []
    txns: list[Transaction] = []
    number = 0
    for plan in plans:
        who = source.randrange(len(replicas))
        replica = replicas[who]
        for write in source.sample(written, source.randint(0, len(written))):
            replica.receive(write)
        outcome = "ok" if source.random() < certain else source.choice(("info", "fail"))
        micro: list[tuple[str, str, int | None]] = []
        own: dict[str, int | None] = {}
        for f, key in plan:
            if f == "w":
                own[key] = later[number][1]
                number += 1
                micro.append((f, key, own[key]))
            elif source.random() < wildness:
                among = [None, *(value for one, value in later if one == key)]
                micro.append((f, key, source.choice(among)))
            else:
                micro.append((f, key, own.get(key, replica.shown(key))))
        if own and (outcome != "fail" or source.random() < 0.2):
            written.append(_Write(own, source.random(), tuple(replica.received)))
            replica.receive(written[-1])
        txns.append(Transaction(session=process[who], operations=tuple(micro), outcome=outcome))
        if outcome == "info":
            process[who] += len(replicas)
    return txns


@dataclass(frozen=True, slots=True, eq=False)
class _Write:
    values: Mapping[str, int | None]
    stamp: float
    after: tuple[_Write, ...]


class _Replica:
    """What one session sees."""

    def __init__(self, stamped: bool, patient: bool, fickle: bool) -> None:
        self._stamped, self._patient, self._fickle = stamped, patient, fickle
        self.received: list[_Write] = []
        self._shown: dict[str, _Write] = {}

    def receive(self, write: _Write) -> None:
        if write in self.received and not self._fickle:
            return
        if self._patient:
            if any(write in one.after for one in self.received):
                return
            for one in write.after:
                if one not in self.received:
                    self.receive(one)
        if write not in self.received:
            self.received.append(write)
        for key in write.values:
            held = self._shown.get(key)
            if held is None or not self._stamped or held.stamp < write.stamp:
                self._shown[key] = write

    def shown(self, key: str) -> int | None:
        return self._shown[key].values[key] if key in self._shown else None


# --- what the checkers say ------------------------------------------------------------------


def _of(verdict: Verdict) -> Known | None:
    if "holds" not in verdict.details:
        assert verdict.reason in ("unsupported", "vacuous", "memory"), verdict.sentence
        return None
    return frozenset(verdict.details["holds"]), frozenset(verdict.details["ruled_out"])


def _levels(history: History) -> Known | None:
    try:
        report = judge_levels(ingest(history))
    except Unsupported:
        return None
    held = frozenset[str]().union(*(lattice.implied(model) for model in report.holds))
    return held, lattice.ruled_out(report.counts)


def _checked(checker: Causal | Sessions, history: History) -> Known | None:
    return _of(checker.check(history, _GENEROUS))


Property = tuple[
    bool,
    bool,
    Callable[[History], "Known | None"],
    Mapping[str, Callable[[Sequence[Transaction]], bool]],
]

PROPERTIES: Mapping[str, Property] = {
    # Whether single operations only, whether with real time, who judges, and the definitions.
    "levels": (
        False,
        True,
        _levels,
        {
            "read-committed": definitions.adya_read_committed,
            "monotonic-atomic-view": partial(definitions.committed, level="monotonic-atomic-view"),
            "read-atomic": partial(definitions.committed, level="read-atomic"),
            "causal": partial(definitions.committed, level="causal"),
        },
    ),
    "levels-of-sessions": (
        False,
        False,
        _levels,
        {
            level: partial(definitions.committed, level=level)
            for level in ("read-committed", "read-atomic", "causal")
        },
    ),
    "registers": (
        True,
        True,
        partial(_checked, Causal()),
        {
            "causal": definitions.causal,
            "causal-memory": definitions.memory,
            "causal-convergence": definitions.convergent,
        },
    ),
    "sessions": (
        True,
        True,
        partial(_checked, Sessions()),
        {
            model: partial(definitions.guaranteed, rules=rules)
            for model, rules in GUARANTEES.items()
        },
    ),
}
"""What is compared, by name."""


def _contradictory(txns: Sequence[Transaction]) -> bool:
    """Whether a transaction does not see its own write: some models do not mind (Elle)."""
    for txn in txns:
        own: dict[str, int | None] = {}
        for kind, key, value in txn.operations:
            if kind == "w":
                own[key] = value
            elif txn.outcome == "ok" and own.get(key, value) != value:
                return True
    return False


def compare(name: str, txns: Sequence[Transaction], told: Counter[str]) -> list[str]:
    """Where the property called ``name`` is told of ``txns`` as the definition does not have it.
    ``told`` counts the answers: a comparison that never sees both is none."""
    _, realtime, judge, models = PROPERTIES[name]
    known = judge(history_of(txns, realtime=realtime))
    if known is None:
        told["not decided"] += 1
        return []
    held, fallen = known
    wrong = []
    for model, holds in models.items():
        truth = holds(txns)
        answers = {(True, False): True, (False, True): False}
        answer = answers.get((model in held, model in fallen))
        told[f"{model}: {answer}"] += 1
        # Elle's internal anomaly leaves open what is weaker than read atomic.
        if answer is not truth and not (answer is None and _contradictory(txns)):
            wrong.append(f"{name}: {model} is {truth}, the checker says {answer}")
    return wrong


def disagreements(name: str, seed: int, told: Counter[str], *, longest: int = 5) -> Iterator[str]:
    """What :func:`compare` finds about one random history."""
    source = random.Random(f"{name}/{seed}")
    single = PROPERTIES[name][0]
    draw = draw_registers if single else draw_transactions
    txns = draw(source, longest=longest + single)
    for line in compare(name, txns, told):
        yield "\n    ".join([f"seed {seed}: {line}", *map(str, txns)])


def main(arguments: Sequence[str] | None = None) -> int:
    """Compare many histories. 1: somewhere they disagree."""
    parser = argparse.ArgumentParser(prog="python -m tests.checkers.causal_oracle")
    parser.add_argument("--histories", type=int, default=2_000, help="of each property")
    parser.add_argument("--seed", type=int, default=0, help="the first")
    parser.add_argument("--only", choices=sorted(PROPERTIES), action="append")
    parser.add_argument("--longest", type=int, default=5, help="transactions")
    chosen = parser.parse_args(arguments)
    bad = 0
    for name in chosen.only or PROPERTIES:
        start = time.process_time()
        told: Counter[str] = Counter()
        for seed in range(chosen.seed, chosen.seed + chosen.histories):
            for line in disagreements(name, seed, told, longest=chosen.longest):
                print(line)
                bad += 1
            if bad >= _SHOWN_MAX:
                return 1
        print(f"{name}: {chosen.histories:,} histories, {time.process_time() - start:.0f} s of CPU")
        for answer, count in sorted(told.items()):
            print(f"    {answer:<40} {count:>8,}")
    return 1 if bad else 0


_SHOWN_MAX = 5

if __name__ == "__main__":
    sys.exit(main())
