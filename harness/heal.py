"""Undo what a dead run left behind, and nothing else.

A run is dead when the lock on its ledger can be taken (see :mod:`harness.ledger`); the ledger of a
live run is never touched. Records are undone in reverse, each verified and then struck, so healing
can itself be interrupted and repeated. What cannot be undone is reported and stays in the ledger.

Beyond ledgers, :func:`heal_all` removes namespaces ``sb-<run>-*`` and processes with the label
``SPLITBRAIN_RUN=<run>`` of runs that are proven dead, and of runs of which no record exists at all
once they are older than a minute and nobody alive is their parent.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from clusters.substrates import procfs
from harness.ledger import (
    LEDGER_NAME,
    FileLedger,
    LedgerState,
    boot_id,
    index_directory,
    is_locked,
    read_ledger,
)
from harness.undo import LABEL, UndoError, parent, run_command, undo

__all__ = ["HealReport", "heal", "heal_all"]

_NAMESPACE = re.compile(r"^sb-([A-Za-z0-9_]+)-")
_NAMESPACES = Path("/run/netns")
_STRAY_AGE_S = 60.0
_WAIT_S = 10.0
_POLL_S = 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class HealReport:
    """What healing did. ``undone`` and ``failures`` are sentences; ``notes`` say what was left
    alone and why. ``live``: the run lives, nothing was touched."""

    run: str = ""
    undone: tuple[str, ...] = ()
    failures: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    live: bool = False


def heal(
    ledger: Path,
    *,
    held: FileLedger | None = None,
    owner_ended: bool = False,
    wait_s: float = _WAIT_S,
) -> HealReport:
    """Undo what ``ledger`` records and does not strike.

    A run that lives is left alone, unless it is our own: then pass its ledger as ``held``. When
    the run's process is dead but the lock is taken, another healer (its janitor) is at work: wait
    up to ``wait_s`` for it. ``owner_ended``: the caller knows that the process is ending, although
    it may look alive and hold the lock for another moment. Never raises for what a ledger may
    contain.
    """
    if held is not None:
        return _heal_locked(ledger, held)
    deadline = time.monotonic() + wait_s
    try:
        while True:
            with is_locked(ledger) as locked:
                if not locked:
                    return _heal_locked(ledger, None)
            state = read_ledger(ledger)
            lives = state.owner_lives and not owner_ended
            if lives or time.monotonic() > deadline:
                holder = f"process {state.pid}" if state.owner_lives else "another process"
                note = f"run {state.run} is in use by {holder}: left alone"
                return HealReport(run=state.run, live=True, notes=(note,))
            time.sleep(_POLL_S)
    except FileNotFoundError:  # struck and gone since it was listed
        return HealReport()
    except OSError as error:
        return HealReport(failures=(f"{ledger}: {error}",))


def _heal_locked(ledger: Path, held: FileLedger | None) -> HealReport:
    owner = ledger.stat().st_uid
    if owner != os.geteuid():
        text = f"{ledger} belongs to user {owner}, whose commands are not ours to run"
        return HealReport(failures=(text,))
    state = read_ledger(ledger)
    undone, failures = [], []
    with ledger.open("r+b") as file:
        if held is None:
            file.truncate(state.intact_bytes)
        file.seek(0, os.SEEK_END)
        for number, record in sorted(state.open.items(), reverse=True):
            try:
                sentence = undo(record) if _may_exist(record, state) else None
            except UndoError as error:
                failures.append(str(error))
                continue
            undone += [sentence] if sentence else []
            if held is not None:
                held.strike(number)
            else:
                file.write(b'{"strike":%d,"by":"heal"}\n' % number)
                file.flush()
    failures += [f"{ledger}: line {line} cannot be read" for line in state.corrupt]
    if held is None and not failures and state.index is not None:
        _forget(state.index, ledger)
    return HealReport(run=state.run, undone=tuple(undone), failures=tuple(failures))


def _may_exist(record: Mapping[str, Any], state: LedgerState) -> bool:
    """A process does not outlive a reboot; what then has its number and start tick is another."""
    return record.get("kind") != "process" or state.boot == boot_id()


def _forget(entry: Path, ledger: Path) -> None:
    """Take the run off the index. The ledger names the entry; the entry must name the ledger."""
    with contextlib.suppress(OSError):
        path = read_ledger(entry).path
        if path is not None and ledger.resolve() in (path.resolve(), entry.resolve()):
            entry.unlink()


def heal_all(store: Path | None = None, *, index: Path | None = None) -> tuple[HealReport, ...]:
    """Heal every dead run that the index or ``store`` knows, then sweep up strays."""
    index = index or index_directory()
    found = [_ledger_of(entry) for entry in sorted(index.iterdir()) if entry.name[0] != "."]
    if store is not None:
        found += sorted(store.glob(f"*/*/{LEDGER_NAME}"))
    unique = dict.fromkeys(ledger.resolve() for ledger in found if ledger is not None)
    reports = [heal(ledger) for ledger in unique]
    live = frozenset(report.run for report in reports if report.live)
    dead = frozenset(report.run for report in reports if not report.live)
    return (*reports, _sweep(live, dead))


def _ledger_of(entry: Path) -> Path | None:
    """The ledger that an entry of the index names; the entry itself when that was deleted; None
    when the run has just ended."""
    try:
        path = read_ledger(entry).path
    except FileNotFoundError:
        return None
    return path if path is not None and path.is_file() else entry


def _sweep(live: frozenset[str], dead: frozenset[str]) -> HealReport:
    """Namespaces and processes of runs that are not live."""
    namespaces = _namespaces()
    processes = _labelled_processes()
    report = HealReport()
    for run in sorted((set(namespaces) | set(processes)) - live):
        names, pids = namespaces.get(run, ()), processes.get(run, ())
        doubt = None if run in dead else _doubt(names, pids)
        if doubt:
            things = ", ".join((*names, *(f"process {pid}" for pid in pids)))
            note = f"run {run} ({things}) is in no ledger, but {doubt}: left alone"
            report = replace(report, notes=(*report.notes, note))
            continue
        records: list[Mapping[str, Any]] = [{"kind": "label", "run": run}]
        records += [{"kind": "command", "argv": ["ip", "netns", "delete", name]} for name in names]
        report = _undo_each(records, report)
    return report


def _undo_each(records: Iterable[Mapping[str, Any]], report: HealReport) -> HealReport:
    for record in records:
        try:
            sentence = undo(record)
        except UndoError as error:
            report = replace(report, failures=(*report.failures, str(error)))
        else:
            if sentence:
                report = replace(report, undone=(*report.undone, sentence))
    return report


def _doubt(names: Iterable[str], pids: Iterable[int]) -> str | None:
    """Why a run without any record may nevertheless be alive."""
    pids = frozenset(pids)
    for pid in pids:
        owner = parent(pid)
        if owner > 1 and owner not in pids:
            return f"its parent, process {owner}, is alive"
    starts = [_seconds_since_change(_NAMESPACES / name) for name in names]
    starts += [_seconds_since_change(Path(f"/proc/{pid}")) for pid in pids]
    if min(starts, default=_STRAY_AGE_S) < _STRAY_AGE_S:
        return f"it is younger than {_STRAY_AGE_S:g} s"
    return None


def _seconds_since_change(path: Path) -> float:
    try:
        return time.time() - path.stat().st_ctime
    except OSError:
        return _STRAY_AGE_S


def _namespaces() -> dict[str, tuple[str, ...]]:
    """The network namespaces of runs, by run."""
    if os.geteuid() != 0 or shutil.which("ip") is None:
        return {}
    try:
        lines = run_command("ip", "netns", "list").splitlines()
    except UndoError:
        return {}
    found: dict[str, tuple[str, ...]] = {}
    for name in (line.split()[0] for line in lines if line.strip()):
        if match := _NAMESPACE.match(name):
            found[match[1]] = (*found.get(match[1], ()), name)
    return found


def _labelled_processes() -> dict[str, tuple[int, ...]]:
    """The living processes that carry the label of a run, by run."""
    found: dict[str, tuple[int, ...]] = {}
    prefix = f"{LABEL}=".encode()
    for entry in Path("/proc").iterdir():
        if not entry.name.isdecimal() or int(entry.name) == os.getpid():
            continue
        try:
            words = (entry / "environ").read_bytes().split(b"\0")
        except OSError:
            continue
        for word in words:
            if word.startswith(prefix) and procfs.identify(int(entry.name)):
                run = word[len(prefix) :].decode(errors="replace")
                found[run] = (*found.get(run, ()), int(entry.name))
    return found
