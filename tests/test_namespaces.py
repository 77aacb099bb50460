"""Cuts between network namespaces: that they bite, that healing heals, and that nothing is left."""

from __future__ import annotations

import asyncio
import itertools
import secrets
import shutil
import socket
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any, cast

import pytest

from clusters.substrates import procfs
from clusters.substrates.links import BridgeLinks
from clusters.substrates.namespaces import Namespaces
from clusters.substrates.network import NODES_MAX, Network, command
from clusters.substrates.processes import LABEL, ProcessDeployment
from harness.core.contracts import Client, Cluster, Endpoint, Member, Program, Request
from harness.core.errors import DeploymentError, FaultError
from harness.core.fault import State
from harness.core.options import Options
from harness.ledger import FileLedger

pytestmark = pytest.mark.needs("namespaces")

NODES = ("n1", "n2", "n3")
PORT = 7000
ECHO = f"""
import socket, sys
server = socket.create_server((sys.argv[1], {PORT}))
while True:
    connection, _ = server.accept()
    while data := connection.recv(100):
        connection.sendall(data)
"""
LIMIT_S = 60.0


class EchoClient:
    """Says whether the node echoes."""

    def __init__(self, endpoint: Endpoint) -> None:
        self.endpoint = endpoint

    async def call(self, body: dict[str, Any], timeout_s: float) -> dict[str, Any]:
        sock = self.endpoint.open_socket(socket.AF_INET, socket.SOCK_STREAM)
        sock.setblocking(False)
        with sock:
            loop = asyncio.get_running_loop()
            async with asyncio.timeout(timeout_s):
                await loop.sock_connect(sock, (self.endpoint.address, PORT))
                await loop.sock_sendall(sock, b"x")
                return {"data": await loop.sock_recv(sock, 1)}

    async def close(self) -> None:
        pass


class Echo:
    """A cluster whose nodes echo, or exit at once."""

    has_primary = False

    def __init__(self, code: str = ECHO, binary: str = sys.executable) -> None:
        self.code = code
        self.binary = binary

    def program(
        self, member: Member, members: tuple[Member, ...], directory: Path, options: Any
    ) -> Program:
        return Program(argv=(self.binary, "-c", self.code, member.listen), ports=(PORT,))

    def client(self, endpoint: Endpoint, options: Options) -> EchoClient:
        return EchoClient(endpoint)

    async def healthy(self, client: Client) -> bool:
        try:
            return await client.call({}, 1.0) == {"data": b"x"}
        except (OSError, TimeoutError):
            return False


def names_of(run: str) -> list[str]:
    listed = subprocess.run(["ip", "netns", "list"], capture_output=True, text=True, check=True)
    return [line for line in listed.stdout.splitlines() if f"-{run}-" in line]


@asynccontextmanager
async def journal(directory: Path) -> AsyncIterator[FileLedger]:
    """A ledger; afterwards no namespace and no process of the run is left, and nothing is open."""
    run = f"t{secrets.token_hex(4)}"
    index = directory / f"index-{run}"
    index.mkdir()
    with FileLedger(directory / f"{run}.jsonl", run, index=index) as ledger:
        yield ledger
        assert names_of(run) == []
        assert procfs.labelled(LABEL, run) == frozenset()
        assert ledger.open_records == 0


@asynccontextmanager
async def wired(directory: Path) -> AsyncIterator[tuple[Network, BridgeLinks]]:
    """Three namespaces on a bridge, without processes."""
    async with journal(directory) as ledger:
        network = Network(NODES, ledger)
        links = BridgeLinks(network)
        try:
            await network.open()
            await links.open()
            yield network, links
        finally:
            await links.close()
            await network.close()


@asynccontextmanager
async def deployed(directory: Path, cluster: Echo) -> AsyncIterator[ProcessDeployment]:
    async with journal(directory) as ledger:
        deployment = await Namespaces().deploy(request(directory, cluster, ledger))
        try:
            yield deployment
        finally:
            await deployment.close()


def request(directory: Path, cluster: Echo, ledger: FileLedger) -> Request:
    return Request(
        cluster=cast("Cluster", cluster),
        options={},
        nodes=NODES,
        data=directory / "data",
        logs=directory / "logs",
        ledger=ledger,
        seed=1,
    )


def inside(network: Network, node: str, kind: socket.SocketKind) -> socket.socket:
    sock = network.open_socket(network.namespace(node), socket.AF_INET, kind)
    sock.setblocking(False)
    return sock


ISOLATED: State = (("n1", "n2"), ("n1", "n3"), ("n2", "n1"), ("n3", "n1"))


@pytest.mark.parametrize(
    "state", [(), (("n1", "n2"),), ISOLATED], ids=["healed", "one way", "isolated"]
)
def test_what_is_asked_for_is_in_force_and_nothing_else(tmp_path: Path, state: State) -> None:
    """Exactly the links of the state deliver nothing, one direction alone too; healing brings all
    of them back."""

    async def main() -> None:
        async with wired(tmp_path) as (_, links):
            for _ in range(2):
                await links.apply(state)
                evidence = await links.evidence(state)
                assert evidence.holds, evidence
                cut = [line for line in evidence.observations if line.endswith("is cut")]
                assert cut == [f"{source} -> {target} is cut" for source, target in state]
            await links.apply(())
            assert (await links.evidence(())).holds

    asyncio.run(main())


