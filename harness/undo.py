"""How to undo one record of a ledger, and how to know that it was undone.

Every undo tolerates what is already gone, because a record is written before its action, which a
crash may have prevented. Undoing never touches what the record does not name: a process must have
started at the recorded tick (process ids are used again), or carry the run's label.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from clusters.substrates import procfs

__all__ = ["LABEL", "UndoError", "run_command", "undo"]

LABEL = "SPLITBRAIN_RUN"
"""The environment variable that carries the run's id in every process that a run starts."""

_COMMAND_LIMIT_S = 30.0
_KILL_LIMIT_S = 10.0
_POLL_S = 0.01

_GONE = (
    "already gone",
    "cannot find device",
    "does not exist",
    "no such",
    "not found",
)
"""How iproute2, nftables and their like say that there is nothing to remove."""


class UndoError(Exception):
    """Something could not be undone. The text says what, and what the system answered."""


def undo(record: Mapping[str, Any]) -> str | None:
    """Undo ``record`` and verify it: a sentence that says what was done, or None when there was
    nothing left to do. Raises :class:`UndoError`. Bounded in time."""
    kind = record.get("kind")
    if kind not in _KINDS:
        raise UndoError(f"record of unknown kind {kind!r}: {dict(record)}")
    try:
        return _KINDS[kind](record)
    except (KeyError, TypeError, ValueError) as error:
        raise UndoError(f"unusable record {dict(record)}: {error!r}") from error
    except OSError as error:
        raise UndoError(f"{dict(record)}: {error}") from error


def run_command(*argv: str) -> str:
    """The standard output of ``argv``; :class:`UndoError` when it fails."""
    try:
        result = subprocess.run(
            argv,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_COMMAND_LIMIT_S,
            stdin=subprocess.DEVNULL,
            check=False,
            env={**os.environ, "LC_ALL": "C"},  # the words in _GONE are English
        )
    except subprocess.TimeoutExpired:
        raise UndoError(f"`{' '.join(argv)}` did not end in {_COMMAND_LIMIT_S:g} s") from None
    if result.returncode:
        raise UndoError(f"`{' '.join(argv)}`: {(result.stderr or result.stdout).strip()}")
    return result.stdout


def _command(record: Mapping[str, Any]) -> str | None:
    argv = [str(word) for word in record["argv"]]
    if shutil.which(argv[0]) is None:
        raise UndoError(f"`{' '.join(argv)}`: no program {argv[0]} on the PATH")
    try:
        run_command(*argv)
    except UndoError as error:
        if any(word in str(error).lower() for word in _GONE):
            return None
        raise
    return f"ran `{' '.join(argv)}`"


def _process(record: Mapping[str, Any]) -> str | None:
    identity = procfs.Identity(pid=int(record["pid"]), started=int(record["started"]))
    if procfs.identify(identity.pid) != identity:  # gone, or the number means another process now
        return None
    killed = _kill_all(lambda: procfs.tree(identity), f"process {identity.pid}")
    return f"killed process {identity.pid}{_others(killed - {identity.pid})}" if killed else None


def _label(record: Mapping[str, Any]) -> str | None:
    run = str(record["run"])
    if not run:
        raise UndoError("a label without a run")
    killed = _kill_all(lambda: procfs.labelled(LABEL, run), f"the processes of run {run}")
    return f"killed the processes {_list(killed)} of run {run}" if killed else None


def _directory(record: Mapping[str, Any]) -> str | None:
    path = Path(record["path"])
    plain = path.is_absolute() and ".." not in path.parts and not path.is_symlink()
    if not plain or len(path.parts) < 3 or path == Path.home():
        raise UndoError(f"{path} is not the plain path of a directory of a run")
    if not path.exists():
        return None
    shutil.rmtree(path)
    return f"removed {path}"


_KINDS: dict[Any, Callable[[Mapping[str, Any]], str | None]] = {
    "command": _command,
    "process": _process,
    "label": _label,
    "directory": _directory,
}


def _kill_all(find: Callable[[], frozenset[int]], what: str) -> frozenset[int]:
    """SIGKILL what ``find`` finds until it finds nothing: a process may fork while it is looked
    for, so once is not enough. All are stopped first, so that a parent's death cannot hide its
    children."""
    killed: frozenset[int] = frozenset()
    deadline = time.monotonic() + _KILL_LIMIT_S
    while found := find() - _ourselves():
        if time.monotonic() > deadline:
            raise UndoError(f"{what}: {_list(found)} did not die of SIGKILL")
        for number in (signal.SIGSTOP, signal.SIGKILL) if found - killed else ():
            for pid in found:
                _signal(pid, number)
        killed |= found
        time.sleep(_POLL_S)
    return killed


def _signal(pid: int, number: signal.Signals) -> None:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        pass
    except PermissionError as error:
        raise UndoError(f"process {pid} belongs to another user: {error}") from error


def _ourselves() -> frozenset[int]:
    """This process and its ancestors."""
    found = {os.getpid()}
    pid = os.getppid()
    while pid > 0 and pid not in found:
        found.add(pid)
        pid = parent(pid)
    return frozenset(found)


def parent(pid: int) -> int:
    """The parent of ``pid``; 0 when there is none."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(errors="replace")
    except OSError:
        return 0
    return int(text.rpartition(")")[2].split()[1])


def _list(pids: frozenset[int]) -> str:
    return ", ".join(map(str, sorted(pids)))


def _others(pids: frozenset[int]) -> str:
    return f" and its children {_list(pids)}" if pids else ""
