"""Locks: never more holders than permits, tokens that only grow, and no write by a past holder.

Reads ``acquire`` (``-> token``, an integer or ``{"token": t}``, where the lock gives fencing
tokens; ``-> false``: not acquired), ``release``, and ``write {"token": t, ...}`` to what the lock
protects. With the option ``permits`` above 1 it is a semaphore, and the argument of ``acquire`` and
``release`` is how many permits (``null``: 1). Each key is a lock of its own; its holder is a
process.

- *mutual-exclusion*: a process certainly holds the lock from the return of its ``acquire`` to the
  invocation of its ``release``; where more hold at an instant than there are permits, it is broken.
  A release that failed released nothing. A process that ends with an operation of unknown outcome
  is gone, and its lock may be freed: its hold ends when that operation was invoked. With the option
  ``lease-s``, a hold ends that long after its ``acquire`` was invoked: earlier than it may really
  end, never later.
- *token-order*: a token that is not greater than that of an ``acquire`` that had returned before.
- *stale-token*: a write accepted although one with a greater token had been accepted before it
  began (M. Kleppmann, "How to do distributed locking", 2016). This must hold even where leases run
  out, which is what the tokens are for.

>>> # process 0: acquire ok at 1 ms     process 1: acquire ok at 3 ms     invalid: mutual-exclusion
"""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

from checkers.invariants.facts import Bools, Facts, Ints, setting
from checkers.invariants.findings import Findings, vacuous
from checkers.invariants.holds import Holds, granted, holds
from harness.core.contracts import CheckContext
from harness.core.history import NEVER, History
from harness.core.options import Option
from harness.core.verdict import Anomaly, Verdict

__all__ = ["Lock"]


class Lock:
    """Sweeps over certain holds, and compares tokens in real time. O(n log n)."""

    name: ClassVar[str] = "lock"
    summary: ClassVar[str] = "never more holders than permits; fencing tokens grow and are heeded"
    options: ClassVar[tuple[Option, ...]] = (
        Option(name="permits", default=1, minimum=1, summary="how many may hold it at a time"),
        Option(
            name="lease-s",
            default=0.0,
            minimum=0.0,
            maximum=1e9,
            summary="seconds after which the lock takes itself back; 0: never",
        ),
    )
    judges: ClassVar[frozenset[str]] = frozenset()

    def check(self, history: History, context: CheckContext) -> Verdict:
        """Invalid with the holders, or the two tokens; unknown if nobody acquired it."""
        facts = Facts(history)
        findings = Findings(facts)
        permits = int(setting(self, context, "permits"))  # type: ignore[arg-type]  # a number
        lease_s = float(setting(self, context, "lease-s"))  # type: ignore[arg-type]
        acquired, written = granted(facts), facts.rows("write")
        if not history.realtime:
            findings.doubt("no-real-time", "The history has no real time: nothing shows overlap.")
            return findings.verdict(self.name, "")
        found = holds(facts, permits=permits, lease_ns=round(lease_s * 1e9))
        _exclusion(facts, found, permits, findings)
        tokens, issued = _tokens(facts, acquired)
        _token_order(facts, acquired[issued], tokens, findings)
        stamps, stamped = _tokens(facts, written, arguments=True)
        _stale_tokens(facts, written[stamped], stamps, findings)
        if issued.any() and stamped.any():
            findings.malformed(written[~stamped], "a write with a token")
        findings.malformed(acquired[~issued] if issued.any() else acquired[:0], "a token")
        findings.details.update(
            acquired=len(acquired),
            certain_holds=len(found.row),
            tokens=int(issued.sum()),
            fenced_writes=int(stamped.sum()),
        )
        if len(acquired) < 2:
            return vacuous(findings, self.name, "The lock was not acquired twice.")
        return findings.verdict(
            self.name,
            f"{len(acquired):,} acquisitions, and never more than {permits} at a time."
            if permits > 1
            else f"{len(acquired):,} acquisitions, and never two at a time.",
        )


def _exclusion(facts: Facts, found: Holds, permits: int, findings: Findings) -> None:
    """Count the holders as holds begin and end; where both happen at once, ends come first."""
    if not len(found.row):
        return
    time = np.concatenate([found.start, found.end])
    begins = np.repeat([True, False], len(found.row))
    key = np.concatenate([found.key, found.key])
    order = np.lexsort((begins, time, key))
    held = np.cumsum(np.where(begins[order], 1, -1))  # every key ends with none
    over = order[(held > permits) & begins[order]]
    findings.add(
        "mutual-exclusion",
        len(over),
        (_crowd(facts, found, permits, int(at)) for at in over.tolist()),
    )


