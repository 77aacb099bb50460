"""etcd, a key-value store replicated by Raft; driven through its HTTP/JSON gateway.

Reads, writes and compare-and-set of single keys; reads are linearizable (they wait for a quorum)
unless ``serializable-reads`` asks the node for what it knows itself, which may be stale: that is
the positive control, a run whose anomalies a checker must find. Keys and values are stored as JSON
text. https://etcd.io/docs/v3.4/dev-guide/api_grpc_gateway/; Ongaro and Ousterhout, In Search of an
Understandable Consensus Algorithm, USENIX ATC 2014.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from base64 import b64encode
from pathlib import Path
from typing import ClassVar

from clusters.databases.etcd_client import CLIENT_PORT, OPERATIONS, EtcdClient
from harness.core.contracts import Body, Client, Endpoint, Member, Node, Program, Replica
from harness.core.errors import ClientError, HarnessError, Problem
from harness.core.options import Option, Options

__all__ = ["Etcd"]

_PEER_PORT = 2380
_PROBE_LIMIT_S = 1.0
_VERSION_LIMIT_S = 10.0
_VERSION_OLDEST = (3, 4)  # the first that has the gateway below /v3
_VERSION = re.compile(r"^etcd Version: (\d+)\.(\d+)\.(\S+)", re.MULTILINE)
_ELECTION_PER_HEARTBEAT = 5  # etcd refuses to start below
_HEALTH_KEY = "splitbrain/health"  # not JSON: no workload can use it


class Etcd:
    """The cluster ``etcd``: whatever etcd is on the PATH, 3.4 or newer."""

    name: ClassVar[str] = "etcd"
    summary: ClassVar[str] = "etcd (Raft), through its HTTP/JSON gateway"
    operations: ClassVar[frozenset[str]] = OPERATIONS
    nodes_default: ClassVar[int] = 3
    has_primary: ClassVar[bool] = True
    simulable: ClassVar[bool] = False
    options: ClassVar[tuple[Option, ...]] = (
        Option(
            name="heartbeat-interval-ms",
            default=100,
            summary="how often the leader says that it lives",
            minimum=1,
        ),
        Option(
            name="election-timeout-ms",
            default=1000,
            summary="how long a follower waits for the leader before it stands for election",
            minimum=5,
            maximum=50_000,
        ),
        Option(
            name="serializable-reads",
            default=False,
            summary="read what the node knows itself, which may be stale (a planted anomaly)",
        ),
    )

    def problems(self, options: Options, nodes: int) -> list[Problem]:
        """An election timeout that etcd would refuse."""
        heartbeat_ms, election_ms = (
            options[name] for name in ("heartbeat-interval-ms", "election-timeout-ms")
        )
        assert isinstance(heartbeat_ms, int)
        assert isinstance(election_ms, int)
        least_ms = _ELECTION_PER_HEARTBEAT * heartbeat_ms
        if election_ms >= least_ms:
            return []
        return [
            Problem(
                f"election-timeout-ms={election_ms} with heartbeat-interval-ms={heartbeat_ms}",
                f"an election timeout of at least {_ELECTION_PER_HEARTBEAT} heartbeat intervals",
                f"use -o election-timeout-ms={least_ms} or a shorter heartbeat interval",
            )
        ]

    def missing(self) -> list[Problem]:
        """An etcd on the PATH, and new enough."""
        remedy = "apt-get install etcd-server, or put an etcd >= 3.4 on the PATH"
        if shutil.which("etcd") is None:
            return [Problem("no etcd on the PATH", "the program etcd", remedy)]
        version = self.version()
        numbers = tuple(int(part) for part in re.findall(r"\d+", version)[:2])
        if numbers < _VERSION_OLDEST:
            return [Problem(f"etcd {version}", "etcd 3.4 or newer", remedy)]
        return []

    def version(self) -> str:
        """What ``etcd --version`` says: ``3.4.23``, say; empty when there is none."""
        binary = shutil.which("etcd")
        if binary is None:
            return ""
        result = subprocess.run(
            [binary, "--version"],
            capture_output=True,
            text=True,
            timeout=_VERSION_LIMIT_S,
            check=False,
        )
        found = _VERSION.search(result.stdout)
        return ".".join(found.groups()) if found else "unknown"

    def replica(self, node: Node, options: Options) -> Replica:
        """None: etcd runs as processes only."""
        raise HarnessError("etcd has no replica on the Node API: it runs as processes only")

    def program(
        self, member: Member, members: tuple[Member, ...], directory: Path, options: Options
    ) -> Program:
        """The server's command line. ``--initial-cluster-state new`` is ignored when there already
        is data, so a restart looks the same."""
        binary = shutil.which("etcd")
        if binary is None:
            raise HarnessError("no etcd on the PATH: apt-get install etcd-server")
        flags = {
            "name": member.name,
            "data-dir": directory / "data",
            "listen-peer-urls": _url(member.listen, _PEER_PORT),
            "initial-advertise-peer-urls": _url(member.address, _PEER_PORT),
            "listen-client-urls": _url(member.listen, CLIENT_PORT),
            "advertise-client-urls": _url(member.listen, CLIENT_PORT),
            "initial-cluster": ",".join(
                f"{peer.name}={_url(peer.address, _PEER_PORT)}" for peer in members
            ),
            "initial-cluster-state": "new",
            "initial-cluster-token": "splitbrain",
            "heartbeat-interval": options["heartbeat-interval-ms"],
            "election-timeout": options["election-timeout-ms"],
        }
        return Program(
            argv=(binary, *(f"--{name}={value}" for name, value in flags.items())),
            ports=(_PEER_PORT,),
        )

    def client(self, endpoint: Endpoint, options: Options) -> EtcdClient:
        """A client of that node."""
        return EtcdClient(endpoint, serializable=bool(options["serializable-reads"]))

    async def healthy(self, client: Client) -> bool:
        """Whether a linearizable read through the node succeeds: it has a leader and a quorum."""
        key = b64encode(_HEALTH_KEY.encode()).decode()
        return await _ask(client, "/v3/kv/range", {"key": key}) is not None

    async def is_primary(self, client: Client) -> bool:
        """Whether the node names itself the leader."""
        status = await _ask(client, "/v3/maintenance/status", {})
        if status is None:
            return False
        leader = status.get("leader")
        return leader is not None and leader == status.get("header", {}).get("member_id")


def _url(address: str, port: int) -> str:
    return f"http://{address}:{port}"


async def _ask(client: Client, path: str, message: Body) -> Body | None:
    assert isinstance(client, EtcdClient), client
    try:
        return await client.post(path, message, _PROBE_LIMIT_S)
    except ClientError:
        return None
