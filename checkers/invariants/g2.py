"""G2: of two transactions that each found nothing and insert, at most one commits.

Reads ``insert [a, b]`` on a key, with an id on one side and ``null`` on the other (or any value),
or ``insert [key, [a, b]]`` without a key. The client looks for rows of that key in two tables by a
*predicate*, and inserts into one of them only if it found none. If both of two such transactions
commit, each missed what the other wrote: an anti-dependency cycle over predicates (Adya 1999,
4.2.3; Jepsen's ``tests.adya``). An insert of unknown outcome proves nothing.

>>> # insert [1, null] on key 5: ok        insert [null, 2] on key 5: ok      invalid: G2
"""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

from checkers.invariants.facts import Facts, codes_of, show, text_key
from checkers.invariants.findings import Findings, vacuous
from harness.core.contracts import CheckContext
from harness.core.history import History
from harness.core.operation import Type
from harness.core.options import Option
from harness.core.verdict import Anomaly, Verdict

__all__ = ["G2"]


class G2:
    """Finds keys with two successful inserts. O(n log n)."""

    name: ClassVar[str] = "g2"
    summary: ClassVar[str] = "of two inserts that each need the other to be absent, one commits"
    options: ClassVar[tuple[Option, ...]] = ()
    judges: ClassVar[frozenset[str]] = frozenset()

    def check(self, history: History, context: CheckContext) -> Verdict:
        """Invalid with both inserts; unknown if no key saw two that competed and one succeed."""
        facts = Facts(history)
        findings = Findings(facts)
        tried = facts.rows("insert", outcomes=Type)
        names = [
            _key(facts.key(row), argument)
            for row, argument in zip(tried.tolist(), facts.arguments(tried), strict=True)
        ]
        keyed = np.array([name is not None for name in names], dtype=bool)
        findings.malformed(tried[~keyed], "an insert with a key")
        tried = tried[keyed]
        key, keys = codes_of((name for name in names if name is not None), text_key)
        ok = history.operations.outcome[tried] == Type.OK
        order = np.argsort(key[ok], kind="stable")
        rows, held = tried[ok][order], key[ok][order]
        again = np.flatnonzero(held[1:] == held[:-1]) + 1
        findings.add(
            "G2",
            len(again),
            (
                _both(facts, int(rows[at - 1]), int(rows[at]), keys[int(held[at])])
                for at in again.tolist()
            ),
        )
        pairs = np.bincount(key, minlength=len(keys)) > 1
        committed = np.bincount(key[ok], minlength=len(keys))
        findings.details.update(
            keys=len(keys),
            competed=int(pairs.sum()),
            committed_once=int((committed == 1).sum()),
            committed_more=int((committed > 1).sum()),
        )
        if not (pairs & (committed > 0)).any():
            return vacuous(
                findings, self.name, "No two inserts competed for a key of which one committed."
            )
        return findings.verdict(
            self.name, f"At most one insert committed on each of {len(keys):,} keys."
        )


def _key(key: Any, argument: Any) -> Any:
    if key is None and isinstance(argument, list) and len(argument) == 2:
        return argument[0] if isinstance(argument[1], list) else None
    return key


def _both(facts: Facts, first: int, second: int, key: Any) -> Anomaly:
    one, other = facts.arguments(np.array([first, second]))
    return facts.anomaly(
        "G2",
        f"{facts.process(first, start=True)} inserted {show(one)} and {facts.process(second)} "
        f"inserted {show(other)} (key {show(key)}): each must have missed the row of the other.",
        (first, second),
        key=key,
    )
