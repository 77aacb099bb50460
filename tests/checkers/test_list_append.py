"""The list-append checker: each anomaly and its harmless neighbour, brute force, other names."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import pytest

from checkers import lattice
from checkers.transactions import list_append, list_append_inference
from checkers.transactions.cycle_kinds import NAMES
from checkers.transactions.list_append import ListAppend
from checkers.transactions.list_append_findings import CASES_MAX, FINDINGS
from harness.core.contracts import CheckContext
from harness.core.history import History
from harness.core.operation import Event
from harness.core.verdict import Validity, Verdict
from tests.checkers.list_append_cases import store, txns
from tests.checkers.list_append_oracle import JUDGES, Txn, build, disagreements, tiny, verdict
from tests.checkers.list_append_orders import LEVELS

Lines = tuple[str, ...]

GOLDEN: dict[str, tuple[Lines, Lines]] = {
    "G1a": (
        ("0 0-10! | append x 1", "1 20-30 | r x 1"),
        ("0 0-10? | append x 1", "1 20-30 | r x 1"),
    ),
    "G1b": (
        ("0 0-10 | append x 1, append x 2", "1 5-8 | r x 1"),
        ("0 0-10 | append x 1, append x 2", "1 5-8 | r x 1 2"),
    ),
    "internal": (
        ("0 0-1 | append x 1", "0 2-3 | r x 1, append x 2, r x 1"),
        ("0 0-1 | append x 1", "0 2-3 | r x 1, append x 2, r x 1 2"),
    ),
    "future-read": (
        ("0 0-10 | r x 1, append x 1",),
        ("0 0-10 | r x, append x 1, r x 1",),
    ),
    "dirty-update": (
        ("0 0-5! | append x 1", "1 6-8 | append x 2", "2 9-10 | r x 1 2"),
        ("0 0-5! | append x 1", "1 6-8 | append x 2", "2 9-10 | r x 2"),
    ),
    "lost-update": (
        ("0 0-9 | r x, append x 1", "1 0-9 | r x, append x 2", "2 20-30 | r x 1 2"),
        ("0 0-9 | r x, append x 1", "1 0-9 | r x 1, append x 2", "2 20-30 | r x 1 2"),
    ),
    "incompatible-order": (
        ("0 0-9 | append x 1", "1 0-9 | append x 2", "2 0-9 | r x 1 2", "3 0-9 | r x 2"),
        ("0 0-9 | append x 1", "1 0-9 | append x 2", "2 0-9 | r x 1 2", "3 0-9 | r x 1"),
    ),
    "duplicate-elements": (
        ("0 0-9 | append x 1", "1 0-9 | r x 1 1"),
        ("0 0-9 | append x 1", "1 0-9 | r x 1"),
    ),
    "garbage-read": (
        ("0 0-9 | append x 1", "1 0-9 | r x 7"),
        ("0 0-9 | append x 1, append x 7", "1 10-19 | r x 1 7"),
    ),
    "cyclic-versions": (
        ("0 0-9 | append x 1, append x 2", "1 10-19 | r x 2 1"),
        ("0 0-9 | append x 1, append x 2", "1 10-19 | r x 1 2"),
    ),
    "G0": (
        ("0 0-9 | append x 1, append y 1", "1 0-9 | append x 2, append y 2",
         "2 10-19 | r x 1 2, r y 2 1"),
        ("0 0-9 | append x 1, append y 1", "1 0-9 | append x 2, append y 2",
         "2 10-19 | r x 1 2, r y 1 2"),
    ),
    "G1c": (
        ("0 0-9 | append x 1, r y 1", "1 0-9 | append y 1, r x 1"),
        ("0 0-9 | append x 1, r y 1", "1 0-9 | append y 1, r x"),
    ),
    "G-single": (
        ("0 0-9 | append x 1, append y 1", "1 0-9 | r x 1, r y"),
        ("0 0-9 | append x 1, append y 1", "1 0-9 | r x 1, r y 1"),
    ),
    "G-nonadjacent": (
        ("0 0-9 | append x 1", "1 0-9 | append y 1", "2 0-9 | r x 1, r y", "3 0-9 | r x, r y 1"),
        ("0 0-9 | append x 1", "1 0-9 | append y 1", "2 0-9 | r x 1, r y", "3 0-9 | r x, r y"),
    ),
    "G2-item": (
        ("0 0-9 | append x 1, r y", "1 0-9 | append y 1, r x"),
        ("0 0-9 | append x 1, r y", "1 0-9 | append y 1, r x 1"),
    ),
    "G0-process": (
        ("0 0-1 | append x 1", "0 2-3 | append x 2", "1 4-5 | r x 2 1"),
        ("0 0-1 | append x 1", "0 2-3 | append x 2", "1 4-5 | r x 1 2"),
    ),
    "G1c-process": (
        ("0 0-1 | r x 1", "0 2-3 | append x 1"),
        ("0 0-1 | r x", "0 2-3 | append x 1"),
    ),
    "G-single-process": (
        ("0 0-1 | append x 1", "0 2-3 | r x"),
        ("0 0-1 | append x 1", "0 2-3 | r x 1"),
    ),
    "G-nonadjacent-process": (
        ("0 0-9 | r x, r z 1", "1 0-1 | append x 1", "1 2-3 | r z", "2 0-9 | append z 1"),
        ("0 0-9 | r x, r z 1", "1 0-1 | append x 1", "1 2-3 | r z 1", "2 0-9 | append z 1"),
    ),
    "G2-item-process": (
        ("0 0-1 | append x 1, r y", "1 0-1 | append y 1, r z", "0 2-9 | r a", "2 0-8 | append z 1",
         "2 9-10 | r x"),
        ("0 0-1 | append x 1, r y", "1 0-1 | append y 1, r z", "0 2-9 | r a", "2 0-8 | append z 1",
         "2 9-10 | r x 1"),
    ),
    "G0-realtime": (
        ("0 0-1 | append x 1", "1 2-3 | append x 2", "2 4-5 | r x 2 1"),
        ("0 0-2 | append x 1", "1 2-3 | append x 2", "2 4-5 | r x 2 1"),
    ),
    "G1c-realtime": (
        ("0 0-1 | r x 1", "1 2-3 | append x 1"),
        ("0 0-2 | r x 1", "1 2-3 | append x 1"),
    ),
    "G-single-realtime": (
        ("0 0-1 | append x 1", "1 2-3 | r x"),
        ("0 0-2 | append x 1", "1 2-3 | r x"),
    ),
    "G-nonadjacent-realtime": (
        ("0 0-9 | r x, r z 1", "1 0-1 | append x 1", "3 2-3 | r z", "2 0-9 | append z 1"),
        ("0 0-9 | r x, r z 1", "1 0-2 | append x 1", "3 2-3 | r z", "2 0-9 | append z 1"),
    ),
    "G2-item-realtime": (
        ("0 0-9 | append x 1, r y", "1 0-9 | append y 1, r z", "2 0-1 | append z 1", "3 2-9 | r x"),
        ("0 0-9 | append x 1, r y", "1 0-9 | append y 1, r z", "2 0-2 | append z 1", "3 2-9 | r x"),
    ),
}  # fmt: skip
"""A history that has the anomaly, and one much like it that has not."""


def check(lines: Iterable[str], model: str | None = None, **options: Any) -> Verdict:
    return ListAppend().check(build(txns(*lines), **options), CheckContext(consistency_model=model))


@pytest.mark.parametrize("name", [*GOLDEN])
def test_each_anomaly_is_told_from_what_is_much_like_it(name: str) -> None:
    """Found in the one history; the other one has none at all."""
    bad, good = (check(lines) for lines in GOLDEN[name])
    assert name in bad.details["anomaly_counts"], bad
    assert bad.validity is Validity.INVALID
    assert good.validity is Validity.VALID, good
    assert not good.anomalies


def test_every_anomaly_has_a_pair() -> None:
    """Nothing that the checker looks for is without a golden pair."""
    missing = {*FINDINGS, *NAMES} - set(GOLDEN)
    assert not missing


@pytest.mark.parametrize("read", ["2 1", "2", "3 2 1", "2 3 1"])
def test_a_later_append_without_the_earlier_is_no_version(read: str) -> None:
    """Whether it comes after it, or not at all; also with another's element in between."""
    lines = ("0 0-9 | append x 1, r y, append x 2", "1 0-9 | append x 3", f"2 10-19 | r x {read}")
    verdict = check(lines, "read-uncommitted")
    assert verdict.validity is Validity.INVALID
    assert "cyclic-versions" in verdict.details["anomaly_counts"]
    assert check((*lines[:2], "2 10-19 | r x 1 2 3"), "serializable").validity is Validity.VALID


