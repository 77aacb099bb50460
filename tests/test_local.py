"""The substrate ``local``: real processes, real links, and faults that are proven both ways."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import os
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import pytest

from clusters.substrates import procfs
from clusters.substrates.local import Local
from clusters.system import System
from harness.core.contracts import (
    Body,
    Client,
    Cluster,
    Deployment,
    Handler,
    Member,
    Message,
    Node,
    Program,
    Request,
    Substrate,
)
from harness.core.errors import BadInput, ClientError, DeploymentError
from harness.core.fault import State
from harness.core.options import Option, Options

LIMIT_S = 30.0
NODES = ("n1", "n2", "n3")
_numbers = itertools.count(1)


class Gossip:
    """A replica that keeps what it is told, and tells others when asked to."""

    def __init__(self, node: Node, options: Options) -> None:
        self.node = node
        self.heard: list[Any] = []

    async def start(self) -> None:
        self.heard = [record.decode() for record in self.node.disk.read("heard")]

    def handlers(self) -> Mapping[str, Handler]:
        return {
            "tell": self.tell,
            "told": self.told,
            "ask": self.ask,
            "heard": lambda _: {"type": "heard_ok", "value": self.heard},
        }

    def tell(self, message: Message) -> Body:
        self.node.send(message.body["to"], {"type": "told", "value": message.body["value"]})
        return {"type": "tell_ok"}

    async def told(self, message: Message) -> Body:
        self.heard.append(message.body["value"])
        self.node.disk.append("heard", message.body["value"].encode())
        await self.node.disk.sync("heard")
        return {"type": "told_ok"}

    async def ask(self, message: Message) -> Body:
        reply = await self.node.rpc(message.body["to"], {"type": "heard"}, LIMIT_S)
        return {"type": "ask_ok", "value": reply["value"]}


class GossipSystem(System):
    name: ClassVar[str] = "gossip"
    summary: ClassVar[str] = "tells others"
    options: ClassVar[tuple[Option, ...]] = ()
    operations: ClassVar[frozenset[str]] = frozenset({"tell"})

    def replica(self, node: Node, options: Options) -> Gossip:
        return Gossip(node, options)


class Missing(GossipSystem):
    """Its program does not exist."""

    def program(
        self, member: Member, members: tuple[Member, ...], directory: Path, options: Options
    ) -> Program:
        return replace(
            super().program(member, members, directory, options), argv=("/nonexistent/program",)
        )


class MemoryLedger:
    """A ledger that only remembers."""

    def __init__(self) -> None:
        self.run = f"localtest{os.getpid()}x{next(_numbers)}"
        self.open: dict[int, Mapping[str, Any]] = {}
        self.seen: list[Mapping[str, Any]] = []

    def record(self, undo: Mapping[str, Any]) -> int:
        self.seen.append(undo)
        self.open[len(self.seen)] = undo
        return len(self.seen)

    def strike(self, number: int) -> None:
        del self.open[number]

    def living(self) -> list[int]:
        """The journalled processes that still run."""
        rows = [row for row in self.seen if row["kind"] == "process"]
        identities = [procfs.Identity(pid=row["pid"], started=row["started"]) for row in rows]
        return [identity.pid for identity in identities if procfs.lives(identity)]


def request(directory: Path, cluster: Cluster, ledger: MemoryLedger) -> Request:
    return Request(
        cluster=cluster,
        options={},
        nodes=NODES,
        data=directory / "data",
        logs=directory / "logs",
        ledger=ledger,
        seed=1,
    )


class Running:
    """A deployment with one client a node."""

    def __init__(self, deployment: Deployment, clients: dict[str, Client]) -> None:
        self.deployment, self.clients = deployment, clients

    async def tell(self, source: str, to: str, value: str) -> None:
        await self.clients[source].call({"type": "tell", "to": to, "value": value}, LIMIT_S)

    async def heard(self, node: str) -> list[str]:
        values: list[str] = (await self.clients[node].call({"type": "heard"}, LIMIT_S))["value"]
        return values

    async def hears(self, node: str, values: list[str]) -> None:
        """Return once the node has heard exactly these."""

        async def so() -> bool:
            with contextlib.suppress(ClientError):
                return await self.heard(node) == values
            return False

        await eventually(so)

    async def apply(self, control: str, state: State) -> None:
        """Put the state in force, and see the proof of it."""
        await self.deployment.controls[control].apply(state)
        await self.proven(control, state)

    async def proven(self, control: str, state: State) -> None:
        async def holds() -> bool:
            return (await self.deployment.controls[control].evidence(state)).holds

        await eventually(holds)


async def eventually(condition: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(LIMIT_S):
        while not await condition():  # noqa: ASYNC110 - another process makes it true
            await asyncio.sleep(0.02)


@contextlib.asynccontextmanager
async def deployed(directory: Path) -> AsyncIterator[Running]:
    ledger = MemoryLedger()
    deployment = await Local().deploy(request(directory, GossipSystem(), ledger))
    try:
        await deployment.ready(LIMIT_S)
        # The label, three nodes and the proxy.
        assert len(ledger.open) == 5
        clients = {node: await deployment.connect(node) for node in deployment.nodes}
        yield Running(deployment, clients)
        for client in clients.values():
            await client.close()
    finally:
        await deployment.close()
    await deployment.close()
    assert ledger.open == {}
    assert ledger.living() == []


def run(directory: Path, main: Callable[[Running], Coroutine[Any, Any, None]]) -> None:
    async def whole() -> None:
        async with deployed(directory) as running:
            await main(running)

    Local().run(asyncio.wait_for(whole(), 120), seed=1)


def test_the_substrate_is_what_it_says() -> None:
    """It satisfies the protocol, and this machine can do it."""
    local: Substrate = Local()
    assert local.probe().available
    assert not local.simulated


def test_a_one_way_cut_stalls_messages_until_it_is_healed(tmp_path: Path) -> None:
    """Messages of an open connection stop in one direction only, clients go on, and healing
    delivers what was under way: nothing is lost. The evidence tells each state from every other."""

    async def main(running: Running) -> None:
        links = running.deployment.controls["links"]
        for source, to in (("n1", "n2"), ("n2", "n1")):
            await running.tell(source, to, "before")
            await running.hears(to, ["before"])
        cut = (("n1", "n2"),)
        assert not (await links.evidence(cut)).holds
        await running.apply("links", cut)
        for state in ((), (("n2", "n1"),), (*cut, ("n2", "n1"))):
            evidence = await links.evidence(state)
            assert not evidence.holds
            assert "n1 -> n2 is cut" in evidence.observations
        await running.tell("n1", "n2", "under way")
        await running.tell("n2", "n1", "backwards")
        await running.tell("n1", "n3", "elsewhere")
        await running.hears("n1", ["before", "backwards"])
        await running.hears("n3", ["elsewhere"])
        # A round trip to n2 and back, after which n2 would have heard it.
        answer = await running.clients["n3"].call({"type": "ask", "to": "n2"}, LIMIT_S)
        assert answer["value"] == ["before"]
        await running.apply("links", ())
        await running.hears("n2", ["before", "under way"])

    run(tmp_path, main)


def test_a_cut_survives_a_restart_and_a_restart_keeps_what_was_synced(tmp_path: Path) -> None:
    """A killed node is down and comes back with its records; the cut that was asked for before
    still holds for its new process."""

    async def main(running: Running) -> None:
        await running.tell("n1", "n2", "kept")
        await running.hears("n2", ["kept"])
        await running.apply("links", (("n1", "n2"),))
        await running.apply("kill", (("n2",),))
        assert not (await running.deployment.controls["kill"].evidence(())).holds
        with pytest.raises(ClientError):
            await running.heard("n2")
        await running.apply("kill", ())
        await running.hears("n2", ["kept"])
        await running.proven("links", (("n1", "n2"),))
        await running.tell("n1", "n2", "lost or late")
        await running.tell("n3", "n2", "arrives")
        await running.hears("n2", ["kept", "arrives"])
        await running.apply("links", ())

        async def reached() -> bool:
            await running.tell("n1", "n2", "again")
            return "again" in await running.heard("n2")

        await eventually(reached)

    run(tmp_path, main)


def test_a_paused_node_says_nothing_and_goes_on(tmp_path: Path) -> None:
    """A paused node answers nobody; resumed, it goes on with all that it was told meanwhile."""

    async def main(running: Running) -> None:
        await running.tell("n1", "n2", "before")
        await running.hears("n2", ["before"])
        await running.apply("pause", (("n2",),))
        await running.tell("n1", "n2", "meanwhile")
        with pytest.raises(ClientError) as late:
            await running.clients["n2"].call({"type": "heard"}, 0.1)
        assert not late.value.definite
        await running.proven("links", ())
        await running.apply("pause", ())
        await running.hears("n2", ["before", "meanwhile"])

    run(tmp_path, main)


def test_two_deployments_at_once_do_not_meet(tmp_path: Path) -> None:
    """Each has its own network: a cut in one leaves the other alone."""

    async def main(running: Running) -> None:
        async with deployed(tmp_path / "other") as other:
            await running.apply("links", (("n1", "n2"),))
            await other.tell("n1", "n2", "through")
            await other.hears("n2", ["through"])
            await other.proven("links", ())
            assert await running.heard("n2") == []

    run(tmp_path, main)


def test_a_failed_deployment_leaves_nothing(tmp_path: Path) -> None:
    """When nodes cannot be started the deployment fails, and the rest is taken down."""
    ledger = MemoryLedger()
    (tmp_path / "data").write_text("a file where a folder is needed")
    with pytest.raises(OSError, match="Not a directory"):
        asyncio.run(Local().deploy(request(tmp_path, GossipSystem(), ledger)))
    assert [row["kind"] for row in ledger.seen][:1] == ["process"]
    assert ledger.open == {}
    assert ledger.living() == []


def test_a_program_that_does_not_exist_is_said(tmp_path: Path) -> None:
    """``ready`` fails at once, naming node and program, when a node's program cannot run."""
    ledger = MemoryLedger()

    async def main() -> None:
        deployment = await Local().deploy(request(tmp_path, Missing(), ledger))
        try:
            with pytest.raises(DeploymentError, match=r"n1 exited.*/nonexistent/program"):
                await deployment.ready(LIMIT_S)
        finally:
            await deployment.close()

    asyncio.run(main())
    assert ledger.open == {}


