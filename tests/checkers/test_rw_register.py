"""The rw-register checker: golden histories, known ones, options, and what must not matter."""

from __future__ import annotations

import csv
import json
import random
from dataclasses import replace
from typing import Any

import pytest

from checkers import lattice
from harness import formats
from harness.core.verdict import Validity
from tests.checkers.data import DATA
from tests.checkers.rw_register_cases import awdit, elle, history, judged, plume, sessions
from tests.checkers.rw_register_oracle import MODELS, Txn, build, judge, random_history

WEAK = DATA / "weak-consistency"
needs_data = pytest.mark.skipif(
    not (WEAK / "verdicts.tsv").is_file(), reason="the histories are not there"
)

# Name, what the strongest model is, an anomaly that must be named, and the history.
GOLDEN: tuple[tuple[str, str, str | None, tuple[str, ...]], ...] = (
    ("in order", "strict-serializable", None, ("0 0-1 wx1", "1 2-3 rx1", "0 4-5 wx2", "1 6-7 rx2")),
    ("concurrent", "strict-serializable", None, ("0 0-9 wx1", "1 0-9 wx2", "2 10-11 rx1")),
    (
        "stale in real time, not in a process",
        "strong-session-serializable",
        "G-single-realtime",
        ("0 0-1 wx1", "1 2-3 rx-"),
    ),
    (
        "stale after the next write was seen",
        "strong-session-serializable",
        "not-strict-serializable",
        ("0 0-1 wx1", "1 2-3 wx2", "2 4-5 rx1"),
    ),
    (
        "a process that forgets its own write",
        "serializable",
        "G-single-process",
        ("0 0-1 wx1", "0 2-3 rx-"),
    ),
    (
        "write skew",
        "strong-snapshot-isolation",
        "G2-item",
        ("0 0-9 rx- ry- wx1", "1 0-9 rx- ry- wy1"),
    ),
    (
        "long fork",
        "causal",
        "G-nonadjacent",
        ("0 0-9 wx1", "1 0-9 wy1", "2 0-9 rx1 ry-", "3 0-9 rx- ry1"),
    ),
    (
        "long fork over versions whose order is not known",
        "causal",
        "not-snapshot-isolation",
        (
            "0 0-9 wx1 wy1",
            "1 0-9 wx2",
            "2 0-9 wy2",
            "3 0-99 rx2 ry1",
            "4 0-99 rx1 ry2",
            "0 11-20 rx1 ry1",
            "1 11-20 wz1",
            "2 11-12 wz2",
        ),
    ),
    (
        "read skew",
        "read-committed",
        "G-single",
        ("0 0-1 wx1 wy1", "1 2-9 rx1 wx2 ry1 wy2", "2 2-9 rx1 ry2"),
    ),
    ("lost update", "causal", "lost-update", ("0 0-1 wx1", "1 2-9 rx1 wx2", "2 2-9 rx1 wx3")),
    ("circle", "strong-read-uncommitted", "G1c", ("0 0-9 wx1 ry1", "1 0-9 wy1 rx1")),
    ("aborted", "strong-read-uncommitted", "G1a", ("0 0-1! wx1", "1 2-3 rx1")),
    ("intermediate", "strong-read-uncommitted", "G1b", ("0 0-1 wx1 wx2", "1 2-3 rx1")),
    ("from nowhere", "strong-read-uncommitted", "garbage-read", ("0 0-1 wx1", "1 2-3 rx7")),
    ("from the future", "strong-read-uncommitted", "future-read", ("0 0-1 rx1 wx1",)),
    (
        "its own write forgotten (elle #8)",
        "strong-read-uncommitted",
        "internal",
        ("0 0-1 wx1 rx2", "1 0-1 wx2"),
    ),
    ("read twice, differently", "read-committed", "internal", ("0 0-1 wx1", "1 2-3 rx1 rx-")),
    ("info that was seen happened", "strict-serializable", None, ("0 0-1? wx1", "1 2-3 rx1")),
    (
        "info that nobody saw may not have",
        "strict-serializable",
        None,
        ("0 0-1? wx1", "1 2-3 rx-", "2 9-10 wx2"),
    ),
    (
        "info seen and then gone",
        "strong-session-serializable",
        "G-single-realtime",
        ("0 0-1? wx1", "1 2-3 rx1", "2 4-5 rx-"),
    ),
    (
        "one value written twice",
        "strict-serializable",
        None,
        ("0 0-1 wx1", "1 2-3 wx2", "2 4-5 wx1", "3 6-7 rx1"),
    ),
    (
        "one value written twice, overwritten",
        "strong-session-serializable",
        "not-strict-serializable",
        ("0 0-1 wx1", "1 2-3 wx1", "2 4-5 wx2", "3 6-7 rx1"),
    ),
    (
        "the initial value written",
        "strict-serializable",
        None,
        ("0 0-1 wx1", "1 2-3 wx-", "2 4-5 rx-"),
    ),
)


