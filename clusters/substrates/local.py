"""Nodes as plain processes of this machine: no privilege, no container.

Every node has two addresses in a ``127.x.y.0/24`` of the run's own. It listens on one, where
clients reach it; the other belongs to the proxy process and is what the nodes are told about each
other. So all that nodes say to each other, and nothing that clients say, crosses a link that can be
cut.

The network is chosen by the run's id, and held for as long as the deployment lives by the servers
that receive the probes: two runs at once never share one.
"""

from __future__ import annotations

import asyncio
import hashlib
import socket
import sys
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from functools import partial
from pathlib import Path
from typing import Any, ClassVar, TypeVar

from clusters.substrates.processes import ProcessDeployment, ProcessTable
from clusters.substrates.proxied_links import ProbeServer, ProxiedLinks, ProxyProcess
from clusters.substrates.proxy import MARK, Route, Setup
from harness.core.contracts import Availability, Deployment, Endpoint, Member, Request
from harness.core.errors import BadInput, DeploymentError, Problem
from harness.core.options import Option

__all__ = ["Local"]

T = TypeVar("T")

_NODES_MAX = 120
_NETWORK_TRIES = 32
_PROBE_PORT = 6990


class Local:
    """Processes behind a user-space proxy. See :class:`harness.core.contracts.Substrate`."""

    name: ClassVar[str] = "local"
    summary: ClassVar[str] = "processes on this machine; links cut by a user-space proxy"
    strength: ClassVar[int] = 10
    options: ClassVar[tuple[Option, ...]] = (
        Option(
            name="network-latency-ms",
            default=0.0,
            summary="how long every message between nodes takes, one way, added by the proxy",
            minimum=0,
            maximum=500,
        ),
    )
    controls: ClassVar[frozenset[str]] = frozenset({"links", "kill", "pause"})
    simulated: ClassVar[bool] = False

    def probe(self) -> Availability:
        """Whether this is a Linux whose loopback has all of 127.0.0.0/8."""
        if sys.platform != "linux":
            return Availability(False, f"this is {sys.platform}", "run it on Linux")
        if not Path("/proc/net/tcp").exists():
            return Availability(False, "/proc/net/tcp cannot be read", "mount /proc")
        try:
            with socket.socket() as plain:
                plain.bind(("127.213.117.1", 0))
        except OSError as error:
            return Availability(False, f"127.213.117.1: {error}", "bring up lo with 127.0.0.1/8")
        return Availability(True, "any address of 127.0.0.0/8 can be bound")

    def run(self, main: Coroutine[Any, Any, T], seed: int) -> T:
        """Run ``main`` on asyncio's own loop. Real time has no seed."""
        return asyncio.run(main)

    async def deploy(self, request: Request) -> Deployment:
        """Start the proxy and all nodes. ``DeploymentError`` if that cannot be."""
        _refuse_too_many(request.nodes)
        members, port, probes = await _claim_network(request)
        proxy = None
        try:
            setup = _setup(request, members, port)
            proxy = await ProxyProcess.start(setup, request.ledger, request.logs / "proxy.log")
            links = ProxiedLinks(proxy, members, probes, port, _latency_ms(request))
            await links.apply(())
            deployment = _deployment(
                request, members, links, (proxy.close, partial(_close, probes))
            )
        except BaseException:
            if proxy is not None:
                await proxy.close()
            await _close(probes)
            raise
        try:
            await deployment.start()
        except BaseException:
            await deployment.close()
            raise
        return deployment


def _deployment(
    request: Request,
    members: tuple[Member, ...],
    links: ProxiedLinks,
    closers: Sequence[Callable[[], Awaitable[None]]],
) -> ProcessDeployment:
    listens = {member.name: member.listen for member in members}

    def launcher(node: str) -> tuple[str, ...]:
        return ("/usr/bin/env", f"{MARK}={request.ledger.run}/{node}")

    return ProcessDeployment(
        request=request,
        members=members,
        table=ProcessTable(ledger=request.ledger, logs=request.logs, launcher=launcher),
        links=links,
        endpoint=lambda node: Endpoint(node, listens[node]),
        closers=closers,
    )


def _latency_ms(request: Request) -> float:
    """The option's value; its default where the request does not name it."""
    value = request.options.get("network-latency-ms", 0.0)
    assert isinstance(value, int | float)
    return float(value)


def _setup(request: Request, members: Sequence[Member], probe_port: int) -> Setup:
    """The proxy's routes: every port of every node, and its probe server's."""
    routes = [
        Route(node=member.name, address=member.address, listen=member.listen, port=port)
        for member in members
        for port in (*_ports(request, member, members), probe_port)
    ]
    sources = {member.listen: member.name for member in members}
    return Setup(run=request.ledger.run, sources=sources, routes=routes)


def _ports(request: Request, member: Member, members: Sequence[Member]) -> tuple[int, ...]:
    directory = request.data / member.name
    return request.cluster.program(member, tuple(members), directory, request.options).ports


async def _claim_network(
    request: Request,
) -> tuple[tuple[Member, ...], int, dict[str, ProbeServer]]:
    """Members on a network that is free, the probes' port, and the servers that hold it."""
    refused = ""
    for attempt in range(_NETWORK_TRIES):
        members = _members(request.nodes, f"{request.ledger.run}/{attempt}")
        used = {port for member in members for port in _ports(request, member, members)}
        port = next(number for number in range(_PROBE_PORT, 0, -1) if number not in used)
        probes: dict[str, ProbeServer] = {}
        try:
            for member in members:
                _try(member, used | {port})
                probes[member.name] = await ProbeServer.start(member.listen, port)
            return members, port, probes
        except OSError as error:
            refused = str(error)
            await _close(probes)
        except BaseException:
            await _close(probes)
            raise
    raise DeploymentError(
        f"found no free loopback network in {_NETWORK_TRIES} tries; the last: {refused}"
    )


def _members(nodes: Sequence[str], name: str) -> tuple[Member, ...]:
    """Members on the network that ``name`` hashes to, never the usual 127.0.0.0/16."""
    digest = hashlib.sha256(name.encode()).digest()
    network = f"127.{1 + digest[0] % 254}.{digest[1]}"
    return tuple(
        Member(node, f"{network}.{128 + number}", f"{network}.{1 + number}")
        for number, node in enumerate(nodes)
    )


def _try(member: Member, ports: set[int]) -> None:
    """``OSError`` if one of the ports is taken on one of the member's addresses."""
    for address in (member.address, member.listen):
        for port in sorted(ports):
            with socket.socket() as plain:
                plain.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                try:
                    plain.bind((address, port))
                except OSError as error:
                    raise OSError(f"{address}:{port}: {error.strerror}") from error


async def _close(probes: dict[str, ProbeServer]) -> None:
    for probe in probes.values():
        await probe.close()


def _refuse_too_many(nodes: Sequence[str]) -> None:
    if len(nodes) > _NODES_MAX:
        change = f"ask for at most {_NODES_MAX} nodes"
        raise BadInput([Problem(f"{len(nodes)} nodes", f"<= {_NODES_MAX} on local", change)])
