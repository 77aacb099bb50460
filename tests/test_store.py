"""The store: what was appended survives, and readers never see a part of a file."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest

from harness import store
from harness.core.fault import Fault
from harness.core.operation import Event
from harness.core.verdict import Validity, Verdict
from harness.formats.jsonl import read_history
from harness.plan import Choices, make_plan
from harness.store import FaultLog, HistoryLog, create_run, fault_intervals, open_run, write_whole

PATIENCE_S = 60.0

WRITER = """
import sys, time
from pathlib import Path
from harness.core.operation import Event
from harness.store import HistoryLog

path = Path(sys.argv[1])
log = HistoryLog(path)

def append(number):
    kind = "ok" if number % 2 else "invoke"
    log.append(Event(index=number, time=number, process=0, type=kind, f="write", value=number // 2))

for number in range(1000):
    append(number)
while path.read_bytes().count(b"\\n") < 1000:
    time.sleep(0.005)
print("durable", flush=True)
number = 1000
while True:
    append(number)
    number += 1
    if number % 200 == 0:
        time.sleep(0.001)
"""


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline, "waited too long"
        time.sleep(0.005)


@contextmanager
def writer(path: Path) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        [sys.executable, "-c", WRITER, str(path)], stdout=subprocess.PIPE, text=True
    )
    try:
        yield process
    finally:
        process.kill()
        process.wait()
        assert process.stdout is not None
        process.stdout.close()


def event(number: int) -> Event:
    kind: Any = "ok" if number % 2 else "invoke"
    return Event(index=number, time=number, process=0, type=kind, f="write", value=number // 2)


# --- history.jsonl ----------------------------------------------------------------------------


def test_a_history_is_on_disk_while_the_run_goes_on(tmp_path: Path) -> None:
    """Another process reads what was appended, without any close; batches are no longer than the
    100 ms that a killed harness may lose."""
    path = tmp_path / "history.jsonl"
    assert store._FLUSH_S <= 0.1
    with writer(path) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "durable\n"
        wait_until(lambda: path.read_bytes().count(b"\n") > 3000)
        assert process.poll() is None


def test_a_killed_writer_leaves_a_readable_prefix(tmp_path: Path) -> None:
    """SIGKILL in the middle of writing: all that was made durable is there, in order and without a
    gap, and at most one line is torn."""
    path = tmp_path / "history.jsonl"
    with writer(path) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "durable\n"
        durable = path.read_bytes()
        wait_until(lambda: path.stat().st_size > 2 * len(durable))
        process.kill()
        process.wait()
    data = path.read_bytes()
    assert data.startswith(durable)
    whole, _, torn = data.rpartition(b"\n")
    rows = [msgspec.json.decode(line) for line in whole.split(b"\n")]
    assert [row["index"] for row in rows] == list(range(len(rows)))
    assert len(rows) > 1000
    assert b"\n" not in torn
    history = read_history(path, tolerate_torn_tail=True)
    assert len(history) == len(rows)


def test_closing_makes_everything_durable(tmp_path: Path) -> None:
    """In the order appended, also what came just before; closing twice is no error."""
    path = tmp_path / "history.jsonl"
    log = HistoryLog(path)
    for number in range(5000):
        log.append(event(number))
    log.close()
    log.close()
    assert list(read_history(path).events()) == [event(number) for number in range(5000)]


def test_a_full_disk_is_not_kept_secret(tmp_path: Path) -> None:
    """What the writing thread met is raised by ``close``; the caller never waited for it."""
    if not os.access("/dev/full", os.W_OK):
        pytest.skip("no /dev/full")
    log = HistoryLog(Path("/dev/full"))
    log.append(event(0))
    with pytest.raises(OSError, match="No space left"):
        log.close()


def test_any_error_of_the_thread_comes_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not only those of the disk: an event must never be lost in silence."""

    def broken(_file: int) -> None:
        raise ZeroDivisionError("a bug")

    monkeypatch.setattr(os, "fdatasync", broken)
    log = HistoryLog(tmp_path / "history.jsonl")
    log.append(event(0))
    with pytest.raises(ZeroDivisionError):
        log.close()


def test_appending_while_the_thread_writes_loses_nothing(tmp_path: Path) -> None:
    """Threads race for the lines; each arrives once, in order."""
    path = tmp_path / "history.jsonl"
    log = HistoryLog(path)
    for number in range(20_000):
        log.append(event(number))
        if number % 2000 == 0:
            time.sleep(0.02)
    log.close()
    lines = path.read_bytes().splitlines()
    assert [msgspec.json.decode(line)["index"] for line in lines] == list(range(20_000))


# --- faults.jsonl -----------------------------------------------------------------------------


def fault(number: int) -> Fault:
    return Fault(
        number=number,
        nemesis="partition",
        control="links",
        target="one",
        state=(("n1", "n2"), ("n2", "n1")),
    )


def logged(path: Path, *phases: tuple[int, str, int]) -> None:
    log = FaultLog(path)
    for number, phase, time_ns in phases:
        log.append(fault(number), phase, time_ns, ("seen",))
        # Durable (and so readable) when append returns: nothing is gathered.
        assert msgspec.json.decode(path.read_bytes().splitlines()[-1])["phase"] == phase
    log.close()
    log.close()


@pytest.mark.parametrize(
    ("phases", "expected"),
    [
        (("planned", "applied", "bit", "healing", "healed"), (20, 50, True)),
        (("planned", "applied", "missed", "healing", "healed"), (20, 50, False)),
        (("planned", "applied", "bit", "healing", "unhealed"), (20, None, True)),
        (("planned", "applied", "bit", "healing"), (20, None, True)),
        (("planned", "applied", "bit"), (20, None, True)),
        (("planned", "applied"), (20, None, False)),
        (("planned",), None),
        (("planned", "failed", "", "healing", "healed"), None),
    ],
)
def test_phases_become_intervals(
    tmp_path: Path, phases: tuple[str, ...], expected: tuple[int, int | None, bool] | None
) -> None:
    """From when it was applied to when healing was proven (None: never); it bit only if a probe saw
    it. What was never applied is no fault that fired."""
    rows = [(1, phase, 10 * at) for at, phase in enumerate(phases, 1) if phase]
    run = open_run(tmp_path)
    logged(run.faults_path, *rows)
    intervals = [(one.start_ns, one.end_ns, one.bit) for one in run.faults()]
    assert intervals == ([expected] if expected else [])
    assert all(one.fault == fault(1) for one in run.faults())


def test_faults_side_by_side_are_told_apart(tmp_path: Path) -> None:
    """By number; intervals come in order of their start."""
    run = open_run(tmp_path)
    logged(
        run.faults_path,
        (2, "planned", 1),
        (1, "planned", 2),
        (2, "applied", 9),
        (1, "applied", 4),
        (1, "bit", 5),
        (1, "healed", 10),
        (2, "healed", 11),
    )
    assert [(one.fault.number, one.start_ns, one.end_ns, one.bit) for one in run.faults()] == [
        (1, 4, 10, True),
        (2, 9, 11, False),
    ]


def test_a_torn_line_of_faults_is_passed_over(tmp_path: Path) -> None:
    """A harness that was killed while it wrote leaves the faults before."""
    run = open_run(tmp_path)
    logged(run.faults_path, (1, "planned", 1), (1, "applied", 2))
    with run.faults_path.open("ab") as file:
        file.write(b'{"number":1,"ti')
    (one,) = run.faults()
    assert (one.start_ns, one.end_ns) == (2, None)


def test_no_file_is_no_fault(tmp_path: Path) -> None:
    """A run without nemeses, or one that ended before any fault."""
    assert open_run(tmp_path).faults() == ()
    assert fault_intervals([]) == ()


# --- whole files and links --------------------------------------------------------------------


def test_readers_never_see_a_part_of_a_file(tmp_path: Path) -> None:
    """While one thread replaces a file over and over, another reads all of an old or a new one."""
    path = tmp_path / "verdict.json"
    contents = [bytes([65 + i]) * 200_000 for i in range(3)]
    write_whole(path, contents[0])
    stop = threading.Event()
    seen: list[bytes] = []

    def read() -> None:
        while not stop.is_set():
            seen.append(path.read_bytes())

    reader = threading.Thread(target=read)
    reader.start()
    try:
        for number in range(60):
            write_whole(path, contents[number % 3])
    finally:
        stop.set()
        reader.join()
    assert set(seen) <= set(contents)
    assert [entry.name for entry in tmp_path.iterdir()] == ["verdict.json"]


def test_a_file_that_cannot_be_replaced_stays_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And nothing is left beside it."""
    path = tmp_path / "report.html"
    write_whole(path, b"old")

    def full(_file: int) -> None:
        raise OSError("no space left")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="no space left"):
        write_whole(path, b"new")
    assert path.read_bytes() == b"old"
    assert [entry.name for entry in tmp_path.iterdir()] == ["report.html"]


def test_a_run_has_its_directory_and_is_the_latest(tmp_path: Path) -> None:
    """``<store>/<test>/<time>-<seed>/`` with the plan in it; both links follow the newest run, and
    go on working when the store is moved."""
    plan = make_plan(Choices(substrate="simulated", nemeses=("partition",), seed=7))
    first = create_run(tmp_path / "store", plan)
    time.sleep(0.002)  # directories are named after milliseconds
    second = create_run(tmp_path / "store", plan)
    assert first.directory != second.directory
    assert second.directory.parent == tmp_path / "store" / plan.name
    assert second.directory.name.endswith("-7")
    assert second.plan()["seed"] == 7
    assert second.logs.is_dir()
    moved = (tmp_path / "store").rename(tmp_path / "moved")
    for link in (moved / "latest", moved / plan.name / "latest"):
        assert link.is_symlink()
        assert open_run(link).directory.name == second.directory.name
        assert open_run(link).plan()["name"] == plan.name


def test_a_verdict_is_read_as_written(tmp_path: Path) -> None:
    """``verdict.json`` holds all of it."""
    run = open_run(tmp_path)
    verdict = Verdict(
        checker="c", validity=Validity.UNKNOWN, sentence="Hm.", reason="timeout", details={"n": 1}
    )
    run.write_verdict(verdict)
    assert run.verdict() == verdict


def test_node_logs_are_listed_relative_to_the_run(tmp_path: Path) -> None:
    """Sorted, so that a report is the same each time."""
    run = open_run(tmp_path)
    for name in ("n2", "n1"):
        (run.logs / name).mkdir(parents=True)
        (run.logs / name / "output.log").write_text("x")
    assert run.log_files() == ("logs/n1/output.log", "logs/n2/output.log")
