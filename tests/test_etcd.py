"""etcd as a cluster: what its answers and errors mean, and the real thing under real faults."""

from __future__ import annotations

import asyncio
import json
import secrets
from base64 import b64decode
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from clusters.databases import etcd_client
from clusters.databases.etcd import Etcd
from clusters.databases.etcd_client import EtcdClient
from clusters.substrates.namespaces import Namespaces
from clusters.substrates.processes import ProcessDeployment
from harness.core.contracts import Client, Endpoint, Member, Request
from harness.core.errors import ClientError
from harness.core.fault import State
from harness.core.options import Options, read_options
from harness.ledger import FileLedger

real = pytest.mark.needs("namespaces", "etcd")
NODES = ("n1", "n2", "n3")
LIMIT_S = 60.0


def options(**given: str) -> Options:
    values, problems = read_options(
        Etcd.options, {k.replace("_", "-"): v for k, v in given.items()}
    )
    assert not problems
    return values


# --- the client, against a gateway that answers as it is told -----------------------------------


@asynccontextmanager
async def gateway(
    monkeypatch: pytest.MonkeyPatch, answer: Callable[[str, Any], tuple[int, Any]]
) -> AsyncIterator[EtcdClient]:
    async def handle(message: web.Request) -> web.Response:
        status, reply = answer(message.path, json.loads(await message.read()))
        if status == 0:
            assert message.transport is not None
            message.transport.abort()
        return web.Response(status=status or 500, text=json.dumps(reply))

    application = web.Application()
    application.router.add_route("*", "/{path:.*}", handle)
    runner = web.AppRunner(application)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    monkeypatch.setattr(etcd_client, "CLIENT_PORT", runner.addresses[0][1])
    client = EtcdClient(Endpoint("n1", "127.0.0.1"))
    try:
        yield client
    finally:
        await client.close()
        await runner.cleanup()


@pytest.mark.parametrize(
    ("status", "reply", "code", "definite"),
    [
        (503, {"error": "etcdserver: no leader", "code": 14}, 13, False),
        (503, {"error": "etcdserver: request timed out", "code": 14}, 13, False),
        (503, {"error": "etcdserver: leader changed", "code": 14}, 13, False),
        (500, {"error": "raft proposal dropped", "code": 2}, 13, False),
        (429, {"error": "etcdserver: too many requests", "code": 8}, 11, True),
        (400, {"error": "etcdserver: request is too large", "code": 3}, 12, True),
        (502, {}, 13, False),
        (200, ["not", "an", "object"], 13, False),
        (0, {}, 13, False),
    ],
    ids=lambda value: str(value.get("error", "")) if isinstance(value, dict) else None,
)
def test_an_error_is_definite_only_when_nothing_was_proposed(
    monkeypatch: pytest.MonkeyPatch, status: int, reply: Any, code: int, definite: bool
) -> None:
    """The table of errors: when etcd may have proposed the write, it may yet happen. A connection
    that was lost is never a reason to send the write again."""
    asked = []

    def answer(path: str, message: Any) -> tuple[int, Any]:
        asked.append(path)
        return status, reply

    async def main() -> None:
        async with gateway(monkeypatch, answer) as client:
            with pytest.raises(ClientError) as raised:
                await client.call({"type": "write", "key": 1, "value": 2}, LIMIT_S)
            assert (raised.value.code, raised.value.definite) == (code, definite)
            assert asked == ["/v3/kv/put"]

    asyncio.run(main())


