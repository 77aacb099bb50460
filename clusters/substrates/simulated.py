"""The ``simulated`` substrate: the whole test in one process, on virtual time, from one seed.

Replicas, clients, nemesis and runner are the same code as everywhere; the event loop, the network,
the disks and the clocks are simulated. The same seed gives the same history, byte for byte.
"""

from __future__ import annotations

import asyncio
import gc
import math
from collections.abc import Callable, Coroutine, Mapping
from pathlib import Path
from typing import Any, ClassVar, TypeVar

import msgspec

from clusters.substrates.simulation.deadlines import Deadlines
from clusters.substrates.simulation.disk import SimulatedDisk
from clusters.substrates.simulation.loop import VirtualTimeLoop
from clusters.substrates.simulation.network import LATENCIES, Network, NetworkOptions
from clusters.substrates.simulation.node import CLIENT_PREFIX, PROBE, Host
from harness.core.contracts import Availability, Body, Client, Control, Node, Replica, Request
from harness.core.errors import ClientError, DeploymentError
from harness.core.fault import Evidence, State
from harness.core.options import Option, Options
from harness.core.random import Streams

__all__ = ["Simulated", "SimulatedDeployment"]

T = TypeVar("T")

_PROBES_MIN = 8
_PROBES_LOST = 1e-9
"""How likely all probes of a link may be lost by chance alone."""
_PROBE_S = 0.25
_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(dict[str, Any]).decode


class Simulated:
    """See the module."""

    name: ClassVar[str] = "simulated"
    summary: ClassVar[str] = "deterministic simulation in one process: virtual time, one seed"
    strength: ClassVar[int] = 0
    simulated: ClassVar[bool] = True
    controls: ClassVar[frozenset[str]] = frozenset({"links", "kill", "pause"})
    options: ClassVar[tuple[Option, ...]] = (
        Option(
            name="network-latency",
            default="exponential",
            choices=tuple(LATENCIES),
            summary="distribution of the one-way latency",
        ),
        Option(
            name="network-latency-ms",
            default=2.0,
            minimum=0.001,
            maximum=10_000,
            summary="mean one-way latency",
        ),
        Option(
            name="network-loss",
            default=0.0,
            minimum=0,
            maximum=0.99,
            summary="probability that a message between nodes is lost",
        ),
        Option(
            name="network-duplication",
            default=0.0,
            minimum=0,
            maximum=1,
            summary="probability that a message between nodes arrives twice",
        ),
        Option(
            name="disk-sync-ms",
            default=0.2,
            minimum=0,
            maximum=10_000,
            summary="mean time that a disk sync takes",
        ),
    )

    def probe(self) -> Availability:
        return Availability(True, "simulation needs nothing of the machine")

    def run(self, main: Coroutine[Any, Any, T], seed: int) -> T:
        # Hardly anything here is cyclic garbage, and the default thresholds look for it after
        # every few operations: a fifth of the run time.
        thresholds = gc.get_threshold()
        gc.set_threshold(200_000, 20, 20)
        try:
            with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
                return runner.run(main)
        finally:
            gc.set_threshold(*thresholds)

    async def deploy(self, request: Request) -> SimulatedDeployment:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, VirtualTimeLoop), "the simulated substrate runs on its own loop"
        deployment = SimulatedDeployment(request, loop)
        for host in deployment.hosts.values():
            host.start()
        return deployment


class SimulatedDeployment:
    """The simulated nodes of one run. Implements ``Deployment``."""

    def __init__(self, request: Request, loop: VirtualTimeLoop) -> None:
        self.nodes = request.nodes
        self._request = request
        self._loop = loop
        streams = Streams(request.seed)
        options = request.options
        self.network = Network(loop, streams.stream("network"), _network_options(options))
        sync_s = _number(options, "disk-sync-ms") / 1e3
        self.hosts = {
            name: Host(
                name=name,
                peers=request.nodes,
                loop=loop,
                network=self.network,
                disk=SimulatedDisk(streams.stream(f"disk/{name}"), sync_s),
                source=streams.stream(f"node/{name}"),
                replica=self._replica,
                log=_log(request.logs / name / "output.log"),
            )
            for name in request.nodes
        }
        self.controls: Mapping[str, Control] = {
            "links": _Links(self),
            "kill": _Kill(self),
            "pause": _Pause(self),
        }
        self._clients = 0
        self._askers: dict[str, Client] = {}

    def _replica(self, node: Node) -> Replica:
        return self._request.cluster.replica(node, self._request.options)

    async def connect(self, node: str) -> Client:
        return self._client(node)

    async def ready(self, timeout_s: float) -> None:
        cluster = self._request.cluster
        deadline = self._loop.time() + timeout_s
        waiting = list(self.nodes)
        while waiting:
            waiting = [node for node in waiting if not await cluster.healthy(self._asker(node))]
            if waiting and self._loop.time() >= deadline:
                raise DeploymentError(f"not healthy after {timeout_s:g} s: {', '.join(waiting)}")
            if waiting:
                await asyncio.sleep(0.05)

    async def primaries(self) -> tuple[str, ...]:
        cluster = self._request.cluster
        if not cluster.has_primary:
            return ()
        return tuple([node for node in self.nodes if await cluster.is_primary(self._asker(node))])

    def _asker(self, node: str) -> Client:
        """The harness's own client of ``node``: one for all of a run's questions."""
        if node not in self._askers:
            self._askers[node] = self._client(node)
        return self._askers[node]

    def _client(self, node: str) -> Client:
        self._clients += 1
        return SimulatedClient(self._loop, self.network, f"{CLIENT_PREFIX}{self._clients}", node)

    async def close(self) -> None:
        for host in self.hosts.values():
            host.kill()


