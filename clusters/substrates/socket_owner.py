"""Which node's process holds the other end of a local TCP connection.

For programs that do not bind their outgoing connections to the node's own address. The kernel tells
the inode of a socket by its two addresses (``/proc/net/tcp``), the open files of a process by inode
(``/proc/PID/fd``), and the node by an environment variable that the process and its children
inherited: so a process is attributed from its first moment, and after every restart.
"""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Iterator

__all__ = ["Gone", "SocketOwners"]

Address = tuple[str, int]


class Gone(Exception):
    """The connection has ended, so nobody can say whose it was."""


def _words(data: bytes) -> str:
    """Bytes as /proc/net shows them: 32-bit words in the machine's byte order."""
    words = (data[start : start + 4] for start in range(0, len(data), 4))
    return "".join(f"{int.from_bytes(word, sys.byteorder):08X}" for word in words)


def _forms(address: Address) -> tuple[str, str]:
    """``address`` as the tables for IPv4 and IPv6 (as a mapped address) write it."""
    four = socket.inet_aton(address[0])
    port = f"{address[1]:04X}"
    mapped = bytes(10) + b"\xff\xff" + four
    return f"{_words(four)}:{port}", f"{_words(mapped)}:{port}"


def _inode(local: Address, remote: Address) -> int:
    """The inode of the socket at ``local`` that is connected to ``remote``; 0 when it is gone."""
    for table, ours, theirs in zip(("tcp", "tcp6"), _forms(local), _forms(remote), strict=True):
        try:
            with open(f"/proc/net/{table}", encoding="ascii") as rows:
                for row in rows:
                    fields = row.split()
                    if fields[1] == ours and fields[2] == theirs:
                        return int(fields[9])
        except FileNotFoundError:  # a kernel without IPv6
            continue
    return 0


class SocketOwners:
    """Looks connections up. ``variable=prefix + node`` marks the processes of ``node``."""

    def __init__(self, variable: str, prefix: str) -> None:
        self._mark = f"{variable}={prefix}".encode()
        self._known: set[int] = set()

    def node(self, local: Address, remote: Address) -> str | None:
        """The node that holds the socket at ``local`` connected to ``remote``; ``None``: a process
        that is no node. ``Gone`` when there is no such connection any more."""
        inode = _inode(local, remote)
        if inode == 0:
            raise Gone
        target = f"socket:[{inode}]"
        for pid, node in self._marked():
            if target in _open_files(pid):
                return node
        # Closed between the two looks, a socket of a node would pass for a stranger's.
        if _inode(local, remote) != inode:
            raise Gone
        return None

    def _marked(self) -> Iterator[tuple[int, str]]:
        """The processes of nodes; first those that were nodes' the last time."""
        known = tuple(self._known)
        others = (int(entry) for entry in os.listdir("/proc") if entry.isdecimal())
        for pid in (*known, *(pid for pid in others if pid not in self._known)):
            node = self._mark_of(pid)
            if node is None:
                self._known.discard(pid)
            else:
                self._known.add(pid)
                yield pid, node

    def _mark_of(self, pid: int) -> str | None:
        try:
            with open(f"/proc/{pid}/environ", "rb") as file:
                environment = file.read()
        except OSError:  # ended meanwhile, or somebody else's
            return None
        for variable in environment.split(b"\0"):
            if variable.startswith(self._mark):
                return variable[len(self._mark) :].decode()
        return None


def _open_files(pid: int) -> Iterator[str]:
    try:
        for entry in os.scandir(f"/proc/{pid}/fd"):
            try:
                yield os.readlink(entry.path)
            except OSError:
                continue
    except OSError:
        return
