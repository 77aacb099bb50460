"""Nodes as processes in network namespaces of their own, on one bridge: real kernels' TCP, cut for
real. Established connections stall, and resume after healing; one direction can be cut alone.

Needs root, iproute2 and nftables on Linux. :mod:`clusters.substrates.network` has the network,
:mod:`clusters.substrates.links` the cuts.
"""

from __future__ import annotations

import asyncio
import os
import secrets
import shutil
import socket
from collections.abc import Coroutine
from functools import partial
from pathlib import Path
from typing import Any, ClassVar, TypeVar

from clusters.substrates.links import RULES, BridgeLinks
from clusters.substrates.network import Network, command, visit
from clusters.substrates.processes import ProcessDeployment, ProcessTable
from harness.core.contracts import Availability, Endpoint, Member, Request
from harness.core.errors import HarnessError
from harness.core.options import Option

__all__ = ["Namespaces"]

T = TypeVar("T")

_REMEDY = "run as root; apt-get install nftables iproute2"


class Namespaces:
    """The substrate ``namespaces``."""

    name: ClassVar[str] = "namespaces"
    summary: ClassVar[str] = "one Linux network namespace a node, cut by nftables; needs root"
    strength: ClassVar[int] = 20
    options: ClassVar[tuple[Option, ...]] = ()
    controls: ClassVar[frozenset[str]] = frozenset({"links", "kill", "pause"})
    simulated: ClassVar[bool] = False

    def probe(self) -> Availability:
        """Whether a namespace with a bridge and a bridge table can be made here: by making one."""
        if os.geteuid() != 0:
            return Availability(False, "network namespaces need root", _REMEDY)
        absent = [tool for tool in ("ip", "nft") if shutil.which(tool) is None]
        if absent:
            return Availability(False, f"{' and '.join(absent)} not on the PATH", _REMEDY)
        try:
            _try_out(f"sb-probe-{secrets.token_hex(4)}")
        except (HarnessError, OSError) as error:
            return Availability(
                False,
                f"a network namespace with a bridge and a bridge table cannot be made: {error}",
                f"{_REMEDY}; in a container, also grant CAP_SYS_ADMIN and CAP_NET_ADMIN",
            )
        return Availability(True, "made a network namespace with a bridge and a bridge table")

    def run(self, main: Coroutine[Any, Any, T], seed: int) -> T:
        """Run ``main`` on asyncio's own loop, in real time: the seed cannot reach the kernel."""
        return asyncio.run(main)

    async def deploy(self, request: Request) -> ProcessDeployment:
        """Build the network and start all nodes; nothing is left when it raises."""
        network = Network(request.nodes, request.ledger)
        links = BridgeLinks(network)
        deployment = ProcessDeployment(
            request=request,
            members=tuple(
                Member(node, network.address(node), network.address(node)) for node in request.nodes
            ),
            table=ProcessTable(ledger=request.ledger, logs=request.logs, launcher=network.launcher),
            links=links,
            endpoint=lambda node: Endpoint(
                node, network.address(node), partial(network.open_socket, network.control)
            ),
            closers=(links.close, network.close),
        )
        try:
            await network.open()
            await links.open()
            await deployment.start()
        except BaseException:
            await deployment.close()
            raise
        return deployment


def _try_out(name: str) -> None:
    """All that the substrate does, once, in a throw-away namespace."""
    try:
        command(("ip", "netns", "add", name))
        command(("ip", "-n", name, "link", "add", "br0", "type", "bridge", "forward_delay", "0"))
        command(("ip", "-n", name, "link", "add", "p1", "type", "veth", "peer", "name", "eth0"))
        command(("ip", "netns", "exec", name, "nft", "-f", "-"), RULES)
        file = os.open(Path("/run/netns") / name, os.O_RDONLY | os.O_CLOEXEC)
        try:
            with visit(file):
                socket.socket(socket.AF_INET, socket.SOCK_DGRAM).close()
        finally:
            os.close(file)
    finally:
        if Path("/run/netns", name).exists():
            command(("ip", "netns", "del", name))
