"""The table of a run's processes, one tree of them a node: started, killed, paused, ended.

It must never know what runs in them, nor where: a *launcher* puts a process where it belongs
(``ip netns exec``, say).

Theory. A kill is ``SIGKILL`` to everything that the node started, until nothing lives: the
un-synced state of the process is lost, that of the kernel is not. A pause is ``SIGSTOP``, which is
asynchronous: it is in force once every thread is in state T. Both are desired states *of a node*,
not of a process: a node that starts while it should be paused is paused again.

The leader of a node is left as a zombie until the rest of its session is gone: so its number, which
is also the session's, cannot come to mean anybody else while signals are sent to it.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from clusters.substrates import procfs
from harness.core.contracts import Ledger, Program
from harness.core.errors import DeploymentError, FaultError

__all__ = ["LABEL", "ProcessTable"]

LABEL = "SPLITBRAIN_RUN"
"""The environment variable by which every process of a run can be found again."""

_POLL_S = 0.005
_SIGNAL_LIMIT_S = 10.0  # a process in an uninterruptible wait for a disk takes its time


@dataclass(frozen=True, slots=True, kw_only=True)
class _Running:
    """One started process. ``number`` is its entry in the ledger."""

    process: subprocess.Popen[bytes]
    identity: procfs.Identity
    number: int


@dataclass(frozen=True, slots=True)
class _Recipe:
    program: Program
    directory: Path


def _nowhere(_: str) -> tuple[str, ...]:
    return ()


class ProcessTable:
    """The processes of a run, one tree of them a node. Journals each to the ledger; appends what
    they say to ``logs/<node>/output.log``.

    ``launcher(node)`` is put before the program's arguments, and must end in an ``exec``.
    """

    def __init__(
        self,
        *,
        ledger: Ledger,
        logs: Path,
        launcher: Callable[[str], tuple[str, ...]] = _nowhere,
    ) -> None:
        self._ledger = ledger
        self._logs = logs
        self._launcher = launcher
        self._label: int | None = None
        self._running: dict[str, _Running] = {}
        self._seen: dict[str, procfs.Identity] = {}
        self._recipes: dict[str, _Recipe] = {}
        self._starts: dict[str, int] = {}
        self._held: set[str] = set()

    @property
    def held(self) -> frozenset[str]:
        """The nodes that should be paused, whether or not they run."""
        return frozenset(self._held)

    def log(self, node: str) -> Path:
        """Where the output of the node goes."""
        return self._logs / node / "output.log"

    async def start(self, node: str, program: Program, directory: Path) -> None:
        """Start the node's process in a session of its own. ``DeploymentError`` when it cannot be
        started, or runs already."""
        if self.alive(node):
            raise DeploymentError(f"{node} runs already (process {self.pid(node)})")
        await self.kill(node)  # a process that exited by itself, and what it left running
        self._recipes[node] = _Recipe(program, directory)
        self._spawn(node, program, directory)
        if node in self._held:
            await self.pause(node)

    async def restart(self, node: str) -> None:
        """Start the node as it was started before; nothing when it runs."""
        if not self.alive(node):
            recipe = self._recipes[node]
            await self.start(node, recipe.program, recipe.directory)

    def alive(self, node: str) -> bool:
        """Whether the process that was started last for the node still runs."""
        identity = self._seen.get(node)
        return identity is not None and procfs.lives(identity)

    def pid(self, node: str) -> int | None:
        """The number of the node's first process; ``None`` when it does not run."""
        return self._seen[node].pid if self.alive(node) else None

    def pids(self, node: str) -> frozenset[int]:
        """Everything of the node that runs now."""
        identity = self._seen.get(node)
        return frozenset() if identity is None else procfs.tree(identity)

    def paused(self, node: str) -> bool:
        """Whether the node runs, and all of its threads are in state T."""
        pids = self.pids(node)
        return self.alive(node) and all(procfs.stopped(pid) for pid in pids)

    def exit_status(self, node: str) -> int | None:
        """What a process that exited by itself exited with (negative: the signal); ``None`` when it
        runs or was killed by :meth:`kill`."""
        running = self._running.get(node)
        if running is None:
            return None
        options = os.WEXITED | os.WNOHANG | os.WNOWAIT
        result = os.waitid(os.P_PID, running.identity.pid, options)
        if result is None:
            return None
        return result.si_status if result.si_code == os.CLD_EXITED else -result.si_status

    async def kill(self, node: str) -> None:
        """SIGKILL, until nothing of the node lives; reaped. Works on a paused node too."""
        running = self._running.get(node)
        if running is None:
            return
        await self._signal(node, signal.SIGKILL, lambda _: True, until=lambda: not self.pids(node))
        running.process.wait()  # only a zombie is left: does not block
        if self._running.get(node) is running:
            del self._running[node]
            self._ledger.strike(running.number)

    async def pause(self, node: str) -> None:
        """SIGSTOP, until every thread is in state T. A node that does not run is paused as soon as
        it starts."""
        self._held.add(node)
        await self._signal(
            node,
            signal.SIGSTOP,
            lambda pid: not procfs.stopped(pid),
            until=lambda: not self.alive(node) or self.paused(node),
        )

    async def resume(self, node: str) -> None:
        """SIGCONT, until no process of the node is stopped."""
        self._held.discard(node)
        await self._signal(
            node,
            signal.SIGCONT,
            procfs.stopped,
            until=lambda: not any(procfs.stopped(pid) for pid in self.pids(node)),
        )

    async def close(self) -> None:
        """End every process, also those that hid in a session of their own. Idempotent."""
        self._held.clear()
        results = await asyncio.gather(
            *(self.kill(node) for node in tuple(self._running)), return_exceptions=True
        )
        errors = [result for result in results if isinstance(result, BaseException)]
        if errors:
            raise errors[0]
        if self._label is not None:
            await self._end_labelled()
            self._ledger.strike(self._label)
            self._label = None

    def _spawn(self, node: str, program: Program, directory: Path) -> None:
        _write_files(program.files, directory)
        if self._label is None:
            self._label = self._ledger.record({"kind": "label", "run": self._ledger.run})
        argv = (*self._launcher(node), *program.argv)
        self._starts[node] = self._starts.get(node, 0) + 1
        log = self.log(node)
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("ab") as output:
            output.write(f"=== start {self._starts[node]} of {node}: {' '.join(argv)}\n".encode())
            output.flush()
            try:
                process = subprocess.Popen(
                    argv,
                    cwd=directory,
                    env={**os.environ, **program.env, LABEL: self._ledger.run},
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,
                )
            except OSError as error:
                raise DeploymentError(f"{node} could not be started: {error}") from error
        self._enter(node, process)

    def _enter(self, node: str, process: subprocess.Popen[bytes]) -> None:
        identity = procfs.identify(process.pid)
        assert identity is not None, "a child that was not waited for is in /proc"
        try:
            number = self._ledger.record(
                {"kind": "process", "pid": identity.pid, "started": identity.started}
            )
        except BaseException:
            os.killpg(identity.pid, signal.SIGKILL)
            process.wait()
            raise
        self._running[node] = _Running(process=process, identity=identity, number=number)
        self._seen[node] = identity

    async def _end_labelled(self) -> None:
        def remaining() -> frozenset[int]:
            return frozenset(
                pid
                for pid in procfs.labelled(LABEL, self._ledger.run)
                if (found := procfs.identify(pid)) is not None and procfs.lives(found)
            )

        await _until_signalled(
            remaining, signal.SIGKILL, lambda: not remaining(), f"run {self._ledger.run}"
        )

    async def _signal(
        self,
        node: str,
        number: signal.Signals,
        applies: Callable[[int], bool],
        *,
        until: Callable[[], bool],
    ) -> None:
        await _until_signalled(
            lambda: frozenset(pid for pid in self.pids(node) if applies(pid)),
            number,
            until,
            node,
        )


def _write_files(files: Mapping[str, str], directory: Path) -> None:
    directory.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        path = directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


async def _until_signalled(
    targets: Callable[[], frozenset[int]],
    number: signal.Signals,
    until: Callable[[], bool],
    what: str,
) -> None:
    """Signal all targets, again and again (they may have forked meanwhile), until it is so."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + _SIGNAL_LIMIT_S
    while not until():
        if loop.time() > deadline:
            raise FaultError(f"{what} withstood {number.name} for {_SIGNAL_LIMIT_S:g} s")
        for pid in targets():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)
        await asyncio.sleep(_POLL_S)
