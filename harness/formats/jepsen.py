"""Jepsen's histories: one EDN map an event, in a vector or list or one after another.

Values of ``independent`` become a key and a value, if they are tagged, or if every value of a
client is a pair and the invocations of reads are too (as Jepsen prints them without tags).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from harness.core.history import History
from harness.core.operation import NEMESIS, Event
from harness.formats.columns import Unusual, jepsen_history
from harness.formats.edn import Keyword, Tuple, show
from harness.formats.edn_events import plain_lines, read_maps
from harness.formats.edn_lines import tokenize_lines
from harness.formats.rows import Row, assemble
from harness.formats.tokens import tokenize

__all__ = ["load_jepsen", "read_jepsen", "write_jepsen"]


def load_jepsen(path: Path) -> History:
    """The history in the file at ``path``. Raises :class:`Unusual` for what :func:`read_jepsen`
    must read, and :class:`BadInput`. O(n log n)."""
    return jepsen_history(tokenize(path, "edn", plain_lines), str(path), independent=True)


def read_jepsen(text: str, source: str) -> History:
    """The history in ``text``. Raises :class:`BadInput` naming line and column."""
    try:
        return jepsen_history(tokenize_lines(text), source, independent=True)
    except Unusual:
        return assemble(_independent(read_maps(text, source)), source, text)


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
