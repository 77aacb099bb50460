"""Convergence and replicated data types: golden pairs, definitions, simulated types with bugs."""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import replace
from itertools import combinations, permutations, product
from typing import Any

import numpy as np
import pytest

from checkers.convergence.elements import Elements
from checkers.convergence.list_order import order_conflict
from checkers.convergence.satisfaction import Effort, Exhausted, satisfiable
from checkers.convergence.subset_sums import NO, UNDECIDED, YES, reachable
from harness.core.contracts import CheckContext
from harness.core.fault import Fault, FaultInterval
from harness.core.history import History
from harness.core.verdict import Validity, Verdict
from harness.registry import INSTALLED
from tests.checkers.convergence_oracle import TYPES, compare, judged
from tests.checkers.convergence_rows import Row, build
from tests.checkers.convergence_simulated import BUGS, CORRECT, verdict_of

VALID, INVALID, UNKNOWN = Validity.VALID, Validity.INVALID, Validity.UNKNOWN


def op(line: str, argument: Any = None, result: Any = ..., **more: Any) -> Row:
    """``process f call-return``: ``?`` ends an interval whose outcome is unknown, ``!`` one that
    failed, and nothing one that never completes."""
    process, f, span = line.split()
    call, _, ret = span.rstrip("?!").partition("-")
    outcome = {"?": "info", "!": "fail", "-": "info"}.get(span[-1], "ok")
    return Row(
        process=int(process),
        f=f,
        argument=argument,
        result=argument if result is ... else result,
        call=int(call),
        ret=int(ret) if ret else None,
        outcome=outcome,
        **more,
    )


def check(name: str, rows: list[Row], *, faults: Any = (), **options: Any) -> Verdict:
    """The verdict of the checker ``name``; options with ``_`` for ``-``."""
    given = {key.replace("_", "-"): value for key, value in options.items()}
    return check_history(name, build(rows), given, faults)


def check_history(
    name: str, history: History, options: Mapping[str, Any], faults: Any = ()
) -> Verdict:
    context = CheckContext(options=options, faults=faults)
    return INSTALLED.load("checkers", name).check(history, context)


def names(verdict: Verdict) -> list[str]:
    return sorted({anomaly.name for anomaly in verdict.anomalies})


