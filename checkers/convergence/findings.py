"""What a checker of this package found, and the verdict that follows from it.

Anomalies of data types are no statement about a consistency model, so they do not go through
:mod:`checkers.spectrum`. There may be thousands of one name: all are counted, the first ten are
explained.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from harness.core.contracts import CheckContext
from harness.core.history import History
from harness.core.operation import Type
from harness.core.options import Option, OptionValue
from harness.core.verdict import Anomaly, Validity, Verdict

__all__ = ["Findings", "Unsupported", "begin", "guarded", "moment", "option", "show", "unknown"]

Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

_EXPLAINED_MAX = 10


class Unsupported(Exception):
    """The history is not one that the checker can judge; the text says what was found."""


def show(value: Any) -> str:
    """``value`` as it stands in a history."""
    return msgspec.json.encode(value).decode()


def begin(key: Any, sentence: str) -> str:
    """``sentence`` (in lower case) as one about ``key``."""
    if key is None:
        return sentence[:1].upper() + sentence[1:]
    return f"Key {key if isinstance(key, str) else show(key)}: {sentence}"


def moment(history: History, time_ns: int) -> str:
    """A time in words: in milliseconds, or as the event's position where there are no times."""
    return f"event {time_ns:,}" if history.ordinal else f"{time_ns / 1e6:,.3f} ms"


def option(context: CheckContext, declared: Option) -> OptionValue:
    """What was given for an option, or its default."""
    return context.options.get(declared.name, declared.default)


def unknown(
    checker: str, reason: str, sentence: str, details: Mapping[str, Any] | None = None
) -> Verdict:
    """The verdict that nothing is known, and why."""
    return Verdict(
        checker=checker,
        validity=Validity.UNKNOWN,
        reason=reason,
        sentence=sentence,
        details=details or {},
    )


def guarded(checker: str, decide: Callable[[], Verdict]) -> Verdict:
    """The verdict of ``decide``; unknown if it cannot judge, or crashes."""
    try:
        return decide()
    except Unsupported as refusal:
        return unknown(checker, "unsupported", f"Nothing was checked: {refusal}.")
    except Exception as error:  # a checker that crashes must never look like a pass
        text = f"{type(error).__name__}: {error}"
        return unknown(checker, "crash", f"The checker itself crashed ({text}).")


class Findings:
    """Collects anomalies of one history, and what could not be decided."""

    def __init__(self, history: History) -> None:
        self.history = history
        self.counts: Counter[str] = Counter()
        self.anomalies: list[Anomaly] = []
        self._undecided: dict[str, list[str]] = {}

    def report(
        self,
        name: str,
        key: int,
        rows: Callable[[], Iterable[int]],
        say: Callable[[], str],
        **details: Any,
    ) -> None:
        """One anomaly on the key of code ``key``. ``rows`` are the operations of its proof, and
        ``say`` its sentence without the key; neither is called for one too many."""
        self.counts[name] += 1
        if self.counts[name] > _EXPLAINED_MAX:
            return
        operations = self.history.operations
        witness = sorted({int(row) for row in rows()})
        self.anomalies.append(
            Anomaly(
                name=name,
                sentence=begin(self.history.keys[key], say()),
                operations=tuple(self.history.index[operations.invocation[witness]].tolist()),
                key=self.history.keys[key],
                details=details,
            )
        )

    def more(self, name: str, count: int) -> None:
        """``count`` more anomalies of that name, which nobody asks to see."""
        if count:
            self.counts[name] += count

    def room(self, name: str) -> int:
        """How many more anomalies of that name would be explained."""
        return max(0, _EXPLAINED_MAX - self.counts[name])

    def undecided(self, reason: str, key: int | None, sentence: str) -> None:
        """Something that keeps the history from being valid. ``sentence`` is without the key."""
        told = begin(None if key is None else self.history.keys[key], sentence)
        self._undecided.setdefault(reason, []).append(told)

    def diverged(self, one: int, other: int) -> None:
        """The final reads at these rows differ."""
        self.report(
            "divergence",
            self.key_of(one),
            lambda: (one, other),
            lambda: (
                f"{self.who(one)} answered {show(self.result(one))} at the end (from "
                f"{self.called(one)}), but {self.who(other)} answered {show(self.result(other))} "
                f"(from {self.called(other)})."
            ),
        )

    def unread(self, what: str, count: int, keys: int, why: str | None) -> None:
        """On ``count`` of ``keys`` keys that were changed no read was final, so that ``what`` is
        not known. ``why``: what kept them from rest, if anything did; None: nobody can tell."""
        if not count:
            return
        because = f": {why}" if why else ""
        self.undecided(
            "unsupported" if why is None else "unread",
            None,
            f"{what} is not known, for on {count:,} of {keys:,} keys no read was final{because}.",
        )

    # Words.

    def at(self, time_ns: int) -> str:
        return moment(self.history, int(time_ns))

    def process(self, row: int) -> str:
        return f"process {int(self.history.operations.process[row])}"

    def who(self, row: int) -> str:
        """The node that was asked, or else the process that asked."""
        node = self.history.nodes[int(self.history.operations.node[row])]
        return self.process(row) if node is None else f"node {node}"

    def called(self, row: int) -> str:
        return self.at(int(self.history.operations.call[row]))

    def returned(self, row: int) -> str:
        return self.at(int(self.history.operations.ret[row]))

    def key_of(self, row: int) -> int:
        return int(self.history.operations.key[row])

    def argument(self, row: int) -> Any:
        return self.history.values[int(self.history.operations.argument[row])]

    def result(self, row: int) -> Any:
        return self.history.values[int(self.history.operations.result[row])]

    def verdict(self, checker: str, sentence: str, details: Mapping[str, Any]) -> Verdict:
        """Invalid with the smallest proof's sentence; unknown if anything was left undecided; else
        valid with ``sentence``."""
        outcome = self.history.operations.outcome
        figures = {
            "operations": len(outcome),
            "indeterminate": int((outcome == Type.INFO).sum()),
            "failed": int((outcome == Type.FAIL).sum()),
            "anomaly_counts": dict(self.counts),
            **details,
        }
        if self.anomalies:
            best = min(self.anomalies, key=lambda anomaly: len(anomaly.operations))
            return Verdict(
                checker=checker,
                validity=Validity.INVALID,
                sentence=best.sentence,
                anomalies=tuple(self.anomalies),
                details=figures,
            )
        if self._undecided:
            reason, told = next(iter(self._undecided.items()))
            count = sum(map(len, self._undecided.values()))
            rest = f" ({count - 1:,} more such reasons.)" if count > 1 else ""
            return unknown(checker, reason, told[0] + rest, figures)
        return Verdict(checker=checker, validity=Validity.VALID, sentence=sentence, details=figures)