def test_the_brute_force_agrees_with_the_pairs() -> None:
    """No legal order where a golden history rules a model out, and one for its neighbour."""
    for name, (bad, good) in GOLDEN.items():
        for model, judge in JUDGES.items():
            assert judge(txns(*good)), (name, model)
            if model in lattice.ruled_out([name]):
                assert not judge(txns(*bad)), (name, model)


def test_tiny_histories_are_judged_as_by_trying_everything() -> None:
    """On random tiny histories, what holds has a legal order and what is ruled out has none."""
    tally: Counter[str] = Counter()
    for seed in range(900):
        source = random.Random(seed)
        wrong = disagreements(tiny(source), tally, realtime=source.random() < 0.85)
        assert not wrong, f"seed {seed}: {wrong} (python -m tests.checkers.list_append_oracle)"
    for model in JUDGES:
        assert tally[f"{model}: holds"] > 300
        assert tally[f"{model}: ruled out"] > 100
        assert sum(tally[f"{model}: not refuted, {one}legal"] for one in ("", "il")) < 20
    rare = {"G0", "G0-realtime", "G2-item-process", "G2-item-realtime"}
    rare |= {name for name in NAMES if name.startswith("G-nonadjacent")}
    assert all(tally[f"anomaly {name}"] for name in {*FINDINGS, *NAMES} - rare), tally