ADD_1, ADD_2 = op("0 add 0-10", 1), op("1 add 0-10", 2)
GOLDEN: list[tuple[str, list[Row], Validity, list[str]]] = [
    ("set-full", [ADD_1, op("1 read 20-30", None, [1])], VALID, []),
    ("set-full", [ADD_1, op("1 read 20-30", None, [])], INVALID, ["lost element"]),
    # A read concurrent with one that contains the element may be the older one.
    (
        "set-full",
        [ADD_1, op("1 read 20-40", None, [1]), op("2 read 30-50", None, [])],
        VALID,
        [],
    ),
    (
        "set-full",
        [ADD_1, op("1 read 20-30", None, []), op("1 read 40-50", None, [1])],
        VALID,
        [],
    ),
    (
        "set-full",
        [ADD_1, op("1 read 20-30", None, [1]), op("2 read 30-40", None, [])],
        VALID,
        [],
    ),
    ("set-full", [ADD_1, op("1 read 20-30", None, [1, 1])], INVALID, ["duplicated element"]),
    ("set-full", [ADD_1, op("1 read 20-30", None, [1, 7])], INVALID, ["unexpected element"]),
    (
        "set-full",
        [op("0 add 40-50", 1), op("1 read 20-30", None, [1])],
        INVALID,
        ["unexpected element"],
    ),
    (
        "set-full",
        [op("0 add 0-10!", 1), ADD_2, op("1 read 20-30", None, [1, 2])],
        INVALID,
        ["element of a failed addition"],
    ),
    ("set-full", [op("0 add 0-10?", 1), ADD_2, op("2 read 20-30", None, [2])], VALID, []),
    # What was seen is in the set, whatever became of its addition.
    (
        "set-full",
        [op("0 add 0-10?", 1), op("1 read 20-30", None, [1]), op("1 read 40-50", None, [])],
        INVALID,
        ["lost element"],
    ),
    ("set-full", [op("1 read 20-30", None, []), op("0 add 40-50", 1)], UNKNOWN, []),
    (
        "pn-counter",
        [op("0 add 0-1", 5), op("1 add 0-1", -2), op("1 read 2-3", None, 3)],
        VALID,
        [],
    ),
    (
        "pn-counter",
        [op("0 add 0-1", 5), op("1 add 0-1", 2), op("1 read 2-3", None, 5)],
        INVALID,
        ["lost increment"],
    ),
    (
        "pn-counter",
        [op("0 add 0-1", 5), op("1 add 0-1", 2), op("1 read 2-3", None, 12)],
        INVALID,
        ["double-counted increment"],
    ),
    (
        "pn-counter",
        [op("0 add 0-1", 5), op("1 add 0-1", 20), op("1 read 2-3", None, 8)],
        INVALID,
        ["impossible value"],
    ),
    (
        "pn-counter",
        [op("0 add 0-1", 5), op("1 add 0-1!", 2), op("1 read 2-3", None, 7)],
        INVALID,
        ["failed increment counted"],
    ),
    ("pn-counter", [op("0 add 0-1", 5), op("1 add 0-1?", 2), op("2 read 2-3", None, 7)], VALID, []),
    ("pn-counter", [op("0 add 0-1", 5), op("1 add 0-1?", 2), op("2 read 2-3", None, 5)], VALID, []),
    (
        "pn-counter",
        [
            op("0 add 0-1", 5),
            op("1 add 0-1?", 2),
            op("2 read 2-3", None, 5),
            op("3 read 2-3", None, 7),
        ],
        INVALID,
        ["divergence"],
    ),
    # An update that nobody gave up may still be under way.
    (
        "pn-counter",
        [
            op("0 add 0-1", 5),
            op("1 add 0-", 2),
            op("2 read 2-3", None, 5),
            op("3 read 2-3", None, 7),
        ],
        VALID,
        [],
    ),
    ("pn-counter", [op("0 read 0-1", None, 0), op("0 add 2-3", 5)], UNKNOWN, []),
    ("g-counter", [op("0 add 0-1"), op("0 read 2-3", None, 1)], VALID, []),
    (
        "g-counter",
        [op("0 add 0-1", -1), op("0 read 2-3", None, -1)],
        INVALID,
        ["accepted decrement"],
    ),
    (
        "g-counter",
        [
            op("1 add 0-9", 3),
            op("0 read 2-3", None, 3),
            op("0 read 4-5", None, 0),
            op("0 read 10-11", None, 3),
        ],
        INVALID,
        ["decreasing counter"],
    ),
    (
        "or-set",
        [ADD_1, op("0 remove 11-12", 1), op("1 read 20-30", None, [])],
        VALID,
        [],
    ),
    # The replica that removes has the element itself: it has observed it.
    (
        "or-set",
        [ADD_1, op("0 remove 11-12", 1), op("1 read 20-30", None, [1])],
        INVALID,
        ["resurrected element"],
    ),
    # Another replica need not have heard of it.
    (
        "or-set",
        [ADD_1, op("1 remove 11-12", 1), op("1 read 20-30", None, [1])],
        VALID,
        [],
    ),
    (
        "or-set",
        [
            ADD_1,
            op("1 read 11-12", None, [1]),
            op("1 remove 13-14", 1),
            op("2 read 20-30", None, [1]),
        ],
        INVALID,
        ["resurrected element"],
    ),
    # A concurrent addition wins; one called after the removal had returned must.
    (
        "or-set",
        [op("0 remove 0-1", 1), op("1 add 2-3", 1), op("0 read 4-5", None, [])],
        INVALID,
        ["lost element"],
    ),
    ("or-set", [ADD_1, op("1 read 20-30", None, [])], INVALID, ["lost element"]),
    # Reads of one node that overlap: the long one may be the last, the short one may not.
    (
        "or-set",
        [
            op("9 add 0-10", 1, node="n1"),
            op("1 read 20-60", None, [1], node="n0"),
            op("2 read 30-40", None, [1], node="n0"),
            op("3 read 50-55", None, [], node="n0"),
            op("9 add 70-80", 2, node="n1"),
            op("1 read 90-95", None, [1, 2], node="n0"),
        ],
        INVALID,
        ["lost element"],
    ),
    # What a replica has been told by its own client, it knows.
    (
        "or-set",
        [
            ADD_1,
            op("0 read 20-30", None, []),
            op("1 add 40-50", 2),
            op("0 read 60-70", None, [1, 2]),
        ],
        INVALID,
        ["lost element"],
    ),
    ("or-set", [ADD_1, op("1 read 20-30", None, [1, 2])], INVALID, ["phantom element"]),
    ("or-set", [ADD_1, op("1 read 20-30", None, [1, 1])], INVALID, ["duplicated element"]),
    ("or-set", [ADD_1, op("1 contains 20-30", 1, True)], VALID, []),
    ("or-set", [ADD_1, op("1 contains 20-30", 1, [1, False])], INVALID, ["lost element"]),
    (
        "lww-register",
        [op("0 write 0-5", 1), op("1 write 8-9", 2), op("2 read 20-30", None, 2)],
        VALID,
        [],
    ),
    (
        "lww-register",
        [op("0 write 0-5", 1), op("1 write 8-9", 2), op("2 read 20-30", None, 1)],
        INVALID,
        ["lost write"],
    ),
    (
        "lww-register",
        [op("0 write 0-8", 1), op("1 write 8-9", 2), op("2 read 20-30", None, 1)],
        VALID,
        [],
    ),
    (
        "lww-register",
        [
            op("0 write 0-8", 1),
            op("1 write 8-9", 2),
            op("2 read 20-30", None, 1),
            op("3 read 20-30", None, 2),
        ],
        INVALID,
        ["divergence"],
    ),
    (
        "lww-register",
        [op("0 write 0-5", 1), op("2 read 20-30", None, 3)],
        INVALID,
        ["phantom value"],
    ),
    (
        "lww-register",
        [op("0 write 0-5", 1), op("2 read 20-30", None, None)],
        INVALID,
        ["lost write"],
    ),
    (
        "mv-register",
        [op("0 write 0-1", 1), op("1 write 0-1", 2), op("2 read 5-6", None, [2, 1])],
        VALID,
        [],
    ),
    (
        "mv-register",
        [op("0 write 0-1", 1), op("1 write 0-1", 2), op("2 read 5-6", None, [2])],
        INVALID,
        ["lost sibling"],
    ),
    (
        "mv-register",
        [
            op("0 write 0-1", 1),
            op("1 read 2-3", None, [1]),
            op("1 write 4-5", 2),
            op("2 read 6-7", None, [2]),
        ],
        VALID,
        [],
    ),
    (
        "mv-register",
        [
            op("0 write 0-1", 1),
            op("1 read 2-3", None, [1]),
            op("1 write 4-5", 2),
            op("2 read 6-7", None, [1, 2]),
        ],
        INVALID,
        ["resurrected sibling"],
    ),
    (
        "mv-register",
        [op("0 write 0-1", 1), op("2 read 6-7", None, [1, 1])],
        INVALID,
        ["duplicated sibling"],
    ),
    (
        "sequence",
        [op("0 insert 0-1", [0, 1]), op("1 insert 0-1", [0, 2]), op("0 read 5-6", None, [2, 1])],
        VALID,
        [],
    ),
    (
        "sequence",
        [
            op("0 insert 0-9", [0, 1]),
            op("1 insert 0-9", [0, 2]),
            op("2 read 5-6", None, [2, 1]),
            op("2 read 10-11", None, [1, 2]),
        ],
        INVALID,
        ["inconsistent order"],
    ),
    # No two of these reads contradict each other: the weak list specification holds.
    (
        "sequence",
        [
            op("0 insert 0-9", [0, 1]),
            op("1 insert 0-9", [0, 2]),
            op("2 insert 0-9", [0, 3]),
            op("3 read 5-6", None, [1, 2]),
            op("4 read 5-6", None, [2, 3]),
            op("5 read 5-6", None, [3, 1]),
            op("6 delete 7-8", 1),
            op("6 read 10-11", None, [2, 3]),
        ],
        INVALID,
        ["cyclic order"],
    ),
    (
        "sequence",
        [
            op("0 insert 0-1", {"element": "a", "after": None}),
            op("0 insert 2-3", {"element": "b", "after": "a"}),
            op("1 read 5-6", None, ["b", "a"]),
        ],
        INVALID,
        ["cyclic order"],
    ),
    (
        "sequence",
        [op("0 insert 0-1", [0, 1]), op("1 delete 2-3", 1), op("0 read 5-6", None, [])],
        VALID,
        [],
    ),
    (
        "sequence",
        [op("0 insert 0-1", [0, 1]), op("1 delete 2-3", 1), op("0 read 5-6", None, [1])],
        INVALID,
        ["resurrected element"],
    ),
    (
        "sequence",
        [op("0 insert 0-1", [0, 1]), op("1 read 5-6", None, [])],
        INVALID,
        ["lost element"],
    ),
    (
        "sequence",
        [op("0 insert 0-1", [0, 1]), op("1 read 5-6", None, [1, 5])],
        INVALID,
        ["phantom element"],
    ),
    (
        "convergence",
        [ADD_1, op("1 read 20-30", None, [1]), op("2 read 20-30", None, [1])],
        VALID,
        [],
    ),
    (
        "convergence",
        [ADD_1, op("1 read 20-30", None, [1]), op("2 read 20-30", None, [])],
        INVALID,
        ["divergence"],
    ),
    ("convergence", [ADD_1, op("1 read 20-30", None, [1])], UNKNOWN, []),
    # What a replica answers last counts, not on the way there.
    (
        "convergence",
        [
            ADD_1,
            op("1 read 20-30", None, [1]),
            op("2 read 20-30", None, []),
            op("2 read 40-50", None, [1]),
        ],
        VALID,
        [],
    ),
]


