"""Unique ids: no id is given out twice.

Reads ``generate -> id`` (any value but null; lists and objects are ids too). Where operations have
a key, each key is a generator of its own. An indeterminate ``generate`` gave nobody an id and is
left out. (Maelstrom's ``unique-ids``; Jepsen's ``checker/unique-ids``.)

>>> # process 0: generate -> 17      process 3: generate -> 17       invalid: duplicate-id
"""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

from checkers.invariants.facts import Facts, is_number, show
from checkers.invariants.findings import Findings, vacuous
from harness.core.contracts import CheckContext
from harness.core.history import History
from harness.core.operation import Type
from harness.core.options import Option
from harness.core.verdict import Anomaly, Verdict

__all__ = ["UniqueIds"]


class UniqueIds:
    """Finds ids that were given out twice. O(n log n)."""

    name: ClassVar[str] = "unique-ids"
    summary: ClassVar[str] = "no id is generated twice"
    options: ClassVar[tuple[Option, ...]] = ()
    judges: ClassVar[frozenset[str]] = frozenset()

    def check(self, history: History, context: CheckContext) -> Verdict:
        """Invalid with two operations that gave the same id; unknown if none gave any."""
        facts = Facts(history)
        findings = Findings(facts)
        operations = history.operations
        answered = facts.rows("generate")
        absent = operations.result[answered] == 0
        findings.malformed(answered[absent], "an id")
        rows = answered[~absent]
        order = np.lexsort((operations.result[rows], operations.key[rows]))
        rows = rows[order]
        same = np.zeros(len(rows), dtype=bool)
        same[1:] = operations.result[rows[1:]] == operations.result[rows[:-1]]
        same[1:] &= operations.key[rows[1:]] == operations.key[rows[:-1]]
        again = np.flatnonzero(same)
        findings.add(
            "duplicate-id",
            len(again),
            (_duplicate(facts, int(rows[at - 1]), int(rows[at])) for at in again.tolist()),
        )
        details = {
            "attempted": len(facts.rows("generate", outcomes=Type)),
            "acknowledged": len(answered),
            "range": _range(facts.results(rows)),
        }
        findings.details.update(details)
        if not len(rows):
            return vacuous(findings, self.name, "No id was generated.")
        return findings.verdict(self.name, f"All {len(rows):,} ids are different.")


def _duplicate(facts: Facts, first: int, second: int) -> Anomaly:
    first, second = sorted((first, second))
    value = facts.results(np.array([first]))[0]
    sentence = (
        f"{facts.process(first, start=True)} and {facts.process(second)} were both given the id "
        f"{show(value)}{facts.on(first)}."
        if facts.process(first) != facts.process(second)
        else f"{facts.process(first, start=True)} was given the id {show(value)} twice"
        f"{facts.on(first)}."
    )
    return facts.anomaly("duplicate-id", sentence, (first, second), key=facts.key(first), id=value)


def _range(ids: list[Any]) -> list[Any] | None:
    """The least and the greatest id, where all are numbers or all strings."""
    if ids and (all(map(is_number, ids)) or all(isinstance(one, str) for one in ids)):
        return [min(ids), max(ids)]
    return None
