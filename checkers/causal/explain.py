"""Violations of visibility in words, and as graphs to be drawn."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from checkers.causal.cycles import Step
from checkers.causal.reads import ReadsFrom
from checkers.transactions.dependencies import Edge
from checkers.transactions.explain import show, text_of
from harness.core.verdict import Anomaly

__all__ = ["cycle_anomaly", "initial_anomaly", "row_anomaly"]

_STEPS_MAX = 4

_WORDS: Mapping[str, str] = {
    "G1a": "{reader} read {value} of {key}, which was written by a transaction that failed",
    "G1b": "{reader} read {value} of {key}, which its writer overwrote before it ended",
    "garbage-read": "{reader} read {value} of {key}, which nobody wrote",
    "ThinAirRead": "{reader} read {value} of {key}, which nobody wrote",
    "future-read": "{reader} read {value} of {key}, which it wrote itself only later",
    "internal": "{reader} read {value} of {key}, which contradicts what it did before",
}


def _name(reads: ReadsFrom, transaction: int) -> str:
    return f"process {int(reads.transactions.process[transaction])}"


def _index(reads: ReadsFrom, transaction: int) -> int:
    return int(reads.transactions.index[transaction])


def _key_of(reads: ReadsFrom, row: int) -> str:
    return show(reads.transactions.keys[reads.transactions.key[row]])


def _on(reads: ReadsFrom, row: int) -> str:
    """`` of x``; nothing where the history has one object without a name."""
    key = reads.transactions.keys[reads.transactions.key[row]]
    return "" if key is None else f" of {show(key)}"


def _value_of(reads: ReadsFrom, row: int) -> str:
    return show(reads.transactions.values[reads.transactions.value[row]])


def row_anomaly(reads: ReadsFrom, name: str, row: int, other: int) -> Anomaly:
    """The anomaly that one micro-operation (and perhaps another) shows by itself."""
    owner = reads.transactions.transaction
    involved = sorted({int(owner[one]) for one in (row, other) if one >= 0})
    text = _WORDS[name].format(
        reader=_name(reads, int(owner[row])).capitalize(),
        value=_value_of(reads, row),
        key=_key_of(reads, row),
    )
    return Anomaly(
        name=name,
        sentence=f"{text}.".replace(" of null,", ","),
        operations=tuple(_index(reads, one) for one in involved),
    )


def initial_anomaly(reads: ReadsFrom, name: str, write: int, read: int, because: str) -> Anomaly:
    """A read (a row of ``reads``) of the initial state that should have seen ``write``."""
    reader, row = int(reads.reader[read]), int(reads.read_row[read])
    written = reads.write_of(write, int(reads.key[read]))
    sentence = (
        f"{_name(reads, reader).capitalize()} read the initial value{_on(reads, row)} at "
        f"#{_index(reads, reader)}, but {_name(reads, write)} had written "
        f"{_value_of(reads, written)} at #{_index(reads, write)}, {because}."
    )
    involved = sorted({reader, write})
    return Anomaly(
        name=name,
        sentence=sentence,
        operations=tuple(_index(reads, one) for one in involved),
        key=reads.transactions.keys[reads.key[read]],
    )


def cycle_anomaly(
    reads: ReadsFrom, name: str, steps: Sequence[Step], because: str, seen: Sequence[int] = ()
) -> Anomaly:
    """A cycle. ``because`` says why a visible write is visible; ``seen`` are further transactions
    without which it would not be (the way by which the visible write became so)."""
    names = {step.before: f"T{number}" for number, step in enumerate(steps, 1)}
    witnesses = [int(reads.reader[step.row]) for step in steps if step.kind == Edge.WW]
    for one in dict.fromkeys([*witnesses, *seen]):
        names.setdefault(one, f"T{len(names) + 1}")
    reasons = [_because(reads, step, names, because) for step in steps]
    shown = reasons[:_STEPS_MAX]
    more = len(reasons) - len(shown)
    tail = f"; and {more} more steps" if more else ""
    graph: dict[str, Any] = {
        "nodes": [
            {
                "index": _index(reads, one),
                "label": label,
                "text": text_of(reads.transactions, one),
            }
            for one, label in names.items()
        ],
        "edges": [
            {
                "from": _index(reads, step.before),
                "to": _index(reads, step.after),
                "kind": str(step.kind.name).lower(),
                "because": reason,
            }
            for step, reason in zip(steps, reasons, strict=True)
        ],
    }
    return Anomaly(
        name=name,
        sentence=f"{'; '.join(shown)}{tail}. So T1 must come before itself.",
        operations=tuple(_index(reads, one) for one in sorted(names)),
        details={"graph": graph},
    )


def _because(reads: ReadsFrom, step: Step, names: Mapping[int, str], because: str) -> str:
    before, after = names[step.before], names[step.after]
    if step.kind == Edge.PROCESS:
        return f"{after} came after {before} in {_name(reads, step.after)}"
    row = int(reads.read_row[step.row])
    if step.kind == Edge.WR:
        return f"{after} read {before}'s {_value_of(reads, row)}{_on(reads, row)}"
    reader = int(reads.reader[step.row])
    written = reads.write_of(step.before, int(reads.key[step.row]))
    return (
        f"{names[reader]} ({_name(reads, reader)}, #{_index(reads, reader)}) read "
        f"{after}'s {_value_of(reads, row)}{_on(reads, row)} although {before}'s "
        f"{_value_of(reads, written)} was visible to it ({because})"
    )
