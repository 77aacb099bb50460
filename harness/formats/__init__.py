"""Reading and writing histories: one module for each format."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import msgspec

from harness.core.errors import BadInput, Problem
from harness.core.history import History
from harness.formats import awdit, dbcop, plume
from harness.formats.columns import Unusual
from harness.formats.etcd_log import MARK, read_etcd_log, write_etcd_log
from harness.formats.jepsen import load_jepsen, read_jepsen, write_jepsen
from harness.formats.jsonl import find_history, read_history
from harness.formats.packed import BROKEN, open_packed, read_packed
from harness.formats.porcupine_kv import load_porcupine_kv, read_porcupine_kv, write_porcupine_kv

__all__ = ["FORMATS", "Format", "guess", "read", "require_format", "write"]

_HEAD = 4096
_BARE = re.compile(r":type\s+:(invoke|ok|fail|info)\b")


def _read_splitbrain(text: str, source: str) -> History:
    raise AssertionError("read as bytes, line by line")


def _write_splitbrain(history: History) -> Iterable[str]:
    return (msgspec.json.encode(event).decode() + "\n" for event in history.events())


@dataclass(frozen=True, slots=True, kw_only=True)
class Format:
    """``read(text, source)`` and ``write(history)`` raise :class:`BadInput`. ``looks_like`` is
    asked with the beginning of a file. ``load(path)`` is asked first, where there is one: it is
    faster, and raises :class:`Unusual` for what it leaves to ``read``. ``realtime``: whoever reads
    the format takes the order of the events for that in which they happened."""

    summary: str
    read: Callable[[str, str], History]
    write: Callable[[History], Iterable[str]]
    looks_like: Callable[[str], bool]
    load: Callable[[Path], History] | None = None
    realtime: bool = True


def _begins_like(line: re.Pattern[str]) -> Callable[[str], bool]:
    """Whether the first line that is not empty is such a one."""
    return lambda head: line.fullmatch(head.strip().partition("\n")[0].strip()) is not None


FORMATS: Mapping[str, Format] = {
    "etcd-log": Format(
        summary="the log of Jepsen's first etcd tests",
        read=read_etcd_log,
        write=write_etcd_log,
        looks_like=lambda head: MARK in head,
    ),
    "porcupine-kv": Format(
        summary="EDN maps with a :key, from Porcupine's key-value tests",
        read=read_porcupine_kv,
        write=write_porcupine_kv,
        looks_like=lambda head: ":process" in head and ":key" in head,
        load=load_porcupine_kv,
    ),
    "jepsen-edn": Format(
        summary="a history of Jepsen, Knossos or Elle",
        read=read_jepsen,
        write=write_jepsen,
        looks_like=lambda head: ":process" in head or _BARE.search(head) is not None,
        load=load_jepsen,
    ),
    "dbcop-json": Format(
        summary="reads and writes of sessions, as the JSON of dbcop",
        read=dbcop.read_dbcop,
        write=dbcop.write_dbcop,
        looks_like=lambda head: dbcop.HEAD.match(head) is not None,
        realtime=False,
    ),
    "plume-text": Format(
        summary="reads and writes of sessions, from Plume, PolySI or dbcop",
        read=plume.read_plume,
        write=plume.write_plume,
        looks_like=_begins_like(plume.LINE),
        load=plume.load_plume,
        realtime=False,
    ),
    "awdit-test": Format(
        summary="reads and writes of sessions, from the tests of AWDIT",
        read=awdit.read_awdit,
        write=awdit.write_awdit,
        looks_like=_begins_like(awdit.LINE),
        load=awdit.load_awdit,
        realtime=False,
    ),
    "splitbrain": Format(
        summary="our own history.jsonl",
        read=_read_splitbrain,
        write=_write_splitbrain,
        looks_like=lambda head: not head.strip() or head.lstrip()[:1] == "{",
    ),
}
"""By name; the first that looks like a file is taken for its format."""


def require_format(name: str) -> Format:
    """The format of that name; :class:`BadInput` if there is none."""
    if name not in FORMATS:
        needed = f"one of {', '.join(sorted(FORMATS))}"
        raise BadInput([Problem(f"format {name!r}", needed, "choose one of them")])
    return FORMATS[name]


def guess(text: str, source: str) -> str:
    """The name of the format that ``text`` begins like; :class:`BadInput` if there is none."""
    for name, one in FORMATS.items():
        if one.looks_like(text[:_HEAD]):
            return name
    raise BadInput(
        [
            Problem(
                f"{source}: no known format", f"one of {', '.join(sorted(FORMATS))}", "convert it"
            )
        ]
    )


def read(
    path: Path,
    *,
    format: str | None = None,
    tolerate_torn_tail: bool = False,
    warn: Callable[[str], None] = lambda _: None,
) -> History:
    """The history at ``path`` (a file, compressed or not, or a run), in ``format`` (None: guessed).
    Raises :class:`BadInput` naming file, line and column of what is wrong."""
    found = find_history(path)
    if format is not None:
        require_format(format)
    if path.is_dir() or format == "splitbrain":
        return read_history(found, tolerate_torn_tail=tolerate_torn_tail, warn=warn)
    head = _head(found)
    name = format or guess(head, str(found))
    if name == "splitbrain":
        return read_history(found, tolerate_torn_tail=tolerate_torn_tail, warn=warn)
    if (load := FORMATS[name].load) is not None:
        try:
            return load(found)
        except Unusual:
            pass
    try:
        text = read_packed(found).decode()
    except UnicodeDecodeError as error:
        raise BadInput(
            [Problem(f"{found}: byte {error.start} is not UTF-8", "UTF-8", "convert the file")]
        ) from error
    return FORMATS[name].read(text, str(found))


def _head(path: Path) -> str:
    head = b""
    # In small pieces, for of a file that is cut off the beginning still says what it was.
    with suppress(*BROKEN), open_packed(path) as file:
        while len(head) < _HEAD and (piece := file.read(64)):
            head += piece
    return head.decode(errors="replace")


def write(history: History, path: Path, format: str) -> None:
    """Write ``history`` to ``path``, which must not exist. Raises :class:`BadInput` for what the
    format cannot say; nothing is written then."""
    chosen = require_format(format)
    if chosen.realtime and not history.realtime:
        orderless = ", ".join(name for name, one in FORMATS.items() if not one.realtime)
        raise BadInput(
            [
                Problem(
                    f"a history whose sessions have no order in time, and {format} implies one",
                    f"a format without time: {orderless}",
                    "choose one of them",
                )
            ]
        )
    lines = chosen.write(history)
    try:
        with path.open("x", encoding="utf-8") as file:
            file.writelines(lines)
    except FileExistsError as error:
        raise BadInput(
            [Problem(f"{path} exists already", "a new file", "name another, or remove it")]
        ) from error
    except OSError as error:
        raise BadInput([Problem(f"{path}: {error}", "a file to write", "name another")]) from error
