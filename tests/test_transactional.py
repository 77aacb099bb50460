"""The transactional store: its locks and versions, and that every switch keeps what it is named
after and nothing stronger."""

from __future__ import annotations

import asyncio
import random
from typing import Any

import pytest

from checkers import lattice
from checkers.transactions.list_append import ListAppend as Checker
from clusters.substrates.simulated import SimulatedDeployment
from clusters.systems.isolation.locks import Locks
from clusters.systems.isolation.promises import PROMISES
from clusters.systems.isolation.versions import EMPTY, Snapshot, Versions, micro_operations
from clusters.systems.transactional import TransactionalStore
from harness.core.contracts import Body, CheckContext
from harness.core.errors import ClientError
from harness.core.operation import Type
from harness.core.verdict import Validity
from tests.isolation_graph import anomalies
from tests.placement import placed, trouble
from tests.simulated_runs import run
from tests.simulation.world import ask, simulate
from workloads.list_append import ListAppend
from workloads.rw_register import RwRegister

SEEDS = range(2)
STORE = TransactionalStore()


# --- every switch is what it says ---------------------------------------------------------------


@pytest.mark.parametrize("model", PROMISES)
def test_every_switch_is_placed_exactly(model: str) -> None:
    """No history of any seed rules out the promised model, and together they rule out everything
    stronger: what is left is the promise alone."""
    found: dict[str, set[str]] = {"list-append": set(), "graph": set()}
    asked = CheckContext(consistency_model=placed(model))
    for seed in SEEDS:
        history = run(ListAppend(), STORE, seed=seed, seconds=2.5, isolation=model)
        verdict = Checker().check(history, asked)
        assert verdict.validity is not Validity.INVALID, (model, seed, verdict.sentence)
        for judge, seen in (
            ("list-append", set(verdict.details["anomaly_counts"])),
            ("graph", anomalies(history)),
        ):
            broken = seen & lattice.forbidden(placed(model))
            assert not broken, f"{model} with seed {seed}: {judge} finds {sorted(broken)}"
            found[judge] |= seen
    for judge, seen in found.items():
        left = lattice.assess(found=seen, scope=lattice.ISOLATION).strongest_not_refuted
        assert left == (placed(model),), f"{model}, {SEEDS}: {judge} finds only {sorted(seen)}"


@pytest.mark.parametrize("model", PROMISES)
def test_promises_hold_under_faults(model: str) -> None:
    """Kills, cuts, lost messages and messages that arrive twice make outcomes uncertain, and break
    nothing."""
    history = run(
        ListAppend(),
        STORE,
        seed=7,
        seconds=3,
        timeout_s=0.5,
        faults=trouble(7),
        isolation=model,
        network_loss="0.02",
        network_duplication="0.1",
        disk_sync_ms="2",
    )
    outcomes = history.operations.outcome.tolist()
    assert outcomes.count(Type.OK) > 100
    assert outcomes.count(Type.INFO) > 5
    assert not anomalies(history) & lattice.forbidden(placed(model))


def test_registers_are_transactions_of_the_same_store() -> None:
    """The workload rw-register: what was read was written, unless nothing was."""
    history = run(RwRegister(), STORE, seed=3, seconds=2)
    written: set[tuple[Any, Any]] = set()
    read: set[tuple[Any, Any]] = set()
    for row in range(len(history.operations)):
        if history.operations.outcome[row] == Type.OK:
            for kind, key, value in history.values[history.operations.result[row]]:
                (written if kind == "w" else read).add((key, value))
    assert len(written) > 100
    assert len(read) > 100
    assert {(key, value) for key, value in read if value is not None} <= written


# --- requests -----------------------------------------------------------------------------------


async def txn(deployment: SimulatedDeployment, node: str, *micros: Any) -> Any:
    body: Body = {"type": "txn", "txn": [list(micro) for micro in micros]}
    return (await ask(deployment, node, body))["txn"]


@pytest.mark.parametrize("node", ["n1", "n2"])
def test_a_transaction_is_answered_with_what_it_read(node: str) -> None:
    """Its own writes included, through any node; a key that nobody wrote holds nothing."""

    async def main(deployment: SimulatedDeployment) -> None:
        done = await txn(deployment, node, ("r", 1, None), ("append", 1, 5), ("r", 1, None))
        assert done == [["r", 1, None], ["append", 1, 5], ["r", 1, [5]]]
        assert await txn(deployment, node, ("w", 2, 9), ("append", 1, 6)) == [
            ["w", 2, 9],
            ["append", 1, 6],
        ]
        assert await txn(deployment, "n3", ("r", 1, None), ("r", 2, None)) == [
            ["r", 1, [5, 6]],
            ["r", 2, 9],
        ]
        written = await ask(deployment, node, {"type": "write", "key": 2, "value": 8})
        assert written["type"] == "write_ok"
        assert (await ask(deployment, "n3", {"type": "read", "key": 2}))["value"] == 8

    simulate(main, cluster=STORE, nodes=3, abort_rate="0")


