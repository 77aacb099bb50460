"""Logs like those of Kafka: each anomaly beside what is fine, and the forms that are read."""

from __future__ import annotations

from typing import Any

import pytest

from harness.core.verdict import Validity, Verdict
from tests.checkers.invariants_histories import Call, at
from tests.checkers.invariants_oracle import verdict_on


def send(process: int, value: int, offset: int | None, when: str, key: str = "x") -> Call:
    told = [["send", key, [offset, value]]]
    return at(process, "send", [["send", key, value]], told, when)


def poll(process: int, when: str, *pairs: tuple[int, int], key: str = "x") -> Call:
    found = {key: [list(pair) for pair in pairs]} if pairs else {}
    return at(process, "poll", [["poll"]], [["poll", found]], when)


def check(*calls: Call, **options: Any) -> Verdict:
    return verdict_on("kafka", calls, options, scale=1_000_000)


SENT = (send(0, 10, 0, "0-1"), send(0, 11, 1, "2-3"), send(0, 12, 2, "4-5"))
ALL = ((0, 10), (1, 11), (2, 12))
READ = poll(1, "6-7", *ALL)
ANOMALIES: list[tuple[str, list[Call], str]] = [
    (
        "lost-write",
        [*SENT, poll(1, "6-7", (0, 10)), poll(2, "8-9", (0, 10), (2, 12))],
        '11, which process 0 sent to the log "x" by 3.000 ms and which lay at offset 1, was never '
        "polled, although process 2 polled up to offset 2.",
    ),
    (
        "duplicate",
        [*SENT, READ, poll(2, "8-9", *ALL, (3, 11))],
        '11 lies at offset 1 and at offset 3 of the log "x", but was sent at most once.',
    ),
    (
        "inconsistent-offsets",
        [*SENT, READ, send(3, 13, 3, "8-9"), poll(2, "8-9", *ALL[:2], (2, 13), (3, 13))],
        'Process 0 saw 12 at offset 2 of the log "x", and process 2 saw 13 there.',
    ),
    (
        "aborted-read",
        [*SENT, send(3, 13, None, "4-5!"), READ, poll(1, "8-9", (3, 13))],
        'Process 1 polled 13 (offset 3) from the log "x", whose send by process 3 had failed.',
    ),
    (
        "garbage-read",
        [*SENT, READ, poll(1, "8-9", (3, 99))],
        'Process 1 polled 99 (offset 3) from the log "x", which nobody sent to it.',
    ),
    (
        "precommitted-read",
        [
            *SENT,
            READ,
            at(
                1,
                "txn",
                [["send", "x", 13], ["poll"]],
                [["send", "x", [3, 13]], ["poll", {"x": [[3, 13]]}]],
                "8-9",
            ),
        ],
        'Process 1 polled 13 (offset 3) from the log "x" in the very transaction that sent it.',
    ),
    (
        "int-nonmonotonic-poll",
        [*SENT, READ, poll(2, "8-9", (0, 10), (1, 11), (2, 12), (2, 12))],
        'Process 2 polled offset 2 of the log "x" and then offset 2.',
    ),
    (
        "int-poll-skip",
        [*SENT, READ, poll(2, "8-9", (0, 10), (2, 12))],
        'Process 2 polled offset 0 of the log "x" and then offset 2, and passed over 1 message in '
        "between, such as offset 1, which process 0 knew.",
    ),
    (
        "nonmonotonic-poll",
        [*SENT, READ, poll(1, "8-9", (2, 12))],
        'Process 1 polled offset 2 of the log "x" and then, in a later operation (by 9.000 ms), '
        "offset 2.",
    ),
    (
        "poll-skip",
        [*SENT, READ, poll(2, "6-7", (0, 10)), poll(2, "8-9", (2, 12))],
        'Process 2 polled offset 0 of the log "x" and then, in a later operation (by 9.000 ms), '
        "offset 2, and passed over 1 message in between, such as offset 1, which process 0 knew.",
    ),
    (
        "poll-skip",
        [*SENT, READ, at(2, "poll", {"x": 1}, {"x": [[2, 12]]}, "8-9")],
        'Process 2 asked for the log "x" from offset 1 on and got offset 2 first, without 1 '
        "message, such as offset 1, which process 0 knew.",
    ),
    (
        "nonmonotonic-poll",
        [*SENT, READ, at(2, "poll", {"x": 1}, {"x": [[0, 10]]}, "8-9")],
        'Process 2 asked for the log "x" from offset 1 on and got offset 0 first.',
    ),
    (
        "nonmonotonic-send",
        [*SENT[:2], send(0, 12, 4, "4-5"), send(0, 13, 3, "6-7"),
         poll(1, "8-9", (0, 10), (1, 11), (3, 13), (4, 12))],
        'Process 0 sent 12 to the log "x", which came to lie at offset 4, and afterwards 13, which '
        "came to lie at offset 3.",
    ),
    (
        "int-nonmonotonic-send",
        [
            at(
                0,
                "txn",
                [["send", "x", 10], ["send", "x", 11]],
                [["send", "x", [1, 10]], ["send", "x", [0, 11]]],
                "0-1",
            ),
            poll(1, "2-3", (0, 11), (1, 10)),
        ],
        'Process 0 sent 10 to the log "x", which came to lie at offset 1, and afterwards 11, which '
        "came to lie at offset 0.",
    ),
    (
        "uncommitted-offset",
        [
            *SENT,
            READ,
            at(1, "commit_offsets", {"x": 1}, None, "8-9"),
            at(2, "list_committed_offsets", ["x"], {"x": 2}, "10-11"),
        ],
        'Process 2 was told that offset 2 of the log "x" was committed, but nobody committed more '
        "than 1.",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("name", "calls", "sentence"), ANOMALIES)
def test_each_anomaly_is_found_and_said(name: str, calls: list[Call], sentence: str) -> None:
    """One history for each anomaly, in these words; the witness is in order of invocation."""
    verdict = check(*calls)
    assert verdict.validity is Validity.INVALID
    assert sentence in [anomaly.sentence for anomaly in verdict.anomalies if anomaly.name == name]


def test_what_is_fine_is_valid() -> None:
    """Offsets with gaps, polls that begin again after an assignment, several readers, empty polls,
    commits of what was polled."""
    verdict = check(
        *SENT,
        send(0, 13, 7, "6-7"),
        poll(1, "6-7"),
        poll(1, "8-9", *ALL, (7, 13)),
        at(1, "assign", ["y"], ["y"], "10-11"),
        at(1, "assign", ["x"], ["x"], "12-13"),
        poll(1, "14-15", (1, 11), (2, 12)),
        at(1, "commit_offsets", {"x": 2}, None, "16-17"),
        at(2, "list_committed_offsets", ["x"], {"x": 1}, "18-19"),
    )
    assert verdict.validity is Validity.VALID
    assert verdict.sentence == "All 4 acknowledged messages were polled, in the order of 1 log."


def test_who_stays_assigned_goes_on() -> None:
    """An assignment that still names the log starts nothing anew; one that seeks does."""
    again = poll(1, "14-15", (0, 10))
    kept = at(1, "assign", ["x", "y"], None, "10-11")
    assert check(*SENT, READ, kept, again).anomalies[0].name == "nonmonotonic-poll"
    seeks = at(1, "assign", {"keys": ["x"], "seek-to-beginning": True}, None, "10-11")
    assert check(*SENT, READ, seeks, again).validity is Validity.VALID
    failed = at(1, "assign", ["y"], None, "10-11!")
    assert check(*SENT, READ, failed, again).validity is Validity.INVALID


def test_subscribers_may_be_rebalanced() -> None:
    """Between the polls of a process that subscribed, others may have had the log: that is told and
    allowed. Within one poll it is not."""
    subscribed = at(1, "subscribe", ["x"], None, "0-1")
    verdict = check(*SENT, subscribed, READ, poll(1, "8-9", (0, 10)))
    assert verdict.validity is Validity.VALID
    assert verdict.details["anomaly_counts"] == {"rebalanced-nonmonotonic-poll": 1}
    inside = check(*SENT, subscribed, READ, poll(1, "8-9", (1, 11), (0, 10)))
    assert inside.anomalies[0].name == "int-nonmonotonic-poll"


def test_unseen_messages_are_not_valid() -> None:
    """What lies beyond all that was polled may be lost: unknown, unless the option says that this
    is no matter."""
    calls = [*SENT, poll(1, "6-7", (0, 10))]
    verdict = check(*calls)
    assert (verdict.validity, verdict.reason) == (Validity.UNKNOWN, "unseen")
    assert verdict.details["unseen"] == {"count": 2, "keys": {"x": 2}}
    assert check(*calls, unseen="allowed").validity is Validity.VALID


def test_polls_that_begin_late_lose_nothing_before() -> None:
    """Who asks for offset 2 on says nothing of offset 1."""
    late = at(1, "poll", {"x": 2}, {"x": [[2, 12]]}, "6-7")
    assert check(*SENT, late).reason == "unseen"
    early = at(2, "poll", {"x": 0}, {"x": [[0, 10]]}, "8-9")
    assert check(*SENT, late, early).reason == "unseen"
    through = at(2, "poll", {"x": 0}, {"x": [[0, 10], [2, 12]]}, "8-9")
    assert "lost-write" in check(*SENT, late, through).details["anomaly_counts"]


def test_a_transaction_that_was_seen_took_place() -> None:
    """Of a transaction of unknown outcome one message was polled: the other, at a known offset
    below, is lost."""
    told = [["send", "x", [0, 10]], ["send", "x", [1, 11]]]
    unsure = Call(
        process=0,
        f="txn",
        argument=[["send", "x", 10], ["send", "x", 11]],
        result=told,
        call=0,
        ret=1,
        outcome="info",
        tells=True,
    )
    calls = [unsure, send(1, 12, 2, "2-3"), poll(2, "4-5", (1, 11), (2, 12))]
    verdict = check(*calls)
    assert verdict.details["anomaly_counts"] == {"lost-write": 1}
    assert check(unsure, send(1, 12, 2, "2-3"), poll(2, "4-5", (2, 12))).validity is Validity.VALID


FORMS = [
    ("operations on a key", lambda o, v: ("send", v, o, "x"), ("poll", 0, "x")),
    ("the message comes back", lambda o, v: ("send", v, [o, v], "x"), ("poll", None, "x")),
    ("Maelstrom", lambda o, v: ("send", {"key": "x", "msg": v}, o, None), ("poll", {}, None)),
    (
        "replies as they are",
        lambda o, v: ("send", {"key": "x", "value": v}, {"type": "send_ok", "offset": o}, None),
        ("poll", {"offsets": {"x": 0}}, None),
    ),
]


@pytest.mark.parametrize(("form", "sends", "polls"), FORMS, ids=[form for form, _, _ in FORMS])
def test_forms_of_events(form: str, sends: Any, polls: Any) -> None:
    """All forms say the same: here, that message 11 was lost."""
    calls = []
    for place, value in enumerate((10, 11, 12)):
        f, argument, told, key = sends(place, value)
        calls.append(at(0, f, argument, told, f"{2 * place}-{2 * place + 1}", key=key))
    f, argument, key = polls
    pairs = [[0, 10], [2, 12]]
    result: Any = {"x": pairs} if key is None else pairs
    if isinstance(argument, dict) and argument:
        result = {"msgs": result}
    verdict = verdict_on("kafka", [*calls, at(1, f, argument, result, "8-9", key=key)], {})
    assert verdict.details["anomaly_counts"] == {"lost-write": 1, "int-poll-skip": 1}


def test_keys_are_their_text() -> None:
    """``["send", 1, v]`` and a poll of ``{"1": ...}`` speak of one log."""
    sent = at(0, "send", [["send", 1, 5]], [["send", 1, [0, 5]]], "0-1")
    assert check(sent, poll(1, "2-3", (0, 5), key="1")).validity is Validity.VALID


STRANGE = [
    at(0, "send", [["send", "x", 13]], [["send", "x", ["0", 13]]], "8-9"),
    at(0, "send", [["send", "x", 13]], [["send", "x", [3, 14]]], "8-9"),
    at(0, "send", [["send", "x", 13]], 7, "8-9"),
    at(0, "send", 13, None, "8-9", key="x"),
    at(0, "send", {"msg": 13}, 3, "8-9"),
    at(0, "poll", [["poll"]], [["poll", {"x": [[3]]}]], "8-9"),
    at(0, "poll", [["poll"]], [["poll", {"x": [[True, 13]]}]], "8-9"),
    at(0, "poll", [["poll"]], [["poll", {"x": {"3": 13}}]], "8-9"),
    at(0, "poll", None, [[3, 13]], "8-9"),
    at(0, "poll", {"x": -1}, {}, "8-9"),
    at(0, "txn", 5, 5, "8-9"),
    at(0, "assign", "x", "x", "8-9"),
    at(0, "list_committed_offsets", ["x"], ["x"], "8-9"),
]


@pytest.mark.parametrize("reply", STRANGE)
def test_strange_events_are_neither_valid_nor_a_crash(reply: Call) -> None:
    """What is not understood is counted and named, and leaves the rest as it was (Jepsen's checker
    throws: maelstrom #98)."""
    verdict = check(*SENT, READ, reply)
    assert (verdict.validity, verdict.reason) == (Validity.UNKNOWN, "malformed")
    assert verdict.details["anomaly_counts"] == {}
    assert verdict.details["malformed"]["operations"] == [8]


def test_lag_is_how_long_something_later_was_there() -> None:
    """The poll at 20 ms stopped at offset 0 although offset 1 was acknowledged at 3 ms."""
    verdict = check(*SENT, poll(1, "20-21", (0, 10)), poll(2, "22-23", *ALL))
    assert verdict.details["worst_lag"] == {"seconds": 0.017, "key": "x", "operation": 6}
