"""What ``/proc`` says about processes: the world, as opposed to what was asked of it.

A process is known by its number *and* the clock tick at which it started, because numbers are used
again. The kernel does not give a number away while a session still carries it, so the members of a
session stay attributable after its leader has died. See proc(5).
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Identity", "identify", "labelled", "lives", "stopped", "tree"]

_PROC = Path("/proc")
_GONE = frozenset("ZXx")


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """One process for good: its number, and its start in clock ticks since boot."""

    pid: int
    started: int


@dataclass(frozen=True, slots=True, kw_only=True)
class _Row:
    pid: int
    state: str
    parent: int
    session: int
    started: int


def identify(pid: int) -> Identity | None:
    """The process that has this number now; ``None`` when there is none."""
    row = _row(_PROC / str(pid))
    return None if row is None else Identity(pid=pid, started=row.started)


def lives(identity: Identity) -> bool:
    """Whether that very process still runs (a zombie does not)."""
    return identify(identity.pid) == identity and not _states(identity.pid) <= _GONE


def tree(root: Identity) -> frozenset[int]:
    """The living processes that ``root`` started: its descendants and the members of its session
    (children whose parent died), itself included."""
    rows = {row.pid: row for row in _rows()}
    if root.pid in rows and rows[root.pid].started != root.started:
        return frozenset()
    children: dict[int, list[int]] = {}
    for row in rows.values():
        children.setdefault(row.parent, []).append(row.pid)
    found: set[int] = set()
    frontier = [row.pid for row in rows.values() if root.pid in (row.pid, row.session)]
    while frontier:
        pid = frontier.pop()
        if pid not in found:
            found.add(pid)
            frontier.extend(children.get(pid, ()))
    return frozenset(pid for pid in found if not _states(pid) <= _GONE)


def stopped(pid: int) -> bool:
    """Whether every thread of the process is stopped by a signal (state T)."""
    states = _states(pid) - _GONE
    return states == {"T"}


def labelled(variable: str, value: str) -> frozenset[int]:
    """The processes that were started with ``variable=value`` in their environment."""
    wanted = f"{variable}={value}".encode()
    found = set()
    for directory in _numbered():
        try:
            environment = (directory / "environ").read_bytes()
        except OSError:  # ended meanwhile, or somebody else's
            continue
        if wanted in environment.split(b"\0"):
            found.add(int(directory.name))
    return frozenset(found - {os.getpid()})


def _numbered() -> Iterator[Path]:
    return (entry for entry in _PROC.iterdir() if entry.name.isdecimal())


def _rows() -> Iterator[_Row]:
    return (row for row in map(_row, _numbered()) if row is not None)


def _row(directory: Path) -> _Row | None:
    try:
        text = (directory / "stat").read_text(errors="replace")
    except OSError:
        return None
    # The name in parentheses may itself hold blanks and parentheses: count from the last one.
    fields = text.rpartition(")")[2].split()
    return _Row(
        pid=int(directory.name),
        state=fields[0],
        parent=int(fields[1]),
        session=int(fields[3]),
        started=int(fields[19]),
    )


def _states(pid: int) -> frozenset[str]:
    """The states of all threads. The first thread alone misleads: it may have ended before the
    others did."""
    try:
        threads = tuple((_PROC / str(pid) / "task").iterdir())
    except OSError:
        return frozenset()
    return frozenset(row.state for row in map(_row, threads) if row is not None)
