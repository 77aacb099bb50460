"""The text in which the tests of AWDIT (PLDI 2025) are written.

A line is a read or a write, ``r key value``; a line of ``-`` stands between transactions, and one
of ``=`` between sessions. Sessions are numbered from 0.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from harness.core.errors import BadInput, Problem
from harness.core.history import History, stable_order
from harness.formats.rows import Trouble, refuse
from harness.formats.sessions import (
    ABORTED,
    NUMBER_MAX,
    Accesses,
    accesses_of,
    load_accesses,
    session_history,
)

__all__ = ["LINE", "load_awdit", "read_awdit", "write_awdit"]

LINE = re.compile(r"([rw])[ \t\r]+(\d{1,19})[ \t\r]+(\d{1,19})|-+|=+", re.ASCII)
_NEEDED = "r KEY VALUE or w KEY VALUE (whole numbers from 0 to 2^63 - 1), -----, or ====="


def load_awdit(path: Path) -> History:
    """The history in the file at ``path``. Raises :class:`Unusual` for what :func:`read_awdit` must
    read. O(n log n)."""
    return session_history(load_accesses(path, 1), str(path))


def read_awdit(text: str, source: str) -> History:
    """The history in ``text``. Raises :class:`BadInput` naming line and column."""
    rows, troubles, offset = [], [], 0
    session = transaction = -1
    new_session = new_transaction = True
    for line in text.split("\n"):
        stripped = line.strip(" \t\r")
        match = LINE.fullmatch(stripped)
        if match is not None and match[1] is None:
            new_session |= stripped[0] == "="
            new_transaction = True
        elif match is not None and max(int(match[2]), int(match[3])) <= NUMBER_MAX:
            session += new_session
            transaction += new_transaction
            new_session = new_transaction = False
            rows.append((match[1] == "w", int(match[2]), int(match[3]), session, transaction))
        elif stripped:
            shown = repr(stripped if len(stripped) <= 40 else stripped[:40] + "...")
            troubles.append(Trouble(offset + line.index(stripped[0]), shown, _NEEDED))
        offset += len(line) + 1
    if troubles:
        raise refuse(source, text, troubles)
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


def write_awdit(history: History) -> Iterator[str]:
    """Lines of the text. Raises :class:`BadInput` for what they cannot say."""
    accesses = accesses_of(history)
    if (accesses.transaction == ABORTED).any():
        raise BadInput(
            [
                Problem(
                    "a transaction that failed, and would have written",
                    "transactions that are ok, in awdit-test",
                    "convert to plume-text",
                )
            ]
        )
    return _lines(accesses.select(stable_order(accesses.session)))


def _lines(accesses: Accesses) -> Iterator[str]:
    columns = (
        *(accesses.write, accesses.key, accesses.value, accesses.session, accesses.transaction),
    )
    before: tuple[int, int] | None = None
    for write, key, value, session, transaction in zip(
        *(column.tolist() for column in columns), strict=True
    ):
        if before is not None and session != before[0]:
            yield "=====\n"
        elif before is not None and transaction != before[1]:
            yield "-----\n"
        before = session, transaction
        yield f"{'w' if write else 'r'} {key} {value}\n"
