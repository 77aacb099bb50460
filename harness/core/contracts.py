"""The seams: what a cluster, substrate, nemesis, workload and checker promise each other.

A *request* is a message body in the vocabulary of the Maelstrom protocol: ``{"type": "read",
"key": k}`` is answered by ``{"type": "read_ok", "value": v}``, an error by :class:`ClientError`.
Workloads speak it, and every cluster translates it for its system; so a workload never asks which
cluster it drives.

Effects live behind these protocols only. All of them are asynchronous and use the running event
loop for time (``loop.time()``, ``asyncio.sleep``), never the wall clock: under ``simulated`` that
loop has virtual time.
"""

from __future__ import annotations

import random
import socket
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, TypeVar, runtime_checkable

import msgspec

from harness.core.fault import FaultInterval
from harness.core.options import Option, Options

if TYPE_CHECKING:  # a replica's process imports this module, and should start fast
    from harness.core.errors import Problem
    from harness.core.fault import Evidence, State
    from harness.core.generate import Generator
    from harness.core.history import History
    from harness.core.operation import Operation
    from harness.core.verdict import Verdict

__all__ = [
    "Availability",
    "Body",
    "CheckContext",
    "Checker",
    "Client",
    "Cluster",
    "Control",
    "Deployment",
    "Disk",
    "Endpoint",
    "Handler",
    "Ledger",
    "Member",
    "Message",
    "Nemesis",
    "Node",
    "Program",
    "Replica",
    "Request",
    "Situation",
    "Substrate",
    "Workload",
]

T = TypeVar("T")
Body = dict[str, Any]


class Message(msgspec.Struct, frozen=True):
    """The envelope of the Maelstrom protocol. ``body`` has ``type`` and maybe ``msg_id`` and
    ``in_reply_to``."""

    src: str
    dest: str
    body: Body


# --- replicas, written once -----------------------------------------------------------------


class Disk(Protocol):
    """Append-only files of records. What was not synced may be lost when the node crashes.

    Laws: after ``await sync(f)`` every record appended to ``f`` before the call survives any crash;
    records survive in order, as a prefix; a torn record is never read.
    """

    def append(self, file: str, record: bytes) -> None: ...
    async def sync(self, file: str) -> None: ...
    def read(self, file: str) -> Sequence[bytes]: ...


class Node(Protocol):
    """What a replica may use of the world. ``peers`` are all nodes, itself included, in an order
    that is the same everywhere. ``random`` is the node's own stream."""

    name: str
    peers: tuple[str, ...]
    random: random.Random
    disk: Disk

    def now(self) -> int:
        """This node's wall clock, in nanoseconds. Clocks of different nodes may differ."""
        ...

    async def sleep(self, seconds: float) -> None: ...

    def send(self, dest: str, body: Body) -> None:
        """Send without waiting. May be lost, duplicated, delayed; never corrupted."""
        ...

    def rpc(self, dest: str, body: Body, timeout_s: float) -> Awaitable[Body]:
        """The reply's body. The request is under way when this returns, whether or not the result
        is awaited (a coroutine function must therefore start a task). Raises ``RpcError`` (code 0:
        no reply in time; else that of the error reply). A node may call itself: that does not
        cross the network and works under any partition."""
        ...

    def spawn(self, work: Coroutine[Any, Any, None]) -> None:
        """Run ``work`` beside the handlers, until it ends or the node crashes."""
        ...


Handler = Callable[[Message], "Body | Awaitable[Body | None] | None"]
"""Answers one message. Returns the reply's body (None: no reply), or raises ``ClientError`` for an
error reply. A handler that needs to wait is a coroutine function; others are plain (cheaper)."""


class Replica(Protocol):
    """One replica of a documented system."""

    async def start(self) -> None:
        """Recover from the disk. Called once, before any message is delivered."""
        ...

    def handlers(self) -> Mapping[str, Handler]:
        """Message type to handler: the table of everything that the replica answers."""
        ...


