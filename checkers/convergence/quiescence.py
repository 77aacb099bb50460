"""Which reads are final: those that all replicas must answer alike.

Eventual consistency says: once updates stop and messages arrive, all replicas answer alike (Vogels,
"Eventually Consistent", CACM 2009). No finite history refutes that without a word on when messages
have arrived. So this module says when a key is *at rest*: after the last of its updates has ended
(acknowledged, or given up), and after every fault has been healed, and a time to settle has passed.
A read that begins then is *quiescent*; the last one of each replica is its *final* read. Where a
workload marks its final reads by a function of their own (``final-read``), its word is taken, as
long as they began after the last update of their key had ended.

An update that was given up (``info``) may take effect late. At rest means that it has done so, or
never will (``indeterminate=settled``); who does not want to assume that, says
``indeterminate=open``, and differences that such an update may explain are then no anomaly. An
update that nobody gave up keeps its key open in any case.

A *replica* is the node that was asked, where events name one, and else the process: a process (or a
node) is taken to speak for one replica, whose knowledge only grows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from checkers.convergence.findings import Unsupported, option
from harness.core.contracts import CheckContext
from harness.core.fault import FaultInterval
from harness.core.history import NEVER, History
from harness.core.operation import Type
from harness.core.options import Option

__all__ = [
    "OPTIONS",
    "Quiescence",
    "ends_of",
    "known_quiescence",
    "queries",
    "quiescence",
    "reads_of",
    "replicas",
    "rows_of",
    "why_unread",
]

Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

_FINAL = Option(
    name="final-reads",
    default="auto",
    choices=("auto", "quiescent", "marked"),
    summary="final reads are those at rest, or those of final-function (auto: if there are any)",
)
_FUNCTION = Option(
    name="final-function", default="final-read", summary="the function of marked final reads"
)
_SETTLE = Option(
    name="settle-ms",
    default=0,
    minimum=0,
    summary="how long after the last update and fault replicas may take to converge",
)
_INDETERMINATE = Option(
    name="indeterminate",
    default="settled",
    choices=("settled", "open"),
    summary="whether updates that were given up have taken effect by the final reads, or may later",
)
OPTIONS = (_FINAL, _FUNCTION, _SETTLE, _INDETERMINATE)
"""The options that every checker with final reads has."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Quiescence:
    """``at_rest`` (``bool[n]``): successful reads that began when their key was at rest. ``final``
    (``int64[..]``, ascending): rows of the last of these for each replica and query. ``since``
    (``int64[keys]``): when each key came to rest (``NEVER``: it did not). ``settled``
    (``bool[keys]``): no update of it may still take effect. ``replica`` (``int64[n]``): who
    answered. ``why``: what keeps all keys from rest, if anything does."""

    at_rest: Bools
    final: Ints
    since: Ints
    settled: Bools
    replica: Ints
    why: str = ""

    def of(self, key: int, history: History) -> Ints:
        """The final reads of a key."""
        rows: Ints = self.final[history.operations.key[self.final] == key]
        return rows


def rows_of(history: History, *names: str) -> Bools:
    """The operations of these functions, ``bool[n]``."""
    codes = [code for code, name in enumerate(history.functions) if name in names]
    return np.isin(history.operations.f, codes)


def reads_of(history: History, context: CheckContext, *names: str) -> Bools:
    """The successful reads: of ``names``, and of the function that marks final ones."""
    marked = str(option(context, _FUNCTION))
    succeeded: Bools = history.operations.outcome == Type.OK
    return succeeded & rows_of(history, *(names or ("read",)), marked)


def replicas(history: History) -> Ints:
    """Who answers each operation, ``int64[n]``: a code of ``history.nodes``, or a process above
    them. Without real time, only processes say what came before what."""
    operations = history.operations
    process = operations.process + len(history.nodes)
    if not history.realtime:
        return process
    return np.where(operations.node > 0, operations.node, process)