@pytest.mark.parametrize(("name", "rows", "validity", "anomalies"), GOLDEN)
def test_golden(name: str, rows: list[Row], validity: Validity, anomalies: list[str]) -> None:
    """Each of these histories has this verdict, for these reasons."""
    verdict = check(name, rows)
    assert verdict.validity is validity, verdict
    assert names(verdict) == anomalies, verdict
    assert all(one.sentence[0].isupper() or one.sentence[0].isdigit() for one in verdict.anomalies)


@pytest.mark.parametrize("kind", TYPES)
def test_definitions(kind: str) -> None:
    """Random tiny histories have the verdict of the definition, and each proof is illegal alone."""
    seen = set()
    for seed in range(120):
        validity, wrong = compare(kind, seed)
        assert wrong is None, wrong
        seen.add(validity)
    assert seen == {VALID, INVALID, UNKNOWN}


@pytest.mark.parametrize("kind", TYPES)
def test_other_names_and_times(kind: str) -> None:
    """Processes, nodes and keys may be called otherwise, time may be shifted and stretched, and
    what happens on a key of its own changes nothing but what it proves itself."""
    type_ = TYPES[kind]
    for seed in range(40):
        rows = type_.make(random.Random(seed))
        verdict, wrong = judged(kind, rows)
        renamed = [
            replace(
                row,
                process=1_000 - 7 * row.process,
                node=None if row.node is None else f"other-{row.node}",
                key=["k", row.key],
            )
            for row in rows
        ]
        for history in (build(renamed), build(rows, scale=977, shift=10**15)):
            again = check_history(type_.checker, history, type_.options)
            assert (again.validity, names(again)) == (verdict.validity, names(verdict)), seed
        for key in {row.key for row in rows} if verdict.validity is VALID else ():
            alone = [row for row in rows if row.key == key]
            part = check_history(type_.checker, build(alone), type_.options)
            assert part.validity is not INVALID, (seed, key, wrong)