def test_a_refused_connection_is_definite_and_silence_is_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Nobody listens: certainly no effect. Nobody answers: who knows."""

    async def main() -> None:
        async with gateway(monkeypatch, lambda *_: (200, {})) as client:
            pass
        with pytest.raises(ClientError) as raised:
            await client.call({"type": "write", "key": 1, "value": 2}, LIMIT_S)
        await client.close()
        assert (raised.value.code, raised.value.definite) == (11, True)
        silent = await asyncio.start_server(lambda *_: None, "127.0.0.1", 0)
        monkeypatch.setattr(etcd_client, "CLIENT_PORT", silent.sockets[0].getsockname()[1])
        client = EtcdClient(Endpoint("n1", "127.0.0.1"))
        with pytest.raises(ClientError) as raised:
            await client.call({"type": "write", "key": 1, "value": 2}, 0.2)
        await client.close()
        silent.close()
        assert (raised.value.code, raised.value.definite) == (0, False)

    asyncio.run(main())


def test_unknown_requests_are_refused_without_asking() -> None:
    """A request type that etcd does not answer is a definite error."""

    async def main() -> None:
        client = EtcdClient(Endpoint("n1", "127.0.0.1"))
        with pytest.raises(ClientError) as raised:
            await client.call({"type": "append", "key": 1, "value": 2}, 1.0)
        assert (raised.value.name, raised.value.definite) == ("not-supported", True)

    asyncio.run(main())


@pytest.mark.parametrize("serializable", [False, True])
def test_reads_ask_for_what_was_configured(
    monkeypatch: pytest.MonkeyPatch, serializable: bool
) -> None:
    """Reads are linearizable unless the option says otherwise; keys travel as JSON text."""

    def answer(path: str, message: Any) -> tuple[int, Any]:
        assert path == "/v3/kv/range"
        assert json.loads(b64decode(message["key"])) == ["k", 1]
        assert message["serializable"] is serializable
        return 200, {"header": {}}

    async def main() -> None:
        async with gateway(monkeypatch, answer):
            chosen = options(serializable_reads=str(serializable))
            client = Etcd().client(Endpoint("n1", "127.0.0.1"), chosen)
            reply = await client.call({"type": "read", "key": ["k", 1]}, LIMIT_S)
            assert reply == {"type": "read_ok", "value": None}
            await client.close()

    asyncio.run(main())


def test_programs_listen_here_and_are_reached_there(monkeypatch: pytest.MonkeyPatch) -> None:
    """Peers are told the address, which may be a proxy's; the server binds where it listens."""
    monkeypatch.setattr("shutil.which", lambda _: "/bin/etcd")
    members = tuple(Member(f"n{i}", f"127.0.1.{i}", f"127.0.2.{i}") for i in (1, 2))
    program = Etcd().program(members[0], members, Path("/data/n1"), options())
    flags = dict(flag.removeprefix("--").split("=", 1) for flag in program.argv[1:])
    assert program.ports == (2380,)
    assert flags["listen-peer-urls"] == "http://127.0.2.1:2380"
    assert flags["listen-client-urls"] == "http://127.0.2.1:2379"
    assert flags["initial-advertise-peer-urls"] == "http://127.0.1.1:2380"
    assert flags["initial-cluster"] == "n1=http://127.0.1.1:2380,n2=http://127.0.1.2:2380"
    assert flags["data-dir"] == "/data/n1/data"


def test_problems_are_found_before_anything_starts(monkeypatch: pytest.MonkeyPatch) -> None:
    """An election timeout below five heartbeats, which etcd refuses; no etcd on the PATH; one
    that is too old."""
    assert Etcd().problems(options(), 3) == []
    found = Etcd().problems(options(election_timeout_ms="100"), 3)
    assert "election-timeout-ms=500" in found[0].change
    monkeypatch.setattr("shutil.which", lambda _: None)
    assert "apt-get install etcd-server" in Etcd().missing()[0].change
    assert Etcd().version() == ""
    monkeypatch.setattr("shutil.which", lambda _: "/bin/etcd")
    monkeypatch.setattr(Etcd, "version", lambda _: "3.3.27")
    assert Etcd().missing()[0].found == "etcd 3.3.27"


# --- the real thing -----------------------------------------------------------------------------


@asynccontextmanager
async def deployed(directory: Path, **given: str) -> AsyncIterator[ProcessDeployment]:
    run = f"t{secrets.token_hex(4)}"
    (directory / "index").mkdir()
    with FileLedger(directory / "ledger.jsonl", run, index=directory / "index") as ledger:
        deployment = await Namespaces().deploy(
            Request(
                cluster=Etcd(),
                options=options(**given),
                nodes=NODES,
                data=directory / "data",
                logs=directory / "logs",
                ledger=ledger,
                seed=1,
            )
        )
        try:
            await deployment.ready(LIMIT_S)
            yield deployment
        finally:
            await deployment.close()
        assert ledger.open_records == 0


@asynccontextmanager
async def connected(deployment: ProcessDeployment) -> AsyncIterator[dict[str, Client]]:
    clients = {node: await deployment.connect(node) for node in deployment.nodes}
    try:
        yield clients
    finally:
        for client in clients.values():
            await client.close()


async def leader(deployment: ProcessDeployment, besides: str = "") -> str:
    """The one leader, once there is one other than ``besides``."""
    async with asyncio.timeout(LIMIT_S):
        while True:
            found = set(await deployment.primaries()) - {besides}
            if len(found) == 1:
                return found.pop()
            await asyncio.sleep(0.05)


async def write(client: Client, value: int) -> None:
    """A write that is repeated until the cluster has a leader again."""
    async with asyncio.timeout(LIMIT_S):
        while True:
            try:
                await client.call({"type": "write", "key": "k", "value": value}, 2.0)
                return
            except ClientError:
                await asyncio.sleep(0.05)


async def read(client: Client) -> Any:
    return (await client.call({"type": "read", "key": "k"}, LIMIT_S))["value"]


