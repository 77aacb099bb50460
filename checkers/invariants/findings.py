"""What a checker of an invariant found, and the verdict that follows.

Invalid if anything was found that the invariant forbids. Otherwise unknown if there is a doubt: a
reply of the wrong shape, a value that cannot be told from another, a loss that nothing proves.
Valid only where neither is.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

from checkers.invariants.facts import Facts, Ints, show
from harness.core.verdict import Anomaly, Validity, Verdict

__all__ = ["SHOWN_MAX", "Findings", "vacuous"]

SHOWN_MAX = 8
"""How many anomalies of each name are shown; all are counted."""


@dataclass(slots=True)
class Findings:
    """Collects what was found. ``allowed`` are names of anomalies that are told, but do not make
    the history invalid."""

    facts: Facts
    allowed: frozenset[str] = frozenset()
    anomalies: list[Anomaly] = field(default_factory=list)
    counts: dict[str, int] = field(default_factory=dict)
    doubts: dict[str, str] = field(default_factory=dict)
    details: dict[str, Any] = field(default_factory=dict)

    def add(self, name: str, count: int, anomalies: Iterable[Anomaly]) -> None:
        """``count`` violations called ``name``; of ``anomalies`` only the first are made."""
        shown = list(islice(anomalies, SHOWN_MAX))
        assert bool(shown) == bool(count), f"{count} of {name}, but {len(shown)} to show"
        if count:
            self.counts[name] = self.counts.get(name, 0) + count
            self.anomalies += shown

    def doubt(self, reason: str, sentence: str) -> None:
        """Something that keeps a history without anomalies from being valid."""
        self.doubts.setdefault(reason, sentence)

    def malformed(self, rows: Ints, needed: str) -> None:
        """Successful operations whose value is not of the form that this checker reads: what it
        cannot read it has not checked."""
        if not len(rows):
            return
        facts, row = self.facts, int(rows[0])
        name = facts.history.functions[int(facts.operations.f[row])]
        self.doubt(
            "malformed",
            f"{len(rows):,} operation{'s have a value' if len(rows) > 1 else ' has a value'} of "
            f"the wrong form: {facts.process(row)}'s {name} answered "
            f"{show(facts.results(rows[:1])[0])}, where {needed} was expected.",
        )
        self.details["malformed"] = {
            "count": len(rows),
            "operations": list(facts.index(rows[:SHOWN_MAX].tolist())),
        }

    @property
    def broken(self) -> bool:
        """Whether anything was found that is forbidden."""
        return any(name not in self.allowed for name in self.counts)

    def verdict(self, checker: str, sentence: str, **details: Any) -> Verdict:
        """The verdict; ``sentence`` is that of a valid one."""
        # The proofs that decide come first, then the smallest.
        shown = sorted(
            self.anomalies, key=lambda one: (one.name in self.allowed, len(one.operations))
        )
        told: Mapping[str, Any] = {
            **details,
            **self.details,
            "anomaly_counts": dict(self.counts),
            **({"doubts": dict(self.doubts)} if self.doubts else {}),
        }
        validity, reason = Validity.VALID, None
        if self.broken:
            validity, sentence = Validity.INVALID, shown[0].sentence
        elif self.doubts:
            reason, sentence = next(iter(self.doubts.items()))
            validity = Validity.UNKNOWN
        return Verdict(
            checker=checker,
            validity=validity,
            reason=reason,
            sentence=sentence,
            anomalies=tuple(shown),
            details=told,
        )


def vacuous(findings: Findings, checker: str, sentence: str) -> Verdict:
    """The verdict where too little was seen: unknown (``vacuous``), unless something was found, or
    another doubt says more."""
    findings.doubt("vacuous", sentence)
    return findings.verdict(checker, sentence)