@pytest.mark.parametrize("name", CORRECT)
def test_correct_types_pass(name: str) -> None:
    """A correct type on a slow network is valid, for every seed."""
    for seed in range(25):
        verdict = verdict_of(CORRECT[name], seed)
        assert verdict.validity is VALID, (name, seed, verdict)


@pytest.mark.parametrize("name", BUGS)
def test_planted_bugs_are_found(name: str) -> None:
    """A type with one bug is caught, in nearly all runs in which messages cross."""
    found = [verdict_of(BUGS[name], seed).validity is INVALID for seed in range(15)]
    assert sum(found) >= 12, (name, found)


# --- set-full ---------------------------------------------------------------------------------


def test_stale_elements_are_an_anomaly_only_if_asked() -> None:
    """An element that appears late is counted, with the time it took; it is illegal under
    ``linearizable``."""
    rows = [ADD_1, op("1 read 20-30", None, []), op("1 read 40-50", None, [1])]
    verdict = check("set-full", rows)
    assert verdict.validity is VALID
    assert (verdict.details["stale"], verdict.details["stable"]) == (1, 1)
    assert verdict.details["visible_after"]["max_ms"] == 10
    assert verdict.details["slowest"] == [{"key": None, "element": 1, "took_ns": 10_000_000}]
    strict = check("set-full", rows, linearizable=True)
    assert names(strict) == ["stale element"]
    assert strict.anomalies[0].operations == (0, 2)


