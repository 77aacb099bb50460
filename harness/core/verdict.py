"""Verdicts: valid, invalid or unknown, and how several become one.

*Invalid* needs a witness: operations that are themselves illegal. *Unknown* needs a reason: a
time-out, a crash of the checker, or a vacuous run (too little succeeded, or no fault bit). Merging
takes the worst: invalid over unknown over valid, because a proven anomaly stays proven whatever
another checker could not decide. Merging nothing is unknown.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

__all__ = ["Anomaly", "Validity", "Verdict", "merge", "spectrum_of"]


class Validity(Enum):
    """The three values. ``json`` is how each is written in ``verdict.json`` (as Jepsen does)."""

    VALID = "valid"
    UNKNOWN = "unknown"
    INVALID = "invalid"

    @property
    def json(self) -> bool | str:
        return "unknown" if self is Validity.UNKNOWN else self is Validity.VALID

    @property
    def exit_code(self) -> int:
        return {"valid": 0, "invalid": 1, "unknown": 2}[self.value]


_SEVERITY = {Validity.VALID: 0, Validity.UNKNOWN: 1, Validity.INVALID: 2}


@dataclass(frozen=True, slots=True, kw_only=True)
class Anomaly:
    """One violation and its proof.

    ``operations`` are the history indices of the *invocations* of the witness operations, in order
    of invocation; taken alone they are already illegal. ``sentence`` says in plain words what went
    wrong. ``key`` is the object on which it happened, if there is one.
    """

    name: str
    sentence: str
    operations: tuple[int, ...]
    key: Any = None
    details: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        assert self.operations, "an anomaly without a witness"

    def to_json(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "sentence": self.sentence,
            "operations": list(self.operations),
            "key": self.key,
            "details": dict(self.details),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What one checker (or several, merged) found.

    ``sentence`` is the one plain sentence for people. ``reason`` is set exactly when the verdict
    is unknown: a short machine-readable word such as ``timeout``, ``crash``, ``vacuous``.
    ``details`` are figures of the checker's own (JSON values only). A valid verdict may have
    anomalies too: those that the model asked for allows, and that prove that no stronger one holds.
    """

    checker: str
    validity: Validity
    sentence: str
    reason: str | None = None
    anomalies: tuple[Anomaly, ...] = ()
    details: Mapping[str, Any] = field(default_factory=dict)
    parts: tuple[Verdict, ...] = ()

    def __post_init__(self) -> None:
        assert (self.validity is Validity.UNKNOWN) == (self.reason is not None), self
        assert self.validity is not Validity.INVALID or self.all_anomalies(), self

    def all_anomalies(self) -> tuple[Anomaly, ...]:
        """Its own anomalies, then those of its parts."""
        return self.anomalies + tuple(a for part in self.parts for a in part.all_anomalies())

    def to_json(self) -> dict[str, Any]:
        return {
            "checker": self.checker,
            "valid": self.validity.json,
            "sentence": self.sentence,
            "reason": self.reason,
            "anomalies": [anomaly.to_json() for anomaly in self.anomalies],
            "details": dict(self.details),
            "parts": [part.to_json() for part in self.parts],
        }

    @staticmethod
    def from_json(data: Mapping[str, Any]) -> Verdict:
        """The inverse of :meth:`to_json`."""
        return Verdict(
            checker=data["checker"],
            validity=next(v for v in Validity if v.json == data["valid"]),
            sentence=data["sentence"],
            reason=data["reason"],
            anomalies=tuple(
                Anomaly(**{**row, "operations": tuple(row["operations"])})
                for row in data["anomalies"]
            ),
            details=data["details"],
            parts=tuple(Verdict.from_json(part) for part in data["parts"]),
        )


def merge(checker: str, verdicts: Iterable[Verdict]) -> Verdict:
    """One verdict out of several: the worst wins, and its sentence is the one that is shown."""
    parts = tuple(verdicts)
    if not parts:
        return Verdict(
            checker=checker,
            validity=Validity.UNKNOWN,
            reason="vacuous",
            sentence="Nothing was checked.",
        )
    worst = max(parts, key=lambda part: _SEVERITY[part.validity])
    return Verdict(
        checker=checker,
        validity=worst.validity,
        reason=worst.reason,
        sentence=worst.sentence,
        parts=parts,
    )


def spectrum_of(verdict: Verdict) -> Mapping[str, Any] | None:
    """What a verdict, or the first of its parts that does, says of consistency models: its details,
    as :func:`checkers.spectrum.judge` makes them."""
    if "strongest" in verdict.details:
        return verdict.details
    return next((found for part in verdict.parts if (found := spectrum_of(part))), None)
