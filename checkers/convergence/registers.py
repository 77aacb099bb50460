"""Writes and reads of replicated registers, with their values as codes.

Shared by :mod:`.lww_register` and :mod:`.mv_register`. A value that several operations write is one
value: whichever of them may have written it explains it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from checkers.convergence.findings import Bools, Findings, Ints, show
from harness.core.history import NEVER, History

__all__ = ["groups_of", "phantoms", "written_from"]


def groups_of(history: History, rows: Ints) -> Iterator[Ints]:
    """``rows`` by key, each group ascending."""
    key = history.operations.key[rows]
    order = np.argsort(key, kind="stable")
    if len(rows):
        yield from np.split(rows[order], np.flatnonzero(np.diff(key[order])) + 1)


def written_from(history: History, writes: Ints, codes: Ints, count: int) -> Ints:
    """When each of ``count`` values was first written, ``int64[count]``; ``NEVER`` if nobody did.
    ``codes`` are the values of ``writes``."""
    since = np.full(count, NEVER)
    np.minimum.at(since, codes, history.operations.call[writes])
    return since


@dataclass(frozen=True, slots=True, kw_only=True)
class _Phantom:
    row: int
    value: object
    since: int
    failed: int


def phantoms(
    findings: Findings,
    *,
    rows: Ints,
    codes: Ints,
    since: Ints,
    values: list[object],
    failed: dict[int, int],
    too_early: Bools | None = None,
) -> None:
    """Reports reads (``rows``) of values (``codes``) that nobody had begun to write by then.
    ``since`` is when each value was first written, ``failed`` a failed write of it; ``too_early``
    are reads that came before for another reason."""
    history = findings.history
    early = since[codes] == NEVER
    if too_early is not None:
        early = early | too_early
    if history.realtime:
        early = early | (history.operations.ret[rows] < since[codes])
    for row, code in zip(rows[early].tolist(), codes[early].tolist(), strict=True):
        _report(
            findings,
            _Phantom(
                row=row,
                value=values[code],
                since=int(since[code]),
                failed=failed.get(code, -1) if since[code] == NEVER else -1,
            ),
        )


def _report(findings: Findings, found: _Phantom) -> None:
    why = "which nobody ever wrote"
    if found.failed >= 0:
        why = "which only a write that failed had tried to write"
    elif found.since < NEVER:
        why = f"which nobody began to write before {findings.at(found.since)}"
    findings.report(
        "phantom value",
        findings.key_of(found.row),
        lambda: (found.row, *((found.failed,) if found.failed >= 0 else ())),
        lambda: (
            f"{findings.who(found.row)} read {show(found.value)} by "
            f"{findings.returned(found.row)}, {why}."
        ),
        value=found.value,
    )