def test_elements_never_read_are_counted() -> None:
    """What was acknowledged after the last read is neither lost nor stable."""
    verdict = check("set-full", [ADD_1, op("1 read 20-30", None, [1]), op("0 add 40-50", 3)])
    assert verdict.validity is VALID
    assert [verdict.details[name] for name in ("stable", "never_read", "lost")] == [1, 1, 0]


def test_many_lost_elements_are_counted_and_a_few_explained() -> None:
    """All are counted; ten proofs are enough."""
    rows = [op(f"0 add {2 * n}-{2 * n + 1}", n) for n in range(50)]
    verdict = check("set-full", [*rows, op("1 read 200-201", None, [7])])
    assert verdict.details["anomaly_counts"] == {"lost element": 49}
    assert len(verdict.anomalies) == 10


def test_without_real_time_only_garbage_is_judged() -> None:
    """Sessions one after another say nothing of what came before what."""
    events = [ADD_1, op("1 read 20-30", None, [])]
    history = History.from_events(build(events).events(), realtime=False)
    assert check_history("set-full", history, {}).reason == "unsupported"
    garbage = [ADD_1, op("1 read 20-30", None, [9])]
    history = History.from_events(build(garbage).events(), realtime=False)
    assert names(check_history("set-full", history, {})) == ["unexpected element"]


def test_equal_looking_elements_are_told_apart() -> None:
    """``1``, ``true``, ``1.0`` and ``"1"`` are four elements, in any list."""
    everything = [1, True, 1.0, "1", None, [1], {"a": 1}]
    elements = Elements(everything)
    assert elements.codes(everything).tolist() == list(range(7))
    assert elements.codes([1, 1]).tolist() == [0, 0]
    assert elements.codes([1 << 70, 1, -5]).tolist() == [7, 0, 8]
    assert elements.codes([-5, 1 << 70, "x", True]).tolist() == [8, 7, 9, 1]


def test_codes_of_integers_near_and_far() -> None:
    """Tables, searches and dictionaries give one code to one number, also to new ones."""
    for seed in range(30):
        source = random.Random(seed)
        spread = source.choice((50, 10**6, 10**17))
        known = list(dict.fromkeys(source.randrange(-spread, spread) for _ in range(40)))
        elements = Elements(known)
        for _ in range(5):
            items = [source.choice([*known, source.randrange(spread)]) for _ in range(80)]
            codes = elements.codes(items).tolist()
            assert [elements.values[code] for code in codes] == items, seed
        assert len(set(elements.values)) == len(elements), seed


# --- what is final ----------------------------------------------------------------------------

FAULT = Fault(number=1, nemesis="partition", control="links", target="one", state=())


def test_reads_before_healing_are_not_final() -> None:
    """A replica that is cut off may answer with what it has; only after healing it must agree."""
    rows = [ADD_1, op("1 read 20-30", None, []), op("2 read 20-30", None, [1])]
    healed = [*rows, op("1 read 60-70", None, [1]), op("2 read 60-70", None, [1])]

    def during(end: int | None) -> tuple[FaultInterval, ...]:
        return (FaultInterval(fault=FAULT, start_ns=0, end_ns=end, bit=True),)

    assert check("convergence", rows).validity is INVALID
    assert check("convergence", rows, faults=during(50_000_000)).validity is UNKNOWN
    verdict = check("convergence", healed, faults=during(50_000_000))
    assert verdict.validity is VALID
    assert verdict.details["converged_after"] == {
        "count": 2,
        **dict.fromkeys(("min_ms", "median_ms", "p95_ms", "p99_ms", "max_ms"), 20),
    }
    never = check("convergence", healed, faults=during(None))
    assert never.validity is UNKNOWN
    assert "fault 1 (partition one) was never proven healed" in never.sentence