def test_evidence_is_not_fooled(tmp_path: Path) -> None:
    """The negative controls: a cut that was never applied, one that was removed behind our back,
    and one too many are all seen."""

    async def main() -> None:
        async with wired(tmp_path) as (network, links):
            assert not (await links.evidence((("n1", "n2"),))).holds
            await links.apply(ISOLATED)
            assert not (await links.evidence(())).holds
            assert not (await links.evidence(ISOLATED[1:])).holds
            assert (await links.evidence(ISOLATED)).holds
            flush = ("nft", "flush", "set", "bridge", "splitbrain", "cut")
            await network.within(network.switch, partial(command, flush))
            assert not (await links.evidence(ISOLATED)).holds

    asyncio.run(main())


def test_established_connections_stall_and_resume(tmp_path: Path) -> None:
    """Bytes on an open connection do not arrive during the cut, the connection survives it, and
    they arrive after healing."""

    async def main() -> None:
        async with wired(tmp_path) as (network, links), asyncio.timeout(LIMIT_S):
            loop = asyncio.get_running_loop()
            server = inside(network, "n2", socket.SOCK_STREAM)
            server.bind((network.address("n2"), PORT))
            server.listen()
            client = inside(network, "n1", socket.SOCK_STREAM)
            await loop.sock_connect(client, (network.address("n2"), PORT))
            accepted, _ = await loop.sock_accept(server)
            with server, client, accepted:
                await loop.sock_sendall(client, b"a")
                assert await loop.sock_recv(accepted, 10) == b"a"
                await links.apply((("n1", "n2"),))
                assert (await links.evidence((("n1", "n2"),))).holds
                await loop.sock_sendall(client, b"b")
                with pytest.raises(TimeoutError):
                    await asyncio.wait_for(loop.sock_recv(accepted, 10), 1.0)
                await links.apply(())
                assert await loop.sock_recv(accepted, 10) == b"b"

    asyncio.run(main())


def test_a_new_state_replaces_the_old_one_at_once(tmp_path: Path) -> None:
    """A link that is cut in both the old and the new state leaks nothing while one replaces the
    other: not one of a stream of datagrams arrives."""

    async def main() -> None:
        async with wired(tmp_path) as (network, links):
            receiver = inside(network, "n2", socket.SOCK_DGRAM)
            receiver.bind((network.address("n2"), PORT))
            sender = inside(network, "n1", socket.SOCK_DGRAM)
            address = (network.address("n2"), PORT)
            with receiver, sender:
                sender.sendto(b"control", address)
                assert await asyncio.get_running_loop().sock_recv(receiver, 10) == b"control"
                await links.apply((("n1", "n2"),))
                replacing = asyncio.create_task(replace_often(links))
                sent = 0
                while not replacing.done():
                    sender.sendto(b"leak", address)
                    sent += 1
                    await asyncio.sleep(0)
                await replacing
                assert sent > 100
                with pytest.raises(BlockingIOError):
                    receiver.recv(10)

    asyncio.run(main())


async def replace_often(links: BridgeLinks) -> None:
    for state in itertools.islice(itertools.cycle([(("n1", "n2"),), ISOLATED]), 40):
        await links.apply(state)


def test_a_refused_state_changes_nothing(tmp_path: Path) -> None:
    """When the kernel refuses (here: the table is gone), that is an error and not a silent
    non-fault."""

    async def main() -> None:
        async with wired(tmp_path) as (network, links):
            delete = ("nft", "delete", "table", "bridge", "splitbrain")
            await network.within(network.switch, partial(command, delete))
            with pytest.raises(FaultError, match="could not be set"):
                await links.apply((("n1", "n2"),))

    asyncio.run(main())


@pytest.mark.skipif(not Path("/proc/net/if_inet6").exists(), reason="this kernel has no IPv6")
def test_ipv6_never_passes_between_nodes(tmp_path: Path) -> None:
    """There is no way around a cut. The control: without the table, the same datagrams arrive."""

    async def main() -> None:
        async with wired(tmp_path) as (network, _):
            for number, node in enumerate(NODES, 1):
                address = ("addr", "add", f"fd00::{number}/64", "dev", "eth0", "nodad")
                command(("ip", "-n", network.namespace(node), *address))
            sender, receiver = (
                network.open_socket(network.namespace(node), socket.AF_INET6, socket.SOCK_DGRAM)
                for node in ("n1", "n2")
            )
            with sender, receiver:
                sender.setblocking(False)
                receiver.setblocking(False)
                receiver.bind(("fd00::2", PORT))
                assert not await arrives(sender, receiver, tries=20)
                delete = ("nft", "delete", "table", "bridge", "splitbrain")
                await network.within(network.switch, partial(command, delete))
                assert await arrives(sender, receiver, tries=1000)

    asyncio.run(main())