class SimulatedClient:
    """A client of one simulated node. Implements ``Client``."""

    def __init__(self, loop: VirtualTimeLoop, network: Network, name: str, node: str) -> None:
        self._loop = loop
        self._network = network
        self._name = name
        self._node = node
        self._last_id = 0
        self._waiting: dict[int, asyncio.Future[Body]] = {}
        self._deadlines = Deadlines(loop, self._waiting, self._expire)
        network.attach(name, self._receive)

    async def call(self, body: Body, timeout_s: float) -> Body:
        self._last_id = number = self._last_id + 1
        future: asyncio.Future[Body] = self._loop.create_future()
        self._waiting[number] = future
        payload = _encode({**body, "msg_id": number})
        self._network.send_reliably(self._name, self._node, payload)
        self._deadlines.add(number, timeout_s)
        return await future

    async def close(self) -> None:
        self._network.detach(self._name)

    def _receive(self, _source: str, payload: bytes) -> None:
        body = _decode(payload)
        future = self._waiting.pop(body.get("in_reply_to", 0), None)
        if future is None or future.done():
            return
        if body.get("type") == "error":
            future.set_exception(ClientError(body.get("code", 13), body.get("text", "")))
        else:
            future.set_result(body)

    def _expire(self, number: int) -> None:
        future = self._waiting.pop(number, None)
        if future is not None and not future.done():
            future.set_exception(ClientError(0, f"{self._node} did not answer in time"))


class _Links:
    def __init__(self, deployment: SimulatedDeployment) -> None:
        self._deployment = deployment
        self._probes = 0

    async def apply(self, state: State) -> None:
        self._deployment.network.cut = frozenset((a, b) for a, b in state)

    async def evidence(self, state: State) -> Evidence:
        """Send real messages over every link, and see which arrive."""
        network, hosts = self._deployment.network, self._deployment.hosts
        loss = network.options.loss
        probes = max(_PROBES_MIN, math.ceil(math.log(_PROBES_LOST, loss)) if loss else 0)
        links = [(a, b) for a in hosts for b in hosts if a != b]
        self._probes += 1
        token = PROBE + str(self._probes).encode()
        for a, b in links * probes:
            network.send(a, b, token)
        await asyncio.sleep(_PROBE_S)
        blocked = tuple((a, b) for a, b in links if (a, token) not in hosts[b].probed)
        for host in hosts.values():
            host.probed.clear()
        return Evidence(
            holds=set(blocked) == set(state),
            observations=(
                f"{len(links) - len(blocked)} of {len(links)} links pass",
                *(f"{a}->{b} loses all" for a, b in blocked),
            ),
        )


class _Kill:
    def __init__(self, deployment: SimulatedDeployment) -> None:
        self._hosts = deployment.hosts

    async def apply(self, state: State) -> None:
        down = {node for (node,) in state}
        for name, host in self._hosts.items():
            host.kill() if name in down else host.start()

    async def evidence(self, state: State) -> Evidence:
        down = tuple(name for name, host in self._hosts.items() if host.incarnation is None)
        return Evidence(
            holds=set(down) == {node for (node,) in state},
            observations=tuple(f"{name} is down" for name in down) or ("all nodes are up",),
        )


class _Pause:
    def __init__(self, deployment: SimulatedDeployment) -> None:
        self._hosts = deployment.hosts

    async def apply(self, state: State) -> None:
        paused = {node for (node,) in state}
        for name, host in self._hosts.items():
            host.pause() if name in paused else host.resume()

    async def evidence(self, state: State) -> Evidence:
        paused = tuple(name for name, host in self._hosts.items() if host.paused)
        return Evidence(
            holds=set(paused) == {node for (node,) in state},
            observations=tuple(f"{name} is paused" for name in paused) or ("no node is paused",),
        )


def _number(options: Options, name: str) -> float:
    value = options[name]
    assert isinstance(value, int | float)
    return float(value)


def _network_options(options: Options) -> NetworkOptions:
    return NetworkOptions(
        latency=str(options["network-latency"]),
        latency_s=_number(options, "network-latency-ms") / 1e3,
        loss=_number(options, "network-loss"),
        duplication=_number(options, "network-duplication"),
    )


def _log(path: Path) -> Callable[[str], None]:
    def write(text: str) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("a") as file:
            file.write(text)

    return write