@pytest.mark.parametrize("model", PROMISES)
def test_an_aborted_transaction_leaves_nothing(model: str) -> None:
    """And the abort is definite."""

    async def main(deployment: SimulatedDeployment) -> None:
        errors = []
        for value in range(20):
            try:
                await txn(deployment, "n2", ("r", "y", None), ("append", "x", value))
            except ClientError as error:
                errors.append((error.code, error.definite))
        aborted = len(errors)
        assert aborted > 10
        assert set(errors) == {(14, True)}
        await asyncio.sleep(1)
        while True:
            try:
                ((_, _, seen),) = await txn(deployment, "n2", ("r", "x", None))
                break
            except ClientError:
                continue
        assert len(seen or ()) == 20 - aborted

    simulate(main, cluster=STORE, nodes=3, abort_rate="0.8", isolation=model)


def test_what_is_no_transaction_is_refused() -> None:
    """With a definite error that shows it."""

    async def main(deployment: SimulatedDeployment) -> None:
        for bad in (None, 5, [["r", 1]], [["x", 1, 2]], [["r", [1], None]]):
            with pytest.raises(ClientError) as caught:
                await ask(deployment, "n2", {"type": "txn", "txn": bad})
            assert (caught.value.code, caught.value.definite) == (12, True)

    simulate(main, cluster=STORE, nodes=3)


def test_without_its_primary_the_store_does_not_guess() -> None:
    """A request that may have reached it ends indefinite; one that was never sent, definite."""

    async def main(deployment: SimulatedDeployment) -> list[tuple[int, bool]]:
        seen = []
        kill = deployment.controls["kill"]
        await txn(deployment, "n2", ("w", 1, 1))
        await kill.apply((("n1",),))
        for node in ("n1", "n2", "n3"):
            body = {"type": "txn", "txn": [["w", 1, 2]]}
            with pytest.raises(ClientError) as caught:
                await ask(deployment, node, body, 10.0)
            seen.append((caught.value.code, caught.value.definite))
        await kill.apply(())
        await deployment.ready(10)
        assert await txn(deployment, "n2", ("r", 1, None)) == [["r", 1, 1]]
        return seen

    assert simulate(main, cluster=STORE, nodes=3, abort_rate="0") == [
        (11, True),
        (0, False),
        (11, True),
    ]


# --- locks --------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(20))
def test_locks_exclude_and_never_deadlock(seed: int) -> None:
    """Twenty transactions that want locks in any order: all come to an end, nobody holds a lock
    beside an exclusive one, and the oldest never dies."""
    source = random.Random(seed)
    locks = Locks()
    held: dict[int, dict[int, bool]] = {key: {} for key in range(4)}
    died: list[int] = []

    async def transaction(age: int) -> None:
        await asyncio.sleep(source.random() / 1000)
        try:
            for _ in range(4):
                key, exclusive = source.randrange(4), source.random() < 0.5
                await locks.acquire(age, key, exclusive=exclusive)
                exclusive = exclusive or held[key].get(age, False)
                held[key][age] = exclusive
                assert len(held[key]) == 1 or not any(held[key].values()), (seed, key, held)
                await asyncio.sleep(source.random() / 1000)
        except ClientError:
            died.append(age)
        finally:
            for holders in held.values():
                holders.pop(age, None)
            locks.release(age)

    async def main() -> None:
        async with asyncio.timeout(5):
            await asyncio.gather(*(transaction(age) for age in range(20)))

    asyncio.run(main())
    assert 0 not in died
    assert 0 < len(died) < 20, f"seed {seed}: {died}"


# --- versions -----------------------------------------------------------------------------------


def test_a_snapshot_sees_what_was_committed_before_it() -> None:
    """And what it can see is never forgotten."""
    versions = Versions()
    versions.install(1, [("w", "x", "a"), ("append", "y", 1)], oldest=0)
    versions.install(2, [("append", "y", 2), ("append", "y", 3)], oldest=0)
    versions.install(3, [("w", "x", "b")], oldest=1)
    assert [versions.read("x", Snapshot(n)) for n in range(4)] == [None, "a", "a", "b"]
    assert [versions.read("y", Snapshot(n)) for n in range(4)] == [None, [1], [1, 2, 3], [1, 2, 3]]
    assert versions.read("y") == [1, 2, 3]
    assert (versions.latest("x"), versions.latest("y"), versions.latest("z")) == (3, 2, 0)
    versions.install(4, [("w", "x", "c")], oldest=3)
    assert versions.read("x", Snapshot(3)) == "b"


def test_snapshots_that_replicas_build_in_different_orders() -> None:
    """Are the same when they hold the same commits, and comparable by inclusion."""
    one = EMPTY.including(1).including(3)
    assert (3 in one, 2 in one) == (True, False)
    assert one.including(2) == Snapshot(3) == EMPTY.including(3).including(2).including(1)
    other = EMPTY.including(2)
    assert not one.within(other)
    assert not other.within(one)
    assert other.within(one.including(2))
    assert Snapshot(2).within(Snapshot(1, frozenset({2, 5})))


def test_micro_operations_are_read_strictly() -> None:
    """Three parts, a known kind, a key that can be one."""
    assert micro_operations([["r", "x", None], ["w", 1, [2]]]) == (("r", "x", None), ("w", 1, [2]))
    for bad in ([["r", "x"]], [("r", "x", None)], [["cas", 1, 2]], [["w", {}, 1]], "r x"):
        with pytest.raises(ClientError):
            micro_operations(bad)
