"""The verdict of a checker that tells several consistency models apart.

It answers one question about a history: which is the strongest model that it satisfies, and which
operations prove that it is no stronger? The verdict itself is about one model, the one that was
asked for: valid if it holds, invalid if an anomaly rules it out, and unknown if neither is known.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

from checkers import lattice
from harness.core.verdict import Anomaly, Validity, Verdict

__all__ = ["judge"]


def judge(
    *,
    checker: str,
    asked: str,
    scope: Collection[str],
    anomalies: Sequence[Anomaly],
    counts: Mapping[str, int] | None = None,
    absent: Collection[str] = (),
    proved: Iterable[str] = (),
    subject: str,
    incomplete: str = "",
    reason: str = "incomplete",
    details: Mapping[str, Any] | None = None,
) -> Verdict:
    """The verdict on the model ``asked``.

    ``anomalies`` are named as in :data:`checkers.lattice.ANOMALIES` (a sample is enough;
    ``counts`` says how many of each there are). ``absent`` and ``proved`` are as in
    :func:`checkers.lattice.assess`. ``subject`` is what a valid verdict speaks of ("All 312
    transactions"); ``incomplete`` says why a model that is not refuted may still fail, and
    ``reason`` is the word for it.
    """
    asked = lattice.canonical(asked)
    counts = counts or dict(Counter(anomaly.name for anomaly in anomalies))
    assessment = lattice.assess(found=counts, absent=absent, proved=proved, scope={*scope, asked})
    ordered = _ordered(anomalies, asked)
    validity, sentence = _conclusion(asked, assessment, ordered, subject, incomplete)
    return Verdict(
        checker=checker,
        validity=validity,
        reason=reason if validity is Validity.UNKNOWN else None,
        sentence=sentence,
        anomalies=tuple(ordered),
        details={
            "consistency_model": asked,
            "strongest": list(assessment.strongest),
            "strongest_not_refuted": list(assessment.strongest_not_refuted),
            "weakest_ruled_out": list(assessment.weakest_ruled_out),
            "holds": sorted(assessment.holds),
            "not_refuted": sorted(assessment.not_refuted),
            "ruled_out": sorted(assessment.ruled_out),
            "anomaly_counts": dict(counts),
            **({"incomplete": incomplete} if incomplete else {}),
            **(details or {}),
        },
    )


def _ordered(anomalies: Sequence[Anomaly], asked: str) -> list[Anomaly]:
    """The proofs against the model asked about first; the smallest of each kind before the second
    of any."""
    smallest = sorted(anomalies, key=lambda anomaly: len(anomaly.operations))
    earlier: Counter[str] = Counter()
    ranked = []
    for anomaly in smallest:
        ranked.append((asked not in lattice.ruled_out([anomaly.name]), earlier[anomaly.name]))
        earlier[anomaly.name] += 1
    places = sorted(range(len(smallest)), key=ranked.__getitem__)
    return [smallest[place] for place in places]


def _conclusion(
    asked: str,
    assessment: lattice.Assessment,
    anomalies: Sequence[Anomaly],
    subject: str,
    incomplete: str,
) -> tuple[Validity, str]:
    if asked in assessment.ruled_out:
        assert anomalies, "a model ruled out without a witness"
        return Validity.INVALID, anomalies[0].sentence
    if asked in assessment.holds:
        return Validity.VALID, f"{subject} are {_adjective(asked)}."
    why = incomplete or "this history cannot tell"
    return Validity.UNKNOWN, f"Nothing refutes {asked}, but it was not proved: {why}."


_ADJECTIVES = {"linearizable", "sequential", "serializable", "causal"}


def _adjective(model: str) -> str:
    words = model.replace("-", " ")
    return words if words.split()[-1] in _ADJECTIVES else f"consistent with {words}"