def test_replicas_are_given_time_to_settle() -> None:
    """Reads within the time to settle are not final."""
    rows = [ADD_1, op("1 read 20-30", None, []), op("2 read 40-50", None, [1])]
    rows.append(op("3 read 40-50", None, [1]))
    assert check("convergence", rows).validity is INVALID
    assert check("convergence", rows, settle_ms=25).validity is VALID


def test_marked_reads_are_final() -> None:
    """Where a workload marks final reads, others do not count; a mark put too early neither."""
    rows = [ADD_1, op("1 read 20-30", None, []), op("2 read 20-30", None, [1])]
    marks = [op("3 final-read 40-50", None, [1]), op("4 final-read 40-50", None, [1])]
    assert check("convergence", [*rows, *marks]).validity is VALID
    assert check("convergence", [*rows, *marks], final_reads="quiescent").validity is INVALID
    early = [op("3 final-read 5-6", None, [1]), op("4 final-read 5-6", None, [1])]
    assert check("convergence", [*rows, *early]).validity is UNKNOWN
    renamed = [replace(row, f="last") if row.f == "final-read" else row for row in [*rows, *marks]]
    assert check("convergence", renamed, final_function="last").validity is VALID


def test_updates_of_unknown_outcome_may_be_late() -> None:
    """Whoever does not assume that such updates are over is told that nothing is known."""
    rows = [op("0 add 0-5?", 1), op("1 read 20-30", None, [1]), op("2 read 20-30", None, [])]
    assert check("convergence", rows).validity is INVALID
    assert check("convergence", rows, indeterminate="open").validity is UNKNOWN
    assert check("or-set", rows).validity is INVALID
    assert check("or-set", rows, indeterminate="open").validity is VALID


def test_all_nodes_must_answer() -> None:
    """A node that gave no final answer may have any; then nothing is proved."""
    rows = [
        op("0 add 0-1", 1, node="n3"),
        op("1 read 5-6", None, [1], node="n1"),
        op("2 read 5-6", None, [1], node="n2"),
    ]
    verdict = check("convergence", rows)
    assert verdict.validity is UNKNOWN
    assert "each of the 3 nodes" in verdict.sentence
    rows.append(op("0 read 5-6", None, [1], node="n3"))
    assert check("convergence", rows).validity is VALID


def test_what_was_delivered_shows_strong_convergence() -> None:
    """Replicas that have seen the same must answer alike, at any time."""

    def told(line: str, value: Any, *seen: str) -> Row:
        return op(line, None, {"value": value, "seen": list(seen)})

    rows = [ADD_1, ADD_2, told("2 read 0-5", [1], "a"), told("3 read 0-5", [1], "a")]
    ends = [told("2 read 20-30", [1, 2], "a", "b"), told("3 read 20-30", [2, 1], "b", "a")]
    verdict = check("convergence", [*rows, *ends])
    assert verdict.details["strongest"] == ["strong-eventual"]
    rows[3] = told("3 read 0-5", [2], "a")
    verdict = check("convergence", [*rows, *ends])
    assert verdict.validity is VALID  # eventual consistency is all that was asked for
    assert verdict.details["strongest"] == ["eventual"]
    assert names(verdict) == ["not-strongly-convergent"]


def test_order_matters_where_it_is_the_answer() -> None:
    """Lists of a set are compared as sets, those of a sequence as lists."""
    ends = [op("1 read 20-30", None, [1, 2]), op("2 read 20-30", None, [2, 1])]
    rows = [ADD_1, ADD_2, *ends]
    assert check("convergence", rows).validity is VALID
    assert check("convergence", rows, answers="ordered").validity is INVALID
    inserted = [op("0 insert 0-1", [0, 1]), op("1 insert 0-1", [0, 2]), *ends]
    assert check("convergence", inserted).validity is INVALID


# --- the types --------------------------------------------------------------------------------


