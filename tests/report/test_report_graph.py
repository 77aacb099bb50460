"""The drawn graph of an anomaly: nothing overlaps, nothing is lost, nothing is trusted."""

from __future__ import annotations

from itertools import combinations
from typing import Any

import pytest

from harness.core.history import History
from harness.core.operation import Event
from harness.core.verdict import Anomaly, Validity, Verdict
from harness.report import ReportInput, render
from harness.report.graph import draw_graph


def cycle(length: int) -> dict[str, Any]:
    """A cycle of that many transactions."""
    kinds = ("ww", "wr", "rw", "process", "realtime")
    return {
        "graph": {
            "nodes": [
                {"index": 10 * at, "label": f"T{at}", "text": f"append x {at}, r y [{at}]"}
                for at in range(length)
            ],
            "edges": [
                {
                    "from": 10 * at,
                    "to": 10 * ((at + 1) % length),
                    "kind": kinds[at % 5],
                    "because": f"reason {at} <&>",
                }
                for at in range(length)
            ],
        }
    }


@pytest.mark.parametrize("length", [2, 3, 4, 5, 17, 60])
def test_boxes_do_not_overlap_and_every_edge_is_drawn(length: int) -> None:
    """However long the cycle, each transaction has its own place within the drawing, and each edge
    its arrow."""
    graph = draw_graph(cycle(length))
    assert graph is not None
    assert len(graph.boxes) == len(graph.arrows) == length
    for one, other in combinations(graph.boxes, 2):
        apart = abs(one.x - other.x) >= graph.box_width, abs(one.y - other.y) >= graph.box_height
        assert any(apart), (one, other)
    for box in graph.boxes:
        assert graph.box_width / 2 <= box.x <= graph.width - graph.box_width / 2
        assert graph.box_height / 2 <= box.y <= graph.height - graph.box_height / 2
    labels = [(round(arrow.label_x), round(arrow.label_y)) for arrow in graph.arrows]
    assert len(set(labels)) == length


@pytest.mark.parametrize(
    "details",
    [
        {},
        {"graph": None},
        {"graph": {"nodes": [], "edges": []}},
        {"graph": {"nodes": [{"index": "x"}], "edges": []}},
        {"graph": {"nodes": cycle(2)["graph"]["nodes"], "edges": [{"from": 5, "to": 6}]}},
        cycle(61),
    ],
)
def test_what_cannot_be_drawn_is_left_out(details: dict[str, Any]) -> None:
    """A verdict of another program, or a cycle too long for a page, costs the drawing only."""
    assert draw_graph(details) is None


def page(details: dict[str, Any], length: int) -> str:
    """A report whose one anomaly has these details."""
    events = []
    for at in range(10 * length):
        kind = "invoke" if at % 2 == 0 else "ok"
        value = [["append", "x", at - at % 2]]
        events.append(
            Event(index=at, time=at, process=at // 10, type=kind, f="txn", value=value)  # type: ignore[arg-type]
        )
    verdict = Verdict(
        checker="list-append",
        validity=Validity.INVALID,
        sentence="A cycle.",
        anomalies=(
            Anomaly(
                name="G0",
                sentence="A cycle.",
                operations=tuple(10 * at for at in range(length)),
                details=details,
            ),
        ),
        details={
            "strongest": ["read-committed"],
            "strongest_not_refuted": [],
            "weakest_ruled_out": ["repeatable-read", "snapshot-isolation"],
        },
    )
    plan = {"history": "history.jsonl", "model": "list-append", "command": ["harness", "check"]}
    return render(
        ReportInput(plan=plan, history=History.from_events(events), verdict=verdict, bare=True)
    )


def test_the_page_draws_it_and_names_the_models() -> None:
    """Each step is also said in words, escaped; and what holds and what fell stands above."""
    text = page(cycle(3), 3)
    assert text.count('class="transaction"') == 3
    assert "reason 2 &lt;&amp;&gt;" in text
    assert "<&>" not in text
    assert "repeatable-read, snapshot-isolation" in text
    assert "The strongest that hold" in text
    assert "nor proved" not in text