def test_latency_is_kept_through_cuts(tmp_path: Path) -> None:
    """The option ``network-latency-ms`` holds before, during and after a cut."""

    async def main() -> None:
        asked = request(tmp_path, GossipSystem(), MemoryLedger())
        options: Options = {"network-latency-ms": 100.0}
        deployment = await Local().deploy(replace(asked, options=options))
        try:
            await deployment.ready(LIMIT_S)
            client = await deployment.connect("n1")
            loop = asyncio.get_running_loop()
            for state in ((), (("n2", "n3"),), ()):
                await deployment.controls["links"].apply(state)
                start = loop.time()
                await client.call({"type": "ask", "to": "n2"}, LIMIT_S)
                assert loop.time() - start >= 0.2
            await client.close()
        finally:
            await deployment.close()

    asyncio.run(main())


def test_a_dead_proxy_is_no_evidence(tmp_path: Path) -> None:
    """Without the proxy nothing holds any more, neither the healed state nor a cut."""

    async def main() -> None:
        ledger = MemoryLedger()
        deployment = await Local().deploy(request(tmp_path, GossipSystem(), ledger))
        try:
            proxy = next(row["pid"] for row in ledger.seen if row["kind"] == "process")
            os.kill(proxy, 9)
            links = deployment.controls["links"]
            assert not (await links.evidence(())).holds
            assert not (await links.evidence((("n1", "n2"),))).holds
            with pytest.raises(Exception, match="proxy"):
                await links.apply(())
        finally:
            await deployment.close()
        assert ledger.open == {}

    asyncio.run(main())


def test_more_nodes_than_addresses_are_refused(tmp_path: Path) -> None:
    """The limit is said, rather than met half-way."""
    nodes = tuple(f"n{number}" for number in range(121))
    asked = replace(request(tmp_path, GossipSystem(), MemoryLedger()), nodes=nodes)
    with pytest.raises(BadInput, match="at most 120 nodes"):
        asyncio.run(Local().deploy(asked))


def test_start_up_imports_are_light() -> None:
    """The host imports none of the heavy packages: nodes start often, five at a time."""
    code = "import sys, clusters.host; print(*sorted(sys.modules))"
    modules = os.popen(f"{sys.executable} -c '{code}'").read().split()
    assert not {"aiohttp", "docker", "networkx", "plotly", "rich", "jinja2"} & set(modules)
