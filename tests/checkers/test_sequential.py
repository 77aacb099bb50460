"""Sequential consistency: golden histories, all keys together, any model, and a brute force."""

from __future__ import annotations

import random
from dataclasses import replace
from typing import Any

import pytest

from checkers.linearizable import Linearizable
from checkers.sequential import Sequential
from harness.core.contracts import CheckContext
from harness.core.verdict import Validity, Verdict
from tests.checkers.builders import Op, build, history, parse
from tests.checkers.rw_register_cases import history as transactions
from tests.checkers.sequential_oracle import judge, random_ops, run


def judged(*lines: str, model: str = "cas-register", **options: Any) -> Verdict:
    return Sequential().check(history(*lines), CheckContext(model=model, options=options))


VALID = (
    ("stale, but another process", ("0 w 1 0-1", "0 w 2 2-3", "1 r 1 4-5", "1 r 2 6-7")),
    (
        "two writers in the order of a reader",
        ("0 w 1 0-1", "1 w 2 0-1", "2 r 2 2-3", "2 r 1 4-5", "3 r 2 2-3"),
    ),
    ("info that may have happened", ("0 w 1 0-1?", "1 r - 2-3", "1 r 1 4-5")),
    ("compare and set of a stale value", ("0 w 1 0-1", "0 w 2 2-3", "1 c 1:3 4-5", "1 r 3 6-7")),
)
INVALID = (
    ("a process forgets its write", ("0 w 1 0-1", "0 r - 2-3")),
    ("back in time", ("0 w 1 0-1", "0 w 2 2-3", "1 r 2 4-5", "1 r 1 6-7")),
    (
        "two readers, two orders",
        ("0 w 1 0-1", "1 w 2 0-1", "2 r 1 2-3", "2 r 2 4-5", "3 r 2 2-3", "3 r 1 4-5"),
    ),
    ("a value from nowhere", ("0 w 1 0-1", "1 r 7 2-3")),
    ("one value replaced twice", ("0 w 1 0-1", "1 c 1:2 2-3", "2 c 1:3 4-5")),
    (
        "info that must have found what is gone",
        ("0 w 1 0-1", "0 w 2 2-3", "0 r 2 4-5", "1 c 1:9 0-1?", "0 r 9 6-7"),
    ),
)


@pytest.mark.parametrize("lines", [row[1] for row in VALID], ids=[row[0] for row in VALID])
def test_sequential_registers(lines: tuple[str, ...]) -> None:
    """Each of these has an order."""
    verdict = judged(*lines)
    assert verdict.validity is Validity.VALID, verdict.sentence
    assert "sequential" in verdict.sentence


@pytest.mark.parametrize("lines", [row[1] for row in INVALID], ids=[row[0] for row in INVALID])
def test_registers_that_are_not_sequential(lines: tuple[str, ...]) -> None:
    """Each of these has none, and says which operations show it."""
    verdict = judged(*lines)
    assert verdict.validity is Validity.INVALID
    assert verdict.anomalies[0].operations


def test_it_is_not_local() -> None:
    """Every key by itself is sequential, all together are not (Herlihy & Wing 1990, 3.3)."""
    lines = (
        "0 w 1 0-1 key=x",
        "0 r - 2-3 key=y",
        "1 w 1 0-1 key=y",
        "1 r - 2-3 key=x",
    )
    for key in "xy":
        assert judged(*(line for line in lines if f"key={key}" in line)).validity is Validity.VALID
    verdict = judged(*lines)
    assert verdict.validity is Validity.INVALID
    assert len(verdict.anomalies[0].operations) == 4
    assert verdict.anomalies[0].name == "not-sequential"


def test_transactions_are_operations_on_the_whole_store() -> None:
    """A torn read is not sequential; a stale one is."""
    torn = transactions("0 0-1 wx1 wy1", "1 2-3 rx1 ry-")
    assert Sequential().check(torn, CheckContext()).validity is Validity.INVALID
    stale = transactions("0 0-1 wx1 wy1", "1 2-3 rx- ry-")
    assert Sequential().check(stale, CheckContext()).validity is Validity.VALID


