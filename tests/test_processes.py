"""Nodes as processes: what kill, pause and restart do, seen in ``/proc``."""

from __future__ import annotations

import asyncio
import os
import secrets
import signal
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from clusters.substrates import procfs
from clusters.substrates.processes import LABEL, KillControl, PauseControl, ProcessTable
from harness.core.contracts import Program
from harness.core.errors import DeploymentError
from harness.ledger import FileLedger, read_ledger

NODES = ("n1", "n2", "n3")
SLEEPER = "import time\nwhile True: time.sleep(0.05)"
FAMILY = "import subprocess, sys\nsubprocess.run([sys.executable, '-c', {child!r}])"
ORPHAN = (
    "import subprocess, sys, time\n"
    "subprocess.Popen([sys.executable, '-c', {child!r}], start_new_session=True)\n"
    "time.sleep(1e6)"
)


def python(code: str, **files: str) -> Program:
    return Program(argv=(sys.executable, "-c", code), files=files, ports=())


async def eventually(condition: Callable[[], bool]) -> None:
    for _ in range(6000):
        if condition():
            return
        await asyncio.sleep(0.01)
    raise AssertionError("it did not come to be")


@asynccontextmanager
async def running(directory: Path, code: str = SLEEPER) -> AsyncIterator[ProcessTable]:
    """A table with three nodes that run ``code``; afterwards nothing is left, neither processes
    nor entries in the ledger."""
    run = f"t{secrets.token_hex(4)}"
    index = directory / "index"
    index.mkdir()
    with FileLedger(directory / "ledger.jsonl", run, index=index) as ledger:
        table = ProcessTable(ledger=ledger, logs=directory / "logs")
        try:
            for node in NODES:
                await table.start(node, python(code), directory / node)
            yield table
        finally:
            await table.close()
        assert procfs.labelled(LABEL, run) == frozenset()
        assert ledger.open_records == 0


def test_started_processes_live_and_are_journalled_by_number_and_start(tmp_path: Path) -> None:
    """A started node has a pid, its own session, the run's label, and a ledger entry that names
    exactly this process; the label is recorded before any of them."""

    async def main() -> None:
        async with running(tmp_path) as table:
            entries = list(read_ledger(tmp_path / "ledger.jsonl").open.values())
            assert entries[0]["kind"] == "label"
            for node, entry in zip(NODES, entries[1:], strict=True):
                pid = table.pid(node)
                assert pid is not None
                assert os.getsid(pid) == pid
                assert pid in procfs.labelled(LABEL, entries[0]["run"])
                identity = procfs.identify(pid)
                assert identity is not None
                assert entry == {"kind": "process", "pid": pid, "started": identity.started}

    asyncio.run(main())


def test_files_are_written_and_output_is_appended_with_a_line_for_each_start(
    tmp_path: Path,
) -> None:
    """A program finds its files in its directory, and the log keeps what earlier starts said."""

    async def main() -> None:
        async with running(tmp_path) as table:
            await table.kill("n1")
            code = "import time; print(open('conf/a').read(), flush=True); time.sleep(1e6)"
            await table.start("n1", python(code, **{"conf/a": "hello"}), tmp_path / "n1")
            log = table.log("n1")
            await eventually(lambda: "hello" in log.read_text())
            await table.kill("n1")
            await table.restart("n1")
            await eventually(lambda: log.read_text().count("hello\n") == 2)
            starts = [line for line in log.read_text().splitlines() if line.startswith("===")]
            assert [" ".join(line.split()[:5]) for line in starts] == [
                f"=== start {number} of n1:" for number in (1, 2, 3)
            ]

    asyncio.run(main())


def test_kill_is_proven_and_healing_starts_the_node_again(tmp_path: Path) -> None:
    """What kill names is gone from ``/proc`` and the others live; the empty state brings it back
    as another process; both are idempotent."""

    async def main() -> None:
        async with running(tmp_path) as table:
            control = KillControl(table, NODES)
            before = {node: table.pid(node) for node in NODES}
            for _ in range(2):
                await control.apply((("n1",), ("n3",)))
                assert (await control.evidence((("n1",), ("n3",)))).holds
                assert not table.pids("n1")
            await control.apply((("n3",),))
            evidence = await control.evidence((("n3",),))
            assert evidence.holds
            assert evidence.observations == ("n1 is up", "n2 is up", "n3 is down")
            for _ in range(2):
                await control.apply(())
                assert (await control.evidence(())).holds
            after = {node: table.pid(node) for node in NODES}
            assert after["n2"] == before["n2"]
            assert after["n1"] not in (None, before["n1"])

    asyncio.run(main())


