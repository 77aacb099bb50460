"""Where results lie, and the only writer of them.

``<store>/<test>/<time>-<seed>/`` holds ``plan.json``, ``history.jsonl`` (appended, and made durable
at least every 100 ms), ``faults.jsonl`` (durable line by line, each before it takes effect),
``ledger.jsonl``, ``verdict.json``, ``report.html`` and ``logs/<node>/``. The link ``latest`` beside
the runs, and the one at the top of the store, point to the newest.
"""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec

from harness.core.fault import Fault, FaultInterval
from harness.core.kernels import in_use
from harness.core.operation import Event
from harness.core.verdict import Verdict
from harness.plan import Plan

__all__ = ["FaultLog", "HistoryLog", "Run", "create_run", "open_run"]

_FLUSH_S = 0.05
_encode = msgspec.json.Encoder().encode


class HistoryLog:
    """Appends events; a thread writes and syncs what has gathered, every 50 ms.

    The caller never waits for the disk. ``close`` returns when all is durable, and raises what the
    thread met.
    """

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)
        self._lines: deque[bytes] = deque()
        self._closing = threading.Event()
        self._closed = False
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._work, name="history-log", daemon=True)
        self._thread.start()

    def append(self, event: Event) -> None:
        self._lines.append(_encode(event) + b"\n")

    def close(self) -> None:
        if self._closed:
            return
        self._closed = True
        self._closing.set()
        self._thread.join()
        os.close(self._file)
        if self._error is not None:
            raise self._error

    def _work(self) -> None:
        try:
            while not self._closing.wait(_FLUSH_S):
                self._flush()
            self._flush()
        except BaseException as error:  # whatever it is: it must not be lost with the thread
            self._error = error

    def _flush(self) -> None:
        # A deque's ends are safe against the appending thread; swapping a list would not be.
        count = len(self._lines)
        if count:
            _write_all(self._file, b"".join([self._lines.popleft() for _ in range(count)]))
            os.fdatasync(self._file)


class FaultLog:
    """Appends what happens to faults, each line durable before ``append`` returns.

    Phases: ``planned`` (before anything is done), ``applied``, then ``bit`` or ``missed`` (what a
    probe saw), ``healing``, then ``healed`` or ``unhealed``; ``failed`` when applying raised.
    """

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)
        self._closed = False

    def append(
        self, fault: Fault, phase: str, time_ns: int, observations: tuple[str, ...] = ()
    ) -> None:
        row = {
            "number": fault.number,
            "time": time_ns,
            "phase": phase,
            "nemesis": fault.nemesis,
            "control": fault.control,
            "target": fault.target,
            "state": fault.state,
            "observations": observations,
        }
        _write_all(self._file, _encode(row) + b"\n")
        os.fdatasync(self._file)

    def close(self) -> None:
        if not self._closed:
            self._closed = True
            os.close(self._file)


class Run:
    """The directory of one run."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.plan_path = directory / "plan.json"
        self.history_path = directory / "history.jsonl"
        self.faults_path = directory / "faults.jsonl"
        self.ledger_path = directory / "ledger.jsonl"
        self.verdict_path = directory / "verdict.json"
        self.report_path = directory / "report.html"
        self.logs = directory / "logs"

    def plan(self) -> Mapping[str, Any]:
        """``plan.json`` as it stands."""
        data: Mapping[str, Any] = msgspec.json.decode(self.plan_path.read_bytes())
        return data

    def faults(self) -> tuple[FaultInterval, ...]:
        """The faults that fired, from ``faults.jsonl``; a torn last line is passed over."""
        if not self.faults_path.exists():
            return ()
        rows = self.faults_path.read_bytes().split(b"\n")[:-1]
        return fault_intervals([msgspec.json.decode(row) for row in rows])

    def verdict(self) -> Verdict:
        return Verdict.from_json(msgspec.json.decode(self.verdict_path.read_bytes()))

    def write_verdict(self, verdict: Verdict) -> None:
        found = {**verdict.to_json(), "kernels": in_use()}
        text = msgspec.json.format(_encode(found), indent=2)
        write_whole(self.verdict_path, text + b"\n")

    def write_report(self, html: str) -> None:
        write_whole(self.report_path, html.encode())

    def log_files(self) -> tuple[str, ...]:
        """The node logs, relative to the run."""
        files = sorted(self.logs.rglob("*.log"))
        return tuple(str(file.relative_to(self.directory)) for file in files)


def create_run(store: Path, plan: Plan) -> Run:
    """A new directory for ``plan``, with ``plan.json`` in it, and the ``latest`` links set."""
    stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%S.%f")[:-3]
    directory = store.absolute() / plan.name / f"{stamp}-{plan.seed}"
    directory.mkdir(parents=True)
    run = Run(directory)
    run.logs.mkdir()
    data = {**plan.to_json(), "started": datetime.now(UTC).isoformat(timespec="seconds")}
    write_whole(run.plan_path, msgspec.json.format(_encode(data), indent=2) + b"\n")
    for link in (directory.parent / "latest", store.absolute() / "latest"):
        _point(link, directory)
    return run


def open_run(directory: Path) -> Run:
    """The run in ``directory`` (which may be a ``latest`` link)."""
    return Run(directory.resolve())


def fault_intervals(rows: list[Mapping[str, Any]]) -> tuple[FaultInterval, ...]:
    """What the lines of ``faults.jsonl`` say, one interval a fault that was applied."""
    phases: dict[int, dict[str, Mapping[str, Any]]] = {}
    for row in rows:
        phases.setdefault(row["number"], {})[row["phase"]] = row
    intervals = []
    for number, seen in phases.items():
        start = seen.get("applied")
        if start is None:
            continue
        end = seen.get("healed")
        intervals.append(
            FaultInterval(
                fault=Fault(
                    number=number,
                    nemesis=start["nemesis"],
                    control=start["control"],
                    target=start["target"],
                    state=tuple(tuple(entry) for entry in start["state"]),
                ),
                start_ns=start["time"],
                end_ns=end["time"] if end else None,
                bit="bit" in seen,
            )
        )
    return tuple(sorted(intervals, key=lambda interval: interval.start_ns))


def write_whole(path: Path, data: bytes) -> None:
    """Replace ``path`` by ``data``: readers see the old file or the new one, never a part."""
    # The process's own name: `harness check` and `harness report` may write to one run at a time.
    temporary = path.with_name(f".{path.name}-{os.getpid()}")
    try:
        with temporary.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def _point(link: Path, target: Path) -> None:
    temporary = link.with_name(f".latest-{os.getpid()}")
    temporary.unlink(missing_ok=True)
    temporary.symlink_to(os.path.relpath(target, link.parent))
    temporary.replace(link)


def _write_all(file: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(file, view) :]
