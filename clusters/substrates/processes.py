"""Nodes as processes of this machine: the deployment, and the faults *kill* and *pause*.

Shared by every substrate that runs one process a node. It must never know what runs in them, nor
how they reach each other: the substrate brings a *link control* that cuts its network. A fault is a
desired state of the nodes, replaced as a whole; its evidence is read from ``/proc``.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Mapping, Sequence

from clusters.substrates.process_table import LABEL, ProcessTable
from harness.core.contracts import Client, Control, Endpoint, Member, Request
from harness.core.errors import DeploymentError, HarnessError
from harness.core.fault import Evidence, State

__all__ = ["LABEL", "KillControl", "PauseControl", "ProcessDeployment", "ProcessTable"]

_PRIMARY_LIMIT_S = 1.0
_READY_PAUSE_S = 0.05
_TAIL_LINES = 5


class KillControl:
    """Which nodes are down. A node that leaves the state is started again as it was; one that
    exited by itself is not."""

    def __init__(self, table: ProcessTable, nodes: Sequence[str]) -> None:
        self._table = table
        self._nodes = tuple(nodes)
        self._down: set[str] = set()

    async def apply(self, state: State) -> None:
        """Kill every node of ``state``; start those that only an earlier state named."""
        wanted = _names(state)
        self._down |= wanted
        await asyncio.gather(*(self._table.kill(node) for node in wanted))
        for node in sorted(self._down - wanted):
            await self._table.restart(node)
            self._down.discard(node)

    async def evidence(self, state: State) -> Evidence:
        """Whether in ``/proc`` nothing is left of the nodes of ``state``, and the others live."""
        wanted = _names(state)
        down = {
            node: not self._table.alive(node) and not (node in wanted and self._table.pids(node))
            for node in self._nodes
        }
        return Evidence(
            all(is_down == (node in wanted) for node, is_down in down.items()),
            tuple(f"{node} is {'down' if down[node] else 'up'}" for node in self._nodes),
        )


class PauseControl:
    """Which nodes are paused. A node that is restarted while it should be paused is paused again.

    A node that is down (killed, or exited) can be neither paused nor not: it is left out, but a
    state of which no node at all is paused does not hold.
    """

    def __init__(self, table: ProcessTable, nodes: Sequence[str]) -> None:
        self._table = table
        self._nodes = tuple(nodes)

    async def apply(self, state: State) -> None:
        """Stop every node of ``state``; continue those that only an earlier state named."""
        wanted = _names(state)
        await asyncio.gather(
            *(self._table.pause(node) for node in wanted),
            *(self._table.resume(node) for node in self._table.held - wanted),
        )

    async def evidence(self, state: State) -> Evidence:
        """Whether in ``/proc`` every thread of the nodes of ``state`` is stopped, and no node
        beside them is."""
        wanted = _names(state)
        up = tuple(node for node in self._nodes if self._table.alive(node))
        paused = frozenset(node for node in up if self._table.paused(node))
        words = {True: "stopped", False: "running"}
        return Evidence(
            all((node in paused) == (node in wanted) for node in up)
            and bool(paused) >= bool(wanted),
            tuple(
                f"{node} is {words[node in paused] if node in up else 'down'}"
                for node in self._nodes
            ),
        )


class ProcessDeployment:
    """A deployment whose nodes are processes of this machine.

    ``endpoint(node)`` says how the harness reaches a node; ``closers`` undo what the substrate
    made, in order, after the processes have ended; each must be idempotent.
    """

    def __init__(
        self,
        *,
        request: Request,
        members: tuple[Member, ...],
        table: ProcessTable,
        links: Control,
        endpoint: Callable[[str], Endpoint],
        closers: Sequence[Callable[[], Awaitable[None]]] = (),
    ) -> None:
        self.nodes = tuple(member.name for member in members)
        self.controls: Mapping[str, Control] = {
            "links": links,
            "kill": KillControl(table, self.nodes),
            "pause": PauseControl(table, self.nodes),
        }
        self._request = request
        self._members = members
        self._table = table
        self._endpoint = endpoint
        self._closers = tuple(closers)

    async def start(self) -> None:
        """Start every node, without waiting until they are healthy."""
        request = self._request
        for member in self._members:
            directory = request.data / member.name
            program = request.cluster.program(member, self._members, directory, request.options)
            await self._table.start(member.name, program, directory)

    async def connect(self, node: str) -> Client:
        """A new client of that node."""
        return self._request.cluster.client(self._endpoint(node), self._request.options)

    async def ready(self, timeout_s: float) -> None:
        """Return when every node is healthy; ``DeploymentError`` naming those that are not, at once
        if one has exited."""
        results = await asyncio.gather(*(self._healthy(node, timeout_s) for node in self.nodes))
        problems = [result for result in results if result is not None]
        if problems:
            raise DeploymentError("; ".join(problems))

    async def primaries(self) -> tuple[str, ...]:
        """The nodes that say within a second that they are primary."""
        if not self._request.cluster.has_primary:
            return ()
        answers = await asyncio.gather(*(self._is_primary(node) for node in self.nodes))
        return tuple(node for node, answer in zip(self.nodes, answers, strict=True) if answer)

    async def close(self) -> None:
        """End everything, also after errors and when cancelled; then ``DeploymentError`` with all
        that went wrong. Idempotent, and may be tried again."""
        errors: list[BaseException] = []
        for step in (self._table.close, *self._closers):
            try:
                await step()
            except BaseException as error:  # what remains must still be ended
                errors.append(error)
        for unexpected in errors:
            if not isinstance(unexpected, HarnessError | OSError):
                raise unexpected
        if errors:
            raise DeploymentError("; ".join(map(str, errors)))

    async def _healthy(self, node: str, timeout_s: float) -> str | None:
        """What is wrong with the node once time is up; ``None`` as soon as it is healthy."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + timeout_s
        client = await self.connect(node)
        try:
            while True:
                if (status := self._table.exit_status(node)) is not None:
                    return f"{node} exited with status {status}{self._tail(node)}"
                with contextlib.suppress(TimeoutError):
                    remaining = max(deadline - loop.time(), _READY_PAUSE_S)
                    if await asyncio.wait_for(self._request.cluster.healthy(client), remaining):
                        return None
                if loop.time() >= deadline:
                    return f"{node} was not healthy within {timeout_s:g} s{self._tail(node)}"
                await asyncio.sleep(_READY_PAUSE_S)
        finally:
            await client.close()

    async def _is_primary(self, node: str) -> bool:
        client = await self.connect(node)
        try:
            return await asyncio.wait_for(
                self._request.cluster.is_primary(client), _PRIMARY_LIMIT_S
            )
        except TimeoutError:
            return False
        finally:
            await client.close()

    def _tail(self, node: str) -> str:
        log = self._table.log(node)
        try:
            lines = log.read_text(errors="replace").splitlines()[-_TAIL_LINES:]
        except OSError:
            return ""
        return f" (the end of {log}: {' | '.join(lines)})"


def _names(state: State) -> frozenset[str]:
    return frozenset(name for (name,) in state)
