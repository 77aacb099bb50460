"""A network of namespaces: one for each node, a *switch* that holds the bridge, a *control* room.

It must never know what runs in it. Nothing is put into the machine's own network namespace, so no
firewall of the machine sees the traffic (with Docker installed, bridged frames of the host go
through its FORWARD policy), and the subnet cannot collide with anything, not even with another run.

::

    n1 (10.77.0.1)   n2 (10.77.0.2) ...     control (10.77.0.254)
          \\              |                    /
           p1 ---------- p2 ------ br0 ----- p0        all in the switch

Addresses are resolved beforehand (permanent neighbours): with ARP, cutting one direction would, as
soon as a neighbour's entry ages, cut the other one too, because the answers no longer come back.

A namespace belongs to a *thread* (setns(2)), so a thread may visit one, open a socket there, and
leave: the socket stays where it was made. Commands of the network run on one thread of its own, in
order, even when the task that asked for them is cancelled.
"""

from __future__ import annotations

import asyncio
import ctypes
import os
import socket
import subprocess
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TypeVar

from harness.core.contracts import Ledger
from harness.core.errors import DeploymentError, HarnessError

__all__ = ["NODES_MAX", "Network", "command", "visit"]

T = TypeVar("T")

NODES_MAX = 250
"""How many nodes fit into the subnet beside the control room."""

_SUBNET = "10.77.0"
_CONTROL_HOST = 254
_NAMED = Path("/run/netns")  # where iproute2 keeps the names (ip-netns(8))
_COMMAND_LIMIT_S = 20.0
_CLONE_NEWNET = 0x40000000
_libc = ctypes.CDLL(None, use_errno=True)

# Without these, a connection that stalled for 8 s needs another 5 s after healing, because TCP
# doubles its retransmission timeout each time; with a cap (Linux 6.15), at most 1 s. But the
# number of retries bounds the connection's life, so that must then grow.
_NODE_SYSCTLS = {"net/ipv4/tcp_rto_max_ms": "1000", "net/ipv4/tcp_retries2": "60"}