@pytest.mark.parametrize(
    ("strongest", "anomaly", "lines"), [row[1:] for row in GOLDEN], ids=[row[0] for row in GOLDEN]
)
def test_the_strongest_model_of_small_histories(
    strongest: str, anomaly: str | None, lines: tuple[str, ...]
) -> None:
    """Each has exactly the strongest model that is said, and shows why there is no stronger one."""
    verdict = judged(history(*lines))
    holds = set(verdict.details["holds"])
    assert strongest in holds
    stronger = lattice.implying(strongest) & set(MODELS) - {strongest}
    assert not stronger & holds
    assert verdict.validity is (
        Validity.VALID if strongest == "strict-serializable" else Validity.INVALID
    )
    names = {one.name for one in verdict.anomalies}
    assert names == set() if anomaly is None else anomaly in names
    assert not verdict.details["undecided"]


@needs_data
def test_histories_of_elle_are_judged_as_elle_does_or_better() -> None:
    """Whatever Elle rules out falls; and what it takes for valid is, unless somebody read a value
    that nobody wrote, or the history has a G1c that Elle was not asked about."""
    lines = (WEAK / "elle" / "vectors.jsonl").read_text().splitlines()
    rows = [row for row in map(json.loads, lines) if row["workload"] == "rw-register"]
    assert len(rows) == 30
    orders = {  # Elle takes an order of transactions; here, what that says of versions.
        62: '{"x": [3], "y": [4, 2]}',
        64: '{"x": [1, 4], "y": [2, 8, 5], "z": [3, 7]}',
    }
    for row in rows:
        options = {
            name[:-1].replace("-", "_"): on
            for name, on in row["opts"].items()
            if name.endswith("keys?")
        }
        if row["id"] in orders:
            options["version_order"] = orders[row["id"]]
        verdict = judged(elle(row["history"]), **options)
        assert verdict.reason in (None, "vacuous"), (row["id"], verdict.sentence)
        fallen = set(verdict.details.get("ruled_out", ()))
        expected = {
            lattice.canonical(name)
            for name in [*(row["not"] or ()), *(row["also-not"] or ())]
            if lattice.canonical(name) in judged_models()
        }
        assert expected <= fallen, (row["id"], expected - fallen)
        counts = verdict.details.get("anomaly_counts", {})
        if row["valid"] is True and not {"garbage-read", "G1c"} & set(counts):
            asked = row["opts"]["consistency-models"][0]
            assert lattice.canonical(asked) in verdict.details["holds"], row["id"]


def judged_models() -> frozenset[str]:
    """What the checker tells apart."""
    return judged(history("0 0-1 wx1 rx1", "1 2-3 ry-")).details["holds"]  # type: ignore[no-any-return]