def test_tiny_histories_are_judged_as_by_all_orders_of_versions() -> None:
    """The same of the levels that are defined by graphs: read uncommitted, read committed and
    parallel snapshot isolation, and with the order of processes and real time."""
    tally: Counter[str] = Counter()
    for seed in range(700):
        source = random.Random(seed)
        history, realtime = tiny(source), source.random() < 0.85
        if verdict(history).reason != "ambiguous":
            wrong = disagreements(history, tally, realtime=realtime, judges=LEVELS)
            assert not wrong, f"seed {seed}: {wrong} (python -m tests.checkers.list_append_oracle)"
    for model in LEVELS:
        assert tally[f"{model}: holds"] > 300
        assert tally[f"{model}: ruled out"] > 15


def witness(history: list[Txn], operations: Iterable[int]) -> list[Txn] | None:
    """The transactions invoked at these indices; with others, free of any order, that append what
    they read and none of them appended. None if that makes too many to try."""
    ordered = [
        (time, kind, place)
        for place, one in enumerate(history)
        for time, kind in ((one.call, 0), (one.ret, 1))
        if time is not None
    ]
    place_of = {index: place for index, (_, kind, place) in enumerate(sorted(ordered)) if kind == 0}
    part = [history[place_of[index]] for index in operations]
    there = {(key, value) for one in part for f, key, value in one.micro if f == "append"}
    read = {
        (key, value)
        for one in part
        if one.outcome == "ok"
        for f, key, values in one.micro
        if f == "r"
        for value in values
    }
    others = [
        Txn(process=1000 + at, micro=(("append", *what),), call=0, ret=None, outcome="info")
        for at, what in enumerate(sorted(read - there))
    ]
    return [*part, *others] if len(part) + len(others) <= 6 else None


def test_witnesses_are_illegal_by_themselves() -> None:
    """The operations that an anomaly names have no legal order, even if others may have appended
    whatever they read."""
    tried: Counter[str] = Counter()
    for seed in range(450):
        history = tiny(random.Random(seed))
        for anomaly in verdict(history).anomalies:
            part = witness(history, anomaly.operations)
            if part is None or anomaly.name == "garbage-read":
                continue
            for model in JUDGES.keys() & lattice.ruled_out([anomaly.name]):
                assert not JUDGES[model](part), (seed, model, anomaly)
                tried[anomaly.name] += 1
    assert len(tried) >= 13, tried
    assert sum(tried.values()) > 250, tried


