"""Invariants: a history that keeps each beside one that breaks it, and what is never valid."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from harness import registry
from harness.core.contracts import CheckContext
from harness.core.fault import Fault, FaultInterval
from harness.core.verdict import Validity, Verdict
from tests.checkers.invariants_histories import Call, at, build
from tests.checkers.invariants_oracle import verdict_on

NAMES = (
    "bank", "causal-reverse", "fifo-queue", "g2", "kafka", "lock", "long-fork", "monotonic",
    "total-queue", "unique-ids",
)  # fmt: skip


def r(**values: Any) -> list[list[Any]]:
    return [["r", key, value] for key, value in values.items()]


def w(key: str, value: Any = 1) -> list[list[Any]]:
    return [["w", key, value]]


TRANSFER = {"from": "a", "to": "b", "amount": 5}
GOLDEN: Sequence[tuple[str, Mapping[str, Any], list[Call], list[Call], str, str]] = [
    (
        "unique-ids",
        {},
        [at(0, "generate", None, 17, "0-1"), at(1, "generate", None, "17", "0-1")],
        [at(0, "generate", None, 17, "0-1"), at(1, "generate", None, 17, "2-3")],
        "duplicate-id",
        "Process 0 and process 1 were both given the id 17.",
    ),
    (
        "total-queue",
        {},
        [
            at(0, "enqueue", 1, 1, "0-1"),
            at(0, "enqueue", 2, 2, "2-3"),
            at(1, "dequeue", None, 2, "4-5"),
            at(1, "drain", None, [1], "6-7"),
        ],
        [
            at(0, "enqueue", 1, 1, "0-1"),
            at(0, "enqueue", 2, 2, "2-3"),
            at(1, "dequeue", None, 2, "4-5"),
            at(1, "dequeue", None, None, "6-7"),
        ],
        "lost",
        "1, which process 0 enqueued by 1.000 ms, never came out of the queue, which process 1 "
        "found empty after 6.000 ms.",
    ),
    (
        "total-queue",
        {"delivery": "exactly-once"},
        [at(0, "enqueue", 1, 1, "0-1"), at(1, "dequeue", None, 1, "2-3")],
        [
            at(0, "enqueue", 1, 1, "0-1"),
            at(1, "dequeue", None, 1, "2-3"),
            at(2, "dequeue", None, 1, "4-5"),
        ],
        "duplicate",
        "1 came out of the queue 2 times, but was enqueued at most 1 time.",
    ),
    (
        "fifo-queue",
        {},
        [
            at(0, "enqueue", 1, 1, "0-1"),
            at(0, "enqueue", 2, 2, "2-3"),
            # Two consumers: what each got first, nobody knows.
            at(1, "dequeue", None, 2, "4-9"),
            at(2, "dequeue", None, 1, "5-8"),
        ],
        [
            at(0, "enqueue", 1, 1, "0-1"),
            at(0, "enqueue", 2, 2, "2-3"),
            at(1, "dequeue", None, 2, "4-5"),
            at(1, "dequeue", None, 1, "6-7"),
        ],
        "reordered",
        "Process 1 dequeued 2 before 1, but process 0 had enqueued 1 before 2.",
    ),
    (
        "bank",
        {},
        [
            at(0, "read", None, {"a": 10, "b": 0}, "0-1"),
            at(1, "transfer", TRANSFER, TRANSFER, "2-3"),
            at(0, "read", None, {"a": 5, "b": 5}, "4-5"),
        ],
        [
            at(0, "read", None, {"a": 10, "b": 0}, "0-1"),
            at(1, "transfer", TRANSFER, TRANSFER, "2-3"),
            at(0, "read", None, {"a": 10, "b": 5}, "4-5"),
        ],
        "wrong-total",
        "Process 0 read a total of 15 at 5.000 ms, but the total is 10, as process 0 had read it.",
    ),
    (
        "bank",
        {"total": 10},
        [
            at(1, "transfer", TRANSFER, TRANSFER, "2-3"),
            at(0, "read", None, [["r", 0, 4], ["r", 1, 6]], "4-5"),
        ],
        [
            at(1, "transfer", TRANSFER, TRANSFER, "2-3"),
            at(0, "read", None, [["r", 0, -4], ["r", 1, 14]], "4-5"),
        ],
        "negative-balance",
        'Process 0 read a balance of -4 of the account "0".',
    ),
    (
        "long-fork",
        {},
        [
            at(0, "txn", w("x"), w("x"), "0-1"),
            at(1, "txn", w("y"), w("y"), "0-1"),
            at(2, "txn", r(x=None, y=None), r(x=1, y=None), "2-3"),
            at(3, "txn", r(x=None, y=None), r(x=1, y=1), "2-3"),
        ],
        [
            at(0, "txn", w("x"), w("x"), "0-1"),
            at(1, "txn", w("y"), w("y"), "0-1"),
            at(2, "txn", r(x=None, y=None), r(x=1, y=None), "2-3"),
            at(3, "txn", r(y=None, x=None), r(y=1, x=None), "2-3"),
        ],
        "long-fork",
        'Process 2 saw the write of "x" but not that of "y" (at 3.000 ms), and process 3 saw the '
        'write of "y" but not that of "x" (at 3.000 ms).',
    ),
    (
        "monotonic",
        {},
        [
            at(0, "add", None, [100, 1], "0-1"),
            at(1, "read", None, {"value": 2, "timestamp": 107}, "2-3"),
        ],
        [
            at(0, "add", None, ["1483228800000000000.0000000001", 2], "0-1"),
            at(1, "add", None, ["1483228800000000000.0000000002", 1], "2-3"),
        ],
        "timestamp-order",
        'The counter was 2 at timestamp "1483228800000000000.0000000001" (process 0) and 1 at '
        '"1483228800000000000.0000000002" (process 1), although it only grows.',
    ),
    (
        "causal-reverse",
        {},
        [
            at(0, "write", 1, 1, "0-1"),
            at(1, "write", 2, 2, "1-3"),  # touches the first: concurrent
            at(2, "read", None, [2], "4-5"),
        ],
        [
            at(0, "write", 1, 1, "0-1"),
            at(1, "write", 2, 2, "2-3"),
            at(2, "read", None, [2], "4-5"),
        ],
        "causal-reverse",
        "Process 2 saw 2 but not 1 (by 5.000 ms), although the write of 1 by process 0 had "
        "returned (at 1.000 ms) before that of 2 by process 1 was invoked (at 2.000 ms).",
    ),
    (
        "g2",
        {},
        [
            at(0, "insert", [1, None], [1, None], "0-1", key=5),
            at(1, "insert", [None, 2], [None, 2], "0-1!", key=5),
        ],
        [
            at(0, "insert", [1, None], [1, None], "0-1", key=5),
            at(1, "insert", [None, 2], [None, 2], "0-1", key=5),
        ],
        "G2",
        "Process 0 inserted [1,null] and process 1 inserted [null,2] (key 5): each must have "
        "missed the row of the other.",
    ),
    (
        "lock",
        {},
        [
            at(0, "acquire", None, None, "0-1"),
            at(0, "release", None, None, "3-9"),
            at(1, "acquire", None, None, "2-5"),
        ],
        [
            at(0, "acquire", None, None, "0-1"),
            at(0, "release", None, None, "8-9"),
            at(1, "acquire", None, None, "2-5"),
        ],
        "mutual-exclusion",
        "Process 1 acquired the lock by 5.000 ms, while process 0 held it since 1.000 ms until "
        "8.000 ms at least.",
    ),
    (
        "lock",
        {"lease-s": 0.003},
        [at(0, "acquire", None, 7, "0-1"), at(1, "acquire", None, 8, "2-5")],
        [at(0, "acquire", None, 7, "0-1"), at(1, "acquire", None, 7, "3-5")],
        "token-order",
        "Process 1 acquired the lock with token 7, but process 0 had token 7 (by 1.000 ms).",
    ),
    (
        "lock",
        {},
        [
            at(0, "acquire", None, {"token": 1}, "0-1"),
            at(0, "release", None, None, "2-3"),
            at(1, "acquire", None, {"token": 2}, "4-5"),
            at(1, "write", {"token": 2}, None, "6-7"),
            at(0, "write", {"token": 1}, None, "7-8"),  # touches: the order is open
        ],
        [
            at(0, "acquire", None, {"token": 1}, "0-1"),
            at(0, "release", None, None, "2-3"),
            at(1, "acquire", None, {"token": 2}, "4-5"),
            at(1, "write", {"token": 2}, None, "6-7"),
            at(0, "write", {"token": 1}, None, "8-9"),
        ],
        "stale-token",
        "A write of process 0 with token 1 was accepted (by 9.000 ms) after one of process 1 with "
        "token 2 (by 7.000 ms).",
    ),
    (
        "lock",
        {"permits": 2},
        [
            at(0, "acquire", 2, None, "0-1"),
            at(0, "release", 1, None, "2-3"),
            at(1, "acquire", 1, None, "4-5"),
        ],
        [
            at(0, "acquire", 2, None, "0-1"),
            at(0, "release", 1, None, "6-7"),
            at(1, "acquire", 1, None, "4-5"),
        ],
        "mutual-exclusion",
        "Process 1 acquired the lock by 5.000 ms, while all 2 permits were held.",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("name", "options", "good", "bad", "anomaly", "sentence"), GOLDEN)
def test_golden_pairs(
    name: str,
    options: Mapping[str, Any],
    good: list[Call],
    bad: list[Call],
    anomaly: str,
    sentence: str,
) -> None:
    """The first keeps the invariant; the second breaks it, by this anomaly, said in these words."""
    assert verdict_on(name, good, options, scale=1_000_000).validity is Validity.VALID
    verdict = verdict_on(name, bad, options, scale=1_000_000)
    assert verdict.validity is Validity.INVALID
    assert verdict.sentence == sentence
    assert verdict.anomalies[0].name == anomaly


MALFORMED = [
    ("unique-ids", at(0, "generate", None, None, "10-11")),
    ("total-queue", at(0, "drain", None, 5, "10-11")),
    ("fifo-queue", at(0, "drain", None, None, "10-11")),
    ("bank", at(0, "read", None, {"a": "ten", "b": 0}, "10-11")),
    ("bank", at(0, "read", None, [], "10-11")),
    ("long-fork", at(9, "txn", r(x=None), 7, "10-11")),
    ("monotonic", at(0, "add", None, 5, "10-11")),
    ("causal-reverse", at(0, "read", None, {"1": True}, "10-11")),
    ("g2", at(0, "insert", [1, None], [1, None], "10-11")),
]


@pytest.mark.parametrize(("name", "reply"), MALFORMED)
def test_replies_of_the_wrong_shape_are_never_valid(name: str, reply: Call) -> None:
    """A history that is fine but for one reply of another form is unknown, and says which
    (Maelstrom judged such nodes valid: maelstrom #14, #57)."""
    good = next(row[2] for row in GOLDEN if row[0] == name)
    verdict = verdict_on(name, [*good, reply], {})
    assert verdict.validity is Validity.UNKNOWN
    assert verdict.reason == "malformed"
    assert verdict.details["malformed"]["count"] == 1
    assert "wrong form" in verdict.sentence


@pytest.mark.parametrize("name", NAMES)
def test_what_did_not_succeed_is_vacuous(name: str) -> None:
    """Histories whose operations all failed, or all have unknown outcomes, prove nothing (users saw
    "valid" though nothing had succeeded: openraft #1910)."""
    good = next((row[2] for row in GOLDEN if row[0] == name), [at(0, "send", 1, 0, "0-1", key="k")])
    for outcome in ("fail", "open"):
        dead = [
            Call(
                process=10 * place + call.process,
                f=call.f,
                argument=call.argument,
                call=call.call,
                ret=call.ret,
                outcome=outcome,
                key=call.key,
            )
            for place, call in enumerate(good)
        ]
        verdict = verdict_on(name, dead, {})
        assert (verdict.validity, verdict.reason) == (Validity.UNKNOWN, "vacuous"), outcome


def test_values_may_go_in_again() -> None:
    """A value that is enqueued twice may come out twice, and one of the two can be lost
    (Maelstrom's sets never add again: maelstrom #95)."""
    twice = [at(0, "enqueue", 1, 1, "0-1"), at(0, "enqueue", 1, 1, "2-3")]
    out = [at(1, "dequeue", None, 1, "4-5"), at(1, "drain", None, [1], "6-7")]
    options = {"delivery": "exactly-once"}
    assert verdict_on("total-queue", twice + out, options).validity is Validity.VALID
    lost = verdict_on("total-queue", [*twice, out[0], at(1, "drain", None, [], "6-7")], options)
    assert lost.validity is Validity.INVALID
    assert lost.details["lost"] == 1
    assert "it came out 1 of 2 times" in lost.sentence


def test_a_loss_needs_a_proof() -> None:
    """What never came out is lost only if the queue was seen empty afterwards, and if dequeues of
    unknown outcome cannot have taken it."""
    put = [at(0, "enqueue", 1, 1, "0-1"), at(0, "enqueue", 2, 2, "2-3")]
    taken = at(1, "dequeue", None, 1, "4-5")
    assert verdict_on("total-queue", [*put, taken], {}).reason == "undrained"
    empty = at(1, "dequeue", None, None, "10-11")
    assert verdict_on("total-queue", [*put, taken, empty], {}).validity is Validity.INVALID
    early = [at(2, "dequeue", None, None, "1-2"), at(1, "dequeue", None, 1, "2-3")]
    assert verdict_on("total-queue", [*put, *early], {}).reason == "undrained"
    unsure = at(2, "dequeue", None, None, "5-6?")
    assert verdict_on("total-queue", [*put, taken, unsure, empty], {}).reason == "indeterminate"
    both = verdict_on("total-queue", [*put, unsure, empty], {})
    assert both.validity is Validity.INVALID
    assert both.details["lost"] == 1
    drained = at(3, "drain", None, None, "5-6?")
    assert verdict_on("total-queue", [*put, drained, empty], {}).reason == "indeterminate"
    apart = build([*put, taken, empty], realtime=False)
    assert judged("total-queue", apart).reason == "undrained"


def judged(name: str, history: Any, **context: Any) -> Verdict:
    verdict: Verdict = registry.load("checkers", name).check(history, CheckContext(**context))
    return verdict


def test_failed_enqueues_and_values_from_the_future_are_unexpected() -> None:
    """A value whose enqueue failed, or only began later, must not come out."""
    end = [at(1, "enqueue", 2, 2, "5-6"), at(1, "dequeue", None, 2, "7-8")]
    failed = [at(0, "enqueue", 1, 1, "0-1!"), at(2, "dequeue", None, 1, "2-3"), *end]
    assert "had failed" in verdict_on("total-queue", failed, {}).sentence
    early = [at(0, "enqueue", 1, 1, "4-5"), at(2, "dequeue", None, 1, "2-3"), *end]
    assert "nobody began to enqueue before" in verdict_on("total-queue", early, {}).sentence
    # Without real time, only its own process could tell.
    apart = judged("total-queue", build(early, realtime=False))
    assert "unexpected" not in apart.details["anomaly_counts"]


def test_holders_that_are_gone_hold_nothing() -> None:
    """A process whose operation has an unknown outcome may have lost its session; a failed release
    frees nothing."""
    first = at(0, "acquire", None, None, "0-1")
    second = at(1, "acquire", None, None, "6-7")
    gone = at(0, "read", None, None, "2-3?")
    assert verdict_on("lock", [first, gone, second], {}).validity is Validity.VALID
    kept = at(0, "release", None, None, "2-3!")
    assert verdict_on("lock", [first, kept, second], {}).validity is Validity.INVALID


def test_who_was_refused_holds_nothing() -> None:
    """An ``acquire`` that answers ``false`` came to an end, but without the lock."""
    calls = [
        at(0, "acquire", None, True, "0-1"),
        at(1, "acquire", None, False, "2-3"),
        at(0, "release", None, True, "4-5"),
        at(1, "acquire", None, True, "6-7"),
    ]
    assert verdict_on("lock", calls, {}).validity is Validity.VALID


def test_a_lock_without_real_time_is_unknown() -> None:
    """Nothing shows that two held it at once where times of processes cannot be compared."""
    calls = [at(0, "acquire", None, None, "0-1"), at(1, "acquire", None, None, "2-3")]
    assert judged("lock", build(calls, realtime=False)).reason == "no-real-time"


def test_causal_reverse_without_real_time_goes_by_process() -> None:
    """Only the writes of one process are ordered then."""
    read = at(2, "read", None, [2], "4-5")
    other = [at(0, "write", 1, 1, "0-1"), at(1, "write", 2, 2, "2-3"), read]
    same = [at(0, "write", 1, 1, "0-1"), at(0, "write", 2, 2, "2-3"), read]
    assert judged("causal-reverse", build(other, realtime=False)).validity is Validity.VALID
    assert judged("causal-reverse", build(same, realtime=False)).validity is Validity.INVALID


def test_bank_options() -> None:
    """Accounts and totals as told; an account of which nobody said anything is none."""
    calls = [
        at(1, "transfer", TRANSFER, TRANSFER, "0-1"),
        at(0, "read", None, {"a": 3, "b": 7}, "2-3"),
        at(0, "read", None, {"a": 3, "b": 6, "c": 1}, "4-5"),
    ]
    assert verdict_on("bank", calls, {}).anomalies[0].name == "unexpected-account"
    told = {"accounts": ("a", "b", "c")}
    assert verdict_on("bank", calls, told).validity is Validity.VALID
    wrong = verdict_on("bank", calls, {**told, "total": 11})
    assert wrong.details["anomaly_counts"] == {"wrong-total": 2}
    assert wrong.anomalies[0].operations == (2,)


def test_long_fork_between_reads_of_different_keys() -> None:
    """Reads that share two keys are compared, whatever else they read."""
    calls = [
        at(0, "write", 1, 1, "0-1", key="x"),
        at(1, "write", 1, 1, "0-1", key="y"),
        at(2, "txn", r(x=None, y=None), r(x=1, y=None), "2-3"),
        at(3, "txn", r(y=None, z=None, x=None), r(y=1, z=None, x=None), "2-3"),
    ]
    verdict = verdict_on("long-fork", calls, {})
    assert verdict.details["anomaly_counts"] == {"long-fork": 1}
    assert verdict.anomalies[0].operations == (0, 1, 4, 5)


def test_availability_target_by_phase() -> None:
    """The share may be asked of the whole run, of its healthy part, or of the faults."""
    fault = Fault(number=1, nemesis="kill", control="kill", target="one", state=(("n1",),))
    faults = (FaultInterval(fault=fault, start_ns=10, end_ns=20, bit=True),)
    calls = [
        at(0, "read", None, 1, "0-1"),
        at(0, "read", None, 1, "12-13!"),
        at(0, "read", None, 1, "14-15"),
        at(0, "read", None, 1, "22-23"),
    ]

    def ask(during: str, target: float, **context: Any) -> Verdict:
        options = {"during": during, "target": target}
        return judged("availability-target", build(calls), options=options, **context)

    assert ask("overall", 0.75, faults=faults).validity is Validity.VALID
    assert ask("healthy", 1.0, faults=faults).validity is Validity.VALID
    broken = ask("faults", 0.51, faults=faults)
    assert broken.sentence == (
        "Only 50.00% of 2 operations succeeded under faults; the target is 51.00%."
    )
    assert broken.anomalies[0].operations == (2,)
    assert ask("faults", 0.5).reason == "vacuous"
    failed = build([at(0, "read", None, 1, "0-1!")])
    assert judged("availability-target", failed, options={"target": 0.0}).reason == "vacuous"