@needs_data
def test_known_histories_have_the_level_that_is_known() -> None:
    """The strongest of read committed, read atomic and causal in AWDIT's tests; and edge cases."""
    levels = ("causal", "read-atomic", "read-committed")
    seen = 0
    with (WEAK / "verdicts.tsv").open() as table:
        for row in csv.DictReader(table, delimiter="\t"):
            path = WEAK / row["file"]
            if row["format"] == "awdit-test":
                verdict = judged(awdit(path))
                holds = verdict.details["holds"]
                strongest = next((one for one in levels if one in holds), "none")
                assert row["verdict"].endswith(f": {strongest}"), row["file"]
                seen += 1
            elif row["file"].startswith("edge/edge-rw-"):
                verdict = judged(formats.read(path))
                assert verdict.validity is Validity.INVALID, row["file"]
                seen += 1
            elif row["file"].endswith("edge-initread.txt"):
                verdict = judged(plume(path))
                assert "causal" in verdict.details["ruled_out"]
                assert "WriteCOInitRead" in verdict.details["anomaly_counts"]
                seen += 1
    assert seen == 26


def test_sessions_alone_say_nothing_of_real_time() -> None:
    """Without real time the strongest that can be asked about is strong session serializable."""
    stale: list[Any] = [[[["w", "x", 1]]], [[["r", "x", None]]]]
    verdict = judged(sessions(*stale))
    assert verdict.validity is Validity.VALID
    assert verdict.details["consistency_model"] == "strong-session-serializable"
    assert "strict-serializable" in verdict.details["not_refuted"]
    asked = judged(sessions(*stale), "strict-serializable")
    assert asked.validity is Validity.UNKNOWN
    assert "real time" in asked.sentence


def test_assumptions_are_named_and_find_more() -> None:
    """Two blind writes that a third transaction tells apart only if each key is linearizable."""
    lines = ("0 0-1 wx1", "1 2-3 wx2", "2 4-9 rx1 wy1")
    assert "strong-session-serializable" in judged(history(*lines)).details["holds"]
    for option in ("linearizable_keys",):
        verdict = judged(history(*lines), "serializable", **{option: True})
        assert verdict.validity is Validity.INVALID
        assert "cyclic-versions" in verdict.details["anomaly_counts"]
        assert verdict.details["assumed"] == [option.replace("_", "-")]
    ordered = judged(history(*lines), "serializable", version_order='{"x": [2, 1]}')
    assert ordered.validity is Validity.VALID
    assert "assuming version-order" in ordered.sentence


def test_a_supplied_order_is_believed() -> None:
    """The order of versions decides what the reads alone leave open; nonsense is refused."""
    lines = ("0 0-9 wx1 wy1", "1 0-9 wx2 wy2", "2 20-29 rx1", "3 20-29 ry2")
    assert judged(history(*lines)).validity is Validity.INVALID
    torn = ("0 0-9 wx1 wy1", "1 0-9 wx2 wy2")
    reads = ("2 0-9 rx1 ry1",)
    found = judged(
        history(*torn, *reads), "serializable", version_order='{"x": [1, 2], "y": [2, 1]}'
    )
    assert found.validity is Validity.INVALID
    assert "G0" in found.details["anomaly_counts"]
    wrong = judged(history(*torn, *reads), version_order="[1]")
    assert wrong.reason == "unsupported"
    assert "version-order" in wrong.sentence


def test_another_initial_value() -> None:
    """Keys that begin with 0: reading 0 is no garbage then."""
    lines = ("0 0-1 rx0", "1 2-3 wx1", "2 4-5 rx1")
    assert judged(history(*lines)).validity is Validity.INVALID
    assert judged(history(*lines), initial="0").validity is Validity.VALID


def test_nothing_to_see_is_no_pass() -> None:
    """Without reads, or without successes, or with lists, the verdict is unknown and says why."""
    assert judged(history("0 0-1 wx1")).reason == "vacuous"
    assert judged(history("0 0-1! wx1", "1 2-3? rx1")).reason == "vacuous"
    listed = sessions([[["append", "x", 1]], [["r", "x", [1]]]])
    assert judged(listed).reason == "unsupported"


