"""The logs of Jepsen's first etcd tests, as they stand among Porcupine's test data.

``INFO  jepsen.util - 0 :invoke :cas [1 2]``: process, type, function and value, between tabs.
``nil`` means absent. A ``cas`` that failed certainly found another value, so it is ``ok`` here,
with the value ``false``. What timed out (``:info``) may have happened.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from harness.core.history import History
from harness.core.operation import NEMESIS, Event
from harness.formats.rows import Row, Trouble, assemble, refuse, require_sayable

__all__ = ["MARK", "read_etcd_log", "write_etcd_log"]

MARK = "jepsen.util - "
_LINE = re.compile(r"INFO +jepsen\.util - (\d{1,18}|:nemesis)\s+:(\w+)\s+:(\S+)\s+(\S.*?)\s*")
_INTEGER = re.compile(r"-?\d{1,4300}")  # Python reads no more digits
_PAIR = re.compile(r"\[(-?\d{1,4300}) (-?\d{1,4300})\]")
_FUNCTIONS = frozenset({"read", "write", "cas"})


def read_etcd_log(text: str, source: str) -> History:
    """The history in ``text``. Raises :class:`BadInput` naming line and column."""
    rows, troubles, offset = [], [], 0
    for line in text.splitlines(keepends=True):
        row = _row(line.rstrip("\n"), offset)
        if isinstance(row, Row):
            rows.append(row)
        elif row is not None:
            troubles.append(row)
        offset += len(line)
    if troubles:
        raise refuse(source, text, troubles)
    return assemble(rows, source, text)


def _row(line: str, offset: int) -> Row | Trouble | None:
    if not line.strip():
        return None
    match = _LINE.fullmatch(line)
    if match is None:
        return Trouble(offset, "another kind of line", f"INFO {MARK}PROCESS, :TYPE, :F and a value")
    who, kind, f, text = match.groups()
    if who == ":nemesis":
        return Row(process=NEMESIS, type=kind, f=f, value=text, offset=offset)
    value = _value(text)
    if f not in _FUNCTIONS or (value is text and text != ":timed-out"):
        return Trouble(offset, f":{f} {text}", "read, write or cas, with nil, a number or [a b]")
    timed_out = text == ":timed-out"
    if kind == "fail" and f == "cas" and not timed_out:
        kind, value = "ok", False
    return Row(
        process=int(who),
        type=kind,
        f=f,
        value=None if timed_out else value,
        error="timed-out" if timed_out else None,
        offset=offset,
    )


def _value(text: str) -> Any:
    if text == "nil":
        return None
    if pair := _PAIR.fullmatch(text):
        return [int(pair[1]), int(pair[2])]
    return int(text) if _INTEGER.fullmatch(text) else text


def write_etcd_log(history: History) -> Iterator[str]:
    """Lines of the log. Raises :class:`BadInput` for what it cannot say: keys, other functions than
    ``read``, ``write`` and ``cas``, other values than integers, and a ``cas`` that failed without
    saying why."""
    require_sayable(
        history, _obstacle, "reads, writes and compare-and-sets of integers, on one register"
    )
    return (_line(event) for event in history.events())


def _obstacle(event: Event) -> str | None:
    if event.process == NEMESIS:
        if event.key is not None or event.error is not None:
            return "it has a key or an error"
        line = isinstance(event.value, str) and event.value.splitlines() == [event.value.strip()]
        return None if line and re.fullmatch(r"\S+", event.f) else "it is no line of text"
    if event.key is not None:
        return "it has a key"
    if event.f not in _FUNCTIONS:
        return "it is no read, write or cas"
    if event.type == "fail" and event.f == "cas" and event.error is None:
        return "a failed cas that may have found its value"
    shown = _shown(event)
    return None if _value(shown) != shown or shown == ":timed-out" else "its value is no integer"


def _shown(event: Event) -> str:
    value = event.value
    if event.type == "info" or (event.type == "fail" and event.error is not None):
        return ":timed-out"
    if isinstance(value, list) and len(value) == 2:
        return f"[{value[0]} {value[1]}]"
    if isinstance(value, bool):
        return "[0 0]" if value is False and event.f == "cas" else str(value)
    return "nil" if value is None else str(value)


def _line(event: Event) -> str:
    kind = event.type
    if event.f == "cas" and kind == "ok" and event.value is False:
        kind = "fail"
    who = ":nemesis" if event.process == NEMESIS else event.process
    return f"INFO  {MARK}{who}\t:{kind}\t:{event.f}\t{_shown(event)}\n"
