"""Insertions, deletions and reads of one replicated list, with its elements as codes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from checkers.convergence.elements import Elements, items_of
from checkers.convergence.findings import Bools, Findings, Ints, Unsupported, show
from harness.core.operation import Type

__all__ = ["Listed", "read_lists"]

_NOBODY = -1


@dataclass(frozen=True, slots=True, kw_only=True)
class Listed:
    """One key. Of each element: ``inserted``, the row of its insertion (-1: none that did not
    fail), ``after``, the element that it was put after (-1: not said), ``failed`` insertions;
    ``deleted`` and ``deleted_element``: deletions. ``lists``: what each of ``reads`` returned."""

    findings: Findings
    key: int
    elements: Elements
    inserted: Ints
    after: Ints
    failed: Ints
    deleted: Ints
    deleted_element: Ints
    reads: Ints
    lists: tuple[Ints, ...]


def read_lists(findings: Findings, rows: Ints, reads: Bools) -> Listed:
    """What the operations at ``rows`` (of one key) did and saw. Raises :class:`Unsupported`."""
    history = findings.history
    operations = history.operations
    failed = operations.outcome[rows] == Type.FAIL
    inserting = operations.f[rows] == history.function("insert")
    read = rows[reads[rows]]
    inserts = rows[inserting & ~failed]
    deletes = rows[~inserting & ~failed & ~reads[rows]]
    asked = [_insertion(history.values[code]) for code in operations.argument[inserts].tolist()]
    elements = Elements(())
    places = elements.codes([element for element, _ in asked])
    if len(np.unique(places)) < len(places):
        raise Unsupported("an element was inserted more than once: elements must be unique")
    after = elements.codes([element if after is None else after[0] for element, after in asked])
    failing = rows[inserting & failed]
    of_failed = elements.codes(
        [_insertion(history.values[code])[0] for code in operations.argument[failing].tolist()]
    )
    gone = elements.codes(
        [_deletion(history.values[code]) for code in operations.argument[deletes].tolist()]
    )
    found = {
        code: elements.codes(items_of(history.values[code]))
        for code in np.unique(operations.result[read]).tolist()
    }
    count = len(elements)
    columns = {name: np.full(count, _NOBODY, dtype=np.int64) for name in ("row", "after", "failed")}
    columns["row"][places] = inserts
    columns["after"][places] = np.where(after == places, _NOBODY, after)
    columns["failed"][of_failed] = failing
    return Listed(
        findings=findings,
        key=int(operations.key[rows[0]]),
        elements=elements,
        inserted=columns["row"],
        after=columns["after"],
        failed=columns["failed"],
        deleted=deletes,
        deleted_element=gone,
        reads=read,
        lists=tuple(found[code] for code in operations.result[read].tolist()),
    )


def _insertion(value: Any) -> tuple[Any, tuple[Any] | None]:
    """The element, and the one that it is put after, if that is said. Raises
    :class:`Unsupported`."""
    if isinstance(value, list | tuple) and len(value) == 2:
        return value[1], None
    if isinstance(value, dict) and "element" in value:
        after = value.get("after")
        return value["element"], None if after is None else (after,)
    raise Unsupported(
        f'the insertion {show(value)} is neither [position, element] nor {{"element": ...}}'
    )


def _deletion(value: Any) -> Any:
    return value["element"] if isinstance(value, dict) and "element" in value else value