def test_a_witness_is_illegal_by_itself() -> None:
    """What an anomaly names breaks what it rules out when nothing else happened."""
    proofs = 0
    for seed in range(250):
        rows = random_history(random.Random(seed))
        verdict = judged(build(rows))
        index = {}
        for event in build(rows).events():
            if event.type == "invoke":
                index[event.index] = event.process, event.time
        for one in verdict.anomalies:
            # A transaction that failed is part of the proof of an aborted read, but did not happen.
            asked = [index[operation] for operation in one.operations]
            part = [row for row in rows if (row.process, row.call) in asked]
            fallen = lattice.ruled_out([one.name])
            for model in set(MODELS) & fallen:
                assert not judge(part, model), (seed, one)
                proofs += 1
    assert proofs > 200


def _variants(rows: list[Txn], source: random.Random) -> list[list[Txn]]:
    names = source.sample(range(1_000), 60)
    keys = {"x": "p", "y": "x", "z": "q"}
    return [
        [replace(row, process=names[row.process]) for row in rows],
        [
            replace(row, steps=tuple((f, keys[key], value) for f, key, value in row.steps))
            for row in rows
        ],
        [replace(row, call=row.call * 7 + 1_000, ret=row.ret * 7 + 1_000) for row in rows],
        [*rows, Txn(999, 0, 90, "ok", (("w", "unconcerned", 1), ("r", "unconcerned", 1)))],
    ]


def test_names_times_and_other_keys_do_not_matter() -> None:
    """The same models hold and fall with other processes, keys and times, and with one more key."""
    for seed in range(60):
        source = random.Random(seed)
        rows = random_history(source)
        first = judged(build(rows)).details
        if "holds" not in first:
            continue
        for number, variant in enumerate(_variants(rows, source)):
            other = judged(build(variant)).details
            for name in ("holds", "ruled_out"):
                assert set(first[name]) == set(other[name]), (seed, number, name)


def _served(seed: int, *, bug: str = "") -> list[Txn]:
    """Transactions of a store that does them one at a time, with one planted bug."""
    source = random.Random(seed)
    store: dict[str, list[Any]] = {key: [None] for key in "xyz"}
    clock = [0] * 5
    rows: list[Txn] = []
    numbers = iter(range(1, 10_000))
    at = 0
    for number in range(60):
        process = source.randrange(5)
        at = max(at, clock[process]) + source.randint(1, 3)
        call, ret = max(clock[process], at - source.randint(0, 4)), at + source.randint(0, 4)
        clock[process] = ret + 1
        broken = number == 45
        steps: list[tuple[str, str, Any]] = []
        mine: dict[str, Any] = {}
        for key in source.sample("xyz", 2):
            past = store[key]
            stale = broken and bug == "stale" and len(past) > 8
            steps.append(("r", key, past[-8] if stale else past[-1]))
            if source.random() < 0.5 and not (broken and bug == "stale"):
                mine[key] = next(numbers)
                steps.append(("w", key, mine[key]))
        if broken and bug == "torn":
            key = source.choice("xyz")
            steps = [("w", key, 20_000), ("r", key, store[key][-1])]
        for key, value in mine.items():
            if not (broken and bug == "lost"):
                store[key].append(value)
        if broken and bug == "lost" and not mine:
            steps.append(("w", "x", 30_000))
        rows.append(Txn(process, call, ret, "ok", tuple(steps)))
    return sorted(rows, key=lambda row: row.call)


@pytest.mark.parametrize("bug", ["stale", "torn", "lost"])
def test_a_planted_bug_is_found(bug: str) -> None:
    """One stale, torn or lost transaction among 60 is found, and a correct store passes."""
    found = 0
    for seed in range(5):
        assert judged(build(_served(seed))).validity is Validity.VALID, seed
        rows = _served(seed, bug=bug)
        verdict = judged(build(rows))
        # A write that is lost is no bug if nobody read the key again.
        assert verdict.validity is (
            Validity.VALID if judge(rows, "strict-serializable") else Validity.INVALID
        ), seed
        found += verdict.validity is Validity.INVALID
    assert found >= 2
