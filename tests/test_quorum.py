"""The quorum store, replica by replica, on the simulated substrate."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import Any

import pytest

from clusters.substrates.simulated import SimulatedDeployment
from clusters.substrates.simulation.loop import VirtualTimeLoop
from clusters.systems.quorum import QuorumStore, first_replies
from harness.core.contracts import Body
from harness.core.errors import ClientError, RpcError
from harness.core.fault import State
from harness.core.options import read_options
from tests.simulation.world import ask, simulate

SEEDS = range(5)


def cut(a: str, *others: str) -> State:
    """Both directions between ``a`` and each of ``others``."""
    links = [link for b in others for link in ((a, b), (b, a))]
    return tuple(sorted(links))


async def write(deployment: SimulatedDeployment, node: str, key: Any, value: Any) -> Body:
    return await ask(deployment, node, {"type": "write", "key": key, "value": value})


async def read(deployment: SimulatedDeployment, node: str, key: Any) -> Any:
    return (await ask(deployment, node, {"type": "read", "key": key}))["value"]


async def held(deployment: SimulatedDeployment, node: str, key: Any) -> Any:
    """What the replica on ``node`` itself holds."""
    return (await ask(deployment, node, {"type": "replica_read", "key": key}))["value"]


# --- options ----------------------------------------------------------------------------------


def objections(options: dict[str, str], nodes: int = 5) -> list[str]:
    values, problems = read_options(QuorumStore.options, options)
    assert problems == []
    return [problem.found for problem in QuorumStore().problems(values, nodes)]


@pytest.mark.parametrize(
    ("nodes", "options"),
    [
        (5, {}),
        (1, {}),
        (2, {}),
        (5, {"w": "5", "r": "1"}),
        (5, {"w": "2", "r": "4"}),
        (5, {"w": "1", "r": "1", "sloppy": "true"}),
    ],
)
def test_quorums_that_intersect_are_accepted(nodes: int, options: dict[str, str]) -> None:
    """Majorities by default; others where they meet, or where sloppiness was asked for."""
    assert objections(options, nodes) == []


def test_impossible_quorums_are_named() -> None:
    """A quorum of more nodes than there are; all problems at once, sloppy or not."""
    assert objections({"w": "6"}) == ["W = 6 with N = 5 nodes"]
    assert objections({"w": "4", "r": "9", "sloppy": "true"}, 3) == [
        "W = 4 with N = 3 nodes",
        "R = 9 with N = 3 nodes",
    ]


@pytest.mark.parametrize("options", [{"w": "2", "r": "3"}, {"w": "1", "r": "1"}, {"r": "2"}])
def test_quorums_that_need_not_intersect_must_be_asked_for(options: dict[str, str]) -> None:
    """W + R <= N."""
    (found,) = objections(options)
    assert found.startswith("W + R = ")


# --- both variants ----------------------------------------------------------------------------


@pytest.mark.parametrize("variant", ["documented", "corrected"])
def test_what_is_written_is_read_everywhere(variant: str) -> None:
    """While nothing fails: every node returns the value written last; None before any."""

    async def main(deployment: SimulatedDeployment) -> None:
        assert await read(deployment, "n1", "x") is None
        for number, node in enumerate(deployment.nodes):
            assert (await write(deployment, node, "x", number))["type"] == "write_ok"
            await asyncio.sleep(0.1)
            for other in deployment.nodes:
                assert await read(deployment, other, "x") == number
        assert await read(deployment, "n2", "y") is None

    simulate(main, variant=variant)


@pytest.mark.parametrize("variant", ["documented", "corrected"])
@pytest.mark.parametrize("operation", ["read", "write"])
def test_a_minority_answers_nothing(variant: str, operation: str) -> None:
    """Without a quorum there is an error, and it is indefinite: somebody may have acted."""

    async def main(deployment: SimulatedDeployment) -> None:
        await deployment.controls["links"].apply(
            tuple(sorted({*cut("n1", "n3", "n4", "n5"), *cut("n2", "n3", "n4", "n5")}))
        )
        with pytest.raises(ClientError) as caught:
            await ask(deployment, "n1", {"type": operation, "key": 1, "value": 2}, 5.0)
        assert not caught.value.definite

    simulate(main, variant=variant)


@pytest.mark.parametrize("variant", ["documented", "corrected"])
def test_the_log_of_a_replica_is_replayed(variant: str) -> None:
    """A node that was killed holds again what it had acknowledged."""

    async def main(deployment: SimulatedDeployment) -> None:
        for key in range(10):
            await write(deployment, "n1", key, key * 10)
        await asyncio.sleep(1)
        before = [await held(deployment, "n3", key) for key in range(10)]
        assert before == [key * 10 for key in range(10)]
        kill = deployment.controls["kill"]
        await kill.apply((("n3",),))
        await kill.apply(())
        await deployment.ready(10)
        assert [await held(deployment, "n3", key) for key in range(10)] == before

    simulate(main, variant=variant)


@pytest.mark.parametrize("seed", SEEDS)
def test_acknowledged_writes_survive_the_loss_of_all_nodes(seed: int) -> None:
    """Every node is killed while writes are under way; afterwards each key holds its last
    acknowledged value, or one that was written after it and never acknowledged."""

    async def main(deployment: SimulatedDeployment) -> None:
        acknowledged: dict[int, int] = {}

        async def writer(key: int) -> None:
            for value in range(1, 1000):
                try:
                    await write(deployment, deployment.nodes[key % 5], key, value)
                except ClientError:
                    return
                acknowledged[key] = value

        writers = [asyncio.create_task(writer(key)) for key in range(10)]
        await asyncio.sleep(0.3 + seed / 1000)
        kill = deployment.controls["kill"]
        await kill.apply(tuple((node,) for node in deployment.nodes))
        await asyncio.gather(*writers)
        await kill.apply(())
        await deployment.ready(10)
        assert len(acknowledged) == 10
        for key, value in acknowledged.items():
            seen = [await read(deployment, node, key) for node in deployment.nodes]
            assert set(seen) <= {value, value + 1}, f"seed {seed}, key {key}, {value}: {seen}"
            # The read that finds an unacknowledged write decides that it happened.
            assert seen == sorted(seen), f"seed {seed}, key {key}: {seen}"

    simulate(main, seed=seed, variant="corrected", disk_sync_ms="5")


# --- documented -------------------------------------------------------------------------------


def test_documented_reads_need_the_first_replicas() -> None:
    """The first R must all answer, though a majority is up; writes take any W. The corrected
    variant reads from any R."""

    async def main(deployment: SimulatedDeployment) -> Any:
        await write(deployment, "n1", "x", 1)
        await deployment.controls["links"].apply(cut("n1", "n2"))
        await write(deployment, "n1", "x", 2)
        # The first three of n3 are n3, n4 and n5.
        assert await read(deployment, "n3", "x") == 2
        try:
            return await read(deployment, "n1", "x")
        except ClientError as error:
            return error.code

    assert simulate(main, variant="documented") == 13
    assert simulate(main, variant="corrected") == 2


@pytest.mark.parametrize(("variant", "survivor"), [("documented", "a"), ("corrected", "b")])
def test_documented_coordinators_choose_the_same_version(variant: str, survivor: str) -> None:
    """Each counts on from what it holds itself: so of two writes, one after the other, the second
    is acknowledged and lost. Corrected coordinators ask a quorum first."""

    async def main(deployment: SimulatedDeployment) -> Any:
        links = deployment.controls["links"]
        await links.apply((("n1", "n2"),))
        await write(deployment, "n1", "x", "a")
        await asyncio.sleep(1)
        await links.apply(())
        await write(deployment, "n2", "x", "b")
        await asyncio.sleep(1)
        return await read(deployment, "n3", "x")

    assert simulate(main, variant=variant) == survivor


@pytest.mark.parametrize("repair", [True, False])
def test_read_repair_brings_a_lagging_replica_up_to_date(repair: bool) -> None:
    """If it was asked for: a read that saw an old value sends the new one on."""

    async def main(deployment: SimulatedDeployment) -> Any:
        links = deployment.controls["links"]
        await links.apply(cut("n1", "n2"))
        await write(deployment, "n1", "x", 1)
        await asyncio.sleep(1)
        await links.apply(())
        assert await held(deployment, "n2", "x") is None
        assert await read(deployment, "n1", "x") == 1
        await asyncio.sleep(1)
        return await held(deployment, "n2", "x")

    assert simulate(main, read_repair=str(repair).lower()) == (1 if repair else None)


def test_sloppy_quorums_give_old_values() -> None:
    """W = R = 1: always available, and stale."""

    async def main(deployment: SimulatedDeployment) -> Any:
        await deployment.controls["links"].apply(cut("n1", "n2", "n3", "n4", "n5"))
        await write(deployment, "n1", "x", 1)
        assert await read(deployment, "n1", "x") == 1
        return await read(deployment, "n2", "x")

    assert simulate(main, w="1", r="1", sloppy="true") is None


# --- corrected --------------------------------------------------------------------------------


@pytest.mark.parametrize(("variant", "later"), [("corrected", "a"), ("no-write-back", None)])
def test_a_read_makes_sure_of_what_it_returns(variant: str, later: str | None) -> None:
    """A value that only one replica holds, once read, is read ever after; without the write-back,
    as planted, it is gone with the replica."""

    async def main(deployment: SimulatedDeployment) -> Any:
        body = {"type": "replica_write", "key": "x", "tag": [1, "n5", 1, 1], "value": "a"}
        await ask(deployment, "n5", body)
        # A read by n5 takes the first three replies: its own comes first, without the network.
        assert await read(deployment, "n5", "x") == "a"
        await deployment.controls["kill"].apply((("n5",),))
        return await read(deployment, "n1", "x")

    assert simulate(main, variant=variant) == later


def test_tags_of_a_restarted_coordinator_are_new() -> None:
    """Its incarnation is part of them and durable: two writes never share a tag."""

    async def main(deployment: SimulatedDeployment) -> list[Any]:
        tags = []
        kill = deployment.controls["kill"]
        for number in range(3):
            await write(deployment, "n1", number, number)
            await asyncio.sleep(0.5)
            tags.append(
                (await ask(deployment, "n2", {"type": "replica_read", "key": number}))["tag"]
            )
            await kill.apply((("n1",),))
            await kill.apply(())
            await deployment.ready(10)
        return tags

    tags = simulate(main, variant="corrected")
    assert [tag[:2] for tag in tags] == [[1, "n1"]] * 3
    incarnations = [tag[2] for tag in tags]
    assert incarnations == sorted(set(incarnations))


def test_an_older_write_never_replaces_a_newer_one() -> None:
    """However messages overtake each other; a repeated one changes nothing."""

    async def main(deployment: SimulatedDeployment) -> list[Any]:
        seen = []
        for counter, value in ((2, "new"), (1, "old"), (2, "new")):
            body = {"type": "replica_write", "key": "x", "tag": [counter, "n1", 1, 1]}
            reply = await ask(deployment, "n1", {**body, "value": value})
            assert reply["type"] == "replica_write_ok"
            seen.append(await held(deployment, "n1", "x"))
        return seen

    assert simulate(main) == ["new"] * 3


# --- waiting for the first replies --------------------------------------------------------------


async def soon(delay_s: float, outcome: str | Exception) -> Body:
    await asyncio.sleep(delay_s)
    if isinstance(outcome, Exception):
        raise outcome
    return {"type": outcome}


def first(
    count: int, *calls: tuple[float, str | Exception]
) -> tuple[float, list[Body] | Exception]:
    """When :func:`first_replies` returned, and what."""

    async def main() -> tuple[float, list[Body] | Exception]:
        awaitables: list[Awaitable[Body]] = [soon(*call) for call in calls]
        result: list[Body] | Exception
        try:
            result = await first_replies(awaitables, count)
        except Exception as error:
            result = error
        now = asyncio.get_running_loop().time()
        await asyncio.sleep(100)
        return now, result

    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        return runner.run(main())


def test_enough_replies_are_enough() -> None:
    """In order of arrival, at once, whatever the others do."""
    late = RpcError(0)
    assert first(2, (5, "a"), (1, "b"), (2, late), (3, "c")) == (3, [{"type": "b"}, {"type": "c"}])


def test_too_many_failures_end_the_wait() -> None:
    """As soon as the quorum cannot be reached any more, with an indefinite error."""
    now, error = first(2, (1, RpcError(0)), (2, RpcError(11)), (9, "a"))
    assert now == 2
    assert isinstance(error, ClientError)
    assert not error.definite


def test_a_bug_is_no_failure_of_a_replica() -> None:
    """Other errors are not counted but raised."""
    now, error = first(1, (1, ZeroDivisionError("bug")), (2, "a"))
    assert (now, type(error)) == (1, ZeroDivisionError)