async def arrives(sender: socket.socket, receiver: socket.socket, *, tries: int) -> bool:
    for _ in range(tries):
        with suppress(OSError):  # the neighbour was not found
            sender.sendto(b"x", ("fd00::2", PORT))
        await asyncio.sleep(0.02)
        with suppress(BlockingIOError):
            return receiver.recv(10) == b"x"
    return False


def test_faults_survive_a_restart_and_clients_are_not_cut(tmp_path: Path) -> None:
    """The harness reaches every node during a partition; a node that was killed and started again
    meanwhile is still cut off; healing everything makes all nodes healthy."""

    async def main() -> None:
        async with deployed(tmp_path, Echo()) as deployment:
            await deployment.ready(LIMIT_S)
            links, kill, pause = (deployment.controls[key] for key in ("links", "kill", "pause"))
            await links.apply(ISOLATED)
            await deployment.ready(LIMIT_S)
            await kill.apply((("n1",),))
            assert (await kill.evidence((("n1",),))).holds
            with pytest.raises(DeploymentError, match="n1 was not healthy"):
                await deployment.ready(0.2)
            await kill.apply(())
            assert (await kill.evidence(())).holds
            await deployment.ready(LIMIT_S)
            assert (await links.evidence(ISOLATED)).holds
            await pause.apply((("n2",),))
            assert (await pause.evidence((("n2",),))).holds
            await pause.apply(())
            await links.apply(())
            await deployment.ready(LIMIT_S)
            assert (await links.evidence(())).holds
            assert await deployment.primaries() == ()
            await deployment.close()

    asyncio.run(main())


def test_the_machines_own_network_is_not_touched(tmp_path: Path) -> None:
    """While a deployment runs, the machine has the same interfaces and rules as before."""

    def own() -> tuple[str, str]:
        links = subprocess.run(["ip", "-o", "link"], capture_output=True, text=True, check=True)
        rules = subprocess.run(
            ["nft", "list", "tables"], capture_output=True, text=True, check=True
        )
        return links.stdout, rules.stdout

    async def main() -> None:
        before = own()
        async with deployed(tmp_path, Echo()):
            assert own() == before
        assert own() == before

    asyncio.run(main())


def test_two_runs_live_side_by_side(tmp_path: Path) -> None:
    """The same addresses in another run are another network."""

    async def main() -> None:
        first, second = tmp_path / "1", tmp_path / "2"
        first.mkdir()
        second.mkdir()
        async with wired(first) as (_, one), wired(second) as (_, other):
            await one.apply(ISOLATED)
            assert (await one.evidence(ISOLATED)).holds
            assert (await other.evidence(())).holds

    asyncio.run(main())


def test_a_failed_deployment_leaves_nothing(tmp_path: Path) -> None:
    """When a node cannot be started, the namespaces made so far go too."""

    async def main() -> None:
        async with journal(tmp_path) as ledger:
            network = Network(NODES, ledger)
            command(("ip", "netns", "add", network.namespace("n3")))  # a name that is taken
            with pytest.raises(DeploymentError, match="File exists"):
                await Namespaces().deploy(request(tmp_path, Echo(), ledger))

    asyncio.run(main())


def test_a_cancelled_deployment_leaves_nothing(tmp_path: Path) -> None:
    """Whenever the deployment is cancelled, what it had made is deleted."""

    async def main() -> None:
        for turns in (1, 2, 3, 5, 8):
            async with journal(tmp_path) as ledger:
                task = asyncio.create_task(Namespaces().deploy(request(tmp_path, Echo(), ledger)))
                for _ in range(turns):
                    await asyncio.sleep(0)
                task.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await task

    asyncio.run(main())


def test_a_node_that_exits_is_named_with_its_last_words(tmp_path: Path) -> None:
    """Readiness fails at once, and says what the node said."""

    async def main() -> None:
        async with deployed(tmp_path, Echo("raise SystemExit('no luck')")) as deployment:
            with pytest.raises(DeploymentError, match=r"n1 exited with status 1.*no luck"):
                await deployment.ready(LIMIT_S)

    asyncio.run(main())


def test_the_probe_finds_out_by_doing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Available here; without the tools, a reason and a remedy; and the probe leaves nothing."""
    before = subprocess.run(["ip", "netns", "list"], capture_output=True, check=True).stdout
    assert Namespaces().probe().available
    after = subprocess.run(["ip", "netns", "list"], capture_output=True, check=True).stdout
    assert b"sb-probe" not in set(after.split()) - set(before.split())
    monkeypatch.setattr(shutil, "which", lambda _: None)
    refused = Namespaces().probe()
    assert not refused.available
    assert "ip and nft" in refused.reason
    assert "apt-get install nftables iproute2" in refused.remedy


def test_too_many_nodes_are_refused(tmp_path: Path) -> None:
    """The subnet has room for so many, and says so."""

    async def main() -> None:
        async with journal(tmp_path) as ledger:
            with pytest.raises(DeploymentError, match="251 nodes"):
                Network([f"n{i}" for i in range(NODES_MAX + 1)], ledger)

    asyncio.run(main())
