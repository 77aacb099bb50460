"""Whether all replicas answer alike once updates have stopped and faults are healed.

*Eventual consistency*: at rest (see :mod:`.quiescence`), each replica's last answer to a query is
the same. *Strong eventual consistency* (Shapiro et al., "Conflict-Free Replicated Data Types", SSS
2011) adds that two replicas which have delivered the same updates answer alike at any time. That
shows only where reads say what had been delivered: as ``{"value": ..., "seen": [...]}``, with any
names of updates. Without it, strong eventual consistency may be refuted by final reads (by then
everything has been delivered to everyone), but never proved.

It knows nothing of the data type, and so not whether the common answer is right: the other checkers
of this package say that. Every operation that is no read counts as an update.

    process 0 adds 1; after that process 1 (node n1) reads [1] and process 2 (node n2) reads []:
    a divergence

Reads ``read -> ...``, ``contains v -> ...``, and the function that marks final reads.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np

from checkers.convergence.figures import figures
from checkers.convergence.findings import (
    Bools,
    Findings,
    Ints,
    guarded,
    option,
    show,
    unknown,
)
from checkers.convergence.quiescence import (
    OPTIONS,
    Quiescence,
    ends_of,
    known_quiescence,
    queries,
    reads_of,
    rows_of,
)
from checkers.spectrum import judge
from harness.core.contracts import CheckContext
from harness.core.history import History, Interner
from harness.core.operation import Type
from harness.core.options import Option
from harness.core.verdict import Validity, Verdict

__all__ = ["Convergence", "answer_codes"]

_READS = Option(
    name="reads", default=("read", "contains"), summary="the functions that change nothing"
)
_ANSWERS = Option(
    name="answers",
    default="auto",
    choices=("auto", "ordered", "unordered"),
    summary="whether the order of a list matters (auto: not where elements are added by add)",
)
_NO_TIME = "the history has no real-time order, and marks no reads as final"
_MODELS = frozenset({"eventual", "strong-eventual"})


class Convergence:
    """Are the final answers of all replicas the same?"""

    name: ClassVar[str] = "convergence"
    summary: ClassVar[str] = "after healing and quiescence all replicas answer alike"
    options: ClassVar[tuple[Option, ...]] = (*OPTIONS, _READS, _ANSWERS)
    judges: ClassVar[frozenset[str]] = _MODELS

    def check(self, history: History, context: CheckContext) -> Verdict:
        """The verdict on ``eventual``, or on the model asked about; unknown if some replica gave no
        final answer on some key that was updated."""
        return guarded(self.name, lambda: self._check(history, context))

    def _check(self, history: History, context: CheckContext) -> Verdict:
        names = option(context, _READS)
        assert isinstance(names, tuple)
        reads = reads_of(history, context, *names)
        certain = history.operations.outcome
        updates = ~rows_of(history, *names, *_marked(context)) & (certain != Type.FAIL)
        if not reads.any():
            return unknown(self.name, "vacuous", "Nothing was checked: no read succeeded.")
        delivered = _delivered(history, reads)
        answer = answer_codes(history, reads, unordered=_unordered(history, context))
        findings = Findings(history)
        _same_delivered(findings, delivered, answer)
        rest = known_quiescence(history, context, reads, updates)
        compared = _Compared(took_ns=np.empty(0, dtype=np.int64), undecided=_NO_TIME)
        incomplete = _NO_TIME
        if rest is not None:
            compared = _final_answers(findings, rest, answer)
            incomplete = _uncovered(history, rest, updates) or compared.undecided
        if not updates.any() and not findings.counts:
            return unknown(self.name, "vacuous", "Nothing was checked: nothing was updated.")
        proved = []
        if not incomplete and not findings.counts["divergence"]:
            strong = len(delivered) == int(reads.sum()) and not findings.counts
            proved.append("strong-eventual" if strong else "eventual")
        final = 0 if rest is None else len(rest.final)
        verdict = judge(
            checker=self.name,
            asked=context.consistency_model or "eventual",
            scope=_MODELS,
            anomalies=findings.anomalies,
            counts=findings.counts,
            proved=proved,
            subject=f"All {final:,} final reads",
            incomplete=incomplete or "no read says which updates it had seen",
            reason="incomplete",
            details={
                "final_reads": final,
                "replicas": 0 if rest is None else len(np.unique(rest.replica[rest.final])),
                "keys_updated": len(np.unique(history.operations.key[updates])),
                "queries_compared": compared.queries,
                "reads_with_seen": len(delivered),
                "converged_after": figures(compared.took_ns, ordinal=history.ordinal),
            },
        )
        if verdict.validity is not Validity.VALID or rest is None:
            return verdict
        return replace(verdict, sentence=_sentence(verdict))


def _sentence(verdict: Verdict) -> str:
    details = verdict.details
    slowest = details["converged_after"]["max_ms"]
    took = "" if slowest is None else f", at most {slowest:g} ms after the last update or fault"
    return (
        f"All {details['replicas']:,} replicas gave the same final answers "
        f"({details['final_reads']:,} final reads{took})."
    )


def _marked(context: CheckContext) -> tuple[str, ...]:
    declared = next(one for one in OPTIONS if one.name == "final-function")
    return (str(option(context, declared)),)


def _unordered(history: History, context: CheckContext) -> bool:
    chosen = option(context, _ANSWERS)
    if chosen != "auto":
        return chosen == "unordered"
    ordered = rows_of(history, "append", "insert").any()
    return bool(rows_of(history, "add").any() and not ordered)


def answer_codes(history: History, reads: Bools, *, unordered: bool) -> Ints:
    """What each of the ``reads`` answered, as a code: equal answers have equal codes, ``int64[n]``.

    ``unordered``: lists of the same elements are equal. Of ``{"value": ..., "seen": ...}`` the
    value counts."""
    result = history.operations.result
    interner = Interner()
    mapping = np.zeros(len(history.values), dtype=np.int64)
    for code in np.unique(result[reads]).tolist():
        value = _answered(history.values[code])
        if unordered and value is None:
            value = []  # docs/models.md: null stands for the empty list
        if unordered and isinstance(value, list | tuple):
            value = sorted(map(show, value))
        mapping[code] = interner.code(value)
    return mapping[result]


def _says_seen(value: Any) -> bool:
    return isinstance(value, dict) and set(value) == {"value", "seen"}


def _answered(value: Any) -> Any:
    return value["value"] if _says_seen(value) else value


def _delivered(history: History, reads: Bools) -> dict[int, tuple[str, ...]]:
    """What had been delivered, for each read that says so."""
    result = history.operations.result
    names = {
        code: tuple(sorted({show(name) for name in history.values[code]["seen"] or ()}))
        for code in np.unique(result[reads]).tolist()
        if _says_seen(history.values[code])
    }
    rows = np.flatnonzero(reads & np.isin(result, list(names)))
    return {row: names[int(result[row])] for row in rows.tolist()}


def _same_delivered(
    findings: Findings, delivered: dict[int, tuple[str, ...]], answer: Ints
) -> None:
    """Reads of replicas that have delivered the same updates, and answer differently."""
    first: dict[tuple[Any, ...], int] = {}
    columns = queries(findings.history)
    for row, seen in delivered.items():
        other = first.setdefault((*(int(column[row]) for column in columns), seen), row)
        if answer[other] != answer[row]:
            _different(findings, other, row, len(seen))


def _different(findings: Findings, one: int, other: int, delivered: int) -> None:
    findings.report(
        "not-strongly-convergent",
        findings.key_of(other),
        lambda: (one, other),
        lambda: (
            f"{findings.who(one)} answered {_told(findings, one)} and {findings.who(other)} "
            f"answered {_told(findings, other)}, although both had delivered the same "
            f"{delivered:,} updates."
        ),
    )


def _told(findings: Findings, row: int) -> str:
    return show(_answered(findings.result(row)))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Compared:
    took_ns: Ints
    queries: int = 0
    undecided: str = ""


def _final_answers(findings: Findings, rest: Quiescence, answer: Ints) -> _Compared:
    """Compares the final answers to each query; how long each replica took to give it."""
    history = findings.history
    columns = tuple(column[rest.final] for column in queries(history))
    order = np.lexsort((rest.replica[rest.final], *columns))
    rows = rest.final[order]
    groups = np.split(rows, np.flatnonzero(ends_of(*(one[order] for one in columns)))[:-1] + 1)
    compared, undecided = 0, ""
    alike: dict[tuple[int, ...], int] = {}
    for group in groups:
        if len(group) < 2:
            continue
        compared += 1
        others = group[answer[group] != answer[group[0]]]
        key = findings.key_of(group[0])
        if not len(others):
            query = tuple(int(column[group[0]]) for column in queries(history))
            alike[query] = int(answer[group[0]])
        elif rest.settled[key]:
            findings.diverged(int(group[0]), int(others[0]))
        else:
            undecided = "replicas differ, but an update may still take effect"
    return _Compared(
        took_ns=_took(history, rest, answer, alike), queries=compared, undecided=undecided
    )


def _took(
    history: History, rest: Quiescence, answer: Ints, alike: dict[tuple[int, ...], int]
) -> Ints:
    """From rest to the return of the first read from which on each replica answers as all do in the
    end, for each replica and each query that converged; ``int64[..]``."""
    rows = np.flatnonzero(rest.at_rest)
    if not len(rows) or not history.realtime:
        return np.empty(0, dtype=np.int64)
    columns = (rest.replica[rows], *(column[rows] for column in queries(history)))
    rows = rows[np.lexsort((history.operations.call[rows], *columns))]
    names = zip(*(column[rows].tolist() for column in queries(history)), strict=True)
    wanted = np.array([alike.get(name, -1) for name in names], dtype=np.int64)
    ends = np.flatnonzero(ends_of(rest.replica[rows], *(c[rows] for c in queries(history))))
    starts = np.append(0, ends[:-1] + 1)
    places = np.arange(len(rows))
    last_other = np.maximum.reduceat(np.where(answer[rows] != wanted, places, -1), starts)
    first_alike = rows[np.minimum(np.maximum(last_other + 1, starts), ends)]
    since = rest.since[history.operations.key[first_alike]]
    counted = (wanted[ends] >= 0) & (since >= 0)
    took: Ints = np.maximum(history.operations.ret[first_alike] - since, 0)[counted]
    return took


def _uncovered(history: History, rest: Quiescence, updates: Bools) -> str:
    """Why the final reads are not those of all replicas on all keys, if they are not."""
    operations = history.operations
    if rest.why:
        return f"nothing was at rest: {rest.why}"
    nodes = np.unique(operations.node[operations.node > 0])
    named = history.realtime and bool(len(nodes))
    keys = np.unique(operations.key[updates])
    final = rest.final[operations.node[rest.final] > 0] if named else rest.final
    columns = tuple(column[final] for column in queries(history))
    order = np.lexsort(columns)
    ends = np.flatnonzero(ends_of(*(column[order] for column in columns)))
    counts = np.diff(np.append(-1, ends))
    key = columns[0][order][ends] if len(ends) else ends
    answered = np.zeros(len(history.keys), dtype=np.int64)
    np.maximum.at(answered, key, counts[: len(key)])
    short = keys[answered[keys] < (max(len(nodes), 2) if named else 2)]
    if not len(short):
        return ""
    of_keys = "" if len(keys) == 1 else f" on {len(short):,} of {len(keys):,} keys"
    who = f"each of the {len(nodes):,} nodes" if named and len(nodes) > 1 else "two replicas"
    return f"there is no final read by {who}{of_keys}"