# --- other names, other times ---------------------------------------------------------------


def answers(found: Verdict) -> tuple[Any, ...]:
    """What may not depend on names."""
    details = found.details
    return (
        found.reason,
        *(details.get(name) for name in ("holds", "not_refuted", "ruled_out")),
        {name for name in details.get("anomaly_counts", {}) if name in FINDINGS},
    )


def renamed(source: random.Random, history: list[Txn]) -> list[Txn]:
    keys = {"x": "b", "y": "a", "z": "x"}
    values = {value: 10 * value + source.randint(0, 9) for value in range(1, 40)}
    names = source.sample(range(100), 60)
    processes = {one: names[at] for at, one in enumerate(sorted({one.process for one in history}))}
    shift, scale = source.randrange(10**12), source.randint(1, 1000)

    def told(micro: Any) -> Any:
        f, key, value = micro
        new = values[value] if f == "append" else tuple(values[one] for one in value)
        return f, keys[key], new

    return [
        replace(
            one,
            process=processes[one.process],
            micro=tuple(map(told, one.micro)),
            call=one.call * scale + shift,
            ret=None if one.ret is None else one.ret * scale + shift,
        )
        for one in history
    ]


def test_names_and_times_leave_the_verdict() -> None:
    """Neither names of processes, keys and values nor the scale of time matter, nor a key that
    only others use."""
    for seed in range(250):
        source = random.Random(seed)
        history = tiny(source)
        expected = answers(verdict(history))
        assert answers(verdict(renamed(source, history))) == expected, seed
        if expected[0] == "vacuous":
            continue
        end = max(one.ret or one.call for one in history)
        beside = [
            Txn(process=500, micro=(("append", "other", 1),), call=0, ret=1),
            Txn(process=501, micro=(("r", "other", (1,)),), call=end + 5, ret=end + 6),
        ]
        assert answers(verdict([*history, *beside])) == expected, seed


def test_a_fractured_read_is_told_apart_from_other_read_skew() -> None:
    """Of G-single, those in which a transaction saw one append of another and missed another one:
    no atomic read. A longer way around is none."""
    found = check(GOLDEN["G-single"][0], "read-atomic")
    assert found.details["anomaly_counts"] == {"G-single": 1, "fractured-read": 1}
    assert found.validity is Validity.INVALID
    assert found.anomalies[0].name == "fractured-read"
    assert found.anomalies[0].sentence == (
        "Fractured read: T2 read [1] from x, of which T1 appended 1; T1 appended 1 to y, which T2 "
        "did not see when it read []. So T1 must come before itself."
    )
    around = ("0 0-9 | append x 1", "1 0-9 | append y 1, r x 1", "2 0-9 | r x, r y 1")
    assert check(around).details["anomaly_counts"] == {"G-single": 1}


def test_without_real_time_nothing_is_said_of_it() -> None:
    """Where the order of events across processes means nothing, neither proof nor anomaly uses it,
    and strong session serializable is what is asked about."""
    stale = ("0 0-1 | append x 1", "1 5-6 | r x")
    assert check(stale).validity is Validity.INVALID
    found = check(stale, realtime=False)
    assert found.validity is Validity.VALID
    assert found.details["consistency_model"] == "strong-session-serializable"
    assert "strict-serializable" in found.details["not_refuted"]
    assert not found.anomalies


# --- a store, and what is planted in its history --------------------------------------------


