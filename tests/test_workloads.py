"""Every workload against systems that are known: what is right passes, planted bugs are found."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from harness import registry
from harness.core import generate as g
from harness.core.contracts import Body
from harness.core.errors import ClientError
from harness.core.generate import PENDING, Context
from harness.core.operation import Event, Operation
from harness.core.options import read_options
from harness.core.verdict import Validity
from harness.registry import INSTALLED
from tests.placement import CORRECT, PLANTED, Case, Planted, checkers_of, found, judge

SEED = 11
SEEDS = range(8)
OURS = sorted(set(INSTALLED.names("workloads")) - {"register"})


@pytest.mark.parametrize("case", CORRECT, ids=str)
def test_a_correct_system_is_never_called_wrong(case: Case) -> None:
    """By any checker of the workload; and each sees enough to say that it is right, unless outcomes
    are uncertain, or the model is one that registers hardly ever prove."""
    history = case.history(SEED)
    verdicts = [judge(case, history, checker) for checker in checkers_of(case)]
    for verdict in verdicts:
        assert verdict.validity is not Validity.INVALID, f"seed {SEED}: {verdict.sentence}"
        assert verdict.reason not in ("crash", "vacuous"), f"seed {SEED}: {verdict.sentence}"
    if not case.faults and case.model not in ("read-committed", "snapshot-isolation"):
        assert all(verdict.validity is Validity.VALID for verdict in verdicts), verdicts


@pytest.mark.parametrize("case", PLANTED, ids=lambda case: f"{case} {case.checker}")
def test_a_planted_bug_is_found(case: Planted) -> None:
    """With one of few seeds."""
    assert found(case, SEEDS) is not None, f"{case} passes {case.checker} with the seeds {SEEDS}"


def test_every_workload_has_a_system_that_passes_and_a_bug_that_does_not() -> None:
    """But for list-append, which the switches of the store are for."""
    assert {case.workload for case in CORRECT} == {*OURS, "register"} - {"list-append"}
    assert {case.workload for case in PLANTED} == set(OURS) - {"list-append"}


# --- generators ---------------------------------------------------------------------------------


def events(
    name: str, given: Mapping[str, str] | None = None, *, count: int = 1500, seed: int = 1
) -> list[Event]:
    """Invocations of the workload, where all clients succeed at once."""
    workload = registry.load("workloads", name)
    options, problems = read_options(workload.options, given or {})
    assert not problems
    operations = frozenset().union(
        *(registry.load("clusters", one).operations for one in INSTALLED.names("clusters"))
    )
    source = g.limit(count, workload.generator(operations, options))
    found = g.simulate(source, seed=seed, concurrency=6)
    return [event for event in found if event.type == "invoke"]


@pytest.mark.parametrize("name", OURS)
def test_a_generator_is_a_value(name: str) -> None:
    """The same seed, the same operations; another seed, others (but where there is no choice)."""
    assert events(name, count=200) == events(name, count=200)
    if name not in ("unique-ids", "g2"):
        assert events(name, count=200) != events(name, count=200, seed=2)


@pytest.mark.parametrize(("name", "write"), [("list-append", "append"), ("rw-register", "w")])
def test_transactions_write_each_value_once_to_few_keys(name: str, write: str) -> None:
    """Of the asked-for lengths; a key is retired after its number of writes."""
    found = events(name, {"key-count": "3", "max-writes-per-key": "10", "max-txn-length": "5"})
    writes = Counter((key, value) for e in found for kind, key, value in e.value if kind == write)
    assert max(writes.values()) == 1
    per_key = Counter(key for key, _ in writes)
    assert max(per_key.values()) == 10
    assert sum(count < 10 for count in per_key.values()) <= 3
    assert {len(event.value) for event in found} == {1, 2, 3, 4, 5}
    kinds = Counter(kind for event in found for kind, _, _ in event.value)
    assert abs(kinds["r"] - kinds[write]) < 0.1 * sum(kinds.values())


def test_hot_keys_are_hot() -> None:
    """With the exponential distribution the first key is written about half of the time."""
    options = {"key-count": "8", "max-writes-per-key": "100000"}
    skewed = Counter(key for event in events("list-append", options) for _, key, _ in event.value)
    flat = Counter(
        key
        for event in events("list-append", {**options, "key-distribution": "uniform"})
        for _, key, _ in event.value
    )
    assert skewed[0] > 0.45 * sum(skewed.values())
    assert max(flat.values()) < 0.2 * sum(flat.values())


@pytest.mark.parametrize("name", ["causal", "session", "sequential"])
def test_single_registers_are_read_and_written_only(name: str) -> None:
    """Also where the cluster has compare-and-set; no value is written twice."""
    found = events(name)
    assert {event.f for event in found} == {"read", "write"}
    values = [event.value for event in found if event.f == "write"]
    assert len(set(values)) == len(values) > 500
    assert len({event.key for event in found[:100]}) == 4


def test_the_bank_opens_before_anything_else() -> None:
    """Until that has succeeded once; then there are transfers between different accounts."""
    found = events("bank")
    opened = [event.f for event in found].index("transfer")
    assert {event.f for event in found[: opened - 1]} <= {"open", "read"}
    assert "open" not in {event.f for event in found[opened:]}
    transfers = [event.value for event in found if event.f == "transfer"]
    assert len(transfers) > 500
    assert all(one["from"] != one["to"] and 1 <= one["amount"] <= 5 for one in transfers)


def test_pairs_of_inserts_meet() -> None:
    """The two of a pair come one after the other, one on each side, with values of their own."""
    found = events("g2")
    for left, right in zip(found[::2], found[1::2], strict=True):
        assert left.key == right.key
        assert (left.value[1], right.value[0]) == (None, None)
    assert len({str(event.value) for event in found}) == len(found)


def test_a_long_fork_writes_each_key_once() -> None:
    """And reads its groups as a whole, in any order."""
    found = events("long-fork", {"group-size": "3"})
    writes = [e.value[0][1] for e in found if e.value[0][0] == "w"]
    reads = [tuple(key for _, key, _ in e.value) for e in found if e.value[0][0] == "r"]
    assert len(set(writes)) == len(writes) > 50
    assert {len(set(keys)) for keys in reads} == {3}
    assert {min(keys) % 3 for keys in reads} == {0}
    assert len({keys for keys in reads if min(keys) == 0}) > 1


@pytest.mark.parametrize("name", ["set-full", "mv-register", "lww-register", "sequence"])
def test_objects_are_retired_and_their_values_unique(name: str) -> None:
    """On each object; and no object has more than its number of operations."""
    found = events(name, {"operations-per-key": "30"})
    values = [
        (event.key, str(event.value)) for event in found if event.f in ("add", "write", "insert")
    ]
    assert len(set(values)) == len(values) > 500
    assert max(Counter(event.key for event in found).values()) == 30


def test_a_consumer_goes_on_where_it_was() -> None:
    """A process polls from the offset after the last that it has seen, of each log in use."""
    workload = registry.load("workloads", "kafka")
    options, _ = read_options(workload.options, {"keys": "2"})
    generator = workload.generator(frozenset(), options)
    context = Context.start(1, random.Random(1))
    polled = Event(
        index=1, time=1, process=0, type="ok", f="poll", value={"0": [[0, 7], [1, 8]], "1": []}
    )
    generator = generator.update(context, polled)
    polls: list[Any] = []
    while len(polls) < 3:
        answer = generator.op(context)
        assert answer is not None
        assert answer is not PENDING
        operation, after = answer
        assert after is not None
        generator = after
        polls += [operation.value] if operation.f == "poll" else []
    assert polls == [{"0": 2, "1": 0}] * 3


def test_final_reads_of_transactions_sweep_all_keys() -> None:
    """Block by block, again after a failure, until a block that nobody has written."""
    workload = registry.load("workloads", "list-append")
    options, _ = read_options(workload.options, {"key-count": "2"})
    final = workload.final((), options)
    tries: list[int] = []

    def behave(operation: Operation, source: Any) -> g.Simulated:
        tries.append(operation.value[0][1])
        return g.Simulated(10, "fail" if len(tries) == 1 else "ok")

    # Whoever "reads" here is answered with what it asked, nothing: one block, asked for twice.
    g.simulate(final, concurrency=2, behaviour=behave)
    assert tries == [0, 0]


# --- replies ------------------------------------------------------------------------------------


class Answering:
    """A client whose cluster answers everything in one way."""

    def __init__(self, reply: Callable[[Body], Body]) -> None:
        self.reply = reply

    async def call(self, body: Body, timeout_s: float) -> Body:
        return self.reply(body)

    async def close(self) -> None: ...


@pytest.mark.parametrize(
    ("name", "f", "key", "value"),
    [
        ("list-append", "txn", None, [["r", 1, None]]),
        ("rw-register", "txn", None, [["r", 1, None]]),
        ("long-fork", "txn", None, [["r", 1, None]]),
        ("bank", "read", None, [["r", 1, None]]),
        ("bank", "open", None, [[1, 10]]),
        ("causal-reverse", "read", 1, None),
        ("causal-reverse", "write", 1, 2),
        ("monotonic", "read", 1, None),
        ("monotonic", "increment", 1, None),
        ("set-full", "read", 1, None),
        ("or-set", "final-read", 1, None),
        ("unique-ids", "generate", None, None),
        ("total-queue", "dequeue", None, None),
        ("total-queue", "drain", None, None),
        ("kafka", "send", "1", 5),
        ("kafka", "poll", None, {"1": 0}),
        ("kafka", "list_committed_offsets", None, ["1"]),
        ("lock", "acquire", 1, None),
    ],
)
def test_a_reply_that_makes_no_sense_is_no_answer(name: str, f: str, key: Any, value: Any) -> None:
    """It is indefinite: the request may have been carried out."""
    workload = registry.load("workloads", name)
    operation = Operation(f=f, key=key, value=value)
    with pytest.raises(ClientError) as caught:
        asyncio.run(workload.invoke(Answering(lambda _: {"type": "ok"}), operation, 1.0))
    assert not caught.value.definite


def test_a_replica_without_the_bank_is_no_bank_without_money() -> None:
    """A read that finds no account at all comes too early; one that misses some is told."""
    workload = registry.load("workloads", "bank")

    def read(*balances: int | None) -> Any:
        txn = [["r", account, balance] for account, balance in enumerate(balances)]
        asked = Operation(f="read", value=[["r", account, None] for account, _ in enumerate(txn)])
        return asyncio.run(workload.invoke(Answering(lambda _: {"txn": txn}), asked, 1.0))

    assert read(5, None) == [["r", 0, 5], ["r", 1, None]]
    with pytest.raises(ClientError) as caught:
        read(None, None)
    assert caught.value.definite


# --- options ------------------------------------------------------------------------------------


@pytest.mark.parametrize("cluster", INSTALLED.names("clusters"))
def test_parts_of_a_test_share_no_option(cluster: str) -> None:
    """Of a cluster, a workload that it can serve, and a substrate: each option has one meaning."""
    chosen = registry.load("clusters", cluster)
    for name in INSTALLED.names("workloads"):
        workload = registry.load("workloads", name)
        options, _ = read_options(workload.options, {})
        if workload.problems(chosen.operations, options):
            continue
        for substrate in INSTALLED.names("substrates"):
            parts = (chosen, workload, registry.load("substrates", substrate))
            names = [option.name for part in parts for option in part.options]
            assert len(set(names)) == len(names), (cluster, name, substrate)