def test_kill_takes_the_children_too(tmp_path: Path) -> None:
    """Nothing that the node started outlives its kill."""

    async def main() -> None:
        async with running(tmp_path, FAMILY.format(child=SLEEPER)) as table:
            await eventually(lambda: len(table.pids("n1")) == 2)
            family = [procfs.identify(pid) for pid in table.pids("n1")]
            await table.kill("n1")
            assert not table.pids("n1")
            assert not any(procfs.lives(member) for member in family if member is not None)

    asyncio.run(main())


def test_close_finds_what_hid_in_a_session_of_its_own(tmp_path: Path) -> None:
    """A daemon whose parent died is in no tree any more, but carries the run's label: the check
    after ``running`` fails if it stays."""

    async def main() -> None:
        async with running(tmp_path, ORPHAN.format(child=SLEEPER)) as table:
            await eventually(lambda: len(table.pids("n1")) == 2)
            leader = table.pid("n1")
            assert leader is not None
            os.kill(leader, signal.SIGKILL)
            await eventually(lambda: not table.pids("n1"))

    asyncio.run(main())


def test_pause_stops_every_thread_and_resume_continues_it(tmp_path: Path) -> None:
    """Paused means state T, for children too; resumed processes work on."""

    async def main() -> None:
        async with running(tmp_path, FAMILY.format(child=SLEEPER)) as table:
            control = PauseControl(table, NODES)
            await eventually(lambda: len(table.pids("n2")) == 2)
            assert (await control.evidence(())).holds
            for _ in range(2):
                await control.apply((("n2",),))
                assert (await control.evidence((("n2",),))).holds
            assert all("T (stopped)" in status(pid) for pid in table.pids("n2"))
            await control.apply((("n1",),))
            assert (await control.evidence((("n1",),))).holds
            await control.apply(())
            assert (await control.evidence(())).holds
            assert not any("T (stopped)" in status(pid) for pid in table.pids("n2"))

    asyncio.run(main())


def status(pid: int) -> str:
    return Path(f"/proc/{pid}/status").read_text()


def test_paused_is_false_unless_stopped(tmp_path: Path) -> None:
    """The negative control: a node that was not stopped, or was continued behind our back, does
    not count as paused, nor a dead one as up."""

    async def main() -> None:
        async with running(tmp_path) as table:
            pause, kill = PauseControl(table, NODES), KillControl(table, NODES)
            assert not (await pause.evidence((("n1",),))).holds
            assert not (await kill.evidence((("n1",),))).holds
            await pause.apply((("n1",),))
            pid = table.pid("n1")
            assert pid is not None
            os.kill(pid, signal.SIGCONT)
            await eventually(lambda: not table.paused("n1"))
            assert not (await pause.evidence((("n1",),))).holds

    asyncio.run(main())


def test_a_paused_node_can_be_killed_and_is_paused_again_when_it_restarts(tmp_path: Path) -> None:
    """Pause is a state of the node, not of the process: it survives a restart until it is
    healed. A state of which no node is up is no proof."""

    async def main() -> None:
        async with running(tmp_path) as table:
            pause, kill = PauseControl(table, NODES), KillControl(table, NODES)
            await pause.apply((("n1",),))
            await kill.apply((("n1",),))
            assert not table.alive("n1")
            assert not (await pause.evidence((("n1",),))).holds
            await kill.apply(())
            assert table.paused("n1")
            assert (await pause.evidence((("n1",),))).holds
            await pause.apply(())
            assert (await pause.evidence(())).holds

    asyncio.run(main())


def test_an_exit_is_noticed_and_not_undone(tmp_path: Path) -> None:
    """A process that ends by itself is seen as down, with its status; the controls do not start
    it, as it was not they who ended it."""

    async def main() -> None:
        async with running(tmp_path) as table:
            control = KillControl(table, NODES)
            await table.kill("n1")
            await table.start("n1", python("raise SystemExit(7)"), tmp_path / "n1")
            await eventually(lambda: not table.alive("n1"))
            assert table.exit_status("n1") == 7
            assert table.pid("n1") is None
            await control.apply(())
            assert not table.alive("n1")
            assert not (await control.evidence(())).holds
            assert (await control.evidence((("n1",),))).holds

    asyncio.run(main())


def test_what_cannot_be_started_is_refused(tmp_path: Path) -> None:
    """A missing program, or a node that runs already, is an error that names the node."""

    async def main() -> None:
        async with running(tmp_path) as table:
            with pytest.raises(DeploymentError, match="n1 runs already"):
                await table.start("n1", python(SLEEPER), tmp_path / "n1")
            absent = Program(argv=("/nowhere/program",), ports=())
            with pytest.raises(DeploymentError, match="n9 could not be started"):
                await table.start("n9", absent, tmp_path / "n9")

    asyncio.run(main())
