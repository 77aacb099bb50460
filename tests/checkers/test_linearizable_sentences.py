"""What anomalies are called, and what is said of them."""

from __future__ import annotations

import pytest

from checkers.linearizable import Linearizable
from harness.core.contracts import CheckContext
from harness.core.verdict import Validity
from tests.checkers.builders import history

CASES = {
    "new/old inversion": (
        ("0 w 5 0-1 key=3", "1 w 7 2-20 key=3", "4 r 7 3-4 key=3", "9 r 5 5-6 key=3"),
        "Key 3: process 4 read 7, then process 9 (which began later, at 5.000 ms) read 5, "
        "which 7 had replaced.",
    ),
    "lost write": (
        ("1 w 7 0-1 key=3", "2 w 9 2-3 key=3", "4 r 7 4-5 key=3"),
        "Key 3: the write of 9 by process 2 was acknowledged at 3.000 ms but never seen: a read "
        "by process 4 that began afterwards (at 4.000 ms) returned the older value 7.",
    ),
    "stale read": (
        ("1 w 7 0-1 key=3", "2 w 9 2-3 key=3", "4 r 7 4-9 key=3", "5 r 9 4-9 key=3"),
        "Key 3: the write of 9 by process 2 was acknowledged at 3.000 ms, but a read by process 4 "
        "that began afterwards (at 4.000 ms) returned 7, which had been overwritten.",
    ),
    "thin-air read": (
        ("0 w 1 0-1", "1 r 2 2-3"),
        "Process 1 read 2, which nobody wrote.",
    ),
    "read of a failed write": (
        ("0 w 1 0-1!", "1 r 1 2-3"),
        "Process 1 read 1, which only an operation that failed had tried to write.",
    ),
    "read from the future": (
        ("1 r 1 0-1", "0 w 1 2-3"),
        "Process 1 read 1, before it was first written (by process 0, from 2.000 ms).",
    ),
    "double compare-and-set": (
        ("0 w 1 0-1", "1 c 1:2 2-9", "2 c 1:3 2-9"),
        "Process 1 and process 2 both succeeded in replacing 1 (by 2 and 3), although it was "
        "there only once.",
    ),
    "divergent reads": (
        ("0 w 1 0-9", "1 w 2 0-9", "2 r 2 10-15", "3 r 1 10-15"),
        "After the writes of 1 and 2 had both been acknowledged, process 2 read 2 and process 3 "
        "read 1.",
    ),
    "non-linearizable": (
        ("0 c 1:2 0-9", "1 c 2:1 0-9", "2 r - 0-9"),
        "No order of these 2 operations is legal: process 0 replaced 1 by 2 (0.000 ms to 9.000 "
        "ms); process 1 replaced 2 by 1 (0.000 ms to 9.000 ms).",
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_name_and_sentence(name: str) -> None:
    """Each kind of anomaly has its name and its plain sentence."""
    lines, sentence = CASES[name]
    verdict = Linearizable().check(history(*lines), CheckContext())
    assert [anomaly.name for anomaly in verdict.anomalies] == [name]
    assert verdict.sentence == sentence


def test_operations_are_indices_of_invocations() -> None:
    """The witness points at lines of the history, in order, and at the key."""
    found = history("0 w 1 0-1 key=a", "0 w 2 2-3 key=a", "0 r 1 4-5 key=a", "1 r - 4-5 key=b")
    (anomaly,) = Linearizable().check(found, CheckContext()).anomalies
    assert anomaly.key == "a"
    assert [found.event(i).type for i in anomaly.operations] == ["invoke"] * 3
    assert list(anomaly.operations) == sorted(anomaly.operations)


def test_at_most_ten_anomalies_and_the_total() -> None:
    """Many broken keys: ten are shown, all are counted, the shortest is the sentence."""
    lines = []
    for key in range(15):
        at = key * 10
        lines += [f"0 w 1 {at}-{at + 1} key={key}", f"0 r - {at + 2}-{at + 3} key={key}"]
    lines += ["0 r 9 200-201 key=4"]
    verdict = Linearizable().check(history(*lines), CheckContext())
    assert verdict.details["keys_broken"] == 15
    assert len(verdict.anomalies) == 10
    assert verdict.sentence == "Key 4: process 0 read 9, which nobody wrote."


def test_valid_sentence_counts() -> None:
    """A pass says how much was looked at, and by which procedure."""
    verdict = Linearizable().check(
        history("0 w 1 0-1 key=a", "0 r 1 2-3 key=a", "0 r - 4-5 key=b"), CheckContext()
    )
    assert verdict.validity is Validity.VALID
    assert verdict.sentence == "All 3 operations on 2 keys are linearizable."
    assert verdict.details["keys_by_procedure"] == {"zones": 2}