# --- clusters -------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Member:
    """A node and its IPv4 addresses: ``address`` is where other nodes reach it, ``listen`` where it
    listens itself and where clients connect. They differ where a proxy stands between nodes."""

    name: str
    address: str
    listen: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Program:
    """How to start one node as a process. ``argv[0]`` is an absolute path. ``ports`` are the TCP
    ports that other nodes connect to (the links that a partition cuts)."""

    argv: tuple[str, ...]
    env: Mapping[str, str] = field(default_factory=dict)
    files: Mapping[str, str] = field(default_factory=dict)
    ports: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where and how a client reaches one node. ``open_socket`` makes a socket of the given family
    and type from which the node's address is reachable (it may live in another network namespace);
    it is not connected."""

    node: str
    address: str
    open_socket: Callable[[int, int], socket.socket] = socket.socket


class Client(Protocol):
    """One client's connection to one node."""

    async def call(self, body: Body, timeout_s: float) -> Body:
        """The reply. Raises ``ClientError``: definite only if the request certainly has no effect,
        now or later (a refused connection, an error reply that says so). Indefinite otherwise."""
        ...

    async def close(self) -> None: ...


@runtime_checkable
class Cluster(Protocol):
    """A system under test. ``operations`` are the request types that it answers. ``nodes_default``
    is how many nodes it is deployed with. ``has_primary``: ``primaries`` is meaningful."""

    name: ClassVar[str]
    summary: ClassVar[str]
    options: ClassVar[tuple[Option, ...]]
    operations: ClassVar[frozenset[str]]
    nodes_default: ClassVar[int]
    has_primary: ClassVar[bool]
    simulable: ClassVar[bool]
    """Whether ``replica`` works: written on the Node API, so that ``simulated`` can run it."""

    def problems(self, options: Options, nodes: int) -> list[Problem]:
        """Everything impossible about the options, for that many nodes."""
        ...

    def missing(self) -> list[Problem]:
        """What this machine lacks to run it as processes (a binary, say)."""
        ...

    def version(self) -> str: ...

    def replica(self, node: Node, options: Options) -> Replica: ...

    def program(
        self, member: Member, members: tuple[Member, ...], directory: Path, options: Options
    ) -> Program:
        """How to start ``member``. The same arguments again after a kill restart it. ``directory``
        is the node's own and keeps its data."""
        ...

    def client(self, endpoint: Endpoint, options: Options) -> Client:
        """A client of one node. Connects lazily, and again after errors."""
        ...

    async def healthy(self, client: Client) -> bool:
        """Whether the node behind ``client`` serves requests now. Never raises; bounded."""
        ...

    async def is_primary(self, client: Client) -> bool:
        """Whether the node behind ``client`` believes to be a primary. Never raises; bounded."""
        ...


# --- substrates -----------------------------------------------------------------------------


class Ledger(Protocol):
    """The journal of what must be undone. Undo before do: ``record`` returns when the undo is
    durable on disk; only then may the action be taken. ``strike`` when it was undone."""

    run: str
    """The run's id: short, unique, and part of the name of everything that the run makes."""

    def record(self, undo: Mapping[str, Any]) -> int:
        """Undo is ``{"kind": "label", "run": run}`` (every process with ``SPLITBRAIN_RUN=<run>`` in
        its environment), ``{"kind": "command", "argv": [...]}``, ``{"kind": "process", "pid": p,
        "started": ticks}`` or ``{"kind": "directory", "path": ...}``."""
        ...

    def strike(self, number: int) -> None: ...


