"""What a cycle of transactions says, for people: why each comes before the next, and so the first
before itself.

Transactions are called T1, T2 ... in the order of the cycle (:func:`labels`). Whoever inferred an
edge of ww, wr or rw says why it is there, in words that follow the name of the edge's *target*:
"appended 5 to x right after T1 appended 3". The edges of processes and of real time are worded
here; a walk through auxiliary vertices is one edge of real time.

>>> cycle_anomaly(transactions, dependencies, cycle, says).sentence  # doctest: +SKIP
'Read skew (G-single): T2 appended 5 to x, which T1 did not see; T1 read y [7] of T2. So T1 ...'
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import msgspec

from checkers.transactions.columns import LIST, Transactions
from checkers.transactions.cycles import Cycle
from checkers.transactions.dependencies import Dependencies, Edge
from harness.core.history import NEVER
from harness.core.operation import Type
from harness.core.verdict import Anomaly

__all__ = ["Says", "cycle_anomaly", "labels", "show", "text_of"]

Says = Callable[[int], str]
"""The reason for an edge (a row of the dependencies), to be read after its target's name."""

_WORDS: Mapping[str, str] = {
    "G0": "Write cycle (dirty write, G0",
    "G1c": "Circular information flow (G1c",
    "G-single": "Read skew (G-single",
    "G-nonadjacent": "Long fork or the like (G-nonadjacent",
    "G2-item": "Write skew or the like (G2-item",
}
_STEPS_MAX = 4
_OPERATIONS_MAX = 8
_ELEMENTS_MAX = 6
_CHARACTERS_MAX = 24
_UNITS = ((1_000_000_000, "s"), (1_000_000, "ms"), (1_000, "µs"), (1, "ns"))


def labels(cycle: Cycle) -> dict[int, str]:
    """What each transaction of the cycle is called: T1, T2 ... in its order."""
    return {one: f"T{number}" for number, one in enumerate(cycle.transactions, 1)}


def cycle_anomaly(
    transactions: Transactions, dependencies: Dependencies, cycle: Cycle, says: Says
) -> Anomaly:
    """The anomaly that ``cycle`` proves, with a sentence and a graph to draw.

    ``details["graph"]`` has ``nodes`` (``index``, ``label``, ``text``) and ``edges`` (``from``,
    ``to``, ``kind``, ``because``), in the order of the cycle; ``index`` is the history's index of
    the invocation.
    """
    names = labels(cycle)
    steps = list(_steps(dependencies, cycle))
    index = {one: int(transactions.index[one]) for one in cycle.transactions}
    reasons = [_because(transactions, step, names, says) for step in steps]
    return Anomaly(
        name=cycle.name,
        sentence=_sentence(cycle, reasons),
        operations=tuple(index[one] for one in sorted(cycle.transactions)),
        details={
            "graph": {
                "nodes": [
                    {"index": index[one], "label": names[one], "text": text_of(transactions, one)}
                    for one in cycle.transactions
                ],
                "edges": [
                    {
                        "from": index[before],
                        "to": index[after],
                        "kind": str(Edge(kind).name).lower(),
                        "because": reason,
                    }
                    for (before, after, kind, _), reason in zip(steps, reasons, strict=True)
                ],
            }
        },
    )


Step = tuple[int, int, int, int]
"""From and to (transactions), kind, and the row of the first edge."""


def _steps(dependencies: Dependencies, cycle: Cycle) -> Iterator[Step]:
    """The edges between transactions; a walk through auxiliary vertices is one."""
    begun: tuple[int, int] | None = None
    for row in cycle.edges:
        if begun is None:
            begun = int(dependencies.source[row]), row
        after = int(dependencies.target[row])
        if after < dependencies.transactions:
            before, first = begun
            yield before, after, int(dependencies.kind[first]), first
            begun = None
    assert begun is None, "a cycle ends where it began, at a transaction"


def _because(transactions: Transactions, step: Step, names: Mapping[int, str], says: Says) -> str:
    before, after, kind, row = step
    if kind == Edge.PROCESS:
        return f"{names[after]} came after {names[before]} in process {transactions.process[after]}"
    if kind == Edge.REALTIME:
        gap = _gap(transactions, before, after)
        return f"{names[before]} returned {gap}before {names[after]} was invoked"
    return f"{names[after]} {says(row)}"


def _gap(transactions: Transactions, before: int, after: int) -> str:
    """How long one returned before the other was invoked, and a space; empty if nobody knows."""
    if transactions.history.ordinal or transactions.ret[before] == NEVER:
        return ""
    gap_ns = int(transactions.call[after] - transactions.ret[before])
    size, unit = next(((size, unit) for size, unit in _UNITS if gap_ns >= size), _UNITS[-1])
    return f"{gap_ns / size:.3g} {unit} "


def _sentence(cycle: Cycle, reasons: list[str]) -> str:
    family = next(name for name in _WORDS if cycle.name in _variants(name))
    title = f"{_WORDS[family]}{cycle.name.removeprefix(family)})"
    count = len(cycle.transactions)
    if len(reasons) > _STEPS_MAX:
        more = f"and {len(reasons) - _STEPS_MAX} more steps lead back to T1"
        title = f"{title} of {count} transactions"
        reasons = [*reasons[:_STEPS_MAX], more]
    return f"{title}: {'; '.join(reasons)}. So T1 must come before itself."


def _variants(name: str) -> tuple[str, str, str]:
    return name, f"{name}-process", f"{name}-realtime"


def text_of(transactions: Transactions, transaction: int) -> str:
    """One transaction, shortened: ``append x 3, r y [.. 7 8 9]``; with a question mark at the end
    where it is not known to have happened."""
    first, last = (int(row) for row in transactions.first[transaction : transaction + 2])
    shown = [
        _micro_operation(transactions, row)
        for row in range(first, min(last, first + _OPERATIONS_MAX))
    ]
    if last - first > _OPERATIONS_MAX:
        shown.append("...")
    unsure = "" if transactions.outcome[transaction] == Type.OK else " ?"
    return ", ".join(shown) + unsure


def _micro_operation(transactions: Transactions, row: int) -> str:
    word = ("r", "w", "append")[transactions.kind[row]]
    key = show(transactions.keys[transactions.key[row]])
    if transactions.value[row] != LIST:
        return f"{word} {key} {show(transactions.values[transactions.value[row]])}"
    length, start = int(transactions.length[row]), int(transactions.start[row])
    skipped = max(0, length - _ELEMENTS_MAX)
    codes = transactions.elements[start + skipped : start + length].tolist()
    elements = [show(transactions.values[code]) for code in codes]
    return f"{word} {key} [{' '.join(['..'] * (skipped > 0) + elements)}]"


def show(value: Any) -> str:
    """A key or a value in words: strings as they are, the rest as JSON, shortened."""
    text = value if isinstance(value, str) else msgspec.json.encode(value).decode()
    return text if len(text) <= _CHARACTERS_MAX else f"{text[:_CHARACTERS_MAX]}.."