@real
def test_reads_writes_and_compare_and_set(tmp_path: Path) -> None:
    """The vocabulary, on a real cluster, through different nodes. Values are any JSON."""

    async def main() -> None:
        async with deployed(tmp_path) as deployment, connected(deployment) as clients:
            first, second, third = (clients[node] for node in NODES)
            assert await read(first) is None
            for value in (1, "ä", [1, {"b": None}], None):
                reply = await first.call({"type": "write", "key": "k", "value": value}, LIMIT_S)
                assert reply == {"type": "write_ok"}
                assert await read(second) == value
            cas = {"type": "cas", "key": "c", "from": 1, "to": 2}
            for _ in ("the key is absent", "the value is another"):
                with pytest.raises(ClientError) as raised:
                    await third.call(cas, LIMIT_S)
                assert (raised.value.code, raised.value.definite) == (22, True)
                await first.call({"type": "write", "key": "c", "value": 7}, LIMIT_S)
            assert await third.call(cas | {"from": 7}, LIMIT_S) == {"type": "cas_ok"}
            reply = await second.call({"type": "read", "key": "c"}, LIMIT_S)
            assert reply == {"type": "read_ok", "value": 2}

    asyncio.run(main())


@real
def test_a_killed_leader_is_replaced_and_comes_back_with_its_data(tmp_path: Path) -> None:
    """Another node takes over; a write goes on; the old leader restarts with its data and reads
    what it missed. Requests to a dead node are definite errors."""

    async def main() -> None:
        async with deployed(tmp_path) as deployment, connected(deployment) as clients:
            await write(clients["n1"], 1)
            old = await leader(deployment)
            other = next(node for node in NODES if node != old)
            kill = deployment.controls["kill"]
            await kill.apply(((old,),))
            assert (await kill.evidence(((old,),))).holds
            with pytest.raises(ClientError) as raised:
                await clients[old].call({"type": "read", "key": "k"}, LIMIT_S)
            assert raised.value.definite
            assert await leader(deployment, besides=old) != old
            await write(clients[other], 2)
            await kill.apply(())
            await deployment.ready(LIMIT_S)
            assert await read(clients[old]) == 2

    asyncio.run(main())


@real
@pytest.mark.parametrize("serializable", [False, True])
def test_a_leader_that_is_cut_off_can_be_read_stale_only_on_request(
    tmp_path: Path, serializable: bool
) -> None:
    """The majority goes on, the minority cannot write, and its linearizable reads do not answer;
    with serializable reads it serves the old value: the planted anomaly. Healing ends it."""

    async def main() -> None:
        given = {"serializable_reads": str(serializable)}
        async with deployed(tmp_path, **given) as deployment, connected(deployment) as clients:
            await write(clients["n1"], 1)
            old = await leader(deployment)
            others = [node for node in NODES if node != old]
            cut: State = tuple(sorted([(old, o) for o in others] + [(o, old) for o in others]))
            links = deployment.controls["links"]
            await links.apply(cut)
            assert (await links.evidence(cut)).holds
            await leader(deployment, besides=old)
            await write(clients[others[0]], 2)
            with pytest.raises(ClientError) as raised:
                await clients[old].call({"type": "write", "key": "k", "value": 3}, 1.0)
            assert not raised.value.definite
            if serializable:
                assert await read(clients[old]) == 1
            else:
                with pytest.raises(ClientError):
                    await clients[old].call({"type": "read", "key": "k"}, 1.0)
            await links.apply(())
            assert (await links.evidence(())).holds
            await deployment.ready(LIMIT_S)

    asyncio.run(main())


@real
def test_a_paused_leader_is_replaced_and_follows_when_it_wakes(tmp_path: Path) -> None:
    """All threads of the leader are stopped, requests to it are indefinite, another takes over;
    afterwards the old one reads what it slept through."""

    async def main() -> None:
        async with deployed(tmp_path) as deployment, connected(deployment) as clients:
            await write(clients["n1"], 1)
            old = await leader(deployment)
            other = next(node for node in NODES if node != old)
            pause = deployment.controls["pause"]
            await pause.apply(((old,),))
            assert (await pause.evidence(((old,),))).holds
            with pytest.raises(ClientError) as raised:
                await clients[old].call({"type": "write", "key": "j", "value": 2}, 0.5)
            assert not raised.value.definite
            await leader(deployment, besides=old)
            await write(clients[other], 3)
            await pause.apply(())
            assert (await pause.evidence(())).holds
            await deployment.ready(LIMIT_S)
            assert await read(clients[old]) == 3

    asyncio.run(main())


@real
def test_the_version_is_that_of_the_binary() -> None:
    """A version that looks like one, and nothing missing."""
    assert Etcd().missing() == []
    assert Etcd().version()[:2] == "3."
