"""Jepsen's histories: one EDN map an event, in a vector or list or one after another.

Values of ``independent`` become a key and a value, if they are tagged, or if every value of a
client is a pair and the invocations of reads are too (as Jepsen prints them without tags).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from harness.core.history import History
from harness.core.operation import NEMESIS, Event
from harness.formats.edn import EdnError, Keyword, Map, Tuple, forms, show
from harness.formats.rows import Row, Trouble, assemble, refuse

__all__ = ["read_jepsen", "read_maps", "write_jepsen"]

_INTEGER_MAX = 1 << 62


def read_jepsen(text: str, source: str) -> History:
    """The history in ``text``. Raises :class:`BadInput` naming line and column."""
    return assemble(_independent(read_maps(text, source)), source, text)


def read_maps(text: str, source: str) -> list[Row]:
    """The events in ``text``, each an EDN map; ``:key`` is the key of the event."""
    rows, troubles = [], []
    try:
        for form in _maps(text):
            row = _row(form)
            if isinstance(row, Trouble):
                troubles.append(row)
            else:
                rows.append(row)
    except EdnError as error:
        troubles.append(Trouble(error.offset, error.found, error.needed))
    if troubles:
        raise refuse(source, text, troubles)
    return rows


def _maps(text: str) -> Iterator[Map]:
    for form in forms(text):
        for one in form if isinstance(form, list) else (form,):
            if not isinstance(one, Map):
                raise EdnError(0, f"{show(one)[:40]} among the events", "a map for each event")
            yield one


def _row(form: Map) -> Row | Trouble:
    process: Any = form.get("process")
    kind, f = form.get("type"), form.get("f")
    if process != NEMESIS and not _natural(process):
        return Trouble(form.offset, f"process {show(process)}", "a whole number, or :nemesis")
    if not isinstance(kind, str) or not isinstance(f, str):
        return Trouble(form.offset, f"type {show(kind)}, f {show(f)}", ":type and :f, keywords")
    for name in ("time", "index"):
        if form.get(name) is not None and not _natural(form[name]):
            return Trouble(form.offset, f"{name} {show(form[name])}", "a whole number from 0")
    return Row(
        process=NEMESIS if process == NEMESIS else process,
        type=str(kind),
        f=str(f),
        key=_plain(form.get("key")),
        value=_plain(form.get("value")),
        error=_plain(form.get("error")),
        time=form.get("time"),
        index=form.get("index"),
        offset=form.offset,
    )


def _natural(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < _INTEGER_MAX


def _plain(value: Any) -> Any:
    """``value`` in the types of JSON, but for tuples of ``independent``."""
    if isinstance(value, Tuple):
        return Tuple(_plain(value.key), _plain(value.value))
    if isinstance(value, list):
        return [_plain(one) for one in value]
    if isinstance(value, dict):
        return {str(name): _plain(one) for name, one in value.items()}
    return str(value) if isinstance(value, Keyword) else value


def _independent(rows: Sequence[Row]) -> list[Row]:
    clients = [row for row in rows if row.process != NEMESIS]
    tagged = any(isinstance(row.value, Tuple) for row in clients)
    reads = [row for row in clients if row.f == "read" and row.type == "invoke"]
    untagged = (
        bool(reads)
        and all(isinstance(row.value, list) and len(row.value) == 2 for row in clients)
        and all(row.value[1] is None for row in reads)
    )
    if not tagged and not untagged:
        return list(rows)
    return [_keyed(row) if tagged or row.process != NEMESIS else row for row in rows]


def _keyed(row: Row) -> Row:
    if not isinstance(row.value, (list, Tuple)) or len(row.value) != 2:
        return row
    if isinstance(row.value, list) and row.process == NEMESIS:
        return row
    key, value = row.value
    return Row(
        process=row.process,
        type=row.type,
        f=row.f,
        key=key,
        value=value,
        error=row.error,
        time=row.time,
        index=row.index,
        offset=row.offset,
    )


def write_jepsen(history: History) -> Iterator[str]:
    """Lines of EDN, one an event."""
    return (_line(event) for event in history.events())


def _line(event: Event) -> str:
    process = Keyword(NEMESIS) if event.process == NEMESIS else event.process
    value = event.value if event.key is None else Tuple(event.key, event.value)
    fields: dict[str, Any] = {
        "index": event.index,
        "time": event.time,
        "process": process,
        "type": Keyword(event.type),
        "f": Keyword(event.f),
        "value": value,
    }
    if event.error is not None:
        fields["error"] = event.error
    return show(fields) + "\n"
