"""The small services: what each answers, that they survive crashes, and copies of a request."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from clusters.substrates.simulated import SimulatedDeployment
from clusters.systems.services.identifiers import Identifiers
from clusters.systems.services.locks import Locks
from clusters.systems.services.logs import Logs
from clusters.systems.services.queue import Queue
from harness.core.contracts import Body
from harness.core.errors import ClientError
from tests.simulation.world import ask, simulate


async def restart(deployment: SimulatedDeployment, node: str = "n1") -> None:
    kill = deployment.controls["kill"]
    await kill.apply(((node,),))
    await kill.apply(())
    await deployment.ready(10)


async def insist(deployment: SimulatedDeployment, node: str, body: Body) -> Body:
    """Ask again if the node still named an earlier life of the first one: then nothing happened."""
    try:
        return await ask(deployment, node, body)
    except ClientError as error:
        if error.code != 11:
            raise
        return await ask(deployment, node, body)


async def code(deployment: SimulatedDeployment, node: str, body: Body) -> tuple[int, bool]:
    """How a request is refused."""
    with pytest.raises(ClientError) as caught:
        await ask(deployment, node, body)
    return caught.value.code, caught.value.definite


def test_a_queue_gives_out_what_it_took_in_that_order() -> None:
    """Through any node, and after a crash of the one that has it."""

    async def main(deployment: SimulatedDeployment) -> list[Any]:
        for value in range(6):
            await ask(deployment, f"n{value % 3 + 1}", {"type": "enqueue", "value": value})
        seen = []
        for node in ("n2", "n1", "n3"):
            seen.append((await insist(deployment, node, {"type": "dequeue"}))["value"])
            await restart(deployment)
        for node in ("n3", "n2"):
            seen.append((await insist(deployment, node, {"type": "drain"}))["values"])
        return seen

    assert simulate(main, cluster=Queue(), nodes=3) == [0, 1, 2, [3, 4, 5], []]


def test_a_copy_of_a_request_does_nothing() -> None:
    """Where the network delivers everything twice, each value is in the queue once."""

    async def main(deployment: SimulatedDeployment) -> Any:
        for value in range(20):
            await ask(deployment, "n2", {"type": "enqueue", "value": value})
        return (await ask(deployment, "n3", {"type": "drain"}))["values"]

    assert simulate(main, cluster=Queue(), nodes=3, network_duplication="1") == list(range(20))


def test_logs_number_messages_and_answer_from_any_of_them() -> None:
    """Each log from 0; committed offsets never go back; all of it survives a crash."""

    async def main(deployment: SimulatedDeployment) -> None:
        for number in range(4):
            body = {"type": "send", "key": "a", "msg": number * 10}
            assert (await ask(deployment, "n2", body))["offset"] == number
        assert (await ask(deployment, "n1", {"type": "send", "key": "b", "msg": 7}))["offset"] == 0
        for offset in (3, 2):
            await ask(deployment, "n1", {"type": "commit_offsets", "offsets": {"a": offset}})
        await restart(deployment)
        poll = {"type": "poll", "offsets": {"a": 2, "b": 0, "c": 0}}
        assert (await ask(deployment, "n1", poll))["msgs"] == {
            "a": [[2, 20], [3, 30]],
            "b": [[0, 7]],
            "c": [],
        }
        listed = {"type": "list_committed_offsets", "keys": ["a", "b"]}
        assert (await ask(deployment, "n1", listed))["offsets"] == {"a": 3}

    simulate(main, cluster=Logs(), nodes=3)


def test_ids_of_a_node_that_was_started_again_are_new() -> None:
    """And of all nodes different."""

    async def main(deployment: SimulatedDeployment) -> list[str]:
        ids = []
        for _ in range(3):
            for node in deployment.nodes:
                ids += [(await ask(deployment, node, {"type": "generate"}))["id"] for _ in range(5)]
            await restart(deployment, "n2")
        return ids

    ids = simulate(main, cluster=Identifiers(), nodes=3)
    assert len(set(ids)) == len(ids) == 45


def test_a_lock_is_held_by_one_and_tokens_grow() -> None:
    """Until it is given back, or its lease has run out; a crash changes nothing. Each request here
    comes from a client of its own, so that only the lease frees the lock."""

    async def main(deployment: SimulatedDeployment) -> None:
        acquire = {"type": "acquire", "key": 1}
        assert (await ask(deployment, "n1", acquire))["token"] == 1
        assert await code(deployment, "n1", acquire) == (11, True)
        await ask(deployment, "n1", {"type": "release", "key": 1})  # not its own
        await restart(deployment)
        assert await code(deployment, "n2", acquire) == (11, True)
        await asyncio.sleep(2)
        assert (await ask(deployment, "n1", acquire))["token"] == 2

    simulate(main, cluster=Locks(), nodes=3, lease_s="2")


def test_a_holder_gives_back_its_lock() -> None:
    """Then the next gets it at once, with a greater token."""

    async def main(deployment: SimulatedDeployment) -> list[int]:
        client = await deployment.connect("n2")
        tokens = []
        for _ in range(3):
            tokens.append((await client.call({"type": "acquire", "key": 1}, 1.0))["token"])
            await client.call({"type": "release", "key": 1}, 1.0)
        await client.close()
        return tokens

    assert simulate(main, cluster=Locks(), nodes=3) == [1, 2, 3]


def test_a_write_behind_a_greater_token_is_refused() -> None:
    """Also after a crash; an equal one is the same holder's."""

    async def main(deployment: SimulatedDeployment) -> None:
        def write(token: int) -> Body:
            return {"type": "guarded_write", "key": 1, "token": token}

        for token in (3, 3, 5):
            await ask(deployment, "n1", write(token))
        await restart(deployment)
        assert await code(deployment, "n1", write(4)) == (22, True)
        await ask(deployment, "n1", write(5))

    simulate(main, cluster=Locks(), nodes=3)


@pytest.mark.parametrize(
    ("cluster", "body"),
    [
        (Queue(), {"type": "enqueue"}),
        (Logs(), {"type": "send", "key": "a"}),
        (Locks(), {"type": "acquire"}),
    ],
)
def test_a_request_with_something_missing_is_refused(cluster: Any, body: Body) -> None:
    """With a definite error."""

    async def main(deployment: SimulatedDeployment) -> tuple[int, bool]:
        return await code(deployment, "n2", body)

    assert simulate(main, cluster=cluster, nodes=3) == (12, True)
