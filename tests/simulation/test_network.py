"""The simulated network: statistics of what it does to messages, from fixed seeds."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Awaitable, Callable
from statistics import fmean
from typing import TypeVar

import pytest

from clusters.substrates.simulation.loop import VirtualTimeLoop
from clusters.substrates.simulation.network import LATENCIES, Network, NetworkOptions

T = TypeVar("T")
COUNT = 4000


class World:
    def __init__(self, seed: int, options: NetworkOptions) -> None:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, VirtualTimeLoop)
        self.loop = loop
        self.network = Network(loop, random.Random(seed), options)
        self.seen: list[tuple[str, str, bytes, float]] = []
        for host in ("a", "b", "c1"):
            self.attach(host)

    def attach(self, host: str) -> None:
        self.network.attach(
            host,
            lambda source, payload: self.seen.append((source, host, payload, self.loop.time())),
        )

    def payloads(self) -> list[int]:
        return [int(payload) for _, _, payload, _ in self.seen]


def run(main: Callable[[World], Awaitable[T]], seed: int = 1, **options: object) -> T:
    async def inside() -> T:
        return await main(World(seed, NetworkOptions(**options)))  # type: ignore[arg-type]

    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        return runner.run(inside())


async def flood(world: World, count: int = COUNT) -> World:
    for number in range(count):
        world.network.send("a", "b", str(number).encode())
    await asyncio.sleep(1000)
    return world


def test_a_message_arrives_once_as_it_was_sent() -> None:
    """Without loss or duplication: all of them, from whom and to whom they were sent."""
    world = run(flood)
    assert sorted(world.payloads()) == list(range(COUNT))
    assert {(source, dest) for source, dest, _, _ in world.seen} == {("a", "b")}


@pytest.mark.parametrize("loss", [0.1, 0.5, 0.9])
def test_messages_are_lost_as_often_as_asked(loss: float) -> None:
    """Within five standard deviations."""
    arrived = len(run(flood, seed=3, loss=loss).seen)
    deviation = (COUNT * loss * (1 - loss)) ** 0.5
    assert abs(arrived - COUNT * (1 - loss)) < 5 * deviation


@pytest.mark.parametrize("duplication", [0.1, 1.0])
def test_messages_are_duplicated_as_often_as_asked(duplication: float) -> None:
    """Twice at most, each copy with a latency of its own."""
    counts = Counter(run(flood, seed=4, duplication=duplication).payloads())
    assert set(counts) == set(range(COUNT))
    assert set(counts.values()) <= {1, 2}
    twice = sum(count == 2 for count in counts.values())
    deviation = (COUNT * duplication * (1 - duplication)) ** 0.5
    assert abs(twice - COUNT * duplication) <= 5 * deviation


@pytest.mark.parametrize("latency", sorted(LATENCIES))
def test_latencies_have_the_mean_asked_for(latency: str) -> None:
    """Whatever the distribution; none is negative."""
    world = run(flood, seed=5, latency=latency, latency_s=0.01)
    times = [time for *_, time in world.seen]
    assert fmean(times) == pytest.approx(0.01, rel=0.1)
    assert min(times) >= 0


def test_messages_overtake_each_other_unless_the_latency_is_constant() -> None:
    """Reordering is what a network of packets does; with one latency for all, order is kept."""
    assert run(flood, seed=6).payloads() != list(range(COUNT))
    assert run(flood, seed=6, latency="constant").payloads() == list(range(COUNT))


def test_a_cut_is_of_one_direction() -> None:
    """What goes the other way arrives."""

    async def main(world: World) -> list[tuple[str, str]]:
        world.network.cut = frozenset({("a", "b")})
        world.network.send("a", "b", b"1")
        world.network.send("b", "a", b"2")
        await asyncio.sleep(10)
        return [(source, dest) for source, dest, _, _ in world.seen]

    assert run(main) == [("b", "a")]


def test_a_message_under_way_is_lost_when_its_link_is_cut() -> None:
    """And what is sent after healing arrives."""

    async def main(world: World) -> list[int]:
        world.network.send("a", "b", b"1")
        world.network.cut = frozenset({("a", "b")})
        await asyncio.sleep(10)
        world.network.cut = frozenset()
        world.network.send("a", "b", b"2")
        await asyncio.sleep(10)
        return world.payloads()

    assert run(main) == [2]


def test_links_of_clients_are_reliable() -> None:
    """Neither loss nor duplication nor a cut between nodes touches them."""

    async def main(world: World) -> list[int]:
        world.network.cut = frozenset({("a", "b"), ("b", "a")})
        for number in range(500):
            world.network.send_reliably("c1", "a", str(number).encode())
        await asyncio.sleep(10)
        return sorted(world.payloads())

    assert run(main, loss=0.9, duplication=1.0) == list(range(500))


def test_who_is_not_there_gets_nothing() -> None:
    """A host that was never attached, and one that was detached while a message was under way."""

    async def main(world: World) -> list[int]:
        world.network.send("a", "nobody", b"1")
        world.network.send("a", "b", b"2")
        world.network.detach("b")
        world.network.detach("nobody")
        await asyncio.sleep(10)
        return world.payloads()

    assert run(main) == []


def test_the_same_seed_does_the_same() -> None:
    """Every message, to the last bit of its time; another seed does something else."""
    options = {"loss": 0.1, "duplication": 0.1, "latency": "heavy-tailed"}
    first, second, other = (run(flood, seed=seed, **options).seen for seed in (8, 8, 9))
    assert first == second
    assert first != other