def quiescence(history: History, context: CheckContext, reads: Bools, updates: Bools) -> Quiescence:
    """When each key came to rest, and its final reads. ``reads`` are the successful ones,
    ``updates`` those that did not fail. Raises :class:`Unsupported`. O(n log n)."""
    operations = history.operations
    mode = option(context, _FINAL)
    marks = rows_of(history, str(option(context, _FUNCTION)))
    marked = mode == "marked" or (mode == "auto" and bool(marks.any()))
    if not history.realtime and not marked:
        raise Unsupported(
            "the history does not say what happened before what in real time, and marks no reads "
            "as final"
        )
    since, never_given_up, why = _rest(history, context, updates)
    doubtful = operations.outcome == Type.INFO
    if option(context, _INDETERMINATE) == "settled":
        doubtful = doubtful & never_given_up
    settled = np.ones(len(history.keys), dtype=bool)
    settled[operations.key[updates & doubtful]] = False
    if marked:
        why = ""
        since = _ended(history, updates)
        # A mark on a read that began too early says nothing.
        at_rest = (
            reads & marks & ((operations.call > since[operations.key]) | (not history.realtime))
        )
    else:
        at_rest = reads & (operations.call > since[operations.key])
    replica = replicas(history)
    return Quiescence(
        at_rest=at_rest,
        final=_last(history, np.flatnonzero(at_rest), replica),
        since=since,
        settled=settled,
        replica=replica,
        why=why,
    )


def known_quiescence(
    history: History, context: CheckContext, reads: Bools, updates: Bools
) -> Quiescence | None:
    """As :func:`quiescence`; None where the history does not tell."""
    try:
        return quiescence(history, context, reads, updates)
    except Unsupported:
        return None


def why_unread(rest: Quiescence | None) -> str | None:
    """What keeps reads from being final: None if the history does not tell."""
    return None if rest is None else rest.why


def _rest(history: History, context: CheckContext, updates: Bools) -> tuple[Ints, Bools, str]:
    """Since when each key is at rest; which operations nobody has given up; and why not all are."""
    since = _ended(history, updates)
    healed, why = _healed(context.faults)
    settle = int(option(context, _SETTLE))  # type: ignore[arg-type]  # its default is an integer
    since = np.maximum(since, healed)
    since = np.where(since < NEVER, since + settle * 1_000_000, since)
    return since, history.operations.completion < 0, why


def _ended(history: History, updates: Bools) -> Ints:
    """When the last of the ``updates`` of each key was over, or given up; -1 without any."""
    operations = history.operations
    last = np.where(operations.completion < 0, operations.invocation, operations.completion)
    ended = np.full(len(history.keys), -1, dtype=np.int64)
    np.maximum.at(ended, operations.key[updates], history.time[last[updates]])
    return ended


def _healed(faults: Sequence[FaultInterval]) -> tuple[int, str]:
    unhealed = [interval for interval in faults if interval.end_ns is None]
    if unhealed:
        fault = unhealed[0].fault
        name = f"fault {fault.number} ({fault.nemesis} {fault.target})".replace(" )", ")")
        return int(NEVER), f"{name} was never proven healed"
    ends = [interval.end_ns for interval in faults if interval.end_ns is not None]
    return max(ends, default=-1), ""


def queries(history: History) -> tuple[Ints, ...]:
    """Columns that tell queries apart: key, argument, and function if there is an argument (reads
    of whole objects are one query, by whatever function they are asked for)."""
    operations = history.operations
    function = np.where(operations.argument == 0, -1, operations.f)
    return operations.key, operations.argument, function


def _last(history: History, rows: Ints, replica: Ints) -> Ints:
    """Of ``rows``, the last one of each replica and query."""
    columns = (replica[rows], *(column[rows] for column in queries(history)))
    order = np.lexsort((history.operations.call[rows], *columns))
    return np.sort(rows[order[ends_of(*(column[order] for column in columns))]])


def ends_of(*columns: Ints) -> Bools:
    """Which rows are the last of a run of equal rows; ``bool[n]``."""
    ends = np.zeros(len(columns[0]), dtype=bool)
    for column in columns:
        ends[:-1] |= column[1:] != column[:-1]
    ends[-1:] = True
    return ends
