"""The journal of what a run must undo, and how a live run is told from a dead one.

A ledger is a file of JSON lines. ``record`` writes how to undo an action and syncs it *before* the
action is taken, so whatever happens to the harness, everything that exists is written down; the
reverse (written down, never done) is harmless, because undoing tolerates what is already gone.
This is write-ahead logging with undo records only (Mohan et al., ARIES, 1992). A strike is not
synced: losing it repeats a harmless undo.

::

    {"ledger": 1, "run": "k3x9", "pid": 71, "started": 8812, "boot": "...",
     "path": "/.../ledger.jsonl", "index": "/run/splitbrain/k3x9"}
    {"record": 0, "undo": {"kind": "command", "argv": ["ip", "netns", "del", "sb-k3x9-n1"]}}
    {"strike": 0}

*Liveness*: the harness holds ``flock`` on its ledger, and on the run's entry in a machine-wide
index, as long as it lives. The kernel drops the lock whatever the end, so a lock that can be taken
proves that the run is dead; a process id alone would not (ids are used again). The index lets
``harness heal`` find a ledger without knowing the store; its entry is a second copy of the ledger,
which serves when the store is deleted, as the ledger serves when a reboot empties the index.
"""

from __future__ import annotations

import fcntl
import json
import os
import tempfile
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from clusters.substrates import procfs
from harness.core.errors import HarnessError

__all__ = [
    "LEDGER_NAME",
    "FileLedger",
    "LedgerState",
    "boot_id",
    "index_directory",
    "is_locked",
    "read_ledger",
]

LEDGER_NAME = "ledger.jsonl"
"""What a run's directory calls its ledger."""

_VERSION = 1


def boot_id() -> str:
    """The kernel's identity of this boot: process ids and start times mean nothing across boots."""
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()


def index_directory(environ: Mapping[str, str] = os.environ) -> Path:
    """Where the runs of this machine and user are listed; made when it is not there.

    ``SPLITBRAIN_RUNTIME_DIR``, else ``/run/splitbrain`` for root, else below ``XDG_RUNTIME_DIR``,
    else in the directory for temporary files. Raises :class:`HarnessError` when others could write
    there: healing runs the commands that the listed ledgers hold.
    """
    user = os.geteuid()
    shared = Path(tempfile.gettempdir()) / f"splitbrain-{user}"
    if chosen := environ.get("SPLITBRAIN_RUNTIME_DIR"):
        path = Path(chosen)
    elif user == 0 and os.access("/run", os.W_OK):
        path = Path("/run/splitbrain")
    elif user != 0 and (runtime := environ.get("XDG_RUNTIME_DIR")):
        path = Path(runtime) / "splitbrain"
    else:
        path = shared
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    status = path.lstat()
    if path.is_symlink() or status.st_uid != user or status.st_mode & 0o022:
        raise HarnessError(
            f"{path} lists the runs of this user, but others can write there: remove it, or name "
            "another directory in SPLITBRAIN_RUNTIME_DIR"
        )
    return path.resolve()


