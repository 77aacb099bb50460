"""The base of systems that are written on the Node API.

A concrete system names itself and its options and makes its replica; everything that turns the
replica into processes with sockets is here and in :mod:`clusters.host`, and nothing here knows any
particular system.
"""

from __future__ import annotations

import abc
import sys
from pathlib import Path
from typing import ClassVar

import msgspec

import harness
from clusters.host import Configuration
from clusters.wire import MessageClient
from harness.core.contracts import Client, Endpoint, Member, Node, Program, Replica
from harness.core.errors import ClientError, Problem
from harness.core.options import Option, Options

__all__ = ["System"]

_CONFIGURATION = "host.json"
_ASK_TIMEOUT_S = 1.0


class System(abc.ABC):
    """A :class:`harness.core.contracts.Cluster` whose replicas use the Node API.

    A subclass sets ``name``, ``summary``, ``options`` and ``operations``, and defines ``replica``;
    it is made without arguments. One that has primaries sets ``has_primary`` and has its replica
    answer ``{"type": "_primary"}`` with ``{"type": "_primary_ok", "primary": bool}``. Message types
    that begin with an underscore belong to the harness.
    """

    name: ClassVar[str]
    summary: ClassVar[str]
    options: ClassVar[tuple[Option, ...]]
    operations: ClassVar[frozenset[str]]
    nodes_default: ClassVar[int] = 5
    has_primary: ClassVar[bool] = False
    simulable: ClassVar[bool] = True
    port: ClassVar[int] = 7000

    @abc.abstractmethod
    def replica(self, node: Node, options: Options) -> Replica:
        """The replica that runs on ``node``."""

    def problems(self, options: Options, nodes: int) -> list[Problem]:
        return []

    def missing(self) -> list[Problem]:
        return []

    def version(self) -> str:
        return harness.__version__

    def program(
        self, member: Member, members: tuple[Member, ...], directory: Path, options: Options
    ) -> Program:
        configuration = Configuration(
            system=f"{type(self).__module__}:{type(self).__qualname__}",
            options=dict(options),
            name=member.name,
            listen=member.listen,
            port=self.port,
            peers=[(other.name, other.address) for other in members],
            directory=str(directory.absolute() / "disk"),
        )
        return Program(
            argv=(
                sys.executable,
                "-m",
                "clusters.host",
                str(directory.absolute() / _CONFIGURATION),
            ),
            env={"PYTHONPATH": ":".join(_roots(type(self))), "PYTHONUNBUFFERED": "1"},
            files={_CONFIGURATION: msgspec.json.encode(configuration).decode()},
            ports=(self.port,),
        )

    def client(self, endpoint: Endpoint, options: Options) -> Client:
        return MessageClient(endpoint, self.port)

    async def healthy(self, client: Client) -> bool:
        try:
            reply = await client.call({"type": "_ping"}, _ASK_TIMEOUT_S)
        except ClientError:
            return False
        return reply.get("type") == "_pong"

    async def is_primary(self, client: Client) -> bool:
        if not self.has_primary:
            return False
        try:
            reply = await client.call({"type": "_primary"}, _ASK_TIMEOUT_S)
        except ClientError:
            return False
        return reply.get("primary") is True


def _roots(system: type) -> list[str]:
    """The folders from which a process that is started elsewhere can import this package and the
    module of ``system``: neither need be installed."""
    roots = [str(Path(__file__).resolve().parents[1])]
    name = system.__module__
    file = getattr(sys.modules[name], "__file__", None)
    if file is not None:
        path = Path(file).resolve()
        root = str(path.parents[name.count(".") + (path.name == "__init__.py")])
        if root not in roots:
            roots.append(root)
    return roots
