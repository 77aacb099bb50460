"""Healing and the janitor, on real processes that are really killed."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

import harness.heal
from clusters.substrates import procfs
from harness.heal import HealReport, heal, heal_all
from harness.ledger import FileLedger, boot_id, read_ledger
from harness.undo import LABEL, UndoError, undo

BOUND_S = 60.0

OWNER = """
import os, subprocess, sys, time
from pathlib import Path
from clusters.substrates import procfs
from harness.janitor import start_janitor
from harness.ledger import FileLedger
directory, run, with_janitor = Path(sys.argv[1]), sys.argv[2], sys.argv[3] == "janitor"
ledger = FileLedger(directory / "ledger.jsonl", run, index=directory / "index")
janitor = start_janitor(ledger) if with_janitor else None
ledger.record({"kind": "directory", "path": str(directory / "data")})
(directory / "data").mkdir()
(directory / "data" / "file").touch()
ledger.record({"kind": "label", "run": run})
environment = {**os.environ, "SPLITBRAIN_RUN": run}
script = "sleep 600 & sleep 600 & wait"
child = subprocess.Popen(["sh", "-c", script], env=environment, start_new_session=True)
identity = procfs.identify(child.pid)
ledger.record({"kind": "process", "pid": identity.pid, "started": identity.started})
print(child.pid, janitor.process.pid if janitor else 0, flush=True)
time.sleep(600)
"""


def wait_for(condition: Callable[[], object], what: str) -> None:
    """Return when ``condition`` holds; fail after a generous bound."""
    deadline = time.monotonic() + BOUND_S
    while not condition():
        assert time.monotonic() < deadline, f"waited {BOUND_S} s for {what}"
        time.sleep(0.02)


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """A place for a ledger, an index and a run's data."""
    (tmp_path / "index").mkdir()
    return tmp_path


@pytest.fixture
def run(directory: Path) -> Iterator[str]:
    """A run id of our own; whatever carries it is gone afterwards."""
    name = f"t{os.getpid()}x{time.monotonic_ns()}"
    yield name
    undo({"kind": "label", "run": name})


@pytest.fixture
def owner(directory: Path, run: str) -> Iterator[Callable[[str], tuple[Any, int, int]]]:
    """Starts a process that owns a ledger and a labelled tree, and ends it afterwards."""
    with ExitStack() as stack:

        def start(mode: str) -> tuple[subprocess.Popen[str], int, int]:
            process = subprocess.Popen(
                [sys.executable, "-c", OWNER, str(directory), run, mode],
                stdout=subprocess.PIPE,
                text=True,
            )
            stack.callback(process.wait)
            stack.callback(process.kill)
            assert process.stdout is not None
            stack.enter_context(process.stdout)
            child, janitor = map(int, process.stdout.readline().split())
            return process, child, janitor

        yield start


def kill(process: subprocess.Popen[str]) -> None:
    process.kill()
    process.wait()


def labelled(run: str) -> frozenset[int]:
    return procfs.labelled(LABEL, run)


def test_heal_undoes_what_a_killed_owner_left(
    directory: Path, run: str, owner: Callable[[str], Any]
) -> None:
    """After SIGKILL of the owner: processes and data gone, everything struck, index empty."""
    process, child, _ = owner("alone")
    wait_for(lambda: len(labelled(run)) == 3, "the tree of processes")
    kill(process)
    assert child in labelled(run)
    report = heal(directory / "ledger.jsonl")
    assert not report.failures
    assert not report.live
    assert len(report.undone) == 2  # the process with its children, then the directory
    assert not labelled(run)
    assert not (directory / "data").exists()
    assert not read_ledger(directory / "ledger.jsonl").open
    assert not list((directory / "index").iterdir())
    assert heal(directory / "ledger.jsonl") == HealReport(run=run)


def test_a_live_run_is_never_touched(
    directory: Path, run: str, owner: Callable[[str], Any]
) -> None:
    """While the owner lives, healing says so and changes nothing."""
    process, child, _ = owner("alone")
    wait_for(lambda: len(labelled(run)) == 3, "the tree of processes")
    before = (directory / "ledger.jsonl").read_bytes()
    report = heal(directory / "ledger.jsonl")
    assert report.live
    assert not report.undone
    assert f"process {process.pid}" in report.notes[0]
    assert child in labelled(run)
    assert (directory / "data" / "file").exists()
    assert (directory / "ledger.jsonl").read_bytes() == before


