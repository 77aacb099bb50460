"""A cycle is told in sentences that name its transactions, and as a graph to draw."""

from __future__ import annotations

from typing import Any

import pytest

from checkers.transactions.columns import Transactions, ingest
from checkers.transactions.cycles import Cycle, find_cycles
from checkers.transactions.dependencies import Dependencies, Edge
from checkers.transactions.explain import cycle_anomaly, labels, text_of
from harness.core.history import History
from harness.core.operation import Event
from harness.core.verdict import Anomaly
from tests.checkers.cycles_oracle import dependencies

WW, WR, RW, PROCESS, REALTIME = (int(kind) for kind in Edge)


def transactions(*values: Any, gap_ns: int = 1_200_000, kind: Any = "ok") -> Transactions:
    """One transaction after another, each by a process of its own, ``gap_ns`` between events."""
    events = []
    for number, value in enumerate(values):
        for step, type_ in enumerate(("invoke", kind)):
            at = 2 * number + step
            events.append(
                Event(index=at, time=at * gap_ns, process=number, type=type_, f="txn", value=value)
            )
    return ingest(History.from_events(events))


def only(graph: Dependencies) -> Cycle:
    (cycle,) = find_cycles(graph).cycles
    return cycle


def told(some: Transactions, graph: Dependencies, *reasons: str) -> Anomaly:
    """The anomaly of the only cycle; the reasons are those of the edges, in their order."""
    return cycle_anomaly(some, graph, only(graph), lambda row: reasons[row])


def test_read_skew_is_told_from_its_operations() -> None:
    """The sentence has the name, every step, and the conclusion; the graph has it all."""
    some = transactions([["append", "x", 1], ["append", "y", 2]], [["r", "x", [1]], ["r", "y", []]])
    graph = dependencies(2, [(0, 1, WR), (1, 0, RW)])
    anomaly = told(
        some, graph, "read x [1], which T1 appended 1 to", "appended 2 to y unseen by T2"
    )
    assert anomaly.name == "G-single"
    assert anomaly.operations == (0, 2)
    assert anomaly.sentence == (
        "Read skew (G-single): T2 read x [1], which T1 appended 1 to; "
        "T1 appended 2 to y unseen by T2. So T1 must come before itself."
    )
    assert anomaly.details["graph"] == {
        "nodes": [
            {"index": 0, "label": "T1", "text": "append x 1, append y 2"},
            {"index": 2, "label": "T2", "text": "r x [1], r y []"},
        ],
        "edges": [
            {
                "from": 0,
                "to": 2,
                "kind": "wr",
                "because": "T2 read x [1], which T1 appended 1 to",
            },
            {"from": 2, "to": 0, "kind": "rw", "because": "T1 appended 2 to y unseen by T2"},
        ],
    }


@pytest.mark.parametrize(
    ("gap_ns", "words"),
    [
        (1, "before"),
        (7, "7 ns before"),
        (12_345, "12.3 µs before"),
        (1_200_000, "1.2 ms before"),
        (34_772_000_000, "34.8 s before"),
    ],
)
def test_a_walk_through_auxiliary_vertices_is_one_step(gap_ns: int, words: str) -> None:
    """Real time is told with its size, unless the times are only positions."""
    some = transactions([["w", 1, 1]], [["r", 1, None]], gap_ns=gap_ns)
    edges = [(0, 2, REALTIME), (2, 3, REALTIME), (3, 1, REALTIME), (1, 0, RW)]
    anomaly = told(some, dependencies(2, edges, vertices=4), "", "", "", "wrote 1, unseen by T2")
    assert anomaly.name == "G-single-realtime"
    assert anomaly.sentence == (
        f"Read skew (G-single-realtime): T1 returned {words} T2 was invoked; "
        "T1 wrote 1, unseen by T2. So T1 must come before itself."
    )
    assert [edge["kind"] for edge in anomaly.details["graph"]["edges"]] == ["realtime", "rw"]


def test_long_cycles_are_told_shortly() -> None:
    """After four steps the sentence says how many more there are; the graph has all of them."""
    some = transactions(*([["w", 1, number]] for number in range(9)))
    graph = dependencies(9, [(number, (number + 1) % 9, WW) for number in range(9)])
    anomaly = told(some, graph, *(f"wrote {number}" for number in range(9)))
    assert anomaly.sentence == (
        "Write cycle (dirty write, G0) of 9 transactions: T2 wrote 0; T3 wrote 1; T4 wrote 2; "
        "T5 wrote 3; and 5 more steps lead back to T1. So T1 must come before itself."
    )
    assert len(anomaly.details["graph"]["edges"]) == 9


def test_the_order_of_a_process_is_told() -> None:
    """The sentence names the process."""
    some = transactions([["w", 1, 1]], [["w", 1, 2]])
    anomaly = told(some, dependencies(2, [(0, 1, PROCESS), (1, 0, WW)]), "", "wrote 1 over 2")
    assert anomaly.sentence == (
        "Write cycle (dirty write, G0-process): T2 came after T1 in process 1; "
        "T1 wrote 1 over 2. So T1 must come before itself."
    )


def test_labels_follow_the_order_of_the_cycle() -> None:
    """T1 is where it begins, whatever its number in the history."""
    cycle = Cycle(name="G0", edges=(0, 1), transactions=(7, 3))
    assert labels(cycle) == {7: "T1", 3: "T2"}


@pytest.mark.parametrize(
    ("value", "kind", "text"),
    [
        ([["append", "x", 3], ["r", "y", [1, 2]]], "ok", "append x 3, r y [1 2]"),
        ([["r", 5, list(range(20))]], "ok", "r 5 [.. 14 15 16 17 18 19]"),
        ([["r", "k", None], ["w", "k", "a" * 40]], "ok", f"r k null, w k {'a' * 24}.."),
        ([["w", "x", 1]] * 9, "ok", ", ".join(["w x 1"] * 8) + ", ..."),
        ([["r", "x", None], ["append", "x", 1]], "info", "append x 1 ?"),
    ],
)
def test_transactions_are_shortened_sensibly(value: Any, kind: Any, text: str) -> None:
    """Lists keep their end; long values and long transactions their beginning."""
    assert text_of(transactions(value, kind=kind), 0) == text