def test_tags_say_what_a_removal_took() -> None:
    """With tags, an addition that no removal took must stay, and one that was taken must not."""
    rows = [
        op("0 add 0-1", 1, [1, "a"]),
        op("1 add 0-1", 1, [1, "b"]),
        op("0 remove 2-3", 1, ["a"]),
        op("2 read 5-6", None, [1]),
    ]
    assert check("or-set", rows, tags=True).validity is VALID
    gone = [*rows[:3], op("2 read 5-6", None, [])]
    assert check("or-set", gone).validity is VALID
    assert names(check("or-set", gone, tags=True)) == ["lost element"]
    both = [*rows[:2], op("0 remove 2-3", 1, ["a", "b"]), rows[3]]
    assert names(check("or-set", both, tags=True)) == ["resurrected element"]
    strange = [*rows[:2], op("0 remove 2-3", 1, ["c"]), rows[3]]
    assert names(check("or-set", strange, tags=True)) == ["phantom tag"]


def test_a_replica_forgets_no_removal() -> None:
    """Node n0 had heard of the removal at n1, for it missed the element; its own removal, which
    took nothing, changes nothing about that."""
    rows = [
        op("0 add 0-1", 1, [1, "a"], node="n1"),
        op("1 read 2-3", None, [1], node="n0"),
        op("2 remove 3-4", 1, ["a"], node="n1"),
        op("1 read 5-6", None, [], node="n0"),
        op("1 remove 7-8", 1, [], node="n0"),
        op("1 read 9-10", None, [1], node="n0"),
        op("3 add 20-21", 2, [2, "b"], node="n2"),
        op("3 read 30-31", None, [2], node="n2"),
    ]
    assert names(check("or-set", rows, tags=True)) == ["resurrected element"]
    del rows[5]
    assert check("or-set", rows, tags=True).validity is VALID


def test_what_is_too_much_is_not_guessed() -> None:
    """Hundreds of additions and removals of one element are beyond the limit: unknown."""
    rows = []
    for number in range(150):
        for process in range(3):
            f = ("add", "remove", "read")[(number + process) % 3]
            result = [1] if (number * 7 + process) % 5 < 3 else []
            more = {"result": result} if f == "read" else {}
            span = f"{process} {f} {10 * number}-{10 * number + 9}"
            rows.append(op(span, None if f == "read" else 1, **more))
    rows.append(op("4 read 9000-9001", None, [1]))
    verdict = check("or-set", rows)
    assert verdict.validity is UNKNOWN
    assert verdict.reason == "limit"


def test_timestamps_decide_the_winner() -> None:
    """The greatest timestamp wins, also against real time, which is counted."""
    rows = [
        op("0 write 0-1", "a", ["a", [9, "n1"]]),
        op("1 write 2-3", "b", ["b", [8, "n2"]]),
        op("2 read 5-6", None, "a"),
    ]
    verdict = check("lww-register", rows, timestamps=True)
    assert verdict.validity is VALID
    assert verdict.details["timestamps_against_time"] == 1
    rows[2] = op("2 read 5-6", None, "b")
    assert names(check("lww-register", rows, timestamps=True)) == ["lost write"]


def test_replicas_may_merge_what_writers_did_not_know() -> None:
    """Under ``context=replica`` a write may overwrite what its replica had received."""
    rows = [op("0 write 0-1", 1), op("1 write 2-3", 2), op("2 read 5-6", None, [2])]
    assert check("mv-register", rows).validity is INVALID
    assert check("mv-register", rows, context="replica").validity is VALID
    rows[2] = op("2 read 5-6", None, [1])
    assert check("mv-register", rows, context="replica").validity is INVALID


@pytest.mark.parametrize(
    ("name", "row", "text"),
    [
        ("pn-counter", op("0 add 0-1", "five"), "is no integer"),
        ("pn-counter", op("0 read 0-1", None, 1.5), "is no integer"),
        ("set-full", op("0 read 0-1", None, 5), "is no list"),
        ("or-set", op("0 contains 0-1", 1, "maybe"), "neither true nor false"),
        ("sequence", op("0 insert 0-1", 5), "neither [position, element]"),
        ("mv-register", op("0 write 0-1", 7), "written more than once"),
    ],
)
def test_what_does_not_fit_is_refused(name: str, row: Row, text: str) -> None:
    """A history of something else is unknown, with what was found; nothing crashes."""
    rows = [row, op("5 write 0-1", 7), op("6 read 3-4", None, [])]
    if name == "pn-counter":
        rows[2] = op("6 read 3-4", None, 0)
    verdict = check(name, rows)
    assert verdict.reason == "unsupported", verdict
    assert text in verdict.sentence