def planted(name: str, history: list[Txn]) -> tuple[list[Txn], int]:
    """The history with a golden bad one on keys of its own in the middle of it, and how many
    transactions that has."""
    bad = txns(*GOLDEN[name][0])
    start = sorted(one.call for one in history)[len(history) // 2]
    return [
        *history,
        *(
            replace(
                one,
                process=1000 + one.process,
                micro=tuple((f, f"planted {key}", value) for f, key, value in one.micro),
                call=start + one.call,
                ret=None if one.ret is None else start + one.ret,
            )
            for one in bad
        ),
    ], len(bad)


@pytest.mark.parametrize("name", [*GOLDEN])
def test_a_planted_anomaly_is_found(name: str) -> None:
    """In a correct store of 300 transactions, each anomaly is found where it was planted."""
    history, size = planted(name, store(random.Random(8), transactions=300))
    found = verdict(history)
    assert name in found.details["anomaly_counts"]
    mine = {at for at, one in enumerate(sorted(history, key=lambda one: one.call))
            if one.process >= 1000}  # fmt: skip
    assert len(mine) == size
    for anomaly in found.anomalies:
        assert {process(history, index) for index in anomaly.operations} <= {
            one.process for one in history if one.process >= 1000
        }, anomaly


def process(history: list[Txn], index: int) -> int:
    built = build(history)
    return int(built.process[index])


def test_a_correct_store_passes() -> None:
    """Histories of a strict serializable store hold, with failures and indeterminate outcomes."""
    for seed in range(40):
        found = verdict(store(random.Random(seed), transactions=80))
        assert found.validity is Validity.VALID, (seed, found.sentence)
        assert found.details["strongest"] == ["strict-serializable"]
    assert found.details["failed"]
    assert found.details["indeterminate"]


def test_samples_are_bounded_and_counts_are_not() -> None:
    """Of very many cases a few are told, the first ones, and all are counted."""
    lines = [f"{at} {10 * at}-{10 * at + 5} | r x {at + 1}" for at in range(100)]
    found = check(lines)
    assert found.details["anomaly_counts"]["garbage-read"] == 100
    told = [one for one in found.anomalies if one.name == "garbage-read"]
    assert len(told) == CASES_MAX
    assert [one.operations for one in told] == [(2 * at,) for at in range(CASES_MAX)]
    assert found.details["anomaly_counts"]["incompatible-order"] == 99


# --- what cannot be known -------------------------------------------------------------------


def test_an_indeterminate_append_counts_once_it_is_seen() -> None:
    """All appends of a transaction happened if one was seen; else none need have."""
    torn = ("0 0-9? | append x 1, append y 1", "1 20-30 | r x 1, r y")
    assert check(torn).details["anomaly_counts"] == {"G-single": 1, "fractured-read": 1}
    assert check((torn[0], "1 20-30 | r x, r y")).validity is Validity.VALID


def test_the_same_append_twice_is_no_proof_of_anything() -> None:
    """Appends that are not unique are called that; other anomalies still count."""
    twice = ("0 0-9 | append x 1", "1 0-9 | append x 1", "2 10-19 | r x 1 1")
    found = check(twice)
    assert (found.validity, found.reason) == (Validity.UNKNOWN, "ambiguous")
    assert "1 was appended to 'x' more than once" in found.sentence
    thrice = check((*twice[:2], "2 10-19 | r x 1 1 1"))
    assert thrice.details["anomaly_counts"] == {"duplicate-elements": 1}
    again = check(("0 0-9! | append x 1", "0 10-19 | append x 1", "2 20-30 | r x 1"))
    assert again.validity is Validity.VALID, "the append that failed was tried again"


def test_the_order_of_unseen_appends_is_tried_for_snapshot_isolation() -> None:
    """Two unseen appends of transactions that must not overlap: ruled out only if certain."""
    skew = ("0 0-9 | append x 1, r y", "1 0-9 | append y 1, r x")
    assert "snapshot-isolation" in check(skew).details["holds"]
    both = ("0 0-9 | append x 1, r y, append z 1", "1 0-9 | append y 1, r x, append z 2")
    found = check(both)
    assert "snapshot-isolation" in found.details["not_refuted"]
    assert "2 appends that no read shows" in found.details["incomplete"]
    assert "read-committed" in found.details["holds"]
    beside = (*skew, "2 0-9 | append z 1", "3 0-9 | append z 2")
    assert "snapshot-isolation" in check(beside).details["holds"]


@pytest.mark.parametrize(
    ("lines", "reason"),
    [
        (("0 0-9 | append x 1",), "vacuous"),
        (("0 0-9 | r x",), "vacuous"),
        (("0 0-9? | append x 1", "1 0-9! | r x"), "vacuous"),
        (("0 0-9 |",), "vacuous"),
        (("0 0-9 | w x 1", "0 10-11 | r x 1"), "unsupported"),
    ],
)
def test_nothing_seen_is_unknown(lines: Lines, reason: str) -> None:
    """Without a read that could have seen an append there is no verdict, nor of other things."""
    found = check(lines)
    assert (found.validity, found.reason) == (Validity.UNKNOWN, reason)


def test_a_read_of_no_list_is_unsupported() -> None:
    """A register is none of the checker's business, and it says what it found."""
    history = History.from_events(
        [
            Event(index=0, time=0, process=0, type="invoke", f="txn", value=[["r", "x", None]]),
            Event(index=1, time=1, process=0, type="ok", f="txn", value=[["r", "x", 5]]),
        ]
    )
    found = ListAppend().check(history, CheckContext())
    assert (found.reason, "5" in found.sentence) == ("unsupported", True)


def test_a_crash_is_unknown(monkeypatch: pytest.MonkeyPatch) -> None:
    """A checker that crashes never passes."""
    monkeypatch.setattr(list_append, "infer", lambda *_: 1 / 0)
    found = check(GOLDEN["G1a"][1])
    assert (found.validity, found.reason) == (Validity.UNKNOWN, "crash")
    assert "ZeroDivisionError" in found.sentence


@pytest.mark.parametrize("stages", range(1, 6))
def test_the_time_limit_ends_it_between_stages(stages: int) -> None:
    """Unknown with the reason, unless what was found by then decides."""
    for name, expected in (("G1a", 2), ("G2-item", 4)):
        ticks = iter([0.0] * stages + [1e9] * 10)
        found = ListAppend(clock=lambda: next(ticks)).check(  # noqa: B023 - called at once
            build(txns(*GOLDEN[name][0])), CheckContext(consistency_model="serializable")
        )
        if stages > expected:
            assert found.validity is Validity.INVALID, (name, found)
        else:
            assert (found.validity, found.reason) == (Validity.UNKNOWN, "timeout"), (name, found)
            assert "the limit of time was reached" in found.sentence


def test_the_memory_limit_ends_it() -> None:
    """A process that already holds more than it may looks no further."""
    found = ListAppend().check(
        build(txns(*GOLDEN["G1a"][0])), CheckContext(memory_limit_bytes=1 << 20)
    )
    assert (found.validity, found.reason) == (Validity.UNKNOWN, "memory")


def test_many_readers_that_miss_many_appends(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where there would be too many edges the anomaly is still found, and nothing is proved."""
    lines = [f"{at} {10 * at}-{10 * at + 9} | append x {at + 1}" for at in range(40)]
    lines += [f"{at} {500 + at}-{500 + at} | r x" for at in range(40, 80)]
    lines = [line.replace(f"-{500 + at}", "-900") for at, line in enumerate(lines, 0)]
    monkeypatch.setattr(list_append_inference, "_PAIRS_MAX", 100)
    assert check(lines).details["anomaly_counts"].keys() == {"G-single-realtime"}
    overlapping = [line.replace(f" {10 * at}-{10 * at + 9} ", " 0-900 ")
                   for at, line in enumerate(lines)]  # fmt: skip
    found = check(overlapping)
    assert (found.validity, found.reason) == (Validity.UNKNOWN, "incomplete")


def test_sampled_edges_are_sound(monkeypatch: pytest.MonkeyPatch) -> None:
    """With only some of the edges, tiny histories are judged right or not at all."""
    monkeypatch.setattr(list_append_inference, "_PAIRS_MAX", 0)
    tally: Counter[str] = Counter()
    for seed in range(300):
        assert not disagreements(tiny(random.Random(seed)), tally), seed
    assert tally["serializable: ruled out"] > 30
    assert tally["serializable: not refuted, legal"] > 30
