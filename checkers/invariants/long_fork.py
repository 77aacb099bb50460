"""Long fork: two readers that disagree about which of two writes came first.

Reads transactions that write one key (``[["w", k, v]]``, or ``write v`` on a key) and that read
several (``[["r", k1, v1], ["r", k2, null], ...]``); each key is written once. One read that saw the
write of x and not that of y puts x first, one that saw y and not x puts y first: the state forked.
Parallel snapshot isolation allows that, snapshot isolation does not (Sovran et al., SOSP 2011;
Jepsen's ``tests.long-fork``).

Reads of the same keys never disagree exactly if what they saw is a chain, each a part of the next.
Sorted by how much they saw, it is enough to compare neighbours: O(n log n), not all pairs of reads.
Reads of different keys with two or more in common are compared pair by pair of keys, and of what
they saw only each combination once.

- *long-fork*: two reads that order two writes differently.
- *unwritten-value*: a read of a value that nobody wrote to that key.

A cycle through three reads or more that no two of them make is not looked for here: the checkers of
transactions find it.

>>> # r x 1, r y null      and      r x null, r y 1                          invalid: long-fork
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from checkers.invariants.facts import Bools, Facts, Ints, show
from checkers.invariants.findings import Findings, vacuous
from checkers.invariants.microoperations import MicroOperations, micro_operations
from harness.core.contracts import CheckContext
from harness.core.history import History
from harness.core.options import Option
from harness.core.verdict import Anomaly, Verdict

__all__ = ["LongFork"]

_PAIRS_MAX = 3_000_000


class LongFork:
    """Finds pairs of reads that saw two writes in different orders."""

    name: ClassVar[str] = "long-fork"
    summary: ClassVar[str] = "no two reads order two writes differently"
    options: ClassVar[tuple[Option, ...]] = ()
    judges: ClassVar[frozenset[str]] = frozenset()

    def check(self, history: History, context: CheckContext) -> Verdict:
        """Invalid with both reads and both writes; unknown if no read of several keys saw one."""
        facts = Facts(history)
        findings = Findings(facts)
        columns = micro_operations(facts, findings)
        seen = _seen(facts, columns, findings)
        forks = _forks(seen, findings)
        findings.add("long-fork", len(forks), (_fork(facts, seen, *pair) for pair in forks))
        findings.details.update(reads=len(seen.reads), keys=len(columns.keys) - 1)
        if not len(seen.reads) or not seen.saw.any():
            return vacuous(findings, self.name, "No read of several keys saw a write.")
        return findings.verdict(
            self.name, f"All {len(seen.reads):,} reads of several keys order the writes alike."
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Seen:
    """What reads of two or more keys saw. ``reads`` are their rows (ascending); of each key that
    one read, ``read`` is its position in ``reads``, with ``key`` ascending within each, and
    whether it ``saw`` the write. ``writer`` is the row that wrote each key."""

    reads: Ints
    read: Ints
    key: Ints
    saw: Bools
    writer: Ints
    keys: tuple[Any, ...]


def _seen(facts: Facts, columns: MicroOperations, findings: Findings) -> _Seen:
    writes = np.flatnonzero(columns.write)
    count = np.bincount(columns.key[writes], minlength=len(columns.keys))
    writer = np.full(len(columns.keys), -1, dtype=np.int64)
    written = np.zeros(len(columns.keys), dtype=np.int64)
    writer[columns.key[writes]] = columns.row[writes]
    written[columns.key[writes]] = columns.value[writes]
    if (count > 1).any():
        findings.doubt(
            "repeated-writes",
            f"{int((count > 1).sum()):,} keys were written more than once: only keys that are "
            "written once can be told apart here.",
        )
    read = np.flatnonzero(~columns.write & (count[columns.key] <= 1))
    # What the transaction wrote itself it also sees; only reads of others tell an order.
    own = np.isin(columns.row[read], columns.row[writes])
    read = read[~own]
    key, value = columns.key[read], columns.value[read]
    strange = (value != 0) & (value != written[key])
    findings.add(
        "unwritten-value",
        int(strange.sum()),
        (_unwritten(facts, columns, int(at)) for at in read[strange].tolist()),
    )
    read, key, value = read[~strange], key[~strange], value[~strange]
    order = np.lexsort((key, columns.row[read]))
    row, key, value = columns.row[read][order], key[order], value[order]
    fresh = np.ones(len(row), dtype=bool)
    fresh[1:] = (row[1:] != row[:-1]) | (key[1:] != key[:-1])
    # A key read twice in one transaction counts once, as it was first seen.
    row, key, value = row[fresh], key[fresh], value[fresh]
    reads, place, size = np.unique(row, return_inverse=True, return_counts=True)
    several = size > 1
    kept = several[place]
    return _Seen(
        reads=reads[several],
        read=(np.cumsum(several) - 1)[place[kept]],
        key=key[kept],
        saw=value[kept] != 0,
        writer=writer,
        keys=columns.keys,
    )


def _forks(seen: _Seen, findings: Findings) -> list[tuple[int, int]]:
    """Pairs of positions in ``seen.reads`` that fork: one for each set of keys and place where its
    chain breaks, and one for each pair of keys across sets."""
    if not len(seen.reads):
        return []
    starts = np.flatnonzero(np.append(True, seen.read[1:] != seen.read[:-1]))
    ends = np.append(starts[1:], len(seen.read))
    groups: dict[bytes, list[int]] = {}
    for at, (start, end) in enumerate(zip(starts.tolist(), ends.tolist(), strict=True)):
        groups.setdefault(seen.key[start:end].tobytes(), []).append(at)
    forks: list[tuple[int, int]] = []
    distinct: list[int] = []
    for members in groups.values():
        if len(members) == 1:
            distinct += members
            continue
        rows = np.array(members, dtype=np.int64)
        width = int(ends[rows[0]] - starts[rows[0]])
        table = seen.saw[starts[rows][:, None] + np.arange(width)]
        order = np.argsort(table.sum(axis=1), kind="stable")
        rows, table = rows[order], table[order]
        breaks = np.flatnonzero((table[:-1] & ~table[1:]).any(axis=1))
        forks += [(int(rows[at]), int(rows[at + 1])) for at in breaks.tolist()]
        different = np.append(True, (table[1:] != table[:-1]).any(axis=1))
        distinct += rows[different].tolist()
    if len(groups) > 1:
        forks += _across(seen, starts, ends, distinct, findings)
    return forks


def _across(
    seen: _Seen, starts: Ints, ends: Ints, distinct: list[int], findings: Findings
) -> list[tuple[int, int]]:
    """Forks between reads of different sets of keys, by pairs of keys that two sets share."""
    # Only keys that several sets have can tell one set from another.
    sets = {seen.key[starts[at] : ends[at]].tobytes(): at for at in distinct}
    spans = [seen.key[starts[at] : ends[at]] for at in sets.values()]
    shared = np.bincount(np.concatenate(spans), minlength=len(seen.keys)) > 1
    width = np.add.reduceat(shared[seen.key].astype(np.int64), starts)[distinct]
    if int((width * width // 4).sum()) > _PAIRS_MAX:
        findings.doubt("budget", "Too many reads of different sets of keys to compare them all.")
        return []
    first: dict[tuple[int, int], list[int | None]] = {}
    for at in distinct:
        span = slice(int(starts[at]), int(ends[at]))
        saw, both = seen.saw[span], shared[seen.key[span]]
        there = seen.key[span][saw & both].tolist()
        absent = seen.key[span][~saw & both].tolist()
        for x in there:
            for y in absent:
                pair = (x, y) if x < y else (y, x)
                ways = first.setdefault(pair, [None, None])
                if ways[x > y] is None:
                    ways[x > y] = at
    pairs = ((min(a, b), max(a, b)) for a, b in first.values() if a is not None and b is not None)
    # Forks within one set of keys were found above.
    return [
        (a, b)
        for a, b in dict.fromkeys(pairs)
        if seen.key[starts[a] : ends[a]].tobytes() != seen.key[starts[b] : ends[b]].tobytes()
    ]


def _fork(facts: Facts, seen: _Seen, first: int, second: int) -> Anomaly:
    views = []
    for at in (first, second):
        span = slice(*np.searchsorted(seen.read, [at, at + 1]).tolist())
        views.append(dict(zip(seen.key[span].tolist(), seen.saw[span].tolist(), strict=True)))
    one, other = views
    x = next(key for key in one if one[key] and other.get(key) is False)
    y = next(key for key in one if other.get(key) and not one[key])
    a, b = int(seen.reads[first]), int(seen.reads[second])
    saw_x, saw_y = show(seen.keys[x]), show(seen.keys[y])
    return facts.anomaly(
        "long-fork",
        f"{facts.process(a, start=True)} saw the write of {saw_x} but not that of {saw_y} (at "
        f"{facts.returned(a)}), and {facts.process(b)} saw the write of {saw_y} but not that of "
        f"{saw_x} (at {facts.returned(b)}).",
        (a, b, int(seen.writer[x]), int(seen.writer[y])),
        keys=[seen.keys[x], seen.keys[y]],
    )


def _unwritten(facts: Facts, columns: MicroOperations, at: int) -> Anomaly:
    row, key = int(columns.row[at]), columns.keys[int(columns.key[at])]
    value = show(columns.values[int(columns.value[at])])
    return facts.anomaly(
        "unwritten-value",
        f"{facts.process(row, start=True)} read {value} from {show(key)}, which nobody wrote to "
        "it.",
        (row,),
        key=key,
    )