def test_the_janitor_cleans_up_after_sigkill(
    directory: Path, run: str, owner: Callable[[str], Any]
) -> None:
    """Nobody has to ask: a killed harness leaves no process and no data."""
    process, _, janitor = owner("janitor")
    wait_for(lambda: len(labelled(run)) == 3, "the tree of processes")
    for number in (signal.SIGINT, signal.SIGHUP, signal.SIGTERM):
        wait_for(lambda: ignores_signals(janitor), "the janitor to be ready")
        os.kill(janitor, number)
    kill(process)
    wait_for(lambda: procfs.identify(janitor) is None or not alive(janitor), "the janitor's end")
    assert not labelled(run)
    assert not (directory / "data").exists()
    assert not read_ledger(directory / "ledger.jsonl").open
    assert not list((directory / "index").iterdir())


def test_the_janitor_survives_a_deleted_store(
    directory: Path, run: str, owner: Callable[[str], Any]
) -> None:
    """The copy in the index serves when the ledger is gone."""
    process, _, janitor = owner("janitor")
    wait_for(lambda: len(labelled(run)) == 3, "the tree of processes")
    (directory / "ledger.jsonl").unlink()
    kill(process)
    wait_for(lambda: procfs.identify(janitor) is None or not alive(janitor), "the janitor's end")
    assert not labelled(run)
    assert not list((directory / "index").iterdir())


