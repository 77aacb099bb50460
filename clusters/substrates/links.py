"""Cutting the links of a network of namespaces, and the proof that they are cut.

The state is one set of ``source . destination`` in a bridge table of the switch, replaced in one
transaction: no packet ever sees half of a partition. Packets vanish on the wire: a rule in a node's
output hook would instead tell the sender (EPERM). What is neither IPv4 nor ARP (IPv6, that is)
never passes between any two namespaces, as no set of IPv4 addresses could cut it.

Evidence. The harness keeps a UDP socket inside every node's namespace. For each ordered pair it
sends a datagram with a fresh token from the one to the other; the link passes if and only if it
arrives. The links that should pass are the control: only when all of them have delivered does
silence on the others count.
"""

from __future__ import annotations

import asyncio
import itertools
import secrets
import socket
from collections.abc import Iterable
from functools import partial

from clusters.substrates.network import Network, command
from harness.core.errors import DeploymentError, FaultError
from harness.core.fault import Evidence, State

__all__ = ["RULES", "BridgeLinks"]

RULES = """\
table bridge splitbrain {
  set cut { type ipv4_addr . ipv4_addr; }
  chain forward {
    type filter hook forward priority -200; policy accept;
    ether type != { ip, arp } drop
    ether type ip ip saddr . ip daddr @cut drop
    ether type arp arp saddr ip . arp daddr ip @cut drop
  }
}
"""
"""The table of the switch, for ``nft -f``."""

_ROUND_S = 0.02
_ROUNDS_MIN = 3  # datagrams over a link before its silence counts
_LIMIT_S = 0.9

Link = tuple[str, str]


class _Receiver(asyncio.DatagramProtocol):
    """Remembers the tokens that arrived at one node."""

    def __init__(self) -> None:
        self.arrived: set[bytes] = set()

    def datagram_received(self, data: bytes, _: tuple[str | object, int]) -> None:
        self.arrived.add(data)


class BridgeLinks:
    """The control ``links``: which directed links lose everything."""

    def __init__(self, network: Network) -> None:
        self._network = network
        self._links = tuple(itertools.permutations(network.nodes, 2))
        self._transports: dict[str, asyncio.DatagramTransport] = {}
        self._receivers: dict[str, _Receiver] = {}
        self._ports: dict[str, int] = {}

    async def open(self) -> None:
        """Load the table, and open the sockets of the probe."""
        await self._nft(RULES)
        loop = asyncio.get_running_loop()
        for node in self._network.nodes:
            sock = self._network.open_socket(
                self._network.namespace(node), socket.AF_INET, socket.SOCK_DGRAM
            )
            sock.setblocking(False)
            sock.bind((self._network.address(node), 0))
            self._ports[node] = sock.getsockname()[1]
            transport, receiver = await loop.create_datagram_endpoint(_Receiver, sock=sock)
            self._transports[node], self._receivers[node] = transport, receiver

    async def close(self) -> None:
        """Close the sockets; the table goes with the switch. Idempotent."""
        for transport in self._transports.values():
            transport.abort()
        self._transports.clear()
        await asyncio.sleep(0)  # a transport closes its socket in the next turn of the loop

    async def apply(self, state: State) -> None:
        """Cut exactly the links of ``state``. ``FaultError`` when the kernel refuses."""
        pairs = ", ".join(
            f"{self._network.address(source)} . {self._network.address(target)}"
            for source, target in state
        )
        addition = f"add element bridge splitbrain cut {{ {pairs} }}\n" if pairs else ""
        try:
            await self._nft("flush set bridge splitbrain cut\n" + addition)
        except DeploymentError as error:
            raise FaultError(f"the links could not be set: {error}") from error

    async def evidence(self, state: State) -> Evidence:
        """Whether exactly the links of ``state`` deliver nothing."""
        cut = {(source, target) for source, target in state}
        delivered = await self._probe(frozenset(self._links) - cut)
        return Evidence(
            delivered == frozenset(self._links) - cut,
            tuple(
                f"{source} -> {target} {'passes' if (source, target) in delivered else 'is cut'}"
                for source, target in self._links
            ),
        )

    async def _probe(self, expected: Iterable[Link]) -> frozenset[Link]:
        """The links that deliver a datagram. Waits for the expected ones as long as it may, and
        for the others until they had several chances."""
        expected = frozenset(expected)
        tokens = {link: secrets.token_bytes(16) for link in self._links}
        loop = asyncio.get_running_loop()
        deadline = loop.time() + _LIMIT_S
        delivered: frozenset[Link] = frozenset()
        for number in itertools.count(1):
            for link in self._links:
                if link not in delivered:
                    self._send(link, tokens[link])
            await asyncio.sleep(_ROUND_S)
            delivered = frozenset(
                link for link, token in tokens.items() if token in self._receivers[link[1]].arrived
            )
            if (number >= _ROUNDS_MIN and expected <= delivered) or loop.time() >= deadline:
                break
        for receiver in self._receivers.values():
            receiver.arrived.clear()
        return delivered

    def _send(self, link: Link, token: bytes) -> None:
        source, target = link
        address = (self._network.address(target), self._ports[target])
        self._transports[source].sendto(token, address)

    async def _nft(self, text: str) -> None:
        await self._network.within(self._network.switch, partial(command, ("nft", "-f", "-"), text))