@dataclass(frozen=True, slots=True)
class Availability:
    """Whether a capability is there, found by doing, and what to install or change if not."""

    available: bool
    reason: str
    remedy: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What to deploy."""

    cluster: Cluster
    options: Options
    """Of the cluster and of the substrate together."""
    nodes: tuple[str, ...]
    data: Path
    logs: Path
    ledger: Ledger
    seed: int


class Control(Protocol):
    """One kind of fault as a desired state, replaced as a whole; ``()`` is healed.

    Laws: ``apply`` is idempotent; what is asked for survives restarts of nodes; ``evidence`` looks
    at the world, not at what was asked for, and is bounded in time (at most about 1 s).
    """

    async def apply(self, state: State) -> None: ...

    async def evidence(self, state: State) -> Evidence:
        """Whether exactly ``state`` is in force: each cut link does not pass a probe and each other
        link does (links between nodes that are up); each named node is down (or paused), and
        each other is not."""
        ...


class Deployment(Protocol):
    """Nodes that run. ``controls`` has an entry for each capability: ``links``, ``kill``,
    ``pause``."""

    nodes: tuple[str, ...]
    controls: Mapping[str, Control]

    async def connect(self, node: str) -> Client: ...

    async def ready(self, timeout_s: float) -> None:
        """Return when every node is healthy; ``DeploymentError`` naming those that are not."""
        ...

    async def primaries(self) -> tuple[str, ...]:
        """The nodes that believe to be primary now. Empty where there is no such thing."""
        ...

    async def close(self) -> None:
        """End everything and strike it off the ledger. Idempotent."""
        ...


class Substrate(Protocol):
    """Where nodes live. ``strength`` orders them for ``--substrate auto``: the greatest that is
    available wins."""

    name: ClassVar[str]
    summary: ClassVar[str]
    strength: ClassVar[int]
    options: ClassVar[tuple[Option, ...]]
    controls: ClassVar[frozenset[str]]
    simulated: ClassVar[bool]

    def probe(self) -> Availability: ...

    def run(self, main: Coroutine[Any, Any, T], seed: int) -> T:
        """Run ``main`` on an event loop that suits the substrate."""
        ...

    async def deploy(self, request: Request) -> Deployment:
        """Start all nodes (without waiting until they are healthy). Cleans up when it raises."""
        ...


# --- faults ---------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Situation:
    """What a nemesis may look at when it fires."""

    nodes: tuple[str, ...]
    primaries: tuple[str, ...]


class Nemesis(Protocol):
    """One kind of fault. ``control`` is the capability it needs. Pure: it only says what should be.

    ``targets`` are the kinds of target that it knows; the option ``<name>-targets`` chooses among
    them."""

    name: ClassVar[str]
    summary: ClassVar[str]
    control: ClassVar[str]
    targets: ClassVar[tuple[str, ...]]
    targets_default: ClassVar[tuple[str, ...]]

    def problems(self, targets: tuple[str, ...], nodes: int, *, has_primary: bool) -> list[Problem]:
        """Targets that make no sense for this cluster."""
        ...

    def state(self, target: str, situation: Situation, source: random.Random) -> State:
        """The control's desired state for ``target``. Never empty for a valid target; falls back
        to a random node where there is no primary at the moment."""
        ...


# --- checkers -------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckContext:
    """What a checker is told beside the history.

    ``model`` names the sequential specification (``register``, ``cas-register``, ...), and
    ``consistency_model`` the one model of the lattice that is asked about (None: the checker's own
    choice). ``options`` are those that the checker declares; one that is missing has its default.
    ``faults`` are those that fired. A checker that has not decided within ``time_limit_s`` (wall
    time), or before the whole process holds ``memory_limit_bytes`` (None: no limit), answers
    unknown.
    """

    model: str = "cas-register"
    consistency_model: str | None = None
    options: Options = field(default_factory=dict)
    faults: tuple[FaultInterval, ...] = ()
    time_limit_s: float = 60.0
    memory_limit_bytes: int | None = None


class Checker(Protocol):
    """History in, verdict out. Never raises for a well-formed history; never valid when it did
    not look. ``judges`` are the models of the lattice that it can tell apart, empty for a checker
    of something else; ``options`` are those of ``harness check -o``."""

    name: ClassVar[str]
    summary: ClassVar[str]
    options: ClassVar[tuple[Option, ...]]
    judges: ClassVar[frozenset[str]]

    def check(self, history: History, context: CheckContext) -> Verdict: ...


# --- workloads ------------------------------------------------------------------------------


class Workload(Protocol):
    """What clients do. ``checkers`` name those that judge the history, the deciding one first;
    ``required`` are the functions that must have succeeded for the verdict to mean anything."""

    name: ClassVar[str]
    summary: ClassVar[str]
    options: ClassVar[tuple[Option, ...]]
    checkers: ClassVar[tuple[str, ...]]
    required: ClassVar[tuple[str, ...]]
    model: ClassVar[str]

    def problems(self, operations: frozenset[str], options: Options) -> list[Problem]:
        """Why a cluster that answers ``operations`` cannot serve this workload."""
        ...

    def generator(self, operations: frozenset[str], options: Options) -> Generator:
        """What clients do while the clock runs, without rate and time limits."""
        ...

    def final(self, history_keys: Sequence[Any], options: Options) -> Generator | None:
        """What clients do after healing and recovery, given the keys used so far."""
        ...

    async def invoke(self, client: Client, operation: Operation, timeout_s: float) -> Any:
        """Perform ``operation``; the value of its completion. Raises ``ClientError``."""
        ...