def test_heal_all_finds_runs_by_index_store_and_copy(
    directory: Path,
    run: str,
    owner: Callable[[str], Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Killed with its ledger deleted, a run is still healed, from the index alone."""
    monkeypatch.setattr(harness.heal, "_namespaces", dict)  # leave the machine's own alone
    monkeypatch.setattr(harness.heal, "_labelled_processes", dict)
    process, _, _ = owner("alone")
    wait_for(lambda: len(labelled(run)) == 3, "the tree of processes")
    index = directory / "index"
    assert any(report.live for report in heal_all(index=index))
    kill(process)
    store = directory / "store" / "test" / "time"
    store.mkdir(parents=True)
    with FileLedger(store / "ledger.jsonl", run + "b", index=index) as other:
        other.record({"kind": "directory", "path": str(directory / "none")})
        (index / (run + "b")).unlink()
    (directory / "ledger.jsonl").unlink()
    reports = heal_all(directory / "store", index=index)
    assert {report.run for report in reports} >= {run, run + "b"}
    assert not any(report.failures for report in reports)
    assert not labelled(run)
    assert not list(index.iterdir())


def test_our_own_ledger_can_be_healed_while_we_hold_it(directory: Path) -> None:
    """A harness may heal itself; the records are struck by the ledger itself."""
    with FileLedger(directory / "l", "own", index=directory / "index") as ledger:
        (directory / "x").mkdir()
        ledger.record({"kind": "directory", "path": str(directory / "x")})
        assert heal(ledger.path).live
        assert len(heal(ledger.path, held=ledger).undone) == 1
        assert ledger.open_records == 0
    assert not list((directory / "index").iterdir())


def test_a_number_that_means_another_process_is_left_alone(directory: Path) -> None:
    """The start tick guards against process ids that are used again."""
    with subprocess.Popen(["sleep", "600"]) as process:
        identity = procfs.identify(process.pid)
        assert identity is not None
        record = {"kind": "process", "pid": process.pid, "started": identity.started + 1}
        assert undo(record) is None
        assert process.poll() is None
        assert undo({**record, "started": identity.started}) == f"killed process {process.pid}"
        assert process.wait() == -signal.SIGKILL


def test_a_process_of_another_boot_is_left_alone(directory: Path) -> None:
    """After a reboot the same number and tick may mean anybody."""
    with subprocess.Popen(["sleep", "600"]) as process:
        identity = procfs.identify(process.pid)
        assert identity is not None
        undo_record = {"kind": "process", "pid": process.pid, "started": identity.started}
        header = {"ledger": 1, "run": "old", "pid": 1, "started": 0, "boot": "another"}
        rows = [header, {"record": 0, "undo": undo_record}]
        path = directory / "ledger"
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
        assert heal(path) == HealReport(run="old")
        assert process.poll() is None
        process.kill()
    assert boot_id() != "another"


def test_records_are_undone_in_reverse_and_failures_stay(directory: Path) -> None:
    """What fails is reported, stays in the ledger, and stops nothing else."""
    log = directory / "log"
    with FileLedger(directory / "l", "f", index=directory / "index") as ledger:
        for word in ("first", "second"):
            ledger.record({"kind": "command", "argv": ["sh", "-c", f"echo {word} >> {log}"]})
        failing = ledger.record({"kind": "command", "argv": ["sh", "-c", "echo broken >&2; false"]})
        strange = ledger.record({"kind": "spell", "words": []})
    report = heal(directory / "l")
    assert log.read_text().split() == ["second", "first"]
    assert len(report.undone) == 2
    assert "spell" in report.failures[0]
    assert "broken" in report.failures[1]
    assert set(read_ledger(directory / "l").open) == {failing, strange}
    assert list((directory / "index").iterdir())


def test_a_torn_tail_is_cut_before_strikes_are_added(directory: Path) -> None:
    """Healing a torn ledger leaves one that reads cleanly."""
    with FileLedger(directory / "l", "t", index=directory / "index") as ledger:
        ledger.record({"kind": "label", "run": "t"})
    with (directory / "l").open("ab") as file:
        file.write(b'{"record": 1, "un')
    assert heal(directory / "l") == HealReport(run="t")
    state = read_ledger(directory / "l")
    assert not state.open
    assert not state.corrupt


def test_what_is_already_gone_is_no_failure(directory: Path) -> None:
    """A record may stand for an action that never happened."""
    for record in (
        {"kind": "directory", "path": str(directory / "none")},
        {"kind": "label", "run": "nobodyhasthisrun"},
        {"kind": "process", "pid": 2**22 + 5, "started": 1},
        {"kind": "command", "argv": ["ls", str(directory / "none")]},
    ):
        assert undo(record) is None


@pytest.mark.parametrize("path", ["/", "/tmp", "relative/path", "/tmp/../etc", str(Path.home())])
def test_only_plain_directories_of_a_run_are_removed(path: str) -> None:
    """No ledger can make healing remove a root, a home, or a path that leads elsewhere."""
    with pytest.raises(UndoError):
        undo({"kind": "directory", "path": path})


def test_a_link_in_place_of_a_directory_is_refused(directory: Path) -> None:
    """Healing never follows a link out of the run."""
    (directory / "precious").mkdir()
    (directory / "link").symlink_to(directory / "precious")
    with pytest.raises(UndoError):
        undo({"kind": "directory", "path": str(directory / "link")})
    assert (directory / "precious").exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="changing the owner of a file needs root")
def test_the_ledger_of_another_user_is_not_obeyed(directory: Path) -> None:
    """Root must not run the commands that somebody else wrote down."""
    with FileLedger(directory / "l", "o", index=directory / "index") as ledger:
        ledger.record({"kind": "command", "argv": ["touch", str(directory / "ran")]})
    os.chown(directory / "l", 65534, 65534)
    assert "belongs to user 65534" in heal(directory / "l").failures[0]
    assert not (directory / "ran").exists()


@pytest.mark.skipif(
    os.geteuid() != 0 or shutil.which("ip") is None, reason="namespaces need root and iproute2"
)
def test_only_namespaces_of_dead_runs_are_swept(run: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A namespace goes when its run is dead, stays when it lives, and when nobody knows and it is
    young."""
    name = f"sb-{run}-n1"
    mine = {run: (name,)}
    monkeypatch.setattr(harness.heal, "_labelled_processes", dict)
    subprocess.run(["ip", "netns", "add", name], check=True)
    try:
        assert harness.heal._namespaces()[run] == (name,)
        monkeypatch.setattr(harness.heal, "_namespaces", lambda: mine)
        assert harness.heal._sweep(frozenset({run}), frozenset()) == HealReport()
        young = harness.heal._sweep(frozenset(), frozenset())
        assert "younger than 60 s" in young.notes[0]
        assert Path(f"/run/netns/{name}").exists()
        swept = harness.heal._sweep(frozenset(), frozenset({run}))
        assert swept.undone == (f"ran `ip netns delete {name}`",)
        assert not Path(f"/run/netns/{name}").exists()
    finally:
        subprocess.run(["ip", "netns", "delete", name], check=False, capture_output=True)


def test_processes_with_a_living_parent_are_not_strays(run: str) -> None:
    """A labelled process whose parent lives belongs to somebody, ledger or not."""
    with subprocess.Popen(["sleep", "600"], env={**os.environ, LABEL: run}) as process:
        wait_for(lambda: process.pid in labelled(run), "the label")
        assert harness.heal._labelled_processes()[run] == (process.pid,)
        doubt = harness.heal._doubt((), (process.pid,))
        assert doubt is not None
        assert str(os.getpid()) in doubt
        process.kill()


def alive(pid: int) -> bool:
    identity = procfs.identify(pid)
    return identity is not None and procfs.lives(identity)


def status(pid: int, name: str) -> int:
    text = Path(f"/proc/{pid}/status").read_text()
    (line,) = [line for line in text.splitlines() if line.startswith(f"{name}:")]
    return int(line.split()[1], 16)


def ignores_signals(pid: int) -> bool:
    ignored = status(pid, "SigIgn")
    return all(
        ignored & 1 << (number - 1) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    )