def command(argv: Sequence[str], text: str = "") -> None:
    """Run a command with ``text`` as its input; ``DeploymentError`` with what it said."""
    try:
        result = subprocess.run(
            argv, input=text, text=True, capture_output=True, timeout=_COMMAND_LIMIT_S, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise DeploymentError(f"{' '.join(argv)}: {error}") from error
    if result.returncode:
        said = (result.stderr or result.stdout).strip()
        raise DeploymentError(f"{' '.join(argv)} failed: {said or result.returncode}")


@contextmanager
def visit(namespace: int) -> Iterator[None]:
    """Be in the network namespace of that file descriptor; only the calling thread is."""
    home = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    try:
        _enter(namespace)
        try:
            yield
        finally:
            _enter(home)
    finally:
        os.close(home)


def _enter(namespace: int) -> None:
    if _libc.setns(namespace, _CLONE_NEWNET):
        number = ctypes.get_errno()
        raise HarnessError(f"setns failed: {os.strerror(number)}")


class Network:
    """The namespaces of one run. Open it before use; ``close`` deletes everything."""

    def __init__(self, nodes: Sequence[str], ledger: Ledger) -> None:
        if len(nodes) > NODES_MAX:
            raise DeploymentError(f"{len(nodes)} nodes: the network has room for {NODES_MAX}")
        self.nodes = tuple(nodes)
        self._ledger = ledger
        self._hosts = {node: index for index, node in enumerate(self.nodes, 1)}
        self._records: dict[str, int] = {}
        self._files: dict[str, int] = {}
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="network")

    @property
    def switch(self) -> str:
        """The name of the namespace that holds the bridge."""
        return f"sb-{self._ledger.run}-switch"

    @property
    def control(self) -> str:
        """The name of the namespace that clients dial from."""
        return f"sb-{self._ledger.run}-control"

    def namespace(self, node: str) -> str:
        """The name of the node's namespace. Nodes get a dot more, so that no node can be taken for
        the switch."""
        return f"sb-{self._ledger.run}-node.{node}"

    def address(self, node: str) -> str:
        """The node's IPv4 address."""
        return f"{_SUBNET}.{self._hosts[node]}"

    def launcher(self, node: str) -> tuple[str, ...]:
        """The beginning of a command line that runs the rest of it on the node."""
        return ("ip", "netns", "exec", self.namespace(node))

    def open_socket(self, namespace: str, family: int, kind: int) -> socket.socket:
        """An unconnected socket inside that namespace. Safe from any thread."""
        with visit(self._files[namespace]):
            return socket.socket(family, kind)

    async def within(self, namespace: str, work: Callable[[], T]) -> T:
        """What ``work`` returns, run inside that namespace; its child processes are there too."""

        def visiting() -> T:
            with visit(self._files[namespace]):
                return work()

        return await self._on_thread(visiting)

    async def open(self) -> None:
        """Make the namespaces, each journalled before, and the links between them."""
        for name in self._names():
            argv = ["ip", "netns", "del", name]
            self._records[name] = self._ledger.record({"kind": "command", "argv": argv})
        await self._on_thread(self._build)

    async def close(self) -> None:
        """Delete the namespaces. Idempotent. Their sockets and processes must have ended before,
        else the kernel keeps what has no name any more until they do."""
        if self._records:
            await self._on_thread(self._delete)
        self._thread.shutdown(wait=False)  # not reached after an error: close may be tried again

    async def _on_thread(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)

    def _names(self) -> tuple[str, ...]:
        return (self.switch, self.control, *(self.namespace(node) for node in self.nodes))

    def _ends(self) -> dict[str, int]:
        """Every namespace at the end of a cable, and the last number of its address."""
        nodes = {self.namespace(node): host for node, host in self._hosts.items()}
        return {self.control: _CONTROL_HOST, **nodes}

    def _build(self) -> None:
        _batch(None, [f"netns add {name}" for name in self._names()])
        for name in self._names():
            self._files[name] = os.open(_NAMED / name, os.O_RDONLY | os.O_CLOEXEC)
        ends = self._ends()
        _batch(self.switch, _switch_lines(ends))
        for name, host in ends.items():
            _batch(name, _end_lines(host, tuple(ends.values())))
            with visit(self._files[name]):
                _set_sysctls(_NODE_SYSCTLS)

    def _delete(self) -> None:
        for name in tuple(self._files):
            os.close(self._files.pop(name))
        errors = []
        for name, number in tuple(self._records.items()):
            try:
                if (_NAMED / name).exists():
                    command(["ip", "netns", "del", name])
                self._ledger.strike(number)
                del self._records[name]
            except DeploymentError as error:
                errors.append(str(error))
        if errors:
            raise DeploymentError("; ".join(errors))


def _batch(namespace: str | None, lines: Sequence[str]) -> None:
    """Run many ``ip`` commands in one process: ten times faster than one process each."""
    where = () if namespace is None else ("-n", namespace)
    command(("ip", *where, "-batch", "-"), "".join(f"{line}\n" for line in lines))


def _switch_lines(ends: dict[str, int]) -> list[str]:
    lines = ["link set lo up", "link add br0 type bridge forward_delay 0 mcast_snooping 0"]
    for name, host in ends.items():
        lines += [
            f"link add p{host} type veth peer name eth0 address {_hardware(host)} netns {name}",
            f"link set p{host} master br0",
            f"link set p{host} up",
        ]
    return [*lines, "link set br0 up"]


def _end_lines(host: int, hosts: tuple[int, ...]) -> list[str]:
    neighbours = [
        f"neigh add {_SUBNET}.{other} lladdr {_hardware(other)} dev eth0 nud permanent"
        for other in hosts
        if other != host
    ]
    up = ["link set lo up", f"addr add {_SUBNET}.{host}/24 dev eth0", "link set eth0 up"]
    return up + neighbours


def _hardware(host: int) -> str:
    return f"02:73:62:00:00:{host:02x}"  # the second bit: locally administered


def _set_sysctls(values: dict[str, str]) -> None:
    """Set in the calling thread's namespace what this kernel knows; the others only cost time."""
    for name, value in values.items():
        with suppress(OSError):
            Path("/proc/sys", name).write_text(value)
