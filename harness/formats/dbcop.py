"""The JSON of dbcop (OOPSLA 2019; github.com/rnbguy/dbcop, docs/history-format.md there).

A history is an array of sessions, a session one of transactions, ``{"events": [...], "committed":
true}``. An event is ``{"Read": {"variable": 0, "version": null}}`` or a ``Write``, or in short
``["r", 0, null]``. The command of dbcop puts an object around it, whose ``data`` are the sessions.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import msgspec
import numpy as np

from harness.core.errors import BadInput, Problem
from harness.core.history import History, stable_order
from harness.formats.rows import PROBLEMS_MAX, Trouble, refuse
from harness.formats.sessions import (
    ABORTED,
    INITIAL,
    NUMBER_MAX,
    Accesses,
    accesses_of,
    session_history,
)

__all__ = ["HEAD", "read_dbcop", "write_dbcop"]

HEAD = re.compile(
    r'\s*(\{\s*"params"\s*:|\[\s*(\[\s*\]\s*,\s*)*\[\s*\{\s*"(events|committed)"\s*:)'
)
_BYTE = re.compile(r" \(byte (\d+)\)$")
_NEEDED = "sessions of transactions, as dbcop writes them"
_EVENT = "a Read or Write of a variable and a version, numbers from 0 to 2^63 - 1 (read: or null)"


class _Transaction(msgspec.Struct):
    events: list[Any]
    committed: bool


class _Generated(msgspec.Struct):
    data: list[list[_Transaction]]


def read_dbcop(text: str, source: str) -> History:
    """The history in ``text``. Raises :class:`BadInput`: naming line and column where it is no
    JSON, and session, transaction and event where these are something else. O(n)."""
    rows, problems = [], []
    number = 0
    for place, session in enumerate(_sessions(text, source)):
        for at, transaction in enumerate(session):
            for nth, event in enumerate(transaction.events):
                row = _row(event)
                if row is None:
                    where = f"session {place}, transaction {at}, event {nth}"
                    shown = msgspec.json.encode(event).decode()[:80]
                    found = f"{source}: {where}: {shown}"
                    problems.append(Problem(found, _EVENT, "correct the program that wrote it"))
                else:
                    rows.append((*row, place, number if transaction.committed else ABORTED))
            number += 1
    if problems:
        raise BadInput(problems[:PROBLEMS_MAX])
    write, key, value, sessions, transactions = np.array(rows, dtype=np.int64).reshape(-1, 5).T
    return session_history(
        Accesses(
            write=write.astype(bool),
            key=key,
            value=value,
            session=sessions,
            transaction=transactions,
        ),
        source,
    )


def _sessions(text: str, source: str) -> list[list[_Transaction]]:
    try:
        if text.lstrip()[:1] == "{":
            return msgspec.json.decode(text, type=_Generated).data
        return msgspec.json.decode(text, type=list[list[_Transaction]])
    except msgspec.ValidationError as error:
        problem = Problem(f"{source}: {error}", _NEEDED, "correct the program that wrote it")
        raise BadInput([problem]) from error
    except (msgspec.DecodeError, RecursionError) as error:
        match = _BYTE.search(str(error))
        offset = len(text.encode()[: int(match[1])].decode(errors="ignore")) if match else len(text)
        raise refuse(source, text, [Trouble(offset, str(error), "JSON")]) from error


def _row(event: Any) -> tuple[bool, int, int] | None:
    """Whether it writes, the key and the value."""
    if isinstance(event, dict) and len(event) == 1:
        ((kind, fields),) = event.items()
        if not isinstance(fields, dict) or fields.keys() - {"variable", "version"}:
            return None
        event = [
            {"Read": "r", "Write": "w"}.get(kind),
            fields.get("variable"),
            fields.get("version"),
        ]
    if not isinstance(event, list) or len(event) != 3 or event[0] not in ("r", "w"):
        return None
    kind, key, value = event
    initial = kind == "r" and value is None
    if not _is_number(key) or not (initial or _is_number(value)):
        return None
    return kind == "w", key, INITIAL if initial else value


def _is_number(value: Any) -> bool:
    return type(value) is int and 0 <= value <= NUMBER_MAX


def write_dbcop(history: History) -> Iterator[str]:
    """Lines of JSON, one a transaction. Raises :class:`BadInput` for what they cannot say."""
    accesses = accesses_of(history, unread=INITIAL)
    return _lines(accesses.select(stable_order(accesses.session)))


def _lines(accesses: Accesses) -> Iterator[str]:
    columns = (
        *(accesses.write, accesses.key, accesses.value, accesses.session, accesses.transaction),
    )
    events: list[str] = []
    before: tuple[int, int] | None = None
    yield "["
    for write, key, value, session, transaction in zip(
        *(column.tolist() for column in columns), strict=True
    ):
        if before is not None and (before != (session, transaction) or transaction == ABORTED):
            yield _transaction(events, before[1])
            yield "],\n[" if before[0] != session else ",\n"
            events.clear()
        elif before is None:
            yield "["
        before = session, transaction
        version = "null" if value == INITIAL else value
        name = "Write" if write else "Read"
        events.append(f'{{"{name}":{{"variable":{key},"version":{version}}}}}')
    if before is not None:
        yield _transaction(events, before[1]) + "]"
    yield "]\n"


def _transaction(events: list[str], number: int) -> str:
    committed = "false" if number == ABORTED else "true"
    return f'{{"events":[{",".join(events)}],"committed":{committed}}}'