def test_other_objects_are_searched() -> None:
    """A queue that gives its values in another order than one process put them in."""
    lines = (
        "0 enqueue 1 0-1",
        "0 enqueue 2 2-3",
        "1 dequeue 2 4-5",
        "1 dequeue 1 6-7",
        "2 enqueue 9 0-1",
        "3 dequeue 9 9-10",
    )
    verdict = judged(*lines, model="queue")
    assert verdict.validity is Validity.INVALID
    shown = verdict.anomalies[0].operations
    assert len(shown) == 4  # the value 9 is not needed
    assert "enqueue" in verdict.sentence
    late = ("0 enqueue 1 0-1", "1 dequeue - 4-5", "1 dequeue 1 6-7")
    assert judged(*late, model="queue").validity is Validity.VALID
    assert judged(*late, object="queue").validity is Validity.VALID


def test_what_cannot_be_judged_is_unknown() -> None:
    """Nothing observed, functions that no object has, and a search that is too long."""
    assert judged("0 w 1 0-1").reason == "vacuous"
    assert judged("0 fly 1 0-1").reason == "unsupported"
    lines = [f"{n} enqueue {n} 0-1" for n in range(12)] + ["99 dequeue 77 0-1"]
    verdict = Sequential(steps_max=500).check(history(*lines), CheckContext(model="queue"))
    assert verdict.validity is Validity.UNKNOWN
    assert verdict.reason == "timeout"


def test_refused_compare_and_sets_found_something_else() -> None:
    """One that succeeded in saying false certainly did not find the old value."""
    ops = [parse("0 w 1 0-1"), replace(parse("0 c 1:2 2-3"), value=[1, 2])]
    found = build(ops)
    rows = [
        replace_value(event, False) if event.type == "ok" and event.f == "cas" else event
        for event in found.events()
    ]
    refused = type(found).from_events(rows)
    assert Sequential().check(refused, CheckContext()).validity is Validity.INVALID


def replace_value(event: Any, value: Any) -> Any:
    return type(event)(
        **{**{name: getattr(event, name) for name in event.__struct_fields__}, "value": value}
    )


def test_null_reads_that_say_nothing() -> None:
    """Under the models whose null reads say nothing, forgetting is not seen."""
    lines = ("0 w 1 0-1", "0 r - 2-3", "0 r 1 4-5")
    assert judged(*lines, model="cas-register").validity is Validity.INVALID
    assert judged(*lines, model="cas-register-null-reads-anything").validity is Validity.VALID
    assert judged("0 r 5 0-1", "1 w 6 0-1", model="register:initial=5").validity is Validity.VALID


def test_whatever_is_linearizable_is_sequential() -> None:
    """And the verdict is the same with other processes, other times, and one key more."""
    seen = 0
    for seed in range(120):
        source = random.Random(seed)
        ops = random_ops(source, "cas-register")
        plain = [replace(op, key=None) for op in ops]
        context = CheckContext(model="cas-register")
        first = Sequential().check(build(ops), context).validity
        if Linearizable().check(build(plain), context).validity is Validity.VALID:
            assert Sequential().check(build(plain), context).validity is not Validity.INVALID, seed
            seen += 1
        for variant in (
            [replace(op, process=op.process + 40) for op in ops],
            [replace(op, call=op.call * 3 + 9, ret=(op.ret or 0) * 3 + 9) for op in ops],
            [*ops, Op(process=90, f="write", value=1, call=0, ret=1, key="unconcerned")],
        ):
            assert Sequential().check(build(variant), context).validity is first, seed
    assert seen > 10


def test_random_histories_are_judged_right() -> None:
    """Nothing that is said is wrong, and everything is decided; more with
    ``python -m tests.checkers.sequential_oracle --histories 50000``."""
    counts = run(700)
    assert not [name for name in counts if name[2] == "unknown"]
    assert counts["cas-register", False, "invalid"] > 20
    assert counts["cas-register", True, "valid"] > 200


def test_proofs_are_illegal_by_themselves() -> None:
    """What an anomaly names has no order when nothing else happened."""
    proofs = 0
    for seed in range(400):
        model = ("cas-register", "queue", "set")[seed % 3]
        ops = sorted(random_ops(random.Random(seed), model), key=lambda op: op.call)
        found = build(ops)
        starts = [event.index for event in found.events() if event.type == "invoke"]
        for one in Sequential().check(found, CheckContext(model=model)).anomalies:
            part = [op for op, index in zip(ops, starts, strict=True) if index in one.operations]
            assert not judge(model, part), (seed, one)
            proofs += 1
    assert proofs > 15