# --- the pieces -------------------------------------------------------------------------------


def test_subset_sums(monkeypatch: pytest.MonkeyPatch) -> None:
    """They are what trying all subsets finds; where that is too much, nothing wrong is said."""
    module = "checkers.convergence.subset_sums"
    for bits, halved in ((1 << 25, 36), (4, 36), (4, 2)):
        monkeypatch.setattr(f"{module}._BITS_MAX", bits)
        monkeypatch.setattr(f"{module}._HALVED_MAX", halved)
        undecided = 0
        for seed in range(150):
            source = random.Random(seed)
            amounts = (0, 1, 2, 3, 5, -1, -4, 7, 20, -20, 50)
            numbers = [source.choice(amounts) for _ in range(source.randint(0, 7))]
            prefixes = [source.randint(0, len(numbers)) for _ in range(6)]
            targets = [source.randint(-40, 60) for _ in range(6)]
            found = reachable(numbers, prefixes, targets).tolist()
            for prefix, target, answer in zip(prefixes, targets, found, strict=True):
                some = any(
                    sum(chosen) == target
                    for size in range(prefix + 1)
                    for chosen in combinations(numbers[:prefix], size)
                )
                assert answer in ((YES if some else NO), UNDECIDED), seed
                undecided += answer == UNDECIDED
        assert bool(undecided) == (halved == 2)


def test_many_additions_are_decided() -> None:
    """Where every sum is reached but a few at the edges, thousands of numbers are decided."""
    numbers = [1] * 1_000 + [1_000] * 5_000
    assert reachable(numbers, [6_000] * 3, [4_999_999, 5_001_000, 5_001_001]).tolist() == [1, 1, 0]
    numbers = [2, 3] * 5_000
    asked = [0, 1, 2, 12_345, 24_998, 24_999, 25_000]
    assert reachable(numbers, [10_000] * 7, asked).tolist() == [1, 0, 1, 1, 1, 0, 1]
    numbers = [4, 6, 9, 400] * 2_000
    assert reachable(numbers, [8_000] * 3, [11, 700_001, 837_996]).tolist() == [0, 1, 1]


def test_orders_agree_or_few_lists_show_that_they_do_not() -> None:
    """A common order is found exactly if there is one; of what shows that there is none, nothing
    can be left out."""
    for seed in range(120):
        source = random.Random(seed)
        count = source.randint(2, 5)
        lists = [
            np.array(source.sample(range(count), source.randint(0, min(3, count))), dtype=np.int64)
            for _ in range(source.randint(1, 5))
        ]
        after = np.full(count, -1, dtype=np.int64)
        if source.random() < 0.3:
            element, other = source.sample(range(count), 2)
            after[element] = other

        def agree(chosen: list[Any], count: int = count) -> bool:
            return any(
                all([one for one in order if one in codes] == list(codes) for codes in chosen)
                for order in permutations(range(count))
            )

        put = {int(element): [int(after[element]), int(element)] for element in range(count)}
        edges = {element: edge for element, edge in put.items() if after[element] >= 0}
        found = order_conflict(lists, after)
        assert (found is None) == agree([*lists, *edges.values()]), seed
        if found is not None:
            core = [lists[at] for at in found.lists] + [edges[one] for one in found.inserts]
            assert not agree(core), seed
            assert all(agree(core[:at] + core[at + 1 :]) for at in range(len(core))), seed


def test_satisfiable() -> None:
    """The search finds an assignment exactly if there is one, and keeps to its effort."""
    for seed in range(400):
        source = random.Random(seed)
        count = source.randint(1, 6)
        clauses = [
            tuple(
                source.choice((1, -1)) * variable
                for variable in source.sample(range(1, count + 1), source.randint(1, min(count, 3)))
            )
            for _ in range(source.randint(1, 22))
        ]
        expected = any(
            all(any((literal > 0) == truth[abs(literal) - 1] for literal in c) for c in clauses)
            for truth in product((False, True), repeat=count)
        )
        assert satisfiable(count, clauses, Effort(10**6)) == expected, seed
    with pytest.raises(Exhausted):
        satisfiable(2, [(1, 2), (-1, 2)], Effort(1))
