"""Causal consistency, session guarantees and weak isolation."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from checkers.causal import Causal, memory
from checkers.causal.reads import reads_from
from checkers.causal.visibility import Visibility, causal_order, orders
from checkers.sessions import Sessions
from checkers.transactions.columns import ingest
from harness.core import kernels
from harness.core.contracts import CheckContext
from harness.core.history import History
from harness.core.operation import Event
from harness.core.verdict import Validity, Verdict
from tests.checkers.causal_definitions import (
    GUARANTEES,
    Transaction,
    guaranteed,
    guaranteed_literally,
)
from tests.checkers.causal_oracle import (
    PROPERTIES,
    disagreements,
    draw_registers,
    draw_transactions,
    history_of,
)


def registers(*lines: str) -> History:
    """Single operations, one a line, in order of invocation: ``0 w x 1`` or ``1 r x -``."""
    transactions = []
    for line in lines:
        session, f, key, value = line.split()
        operation = (f, key, None if value == "-" else int(value))
        transactions.append(Transaction(session=int(session), operations=(operation,)))
    return history_of(transactions)


def causal(*lines: str, asked: str | None = None) -> Verdict:
    """The verdict of the checker of causal consistency."""
    return Causal().check(registers(*lines), CheckContext(consistency_model=asked))


def sessions(*lines: str, asked: str | None = None) -> Verdict:
    """The verdict of the checker of session guarantees."""
    return Sessions().check(registers(*lines), CheckContext(consistency_model=asked))


def test_each_bad_pattern_is_found_and_its_neighbour_is_not() -> None:
    """The histories of Bouajjani et al. (2017, Fig. 3 and 5), and the bad patterns one by one."""
    fork = ("0 w x 1", "1 w x 2", "0 r x 2", "1 r x 1")
    found = causal(*fork)
    assert found.details["holds"] == ["causal", "causal-memory"]
    assert set(found.details["anomaly_counts"]) == {"CyclicCF"}
    assert causal(*fork, asked="ccv").validity is Validity.INVALID
    assert causal(*fork, asked="cm").validity is Validity.VALID

    # CCv, but no process alone can order what it saw (Fig. 3a).
    memory = ("0 w z 1", "0 w x 1", "0 w y 1", "1 w x 2", "1 r z -", "1 r y 1", "1 r x 2")
    found = causal(*memory)
    assert found.details["holds"] == ["causal", "causal-convergence"]
    assert "CyclicHB" in found.details["anomaly_counts"] or (
        "WriteHBInitRead" in found.details["anomaly_counts"]
    )

    stale = ("0 w x 1", "0 w y 1", "1 r y 1", "1 r x -")
    assert set(causal(*stale).details["anomaly_counts"]) >= {"WriteCOInitRead"}
    assert causal(*stale[:3], "1 r x 1").validity is Validity.VALID

    overwritten = ("0 w x 1", "0 w x 2", "1 r x 2", "1 r x 1")
    found = causal(*overwritten)
    assert found.validity is Validity.INVALID
    assert "WriteCORead" in found.details["anomaly_counts"]

    assert set(causal("0 r x 7").details["anomaly_counts"]) == {"ThinAirRead"}
    cyclic = ("0 r x 1", "0 w y 1", "1 r y 1", "1 w x 1")
    assert "CyclicCO" in causal(*cyclic).details["anomaly_counts"]


@pytest.mark.parametrize(
    ("model", "lines"),
    [
        ("read-your-writes", ("0 w x 1", "1 w x 2", "1 r x 2", "0 w x 3", "0 r x 1")),
        ("read-your-writes", ("0 w x 1", "0 r x -")),
        ("monotonic-reads", ("0 w x 1", "0 w x 2", "1 r x 2", "1 r x 1")),
        ("monotonic-reads", ("0 w x 1", "1 r x 1", "1 r x -")),
        ("pram", ("0 w x 1", "0 w y 1", "1 r y 1", "1 r x -")),
        ("causal-convergence", ("0 w x 1", "1 r x 1", "1 w y 1", "2 r y 1", "2 r x -")),
    ],
)
def test_each_guarantee_is_broken_by_the_operations_named(
    model: str, lines: tuple[str, ...]
) -> None:
    """The one asked for falls, with a witness that breaks it by itself; weaker ones stand."""
    verdict = sessions(*lines, asked=model)
    assert verdict.validity is Validity.INVALID
    witness = set(verdict.anomalies[0].operations)
    kept = [line for number, line in enumerate(lines) if 2 * number in witness]
    assert sessions(*kept, asked=model).validity is Validity.INVALID
    assert sessions(*lines[:-1], asked=model).validity is not Validity.INVALID


def test_two_guarantees_may_fall_only_together() -> None:
    """Neither monotonic reads nor monotonic writes is refuted, but both at once are."""
    verdict = sessions("0 w x 1", "0 w y 1", "1 r y 1", "1 r x -")
    assert verdict.details["weakest_ruled_out"] == ["pram"]
    assert {"monotonic-reads", "monotonic-writes"} <= set(verdict.details["holds"])


@pytest.mark.parametrize("name", sorted(PROPERTIES))
def test_checkers_agree_with_the_definitions(name: str) -> None:
    """On tiny histories, with what is indeterminate, failed, or written twice: every model."""
    told: Counter[str] = Counter()
    for seed in range(400):
        assert not list(disagreements(name, seed, told))
    for model in PROPERTIES[name][3]:
        assert told[f"{model}: True"], f"{model} never holds"
        assert told[f"{model}: False"], f"{model} never falls"


@pytest.mark.skipif(kernels.NATIVE is None, reason="compares with the extension")
@pytest.mark.parametrize("seed", range(60))
def test_the_kernel_says_what_its_twin_says(seed: int) -> None:
    """Compiled, and by definition: the same writes come before the same others, directly or by
    others, and the same reads of the initial state are too early."""
    source = random.Random(seed)
    transactions = _unique(draw_transactions(source, longest=14))
    reads = reads_from(ingest(history_of(transactions)))
    order, twin = causal_order(reads), causal_order(reads, native=None)
    assert len(order) == len(twin)
    if len(order) < len(reads.session):
        return
    for visibility in Visibility:
        compiled = orders(reads, visibility, order)
        defined = orders(reads, visibility, twin, native=None)
        assert _closure(reads, compiled) == _closure(reads, defined), (seed, visibility)
        assert set(compiled.initial_read.tolist()) == set(defined.initial_read.tolist())


def _unique(transactions: list[Transaction]) -> list[Transaction]:
    """The transactions without those that write a value a second time."""
    seen: set[tuple[str, Any]] = set()
    kept = []
    for one in transactions:
        written = {(key, value) for f, key, value in one.operations if f == "w"}
        if not written & seen:
            seen |= written
            kept.append(one)
    return kept


def _closure(reads: Any, found: Any) -> set[tuple[int, int]]:
    count = len(reads.session)
    reach = np.zeros((count, count), dtype=bool)
    for before, read in zip(found.before.tolist(), found.read.tolist(), strict=True):
        reach[before, reads.writer[read]] = True
    for row in range(len(reads.reader)):
        if reads.writer[row] >= 0:
            reach[reads.writer[row], reads.reader[row]] = True
    for one in range(count):
        for other in range(one + 1, count):
            if reads.session[one] == reads.session[other]:
                reach[one, other] = True
    for middle in range(count):
        reach |= np.outer(reach[:, middle], reach[middle])
    return set(zip(*(places.tolist() for places in np.nonzero(reach)), strict=True))


@pytest.mark.skipif(kernels.NATIVE is None, reason="the twin holds no clocks")
@pytest.mark.parametrize("ints", [1, 7, 40])
def test_clocks_in_parts_are_the_clocks(ints: int) -> None:
    """However few clocks fit into memory at a time, the answer is the same."""
    for seed in range(100 * ints, 100 * ints + 100):
        transactions = _unique(draw_registers(random.Random(seed), longest=30))
        reads = reads_from(ingest(history_of(transactions)))
        order = causal_order(reads)
        if len(order) == len(reads.session):
            break
    assert len(order) == len(reads.session), "no seed has a causal order"
    columns = (
        reads.session,
        reads.reader,
        reads.key,
        reads.writer,
        reads.write_node,
        reads.write_key,
    )
    assert kernels.NATIVE is not None
    answers = [
        kernels.NATIVE.causal_edges(
            *columns, reads.sessions, reads.keys, 0, np.ascontiguousarray(order), room, 1 << 20
        )
        for room in (ints, 1 << 20)
    ]
    rows = [
        sorted(map(tuple, np.frombuffer(answer[1], dtype=np.int32).reshape(-1, 3).tolist()))
        for answer in answers
    ]
    assert rows[0] == rows[1]


def test_the_kernel_refuses_what_is_no_history() -> None:
    """Columns from outside are never trusted."""
    if kernels.NATIVE is None:
        pytest.skip("needs the extension")
    some = np.zeros(1, dtype=np.int32)
    for columns in (
        (some, some + 5, some, some, some, some),
        (some, some, some, some + 9, some, some),
        (some, some, some + 9, some, some, some),
        (some + 3, some, some, some, some, some),
        (some, np.zeros(2, dtype=np.int32), some, some, some, some),
    ):
        with pytest.raises(ValueError, match=r"number|columns"):
            kernels.NATIVE.causal_edges(*columns, 1, 1, 0, some, 10, 10)


@pytest.mark.parametrize("seed", range(40))
def test_names_and_unconcerned_keys_do_not_matter(seed: int) -> None:
    """Other processes, other keys, other values and one more key change no verdict."""
    transactions = draw_registers(random.Random(seed))
    other = [
        replace(
            one,
            session=9 - one.session,
            operations=tuple(
                (f, key + key, None if value is None else value + 100)
                for f, key, value in one.operations
            ),
        )
        for one in transactions
    ]
    more = [*transactions, Transaction(session=99, operations=(("w", "other", 1),))]
    verdicts = [
        Causal().check(history_of(each), CheckContext()) for each in (transactions, other, more)
    ]
    assert len({verdict.validity for verdict in verdicts}) == 1
    assert verdicts[0].details.get("holds") == verdicts[1].details.get("holds")


def replicated(source: random.Random, *, bug: str) -> History:
    """A store of two replicas that apply writes in causal order; with a ``bug``, in that of
    arrival, or each process asks another replica at every read."""
    log: list[tuple[str, int, set[int]]] = []
    applied: list[list[int]] = [[], []]
    transactions = []
    for number in range(150):
        session = source.randrange(4)
        replica = session % 2
        if bug == "roaming":
            replica = source.randrange(2)
        key = source.choice("xyz")
        if source.random() < 0.4:
            log.append((key, number + 1, set(applied[replica])))
            applied[replica].append(len(log) - 1)
            transactions.append(Transaction(session=session, operations=(("w", key, number + 1),)))
        else:
            seen = [log[one][1] for one in applied[replica] if log[one][0] == key]
            # Later in the log wins, so that replicas agree on the order of concurrent writes.
            value = max(seen, default=None)
            transactions.append(Transaction(session=session, operations=(("r", key, value),)))
        for target in (0, 1):
            ready = [
                one
                for one in range(len(log))
                if one not in applied[target]
                and (bug == "unordered" or log[one][2] <= set(applied[target]))
            ]
            if ready and source.random() < 0.15:
                applied[target].append(ready[-1] if bug == "unordered" else source.choice(ready))
    return history_of(transactions)


@pytest.mark.parametrize("bug", ["unordered", "roaming"])
def test_planted_bugs_are_found_and_the_correct_store_passes(bug: str) -> None:
    """A store that applies effects before causes, and one whose clients wander, within 20 seeds."""
    found = 0
    for seed in range(20):
        right = Causal().check(replicated(random.Random(seed), bug=""), CheckContext())
        assert right.validity is not Validity.INVALID, f"seed {seed}: {right.sentence}"
        wrong = Sessions().check(replicated(random.Random(seed), bug=bug), CheckContext())
        found += wrong.validity is Validity.INVALID
    assert found > 5


def test_ambiguous_values_are_refused_and_nothing_read_is_vacuous() -> None:
    """Neither is a pass."""
    twice = causal("0 w x 1", "1 w x 1", "2 r x 1")
    assert (twice.validity, twice.reason) == (Validity.UNKNOWN, "unsupported")
    assert "write each value" in twice.sentence
    nothing = causal("0 w x 1")
    assert (nothing.validity, nothing.reason) == (Validity.UNKNOWN, "vacuous")


def test_a_write_of_unknown_outcome_counts_only_when_it_was_read() -> None:
    """Nobody must have seen it; whoever did sees it still."""
    events = [
        Event(index=0, time=0, process=0, type="invoke", f="write", key="x", value=1),
        Event(index=1, time=1, process=0, type="info", f="write", key="x", value=1),
        Event(index=2, time=2, process=1, type="invoke", f="read", key="x", value=None),
        Event(index=3, time=3, process=1, type="ok", f="read", key="x", value=None),
    ]
    assert Causal().check(History.from_events(events), CheckContext()).validity is Validity.VALID
    events += [
        Event(index=4, time=4, process=1, type="invoke", f="read", key="x", value=None),
        Event(index=5, time=5, process=1, type="ok", f="read", key="x", value=1),
        Event(index=6, time=6, process=1, type="invoke", f="read", key="x", value=None),
        Event(index=7, time=7, process=1, type="ok", f="read", key="x", value=None),
    ]
    assert Causal().check(History.from_events(events), CheckContext()).validity is Validity.INVALID


@pytest.mark.parametrize("draw", [draw_registers, draw_transactions])
def test_the_smallest_visibility_is_enough(draw: Callable[..., list[Transaction]]) -> None:
    """Whether an order of writes explains the reads does not change when every visibility that
    keeps a guarantee is tried."""
    broken = 0
    for seed in range(400):
        history = draw(random.Random(seed), longest=4)
        writing = sum(bool(one.last_writes()) for one in history)
        if writing * (len(history) - 1) > 8:
            continue
        for rules in GUARANTEES.values():
            literal = guaranteed_literally(history, rules)
            assert guaranteed(history, rules) == literal, f"seed {seed}: {rules} {history}"
            broken += not literal
    assert broken > 50


def test_causal_memory_of_very_many_processes_is_not_decided(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Rather than for hours: what is asked of each of them takes all."""
    lines = []
    for one in range(30):
        lines += [f"{one} w x {2 * one + 1}", f"{one + 30} w x {2 * one + 2}"]
        lines.append(f"{one} r x {2 * one + 2}")
    assert causal(*lines, asked="causal-memory").validity is Validity.VALID
    monkeypatch.setattr(memory, "_SLOTS_MAX", 20 * len(lines) * 60)
    verdict = causal(*lines, asked="causal-memory")
    assert (verdict.validity, verdict.reason) == (Validity.UNKNOWN, "incomplete")
    assert "too many processes" in verdict.sentence
    assert "causal" in verdict.details["holds"]
