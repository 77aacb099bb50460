"""The text of Plume (OOPSLA 2024) and PolySI (VLDB 2023); both convert histories of dbcop to it.

A line is a read or a write, ``r(key,value,session,transaction)``. What an aborted transaction wrote
has the transaction -1.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from harness.core.history import History
from harness.formats.rows import Trouble, refuse
from harness.formats.sessions import (
    ABORTED,
    NUMBER_MAX,
    Accesses,
    accesses_of,
    load_accesses,
    session_history,
)

__all__ = ["LINE", "load_plume", "read_plume", "write_plume"]

LINE = re.compile(r"([rw])\((\d{1,19}),(\d{1,19}),(-1|\d{1,19}),(-1|\d{1,19})\)", re.ASCII)
_NEEDED = "r(key,value,session,transaction) or w(...), whole numbers from 0 to 2^63 - 1"


def load_plume(path: Path) -> History:
    """The history in the file at ``path``. Raises :class:`Unusual` for what :func:`read_plume` must
    read. O(n log n)."""
    return session_history(load_accesses(path, 0), str(path))


def read_plume(text: str, source: str) -> History:
    """The history in ``text``. Raises :class:`BadInput` naming line and column."""
    rows, troubles, offset = [], [], 0
    for line in text.split("\n"):
        stripped = line.strip(" \t\r")
        match = LINE.fullmatch(stripped)
        row = None if match is None else (match[1] == "w", *map(int, match.groups()[1:]))
        if row is not None and _in_range(row):
            rows.append(row)
        elif stripped:
            troubles.append(Trouble(offset + line.index(stripped[0]), _shown(stripped), _NEEDED))
        offset += len(line) + 1
    if troubles:
        raise refuse(source, text, troubles)
    write, *numbers = np.array(rows, dtype=np.int64).reshape(-1, 5).T
    key, value, session, transaction = numbers
    return session_history(
        Accesses(
            write=write.astype(bool),
            key=key,
            value=value,
            session=session,
            transaction=transaction,
        ),
        source,
    )


def _in_range(row: tuple[int, ...]) -> bool:
    *_, session, transaction = row
    return max(row) <= NUMBER_MAX and (session >= 0 or transaction == ABORTED)


def _shown(line: str) -> str:
    return repr(line if len(line) <= 40 else line[:40] + "...")


def write_plume(history: History) -> Iterator[str]:
    """Lines of the text. Raises :class:`BadInput` for what they cannot say."""
    return _lines(accesses_of(history))


def _lines(accesses: Accesses) -> Iterator[str]:
    columns = (
        *(accesses.write, accesses.key, accesses.value, accesses.session, accesses.transaction),
    )
    for write, key, value, session, transaction in zip(
        *(column.tolist() for column in columns), strict=True
    ):
        yield f"{'w' if write else 'r'}({key},{value},{session},{transaction})\n"
