"""Simulated nodes: what a replica sees of crashes, restarts, pauses and other nodes."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, TypeVar

import msgspec
import pytest

from clusters.substrates.simulation.disk import SimulatedDisk
from clusters.substrates.simulation.loop import VirtualTimeLoop
from clusters.substrates.simulation.network import Network, NetworkOptions
from clusters.substrates.simulation.node import Host
from harness.core.contracts import Body, Handler, Message, Node
from harness.core.errors import ClientError, RpcError

T = TypeVar("T")


class Probe:
    """A replica that notes what happens to it in ``world.log``."""

    def __init__(self, node: Node, world: World) -> None:
        self.node = node
        self.world = world

    def note(self, text: str) -> None:
        self.world.log.append(f"{self.node.name} {text} {self.world.loop.time():g}")

    async def start(self) -> None:
        records = b",".join(self.node.disk.read("log")).decode()
        if self.world.recovery_s:
            await self.node.sleep(self.world.recovery_s)
        self.note(f"starts with [{records}]")

    def handlers(self) -> Mapping[str, Handler]:
        return {
            "echo": self.echo,
            "say": self.say,
            "store": self.store,
            "nap": self.nap,
            "fail": self.fail,
            "ask": self.ask,
            "later": self.later,
            "strange": lambda _: {},
        }

    def echo(self, message: Message) -> Body:
        return {"type": "echo_ok", "value": message.body["value"]}

    def say(self, message: Message) -> None:
        self.note(f"hears {message.body['value']}")

    async def store(self, message: Message) -> Body:
        self.node.disk.append("log", str(message.body["value"]).encode())
        if message.body.get("sync", True):
            await self.node.disk.sync("log")
        return {"type": "store_ok"}

    async def nap(self, message: Message) -> Body:
        try:
            await self.node.sleep(message.body["value"])
        except asyncio.CancelledError:
            self.note("is cancelled")
            raise
        self.note("wakes")
        return {"type": "nap_ok"}

    def fail(self, message: Message) -> Body:
        raise self.world.error

    async def ask(self, message: Message) -> Body:
        try:
            reply = await self.node.rpc(message.body["dest"], message.body["body"], 0.5)
        except RpcError as error:
            return {"type": "ask_failed", "code": error.code}
        return {"type": "ask_ok", "reply": reply}

    async def later(self, message: Message) -> Body:
        async def work() -> None:
            await self.node.sleep(1.0)
            self.note("worked")

        self.node.spawn(work())
        return {"type": "later_ok"}


class World:
    def __init__(self) -> None:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, VirtualTimeLoop)
        self.loop = loop
        self.log: list[str] = []
        self.output: list[str] = []
        self.replies: list[tuple[float, dict[str, Any]]] = []
        self.error: Exception = ClientError(22, "no")
        self.recovery_s = 0.0
        options = NetworkOptions(latency="constant", latency_s=0.01)
        self.network = Network(loop, random.Random(1), options)
        self.network.attach("c1", self.receive)
        self.disks = {name: SimulatedDisk(random.Random(2), 0.001) for name in ("n1", "n2")}
        self.hosts = {name: self.host(name) for name in ("n1", "n2")}

    def host(self, name: str) -> Host:
        return Host(
            name=name,
            peers=("n1", "n2"),
            loop=self.loop,
            network=self.network,
            disk=self.disks[name],
            source=random.Random(3),
            replica=lambda node: Probe(node, self),
            log=self.output.append,
        )

    def receive(self, _source: str, payload: bytes) -> None:
        self.replies.append((self.loop.time(), msgspec.json.decode(payload)))

    def send(self, body: Body, number: int = 1, node: str = "n1") -> None:
        self.network.send_reliably("c1", node, msgspec.json.encode({**body, "msg_id": number}))

    async def ask(self, body: Body, node: str = "n1", wait_s: float = 1.0) -> dict[str, Any]:
        """The reply that comes within ``wait_s``."""
        before = len(self.replies)
        self.send(body, 1, node)
        await asyncio.sleep(wait_s)
        ((_, reply),) = self.replies[before:]
        return reply


def run(main: Callable[[World], Awaitable[T]], *, start: bool = True, recovery_s: float = 0) -> T:
    async def inside() -> T:
        world = World()
        world.recovery_s = recovery_s
        if start:
            for host in world.hosts.values():
                host.start()
            await asyncio.sleep(1.0)
            world.log.clear()
        return await main(world)

    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        return runner.run(inside())


# --- messages -------------------------------------------------------------------------------


def test_a_request_is_answered() -> None:
    """With ``in_reply_to``, after the latency both ways."""

    async def main(world: World) -> Any:
        world.send({"type": "echo", "value": [1]}, 7)
        await asyncio.sleep(1)
        return world.replies

    assert run(main) == [(pytest.approx(1.02), {"type": "echo_ok", "value": [1], "in_reply_to": 7})]


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (ClientError(22, "no"), 22),
        (ClientError(0, "late"), 0),
        (ClientError(4711), 4711),
        (ZeroDivisionError("bug"), 13),
        (ClientError(11, "perhaps", definite=False), 13),
    ],
)
def test_errors_of_handlers_are_error_replies(error: Exception, code: int) -> None:
    """A ``ClientError`` by its code; what nobody foresaw as a crash, which is indefinite; and never
    a definite code for an error that is not definite."""

    async def main(world: World) -> tuple[dict[str, Any], list[str]]:
        world.error = error
        return await world.ask({"type": "fail"}), world.output

    reply, output = run(main)
    assert (reply["type"], reply["code"]) == ("error", code)
    assert any("Traceback" in text for text in output) is isinstance(error, ZeroDivisionError)


@pytest.mark.parametrize("kind", ["nonsense", None, 5, ["echo"]])
def test_unknown_requests_are_refused(kind: Any) -> None:
    """Definitely: nothing was done. And nothing crashes."""

    async def main(world: World) -> dict[str, Any]:
        return await world.ask({"type": kind})

    reply = run(main)
    assert (reply["type"], reply["code"]) == ("error", 10)


def test_a_recovering_node_is_temporarily_unavailable() -> None:
    """No message reaches the replica before its ``start`` has returned."""

    async def main(world: World) -> Any:
        world.hosts["n1"].kill()
        world.hosts["n1"].start()
        early = await world.ask({"type": "say", "value": 1}, wait_s=0.2)
        assert world.log == []
        await asyncio.sleep(1)
        return early["code"], await world.ask({"type": "echo", "value": 2})

    code, reply = run(main, recovery_s=0.5)
    assert code == 11
    assert ClientError(code).definite
    assert reply["value"] == 2


def test_nodes_ask_each_other() -> None:
    """Replies, error replies and time-outs; a node may ask itself under any partition."""

    async def main(world: World) -> list[Any]:
        echo = {"type": "echo", "value": 1}
        answers = [
            await world.ask({"type": "ask", "dest": "n2", "body": echo}),
            await world.ask({"type": "ask", "dest": "n2", "body": {"type": "fail"}}),
            await world.ask({"type": "ask", "dest": "n2", "body": {"type": "strange"}}),
        ]
        world.network.cut = frozenset({("n1", "n2"), ("n1", "n1")})
        answers.append(await world.ask({"type": "ask", "dest": "n2", "body": echo}))
        answers.append(await world.ask({"type": "ask", "dest": "n1", "body": echo}))
        world.network.cut = frozenset({("n2", "n1")})
        answers.append(await world.ask({"type": "ask", "dest": "n2", "body": echo}))
        return [
            answer.get("code", answer.get("reply", {}).get("value", "nothing"))
            for answer in answers
        ]

    assert run(main) == [1, 22, "nothing", 0, 1, 0]


# --- crashes --------------------------------------------------------------------------------


def test_a_refused_connection_is_definite() -> None:
    """A node that is down answers a client that nothing was done."""

    async def main(world: World) -> tuple[dict[str, Any], dict[str, Any]]:
        world.hosts["n1"].kill()
        down = await world.ask({"type": "say", "value": 1})
        world.hosts["n1"].start()
        await asyncio.sleep(1)
        return down, await world.ask({"type": "echo", "value": 2})

    down, up = run(main)
    assert (down["type"], down["code"]) == ("error", 11)
    assert ClientError(down["code"]).definite
    assert up["value"] == 2


def test_a_crash_ends_everything_that_the_replica_does() -> None:
    """Handlers and spawned work are cancelled, timers never fire, no reply is sent, and a later
    incarnation hears nothing of it."""

    async def main(world: World) -> Any:
        world.send({"type": "nap", "value": 2.0})
        world.send({"type": "later"}, 2)
        world.send({"type": "ask", "dest": "n2", "body": {"type": "nap", "value": 0.3}}, 3)
        await asyncio.sleep(0.1)
        world.replies.clear()
        world.hosts["n1"].kill()
        world.hosts["n1"].start()
        await asyncio.sleep(10)
        return world.log, world.replies

    log, replies = run(main)
    assert log[0] == "n1 starts with [] 1.1" or log[0] == "n1 is cancelled 1.1"
    assert sorted(log) == ["n1 is cancelled 1.1", "n1 starts with [] 1.1", "n2 wakes 1.32"]
    assert replies == []


def test_a_restarted_node_has_what_was_synced() -> None:
    """What was acknowledged after a sync is there; what was not synced is a prefix at most."""

    async def main(world: World) -> str:
        for value in "abc":
            await world.ask({"type": "store", "value": value})
        await world.ask({"type": "store", "value": "d", "sync": False}, wait_s=0.5)
        world.hosts["n1"].kill()
        world.hosts["n1"].start()
        await asyncio.sleep(1)
        return world.log[-1]

    assert "starts with [a,b,c" in run(main)


def test_a_sync_that_a_crash_interrupts_was_none() -> None:
    """The record may be lost: with many seeds, it is in some."""
    survived = set()
    for seed in range(20):

        async def main(world: World, seed: int = seed) -> str:
            world.disks["n1"]._source.seed(seed)
            world.send({"type": "store", "value": "x"})
            await asyncio.sleep(0.01001)
            world.hosts["n1"].kill()
            assert world.replies == []
            world.hosts["n1"].start()
            await asyncio.sleep(1)
            return world.log[-1]

        survived.add("[x]" in run(main))
    assert survived == {True, False}


def test_killing_and_starting_are_idempotent() -> None:
    """A node that is up is not started again, one that is down is not killed again."""

    async def main(world: World) -> list[str]:
        host = world.hosts["n1"]
        for act in (host.start, host.kill, host.kill, host.start, host.start):
            act()
            await asyncio.sleep(1)
        return world.log

    assert run(main) == ["n1 starts with [] 4"]


# --- pauses ---------------------------------------------------------------------------------


def test_a_paused_node_does_nothing_until_it_goes_on() -> None:
    """Messages and timers wait, in their order, and are handled when the pause ends; nothing is
    lost and nothing refused."""

    async def main(world: World) -> tuple[list[str], list[Any]]:
        world.send({"type": "nap", "value": 1.0})
        await asyncio.sleep(0.5)
        world.hosts["n1"].pause()
        for value in (1, 2):
            world.send({"type": "say", "value": value})
            await asyncio.sleep(1.0)
        assert (world.log, world.replies) == ([], [])
        world.hosts["n1"].resume()
        await asyncio.sleep(1.0)
        return world.log, world.replies

    log, replies = run(main)
    assert log == ["n1 hears 1 3.5", "n1 hears 2 3.5", "n1 wakes 3.5"]
    assert [reply["type"] for _, reply in replies] == ["nap_ok"]


def test_time_outs_of_a_paused_node_wait_too() -> None:
    """A reply that came during the pause, before the time-out, is taken."""

    async def main(world: World) -> dict[str, Any]:
        world.send({"type": "ask", "dest": "n2", "body": {"type": "echo", "value": 5}})
        await asyncio.sleep(0.015)
        world.hosts["n1"].pause()
        await asyncio.sleep(5)
        world.hosts["n1"].resume()
        await asyncio.sleep(1)
        ((_, reply),) = world.replies
        return reply

    assert run(main)["reply"]["value"] == 5


def test_what_a_paused_node_was_sent_dies_with_it() -> None:
    """A kill during the pause loses the backlog; and the pause outlives the restart."""

    async def main(world: World) -> list[str]:
        host = world.hosts["n1"]
        host.pause()
        world.send({"type": "say", "value": 1})
        await asyncio.sleep(1)
        host.kill()
        host.start()
        world.send({"type": "say", "value": 2})
        await asyncio.sleep(1)
        assert not any("hears" in line for line in world.log)
        host.resume()
        await asyncio.sleep(1)
        return [line for line in world.log if "hears" in line]

    assert run(main) == ["n1 hears 2 3"]


# --- clock and chance -----------------------------------------------------------------------


def test_each_node_has_a_clock_of_its_own() -> None:
    """It runs with virtual time, and may be off."""

    async def main(world: World) -> tuple[int, int, int]:
        host, other = (world.hosts[name] for name in ("n1", "n2"))
        assert host.incarnation is not None
        assert other.incarnation is not None
        before = host.incarnation.now()
        await asyncio.sleep(2.5)
        host.clock_offset_ns = 7
        return before, host.incarnation.now(), other.incarnation.now()

    before, after, other = run(main)
    assert after - before == 2_500_000_007
    assert after - other == 7


def test_a_restarted_node_does_not_draw_the_same_again() -> None:
    """Its stream goes on: identifiers stay unique over incarnations."""

    async def main(world: World) -> set[int]:
        host, drawn = world.hosts["n1"], set()
        for _ in range(3):
            assert host.incarnation is not None
            drawn.add(host.incarnation.random.getrandbits(64))
            host.kill()
            host.start()
        return drawn

    assert len(run(main)) == 3