@contextmanager
def is_locked(path: Path) -> Iterator[bool]:
    """Whether a live process holds the lock of ``path``; while inside, nobody else can take it."""
    with path.open("rb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield True
        else:
            yield False


@dataclass(frozen=True, slots=True, kw_only=True)
class LedgerState:
    """A ledger as read: ``open`` are the undo records not struck, by number, oldest first.
    ``corrupt`` are the numbers of lines (from 1) that cannot be read, the torn tail not counted.
    ``intact_bytes`` is where the torn tail begins (the file's size when there is none)."""

    run: str = ""
    pid: int = 0
    started: int = 0
    boot: str = ""
    path: Path | None = None
    index: Path | None = None
    open: Mapping[int, Mapping[str, Any]] = field(default_factory=dict)
    corrupt: tuple[int, ...] = ()
    intact_bytes: int = 0

    @property
    def owner_lives(self) -> bool:
        """Whether the process that wrote the ledger still runs."""
        return self.boot == boot_id() and procfs.lives(
            procfs.Identity(pid=self.pid, started=self.started)
        )


def read_ledger(path: Path) -> LedgerState:
    """What ``path`` says. A torn last line is ignored: its action was never taken, because the
    action waits for the line to be on disk."""
    data = path.read_bytes()
    intact = data.rfind(b"\n") + 1
    header: dict[str, Any] = {}
    records: dict[int, Mapping[str, Any]] = {}
    corrupt = []
    for number, line in enumerate(data[:intact].splitlines(), 1):
        try:
            row = json.loads(line)
            if "ledger" in row:
                header = row
            elif "record" in row:
                records[int(row["record"])] = dict(row["undo"])
            elif "strike" in row:
                records.pop(int(row["strike"]), None)
        except (ValueError, TypeError, KeyError):
            corrupt.append(number)
    return LedgerState(
        run=str(header.get("run", "")),
        pid=int(header.get("pid", 0)),
        started=int(header.get("started", 0)),
        boot=str(header.get("boot", "")),
        path=Path(header["path"]) if header.get("path") else None,
        index=Path(header["index"]) if header.get("index") else None,
        open=records,
        corrupt=tuple(corrupt),
        intact_bytes=intact,
    )


class FileLedger:
    """The ledger of a live run, at ``path`` (which must not exist yet); ``copy`` is its entry in
    the index. Use it as a context
    manager, or call :meth:`close`. Safe to use from several threads."""

    def __init__(self, path: Path, run: str, *, index: Path | None = None) -> None:
        self.path = path.absolute()
        self.run = run
        self._mutex = threading.Lock()
        self._next = 0
        self._open: set[int] = set()
        self.copy = (index or index_directory()) / run
        owner = procfs.identify(os.getpid())
        assert owner is not None, "this process is not in /proc"
        header = {
            "ledger": _VERSION,
            "run": run,
            "pid": owner.pid,
            "started": owner.started,
            "boot": boot_id(),
            "path": str(self.path),
            "index": str(self.copy),
        }
        self._entry = _create_locked(self.copy, _line(header))
        try:
            self._file = _create_locked(self.path, _line(header))
        except BaseException:
            self.copy.unlink()
            self._entry.close()
            raise

    @property
    def open_records(self) -> int:
        """How many records are not struck."""
        return len(self._open)

    def record(self, undo: Mapping[str, Any]) -> int:
        """The number of the new record; returns when it is on disk."""
        with self._mutex:
            number = self._next
            self._next += 1
            self._open.add(number)
            self._write({"record": number, "undo": dict(undo)}, sync=True)
            return number

    def strike(self, number: int) -> None:
        """Say that record ``number`` was undone. Striking twice is harmless."""
        with self._mutex:
            if number in self._open:
                self._open.remove(number)
                self._write({"strike": number}, sync=False)

    def close(self) -> None:
        """Stop being live. The entry in the index goes only when nothing is left to undo.
        Idempotent."""
        with self._mutex:
            if self._file.closed:
                return
            if not self._open:
                self.copy.unlink(missing_ok=True)
            self._file.close()
            self._entry.close()

    def __enter__(self) -> FileLedger:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def _write(self, row: Mapping[str, Any], *, sync: bool) -> None:
        for file in (self._entry, self._file):
            file.write(_line(row))
            file.flush()
            if sync:
                os.fsync(file.fileno())


def _line(row: Mapping[str, Any]) -> bytes:
    return json.dumps(row, separators=(",", ":")).encode() + b"\n"


def _create_locked(path: Path, content: bytes) -> IO[bytes]:
    """A new durable file that is locked and complete at the moment when its name appears: a healer
    never sees it unlocked or half written."""
    hidden = path.with_name(f".{path.name}.new")
    file = hidden.open("xb")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
        os.link(hidden, path)  # unlike a rename, refuses to replace a file
    except BaseException:
        file.close()
        raise
    finally:
        hidden.unlink()
    _sync_directory(path.parent)
    return file


def _sync_directory(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