def _crowd(facts: Facts, found: Holds, permits: int, at: int) -> Anomaly:
    """The hold ``at`` began while others filled the lock."""
    now = int(found.start[at])
    there = (found.key == found.key[at]) & (found.start <= now) & (found.end > now)
    others = np.flatnonzero(there)
    others = others[others != at]
    # Those that hold longest are the clearest.
    others = others[np.argsort(-found.end[others], kind="stable")][:permits]
    rows, freed = [found.row[at], *found.row[others]], [found.release[at], *found.release[others]]
    who, first = facts.process(int(found.row[at]), start=True), int(others[0])
    until = int(found.end[first])
    ends = "and never gave it back" if until >= NEVER else f"until {facts.moment(until)} at least"
    most = (
        f"{facts.process(int(found.row[first]))} held it since "
        f"{facts.moment(int(found.start[first]))} {ends}"
        if permits == 1
        else f"all {permits} permits were held"
    )
    return facts.anomaly(
        "mutual-exclusion",
        f"{who} acquired the lock{facts.on(int(found.row[at]))} by {facts.moment(now)}, while "
        f"{most}.",
        [*rows, *(row for row in freed if row >= 0)],
        key=facts.key(int(found.row[at])),
    )


def _tokens(facts: Facts, rows: Ints, *, arguments: bool = False) -> tuple[Ints, Bools]:
    """The tokens, and which of ``rows`` have one."""
    if arguments:
        tokens = [_token(value, bare=False) for value in facts.arguments(rows)]
    else:
        # A number that merely repeats the argument is an echo.
        echo = facts.operations.result[rows] == facts.operations.argument[rows]
        tokens = [
            _token(value, bare=not same)
            for value, same in zip(facts.results(rows), echo.tolist(), strict=True)
        ]
    has = np.array([token is not None for token in tokens], dtype=bool)
    return np.array([token for token in tokens if token is not None], dtype=np.int64), has


def _token(value: Any, *, bare: bool) -> int | None:
    if isinstance(value, dict):
        value = value.get("token")
    elif not bare:
        return None
    fits = isinstance(value, int) and not isinstance(value, bool) and abs(value) < 1 << 62
    return value if fits else None


def _token_order(facts: Facts, rows: Ints, tokens: Ints, findings: Findings) -> None:
    before = _greatest_before(facts, rows, tokens)
    wrong = np.flatnonzero((before >= 0) & (tokens[before] >= tokens))
    pairs = {(int(before[at]), at) for at in wrong.tolist()}
    pairs |= _equals(facts, rows, tokens)
    ordered = sorted(pairs, key=lambda pair: (pair[1], pair[0]))
    findings.add(
        "token-order",
        len(ordered),
        (
            facts.anomaly(
                "token-order",
                f"{facts.process(int(rows[at]), start=True)} acquired the lock"
                f"{facts.on(int(rows[at]))} with token {tokens[at]}, but "
                f"{facts.process(int(rows[first]))} had token {tokens[first]}"
                f" (by {facts.returned(int(rows[first]))}).",
                (int(rows[first]), int(rows[at])),
                key=facts.key(int(rows[at])),
            )
            for first, at in ordered
        ),
    )


def _equals(facts: Facts, rows: Ints, tokens: Ints) -> set[tuple[int, int]]:
    """Pairs of acquisitions with the same token, whenever they were."""
    key = facts.operations.key[rows]
    order = np.lexsort((tokens, key))
    one, other = order[:-1], order[1:]
    same = (key[one] == key[other]) & (tokens[one] == tokens[other])
    return {(int(a), int(b)) for a, b in zip(one[same], other[same], strict=True)}


def _stale_tokens(facts: Facts, rows: Ints, tokens: Ints, findings: Findings) -> None:
    before = _greatest_before(facts, rows, tokens)
    wrong = np.flatnonzero((before >= 0) & (tokens[before] > tokens))
    findings.add(
        "stale-token",
        len(wrong),
        (
            facts.anomaly(
                "stale-token",
                f"A write of {facts.process(int(rows[at]))} with token {tokens[at]} was accepted "
                f"(by {facts.returned(int(rows[at]))}){facts.on(int(rows[at]))} after one of "
                f"{facts.process(int(rows[before[at]]))} with token {tokens[before[at]]} (by "
                f"{facts.returned(int(rows[before[at]]))}).",
                (int(rows[before[at]]), int(rows[at])),
                key=facts.key(int(rows[at])),
            )
            for at in wrong.tolist()
        ),
    )


def _greatest_before(facts: Facts, rows: Ints, tokens: Ints) -> Ints:
    """For each of ``rows`` the position of the greatest token that had returned before it was
    invoked, on its key; -1 if there is none."""
    operations = facts.operations
    count = len(rows)
    key = np.unique(operations.key[rows], return_inverse=True)[1]
    by_token = np.argsort(tokens, kind="stable")
    rank = np.empty(count, dtype=np.int64)
    rank[by_token] = np.arange(count)
    # One walk over the beginnings and ends on each key; at one instant beginnings come first, for
    # what touches is concurrent. Keys lie above each other, so that one running maximum serves all.
    time = np.concatenate([operations.call[rows], operations.ret[rows]])
    ends = np.repeat([False, True], count)
    floor = np.concatenate([key, key]) * (count + 1)
    order = np.lexsort((ends, time, floor))
    height = floor + np.where(ends, np.concatenate([rank, rank]) + 1, 0)
    best = np.empty(2 * count, dtype=np.int64)
    best[order] = np.maximum.accumulate(height[order]) if count else height
    above = best[:count] - floor[:count] - 1
    return np.where(above >= 0, np.append(by_token, 0)[above], -1)
