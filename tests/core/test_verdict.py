"""Verdicts: what cannot be said, how several become one, and how they are written."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.core.verdict import Anomaly, Validity, Verdict, merge

ANOMALY = Anomaly(
    name="stale-read", sentence="Old.", operations=(3, 9), key="x", details={"late_ms": 2.5}
)


def verdict(validity: Validity, sentence: str = "So it is.") -> Verdict:
    return Verdict(
        checker="c",
        validity=validity,
        sentence=sentence,
        reason="timeout" if validity is Validity.UNKNOWN else None,
        anomalies=(ANOMALY,) if validity is Validity.INVALID else (),
        details={"looked at": 3},
    )


VERDICTS = st.recursive(
    st.sampled_from(Validity).map(verdict),
    lambda parts: st.lists(parts, min_size=1, max_size=3).map(lambda some: merge("m", some)),
    max_leaves=6,
)


def test_exit_codes_are_those_of_jepsen() -> None:
    """0 valid, 1 invalid, 2 unknown; in JSON true, false and "unknown"."""
    assert {v.value: (v.exit_code, v.json) for v in Validity} == {
        "valid": (0, True),
        "invalid": (1, False),
        "unknown": (2, "unknown"),
    }


def test_an_anomaly_has_a_witness() -> None:
    """No operations, no anomaly."""
    with pytest.raises(AssertionError):
        Anomaly(name="a", sentence="s", operations=())


@pytest.mark.parametrize(
    ("validity", "reason", "anomalies"),
    [
        (Validity.INVALID, None, ()),
        (Validity.UNKNOWN, None, ()),
        (Validity.VALID, "timeout", ()),
        (Validity.INVALID, "timeout", (ANOMALY,)),
    ],
)
def test_contradictions_cannot_be_made(
    validity: Validity, reason: str | None, anomalies: tuple[Anomaly, ...]
) -> None:
    """Invalid needs a witness, and unknown (and only unknown) a reason."""
    with pytest.raises(AssertionError):
        Verdict(checker="c", validity=validity, sentence="s", reason=reason, anomalies=anomalies)


@given(st.lists(VERDICTS, min_size=1, max_size=5))
def test_the_worst_wins(parts: list[Verdict]) -> None:
    """Invalid over unknown over valid, whatever the order; the first worst part speaks."""
    merged = merge("m", parts)
    order = [Validity.INVALID, Validity.UNKNOWN, Validity.VALID]
    worst = min(order.index(part.validity) for part in parts)
    first = next(part for part in parts if part.validity is order[worst])
    assert (merged.validity, merged.sentence, merged.reason) == (
        first.validity,
        first.sentence,
        first.reason,
    )
    assert merged.parts == tuple(parts)
    assert len(merged.all_anomalies()) == sum(len(part.all_anomalies()) for part in parts)
    assert merge("m", reversed(parts)).validity is merged.validity


def test_merging_nothing_is_unknown() -> None:
    """What nobody looked at is not valid."""
    empty = merge("m", ())
    assert (empty.validity, empty.reason) == (Validity.UNKNOWN, "vacuous")


@given(VERDICTS)
def test_json_and_back(one: Verdict) -> None:
    """``verdict.json`` holds all of a verdict."""
    written = msgspec.json.decode(msgspec.json.encode(one.to_json()))
    assert Verdict.from_json(written) == one
    assert written["valid"] in (True, False, "unknown")
